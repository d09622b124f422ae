//! What only the pages for partner admins need: edits on a condition, and names and totals for many rows at once.

use crate::conditions::{self, Condition, Tags, Target};
use crate::users::{self, UserChange};
use tenantry_core::error::{Error, Missing, Result};
use tenantry_core::model::{Group, GroupId, User, UserId};
use tenantry_core::values;
use tenantry_store::access::{Admin, Member};
use tenantry_store::engine::tx::{Counter, Tx};
use tenantry_store::listing::lists::{Position, Total, counted};
use tenantry_store::tables::groups::{self, GroupQuery, GroupSort};
use tenantry_store::tables::{nesting, users as stored_users};

/// What every page shows: whoever looks at it, and how many users there are.
#[derive(Debug, Clone)]
pub struct Head {
    /// Whoever looks at the page.
    pub user: User,
    /// The number of users of the partner.
    pub users: i64,
}

/// See [`Head`].
///
/// # Errors
/// Not found if the user was just deleted.
pub fn get_head(tx: &mut Tx<'_, Member>) -> Result<Head> {
    let user = users::get_self(tx)?;
    Ok(Head { user, users: counted(tx, Counter::Users)? })
}

/// The number of groups of the partner.
///
/// # Errors
/// None of its own.
pub fn count_groups(tx: &mut Tx<'_, Admin>) -> Result<i64> {
    counted(tx, Counter::Groups)
}

/// Changes a user whose representation still has this tag (RFC 9110 §13.1.1).
///
/// # Errors
/// As [`users::update`]; [`Error::Precondition`].
pub fn update_user(tx: &mut Tx<'_, Admin>, user_id: UserId, tag: &str, change: &UserChange) -> Result<User> {
    let condition = Condition { if_match: Some(Tags::These(vec![tag.to_owned()])), if_none_match: None };
    conditions::check(tx, &Target::User(user_id), &condition)?;
    users::update(tx, user_id, change)
}

/// Which of these users do not exist in the partner, any more or at all.
///
/// # Errors
/// None of its own.
pub fn list_unknown_users(tx: &mut Tx<'_, Admin>, ids: &[i64]) -> Result<Vec<i64>> {
    if ids.is_empty() { Ok(Vec::new()) } else { stored_users::list_unknown(tx, ids) }
}

/// The names of these groups, by id; groups that do not exist are left out.
///
/// # Errors
/// None of its own.
pub fn group_names(tx: &mut Tx<'_, Admin>, ids: &[GroupId]) -> Result<Vec<(i64, String)>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    groups::names(tx, ids)
}

/// The group of exactly this name, ignoring case.
///
/// # Errors
/// Not found.
pub fn get_group_named(tx: &mut Tx<'_, Admin>, name: &str) -> Result<GroupId> {
    let found = groups::find_named(tx, &[values::fold(name)])?;
    found.first().map(|(_, id)| *id).ok_or(Error::NotFound(Missing::Group))
}

/// The first groups by name, to choose from.
///
/// # Errors
/// None of its own.
pub fn list_first_groups(tx: &mut Tx<'_, Admin>, size: i64) -> Result<Vec<String>> {
    let query = GroupQuery { search: None, sort: GroupSort::Name, descending: false, with_users: false };
    let found = crate::groups::list_page(tx, &query, &Position::Offset(0), size)?;
    Ok(found.1.into_iter().map(|group| group.name).collect())
}

/// A group of a level of the tree, with the number of groups directly nested in it.
#[derive(Debug, Clone)]
pub struct Branch {
    /// The group, without its users.
    pub group: Group,
    /// How many groups are directly nested in it.
    pub children: i64,
}

/// A level of the tree of groups, by name: those nested in `parent`, or in none; and how many there are in all.
///
/// # Errors
/// None of its own.
pub fn list_children(
    tx: &mut Tx<'_, Admin>,
    parent: Option<GroupId>,
    offset: i64,
    size: i64,
) -> Result<(Total, Vec<Branch>)> {
    let total = Total { count: groups::count_children(tx, parent)?, is_exact: true };
    let rows = groups::children(tx, parent, offset, size)?;
    Ok((total, rows.into_iter().map(|(group, children)| Branch { group, children }).collect()))
}

/// The groups that one is nested in, from the outermost to its parent, by id and name.
///
/// # Errors
/// None of its own.
pub fn list_ancestors(tx: &mut Tx<'_, Admin>, group_id: GroupId) -> Result<Vec<(GroupId, String)>> {
    let mut path = nesting::path_up(tx, group_id)?;
    path.retain(|id| *id != group_id);
    let names = group_names(tx, &path)?;
    let named = |id: GroupId| names.iter().find(|(of, _)| *of == id.0).map(|(_, name)| (id, name.clone()));
    Ok(path.into_iter().rev().filter_map(named).collect())
}

/// The user of this name, ignoring case.
///
/// # Errors
/// Not found, also for a user of another partner.
pub fn get_user_named(tx: &mut Tx<'_, Admin>, username: &str) -> Result<User> {
    let missing = || Error::NotFound(Missing::User);
    let key = values::username_key(username).ok_or_else(missing)?;
    let found = stored_users::list_by_username(tx, &[&key])?;
    found.into_iter().next().ok_or_else(missing)
}
