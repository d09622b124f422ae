//! OAuth clients (RFC 6749 §2): the built-in public one, and the confidential ones of a partner.
//!
//! A confidential client's id is `cl.<partner>.<random>`: the partner leads, as in a token.

use serde_json::json;
use zeroize::Zeroizing;

use crate::events::{self, EventKind};
use crate::services::Services;
use crate::token_text;
use tenantry_core::error::{Error, GrantError, Missing, Result};
use tenantry_store::access::{Operator, system_within};

use tenantry_core::model::{Client, PUBLIC_CLIENT, PartnerId};
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::{partners, sessions};

/// An authenticated client (RFC 6749 §2.3).
#[derive(Debug, Clone)]
pub enum ClientIdentity {
    /// The built-in public client.
    Public,
    /// A confidential client with its secret.
    Confidential(Client),
}

impl ClientIdentity {
    /// Its `client_id`.
    pub fn client_id(&self) -> &str {
        match self {
            Self::Public => PUBLIC_CLIENT,
            Self::Confidential(client) => &client.client_id,
        }
    }

    /// Whether it may use tokens of this partner (B28).
    pub fn serves(&self, pid: PartnerId) -> bool {
        match self {
            Self::Public => true,
            Self::Confidential(client) => client.pid == pid,
        }
    }
}

/// The same error for an unknown client, a wrong secret and a deleted client.
pub(super) fn unknown() -> Error {
    Error::Grant(GrantError::InvalidClient, "unknown client or wrong secret".into())
}

/// Authenticates a client.
///
/// # Errors
/// `invalid_client`, with the same text for an unknown client and a wrong secret.
pub async fn authenticate(
    services: &Services,
    client_id: &str,
    secret: Option<Zeroizing<String>>,
) -> Result<ClientIdentity> {
    let refused = unknown;
    if client_id == PUBLIC_CLIENT {
        // It has no secret: a request with one means another client.
        return if secret.is_none_or(|s| s.is_empty()) { Ok(ClientIdentity::Public) } else { Err(refused()) };
    }
    let (Some(pid), Some(secret)) = (token_text::partner_of(client_id, "cl"), secret) else {
        return Err(refused());
    };
    let id = client_id.to_owned();
    let found = services
        .store
        .scan(&system_within(pid), move |tx| {
            if partners::is_suspended(tx, pid)? { Ok(None) } else { sessions::find_client(tx, &id) }
        })
        .await?;
    let (client, stored) = found.ok_or_else(refused)?;
    if tenantry_passwords::is_system_generated(&secret, &stored) {
        Ok(ClientIdentity::Confidential(client))
    } else {
        Err(refused())
    }
}

/// Creates a confidential client; its secret is returned once and stored as a hash.
///
/// # Errors
/// None of its own.
pub fn create(tx: &mut Tx<'_, Operator>, name: &str, is_admin: bool) -> Result<(Client, String)> {
    crate::partners::require_own(tx)?;
    let pid = tx.pid();
    let client_id = format!("cl.{pid}.{}", tx.random().token::<12>());
    let secret = tx.random().token::<32>();
    let client = Client { client_id, pid, name: name.to_owned(), is_admin, created_at: tx.now() };
    sessions::insert_client(tx, &client, &tenantry_passwords::system_generated(&secret))?;
    let after = json!({ "clientId": client.client_id, "name": name, "isAdmin": is_admin });
    events::record(tx, EventKind::ClientCreated, None, Some(after))?;
    Ok((client, secret))
}

/// The partner of a `client_id`.
///
/// # Errors
/// Not found.
pub fn partner_of(client_id: &str) -> Result<PartnerId> {
    token_text::partner_of(client_id, "cl").ok_or(Error::NotFound(Missing::Client))
}

/// The clients of a partner.
///
/// # Errors
/// Not found if the partner does not exist.
pub fn list(tx: &mut Tx<'_, Operator>) -> Result<Vec<Client>> {
    crate::partners::require_own(tx)?;
    sessions::list_clients(tx)
}

/// Revokes a client and all its tokens.
///
/// # Errors
/// Not found.
pub fn revoke(tx: &mut Tx<'_, Operator>, client_id: &str) -> Result<()> {
    sessions::delete_of_client(tx, client_id, i64::MAX)?;
    revoke_alone(tx, client_id)
}

/// As [`revoke`], but leaves its sessions to the caller.
pub(super) fn revoke_alone(tx: &mut Tx<'_, Operator>, client_id: &str) -> Result<()> {
    if !sessions::delete_client(tx, client_id)? {
        return Err(Error::NotFound(Missing::Client));
    }
    events::record(tx, EventKind::ClientRevoked, Some(json!({ "clientId": client_id })), None)
}

/// Whether tokens can still be issued to a client: since it was authenticated it may have been revoked, or its partner
/// suspended.
pub(super) fn is_known(tx: &mut Tx<'_>, client_id: &str) -> Result<bool> {
    let pid = tx.pid();
    Ok((client_id == PUBLIC_CLIENT || sessions::find_client(tx, client_id)?.is_some())
        && !partners::is_suspended(tx, pid)?)
}
