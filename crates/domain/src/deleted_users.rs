//! Deleted users: kept for a while, restored, erased.

use crate::erasures::{self, Extent};
use crate::events::{self, EventKind};
use tenantry_core::clock::Millis;
use tenantry_core::error::{Error, Missing, Result};
use tenantry_core::model::{GroupId, PartnerId, User, UserId};
use tenantry_core::values;
use tenantry_store::access::Admin;
use tenantry_store::engine::tx::Tx;
use tenantry_store::listing::lists::{Position, Total};
use tenantry_store::tables::deleted_users as stored;
use tenantry_store::tables::deleted_users::{DeletedQuery, DeletedUser};
use tenantry_store::tables::groups;

/// Users deleted before this time count as erased, even if the worker has not erased them yet.
fn since(tx: &Tx<'_>) -> Millis {
    tx.now() - tx.policy().deleted_users
}

/// A page of deleted users of the partner, and the total, from one snapshot.
///
/// # Errors
/// None of its own.
pub fn list_page(
    tx: &mut Tx<'_, Admin>,
    query: &DeletedQuery,
    from: &Position,
    size: i64,
) -> Result<(Total, Vec<DeletedUser>)> {
    let since = since(tx);
    Ok((stored::total(tx, query, since)?, stored::select(tx, query, since, from, size)?))
}

/// A restored user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The user.
    pub user: User,
    /// Its former groups that no longer exist.
    pub missing_groups: Vec<GroupId>,
}

/// Restores a deleted user with status, rights, password and the memberships whose groups still exist. Its sessions
/// stay ended.
///
/// # Errors
/// Not found; `username-taken` or `external-id-taken` if another user has it by now.
pub fn restore(tx: &mut Tx<'_, Admin>, user_id: UserId) -> Result<Restored> {
    let since = since(tx);
    let missing = || Error::NotFound(Missing::DeletedUser);
    let DeletedUser { mut user, .. } = stored::find(tx, user_id, since)?.ok_or_else(missing)?;
    let missing_groups: Vec<GroupId> =
        groups::list_unknown(tx, &user.groups)?.into_iter().map(GroupId).collect();
    user.groups.retain(|group| !missing_groups.contains(group));
    user.updated_at = tx.now_after(user.updated_at);
    user.version += 1;
    let username = values::username(&user.username)
        .map_err(|bad| Error::internal(format!("a deleted user has an invalid username: {}", bad.code)))?;
    stored::restore(tx, &user, &username)?;
    events::record_user(tx, EventKind::UserRestored, user_id, None, Some(events::of_user(&user)))?;
    Ok(Restored { user, missing_groups })
}

/// Erases a deleted user now.
///
/// # Errors
/// Not found.
pub fn erase(tx: &mut Tx<'_, Admin>, user_id: UserId) -> Result<()> {
    let since = since(tx);
    stored::find(tx, user_id, since)?.ok_or(Error::NotFound(Missing::DeletedUser))?;
    erase_one(tx, user_id, Extent::Complete)
}

fn erase_one(tx: &mut Tx<'_>, user_id: UserId, extent: Extent) -> Result<()> {
    if stored::delete(tx, user_id)? {
        erasures::erase(tx, user_id, extent)?;
    }
    Ok(())
}

/// Users of any partner whose retention has ended.
///
/// # Errors
/// None of its own.
pub fn list_due(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<(PartnerId, UserId)>> {
    let before = since(tx);
    stored::list_old(tx, before, limit)
}

/// Erases users of this transaction's partner whose retention has ended. A user that was restored meanwhile is skipped.
///
/// # Errors
/// None of its own.
pub fn erase_due(tx: &mut Tx<'_>, ids: &[UserId]) -> Result<()> {
    for id in ids {
        erase_one(tx, *id, Extent::OneOfMany)?;
    }
    Ok(())
}
