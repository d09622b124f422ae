//! Permissions and wildcards of groups (contract, part C).

use serde_json::{Value, json};

use crate::events::{self, EventKind};
use crate::groups::get_head;
use tenantry_core::catalogue::Catalogue;
use tenantry_core::error::{Error, FieldError, Missing, Result};
use tenantry_core::model::{Group, GroupId, ObjectPermissions};
use tenantry_store::access::Admin;
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::events::{NewEvent, insert_written};
use tenantry_store::tables::{groups, permissions};

/// Here a group that is not in the partner is a `400`, as published (contract, part C).
pub(super) fn accessible(tx: &mut Tx<'_, Admin>, group_id: GroupId) -> Result<Group> {
    get_head(tx, group_id).map_err(|error| match error {
        Error::NotFound(Missing::Group) => inaccessible().into(),
        other => other,
    })
}

/// The error of a group that is not in the partner.
pub fn inaccessible() -> FieldError {
    FieldError::new("groupId", "unknown-group", "there is no such group in this partner")
}

/// The entries that are in the catalogue: a group may still have some of a replaced catalogue, which grant nothing.
fn known(catalogue: &Catalogue, list: Vec<ObjectPermissions>) -> Vec<ObjectPermissions> {
    let known = list.into_iter().filter_map(|mut entry| {
        let object_type = catalogue.object_type(&entry.object_type)?;
        entry.permissions.retain(|name| object_type.has_permission(name));
        (!entry.permissions.is_empty()).then_some(entry)
    });
    known.collect()
}

/// The permissions of a group on single objects, as they were given.
///
/// # Errors
/// An error for a group that is not in the partner.
pub fn list(
    tx: &mut Tx<'_, Admin>,
    catalogue: &Catalogue,
    group_id: GroupId,
) -> Result<Vec<ObjectPermissions>> {
    accessible(tx, group_id)?;
    Ok(known(catalogue, permissions::list(tx, group_id)?))
}

/// Replaces the list of a group. The new list was checked against the catalogue.
///
/// # Errors
/// As [`list`].
pub fn replace(tx: &mut Tx<'_, Admin>, group_id: GroupId, list: &[ObjectPermissions]) -> Result<()> {
    accessible(tx, group_id)?;
    groups::lock_row(tx, group_id)?;
    let before = permissions::list(tx, group_id)?;
    if before == list {
        return Ok(());
    }
    permissions::apply(tx, group_id, &permissions::difference(&before, list))?;
    groups::raise_version(tx, group_id)?;
    Differing::of(&before, list).record(tx, group_id)
}

/// Replaces the wildcards of a group. They were checked against the catalogue.
///
/// # Errors
/// As [`list`].
pub fn replace_wildcards(tx: &mut Tx<'_, Admin>, group_id: GroupId, wildcards: &[String]) -> Result<Group> {
    groups::lock_row(tx, group_id)?;
    let before = accessible(tx, group_id)?;
    let mut after = wildcards.to_vec();
    after.sort_unstable();
    after.dedup();
    if after != before.wildcards {
        permissions::replace_wildcards(tx, group_id, &before.wildcards, &after)?;
        groups::raise_version(tx, group_id)?;
        let (old, new) = (json!({ "wildcards": before.wildcards }), json!({ "wildcards": after }));
        events::record_group(tx, EventKind::GroupWildcardsChanged, group_id, Some(old), Some(new))?;
    }
    groups::find(tx, group_id)?.ok_or(Error::NotFound(Missing::Group))
}

/// The difference between two lists in an event: only the entries that differ, as JSON.
pub(super) struct Differing {
    before: String,
    after: String,
}

impl Differing {
    pub(super) fn of(before: &[ObjectPermissions], after: &[ObjectPermissions]) -> Self {
        let other_than = |list: &[ObjectPermissions], of: &[ObjectPermissions]| -> String {
            let known: std::collections::HashSet<&ObjectPermissions> = of.iter().collect();
            let differ: Vec<_> = list.iter().filter(|entry| !known.contains(entry)).collect();
            Value::to_string(&json!({ "permissions": differ }))
        };
        Self { before: other_than(before, after), after: other_than(after, before) }
    }

    pub(super) fn record(&self, tx: &mut Tx<'_>, group_id: GroupId) -> Result<()> {
        let kind = EventKind::GroupPermissionsChanged.name();
        let event = NewEvent { kind, group_id: Some(group_id), ..NewEvent::default() };
        insert_written(tx, &event, Some(&self.before), Some(&self.after))
    }
}
