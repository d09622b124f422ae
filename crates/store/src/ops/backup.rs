//! Copies of a whole SQLite database: made while a server writes to it, checked, and prepared to replace it.
//!
//! A finished copy is one file without a log, and its header says so. The header of a database in use says that there
//! is a log: a bare copy of such a file may lack the contents of the log, or be torn, so it is never accepted as a
//! backup.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::engine::driver::{Connection as _, DbError};
use crate::engine::sqlite::{APPLICATION_ID, Sqlite, Use};
use crate::ops::migrate::{self, KNOWN, Schema};
use crate::tables::server_keys;
use tenantry_core::error::Error;

/// The suffixes of SQLite's files beside a database.
pub const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Maximum number of reported errors of a database.
const FAULTS_TOLD: usize = 3;

/// The contents of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contents {
    /// The number of partners.
    pub partners: i64,
    /// The number of users of all partners.
    pub users: i64,
    /// The version of its schema.
    pub schema: usize,
    /// Whether it has rows that are sealed with a master key.
    pub is_sealed: bool,
}

/// The schema since which there is a table `server_keys`.
const SERVER_KEYS_SINCE: usize = 13;

/// A database at rest, in one file.
#[derive(Debug, PartialEq, Eq)]
pub enum Rest {
    /// It is complete. The ids allocated so far (B24), by sequence.
    Complete(Vec<(String, i64)>),
    /// It cannot be read, and why. The file and its log are unchanged.
    Damaged(String),
}

/// Why a file is invalid, or could not be created.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file system is full.
    #[error("the disk is full")]
    Full,
    /// Another process has the database open.
    #[error("another program has it open")]
    InUse,
    /// The file is not an SQLite database.
    #[error("it is not a database")]
    NotADatabase,
    /// A database of another program.
    #[error("it is another program's database")]
    Foreign,
    /// A database without any table.
    #[error("it is an empty database")]
    Empty,
    /// A newer version of Tenantry wrote it.
    #[error("it was written by a newer version of Tenantry (schema {found}, this one supports {known})")]
    Newer {
        /// The version of its schema.
        found: usize,
        /// The newest supported version.
        known: usize,
    },
    /// The length of the file differs from its header.
    #[error("it has {is} bytes and should have {should}")]
    Torn {
        /// Bytes that it has.
        is: u64,
        /// Bytes that it should have.
        should: u64,
    },
    /// A database that is, or was when copied, in use: there is or was a log or a journal beside it.
    #[error("it is a database in use")]
    Unfinished,
    /// SQLite's checks found errors.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// The file could not be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Anything else.
    #[error("{0}")]
    Other(Error),
}

impl From<DbError> for BackupError {
    fn from(e: DbError) -> Self {
        match e {
            DbError::Full => Self::Full,
            DbError::Busy => Self::InUse,
            DbError::Damaged(what) => Self::Damaged(what),
            other => Self::Other(other.into()),
        }
    }
}

/// The path of a file beside a database.
pub fn companion(database: &Path, ending: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Copies the current state of the database `from` over the empty file `to`. A server may write meanwhile: neither
/// waits for the other, but its log cannot be truncated until the copy is complete. `progress` gets the copied and the
/// total bytes. The copy is not synced: to be sure of it, sync the file.
///
/// # Errors
/// Why the database or the copy failed. Then the content of `to` is undefined.
pub fn copy(from: &Path, to: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<(), BackupError> {
    let mut source = Sqlite::open(from, Use::Scan)?;
    source.control("BEGIN")?;
    // The first read opens the snapshot.
    known(migrate::schema(&mut source)?)?;
    source.copy_over(&mut Sqlite::open(to, Use::Copy)?, progress)?;
    source.control("COMMIT")?;
    // The copy has the header of a database with a log, and needs none.
    if Sqlite::open(to, Use::Alone)?.set_journal("DELETE")? { Ok(()) } else { Err(BackupError::InUse) }
}

/// Checks a file without opening it as a database; returns its length in bytes. A file that passes is a finished copy
/// of a Tenantry database, according to its header.
///
/// Not for a database that this process has open (see `src/cli/warm.rs`).
///
/// # Errors
/// Why it is not.
pub fn look(path: &Path) -> Result<u64, BackupError> {
    const LENGTH: usize = 100;
    let file = File::open(path)?;
    let is = file.metadata()?.len();
    let mut header = Vec::with_capacity(LENGTH);
    file.take(LENGTH as u64).read_to_end(&mut header)?;
    // The format of the header: sqlite.org/fileformat.html §1.3.
    if !header.starts_with(migrate::SQLITE_MAGIC) || header.len() < LENGTH {
        return Err(BackupError::NotADatabase);
    }
    let number = |at: usize, length: usize| {
        header.iter().skip(at).take(length).fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte))
    };
    if i64::try_from(number(68, 4)) != Ok(i64::from(APPLICATION_ID)) {
        return Err(BackupError::Foreign);
    }
    if number(18, 1) != 1 || has_log(path) {
        return Err(BackupError::Unfinished);
    }
    let page = if number(16, 2) == 1 { 65_536 } else { number(16, 2) };
    let should = page.saturating_mul(number(28, 4));
    if is == should { Ok(is) } else { Err(BackupError::Torn { is, should }) }
}

/// Whether there is a file beside it without which it is incomplete.
fn has_log(path: &Path) -> bool {
    ["-wal", "-journal"]
        .iter()
        .any(|ending| std::fs::metadata(companion(path, ending)).is_ok_and(|meta| meta.len() > 0))
}

/// Reads and checks a whole finished copy. It takes about as long as copying it did, or longer.
///
/// # Errors
/// Any error in it.
pub fn check(path: &Path) -> Result<Contents, BackupError> {
    look(path)?;
    let mut conn = Sqlite::open(path, Use::Look)?;
    let schema = known(migrate::schema(&mut conn)?)?;
    let mut errors = Vec::new();
    conn.query(&format!("PRAGMA integrity_check({FAULTS_TOLD})"), None, &[], &mut |row| {
        errors.extend(Some(row.text(0)?).filter(|said| *said != "ok").map(str::to_owned));
        Ok(())
    })?;
    conn.query("PRAGMA foreign_key_check", None, &[], &mut |row| {
        if errors.len() < FAULTS_TOLD {
            errors.push(format!("a row of {} points to one of {} that is gone", row.text(0)?, row.text(2)?));
        }
        Ok(())
    })?;
    if !errors.is_empty() {
        return Err(BackupError::Damaged(errors.join("; ").replace('\n', " ")));
    }
    let is_sealed = schema >= SERVER_KEYS_SINCE && {
        let mut found = false;
        let sql = "SELECT 1 FROM server_keys WHERE name = $1";
        conn.query(sql, None, &[server_keys::MASTER.into()], &mut |_| {
            found = true;
            Ok(())
        })?;
        found
    };
    let mut count = |table: &str| {
        let mut rows = 0;
        conn.query(&format!("SELECT count(*) FROM {table}"), None, &[], &mut |row| {
            rows = row.int(0)?;
            Ok(())
        })
        .map(|()| rows)
    };
    Ok(Contents { partners: count("partners")?, users: count("users")?, schema, is_sealed })
}

/// Brings a database that no process uses to rest: the content of its log is moved into the file, and the log is
/// removed.
///
/// # Errors
/// Another program has it open, or it is another program's: then it is unchanged.
pub fn settle(path: &Path) -> Result<Rest, BackupError> {
    let settled = Sqlite::open(path, Use::Settle).and_then(|mut conn| {
        let schema = migrate::schema(&mut conn)?;
        if schema == Schema::Foreign {
            return Ok(Err(BackupError::Foreign));
        }
        let numbers = match numbers(&mut conn) {
            Err(DbError::Damaged(what)) => return Err(DbError::Damaged(what)),
            // An empty one has none, and those of a newer one are unknown.
            other => other.unwrap_or_default(),
        };
        Ok(if conn.set_journal("DELETE")? { Ok(numbers) } else { Err(BackupError::InUse) })
    });
    match settled {
        Ok(numbers) => Ok(Rest::Complete(numbers?)),
        Err(DbError::Damaged(what)) => Ok(Rest::Damaged(what)),
        Err(e) => Err(e.into()),
    }
}

fn numbers(conn: &mut Sqlite) -> Result<Vec<(String, i64)>, DbError> {
    let mut numbers = Vec::new();
    conn.query("SELECT name, value FROM sequences", None, &[], &mut |row| {
        numbers.push((row.text(0)?.to_owned(), row.int(1)?));
        Ok(())
    })?;
    Ok(numbers)
}

/// Prepares a finished copy to replace a database that has allocated these ids: none of them is allocated again (B24),
/// so that ids known elsewhere do not get another meaning.
///
/// # Errors
/// It could not be written. Then it is not a finished copy any more.
pub fn make_ready(path: &Path, numbers: &[(String, i64)]) -> Result<(), BackupError> {
    let mut conn = Sqlite::open(path, Use::Alone)?;
    conn.batch("BEGIN IMMEDIATE")?;
    for (name, value) in numbers {
        conn.execute(
            "INSERT INTO sequences (name, value) VALUES ($1, $2) \
             ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE excluded.value > sequences.value",
            None,
            &[name.into(), (*value).into()],
        )?;
    }
    conn.batch("COMMIT")?;
    if conn.set_journal("WAL")? { Ok(()) } else { Err(BackupError::InUse) }
}

/// The version of a schema that this program supports, possibly after a migration.
fn known(schema: Schema) -> Result<usize, BackupError> {
    match schema {
        Schema::Missing | Schema::Ours(0) => Err(BackupError::Empty),
        Schema::Foreign => Err(BackupError::Foreign),
        Schema::Ours(found) if found > KNOWN => Err(BackupError::Newer { found, known: KNOWN }),
        Schema::Ours(version) => Ok(version),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Operator;
    use crate::engine::tx::{Outcome, Tx};
    use crate::store::Store;
    use crate::tables::partners;
    use tenantry_core::account_policy::AccountPolicy;
    use tenantry_core::clock::Clock;
    use tenantry_core::error::Result;
    use tenantry_core::model::PartnerId;
    use tenantry_core::random::Random;

    fn open(path: &Path) -> Store {
        Store::open_sqlite(path, Clock::manual(1_000), Random::seeded(1), AccountPolicy::DEFAULT).unwrap()
    }

    fn partner(name: String) -> impl Fn(&mut Tx<'_, Operator>) -> Result<Outcome<PartnerId>> + Send {
        move |tx| partners::insert(tx, &name).map(Outcome::Commit)
    }

    async fn insert(store: &Store, count: usize) {
        let by = Operator::of_this_machine();
        let first = store.scan(&by, |tx| partners::total(tx, None)).await.unwrap().count;
        for n in 0..count {
            store.write(&by, partner(format!("p{first}-{n}"))).await.unwrap();
        }
    }

    fn number_of(conn: &mut Sqlite, sql: &str) -> i64 {
        let mut number = 0;
        conn.query(sql, None, &[], &mut |row| {
            number = row.int(0)?;
            Ok(())
        })
        .unwrap();
        number
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn writes_during_the_copy_are_not_in_it_and_do_not_wait() {
        let dir = tempfile::tempdir().unwrap();
        let (path, to) = (dir.path().join("tenantry.db"), dir.path().join("copy.db"));
        let store = open(&path);
        insert(&store, 3).await;
        // More than one step of the copy.
        let mut conn = Sqlite::open(&path, Use::Alone).unwrap();
        conn.batch(
            "CREATE TABLE filler (x); WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000) \
             INSERT INTO filler SELECT zeroblob(1000) FROM n",
        )
        .unwrap();
        std::fs::write(&to, "").unwrap();
        let (handle, mut steps) = (tokio::runtime::Handle::current(), Vec::new());
        tokio::task::block_in_place(|| {
            copy(&path, &to, &mut |done, all| {
                steps.push((done, all));
                // Each of them is on disk before the copy goes on.
                handle.block_on(insert(&store, 1));
            })
        })
        .unwrap();
        assert!(steps.len() > 1 && steps.is_sorted(), "{steps:?}");
        let (done, all) = steps.last().copied().unwrap();
        assert_eq!((done, all), (all, std::fs::metadata(&to).unwrap().len()));
        assert_eq!(check(&to).unwrap(), Contents { partners: 3, users: 0, schema: KNOWN, is_sealed: false });
        assert_eq!(
            number_of(&mut conn, "SELECT count(*) FROM partners"),
            3 + i64::try_from(steps.len()).unwrap()
        );
        let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(!names.iter().any(|name| name.to_str().unwrap().starts_with("copy.db-")), "{names:?}");
    }

    #[tokio::test]
    async fn an_older_schema_is_accepted_and_brought_up_to_date_by_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("old.db");
        {
            let mut conn = Sqlite::open(&path, Use::Write).unwrap();
            migrate::migrate_to(&mut conn, 0, 1, 1_000).unwrap();
            conn.batch(
                "INSERT INTO partners (pid, name, name_key, created_at) VALUES (100, 'old', 'old', 1)",
            )
            .unwrap();
            assert!(conn.set_journal("DELETE").unwrap());
        }
        assert_eq!(check(&path).unwrap(), Contents { partners: 1, users: 0, schema: 1, is_sealed: false });
        make_ready(&path, &[]).unwrap();
        let store = open(&path);
        insert(&store, 1).await;
        drop(store);
        let Rest::Complete(numbers) = settle(&path).unwrap() else { panic!("not complete") };
        assert!(!numbers.is_empty());
        assert_eq!(
            check(&path).unwrap(),
            Contents { partners: 2, users: 0, schema: KNOWN, is_sealed: false }
        );
    }

    #[tokio::test]
    async fn numbers_only_rise() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tenantry.db");
        let store = open(&path);
        insert(&store, 5).await;
        drop(store);
        let Rest::Complete(given) = settle(&path).unwrap() else { panic!("not complete") };
        let (name, value) = given.iter().max_by_key(|(_, value)| *value).unwrap().clone();
        make_ready(&path, &[(name.clone(), value - 1), (String::from("unheard of"), 7)]).unwrap();
        make_ready(&path, &[(String::from("unheard of"), 9)]).unwrap();
        let Rest::Complete(mut now) = settle(&path).unwrap() else { panic!("not complete") };
        now.retain(|number| !given.contains(number));
        assert_eq!(now, [(String::from("unheard of"), 9)]);
        make_ready(&path, &[(name.clone(), value + 10)]).unwrap();
        assert!(
            number_of(&mut Sqlite::open(&path, Use::Look).unwrap(), "SELECT max(value) FROM sequences")
                == value + 10
        );
    }

    #[tokio::test]
    async fn a_database_in_use_is_neither_settled_nor_accepted_as_a_backup() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tenantry.db");
        let store = open(&path);
        insert(&store, 1).await;
        assert!(matches!(settle(&path), Err(BackupError::InUse)));
        insert(&store, 1).await;
        drop(store);
        assert!(matches!(look(&path), Err(BackupError::Unfinished)));
        assert!(matches!(check(&path), Err(BackupError::Unfinished)));
        std::fs::write(dir.path().join("text"), "x".repeat(8_192)).unwrap();
        assert!(matches!(settle(&dir.path().join("text")), Ok(Rest::Damaged(_))));
        assert!(matches!(look(&dir.path().join("text")), Err(BackupError::NotADatabase)));
        assert!(matches!(look(&dir.path().join("nothing")), Err(BackupError::Io(_))));
    }
}
