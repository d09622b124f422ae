//! Passkeys in Chromium, with the virtual authenticator of its WebDriver.

use serde_json::json;

use crate::browser::Browser;
use crate::harness::{T, password_of};

#[tokio::test]
async fn a_person_adds_a_passkey_and_signs_in_with_it() {
    let t = T::start().await;
    let at = |path: &str| format!("{}{path}", t.app.config.public_url);
    t.member("fenna").await;
    let browser = Browser::start().await;
    let mut found = Vec::new();
    browser.goto(&at("/sign-in")).await;
    browser.sign_in("fenna", &password_of("fenna")).await;
    browser.goto(&at("/account/passkeys")).await;
    browser.finds("form[data-passkey-create]:not([hidden])").await;
    let text = browser.text().await;
    assert!(text.contains("You have no passkey yet.") && !text.contains("This browser cannot"), "{text}");
    found.extend(browser.examine("account-passkeys-none").await);
    browser.plug_in_authenticator().await;
    browser.press("form[data-passkey-create] button").await;
    assert!(browser.text().await.contains("Your recovery codes"));
    browser.goto(&at("/account/passkeys?done=added")).await;
    let text = browser.text().await;
    assert!(text.contains("The passkey is added."), "{text}");
    browser.evaluate("document.querySelector('details').open = true").await;
    found.extend(browser.examine("account-passkeys").await);
    // A second one on the same device makes no sense, and the browser says so.
    browser.finds("form[data-passkey-create] button").await.click().await.unwrap();
    browser.finds("[data-passkey-problem=taken]:not([hidden])").await;
    found.extend(browser.examine("account-passkeys-taken").await);
    // Without a name: by the suggestion of the field (conditional mediation), which this authenticator takes at once.
    browser.goto(&at("/sign-out")).await;
    browser.submit().await;
    browser.goto(&at("/sign-in?next=%2Faccount%2Fsessions")).await;
    browser.arrives(|url| url.ends_with("/account/sessions")).await;
    // Removed, it does not sign in any more; the authenticator is told where the browser can.
    browser.goto(&at("/account/passkeys")).await;
    browser.evaluate("document.querySelector('details').open = true").await;
    browser.press("button[value=remove]").await;
    assert!(browser.text().await.contains("The passkey is removed."));
    found.extend(browser.console().await);
    browser.goto(&at("/sign-out")).await;
    browser.submit().await;
    assert_eq!(found, Vec::<String>::new());
}

#[tokio::test]
async fn a_person_who_gives_up_can_use_the_password() {
    let t = T::start().await;
    let at = |path: &str| format!("{}{path}", t.app.config.public_url);
    t.member("fenna").await;
    let browser = Browser::start().await;
    let authenticator = json!({
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": true, "hasUserVerification": true,
        "isUserVerified": false, "isUserConsenting": true,
    });
    browser.webdriver("webauthn/authenticator", &authenticator).await;
    browser.goto(&at("/sign-in")).await;
    browser.finds("form[data-passkey-get]:not([hidden]) button").await.click().await.unwrap();
    browser.finds("[data-passkey-problem=failed]:not([hidden])").await;
    assert_eq!(browser.examine("sign-in-passkey-cancelled").await, Vec::<String>::new());
    browser.sign_in("fenna", &password_of("fenna")).await;
    browser.arrives(|url| url.ends_with("/account")).await;
}

#[tokio::test]
async fn without_scripts_the_password_form_is_as_it_was() {
    let t = T::start().await;
    let at = |path: &str| format!("{}{path}", t.app.config.public_url);
    t.member("fenna").await;
    let browser = Browser::start().await;
    browser.scripts(false).await;
    browser.goto(&at("/sign-in")).await;
    let text = browser.text().await;
    assert!(!text.contains("passkey"), "{text}");
    browser.sign_in("fenna", &password_of("fenna")).await;
    browser.arrives(|url| url.ends_with("/account")).await;
    browser.goto(&at("/account/passkeys")).await;
    let text = browser.text().await;
    assert!(text.contains("This browser cannot add a passkey here."), "{text}");
}
