//! Units of work and reads on PostgreSQL: a bounded number of connections, each used by one blocking thread at a time.
//! A unit whose transaction conflicts with another is retried here, invisibly to its caller.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::access::Scope;
use crate::engine::driver::DbError;
use crate::engine::postgres::listen;
use crate::engine::postgres::{Address, Failure, Postgres, Role};
use crate::engine::shared::Shared;
use crate::engine::slots::Slots;
use crate::engine::tx::{Effects, Outcome, Tx};
use tenantry_core::error::{Error, Result};
use tenantry_core::model::PartnerId;

/// Maximum number of attempts of a unit that conflicts with others.
const ATTEMPTS: u32 = 40;

/// How long that may take in total, except for the [first few](MIN_ATTEMPTS) attempts: one may have waited long for a lock,
/// only to find that its holder changed the row.
const RETRYING: Duration = Duration::from_secs(5);
const MIN_ATTEMPTS: u32 = 3;

/// Maximum number of attempts of a unit whose rows reference something that is missing: if that was removed meanwhile,
/// the rules see it on the second attempt.
const DANGLING: u32 = 3;

/// A connection that is found dead within this time was dead before the unit began.
pub(crate) const SOON: Duration = Duration::from_secs(1);

/// Maximum number of requests that wait for a connection. More are refused at once.
const WAITING: usize = 4_096;

/// A connection is replaced after this time: the server caches schema objects per connection.
const LIFE: Duration = Duration::from_secs(1_800);

/// The transaction of a unit: it sees one snapshot, and fails if another one changed what it changes.
pub(crate) const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ";

/// The transaction of a scan. It is planned for its values: the same text serves a term without hits and one that
/// matches everything.
const BEGIN_SCAN: &str =
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL plan_cache_mode = force_custom_plan";

/// Connections of one role.
pub(crate) struct Pool {
    address: Arc<Address>,
    role: Role,
    idle: Mutex<Vec<Postgres>>,
    /// They are assigned round-robin across partners.
    slots: Slots,
    /// How long a request waits for a connection.
    timeout: Duration,
}

impl Pool {
    pub(crate) fn new(address: Arc<Address>, role: Role, size: usize, timeout: Duration) -> Self {
        Self {
            address,
            role,
            idle: Mutex::new(Vec::new()),
            slots: Slots::new(size.max(1), WAITING, BUSY),
            timeout,
        }
    }

    /// Runs `work` on a blocking thread once there is a connection free for this partner.
    pub(crate) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        pid: PartnerId,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let slot = tokio::time::timeout(self.timeout, self.slots.take(pid)).await.map_err(|_| busy())??;
        let pool = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            // Held to the end, also when the requester is gone.
            let _slot = slot;
            work(&pool)
        })
        .await
        .unwrap_or_else(|_| Err(Error::internal("a task on the database panicked")))
    }

    fn take(&self) -> Result<Postgres, DbError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(conn) => Ok(conn),
            None => Ok(Postgres::connect(&self.address, self.role)?),
        }
    }

    fn give_back(&self, conn: Postgres) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if !conn.is_usable() {
            // The others are most likely lost as well.
            let lost = std::mem::take(&mut *idle);
            drop(idle);
            drop(lost);
        } else if conn.age() < LIFE {
            idle.push(conn);
        }
    }

    /// Runs a unit of work until it is committed, refused, or had too many conflicts.
    pub(crate) fn write<S: Scope + Clone, T>(
        &self,
        shared: &Shared,
        scope: &S,
        work: &dyn Fn(&mut Tx<'_, S>) -> Result<Outcome<T>>,
    ) -> Result<T> {
        self.write_observed(shared, scope, work).map(|(value, _)| value)
    }

    /// As [`Pool::write`]; also returns whether it added rows and did nothing else.
    pub(crate) fn write_observed<S: Scope + Clone, T>(
        &self,
        shared: &Shared,
        scope: &S,
        work: &dyn Fn(&mut Tx<'_, S>) -> Result<Outcome<T>>,
    ) -> Result<(T, bool)> {
        let start = Instant::now();
        let mut dangled = 0;
        for attempt in 1..=ATTEMPTS {
            let mut conn = self.take().map_err(logged)?;
            let written = conn.written();
            let attempted = attempt_unit(&mut conn, shared, scope, work);
            let has_written = conn.written() > written;
            let failure = conn.take_failure();
            if matches!(failure, Some(Failure::Lost | Failure::ReadOnly)) {
                drop(conn);
                self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
            } else {
                self.give_back(conn);
            }
            let again = match (&attempted, failure) {
                (Attempted::Refused(_), Some(Failure::Overtaken)) => true,
                (Attempted::Refused(_), Some(Failure::Dangling)) => {
                    dangled += 1;
                    dangled < DANGLING
                }
                // Nothing was committed: the first connection of a pool after a failover is a dead one. Not after a
                // timeout: the requester has waited long enough. So is one to a server that has become a standby.
                (Attempted::Refused(_), Some(Failure::Lost | Failure::ReadOnly)) => {
                    attempt == 1 && start.elapsed() < SOON
                }
                _ => false,
            };
            match attempted {
                Attempted::Done(value) => {
                    if has_written {
                        shared.health.stored();
                    }
                    return Ok(value);
                }
                Attempted::Unknown(error) => return Err(error),
                Attempted::Refused(error)
                    if !again || (attempt >= MIN_ATTEMPTS && start.elapsed() > RETRYING) =>
                {
                    if matches!(failure, Some(Failure::ReadOnly | Failure::Full))
                        && shared.health.failed(&error)
                    {
                        tracing::error!(%error, "a change was not committed");
                    }
                    return Err(error);
                }
                Attempted::Refused(_) => {}
            }
            if failure == Some(Failure::Overtaken) {
                // Units that conflicted must not retry in lockstep.
                let wait = u64::try_from(shared.random.below(1 << attempt.min(6))).unwrap_or(0) + 1;
                std::thread::sleep(Duration::from_millis(wait));
            }
        }
        Err(DbError::Overtaken.into())
    }

    /// Runs `work` on a connection.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Postgres) -> T) -> Result<T> {
        let mut conn = self.take().map_err(logged)?;
        let done = work(&mut conn);
        self.give_back(conn);
        Ok(done)
    }

    /// Runs a read. `snapshot` opens a transaction for it; without, it is one statement.
    pub(crate) fn read<S: Scope + Clone, T>(
        &self,
        shared: &Shared,
        scope: &S,
        snapshot: bool,
        work: impl FnOnce(&mut Tx<'_, S>) -> Result<T>,
    ) -> Result<T> {
        let mut conn = self.take_live()?;
        if snapshot {
            conn.begin(BEGIN_SCAN);
        }
        let mut effects = Effects::default();
        let result = work(&mut Tx::open(&mut conn, &mut effects, scope.clone(), shared.context()));
        if snapshot {
            conn.roll_back();
        }
        self.give_back(conn);
        result
    }

    /// A connection that was not closed while idle: a read is not retried, since it need not be repeatable.
    fn take_live(&self) -> Result<Postgres> {
        loop {
            let mut conn = self.take().map_err(logged)?;
            if conn.notices_close() {
                self.give_back(conn);
            } else {
                return Ok(conn);
            }
        }
    }
}

/// The outcome of one attempt of a unit of work.
enum Attempted<T> {
    Done(T),
    /// Nothing of it was stored.
    Refused(Error),
    /// It is unknown whether it was stored.
    Unknown(Error),
}

/// Runs it once; also returns whether it added rows and did nothing else.
fn attempt_unit<S: Scope + Clone, T>(
    conn: &mut Postgres,
    shared: &Shared,
    scope: &S,
    work: &dyn Fn(&mut Tx<'_, S>) -> Result<Outcome<T>>,
) -> Attempted<(T, bool)> {
    conn.begin(BEGIN);
    let mut effects = Effects::default();
    let (written, changed) = (conn.written(), conn.changed());
    let mut tx = Tx::open(conn, &mut effects, scope.clone(), shared.context());
    let done = catch_unwind(AssertUnwindSafe(|| work(&mut tx)));
    // Before the effects, which update totals.
    let only_added = conn.written() > written && conn.changed() == changed;
    let (value, keep) = match done {
        Ok(Ok(Outcome::Commit(value))) => ((value, only_added), true),
        Ok(Ok(Outcome::Rollback(value))) => ((value, false), false),
        Ok(Err(error)) => {
            conn.roll_back();
            return Attempted::Refused(error);
        }
        Err(_) => {
            conn.roll_back();
            return Attempted::Refused(Error::internal("a unit of work panicked"));
        }
    };
    if !keep {
        // Deferred errors must be known first.
        let done = conn.catch_up();
        conn.roll_back();
        return done.map_or_else(|e| Attempted::Refused(e.into()), |()| Attempted::Done(value));
    }
    match commit(conn, shared, &effects) {
        Committed::Durable => Attempted::Done(value),
        Committed::Refused(error) => Attempted::Refused(error),
        Committed::Unknown => Attempted::Unknown(unknown()),
    }
}

/// The outcome of a commit.
pub(crate) enum Committed {
    /// It is on disk.
    Durable,
    /// Nothing of it was stored.
    Refused(Error),
    /// The connection was lost before the response.
    Unknown,
}

/// The database cannot be reached.
pub(crate) fn out_of_reach() -> Error {
    DbError::Lost(String::new()).into()
}

/// The client must check: it is unknown whether this was stored, and retrying could do it twice.
pub(crate) fn unknown() -> Error {
    Error::Unavailable {
        what: Cow::Borrowed(
            "the connection to the database was lost during this change: it may or may not have been stored",
        ),
        retry_after: Duration::from_secs(1),
    }
}

/// Writes the effects of units and commits, in one round trip with deferred statements.
pub(crate) fn commit(conn: &mut Postgres, shared: &Shared, effects: &Effects) -> Committed {
    let slot = conn.slot();
    let done = effects
        .write_counters(conn, slot)
        .and_then(|()| listen::notify_invalidated(conn, &effects.invalidated))
        .and_then(|()| match effects.mail && !shared.delivers_mail.load(Ordering::Relaxed) {
            true => listen::notify_of_mail(conn),
            false => Ok(()),
        })
        .and_then(|()| conn.commit());
    match done {
        Ok(()) => {
            shared.cache.invalidate(effects.invalidated.iter().chain(&effects.invalidated_here));
            if effects.mail {
                shared.mail.notify_one();
            }
            Committed::Durable
        }
        Err(e) if conn.is_lost() => {
            tracing::error!(?e, "the connection to the database was lost during a commit");
            shared.cache.invalidate(&effects.invalidated);
            Committed::Unknown
        }
        Err(e) => {
            conn.roll_back();
            Committed::Refused(e.into())
        }
    }
}

const BUSY: &str = "all connections to the database are in use";

/// No connection is free, and none will be soon.
pub(crate) fn busy() -> Error {
    Error::Unavailable { what: Cow::Borrowed(BUSY), retry_after: Duration::from_secs(1) }
}

/// Logs once, where it happens, why the database cannot be reached.
fn logged(e: DbError) -> Error {
    match &e {
        DbError::Lost(why) => tracing::warn!(why, "the database cannot be reached"),
        DbError::Crowded => tracing::warn!("the database refuses more connections"),
        _ => {}
    }
    e.into()
}
