//! How much a step of a large unit writes.
//!
//! A large unit that can be divided is written in steps, each a transaction. There is one writer on SQLite, and other
//! units wait for the current step, its commit included: so a step ends once it has had its share of the writer while
//! others wait. While no unit waits it continues up to a limit, since one may arrive just before it commits. On
//! PostgreSQL, where others wait for the rows that it has locked, there is a limit on rows as well
//! ([`Tx::part_of`](crate::engine::tx::Tx::part_of)).
//!
//! Both limits are times. A step cannot know how long its own commit will take, and for users that is most of it: the
//! commit updates the search index. So the time for a row is learned from the unit's previous steps, from their
//! beginning to the end of their commit ([`StepCost`](crate::engine::pace::StepCost)), and a step counts its rows in a `Pace` and asks
//! [`Tx::is_step_over`](crate::engine::tx::Tx::is_step_over).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a step occupies the writer while others wait, its commit included.
const SHARE: Duration = Duration::from_millis(40);

/// The same while nobody waits: the longest wait of a unit that arrives just before the commit.
const MOST: Duration = Duration::from_millis(120);

/// The limits of the steps of one kind of unit.
#[derive(Debug, Clone, Copy)]
pub struct StepLimits {
    /// Minimum number of rows before a step ends because others wait. Each step has its own commit, and fewer rows
    /// would share fewer pages.
    least: usize,
    /// Maximum number of rows of a step.
    most: usize,
    /// The assumed time for a row, until a step has been measured.
    row: Duration,
}

impl StepLimits {
    /// Bulk operations. The commit of a step updates the search index, which takes up to ten times as long as writing
    /// the rows.
    pub const BULK_OPERATION: Self = Self { least: 100, most: 2_000, row: Duration::from_micros(300) };
    /// Lists of permissions: small rows without a search index.
    pub const PERMISSIONS: Self = Self { least: 500, most: 20_000, row: Duration::from_micros(25) };
    /// Imports, whose batches are limited by the caller.
    pub const IMPORT: Self = Self { least: 500, most: usize::MAX, row: Duration::ZERO };

    /// The number of rows that take `time`, within the limits.
    fn rows_in(&self, time: Duration, row: Duration) -> usize {
        let rows = time.as_nanos().checked_div(row.as_nanos()).unwrap_or_default();
        usize::try_from(rows).unwrap_or(usize::MAX).clamp(self.least, self.most)
    }
}

/// What a row has cost in the previous steps of a large unit.
#[derive(Debug)]
pub struct StepCost {
    limits: StepLimits,
    /// Nanoseconds.
    row: AtomicU64,
}

impl StepCost {
    /// Begins with the assumed time.
    pub fn new(limits: StepLimits) -> Self {
        Self { limits, row: AtomicU64::new(nanos(limits.row)) }
    }

    /// Begins a step.
    pub fn start(&self) -> Pace {
        let row = Duration::from_nanos(self.row.load(Ordering::Relaxed));
        Pace {
            begun: Instant::now(),
            rows: 0,
            least: self.limits.least,
            share: self.limits.rows_in(SHARE, row),
            most: if row.is_zero() { self.limits.most } else { self.limits.rows_in(MOST, row) },
        }
    }

    /// Records a step that is committed. The average changes by half: one slow commit does not make all later steps
    /// small.
    pub fn learn(&self, pace: &Pace) {
        let Ok(rows @ 1..) = u64::try_from(pace.rows) else { return };
        let row = nanos(pace.begun.elapsed()) / rows;
        self.row.store(u64::midpoint(self.row.load(Ordering::Relaxed), row), Ordering::Relaxed);
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The progress of a step.
#[derive(Debug, Clone)]
pub struct Pace {
    begun: Instant,
    rows: usize,
    least: usize,
    share: usize,
    most: usize,
}

impl Pace {
    /// Begins a step whose cost is not measured.
    pub fn start(limits: StepLimits) -> Self {
        StepCost::new(limits).start()
    }

    /// Adds written rows.
    pub fn add(&mut self, rows: usize) {
        self.rows += rows;
    }

    /// The number of written rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The maximum number of rows.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// Whether it ends if others wait. The time is for rows that turn out to be expensive before their commit.
    pub(crate) fn has_had_its_share(&self) -> bool {
        self.rows >= self.share || (self.rows >= self.least && self.begun.elapsed() >= SHARE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace_after(rows: usize, took: Duration) -> (usize, usize) {
        let cost = StepCost::new(StepLimits::BULK_OPERATION);
        for _ in 0..40 {
            let begun = Instant::now().checked_sub(took).unwrap();
            cost.learn(&Pace { begun, rows, least: 0, share: 0, most: 0 });
        }
        let pace = cost.start();
        (pace.share, pace.most)
    }

    #[test]
    fn expensive_rows_make_steps_smaller_and_cheap_ones_larger() {
        let limits = StepLimits::BULK_OPERATION;
        let (share, most) = pace_after(100, Duration::from_millis(20));
        assert!((150..=200).contains(&share), "40 ms at 0.2 ms: {share}");
        assert!((500..=600).contains(&most), "120 ms at 0.2 ms: {most}");
        assert_eq!(pace_after(100, Duration::from_secs(10)), (limits.least, limits.least));
        let cheap = pace_after(1_000_000, Duration::from_millis(1));
        assert_eq!(cheap, (limits.most, limits.most));
    }

    #[test]
    fn a_step_without_rows_teaches_nothing() {
        let cost = StepCost::new(StepLimits::PERMISSIONS);
        let before = cost.row.load(Ordering::Relaxed);
        cost.learn(&cost.start());
        assert_eq!(cost.row.load(Ordering::Relaxed), before);
    }

    #[test]
    fn an_import_has_a_share_of_rows_only() {
        let pace = Pace::start(StepLimits::IMPORT);
        assert_eq!((pace.share, pace.most), (500, usize::MAX));
    }
}
