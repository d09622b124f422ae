//! The time, passed as an argument: nothing else in the crate reads the system clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

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

/// A source of the current time. Clones share it.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    /// The system clock.
    System {
        /// Added to the machine's time, in milliseconds.
        correction: Arc<AtomicI64>,
        /// By how much the machine's clock is off, in tests.
        wrong: Millis,
    },
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The system clock.
    pub fn system() -> Self {
        Self::system_off_by(0)
    }

    /// The system clock of a machine whose clock is off by `wrong`: for tests.
    pub fn system_off_by(wrong: Millis) -> Self {
        Self(Source::System { correction: Arc::default(), wrong })
    }

    /// A clock that stays at `start` until it is advanced: for tests.
    pub fn manual(start: Millis) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(start))))
    }

    /// Advances a manual clock; does nothing to a system clock.
    pub fn advance(&self, by: Millis) {
        if let Source::Manual(now) = &self.0 {
            now.fetch_add(by, Ordering::SeqCst);
        }
    }

    /// Milliseconds since 1970.
    pub fn now(&self) -> Millis {
        match &self.0 {
            Source::System { correction, .. } => self.machine() + correction.load(Ordering::Relaxed),
            Source::Manual(now) => now.load(Ordering::SeqCst),
        }
    }

    /// The machine's own time, uncorrected.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system clock")]
    pub fn machine(&self) -> Millis {
        let system = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX));
        match self.0 {
            Source::System { wrong, .. } => system + wrong,
            Source::Manual(_) => system,
        }
    }

    /// Synchronizes this clock with another one, so that all processes over one database have the same time: the other
    /// clock read `theirs` at some moment between `before` and `after` of [`Clock::machine`]. Returns by how much this
    /// clock was moved: 0 if it may be right already, since a slow response is imprecise and time should not go back
    /// for it. A manual clock is unchanged.
    pub fn follow(&self, before: Millis, theirs: Millis, after: Millis) -> Millis {
        let Source::System { correction, .. } = &self.0 else { return 0 };
        // Both clocks have millisecond resolution.
        let (least, most) = (theirs - after - 1, theirs - before + 1);
        let present = correction.load(Ordering::Relaxed);
        if (least..=most).contains(&present) {
            return 0;
        }
        let followed = least.midpoint(most);
        correction.store(followed, Ordering::Relaxed);
        followed - present
    }
}

/// A point in time as RFC 3339 in UTC, with milliseconds.
pub fn rfc3339(at: Millis) -> String {
    jiff::Timestamp::from_millisecond(at)
        .map_or_else(|_| String::from("9999-12-31T23:59:59.999Z"), |t| format!("{t:.3}"))
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
        // A slow response that does not contradict the clock moves nothing.
        assert_eq!(clock.follow(now, now - HOUR + 1_500, now + 3_000), 0);
        assert_eq!(clock.follow(now, now - HOUR + 2_000, now), HOUR + 5 - HOUR + 2_000);
        let manual = Clock::manual(5);
        assert_eq!((manual.follow(0, 1_000, 0), manual.now()), (0, 5));
    }
}
