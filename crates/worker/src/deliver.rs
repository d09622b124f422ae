//! Delivers mail from the outbox.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::requests::issue_requested;
use tenantry_core::error::Result;
use tenantry_domain::outbox::{self, DeliveryOutcome, OutboxEntry};
use tenantry_domain::services::Services;
use tenantry_domain::unit;
use tenantry_mail::{Mailer, SendError, Stop};
use tenantry_store::access::{nobody, system_within};

/// Messages per batch to a directory, whose files are synced together.
const FILES: i64 = 200;

/// Messages per batch to an SMTP server: one connection. A crash in the middle sends at most this many twice.
const MESSAGES: i64 = 50;

/// The outcome of one batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Messages delivered.
    pub delivered: usize,
    /// Messages that will be retried.
    pub failed: usize,
    /// Dead letters: the last attempt failed, or the entry is unreadable.
    pub dead_letters: usize,
    /// Messages not sent because their password had expired.
    pub expired: usize,
    /// Messages not sent because the batch ran out of time.
    pub untried: usize,
    /// More may be due: the batch was full, or ran out of time.
    pub is_full: bool,
}

/// Attempted deliveries whose outcome is still to be stored.
pub(super) struct Sent {
    outcomes: Vec<(OutboxEntry, DeliveryOutcome)>,
    is_full: bool,
}

/// A batch that is being sent on a blocking thread.
pub(super) struct Sending {
    entries: Vec<OutboxEntry>,
    task: Option<JoinHandle<Vec<Result<(), SendError>>>>,
    sent: Sent,
}

impl Sending {
    /// Waits until the batch has ended. Can be dropped and called again.
    pub(super) async fn wait(&mut self) {
        let Some(task) = &mut self.task else { return };
        let sent = task.await.unwrap_or_else(|e| {
            tracing::error!(%e, "a batch of mail failed");
            vec![Err(SendError::temporary("the batch failed")); self.entries.len()]
        });
        self.task = None;
        report(&sent);
        let untried = std::iter::repeat(DeliveryOutcome::Untried);
        let outcomes = sent.iter().map(outcome).chain(untried);
        self.sent.outcomes.extend(self.entries.iter().copied().zip(outcomes));
    }

    /// Renews the leases of its messages.
    pub(super) async fn renew(&self, services: &Services) -> Result<()> {
        outbox::renew(&services.store, &self.entries).await
    }

    /// The outcomes, once it has ended.
    pub(super) fn into_sent(self) -> Sent {
        self.sent
    }
}

/// Sends one batch of due messages and stores the outcomes. Pending forgotten-password requests are turned into
/// messages first.
///
/// After a crash before the outcomes are stored, the batch is sent again, with the same ids: the same files, the same
/// `Message-ID`s.
///
/// # Errors
/// Errors of the store. Messages whose outcome was not stored are sent again.
pub async fn deliver_due(services: &Services, mailer: &Mailer) -> Result<Delivered> {
    let mut sending = begin(services, mailer, outbox::BATCH, &Stop::default()).await?;
    sending.wait().await;
    mark(services, &sending.into_sent()).await
}

/// Turns pending forgotten-password requests into messages, and begins to send one batch of due messages. No message is
/// started after `time`.
pub(super) async fn begin(
    services: &Services,
    mailer: &Mailer,
    time: Duration,
    stop: &Stop,
) -> Result<Sending> {
    issue_requested(services).await?;
    let until = Instant::now() + time;
    let limit = match mailer {
        Mailer::Smtp(_) => MESSAGES,
        Mailer::Directory(_) | Mailer::Memory(_) => FILES,
    };
    let due = outbox::take_due(&services.store, limit).await?;
    let is_full = i64::try_from(due.len()).is_ok_and(|n| n >= limit);
    let (mut outcomes, mut entries, mut mails) = (Vec::new(), Vec::new(), Vec::new());
    for (entry, email) in due {
        match email {
            Ok(email) => {
                entries.push(entry);
                mails.push(email);
            }
            Err(outcome) => outcomes.push((entry, outcome)),
        }
    }
    let (mailer, stop) = (mailer.clone(), stop.clone());
    let task = (!mails.is_empty())
        .then(|| tokio::task::spawn_blocking(move || mailer.send_batch(&mails, until, &stop)));
    Ok(Sending { entries, task, sent: Sent { outcomes, is_full } })
}

fn outcome(sent: &Result<(), SendError>) -> DeliveryOutcome {
    match sent {
        Ok(()) => DeliveryOutcome::Delivered,
        Err(e) => DeliveryOutcome::Failed { refused: e.permanent },
    }
}

/// Logs one line per batch: a server that is down fails every message in the same way.
fn report(sent: &[Result<(), SendError>]) {
    let mut failures = sent.iter().filter_map(|s| s.as_ref().err());
    if let Some(error) = failures.next() {
        let (mails, others) = (sent.len(), failures.count());
        tracing::warn!(%error, mails, others, "mail was not delivered");
    }
}

/// Stores the outcomes. It can be repeated if it fails.
pub(super) async fn mark(services: &Services, sent: &Sent) -> Result<Delivered> {
    let (dead_letters, settled): (Vec<_>, Vec<_>) =
        sent.outcomes.iter().copied().partition(|(entry, outcome)| outbox::is_dead_letter(entry, *outcome));
    let count =
        |wanted: fn(DeliveryOutcome) -> bool| settled.iter().filter(|(_, outcome)| wanted(*outcome)).count();
    let done = Delivered {
        delivered: count(|outcome| outcome == DeliveryOutcome::Delivered),
        failed: count(|outcome| matches!(outcome, DeliveryOutcome::Failed { .. })),
        dead_letters: dead_letters.len(),
        expired: count(|outcome| outcome == DeliveryOutcome::Expired),
        untried: count(|outcome| outcome == DeliveryOutcome::Untried),
        is_full: sent.is_full || settled.iter().any(|(_, outcome)| *outcome == DeliveryOutcome::Untried),
    };
    if !settled.is_empty() {
        unit::write(&services.store, &nobody(), move |tx| outbox::settle(tx, &settled)).await?;
    }
    // Each writes an event of its partner.
    let mut by_partner: BTreeMap<_, Vec<OutboxEntry>> = BTreeMap::new();
    for (entry, _) in dead_letters {
        tracing::error!(pid = %entry.pid, mail_id = entry.mail_id, "a mail could not be delivered and is now a dead letter");
        by_partner.entry(entry.pid).or_default().push(entry);
    }
    for (pid, entries) in by_partner {
        unit::write(&services.store, &system_within(pid), move |tx| outbox::make_dead_letters(tx, &entries))
            .await?;
    }
    Ok(done)
}
