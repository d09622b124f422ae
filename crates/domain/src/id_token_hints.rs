//! `id_token_hint`: an ID token that says whom a client means. It is no proof of a login.

use crate::services::Services;
use crate::signing_keys;
use tenantry_core::error::Result;

/// An ID token that this server has signed. It may have expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IdTokenHint {
    /// The client that it was issued to.
    pub(super) client_id: String,
    /// The user.
    pub(super) sub: String,
}

/// Reads a hint; `None` if this server, as this issuer, has not signed it.
pub(super) async fn find(services: &Services, token: &str, issuer: &str) -> Result<Option<IdTokenHint>> {
    let claims = signing_keys::verify_hint(services, token).await?;
    Ok(claims.and_then(|claims| {
        let text = |name: &str| claims.get(name)?.as_str().map(str::to_owned);
        (text("iss")? == issuer).then_some(())?;
        Some(IdTokenHint { client_id: text("aud")?, sub: text("sub")? })
    }))
}
