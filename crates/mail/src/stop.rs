//! Asks a batch to end early.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// A request to end the batch in progress. Clones share it.
///
/// A mail server may take minutes to answer (RFC 5321 §4.5.3.2), and a process that is told to stop must not wait that long.
/// A message that was handed over completely is the exception: giving up on its answer would send it twice.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<OnceLock<Instant>>);

impl Stop {
    /// Ends the batch in progress, and those that are begun later.
    pub fn request(&self) {
        // The first request counts.
        let _ = self.0.set(Instant::now());
    }

    /// When it was requested, if it was.
    pub fn since(&self) -> Option<Instant> {
        self.0.get().copied()
    }
}
