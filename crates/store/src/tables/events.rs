//! Events: the audit log. Written in the transaction of the change itself.

use crate::engine::driver::{Param, Row};
use crate::engine::sequences::Sequence;
use crate::engine::tx::{Counter, Tx};
use crate::listing::lists::{EXACT_TOTAL, Total, counted};
use tenantry_core::clock::Millis;
use tenantry_core::error::{Error, Result};
use tenantry_core::model::{Event, GroupId, PartnerId, UserId};

/// An event to record; actor and time come from the transaction.
#[derive(Debug, Default)]
pub struct NewEvent<'a> {
    /// The kind, such as `user.created`.
    pub kind: &'a str,
    /// The affected user.
    pub user_id: Option<UserId>,
    /// The affected group.
    pub group_id: Option<GroupId>,
    /// The changed values, before. Never a password, token or hash.
    pub before: Option<serde_json::Value>,
    /// The changed values, after. Never a password, token or hash.
    pub after: Option<serde_json::Value>,
}

/// Records an event.
pub fn insert(tx: &mut Tx<'_>, event: &NewEvent<'_>) -> Result<()> {
    insert_numbered(tx, event).map(drop)
}

/// Records an event with the address of a session, which is blanked at `erase_at` unless the session ends at another
/// time than is known now.
pub fn insert_with_address(
    tx: &mut Tx<'_>,
    event: &NewEvent<'_>,
    session_id: &str,
    erase_at: Millis,
) -> Result<()> {
    let id = insert_numbered(tx, event)?;
    let last = tx.dialect().last_id(Sequence::Events.name(), "$3");
    tx.execute_later(
        &format!(
            "INSERT INTO session_addresses (pid, session_id, event_id, erase_at) VALUES ($1, $2, {last}, $4)"
        ),
        &[session_id.into(), id.into(), erase_at.into()],
        Error::from,
    )
}

/// Its id, if that is known before it is stored.
fn insert_numbered(tx: &mut Tx<'_>, event: &NewEvent<'_>) -> Result<Option<i64>> {
    let before = event.before.as_ref().map(ToString::to_string);
    let after = event.after.as_ref().map(ToString::to_string);
    write(tx, event, before.as_deref(), after.as_deref())
}

/// As [`insert`], for an event whose `before` and `after` are serialized already.
pub fn insert_written(
    tx: &mut Tx<'_>,
    event: &NewEvent<'_>,
    before: Option<&str>,
    after: Option<&str>,
) -> Result<()> {
    write(tx, event, before, after).map(drop)
}

fn write(
    tx: &mut Tx<'_>,
    event: &NewEvent<'_>,
    before: Option<&str>,
    after: Option<&str>,
) -> Result<Option<i64>> {
    let (fresh, id) = tx.fresh_id(Sequence::Events, "$2")?;
    let (now, actor) = (tx.now(), tx.actor().to_string());
    tx.execute_later(
        &format!(
            "INSERT INTO events (pid, event_id, at, kind, actor, user_id, group_id, before, after) \
             VALUES ($1, {fresh}, $3, $4, $5, $6, $7, $8, $9)"
        ),
        &[
            id.into(),
            now.into(),
            event.kind.into(),
            (&actor).into(),
            event.user_id.into(),
            event.group_id.into(),
            before.into(),
            after.into(),
        ],
        Error::from,
    )?;
    tx.count(Counter::Events, 1);
    Ok(id)
}

/// Partners whose oldest event is from before `before`.
pub fn list_partners_with_old(tx: &mut Tx<'_>, before: Millis, limit: i64) -> Result<Vec<PartnerId>> {
    // Seeks from partner to partner by the key, including deleted ones; events have no index by time.
    tx.unscoped().rows(
        "WITH RECURSIVE p (pid) AS (SELECT min(e.pid) FROM events e UNION ALL \
         SELECT (SELECT min(n.pid) FROM events n WHERE n.pid > p.pid) FROM p WHERE p.pid IS NOT NULL) \
         SELECT p.pid FROM p WHERE p.pid IS NOT NULL AND \
         (SELECT o.at FROM events o WHERE o.pid = p.pid ORDER BY o.event_id LIMIT 1) < $1 LIMIT $2",
        &[before.into(), limit.into()],
        |row| row.int(0).map(PartnerId),
    )
}

/// Deletes those of the partner's first `limit` events that are older than `before`. Returns their number.
pub fn purge(tx: &mut Tx<'_>, before: Millis, limit: i64) -> Result<usize> {
    let take = tx.dialect().take_rows();
    let gone = tx.execute(
        &format!(
            "DELETE FROM events WHERE pid = $1 AND event_id IN (SELECT f.event_id FROM \
             (SELECT e.event_id, e.at FROM events e WHERE e.pid = $1 ORDER BY e.event_id LIMIT $3{take}) f \
             WHERE f.at < $2)"
        ),
        &[before.into(), limit.into()],
    )?;
    tx.count(Counter::Events, -i64::try_from(gone).unwrap_or(0));
    Ok(gone)
}

/// A query for events.
#[derive(Debug, Clone, Default)]
pub struct EventQuery {
    /// Of any of these users; empty means all.
    pub users: Vec<UserId>,
    /// Of any of these kinds; empty means all.
    pub kinds: Vec<String>,
    /// Newest first.
    pub descending: bool,
}

/// The start of a page of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventPosition {
    /// After this many rows.
    Offset(i64),
    /// After this event.
    After(i64),
}

fn conditions(tx: &Tx<'_>, query: &EventQuery) -> (String, String, String) {
    let users: Vec<i64> = query.users.iter().map(|u| u.0).collect();
    let mut sql = String::from("e.pid = $1");
    // Both parameters are always bound, so that one text serves all four combinations of each order.
    let (user_set, kind_set) = (tx.dialect().int_set("$2"), tx.dialect().text_set("$3"));
    match query.users.as_slice() {
        [] => sql.push_str(" AND CAST($2 AS TEXT) IS NOT NULL"),
        _ => sql.push_str(&format!(" AND e.user_id IN {user_set}")),
    }
    match query.kinds.as_slice() {
        [] => sql.push_str(" AND CAST($3 AS TEXT) IS NOT NULL"),
        _ => sql.push_str(&format!(" AND e.kind IN {kind_set}")),
    }
    (sql, serde_json::json!(users).to_string(), serde_json::json!(query.kinds).to_string())
}

/// The number of events that match the query.
pub fn total(tx: &mut Tx<'_>, query: &EventQuery) -> Result<Total> {
    if query.users.is_empty() && query.kinds.is_empty() {
        return Ok(Total { count: counted(tx, Counter::Events)?, is_exact: true });
    }
    let (conditions, users, kinds) = conditions(tx, query);
    let sql = format!(
        "SELECT count(*) FROM (SELECT 1 FROM events e WHERE {conditions} LIMIT {}) hits",
        EXACT_TOTAL + 1
    );
    let count = tx.row(&sql, &[Param::Text(&users), Param::Text(&kinds)], |row| row.int(0))?.unwrap_or(0);
    Ok(Total { count: count.min(EXACT_TOTAL), is_exact: count <= EXACT_TOTAL })
}

/// A page of events, by id.
pub fn select(tx: &mut Tx<'_>, query: &EventQuery, from: EventPosition, size: i64) -> Result<Vec<Event>> {
    let (mut conditions, users, kinds) = conditions(tx, query);
    let (order, beyond) = if query.descending { ("DESC", "<") } else { ("ASC", ">") };
    let (skip, start) = match from {
        EventPosition::Offset(offset) => ("OFFSET $5", offset),
        EventPosition::After(id) => {
            conditions.push_str(&format!(" AND e.event_id {beyond} $5"));
            ("", id)
        }
    };
    let sql = format!(
        "SELECT e.event_id, e.at, e.kind, e.actor, e.user_id, e.group_id, e.before, e.after FROM events e \
         WHERE {conditions} ORDER BY e.event_id {order} LIMIT $4 {skip}"
    );
    tx.rows(&sql, &[Param::Text(&users), Param::Text(&kinds), size.into(), start.into()], read)
}

fn read(row: &dyn Row) -> Result<Event> {
    let json = |text: Option<&str>| {
        text.map(serde_json::from_str)
            .transpose()
            .map_err(|_| Error::internal("an event contains invalid JSON"))
    };
    Ok(Event {
        event_id: row.int(0)?,
        at: row.int(1)?,
        kind: row.text(2)?.to_owned(),
        actor: row.text(3)?.to_owned(),
        user_id: row.opt_int(4)?.map(UserId),
        group_id: row.opt_int(5)?.map(GroupId),
        before: json(row.opt_text(6)?)?,
        after: json(row.opt_text(7)?)?,
    })
}
