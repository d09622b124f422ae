//! Units that only add rows share transactions on PostgreSQL, as all units do on SQLite: waiting units run one after
//! the other in one transaction, their rows are sent to the server in a few statements, and one commit serves all.
//!
//! This is optimistic: when anything of a batch is refused after it wrote, the transaction is rolled back and each unit
//! is run separately. Units that change rows never come here: a batch would hold the locks of all its units, and two
//! batches could deadlock.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::access::Scope;
use crate::engine::postgres::Postgres;
use crate::engine::postgres::pool::{self, Committed, Pool, SOON};
use crate::engine::tx::{Common, Effects, Outcome, Tx};
use crate::store::Shared;
use tenantry_core::error::{Error, Result};
use tenantry_core::fair::Fair;
use tenantry_core::model::PartnerId;

/// Maximum number of units in one transaction.
const GROUP: usize = 64;

/// Maximum number of concurrent batches.
const GROUPS: usize = 2;

/// Maximum number of waiting units. More are refused.
const WAITING: usize = 4_096;

/// A unit that waits for its batch.
trait Job: Send {
    /// Runs the work once; false if its result is not final, or its writes must not be committed.
    fn run(
        &mut self,
        conn: &mut Postgres,
        effects: &mut Effects,
        common: &mut Common,
        shared: &Shared,
    ) -> bool;
    /// Runs the work separately, in its own transaction; returns whether the database was available.
    fn run_alone(&mut self, pool: &Pool, shared: &Shared) -> bool;
    /// Fails the unit with this error.
    fn refuse(&mut self, error: Error);
    /// Sends the result.
    fn answer(self: Box<Self>);
}

struct Unit<S, T, F> {
    scope: S,
    work: F,
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
    ) -> bool {
        let written = conn.written();
        let mut tx = Tx::open(conn, effects, self.scope.clone(), shared.context()).together(common);
        match catch_unwind(AssertUnwindSafe(|| (self.work)(&mut tx))) {
            Ok(Ok(Outcome::Commit(value))) => self.result = Ok(value),
            // A refusal before any write does not affect the others.
            Ok(Err(error)) if conn.written() == written && !conn.has_failed() => self.result = Err(error),
            _ => return false,
        }
        true
    }

    fn run_alone(&mut self, pool: &Pool, shared: &Shared) -> bool {
        self.result = pool.write(shared, &self.scope, &self.work);
        !matches!(self.result, Err(Error::Unavailable { .. }))
    }

    fn refuse(&mut self, error: Error) {
        self.result = Err(error);
    }

    fn answer(self: Box<Self>) {
        // The requester may have gone away; what is committed stays committed.
        let _ = self.reply.send(self.result);
    }
}

/// Units that wait for a batch.
#[derive(Default)]
pub(crate) struct Together {
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    /// A batch is taken round-robin across partners.
    jobs: Fair<PartnerId, Box<dyn Job>>,
    groups: usize,
}

impl Together {
    /// Runs a unit together with others and waits until it is on disk.
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
        let (reply, answer) = oneshot::channel();
        let pid = scope.pid();
        let unit = Unit { scope, work, result: Err(Error::internal("a unit of work did not run")), reply };
        if self.enqueue(pid, Box::new(unit))? {
            let (this, on, shared) = (Arc::clone(self), Arc::clone(pool), Arc::clone(shared));
            // Not as part of this request, which may be canceled.
            tokio::spawn(async move {
                let (gathered, of) = (Arc::clone(&this), Arc::clone(&shared));
                // A batch belongs to no partner.
                let ran = on.run(PartnerId(0), move |pool| {
                    gathered.run_groups(pool, &of);
                    Ok(())
                });
                if ran.await.is_err() {
                    this.refuse_all();
                }
            });
        }
        answer.await.unwrap_or_else(|_| Err(Error::internal("a unit of work was dropped")))
    }

    /// Whether a new batch must be started for it.
    fn enqueue(&self, pid: PartnerId, job: Box<dyn Job>) -> Result<bool> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.jobs.push(pid, job, WAITING).map_err(|_| Error::Unavailable {
            what: Cow::Borrowed("too many writes are waiting"),
            retry_after: Duration::from_secs(1),
        })?;
        let starts = waiting.groups < GROUPS;
        waiting.groups += usize::from(starts);
        Ok(starts)
    }

    fn take(&self) -> Vec<Box<dyn Job>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let group: Vec<_> = std::iter::from_fn(|| waiting.jobs.pop()).take(GROUP).collect();
        if group.is_empty() {
            waiting.groups -= 1;
        }
        group
    }

    fn run_groups(&self, pool: &Pool, shared: &Shared) {
        loop {
            let mut group = self.take();
            if group.is_empty() {
                return;
            }
            let begun = Instant::now();
            let committed = match group.len() {
                1 => Committed::Refused(Error::internal("a unit by itself")),
                _ => pool.with(|conn| run_group(conn, &mut group, shared)).unwrap_or_else(Committed::Refused),
            };
            // One has waited for a database that does not respond: the others need not do so, one after the other.
            let gave_up = |is_there: bool, begun: Instant| !is_there && begun.elapsed() > SOON;
            let is_there = !matches!(committed, Committed::Refused(Error::Unavailable { .. }));
            let mut is_gone = gave_up(is_there, begun);
            if matches!(committed, Committed::Kept) {
                shared.health.stored();
            }
            for mut job in group {
                match committed {
                    Committed::Kept => {}
                    Committed::Unknown => job.refuse(pool::unknown()),
                    Committed::Refused(_) if is_gone => job.refuse(pool::out_of_reach()),
                    Committed::Refused(_) => {
                        let begun = Instant::now();
                        is_gone = gave_up(job.run_alone(pool, shared), begun);
                    }
                }
                job.answer();
            }
        }
    }

    /// There was no connection for the waiting units.
    fn refuse_all(&self) {
        loop {
            let group = self.take();
            if group.is_empty() {
                return;
            }
            for mut job in group {
                job.refuse(pool::busy());
                job.answer();
            }
        }
    }
}

/// Runs a batch in one transaction.
fn run_group(conn: &mut Postgres, group: &mut [Box<dyn Job>], shared: &Shared) -> Committed {
    conn.begin(pool::BEGIN);
    let (mut effects, mut common) = (Effects::default(), Common::of(group.len()));
    let is_good = group.iter_mut().all(|job| {
        let mut caused = Effects::default();
        let is_good = job.run(conn, &mut caused, &mut common, shared);
        effects.absorb(caused);
        is_good
    });
    if !is_good {
        conn.roll_back();
        return Committed::Refused(if conn.is_lost() {
            pool::out_of_reach()
        } else {
            Error::internal("a unit of a group was refused")
        });
    }
    pool::commit(conn, shared, &effects)
}
