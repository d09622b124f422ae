//! Failed logins by address. Addresses belong to no partner, so this file uses `Tx::unscoped` throughout.

use crate::engine::tx::Tx;
use tenantry_core::clock::Millis;
use tenantry_core::error::Result;

/// Records a failure at the transaction's time.
pub fn insert(tx: &mut Tx<'_>, address: &str) -> Result<()> {
    let now = tx.steady();
    tx.unscoped().execute(
        "INSERT INTO login_failures (address, at, failures) VALUES ($1, $2, 1) \
         ON CONFLICT (address, at) DO UPDATE SET failures = login_failures.failures + 1",
        &[address.into(), now.into()],
    )?;
    Ok(())
}

/// Deletes the failures of an address.
pub fn forget(tx: &mut Tx<'_>, address: &str) -> Result<()> {
    tx.unscoped().execute("DELETE FROM login_failures WHERE address = $1", &[address.into()])?;
    Ok(())
}

/// The number of failures of an address after `since`, and the time of the first one.
pub fn count(tx: &mut Tx<'_>, address: &str, since: Millis) -> Result<(i64, Millis)> {
    let found = tx.unscoped().rows(
        "SELECT CAST(coalesce(sum(failures), 0) AS BIGINT), coalesce(min(at), 0) FROM login_failures \
         WHERE address = $1 AND at > $2",
        &[address.into(), since.into()],
        |row| Ok((row.int(0)?, row.int(1)?)),
    )?;
    Ok(found.first().copied().unwrap_or_default())
}

/// Moves failures later than `most` to the transaction's time.
pub fn move_back(tx: &mut Tx<'_>, most: Millis) -> Result<usize> {
    let now = tx.steady();
    let ahead = "SELECT 1 FROM login_failures WHERE at > $1 LIMIT 1";
    if tx.unscoped().rows(ahead, &[most.into()], |_| Ok(()))?.is_empty() {
        return Ok(0);
    }
    tx.unscoped().execute(
        "INSERT INTO login_failures (address, at, failures) \
         SELECT f.address, CAST($2 AS BIGINT), CAST(sum(f.failures) AS BIGINT) FROM login_failures f WHERE f.at > $1 \
         GROUP BY f.address \
         ON CONFLICT (address, at) DO UPDATE SET failures = login_failures.failures + excluded.failures",
        &[most.into(), now.into()],
    )?;
    Ok(tx.unscoped().execute("DELETE FROM login_failures WHERE at > $1", &[most.into()])?)
}

/// Deletes at most `limit` failures up to `until`. Returns their number.
pub fn purge(tx: &mut Tx<'_>, until: Millis, limit: i64) -> Result<usize> {
    let take = tx.dialect().take_rows();
    let gone = tx.unscoped().execute(
        &format!(
            "DELETE FROM login_failures WHERE (address, at) IN \
             (SELECT f.address, f.at FROM login_failures f WHERE f.at <= $1 ORDER BY f.at LIMIT $2{take})"
        ),
        &[until.into(), limit.into()],
    )?;
    Ok(gone)
}
