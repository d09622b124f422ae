//! Faults of operation, with the real binary: logs and disks that take nothing, files that are moved, signals.

use std::fs::{self, File, OpenOptions};
use std::io::{PipeWriter, Write as _, pipe};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};

use crate::binary::{Ended, GIVEN, Home, Process, TIMEOUT, binary, tenantry, until};
use crate::databases::{Database, is_postgres, run, url_of};
use crate::full_disks::Small;
use crate::harness::{T, TestResponse, new_user};

/// A server that logs everything to `stderr`, on the database that this run of the suite is about.
fn serve(home: &Home, database: &Database, stderr: Stdio, args: &[&str]) -> Result<Process, Ended> {
    let args: Vec<&str> = ["serve", "--listen", "127.0.0.1:0", "--metrics-allow", "127.0.0.1"]
        .iter()
        .chain(args)
        .copied()
        .collect();
    let mut command = tenantry(binary(), home.path(), &args, &GIVEN);
    if let Some(url) = database.url() {
        command.env("TENANTRY_DATABASE_URL", url);
    }
    Process::start(command.stderr(stderr))
}

#[track_caller]
fn assert_come_again(response: &TestResponse, why: &str) {
    assert_eq!(response.status, 503, "{}", response.text);
    assert!(response.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0));
    assert!(response.text.contains(why), "{}", response.text);
}

/// The value of a metric that has no labels.
async fn metric(server: &Process, name: &str) -> u64 {
    let text = server.anonymous().get("/metrics").await.expect(200).text;
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("{name}: {text}")).parse().unwrap()
}

/// Waits until the server says that it is ready.
async fn ready(server: &Process) {
    let asked = async {
        while server.anonymous().get("/readyz").await.status != 200 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    assert!(tokio::time::timeout(TIMEOUT, asked).await.is_ok(), "it is not ready again");
}

/// Leaves no room in a pipe, of whatever size it is.
fn fill(mut pipe: &PipeWriter) {
    let flags = fcntl_getfl(pipe).unwrap();
    fcntl_setfl(pipe, flags | OFlags::NONBLOCK).unwrap();
    let full = std::iter::repeat_with(|| pipe.write(&[b'x'; 4_096])).find_map(Result::err).unwrap();
    assert_eq!(full.kind(), std::io::ErrorKind::WouldBlock);
    fcntl_setfl(pipe, flags).unwrap();
}

#[tokio::test]
async fn an_unwritable_log_blocks_nothing() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let (closed_reader, closed) = pipe().unwrap();
    drop(closed_reader);
    // Somebody who has stopped to read.
    let (_stopped_reader, stopped) = pipe().unwrap();
    fill(&stopped);
    for stderr in [Stdio::from(full), Stdio::from(closed), Stdio::from(stopped)] {
        let (home, database) = (Home::new(), Database::blank());
        let server = serve(&home, &database, stderr, &["--log", "trace"]).unwrap();
        let admin = server.admin().await;
        for n in 0..20 {
            admin.create(&format!("user{n}")).await;
        }
        server.try_login("nobody", "no matter").await.expect(400);
        assert_eq!(home.mails(20).await.len(), 20, "the worker works");
        server.anonymous().get("/readyz").await.expect(200);
        assert!(metric(&server, "tenantry_log_lines_dropped_total").await > 0);
        assert_eq!(metric(&server, "tenantry_threads_missing").await, 0);
        assert_eq!(server.terminate().code, Some(0));
    }
}

/// No file of this process may grow: for SQLite and for the log a disk that refuses everything (setrlimit(2),
/// RLIMIT_FSIZE), for whatever user the tests run as.
fn limit(server: &Process, bytes: Option<u64>) {
    let pid = Pid::from_raw(i32::try_from(server.id()).unwrap());
    prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
}

#[tokio::test]
async fn readyz_reports_a_disk_without_writes_until_it_recovers() {
    let (home, database) = (Home::new(), Database::blank());
    let log = home.path().join("log");
    let server = serve(&home, &database, Stdio::piped(), &["--log-file", "log", "--log", "debug"]).unwrap();
    let admin = server.admin().await;
    admin.create("before").await;
    limit(&server, Some(1));
    let told = fs::metadata(&log).unwrap().len();
    if is_postgres() {
        // Its files are elsewhere: only the log is hit.
        admin.create("meanwhile").await;
    } else {
        for _ in 0..2 {
            assert_come_again(
                &admin.post("/api/v1/users/", &new_user("lost")).await,
                "cannot store anything",
            );
            assert_come_again(&server.anonymous().get("/readyz").await, "cannot store anything");
        }
        assert_come_again(&server.try_login("before", "no matter").await, "");
        // Reads go on.
        admin.get("/api/v1/users/1").await.expect(200);
    }
    server.anonymous().get("/healthz").await.expect(200);
    assert!(metric(&server, "tenantry_log_lines_dropped_total").await > 0);
    assert_eq!(fs::metadata(&log).unwrap().len(), told);
    limit(&server, None);
    // Without anybody who writes.
    ready(&server).await;
    admin.create("after").await;
    assert_eq!(metric(&server, "tenantry_threads_missing").await, 0);
    assert!(fs::metadata(&log).unwrap().len() > told, "the log goes on");
    let ended = server.terminate();
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "all of the log is in its file");
    assert!(fs::read_to_string(&log).unwrap().contains("stopped"));
}

/// A file system of its own that can be made read-only under a program that writes to it. None where this user may not.
struct Loop(tempfile::TempDir);

impl Loop {
    fn mount() -> Option<Self> {
        let this = Self(tempfile::tempdir().unwrap());
        let (image, at) = (this.0.path().join("image"), this.path());
        fs::create_dir(&at).unwrap();
        File::create(&image).unwrap().set_len(64 << 20).unwrap();
        let does = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
        let is_made = does(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image));
        let options = ["-o", "loop,errors=remount-ro"];
        (is_made && does(Command::new("mount").args(options).arg(&image).arg(&at))).then_some(this)
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("at")
    }

    fn make_read_only(&self) {
        let aborted = Command::new("mount").args(["-o", "remount,abort"]).arg(self.path()).output().unwrap();
        assert!(aborted.status.success(), "{aborted:?}");
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).output();
    }
}

#[tokio::test]
async fn a_file_system_that_becomes_read_only_is_reported() {
    if is_postgres() {
        return;
    }
    let Some(disk) = Loop::mount() else {
        // The same answers without a mount: readyz_reports_a_disk_without_writes_until_it_recovers.
        eprintln!("no loop device: a read-only file system is tested only by SQLite's codes for it");
        return;
    };
    let home = Home::new();
    let data = disk.path().join("data");
    let server = Process::serve(home.path(), &["--data-dir", data.to_str().unwrap()], &GIVEN);
    let admin = server.admin().await;
    admin.create("before").await;
    disk.make_read_only();
    assert_come_again(&admin.post("/api/v1/users/", &new_user("lost")).await, "cannot store anything");
    assert_come_again(&server.anonymous().get("/readyz").await, "cannot store anything");
    admin.get("/api/v1/users/1").await.expect(200);
    server.kill();
}

#[tokio::test]
async fn a_full_log_disk_blocks_nothing_and_logging_resumes_when_there_is_room() {
    let Some(small) = Small::mount("64k") else {
        // Without a mount: readyz_reports_a_disk_without_writes_until_it_recovers.
        eprintln!("no mount: a full disk is tested only by a limit of file sizes");
        return;
    };
    let (home, database) = (Home::new(), Database::blank());
    let log = small.path().join("log");
    let args = ["--log-file", log.to_str().unwrap(), "--log", "trace"];
    let server = serve(&home, &database, Stdio::piped(), &args).unwrap();
    let admin = server.admin().await;
    let mut made = 0;
    while metric(&server, "tenantry_log_lines_dropped_total").await == 0 {
        admin.create(&format!("user{made}")).await;
        made += 1;
        assert!(made < 2_000, "it is never full");
    }
    admin.create("full").await;
    fs::remove_file(&log).unwrap();
    server.signal(Signal::HUP);
    until("the log is reopened", || fs::read_to_string(&log).ok().filter(|text| !text.is_empty())).await;
    assert_eq!(server.terminate().code, Some(0));
}

#[tokio::test]
async fn a_database_that_is_moved_away_or_replaced_is_not_written_to() {
    if is_postgres() {
        return;
    }
    let home = Home::new();
    let server = home.serve();
    let admin = server.admin().await;
    admin.create("before").await;
    let (path, away) = (home.data().join("tenantry.db"), home.data().join("away"));
    fs::rename(&path, &away).unwrap();
    for name in ["one", "two"] {
        assert_come_again(&admin.post("/api/v1/users/", &new_user(name)).await, "moved, deleted or replaced");
    }
    assert_come_again(&server.anonymous().get("/readyz").await, "moved, deleted or replaced");
    fs::copy(&away, &path).unwrap();
    assert_come_again(&admin.post("/api/v1/users/", &new_user("three")).await, "moved, deleted or replaced");
    fs::rename(&away, &path).unwrap();
    server.anonymous().get("/readyz").await.expect(200);
    admin.create("back").await;
    let said = server.err();
    assert_eq!(said.matches("was moved, deleted or replaced while in use").count(), 1, "{said}");
    // Deleted, it cannot come back: the next start finds only its log, which it must not remove.
    fs::remove_file(&path).unwrap();
    assert_come_again(&admin.post("/api/v1/users/", &new_user("four")).await, "moved, deleted or replaced");
    assert_eq!(server.terminate().code, Some(0));
    let log = home.data().join("tenantry.db-wal");
    let left = fs::read(&log).unwrap();
    let said = home.refused(&[], &GIVEN).refused(1);
    assert!(said.contains("is missing or empty, but its log") && said.contains("restore a backup"), "{said}");
    assert_eq!(fs::read(&log).unwrap(), left);
    assert!(!path.exists());
}

/// The locks on a file that a process holds, as the kernel lists them (proc(5)).
fn locks(server: &Process, path: &Path) -> Vec<String> {
    use std::os::unix::fs::MetadataExt as _;
    let (inode, pid) = (format!(":{}", fs::metadata(path).unwrap().ino()), server.id().to_string());
    let text = fs::read_to_string("/proc/locks").unwrap();
    let words = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let own = words.filter(|words| words.len() > 5 && words[4] == pid && words[5].ends_with(&inode));
    own.map(|words| words[1].to_owned()).collect()
}

#[tokio::test]
async fn another_name_of_the_file_does_not_allow_a_second_process() {
    if is_postgres() {
        return;
    }
    let home = Home::new();
    let server = home.serve();
    server.admin().await.create("fenna").await;
    let database = home.data().join("tenantry.db");
    let other = home.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::hard_link(&database, other.join("tenantry.db")).unwrap();
    let args = ["--data-dir", "other"];
    let said = home.refused(&args, &GIVEN).refused(1);
    assert!(said.contains("another process uses the file other/tenantry.db"), "{said}");
    for line in [
        "user get fenna --data-dir other",
        "backup copy.db --data-dir other",
        "copy --from sqlite:other/tenantry.db --to sqlite:copy.db",
    ] {
        let said = home.command(line).refused(1);
        assert!(said.contains("another process uses the file"), "{line}: {said}");
    }
    let data = home.data();
    let backup = home.path().join("good.db");
    assert_eq!(home.command("backup good.db").code, Some(0), "by its own name");
    let said = home.command("restore good.db --data-dir other").refused(1);
    assert!(said.contains("another process uses the file"), "{said}");
    assert!(backup.exists() && !home.path().join("copy.db").exists());
    // A lock that was deleted is no way, either.
    fs::remove_file(data.join("tenantry.lock")).unwrap();
    let said = home.refused(&[], &GIVEN).refused(1);
    assert!(said.contains("another process uses the file ./tenantry-data/tenantry.db"), "{said}");
    // SQLite's own locks are where they were.
    let held = locks(&server, &database);
    assert!(held.iter().any(|kind| kind == "POSIX") && held.iter().any(|kind| kind == "FLOCK"), "{held:?}");
    server.admin().await.create("tjerk").await;
    assert_eq!(server.terminate().code, Some(0));
    home.serve().admin().await.get("/api/v1/users/3").await.expect(200);
}

#[tokio::test]
async fn signals_reopen_the_log_or_do_nothing() {
    let (home, database) = (Home::new(), Database::blank());
    let log = home.path().join("log");
    let server = serve(&home, &database, Stdio::piped(), &["--log-file", "log"]).unwrap();
    server.admin().await;
    for signal in [Signal::USR1, Signal::USR2, Signal::XFSZ] {
        server.signal(signal);
        server.anonymous().get("/readyz").await.expect(200);
    }
    fs::rename(&log, home.path().join("log.1")).unwrap();
    server.signal(Signal::HUP);
    until("a new file", || fs::read_to_string(&log).ok().filter(|text| text.contains("reopened"))).await;
    // One that cannot be opened again goes on where it was.
    fs::rename(&log, home.path().join("log.2")).unwrap();
    fs::create_dir(&log).unwrap();
    server.signal(Signal::HUP);
    let old = || fs::read_to_string(home.path().join("log.2")).ok();
    until("it says so", || old().filter(|text| text.contains("cannot be reopened"))).await;
    server.admin().await;
    let ended = server.terminate();
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    assert!(old().unwrap().contains("stopped"));

    // Without a file it goes on, too.
    let server = serve(&home, &database, Stdio::piped(), &[]).unwrap();
    server.signal(Signal::HUP);
    until("it says so", || Some(()).filter(|()| server.err().contains("log-file is not set"))).await;
    server.anonymous().get("/readyz").await.expect(200);
    assert_eq!(server.terminate().code, Some(0));
}

#[test]
fn a_log_file_that_cannot_be_opened_is_refused() {
    let home = Home::new();
    let said = home.refused(&["--log-file", "no/log"], &GIVEN).refused(1);
    assert!(said.contains("cannot write the log no/log"), "{said}");
    assert!(!home.data().exists());
}

#[tokio::test]
async fn an_empty_database_beside_remains_of_another_is_reported() {
    let what = "has the database been lost, or is another volume mounted?";
    let (home, database) = (Home::new(), Database::blank());
    let server = serve(&home, &database, Stdio::piped(), &[]).unwrap();
    server.admin().await.create("fenna").await;
    home.mails(1).await;
    let ended = server.terminate();
    assert!(!ended.err.contains(what), "{}", ended.err);
    let ended = serve(&home, &database, Stdio::piped(), &[]).unwrap().terminate();
    assert!(!ended.err.contains(what), "all is there: {}", ended.err);
    let lost = Database::blank();
    let remove = || fs::remove_file(home.data().join("tenantry.db"));
    if !is_postgres() {
        remove().unwrap();
    }
    let ended = serve(&home, &lost, Stdio::piped(), &[]).unwrap().terminate();
    assert!(ended.err.contains("there are mails in") && ended.err.contains(what), "{}", ended.err);
    if !is_postgres() {
        fs::remove_dir_all(home.data().join("mail")).unwrap();
        fs::write(home.data().join("tenantry.db"), "").unwrap();
        let ended = serve(&home, &lost, Stdio::piped(), &[]).unwrap().terminate();
        assert!(ended.err.contains("there is the lock") && ended.err.contains(what), "{}", ended.err);
    }
}

#[tokio::test]
async fn a_read_only_database_is_reported_until_it_is_writable() {
    if !is_postgres() {
        return;
    }
    let t = T::start().await;
    let admin = t.admin().await;
    let url = t.database.url().unwrap();
    let name = url.rsplit('/').next().unwrap().split('?').next().unwrap().to_owned();
    let alter = |how: &str| {
        run(&url_of("postgres"), &format!("ALTER DATABASE {name} {how}")).unwrap();
        // Each has ended when this returns: a connection that is only about to end would still take a request.
        let end = format!(
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity \
             WHERE datname = '{name}' AND pid <> pg_backend_pid()"
        );
        run(&url_of("postgres"), &end).unwrap();
    };
    alter("SET default_transaction_read_only = on");
    let anyone = t.anonymous();
    // Before anybody has tried to write.
    assert_come_again(&anyone.get("/readyz").await, "read-only");
    assert_come_again(&admin.post("/api/v1/users/", &new_user("lost")).await, "read-only");
    assert_come_again(&anyone.get("/readyz").await, "read-only");
    admin.get("/api/v1/users?page=0").await.expect(200);
    // A server that is started meanwhile says so, too.
    let home = Home::new();
    let server = serve(&home, &t.database, Stdio::piped(), &[]).unwrap();
    assert_come_again(&server.anonymous().get("/readyz").await, "read-only");
    alter("RESET default_transaction_read_only");
    ready(&server).await;
    // Its clock is the real one: it deletes the sessions of `t`, whose clock stands, as expired.
    assert_eq!(server.terminate().code, Some(0));
    t.admin().await.create("after").await;
    anyone.get("/readyz").await.expect(200);
}
