//! URLs as managed services give them, against a real server with TLS.

use crate::binary::Home;
use crate::databases::{Database, is_postgres};
use crate::postgres::{as_user, assert_says, refused, serve, with_url};

/// The CA certificate of the server under test.
fn ca() -> String {
    std::env::var("TENANTRY_TEST_POSTGRES_CA")
        .unwrap_or_else(|_| panic!("run scripts/test, whose PostgreSQL takes TLS"))
}

/// The part of a path that a URL can have.
fn escaped(path: &str) -> String {
    path.replace('/', "%2F")
}

const HINT: &str = "check sslmode in database-url, database-ca-file, and the server's certificate";

#[test]
fn sslmode_and_sslrootcert_verify_as_their_names_say() {
    if !is_postgres() {
        return;
    }
    let (home, database, ca) = (Home::new(), Database::blank(), ca());
    // The certificate is for localhost.
    let by_address = database.url().unwrap();
    let by_name = by_address.replace("127.0.0.1", "localhost");
    let root = escaped(&ca);
    let connects = |url: &str, args: &[&str]| {
        let done = with_url(home.path(), url, &[&["migrate"], args].concat());
        assert_eq!(done.code, Some(0), "{url}: {}", done.err);
    };
    let ca_file = ["--database-ca-file", ca.as_str()];
    for mode in ["verify-full", "verify-ca", "require", "prefer"] {
        connects(&format!("{by_name}?sslmode={mode}"), &ca_file);
        connects(&format!("{by_name}?sslmode={mode}&sslrootcert={root}"), &[]);
    }
    // Only the chain: the name may be another one.
    connects(&format!("{by_address}?sslmode=verify-ca"), &ca_file);
    connects(&format!("{by_address}?sslmode=verify-ca&sslrootcert={root}"), &[]);
    for mode in ["verify-full", "require", "prefer"] {
        let url = format!("{by_address}?sslmode={mode}&sslrootcert={root}");
        assert_says(&refused(&url, &[]), &["not valid for name \"127.0.0.1\"", HINT]);
    }
    // The file of the URL counts, and is named if it cannot be used.
    let said = with_url(
        home.path(),
        &format!("{by_name}?sslmode=verify-full&sslrootcert=/no/such/rds.pem"),
        &[&["migrate"][..], &ca_file].concat(),
    );
    assert_says(&said.refused(1), &["database-url: sslrootcert: /no/such/rds.pem contains no readable"]);
    for mode in ["verify-full", "require"] {
        let url = format!("{by_name}?sslmode={mode}&sslrootcert=system");
        assert_says(&refused(&url, &[]), &["UnknownIssuer", HINT]);
    }
    assert_says(&refused(&format!("{by_address}?sslmode=verify-ca"), &[]), &["which sign for everybody"]);
}

#[tokio::test]
async fn a_server_is_bound_to_the_channel() {
    if !is_postgres() {
        return;
    }
    let (home, database, ca) = (Home::new(), Database::blank(), ca());
    let by_name = database.url().unwrap().replace("127.0.0.1", "localhost");
    for binding in ["require", "prefer", "disable"] {
        // As Neon writes it.
        let url = format!("{by_name}?sslmode=require&channel_binding={binding}");
        let server = serve(&home, &url, &["--database-ca-file", &ca]).unwrap();
        server.admin().await.create(&format!("fenna-{binding}")).await;
        assert_eq!(server.terminate().code, Some(0));
    }
    let said =
        with_url(home.path(), &format!("{by_name}?sslmode=disable&channel_binding=require"), &["migrate"]);
    assert_says(&said.refused(2), &["channel_binding=require without TLS"]);
    // Without saying so, TLS is not used on this machine.
    let said = refused(&format!("{by_name}?channel_binding=require"), &[]);
    assert_says(&said, &["channel binding", "set channel_binding=prefer"]);
}

#[tokio::test]
async fn a_socket_is_a_host() {
    if !is_postgres() {
        return;
    }
    let (home, database) = (Home::new(), Database::blank());
    let directory = database.rows("SHOW unix_socket_directories")[0][0].clone();
    let server: tokio_postgres::Config = database.url().unwrap().parse().unwrap();
    let (name, port) = (server.get_dbname().unwrap(), server.get_ports()[0]);
    let (user, password) = (server.get_user().unwrap(), server.get_password().unwrap_or_default());
    let password = String::from_utf8_lossy(password);
    for url in [
        format!("postgresql:///{name}?host={directory}&port={port}&user={user}&password={password}"),
        format!("postgres://{user}:{password}@{}:{port}/{name}", escaped(&directory)),
        // There is no TLS on a socket, whatever the service's template says.
        format!("postgres://{user}:{password}@/{name}?host={directory}&port={port}&sslmode=verify-full"),
    ] {
        let server = serve(&home, &url, &[]).unwrap();
        let shown = format!("{directory}:{port}/{name}");
        server.admin().await.get("/api/v1/users/self").await.expect(200);
        let local = "SELECT count(*) FROM pg_stat_activity WHERE client_addr IS NULL AND datname = current_database() \
                     AND application_name LIKE 'tenantry/%'";
        assert!(database.number(local) > 0, "{shown}");
        assert!(!server.out().contains(&*password), "{}", server.out());
        assert_eq!(server.terminate().code, Some(0));
    }
    let said = refused(&format!("postgresql:///{name}?host=/no/such/dir&user={user}"), &[]);
    assert_says(&said, &["/no/such/dir:5432", "No such file", "is the server running there"]);
}

#[tokio::test]
async fn options_and_hosts_reach_the_server() {
    if !is_postgres() {
        return;
    }
    let (home, database) = (Home::new(), Database::blank());
    database.rows("CREATE SCHEMA app");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = database.url().unwrap();
    let place = url.rsplit_once('@').unwrap().1.to_owned();
    let several = url.replace(&place, &format!("{free},{place}"));
    // Another name of the application is accepted, and has no effect: servers know each other by theirs.
    let several = format!(
        "{several}?target_session_attrs=primary&options=-csearch_path%3Dapp,public&application_name=users&connect_timeout=5"
    );
    let server = serve(&home, &several, &[]).unwrap();
    server.admin().await.create("fenna").await;
    assert_eq!(database.number("SELECT count(*) FROM app.users"), 2);
    let named = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'users'";
    assert_eq!(database.number(named), 0);
    assert_eq!(server.terminate().code, Some(0));
}

/// Neither on the terminal nor in the log, and before anything is connected.
#[test]
fn a_password_with_unescaped_characters_is_not_shown() {
    let home = Home::new();
    let mut urls: Vec<String> = include_str!("../field/F31-urls.txt")
        .lines()
        .filter(|line| line.starts_with("postgres") && !line.contains("%41"))
        .map(str::to_owned)
        .collect();
    assert_eq!(urls.len(), 3);
    let others = ["pa/word1", "pa#word1", "pa?word1", "pa%word1", "pa@x/word1"];
    urls.extend(others.map(|password| format!("postgres://tenantry:{password}@127.0.0.1:1/tenantry")));
    for url in &urls {
        for line in ["serve", "migrate", "config", "config --json", "partner list"] {
            let args: Vec<&str> = line.split(' ').collect();
            let ended = with_url(home.path(), url, &args);
            assert!(!ended.out.contains("word1"), "{}", ended.out);
            let said = ended.refused(2);
            assert_says(&said, &["database-url", "write @ as %40"]);
            assert!(!said.contains("word1") && !said.contains("pa@"), "{said}");
        }
        let said = with_url(home.path(), "sqlite:t.db", &["copy", "--to", url]).refused(2);
        assert!(!said.contains("word1"), "{said}");
    }
}

#[test]
fn a_refused_login_has_the_hint_to_escape() {
    if !is_postgres() {
        return;
    }
    let url = as_user(&Database::blank().url().unwrap(), "postgres:pa%41word1");
    let said = refused(&url, &[]);
    assert_says(&said, &["password authentication failed", "% is written %25"]);
    assert!(!said.contains("word1"), "{said}");
    let home = Home::new();
    let shown = with_url(home.path(), &url, &["config"]).done();
    assert!(shown.contains("postgres:***@") && !shown.contains("word1"), "{shown}");
}
