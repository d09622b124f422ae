//! Passkeys on the pages: adding, naming, removing them, and signing in.

use serde_json::{Value, json};

use tenantry_core::clock::{DAY, MINUTE};
use tenantry_mail::{EmailContent, FactorName};

use crate::harness::{ADMIN_PASSWORD, T, password_of};
use crate::page_visitor::{PageVisitor, number};
use crate::passkey_authenticator::{
    SoftAuthenticator, creation_options, origin, request_options, send_created, send_signed,
};

const REFUSED: &str = "This passkey does not sign you in.";

/// A member who has a passkey, and is signed in.
pub async fn with_passkey<'t>(t: &'t T, username: &str) -> (i64, SoftAuthenticator, PageVisitor<'t>) {
    let (id, _) = t.member(username).await;
    let mut browser = t.signed_in(username, &password_of(username)).await;
    let mut authenticator = SoftAuthenticator::new();
    let page = authenticator.add(&mut browser, "My phone").await.expect(200);
    assert!(page.says("Your recovery codes") && page.text.contains("/account/passkeys?done=added"));
    (id, authenticator, browser)
}

#[tokio::test]
async fn a_user_adds_a_passkey_and_signs_in_without_a_name() {
    let t = T::start().await;
    let (id, mut authenticator, mut browser) = with_passkey(&t, "fenna").await;
    let page = browser.get("/account/passkeys?done=added").await.expect(200);
    for text in ["The passkey is added.", "My phone", "not used yet", "On several of your devices"] {
        assert!(page.says(text), "{text}: {}", page.text);
    }
    t.clock.advance(MINUTE);
    let mut other = t.browser();
    let shown = authenticator.sign_in(&mut other).await;
    shown.expect_to("/account");
    assert!(other.get("/account").await.expect(200).says("fenna"));
    let page = other.get("/account/passkeys").await.expect(200);
    assert!(page.says("last used 2026-11-23 09:01 UTC"), "{}", page.text);
    let sessions = t.ask_sql(&format!(
        "SELECT acr, amr, restricted FROM browser_sessions WHERE user_id = {id} ORDER BY created_at"
    ));
    // The first by pwd; both by pop, user and mfa: whoever adds a passkey has used it.
    assert_eq!(sessions, [["2", "29", "0"], ["2", "28", "0"]]);
    assert_eq!(number(&t, &format!("SELECT last_login_at FROM users WHERE user_id = {id}")) % MINUTE, 0);
    // Both are recorded, and the user is told.
    let events = t.admin().await.get(&format!("/api/v1/events?userId={id}&pageSize=100")).await.expect(200);
    let kinds: Vec<&str> = events.list().iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"factor.added") && kinds.contains(&"user.signed_in"), "{kinds:?}");
    let mails = t.mails_to("fenna@example.com").await;
    let added = |mail: &&tenantry_mail::Email| {
        matches!(&mail.content, EmailContent::FactorAdded { factor: FactorName::Passkey, .. })
    };
    assert_eq!(mails.iter().filter(added).count(), 1, "{mails:?}");
}

#[tokio::test]
async fn what_browsers_are_asked_is_what_the_design_says() {
    let t = T::start().await;
    t.member("fenna").await;
    let mut browser = t.signed_in("fenna", &password_of("fenna")).await;
    let page = browser.get("/account/passkeys").await.expect(200);
    let options = creation_options(&page);
    assert_eq!(options["rp"], json!({ "id": "localhost", "name": "Tenantry" }));
    assert_eq!(options["authenticatorSelection"]["residentKey"], "preferred");
    assert_eq!(options["attestation"], "none");
    assert_eq!(options["user"]["name"], "fenna");
    let handle = options["user"]["id"].as_str().unwrap().to_owned();
    assert_eq!(handle.len(), 43, "32 random bytes");
    // Another page asks for another handle, until one is stored with a passkey.
    let again = browser.get("/account/passkeys").await.expect(200);
    assert_ne!(creation_options(&again)["user"]["id"], handle);
    let mut authenticator = SoftAuthenticator::new();
    let created = authenticator.create(&origin(&page), &options).await.unwrap();
    send_created(&mut browser, &page, &created, "x").await.expect(200);
    let page = browser.get("/account/passkeys").await.expect(200);
    let options = creation_options(&page);
    assert_eq!(options["user"]["id"], handle);
    assert_eq!(options["excludeCredentials"][0]["id"], created["id"]);
    // The sign-in names nobody, and has the browser verify its user.
    let page = t.browser().get("/sign-in").await.expect(200);
    let options = request_options(&page);
    assert_eq!(options["allowCredentials"], json!([]));
    assert_eq!(options["userVerification"], "required");
    assert_eq!(options["rpId"], "localhost");
    assert!(page.text.contains("autocomplete=\"username webauthn\""));
    assert_eq!(number(&t, "SELECT count(*) FROM passkey_challenges"), 1, "only what was answered is stored");
}

#[tokio::test]
async fn a_passkey_is_named_and_removed() {
    let t = T::start().await;
    let (id, mut authenticator, mut browser) = with_passkey(&t, "fenna").await;
    let page = browser.get("/account/passkeys").await.expect(200);
    let signals: Value = serde_json::from_str(&page.attribute("data-passkey-signals").unwrap()).unwrap();
    let accepted = &signals["signalAllAcceptedCredentials"];
    let credential = accepted["allAcceptedCredentialIds"][0].as_str().unwrap().to_owned();
    assert_eq!(signals["signalCurrentUserDetails"]["name"], "fenna");
    let path = format!("/account/passkeys/{}", t.ask_sql("SELECT passkey_id FROM passkeys")[0][0]);
    let token = page.form().1.into_iter().find(|(name, _)| name == "token").unwrap();
    let send = |name: &str, what: &str| {
        (
            path.clone(),
            vec![token.clone(), ("name".to_owned(), name.to_owned()), ("do".to_owned(), what.to_owned())],
        )
    };
    let shown = browser.submit_form(send(" Work laptop ", "rename"), &[]).await;
    assert_eq!(shown.header("location"), "/account/passkeys?done=renamed");
    assert!(browser.get("/account/passkeys").await.says("Work laptop"));
    for bad in ["", "  ", "a\u{7}b", &"x".repeat(65)] {
        let page = browser.submit_form(send(bad, "rename"), &[]).await.expect(400);
        assert!(page.says("Nothing was saved: the name"), "{bad:?}: {}", page.text);
    }
    let shown = browser.submit_form(send("", "remove"), &[]).await;
    let expected = format!("/account/passkeys?done=removed&credential={credential}");
    assert_eq!(shown.header("location"), expected);
    let page = browser.follow(shown).await.expect(200);
    assert!(page.says("The passkey is removed.") && page.says("You have no passkey yet."), "{}", page.text);
    let signals: Value = serde_json::from_str(&page.attribute("data-passkey-signals").unwrap()).unwrap();
    let unknown = json!({ "rpId": "localhost", "credentialId": credential });
    assert_eq!(signals, json!({ "signalUnknownCredential": unknown }));
    // A second time, there is none; nor does it sign in.
    browser.submit_form(send("", "remove"), &[]).await.expect(404);
    let page = authenticator.sign_in(&mut t.browser()).await.expect(400);
    assert!(page.says(REFUSED), "{}", page.text);
    let signals: Value = serde_json::from_str(&page.attribute("data-passkey-signals").unwrap()).unwrap();
    assert_eq!(signals, json!({ "signalUnknownCredential": unknown }));
    assert_eq!(number(&t, "SELECT count(*) FROM passkey_credentials"), 0);
    assert_eq!(number(&t, &format!("SELECT failed_logins FROM users WHERE user_id = {id}")), 0);
    let mails = t.mails_to("fenna@example.com").await;
    let is_removed = |mail: &&tenantry_mail::Email| {
        matches!(&mail.content, EmailContent::FactorRemoved { factor: FactorName::Passkey, .. })
    };
    assert_eq!(mails.iter().filter(is_removed).count(), 1);
}

#[tokio::test]
async fn the_page_tells_authenticators_nothing_of_passkeys_that_are_there() {
    let t = T::start().await;
    let (_, _, mut browser) = with_passkey(&t, "fenna").await;
    let credential = t.ask_sql("SELECT credential_id FROM passkeys")[0][0].clone();
    for query in [credential.as_str(), "no%20id", ""] {
        let page = browser.get(&format!("/account/passkeys?credential={query}")).await.expect(200);
        let signals = page.attribute("data-passkey-signals").unwrap();
        assert!(!signals.contains("signalUnknownCredential"), "{signals}");
    }
}

#[tokio::test]
async fn changes_need_a_recent_sign_in_to_which_the_page_leads() {
    let t = T::start().await;
    let (_, mut authenticator, mut browser) = with_passkey(&t, "fenna").await;
    let page = browser.get("/account/passkeys").await.expect(200);
    let created = SoftAuthenticator::new().create(&origin(&page), &creation_options(&page)).await.unwrap();
    t.clock.advance(5 * MINUTE + 1);
    let old = browser.get("/account/passkeys").await.expect(200);
    assert!(old.says("you must have signed in within the last 5 minutes"), "{}", old.text);
    assert!(old.attribute("data-passkey-create").is_none() && old.says("My phone"));
    // The forms of the page that was open are refused as well.
    let path = format!("/account/passkeys/{}", t.ask_sql("SELECT passkey_id FROM passkeys")[0][0]);
    let token = page.form().1.into_iter().find(|(name, _)| name == "token").unwrap();
    for what in ["rename", "remove"] {
        let fields = vec![token.clone(), ("name".into(), "x".into()), ("do".into(), what.to_owned())];
        let shown = browser.submit_form((path.clone(), fields), &[]).await.expect(403);
        assert!(shown.says("Nothing was changed."), "{}", shown.text);
    }
    let shown = send_created(&mut browser, &page, &created, "Stolen").await.expect(403);
    assert!(shown.says("Nothing was changed."), "{}", shown.text);
    assert_eq!(t.ask_sql("SELECT name FROM passkeys"), [["My phone"]]);
    // Signed in again, with the passkey or the password, the person comes back.
    let again = "/sign-in?again=1&next=%2Faccount%2Fpasskeys";
    assert!(old.text.contains(&again.replace('&', "&#38;")), "{}", old.text);
    let page = browser.get(again).await.expect(200);
    assert!(page.text.contains("value=\"fenna\""), "{}", page.text);
    let signed = authenticator.sign(&page).await;
    send_signed(&mut browser, &page, &signed).await.expect_to("/account/passkeys");
    let page = browser.get("/account/passkeys").await.expect(200);
    assert!(page.attribute("data-passkey-create").is_some());
    assert_eq!(number(&t, "SELECT count(*) FROM browser_sessions"), 1, "the same session goes on");
}

#[tokio::test]
async fn whoever_may_not_sign_in_cannot_with_a_passkey() {
    let t = T::start().await;
    let (id, mut authenticator, mut browser) = with_passkey(&t, "fenna").await;
    let admin = t.admin().await;
    let path = format!("/api/v1/users/{id}");
    for status in ["LOCKED", "INACTIVE"] {
        admin.patch(&path, &json!({ "status": status })).await.expect(200);
        browser.get("/account").await.expect_to("/sign-in");
        let page = authenticator.sign_in(&mut t.browser()).await.expect(400);
        assert!(page.says(REFUSED), "{status}: {}", page.text);
    }
    admin.patch(&path, &json!({ "status": "ACTIVE" })).await.expect(200);
    authenticator.sign_in(&mut t.browser()).await.expect_to("/account");
    admin.delete(&path).await.expect(204);
    authenticator.sign_in(&mut t.browser()).await.expect(400);
    // A restored user has its passkeys again.
    admin.post(&format!("{path}/restore"), &json!({})).await.expect(200);
    authenticator.sign_in(&mut t.browser()).await.expect_to("/account");
    let operator = t.operator().await;
    operator.patch("/operator/v1/partners/1", &json!({ "suspended": true })).await.expect(200);
    authenticator.sign_in(&mut t.browser()).await.expect(400);
}

#[tokio::test]
async fn an_expired_password_is_changed_first() {
    let t = T::with(|config| config.password_expiry_days = 30).await;
    let (_, mut authenticator, _) = with_passkey(&t, "fenna").await;
    // The user has let it expire: the session can only set a new one (B22).
    t.clock.advance(31 * DAY);
    let mut other = t.browser();
    let shown = authenticator.sign_in(&mut other).await;
    shown.expect_to("/set-password");
    other.get("/account/passkeys").await.expect_to("/set-password?next=%2Faccount%2Fpasskeys");
    let page = other.get("/set-password").await.expect(200);
    other.submit(&page, &[("newPassword", "Quite.Another-Kettle-8")]).await.expect_to("/account");
    authenticator.sign_in(&mut t.browser()).await.expect_to("/account");
}

#[tokio::test]
async fn a_temporary_password_comes_before_the_passkey() {
    let t = T::start().await;
    let (id, mut authenticator, mut browser) = with_passkey(&t, "fenna").await;
    // An admin has reset the password: all sessions end.
    let admin = t.admin().await;
    admin.post(&format!("/api/v1/users/{id}/reset-password"), &json!({})).await.expect(200);
    browser.get("/account").await.expect_to("/sign-in");
    let page = authenticator.sign_in(&mut t.browser()).await.expect(400);
    assert!(page.says("First sign in with the temporary password"), "{}", page.text);
    let temporary = t.mailed_password("fenna").await;
    let mut browser = t.browser();
    browser.sign_in("fenna", &temporary).await.expect_to("/sign-in/second-factor");
    let page = browser.get("/sign-in/second-factor").await.expect(200);
    let signed = authenticator.sign(&page).await;
    send_signed(&mut browser, &page, &signed).await.expect_to("/set-password");
    let page = browser.get("/set-password").await.expect(200);
    browser.submit(&page, &[("newPassword", "Yet.Another-Kettle-9")]).await.expect_to("/account");
    authenticator.sign_in(&mut t.browser()).await.expect_to("/account");
}

#[tokio::test]
async fn browsers_that_cannot_have_passkeys_here_are_told_why() {
    for (url, reason) in [
        ("http://127.0.0.1:8080", "the address of this server is a number"),
        ("https://[::1]:8443", "the address of this server is a number"),
        ("http://id.example.com", "this server is not reached by https"),
    ] {
        let t = T::with(|config| config.public_url = url.to_owned()).await;
        let mut browser = t.signed_in("admin", ADMIN_PASSWORD).await;
        let page = browser.get("/account/passkeys").await.expect(200);
        assert!(page.says(reason), "{url}: {}", page.text);
        assert!(page.attribute("data-passkey-create").is_none());
        let page = t.browser().get("/sign-in").await.expect(200);
        assert!(page.attribute("data-passkey-get").is_none(), "{url}");
    }
    let t = T::with(|config| config.public_url = String::from("https://ID.example.com/iam")).await;
    let page = t.browser().get("/sign-in").await.expect(200);
    assert_eq!(origin(&page), "https://id.example.com");
    assert!(page.text.contains("action=\"/iam/sign-in/passkey\""), "{}", page.text);
}

#[tokio::test]
async fn a_sign_in_with_a_passkey_leads_on_and_is_kept() {
    let t = T::start().await;
    let (_, mut authenticator, _) = with_passkey(&t, "fenna").await;
    let mut browser = t.browser();
    let page = browser.open("/account/sessions").await.expect(200);
    let signed = authenticator.sign(&page).await;
    let fields = [("credential", &*signed.to_string()), ("keep", "1")];
    let shown = browser.submit_form(page.form_with("data-passkey-get"), &fields).await;
    shown.expect_to("/account/sessions");
    let cookie = shown.header("set-cookie");
    assert!(cookie.contains("Max-Age=2592000"), "{cookie}");
    // Whoever opens the path of the form comes to the page.
    t.browser().get("/sign-in/passkey?next=%2Faccount").await.expect_to("/sign-in");
}

#[tokio::test]
async fn a_user_has_a_bounded_number_of_passkeys() {
    let t = T::start().await;
    let (_, _, mut browser) = with_passkey(&t, "fenna").await;
    for at in 1..20 {
        let shown = SoftAuthenticator::new().add(&mut browser, &format!("Key {at}")).await;
        assert_eq!(shown.header("location"), "/account/passkeys?done=added");
    }
    let page = browser.get("/account/passkeys").await.expect(200);
    assert!(page.says("You have 20 passkeys") && page.attribute("data-passkey-create").is_none());
}
