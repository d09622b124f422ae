//! `tenantry copy`

use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::app;
use crate::cli::args::CopyArgs;
use crate::cli::command_error::CommandError;
use crate::cli::lock::{self, Holder, Lock, Taken};
use crate::cli::progress::{Bar, clock, grouped};
use crate::cli::{Failure, print};
use crate::config::{self, Config, ConfigError, DatabaseUrl, Secret};
use tenantry_core::clock::Clock;
use tenantry_store::engine::sqlite::database_file::{DatabaseFile, Missing};
use tenantry_store::ops::copy::{self, CopyLocation, CopyProgress, CopyReport, Stage};
use tenantry_store::tables::signing_keys;

/// Copies a whole database into an empty one.
pub(super) fn run(config: &Config, args: &CopyArgs, out: &mut impl Write) -> Result<(), Failure> {
    if args.from.is_none() && args.to.is_none() {
        let detail = "set --from URL or --to URL, or both: the omitted side is the database of the settings";
        return Err(CommandError::new("invalid", detail).into());
    }
    let (from, to) = ends(config, args).map_err(Failure::Settings)?;
    check_pair(&from, &to)?;
    let _locks = (lock_source(&from)?, lock_target(config, &to)?);
    let start = Instant::now();
    let mut shown = Shown::default();
    let copied = copy::run(&place(config, &from), &place(config, &to), &Clock::system(), &mut |progress| {
        shown.update(progress);
        Ok(())
    });
    shown.end();
    let report = copied?;
    let seconds = start.elapsed().as_secs_f64();
    if args.json {
        return Ok(print::one(out, true, &as_json(&report, seconds))?);
    }
    Ok(table(&report, seconds, out)?)
}

fn ends(config: &Config, args: &CopyArgs) -> Result<(DatabaseUrl, DatabaseUrl), Vec<ConfigError>> {
    let read = |name: &str, given: &Option<Secret>| match given {
        Some(url) => config::database_of_flag(name, url.expose()),
        None => Ok(config.database_url.clone()),
    };
    match (read("from", &args.from), read("to", &args.to)) {
        (Ok(from), Ok(to)) => Ok((from, to)),
        (from, to) => Err([from.err(), to.err()].into_iter().flatten().collect()),
    }
}

/// Otherwise an SQLite file would be refused because of its own lock, with a confusing error.
fn check_pair(from: &DatabaseUrl, to: &DatabaseUrl) -> Result<(), CommandError> {
    match (from, to) {
        (DatabaseUrl::Sqlite(a), DatabaseUrl::Sqlite(b)) if lock::true_path(a) == lock::true_path(b) => {
            let detail = format!("{} is the same database on both sides", a.display());
            Err(CommandError::new("same-database", detail))
        }
        _ => Ok(()),
    }
}

fn lock_source(from: &DatabaseUrl) -> Result<Option<Locked>, CommandError> {
    let DatabaseUrl::Sqlite(path) = from else { return Ok(None) };
    if !lock::has_database(path)? {
        let detail = format!("no database at {}: set the file to copy with --from", path.display());
        return Err(CommandError::new("no-database", detail));
    }
    take(path).map(Some)
}

fn lock_target(config: &Config, to: &DatabaseUrl) -> Result<Option<Locked>, CommandError> {
    let DatabaseUrl::Sqlite(path) = to else { return Ok(None) };
    lock::check_database_dir(config, path)?;
    if path.parent() == Some(&config.data_dir) {
        lock::create_data_dir(&config.data_dir)?;
    }
    lock::has_database(path)?;
    take(path).map(Some)
}

/// The lock of a database, and that of its file under any name. Held until the copy has closed the database.
type Locked = (Option<DatabaseFile>, Lock);

fn take(path: &Path) -> Result<Locked, CommandError> {
    match lock::take_database(path, Holder::Command)? {
        Taken::Ours(lock) if lock::has_database(path)? => {
            Ok((Some(DatabaseFile::open(path, Missing::Fail)?), lock))
        }
        Taken::Ours(lock) => Ok((None, lock)),
        Taken::Theirs(held) => {
            let detail = format!(
                "{}: a database that is being copied must not be in use; stop it first",
                held.holder()
            );
            Err(CommandError::new("locked", detail))
        }
    }
}

fn place<'a>(config: &'a Config, url: &'a DatabaseUrl) -> CopyLocation<'a> {
    match url {
        DatabaseUrl::Sqlite(path) => CopyLocation::Sqlite(path),
        DatabaseUrl::Postgres(url) => CopyLocation::Postgres(app::postgres_options(config, url, true)),
    }
}

fn as_json(report: &CopyReport, seconds: f64) -> Value {
    let tables: Vec<Value> = report
        .tables
        .iter()
        .map(|table| json!({ "name": table.name, "rows": table.rows, "checksum": table.checksum }))
        .collect();
    json!({
        "from": report.from,
        "to": report.to,
        "resumed": report.is_resumed,
        "seconds": (seconds * 10.0).round() / 10.0,
        "tables": tables,
        "sequences": report.sequences,
    })
}

fn table(report: &CopyReport, seconds: f64, out: &mut impl Write) -> io::Result<()> {
    let width = report.tables.iter().map(|table| table.name.len()).max().unwrap_or_default().max(5);
    writeln!(out, "{:width$}  {:>13}  CHECKSUM (the same on both sides)", "TABLE", "ROWS")?;
    for table in &report.tables {
        let start = table.checksum.get(..32).unwrap_or(&table.checksum);
        writeln!(out, "{:width$}  {:>13}  {start}", table.name, grouped(table.rows))?;
    }
    let rows = report.tables.iter().map(|table| table.rows).sum();
    let (from, to) = (&report.from, &report.to);
    let (rows, time) = (grouped(rows), clock(Duration::from_secs_f64(seconds)));
    writeln!(out, "copied and verified {rows} rows from {from} to {to} in {time}")?;
    if report.tables.iter().any(|table| table.name == signing_keys::TABLE && table.rows > 0) {
        writeln!(
            out,
            "signing keys are sealed with the master key of {from}, if it has one: servers of {to} need the same \
             (master-key-file)"
        )?;
    }
    Ok(())
}

/// CopyProgress on standard error, with a bar per stage.
#[derive(Default)]
struct Shown {
    stage: Option<(Stage, Bar)>,
}

impl Shown {
    fn update(&mut self, progress: &CopyProgress<'_>) {
        let (stage, at, done, total) = match *progress {
            CopyProgress::Servers(n) => {
                eprintln!(
                    "{n} connections of running servers are open on the source: their changes from now on are not \
                     copied; stop them first"
                );
                return;
            }
            CopyProgress::Step { stage, at, done, total } => (stage, at, done, total),
        };
        let bar = match self.stage.take() {
            Some((shown, bar)) if shown == stage => bar,
            other => {
                self.stage = other;
                self.end();
                let (name, unit) = words(stage);
                Bar::new(name, unit, total)
            }
        };
        let (_, bar) = self.stage.insert((stage, bar));
        bar.update_at(done, total, at);
    }

    /// Ends the bar of a stage.
    fn end(&mut self) {
        if let Some((_, bar)) = self.stage.take() {
            bar.leave();
        }
    }
}

/// The name and the unit of a stage.
fn words(stage: Stage) -> (&'static str, &'static str) {
    match stage {
        Stage::Compare => ("comparing", "rows"),
        Stage::Copy => ("copying", "rows"),
        Stage::Build => ("building", "indexes and keys"),
        Stage::Index => ("indexing", "users"),
        Stage::Verify => ("verifying", "rows"),
    }
}
