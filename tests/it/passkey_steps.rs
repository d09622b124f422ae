//! Passkeys as a second factor: after the password, in a session that needs a stronger sign-in, where one is required, and
//! their removal by admins.

use serde_json::json;

use tenantry_core::clock::{DAY, MINUTE};

use crate::harness::{T, password_of};
use crate::page_visitor::{PageVisitor, Shown, number};
use crate::passkey_authenticator::{SoftAuthenticator, request_options, send_signed};
use crate::passkeys::with_passkey;

const STEP: &str = "/sign-in/second-factor";
const REFUSED: &str = "This passkey does not confirm that it is you.";

/// The page of the second step, in a browser that has given the password.
async fn at_second_step<'t>(t: &'t T, username: &str) -> (PageVisitor<'t>, Shown) {
    let mut browser = t.browser();
    browser.sign_in(username, &password_of(username)).await.expect_to(STEP);
    let page = browser.get(STEP).await.expect(200);
    (browser, page)
}

#[tokio::test]
async fn a_passkey_is_asked_for_after_the_password() {
    let t = T::start().await;
    let (id, mut authenticator, _) = with_passkey(&t, "fenna").await;
    let (mut browser, page) = at_second_step(&t, "fenna").await;
    let mut options = request_options(&page);
    let credential = &t.ask_sql("SELECT credential_id FROM passkeys")[0][0];
    assert_eq!(options["allowCredentials"][0]["id"], **credential);
    assert_eq!(options["userVerification"], "preferred");
    assert!(page.says("one of your recovery codes") && !page.says("authenticator app"), "{}", page.text);
    // A touch alone is enough here.
    options["userVerification"] = json!("discouraged");
    let origin = crate::passkey_authenticator::origin(&page);
    let signed = authenticator.get(&origin, &options).await.unwrap();
    send_signed(&mut browser, &page, &signed).await.expect_to("/account");
    browser.get("/account").await.expect(200);
    let sql = format!("SELECT acr, amr FROM browser_sessions WHERE user_id = {id} ORDER BY amr LIMIT 1");
    // pwd and pop
    assert_eq!(t.ask_sql(&sql), [["2", "9"]]);
    // Sent again, nothing more happens.
    let page = send_signed(&mut browser.clone(), &page, &signed).await;
    assert_ne!(page.status, 200);
}

#[tokio::test]
async fn the_second_step_is_that_of_its_user_browser_and_time() {
    let t = T::start().await;
    let (fenna, mut of_fenna, _) = with_passkey(&t, "fenna").await;
    let (_, mut of_bram, _) = with_passkey(&t, "bram").await;
    let failures = || number(&t, &format!("SELECT failed_logins FROM users WHERE user_id = {fenna}"));
    // Another user's passkey.
    let (mut browser, page) = at_second_step(&t, "fenna").await;
    let mut options = request_options(&page);
    options["allowCredentials"] = json!([]);
    let signed = of_bram.get(&crate::passkey_authenticator::origin(&page), &options).await.unwrap();
    let shown = send_signed(&mut browser, &page, &signed).await.expect(400);
    assert!(shown.says(REFUSED), "{}", shown.text);
    assert_eq!(failures(), 1);
    // The challenge of another browser at the same step, and of the sign-in page.
    let (mut browser, page) = at_second_step(&t, "fenna").await;
    let (_, other) = at_second_step(&t, "fenna").await;
    let start = t.browser().get("/sign-in").await.expect(200);
    for asked in [&other, &start] {
        let signed = of_fenna.sign(asked).await;
        let shown = send_signed(&mut browser, &page, &signed).await.expect(400);
        assert!(shown.says("open for too long"), "{}", shown.text);
    }
    assert_eq!(failures(), 1, "no guess");
    let late = of_fenna.sign(&page).await;
    t.clock.advance(5 * MINUTE);
    let shown = send_signed(&mut browser, &page, &late).await.expect(400);
    assert!(shown.says("open for too long"), "{}", shown.text);
    let signed = of_fenna.sign(&shown).await;
    send_signed(&mut browser, &shown, &signed).await.expect_to("/account");
    assert_eq!(failures(), 0);
    // Together with wrong passwords, the fifth failure locks; the words stay the same.
    let (mut browser, mut page) = at_second_step(&t, "fenna").await;
    for _ in 0..5 {
        let mut signed = of_fenna.sign(&page).await;
        signed["response"]["signature"] = json!("AAAA");
        page = send_signed(&mut browser, &page, &signed).await.expect(400);
        assert!(page.says(REFUSED), "{}", page.text);
    }
    assert_eq!(number(&t, &format!("SELECT status FROM users WHERE user_id = {fenna}")), 2);
    let signed = of_fenna.get(&crate::passkey_authenticator::origin(&other), &request_options(&other)).await;
    assert!(send_signed(&mut browser, &page, &signed.unwrap()).await.expect(400).says("open for too long"));
}

#[tokio::test]
async fn a_remembered_device_steps_up_with_a_passkey() {
    let t = T::start().await;
    let (_, mut authenticator, _) = with_passkey(&t, "fenna").await;
    let (mut browser, page) = at_second_step(&t, "fenna").await;
    let signed = authenticator.sign(&page).await;
    let fields = [("credential", &*signed.to_string()), ("remember", "1")];
    browser.submit_form(page.form_with("data-passkey-get"), &fields).await.expect_to("/account");
    let page = browser.get("/sign-out").await.expect(200);
    browser.submit(&page, &[]).await.expect_to("/signed-out");
    browser.sign_in("fenna", &password_of("fenna")).await.expect_to("/account");
    // For changes of the passkeys it is asked for all the same.
    let page = browser.get("/account/passkeys").await.expect(200);
    assert!(page.attribute("data-passkey-create").is_none());
    let step = "/second-factor?next=%2Faccount%2Fpasskeys";
    assert!(page.text.contains(step), "{}", page.text);
    let page = browser.get(step).await.expect(200);
    let mut wrong = authenticator.sign(&page).await;
    wrong["response"]["signature"] = json!("AAAA");
    let page = send_signed(&mut browser, &page, &wrong).await.expect(400);
    assert!(page.says(REFUSED), "{}", page.text);
    let signed = authenticator.sign(&page).await;
    let old = browser.session_cookie().unwrap().to_owned();
    send_signed(&mut browser, &page, &signed).await.expect_to("/account/passkeys");
    assert_ne!(browser.session_cookie().unwrap(), old, "a new cookie");
    let page = browser.get("/account/passkeys").await.expect(200);
    assert!(page.attribute("data-passkey-create").is_some());
}

#[tokio::test]
async fn where_a_second_factor_is_required_a_passkey_is_one() {
    let t = T::start().await;
    t.member("fenna").await;
    let admin = t.admin().await;
    admin.patch("/api/v1/policy", &json!({ "secondFactor": "everybody" })).await.expect(200);
    t.clock.advance(8 * DAY);
    let mut browser = t.browser();
    browser.sign_in("fenna", &password_of("fenna")).await.expect(303);
    browser.get("/account").await.expect_to("/second-factor/add");
    browser.get("/account/passkeys").await.expect_to("/second-factor/add?next=%2Faccount%2Fpasskeys");
    let page = browser.get("/second-factor/add?next=%2Faccount%2Fsessions").await.expect(200);
    assert!(page.says("Your organization requires a second factor"), "{}", page.text);
    let mut authenticator = SoftAuthenticator::new();
    let created = authenticator
        .create(
            &crate::passkey_authenticator::origin(&page),
            &crate::passkey_authenticator::creation_options(&page),
        )
        .await
        .unwrap();
    let form = page.form_with("data-passkey-create");
    // Nothing, first.
    let shown = browser.submit_form(form.clone(), &[]).await.expect(400);
    assert!(shown.says("cannot be used here"), "{}", shown.text);
    let shown = browser.submit_form(form, &[("credential", &*created.to_string())]).await.expect(200);
    assert!(shown.says("Your recovery codes") && shown.text.contains("/account/sessions"), "{}", shown.text);
    browser.get("/account/sessions").await.expect(200);
    // It is the last one, which cannot be removed; another one can.
    let remove = async |browser: &mut PageVisitor<'_>| {
        let page = browser.get("/account/passkeys").await.expect(200);
        let token = page.form().1.into_iter().find(|(name, _)| name == "token").unwrap();
        let id = &t.ask_sql("SELECT passkey_id FROM passkeys ORDER BY created_at")[0][0];
        let fields = vec![token, (String::from("do"), String::from("remove"))];
        browser.submit_form((format!("/account/passkeys/{id}"), fields), &[]).await
    };
    let shown = remove(&mut browser).await.expect(409);
    assert!(shown.says("this is your only one"), "{}", shown.text);
    t.clock.advance(1);
    SoftAuthenticator::new().add(&mut browser, "Second").await.expect(303);
    remove(&mut browser).await.expect(303);
    assert_eq!(t.ask_sql("SELECT name FROM passkeys"), [["Second"]]);
    remove(&mut browser).await.expect(409);
    // A sign-in with a passkey alone satisfies the policy.
    let mut other = SoftAuthenticator::new();
    other.add(&mut browser, "Third").await.expect(303);
    let mut browser = t.browser();
    other.sign_in(&mut browser).await.expect_to("/account");
    browser.get("/account").await.expect(200);
}

#[tokio::test]
async fn passkeys_are_listed_and_removed_over_the_api() {
    let t = T::start().await;
    let (id, mut authenticator, mut browser) = with_passkey(&t, "fenna").await;
    let admin = t.admin().await;
    let path = format!("/api/v1/users/{id}/factors");
    let listed = admin.get(&path).await.expect(200).body;
    let factor = &listed["factors"][0];
    assert_eq!((&factor["factor"], &factor["name"]), (&json!("passkey"), &json!("My phone")), "{listed}");
    let factor_id = factor["factorId"].as_str().unwrap();
    // The admin of another partner sees nothing of it.
    let (_, other) = t.other_partner("other").await;
    other.get(&path).await.expect(404);
    other.delete(&format!("{path}/{factor_id}")).await.expect(404);
    admin.delete(&format!("{path}/nothing")).await.expect(404);
    admin.delete(&format!("{path}/{factor_id}")).await.expect(204);
    // Its sessions end, and the passkey is none any more.
    browser.get("/account").await.expect_to("/sign-in");
    authenticator.sign_in(&mut t.browser()).await.expect(400);
    t.browser().sign_in("fenna", &password_of("fenna")).await.expect_to("/account");
    assert_eq!(number(&t, "SELECT count(*) FROM passkey_credentials"), 0);
    let events = admin.get(&format!("/api/v1/events?userId={id}&pageSize=100")).await.expect(200);
    assert!(events.list().iter().any(|event| event["type"] == "factor.removed"), "{}", events.body);
}

#[tokio::test]
async fn where_second_factors_are_off_passkeys_are_too() {
    let t = T::start().await;
    let (_, mut authenticator, _) = with_passkey(&t, "fenna").await;
    let t = t
        .restart_with(|config| config.second_factor = tenantry_core::account_policy::SecondFactorPolicy::Off)
        .await;
    let page = authenticator.sign_in(&mut t.browser()).await.expect(400);
    assert!(page.says("This passkey does not sign you in."), "{}", page.text);
    let mut browser = t.signed_in("fenna", &password_of("fenna")).await;
    browser.get("/account").await.expect(200);
    let shown = SoftAuthenticator::new().add(&mut browser, "x").await.expect(409);
    assert!(shown.says("Passkeys are switched off here."), "{}", shown.text);
}
