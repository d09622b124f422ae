//! The userinfo endpoint (OpenID Connect Core §5.3): the claims of a user, by an access token with the scope `openid`.

use serde_json::{Map, Value, json};

use crate::claims::{Claim, ClaimSet, ClaimedUser};
use crate::services::Services;
use crate::{email_verifications, tokens};
use tenantry_core::error::{Error, Result, TokenError};
use tenantry_core::model::UserId;
use tenantry_core::scopes::TokenScope;
use tenantry_store::access::{Caller, Within, system_within};
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::{groups, partners, sessions, users};

/// The claims of the user of a token.
///
/// # Errors
/// [`Error::Unauthenticated`]; [`Error::Forbidden`] without the scope `openid`, or if a second factor must be added first.
pub async fn claims_of(services: &Services, token: &str) -> Result<(Caller, Value)> {
    let invalid = || Error::Unauthenticated(TokenError::Invalid);
    let caller = tokens::authenticate(services, token).await?;
    caller.require(TokenScope::OpenId)?;
    caller.restriction().map_or(Ok(()), |denial| Err(Error::Forbidden(denial)))?;
    let user_id = caller.user_id().ok_or_else(invalid)?;
    let (scopes, session_id) = (caller.scopes(), caller.session_id().to_owned());
    let read = move |tx: &mut Tx<'_, Within>| {
        let requested = ClaimSet::from_bits(sessions::userinfo_claims(tx, &session_id)?);
        let requested = requested.union(ClaimSet::of_scopes(scopes));
        Ok(find_user(tx, user_id, requested)?.map(|user| (user, requested)))
    };
    let found = services.store.read(&system_within(caller.pid()), read).await?;
    let (user, requested) = found.ok_or_else(invalid)?;
    let mut claims = Map::new();
    claims.insert(String::from("sub"), json!(user_id.to_string()));
    user.add_to(&mut claims, requested);
    Ok((caller, Value::Object(claims)))
}

/// What is known about a user, as far as these claims need it.
pub(super) fn find_user(tx: &mut Tx<'_>, user_id: UserId, claims: ClaimSet) -> Result<Option<ClaimedUser>> {
    let Some(user) = users::find(tx, user_id)? else { return Ok(None) };
    let has = |of: &[Claim]| of.iter().any(|claim| claims.contains(*claim));
    let is_email_verified = has(&[Claim::EmailVerified]) && email_verifications::is_verified(tx, user_id)?;
    let groups =
        if has(&[Claim::Groups, Claim::GroupIds]) { groups::names(tx, &user.groups)? } else { Vec::new() };
    let mut partner = String::new();
    if has(&[Claim::Partner]) {
        let pid = tx.pid();
        partner = partners::find(tx, pid)?.map(|partner| partner.name).unwrap_or_default();
    }
    Ok(Some(ClaimedUser { user, is_email_verified, groups, partner }))
}
