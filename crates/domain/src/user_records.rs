//! Parses users from JSON: the fields of a create, an update and a patch, for all edges.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::users::{self, NewUser, UserChange};
use tenantry_core::error::{FieldError, Result};
use tenantry_core::json::{Fields, Members, Patch, Presence, Property, status};
use tenantry_core::model::{GroupId, PartnerId, Profile, Status, User, Username};
use tenantry_core::user_fields::{ProfileChange, ProfileField, ProfileSpec};
use tenantry_core::values::{self, STATUS, USERNAME};
use tenantry_store::access::{Admin, Scope as _};
use tenantry_store::store::Store;

const NAME: Property =
    Property::new("username", "1 to 255 characters; an e-mail address can be one.").of(&USERNAME).like("ada");
const STATE: Property =
    Property::new("status", "An ACTIVE user who has no password yet is mailed a temporary one.")
        .of(&STATUS)
        .like("ACTIVE");
const GROUPS: Property =
    Property::new("groups", "Ids of groups of this partner: all of the user's groups.").like("[]");
const IS_ADMIN: Property = Property::new(
    "isAdmin",
    "Whether it is a partner admin: `true` or `false`, also as strings in any case of letters.",
)
.like("false");

/// For [`Fields::required`] and similar functions: the value that passes a check.
pub fn owned(check: fn(&str) -> Result<&str, FieldError>) -> impl Fn(&str) -> Result<String, FieldError> {
    move |text| check(text).map(str::to_owned)
}

/// Reads the profile of a new user.
fn read_profile(from: &mut impl Members) -> Profile {
    let mut profile = Profile::default();
    for field in ProfileField::ALL {
        let spec = field.spec();
        let value = if spec.is_required {
            from.text(Presence::Required, &spec.member(), owned(spec.check))
        } else {
            from.nullable_text(&spec.member(), owned(spec.check)).value()
        };
        field.set(&mut profile, value);
    }
    profile
}

/// Parses the profile fields that may be changed. Others are unknown unless they are parsed elsewhere. Errors are
/// recorded in `fields`.
pub fn read_profile_change(
    from: &mut impl Members,
    presence: Presence,
    may_change: impl Fn(&ProfileSpec) -> bool,
) -> ProfileChange {
    let mut change = ProfileChange::default();
    for field in ProfileField::ALL.into_iter().filter(|field| may_change(field.spec())) {
        let spec = field.spec();
        let value = if spec.is_required {
            from.text(presence, &spec.member(), owned(spec.check)).map_or(Patch::Absent, Patch::Value)
        } else {
            from.nullable_text(&spec.member(), owned(spec.check))
        };
        match value {
            Patch::Absent => {}
            Patch::Null => change.set(field, None),
            Patch::Value(value) => change.set(field, Some(value)),
        }
    }
    change
}

/// Which of these groups do not exist, in one query (B18).
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

/// Records groups of a list that do not exist, so that all errors are reported at once (B6, B18).
pub fn note_unknown(fields: &mut Fields, groups: &[GroupId], unknown: &HashSet<i64>) {
    let missing: Vec<i64> = groups.iter().map(|group| group.0).filter(|id| unknown.contains(id)).collect();
    if let Some(error) = users::unknown_group(&missing) {
        fields.error("groups", (error.code, error.detail));
    }
}

/// The groups of a user, by id.
pub fn read_groups(from: &mut impl Members) -> Option<Vec<GroupId>> {
    let ids = from.ids(&GROUPS)?;
    Some(ids.into_iter().map(GroupId).collect())
}

/// A username.
pub fn read_username(from: &mut impl Members, presence: Presence) -> Option<Username> {
    from.text(presence, &NAME, values::username)
}

/// A status.
pub fn read_status(from: &mut impl Members, presence: Presence) -> Option<Status> {
    from.text(presence, &STATE, status)
}

/// Whether the user is a partner admin.
pub fn read_is_admin(from: &mut impl Members) -> Option<bool> {
    from.truth(&IS_ADMIN)
}

/// A new user, as the body of a create has it.
pub fn new_user(from: &mut impl Members, pid: PartnerId) -> Option<NewUser> {
    let groups = read_groups(from).unwrap_or_default();
    new_user_in(from, pid, groups)
}

/// A new user whose groups are known.
fn new_user_in(from: &mut impl Members, pid: PartnerId, groups: Vec<GroupId>) -> Option<NewUser> {
    from.response_only("pid", Some(json!(pid)));
    from.response_only("userId", Some(Value::Null));
    TIMES.into_iter().for_each(|name| from.ignored(name));
    let username = read_username(from, Presence::Required);
    let status = read_status(from, Presence::Required);
    let profile = read_profile(from);
    let is_admin = read_is_admin(from).unwrap_or(false);
    Some(NewUser { username: username?, status: status?, profile, groups, is_admin })
}

/// A change, as the body of an update or a patch has it. `current` is the user as it is.
pub fn user_change(from: &mut impl Members, presence: Presence, current: Option<&User>) -> UserChange {
    let change = user_change_in(from, presence, current);
    UserChange { groups: read_groups(from), ..change }
}

/// A change whose groups are parsed elsewhere.
pub(super) fn user_change_in(
    from: &mut impl Members,
    presence: Presence,
    current: Option<&User>,
) -> UserChange {
    read_back(from, current);
    let username = read_username(from, presence);
    let status = read_status(from, presence);
    let profile = read_profile_change(from, presence, |_| true);
    let is_admin = read_is_admin(from);
    UserChange { username, status, profile, groups: None, is_admin }
}

/// A new user whose groups are not looked up yet.
#[derive(Debug)]
pub struct PartialUser {
    fields: Fields,
    /// Its groups, ascending, without duplicates.
    pub groups: Vec<GroupId>,
}

impl PartialUser {
    /// Parses everything that does not need the database.
    ///
    /// # Errors
    /// It is not an object.
    pub fn parse(body: &[u8]) -> Result<Self> {
        let mut fields = Fields::parse(body)?;
        let groups = read_groups(&mut fields).unwrap_or_default();
        Ok(Self::of(fields, groups))
    }

    /// With groups that were parsed elsewhere, ascending, without duplicates.
    pub fn of(fields: Fields, groups: Vec<GroupId>) -> Self {
        Self { fields, groups }
    }

    /// Parses the rest. `unknown` are the groups that do not exist.
    ///
    /// # Errors
    /// All errors (B6).
    pub fn finish(self, pid: PartnerId, unknown: &HashSet<i64>) -> Result<NewUser> {
        let Self { mut fields, groups } = self;
        note_unknown(&mut fields, &groups, unknown);
        let new = new_user_in(&mut fields, pid, groups);
        fields.finish_with(|| new)
    }
}

/// Parses the body of a create.
///
/// # Errors
/// All errors (B6).
pub async fn read_new(store: &Store, by: &Admin, body: &[u8]) -> Result<NewUser> {
    let partial = PartialUser::parse(body)?;
    let unknown = unknown_groups(store, by, partial.groups.clone()).await?;
    partial.finish(by.pid(), &unknown)
}

/// The times that only the server sets. They are ignored (B6): a user who was read can be written back although it
/// logged in meanwhile. Lost updates are what preconditions are for.
const TIMES: [&str; 3] = ["createdAt", "updatedAt", "lastLoginAt"];

/// Read-only fields: the ids are accepted if they are the user's (B6).
pub fn read_back(from: &mut impl Members, current: Option<&User>) {
    from.response_only("pid", current.map(|user| json!(user.pid)));
    from.response_only("userId", current.map(|user| json!(user.user_id)));
    TIMES.into_iter().for_each(|name| from.ignored(name));
}

/// Parses the body of an update.
///
/// # Errors
/// All errors (B6).
pub async fn read_change(
    store: &Store,
    by: &Admin,
    current: &User,
    body: &[u8],
    presence: Presence,
) -> Result<UserChange> {
    let mut fields = Fields::parse(body)?;
    let change = user_change(&mut fields, presence, Some(current));
    if let Some(groups) = &change.groups {
        note_unknown(&mut fields, groups, &unknown_groups(store, by, groups.clone()).await?);
    }
    fields.finish()?;
    Ok(change)
}
