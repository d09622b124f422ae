//! The refresh token grant (RFC 6749 §6) with rotation: a token works once. Its second use ends the whole session, since
//! one of the two bearers stole it (RFC 9700 §4.14), unless it comes so soon that it is probably the same one: two tabs of
//! a browser, or a response that was lost. Then the same new token is returned again.

use zeroize::Zeroizing;

use crate::clients::ClientIdentity;
use crate::events::{self, EventKind};
use crate::id_tokens::{self, IdTokenFacts};
use crate::services::Services;
use crate::sessions::OpenedSession;
use crate::token_text::partner_of;
use crate::tokens::{self, Granted};
use crate::{passwords, sealing, unit};
use tenantry_core::clients::ClientGrant;
use tenantry_core::clock::Millis;
use tenantry_core::error::{Error, GrantError, Result};
use tenantry_core::model::{Status, User};
use tenantry_core::scopes::TokenScopes;
use tenantry_store::access::system_within;
use tenantry_store::engine::cache::TokenHash;
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::sessions::{self, RefreshToken};
use tenantry_store::tables::{partners, users};

/// A refresh token as it was presented.
struct Presented {
    /// The token itself, with which its successor is sealed.
    text: Zeroizing<String>,
    hash: TokenHash,
    client_id: String,
    /// The scopes that are requested; none for those that were granted.
    scopes: TokenScopes,
}

fn refused() -> Error {
    Error::Grant(
        GrantError::InvalidGrant,
        "the refresh token is unknown, used, expired or another client's".into(),
    )
}

/// Exchanges a refresh token for new tokens. The access token has the requested scopes, by default those that were granted
/// at the login.
///
/// # Errors
/// `invalid_grant`; `invalid_scope` for scopes that were not granted.
pub async fn grant(
    services: &Services,
    client: &ClientIdentity,
    token: &str,
    scopes: TokenScopes,
    issuer: &str,
) -> Result<Granted> {
    client.require(ClientGrant::RefreshToken)?;
    let pid = partner_of(token, "rt").filter(|pid| client.serves(*pid)).ok_or_else(refused)?;
    let presented = Presented {
        text: Zeroizing::new(token.to_owned()),
        hash: tokens::hash(token),
        client_id: client.client_id().to_owned(),
        scopes,
    };
    let granted =
        unit::write(&services.store, &system_within(pid), move |tx| refresh(tx, &presented)).await?;
    let (granted, facts) = granted.ok_or_else(refused)?;
    match client.client() {
        Some(client) => id_tokens::add(services, client, granted, facts, issuer).await,
        None => Ok(granted),
    }
}

/// New tokens, and what their ID token says: nothing without the scope `openid`.
type Refreshed = (Granted, Option<IdTokenFacts>);

/// `None` if refused; not an error, which would roll back the end of a replayed session.
fn refresh(tx: &mut Tx<'_>, presented: &Presented) -> Result<Option<Refreshed>> {
    let Some(token) = sessions::find_refresh_token(tx, &presented.hash)? else { return Ok(None) };
    if token.client_id != presented.client_id {
        return Ok(None);
    }
    let Some(used_at) = token.used_at else { return rotate(tx, presented, token) };
    if let Some((text, successor)) = find_successor(tx, presented, &token, used_at)? {
        return repeat(tx, presented, text, successor);
    }
    sessions::end(tx, &token.session_id)?;
    if let Some(user_id) = token.user_id {
        events::record_user(tx, EventKind::SessionReplayed, user_id, None, None)?;
    }
    Ok(None)
}

/// Issues a new access and a new refresh token.
fn rotate(tx: &mut Tx<'_>, presented: &Presented, token: RefreshToken) -> Result<Option<Refreshed>> {
    if find_owner(tx, &token)?.is_none() {
        return Ok(None);
    }
    let scopes = presented.scopes_of(&token)?;
    let facts = describe(tx, &token, scopes)?;
    let session = OpenedSession::refreshed(tx, token.session_id, scopes);
    let granted = tokens::issue(tx, &session)?;
    let successor = match &granted.refresh_token {
        Some(new) if tx.policy().refresh_reuse > 0 => {
            Some(sealing::seal(tx.random(), &presented.text, &session.session_id, new)?)
        }
        _ => None,
    };
    sessions::set_refresh_token_used(tx, &presented.hash, successor.as_deref())?;
    sessions::extend(tx, &session.session_id, session.ends_at)?;
    Ok(Some((granted, facts)))
}

/// The newest refresh token of the session, if the presented one is the one before it and was used a moment ago.
fn find_successor(
    tx: &mut Tx<'_>,
    presented: &Presented,
    token: &RefreshToken,
    used_at: Millis,
) -> Result<Option<(Zeroizing<String>, RefreshToken)>> {
    let reuse = tx.policy().refresh_reuse;
    // The clock of another server may be behind.
    let is_recent = reuse > 0 && tx.steady().saturating_sub(used_at).abs() <= reuse;
    let Some(sealed) = token.successor.as_ref().filter(|_| is_recent) else { return Ok(None) };
    let Some(text) = sealing::open(&presented.text, &token.session_id, sealed) else { return Ok(None) };
    let successor = sessions::find_refresh_token(tx, &tokens::hash(&text))?;
    Ok(successor.filter(|successor| successor.used_at.is_none()).map(|successor| (text, successor)))
}

/// Returns the newest refresh token again, with an access token of its own: those issued before remain valid.
fn repeat(
    tx: &mut Tx<'_>,
    presented: &Presented,
    text: Zeroizing<String>,
    successor: RefreshToken,
) -> Result<Option<Refreshed>> {
    if find_owner(tx, &successor)?.is_none() {
        return Ok(None);
    }
    let scopes = presented.scopes_of(&successor)?;
    let facts = describe(tx, &successor, scopes)?;
    let mut session = OpenedSession::refreshed(tx, successor.session_id, scopes);
    session.refresh_ends = None;
    let granted = tokens::issue(tx, &session)?;
    sessions::extend(tx, &session.session_id, session.access_ends)?;
    Ok(Some((Granted { refresh_token: Some(text), ..granted }, facts)))
}

/// The facts of the ID token of a refresh (OpenID Connect Core §12.2): as at the sign-in, without the nonce.
fn describe(tx: &mut Tx<'_>, token: &RefreshToken, scopes: TokenScopes) -> Result<Option<IdTokenFacts>> {
    let Some(user_id) = token.user_id.filter(|_| scopes.is_openid()) else { return Ok(None) };
    let facts = IdTokenFacts {
        user_id,
        authentication: token.authentication,
        browser_session: token.browser_session.clone(),
        nonce: None,
        scopes,
        user: None,
    };
    facts.with_user(tx).map(Some)
}

impl Presented {
    /// The scopes of the next access token (RFC 6749 §6): as many as were granted, or fewer.
    fn scopes_of(&self, token: &RefreshToken) -> Result<TokenScopes> {
        // A login without pages ignores all other scopes, when tokens are refreshed as well.
        let known = if token.scopes.is_openid() { TokenScopes::ALL } else { TokenScopes::ALL_API };
        let requested = self.scopes.intersection(known);
        if requested.is_empty() {
            return Ok(token.scopes);
        }
        if !requested.is_subset_of(token.scopes) {
            let detail = format!("only {} was granted at the login", token.scopes.names());
            return Err(Error::Grant(GrantError::InvalidScope, detail.into()));
        }
        Ok(requested)
    }
}

/// The user of a refresh token, if the token and the user are valid.
pub(super) fn find_owner(tx: &mut Tx<'_>, token: &RefreshToken) -> Result<Option<User>> {
    let (now, pid) = (tx.latest(), tx.pid());
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

/// Removes sealed tokens that are no longer returned, of all partners, at most `limit`. Returns their number.
///
/// # Errors
/// None of its own.
pub fn forget_successors(tx: &mut Tx<'_>, limit: i64) -> Result<usize> {
    let before = tx.steady() - tx.policy().refresh_reuse;
    sessions::forget_successors(tx, before, limit)
}
