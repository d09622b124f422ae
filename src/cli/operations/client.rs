//! What commands ask for on OAuth clients.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cli::args::ClientSettings;
use crate::cli::operations::checks::Checks;
use tenantry_core::clients::{Client, ClientAuthMethod, ClientGrant, ClientKind};
use tenantry_core::clock::rfc3339;
use tenantry_core::error::{Error, FieldError, Result};
use tenantry_core::model::PartnerId;
use tenantry_core::scopes::TokenScope;
use tenantry_core::signing_alg::SigningAlg;
use tenantry_core::values;
use tenantry_domain::client_changes::{self, ClientChange, MadeClient, NewClient};
use tenantry_domain::services::Services;
use tenantry_domain::signing_keys;
use tenantry_domain::unit::{self, WriteOptions};
use tenantry_domain::{bulk_operations, clients};
use tenantry_store::access::{Admin, Operator};
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::clients::ClientPosition;

/// Operations on OAuth clients. The fields are the flags of these names, see args/client.rs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum ClientOperation {
    /// Make one, of a partner or a product client.
    Create { pid: Option<PartnerId>, name: String, public: bool, admin: bool, settings: ClientSettings },
    /// A partner's, or the product clients.
    List { pid: Option<PartnerId> },
    /// Change one.
    Update { client_id: String, name: Option<String>, settings: ClientSettings },
    /// End one with its tokens.
    Revoke { client_id: String },
    /// Make a second secret.
    AddSecret { client_id: String },
    /// Remove one of two secrets.
    RemoveSecret { client_id: String, secret_id: i64 },
}

impl ClientOperation {
    /// See [`super::Operation::run`].
    pub(crate) async fn run(self, services: &Services, by: Operator) -> Result<Value> {
        match self {
            Self::Create { pid, name, public, admin, settings } => {
                let mut change = change_of(Some(&name), &settings)?;
                if admin {
                    change.is_admin = Some(true);
                }
                let kind = if public { ClientKind::Public } else { ClientKind::Confidential };
                create(services, by, pid, NewClient { kind, settings: change }).await
            }
            Self::List { pid } => {
                let from = ClientPosition::Offset(0);
                let (_, found) = match pid {
                    Some(pid) => {
                        let list = move |tx: &mut Tx<'_, Admin>| {
                            client_changes::list_page(tx, false, &from, i64::MAX)
                        };
                        services.store.scan(&by.as_admin_of(pid), list).await?
                    }
                    None => {
                        let list = move |tx: &mut Tx<'_, Operator>| {
                            client_changes::list_products(tx, false, &from, i64::MAX)
                        };
                        services.store.scan(&by, list).await?
                    }
                };
                Ok(found.iter().map(shape).collect())
            }
            Self::Update { client_id, name, settings } => {
                let change = change_of(name.as_deref(), &settings)?;
                let whole = change.clone();
                let changed = change_client(services, by, client_id, move |tx, id| match tx {
                    Reach::Partner(tx) => client_changes::update(tx, id, &change),
                    Reach::Product(tx) => client_changes::update_product(tx, id, &change),
                });
                let client = changed.await.map_err(|error| by_flags(error, &whole))?;
                signing_keys::make_missing(services);
                Ok(shape(&client))
            }
            Self::Revoke { client_id } => {
                revoke(services, by, &client_id).await?;
                Ok(json!({ "client_id": client_id, "revoked": true }))
            }
            Self::AddSecret { client_id } => {
                let added = change_client(services, by, client_id, |tx, id| match tx {
                    Reach::Partner(tx) => client_changes::add_secret(tx, id),
                    Reach::Product(tx) => client_changes::add_product_secret(tx, id),
                });
                let (client, secret) = added.await?;
                Ok(with_secret(&client, Some(&secret)))
            }
            Self::RemoveSecret { client_id, secret_id } => {
                let removed = change_client(services, by, client_id, move |tx, id| match tx {
                    Reach::Partner(tx) => client_changes::remove_secret(tx, id, secret_id),
                    Reach::Product(tx) => client_changes::remove_product_secret(tx, id, secret_id),
                });
                Ok(shape(&removed.await?))
            }
        }
    }
}

/// A transaction in the partner of a client, or the operator's.
enum Reach<'t, 'c> {
    Partner(&'t mut Tx<'c, Admin>),
    Product(&'t mut Tx<'c, Operator>),
}

/// Changes a client, wherever it is.
async fn change_client<T: Send + 'static>(
    services: &Services,
    by: Operator,
    client_id: String,
    work: impl Fn(Reach<'_, '_>, &str) -> Result<T> + Send + 'static,
) -> Result<T> {
    let pid = clients::partner_of(&client_id)?;
    if pid == PartnerId(0) {
        unit::write(&services.store, &by, move |tx| work(Reach::Product(tx), &client_id)).await
    } else {
        let by = by.as_admin_of(pid);
        unit::write(&services.store, &by, move |tx| work(Reach::Partner(tx), &client_id)).await
    }
}

async fn create(services: &Services, by: Operator, pid: Option<PartnerId>, new: NewClient) -> Result<Value> {
    let store = &services.store;
    let whole = new.settings.clone();
    let made = match pid {
        Some(pid) => {
            let create = move |tx: &mut Tx<'_, Admin>| client_changes::create(tx, &new);
            unit::write(store, &by.as_admin_of(pid), create).await
        }
        None => {
            let create = move |tx: &mut Tx<'_, Operator>| client_changes::create_product(tx, &new);
            unit::write(store, &by, create).await
        }
    };
    let MadeClient { client, secret } = made.map_err(|error| by_flags(error, &whole))?;
    signing_keys::make_missing(services);
    Ok(with_secret(&client, secret.as_deref()))
}

async fn revoke(services: &Services, by: Operator, client_id: &str) -> Result<()> {
    let pid = clients::partner_of(client_id)?;
    if pid == PartnerId(0) {
        let id = client_id.to_owned();
        return unit::write(&services.store, &by, move |tx| client_changes::revoke_product(tx, &id)).await;
    }
    let (by, options) = (by.as_admin_of(pid), WriteOptions::default());
    bulk_operations::revoke_client(services, &by, options, client_id).await.map(drop)
}

/// What the flags say.
fn change_of(name: Option<&str>, flags: &ClientSettings) -> Result<ClientChange> {
    let mut checks = Checks::default();
    let mut change = ClientChange {
        redirect_uris: uris(&flags.redirect_uri),
        post_logout_redirect_uris: uris(&flags.post_logout_redirect_uri),
        needs_consent: flags.require_consent,
        needs_pkce: flags.require_pkce,
        password_alone: flags.password_without_second_factor,
        ..ClientChange::default()
    };
    if let Some(name) = name {
        change.name = checks.see("--name", values::label(name)).map(str::to_owned);
    }
    let grants = names("grant", &flags.grant, ClientGrant::parse, ClientGrant::ALL.map(ClientGrant::name));
    change.grants = checks.see("--grant", grants).flatten().map(FromIterator::from_iter);
    let scopes = names("scope", &flags.scope, TokenScope::parse, TokenScope::ALL.map(TokenScope::name));
    change.scopes = checks.see("--scope", scopes).flatten().map(FromIterator::from_iter);
    let alg: Vec<_> = flags.id_token_alg.iter().cloned().collect();
    let alg = names("algorithm", &alg, SigningAlg::parse, SigningAlg::ALL.map(SigningAlg::name));
    change.id_token_alg = checks.see("--id-token-alg", alg).flatten().and_then(|list| list.first().copied());
    let method: Vec<_> = flags.auth_method.iter().cloned().collect();
    let known = ClientAuthMethod::ALL.map(ClientAuthMethod::name);
    let method = names("method", &method, ClientAuthMethod::parse, known);
    change.auth_method = checks.see("--auth-method", method).flatten().and_then(|list| list.first().copied());
    change.partners = match (flags.allow_all_partners, flags.allow_partner.as_slice()) {
        (true, _) => Some(None),
        (false, []) => None,
        (false, list) => Some(Some(list.to_vec())),
    };
    checks.finish(Some(change))
}

/// The URIs of a flag; an empty one alone is none at all.
fn uris(given: &[String]) -> Option<Vec<String>> {
    match given {
        [] => None,
        [only] if only.is_empty() => Some(Vec::new()),
        list => Some(list.to_vec()),
    }
}

/// The values of a flag, separated by spaces or repeated.
fn names<T, const N: usize>(
    what: &str,
    given: &[String],
    parse: impl Fn(&str) -> Option<T>,
    known: [&'static str; N],
) -> Result<Option<Vec<T>>, FieldError> {
    if given.is_empty() {
        return Ok(None);
    }
    let parse = |name| {
        parse(name).ok_or_else(|| {
            let detail = format!("unknown {what}: must be one of {}", known.join(", "));
            FieldError::of_value("unknown-value", detail)
        })
    };
    given
        .iter()
        .flat_map(|value| value.split_whitespace())
        .map(parse)
        .collect::<Result<Vec<_>, _>>()
        .map(Some)
}

/// The same errors, of flags instead of members of a body.
fn by_flags(error: Error, change: &ClientChange) -> Error {
    let Error::Invalid(errors) = error else { return error };
    let flag_of = |error: FieldError| {
        let mut parts = error.field.trim_start_matches('/').split('/');
        let (member, index) = (parts.next().unwrap_or_default(), parts.next());
        let index = index.and_then(|index| index.parse::<usize>().ok());
        let nth = |list: &Option<Vec<String>>| {
            index.and_then(|at| list.as_ref()?.get(at).map(|uri| format!(" {uri}"))).unwrap_or_default()
        };
        let flag = match member {
            "redirectUris" => format!("--redirect-uri{}", nth(&change.redirect_uris)),
            "postLogoutRedirectUris" => {
                format!("--post-logout-redirect-uri{}", nth(&change.post_logout_redirect_uris))
            }
            "grants" => String::from("--grant"),
            "scopes" => String::from("--scope"),
            "isAdmin" => String::from("--admin"),
            "idTokenAlg" => String::from("--id-token-alg"),
            "tokenEndpointAuthMethod" => String::from("--auth-method"),
            "requireConsent" => String::from("--require-consent"),
            "requirePkce" => String::from("--require-pkce"),
            "passwordWithoutSecondFactor" => String::from("--password-without-second-factor"),
            "partners" => String::from("--allow-partner"),
            other => format!("--{other}"),
        };
        error.at(flag)
    };
    Error::Invalid(errors.into_iter().map(flag_of).collect())
}

/// A client with a secret that is shown once.
fn with_secret(client: &Client, secret: Option<&String>) -> Value {
    let mut told = json!({ "client_id": client.client_id });
    if let Value::Object(members) = &mut told {
        if let Some(secret) = secret {
            members.insert(String::from("client_secret"), json!(secret));
        }
        if let Value::Object(rest) = shape(client) {
            members.extend(rest);
        }
    }
    told
}

/// A client; `client_id` is spelt as RFC 6749 does.
fn shape(client: &Client) -> Value {
    let secret = |secret: &tenantry_core::clients::ClientSecret| json!({ "secretId": secret.secret_id, "createdAt": rfc3339(secret.created_at) });
    json!({
        "client_id": client.client_id,
        "name": client.name,
        "pid": Some(client.pid).filter(|_| !client.is_product()),
        "kind": client.kind.name(),
        "isAdmin": client.is_admin,
        "redirectUris": client.redirect_uris,
        "postLogoutRedirectUris": client.post_logout_redirect_uris,
        "grants": client.grants.iter().map(ClientGrant::name).collect::<Vec<_>>(),
        "scopes": client.scopes.iter().map(TokenScope::name).collect::<Vec<_>>(),
        "idTokenAlg": client.id_token_alg.name(),
        "tokenEndpointAuthMethod": client.auth_method.name(),
        "requireConsent": client.needs_consent,
        "requirePkce": client.needs_pkce,
        "passwordWithoutSecondFactor": client.password_alone,
        "partners": client.partners,
        "secrets": client.secrets.iter().map(secret).collect::<Vec<_>>(),
        "createdAt": rfc3339(client.created_at),
        "updatedAt": rfc3339(client.updated_at),
    })
}
