//! How much a step of a large unit writes.
//!
//! A large unit that can be divided is written in steps, each a transaction. There is one writer on SQLite, and other
//! units wait for the current step: so a step ends once it has written its share while others wait. It has a share at
//! all because each step has its own commit, and fewer rows would share fewer pages. While no unit waits it continues
//! up to a limit, since one may arrive just before it commits. On PostgreSQL, where others wait for the rows that it
//! has locked, that limit is lower ([`Tx::part_of`](crate::engine::tx::Tx::part_of)).
//!
//! A step counts its rows in a `Pace`, and asks [`Tx::is_step_over`](crate::engine::tx::Tx::is_step_over).

use std::time::{Duration, Instant};

/// The limits of the steps of one kind of unit.
#[derive(Debug, Clone, Copy)]
pub struct StepLimits {
    /// The number of rows that a step writes even while others wait.
    share: usize,
    /// The share also ends after this time.
    time: Option<Duration>,
    /// Maximum number of rows of a step.
    most: usize,
}

impl StepLimits {
    /// Bulk operations. The commit of a step updates the search index, which takes up to ten times as long as writing
    /// the rows (200 us for each).
    pub const BULK_OPERATION: Self = Self { share: 250, time: Some(Duration::from_millis(25)), most: 2_000 };
    /// Lists of permissions: small rows without a search index, 2,000 in some 50 ms.
    pub const PERMISSIONS: Self = Self { share: 2_000, time: None, most: 20_000 };
    /// Imports, whose batches are limited by the caller.
    pub const IMPORT: Self = Self { share: 500, time: None, most: usize::MAX };
}

/// The progress of a step.
#[derive(Debug)]
pub struct Pace {
    limits: StepLimits,
    begun: Instant,
    rows: usize,
}

impl Pace {
    /// Begins a step.
    pub fn start(limits: StepLimits) -> Self {
        Self { limits, begun: Instant::now(), rows: 0 }
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
        self.limits.most
    }

    /// Whether it ends if others wait.
    pub(crate) fn has_had_its_share(&self) -> bool {
        self.rows >= self.limits.share || self.limits.time.is_some_and(|time| self.begun.elapsed() >= time)
    }
}
