//! The write path itself: groups, refusals, panics, a full disk, and files that are not ours.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use super::driver::Connection as _;
use super::user_queries::UserQuery;
use super::*;
use crate::access::{Operator, system_within};
use crate::model::PartnerId;

fn open(dir: &Path) -> Result<Store> {
    Store::open_sqlite(&dir.join("tenantry.db"), Clock::manual(1_000), Random::seeded(1))
}

fn partner(name: &str) -> impl Fn(&mut Tx<'_>) -> Result<Outcome<PartnerId>> + Send + use<> {
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
async fn units_of_one_group_are_each_their_own() {
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
async fn a_large_unit_makes_way_for_small_ones_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let by = Operator::of_this_machine();
    let ((ask, asked), (tell, told)) = (std::sync::mpsc::channel::<usize>(), std::sync::mpsc::channel());
    let (asked, tell) = (std::sync::Mutex::new(asked), std::sync::Mutex::new(tell));
    // Says whether it would end after so many rows, as often as it is asked.
    let mut first = Box::pin(store.write_large(&by, move |tx| {
        for rows in asked.lock().unwrap().iter() {
            tell.lock().unwrap().send(tx.makes_way_after(rows)).unwrap();
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
    let makes_way = store.write_large(&by, |tx| Ok(Outcome::Commit(tx.makes_way_after(100_000))));
    assert!(!makes_way.await.unwrap());
}

#[test]
fn a_count_that_takes_too_long_is_given_up() {
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
async fn a_panic_stays_in_its_unit() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let by = Operator::of_this_machine();
    let (good, bad, also_good) = tokio::join!(
        store.write(&by, partner("one")),
        store.write::<(), _>(&by, |tx| {
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
async fn a_rollback_answers_and_leaves_nothing() {
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

/// A full disk rolls back more than the statement that hit it: then nobody of the group may be told "done".
#[tokio::test]
async fn a_full_disk_refuses_the_whole_group_and_the_store_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let by = Operator::of_this_machine();
    store.write(&by, partner("before")).await.unwrap();
    let limit = |pages: i64| {
        move |tx: &mut Tx<'_>| {
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
    let error = Store::open_sqlite(path, Clock::manual(0), Random::seeded(1)).unwrap_err();
    assert!(error.to_string().contains(why), "{error}");
    assert!(error.to_string().contains("tenantry.db"), "{error}");
    assert_eq!(std::fs::read(path).unwrap(), before, "the file was touched");
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_restart() {
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

/// How SQLite goes about the statements that must stay fast beside a huge partner: by an index that the partner
/// leads, or straight to the row; never through everybody's rows.
#[tokio::test]
async fn plans_stay_within_the_partner() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let plan = |sql: &'static str, params: usize| {
        let store = store.clone();
        async move {
            let sql = format!("EXPLAIN QUERY PLAN {sql}");
            let none = vec![driver::Param::Int(1); params];
            let steps = store
                .scan(&system_within(PartnerId(1)), move |tx| {
                    tx.rows(&sql, &none, |row| Ok(row.text(3)?.to_owned()))
                })
                .await
                .unwrap();
            steps.join("; ")
        }
    };
    let row = plan("SELECT u.email FROM users u WHERE u.pid = $1 AND u.user_id = $2", 1).await;
    assert!(row.contains("INTEGER PRIMARY KEY (rowid=?)"), "{row}");
    let list = "SELECT u.email FROM users u WHERE u.pid = $1 AND u.user_id > $2 ORDER BY u.user_id LIMIT 5";
    let list = plan(list, 1).await;
    assert!(list.contains("(pid=? AND user_id>?)"), "{list}");
    let same = "SELECT u.user_id FROM users u WHERE u.pid = $1 AND u.title_key = $2 AND u.user_id > $3 \
                ORDER BY u.user_id LIMIT 5";
    let same = plan(same, 2).await;
    assert!(same.contains("COVERING INDEX users_by_title (pid=? AND title_key=? AND rowid>?)"), "{same}");
    let rest = "SELECT u.user_id FROM users u WHERE u.pid = $1 AND u.title_key > $2 \
                ORDER BY u.title_key, u.user_id LIMIT 5";
    let rest = plan(rest, 1).await;
    assert!(rest.contains("COVERING INDEX users_by_title (pid=? AND title_key>?)"), "{rest}");
    assert!(!same.contains("TEMP B-TREE") && !rest.contains("TEMP B-TREE"), "{same} {rest}");
    let admins =
        "SELECT user_id FROM users WHERE pid = $1 AND is_admin = 1 AND status = 0 ORDER BY user_id LIMIT 2";
    let admins = plan(admins, 0).await;
    assert!(admins.contains("users_active_admins (pid=?"), "{admins}");
}

/// Who asks by the first two columns of an index gets it. Without statistics SQLite takes a partner for ten rows, and reads
/// all its sessions to find those of one user.
#[tokio::test]
async fn every_index_is_used_by_who_asks_for_its_columns() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    let conn = rusqlite::Connection::open(dir.path().join("tenantry.db")).unwrap();
    let list = |sql: &str| -> Vec<(String, String)> {
        let mut found = conn.prepare(sql).unwrap();
        let rows = found.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let indexes =
        list("SELECT m.name, m.tbl_name FROM sqlite_schema m WHERE m.type = 'index' AND m.sql IS NOT NULL");
    let mut asked = 0;
    for (index, table) in &indexes {
        let columns = list(&format!("SELECT name, '' FROM pragma_index_info('{index}')"));
        let known = list(&format!("SELECT idx, stat FROM sqlite_stat1 WHERE idx = '{index}'"));
        let [(first, _), (second, _), ..] = columns.as_slice() else { continue };
        if first != "pid" {
            continue;
        }
        assert_eq!(known.len(), 1, "migrations state what {index} looks like");
        // An index of some rows is asked for with its condition. A user's own number leads straight to its row.
        let condition = match index.as_str() {
            "users_active_admins" => continue,
            "outbox_by_user" => " AND letter IS NOT NULL",
            _ => "",
        };
        let wanted = format!("FROM {table} WHERE pid = 1 AND {second} = 2{condition}");
        for sql in [format!("SELECT * {wanted}"), format!("DELETE {wanted}")] {
            let mut plan = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let step: String = plan.query_row([], |row| row.get(3)).unwrap();
            assert!(step.contains(index), "{sql}: {step}");
        }
        asked += 1;
    }
    assert!(asked > 20, "{asked} of {} indexes were asked for", indexes.len());
}

/// A partner with a user, as the schema of version 6 has them.
const OLD_USER: &str = "INSERT INTO partners (pid, name, name_key, created_at) VALUES (7, 'old', 'old', 1); \
     INSERT INTO users (pid, user_id, username, status, first_name, last_name, email, is_admin, created_at, updated_at, \
     username_key, first_name_key, last_name_key, email_key, title_key, phone_number_key, external_id_key) \
     VALUES (7, 5, 'Ada', 0, 'Ada', 'Lovelace', 'ada@example.com', 0, 1, 1, \
     'ada', 'ada', 'lovelace', 'ada@example.com', '', '', '')";

/// A database of an older schema with [`OLD_USER`] and `more` in it.
fn older(dir: &Path, version: usize, more: &str) -> PathBuf {
    let path = dir.join("tenantry.db");
    let mut conn = Sqlite::open(&path, Use::Write).unwrap();
    migrate::migrate_to(&mut conn, 0, version, 1_000).unwrap();
    conn.batch(OLD_USER).unwrap();
    conn.batch(more).unwrap();
    path
}

/// Rows from before users had their groups in them get them when the schema is changed.
#[tokio::test]
async fn users_of_an_older_schema_have_their_groups_in_the_row() {
    let dir = tempfile::tempdir().unwrap();
    let path = older(
        dir.path(),
        8,
        "INSERT INTO users (pid, user_id, username, status, first_name, last_name, email, is_admin, created_at, \
             updated_at, username_key, first_name_key, last_name_key, email_key, title_key, phone_number_key, \
             external_id_key, version) SELECT pid, 6, 'Bob', status, first_name, last_name, email, is_admin, created_at, \
             updated_at, 'bob', first_name_key, last_name_key, email_key, title_key, phone_number_key, external_id_key, 3 \
             FROM users; \
             INSERT INTO groups (pid, group_id, name, name_key, description, description_key, created_at, updated_at) \
             VALUES (7, 3, 'a', 'a', '', '', 1, 1), (7, 12, 'b', 'b', '', '', 1, 1); \
             INSERT INTO memberships (pid, group_id, user_id) VALUES (7, 3, 6), (7, 12, 6)",
    );
    let store = open(dir.path()).unwrap();
    let groups = async |user: i64| {
        let by = system_within(PartnerId(7));
        let found = store.read(&by, move |tx| users::find(tx, UserId(user))).await.unwrap();
        found.unwrap().groups.into_iter().map(|group| group.0).collect::<Vec<_>>()
    };
    assert_eq!((groups(5).await, groups(6).await), (vec![], vec![3, 12]));
    let conn = rusqlite::Connection::open(&path).unwrap();
    let row = |user: i64| -> (String, i64) {
        let sql = "SELECT group_ids, groups_version - version FROM users WHERE user_id = ?1";
        conn.query_row(sql, [user], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    };
    assert_eq!((row(5), row(6)), ((",".into(), 0), (",3,12,".into(), 0)));
}

/// A database from before the search indexes were made anew finds its users, and forgets them when they go.
#[tokio::test]
async fn users_of_an_older_schema_are_in_the_new_search_indexes() {
    let dir = tempfile::tempdir().unwrap();
    let path = older(dir.path(), 6, "");
    let store = open(dir.path()).unwrap();
    let by = system_within(PartnerId(7));
    let found = async |term: &str| {
        let query = UserQuery { search: Some(term.to_owned()), ..UserQuery::all() };
        store.scan(&by, move |tx| user_lists::total(tx, &query)).await.unwrap().count
    };
    for term in ["lovel", "ve", "v"] {
        assert_eq!(found(term).await, 1, "{term}");
    }
    store
        .write(&by, |tx| {
            let user = users::find(tx, UserId(5))?.unwrap();
            users::delete_uncounted(tx, &user).map(Outcome::Commit)
        })
        .await
        .unwrap();
    for term in ["lovel", "ve", "v"] {
        assert_eq!(found(term).await, 0, "{term}");
    }
    // Nothing of it is left: a text that is told to go must be the one that came.
    let conn = rusqlite::Connection::open(&path).unwrap();
    for index in search::INDEXES {
        conn.execute_batch(&format!(
            "INSERT INTO {index} ({index}) VALUES ('optimize'); INSERT INTO {index} ({index}) VALUES ('integrity-check'); \
             CREATE VIRTUAL TABLE {index}_words USING fts5vocab({index}, 'row');"
        ))
        .unwrap();
        let words: i64 =
            conn.query_row(&format!("SELECT count(*) FROM {index}_words"), [], |row| row.get(0)).unwrap();
        assert_eq!(words, 0, "{index}");
    }
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
fn what_a_killed_program_had_begun_is_taken_back() {
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
            Some(answer) => {
                assert!(matches!(answer, Err(Error::Unavailable { .. })), "{answer:?}");
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

/// The answer of a task that has ended.
fn ended<T>(task: &mut tokio::task::JoinHandle<T>) -> Option<T> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::Pin::new(task).poll(&mut context) {
        std::task::Poll::Ready(answer) => Some(answer.unwrap()),
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
    while let Some(answer) = all.join_next().await {
        match answer.unwrap() {
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
async fn a_flood_of_writes_keeps_no_other_partner_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let (begun, running) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let mut all = tokio::task::JoinSet::new();
    let holder = store.clone();
    all.spawn(async move {
        let hold = move |_: &mut Tx<'_>| {
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
            let note = move |_: &mut Tx<'_>| {
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
