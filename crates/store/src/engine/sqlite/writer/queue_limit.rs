//! How many units may wait for the writer.

use std::time::{Duration, Instant};

use super::BATCH;

/// The target waiting time of a burst: as many units as the writer has recently done in this time may wait. More are
/// refused with `Error::Unavailable`, so that under any load accepted units are done soon.
const QUEUE_TIME: Duration = Duration::from_millis(50);

/// Minimum limit for a burst: a batch, and one more beside it.
const SHORTEST_QUEUE: usize = 2 * BATCH;

/// Maximum limit.
pub(super) const LONGEST_QUEUE: usize = 4_096;

/// A writer that was busy for this long has more than a burst to do. A long queue would then never become shorter: it
/// would only add latency.
const BURST: Duration = Duration::from_millis(100);

/// The target waiting time then, including the units in progress. The minimum keeps the writer busy, and 64 clients
/// that wait for their responses are never refused.
const STANDING: usize = 5;
const SHORTEST_STANDING: usize = 96;
/// Minimum limit then, beside the units in progress.
const ALWAYS: usize = 32;

/// The limit of the queue, derived from the duration of the last units.
pub(super) struct QueueLimit {
    /// Units in [`QUEUE_TIME`]: an average that a single slow or small batch does not change much.
    pub(super) fit: usize,
    /// Since when there was always a next unit at the end of a batch.
    pub(super) busy_since: Option<Instant>,
}

impl QueueLimit {
    pub(super) fn is_overloaded(&self, now: Instant) -> bool {
        self.busy_since.is_some_and(|since| now.duration_since(since) >= BURST)
    }

    /// The limit while this many units are in progress.
    pub(super) fn beside(&self, units: usize, now: Instant) -> usize {
        if self.is_overloaded(now) {
            (self.fit / STANDING).max(SHORTEST_STANDING).saturating_sub(units).max(ALWAYS)
        } else {
            self.fit.max(SHORTEST_QUEUE)
        }
    }

    /// Records a batch.
    pub(super) fn learn(&mut self, units: usize, begun: Instant, now: Instant) {
        let took = now.duration_since(begun);
        let fit = QUEUE_TIME.as_nanos().saturating_mul(units as u128) / took.as_nanos().max(1);
        let fit = usize::try_from(fit).unwrap_or(LONGEST_QUEUE).clamp(1, LONGEST_QUEUE);
        self.fit = (self.fit * 7 + fit) / 8;
        self.busy_since.get_or_insert(begun);
    }

    /// The queue is empty, or a large unit was done, whose duration says nothing about others.
    pub(super) fn rest(&mut self) {
        self.busy_since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_may_queue_longer_than_constant_overload() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut limit = QueueLimit { fit: SHORTEST_QUEUE, busy_since: None };
        // 5 units a millisecond, 250 in [`QUEUE_TIME`].
        for n in 0..5 {
            assert_eq!(limit.beside(100, at(n * 20)), SHORTEST_QUEUE, "{n}");
            limit.learn(100, at(n * 20), at(n * 20 + 20));
        }
        let now = at(100);
        let limits = [0, 40, 100].map(|units| limit.beside(units, now));
        assert_eq!(limits, [SHORTEST_STANDING, SHORTEST_STANDING - 40, ALWAYS]);
        // After a rest it is a burst again.
        limit.rest();
        assert_eq!(limit.beside(100, now), SHORTEST_QUEUE);
    }

    #[test]
    fn a_fast_writer_lets_more_wait_within_bounds() {
        let start = Instant::now();
        let mut limit = QueueLimit { fit: LONGEST_QUEUE, busy_since: None };
        // 64 a millisecond: 3,200 in [`QUEUE_TIME`].
        for _ in 0..100 {
            limit.learn(64, start, start + Duration::from_millis(1));
        }
        assert!((600..=680).contains(&limit.beside(0, start + BURST)));
        assert!((3_100..=LONGEST_QUEUE).contains(&limit.beside(0, start)));
    }
}
