//! The time, as an argument: nothing else in the crate asks the system for it.

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

/// Tells the time. Clones tell the same time.
#[derive(Debug, Clone)]
pub struct Clock(Source, Millis);

#[derive(Debug, Clone)]
enum Source {
    /// The system's clock, corrected by so many milliseconds.
    System(Arc<AtomicI64>),
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self::system_off_by(0)
    }

    /// The system's clock of a machine where it goes wrong by so much: for tests.
    pub fn system_off_by(wrong: Millis) -> Self {
        Self(Source::System(Arc::new(AtomicI64::new(0))), wrong)
    }

    /// A clock that stands at `start` until it is moved: for tests.
    pub fn manual(start: Millis) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(start))), 0)
    }

    /// Moves a manual clock forward; a system clock goes by itself.
    pub fn advance(&self, by: Millis) {
        if let Source::Manual(now) = &self.0 {
            now.fetch_add(by, Ordering::SeqCst);
        }
    }

    /// Milliseconds since 1970.
    pub fn now(&self) -> Millis {
        match &self.0 {
            Source::System(correction) => self.machine() + correction.load(Ordering::Relaxed),
            Source::Manual(now) => now.load(Ordering::SeqCst),
        }
    }

    /// What this machine says, uncorrected.
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
    pub fn machine(&self) -> Millis {
        let system = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX));
        system + self.1
    }

    /// Corrects the machine's clock by so much, so that all processes over one database tell the same time; how much
    /// further it now is from what it was. A manual clock stays as it is.
    pub fn follow(&self, correction: Millis) -> Millis {
        match &self.0 {
            Source::System(present) => correction - present.swap(correction, Ordering::Relaxed),
            Source::Manual(_) => 0,
        }
    }
}

/// A point in time as RFC 3339 in UTC, with milliseconds.
pub fn rfc3339(at: Millis) -> String {
    jiff::Timestamp::from_millisecond(at)
        .map_or_else(|_| String::from("9999-12-31T23:59:59.999Z"), |t| format!("{t:.3}"))
}
