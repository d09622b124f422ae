//! Groups and who is in them.

use super::driver::{Param, Row};
use super::lists::{Position, SortKey, Total, counted, exact_id};
use super::tx::{Counter, Sequence, Tx};
use crate::error::{Conflict, Error, Result};
use crate::model::{Group, GroupId, PartnerId, UserId};
use crate::values::fold;

const COLUMNS: &str = "g.pid, g.group_id, g.name, g.description, g.membership_count, g.version";

fn read(row: &dyn Row) -> Result<Group> {
    Ok(Group {
        pid: PartnerId(row.int(0)?),
        group_id: GroupId(row.int(1)?),
        name: row.text(2)?.to_owned(),
        description: row.text(3)?.to_owned(),
        membership_count: row.int(4)?,
        wildcards: Vec::new(),
        users: Vec::new(),
        version: row.int(5)?,
    })
}

/// The orders of a list of groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the property of that name")]
pub enum GroupSort {
    GroupId,
    Name,
    Description,
    MembershipCount,
}

impl GroupSort {
    /// Every order, by the property's name.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("groupId", Self::GroupId),
        ("pid", Self::GroupId),
        ("name", Self::Name),
        ("description", Self::Description),
        ("membershipCount", Self::MembershipCount),
    ];

    fn column(self) -> &'static str {
        match self {
            Self::GroupId => "group_id",
            Self::Name => "name_key",
            Self::Description => "description_key",
            Self::MembershipCount => "membership_count",
        }
    }

    /// What `group` is sorted by in this order.
    pub fn key_of(self, group: &Group) -> SortKey {
        match self {
            Self::GroupId => SortKey::Int(group.group_id.0),
            Self::Name => SortKey::Text(fold(&group.name)),
            Self::Description => SortKey::Text(fold(&group.description)),
            Self::MembershipCount => SortKey::Int(group.membership_count),
        }
    }
}

/// Which groups, in which order.
#[derive(Debug, Clone)]
pub struct GroupQuery {
    /// Name or description hold this folded term.
    pub search: Option<String>,
    /// The order.
    pub sort: GroupSort,
    /// The other way round.
    pub descending: bool,
}

/// How many groups the query finds.
pub fn total(tx: &mut Tx<'_>, query: &GroupQuery) -> Result<Total> {
    let Some(term) = &query.search else {
        return Ok(Total { count: counted(tx, Counter::Groups)?, is_exact: true });
    };
    let test = search_test(tx, "$2", "$3");
    let sql = format!("SELECT count(*) FROM groups g WHERE g.pid = $1 AND {test}");
    let count = tx.row(&sql, &[Param::Text(term), exact_id(term).into()], |row| row.int(0))?;
    Ok(Total { count: count.unwrap_or(0), is_exact: true })
}

/// The next groups of a page, with their users.
pub fn select(tx: &mut Tx<'_>, query: &GroupQuery, from: &Position, size: i64) -> Result<Vec<Group>> {
    let mut groups = read_rows(tx, query, from, size)?;
    attach_users(tx, &mut groups)?;
    Ok(groups)
}

/// Members that one chunk of a stream may have before it ends; a single group is never parted.
const CHUNK_MEMBERS: i64 = 10_000;

/// The next groups of a stream, with their users: at most `size`, and fewer where they are large, so that the
/// memory of a stream does not grow with fifty times the largest group.
pub fn chunk(tx: &mut Tx<'_>, query: &GroupQuery, from: &Position, size: i64) -> Result<Vec<Group>> {
    let mut groups = read_rows(tx, query, from, size)?;
    let mut members = 0;
    let fits = |group: &Group| {
        let so_far = members;
        members += group.membership_count;
        so_far < CHUNK_MEMBERS
    };
    groups.truncate(groups.iter().map(fits).take_while(|fits| *fits).count());
    attach_users(tx, &mut groups)?;
    Ok(groups)
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
        let at = params.len() + 2;
        params.push(Param::Text(term));
        params.push(exact_id(term).into());
        let test = search_test(tx, &format!("${at}"), &format!("${}", at + 1));
        conditions.push_str(&format!(" AND {test}"));
    }
    let sql = format!(
        "SELECT {COLUMNS} FROM groups g WHERE {conditions} ORDER BY g.{column} {order}, g.group_id {order} LIMIT $2 {skip}"
    );
    tx.rows(&sql, &params, read)
}

fn search_test(tx: &Tx<'_>, needle: &str, id: &str) -> String {
    let dialect = tx.dialect();
    let name = dialect.contains("g.name_key", needle);
    let description = dialect.contains("g.description_key", needle);
    format!("({name} OR {description} OR g.group_id = {id})")
}

/// Reads the users of all these groups in one statement.
fn attach_users(tx: &mut Tx<'_>, groups: &mut [Group]) -> Result<()> {
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
            "SELECT m.group_id, m.user_id FROM memberships m WHERE m.pid = $1 AND m.group_id IN {set} \
             ORDER BY m.group_id, m.user_id"
        ),
        &[Param::Text(&list)],
        &mut |row| {
            let group = at.get(&GroupId(row.int(0)?)).and_then(|&i| groups.get_mut(i));
            if let Some(group) = group {
                group.users.push(UserId(row.int(1)?));
            }
            Ok(())
        },
    )?;
    Ok(())
}

/// One group of the partner, with its users.
pub fn find(tx: &mut Tx<'_>, group_id: GroupId) -> Result<Option<Group>> {
    let sql = format!("SELECT {COLUMNS} FROM groups g WHERE g.pid = $1 AND g.group_id = $2");
    let mut groups = tx.rows(&sql, &[group_id.into()], read)?;
    attach_users(tx, &mut groups)?;
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
    // A list may have 100,000 ids.
    let known: std::collections::HashSet<_> = known.into_iter().collect();
    Ok(ids.into_iter().filter(|id| !known.contains(id)).collect())
}

/// The version of a group; none when there is no such group.
pub fn version(tx: &mut Tx<'_>, group_id: GroupId) -> Result<Option<i64>> {
    let sql = "SELECT g.version FROM groups g WHERE g.pid = $1 AND g.group_id = $2";
    tx.row(sql, &[group_id.into()], |row| row.int(0))
}

/// Stores a new group and takes its id.
///
/// # Errors
/// `group-name-taken`: the database's word.
pub fn insert(tx: &mut Tx<'_>, name: &str, description: &str) -> Result<GroupId> {
    let id = tx.next_id(Sequence::Groups)?;
    let now = tx.now();
    tx.execute(
        "INSERT INTO groups (pid, group_id, name, name_key, description, description_key, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7)",
        &[
            id.into(),
            name.into(),
            (&fold(name)).into(),
            description.into(),
            (&fold(description)).into(),
            now.into(),
        ],
    )
    .map_err(taken)?;
    tx.count(Counter::Groups, 1);
    Ok(GroupId(id))
}

/// Renames or redescribes a group.
///
/// # Errors
/// As [`insert`].
pub fn update(tx: &mut Tx<'_>, group_id: GroupId, name: &str, description: &str) -> Result<()> {
    let now = tx.now();
    tx.execute(
        "UPDATE groups SET name = $3, name_key = $4, description = $5, description_key = $6, updated_at = $7, \
         version = groups.version + 1 WHERE pid = $1 AND group_id = $2",
        &[
            group_id.into(),
            name.into(),
            (&fold(name)).into(),
            description.into(),
            (&fold(description)).into(),
            now.into(),
        ],
    )
    .map_err(taken)?;
    Ok(())
}

/// Removes a group; its members leave it.
pub fn delete(tx: &mut Tx<'_>, group_id: GroupId) -> Result<()> {
    super::users::touch_members(tx, group_id)?;
    tx.execute("DELETE FROM groups WHERE pid = $1 AND group_id = $2", &[group_id.into()])?;
    tx.count(Counter::Groups, -1);
    Ok(())
}

/// As [`super::users::claim`], for a group.
pub fn claim(tx: &mut Tx<'_>, group_id: GroupId) -> Result<()> {
    if !tx.dialect().has_one_writer() {
        tx.execute(
            "UPDATE groups SET membership_count = membership_count WHERE pid = $1 AND group_id = $2",
            &[group_id.into()],
        )?;
    }
    Ok(())
}

/// Keeps the number of members, and raises the version.
pub(super) fn count_members(tx: &mut Tx<'_>, group_id: GroupId, by: i64) -> Result<()> {
    tx.execute_later(
        "UPDATE groups SET membership_count = groups.membership_count + $3, version = groups.version + 1 \
         WHERE pid = $1 AND group_id = $2",
        &[group_id.into(), by.into()],
        Error::from,
    )
}

fn taken(e: super::driver::DbError) -> Error {
    if e.is_duplicate_in("groups") {
        Conflict::field("group-name-taken", "/name", "another group of this partner has this name")
    } else {
        e.into()
    }
}
