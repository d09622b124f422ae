//! SQLite, as a `Connection`. Only this module uses rusqlite.

pub(crate) mod commit_numbers;
/// The file of an SQLite database, locked and identified.
pub mod database_file;
pub(crate) mod queue;
pub(crate) mod search_index;
pub(crate) mod writer;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
use rusqlite::hooks::Wal;
use rusqlite::{ErrorCode, OpenFlags, types::ValueRef};

use crate::engine::driver::{Connection, DbError, Dialect, Param, Row};
use crate::engine::offset_index::{OffsetIndex, OffsetView};
use crate::engine::sqlite::database_file::DatabaseFile;
use tenantry_core::error::{Error, Result};
use tenantry_core::model::PartnerId;

/// Marks a database file as Tenantry's (`PRAGMA application_id`): "Tnty".
pub(crate) const APPLICATION_ID: i32 = 0x546e_7479;

/// A thread yields after this number of steps of SQLite's virtual machine, a tenth to half of a millisecond. Otherwise
/// the kernel would leave it on a core for some milliseconds, and a read that takes microseconds would wait for it.
const STEPS_AT_ONCE: i32 = 2_000;

/// How long a connection waits for a lock.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The same for a connection that expects to be the only one.
const SHORT_TIMEOUT: Duration = Duration::from_secs(1);

/// Pages copied in one step, 4 MiB: progress is reported between steps.
const COPY_STEP: i32 = 1_024;

/// Names of the parameters: SQLite numbers `$n` by first appearance, so they are bound by name.
const NAMES: [&str; 40] = [
    "$1", "$2", "$3", "$4", "$5", "$6", "$7", "$8", "$9", "$10", "$11", "$12", "$13", "$14", "$15", "$16",
    "$17", "$18", "$19", "$20", "$21", "$22", "$23", "$24", "$25", "$26", "$27", "$28", "$29", "$30", "$31",
    "$32", "$33", "$34", "$35", "$36", "$37", "$38", "$39", "$40",
];

/// One connection to an SQLite database.
pub(crate) struct Sqlite {
    conn: rusqlite::Connection,
    /// For point reads: the number of commits that the open snapshot includes; `None` if none is open.
    snapshot: Option<u64>,
    /// For scans: the offset index.
    offset_index: Option<OffsetView>,
}

/// The purpose of a connection, which determines its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// The one writer.
    Write,
    /// Point reads on the runtime's threads.
    Point,
    /// Scans, searches and streams on blocking threads.
    Scan,
    /// Checkpoints, beside the writer.
    Checkpoint,
    /// Importing a whole database (crates/store/src/ops/copy.rs); the file is created.
    Fill,
    /// Checking a file of unknown origin: nothing is changed, not even its log.
    Look,
    /// The target of a backup. Without any safety: it is unused until it is complete.
    Copy,
    /// A complete copy, whose only connection this is: its journal mode is not changed.
    Alone,
    /// A database to be brought to rest that may be damaged: at the end its log is left alone, which SQLite would
    /// otherwise move into whatever the file is.
    Settle,
}

impl Sqlite {
    /// Opens `path`; a writer creates the file.
    pub(crate) fn open(path: &Path, purpose: Use) -> Result<Self, DbError> {
        if purpose == Use::Look {
            take_back_unfinished(path)?;
        }
        let access = match purpose {
            Use::Write | Use::Fill => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
            Use::Checkpoint | Use::Point | Use::Scan | Use::Copy | Use::Alone | Use::Settle => {
                OpenFlags::SQLITE_OPEN_READ_WRITE
            }
            Use::Look => OpenFlags::SQLITE_OPEN_READ_ONLY,
        };
        let conn = rusqlite::Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        // SQLite falls back to read-only without write permission, and only the first write would fail: too late.
        if matches!(purpose, Use::Write | Use::Fill) && conn.is_readonly(rusqlite::MAIN_DB)? {
            return Err(DbError::Other(format!(
                "cannot write the database {}: give this user the right to write the file",
                path.display()
            )));
        }
        conn.set_prepared_statement_cache_capacity(256);
        conn.busy_timeout(if purpose == Use::Settle { SHORT_TIMEOUT } else { TIMEOUT })?;
        // First: with a damaged database the setup fails and this connection is closed.
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, purpose == Use::Settle)?;
        // Plans never depend on values. Otherwise SQLite would replan, at every use, a statement whose plan might
        // change: that took ten times as long as the statement itself.
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        // The file is not memory-mapped (SQLite's default): a disk error stays an error instead of ending the process,
        // and resident memory stays what the server needs. With the first 256 MiB mapped, random reads among a million
        // users were slower by a quarter, with all of the file faster by as much.
        let setup = match purpose {
            // The checkpointer keeps the log short (writer.rs), so commits never pay for it. secure_delete: the outbox
            // contains temporary passwords.
            Use::Write => {
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; \
                 PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY; \
                 PRAGMA cache_size = -65536;"
            }
            // The file stays consistent without waiting for the disk at each commit: what is lost in a power cut is
            // copied again. Foreign keys are checked at the end. Sorting for an index spills to files beyond the cache.
            Use::Fill => {
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 16384; \
                 PRAGMA foreign_keys = OFF; PRAGMA secure_delete = ON; PRAGMA cache_size = -131072; PRAGMA threads = 2;"
            }
            Use::Checkpoint => "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;",
            // Without files beside the data: the root of a container may be read-only.
            Use::Point | Use::Look | Use::Scan => "PRAGMA query_only = ON; PRAGMA temp_store = MEMORY;",
            Use::Copy => {
                "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;"
            }
            Use::Alone | Use::Settle => "PRAGMA synchronous = FULL;",
        };
        conn.execute_batch(setup)?;
        let mut this = Self { conn, snapshot: None, offset_index: None };
        if matches!(purpose, Use::Write | Use::Scan) {
            this.set_progress_handler(None)?;
        }
        Ok(this)
    }

    /// Opens another connection to an open database: never to another file that now has its name.
    pub(crate) fn open_again(file: &DatabaseFile, purpose: Use) -> Result<Self, DbError> {
        file.check()?;
        let conn = Self::open(file.path(), purpose)?;
        match file.check() {
            Ok(_) => Ok(conn),
            Err(e) => {
                // It may be another file: closing the connection could remove that file's log.
                std::mem::forget(conn);
                Err(e.into())
            }
        }
    }

    /// The number of rows written since it was opened.
    pub(crate) fn total_changes(&self) -> u64 {
        self.conn.total_changes()
    }

    /// Makes statements yield periodically, and fail from some time on.
    fn set_progress_handler(&mut self, until: Option<Instant>) -> Result<(), DbError> {
        let is_over = move || {
            std::thread::yield_now();
            until.is_some_and(|until| Instant::now() >= until)
        };
        Ok(self.conn.progress_handler(STEPS_AT_ONCE, Some(is_over))?)
    }

    /// How often a statement was replanned after it was prepared.
    #[cfg(test)]
    pub(crate) fn replanned(&self, sql: &str) -> i32 {
        self.conn.prepare_cached(sql).unwrap().get_status(rusqlite::StatementStatus::RePrepare)
    }

    /// Runs one transaction control statement (`BEGIN`, `SAVEPOINT`, ...), kept prepared.
    pub(crate) fn control(&self, sql: &str) -> Result<(), DbError> {
        self.conn.prepare_cached(sql)?.raw_execute()?;
        Ok(())
    }

    fn end_snapshot(&mut self) -> Result<(), DbError> {
        if self.snapshot.take().is_some() {
            self.control("COMMIT")?;
        }
        Ok(())
    }

    /// Whether a transaction is open. A full disk can roll one back implicitly.
    pub(crate) fn in_transaction(&self) -> bool {
        !self.conn.is_autocommit()
    }

    /// Reads an integer pragma.
    pub(crate) fn pragma(&self, name: &str) -> Result<i64, DbError> {
        Ok(self.conn.pragma_query_value(None, name, |row| row.get(0))?)
    }

    /// Moves the log into the database. `TRUNCATE` waits for readers and shortens the file, `PASSIVE` does not.
    pub(crate) fn checkpoint(&self, mode: &str) -> Result<(), DbError> {
        Ok(self.conn.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(()))?)
    }

    /// Has the size of the log, in bytes, stored in `size` after each commit of this connection. The file can be larger:
    /// the log begins at its start again once everything in it is in the database and nobody reads it.
    pub(crate) fn note_log_size(&mut self, size: Arc<AtomicU64>) -> Result<(), DbError> {
        let page: u32 = self.conn.query_row("PRAGMA page_size", [], |row| row.get(0))?;
        self.conn.wal_hook(Some(move |_: &mut Wal, pages| {
            size.store(u64::try_from(pages).unwrap_or_default() * u64::from(page), Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(())
    }

    /// Moves the log into the database and truncates its file, unless earlier reads still need it after `timeout`;
    /// returns whether it did. Nothing can be written meanwhile.
    pub(crate) fn empty_log(&self, timeout: Duration) -> Result<bool, DbError> {
        self.conn.busy_timeout(timeout)?;
        let is_busy = self.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        self.conn.busy_timeout(TIMEOUT)?;
        Ok(is_busy? == 0)
    }

    /// Runs an INSERT once for each row. Its parameters are `?`, in the order of the row's values.
    pub(crate) fn insert_rows<'p, R>(
        &mut self,
        sql: &str,
        rows: impl Iterator<Item = R>,
    ) -> Result<(), DbError>
    where
        R: Iterator<Item = Param<'p>>,
    {
        let mut stmt = self.conn.prepare_cached(sql)?;
        for row in rows {
            for (at, value) in (1..).zip(row) {
                match value {
                    Param::Null => stmt.raw_bind_parameter(at, rusqlite::types::Null)?,
                    Param::Int(v) => stmt.raw_bind_parameter(at, v)?,
                    Param::Text(v) => stmt.raw_bind_parameter(at, v)?,
                }
            }
            stmt.raw_execute()?;
        }
        Ok(())
    }

    /// Copies the whole database over `to`, page by page, and reports the copied and the total bytes. In a transaction,
    /// which is required, it is one snapshot however much is written meanwhile.
    pub(crate) fn copy_over(&self, to: &mut Self, each: &mut dyn FnMut(u64, u64)) -> Result<(), DbError> {
        let page = self.pragma("page_size")?;
        let bytes = |pages: i64| u64::try_from(pages.saturating_mul(page)).unwrap_or(0);
        let copy = Backup::new(&self.conn, &mut to.conn)?;
        loop {
            let step = copy.step(COPY_STEP)?;
            let progress = copy.progress();
            let (all, left) = (i64::from(progress.pagecount), i64::from(progress.remaining));
            each(bytes(all - left), bytes(all));
            match step {
                StepResult::Done => return Ok(()),
                StepResult::More => {}
                // No other connection uses the target, and the snapshot needs no further lock.
                _ => return Err(DbError::Busy),
            }
        }
    }

    /// Requests another journal mode; returns whether it is in effect. Leaving `WAL` moves the log into the database
    /// and removes it, which only the one connection of a database can do.
    pub(crate) fn set_journal(&self, mode: &str) -> Result<bool, DbError> {
        let mut is = String::new();
        self.conn.pragma_update_and_check(None, "journal_mode", mode, |row| {
            is = row.get(0)?;
            Ok(())
        })?;
        Ok(is.eq_ignore_ascii_case(mode))
    }

    fn bind(
        stmt: &mut rusqlite::Statement<'_>,
        partner: Option<PartnerId>,
        params: &[Param<'_>],
    ) -> Result<(), DbError> {
        let partner = partner.map(|pid| Param::Int(pid.0));
        let given = partner.iter().chain(params);
        if stmt.parameter_count() != partner.iter().len() + params.len() {
            return Err(DbError::Other(format!(
                "a statement takes {} parameters and was given {}, the partner included",
                stmt.parameter_count(),
                partner.iter().len() + params.len(),
            )));
        }
        for (name, value) in NAMES.iter().zip(given) {
            let at = stmt
                .parameter_index(name)?
                .ok_or_else(|| DbError::Other(format!("a statement does not use parameter {name}")))?;
            match value {
                Param::Null => stmt.raw_bind_parameter(at, rusqlite::types::Null)?,
                Param::Int(v) => stmt.raw_bind_parameter(at, v)?,
                Param::Text(v) => stmt.raw_bind_parameter(at, v)?,
            }
        }
        Ok(())
    }
}

impl Connection for Sqlite {
    fn execute(
        &mut self,
        sql: &str,
        partner: Option<PartnerId>,
        params: &[Param<'_>],
    ) -> Result<usize, DbError> {
        let mut stmt = self.conn.prepare_cached(sql)?;
        Self::bind(&mut stmt, partner, params)?;
        Ok(stmt.raw_execute()?)
    }

    fn execute_later(
        &mut self,
        sql: &str,
        partner: Option<PartnerId>,
        params: &[Param<'_>],
        refused: fn(DbError) -> Error,
    ) -> Result<(), DbError> {
        // Deferring gains nothing.
        self.execute(sql, partner, params).map(drop).map_err(|e| DbError::Caller(refused(e)))
    }

    fn query(
        &mut self,
        sql: &str,
        partner: Option<PartnerId>,
        params: &[Param<'_>],
        each: &mut dyn FnMut(&dyn Row) -> Result<()>,
    ) -> Result<(), DbError> {
        let mut stmt = self.conn.prepare_cached(sql)?;
        Self::bind(&mut stmt, partner, params)?;
        let mut rows = stmt.raw_query();
        while let Some(row) = rows.next()? {
            each(row)?;
        }
        Ok(())
    }

    fn count_within(
        &mut self,
        time: Duration,
        sql: &str,
        partner: Option<PartnerId>,
        params: &[Param<'_>],
    ) -> Result<Option<i64>, DbError> {
        self.set_progress_handler(Some(Instant::now() + time))?;
        let count = || {
            let mut stmt = self.conn.prepare_cached(sql)?;
            Self::bind(&mut stmt, partner, params)?;
            Ok(stmt.raw_query().next()?.map(|row| row.get(0)).transpose()?)
        };
        let counted = match count() {
            Err(DbError::Crowded) => Ok(None),
            other => other,
        };
        self.set_progress_handler(None)?;
        counted
    }

    fn batch(&mut self, sql: &str) -> Result<(), DbError> {
        Ok(self.conn.execute_batch(sql)?)
    }

    fn offset_index(&self) -> Option<OffsetView> {
        self.offset_index.clone()
    }

    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }
}

/// A program that was killed may have left a journal with the pages to restore. SQLite rolls back before anything else
/// is read, but not on a read-only connection.
fn take_back_unfinished(path: &Path) -> Result<(), DbError> {
    let read = |access: OpenFlags| {
        let conn = rusqlite::Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        conn.busy_timeout(TIMEOUT)?;
        conn.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()))
    };
    match read(OpenFlags::SQLITE_OPEN_READ_ONLY) {
        Err(rusqlite::Error::SqliteFailure(e, _)) if e.code == ErrorCode::ReadOnly => {
            Ok(read(OpenFlags::SQLITE_OPEN_READ_WRITE)?)
        }
        // Other errors of the file are reported on reading it.
        _ => Ok(()),
    }
}

fn wrong_type(column: usize) -> Error {
    Error::Internal(format!("column {column} of an answer has an unexpected type").into())
}

impl Row for rusqlite::Row<'_> {
    fn int(&self, column: usize) -> Result<i64> {
        self.opt_int(column)?.ok_or_else(|| wrong_type(column))
    }
    fn opt_int(&self, column: usize) -> Result<Option<i64>> {
        match self.get_ref(column) {
            Ok(ValueRef::Integer(v)) => Ok(Some(v)),
            Ok(ValueRef::Null) => Ok(None),
            Ok(_) | Err(_) => Err(wrong_type(column)),
        }
    }
    fn text(&self, column: usize) -> Result<&str> {
        self.opt_text(column)?.ok_or_else(|| wrong_type(column))
    }
    fn opt_text(&self, column: usize) -> Result<Option<&str>> {
        match self.get_ref(column) {
            Ok(ValueRef::Text(v)) => std::str::from_utf8(v).map(Some).map_err(|_| wrong_type(column)),
            Ok(ValueRef::Null) => Ok(None),
            Ok(_) | Err(_) => Err(wrong_type(column)),
        }
    }
}

impl From<rusqlite::Error> for DbError {
    fn from(e: rusqlite::Error) -> Self {
        use rusqlite::ffi;
        let rusqlite::Error::SqliteFailure(code, message) = &e else {
            return Self::Other(format!("sqlite: {e}"));
        };
        match (code.code, code.extended_code) {
            (
                ErrorCode::ConstraintViolation,
                ffi::SQLITE_CONSTRAINT_UNIQUE
                | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
                | ffi::SQLITE_CONSTRAINT_ROWID,
            ) => {
                // "UNIQUE constraint failed: usernames.name_key"
                let table = message
                    .as_deref()
                    .and_then(|m| m.rsplit(": ").next())
                    .and_then(|columns| columns.split('.').next())
                    .unwrap_or_default();
                Self::Duplicate { table: table.to_owned() }
            }
            (ErrorCode::ConstraintViolation, ffi::SQLITE_CONSTRAINT_FOREIGNKEY) => Self::Dangling,
            (ErrorCode::OperationInterrupted, _) => Self::Crowded,
            // Extending the index of the log bypasses SQLite's check for a full disk.
            (ErrorCode::DiskFull, _) | (_, ffi::SQLITE_IOERR_SHMSIZE) => Self::Full,
            (ErrorCode::ReadOnly, _) => Self::ReadOnly(format!("sqlite: {e}")),
            (
                _,
                ffi::SQLITE_IOERR_WRITE
                | ffi::SQLITE_IOERR_FSYNC
                | ffi::SQLITE_IOERR_DIR_FSYNC
                | ffi::SQLITE_IOERR_TRUNCATE
                | ffi::SQLITE_IOERR_DELETE
                | ffi::SQLITE_IOERR_LOCK
                | ffi::SQLITE_IOERR_UNLOCK
                | ffi::SQLITE_IOERR_SHMOPEN
                | ffi::SQLITE_IOERR_SHMMAP
                | ffi::SQLITE_IOERR_SHMLOCK,
            ) => Self::Disk(format!("sqlite: {e} ({})", code.extended_code)),
            (ErrorCode::CannotOpen | ErrorCode::PermissionDenied, _) => {
                Self::CannotOpen(format!("sqlite: {e}"))
            }
            (ErrorCode::OutOfMemory, _) => Self::NoMemory,
            (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => Self::Busy,
            (ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt, _) => {
                Self::Damaged(format!("sqlite: {e}"))
            }
            // The message of a constraint names columns, never values; other messages name files and SQL.
            _ => Self::Other(format!("sqlite: {e}")),
        }
    }
}

/// Read connections, handed out one at a time. Taking one costs an uncontended lock.
pub(crate) struct Readers {
    purpose: Use,
    offset_index: Option<Arc<OffsetIndex>>,
    idle: Mutex<Vec<Sqlite>>,
    /// Dropped after the connections.
    file: Arc<DatabaseFile>,
}

impl Readers {
    pub(crate) fn new(
        file: &Arc<DatabaseFile>,
        purpose: Use,
        offset_index: Option<Arc<OffsetIndex>>,
    ) -> Self {
        Self { purpose, offset_index, idle: Mutex::new(Vec::new()), file: Arc::clone(file) }
    }

    /// Runs `f` on a read connection. A connection whose `f` panics is dropped, not handed out again.
    pub(crate) fn with<T>(&self, f: impl FnOnce(&mut Sqlite) -> Result<T>) -> Result<T> {
        let mut conn = self.take()?;
        let result = f(&mut conn);
        self.give_back(conn);
        result
    }

    fn take(&self) -> Result<Sqlite> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut conn = match idle {
            Some(conn) => conn,
            None => Sqlite::open_again(&self.file, self.purpose)?,
        };
        conn.offset_index = self.offset_index.as_ref().map(OffsetView::of);
        Ok(conn)
    }

    fn give_back(&self, conn: Sqlite) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(conn);
    }
}

/// Read connections for point reads. Each keeps its snapshot open between reads until something is committed: opening
/// one costs two system calls for locks, as much as a read itself.
pub(crate) struct PointReaders {
    readers: Readers,
    /// The number of committed batches. A snapshot from before the last one is never read from.
    commits: AtomicU64,
    /// Checkpoints in progress: while there are any, no snapshot is kept open, or the log could not be truncated.
    checkpoints: AtomicU64,
}

impl PointReaders {
    pub(crate) fn new(file: &Arc<DatabaseFile>) -> Self {
        Self {
            readers: Readers::new(file, Use::Point, None),
            commits: AtomicU64::new(0),
            checkpoints: AtomicU64::new(0),
        }
    }

    /// Runs `f` on a snapshot that includes everything committed before this call.
    pub(crate) fn with<T>(&self, f: impl FnOnce(&mut Sqlite) -> Result<T>) -> Result<T> {
        let mut conn = self.readers.take()?;
        // Loaded before the snapshot is opened: a commit in between costs at most another opening.
        let commits = self.commits.load(Ordering::SeqCst);
        if conn.snapshot != Some(commits) {
            conn.end_snapshot()?;
            conn.control("BEGIN")?;
            conn.snapshot = Some(commits);
        }
        let result = f(&mut conn);
        if self.checkpoints.load(Ordering::SeqCst) > 0 {
            conn.end_snapshot()?;
        }
        self.readers.give_back(conn);
        result
    }

    /// Announces a commit: the next reads see it.
    pub(crate) fn committed(&self) {
        self.commits.fetch_add(1, Ordering::SeqCst);
    }

    /// Runs `f`, a checkpoint, while no snapshot is kept open.
    pub(crate) fn without_snapshots<T>(&self, f: impl FnOnce() -> T) -> T {
        self.checkpoints.fetch_add(1, Ordering::SeqCst);
        for conn in self.readers.idle.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            if let Err(e) = conn.end_snapshot() {
                tracing::warn!(?e, "a snapshot could not be ended");
            }
        }
        let done = f();
        self.checkpoints.fetch_sub(1, Ordering::SeqCst);
        done
    }
}
