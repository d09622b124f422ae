//! The time, passed as an argument: nothing else in the crate reads the system clock.
//!
//! The machine's clock can be set while the process runs. So a clock tells three times ([`Reading`](crate::clock::Reading)): one that is shown,
//! one for waiting and one for expiring.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type Millis = i64;

/// One second, in [`Millis`].
pub const SECOND: Millis = 1_000;
/// One minute, in [`Millis`].
pub const MINUTE: Millis = 60 * SECOND;
/// One hour, in [`Millis`].
pub const HOUR: Millis = 60 * MINUTE;
/// One day, in [`Millis`].
pub const DAY: Millis = 24 * HOUR;

/// By how much clocks of processes over one database may differ: a stored time that is further ahead was stored before
/// the clock was set back.
pub const SLACK: Millis = 5 * SECOND;

/// The times of one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The time of day, for times that are shown. It jumps when the machine's clock is set.
    pub now: Millis,
    /// For measuring how long something lasts: limits, delays, leases. In a process that has its database to itself it
    /// is monotonic, and begins with the time of day at the start. Processes that share a database measure by its clock,
    /// so a stored time can be ahead after that was set back, as after a restart: readers of such times bound them.
    pub steady: Millis,
    /// For expiry: the later of the time of day and a monotonic one. Setting the clock back does not extend a session
    /// or make an expired one valid again.
    pub latest: Millis,
}

impl Reading {
    /// The reading of a clock that was never set.
    pub fn at(now: Millis) -> Self {
        Self { now, steady: now, latest: now }
    }
}

/// A source of the current time. Clones share it.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Source>);

#[derive(Debug)]
enum Source {
    /// The system clock.
    System {
        /// When the clock was made, by the monotonic clock and by the machine's.
        start: (Instant, Millis),
        /// Whether it follows the clock of a database, and not the machine's.
        follows: AtomicBool,
        /// Added to the monotonic time to follow another clock, in milliseconds.
        correction: AtomicI64,
        /// The first of these corrections.
        first_correction: AtomicI64,
        /// By how much the machine's clock is off, in tests.
        wrong: Millis,
    },
    Manual {
        now: AtomicI64,
        monotonic: AtomicI64,
        follows: AtomicBool,
    },
}

impl Clock {
    /// The system clock.
    pub fn system() -> Self {
        Self::system_off_by(0)
    }

    /// The system clock of a machine whose clock is off by `wrong`: for tests.
    pub fn system_off_by(wrong: Millis) -> Self {
        Self(Arc::new(Source::System {
            start: (Instant::now(), system() + wrong),
            follows: AtomicBool::new(false),
            correction: AtomicI64::new(0),
            first_correction: AtomicI64::new(0),
            wrong,
        }))
    }

    /// A clock that stays at `start` until it is advanced: for tests.
    pub fn manual(start: Millis) -> Self {
        let (now, monotonic) = (AtomicI64::new(start), AtomicI64::new(start));
        Self(Arc::new(Source::Manual { now, monotonic, follows: AtomicBool::new(false) }))
    }

    /// Advances a manual clock; does nothing to a system clock.
    pub fn advance(&self, by: Millis) {
        if let Source::Manual { now, monotonic, .. } = &*self.0 {
            now.fetch_add(by, Ordering::SeqCst);
            monotonic.fetch_add(by, Ordering::SeqCst);
        }
    }

    /// Sets a manual clock forward or back, as the clock of a machine is set: no time passes. Does nothing to a system
    /// clock.
    pub fn set_by(&self, by: Millis) {
        if let Source::Manual { now, .. } = &*self.0 {
            now.fetch_add(by, Ordering::SeqCst);
        }
    }

    /// The times of this moment.
    pub fn read(&self) -> Reading {
        let (now, monotonic, follows) = match &*self.0 {
            Source::System { follows, correction, first_correction, wrong, .. } => {
                let (own, follows) = (self.machine(), follows.load(Ordering::Relaxed));
                let now = if follows { own + correction.load(Ordering::Relaxed) } else { system() + wrong };
                (now, own + first_correction.load(Ordering::Relaxed), follows)
            }
            Source::Manual { now, monotonic, follows } => {
                let load = |time: &AtomicI64| time.load(Ordering::SeqCst);
                (load(now), load(monotonic), follows.load(Ordering::Relaxed))
            }
        };
        let steady = if follows { now } else { monotonic };
        Reading { now, steady, latest: now.max(monotonic) }
    }

    /// The time of day: milliseconds since 1970.
    pub fn now(&self) -> Millis {
        self.read().now
    }

    /// This process's own time, uncorrected and monotonic: the machine's at the start, and what has passed since.
    pub fn machine(&self) -> Millis {
        match &*self.0 {
            Source::System { start: (at, time), .. } => time.saturating_add(whole_millis(at.elapsed())),
            Source::Manual { monotonic, .. } => monotonic.load(Ordering::SeqCst),
        }
    }

    /// Synchronizes this clock with another one, so that all processes over one database have the same time: the other
    /// clock read `theirs` at some moment between `before` and `after` of [`Clock::machine`]. Returns by how much this
    /// clock was moved: 0 if it may be right already, since a slow response is imprecise and time should not go back
    /// for it. A manual clock keeps its time.
    pub fn follow(&self, before: Millis, theirs: Millis, after: Millis) -> Millis {
        let (follows, correction, first_correction) = match &*self.0 {
            Source::System { follows, correction, first_correction, .. } => {
                (follows, correction, first_correction)
            }
            Source::Manual { follows, .. } => {
                follows.store(true, Ordering::Relaxed);
                return 0;
            }
        };
        // Both clocks have millisecond resolution.
        let (least, most) = (theirs - after - 1, theirs - before + 1);
        let present = correction.load(Ordering::Relaxed);
        let followed = if (least..=most).contains(&present) { present } else { least.midpoint(most) };
        if !follows.load(Ordering::Relaxed) {
            first_correction.store(followed, Ordering::Relaxed);
        }
        correction.store(followed, Ordering::Relaxed);
        follows.store(true, Ordering::Relaxed);
        followed - present
    }
}

/// In 64 bits: `Duration::as_millis` calculates in 128, and every request reads the time.
fn whole_millis(time: Duration) -> Millis {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    seconds.saturating_mul(SECOND).saturating_add(i64::from(time.subsec_millis()))
}

/// The machine's time of day.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the system clock")]
fn system() -> Millis {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, whole_millis)
}

/// A point in time as RFC 3339 in UTC, with milliseconds. Times past the year 9999 are its last moment.
pub fn rfc3339(at: Millis) -> String {
    format!("{:.3}", jiff::Timestamp::from_millisecond(at).unwrap_or(jiff::Timestamp::MAX))
}

/// Parses a point in time as RFC 3339, with `Z` or any offset. Fractions of a millisecond are dropped.
pub fn parse_rfc3339(text: &str) -> Option<Millis> {
    text.parse::<jiff::Timestamp>().ok().map(|at| at.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_corrected_only_if_it_cannot_be_right() {
        let clock = Clock::system_off_by(HOUR);
        let now = clock.machine();
        assert_eq!(clock.follow(now, now - HOUR, now + 10), -HOUR - 5);
        assert!((clock.machine() - clock.now() - HOUR).abs() < SECOND, "it follows the other one");
        let read = clock.read();
        assert_eq!((read.steady, read.latest), (read.now, read.now), "the wrong time counts nowhere");
        // A slow response that does not contradict the clock moves nothing.
        assert_eq!(clock.follow(now, now - HOUR + 1_500, now + 3_000), 0);
        assert_eq!(clock.follow(now, now - HOUR + 2_000, now), HOUR + 5 - HOUR + 2_000);
        let manual = Clock::manual(5);
        assert_eq!((manual.follow(0, 1_000, 0), manual.now()), (0, 5));
    }

    #[test]
    fn what_waits_and_what_expires_does_not_follow_a_clock_that_is_set() {
        let clock = Clock::manual(DAY);
        clock.advance(SECOND);
        assert_eq!(clock.read(), Reading::at(DAY + SECOND));
        clock.set_by(-HOUR);
        let back = Reading { now: 23 * HOUR + SECOND, steady: DAY + SECOND, latest: DAY + SECOND };
        assert_eq!(clock.read(), back);
        clock.set_by(HOUR + DAY);
        let forward = Reading { now: 2 * DAY + SECOND, steady: DAY + SECOND, latest: 2 * DAY + SECOND };
        assert_eq!(clock.read(), forward);
        clock.set_by(-DAY);
        clock.advance(MINUTE);
        assert_eq!(clock.read(), Reading::at(DAY + SECOND + MINUTE), "a mistake leaves nothing behind");
    }

    #[test]
    fn processes_that_share_a_clock_measure_by_it() {
        let clock = Clock::manual(DAY);
        clock.follow(0, 0, 0);
        clock.set_by(-HOUR);
        assert_eq!(clock.read(), Reading { now: 23 * HOUR, steady: 23 * HOUR, latest: DAY });
        // The database's clock is set back by an hour.
        let clock = Clock::system();
        let now = clock.machine();
        clock.follow(now, now, now);
        clock.follow(now, now - HOUR, now);
        let read = clock.read();
        assert_eq!(read.now, read.steady);
        assert!((read.latest - read.now - HOUR).abs() <= 1, "{read:?}");
    }

    #[test]
    fn a_system_clock_follows_the_machine() {
        let read = Clock::system_off_by(-HOUR).read();
        assert!((read.now - system() + HOUR).abs() < MINUTE && (read.steady - read.now).abs() < MINUTE);
    }

    #[test]
    fn times_as_rfc_3339() {
        let at = 1_551_434_400_000;
        for text in ["2019-03-01T10:00:00Z", "2019-03-01T11:00:00.000+01:00", "2019-03-01 10:00:00.0004Z"] {
            assert_eq!(parse_rfc3339(text), Some(at), "{text}");
        }
        for text in [
            "",
            "2019-03-01",
            "2019-03-01T10:00:00",
            "01.03.2019 10:00",
            "1551434400",
            "2019-02-30T10:00:00Z",
        ] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
        for at in [0, 1, at, 253_402_207_200_000] {
            assert_eq!(parse_rfc3339(&rfc3339(at)), Some(at));
        }
        let last = rfc3339(Millis::MAX);
        assert!(last.starts_with("9999-12-30T"), "{last}");
        assert!(parse_rfc3339(&last) >= Some(253_402_207_200_000), "{last}");
    }
}
