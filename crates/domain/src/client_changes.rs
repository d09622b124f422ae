//! Creating, updating and revoking OAuth clients. Admins manage those of their partner, the operator also product clients; the
//! two kinds share their rules.

use serde_json::{Value, json};

use crate::clients::partner_of;
use crate::events::{self, EventKind};
use crate::services::Services;
use crate::unit;
use tenantry_core::clients::{
    Client, ClientAuthMethod, ClientGrant, ClientGrants, ClientKind, ClientSecret, MAX_SECRETS,
};
use tenantry_core::error::{Conflict, Error, FieldError, Missing, Result};
use tenantry_core::model::PartnerId;
use tenantry_core::redirect_uris::{self, MAX_URIS};
use tenantry_core::scopes::{TokenScope, TokenScopes};
use tenantry_core::signing_alg::SigningAlg;
use tenantry_store::access::{Admin, Operator, Within, nobody, system_within};
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::clients::{self, ClientPosition, StoredClient, StoredSecret};
use tenantry_store::tables::{partners, sessions};
use zeroize::Zeroizing;

/// A product client lists at most this many partners.
pub const MAX_PARTNERS: usize = 10_000;

/// What can be set of a client; `None` leaves a property unchanged, or gives a new client its default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientChange {
    /// For people. Checked by [`tenantry_core::values::label`].
    pub name: Option<String>,
    /// Whether its technical account is an admin.
    pub is_admin: Option<bool>,
    /// Where authorization codes may be sent.
    pub redirect_uris: Option<Vec<String>>,
    /// Where a browser may be sent after logging out.
    pub post_logout_redirect_uris: Option<Vec<String>>,
    /// The grants it may use. By default `authorization_code` and `refresh_token` if it has a redirect URI, otherwise all
    /// others.
    pub grants: Option<ClientGrants>,
    /// The scopes it may request. By default those of OpenID Connect if it has a redirect URI, otherwise those of the API.
    pub scopes: Option<TokenScopes>,
    /// What its ID tokens are signed with; RS256 by default.
    pub id_token_alg: Option<SigningAlg>,
    /// How it authenticates; by default in either way that its kind allows.
    pub auth_method: Option<ClientAuthMethod>,
    /// Whether users are asked to consent; by default only about a partner's client.
    pub needs_consent: Option<bool>,
    /// Whether it must use PKCE; by default it must.
    pub needs_pkce: Option<bool>,
    /// Whether users who have a second factor may log in through it with the password alone.
    pub password_alone: Option<bool>,
    /// The partners whose users a product client serves; `Some(None)` for all.
    pub partners: Option<Option<Vec<PartnerId>>>,
}

impl ClientChange {
    /// The client as it is after this change.
    fn of(&self, before: &Client) -> Client {
        fn sorted(mut partners: Vec<PartnerId>) -> Vec<PartnerId> {
            partners.sort_unstable();
            partners.dedup();
            partners
        }
        let change = self.clone();
        Client {
            name: change.name.unwrap_or_else(|| before.name.clone()),
            is_admin: change.is_admin.unwrap_or(before.is_admin),
            redirect_uris: change.redirect_uris.unwrap_or_else(|| before.redirect_uris.clone()),
            post_logout_redirect_uris: change
                .post_logout_redirect_uris
                .unwrap_or_else(|| before.post_logout_redirect_uris.clone()),
            grants: change.grants.unwrap_or(before.grants),
            scopes: change.scopes.unwrap_or(before.scopes),
            id_token_alg: change.id_token_alg.unwrap_or(before.id_token_alg),
            auth_method: change.auth_method.unwrap_or(before.auth_method),
            needs_consent: change.needs_consent.unwrap_or(before.needs_consent),
            needs_pkce: change.needs_pkce.unwrap_or(before.needs_pkce),
            password_alone: change.password_alone.unwrap_or(before.password_alone),
            partners: change.partners.map_or_else(|| before.partners.clone(), |list| list.map(sorted)),
            ..before.clone()
        }
    }
}

/// A client to make.
#[derive(Debug, Clone)]
pub struct NewClient {
    /// Whether it has a secret; it cannot be changed later.
    pub kind: ClientKind,
    /// Its properties, at least its name.
    pub settings: ClientChange,
}

/// A client that was just made, with its secret: it is returned once and stored as a hash.
pub struct MadeClient {
    /// The client.
    pub client: Client,
    /// The secret; `None` for a public client. Not `Debug`: it would be one `{:?}` away from a log.
    pub secret: Option<Zeroizing<String>>,
}

/// Creates a client of the transaction's partner.
///
/// # Errors
/// Not found if the partner does not exist; invalid settings.
pub fn create(tx: &mut Tx<'_, Admin>, new: &NewClient) -> Result<MadeClient> {
    crate::partners::require_own(tx)?;
    make(tx, new)
}

/// Creates a product client.
///
/// # Errors
/// Invalid settings.
pub fn create_product(tx: &mut Tx<'_, Operator>, new: &NewClient) -> Result<MadeClient> {
    tx.enter_partner(PartnerId(0));
    make(tx, new)
}

fn make(tx: &mut Tx<'_>, new: &NewClient) -> Result<MadeClient> {
    let (pid, now) = (tx.pid(), tx.now());
    let is_product = pid == PartnerId(0);
    let has_pages = new.settings.redirect_uris.as_ref().is_some_and(|uris| !uris.is_empty());
    let grants = if has_pages || is_product {
        ClientGrants::from_iter([ClientGrant::AuthorizationCode, ClientGrant::RefreshToken])
    } else {
        ClientGrants::WITHOUT_CODES
    };
    let defaults = Client {
        client_id: format!("cl_{pid}_{}", tx.random().token::<12>()),
        pid,
        name: String::new(),
        is_admin: false,
        kind: new.kind,
        redirect_uris: Vec::new(),
        post_logout_redirect_uris: Vec::new(),
        grants,
        scopes: if has_pages || is_product { TokenScopes::ALL_OPENID } else { TokenScopes::ALL_API },
        id_token_alg: SigningAlg::Rs256,
        auth_method: match new.kind {
            ClientKind::Confidential => ClientAuthMethod::AnySecret,
            ClientKind::Public => ClientAuthMethod::None,
        },
        needs_consent: !is_product,
        needs_pkce: true,
        password_alone: false,
        partners: None,
        secrets: Vec::new(),
        created_at: now,
        updated_at: now,
        version: 1,
    };
    let mut client = new.settings.of(&defaults);
    check(tx, &client)?;
    let (mut stored, mut secret) = (Vec::new(), None);
    if client.kind == ClientKind::Confidential {
        let (made, text) = make_secret(tx, 1);
        client.secrets.push(made.secret);
        stored.push(made);
        secret = Some(text);
    }
    clients::insert(tx, &client, &stored, &origins(&client))?;
    events::record(tx, EventKind::ClientCreated, None, Some(of_client(&client)))?;
    Ok(MadeClient { client, secret })
}

fn make_secret(tx: &Tx<'_>, secret_id: i64) -> (StoredSecret, Zeroizing<String>) {
    let text = Zeroizing::new(tx.random().token::<32>());
    let hash = tenantry_passwords::system_generated(&text);
    (StoredSecret { secret: ClientSecret { secret_id, created_at: tx.now() }, hash }, text)
}

/// The web origins of its redirect URIs.
fn origins(client: &Client) -> Vec<String> {
    let mut origins: Vec<_> =
        client.redirect_uris.iter().filter_map(|uri| redirect_uris::origin(uri)).collect();
    origins.sort_unstable();
    origins.dedup();
    origins
}

/// A client as an event shows it: without its secrets.
fn of_client(client: &Client) -> Value {
    let mut shown = json!({
        "clientId": client.client_id,
        "name": client.name,
        "isAdmin": client.is_admin,
        "kind": client.kind.name(),
        "redirectUris": client.redirect_uris,
        "postLogoutRedirectUris": client.post_logout_redirect_uris,
        "grants": client.grants.iter().map(ClientGrant::name).collect::<Vec<_>>(),
        "scopes": client.scopes.iter().map(TokenScope::name).collect::<Vec<_>>(),
        "idTokenAlg": client.id_token_alg.name(),
        "tokenEndpointAuthMethod": client.auth_method.name(),
        "requireConsent": client.needs_consent,
        "requirePkce": client.needs_pkce,
        "passwordWithoutSecondFactor": client.password_alone,
    });
    if let (true, Some(members)) = (client.is_product(), shown.as_object_mut()) {
        members.insert(String::from("partners"), json!(client.partners));
    }
    shown
}

/// Checks a client as a whole.
fn check(tx: &mut Tx<'_>, client: &Client) -> Result<()> {
    let mut errors = Vec::new();
    check_uris(client, &mut errors);
    check_grants(client, &mut errors);
    check_kind(client, &mut errors);
    for (index, pid) in client.partners.iter().flatten().enumerate().take(MAX_PARTNERS) {
        if errors.len() < MAX_URIS && partners::find(tx, *pid)?.is_none() {
            let detail = format!("there is no partner {pid}");
            errors.push(FieldError::new(format!("/partners/{index}"), "unknown-partner", detail));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Error::Invalid(errors)) }
}

fn check_uris(client: &Client, errors: &mut Vec<FieldError>) {
    let lists = [
        ("/redirectUris", &client.redirect_uris),
        ("/postLogoutRedirectUris", &client.post_logout_redirect_uris),
    ];
    for (field, uris) in lists {
        if uris.len() > MAX_URIS {
            let detail = format!("must have at most {MAX_URIS} elements");
            errors.push(FieldError::new(field, "too-many", detail));
            continue;
        }
        for (index, uri) in uris.iter().enumerate() {
            let place = format!("{field}/{index}");
            if let Err(error) = redirect_uris::check(uri, client.kind) {
                errors.push(error.at(place));
            } else if uris.iter().take(index).any(|other| other == uri) {
                errors.push(FieldError::new(place, "duplicate", "is in the list already"));
            }
        }
    }
}

fn check_grants(client: &Client, errors: &mut Vec<FieldError>) {
    let Client { grants, scopes, .. } = client;
    let has = |grant| grants.contains(grant);
    let mut error = |field: &'static str, code, detail: &'static str| {
        errors.push(FieldError::new(field, code, detail));
    };
    if grants.is_empty() {
        error("/grants", "empty", "must not be empty");
    }
    if has(ClientGrant::AuthorizationCode) && client.redirect_uris.is_empty() {
        error("/redirectUris", "required", "the grant authorization_code needs at least one redirect URI");
    }
    if has(ClientGrant::RefreshToken) && !has(ClientGrant::AuthorizationCode) && !has(ClientGrant::Password) {
        error("/grants", "grant-not-allowed", "refresh_token needs authorization_code or password");
    }
    if client.is_product() && (has(ClientGrant::Password) || has(ClientGrant::ClientCredentials)) {
        let detail = "a product client has only authorization_code and refresh_token";
        error("/grants", "grant-not-allowed", detail);
    } else if client.kind == ClientKind::Public
        && (has(ClientGrant::Password) || has(ClientGrant::ClientCredentials))
    {
        let detail = "a public client has only authorization_code and refresh_token";
        error("/grants", "grant-not-allowed", detail);
    } else if (has(ClientGrant::Password) || has(ClientGrant::ClientCredentials))
        && scopes.intersection(TokenScopes::ALL_API).is_empty()
    {
        error("/scopes", "scope-missing", "the grants password and client_credentials need read or write");
    }
    if scopes.is_empty() {
        error("/scopes", "empty", "must have at least one scope");
    } else if !scopes.is_openid() && !scopes.is_subset_of(TokenScopes::ALL_API) {
        error("/scopes", "scope-missing", "the scopes of OpenID Connect need openid");
    }
    if client.is_admin && !has(ClientGrant::ClientCredentials) {
        let detail = "only a technical account can be an admin: it needs the grant client_credentials";
        error("/isAdmin", "grant-not-allowed", detail);
    }
}

fn check_kind(client: &Client, errors: &mut Vec<FieldError>) {
    let is_public = client.kind == ClientKind::Public;
    let mut error = |field: &'static str, code, detail: &'static str| {
        errors.push(FieldError::new(field, code, detail));
    };
    if is_public != (client.auth_method == ClientAuthMethod::None) {
        let detail = "none is for public clients, and all others are for confidential ones";
        error("/tokenEndpointAuthMethod", "method-not-allowed", detail);
    }
    if is_public && !client.needs_pkce {
        error("/requirePkce", "pkce-required", "a public client always needs PKCE");
    }
    if client.is_product() && client.needs_consent {
        error("/requireConsent", "not-allowed", "users are never asked about a product client");
    }
    match &client.partners {
        Some(_) if !client.is_product() => {
            error("/partners", "not-allowed", "only a product client has a list of partners");
        }
        Some(list) if list.len() > MAX_PARTNERS => {
            error("/partners", "too-many", "must have at most 10,000 elements");
        }
        _ => {}
    }
}

/// The client of this id, in the transaction's partner, with its secrets.
fn get_stored(tx: &mut Tx<'_>, client_id: &str) -> Result<StoredClient> {
    if partner_of(client_id)? != tx.pid() {
        return Err(Error::NotFound(Missing::Client));
    }
    clients::find(tx, client_id)?.ok_or(Error::NotFound(Missing::Client))
}

/// One client of the partner.
///
/// # Errors
/// Not found, also for another partner's (B11).
pub fn get(tx: &mut Tx<'_, Admin>, client_id: &str) -> Result<Client> {
    Ok(get_stored(tx, client_id)?.client)
}

/// One product client.
///
/// # Errors
/// Not found.
pub fn get_product(tx: &mut Tx<'_, Operator>, client_id: &str) -> Result<Client> {
    tx.enter_partner(PartnerId(0));
    Ok(get_stored(tx, client_id)?.client)
}

/// The start of a list of clients of the partner, oldest first, and how many there are in all.
///
/// # Errors
/// Not found if the partner does not exist.
pub fn list_page(
    tx: &mut Tx<'_, Admin>,
    descending: bool,
    from: &ClientPosition,
    size: i64,
) -> Result<(i64, Vec<Client>)> {
    crate::partners::require_own(tx)?;
    Ok((clients::count(tx)?, clients::select(tx, descending, from, size)?))
}

/// As [`list_page`], of the product clients.
///
/// # Errors
/// None of its own.
pub fn list_products(
    tx: &mut Tx<'_, Operator>,
    descending: bool,
    from: &ClientPosition,
    size: i64,
) -> Result<(i64, Vec<Client>)> {
    tx.enter_partner(PartnerId(0));
    Ok((clients::count(tx)?, clients::select(tx, descending, from, size)?))
}

/// Changes a client of the partner.
///
/// # Errors
/// Not found; invalid settings.
pub fn update(tx: &mut Tx<'_, Admin>, client_id: &str, change: &ClientChange) -> Result<Client> {
    apply(tx, client_id, change)
}

/// Changes a product client. Sessions of partners that it no longer serves end at once.
///
/// # Errors
/// Not found; invalid settings.
pub fn update_product(tx: &mut Tx<'_, Operator>, client_id: &str, change: &ClientChange) -> Result<Client> {
    tx.enter_partner(PartnerId(0));
    apply(tx, client_id, change)
}

fn apply(tx: &mut Tx<'_>, client_id: &str, change: &ClientChange) -> Result<Client> {
    clients::lock_row(tx, client_id)?;
    let before = get_stored(tx, client_id)?.client;
    let mut after = change.of(&before);
    check(tx, &after)?;
    if let Some((old, new)) = events::difference(of_client(&before), of_client(&after)) {
        after.version += 1;
        after.updated_at = tx.now_after(before.updated_at);
        clients::update(tx, &after, &origins(&after))?;
        let [old, new] = [old, new].map(|picture| named(picture, client_id));
        events::record(tx, EventKind::ClientUpdated, Some(old), Some(new))?;
    }
    Ok(after)
}

/// With the client that it is about.
fn named(mut picture: Value, client_id: &str) -> Value {
    if let Some(members) = picture.as_object_mut() {
        members.insert(String::from("clientId"), json!(client_id));
    }
    picture
}

/// Revokes a client of the partner and all its tokens.
///
/// # Errors
/// Not found.
pub fn revoke(tx: &mut Tx<'_, Admin>, client_id: &str) -> Result<()> {
    get_stored(tx, client_id)?;
    sessions::delete_of_client(tx, client_id, i64::MAX)?;
    revoke_alone(tx, client_id)
}

/// As [`revoke`], but leaves its sessions to the caller.
pub(super) fn revoke_alone(tx: &mut Tx<'_>, client_id: &str) -> Result<()> {
    if !clients::delete(tx, client_id)? {
        return Err(Error::NotFound(Missing::Client));
    }
    events::record(tx, EventKind::ClientRevoked, Some(json!({ "clientId": client_id })), None)
}

/// Revokes a product client: none of its tokens is valid from now on. [`settle`] deletes its sessions.
///
/// # Errors
/// Not found.
pub fn revoke_product(tx: &mut Tx<'_, Operator>, client_id: &str) -> Result<()> {
    tx.enter_partner(PartnerId(0));
    if !clients::revoke_product(tx, client_id)? {
        return Err(Error::NotFound(Missing::Client));
    }
    events::record(tx, EventKind::ClientRevoked, Some(json!({ "clientId": client_id })), None)
}

/// Sessions per transaction.
const SESSIONS: i64 = 500;

/// Deletes the sessions that product clients may no longer have, in steps; until then they are invalid. Returns their number.
///
/// # Errors
/// Errors of the store. Completed steps stay.
pub async fn settle(services: &Services) -> Result<usize> {
    let mut done = 0;
    loop {
        let find = |tx: &mut Tx<'_, Within>| {
            let Some(client_id) = clients::find_unsettled_product(tx)? else { return Ok(None) };
            let left = clients::find_partner_left(tx, &client_id)?;
            Ok(Some((client_id, left)))
        };
        let Some((client_id, left)) = services.store.scan(&nobody(), find).await? else { return Ok(done) };
        if let Some(pid) = left {
            let delete = move |tx: &mut Tx<'_, Within>| sessions::delete_of_client(tx, &client_id, SESSIONS);
            done += unit::write_large(&services.store, &system_within(pid), delete).await?;
        } else {
            let settle = move |tx: &mut Tx<'_, Within>| clients::set_settled(tx, &client_id);
            unit::write(&services.store, &nobody(), settle).await?;
        }
    }
}

/// Adds a second secret to a client of the partner.
///
/// # Errors
/// Not found; `too-many-secrets`; `public-client`.
pub fn add_secret(tx: &mut Tx<'_, Admin>, client_id: &str) -> Result<(Client, Zeroizing<String>)> {
    grow(tx, client_id)
}

/// As [`add_secret`], for a product client.
///
/// # Errors
/// As [`add_secret`].
pub fn add_product_secret(tx: &mut Tx<'_, Operator>, client_id: &str) -> Result<(Client, Zeroizing<String>)> {
    tx.enter_partner(PartnerId(0));
    grow(tx, client_id)
}

fn grow(tx: &mut Tx<'_>, client_id: &str) -> Result<(Client, Zeroizing<String>)> {
    clients::lock_row(tx, client_id)?;
    let StoredClient { mut client, mut secrets } = get_stored(tx, client_id)?;
    if client.kind == ClientKind::Public {
        return Err(Conflict::state("public-client", "a public client has no secrets"));
    }
    if secrets.len() >= MAX_SECRETS {
        let detail = "the client has two secrets: remove one first";
        return Err(Conflict::state("too-many-secrets", detail));
    }
    let secret_id = secrets.iter().map(|stored| stored.secret.secret_id).max().unwrap_or(0) + 1;
    let (made, text) = make_secret(tx, secret_id);
    secrets.push(made);
    store_secrets(tx, &mut client, &secrets)?;
    let after = json!({ "clientId": client_id, "secretId": secret_id });
    events::record(tx, EventKind::ClientSecretAdded, None, Some(after))?;
    Ok((client, text))
}

/// Removes a secret of a client of the partner. Tokens that it has obtained stay valid.
///
/// # Errors
/// Not found; `last-secret`.
pub fn remove_secret(tx: &mut Tx<'_, Admin>, client_id: &str, secret_id: i64) -> Result<Client> {
    shrink(tx, client_id, secret_id)
}

/// As [`remove_secret`], for a product client.
///
/// # Errors
/// As [`remove_secret`].
pub fn remove_product_secret(tx: &mut Tx<'_, Operator>, client_id: &str, secret_id: i64) -> Result<Client> {
    tx.enter_partner(PartnerId(0));
    shrink(tx, client_id, secret_id)
}

fn shrink(tx: &mut Tx<'_>, client_id: &str, secret_id: i64) -> Result<Client> {
    clients::lock_row(tx, client_id)?;
    let StoredClient { mut client, mut secrets } = get_stored(tx, client_id)?;
    if !secrets.iter().any(|stored| stored.secret.secret_id == secret_id) {
        return Err(Error::NotFound(Missing::ClientSecret));
    }
    if secrets.len() == 1 {
        let detail = "it is the client's only secret: add another one first, or delete the client";
        return Err(Conflict::state("last-secret", detail));
    }
    secrets.retain(|stored| stored.secret.secret_id != secret_id);
    store_secrets(tx, &mut client, &secrets)?;
    let before = json!({ "clientId": client_id, "secretId": secret_id });
    events::record(tx, EventKind::ClientSecretRemoved, Some(before), None)?;
    Ok(client)
}

fn store_secrets(tx: &mut Tx<'_>, client: &mut Client, secrets: &[StoredSecret]) -> Result<()> {
    client.secrets = secrets.iter().map(|stored| stored.secret).collect();
    client.version += 1;
    client.updated_at = tx.now_after(client.updated_at);
    clients::set_secrets(tx, client, secrets)
}
