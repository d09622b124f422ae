//! What commands ask for on OAuth clients.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cli::operations::checks::Checks;
use tenantry_core::clock::rfc3339;
use tenantry_core::error::Result;
use tenantry_core::model::{Client, PartnerId};
use tenantry_core::values;
use tenantry_domain::services::Services;
use tenantry_domain::{bulk_operations, clients, unit};
use tenantry_store::access::Operator;

/// Operations on OAuth clients. The fields are the flags of these names, see args.rs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum ClientOperation {
    /// Make one.
    Create { pid: PartnerId, name: String, admin: bool },
    /// A partner's.
    List { pid: PartnerId },
    /// End one with its tokens.
    Revoke { client_id: String },
}

impl ClientOperation {
    /// See [`super::Operation::run`].
    pub(crate) async fn run(self, services: &Services, by: Operator) -> Result<Value> {
        let store = &services.store;
        match self {
            Self::Create { pid, name, admin } => {
                let mut checks = Checks::default();
                let name = checks.see("--name", values::label(&name)).map(str::to_owned);
                let name = checks.finish(name)?;
                let create = move |tx: &mut tenantry_store::engine::tx::Tx<'_, Operator>| {
                    clients::create(tx, &name, admin)
                };
                let (client, secret) = unit::write(store, &by.within(pid), create).await?;
                let mut told = json!({ "client_id": client.client_id, "client_secret": secret });
                if let (Value::Object(told), Value::Object(rest)) = (&mut told, shape(&client)) {
                    told.extend(rest);
                }
                Ok(told)
            }
            Self::List { pid } => {
                let found = store.scan(&by.within(pid), clients::list).await?;
                Ok(found.iter().map(shape).collect())
            }
            Self::Revoke { client_id } => {
                bulk_operations::revoke_client(services, by, &client_id).await?;
                Ok(json!({ "client_id": client_id, "revoked": true }))
            }
        }
    }
}

/// A client; `client_id` is spelt as RFC 6749 does.
fn shape(client: &Client) -> Value {
    json!({
        "client_id": client.client_id,
        "name": client.name,
        "pid": client.pid,
        "isAdmin": client.is_admin,
        "createdAt": rfc3339(client.created_at),
    })
}
