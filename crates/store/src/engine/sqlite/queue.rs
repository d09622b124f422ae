//! A bounded queue for a thread, fair across partners.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use tenantry_core::fair::Fair;
use tenantry_core::model::PartnerId;

/// A fair queue between threads.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    state: Mutex<QueueState<T>>,
    arrived: Condvar,
}

#[derive(Debug)]
struct QueueState<T> {
    fair: Fair<PartnerId, T>,
    is_closed: bool,
}

/// Why an item is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The queue is full, and this partner has its share of it.
    Full,
    /// The queue is closed.
    Closed,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            state: Mutex::new(QueueState { fair: Fair::default(), is_closed: false }),
            arrived: Condvar::new(),
        }
    }
}

impl<T> Queue<T> {
    fn state(&self) -> MutexGuard<'_, QueueState<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Fair::push`].
    pub(crate) fn push(&self, pid: PartnerId, item: T, limit: usize) -> Result<(), Refused> {
        let mut state = self.state();
        if state.is_closed {
            return Err(Refused::Closed);
        }
        state.fair.push(pid, item, limit).map_err(|_| Refused::Full)?;
        drop(state);
        self.arrived.notify_one();
        Ok(())
    }

    /// As [`Fair::has_room`].
    pub(crate) fn has_room(&self, pid: PartnerId, limit: usize) -> bool {
        self.state().fair.has_room(pid, limit)
    }

    /// Takes the next item, if there is one.
    pub(crate) fn try_pop(&self) -> Option<T> {
        self.state().fair.pop()
    }

    /// Waits for the next item. `None` when the queue is closed and empty.
    pub(crate) fn pop(&self) -> Option<T> {
        let mut state = self.state();
        loop {
            if let Some(item) = state.fair.pop() {
                return Some(item);
            }
            if state.is_closed {
                return None;
            }
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Closes the queue for new items; waiting ones are still taken.
    pub(crate) fn close(&self) {
        self.state().is_closed = true;
        self.arrived.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: PartnerId = PartnerId(1);

    #[test]
    fn a_closed_queue_ends_when_it_is_empty() {
        let queue = Queue::default();
        queue.push(ONE, 1, 8).unwrap();
        queue.close();
        assert_eq!(queue.push(ONE, 2, 8), Err(Refused::Closed));
        assert_eq!((queue.pop(), queue.pop()), (Some(1), None));
    }
}
