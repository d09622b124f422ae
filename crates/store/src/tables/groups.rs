//! Groups and their members.

use crate::engine::driver::{Param, Row};
use crate::engine::sequences::Sequence;
use crate::engine::tx::{Counter, Tx};
use crate::listing::lists::{Position, SortKey, Total, counted, search_test};
use tenantry_core::error::{Conflict, Error, Result};
use tenantry_core::model::{Group, GroupId, PartnerId, UserId};
use tenantry_core::search_terms::SearchTerm;
use tenantry_core::values::fold;

const COLUMNS: &str =
    "g.pid, g.group_id, g.name, g.description, g.membership_count, g.parent_group_id, g.version";

fn read(row: &dyn Row) -> Result<Group> {
    Ok(Group {
        pid: PartnerId(row.int(0)?),
        group_id: GroupId(row.int(1)?),
        name: row.text(2)?.to_owned(),
        description: row.text(3)?.to_owned(),
        membership_count: row.int(4)?,
        parent: Some(row.int(5)?).filter(|id| *id != 0).map(GroupId),
        version: row.int(6)?,
        wildcards: Vec::new(),
        users: Vec::new(),
    })
}

/// The sort orders of groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the property of that name")]
pub enum GroupSort {
    GroupId,
    Name,
    Description,
    MembershipCount,
    Parent,
}

impl GroupSort {
    /// Every order, by the property's name.
    pub const NAMES: [(&'static str, Self); 6] = [
        ("groupId", Self::GroupId),
        ("pid", Self::GroupId),
        ("name", Self::Name),
        ("description", Self::Description),
        ("membershipCount", Self::MembershipCount),
        ("parentGroupId", Self::Parent),
    ];

    fn column(self) -> &'static str {
        match self {
            Self::GroupId => "group_id",
            Self::Name => "name_key",
            Self::Description => "description_key",
            Self::MembershipCount => "membership_count",
            Self::Parent => "parent_group_id",
        }
    }

    /// The sort key of a group.
    pub fn key_of(self, group: &Group) -> SortKey {
        match self {
            Self::GroupId => SortKey::Int(group.group_id.0),
            Self::Name => SortKey::Text(fold(&group.name)),
            Self::Description => SortKey::Text(fold(&group.description)),
            Self::MembershipCount => SortKey::Int(group.membership_count),
            Self::Parent => SortKey::Int(group.parent.map_or(0, |id| id.0)),
        }
    }
}

/// A query for groups.
#[derive(Debug, Clone)]
pub struct GroupQuery {
    /// Name or description contain each word of this term.
    pub search: Option<SearchTerm>,
    /// The order.
    pub sort: GroupSort,
    /// Descending.
    pub descending: bool,
    /// Whether to read their users.
    pub with_users: bool,
}

/// The number of groups that match the query.
pub fn total(tx: &mut Tx<'_>, query: &GroupQuery) -> Result<Total> {
    let Some(term) = &query.search else {
        return Ok(Total { count: counted(tx, Counter::Groups)?, is_exact: true });
    };
    let mut params = Vec::new();
    let test = search_test(tx.dialect(), term, SEARCHED, (2, &mut params));
    let sql = format!("SELECT count(*) FROM groups g WHERE g.pid = $1 AND {test}");
    let count = tx.row(&sql, &params, |row| row.int(0))?;
    Ok(Total { count: count.unwrap_or(0), is_exact: true })
}

/// The next groups of a page, with their users if requested.
pub fn select(tx: &mut Tx<'_>, query: &GroupQuery, from: &Position, size: i64) -> Result<Vec<Group>> {
    let mut groups = read_rows(tx, query, from, size)?;
    attach_wildcards(tx, &mut groups)?;
    if query.with_users {
        attach_users(tx, &mut groups)?;
    }
    Ok(groups)
}

/// Maximum number of members in a chunk of a stream.
pub const CHUNK_MEMBERS: i64 = 10_000;

/// Some groups of a stream.
#[derive(Debug)]
pub struct GroupChunk {
    /// The groups, with their users if requested.
    pub groups: Vec<Group>,
    /// The last group only has its first [`CHUNK_MEMBERS`] users: the rest is read by
    /// [`crate::tables::memberships::members_after`].
    pub is_open: bool,
}

/// The next groups of a stream: at most `size`, and fewer if they are large, so that the memory of a stream grows
/// neither with the number of groups nor with the size of the largest.
pub fn chunk(tx: &mut Tx<'_>, query: &GroupQuery, from: &Position, size: i64) -> Result<GroupChunk> {
    let mut groups = read_rows(tx, query, from, size)?;
    let mut is_open = false;
    if query.with_users {
        let mut members = 0;
        let fits = |group: &Group| {
            members += group.membership_count;
            members <= CHUNK_MEMBERS
        };
        let whole = groups.iter().map(fits).take_while(|fits| *fits).count();
        is_open = whole == 0 && !groups.is_empty();
        groups.truncate(whole.max(1));
        match groups.last_mut().filter(|_| is_open) {
            Some(large) => {
                large.users =
                    crate::tables::memberships::members_after(tx, large.group_id, UserId(0), CHUNK_MEMBERS)?;
            }
            None => attach_users(tx, &mut groups)?,
        }
    }
    attach_wildcards(tx, &mut groups)?;
    Ok(GroupChunk { groups, is_open })
}

fn read_rows(tx: &mut Tx<'_>, query: &GroupQuery, from: &Position, size: i64) -> Result<Vec<Group>> {
    let (order, beyond) = if query.descending { ("DESC", "<") } else { ("ASC", ">") };
    let column = query.sort.column();
    let mut params = vec![Param::Int(size)];
    let mut conditions = String::from("g.pid = $1");
    let mut skip = String::new();
    match from {
        Position::Offset(offset) => {
            params.push(Param::Int(*offset));
            skip.push_str("OFFSET $3");
        }
        Position::After(key, id) => {
            params.push(key.param());
            params.push(Param::Int(*id));
            conditions.push_str(&format!(" AND (g.{column}, g.group_id) {beyond} ($3, $4)"));
        }
    }
    if let Some(term) = &query.search {
        let test = search_test(tx.dialect(), term, SEARCHED, (2, &mut params));
        conditions.push_str(&format!(" AND {test}"));
    }
    let sql = format!(
        "SELECT {COLUMNS} FROM groups g WHERE {conditions} ORDER BY g.{column} {order}, g.group_id {order} LIMIT $2 {skip}"
    );
    tx.rows(&sql, &params, read)
}

/// The groups directly nested in one, or in none, by name; each with the number of those nested in it.
pub fn children(
    tx: &mut Tx<'_>,
    parent: Option<GroupId>,
    offset: i64,
    size: i64,
) -> Result<Vec<(Group, i64)>> {
    let sql = format!(
        "SELECT {COLUMNS}, (SELECT count(*) FROM groups c WHERE c.pid = $1 AND c.parent_group_id = g.group_id) \
         FROM groups g WHERE g.pid = $1 AND g.parent_group_id = $2 ORDER BY g.name_key, g.group_id LIMIT $3 OFFSET $4"
    );
    let parent = parent.map_or(0, |id| id.0);
    tx.rows(&sql, &[parent.into(), size.into(), offset.into()], |row| Ok((read(row)?, row.int(7)?)))
}

/// The number of groups directly nested in one, or in none.
pub fn count_children(tx: &mut Tx<'_>, parent: Option<GroupId>) -> Result<i64> {
    let sql = "SELECT count(*) FROM groups g WHERE g.pid = $1 AND g.parent_group_id = $2";
    let count = tx.row(sql, &[parent.map_or(0, |id| id.0).into()], |row| row.int(0))?;
    Ok(count.unwrap_or(0))
}

/// What a search looks at.
const SEARCHED: (&[&str], Option<&str>) = (&["g.name_key", "g.description_key"], Some("g.group_id"));

/// Reads the users of all these groups in one statement.
fn attach_users(tx: &mut Tx<'_>, groups: &mut [Group]) -> Result<()> {
    attach(tx, groups, "SELECT m.group_id, m.user_id FROM memberships m", "m", "user_id", |group, row| {
        group.users.push(UserId(row.int(1)?));
        Ok(())
    })
}

/// Reads the wildcards of all these groups in one statement.
fn attach_wildcards(tx: &mut Tx<'_>, groups: &mut [Group]) -> Result<()> {
    attach(
        tx,
        groups,
        "SELECT w.group_id, w.wildcard FROM group_wildcards w",
        "w",
        "wildcard",
        |group, row| {
            group.wildcards.push(row.text(1)?.to_owned());
            Ok(())
        },
    )
}

fn attach(
    tx: &mut Tx<'_>,
    groups: &mut [Group],
    select: &str,
    table: &str,
    column: &str,
    add: impl Fn(&mut Group, &dyn Row) -> Result<()>,
) -> Result<()> {
    let at: std::collections::HashMap<GroupId, usize> =
        (0..).zip(groups.iter()).map(|(i, g)| (g.group_id, i)).collect();
    let ids: Vec<i64> = groups.iter().map(|g| g.group_id.0).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let list = serde_json::json!(ids).to_string();
    let set = tx.dialect().int_set("$2");
    tx.each(
        &format!(
            "{select} WHERE {table}.pid = $1 AND {table}.group_id IN {set} ORDER BY {table}.group_id, {table}.{column}"
        ),
        &[Param::Text(&list)],
        &mut |row| match at.get(&GroupId(row.int(0)?)).and_then(|&i| groups.get_mut(i)) {
            Some(group) => add(group, row),
            None => Ok(()),
        },
    )?;
    Ok(())
}

/// One group of the partner, with its users and wildcards.
pub fn find(tx: &mut Tx<'_>, group_id: GroupId) -> Result<Option<Group>> {
    let mut groups: Vec<Group> = find_head(tx, group_id)?.into_iter().collect();
    attach_users(tx, &mut groups)?;
    Ok(groups.pop())
}

/// The users of a group, ascending.
pub fn users_of(tx: &mut Tx<'_>, group_id: GroupId) -> Result<Vec<UserId>> {
    crate::tables::memberships::members_after(tx, group_id, UserId(0), i64::MAX)
}

/// One group of the partner, with its wildcards, but without its users, of which there may be many.
pub fn find_head(tx: &mut Tx<'_>, group_id: GroupId) -> Result<Option<Group>> {
    let sql = format!("SELECT {COLUMNS} FROM groups g WHERE g.pid = $1 AND g.group_id = $2");
    let mut groups = tx.rows(&sql, &[group_id.into()], read)?;
    attach_wildcards(tx, &mut groups)?;
    Ok(groups.pop())
}

/// Which of these ids are not groups of the partner.
pub fn list_unknown(tx: &mut Tx<'_>, ids: &[GroupId]) -> Result<Vec<i64>> {
    let ids: Vec<i64> = ids.iter().map(|g| g.0).collect();
    if ids.is_empty() {
        return Ok(ids);
    }
    let list = serde_json::json!(ids).to_string();
    let set = tx.dialect().int_set("$2");
    let known = tx.rows(
        &format!("SELECT g.group_id FROM groups g WHERE g.pid = $1 AND g.group_id IN {set}"),
        &[Param::Text(&list)],
        |row| row.int(0),
    )?;
    // A list can have 100,000 ids.
    let known: std::collections::HashSet<_> = known.into_iter().collect();
    Ok(ids.into_iter().filter(|id| !known.contains(id)).collect())
}

/// The groups with these folded names.
pub fn find_named(tx: &mut Tx<'_>, keys: &[String]) -> Result<Vec<(String, GroupId)>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let list = serde_json::json!(keys).to_string();
    let set = tx.dialect().text_set("$2");
    tx.rows(
        &format!("SELECT g.name_key, g.group_id FROM groups g WHERE g.pid = $1 AND g.name_key IN {set}"),
        &[Param::Text(&list)],
        |row| Ok((row.text(0)?.to_owned(), GroupId(row.int(1)?))),
    )
}

/// The names of groups.
pub fn names(tx: &mut Tx<'_>, ids: &[GroupId]) -> Result<Vec<(i64, String)>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<i64> = ids.iter().map(|group| group.0).collect();
    let list = serde_json::json!(ids).to_string();
    let set = tx.dialect().int_set("$2");
    tx.rows(
        &format!("SELECT g.group_id, g.name FROM groups g WHERE g.pid = $1 AND g.group_id IN {set}"),
        &[Param::Text(&list)],
        |row| Ok((row.int(0)?, row.text(1)?.to_owned())),
    )
}

/// The version of a group; `None` if there is no such group.
pub fn version(tx: &mut Tx<'_>, group_id: GroupId) -> Result<Option<i64>> {
    let sql = "SELECT g.version FROM groups g WHERE g.pid = $1 AND g.group_id = $2";
    tx.row(sql, &[group_id.into()], |row| row.int(0))
}

/// Stores a new group and assigns its id.
///
/// # Errors
/// `group-name-taken`, from the unique constraint.
pub fn insert(tx: &mut Tx<'_>, name: &str, description: &str, parent: Option<GroupId>) -> Result<GroupId> {
    let id = tx.next_id(Sequence::Groups)?;
    let now = tx.now();
    tx.execute(
        "INSERT INTO groups (pid, group_id, name, name_key, description, description_key, created_at, updated_at, \
         parent_group_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8)",
        &[
            id.into(),
            name.into(),
            (&fold(name)).into(),
            description.into(),
            (&fold(description)).into(),
            now.into(),
            parent.map_or(0, |id| id.0).into(),
        ],
    )
    .map_err(taken)?;
    tx.count(Counter::Groups, 1);
    Ok(GroupId(id))
}

/// Stores a group's name, description and parent, and increments its version.
///
/// # Errors
/// As [`insert`].
pub fn update(tx: &mut Tx<'_>, group: &Group) -> Result<()> {
    let now = tx.now();
    tx.execute(
        "UPDATE groups SET name = $3, name_key = $4, description = $5, description_key = $6, \
         updated_at = CASE WHEN updated_at > $7 THEN updated_at ELSE $7 END, \
         parent_group_id = $8, version = groups.version + 1 WHERE pid = $1 AND group_id = $2",
        &[
            group.group_id.into(),
            (&group.name).into(),
            (&fold(&group.name)).into(),
            (&group.description).into(),
            (&fold(&group.description)).into(),
            now.into(),
            group.parent.map_or(0, |id| id.0).into(),
        ],
    )
    .map_err(taken)?;
    Ok(())
}

/// Increments a group's version: something that belongs to it was changed.
pub fn raise_version(tx: &mut Tx<'_>, group_id: GroupId) -> Result<()> {
    let now = tx.now();
    tx.execute(
        "UPDATE groups SET version = groups.version + 1, \
         updated_at = CASE WHEN updated_at > $3 THEN updated_at ELSE $3 END WHERE pid = $1 AND group_id = $2",
        &[group_id.into(), now.into()],
    )?;
    Ok(())
}

/// Deletes a group and its memberships.
pub fn delete(tx: &mut Tx<'_>, group_id: GroupId) -> Result<()> {
    crate::tables::users::touch_members(tx, group_id)?;
    tx.execute("DELETE FROM groups WHERE pid = $1 AND group_id = $2", &[group_id.into()])?;
    tx.count(Counter::Groups, -1);
    Ok(())
}

/// As [`crate::tables::users::lock_row`], for a group.
pub fn lock_row(tx: &mut Tx<'_>, group_id: GroupId) -> Result<()> {
    tx.lock_row(
        "UPDATE groups SET membership_count = membership_count WHERE pid = $1 AND group_id = $2",
        &[group_id.into()],
    )
}

/// The stored number of members of a group; `None` if there is no such group.
pub fn members(tx: &mut Tx<'_>, group_id: GroupId) -> Result<Option<i64>> {
    tx.row(
        "SELECT membership_count FROM groups WHERE pid = $1 AND group_id = $2",
        &[group_id.into()],
        |row| row.int(0),
    )
}

/// The number of these groups, of their members (as stored), and of their permissions.
pub fn rows_of_all(tx: &mut Tx<'_>, groups: &[i64]) -> Result<i64> {
    let list = serde_json::json!(groups).to_string();
    let set = tx.dialect().int_set("$2");
    let sql = format!(
        "SELECT CAST(coalesce(sum(g.membership_count + 1), 0) AS BIGINT) + (SELECT count(*) FROM group_permissions p \
         WHERE p.pid = $1 AND p.group_id IN {set}) FROM groups g WHERE g.pid = $1 AND g.group_id IN {set}"
    );
    Ok(tx.row(&sql, &[Param::Text(&list)], |row| row.int(0))?.unwrap_or(0))
}

/// Stores the number of members, and increments the version.
pub fn count_members(tx: &mut Tx<'_>, group_id: GroupId, by: i64) -> Result<()> {
    tx.execute_later(
        "UPDATE groups SET membership_count = groups.membership_count + $3, version = groups.version + 1 \
         WHERE pid = $1 AND group_id = $2",
        &[group_id.into(), by.into()],
        Error::from,
    )
}

/// The same `by` for each of these groups: those of a user who is created or deleted.
pub fn count_in_each(tx: &mut Tx<'_>, groups: &[GroupId], by: i64) -> Result<()> {
    groups.iter().try_for_each(|group| count_members(tx, *group, by))
}

fn taken(e: crate::engine::driver::DbError) -> Error {
    if e.is_duplicate_in("groups") {
        Conflict::field("group-name-taken", "/name", "another group of this partner has this name")
    } else {
        e.into()
    }
}
