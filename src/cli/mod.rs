//! The command line: one file per command.

/// What can be written on it.
pub mod args;
mod backup;
mod client;
mod config;
/// The control socket: how a command reaches the server that runs on its data.
pub mod control;
mod copy;
#[cfg(test)]
mod data_tests;
mod export;
mod first_start;
mod import;
mod import_files;
/// The data directory and its lock.
pub mod lock;
#[cfg(test)]
mod lock_tests;
mod migrate;
/// What a command asks for.
pub mod operations;
mod operator;
mod partner;
/// How answers look.
pub mod print;
/// How far a long work is.
pub mod progress;
/// Why a command did not do what it was told.
pub mod refusal;
mod remains;
mod restore;
/// The server.
pub mod serve;
mod switch;
#[cfg(test)]
mod tests;
mod user;
mod warm;
/// The way to the data.
pub mod way;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use crate::config::{Config, ConfigFault};
use args::Command;
use refusal::Refusal;
use tenantry_core::error::Error;
use way::Way;

/// Why a command did not do what it was told.
#[derive(Debug)]
enum Failure {
    /// The command line is wrong, or it asked for the help.
    Usage(clap::Error),
    /// The settings are wrong.
    Settings(Vec<ConfigFault>),
    /// It was tried, and refused or failed.
    Refused(Refusal),
    /// The answer could not be printed.
    Output(io::Error),
    /// A part of the server has failed for good, and with it the server ends.
    Failed(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(error.into())
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// Runs the command that the arguments name. The code is 0 when it did what it was told, 1 when it was refused or
/// failed, 2 when the command line or the settings are wrong, 3 when a part of the server failed while it served.
pub fn main() -> ExitCode {
    crate::log::report_panics();
    // Whatever is made is for this user alone: the database and its log hold password hashes.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    // Lossy: `config` refuses what cannot be read, with the name of the variable.
    let env = std::env::vars_os().map(|(name, value)| (lossy(&name), lossy(&value)));
    let read_file = |path: &Path| std::fs::read_to_string(path);
    match run(std::env::args_os(), env, read_file, &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => ExitCode::from(report(&failure, &mut io::stderr().lock())),
    }
}

fn lossy(text: &OsString) -> String {
    text.to_string_lossy().into_owned()
}

/// One run of the program, with everything it touches as an argument.
fn run(
    args: impl IntoIterator<Item = OsString>,
    env: impl IntoIterator<Item = (String, String)>,
    read_file: impl FnOnce(&Path) -> io::Result<String>,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let args::Invocation { command, flags } = args::parse(args).map_err(Failure::Usage)?;
    let Some(command) = command else {
        return Ok(out.write_all(args::help().as_bytes())?);
    };
    let config = Config::load(flags, env, read_file).map_err(Failure::Settings)?;
    dispatch(command, config, out)?;
    Ok(out.flush()?)
}

/// Hands the command to its file.
fn dispatch(command: Command, config: Config, out: &mut impl Write) -> Result<(), Failure> {
    match command {
        Command::Config(args) => Ok(config::run(&config, &args, out)?),
        Command::Serve(args) => serve::run(Config { may_migrate: !args.no_migrate, ..config }, out),
        Command::Copy(args) => copy::run(&config, &args, out),
        Command::Migrate => migrate::run(&config, out),
        Command::Partner(command) => partner::run(command, &Way::find(&config)?, out),
        Command::User(command) => user::run(command, &Way::find(&config)?, out),
        Command::Client(command) => client::run(command, &Way::find(&config)?, out),
        Command::Operator(command) => operator::run(command, &Way::find(&config)?, out),
        Command::Import(args) => import::run(&args, &Way::find(&config)?, out),
        Command::Export(args) => export::run(&args, &Way::find(&config)?, out),
        Command::Backup(args) => backup::run(&config, &args, out),
        Command::Restore(args) => restore::run(&config, &args, out),
    }
}

/// Tells people what went wrong, a line for each fault, and gives the exit code.
fn report(failure: &Failure, err: &mut impl Write) -> u8 {
    // Where even this cannot be written, the code still tells.
    let mut say = |what: &dyn std::fmt::Display| drop(writeln!(err, "tenantry: {what}"));
    match failure {
        Failure::Usage(error) => {
            // clap knows whether it is a fault or the help, and where each goes.
            drop(error.print());
            u8::try_from(error.exit_code()).unwrap_or(2)
        }
        Failure::Settings(faults) => {
            faults.iter().for_each(|fault| say(fault));
            2
        }
        Failure::Refused(refusal) => {
            refusal.to_string().lines().for_each(|line| say(&line));
            1
        }
        Failure::Failed(what) => {
            say(&format_args!("{what}: the server ends, to be started again"));
            3
        }
        // `tenantry config | head -1`: the reader has what it wanted.
        Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
        Failure::Output(error) => {
            say(&format_args!("cannot print the answer: {error}"));
            1
        }
    }
}
