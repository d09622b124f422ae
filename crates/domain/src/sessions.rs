//! Sessions: opening, listing and ending them, and removing those that have ended.

use serde_json::json;

use crate::browser_sessions;
use crate::events::{self, EventKind};
use crate::tokens::Origin;
use crate::users;
use tenantry_core::clock::{DAY, Millis};
use tenantry_core::error::{Error, Missing, Result};
use tenantry_core::model::{Session, UserId};
use tenantry_core::scopes::TokenScopes;
use tenantry_store::access::{Admin, Member, SignInFacts};
use tenantry_store::engine::tx::Tx;
use tenantry_store::listing::lists::Total;
use tenantry_store::tables::authorization_codes::Authentication;
use tenantry_store::tables::sessions;
use tenantry_store::tables::sessions::{NewSession, SessionFilter, SessionPosition};

/// The input of [`open`].
pub(super) struct Opening<'a> {
    pub(super) client_id: &'a str,
    pub(super) user_id: Option<UserId>,
    pub(super) origin: &'a Origin,
    pub(super) scopes: TokenScopes,
    /// The browser session in which it is requested.
    pub(super) browser_session: Option<&'a str>,
    /// Set for a session that must first change the password: the expiry of that password, if it has one.
    pub(super) restricted: Option<Option<Millis>>,
    /// How the user has signed in, if not on the pages.
    pub(super) signed_in: SignInFacts,
    /// Set for a session that is opened with an authorization code.
    pub(super) by_code: Option<OpeningByCode>,
}

impl Opening<'_> {
    fn authentication(&self) -> Authentication {
        let SignInFacts { auth_time, acr, amr } = self.signed_in;
        let here = Authentication { auth_time, acr, amr, ..Authentication::default() };
        self.by_code.map_or(here, |code| code.authentication)
    }
}

/// See [`Opening::by_code`].
#[derive(Clone, Copy)]
pub(super) struct OpeningByCode {
    pub(super) authentication: Authentication,
    pub(super) has_refresh_token: bool,
}

/// An open session, and the expiry of its next tokens.
pub(super) struct OpenedSession {
    pub(super) session_id: String,
    /// It must first change the password (B22).
    pub(super) is_restricted: bool,
    /// The scopes of its next access token.
    pub(super) scopes: TokenScopes,
    pub(super) access_ends: Millis,
    /// None if it cannot be refreshed.
    pub(super) refresh_ends: Option<Millis>,
    /// Its end unless it is refreshed.
    pub(super) ends_at: Millis,
}

impl OpenedSession {
    /// An ordinary session of a user, extended from now.
    pub(super) fn refreshed(tx: &Tx<'_>, session_id: String, scopes: TokenScopes) -> Self {
        let (access_ends, refresh_ends) =
            (tx.latest() + tx.policy().access_token, tx.latest() + tx.policy().refresh_token);
        let ends_at = access_ends.max(refresh_ends);
        Self {
            session_id,
            is_restricted: false,
            scopes,
            access_ends,
            refresh_ends: Some(refresh_ends),
            ends_at,
        }
    }
}

/// Opens a session, without tokens ([`crate::tokens`] issues them).
pub(super) fn open(tx: &mut Tx<'_>, opening: &Opening<'_>) -> Result<OpenedSession> {
    let mut session = OpenedSession::refreshed(tx, tx.random().token::<16>(), opening.scopes);
    session.is_restricted = opening.restricted.is_some();
    // A technical account logs in again with its secret; a restricted session must not be extended (B22).
    let is_final = opening.by_code.is_some_and(|code| !code.has_refresh_token);
    if session.is_restricted || opening.user_id.is_none() || is_final {
        if let Some(Some(ends)) = opening.restricted {
            session.access_ends = session.access_ends.min(ends);
        }
        session.refresh_ends = None;
        session.ends_at = session.access_ends;
    }
    let address = opening.origin.address.to_string();
    let user_agent = opening.origin.kept_user_agent();
    sessions::insert(
        tx,
        &NewSession {
            session_id: &session.session_id,
            user_id: opening.user_id,
            client_id: opening.client_id,
            is_restricted: session.is_restricted,
            scopes: session.scopes,
            expires_at: session.ends_at,
            address: Some(&address),
            user_agent: user_agent.as_deref(),
            browser_session: opening.browser_session,
            authentication: opening.authentication(),
        },
    )?;
    Ok(session)
}

/// How long an access token is kept after its end, so that its bearer gets "expired", not "invalid".
const KEPT: Millis = DAY;

/// A query for sessions of a user.
#[derive(Debug, Clone)]
pub struct SessionQuery {
    /// Which.
    pub filter: SessionFilter,
    /// Newest first.
    pub descending: bool,
    /// The start of the page.
    pub from: SessionPosition,
    /// The maximum number of rows.
    pub size: i64,
}

/// Active sessions of a user of the partner, and the total, from one snapshot.
///
/// # Errors
/// Not found, also for another partner's user (B11).
pub fn list(tx: &mut Tx<'_, Admin>, user_id: UserId, query: &SessionQuery) -> Result<(Total, Vec<Session>)> {
    users::get(tx, user_id)?;
    select(tx, user_id, query)
}

/// The caller's own sessions, including the current one.
///
/// # Errors
/// None of its own.
pub fn list_own(tx: &mut Tx<'_, Member>, query: &SessionQuery) -> Result<(Total, Vec<Session>)> {
    let user_id = tx.scope().user_id();
    select(tx, user_id, query)
}

fn select(tx: &mut Tx<'_>, user_id: UserId, query: &SessionQuery) -> Result<(Total, Vec<Session>)> {
    let SessionQuery { filter, descending, from, size } = query;
    let total = Total { count: sessions::count_of(tx, user_id, *filter)?, is_exact: true };
    Ok((total, sessions::list_of(tx, user_id, *filter, *descending, from, *size)?))
}

/// Ends one session of a user of the partner. With a session of a browser end those of applications that were opened in it,
/// except those with the scope `offline_access`.
///
/// # Errors
/// Not found: the user, or the session among its own.
pub fn end(tx: &mut Tx<'_, Admin>, user_id: UserId, session_id: &str) -> Result<()> {
    users::get(tx, user_id)?;
    end_one(tx, user_id, session_id)
}

/// Ends one of the caller's own sessions, possibly the current one.
///
/// # Errors
/// Not found.
pub fn end_own(tx: &mut Tx<'_, Member>, session_id: &str) -> Result<()> {
    let user_id = tx.scope().user_id();
    end_one(tx, user_id, session_id)
}

/// Ends every session of a user of the partner.
///
/// # Errors
/// Not found.
pub fn end_all(tx: &mut Tx<'_, Admin>, user_id: UserId) -> Result<()> {
    users::get(tx, user_id)?;
    end_every(tx, user_id, None)
}

/// Ends all sessions of the caller, including the current one.
///
/// # Errors
/// None of its own.
pub fn end_all_own(tx: &mut Tx<'_, Member>) -> Result<()> {
    let user_id = tx.scope().user_id();
    end_every(tx, user_id, None)
}

/// Ends all sessions of the caller except the current one.
///
/// # Errors
/// None of its own.
pub fn end_others_own(tx: &mut Tx<'_, Member>) -> Result<()> {
    let (user_id, session_id) = (tx.scope().user_id(), tx.scope().session_id().to_owned());
    end_every(tx, user_id, Some(&session_id))
}

fn end_one(tx: &mut Tx<'_>, user_id: UserId, session_id: &str) -> Result<()> {
    if sessions::end_of(tx, user_id, session_id)? {
        return events::record_user(tx, EventKind::SessionEnded, user_id, None, None);
    }
    if browser_sessions::end_of(tx, user_id, session_id)? {
        return Ok(());
    }
    Err(Error::NotFound(Missing::Session))
}

fn end_every(tx: &mut Tx<'_>, user_id: UserId, but: Option<&str>) -> Result<()> {
    let ended = sessions::end_all_of(tx, user_id, but)?;
    if ended == 0 {
        return Ok(());
    }
    events::record_user(tx, EventKind::SessionEnded, user_id, Some(json!({ "sessions": ended })), None)
}

/// Removes tokens and sessions that ended more than a day ago, of all partners, at most `limit` of each (a session is
/// removed with its tokens; one that is refreshed forever only loses its old ones). Returns their number; as long as it
/// is at least `limit`, there may be more.
///
/// # Errors
/// None of its own.
pub fn purge(tx: &mut Tx<'_>, limit: i64) -> Result<usize> {
    let before = tx.steady() - KEPT;
    sessions::purge(tx, before, limit)
}
