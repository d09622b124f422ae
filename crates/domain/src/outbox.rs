//! Delivery of mail: due messages, and the outcome of attempts.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use crate::events::{self, EventKind};
use crate::unit;
use tenantry_core::clock::{DAY, HOUR, MINUTE, Millis, SECOND};
use tenantry_core::error::Result;
use tenantry_core::model::{PartnerId, UserId};
use tenantry_core::random::Random;
use tenantry_mail::{Email, OutboundEmail};
use tenantry_store::access::nobody;
use tenantry_store::engine::tx::Tx;
use tenantry_store::store::Store;
use tenantry_store::tables::outbox::{self, Leftover, Mail};

/// Failed attempts after which a message becomes a dead letter.
pub const MOST_ATTEMPTS: i64 = 20;

/// The delay after the first failure; it doubles with each further one.
const PAUSE: Millis = 10 * SECOND;

/// The delay after the first failure if the server refused the message. Servers do accept mail later that they refused
/// permanently (misconfigured greylisting, a mailbox created a minute later), but hardly within seconds.
const PAUSE_AFTER_REFUSAL: Millis = 5 * MINUTE;

/// The maximum delay.
const LONGEST_PAUSE: Millis = HOUR;

/// The lease of messages that a process has taken, if several deliver. If it dies, another process sends them after
/// this time. A batch ends earlier: it starts no message after [`BATCH`], and one message takes at most four minutes,
/// with a mail server that uses up all timeouts.
pub const LEASE: Millis = 5 * MINUTE;

/// How long a batch starts further messages.
pub const BATCH: Duration = Duration::from_secs(30);

/// How long a row without a message (expired, withdrawn, dead letter) is kept for inspection. The event of a dead
/// letter stays.
const RECORD_KEPT: Millis = 30 * DAY;

/// An outbox entry without its text.
#[derive(Debug, Clone, Copy)]
pub struct OutboxEntry {
    /// The partner of the recipient.
    pub pid: PartnerId,
    /// The row's id.
    pub mail_id: i64,
    /// The recipient.
    pub user_id: UserId,
    /// Previous failed attempts.
    pub attempts: i64,
}

/// A due outbox entry.
#[derive(Debug)]
pub struct Due {
    /// The entry.
    pub entry: OutboxEntry,
    /// Its content.
    pub content: Content,
}

/// The content of a due entry.
#[derive(Debug)]
pub enum Content {
    /// A message to send.
    Mail(OutboundEmail),
    /// An expired password: nothing to send.
    Expired,
    /// Not a message.
    Unreadable,
}

/// The outcome of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// Delivered.
    Delivered,
    /// Failed.
    Failed {
        /// The server refused this message; the transport itself works.
        refused: bool,
    },
    /// Not sent, since its password had expired.
    Expired,
    /// Not a message.
    Unreadable,
    /// Not attempted for lack of time.
    Untried,
}

/// Messages to send now, of all partners, the longest due first. A single process of a database only reads them: when
/// it is killed, the next one sends them at once. If there are several, the messages are leased to this one for
/// [`LEASE`].
///
/// # Errors
/// Of the store.
pub async fn take_due(store: &Store, limit: i64) -> Result<Vec<Due>> {
    if store.is_shared() {
        unit::write(store, &nobody(), move |tx| {
            let now = tx.now();
            Ok(outbox::take_due(tx, now + LEASE, limit)?.into_iter().map(|mail| read(mail, now)).collect())
        })
        .await
    } else {
        store.read(&nobody(), move |tx| list_due(tx, limit)).await
    }
}

/// Due messages of all partners, the longest due first.
///
/// # Errors
/// None of its own.
pub fn list_due(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<Due>> {
    let now = tx.now();
    Ok(outbox::list_due(tx, limit)?.into_iter().map(|mail| read(mail, now)).collect())
}

fn read(mail: Mail, now: Millis) -> Due {
    let entry =
        OutboxEntry { pid: mail.pid, mail_id: mail.mail_id, user_id: mail.user_id, attempts: mail.attempts };
    let content = if mail.expires_at.is_some_and(|at| at <= now) {
        Content::Expired
    } else {
        // The error is not logged: serde quotes unexpected values.
        match serde_json::from_str::<Email>(mail.letter.expose()) {
            Ok(email) => {
                Content::Mail(OutboundEmail { id: mail.mail_id, created_at: mail.created_at, email })
            }
            Err(_) => Content::Unreadable,
        }
    };
    Due { entry, content }
}

/// When the next message is due, if there is one.
///
/// # Errors
/// None of its own.
pub fn next_due(tx: &mut Tx<'_>) -> Result<Option<Millis>> {
    outbox::next_due(tx)
}

/// Whether an entry becomes a dead letter: it belongs in [`make_dead_letters`], every other one in [`settle`].
pub fn is_dead_letter(entry: &OutboxEntry, outcome: DeliveryOutcome) -> bool {
    match outcome {
        DeliveryOutcome::Unreadable => true,
        DeliveryOutcome::Failed { .. } => entry.attempts + 1 >= MOST_ATTEMPTS,
        DeliveryOutcome::Delivered | DeliveryOutcome::Expired | DeliveryOutcome::Untried => false,
    }
}

/// Stores the outcomes of attempts, of all partners, in one transaction: delivered messages are removed, others are
/// rescheduled.
///
/// # Errors
/// None of its own.
pub fn settle(tx: &mut Tx<'_>, batch: &[(OutboxEntry, DeliveryOutcome)]) -> Result<()> {
    let mut delivered = BTreeMap::<PartnerId, Vec<i64>>::new();
    for (OutboxEntry { pid, mail_id, attempts, .. }, outcome) in batch.iter().copied() {
        match outcome {
            DeliveryOutcome::Delivered => delivered.entry(pid).or_default().push(mail_id),
            DeliveryOutcome::Expired | DeliveryOutcome::Unreadable => {
                outbox::set_expired(tx, pid, mail_id)?;
            }
            DeliveryOutcome::Untried => outbox::set_due(tx, pid, mail_id)?,
            DeliveryOutcome::Failed { refused } => {
                let next = tx.now() + pause(tx.random(), attempts, refused);
                outbox::set_failed(tx, pid, mail_id, next)?;
            }
        }
    }
    delivered.into_iter().try_for_each(|(pid, mail_ids)| outbox::set_delivered(tx, pid, &mail_ids))
}

/// Exponential backoff with up to a tenth of jitter, so that messages that failed together are not retried together.
fn pause(random: &Random, attempts: i64, refused: bool) -> Millis {
    let first = if refused { PAUSE_AFTER_REFUSAL } else { PAUSE };
    let doublings = u32::try_from(attempts.clamp(0, MOST_ATTEMPTS)).unwrap_or(0);
    let base = (first << doublings).min(LONGEST_PAUSE);
    base + base / 10 * Millis::try_from(random.below(256)).unwrap_or(0) / 256
}

/// Makes entries of this transaction's partner dead letters: their text is overwritten, and each writes an event. An
/// entry withdrawn meanwhile is skipped.
///
/// # Errors
/// None of its own.
pub fn make_dead_letters(tx: &mut Tx<'_>, dead_letters: &[OutboxEntry]) -> Result<()> {
    for OutboxEntry { mail_id, user_id, attempts, .. } in dead_letters.iter().copied() {
        if outbox::make_dead_letter(tx, mail_id)? {
            let after = json!({ "mailId": mail_id, "attempts": attempts + 1 });
            events::record_user(tx, EventKind::MailSetAside, user_id, None, Some(after))?;
        }
    }
    Ok(())
}

/// At most `limit` rows that are no longer needed: messages with an expired password, old rows without a message. A
/// scan: not for the writer.
///
/// # Errors
/// None of its own.
pub fn list_leftovers(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<Leftover>> {
    let before = tx.now() - RECORD_KEPT;
    outbox::list_leftovers(tx, before, limit)
}

/// Overwrites the messages among `leftovers` and removes rows that have none. Returns their number, without those that
/// another process has cleared meanwhile.
///
/// # Errors
/// None of its own.
pub fn clear(tx: &mut Tx<'_>, leftovers: &[Leftover]) -> Result<usize> {
    let mut cleared = 0;
    for Leftover { pid, mail_id, has_letter } in leftovers.iter().copied() {
        cleared += usize::from(if has_letter {
            outbox::set_expired(tx, pid, mail_id)?
        } else {
            outbox::delete_without_letter(tx, pid, mail_id)?
        });
    }
    Ok(cleared)
}

/// Rewrites the outbox, so that nothing is left of removed messages, unless it has more than `most` rows. Returns
/// whether it did.
///
/// # Errors
/// None of its own.
pub fn rewrite(tx: &mut Tx<'_>, most: i64) -> Result<bool> {
    outbox::rewrite(tx, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(refused: bool) -> Vec<Millis> {
        let random = Random::seeded(1);
        (0..MOST_ATTEMPTS).map(|attempts| pause(&random, attempts, refused)).collect()
    }

    #[test]
    fn pauses_double_up_to_an_hour() {
        for (pause, about) in
            pauses(false).into_iter().zip([10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 3_600])
        {
            assert!((about * SECOND..=about * SECOND * 11 / 10).contains(&pause), "{pause} for {about} s");
        }
        for (pause, about) in pauses(true).into_iter().zip([5, 10, 20, 40, 60, 60]) {
            assert!((about * MINUTE..=about * MINUTE * 11 / 10).contains(&pause), "{pause} for {about} min");
        }
        // All attempts together take less than the lifetime of a temporary password.
        assert!(pauses(false).iter().sum::<Millis>() < 15 * HOUR);
        assert_eq!(pause(&Random::seeded(1), i64::MAX, true) / HOUR, 1);
    }
}
