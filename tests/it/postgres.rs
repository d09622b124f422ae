//! PostgreSQL as whoever runs it meets it: the real binary makes and refuses databases, in clear words.

use std::path::Path;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::binary::{Ended, GIVEN, Home, Process, command};
use crate::databases::{Database, is_postgres, run, url_of};
use crate::fixtures::with;
use crate::user_fields::nulls;

/// Where the binary is told its database, since a URL may hold a password.
const URL: &str = "TENANTRY_DATABASE_URL";

/// Runs the binary to its end on the database of this URL.
pub fn with_url(dir: &Path, url: &str, args: &[&str]) -> Ended {
    let args: Vec<&str> = args.iter().copied().chain(["--database-url", url]).collect();
    command(dir, &args)
}

/// A server on the database of this URL.
pub fn serve(home: &Home, url: &str, args: &[&str]) -> Result<Process, Ended> {
    Process::try_serve(home.path(), args, &[GIVEN[0], (URL, url)])
}

/// What a server complains of that does not start: one line, and the code 1.
#[track_caller]
pub fn refused(url: &str, args: &[&str]) -> String {
    let home = Home::new();
    let said = home.refused(args, &[GIVEN[0], (URL, url)]).refused(1);
    assert_eq!(said.lines().count(), 1, "{said}");
    // And so do the commands.
    let migrate = with_url(home.path(), url, &["migrate"]);
    if !args.contains(&"--no-migrate") {
        assert_eq!(migrate.refused(1), said);
    }
    said
}

#[track_caller]
pub fn assert_says(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "{part:?} is not in: {said}");
    }
}

/// What there is in a database: every table with its number of rows.
pub fn contents(url: &str) -> Vec<Vec<String>> {
    run(
        url,
        "SELECT n.nspname || '.' || c.relname, c.relkind, (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid) \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') ORDER BY 1",
    )
    .unwrap()
}

#[test]
fn migrate_creates_the_schema_once_and_says_so() {
    if !is_postgres() {
        return;
    }
    let (home, database) = (Home::new(), Database::blank());
    let url = database.url().unwrap();
    let said = with_url(home.path(), &url, &["migrate"]).done();
    let newest = database.number("SELECT max(version) FROM schema_versions");
    assert_eq!(said, format!("the schema was upgraded from version 0 to {newest}\n"));
    let before = contents(&url);
    let said = with_url(home.path(), &url, &["migrate"]).done();
    assert_eq!(said, format!("the schema is up to date (version {newest})\n"));
    assert_eq!(contents(&url), before);
    assert_eq!(database.number("SELECT count(*) FROM schema_versions"), newest);
    assert_eq!(database.number("SELECT count(*) FROM partners"), 0, "it makes tables, no people");
    // Then it serves without the right to change anything.
    drop(serve(&home, &url, &["--no-migrate"]).unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_that_start_concurrently_create_one_schema_and_one_admin() {
    if !is_postgres() {
        return;
    }
    for _ in 0..3 {
        let database = Database::blank();
        let url = database.url().unwrap();
        let start = || {
            let url = url.clone();
            tokio::task::spawn_blocking(move || {
                let home = Home::new();
                let process = serve(&home, &url, &[]).unwrap();
                (home, process)
            })
        };
        let (one, two) = tokio::join!(start(), start());
        let both = [one.unwrap(), two.unwrap()];
        let made = both
            .iter()
            .filter(|(_, process)| process.out().contains("first start: created partner 1"))
            .count();
        assert_eq!(made, 1, "{both:?}", both = both.each_ref().map(|(_, process)| process.out()));
        for table in ["partners", "users", "passwords"] {
            assert_eq!(database.number(&format!("SELECT count(*) FROM {table}")), 1, "{table}");
        }
        assert_eq!(database.number("SELECT min(pid) FROM partners"), 1);
        for (_, process) in &both {
            let user = process.admin().await.get("/api/v1/users/self").await.expect(200).body;
            assert_eq!((&user["pid"], &user["isAdmin"]), (&json!(1), &json!(true)));
        }
    }
}

#[test]
fn a_newer_database_is_refused_and_unchanged() {
    if !is_postgres() {
        return;
    }
    let database = Database::new();
    let url = database.url().unwrap();
    let newest = database.number("SELECT max(version) FROM schema_versions");
    database.rows("INSERT INTO schema_versions (version, applied_at) VALUES (999, 0)");
    let before = contents(&url);
    let said = refused(&url, &[]);
    assert_says(
        &said,
        &[
            "was written by a newer version of Tenantry",
            "schema 999",
            &format!("supports {newest}"),
            "run the newer version",
        ],
    );
    assert_eq!(contents(&url), before);
    assert_eq!(database.number("SELECT count(*) FROM partners"), 0);
}

/// The schema of the first version, as that version made it.
fn first_schema() -> String {
    let made = include_str!("../../migrations/0001_initial.sql")
        .lines()
        .map(|line| line.trim_start())
        .filter_map(|line| match line.strip_prefix("--@postgres ") {
            None if line.starts_with("--@") => None,
            other => other.or(Some(line)),
        })
        .flat_map(|line| [line, "\n"]);
    let mark = "CREATE TABLE schema_versions (version BIGINT NOT NULL PRIMARY KEY, applied_at BIGINT NOT NULL); \
                INSERT INTO schema_versions VALUES (1, 0)";
    made.chain([mark]).collect()
}

#[test]
fn a_database_of_an_edited_migration_is_refused_and_unchanged() {
    if !is_postgres() {
        return;
    }
    let database = Database::new();
    let url = database.url().unwrap();
    let checksums =
        |database: &Database| database.rows("SELECT version, checksum FROM schema_versions ORDER BY version");
    let known = checksums(&database);
    assert_eq!(database.number("SELECT count(*) FROM schema_versions WHERE length(checksum) <> 64"), 0);
    database.rows("UPDATE schema_versions SET checksum = 'of another text' WHERE version = 5");
    let before = contents(&url);
    // At the start, and by `tenantry migrate`.
    assert_says(
        &refused(&url, &[]),
        &["a different version of the migration 0005_short_terms", "restore the file"],
    );
    assert_says(&refused(&url, &["--no-migrate"]), &["0005_short_terms"]);
    assert_eq!(contents(&url), before);
    // One from before there were checksums gets them.
    let old = Database::blank();
    let url = old.url().unwrap();
    old.rows(&first_schema());
    with_url(Home::new().path(), &url, &["migrate"]).done();
    assert_eq!(checksums(&old), known);
    // And serves.
    drop(serve(&Home::new(), &url, &["--no-migrate"]).unwrap());
}

#[test]
fn an_older_database_waits_for_migrate_where_it_must() {
    if !is_postgres() {
        return;
    }
    let newest = Database::new().number("SELECT max(version) FROM schema_versions");
    let database = Database::blank();
    let url = database.url().unwrap();
    database.rows(&first_schema());
    let before = contents(&url);
    let said = refused(&url, &["--no-migrate"]);
    assert_says(&said, &["has schema 1", &format!("requires {newest}"), "run `tenantry migrate`"]);
    // Looking only, it changed nothing; `refused` ran the command that does.
    let home = Home::new();
    assert_ne!(contents(&url), before);
    assert_eq!(
        with_url(home.path(), &url, &["migrate"]).done(),
        format!("the schema is up to date (version {newest})\n")
    );
    drop(serve(&home, &url, &["--no-migrate"]).unwrap());
    // An empty one as well.
    let database = Database::blank();
    let home = Home::new();
    let url = database.url().unwrap();
    let said = home.refused(&["--no-migrate"], &[GIVEN[0], (URL, &url)]).refused(1);
    assert_says(&said, &["has schema 0", "run `tenantry migrate`"]);
    assert_eq!(contents(&url), Vec::<Vec<String>>::new());
}

/// Users of an older schema are there after an upgrade, and so are those that a server of the older version, which is not
/// replaced yet, stores after it: its statements do not name what came later (docs/adr/0012).
#[test]
fn an_older_version_keeps_working_with_a_newer_schema() {
    if !is_postgres() {
        return;
    }
    let database = Database::blank();
    let url = database.url().unwrap();
    database.rows(&first_schema());
    database.rows("INSERT INTO partners (pid, name, name_key, created_at) VALUES (1, 'old', 'old', 1)");
    let insert = |id: i64, name: &str| {
        database.rows(&format!(
            "INSERT INTO users (pid, user_id, username, status, first_name, last_name, email, is_admin, created_at, \
             updated_at, username_key, first_name_key, last_name_key, email_key, title_key, phone_number_key, \
             external_id_key) VALUES (1, {id}, '{name}', 0, 'Ada', 'Lovelace', '{name}@example.com', 0, 1, 1, '{name}', \
             'ada', 'lovelace', '{name}@example.com', '', '', '')"
        ));
    };
    insert(5, "before");
    let home = Home::new();
    with_url(home.path(), &url, &["migrate"]).done();
    insert(6, "after");
    for (id, name) in [("5", "before"), ("6", "after")] {
        let said = with_url(home.path(), &url, &["user", "get", id, "--json"]).done();
        let user: Value = serde_json::from_str(&said).unwrap();
        let expected = json!({ "username": name, "firstName": "Ada", "groups": [], "isAdmin": false });
        assert_eq!(user, with(&user, with(&nulls(), expected)));
    }
    let found = with_url(home.path(), &url, &["user", "list", "--partner", "1", "--search", "love"]).done();
    assert!(found.contains("before") && found.contains("after"), "{found}");
}

#[test]
fn a_database_of_another_program_is_refused_and_unchanged() {
    if !is_postgres() {
        return;
    }
    let database = Database::blank();
    let url = database.url().unwrap();
    database.rows("CREATE TABLE invoices (id BIGINT PRIMARY KEY); INSERT INTO invoices VALUES (7)");
    let before = contents(&url);
    let said = refused(&url, &[]);
    assert_says(
        &said,
        &["contains tables of another program", "was not changed", "its own database or schema"],
    );
    assert_eq!(contents(&url), before);
    assert_eq!(database.number("SELECT id FROM invoices"), 7);
}

/// A role that is gone with the test.
struct Role(String);

impl Role {
    /// One that may log in and nothing else.
    fn new(database: &Database) -> Self {
        let name = format!("r{}", database.url().unwrap().rsplit('/').next().unwrap());
        run(&url_of("postgres"), &format!("CREATE ROLE {name} LOGIN PASSWORD '{SECRET}'")).unwrap();
        Self(name)
    }

    /// The URL of the database, as this role.
    fn url(&self, database: &Database) -> String {
        as_user(&database.url().unwrap(), &format!("{}:{SECRET}", self.0))
    }
}

/// The password of roles that tests make, and of those that there are not.
const SECRET: &str = "hush";

/// A URL with other credentials.
pub fn as_user(url: &str, credentials: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap();
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    format!("{scheme}://{credentials}@{place}")
}

impl Drop for Role {
    fn drop(&mut self) {
        let _ = run(&url_of("postgres"), &format!("DROP ROLE {}", self.0));
    }
}

#[test]
fn a_refusal_names_the_missing_right() {
    if !is_postgres() {
        return;
    }
    let database = Database::blank();
    let role = Role::new(&database);
    let url = role.url(&database);
    let said = refused(&url, &[]);
    assert_says(
        &said,
        &["may not create tables in", "permission denied for schema public", "ALTER DATABASE", "OWNER TO"],
    );
    assert_eq!(contents(&url), Vec::<Vec<String>>::new());

    // Tables, but no extensions.
    database.rows(&format!("GRANT CREATE ON SCHEMA public TO {}", role.0));
    let said = refused(&url, &[]);
    let create = "CREATE EXTENSION pg_trgm; CREATE EXTENSION btree_gin;";
    assert_says(&said, &["may not add extensions to", "pg_trgm", create]);
    assert_eq!(contents(&url), Vec::<Vec<String>>::new());
    // What it says helps.
    database.rows(create);
    let home = Home::new();
    drop(serve(&home, &url, &[]).unwrap());
    database.rows(&format!("REASSIGN OWNED BY {0} TO CURRENT_USER; DROP OWNED BY {0}", role.0));
    // Its tables are another's now.
    let said = refused(&url, &[]);
    assert_says(&said, &["permission denied for table schema_versions", "GRANT"]);
}

#[test]
fn a_wrong_encoding_is_refused() {
    if !is_postgres() {
        return;
    }
    for encoding in ["SQL_ASCII", "LATIN1"] {
        let name = format!("encoded_{}_{}", encoding.to_lowercase(), std::process::id());
        let create = format!(
            "CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE_PROVIDER libc LC_COLLATE 'C' LC_CTYPE 'C'"
        );
        run(&url_of("postgres"), &create).unwrap();
        let url = url_of(&name);
        let home = Home::new();
        let said = with_url(home.path(), &url, &["migrate"]).refused(1);
        let left = contents(&url);
        run(&url_of("postgres"), &format!("DROP DATABASE {name} WITH (FORCE)")).unwrap();
        assert_says(&said, &["cannot hold every script", "UTF8", "CREATE DATABASE"]);
        assert_eq!((said.lines().count(), left), (1, Vec::new()));
    }
}

#[test]
fn a_database_that_cannot_be_reached_is_named_with_the_reason() {
    if !is_postgres() {
        return;
    }
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let said = refused(&format!("postgres://robot:hush@{free}/tenantry"), &[]);
    assert_says(
        &said,
        &[&format!("cannot connect to {free}/tenantry"), "Connection refused", "is the server running"],
    );
    assert!(!said.contains("hush"));
    let said = refused("postgres://robot:hush@db.invalid/tenantry?sslmode=disable", &[]);
    assert_says(&said, &["cannot connect to db.invalid:5432/tenantry", "lookup", "check the host name"]);
    let said = refused(&url_of("no_such_database"), &[]);
    assert_says(&said, &["no_such_database\" does not exist", "CREATE DATABASE"]);
    // Where the server asks for passwords it does not say whether it is the user that is wrong.
    let said = refused(&as_user(&url_of("postgres"), "nobody_at_all:hush"), &[]);
    assert_says(&said, &["nobody_at_all", "check user and password in database-url"]);
    assert!(!said.contains("hush"));
    // A URL that is none is a fault of the settings, as far as it can be seen without the driver.
    let home = Home::new();
    for (url, what) in [("postgres://robot@/tenantry", "has no host"), ("postgres:db/t", "no //")] {
        assert_says(&with_url(home.path(), url, &["serve"]).refused(2), &["database-url", what]);
    }
    let said = with_url(home.path(), "postgres://db/t?user=robot&port=x", &["serve"]).refused(2);
    assert_says(&said, &["database-url", "a port that is not a number"]);
}

/// What only a server with other settings than the tests' says: the words of the protocol, spoken by the test.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_of_connecting_are_reported_with_a_hint() {
    if !is_postgres() {
        return;
    }
    let failed = "password authentication failed for user \"robot\"";
    let no_entry = "no pg_hba.conf entry for host \"192.0.2.1\"";
    let is_starting = "the database system is starting up";
    let look = "check user and password in database-url";
    for (robot, response, message, told) in [
        ("robot:hush", refusal("28P01", failed), failed, look),
        ("robot:hush", refusal("28000", no_entry), no_entry, look),
        ("robot:hush", refusal("57P03", is_starting), is_starting, "is the server running there"),
        ("robot:hush", refusal("53300", "sorry"), "has too many connections", "lower database-pool-size"),
        // It asks for a password, and there is none.
        ("robot", b"R\0\0\0\x08\0\0\0\x03".to_vec(), "password missing", "set user and password in"),
        // It has no TLS, and the URL insists.
        ("robot:hush", b"N".to_vec(), "does not support TLS", "check sslmode in database-url"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let is_tls = response == b"N";
        let says = tokio::spawn(say(listener, response));
        let mode = if is_tls { "require" } else { "disable" };
        let url = format!("postgres://{robot}@{address}/t?sslmode={mode}");
        let said = tokio::task::spawn_blocking(move || refused(&url, &[])).await.unwrap();
        assert_says(&said, &[&format!("cannot connect to {address}/t"), message, told]);
        assert!(!said.contains("hush"), "{said}");
        says.abort();
    }
}

/// How PostgreSQL refuses (its documentation, "Message Formats": ErrorResponse).
fn refusal(code: &str, message: &str) -> Vec<u8> {
    let mut fields = Vec::new();
    for (kind, text) in [(b'S', "FATAL"), (b'V', "FATAL"), (b'C', code), (b'M', message)] {
        fields.push(kind);
        fields.extend_from_slice(text.as_bytes());
        fields.push(0);
    }
    fields.push(0);
    let length = u32::try_from(fields.len() + 4).unwrap().to_be_bytes();
    [&b"E"[..], &length, &fields].concat()
}

/// Says this to whoever connects, and no more.
async fn say(listener: TcpListener, response: Vec<u8>) {
    while let Ok((mut socket, _)) = listener.accept().await {
        // The startup message says how long it is.
        let length = socket.read_u32().await.unwrap();
        let mut startup = vec![0; length as usize - 4];
        socket.read_exact(&mut startup).await.unwrap();
        socket.write_all(&response).await.unwrap();
        let _ = socket.shutdown().await;
    }
}

/// The server's certificate is checked, for its name as well.
#[tokio::test]
async fn tls_is_for_the_server_that_an_authority_vouches_for() {
    if !is_postgres() {
        return;
    }
    let ca = std::env::var("TENANTRY_TEST_POSTGRES_CA");
    let ca = ca.unwrap_or_else(|_| panic!("run scripts/test, whose PostgreSQL takes TLS"));
    let (home, database) = (Home::new(), Database::blank());
    let by_address = format!("{}?sslmode=require", database.url().unwrap());
    let by_name = by_address.replace("127.0.0.1", "localhost");
    let server = serve(&home, &by_name, &["--database-ca-file", &ca]).unwrap();
    // Its connections go through TLS, all of them.
    let plain = "SELECT count(*) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) \
                 WHERE a.application_name LIKE 'tenantry/%' AND a.datname = current_database() AND NOT s.ssl";
    server.admin().await.create("fenna").await;
    assert_eq!(database.number(plain), 0);
    assert_eq!(server.terminate().code, Some(0));
    let hint = "check sslmode in database-url, database-ca-file, and the server's certificate";
    assert_says(&refused(&by_name, &[]), &["UnknownIssuer", hint]);
    let said = with_url(home.path(), &by_address, &["migrate", "--database-ca-file", &ca]).refused(1);
    assert_says(&said, &["not valid for name \"127.0.0.1\"", hint]);
    let said = with_url(home.path(), &by_name, &["migrate", "--database-ca-file", "nowhere.pem"]).refused(1);
    assert_says(&said, &["tenantry: database-ca-file: nowhere.pem contains no readable certificates"]);
}
