//! OpenID Connect clients that we did not write, through the pages in a real browser.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use oauth2::basic::BasicClient;
use oauth2::{HttpRequest, HttpResponse};
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreGenderClaim, CoreProviderMetadata, CoreUserInfoClaims,
};
use openidconnect::{
    AccessTokenHash, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, IssuerUrl, Nonce,
    OAuth2TokenResponse as _, PkceCodeChallenge, RedirectUrl, Scope, TokenResponse as _, TokenUrl,
};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::Instant;

use tenantry_core::clock::Clock;

use crate::binary::TIMEOUT;
use crate::browser::Browser;
use crate::callback::Callback;
use crate::harness::{ADMIN_PASSWORD, T};
use crate::mail::python;
use crate::relying_party::RelyingParty;

/// A server with the time of day: these clients look at the clock themselves.
pub async fn server() -> T {
    let t = T::at(Clock::system(), |_| {}).await;
    t.secret(ADMIN_PASSWORD);
    t
}

/// The HTTP client of the crates, as they want it: without redirects.
fn http()
-> impl Fn(HttpRequest) -> std::pin::Pin<Box<dyn Future<Output = Result<HttpResponse, reqwest::Error>> + Send>>
{
    let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    let http = http.build().unwrap();
    move |request: HttpRequest| {
        let http = http.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let request = http.request(parts.method, parts.uri.to_string()).headers(parts.headers);
            let answer = request.body(body).send().await?;
            let mut response = HttpResponse::new(Vec::new());
            *response.status_mut() = answer.status();
            *response.headers_mut() = answer.headers().clone();
            *response.body_mut() = answer.bytes().await?.to_vec();
            Ok(response)
        })
    }
}

/// A client of this redirect URI.
async fn registered<'t>(t: &'t T, redirect_uri: &str, other: serde_json::Value) -> RelyingParty<'t> {
    let mut body = json!({ "redirectUris": [redirect_uri], "requireConsent": false });
    for (name, value) in other.as_object().unwrap() {
        body[name] = value.clone();
    }
    RelyingParty::register_with(t, &body).await
}

/// Signs the admin in for a client of this name.
async fn sign_in(browser: &Browser, client: &str) {
    assert!(browser.text().await.contains(client), "{}", browser.text().await);
    browser.sign_in("admin", ADMIN_PASSWORD).await;
}

#[tokio::test]
async fn the_openidconnect_crate() {
    let t = server().await;
    let mut callback = Callback::listen().await;
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let name = format!("Shop {algorithm}");
        let other = json!({ "idTokenAlg": algorithm, "name": name });
        let registered = registered(&t, &callback.uri(), other).await;
        let http = http();
        let issuer = IssuerUrl::new(t.app.config.public_url.clone()).unwrap();
        let provider = CoreProviderMetadata::discover_async(issuer, &http).await.unwrap();
        let id = ClientId::new(registered.client_id.clone());
        let secret = ClientSecret::new(registered.secret.clone());
        let client = CoreClient::from_provider_metadata(provider, id, Some(secret))
            .set_redirect_uri(RedirectUrl::new(callback.uri()).unwrap());
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (url, state, nonce) = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                CsrfToken::new_random,
                Nonce::new_random,
            )
            .add_scopes(["profile", "email"].map(|scope| Scope::new(scope.to_owned())))
            .set_pkce_challenge(challenge)
            .url();

        let browser = Browser::start().await;
        browser.goto(url.as_str()).await;
        sign_in(&browser, &name).await;
        let back = callback.next().await;
        drop(browser);
        assert_eq!(back.parameter("state").as_ref(), Some(state.secret()));

        let code = AuthorizationCode::new(back.parameter("code").unwrap());
        let request = client.exchange_code(code).unwrap().set_pkce_verifier(verifier);
        let tokens = request.request_async(&http).await.unwrap();
        t.secret(tokens.access_token().secret());
        let verifier = client.id_token_verifier();
        let id_token = tokens.id_token().unwrap();
        let claims = id_token.claims(&verifier, &nonce).unwrap();
        assert_eq!(claims.subject().as_str(), "1");
        if let Some(hash) = claims.access_token_hash() {
            let key = id_token.signing_key(&verifier).unwrap();
            let made =
                AccessTokenHash::from_token(tokens.access_token(), id_token.signing_alg().unwrap(), key);
            assert_eq!(*hash, made.unwrap());
        }
        let subject = claims.subject().clone();
        let userinfo = client.user_info(tokens.access_token().clone(), Some(subject)).unwrap();
        let userinfo: CoreUserInfoClaims = userinfo.request_async(&http).await.unwrap();
        assert_eq!(userinfo.email().unwrap().as_str(), "admin@example.com");
        let _: Option<&CoreGenderClaim> = userinfo.gender();
    }
}

/// Without OpenID: authorization code and PKCE of a public client, for the API.
#[tokio::test]
async fn the_oauth2_crate() {
    let t = server().await;
    let mut callback = Callback::listen().await;
    let other = json!({ "kind": "public", "scopes": ["read"], "name": "Reader" });
    let registered = registered(&t, &callback.uri(), other).await;
    let url = |path: &str| format!("{}{path}", t.app.config.public_url);
    let client = BasicClient::new(ClientId::new(registered.client_id.clone()))
        .set_auth_type(oauth2::AuthType::RequestBody)
        .set_auth_uri(AuthUrl::new(url("/oauth/authorize")).unwrap())
        .set_token_uri(TokenUrl::new(url("/oauth/token")).unwrap())
        .set_redirect_uri(RedirectUrl::new(callback.uri()).unwrap());
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (address, state) = client
        .authorize_url(CsrfToken::new_random)
        .add_scope(Scope::new(String::from("read")))
        .set_pkce_challenge(challenge)
        .url();
    let browser = Browser::start().await;
    browser.goto(address.as_str()).await;
    sign_in(&browser, "Reader").await;
    let back = callback.next().await;
    assert_eq!(back.parameter("state").as_ref(), Some(state.secret()));
    let http = http();
    let code = AuthorizationCode::new(back.parameter("code").unwrap());
    let tokens = client.exchange_code(code).set_pkce_verifier(verifier).request_async(&http).await.unwrap();
    t.secret(tokens.access_token().secret());
    let person = t.bearer(tokens.access_token().secret());
    assert_eq!(person.get("/api/v1/users/self").await.expect(200).body["username"], "admin");
    person.delete("/api/v1/users/self/sessions").await.expect(403);
    if let Some(refresh) = tokens.refresh_token() {
        t.secret(refresh.secret());
        let next = client.exchange_refresh_token(refresh).request_async(&http).await.unwrap();
        t.secret(next.access_token().secret());
        t.bearer(next.access_token().secret()).get("/api/v1/users/self").await.expect(200);
    }
}

/// The answer by a form that the browser posts to the client from another site.
#[tokio::test]
async fn form_post_brings_the_answer_in_a_form() {
    let t = server().await;
    let mut callback = Callback::listen().await;
    let client = registered(&t, &callback.uri(), json!({})).await;
    let browser = Browser::start().await;
    let address = client.address(&[("response_mode", "form_post")]);
    browser.goto(&format!("{}{address}", t.app.config.public_url)).await;
    sign_in(&browser, "shop").await;
    // A script presses the button; without scripts the person does.
    let back = callback.next().await;
    assert_eq!((back.method.as_str(), back.url.query()), ("POST", None));
    assert_eq!(back.parameter("iss").as_ref(), Some(&t.app.config.public_url));
    client.exchange(&back.parameter("code").unwrap()).await;
    assert_eq!(browser.console().await, Vec::<String>::new());
}

/// A Python program that listens on a port of its own. Killed by its id when dropped.
pub struct Program {
    child: Child,
    pub port: u16,
}

impl Program {
    /// Starts the program that is made for a port, and waits until it listens.
    pub async fn listening(make: impl Fn(u16) -> Command) -> Self {
        // Another program can take the port in between; then it ends, and another port is tried.
        for _ in 0..5 {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let port = free.local_addr().unwrap().port();
            drop(free);
            let child = make(port).stdin(Stdio::null()).spawn().unwrap();
            let mut program = Self { child, port };
            if program.listens().await {
                return program;
            }
        }
        panic!("it does not start on any port");
    }

    /// Waits until it accepts connections; `false` if it ends.
    async fn listens(&mut self) -> bool {
        let deadline = Instant::now() + TIMEOUT;
        while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            assert!(Instant::now() < deadline, "it does not listen");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        true
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Python with the packages of the tests, for a client of this server.
pub fn python_client(script: &Path, issuer: &str, client_id: &str, secret: &str) -> Command {
    let mut command = Command::new(python());
    command.arg("-u").arg(script).env("NO_PROXY", "*").env("ISSUER", issuer);
    command.env("CLIENT_ID", client_id).env("CLIENT_SECRET", secret);
    command
}

#[tokio::test]
async fn requests_oauthlib() {
    let t = server().await;
    let other = json!({ "tokenEndpointAuthMethod": "client_secret_basic", "scopes": ["openid", "profile", "offline_access"] });
    // The port of a loopback address is the client's own choice (RFC 8252 §7.3).
    let client = registered(&t, "http://127.0.0.1:1/callback", other).await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/requests_oauthlib_client.py");
    let program = Program::listening(|port| {
        let mut command = python_client(&script, &t.app.config.public_url, &client.client_id, &client.secret);
        // The library insists on TLS otherwise.
        command.env("PORT", port.to_string()).env("OAUTHLIB_INSECURE_TRANSPORT", "1");
        command
    })
    .await;
    let browser = Browser::start().await;
    let here = format!("http://127.0.0.1:{}/", program.port);
    browser.goto(&here).await;
    sign_in(&browser, "shop").await;
    browser.arrives(|url| url.starts_with(&here)).await;
    // Before and after a refresh.
    assert_eq!(browser.text().await, "Ada Admin Ada Admin");
}
