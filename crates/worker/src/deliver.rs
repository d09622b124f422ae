//! Delivers mail from the outbox.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::requests::issue_requested;
use tenantry_core::error::Result;
use tenantry_domain::outbox::{self, Content, Fate, Ticket};
use tenantry_domain::services::Services;
use tenantry_domain::unit;
use tenantry_mail::{Mailer, SendError};
use tenantry_store::access::{nobody, system_within};

/// Messages per batch to a directory, whose files are synced together.
const FILES: i64 = 200;

/// Messages per batch to an SMTP server: one connection. A crash in the middle sends at most this many twice, and a
/// shutdown waits for at most this many.
const MESSAGES: i64 = 50;

/// The outcome of one batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Messages delivered.
    pub delivered: usize,
    /// Messages that will be retried.
    pub failed: usize,
    /// Dead letters: the last attempt failed, or the entry is unreadable.
    pub set_aside: usize,
    /// Messages not sent because their password had expired.
    pub expired: usize,
    /// Messages not sent because the batch ran out of time.
    pub untried: usize,
    /// More may be due: the batch was full, or ran out of time.
    pub is_full: bool,
}

/// Attempted deliveries whose outcome is still to be stored.
pub(super) struct Sent {
    fates: Vec<(Ticket, Fate)>,
    is_full: bool,
}

/// Sends one batch of due messages and stores the outcomes. Pending forgotten-password requests are turned into
/// messages first. Blocks while it sends.
///
/// After a crash before the outcomes are stored, the batch is sent again, with the same ids: the same files, the same
/// `Message-ID`s.
///
/// # Errors
/// Errors of the store. Messages whose outcome was not stored are sent again.
pub async fn deliver_due(services: &Services, mailer: &Mailer) -> Result<Delivered> {
    mark(services, &send_due(services, mailer, outbox::BATCH).await?).await
}

/// Turns pending forgotten-password requests into messages, and sends one batch of due messages. No message is started
/// after `time`.
pub(super) async fn send_due(services: &Services, mailer: &Mailer, time: Duration) -> Result<Sent> {
    issue_requested(services).await?;
    // Measured from before they are leased: the batch must end before the lease does.
    let until = Instant::now() + time;
    let limit = match mailer {
        Mailer::Smtp(_) => MESSAGES,
        Mailer::Directory(_) | Mailer::Memory(_) => FILES,
    };
    let due = outbox::take_due(&services.store, limit).await?;
    let is_full = i64::try_from(due.len()).is_ok_and(|n| n >= limit);
    let (mut fates, mut tickets, mut envelopes) = (Vec::new(), Vec::new(), Vec::new());
    for letter in due {
        match letter.content {
            Content::Letter(envelope) => {
                tickets.push(letter.ticket);
                envelopes.push(envelope);
            }
            Content::Expired => fates.push((letter.ticket, Fate::Expired)),
            Content::Unreadable => fates.push((letter.ticket, Fate::Unreadable)),
        }
    }
    if !envelopes.is_empty() {
        let sent = mailer.send_batch(&envelopes, until);
        report(&sent);
        let untried = std::iter::repeat(Fate::Untried);
        fates.extend(tickets.into_iter().zip(sent.iter().map(fate).chain(untried)));
    }
    Ok(Sent { fates, is_full })
}

fn fate(sent: &Result<(), SendError>) -> Fate {
    match sent {
        Ok(()) => Fate::Delivered,
        Err(e) => Fate::Failed { refused: e.permanent },
    }
}

/// Logs one line per batch: a server that is down fails every message in the same way.
fn report(sent: &[Result<(), SendError>]) {
    let mut failures = sent.iter().filter_map(|s| s.as_ref().err());
    if let Some(error) = failures.next() {
        let (letters, others) = (sent.len(), failures.count());
        tracing::warn!(%error, letters, others, "mail was not delivered");
    }
}

/// Stores the outcomes. It can be repeated if it fails.
pub(super) async fn mark(services: &Services, sent: &Sent) -> Result<Delivered> {
    let (given_up, settled): (Vec<_>, Vec<_>) =
        sent.fates.iter().copied().partition(|(t, f)| outbox::is_given_up(t, *f));
    let count = |wanted: fn(Fate) -> bool| settled.iter().filter(|(_, fate)| wanted(*fate)).count();
    let done = Delivered {
        delivered: count(|fate| fate == Fate::Delivered),
        failed: count(|fate| matches!(fate, Fate::Failed { .. })),
        set_aside: given_up.len(),
        expired: count(|fate| fate == Fate::Expired),
        untried: count(|fate| fate == Fate::Untried),
        is_full: sent.is_full || settled.iter().any(|(_, fate)| *fate == Fate::Untried),
    };
    if !settled.is_empty() {
        unit::write(&services.store, &nobody(), move |tx| outbox::settle(tx, &settled)).await?;
    }
    // Each writes an event of its partner.
    let mut by_partner: BTreeMap<_, Vec<Ticket>> = BTreeMap::new();
    for (ticket, _) in given_up {
        tracing::error!(pid = %ticket.pid, mail_id = ticket.mail_id, "a mail could not be delivered and is now a dead letter");
        by_partner.entry(ticket.pid).or_default().push(ticket);
    }
    for (pid, tickets) in by_partner {
        unit::write(&services.store, &system_within(pid), move |tx| outbox::set_aside(tx, &tickets)).await?;
    }
    Ok(done)
}
