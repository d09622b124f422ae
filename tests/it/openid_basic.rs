//! The 37 checks of the OpenID Basic profile, in our own words; by a relying party and a person without scripts.

use reqwest::Method;
use serde_json::json;

use tenantry_core::signing_alg::SigningAlg;

use crate::harness::{ADMIN_PASSWORD, T, TestResponse};
use crate::relying_party::{ALL_SCOPES, RelyingParty, VERIFIER};
use crate::visitor::Visitor;

/// Signs the admin in and exchanges the code.
async fn signed_in(scope: &str) -> (T, serde_json::Value, serde_json::Value) {
    let t = T::start().await;
    let client = RelyingParty::register(&t).await;
    let visitor = Visitor::of(&t);
    let code = client.admin_signs_in(&visitor, &[("scope", scope)]).await;
    let tokens = client.exchange(&code).await;
    let userinfo = client.userinfo(&tokens.access).await;
    assert_eq!(userinfo["sub"], tokens.claims["sub"], "§5.3.2: the same person");
    (t, tokens.claims, userinfo)
}

#[tokio::test]
async fn a_code_is_issued_and_exchanged() {
    let t = T::start().await;
    let client = RelyingParty::register(&t).await;
    let visitor = Visitor::of(&t);
    let code = client.admin_signs_in(&visitor, &[]).await;
    let tokens = client.exchange(&code).await;
    assert_eq!(tokens.claims["nonce"], "n-0S6_WzA2Mj");
    assert_eq!(tokens.claims["sub"], "1");
    assert_eq!(tokens.claims["auth_time"], t.clock.now() / 1000);
    assert_eq!(tokens.answer["scope"], "openid");
    assert!(tokens.answer["expires_in"].as_i64().unwrap() > 0);
    // Without offline_access there is none.
    assert_eq!(tokens.refresh, None);
    // S3: an OpenID token alone is not good for the API.
    t.bearer(&tokens.access).get("/api/v1/users/self").await.expect(403);
}

#[tokio::test]
async fn a_missing_response_type_is_refused() {
    let t = T::start().await;
    let client = RelyingParty::register(&t).await;
    let visitor = Visitor::of(&t);
    let page = client.send(&visitor, &[("response_type", "")]).await;
    client.expect_error(&page, "invalid_request");
    for other in ["token", "id_token", "code id_token", "code token", "none"] {
        let page = client.send(&visitor, &[("response_type", other)]).await;
        client.expect_error(&page, "unsupported_response_type");
    }
}

#[tokio::test]
async fn an_id_token_is_signed_by_a_published_key() {
    let t = T::start().await;
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let client = RelyingParty::register_with(&t, &json!({ "idTokenAlg": algorithm })).await;
        let code = client.admin_signs_in(&Visitor::of(&t), &[]).await;
        // The signature and `kid` are verified by the relying party.
        let tokens = client.exchange(&code).await;
        let header = jsonwebtoken::decode_header(&tokens.id_token).unwrap();
        assert_eq!(format!("{:?}", header.alg), algorithm);
    }
}

#[tokio::test]
async fn an_unsigned_id_token_is_never_issued() {
    let t = T::start().await;
    let client = RelyingParty::register(&t).await;
    let algorithms = &client.discovery().await["id_token_signing_alg_values_supported"];
    assert!(!algorithms.as_array().unwrap().contains(&json!("none")), "{algorithms}");
    assert_eq!(SigningAlg::parse("none"), None, "no client can be registered for it");
}

#[tokio::test]
async fn userinfo_by_get() {
    let (_t, claims, userinfo) = signed_in("openid email").await;
    assert_eq!((&claims["sub"], &userinfo["email"]), (&json!("1"), &json!("admin@example.com")));
}

#[tokio::test]
async fn userinfo_by_post_with_the_token_in_the_header() {
    let t = T::start().await;
    let client = RelyingParty::register(&t).await;
    let code = client.admin_signs_in(&Visitor::of(&t), &[("scope", "openid email")]).await;
    let tokens = client.exchange(&code).await;
    let answer = t.bearer(&tokens.access).send(Method::POST, "/oauth/userinfo", None, "").await.expect(200);
    assert_eq!(answer.body, client.userinfo(&tokens.access).await);
}

#[tokio::test]
async fn userinfo_by_post_with_the_token_in_the_body() {
    let t = T::start().await;
    let client = RelyingParty::register(&t).await;
    let code = client.admin_signs_in(&Visitor::of(&t), &[("scope", "openid email")]).await;
    let tokens = client.exchange(&code).await;
    let form = [("access_token", tokens.access.as_str())];
    let answer = t.anonymous().form("/oauth/userinfo", &form).await.expect(200);
    assert_eq!(answer.body, client.userinfo(&tokens.access).await);
    // RFC 6750 §2: one way at a time; and never in the address.
    t.bearer(&tokens.access).form("/oauth/userinfo", &form).await.expect(400);
    let path = format!("/oauth/userinfo?access_token={}", tokens.access);
    let answer = t.anonymous().get(&path).await;
    assert!(matches!(answer.status.as_u16(), 400 | 401), "{}", answer.text);
    // RFC 6750 §3: without a token the challenge has no error.
    let answer = t.anonymous().get("/oauth/userinfo").await.expect(401);
    let challenge = answer.header("www-authenticate");
    assert!(challenge.starts_with("Bearer") && !challenge.contains("error="), "{challenge}");
    let answer = t.bearer("at_1_nothing").get("/oauth/userinfo").await.expect(401);
    assert!(answer.header("www-authenticate").contains("error=\"invalid_token\""));
}

#[tokio::test]
async fn a_code_request_needs_no_nonce() {
    let t = T::start().await;
    let client = RelyingParty::register(&t).await;
    let code = client.admin_signs_in(&Visitor::of(&t), &[("nonce", "")]).await;
    assert!(client.exchange(&code).await.claims.get("nonce").is_none());
}

#[tokio::test]
async fn scope_profile() {
    let (t, _, userinfo) = signed_in("openid profile").await;
    assert_eq!(userinfo["name"], "Ada Admin");
    assert_eq!(userinfo["given_name"], "Ada");
    assert_eq!(userinfo["family_name"], "Admin");
    assert_eq!(userinfo["preferred_username"], "admin");
    assert_eq!(userinfo["updated_at"], t.clock.now() / 1000, "in seconds");
    assert!(userinfo.get("email").is_none(), "{userinfo}");
}

#[tokio::test]
async fn scope_email() {
    let (_t, _, userinfo) = signed_in("openid email").await;
    assert_eq!(userinfo["email"], "admin@example.com");
    assert!(userinfo["email_verified"].is_boolean(), "{userinfo}");
    assert!(userinfo.get("name").is_none(), "{userinfo}");
}

/// There are no addresses: the scope is ignored, as one that is not understood (§3.1.2.1).
#[tokio::test]
async fn scope_address() {
    let (_t, _, userinfo) = signed_in("openid address").await;
    assert!(userinfo.get("address").is_none(), "{userinfo}");
}

#[tokio::test]
async fn scope_phone() {
    let t = T::start().await;
    let admin = t.admin().await;
    let body = admin.get("/api/v1/users/1").await.expect(200).body;
    let body = crate::fixtures::with(&body, json!({ "phoneNumber": "+31 6 12345678" }));
    admin.put("/api/v1/users/1", &body).await.expect(200);
    let client = RelyingParty::register(&t).await;
    let code = client.admin_signs_in(&Visitor::of(&t), &[("scope", "openid phone")]).await;
    let userinfo = client.userinfo(&client.exchange(&code).await.access).await;
    assert_eq!(userinfo["phone_number"], "+31 6 12345678");
    assert!(userinfo.get("email").is_none(), "{userinfo}");
}

#[tokio::test]
async fn every_scope() {
    let (_t, _, userinfo) = signed_in(ALL_SCOPES).await;
    assert_eq!(userinfo["given_name"], "Ada");
    assert_eq!(userinfo["email"], "admin@example.com");
    // S1
    assert_eq!(userinfo["pid"], 1);
    assert_eq!(userinfo["partner"], "default");
    assert!(userinfo["groups"].is_array(), "{userinfo}");
}

#[tokio::test]
async fn scopes_in_another_order() {
    let (_t, _, userinfo) = signed_in("email profile openid").await;
    assert_eq!((&userinfo["given_name"], &userinfo["email"]), (&json!("Ada"), &json!("admin@example.com")));
}

#[tokio::test]
async fn display_page() {
    displays("page").await;
}

#[tokio::test]
async fn display_popup() {
    displays("popup").await;
}

async fn displays(how: &str) {
    let t = T::start().await;
    let client = RelyingParty::register(&t).await;
    let code = client.admin_signs_in(&Visitor::of(&t), &[("display", how)]).await;
    client.exchange(&code).await;
}

#[tokio::test]
async fn prompt_login_asks_for_the_password_again() {
    let t = T::start().await;
    let client = RelyingParty::register(&t).await;
    let visitor = Visitor::of(&t);
    let first = client.exchange(&client.admin_signs_in(&visitor, &[]).await).await;
    t.clock.advance(5_000);
    let page = client.send(&visitor, &[("prompt", "login")]).await.here(200);
    assert!(page.asks("current-password"), "{}", page.html);
    t.clock.advance(5_000);
    let page = visitor.sign_in(page, "admin", ADMIN_PASSWORD).await;
    let second = client.exchange(&client.code(&page)).await;
    let at = |tokens: &crate::relying_party::Tokens| tokens.claims["auth_time"].as_i64().unwrap();
    assert_eq!(at(&second) - at(&first), 10);
    assert_eq!(second.claims["sub"], first.claims["sub"]);
}

#[tokio::test]
async fn prompt_none_without_a_session() {
    let t = T::start().await;
    let client = RelyingParty::register(&t).await;
    let page = client.send(&Visitor::of(&t), &[("prompt", "none")]).await;
    client.expect_error(&page, "login_required");
    let page = client.send(&Visitor::of(&t), &[("prompt", "none login")]).await;
    client.expect_error(&page, "invalid_request");
}

#[tokio::test]
async fn prompt_none_with_a_session() {
    let t = T::start().await;
    let client = RelyingParty::register(&t).await;
    let visitor = Visitor::of(&t);
    let first = client.exchange(&client.admin_signs_in(&visitor, &[]).await).await;
    t.clock.advance(3_000);
    let second = client.exchange(&client.comes_back(&visitor, &[("prompt", "none")]).await).await;
    assert_eq!(first.claims["sub"], second.claims["sub"]);
    assert_eq!(first.claims["auth_time"], second.claims["auth_time"]);
    assert_ne!(first.access, second.access);
}

#[tokio::test]
async fn a_max_age_of_a_second_asks_again_after_two() {
    let t = T::start().await;
    let client = RelyingParty::register(&t).await;
    let visitor = Visitor::of(&t);
    let first = client.exchange(&client.admin_signs_in(&visitor, &[]).await).await;
    t.clock.advance(2_000);
    let page = client.send(&visitor, &[("max_age", "1"), ("prompt", "none")]).await;
    client.expect_error(&page, "login_required");
    let page = client.send(&visitor, &[("max_age", "1")]).await.here(200);
    assert!(page.asks("current-password"), "{}", page.html);
    let page = visitor.sign_in(page, "admin", ADMIN_PASSWORD).await;
    let second = client.exchange(&client.code(&page)).await;
    let (before, after) = (&first.claims["auth_time"], &second.claims["auth_time"]);
    assert_eq!(after.as_i64().unwrap() - before.as_i64().unwrap(), 2);
}

#[tokio::test]
async fn a_max_age_of_10000_seconds_does_not_ask_again() {
    let t = T::start().await;
    let client = RelyingParty::register(&t).await;
    let visitor = Visitor::of(&t);
    let first = client.exchange(&client.admin_signs_in(&visitor, &[]).await).await;
    t.clock.advance(9_999_000);
    let code = client.comes_back(&visitor, &[("max_age", "10000")]).await;
    assert_eq!(client.exchange(&code).await.claims["auth_time"], first.claims["auth_time"]);
}

#[tokio::test]
async fn unknown_parameters_are_ignored() {
    let t = T::start().await;
    let client = RelyingParty::register(&t).await;
    let code = client.admin_signs_in(&Visitor::of(&t), &[("extra", "foobar"), ("x", "1")]).await;
    client.exchange(&code).await;
}

#[tokio::test]
async fn id_token_hint_names_who_is_expected() {
    let t = T::start().await;
    let client = RelyingParty::register(&t).await;
    let visitor = Visitor::of(&t);
    let tokens = client.exchange(&client.admin_signs_in(&visitor, &[]).await).await;
    let hint = ("id_token_hint", tokens.id_token.as_str());
    let code = client.comes_back(&visitor, &[hint, ("prompt", "none")]).await;
    assert_eq!(client.exchange(&code).await.claims["sub"], "1");
    // Somebody else is signed in: not without asking.
    t.member("ada").await;
    let other = Visitor::of(&t);
    let page =
        other.sign_in(client.send(&other, &[]).await, "ada", &crate::harness::password_of("ada")).await;
    client.code(&page);
    client.expect_error(&client.send(&other, &[hint, ("prompt", "none")]).await, "login_required");
    // A hint that somebody made up.
    let forged = crate::relying_party::forged(&tokens.id_token, |claims| claims["sub"] = json!("2"));
    let page = client.send(&other, &[("id_token_hint", &forged), ("prompt", "none")]).await;
    client.expect_error(&page, "invalid_request");
}

#[tokio::test]
async fn login_hint_fills_in_the_username() {
    let t = T::start().await;
    let client = RelyingParty::register(&t).await;
    let visitor = Visitor::of(&t);
    let page = client.send(&visitor, &[("login_hint", "\"><b>ada")]).await.here(200);
    assert!(!page.html.contains("<b>ada"), "{}", page.html);
    let page = client.send(&visitor, &[("login_hint", "admin")]).await.here(200);
    assert!(page.form().values().values().any(|value| value == "admin"), "{}", page.html);
    let page = visitor.submit(&page, &[("current-password", ADMIN_PASSWORD)]).await;
    client.exchange(&client.code(&page)).await;
}

#[tokio::test]
async fn ui_locales_chooses_the_language() {
    let t = T::start().await;
    let client = RelyingParty::register(&t).await;
    for (asked, lang) in
        [("nl", "nl"), ("sv en", "sv"), ("zh-CN", "zh-Hans"), ("xx fr-CA", "fr"), ("xx", "en")]
    {
        let page = client.send(&Visitor::of(&t), &[("ui_locales", asked)]).await.here(200);
        assert!(page.html.contains(&format!("<html lang=\"{lang}\"")), "{asked}: {}", page.html);
    }
    let code = client.admin_signs_in(&Visitor::of(&t), &[("ui_locales", "it")]).await;
    client.exchange(&code).await;
}

#[tokio::test]
async fn claims_locales_is_accepted() {
    let t = T::start().await;
    let client = RelyingParty::register(&t).await;
    let code = client.admin_signs_in(&Visitor::of(&t), &[("claims_locales", "se")]).await;
    client.exchange(&code).await;
}

#[tokio::test]
async fn acr_values_is_voluntary() {
    let t = T::start().await;
    let client = RelyingParty::register(&t).await;
    let code = client.admin_signs_in(&Visitor::of(&t), &[("acr_values", "1 2")]).await;
    let claims = client.exchange(&code).await.claims;
    assert_eq!((&claims["acr"], &claims["amr"]), (&json!("1"), &json!(["pwd"])));
}

#[tokio::test]
async fn a_code_is_good_once() {
    let t = T::start().await;
    let client = RelyingParty::register(&t).await;
    let visitor = Visitor::of(&t);
    let code = client.admin_signs_in(&visitor, &[("scope", "openid offline_access")]).await;
    let tokens = client.exchange(&code).await;
    client.userinfo(&tokens.access).await;
    let again = client.try_exchange(&code).await.expect(400);
    assert_eq!(again.body["error"], "invalid_grant");
    // RFC 6749 §4.1.2: what the first exchange gave ends; the person stays signed in (S8).
    t.bearer(&tokens.access).get("/oauth/userinfo").await.expect(401);
    let refresh = tokens.refresh.unwrap();
    client.token(&[("grant_type", "refresh_token"), ("refresh_token", &refresh)]).await.expect(400);
    client.comes_back(&visitor, &[("prompt", "none")]).await;
}

#[tokio::test]
async fn a_code_is_good_once_after_30_seconds_too() {
    let t = T::start().await;
    let client = RelyingParty::register(&t).await;
    let code = client.admin_signs_in(&Visitor::of(&t), &[]).await;
    let tokens = client.exchange(&code).await;
    t.clock.advance(30_000);
    assert_eq!(client.try_exchange(&code).await.expect(400).body["error"], "invalid_grant");
    t.bearer(&tokens.access).get("/oauth/userinfo").await.expect(401);
    // Also long after the code itself would have expired.
    let code = client.admin_signs_in(&Visitor::of(&t), &[]).await;
    let tokens = client.exchange(&code).await;
    t.clock.advance(61_000);
    assert_eq!(client.try_exchange(&code).await.expect(400).body["error"], "invalid_grant");
    let _ = tokens;
}

#[tokio::test]
async fn an_unregistered_redirect_uri_is_shown_to_the_person() {
    let t = T::start().await;
    let client = RelyingParty::register(&t).await;
    let visitor = Visitor::of(&t);
    for uri in [
        "https://shop.example/callback/",
        "https://shop.example/callback?foo=bar",
        "https://shop.example/callback#x",
        "https://shop.example:444/callback",
        "https://evil.example/callback",
        "https://SHOP.example/callback",
        "javascript:alert(1)",
    ] {
        let page = client.send(&visitor, &[("redirect_uri", uri)]).await.here(400);
        assert!(page.html.contains("<html lang="), "{}", page.html);
        assert!(!page.html.contains(uri) || uri.starts_with("https"), "{}", page.html);
    }
    client.send(&visitor, &[("client_id", "nobody")]).await.here(400);
}

/// A cross-site POST carries no cookie (`SameSite=Lax`), so it becomes a GET.
#[tokio::test]
async fn an_authorization_request_by_post() {
    let t = T::start().await;
    let client = RelyingParty::register(&t).await;
    let visitor = Visitor::of(&t);
    let parameters = client.parameters(&[]);
    let form: Vec<(&str, &str)> = parameters.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let page = visitor.post("/oauth/authorize", &form).await;
    let code = client.code(&visitor.sign_in(page, "admin", ADMIN_PASSWORD).await);
    client.exchange(&code).await;
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&form).finish();
    let request =
        t.anonymous().request(Method::POST, "/oauth/authorize").header("origin", "https://shop.example");
    let request = request.header("sec-fetch-site", "cross-site").body(body);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let http =
        reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let answer = TestResponse::of(http.execute(request.build().unwrap()).await.unwrap()).await.expect(303);
    assert!(answer.header("location").contains("/oauth/authorize?"), "{}", answer.header("location"));
}

#[tokio::test]
async fn a_client_secret_in_the_form() {
    let t = T::start().await;
    let client =
        RelyingParty::register_with(&t, &json!({ "tokenEndpointAuthMethod": "client_secret_post" })).await;
    let code = client.admin_signs_in(&Visitor::of(&t), &[]).await;
    client.exchange(&code).await;
    // As it is registered, and in no other way.
    let basic = RelyingParty { is_post: false, ..client };
    let code = basic.admin_signs_in(&Visitor::of(&t), &[]).await;
    assert_eq!(basic.try_exchange(&code).await.expect(401).body["error"], "invalid_client");
}

/// {"alg":"none"}, with the parameters as claims.
#[tokio::test]
async fn an_unsigned_request_object_is_refused() {
    let t = T::start().await;
    let client = RelyingParty::register(&t).await;
    let page = client.send(&Visitor::of(&t), &[("request", "eyJhbGciOiJub25lIn0.e30.")]).await;
    client.expect_error(&page, "request_not_supported");
    let discovery = client.discovery().await;
    assert_eq!(discovery["request_parameter_supported"], false);
    // Its default is true (Discovery §3).
    assert_eq!(discovery["request_uri_parameter_supported"], false);
}

#[tokio::test]
async fn an_essential_claim_is_in_the_id_token() {
    let t = T::start().await;
    let client = RelyingParty::register(&t).await;
    let visitor = Visitor::of(&t);
    let claims = json!({ "userinfo": { "name": { "essential": true } } }).to_string();
    let code = client.admin_signs_in(&visitor, &[("claims", &claims), ("scope", "openid profile")]).await;
    let tokens = client.exchange(&code).await;
    assert_eq!(client.userinfo(&tokens.access).await["name"], "Ada Admin");
    let page = client.send(&visitor, &[("claims", "{")]).await;
    client.expect_error(&page, "invalid_request");
}

#[tokio::test]
async fn a_redirect_uri_in_a_request_object_is_not_followed() {
    let t = T::start().await;
    let client = RelyingParty::register(&t).await;
    let payload = base64::Engine::encode(
        &base64::engine::general_purpose::URL_SAFE_NO_PAD,
        json!({ "redirect_uri": "https://evil.example/callback" }).to_string(),
    );
    let object = format!("eyJhbGciOiJub25lIn0.{payload}.");
    let page = client.send(&Visitor::of(&t), &[("request", &object)]).await;
    client.expect_error(&page, "request_not_supported");
    // Nothing is fetched.
    let page = client.send(&Visitor::of(&t), &[("request_uri", "https://evil.example/object")]).await;
    client.expect_error(&page, "request_uri_not_supported");
    let page = client.send(&Visitor::of(&t), &[("request", &object), ("redirect_uri", "")]).await;
    page.here(400);
}

#[tokio::test]
async fn a_refresh_token_is_bound_to_its_client() {
    let t = T::start().await;
    let client = RelyingParty::register(&t).await;
    let other = RelyingParty::register_with(&t, &json!({ "name": "other" })).await;
    let code = client.admin_signs_in(&Visitor::of(&t), &[("scope", "openid offline_access")]).await;
    let tokens = client.exchange(&code).await;
    let refresh = tokens.refresh.clone().unwrap();
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
    assert_eq!(other.token(&form).await.expect(400).body["error"], "invalid_grant");
    t.clock.advance(1_000);
    let answer = client.token(&form).await.expect(200).body;
    assert_ne!(answer["refresh_token"], refresh.as_str());
    assert_ne!(answer["access_token"], tokens.access.as_str());
    // §12.2: the same person and login; no nonce is needed.
    if let Some(id_token) = answer["id_token"].as_str() {
        let claims = client.verified(id_token).await;
        for name in ["iss", "sub", "aud", "auth_time"] {
            assert_eq!(claims[name], tokens.claims[name], "{name}");
        }
    }
    client.userinfo(answer["access_token"].as_str().unwrap()).await;
}

#[tokio::test]
async fn pkce_wrong_missing_and_plain() {
    let t = T::start().await;
    let client = RelyingParty::register(&t).await;
    let visitor = Visitor::of(&t);
    let code = client.admin_signs_in(&visitor, &[]).await;
    client.exchange(&code).await;
    let exchange = async |verifier: Option<&str>| {
        let code = client.comes_back(&visitor, &[]).await;
        let mut form = vec![("grant_type", "authorization_code"), ("code", code.as_str())];
        form.push(("redirect_uri", &client.redirect_uri));
        form.extend(verifier.map(|verifier| ("code_verifier", verifier)));
        client.token(&form).await.expect(400).body["error"].clone()
    };
    let wrong = VERIFIER.replace('d', "e");
    assert_eq!(exchange(Some(&wrong)).await, "invalid_grant");
    let missing = exchange(None).await;
    assert!(missing == "invalid_grant" || missing == "invalid_request", "{missing}");
    for changes in [
        [("code_challenge_method", "plain"), ("code_challenge", VERIFIER)].as_slice(),
        // Without a method it is plain (RFC 7636 §4.3).
        &[("code_challenge_method", "")],
        &[("code_challenge", "")],
        &[("code_challenge_method", ""), ("code_challenge", "")],
        &[("code_challenge", "short")],
    ] {
        client.expect_error(&client.send(&visitor, changes).await, "invalid_request");
    }
}
