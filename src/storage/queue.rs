//! Who waits, by partner: nobody's flood keeps another partner waiting, and nothing waits without bound.

use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::model::PartnerId;

/// Things that wait. Partners take turns; within a partner they go in the order they came.
#[derive(Debug)]
pub(super) struct Fair<T> {
    waiting: HashMap<PartnerId, VecDeque<T>>,
    /// Partners of whom something waits; the first one is next.
    turns: VecDeque<PartnerId>,
    length: usize,
}

impl<T> Default for Fair<T> {
    fn default() -> Self {
        Self { waiting: HashMap::new(), turns: VecDeque::new(), length: 0 }
    }
}

impl<T> Fair<T> {
    /// Has something wait. When `limit` wait already, only partners that have less than an equal share of them may add
    /// to it; others get it back.
    pub(super) fn push(&mut self, pid: PartnerId, item: T, limit: usize) -> Result<(), T> {
        if self.length >= limit {
            let own = self.waiting.get(&pid).map_or(0, VecDeque::len);
            let partners = self.turns.len() + usize::from(own == 0);
            if own >= (limit / partners.max(1)).max(1) {
                return Err(item);
            }
        }
        let own = self.waiting.entry(pid).or_default();
        own.push_back(item);
        if own.len() == 1 {
            self.turns.push_back(pid);
        }
        self.length += 1;
        Ok(())
    }

    /// How many wait.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// What is next.
    pub(super) fn pop(&mut self) -> Option<T> {
        let pid = self.turns.pop_front()?;
        let own = self.waiting.get_mut(&pid)?;
        let item = own.pop_front();
        if own.is_empty() {
            self.waiting.remove(&pid);
        } else {
            self.turns.push_back(pid);
        }
        self.length -= usize::from(item.is_some());
        item
    }
}

/// Such a queue between threads.
#[derive(Debug)]
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    arrived: Condvar,
}

#[derive(Debug)]
struct State<T> {
    fair: Fair<T>,
    is_closed: bool,
}

/// Why something may not wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// Too many wait already, and this partner has its share of them.
    Full,
    /// Nothing is taken from it any more.
    Closed,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { state: Mutex::new(State { fair: Fair::default(), is_closed: false }), arrived: Condvar::new() }
    }
}

impl<T> Queue<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Fair::push`].
    pub(super) fn push(&self, pid: PartnerId, item: T, limit: usize) -> Result<(), Refused> {
        let mut state = self.state();
        if state.is_closed {
            return Err(Refused::Closed);
        }
        state.fair.push(pid, item, limit).map_err(|_| Refused::Full)?;
        drop(state);
        self.arrived.notify_one();
        Ok(())
    }

    /// What is next, if something waits.
    pub(super) fn try_pop(&self) -> Option<T> {
        self.state().fair.pop()
    }

    /// What is next; waits for it. None when the queue is closed and empty.
    pub(super) fn pop(&self) -> Option<T> {
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

    /// Nothing more may come; what waits is still taken.
    pub(super) fn close(&self) {
        self.state().is_closed = true;
        self.arrived.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: PartnerId = PartnerId(1);
    const TWO: PartnerId = PartnerId(2);

    #[test]
    fn partners_take_turns_and_keep_their_own_order() {
        let mut queue = Fair::default();
        for n in 0..5 {
            queue.push(ONE, (1, n), 10).unwrap();
        }
        for n in 0..2 {
            queue.push(TWO, (2, n), 10).unwrap();
        }
        let all: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(all, [(1, 0), (2, 0), (1, 1), (2, 1), (1, 2), (1, 3), (1, 4)]);
    }

    #[test]
    fn who_floods_is_refused_and_others_are_not() {
        let mut queue = Fair::default();
        for n in 0..8 {
            queue.push(ONE, n, 8).unwrap();
        }
        assert_eq!(queue.push(ONE, 8, 8), Err(8));
        // Another partner has its half, though no more than that.
        for n in 0..4 {
            queue.push(TWO, n, 8).unwrap();
        }
        assert_eq!(queue.push(TWO, 4, 8), Err(4));
        assert_eq!(queue.push(ONE, 8, 8), Err(8));
        assert_eq!(std::iter::from_fn(|| queue.pop()).count(), 12);
    }

    #[test]
    fn a_closed_queue_ends_when_it_is_empty() {
        let queue = Queue::default();
        queue.push(ONE, 1, 8).unwrap();
        queue.close();
        assert_eq!(queue.push(ONE, 2, 8), Err(Refused::Closed));
        assert_eq!((queue.pop(), queue.pop()), (Some(1), None));
    }
}
