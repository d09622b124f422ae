//! Sessions of browsers. Their cookies are stored as hashes only.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::access::{BrowserFacts, LastUse, SessionState, SignInFacts, TokenFacts};
use crate::engine::cache::TokenHash;
use crate::engine::driver::Param;
use crate::engine::tx::{CacheKey, Tx};
use crate::tables::policies;
use crate::tables::sessions::{ADDRESS_KEPT, note_end};
use tenantry_core::clock::Millis;
use tenantry_core::error::{Error, Result};
use tenantry_core::model::{PUBLIC_CLIENT, PartnerId, UserId};
use tenantry_core::scopes::TokenScopes;

/// The bit of a session's scopes that says that its tokens outlive the browser session: `offline_access`.
const OFFLINE_ACCESS: i64 = 256;

fn stored(hash: &TokenHash) -> String {
    URL_SAFE_NO_PAD.encode(hash)
}

/// A browser session to insert, or to update after another sign-in.
#[derive(Debug)]
pub struct NewBrowserSession<'a> {
    /// Random.
    pub session_id: &'a str,
    /// SHA-256 of its cookie.
    pub cookie_hash: &'a TokenHash,
    /// Who signed in.
    pub user_id: UserId,
    /// Signed in with a temporary or expired password (B22).
    pub is_restricted: bool,
    /// Whether the person asked to be kept signed in.
    pub is_kept: bool,
    /// The authentication context class.
    pub acr: i64,
    /// The authentication methods, as bits.
    pub amr: i64,
    /// When it ends, unless it is used again.
    pub expires_at: Millis,
    /// When it ends, even if it is used.
    pub ends_at: Millis,
    /// The browser's address.
    pub address: &'a str,
    /// The browser's user agent.
    pub user_agent: Option<&'a str>,
}

impl NewBrowserSession<'_> {
    /// The parameters of both statements, from `$2`; `$6` is now. A client compares it with the time of its request, so it is
    /// not moved to that of an earlier login, which may be ahead if the clock was set back.
    fn write(&self, tx: &mut Tx<'_>, sql: &str) -> Result<()> {
        let (now, hash) = (tx.time_of_day(), stored(self.cookie_hash));
        let params = [
            self.session_id.into(),
            (&hash).into(),
            self.user_id.into(),
            self.is_restricted.into(),
            now.into(),
            self.is_kept.into(),
            self.acr.into(),
            self.amr.into(),
            self.expires_at.into(),
            self.ends_at.into(),
            self.address.into(),
            self.user_agent.into(),
        ];
        tx.execute_later(sql, &params, Error::from)
    }
}

/// Stores a browser session.
pub fn insert(tx: &mut Tx<'_>, new: &NewBrowserSession<'_>) -> Result<()> {
    new.write(
        tx,
        "INSERT INTO browser_sessions (pid, session_id, cookie_hash, user_id, restricted, created_at, auth_time, \
         last_seen_at, kept, acr, amr, expires_at, ends_at, address, user_agent) \
         VALUES ($1, $2, $3, $4, $5, $6, $6, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
}

/// Stores that the user of a browser session has signed in again, with a new cookie.
pub fn replace(tx: &mut Tx<'_>, new: &NewBrowserSession<'_>) -> Result<()> {
    new.write(
        tx,
        "UPDATE browser_sessions SET cookie_hash = $3, restricted = $5, auth_time = $6, last_seen_at = $6, kept = $7, \
         acr = $8, amr = $9, expires_at = $10, ends_at = $11, address = $12, user_agent = $13 \
         WHERE pid = $1 AND session_id = $2 AND user_id = $4",
    )?;
    tx.invalidate(CacheKey::Session(tx.pid(), new.session_id.to_owned()));
    Ok(())
}

/// The facts of the browser session with this cookie.
pub(crate) fn find(tx: &mut Tx<'_>, hash: &TokenHash) -> Result<Option<BrowserFacts>> {
    let (pid, floor) = (tx.pid(), tx.policy().factor_requirement);
    tx.row(
        "SELECT b.session_id, b.user_id, u.is_admin, u.status, p.suspended, b.restricted, b.auth_time, b.acr, b.amr, \
         b.kept, b.last_seen_at, b.expires_at, b.ends_at, b.created_at, p.admins_since, p.everybody_since, \
         u.created_at FROM browser_sessions b \
         JOIN partners p ON p.pid = b.pid JOIN users u ON u.pid = b.pid AND u.user_id = b.user_id \
         WHERE b.pid = $1 AND b.cookie_hash = $2",
        &[(&stored(hash)).into()],
        |row| {
            let ends_at = row.int(12)?;
            let caller = TokenFacts {
                pid,
                session_id: row.text(0)?.to_owned(),
                user_id: Some(UserId(row.int(1)?)),
                client_id: PUBLIC_CLIENT.to_owned(),
                is_admin: row.int(2)? != 0,
                is_active: row.int(3)? == 0,
                is_suspended: row.int(4)? != 0,
                is_restricted: row.int(5)? != 0,
                scopes: TokenScopes::ALL_API,
                issued_at: row.int(13)?,
                expires_at: ends_at,
                noted: LastUse::since(row.int(10)?),
                is_browser: true,
                signed_in: SignInFacts { auth_time: row.int(6)?, acr: row.int(7)?, amr: row.int(8)? },
                factor_due: policies::requirement(row.int(14)?, row.int(15)?).due_by_either(
                    &floor,
                    row.int(2)? != 0,
                    row.int(16)?,
                ),
            };
            Ok(BrowserFacts {
                caller: Arc::new(caller),
                is_kept: row.int(9)? != 0,
                ends_at,
                expires_at: AtomicI64::new(row.int(11)?),
            })
        },
    )
}

/// The user of the browser session with this cookie, and its id.
pub fn find_owner(tx: &mut Tx<'_>, hash: &TokenHash) -> Result<Option<(String, UserId)>> {
    tx.row(
        "SELECT b.session_id, b.user_id FROM browser_sessions b WHERE b.pid = $1 AND b.cookie_hash = $2",
        &[(&stored(hash)).into()],
        |row| Ok((row.text(0)?.to_owned(), UserId(row.int(1)?))),
    )
}

/// The current state of a browser session, if it still exists.
pub fn find_state(tx: &mut Tx<'_>, session_id: &str) -> Result<Option<SessionState>> {
    tx.session_state(session_id, |tx| {
        tx.row(
            "SELECT u.is_admin, u.status, p.suspended FROM browser_sessions b JOIN partners p ON p.pid = b.pid \
             JOIN users u ON u.pid = b.pid AND u.user_id = b.user_id WHERE b.pid = $1 AND b.session_id = $2",
            &[session_id.into()],
            |row| {
                Ok(SessionState {
                    is_admin: row.int(0)? != 0,
                    is_active: row.int(1)? == 0,
                    is_suspended: row.int(2)? != 0,
                })
            },
        )
    })
}

/// Replaces the cookie of a browser session.
pub fn set_cookie(tx: &mut Tx<'_>, session_id: &str, cookie_hash: &TokenHash) -> Result<()> {
    let hash = stored(cookie_hash);
    tx.execute(
        "UPDATE browser_sessions SET cookie_hash = $3 WHERE pid = $1 AND session_id = $2",
        &[session_id.into(), (&hash).into()],
    )?;
    tx.invalidate(CacheKey::Session(tx.pid(), session_id.to_owned()));
    Ok(())
}

/// Stores how the user of a browser session has signed in by now.
pub fn set_authentication(tx: &mut Tx<'_>, session_id: &str, signed_in: SignInFacts) -> Result<()> {
    tx.execute(
        "UPDATE browser_sessions SET auth_time = $3, acr = $4, amr = $5 WHERE pid = $1 AND session_id = $2",
        &[session_id.into(), signed_in.auth_time.into(), signed_in.acr.into(), signed_in.amr.into()],
    )?;
    tx.invalidate(CacheKey::Session(tx.pid(), session_id.to_owned()));
    Ok(())
}

/// Makes a restricted browser session an ordinary one (B21) that ends at these times.
pub fn lift_restriction(
    tx: &mut Tx<'_>,
    session_id: &str,
    expires_at: impl Fn(bool) -> (Millis, Millis),
) -> Result<()> {
    let kept = tx.row(
        "SELECT b.kept FROM browser_sessions b WHERE b.pid = $1 AND b.session_id = $2 AND b.restricted = 1",
        &[session_id.into()],
        |row| row.int(0),
    )?;
    let Some(kept) = kept else { return Ok(()) };
    let (expires_at, ends_at) = expires_at(kept != 0);
    tx.execute(
        "UPDATE browser_sessions SET restricted = 0, expires_at = $3, ends_at = $4 \
         WHERE pid = $1 AND session_id = $2",
        &[session_id.into(), expires_at.into(), ends_at.into()],
    )?;
    tx.invalidate(CacheKey::Session(tx.pid(), session_id.to_owned()));
    Ok(())
}

/// Whether a browser session is restricted (B22).
pub fn is_restricted(tx: &mut Tx<'_>, session_id: &str) -> Result<bool> {
    let restricted = tx.row(
        "SELECT b.restricted FROM browser_sessions b WHERE b.pid = $1 AND b.session_id = $2",
        &[session_id.into()],
        |row| row.int(0),
    )?;
    Ok(restricted == Some(1))
}

/// As `note_end` of sessions, of browser sessions `b`.
fn note_browser_end(tx: &mut Tx<'_>, which: &str, params: &[Param<'_>]) -> Result<()> {
    let mut all = vec![Param::Int(tx.now() + ADDRESS_KEPT)];
    all.extend_from_slice(params);
    tx.execute_later(
        &format!(
            "UPDATE session_addresses SET erase_at = $2 WHERE pid = $1 AND session_id IN \
             (SELECT b.session_id FROM browser_sessions b WHERE b.pid = $1 AND {which})"
        ),
        &all,
        Error::from,
    )
}

/// Records that all browser sessions of a user end now: called before the user is deleted.
pub(super) fn note_end_of_all(tx: &mut Tx<'_>, user_id: UserId) -> Result<()> {
    note_browser_end(tx, "b.user_id = $3", &[user_id.into()])
}

/// Deletes all browser sessions of a user except the given one, whose name other sessions may have. The caller forgets the
/// user.
pub(super) fn delete_all_of(tx: &mut Tx<'_>, user_id: UserId, but: Option<&str>) -> Result<usize> {
    let but_that = [user_id.into(), but.unwrap_or("").into()];
    note_browser_end(tx, "b.user_id = $3 AND b.session_id <> $4", &but_that)?;
    let gone = tx.execute(
        "DELETE FROM browser_sessions WHERE pid = $1 AND user_id = $2 AND session_id <> $3",
        &but_that,
    )?;
    if but.is_some() {
        // The session that stays may have been requested in one that does not.
        tx.execute(
            "UPDATE sessions SET browser_session = NULL WHERE pid = $1 AND user_id = $2 AND session_id = $3",
            &but_that,
        )?;
    }
    Ok(gone)
}

/// Ends a browser session, and the sessions whose tokens were requested in it, except those with the scope
/// `offline_access`. Returns whether it existed.
pub fn end(tx: &mut Tx<'_>, session_id: &str) -> Result<bool> {
    note_browser_end(tx, "b.session_id = $3", &[session_id.into()])?;
    let its_own = format!("browser_session = $2 AND (scopes & {OFFLINE_ACCESS}) = 0");
    let noted = format!("s.browser_session = $3 AND (s.scopes & {OFFLINE_ACCESS}) = 0");
    note_end(tx, &noted, &[session_id.into()])?;
    let ended = tx.rows(
        &format!("DELETE FROM sessions WHERE pid = $1 AND {its_own} RETURNING session_id"),
        &[session_id.into()],
        |row| Ok(row.text(0)?.to_owned()),
    )?;
    for session in ended {
        tx.invalidate(CacheKey::Session(tx.pid(), session));
    }
    tx.execute(
        "UPDATE sessions SET browser_session = NULL WHERE pid = $1 AND browser_session = $2",
        &[session_id.into()],
    )?;
    let gone =
        tx.execute("DELETE FROM browser_sessions WHERE pid = $1 AND session_id = $2", &[session_id.into()])?;
    tx.invalidate(CacheKey::Session(tx.pid(), session_id.to_owned()));
    Ok(gone > 0)
}

/// Whether this browser session is one of the user's.
pub fn is_of(tx: &mut Tx<'_>, user_id: UserId, session_id: &str) -> Result<bool> {
    let found = tx.row(
        "SELECT 1 FROM browser_sessions b WHERE b.pid = $1 AND b.session_id = $3 AND b.user_id = $2",
        &[user_id.into(), session_id.into()],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

/// Stores when a browser session was last seen and when it now ends, unless later times are stored.
pub fn set_seen(
    tx: &mut Tx<'_>,
    pid: PartnerId,
    session_id: &str,
    at: Millis,
    expires_at: Millis,
) -> Result<()> {
    tx.unscoped().execute(
        "UPDATE browser_sessions SET last_seen_at = CASE WHEN last_seen_at < $3 THEN $3 ELSE last_seen_at END, \
         expires_at = CASE WHEN expires_at < $4 THEN $4 ELSE expires_at END WHERE pid = $1 AND session_id = $2",
        &[pid.into(), session_id.into(), at.into(), expires_at.into()],
    )?;
    Ok(())
}

/// Deletes browser sessions that ended before `before`, of all partners, at most `limit`. Returns their number.
pub fn purge(tx: &mut Tx<'_>, before: Millis, limit: i64) -> Result<usize> {
    let take = tx.dialect().take_rows();
    let ended = tx.unscoped().rows(
        &format!(
            "DELETE FROM browser_sessions WHERE (pid, session_id) IN (SELECT b.pid, b.session_id \
             FROM browser_sessions b WHERE b.expires_at < $1 ORDER BY b.expires_at LIMIT $2{take}) \
             RETURNING pid, session_id, expires_at"
        ),
        &[before.into(), limit.into()],
        |row| Ok((PartnerId(row.int(0)?), row.text(1)?.to_owned(), row.int(2)?)),
    )?;
    for (pid, session_id, ended_at) in &ended {
        tx.unscoped().execute(
            "UPDATE session_addresses SET erase_at = $3 WHERE pid = $1 AND session_id = $2",
            &[(*pid).into(), session_id.into(), (ended_at + ADDRESS_KEPT).into()],
        )?;
    }
    Ok(ended.len())
}
