//! Access and refresh tokens (RFC 6749, 6750, 7009, 7662), and authentication by token.
//!
//! A token is `at_<partner>_<random>` (access) or `rt_<partner>_<random>` (refresh); it begins with the partner, so
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
use crate::{refresh, unit};
use tenantry_core::clients::ClientGrant;
use tenantry_core::clock::Millis;
use tenantry_core::error::{Error, GrantError, Missing, Result, TokenError};
use tenantry_core::model::{PartnerId, UserId};
use tenantry_core::random::Random;
use tenantry_core::scopes::TokenScopes;
use tenantry_store::access::{Caller, Operator, SignInFacts, TokenFacts, system_within};
use tenantry_store::engine::cache::TokenHash;
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::sessions;
use tenantry_store::tables::{partners, users};

/// SHA-256 of a token.
pub fn hash(token: &str) -> TokenHash {
    Sha256::digest(token.as_bytes()).into()
}

fn make(random: &Random, kind: &str, pid: PartnerId) -> Zeroizing<String> {
    Zeroizing::new(format!("{kind}_{pid}_{}", random.token::<32>()))
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
    let time = services.clock.read();
    let caller = Caller::admit(&facts, time.latest).map_err(Error::Unauthenticated)?;
    services.uses.note(&facts, time.now);
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
    let token = format!("op_{}", tx.random().token::<32>());
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

impl Origin {
    /// The user agent, as it is stored.
    pub(super) fn kept_user_agent(&self) -> Option<String> {
        self.user_agent.as_ref().map(|agent| agent.chars().take(255).collect())
    }
}

/// Issued tokens. Not `Debug`: they would be one `{:?}` away from a log.
pub struct Granted {
    /// The access token.
    pub access_token: Zeroizing<String>,
    /// The refresh token; `None` for restricted sessions (B22) and technical accounts.
    pub refresh_token: Option<Zeroizing<String>>,
    /// The ID token; `None` without the scope `openid`.
    pub id_token: Option<Zeroizing<String>>,
    /// The lifetime of the access token.
    pub expires_in: Millis,
    /// The scopes of the access token.
    pub scopes: TokenScopes,
    /// Opened with a temporary or expired password (B22).
    pub password_change_required: bool,
}

/// Issues the tokens of a session: its first ones, or new ones in place of those it had.
pub(super) fn issue(tx: &mut Tx<'_>, session: &OpenedSession) -> Result<Granted> {
    let (now, pid) = (tx.latest(), tx.pid());
    let OpenedSession { session_id, access_ends, refresh_ends, is_restricted, scopes, .. } = session;
    let access_token = make(tx.random(), "at", pid);
    sessions::insert_access_token(tx, &hash(&access_token), session_id, *scopes, *access_ends)?;
    let mut refresh_token = None;
    if let Some(refresh_ends) = *refresh_ends {
        let token = make(tx.random(), "rt", pid);
        sessions::insert_refresh_token(tx, &hash(&token), session_id, refresh_ends)?;
        refresh_token = Some(token);
    }
    let (expires_in, password_change_required) = (*access_ends - now, *is_restricted);
    let (id_token, scopes) = (None, *scopes);
    Ok(Granted { access_token, refresh_token, id_token, expires_in, scopes, password_change_required })
}

/// The client credentials grant: a technical account of the client's partner (B28).
///
/// # Errors
/// `unauthorized_client` for a client that may not use this grant, such as a public one; `invalid_scope`.
pub async fn grant_client_credentials(
    services: &Services,
    client: &ClientIdentity,
    origin: Origin,
    scopes: TokenScopes,
) -> Result<Granted> {
    client.require(ClientGrant::ClientCredentials)?;
    let scopes = client.api_scopes(scopes)?;
    // Registered for this grant, it is a confidential client of a partner.
    let Some(client) = client.client().cloned() else { return Err(clients::unknown()) };
    unit::write(&services.store, &system_within(client.pid), move |tx| {
        if !clients::is_known(tx, &client.client_id)? {
            return Err(clients::unknown());
        }
        let opening = Opening {
            client_id: &client.client_id,
            user_id: None,
            origin: &origin,
            scopes,
            browser_session: None,
            restricted: None,
            signed_in: SignInFacts::default(),
            by_code: None,
        };
        let session = domain_sessions::open(tx, &opening)?;
        events::record(tx, EventKind::SessionStarted, None, Some(json!({ "clientId": client.client_id })))?;
        issue(tx, &session)
    })
    .await
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
    /// What it may be used for, or can be exchanged for.
    pub scopes: TokenScopes,
    /// When it was issued.
    pub issued_at: Millis,
    /// When it ends.
    pub expires_at: Millis,
    /// Whether it is a refresh token.
    pub is_refresh_token: bool,
    /// How the user signed in; all 0 if that is not known, and for technical accounts.
    pub signed_in: SignInFacts,
}

/// Introspects a token (RFC 7662) for a confidential client of its partner, or for the product client that it was issued to;
/// `None` if it is not active.
///
/// # Errors
/// `unauthorized_client` for a public client.
pub async fn introspect(
    services: &Services,
    client: &ClientIdentity,
    token: &str,
) -> Result<Option<Introspection>> {
    let ClientIdentity::Confidential(client) = client else {
        return Err(Error::Grant(GrantError::UnauthorizedClient, "a public client cannot introspect".into()));
    };
    let hash = hash(token);
    // A product client sees only its own: it is not any partner's.
    let only = client.is_product().then(|| client.client_id.clone());
    let is_visible = move |client_id: &str| only.as_ref().is_none_or(|only| only == client_id);
    if let Some(pid) = partner_of(token, "at") {
        let found = if client.serves(pid) { services.store.find_token(pid, &hash).await? } else { None };
        let Some(facts) = found.filter(|facts| is_visible(facts.client_id())) else { return Ok(None) };
        // A session that can do next to nothing is no sign-in for a product.
        let admitted = Caller::admit(&facts, services.clock.read().latest);
        if admitted.map_or(true, |caller| caller.restriction().is_some()) {
            return Ok(None);
        }
        return services.store.read(&system_within(pid), move |tx| of_access_token(tx, &facts)).await;
    }
    let Some(pid) = partner_of(token, "rt").filter(|pid| client.serves(*pid)) else { return Ok(None) };
    services
        .store
        .scan(&system_within(pid), move |tx| {
            let Some(token) = sessions::find_refresh_token(tx, &hash)? else { return Ok(None) };
            if token.used_at.is_some() || !is_visible(&token.client_id) {
                return Ok(None);
            }
            let Some(user) = refresh::find_owner(tx, &token)? else { return Ok(None) };
            Ok(Some(Introspection {
                client_id: token.client_id,
                user: Some((user.user_id, user.username)),
                pid,
                is_admin: user.is_admin,
                scopes: token.scopes,
                issued_at: token.issued_at,
                expires_at: token.expires_at,
                is_refresh_token: true,
                signed_in: SignInFacts {
                    auth_time: token.authentication.auth_time,
                    acr: token.authentication.acr,
                    amr: token.authentication.amr,
                },
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
        scopes: facts.scopes(),
        issued_at: facts.issued_at(),
        expires_at: facts.expires_at(),
        is_refresh_token: false,
        signed_in: facts.signed_in(),
    }))
}
