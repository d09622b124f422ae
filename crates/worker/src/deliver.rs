//! Letters of the outbox are sent.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::requests::issue_requested;
use tenantry_core::error::Result;
use tenantry_domain::outbox::{self, Content, Fate, Ticket};
use tenantry_domain::services::Services;
use tenantry_domain::unit;
use tenantry_mail::{Mailer, SendError};
use tenantry_store::access::{nobody, system_within};

/// Letters in one batch to a directory, whose files are waited for together.
const FILES: i64 = 200;

/// Letters in one batch to an SMTP server: one connection. What a crash in the middle sends twice, and what a stop
/// waits for, is at most this.
const MESSAGES: i64 = 50;

/// What became of one batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Letters that have arrived.
    pub delivered: usize,
    /// Letters that will be tried again.
    pub failed: usize,
    /// Letters given up: the last attempt failed, or they cannot be read.
    pub set_aside: usize,
    /// Letters not sent, because their password had expired.
    pub expired: usize,
    /// Letters not sent, because the batch had taken long enough.
    pub untried: usize,
    /// There may be more that is due: the batch was full, or cut short.
    pub is_full: bool,
}

/// Letters that an attempt was made for, to be marked.
pub(super) struct Sent {
    fates: Vec<(Ticket, Fate)>,
    is_full: bool,
}

/// Sends one batch of letters that are due and marks them; before, forgotten passwords that were asked for become
/// letters. Blocks while it sends.
///
/// A crash before the marks sends the batch again, with the same ids: the same files, the same `Message-ID`s.
///
/// # Errors
/// Of the store. Letters that were sent and not marked are sent again.
pub async fn deliver_due(services: &Services, mailer: &Mailer) -> Result<Delivered> {
    mark(services, &send_due(services, mailer, outbox::BATCH).await?).await
}

/// Makes letters of forgotten passwords that were asked for, and sends one batch of letters that are due; after `time`
/// no further one is begun with.
pub(super) async fn send_due(services: &Services, mailer: &Mailer, time: Duration) -> Result<Sent> {
    issue_requested(services).await?;
    // From before they are taken: by the lease's end the batch must be over.
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

/// One line for a batch: a server that is down fails every letter in the same way.
fn report(sent: &[Result<(), SendError>]) {
    let mut failures = sent.iter().filter_map(|s| s.as_ref().err());
    if let Some(error) = failures.next() {
        let (letters, others) = (sent.len(), failures.count());
        tracing::warn!(%error, letters, others, "mail was not delivered");
    }
}

/// Marks what became of letters. It may be done again when it failed.
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
    // Each leaves an event with its partner.
    let mut by_partner: BTreeMap<_, Vec<Ticket>> = BTreeMap::new();
    for (ticket, _) in given_up {
        tracing::error!(pid = %ticket.pid, mail_id = ticket.mail_id, "a letter was given up and set aside");
        by_partner.entry(ticket.pid).or_default().push(ticket);
    }
    for (pid, tickets) in by_partner {
        unit::write(&services.store, &system_within(pid), move |tx| outbox::set_aside(tx, &tickets)).await?;
    }
    Ok(done)
}
