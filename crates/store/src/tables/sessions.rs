//! Sessions, their tokens, and OAuth clients. Tokens are stored as hashes only.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::access::{LastUse, SessionState, TokenFacts};
use crate::engine::cache::TokenHash;
use crate::engine::driver::Param;
use crate::engine::tx::{Stale, Tx};
use tenantry_core::clock::{DAY, Millis};
use tenantry_core::error::{Error, Result};
use tenantry_core::model::{Client, PUBLIC_CLIENT, PartnerId, Session, UserId};

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
    /// The latest expiry of its tokens.
    pub expires_at: Millis,
    /// The client's address.
    pub address: Option<&'a str>,
    /// The client's user agent.
    pub user_agent: Option<&'a str>,
}

/// Stores a session.
pub fn insert(tx: &mut Tx<'_>, new: &NewSession<'_>) -> Result<()> {
    let now = tx.now();
    tx.execute_later(
        "INSERT INTO sessions (pid, session_id, user_id, client_id, restricted, created_at, expires_at, address, \
         user_agent, last_used_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $6)",
        &[
            new.session_id.into(),
            new.user_id.into(),
            new.client_id.into(),
            new.is_restricted.into(),
            now.into(),
            new.expires_at.into(),
            new.address.into(),
            new.user_agent.into(),
        ],
        Error::from,
    )
}

/// The two kinds of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// Access token.
    Access,
    /// Refresh token.
    Refresh,
}

impl TokenKind {
    fn table(self) -> &'static str {
        match self {
            Self::Access => "access_tokens",
            Self::Refresh => "refresh_tokens",
        }
    }
}

/// Stores a token of a session.
pub fn insert_token(
    tx: &mut Tx<'_>,
    kind: TokenKind,
    hash: &TokenHash,
    session_id: &str,
    expires_at: Millis,
) -> Result<()> {
    let now = tx.now();
    tx.execute_later(
        &format!(
            "INSERT INTO {} (pid, token_hash, session_id, issued_at, expires_at) VALUES ($1, $2, $3, $4, $5)",
            kind.table()
        ),
        &[(&stored(hash)).into(), session_id.into(), now.into(), expires_at.into()],
        Error::from,
    )
}

/// Joins the owner of a session `s`.
const WHOSE: &str = "JOIN partners p ON p.pid = s.pid \
     LEFT JOIN users u ON u.pid = s.pid AND u.user_id = s.user_id \
     LEFT JOIN clients c ON c.pid = s.pid AND c.client_id = s.client_id";

/// Whether user and client are still valid; `$3` is the public client. A client's sessions are deleted with it, but a
/// concurrent login elsewhere may have opened one more.
const IS_ACTIVE: &str = "CASE WHEN s.user_id IS NULL THEN c.client_id IS NOT NULL \
     ELSE coalesce(u.status, 1) = 0 AND (s.client_id = $3 OR c.client_id IS NOT NULL) END";

/// The owner of an access token: one statement, on the path of every request whose caller is not cached.
pub(crate) fn find_access_token(tx: &mut Tx<'_>, hash: &TokenHash) -> Result<Option<TokenFacts>> {
    let pid = tx.pid();
    tx.row(
        &format!(
            "SELECT s.session_id, s.user_id, s.client_id, coalesce(u.is_admin, c.is_admin, 0), {IS_ACTIVE}, \
             p.suspended, s.restricted, t.issued_at, t.expires_at \
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
                issued_at: row.int(7)?,
                expires_at: row.int(8)?,
                noted: LastUse::since(row.int(7)?),
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
    /// When it was issued.
    pub issued_at: Millis,
    /// When it expires.
    pub expires_at: Millis,
    /// When it was used; a second use ends the session.
    pub used_at: Option<Millis>,
}

/// A refresh token by its hash.
pub fn find_refresh_token(tx: &mut Tx<'_>, hash: &TokenHash) -> Result<Option<RefreshToken>> {
    tx.row(
        "SELECT s.session_id, s.user_id, s.client_id, t.issued_at, t.expires_at, t.used_at \
         FROM refresh_tokens t JOIN sessions s ON s.pid = t.pid AND s.session_id = t.session_id \
         WHERE t.pid = $1 AND t.token_hash = $2",
        &[(&stored(hash)).into()],
        |row| {
            Ok(RefreshToken {
                session_id: row.text(0)?.to_owned(),
                user_id: row.opt_int(1)?.map(UserId),
                client_id: row.text(2)?.to_owned(),
                issued_at: row.int(3)?,
                expires_at: row.int(4)?,
                used_at: Some(row.int(5)?).filter(|&at| at != 0),
            })
        },
    )
}

/// Marks a refresh token as used, and stores the new latest end of its session.
pub fn rotate(tx: &mut Tx<'_>, hash: &TokenHash, session_id: &str, session_ends: Millis) -> Result<()> {
    let now = tx.now();
    tx.execute(
        "UPDATE refresh_tokens SET used_at = $3 WHERE pid = $1 AND token_hash = $2",
        &[(&stored(hash)).into(), now.into()],
    )?;
    tx.execute(
        "UPDATE sessions SET last_used_at = $3, expires_at = $4 WHERE pid = $1 AND session_id = $2",
        &[session_id.into(), now.into(), session_ends.into()],
    )?;
    Ok(())
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
fn note_end(tx: &mut Tx<'_>, which: &str, params: &[Param<'_>]) -> Result<()> {
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
    note_end(tx, "s.user_id = $3", &[user_id.into()])
}

/// Ends one session and all its tokens. Returns whether it existed.
pub fn end(tx: &mut Tx<'_>, session_id: &str) -> Result<bool> {
    note_end(tx, "s.session_id = $3", &[session_id.into()])?;
    let gone = tx.execute("DELETE FROM sessions WHERE pid = $1 AND session_id = $2", &[session_id.into()])?;
    tx.forget(Stale::Session(tx.pid(), session_id.to_owned()));
    Ok(gone > 0)
}

/// Ends all sessions of a user, except the given one. Returns their number.
pub fn end_all_of(tx: &mut Tx<'_>, user_id: UserId, but: Option<&str>) -> Result<usize> {
    // A concurrent login must not open another one unnoticed.
    crate::tables::users::claim(tx, user_id)?;
    let but_that = [user_id.into(), but.unwrap_or("").into()];
    note_end(tx, "s.user_id = $3 AND s.session_id <> $4", &but_that)?;
    let gone =
        tx.execute("DELETE FROM sessions WHERE pid = $1 AND user_id = $2 AND session_id <> $3", &but_that)?;
    tx.forget(Stale::User(tx.pid(), user_id));
    Ok(gone)
}

/// Ends one session of a user and all its tokens. Returns whether this user had it.
pub fn end_of(tx: &mut Tx<'_>, user_id: UserId, session_id: &str) -> Result<bool> {
    note_end(tx, "s.user_id = $3 AND s.session_id = $4", &[user_id.into(), session_id.into()])?;
    let gone = tx.execute(
        "DELETE FROM sessions WHERE pid = $1 AND user_id = $2 AND session_id = $3",
        &[user_id.into(), session_id.into()],
    )?;
    tx.forget(Stale::Session(tx.pid(), session_id.to_owned()));
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

/// Active sessions of a user, by the time they were opened.
pub fn list_of(
    tx: &mut Tx<'_>,
    user_id: UserId,
    descending: bool,
    from: &SessionPosition,
    size: i64,
) -> Result<Vec<Session>> {
    let now = tx.now();
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
    let sql = format!(
        "SELECT s.session_id, s.client_id, s.address, s.user_agent, s.restricted, s.created_at, s.last_used_at, \
         s.expires_at FROM sessions s WHERE s.pid = $1 AND s.user_id = $2 AND s.expires_at > $3{more} \
         ORDER BY s.created_at {order}, s.session_id {order} LIMIT $4 {skip}"
    );
    let owned = |text: Option<&str>| text.map(str::to_owned);
    tx.rows(&sql, &params, |row| {
        Ok(Session {
            session_id: row.text(0)?.to_owned(),
            client_id: row.text(1)?.to_owned(),
            address: owned(row.opt_text(2)?),
            user_agent: owned(row.opt_text(3)?),
            is_restricted: row.int(4)? != 0,
            created_at: row.int(5)?,
            last_used_at: row.int(6)?,
            expires_at: row.int(7)?,
        })
    })
}

/// The number of active sessions of a user.
pub fn count_of(tx: &mut Tx<'_>, user_id: UserId) -> Result<i64> {
    let now = tx.now();
    let count = tx.row(
        "SELECT count(*) FROM sessions s WHERE s.pid = $1 AND s.user_id = $2 AND s.expires_at > $3",
        &[user_id.into(), now.into()],
        |row| row.int(0),
    )?;
    Ok(count.unwrap_or(0))
}

/// Stores when a session was last used, unless a later time is stored.
pub fn set_used(tx: &mut Tx<'_>, pid: PartnerId, session_id: &str, at: Millis) -> Result<()> {
    tx.unscoped().execute(
        "UPDATE sessions SET last_used_at = $3 WHERE pid = $1 AND session_id = $2 AND last_used_at < $3",
        &[pid.into(), session_id.into(), at.into()],
    )?;
    Ok(())
}

/// Makes a session opened with a temporary password an ordinary one (B21).
pub fn lift_restriction(tx: &mut Tx<'_>, session_id: &str) -> Result<()> {
    tx.execute(
        "UPDATE sessions SET restricted = 0 WHERE pid = $1 AND session_id = $2",
        &[session_id.into()],
    )?;
    tx.forget(Stale::Session(tx.pid(), session_id.to_owned()));
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

/// Stores a confidential client.
pub fn insert_client(tx: &mut Tx<'_>, client: &Client, secret_hash: &str) -> Result<()> {
    tx.execute(
        "INSERT INTO clients (pid, client_id, name, secret_hash, is_admin, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6)",
        &[
            (&client.client_id).into(),
            (&client.name).into(),
            secret_hash.into(),
            client.is_admin.into(),
            client.created_at.into(),
        ],
    )?;
    Ok(())
}

/// The clients of the partner, oldest first.
pub fn list_clients(tx: &mut Tx<'_>) -> Result<Vec<Client>> {
    let pid = tx.pid();
    tx.rows(
        "SELECT client_id, name, is_admin, created_at FROM clients WHERE pid = $1 ORDER BY created_at, client_id",
        &[],
        |row| read_client(row, pid),
    )
}

/// A client with the hash of its secret.
pub fn find_client(tx: &mut Tx<'_>, client_id: &str) -> Result<Option<(Client, String)>> {
    let pid = tx.pid();
    tx.row(
        "SELECT client_id, name, is_admin, created_at, secret_hash FROM clients WHERE pid = $1 AND client_id = $2",
        &[client_id.into()],
        |row| Ok((read_client(row, pid)?, row.text(4)?.to_owned())),
    )
}

fn read_client(row: &dyn crate::engine::driver::Row, pid: PartnerId) -> Result<Client> {
    Ok(Client {
        client_id: row.text(0)?.to_owned(),
        pid,
        name: row.text(1)?.to_owned(),
        is_admin: row.int(2)? != 0,
        created_at: row.int(3)?,
    })
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
        tx.forget(Stale::Partner(tx.pid()));
    }
    Ok(gone)
}

/// Deletes a client that has no sessions, or whose sessions are being ended.
pub fn delete_client(tx: &mut Tx<'_>, client_id: &str) -> Result<bool> {
    let gone = tx.execute("DELETE FROM clients WHERE pid = $1 AND client_id = $2", &[client_id.into()])?;
    tx.forget(Stale::Partner(tx.pid()));
    Ok(gone > 0)
}
