//! Nested groups. `group_ancestors` contains every group with itself and with each group above it, so that queries need
//! not recurse; moving a group rewrites its rows.

use std::collections::{BTreeSet, HashMap};

use crate::engine::driver::Param;
use crate::engine::tx::Tx;
use tenantry_core::error::Result;
use tenantry_core::model::{GroupId, NamedGroup};

/// A group and all groups below it.
const BELOW: &str = "SELECT d.group_id FROM group_ancestors d WHERE d.pid = $1 AND d.ancestor_id = $2";

/// Inserts a new group, below `parent` if it has one.
pub fn insert(tx: &mut Tx<'_>, group_id: GroupId, parent: Option<GroupId>) -> Result<()> {
    tx.execute(
        "INSERT INTO group_ancestors (pid, group_id, ancestor_id, distance) VALUES ($1, $2, $2, 0)",
        &[group_id.into()],
    )?;
    hang_below(tx, group_id, parent)
}

/// Moves a group with all groups below it to another parent, or to the top. The caller has checked that this creates no
/// cycle.
pub fn set_parent(tx: &mut Tx<'_>, group_id: GroupId, parent: Option<GroupId>) -> Result<()> {
    tx.execute(
        &format!(
            "DELETE FROM group_ancestors WHERE pid = $1 AND group_id IN ({BELOW}) AND ancestor_id NOT IN ({BELOW})"
        ),
        &[group_id.into()],
    )?;
    hang_below(tx, group_id, parent)
}

fn hang_below(tx: &mut Tx<'_>, group_id: GroupId, parent: Option<GroupId>) -> Result<()> {
    if let Some(parent) = parent {
        tx.execute(
            "INSERT INTO group_ancestors (pid, group_id, ancestor_id, distance) \
             SELECT d.pid, d.group_id, a.ancestor_id, d.distance + a.distance + 1 \
             FROM group_ancestors d JOIN group_ancestors a ON a.pid = d.pid \
             WHERE d.pid = $1 AND d.ancestor_id = $2 AND a.group_id = $3",
            &[group_id.into(), parent.into()],
        )?;
    }
    Ok(())
}

/// A group and those above it, from itself upwards.
pub fn path_up(tx: &mut Tx<'_>, group_id: GroupId) -> Result<Vec<GroupId>> {
    tx.rows(
        "SELECT a.ancestor_id FROM group_ancestors a WHERE a.pid = $1 AND a.group_id = $2 ORDER BY a.distance",
        &[group_id.into()],
        |row| row.int(0).map(GroupId),
    )
}

/// Each of these groups and those above it, from itself upwards.
pub fn named_paths_up(
    tx: &mut Tx<'_>,
    groups: &BTreeSet<GroupId>,
) -> Result<HashMap<GroupId, Vec<NamedGroup>>> {
    let mut paths: HashMap<GroupId, Vec<NamedGroup>> = HashMap::new();
    if groups.is_empty() {
        return Ok(paths);
    }
    let list = serde_json::json!(groups.iter().map(|group| group.0).collect::<Vec<_>>()).to_string();
    let set = tx.dialect().int_set("$2");
    let sql = format!(
        "SELECT a.group_id, a.ancestor_id, g.name FROM group_ancestors a JOIN groups g ON g.pid = a.pid \
         AND g.group_id = a.ancestor_id WHERE a.pid = $1 AND a.group_id IN {set} ORDER BY a.group_id, a.distance"
    );
    let rows = tx.rows(&sql, &[Param::Text(&list)], |row| {
        let group = NamedGroup { group_id: GroupId(row.int(1)?), name: row.text(2)?.to_owned() };
        Ok((GroupId(row.int(0)?), group))
    })?;
    for (of, group) in rows {
        paths.entry(of).or_default().push(group);
    }
    Ok(paths)
}

/// The number of levels of a group and all groups below it: 1 if there are none.
pub fn levels_of(tx: &mut Tx<'_>, group_id: GroupId) -> Result<i64> {
    let deepest = tx.row(
        "SELECT coalesce(max(a.distance), 0) FROM group_ancestors a WHERE a.pid = $1 AND a.ancestor_id = $2",
        &[group_id.into()],
        |row| row.int(0),
    )?;
    Ok(deepest.unwrap_or(0) + 1)
}

/// These groups, the deepest first.
pub fn deepest_first(tx: &mut Tx<'_>, groups: &[i64]) -> Result<Vec<i64>> {
    let list = serde_json::json!(groups).to_string();
    let set = tx.dialect().int_set("$2");
    tx.rows(
        &format!(
            "SELECT g.group_id FROM groups g WHERE g.pid = $1 AND g.group_id IN {set} ORDER BY (SELECT count(*) \
             FROM group_ancestors a WHERE a.pid = g.pid AND a.group_id = g.group_id) DESC, g.group_id"
        ),
        &[Param::Text(&list)],
        |row| row.int(0),
    )
}

/// Those of these groups that have a child outside of the list, ascending.
pub fn with_other_children(tx: &mut Tx<'_>, groups: &[GroupId]) -> Result<Vec<i64>> {
    let ids: Vec<i64> = groups.iter().map(|g| g.0).collect();
    let list = serde_json::json!(ids).to_string();
    let set = tx.dialect().int_set("$2");
    tx.rows(
        &format!(
            "SELECT DISTINCT g.parent_group_id FROM groups g WHERE g.pid = $1 AND g.parent_group_id IN {set} \
             AND g.group_id NOT IN {set} ORDER BY g.parent_group_id"
        ),
        &[Param::Text(&list)],
        |row| row.int(0),
    )
}

/// These groups and all groups below them, ascending.
pub fn with_all_below(tx: &mut Tx<'_>, groups: &[GroupId]) -> Result<Vec<GroupId>> {
    let ids: Vec<i64> = groups.iter().map(|g| g.0).collect();
    let list = serde_json::json!(ids).to_string();
    let set = tx.dialect().int_set("$2");
    tx.rows(
        &format!(
            "SELECT DISTINCT a.group_id FROM group_ancestors a WHERE a.pid = $1 AND a.ancestor_id IN {set} \
             ORDER BY a.group_id"
        ),
        &[Param::Text(&list)],
        |row| row.int(0).map(GroupId),
    )
}
