//! Side effects of deletions.

use crate::engine::driver::Param;
use crate::engine::tx::Tx;
use crate::tables::permission_changes::COUNTS;
use tenantry_core::error::Result;
use tenantry_core::model::ObjectId;

/// Rows that would be deleted: the first ones and the total.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Going<T> {
    /// The first rows.
    pub first: Vec<T>,
    /// The total.
    pub count: i64,
}

/// Memberships of these users, as group and user.
pub fn memberships_of_users(tx: &mut Tx<'_>, ids: &[i64], limit: i64) -> Result<Going<(i64, i64)>> {
    memberships(tx, "user_id", ids, limit)
}

/// Memberships in these groups, as group and user.
pub fn memberships_of_groups(tx: &mut Tx<'_>, ids: &[i64], limit: i64) -> Result<Going<(i64, i64)>> {
    memberships(tx, "group_id", ids, limit)
}

fn memberships(tx: &mut Tx<'_>, column: &str, ids: &[i64], limit: i64) -> Result<Going<(i64, i64)>> {
    let list = serde_json::json!(ids).to_string();
    let set = tx.dialect().int_set("$2");
    let rows = format!("FROM memberships m WHERE m.pid = $1 AND m.{column} IN {set}");
    let first = tx.rows(
        &format!("SELECT m.group_id, m.user_id {rows} ORDER BY m.group_id, m.user_id LIMIT $3"),
        &[Param::Text(&list), limit.into()],
        |row| Ok((row.int(0)?, row.int(1)?)),
    )?;
    let count = tx.row(&format!("SELECT count(*) {rows}"), &[Param::Text(&list)], |row| row.int(0))?;
    Ok(Going { first, count: count.unwrap_or(0) })
}

/// Wildcards of these groups, as group and name.
pub fn wildcards_of_groups(tx: &mut Tx<'_>, ids: &[i64], limit: i64) -> Result<Going<(i64, String)>> {
    let list = serde_json::json!(ids).to_string();
    let set = tx.dialect().int_set("$2");
    let rows = format!("FROM group_wildcards w WHERE w.pid = $1 AND w.group_id IN {set}");
    let first = tx.rows(
        &format!("SELECT w.group_id, w.wildcard {rows} ORDER BY w.group_id, w.wildcard LIMIT $3"),
        &[Param::Text(&list), limit.into()],
        |row| Ok((row.int(0)?, row.text(1)?.to_owned())),
    )?;
    let count = tx.row(&format!("SELECT count(*) {rows}"), &[Param::Text(&list)], |row| row.int(0))?;
    Ok(Going { first, count: count.unwrap_or(0) })
}

/// A permission of a group on an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectGrant {
    /// The group.
    pub group_id: i64,
    /// The object's type.
    pub object_type: String,
    /// The object.
    pub object_id: ObjectId,
    /// The permission.
    pub permission: String,
}

/// Permissions of these groups on single objects, one by one.
pub fn permissions_of_groups(tx: &mut Tx<'_>, ids: &[i64], limit: i64) -> Result<Going<ObjectGrant>> {
    let list = serde_json::json!(ids).to_string();
    let set = tx.dialect().int_set("$2");
    let rows = format!("FROM group_permissions p WHERE p.pid = $1 AND p.group_id IN {set} AND {COUNTS}");
    let first = tx.rows(
        &format!(
            "SELECT p.group_id, p.object_type, p.object_id, p.is_number, p.permission {rows} \
             ORDER BY p.group_id, p.entry, p.place LIMIT $3"
        ),
        &[Param::Text(&list), limit.into()],
        |row| {
            Ok(ObjectGrant {
                group_id: row.int(0)?,
                object_type: row.text(1)?.to_owned(),
                object_id: ObjectId { text: row.text(2)?.to_owned(), is_number: row.int(3)? != 0 },
                permission: row.text(4)?.to_owned(),
            })
        },
    )?;
    let count = tx.row(&format!("SELECT count(*) {rows}"), &[Param::Text(&list)], |row| row.int(0))?;
    Ok(Going { first, count: count.unwrap_or(0) })
}

/// Active sessions of these users, as user and session.
pub fn sessions_of_users(tx: &mut Tx<'_>, ids: &[i64], limit: i64) -> Result<Going<(i64, String)>> {
    let (list, now) = (serde_json::json!(ids).to_string(), tx.latest());
    let set = tx.dialect().int_set("$2");
    let rows = format!("FROM sessions s WHERE s.pid = $1 AND s.user_id IN {set} AND s.expires_at > $3");
    let first = tx.rows(
        &format!("SELECT s.user_id, s.session_id {rows} ORDER BY s.user_id, s.session_id LIMIT $4"),
        &[Param::Text(&list), now.into(), limit.into()],
        |row| Ok((row.int(0)?, row.text(1)?.to_owned())),
    )?;
    let count =
        tx.row(&format!("SELECT count(*) {rows}"), &[Param::Text(&list), now.into()], |row| row.int(0))?;
    Ok(Going { first, count: count.unwrap_or(0) })
}
