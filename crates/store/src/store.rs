//! Access to the database: `Store::write` is the only write path, `Store::read` and `Store::scan` are the read paths.

use crate::engine::cache::{Freshness, ShownUser, TokenHash, UserKey, UserRepresentation};
use crate::engine::shared::Shared;
use crate::engine::tx::{CacheKey, Outcome, Tx};
use crate::ops::{copy, migrate};
use crate::tables::server_keys::ServerKeys;
use crate::tables::{browser_sessions, clients, login_failures, policies, sessions, users};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::access::{BrowserFacts, Scope, TokenFacts, nobody};
use crate::engine::driver::DbError;
use crate::engine::postgres::listen::Listener;
use crate::engine::postgres::pool::Pool;
use crate::engine::postgres::shared_batches::SharedBatches;
use crate::engine::postgres::{self, Address, Role};
use crate::engine::slots::Slots;
use crate::engine::sqlite::database_file::{DatabaseFile, Missing};
use crate::engine::sqlite::writer::Writer;
use crate::engine::sqlite::{PointReaders, Readers, Sqlite, Use};
use crate::engine::tx::Effects;
use crate::listing::offset_index_builder::OffsetIndexBuilder;
use tenantry_core::account_policy::AccountPolicy;
use tenantry_core::clock::Clock;
use tenantry_core::error::{Error, Result};
use tenantry_core::model::{PartnerId, UserId};
use tenantry_core::random::Random;
use tenantry_core::supervise::Supervisor;

/// Maximum number of concurrent scans on SQLite; more wait.
const SCANS: usize = 8;

/// Maximum number of waiting scans. More are refused, except of partners that have few of them.
const WAITING_SCANS: usize = 256;

/// The database. Clones share it; it closes when the last one is dropped.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    engine: Engine,
    keys: ServerKeys,
}

/// The database.
enum Engine {
    Sqlite {
        writer: Writer,
        point: Arc<PointReaders>,
        scan: Readers,
        scans: Slots,
        offset_index: OffsetIndexBuilder,
        /// Dropped after the connections.
        file: Arc<DatabaseFile>,
    },
    Postgres {
        write: Arc<Pool>,
        batches: Arc<SharedBatches>,
        read: Arc<Pool>,
        shown: String,
        _listener: Listener,
    },
}

/// The options of a PostgreSQL database.
#[derive(Debug)]
pub struct PostgresOptions<'a> {
    /// `postgres://user:password@host:port,host:port/database?...`
    pub url: &'a str,
    /// CA certificates (PEM) to verify the server; `None` for the public ones.
    pub ca_file: Option<&'a Path>,
    /// Maximum number of connections, besides one for notifications.
    pub pool_size: usize,
    /// How long a request waits for a connection.
    pub wait: Duration,
    /// How long a statement may take.
    pub timeout: Duration,
    /// Whether the schema may be migrated.
    pub may_migrate: bool,
}

/// Whether this is the URL of a PostgreSQL database; nothing is connected.
///
/// # Errors
/// What is wrong and how to fix it, without any part of the password. Continues a sentence that begins with the name of
/// the setting.
pub fn check_postgres_url(url: &str) -> std::result::Result<(), String> {
    postgres::check_url(url)
}

impl PostgresOptions<'_> {
    fn aim(&self) -> migrate::Aim {
        if self.may_migrate { migrate::Aim::Change } else { migrate::Aim::Use }
    }

    pub(crate) fn address(&self) -> Result<Address> {
        Address::parse(self.url, self.ca_file, self.timeout)
            .map(|address| address.named(&migrate::application_name()))
            .map_err(Error::internal)
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let database = match &self.0.engine {
            Engine::Sqlite { file, .. } => file.path().display().to_string(),
            Engine::Postgres { shown, .. } => shown.clone(),
        };
        f.debug_struct("Store").field("database", &database).finish_non_exhaustive()
    }
}

/// Writes something and rolls back, to test whether the database accepts writes.
fn probe(tx: &mut Tx<'_>) -> Result<()> {
    const NOBODY: &str = "probe";
    login_failures::insert(tx, NOBODY)?;
    login_failures::forget(tx, NOBODY)
}

/// Why a database cannot be opened, and how to fix it.
fn not_opened(path: &Path, e: DbError) -> Error {
    let path = path.display();
    Error::internal(match e {
        DbError::Damaged(what) => format!(
            "the database {path} is damaged ({what}): restore a backup with `tenantry restore FILE`, which keeps the \
             damaged one"
        ),
        DbError::NoMemory => format!("cannot open the database {path}: out of memory"),
        DbError::CannotOpen(what) | DbError::ReadOnly(what) => format!(
            "cannot open the database {path}: {what}; this user must be able to write it and its directory, and its \
             file system must not be read-only"
        ),
        DbError::Disk(what) => {
            format!("cannot write the database {path}: {what}; check the system's log for disk errors")
        }
        other => return other.into(),
    })
}

/// Runs `work` on a separate thread and waits: connecting blocks, which is not allowed on a thread that serves
/// requests.
pub(crate) fn apart<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| scope.spawn(work).join())
        .unwrap_or_else(|_| Err(Error::internal("opening the database panicked")))
}

/// The nice value of scan threads. On one core eight scanning threads would delay the thread that serves requests by
/// tens of milliseconds. Scans themselves became a tenth slower by it (docs/BENCHMARKS.md).
const STANDING_BACK: i32 = 10;

/// Lowers the priority of this thread. On Linux a nice value belongs to the thread (setpriority(2), "C library/kernel
/// differences"); elsewhere this would slow the whole process.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    {
        thread_local!(static STANDS_BACK: std::cell::Cell<bool> = const { std::cell::Cell::new(false) });
        if !STANDS_BACK.replace(true)
            && let Err(e) = rustix::process::setpriority_process(None, STANDING_BACK)
        {
            tracing::debug!("scans run at ordinary priority: {e}");
        }
    }
}

impl Store {
    /// Opens the SQLite database at `path`, creates it if it does not exist, and migrates its schema.
    ///
    /// # Errors
    /// A file that is not a database, another program's, or of a newer version is refused and not changed.
    pub fn open_sqlite(path: &Path, clock: Clock, random: Random, policy: AccountPolicy) -> Result<Self> {
        migrate::check_file(path)?;
        let file = Arc::new(DatabaseFile::open(path, Missing::Create)?);
        Self::open_locked(&file, clock, random, policy).map_err(|e| not_opened(path, e))
    }

    fn open_locked(
        file: &Arc<DatabaseFile>,
        clock: Clock,
        random: Random,
        policy: AccountPolicy,
    ) -> Result<Self, DbError> {
        let path = file.path();
        if std::fs::metadata(path).is_ok_and(|meta| meta.len() > 0) {
            let mut look = Sqlite::open(path, Use::Look)?;
            migrate::check_version(&mut look, path)?;
            copy::check_finished(&mut look, &path.display().to_string())?;
        }
        let mut conn = Sqlite::open(path, Use::Write)?;
        let version = migrate::check_version(&mut conn, path)?;
        migrate::migrate(&mut conn, version, clock.now())?;
        let keys = ServerKeys::get(&mut conn, &random, clock.now())?;
        let policy = policies::with_floor(&mut conn, policy, clock.now())?;
        let shared = Shared::new(clock, random, policy, true);
        let point = Arc::new(PointReaders::new(file));
        let offset_index = OffsetIndexBuilder::start(file, &shared.supervisor)?;
        let beside = offset_index.index().cloned();
        let writer = Writer::start(conn, file, Arc::clone(&shared), Arc::clone(&point), beside.clone())?;
        let engine = Engine::Sqlite {
            writer,
            point,
            scan: Readers::new(file, Use::Scan, beside),
            offset_index,
            scans: Slots::new(SCANS, WAITING_SCANS, "too many searches and lists are waiting"),
            file: Arc::clone(file),
        };
        Ok(Self(Arc::new(Inner { shared, engine, keys })))
    }

    /// Opens a PostgreSQL database and migrates its schema, if allowed.
    ///
    /// # Errors
    /// A server that cannot be reached or is too old; a database that is another program's, of a newer version, or of
    /// an older one that may not be migrated; with a hint.
    pub fn open_postgres(
        options: &PostgresOptions<'_>,
        clock: Clock,
        random: Random,
        policy: AccountPolicy,
    ) -> Result<Self> {
        let address = Arc::new(options.address()?);
        let (keys, policy) = apart(|| {
            migrate::migrate_postgres(&address, options.aim(), &clock)?;
            let mut conn = migrate::connect(&address, Role::Write)?;
            let keys = ServerKeys::get(&mut conn, &random, clock.now())?;
            Ok((keys, policies::with_floor(&mut conn, policy, clock.now())?))
        })?;
        let shared = Shared::new(clock, random, policy, false);
        // Reads must not wait for writes that wait for locks.
        let writes = (options.pool_size / 2).max(1);
        let reads = options.pool_size.saturating_sub(writes).max(1);
        let pool = |role, size| Arc::new(Pool::new(Arc::clone(&address), role, size, options.wait));
        let engine = Engine::Postgres {
            write: pool(Role::Write, writes),
            batches: Arc::default(),
            read: pool(Role::Read, reads),
            shown: address.shown(),
            _listener: Listener::start(Arc::clone(&address), &shared)?,
        };
        Ok(Self(Arc::new(Inner { shared, engine, keys })))
    }

    /// Migrates the schema of a PostgreSQL database. Returns the versions before and after.
    ///
    /// # Errors
    /// As [`Store::open_postgres`].
    pub fn migrate_postgres(options: &PostgresOptions<'_>, clock: &Clock) -> Result<(usize, usize)> {
        let address = options.address()?;
        apart(|| migrate::migrate_postgres(&address, migrate::Aim::Change, clock))
    }

    /// Runs a unit of work and returns when it is on disk. It may run more than once (after a conflict with another
    /// process), so it takes its inputs by reference.
    pub async fn write<S, T, F>(&self, scope: &S, work: F) -> Result<T>
    where
        S: Scope + Clone + Send + 'static,
        T: Send + 'static,
        F: Fn(&mut Tx<'_, S>) -> Result<Outcome<T>> + Send + 'static,
    {
        self.submit(scope.clone(), false, work).await
    }

    /// Like [`Store::write`], for work that may share its transaction with others if it only adds rows.
    pub async fn write_shared<S, T, F>(&self, scope: &S, work: F) -> Result<T>
    where
        S: Scope + Clone + Send + 'static,
        T: Send + 'static,
        F: Fn(&mut Tx<'_, S>) -> Result<Outcome<T>> + Send + 'static,
    {
        let scope = scope.clone();
        match &self.0.engine {
            Engine::Sqlite { writer, .. } => writer.submit(scope, false, work).await,
            Engine::Postgres { write, batches, .. } => {
                batches.submit(write, &self.0.shared, scope, work).await
            }
        }
    }

    /// Like [`Store::write`], for work that writes thousands of rows: it gets its own transaction, so that no other
    /// response waits for it.
    pub async fn write_large<S, T, F>(&self, scope: &S, work: F) -> Result<T>
    where
        S: Scope + Clone + Send + 'static,
        T: Send + 'static,
        F: Fn(&mut Tx<'_, S>) -> Result<Outcome<T>> + Send + 'static,
    {
        self.submit(scope.clone(), true, work).await
    }

    async fn submit<S, T, F>(&self, scope: S, is_large: bool, work: F) -> Result<T>
    where
        S: Scope + Clone + Send + 'static,
        T: Send + 'static,
        F: Fn(&mut Tx<'_, S>) -> Result<Outcome<T>> + Send + 'static,
    {
        match &self.0.engine {
            Engine::Sqlite { writer, .. } => writer.submit(scope, is_large, work).await,
            Engine::Postgres { write, .. } => {
                let shared = Arc::clone(&self.0.shared);
                write.run(scope.pid(), move |pool| pool.write(&shared, &scope, &work)).await
            }
        }
    }

    /// Refuses if a write of this partner would be refused now because too many are waiting: an early refusal is
    /// cheaper. On PostgreSQL only the write itself finds out.
    ///
    /// # Errors
    /// Unavailable.
    pub fn expect_room(&self, pid: PartnerId) -> Result<()> {
        match &self.0.engine {
            Engine::Sqlite { writer, .. } => writer.expect_room(pid),
            Engine::Postgres { .. } => Ok(()),
        }
    }

    /// Runs one statement (a point read, a few microseconds on SQLite), on SQLite on the current thread.
    pub async fn read<S, T, F>(&self, scope: &S, work: F) -> Result<T>
    where
        S: Scope + Clone + Send + 'static,
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_, S>) -> Result<T> + Send + 'static,
    {
        let (shared, scope) = (&self.0.shared, scope.clone());
        match &self.0.engine {
            Engine::Sqlite { point, .. } => point.with(|conn| {
                let mut effects = Effects::default();
                work(&mut Tx::open(conn, &mut effects, scope, shared.context()))
            }),
            Engine::Postgres { read, .. } => {
                let shared = Arc::clone(shared);
                read.run(scope.pid(), move |pool| pool.read(&shared, &scope, false, work)).await
            }
        }
    }

    /// Runs reads that may take milliseconds on a blocking thread, all on one snapshot.
    pub async fn scan<S, T, F>(&self, scope: &S, work: F) -> Result<T>
    where
        S: Scope + Clone + Send + 'static,
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_, S>) -> Result<T> + Send + 'static,
    {
        let scope = scope.clone();
        let scans = match &self.0.engine {
            Engine::Postgres { read, .. } => {
                let shared = Arc::clone(&self.0.shared);
                return read.run(scope.pid(), move |pool| pool.read(&shared, &scope, true, work)).await;
            }
            Engine::Sqlite { scans, .. } => scans,
        };
        let slot = scans.take(scope.pid()).await?;
        let store = self.clone();
        let work = move || {
            lower_priority();
            // Held to the end, also when the requester is gone.
            let _slot = slot;
            store.scan_sqlite(scope, work)
        };
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(Error::internal("a scan panicked")))
    }

    fn scan_sqlite<S: Scope, T>(
        &self,
        scope: S,
        work: impl FnOnce(&mut Tx<'_, S>) -> Result<T>,
    ) -> Result<T> {
        let Engine::Sqlite { scan, .. } = &self.0.engine else {
            return Err(Error::internal("this database is not SQLite"));
        };
        let shared = &self.0.shared;
        scan.with(|conn| {
            conn.control("BEGIN")?;
            let mut effects = Effects::default();
            let result = work(&mut Tx::open(conn, &mut effects, scope, shared.context()));
            conn.control("COMMIT")?;
            result
        })
    }

    /// The facts of a token, from the cache or the database. Does not check whether it is still valid: see
    /// [`crate::access::Caller::admit`].
    pub async fn find_token(&self, pid: PartnerId, hash: &TokenHash) -> Result<Option<Arc<TokenFacts>>> {
        let cache = &self.0.shared.cache;
        if let Some(facts) = cache.caller(hash) {
            return Ok(Some(facts));
        }
        let (filling, key) = (cache.filling(), *hash);
        let within = crate::access::system_within(pid);
        let facts = self.read(&within, move |tx| sessions::find_access_token(tx, &key)).await?;
        let facts = facts.map(Arc::new);
        if let Some(facts) = &facts {
            cache.keep_caller(&filling, hash, facts);
        }
        Ok(facts)
    }

    /// The facts of a browser session, from the cache or the database. Does not check whether it is still valid: see
    /// [`crate::access::Caller::admit_browser`]. `is_valid` says whether cached facts are good enough: another process may
    /// have seen the browser since they were read.
    pub async fn find_browser_session(
        &self,
        pid: PartnerId,
        hash: &TokenHash,
        is_valid: impl Fn(&BrowserFacts) -> bool,
    ) -> Result<Option<Arc<BrowserFacts>>> {
        let cache = &self.0.shared.cache;
        if let Some(facts) = cache.browser(hash).filter(|facts| is_valid(facts)) {
            return Ok(Some(facts));
        }
        let (filling, key) = (cache.filling(), *hash);
        let within = crate::access::system_within(pid);
        let facts = self.read(&within, move |tx| browser_sessions::find(tx, &key)).await?;
        let facts = facts.map(Arc::new);
        if let Some(facts) = &facts {
            cache.keep_browser(&filling, hash, facts);
        }
        Ok(facts)
    }

    /// Whether a client has a redirect URI of this web origin, from the cache or the database.
    pub async fn is_client_origin(&self, origin: &str) -> Result<bool> {
        let cache = &self.0.shared.cache;
        if let Some(is_known) = cache.origin(origin) {
            return Ok(is_known);
        }
        let (filling, asked) = (cache.filling(), origin.to_owned());
        let is_known = self.read(&nobody(), move |tx| clients::is_origin_known(tx, &asked)).await?;
        cache.keep_origin(&filling, origin, is_known);
        Ok(is_known)
    }

    /// The representation of one user of the scope's partner: from the cache, or read from the database and serialized
    /// by `representation`.
    pub async fn show_user<S, R>(
        &self,
        scope: &S,
        user_id: UserId,
        representation: &R,
    ) -> Result<Option<Arc<ShownUser>>>
    where
        S: Scope + Clone + Send + 'static,
        R: UserRepresentation,
    {
        let (cache, key) = (&self.0.shared.cache, UserKey::of::<R>(scope.pid(), user_id));
        if let Some(shown) = cache.user(key) {
            return Ok(Some(shown));
        }
        let filling = cache.filling();
        let Some(user) = self.read(scope, move |tx| users::find(tx, user_id)).await? else { return Ok(None) };
        let shown = Arc::new(representation.show(&user)?);
        cache.keep_user(&filling, key, &shown);
        Ok(Some(shown))
    }

    /// Must be called before a read whose result the caller keeps: see [`Store::is_fresh`].
    pub fn freshness(&self, of: &CacheKey) -> Freshness {
        self.0.shared.cache.freshness(of)
    }

    /// Whether a result that was read after [`Store::freshness`] is current. On PostgreSQL a change by another process is
    /// known a moment after its commit; never while its notifications cannot be received.
    pub fn is_fresh(&self, freshness: &Freshness) -> bool {
        self.0.shared.cache.is_fresh(freshness)
    }

    /// Whether other processes may work on the same database at the same time.
    pub fn is_shared(&self) -> bool {
        matches!(self.0.engine, Engine::Postgres { .. })
    }

    /// Whether every server of this database uses its current schema: during a rolling update there may be servers of
    /// an earlier version, which can no longer start but keep running.
    pub async fn is_schema_common(&self) -> Result<bool> {
        let Engine::Postgres { .. } = &self.0.engine else { return Ok(true) };
        self.read(&nobody(), |tx| {
            let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                       AND application_name LIKE 'tenantry%' AND application_name <> 'tenantry copy' \
                       AND application_name <> $1";
            let older =
                tx.unscoped().rows(sql, &[migrate::application_name().as_str().into()], |row| row.int(0))?;
            Ok(older == [0])
        })
        .await
    }

    /// Whether the cache may be used at present: on PostgreSQL not while notifications of other processes cannot be
    /// received.
    pub fn is_cache_believed(&self) -> bool {
        self.0.shared.cache.is_believed()
    }

    /// Whether the database responds and, as far as is known, stores writes. After a failed commit a write is attempted
    /// now and then, so that its recovery is detected.
    ///
    /// # Errors
    /// Unavailable, with the reason.
    pub async fn is_ready(&self) -> Result<()> {
        let shared = &self.0.shared;
        if let Some(name) = shared.supervisor.missing().first() {
            return Err(Error::Unavailable {
                what: format!("the server's thread {name} has failed").into(),
                retry_after: Duration::from_secs(1),
            });
        }
        if let Engine::Sqlite { file, .. } = &self.0.engine {
            file.check()?;
            if file.is_read_only() {
                return Err(DbError::ReadOnly(String::new()).into());
            }
        }
        if shared.health.is_probe_due(Instant::now()) {
            self.write(&nobody(), |tx| probe(tx).map(Outcome::Commit)).await?;
        }
        shared.health.check()?;
        let is_read_only = self.read(&nobody(), |tx| tx.is_read_only()).await?;
        if is_read_only { Err(DbError::ReadOnly(String::new()).into()) } else { Ok(()) }
    }

    /// The threads of the store and of the rest of the server.
    pub fn supervisor(&self) -> &Supervisor {
        &self.0.shared.supervisor
    }

    /// The clock of transactions.
    pub fn clock(&self) -> &Clock {
        &self.0.shared.clock
    }

    /// The policy that transactions carry.
    pub fn policy(&self) -> &AccountPolicy {
        &self.0.shared.policy
    }

    /// Truncates the write-ahead log, in which deleted text remains until it happens to be overwritten. False when a
    /// long read still needs the log: try again later. No-op on PostgreSQL, which manages its own log.
    pub async fn empty_log(&self) -> Result<bool> {
        match &self.0.engine {
            Engine::Sqlite { writer, .. } => writer.empty_log().await,
            Engine::Postgres { .. } => Ok(true),
        }
    }

    /// How long a total that is not stored is counted before a lower bound is returned: 40 ms unless a test, in which
    /// no clock may decide, sets another value. No effect on PostgreSQL, where a total beyond 10,000 is always a lower
    /// bound.
    pub fn let_count_for(&self, time: Duration) {
        if let Engine::Sqlite { offset_index, .. } = &self.0.engine
            && let Some(index) = offset_index.index()
        {
            index.let_count_for(time);
        }
    }

    /// The number of orders in the offset index, which finds deep pages. Always 0 on PostgreSQL.
    pub fn count_indexed_orders(&self) -> usize {
        match &self.0.engine {
            Engine::Sqlite { offset_index, .. } => offset_index.index().map_or(0, |index| index.count()),
            Engine::Postgres { .. } => 0,
        }
    }

    /// The key that authenticates cursors, shared by all servers of this database: base64url.
    pub fn cursor_key(&self) -> &str {
        &self.0.keys.cursors
    }

    /// The key of values that travel through a browser, shared by all servers of this database.
    pub fn request_key(&self) -> &str {
        &self.0.keys.requests
    }

    /// The value that the master key of this database has sealed; `None` if nothing in it was sealed when it was opened.
    pub fn master_check(&self) -> Option<&str> {
        self.0.keys.master.as_deref()
    }

    /// This process delivers mail. One that does not, a command, notifies the others of mail that it puts into the outbox.
    pub fn delivers_mail(&self) {
        self.0.shared.delivers_mail.store(true, Ordering::Relaxed);
    }

    /// Waits until mail is put into the outbox, on PostgreSQL also by a command.
    pub async fn mail_arrived(&self) {
        self.0.shared.mail.notified().await;
    }
}

#[cfg(test)]
mod operation_tests;
#[cfg(test)]
mod schema_tests;
#[cfg(test)]
mod search_tests;
#[cfg(test)]
mod tests;
