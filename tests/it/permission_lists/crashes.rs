//! A large list whose process goes away in the middle.

use std::time::Duration;

use super::*;
use crate::binary::{Home, Process, TIMEOUT, until};
use tenantry_worker::housekeep;

/// Stops a large list for good where `is_there`, and starts a server on what is there then. What the first one has
/// under way never goes on, as after a crash.
async fn crashed(t: T, group: i64, next: &Value, is_there: impl Fn(&[(i64, i64)]) -> bool) -> T {
    let put = {
        let admin = t.admin().await;
        replace(&admin, group, next, None)
    };
    let pause = stop_when(&t, is_there).await;
    std::mem::forget(pause);
    put.abort();
    if !is_postgres() {
        // The first one keeps its lock on the file: the next one finds a copy in its place.
        let (path, copy) = (t.dir.path().join("tenantry.db"), t.dir.path().join("copy.db"));
        rusqlite::Connection::open(&path)
            .unwrap()
            .backup("main", &copy, None::<fn(rusqlite::backup::Progress)>)
            .unwrap();
        for end in ["-wal", "-shm"] {
            let name = |of: &str| t.dir.path().join(format!("{of}{end}"));
            std::fs::rename(name("tenantry.db"), name(&format!("gone-{}", t.clock.now()))).unwrap();
        }
        std::fs::rename(copy, path).unwrap();
    }
    t.restart().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_was_never_switched_has_no_effect_and_is_removed() {
    let t = T::start().await;
    let old = list(0..LARGE, &["READ"]);
    let (group, user) = {
        let admin = t.admin().await;
        group_with(&t, &admin, &old).await
    };
    let before = seen(&t.admin().await, group, user).await;
    let next = list((0..2 * LARGE).rev(), &["WRITE", "READ"]);
    let t = crashed(t, group, &next, |changes| matches!(changes, [(STAGED, 1..)])).await;
    let admin = t.admin().await;
    assert!(matches!(unsettled(&t).as_slice(), [(STAGED, _)]));
    assert_eq!(seen(&admin, group, user).await, before);
    // On PostgreSQL the other process might still be at work on it.
    if is_postgres() {
        assert_eq!(housekeep(&t.app).await.unwrap().lists, 0);
        assert_eq!(unsettled(&t).len(), 1);
        t.clock.advance(61_000);
    }
    assert_eq!(housekeep(&t.app).await.unwrap().lists, 1);
    assert_settled(&t);
    assert_eq!(seen(&admin, group, user).await, before);
    assert_eq!(t.ask_sql("SELECT count(*) FROM group_permissions"), [[LARGE.to_string()]]);
    assert_eq!(housekeep(&t.app).await.unwrap().lists, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switched_list_takes_effect_and_the_old_one_is_removed() {
    let t = T::start().await;
    let old = list(0..LARGE, &["READ"]);
    let (group, user) = {
        let admin = t.admin().await;
        group_with(&t, &admin, &old).await
    };
    let next = list((LARGE / 2..2 * LARGE).rev(), &["WRITE", "READ"]);
    let t = crashed(t, group, &next, |changes| matches!(changes, [(IN_FORCE, _)])).await;
    let admin = t.admin().await;
    let after = seen(&admin, group, user).await;
    assert_eq!(after["list"], next);
    t.clock.advance(61_000);
    // As for a list that is settled: a change of some of it, and back.
    let changed = list((LARGE / 2..2 * LARGE).rev().skip(1), &["WRITE", "READ"]);
    for next in [&changed, &next] {
        admin.put(&path(group), next).await.expect(200);
        assert_eq!(admin.get(&path(group)).await.expect(200).body, *next);
    }
    assert_settled(&t);
    assert_eq!(seen(&admin, group, user).await, after);

    let t = crashed(t, group, &old, |changes| matches!(changes, [(IN_FORCE, _)])).await;
    let admin = t.admin().await;
    t.clock.advance(61_000);
    assert_eq!(admin.get(&path(group)).await.expect(200).body, old);
    assert_eq!(housekeep(&t.app).await.unwrap().lists, 1);
    assert_settled(&t);
    assert_eq!(admin.get(&path(group)).await.expect(200).body, old);
    assert_eq!(t.ask_sql("SELECT count(*) FROM group_permissions"), [[LARGE.to_string()]]);
}

/// The states of changes in the database of a server that is killed, and of what its rows belong to.
fn state(home: &Home) -> Option<i64> {
    let conn = rusqlite::Connection::open(home.data().join("tenantry.db")).unwrap();
    conn.busy_timeout(Duration::from_secs(5)).unwrap();
    let sql = "SELECT state FROM permission_changes WHERE steps > 0";
    conn.query_row(sql, [], |row| row.get(0)).ok()
}

/// Kills a server when a change is in this state, or a little later; what it was in then.
async fn kill_in(home: &Home, server: Process, put: tokio::task::JoinHandle<()>, wanted: i64) -> Option<i64> {
    let deadline = std::time::Instant::now() + TIMEOUT;
    while state(home) != Some(wanted) && !put.is_finished() && std::time::Instant::now() < deadline {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.kill().code, None, "ended by the signal");
    put.abort();
    state(home)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_leaves_one_list_or_the_other() {
    let home = Home::new();
    let lists = [list(0..8_000, &["READ"]), list((0..8_000).rev(), &["WRITE"])];
    let (server, mut present) = (home.serve(), 0);
    let group = {
        let admin = server.admin().await;
        let group = admin.create_group("Large").await;
        let user = with(&new_user("fenna"), json!({ "groups": [group] }));
        admin.create_with(&user).await;
        admin.put(&path(group), &lists[present]).await.expect(200);
        group
    };
    let mut server = Some(server);
    for wanted in [STAGED, IN_FORCE] {
        // A machine may be so fast that the kill comes too late: then again.
        for _ in 0..20 {
            let running = server.take().unwrap_or_else(|| home.serve());
            let put = {
                let admin = running.admin().await;
                let request = admin.request(Method::PUT, &path(group)).body(lists[1 - present].to_string());
                let request = request.header("content-type", "application/json");
                tokio::spawn(async move { drop(request.send().await) })
            };
            let found = kill_in(&home, running, put, wanted).await;
            let restarted = home.serve();
            let admin = restarted.admin().await;
            let body = admin.get(&path(group)).await.expect(200).body;
            if found == Some(STAGED) {
                assert_eq!(body, lists[present]);
            } else if found == Some(IN_FORCE) {
                assert_eq!(body, lists[1 - present]);
            }
            present = usize::from(body == lists[1]);
            assert_eq!(body, lists[present], "one or the other, whole");
            let may =
                decisions(&admin, 2, &[("READ", 0), ("READ", 7_999), ("WRITE", 0), ("WRITE", 7_999)]).await;
            let reads = present == 0;
            assert_eq!(may, [reads, reads, !reads, !reads]);
            // The worker clears the rest away.
            until("nothing is left over", || state(&home).is_none().then_some(())).await;
            let conn = rusqlite::Connection::open(home.data().join("tenantry.db")).unwrap();
            let rows: i64 =
                conn.query_row("SELECT count(*) FROM group_permissions", [], |row| row.get(0)).unwrap();
            assert_eq!(rows, 8_000);
            server = Some(restarted);
            if found == Some(wanted) {
                break;
            }
        }
    }
}
