//! Discovery: what the server says about itself is what it does (OpenID Connect Discovery §3 and §4, RFC 8414).

use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use crate::harness::{T, TestResponse};
use crate::relying_party::RelyingParty;

const CONFIGURATION: &str = "/.well-known/openid-configuration";

async fn get_as(t: &T, path: &str, headers: &[(&str, &str)]) -> TestResponse {
    let mut request = t.anonymous().request(Method::GET, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    TestResponse::of(request.send().await.unwrap()).await
}

fn has(document: &Value, name: &str, values: &[&str]) {
    let list = document[name].as_array().unwrap_or_else(|| panic!("no {name}: {document}"));
    for value in values {
        assert!(list.contains(&json!(value)), "{value} is not in {name}: {document}");
    }
}

#[tokio::test]
async fn the_configuration_is_that_of_the_issuer() {
    let t = T::start().await;
    let answer = t.anonymous().get(CONFIGURATION).await.expect(200);
    assert_eq!(answer.header("content-type"), "application/json");
    let document = answer.body;
    let issuer = &t.app.config.public_url;
    assert_eq!(document["issuer"], issuer.as_str());
    for (name, path) in [
        ("authorization_endpoint", "/oauth/authorize"),
        ("token_endpoint", "/oauth/token"),
        ("userinfo_endpoint", "/oauth/userinfo"),
        ("jwks_uri", "/oauth/jwks"),
        ("end_session_endpoint", "/oauth/logout"),
        ("revocation_endpoint", "/oauth/revoke"),
        ("introspection_endpoint", "/oauth/introspect"),
    ] {
        assert_eq!(document[name], format!("{issuer}{path}"), "{name}");
    }
    assert_eq!(document["response_types_supported"], json!(["code"]));
    assert_eq!(document["subject_types_supported"], json!(["public"]));
    assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(document["authorization_response_iss_parameter_supported"], true);
    assert_eq!(document["claims_parameter_supported"], true);
    assert_eq!(document["request_parameter_supported"], false);
    assert_eq!(document["request_uri_parameter_supported"], false);
    has(&document, "response_modes_supported", &["query", "form_post"]);
    has(&document, "grant_types_supported", &["authorization_code", "refresh_token"]);
    has(&document, "id_token_signing_alg_values_supported", &["RS256", "ES256", "EdDSA"]);
    let scopes = ["openid", "profile", "email", "phone", "groups", "partner", "offline_access"];
    has(&document, "scopes_supported", &scopes);
    let methods = ["client_secret_basic", "client_secret_post", "none"];
    has(&document, "token_endpoint_auth_methods_supported", &methods);
    has(&document, "ui_locales_supported", &["en", "nl", "sv", "fr", "zh-Hans", "it"]);
    has(
        &document,
        "claims_supported",
        &["sub", "iss", "auth_time", "acr", "name", "email", "pid", "partner"],
    );
    // Members without a value are left out (Discovery §4.2).
    assert!(document.as_object().unwrap().values().all(|v| !v.is_null() && *v != json!([])), "{document}");
}

#[tokio::test]
async fn oauth_metadata_says_the_same() {
    let t = T::start().await;
    let openid = t.anonymous().get(CONFIGURATION).await.expect(200).body;
    let oauth = t.anonymous().get("/.well-known/oauth-authorization-server").await.expect(200).body;
    for (name, value) in oauth.as_object().unwrap() {
        assert_eq!(openid[name], *value, "{name}");
    }
    for name in ["issuer", "authorization_endpoint", "token_endpoint", "jwks_uri", "response_types_supported"]
    {
        assert!(!oauth[name].is_null(), "{name}");
    }
}

/// RFC 7517: public keys with an id, a use and an algorithm, and nothing private.
#[tokio::test]
async fn keys_are_public_and_named() {
    let t = T::start().await;
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        RelyingParty::register_with(&t, &json!({ "idTokenAlg": algorithm, "name": algorithm })).await;
    }
    let document = t.anonymous().get(CONFIGURATION).await.expect(200).body;
    let jwks = Url::parse(document["jwks_uri"].as_str().unwrap()).unwrap();
    // Keys are made in the background (S4).
    let deadline = tokio::time::Instant::now() + crate::binary::TIMEOUT;
    let keys = loop {
        let answer = t.anonymous().get(jwks.path()).await.expect(200);
        let keys = answer.body["keys"].as_array().unwrap().clone();
        let made: Vec<&str> = keys.iter().map(|key| key["alg"].as_str().unwrap()).collect();
        if ["RS256", "ES256", "EdDSA"].iter().all(|algorithm| made.contains(algorithm)) {
            break keys;
        }
        assert!(tokio::time::Instant::now() < deadline, "{made:?}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    let mut kids: Vec<&str> = keys.iter().map(|key| key["kid"].as_str().unwrap()).collect();
    for key in &keys {
        assert_eq!(key["use"], "sig");
        for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            assert!(key[private].is_null(), "{private} of {}", key["kid"]);
        }
    }
    kids.sort_unstable();
    kids.dedup();
    assert_eq!(kids.len(), keys.len());
}

/// S12, S20: anybody's script may read it, and it is transferred once.
#[tokio::test]
async fn it_is_cached_and_read_from_any_origin() {
    let t = T::start().await;
    for path in [CONFIGURATION, "/.well-known/oauth-authorization-server", "/oauth/jwks"] {
        let answer = get_as(&t, path, &[("origin", "https://anybody.example")]).await.expect(200);
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
        assert_eq!(answer.header("access-control-allow-credentials"), "", "{path}");
        assert!(answer.header("cache-control").contains("max-age="), "{path}");
        let tag = answer.header("etag").to_owned();
        assert!(!tag.is_empty(), "{path}");
        let again = get_as(&t, path, &[("if-none-match", &tag)]).await.expect(304);
        assert_eq!((again.text.as_str(), again.header("etag")), ("", tag.as_str()));
    }
}
