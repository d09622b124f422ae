//! Requests that other web sites have a browser send. Forms of pages are refused; the endpoints of OAuth can be read by the
//! origins of registered redirect URIs, those that configure clients by any.

use std::collections::BTreeSet;

use reqwest::Method;

use tenantry_core::clients::ClientKind;
use tenantry_domain::client_changes::{ClientChange, NewClient};
use tenantry_http::cors::CorsOrigins;
use tenantry_mail::EmailContent;

use crate::clients::with_uri;
use crate::harness::{ADMIN_PASSWORD, T, TestResponse, password_of};
use crate::page_visitor::PageVisitor;
use crate::products::{Product, set, settings};
use crate::tabs::value_of;

/// What browsers say about a form of another site. A browser may send both headers, or one of them.
const FOREIGN: [&[(&str, &str)]; 9] = [
    &[("sec-fetch-site", "cross-site")],
    &[("sec-fetch-site", "same-site")],
    &[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")],
    &[("sec-fetch-site", "")],
    &[("origin", "https://evil.example")],
    &[("origin", "null")],
    &[("origin", "http://localhost")],
    &[("origin", "http://localhost.evil.example")],
    &[("origin", "http://127.0.0.1:1")],
];

/// Everything that a form could change.
fn state(t: &T) -> Vec<Vec<Vec<String>>> {
    let tables =
        ["browser_sessions", "consents", "events", "outbox", "password_requests", "passwords", "sessions"];
    let mut all: Vec<_> =
        tables.iter().map(|table| t.ask_sql(&format!("SELECT count(*) FROM {table}"))).collect();
    all.push(t.ask_sql("SELECT user_id, version, failed_logins FROM users ORDER BY user_id"));
    all.push(t.ask_sql("SELECT cookie_hash, auth_time FROM browser_sessions ORDER BY session_id"));
    all
}

/// The forms that were tried, by the path that they are sent to.
struct Forms<'t> {
    t: &'t T,
    tried: BTreeSet<String>,
}

impl Forms<'_> {
    /// Opens a page and sends its form to `action`, from everywhere else and then from the page itself.
    async fn refuses(
        &mut self,
        browser: &mut PageVisitor<'_>,
        page: &str,
        action: &str,
        fields: &[(&str, &str)],
    ) {
        let shown = browser.get(page).await.expect(200);
        let (_, mut form) = shown.form();
        for (name, value) in fields {
            form.retain(|(known, _)| known != name);
            form.push(((*name).to_owned(), (*value).to_owned()));
        }
        let before = state(self.t);
        for headers in FOREIGN {
            let foreign = headers
                .iter()
                .fold(browser.clone(), |browser, (name, value)| browser.with_header(name, value));
            let answer = foreign.clone().send(Method::POST, action, Some(&form)).await.expect(403);
            assert!(answer.says("another site"), "{action} {headers:?}: {}", answer.text);
            assert_eq!(answer.header("set-cookie"), "", "{action} {headers:?}");
        }
        assert_eq!(state(self.t), before, "{action}");
        // The form itself is good.
        let done = browser.send(Method::POST, action, Some(&form)).await;
        assert_eq!(done.status, 303, "{action}: {}", done.text);
        self.tried.insert(action.split('?').next().unwrap().to_owned());
    }

    /// Sends a form with a good token from everywhere else. What the form does otherwise is tested with what it is about.
    async fn refuses_foreign(&mut self, browser: &PageVisitor<'_>, path: &str, token: &str) {
        let (before, form) = (state(self.t), [(String::from("token"), token.to_owned())]);
        for headers in FOREIGN {
            let foreign = headers
                .iter()
                .fold(browser.clone(), |browser, (name, value)| browser.with_header(name, value));
            let answer = foreign.clone().send(Method::POST, path, Some(&form)).await.expect(403);
            assert!(answer.says("another site"), "{path} {headers:?}: {}", answer.text);
            assert_eq!(answer.header("set-cookie"), "", "{path} {headers:?}");
        }
        assert_eq!(state(self.t), before, "{path}");
        self.tried.insert(path.to_owned());
    }
}

#[tokio::test]
async fn no_form_of_a_page_can_be_sent_from_another_site() {
    let t = T::start().await;
    t.member("fenna").await;
    let shop = ClientChange { needs_consent: Some(true), ..settings() };
    let shop = Product::with(&t, ClientKind::Confidential, shop).await;
    let mut forms = Forms { t: &t, tried: BTreeSet::new() };

    let mut nobody = t.browser();
    forms.refuses(&mut nobody, "/forgot-password", "/forgot-password", &[("who", "fenna")]).await;
    forms.refuses(&mut nobody, "/forgot-username", "/forgot-username", &[("who", "fenna@example.com")]).await;
    let good = [("username", "fenna"), ("password", &*password_of("fenna"))];
    forms.refuses(&mut nobody, "/sign-in", "/sign-in", &good).await;

    let mut fenna = nobody;
    forms.refuses(&mut fenna, "/account", "/account", &[("email", "new@example.net")]).await;
    forms.refuses(&mut fenna, "/account", "/account/verify-email", &[]).await;
    let link = t.mails_to("new@example.net").await.into_iter().find_map(|mail| match mail.content {
        EmailContent::VerifyEmail { link, .. } => Some(link.expose().to_owned()),
        _ => None,
    });
    let link = link.unwrap();
    t.secret(&link);
    let path = format!("/verify-email?link={link}");
    forms.refuses(&mut t.browser(), &path, &path, &[]).await;
    forms.refuses(&mut fenna, "/account/language", "/account/language", &[("to", "en")]).await;
    t.signed_in("fenna", &password_of("fenna")).await;
    let others = [("end", "others")];
    forms.refuses(&mut fenna, "/account/sessions", "/account/sessions", &others).await;
    let cookie = format!("tenantry={}", fenna.session_cookie().unwrap());
    let asked = shop.authorize(&cookie, &shop.parameters()).await.expect(303);
    let path = asked.header("location").to_owned();
    forms.refuses(&mut fenna, &path, &path, &[("decision", "allow")]).await;
    let withdraw = [("withdraw", shop.client.0.as_str())];
    forms.refuses(&mut fenna, "/account/applications", "/account/applications", &withdraw).await;
    forms.refuses(&mut fenna, "/choose-account", "/choose-account", &[]).await;
    let new = "Zy9.Saucer-Quilt-4x";
    t.secret(new);
    let change = [("oldPassword", &*password_of("fenna")), ("newPassword", new)];
    forms.refuses(&mut fenna, "/account/password", "/account/password", &change).await;
    let token = value_of(&fenna.get("/account").await.text, "token").unwrap();
    for path in [
        "/account/passkeys",
        "/account/passkeys/{id}",
        "/account/security",
        "/account/status",
        "/second-factor",
        "/second-factor/add",
        "/second-factor/add/passkey",
        "/sign-in/passkey",
        "/sign-in/second-factor",
    ] {
        forms.refuses_foreign(&fenna, path, &token).await;
    }
    forms.refuses(&mut fenna, "/sign-out", "/sign-out", &[]).await;

    t.admin().await.create("newcomer").await;
    let temporary = t.mailed_password("newcomer").await;
    let mut newcomer = t.browser();
    newcomer.sign_in("newcomer", &temporary).await.expect_to("/set-password");
    forms.refuses(&mut newcomer, "/set-password", "/set-password", &[("newPassword", new)]).await;

    let posted: BTreeSet<String> = crate::pages::routes()
        .into_iter()
        .filter(|(_, handlers)| handlers.contains("post("))
        .map(|(path, _)| path)
        .collect();
    assert_eq!(forms.tried, posted, "each page with a form is here");
}

/// Clients send browsers here from their own sites, by a form if they like. It becomes a GET, and does nothing by itself.
#[tokio::test]
async fn forms_of_clients_become_a_get_and_do_nothing_before() {
    let t = T::start().await;
    let shop = Product::new(&t).await;
    let cookie = shop.sign_in("admin", ADMIN_PASSWORD).await;
    let hint = shop.tokens(&cookie, "openid").await["id_token"].as_str().unwrap().to_owned();
    let logout = vec![(String::from("id_token_hint"), hint)];
    for (path, form) in [("/oauth/authorize", shop.parameters()), ("/oauth/logout", logout)] {
        for headers in FOREIGN {
            let mut browser = t.browser();
            // As if the browser sent it: SameSite=Lax keeps it from doing so.
            browser.cookies.insert(String::from("tenantry"), cookie["tenantry=".len()..].to_owned());
            let before = state(&t);
            let mut browser =
                headers.iter().fold(browser, |browser, (name, value)| browser.with_header(name, value));
            let answer = browser.send(Method::POST, path, Some(&form)).await.expect(303);
            assert!(
                answer.header("location").starts_with(&format!("{path}?")),
                "{}",
                answer.header("location")
            );
            assert_eq!(answer.header("set-cookie"), "");
            assert_eq!(state(&t), before, "{path} {headers:?}");
        }
    }
}

/// A request of a script, or the preflight request that a browser sends before it.
async fn ask(t: &T, method: Method, path: &str, origin: &str) -> TestResponse {
    let mut request = t.anonymous().request(method.clone(), path).header("origin", origin);
    if method == Method::OPTIONS {
        request = request
            .header("access-control-request-method", "GET")
            .header("access-control-request-headers", "authorization,if-none-match");
    }
    TestResponse::of(request.send().await.unwrap()).await
}

const METADATA: [&str; 3] =
    ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/oauth/jwks"];

#[tokio::test]
async fn metadata_and_keys_can_be_read_from_any_origin_with_preflight_requests() {
    let app = "https://app.example";
    for origins in [CorsOrigins::None, CorsOrigins::These(vec![app.to_owned()]), CorsOrigins::Any] {
        let t = T::with(|config| config.cors_origins = origins.clone()).await;
        for path in METADATA {
            for origin in [app, "https://anybody.example", "null"] {
                for method in [Method::OPTIONS, Method::GET, Method::HEAD] {
                    let answer = ask(&t, method.clone(), path, origin).await.expect(200);
                    let allowed: Vec<_> =
                        answer.headers.get_all("access-control-allow-origin").iter().collect();
                    assert_eq!(allowed, ["*"], "{method} {path} {origin} {origins:?}");
                    // One answer for all, which anybody may store.
                    assert_eq!(answer.header("access-control-allow-credentials"), "", "{origins:?}");
                    assert!(!answer.header("vary").to_ascii_lowercase().contains("origin"), "{origins:?}");
                    if method == Method::OPTIONS {
                        assert!(answer.header("access-control-allow-methods").contains("GET"));
                        let headers = answer.header("access-control-allow-headers");
                        assert_eq!(headers, "authorization,if-none-match");
                    }
                }
            }
            // Nothing else can be done with them.
            assert_eq!(ask(&t, Method::POST, path, "https://anybody.example").await.status.as_u16(), 405);
        }
        let beside = ask(&t, Method::OPTIONS, "/.well-known/other", "https://anybody.example").await;
        let is_any = origins == CorsOrigins::Any;
        assert_eq!(beside.header("access-control-allow-origin"), if is_any { "*" } else { "" });
    }
}

#[tokio::test]
async fn the_endpoints_of_clients_can_be_read_from_the_origins_of_their_redirect_uris() {
    let t = T::start().await;
    let NewClient { settings: spa, .. } = with_uri(ClientKind::Public, "https://spa.example/cb");
    let spa = ClientChange { needs_consent: Some(false), ..spa };
    let (id, _) = t.new_client(1, NewClient { kind: ClientKind::Public, settings: spa }).await;
    let spa = Product::of(&t, (id, String::new()));
    let cookie = spa.sign_in("admin", ADMIN_PASSWORD).await;
    let tokens = {
        let redirect = "https://spa.example/cb";
        let code = spa.code(&cookie, |p| set(p, "redirect_uri", redirect)).await;
        spa.exchange_with(&code, |form| set(form, "redirect_uri", redirect)).await.expect(200).body
    };
    let token = tokens["access_token"].as_str().unwrap();
    // Where the answer differs by the origin it says so; of errors as well.
    for (origin, is_allowed) in [
        ("https://spa.example", true),
        ("https://evil.example", false),
        ("https://spa.example:8443", false),
        ("http://spa.example", false),
        ("https://spa.example.evil.example", false),
        ("null", false),
    ] {
        let expected = if is_allowed { origin } else { "" };
        let check = |answer: &TestResponse, what: &str| {
            let allowed: Vec<_> = answer.headers.get_all("access-control-allow-origin").iter().collect();
            assert_eq!(allowed, if is_allowed { vec![expected] } else { Vec::new() }, "{what} {origin}");
            assert_eq!(answer.header("access-control-allow-credentials"), "", "{what}");
            assert!(answer.header("vary").to_ascii_lowercase().contains("origin"), "{what}");
        };
        for path in ["/oauth/token", "/oauth/revoke", "/oauth/userinfo"] {
            check(&ask(&t, Method::OPTIONS, path, origin).await.expect(200), path);
            check(&ask(&t, Method::POST, path, origin).await, path);
        }
        let send =
            async |person: crate::harness::Person<'_>, method: Method, path: &str, body: &'static str| {
                let request = person.request(method, path).header("origin", origin);
                let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
                TestResponse::of(request.send().await.unwrap()).await
            };
        check(&send(t.bearer(token), Method::GET, "/oauth/userinfo", "").await.expect(200), "userinfo");
        check(&send(t.bearer("at_1_x"), Method::GET, "/oauth/userinfo", "").await.expect(401), "no token");
        let wrong = "grant_type=authorization_code&code=ac_1_x&client_id=cl_1_x";
        check(&send(t.anonymous(), Method::POST, "/oauth/token", wrong).await.expect(401), "no client");
        // A cookie is none of their credentials, wherever the request comes from.
        let request = t.anonymous().request(Method::GET, "/oauth/userinfo").header("origin", origin);
        let request = request.header("cookie", &cookie).send().await.unwrap();
        check(&TestResponse::of(request).await.expect(401), "a cookie");
        // Pages and the rest of OAuth are for no script of another origin.
        for path in ["/oauth/authorize", "/oauth/logout", "/oauth/introspect", "/sign-in", "/account"] {
            for method in [Method::OPTIONS, Method::GET, Method::POST] {
                let answer = ask(&t, method.clone(), path, origin).await;
                assert_eq!(answer.header("access-control-allow-origin"), "", "{method} {path} {origin}");
            }
        }
    }
}
