//! `tenantry user ...`

use std::io::Write;

use crate::cli::args::{FactorCommand, UserCommand};
use crate::cli::data_access::DataAccess;
use crate::cli::operations::Operation;
use crate::cli::operations::user::UserOperation;
use crate::cli::partner::rows;
use crate::cli::{Failure, print};
use tenantry_core::error::Result;
use tenantry_core::model::UserId;

const COLUMNS: [print::Column; 7] = [
    ("USER", "userId"),
    ("USERNAME", "username"),
    ("STATUS", "status"),
    ("ADMIN", "isAdmin"),
    ("FIRST NAME", "firstName"),
    ("LAST NAME", "lastName"),
    ("E-MAIL", "email"),
];

const FACTOR_COLUMNS: [print::Column; 5] = [
    ("FACTOR", "factorId"),
    ("KIND", "factor"),
    ("NAME", "name"),
    ("ADDED", "createdAt"),
    ("LAST USED", "lastUsedAt"),
];

/// Runs the command.
pub(super) fn run(command: UserCommand, access: &DataAccess, out: &mut impl Write) -> Result<(), Failure> {
    use UserOperation as Do;
    let (operation, json) = match command {
        UserCommand::List(args) => {
            return print::list(out, args.json, &COLUMNS, |last| {
                let after = last.and_then(|row| row.get("userId")?.as_i64()).map(UserId);
                let operation = Do::List { pid: args.partner, search: args.search.clone(), after };
                rows(access.run(Operation::User(operation))?)
            });
        }
        UserCommand::Get(args) => (Do::Get { user: args.user }, args.json),
        UserCommand::Create(args) => (
            Do::Create {
                pid: args.partner,
                username: args.username,
                email: args.email,
                first_name: args.first_name,
                last_name: args.last_name,
                admin: args.admin,
                status: args.status,
                print_password: args.print_password,
            },
            args.json,
        ),
        UserCommand::Lock(args) => (Do::Lock { user: args.user, force: args.force }, args.json),
        UserCommand::Unlock(args) => (Do::Unlock { user: args.user }, args.json),
        UserCommand::ResetPassword(args) => {
            (Do::ResetPassword { user: args.user, print_password: args.print_password }, args.json)
        }
        UserCommand::Factors(FactorCommand::List(args)) => {
            let found = rows(access.run(Operation::User(Do::ListFactors { user: args.user }))?)?;
            // Not paged: there are a few.
            let mut found = Some(found);
            return print::list(out, args.json, &FACTOR_COLUMNS, |_| Ok(found.take().unwrap_or_default()));
        }
        UserCommand::Factors(FactorCommand::Remove(args)) => {
            (Do::RemoveFactors { user: args.user, factor: args.factor }, args.json)
        }
        UserCommand::Delete(args) => (Do::Delete { user: args.user, force: args.force }, args.json),
    };
    Ok(print::one(out, json, &access.run(Operation::User(operation))?)?)
}
