//! Sessions and their tokens, which are stored as hashes only.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::access::{LastUse, SessionState, SignInFacts, TokenFacts};
use crate::engine::cache::TokenHash;
use crate::engine::driver::Param;
use crate::engine::tx::{CacheKey, Tx};
use crate::tables::authorization_codes::{self, Authentication};
use crate::tables::{browser_sessions, policies};
use tenantry_core::clock::{DAY, Millis};
use tenantry_core::error::{Error, Result};
use tenantry_core::model::{PUBLIC_CLIENT, PartnerId, Session, SessionKind, UserId};
use tenantry_core::scopes::TokenScopes;

fn stored(hash: &TokenHash) -> String {
    URL_SAFE_NO_PAD.encode(hash)
}

/// A session to store.
#[derive(Debug)]
pub struct NewSession<'a> {
    /// Random.
    pub session_id: &'a str,
    /// `None` for a technical account.
    pub user_id: Option<UserId>,
    /// The client it was opened through.
    pub client_id: &'a str,
    /// Opened with a temporary or expired password (B22).
    pub is_restricted: bool,
    /// What its tokens may be used for.
    pub scopes: TokenScopes,
    /// The latest expiry of its tokens.
    pub expires_at: Millis,
    /// The client's address.
    pub address: Option<&'a str>,
    /// The client's user agent.
    pub user_agent: Option<&'a str>,
    /// The browser session in which it was requested.
    pub browser_session: Option<&'a str>,
    /// How the user signed in, if that was on the pages.
    pub authentication: Authentication,
}

/// Stores a session.
pub fn insert(tx: &mut Tx<'_>, new: &NewSession<'_>) -> Result<()> {
    let (now, of) = (tx.now(), &new.authentication);
    tx.execute_later(
        "INSERT INTO sessions (pid, session_id, user_id, client_id, restricted, created_at, expires_at, address, \
         user_agent, last_used_at, scopes, browser_session, auth_time, acr, amr, id_token_claims, userinfo_claims) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $6, $10, $11, $12, $13, $14, $15, $16)",
        &[
            new.session_id.into(),
            new.user_id.into(),
            new.client_id.into(),
            new.is_restricted.into(),
            now.into(),
            new.expires_at.into(),
            new.address.into(),
            new.user_agent.into(),
            new.scopes.to_bits().into(),
            new.browser_session.into(),
            of.auth_time.into(),
            of.acr.into(),
            of.amr.into(),
            of.id_token_claims.into(),
            of.userinfo_claims.into(),
        ],
        Error::from,
    )
}

/// Stores an access token of a session.
pub fn insert_access_token(
    tx: &mut Tx<'_>,
    hash: &TokenHash,
    session_id: &str,
    scopes: TokenScopes,
    expires_at: Millis,
) -> Result<()> {
    let now = tx.now();
    tx.execute_later(
        "INSERT INTO access_tokens (pid, token_hash, session_id, scopes, issued_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6)",
        &[(&stored(hash)).into(), session_id.into(), scopes.to_bits().into(), now.into(), expires_at.into()],
        Error::from,
    )
}

/// Stores a refresh token of a session.
pub fn insert_refresh_token(
    tx: &mut Tx<'_>,
    hash: &TokenHash,
    session_id: &str,
    expires_at: Millis,
) -> Result<()> {
    let now = tx.now();
    tx.execute_later(
        "INSERT INTO refresh_tokens (pid, token_hash, session_id, issued_at, expires_at) VALUES ($1, $2, $3, $4, $5)",
        &[(&stored(hash)).into(), session_id.into(), now.into(), expires_at.into()],
        Error::from,
    )
}

/// Joins the owner of a session `s`.
const WHOSE: &str = "JOIN partners p ON p.pid = s.pid \
     LEFT JOIN users u ON u.pid = s.pid AND u.user_id = s.user_id \
     LEFT JOIN clients c ON c.pid = s.pid AND c.client_id = s.client_id";

/// Whether user and client are still valid; `$3` is the public client. A client's sessions are deleted with it, but a
/// concurrent login elsewhere may have opened one more, and those of a product client are deleted later. Product clients
/// come last: the databases look for one only if the client is none of the others.
const IS_ACTIVE: &str = "CASE WHEN s.user_id IS NULL THEN c.client_id IS NOT NULL \
     ELSE coalesce(u.status, 1) = 0 AND (s.client_id = $3 OR c.client_id IS NOT NULL \
     OR EXISTS (SELECT 1 FROM product_clients q WHERE q.client_id = s.client_id AND q.revoked_at = 0 \
     AND (q.all_partners = 1 OR EXISTS (SELECT 1 FROM product_client_partners a \
     WHERE a.pid = s.pid AND a.client_id = q.client_id)))) END";

/// The owner of an access token: one statement, on the path of every request whose caller is not cached.
pub(crate) fn find_access_token(tx: &mut Tx<'_>, hash: &TokenHash) -> Result<Option<TokenFacts>> {
    let (pid, floor) = (tx.pid(), tx.policy().factor_requirement);
    tx.row(
        &format!(
            "SELECT s.session_id, s.user_id, s.client_id, coalesce(u.is_admin, c.is_admin, 0), {IS_ACTIVE}, \
             p.suspended, s.restricted, t.issued_at, t.expires_at, s.scopes & t.scopes, s.auth_time, s.acr, s.amr, \
             p.admins_since, p.everybody_since, coalesce(u.created_at, 0) \
             FROM access_tokens t JOIN sessions s ON s.pid = t.pid AND s.session_id = t.session_id {WHOSE} \
             WHERE t.pid = $1 AND t.token_hash = $2"
        ),
        &[(&stored(hash)).into(), PUBLIC_CLIENT.into()],
        |row| {
            Ok(TokenFacts {
                pid,
                session_id: row.text(0)?.to_owned(),
                user_id: row.opt_int(1)?.map(UserId),
                client_id: row.text(2)?.to_owned(),
                is_admin: row.int(3)? != 0,
                is_active: row.int(4)? != 0,
                is_suspended: row.int(5)? != 0,
                is_restricted: row.int(6)? != 0,
                // Both, since a server of an earlier version stores all scopes with a token of any session.
                scopes: TokenScopes::from_bits(row.int(9)?),
                issued_at: row.int(7)?,
                expires_at: row.int(8)?,
                noted: LastUse::since(row.int(7)?),
                is_browser: false,
                signed_in: SignInFacts { auth_time: row.int(10)?, acr: row.int(11)?, amr: row.int(12)? },
                factor_due: policies::requirement(row.int(13)?, row.int(14)?).due_by_either(
                    &floor,
                    row.int(3)? != 0,
                    row.int(15)?,
                ),
            })
        },
    )
}

/// A stored refresh token with its session.
#[derive(Debug, Clone)]
pub struct RefreshToken {
    /// The session it belongs to.
    pub session_id: String,
    /// The user it belongs to.
    pub user_id: Option<UserId>,
    /// The client that it was issued to (B28).
    pub client_id: String,
    /// What was granted to its session.
    pub scopes: TokenScopes,
    /// When it was issued.
    pub issued_at: Millis,
    /// When it expires.
    pub expires_at: Millis,
    /// When it was used.
    pub used_at: Option<Millis>,
    /// The token that it was exchanged for, sealed with itself; for a while after its use.
    pub successor: Option<String>,
    /// The browser session in which its session was requested.
    pub browser_session: Option<String>,
    /// How the user signed in.
    pub authentication: Authentication,
}

/// A refresh token by its hash.
pub fn find_refresh_token(tx: &mut Tx<'_>, hash: &TokenHash) -> Result<Option<RefreshToken>> {
    tx.row(
        "SELECT s.session_id, s.user_id, s.client_id, t.issued_at, t.expires_at, t.used_at, s.scopes, t.successor, \
         s.browser_session, s.auth_time, s.acr, s.amr, s.id_token_claims, s.userinfo_claims \
         FROM refresh_tokens t JOIN sessions s ON s.pid = t.pid AND s.session_id = t.session_id \
         WHERE t.pid = $1 AND t.token_hash = $2",
        &[(&stored(hash)).into()],
        |row| {
            Ok(RefreshToken {
                session_id: row.text(0)?.to_owned(),
                user_id: row.opt_int(1)?.map(UserId),
                client_id: row.text(2)?.to_owned(),
                scopes: TokenScopes::from_bits(row.int(6)?),
                issued_at: row.int(3)?,
                expires_at: row.int(4)?,
                used_at: Some(row.int(5)?).filter(|&at| at != 0),
                successor: row.opt_text(7)?.map(str::to_owned),
                browser_session: row.opt_text(8)?.map(str::to_owned),
                authentication: Authentication {
                    auth_time: row.int(9)?,
                    acr: row.int(10)?,
                    amr: row.int(11)?,
                    id_token_claims: row.int(12)?,
                    userinfo_claims: row.int(13)?,
                },
            })
        },
    )
}

/// The single claims that the client of a session has requested for the userinfo endpoint, as bits.
pub fn userinfo_claims(tx: &mut Tx<'_>, session_id: &str) -> Result<i64> {
    let claims = tx.row(
        "SELECT s.userinfo_claims FROM sessions s WHERE s.pid = $1 AND s.session_id = $2",
        &[session_id.into()],
        |row| row.int(0),
    )?;
    Ok(claims.unwrap_or(0))
}

/// Marks a refresh token as used, with the sealed token that was issued for it. The time is not shown: it only measures how
/// long the token may be presented again.
pub fn set_refresh_token_used(tx: &mut Tx<'_>, hash: &TokenHash, successor: Option<&str>) -> Result<()> {
    let now = tx.steady();
    tx.execute(
        "UPDATE refresh_tokens SET used_at = $3, successor = $4 WHERE pid = $1 AND token_hash = $2",
        &[(&stored(hash)).into(), now.into(), successor.into()],
    )?;
    Ok(())
}

/// Records the use of a session that got new tokens, and that it lasts until `ends_at` at least.
pub fn extend(tx: &mut Tx<'_>, session_id: &str, ends_at: Millis) -> Result<()> {
    let now = tx.now();
    tx.execute(
        "UPDATE sessions SET last_used_at = CASE WHEN last_used_at > $3 THEN last_used_at ELSE $3 END, \
          expires_at = CASE WHEN expires_at < $4 THEN $4 ELSE expires_at END WHERE pid = $1 AND session_id = $2",
        &[session_id.into(), now.into(), ends_at.into()],
    )?;
    Ok(())
}

/// Removes the successors of refresh tokens that were used before `before`, of all partners, at most `limit`. Returns their
/// number.
pub fn forget_successors(tx: &mut Tx<'_>, before: Millis, limit: i64) -> Result<usize> {
    let take = tx.dialect().take_rows();
    // Joined, since SQLite reads all tokens of a partner to find pairs that are in a list.
    let sql = format!(
        "UPDATE refresh_tokens SET successor = NULL FROM (SELECT t.pid AS due_pid, t.token_hash AS due_hash \
         FROM refresh_tokens t WHERE t.successor IS NOT NULL AND t.used_at < $1 ORDER BY t.used_at LIMIT $2{take}) due \
         WHERE pid = due_pid AND token_hash = due_hash"
    );
    Ok(tx.unscoped().execute(&sql, &[before.into(), limit.into()])?)
}

/// The current state of a session, if it still exists; like `find_access_token`, by session.
pub fn find_state(tx: &mut Tx<'_>, session_id: &str) -> Result<Option<SessionState>> {
    tx.session_state(session_id, |tx| query_state(tx, session_id))
}

fn query_state(tx: &mut Tx<'_>, session_id: &str) -> Result<Option<SessionState>> {
    tx.row(
        &format!(
            "SELECT coalesce(u.is_admin, c.is_admin, 0), {IS_ACTIVE}, p.suspended FROM sessions s {WHOSE} \
             WHERE s.pid = $1 AND s.session_id = $2"
        ),
        &[session_id.into(), PUBLIC_CLIENT.into()],
        |row| {
            Ok(SessionState {
                is_admin: row.int(0)? != 0,
                is_active: row.int(1)? != 0,
                is_suspended: row.int(2)? != 0,
            })
        },
    )
}

/// How long after a session's end its address is kept in its event.
pub const ADDRESS_KEPT: Millis = 30 * DAY;

/// Records that sessions end now, so that their addresses are blanked in time. `which` selects sessions `s` of the
/// partner; its parameters begin at `$3`.
pub(super) fn note_end(tx: &mut Tx<'_>, which: &str, params: &[Param<'_>]) -> Result<()> {
    let mut all = vec![Param::Int(tx.now() + ADDRESS_KEPT)];
    all.extend_from_slice(params);
    tx.execute_later(
        &format!(
            "UPDATE session_addresses SET erase_at = $2 WHERE pid = $1 AND session_id IN \
             (SELECT s.session_id FROM sessions s WHERE s.pid = $1 AND {which})"
        ),
        &all,
        Error::from,
    )
}

/// Records that all sessions of a user end now: called before the user is deleted.
pub(crate) fn note_end_of_all(tx: &mut Tx<'_>, user_id: UserId) -> Result<()> {
    note_end(tx, "s.user_id = $3", &[user_id.into()])?;
    browser_sessions::note_end_of_all(tx, user_id)
}

/// Ends one session and all its tokens. Returns whether it existed.
pub fn end(tx: &mut Tx<'_>, session_id: &str) -> Result<bool> {
    note_end(tx, "s.session_id = $3", &[session_id.into()])?;
    let gone = tx.execute("DELETE FROM sessions WHERE pid = $1 AND session_id = $2", &[session_id.into()])?;
    tx.invalidate(CacheKey::Session(tx.pid(), session_id.to_owned()));
    Ok(gone > 0)
}

/// Ends all sessions of a user, of browsers too, except the given one. If that is a browser session, those whose tokens
/// were requested in it also stay. Returns their number.
pub fn end_all_of(tx: &mut Tx<'_>, user_id: UserId, but: Option<&str>) -> Result<usize> {
    // A concurrent login must not open another one unnoticed.
    crate::tables::users::lock_row(tx, user_id)?;
    let but_that = [user_id.into(), but.unwrap_or("").into()];
    note_end(
        tx,
        "s.user_id = $3 AND s.session_id <> $4 AND (s.browser_session IS NULL OR s.browser_session <> $4)",
        &but_that,
    )?;
    let gone = tx.execute(
        "DELETE FROM sessions WHERE pid = $1 AND user_id = $2 AND session_id <> $3 \
         AND (browser_session IS NULL OR browser_session <> $3)",
        &but_that,
    )?;
    let gone = gone + browser_sessions::delete_all_of(tx, user_id, but)?;
    tx.invalidate(CacheKey::User(tx.pid(), user_id));
    Ok(gone)
}

/// Ends one session of a user and all its tokens. Returns whether this user had it.
pub fn end_of(tx: &mut Tx<'_>, user_id: UserId, session_id: &str) -> Result<bool> {
    note_end(tx, "s.user_id = $3 AND s.session_id = $4", &[user_id.into(), session_id.into()])?;
    let gone = tx.execute(
        "DELETE FROM sessions WHERE pid = $1 AND user_id = $2 AND session_id = $3",
        &[user_id.into(), session_id.into()],
    )?;
    tx.invalidate(CacheKey::Session(tx.pid(), session_id.to_owned()));
    Ok(gone > 0)
}

/// The start of a page of sessions.
#[derive(Debug, Clone)]
pub enum SessionPosition {
    /// After this many rows.
    Offset(i64),
    /// After the session with this time and id.
    After(Millis, String),
}

/// Which sessions of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionFilter {
    /// All.
    All,
    /// Of this kind.
    Kind(SessionKind),
}

/// The columns of a list and the condition, of each kind of session.
fn select_of(kind: SessionKind) -> &'static str {
    match kind {
        SessionKind::Tokens => {
            "SELECT s.session_id, CAST(0 AS BIGINT), s.client_id, COALESCE((SELECT c.name FROM clients c \
             WHERE c.pid = s.pid AND c.client_id = s.client_id), (SELECT p.name FROM product_clients p \
             WHERE p.client_id = s.client_id)) AS client_name, s.browser_session, s.address, s.user_agent, s.restricted, \
             s.created_at, s.last_used_at, s.expires_at \
             FROM sessions s WHERE s.pid = $1 AND s.user_id = $2 AND s.expires_at > $3"
        }
        SessionKind::Browser => {
            "SELECT s.session_id, CAST(1 AS BIGINT), 'tenantry', CAST(NULL AS TEXT), CAST(NULL AS TEXT), s.address, s.user_agent, \
             s.restricted, s.created_at, s.last_seen_at, s.expires_at \
             FROM browser_sessions s WHERE s.pid = $1 AND s.user_id = $2 AND s.expires_at > $3"
        }
    }
}

/// Active sessions of a user, by the time they were opened.
pub fn list_of(
    tx: &mut Tx<'_>,
    user_id: UserId,
    filter: SessionFilter,
    descending: bool,
    from: &SessionPosition,
    size: i64,
) -> Result<Vec<Session>> {
    let now = tx.latest();
    let (order, beyond) = if descending { ("DESC", "<") } else { ("ASC", ">") };
    let mut params = vec![user_id.into(), now.into(), Param::Int(size)];
    let (more, skip) = match from {
        SessionPosition::Offset(offset) => {
            params.push(Param::Int(*offset));
            (String::new(), "OFFSET $5")
        }
        SessionPosition::After(at, id) => {
            params.push(Param::Int(*at));
            params.push(Param::Text(id));
            (format!(" AND (s.created_at, s.session_id) {beyond} ($5, $6)"), "")
        }
    };
    let kinds: Vec<String> = SessionKind::ALL
        .into_iter()
        .filter(|kind| matches!(filter, SessionFilter::All) || filter == SessionFilter::Kind(*kind))
        .map(|kind| format!("{}{more}", select_of(kind)))
        .collect();
    // Column 9 is the time, column 1 the name.
    let sql = format!("{} ORDER BY 9 {order}, 1 {order} LIMIT $4 {skip}", kinds.join(" UNION ALL "));
    let owned = |text: Option<&str>| text.map(str::to_owned);
    tx.rows(&sql, &params, |row| {
        Ok(Session {
            session_id: row.text(0)?.to_owned(),
            kind: if row.int(1)? == 0 { SessionKind::Tokens } else { SessionKind::Browser },
            client_id: row.text(2)?.to_owned(),
            client_name: owned(row.opt_text(3)?),
            browser_session: owned(row.opt_text(4)?),
            address: owned(row.opt_text(5)?),
            user_agent: owned(row.opt_text(6)?),
            is_restricted: row.int(7)? != 0,
            created_at: row.int(8)?,
            last_used_at: row.int(9)?,
            expires_at: row.int(10)?,
        })
    })
}

/// The number of active sessions of a user.
pub fn count_of(tx: &mut Tx<'_>, user_id: UserId, filter: SessionFilter) -> Result<i64> {
    let now = tx.latest();
    let mut count = 0;
    for (kind, table) in [(SessionKind::Tokens, "sessions"), (SessionKind::Browser, "browser_sessions")] {
        if matches!(filter, SessionFilter::All) || filter == SessionFilter::Kind(kind) {
            let sql = format!(
                "SELECT count(*) FROM {table} s WHERE s.pid = $1 AND s.user_id = $2 AND s.expires_at > $3"
            );
            count += tx.row(&sql, &[user_id.into(), now.into()], |row| row.int(0))?.unwrap_or(0);
        }
    }
    Ok(count)
}

/// Stores when a session was last used, unless a later time is stored.
pub fn set_used(tx: &mut Tx<'_>, pid: PartnerId, session_id: &str, at: Millis) -> Result<()> {
    tx.unscoped().execute(
        "UPDATE sessions SET last_used_at = $3 WHERE pid = $1 AND session_id = $2 AND last_used_at < $3",
        &[pid.into(), session_id.into(), at.into()],
    )?;
    Ok(())
}

/// Stores how the user of a session has signed in by now.
pub fn set_authentication(tx: &mut Tx<'_>, session_id: &str, signed_in: SignInFacts) -> Result<()> {
    tx.execute(
        "UPDATE sessions SET auth_time = $3, acr = $4, amr = $5 WHERE pid = $1 AND session_id = $2",
        &[session_id.into(), signed_in.auth_time.into(), signed_in.acr.into(), signed_in.amr.into()],
    )?;
    tx.invalidate(CacheKey::Session(tx.pid(), session_id.to_owned()));
    Ok(())
}

/// Makes a session opened with a temporary password an ordinary one (B21).
pub fn lift_restriction(tx: &mut Tx<'_>, session_id: &str) -> Result<()> {
    tx.execute(
        "UPDATE sessions SET restricted = 0 WHERE pid = $1 AND session_id = $2",
        &[session_id.into()],
    )?;
    tx.invalidate(CacheKey::Session(tx.pid(), session_id.to_owned()));
    Ok(())
}

/// Deletes tokens and sessions that ended before `before`, of all partners, at most `limit` of each. Returns their
/// number.
pub fn purge(tx: &mut Tx<'_>, before: Millis, limit: i64) -> Result<usize> {
    let take = tx.dialect().take_rows();
    let mut gone = tx.unscoped().execute(
        &format!("DELETE FROM access_tokens WHERE (pid, token_hash) IN \
         (SELECT t.pid, t.token_hash FROM access_tokens t WHERE t.expires_at < $1 ORDER BY t.expires_at LIMIT $2{take})"),
        &[before.into(), limit.into()],
    )?;
    gone += tx.unscoped().execute(
        &format!("DELETE FROM refresh_tokens WHERE (pid, token_hash) IN \
         (SELECT t.pid, t.token_hash FROM refresh_tokens t WHERE t.expires_at < $1 ORDER BY t.expires_at LIMIT $2{take})"),
        &[before.into(), limit.into()],
    )?;
    let ended = tx.unscoped().rows(
        &format!("DELETE FROM sessions WHERE (pid, session_id) IN \
         (SELECT s.pid, s.session_id FROM sessions s WHERE s.expires_at < $1 ORDER BY s.expires_at LIMIT $2{take}) \
         RETURNING pid, session_id, expires_at"),
        &[before.into(), limit.into()],
        |row| Ok((PartnerId(row.int(0)?), row.text(1)?.to_owned(), row.int(2)?)),
    )?;
    for (pid, session_id, ended_at) in &ended {
        tx.unscoped().execute(
            "UPDATE session_addresses SET erase_at = $3 WHERE pid = $1 AND session_id = $2",
            &[(*pid).into(), session_id.into(), (ended_at + ADDRESS_KEPT).into()],
        )?;
    }
    Ok(gone + ended.len())
}

/// The number of sessions opened through a client, including its technical account's; at most `limit`.
pub fn count_of_client(tx: &mut Tx<'_>, client_id: &str, limit: i64) -> Result<i64> {
    let sql =
        "SELECT count(*) FROM (SELECT 1 FROM sessions s WHERE s.pid = $1 AND s.client_id = $2 LIMIT $3) hits";
    Ok(tx.row(sql, &[client_id.into(), limit.into()], |row| row.int(0))?.unwrap_or(0))
}

/// Ends the first `limit` sessions opened through a client. Returns their number.
pub fn delete_of_client(tx: &mut Tx<'_>, client_id: &str, limit: i64) -> Result<usize> {
    let those = "s.session_id IN \
         (SELECT t.session_id FROM sessions t WHERE t.pid = $1 AND t.client_id = $3 LIMIT $4)";
    note_end(tx, those, &[client_id.into(), limit.into()])?;
    let gone = tx.execute(
        "DELETE FROM sessions WHERE pid = $1 AND session_id IN \
         (SELECT s.session_id FROM sessions s WHERE s.pid = $1 AND s.client_id = $2 LIMIT $3)",
        &[client_id.into(), limit.into()],
    )?;
    if gone > 0 {
        tx.invalidate(CacheKey::Partner(tx.pid()));
    }
    Ok(gone)
}

/// Ends the sessions of a user that were opened through a client. Returns their number.
pub fn end_of_client(tx: &mut Tx<'_>, user_id: UserId, client_id: &str) -> Result<usize> {
    // A concurrent login must not open another one unnoticed.
    crate::tables::users::lock_row(tx, user_id)?;
    authorization_codes::delete_of(tx, user_id, client_id)?;
    let those = [user_id.into(), client_id.into()];
    note_end(tx, "s.user_id = $3 AND s.client_id = $4", &those)?;
    let gone =
        tx.execute("DELETE FROM sessions WHERE pid = $1 AND user_id = $2 AND client_id = $3", &those)?;
    tx.invalidate(CacheKey::User(tx.pid(), user_id));
    Ok(gone)
}
