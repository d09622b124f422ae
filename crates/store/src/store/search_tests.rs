//! What a search reads does not depend on what users of other partners are called.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::access::{Operator, system_within};
use crate::engine::driver::{Connection as _, Dialect, Param};
use crate::engine::postgres::Postgres;
use crate::engine::tx::Outcome;
use crate::listing::user_queries::{AccessPath, Statement, UserQuery, narrowest};
use crate::store::tests::open;
use crate::store::*;
use crate::tables::{partners, users};
use tenantry_core::model::{Profile, Status, User, Username};
use tenantry_core::search_terms::SearchTerm;

/// Creates a partner with users.
async fn add_partner(store: &Store, name: &'static str, count: i64, profile: Profile) -> PartnerId {
    let by = Operator::of_this_machine();
    let pid = store.write(&by, |tx| partners::insert(tx, name).map(Outcome::Commit)).await.unwrap();
    let work = move |tx: &mut Tx<'_, crate::access::Within>| {
        for n in 0..count {
            let shown = format!("{name}{n:03}");
            let user = User {
                pid,
                user_id: users::next_id(tx)?,
                username: shown.clone(),
                status: Status::Active,
                profile: profile.clone(),
                is_admin: false,
                created_at: 1,
                updated_at: 1,
                last_login_at: None,
                version: 1,
                groups: Vec::new(),
            };
            users::insert(tx, &user, &Username { key: shown.clone(), shown })?;
        }
        Ok(Outcome::Commit(()))
    };
    store.write_large(&system_within(pid), work).await.unwrap();
    pid
}

/// A partner of twenty users between two others, whose users all have `word` as title.
async fn populate(store: &Store, word: &str) -> PartnerId {
    let profile = |first: &str, last: &str, title: Option<&str>| Profile {
        first_name: first.into(),
        last_name: last.into(),
        email: String::from("a@b.de"),
        title: title.map(str::to_owned),
        ..Profile::default()
    };
    add_partner(store, "one", 600, profile("Mia", "Lane", Some(word))).await;
    let own = add_partner(store, "own", 20, profile("Tom", "Smith", None)).await;
    add_partner(store, "two", 600, profile("Mia", "Lane", Some(word))).await;
    own
}

fn query(term: &str) -> UserQuery {
    UserQuery { search: SearchTerm::parse(term).unwrap(), ..UserQuery::all() }
}

/// Steps of SQLite's virtual machine, and found users. FTS5 reads its index by statements, whose steps count: some for
/// each block of a list, and for each place where it looks for a list.
fn steps(path: &Path, pid: PartnerId, term: &str) -> (u64, usize) {
    let mut conn = rusqlite::Connection::open(path).unwrap();
    let all = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&all);
    let count = move || counter.fetch_add(1, Ordering::Relaxed) == u64::MAX;
    conn.progress_handler(1, Some(count)).unwrap();
    let (mut total, query) = ((0, 0), query(term));
    for path in [AccessPath::Search, AccessPath::Parts] {
        let sql = Statement::new(Dialect::Sqlite, &query, &path);
        for text in [sql.hits(), format!("SELECT count(*) FROM ({} LIMIT 10001)", sql.of_hits("1"))] {
            let mut statement = conn.prepare(&text).unwrap();
            for (n, param) in (1..).zip([Param::from(pid)].into_iter().chain(sql.params())) {
                let at = statement.parameter_index(&format!("${n}")).unwrap().unwrap();
                match param {
                    Param::Null => {}
                    Param::Int(value) => statement.raw_bind_parameter(at, value).unwrap(),
                    Param::Text(value) => statement.raw_bind_parameter(at, value).unwrap(),
                }
            }
            // The first time opens the index: what remains is the search.
            let (mut steps, mut found) = (0, 0);
            for _ in 0..2 {
                let before = all.load(Ordering::Relaxed);
                let mut rows = statement.raw_query();
                found = 0;
                while rows.next().unwrap().is_some() {
                    found += 1;
                }
                drop(rows);
                steps = all.load(Ordering::Relaxed) - before;
            }
            total.0 += steps;
            total.1 = total.1.max(found);
        }
    }
    total
}

/// Terms that nobody in the partner has, of each length, and of two words.
const TERMS: [&str; 9] = ["q", "qz", "qzq", "qzqz", "qzqzq", "qzqzqzqz", "q z", "qzq qz", "qzqz smith"];

#[tokio::test]
async fn a_search_on_sqlite_reads_the_same_whatever_others_are_called() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (store, without) = (open(dir.path()).unwrap(), open(other.path()).unwrap());
    let own = populate(&store, "qzqzqzqzqz").await;
    assert_eq!(populate(&without, "rzrzrzrzrz").await, own);
    let read = |dir: &Path, term: &str| steps(&dir.join("tenantry.db"), own, term);
    for term in TERMS {
        let (with, without) = (read(dir.path(), term), read(other.path(), term));
        assert!(with == without && with.0 > 0, "{term}: {with:?} {without:?}");
    }
    // The counter sees what is read: a word of this partner costs more, and those of others are there.
    assert!(read(dir.path(), "smith").0 > read(dir.path(), "qzqzq").0);
    assert_eq!(steps(&dir.path().join("tenantry.db"), PartnerId(own.0 - 1), "qzq").1, 600);
}

/// Every word of the indexes is one partner's.
#[tokio::test]
async fn no_word_of_the_indexes_is_of_two_partners() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let own = populate(&store, "qzqzqzqzqz").await;
    let conn = rusqlite::Connection::open(dir.path().join("tenantry.db")).unwrap();
    for index in crate::listing::search::INDEXES {
        conn.execute_batch(&format!("CREATE VIRTUAL TABLE {index}_words USING fts5vocab({index}, 'row')"))
            .unwrap();
        let mut words = conn.prepare(&format!("SELECT term, doc FROM {index}_words")).unwrap();
        let words = words.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let words: Vec<(String, i64)> = words.map(Result::unwrap).collect();
        let (mut of_own, tag) = (0, format!("{}:", own.0));
        for (word, users) in &words {
            let (pid, _) = word.split_once(':').unwrap();
            assert!((own.0 - 1..=own.0 + 1).contains(&pid.parse().unwrap()), "{word}");
            of_own += i64::from(word.starts_with(&tag));
            assert!(!word.starts_with(&tag) || *users <= 20, "{word} {users}");
        }
        assert!(of_own > 10 && words.len() > 60, "{index} {of_own} {}", words.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_on_postgres_reads_the_same_whatever_others_are_called() {
    let Ok(server) = std::env::var("TENANTRY_TEST_POSTGRES") else { return };
    let (server, parameters) = server.split_once('?').unwrap_or((&server, ""));
    let url = |name: &str| format!("{}/{name}?{parameters}", server.trim_end_matches('/'));
    let manage = |sql: String| {
        apart(|| {
            let address = Address::parse(&url("postgres"), None, Duration::from_secs(20)).unwrap();
            Postgres::connect(&address, Role::Change).unwrap().batch(&sql).unwrap();
            Ok(())
        })
        .unwrap();
    };
    let mut read = Vec::new();
    for word in ["qzqzqzqzqz", "rzrzrzrzrz"] {
        let name = format!("search_{word}_{}", std::process::id());
        manage(format!("CREATE DATABASE {name} TEMPLATE template0"));
        let options = PostgresOptions {
            url: &url(&name),
            ca_file: None,
            pool_size: 2,
            wait: Duration::from_secs(20),
            timeout: Duration::from_secs(20),
            may_migrate: true,
        };
        let (clock, random) = (Clock::manual(1_000), Random::seeded(1));
        let store = Store::open_postgres(&options, clock, random, AccountPolicy::DEFAULT).unwrap();
        let own = populate(&store, word).await;
        let mut of_terms = Vec::new();
        for (pid, term) in TERMS.map(|term| (own, term)).into_iter().chain([(PartnerId(own.0 - 1), "qzq")]) {
            let query = query(term);
            let explain = move |tx: &mut Tx<'_, crate::access::Within>| {
                let sql = Statement::new(tx.dialect(), &query, &narrowest(tx, &query)?);
                let text = format!(
                    "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF) {} ORDER BY {} LIMIT 10",
                    sql.hits(),
                    sql.id
                );
                // The second time everything is in memory, and its rows are known to be visible.
                tx.rows(&text, &sql.params(), |_| Ok(()))?;
                tx.rows(&text, &sql.params(), |row| Ok(row.text(0)?.to_owned()))
            };
            let plan = store.scan(&system_within(pid), explain).await.unwrap();
            of_terms.push((term, plan));
        }
        drop(store);
        manage(format!("DROP DATABASE {name} WITH (FORCE)"));
        read.push(of_terms);
    }
    let buffers = |plan: &[String]| plan.iter().find(|line| line.contains("Buffers:")).cloned();
    let [with, without] = read.as_slice() else { panic!("{read:?}") };
    for ((term, one), (_, other)) in with.iter().zip(without).take(TERMS.len()) {
        assert!(buffers(one).is_some(), "{term}: {one:?}");
        assert_eq!(buffers(one), buffers(other), "{term}: {one:#?} {other:#?}");
        assert!(!one.join(" ").contains("users_search"), "{term}: {one:#?}");
    }
    // The others have it.
    let found = |plans: &[(&str, Vec<String>)]| plans.last().and_then(|(_, plan)| plan.first().cloned());
    let (one, other) = (found(with).unwrap(), found(without).unwrap());
    assert!(one.contains("rows=10 ") && other.contains("rows=0 "), "{one} {other}");
}
