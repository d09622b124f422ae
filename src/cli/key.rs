//! `tenantry key ...`

use std::io::Write;

use serde_json::Value;

use crate::cli::args::KeyCommand;
use crate::cli::data_access::DataAccess;
use crate::cli::operations::Operation;
use crate::cli::operations::key::KeyOperation;
use crate::cli::partner::rows;
use crate::cli::{Failure, print};
use crate::config::Config;
use tenantry_core::error::Result;

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
    let config = Config { may_replace_master_key, ..config.clone() };
    let access = DataAccess::find(&config)?;
    let (operation, json) = match command {
        KeyCommand::List(args) => (Do::List {}, args.json),
        KeyCommand::Rotate(args) => (Do::Rotate { now: args.now }, args.json),
        KeyCommand::Reset(args) => (Do::Reset { force: args.force }, args.json),
    };
    let answer = access.run(Operation::Key(operation))?;
    if let Value::Object(_) = answer {
        return Ok(print::one(out, json, &answer)?);
    }
    // Not paged: there are a few of each algorithm.
    let mut keys = Some(rows(answer)?);
    print::list(out, json, &COLUMNS, |_| Ok(keys.take().unwrap_or_default()))
}
