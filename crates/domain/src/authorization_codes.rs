//! Authorization codes (RFC 6749 §4.1): `ac_<partner>_<random>`, good for one exchange within a minute. The database only
//! has their SHA-256.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::authorization_requests::{AuthorizationError, Refused, Valid};
use crate::browser_sessions::BrowserSession;
use crate::clients::{self, ClientIdentity};
use crate::events::{self, EventKind};
use crate::id_tokens::{self, IdTokenFacts};
use crate::services::Services;
use crate::sessions::{self as domain_sessions, Opening, OpeningByCode};
use crate::token_text::partner_of;
use crate::tokens::{self, Granted, Origin};
use crate::unit;
use tenantry_core::clients::ClientGrant;
use tenantry_core::clock::{HOUR, MINUTE, Millis};
use tenantry_core::error::{Error, GrantError, Result};
use tenantry_core::model::Status;
use tenantry_core::scopes::{TokenScope, TokenScopes};
use tenantry_store::access::{SignInFacts, Within, system_within};
use tenantry_store::engine::cache::TokenHash;
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::authorization_codes::{self as stored, Authentication, AuthorizationCode};
use tenantry_store::tables::{sessions, users};

/// How long a code can be exchanged.
pub const LIFETIME: Millis = MINUTE;

/// How long a code is kept, so that its second use is recognized.
const KEPT: Millis = HOUR;

/// The shortest and the longest PKCE verifier (RFC 7636 §4.1).
const VERIFIER: std::ops::RangeInclusive<usize> = 43..=128;

/// Issues a code for the user of a browser session. Everything that may have changed since the session was read is checked
/// again in the transaction.
///
/// # Errors
/// `login_required` if the session has ended meanwhile.
pub async fn issue(
    services: &Services,
    valid: &Valid,
    session: &BrowserSession,
) -> Result<Zeroizing<String>, Refused> {
    let pid = session.pid;
    let text = Zeroizing::new(format!("ac_{pid}_{}", services.random.token::<32>()));
    let (hash, code) = (tokens::hash(&text), describe(services, valid, session));
    let issued = unit::write(&services.store, &system_within(pid), move |tx| {
        let is_good = clients::is_known(tx, &code.client_id)?
            && stored::is_session_of(tx, &code.browser_session, code.user_id)?;
        if is_good {
            stored::insert(tx, &hash, &code)?;
        }
        Ok(is_good)
    })
    .await;
    match issued {
        Ok(true) => Ok(text),
        Ok(false) | Err(Error::Unauthenticated(_)) => {
            Err(valid.refuse(AuthorizationError::LoginRequired, "the session of the browser has ended"))
        }
        Err(error) => Err(error.into()),
    }
}

fn describe(services: &Services, valid: &Valid, session: &BrowserSession) -> AuthorizationCode {
    let request = &valid.request;
    AuthorizationCode {
        client_id: request.client_id.clone(),
        user_id: session.user_id,
        browser_session: session.session_id.clone(),
        redirect_uri: request.return_to.redirect_uri.clone(),
        challenge: request.challenge.clone(),
        nonce: request.nonce.clone(),
        scopes: request.scopes,
        authentication: Authentication {
            auth_time: session.auth_time,
            acr: session.acr,
            amr: session.amr,
            id_token_claims: request.claims.id_token.to_bits(),
            userinfo_claims: request.claims.userinfo.to_bits(),
        },
        expires_at: services.clock.read().latest + LIFETIME,
    }
}

/// The parameters of a token request with a code (RFC 6749 §4.1.3, RFC 7636 §4.5).
pub struct Exchange<'a> {
    /// The code.
    pub code: &'a str,
    /// The redirect URI of the authorization request.
    pub redirect_uri: Option<&'a str>,
    /// The PKCE verifier.
    pub verifier: Option<&'a str>,
    /// Where the request comes from.
    pub origin: Origin,
}

/// An exchange, for the transaction.
struct Presented {
    hash: TokenHash,
    client_id: String,
    has_refresh_tokens: bool,
    redirect_uri: Option<String>,
    /// The challenge that the verifier has.
    challenge: Option<String>,
    origin: Origin,
}

fn refused() -> Error {
    let detail = "the code is unknown, used, expired or another client's, or redirect_uri or code_verifier is not that of \
                  its request";
    Error::Grant(GrantError::InvalidGrant, detail.into())
}

/// Exchanges a code for tokens, and for an ID token if the scope `openid` was requested. A second use of a code ends the
/// session that the first one opened (RFC 9700 §4.5).
///
/// # Errors
/// `invalid_grant`; `unauthorized_client`.
pub async fn exchange(
    services: &Services,
    client: &ClientIdentity,
    exchange: Exchange<'_>,
    issuer: &str,
) -> Result<Granted> {
    client.require(ClientGrant::AuthorizationCode)?;
    let client = client.client().ok_or_else(refused)?;
    let pid = partner_of(exchange.code, "ac").filter(|pid| client.serves(*pid)).ok_or_else(refused)?;
    let presented = Presented {
        hash: tokens::hash(exchange.code),
        client_id: client.client_id.clone(),
        has_refresh_tokens: client.grants.contains(ClientGrant::RefreshToken),
        redirect_uri: exchange.redirect_uri.map(str::to_owned),
        challenge: exchange.verifier.map(challenge_of).transpose()?,
        origin: exchange.origin,
    };
    let work = move |tx: &mut Tx<'_, Within>| redeem(tx, &presented);
    let granted = unit::write(&services.store, &system_within(pid), work).await?;
    let (granted, facts) = granted.ok_or_else(refused)?;
    id_tokens::add(services, client, granted, facts, issuer).await
}

fn challenge_of(verifier: &str) -> Result<String> {
    let is_verifier = VERIFIER.contains(&verifier.len())
        && verifier.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b));
    if is_verifier {
        Ok(URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes())))
    } else {
        let detail = "code_verifier must have 43 to 128 characters: letters, digits and -._~";
        Err(Error::Grant(GrantError::InvalidGrant, detail.into()))
    }
}

/// `None` if refused; not an error, which would roll back the end of a replayed session.
fn redeem(tx: &mut Tx<'_>, presented: &Presented) -> Result<Option<(Granted, Option<IdTokenFacts>)>> {
    let Some(found) = stored::find(tx, &presented.hash)? else { return Ok(None) };
    let code = &found.code;
    if code.client_id != presented.client_id {
        return Ok(None);
    }
    if found.used_at.is_some() {
        return end_replayed(tx, &found).map(|()| None);
    }
    if tx.latest() >= code.expires_at || !presented.is_of(code) || !may_sign_in(tx, code)? {
        return Ok(None);
    }
    let granted = open(tx, presented, code)?;
    let facts = code.scopes.is_openid().then(|| IdTokenFacts {
        user_id: code.user_id,
        authentication: code.authentication,
        browser_session: Some(code.browser_session.clone()),
        nonce: code.nonce.clone(),
        scopes: code.scopes,
        user: None,
    });
    let facts = facts.map(|facts| facts.with_user(tx)).transpose()?;
    Ok(Some((granted, facts)))
}

impl Presented {
    /// Whether the request is the one that the code was issued for.
    fn is_of(&self, code: &AuthorizationCode) -> bool {
        let is_verified = match (&code.challenge, &self.challenge) {
            (Some(expected), Some(given)) => {
                verify_slices_are_equal(expected.as_bytes(), given.as_bytes()).is_ok()
            }
            (None, None) => true,
            // A verifier without a challenge: the challenge was removed on the way (RFC 9700 §4.8.2).
            (Some(_), None) | (None, Some(_)) => false,
        };
        is_verified && self.redirect_uri.as_deref() == Some(&code.redirect_uri)
    }
}

/// Whether the user may (still) sign in: the session of the browser is alive, too, since its codes end with it.
fn may_sign_in(tx: &mut Tx<'_>, code: &AuthorizationCode) -> Result<bool> {
    let Some(user) = users::find(tx, code.user_id)? else { return Ok(false) };
    Ok(user.status == Status::Active && clients::is_known(tx, &code.client_id)?)
}

/// Opens the session of the tokens.
fn open(tx: &mut Tx<'_>, presented: &Presented, code: &AuthorizationCode) -> Result<Granted> {
    let has_refresh_token = presented.has_refresh_tokens && may_be_refreshed(code.scopes);
    let opening = Opening {
        client_id: &code.client_id,
        user_id: Some(code.user_id),
        origin: &presented.origin,
        scopes: code.scopes,
        browser_session: Some(&code.browser_session),
        restricted: None,
        signed_in: SignInFacts::default(),
        by_code: Some(OpeningByCode { authentication: code.authentication, has_refresh_token }),
    };
    let session = domain_sessions::open(tx, &opening)?;
    stored::set_used(tx, &presented.hash, &session.session_id)?;
    let after = json!({ "clientId": code.client_id, "address": presented.origin.address });
    events::record_session(tx, code.user_id, after, &session)?;
    tokens::issue(tx, &session)
}

/// OpenID Connect Core §11: without `offline_access` the tokens of an OpenID request cannot be refreshed.
fn may_be_refreshed(scopes: TokenScopes) -> bool {
    !scopes.is_openid() || scopes.contains(TokenScope::OfflineAccess)
}

fn end_replayed(tx: &mut Tx<'_>, found: &stored::StoredCode) -> Result<()> {
    if let Some(session_id) = &found.session_id
        && sessions::end(tx, session_id)?
    {
        events::record_user(tx, EventKind::SessionReplayed, found.code.user_id, None, None)?;
    }
    Ok(())
}

/// Removes codes that expired more than an hour ago, of all partners, at most `limit`. Returns their number.
///
/// # Errors
/// None of its own.
pub fn purge(tx: &mut Tx<'_>, limit: i64) -> Result<usize> {
    let before = tx.steady() - KEPT;
    stored::purge(tx, before, limit)
}
