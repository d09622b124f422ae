//! The single writer of an SQLite database, with group commit.
//!
//! Units of work queue up. The thread takes a batch, runs each unit in a SAVEPOINT of one transaction, updates the
//! search index and the totals once, commits (one fsync), invalidates the cache, and only then responds to all units,
//! including refused ones: a `409` because of a row that did not commit would be wrong.

mod job;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::access::Scope;
use crate::engine::driver::DbError;
use crate::engine::offset_index::OffsetIndex;
use crate::engine::sequences::Numbers;
use crate::engine::sqlite::database_file::DatabaseFile;
use crate::engine::sqlite::queue::{Queue, Refused};
use crate::engine::sqlite::{PointReaders, Sqlite, Use, commit_numbers, search_index};
use crate::engine::tx::{Effects, Outcome, Tx};
use crate::store::Shared;
use job::{GroupLost, Job, Unit};
use tenantry_core::error::{Error, Result};
use tenantry_core::model::PartnerId;

/// The target waiting time of a burst: as many units as the writer has recently done in this time may wait. More are
/// refused with [`Error::Unavailable`], so that under any load accepted units are done soon.
const QUEUE_TIME: Duration = Duration::from_millis(50);

/// Minimum limit for a burst: a batch, and one more beside it.
const SHORTEST_QUEUE: usize = 2 * GROUP;

/// Maximum limit.
const LONGEST_QUEUE: usize = 4_096;

/// A writer that was busy for this long has more than a burst to do. A long queue would then never become shorter: it
/// would only add latency.
const BURST: Duration = Duration::from_millis(100);

/// The target waiting time then, including the units in progress. The minimum keeps the writer busy, and 64 clients
/// that wait for their responses are never refused.
const STANDING: usize = 5;
const SHORTEST_STANDING: usize = 96;
/// Minimum limit then, beside the units in progress.
const ALWAYS: usize = 32;

/// Maximum number of units in one transaction. More would only delay the first ones.
const GROUP: usize = 128;

/// From this size on the checkpointer moves the log into the database.
const CHECKPOINT_BYTES: u64 = 4 * 1024 * 1024;

/// At this size the writer itself waits for a checkpoint, so the log never grows without bound.
const CHECKPOINT_HARD_BYTES: u64 = 64 * 1024 * 1024;

/// How long all writes may wait for reads that prevent the truncation of the log.
const EMPTYING: Duration = Duration::from_millis(50);

/// How long the writer leaves the log alone after it could not be truncated. A backup reads for minutes: if each batch
/// waited for it, every write would be slow.
const EMPTYING_PAUSE: Duration = Duration::from_secs(1);

/// A command to the writer.
enum Order {
    /// Run a unit of work.
    Run(Box<dyn Job>),
    /// Truncate the log; returns whether that was possible.
    EmptyLog(oneshot::Sender<Result<bool>>),
}

impl Order {
    fn is_large(&self) -> bool {
        matches!(self, Self::Run(job) if job.is_large())
    }
}

/// Requests a checkpoint, and notifies the waiters when it is done.
type Due = Option<oneshot::Sender<()>>;

/// The queue of the writer, by partner.
struct Orders {
    queue: Queue<Order>,
    /// The number of small units in it.
    small: AtomicUsize,
    /// The current limit.
    limit: AtomicUsize,
}

impl Orders {
    fn push(&self, pid: PartnerId, order: Order) -> Result<()> {
        let small = usize::from(!order.is_large());
        // Before it can be taken.
        self.small.fetch_add(small, Ordering::Relaxed);
        self.queue.push(pid, order, self.limit.load(Ordering::Relaxed)).map_err(|refused| {
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

    fn try_pop(&self) -> Option<Order> {
        self.note(self.queue.try_pop())
    }

    fn pop(&self) -> Option<Order> {
        self.note(self.queue.pop())
    }

    fn note(&self, taken: Option<Order>) -> Option<Order> {
        if taken.as_ref().is_some_and(|order| !order.is_large()) {
            self.small.fetch_sub(1, Ordering::Relaxed);
        }
        taken
    }
}

/// The limit of the queue, derived from the duration of the last units.
struct QueueLimit {
    /// Units in [`QUEUE_TIME`]: an average that a single slow or small batch does not change much.
    fit: usize,
    /// Since when there was always a next unit at the end of a batch.
    busy_since: Option<Instant>,
}

impl QueueLimit {
    fn is_overloaded(&self, now: Instant) -> bool {
        self.busy_since.is_some_and(|since| now.duration_since(since) >= BURST)
    }

    /// The limit while this many units are in progress.
    fn beside(&self, units: usize, now: Instant) -> usize {
        if self.is_overloaded(now) {
            (self.fit / STANDING).max(SHORTEST_STANDING).saturating_sub(units).max(ALWAYS)
        } else {
            self.fit.max(SHORTEST_QUEUE)
        }
    }

    /// Records a batch.
    fn learn(&mut self, units: usize, begun: Instant, now: Instant) {
        let took = now.duration_since(begun);
        let fit = QUEUE_TIME.as_nanos().saturating_mul(units as u128) / took.as_nanos().max(1);
        let fit = usize::try_from(fit).unwrap_or(LONGEST_QUEUE).clamp(1, LONGEST_QUEUE);
        self.fit = (self.fit * 7 + fit) / 8;
        self.busy_since.get_or_insert(begun);
    }

    /// The queue is empty, or a large unit was done, whose duration says nothing about others.
    fn rest(&mut self) {
        self.busy_since = None;
    }
}

/// A handle to the writer thread. Dropping it ends the thread once its queue is empty.
pub(crate) struct Writer {
    orders: Arc<Orders>,
    due: Option<SyncSender<Due>>,
    threads: Vec<JoinHandle<()>>,
}

impl Writer {
    /// Starts the writer and its checkpointer on `conn`, the only connection that writes.
    pub(crate) fn start(
        conn: Sqlite,
        file: &Arc<DatabaseFile>,
        shared: Arc<Shared>,
        point: Arc<PointReaders>,
        offset_index: Option<Arc<OffsetIndex>>,
    ) -> Result<Self> {
        let orders = Arc::new(Orders {
            queue: Queue::default(),
            small: AtomicUsize::new(0),
            limit: AtomicUsize::new(LONGEST_QUEUE),
        });
        let (due, checkpoints) = mpsc::sync_channel(1);
        let checkpointer = Sqlite::open(file.path(), Use::Checkpoint)?;
        // From now on the log is known.
        let log_size = file.check()?;
        let supervisor = shared.supervisor.clone();
        let failed = |e: std::io::Error| Error::internal(format!("cannot start a thread: {e}"));
        let (ask, beside, file) = (due.clone(), Arc::clone(&point), Arc::clone(file));
        let mut work = Loop {
            conn: Some(conn),
            shared,
            orders: Arc::clone(&orders),
            point,
            offset_index,
            log_size,
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
            checkpoint(&checkpointer, &checkpoints, beside.0, beside.1);
        };
        let threads = vec![
            supervisor.thread("writer", move || work.run()).map_err(failed)?,
            supervisor.thread("checkpoint", checkpoints).map_err(failed)?,
        ];
        Ok(Self { orders, due: Some(ask), threads })
    }

    /// Runs a unit of work and waits until it is on disk.
    pub(crate) async fn submit<S, T, F>(&self, scope: S, large: bool, work: F) -> Result<T>
    where
        S: Scope + Clone + Send + 'static,
        T: Send + 'static,
        F: Fn(&mut Tx<'_, S>) -> Result<Outcome<T>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let pid = scope.pid();
        let unit =
            Unit { scope, large, work, result: Err(Error::internal("a unit of work did not run")), reply };
        self.orders.push(pid, Order::Run(Box::new(unit)))?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Truncates the log; false if a long read prevents it.
    pub(crate) async fn empty_log(&self) -> Result<bool> {
        // First beside the writer, so that little is left for it to do. If a checkpoint is already waiting, that one
        // does it.
        let (done, moved) = oneshot::channel();
        if self.due.as_ref().is_some_and(|due| due.try_send(Some(done)).is_ok()) {
            let _ = moved.await;
        }
        let (reply, answer) = oneshot::channel();
        self.orders.push(PartnerId(0), Order::EmptyLog(reply))?;
        answer.await.unwrap_or_else(|_| Err(Error::internal("the writer went away with its log")))
    }

    /// Refuses what [`Writer::submit`] would refuse now.
    pub(crate) fn expect_room(&self, pid: PartnerId) -> Result<()> {
        let limit = self.orders.limit.load(Ordering::Relaxed);
        if self.orders.queue.has_room(pid, limit) { Ok(()) } else { Err(full()) }
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
        self.orders.queue.close();
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
    orders: Arc<Orders>,
    point: Arc<PointReaders>,
    offset_index: Option<Arc<OffsetIndex>>,
    /// Size of the log after the last batch.
    log_size: u64,
    due: SyncSender<Due>,
    /// When to try to truncate the log again; `None` if no long read prevented it.
    emptying_at: Option<Instant>,
    is_first: bool,
    /// Dropped after the connection.
    file: Arc<DatabaseFile>,
}

impl Drop for Loop {
    fn drop(&mut self) {
        // Also when the writer has panicked too often: waiting units must get an error.
        self.orders.queue.close();
        while self.orders.try_pop().is_some() {}
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
        let orders = Arc::clone(&self.orders);
        let (mut next, mut limit) = (None, QueueLimit { fit: LONGEST_QUEUE, busy_since: None });
        let allow = |limit| orders.limit.store(limit, Ordering::Relaxed);
        loop {
            let waiting = next.take().or_else(|| orders.try_pop());
            let Some(first) = waiting.or_else(|| {
                limit.rest();
                allow(limit.beside(0, Instant::now()));
                orders.pop()
            }) else {
                return;
            };
            let first = match first {
                Order::Run(job) => job,
                Order::EmptyLog(reply) => {
                    let _ = reply.send(self.empty_log().map_err(Error::from));
                    continue;
                }
            };
            let mut group = Vec::with_capacity(GROUP);
            let alone = first.is_large();
            group.push(first);
            while !alone && group.len() < GROUP {
                match orders.try_pop() {
                    Some(Order::Run(job)) if !job.is_large() => group.push(job),
                    // A large unit gets its own batch, after this one.
                    Some(other) => {
                        next = Some(other);
                        break;
                    }
                    None => break,
                }
            }
            let (units, begun) = (group.len(), Instant::now());
            allow(limit.beside(units, begun));
            self.commit(group, || {
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
        self.shared.cache.forget_all();
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
    fn commit(&mut self, mut group: Vec<Box<dyn Job>>, done: impl FnOnce()) {
        let mut effects = Effects::default();
        let committed = self.attempt(&mut group, &mut effects);
        #[cfg(test)]
        self.shared.supervisor.trip("writer");
        // Before any acknowledgement: what was written to a file without a name is lost.
        let here = self.file.check();
        if committed.is_ok() {
            // First: an invalidated caller must not be read again from an old snapshot.
            self.point.committed();
            self.shared.cache.forget(effects.stale.iter().chain(&effects.stale_here));
        }
        let outcome = committed.and_then(|()| {
            self.log_size = here?;
            Ok(())
        });
        done();
        for job in group {
            job.answer(outcome.as_ref().map(|_| ()));
        }
        if outcome.is_ok() && effects.mail {
            self.shared.mail.notify_one();
        }
    }

    /// Runs and commits a batch, unless the file is not in its place; what is written then is lost.
    fn attempt(&mut self, group: &mut [Box<dyn Job>], effects: &mut Effects) -> Result<(), GroupLost> {
        if self.file.is_displaced() {
            self.file.check()?;
        }
        let health = Arc::clone(&self.shared);
        let health = &health.health;
        // A batch of refusals writes nothing, so it does not show whether writes work.
        let before = health.is_failing().then(|| self.conn().map_or(0, |conn| conn.total_changes()));
        let outcome = match &mut *group {
            [alone] if alone.is_large() => self.run_alone(alone.as_mut(), effects),
            group => self.run_group(group, effects),
        };
        match &outcome {
            Err(lost) => {
                let (cause, units) = (lost.cause(), group.len());
                // Once, not on every attempt.
                if health.failed(&lost.error()) {
                    tracing::error!(cause, units, "a group of writes was not committed");
                } else {
                    tracing::debug!(cause, units, "a group of writes was not committed");
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
    fn rolled_back(&self, job: &dyn Job) -> GroupLost {
        match job.unavailable() {
            Some(_) if self.file.is_read_only() => {
                GroupLost::from(Error::from(DbError::ReadOnly(String::new())))
            }
            Some(lost) => lost,
            None => GroupLost::from(Error::from(DbError::Full)),
        }
    }

    fn run_group(&mut self, group: &mut [Box<dyn Job>], effects: &mut Effects) -> Result<(), GroupLost> {
        self.control("BEGIN IMMEDIATE")?;
        let mut numbers = Numbers::default();
        for job in group {
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

    /// Like [`Loop::run_group`], for a large unit, which is the whole transaction: without a SAVEPOINT. Within one
    /// SQLite keeps the original of each page, in a list that it scans at the end of every statement: a thousand
    /// creates cost ten times as much that way (measured, at 100,000 users).
    fn run_alone(&mut self, job: &mut dyn Job, effects: &mut Effects) -> Result<(), GroupLost> {
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
    ) -> Result<bool, GroupLost> {
        let conn =
            self.conn.as_mut().ok_or_else(|| GroupLost::Other(String::from("the writer has ended")))?;
        let keep = job.run(conn, effects, numbers, &self.shared, &self.orders.small);
        // A full disk rolls back everything, also what earlier units of the batch wrote.
        if conn.in_transaction() { Ok(keep) } else { Err(self.rolled_back(job)) }
    }

    fn control(&mut self, sql: &str) -> Result<(), GroupLost> {
        self.conn().and_then(|conn| conn.control(sql)).map_err(|e| self.lost(e))
    }

    fn conclude(&mut self, effects: &mut Effects, numbers: &Numbers) -> Result<(), GroupLost> {
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
    fn lost(&self, e: DbError) -> GroupLost {
        match e {
            // SQLite only reports that writing failed.
            DbError::Disk(cause) if self.file.is_read_only() => GroupLost::of(DbError::ReadOnly(cause)),
            e => GroupLost::of(e),
        }
    }

    fn keep_log_short(&mut self) {
        let size = self.log_size;
        if size > CHECKPOINT_HARD_BYTES && self.emptying_at.is_none_or(|at| Instant::now() >= at) {
            // A long read can prevent it: then a later batch tries again.
            let emptied = self.empty_log();
            let is_empty = *emptied.as_ref().unwrap_or(&false);
            self.emptying_at = (!is_empty).then(|| Instant::now() + EMPTYING_PAUSE);
            if let Err(e) = emptied {
                tracing::warn!(?e, "the log could not be shortened");
            }
        } else if size > CHECKPOINT_BYTES {
            // A full channel means that a checkpoint is already in progress.
            let _ = self.due.try_send(None);
        }
    }
}

/// Moves the log into the database beside the writer, so that no commit pays for it.
fn checkpoint(conn: &Sqlite, due: &Receiver<Due>, point: &PointReaders, begun: &dyn Fn()) {
    while let Ok(waiting) = due.recv() {
        begun();
        if let Err(e) = point.without_snapshots(|| conn.checkpoint("PASSIVE")) {
            tracing::warn!(?e, "a checkpoint failed");
        }
        if let Some(waiting) = waiting {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_may_queue_longer_than_constant_overload() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut limit = QueueLimit { fit: SHORTEST_QUEUE, busy_since: None };
        // 5 units a millisecond, 250 in [`QUEUE_TIME`].
        for n in 0..5 {
            assert_eq!(limit.beside(100, at(n * 20)), SHORTEST_QUEUE, "{n}");
            limit.learn(100, at(n * 20), at(n * 20 + 20));
        }
        let now = at(100);
        let limits = [0, 40, 100].map(|units| limit.beside(units, now));
        assert_eq!(limits, [SHORTEST_STANDING, SHORTEST_STANDING - 40, ALWAYS]);
        // After a rest it is a burst again.
        limit.rest();
        assert_eq!(limit.beside(100, now), SHORTEST_QUEUE);
    }

    #[test]
    fn a_fast_writer_lets_more_wait_within_bounds() {
        let start = Instant::now();
        let mut limit = QueueLimit { fit: LONGEST_QUEUE, busy_since: None };
        // 64 a millisecond: 3,200 in [`QUEUE_TIME`].
        for _ in 0..100 {
            limit.learn(64, start, start + Duration::from_millis(1));
        }
        assert!((600..=680).contains(&limit.beside(0, start + BURST)));
        assert!((3_100..=LONGEST_QUEUE).contains(&limit.beside(0, start)));
    }
}
