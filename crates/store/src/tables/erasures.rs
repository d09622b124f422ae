//! Erased users whose events may still contain personal values, and addresses of sessions whose retention has ended.

use crate::engine::driver::Row;
use crate::engine::tx::Tx;
use tenantry_core::clock::Millis;
use tenantry_core::error::Result;
use tenantry_core::model::{PartnerId, UserId};

/// All users of a deleted partner.
pub const EVERYBODY: UserId = UserId(0);

/// An erased user whose events are not all blanked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erasure {
    /// The user, or [`EVERYBODY`].
    pub user_id: UserId,
    /// The last blanked event.
    pub after_event: i64,
}

/// Records that the events of an erased user after `after_event` must be blanked.
pub fn insert(tx: &mut Tx<'_>, erasure: Erasure) -> Result<()> {
    tx.execute(
        "INSERT INTO erasures (pid, user_id, after_event) VALUES ($1, $2, $3) ON CONFLICT (pid, user_id) DO NOTHING",
        &[erasure.user_id.into(), erasure.after_event.into()],
    )?;
    Ok(())
}

/// Partners that have erasures.
pub fn list_partners(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<PartnerId>> {
    tx.unscoped().rows("SELECT DISTINCT e.pid FROM erasures e LIMIT $1", &[limit.into()], |row| {
        row.int(0).map(PartnerId)
    })
}

/// Takes erasures of the partner, except those that another process has taken.
pub fn take(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<Erasure>> {
    let take = tx.dialect().take_rows();
    tx.rows(
        &format!(
            "SELECT e.user_id, e.after_event FROM erasures e WHERE e.pid = $1 ORDER BY e.user_id LIMIT $2{take}"
        ),
        &[limit.into()],
        |row| Ok(Erasure { user_id: UserId(row.int(0)?), after_event: row.int(1)? }),
    )
}

/// Stores the progress of an erasure.
pub fn advance(tx: &mut Tx<'_>, erasure: Erasure) -> Result<()> {
    tx.execute(
        "UPDATE erasures SET after_event = $3 WHERE pid = $1 AND user_id = $2",
        &[erasure.user_id.into(), erasure.after_event.into()],
    )?;
    Ok(())
}

/// Deletes a completed erasure.
pub fn delete(tx: &mut Tx<'_>, user_id: UserId) -> Result<()> {
    tx.execute("DELETE FROM erasures WHERE pid = $1 AND user_id = $2", &[user_id.into()])?;
    Ok(())
}

/// The values of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The event.
    pub event_id: i64,
    /// JSON.
    pub before: Option<String>,
    /// JSON.
    pub after: Option<String>,
}

fn read(row: &dyn Row) -> Result<Shown> {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    Ok(Shown { event_id: row.int(0)?, before: owned(row.opt_text(1)?), after: owned(row.opt_text(2)?) })
}

/// The next events of an erasure, by id.
pub fn list_events(tx: &mut Tx<'_>, erasure: Erasure, limit: i64) -> Result<Vec<Shown>> {
    let whose = if erasure.user_id == EVERYBODY {
        "e.user_id IS NOT NULL AND CAST($2 AS BIGINT) = 0"
    } else {
        "e.user_id = $2"
    };
    tx.rows(
        &format!(
            "SELECT e.event_id, e.before, e.after FROM events e WHERE e.pid = $1 AND {whose} AND e.event_id > $3 \
             ORDER BY e.event_id LIMIT $4"
        ),
        &[erasure.user_id.into(), erasure.after_event.into(), limit.into()],
        read,
    )
}

/// Replaces the values of an event.
pub fn set_event(tx: &mut Tx<'_>, shown: &Shown) -> Result<()> {
    tx.execute(
        "UPDATE events SET before = $3, after = $4 WHERE pid = $1 AND event_id = $2",
        &[shown.event_id.into(), shown.before.as_ref().into(), shown.after.as_ref().into()],
    )?;
    Ok(())
}

/// An event with the address of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionAddress {
    /// The partner.
    pub pid: PartnerId,
    /// The session; empty if unknown.
    pub session_id: String,
    /// The event.
    pub event_id: i64,
    /// The latest end of the session, if it still exists.
    pub session_ends: Option<Millis>,
}

/// Takes addresses of all partners whose retention has ended, unless their sessions have been extended, and except
/// those that another process has taken.
pub fn take_addresses(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<SessionAddress>> {
    let (now, take) = (tx.now(), tx.dialect().take_rows());
    tx.unscoped().rows(
        &format!(
            "SELECT due.pid, due.session_id, due.event_id, \
             (SELECT s.expires_at FROM sessions s WHERE s.pid = due.pid AND s.session_id = due.session_id) FROM \
             (SELECT a.pid, a.session_id, a.event_id FROM session_addresses a WHERE a.erase_at <= $1 \
              ORDER BY a.erase_at LIMIT $2{take}) due"
        ),
        &[now.into(), limit.into()],
        |row| {
            Ok(SessionAddress {
                pid: PartnerId(row.int(0)?),
                session_id: row.text(1)?.to_owned(),
                event_id: row.int(2)?,
                session_ends: row.opt_int(3)?,
            })
        },
    )
}

/// The event of an address, unless it was deleted.
pub fn find_event(tx: &mut Tx<'_>, address: &SessionAddress) -> Result<Option<Shown>> {
    let found = tx.unscoped().rows(
        "SELECT e.event_id, e.before, e.after FROM events e WHERE e.pid = $1 AND e.event_id = $2",
        &[address.pid.into(), address.event_id.into()],
        read,
    )?;
    Ok(found.into_iter().next())
}

/// Replaces the `after` values of the event of an address.
pub fn set_after(tx: &mut Tx<'_>, address: &SessionAddress, after: &str) -> Result<()> {
    tx.unscoped().execute(
        "UPDATE events SET after = $3 WHERE pid = $1 AND event_id = $2",
        &[address.pid.into(), address.event_id.into(), after.into()],
    )?;
    Ok(())
}

/// Postpones the blanking of an address, since its session continues.
pub fn postpone_address(tx: &mut Tx<'_>, address: &SessionAddress, erase_at: Millis) -> Result<()> {
    tx.unscoped().execute(
        "UPDATE session_addresses SET erase_at = $4 WHERE pid = $1 AND session_id = $2 AND event_id = $3",
        &[address.pid.into(), (&address.session_id).into(), address.event_id.into(), erase_at.into()],
    )?;
    Ok(())
}

/// Deletes the entry of a blanked address.
pub fn delete_address(tx: &mut Tx<'_>, address: &SessionAddress) -> Result<()> {
    tx.unscoped().execute(
        "DELETE FROM session_addresses WHERE pid = $1 AND session_id = $2 AND event_id = $3",
        &[address.pid.into(), (&address.session_id).into(), address.event_id.into()],
    )?;
    Ok(())
}

/// Deletes the entries of a deleted partner: all its events are blanked.
pub fn delete_addresses(tx: &mut Tx<'_>) -> Result<()> {
    tx.execute("DELETE FROM session_addresses WHERE pid = $1", &[])?;
    Ok(())
}
