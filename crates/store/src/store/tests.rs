//! The write path itself: groups, refusals, panics, a full disk, and files that are not ours.

use crate::engine::sqlite::writer;
use crate::tables::partners;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use crate::access::{Operator, system_within};
use crate::engine::driver::Connection as _;
use crate::engine::pace::{Pace, StepLimits};
use crate::store::*;
use tenantry_core::account_policy::AccountPolicy;
use tenantry_core::model::PartnerId;

pub(crate) fn open(dir: &Path) -> Result<Store> {
    Store::open_sqlite(
        &dir.join("tenantry.db"),
        Clock::manual(1_000),
        Random::seeded(1),
        AccountPolicy::DEFAULT,
    )
}

fn partner(name: &str) -> impl Fn(&mut Tx<'_, Operator>) -> Result<Outcome<PartnerId>> + Send + use<> {
    let name = name.to_owned();
    move |tx| partners::insert(tx, &name).map(Outcome::Commit)
}

async fn names(store: &Store) -> Vec<String> {
    let by = Operator::of_this_machine();
    let all = store
        .scan(&by, |tx| partners::select(tx, None, partners::PartnerPosition::Offset(0), 1_000))
        .await
        .unwrap();
    all.into_iter().map(|p| p.name).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn units_of_one_batch_are_independent() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let by = Operator::of_this_machine();
    let mut all = tokio::task::JoinSet::new();
    for n in 0..200 {
        let store = store.clone();
        all.spawn(async move {
            let name = format!("p{}", n / 2);
            store.write(&by, partner(&name)).await.is_ok()
        });
    }
    let made = all.join_all().await.into_iter().filter(|ok| *ok).count();
    assert_eq!(made, 100, "each name once; the other one is refused and takes nothing with it");
    assert_eq!(names(&store).await.len(), 100);
    let total = store.scan(&by, |tx| partners::total(tx, None)).await.unwrap();
    assert_eq!(total.count, 100, "the kept total knows nothing of refused units");
}

/// Has a future run until it waits; whether it does.
async fn has_begun<T>(future: &mut Pin<Box<impl Future<Output = T>>>) -> bool {
    std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_unit_yields_to_small_ones_only() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let by = Operator::of_this_machine();
    let after = |rows| {
        let mut pace = Pace::start(StepLimits::IMPORT);
        pace.add(rows);
        pace
    };
    let ((ask, asked), (tell, told)) = (std::sync::mpsc::channel::<usize>(), std::sync::mpsc::channel());
    let (asked, tell) = (std::sync::Mutex::new(asked), std::sync::Mutex::new(tell));
    // Says whether it would end after so many rows, as often as it is asked.
    let mut first = Box::pin(store.write_large(&by, move |tx| {
        for rows in asked.lock().unwrap().iter() {
            tell.lock().unwrap().send(tx.is_step_over(&after(rows))).unwrap();
        }
        Ok(Outcome::Commit(()))
    }));
    let (mut large, mut small) = (
        Box::pin(store.write_large(&by, |_| Ok(Outcome::Commit(())))),
        Box::pin(store.write(&by, partner("one"))),
    );
    let would_end_after = |rows| {
        ask.send(rows).unwrap();
        told.recv().unwrap()
    };
    // To be polled is to be in the queue.
    assert!(has_begun(&mut first).await);
    assert!(!would_end_after(100_000));
    assert!(has_begun(&mut large).await);
    assert!(!would_end_after(100_000));
    assert!(has_begun(&mut small).await);
    assert!(would_end_after(500));
    assert!(!would_end_after(499));
    drop(ask);
    let (first, large, small) = tokio::join!(first, large, small);
    assert!(first.is_ok() && large.is_ok() && small.is_ok());
    // Nobody waits any more.
    let makes_way = store.write_large(&by, move |tx| Ok(Outcome::Commit(tx.is_step_over(&after(100_000)))));
    assert!(!makes_way.await.unwrap());
}

#[test]
fn a_count_that_takes_too_long_is_canceled() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tenantry.db");
    drop(open(dir.path()).unwrap());
    let mut conn = Sqlite::open(&path, Use::Scan).unwrap();
    conn.control("BEGIN").unwrap();
    let numbers = |last: i64| {
        format!(
            "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {last}) SELECT count(*) FROM n"
        )
    };
    let mut count = |time, last| conn.count_within(time, &numbers(last), None, &[]).unwrap();
    assert_eq!(count(Duration::ZERO, i64::MAX), None);
    assert_eq!(count(Duration::from_secs(600), 10_000), Some(10_000));
    // The transaction goes on, and other statements take the time that they take.
    assert!(conn.in_transaction());
    let mut found = 0;
    conn.query(&numbers(20_000), None, &[], &mut |row| {
        found = row.int(0)?;
        Ok(())
    })
    .unwrap();
    assert_eq!(found, 20_000);
}

#[tokio::test]
async fn a_panic_only_affects_its_unit() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let by = Operator::of_this_machine();
    let (good, bad, also_good) = tokio::join!(
        store.write(&by, partner("one")),
        store.write::<_, (), _>(&by, |tx| {
            partners::insert(tx, "two")?;
            panic!("a bug");
        }),
        store.write(&by, partner("three")),
    );
    good.unwrap();
    assert!(matches!(bad, Err(Error::Internal(_))));
    also_good.unwrap();
    assert_eq!(names(&store).await, ["one", "three"]);
}

#[tokio::test]
async fn a_rollback_returns_its_value_and_stores_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let by = Operator::of_this_machine();
    let seen = store
        .write(&by, |tx| {
            partners::insert(tx, "one")?;
            partners::any(tx).map(Outcome::Rollback)
        })
        .await
        .unwrap();
    assert!(seen, "the unit saw its own row");
    assert!(names(&store).await.is_empty());
    let id = store.write(&by, partner("one")).await.unwrap();
    assert_eq!(id, PartnerId(1), "a number nobody saw is not lost");
}

#[tokio::test]
async fn a_statement_that_forgets_the_partner_fails() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let refused = store
        .read(&system_within(PartnerId(1)), |tx| tx.row("SELECT count(*) FROM users", &[], |row| row.int(0)))
        .await;
    assert!(matches!(refused, Err(Error::Internal(_))), "{refused:?}");
}

#[tokio::test]
async fn a_read_cannot_write() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let by = Operator::of_this_machine();
    store.read(&by, |tx| partners::insert(tx, "one")).await.unwrap_err();
    store.scan(&by, |tx| partners::insert(tx, "one")).await.unwrap_err();
    assert!(names(&store).await.is_empty());
}

/// While large units follow each other, a checkpoint beside the writer would never catch up with the log, and a small unit
/// would wait for the writer's own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_units_wait_for_a_long_log() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let by = Operator::of_this_machine();
    let mut longest = 0;
    for n in 0..40 {
        let fill = move |tx: &mut Tx<'_, Operator>| {
            for row in 0..400 {
                partners::insert(tx, &format!("{n} {row} {}", "x".repeat(4_000)))?;
            }
            Ok(Outcome::Commit(()))
        };
        store.write_large(&by, fill).await.unwrap();
        let log = std::fs::metadata(writer::log_path(&dir.path().join("tenantry.db"))).unwrap();
        longest = longest.max(log.len());
    }
    assert!(longest < 32 * 1024 * 1024, "{longest} bytes");
}

/// A full disk rolls back more than the statement that hit it: then nobody of the group may be told "done".
#[tokio::test]
async fn a_full_disk_refuses_the_whole_batch_and_the_store_continues() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let by = Operator::of_this_machine();
    store.write(&by, partner("before")).await.unwrap();
    let limit = |pages: i64| {
        move |tx: &mut Tx<'_, Operator>| {
            tx.unscoped().rows(&format!("PRAGMA max_page_count = {pages}"), &[], |_| Ok(()))?;
            Ok(Outcome::Commit(()))
        }
    };
    // SQLite takes the present size as the least: the next page is one too many.
    store.write(&by, limit(1)).await.unwrap();
    let mut refused = 0;
    for n in 0..2_000 {
        match store.write(&by, partner(&format!("{n} {}", "x".repeat(200)))).await {
            Ok(_) => {}
            Err(Error::Unavailable { .. }) => refused += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(refused > 0, "the disk was never full");
    let kept = names(&store).await.len();
    store.write(&by, limit(1_000_000)).await.unwrap();
    store.write(&by, partner("after")).await.unwrap();
    let total = store.scan(&by, |tx| partners::total(tx, None)).await.unwrap();
    assert_eq!(usize::try_from(total.count).unwrap(), names(&store).await.len());
    assert!(kept < 2_000);
}

/// Two databases that must not be touched, and one that is no database.
#[tokio::test]
async fn files_that_are_not_ours_are_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tenantry.db");

    std::fs::write(&path, "dear diary, this is no database at all").unwrap();
    assert_refused(&path, "is not a database");

    std::fs::remove_file(&path).unwrap();
    let mut other = Sqlite::open(&path, Use::Write).unwrap();
    other.batch("CREATE TABLE recipes (name TEXT)").unwrap();
    drop(other);
    assert_refused(&path, "another program");

    std::fs::remove_file(&path).unwrap();
    drop(open(dir.path()).unwrap());
    let mut newer = Sqlite::open(&path, Use::Write).unwrap();
    newer.batch("INSERT INTO schema_versions (version, applied_at) VALUES (999, 0)").unwrap();
    drop(newer);
    assert_refused(&path, "newer version");
}

fn assert_refused(path: &PathBuf, why: &str) {
    let before = std::fs::read(path).unwrap();
    let error =
        Store::open_sqlite(path, Clock::manual(0), Random::seeded(1), AccountPolicy::DEFAULT).unwrap_err();
    assert!(error.to_string().contains(why), "{error}");
    assert!(error.to_string().contains("tenantry.db"), "{error}");
    assert_eq!(std::fs::read(path).unwrap(), before, "the file was touched");
}

#[tokio::test]
async fn acknowledged_writes_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let by = Operator::of_this_machine();
    let store = open(dir.path()).unwrap();
    store.write(&by, partner("one")).await.unwrap();
    drop(store);
    let store = open(dir.path()).unwrap();
    assert_eq!(names(&store).await, ["one"]);
    assert_eq!(store.write(&by, partner("two")).await.unwrap(), PartnerId(2));
}

#[test]
fn the_store_can_be_shared() {
    fn shared<T: Send + Sync + Clone>() {}
    shared::<Store>();
    shared::<Arc<Inner>>();
}

/// Point reads keep their snapshot while nothing is committed: that must never show an old row, and never keep the
/// log from being emptied.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_snapshot_is_never_older_than_the_last_answer() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let by = Operator::of_this_machine();
    let pid = store.write(&by, partner("p0")).await.unwrap();
    let name = move |store: Store| async move {
        let found = store.read(&by, move |tx| partners::find(tx, pid)).await.unwrap();
        found.unwrap().name
    };
    let others = tokio::spawn({
        let store = store.clone();
        async move {
            for _ in 0..500 {
                name(store.clone()).await;
                tokio::task::yield_now().await;
            }
        }
    });
    for n in 1..100 {
        let to = format!("p{n}");
        assert_eq!(name(store.clone()).await, format!("p{}", n - 1));
        let renamed = to.clone();
        store.write(&by, move |tx| partners::rename(tx, pid, &renamed).map(Outcome::Commit)).await.unwrap();
        assert_eq!(name(store.clone()).await, to, "what was answered is what is read");
    }
    others.await.unwrap();
    name(store.clone()).await;
    assert!(store.empty_log().await.unwrap(), "an idle connection kept the log");
    assert_eq!(std::fs::metadata(writer::log_path(&dir.path().join("tenantry.db"))).unwrap().len(), 0);
}

/// Killed in the middle of the very first transaction, while there was no log yet but a journal.
#[test]
fn the_transaction_of_a_killed_program_is_rolled_back() {
    let dir = tempfile::tempdir().unwrap();
    let (path, copy) = (dir.path().join("begun.db"), dir.path().join("tenantry.db"));
    let conn = rusqlite::Connection::open(&path).unwrap();
    conn.execute_batch("CREATE TABLE a (b); PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN").unwrap();
    let fill = "INSERT INTO a WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50) \
                SELECT zeroblob(4000) FROM n";
    conn.execute_batch(fill).unwrap();
    let journal = |of: &Path| PathBuf::from(format!("{}-journal", of.display()));
    for (from, to) in [(path.clone(), copy.clone()), (journal(&path), journal(&copy))] {
        std::fs::copy(from, to).unwrap();
    }
    assert!(std::fs::metadata(journal(&copy)).unwrap().len() > 0);
    let mut look = Sqlite::open(&copy, Use::Look).unwrap();
    let mut rows = 1;
    look.query("SELECT count(*) FROM a", None, &[], &mut |row| {
        rows = row.int(0)?;
        Ok(())
    })
    .unwrap();
    assert_eq!(rows, 0);
}

/// Nothing queues without bound, and a partner that floods is refused before another one is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scans_that_wait_are_bounded_and_partners_take_turns() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let scan = |pid: i64, work: Box<dyn FnOnce() + Send>| {
        let (store, within) = (store.clone(), crate::access::system_within(PartnerId(pid)));
        tokio::spawn(async move {
            store
                .scan(&within, |_| {
                    work();
                    Ok(())
                })
                .await
        })
    };
    // All turns are taken, by scans that wait for a word.
    let (mut words, mut held) = (Vec::new(), Vec::new());
    let (begun, mut begins) = tokio::sync::mpsc::unbounded_channel();
    for _ in 0..SCANS {
        let (word, wait) = std::sync::mpsc::channel::<()>();
        let begun = begun.clone();
        held.push(scan(
            1,
            Box::new(move || {
                begun.send(()).unwrap();
                let _ = wait.recv();
            }),
        ));
        words.push(word);
    }
    for _ in 0..SCANS {
        begins.recv().await.unwrap();
    }
    let mut flood: Vec<_> = (0..2 * WAITING_SCANS).map(|_| scan(1, Box::new(|| {}))).collect();
    // The first to be answered are those that may not wait.
    let mut refused = 0;
    while refused < WAITING_SCANS {
        flood.retain_mut(|one| match ended(one) {
            None => true,
            Some(response) => {
                assert!(matches!(response, Err(Error::Unavailable { .. })), "{response:?}");
                refused += 1;
                false
            }
        });
        tokio::task::yield_now().await;
    }
    let other = scan(2, Box::new(|| {}));
    drop(words);
    other.await.unwrap().unwrap();
    for one in flood.into_iter().chain(held) {
        one.await.unwrap().unwrap();
    }
    assert_eq!(refused, WAITING_SCANS);
}

/// The response of a task that has ended.
fn ended<T>(task: &mut tokio::task::JoinHandle<T>) -> Option<T> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::Pin::new(task).poll(&mut context) {
        std::task::Poll::Ready(response) => Some(response.unwrap()),
        std::task::Poll::Pending => None,
    }
}

/// Nothing queues without bound: what the writer cannot take soon is refused at once, and the rest is done.
#[tokio::test]
async fn a_full_queue_refuses_and_keeps_its_promises() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let by = Operator::of_this_machine();
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let blocking = tokio::spawn({
        let store = store.clone();
        async move {
            store
                .write(&by, move |_| {
                    wait.lock().unwrap().recv().unwrap();
                    Ok(Outcome::Commit(()))
                })
                .await
        }
    });
    let mut all = tokio::task::JoinSet::new();
    for n in 0..6_000 {
        let store = store.clone();
        all.spawn(async move { store.write(&by, partner(&format!("p{n}"))).await });
    }
    // The tasks run one after the other on this thread: once the first is refused, all have asked.
    let mut refused = 0;
    while refused == 0 {
        match all.join_next().await.unwrap().unwrap() {
            Err(Error::Unavailable { .. }) => refused += 1,
            other => panic!("the writer is held, so nothing can be done: {other:?}"),
        }
    }
    release.send(()).unwrap();
    blocking.await.unwrap().unwrap();
    let mut done = 0;
    while let Some(response) = all.join_next().await {
        match response.unwrap() {
            Ok(_) => done += 1,
            Err(Error::Unavailable { .. }) => refused += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(done + refused, 6_000);
    let by_name = store.scan(&by, |tx| partners::total(tx, None)).await.unwrap();
    assert_eq!(by_name.count, done, "what was answered is there, and nothing else");
}

/// A partner whose queue is long is served no more often than one that asks for little.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_writes_does_not_delay_other_partners() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let (begun, running) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let mut all = tokio::task::JoinSet::new();
    let holder = store.clone();
    all.spawn(async move {
        let hold = move |_: &mut Tx<'_, _>| {
            begun.send(()).unwrap();
            wait.lock().unwrap().recv().unwrap();
            Ok(Outcome::Commit(()))
        };
        holder.write(&crate::access::system_within(PartnerId(1)), hold).await
    });
    tokio::task::block_in_place(|| running.recv().unwrap());
    let (taken, count) = std::sync::mpsc::channel::<()>();
    let mut write = |pid: i64| {
        let (store, order, taken) = (store.clone(), Arc::clone(&order), taken.clone());
        all.spawn(async move {
            let note = move |_: &mut Tx<'_, _>| {
                order.lock().unwrap().push(pid);
                Ok(Outcome::Commit(()))
            };
            let within = crate::access::system_within(PartnerId(pid));
            let writing = store.write(&within, note);
            let mut writing = std::pin::pin!(writing);
            // The first poll puts it into the queue.
            let first = std::future::poll_fn(|cx| std::task::Poll::Ready(writing.as_mut().poll(cx)));
            assert!(first.await.is_pending());
            taken.send(()).unwrap();
            writing.await
        });
    };
    (0..200).for_each(|_| write(1));
    tokio::task::block_in_place(|| count.iter().take(200).count());
    write(2);
    tokio::task::block_in_place(|| count.recv().unwrap());
    release.send(()).unwrap();
    while let Some(done) = all.join_next().await {
        done.unwrap().unwrap();
    }
    let order = order.lock().unwrap();
    assert_eq!((order.len(), order.iter().position(|pid| *pid == 2)), (201, Some(1)));
}
