//! Users (contract, parts A and B).

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::erasures::{self, Extent};
use crate::events::{self, EventKind};
use crate::{email_verifications, last_admin, passwords};
use tenantry_core::clock::Millis;
use tenantry_core::error::{Conflict, Error, FieldError, Missing, Result};
use tenantry_core::model::{GroupId, Profile, Status, User, UserId, Username};
use tenantry_core::user_fields::ProfileChange;
use tenantry_core::values;
use tenantry_mail::{EmailContent, LockCause};
use tenantry_store::access::{Admin, Member, Operator};
use tenantry_store::engine::cache::{ShownUser, UserRepresentation};
use tenantry_store::engine::tx::Tx;
use tenantry_store::listing::lists::{Position, SortKey, Total};
use tenantry_store::listing::user_lists;
use tenantry_store::listing::user_queries::UserQuery;
use tenantry_store::store::Store;
use tenantry_store::tables::{deleted_users, groups, nesting, sessions, users};

/// A user to create (A1, B30).
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Checked by [`tenantry_core::values::username`].
    pub username: Username,
    /// Whether it may log in.
    pub status: Status,
    /// Its text fields.
    pub profile: Profile,
    /// Ids of its groups, ascending, without duplicates.
    pub groups: Vec<GroupId>,
    /// Whether it is a partner admin.
    pub is_admin: bool,
}

/// Times that a user brings along from another system.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BroughtTimes {
    /// When it was created there; now if `None`.
    pub created_at: Option<Millis>,
    /// When it last logged in there.
    pub last_login_at: Option<Millis>,
}

/// A change of a user (A2, A3, B7). `None` leaves a property unchanged. Entries of bulk operations must be readable by
/// later versions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct UserChange {
    /// A new name. Not for bulk changes: no entry has it.
    #[serde(skip)]
    pub username: Option<Username>,
    /// Whether it may log in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Its text fields.
    #[serde(flatten)]
    pub profile: ProfileChange,
    /// All its new groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<GroupId>>,
    /// Whether it is a partner admin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_admin: Option<bool>,
}

/// Creates a user and mails it a temporary password once it is ACTIVE (A1, B16).
///
/// # Errors
/// `username-taken`, `external-id-taken`; an error for groups that do not exist (B18).
pub fn create(tx: &mut Tx<'_, Admin>, new: &NewUser) -> Result<User> {
    let user = create_uncounted(tx, new)?;
    groups::count_in_each(tx, &user.groups, 1)?;
    Ok(user)
}

/// Like [`create`], and leaves the number of members of its groups to [`count_members`].
pub(super) fn create_uncounted(tx: &mut Tx<'_, Admin>, new: &NewUser) -> Result<User> {
    require_groups(tx, &new.groups)?;
    let user = insert_alone(tx, new)?;
    welcome(tx, &user)?;
    Ok(user)
}

/// Mails a new user a temporary password once it is ACTIVE (B16).
pub(super) fn welcome(tx: &mut Tx<'_>, user: &User) -> Result<()> {
    issue_or_return(tx, user, false).map(drop)
}

/// As [`create`], but returns the password instead of mailing it. Only an ACTIVE user gets one.
pub fn create_and_return_password(tx: &mut Tx<'_, Admin>, new: &NewUser) -> Result<(User, Option<String>)> {
    let user = insert(tx, new)?;
    let password = issue_or_return(tx, &user, true)?;
    Ok((user, password))
}

/// Gives a new user a temporary password once it is ACTIVE: returns it, or mails it (B16).
pub(super) fn issue_or_return(
    tx: &mut Tx<'_>,
    user: &User,
    returns_password: bool,
) -> Result<Option<String>> {
    match user.status {
        Status::Active if returns_password => passwords::issue_and_return(tx, user).map(Some),
        Status::Active => passwords::issue_first(tx, user).map(|()| None),
        Status::Inactive | Status::Locked => Ok(None),
    }
}

/// As [`create`], for a user without a password and without mail, whatever its status: for seeding benchmarks.
///
/// # Errors
/// As [`create`].
pub fn create_without_password(tx: &mut Tx<'_, Admin>, new: &NewUser) -> Result<User> {
    insert(tx, new)
}

/// Stores a new user, without a password, and records it.
pub(super) fn insert(tx: &mut Tx<'_>, new: &NewUser) -> Result<User> {
    insert_with_times(tx, new, BroughtTimes::default())
}

/// As [`insert`], for a user that existed elsewhere.
pub(super) fn insert_with_times(tx: &mut Tx<'_>, new: &NewUser, times: BroughtTimes) -> Result<User> {
    require_groups(tx, &new.groups)?;
    let user = insert_alone_with_times(tx, new, times)?;
    groups::count_in_each(tx, &user.groups, 1)?;
    Ok(user)
}

/// As [`insert`], but leaves its groups to the caller that inserts many: their existence and their number of members.
pub(super) fn insert_alone(tx: &mut Tx<'_>, new: &NewUser) -> Result<User> {
    insert_alone_with_times(tx, new, BroughtTimes::default())
}

/// As [`insert_alone`], for a user that existed elsewhere. Nothing has happened in the future: clocks differ a little.
pub(super) fn insert_alone_with_times(tx: &mut Tx<'_>, new: &NewUser, times: BroughtTimes) -> Result<User> {
    let now = tx.now();
    let user = User {
        pid: tx.pid(),
        user_id: users::next_id(tx)?,
        username: new.username.shown.clone(),
        status: new.status,
        profile: new.profile.clone(),
        groups: new.groups.clone(),
        is_admin: new.is_admin,
        created_at: times.created_at.map_or(now, |at| at.min(now)),
        updated_at: now,
        last_login_at: times.last_login_at.map(|at| at.min(now)),
        version: 1,
    };
    users::insert_uncounted(tx, &user, &new.username)?;
    events::record_user(tx, EventKind::UserCreated, user.user_id, None, Some(events::of_user(&user)))?;
    Ok(user)
}

/// One user of the partner (A6).
///
/// # Errors
/// Not found, also for another partner's (B11).
pub fn get(tx: &mut Tx<'_, Admin>, user_id: UserId) -> Result<User> {
    users::find(tx, user_id)?.ok_or(Error::NotFound(Missing::User))
}

/// The representation of [`get`], outside of a transaction: from the cache if it is there, never older than the last
/// response.
///
/// # Errors
/// As [`get`].
pub async fn look_up(
    store: &Store,
    by: &Admin,
    user_id: UserId,
    representation: &impl UserRepresentation,
) -> Result<Arc<ShownUser>> {
    store.show_user(by, user_id, representation).await?.ok_or(Error::NotFound(Missing::User))
}

/// As [`look_up`], for [`get_self`].
///
/// # Errors
/// As [`get_self`].
pub async fn look_up_self(
    store: &Store,
    member: &Member,
    representation: &impl UserRepresentation,
) -> Result<Arc<ShownUser>> {
    store.show_user(member, member.user_id(), representation).await?.ok_or(Error::NotFound(Missing::User))
}

/// The right to manage a user, for an operator, who can manage users of any partner. An id's partner never changes, so
/// this can be determined in a read, and the work be done in the partner's own transaction.
///
/// # Errors
/// Not found.
pub fn locate(tx: &mut Tx<'_, Operator>, user_id: UserId) -> Result<Admin> {
    let pid = users::find_partner_of(tx, user_id)?.ok_or(Error::NotFound(Missing::User))?;
    Ok(tx.scope().as_admin_of(pid))
}

/// As [`locate`], by username, as typed (B8), but for white space around it.
///
/// # Errors
/// Not found, also for an invalid name.
pub fn locate_username(tx: &mut Tx<'_, Operator>, username: &str) -> Result<(Admin, UserId)> {
    let missing = || Error::NotFound(Missing::User);
    let key = values::username_key(values::trim(username)).ok_or_else(missing)?;
    let (pid, user_id) = users::find_username(tx, &key)?.ok_or_else(missing)?;
    Ok((tx.scope().as_admin_of(pid), user_id))
}

/// The caller's own user (A7).
///
/// # Errors
/// Not found if it was just deleted.
pub fn get_self(tx: &mut Tx<'_, Member>) -> Result<User> {
    let user_id = tx.scope().user_id();
    users::find(tx, user_id)?.ok_or(Error::NotFound(Missing::User))
}

/// Whether the address of a user of the transaction's partner is proven to be its own
/// ([`crate::email_verifications`]); false if there is no such user.
///
/// # Errors
/// None of its own.
pub fn email_verified(tx: &mut Tx<'_>, user_id: UserId) -> Result<bool> {
    email_verifications::is_verified(tx, user_id)
}

/// Changes a user (A2).
///
/// # Errors
/// As [`create`]; `last-admin` (B10, at the end of the unit); not found.
pub fn update(tx: &mut Tx<'_, Admin>, user_id: UserId, change: &UserChange) -> Result<User> {
    let before = get(tx, user_id)?;
    update_known(tx, &before, change)
}

/// As [`update`], for a user that was just read.
pub(super) fn update_known(tx: &mut Tx<'_, Admin>, before: &User, change: &UserChange) -> Result<User> {
    // An admin's token can be stolen like any other: changes that admins make to themselves are self-service (B25).
    let by = if tx.scope().user_id() == Some(before.user_id) { ChangedBy::Self_ } else { ChangedBy::Admin };
    apply(tx, before, change, by)
}

/// Changes the caller's own user (A3, B9). Groups and rights are not the caller's to change.
///
/// # Errors
/// As [`update`].
pub fn update_self(tx: &mut Tx<'_, Member>, change: &UserChange) -> Result<User> {
    let before = get_self(tx)?;
    let profile = change.profile.clone().only(|spec| spec.is_self_editable);
    let change = UserChange { profile, groups: None, is_admin: None, ..change.clone() };
    apply(tx, &before, &change, ChangedBy::Self_)
}

/// Sets a LOCKED user ACTIVE again and its count of failures to 0; also ends the refusal of a last admin (B23).
///
/// # Errors
/// Not found.
pub fn unlock(tx: &mut Tx<'_, Admin>, user_id: UserId) -> Result<User> {
    let before = get(tx, user_id)?;
    users::set_failures(tx, user_id, users::Failures::default())?;
    let status = if before.status == Status::Locked { Some(Status::Active) } else { None };
    apply(tx, &before, &UserChange { status, ..UserChange::default() }, ChangedBy::Admin)
}

/// Deletes a user (A10). It is kept for a while and can be restored.
///
/// # Errors
/// `self-delete`; `last-admin` (B10, at the end of the unit); not found.
pub fn delete(tx: &mut Tx<'_, Admin>, user_id: UserId) -> Result<()> {
    let user = get(tx, user_id)?;
    if tx.scope().user_id() == Some(user_id) {
        return Err(self_delete());
    }
    remove(tx, &user)
}

/// Deletes users, all or none (A11, B15).
///
/// # Errors
/// Not found, listing the unknown ids, even if there are conflicts; otherwise a conflict listing its users.
pub fn delete_many(tx: &mut Tx<'_, Admin>, ids: &[i64]) -> Result<()> {
    refuse_deletion(tx, ids)?;
    let ids: BTreeSet<i64> = ids.iter().copied().collect();
    let mut users = Vec::with_capacity(ids.len());
    let extent = if ids.len() > MAX_ERASED_AT_ONCE { Extent::OneOfMany } else { Extent::Complete };
    for id in ids {
        let user = get(tx, UserId(id))?;
        remove_alone(tx, &user, extent)?;
        users.push(user.groups);
    }
    count_members(tx, &users, -1)
}

/// Checks whether these users can be deleted.
///
/// # Errors
/// As [`delete_many`].
pub(super) fn refuse_deletion(tx: &mut Tx<'_, Admin>, ids: &[i64]) -> Result<()> {
    let unknown = users::list_unknown(tx, ids)?;
    if !unknown.is_empty() {
        return Err(Error::NotFound(Missing::Users(unknown)));
    }
    let own = tx.scope().user_id().filter(|own| ids.contains(&own.0));
    let admins = last_admins_among(tx, ids)?;
    if admins.is_empty() && own.is_none() {
        return Ok(());
    }
    let mut users: Vec<i64> = own.map(|id| id.0).into_iter().chain(admins).collect();
    users.sort_unstable();
    users.dedup();
    Err(match own {
        Some(_) => {
            Conflict::users("self-delete", users, "users cannot delete themselves; nothing was deleted")
        }
        None => Conflict::users("last-admin", users, last_admin::LAST_ADMIN),
    })
}

/// The partner's ACTIVE admins, if all of them are among these users (B10).
pub(super) fn last_admins_among(tx: &mut Tx<'_>, ids: &[i64]) -> Result<Vec<i64>> {
    let ids: HashSet<i64> = ids.iter().copied().collect();
    // The rule is broken only if every ACTIVE admin is among them, so more than the number of ids need not be read.
    let limit = i64::try_from(ids.len()).unwrap_or(i64::MAX).saturating_add(1);
    let admins = users::active_admins(tx, limit)?;
    let are_all = admins.iter().all(|admin| ids.contains(&admin.0));
    Ok(if are_all { admins.into_iter().map(|admin| admin.0).collect() } else { Vec::new() })
}

/// Whether a user is the only ACTIVE admin of its partner (B10).
pub(super) fn is_last_admin(tx: &mut Tx<'_>, user: &User) -> Result<bool> {
    Ok(is_active_admin(user) && users::active_admins(tx, 2)? == [user.user_id])
}

/// Whether a change would make an ACTIVE admin no longer one.
pub(super) fn takes_admin_away(change: &UserChange) -> bool {
    change.is_admin == Some(false) || change.status.is_some_and(|status| status != Status::Active)
}

/// Deletes a user who was just read, and leaves the number of members of its groups to [`count_members`].
pub(super) fn remove_alone(tx: &mut Tx<'_>, user: &User, extent: Extent) -> Result<()> {
    // Of two concurrent deletions one stores it, the other does not find it.
    users::lock_row(tx, user.user_id)?;
    let (is_kept, mut picture) = (tx.policy().deleted_users > 0, events::of_user(user));
    if !is_kept {
        picture = erasures::blank(picture);
    }
    events::record_user(tx, EventKind::UserDeleted, user.user_id, Some(picture), None)?;
    if is_active_admin(user) {
        tx.touch_admins();
    }
    if is_kept {
        deleted_users::insert(tx, user)?;
        return users::delete_uncounted(tx, user);
    }
    users::delete_uncounted(tx, user)?;
    erasures::erase(tx, user.user_id, extent)
}

/// Adds `by` to the number of members of a group for each of these users who is in it. Each group is updated once:
/// PostgreSQL walks through every version that a transaction made of a row, so counting user by user takes a time that
/// grows with the square of their number.
pub(super) fn count_members(tx: &mut Tx<'_>, groups_of_users: &[Vec<GroupId>], by: i64) -> Result<()> {
    let mut members: BTreeMap<GroupId, i64> = BTreeMap::new();
    groups_of_users.iter().flatten().for_each(|group| *members.entry(*group).or_default() += by);
    members.into_iter().try_for_each(|(group, by)| groups::count_members(tx, group, by))
}

/// If more users than this are deleted and erased at once, the worker blanks their events.
const MAX_ERASED_AT_ONCE: usize = 100;

fn self_delete() -> Error {
    Conflict::users(
        "self-delete",
        Vec::new(),
        "users cannot delete themselves: another partner admin has to do it",
    )
}

fn remove(tx: &mut Tx<'_>, user: &User) -> Result<()> {
    remove_alone(tx, user, Extent::Complete)?;
    groups::count_in_each(tx, &user.groups, -1)
}

/// Checks that these groups exist in the partner (B14, B18).
///
/// # Errors
/// If a group of the list does not exist.
pub fn require_groups(tx: &mut Tx<'_>, ids: &[GroupId]) -> Result<()> {
    match unknown_group(&list_unknown_groups(tx, ids)?) {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

/// Which of these groups do not exist in the partner.
///
/// # Errors
/// None of its own.
pub fn list_unknown_groups(tx: &mut Tx<'_>, ids: &[GroupId]) -> Result<Vec<i64>> {
    groups::list_unknown(tx, ids)
}

/// The error of [`require_groups`], to be reported with others (B6).
pub fn unknown_group(unknown: &[i64]) -> Option<FieldError> {
    if unknown.is_empty() {
        return None;
    }
    let names: Vec<String> = unknown.iter().map(ToString::to_string).collect();
    let detail = format!("there is no group {} in this partner", names.join(", "));
    Some(FieldError::new("/groups", "unknown-group", detail))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChangedBy {
    Admin,
    Self_,
}

fn is_active_admin(user: &User) -> bool {
    user.is_admin && user.status == Status::Active
}

/// The user after a change.
fn changed(before: &User, change: &UserChange) -> User {
    let mut after = before.clone();
    if let Some(username) = &change.username {
        after.username.clone_from(&username.shown);
    }
    after.status = change.status.unwrap_or(before.status);
    change.profile.apply(&mut after.profile);
    after.groups = change.groups.clone().unwrap_or(after.groups);
    after.is_admin = change.is_admin.unwrap_or(before.is_admin);
    after
}

/// Whether a change would change this user.
pub(super) fn would_change(before: &User, change: &UserChange) -> bool {
    events::of_user(before) != events::of_user(&changed(before, change))
}

/// Applies a change and its consequences. A change without effect is not recorded.
fn apply(tx: &mut Tx<'_>, before: &User, change: &UserChange, by: ChangedBy) -> Result<User> {
    let mut after = changed(before, change);
    let Some((old, new)) = events::difference(events::of_user(before), events::of_user(&after)) else {
        return Ok(after);
    };
    require_groups(tx, &after.groups)?;
    after.updated_at = tx.now_after(before.updated_at);
    after.version += 1;
    let username = match &change.username {
        Some(username) => username.clone(),
        None => Username { shown: after.username.clone(), key: String::new() },
    };
    users::update(tx, before, &after, &username)?;
    events::record_user(tx, EventKind::UserUpdated, after.user_id, Some(old), Some(new))?;
    follow_status(tx, before, &after)?;
    follow_email(tx, before, &after, by)?;
    if is_active_admin(before) && !is_active_admin(&after) {
        tx.touch_admins();
    }
    Ok(after)
}

/// The consequences of a change of status: sessions end, counts are reset, a first password is issued.
fn follow_status(tx: &mut Tx<'_>, before: &User, after: &User) -> Result<()> {
    if before.status == after.status {
        return Ok(());
    }
    match after.status {
        Status::Active => {
            users::set_failures(tx, after.user_id, users::Failures::default())?;
            if !tenantry_store::tables::passwords::has_any(tx, after.user_id)? {
                passwords::issue_first(tx, after)?;
            }
        }
        Status::Inactive => drop(sessions::end_all_of(tx, after.user_id, None)?),
        Status::Locked => {
            sessions::end_all_of(tx, after.user_id, None)?;
            let what =
                EmailContent::AccountLocked { username: after.username.clone(), cause: LockCause::Admin };
            passwords::notify(tx, after, &after.profile.email, what)?;
        }
    }
    Ok(())
}

/// The consequences of a change of address (B25): a notice to the old one, which also receives password mail for a
/// while if the change was made by the user, since a stolen token must not become an account.
fn follow_email(tx: &mut Tx<'_>, before: &User, after: &User, by: ChangedBy) -> Result<()> {
    let (old, new) = (&before.profile.email, &after.profile.email);
    if old == new {
        return Ok(());
    }
    let what = EmailContent::EmailChanged { username: after.username.clone(), new_address: new.clone() };
    passwords::notify(tx, after, old, what)?;
    match by {
        ChangedBy::Admin => users::hold_email(tx, after.user_id, None),
        ChangedBy::Self_ if tx.policy().email_hold > 0 => {
            // A second change does not release the first address.
            let held = users::held_email(tx, after.user_id)?.unwrap_or_else(|| old.clone());
            let until = tx.steady() + tx.policy().email_hold;
            users::hold_email(tx, after.user_id, Some((&held, until)))
        }
        ChangedBy::Self_ => Ok(()),
    }
}

/// Locks a user after too many failed logins (B23).
pub(super) fn lock(tx: &mut Tx<'_>, user: &User) -> Result<()> {
    let now = tx.now_after(user.updated_at);
    let after = User { status: Status::Locked, updated_at: now, version: user.version + 1, ..user.clone() };
    let username = Username { shown: after.username.clone(), key: String::new() };
    users::update(tx, user, &after, &username)?;
    if let Some((old, new)) = events::difference(events::of_user(user), events::of_user(&after)) {
        events::record_user(tx, EventKind::UserLocked, user.user_id, Some(old), Some(new))?;
    }
    sessions::end_all_of(tx, user.user_id, None)?;
    let what =
        EmailContent::AccountLocked { username: after.username.clone(), cause: LockCause::FailedLogins };
    passwords::notify(tx, &after, &after.profile.email, what)
}

/// A page of users, and how many there are in all; from one snapshot (contract, Paging).
///
/// # Errors
/// An error for groups that do not exist (B14).
pub fn list_page(
    tx: &mut Tx<'_, Admin>,
    query: &UserQuery,
    from: &Position,
    size: i64,
) -> Result<(Total, Vec<User>)> {
    require_groups(tx, &query.groups)?;
    let query = &*with_nested(tx, query)?;
    user_lists::page(tx, query, from, size)
}

/// The next users of a streamed list (B13).
///
/// # Errors
/// As [`list_page`].
pub fn list_chunk(
    tx: &mut Tx<'_, Admin>,
    query: &UserQuery,
    after: Option<(SortKey, UserId)>,
    size: i64,
) -> Result<Vec<User>> {
    if after.is_none() {
        require_groups(tx, &query.groups)?;
    }
    let query = with_nested(tx, query)?;
    user_lists::chunk(tx, &query, after, size)
}

/// The query, extended by the groups nested in its groups.
fn with_nested<'q>(tx: &mut Tx<'_>, query: &'q UserQuery) -> Result<Cow<'q, UserQuery>> {
    if !query.nested || query.groups.is_empty() {
        return Ok(Cow::Borrowed(query));
    }
    let mut groups = nesting::with_all_below(tx, &query.groups)?;
    if groups.is_empty() {
        // The groups were deleted while the list was streamed. An empty set would mean all users.
        groups.clone_from(&query.groups);
    }
    Ok(Cow::Owned(UserQuery { groups, nested: false, ..query.clone() }))
}

/// Makes users searchable by all their words whom a server of an older version has stored, and returns their number.
///
/// # Errors
/// None of its own.
pub fn store_search_keys(tx: &mut Tx<'_>, limit: i64) -> Result<usize> {
    users::store_search_keys(tx, limit)
}
