//! The most expensive stored password hashes, by kind, which determine how long refused logins take (docs/adr/0021).
//! They apply to the whole server, so this file uses `Tx::unscoped` for them.

use std::collections::BTreeMap;

use crate::engine::tx::Tx;
use crate::tables::passwords::{cost, numbers};
use tenantry_core::clock::{HOUR, MINUTE, Millis};
use tenantry_core::error::Result;
use tenantry_passwords::{Work, WorkKind};

/// Precision of the time of the last record of a kind: a higher one would make imports wait for each other.
const PRECISION: Millis = 10 * MINUTE;
/// How long a kind is not lowered after it was recorded. Much longer than [`PRECISION`] and than any transaction: one
/// that relies on the recorded value has ended before it is lowered.
const KEPT: Millis = HOUR;

/// Passwords without a recorded cost, as in the index over them (migrations/0010).
const NOT_LOOKED_AT: &str = "p.cost_kind IS NULL AND substr(p.hash, 1, 7) <> 'sha256$' \
     AND substr(p.hash, 1, 31) <> '$argon2id$v=19$m=19456,t=2,p=1$'";

/// The highest work of a kind among all passwords that can log in.
pub(crate) const MOST: &str = "SELECT p.cost_work FROM passwords p WHERE p.cost_kind = $1 AND p.cost_kind > 0 \
     AND p.present = 1 ORDER BY p.cost_work DESC LIMIT 1";

pub(crate) fn not_looked_at_sql() -> String {
    format!("SELECT p.pid, p.user_id, p.password_id, p.hash FROM passwords p WHERE {NOT_LOOKED_AT} LIMIT $1")
}

/// The most expensive hash of each kind.
pub fn list(tx: &mut Tx<'_>) -> Result<Vec<Work>> {
    Ok(list_with_times(tx)?.into_iter().map(|(work, _)| work).collect())
}

fn list_with_times(tx: &mut Tx<'_>) -> Result<Vec<(Work, Millis)>> {
    let sql = "SELECT cost_kind, cost_work, raised_at FROM expensive_hashes";
    let rows = tx.unscoped().rows(sql, &[], |row| Ok((row.int(0)?, row.int(1)?, row.int(2)?)))?;
    let read = |(kind, amount, at): (i64, i64, Millis)| {
        let work = Work { kind: WorkKind::from_number(kind)?, amount: u64::try_from(amount).ok()? };
        Some((work, at))
    };
    Ok(rows.into_iter().filter_map(read).collect())
}

/// Records hashes that this transaction stores.
pub fn record<'h>(tx: &mut Tx<'_>, hashes: impl IntoIterator<Item = &'h str>) -> Result<()> {
    let mut most = BTreeMap::new();
    for work in hashes.into_iter().filter_map(tenantry_passwords::work_of) {
        let amount = most.entry(work.kind).or_insert(work.amount);
        *amount = work.amount.max(*amount);
    }
    if most.is_empty() {
        return Ok(());
    }
    let (recorded, now) = (list_with_times(tx)?, tx.steady());
    for (kind, amount) in most {
        let is_enough =
            |(work, at): &(Work, Millis)| work.kind == kind && work.amount >= amount && now - at < PRECISION;
        if recorded.iter().any(is_enough) {
            continue;
        }
        let (kind, amount) = numbers(Work { kind, amount });
        tx.unscoped().execute(
            "INSERT INTO expensive_hashes (cost_kind, cost_work, raised_at) VALUES ($1, $2, $3) \
             ON CONFLICT (cost_kind) DO UPDATE SET raised_at = excluded.raised_at, cost_work = \
             CASE WHEN excluded.cost_work > expensive_hashes.cost_work THEN excluded.cost_work \
             ELSE expensive_hashes.cost_work END",
            &[kind.into(), amount.into(), now.into()],
        )?;
    }
    Ok(())
}

/// Records the cost of at most `limit` passwords of any partner that have none, and updates the most expensive ones.
/// Returns their number, and the number of those over the limits.
pub fn look_at(tx: &mut Tx<'_>, limit: i64) -> Result<(usize, usize)> {
    let take = tx.dialect().take_rows();
    let found = tx.unscoped().rows(&format!("{}{take}", not_looked_at_sql()), &[limit.into()], |row| {
        Ok((row.int(0)?, row.int(1)?, row.int(2)?, row.text(3)?.to_owned()))
    })?;
    for (pid, user_id, password_id, hash) in &found {
        let (kind, work) = cost(hash);
        tx.unscoped().execute(
            "UPDATE passwords SET cost_kind = $4, cost_work = $5 \
             WHERE pid = $1 AND user_id = $2 AND password_id = $3",
            &[(*pid).into(), (*user_id).into(), (*password_id).into(), kind.into(), work.into()],
        )?;
    }
    record(tx, found.iter().map(|(.., hash)| hash.as_str()))?;
    let over = found.iter().filter(|(.., hash)| tenantry_passwords::is_over_the_bounds(hash)).count();
    Ok((found.len(), over))
}

/// Deletes kinds that no user has any more, and lowers the others to the current maximum.
pub fn lower(tx: &mut Tx<'_>) -> Result<()> {
    let (recorded, now) = (list_with_times(tx)?, tx.steady());
    let old: Vec<Work> =
        recorded.into_iter().filter(|(_, at)| now - at >= KEPT).map(|(work, _)| work).collect();
    if old.is_empty() {
        return Ok(());
    }
    let waiting = format!("SELECT 1 FROM passwords p WHERE {NOT_LOOKED_AT} LIMIT 1");
    if !tx.unscoped().rows(&waiting, &[], |_| Ok(()))?.is_empty() {
        return Ok(());
    }
    for work in old {
        let (kind, amount) = numbers(work);
        // The last entry of the index: one lookup, however many there are.
        let most = tx.unscoped().rows(MOST, &[kind.into()], |row| row.int(0))?;
        match most.first() {
            None => {
                tx.unscoped().execute("DELETE FROM expensive_hashes WHERE cost_kind = $1", &[kind.into()])?;
            }
            Some(most) if *most < amount => {
                tx.unscoped().execute(
                    "UPDATE expensive_hashes SET cost_work = $2 WHERE cost_kind = $1",
                    &[kind.into(), (*most).into()],
                )?;
            }
            Some(_) => {}
        }
    }
    Ok(())
}
