//! Stored responses of requests with an `Idempotency-Key`, in the table `kept_answers` (a migration named it so, and older
//! versions still read it).

use crate::engine::tx::Tx;
use tenantry_core::clock::Millis;
use tenantry_core::error::Result;
use tenantry_core::model::{PartnerId, UserId};

/// A stored response.
#[derive(Debug)]
pub struct StoredRow {
    /// The hash of the request's body.
    pub body_hash: String,
    /// When it was stored.
    pub stored_at: Millis,
    /// The response; `None` while the work is in progress.
    pub response: Option<String>,
}

/// The stored response of a request.
pub fn find(tx: &mut Tx<'_>, pid: PartnerId, key_hash: &str) -> Result<Option<StoredRow>> {
    let found = tx.unscoped().rows(
        "SELECT body_hash, kept_at, answer FROM kept_answers WHERE pid = $1 AND key_hash = $2",
        &[pid.into(), key_hash.into()],
        |row| {
            Ok(StoredRow {
                body_hash: row.text(0)?.to_owned(),
                stored_at: row.int(1)?,
                response: row.opt_text(2)?.map(str::to_owned),
            })
        },
    )?;
    Ok(found.into_iter().next())
}

/// Inserts the row of a response before the work begins. If several units run concurrently, the second one waits here
/// for the first and is then retried.
pub fn begin(tx: &mut Tx<'_>, pid: PartnerId, key_hash: &str, body_hash: &str) -> Result<()> {
    let now = tx.steady();
    tx.unscoped().execute(
        "INSERT INTO kept_answers (pid, key_hash, body_hash, kept_at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (pid, key_hash) DO UPDATE SET body_hash = excluded.body_hash, kept_at = excluded.kept_at, \
         answer = NULL",
        &[pid.into(), key_hash.into(), body_hash.into(), now.into()],
    )?;
    Ok(())
}

/// Moves at most `limit` responses that were stored later than `most` to the transaction's time.
pub fn move_back(tx: &mut Tx<'_>, most: Millis, limit: i64) -> Result<usize> {
    let (now, take) = (tx.steady(), tx.dialect().take_rows());
    let sql = format!(
        "UPDATE kept_answers SET kept_at = $2 WHERE (pid, key_hash) IN \
         (SELECT k.pid, k.key_hash FROM kept_answers k WHERE k.kept_at > $1 LIMIT $3{take})"
    );
    Ok(tx.unscoped().execute(&sql, &[most.into(), now.into(), limit.into()])?)
}

/// Stores a response in its row.
pub fn set(tx: &mut Tx<'_>, pid: PartnerId, key_hash: &str, response: &str) -> Result<()> {
    tx.unscoped().execute(
        "UPDATE kept_answers SET answer = $3 WHERE pid = $1 AND key_hash = $2",
        &[pid.into(), key_hash.into(), response.into()],
    )?;
    Ok(())
}

/// Records which users a stored response shows.
pub fn set_users(
    tx: &mut Tx<'_>,
    pid: PartnerId,
    key_hash: &str,
    users: &[(PartnerId, UserId)],
) -> Result<()> {
    for (user_pid, user_id) in users {
        tx.unscoped().execute(
            "INSERT INTO stored_response_users (pid, key_hash, user_pid, user_id) VALUES ($1, $2, $3, $4) \
             ON CONFLICT DO NOTHING",
            &[pid.into(), key_hash.into(), (*user_pid).into(), (*user_id).into()],
        )?;
    }
    Ok(())
}

/// Replaces the responses that show this user of the partner, or any of its users if none is given, with `replacement`.
/// The keys stay taken.
pub fn replace_of(tx: &mut Tx<'_>, user: Option<UserId>, replacement: &str) -> Result<()> {
    // User ids are positive.
    let (first, last) = user.map_or((0, i64::MAX), |user| (user.0, user.0));
    tx.execute(
        "UPDATE kept_answers SET answer = $4 WHERE (pid, key_hash) IN \
         (SELECT r.pid, r.key_hash FROM stored_response_users r \
          WHERE r.user_pid = $1 AND r.user_id BETWEEN $2 AND $3)",
        &[first.into(), last.into(), replacement.into()],
    )?;
    tx.execute(
        "DELETE FROM stored_response_users WHERE user_pid = $1 AND user_id BETWEEN $2 AND $3",
        &[first.into(), last.into()],
    )?;
    Ok(())
}

/// Deletes the row of a response.
pub fn delete(tx: &mut Tx<'_>, pid: PartnerId, key_hash: &str) -> Result<()> {
    tx.unscoped().execute(
        "DELETE FROM kept_answers WHERE pid = $1 AND key_hash = $2",
        &[pid.into(), key_hash.into()],
    )?;
    Ok(())
}

/// Deletes at most `limit` responses from before `before`, of all partners. Returns their number.
pub fn purge(tx: &mut Tx<'_>, before: Millis, limit: i64) -> Result<usize> {
    let take = tx.dialect().take_rows();
    let gone = tx.unscoped().execute(
        &format!(
            "DELETE FROM kept_answers WHERE (pid, key_hash) IN \
             (SELECT k.pid, k.key_hash FROM kept_answers k WHERE k.kept_at < $1 ORDER BY k.kept_at LIMIT $2{take})"
        ),
        &[before.into(), limit.into()],
    )?;
    Ok(gone)
}
