//! Answers of authenticators that somebody has made, kept, moved or changed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use tenantry_core::clock::{HOUR, MINUTE};

use crate::harness::{T, password_of};
use crate::page_visitor::{PageVisitor, Shown, number};
use crate::passkey_authenticator::{
    SoftAuthenticator, creation_options, origin, request_options, send_created, send_signed,
};
use crate::passkeys::with_passkey;

const REFUSED: &str = "This passkey does not sign you in.";
const EXPIRED: &str = "The page was open for too long.";

#[track_caller]
fn expect_refused(shown: Shown, text: &str) {
    let shown = shown.expect(400);
    assert!(shown.says(text), "{}", shown.text);
    assert!(shown.headers.get("set-cookie").is_none(), "no session");
}

#[tokio::test]
async fn an_answer_is_good_once() {
    let t = T::start().await;
    let (id, mut authenticator, _) = with_passkey(&t, "fenna").await;
    let mut browser = t.browser();
    let page = browser.get("/sign-in").await.expect(200);
    let signed = authenticator.sign(&page).await;
    send_signed(&mut browser, &page, &signed).await.expect_to("/account");
    for _ in 0..6 {
        expect_refused(send_signed(&mut browser.clone(), &page, &signed).await, EXPIRED);
    }
    // Nor if the authenticator does not count, so that only the challenge says so.
    let mut synced = SoftAuthenticator::without_counter();
    synced.add(&mut browser, "synced").await.expect(303);
    let mut browser = t.browser();
    let page = browser.get("/sign-in").await.expect(200);
    let signed = synced.sign(&page).await;
    send_signed(&mut browser, &page, &signed).await.expect_to("/account");
    expect_refused(send_signed(&mut browser.clone(), &page, &signed).await, EXPIRED);
    // Two at once: one of them.
    let mut browser = t.browser();
    let page = browser.get("/sign-in").await.expect(200);
    let signed = synced.sign(&page).await;
    let (mut first, mut second) = (browser.clone(), browser.clone());
    let both =
        tokio::join!(send_signed(&mut first, &page, &signed), send_signed(&mut second, &page, &signed),);
    let mut statuses = [both.0.status.as_u16(), both.1.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 400]);
    // A form that is sent twice is no guess.
    assert_eq!(number(&t, &format!("SELECT failed_logins FROM users WHERE user_id = {id}")), 0);
}

#[tokio::test]
async fn an_answer_is_good_in_its_browser_and_for_its_time() {
    let t = T::start().await;
    let (_, mut authenticator, mut member) = with_passkey(&t, "fenna").await;
    let account = member.get("/account/passkeys").await.expect(200);
    let (mut browser, mut other) = (t.browser(), t.browser());
    let page = browser.get("/sign-in").await.expect(200);
    let others = other.get("/sign-in").await.expect(200);
    let signed = authenticator.sign(&page).await;
    // With the other browser's own form, or with the one that was stolen with it.
    expect_refused(send_signed(&mut other, &others, &signed).await, EXPIRED);
    assert!(send_signed(&mut other, &page, &signed).await.expect(400).says("out of date"));
    t.clock.advance(HOUR - 1);
    let late = authenticator.sign(&page).await;
    t.clock.advance(1);
    expect_refused(send_signed(&mut browser, &page, &late).await, EXPIRED);
    // A challenge of another purpose, or of nobody.
    for challenge in [creation_options(&account)["challenge"].clone(), json!("AAAA"), json!("")] {
        let page = browser.get("/sign-in").await.expect(200);
        let mut options = request_options(&page);
        options["challenge"] = challenge;
        let signed = authenticator.get(&origin(&page), &options).await.unwrap();
        expect_refused(send_signed(&mut browser, &page, &signed).await, EXPIRED);
    }
    authenticator.sign_in(&mut browser).await.expect_to("/account");
}

#[tokio::test]
async fn a_copied_authenticator_is_noticed() {
    let t = T::start().await;
    let (id, mut authenticator, _) = with_passkey(&t, "fenna").await;
    let mut copy = authenticator.copy();
    authenticator.sign_in(&mut t.browser()).await.expect_to("/account");
    authenticator.sign_in(&mut t.browser()).await.expect_to("/account");
    // Behind, and at the same count.
    for _ in 0..2 {
        expect_refused(copy.sign_in(&mut t.browser()).await, REFUSED);
    }
    assert_eq!(number(&t, "SELECT sign_count FROM passkeys"), 2);
    assert_eq!(number(&t, &format!("SELECT failed_logins FROM users WHERE user_id = {id}")), 2);
    // Ahead, it is the copy that goes on, and the original that is noticed.
    copy.sign_in(&mut t.browser()).await.expect_to("/account");
    expect_refused(authenticator.sign_in(&mut t.browser()).await, REFUSED);
}

#[tokio::test]
async fn without_user_verification_a_passkey_is_no_sign_in() {
    let t = T::start().await;
    let (id, mut authenticator, _) = with_passkey(&t, "fenna").await;
    let mut browser = t.browser();
    let page = browser.get("/sign-in").await.expect(200);
    let mut options = request_options(&page);
    options["userVerification"] = json!("discouraged");
    let signed = authenticator.get(&origin(&page), &options).await.unwrap();
    expect_refused(send_signed(&mut browser, &page, &signed).await, REFUSED);
    assert_eq!(number(&t, &format!("SELECT failed_logins FROM users WHERE user_id = {id}")), 1);
}

#[tokio::test]
async fn other_sites_get_nothing_that_signs_in() {
    let t = T::with(|config| config.public_url = String::from("https://id.example.com")).await;
    let (_, mut authenticator, mut member) = with_passkey(&t, "fenna").await;
    let mut browser = t.browser();
    let page = browser.get("/sign-in").await.expect(200);
    // A sub-domain, which browsers let use the passkey; another port; what looks alike, which they do not.
    for site in ["https://login.id.example.com", "https://id.example.com:8443"] {
        let signed = authenticator.get(site, &request_options(&page)).await.unwrap();
        expect_refused(send_signed(&mut browser, &page, &signed).await, REFUSED);
    }
    for site in ["https://id-example.com", "https://id.example.com.evil.net", "https://example.com"] {
        assert!(authenticator.get(site, &request_options(&page)).await.is_err(), "{site}");
    }
    // The site of an attacker hands on the challenge for itself, and has a passkey of its own.
    let page = browser.get("/sign-in").await.expect(200);
    let mut options = request_options(&page);
    options["rpId"] = json!("id-example.com");
    assert!(
        authenticator.get("https://id-example.com", &options).await.is_err(),
        "it has no passkey of that site"
    );
    let account = member.get("/account/passkeys").await.expect(200);
    let mut creation = creation_options(&account);
    creation["rp"]["id"] = json!("id-example.com");
    let created = authenticator.create("https://id-example.com", &creation).await.unwrap();
    let shown = send_created(&mut member, &account, &created, "evil").await.expect(400);
    assert!(shown.says("cannot be used here"), "{}", shown.text);
    let signed = authenticator.get("https://id-example.com", &options).await.unwrap();
    expect_refused(send_signed(&mut browser, &page, &signed).await, REFUSED);
    // The origin is signed: changed afterwards, the signature is wrong.
    let page = browser.get("/sign-in").await.expect(200);
    let mut signed =
        authenticator.get("https://login.id.example.com", &request_options(&page)).await.unwrap();
    change_client_data(&mut signed, "https://login.id.example.com", "https://id.example.com");
    expect_refused(send_signed(&mut browser, &page, &signed).await, REFUSED);
    // A sub-domain cannot add one either.
    let account = member.get("/account/passkeys").await.expect(200);
    let created = SoftAuthenticator::new()
        .create("https://login.id.example.com", &creation_options(&account))
        .await
        .unwrap();
    send_created(&mut member, &account, &created, "evil").await.expect(400);
    assert_eq!(number(&t, "SELECT count(*) FROM passkeys"), 1);
}

fn change_client_data(answer: &mut Value, from: &str, to: &str) {
    let data = URL_SAFE_NO_PAD.decode(answer["response"]["clientDataJSON"].as_str().unwrap()).unwrap();
    let data = String::from_utf8(data).unwrap().replace(from, to);
    answer["response"]["clientDataJSON"] = json!(URL_SAFE_NO_PAD.encode(data));
}

#[tokio::test]
async fn a_passkey_signs_in_its_own_user_only() {
    let t = T::start().await;
    let (_, mut of_fenna, _) = with_passkey(&t, "fenna").await;
    let (bram, _, _) = with_passkey(&t, "bram").await;
    let handles = t.ask_sql("SELECT user_handle, credential_id FROM passkeys ORDER BY user_id");
    let mut browser = t.browser();
    for change in [
        // Another user; another credential; none at all.
        json!({ "response": { "userHandle": handles[1][0] } }),
        json!({ "rawId": handles[1][1] }),
        json!({ "response": { "userHandle": null } }),
        json!({ "response": { "userHandle": "" } }),
    ] {
        let page = browser.get("/sign-in").await.expect(200);
        let mut signed = of_fenna.sign(&page).await;
        for (name, value) in change.as_object().unwrap() {
            match value.as_object() {
                Some(members) => members.iter().for_each(|(n, v)| signed[name][n] = v.clone()),
                None => signed[name] = value.clone(),
            }
        }
        expect_refused(send_signed(&mut browser, &page, &signed).await, REFUSED);
    }
    assert_eq!(number(&t, &format!("SELECT failed_logins FROM users WHERE user_id = {bram}")), 1);
}

#[tokio::test]
async fn a_credential_is_registered_once() {
    let t = T::start().await;
    let (_, mut authenticator, mut browser) = with_passkey(&t, "fenna").await;
    let page = browser.get("/account/passkeys").await.expect(200);
    let mut second = SoftAuthenticator::new();
    let created = second.create(&origin(&page), &creation_options(&page)).await.unwrap();
    send_created(&mut browser, &page, &created, "Second").await.expect(303);
    // The same form again: the session has another cookie since.
    let shown = send_created(&mut browser, &page, &created, "Third").await.expect(400);
    assert!(shown.says("This form is out of date"), "{}", shown.text);
    // Nothing signs a creation without attestation: somebody else can claim the same credential, and does not get it.
    t.member("bram").await;
    let mut bram = t.signed_in("bram", &password_of("bram")).await;
    let page = bram.get("/account/passkeys").await.expect(200);
    let own = SoftAuthenticator::new().create(&origin(&page), &creation_options(&page)).await.unwrap();
    let mut claimed = created.clone();
    claimed["response"]["clientDataJSON"] = own["response"]["clientDataJSON"].clone();
    let shown = send_created(&mut bram, &page, &claimed, "Claimed").await.expect(409);
    assert!(shown.says("This passkey is registered already."), "{}", shown.text);
    // The id outside must be the one inside.
    let page = bram.get("/account/passkeys").await.expect(200);
    let mut own = SoftAuthenticator::new().create(&origin(&page), &creation_options(&page)).await.unwrap();
    own["rawId"] = created["rawId"].clone();
    send_created(&mut bram, &page, &own, "Claimed").await.expect(400);
    assert_eq!(number(&t, "SELECT count(*) FROM passkeys"), 2);
    assert_eq!(number(&t, "SELECT count(*) FROM passkey_credentials"), 2);
    authenticator.sign_in(&mut t.browser()).await.expect_to("/account");
    second.sign_in(&mut t.browser()).await.expect_to("/account");
}

#[tokio::test]
async fn a_creation_is_good_in_its_session_for_its_user_and_time() {
    let t = T::start().await;
    for name in ["fenna", "bram"] {
        t.member(name).await;
    }
    let mut fenna = t.signed_in("fenna", &password_of("fenna")).await;
    let mut bram = t.signed_in("bram", &password_of("bram")).await;
    let (hers, his) = (fenna.get("/account/passkeys").await, bram.get("/account/passkeys").await);
    let created = SoftAuthenticator::new().create(&origin(&hers), &creation_options(&hers)).await.unwrap();
    let expect_nothing = async |browser: &mut PageVisitor<'_>, page: &Shown, created: &Value| {
        let shown = send_created(browser, page, created, "x").await;
        assert!(matches!(shown.status.as_u16(), 400 | 403 | 409), "{}", shown.text);
        assert_eq!(number(&t, "SELECT count(*) FROM passkeys"), 0);
    };
    expect_nothing(&mut bram, &his, &created).await;
    expect_nothing(&mut bram, &hers, &created).await;
    // Another session of the same user; another handle; the sign-in's challenge.
    let mut elsewhere = t.signed_in("fenna", &password_of("fenna")).await;
    let other = elsewhere.get("/account/passkeys").await.expect(200);
    expect_nothing(&mut elsewhere, &other, &created).await;
    let (action, mut form) = hers.form_with("data-passkey-create");
    form.retain(|(name, _)| name != "userHandle");
    form.push((
        String::from("userHandle"),
        creation_options(&other)["user"]["id"].as_str().unwrap().to_owned(),
    ));
    let fields = [("credential", &*created.to_string()), ("name", "x")];
    let shown = fenna.submit_form((action, form), &fields).await.expect(409);
    assert!(shown.says("open for too long"), "{}", shown.text);
    let page = fenna.get("/sign-in?again=1").await.expect(200);
    let mut options = creation_options(&hers);
    options["challenge"] = request_options(&page)["challenge"].clone();
    let wrong = SoftAuthenticator::new().create(&origin(&hers), &options).await.unwrap();
    expect_nothing(&mut fenna, &hers, &wrong).await;
    // Of the other ceremony, or no answer at all.
    for credential in ["", "{}", "null", "[]", "{\"rawId\":\"AAAA\",\"response\":{}}", "\u{1}"] {
        let fields = [("credential", credential), ("name", "x")];
        fenna.submit_form(hers.form_with("data-passkey-create"), &fields).await.expect(400);
    }
    t.clock.advance(5 * MINUTE);
    expect_nothing(&mut fenna, &hers, &created).await;
}

#[tokio::test]
async fn forms_of_other_sites_do_nothing() {
    let t = T::start().await;
    let (_, mut authenticator, browser) = with_passkey(&t, "fenna").await;
    let mut other = t.browser();
    let page = other.get("/sign-in").await.expect(200);
    let signed = authenticator.sign(&page).await;
    let mut foreign = other.clone().with_header("sec-fetch-site", "cross-site");
    send_signed(&mut foreign, &page, &signed).await.expect(403);
    let mut foreign = browser.clone().with_header("origin", "https://evil.example");
    let account = browser.clone().get("/account/passkeys").await.expect(200);
    let created =
        SoftAuthenticator::new().create(&origin(&account), &creation_options(&account)).await.unwrap();
    send_created(&mut foreign, &account, &created, "x").await.expect(403);
    let id = &t.ask_sql("SELECT passkey_id FROM passkeys")[0][0];
    let fields = vec![(String::from("do"), String::from("remove"))];
    browser.clone().submit_form((format!("/account/passkeys/{id}"), fields), &[]).await.expect(400);
    assert_eq!(number(&t, "SELECT count(*) FROM passkeys"), 1);
}

#[tokio::test]
async fn another_users_passkey_is_neither_named_nor_removed() {
    let t = T::start().await;
    let (_, _, _) = with_passkey(&t, "fenna").await;
    let (_, _, mut bram) = with_passkey(&t, "bram").await;
    let id = &t.ask_sql("SELECT passkey_id FROM passkeys ORDER BY user_id")[0][0];
    let page = bram.get("/account/passkeys").await.expect(200);
    let token = page.form().1.into_iter().find(|(name, _)| name == "token").unwrap();
    for what in ["rename", "remove"] {
        let fields = vec![token.clone(), ("name".into(), "x".into()), ("do".into(), what.to_owned())];
        bram.submit_form((format!("/account/passkeys/{id}"), fields), &[]).await.expect(404);
    }
    assert_eq!(number(&t, "SELECT count(*) FROM passkeys"), 2);
}

#[tokio::test]
async fn failures_count_as_wrong_passwords_do() {
    let t = T::with(|config| {
        config.login_failures_per_address = 8;
        config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let (id, mut authenticator, _) = with_passkey(&t, "fenna").await;
    let mut browser = t.browser().with_header("x-forwarded-for", "192.0.2.1");
    let broken = async |authenticator: &mut SoftAuthenticator, browser: &mut PageVisitor<'_>| {
        let page = browser.get("/sign-in").await.expect(200);
        let mut signed = authenticator.sign(&page).await;
        signed["response"]["signature"] = json!("MEUCIQ");
        send_signed(browser, &page, &signed).await
    };
    for _ in 0..4 {
        expect_refused(broken(&mut authenticator, &mut browser).await, REFUSED);
    }
    // A complete sign-in resets the count, and a further failure begins anew.
    authenticator.sign_in(&mut browser).await.expect_to("/account");
    let count = format!("SELECT failed_logins FROM users WHERE user_id = {id}");
    assert_eq!(number(&t, &count), 0);
    browser.cookies.clear();
    expect_refused(broken(&mut authenticator, &mut browser).await, REFUSED);
    // Together with wrong passwords, the fifth locks.
    for _ in 0..2 {
        t.try_login_from("192.0.2.9", "fenna", "No.Such-Pass-99").await.expect(400);
    }
    expect_refused(broken(&mut authenticator, &mut browser).await, REFUSED);
    expect_refused(broken(&mut authenticator, &mut browser).await, REFUSED);
    assert_eq!(number(&t, &format!("SELECT status FROM users WHERE user_id = {id}")), 2);
    // What nobody has counts for the address, which has to wait.
    let mut strange = SoftAuthenticator::new();
    let (_, _, mut bram) = with_passkey(&t, "bram").await;
    let account = bram.get("/account/passkeys").await.expect(200);
    strange.create(&origin(&account), &creation_options(&account)).await.unwrap();
    expect_refused(strange.sign_in(&mut browser).await, REFUSED);
    let page = strange.sign_in(&mut browser).await.expect(429);
    assert!(page.says("Too many failed attempts"), "{}", page.text);
    assert_eq!(page.header("retry-after"), "300");
    let mut elsewhere = t.browser().with_header("x-forwarded-for", "192.0.2.2");
    expect_refused(strange.sign_in(&mut elsewhere).await, REFUSED);
}
