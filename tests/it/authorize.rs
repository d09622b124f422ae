//! `/oauth/authorize`: where it sends a browser, and what it answers the client.

use reqwest::Method;
use serde_json::json;

use crate::consents;
use crate::harness::{ADMIN_PASSWORD, T};
use crate::products::{Parameters, Product, REDIRECT_URI, set, settings};
use tenantry_core::clients::ClientKind;
use tenantry_core::clock::{HOUR, MINUTE, SECOND};
use tenantry_core::model::PartnerId;
use tenantry_core::scopes::TokenScopes;
use tenantry_domain::authorization_requests as requests;
use tenantry_domain::client_changes::{ClientChange, NewClient};

fn with(product: &Product<'_>, changes: &[(&str, &str)]) -> Parameters {
    let mut parameters = product.parameters();
    for (name, value) in changes {
        set(&mut parameters, name, value);
    }
    parameters
}

#[tokio::test]
async fn a_code_comes_back_with_state_and_issuer() {
    let t = T::start().await;
    let shop = Product::new(&t).await;
    let cookie = shop.sign_in("admin", ADMIN_PASSWORD).await;
    let answer = shop.authorize(&cookie, &shop.parameters()).await.expect(303);
    assert!(answer.header("location").starts_with("https://shop.example/callback?code=ac_1_"));
    assert_eq!(answer.returned("state"), "a state");
    assert_eq!(answer.returned("iss"), t.app.config.public_url);
    assert_eq!(answer.header("cache-control"), "no-store");
    t.secret(&answer.returned("code"));
    // State is returned as it was, whatever it is.
    for state in ["\u{e9}\u{4e2d}\u{1f600}", "a b&c=d#e?f%20+", "\r\n<script>", &"s".repeat(4_096)] {
        let answer = shop.authorize(&cookie, &with(&shop, &[("state", state)])).await.expect(303);
        assert_eq!(answer.returned("state"), state);
        t.secret(&answer.returned("code"));
    }
    let mut without = shop.parameters();
    without.retain(|(name, _)| name != "state");
    let answer = shop.authorize(&cookie, &without).await.expect(303);
    assert!(!answer.header("location").contains("state="));
    t.secret(&answer.returned("code"));
}

#[tokio::test]
async fn a_stranger_is_sent_to_the_page_and_back() {
    let t = T::start().await;
    let shop = Product::new(&t).await;
    let rows = || t.ask_sql("SELECT count(*) FROM authorization_codes");
    let answer = shop.authorize("", &shop.parameters()).await.expect(303);
    assert_eq!(answer.page(), "/sign-in");
    assert_eq!(rows(), [["0"]], "nothing is written for a stranger");
    let sealed = answer.returned("request");
    assert!(!sealed.contains("shop.example"));
    let path = requests::continue_path(&sealed);
    assert_eq!(shop.get(&path, "").await.expect(303).page(), "/sign-in", "still not signed in");
    t.clock.advance(MINUTE);
    let cookie = shop.sign_in("admin", ADMIN_PASSWORD).await;
    let back = shop.get(&path, &cookie).await.expect(303);
    assert_eq!(back.returned("state"), "a state");
    t.secret(&back.returned("code"));
    shop.exchange(&back.returned("code")).await.expect(200);
    // After an hour, and changed, it is not accepted.
    let mut changed = sealed.clone();
    changed.replace_range(20..21, if &sealed[20..21] == "A" { "B" } else { "A" });
    for bad in [changed.as_str(), "", "nonsense"] {
        shop.get(&requests::continue_path(bad), &cookie).await.expect(400);
    }
    t.clock.advance(HOUR);
    shop.get(&path, &cookie).await.expect(400);
}

#[tokio::test]
async fn prompts_lead_to_their_pages_until_they_are_answered() {
    let t = T::start().await;
    let shop = Product::new(&t).await;
    let cookie = shop.sign_in("admin", ADMIN_PASSWORD).await;
    t.clock.advance(MINUTE);
    for (changes, page) in [
        (&[("prompt", "login")][..], "/sign-in"),
        (&[("prompt", "select_account")], "/choose-account"),
        (&[("prompt", "consent")], "/consent"),
        (&[("prompt", "login consent select_account")], "/sign-in"),
        (&[("max_age", "1")], "/sign-in"),
        (&[("max_age", "10000")], ""),
        (&[("partner", "1")], ""),
        (&[("partner", "2")], "/sign-in"),
        (
            &[("display", "popup"), ("ui_locales", "nl fr"), ("claims_locales", "nl"), ("acr_values", "1 2")],
            "",
        ),
        (&[("login_hint", "ada"), ("unknown", "x"), ("resource", "https://api.example")], ""),
    ] {
        let answer = shop.authorize(&cookie, &with(&shop, changes)).await.expect(303);
        assert_eq!(answer.page(), page, "{changes:?}");
        t.secret(&answer.returned("code"));
        if page == "/sign-in" && changes[0].0 != "partner" {
            let path = requests::continue_path(&answer.returned("request"));
            assert_eq!(shop.get(&path, &cookie).await.page(), "/sign-in", "the session is of before");
            t.clock.advance(SECOND);
            let again = shop.sign_in("admin", ADMIN_PASSWORD).await;
            let next = shop.get(&path, &again).await.expect(303);
            let expected = if changes[0].1.contains("consent") { "/consent" } else { "" };
            assert_eq!(next.page(), expected, "{changes:?}");
            t.secret(&next.returned("code"));
            t.clock.advance(MINUTE);
        }
    }
}

#[tokio::test]
async fn without_a_page_the_answer_says_which_one_is_needed() {
    let t = T::start().await;
    let shop = Product::new(&t).await;
    let asking =
        Product::with(&t, ClientKind::Confidential, ClientChange { needs_consent: Some(true), ..settings() });
    let asking = asking.await;
    let elsewhere = NewClient {
        kind: ClientKind::Confidential,
        settings: ClientChange {
            partners: Some(Some(vec![PartnerId(99)])),
            needs_consent: None,
            ..settings()
        },
    };
    let (other, _) = t.other_partner("other").await;
    let elsewhere = NewClient {
        settings: ClientChange { partners: Some(Some(vec![PartnerId(other)])), ..elsewhere.settings },
        ..elsewhere
    };
    let elsewhere = Product::of(&t, t.product_client(elsewhere).await);
    let admin = t.admin().await;
    admin.create("newcomer").await;
    let temporary = t.mailed_password("newcomer").await;
    let signed_in = shop.sign_in("admin", ADMIN_PASSWORD).await;
    let restricted = shop.sign_in("newcomer", &temporary).await;
    t.clock.advance(MINUTE);
    for (name, product, cookie, changes, error) in [
        ("nobody", &shop, "", &[][..], "login_required"),
        ("a foreign cookie", &shop, "tenantry=bs_1_foreign", &[], "login_required"),
        ("signed in", &shop, signed_in.as_str(), &[], ""),
        ("too long ago", &shop, &signed_in, &[("max_age", "59")], "login_required"),
        ("lately enough", &shop, &signed_in, &[("max_age", "60")], ""),
        ("another partner", &shop, &signed_in, &[("partner", "2")], "login_required"),
        (
            "another user",
            &shop,
            &signed_in,
            &[("claims", r#"{"id_token":{"sub":{"value":"99"}}}"#)],
            "login_required",
        ),
        ("this user", &shop, &signed_in, &[("claims", r#"{"id_token":{"sub":{"value":"1"}}}"#)], ""),
        ("a password must be set", &shop, &restricted, &[], "interaction_required"),
        ("consent", &asking, &signed_in, &[], "consent_required"),
        ("another partner's client", &elsewhere, &signed_in, &[], "access_denied"),
    ] {
        let mut parameters = with(product, changes);
        set(&mut parameters, "prompt", "none");
        let answer = product.authorize(cookie, &parameters).await.expect(303);
        assert!(answer.header("location").starts_with(REDIRECT_URI), "{name}");
        assert_eq!(answer.returned("error"), error, "{name}: {}", answer.header("location"));
        assert_eq!(answer.returned("code").is_empty(), !error.is_empty(), "{name}");
        assert_eq!(
            (answer.returned("state").as_str(), answer.returned("iss").is_empty()),
            ("a state", false)
        );
        t.secret(&answer.returned("code"));
    }
    // With pages, the restricted session sets a password first, and a foreign user is refused all the same.
    assert_eq!(shop.authorize(&restricted, &shop.parameters()).await.page(), "/set-password");
    assert_eq!(asking.authorize(&signed_in, &asking.parameters()).await.page(), "/consent");
    let refused = elsewhere.authorize(&signed_in, &elsewhere.parameters()).await;
    assert_eq!(refused.returned("error"), "access_denied");
}

#[tokio::test]
async fn consent_is_asked_once_per_set_of_scopes() {
    let t = T::start().await;
    let shop =
        Product::with(&t, ClientKind::Confidential, ClientChange { needs_consent: Some(true), ..settings() })
            .await;
    let cookie = shop.sign_in("admin", ADMIN_PASSWORD).await;
    let scope = |scope: &str| with(&shop, &[("scope", scope)]);
    assert_eq!(shop.authorize(&cookie, &scope("openid email")).await.page(), "/consent");
    let id = shop.client.0.clone();
    let granted = TokenScopes::parse("openid email");
    consents::grant(&t, &t.admin().await, &id, granted).await;
    for (asked, page) in [("openid email", ""), ("openid", ""), ("openid email phone", "/consent")] {
        let answer = shop.authorize(&cookie, &scope(asked)).await.expect(303);
        assert_eq!(answer.page(), page, "{asked}");
        t.secret(&answer.returned("code"));
    }
    let claim = with(&shop, &[("claims", r#"{"userinfo":{"phone_number":null}}"#)]);
    assert_eq!(shop.authorize(&cookie, &claim).await.page(), "/consent", "single claims need consent, too");
    // A refusal goes back to the client.
    let sealed = shop.authorize(&cookie, &scope("openid phone")).await.returned("request");
    let request = requests::open(&t.app, &sealed).unwrap();
    let refused = request.refused().seal(&t.app).unwrap();
    let answer = shop.get(&requests::continue_path(&refused), &cookie).await.expect(303);
    assert_eq!(answer.returned("error"), "access_denied");
}

#[tokio::test]
async fn a_post_becomes_the_same_request_by_get() {
    let t = T::start().await;
    let shop = Product::new(&t).await;
    let mut parameters = shop.parameters();
    set(&mut parameters, "unknown", "x");
    let answer = shop.send(Method::POST, "/oauth/authorize", "", &parameters).await.expect(303);
    assert_eq!(answer.page(), "/oauth/authorize");
    let cookie = shop.sign_in("admin", ADMIN_PASSWORD).await;
    let back = shop.get(answer.header("location"), &cookie).await.expect(303);
    assert!(!back.returned("code").is_empty());
    t.secret(&back.returned("code"));
    // One that is too long for a URL travels sealed.
    let long = "\u{4e2d}".repeat(1_300);
    set(&mut parameters, "state", &long);
    let answer = shop.send(Method::POST, "/oauth/authorize", "", &parameters).await.expect(303);
    assert_eq!(answer.page(), "/oauth/authorize/continue");
    let back = shop.get(answer.header("location"), &cookie).await.expect(303);
    assert_eq!(back.returned("state"), long);
    t.secret(&back.returned("code"));
    let huge = vec![(String::from("state"), "s".repeat(1_000_000))];
    let answer = shop.send(Method::POST, "/oauth/authorize", "", &huge).await;
    assert_eq!(answer.status.as_u16(), 413);
}

#[tokio::test]
async fn a_hint_says_which_user_the_client_expects() {
    let t = T::start().await;
    let shop = Product::new(&t).await;
    let other = Product::new(&t).await;
    let cookie = shop.sign_in("admin", ADMIN_PASSWORD).await;
    let hint = shop.tokens(&cookie, "openid").await["id_token"].as_str().unwrap().to_owned();
    let (_, _member) = t.member("mia").await;
    let mia = shop.sign_in("mia", &crate::harness::password_of("mia")).await;
    let silent = with(&shop, &[("id_token_hint", &hint), ("prompt", "none")]);
    let answer = shop.authorize(&cookie, &silent).await;
    assert_eq!(answer.returned("error"), "");
    t.secret(&answer.returned("code"));
    assert_eq!(shop.authorize(&mia, &silent).await.returned("error"), "login_required");
    let asked = shop.authorize(&mia, &with(&shop, &[("id_token_hint", &hint)])).await;
    assert_eq!(asked.page(), "/sign-in");
    // Whoever then signs in as somebody else is not who was asked for.
    t.clock.advance(SECOND);
    let path = requests::continue_path(&asked.returned("request"));
    let again = shop.sign_in("mia", &crate::harness::password_of("mia")).await;
    assert_eq!(shop.get(&path, &again).await.returned("error"), "login_required");
    // One that has expired is good, another client's or a forged one is not.
    t.clock.advance(2 * HOUR);
    let answer = shop.authorize(&cookie, &silent).await;
    assert_eq!(answer.returned("error"), "");
    t.secret(&answer.returned("code"));
    let theirs = with(&other, &[("id_token_hint", &hint), ("prompt", "none")]);
    assert_eq!(other.authorize(&cookie, &theirs).await.returned("error"), "invalid_request");
    let forged = with(&shop, &[("id_token_hint", &format!("{}AAAA", &hint[..hint.len() - 4]))]);
    assert_eq!(shop.authorize(&cookie, &forged).await.returned("error"), "invalid_request");
}

#[tokio::test]
async fn no_code_is_issued_to_a_locked_or_deleted_user() {
    let t = T::start().await;
    let shop = Product::new(&t).await;
    let admin = t.admin().await;
    let (id, _member) = t.member("mia").await;
    let cookie = shop.sign_in("mia", &crate::harness::password_of("mia")).await;
    let pending = shop.code(&cookie, |_| {}).await;
    let silent = with(&shop, &[("prompt", "none")]);
    admin.patch(&format!("/api/v1/users/{id}"), &json!({ "status": "LOCKED" })).await.expect(200);
    assert_eq!(shop.authorize(&cookie, &silent).await.returned("error"), "login_required");
    shop.exchange(&pending).await.expect(400);
    admin.patch(&format!("/api/v1/users/{id}"), &json!({ "status": "ACTIVE" })).await.expect(200);
    assert_eq!(shop.authorize(&cookie, &silent).await.returned("error"), "login_required", "it has ended");
    shop.exchange(&pending).await.expect(400);
}
