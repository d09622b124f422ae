//! Group memberships, by group. `users` has them by user.

use crate::engine::driver::Param;
use crate::engine::offset_index::OrderChange;
use crate::engine::tx::{CacheKey, Tx};
use tenantry_core::error::Result;
use tenantry_core::model::{GroupId, UserId};
use tenantry_core::user_fields::UserField;

/// Up to this many cached callers are invalidated one by one; beyond, the whole partner's.
pub(crate) const FORGET_SINGLY: usize = 100;

/// The next members of a group, ascending.
pub fn members_after(tx: &mut Tx<'_>, group_id: GroupId, after: UserId, limit: i64) -> Result<Vec<UserId>> {
    tx.rows(
        "SELECT m.user_id FROM memberships m WHERE m.pid = $1 AND m.group_id = $2 AND m.user_id > $3 \
         ORDER BY m.user_id LIMIT $4",
        &[group_id.into(), after.into(), limit.into()],
        |row| row.int(0).map(UserId),
    )
}

/// Which of these users are members of the group, ascending.
pub fn list_members_of(tx: &mut Tx<'_>, group_id: GroupId, users: &[i64]) -> Result<Vec<i64>> {
    let list = serde_json::json!(users).to_string();
    let set = tx.dialect().int_set("$3");
    tx.rows(
        &format!(
            "SELECT m.user_id FROM memberships m WHERE m.pid = $1 AND m.group_id = $2 AND m.user_id IN {set} \
             ORDER BY m.user_id"
        ),
        &[group_id.into(), Param::Text(&list)],
        |row| row.int(0),
    )
}

/// The groups of a user, ascending.
pub fn groups_of(tx: &mut Tx<'_>, user_id: UserId) -> Result<Vec<GroupId>> {
    tx.rows(
        "SELECT m.group_id FROM memberships m WHERE m.pid = $1 AND m.user_id = $2 ORDER BY m.group_id",
        &[user_id.into()],
        |row| row.int(0).map(GroupId),
    )
}

/// Adds these users to the group, of which none is a member yet. Increments their versions.
pub fn add(tx: &mut Tx<'_>, group_id: GroupId, users: &[i64]) -> Result<()> {
    // Users' rows before memberships, and those before the group's: the same order as in a change of a user, so that
    // the two cannot deadlock.
    touch(tx, users, Change::Added(group_id))?;
    for user in users {
        tx.execute(
            "INSERT INTO memberships (pid, group_id, user_id) VALUES ($1, $2, $3)",
            &[group_id.into(), (*user).into()],
        )?;
    }
    crate::tables::groups::count_members(tx, group_id, number(users))?;
    forget(tx, users.iter().copied());
    Ok(())
}

/// Removes these users from the group, of which all are members. Increments their versions.
pub fn remove(tx: &mut Tx<'_>, group_id: GroupId, users: &[i64]) -> Result<()> {
    touch(tx, users, Change::Removed(group_id))?;
    for user in users {
        tx.execute(
            "DELETE FROM memberships WHERE pid = $1 AND group_id = $2 AND user_id = $3",
            &[group_id.into(), (*user).into()],
        )?;
    }
    crate::tables::groups::count_members(tx, group_id, -number(users))?;
    forget(tx, users.iter().copied());
    Ok(())
}

/// Removes these members of a group that is being deleted. Increments their versions, as
/// [`crate::tables::groups::delete`] does.
pub fn leave(tx: &mut Tx<'_>, group_id: GroupId, users: &[i64]) -> Result<()> {
    let list = serde_json::json!(users).to_string();
    let set = tx.dialect().int_set("$2");
    let sql = format!("UPDATE users SET version = users.version + 1 WHERE pid = $1 AND user_id IN {set}");
    tx.execute(&sql, &[Param::Text(&list)])?;
    let set = tx.dialect().int_set("$3");
    let sql = format!("DELETE FROM memberships WHERE pid = $1 AND group_id = $2 AND user_id IN {set}");
    let gone = tx.execute(&sql, &[group_id.into(), Param::Text(&list)])?;
    crate::tables::groups::count_members(tx, group_id, -i64::try_from(gone).unwrap_or(i64::MAX))?;
    forget(tx, users.iter().copied());
    Ok(())
}

fn number(users: &[i64]) -> i64 {
    i64::try_from(users.len()).unwrap_or(i64::MAX)
}

/// A change of the groups of a user.
#[derive(Clone, Copy)]
enum Change {
    Added(GroupId),
    Removed(GroupId),
}

/// Updates the groups in these users' rows (migrations/0009), and increments their versions.
fn touch(tx: &mut Tx<'_>, users: &[i64], change: Change) -> Result<()> {
    let (pid, now) = (tx.pid(), tx.now());
    // An id is appended after the last comma, and removed with the comma after it.
    let (groups, ids) = match change {
        Change::Added(group) => ("users.group_ids || $4", format!("{},", group.0)),
        Change::Removed(group) => ("replace(users.group_ids, $4, ',')", format!(",{},", group.0)),
    };
    let sql = format!(
        "UPDATE users SET updated_at = CASE WHEN updated_at > $3 THEN updated_at ELSE $3 END, version = users.version + 1, groups_version = users.groups_version + 1, \
         group_ids = {groups} WHERE pid = $1 AND user_id = $2"
    );
    for user in users {
        if tx.keeps_orders() {
            let before = tx.row(
                "SELECT status, is_admin, updated_at FROM users WHERE pid = $1 AND user_id = $2",
                &[(*user).into()],
                |row| Ok(((row.int(0)?, row.int(1)? != 0), row.int(2)?)),
            )?;
            if let Some((kind, updated_at)) = before {
                let (user, times) = ((pid, UserId(*user)), (updated_at, now.max(updated_at)));
                tx.reorder(OrderChange::of_time(user, kind, UserField::UpdatedAt, times));
            }
        }
        tx.execute(&sql, &[(*user).into(), now.into(), Param::Text(&ids)])?;
    }
    Ok(())
}

/// Invalidates these users in the cache: their groups have changed.
pub(crate) fn forget(tx: &mut Tx<'_>, users: impl ExactSizeIterator<Item = i64>) {
    let pid = tx.pid();
    if users.len() > FORGET_SINGLY {
        tx.invalidate(CacheKey::Partner(pid));
    } else {
        users.for_each(|user| tx.invalidate(CacheKey::User(pid, UserId(user))));
    }
}
