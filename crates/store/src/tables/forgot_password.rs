//! Forgotten-password requests, and the mails sent for them.

use crate::engine::sequences::Sequence;
use crate::engine::tx::Tx;
use tenantry_core::clock::Millis;
use tenantry_core::error::Result;
use tenantry_core::model::{PartnerId, UserId};

/// What a request asks to be mailed. The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// A temporary password.
    Password = 0,
    /// The username.
    Username = 1,
}

/// A stored request, whether there is such a user or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordRequest {
    /// Its id.
    pub request_id: i64,
    /// What is to be mailed.
    pub wanted: Wanted,
    /// Whether `key` is an e-mail address.
    pub by_email: bool,
    /// The folded username or e-mail address; empty if nobody can have it.
    pub key: String,
}

/// Stores a request, for the worker.
pub fn insert(tx: &mut Tx<'_>, wanted: Wanted, by_email: bool, key: &str) -> Result<()> {
    let (id, now) = (tx.next_id(Sequence::PasswordRequests)?, tx.now());
    tx.unscoped().execute(
        "INSERT INTO password_requests (request_id, wanted, by_email, name_key, requested_at) \
         VALUES ($1, $2, $3, $4, $5)",
        &[id.into(), (wanted as i64).into(), by_email.into(), key.into(), now.into()],
    )?;
    tx.effects.mail = true;
    Ok(())
}

/// Pending requests, oldest first.
pub fn list(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<PasswordRequest>> {
    tx.unscoped().rows(
        "SELECT request_id, by_email, name_key, wanted FROM password_requests ORDER BY request_id LIMIT $1",
        &[limit.into()],
        |row| {
            Ok(PasswordRequest {
                request_id: row.int(0)?,
                wanted: if row.int(3)? == Wanted::Username as i64 {
                    Wanted::Username
                } else {
                    Wanted::Password
                },
                by_email: row.int(1)? != 0,
                key: row.text(2)?.to_owned(),
            })
        },
    )
}

/// Deletes a processed request.
pub fn delete(tx: &mut Tx<'_>, request_id: i64) -> Result<()> {
    tx.unscoped().execute("DELETE FROM password_requests WHERE request_id = $1", &[request_id.into()])?;
    Ok(())
}

/// Deletes requests that match no user: they have no effect, and may contain values of a user who was just erased.
pub fn delete_of_nobody(tx: &mut Tx<'_>) -> Result<()> {
    tx.unscoped().execute(
        "DELETE FROM password_requests WHERE CASE by_email WHEN 0 THEN \
         NOT EXISTS (SELECT 1 FROM usernames n WHERE n.name_key = password_requests.name_key) ELSE NOT EXISTS \
         (SELECT 1 FROM partners p JOIN users u ON u.pid = p.pid AND u.email_key = password_requests.name_key) END",
        &[],
    )?;
    Ok(())
}

/// Users of any partner with this folded e-mail address, by id after `after`.
pub fn find_by_email(
    tx: &mut Tx<'_>,
    key: &str,
    after: UserId,
    limit: i64,
) -> Result<Vec<(PartnerId, UserId)>> {
    // The index of addresses leads with the partner: there are few partners, and no client waits for this.
    tx.unscoped().rows(
        "SELECT u.pid, u.user_id FROM partners p JOIN users u ON u.pid = p.pid AND u.email_key = $1 \
         WHERE u.user_id > $2 ORDER BY u.user_id LIMIT $3",
        &[key.into(), after.into(), limit.into()],
        |row| Ok((PartnerId(row.int(0)?), UserId(row.int(1)?))),
    )
}

/// The times of requested mails to a user since `since`, newest first.
pub fn list_issued(tx: &mut Tx<'_>, user_id: UserId, since: Millis) -> Result<Vec<Millis>> {
    tx.rows(
        "SELECT issued_at FROM forgotten_passwords WHERE pid = $1 AND user_id = $2 AND issued_at > $3 \
         ORDER BY issued_at DESC",
        &[user_id.into(), since.into()],
        |row| row.int(0),
    )
}

/// Records a mail to a user now, and deletes records from before `since`.
pub fn set_issued(tx: &mut Tx<'_>, user_id: UserId, since: Millis) -> Result<()> {
    let now = tx.steady();
    tx.execute(
        "DELETE FROM forgotten_passwords WHERE pid = $1 AND user_id = $2 AND issued_at <= $3",
        &[user_id.into(), since.into()],
    )?;
    tx.execute(
        "INSERT INTO forgotten_passwords (pid, user_id, issued_at) VALUES ($1, $2, $3)",
        &[user_id.into(), now.into()],
    )?;
    Ok(())
}
