//! Answers to clients in a form that the browser posts (`response_mode=form_post`).

use reqwest::Method;
use serde_json::json;

use tenantry_core::clients::ClientKind;
use tenantry_domain::client_changes::ClientChange;

use crate::browser::Browser;
use crate::callback::Callback;
use crate::harness::{ADMIN_PASSWORD, T, TestResponse};
use crate::jar::check_html;
use crate::products::{Parameters, Product, set, settings};
use crate::relying_party::RelyingParty;

fn with(product: &Product<'_>, changes: &[(&str, &str)]) -> Parameters {
    let mut parameters = product.parameters();
    set(&mut parameters, "response_mode", "form_post");
    for (name, value) in changes {
        set(&mut parameters, name, value);
    }
    parameters
}

/// The value of a hidden field.
fn field(page: &TestResponse, name: &str) -> String {
    let (_, rest) = page.text.split_once(&format!("name=\"{name}\" value=\"")).unwrap_or_default();
    rest.split('"').next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_form_carries_the_answer_without_scripts() {
    let t = T::start().await;
    let shop = Product::new(&t).await;
    let cookie = shop.sign_in("admin", ADMIN_PASSWORD).await;
    let page = shop.authorize(&cookie, &with(&shop, &[("state", "\"><script>&")])).await.expect(200);
    assert!(page.header("content-type").starts_with("text/html"));
    assert_eq!(page.header("cache-control"), "no-store");
    let policy = page.header("content-security-policy");
    assert!(policy.ends_with("form-action 'self' https://shop.example"), "{policy}");
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(
        page.text.contains("<form method=\"post\" action=\"https://shop.example/callback\""),
        "{}",
        page.text
    );
    assert_eq!(page.text.matches("<form").count(), 1, "in another language, it would be sent again");
    assert!(page.text.contains("<button class=\"primary\">Continue</button>"));
    assert!(page.text.contains("<h1>Back to Shop</h1>"), "{}", page.text);
    assert_eq!(field(&page, "state"), "&#34;&#62;&#60;script&#62;&#38;");
    assert_eq!(field(&page, "iss"), t.app.config.public_url);
    let code = field(&page, "code");
    t.secret(&code);
    shop.exchange(&code).await.expect(200);
    // The script is a file like those of other pages.
    let script = page.text.split("<script type=\"module\" src=\"").nth(1).unwrap().split('"').next().unwrap();
    let script = shop.get(script, "").await.expect(200);
    assert!(script.header("cache-control").contains("immutable") && script.text.contains(".submit()"));
    shop.get("/oauth/form-post.js", "").await.expect(404);
}

#[tokio::test]
async fn errors_come_in_a_form_too() {
    let t = T::start().await;
    let shop = Product::new(&t).await;
    let page = shop.authorize("", &with(&shop, &[("prompt", "none")])).await.expect(200);
    assert_eq!(
        (field(&page, "error"), field(&page, "code")),
        (String::from("login_required"), String::new())
    );
    assert_eq!((field(&page, "state"), field(&page, "iss").is_empty()), (String::from("a state"), false));
    // Of a request that is not valid, and that came by POST and is too long for a query.
    let long = "\u{20ac}".repeat(1_300);
    let changes = [("state", long.as_str()), ("code_challenge_method", "plain")];
    let page = shop.send(Method::POST, "/oauth/authorize", "", &with(&shop, &changes)).await.expect(200);
    assert_eq!((field(&page, "error").as_str(), field(&page, "state") == long), ("invalid_request", true));
    assert!(page.text.contains("<h1>Back to the application</h1>"), "{}", page.text);
    // A valid one of this length goes through the pages.
    let changes = [("state", long.as_str()), ("prompt", "none")];
    let answer = shop.send(Method::POST, "/oauth/authorize", "", &with(&shop, &changes)).await.expect(303);
    let page = shop.get(answer.header("location"), "").await.expect(200);
    assert_eq!((field(&page, "error").as_str(), field(&page, "state") == long), ("login_required", true));
}

#[tokio::test]
async fn the_form_is_in_the_language_that_the_client_asks_for() {
    let t = T::start().await;
    let shop = Product::new(&t).await;
    for (language, heading) in [
        ("en", "Back to Shop"),
        ("nl", "Terug naar Shop"),
        ("sv", "Tillbaka till Shop"),
        ("fr", "Retour à Shop"),
        ("zh-Hans", "返回 Shop"),
        ("it", "Torna a Shop"),
    ] {
        let changes = [("prompt", "none"), ("ui_locales", language)];
        let page = shop.authorize("", &with(&shop, &changes)).await.expect(200);
        assert!(page.text.contains(&format!("<html lang=\"{language}\">")), "{}", page.text);
        assert!(page.text.contains(&format!("<h1>{heading}</h1>")), "{language}: {}", page.text);
        check_html(&page.text);
    }
}

/// A native application's redirect URI has a scheme of its own.
#[tokio::test]
async fn the_form_may_lead_to_the_scheme_of_an_application() {
    let t = T::start().await;
    let uri = "com.example.app:/callback";
    let native = ClientChange { redirect_uris: Some(vec![uri.to_owned()]), ..settings() };
    let app = Product::with(&t, ClientKind::Public, native).await;
    let page = app.authorize("", &with(&app, &[("redirect_uri", uri), ("prompt", "none")])).await.expect(200);
    assert!(page.header("content-security-policy").ends_with("form-action 'self' com.example.app:"));
}

/// From the sign-in through the consent to the client, each step a form; the browser checks where they lead.
#[tokio::test]
async fn the_form_follows_on_the_forms_of_pages() {
    let t = T::start().await;
    let mut callback = Callback::listen().await;
    let settings = json!({ "redirectUris": [callback.uri()], "requireConsent": true });
    let client = RelyingParty::register_with(&t, &settings).await;
    let address = client.address(&[("response_mode", "form_post")]);
    for scripts in [true, false] {
        let browser = Browser::start().await;
        browser.scripts(scripts).await;
        browser.goto(&format!("{}{address}&prompt=consent", t.app.config.public_url)).await;
        browser.sign_in("admin", ADMIN_PASSWORD).await;
        browser.arrives(|url| url.contains("/consent?")).await;
        browser.submit().await;
        if !scripts {
            // The page is the answer to the consent's form.
            browser.finds("form[data-client-form] button").await;
            browser.submit().await;
        }
        let back = callback.next().await;
        assert_eq!((back.method.as_str(), back.url.query()), ("POST", None));
        client.exchange(&back.parameter("code").unwrap()).await;
        browser.arrives(|url| url.starts_with("http://127.0.0.1")).await;
        assert_eq!(browser.console().await, Vec::<String>::new());
    }
}

/// A client that answers nothing: the page stays, so that it can be looked at.
#[tokio::test]
async fn the_form_can_be_used_by_everybody() {
    let t = T::start().await;
    let callback = Callback::silent().await;
    let settings = json!({ "redirectUris": [callback.uri()], "name": "Shop" });
    let client = RelyingParty::register_with(&t, &settings).await;
    let browser = Browser::start().await;
    let address = client.address(&[("response_mode", "form_post"), ("prompt", "none")]);
    browser.goto(&format!("{}{address}", t.app.config.public_url)).await;
    browser.finds("form[data-client-form] button").await;
    assert_eq!(browser.examine("client-form").await, Vec::<String>::new());
}
