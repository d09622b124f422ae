//! The single writer of an SQLite database, with group commit.
//!
//! Units of work queue up. The thread takes a batch, runs each unit in a SAVEPOINT of one transaction, updates the
//! search index and the totals once, commits (one fsync), invalidates the cache, and only then responds to all units,
//! including refused ones: a `409` because of a row that did not commit would be wrong.

mod job;
mod queue_limit;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::access::Scope;
use crate::engine::driver::DbError;
use crate::engine::offset_index::OffsetIndex;
use crate::engine::sequences::Numbers;
use crate::engine::shared::Shared;
use crate::engine::sqlite::database_file::DatabaseFile;
use crate::engine::sqlite::queue::{Queue, Refused};
use crate::engine::sqlite::{PointReaders, Sqlite, Use, commit_numbers, search_index};
use crate::engine::tx::{Effects, Outcome, Tx};
use job::{BatchLost, Job, Unit};
use queue_limit::{LONGEST_QUEUE, QueueLimit};
use tenantry_core::error::{Error, Result};
use tenantry_core::model::PartnerId;

/// Maximum number of units in one transaction. More would only delay the first ones.
const BATCH: usize = 128;

/// From this size on the checkpointer moves the log into the database.
const CHECKPOINT_BYTES: u64 = 4 * 1024 * 1024;

/// At this size a large unit waits for a checkpoint before it runs. While such units write, a checkpoint never catches
/// up with the log, and the small units would pay at [`CHECKPOINT_HARD_BYTES`].
const CHECKPOINT_FIRST_BYTES: u64 = 16 * 1024 * 1024;

/// At this size the writer itself waits for a checkpoint, so the log never grows without bound.
const CHECKPOINT_HARD_BYTES: u64 = 64 * 1024 * 1024;

/// How long all writes may wait for reads that prevent the truncation of the log.
const EMPTYING: Duration = Duration::from_millis(50);

/// How long the writer leaves the log alone after it could not be truncated. A backup reads for minutes: if each batch
/// waited for it, every write would be slow.
const EMPTYING_PAUSE: Duration = Duration::from_secs(1);

/// A command to the writer.
enum Command {
    /// Run a unit of work.
    Run(Box<dyn Job>),
    /// Truncate the log; returns whether that was possible.
    EmptyLog(oneshot::Sender<Result<bool>>),
}

impl Command {
    fn is_large(&self) -> bool {
        matches!(self, Self::Run(job) if job.is_large())
    }
}

/// Those who wait for the next checkpoint to begin.
type Waiters = Arc<Mutex<Vec<oneshot::Sender<()>>>>;

/// The queue of the writer, by partner.
struct WriteQueue {
    commands: Queue<Command>,
    /// The number of small units in it.
    small: AtomicUsize,
    /// The current limit.
    limit: AtomicUsize,
}

impl WriteQueue {
    fn push(&self, pid: PartnerId, command: Command) -> Result<()> {
        let small = usize::from(!command.is_large());
        // Before it can be taken.
        self.small.fetch_add(small, Ordering::Relaxed);
        self.commands.push(pid, command, self.limit.load(Ordering::Relaxed)).map_err(|refused| {
            self.small.fetch_sub(small, Ordering::Relaxed);
            match refused {
                Refused::Full => full(),
                Refused::Closed => Error::Unavailable {
                    what: Cow::Borrowed("the server is stopping"),
                    retry_after: Duration::from_secs(1),
                },
            }
        })
    }

    fn try_pop(&self) -> Option<Command> {
        self.note(self.commands.try_pop())
    }

    fn pop(&self) -> Option<Command> {
        self.note(self.commands.pop())
    }

    fn note(&self, taken: Option<Command>) -> Option<Command> {
        if taken.as_ref().is_some_and(|command| !command.is_large()) {
            self.small.fetch_sub(1, Ordering::Relaxed);
        }
        taken
    }
}

/// A handle to the writer thread. Dropping it ends the thread once its queue is empty.
pub(crate) struct Writer {
    queue: Arc<WriteQueue>,
    due: Option<SyncSender<()>>,
    waiters: Waiters,
    /// Size of the log after the last batch.
    log_size: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Writer {
    /// Starts the writer and its checkpointer on `conn`, the only connection that writes.
    pub(crate) fn start(
        mut conn: Sqlite,
        file: &Arc<DatabaseFile>,
        shared: Arc<Shared>,
        point: Arc<PointReaders>,
        offset_index: Option<Arc<OffsetIndex>>,
    ) -> Result<Self> {
        let queue = Arc::new(WriteQueue {
            commands: Queue::default(),
            small: AtomicUsize::new(0),
            limit: AtomicUsize::new(LONGEST_QUEUE),
        });
        let (due, checkpoints) = mpsc::sync_channel(1);
        let checkpointer = Sqlite::open(file.path(), Use::Checkpoint)?;
        // What an earlier process has left in it is not known otherwise.
        let log_size = Arc::new(AtomicU64::new(file.check()?));
        conn.note_log_size(Arc::clone(&log_size))?;
        let supervisor = shared.supervisor.clone();
        let failed = |e: std::io::Error| Error::internal(format!("cannot start a thread: {e}"));
        let (ask, beside, file) = (due.clone(), Arc::clone(&point), Arc::clone(file));
        let waiters = Waiters::default();
        let told = Arc::clone(&waiters);
        let mut work = Loop {
            conn: Some(conn),
            shared,
            queue: Arc::clone(&queue),
            point,
            offset_index,
            log_size: Arc::clone(&log_size),
            file_size: 0,
            due,
            emptying_at: None,
            is_first: true,
            file,
        };
        #[cfg(test)]
        let tests = supervisor.clone();
        let checkpoints = move || {
            #[cfg(test)]
            let beside = (&beside, &|| tests.trip("checkpoint"));
            #[cfg(not(test))]
            let beside = (&beside, &|| ());
            checkpoint(&checkpointer, &checkpoints, &told, beside.0, beside.1);
        };
        let threads = vec![
            supervisor.thread("writer", move || work.run()).map_err(failed)?,
            supervisor.thread("checkpoint", checkpoints).map_err(failed)?,
        ];
        Ok(Self { queue, due: Some(ask), waiters, log_size, threads })
    }

    /// Runs a unit of work and waits until it is on disk.
    pub(crate) async fn submit<S, T, F>(&self, scope: S, large: bool, work: F) -> Result<T>
    where
        S: Scope + Clone + Send + 'static,
        T: Send + 'static,
        F: Fn(&mut Tx<'_, S>) -> Result<Outcome<T>> + Send + 'static,
    {
        if large && self.log_size.load(Ordering::Relaxed) > CHECKPOINT_FIRST_BYTES {
            self.checkpoint().await;
        }
        let (reply, response) = oneshot::channel();
        let pid = scope.pid();
        let unit =
            Unit { scope, large, work, result: Err(Error::internal("a unit of work did not run")), reply };
        self.queue.push(pid, Command::Run(Box::new(unit)))?;
        response.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Truncates the log; false if a long read prevents it.
    pub(crate) async fn empty_log(&self) -> Result<bool> {
        // First beside the writer, so that little is left for it to do.
        self.checkpoint().await;
        let (reply, response) = oneshot::channel();
        self.queue.push(PartnerId(0), Command::EmptyLog(reply))?;
        response.await.unwrap_or_else(|_| Err(Error::internal("the writer went away with its log")))
    }

    /// Waits for a checkpoint beside the writer that begins after this.
    async fn checkpoint(&self) {
        let (done, moved) = oneshot::channel();
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner).push(done);
        // A full channel means that one is about to begin.
        let _ = self.due.as_ref().map(|due| due.try_send(()));
        let _ = moved.await;
    }

    /// Refuses what [`Writer::submit`] would refuse now.
    pub(crate) fn expect_room(&self, pid: PartnerId) -> Result<()> {
        let limit = self.queue.limit.load(Ordering::Relaxed);
        if self.queue.commands.has_room(pid, limit) { Ok(()) } else { Err(full()) }
    }
}

/// The writer panicked with this unit.
fn gone() -> Error {
    Error::Unavailable {
        what: Cow::Borrowed("the server failed during this change: it may or may not have been stored"),
        retry_after: Duration::from_secs(1),
    }
}

fn full() -> Error {
    Error::Unavailable {
        what: Cow::Borrowed("too many writes are waiting"),
        retry_after: Duration::from_secs(1),
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.commands.close();
        self.due = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

struct Loop {
    /// Taken only by `drop`.
    conn: Option<Sqlite>,
    shared: Arc<Shared>,
    queue: Arc<WriteQueue>,
    point: Arc<PointReaders>,
    offset_index: Option<Arc<OffsetIndex>>,
    /// Size of the log after the last batch.
    log_size: Arc<AtomicU64>,
    /// Size of its file.
    file_size: u64,
    due: SyncSender<()>,
    /// When to try to truncate the log again; `None` if no long read prevented it.
    emptying_at: Option<Instant>,
    is_first: bool,
    /// Dropped after the connection.
    file: Arc<DatabaseFile>,
}

impl Drop for Loop {
    fn drop(&mut self) {
        // Also when the writer has panicked too often: waiting units must get an error.
        self.queue.commands.close();
        while self.queue.try_pop().is_some() {}
        if self.file.check().is_err() {
            // Other files have these names now. Closing the last connection would remove the log of that name; while
            // this one stays open it is not the last one.
            std::mem::forget(self.conn.take());
        }
    }
}

impl Loop {
    fn run(&mut self) {
        if !std::mem::take(&mut self.is_first) {
            self.recover();
        }
        let queue = Arc::clone(&self.queue);
        let (mut next, mut limit) = (None, QueueLimit { fit: LONGEST_QUEUE, busy_since: None });
        let allow = |limit| queue.limit.store(limit, Ordering::Relaxed);
        loop {
            let waiting = next.take().or_else(|| queue.try_pop());
            let Some(first) = waiting.or_else(|| {
                limit.rest();
                allow(limit.beside(0, Instant::now()));
                queue.pop()
            }) else {
                return;
            };
            let first = match first {
                Command::Run(job) => job,
                Command::EmptyLog(reply) => {
                    let _ = reply.send(self.empty_log().map_err(Error::from));
                    continue;
                }
            };
            let mut batch = Vec::with_capacity(BATCH);
            let alone = first.is_large();
            batch.push(first);
            while !alone && batch.len() < BATCH {
                match queue.try_pop() {
                    Some(Command::Run(job)) if !job.is_large() => batch.push(job),
                    // A large unit gets its own batch, after this one.
                    Some(other) => {
                        next = Some(other);
                        break;
                    }
                    None => break,
                }
            }
            let (units, begun) = (batch.len(), Instant::now());
            allow(limit.beside(units, begun));
            self.commit(batch, || {
                let now = Instant::now();
                if alone {
                    limit.rest();
                } else {
                    limit.learn(units, begun, now);
                }
                allow(limit.beside(0, now));
            });
            self.keep_log_short();
        }
    }

    /// After a panic the state of the last batch is unknown, so nothing in memory is used.
    fn recover(&mut self) {
        if let Some(conn) = self.conn.as_ref().filter(|conn| conn.in_transaction()) {
            let _ = conn.control("ROLLBACK");
        }
        self.point.committed();
        self.shared.cache.invalidate_all();
        if let Some(index) = &self.offset_index {
            index.forget_all();
        }
        self.shared.mail.notify_one();
    }

    fn conn(&mut self) -> Result<&mut Sqlite, DbError> {
        self.conn.as_mut().ok_or_else(|| DbError::Other(String::from("the writer has ended")))
    }

    fn empty_log(&self) -> Result<bool, DbError> {
        let Some(conn) = &self.conn else { return Ok(false) };
        self.point.without_snapshots(|| conn.empty_log(EMPTYING))
    }

    /// Runs and commits a batch and sends the responses. `done` comes before them: a client may send its next request
    /// at once.
    fn commit(&mut self, mut batch: Vec<Box<dyn Job>>, done: impl FnOnce()) {
        let mut effects = Effects::default();
        let committed = self.attempt(&mut batch, &mut effects);
        #[cfg(test)]
        self.shared.supervisor.trip("writer");
        // Before any acknowledgement: what was written to a file without a name is lost.
        let here = self.file.check();
        if committed.is_ok() {
            // First: an invalidated caller must not be read again from an old snapshot.
            self.point.committed();
            self.shared.cache.invalidate(effects.invalidated.iter().chain(&effects.invalidated_here));
        }
        let outcome = committed.and_then(|()| {
            self.file_size = here?;
            Ok(())
        });
        done();
        for job in batch {
            job.reply(outcome.as_ref().map(|_| ()));
        }
        if outcome.is_ok() && effects.mail {
            self.shared.mail.notify_one();
        }
    }

    /// Runs and commits a batch, unless the file is not in its place; what is written then is lost.
    fn attempt(&mut self, batch: &mut [Box<dyn Job>], effects: &mut Effects) -> Result<(), BatchLost> {
        if self.file.is_displaced() {
            self.file.check()?;
        }
        let health = Arc::clone(&self.shared);
        let health = &health.health;
        // A batch of refusals writes nothing, so it does not show whether writes work.
        let before = health.is_failing().then(|| self.conn().map_or(0, |conn| conn.total_changes()));
        let outcome = match &mut *batch {
            [alone] if alone.is_large() => self.run_alone(alone.as_mut(), effects),
            batch => self.run_batch(batch, effects),
        };
        match &outcome {
            Err(lost) => {
                let (cause, units) = (lost.cause(), batch.len());
                // Once, not on every attempt.
                if health.failed(&lost.error()) {
                    tracing::error!(cause, units, "a batch of writes was not committed");
                } else {
                    tracing::debug!(cause, units, "a batch of writes was not committed");
                }
                if let Some(conn) = self.conn.as_ref().filter(|conn| conn.in_transaction()) {
                    let _ = conn.control("ROLLBACK");
                }
            }
            Ok(()) if before.is_some_and(|before| self.conn().is_ok_and(|c| c.total_changes() > before)) => {
                health.stored();
            }
            Ok(()) => {}
        }
        outcome
    }

    /// Why a transaction is not open any more: the error of its last unit.
    fn rolled_back(&self, job: &dyn Job) -> BatchLost {
        match job.unavailable() {
            Some(_) if self.file.is_read_only() => {
                BatchLost::from(Error::from(DbError::ReadOnly(String::new())))
            }
            Some(lost) => lost,
            None => BatchLost::from(Error::from(DbError::Full)),
        }
    }

    fn run_batch(&mut self, batch: &mut [Box<dyn Job>], effects: &mut Effects) -> Result<(), BatchLost> {
        self.control("BEGIN IMMEDIATE")?;
        let mut numbers = Numbers::default();
        for job in batch {
            self.control("SAVEPOINT unit")?;
            let (mut caused, mut taken) = (Effects::default(), numbers.clone());
            let keep = self.run_job(job.as_mut(), &mut caused, &mut taken)?;
            if keep {
                effects.absorb(caused);
                numbers = taken;
            } else {
                self.control("ROLLBACK TO unit")?;
            }
            self.control("RELEASE unit")?;
        }
        self.conclude(effects, &numbers)
    }

    /// Like [`Loop::run_batch`], for a large unit, which is the whole transaction: without a SAVEPOINT. Within one
    /// SQLite keeps the original of each page, in a list that it scans at the end of every statement: a thousand
    /// creates cost ten times as much that way (measured, at 100,000 users).
    fn run_alone(&mut self, job: &mut dyn Job, effects: &mut Effects) -> Result<(), BatchLost> {
        self.control("BEGIN IMMEDIATE")?;
        let (mut caused, mut numbers) = (Effects::default(), Numbers::default());
        if !self.run_job(job, &mut caused, &mut numbers)? {
            return self.control("ROLLBACK");
        }
        effects.absorb(caused);
        self.conclude(effects, &numbers)
    }

    fn run_job(
        &mut self,
        job: &mut dyn Job,
        effects: &mut Effects,
        numbers: &mut Numbers,
    ) -> Result<bool, BatchLost> {
        let conn =
            self.conn.as_mut().ok_or_else(|| BatchLost::Other(String::from("the writer has ended")))?;
        let keep = job.run(conn, effects, numbers, &self.shared, &self.queue.small);
        // A full disk rolls back everything, also what earlier units of the batch wrote.
        if conn.in_transaction() { Ok(keep) } else { Err(self.rolled_back(job)) }
    }

    fn control(&mut self, sql: &str) -> Result<(), BatchLost> {
        self.conn().and_then(|conn| conn.control(sql)).map_err(|e| self.lost(e))
    }

    fn conclude(&mut self, effects: &mut Effects, numbers: &Numbers) -> Result<(), BatchLost> {
        self.store(effects, numbers).map_err(|e| self.lost(e))
    }

    fn store(&mut self, effects: &mut Effects, numbers: &Numbers) -> Result<(), DbError> {
        let index = self.offset_index.clone();
        let conn = self.conn()?;
        numbers.store(conn)?;
        effects.write_counters(conn, 0)?;
        search_index::apply(conn, &mut effects.search)?;
        let commit = |conn: &mut Sqlite| conn.control("COMMIT");
        match index {
            Some(index) => index.commit(conn, &effects.orders, |conn| commit_numbers::next(conn), commit),
            None => commit(conn),
        }
    }

    /// Why a batch was not committed.
    fn lost(&self, e: DbError) -> BatchLost {
        match e {
            // SQLite only reports that writing failed.
            DbError::Disk(cause) if self.file.is_read_only() => BatchLost::of(DbError::ReadOnly(cause)),
            e => BatchLost::of(e),
        }
    }

    fn keep_log_short(&mut self) {
        let size = self.log_size.load(Ordering::Relaxed);
        if self.file_size > CHECKPOINT_HARD_BYTES && self.emptying_at.is_none_or(|at| Instant::now() >= at) {
            // A long read can prevent it: then a later batch tries again.
            let emptied = self.empty_log();
            let is_empty = *emptied.as_ref().unwrap_or(&false);
            self.emptying_at = (!is_empty).then(|| Instant::now() + EMPTYING_PAUSE);
            if let Err(e) = emptied {
                tracing::warn!(?e, "the log could not be shortened");
            }
        } else if size > CHECKPOINT_BYTES {
            // A full channel means that one is about to begin.
            let _ = self.due.try_send(());
        }
    }
}

/// Moves the log into the database beside the writer, so that no commit pays for it.
fn checkpoint(conn: &Sqlite, due: &Receiver<()>, waiters: &Waiters, point: &PointReaders, begun: &dyn Fn()) {
    while let Ok(()) = due.recv() {
        let waiting = std::mem::take(&mut *waiters.lock().unwrap_or_else(PoisonError::into_inner));
        begun();
        if let Err(e) = point.without_snapshots(|| conn.checkpoint("PASSIVE")) {
            tracing::warn!(?e, "a checkpoint failed");
        }
        for waiting in waiting {
            let _ = waiting.send(());
        }
    }
}

/// Where SQLite keeps the write-ahead log of a database.
pub(crate) fn log_path(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}
