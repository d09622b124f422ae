//! `tenantry operator ...`

use std::io::Write;

use crate::cli::args::OperatorCommand;
use crate::cli::data_access::DataAccess;
use crate::cli::operations::Operation;
use crate::cli::operations::operator::OperatorOperation;
use crate::cli::partner::rows;
use crate::cli::{Failure, print};
use tenantry_core::error::Result;

const COLUMNS: [print::Column; 3] = [("ID", "id"), ("NAME", "name"), ("CREATED", "createdAt")];

/// Runs the command.
pub(super) fn run(
    command: OperatorCommand,
    access: &DataAccess,
    out: &mut impl Write,
) -> Result<(), Failure> {
    use OperatorOperation as Do;
    let (operation, json) = match command {
        OperatorCommand::Token(args) => (Do::Token { name: args.name }, args.json),
        OperatorCommand::List(args) => {
            return print::list(out, args.json, &COLUMNS, |last| match last {
                None => rows(access.run(Operation::Operator(Do::List {}))?),
                Some(_) => Ok(Vec::new()),
            });
        }
        OperatorCommand::Revoke(args) => (Do::Revoke { id: args.id }, args.json),
    };
    Ok(print::one(out, json, &access.run(Operation::Operator(operation))?)?)
}
