//! Users as JSON: the fields of a create, an update and a patch, whichever edge they come through.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::users::{self, NewUser, UserChange};
use tenantry_core::clock::rfc3339;
use tenantry_core::error::Result;
use tenantry_core::json::{Fields, Patch, Presence, status};
use tenantry_core::model::{GroupId, PartnerId, Profile, User};
use tenantry_core::user_fields::{ProfileChange, ProfileField, ProfileSpec};
use tenantry_core::values::{self, Bad};
use tenantry_store::access::{Admin, Scope as _};
use tenantry_store::store::Store;

/// For [`Fields::required`] and its kin: the value that a check lets pass.
pub fn owned(check: fn(&str) -> Result<&str, Bad>) -> impl Fn(&str) -> Result<String, Bad> {
    move |text| check(text).map(str::to_owned)
}

/// Reads the profile of a new user. Faults are noted in `fields`.
pub fn read_profile(fields: &mut Fields) -> Profile {
    let mut profile = Profile::default();
    for field in ProfileField::ALL {
        let ProfileSpec { name, is_required, check, .. } = field.spec();
        let value = if *is_required {
            fields.required(name, owned(*check))
        } else {
            fields.nullable(name, owned(*check)).value()
        };
        field.set(&mut profile, value);
    }
    profile
}

/// Reads those profile fields that may be changed. The others are unknown unless they are read elsewhere. Faults are noted
/// in `fields`.
pub fn read_profile_change(
    fields: &mut Fields,
    presence: Presence,
    may_change: impl Fn(&ProfileSpec) -> bool,
) -> ProfileChange {
    let mut change = ProfileChange::default();
    for field in ProfileField::ALL.into_iter().filter(|field| may_change(field.spec())) {
        let ProfileSpec { name, is_required, check, .. } = field.spec();
        let value = if *is_required {
            fields.string(presence, name, owned(*check)).map_or(Patch::Absent, Patch::Value)
        } else {
            fields.nullable(name, owned(*check))
        };
        match value {
            Patch::Absent => {}
            Patch::Null => change.set(field, None),
            Patch::Value(value) => change.set(field, Some(value)),
        }
    }
    change
}

/// Which of these groups do not exist, in one look for all of them (B18).
///
/// # Errors
/// Of the store.
pub async fn unknown_groups(store: &Store, by: &Admin, wanted: Vec<GroupId>) -> Result<HashSet<i64>> {
    if wanted.is_empty() {
        return Ok(HashSet::new());
    }
    let unknown = store.scan(by, move |tx| users::list_unknown_groups(tx, &wanted)).await?;
    Ok(unknown.into_iter().collect())
}

/// Notes groups of a list that do not exist, so that all faults come at once (B6, B18).
pub fn note_unknown(fields: &mut Fields, groups: &[GroupId], unknown: &HashSet<i64>) {
    let missing: Vec<i64> = groups.iter().map(|group| group.0).filter(|id| unknown.contains(id)).collect();
    if let Some(fault) = users::unknown_group(&missing) {
        fields.fault("groups", (fault.code, fault.detail));
    }
}

/// The groups of a user, by id.
pub fn read_groups(fields: &mut Fields) -> Option<Vec<GroupId>> {
    let ids = fields.optional_ids("groups")?;
    Some(ids.into_iter().map(GroupId).collect())
}

/// A new user whose groups are still to be looked for.
#[derive(Debug)]
pub struct HalfRead {
    fields: Fields,
    /// Its groups, ascending, each once.
    pub groups: Vec<GroupId>,
}

impl HalfRead {
    /// Reads what needs no look at the database.
    ///
    /// # Errors
    /// It is no object.
    pub fn parse(body: &[u8]) -> Result<Self> {
        let mut fields = Fields::parse(body)?;
        let groups = read_groups(&mut fields).unwrap_or_default();
        Ok(Self::of(fields, groups))
    }

    /// With groups that were read elsewhere, ascending, each once.
    pub fn of(fields: Fields, groups: Vec<GroupId>) -> Self {
        Self { fields, groups }
    }

    /// Reads the rest. `unknown` are those of the groups that do not exist.
    ///
    /// # Errors
    /// All faults (B6).
    pub fn finish(self, pid: PartnerId, unknown: &HashSet<i64>) -> Result<NewUser> {
        let Self { mut fields, groups } = self;
        note_unknown(&mut fields, &groups, unknown);
        fields.response_only("pid", Some(json!(pid)));
        for name in ["userId", "createdAt", "updatedAt", "lastLoginAt"] {
            fields.response_only(name, Some(Value::Null));
        }
        let username = fields.required("username", values::username);
        let status = fields.required_status("status");
        let profile = read_profile(&mut fields);
        let is_admin = fields.optional_bool("isAdmin").unwrap_or(false);
        fields
            .finish_with(|| Some(NewUser { username: username?, status: status?, profile, groups, is_admin }))
    }
}

/// A new user as the body of a create has it.
///
/// # Errors
/// All faults (B6).
pub async fn read_new(store: &Store, by: &Admin, body: &[u8]) -> Result<NewUser> {
    let half = HalfRead::parse(body)?;
    let unknown = unknown_groups(store, by, half.groups.clone()).await?;
    half.finish(by.pid(), &unknown)
}

/// Response-only fields are taken when they agree with what is there (B6).
pub fn read_back(fields: &mut Fields, current: &User) {
    fields.response_only("pid", Some(json!(current.pid)));
    fields.response_only("userId", Some(json!(current.user_id)));
    fields.response_only("createdAt", Some(json!(rfc3339(current.created_at))));
    fields.response_only("updatedAt", Some(json!(rfc3339(current.updated_at))));
    fields.response_only("lastLoginAt", Some(json!(current.last_login_at.map(rfc3339))));
}

/// A change as the body of an update has it.
///
/// # Errors
/// All faults (B6).
pub async fn read_change(
    store: &Store,
    by: &Admin,
    current: &User,
    body: &[u8],
    presence: Presence,
) -> Result<UserChange> {
    let mut fields = Fields::parse(body)?;
    read_back(&mut fields, current);
    let username = fields.string(presence, "username", values::username);
    let status = fields.string(presence, "status", status);
    let profile = read_profile_change(&mut fields, presence, |_| true);
    let is_admin = fields.optional_bool("isAdmin");
    let groups = read_groups(&mut fields);
    if let Some(groups) = &groups {
        note_unknown(&mut fields, groups, &unknown_groups(store, by, groups.clone()).await?);
    }
    fields.finish()?;
    Ok(UserChange { username, status, profile, groups, is_admin })
}
