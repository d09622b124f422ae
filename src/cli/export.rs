//! `tenantry export`: all users of a partner as rows that can be imported again.

use std::io::{self, Write};
use std::path::PathBuf;

use crate::cli::Failure;
use crate::cli::args::ExportArgs;
use crate::cli::command_error::CommandError;
use crate::cli::data_access::DataAccess;
use crate::cli::import_files::{create, partial};
use crate::cli::operations::Operation;
use crate::cli::operations::import::{Exported, ImportOperation};
use crate::cli::progress::Bar;
use tenantry_core::rows::{Format, trailer};
use tenantry_domain::user_export::Formulas;

/// Runs the command.
pub(super) fn run(args: &ExportArgs, access: &DataAccess, out: &mut impl Write) -> Result<(), Failure> {
    if args.formulas == Formulas::Quote && args.format != Format::Csv {
        return Err(CommandError::new("invalid", "--formulas quote is only for --format csv").into());
    }
    let Some(path) = &args.output else {
        return write_rows(args, access, out, None);
    };
    let partial = Partial(partial(path)?);
    let mut file = io::BufWriter::new(create(&partial.0)?);
    let failed = |e: io::Error| CommandError::of_named_file("write the export", path, &e);
    write_rows(args, access, &mut file, Some(Bar::new("exporting", "users", 0)))?;
    file.flush().and_then(|()| file.get_ref().sync_all()).map_err(failed)?;
    std::fs::rename(&partial.0, path).map_err(failed)?;
    Ok(())
}

/// The incomplete export under its temporary name; removed when dropped.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        // Already renamed if it is complete.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn write_rows(
    args: &ExportArgs,
    access: &DataAccess,
    out: &mut impl Write,
    mut bar: Option<Bar>,
) -> Result<(), Failure> {
    let (mut after, mut done) = (None, 0);
    loop {
        let operation = ImportOperation::Export {
            pid: args.partner,
            format: args.format,
            after,
            with_hashes: args.with_hashes,
            formulas: args.formulas,
        };
        let page = access.run(Operation::Import(operation))?;
        let page: Exported = serde_json::from_value(page)
            .map_err(|e| CommandError::new("internal", format!("cannot parse the server's response: {e}")))?;
        out.write_all(page.text.as_bytes())?;
        done += page.rows;
        if let Some(bar) = &mut bar {
            bar.update_of(done, u64::try_from(page.total).unwrap_or(0));
        }
        match page.last {
            Some(last) => after = Some(last),
            None => return Ok(out.write_all(trailer::write(args.format, done).as_bytes())?),
        }
    }
}
