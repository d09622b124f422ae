//! Letters on their way: which are due, and what becomes of them after an attempt.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use crate::events::{self, Kind};
use crate::unit;
use tenantry_core::clock::{DAY, HOUR, MINUTE, Millis, SECOND};
use tenantry_core::error::Result;
use tenantry_core::model::{PartnerId, UserId};
use tenantry_core::random::Random;
use tenantry_mail::{Envelope, Letter};
use tenantry_store::access::nobody;
use tenantry_store::engine::tx::Tx;
use tenantry_store::store::Store;
use tenantry_store::tables::outbox::{self, Leftover, Mail};

/// Failed attempts after which a letter is set aside.
pub const MOST_ATTEMPTS: i64 = 20;

/// The pause after the first failure; each further one doubles it.
const PAUSE: Millis = 10 * SECOND;

/// The pause after the first failure where the letter itself was refused. Servers do take mail later that they
/// refused "for good" (greylisting done wrong, a mailbox made a minute later), but hardly within seconds.
const PAUSE_AFTER_REFUSAL: Millis = 5 * MINUTE;

/// The longest pause.
const LONGEST_PAUSE: Millis = HOUR;

/// How long letters belong to the process that took them, where several deliver. Should it die, they are sent by another
/// one after this time. A batch is over before: it begins no letter after [`BATCH`], and one letter takes at most four
/// minutes, with a mail server that uses every time-out there is up.
pub const LEASE: Millis = 5 * MINUTE;

/// For how long a batch begins with further letters.
pub const BATCH: Duration = Duration::from_secs(30);

/// How long a row without a letter (expired, withdrawn, set aside) is kept for whoever looks into the database.
/// The event of a letter set aside stays.
const RECORD_KEPT: Millis = 30 * DAY;

/// A letter by its row. Holds nothing of its text.
#[derive(Debug, Clone, Copy)]
pub struct Ticket {
    /// The partner of the user it is about.
    pub pid: PartnerId,
    /// The row's number.
    pub mail_id: i64,
    /// The user it is about.
    pub user_id: UserId,
    /// Attempts that failed before this one.
    pub attempts: i64,
}

/// A letter whose time has come.
#[derive(Debug)]
pub struct Due {
    /// Its row.
    pub ticket: Ticket,
    /// What is to be done with it.
    pub content: Content,
}

/// What a due row holds.
#[derive(Debug)]
pub enum Content {
    /// A letter to send.
    Letter(Envelope),
    /// A password that is no longer good: nothing to send.
    Expired,
    /// Something that is no letter.
    Unreadable,
}

/// What became of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It has arrived.
    Delivered,
    /// It has not.
    Failed {
        /// The letter was refused, not the way blocked.
        refused: bool,
    },
    /// Its password was no longer good, so it was not sent.
    Expired,
    /// It is no letter.
    Unreadable,
    /// There was no time for it.
    Untried,
}

/// Letters to send now, of all partners, the longest due first. The only process of a database just looks: when it is
/// killed the next one sends them at once. Where there are several, the letters are this one's for [`LEASE`].
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

/// Letters that are due, of all partners, the longest due first.
///
/// # Errors
/// None of its own.
pub fn list_due(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<Due>> {
    let now = tx.now();
    Ok(outbox::list_due(tx, limit)?.into_iter().map(|mail| read(mail, now)).collect())
}

fn read(mail: Mail, now: Millis) -> Due {
    let ticket =
        Ticket { pid: mail.pid, mail_id: mail.mail_id, user_id: mail.user_id, attempts: mail.attempts };
    let content = if mail.expires_at.is_some_and(|at| at <= now) {
        Content::Expired
    } else {
        // What is wrong with it stays unsaid: serde quotes what it did not expect.
        match serde_json::from_str::<Letter>(mail.letter.expose()) {
            Ok(letter) => Content::Letter(Envelope { id: mail.mail_id, created_at: mail.created_at, letter }),
            Err(_) => Content::Unreadable,
        }
    };
    Due { ticket, content }
}

/// When the next letter is due, if there is one.
///
/// # Errors
/// None of its own.
pub fn next_due(tx: &mut Tx<'_>) -> Result<Option<Millis>> {
    outbox::next_due(tx)
}

/// Whether a letter is given up: it belongs into [`set_aside`], every other one into [`settle`].
pub fn is_given_up(ticket: &Ticket, fate: Fate) -> bool {
    match fate {
        Fate::Unreadable => true,
        Fate::Failed { .. } => ticket.attempts + 1 >= MOST_ATTEMPTS,
        Fate::Delivered | Fate::Expired | Fate::Untried => false,
    }
}

/// Marks letters of all partners after an attempt, in one transaction: what has arrived is removed, what has not
/// gets its next time.
///
/// # Errors
/// None of its own.
pub fn settle(tx: &mut Tx<'_>, batch: &[(Ticket, Fate)]) -> Result<()> {
    let mut delivered = BTreeMap::<PartnerId, Vec<i64>>::new();
    for (Ticket { pid, mail_id, attempts, .. }, fate) in batch.iter().copied() {
        match fate {
            Fate::Delivered => delivered.entry(pid).or_default().push(mail_id),
            Fate::Expired | Fate::Unreadable => drop(outbox::set_expired(tx, pid, mail_id)?),
            Fate::Untried => outbox::set_due(tx, pid, mail_id)?,
            Fate::Failed { refused } => {
                let next = tx.now() + pause(tx.random(), attempts, refused);
                outbox::set_failed(tx, pid, mail_id, next)?;
            }
        }
    }
    delivered.into_iter().try_for_each(|(pid, mail_ids)| outbox::set_delivered(tx, pid, &mail_ids))
}

/// Exponential, with up to a tenth more by chance: what failed together need not come back together.
fn pause(random: &Random, attempts: i64, refused: bool) -> Millis {
    let first = if refused { PAUSE_AFTER_REFUSAL } else { PAUSE };
    let doublings = u32::try_from(attempts.clamp(0, MOST_ATTEMPTS)).unwrap_or(0);
    let base = (first << doublings).min(LONGEST_PAUSE);
    base + base / 10 * Millis::try_from(random.below(256)).unwrap_or(0) / 256
}

/// Gives letters of this transaction's partner up: their text is overwritten, and an event tells of each. A letter
/// withdrawn meanwhile is passed over.
///
/// # Errors
/// None of its own.
pub fn set_aside(tx: &mut Tx<'_>, given_up: &[Ticket]) -> Result<()> {
    for Ticket { mail_id, user_id, attempts, .. } in given_up.iter().copied() {
        if outbox::set_aside(tx, mail_id)? {
            let after = json!({ "mailId": mail_id, "attempts": attempts + 1 });
            events::record_user(tx, Kind::MailSetAside, user_id, None, Some(after))?;
        }
    }
    Ok(())
}

/// Rows that have outlived their use: letters with an expired password, old rows without a letter; at most
/// `limit`. A scan: not for the writer.
///
/// # Errors
/// None of its own.
pub fn list_leftovers(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<Leftover>> {
    let before = tx.now() - RECORD_KEPT;
    outbox::list_leftovers(tx, before, limit)
}

/// Overwrites the letters among `leftovers` and removes the rows that have none; how many. Those that another process
/// has cleared meanwhile are not counted again.
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

/// Writes the outbox anew, so that nothing is left of letters that are gone, unless it has more than `most` rows;
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
        // All attempts together stay within the life of a temporary password.
        assert!(pauses(false).iter().sum::<Millis>() < 15 * HOUR);
        assert_eq!(pause(&Random::seeded(1), i64::MAX, true) / HOUR, 1);
    }
}
