//! Changes of permission lists that are too large for one transaction: staged in steps beside the current list,
//! switched in one small transaction, and settled in steps afterwards (docs/adr/0025-lists-are-switched.md).

use crate::engine::driver::{Param, Row};
use crate::engine::tx::Tx;
use crate::tables::permissions::{Key, ListPosition, RowChange};
use tenantry_core::error::{Error, Result};
use tenantry_core::model::{GroupId, PartnerId};

/// Whether a row `p` of `group_permissions` counts. Nearly all rows belong to no change, which costs one comparison.
pub(crate) const COUNTS: &str = "(p.change = 0 OR (p.change > 0) <> EXISTS (SELECT 1 FROM permission_changes c \
     WHERE c.pid = $1 AND c.group_id = p.group_id AND c.change_id = abs(p.change) AND c.state <> 1))";

/// The state of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeState {
    /// Its rows are being written; the previous list applies.
    Staged,
    /// It applies; the replaced rows are being removed.
    InForce,
    /// It was abandoned, or the list was changed meanwhile; its rows are being removed.
    Cancelled,
}

impl ChangeState {
    fn number(self) -> i64 {
        match self {
            Self::Staged => 0,
            Self::InForce => 1,
            Self::Cancelled => 2,
        }
    }

    fn read(number: i64) -> Result<Self> {
        [Self::Staged, Self::InForce, Self::Cancelled]
            .into_iter()
            .find(|state| state.number() == number)
            .ok_or_else(|| Error::internal(format!("a change of permissions has the unknown state {number}")))
    }
}

/// The unsettled change of a group's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsettled {
    /// Its number, which its rows have.
    pub change_id: i64,
    /// Its state.
    pub state: ChangeState,
}

/// The unsettled change of a group's list, if there is one.
pub fn find(tx: &mut Tx<'_>, group_id: GroupId) -> Result<Option<Unsettled>> {
    let sql = "SELECT c.change_id, c.state FROM permission_changes c WHERE c.pid = $1 AND c.group_id = $2";
    tx.row(sql, &[group_id.into()], |row| {
        Ok(Unsettled { change_id: row.int(0)?, state: ChangeState::read(row.int(1)?)? })
    })
}

/// Begins a change of a group's list, whose number is the group's version. `None` if the group has an unsettled one.
pub fn begin(tx: &mut Tx<'_>, group_id: GroupId, version: i64) -> Result<Option<i64>> {
    let now = tx.now();
    let made = tx.execute(
        "INSERT INTO permission_changes (pid, group_id, change_id, state, steps, begun_at) VALUES ($1, $2, $3, 0, 0, $4) \
         ON CONFLICT (pid, group_id) DO NOTHING",
        &[group_id.into(), version.into(), now.into()],
    )?;
    Ok((made > 0).then_some(version))
}

/// Claims a staged change for the transaction that writes rows of it. False if it is gone or cancelled.
pub fn claim_staged(tx: &mut Tx<'_>, group_id: GroupId, change_id: i64) -> Result<bool> {
    let taken = tx.execute(
        "UPDATE permission_changes SET steps = permission_changes.steps + 1 WHERE pid = $1 AND group_id = $2 \
         AND change_id = $3 AND state = 0",
        &[group_id.into(), change_id.into()],
    )?;
    Ok(taken > 0)
}

/// Puts a staged change in force: its rows count from now on, and those that it removes do not. False if it is gone or
/// cancelled.
pub fn switch(tx: &mut Tx<'_>, group_id: GroupId, change_id: i64) -> Result<bool> {
    set_state(tx, group_id, Some(change_id), ChangeState::InForce)
}

/// Cancels the staged change of a group's list, if there is one: another unit changes the list.
pub fn cancel(tx: &mut Tx<'_>, group_id: GroupId) -> Result<()> {
    set_state(tx, group_id, None, ChangeState::Cancelled).map(drop)
}

fn set_state(tx: &mut Tx<'_>, group_id: GroupId, change_id: Option<i64>, to: ChangeState) -> Result<bool> {
    let sql = "UPDATE permission_changes SET state = $3 WHERE pid = $1 AND group_id = $2 AND state = 0 \
               AND change_id = coalesce(CAST($4 AS BIGINT), change_id)";
    Ok(tx.execute(sql, &[group_id.into(), to.number().into(), change_id.into()])? > 0)
}

/// Deletes a change that is settled, or that has written nothing.
pub fn end(tx: &mut Tx<'_>, group_id: GroupId, change_id: i64) -> Result<bool> {
    let sql = "DELETE FROM permission_changes WHERE pid = $1 AND group_id = $2 AND change_id = $3";
    Ok(tx.execute(sql, &[group_id.into(), change_id.into()])? > 0)
}

/// Stages a change of a row.
pub fn stage(tx: &mut Tx<'_>, group_id: GroupId, change_id: i64, change: &RowChange) -> Result<()> {
    match change {
        RowChange::Add(key, place) => crate::tables::permissions::insert(tx, group_id, key, *place, change_id),
        RowChange::Remove(key) => tx.execute_later(
            "UPDATE group_permissions SET change = $6 WHERE pid = $1 AND object_type = $2 AND object_id = $3 \
             AND permission = $4 AND group_id = $5",
            &[
                (&key.object_type).into(),
                (&key.object_id).into(),
                (&key.permission).into(),
                group_id.into(),
                (-change_id).into(),
            ],
            Error::from,
        ),
        RowChange::Move(key, place) => tx.execute_later(
            "UPDATE group_permissions SET next_entry = $6, next_place = $7, next_is_number = $8 WHERE pid = $1 \
             AND object_type = $2 AND object_id = $3 AND permission = $4 AND group_id = $5",
            &[
                (&key.object_type).into(),
                (&key.object_id).into(),
                (&key.permission).into(),
                group_id.into(),
                place.entry.into(),
                place.place.into(),
                place.is_number.into(),
            ],
            Error::from,
        ),
    }
}

/// A row that is to be settled, with its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsettledRow {
    key: Key,
    place: ListPosition,
    change: i64,
}

fn read_unsettled(row: &dyn Row) -> Result<UnsettledRow> {
    Ok(UnsettledRow {
        key: Key {
            object_type: row.text(2)?.to_owned(),
            object_id: row.text(3)?.to_owned(),
            permission: row.text(4)?.to_owned(),
        },
        place: ListPosition { entry: row.int(0)?, place: row.int(1)?, is_number: false },
        change: row.int(5)?,
    })
}

/// The next rows to settle of a change that is no longer staged, after `after`.
pub fn list_unsettled_rows(
    tx: &mut Tx<'_>,
    group_id: GroupId,
    of: Unsettled,
    after: Option<&UnsettledRow>,
    limit: i64,
) -> Result<Vec<UnsettledRow>> {
    // In force, its added rows are like any other row.
    let added = if of.state == ChangeState::InForce { "" } else { " OR p.change = -$3" };
    let mut params: Vec<Param<'_>> = vec![group_id.into(), (-of.change_id).into(), limit.into()];
    let mut beyond = "";
    if let Some(UnsettledRow { key, place, .. }) = after {
        beyond = " AND (p.entry, p.place, p.object_type, p.object_id, p.permission) > ($5, $6, $7, $8, $9)";
        params.extend([Param::from(place.entry), place.place.into()]);
        params.extend([&key.object_type, &key.object_id, &key.permission].map(Param::from));
    }
    let sql = format!(
        "SELECT p.entry, p.place, p.object_type, p.object_id, p.permission, p.change FROM group_permissions p \
         WHERE p.pid = $1 AND p.group_id = $2 AND (p.change = $3{added} OR p.next_entry IS NOT NULL){beyond} \
         ORDER BY p.entry, p.place, p.object_type, p.object_id, p.permission LIMIT $4"
    );
    tx.rows(&sql, &params, read_unsettled)
}

/// Settles a row: one that does not count is deleted, any other becomes an ordinary row.
pub fn settle(tx: &mut Tx<'_>, group_id: GroupId, of: Unsettled, row: &UnsettledRow) -> Result<()> {
    let is_in_force = of.state == ChangeState::InForce;
    let goes = if is_in_force { row.change == -of.change_id } else { row.change == of.change_id };
    // If it was changed since it was read, it is settled already.
    let sql = match (goes, is_in_force) {
        (true, _) => {
            "DELETE FROM group_permissions WHERE pid = $1 AND object_type = $2 AND object_id = $3 AND permission = $4 \
             AND group_id = $5 AND change = $6"
        }
        (false, true) => {
            "UPDATE group_permissions SET entry = next_entry, place = next_place, is_number = next_is_number, \
             next_entry = NULL, next_place = NULL, next_is_number = NULL WHERE pid = $1 AND object_type = $2 \
             AND object_id = $3 AND permission = $4 AND group_id = $5 AND change = $6 AND next_entry IS NOT NULL"
        }
        (false, false) => {
            "UPDATE group_permissions SET change = 0, next_entry = NULL, next_place = NULL, next_is_number = NULL \
             WHERE pid = $1 AND object_type = $2 AND object_id = $3 AND permission = $4 AND group_id = $5 AND change = $6"
        }
    };
    tx.execute_later(
        sql,
        &[
            (&row.key.object_type).into(),
            (&row.key.object_id).into(),
            (&row.key.permission).into(),
            group_id.into(),
            row.change.into(),
        ],
        Error::from,
    )
}

/// Groups of all partners whose list has an unsettled change.
pub fn list_unsettled(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<(PartnerId, GroupId)>> {
    let sql = "SELECT pid, group_id FROM permission_changes ORDER BY begun_at, pid, group_id LIMIT $1";
    tx.unscoped().rows(sql, &[limit.into()], |row| Ok((PartnerId(row.int(0)?), GroupId(row.int(1)?))))
}
