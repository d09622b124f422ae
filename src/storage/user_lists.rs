//! Users, many at a time: pages in any order, searches, filters, and the chunks of the streamed list.

use std::cmp::Ordering;
use std::fmt::Write as _;

use super::driver::{DbError, Dialect, Param, Row};
use super::fences::{self, Found, Wanted};
use super::lists::{EXACT_TOTAL, Position, SortKey, Total, counted, exact_id};
use super::search::{self, PLACES, USER_THERE, place_of};
use super::tx::{Counter, Tx};
use super::users::{COLUMNS, GROUPS, optional_key, read, read_with_groups};
use crate::error::Result;
use crate::model::{GroupId, Status, User, UserId};
use crate::values::fold;

/// The orders of a list of users (B26).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the property of that name")]
pub enum UserSort {
    UserId,
    Username,
    Status,
    FirstName,
    LastName,
    Email,
    Title,
    PhoneNumber,
    IsAdmin,
    ExternalId,
    CreatedAt,
    UpdatedAt,
    LastLoginAt,
}

impl UserSort {
    /// Every order, by the property's name. A user's `pid` is the same throughout a list, so it sorts by id.
    pub const NAMES: [(&'static str, Self); 14] = [
        ("userId", Self::UserId),
        ("pid", Self::UserId),
        ("username", Self::Username),
        ("status", Self::Status),
        ("firstName", Self::FirstName),
        ("lastName", Self::LastName),
        ("email", Self::Email),
        ("title", Self::Title),
        ("phoneNumber", Self::PhoneNumber),
        ("isAdmin", Self::IsAdmin),
        ("externalId", Self::ExternalId),
        ("createdAt", Self::CreatedAt),
        ("updatedAt", Self::UpdatedAt),
        ("lastLoginAt", Self::LastLoginAt),
    ];

    pub(super) fn column(self) -> &'static str {
        match self {
            Self::UserId => "user_id",
            Self::Username => "username_key",
            Self::Status => "status",
            Self::FirstName => "first_name_key",
            Self::LastName => "last_name_key",
            Self::Email => "email_key",
            Self::Title => "title_key",
            Self::PhoneNumber => "phone_number_key",
            Self::IsAdmin => "is_admin",
            Self::ExternalId => "external_id_key",
            Self::CreatedAt => "created_at",
            Self::UpdatedAt => "updated_at",
            Self::LastLoginAt => "last_login_at",
        }
    }

    /// What a row is sorted by in this order, from its column.
    pub(super) fn read_key(self, row: &dyn Row, column: usize) -> Result<SortKey> {
        Ok(match self {
            Self::UserId
            | Self::Status
            | Self::IsAdmin
            | Self::CreatedAt
            | Self::UpdatedAt
            | Self::LastLoginAt => SortKey::Int(row.int(column)?),
            Self::Username
            | Self::FirstName
            | Self::LastName
            | Self::Email
            | Self::Title
            | Self::PhoneNumber
            | Self::ExternalId => SortKey::Text(row.text(column)?.to_owned()),
        })
    }

    /// What `user` is sorted by in this order.
    pub fn key_of(self, user: &User) -> SortKey {
        match self {
            Self::UserId => SortKey::Int(user.user_id.0),
            Self::Username => SortKey::Text(fold(&user.username)),
            Self::Status => SortKey::Int(user.status.code()),
            Self::FirstName => SortKey::Text(fold(&user.first_name)),
            Self::LastName => SortKey::Text(fold(&user.last_name)),
            Self::Email => SortKey::Text(fold(&user.email)),
            Self::Title => SortKey::Text(optional_key(user.title.as_deref())),
            Self::PhoneNumber => SortKey::Text(optional_key(user.phone_number.as_deref())),
            Self::IsAdmin => SortKey::Int(i64::from(user.is_admin)),
            Self::ExternalId => SortKey::Text(optional_key(user.external_id.as_deref())),
            Self::CreatedAt => SortKey::Int(user.created_at),
            Self::UpdatedAt => SortKey::Int(user.updated_at),
            Self::LastLoginAt => SortKey::Int(user.last_login_at.unwrap_or(0)),
        }
    }
}

/// Which users, in which order. Text is folded already.
#[derive(Debug, Clone)]
pub struct UserQuery {
    /// Any of these statuses; empty = all.
    pub status: Vec<Status>,
    /// Only admins, or only others.
    pub is_admin: Option<bool>,
    /// Any of these.
    pub username: Vec<String>,
    /// Any of these.
    pub email: Vec<String>,
    /// Any of these.
    pub external_id: Vec<String>,
    /// In any of these groups; empty = all users (B14).
    pub groups: Vec<GroupId>,
    /// Members of groups nested in these count as well.
    pub nested: bool,
    /// Holding this term (B27).
    pub search: Option<String>,
    /// The order.
    pub sort: UserSort,
    /// The other way round.
    pub descending: bool,
}

impl UserQuery {
    /// All users, ascending by id (B13).
    pub fn all() -> Self {
        Self {
            status: Vec::new(),
            is_admin: None,
            username: Vec::new(),
            email: Vec::new(),
            external_id: Vec::new(),
            groups: Vec::new(),
            nested: false,
            search: None,
            sort: UserSort::UserId,
            descending: false,
        }
    }

    fn is_everybody(&self) -> bool {
        self.status.is_empty()
            && self.is_admin.is_none()
            && self.username.is_empty()
            && self.email.is_empty()
            && self.external_id.is_empty()
            && self.groups.is_empty()
            && self.search.is_none()
    }
}

impl UserQuery {
    /// Whether it asks for nothing but statuses and rights.
    fn is_by_kind(&self) -> bool {
        Self { status: Vec::new(), is_admin: None, ..self.clone() }.is_everybody()
    }

    /// Whether it asks for some users by name: they are found by that, however many hold the term.
    fn names_some(&self) -> bool {
        !(self.username.is_empty() && self.email.is_empty() && self.external_id.is_empty())
    }
}

/// Hits of a search that are few enough to be held while their page is read.
const FEW_HITS: usize = 128;

/// A page of what the query finds, and how many it finds in all.
pub fn page(tx: &mut Tx<'_>, query: &UserQuery, from: &Position, size: i64) -> Result<(Total, Vec<User>)> {
    if query.is_everybody() {
        let total = total(tx, query)?;
        return Ok((total, page_of(tx, query, from, size, total, Drive::Source)?));
    }
    let source = narrowest(tx, query)?;
    if query.search.is_some()
        && let Some(hits) = few_hits(tx, query, &source)?
    {
        let total = Total { count: i64::try_from(hits.len()).unwrap_or(i64::MAX), is_exact: true };
        return Ok((total, page_of(tx, query, from, size, total, Drive::Hits(hits))?));
    }
    let total = count(tx, query, &source)?;
    Ok((total, page_of(tx, query, from, size, total, source)?))
}

/// How many users the query finds.
pub fn total(tx: &mut Tx<'_>, query: &UserQuery) -> Result<Total> {
    if query.is_everybody() {
        return Ok(Total { count: counted(tx, Counter::Users)?, is_exact: true });
    }
    let source = narrowest(tx, query)?;
    count(tx, query, &source)
}

fn count(tx: &mut Tx<'_>, query: &UserQuery, source: &Drive) -> Result<Total> {
    let sql = Statement::new(tx.dialect(), query, source);
    let text = format!("SELECT count(*) FROM ({} LIMIT {}) hits", sql.hits(), EXACT_TOTAL + 1);
    let count = tx.row(&text, &sql.params(), |row| row.int(0))?.unwrap_or(0);
    Ok(Total { count: count.min(EXACT_TOTAL), is_exact: count <= EXACT_TOTAL })
}

/// The users that a search finds, if they are few: then the search is done once, not for the total and again for the
/// page.
fn few_hits(tx: &mut Tx<'_>, query: &UserQuery, source: &Drive) -> Result<Option<Vec<i64>>> {
    let sql = Statement::new(tx.dialect(), query, source);
    let text = format!("{} LIMIT {}", sql.hits(), FEW_HITS + 1);
    let hits = tx.rows(&text, &sql.params(), |row| row.int(0))?;
    Ok(Some(hits).filter(|hits| hits.len() <= FEW_HITS))
}

/// A page of a query that finds `total`, from `source` or by a walk.
fn page_of(
    tx: &mut Tx<'_>,
    query: &UserQuery,
    from: &Position,
    size: i64,
    total: Total,
    source: Drive,
) -> Result<Vec<User>> {
    if let Position::Offset(offset) = *from
        && let Some(users) = deep_page(tx, query, offset, size, total)?
    {
        return Ok(users);
    }
    // Sorting ten thousand hits is cheap. Of more, a near page is found by a walk along the order's index, which looks
    // whether each row is a hit: hits are then dense.
    let drive = match from {
        _ if query.sort == UserSort::UserId || total.is_exact => source,
        Position::Offset(offset) if sorting_is_shorter(tx, query, &source, offset.saturating_add(size))? => {
            source
        }
        _ => Drive::Walk,
    };
    match *from {
        // A page in the far half is near to the other end.
        Position::Offset(offset) if total.is_exact && offset > total.count / 2 => {
            let mut rest = query.clone();
            rest.descending = !query.descending;
            let size = size.min((total.count - offset).max(0));
            let skipped = Position::Offset((total.count - offset - size).max(0));
            let mut users = select(tx, &rest, &skipped, size, &drive)?;
            users.reverse();
            Ok(users)
        }
        _ => select(tx, query, from, size, &drive),
    }
}

/// A page far from both ends, found by fences. None where there are none, or not for this query.
fn deep_page(
    tx: &mut Tx<'_>,
    query: &UserQuery,
    offset: i64,
    size: i64,
    total: Total,
) -> Result<Option<Vec<User>>> {
    let is_near = offset < fences::NEAR || (total.is_exact && total.count - offset < fences::NEAR);
    let Some(fences) = tx.conn.fences().filter(|_| !is_near && query.is_by_kind()) else { return Ok(None) };
    let order = (tx.pid(), query.sort, query.descending);
    let wanted = Wanted::new(order, &query.status, query.is_admin, (offset, size));
    let Some(found) = fences.seek(&mut *tx.conn, &wanted)? else { return Ok(None) };
    let mut users = behind_fence(tx, query, &found)?;
    if query.descending {
        users.reverse();
    }
    Ok(Some(users))
}

/// The next rows of a stream. Groups are read beside the rows, not row by row.
pub fn chunk(
    tx: &mut Tx<'_>,
    query: &UserQuery,
    after: Option<(SortKey, UserId)>,
    size: i64,
) -> Result<Vec<User>> {
    if !query.is_everybody() || query.sort != UserSort::UserId {
        let drive = if query.sort == UserSort::UserId { narrowest(tx, query)? } else { Drive::Walk };
        let from = after.map_or(Position::Offset(0), |(key, id)| Position::After(key, id.0));
        return select(tx, query, &from, size, &drive);
    }
    let direction = if query.descending { "<" } else { ">" };
    let order = if query.descending { "DESC" } else { "ASC" };
    let start = after.map_or(if query.descending { i64::MAX } else { 0 }, |(_, id)| id.0);
    let mut users = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    tx.each(
        &format!(
            "SELECT {COLUMNS} FROM users u WHERE u.pid = $1 AND u.user_id {direction} $2 \
             ORDER BY u.user_id {order} LIMIT $3"
        ),
        &[start.into(), size.into()],
        &mut |row| {
            users.push(read(row)?);
            Ok(())
        },
    )?;
    attach_groups(tx, &mut users)?;
    Ok(users)
}

/// Removes every user of the partner with what is its own: the end of a partner.
pub fn delete_all(tx: &mut Tx<'_>) -> Result<()> {
    let ids = tx.rows("SELECT user_id FROM users WHERE pid = $1", &[], |row| row.int(0).map(UserId))?;
    for id in ids {
        if let Some(user) = super::users::find(tx, id)? {
            super::users::delete(tx, &user)?;
        }
    }
    Ok(())
}

/// Reads the memberships of a run of users in one go and hands them out by a merge.
fn attach_groups(tx: &mut Tx<'_>, users: &mut [User]) -> Result<(), DbError> {
    let (Some(first), Some(last)) = (users.first(), users.last()) else { return Ok(()) };
    let (low, high) = (first.user_id.min(last.user_id), first.user_id.max(last.user_id));
    let descending = first.user_id > last.user_id;
    let order = if descending { "DESC" } else { "ASC" };
    let mut at = users.iter_mut().peekable();
    tx.each(
        &format!(
            "SELECT m.user_id, m.group_id FROM memberships m WHERE m.pid = $1 AND m.user_id BETWEEN $2 AND $3 \
             ORDER BY m.user_id {order}, m.group_id {order}"
        ),
        &[low.into(), high.into()],
        &mut |row| {
            let (user_id, group) = (UserId(row.int(0)?), GroupId(row.int(1)?));
            while let Some(user) = at.peek_mut() {
                let order = user.user_id.cmp(&user_id);
                match if descending { order.reverse() } else { order } {
                    Ordering::Equal => {
                        user.groups.push(group);
                        return Ok(());
                    }
                    Ordering::Less => drop(at.next()),
                    Ordering::Greater => return Ok(()),
                }
            }
            Ok(())
        },
    )?;
    if descending {
        users.iter_mut().for_each(|user| user.groups.sort_unstable());
    }
    Ok(())
}

/// Whether all hits of a search, of which there are more than [`EXACT_TOTAL`], are sooner read and sorted than so many of
/// them are found by a walk along the order's index. How many there are is guessed by how soon the first ones came.
fn sorting_is_shorter(tx: &mut Tx<'_>, query: &UserQuery, source: &Drive, wanted: i64) -> Result<bool> {
    if *source != Drive::Search {
        return Ok(false);
    }
    let sql = Statement::new(tx.dialect(), query, source);
    let first = format!("{} ORDER BY {} LIMIT {EXACT_TOTAL}", sql.hits(), sql.id);
    let ends = "SELECT (SELECT min(f.user_id) FROM users f WHERE f.pid = $1), \
                (SELECT max(l.user_id) FROM users l WHERE l.pid = $1)";
    let text = format!("SELECT e.*, (SELECT max(h.user_id) FROM ({first}) h) FROM ({ends}) e");
    let read = |row: &dyn Row| Ok((row.int(0)?, row.int(1)?, row.int(2)?));
    let Some((first, last, reached)) = tx.row(&text, &sql.params(), read)? else { return Ok(false) };
    let (all, seen) = ((last - first).max(1), (reached - first).max(1));
    let hits = EXACT_TOTAL.saturating_mul(all) / seen;
    // The walk finds one in every `users / hits` rows. Either way each row is read whole.
    Ok(hits < wanted.saturating_mul(counted(tx, Counter::Users)?) / hits.max(1))
}

/// What a statement starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Drive {
    /// Hits of a search index. Ascending ids come without a sort.
    Search,
    /// Members of the group, or the users themselves. Ascending ids come without a sort.
    Source,
    /// All users in the wanted order, each tested.
    Walk,
    /// These users, who pass the whole query.
    Hits(Vec<i64>),
}

/// What finds the fewest rows to look at.
fn narrowest(tx: &mut Tx<'_>, query: &UserQuery) -> Result<Drive> {
    // PostgreSQL chooses by itself between its index of texts and a walk.
    let is_indexed = tx.dialect() == Dialect::Sqlite
        && query.search.as_deref().is_some_and(|term| search::lookup(term).is_some());
    Ok(if is_indexed && !are_few(tx, query)? { Drive::Search } else { Drive::Source })
}

/// A statement under construction. `$1` is the partner.
struct Statement {
    from: String,
    conditions: String,
    /// The id column to order and seek by when the order is by id.
    id: &'static str,
    /// Whether it reads places of a search index, `s`, and no user: `id` is then the place.
    is_by_place: bool,
    /// Conditions that bound the places. They come last: of two lower bounds FTS5 seeks by the first.
    within: String,
    values: Vec<SortKey>,
}

impl Statement {
    fn new(dialect: Dialect, query: &UserQuery, drive: &Drive) -> Self {
        let mut sql = Self {
            from: String::from("users u"),
            conditions: String::from("u.pid = $1"),
            id: "u.user_id",
            is_by_place: false,
            within: String::new(),
            values: Vec::new(),
        };
        if let Drive::Hits(ids) = drive {
            let ids = sql.bind(SortKey::Text(serde_json::json!(ids).to_string()));
            let _ = write!(sql.conditions, " AND u.user_id IN {}", dialect.int_set(&ids));
            return sql;
        }
        let searched = *drive == Drive::Search && sql.start_from_search(query);
        let grouped = *drive == Drive::Source && sql.start_from_group(query);
        if let Some(term) = query.search.as_deref().filter(|_| !searched) {
            let (mut test, value) = search::test(dialect, &sql.next_param(), term);
            sql.bind(SortKey::Text(value));
            if let Some(id) = exact_id(term) {
                let id = sql.bind(SortKey::Int(id));
                test = format!("({test} OR u.user_id = {id})");
            }
            let _ = write!(sql.conditions, " AND {test}");
        }
        if !grouped && !query.groups.is_empty() {
            let ids: Vec<i64> = query.groups.iter().map(|g| g.0).collect();
            let ids = sql.bind(SortKey::Text(serde_json::json!(ids).to_string()));
            let set = dialect.int_set(&ids);
            let _ = write!(
                sql.conditions,
                " AND EXISTS (SELECT 1 FROM memberships g WHERE g.pid = $1 AND g.user_id = {} \
                 AND g.group_id IN {set})",
                sql.user()
            );
        }
        // A walk is along the index of its order: SQLite would rather sort the millions that another index finds.
        let by = if *drive == Drive::Walk && dialect == Dialect::Sqlite { "+u" } else { "u" };
        let statuses: Vec<_> = query.status.iter().map(|s| s.code().to_string()).collect();
        if !statuses.is_empty() {
            sql.filter(by, "status", &statuses.join(", "));
        }
        if let Some(is_admin) = query.is_admin {
            sql.filter(by, "is_admin", if is_admin { "1" } else { "0" });
        }
        for (column, values) in [
            ("u.username_key", &query.username),
            ("u.email_key", &query.email),
            ("u.external_id_key", &query.external_id),
        ] {
            match values.as_slice() {
                [] => {}
                [one] => {
                    let value = sql.bind(SortKey::Text(one.clone()));
                    let _ = write!(sql.conditions, " AND {column} = {value}");
                }
                many => {
                    let list = sql.bind(SortKey::Text(serde_json::json!(many).to_string()));
                    let _ = write!(sql.conditions, " AND {column} IN {}", dialect.text_set(&list));
                }
            }
        }
        sql
    }

    /// Starts from the hits of the search index that knows the term; whether one does.
    fn start_from_search(&mut self, query: &UserQuery) -> bool {
        let Some(term) = &query.search else { return false };
        let Some((index, expression)) = search::lookup(term) else { return false };
        let hits = self.bind(SortKey::Text(expression));
        // A term of digits also finds the user of that number (B27).
        if let Some(id) = exact_id(term) {
            let id = self.bind(SortKey::Int(id));
            self.from = format!(
                "(SELECT {USER_THERE} AS user_id FROM {index} s WHERE s.{index} MATCH {hits} AND {PLACES} \
                 UNION SELECT CAST({id} AS BIGINT)) s CROSS JOIN users u"
            );
            self.conditions.push_str(" AND u.user_id = s.user_id");
            self.id = "s.user_id";
        } else {
            self.from = format!("{index} s");
            self.conditions = format!("s.{index} MATCH {hits}");
            self.within = format!(" AND {PLACES}");
            self.id = "s.rowid";
            self.is_by_place = true;
        }
        true
    }

    /// Starts from the members of the group, where only one is asked for; whether it is so.
    fn start_from_group(&mut self, query: &UserQuery) -> bool {
        let &[group] = query.groups.as_slice() else { return false };
        let group = self.bind(SortKey::Int(group.0));
        self.from = String::from("memberships m CROSS JOIN users u");
        let _ = write!(self.conditions, " AND m.pid = $1 AND m.group_id = {group} AND u.user_id = m.user_id");
        self.id = "m.user_id";
        true
    }

    /// The number of the user whom a row is about.
    fn user(&self) -> &'static str {
        if self.is_by_place { USER_THERE } else { "u.user_id" }
    }

    /// Lets only users pass who have one of these values. Of many places of a search index few have rows of users in
    /// memory: there the column's own index is asked, where neighbours stand side by side.
    fn filter(&mut self, by: &str, column: &str, values: &str) {
        let _ = if self.is_by_place {
            write!(
                self.conditions,
                " AND EXISTS (SELECT 1 FROM users f INDEXED BY users_by_{column} WHERE f.pid = $1 \
                 AND f.{column} IN ({values}) AND f.user_id = {USER_THERE})"
            )
        } else {
            write!(self.conditions, " AND {by}.{column} IN ({values})")
        };
    }

    /// Reads the users as well: for an order that the places do not have.
    fn join_users(&mut self) {
        if self.is_by_place {
            self.from.push_str(" CROSS JOIN users u");
            let _ = write!(self.conditions, " AND u.pid = $1 AND u.user_id = {USER_THERE}");
        }
    }

    /// The ids of all that the query finds.
    fn hits(&self) -> String {
        let Self { from, conditions, within, .. } = self;
        format!("SELECT {} AS user_id FROM {from} WHERE {conditions}{within}", self.user())
    }

    /// What the next value will be bound at. `$1` is the partner.
    fn next_param(&self) -> String {
        format!("${}", self.values.len() + 2)
    }

    fn bind(&mut self, value: SortKey) -> String {
        let param = self.next_param();
        self.values.push(value);
        param
    }

    fn params(&self) -> Vec<Param<'_>> {
        self.values.iter().map(SortKey::param).collect()
    }
}

/// Whether so few users pass the rest of the query that each is better held against the term than each hit of the term
/// against the rest.
fn are_few(tx: &mut Tx<'_>, query: &UserQuery) -> Result<bool> {
    if query.names_some() {
        return Ok(true);
    }
    let among = |tx: &mut Tx<'_>, rows: &str, params: &[Param<'_>]| {
        let sql = format!("SELECT count(*) FROM (SELECT 1 FROM {rows} LIMIT {}) few", EXACT_TOTAL + 1);
        Ok::<_, crate::error::Error>(
            tx.row(&sql, params, |row| row.int(0))?.is_some_and(|n| n <= EXACT_TOTAL),
        )
    };
    if let [group] = query.groups.as_slice() {
        let members = "memberships m WHERE m.pid = $1 AND m.group_id = $2";
        if among(tx, members, &[(*group).into()])? {
            return Ok(true);
        }
    }
    // Most users are ACTIVE, and no admins.
    if let ([status], false) = (query.status.as_slice(), query.status.contains(&Status::Active)) {
        let users = "users u WHERE u.pid = $1 AND u.status = $2";
        if among(tx, users, &[status.code().into()])? {
            return Ok(true);
        }
    }
    let admins = "users u WHERE u.pid = $1 AND u.is_admin = 1";
    Ok(query.is_admin == Some(true) && among(tx, admins, &[])?)
}

fn select(
    tx: &mut Tx<'_>,
    query: &UserQuery,
    from: &Position,
    size: i64,
    drive: &Drive,
) -> Result<Vec<User>> {
    let mut sql = Statement::new(tx.dialect(), query, drive);
    let (order, beyond) = if query.descending { ("DESC", "<") } else { ("ASC", ">") };
    let column = query.sort.column();
    let limit = sql.bind(SortKey::Int(size));
    if query.sort != UserSort::UserId {
        sql.join_users();
    }
    // Each branch skips, seeks and sorts ids alone (an index covers them); only the page's rows are read whole.
    let branch = |sql: &Statement, more: &str, by: &str, skip: &str| {
        format!(
            "SELECT {} AS user_id FROM {} WHERE {}{more}{} ORDER BY {by} LIMIT {limit}{skip}",
            sql.user(),
            sql.from,
            sql.conditions,
            sql.within
        )
    };
    // By id, the source's own column: its rows come in that order already.
    let (id, by_id) = (sql.id, query.sort == UserSort::UserId);
    let by = if by_id { format!("{id} {order}") } else { format!("u.{column} {order}, u.user_id {order}") };
    let page = match from {
        Position::Offset(offset) => {
            let skip = sql.bind(SortKey::Int(*offset));
            branch(&sql, "", &by, &format!(" OFFSET {skip}"))
        }
        Position::After(_, after) if by_id => {
            let after = sql.bind(SortKey::Int(*after));
            let after = if sql.is_by_place { place_of(&after) } else { after };
            branch(&sql, &format!(" AND {id} {beyond} {after}"), &by, "")
        }
        // Those of the same key first, then those beyond it: SQLite seeks for each of the two, but not for
        // "(key, id) > (...)", whose second part is the rowid.
        Position::After(key, after) => {
            let (key, after) = (sql.bind(key.clone()), sql.bind(SortKey::Int(*after)));
            let same = format!(" AND u.{column} = {key} AND u.user_id {beyond} {after}");
            let rest = format!(" AND u.{column} {beyond} {key}");
            format!(
                "SELECT user_id FROM ({}) same UNION ALL SELECT user_id FROM ({}) rest",
                branch(&sql, &same, &format!("u.user_id {order}"), ""),
                branch(&sql, &rest, &by, "")
            )
        }
    };
    let text = format!(
        "SELECT {COLUMNS}, {GROUPS} FROM ({page}) page CROSS JOIN users u WHERE u.pid = $1 AND u.user_id = page.user_id \
         ORDER BY u.{column} {order}, u.user_id {order} LIMIT {limit}"
    );
    tx.rows(&text, &sql.params(), read_with_groups)
}

/// The users behind a fence, ascending.
fn behind_fence(tx: &mut Tx<'_>, query: &UserQuery, found: &Found) -> Result<Vec<User>> {
    let query = UserQuery { descending: false, ..query.clone() };
    let mut sql = Statement::new(tx.dialect(), &query, &Drive::Walk);
    let column = query.sort.column();
    let (take, skip) = (sql.bind(SortKey::Int(found.take)), sql.bind(SortKey::Int(found.skip)));
    let some = |sql: &Statement, more: &str, by: &str| {
        format!(
            "SELECT u.user_id AS user_id FROM users u WHERE {}{more} ORDER BY {by} LIMIT {take} + {skip}",
            sql.conditions
        )
    };
    let by = format!("u.{column}, u.user_id");
    let rows = match &found.first {
        None => some(&sql, "", &by),
        Some((_, id)) if query.sort == UserSort::UserId => {
            let id = sql.bind(SortKey::Int(*id));
            some(&sql, &format!(" AND u.user_id >= {id}"), "u.user_id")
        }
        // In two, as for a page after a row.
        Some((key, id)) => {
            let (key, id) = (sql.bind(key.clone()), sql.bind(SortKey::Int(*id)));
            format!(
                "SELECT user_id FROM ({}) same UNION ALL SELECT user_id FROM ({}) rest",
                some(&sql, &format!(" AND u.{column} = {key} AND u.user_id >= {id}"), "u.user_id"),
                some(&sql, &format!(" AND u.{column} > {key}"), &by)
            )
        }
    };
    let text = format!(
        "SELECT {COLUMNS}, {GROUPS} FROM (SELECT user_id FROM ({rows}) rows LIMIT {take} OFFSET {skip}) page \
         CROSS JOIN users u WHERE u.pid = $1 AND u.user_id = page.user_id ORDER BY {by}"
    );
    tx.rows(&text, &sql.params(), read_with_groups)
}
