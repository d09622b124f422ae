//! Which process has a partner's large unit of work, if several share a database.

use crate::engine::tx::Tx;
use tenantry_core::clock::Millis;
use tenantry_core::error::Result;

/// Acquires it until then, if it is free.
///
/// The holder keeps the row locked for the duration of a step, so the row is read before it is written: a process that
/// finds it taken returns at once without waiting for a step.
pub fn acquire(tx: &mut Tx<'_>, holder: &str, expires_at: Millis) -> Result<bool> {
    let now = tx.steady();
    let taken = "SELECT 1 FROM large_units WHERE pid = $1 AND expires_at > $2";
    if tx.row(taken, &[now.into()], |_| Ok(()))?.is_some() {
        return Ok(false);
    }
    let taken = tx.execute(
        "INSERT INTO large_units (pid, holder, expires_at) VALUES ($1, $2, $3) ON CONFLICT (pid) \
         DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at WHERE large_units.expires_at <= $4",
        &[holder.into(), expires_at.into(), now.into()],
    )?;
    Ok(taken > 0)
}

/// Renews it until then; false if another process has acquired it.
pub fn renew(tx: &mut Tx<'_>, holder: &str, expires_at: Millis) -> Result<bool> {
    let sql = "UPDATE large_units SET expires_at = $3 WHERE pid = $1 AND holder = $2";
    Ok(tx.execute(sql, &[holder.into(), expires_at.into()])? > 0)
}

/// Shortens leases of all partners that end after `most` to `until`.
pub fn shorten(tx: &mut Tx<'_>, most: Millis, until: Millis) -> Result<usize> {
    let sql = "UPDATE large_units SET expires_at = $2 WHERE expires_at > $1";
    Ok(tx.unscoped().execute(sql, &[most.into(), until.into()])?)
}

/// Releases it.
pub fn release(tx: &mut Tx<'_>, holder: &str) -> Result<()> {
    tx.execute("DELETE FROM large_units WHERE pid = $1 AND holder = $2", &[holder.into()])?;
    Ok(())
}
