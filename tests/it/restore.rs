//! Restores by the real binary: what comes back, what is kept, and what is refused.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::backup::{backed_up, edit, everything, restored};
use crate::binary::{Home, Process, password_in, until};
use crate::fixtures::ids;
use crate::harness::{new_user, password_of};

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
async fn a_restore_yields_what_was_backed_up() {
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
    let response = server.try_login("bob", &password).await.expect(200);
    assert_eq!(response.body["passwordChangeRequired"], true);
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
async fn the_log_of_a_killed_server_is_neither_lost_nor_applied_to_another_database() {
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
async fn a_damaged_database_and_its_log_stay_unchanged() {
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
async fn a_log_without_a_database_is_moved_away() {
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
    edit(&at("newer.db"), "INSERT INTO schema_versions (version, applied_at) VALUES (999, 0)");
    fs::copy(home.data().join("tenantry.db"), at("bare.db")).unwrap();
    changed("logged.db", &|_| ());
    fs::write(at("logged.db-wal"), "changes").unwrap();
    fs::create_dir(at("dir.db")).unwrap();
    vec![
        ("text.db", "is not a database"),
        ("empty.db", "is not a database"),
        ("short.db", "is not a database"),
        ("foreign.db", "another program's database"),
        ("cut.db", "is incomplete"),
        ("longer.db", "is incomplete"),
        ("damaged.db", "is damaged"),
        ("dangling.db", "points to one of users that is gone"),
        ("index.db", "is damaged"),
        ("newer.db", "newer version of Tenantry"),
        ("bare.db", "tenantry backup NEW-FILE --database-url sqlite:bare.db"),
        ("logged.db", "database in use"),
        ("dir.db", "is not a regular file"),
        ("missing.db", "no such file: missing.db"),
        ("tenantry-data/tenantry.db", "the current database itself"),
    ]
}

#[tokio::test]
async fn invalid_backups_are_refused_and_nothing_is_changed() {
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
    assert!(said.contains("was left by an interrupted restore") && home.path().join(left).exists(), "{said}");
    // The way that is told for a bare copy is one.
    home.command("backup made-of-it.db --database-url sqlite:bare.db").done();
    restored(&home, Path::new("made-of-it.db"));
}

#[tokio::test]
async fn data_in_use_is_not_overwritten_by_a_restore() {
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
    assert!(said.contains("foreign.sqlite is another program's database"), "{said}");
    let mut after = everything(home.path());
    after.remove(&home.path().join("foreign.sqlite.lock"));
    assert!(after == before);
    assert_eq!(home.json("user list --partner 1").as_array().unwrap().len(), 4);
}
