//! Faults of operation: threads that panic, and files that are moved while they are in use.

use crate::tables::partners;
use std::path::Path;

use crate::access::Operator;
use crate::engine::offset_index::{IndexKey, OffsetView};
use crate::engine::sqlite::database_file::{DatabaseFile, Missing, expect_unlocked};
use crate::engine::sqlite::writer::log_path;
use crate::store::*;
use tenantry_core::account_policy::AccountPolicy;
use tenantry_core::user_fields::UserField;

fn open(path: &Path) -> Store {
    Store::open_sqlite(path, Clock::manual(1_000), Random::seeded(1), AccountPolicy::DEFAULT).unwrap()
}

async fn insert(store: &Store, name: &str) -> Result<()> {
    let name = name.to_owned();
    let by = Operator::of_this_machine();
    store.write(&by, move |tx| partners::insert(tx, &name).map(|_| Outcome::Commit(()))).await
}

async fn count(store: &Store) -> i64 {
    store.scan(&Operator::of_this_machine(), |tx| partners::total(tx, None)).await.unwrap().count
}

fn restarts(store: &Store, thread: &str) -> u64 {
    let mut text = String::new();
    store.supervisor().render(&mut text);
    let start = format!("tenantry_threads_restarted_total{{thread=\"{thread}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&start)).unwrap().parse().unwrap()
}

#[track_caller]
fn assert_unavailable<T: std::fmt::Debug>(response: Result<T>, why: &str) {
    match response {
        Err(Error::Unavailable { what, .. }) => assert!(what.contains(why), "{what}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_writer_that_panics_continues_with_committed_data() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("tenantry.db"));
    insert(&store, "one").await.unwrap();
    assert_eq!(count(&store).await, 1);
    // After the commit, before anybody is told.
    store.supervisor().let_panic("writer", 1);
    assert_unavailable(insert(&store, "two").await, "may or may not have been stored");
    insert(&store, "three").await.unwrap();
    assert_eq!((count(&store).await, restarts(&store, "writer")), (3, 1));
    store.is_ready().await.unwrap();
}

#[tokio::test]
async fn a_missing_writer_fails_waiting_requests() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("tenantry.db"));
    store.supervisor().let_panic("writer", u32::MAX);
    let write = async {
        for n in 0..10 {
            insert(&store, &format!("p{n}")).await.unwrap_err();
        }
    };
    let (lost, ()) = tokio::join!(store.supervisor().lost(), write);
    assert_eq!(lost, "writer");
    assert_unavailable(store.is_ready().await, "thread writer has failed");
}

#[tokio::test]
async fn a_checkpointer_that_panics_continues() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("tenantry.db"));
    insert(&store, "one").await.unwrap();
    store.supervisor().let_panic("checkpoint", 1);
    assert!(store.empty_log().await.unwrap());
    // This one is done by the new one, in whichever order.
    while restarts(&store, "checkpoint") == 0 {
        store.empty_log().await.unwrap();
    }
    assert!(store.empty_log().await.unwrap());
    insert(&store, "two").await.unwrap();
}

#[tokio::test]
async fn a_builder_that_panicked_builds_what_is_requested_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("tenantry.db"));
    store.supervisor().let_panic("offset index", 1);
    let Engine::Sqlite { offset_index, .. } = &store.0.engine else { panic!("not SQLite") };
    let view = OffsetView::of(offset_index.index().unwrap());
    while store.count_indexed_orders() == 0 {
        view.ask_for((PartnerId(1), IndexKey::Order(UserField::UserId)));
        tokio::task::yield_now().await;
    }
    assert_eq!(restarts(&store, "offset index"), 1);
}

#[tokio::test]
async fn a_listener_that_panics_is_restarted() {
    let address =
        Address::parse("postgres://nobody:x@127.0.0.1:1/none", None, Duration::from_secs(1)).unwrap();
    let shared = Shared::new(Clock::manual(0), Random::seeded(1), AccountPolicy::DEFAULT, false);
    shared.supervisor.let_panic("listen", 1);
    let _listener = Listener::start(Arc::new(address), &shared).unwrap();
    let text = || {
        let mut text = String::new();
        shared.supervisor.render(&mut text);
        text
    };
    while !text().contains("{thread=\"listen\"} 1\n") || !shared.supervisor.missing().is_empty() {
        tokio::task::yield_now().await;
    }
}

/// Gives files other names, and back.
fn rename(from: &Path, to: &Path) {
    std::fs::rename(from, to).unwrap();
}

#[tokio::test]
async fn writes_to_a_file_without_its_name_are_not_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let (path, away) = (dir.path().join("tenantry.db"), dir.path().join("away"));
    let store = open(&path);
    insert(&store, "one").await.unwrap();
    for file in [path.clone(), log_path(&path)] {
        rename(&file, &away);
        assert_unavailable(insert(&store, "lost").await, "was moved, deleted or replaced");
        assert_unavailable(insert(&store, "lost").await, "was moved, deleted or replaced");
        assert_unavailable(store.is_ready().await, "was moved, deleted or replaced");
        // Another file in its place, a copy, is not the same.
        std::fs::copy(&away, &file).unwrap();
        assert_unavailable(insert(&store, "lost").await, "was moved, deleted or replaced");
        assert_unavailable(store.is_ready().await, "was moved, deleted or replaced");
        rename(&away, &file);
        store.is_ready().await.unwrap();
        insert(&store, &format!("after {}", file.display())).await.unwrap();
    }
    drop(store);
    assert!(count(&open(&path)).await >= 3);
}

#[tokio::test]
async fn files_that_took_the_place_of_the_database_are_left_as_they_are() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (path, kept) = (dir.path().join("tenantry.db"), other.path().join("tenantry.db"));
    let store = open(&path);
    insert(&store, "one").await.unwrap();
    for file in [path.clone(), log_path(&path)] {
        rename(&file, &other.path().join(file.file_name().unwrap()));
        std::fs::write(&file, "somebody else's").unwrap();
    }
    assert_unavailable(insert(&store, "two").await, "replaced");
    drop(store);
    for file in [path.clone(), log_path(&path)] {
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "somebody else's", "{}", file.display());
    }
    // Nor was the one that was moved away cut short. It may also have what was refused.
    assert!(count(&open(&kept)).await >= 1);
}

#[tokio::test]
async fn a_database_behind_a_symbolic_link_is_known_by_its_own_log() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (path, link) = (dir.path().join("tenantry.db"), other.path().join("link.db"));
    drop(open(&path));
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let store = open(&link);
    insert(&store, "one").await.unwrap();
    std::fs::remove_file(log_path(&path)).unwrap();
    assert_unavailable(insert(&store, "two").await, "was moved, deleted or replaced");
}

#[tokio::test]
async fn one_file_is_opened_once_by_whatever_name() {
    let dir = tempfile::tempdir().unwrap();
    let (path, link) = (dir.path().join("tenantry.db"), dir.path().join("link.db"));
    let store = open(&path);
    std::fs::hard_link(&path, &link).unwrap();
    for refused in [
        Store::open_sqlite(&link, Clock::manual(1_000), Random::seeded(1), AccountPolicy::DEFAULT).map(drop),
        DatabaseFile::open(&link, Missing::Fail).map(drop),
    ] {
        let Err(Error::Conflict(conflict)) = refused else { panic!("{refused:?}") };
        assert_eq!(conflict.code, "locked");
        assert!(conflict.detail.contains("link.db"), "{}", conflict.detail);
    }
    insert(&store, "one").await.unwrap();
    drop(store);
    let held = expect_unlocked(&link).unwrap();
    assert_eq!(count(&open(&path)).await, 1, "a look holds nothing");
    drop(held);
}

#[tokio::test]
async fn problems_of_a_database_are_reported() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tenantry.db");
    let store = open(&path);
    insert(&store, "one").await.unwrap();
    drop(store);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100..4_096].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    let error = Store::open_sqlite(&path, Clock::manual(0), Random::seeded(1), AccountPolicy::DEFAULT)
        .unwrap_err()
        .to_string();
    assert!(error.contains("is damaged") && error.contains("restore a backup"), "{error}");
    assert!(!error.contains("able to write"), "{error}");
    let said = |e| not_opened(&path, e).to_string();
    assert!(said(DbError::NoMemory).ends_with("out of memory"));
    assert!(said(DbError::CannotOpen("x".into())).contains("must be able to write it"));
    assert!(said(DbError::Disk("x".into())).contains("disk errors"));
}

/// What SQLite says of a disk that takes nothing any more.
#[test]
fn a_read_only_or_failing_disk_is_a_temporary_error() {
    use rusqlite::ffi;
    for (code, why) in [
        (ffi::SQLITE_READONLY, "read-only"),
        (ffi::SQLITE_READONLY_DIRECTORY, "read-only"),
        (ffi::SQLITE_IOERR_WRITE, "writing to its disk fails"),
        (ffi::SQLITE_IOERR_FSYNC, "writing to its disk fails"),
        (ffi::SQLITE_FULL, "its disk is full"),
    ] {
        let e = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        assert_unavailable::<()>(Err(DbError::from(e).into()), why);
    }
}
