//! The outbox: a message is here from the transaction that causes it until it is delivered.

use crate::engine::driver::{Dialect, Param, Row};
use crate::engine::sequences::Sequence;
use crate::engine::tx::Tx;
use tenantry_core::clock::Millis;
use tenantry_core::error::{Error, Result};
use tenantry_core::model::{PartnerId, UserId};
use tenantry_mail::{Email, Secret};
use zeroize::Zeroizing;

/// An entry of the outbox, without its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboxEntry {
    /// The partner of the recipient.
    pub pid: PartnerId,
    /// Its id.
    pub mail_id: i64,
    /// The recipient.
    pub user_id: UserId,
    /// The number of failed delivery attempts.
    pub attempts: i64,
    /// When its message expires; `None` if never.
    pub expires_at: Option<Millis>,
}

/// Stores a message to a user, to be delivered once this transaction is committed.
pub fn insert(tx: &mut Tx<'_>, user_id: UserId, email: &Email) -> Result<()> {
    let letter = serde_json::to_string(email)
        .map(Zeroizing::new)
        .map_err(|e| Error::internal(format!("a mail cannot be serialized: {e}")))?;
    let ((fresh, id), now, due) = (tx.fresh_id(Sequence::Outbox, "$2")?, tx.now(), tx.steady());
    tx.execute_later(
        &format!(
            "INSERT INTO outbox (pid, mail_id, user_id, secret, letter, next_attempt_at, expires_at, created_at) \
             VALUES ($1, {fresh}, $3, $4, $5, $6, $7, $8)"
        ),
        &[
            id.into(),
            user_id.into(),
            email.content.is_secret().into(),
            letter.as_str().into(),
            due.into(),
            email.content.expires_at().unwrap_or(0).into(),
            now.into(),
        ],
        Error::from,
    )?;
    tx.effects.mail = true;
    Ok(())
}

/// Overwrites messages to a user with an outdated password.
pub fn withdraw(tx: &mut Tx<'_>, user_id: UserId) -> Result<()> {
    tx.execute(
        "UPDATE outbox SET letter = NULL WHERE pid = $1 AND user_id = $2 AND secret = 1 AND letter IS NOT NULL",
        &[user_id.into()],
    )?;
    Ok(())
}

/// Deletes all messages to an erased user.
pub fn delete_of(tx: &mut Tx<'_>, user_id: UserId) -> Result<()> {
    // secure_delete zeroes the content.
    tx.execute(
        "DELETE FROM outbox WHERE pid = $1 AND user_id = $2 AND letter IS NOT NULL",
        &[user_id.into()],
    )?;
    Ok(())
}

/// The columns of an [`OutboxEntry`], for [`read_entry`].
const ENTRY: &str = "outbox.pid, outbox.mail_id, outbox.user_id, outbox.attempts, outbox.expires_at";

fn read_entry(row: &dyn Row) -> Result<OutboxEntry> {
    Ok(OutboxEntry {
        pid: PartnerId(row.int(0)?),
        mail_id: row.int(1)?,
        user_id: UserId(row.int(2)?),
        attempts: row.int(3)?,
        expires_at: Some(row.int(4)?).filter(|&at| at != 0),
    })
}

/// An entry with its message, from the columns of [`ENTRY`], `letter` and `created_at`. The message is `None` if it is
/// not one. The error is dropped: serde quotes unexpected values.
fn read(row: &dyn Row) -> Result<(OutboxEntry, Option<Email>)> {
    let (entry, created_at) = (read_entry(row)?, row.int(6)?);
    let email = serde_json::from_str::<Email>(row.text(5)?);
    Ok((entry, email.ok().map(|email| Email { id: entry.mail_id, created_at, ..email })))
}

/// Due entries of all partners with their messages, the longest due first. A message is `None` if it is not readable.
pub fn list_due(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<(OutboxEntry, Option<Email>)>> {
    let now = tx.steady();
    tx.unscoped().rows(
        &format!(
            "SELECT {ENTRY}, letter, created_at FROM outbox \
             WHERE letter IS NOT NULL AND next_attempt_at <= $1 ORDER BY next_attempt_at, mail_id LIMIT $2"
        ),
        &[now.into(), limit.into()],
        read,
    )
}

/// As [`list_due`], if several processes deliver: the listed entries are leased to this process until `until`.
pub fn take_due(tx: &mut Tx<'_>, until: Millis, limit: i64) -> Result<Vec<(OutboxEntry, Option<Email>)>> {
    let (now, take) = (tx.steady(), tx.dialect().take_rows());
    let mut taken = tx.unscoped().rows(
        &format!(
            "UPDATE outbox SET next_attempt_at = $3 FROM \
             (SELECT o.pid, o.mail_id, o.next_attempt_at AS due_at FROM outbox o \
              WHERE o.letter IS NOT NULL AND o.next_attempt_at <= $1 \
              ORDER BY o.next_attempt_at, o.mail_id LIMIT $2{take}) due \
             WHERE outbox.pid = due.pid AND outbox.mail_id = due.mail_id \
             RETURNING {ENTRY}, outbox.letter, outbox.created_at, due.due_at"
        ),
        &[now.into(), limit.into(), until.into()],
        |row| Ok((row.int(7)?, read(row)?)),
    )?;
    taken.sort_by_key(|(due_at, (entry, _))| (*due_at, entry.mail_id));
    Ok(taken.into_iter().map(|(_, due)| due).collect())
}

/// Makes a message due now: one that was leased and not attempted, or put off by a clock that was set back since.
pub fn set_due(tx: &mut Tx<'_>, pid: PartnerId, mail_id: i64) -> Result<()> {
    let now = tx.steady();
    set_due_at(tx, pid, mail_id, now)
}

/// Sets when a message is due.
pub fn set_due_at(tx: &mut Tx<'_>, pid: PartnerId, mail_id: i64, at: Millis) -> Result<()> {
    tx.unscoped().execute(
        "UPDATE outbox SET next_attempt_at = $3 WHERE pid = $1 AND mail_id = $2 AND letter IS NOT NULL",
        &[pid.into(), mail_id.into(), at.into()],
    )?;
    Ok(())
}

/// At most `limit` entries of all partners that are due after `after`, each with the time when it is, the longest waiting
/// first.
pub fn list_waiting(tx: &mut Tx<'_>, after: Millis, limit: i64) -> Result<Vec<(OutboxEntry, Millis)>> {
    tx.unscoped().rows(
        &format!(
            "SELECT {ENTRY}, next_attempt_at FROM outbox WHERE letter IS NOT NULL AND next_attempt_at > $1 \
             ORDER BY next_attempt_at DESC, mail_id DESC LIMIT $2"
        ),
        &[after.into(), limit.into()],
        |row| Ok((read_entry(row)?, row.int(5)?)),
    )
}

/// When the next message is due, if there is one.
pub fn next_due(tx: &mut Tx<'_>) -> Result<Option<Millis>> {
    let due = tx.unscoped().rows(
        "SELECT next_attempt_at FROM outbox WHERE letter IS NOT NULL ORDER BY next_attempt_at LIMIT 1",
        &[],
        |row| row.int(0),
    )?;
    Ok(due.into_iter().next())
}

/// Deletes delivered messages of a partner and overwrites their text. One statement, since every sent message comes
/// here.
pub fn set_delivered(tx: &mut Tx<'_>, pid: PartnerId, mail_ids: &[i64]) -> Result<()> {
    let sql = format!("DELETE FROM outbox WHERE pid = $1 AND mail_id IN {}", tx.dialect().int_set("$2"));
    let ids = serde_json::json!(mail_ids).to_string();
    // secure_delete zeroes the content.
    tx.unscoped().execute(&sql, &[pid.into(), (&ids).into()])?;
    Ok(())
}

/// Reschedules a failed delivery to `next`. A message withdrawn meanwhile is not changed.
pub fn set_failed(tx: &mut Tx<'_>, pid: PartnerId, mail_id: i64, next: Millis) -> Result<()> {
    tx.unscoped().execute(
        "UPDATE outbox SET attempts = attempts + 1, next_attempt_at = $3 \
         WHERE pid = $1 AND mail_id = $2 AND letter IS NOT NULL",
        &[pid.into(), mail_id.into(), next.into()],
    )?;
    Ok(())
}

/// Makes a message of this partner a dead letter: its text is overwritten, the row stays as a record. False if it was
/// withdrawn meanwhile.
pub fn make_dead_letter(tx: &mut Tx<'_>, mail_id: i64) -> Result<bool> {
    let changed = tx.execute(
        "UPDATE outbox SET attempts = attempts + 1, letter = NULL \
         WHERE pid = $1 AND mail_id = $2 AND letter IS NOT NULL",
        &[mail_id.into()],
    )?;
    Ok(changed > 0)
}

/// Overwrites the text of a message with an expired password; the row stays. False if it has no message any more.
pub fn set_expired(tx: &mut Tx<'_>, pid: PartnerId, mail_id: i64) -> Result<bool> {
    let changed = tx.unscoped().execute(
        "UPDATE outbox SET letter = NULL WHERE pid = $1 AND mail_id = $2 AND letter IS NOT NULL",
        &[pid.into(), mail_id.into()],
    )?;
    Ok(changed > 0)
}

/// At most `limit` entries of all partners that are no longer needed: with an expired password, or without a message and
/// stored before `before`. Returns whether each still has its message. Reads the whole table: not for the writer.
pub fn list_unneeded(tx: &mut Tx<'_>, before: Millis, limit: i64) -> Result<Vec<(OutboxEntry, bool)>> {
    let now = tx.latest();
    tx.unscoped().rows(
        &format!(
            "SELECT {ENTRY}, letter IS NOT NULL FROM outbox \
             WHERE CASE WHEN letter IS NULL THEN created_at < $2 ELSE expires_at > 0 AND expires_at <= $1 END LIMIT $3"
        ),
        &[now.into(), before.into(), limit.into()],
        |row| Ok((read_entry(row)?, row.int(5)? != 0)),
    )
}

/// Deletes a row that has no message. False if it was gone.
pub fn delete_without_message(tx: &mut Tx<'_>, pid: PartnerId, mail_id: i64) -> Result<bool> {
    let changed = tx.unscoped().execute(
        "DELETE FROM outbox WHERE pid = $1 AND mail_id = $2 AND letter IS NULL",
        &[pid.into(), mail_id.into()],
    )?;
    Ok(changed > 0)
}

/// Rewrites the table, in which deleted messages can leave traces, unless it has more than `most` rows. Returns whether
/// it did.
///
/// SQLite's `secure_delete` zeroes a deleted row and a page that becomes free, but a page that is split or merged keeps
/// copies of rows in its unused part (`rebuildPage` in btree.c zeroes nothing). Measured: 1 to 3 of 5,000 passwords
/// were still in the file after their rows were deleted. A `DELETE` without `WHERE` zeroes every page.
pub fn rewrite(tx: &mut Tx<'_>, most: i64) -> Result<bool> {
    match tx.dialect() {
        Dialect::Sqlite => {}
        // Deleted data stays in the files until they are vacuumed, and in the log and its copies: docs/OPERATIONS.md
        // says so.
        Dialect::Postgres => return Ok(true),
    }
    let rows = tx.unscoped().rows(
        "SELECT pid, mail_id, user_id, secret, attempts, next_attempt_at, expires_at, created_at, letter \
         FROM outbox LIMIT $1",
        &[(most + 1).into()],
        |row| {
            let mut numbers = [0; 8];
            for (column, number) in numbers.iter_mut().enumerate() {
                *number = row.int(column)?;
            }
            Ok((numbers, row.opt_text(8)?.map(|letter| Secret::new(letter.to_owned()))))
        },
    )?;
    if i64::try_from(rows.len()).map_or(true, |n| n > most) {
        return Ok(false);
    }
    tx.unscoped().execute("DELETE FROM outbox", &[])?;
    for (numbers, letter) in &rows {
        let mut params: Vec<Param<'_>> = numbers.iter().map(|&number| number.into()).collect();
        params.push(letter.as_ref().map(Secret::expose).into());
        tx.unscoped().execute(
            "INSERT INTO outbox (pid, mail_id, user_id, secret, attempts, next_attempt_at, expires_at, created_at, \
             letter) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            &params,
        )?;
    }
    Ok(true)
}
