//! A relying party of our own (OpenID Connect Core): it sends people to sign in, exchanges their codes, and believes
//! nothing that it has not verified.

use std::collections::{BTreeMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{JwkSet, ThumbprintHash};
use jsonwebtoken::{DecodingKey, Validation};
use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use tenantry_core::clients::{ClientAuthMethod, ClientKind};
use tenantry_core::scopes::TokenScope;
use tenantry_core::signing_alg::SigningAlg;
use tenantry_domain::client_changes::{ClientChange, NewClient};
use tenantry_domain::signing_keys;

use crate::harness::{ADMIN_PASSWORD, T, TestResponse};
use crate::visitor::{Page, Visitor};

/// Where the relying party expects its answers.
pub const REDIRECT: &str = "https://shop.example/callback";

/// Where it expects people who have signed out.
pub const SIGNED_OUT: &str = "https://shop.example/bye";

/// `BASE64URL(SHA256(VERIFIER))` is [`CHALLENGE`] (RFC 7636, Appendix B).
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Every OpenID scope.
pub const ALL_SCOPES: &str = "openid profile email phone groups partner offline_access";

/// A registered client.
pub struct RelyingParty<'t> {
    pub t: &'t T,
    pub client_id: String,
    pub secret: String,
    pub redirect_uri: String,
    /// Whether the secret is sent in the form (`client_secret_post`).
    pub is_post: bool,
}

/// What a code was exchanged for.
#[derive(Debug)]
pub struct Tokens {
    pub answer: Value,
    pub access: String,
    pub refresh: Option<String>,
    pub id_token: String,
    /// The claims of the ID token, verified.
    pub claims: Value,
}

impl<'t> RelyingParty<'t> {
    /// A confidential client of partner 1 with every OpenID scope.
    pub async fn register(t: &'t T) -> Self {
        Self::register_with(t, &json!({})).await
    }

    /// Like [`Self::register`], with other settings, named as in bodies of the API.
    pub async fn register_with(t: &'t T, other: &Value) -> Self {
        let text = |name: &str, usual: &str| other[name].as_str().unwrap_or(usual).to_owned();
        let texts = |name: &str, usual: Vec<&str>| {
            let given =
                other[name].as_array().map(|list| list.iter().map(|one| one.as_str().unwrap()).collect());
            given.unwrap_or(usual).into_iter().map(str::to_owned).collect::<Vec<String>>()
        };
        let kind = ClientKind::parse(&text("kind", "confidential")).unwrap();
        let usual_method = if kind == ClientKind::Public { "none" } else { "client_secret" };
        let method = text("tokenEndpointAuthMethod", usual_method);
        let redirect_uris = texts("redirectUris", vec![REDIRECT]);
        let redirect_uri = redirect_uris[0].clone();
        let scopes = texts("scopes", ALL_SCOPES.split(' ').collect());
        let alg = SigningAlg::parse(&text("idTokenAlg", "RS256")).unwrap();
        let new = NewClient {
            kind,
            settings: ClientChange {
                name: Some(text("name", "shop")),
                redirect_uris: Some(redirect_uris),
                post_logout_redirect_uris: Some(texts("postLogoutRedirectUris", vec![SIGNED_OUT])),
                scopes: Some(scopes.iter().map(|name| TokenScope::parse(name).unwrap()).collect()),
                id_token_alg: Some(alg),
                auth_method: Some(ClientAuthMethod::parse(&method).unwrap()),
                needs_consent: Some(other["requireConsent"].as_bool().unwrap_or(false)),
                needs_pkce: Some(other["requirePkce"].as_bool().unwrap_or(true)),
                ..ClientChange::default()
            },
        };
        let (client_id, secret) = t.new_client(1, new).await;
        signing_keys::make_missing(&t.app);
        Self { t, client_id, secret, redirect_uri, is_post: method == "client_secret_post" }
    }

    /// The parameters of an authorization request; an empty change leaves a parameter out.
    pub fn parameters(&self, changes: &[(&str, &str)]) -> Vec<(String, String)> {
        let usual = [
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", &self.redirect_uri),
            ("scope", "openid"),
            ("state", "a state/of=ours"),
            ("nonce", "n-0S6_WzA2Mj"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        let is_changed = |name: &str| changes.iter().any(|(changed, _)| *changed == name);
        let kept = usual.into_iter().filter(|(name, _)| !is_changed(name));
        let all = kept.chain(changes.iter().copied().filter(|(_, value)| !value.is_empty()));
        all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// The address that starts a sign-in.
    pub fn address(&self, changes: &[(&str, &str)]) -> String {
        let query =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(self.parameters(changes)).finish();
        format!("/oauth/authorize?{query}")
    }

    /// Sends a visitor to sign in: the first page, or the answer.
    pub async fn send(&self, visitor: &Visitor, changes: &[(&str, &str)]) -> Page {
        visitor.open(&self.address(changes)).await
    }

    /// The parameters of the answer that a visitor brings back, for the `state` that was sent.
    #[track_caller]
    pub fn answer(&self, page: &Page) -> BTreeMap<String, String> {
        let url = page.elsewhere();
        assert_eq!(page.status, 303, "a redirect that keeps the method would hand on what was posted");
        assert!(url.as_str().starts_with(&self.redirect_uri), "{url}");
        assert_eq!(url.fragment(), None);
        let all: Vec<_> = url.query_pairs().into_owned().collect();
        let names: HashSet<&String> = all.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), all.len(), "a parameter is there twice: {url}");
        let answer: BTreeMap<String, String> = all.into_iter().collect();
        // RFC 9207: in errors, too.
        assert_eq!(answer.get("iss"), Some(&self.t.app.config.public_url), "{url}");
        answer
    }

    /// The code that a visitor brings back.
    #[track_caller]
    pub fn code(&self, page: &Page) -> String {
        let answer = self.answer(page);
        assert_eq!(answer.keys().collect::<Vec<_>>(), ["code", "iss", "state"], "{answer:?}");
        assert_eq!(answer["state"], "a state/of=ours");
        self.t.secret(&answer["code"]);
        answer["code"].clone()
    }

    /// Asserts that a visitor brings back this error.
    #[track_caller]
    pub fn expect_error(&self, page: &Page, error: &str) {
        let answer = self.answer(page);
        assert_eq!(answer.get("error").map(String::as_str), Some(error), "{answer:?}");
        assert_eq!(answer["state"], "a state/of=ours");
        assert!(!answer.contains_key("code"), "{answer:?}");
        // RFC 6749 §4.1.2.1
        let is_allowed = |c: char| matches!(c, '\x20'..='\x21' | '\x23'..='\x5B' | '\x5D'..='\x7E');
        assert!(
            answer.get("error_description").is_none_or(|text| text.chars().all(is_allowed)),
            "{answer:?}"
        );
    }

    /// Has the first admin sign in, for a code.
    pub async fn admin_signs_in(&self, visitor: &Visitor, changes: &[(&str, &str)]) -> String {
        let page = self.send(visitor, changes).await;
        self.t.secret(ADMIN_PASSWORD);
        self.code(&visitor.sign_in(page, "admin", ADMIN_PASSWORD).await)
    }

    /// Has a visitor who is signed in come back with a code, without a page.
    pub async fn comes_back(&self, visitor: &Visitor, changes: &[(&str, &str)]) -> String {
        self.code(&self.send(visitor, changes).await)
    }

    /// A request to the token endpoint.
    pub async fn token(&self, form: &[(&str, &str)]) -> TestResponse {
        self.form("/oauth/token", form).await
    }

    /// A form of the client, which says who it is as it is registered.
    pub async fn form(&self, path: &str, form: &[(&str, &str)]) -> TestResponse {
        let mut form = form.to_vec();
        if self.is_post || self.secret.is_empty() {
            form.push(("client_id", &self.client_id));
        }
        if self.is_post {
            form.push(("client_secret", &self.secret));
        }
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let mut request = self.t.anonymous().request(Method::POST, path);
        if !self.is_post && !self.secret.is_empty() {
            request = request.basic_auth(&self.client_id, Some(&self.secret));
        }
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        let answer = TestResponse::of(request.send().await.unwrap()).await;
        for name in ["access_token", "refresh_token", "id_token"] {
            if let Some(token) = answer.body[name].as_str() {
                self.t.secret(token);
            }
        }
        answer
    }

    /// The answer to an exchange of a code.
    pub async fn try_exchange(&self, code: &str) -> TestResponse {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.redirect_uri),
            ("code_verifier", VERIFIER),
        ];
        self.token(&form).await
    }

    /// Exchanges a code, whose request had the usual `nonce`.
    pub async fn exchange(&self, code: &str) -> Tokens {
        let answer = self.try_exchange(code).await.expect(200);
        assert_eq!(answer.header("cache-control"), "no-store");
        let answer = answer.body;
        // RFC 6749 §5.1: in any case.
        assert_eq!(answer["token_type"].as_str().unwrap().to_ascii_lowercase(), "bearer");
        let text = |name: &str| answer[name].as_str().map(str::to_owned);
        let id_token = text("id_token").unwrap_or_else(|| panic!("no ID token: {answer}"));
        let claims = self.verified(&id_token).await;
        assert!(claims["nonce"].is_null() || claims["nonce"] == "n-0S6_WzA2Mj", "{claims}");
        Tokens {
            access: text("access_token").unwrap(),
            refresh: text("refresh_token"),
            id_token,
            claims,
            answer,
        }
    }

    /// The configuration of the issuer.
    pub async fn discovery(&self) -> Value {
        self.t.anonymous().get("/.well-known/openid-configuration").await.expect(200).body
    }

    /// The claims of an ID token for this client (OpenID Connect Core §3.1.3.7).
    pub async fn verified(&self, id_token: &str) -> Value {
        let discovery = self.discovery().await;
        let keys = Url::parse(discovery["jwks_uri"].as_str().unwrap()).unwrap();
        let keys = self.t.anonymous().get(keys.path()).await.expect(200).text;
        let keys: JwkSet = serde_json::from_str(&keys).unwrap();
        let header = jsonwebtoken::decode_header(id_token).unwrap();
        let kid = header.kid.as_deref().unwrap_or_else(|| panic!("no kid: {header:?}"));
        let key = keys.find(kid).unwrap_or_else(|| panic!("{kid} is not in {keys:?}"));
        // S4
        assert_eq!(key.thumbprint(ThumbprintHash::SHA256).unwrap(), kid);
        let mut validation = Validation::new(header.alg);
        validation.set_audience(&[&self.client_id]);
        validation.set_issuer(&[&self.t.app.config.public_url]);
        validation.set_required_spec_claims(&["iss", "sub", "aud", "exp", "iat"]);
        // By the clock of the test, below.
        validation.validate_exp = false;
        let key = DecodingKey::from_jwk(key).unwrap();
        let claims: Value = jsonwebtoken::decode(id_token, &key, &validation).unwrap().claims;
        let now = self.t.clock.now() / 1000;
        let at = |name: &str| claims[name].as_i64().unwrap_or_else(|| panic!("no {name}: {claims}"));
        assert!(at("iat") <= now && now < at("exp"), "at {now}: {claims}");
        assert!(at("auth_time") <= now, "at {now}: {claims}");
        // One audience needs no azp; if there is one, it is the client (§2).
        assert!(claims["azp"].is_null() || claims["azp"] == self.client_id.as_str(), "{claims}");
        claims
    }

    /// What the userinfo endpoint tells about whoever gave this token.
    pub async fn userinfo(&self, token: &str) -> Value {
        let answer = self.t.bearer(token).get("/oauth/userinfo").await.expect(200);
        assert_eq!(answer.header("content-type"), "application/json");
        answer.body
    }
}

/// The payload of a JWT that is not verified, changed, with the old signature.
pub fn forged(jwt: &str, change: impl FnOnce(&mut Value)) -> String {
    let parts: Vec<&str> = jwt.split('.').collect();
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    change(&mut claims);
    format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(claims.to_string()), parts[2])
}
