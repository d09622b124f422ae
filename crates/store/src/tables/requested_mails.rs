//! When users were mailed what somebody asked for: for the limits.

use crate::engine::tx::Tx;
use tenantry_core::clock::Millis;
use tenantry_core::error::Result;
use tenantry_core::model::UserId;

/// What was mailed. The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailKind {
    /// The username.
    Username = 1,
    /// A link to verify the address.
    VerificationLink = 2,
}

/// The times of the mails of a kind to a user since `since`, newest first.
pub fn list(tx: &mut Tx<'_>, user_id: UserId, kind: MailKind, since: Millis) -> Result<Vec<Millis>> {
    tx.rows(
        "SELECT sent_at FROM requested_mails WHERE pid = $1 AND user_id = $2 AND kind = $3 AND sent_at > $4 \
         ORDER BY sent_at DESC",
        &[user_id.into(), (kind as i64).into(), since.into()],
        |row| row.int(0),
    )
}

/// Records a mail to a user now, and deletes records of its kind from before `since`.
pub fn insert(tx: &mut Tx<'_>, user_id: UserId, kind: MailKind, since: Millis) -> Result<()> {
    let (now, kind) = (tx.steady(), kind as i64);
    tx.execute(
        "DELETE FROM requested_mails WHERE pid = $1 AND user_id = $2 AND kind = $3 AND sent_at <= $4",
        &[user_id.into(), kind.into(), since.into()],
    )?;
    tx.execute(
        "INSERT INTO requested_mails (pid, user_id, kind, sent_at) VALUES ($1, $2, $3, $4)",
        &[user_id.into(), kind.into(), now.into()],
    )?;
    Ok(())
}
