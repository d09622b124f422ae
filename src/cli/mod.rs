//! The command line: one file per command.

/// What can be written on it.
pub mod args;
mod config;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use crate::config::{Config, ConfigFault};
use crate::error::Error;
use args::Command;

/// Why a command did not do what it was told.
#[derive(Debug)]
enum Failure {
    /// The command line is wrong, or it asked for the help.
    Usage(clap::Error),
    /// The settings are wrong.
    Settings(Vec<ConfigFault>),
    /// It was tried, and refused or failed.
    Refused(Error),
    /// The answer could not be printed.
    Output(io::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// Runs the command that the arguments name. The code is 0 when it did what it was told, 1 when it was refused or
/// failed, 2 when the command line or the settings are wrong.
pub fn main() -> ExitCode {
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
    dispatch(command, &config, out)?;
    Ok(out.flush()?)
}

/// Hands the command to its file.
fn dispatch(command: Command, config: &Config, out: &mut impl Write) -> Result<(), Failure> {
    match command {
        Command::Config(args) => Ok(config::run(config, &args, out)?),
        Command::Serve => not_built_yet("serve"),
        Command::Partner(_) => not_built_yet("partner"),
        Command::User(_) => not_built_yet("user"),
        Command::Client(_) => not_built_yet("client"),
        Command::Operator(_) => not_built_yet("operator"),
    }
}

fn not_built_yet(command: &str) -> Result<(), Failure> {
    Err(Error::internal(format!("the command {command} is not built yet")).into())
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
        Failure::Refused(Error::Invalid(faults)) => {
            faults.iter().for_each(|fault| say(&format_args!("{}: {}", fault.field, fault.detail)));
            1
        }
        Failure::Refused(error) => {
            say(error);
            1
        }
        // `tenantry config | head -1`: the reader has what it wanted.
        Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
        Failure::Output(error) => {
            say(&format_args!("cannot print the answer: {error}"));
            1
        }
    }
}
