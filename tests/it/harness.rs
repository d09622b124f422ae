//! A server for each test, and the people who use it.
//!
//! Each test has its own database in its own directory, its own clock that stands until it is moved, and its own
//! port. When it ends, the log of everything (at trace level) is searched for every password and token it used.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex, OnceLock};

use metrics_exporter_prometheus::PrometheusBuilder;
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::databases::Database;
use tenantry::app::App;
use tenantry::config::{Config, DatabaseUrl};
use tenantry_core::clients::ClientKind;
use tenantry_core::clock::Clock;
use tenantry_core::error::Error;
use tenantry_core::model::{PartnerId, Profile, Status};
use tenantry_core::random::Random;
use tenantry_core::values;
use tenantry_domain::client_changes::{self, ClientChange, MadeClient, NewClient};
use tenantry_domain::users::NewUser;
use tenantry_domain::{partners, tokens, unit};
use tenantry_http::observe::Metrics;
use tenantry_http::server::serve;
use tenantry_mail::{Email, EmailContent, Mailer, Memory};
use tenantry_passwords::HashCost;
use tenantry_store::access::Operator;

/// 2026-11-23T09:00:00Z: when every test begins.
pub const START: i64 = 1_795_424_400_000;

/// The first admin's password.
pub const ADMIN_PASSWORD: &str = "Harness.Tea-Cup-71";

static LOG: LazyLock<Mutex<Vec<u8>>> = LazyLock::new(Mutex::default);

struct LogWriter;

impl io::Write for LogWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap().extend_from_slice(buf);
        Ok(buf.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Set for a process that measures its own memory: no log is kept in it.
pub const QUIET: &str = "TENANTRY_TEST_QUIET";

fn capture_log() {
    if std::env::var_os(QUIET).is_some() {
        return;
    }
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        let subscriber = tracing_subscriber::fmt()
            // What a person types into a browser is in the log of what drives it.
            .with_env_filter("trace,thirtyfour=off")
            .with_ansi(false)
            .with_writer(|| LogWriter)
            .finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
}

/// Values that must not be in any log line.
pub type Secrets = Arc<Mutex<Vec<String>>>;

/// A running server.
pub struct T {
    pub app: App,
    pub clock: Clock,
    pub mail: Memory,
    pub address: SocketAddr,
    pub dir: Arc<TempDir>,
    pub database: Arc<Database>,
    http: reqwest::Client,
    secrets: Secrets,
    log_start: usize,
    stop: Option<oneshot::Sender<()>>,
}

/// Opens the database, once a server that was stopped a moment ago has let go of its file.
async fn assemble(config: Config, clock: &Clock) -> App {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        match App::assemble(config.clone(), clock.clone(), Random::system(), HashCost::FOR_TESTS) {
            Err(Error::Conflict(conflict))
                if conflict.code == "locked" && tokio::time::Instant::now() < deadline =>
            {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            other => return other.unwrap(),
        }
    }
}

impl T {
    /// A server with an empty database but for partner 1 and its admin.
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// Like [`T::start`], with other settings.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::at(Clock::manual(START), change).await
    }

    /// Like [`T::with`], with another clock.
    pub async fn at(clock: Clock, change: impl FnOnce(&mut Config)) -> Self {
        capture_log();
        let dir = Arc::new(tempfile::tempdir().unwrap());
        let database = Arc::new(Database::new());
        let mut config = Config::for_tests(dir.path());
        database.name_in(&mut config);
        change(&mut config);
        let t = Self::run(dir, database, config, clock).await;
        let admin = NewUser {
            username: values::username("admin").unwrap(),
            status: Status::Active,
            profile: Profile {
                first_name: String::from("Ada"),
                last_name: String::from("Admin"),
                email: String::from("admin@example.com"),
                ..Profile::default()
            },
            groups: Vec::new(),
            is_admin: true,
        };
        let hash = t.app.hasher.hash(ADMIN_PASSWORD.to_owned().into()).await.unwrap();
        let by = Operator::of_this_machine();
        unit::write(&t.app.store, &by, move |tx| partners::bootstrap(tx, &admin, &hash)).await.unwrap();
        t
    }

    async fn run(dir: Arc<TempDir>, database: Arc<Database>, mut config: Config, clock: Clock) -> Self {
        let log_start = LOG.lock().unwrap().len();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // A test that sets no public URL gets one that browsers and clients reach it at.
        if config.public_url == Config::for_tests(dir.path()).public_url {
            config.public_url = format!("http://localhost:{}", address.port());
        }
        let bounds = tenantry::app::bounds(&config);
        let app = assemble(config, &clock).await;
        app.prepare().await.unwrap();
        let recorder = PrometheusBuilder::new().build_recorder();
        let service = tenantry::router::service(&app, &Arc::new(Metrics::new(&recorder)));
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(serve(listener, service, bounds, async move { drop(stopped.await) }));
        Self {
            app,
            clock,
            mail: Memory::new(),
            address,
            dir,
            database,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            secrets: Secrets::default(),
            log_start,
            stop: Some(stop),
        }
    }

    /// Stops the server and starts another on the same data, as a restart does. The clock goes on.
    pub async fn restart(self) -> Self {
        self.restart_with(|_| {}).await
    }

    /// Like [`T::restart`], with other settings.
    pub async fn restart_with(mut self, change: impl FnOnce(&mut Config)) -> Self {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        let (dir, database) = (Arc::clone(&self.dir), Arc::clone(&self.database));
        let (mut config, clock) = (self.app.config.clone(), self.clock.clone());
        change(&mut config);
        drop(self);
        Self::run(dir, database, config, clock).await
    }

    /// A second server over the same database, as another process is one (PostgreSQL only).
    pub async fn beside(&self) -> Self {
        self.beside_with(self.clock.clone(), |_| {}).await
    }

    /// Like [`T::beside`], with another clock and other settings.
    pub async fn beside_with(&self, clock: Clock, change: impl FnOnce(&mut Config)) -> Self {
        let (dir, database) = (Arc::clone(&self.dir), Arc::clone(&self.database));
        let mut config = self.app.config.clone();
        change(&mut config);
        Self::run(dir, database, config, clock).await
    }

    /// What was logged since this server was started, by whichever test.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&LOG.lock().unwrap()[self.log_start..]).into_owned()
    }

    /// A server with the same settings and clock over another database.
    pub async fn over(&self, database_url: DatabaseUrl) -> Self {
        let (dir, database) = (Arc::clone(&self.dir), Arc::clone(&self.database));
        let config = Config { database_url, ..self.app.config.clone() };
        Self::run(dir, database, config, self.clock.clone()).await
    }

    /// Runs SQL on the database, behind the server's back.
    pub fn run_sql(&self, sql: &str) {
        self.database.run(self.dir.path(), sql);
    }

    /// What the database answers to SQL, as text, row by row.
    pub fn ask_sql(&self, sql: &str) -> Vec<Vec<String>> {
        self.database.ask(self.dir.path(), sql)
    }

    /// Where values are noted that must not be in any log line.
    pub fn secrets(&self) -> Secrets {
        Arc::clone(&self.secrets)
    }

    /// A value that must not be in any log line.
    pub fn secret(&self, value: &str) {
        self.secrets.lock().unwrap().push(value.to_owned());
    }

    /// Delivers what is due and tells all mails so far.
    pub async fn mails(&self) -> Vec<Email> {
        tenantry_worker::deliver_due(&self.app, &Mailer::Memory(self.mail.clone())).await.unwrap();
        self.mail.sent()
    }

    /// The mails to one address.
    pub async fn mails_to(&self, address: &str) -> Vec<Email> {
        self.mails().await.into_iter().filter(|mail| mail.to.address == address).collect()
    }

    /// The newest temporary password mailed to a user.
    pub async fn mailed_password(&self, user: &str) -> String {
        let password = self.mails().await.into_iter().rev().find_map(|mail| match mail.content {
            EmailContent::TemporaryPassword { username, password, .. } if username == user => {
                Some(password.expose().to_owned())
            }
            _ => None,
        });
        let password = password.unwrap_or_else(|| panic!("no password was mailed to {user}"));
        self.secret(&password);
        password
    }

    /// Somebody without a token.
    pub fn anonymous(&self) -> Person<'_> {
        Person::over(&self.http, self.address, None)
    }

    /// Somebody with this access token.
    pub fn bearer(&self, token: &str) -> Person<'_> {
        Person::over(&self.http, self.address, Some(token))
    }

    /// Partner 1's first admin, logged in.
    pub async fn admin(&self) -> Person<'_> {
        self.login("admin", ADMIN_PASSWORD).await
    }

    /// Somebody who logs in through the public client.
    pub async fn login(&self, username: &str, password: &str) -> Person<'_> {
        let response = self.try_login(username, password).await;
        assert_eq!(response.status, 200, "{username} cannot log in: {}", response.body);
        self.bearer(response.body["access_token"].as_str().unwrap())
    }

    /// The response to a login through the public client.
    pub async fn try_login(&self, username: &str, password: &str) -> TestResponse {
        self.secret(password);
        let form = [("grant_type", "password"), ("username", username), ("password", password)];
        self.token(&form).await
    }

    /// The response to a token request of the public client.
    pub async fn token(&self, form: &[(&str, &str)]) -> TestResponse {
        self.token_from(None, form).await
    }

    /// The response to a login that a trusted proxy hands on from this address.
    pub async fn try_login_from(&self, address: &str, username: &str, password: &str) -> TestResponse {
        self.secret(password);
        let form = [("grant_type", "password"), ("username", username), ("password", password)];
        self.token_from(Some(address), &form).await
    }

    async fn token_from(&self, address: Option<&str>, form: &[(&str, &str)]) -> TestResponse {
        let mut form = form.to_vec();
        form.push(("client_id", "tenantry"));
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let mut request = self.anonymous().request(Method::POST, "/oauth/token");
        if let Some(address) = address {
            request = request.header("x-forwarded-for", address);
        }
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        let response = TestResponse::of(request.send().await.unwrap()).await;
        for name in ["access_token", "refresh_token"] {
            if let Some(token) = response.body[name].as_str() {
                self.secret(token);
            }
        }
        response
    }

    /// Whoever runs the server, with an operator token.
    pub async fn operator(&self) -> Person<'_> {
        let by = Operator::of_this_machine();
        let made =
            unit::write(&self.app.store, &by, move |tx| tokens::create_operator_token(tx, "tests")).await;
        let (_, token) = made.unwrap();
        self.secret(&token);
        self.bearer(&token)
    }

    /// A confidential client of a partner: its id and its secret.
    pub async fn client(&self, pid: i64, is_admin: bool) -> (String, String) {
        let settings = ClientChange {
            name: Some(String::from("robot")),
            is_admin: Some(is_admin),
            ..ClientChange::default()
        };
        self.new_client(pid, NewClient { kind: ClientKind::Confidential, settings }).await
    }

    /// A client of a partner: its id and its secret, which is empty if it is public.
    pub async fn new_client(&self, pid: i64, new: NewClient) -> (String, String) {
        let by = Operator::of_this_machine().as_admin_of(PartnerId(pid));
        let made = unit::write(&self.app.store, &by, move |tx| client_changes::create(tx, &new)).await;
        self.made_client(made.unwrap_or_else(|e| panic!("{e}")))
    }

    /// A product client: its id and its secret, which is empty if it is public.
    pub async fn product_client(&self, new: NewClient) -> (String, String) {
        let by = Operator::of_this_machine();
        let made =
            unit::write(&self.app.store, &by, move |tx| client_changes::create_product(tx, &new)).await;
        self.made_client(made.unwrap_or_else(|e| panic!("{e}")))
    }

    fn made_client(&self, made: MadeClient) -> (String, String) {
        let secret = made.secret.map(|secret| secret.to_string()).unwrap_or_default();
        if !secret.is_empty() {
            self.secret(&secret);
        }
        (made.client.client_id, secret)
    }

    /// The response to a form of a confidential client, which says by HTTP Basic who it is.
    pub async fn form_as(
        &self,
        client: &(String, String),
        path: &str,
        form: &[(&str, &str)],
    ) -> TestResponse {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self
            .anonymous()
            .request(Method::POST, path)
            .basic_auth(&client.0, Some(&client.1))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body);
        let response = TestResponse::of(request.send().await.unwrap()).await;
        for name in ["access_token", "refresh_token"] {
            if let Some(token) = response.body[name].as_str() {
                self.secret(token);
            }
        }
        response
    }

    /// The technical account of a client (B28).
    pub async fn technical_account(&self, client: &(String, String)) -> Person<'_> {
        let response =
            self.form_as(client, "/oauth/token", &[("grant_type", "client_credentials")]).await.expect(200);
        self.bearer(response.body["access_token"].as_str().unwrap())
    }

    /// A member with a permanent password, logged in; the user's number first.
    pub async fn member(&self, username: &str) -> (i64, Person<'_>) {
        let user = self.admin().await.create(username).await;
        let password = self.mailed_password(username).await;
        let person = self.login(username, &password).await;
        let body = json!({ "oldPassword": password, "newPassword": password_of(username) });
        self.secret(&password_of(username));
        let response = person.post("/api/v1/users/self/update-password", &body).await;
        assert_eq!(response.status, 200, "{}", response.body);
        (user["userId"].as_i64().unwrap(), self.login(username, &password_of(username)).await)
    }

    /// Another partner with its admin, logged in; the partner's number first.
    pub async fn other_partner(&self, name: &str) -> (i64, Person<'_>) {
        let by = Operator::of_this_machine();
        let username = format!("{name}-admin");
        let admin = NewUser {
            profile: Profile {
                first_name: String::from("Olga"),
                last_name: String::from("Other"),
                email: format!("{username}@example.com"),
                ..Profile::default()
            },
            username: values::username(&username).unwrap(),
            status: Status::Active,
            groups: Vec::new(),
            is_admin: true,
        };
        let name = name.to_owned();
        let made = unit::write(&self.app.store, &by, move |tx| partners::create(tx, &name, &admin, true))
            .await
            .unwrap();
        let temporary = made.password.unwrap();
        let person = self.login(&username, &temporary).await;
        let body = json!({ "oldPassword": temporary, "newPassword": password_of(&username) });
        assert_eq!(person.post("/api/v1/users/self/update-password", &body).await.status, 200);
        (made.partner.pid.0, person)
    }
}

/// The permanent password of a person made by the harness.
pub fn password_of(username: &str) -> String {
    let sum: u32 = username.bytes().map(u32::from).sum();
    format!("Q{sum}x.Kettle-Zyg8v")
}

impl Drop for T {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if std::thread::panicking() {
            // A test is told that the database cannot be reached; the log alone says why.
            if let Ok(log) = LOG.lock() {
                let log = String::from_utf8_lossy(&log[self.log_start..]);
                log.lines()
                    .filter(|line| line.contains("cannot be reached"))
                    .for_each(|line| eprintln!("{line}"));
            }
            return;
        }
        let log = LOG.lock().unwrap();
        let log = String::from_utf8_lossy(&log[self.log_start..]);
        for secret in self.secrets.lock().unwrap().iter().filter(|secret| !secret.is_empty()) {
            if let Some(line) = log.lines().find(|line| line.contains(secret.as_str())) {
                panic!("a secret is in the log: {line}");
            }
        }
    }
}

/// Somebody who sends requests.
#[derive(Clone)]
pub struct Person<'t> {
    http: &'t reqwest::Client,
    address: SocketAddr,
    pub token: Option<String>,
}

impl<'t> Person<'t> {
    /// Somebody who talks to the server at this address.
    pub fn over(http: &'t reqwest::Client, address: SocketAddr, token: Option<&str>) -> Self {
        Self { http, address, token: token.map(str::to_owned) }
    }

    pub async fn get(&self, path: &str) -> TestResponse {
        self.send(Method::GET, path, None, "").await
    }

    pub async fn delete(&self, path: &str) -> TestResponse {
        self.send(Method::DELETE, path, None, "").await
    }

    pub async fn post(&self, path: &str, body: &Value) -> TestResponse {
        self.send(Method::POST, path, Some(body.to_string().into_bytes()), "application/json").await
    }

    pub async fn put(&self, path: &str, body: &Value) -> TestResponse {
        self.send(Method::PUT, path, Some(body.to_string().into_bytes()), "application/json").await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> TestResponse {
        self.send(Method::PATCH, path, Some(body.to_string().into_bytes()), "application/json").await
    }

    pub async fn form(&self, path: &str, form: &[(&str, &str)]) -> TestResponse {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        self.send(Method::POST, path, Some(body.into_bytes()), "application/x-www-form-urlencoded").await
    }

    /// Any request; an empty content type sends none.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
        content_type: &str,
    ) -> TestResponse {
        let mut request = self.request(method, path);
        if !content_type.is_empty() {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        TestResponse::of(request.send().await.unwrap()).await
    }

    /// A request to be completed by the test.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("http://{}{path}", self.address));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Creates an ACTIVE user of this name.
    pub async fn create(&self, username: &str) -> Value {
        self.create_with(&new_user(username)).await
    }

    /// Creates a user from this body.
    pub async fn create_with(&self, body: &Value) -> Value {
        let response = self.post("/api/v1/users/", body).await;
        assert_eq!(response.status, 201, "{}", response.body);
        response.body
    }

    /// Creates a group; its number.
    pub async fn create_group(&self, name: &str) -> i64 {
        let response = self.post("/api/v1/groups/", &json!({ "name": name, "description": "" })).await;
        assert_eq!(response.status, 201, "{}", response.body);
        response.body["groupId"].as_i64().unwrap()
    }
}

/// The smallest body that creates an ACTIVE user.
pub fn new_user(username: &str) -> Value {
    json!({
        "username": username,
        "status": "ACTIVE",
        "firstName": "Fenna",
        "lastName": "Jansen",
        "email": format!("{}@example.com", username.replace('@', ".")),
    })
}

/// A response of the server.
#[derive(Debug)]
pub struct TestResponse {
    pub status: StatusCode,
    pub headers: header::HeaderMap,
    /// The body as JSON; null when it is none.
    pub body: Value,
    pub text: String,
}

impl TestResponse {
    pub async fn of(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.unwrap();
        Self { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::Null), text }
    }

    /// A header's value; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The codes of the faults, as `field code`.
    pub fn faults(&self) -> Vec<String> {
        let errors = self.body["errors"].as_array().cloned().unwrap_or_default();
        let text = |fault: &Value, name: &str| fault[name].as_str().unwrap_or_default().to_owned();
        errors.iter().map(|f| format!("{} {}", text(f, "field"), text(f, "code"))).collect()
    }

    /// The rows of a page.
    pub fn list(&self) -> &[Value] {
        self.body["list"].as_array().map(Vec::as_slice).unwrap_or_default()
    }

    /// Asserts the status and tells the body if it is another.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }
}
