//! Authorization codes. Stored as hashes only. They end with their browser session, by a foreign key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::engine::cache::TokenHash;
use crate::engine::driver::DbError;
use crate::engine::tx::Tx;
use tenantry_core::clock::Millis;
use tenantry_core::error::{Error, Result, TokenError};
use tenantry_core::model::UserId;
use tenantry_core::scopes::TokenScopes;

fn stored(hash: &TokenHash) -> String {
    URL_SAFE_NO_PAD.encode(hash)
}

/// What a code was issued for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizationCode {
    /// The client that may exchange it.
    pub client_id: String,
    /// The user who signed in.
    pub user_id: UserId,
    /// The browser session in which it was requested.
    pub browser_session: String,
    /// The redirect URI that it was sent to.
    pub redirect_uri: String,
    /// The PKCE challenge (S256).
    pub challenge: Option<String>,
    /// The nonce of the request.
    pub nonce: Option<String>,
    /// What was granted.
    pub scopes: TokenScopes,
    /// How the user signed in, and which claims were requested.
    pub authentication: Authentication,
    /// When it expires.
    pub expires_at: Millis,
}

/// How the user of a session signed in, and which single claims its client requested; all 0 if that was not on the pages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Authentication {
    /// When the user gave the password.
    pub auth_time: Millis,
    /// The authentication context class.
    pub acr: i64,
    /// The authentication methods, as bits.
    pub amr: i64,
    /// Claims of ID tokens, as bits.
    pub id_token_claims: i64,
    /// Claims of the userinfo endpoint, as bits.
    pub userinfo_claims: i64,
}

/// Stores a code.
///
/// # Errors
/// [`Error::Unauthenticated`] if the browser session has ended.
pub fn insert(tx: &mut Tx<'_>, hash: &TokenHash, code: &AuthorizationCode) -> Result<()> {
    let of = &code.authentication;
    tx.execute_later(
        "INSERT INTO authorization_codes (pid, code_hash, client_id, user_id, browser_session, redirect_uri, challenge, \
         nonce, scopes, auth_time, acr, amr, id_token_claims, userinfo_claims, expires_at, used_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 0)",
        &[
            (&stored(hash)).into(),
            (&code.client_id).into(),
            code.user_id.into(),
            (&code.browser_session).into(),
            (&code.redirect_uri).into(),
            code.challenge.as_deref().into(),
            code.nonce.as_deref().into(),
            code.scopes.to_bits().into(),
            of.auth_time.into(),
            of.acr.into(),
            of.amr.into(),
            of.id_token_claims.into(),
            of.userinfo_claims.into(),
            code.expires_at.into(),
        ],
        session_has_ended,
    )
}

/// Whether a user who may sign in has this browser session, and it may have codes: it is not one that must first change the
/// password.
pub fn is_session_of(tx: &mut Tx<'_>, browser_session: &str, user_id: UserId) -> Result<bool> {
    let now = tx.latest();
    let found = tx.row(
        "SELECT 1 FROM browser_sessions b JOIN users u ON u.pid = b.pid AND u.user_id = b.user_id \
         WHERE b.pid = $1 AND b.session_id = $2 AND b.user_id = $3 AND b.restricted = 0 AND b.ends_at > $4 AND u.status = 0",
        &[browser_session.into(), user_id.into(), now.into()],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

fn session_has_ended(e: DbError) -> Error {
    if matches!(e, DbError::Dangling) { Error::Unauthenticated(TokenError::Invalid) } else { e.into() }
}

/// A stored code, and the session that it was exchanged for; the empty text before.
#[derive(Debug, Clone)]
pub struct StoredCode {
    /// The code.
    pub code: AuthorizationCode,
    /// When it was exchanged.
    pub used_at: Option<Millis>,
    /// The session that the exchange opened.
    pub session_id: Option<String>,
}

/// A code by its hash.
pub fn find(tx: &mut Tx<'_>, hash: &TokenHash) -> Result<Option<StoredCode>> {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    tx.row(
        "SELECT client_id, user_id, browser_session, redirect_uri, challenge, nonce, scopes, auth_time, acr, amr, \
         id_token_claims, userinfo_claims, expires_at, used_at, session_id FROM authorization_codes \
         WHERE pid = $1 AND code_hash = $2",
        &[(&stored(hash)).into()],
        |row| {
            let authentication = Authentication {
                auth_time: row.int(7)?,
                acr: row.int(8)?,
                amr: row.int(9)?,
                id_token_claims: row.int(10)?,
                userinfo_claims: row.int(11)?,
            };
            let code = AuthorizationCode {
                client_id: row.text(0)?.to_owned(),
                user_id: UserId(row.int(1)?),
                browser_session: row.text(2)?.to_owned(),
                redirect_uri: row.text(3)?.to_owned(),
                challenge: owned(row.opt_text(4)?),
                nonce: owned(row.opt_text(5)?),
                scopes: TokenScopes::from_bits(row.int(6)?),
                authentication,
                expires_at: row.int(12)?,
            };
            let used_at = Some(row.int(13)?).filter(|&at| at != 0);
            Ok(StoredCode { code, used_at, session_id: owned(row.opt_text(14)?) })
        },
    )
}

/// Marks a code as exchanged for this session.
pub fn set_used(tx: &mut Tx<'_>, hash: &TokenHash, session_id: &str) -> Result<()> {
    let now = tx.now();
    tx.execute(
        "UPDATE authorization_codes SET used_at = $3, session_id = $4 WHERE pid = $1 AND code_hash = $2",
        &[(&stored(hash)).into(), now.into(), session_id.into()],
    )?;
    Ok(())
}

/// Deletes the codes of a user for a client.
pub(super) fn delete_of(tx: &mut Tx<'_>, user_id: UserId, client_id: &str) -> Result<()> {
    tx.execute(
        "DELETE FROM authorization_codes WHERE pid = $1 AND client_id = $3 AND browser_session IN \
         (SELECT b.session_id FROM browser_sessions b WHERE b.pid = $1 AND b.user_id = $2)",
        &[user_id.into(), client_id.into()],
    )?;
    Ok(())
}

/// Deletes codes that expired before `before`, of all partners, at most `limit`. Returns their number.
pub fn purge(tx: &mut Tx<'_>, before: Millis, limit: i64) -> Result<usize> {
    let take = tx.dialect().take_rows();
    let gone = tx.unscoped().execute(
        &format!(
            "DELETE FROM authorization_codes WHERE (pid, code_hash) IN (SELECT c.pid, c.code_hash \
             FROM authorization_codes c WHERE c.expires_at < $1 ORDER BY c.expires_at LIMIT $2{take})"
        ),
        &[before.into(), limit.into()],
    )?;
    Ok(gone)
}
