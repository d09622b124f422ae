//! SQL, written once, and the ways to the database.
//!
//! `Store::write` is the one write path, `Store::read` and `Store::scan` are the read paths. What runs in
//! them are the functions of this module's files, one file per noun, each of which takes a `Tx`.

mod cache;
mod driver;
mod migrate;
mod search;
mod sqlite;
mod tx;
mod writer;

#[cfg(test)]
mod tests;

/// Deleted users, for as long as they can be restored.
pub mod deleted_users;
/// What deletions take along.
pub mod effects;
/// Events: the audit log.
pub mod events;
/// Forgotten passwords that were asked for.
pub mod forgot_password;
/// Groups and who is in them.
pub mod groups;
/// Answers kept for requests that come again.
pub mod kept_answers;
/// What lists have in common.
pub mod lists;
/// Mail to be sent.
pub mod outbox;
/// Partners, and the operators' tokens.
pub mod partners;
/// Passwords: the present ones and the history.
pub mod passwords;
/// Sessions, their tokens, and OAuth clients.
pub mod sessions;
/// Users, many at a time: pages, searches, streams.
pub mod user_lists;
/// Users, one at a time.
pub mod users;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::access::{Scope, TokenFacts, nobody};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::random::Random;
use sqlite::{PointReaders, Readers, Sqlite, Use};
use tx::Effects;
use writer::{Shared, Writer};

pub use cache::TokenHash;
pub use tx::{Counter, Outcome, Stale, Tx};

/// Scans that run at once; more wait for their turn.
const SCANS: usize = 8;

/// The database. Clones share it; it closes when the last one is dropped.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    writer: Writer,
    scan: Readers,
    scans: tokio::sync::Semaphore,
    path: PathBuf,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.0.path).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the SQLite database at `path`, creates it where there is none, and brings its schema up to date.
    ///
    /// # Errors
    /// A file that is no database, another program's, or of a newer version is refused and left as it is.
    pub fn open_sqlite(path: &Path, clock: Clock, random: Random) -> Result<Self> {
        migrate::check_file(path)?;
        if path.exists() {
            let mut look = Sqlite::open(path, Use::Look)?;
            migrate::check_version(&mut look, path)?;
        }
        let mut conn = Sqlite::open(path, Use::Write)?;
        let version = migrate::check_version(&mut conn, path)?;
        migrate::migrate(&mut conn, version, clock.now())?;
        let shared = Arc::new(Shared {
            clock,
            random,
            callers: cache::CallerCache::new(),
            point: PointReaders::new(path),
            mail: tokio::sync::Notify::new(),
        });
        let writer = Writer::start(conn, path, Arc::clone(&shared))?;
        Ok(Self(Arc::new(Inner {
            shared,
            writer,
            scan: Readers::new(path, Use::Scan),
            scans: tokio::sync::Semaphore::new(SCANS),
            path: path.to_owned(),
        })))
    }

    /// Runs a unit of work and answers when it is on disk. It may run more than once (PostgreSQL retries
    /// serialization failures), so it takes what it needs by reference.
    pub async fn write<T, F>(&self, scope: &impl Scope, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Tx<'_>) -> Result<Outcome<T>> + Send + 'static,
    {
        self.0.writer.submit(tx::parts(scope), false, work).await
    }

    /// Like [`Store::write`], for work that touches thousands of rows: it gets a transaction of its own, so that
    /// nobody else's answer waits in it.
    pub async fn write_large<T, F>(&self, scope: &impl Scope, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Tx<'_>) -> Result<Outcome<T>> + Send + 'static,
    {
        self.0.writer.submit(tx::parts(scope), true, work).await
    }

    /// Runs one statement (a point read, a few microseconds) in place, without a change of thread.
    #[expect(clippy::unused_async, reason = "PostgreSQL will have to wait for its answer here")]
    pub async fn read<T, F>(&self, scope: &impl Scope, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        self.read_now(scope, work)
    }

    fn read_now<T>(&self, scope: &impl Scope, work: impl FnOnce(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        let shared = &self.0.shared;
        shared.point.with(|conn| {
            let mut effects = Effects::default();
            work(&mut Tx::open(conn, &mut effects, tx::parts(scope), shared.clock.now(), &shared.random))
        })
    }

    /// Runs reads that may take milliseconds on a blocking thread, all on one snapshot.
    pub async fn scan<T, F>(&self, scope: &impl Scope, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        let _turn = self.0.scans.acquire().await.map_err(|_| Error::internal("the store is closed"))?;
        let store = self.clone();
        let scope = tx::parts(scope);
        tokio::task::spawn_blocking(move || {
            let shared = &store.0.shared;
            store.0.scan.with(|conn| {
                conn.control("BEGIN")?;
                let mut effects = Effects::default();
                let result =
                    work(&mut Tx::open(conn, &mut effects, scope, shared.clock.now(), &shared.random));
                conn.control("COMMIT")?;
                result
            })
        })
        .await
        .unwrap_or_else(|_| Err(Error::internal("a scan panicked")))
    }

    /// Who a token belongs to, from memory or from the database. Says nothing about whether it is still good:
    /// that is [`crate::access::Caller::admit`].
    pub fn find_token(
        &self,
        pid: crate::model::PartnerId,
        hash: &TokenHash,
    ) -> Result<Option<Arc<TokenFacts>>> {
        self.0.shared.callers.get_or_read(hash, || {
            self.read_now(&crate::access::system_within(pid), |tx| sessions::find_access_token(tx, hash))
        })
    }

    /// Whether the database answers.
    pub async fn is_ready(&self) -> Result<()> {
        self.read(&nobody(), |tx| tx.unscoped().rows("SELECT 1", &[], |_| Ok(())).map(|_| ())).await
    }

    /// The clock that transactions take their time from.
    pub fn clock(&self) -> &Clock {
        &self.0.shared.clock
    }

    /// Empties the write-ahead log, in which text that was deleted stands until it is written over by chance. False
    /// when a long read still needs the log: try again later.
    pub async fn empty_log(&self) -> Result<bool> {
        self.0.writer.empty_log().await
    }

    /// Waits until mail is put into the outbox.
    pub async fn mail_arrived(&self) {
        self.0.shared.mail.notified().await;
    }
}
