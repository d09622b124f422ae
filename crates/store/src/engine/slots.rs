//! Limits concurrency, with a fair queue of waiters.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use tenantry_core::error::{Error, Result};
use tenantry_core::fair::Fair;
use tenantry_core::model::PartnerId;

/// Slots, assigned to partners round-robin.
#[derive(Debug, Clone)]
pub struct Slots(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<SlotState>,
    /// Maximum number of waiters.
    limit: usize,
    /// The error for further ones.
    message: &'static str,
}

#[derive(Debug)]
struct SlotState {
    free: usize,
    waiting: Fair<PartnerId, oneshot::Sender<Slot>>,
}

/// A slot, released when this is dropped.
#[derive(Debug)]
pub struct Slot(Option<Slots>);

impl Slots {
    /// `count` slots and at most `limit` waiters; more are refused with `message`.
    pub fn new(count: usize, limit: usize, message: &'static str) -> Self {
        let state = Mutex::new(SlotState { free: count, waiting: Fair::default() });
        Self(Arc::new(Inner { state, limit, message }))
    }

    fn state(&self) -> MutexGuard<'_, SlotState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of waiters.
    #[cfg(any(test, feature = "testing"))]
    pub fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    /// Waits for a slot.
    ///
    /// # Errors
    /// Unavailable if too many are waiting.
    pub async fn take(&self, pid: PartnerId) -> Result<Slot> {
        let slot = {
            let mut state = self.state();
            if state.free > 0 {
                state.free -= 1;
                return Ok(Slot(Some(self.clone())));
            }
            let (send, receive) = oneshot::channel();
            state.waiting.push(pid, send, self.0.limit).map_err(|_| Error::Unavailable {
                what: Cow::Borrowed(self.0.message),
                retry_after: Duration::from_secs(1),
            })?;
            receive
        };
        slot.await.map_err(|_| Error::internal("the store is closed"))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some(slots) = self.0.take() else { return };
        let mut state = slots.state();
        // A waiter that gave up is skipped; it holds no slot, so nothing is released.
        while let Some(next) = state.waiting.pop() {
            match next.send(Self(Some(slots.clone()))) {
                Ok(()) => return,
                Err(mut unsent) => drop(unsent.0.take()),
            }
        }
        state.free += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn slots_are_passed_on_and_too_many_waiters_are_refused() {
        let slots = Slots::new(1, 2, "too many");
        let first = slots.take(PartnerId(1)).await.unwrap();
        let wait = |pid: i64| {
            let slots = slots.clone();
            tokio::spawn(async move { slots.take(PartnerId(pid)).await })
        };
        let (one, given_up) = (wait(1), wait(1));
        while slots.state().waiting.len() < 2 {
            tokio::task::yield_now().await;
        }
        let Err(Error::Unavailable { retry_after, .. }) = slots.take(PartnerId(1)).await else {
            panic!("a third one waits");
        };
        assert_eq!(retry_after, Duration::from_secs(1));
        // Another partner can still wait, and is served before the second waiter of the first one.
        let two = wait(2);
        while slots.state().waiting.len() < 3 {
            tokio::task::yield_now().await;
        }
        drop(first);
        let first = one.await.unwrap().unwrap();
        given_up.abort();
        let _ = given_up.await;
        drop(first);
        drop(two.await.unwrap().unwrap());
        let state = slots.state();
        assert_eq!((state.free, state.waiting.len()), (1, 0));
    }
}
