//! What commands ask for on the operators' tokens.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cli::operations::checks::Checks;
use tenantry_core::clock::rfc3339;
use tenantry_core::error::Result;
use tenantry_core::values;
use tenantry_domain::services::Services;
use tenantry_domain::{tokens, unit};
use tenantry_store::access::Operator;

/// Operations on operator tokens. The fields are the flags of these names, see args.rs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum OperatorOperation {
    /// Make one.
    Token { name: String },
    /// All of them.
    List {},
    /// End one.
    Revoke { id: i64 },
}

impl OperatorOperation {
    /// See [`super::Operation::run`].
    pub(crate) async fn run(self, services: &Services, by: Operator) -> Result<Value> {
        let store = &services.store;
        match self {
            Self::Token { name } => {
                let mut checks = Checks::default();
                let name = checks.see("--name", values::label(&name)).map(str::to_owned);
                let name = checks.finish(name)?;
                let stored = name.clone();
                let (id, token) =
                    unit::write(store, &by, move |tx| tokens::create_operator_token(tx, &stored)).await?;
                Ok(json!({ "id": id, "name": name, "token": token }))
            }
            Self::List {} => {
                let found = store.scan(&by, tokens::list_operator_tokens).await?;
                let shape = |token: &tenantry_store::tables::partners::OperatorToken| json!({ "id": token.token_id, "name": token.name, "createdAt": rfc3339(token.created_at) });
                Ok(found.iter().map(shape).collect())
            }
            Self::Revoke { id } => {
                unit::write(store, &by, move |tx| tokens::revoke_operator_token(tx, id)).await?;
                Ok(json!({ "id": id, "revoked": true }))
            }
        }
    }
}
