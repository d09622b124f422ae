//! Groups (contract, part C), as far as users need them.

use super::events::{self, Kind};
use crate::access::Admin;
use crate::error::{Error, Missing, Result};
use crate::model::{Group, GroupId};
use crate::storage::groups::GroupQuery;
use crate::storage::lists::{Position, Total};
use crate::storage::{Tx, groups};

/// A group to create. Checked by [`crate::values`].
#[derive(Debug, Clone)]
pub struct NewGroup {
    /// Unique within the partner, compared folded.
    pub name: String,
    /// For people.
    pub description: String,
}

/// What to change of a group; `None` leaves it as it is. Checked by [`crate::values`].
#[derive(Debug, Clone, Default)]
pub struct GroupChange {
    /// Unique within the partner, compared folded.
    pub name: Option<String>,
    /// For people.
    pub description: Option<String>,
}

/// Creates a group without members.
///
/// # Errors
/// `group-name-taken`.
pub fn create(tx: &mut Tx<'_>, by: &Admin, new: &NewGroup) -> Result<Group> {
    let id = groups::insert(tx, &new.name, &new.description)?;
    let group = get(tx, by, id)?;
    events::record_group(tx, Kind::GroupCreated, id, None, Some(events::of_group(&group)))?;
    Ok(group)
}

/// One group of the partner, with its users.
///
/// # Errors
/// Not found, also for another partner's (B11).
pub fn get(tx: &mut Tx<'_>, _by: &Admin, group_id: GroupId) -> Result<Group> {
    groups::find(tx, group_id)?.ok_or(Error::NotFound(Missing::Group))
}

/// Renames or redescribes a group.
///
/// # Errors
/// Not found; `group-name-taken`.
pub fn update(tx: &mut Tx<'_>, by: &Admin, group_id: GroupId, change: &GroupChange) -> Result<Group> {
    let before = get(tx, by, group_id)?;
    let description = change.description.clone().unwrap_or_else(|| before.description.clone());
    let name = change.name.clone().unwrap_or_else(|| before.name.clone());
    let mut after = Group { name, description, ..before.clone() };
    if let Some((old, new)) = events::difference(events::of_group(&before), events::of_group(&after)) {
        groups::update(tx, group_id, &after.name, &after.description)?;
        after.version += 1;
        events::record_group(tx, Kind::GroupUpdated, group_id, Some(old), Some(new))?;
    }
    Ok(after)
}

/// Deletes a group; its members leave it.
///
/// # Errors
/// Not found.
pub fn delete(tx: &mut Tx<'_>, by: &Admin, group_id: GroupId) -> Result<()> {
    let group = get(tx, by, group_id)?;
    groups::delete(tx, group_id)?;
    events::record_group(tx, Kind::GroupDeleted, group_id, Some(events::of_group(&group)), None)
}

/// Deletes groups, all or none.
///
/// # Errors
/// Not found, listing the unknown ids.
pub fn delete_many(tx: &mut Tx<'_>, by: &Admin, ids: &[i64]) -> Result<()> {
    let ids: Vec<GroupId> = ids.iter().copied().map(GroupId).collect();
    let unknown = groups::list_unknown(tx, &ids)?;
    if !unknown.is_empty() {
        return Err(Error::NotFound(Missing::Groups(unknown)));
    }
    for id in ids {
        delete(tx, by, id)?;
    }
    Ok(())
}

/// A page of groups, and how many there are in all; from one snapshot.
///
/// # Errors
/// None of its own.
pub fn list_page(
    tx: &mut Tx<'_>,
    _by: &Admin,
    query: &GroupQuery,
    from: &Position,
    size: i64,
) -> Result<(Total, Vec<Group>)> {
    let total = groups::total(tx, query)?;
    Ok((total, groups::select(tx, query, from, size)?))
}

/// The next groups of a streamed list; none = there are no more.
///
/// # Errors
/// None of its own.
pub fn list_chunk(
    tx: &mut Tx<'_>,
    _by: &Admin,
    query: &GroupQuery,
    from: &Position,
    size: i64,
) -> Result<Vec<Group>> {
    groups::chunk(tx, query, from, size)
}
