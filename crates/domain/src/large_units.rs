//! Large units of work: a unit that would occupy the writer for long is carried out in steps, each a separate
//! transaction, between which others can write. A partner has one at a time.
//!
//! The steps of all partners are served round-robin, one at a time in a process: a small write waits for one step at
//! most, however many partners have a large unit. If several processes share a database, a row says which of them has
//! the partner's large unit ([`tenantry_store::tables::large_units`]); each step renews it, and a step of a process
//! that has lost it fails.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::idempotency::Storable;
use crate::unit::{self, Done, WriteOptions};
use tenantry_core::clock::{Millis, SECOND};
use tenantry_core::error::{Error, Result};
use tenantry_core::model::PartnerId;
use tenantry_store::access::{Scope, Within, system_within};
use tenantry_store::engine::pace::{Pace, StepCost};
use tenantry_store::engine::tx::Tx;
use tenantry_store::store::Store;
use tenantry_store::tables::large_units;

/// Maximum wait for earlier large units of the partner.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Maximum number of waiting large units per partner; more are refused at once.
const WAITING: usize = 16;

/// The `Retry-After` of a refusal.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The lease of a partner's large unit, in case its process crashes.
pub(super) const LEASE: Millis = 30 * SECOND;

/// Polling interval while another process has the large unit.
const AGAIN: Duration = Duration::from_millis(200);

/// Maximum number of polls.
const MAX_POLLS: usize = 150;

/// The large units of a process. Clones share them.
#[derive(Debug, Clone)]
pub struct LargeUnits(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    partners: Mutex<HashMap<PartnerId, PartnerQueue>>,
    steps: Arc<Semaphore>,
}

/// The large units of a partner.
#[derive(Debug)]
struct PartnerQueue {
    slot: Arc<Semaphore>,
    /// How many have it or are waiting for it.
    count: usize,
}

impl Default for LargeUnits {
    fn default() -> Self {
        Self(Arc::new(Inner { partners: Mutex::default(), steps: Arc::new(Semaphore::new(1)) }))
    }
}

impl LargeUnits {
    fn partners(&self) -> MutexGuard<'_, HashMap<PartnerId, PartnerQueue>> {
        self.0.partners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins the large unit of a partner, after earlier ones have ended.
    ///
    /// # Errors
    /// Unavailable if too many are waiting, or one takes too long.
    pub async fn begin(&self, store: &Store, pid: PartnerId) -> Result<LargeUnit> {
        let queued = self.enqueue(pid, 1 + WAITING).ok_or_else(busy)?;
        let acquired = Arc::clone(&queued.slot).acquire_owned();
        let permit =
            tokio::time::timeout(TIMEOUT, acquired).await.map_err(|_| busy())?.map_err(|_| busy())?;
        // No timeout around this: a lease that is acquired at that moment would have no owner.
        for _ in 0..MAX_POLLS {
            if let Some(holder) = hold(store, pid).await? {
                let steps = Arc::clone(&self.0.steps);
                return Ok(LargeUnit { pid, holder, steps, _permit: permit, _queued: queued });
            }
            tokio::time::sleep(AGAIN).await;
        }
        Err(busy())
    }

    /// Begins the large unit of a partner unless one is in progress, here or in another process.
    ///
    /// # Errors
    /// Of the store.
    pub async fn try_begin(&self, store: &Store, pid: PartnerId) -> Result<Option<LargeUnit>> {
        let Some(queued) = self.enqueue(pid, 1) else { return Ok(None) };
        let Ok(permit) = Arc::clone(&queued.slot).try_acquire_owned() else { return Ok(None) };
        let Some(holder) = hold(store, pid).await? else { return Ok(None) };
        let steps = Arc::clone(&self.0.steps);
        Ok(Some(LargeUnit { pid, holder, steps, _permit: permit, _queued: queued }))
    }

    fn enqueue(&self, pid: PartnerId, limit: usize) -> Option<QueuedUnit> {
        let mut partners = self.partners();
        let queue = partners
            .entry(pid)
            .or_insert_with(|| PartnerQueue { slot: Arc::new(Semaphore::new(1)), count: 0 });
        if queue.count >= limit {
            return None;
        }
        queue.count += 1;
        Some(QueuedUnit { all: self.clone(), pid, slot: Arc::clone(&queue.slot) })
    }

    /// Blocks all steps as long as the permit lives. It is acquired after the current step: a test that acquires it
    /// again and again sees the state after each step.
    ///
    /// # Errors
    /// None in practice: the semaphore is never closed.
    pub async fn pause(&self) -> Result<OwnedSemaphorePermit> {
        permit(&self.0.steps).await
    }
}

async fn permit(steps: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit> {
    Arc::clone(steps).acquire_owned().await.map_err(|_| Error::internal("no step can begin"))
}

/// Acquires the partner's large unit for this process; returns the holder. Within a process this is known in memory.
async fn hold(store: &Store, pid: PartnerId) -> Result<Option<Option<String>>> {
    if !store.is_shared() {
        return Ok(Some(None));
    }
    let take = |tx: &mut Tx<'_, Within>| {
        let holder = tx.random().token::<16>();
        let expires_at = tx.steady() + LEASE;
        Ok(large_units::acquire(tx, &holder, expires_at)?.then_some(holder))
    };
    Ok(unit::write(store, &system_within(pid), take).await?.map(Some))
}

fn busy() -> Error {
    Error::Unavailable {
        what: "other large changes of this partner are in progress".into(),
        retry_after: RETRY_AFTER,
    }
}

/// A large unit that is in progress or waiting.
#[derive(Debug)]
struct QueuedUnit {
    all: LargeUnits,
    pid: PartnerId,
    slot: Arc<Semaphore>,
}

impl Drop for QueuedUnit {
    fn drop(&mut self) {
        let mut partners = self.all.partners();
        if let Some(queue) = partners.get_mut(&self.pid) {
            queue.count -= 1;
            if queue.count == 0 {
                partners.remove(&self.pid);
            }
        }
    }
}

/// The large unit of a partner. The next one begins when this is dropped; one of another process when it is
/// [ended](LargeUnit::end), or half a minute later.
#[derive(Debug)]
pub struct LargeUnit {
    pid: PartnerId,
    holder: Option<String>,
    steps: Arc<Semaphore>,
    _permit: OwnedSemaphorePermit,
    _queued: QueuedUnit,
}

impl LargeUnit {
    /// The partner.
    pub fn pid(&self) -> PartnerId {
        self.pid
    }

    /// Runs a step when it is its turn: a separate transaction. It fails if another process has taken over.
    ///
    /// # Errors
    /// Those of `work`; Unavailable.
    pub async fn step<S, T, F>(&self, store: &Store, scope: &S, work: F) -> Result<T>
    where
        S: Scope + Clone + Send + Sync + 'static,
        T: Send + 'static,
        F: Fn(&mut Tx<'_, S>) -> Result<T> + Send + 'static,
    {
        let _step = permit(&self.steps).await?;
        let holder = self.holder.clone();
        unit::write_large(store, scope, move |tx| {
            renew(tx, holder.as_deref())?;
            work(tx)
        })
        .await
    }

    /// As [`LargeUnit::step`], for a step that counts its rows and asks [`Tx::is_step_over`] when to end. What it took
    /// decides how many rows the next one writes.
    ///
    /// # Errors
    /// As [`LargeUnit::step`].
    pub async fn paced_step<S, T, F>(
        &self,
        store: &Store,
        scope: &S,
        cost: &Arc<StepCost>,
        work: F,
    ) -> Result<T>
    where
        S: Scope + Clone + Send + Sync + 'static,
        T: Send + 'static,
        F: Fn(&mut Tx<'_, S>, &mut Pace) -> Result<T> + Send + 'static,
    {
        let start = Arc::clone(cost);
        let (done, pace) = self
            .step(store, scope, move |tx| {
                let mut pace = start.start();
                Ok((work(tx, &mut pace)?, pace))
            })
            .await?;
        cost.learn(&pace);
        Ok(done)
    }

    /// Runs a small transaction with options, such as the one that has everything count at once.
    ///
    /// # Errors
    /// As [`unit::write_in`]; Unavailable.
    pub async fn conclude<S, T, F>(
        &self,
        store: &Store,
        scope: &S,
        options: WriteOptions,
        work: F,
    ) -> Result<Done<T>>
    where
        S: Scope + Clone + Send + Sync + 'static,
        T: Storable + Send + 'static,
        F: Fn(&mut Tx<'_, S>) -> Result<T> + Send + 'static,
    {
        let _step = permit(&self.steps).await?;
        let holder = self.holder.clone();
        let work = move |tx: &mut Tx<'_, S>| {
            renew(tx, holder.as_deref())?;
            work(tx)
        };
        unit::write_in(store, scope, options, work).await
    }

    /// Releases it for other processes.
    pub async fn end(self, store: &Store) {
        let Some(holder) = self.holder.clone() else { return };
        let release = move |tx: &mut Tx<'_, Within>| large_units::release(tx, &holder);
        if let Err(e) = unit::write(store, &system_within(self.pid), release).await {
            tracing::warn!(%e, "a lease of large changes was not released; other processes wait until it expires");
        }
    }
}

fn renew(tx: &mut Tx<'_>, holder: Option<&str>) -> Result<()> {
    let Some(holder) = holder else { return Ok(()) };
    let expires_at = tx.steady() + LEASE;
    if large_units::renew(tx, holder, expires_at)? { Ok(()) } else { Err(busy()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenantry_core::account_policy::AccountPolicy;
    use tenantry_core::clock::Clock;
    use tenantry_core::random::Random;

    const ONE: PartnerId = PartnerId(1);
    const TWO: PartnerId = PartnerId(2);

    fn store(dir: &tempfile::TempDir) -> Store {
        Store::open_sqlite(
            &dir.path().join("test.db"),
            Clock::manual(0),
            Random::seeded(1),
            AccountPolicy::DEFAULT,
        )
        .unwrap()
    }

    #[tokio::test]
    async fn a_partner_has_one_at_a_time_and_others_do_not_wait_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let (store, all) = (store(&dir), LargeUnits::default());
        let first = all.begin(&store, ONE).await.unwrap();
        assert!(all.try_begin(&store, ONE).await.unwrap().is_none());
        drop(all.begin(&store, TWO).await.unwrap());
        let second = tokio::spawn({
            let (all, store) = (all.clone(), store.clone());
            async move { all.begin(&store, ONE).await.map(|unit| unit.pid()) }
        });
        first.end(&store).await;
        assert_eq!(second.await.unwrap().unwrap(), ONE);
        assert!(all.partners().is_empty(), "nothing is left of them");
    }

    #[tokio::test(start_paused = true)]
    async fn long_or_excess_waits_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (store, all) = (store(&dir), LargeUnits::default());
        let _first = all.begin(&store, ONE).await.unwrap();
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..=WAITING {
            let (all, store) = (all.clone(), store.clone());
            waiting.spawn(async move {
                let begun = tokio::time::Instant::now();
                let Err(Error::Unavailable { retry_after, .. }) = all.begin(&store, ONE).await else {
                    panic!("must be refused")
                };
                assert_eq!(retry_after, RETRY_AFTER);
                begun.elapsed()
            });
        }
        let mut waited = waiting.join_all().await;
        waited.sort_unstable();
        assert_eq!((waited.first(), waited.last()), (Some(&Duration::ZERO), Some(&TIMEOUT)));
        assert_eq!(waited.iter().filter(|time| **time == TIMEOUT).count(), WAITING);
    }
}
