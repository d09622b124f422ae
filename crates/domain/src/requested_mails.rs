//! Limits of the mails to a user that somebody asks for: a mailbox must not be flooded.

use std::time::Duration;

use tenantry_core::clock::{DAY, Millis, SLACK};
use tenantry_core::error::Result;
use tenantry_core::model::UserId;
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::requested_mails as stored;
use tenantry_store::tables::requested_mails::MailKind;
use tenantry_store::tables::users;

/// How many mails of a kind a user may get.
#[derive(Debug, Clone, Copy)]
pub(super) struct MailLimit {
    /// What is mailed.
    pub(super) kind: MailKind,
    /// Minimum interval between two.
    pub(super) pause: Millis,
    /// Maximum number per day.
    pub(super) per_day: usize,
}

impl MailLimit {
    /// Counts a mail to a user, unless there were too many: then how long to wait.
    pub(super) fn count(&self, tx: &mut Tx<'_>, user_id: UserId) -> Result<Option<Duration>> {
        // The decision depends on rows of another table.
        users::lock_row(tx, user_id)?;
        let now = tx.steady();
        let sent = stored::list(tx, user_id, self.kind, now - DAY)?;
        // One that is ahead of a clock that was set back counts for the day, and does not put off the next one until
        // then.
        let newest = sent.first().filter(|&&at| at <= now + SLACK).map(|at| at + self.pause);
        let oldest = sent.last().filter(|_| sent.len() >= self.per_day).map(|at| at + DAY);
        let free_at = newest.into_iter().chain(oldest).max().filter(|at| *at > now);
        if let Some(at) = free_at {
            let wait = (at - now).clamp(1, DAY);
            return Ok(Some(Duration::from_millis(u64::try_from(wait).unwrap_or(1))));
        }
        stored::insert(tx, user_id, self.kind, now - DAY)?;
        Ok(None)
    }
}
