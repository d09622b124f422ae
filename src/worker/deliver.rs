//! Letters of the outbox are sent.

use std::collections::BTreeMap;

use super::requests::issue_requested;
use crate::access::{nobody, system_within};
use crate::app::App;
use crate::domain::outbox::{self, Content, Fate, Ticket};
use crate::domain::unit;
use crate::error::Result;
use crate::mail::{Mailer, SendError};

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
    /// The batch was full: there may be more that is due.
    pub is_full: bool,
}

/// Sends one batch of letters that are due and marks them; before, forgotten passwords that were asked for become
/// letters. Blocks while it sends.
///
/// A crash before the marks sends the batch again, with the same ids: the same files, the same `Message-ID`s.
///
/// # Errors
/// Of the store. Letters that were sent and not marked are sent again.
pub async fn deliver_due(app: &App, mailer: &Mailer) -> Result<Delivered> {
    issue_requested(app).await?;
    let limit = match mailer {
        Mailer::Smtp(_) => MESSAGES,
        Mailer::Directory(_) | Mailer::Memory(_) => FILES,
    };
    let due = app.store.read(&nobody(), move |tx| outbox::list_due(tx, limit)).await?;
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
        let sent = mailer.send_batch(&envelopes);
        report(&sent);
        fates.extend(tickets.into_iter().zip(sent.iter().map(fate)));
    }
    let done = mark(app, fates).await?;
    Ok(Delivered { is_full, ..done })
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

async fn mark(app: &App, fates: Vec<(Ticket, Fate)>) -> Result<Delivered> {
    let (given_up, settled): (Vec<_>, Vec<_>) =
        fates.into_iter().partition(|(t, f)| outbox::is_given_up(t, *f));
    let count = |wanted: fn(Fate) -> bool| settled.iter().filter(|(_, fate)| wanted(*fate)).count();
    let done = Delivered {
        delivered: count(|fate| fate == Fate::Delivered),
        failed: count(|fate| matches!(fate, Fate::Failed { .. })),
        set_aside: given_up.len(),
        expired: count(|fate| fate == Fate::Expired),
        is_full: false,
    };
    if !settled.is_empty() {
        unit::write(&app.store, &nobody(), move |tx| outbox::settle(tx, &settled)).await?;
    }
    // Each leaves an event with its partner.
    let mut by_partner: BTreeMap<_, Vec<Ticket>> = BTreeMap::new();
    for (ticket, _) in given_up {
        tracing::error!(pid = %ticket.pid, mail_id = ticket.mail_id, "a letter was given up and set aside");
        by_partner.entry(ticket.pid).or_default().push(ticket);
    }
    for (pid, tickets) in by_partner {
        unit::write(&app.store, &system_within(pid), move |tx| outbox::set_aside(tx, &tickets)).await?;
    }
    Ok(done)
}
