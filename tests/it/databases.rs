//! A database for each test: an SQLite file, or, when `TENANTRY_TEST_POSTGRES` names a PostgreSQL server, a database
//! of its own there. scripts/test runs the suite once for each.

use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio_postgres::config::Host;

use crate::proxy::Proxy;
use tenantry::config::{Config, DatabaseUrl};
use tenantry_core::clock::Clock;
use tenantry_store::store::{PostgresOptions, Store};

/// Names the server: the URL of a superuser, without a database.
pub const SERVER: &str = "TENANTRY_TEST_POSTGRES";

/// Whether this run of the suite is about PostgreSQL.
pub fn is_postgres() -> bool {
    std::env::var_os(SERVER).is_some()
}

/// A database that goes when it is dropped. Nothing to drop for SQLite: its file stands in the test's directory.
#[derive(Debug)]
pub struct Database(Option<String>);

impl Database {
    /// A new, empty database with the schema in it.
    pub fn new() -> Self {
        Self::made(is_postgres().then(|| Some(template())))
    }

    /// A new database with nothing in it at all.
    pub fn blank() -> Self {
        Self::made(is_postgres().then_some(None))
    }

    fn made(template: Option<Option<&str>>) -> Self {
        Self(template.map(|template| {
            static NUMBER: AtomicUsize = AtomicUsize::new(0);
            let name = format!("t_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
            create(&name, template.unwrap_or("template0"));
            name
        }))
    }

    /// The URL; none for SQLite.
    pub fn url(&self) -> Option<String> {
        self.0.as_deref().map(url_of)
    }

    /// Has `config` name this database.
    pub fn name_in(&self, config: &mut Config) {
        if let Some(url) = self.url() {
            config.database_url = parsed(&url);
            config.database_pool_size = 8;
        }
    }

    /// Runs SQL on it beside the server; `dir` is where SQLite's file stands.
    pub fn run(&self, dir: &Path, sql: &str) {
        match self.url() {
            Some(url) => run(&url, sql).map(drop).unwrap(),
            None => sqlite(dir).execute_batch(sql).unwrap(),
        }
    }

    /// Every value of a response, row by row, as text; beside the server.
    pub fn ask(&self, dir: &Path, sql: &str) -> Vec<Vec<String>> {
        let Some(url) = self.url() else {
            let database = sqlite(dir);
            let mut statement = database.prepare(sql).unwrap();
            let columns = statement.column_count();
            let text = |value: rusqlite::types::Value| match value {
                rusqlite::types::Value::Integer(n) => n.to_string(),
                rusqlite::types::Value::Text(text) => text,
                other => format!("{other:?}"),
            };
            let rows = statement.query_map([], |row| (0..columns).map(|at| Ok(text(row.get(at)?))).collect());
            return rows.unwrap().map(Result::unwrap).collect();
        };
        run(&url, sql).unwrap()
    }

    /// Runs SQL (PostgreSQL only) and gives its rows; NULL is an empty text.
    pub fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        run(&self.url().unwrap(), sql).unwrap()
    }

    /// The number that SQL gives (PostgreSQL only).
    pub fn number(&self, sql: &str) -> i64 {
        self.rows(sql)[0][0].parse().unwrap()
    }

    /// A network to it that can fail (PostgreSQL only), and the URL through it.
    pub fn behind_proxy(&self) -> (Proxy, String) {
        let server: tokio_postgres::Config = self.url().unwrap().parse().unwrap();
        let port = server.get_ports().first().copied().unwrap_or(5432);
        let proxy = match &server.get_hosts()[0] {
            Host::Tcp(host) => Proxy::to(format!("{host}:{port}")),
            Host::Unix(path) => Proxy::to_socket(path.join(format!(".s.PGSQL.{port}"))),
        };
        let user = server.get_user().unwrap();
        let password = server
            .get_password()
            .map_or_else(String::new, |password| format!(":{}", String::from_utf8_lossy(password)));
        let url = format!("postgres://{user}{password}@{}/{}", proxy.address, server.get_dbname().unwrap());
        (proxy, url)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Some(name) = &self.0 {
            // Connections of a server that is just ending do not keep it.
            let _ = run(&url_of("postgres"), &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        }
    }
}

/// The setting that names a database.
pub fn parsed(url: &str) -> DatabaseUrl {
    let flags = [(String::from("database-url"), url.to_owned())];
    let nothing = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
    Config::load(flags, [], nothing).unwrap().database_url
}

/// The URL of a database of the server under test.
pub fn url_of(name: &str) -> String {
    let server = std::env::var(SERVER).unwrap();
    match server.split_once('?') {
        Some((server, parameters)) => format!("{}/{name}?{parameters}", server.trim_end_matches('/')),
        None => format!("{}/{name}", server.trim_end_matches('/')),
    }
}

/// Options to open a database with.
pub fn options(url: &str) -> PostgresOptions<'_> {
    PostgresOptions {
        url,
        ca_file: None,
        pool_size: 4,
        wait: Duration::from_secs(20),
        timeout: Duration::from_secs(20),
        may_migrate: true,
    }
}

/// The database that others are copied from: it has the schema.
fn template() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let name = format!("template_{}", std::process::id());
        create(&name, "template0");
        Store::migrate_postgres(&options(&url_of(&name)), &Clock::manual(0)).unwrap();
        name
    })
}

fn create(name: &str, template: &str) {
    // The session that made the template may not have ended quite yet.
    for _ in 0..500 {
        match run(&url_of("postgres"), &format!("CREATE DATABASE {name} TEMPLATE {template}")) {
            Err(e) if e.contains("being accessed by other users") => {
                std::thread::sleep(Duration::from_millis(10));
            }
            made => return drop(made.unwrap()),
        }
    }
    panic!("{template} is still in use");
}

fn sqlite(dir: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(dir.join("tenantry.db")).unwrap()
}

/// Runs SQL on the database of this URL, on a thread of its own: a test's own thread may be waiting for others. Gives
/// every value of the response as text.
pub fn run(url: &str, sql: &str) -> Result<Vec<Vec<String>>, String> {
    std::thread::scope(|scope| {
        let run = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
                    .await
                    .map_err(|e| format!("{e:?}"))?;
                let driving = tokio::spawn(connection);
                let responses = client.simple_query(sql).await.map_err(|e| format!("{e:?}"));
                drop(client);
                let _ = driving.await;
                let text = |row: &tokio_postgres::SimpleQueryRow| {
                    (0..row.len()).map(|at| row.get(at).unwrap_or_default().to_owned()).collect()
                };
                let row = |response: &tokio_postgres::SimpleQueryMessage| match response {
                    tokio_postgres::SimpleQueryMessage::Row(row) => Some(text(row)),
                    _ => None,
                };
                Ok(responses?.iter().filter_map(row).collect())
            })
        };
        scope.spawn(run).join().unwrap()
    })
}
