//! Cache invalidation between processes over one PostgreSQL.
//!
//! A unit that changes an existing user, session or partner notifies a channel in its own transaction, so the others
//! are notified when it is committed and not before. A process uses its cache only under a lease: it sends itself a
//! heartbeat through the same server, and a heartbeat that comes back proves that everything committed before it was
//! sent has been received, since notifications arrive in the order of commits. When heartbeats stop coming back, the
//! cache is off within [`LEASE`] of the last one; when the channel is restored, everything is invalidated first.
//!
//! The same connection hears of mail that commands put into the outbox.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::engine::driver::{Connection, DbError, Param};
use crate::engine::postgres::{Address, Postgres, Role};
use crate::engine::shared::Shared;
use crate::engine::tx::CacheKey;
use tenantry_core::clock::{Clock, Millis};
use tenantry_core::error::{Error, Result};
use tenantry_core::model::{PartnerId, UserId};

/// How long the cache may be used after a heartbeat that came back was sent.
const LEASE: Duration = Duration::from_millis(900);

/// Between two heartbeats.
const BEAT: Duration = Duration::from_millis(200);

/// A heartbeat that has not come back after this time is lost, and the connection with it.
const LATE: Duration = Duration::from_secs(3);

/// Between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(250);

/// The channel of invalidations.
const STALE: &str = "tenantry_stale";

/// The channel of mail that a process has put into the outbox and does not deliver itself.
const MAIL: &str = "tenantry_mail";

/// Is no key, so it invalidates everything.
const ALL: &str = "*";

/// More keys than this are sent as whole partners.
const KEYS: usize = 100;

/// PostgreSQL's maximum payload is 7,999 bytes.
const PAYLOAD: usize = 7_900;

/// From this difference on between this machine's clock and the database's, a warning is logged.
const SKEW: Millis = 1_000;

/// Notifies the other processes of invalidations, if this transaction is committed.
pub(crate) fn notify_invalidated(conn: &mut dyn Connection, invalidated: &[CacheKey]) -> Result<(), DbError> {
    if invalidated.is_empty() {
        return Ok(());
    }
    let payload = encode(invalidated);
    conn.execute_later("SELECT pg_notify($1, $2)", None, &[STALE.into(), Param::Text(&payload)], Error::from)
}

/// Notifies the servers of mail, if this transaction is committed. Only commands do: notifying transactions commit one after
/// the other, and a server delivers its own mail.
pub(crate) fn notify_of_mail(conn: &mut dyn Connection) -> Result<(), DbError> {
    conn.execute_later("SELECT pg_notify($1, '')", None, &[MAIL.into()], Error::from)
}

fn encode(invalidated: &[CacheKey]) -> String {
    if invalidated.contains(&CacheKey::All) {
        return String::from(ALL);
    }
    let mut keys: Vec<String> = invalidated.iter().map(key).collect();
    keys.sort_unstable();
    keys.dedup();
    let length = |keys: &[String]| keys.iter().map(|key| key.len() + 1).sum::<usize>();
    if keys.len() > KEYS || length(&keys) > PAYLOAD {
        keys = invalidated.iter().map(|what| format!("p{}", partner(what))).collect();
        keys.sort_unstable();
        keys.dedup();
    }
    if length(&keys) > PAYLOAD { String::from(ALL) } else { keys.join(" ") }
}

fn key(what: &CacheKey) -> String {
    match what {
        CacheKey::User(pid, user_id) => format!("u{pid}.{user_id}"),
        CacheKey::Session(pid, session_id) => format!("s{pid}.{session_id}"),
        CacheKey::Partner(pid) => format!("p{pid}"),
        CacheKey::All => String::from(ALL),
    }
}

fn partner(what: &CacheKey) -> PartnerId {
    match what {
        CacheKey::User(pid, _) | CacheKey::Session(pid, _) | CacheKey::Partner(pid) => *pid,
        CacheKey::All => PartnerId(0),
    }
}

/// `None` for a malformed payload: then everything must be invalidated.
fn decode(payload: &str) -> Option<Vec<CacheKey>> {
    payload
        .split(' ')
        .map(|key| {
            let (kind, rest) = key.split_at_checked(1)?;
            match kind {
                "p" => Some(CacheKey::Partner(PartnerId(rest.parse().ok()?))),
                "u" => {
                    let (pid, id) = rest.split_once('.')?;
                    Some(CacheKey::User(PartnerId(pid.parse().ok()?), UserId(id.parse().ok()?)))
                }
                "s" => {
                    let (pid, id) = rest.split_once('.')?;
                    Some(CacheKey::Session(PartnerId(pid.parse().ok()?), id.to_owned()))
                }
                _ => None,
            }
        })
        .collect()
}

/// Listens until it is dropped.
pub(crate) struct Listener {
    stop: Arc<AtomicBool>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

impl Listener {
    /// Starts the listening thread. It holds nothing that keeps the store open.
    pub(crate) fn start(address: Arc<Address>, shared: &Arc<Shared>) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (ended, supervisor) = (Arc::clone(&stop), shared.supervisor.clone());
        let (shared, mut is_faulty) = (Arc::downgrade(shared), false);
        #[cfg(test)]
        let tests = supervisor.clone();
        supervisor
            .thread("listen", move || {
                #[cfg(test)]
                tests.trip("listen");
                while !ended.load(Ordering::SeqCst) {
                    match listen(&address, &shared, &ended, &mut is_faulty) {
                        Ok(()) => return,
                        Err(e) => {
                            // Once, not four times a second during an outage.
                            if !std::mem::replace(&mut is_faulty, true) {
                                tracing::warn!(?e, "changes of other processes cannot be heard; nothing is cached until they can");
                            }
                        }
                    }
                    std::thread::sleep(PAUSE);
                }
            })
            .map_err(|e| Error::internal(format!("cannot start the listen thread: {e}")))?;
        Ok(Self { stop })
    }
}

fn listen(
    address: &Address,
    shared: &Weak<Shared>,
    stop: &AtomicBool,
    is_faulty: &mut bool,
) -> Result<(), DbError> {
    let mut conn = Postgres::connect(address, Role::Listen(LATE))?;
    let mut heartbeats = String::new();
    conn.query("SELECT 'tenantry_beat_' || pg_backend_pid()", None, &[], &mut |row| {
        row.text(0)?.clone_into(&mut heartbeats);
        Ok(())
    })?;
    conn.batch(&format!("LISTEN {STALE}; LISTEN {MAIL}; LISTEN {heartbeats}"))?;
    let origin = Instant::now();
    let mut heard_at = origin;
    let Some(now) = shared.upgrade() else { return Ok(()) };
    // Changes while not listening are unknown.
    now.cache.invalidate_all();
    now.mail.notify_one();
    drop(now);
    while !stop.load(Ordering::SeqCst) {
        let Some(shared) = shared.upgrade() else { return Ok(()) };
        heartbeat(&mut conn, &shared, &heartbeats, origin)?;
        let next = Instant::now() + BEAT;
        loop {
            let left = next.saturating_duration_since(Instant::now());
            for (channel, payload) in conn.listen(left)? {
                if channel == MAIL {
                    shared.mail.notify_one();
                } else if channel != heartbeats {
                    hear(&shared, &payload);
                } else if let Ok(sent) = payload.parse() {
                    heard_at = Instant::now();
                    shared.cache.renew(origin + Duration::from_millis(sent), LEASE);
                    if std::mem::take(is_faulty) {
                        tracing::info!("changes of other processes are heard again");
                    }
                }
            }
            if left.is_zero() {
                break;
            }
        }
        if heard_at.elapsed() > LATE {
            return Err(DbError::Lost(String::from("beats do not come back")));
        }
    }
    Ok(())
}

/// Sends a heartbeat that contains its time, and reads the database's clock with it.
fn heartbeat(conn: &mut Postgres, shared: &Shared, channel: &str, origin: Instant) -> Result<(), DbError> {
    let sent = origin.elapsed().as_millis().to_string();
    let before = shared.clock.machine();
    let mut theirs = 0;
    conn.query(
        "SELECT pg_notify($1, $2), CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
        None,
        &[channel.into(), Param::Text(&sent)],
        &mut |row| {
            theirs = row.int(1)?;
            Ok(())
        },
    )?;
    follow(&shared.clock, before, theirs);
    Ok(())
}

/// Sets `clock` to the database's, which all processes over it use.
pub(crate) fn follow_database(conn: &mut Postgres, clock: &Clock) -> Result<(), DbError> {
    let before = clock.machine();
    let mut theirs = 0;
    conn.query(
        "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
        None,
        &[],
        &mut |row| {
            theirs = row.int(0)?;
            Ok(())
        },
    )?;
    follow(clock, before, theirs);
    Ok(())
}

fn follow(clock: &Clock, before: Millis, theirs: Millis) {
    let after = clock.machine();
    if clock.follow(before, theirs, after).abs() >= SKEW {
        tracing::warn!(
            ahead_by_ms = before.midpoint(after) - theirs,
            "this machine's clock differs from the database's, which counts: set it by NTP"
        );
    }
}

fn hear(shared: &Shared, payload: &str) {
    match decode(payload) {
        Some(invalidated) => shared.cache.invalidate(&invalidated),
        None => shared.cache.invalidate_all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notifications_arrive_as_sent() {
        let invalidated = vec![
            CacheKey::Partner(PartnerId(7)),
            CacheKey::Session(PartnerId(1), String::from("a-b_c")),
            CacheKey::User(PartnerId(1), UserId(5)),
        ];
        assert_eq!(decode(&encode(&invalidated)).unwrap(), invalidated);
    }

    #[test]
    fn many_keys_are_sent_as_partners_and_very_many_partners_as_everything() {
        let users: Vec<_> = (0..101).map(|n| CacheKey::User(PartnerId(1 + n % 2), UserId(n))).collect();
        assert_eq!(encode(&users), "p1 p2");
        let partners: Vec<_> = (0..5_000).map(|n| CacheKey::Partner(PartnerId(n))).collect();
        assert_eq!(encode(&partners), "*");
        assert!(decode("*").is_none(), "everything is forgotten");
        assert!(decode("x1").is_none() && decode("").is_none() && decode("u1").is_none());
    }
}
