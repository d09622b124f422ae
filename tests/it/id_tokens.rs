//! ID tokens: what they say, and how they are signed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::harness::{ADMIN_PASSWORD, START, T};
use crate::products::{Product, claims_of, header_of, set, settings};
use tenantry_core::clients::ClientKind;
use tenantry_core::clock::{HOUR, MINUTE};
use tenantry_core::signing_alg::SigningAlg;
use tenantry_domain::client_changes::ClientChange;

#[tokio::test]
async fn it_says_who_signed_in_when_and_for_whom() {
    let t = T::start().await;
    let shop = Product::new(&t).await;
    let cookie = shop.sign_in("admin", ADMIN_PASSWORD).await;
    t.clock.advance(MINUTE);
    let tokens = shop.tokens(&cookie, "openid profile email").await;
    let claims = claims_of(&tokens["id_token"]);
    let now = (START + MINUTE) / 1_000;
    let hash = Sha256::digest(tokens["access_token"].as_str().unwrap());
    let session = t.ask_sql("SELECT session_id FROM browser_sessions").remove(0).remove(0);
    assert_eq!(
        claims,
        json!({
            "iss": t.app.config.public_url, "sub": "1", "aud": shop.client.0, "azp": shop.client.0,
            "iat": now, "exp": now + 3_600, "auth_time": START / 1_000, "nonce": "a nonce", "acr": "1", "amr": ["pwd"],
            "at_hash": URL_SAFE_NO_PAD.encode(&hash[..16]), "sid": session,
        }),
        "what scopes request is at the userinfo endpoint"
    );
    // Without a nonce it has none.
    let code = shop.code(&cookie, |p| p.retain(|(name, _)| name != "nonce")).await;
    let tokens = shop.exchange(&code).await.expect(200).body;
    assert!(claims_of(&tokens["id_token"]).get("nonce").is_none());
}

#[tokio::test]
async fn it_is_signed_by_the_algorithm_of_the_client_with_a_published_key() {
    let t = T::start().await;
    for (alg, known) in [
        (SigningAlg::Rs256, Algorithm::RS256),
        (SigningAlg::Es256, Algorithm::ES256),
        (SigningAlg::EdDsa, Algorithm::EdDSA),
    ] {
        let shop = ClientChange { id_token_alg: Some(alg), ..settings() };
        let shop = Product::with(&t, ClientKind::Confidential, shop).await;
        let cookie = shop.sign_in("admin", ADMIN_PASSWORD).await;
        let tokens = shop.tokens(&cookie, "openid").await;
        let header = header_of(&tokens["id_token"]);
        assert_eq!(header["alg"], alg.name());
        let keys: JwkSet =
            serde_json::from_value(t.anonymous().get("/oauth/jwks").await.expect(200).body).unwrap();
        let key = keys.find(header["kid"].as_str().unwrap()).expect("the key is published");
        let mut checked = Validation::new(known);
        checked.set_audience(&[&shop.client.0]);
        checked.validate_exp = false;
        let token = tokens["id_token"].as_str().unwrap();
        let key = DecodingKey::from_jwk(key).unwrap();
        let claims = jsonwebtoken::decode::<Value>(token, &key, &checked).unwrap().claims;
        let length = if alg == SigningAlg::EdDsa { 43 } else { 22 };
        assert_eq!(claims["at_hash"].as_str().unwrap().len(), length);
    }
}

#[tokio::test]
async fn single_claims_and_the_partner_are_in_it() {
    let t = T::start().await;
    let shop = Product::new(&t).await;
    let cookie = shop.sign_in("admin", ADMIN_PASSWORD).await;
    let asked = r#"{"id_token":{"email":{"essential":true},"name":null,"unknown":null,"acr":{"essential":true,"value":"1"}}}"#;
    let code = shop.code(&cookie, |p| set(p, "claims", asked)).await;
    let claims = claims_of(&shop.exchange(&code).await.expect(200).body["id_token"]);
    assert_eq!((&claims["email"], &claims["name"]), (&json!("admin@example.com"), &json!("Ada Admin")));
    assert!(claims.get("unknown").is_none() && claims.get("family_name").is_none());
    let claims = claims_of(&shop.tokens(&cookie, "openid partner").await["id_token"]);
    assert_eq!(claims["pid"], 1);
    assert!(claims["partner"].is_string());
    // A class that cannot be reached, if it is essential.
    let mut parameters = shop.parameters();
    set(&mut parameters, "claims", r#"{"id_token":{"acr":{"essential":true,"value":"9"}}}"#);
    let answer = shop.authorize(&cookie, &parameters).await;
    assert_eq!(answer.returned("error"), "unmet_authentication_requirements");
}

#[tokio::test]
async fn a_refresh_has_one_of_the_same_sign_in() {
    let t = T::start().await;
    let shop = Product::new(&t).await;
    let cookie = shop.sign_in("admin", ADMIN_PASSWORD).await;
    let tokens = shop.tokens(&cookie, "openid offline_access").await;
    let first = claims_of(&tokens["id_token"]);
    t.clock.advance(HOUR);
    let refreshed = shop.refresh(tokens["refresh_token"].as_str().unwrap()).await.expect(200).body;
    let second = claims_of(&refreshed["id_token"]);
    for same in ["iss", "sub", "aud", "auth_time", "sid", "acr", "amr"] {
        assert_eq!(first[same], second[same], "{same}");
    }
    assert_eq!(second["iat"].as_i64().unwrap() - first["iat"].as_i64().unwrap(), 3_600);
    assert!(second.get("nonce").is_none());
    assert_ne!(first["at_hash"], second["at_hash"]);
    // One of the password grant has none.
    let login = t.try_login("admin", ADMIN_PASSWORD).await.expect(200);
    assert!(login.body.get("id_token").is_none());
    let form =
        [("grant_type", "refresh_token"), ("refresh_token", login.body["refresh_token"].as_str().unwrap())];
    assert!(t.token(&form).await.expect(200).body.get("id_token").is_none());
}
