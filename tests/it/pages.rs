//! What all pages have in common: who may open them, security headers, files, languages, errors and limits.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::json;
use tenantry_core::clock::MINUTE;

use crate::harness::{ADMIN_PASSWORD, T, password_of};
use crate::page_visitor::{PageVisitor, Shown};
use crate::products::Product;

/// Every page, and what it answers to a GET: by a browser without a session, by one of a member, by one that must first set
/// a password, and by the bearer of an admin's token, who is nobody here.
#[rustfmt::skip]
const TABLE: &[(&str, [&str; 4])] = &[
    //                   nobody              member             restricted         bearer
    ("/",               ["303 /account",     "303 /account",    "303 /account",       "303 /account"]),
    ("/sign-in",        ["200",              "303 /account",    "303 /set-password",  "200"]),
    ("/sign-in/passkey", ["303 /sign-in",     "303 /sign-in",    "303 /sign-in",       "303 /sign-in"]),
    ("/second-factor/add/passkey", ["303 /second-factor/add", "303 /second-factor/add", "303 /second-factor/add", "303 /second-factor/add"]),
    ("/sign-out",       ["303 /signed-out",  "200",             "200",                "303 /signed-out"]),
    ("/signed-out",     ["200",              "200",             "200",                "200"]),
    ("/choose-account", ["303 /sign-in",     "200",             "200",                "303 /sign-in"]),
    ("/set-password",   ["303 /sign-in",     "303 /account",    "200",                "303 /sign-in"]),
    ("/account",        ["303 /sign-in",     "200",             "303 /set-password",  "303 /sign-in"]),
    ("/account/applications", ["303 /sign-in?next=%2Faccount%2Fapplications", "200", "303 /set-password?next=%2Faccount%2Fapplications", "303 /sign-in?next=%2Faccount%2Fapplications"]),
    ("/account/language", ["303 /sign-in?next=%2Faccount%2Flanguage", "200", "303 /set-password?next=%2Faccount%2Flanguage", "303 /sign-in?next=%2Faccount%2Flanguage"]),
    ("/account/password", ["303 /sign-in?next=%2Faccount%2Fpassword", "200", "303 /set-password?next=%2Faccount%2Fpassword", "303 /sign-in?next=%2Faccount%2Fpassword"]),
    ("/account/security", ["303 /sign-in?next=%2Faccount%2Fsecurity", "200", "303 /set-password?next=%2Faccount%2Fsecurity", "303 /sign-in?next=%2Faccount%2Fsecurity"]),
    ("/second-factor",     ["303 /sign-in", "303 /account", "303 /set-password", "303 /sign-in"]),
    ("/second-factor/add", ["303 /sign-in?next=%2Fsecond-factor%2Fadd", "200", "303 /set-password?next=%2Fsecond-factor%2Fadd", "303 /sign-in?next=%2Fsecond-factor%2Fadd"]),
    ("/sign-in/second-factor", ["303 /sign-in", "303 /sign-in", "303 /sign-in", "303 /sign-in"]),
    ("/account/passkeys", ["303 /sign-in?next=%2Faccount%2Fpasskeys", "200", "303 /set-password?next=%2Faccount%2Fpasskeys", "303 /sign-in?next=%2Faccount%2Fpasskeys"]),
    ("/account/passkeys/{id}", ["405", "405", "405", "405"]),
    ("/account/sessions", ["303 /sign-in?next=%2Faccount%2Fsessions", "200", "303 /set-password?next=%2Faccount%2Fsessions", "303 /sign-in?next=%2Faccount%2Fsessions"]),
    ("/account/status", ["405", "405", "405", "405"]),
    ("/account/verify-email", ["405", "405", "405", "405"]),
    ("/consent",         ["400", "400", "400", "400"]),
    ("/forgot-password", ["200", "200", "200", "200"]),
    ("/forgot-username", ["200", "200", "200", "200"]),
    ("/verify-email",    ["400", "400", "400", "400"]),
    ("/branding/{pid}/{file}", ["404", "404", "404", "404"]),
    ("/language",       ["400",              "400",             "400",                "400"]),
    ("/static/{name}",  ["404",              "404",             "404",                "404"]),
];

/// A browser of each column.
async fn callers(t: &T) -> Vec<PageVisitor<'_>> {
    t.member("fenna").await;
    t.admin().await.create("new").await;
    let temporary = t.mailed_password("new").await;
    let mut restricted = t.browser();
    restricted.sign_in("new", &temporary).await.expect_to("/set-password");
    let token = t.admin().await.token.unwrap();
    let bearer = t.browser().with_header("authorization", &format!("Bearer {token}"));
    vec![t.browser(), t.signed_in("fenna", &password_of("fenna")).await, restricted, bearer]
}

fn told(shown: &Shown) -> String {
    format!("{} {}", shown.status.as_u16(), shown.leads_to()).trim().to_owned()
}

/// The routes of all pages: the path, and the code of its handlers.
pub fn routes() -> Vec<(String, String)> {
    crate::architecture::sources()
        .iter()
        .filter(|(file, _)| file.starts_with("crates/web/"))
        .flat_map(|(file, text)| {
            let code = crate::architecture::shipped(file, text);
            let code: String = code.split_whitespace().collect();
            let routes = code.split(".route(\"").skip(1).map(|rest| {
                let (path, rest) = rest.split_once('"').unwrap();
                let mut depth = 1;
                let handlers = rest.split_inclusive(')').take_while(|part| {
                    let is_inside = depth > 0;
                    depth = (depth + part.matches('(').count()).saturating_sub(1);
                    is_inside
                });
                (path.to_owned(), handlers.collect())
            });
            // Those of the console have a table of their own, in console.rs.
            routes.filter(|(path, _): &(String, String)| !path.starts_with("/console")).collect::<Vec<_>>()
        })
        .collect()
}

#[tokio::test]
async fn who_may_open_which_page() {
    let routed: BTreeSet<String> = routes().into_iter().map(|(path, _)| path).collect();
    let tabled: BTreeSet<String> = TABLE.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(routed, tabled, "each page has a row in TABLE");

    let t = T::start().await;
    let mut wrong = Vec::new();
    for (column, caller) in callers(&t).await.into_iter().enumerate() {
        for (path, row) in TABLE {
            let shown = caller.clone().get(path).await;
            if told(&shown) != row[column] {
                wrong.push(format!("{path} by {column}: {} instead of {}", told(&shown), row[column]));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Who is nobody to every page: a browser with the cookie of a session that has ended, of whichever cause, or of a user who may
/// not sign in any more, and the bearer of an OpenID token.
async fn nobodies(t: &T) -> Vec<(&'static str, PageVisitor<'_>)> {
    let admin = t.admin().await;
    let operator = t.operator().await;
    let mut all = Vec::new();
    for what in ["signed out", "locked", "inactive", "deleted", "reset", "idle", "suspended"] {
        let (id, username) = if what == "suspended" {
            t.other_partner("elsewhere").await;
            (0, String::from("elsewhere-admin"))
        } else {
            let username = what.replace(' ', "-");
            (t.member(&username).await.0, username)
        };
        let path = format!("/api/v1/users/{id}");
        let browser = t.signed_in(&username, &password_of(&username)).await;
        browser.clone().get("/account").await.expect(200);
        match what {
            "signed out" => {
                let mut here = browser.clone();
                let page = here.get("/sign-out").await.expect(200);
                here.submit(&page, &[]).await.expect_to("/signed-out");
            }
            "locked" => drop(admin.patch(&path, &json!({ "status": "LOCKED" })).await.expect(200)),
            "inactive" => drop(admin.patch(&path, &json!({ "status": "INACTIVE" })).await.expect(200)),
            "deleted" => drop(admin.delete(&path).await.expect(204)),
            "reset" => drop(admin.post(&format!("{path}/reset-password"), &json!({})).await.expect(200)),
            "idle" => {
                let session = browser.session_cookie().unwrap();
                let hash = URL_SAFE_NO_PAD.encode(tenantry_domain::tokens::hash(session));
                let over = t.clock.now() - 1;
                t.run_sql(&format!(
                    "UPDATE browser_sessions SET expires_at = {over}, ends_at = {over} WHERE cookie_hash = '{hash}'"
                ));
                // It was in memory.
                admin.patch(&path, &json!({ "title": "T" })).await.expect(200);
            }
            _ => {
                let pid = t.ask_sql("SELECT max(pid) FROM partners").remove(0).remove(0);
                let path = format!("/operator/v1/partners/{pid}");
                operator.patch(&path, &json!({ "suspended": true })).await.expect(200);
            }
        }
        all.push((what, browser));
    }
    let shop = Product::new(t).await;
    let cookie = shop.sign_in("admin", ADMIN_PASSWORD).await;
    let token = shop.tokens(&cookie, "openid profile").await["access_token"].as_str().unwrap().to_owned();
    all.push(("openid", t.browser().with_header("authorization", &format!("Bearer {token}"))));
    all
}

#[tokio::test]
async fn an_ended_session_is_nobody_on_every_page() {
    let t = T::start().await;
    let mut wrong = Vec::new();
    for (what, caller) in nobodies(&t).await {
        for (path, row) in TABLE {
            let shown = caller.clone().get(path).await;
            if told(&shown) != row[0] {
                wrong.push(format!("{path} by {what}: {} instead of {}", told(&shown), row[0]));
            }
        }
        // Nor does it send a form.
        for (path, handlers) in routes() {
            if !handlers.contains("post(") {
                continue;
            }
            let token = [(String::from("token"), String::from("x"))];
            let shown = caller.clone().send(Method::POST, &path, Some(&token)).await;
            let anonymous = t.browser().send(Method::POST, &path, Some(&token)).await;
            if told(&shown) != told(&anonymous) {
                wrong.push(format!(
                    "POST {path} by {what}: {} instead of {}",
                    told(&shown),
                    told(&anonymous)
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What an admin is shown otherwise than a member.
const OF_ADMINS: &[(&str, &str)] = &[("/", "303 /console")];

#[tokio::test]
async fn an_admin_is_a_member_on_every_page() {
    let t = T::start().await;
    let admin = t.signed_in("admin", ADMIN_PASSWORD).await;
    let mut wrong = Vec::new();
    for (path, row) in TABLE {
        let other = OF_ADMINS.iter().find(|(of, _)| of == path).map(|(_, expected)| *expected);
        let (expected, shown) = (other.unwrap_or(row[1]), admin.clone().get(path).await);
        if told(&shown) != expected {
            wrong.push(format!("{path}: {} instead of {expected}", told(&shown)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A form is good in the session whose page it was on, and in no other: not in another person's, nor in one that has ended.
#[tokio::test]
async fn a_form_of_another_session_is_refused_by_every_page() {
    let t = T::start().await;
    let mut callers = callers(&t).await;
    t.member("other").await;
    let mut other = t.signed_in("other", &password_of("other")).await;
    let token_of = async |browser: &mut PageVisitor<'_>, path: &str| {
        let (_, fields) = browser.get(path).await.expect(200).form();
        fields.into_iter().find(|(name, _)| name == "token").unwrap()
    };
    let (of_visitor, of_other) =
        (token_of(&mut t.browser(), "/sign-in").await, token_of(&mut other, "/sign-out").await);
    let mut member = callers.remove(1);
    let of_member = token_of(&mut member, "/sign-out").await;
    for (path, _) in routes().into_iter().filter(|(_, handlers)| handlers.contains("post(")) {
        for token in [&of_visitor, &of_other] {
            let shown = member.clone().send(Method::POST, &path, Some(std::slice::from_ref(token))).await;
            assert!([400, 403].contains(&shown.status.as_u16()), "{path}: {} {}", shown.status, shown.text);
            assert_eq!(shown.header("set-cookie"), "", "{path}");
        }
        for browser in [&mut t.browser(), &mut other.clone()] {
            let shown = browser.send(Method::POST, &path, Some(std::slice::from_ref(&of_member))).await;
            let is_refused = match told(&shown).as_str() {
                // There is nothing to sign out of; or whoever is not signed in does that first.
                "303 /signed-out" => path == "/sign-out",
                to if to.starts_with("303 /sign-in") => {
                    ["/account", "/second-factor", "/sign-in/"].iter().any(|start| path.starts_with(start))
                }
                status => ["400", "403"].contains(&status),
            };
            assert!(is_refused, "{path}: {} {}", told(&shown), shown.text);
        }
    }
    member.get("/account").await.expect(200);
    other.get("/account").await.expect(200);
}

#[tokio::test]
async fn every_page_has_the_security_headers() {
    let t = T::start().await;
    let callers = callers(&t).await;
    for (path, _) in TABLE.iter().filter(|(path, _)| *path != "/") {
        for caller in &callers {
            let shown = caller.clone().get(path).await;
            if shown.status == 303 {
                assert_eq!(shown.header("cache-control"), "no-store");
                continue;
            }
            assert_eq!(shown.header("content-type"), "text/html; charset=utf-8", "{path}");
            let policy = shown.header("content-security-policy");
            assert!(
                policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"),
                "{policy}"
            );
            assert!(
                policy.contains("frame-ancestors 'none'") && policy.contains("base-uri 'none'"),
                "{policy}"
            );
            assert!(policy.ends_with("form-action 'self'") && !policy.contains("unsafe"), "{policy}");
            assert_eq!(shown.header("x-frame-options"), "DENY");
            assert_eq!(shown.header("x-content-type-options"), "nosniff");
            assert_eq!(shown.header("referrer-policy"), "same-origin");
            assert_eq!(shown.header("cache-control"), "no-store");
            let opener = if path.starts_with("/account") && shown.status == 200 { "same-origin" } else { "" };
            assert_eq!(shown.header("cross-origin-opener-policy"), opener, "{path}");
        }
    }
}

/// The paths of the files that a page loads.
fn files(page: &Shown) -> Vec<String> {
    page.text.split('"').filter(|value| value.starts_with("/static/")).map(str::to_owned).collect()
}

#[tokio::test]
async fn files_are_small_compressed_and_immutable() {
    let t = T::start().await;
    let mut browser = t.browser().with_header("accept-encoding", "gzip");
    let page = browser.get("/sign-in").await.expect(200);
    let mut total = page.text.len();
    let files = files(&page);
    assert_eq!(files.len(), 4, "{files:?}");
    for file in &files {
        let response =
            t.anonymous().request(Method::GET, file).header("accept-encoding", "gzip").send().await.unwrap();
        assert_eq!(response.status(), 200, "{file}");
        assert_eq!(response.headers()["cache-control"], "public, max-age=31536000, immutable");
        assert_eq!(response.headers()["content-encoding"], "gzip");
        assert_eq!(response.headers()["vary"], "accept-encoding");
        total += response.bytes().await.unwrap().len();
        let plain = t.anonymous().get(file).await.expect(200);
        assert_eq!(plain.header("content-encoding"), "");
        let kind = plain.header("content-type");
        assert!(kind.starts_with("text/") || kind == "image/svg+xml", "{kind}");
    }
    assert!(total < 40_000, "the first view has {total} bytes");
    let (stem, _) = files[0].rsplit_once('.').unwrap();
    browser.get(&format!("{stem}.other")).await.expect(404);
    browser.get("/static/..%2F..%2FCargo.toml").await.expect(404);
}

#[tokio::test]
async fn a_page_is_in_the_language_that_was_asked_for() {
    let t = T::start().await;
    for (header, language, title) in [
        ("nl-BE,nl;q=0.9,en;q=0.8", "nl", "Inloggen"),
        ("sv", "sv", "Logga in"),
        ("fr-CA", "fr", "Connexion"),
        ("zh-CN,zh;q=0.9", "zh-Hans", "登录"),
        ("it", "it", "Accedi"),
        ("zh-TW", "en", "Sign in"),
        ("de", "en", "Sign in"),
        ("", "en", "Sign in"),
    ] {
        let page = t.browser().with_header("accept-language", header).get("/sign-in").await.expect(200);
        assert_eq!(page.language(), language, "{header}");
        assert!(page.says(title), "{header}: {}", page.text);
    }
    // The choice at the foot of the page counts more, and is remembered.
    let mut browser = t.browser().with_header("accept-language", "fr");
    let shown = browser.get("/language?to=nl&back=%2Fsign-in%3Frequest%3Dabc").await;
    shown.expect_to("/sign-in?request=abc&language=nl");
    assert_eq!(browser.follow(shown).await.language(), "nl");
    assert_eq!(browser.get("/sign-in").await.language(), "nl");
    browser.get("/language?to=it&back=https%3A%2F%2Fevil.example").await.expect_to("/account?language=it");
    browser.get("/language?to=xx").await.expect(400);
    // The user's own setting counts more than the cookie.
    let mut admin = t.signed_in("admin", ADMIN_PASSWORD).await;
    let body = json!({ "locale": "sv-FI" });
    t.admin().await.patch("/api/v1/users/self", &body).await.expect(200);
    admin.cookies.insert(String::from("tenantry-language"), String::from("it"));
    assert_eq!(admin.get("/account").await.expect(200).language(), "sv");
}

#[tokio::test]
async fn every_page_is_well_formed_in_every_language() {
    let t = T::start().await;
    let callers = callers(&t).await;
    for language in tenantry_core::languages::Language::ALL {
        for caller in &callers {
            for (path, _) in TABLE {
                let shown = caller.clone().get(&format!("{path}?language={}", language.tag())).await;
                if shown.status != 303 {
                    assert_eq!(shown.language(), language.tag(), "{path}");
                }
            }
        }
        // With errors in it.
        let mut browser = t.browser();
        let page = browser.get(&format!("/sign-in?language={}", language.tag())).await.expect(200);
        let bad = [("username", "<b>\"'&amp;"), ("password", "wrong")];
        let shown = browser.submit(&page, &bad).await.expect(400);
        assert_eq!(shown.language(), language.tag());
        assert!(!shown.text.contains("<b>"), "{}", shown.text);
    }
}

#[tokio::test]
async fn errors_are_pages_for_browsers_and_documents_for_others() {
    let t = T::start().await;
    let mut browser = t.browser();
    let page = browser.get("/nowhere").await.expect(404);
    assert!(page.says("Page not found") && page.says(page.header("x-request-id")), "{}", page.text);
    assert_eq!(
        browser.get("/api/v1/nowhere").await.expect(404).header("content-type"),
        "application/problem+json"
    );
    let problem = t.anonymous().get("/nowhere").await.expect(404);
    assert_eq!(problem.body["code"], "no-such-path");
    assert_eq!(t.anonymous().get("/").await.expect(404).body["code"], "no-such-path");
    let put = browser.send(Method::PUT, "/sign-in", None).await.expect(405);
    assert!(put.says("cannot be opened like this"), "{}", put.text);
    assert!(put.header("allow").contains("GET"), "{}", put.header("allow"));
    let mut named = t.browser().with_header("x-request-id", "the-id-7");
    assert!(named.get("/nowhere").await.expect(404).says("the-id-7"));
}

#[tokio::test]
async fn browsers_that_are_not_signed_in_are_limited_by_address() {
    let t = T::with(|config| {
        config.page_requests_per_address = 5;
        config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    t.clock.advance(MINUTE - t.clock.now() % MINUTE);
    let mut signed_in = t.browser().with_header("x-forwarded-for", "192.0.2.1");
    signed_in.sign_in("admin", ADMIN_PASSWORD).await.expect_to("/account");
    let mut flood = t.browser().with_header("x-forwarded-for", "192.0.2.1");
    let page = flood.get("/sign-in").await.expect(200);
    flood.get("/signed-out").await.expect(200);
    flood.get(&files(&page)[0]).await.expect(200);
    for path in ["/sign-in", "/signed-out", &files(&page)[0]] {
        let refused = flood.get(path).await.expect(429);
        assert!(refused.says("Too many requests"), "{}", refused.text);
        assert_eq!(refused.header("retry-after"), "60");
    }
    let form = [("username", "admin"), ("password", ADMIN_PASSWORD)];
    flood.submit(&page, &form).await.expect(429);
    // Others, and who is signed in, are not; nor is the API.
    t.browser().with_header("x-forwarded-for", "192.0.2.2").get("/sign-in").await.expect(200);
    for _ in 0..10 {
        signed_in.get("/account").await.expect(200);
    }
    t.try_login_from("192.0.2.1", "admin", ADMIN_PASSWORD).await.expect(200);
    t.clock.advance(MINUTE);
    flood.get("/sign-in").await.expect(200);
}

#[tokio::test]
async fn below_a_path_all_links_are_below_it() {
    let t = T::with(|config| config.public_url = String::from("https://example.com/iam")).await;
    let mut browser = t.browser();
    browser.get("/account").await.expect_to("/iam/sign-in");
    let page = browser.get("/sign-in").await.expect(200);
    for link in
        page.text.split(['"']).filter(|value| value.starts_with('/') && !value.starts_with("/sign-in"))
    {
        assert!(link.starts_with("/iam/"), "{link}");
    }
    assert_eq!(page.form().0, "/iam/sign-in");
}
