//! Entries of bulk operations: what is to be done, and the progress.

use crate::engine::driver::Param;
use crate::engine::tx::Tx;
use tenantry_core::clock::Millis;
use tenantry_core::error::{Error, Result};
use tenantry_core::model::PartnerId;

/// Ids per row. A step reads such a row, and rewrites it if it ends inside of it.
const PIECE: usize = 1_000;

/// The state of ids of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdState {
    /// Still to be done.
    Pending,
    /// Members that have left a group which is being deleted.
    Left,
}

impl IdState {
    fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Left => "left",
        }
    }
}

/// An operation in progress. A partner has one at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkRecord {
    /// Random.
    pub operation_id: String,
    /// The actor, as in events.
    pub actor: String,
    /// The change, as JSON.
    pub change: String,
    /// Total number of ids.
    pub total: i64,
    /// Number of changed rows.
    pub changed: i64,
    /// Rows that were left unchanged, as JSON.
    pub kept: String,
    /// The key of the response to store at the end.
    pub key_hash: Option<String>,
    /// The process that carries it out.
    pub owner: String,
    /// The end of its lease.
    pub lease_until: Millis,
}

/// Stores an operation; false if the partner has one already.
pub fn insert(tx: &mut Tx<'_>, record: &BulkRecord) -> Result<bool> {
    let now = tx.now();
    let stored = tx.execute(
        "INSERT INTO bulk_operations (pid, operation_id, actor, change, total, changed, kept, key_hash, begun_at, \
         owner, lease_until) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (pid) DO NOTHING",
        &[
            (&record.operation_id).into(),
            (&record.actor).into(),
            (&record.change).into(),
            record.total.into(),
            record.changed.into(),
            (&record.kept).into(),
            record.key_hash.as_ref().into(),
            now.into(),
            (&record.owner).into(),
            record.lease_until.into(),
        ],
    )?;
    Ok(stored == 1)
}

/// Shortens leases of all partners that end after `most` to `until`.
pub fn shorten_leases(tx: &mut Tx<'_>, most: Millis, until: Millis) -> Result<usize> {
    let sql = "UPDATE bulk_operations SET lease_until = $2 WHERE lease_until > $1";
    Ok(tx.unscoped().execute(sql, &[most.into(), until.into()])?)
}

/// Appends ids in this state.
pub fn add_ids(tx: &mut Tx<'_>, state: IdState, ids: &[i64]) -> Result<()> {
    let last = tx.row(
        "SELECT coalesce(max(i.piece), 0) FROM bulk_operation_ids i WHERE i.pid = $1 AND i.state = $2",
        &[state.name().into()],
        |row| row.int(0),
    )?;
    for (piece, ids) in (last.unwrap_or(0) + 1..).zip(ids.chunks(PIECE)) {
        let list = serde_json::json!(ids).to_string();
        tx.execute(
            "INSERT INTO bulk_operation_ids (pid, state, piece, ids) VALUES ($1, $2, $3, $4)",
            &[state.name().into(), piece.into(), Param::Text(&list)],
        )?;
    }
    Ok(())
}

fn parse(ids: &str) -> Result<Vec<i64>> {
    serde_json::from_str(ids).map_err(|_| Error::internal("ids of a bulk operation cannot be parsed"))
}

/// The first row of pending ids, and its number.
pub fn next_pending(tx: &mut Tx<'_>) -> Result<Option<(i64, Vec<i64>)>> {
    tx.row(
        "SELECT i.piece, i.ids FROM bulk_operation_ids i WHERE i.pid = $1 AND i.state = 'pending' \
         ORDER BY i.piece LIMIT 1",
        &[],
        |row| Ok((row.int(0)?, parse(row.text(1)?)?)),
    )
}

/// All pending ids.
pub fn list_pending(tx: &mut Tx<'_>) -> Result<Vec<i64>> {
    let pieces = tx.rows(
        "SELECT i.ids FROM bulk_operation_ids i WHERE i.pid = $1 AND i.state = 'pending'",
        &[],
        |row| parse(row.text(0)?),
    )?;
    Ok(pieces.into_iter().flatten().collect())
}

/// Stores the permissions of a group that is being deleted, as JSON, for its event.
pub fn keep_permissions(tx: &mut Tx<'_>, list: &str) -> Result<()> {
    tx.execute(
        "INSERT INTO bulk_operation_ids (pid, state, piece, ids) VALUES ($1, 'permissions', 1, $2)",
        &[Param::Text(list)],
    )?;
    Ok(())
}

/// The stored permissions, if any.
pub fn find_permissions(tx: &mut Tx<'_>) -> Result<Option<String>> {
    tx.row(
        "SELECT i.ids FROM bulk_operation_ids i WHERE i.pid = $1 AND i.state = 'permissions'",
        &[],
        |row| Ok(row.text(0)?.to_owned()),
    )
}

/// Deletes the stored permissions.
pub fn delete_permissions(tx: &mut Tx<'_>) -> Result<()> {
    tx.execute("DELETE FROM bulk_operation_ids WHERE pid = $1 AND state = 'permissions'", &[])?;
    Ok(())
}

/// Leaves only `rest` of a row pending.
pub fn set_pending(tx: &mut Tx<'_>, piece: i64, rest: &[i64]) -> Result<()> {
    if rest.is_empty() {
        tx.execute(
            "DELETE FROM bulk_operation_ids WHERE pid = $1 AND state = 'pending' AND piece = $2",
            &[piece.into()],
        )?;
        return Ok(());
    }
    let list = serde_json::json!(rest).to_string();
    tx.execute(
        "UPDATE bulk_operation_ids SET ids = $3 WHERE pid = $1 AND state = 'pending' AND piece = $2",
        &[piece.into(), Param::Text(&list)],
    )?;
    Ok(())
}

/// Removes and returns the members that have left, ascending, without duplicates.
pub fn take_left(tx: &mut Tx<'_>) -> Result<Vec<i64>> {
    let pieces = tx.rows(
        "SELECT i.ids FROM bulk_operation_ids i WHERE i.pid = $1 AND i.state = 'left'",
        &[],
        |row| parse(row.text(0)?),
    )?;
    let mut ids: Vec<i64> = pieces.into_iter().flatten().collect();
    if !ids.is_empty() {
        tx.execute("DELETE FROM bulk_operation_ids WHERE pid = $1 AND state = 'left'", &[])?;
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// The partner's operation, for a step of its owner, whose lease is renewed; `None` if it has ended or another process
/// carries it out.
pub fn hold(
    tx: &mut Tx<'_>,
    operation_id: &str,
    owner: &str,
    lease_until: Millis,
) -> Result<Option<BulkRecord>> {
    let held = tx.execute(
        "UPDATE bulk_operations SET lease_until = $4 WHERE pid = $1 AND operation_id = $2 AND owner = $3",
        &[operation_id.into(), owner.into(), lease_until.into()],
    )?;
    if held == 0 { Ok(None) } else { find(tx) }
}

/// The partner's operation.
pub fn find(tx: &mut Tx<'_>) -> Result<Option<BulkRecord>> {
    tx.row(
        "SELECT b.operation_id, b.actor, b.change, b.total, b.changed, b.kept, b.key_hash, b.owner, b.lease_until \
         FROM bulk_operations b WHERE b.pid = $1",
        &[],
        |row| {
            Ok(BulkRecord {
                operation_id: row.text(0)?.to_owned(),
                actor: row.text(1)?.to_owned(),
                change: row.text(2)?.to_owned(),
                total: row.int(3)?,
                changed: row.int(4)?,
                kept: row.text(5)?.to_owned(),
                key_hash: row.opt_text(6)?.map(str::to_owned),
                owner: row.text(7)?.to_owned(),
                lease_until: row.int(8)?,
            })
        },
    )
}

/// Stores the result of a step.
pub fn set_progress(tx: &mut Tx<'_>, changed: i64, kept: &str) -> Result<()> {
    tx.execute(
        "UPDATE bulk_operations SET changed = $2, kept = $3 WHERE pid = $1",
        &[changed.into(), kept.into()],
    )?;
    Ok(())
}

/// Deletes a completed operation.
pub fn delete(tx: &mut Tx<'_>) -> Result<()> {
    tx.execute("DELETE FROM bulk_operations WHERE pid = $1", &[])?;
    Ok(())
}

/// Releases an operation for another process.
pub fn release(tx: &mut Tx<'_>, operation_id: &str, owner: &str) -> Result<()> {
    tx.execute(
        "UPDATE bulk_operations SET lease_until = 0 WHERE pid = $1 AND operation_id = $2 AND owner = $3",
        &[operation_id.into(), owner.into()],
    )?;
    Ok(())
}

/// Makes `owner` the owner of the partner's operation, if it is still in the state `found`.
pub fn take_over(tx: &mut Tx<'_>, found: &BulkRecord, owner: &str, lease_until: Millis) -> Result<bool> {
    let taken = tx.execute(
        "UPDATE bulk_operations SET owner = $2, lease_until = $3 \
         WHERE pid = $1 AND operation_id = $4 AND owner = $5 AND lease_until = $6",
        &[
            owner.into(),
            lease_until.into(),
            (&found.operation_id).into(),
            (&found.owner).into(),
            found.lease_until.into(),
        ],
    )?;
    Ok(taken == 1)
}

/// The partners with an operation.
pub fn list_partners(tx: &mut Tx<'_>) -> Result<Vec<PartnerId>> {
    tx.unscoped()
        .rows("SELECT b.pid FROM bulk_operations b ORDER BY b.pid", &[], |row| row.int(0).map(PartnerId))
}
