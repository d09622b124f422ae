//! Groups (contract, part C). Their members are in `memberships`, their permissions in
//! `permissions`.

use crate::events::{self, EventKind};
use crate::nesting;
use tenantry_core::error::{Conflict, Error, Missing, Result};
use tenantry_core::model::{Group, GroupId};
use tenantry_store::access::Admin;
use tenantry_store::engine::tx::Tx;
use tenantry_store::listing::lists::{Position, Total};
use tenantry_store::tables::groups::{GroupChunk, GroupQuery};
use tenantry_store::tables::{groups, nesting as closure, permissions};

/// A group to create. Checked by [`tenantry_core::values`].
#[derive(Debug, Clone)]
pub struct NewGroup {
    /// Unique within the partner, compared folded.
    pub name: String,
    /// A description.
    pub description: String,
    /// The group it is nested in.
    pub parent: Option<GroupId>,
}

/// A change of a group; `None` leaves a property unchanged. Checked by [`tenantry_core::values`].
#[derive(Debug, Clone, Default)]
pub struct GroupChange {
    /// Unique within the partner, compared folded.
    pub name: Option<String>,
    /// A description.
    pub description: Option<String>,
    /// The group that it is nested in, or none.
    pub parent: Option<Option<GroupId>>,
}

/// Creates a group without members.
///
/// # Errors
/// `group-name-taken`, `nesting-too-deep`; an error for a parent that does not exist.
pub fn create(tx: &mut Tx<'_, Admin>, new: &NewGroup) -> Result<Group> {
    if let Some(parent) = new.parent {
        nesting::check_new(tx, parent)?;
    }
    let id = groups::insert(tx, &new.name, &new.description, new.parent)?;
    closure::insert(tx, id, new.parent)?;
    let group = get(tx, id)?;
    events::record_group(tx, EventKind::GroupCreated, id, None, Some(events::of_group(&group)))?;
    Ok(group)
}

/// One group of the partner, with its users.
///
/// # Errors
/// Not found, also for another partner's (B11).
pub fn get(tx: &mut Tx<'_, Admin>, group_id: GroupId) -> Result<Group> {
    groups::find(tx, group_id)?.ok_or(Error::NotFound(Missing::Group))
}

/// One group of the partner, without its users.
///
/// # Errors
/// As [`get`].
pub fn get_head(tx: &mut Tx<'_, Admin>, group_id: GroupId) -> Result<Group> {
    groups::find_head(tx, group_id)?.ok_or(Error::NotFound(Missing::Group))
}

/// Renames, redescribes or moves a group.
///
/// # Errors
/// Not found; `group-name-taken`, `nesting-cycle`, `nesting-too-deep`; an error for a parent that does not exist.
pub fn update(tx: &mut Tx<'_, Admin>, group_id: GroupId, change: &GroupChange) -> Result<Group> {
    // Its users, of which there may be many, are unchanged.
    let mut before = get_head(tx, group_id)?;
    let parent = change.parent.unwrap_or(before.parent);
    if parent != before.parent {
        nesting::check_move(tx, group_id, parent)?;
        // A concurrent move has been waited for.
        before = get_head(tx, group_id)?;
    }
    let description = change.description.clone().unwrap_or_else(|| before.description.clone());
    let name = change.name.clone().unwrap_or_else(|| before.name.clone());
    let mut after = Group { name, description, parent, ..before.clone() };
    if let Some((old, new)) = events::difference(events::of_group(&before), events::of_group(&after)) {
        groups::update(tx, &after)?;
        after.version += 1;
        if parent != before.parent {
            closure::set_parent(tx, group_id, parent)?;
        }
        events::record_group(tx, EventKind::GroupUpdated, group_id, Some(old), Some(new))?;
    }
    after.users = groups::users_of(tx, group_id)?;
    Ok(after)
}

/// Deletes a group; its members leave it.
///
/// # Errors
/// Not found; `group-has-children`.
pub fn delete(tx: &mut Tx<'_, Admin>, group_id: GroupId) -> Result<()> {
    let group = get(tx, group_id)?;
    refuse_children(tx, &[group_id])?;
    remove(tx, &group, None)
}

/// Deletes groups, all or none. A group can be deleted together with all groups nested in it.
///
/// # Errors
/// Not found, listing the unknown ids, even if there are conflicts; otherwise `group-has-children`, listing the groups.
pub fn delete_many(tx: &mut Tx<'_, Admin>, ids: &[i64]) -> Result<()> {
    refuse_deletion(tx, ids)?;
    for id in ids {
        let group = get(tx, GroupId(*id))?;
        remove(tx, &group, None)?;
    }
    Ok(())
}

/// Checks whether these groups can be deleted.
///
/// # Errors
/// As [`delete_many`].
pub(super) fn refuse_deletion(tx: &mut Tx<'_>, ids: &[i64]) -> Result<()> {
    let ids: Vec<GroupId> = ids.iter().copied().map(GroupId).collect();
    let unknown = groups::list_unknown(tx, &ids)?;
    if !unknown.is_empty() {
        return Err(Error::NotFound(Missing::Groups(unknown)));
    }
    refuse_children(tx, &ids)
}

/// A unit that nests a group in one of these locks that group's row, which is deleted after this: the two units cannot
/// both succeed.
fn refuse_children(tx: &mut Tx<'_>, ids: &[GroupId]) -> Result<()> {
    let parents = closure::with_other_children(tx, ids)?;
    if parents.is_empty() {
        return Ok(());
    }
    let detail = "other groups are nested in it: move or delete these first; nothing was deleted";
    Err(Conflict::users("group-has-children", parents, detail))
}

/// Deletes a group that was just read. Its event shows these users and this list of permissions, or its current ones.
pub(super) fn remove(tx: &mut Tx<'_>, group: &Group, list: Option<serde_json::Value>) -> Result<()> {
    let mut picture = events::of_group(group);
    let list = match list {
        Some(list) => list,
        None => serde_json::json!(permissions::list(tx, group.group_id)?),
    };
    if let Some(picture) = picture.as_object_mut() {
        picture.insert(String::from("permissions"), list);
    }
    groups::delete(tx, group.group_id)?;
    events::record_group(tx, EventKind::GroupDeleted, group.group_id, Some(picture), None)
}

/// A page of groups, and how many there are in all; from one snapshot.
///
/// # Errors
/// None of its own.
pub fn list_page(
    tx: &mut Tx<'_, Admin>,
    query: &GroupQuery,
    from: &Position,
    size: i64,
) -> Result<(Total, Vec<Group>)> {
    let total = groups::total(tx, query)?;
    Ok((total, groups::select(tx, query, from, size)?))
}

/// The next groups of a streamed list; empty if there are no more.
///
/// # Errors
/// None of its own.
pub fn list_chunk(
    tx: &mut Tx<'_, Admin>,
    query: &GroupQuery,
    from: &Position,
    size: i64,
) -> Result<GroupChunk> {
    groups::chunk(tx, query, from, size)
}
