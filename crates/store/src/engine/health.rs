//! Whether writes can be stored at present, as shown by the last commit.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tenantry_core::error::Error;

/// How often a write is attempted again while there are requests.
const PROBING: Duration = Duration::from_secs(5);

/// The known state.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// Read on every commit.
    is_failing: AtomicBool,
    state: Mutex<HealthState>,
}

#[derive(Debug, Default)]
struct HealthState {
    reason: Option<Cow<'static, str>>,
    probed: Option<Instant>,
}

impl Health {
    fn state(&self) -> MutexGuard<'_, HealthState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A commit failed; returns whether that is new.
    pub(crate) fn failed(&self, error: &Error) -> bool {
        let reason = match error {
            Error::Unavailable { what, .. } => what.clone(),
            // The cause is only for the log.
            _ => Cow::Borrowed("the server cannot store anything: the last attempt failed"),
        };
        let mut state = self.state();
        let is_news = state.reason.as_ref() != Some(&reason);
        state.reason = Some(reason);
        self.is_failing.store(true, Ordering::SeqCst);
        is_news
    }

    /// A commit succeeded.
    pub(crate) fn stored(&self) {
        if self.is_failing() {
            *self.state() = HealthState::default();
            self.is_failing.store(false, Ordering::SeqCst);
            tracing::info!("the database accepts writes again");
        }
    }

    /// Whether the last commit failed.
    pub(crate) fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }

    /// Whether the last commit failed and it is time to attempt another one.
    pub(crate) fn is_probe_due(&self, now: Instant) -> bool {
        let mut state = self.state();
        let is_due = state.reason.is_some()
            && state.probed.is_none_or(|probed| now.saturating_duration_since(probed) >= PROBING);
        if is_due {
            state.probed = Some(now);
        }
        is_due
    }

    /// Why nothing can be stored, if so.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match &self.state().reason {
            None => Ok(()),
            Some(what) => Err(Error::Unavailable { what: what.clone(), retry_after: PROBING }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_commit_is_known_until_one_succeeds() {
        let (health, now) = (Health::default(), Instant::now());
        assert!(!health.is_probe_due(now) && health.check().is_ok());
        let full = || Error::Unavailable { what: "full".into(), retry_after: Duration::from_secs(1) };
        assert!(health.failed(&full()) && !health.failed(&full()), "the same is told once");
        assert!(health.failed(&Error::internal("secret cause")));
        let said = health.check().unwrap_err().to_string();
        assert!(said.contains("the last attempt failed") && !said.contains("secret"), "{said}");
        assert!(health.is_probe_due(now) && !health.is_probe_due(now + PROBING / 2));
        assert!(health.is_probe_due(now + PROBING));
        health.stored();
        assert!(health.check().is_ok() && !health.is_failing() && !health.is_probe_due(now + 2 * PROBING));
    }
}
