//! `tenantry operator ...`

use std::io::Write;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cli::args::OperatorCommand;
use crate::cli::operation::{Checks, Operation};
use crate::cli::partner::rows;
use crate::cli::way::Way;
use crate::cli::{Failure, print};
use tenantry_core::clock::rfc3339;
use tenantry_core::error::Result;
use tenantry_core::values;
use tenantry_domain::services::Services;
use tenantry_domain::{tokens, unit};
use tenantry_store::access::Operator;

/// What can be done with the operators' tokens. The fields are the flags of these names, see args.rs.
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

const COLUMNS: [print::Column; 3] = [("ID", "id"), ("NAME", "name"), ("CREATED", "createdAt")];

/// Runs the command.
pub(super) fn run(command: OperatorCommand, way: &Way, out: &mut impl Write) -> Result<(), Failure> {
    use OperatorOperation as Do;
    let (operation, json) = match command {
        OperatorCommand::Token(args) => (Do::Token { name: args.name }, args.json),
        OperatorCommand::List(args) => {
            return print::list(out, args.json, &COLUMNS, |last| match last {
                None => rows(way.run(Operation::Operator(Do::List {}))?),
                Some(_) => Ok(Vec::new()),
            });
        }
        OperatorCommand::Revoke(args) => (Do::Revoke { id: args.id }, args.json),
    };
    Ok(print::one(out, json, &way.run(Operation::Operator(operation))?)?)
}

impl OperatorOperation {
    /// See [`Operation::run`].
    pub(super) async fn run(self, services: &Services, by: Operator) -> Result<Value> {
        let store = &services.store;
        match self {
            Self::Token { name } => {
                let mut checks = Checks::default();
                let name = checks.see("--name", values::label(&name)).map(str::to_owned);
                let name = checks.finish(name)?;
                let stored = name.clone();
                let (id, token) =
                    unit::write(store, &by, move |tx| tokens::create_operator_token(tx, by, &stored)).await?;
                Ok(json!({ "id": id, "name": name, "token": token }))
            }
            Self::List {} => {
                let found = store.scan(&by, move |tx| tokens::list_operator_tokens(tx, by)).await?;
                let shape = |token: &tenantry_store::tables::partners::OperatorToken| json!({ "id": token.token_id, "name": token.name, "createdAt": rfc3339(token.created_at) });
                Ok(found.iter().map(shape).collect())
            }
            Self::Revoke { id } => {
                unit::write(store, &by, move |tx| tokens::revoke_operator_token(tx, by, id)).await?;
                Ok(json!({ "id": id, "revoked": true }))
            }
        }
    }
}
