//! Servers of their own over one database, with a client and people who sign in on the pages: for what happens when one of
//! them is killed, or knows what another one does not know yet.

use reqwest::Method;
use serde_json::json;
use url::Url;

use crate::binary::{GIVEN, Home, Process};
use crate::databases::Database;
use crate::harness::{ADMIN_PASSWORD, TestResponse};
use crate::products::{CHALLENGE, REDIRECT_URI, VERIFIER};
use crate::visitor::{Page, Visitor};

/// The data of servers that run the binary: SQLite in a directory, or a PostgreSQL database.
pub struct Deployment {
    home: Home,
    database: Database,
}

impl Deployment {
    pub fn new() -> Self {
        Self { home: Home::new(), database: Database::blank() }
    }

    /// Starts a server.
    pub fn serve(&self) -> Process {
        self.serve_in(&self.home)
    }

    /// Starts a server of another directory over the same PostgreSQL database.
    pub fn serve_in(&self, home: &Home) -> Process {
        let (url, mut env) = (self.database.url(), GIVEN.to_vec());
        env.extend(url.as_deref().map(|url| ("TENANTRY_DATABASE_URL", url)));
        Process::serve(home.path(), &[], &env)
    }

    /// What the database answers to SQL.
    pub fn ask(&self, sql: &str) -> Vec<Vec<String>> {
        self.database.ask(&self.home.data(), sql)
    }

    /// The number that SQL gives.
    pub fn number(&self, sql: &str) -> i64 {
        self.ask(sql)[0][0].parse().unwrap()
    }
}

/// Somebody with a browser at a server.
pub fn visitor_of(server: &Process) -> Visitor {
    Visitor::at(&url_of(server))
}

/// The URL of a server.
pub fn url_of(server: &Process) -> String {
    format!("http://{}", server.address)
}

/// A confidential client of partner 1, which servers of one database know.
pub struct Shop {
    pub client_id: String,
    secret: String,
}

impl Shop {
    pub async fn register(server: &Process) -> Self {
        let body = json!({
            "name": "Shop", "redirectUris": [REDIRECT_URI], "postLogoutRedirectUris": ["https://shop.example/bye"],
            "idTokenAlg": "ES256", "requireConsent": false,
        });
        let made = server.admin().await.post("/api/v1/clients", &body).await.expect(201).body;
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        Self { client_id: text("clientId"), secret: text("clientSecret") }
    }

    /// The answer to an authorization request.
    pub async fn send(&self, visitor: &Visitor, scope: &str) -> Page {
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([
                ("client_id", self.client_id.as_str()),
                ("redirect_uri", REDIRECT_URI),
                ("response_type", "code"),
                ("scope", scope),
                ("nonce", "a nonce"),
                ("code_challenge", CHALLENGE),
                ("code_challenge_method", "S256"),
            ])
            .finish();
        visitor.open(&format!("/oauth/authorize?{query}")).await
    }

    /// Has the admin sign in, for a code.
    pub async fn sign_in(&self, visitor: &Visitor, scope: &str) -> String {
        let page = self.send(visitor, scope).await;
        code_of(visitor.sign_in(page, "admin", ADMIN_PASSWORD).await.elsewhere())
    }

    /// A code of somebody who is signed in.
    pub async fn code(&self, visitor: &Visitor, scope: &str) -> String {
        code_of(self.send(visitor, scope).await.elsewhere())
    }

    /// A request to the token endpoint, to be sent.
    pub fn token(&self, server: &Process, form: &[(&str, &str)]) -> reqwest::RequestBuilder {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = server.anonymous().request(Method::POST, "/oauth/token");
        let request = request.basic_auth(&self.client_id, Some(&self.secret));
        request.header("content-type", "application/x-www-form-urlencoded").body(body)
    }

    /// The exchange of a code, to be sent.
    pub fn exchange(&self, server: &Process, code: &str) -> reqwest::RequestBuilder {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT_URI),
            ("code_verifier", VERIFIER),
        ];
        self.token(server, &form)
    }

    /// The answer to the exchange of a code.
    pub async fn exchanged(&self, server: &Process, code: &str) -> TestResponse {
        TestResponse::of(self.exchange(server, code).send().await.unwrap()).await
    }

    /// The answer to the use of a refresh token.
    pub async fn refreshed(&self, server: &Process, token: &str) -> TestResponse {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
        TestResponse::of(self.token(server, &form).send().await.unwrap()).await
    }
}

fn code_of(url: &Url) -> String {
    let found = url.query_pairs().find(|(name, _)| name == "code");
    found.unwrap_or_else(|| panic!("no code: {url}")).1.into_owned()
}

/// The status of the userinfo endpoint for this access token.
pub async fn userinfo(server: &Process, token: &str) -> u16 {
    server.bearer(token).get("/oauth/userinfo").await.status.as_u16()
}
