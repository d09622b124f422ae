//! Answers to requests that may come again (Idempotency-Key).

use super::tx::Tx;
use crate::clock::Millis;
use crate::error::Result;
use crate::model::PartnerId;

/// A stored answer.
#[derive(Debug)]
pub struct Kept {
    /// Of the request's body.
    pub body_hash: String,
    /// When it was stored.
    pub kept_at: Millis,
    /// What was answered.
    pub answer: Option<String>,
}

/// What was answered to a request.
pub fn find(tx: &mut Tx<'_>, pid: PartnerId, key_hash: &str) -> Result<Option<Kept>> {
    let found = tx.unscoped().rows(
        "SELECT body_hash, kept_at, answer FROM kept_answers WHERE pid = $1 AND key_hash = $2",
        &[pid.into(), key_hash.into()],
        |row| {
            Ok(Kept {
                body_hash: row.text(0)?.to_owned(),
                kept_at: row.int(1)?,
                answer: row.opt_text(2)?.map(str::to_owned),
            })
        },
    )?;
    Ok(found.into_iter().next())
}

/// Takes the place of an answer before the work begins. Where several units run at once, the second to come waits here
/// for the first and then runs again.
pub fn begin(tx: &mut Tx<'_>, pid: PartnerId, key_hash: &str, body_hash: &str) -> Result<()> {
    let now = tx.now();
    tx.unscoped().execute(
        "INSERT INTO kept_answers (pid, key_hash, body_hash, kept_at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (pid, key_hash) DO UPDATE SET body_hash = excluded.body_hash, kept_at = excluded.kept_at, \
         answer = NULL",
        &[pid.into(), key_hash.into(), body_hash.into(), now.into()],
    )?;
    Ok(())
}

/// Stores an answer at its place.
pub fn set(tx: &mut Tx<'_>, pid: PartnerId, key_hash: &str, answer: &str) -> Result<()> {
    tx.unscoped().execute(
        "UPDATE kept_answers SET answer = $3 WHERE pid = $1 AND key_hash = $2",
        &[pid.into(), key_hash.into(), answer.into()],
    )?;
    Ok(())
}

/// Gives a place up.
pub fn delete(tx: &mut Tx<'_>, pid: PartnerId, key_hash: &str) -> Result<()> {
    tx.unscoped().execute(
        "DELETE FROM kept_answers WHERE pid = $1 AND key_hash = $2",
        &[pid.into(), key_hash.into()],
    )?;
    Ok(())
}

/// Removes answers from before `before`, of all partners, at most `limit`; how many.
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
