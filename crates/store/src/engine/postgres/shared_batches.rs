//! Units that only add rows share transactions on PostgreSQL, as all units do on SQLite: waiting units run one after
//! the other in one transaction, their rows are sent to the server in a few statements, and one commit serves all.
//!
//! Nobody declares that a unit only adds rows: it is observed. The first unit of a kind (the closures of one place in the
//! code have one type) runs separately, and those after it share if it only added rows. In a batch a statement that does
//! more is refused before it is sent: a batch would hold the locks of all its units, and two batches could deadlock.
//! Its unit then runs separately, after the batch, and so does the next one of its kind.
//!
//! This is optimistic: when anything of a batch is refused after it wrote, the transaction is rolled back and each unit
//! is run separately.

use std::any::TypeId;
use std::borrow::Cow;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::access::Scope;
use crate::engine::postgres::Postgres;
use crate::engine::postgres::pool::{self, Committed, Pool, SOON};
use crate::engine::shared::Shared;
use crate::engine::tx::{Common, Effects, Outcome, Tx};
use tenantry_core::error::{Error, Result};
use tenantry_core::fair::Fair;
use tenantry_core::model::PartnerId;

/// Maximum number of units in one transaction.
const BATCH: usize = 64;

/// Maximum number of concurrent batches.
const BATCHES: usize = 2;

/// Maximum number of waiting units. More are refused.
const WAITING: usize = 4_096;

/// A unit that waits for its batch.
trait Job: Send {
    /// Runs the work once.
    fn run(
        &mut self,
        conn: &mut Postgres,
        effects: &mut Effects,
        common: &mut Common,
        shared: &Shared,
    ) -> Ran;
    /// Runs the work separately, in its own transaction; returns whether the database was available.
    fn run_alone(&mut self, pool: &Pool, shared: &Shared, kinds: &AddingKinds) -> bool;
    /// Whether it is run separately, whatever happens to the batch.
    fn is_apart(&self) -> bool;
    /// Fails the unit with this error.
    fn refuse(&mut self, error: Error);
    /// Sends the result.
    fn reply(self: Box<Self>);
}

/// What became of a unit in a batch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ran {
    /// Its result is final if the batch is committed.
    Done,
    /// It does more than add rows, and has sent nothing: the batch continues without it.
    Apart,
    /// The batch must not be committed.
    Spoiled,
}

/// The kinds of units that were observed to only add rows, by the type of their closure.
#[derive(Debug, Default)]
struct AddingKinds(RwLock<HashSet<TypeId>>);

impl AddingKinds {
    fn contains(&self, kind: TypeId) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(&kind)
    }

    fn learn(&self, kind: TypeId, only_adds: bool) {
        if self.contains(kind) == only_adds {
            return;
        }
        let mut kinds = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if only_adds {
            kinds.insert(kind);
        } else {
            kinds.remove(&kind);
        }
    }
}

struct Unit<S, T, F> {
    scope: S,
    work: F,
    is_apart: bool,
    result: Result<T>,
    reply: oneshot::Sender<Result<T>>,
}

impl<S, T, F> Job for Unit<S, T, F>
where
    S: Scope + Clone + Send + 'static,
    T: Send + 'static,
    F: Fn(&mut Tx<'_, S>) -> Result<Outcome<T>> + Send + 'static,
{
    fn run(
        &mut self,
        conn: &mut Postgres,
        effects: &mut Effects,
        common: &mut Common,
        shared: &Shared,
    ) -> Ran {
        let (written, changed) = (conn.written(), conn.changed());
        let mut tx = Tx::open(conn, effects, self.scope.clone(), shared.context()).in_batch(common);
        let done = catch_unwind(AssertUnwindSafe(|| (self.work)(&mut tx)));
        let has_sent = conn.written() != written || conn.has_failed();
        if conn.changed() != changed {
            self.is_apart = true;
            return if has_sent { Ran::Spoiled } else { Ran::Apart };
        }
        match done {
            Ok(Ok(Outcome::Commit(value))) => self.result = Ok(value),
            // A refusal before any write does not affect the others.
            Ok(Err(error)) if !has_sent => self.result = Err(error),
            _ => return Ran::Spoiled,
        }
        Ran::Done
    }

    fn run_alone(&mut self, pool: &Pool, shared: &Shared, kinds: &AddingKinds) -> bool {
        self.result = pool.write_observed(shared, &self.scope, &self.work).map(|(value, only_added)| {
            kinds.learn(TypeId::of::<F>(), only_added);
            value
        });
        !matches!(self.result, Err(Error::Unavailable { .. }))
    }

    fn is_apart(&self) -> bool {
        self.is_apart
    }

    fn refuse(&mut self, error: Error) {
        self.result = Err(error);
    }

    fn reply(self: Box<Self>) {
        // The requester may have gone away; what is committed stays committed.
        let _ = self.reply.send(self.result);
    }
}

/// Units that wait for a batch.
#[derive(Default)]
pub(crate) struct SharedBatches {
    waiting: Mutex<Waiting>,
    kinds: AddingKinds,
}

#[derive(Default)]
struct Waiting {
    /// A batch is taken round-robin across partners.
    jobs: Fair<PartnerId, Box<dyn Job>>,
    batches: usize,
}

impl SharedBatches {
    /// Runs a unit, together with others if units of its kind only add rows, and waits until it is on disk.
    pub(crate) async fn submit<S, T, F>(
        self: &Arc<Self>,
        pool: &Arc<Pool>,
        shared: &Arc<Shared>,
        scope: S,
        work: F,
    ) -> Result<T>
    where
        S: Scope + Clone + Send + 'static,
        T: Send + 'static,
        F: Fn(&mut Tx<'_, S>) -> Result<Outcome<T>> + Send + 'static,
    {
        let pid = scope.pid();
        if !self.kinds.contains(TypeId::of::<F>()) {
            let (this, shared) = (Arc::clone(self), Arc::clone(shared));
            let observe = move |pool: &Pool| {
                let (value, only_added) = pool.write_observed(&shared, &scope, &work)?;
                this.kinds.learn(TypeId::of::<F>(), only_added);
                Ok(value)
            };
            return pool.run(pid, observe).await;
        }
        let (reply, response) = oneshot::channel();
        let unit = Unit {
            scope,
            work,
            is_apart: false,
            result: Err(Error::internal("a unit of work did not run")),
            reply,
        };
        if self.enqueue(pid, Box::new(unit))? {
            let (this, on, shared) = (Arc::clone(self), Arc::clone(pool), Arc::clone(shared));
            // Not as part of this request, which may be canceled.
            tokio::spawn(async move {
                let (gathered, of) = (Arc::clone(&this), Arc::clone(&shared));
                // A batch belongs to no partner.
                let ran = on.run(PartnerId(0), move |pool| {
                    gathered.run_batches(pool, &of);
                    Ok(())
                });
                if ran.await.is_err() {
                    this.refuse_all();
                }
            });
        }
        response.await.unwrap_or_else(|_| Err(Error::internal("a unit of work was dropped")))
    }

    /// Whether a new batch must be started for it.
    fn enqueue(&self, pid: PartnerId, job: Box<dyn Job>) -> Result<bool> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.jobs.push(pid, job, WAITING).map_err(|_| Error::Unavailable {
            what: Cow::Borrowed("too many writes are waiting"),
            retry_after: Duration::from_secs(1),
        })?;
        let starts = waiting.batches < BATCHES;
        waiting.batches += usize::from(starts);
        Ok(starts)
    }

    fn take(&self) -> Vec<Box<dyn Job>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let batch: Vec<_> = std::iter::from_fn(|| waiting.jobs.pop()).take(BATCH).collect();
        if batch.is_empty() {
            waiting.batches -= 1;
        }
        batch
    }

    fn run_batches(&self, pool: &Pool, shared: &Shared) {
        loop {
            let mut batch = self.take();
            if batch.is_empty() {
                return;
            }
            let begun = Instant::now();
            let committed = match batch.len() {
                1 => Committed::Refused(Error::internal("a unit by itself")),
                _ => pool.with(|conn| run_batch(conn, &mut batch, shared)).unwrap_or_else(Committed::Refused),
            };
            // One has waited for a database that does not respond: the others need not do so, one after the other.
            let gave_up = |is_there: bool, begun: Instant| !is_there && begun.elapsed() > SOON;
            let is_there = !matches!(committed, Committed::Refused(Error::Unavailable { .. }));
            let mut is_gone = gave_up(is_there, begun);
            if matches!(committed, Committed::Durable) {
                shared.health.stored();
            }
            for mut job in batch {
                match committed {
                    Committed::Durable if !job.is_apart() => {}
                    Committed::Unknown if !job.is_apart() => job.refuse(pool::unknown()),
                    _ if is_gone => job.refuse(pool::out_of_reach()),
                    _ => {
                        let begun = Instant::now();
                        is_gone = gave_up(job.run_alone(pool, shared, &self.kinds), begun);
                    }
                }
                job.reply();
            }
        }
    }

    /// There was no connection for the waiting units.
    fn refuse_all(&self) {
        loop {
            let batch = self.take();
            if batch.is_empty() {
                return;
            }
            for mut job in batch {
                job.refuse(pool::busy());
                job.reply();
            }
        }
    }
}

/// Runs a batch in one transaction.
fn run_batch(conn: &mut Postgres, batch: &mut [Box<dyn Job>], shared: &Shared) -> Committed {
    conn.begin(pool::BEGIN);
    let (mut effects, mut common) = (Effects::default(), Common::of(batch.len()));
    conn.set_adds_only(true);
    let is_good = batch.iter_mut().all(|job| {
        let mut caused = Effects::default();
        let ran = job.run(conn, &mut caused, &mut common, shared);
        if ran == Ran::Done {
            effects.absorb(caused);
        }
        ran != Ran::Spoiled
    });
    conn.set_adds_only(false);
    if !is_good {
        conn.roll_back();
        return Committed::Refused(if conn.is_lost() {
            pool::out_of_reach()
        } else {
            Error::internal("a unit of a batch was refused")
        });
    }
    pool::commit(conn, shared, &effects)
}
