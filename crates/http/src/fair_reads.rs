//! Fair scheduling of connections: partners are served round-robin.
//!
//! A woken task is at the end of the runtime's queue, so a partner with hundreds of busy connections would let another
//! one's request wait for hundreds of its own. Here a readable connection first asks for its turn. Of each partner a
//! few are read per round; others wait and are woken, partner by partner, in later rounds. A round begins when all
//! ready connections have had their turn, so nobody waits while there is nothing to do.
//!
//! If all requests are of one partner, nothing waits: a connection that has not had a token yet does not count as
//! another partner's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use std::net::IpAddr;

use crate::visitors::network;
use tenantry_core::fair::Fair;
use tenantry_core::model::PartnerId;

/// Connections of a partner that are read per round and serving thread, and that are woken for the next round. Fewer
/// would cost more rounds, more would let others wait longer.
const AT_ONCE: usize = 4;

/// After this many consecutive reads of one partner it is assumed to be the only one.
const IN_A_ROW: u32 = 10_000;

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Payer {
    /// The partner of the last valid token or browser session.
    Partner(PartnerId),
    /// Connections that have not had one yet, by address: the flood of one address is not everybody's.
    Address(IpAddr),
}

/// Clones share it.
#[derive(Debug, Clone)]
pub(super) struct FairReads(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<RoundState>,
    at_once: usize,
}

#[derive(Debug, Default)]
struct RoundState {
    /// The partner of the last read, and its number of consecutive reads.
    last: Option<PartnerId>,
    in_a_row: u32,
    /// Reads of this round.
    read: HashMap<Payer, usize>,
    waiting: Fair<Payer, Waker>,
    /// The task that begins the next round.
    rounds: Option<Waker>,
}

impl FairReads {
    /// For this many serving threads.
    pub(super) fn new(threads: usize) -> Self {
        let (state, at_once) = (Mutex::default(), AT_ONCE * threads.max(1));
        Self(Arc::new(Inner { state, at_once }))
    }

    fn state(&self) -> MutexGuard<'_, RoundState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that was not known to be this partner's has had a valid token of it.
    pub(super) fn see(&self, pid: PartnerId) {
        self.state().see(pid);
    }

    /// Whether a connection of this partner, or of an unknown one, must wait before it is read; it is woken when its
    /// turn comes.
    pub(super) fn must_wait(&self, pid: Option<PartnerId>, address: IpAddr, waker: &Waker) -> bool {
        let mut state = self.state();
        if let Some(pid) = pid {
            state.see(pid);
        }
        if state.in_a_row > IN_A_ROW {
            return false;
        }
        let whose = pid.map_or_else(|| Payer::Address(network(address)), Payer::Partner);
        // Never before connections of the same partner that are already waiting.
        if !state.waiting.has(whose) {
            let read = state.read.entry(whose).or_default();
            *read += 1;
            if *read <= self.0.at_once {
                return false;
            }
        }
        // Bounded by the number of connections.
        let _ = state.waiting.push(whose, waker.clone(), usize::MAX);
        if let Some(rounds) = &state.rounds {
            rounds.wake_by_ref();
        }
        true
    }

    /// Begins the next round whenever connections wait and all ready ones have had their turn. Never ends.
    pub(super) async fn rounds(self) {
        std::future::poll_fn(|cx| {
            for waker in self.next_round(cx.waker()) {
                waker.wake();
            }
            // After those that were just woken, and all other ready tasks.
            if !self.state().waiting.is_empty() {
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        })
        .await
    }

    /// The connections whose turn it is.
    fn next_round(&self, rounds: &Waker) -> Vec<Waker> {
        let mut state = self.state();
        if !state.rounds.as_ref().is_some_and(|known| known.will_wake(rounds)) {
            state.rounds = Some(rounds.clone());
        }
        state.read.clear();
        (0..self.0.at_once).map_while(|_| state.waiting.pop()).collect()
    }
}

impl RoundState {
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
    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A connection's waker, and a counter of its wakeups.
    fn connection() -> (Waker, Arc<Woken>) {
        let woken = Arc::new(Woken::default());
        (Waker::from(Arc::clone(&woken)), woken)
    }

    fn count(woken: &Woken) -> usize {
        woken.0.load(Ordering::Relaxed)
    }

    fn round(reads: &FairReads, rounds: &Waker) -> usize {
        reads.next_round(rounds).into_iter().map(Waker::wake).count()
    }

    #[test]
    fn a_flood_waits_and_a_quiet_partner_does_not() {
        let reads = FairReads::new(1);
        let ((rounds, due), (flood, flooding), (quiet, _)) = (connection(), connection(), connection());
        assert_eq!(round(&reads, &rounds), 0);
        let waiting = (0..10).filter(|_| reads.must_wait(Some(FLOOD), HERE, &flood)).count();
        assert_eq!((waiting, count(&due)), (10 - AT_ONCE, 6));
        assert!(!reads.must_wait(Some(QUIET), HERE, &quiet));
        assert_eq!((round(&reads, &rounds), count(&flooding)), (AT_ONCE, 4));
        assert_eq!((round(&reads, &rounds), count(&flooding)), (2, 6));
        assert_eq!(round(&reads, &rounds), 0);
        assert!(!reads.must_wait(Some(FLOOD), HERE, &flood));
    }

    #[test]
    fn two_floods_are_served_round_robin() {
        let reads = FairReads::new(1);
        let ((rounds, _), (flood, flooding), (other, others)) = (connection(), connection(), connection());
        let all =
            |pid, waker: &Waker, n: usize| (0..n).filter(|_| reads.must_wait(Some(pid), HERE, waker)).count();
        assert_eq!((all(FLOOD, &flood, 100), all(QUIET, &other, 8)), (96, 4));
        round(&reads, &rounds);
        assert_eq!((count(&flooding), count(&others)), (2, 2));
        round(&reads, &rounds);
        assert_eq!((count(&flooding), count(&others)), (4, 4));
        round(&reads, &rounds);
        assert_eq!((count(&flooding), count(&others)), (8, 4));
    }

    #[test]
    fn a_single_partner_never_waits() {
        let reads = FairReads::new(1);
        let ((rounds, _), (only, _), (other, _)) = (connection(), connection(), connection());
        let waits = |pid, waker: &Waker| {
            let waits = reads.must_wait(Some(pid), HERE, waker);
            round(&reads, &rounds);
            waits
        };
        for _ in 0..=IN_A_ROW {
            assert!(!waits(FLOOD, &only));
        }
        assert!((0..100).all(|_| !reads.must_wait(Some(FLOOD), HERE, &only)));
        // Until another partner appears.
        assert!(!reads.must_wait(Some(QUIET), HERE, &other));
        assert_eq!((0..10).filter(|_| reads.must_wait(Some(FLOOD), HERE, &only)).count(), 10 - AT_ONCE);
    }

    #[test]
    fn a_new_connection_counts_only_with_a_token_of_another_partner() {
        let reads = FairReads::new(1);
        let ((rounds, _), (only, _)) = (connection(), connection());
        for _ in 0..=IN_A_ROW + 1 {
            reads.must_wait(Some(FLOOD), HERE, &only);
            round(&reads, &rounds);
        }
        let waiting = || (0..10).filter(|_| reads.must_wait(Some(FLOOD), HERE, &only)).count();
        assert!((0..10).all(|_| !reads.must_wait(None, HERE, &only)), "new connections do not wait either");
        reads.see(FLOOD);
        assert_eq!(waiting(), 0);
        reads.see(QUIET);
        assert_eq!(waiting(), 10 - AT_ONCE);
    }

    #[test]
    fn connections_of_a_partner_keep_their_order() {
        let reads = FairReads::new(1);
        let ((rounds, _), (first, woken), (late, _)) = (connection(), connection(), connection());
        assert_eq!((0..10).filter(|_| reads.must_wait(Some(FLOOD), HERE, &first)).count(), 6);
        assert_eq!((round(&reads, &rounds), count(&woken)), (AT_ONCE, 4));
        assert!(reads.must_wait(Some(FLOOD), HERE, &late), "two are already waiting");
        assert_eq!((round(&reads, &rounds), count(&woken)), (3, 6));
        assert!(!reads.must_wait(Some(FLOOD), HERE, &late));
    }

    #[test]
    fn connections_of_strangers_are_served_round_robin_by_address() {
        let reads = FairReads::new(1);
        let ((rounds, _), (flood, _), (quiet, _)) = (connection(), connection(), connection());
        round(&reads, &rounds);
        let waiting = (0..10).filter(|_| reads.must_wait(None, HERE, &flood)).count();
        assert_eq!(waiting, 10 - AT_ONCE);
        assert!(!reads.must_wait(None, IpAddr::from([192, 0, 2, 1]), &quiet));
    }
}
