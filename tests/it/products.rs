//! A product that signs its users in by OpenID Connect, and the browser of one of them, without pages: it is signed in by
//! the rules, and follows no redirect.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Method, header};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::harness::{T, TestResponse};
use tenantry_core::clients::{ClientGrant, ClientGrants, ClientKind};
use tenantry_core::scopes::TokenScopes;
use tenantry_domain::client_changes::{ClientChange, NewClient};
use tenantry_domain::logins::{self, SigningIn};
use tenantry_domain::tokens::Origin;

pub const REDIRECT_URI: &str = "https://shop.example/callback";
pub const AFTER_LOGOUT: &str = "https://shop.example/bye";
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// The PKCE challenge of [`VERIFIER`] (RFC 7636, appendix B).
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

pub fn challenge_of(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

/// Settings of a client with all scopes and a refresh token that needs no consent.
pub fn settings() -> ClientChange {
    ClientChange {
        name: Some(String::from("Shop")),
        redirect_uris: Some(vec![REDIRECT_URI.to_owned()]),
        post_logout_redirect_uris: Some(vec![AFTER_LOGOUT.to_owned()]),
        grants: Some(ClientGrants::from_iter([ClientGrant::AuthorizationCode, ClientGrant::RefreshToken])),
        scopes: Some(TokenScopes::ALL),
        needs_consent: Some(false),
        ..ClientChange::default()
    }
}

/// A client of a partner.
pub struct Product<'t> {
    pub t: &'t T,
    pub client: (String, String),
    http: reqwest::Client,
}

/// The parameters of a good request, to be changed.
pub type Parameters = Vec<(String, String)>;

pub fn set(parameters: &mut Parameters, name: &str, value: &str) {
    parameters.retain(|(known, _)| known != name);
    parameters.push((name.to_owned(), value.to_owned()));
}

impl<'t> Product<'t> {
    pub async fn new(t: &'t T) -> Self {
        Self::with(t, ClientKind::Confidential, settings()).await
    }

    pub async fn with(t: &'t T, kind: ClientKind, settings: ClientChange) -> Self {
        let client = t.new_client(1, NewClient { kind, settings }).await;
        Self::of(t, client)
    }

    pub fn of(t: &'t T, client: (String, String)) -> Self {
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build();
        Self { t, client, http: http.unwrap() }
    }

    /// The cookie of a browser in which the user has just signed in.
    pub async fn sign_in(&self, username: &str, password: &str) -> String {
        self.t.secret(password);
        let signing = SigningIn {
            username,
            password: password.to_owned().into(),
            origin: Origin { address: [192, 0, 2, 7].into(), user_agent: Some(String::from("a browser")) },
            is_kept: false,
            previous: None,
            device: None,
        };
        let signed_in = logins::sign_in(&self.t.app, signing).await.unwrap().signed_in().unwrap();
        self.t.secret(&signed_in.cookie);
        format!("tenantry={}", *signed_in.cookie)
    }

    pub fn parameters(&self) -> Parameters {
        [
            ("client_id", self.client.0.as_str()),
            ("redirect_uri", REDIRECT_URI),
            ("response_type", "code"),
            ("scope", "openid"),
            ("state", "a state"),
            ("nonce", "a nonce"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// A request of the browser; an empty cookie is none.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        cookie: &str,
        form: &[(String, String)],
    ) -> TestResponse {
        let mut request = self.http.request(method.clone(), format!("http://{}{path}", self.t.address));
        if !cookie.is_empty() {
            request = request.header(header::COOKIE, cookie);
        }
        if method == Method::POST {
            let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        }
        TestResponse::of(request.send().await.unwrap()).await
    }

    pub async fn get(&self, path: &str, cookie: &str) -> TestResponse {
        self.send(Method::GET, path, cookie, &[]).await
    }

    /// The answer to an authorization request.
    pub async fn authorize(&self, cookie: &str, parameters: &Parameters) -> TestResponse {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        self.get(&format!("/oauth/authorize?{query}"), cookie).await
    }

    /// The code that a browser which is signed in comes back with.
    pub async fn code(&self, cookie: &str, change: impl FnOnce(&mut Parameters)) -> String {
        let mut parameters = self.parameters();
        change(&mut parameters);
        let answer = self.authorize(cookie, &parameters).await.expect(303);
        let code = answer.returned("code");
        assert!(!code.is_empty(), "{:?}", answer.header("location"));
        self.t.secret(&code);
        code
    }

    /// The answer to the exchange of a code.
    pub async fn exchange(&self, code: &str) -> TestResponse {
        self.exchange_with(code, |_| {}).await
    }

    pub async fn exchange_with(&self, code: &str, change: impl FnOnce(&mut Parameters)) -> TestResponse {
        let mut form: Parameters = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT_URI),
            ("code_verifier", VERIFIER),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        change(&mut form);
        self.token(&form).await
    }

    /// The answer to a token request.
    pub async fn token(&self, form: &[(String, String)]) -> TestResponse {
        let mut form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        if self.client.1.is_empty() {
            form.push(("client_id", &self.client.0));
            return self.t.anonymous().form("/oauth/token", &form).await;
        }
        self.t.form_as(&self.client, "/oauth/token", &form).await
    }

    pub async fn refresh(&self, token: &str) -> TestResponse {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
        self.token(&form.map(|(name, value)| (name.to_owned(), value.to_owned()))).await
    }

    /// The tokens of a sign-in with these scopes.
    pub async fn tokens(&self, cookie: &str, scope: &str) -> Value {
        let code = self.code(cookie, |p| set(p, "scope", scope)).await;
        self.exchange(&code).await.expect(200).body
    }

    pub async fn userinfo(&self, token: &str) -> TestResponse {
        self.t.bearer(token).get("/oauth/userinfo").await
    }
}

impl TestResponse {
    /// A parameter of the query of `Location`; empty if it is not there.
    pub fn returned(&self, name: &str) -> String {
        let query = self.header("location").split_once('?').map_or("", |(_, query)| query);
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs.find(|(known, _)| known == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
    }

    /// The page of ours that the browser is sent to; empty if it is none.
    pub fn page(&self) -> &str {
        let location = self.header("location");
        let path = location.split('?').next().unwrap_or_default();
        if path.starts_with('/') { path } else { "" }
    }
}

/// The claims of an ID token, without a look at its signature.
pub fn claims_of(token: &Value) -> Value {
    part_of(token, 1)
}

/// The header of an ID token.
pub fn header_of(token: &Value) -> Value {
    part_of(token, 0)
}

fn part_of(token: &Value, at: usize) -> Value {
    let part = token.as_str().unwrap().split('.').nth(at).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}
