//! A bounded fair queue: a key that floods it does not delay others.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// A queue that is fair by key: round-robin across keys, first in, first out within a key.
///
/// A key that had nothing in the queue goes before keys that were already served: an occasional item waits for the
/// current one, not for a whole round of the keys that are always queued.
#[derive(Debug)]
pub struct Fair<K, T> {
    waiting: HashMap<K, VecDeque<T>>,
    /// Keys that have not been served since they were added, next one first.
    fresh: VecDeque<K>,
    /// The other keys, next one first.
    served: VecDeque<K>,
    /// How many fresh keys in a row went before served ones. It never exceeds the number of served keys; otherwise a
    /// stream of new keys would starve them.
    overtaken: usize,
    length: usize,
}

impl<K, T> Default for Fair<K, T> {
    fn default() -> Self {
        Self {
            waiting: HashMap::new(),
            fresh: VecDeque::new(),
            served: VecDeque::new(),
            overtaken: 0,
            length: 0,
        }
    }
}

impl<K: Copy + Eq + Hash, T> Fair<K, T> {
    /// Enqueues an item. If `limit` items are waiting already, only keys that have less than an equal share of them may
    /// add one.
    ///
    /// # Errors
    /// The item, if there is no room for it.
    pub fn push(&mut self, whose: K, item: T, limit: usize) -> Result<(), T> {
        if !self.has_room(whose, limit) {
            return Err(item);
        }
        let own = self.waiting.entry(whose).or_default();
        own.push_back(item);
        if own.len() == 1 {
            self.fresh.push_back(whose);
        }
        self.length += 1;
        Ok(())
    }

    /// Whether [`Fair::push`] would accept an item.
    pub fn has_room(&self, whose: K, limit: usize) -> bool {
        if self.length < limit {
            return true;
        }
        let own = self.waiting.get(&whose).map_or(0, VecDeque::len);
        let all = self.waiting.len() + usize::from(own == 0);
        own < (limit / all.max(1)).max(1)
    }

    /// Whether an item of this key is waiting.
    pub fn has(&self, whose: K) -> bool {
        self.waiting.contains_key(&whose)
    }

    /// The number of waiting items.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether no item is waiting.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Takes the next item.
    pub fn pop(&mut self) -> Option<T> {
        let whose = self.next_key()?;
        let own = self.waiting.get_mut(&whose)?;
        let item = own.pop_front();
        if own.is_empty() {
            self.waiting.remove(&whose);
        } else {
            self.served.push_back(whose);
        }
        self.length -= usize::from(item.is_some());
        item
    }

    fn next_key(&mut self) -> Option<K> {
        if !self.fresh.is_empty() && self.overtaken < self.served.len().max(1) {
            self.overtaken += usize::from(!self.served.is_empty());
            return self.fresh.pop_front();
        }
        self.overtaken = 0;
        self.served.pop_front().or_else(|| self.fresh.pop_front())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: u8 = 1;
    const TWO: u8 = 2;

    #[test]
    fn keys_are_served_round_robin_and_first_in_first_out() {
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
    fn an_occasional_key_does_not_wait_for_a_whole_round() {
        let mut queue = Fair::default();
        for n in 0..9 {
            queue.push(ONE + n % 3, (ONE + n % 3, n), 20).unwrap();
        }
        let mut next = || queue.pop().unwrap().0;
        assert_eq!([next(), next(), next(), next()], [1, 2, 3, 1]);
        queue.push(9, (9, 0), 20).unwrap();
        let rest: Vec<_> = std::iter::from_fn(|| queue.pop()).map(|(key, _)| key).collect();
        assert_eq!(rest, [9, 2, 3, 1, 2, 3]);
    }

    #[test]
    fn new_keys_do_not_starve_waiting_ones() {
        let mut queue = Fair::default();
        for n in 0..4 {
            queue.push(ONE, n, 100).unwrap();
        }
        assert_eq!(queue.pop(), Some(0));
        let mut taken = Vec::new();
        for n in 0..6 {
            queue.push(TWO + n, 100, 100).unwrap();
            queue.push(TWO + 100 + n, 100, 100).unwrap();
            taken.push(queue.pop().unwrap());
        }
        assert_eq!(taken, [100, 1, 100, 2, 100, 3]);
    }

    #[test]
    fn a_key_that_floods_is_refused_and_others_are_not() {
        let mut queue = Fair::default();
        for n in 0..8 {
            queue.push(ONE, n, 8).unwrap();
        }
        assert_eq!(queue.push(ONE, 8, 8), Err(8));
        // Another partner gets its half, but no more.
        for n in 0..4 {
            queue.push(TWO, n, 8).unwrap();
        }
        assert_eq!(queue.push(TWO, 4, 8), Err(4));
        assert_eq!(queue.push(ONE, 8, 8), Err(8));
        assert_eq!(std::iter::from_fn(|| queue.pop()).count(), 12);
    }
}
