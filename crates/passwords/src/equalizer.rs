//! Decides when a refused login is answered, so that response times reveal nothing about the user (B23, docs/adr/0021).

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::HashCost;
use crate::cost::{Work, WorkKind};

/// An ordinary hash is expected to be done within this multiple of its usual time. If it takes longer, because others
/// wait, the response is later by that much, whoever the user is.
const HEADROOM: f64 = 1.5;
/// Time after the ordinary hash, in ordinary hashes: for a cheap imported hash, and for the write of a refusal.
const ALLOWANCE: f64 = 1.25;
/// If expensive hashes are stored: time for this many of the most expensive one. It covers the login's own, one of
/// another partner that is being computed, and some slack.
const EXPENSIVE_ALLOWANCE: f64 = 2.5;
/// The minimum of that time.
const LEAST_EXPENSIVE_ALLOWANCE: Duration = Duration::from_millis(250);
/// The fraction of the time reserved for the write after an expensive hash.
const RESERVE: f64 = 0.125;
/// The weight of a new measurement in the running mean.
const WEIGHT: f64 = 0.125;
/// The mean must differ by this fraction from the value in use before that changes, so that refusals stay at one
/// moment.
const TOLERANCE: f64 = 0.25;
/// The maximum factor by which a busy machine is assumed to slow expensive hashes down.
const MOST_LOAD: f64 = 4.0;

/// Decides the moment at which refused logins are answered.
///
/// That moment depends on when the login began, on how long its ordinary hash had to wait, and on which expensive
/// hashes are stored; never on the user.
#[derive(Debug)]
pub struct TimingEqualizer(Mutex<Timings>);

#[derive(Debug)]
struct Timings {
    /// The time of one of our own hashes: the value in use, and the running mean.
    ordinary: Duration,
    recent: Option<Duration>,
    /// By kind of work; `None` until it was measured.
    units: [Option<Unit>; WorkKind::ALL.len()],
    /// Kinds that are being or were measured.
    begun: [bool; WorkKind::ALL.len()],
}

/// The measured time of a unit of work.
#[derive(Debug, Clone, Copy)]
struct Unit {
    nanos: f64,
    /// The time of an ordinary hash at that moment.
    ordinary: Duration,
}

/// The deadlines of an expensive hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// If it has not begun by then, it is not computed.
    pub begin: Instant,
    /// If it is not done by then, the login is refused, whatever the result.
    pub end: Instant,
}

impl TimingEqualizer {
    pub(super) fn new(cost: HashCost) -> Self {
        let ordinary = Work::of(cost).assumed_time();
        let (units, begun) = ([None; WorkKind::ALL.len()], [false; WorkKind::ALL.len()]);
        Self(Mutex::new(Timings { ordinary, recent: None, units, begun }))
    }

    fn timings(&self) -> MutexGuard<'_, Timings> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the duration of one of our own hashes.
    pub(super) fn learn_ordinary(&self, took: Duration) {
        let mut timings = self.timings();
        let Some(recent) = timings.recent else {
            (timings.ordinary, timings.recent) = (took, Some(took));
            return;
        };
        // A hiccup of the machine counts as a slow hash, not as a very slow one.
        let took = took.min(timings.ordinary * 4);
        let recent = recent.mul_f64(1.0 - WEIGHT) + took.mul_f64(WEIGHT);
        timings.recent = Some(recent);
        let change = recent.as_secs_f64() / timings.ordinary.as_secs_f64().max(1e-9) - 1.0;
        if change.abs() > TOLERANCE {
            timings.ordinary = recent;
        }
    }

    /// Records the duration of some work.
    pub(super) fn learn_work(&self, work: Work, took: Duration) {
        let mut timings = self.timings();
        let (nanos, ordinary) = (took.as_nanos() as f64 / work.amount.max(1) as f64, timings.ordinary);
        if let Some(unit) = timings.units.get_mut(index(work.kind)) {
            *unit = Some(Unit { nanos, ordinary });
        }
    }

    /// Whether the caller is the first one, and so has to measure this kind of work.
    pub fn begins_calibration(&self, kind: WorkKind) -> bool {
        self.timings().begun.get_mut(index(kind)).is_some_and(|begun| !std::mem::replace(begun, true))
    }

    /// Allows another caller to measure this kind, after a failure.
    pub fn give_up_calibration(&self, kind: WorkKind) {
        if let Some(begun) = self.timings().begun.get_mut(index(kind)) {
            *begun = false;
        }
    }

    /// The moment at which to answer a refused login that began at `begun` and whose ordinary hash was done at
    /// `hashed`; `stored` is the most expensive hash of each kind that any user has.
    pub fn refusal_time(&self, begun: Instant, hashed: Instant, stored: &[Work]) -> Instant {
        let timings = self.timings();
        let (from, ordinary) = (timings.from(begun, hashed), timings.ordinary.mul_f64(ALLOWANCE));
        from + ordinary + timings.allowance(stored)
    }

    /// The deadlines of an expensive hash for such a login.
    pub fn deadlines(&self, begun: Instant, hashed: Instant, stored: &[Work], own: Work) -> Deadlines {
        let timings = self.timings();
        let end = timings.from(begun, hashed) + timings.allowance(stored).mul_f64(1.0 - RESERVE);
        Deadlines { begin: end.checked_sub(timings.time_of(own)).unwrap_or(begun), end }
    }
}

impl Timings {
    fn from(&self, begun: Instant, hashed: Instant) -> Instant {
        hashed.max(begun + self.ordinary.mul_f64(HEADROOM))
    }

    /// The time for expensive hashes.
    fn allowance(&self, stored: &[Work]) -> Duration {
        let most = stored.iter().map(|work| self.time_of(*work)).max();
        most.map_or(Duration::ZERO, |most| most.mul_f64(EXPENSIVE_ALLOWANCE).max(LEAST_EXPENSIVE_ALLOWANCE))
    }

    fn time_of(&self, work: Work) -> Duration {
        let (time, ordinary) = match self.units.get(index(work.kind)).copied().flatten() {
            Some(unit) => (Duration::from_secs_f64(unit.nanos * work.amount as f64 / 1e9), unit.ordinary),
            None => (work.assumed_time(), Work::of(HashCost::OWASP).assumed_time()),
        };
        let load = self.ordinary.as_secs_f64() / ordinary.as_secs_f64().max(1e-9);
        time.mul_f64(load.clamp(1.0, MOST_LOAD))
    }
}

fn index(kind: WorkKind) -> usize {
    kind as usize - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    fn equalizer() -> TimingEqualizer {
        let equalizer = TimingEqualizer::new(HashCost::OWASP);
        equalizer.learn_ordinary(20 * MILLI);
        equalizer
    }

    fn bcrypt(cost: u32) -> Work {
        Work { kind: WorkKind::Bcrypt, amount: 1 << cost }
    }

    #[test]
    fn refusals_are_answered_at_one_moment_independent_of_their_hash() {
        let (equalizer, begun) = (equalizer(), Instant::now());
        for stored in [vec![], vec![bcrypt(12)]] {
            let at = |hashed: u32| equalizer.refusal_time(begun, begun + hashed * MILLI, &stored);
            assert_eq!([1, 18, 20, 29].map(at), [at(0); 4]);
            // If the hash had to wait, every refusal waits as long.
            assert_eq!(at(130) - at(30), 100 * MILLI);
        }
        assert_eq!(equalizer.refusal_time(begun, begun, &[]) - begun, 55 * MILLI);
    }

    #[test]
    fn the_measured_time_of_the_most_expensive_hash_decides() {
        let (equalizer, begun) = (equalizer(), Instant::now());
        let wait = |stored: &[Work]| equalizer.refusal_time(begun, begun, stored) - begun;
        let assumed = wait(&[bcrypt(12), bcrypt(9)]);
        assert!(assumed > bcrypt(12).assumed_time() * 2, "{assumed:?} before anything was measured");
        equalizer.learn_work(bcrypt(8), 10 * MILLI);
        assert_eq!(wait(&[bcrypt(12)]), (55 + 400) * MILLI);
        assert_eq!(wait(&[bcrypt(12), bcrypt(13)]), (55 + 800) * MILLI);
        assert_eq!(wait(&[bcrypt(9)]), (55 + 250) * MILLI, "there is a minimum");
        // A kind that is cheap on this machine does not shorten it.
        let scrypt = Work { kind: WorkKind::Scrypt, amount: 1 << 20 };
        equalizer.learn_work(scrypt, 30 * MILLI);
        assert_eq!(wait(&[scrypt, bcrypt(13)]), (55 + 800) * MILLI);
    }

    #[test]
    fn an_expensive_hash_ends_before_the_refusal_or_is_not_started() {
        let (equalizer, begun) = (equalizer(), Instant::now());
        equalizer.learn_work(bcrypt(8), 10 * MILLI);
        let stored = [bcrypt(12)];
        let refusal = equalizer.refusal_time(begun, begun, &stored);
        let deadlines = equalizer.deadlines(begun, begun, &stored, bcrypt(12));
        assert_eq!(deadlines.end - begun, (30 + 350) * MILLI);
        assert_eq!(deadlines.end - deadlines.begin, 160 * MILLI);
        assert!(deadlines.end < refusal);
        // A cost that was not recorded gets no more time, though it needs more.
        let unknown = equalizer.deadlines(begun, begun, &[], bcrypt(13));
        assert_eq!(unknown.end - begun, 30 * MILLI);
        assert!(unknown.begin < begun);
    }

    #[test]
    fn a_kind_is_measured_once() {
        let equalizer = equalizer();
        assert!(equalizer.begins_calibration(WorkKind::Bcrypt));
        assert!(!equalizer.begins_calibration(WorkKind::Bcrypt));
        assert!(equalizer.begins_calibration(WorkKind::Scrypt));
        equalizer.give_up_calibration(WorkKind::Bcrypt);
        assert!(equalizer.begins_calibration(WorkKind::Bcrypt));
    }

    #[test]
    fn a_busy_machine_is_detected_and_a_hiccup_is_not() {
        let (equalizer, begun) = (equalizer(), Instant::now());
        equalizer.learn_work(bcrypt(8), 10 * MILLI);
        let wait = || equalizer.refusal_time(begun, begun, &[bcrypt(12)]) - begun;
        let calm = wait();
        for took in [18, 23, 17, 1_000] {
            equalizer.learn_ordinary(took * MILLI);
        }
        equalizer.learn_ordinary(20 * MILLI);
        assert!(wait() < calm * 2, "{:?}", wait());
        for _ in 0..100 {
            equalizer.learn_ordinary(60 * MILLI);
        }
        assert!(wait() > calm * 2, "{:?}", wait());
        for _ in 0..100 {
            equalizer.learn_ordinary(20 * MILLI);
        }
        let (again, tolerance) = (wait().as_secs_f64(), calm.as_secs_f64() * TOLERANCE);
        assert!((again - calm.as_secs_f64()).abs() <= tolerance * 1.5, "{again}");
    }
}
