//! Backups by the real binary, beside a server and without one. The way back is in restore.rs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::binary::{Ended, Home, Process, binary, tenantry, until};
use crate::full_disks::Small;
use crate::harness::Person;
use crate::serve::{Ordinary, set_mode};

/// Every file below a directory with what is in it.
pub fn everything(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let kind = fs::symlink_metadata(&path).unwrap().file_type();
        if kind.is_dir() {
            all.extend(everything(&path));
        } else if kind.is_file() {
            let bytes = fs::read(&path).unwrap();
            all.insert(path, bytes);
        }
    }
    all
}

/// A home with its first admin and a user `fenna`, a backup of it at `good.db`, and no server.
pub async fn backed_up() -> Home {
    let home = Home::new();
    let server = home.serve();
    server.admin().await.create("fenna").await;
    home.mails(1).await;
    assert_eq!(server.terminate().code, Some(0));
    home.command("backup good.db").done();
    home
}

/// What a restore of `file` says.
pub fn restored(home: &Home, file: &Path) -> Value {
    home.json(&format!("restore {}", file.display()))
}

/// A database of a home, changed by hand.
pub fn edit(path: &Path, sql: &str) {
    let database = rusqlite::Connection::open(path).unwrap();
    database.execute_batch(sql).unwrap();
}

/// Creates users over several connections until it is told to stop; each answered name with its number.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<Mutex<BTreeMap<String, i64>>>,
    tasks: JoinSet<()>,
}

impl Load {
    async fn start(server: &Process) -> Self {
        let token = server.admin().await.token.unwrap();
        let mut load = Self { stop: Arc::default(), answered: Arc::default(), tasks: JoinSet::new() };
        for task in 0..16 {
            let (address, token) = (server.address, token.clone());
            let (stop, answered) = (Arc::clone(&load.stop), Arc::clone(&load.answered));
            load.tasks.spawn(async move {
                let http = reqwest::Client::builder().no_proxy().build().unwrap();
                let admin = Person::over(&http, address, Some(&token));
                for n in 0.. {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    let name = format!("u{task}-{n}");
                    let id = admin.create(&name).await["userId"].as_i64().unwrap();
                    answered.lock().unwrap().insert(name, id);
                }
            });
        }
        load
    }

    fn answered(&self) -> BTreeMap<String, i64> {
        self.answered.lock().unwrap().clone()
    }

    async fn stop(self) -> BTreeMap<String, i64> {
        self.stop.store(true, Ordering::SeqCst);
        self.tasks.join_all().await;
        Arc::into_inner(self.answered).unwrap().into_inner().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_during_creates_is_one_snapshot() {
    let home = Home::new();
    let server = home.serve();
    let load = Load::start(&server).await;
    until("there is much to copy", || (load.answered().len() >= 1_500).then_some(())).await;
    let before = load.answered();
    let told = home.json("backup held.db");
    let after = load.answered();
    until("it goes on", || (load.answered().len() > after.len()).then_some(())).await;
    let all = load.stop().await;
    assert_eq!(server.terminate().code, Some(0));

    // Everybody is there who was answered before it began, and nobody who came after it was told.
    let other = Home::new();
    let restored = restored(&other, &home.path().join("held.db"));
    assert_eq!(json!([restored["users"], restored["keptAs"]]), json!([told["users"], null]));
    let server = other.serve();
    let admin = server.admin().await;
    let list = admin.everybody().await;
    let users: BTreeMap<String, i64> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|user| (user["username"].as_str().unwrap().to_owned(), user["userId"].as_i64().unwrap()))
        .filter(|(name, _)| name != "admin")
        .collect();
    assert_eq!(json!(users.len() + 1), told["users"]);
    for (name, id) in &before {
        assert_eq!(users.get(name), Some(id), "{name} was answered before the backup");
    }
    for (name, id) in &users {
        assert_eq!(all.get(name), Some(id), "{name} was created");
    }
    // What belongs to a user is of the same moment: its total, event and words.
    let page = admin.get("/api/v1/users/?page=0&pageSize=1").await.expect(200);
    assert_eq!(page.body["total"], users.len() + 1);
    let events = admin.get("/api/v1/events?type=user.created&pageSize=1").await.expect(200);
    assert_eq!(events.body["total"], users.len() + 1);
    let found = admin.get("/api/v1/users/?search=u1-&pageSize=1").await.expect(200);
    assert_eq!(found.body["total"], users.keys().filter(|name| name.starts_with("u1-")).count());
    // Each is mailed by the one or by the other server; those that the backup caught on their way, by both.
    let mailed = |home: &Home| {
        let names = home.mail_names().into_iter().filter(|name| !name.starts_with('.'));
        let user_in =
            |mail: String| mail.lines().find_map(|line| line.strip_prefix("Username: ")).unwrap().to_owned();
        names.map(|name| user_in(home.mail(&name))).collect::<BTreeSet<String>>()
    };
    let everybody_is = || {
        let mailed = &mailed(&home) | &mailed(&other);
        users.keys().all(|name| mailed.contains(name)).then_some(())
    };
    until("everybody has a mail", everybody_is).await;
}

#[tokio::test]
async fn a_backup_refuses_an_existing_file() {
    let home = backed_up().await;
    fs::write(home.path().join("mine.txt"), "mine").unwrap();
    std::os::unix::fs::symlink("nowhere", home.path().join("link.db")).unwrap();
    let before = everything(home.path());
    for (line, what) in [
        ("backup good.db", "good.db exists already"),
        ("backup mine.txt", "mine.txt exists already"),
        ("backup link.db", "link.db exists already"),
        ("backup /dev/null", "/dev/null exists already"),
        ("backup tenantry-data", "is a directory: use a file in it"),
        ("backup no/such/dir.db", "the directory no/such for the backup no/such/dir.db does not exist"),
        ("backup mine.txt/x.db", "mine.txt"),
        ("backup tenantry-data/tenantry.db-wal", "needs for itself"),
        ("backup new.db --data-dir elsewhere", "no database at elsewhere/tenantry.db"),
        ("backup new.db --database-url sqlite:mine.txt", "cannot copy the database mine.txt"),
    ] {
        let said = home.command(line).refused(1);
        assert!(said.contains(what), "{line}: {said}");
        assert!(everything(home.path()) == before, "{line} changed something");
    }
    edit(&home.path().join("foreign.sqlite"), "CREATE TABLE t (x)");
    edit(&home.path().join("bare.sqlite"), "CREATE TABLE t (x); DROP TABLE t");
    fs::copy(home.path().join("good.db"), home.path().join("newer.sqlite")).unwrap();
    edit(
        &home.path().join("newer.sqlite"),
        "INSERT INTO schema_versions (version, applied_at) VALUES (999, 0)",
    );
    fs::copy(home.path().join("good.db"), home.path().join("dangling.sqlite")).unwrap();
    edit(
        &home.path().join("dangling.sqlite"),
        "PRAGMA foreign_keys = OFF; DELETE FROM users WHERE user_id = 2",
    );
    let before = everything(home.path());
    for (name, what) in [
        ("foreign", "another program's database"),
        ("bare", "is empty: run `tenantry serve` once"),
        ("newer", "newer version of Tenantry"),
        ("dangling", "did not pass its check and was not kept"),
    ] {
        let said = home.command(&format!("backup new.db --database-url sqlite:{name}.sqlite")).refused(1);
        assert!(said.contains(what), "{name}: {said}");
        assert!(everything(home.path()) == before, "{name} changed something");
    }
    // Another kind of database has other tools.
    for line in ["backup new.db", "restore good.db"] {
        let said =
            home.command(&format!("{line} --database-url postgres://ada:secret@db/tenantry")).refused(1);
        assert!(
            said.contains("PostgreSQL") && said.contains("pg_dump") && said.contains("pgBackRest"),
            "{said}"
        );
        assert!(everything(home.path()) == before, "{line} changed something");
    }
}

/// Runs the binary where no file may be longer than `blocks` of 512 bytes: not a full disk, but writes that fail in the
/// same place (setrlimit(2), RLIMIT_FSIZE).
fn limited(home: &Home, blocks: u32, args: &[&str]) -> Ended {
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    let args: Vec<&str> = ["-c", &script, binary().to_str().unwrap()].iter().chain(args).copied().collect();
    ended(tenantry(Path::new("/bin/sh"), home.path(), &args, &[]).output().unwrap())
}

fn ended(output: std::process::Output) -> Ended {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

#[tokio::test]
async fn a_full_disk_leaves_nothing_behind() {
    let home = backed_up().await;
    let blocks = u32::try_from(fs::metadata(home.path().join("good.db")).unwrap().len() / 1_024).unwrap();
    let before = everything(home.path());
    for line in
        [&["backup", "new.db"][..], &["restore", "good.db"], &["restore", "good.db", "--data-dir", "new"]]
    {
        let said = limited(&home, blocks, line).refused(1);
        assert!(said.contains("cannot"), "{said}");
        assert!(everything(home.path()) == before, "{line:?} changed something");
        assert!(!home.path().join("new").exists());
    }
    // Users who may not mount have seen the same by another error.
    let Some(disk) = Small::mount("128k") else { return };
    let full = disk.path().join("new.db");
    let said = home.command(&format!("backup {}", full.display())).refused(1);
    assert!(said.contains("the disk is full; free space, or use a file elsewhere"), "{said}");
    let data = disk.path().join("data");
    let said = home.command(&format!("restore good.db --data-dir {}", data.display())).refused(1);
    assert!(said.contains("the disk is full") && said.contains("free space"), "{said}");
    assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 0, "nothing is left there");
    assert!(everything(home.path()) == before);
}

#[tokio::test]
async fn missing_file_permissions_are_reported() {
    let somebody = Ordinary::new();
    let at = |name: &str| somebody.home.path().join(name);
    let made = backed_up().await;
    for dir in ["data", "closed"] {
        fs::create_dir(at(dir)).unwrap();
    }
    fs::copy(made.data().join("tenantry.db"), at("data/tenantry.db")).unwrap();
    fs::copy(made.path().join("good.db"), at("data/good.db")).unwrap();
    somebody.give(&at("data"));
    somebody.give(&at("data/tenantry.db"));
    somebody.give(&at("data/good.db"));
    set_mode(&at("closed"), 0o555);
    let run = |line: &str| {
        let args: Vec<&str> = line.split(' ').chain(["--data-dir", "data"]).collect();
        ended(somebody.run(&args).output().unwrap())
    };
    let said = run("backup closed/new.db").refused(1);
    assert!(
        said.contains("cannot create the backup closed/new.db") && said.contains("permission to"),
        "{said}"
    );
    assert_eq!(fs::read_dir(at("closed")).unwrap().count(), 0);
    set_mode(&at("data/good.db"), 0o000);
    let said = run("restore data/good.db").refused(1);
    assert!(said.contains("cannot read the backup data/good.db") && said.contains("permission to"), "{said}");
    set_mode(&at("data/good.db"), 0o600);
    let before = fs::metadata(at("data/tenantry.db")).unwrap().ino();
    set_mode(&at("data"), 0o555);
    let said = run("restore data/good.db").refused(1);
    assert!(said.contains("data/tenantry.lock") && said.contains("permission to"), "{said}");
    set_mode(&at("data"), 0o700);
    assert_eq!(fs::metadata(at("data/tenantry.db")).unwrap().ino(), before);
    run("restore data/good.db").done();
    // By root it is for the same user.
    let command = somebody.home.command("restore data/good.db --data-dir data");
    command.done();
    let owner = |path: &str| (fs::metadata(at(path)).unwrap().uid(), fs::metadata(at(path)).unwrap().gid());
    assert_eq!(owner("data/tenantry.db"), owner("data"));
    run("user list --partner 1").done();
}

#[tokio::test]
async fn an_interrupted_backup_leaves_no_file() {
    let home = backed_up().await;
    // It waits: another program has the database for itself.
    let other = rusqlite::Connection::open(home.data().join("tenantry.db")).unwrap();
    other
        .execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; UPDATE counters SET value = value")
        .unwrap();
    let mut backup = tenantry(binary(), home.path(), &["backup", "new.db"], &[]).spawn().unwrap();
    let begun = || {
        let names = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.into_iter().find(|name| name.to_str().unwrap().starts_with("new.db.partial-"))
    };
    let partial = until("it has begun", begun).await;
    let mode = fs::metadata(home.path().join(partial)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "from the start");
    let pid = rustix::process::Pid::from_child(&backup);
    // Whether it watches already or not, it ends; only when it does, by itself and with a word.
    until("it watches signals", || watches(backup.id()).then_some(())).await;
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(backup.wait().unwrap().code(), Some(1));
    assert_eq!(begun(), None);
    assert!(!home.path().join("new.db").exists());
}

/// Whether a process has taken SIGTERM into its own hands (proc(5), SigCgt).
fn watches(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim();
    u64::from_str_radix(caught, 16).unwrap() & (1 << 14) != 0
}

#[tokio::test]
async fn a_terminal_shows_the_progress() {
    let home = backed_up().await;
    let shown = |line: &str| {
        let line = format!("{} {line}", binary().display());
        // It gives the command a terminal of its own.
        ended(
            tenantry(Path::new("script"), home.path(), &["-qec", &line, "/dev/null"], &[]).output().unwrap(),
        )
    };
    let told = shown("backup new.db").done();
    for what in ["\r\x1b[Kcopying: 100 % of ", "\r\x1b[Kchecking the copy", "\r\x1b[Kfile: new.db"] {
        assert!(told.contains(what), "{what}: {told:?}");
    }
    let told = shown("restore new.db").done();
    for what in ["\r\x1b[Kcopying: 100 % of ", "\r\x1b[Kchecking the backup", "\r\x1b[Kdatabase: /"] {
        assert!(told.contains(what), "{what}: {told:?}");
    }
}

#[tokio::test]
async fn plain_output_is_in_lines() {
    let home = backed_up().await;
    let out = home.command("backup new.db").done();
    let keys: Vec<&str> = out.lines().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(keys, ["file", "partners", "users", "bytes", "schema", "takenAt", "seconds"]);
    let out = home.command("restore new.db").done();
    let keys: Vec<&str> = out.lines().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(keys, ["database", "keptAs", "partners", "users", "bytes", "schema", "seconds"]);
    assert!(out.contains(&format!("keptAs: {}", fs::canonicalize(home.data()).unwrap().display())), "{out}");
}
