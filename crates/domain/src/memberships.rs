//! Group memberships (contract, part C).

use crate::events::{self, EventKind};
use crate::groups::get_head;
use tenantry_core::error::{Error, Missing, Result};
use tenantry_core::model::{GroupId, UserId};
use tenantry_store::access::Admin;
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::{memberships, users};

/// Adds a user to a group, if it is not a member yet.
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

/// Adds users to a group, all or none; members stay members.
///
/// # Errors
/// Not found: the group, or the users, listing the unknown ids.
pub fn add_many(tx: &mut Tx<'_, Admin>, group_id: GroupId, ids: &[i64]) -> Result<()> {
    refuse_unknown(tx, group_id, ids)?;
    add_known(tx, group_id, ids).map(drop)
}

/// Checks whether these users can become members of the group.
///
/// # Errors
/// As [`add_many`].
pub(super) fn refuse_unknown(tx: &mut Tx<'_, Admin>, group_id: GroupId, ids: &[i64]) -> Result<()> {
    get_head(tx, group_id)?;
    let unknown = users::list_unknown(tx, ids)?;
    if unknown.is_empty() { Ok(()) } else { Err(Error::NotFound(Missing::Users(unknown))) }
}

/// Adds existing users to an existing group. Returns how many were not members yet.
pub(super) fn add_known(tx: &mut Tx<'_>, group_id: GroupId, ids: &[i64]) -> Result<usize> {
    let members = memberships::list_members_of(tx, group_id, ids)?;
    let mut new: Vec<i64> = ids.iter().filter(|id| members.binary_search(id).is_err()).copied().collect();
    // In a fixed order, so that two such units cannot deadlock.
    new.sort_unstable();
    if new.is_empty() {
        return Ok(0);
    }
    memberships::add(tx, group_id, &new)?;
    for user in new.iter().copied().map(UserId) {
        let after = memberships::groups_of(tx, user)?;
        let before: Vec<GroupId> = after.iter().filter(|id| **id != group_id).copied().collect();
        events::record_membership(tx, EventKind::GroupMemberAdded, (group_id, user), &before, &after)?;
    }
    Ok(new.len())
}

/// Removes a user from a group.
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

/// Removes users from a group, all or none.
///
/// # Errors
/// Not found: the group; the users, listing the unknown ids; or the users in the group, listing those who are not.
pub fn remove_many(tx: &mut Tx<'_, Admin>, group_id: GroupId, ids: &[i64]) -> Result<()> {
    refuse_others(tx, group_id, ids)?;
    remove_members(tx, group_id, ids)
}

/// Checks whether these users can be removed from the group.
///
/// # Errors
/// As [`remove_many`].
pub(super) fn refuse_others(tx: &mut Tx<'_, Admin>, group_id: GroupId, ids: &[i64]) -> Result<()> {
    refuse_unknown(tx, group_id, ids)?;
    let members = memberships::list_members_of(tx, group_id, ids)?;
    let others: Vec<i64> = ids.iter().filter(|id| members.binary_search(id).is_err()).copied().collect();
    if others.is_empty() { Ok(()) } else { Err(Error::NotFound(Missing::Memberships(others))) }
}

/// Removes members of a group.
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
        events::record_membership(tx, EventKind::GroupMemberRemoved, (group_id, user), &before, &after)?;
    }
    Ok(())
}

/// The next users of a group, for a stream.
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
