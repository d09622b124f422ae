//! The command line: one file per command.

/// Arguments.
pub mod args;
mod backup;
mod client;
/// Why a command failed.
pub mod command_error;
mod config;
/// The control socket, through which a command reaches the running server.
pub mod control;
mod copy;
/// Access to the data.
pub mod data_access;
#[cfg(test)]
mod data_tests;
mod event;
mod export;
mod first_start;
mod health;
mod import;
mod import_files;
mod key;
/// The data directory and its lock.
pub mod lock;
#[cfg(test)]
mod lock_tests;
mod mail;
mod migrate;
/// The operations of commands.
pub mod operations;
mod operator;
mod partner;
/// Output formats.
pub mod print;
/// Progress of long operations.
pub mod progress;
mod remains;
mod restore;
/// The server.
pub mod serve;
mod setting_flags;
mod starting;
mod switch;
#[cfg(test)]
mod tests;
mod user;
mod warm;

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use crate::config::{Config, ConfigError};
use args::Command;
use command_error::CommandError;
use data_access::DataAccess;
use tenantry_core::error::Error;
use tenantry_core::printable::printable;

/// Why a command failed.
#[derive(Debug)]
enum Failure {
    /// The command line is invalid, or it asked for help.
    Usage(clap::Error),
    /// The settings are invalid.
    Settings(Vec<ConfigError>),
    /// The command was refused or failed.
    Refused(CommandError),
    /// The output could not be printed.
    Output(io::Error),
    /// A server thread failed permanently, which ends the server.
    Failed(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(error.into())
    }
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

/// Runs the command line. The exit code is 0 on success, 1 if the command was refused or failed, 2 if the command line
/// or the settings are invalid, 3 if a server thread failed permanently.
pub fn main() -> ExitCode {
    crate::log::report_panics();
    // All files are private to this user: the database and its log contain password hashes.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    // Lossy: `config` refuses invalid UTF-8, with the name of the variable.
    let env = std::env::vars_os().map(|(name, value)| (lossy(&name), lossy(&value)));
    let open = |path: &Path| Ok(Box::new(std::fs::File::open(path)?) as Box<dyn Read>);
    match run(std::env::args_os(), env, open, &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => ExitCode::from(report(&failure, &mut io::stderr().lock())),
    }
}

fn lossy(text: &OsString) -> String {
    text.to_string_lossy().into_owned()
}

/// One run of the program, with its environment as arguments.
fn run(
    args: impl IntoIterator<Item = OsString>,
    env: impl IntoIterator<Item = (String, String)>,
    open: impl Fn(&Path) -> io::Result<Box<dyn Read>>,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let args::Invocation { command, flags } = args::parse(args).map_err(Failure::Usage)?;
    let Some(command) = command else {
        return Ok(out.write_all(args::help().as_bytes())?);
    };
    let config = Config::load(flags, env, open).map_err(Failure::Settings)?;
    dispatch(command, config, out)?;
    Ok(out.flush()?)
}

/// Calls the command's module.
fn dispatch(command: Command, config: Config, out: &mut impl Write) -> Result<(), Failure> {
    match command {
        Command::Config(args) => Ok(config::run(&config, &args, out)?),
        Command::Health(args) => health::run(&config, &args, out),
        Command::Serve(args) => serve::run(Config { may_migrate: !args.no_migrate, ..config }, out),
        Command::Copy(args) => copy::run(&config, &args, out),
        Command::Migrate => migrate::run(&config, out),
        Command::Partner(command) => partner::run(command, &DataAccess::find(&config)?, out),
        Command::User(command) => user::run(command, &DataAccess::find(&config)?, out),
        Command::Client(command) => client::run(command, &DataAccess::find(&config)?, out),
        Command::Event(command) => event::run(command, &DataAccess::find(&config)?, out),
        Command::Operator(command) => operator::run(command, &DataAccess::find(&config)?, out),
        Command::Key(command) => key::run(command, &config, out),
        Command::Mail(command) => mail::run(command, &config, out),
        Command::Import(args) => import::run(&args, &DataAccess::find(&config)?, out),
        Command::Export(args) => export::run(&args, &DataAccess::find(&config)?, out),
        Command::Backup(args) => backup::run(&config, &args, out),
        Command::Restore(args) => restore::run(&config, &args, out),
    }
}

/// Prints what went wrong, one line per error, and returns the exit code.
fn report(failure: &Failure, err: &mut impl Write) -> u8 {
    // If even this cannot be written, the exit code still tells.
    let mut say = |what: &dyn std::fmt::Display| drop(writeln!(err, "tenantry: {what}"));
    match failure {
        Failure::Usage(error) => {
            // clap knows whether it is an error or the help, and where each is printed.
            drop(error.print());
            u8::try_from(error.exit_code()).unwrap_or(2)
        }
        Failure::Settings(errors) => {
            errors.iter().for_each(|error| say(error));
            2
        }
        Failure::Refused(error) => {
            // It can repeat what is in a file or in the database.
            error.to_string().lines().for_each(|line| say(&printable(line)));
            1
        }
        Failure::Failed(what) => {
            say(&format_args!("{what}: the server exits and can be restarted"));
            3
        }
        // `tenantry config | head -1`: the reader is gone.
        Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
        Failure::Output(error) => {
            say(&format_args!("cannot print the output: {error}"));
            1
        }
    }
}
