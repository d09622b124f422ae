//! Which process has the one large unit of work of a partner, where several share a database.

use crate::engine::tx::Tx;
use tenantry_core::clock::Millis;
use tenantry_core::error::Result;

/// Takes it until then, if nobody has it.
///
/// A process that has it keeps the row locked for as long as a step takes, so the row is read before it is written:
/// whoever finds it taken is told at once and waits for no step.
pub fn acquire(tx: &mut Tx<'_>, holder: &str, expires_at: Millis) -> Result<bool> {
    let now = tx.now();
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

/// Keeps it until then; false when it was taken by another holder.
pub fn renew(tx: &mut Tx<'_>, holder: &str, expires_at: Millis) -> Result<bool> {
    let sql = "UPDATE large_units SET expires_at = $3 WHERE pid = $1 AND holder = $2";
    Ok(tx.execute(sql, &[holder.into(), expires_at.into()])? > 0)
}

/// Gives it up.
pub fn release(tx: &mut Tx<'_>, holder: &str) -> Result<()> {
    tx.execute("DELETE FROM large_units WHERE pid = $1 AND holder = $2", &[holder.into()])?;
    Ok(())
}
