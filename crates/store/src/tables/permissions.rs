//! Permissions and wildcards of groups.

use std::collections::HashMap;

use crate::engine::driver::Row;
use crate::engine::tx::Tx;
use crate::tables::permission_changes::{self, COUNTS, ChangeState};
use tenantry_core::error::{Error, Result};
use tenantry_core::model::{GroupId, ObjectId, ObjectPermissions};

/// The permissions of a group on single objects, as the list was given.
pub fn list(tx: &mut Tx<'_>, group_id: GroupId) -> Result<Vec<ObjectPermissions>> {
    let change = permission_changes::find(tx, group_id)?;
    let mut list: Vec<ObjectPermissions> = Vec::new();
    let mut last = None;
    let read = &mut |row: &dyn Row| {
        let entry = row.int(0)?;
        match list.last_mut().filter(|_| last == Some(entry)) {
            Some(present) => present.permissions.push(row.text(4)?.to_owned()),
            None => list.push(ObjectPermissions {
                object_type: row.text(1)?.to_owned(),
                object_id: ObjectId { text: row.text(2)?.to_owned(), is_number: row.int(3)? != 0 },
                permissions: vec![row.text(4)?.to_owned()],
            }),
        }
        last = Some(entry);
        Ok(())
    };
    if change.is_some_and(|change| change.state == ChangeState::InForce) {
        // Rows with settled and with unsettled positions, until all are settled.
        let sql = format!(
            "SELECT coalesce(p.next_entry, p.entry), p.object_type, p.object_id, \
             coalesce(p.next_is_number, p.is_number), p.permission FROM group_permissions p WHERE p.pid = $1 \
             AND p.group_id = $2 AND {COUNTS} ORDER BY coalesce(p.next_entry, p.entry), coalesce(p.next_place, p.place)"
        );
        tx.each(&sql, &[group_id.into()], read)?;
    } else {
        let sql = format!(
            "SELECT p.entry, p.object_type, p.object_id, p.is_number, p.permission FROM group_permissions p \
             WHERE p.pid = $1 AND p.group_id = $2 AND {COUNTS} ORDER BY p.entry, p.place"
        );
        tx.each(&sql, &[group_id.into()], read)?;
    }
    Ok(list)
}

/// The number of rows of a group's list, at most `limit`.
pub fn count_up_to(tx: &mut Tx<'_>, group_id: GroupId, limit: i64) -> Result<i64> {
    let sql = "SELECT count(*) FROM (SELECT 1 FROM group_permissions p WHERE p.pid = $1 AND p.group_id = $2 LIMIT $3) hits";
    Ok(tx.row(sql, &[group_id.into(), limit.into()], |row| row.int(0))?.unwrap_or(0))
}

/// Deletes the first `limit` rows of the list of a group that is being deleted. Returns their number.
pub fn delete_first(tx: &mut Tx<'_>, group_id: GroupId, limit: i64) -> Result<usize> {
    Ok(tx.execute(
        "DELETE FROM group_permissions WHERE pid = $1 AND group_id = $2 AND \
         (object_type, object_id, permission) IN (SELECT p.object_type, p.object_id, p.permission \
         FROM group_permissions p WHERE p.pid = $1 AND p.group_id = $2 ORDER BY p.entry, p.place LIMIT $3)",
        &[group_id.into(), limit.into()],
    )?)
}

/// Whether a group's list has more than `limit` permissions, possibly including rows that no longer count.
pub fn has_more_than(tx: &mut Tx<'_>, group_id: GroupId, count: usize) -> Result<bool> {
    let sql = "SELECT 1 FROM group_permissions p WHERE p.pid = $1 AND p.group_id = $2 LIMIT 1 OFFSET $3";
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    Ok(tx.row(sql, &[group_id.into(), count.into()], |_| Ok(()))?.is_some())
}

/// One permission on one object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The object's type.
    pub object_type: String,
    /// The object, as text.
    pub object_id: String,
    /// The permission.
    pub permission: String,
}

/// Its position in the list, and whether the object's id was given as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListPosition {
    /// Which entry of the list.
    pub entry: i64,
    /// Which permission of the entry.
    pub place: i64,
    /// Whether the object's id was given as a number.
    pub is_number: bool,
}

/// A change of a row of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowChange {
    /// Added.
    Add(Key, ListPosition),
    /// Removed.
    Remove(Key),
    /// Moved to another position.
    Move(Key, ListPosition),
}

impl RowChange {
    fn key(&self) -> &Key {
        match self {
            Self::Add(key, _) | Self::Remove(key) | Self::Move(key, _) => key,
        }
    }
}

type KeyRef<'a> = (&'a str, &'a str, &'a str);

fn rows(list: &[ObjectPermissions]) -> HashMap<KeyRef<'_>, ListPosition> {
    let mut rows = HashMap::new();
    for (entry, of) in (0..).zip(list) {
        for (place, permission) in (0..).zip(&of.permissions) {
            let key = (of.object_type.as_str(), of.object_id.text.as_str(), permission.as_str());
            rows.insert(key, ListPosition { entry, place, is_number: of.object_id.is_number });
        }
    }
    rows
}

/// The changes from `before` to `after`, in the order of the key: adjacent rows of the table are written together.
pub fn difference(before: &[ObjectPermissions], after: &[ObjectPermissions]) -> Vec<RowChange> {
    let (before, after) = (rows(before), rows(after));
    let owned = |key: &KeyRef<'_>| Key {
        object_type: key.0.to_owned(),
        object_id: key.1.to_owned(),
        permission: key.2.to_owned(),
    };
    let gone = before.keys().filter(|key| !after.contains_key(*key)).map(|key| RowChange::Remove(owned(key)));
    let mut changes: Vec<RowChange> = gone.collect();
    changes.extend(after.iter().filter_map(|(key, place)| match before.get(key) {
        None => Some(RowChange::Add(owned(key), *place)),
        Some(present) => (present != place).then(|| RowChange::Move(owned(key), *place)),
    }));
    changes.sort_unstable_by(|a, b| a.key().cmp(b.key()));
    changes
}

/// Changes a group's list in this transaction. This cancels a staged change.
pub fn apply(tx: &mut Tx<'_>, group_id: GroupId, changes: &[RowChange]) -> Result<()> {
    let is_at_rest = permission_changes::find(tx, group_id)?.is_none();
    if !is_at_rest {
        permission_changes::cancel(tx, group_id)?;
    }
    for change in changes {
        match change {
            RowChange::Remove(key) => tx.execute_later(
                "DELETE FROM group_permissions WHERE pid = $1 AND object_type = $2 AND object_id = $3 \
                 AND permission = $4 AND group_id = $5",
                &[
                    (&key.object_type).into(),
                    (&key.object_id).into(),
                    (&key.permission).into(),
                    group_id.into(),
                ],
                Error::from,
            )?,
            RowChange::Add(key, place) if is_at_rest => insert(tx, group_id, key, *place, 0)?,
            RowChange::Add(key, place) | RowChange::Move(key, place) => upsert(tx, group_id, key, *place)?,
        }
    }
    Ok(())
}

/// Inserts a new row.
pub(crate) fn insert(
    tx: &mut Tx<'_>,
    group_id: GroupId,
    key: &Key,
    place: ListPosition,
    change: i64,
) -> Result<()> {
    let sql = "INSERT INTO group_permissions (pid, object_type, object_id, permission, group_id, entry, place, \
               is_number, change) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let ListPosition { entry, place, is_number } = place;
    tx.execute_later(
        sql,
        &[
            (&key.object_type).into(),
            (&key.object_id).into(),
            (&key.permission).into(),
            group_id.into(),
            entry.into(),
            place.into(),
            is_number.into(),
            change.into(),
        ],
        Error::from,
    )
}

/// Inserts or updates a row that may exist: at another position, or as one that an unsettled change adds or removes.
fn upsert(tx: &mut Tx<'_>, group_id: GroupId, key: &Key, place: ListPosition) -> Result<()> {
    tx.execute_later(
        "INSERT INTO group_permissions (pid, object_type, object_id, permission, group_id, entry, place, is_number) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
         ON CONFLICT (pid, object_type, object_id, permission, group_id) \
         DO UPDATE SET entry = excluded.entry, place = excluded.place, is_number = excluded.is_number, change = 0, \
         next_entry = NULL, next_place = NULL, next_is_number = NULL",
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
    )
}

/// Replaces a group's wildcards `before`.
pub fn replace_wildcards(
    tx: &mut Tx<'_>,
    group_id: GroupId,
    before: &[String],
    after: &[String],
) -> Result<()> {
    for wildcard in before.iter().filter(|name| !after.contains(name)) {
        tx.execute(
            "DELETE FROM group_wildcards WHERE pid = $1 AND wildcard = $2 AND group_id = $3",
            &[wildcard.into(), group_id.into()],
        )?;
    }
    for wildcard in after.iter().filter(|name| !before.contains(name)) {
        tx.execute(
            "INSERT INTO group_wildcards (pid, wildcard, group_id) VALUES ($1, $2, $3)",
            &[wildcard.into(), group_id.into()],
        )?;
    }
    Ok(())
}
