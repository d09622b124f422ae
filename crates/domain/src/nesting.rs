//! Nested groups: no cycles, limited depth.

use crate::bulk_changes;
use tenantry_core::error::{Conflict, FieldError, Result};
use tenantry_core::model::GroupId;
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::{groups, nesting, partners};

/// Maximum number of levels.
const MAX_LEVELS: i64 = 8;

/// Checks whether a new group can be nested in `parent`.
pub(super) fn check_new(tx: &mut Tx<'_>, parent: GroupId) -> Result<()> {
    check_levels(tx, Some(parent), 1)
}

/// Checks whether a group can be moved to `parent` with all groups below it.
pub(super) fn check_move(tx: &mut Tx<'_>, group_id: GroupId, parent: Option<GroupId>) -> Result<()> {
    // Two concurrent moves could create a cycle or too many levels although each alone does not.
    partners::lock_row(tx)?;
    let levels = nesting::levels_of(tx, group_id)?;
    if let Some(parent) = parent
        && nesting::path_up(tx, parent)?.contains(&group_id)
    {
        let detail = format!("group {parent} is this group itself or nested in it");
        return Err(Conflict::field("nesting-cycle", "/parentGroupId", detail));
    }
    check_levels(tx, parent, levels)
}

fn check_levels(tx: &mut Tx<'_>, parent: Option<GroupId>, levels: i64) -> Result<()> {
    partners::lock_row(tx)?;
    let Some(parent) = parent else { return Ok(()) };
    // A concurrent deletion of the parent must see the child.
    groups::lock_row(tx, parent)?;
    if bulk_changes::is_group_going(tx, parent)? {
        let detail = format!("group {parent} is being deleted");
        return Err(Conflict::field("group-being-deleted", "/parentGroupId", detail));
    }
    let above = nesting::path_up(tx, parent)?;
    if above.is_empty() {
        let detail = format!("there is no group {parent} in this partner");
        return Err(FieldError::new("/parentGroupId", "unknown-group", detail).into());
    }
    let above = i64::try_from(above.len()).unwrap_or(i64::MAX);
    if above.saturating_add(levels) > MAX_LEVELS {
        let detail = format!(
            "groups may be nested {MAX_LEVELS} deep: the parent is on level {above}, and this group has {levels} with \
             what is nested in it"
        );
        return Err(Conflict::field("nesting-too-deep", "/parentGroupId", detail));
    }
    Ok(())
}
