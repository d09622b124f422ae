//! The schema: how statements go about it, and databases of older ones.

use crate::engine::driver;
use crate::listing::{search, user_lists};
use crate::ops::migrate;
use crate::tables::{expensive_hashes, users};
use std::path::{Path, PathBuf};

use crate::access::{Within, system_within};
use crate::engine::driver::Connection as _;
use crate::listing::user_queries::UserQuery;
use crate::store::tests::open;
use crate::store::*;
use tenantry_core::account_policy::AccountPolicy;
use tenantry_core::model::{PartnerId, User, Username};
use tenantry_core::search_terms::SearchTerm;
use tenantry_core::user_fields::{ProfileField, UserField};

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

/// The checksums of a database's migrations, in order; empty where there is none.
fn checksums(path: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let sql = "SELECT coalesce(checksum, '') FROM schema_versions ORDER BY version";
    let mut keep = |row: &dyn crate::engine::driver::Row| {
        found.push(row.text(0)?.to_owned());
        Ok(())
    };
    Sqlite::open(path, Use::Look).unwrap().query(sql, None, &[], &mut keep).unwrap();
    found
}

#[test]
fn migrations_of_an_older_schema_get_their_checksums() {
    let dir = tempfile::tempdir().unwrap();
    let path = older(dir.path(), 15, "");
    drop(Store::open_sqlite(&path, Clock::manual(1_000), Random::seeded(1), AccountPolicy::DEFAULT).unwrap());
    let found = checksums(&path);
    assert_eq!(found.len(), migrate::KNOWN);
    assert!(found.iter().all(|checksum| checksum.len() == 64), "{found:?}");
    // As one that was made at once has them.
    let other = dir.path().join("other.db");
    drop(
        Store::open_sqlite(&other, Clock::manual(1_000), Random::seeded(1), AccountPolicy::DEFAULT).unwrap(),
    );
    assert_eq!(checksums(&other), found);
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

/// The schema since which a server itself has indexed what it stored: rows that a test stores there are in no index.
const INDEXED: usize = 18;

/// Texts of users that came with a later schema are null at first; then they are set, found and sorted by like any other.
#[tokio::test]
async fn users_of_every_older_schema_have_each_text() {
    for version in 6..INDEXED {
        let dir = tempfile::tempdir().unwrap();
        older(dir.path(), version, "");
        let store = open(dir.path()).unwrap();
        let by = system_within(PartnerId(7));
        let before = store.read(&by, |tx| users::find(tx, UserId(5))).await.unwrap().unwrap();
        let mut after = User { version: before.version + 1, ..before.clone() };
        for field in ProfileField::ALL {
            assert_eq!(field.get(&before.profile).is_some(), field.spec().is_required, "{version} {field:?}");
            field.set(&mut after.profile, Some(field.name().to_owned()));
        }
        let (old, new) = (before.clone(), after.clone());
        let name = Username { shown: after.username.clone(), key: String::new() };
        let update = move |tx: &mut Tx<'_, Within>| users::update(tx, &old, &new, &name).map(Outcome::Commit);
        store.write(&by, update).await.unwrap();
        assert_eq!(store.read(&by, |tx| users::find(tx, UserId(5))).await.unwrap().unwrap(), after);
        for field in ProfileField::ALL {
            let search = SearchTerm::parse(&field.name().to_lowercase()).unwrap();
            let query = UserQuery { search, sort: UserField::Profile(field), ..UserQuery::all() };
            let found = store.scan(&by, move |tx| user_lists::chunk(tx, &query, None, 10)).await.unwrap();
            assert_eq!(found.len(), usize::from(field.spec().is_searched), "{version} {field:?}");
        }
    }
}

/// What an older version has erased is queued to be blanked, and addresses of its sessions have a time to go.
#[tokio::test]
async fn unlimited_rows_of_an_older_schema_get_an_expiry() {
    let dir = tempfile::tempdir().unwrap();
    let event = |pid: i64, id: i64, kind: &str, user: &str| {
        format!(
            "INSERT INTO events (pid, event_id, at, kind, actor, user_id, after) \
             VALUES ({pid}, {id}, {id}0, '{kind}', 'system', {user}, '{{\"address\":\"::1\"}}'); "
        )
    };
    let more = [
        // User 5 is there, 6 can be restored, 7 and 8 are gone, and so is partner 9.
        event(7, 1, "user.deleted", "5"),
        event(7, 2, "user.deleted", "6"),
        event(7, 3, "user.deleted", "7"),
        event(7, 4, "user.erased", "7"),
        event(7, 5, "user.deleted", "8"),
        event(9, 6, "partner.deleted", "NULL"),
        // One session is there, the other is not.
        event(7, 7, "session.started", "5"),
        event(7, 8, "session.started", "5"),
    ]
    .concat()
        + "INSERT INTO deleted_users (pid, user_id, deleted_at, search_text, record) VALUES (7, 6, 1, '', '{}'); \
           INSERT INTO sessions (pid, session_id, user_id, client_id, restricted, created_at, expires_at, last_used_at) \
           VALUES (7, 's', 5, 'tenantry', 0, 80, 5000, 80);";
    let path = older(dir.path(), 9, &more);
    drop(open(dir.path()).unwrap());
    let conn = rusqlite::Connection::open(&path).unwrap();
    let rows = |sql: &str| -> Vec<String> {
        let mut found = conn.prepare(sql).unwrap();
        found.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let erasures = "SELECT pid || ' ' || user_id || ' ' || after_event FROM erasures ORDER BY 1";
    assert_eq!(rows(erasures), ["7 7 0", "7 8 0", "9 0 0"]);
    let addresses = "SELECT event_id || ' ' || session_id || ' ' || (erase_at - 2592000000) FROM session_addresses ORDER BY 1";
    assert_eq!(rows(addresses), ["7  70", "8 s 5000"]);
}

/// Where hashes from elsewhere are stored, refused logins take as long as the most expensive one could, until they were
/// looked at.
#[tokio::test]
async fn a_database_of_an_older_schema_may_have_expensive_hashes() {
    let own = ["sha256$x", "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$x"];
    for (more, expected) in [(None, vec![]), (Some("{SSHA}x"), vec![(2, 8_192)])] {
        let dir = tempfile::tempdir().unwrap();
        let rows: Vec<String> = own
            .into_iter()
            .chain(more)
            .enumerate()
            .map(|(n, hash)| format!("(7, 5, {n}, '{hash}', 0, 1, 1, 0)"))
            .collect();
        let insert = format!(
            "INSERT INTO passwords (pid, user_id, password_id, hash, temporary, present, created_at, expires_at) VALUES {}",
            rows.join(", ")
        );
        let path = older(dir.path(), 9, &insert);
        let store = open(dir.path()).unwrap();
        let works = store.read(&crate::access::nobody(), |tx| expensive_hashes::list(tx)).await.unwrap();
        let works: Vec<_> = works.into_iter().map(|work| (work.kind.number(), work.amount)).collect();
        assert_eq!(works, expected);
        // The index leads to those that were not looked at, and to no other.
        let conn = rusqlite::Connection::open(&path).unwrap();
        for (sql, index) in [
            (expensive_hashes::not_looked_at_sql(), "passwords_without_cost"),
            (expensive_hashes::MOST.to_owned(), "passwords_by_cost"),
        ] {
            let mut plan = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let step: String = plan.query_row([1], |row| row.get(3)).unwrap();
            assert!(step.contains(index), "{sql}: {step}");
            let mut steps = plan.query([1]).unwrap();
            while let Some(step) = steps.next().unwrap() {
                let step: String = step.get(3).unwrap();
                assert!(!step.contains("TEMP B-TREE"), "{sql}: {step}");
            }
        }
    }
}

/// Users of a database from before the search indexes were made anew, or before searches without accents, are found and
/// are forgotten when they go.
#[tokio::test]
async fn users_of_an_older_schema_are_in_the_new_search_indexes() {
    let more = "INSERT INTO users (pid, user_id, username, status, first_name, last_name, email, is_admin, created_at, \
         updated_at, username_key, first_name_key, last_name_key, email_key, title_key, phone_number_key, external_id_key) \
         VALUES (7, 6, 'José', 0, 'Ångström', 'Ł', 'j@example.com', 0, 1, 1, 'josé', 'ångström', 'ł', 'j@example.com', \
         '', '', ''); \
         INSERT INTO deleted_users (pid, user_id, deleted_at, search_text, record) VALUES (7, 4, 1, 'søren', '{}')";
    for version in [6, 8, INDEXED - 1] {
        let dir = tempfile::tempdir().unwrap();
        let path = older(dir.path(), version, more);
        let store = open(dir.path()).unwrap();
        let by = system_within(PartnerId(7));
        let found = async |term: &str| {
            let query = UserQuery { search: SearchTerm::parse(term).unwrap(), ..UserQuery::all() };
            store.scan(&by, move |tx| user_lists::total(tx, &query)).await.unwrap().count
        };
        let terms = [
            ("lovel", 5),
            ("ve", 5),
            ("v", 5),
            ("ada lovel", 5),
            ("angstr", 6),
            ("jose l", 6),
            ("as", 0),
            ("l", 6),
        ];
        for (term, id) in terms {
            let expected = if term == "l" { 2 } else { i64::from(id > 0) };
            assert_eq!(found(term).await, expected, "{version} {term}");
        }
        let conn = rusqlite::Connection::open(&path).unwrap();
        let text = |sql: &str| -> Option<String> { conn.query_row(sql, [], |row| row.get(0)).unwrap() };
        assert_eq!(text("SELECT search_key FROM users WHERE user_id = 5"), None);
        let key = text("SELECT search_key FROM users WHERE user_id = 6");
        assert_eq!(key.as_deref(), Some("jose\u{1}angstrom\u{1}l\u{1}j@example.com"));
        let deleted = text("SELECT search_text FROM deleted_users WHERE user_id = 4");
        assert_eq!(deleted.as_deref(), Some("soren"));
        for id in [5, 6] {
            let delete = move |tx: &mut Tx<'_, Within>| {
                let user = users::find(tx, UserId(id))?.unwrap();
                users::delete_uncounted(tx, &user).map(Outcome::Commit)
            };
            store.write(&by, delete).await.unwrap();
        }
        for (term, _) in terms {
            assert_eq!(found(term).await, 0, "{version} {term}");
        }
        // Nothing of them is left: a text that is told to go must be the one that came.
        for index in search::INDEXES {
            conn.execute_batch(&format!(
                "INSERT INTO {index} ({index}) VALUES ('optimize'); \
                 INSERT INTO {index} ({index}) VALUES ('integrity-check'); \
                 CREATE VIRTUAL TABLE {index}_words USING fts5vocab({index}, 'row');"
            ))
            .unwrap();
            let sql = format!("SELECT count(*) FROM {index}_words");
            let words: i64 = conn.query_row(&sql, [], |row| row.get(0)).unwrap();
            assert_eq!(words, 0, "{index}");
        }
    }
}
