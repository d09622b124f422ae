//! The operations that this process carries out: counts them and stops them.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::large_units::{LargeUnit, LargeUnits};
use tenantry_core::error::Result;
use tenantry_core::model::PartnerId;
use tenantry_core::random::Random;
use tenantry_store::store::Store;

/// The operations that this process carries out. Clones share them.
#[derive(Debug, Clone)]
pub struct Running(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The id of this process in entries.
    owner: String,
    stopping: watch::Sender<bool>,
    /// The number of operations in progress.
    count: watch::Sender<usize>,
    known: Mutex<HashSet<String>>,
    /// The large units, one of which each operation is.
    units: LargeUnits,
}

impl Running {
    /// No operations.
    pub fn new(random: &Random, units: LargeUnits) -> Self {
        Self(Arc::new(Inner {
            owner: random.token::<12>(),
            stopping: watch::Sender::new(false),
            count: watch::Sender::new(0),
            known: Mutex::default(),
            units,
        }))
    }

    pub(super) fn known(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The id of this process in entries.
    pub(super) fn owner(&self) -> String {
        self.0.owner.clone()
    }

    /// The partner's large unit, unless another one is in progress.
    ///
    /// # Errors
    /// Of the store.
    pub(super) async fn try_begin(&self, store: &Store, pid: PartnerId) -> Result<Option<LargeUnit>> {
        self.0.units.try_begin(store, pid).await
    }

    /// Waits until no other large unit of the partner is in progress.
    ///
    /// # Errors
    /// Unavailable if one takes too long, or too many are waiting.
    pub(super) async fn begin(&self, store: &Store, pid: PartnerId) -> Result<LargeUnit> {
        self.0.units.begin(store, pid).await
    }

    /// Makes operations stop after their current step; their clients get a response that they resume later.
    pub fn stop(&self) {
        self.0.stopping.send_replace(true);
    }

    /// Waits until no operation is in progress.
    pub async fn stopped(&self) {
        let _ = self.0.count.subscribe().wait_for(|count| *count == 0).await;
    }

    /// The number of operations in progress.
    pub fn count(&self) -> usize {
        *self.0.count.borrow()
    }

    pub(super) fn is_stopping(&self) -> bool {
        *self.0.stopping.borrow()
    }
}

/// Counts an operation in progress until it is dropped.
pub(super) struct Counted(Running, String);

impl Counted {
    pub(super) fn of(running: &Running, operation_id: &str) -> Self {
        running.0.count.send_modify(|count| *count += 1);
        running.known().insert(operation_id.to_owned());
        Self(running.clone(), operation_id.to_owned())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.known().remove(&self.1);
        self.0.0.count.send_modify(|count| *count -= 1);
    }
}
