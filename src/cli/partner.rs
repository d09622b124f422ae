//! `tenantry partner ...`

use std::io::Write;

use serde_json::Value;

use crate::cli::args::PartnerCommand;
use crate::cli::command_error::CommandError;
use crate::cli::data_access::DataAccess;
use crate::cli::operations::Operation;
use crate::cli::operations::partner::PartnerOperation;
use crate::cli::{Failure, print};
use tenantry_core::error::Result;
use tenantry_core::model::PartnerId;

const COLUMNS: [print::Column; 5] = [
    ("PARTNER", "pid"),
    ("NAME", "name"),
    ("USERS", "users"),
    ("SUSPENDED", "suspended"),
    ("CREATED", "createdAt"),
];

/// Runs the command.
pub(super) fn run(command: PartnerCommand, access: &DataAccess, out: &mut impl Write) -> Result<(), Failure> {
    use PartnerOperation as Do;
    let (operation, json) = match command {
        PartnerCommand::Create(args) => (
            Do::Create {
                name: args.name,
                admin_username: args.admin_username,
                admin_email: args.admin_email,
                admin_first_name: args.admin_first_name,
                admin_last_name: args.admin_last_name,
                print_password: args.print_password,
            },
            args.json,
        ),
        PartnerCommand::List(args) => return list(access, out, args.json),
        PartnerCommand::Get(args) => (Do::Get { pid: args.partner }, args.json),
        PartnerCommand::Rename(args) => (Do::Rename { pid: args.partner, name: args.name }, args.json),
        PartnerCommand::Suspend(args) => (Do::Suspend { pid: args.partner, suspended: true }, args.json),
        PartnerCommand::Resume(args) => (Do::Suspend { pid: args.partner, suspended: false }, args.json),
        PartnerCommand::Policy(args) => (
            Do::Policy {
                pid: args.partner,
                require_second_factor: args.require_second_factor,
                password_rules: args.password_rules,
            },
            args.json,
        ),
        PartnerCommand::Delete(args) => (Do::Delete { pid: args.partner, force: args.force }, args.json),
    };
    Ok(print::one(out, json, &access.run(Operation::Partner(operation))?)?)
}

fn list(access: &DataAccess, out: &mut impl Write, json: bool) -> Result<(), Failure> {
    print::list(out, json, &COLUMNS, |last| {
        let after = last.and_then(|row| row.get("pid")?.as_i64()).map(PartnerId);
        rows(access.run(Operation::Partner(PartnerOperation::List { after }))?)
    })
}

/// The rows of a list's answer.
pub(super) fn rows(response: Value) -> Result<Vec<Value>, CommandError> {
    match response {
        Value::Array(rows) => Ok(rows),
        _ => Err(CommandError::new("internal", "the response is not a list")),
    }
}
