//! Rate-limited log lines of requests refused under overload: one per second and cause. A line for each would cost as
//! much as the refusal itself and add no information.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Minimum interval between two lines of the same cause.
const PAUSE: Duration = Duration::from_secs(1);

/// Maximum number of causes; there are about ten. The one that was logged first is evicted.
const KEPT: usize = 32;

/// Recent log lines by cause.
#[derive(Debug, Default)]
pub(super) struct LogLimiter(Mutex<Vec<Logged>>);

#[derive(Debug)]
struct Logged {
    what: String,
    at: Instant,
    suppressed: u64,
}

impl LogLimiter {
    /// Records a refusal. If it should be logged, returns the number of suppressed lines of its cause since the last
    /// one.
    pub(super) fn note(&self, what: &str, now: Instant) -> Option<u64> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = all.iter_mut().find(|known| known.what == what) else {
            if all.len() == KEPT
                && let Some((first, _)) = all.iter().enumerate().min_by_key(|(_, known)| known.at)
            {
                all.swap_remove(first);
            }
            all.push(Logged { what: what.to_owned(), at: now, suppressed: 0 });
            return Some(0);
        };
        if now.saturating_duration_since(known.at) < PAUSE {
            known.suppressed += 1;
            return None;
        }
        known.at = now;
        Some(std::mem::take(&mut known.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_per_second_and_cause_with_the_number_of_suppressed_lines() {
        let (limiter, start) = (LogLimiter::default(), Instant::now());
        let note = |what: &'static str, ms| limiter.note(what, start + Duration::from_millis(ms));
        assert_eq!(note("writes", 0), Some(0));
        assert_eq!((note("writes", 1), note("writes", 999)), (None, None));
        assert_eq!((note("scans", 999), note("scans", 1_000)), (Some(0), None));
        assert_eq!((note("writes", 1_000), note("writes", 1_001)), (Some(2), None));
        assert_eq!(note("writes", 60_000), Some(1));
    }

    #[test]
    fn causes_are_bounded() {
        let (limiter, start) = (LogLimiter::default(), Instant::now());
        for n in 0..100 {
            limiter.note(&format!("cause {n}"), start + Duration::from_millis(n));
        }
        assert_eq!(limiter.0.lock().unwrap().len(), KEPT);
        assert_eq!(limiter.note("cause 99", start), None);
    }
}
