//! OAuth clients (RFC 6749 §2): the built-in public one, those of a partner, and product clients, which the operator makes
//! for the users of several partners. How they are made and changed is in [`crate::client_changes`].
//!
//! A client's id is `cl_<partner>_<random>`, with partner 0 for a product client; earlier versions wrote dots. The partner
//! leads, as in a token.

use zeroize::Zeroizing;

use crate::services::Services;
use crate::token_text;
use tenantry_core::clients::{ClientAuthMethod, ClientGrant, ClientKind};
use tenantry_core::error::{Error, GrantError, Missing, Result};
use tenantry_core::redirect_uris;
use tenantry_core::scopes::TokenScopes;
use tenantry_store::access::{Within, nobody, system_within};

use tenantry_core::model::{Client, PUBLIC_CLIENT, PartnerId};
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::clients::{self, StoredClient};
use tenantry_store::tables::partners;

/// An authenticated client (RFC 6749 §2.3).
#[derive(Debug, Clone)]
pub enum ClientIdentity {
    /// The built-in public client.
    BuiltIn,
    /// A registered client without a secret: anybody can claim to be it.
    Public(Client),
    /// A client that has proved to know its secret.
    Confidential(Client),
}

impl ClientIdentity {
    /// Its `client_id`.
    pub fn client_id(&self) -> &str {
        self.client().map_or(PUBLIC_CLIENT, |client| &client.client_id)
    }

    /// The registered client; `None` for the built-in one.
    pub fn client(&self) -> Option<&Client> {
        match self {
            Self::BuiltIn => None,
            Self::Public(client) | Self::Confidential(client) => Some(client),
        }
    }

    /// Whether it may use tokens of this partner (B28).
    pub fn serves(&self, pid: PartnerId) -> bool {
        self.client().is_none_or(|client| client.serves(pid))
    }

    /// Refuses a grant that the client is not registered for. The built-in client has `password` and `refresh_token`.
    ///
    /// # Errors
    /// `unauthorized_client`.
    pub fn require(&self, grant: ClientGrant) -> Result<()> {
        let is_allowed = match self.client() {
            None => matches!(grant, ClientGrant::Password | ClientGrant::RefreshToken),
            Some(client) => client.grants.contains(grant),
        };
        if is_allowed {
            return Ok(());
        }
        let detail = match (self, grant) {
            (Self::BuiltIn | Self::Public(_), ClientGrant::ClientCredentials) => {
                String::from("a public client cannot use this grant")
            }
            _ => format!("the client is not registered for the grant {}", grant.name()),
        };
        Err(Error::Grant(GrantError::UnauthorizedClient, detail.into()))
    }

    /// The scopes of a login without pages: those of the API that are requested, or all if none of these is named. The
    /// client must be registered for them.
    ///
    /// # Errors
    /// `invalid_scope` if it is not registered for a requested scope, or for none of the API.
    pub(super) fn api_scopes(&self, requested: TokenScopes) -> Result<TokenScopes> {
        let allowed = self.client().map_or(TokenScopes::ALL, |client| client.scopes);
        let requested = requested.intersection(TokenScopes::ALL_API);
        let granted =
            if requested.is_empty() { allowed.intersection(TokenScopes::ALL_API) } else { requested };
        if granted.is_empty() || !granted.is_subset_of(allowed) {
            let detail = "the client is not registered for this scope";
            return Err(Error::Grant(GrantError::InvalidScope, detail.into()));
        }
        Ok(granted)
    }
}

/// The same error for an unknown client, a wrong secret and a deleted client.
pub(super) fn unknown() -> Error {
    Error::Grant(GrantError::InvalidClient, "unknown client or wrong secret".into())
}

/// Authenticates a client that identified itself in the way of `method`.
///
/// # Errors
/// `invalid_client`, with the same text for an unknown client, a wrong secret and another method than it is registered for.
pub async fn authenticate(
    services: &Services,
    client_id: &str,
    secret: Option<Zeroizing<String>>,
    method: ClientAuthMethod,
) -> Result<ClientIdentity> {
    let secret = secret.filter(|secret| !secret.is_empty());
    if client_id == PUBLIC_CLIENT {
        // It has no secret: a request with one means another client.
        return if secret.is_none() { Ok(ClientIdentity::BuiltIn) } else { Err(unknown()) };
    }
    let StoredClient { client, secrets } = find_stored(services, client_id).await?.ok_or_else(unknown)?;
    match secret {
        // Also with HTTP Basic and an empty password, as some libraries do.
        None if client.kind == ClientKind::Public => Ok(ClientIdentity::Public(client)),
        Some(secret) if client.auth_method.admits(method) => {
            // Both are compared, whichever it is.
            let is_right = secrets.iter().fold(false, |is_right, stored| {
                tenantry_passwords::is_system_generated(&secret, &stored.hash) | is_right
            });
            if is_right { Ok(ClientIdentity::Confidential(client)) } else { Err(unknown()) }
        }
        _ => Err(unknown()),
    }
}

/// A registered client; `None` if it is unknown or revoked, or its partner is suspended. The built-in client is not registered.
///
/// # Errors
/// None of its own.
pub async fn find(services: &Services, client_id: &str) -> Result<Option<Client>> {
    Ok(find_stored(services, client_id).await?.map(|stored| stored.client))
}

async fn find_stored(services: &Services, client_id: &str) -> Result<Option<StoredClient>> {
    let Some(pid) = token_text::partner_of_client(client_id) else { return Ok(None) };
    let id = client_id.to_owned();
    if pid == PartnerId(0) {
        return services.store.read(&nobody(), move |tx| clients::find(tx, &id)).await;
    }
    let find = move |tx: &mut Tx<'_, Within>| {
        if partners::is_suspended(tx, pid)? { Ok(None) } else { clients::find(tx, &id) }
    };
    services.store.read(&system_within(pid), find).await
}

/// Whether a URI is one of the client's redirect URIs: exactly, but for the port of a loopback IP address (RFC 8252 §7.3).
pub fn matches_redirect_uri(client: &Client, uri: &str) -> bool {
    client.redirect_uris.iter().any(|registered| redirect_uris::matches(registered, uri))
}

/// Whether a URI is one of the client's post-logout redirect URIs; compared in the same way.
pub fn matches_post_logout_redirect_uri(client: &Client, uri: &str) -> bool {
    client.post_logout_redirect_uris.iter().any(|registered| redirect_uris::matches(registered, uri))
}

/// The longest origin that is looked up, in bytes: a host has at most 253.
const ORIGIN_MAX: usize = 300;

/// Whether scripts of a web origin may use the endpoints of clients: whether any client has a redirect URI of this origin,
/// whichever client sends the request, since a preflight request does not say.
pub async fn allows_origin(services: &Services, origin: &str) -> bool {
    let is_web = origin.starts_with("https://") || origin.starts_with("http://");
    if !is_web || origin.len() > ORIGIN_MAX || !origin.bytes().all(|b| b.is_ascii_graphic()) {
        return false;
    }
    // The request itself meets the same error.
    services.store.is_client_origin(origin).await.unwrap_or(false)
}

/// The partner of a `client_id`; 0 for a product client.
///
/// # Errors
/// Not found.
pub fn partner_of(client_id: &str) -> Result<PartnerId> {
    token_text::partner_of_client(client_id).ok_or(Error::NotFound(Missing::Client))
}

/// Whether tokens of the transaction's partner can still be issued to a client: since it was authenticated it may have been
/// revoked, or its partner suspended.
///
/// # Errors
/// None of its own.
pub fn is_known(tx: &mut Tx<'_>, client_id: &str) -> Result<bool> {
    let pid = tx.pid();
    Ok((client_id == PUBLIC_CLIENT || clients::is_known(tx, client_id)?) && !partners::is_suspended(tx, pid)?)
}
