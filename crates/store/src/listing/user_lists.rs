//! Users, many at a time: pages in any order, searches, filters, and the chunks of the streamed list.

use std::time::{Duration, Instant};

use crate::engine::driver::Row;
use crate::engine::offset_index::{self, IndexKey, OffsetView, PageLocation, Wanted};
use crate::engine::sqlite::commit_numbers;
use crate::engine::tx::{Counter, Tx};
use crate::listing::lists::{EXACT_TOTAL, Position, SortKey, Total, counted};
use crate::listing::search;
use crate::listing::user_queries::{AccessPath, Statement, UserQuery, having, narrowest, sort_column};
use crate::tables::users::{self, columns, read};
use tenantry_core::error::Result;
use tenantry_core::model::{PartnerId, User, UserId};
use tenantry_core::user_fields::UserField;

/// Hits of a search that are few enough to be held while their page is read.
const FEW_HITS: usize = 128;

/// A page of what the query finds, and how many it finds in all.
pub fn page(tx: &mut Tx<'_>, query: &UserQuery, from: &Position, size: i64) -> Result<(Total, Vec<User>)> {
    let source = narrowest(tx, query)?;
    let indexed = indexed_total(tx, query, &source)?;
    if source == AccessPath::Search
        && indexed.is_none()
        && let Some(hits) = few_hits(tx, query)?
    {
        let total = Total::exact(i64::try_from(hits.len()).unwrap_or(i64::MAX));
        return Ok((total, page_of(tx, query, from, size, total, AccessPath::Hits(hits))?));
    }
    let total = match indexed {
        Some(total) => total,
        None => count(tx, query, &source)?,
    };
    Ok((total, page_of(tx, query, from, size, total, source)?))
}

/// How many users the query finds.
pub fn total(tx: &mut Tx<'_>, query: &UserQuery) -> Result<Total> {
    let source = narrowest(tx, query)?;
    match indexed_total(tx, query, &source)? {
        Some(total) => Ok(total),
        None => count(tx, query, &source),
    }
}

/// Where the total of a query is kept once somebody has asked for it and it was large; for those that ask for a search,
/// statuses and rights alone.
fn keeper(
    tx: &Tx<'_>,
    query: &UserQuery,
    source: &AccessPath,
) -> Option<(OffsetView, (PartnerId, IndexKey))> {
    let key = match &query.search {
        Some(term) if *source == AccessPath::Search && query.is_search_by_kind() => {
            IndexKey::Search(term.clone())
        }
        None if query.is_by_kind() => IndexKey::Order(UserField::UserId),
        _ => return None,
    };
    Some((tx.conn.offset_index()?, (tx.pid(), key)))
}

/// The total of a query, if it is indexed.
fn indexed_total(tx: &mut Tx<'_>, query: &UserQuery, source: &AccessPath) -> Result<Option<Total>> {
    if query.is_everybody() {
        return Ok(Some(Total::exact(counted(tx, Counter::Users)?)));
    }
    if let Some(group) = query.only_group() {
        return Ok(crate::tables::groups::members(tx, group)?.map(Total::exact));
    }
    let Some((index, key)) = keeper(tx, query, source) else { return Ok(None) };
    let kinds = offset_index::kinds(&query.status, query.is_admin);
    Ok(index.total(&key, &kinds, || commit_numbers::latest(&mut *tx.conn))?.map(Total::exact))
}

/// The total, counted up to [`EXACT_TOTAL`]. What is beyond and can be indexed is counted completely where that is soon done;
/// otherwise it is a lower bound until it is indexed.
fn count(tx: &mut Tx<'_>, query: &UserQuery, source: &AccessPath) -> Result<Total> {
    let sql = Statement::new(tx.dialect(), query, source);
    let text = format!("SELECT count(*) FROM ({} LIMIT {}) hits", sql.of_hits("1"), EXACT_TOTAL + 1);
    let begun = Instant::now();
    let count = tx.row(&text, &sql.params(), |row| row.int(0))?.unwrap_or(0);
    let took = begun.elapsed();
    if count <= EXACT_TOTAL {
        return Ok(Total::exact(count));
    }
    let at_least = Total { count: EXACT_TOTAL, is_exact: false };
    let Some((index, key)) = keeper(tx, query, source) else { return Ok(at_least) };
    let mut all = None;
    if let Some(time) = index.time_to_count(&key)
        && is_counted_within(tx, query, source, time, took)?
    {
        let text = format!("SELECT count(*) FROM ({}) hits", sql.of_hits("1"));
        all = tx.count_within(time, &text, &sql.params())?;
    }
    index.ask_for(key);
    Ok(all.map_or(at_least, Total::exact))
}

/// Whether all hits can be expected to be counted in a time, of whom the first [`EXACT_TOTAL`] took so long.
fn is_counted_within(
    tx: &mut Tx<'_>,
    query: &UserQuery,
    source: &AccessPath,
    time: Duration,
    first_took: Duration,
) -> Result<bool> {
    // Hits come by id, so their number is guessed by how far the first ones reach. Users of a status do not: that is tried.
    if *source != AccessPath::Search {
        return Ok(true);
    }
    let times = guess_hits(tx, query, source)? / EXACT_TOTAL;
    Ok(first_took.saturating_mul(u32::try_from(times).unwrap_or(u32::MAX)) <= time)
}

/// The users that a search finds, if they are few: then the index is asked once, not for the total and again for the
/// page.
fn few_hits(tx: &mut Tx<'_>, query: &UserQuery) -> Result<Option<Vec<i64>>> {
    let found = |tx: &mut Tx<'_>, path: &AccessPath| {
        let sql = Statement::new(tx.dialect(), query, path);
        let text = format!("{} LIMIT {}", sql.hits(), FEW_HITS + 1);
        let ids = tx.rows(&text, &sql.params(), |row| row.int(0))?;
        Ok::<_, tenantry_core::error::Error>(Some(ids).filter(|ids| ids.len() <= FEW_HITS))
    };
    // For a long term its parts first: a user with all parts usually has the term.
    if let Some(term) = query.search.as_ref().filter(|term| search::parts(term).is_some())
        && let Some(candidates) = found(tx, &AccessPath::Parts)?
    {
        return having(tx, candidates, term).map(Some);
    }
    found(tx, &AccessPath::Search)
}

/// A page of a query that finds `total`, from `source` or by a walk.
fn page_of(
    tx: &mut Tx<'_>,
    query: &UserQuery,
    from: &Position,
    size: i64,
    total: Total,
    source: AccessPath,
) -> Result<Vec<User>> {
    if let Position::Offset(offset) = *from
        && let Some(users) = deep_page(tx, query, offset, size, total)?
    {
        return Ok(users);
    }
    // A page in the far half is near to the other end.
    let is_far = |offset: i64| total.is_exact && offset > total.count / 2;
    // Sorting ten thousand hits is cheap. Of more, a near page is found by a walk along the order's index, which looks
    // whether each row is a hit: hits are then dense.
    let path = match *from {
        _ if query.sort == UserField::UserId || total.is_small() => source,
        Position::Offset(offset) => {
            let wanted = if is_far(offset) { total.count - offset } else { offset.saturating_add(size) };
            if sorting_is_shorter(tx, query, &source, total, wanted)? { source } else { AccessPath::Walk }
        }
        Position::After(..) => AccessPath::Walk,
    };
    match *from {
        Position::Offset(offset) if is_far(offset) => {
            let mut rest = query.clone();
            rest.descending = !query.descending;
            let size = size.min((total.count - offset).max(0));
            let skipped = Position::Offset((total.count - offset - size).max(0));
            let mut users = select(tx, &rest, &skipped, size, &path)?;
            users.reverse();
            Ok(users)
        }
        _ => select(tx, query, from, size, &path),
    }
}

/// A page far from both ends, found by the offset index. None if there is no index, or none for this query.
fn deep_page(
    tx: &mut Tx<'_>,
    query: &UserQuery,
    offset: i64,
    size: i64,
    total: Total,
) -> Result<Option<Vec<User>>> {
    let is_near =
        offset < offset_index::NEAR || (total.is_exact && total.count - offset < offset_index::NEAR);
    let Some(index) = tx.conn.offset_index().filter(|_| !is_near && query.is_by_kind()) else {
        return Ok(None);
    };
    let order = (tx.pid(), query.sort, query.descending);
    let wanted = Wanted::new(order, &query.status, query.is_admin, (offset, size));
    let Some(found) = index.seek(&wanted, || commit_numbers::latest(&mut *tx.conn))? else { return Ok(None) };
    let mut users = from_sample_point(tx, query, &found)?;
    if query.descending {
        users.reverse();
    }
    Ok(Some(users))
}

/// The next rows of a stream.
pub fn chunk(
    tx: &mut Tx<'_>,
    query: &UserQuery,
    after: Option<(SortKey, UserId)>,
    size: i64,
) -> Result<Vec<User>> {
    if !query.is_everybody() || query.sort != UserField::UserId {
        let path = match narrowest(tx, query)? {
            AccessPath::Search | AccessPath::Source if query.sort != UserField::UserId => AccessPath::Walk,
            path => path,
        };
        let from = after.map_or(Position::Offset(0), |(key, id)| Position::After(key, id.0));
        return select(tx, query, &from, size, &path);
    }
    let direction = if query.descending { "<" } else { ">" };
    let order = if query.descending { "DESC" } else { "ASC" };
    let start = after.map_or(if query.descending { i64::MAX } else { 0 }, |(_, id)| id.0);
    tx.rows(
        &format!(
            "SELECT {} FROM users u WHERE u.pid = $1 AND u.user_id {direction} $2 \
             ORDER BY u.user_id {order} LIMIT $3",
            columns()
        ),
        &[start.into(), size.into()],
        read,
    )
}

/// Removes the first `limit` users of the partner with what is their own, how many: the end of a partner, and of its
/// groups, so nobody counts their members.
pub fn delete_first(tx: &mut Tx<'_>, limit: i64) -> Result<usize> {
    let sql = format!("SELECT {} FROM users u WHERE u.pid = $1 ORDER BY u.user_id LIMIT $2", columns());
    let users = tx.rows(&sql, &[limit.into()], read)?;
    for user in &users {
        users::delete_uncounted(tx, user)?;
    }
    Ok(users.len())
}

/// Whether all hits of a search, of which there are more than [`EXACT_TOTAL`], are sooner read and sorted than so many of
/// them are found by a walk along the order's index.
fn sorting_is_shorter(
    tx: &mut Tx<'_>,
    query: &UserQuery,
    source: &AccessPath,
    total: Total,
    wanted: i64,
) -> Result<bool> {
    if *source != AccessPath::Search {
        return Ok(false);
    }
    let hits = if total.is_exact { total.count } else { guess_hits(tx, query, source)? };
    // The walk finds one in every `users / hits` rows. Either way each row is read completely.
    Ok(hits < wanted.saturating_mul(counted(tx, Counter::Users)?) / hits.max(1))
}

/// How many hits a search has, guessed by how soon the first [`EXACT_TOTAL`] came.
fn guess_hits(tx: &mut Tx<'_>, query: &UserQuery, source: &AccessPath) -> Result<i64> {
    let sql = Statement::new(tx.dialect(), query, source);
    let first = format!("{} ORDER BY {} LIMIT {EXACT_TOTAL}", sql.hits(), sql.id);
    let ends = "SELECT (SELECT min(f.user_id) FROM users f WHERE f.pid = $1), \
                (SELECT max(l.user_id) FROM users l WHERE l.pid = $1)";
    let text = format!("SELECT e.*, (SELECT max(h.user_id) FROM ({first}) h) FROM ({ends}) e");
    let read = |row: &dyn Row| Ok((row.int(0)?, row.int(1)?, row.int(2)?));
    let Some((first, last, reached)) = tx.row(&text, &sql.params(), read)? else { return Ok(i64::MAX) };
    let (all, seen) = ((last - first).max(1), (reached - first).max(1));
    Ok(EXACT_TOTAL.saturating_mul(all) / seen)
}

fn select(
    tx: &mut Tx<'_>,
    query: &UserQuery,
    from: &Position,
    size: i64,
    path: &AccessPath,
) -> Result<Vec<User>> {
    let mut sql = Statement::new(tx.dialect(), query, path);
    let (order, beyond) = if query.descending { ("DESC", "<") } else { ("ASC", ">") };
    let column = sort_column(query.sort);
    let limit = sql.bind(SortKey::Int(size));
    if query.sort != UserField::UserId {
        sql.join_users();
    }
    // Each branch skips, seeks and sorts ids alone (an index covers them); only the page's rows are read whole.
    let branch = |sql: &Statement, more: &str, by: &str, skip: &str| {
        format!(
            "SELECT {} AS user_id FROM {} WHERE {}{more} ORDER BY {by} LIMIT {limit}{skip}",
            sql.user(),
            sql.from,
            sql.conditions
        )
    };
    // By id, the source's own column: its rows come in that order already.
    let (id, by_id) = (sql.id, query.sort == UserField::UserId);
    let by = if by_id { format!("{id} {order}") } else { format!("u.{column} {order}, u.user_id {order}") };
    let page = match from {
        Position::Offset(offset) => {
            let skip = sql.bind(SortKey::Int(*offset));
            branch(&sql, "", &by, &format!(" OFFSET {skip}"))
        }
        Position::After(_, after) if by_id => {
            let after = sql.bind(SortKey::Int(*after));
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
        "SELECT {} FROM ({page}) page CROSS JOIN users u WHERE u.pid = $1 AND u.user_id = page.user_id \
         ORDER BY u.{column} {order}, u.user_id {order} LIMIT {limit}",
        columns()
    );
    tx.rows(&text, &sql.params(), read)
}

/// The users from a sample point on, ascending.
fn from_sample_point(tx: &mut Tx<'_>, query: &UserQuery, found: &PageLocation) -> Result<Vec<User>> {
    let query = UserQuery { descending: false, ..query.clone() };
    let mut sql = Statement::new(tx.dialect(), &query, &AccessPath::Walk);
    let column = sort_column(query.sort);
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
        Some((_, id)) if query.sort == UserField::UserId => {
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
        "SELECT {} FROM (SELECT user_id FROM ({rows}) rows LIMIT {take} OFFSET {skip}) page \
         CROSS JOIN users u WHERE u.pid = $1 AND u.user_id = page.user_id ORDER BY {by}",
        columns()
    );
    tx.rows(&text, &sql.params(), read)
}
