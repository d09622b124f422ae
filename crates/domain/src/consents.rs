//! Consents: what a user has allowed a client of the partner to learn. Product clients are the operator's, so nobody is
//! asked about them.

use serde_json::json;

use crate::events::{self, EventKind};
use tenantry_core::clients::Client;
use tenantry_core::clock::Millis;
use tenantry_core::error::{Error, Missing, Result};
use tenantry_core::model::{PartnerId, UserId};
use tenantry_core::scopes::TokenScopes;
use tenantry_store::access::Member;
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::{clients, consents, sessions};

pub use tenantry_store::tables::consents::Consent;

/// The scopes that a user has allowed a client.
///
/// # Errors
/// None of its own.
pub fn find(tx: &mut Tx<'_>, user_id: UserId, client_id: &str) -> Result<Option<TokenScopes>> {
    consents::find(tx, user_id, client_id)
}

/// Whether users of a partner are asked before a client learns something of them: only about clients of their own partner.
/// A product client is the operator's, and a client of another partner is refused.
pub fn is_asked(client: &Client, pid: PartnerId) -> bool {
    !client.is_product() && client.serves(pid)
}

/// Allows a client these scopes of the caller, in addition to those that it was allowed before.
///
/// # Errors
/// Not found if the client is not the partner's: it may have been revoked while the user was asked.
pub fn grant_own(tx: &mut Tx<'_, Member>, client_id: &str, scopes: TokenScopes) -> Result<()> {
    let user_id = tx.scope().user_id();
    if clients::find(tx, client_id)?.is_none() {
        return Err(Error::NotFound(Missing::Client));
    }
    tenantry_store::tables::users::lock_row(tx, user_id)?;
    let before = consents::find(tx, user_id, client_id)?.unwrap_or(TokenScopes::NONE);
    let after = before.union(scopes);
    if after == before {
        return Ok(());
    }
    consents::set(tx, user_id, client_id, after)?;
    let shown = |scopes: TokenScopes| json!({ "clientId": client_id, "scope": scopes.names() });
    let before = (!before.is_empty()).then(|| shown(before));
    events::record_user(tx, EventKind::ConsentGranted, user_id, before, Some(shown(after)))
}

/// The clients that the user has allowed something, oldest consent first, at most `size` after the given one.
///
/// # Errors
/// None of its own.
pub fn list_own(tx: &mut Tx<'_, Member>, after: Option<(Millis, &str)>, size: i64) -> Result<Vec<Consent>> {
    let user_id = tx.scope().user_id();
    consents::list(tx, user_id, after, size)
}

/// Withdraws what the user has allowed a client, and ends the sessions of the user that were opened through it.
///
/// # Errors
/// Not found.
pub fn withdraw_own(tx: &mut Tx<'_, Member>, client_id: &str) -> Result<()> {
    let user_id = tx.scope().user_id();
    sessions::end_of_client(tx, user_id, client_id)?;
    let before = consents::find(tx, user_id, client_id)?;
    if !consents::delete(tx, user_id, client_id)? {
        return Err(Error::NotFound(Missing::Consent));
    }
    let before = json!({ "clientId": client_id, "scope": before.map(TokenScopes::names) });
    events::record_user(tx, EventKind::ConsentWithdrawn, user_id, Some(before), None)
}
