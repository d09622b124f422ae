//! What a deletion takes along, for a dry run: users, memberships, sessions and permissions.

use serde_json::{Value, json};

use tenantry_core::error::Result;
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::effects::{self, Going, ObjectGrant};

/// The most of each that is listed; the counts are whole.
const LISTED: i64 = 10_000;

/// What goes with these users, looked up before they are deleted; none unless it is a dry run. Where there is no such
/// user, the deletion says so.
///
/// # Errors
/// None of its own.
pub fn of_users(tx: &mut Tx<'_>, dry_run: bool, ids: &[i64]) -> Result<Option<Value>> {
    if !dry_run {
        return Ok(None);
    }
    let memberships = effects::memberships_of_users(tx, ids, LISTED)?;
    let sessions = effects::sessions_of_users(tx, ids, LISTED)?;
    Ok(Some(shape(ids, &memberships, &sessions, (Vec::new(), 0))))
}

/// What goes with these groups: their users stay, without these memberships and what the groups permit.
///
/// # Errors
/// None of its own.
pub fn of_groups(tx: &mut Tx<'_>, dry_run: bool, ids: &[i64]) -> Result<Option<Value>> {
    if !dry_run {
        return Ok(None);
    }
    let memberships = effects::memberships_of_groups(tx, ids, LISTED)?;
    let wildcards = effects::wildcards_of_groups(tx, ids, LISTED)?;
    let on_objects = effects::permissions_of_groups(tx, ids, LISTED)?;
    let wildcard = |(group, name): &(i64, String)| json!({ "groupId": group, "wildcard": name });
    let on_object = |grant: &ObjectGrant| {
        json!({
            "groupId": grant.group_id, "objectType": grant.object_type, "objectId": grant.object_id,
            "permission": grant.permission,
        })
    };
    let mut permissions: Vec<Value> = wildcards.first.iter().map(wildcard).collect();
    permissions.extend(on_objects.first.iter().map(on_object));
    permissions.truncate(most());
    let count = wildcards.count + on_objects.count;
    Ok(Some(shape(&[], &memberships, &Going { first: Vec::new(), count: 0 }, (permissions, count))))
}

fn most() -> usize {
    usize::try_from(LISTED).unwrap_or(usize::MAX)
}

fn shape(
    users: &[i64],
    memberships: &Going<(i64, i64)>,
    sessions: &Going<(i64, String)>,
    (permissions, permission_count): (Vec<Value>, i64),
) -> Value {
    let membership = |(group, user): &(i64, i64)| json!({ "groupId": group, "userId": user });
    let session = |(user, session): &(i64, String)| json!({ "userId": user, "sessionId": session });
    let is_complete = users.len() <= most()
        && [memberships.count, sessions.count, permission_count].iter().all(|count| *count <= LISTED);
    json!({
        "counts": {
            "users": users.len(), "memberships": memberships.count, "sessions": sessions.count,
            "permissions": permission_count,
        },
        "isComplete": is_complete,
        "users": users.iter().take(most()).collect::<Vec<_>>(),
        "memberships": memberships.first.iter().map(membership).collect::<Vec<_>>(),
        "sessions": sessions.first.iter().map(session).collect::<Vec<_>>(),
        "permissions": permissions,
    })
}
