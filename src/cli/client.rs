//! `tenantry client ...`

use std::io::Write;

use crate::cli::args::ClientCommand;
use crate::cli::data_access::DataAccess;
use crate::cli::operations::Operation;
use crate::cli::operations::client::ClientOperation;
use crate::cli::partner::rows;
use crate::cli::{Failure, print};
use tenantry_core::error::Result;

const COLUMNS: [print::Column; 6] = [
    ("CLIENT_ID", "client_id"),
    ("NAME", "name"),
    ("KIND", "kind"),
    ("ADMIN", "isAdmin"),
    ("REDIRECT_URIS", "redirectUris"),
    ("CREATED", "createdAt"),
];

/// Runs the command.
pub(super) fn run(command: ClientCommand, access: &DataAccess, out: &mut impl Write) -> Result<(), Failure> {
    use ClientOperation as Do;
    let (operation, json) = match command {
        ClientCommand::Create(args) => {
            let create = Do::Create {
                pid: args.partner,
                name: args.name,
                public: args.public,
                admin: args.admin,
                settings: args.settings,
            };
            (create, args.json)
        }
        ClientCommand::List(args) => {
            // Not paged: a partner has only a few.
            return print::list(out, args.json, &COLUMNS, |last| match last {
                None => rows(access.run(Operation::Client(Do::List { pid: args.partner }))?),
                Some(_) => Ok(Vec::new()),
            });
        }
        ClientCommand::Update(args) => {
            let update = Do::Update { client_id: args.client_id, name: args.name, settings: args.settings };
            (update, args.json)
        }
        ClientCommand::Revoke(args) => (Do::Revoke { client_id: args.client_id }, args.json),
        ClientCommand::AddSecret(args) => (Do::AddSecret { client_id: args.client_id }, args.json),
        ClientCommand::RemoveSecret(args) => {
            let remove = Do::RemoveSecret { client_id: args.client_id, secret_id: args.secret_id };
            (remove, args.json)
        }
    };
    Ok(print::one(out, json, &access.run(Operation::Client(operation))?)?)
}
