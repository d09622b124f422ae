//! Mail to be sent. A letter stands here from the transaction that causes it until it is delivered.

use super::tx::{Sequence, Tx};
use crate::clock::Millis;
use crate::error::Result;
use crate::model::{PartnerId, UserId};

/// A letter to store.
#[derive(Debug)]
pub struct NewMail<'a> {
    /// The user it is about.
    pub user_id: UserId,
    /// The letter as JSON.
    pub letter: &'a str,
    /// Whether it carries a temporary password.
    pub is_secret: bool,
    /// When it is of no use any more; none = never.
    pub expires_at: Option<Millis>,
}

/// Stores a letter to be delivered once this transaction is committed.
pub fn insert(tx: &mut Tx<'_>, mail: &NewMail<'_>) -> Result<()> {
    let (id, now) = (tx.next_id(Sequence::Outbox)?, tx.now());
    tx.execute(
        "INSERT INTO outbox (pid, mail_id, user_id, secret, letter, next_attempt_at, expires_at, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $6)",
        &[
            id.into(),
            mail.user_id.into(),
            mail.is_secret.into(),
            mail.letter.into(),
            now.into(),
            mail.expires_at.unwrap_or(0).into(),
        ],
    )?;
    tx.effects.mail = true;
    Ok(())
}

/// Overwrites letters of a user that carry a password which is no longer good.
pub fn withdraw(tx: &mut Tx<'_>, user_id: UserId) -> Result<()> {
    tx.execute(
        "UPDATE outbox SET letter = NULL WHERE pid = $1 AND user_id = $2 AND secret = 1 AND letter IS NOT NULL",
        &[user_id.into()],
    )?;
    Ok(())
}

/// A stored letter.
#[derive(Debug)]
pub struct Mail {
    /// The partner of the user it is about.
    pub pid: PartnerId,
    /// Its number.
    pub mail_id: i64,
    /// The user it is about.
    pub user_id: UserId,
    /// The letter as JSON.
    pub letter: String,
    /// How often delivery was tried.
    pub attempts: i64,
    /// When it was stored.
    pub created_at: Millis,
}

/// Letters that are due, of all partners, the longest due first.
pub fn list_due(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<Mail>> {
    let now = tx.now();
    tx.unscoped().rows(
        "SELECT pid, mail_id, user_id, letter, attempts, created_at FROM outbox \
         WHERE letter IS NOT NULL AND next_attempt_at <= $1 ORDER BY next_attempt_at, mail_id LIMIT $2",
        &[now.into(), limit.into()],
        |row| {
            Ok(Mail {
                pid: PartnerId(row.int(0)?),
                mail_id: row.int(1)?,
                user_id: UserId(row.int(2)?),
                letter: row.text(3)?.to_owned(),
                attempts: row.int(4)?,
                created_at: row.int(5)?,
            })
        },
    )
}

/// When the next letter is due, if there is one.
pub fn next_due(tx: &mut Tx<'_>) -> Result<Option<Millis>> {
    let due = tx.unscoped().rows(
        "SELECT next_attempt_at FROM outbox WHERE letter IS NOT NULL ORDER BY next_attempt_at LIMIT 1",
        &[],
        |row| row.int(0),
    )?;
    Ok(due.into_iter().next())
}

/// A letter has arrived: its text is overwritten, the row goes.
pub fn set_delivered(tx: &mut Tx<'_>, pid: PartnerId, mail_id: i64) -> Result<()> {
    // secure_delete zeroes what stood there.
    tx.unscoped().execute("DELETE FROM outbox WHERE pid = $1 AND mail_id = $2", &[pid.into(), mail_id.into()])?;
    Ok(())
}

/// A delivery failed: try again at `next`.
pub fn set_failed(tx: &mut Tx<'_>, pid: PartnerId, mail_id: i64, next: Millis) -> Result<()> {
    tx.unscoped().execute(
        "UPDATE outbox SET attempts = attempts + 1, next_attempt_at = $3 WHERE pid = $1 AND mail_id = $2",
        &[pid.into(), mail_id.into(), next.into()],
    )?;
    Ok(())
}

/// Sets a letter aside for good: its text is overwritten, the row stays as a record.
pub fn set_aside(tx: &mut Tx<'_>, pid: PartnerId, mail_id: i64) -> Result<()> {
    tx.unscoped().execute(
        "UPDATE outbox SET attempts = attempts + 1, letter = NULL WHERE pid = $1 AND mail_id = $2",
        &[pid.into(), mail_id.into()],
    )?;
    Ok(())
}

/// Overwrites letters whose password has expired; how many.
pub fn expire(tx: &mut Tx<'_>) -> Result<usize> {
    let now = tx.now();
    Ok(tx.unscoped().execute(
        "UPDATE outbox SET letter = NULL WHERE letter IS NOT NULL AND expires_at > 0 AND expires_at <= $1",
        &[now.into()],
    )?)
}
