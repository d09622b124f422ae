//! Whose connection is read next when many have something to say: partners take turns.
//!
//! A task that was woken stands at the end of the runtime's queue. A partner with hundreds of busy connections would so
//! let another one's request wait for hundreds of its own. Here a connection that has something to read asks first. Of
//! each partner a few are read at once in a round; others wait, and are woken partner by partner in the rounds to come.
//! A round begins when all that were ready have had their turn, so nobody waits while there is nothing to do.
//!
//! Where all requests are of one partner nothing of this happens: a connection on which nobody has shown a token yet does
//! not count for another one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use tenantry_core::fair::Fair;
use tenantry_core::model::PartnerId;

/// Connections of a partner that are read at once in a round, and of those that wait the ones that are woken for the
/// next one, for each thread that serves. Fewer would cost more rounds, more would let others wait longer.
const AT_ONCE: usize = 4;

/// After so many reads of one partner in a row it is taken to be the only one.
const IN_A_ROW: u32 = 10_000;

/// Whose new connections are, as far as turns are concerned.
const NOBODY: PartnerId = PartnerId(0);

/// Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Shares(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    at_once: usize,
}

#[derive(Debug, Default)]
struct State {
    /// The partner of the last read, and how many reads in a row were its own.
    last: Option<PartnerId>,
    in_a_row: u32,
    /// Reads of this round.
    read: HashMap<PartnerId, usize>,
    waiting: Fair<PartnerId, Waker>,
    /// The task that begins the next round.
    rounds: Option<Waker>,
}

impl Shares {
    /// For so many threads that serve.
    pub(super) fn new(threads: usize) -> Self {
        let (state, at_once) = (Mutex::default(), AT_ONCE * threads.max(1));
        Self(Arc::new(Inner { state, at_once }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody has shown a good token of this partner's on a connection that was not known to be its.
    pub(super) fn see(&self, pid: PartnerId) {
        self.state().see(pid);
    }

    /// Whether a connection of this partner, or of one that is not known yet, must wait before it is read; it is woken when
    /// its turn has come.
    pub(super) fn must_wait(&self, pid: Option<PartnerId>, waker: &Waker) -> bool {
        let mut state = self.state();
        if let Some(pid) = pid {
            state.see(pid);
        }
        if state.in_a_row > IN_A_ROW {
            return false;
        }
        let whose = pid.unwrap_or(NOBODY);
        // Never before those of the same partner that wait already.
        if !state.waiting.has(whose) {
            let read = state.read.entry(whose).or_default();
            *read += 1;
            if *read <= self.0.at_once {
                return false;
            }
        }
        // As many as there are connections: those are bounded.
        let _ = state.waiting.push(whose, waker.clone(), usize::MAX);
        if let Some(rounds) = &state.rounds {
            rounds.wake_by_ref();
        }
        true
    }

    /// Begins the next round, whenever some wait and all that were ready had their turn. Never ends.
    pub(super) async fn rounds(self) {
        std::future::poll_fn(|cx| {
            for waker in self.next_round(cx.waker()) {
                waker.wake();
            }
            // Behind those that were just woken, and whatever else is ready.
            if !self.state().waiting.is_empty() {
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        })
        .await
    }

    /// Those whose turn it is.
    fn next_round(&self, rounds: &Waker) -> Vec<Waker> {
        let mut state = self.state();
        if !state.rounds.as_ref().is_some_and(|known| known.will_wake(rounds)) {
            state.rounds = Some(rounds.clone());
        }
        state.read.clear();
        (0..self.0.at_once).map_while(|_| state.waiting.pop()).collect()
    }
}

impl State {
    fn see(&mut self, pid: PartnerId) {
        if self.last == Some(pid) {
            self.in_a_row = self.in_a_row.saturating_add(1);
        } else {
            (self.last, self.in_a_row) = (Some(pid), 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    const FLOOD: PartnerId = PartnerId(1);
    const QUIET: PartnerId = PartnerId(2);

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A connection's waker, and how often it was woken.
    fn connection() -> (Waker, Arc<Woken>) {
        let woken = Arc::new(Woken::default());
        (Waker::from(Arc::clone(&woken)), woken)
    }

    fn count(woken: &Woken) -> usize {
        woken.0.load(Ordering::Relaxed)
    }

    fn round(shares: &Shares, rounds: &Waker) -> usize {
        shares.next_round(rounds).into_iter().map(Waker::wake).count()
    }

    #[test]
    fn a_flood_waits_and_a_quiet_partner_does_not() {
        let shares = Shares::new(1);
        let ((rounds, due), (flood, flooding), (quiet, _)) = (connection(), connection(), connection());
        assert_eq!(round(&shares, &rounds), 0);
        let waiting = (0..10).filter(|_| shares.must_wait(Some(FLOOD), &flood)).count();
        assert_eq!((waiting, count(&due)), (10 - AT_ONCE, 6));
        assert!(!shares.must_wait(Some(QUIET), &quiet));
        assert_eq!((round(&shares, &rounds), count(&flooding)), (AT_ONCE, 4));
        assert_eq!((round(&shares, &rounds), count(&flooding)), (2, 6));
        assert_eq!(round(&shares, &rounds), 0);
        assert!(!shares.must_wait(Some(FLOOD), &flood));
    }

    #[test]
    fn two_floods_take_turns() {
        let shares = Shares::new(1);
        let ((rounds, _), (flood, flooding), (other, others)) = (connection(), connection(), connection());
        let all =
            |pid, waker: &Waker, n: usize| (0..n).filter(|_| shares.must_wait(Some(pid), waker)).count();
        assert_eq!((all(FLOOD, &flood, 100), all(QUIET, &other, 8)), (96, 4));
        round(&shares, &rounds);
        assert_eq!((count(&flooding), count(&others)), (2, 2));
        round(&shares, &rounds);
        assert_eq!((count(&flooding), count(&others)), (4, 4));
        round(&shares, &rounds);
        assert_eq!((count(&flooding), count(&others)), (8, 4));
    }

    #[test]
    fn who_is_alone_never_waits() {
        let shares = Shares::new(1);
        let ((rounds, _), (only, _), (other, _)) = (connection(), connection(), connection());
        let waits = |pid, waker: &Waker| {
            let waits = shares.must_wait(Some(pid), waker);
            round(&shares, &rounds);
            waits
        };
        for _ in 0..=IN_A_ROW {
            assert!(!waits(FLOOD, &only));
        }
        assert!((0..100).all(|_| !shares.must_wait(Some(FLOOD), &only)));
        // Until another one comes.
        assert!(!shares.must_wait(Some(QUIET), &other));
        assert_eq!((0..10).filter(|_| shares.must_wait(Some(FLOOD), &only)).count(), 10 - AT_ONCE);
    }

    #[test]
    fn a_new_connection_ends_it_only_by_the_token_of_another_partner() {
        let shares = Shares::new(1);
        let ((rounds, _), (only, _)) = (connection(), connection());
        for _ in 0..=IN_A_ROW + 1 {
            shares.must_wait(Some(FLOOD), &only);
            round(&shares, &rounds);
        }
        let waiting = || (0..10).filter(|_| shares.must_wait(Some(FLOOD), &only)).count();
        assert!((0..10).all(|_| !shares.must_wait(None, &only)), "new connections wait for nobody, either");
        shares.see(FLOOD);
        assert_eq!(waiting(), 0);
        shares.see(QUIET);
        assert_eq!(waiting(), 10 - AT_ONCE);
    }

    #[test]
    fn nobody_overtakes_others_of_its_partner() {
        let shares = Shares::new(1);
        let ((rounds, _), (first, woken), (late, _)) = (connection(), connection(), connection());
        assert_eq!((0..10).filter(|_| shares.must_wait(Some(FLOOD), &first)).count(), 6);
        assert_eq!((round(&shares, &rounds), count(&woken)), (AT_ONCE, 4));
        assert!(shares.must_wait(Some(FLOOD), &late), "two wait already");
        assert_eq!((round(&shares, &rounds), count(&woken)), (3, 6));
        assert!(!shares.must_wait(Some(FLOOD), &late));
    }
}
