//! `tenantry event ...`

use std::io::Write;

use crate::cli::args::EventCommand;
use crate::cli::data_access::DataAccess;
use crate::cli::operations::Operation;
use crate::cli::operations::event::EventOperation;
use crate::cli::partner::rows;
use crate::cli::{Failure, print};
use tenantry_core::error::Result;

const COLUMNS: [print::Column; 7] = [
    ("ID", "eventId"),
    ("TIME", "time"),
    ("TYPE", "type"),
    ("ACTOR", "actor"),
    ("USER", "userId"),
    ("GROUP", "groupId"),
    ("AFTER", "after"),
];

/// Runs the command.
pub(super) fn run(command: EventCommand, access: &DataAccess, out: &mut impl Write) -> Result<(), Failure> {
    let EventCommand::List(args) = command;
    print::list(out, args.json, &COLUMNS, |last| {
        let after = last.and_then(|row| row.get("eventId")?.as_i64());
        let list = EventOperation::List { pid: args.partner, kinds: args.kinds.clone(), after };
        rows(access.run(Operation::Event(list))?)
    })
}
