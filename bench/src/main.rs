//! `tenantry-bench`: measures a server, the binary `tenantry`, on a temporary database, over HTTP, on this machine.

mod args;
mod bare;
mod bulk;
mod html;
mod large_lists;
mod load;
mod measure;
mod names;
mod overload;
mod paced;
mod passkeys;
mod refusals;
mod report;
mod rows;
mod scratch;
mod search_times;
mod seed;
mod server;
mod sign_in;

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use tenantry::cli::command_error::CommandError;
use tenantry::cli::lock;

use args::BenchArgs;
use measure::Bench;
use report::BenchReport;
use scratch::{Cores, Scratch, Stop};
use seed::Seeded;

/// Stands for standard output in place of a file.
const STDOUT: &str = "-";

fn main() -> ExitCode {
    tenantry::log::report_panics();
    // All files are private to this user, like those of a server.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    match run(&BenchArgs::parse(), &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Refused(error)) => {
            for line in error.to_string().lines() {
                let _ = writeln!(io::stderr(), "tenantry-bench: {line}");
            }
            ExitCode::FAILURE
        }
        // `tenantry-bench | head -1`: the reader is gone.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(Failure::Output(error)) => {
            let _ = writeln!(io::stderr(), "tenantry-bench: cannot print the figures: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Why there is no report.
enum Failure {
    Refused(CommandError),
    /// The figures could not be printed.
    Output(io::Error),
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        Self::Refused(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// Seeds, measures, prints, cleans up.
fn run(args: &BenchArgs, out: &mut impl Write) -> Result<(), Failure> {
    let cores = Cores::choose(args.cores)?;
    let binary = server::find(args.server.as_deref())?;
    // Files that cannot be written are reported before minutes of work.
    let json =
        args.json.as_deref().filter(|path| *path != Path::new(STDOUT)).map(Target::open).transpose()?;
    let html = args.html.as_deref().map(Target::open).transpose()?;
    let stop = Stop::watch()?;
    let report = measure(args, &binary, cores, &stop)?;
    if let Some(json) = json {
        json.write(&format!("{:#}\n", report.json()))?;
    }
    if let Some(html) = html {
        html.write(&html::page(&report))?;
    }
    match &args.json {
        Some(path) if path == Path::new(STDOUT) => writeln!(out, "{:#}", report.json())?,
        _ => report.text(out)?,
    }
    match report.failed() {
        0 => Ok(()),
        _ => {
            Err(CommandError::new("failed", "some responses were not as expected: the figures are worthless")
                .into())
        }
    }
}

/// A file for results. Until they are written, an existing file keeps its content, and a new one is removed if there
/// are no results.
struct Target {
    file: File,
    path: PathBuf,
    is_new: bool,
}

impl Target {
    fn open(path: &Path) -> Result<Self, CommandError> {
        let is_new = !path.exists();
        let file = File::options().write(true).create(true).truncate(false).open(path);
        let file = file.map_err(|e| CommandError::of_named_file("write", path, &e))?;
        Ok(Self { file, path: path.to_owned(), is_new })
    }

    fn write(mut self, text: &str) -> Result<(), CommandError> {
        self.is_new = false;
        let written = self.file.set_len(0).and_then(|()| self.file.write_all(text.as_bytes()));
        written.map_err(|e| CommandError::of_named_file("write", &self.path, &e))
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if self.is_new {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn measure(
    args: &BenchArgs,
    binary: &Path,
    cores: Option<Cores>,
    stop: &Stop,
) -> Result<BenchReport, CommandError> {
    let shares = seed::shares(args.users, args.partners)?;
    let scratch = Scratch::make(&args.dir, args.users, args.keep)?;
    let data = scratch.path().join("data");
    lock::create_data_dir(&data)?;
    let seeded = seed(&data, shares, stop)?;
    let time = Duration::from_secs_f64(args.seconds);
    let mut report = BenchReport {
        users: args.users,
        partners: seeded.partners,
        seconds: args.seconds,
        connections: args.connections,
        cores: cores.map(|cores| (cores.server, cores.load)),
        machine: machine(),
        in_memory: scratch.is_in_memory(),
        seeding_seconds: seeded.seconds,
        database_bytes: std::fs::metadata(data.join("tenantry.db")).map_or(0, |file| file.len()),
        binary_bytes: std::fs::metadata(binary).map_or(0, |file| file.len()),
        ..BenchReport::default()
    };
    if let Some(url) = &args.database_url {
        server::copy(binary, &data, url)?;
    }
    let bench = Bench {
        binary,
        data: &data,
        database_url: args.database_url.as_deref(),
        seeded: &seeded,
        time,
        connections: args.connections,
        cores,
        stop,
    };
    let only = match (args.only_overload, args.only_refusals, args.only_sign_in) {
        (true, ..) => Some(measure::Only::Overload),
        (_, true, _) => Some(measure::Only::Refusals),
        (.., true) => Some(measure::Only::SignIn),
        _ => None,
    };
    bench.run(&mut report, only)?;
    Ok(report)
}

fn seed(data: &Path, shares: (u64, u64), stop: &Stop) -> Result<Seeded, CommandError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| CommandError::new("internal", format!("cannot start the runtime: {e}")))?
        .block_on(seed::seed(data, shares, stop))
}

/// The processor's name and number of cores.
fn machine() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{} ({cores} cores)", model.map_or("unknown processor", |(_, name)| name))
}
