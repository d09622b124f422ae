//! Imports in progress, with their positions.

use crate::engine::tx::Tx;
use tenantry_core::clock::Millis;
use tenantry_core::error::Result;

/// The progress of an import.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImportProgress {
    /// The checksum of the rows that are done.
    pub checksum: String,
    /// Rows that are done.
    pub rows: i64,
    /// Created users.
    pub created: i64,
    /// The rejected rows.
    pub failed: i64,
    /// The counts and the rejected rows, as JSON.
    pub report: String,
}

/// The progress of an import of the partner; `None` if it has not begun.
pub fn find(tx: &mut Tx<'_>, key: &str) -> Result<Option<ImportProgress>> {
    tx.row(
        "SELECT checksum, rows_done, created, failed, told FROM imports WHERE pid = $1 AND import_key = $2",
        &[key.into()],
        |row| {
            Ok(ImportProgress {
                checksum: row.text(0)?.to_owned(),
                rows: row.int(1)?,
                created: row.int(2)?,
                failed: row.int(3)?,
                report: row.text(4)?.to_owned(),
            })
        },
    )
}

/// Stores the progress of an import that was at `from` rows; false if it is at another position.
pub fn advance(tx: &mut Tx<'_>, key: &str, from: i64, to: &ImportProgress) -> Result<bool> {
    let now = tx.now();
    let changed = tx.execute(
        "INSERT INTO imports (pid, import_key, checksum, rows_done, created, failed, told, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
         ON CONFLICT (pid, import_key) DO UPDATE SET checksum = excluded.checksum, rows_done = excluded.rows_done, \
         created = excluded.created, failed = excluded.failed, told = excluded.told, \
         updated_at = excluded.updated_at WHERE imports.rows_done = $9",
        &[
            key.into(),
            (&to.checksum).into(),
            to.rows.into(),
            to.created.into(),
            to.failed.into(),
            (&to.report).into(),
            now.into(),
            from.into(),
        ],
    )?;
    Ok(changed == 1)
}

/// Deletes a completed import.
pub fn delete(tx: &mut Tx<'_>, key: &str) -> Result<()> {
    tx.execute("DELETE FROM imports WHERE pid = $1 AND import_key = $2", &[key.into()])?;
    Ok(())
}

/// Deletes at most `limit` imports that were not resumed since `before`, of all partners. Returns their number.
pub fn purge(tx: &mut Tx<'_>, before: Millis, limit: i64) -> Result<usize> {
    let take = tx.dialect().take_rows();
    let gone = tx.unscoped().execute(
        &format!(
            "DELETE FROM imports WHERE (pid, import_key) IN (SELECT i.pid, i.import_key FROM imports i \
             WHERE i.updated_at < $1 ORDER BY i.updated_at LIMIT $2{take})"
        ),
        &[before.into(), limit.into()],
    )?;
    Ok(gone)
}
