//! PgBouncer between Tenantry and PostgreSQL: refused where it assigns a connection per transaction or statement, of use
//! where it assigns one per client.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_postgres::NoTls;

use crate::binary::{GIVEN, Home};
use crate::databases::{Database, is_postgres};
use crate::postgres::{assert_says, contents, refused, serve, with_url};

/// As tutorials configure it.
const INI: &str = include_str!("../field/P16-pgbouncer.ini");

/// A PgBouncer in front of a database. Killed by its id when dropped.
struct Pooler {
    child: Child,
    url: String,
    _directory: tempfile::TempDir,
}

impl Pooler {
    /// The configuration of the file, on a free port, with other values of some lines.
    fn start(database: &Database, changes: &[(&str, &str)]) -> Self {
        // It cannot choose a port itself: another one is tried if somebody takes this one first.
        for _ in 0..20 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            if let Some(pooler) = Self::try_start(database, changes, port) {
                return pooler;
            }
        }
        panic!("PgBouncer does not start");
    }

    fn try_start(database: &Database, changes: &[(&str, &str)], port: u16) -> Option<Self> {
        let server: tokio_postgres::Config = database.url().unwrap().parse().unwrap();
        let password = String::from_utf8(server.get_password().unwrap_or_default().to_vec()).unwrap();
        let (server_port, listen) = (format!("port={}", server.get_ports()[0]), port.to_string());
        let mut ini = INI.replace("port=5432", &server_port).replace(
            "dbname=pooled user=postgres",
            &format!(
                "dbname={} user={} password={password}",
                server.get_dbname().unwrap(),
                server.get_user().unwrap()
            ),
        );
        for (name, value) in [("listen_port", listen.as_str())].iter().chain(changes) {
            let is_it = |line: &&str| line.starts_with(&format!("{name}="));
            ini = ini.lines().filter(|line| !is_it(line)).map(|line| format!("{line}\n")).collect();
            ini.push_str(&format!("{name}={value}\n"));
        }
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pgbouncer.ini");
        std::fs::write(&file, ini).unwrap();
        let debian = Path::new("/usr/sbin/pgbouncer");
        let mut command = Command::new(if debian.exists() { debian } else { Path::new("pgbouncer") });
        if rustix::process::geteuid().is_root() {
            // It refuses to be root. It reads the file before it becomes this user.
            command.args(["-u", "postgres"]);
        }
        command.arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start pgbouncer, which scripts/test installs: {e}"));
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let is_up = lines.by_ref().any(|line| line.contains("process up"));
        // Its log is read on, so that it does not stop at a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let url = format!("postgres://anybody@127.0.0.1:{port}/pooled");
        let pooler = Self { child, url, _directory: directory };
        is_up.then_some(pooler)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const HINTS: [&str; 4] = [
    "cannot use 127.0.0.1:",
    "a pooler that assigns a connection per transaction or statement",
    "connect to PostgreSQL directly",
    "pool_mode = session",
];

#[test]
fn a_pooler_of_transactions_or_statements_is_refused_by_name() {
    if !is_postgres() {
        return;
    }
    let variants: [&[(&str, &str)]; 5] = [
        &[],
        // One connection: the second client gets that of the first.
        &[("default_pool_size", "1")],
        // The longest unused connection first, of several.
        &[("server_round_robin", "1"), ("min_pool_size", "5")],
        &[("default_pool_size", "2")],
        &[("pool_mode", "statement")],
    ];
    let database = Database::blank();
    for changes in variants {
        let pooler = Pooler::start(&database, changes);
        // At the start of a server, and of `migrate`.
        assert_says(&refused(&pooler.url, &[]), &HINTS);
        let home = Home::new();
        for line in ["partner list", "copy --to sqlite:new.db"] {
            let args: Vec<&str> = line.split(' ').collect();
            assert_says(&with_url(home.path(), &pooler.url, &args).refused(1), &HINTS);
        }
        assert_eq!(contents(&database.url().unwrap()), Vec::<Vec<String>>::new());
    }
}

/// Other clients take and return the pooler's connections all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_pooler_that_is_in_use_is_refused_as_well() {
    if !is_postgres() {
        return;
    }
    let database = Database::blank();
    let pooler = Pooler::start(&database, &[("default_pool_size", "4")]);
    static DONE: AtomicBool = AtomicBool::new(false);
    let clients: Vec<_> = (0..6)
        .map(|_| {
            let url = pooler.url.clone();
            tokio::spawn(async move {
                let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
                let driver = tokio::spawn(connection);
                while !DONE.load(Ordering::Relaxed) {
                    client.batch_execute("SELECT 1").await.unwrap();
                }
                driver.abort();
            })
        })
        .collect();
    let url = pooler.url.clone();
    let starts = tokio::task::spawn_blocking(move || {
        let said: Vec<String> = (0..5).map(|_| refused(&url, &[])).collect();
        DONE.store(true, Ordering::Relaxed);
        said
    });
    for said in starts.await.unwrap() {
        assert_says(&said, &HINTS);
    }
    for client in clients {
        client.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_of_sessions_is_as_good_as_the_server() {
    if !is_postgres() {
        return;
    }
    let (home, database) = (Home::new(), Database::blank());
    let pooler = Pooler::start(&database, &[("pool_mode", "session"), ("default_pool_size", "40")]);
    let url = pooler.url.clone();
    let server =
        tokio::task::spawn_blocking(move || (serve(&home, &url, &["--database-pool-size", "4"]), home));
    let (server, home) = server.await.unwrap();
    let server = server.unwrap();
    let admin = server.admin().await;
    admin.create("fenna").await;
    // A command beside it, and what it changed is in force in the server at once: notifications arrive.
    let token = server.try_login("admin", GIVEN[0].1).await.expect(200).body["access_token"].clone();
    let person = server.bearer(token.as_str().unwrap());
    person.get("/api/v1/users/self").await.expect(200);
    let locked = with_url(home.path(), &pooler.url, &["user", "lock", "admin", "--force"]);
    assert_eq!(locked.code, Some(0), "{}", locked.err);
    let is_out = async {
        while person.get("/api/v1/users/self").await.status == 200 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(crate::binary::TIMEOUT, is_out).await.unwrap();
    assert_eq!(server.terminate().code, Some(0));
}
