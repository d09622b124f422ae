//! Access and refresh tokens (RFC 6749, 6750, 7009, 7662), and authentication by token.
//!
//! A token is `at.<partner>.<random>` (access) or `rt.<partner>.<random>` (refresh); it begins with the partner, so
//! that it is looked up in its rows. The database only has its SHA-256.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::clients::{self, ClientIdentity};
use crate::events::{self, EventKind};
use crate::services::Services;
use crate::sessions::{self as domain_sessions, OpenedSession, Opening};
use crate::token_text::partner_of;
use crate::{passwords, unit};
use tenantry_core::clock::Millis;
use tenantry_core::error::{Error, GrantError, Missing, Result, TokenError};
use tenantry_core::model::{PartnerId, Status, User, UserId};
use tenantry_core::random::Random;
use tenantry_store::access::{Caller, Operator, TokenFacts, system_within};
use tenantry_store::engine::cache::TokenHash;
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::sessions::{self, RefreshToken, TokenKind};
use tenantry_store::tables::{partners, users};

/// SHA-256 of a token.
pub fn hash(token: &str) -> TokenHash {
    Sha256::digest(token.as_bytes()).into()
}

fn make(random: &Random, kind: &str, pid: PartnerId) -> Zeroizing<String> {
    Zeroizing::new(format!("{kind}.{pid}.{}", random.token::<32>()))
}

/// Authenticates an access token.
///
/// # Errors
/// [`Error::Unauthenticated`] with what is wrong with it.
pub async fn authenticate(services: &Services, token: &str) -> Result<Caller> {
    let facts = match partner_of(token, "at") {
        Some(pid) => services.store.find_token(pid, &hash(token)).await?,
        None => None,
    };
    let facts = facts.ok_or(Error::Unauthenticated(TokenError::Invalid))?;
    let now = services.clock.now();
    let caller = Caller::admit(&facts, now).map_err(Error::Unauthenticated)?;
    services.uses.note(&facts, now);
    Ok(caller)
}

/// Whether this is an operator's token.
///
/// # Errors
/// [`Error::Unauthenticated`].
pub async fn authenticate_operator(services: &Services, token: &str) -> Result<Operator> {
    let hash = stored_operator_hash(token);
    let known = services
        .store
        .read(&tenantry_store::access::nobody(), move |tx| partners::find_operator_token(tx, &hash))
        .await?;
    Operator::by_token(known)
}

/// A name of the operator with this token, which does not reveal the token.
pub fn operator_name(token: &str) -> String {
    format!("operator:{}", stored_operator_hash(token))
}

fn stored_operator_hash(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(hash(token))
}

/// Creates a token for the operator API. It is returned once and stored as a hash.
///
/// # Errors
/// None of its own.
pub fn create_operator_token(tx: &mut Tx<'_, Operator>, name: &str) -> Result<(i64, String)> {
    let token = format!("op.{}", tx.random().token::<32>());
    let id = partners::insert_operator_token(tx, &stored_operator_hash(&token), name)?;
    Ok((id, token))
}

/// All operator tokens, without their secrets.
///
/// # Errors
/// None of its own.
pub fn list_operator_tokens(tx: &mut Tx<'_, Operator>) -> Result<Vec<partners::OperatorToken>> {
    partners::list_operator_tokens(tx)
}

/// Revokes an operator token.
///
/// # Errors
/// Not found.
pub fn revoke_operator_token(tx: &mut Tx<'_, Operator>, token_id: i64) -> Result<()> {
    if partners::delete_operator_token(tx, token_id)? {
        Ok(())
    } else {
        Err(Error::NotFound(Missing::OperatorToken))
    }
}

/// The origin of a token request.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The client's address.
    pub address: IpAddr,
    /// The user agent; at most 255 characters are kept.
    pub user_agent: Option<String>,
}

/// Issued tokens. Not `Debug`: they would be one `{:?}` away from a log.
pub struct Granted {
    /// The access token.
    pub access_token: Zeroizing<String>,
    /// The refresh token; `None` for restricted sessions (B22) and technical accounts.
    pub refresh_token: Option<Zeroizing<String>>,
    /// The lifetime of the access token.
    pub expires_in: Millis,
    /// Opened with a temporary or expired password (B22).
    pub password_change_required: bool,
}

/// Issues the tokens of a session: its first ones, or new ones in place of those it had.
pub(super) fn issue(tx: &mut Tx<'_>, session: &OpenedSession) -> Result<Granted> {
    let (now, pid) = (tx.now(), tx.pid());
    let OpenedSession { session_id, access_ends, refresh_ends, is_restricted, .. } = session;
    let access_token = make(tx.random(), "at", pid);
    sessions::insert_token(tx, TokenKind::Access, &hash(&access_token), session_id, *access_ends)?;
    let mut refresh_token = None;
    if let Some(refresh_ends) = *refresh_ends {
        let token = make(tx.random(), "rt", pid);
        sessions::insert_token(tx, TokenKind::Refresh, &hash(&token), session_id, refresh_ends)?;
        refresh_token = Some(token);
    }
    let (expires_in, password_change_required) = (*access_ends - now, *is_restricted);
    Ok(Granted { access_token, refresh_token, expires_in, password_change_required })
}

/// The client credentials grant: a technical account of the client's partner (B28).
///
/// # Errors
/// `unauthorized_client` for the public client.
pub async fn grant_client_credentials(
    services: &Services,
    client: &ClientIdentity,
    origin: Origin,
) -> Result<Granted> {
    let ClientIdentity::Confidential(client) = client else {
        return Err(Error::Grant(
            GrantError::UnauthorizedClient,
            "a public client cannot use this grant".into(),
        ));
    };
    let client = client.clone();
    unit::write(&services.store, &system_within(client.pid), move |tx| {
        if !clients::is_known(tx, &client.client_id)? {
            return Err(clients::unknown());
        }
        let opening =
            Opening { client_id: &client.client_id, user_id: None, origin: &origin, restricted: None };
        let session = domain_sessions::open(tx, &opening)?;
        events::record(tx, EventKind::SessionStarted, None, Some(json!({ "clientId": client.client_id })))?;
        issue(tx, &session)
    })
    .await
}

fn invalid_refresh_token() -> Error {
    Error::Grant(
        GrantError::InvalidGrant,
        "the refresh token is unknown, used, expired or another client's".into(),
    )
}

/// The refresh token grant (RFC 6749 §6) with rotation: a token works once. Its second use ends the whole session,
/// since one of the two users stole it (RFC 9700 §4.14).
///
/// # Errors
/// `invalid_grant`.
pub async fn grant_refresh(services: &Services, client: &ClientIdentity, token: &str) -> Result<Granted> {
    let pid = partner_of(token, "rt").filter(|pid| client.serves(*pid)).ok_or_else(invalid_refresh_token)?;
    let (hash, client_id) = (hash(token), client.client_id().to_owned());
    let granted =
        unit::write(&services.store, &system_within(pid), move |tx| refresh(tx, &hash, &client_id)).await?;
    granted.ok_or_else(invalid_refresh_token)
}

/// `None` if refused; not an error, which would roll back the end of a replayed session.
fn refresh(tx: &mut Tx<'_>, presented: &TokenHash, client_id: &str) -> Result<Option<Granted>> {
    let Some(token) = sessions::find_refresh_token(tx, presented)? else { return Ok(None) };
    if token.client_id != client_id {
        return Ok(None);
    }
    if token.used_at.is_some() {
        sessions::end(tx, &token.session_id)?;
        if let Some(user_id) = token.user_id {
            events::record_user(tx, EventKind::SessionReplayed, user_id, None, None)?;
        }
        return Ok(None);
    }
    if owner_of(tx, &token)?.is_none() {
        return Ok(None);
    }
    let session = OpenedSession::refreshed(tx, token.session_id);
    sessions::rotate(tx, presented, &session.session_id, session.ends_at)?;
    issue(tx, &session).map(Some)
}

/// The user of a refresh token, if the token is unused and valid.
fn owner_of(tx: &mut Tx<'_>, token: &RefreshToken) -> Result<Option<User>> {
    let (now, pid) = (tx.now(), tx.pid());
    let Some(user_id) = token.user_id else { return Ok(None) };
    let Some(user) = users::find(tx, user_id)? else { return Ok(None) };
    if now >= token.expires_at || user.status != Status::Active || partners::is_suspended(tx, pid)? {
        return Ok(None);
    }
    // An expired password must be changed at a login; refreshing must not postpone that forever.
    let present = tenantry_store::tables::passwords::list_present(tx, user_id)?;
    let is_good = present.iter().any(|p| !p.is_temporary && !passwords::is_overdue(p, tx.policy(), now));
    Ok(is_good.then_some(user))
}

/// Ends the session of a token (RFC 7009). A token that is unknown or was issued to another client is ignored.
///
/// # Errors
/// None of its own.
pub async fn revoke(services: &Services, client: &ClientIdentity, token: &str) -> Result<()> {
    let Some((pid, session)) = find_session(services, client, token).await? else { return Ok(()) };
    unit::write(&services.store, &system_within(pid), move |tx| {
        if !sessions::end(tx, &session.session_id)? {
            return Ok(());
        }
        match session.user_id {
            Some(user_id) => events::record_user(tx, EventKind::SessionEnded, user_id, None, None),
            None => events::record(
                tx,
                EventKind::SessionEnded,
                None,
                Some(json!({ "clientId": session.client_id })),
            ),
        }
    })
    .await
}

struct FoundSession {
    session_id: String,
    user_id: Option<UserId>,
    client_id: String,
}

async fn find_session(
    services: &Services,
    client: &ClientIdentity,
    token: &str,
) -> Result<Option<(PartnerId, FoundSession)>> {
    let hash = hash(token);
    let (pid, found) = if let Some(pid) = partner_of(token, "at") {
        let facts = services.store.find_token(pid, &hash).await?;
        (
            pid,
            facts.map(|f| FoundSession {
                session_id: f.session_id().to_owned(),
                user_id: f.user_id(),
                client_id: f.client_id().to_owned(),
            }),
        )
    } else if let Some(pid) = partner_of(token, "rt") {
        let token = services
            .store
            .read(&system_within(pid), move |tx| sessions::find_refresh_token(tx, &hash))
            .await?;
        (
            pid,
            token.map(|t| FoundSession {
                session_id: t.session_id,
                user_id: t.user_id,
                client_id: t.client_id,
            }),
        )
    } else {
        return Ok(None);
    };
    // A client can only revoke tokens issued to itself (RFC 7009 §2.1, B28).
    Ok(found.filter(|s| s.client_id == client.client_id()).map(|s| (pid, s)))
}

/// The introspection of a valid token (RFC 7662 §2.2).
#[derive(Debug)]
pub struct Introspection {
    /// The client that it was issued to.
    pub client_id: String,
    /// The user, unless it is a technical account's.
    pub user: Option<(UserId, String)>,
    /// The partner.
    pub pid: PartnerId,
    /// Whether its bearer is a partner admin.
    pub is_admin: bool,
    /// When it was issued.
    pub issued_at: Millis,
    /// When it ends.
    pub expires_at: Millis,
    /// Whether it is a refresh token.
    pub is_refresh_token: bool,
}

/// Introspects a token (RFC 7662) for a confidential client of its partner; `None` if it is not active.
///
/// # Errors
/// `unauthorized_client` for the public client.
pub async fn introspect(
    services: &Services,
    client: &ClientIdentity,
    token: &str,
) -> Result<Option<Introspection>> {
    let ClientIdentity::Confidential(client) = client else {
        return Err(Error::Grant(GrantError::UnauthorizedClient, "a public client cannot introspect".into()));
    };
    let (pid, hash) = (client.pid, hash(token));
    if partner_of(token, "at") == Some(pid) {
        let Some(facts) = services.store.find_token(pid, &hash).await? else { return Ok(None) };
        if Caller::admit(&facts, services.clock.now()).is_err() || facts.is_restricted() {
            return Ok(None);
        }
        return services.store.read(&system_within(pid), move |tx| of_access_token(tx, &facts)).await;
    }
    if partner_of(token, "rt") != Some(pid) {
        return Ok(None);
    }
    services
        .store
        .scan(&system_within(pid), move |tx| {
            let Some(token) = sessions::find_refresh_token(tx, &hash)? else { return Ok(None) };
            if token.used_at.is_some() {
                return Ok(None);
            }
            let Some(user) = owner_of(tx, &token)? else { return Ok(None) };
            Ok(Some(Introspection {
                client_id: token.client_id,
                user: Some((user.user_id, user.username)),
                pid,
                is_admin: user.is_admin,
                issued_at: token.issued_at,
                expires_at: token.expires_at,
                is_refresh_token: true,
            }))
        })
        .await
}

fn of_access_token(tx: &mut Tx<'_>, facts: &TokenFacts) -> Result<Option<Introspection>> {
    let user = match facts.user_id() {
        Some(id) => match users::find(tx, id)? {
            Some(user) => Some((id, user.username)),
            None => return Ok(None),
        },
        None => None,
    };
    Ok(Some(Introspection {
        client_id: facts.client_id().to_owned(),
        user,
        pid: facts.pid(),
        is_admin: facts.is_admin(),
        issued_at: facts.issued_at(),
        expires_at: facts.expires_at(),
        is_refresh_token: false,
    }))
}
