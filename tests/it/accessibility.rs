//! Every page in a real browser: in light and dark, on a phone and a laptop, against WCAG 2.2 A and AA, with pictures in
//! `target/screenshots/` for a person to look at.

use serde_json::json;

use crate::account::links;
use crate::authenticators::{Authenticator, with_master_key};
use crate::browser::Browser;
use crate::harness::{ADMIN_PASSWORD, T, new_user};
use crate::relying_party::{ALL_SCOPES, RelyingParty};

/// What was found on all pages; asserted at the end, so that one run shows everything.
#[derive(Default)]
struct Found(Vec<String>);

impl Found {
    async fn look(&mut self, browser: &Browser, page: &str) {
        self.0.extend(browser.examine(page).await);
    }

    #[track_caller]
    fn nothing(self) {
        assert!(self.0.is_empty(), "{} violations:\n{}", self.0.len(), self.0.join("\n"));
    }
}

#[tokio::test]
async fn public_pages_are_open_to_everybody() {
    let t = T::start().await;
    let at = |path: &str| format!("{}{path}", t.app.config.public_url);
    let browser = Browser::start().await;
    let mut found = Found::default();
    for language in ["en", "nl", "sv", "fr", "zh-Hans", "it"] {
        browser.speak(language).await;
        browser.goto(&at("/sign-in")).await;
        assert_eq!(browser.evaluate("return document.documentElement.lang").await, language);
        found.look(&browser, "sign-in").await;
    }
    browser.speak("en").await;
    browser.goto(&at("/sign-in")).await;
    browser.sign_in("admin", "no password").await;
    found.look(&browser, "sign-in-refused").await;
    for (page, path) in [
        ("signed-out", "/signed-out"),
        ("not-found", "/nothing"),
        ("error", "/oauth/authorize?client_id=nobody"),
        ("verify-email-stale", "/verify-email?token=stale"),
        ("forgot-password", "/forgot-password"),
        ("forgot-username", "/forgot-username"),
    ] {
        browser.goto(&at(path)).await;
        found.look(&browser, page).await;
    }
    for (page, field, value) in
        [("forgot-password", "username", "admin"), ("forgot-username", "email", "admin@example.com")]
    {
        browser.goto(&at(&format!("/{page}"))).await;
        browser.fill(field, value).await;
        browser.submit().await;
        found.look(&browser, &format!("{page}-sent")).await;
    }
    found.nothing();
}

#[tokio::test]
async fn pages_of_a_user_can_be_used_by_everybody() {
    let t = T::with(with_master_key).await;
    let at = |path: &str| format!("{}{path}", t.app.config.public_url);
    t.admin().await.create_with(&new_user("fenna")).await;
    let temporary = t.mailed_password("fenna").await;
    let browser = Browser::start().await;
    let mut found = Found::default();
    browser.goto(&at("/sign-in")).await;
    browser.sign_in("fenna", &temporary).await;
    found.look(&browser, "set-password").await;
    browser.fill("new-password", "short").await;
    found.look(&browser, "set-password-typing").await;
    browser.submit().await;
    found.look(&browser, "set-password-refused").await;
    browser.fill("new-password", "Quite.Another-Kettle-8").await;
    t.secret("Quite.Another-Kettle-8");
    browser.submit().await;
    browser.arrives(|url| url.ends_with("/account")).await;
    let client = RelyingParty::register_with(&t, &json!({ "requireConsent": true, "name": "Shop" })).await;
    let consent = client.address(&[("scope", ALL_SCOPES)]);
    for (page, path) in [
        ("account", "/account"),
        ("account-password", "/account/password"),
        ("account-security", "/account/security"),
        ("second-factor-begin", "/second-factor/add"),
        ("account-sessions", "/account/sessions"),
        ("account-applications", "/account/applications"),
        ("account-language", "/account/language"),
        ("choose-account", "/choose-account"),
        ("consent", &consent),
        ("sign-out", "/sign-out"),
    ] {
        browser.goto(&at(path)).await;
        found.look(&browser, page).await;
    }
    // An address that was changed, and that is verified by the link in a mail.
    browser.goto(&at("/account")).await;
    browser.fill("email", "new@example.net").await;
    browser.submit().await;
    found.look(&browser, "account-email-changed").await;
    browser.fill("email", "no address").await;
    browser.evaluate("document.forms[0].noValidate = true").await;
    browser.submit().await;
    found.look(&browser, "account-refused").await;
    browser.goto(&at("/account")).await;
    browser.press("form[action$='/account/verify-email'] button").await;
    found.look(&browser, "account-link-sent").await;
    let link = links(&t, "new@example.net").await.pop().unwrap();
    browser.goto(&at(&format!("/verify-email?link={link}"))).await;
    found.look(&browser, "verify-email").await;
    browser.submit().await;
    found.look(&browser, "verified-email").await;
    browser.goto(&at("/sign-out")).await;
    browser.submit().await;
    browser.arrives(|url| url.ends_with("/signed-out")).await;
    // A second factor is added and asked for.
    let sign_in = async || {
        browser.goto(&at("/sign-in")).await;
        browser.sign_in("fenna", "Quite.Another-Kettle-8").await;
    };
    sign_in().await;
    browser.goto(&at("/second-factor/add?next=%2Faccount%2Fsecurity")).await;
    browser.submit().await;
    let key = browser.evaluate("return document.getElementById('key').textContent").await;
    let app = Authenticator::new(&t, &key.as_str().unwrap().replace(' ', ""));
    found.look(&browser, "second-factor-add").await;
    browser.fill("one-time-code", &app.code(&t)).await;
    browser.submit().await;
    let codes = "return [...document.querySelectorAll('#codes code')].map((code) => code.textContent)";
    let codes = t.secrets_of(&browser.evaluate(codes).await);
    assert_eq!(codes.len(), 10);
    found.look(&browser, "recovery-codes").await;
    browser.goto(&at("/account/security")).await;
    found.look(&browser, "account-security-factors").await;
    browser.goto(&at("/sign-out")).await;
    browser.submit().await;
    sign_in().await;
    found.look(&browser, "second-factor").await;
    browser.fill("one-time-code", "000000").await;
    browser.submit().await;
    found.look(&browser, "second-factor-refused").await;
    found.nothing();
}

#[tokio::test]
async fn a_person_signs_in_without_scripts() {
    let t = T::start().await;
    let at = |path: &str| format!("{}{path}", t.app.config.public_url);
    t.admin().await.create_with(&new_user("fenna")).await;
    let temporary = t.mailed_password("fenna").await;
    let browser = Browser::start().await;
    browser.scripts(false).await;
    browser.goto(&at("/sign-in")).await;
    browser.sign_in("fenna", &temporary).await;
    browser.fill("new-password", "Quite.Another-Kettle-8").await;
    t.secret("Quite.Another-Kettle-8");
    browser.submit().await;
    browser.arrives(|url| url.ends_with("/account")).await;
    browser.goto(&at("/sign-out")).await;
    browser.submit().await;
    browser.goto(&at("/account")).await;
    browser.arrives(|url| url.contains("/sign-in")).await;
}

#[tokio::test]
async fn a_browser_without_cookies_gets_an_explanation() {
    let t = T::start().await;
    let browser = Browser::without_cookies().await;
    browser.goto(&format!("{}/sign-in", t.app.config.public_url)).await;
    browser.sign_in("admin", ADMIN_PASSWORD).await;
    let text = browser.text().await;
    assert!(text.contains("cookies"), "{text}");
}
