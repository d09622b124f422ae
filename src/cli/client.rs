//! `tenantry client ...`

use std::io::Write;

use crate::cli::args::ClientCommand;
use crate::cli::operations::Operation;
use crate::cli::operations::client::ClientOperation;
use crate::cli::partner::rows;
use crate::cli::way::Way;
use crate::cli::{Failure, print};
use tenantry_core::error::Result;

const COLUMNS: [print::Column; 4] =
    [("CLIENT_ID", "client_id"), ("NAME", "name"), ("ADMIN", "isAdmin"), ("CREATED", "createdAt")];

/// Runs the command.
pub(super) fn run(command: ClientCommand, way: &Way, out: &mut impl Write) -> Result<(), Failure> {
    use ClientOperation as Do;
    let (operation, json) = match command {
        ClientCommand::Create(args) => {
            (Do::Create { pid: args.partner, name: args.name, admin: args.admin }, args.json)
        }
        ClientCommand::List(args) => {
            // Not paged: a partner has only a few.
            return print::list(out, args.json, &COLUMNS, |last| match last {
                None => rows(way.run(Operation::Client(Do::List { pid: args.partner }))?),
                Some(_) => Ok(Vec::new()),
            });
        }
        ClientCommand::Revoke(args) => (Do::Revoke { client_id: args.client_id }, args.json),
    };
    Ok(print::one(out, json, &way.run(Operation::Client(operation))?)?)
}
