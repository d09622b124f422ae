//! Who is in which group, from the group's side (contract, part C).

use crate::events::{self, Kind};
use crate::groups::get_head;
use tenantry_core::error::{Error, Missing, Result};
use tenantry_core::model::{GroupId, UserId};
use tenantry_store::access::Admin;
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::{memberships, users};

/// Has a user be in a group; one who is already, stays.
///
/// # Errors
/// Not found: the group, the user.
pub fn add(tx: &mut Tx<'_, Admin>, group_id: GroupId, user_id: UserId) -> Result<()> {
    get_head(tx, group_id)?;
    if !users::list_unknown(tx, &[user_id.0])?.is_empty() {
        return Err(Error::NotFound(Missing::User));
    }
    add_known(tx, group_id, &[user_id.0]).map(drop)
}

/// Has users be in a group, all or none; those who are already, stay.
///
/// # Errors
/// Not found: the group, or the users, listing the unknown ids.
pub fn add_many(tx: &mut Tx<'_, Admin>, group_id: GroupId, ids: &[i64]) -> Result<()> {
    refuse_unknown(tx, group_id, ids)?;
    add_known(tx, group_id, ids).map(drop)
}

/// What speaks against these users becoming members of the group.
///
/// # Errors
/// As [`add_many`].
pub(super) fn refuse_unknown(tx: &mut Tx<'_, Admin>, group_id: GroupId, ids: &[i64]) -> Result<()> {
    get_head(tx, group_id)?;
    let unknown = users::list_unknown(tx, ids)?;
    if unknown.is_empty() { Ok(()) } else { Err(Error::NotFound(Missing::Users(unknown))) }
}

/// Has users who exist be members of a group that does; how many were not yet.
pub(super) fn add_known(tx: &mut Tx<'_>, group_id: GroupId, ids: &[i64]) -> Result<usize> {
    let members = memberships::list_members_of(tx, group_id, ids)?;
    let mut new: Vec<i64> = ids.iter().filter(|id| members.binary_search(id).is_err()).copied().collect();
    // In one order, so that two such units cannot wait for each other.
    new.sort_unstable();
    if new.is_empty() {
        return Ok(0);
    }
    memberships::add(tx, group_id, &new)?;
    for user in new.iter().copied().map(UserId) {
        let after = memberships::groups_of(tx, user)?;
        let before: Vec<GroupId> = after.iter().filter(|id| **id != group_id).copied().collect();
        events::record_membership(tx, Kind::GroupMemberAdded, (group_id, user), &before, &after)?;
    }
    Ok(new.len())
}

/// Has a user leave a group.
///
/// # Errors
/// Not found: the group, the user, or the user in the group.
pub fn remove(tx: &mut Tx<'_, Admin>, group_id: GroupId, user_id: UserId) -> Result<()> {
    get_head(tx, group_id)?;
    if !users::list_unknown(tx, &[user_id.0])?.is_empty() {
        return Err(Error::NotFound(Missing::User));
    }
    if memberships::list_members_of(tx, group_id, &[user_id.0])?.is_empty() {
        return Err(Error::NotFound(Missing::Membership));
    }
    remove_members(tx, group_id, &[user_id.0])
}

/// Has users leave a group, all or none.
///
/// # Errors
/// Not found: the group; the users, listing the unknown ids; or the users in the group, listing those who are not.
pub fn remove_many(tx: &mut Tx<'_, Admin>, group_id: GroupId, ids: &[i64]) -> Result<()> {
    refuse_others(tx, group_id, ids)?;
    remove_members(tx, group_id, ids)
}

/// What speaks against these users leaving the group.
///
/// # Errors
/// As [`remove_many`].
pub(super) fn refuse_others(tx: &mut Tx<'_, Admin>, group_id: GroupId, ids: &[i64]) -> Result<()> {
    refuse_unknown(tx, group_id, ids)?;
    let members = memberships::list_members_of(tx, group_id, ids)?;
    let others: Vec<i64> = ids.iter().filter(|id| members.binary_search(id).is_err()).copied().collect();
    if others.is_empty() { Ok(()) } else { Err(Error::NotFound(Missing::Memberships(others))) }
}

/// Has members of a group leave it.
pub(super) fn remove_members(tx: &mut Tx<'_>, group_id: GroupId, ids: &[i64]) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    memberships::remove(tx, group_id, &ids)?;
    for user in ids.into_iter().map(UserId) {
        let after = memberships::groups_of(tx, user)?;
        let mut before = after.clone();
        before.push(group_id);
        before.sort_unstable();
        events::record_membership(tx, Kind::GroupMemberRemoved, (group_id, user), &before, &after)?;
    }
    Ok(())
}

/// The next users of a group, for a stream that does not hold all of them.
///
/// # Errors
/// None of its own.
pub fn list_chunk(
    tx: &mut Tx<'_, Admin>,
    group_id: GroupId,
    after: UserId,
    size: i64,
) -> Result<Vec<UserId>> {
    memberships::members_after(tx, group_id, after, size)
}
