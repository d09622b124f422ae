//! `tenantry copy`

use std::io::{self, IsTerminal as _, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::args::CopyArgs;
use super::lock::{self, Holder, Lock, Taken};
use super::refusal::Refusal;
use super::{Failure, print};
use crate::app;
use crate::clock::Clock;
use crate::config::{self, Config, ConfigFault, DatabaseUrl, Secret};
use crate::storage::copy::{self, Place, Progress, Report, Stage};

/// Between two lines of progress where nobody watches a bar.
const LINES: Duration = Duration::from_secs(10);
/// Between two states of the bar.
const FRAMES: Duration = Duration::from_millis(200);
/// Its width.
const BAR: u64 = 24;

/// Copies a whole database into an empty one.
pub(super) fn run(config: &Config, args: &CopyArgs, out: &mut impl Write) -> Result<(), Failure> {
    if args.from.is_none() && args.to.is_none() {
        let detail = "give --from URL or --to URL, or both: what is left out is the database of the settings";
        return Err(Refusal::new("invalid", detail).into());
    }
    let (from, to) = ends(config, args).map_err(Failure::Settings)?;
    check_pair(&from, &to)?;
    let _locks = (lock_source(&from)?, lock_target(config, &to)?);
    let start = Instant::now();
    let mut shown = Shown::new();
    let copied = copy::run(&place(config, &from), &place(config, &to), &Clock::system(), &mut |progress| {
        shown.tell(progress);
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

fn ends(config: &Config, args: &CopyArgs) -> Result<(DatabaseUrl, DatabaseUrl), Vec<ConfigFault>> {
    let read = |name: &str, given: &Option<Secret>| match given {
        Some(url) => config::database_of_flag(name, url.expose()),
        None => Ok(config.database_url.clone()),
    };
    match (read("from", &args.from), read("to", &args.to)) {
        (Ok(from), Ok(to)) => Ok((from, to)),
        (from, to) => Err([from.err(), to.err()].into_iter().flatten().collect()),
    }
}

/// An SQLite file would be refused by its own lock otherwise, in words that do not help.
fn check_pair(from: &DatabaseUrl, to: &DatabaseUrl) -> Result<(), Refusal> {
    match (from, to) {
        (DatabaseUrl::Sqlite(a), DatabaseUrl::Sqlite(b)) if lock::true_path(a) == lock::true_path(b) => {
            let detail = format!("{} is the same database on both sides", a.display());
            Err(Refusal::new("same-database", detail))
        }
        _ => Ok(()),
    }
}

fn lock_source(from: &DatabaseUrl) -> Result<Option<Lock>, Refusal> {
    let DatabaseUrl::Sqlite(path) = from else { return Ok(None) };
    if !lock::has_database(path)? {
        let detail = format!("there is no database at {}: name the file to copy with --from", path.display());
        return Err(Refusal::new("no-database", detail));
    }
    take(path).map(Some)
}

fn lock_target(config: &Config, to: &DatabaseUrl) -> Result<Option<Lock>, Refusal> {
    let DatabaseUrl::Sqlite(path) = to else { return Ok(None) };
    lock::check_database_dir(config, path)?;
    if path.parent() == Some(&config.data_dir) {
        lock::create_data_dir(&config.data_dir)?;
    }
    lock::has_database(path)?;
    take(path).map(Some)
}

fn take(path: &Path) -> Result<Lock, Refusal> {
    match lock::take_database(path, Holder::Command)? {
        Taken::Ours(lock) => Ok(lock),
        Taken::Theirs(held) => {
            let detail = format!(
                "{}: nothing may work on a database while it is copied; stop it first",
                held.holder()
            );
            Err(Refusal::new("locked", detail))
        }
    }
}

fn place<'a>(config: &'a Config, url: &'a DatabaseUrl) -> Place<'a> {
    match url {
        DatabaseUrl::Sqlite(path) => Place::Sqlite(path),
        DatabaseUrl::Postgres(url) => Place::Postgres(app::postgres_options(config, url, true)),
    }
}

fn as_json(report: &Report, seconds: f64) -> Value {
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

fn table(report: &Report, seconds: f64, out: &mut impl Write) -> io::Result<()> {
    let width = report.tables.iter().map(|table| table.name.len()).max().unwrap_or_default().max(5);
    writeln!(out, "{:width$}  {:>13}  CHECKSUM (the same on both sides)", "TABLE", "ROWS")?;
    for table in &report.tables {
        let start = table.checksum.get(..32).unwrap_or(&table.checksum);
        writeln!(out, "{:width$}  {:>13}  {start}", table.name, grouped(table.rows))?;
    }
    let rows = report.tables.iter().map(|table| table.rows).sum();
    let (from, to) = (&report.from, &report.to);
    let (rows, time) = (grouped(rows), clock(Duration::from_secs_f64(seconds)));
    writeln!(out, "copied and verified {rows} rows from {from} to {to} in {time}")
}

/// The progress on standard error: a bar for people, a line now and then for logs.
struct Shown {
    is_terminal: bool,
    stage: Option<Stage>,
    /// When the stage began, and what was done by then.
    begun: (Instant, u64),
    told: Instant,
}

impl Shown {
    fn new() -> Self {
        let now = Instant::now();
        Self { is_terminal: io::stderr().is_terminal(), stage: None, begun: (now, 0), told: now }
    }

    fn tell(&mut self, progress: &Progress<'_>) {
        let (stage, at, done, total) = match *progress {
            Progress::Servers(n) => {
                eprintln!(
                    "{n} connections of running servers are open on the source: what they change from now on is not \
                     copied; stop them first"
                );
                return;
            }
            Progress::Step { stage, at, done, total } => (stage, at, done, total),
        };
        let (now, is_new) = (Instant::now(), self.stage != Some(stage));
        if is_new {
            self.end();
            self.stage = Some(stage);
            self.begun = (now, done);
        }
        let pause = if self.is_terminal { FRAMES } else { LINES };
        if !is_new && done < total && now.duration_since(self.told) < pause {
            return;
        }
        self.told = now;
        let line = line(stage, at, done, total, now.duration_since(self.begun.0), self.begun.1);
        // Who cannot be told of the progress still gets the copy.
        let _ = if self.is_terminal {
            write!(io::stderr(), "\r\u{1b}[K{line}")
        } else {
            writeln!(io::stderr(), "{line}")
        };
    }

    /// Leaves the bar of a stage behind.
    fn end(&mut self) {
        if self.stage.take().is_some() && self.is_terminal {
            eprintln!();
        }
    }
}

/// One state of a stage. Rate and remaining time count from what was done when this run came to it.
fn line(stage: Stage, at: &str, done: u64, total: u64, since: Duration, before: u64) -> String {
    let (name, unit) = match stage {
        Stage::Compare => ("comparing", "rows"),
        Stage::Copy => ("copying", "rows"),
        Stage::Build => ("building", "indexes and keys"),
        Stage::Index => ("indexing", "users"),
        Stage::Verify => ("verifying", "rows"),
    };
    let filled = (done.min(total) * BAR).checked_div(total).unwrap_or(BAR);
    let bar: String = (0..BAR).map(|n| if n < filled { '#' } else { '.' }).collect();
    let percent = (done.min(total) * 100).checked_div(total).unwrap_or(100);
    let mut line = format!("{name:9} [{bar}] {percent:3} %  {} of {} {unit}", grouped(done), grouped(total));
    let (seconds, new) = (since.as_secs_f64(), done.saturating_sub(before));
    if seconds > 0.0 && new > 0 {
        let rate = new as f64 / seconds;
        let left = Duration::from_secs_f64(total.saturating_sub(done) as f64 / rate);
        if stage != Stage::Build {
            line.push_str(&format!("  {} {unit}/s", grouped(rate as u64)));
        }
        line.push_str(&format!("  {} left", clock(left)));
    }
    line.push_str(&format!("  {at}"));
    line
}

/// 1234567 as 1,234,567.
pub(super) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Hours (where there are any), minutes and seconds.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_progress_has_rate_and_remaining_time() {
        let ten = Duration::from_secs(10);
        assert_eq!(
            line(Stage::Copy, "users", 1_500_000, 6_000_000, ten, 500_000),
            "copying   [######..................]  25 %  1,500,000 of 6,000,000 rows  100,000 rows/s  0:45 left  users"
        );
        assert_eq!(
            line(Stage::Build, "users_search", 3, 4, Duration::from_secs(30 * 60), 0),
            "building  [##################......]  75 %  3 of 4 indexes and keys  10:00 left  users_search"
        );
        assert_eq!(
            line(Stage::Verify, "users", 0, 0, Duration::ZERO, 0),
            "verifying [########################] 100 %  0 of 0 rows  users"
        );
    }

    #[test]
    fn numbers_and_times_are_written_for_people() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([59, 61, 3_661].map(|s| clock(Duration::from_secs(s))), ["0:59", "1:01", "1:01:01"]);
    }
}
