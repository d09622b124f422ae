//! Backup and restore: of the real binary, beside a server and without one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::binary::{Ended, Home, Process, binary, password_in, tenantry, until};
use crate::fixtures::ids;
use crate::harness::{Person, new_user, password_of};
use crate::serve::{Ordinary, Small, set_mode};

/// Every file below a directory with what is in it.
fn everything(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
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
async fn backed_up() -> Home {
    let home = Home::new();
    let server = home.serve();
    server.admin().await.create("fenna").await;
    home.mails(1).await;
    assert_eq!(server.terminate().code, Some(0));
    home.command("backup good.db").done();
    home
}

fn restored(home: &Home, file: &Path) -> Value {
    home.json(&format!("restore {}", file.display()))
}

/// A database of a home, changed by hand.
fn edit(path: &Path, sql: &str) {
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
async fn a_backup_during_a_load_of_creates_is_the_data_of_one_moment() {
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

/// A member with a permanent password.
async fn settle(server: &Process, home: &Home, name: &str) {
    server.admin().await.create(name).await;
    let is_theirs = |mail: &String| mail.contains(&format!("Username: {name}\n"));
    let mail = until("the mail is written", || {
        let names = home.mail_names().into_iter().filter(|name| !name.starts_with('.'));
        names.map(|name| home.mail(&name)).find(is_theirs)
    })
    .await;
    let temporary = password_in(&mail);
    let body = json!({ "oldPassword": temporary, "newPassword": password_of(name) });
    let person = server.login(name, &temporary).await;
    person.post("/api/v1/users/self/update-password", &body).await.expect(200);
}

#[tokio::test]
async fn what_is_restored_is_what_was_backed_up() {
    let home = Home::new();
    let server = home.serve();
    settle(&server, &home, "fenna").await;
    let admin = server.admin().await;
    let group = admin.create_group("Readers").await;
    let mut body = new_user("gus");
    body["groups"] = json!([group]);
    admin.create_with(&body).await;
    let last = admin.create("hana").await["userId"].as_i64().unwrap();
    admin.delete(&format!("/api/v1/users/{last}")).await.expect(204);
    let create =
        "partner create --name Acme --admin-username ada --admin-email a@example.com --print-password";
    let ada = home.json(create)["password"].as_str().unwrap().to_owned();
    let client = home.json("client create --partner 1 --name robot --admin");
    let fenna = server.login("fenna", &password_of("fenna")).await.token.unwrap();
    let paths = ["/api/v1/users/", "/api/v1/groups/", "/api/v1/events?pageSize=1000", "/api/v1/self"];
    let session = admin.token.clone().unwrap();
    let mut before = Vec::new();
    for path in paths {
        before.push(admin.get(path).await.expect(200).body);
    }
    let told = home.json("backup data.backup");
    let file = home.path().join("data.backup");
    assert_eq!(json!([told["file"], told["partners"], told["users"]]), json!(["data.backup", 2, 4]));
    assert_eq!(told["bytes"], fs::metadata(&file).unwrap().len());
    assert!(told["takenAt"].as_str().unwrap().ends_with('Z') && told["seconds"].is_f64(), "{told}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    // What happens later is undone by the restore.
    let later = admin.create("ivo").await["userId"].as_i64().unwrap();
    home.command("user delete fenna").done();
    home.command("partner delete 2").done();
    assert_eq!(server.terminate().code, Some(0));
    let told = restored(&home, Path::new("data.backup"));
    let kept = PathBuf::from(told["keptAs"].as_str().unwrap());
    assert!(
        kept.file_name().unwrap().to_str().unwrap().starts_with("tenantry.db.before-restore-2"),
        "{told}"
    );
    assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    let server = home.serve();
    let admin = server.bearer(&session);
    for (path, before) in paths.iter().zip(&before) {
        assert_eq!(admin.get(path).await.expect(200).body, *before, "{path}");
    }
    server.login("fenna", &password_of("fenna")).await.get("/api/v1/self").await.expect(200);
    server.bearer(&fenna).get("/api/v1/self").await.expect(200);
    server.login("ada", &ada).await.get("/api/v1/self").await.expect(200);
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", client["client_id"].as_str().unwrap()),
        ("client_secret", client["client_secret"].as_str().unwrap()),
    ];
    server.anonymous().form("/oauth/token", &form).await.expect(200);
    // A number that was given after the backup is not given to somebody else.
    let next = admin.create("joe").await["userId"].as_i64().unwrap();
    assert_eq!(next, later + 1, "of {before:?}");
    assert_eq!(server.terminate().code, Some(0));

    // Elsewhere nothing was given: only what was deleted before the backup stays gone.
    let other = Home::new();
    assert_eq!(restored(&other, &file)["keptAs"], Value::Null);
    assert_eq!(fs::metadata(other.data()).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(other.data().join("tenantry.db")).unwrap().permissions().mode() & 0o777, 0o600);
    let server = other.serve();
    let admin = server.admin().await;
    assert_eq!(json!(ids(&admin.everybody().await)), json!(ids(&before[0])));
    assert!(admin.create("kim").await["userId"].as_i64().unwrap() > last, "{last} is never given again");

    // What was kept can be restored, too.
    restored(&home, &kept);
    let server = home.serve();
    let admin = server.admin().await;
    admin.get(&format!("/api/v1/users/{later}")).await.expect(200);
    assert_eq!(admin.get("/api/v1/users/?username=fenna").await.expect(200).body, json!([]));
}

#[tokio::test]
async fn mail_that_waits_is_delivered_after_a_restore() {
    let home = Home::new();
    assert_eq!(home.serve().terminate().code, Some(0));
    let create =
        "user create --partner 1 --username bob --email b@example.com --first-name Bob --last-name B";
    assert_eq!(home.json(create)["mail"], "queued");
    home.command("backup waiting.db").done();
    let other = Home::new();
    restored(&other, &home.path().join("waiting.db"));
    let server = other.serve();
    let password = password_in(&other.mails(1).await[0]);
    let answer = server.try_login("bob", &password).await.expect(200);
    assert_eq!(answer.body["passwordChangeRequired"], true);
    // What was delivered stands in no later backup.
    let shows = |file: &str| {
        let bytes = fs::read(file).unwrap();
        bytes.windows(password.len()).any(|window| window == password.as_bytes())
    };
    let file = |home: &Home, name: &str| home.path().join(name).display().to_string();
    assert!(shows(&file(&home, "waiting.db")), "it is in clear there, hence 0600");
    let letters = |file: &Path| -> i64 {
        let database = rusqlite::Connection::open(file).unwrap();
        database
            .query_row("SELECT count(*) FROM outbox WHERE letter IS NOT NULL", [], |row| row.get(0))
            .unwrap()
    };
    until("it is noted as delivered", || (letters(&other.data().join("tenantry.db")) == 0).then_some(()))
        .await;
    other.command("backup later.db").done();
    assert_eq!(letters(&other.path().join("later.db")), 0);
}

#[tokio::test]
async fn a_log_that_a_killed_server_left_is_neither_lost_nor_taken_for_the_new_ones() {
    let home = backed_up().await;
    let server = home.serve();
    server.admin().await.create("gus").await;
    assert_eq!(server.kill().code, None);
    let log = home.data().join("tenantry.db-wal");
    assert!(fs::metadata(&log).unwrap().len() > 0, "it stands in the log");
    // A backup of what was left has it, and so has what is kept.
    assert_eq!(home.json("backup after.db")["users"], 3);
    let server = home.serve();
    server.admin().await.create("hana").await;
    assert_eq!(server.kill().code, None);
    let told = restored(&home, Path::new("good.db"));
    assert_eq!((&told["users"], log.exists()), (&json!(2), false));
    assert_eq!(home.json("user list --partner 1").as_array().unwrap().len(), 2);
    let told = restored(&home, Path::new(told["keptAs"].as_str().unwrap()));
    assert_eq!(told["users"], 4);
    assert_eq!(home.json("user get hana")["username"], "hana");
}

#[tokio::test]
async fn a_damaged_database_is_kept_as_it_is_with_its_log() {
    let home = backed_up().await;
    let database = home.data().join("tenantry.db");
    let garbage = vec![b'x'; 100_000];
    fs::write(&database, &garbage).unwrap();
    fs::write(home.data().join("tenantry.db-wal"), "of the damaged one").unwrap();
    // What a restore that was broken off may have left.
    fs::write(home.data().join("tenantry.db.restoring"), "half").unwrap();
    let link = home.data().join("tenantry.db.before-restore-20260101T000000.000Z");
    fs::hard_link(&database, &link).unwrap();
    let told = restored(&home, Path::new("good.db"));
    let kept = told["keptAs"].as_str().unwrap();
    assert_eq!(fs::read(kept).unwrap(), garbage);
    assert_eq!(fs::read_to_string(format!("{kept}-wal")).unwrap(), "of the damaged one");
    assert!(!link.exists() && !home.data().join("tenantry.db.restoring").exists());
    let server = home.serve();
    assert_eq!(ids(&server.admin().await.everybody().await), [1, 2]);
}

#[tokio::test]
async fn a_log_without_a_database_is_put_away() {
    let home = backed_up().await;
    let database = home.data().join("tenantry.db");
    let server = home.serve();
    server.admin().await.create("gus").await;
    assert_eq!(server.kill().code, None);
    fs::remove_file(&database).unwrap();
    assert_eq!(restored(&home, Path::new("good.db"))["keptAs"], Value::Null);
    let server = home.serve();
    assert_eq!(ids(&server.admin().await.everybody().await), [1, 2], "nothing of the log is in it");
}

#[tokio::test]
async fn a_link_to_the_database_stays_one() {
    let home = backed_up().await;
    let (link, real) = (home.data().join("tenantry.db"), home.path().join("disk2.db"));
    fs::rename(&link, &real).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let told = restored(&home, Path::new("good.db"));
    assert!(told["keptAs"].as_str().unwrap().contains("/disk2.db.before-restore-"), "{told}");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(ids(&home.serve().admin().await.everybody().await), [1, 2]);
}

/// Files that are no good backup, by what is said of them; made of a good one.
fn bad_files(home: &Home) -> Vec<(&'static str, &'static str)> {
    let at = |name: &str| home.path().join(name);
    let good = fs::read(at("good.db")).unwrap();
    let changed = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        fs::write(at(name), bytes).unwrap();
    };
    fs::write(at("text.db"), "users: all of them\n".repeat(100)).unwrap();
    fs::write(at("empty.db"), "").unwrap();
    changed("short.db", &|bytes| bytes.truncate(50));
    edit(&at("foreign.db"), "CREATE TABLE t (x); INSERT INTO t VALUES (1)");
    changed("cut.db", &|bytes| bytes.truncate(bytes.len() * 3 / 4));
    changed("longer.db", &|bytes| bytes.extend([0; 512]));
    // Between the first page, which says whose it is, and the end: no page survives that.
    changed("damaged.db", &|bytes| {
        let end = bytes.len();
        bytes[8_192..end / 2].fill(0xa5);
    });
    changed("dangling.db", &|_| ());
    edit(&at("dangling.db"), "PRAGMA foreign_keys = OFF; DELETE FROM users WHERE user_id = 2");
    changed("index.db", &|_| ());
    edit(
        &at("index.db"),
        "PRAGMA writable_schema = ON; DELETE FROM sqlite_master WHERE name = 'users_by_email'; \
         PRAGMA writable_schema = OFF",
    );
    changed("newer.db", &|_| ());
    edit(&at("newer.db"), "INSERT INTO schema_versions VALUES (999, 0)");
    fs::copy(home.data().join("tenantry.db"), at("bare.db")).unwrap();
    changed("logged.db", &|_| ());
    fs::write(at("logged.db-wal"), "changes").unwrap();
    fs::create_dir(at("dir.db")).unwrap();
    vec![
        ("text.db", "no database"),
        ("empty.db", "no database"),
        ("short.db", "no database"),
        ("foreign.db", "of another program"),
        ("cut.db", "is not whole"),
        ("longer.db", "is not whole"),
        ("damaged.db", "is damaged"),
        ("dangling.db", "points to one of users that is gone"),
        ("index.db", "is damaged"),
        ("newer.db", "newer version of Tenantry"),
        ("bare.db", "tenantry backup NEW-FILE --database-url sqlite:bare.db"),
        ("logged.db", "database in use"),
        ("dir.db", "no ordinary file"),
        ("missing.db", "there is no file missing.db"),
        ("tenantry-data/tenantry.db", "the present database itself"),
    ]
}

#[tokio::test]
async fn what_is_no_good_backup_is_refused_and_nothing_is_changed() {
    let home = backed_up().await;
    let bad = bad_files(&home);
    let before = everything(home.path());
    for (file, what) in &bad {
        let said = home.command(&format!("restore {file}")).refused(1);
        assert!(said.contains(what) && said.contains(file), "{file}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(everything(home.path()) == before, "{file} changed something");
    }
    // Where there is no data, none is made.
    for (file, _) in bad.iter().filter(|(file, _)| *file != "tenantry-data/tenantry.db") {
        home.command(&format!("restore {file} --data-dir new")).refused(1);
        assert!(!home.path().join("new").exists(), "{file}");
        assert!(everything(home.path()) == before, "{file} changed something");
    }
    // What would be cleared away is no backup, however good it is.
    let left = "tenantry-data/tenantry.db.restoring";
    fs::copy(home.path().join("good.db"), home.path().join(left)).unwrap();
    let said = home.command(&format!("restore {left}")).refused(1);
    assert!(said.contains("what a broken-off restore has left") && home.path().join(left).exists(), "{said}");
    // The way that is told for a bare copy is one.
    home.command("backup made-of-it.db --database-url sqlite:bare.db").done();
    restored(&home, Path::new("made-of-it.db"));
}

#[tokio::test]
async fn nothing_is_restored_over_data_that_somebody_works_on() {
    let home = backed_up().await;
    let server = home.serve();
    let admin = server.admin().await;
    admin.create("gus").await;
    let said = home.command("restore good.db").refused(1);
    assert!(said.contains("nothing was changed"), "{said}");
    assert!(said.contains(&format!("tenantry serve (pid {})", server.id())), "{said}");
    assert!(said.contains("stop it first"), "{said}");
    admin.create("hana").await;
    assert_eq!(admin.everybody().await.as_array().unwrap().len(), 4);
    assert_eq!(server.terminate().code, Some(0));
    // Some other program has it open, as a backup under way has.
    let database = home.data().join("tenantry.db");
    let other = rusqlite::Connection::open(&database).unwrap();
    other.execute_batch("BEGIN; SELECT count(*) FROM users").unwrap();
    let names = || {
        fs::read_dir(home.data()).unwrap().map(|entry| entry.unwrap().file_name()).collect::<BTreeSet<_>>()
    };
    let (before, bytes) = (names(), fs::read(&database).unwrap());
    let said = home.command("restore good.db").refused(1);
    assert!(said.contains("another program has the database") && said.contains("open"), "{said}");
    assert_eq!(names(), before);
    drop(other);
    assert!(fs::read(&database).unwrap() == bytes);
    // And a database of another program is none to replace.
    edit(&home.path().join("foreign.sqlite"), "CREATE TABLE t (x)");
    let before = everything(home.path());
    let said = home.command("restore good.db --database-url sqlite:foreign.sqlite").refused(1);
    assert!(said.contains("foreign.sqlite is a database of another program"), "{said}");
    let mut after = everything(home.path());
    after.remove(&home.path().join("foreign.sqlite.lock"));
    assert!(after == before);
    assert_eq!(home.json("user list --partner 1").as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn a_backup_takes_no_name_that_is_not_free() {
    let home = backed_up().await;
    fs::write(home.path().join("mine.txt"), "mine").unwrap();
    std::os::unix::fs::symlink("nowhere", home.path().join("link.db")).unwrap();
    let before = everything(home.path());
    for (line, what) in [
        ("backup good.db", "good.db exists already"),
        ("backup mine.txt", "mine.txt exists already"),
        ("backup link.db", "link.db exists already"),
        ("backup /dev/null", "/dev/null exists already"),
        ("backup tenantry-data", "is a directory: name a file in it"),
        ("backup no/such/dir.db", "there is no directory no/such"),
        ("backup mine.txt/x.db", "mine.txt"),
        ("backup tenantry-data/tenantry.db-wal", "needs for itself"),
        ("backup new.db --data-dir elsewhere", "there is no database at elsewhere/tenantry.db"),
        ("backup new.db --database-url sqlite:mine.txt", "cannot copy the database mine.txt"),
    ] {
        let said = home.command(line).refused(1);
        assert!(said.contains(what), "{line}: {said}");
        assert!(everything(home.path()) == before, "{line} changed something");
    }
    edit(&home.path().join("foreign.sqlite"), "CREATE TABLE t (x)");
    edit(&home.path().join("bare.sqlite"), "CREATE TABLE t (x); DROP TABLE t");
    fs::copy(home.path().join("good.db"), home.path().join("newer.sqlite")).unwrap();
    edit(&home.path().join("newer.sqlite"), "INSERT INTO schema_versions VALUES (999, 0)");
    fs::copy(home.path().join("good.db"), home.path().join("dangling.sqlite")).unwrap();
    edit(
        &home.path().join("dangling.sqlite"),
        "PRAGMA foreign_keys = OFF; DELETE FROM users WHERE user_id = 2",
    );
    let before = everything(home.path());
    for (name, what) in [
        ("foreign", "database of another program"),
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
    assert!(said.contains("the disk is full; make room, or name a file elsewhere"), "{said}");
    let data = disk.path().join("data");
    let said = home.command(&format!("restore good.db --data-dir {}", data.display())).refused(1);
    assert!(said.contains("the disk is full") && said.contains("make room"), "{said}");
    assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 0, "nothing is left there");
    assert!(everything(home.path()) == before);
}

#[tokio::test]
async fn what_may_not_be_read_or_written_is_told() {
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
    assert!(said.contains("cannot make the backup closed/new.db") && said.contains("right to"), "{said}");
    assert_eq!(fs::read_dir(at("closed")).unwrap().count(), 0);
    set_mode(&at("data/good.db"), 0o000);
    let said = run("restore data/good.db").refused(1);
    assert!(said.contains("cannot read the backup data/good.db") && said.contains("right to"), "{said}");
    set_mode(&at("data/good.db"), 0o600);
    let before = fs::metadata(at("data/tenantry.db")).unwrap().ino();
    set_mode(&at("data"), 0o555);
    let said = run("restore data/good.db").refused(1);
    assert!(said.contains("data/tenantry.lock") && said.contains("right to"), "{said}");
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
async fn a_backup_that_is_told_to_stop_leaves_nothing() {
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
async fn a_terminal_shows_how_far_it_is() {
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
async fn people_are_told_in_lines() {
    let home = backed_up().await;
    let out = home.command("backup new.db").done();
    let keys: Vec<&str> = out.lines().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(keys, ["file", "partners", "users", "bytes", "schema", "takenAt", "seconds"]);
    let out = home.command("restore new.db").done();
    let keys: Vec<&str> = out.lines().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(keys, ["database", "keptAs", "partners", "users", "bytes", "schema", "seconds"]);
    assert!(out.contains(&format!("keptAs: {}", fs::canonicalize(home.data()).unwrap().display())), "{out}");
}
