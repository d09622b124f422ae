//! Delivery of mail: due messages, and the outcome of attempts.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use crate::events::{self, EventKind};
use crate::unit;
use tenantry_core::clock::{DAY, HOUR, MINUTE, Millis, SECOND, SLACK};
use tenantry_core::error::Result;
use tenantry_core::model::PartnerId;
use tenantry_core::random::Random;
use tenantry_mail::Email;
use tenantry_store::access::nobody;
use tenantry_store::engine::tx::Tx;
use tenantry_store::store::Store;
use tenantry_store::tables::outbox;
pub use tenantry_store::tables::outbox::OutboxEntry;

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
/// this time. A batch starts no message after [`BATCH`], but a mail server may take many minutes for one: while it is
/// being sent, the leases are renewed.
pub const LEASE: Millis = 5 * MINUTE;

/// How often leases are renewed.
pub const RENEWAL: Duration = Duration::from_secs(60);

/// How long a batch starts further messages.
pub const BATCH: Duration = Duration::from_secs(30);

/// How long a row without a message (expired, withdrawn, dead letter) is kept for inspection. The event of a dead
/// letter stays.
const RECORD_KEPT: Millis = 30 * DAY;

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

/// Due entries of all partners, the longest due first, each with its message or, if there is nothing to send, with its
/// outcome. A single process of a database only reads them: when
/// it is killed, the next one sends them at once. If there are several, the entries are leased to this one for [`LEASE`].
///
/// # Errors
/// Of the store.
pub async fn take_due(
    store: &Store,
    limit: i64,
) -> Result<Vec<(OutboxEntry, Result<Email, DeliveryOutcome>)>> {
    if store.is_shared() {
        unit::write(store, &nobody(), move |tx| {
            let (until, latest) = (tx.steady() + LEASE, tx.latest());
            Ok(outbox::take_due(tx, until, limit)?.into_iter().map(|due| sendable(due, latest)).collect())
        })
        .await
    } else {
        store.read(&nobody(), move |tx| list_due(tx, limit)).await
    }
}

/// Renews the lease of entries from [`take_due`], if there are several processes.
///
/// # Errors
/// Of the store.
pub async fn renew(store: &Store, entries: &[OutboxEntry]) -> Result<()> {
    if !store.is_shared() || entries.is_empty() {
        return Ok(());
    }
    let entries = entries.to_vec();
    unit::write(store, &nobody(), move |tx| {
        let until = tx.steady() + LEASE;
        entries.iter().try_for_each(|entry| outbox::set_due_at(tx, entry.pid, entry.mail_id, until))
    })
    .await
}

/// As [`take_due`], without a lease.
///
/// # Errors
/// None of its own.
pub fn list_due(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<(OutboxEntry, Result<Email, DeliveryOutcome>)>> {
    let now = tx.latest();
    Ok(outbox::list_due(tx, limit)?.into_iter().map(|due| sendable(due, now)).collect())
}

fn sendable(
    (entry, email): (OutboxEntry, Option<Email>),
    now: Millis,
) -> (OutboxEntry, Result<Email, DeliveryOutcome>) {
    let is_expired = entry.expires_at.is_some_and(|at| at <= now);
    let email = match email {
        _ if is_expired => Err(DeliveryOutcome::Expired),
        Some(email) => Ok(email),
        None => Err(DeliveryOutcome::Unreadable),
    };
    (entry, email)
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
                let next = tx.steady() + pause(tx.random(), attempts, refused);
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

/// The longest time that an entry with so many failed attempts can have been put off, or leased.
fn longest_wait(attempts: i64) -> Millis {
    let doublings = u32::try_from((attempts - 1).clamp(0, MOST_ATTEMPTS)).unwrap_or(0);
    let longest = (PAUSE_AFTER_REFUSAL << doublings).min(LONGEST_PAUSE);
    longest + longest / 10
}

/// At most `limit` entries that wait longer than they can have been put off: the clock was set back since.
///
/// # Errors
/// None of its own.
pub fn list_waiting_too_long(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<OutboxEntry>> {
    let now = tx.steady();
    // What is due sooner than that waits for no longer than any message may.
    let waiting = outbox::list_waiting(tx, now + longest_wait(0) + SLACK, limit)?;
    let is_too_long = |attempts, due| due > now + longest_wait(attempts) + SLACK;
    Ok(waiting
        .into_iter()
        .filter(|(entry, due)| is_too_long(entry.attempts, *due))
        .map(|(entry, _)| entry)
        .collect())
}

/// Makes entries due now.
///
/// # Errors
/// None of its own.
pub fn make_due(tx: &mut Tx<'_>, entries: &[OutboxEntry]) -> Result<()> {
    entries.iter().try_for_each(|entry| outbox::set_due(tx, entry.pid, entry.mail_id))
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

/// At most `limit` entries that are no longer needed: with an expired password, or old and without a message. Returns
/// whether each still has its message. A scan: not for the writer.
///
/// # Errors
/// None of its own.
pub fn list_unneeded(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<(OutboxEntry, bool)>> {
    let before = tx.now() - RECORD_KEPT;
    outbox::list_unneeded(tx, before, limit)
}

/// Overwrites the messages among entries of [`list_unneeded`] and removes entries that have none. Returns their number,
/// without those that another process has cleared meanwhile.
///
/// # Errors
/// None of its own.
pub fn clear(tx: &mut Tx<'_>, unneeded: &[(OutboxEntry, bool)]) -> Result<usize> {
    let mut cleared = 0;
    for (OutboxEntry { pid, mail_id, .. }, has_message) in unneeded.iter().copied() {
        cleared += usize::from(if has_message {
            outbox::set_expired(tx, pid, mail_id)?
        } else {
            outbox::delete_without_message(tx, pid, mail_id)?
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
        // No message waits longer than it may, and none much longer than it could.
        for (attempts, pause) in (1..).zip(pauses(true)) {
            assert!((pause..=pause * 11 / 10 + SECOND).contains(&longest_wait(attempts)), "{pause}");
        }
        assert!(longest_wait(0) > LEASE);
        // All attempts together take less than the lifetime of a temporary password.
        assert!(pauses(false).iter().sum::<Millis>() < 15 * HOUR);
        assert_eq!(pause(&Random::seeded(1), i64::MAX, true) / HOUR, 1);
    }
}
