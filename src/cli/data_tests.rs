//! Commands on data: with a server, without one, and where there is nothing.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::app::App;
use crate::cli::args::ClientSettings;
use crate::cli::control::{self, Bound, Control};
use crate::cli::lock::{self, Lock};
use crate::cli::operations::Operation;
use crate::cli::operations::client::ClientOperation;
use crate::cli::operations::operator::OperatorOperation;
use crate::cli::operations::partner::PartnerOperation;
use crate::cli::operations::user::UserOperation;
use crate::cli::*;
use crate::config::Secret;
use tenantry_core::clock::Clock;
use tenantry_core::error::TokenError;
use tenantry_core::model::{PartnerId, Status, UserId};
use tenantry_core::random::Random;
use tenantry_core::scopes::TokenScopes;
use tenantry_domain::clients::ClientIdentity;
use tenantry_domain::logins;
use tenantry_domain::tokens::{self, Origin};
use tenantry_passwords::HashCost;
use tenantry_store::access::Operator;

const ADMIN_PASSWORD: &str = "Quiet-Harbor-77-lamp9";

fn settings(dir: &Path) -> Config {
    let mut config = Config::for_tests(dir);
    config.worker_threads = 1;
    config.admin_password = Some(Secret::new(ADMIN_PASSWORD));
    config
}

fn socket_in(dir: &Path) -> PathBuf {
    settings(dir).control_socket_path().unwrap()
}

fn assemble(config: Config) -> App {
    App::assemble(config, Clock::system(), Random::system(), HashCost::FOR_TESTS).unwrap()
}

/// What `serve` has made and holds.
struct Served {
    app: App,
    control: Control,
    _lock: Lock,
}

async fn serve(dir: &Path) -> Served {
    let config = settings(dir);
    let lock = lock::take_for_server(&config).unwrap();
    let app = assemble(config);
    let by = Operator::of_this_machine();
    if first_start::is_due(&app, by).await.unwrap() {
        let admin = first_start::describe(&app.config, &app.random).unwrap();
        first_start::make(&app, by, admin).await.unwrap();
    }
    let bound = Bound::new(&socket_in(dir)).unwrap().unwrap();
    let control = bound.start(app.services().clone(), app.config.sqlite_file().unwrap());
    Served { app, control, _lock: lock }
}

impl Served {
    async fn stop(self) {
        self.control.stop().await;
    }
}

/// Runs a command line on a data directory; gives what it printed, what it complained of, and the exit code.
fn command_on(dir: &Path, line: &str) -> (String, String, u8) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    // `~` is a space in a word, and `''` is an empty one.
    let word = |word: &str| OsString::from(if word == "''" { String::new() } else { word.replace('~', " ") });
    let args = std::iter::once("tenantry").chain(line.split_whitespace()).map(word);
    let env = [("TENANTRY_DATA_DIR".to_owned(), dir.display().to_string())];
    let no_file = |_: &Path| -> io::Result<Box<dyn Read>> { Err(io::ErrorKind::NotFound.into()) };
    let code = run(args, env, no_file, &mut out).map_or_else(|f| report(&f, &mut err), |()| 0);
    (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap(), code)
}

/// [`command_on`] beside a server of this process.
async fn command(dir: &Path, line: &str) -> (String, String, u8) {
    let (dir, line) = (dir.to_owned(), line.to_owned());
    tokio::task::spawn_blocking(move || command_on(&dir, &line)).await.unwrap()
}

async fn json_of(dir: &Path, line: &str) -> Value {
    let (out, err, code) = command(dir, &format!("{line} --json")).await;
    assert_eq!((err.as_str(), code), ("", 0), "{line}");
    serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}"))
}

async fn log_in(app: &App, username: &str, password: &str) -> Result<tokens::Granted, Error> {
    let origin = Origin { address: "127.0.0.1".parse().unwrap(), user_agent: None };
    let password = Zeroizing::new(password.to_owned());
    logins::grant_password(app, &ClientIdentity::BuiltIn, username, password, origin, TokenScopes::ALL_API)
        .await
}

#[test]
fn operations_travel_unharmed() {
    let bob = || args::UserRef::Username("bob".into());
    let (pid, seven) = (PartnerId(2), args::UserRef::Id(UserId(7)));
    let all = [
        Operation::Partner(PartnerOperation::Create {
            name: "Ä\u{2028}\"\\".into(),
            admin_username: "ada".into(),
            admin_email: "a@b".into(),
            admin_first_name: "A".into(),
            admin_last_name: "B".into(),
            print_password: true,
        }),
        Operation::Partner(PartnerOperation::List { after: None }),
        Operation::Partner(PartnerOperation::List { after: Some(pid) }),
        Operation::Partner(PartnerOperation::Get { pid }),
        Operation::Partner(PartnerOperation::Rename { pid, name: "New".into() }),
        Operation::Partner(PartnerOperation::Suspend { pid, suspended: true }),
        Operation::Partner(PartnerOperation::Delete { pid, force: false }),
        Operation::User(UserOperation::List { pid, search: Some("x".into()), after: Some(UserId(1)) }),
        Operation::User(UserOperation::Get { user: seven.clone() }),
        Operation::User(UserOperation::Create {
            pid,
            username: "bob".into(),
            email: "b@c".into(),
            first_name: "Bob".into(),
            last_name: "Byte".into(),
            admin: true,
            status: Status::Inactive,
            print_password: false,
        }),
        Operation::User(UserOperation::Lock { user: bob(), force: true }),
        Operation::User(UserOperation::Unlock { user: bob() }),
        Operation::User(UserOperation::ResetPassword { user: bob(), print_password: true }),
        Operation::User(UserOperation::Delete { user: seven.clone(), force: false }),
        Operation::User(UserOperation::ListFactors { user: bob() }),
        Operation::User(UserOperation::RemoveFactors { user: seven, factor: Some("totp".into()) }),
        Operation::Partner(PartnerOperation::Policy {
            pid,
            require_second_factor: Some("admins".into()),
            password_rules: None,
        }),
        Operation::Client(ClientOperation::Create {
            pid: Some(pid),
            name: "robot".into(),
            public: false,
            admin: true,
            settings: ClientSettings {
                redirect_uri: vec!["https://a.example/".into()],
                require_pkce: Some(false),
                ..ClientSettings::default()
            },
        }),
        Operation::Client(ClientOperation::List { pid: None }),
        Operation::Client(ClientOperation::AddSecret { client_id: "cl_1_x".into() }),
        Operation::Client(ClientOperation::Revoke { client_id: "cl.1.x".into() }),
        Operation::Operator(OperatorOperation::Token { name: "t".into() }),
        Operation::Operator(OperatorOperation::List {}),
        Operation::Operator(OperatorOperation::Revoke { id: 4 }),
    ];
    for operation in all {
        let text = serde_json::to_string(&operation).unwrap();
        assert!(!text.contains('\n'), "one line: {text}");
        assert_eq!(serde_json::from_str::<Operation>(&text).unwrap(), operation, "{text}");
    }
    let lock = Operation::User(UserOperation::Lock { user: bob(), force: true });
    let wire = json!({ "user": { "lock": { "user": { "username": "bob" }, "force": true } } });
    assert_eq!(serde_json::to_value(lock).unwrap(), wire);
    let unknown = r#"{"user":{"lock":{"user":{"username":"bob"},"force":true,"more":1}}}"#;
    assert!(serde_json::from_str::<Operation>(unknown).is_err());
}

#[test]
fn refusals_are_transferred_with_their_errors() {
    let error = tenantry_core::error::FieldError::new("--email", "invalid-email", "not an e-mail address");
    let error = CommandError::from(Error::from(error));
    let wire = json!({
        "code": "invalid",
        "detail": "the input has 1 error(s)",
        "errors": [{ "field": "--email", "code": "invalid-email", "detail": "not an e-mail address" }],
    });
    assert_eq!(serde_json::to_value(&error).unwrap(), wire);
    assert_eq!(serde_json::from_value::<CommandError>(wire).unwrap(), error);
    let plain = CommandError::from(Error::NotFound(tenantry_core::error::Missing::User));
    assert_eq!(
        serde_json::to_value(plain).unwrap(),
        json!({ "code": "not-found", "detail": "user not found" })
    );
}

#[test]
fn nothing_is_made_where_there_is_no_database() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    for at in [dir.path(), &missing] {
        for line in ["partner list", "user get 1", "operator token"] {
            let (out, err, code) = command_on(at, line);
            assert_eq!((out.as_str(), code), ("", 1));
            assert!(err.starts_with("tenantry: no database at "), "{err}");
            assert!(err.contains("--data-dir"), "{err}");
        }
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    // What a start leaves that was broken off before it wrote anything.
    std::fs::write(dir.path().join("tenantry.db"), "").unwrap();
    assert_eq!(command_on(dir.path(), "partner list").2, 1);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn serve_completes_an_interrupted_first_start() {
    let dir = tempfile::tempdir().unwrap();
    drop(assemble(settings(dir.path())));
    let (_, err, code) = command_on(dir.path(), "partner list");
    assert!(code == 1 && err.starts_with("tenantry: the database is empty: run `tenantry serve`"), "{err}");
}

#[test]
fn a_database_needs_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let url = format!("sqlite:{}", dir.path().join("no/x.db").display());
    let (_, err, code) = command_on(&data, &format!("serve --database-url {url}"));
    assert!(
        code == 1
            && err.starts_with("tenantry: the directory ")
            && err.contains(" does not exist: create it first"),
        "{err}"
    );
    assert!(!data.exists());
}

#[test]
fn serve_names_the_settings_that_the_first_admin_cannot_have() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let (out, err, code) = command_on(&data, "serve --admin-username a☃ --admin-password Short1-x");
    assert_eq!((out.as_str(), code), ("", 2));
    let of = |setting: &str| err.lines().filter(|l| l.starts_with(&format!("tenantry: {setting} "))).count();
    assert_eq!((of("admin-username"), of("admin-password")), (1, 1), "{err}");
    assert!(!err.contains("Short1-x"), "{err}");
    assert!(!data.exists());
}

#[tokio::test]
async fn a_locked_user_loses_access_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let served = serve(dir.path()).await;
    let socket = std::fs::metadata(dir.path().join("control.sock")).unwrap();
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
    let create =
        "user create --partner 1 --username bob --email b@example.com --first-name Bob --last-name Byte";
    let bob = json_of(dir.path(), &format!("{create} --print-password")).await;
    let granted = log_in(&served.app, "bob", bob["password"].as_str().unwrap()).await.unwrap();
    tokens::authenticate(&served.app, &granted.access_token).await.unwrap();
    let locked = json_of(dir.path(), "user lock bob").await;
    assert_eq!(locked["status"], "LOCKED");
    let refused = tokens::authenticate(&served.app, &granted.access_token).await.unwrap_err();
    assert!(matches!(refused, Error::Unauthenticated(TokenError::Invalid)), "{refused}");
    served.stop().await;
    assert!(!dir.path().join("control.sock").exists());
}

#[tokio::test]
async fn a_suspended_partner_loses_access_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let served = serve(dir.path()).await;
    let granted = log_in(&served.app, "admin", ADMIN_PASSWORD).await.unwrap();
    assert_eq!(json_of(dir.path(), "partner suspend 1").await["suspended"], true);
    tokens::authenticate(&served.app, &granted.access_token).await.unwrap_err();
    assert!(log_in(&served.app, "admin", ADMIN_PASSWORD).await.is_err());
    assert_eq!(json_of(dir.path(), "partner resume 1").await["suspended"], false);
    log_in(&served.app, "admin", ADMIN_PASSWORD).await.unwrap();
}

#[tokio::test]
async fn commands_work_with_and_without_a_server() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let mut served = Some(serve(at).await);
    for server in [true, false] {
        if !server && let Some(served) = served.take() {
            served.stop().await;
        }
        let create = "partner create --name Acme --admin-username ada --admin-email ada@example.com";
        let acme = json_of(at, create).await;
        assert_eq!((&acme["name"], &acme["mail"]), (&json!("Acme"), &json!("queued")), "{acme}");
        let pid = acme["pid"].as_i64().unwrap();
        assert_eq!(json_of(at, &format!("partner rename {pid} Better")).await["name"], "Better");
        let table = command(at, "partner list").await.0;
        assert_eq!(table.lines().count(), 3, "{table}");
        assert!(
            table.starts_with("PARTNER  NAME     USERS  SUSPENDED  CREATED\n1        default  1      no ")
        );
        let list = format!("user list --partner {pid} --search");
        assert_eq!(json_of(at, &format!("{list} EXAMPLE.com")).await[0]["username"], "ada");
        assert_eq!(json_of(at, &format!("{list} zzz")).await, json!([]));
        assert_eq!(json_of(at, "user reset-password ada").await["mail"], "queued");

        let create = format!("client create --partner {pid} --name robot --admin");
        let (out, _, code) = command(at, &create).await;
        let lines: Vec<&str> = out.lines().collect();
        assert!(
            code == 0 && lines[0].starts_with("client_id: cl_") && lines[1].starts_with("client_secret: ")
        );
        let id = &lines[0]["client_id: ".len()..];
        assert_eq!(json_of(at, &format!("client list --partner {pid}")).await[0]["client_id"], id);
        assert_eq!(json_of(at, &format!("client revoke {id}")).await["revoked"], true);

        let token = json_of(at, "operator token --name ci").await;
        assert!(token["token"].as_str().unwrap().starts_with("op_"));
        let revoke = format!("operator revoke {}", token["id"]);
        assert_eq!(json_of(at, &revoke).await["revoked"], true);
        assert_eq!(json_of(at, "operator list").await, json!([]));

        assert_eq!(json_of(at, &format!("partner delete {pid}")).await["deleted"], true);
        let gone = command(at, &format!("partner get {pid}")).await;
        assert_eq!(gone, (String::new(), "tenantry: partner not found\n".into(), 1));
    }
}

#[tokio::test]
async fn refusals_are_reported_in_full_and_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let _served = serve(at).await;
    let bad = "user create --partner 1 --username a~b --email x --first-name ~A --last-name ''";
    let (_, err, code) = command(at, bad).await;
    assert_eq!((err.lines().count(), code), (4, 1), "{err}");
    for flag in ["--username", "--email", "--first-name", "--last-name"] {
        assert!(err.contains(&format!("tenantry: {flag}: ")), "{err}");
    }
    let taken = "user create --partner 1 --username ADMIN --email a@b --first-name A --last-name B";
    assert_eq!(command(at, taken).await.2, 1);
    let nowhere = "user create --partner 9 --username x --email a@b --first-name A --last-name B";
    let (_, err, _) = command(at, nowhere).await;
    assert_eq!(err, "tenantry: partner not found\n");
    assert_eq!(json_of(at, "user list --partner 1").await.as_array().unwrap().len(), 1);

    // B10, and its override.
    for line in ["user delete admin", "user lock 1"] {
        let (_, err, code) = command(at, line).await;
        assert!(code == 1 && err.contains("ACTIVE partner admin"), "{err}");
    }
    assert_eq!(json_of(at, "user lock admin --force").await["status"], "LOCKED");
    let (_, err, _) = command(at, "user reset-password admin").await;
    assert!(err.starts_with("tenantry: status: this user is LOCKED"), "{err}");
    assert_eq!(json_of(at, "user unlock 1").await["status"], "ACTIVE");
    assert_eq!(json_of(at, "user delete Admin --force").await["deleted"], true);
    assert_eq!(command(at, "user get admin").await.1, "tenantry: user not found\n");
}

#[tokio::test]
async fn lists_of_any_length_are_complete() {
    let dir = tempfile::tempdir().unwrap();
    let served = serve(dir.path()).await;
    let by = Operator::of_this_machine();
    let admin = by.as_admin_of(PartnerId(1));
    let mut checks = operations::checks::Checks::default();
    let described = operations::checks::Described {
        username: "u",
        email: "u@example.com",
        first_name: "U",
        last_name: "V",
        is_admin: false,
        status: Status::Inactive,
    };
    let one = described.check(&mut checks, ["a", "b", "c", "d"]).unwrap();
    tenantry_domain::unit::write_large(&served.app.store, &admin, move |tx| {
        for n in 0..2_000 {
            let mut new = one.clone();
            new.username = tenantry_core::values::username(&format!("u{n}")).unwrap();
            tenantry_domain::users::create(tx, &new)?;
        }
        Ok(())
    })
    .await
    .unwrap();
    let all = json_of(dir.path(), "user list --partner 1").await;
    let ids: Vec<i64> = all.as_array().unwrap().iter().map(|u| u["userId"].as_i64().unwrap()).collect();
    assert_eq!(ids, (1..=2_001).collect::<Vec<_>>());
    let found = json_of(dir.path(), "user list --partner 1 --search u1").await;
    let wanted = (0..2_000).filter(|n| n.to_string().starts_with('1')).count();
    assert_eq!(found.as_array().unwrap().len(), wanted);
    let table = command(dir.path(), "user list --partner 1").await.0;
    assert_eq!(table.lines().count(), 2_002);
}

#[tokio::test]
async fn the_socket_accepts_only_complete_requests_for_its_own_database() {
    use std::io::{Read as _, Write as _};
    let dir = tempfile::tempdir().unwrap();
    let served = serve(dir.path()).await;
    let path = socket_in(dir.path());
    let ask = |text: Vec<u8>| {
        let path = path.clone();
        tokio::task::spawn_blocking(move || {
            let mut stream = UnixStream::connect(path).unwrap();
            // A server that has seen enough closes; then writing fails, and the response is there all the same.
            let _ = stream.write_all(&text);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let mut response = String::new();
            stream.read_to_string(&mut response).map(|_| response)
        })
    };
    for bad in [&b"\n"[..], b"{}\n", b"[[[[[[[[\n", b"\xff\0\n", b"{\"database\":\"x\"", b""] {
        let response: Value = serde_json::from_str(&ask(bad.to_vec()).await.unwrap().unwrap()).unwrap();
        assert_eq!(response["refused"]["code"], "bad-request", "{response}");
    }
    let mut long = vec![b'x'; 2 << 20];
    long.push(b'\n');
    if let Ok(response) = ask(long).await.unwrap() {
        assert!(response.contains("bad-request"), "{response}");
    }
    let other = tempfile::tempdir().unwrap();
    let elsewhere = other.path().join("tenantry.db");
    let list = Operation::Partner(PartnerOperation::List { after: None });
    let asked = tokio::task::spawn_blocking({
        let path = path.clone();
        move || control::ask(&path, &control::true_name(&elsewhere), list)
    });
    let error = asked.await.unwrap().unwrap_err();
    assert!(error.detail.contains("give the same database-url"), "{error}");
    // Who has not asked anything yet is not waited for.
    let idle = UnixStream::connect(&path).unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(5), served.stop()).await.unwrap();
    drop(idle);
    let list = Operation::Partner(PartnerOperation::List { after: None });
    assert_eq!(control::ask(&path, "", list).unwrap(), None);
}

#[tokio::test]
async fn a_killed_server_or_a_long_path_is_no_obstacle() {
    let dir = tempfile::tempdir().unwrap();
    let at: PathBuf = dir.path().join("d".repeat(120));
    std::fs::create_dir(&at).unwrap();
    // The socket of a server that is gone.
    let short = dir.path().join("s");
    drop(std::os::unix::net::UnixListener::bind(&short).unwrap());
    std::fs::rename(&short, socket_in(&at)).unwrap();
    let served = serve(&at).await;
    assert_eq!(json_of(&at, "partner get 1").await["name"], "default");
    served.stop().await;
    assert!(!socket_in(&at).exists());
    drop(std::os::unix::net::UnixListener::bind(&short).unwrap());
    std::fs::rename(&short, socket_in(&at)).unwrap();
    assert_eq!(json_of(&at, "partner get 1").await["name"], "default");
}

#[tokio::test]
async fn the_first_admin_logs_in_with_the_generated_password() {
    let dir = tempfile::tempdir().unwrap();
    let app = assemble(Config { admin_password: None, ..settings(dir.path()) });
    let by = Operator::of_this_machine();
    assert!(first_start::is_due(&app, by).await.unwrap());
    let admin = first_start::describe(&app.config, &app.random).unwrap();
    let made = first_start::make(&app, by, admin).await.unwrap();
    assert!(!first_start::is_due(&app, by).await.unwrap());
    let granted = log_in(&app, "admin", &made.unwrap().password.unwrap()).await.unwrap();
    assert!(!granted.password_change_required, "permanent");
}

#[tokio::test]
async fn a_control_socket_whose_task_panics_responds_again() {
    let dir = tempfile::tempdir().unwrap();
    let config = settings(dir.path());
    let lock = lock::take_for_server(&config).unwrap();
    let app = assemble(config);
    let by = Operator::of_this_machine();
    let admin = first_start::describe(&app.config, &app.random).unwrap();
    first_start::make(&app, by, admin).await.unwrap();
    app.store.supervisor().let_panic("control", 1);
    let bound = Bound::new(&socket_in(dir.path())).unwrap().unwrap();
    let control = bound.start(app.services().clone(), app.config.sqlite_file().unwrap());
    let served = Served { app, control, _lock: lock };
    assert_eq!(json_of(dir.path(), "user get admin").await["userId"], 1);
    let mut text = String::new();
    served.app.store.supervisor().render(&mut text);
    assert!(text.contains("{thread=\"control\"} 1\n"), "{text}");
    served.stop().await;
}

/// Where a thread keeps panicking the process ends, for whatever starts it again.
#[test]
fn a_server_whose_worker_is_missing_exits_with_a_separate_code() {
    let dir = tempfile::tempdir().unwrap();
    tenantry_core::supervise::ARMED.set(Some(String::from("worker")));
    let (_, err, code) = command_on(&dir.path().join("data"), "serve --listen 127.0.0.1:0");
    tenantry_core::supervise::ARMED.set(None);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("tenantry: the thread worker has failed permanently: the server exits"), "{err}");
}
