//! `tenantry serve` and `tenantry config`: starts, restarts, ends, and what keeps a server from starting.

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use tenantry_domain::policy;

use crate::binary::{Ended, GIVEN, Home, Process, TIMEOUT, binary, password_in, tenantry, until};
use crate::harness::{ADMIN_PASSWORD, new_user};

/// Everything below a directory: names from there, and what is in the files.
pub fn everything(dir: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let mut found = Vec::new();
    let mut left = vec![dir.to_owned()];
    while let Some(path) = left.pop() {
        for entry in fs::read_dir(&path).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            let bytes = kind.is_file().then(|| fs::read(entry.path()).unwrap());
            if kind.is_dir() {
                left.push(entry.path());
            }
            found.push((entry.path(), bytes));
        }
    }
    found.sort();
    found
}

/// What is to be remembered of a file that must not be touched.
pub fn picture(path: &Path) -> (Vec<u8>, i64, u32) {
    let meta = fs::metadata(path).unwrap();
    (fs::read(path).unwrap(), meta.mtime_nsec(), meta.mode())
}

pub fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

/// The lines that a start after the first prints.
pub fn addresses(process: &Process) -> Vec<String> {
    let url = format!("http://localhost:{}", process.address.port());
    vec![
        format!("Tenantry {}", env!("CARGO_PKG_VERSION")),
        format!("console:    {url}/console"),
        format!("sign in:    {url}/sign-in"),
        format!("API:        {url}/api/v1"),
        format!("API docs:   {url}/docs/"),
        format!("health:     {url}/healthz"),
        String::from("data:       ./tenantry-data"),
        String::from("mail: files in ./tenantry-data/mail"),
    ]
}

#[tokio::test]
async fn the_first_start_prints_a_password_that_works_and_stays() {
    let home = Home::new();
    let server = Process::serve(home.path(), &[], &[]);
    let out = server.out();
    let said: Vec<&str> = out.lines().collect();
    assert_eq!(said[1], "first start: created partner 1 (\"default\") and its admin");
    assert_eq!(said[2], "  username: admin");
    let password = said[3].strip_prefix("  password: ").unwrap().to_owned();
    assert_eq!([&said[..1], &said[4..]].concat(), addresses(&server));
    let person = policy::Person {
        username: "admin",
        first_name: "Admin",
        last_name: "Admin",
        email: "admin@localhost",
    };
    assert_eq!(policy::check(&password, &person), Ok(()));
    let response = server.try_login("admin", &password).await.expect(200);
    assert_eq!(response.body.get("passwordChangeRequired"), None, "it is permanent");
    assert!(response.body["refresh_token"].is_string());
    let admin = server.bearer(response.body["access_token"].as_str().unwrap());
    let own = admin.get("/api/v1/users/self").await.expect(200).body;
    let told = ["pid", "userId", "username", "status", "firstName", "lastName", "email", "isAdmin"];
    assert_eq!(
        json!(told.map(|name| &own[name])),
        json!([1, 1, "admin", "ACTIVE", "Admin", "Admin", "admin@localhost", true])
    );
    admin.get("/api/v1/users/").await.expect(200);
    let ended = server.terminate();
    assert_eq!(ended.out.matches(&password).count(), 1, "printed once");
    assert!(!ended.err.contains(&password));
    for (path, bytes) in everything(home.path()) {
        let bytes = bytes.unwrap_or_default();
        assert!(!bytes.windows(password.len()).any(|part| part == password.as_bytes()), "{}", path.display());
    }

    let server = Process::serve(home.path(), &[], &[]);
    assert_eq!(server.out().lines().collect::<Vec<_>>(), addresses(&server), "only addresses");
    server.login("admin", &password).await.get("/api/v1/users/1").await.expect(200);
}

#[tokio::test]
async fn a_given_password_is_not_printed() {
    let home = Home::new();
    let env = [
        GIVEN[0],
        ("TENANTRY_ADMIN_USERNAME", "ada@example.com"),
        ("TENANTRY_ADMIN_EMAIL", "ada@example.com"),
        ("TENANTRY_ADMIN_FIRST_NAME", "Ada"),
        ("TENANTRY_ADMIN_LAST_NAME", "Lovelace"),
    ];
    let server = Process::serve(home.path(), &[], &env);
    assert!(server.out().contains("\n  username: ada@example.com\n  password: as set by admin-password\n"));
    let ada = server.login("ada@example.com", ADMIN_PASSWORD).await;
    let own = ada.get("/api/v1/self").await.expect(200).body;
    assert_eq!((&own["firstName"], &own["lastName"]), (&json!("Ada"), &json!("Lovelace")));
    let ended = server.terminate();
    assert!(!ended.out.contains(ADMIN_PASSWORD) && !ended.err.contains(ADMIN_PASSWORD));

    // Later the setting says nothing any more: the password in the database counts.
    let other = [("TENANTRY_ADMIN_PASSWORD", "Another.Tea-Cup-72"), env[1]];
    let server = Process::serve(home.path(), &[], &other);
    server.try_login("ada@example.com", "Another.Tea-Cup-72").await.expect(400);
    server.login("ada@example.com", ADMIN_PASSWORD).await;
}

#[test]
fn an_invalid_first_admin_is_refused_with_every_error() {
    let home = Home::new();
    let bad = [("TENANTRY_ADMIN_PASSWORD", "short:Zebra"), ("TENANTRY_ADMIN_LAST_NAME", "Zebra")];
    let said = home.refused(&[], &bad).refused(2);
    for what in
        ["has a character that is not allowed", "contains the last name", "fewer than 12", "has no digit"]
    {
        assert!(said.contains(what), "{what} is not in {said}");
    }
    assert!(said.lines().all(|line| line.starts_with("tenantry: admin-password (TENANTRY_ADMIN_PASSWORD) ")));
    assert!(!said.contains("short:Zebra"), "{said}");
    assert_eq!(everything(home.path()), [], "nothing is made");
}

#[tokio::test]
async fn everything_survives_a_restart() {
    let home = Home::new();
    let server = home.serve();
    let admin = server.admin().await;
    let group = admin.create_group("Editors").await;
    let mut body = new_user("fenna");
    body["groups"] = json!([group]);
    body["title"] = json!("Zoë \u{1f600}");
    let fenna = admin.create_with(&body).await;
    let temporary = password_in(&home.mails(1).await[0]);
    let gone = admin.create("gone").await["userId"].as_i64().unwrap();
    admin.delete(&format!("/api/v1/users/{gone}")).await.expect(204);
    let client = home.json("client create --partner 1 --name robot");
    let tokens = server.try_login("admin", ADMIN_PASSWORD).await.expect(200).body;
    let groups = admin.get("/api/v1/groups/").await.expect(200).body;
    let users = admin.everybody().await;
    let events = admin.events().await;
    assert_eq!(server.terminate().code, Some(0));

    let server = home.serve();
    let admin = server.bearer(tokens["access_token"].as_str().unwrap());
    assert_eq!(admin.everybody().await, users);
    assert_eq!(admin.get(&format!("/api/v1/users/{}", fenna["userId"])).await.expect(200).body, fenna);
    assert_eq!(admin.get("/api/v1/groups/").await.expect(200).body, groups);
    assert_eq!(admin.events().await, events);
    let response = server.try_login("fenna", &temporary).await.expect(200);
    assert_eq!(response.body["passwordChangeRequired"], true);
    let secret = client["client_secret"].as_str().unwrap();
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", client["client_id"].as_str().unwrap()),
        ("client_secret", secret),
    ];
    server.anonymous().form("/oauth/token", &form).await.expect(200);
    let refresh =
        [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"].as_str().unwrap())];
    let renewed = server.token(&refresh).await.expect(200).body;
    let next =
        [("grant_type", "refresh_token"), ("refresh_token", renewed["refresh_token"].as_str().unwrap())];
    server.token(&next).await.expect(200);
    // B24: also over a restart no number is given twice.
    assert!(server.admin().await.create("later").await["userId"].as_i64().unwrap() > gone);
    assert_eq!(server.terminate().code, Some(0));

    // That the token was used is remembered, too: its family ends.
    let server = home.serve();
    server.token(&refresh).await.expect(400);
    server.bearer(tokens["access_token"].as_str().unwrap()).get("/api/v1/self").await.expect(401);
    server.admin().await;
}

#[tokio::test]
async fn a_second_server_on_the_same_data_is_refused_by_name_of_the_lock() {
    let home = Home::new();
    let server = home.serve();
    let holder = format!("tenantry serve (pid {}) holds the lock", server.id());
    let said = home.refused(&[], &[]).refused(1);
    assert!(
        said.contains(&format!("{holder} ./tenantry-data/tenantry.lock: only one server can use this data")),
        "{said}"
    );
    // By another data directory, and by another name.
    let database = format!("sqlite:{}", home.data().join("tenantry.db").display());
    let said = home.refused(&["--data-dir", "other", "--database-url", &database], &[]).refused(1);
    assert!(said.contains(&holder), "{said}");
    std::os::unix::fs::symlink(home.data(), home.path().join("link")).unwrap();
    let said = home.refused(&["--data-dir", "link"], &[]).refused(1);
    assert!(said.contains(&holder), "{said}");
    // The first one has noticed nothing, and neither have commands, which go to it.
    server.admin().await.create("fenna").await;
    assert_eq!(home.json("user get fenna")["userId"], 2);
    // A killed server leaves no lock behind.
    server.kill();
    home.serve().admin().await.get("/api/v1/users/2").await.expect(200);
}

#[tokio::test]
async fn of_two_concurrent_first_starts_one_serves() {
    let home = Home::new();
    let start = || {
        let dir = home.path().to_owned();
        tokio::task::spawn_blocking(move || Process::try_serve(&dir, &[], &GIVEN))
    };
    let (one, other) = tokio::join!(start(), start());
    let (server, ended) = match (one.unwrap(), other.unwrap()) {
        (Ok(server), Err(ended)) | (Err(ended), Ok(server)) => (server, ended),
        both => panic!("not one of both: {both:?}"),
    };
    let said = ended.refused(1);
    assert!(said.contains("holds the lock ./tenantry-data/tenantry.lock"), "{said}");
    let admin = server.admin().await;
    assert_eq!(admin.everybody().await.as_array().unwrap().len(), 1);
    assert_eq!(home.json("partner list").as_array().unwrap().len(), 1);
}

#[test]
fn a_port_in_use_is_named_and_no_file_is_created() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = home.refused(&["--listen", &address], &[]).refused(1);
    assert_eq!(
        said,
        format!(
            "tenantry: cannot listen on {address}: another program uses this port: stop it, or set another port \
             with listen"
        )
    );
    assert_eq!(everything(home.path()), []);
}

#[test]
fn a_data_directory_without_a_parent_is_not_made() {
    let home = Home::new();
    let said = home.refused(&["--data-dir", "typo/data"], &[]).refused(1);
    assert!(
        said.contains("cannot create the data directory typo/data: its parent typo does not exist"),
        "{said}"
    );
    fs::write(home.path().join("file"), "mine").unwrap();
    let said = home.refused(&["--data-dir", "file"], &[]).refused(1);
    assert!(said.contains("file is a file, not a directory"), "{said}");
    let said = home.refused(&["--data-dir", "file/data"], &[]).refused(1);
    assert!(said.contains("file/data"), "{said}");
    assert_eq!(everything(home.path()), [(home.path().join("file"), Some(b"mine".to_vec()))]);
}

/// Starts servers as somebody whom file modes bind: they do not bind root.
pub struct Ordinary {
    pub home: Home,
    /// A copy, since nobody else may look into root's directories.
    binary: Option<PathBuf>,
}

const NOBODY: u32 = 65_534;

impl Ordinary {
    pub fn new() -> Self {
        let home = Home::new();
        let binary = rustix::process::geteuid().is_root().then(|| {
            let copy = home.path().join("tenantry");
            fs::copy(binary(), &copy).unwrap();
            set_mode(&copy, 0o755);
            set_mode(home.path(), 0o755);
            copy
        });
        Self { home, binary }
    }

    /// Gives a path of the home to whom the servers run as.
    pub fn give(&self, path: &Path) {
        if self.binary.is_some() {
            std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }

    fn serve(&self, args: &[&str]) -> Result<Process, Ended> {
        let args: Vec<&str> = ["serve", "--listen", "127.0.0.1:0"].iter().chain(args).copied().collect();
        Process::start(&mut self.run(&args))
    }

    /// The binary with this command line.
    pub fn run(&self, args: &[&str]) -> Command {
        let program = self.binary.as_deref().unwrap_or(binary());
        let mut command = tenantry(program, self.home.path(), args, &GIVEN);
        if self.binary.is_some() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }
}

pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn a_data_directory_that_may_not_be_written_is_refused() {
    let somebody = Ordinary::new();
    let at = |name: &str| somebody.home.path().join(name);
    // Its parent may not be written.
    fs::create_dir(at("closed")).unwrap();
    set_mode(&at("closed"), 0o555);
    let said = somebody.serve(&["--data-dir", "closed/data"]).unwrap_err().refused(1);
    assert!(
        said.contains("cannot create the data directory closed/data") && said.contains("permission to"),
        "{said}"
    );
    assert_eq!(fs::read_dir(at("closed")).unwrap().count(), 0);
    // It is there and may not be written: new, and with a database.
    let said = somebody.serve(&["--data-dir", "closed"]).unwrap_err().refused(1);
    assert!(said.contains("closed/tenantry.lock") && said.contains("permission to"), "{said}");
    assert_eq!(fs::read_dir(at("closed")).unwrap().count(), 0);
    fs::create_dir(at("open")).unwrap();
    somebody.give(&at("open"));
    set_mode(&at("open"), 0o700);
    let server = somebody.serve(&["--data-dir", "open"]).unwrap();
    server.admin().await.create("fenna").await;
    assert_eq!(server.terminate().code, Some(0));
    let database = at("open").join("tenantry.db");
    set_mode(&database, 0o400);
    set_mode(&at("open"), 0o500);
    let before = picture(&database);
    let said = somebody.serve(&["--data-dir", "open"]).unwrap_err().refused(1);
    // In which words depends on whether its log was there still.
    let hints = ["must be able to write", "the right to write"];
    assert!(said.contains("open") && hints.iter().any(|hint| said.contains(hint)), "{said}");
    assert_eq!(picture(&database), before);
    // Nothing is lost by it.
    set_mode(&database, 0o600);
    set_mode(&at("open"), 0o700);
    let server = somebody.serve(&["--data-dir", "open"]).unwrap();
    server.admin().await.get("/api/v1/users/2").await.expect(200);
}

#[tokio::test]
async fn a_file_that_is_not_our_database_is_unchanged() {
    let home = Home::new();
    let commands = [
        "partner list",
        "user create --partner 1 --username u --email u@example.com --first-name U --last-name V",
    ];
    let refuse = |what: &str| {
        let path = home.data().join("tenantry.db");
        let before = picture(&path);
        let said = home.refused(&[], &GIVEN).refused(1);
        assert!(said.contains("./tenantry-data/tenantry.db") && said.contains(what), "{said}");
        for line in commands {
            let said = home.command(line).refused(1);
            assert!(said.contains(what), "{said}");
        }
        assert_eq!(picture(&path), before, "untouched");
        let names: Vec<_> = everything(&home.data()).into_iter().map(|(path, _)| path).collect();
        let beside = names.iter().filter(|path| path.to_string_lossy().contains("tenantry.db-")).count();
        assert_eq!(beside, 0, "{names:?}");
    };
    fs::create_dir(home.data()).unwrap();
    set_mode(&home.data(), 0o700);
    let path = home.data().join("tenantry.db");
    for text in ["Dear diary, today I wrote a database.\n".repeat(200), "x".into(), "SQLite format 3".into()]
    {
        fs::write(&path, text).unwrap();
        refuse("is not a database (it was not changed)");
    }
    // It begins like one.
    fs::write(&path, [&b"SQLite format 3\0"[..], &[7; 9_000]].concat()).unwrap();
    refuse("database");
    fs::remove_file(&path).unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE diary (day TEXT); INSERT INTO diary VALUES ('today')").unwrap();
    other.close().unwrap();
    refuse("is another program's database (it was not changed)");
    fs::remove_file(&path).unwrap();
    assert_eq!(home.serve().terminate().code, Some(0));
    let newer = rusqlite::Connection::open(&path).unwrap();
    newer
        .execute_batch("INSERT INTO schema_versions (version, applied_at) VALUES (9000, 0); PRAGMA journal_mode = DELETE")
        .unwrap();
    newer.close().unwrap();
    refuse("was written by a newer version of Tenantry (schema 9000");
    let mended = rusqlite::Connection::open(&path).unwrap();
    mended.execute_batch("DELETE FROM schema_versions WHERE version = 9000").unwrap();
    mended.close().unwrap();
    home.serve().admin().await;
}

#[tokio::test]
async fn a_database_of_an_edited_migration_is_refused_and_unchanged() {
    let home = Home::new();
    home.serve().terminate();
    let path = home.data().join("tenantry.db");
    let edit = |sql: &str| {
        let database = rusqlite::Connection::open(&path).unwrap();
        database.execute_batch(sql).unwrap();
        database.close().unwrap();
    };
    edit("CREATE TABLE kept AS SELECT * FROM schema_versions");
    edit("UPDATE schema_versions SET checksum = 'of another text' WHERE version IN (5, 7)");
    let before = picture(&path);
    let said = home.refused(&[], &GIVEN).refused(1);
    assert!(
        said.contains("a different version of the migration 0005_short_terms, 0007_plans_and_search"),
        "{said}"
    );
    assert_eq!(picture(&path), before);
    edit(
        "UPDATE schema_versions SET checksum = (SELECT k.checksum FROM kept k WHERE k.version = schema_versions.version)",
    );
    home.serve().admin().await;
}

#[tokio::test]
async fn a_newer_database_in_wal_mode_is_refused_too() {
    let home = Home::new();
    home.serve().terminate();
    let path = home.data().join("tenantry.db");
    let newer = rusqlite::Connection::open(&path).unwrap();
    newer.execute_batch("INSERT INTO schema_versions (version, applied_at) VALUES (9000, 0)").unwrap();
    newer.close().unwrap();
    let before = picture(&path);
    let said = home.refused(&[], &GIVEN).refused(1);
    assert!(said.contains("was written by a newer version of Tenantry"), "{said}");
    assert_eq!(picture(&path), before, "untouched");
}

#[tokio::test]
async fn the_database_path_can_be_relative_or_absolute() {
    let home = Home::new();
    let at = |name: &str| home.path().join(name);
    fs::create_dir(at("db")).unwrap();
    let absolute = format!("sqlite:{}", at("db/two.db").display());
    for (url, path) in [("sqlite:db/one.db", "db/one.db"), (&absolute, "db/two.db")] {
        let server = Process::serve(home.path(), &["--database-url", url], &GIVEN);
        server.admin().await.create("fenna").await;
        assert_eq!(mode(&at(path)), 0o600);
        assert!(!home.data().join("tenantry.db").exists());
        let args = ["user", "get", "fenna", "--database-url", url];
        assert!(crate::binary::command(home.path(), &args).done().contains("username: fenna"));
        server.terminate();
        assert!(crate::binary::command(home.path(), &args).done().contains("username: fenna"));
    }
    let said = home.refused(&["--database-url", "sqlite:nowhere/x.db"], &[]).refused(1);
    assert!(said.contains("the directory nowhere for the database nowhere/x.db does not exist"), "{said}");
    let said = home.refused(&["--database-url", "sqlite:db"], &[]).refused(1);
    assert!(said.contains("the database db is a directory"), "{said}");
    for url in ["postgres://localhost/tenantry", "sqlite://db/one.db", "db/one.db", "sqlite:"] {
        let said = home.refused(&["--database-url", url], &[]).refused(2);
        assert!(said.starts_with("tenantry: database-url"), "{said}");
    }
    assert!(!at("nowhere").exists());
}

#[tokio::test]
async fn only_this_user_can_read_the_data() {
    let home = Home::new();
    let server = home.serve();
    server.admin().await.create("fenna").await;
    home.mails(1).await;
    home.command("partner list").done();
    assert_eq!(mode(&home.data()), 0o700);
    let mut seen = 0;
    for (path, _) in everything(&home.data()) {
        let wanted = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(&path), wanted, "{}", path.display());
        seen += 1;
    }
    // Database, its log and index, master key, lock, socket, mail directory, mail.
    assert_eq!(seen, 8);
    server.terminate();
    let names: Vec<_> = everything(&home.data()).into_iter().map(|(path, _)| path).collect();
    let name = |name: &str| home.data().join(name);
    assert!(!names.contains(&name("control.sock")) && !names.contains(&name("tenantry.db-wal")), "{names:?}");
}

#[tokio::test]
async fn a_stopping_server_finishes_requests_in_progress() {
    let home = Home::new();
    let server = home.serve();
    let admin = server.admin().await;
    let idle = TcpStream::connect(server.address).await.unwrap();
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let body = new_user("fenna").to_string();
    let head = format!(
        "POST /api/v1/users/ HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        server.address,
        admin.token.unwrap(),
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // The server says so when it is about to read the body: the request is in work.
    let mut heard = vec![0; 25];
    stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(heard, b"HTTP/1.1 100 Continue\r\n\r\n");
    let address = server.address;
    server.ask_to_stop();
    let refuses = || std::net::TcpStream::connect(address).is_err().then_some(());
    until("nobody new is served", refuses).await;
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut response = String::new();
    tokio::time::timeout(TIMEOUT, stream.read_to_string(&mut response)).await.unwrap().unwrap();
    assert!(response.starts_with("HTTP/1.1 201 Created\r\n"), "{response}");
    let ended = server.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(ended.err.contains("stopped"), "{}", ended.err);
    drop(idle);
    let server = home.serve();
    server.admin().await.get("/api/v1/users/2").await.expect(200);
    // The letter of the last moment goes out with the next start, if it had to wait.
    home.mails(1).await;
}

#[tokio::test]
async fn an_idle_server_stops_at_once() {
    let home = Home::new();
    for args in [&[][..], &["--worker-threads", "1"]] {
        let server = Process::serve(home.path(), args, &GIVEN);
        // A connection that is kept for the next request is nothing in work.
        server.admin().await.get("/api/v1/self").await.expect(200);
        server.signal(Signal::INT);
        let ended = server.ended();
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        assert!(!ended.err.contains("WARN") && !ended.err.contains("ERROR"), "{}", ended.err);
    }
}

#[tokio::test]
async fn a_first_start_with_unreadable_output_explains_how_to_log_in() {
    let home = Home::new();
    // Standard output is a full device.
    let mut command = tenantry(binary(), home.path(), &["serve", "--listen", "127.0.0.1:0"], &[]);
    command.stdout(fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let mut child = command.spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let said: Vec<String> = log.by_ref().take_while(|line| !line.contains("serving")).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(said.iter().any(|line| line.contains("user reset-password --print-password")), "{said:?}");
    let printed = home.json("user reset-password admin --print-password");
    let server = home.serve();
    let response = server.try_login("admin", printed["password"].as_str().unwrap()).await.expect(200);
    assert_eq!(response.body["passwordChangeRequired"], true);
}

#[tokio::test]
async fn the_binary_answers_health_metrics_and_documents() {
    let home = Home::new();
    let server = Process::serve(home.path(), &["--metrics-allow", "127.0.0.1"], &GIVEN);
    let anyone = server.anonymous();
    assert_eq!(anyone.get("/healthz").await.expect(200).body, json!({ "status": "ok" }));
    assert_eq!(anyone.get("/readyz").await.expect(200).body, json!({ "status": "ready" }));
    anyone.get("/api/v1/users/").await.expect(401);
    let metrics = anyone.get("/metrics").await.expect(200);
    assert!(metrics.header("content-type").starts_with("text/plain; version=0.0.4"));
    assert!(metrics.text.contains("tenantry_http_requests_total{class=\"2xx\"} 2\n"), "{}", metrics.text);
    assert!(metrics.text.contains("tenantry_http_requests_total{class=\"4xx\"} 1\n"), "{}", metrics.text);
    let proxied = anyone.request(reqwest::Method::GET, "/metrics").header("x-forwarded-for", "192.0.2.1");
    assert_eq!(proxied.send().await.unwrap().status(), 404);
    assert_eq!(anyone.get("/api/v1/openapi.json").await.expect(200).body["openapi"], "3.1.0");
    assert!(anyone.get("/docs/").await.expect(200).text.contains("swagger-ui"));
}

#[tokio::test]
async fn metrics_have_a_separate_listener() {
    let home = Home::new();
    let server = Process::serve(home.path(), &["--metrics-listen", "0"], &GIVEN);
    let out = server.out();
    let url = out.lines().find_map(|line| line.strip_prefix("metrics:    ")).unwrap().to_owned();
    assert!(url.starts_with("http://127.0.0.1:"), "a port alone is one of this machine: {url}");
    server.anonymous().get("/metrics").await.expect(404);
    let get = async |path: &str| {
        let response = reqwest::get(url.replace("/metrics", path)).await.unwrap();
        (response.status().as_u16(), response.headers().clone(), response.text().await.unwrap())
    };
    let (status, headers, text) = get("/metrics").await;
    assert_eq!((status, &headers["x-content-type-options"]), (200, &"nosniff".parse().unwrap()));
    assert!(text.contains("tenantry_http_requests_total{class=\"4xx\"} 1\n"), "{text}");
    for path in ["/", "/healthz", "/api/v1/users", "/docs/"] {
        assert_eq!(get(path).await.0, 404, "{path} is elsewhere");
    }
    // Both end together.
    server.signal(Signal::INT);
    let ended = server.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.err);

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = home.refused(&["--metrics-listen", &address], &GIVEN);
    assert!(said.err.contains("set another port with metrics-listen"), "{}", said.err);
}

#[test]
fn the_binary_prints_its_version() {
    let home = Home::new();
    assert_eq!(home.command("--version").done(), format!("tenantry {}\n", env!("CARGO_PKG_VERSION")));
    let help = home.command("--help").done();
    for command in ["serve", "config", "partner", "user", "client", "operator"] {
        assert!(
            help.lines().any(|line| line.trim_start().starts_with(command)),
            "{command} is not in {help}"
        );
    }
    assert_eq!(everything(home.path()), []);
}
