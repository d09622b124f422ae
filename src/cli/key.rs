//! `tenantry key ...`

use std::io::Write;

use serde_json::Value;

use crate::cli::args::{KeyCommand, KeyReseal};
use crate::cli::command_error::CommandError;
use crate::cli::data_access::DataAccess;
use crate::cli::operations::Operation;
use crate::cli::operations::key::KeyOperation;
use crate::cli::partner::rows;
use crate::cli::{Failure, print};
use crate::config::Config;
use crate::master_key;
use tenantry_core::error::Result;
use tenantry_core::secret::Secret;

const COLUMNS: [print::Column; 6] = [
    ("ALG", "alg"),
    ("STATE", "state"),
    ("KID", "kid"),
    ("SIGNS FROM", "currentFrom"),
    ("UNTIL", "oldFrom"),
    ("PUBLISHED UNTIL", "goneAt"),
];

/// Runs the command.
pub(super) fn run(command: KeyCommand, config: &Config, out: &mut impl Write) -> Result<(), Failure> {
    use KeyOperation as Do;
    let may_replace_master_key = matches!(command, KeyCommand::Reset(_));
    let mut config = Config { may_replace_master_key, ..config.clone() };
    if let KeyCommand::Reseal(KeyReseal { old_key_file: Some(file), .. }) = &command {
        config.master_key = Some(master_key::read_file(file)?);
    }
    let access = DataAccess::find(&config)?;
    let (operation, json) = match command {
        KeyCommand::List(args) => (Do::List {}, args.json),
        KeyCommand::Rotate(args) => (Do::Rotate { now: args.now }, args.json),
        KeyCommand::Reset(args) => (Do::Reset { force: args.force }, args.json),
        KeyCommand::Reseal(args) => {
            let key = master_key::read_file(&args.new_key_file)?;
            // A server that runs keeps the former key.
            access.run(Operation::Key(Do::List {}))?;
            if config.sqlite_file().is_some() && !access.is_alone() {
                let detail = "the server is running with the present master key: stop it first, and start it with the new one";
                return Err(CommandError::new("server-running", detail).into());
            }
            (Do::Reseal { key: Secret::new(key.to_text().as_str().to_owned()) }, args.json)
        }
    };
    let answer = access.run(Operation::Key(operation))?;
    if let Value::Object(_) = answer {
        return Ok(print::one(out, json, &answer)?);
    }
    // Not paged: there are a few of each algorithm.
    let mut keys = Some(rows(answer)?);
    print::list(out, json, &COLUMNS, |_| Ok(keys.take().unwrap_or_default()))
}
