//! Turns: nobody's flood keeps another one waiting, and nothing waits without bound.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Things that wait. Those whose they are take turns; of one of them they go in the order they came.
#[derive(Debug)]
pub struct Fair<K, T> {
    waiting: HashMap<K, VecDeque<T>>,
    /// Those of whom something waits; the first one is next.
    turns: VecDeque<K>,
    length: usize,
}

impl<K, T> Default for Fair<K, T> {
    fn default() -> Self {
        Self { waiting: HashMap::new(), turns: VecDeque::new(), length: 0 }
    }
}

impl<K: Copy + Eq + Hash, T> Fair<K, T> {
    /// Has something wait. When `limit` wait already, only those who have less than an equal share of them may add to
    /// it; others get it back.
    ///
    /// # Errors
    /// The thing itself, if it may not wait.
    pub fn push(&mut self, whose: K, item: T, limit: usize) -> Result<(), T> {
        if !self.has_room(whose, limit) {
            return Err(item);
        }
        let own = self.waiting.entry(whose).or_default();
        own.push_back(item);
        if own.len() == 1 {
            self.turns.push_back(whose);
        }
        self.length += 1;
        Ok(())
    }

    /// Whether [`Fair::push`] would take something.
    pub fn has_room(&self, whose: K, limit: usize) -> bool {
        if self.length < limit {
            return true;
        }
        let own = self.waiting.get(&whose).map_or(0, VecDeque::len);
        let all = self.turns.len() + usize::from(own == 0);
        own < (limit / all.max(1)).max(1)
    }

    /// Whether something of theirs waits.
    pub fn has(&self, whose: K) -> bool {
        self.waiting.contains_key(&whose)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// What is next.
    pub fn pop(&mut self) -> Option<T> {
        let whose = self.turns.pop_front()?;
        let own = self.waiting.get_mut(&whose)?;
        let item = own.pop_front();
        if own.is_empty() {
            self.waiting.remove(&whose);
        } else {
            self.turns.push_back(whose);
        }
        self.length -= usize::from(item.is_some());
        item
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: u8 = 1;
    const TWO: u8 = 2;

    #[test]
    fn all_take_turns_and_keep_their_own_order() {
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
}
