//! Authorization codes: one exchange, by the client and the request that they are for.

use std::sync::Arc;

use serde_json::json;
use tokio::task::JoinSet;

use crate::harness::{ADMIN_PASSWORD, T, password_of};
use crate::products::{Product, REDIRECT_URI, VERIFIER, challenge_of, set, settings};
use tenantry_core::clients::{ClientGrant, ClientGrants, ClientKind};
use tenantry_core::clock::{MINUTE, SECOND};
use tenantry_domain::client_changes::ClientChange;

#[tokio::test]
async fn a_code_is_exchanged_for_tokens() {
    let t = T::start().await;
    let shop = Product::new(&t).await;
    let cookie = shop.sign_in("admin", ADMIN_PASSWORD).await;
    let answer = shop.exchange(&shop.code(&cookie, |_| {}).await).await.expect(200);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!((&answer.body["token_type"], &answer.body["scope"]), (&json!("bearer"), &json!("openid")));
    assert_eq!(answer.body["expires_in"], 21_600);
    assert!(answer.body["id_token"].is_string());
    assert!(answer.body.get("refresh_token").is_none(), "without offline_access there is none");
    let token = answer.body["access_token"].as_str().unwrap();
    shop.userinfo(token).await.expect(200);
    // Without read and write it is good for nothing else.
    t.bearer(token).get("/api/v1/users/self").await.expect(403);
    let tokens = shop.tokens(&cookie, "openid read").await;
    t.bearer(tokens["access_token"].as_str().unwrap()).get("/api/v1/users/self").await.expect(200);
    // A request of plain OAuth gets a refresh token, and no ID token.
    let plain = shop.tokens(&cookie, "read write").await;
    assert!(plain["refresh_token"].is_string() && plain.get("id_token").is_none());
    // The cookie of the browser is no credential of the API.
    let answer = shop.get("/api/v1/users/self", &cookie).await;
    assert_eq!(answer.status.as_u16(), 401);
}

#[tokio::test]
async fn a_second_use_ends_what_the_first_gave() {
    let t = T::start().await;
    let shop = Product::new(&t).await;
    let cookie = shop.sign_in("admin", ADMIN_PASSWORD).await;
    for wait in [0, 30 * SECOND, 10 * MINUTE] {
        let code = shop.code(&cookie, |p| set(p, "scope", "openid offline_access")).await;
        let tokens = shop.exchange(&code).await.expect(200).body;
        t.clock.advance(wait);
        let again = shop.exchange(&code).await.expect(400);
        assert_eq!(again.body["error"], "invalid_grant");
        shop.userinfo(tokens["access_token"].as_str().unwrap()).await.expect(401);
        shop.refresh(tokens["refresh_token"].as_str().unwrap()).await.expect(400);
        // The browser stays signed in.
        shop.code(&cookie, |_| {}).await;
    }
    let events = t.admin().await.get("/api/v1/events?type=session.replayed").await.expect(200);
    assert_eq!(events.list().len(), 3);
}

#[tokio::test]
async fn a_code_is_bound_to_its_request() {
    let t = T::start().await;
    let shop = Product::new(&t).await;
    let other = Product::new(&t).await;
    let cookie = shop.sign_in("admin", ADMIN_PASSWORD).await;
    let code = shop.code(&cookie, |_| {}).await;
    let good = challenge_of(VERIFIER);
    assert_eq!(good, crate::products::CHALLENGE);
    other.exchange(&code).await.expect(400);
    for (name, value) in [
        ("redirect_uri", "https://shop.example/other"),
        ("redirect_uri", "https://shop.example/callback/"),
        ("redirect_uri", ""),
        ("code_verifier", ""),
        ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl"),
        ("code_verifier", "short"),
        ("code_verifier", &good),
        ("code_verifier", &"a".repeat(129)),
        ("code", "ac_1_unknown"),
        ("code", "ac_2_unknown"),
        ("code", "at_1_unknown"),
        ("code", "nonsense"),
        ("code", &code.to_uppercase()),
    ] {
        let answer = shop.exchange_with(&code, |form| set(form, name, value)).await.expect(400);
        assert_eq!(answer.body["error"], "invalid_grant", "{name}={value}");
    }
    // None of these has used it up.
    shop.exchange(&code).await.expect(200);
    let late = shop.code(&cookie, |_| {}).await;
    t.clock.advance(MINUTE);
    shop.exchange(&late).await.expect(400);
    let in_time = shop.code(&cookie, |_| {}).await;
    t.clock.advance(MINUTE - 1);
    shop.exchange(&in_time).await.expect(200);
}

#[tokio::test]
async fn a_public_client_needs_pkce_and_a_confidential_one_may_be_freed_of_it() {
    let t = T::start().await;
    let public = ClientChange {
        redirect_uris: Some(vec![String::from("http://127.0.0.1/cb")]),
        post_logout_redirect_uris: None,
        ..settings()
    };
    let app = Product::with(&t, ClientKind::Public, public).await;
    let cookie = app.sign_in("admin", ADMIN_PASSWORD).await;
    // The port of a loopback address varies (RFC 8252).
    let here = "http://127.0.0.1:49152/cb";
    let code = app.code(&cookie, |p| set(p, "redirect_uri", here)).await;
    app.exchange_with(&code, |form| set(form, "redirect_uri", "http://127.0.0.1:49153/cb")).await.expect(400);
    app.exchange_with(&code, |form| set(form, "redirect_uri", here)).await.expect(200);
    let bare = |parameters: &mut crate::products::Parameters| {
        parameters.retain(|(name, _)| !name.starts_with("code_challenge"));
    };
    let mut parameters = app.parameters();
    set(&mut parameters, "redirect_uri", here);
    bare(&mut parameters);
    assert_eq!(app.authorize(&cookie, &parameters).await.returned("error"), "invalid_request");
    let free = ClientChange { needs_pkce: Some(false), ..settings() };
    let free = Product::with(&t, ClientKind::Confidential, free).await;
    let code = free.code(&cookie, bare).await;
    // A verifier where there was no challenge: somebody removed it.
    free.exchange(&code).await.expect(400);
    free.exchange_with(&code, |form| form.retain(|(name, _)| name != "code_verifier")).await.expect(200);
    let mut parameters = free.parameters();
    bare(&mut parameters);
    parameters.retain(|(name, _)| name != "nonce");
    assert_eq!(free.authorize(&cookie, &parameters).await.returned("error"), "invalid_request");
    // Who uses it all the same must use it rightly.
    let code = free.code(&cookie, |_| {}).await;
    free.exchange_with(&code, |form| form.retain(|(name, _)| name != "code_verifier")).await.expect(400);
}

#[tokio::test]
async fn grants_of_the_client_decide() {
    let t = T::start().await;
    let codes_only = ClientGrants::from_iter([ClientGrant::AuthorizationCode]);
    let shop = ClientChange { grants: Some(codes_only), ..settings() };
    let shop = Product::with(&t, ClientKind::Confidential, shop).await;
    let cookie = shop.sign_in("admin", ADMIN_PASSWORD).await;
    let tokens = shop.tokens(&cookie, "openid offline_access").await;
    assert!(tokens.get("refresh_token").is_none());
    assert_eq!(tokens["scope"], "openid", "what cannot be granted is ignored");
    let robot = t.client(1, false).await;
    let form = [("grant_type", "authorization_code"), ("code", "ac_1_x"), ("redirect_uri", REDIRECT_URI)];
    let answer = t.form_as(&robot, "/oauth/token", &form).await.expect(400);
    assert_eq!(answer.body["error"], "unauthorized_client");
    let answer = t.token(&form).await.expect(400);
    assert_eq!(answer.body["error"], "unauthorized_client");
}

#[tokio::test]
async fn a_refresh_token_is_bound_to_its_client_and_can_be_narrowed() {
    let t = T::start().await;
    let shop = Product::new(&t).await;
    let other = Product::new(&t).await;
    let cookie = shop.sign_in("admin", ADMIN_PASSWORD).await;
    let tokens = shop.tokens(&cookie, "openid email offline_access").await;
    let token = tokens["refresh_token"].as_str().unwrap();
    other.refresh(token).await.expect(400);
    let narrow = [("grant_type", "refresh_token"), ("refresh_token", token), ("scope", "openid")];
    let narrowed = shop.token(&narrow.map(|(n, v)| (n.to_owned(), v.to_owned()))).await.expect(200).body;
    assert_eq!(narrowed["scope"], "openid");
    let userinfo = shop.userinfo(narrowed["access_token"].as_str().unwrap()).await.expect(200);
    assert!(userinfo.body.get("email").is_none());
    t.clock.advance(MINUTE);
    let token = narrowed["refresh_token"].as_str().unwrap();
    let wide = [("grant_type", "refresh_token"), ("refresh_token", token), ("scope", "openid phone")];
    let refused = shop.token(&wide.map(|(n, v)| (n.to_owned(), v.to_owned()))).await.expect(400);
    assert_eq!(refused.body["error"], "invalid_scope");
    let whole = shop.refresh(token).await.expect(200).body;
    assert_eq!(whole["scope"], "openid email offline_access", "as many as were granted");
}

#[tokio::test]
async fn what_ends_a_user_ends_codes_and_tokens() {
    let t = T::start().await;
    let shop = Product::new(&t).await;
    let admin = t.admin().await;
    for (name, end) in [("mia", "lock"), ("nils", "reset"), ("ole", "delete"), ("pia", "inactive")] {
        let (id, _) = t.member(name).await;
        let cookie = shop.sign_in(name, &password_of(name)).await;
        let tokens = shop.tokens(&cookie, "openid offline_access").await;
        let pending = shop.code(&cookie, |_| {}).await;
        let path = format!("/api/v1/users/{id}");
        match end {
            "lock" => drop(admin.patch(&path, &json!({ "status": "LOCKED" })).await.expect(200)),
            "inactive" => drop(admin.patch(&path, &json!({ "status": "INACTIVE" })).await.expect(200)),
            "delete" => drop(admin.delete(&path).await.expect(204)),
            _ => assert!(admin.post(&format!("{path}/reset-password"), &json!({})).await.status.is_success()),
        }
        shop.exchange(&pending).await.expect(400);
        shop.userinfo(tokens["access_token"].as_str().unwrap()).await.expect(401);
        shop.refresh(tokens["refresh_token"].as_str().unwrap()).await.expect(400);
        assert_eq!(shop.authorize(&cookie, &shop.parameters()).await.page(), "/sign-in", "{end}");
    }
    assert_eq!(t.ask_sql("SELECT count(*) FROM authorization_codes WHERE used_at = 0"), [["0"]]);
}

#[tokio::test]
async fn codes_and_what_they_gave_outlive_a_restart() {
    let t = T::start().await;
    let shop = Product::new(&t).await;
    let client = shop.client.clone();
    let cookie = shop.sign_in("admin", ADMIN_PASSWORD).await;
    let code = shop.code(&cookie, |_| {}).await;
    let t = t.restart().await;
    let shop = Product::of(&t, client.clone());
    let tokens = shop.exchange(&code).await.expect(200).body;
    let t = t.restart().await;
    let shop = Product::of(&t, client);
    let token = tokens["access_token"].as_str().unwrap();
    shop.userinfo(token).await.expect(200);
    shop.exchange(&code).await.expect(400);
    shop.userinfo(token).await.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_exchanges_at_once_one_succeeds_and_the_other_ends_it() {
    let t = Arc::new(T::start().await);
    let shop = Product::new(&t).await;
    let cookie = shop.sign_in("admin", ADMIN_PASSWORD).await;
    for _ in 0..20 {
        let code = shop.code(&cookie, |_| {}).await;
        let (one, two) = tokio::join!(shop.exchange(&code), shop.exchange(&code));
        let (won, lost) = if one.status.is_success() { (one, two) } else { (two, one) };
        assert_eq!((won.status.as_u16(), lost.status.as_u16()), (200, 400), "{} {}", won.text, lost.text);
        shop.userinfo(won.body["access_token"].as_str().unwrap()).await.expect(401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tabs_refresh_a_thousand_times_without_a_logout() {
    let t = T::start().await;
    let shop = Product::new(&t).await;
    let cookie = shop.sign_in("admin", ADMIN_PASSWORD).await;
    let tokens = shop.tokens(&cookie, "openid offline_access").await;
    let mut token = tokens["refresh_token"].as_str().unwrap().to_owned();
    for round in 0..1_000 {
        let (one, two) = tokio::join!(shop.refresh(&token), shop.refresh(&token));
        assert!(one.status.is_success() && two.status.is_success(), "{round}: {} {}", one.text, two.text);
        assert_eq!(one.body["refresh_token"], two.body["refresh_token"], "{round}");
        token = one.body["refresh_token"].as_str().unwrap().to_owned();
        t.clock.advance(SECOND);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_while_codes_are_issued_leaves_none_that_works() {
    let t = Arc::new(T::start().await);
    let shop = Arc::new(Product::new(&t).await.client);
    let (id, _) = t.member("mia").await;
    for round in 0..10 {
        let product = Product::of(&t, (*shop).clone());
        let cookie = product.sign_in("mia", &password_of("mia")).await;
        let mut all = JoinSet::new();
        for _ in 0..8 {
            let (t, shop, cookie) = (Arc::clone(&t), Arc::clone(&shop), cookie.clone());
            all.spawn(async move {
                let product = Product::of(&t, (*shop).clone());
                let answer = product.authorize(&cookie, &product.parameters()).await;
                let code = answer.returned("code");
                if code.is_empty() {
                    return None;
                }
                t.secret(&code);
                Some((code.clone(), product.exchange(&code).await))
            });
        }
        let admin = t.admin().await;
        let path = format!("/api/v1/users/{id}");
        admin.patch(&path, &json!({ "status": "LOCKED" })).await.expect(200);
        for (code, answer) in all.join_all().await.into_iter().flatten() {
            product.exchange(&code).await.expect(400);
            if let Some(token) = answer.body["access_token"].as_str() {
                assert_eq!(product.userinfo(token).await.status.as_u16(), 401, "round {round}");
            }
        }
        admin.patch(&path, &json!({ "status": "ACTIVE" })).await.expect(200);
    }
}
