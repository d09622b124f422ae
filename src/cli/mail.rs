//! `tenantry mail test`, and the mailer of the settings.

use std::io::Write;

use crate::cli::Failure;
use crate::cli::args::{MailCommand, MailTest};
use crate::cli::command_error::CommandError;
use crate::config::Config;
use tenantry_core::clock::Clock;
use tenantry_mail::{Directory, Mailer, Sender, Smtp, SmtpOptions, TokenSource, Told};

/// The mailer: SMTP with `smtp-url`, otherwise files.
pub(super) fn mailer(config: &Config) -> Result<Mailer, CommandError> {
    let wrong = |what: String| CommandError::new("invalid", what);
    let sender = Sender::new(&config.mail_from.to_string(), &config.public_url)
        .map_err(|what| wrong(format!("mail-from: {what}")))?;
    let sender = match &config.sign_in_url {
        Some(url) => sender.with_sign_in_url(url),
        None => sender,
    };
    let token = match (&config.smtp_oauth_token_file, &config.smtp_oauth_token_command) {
        (Some(_), Some(_)) => {
            let what = "smtp-oauth-token-file and smtp-oauth-token-command are both set: remove one of them";
            return Err(wrong(what.into()));
        }
        (Some(path), None) => Some(TokenSource::File(path.clone())),
        (None, Some(line)) => Some(TokenSource::Command(line.clone())),
        (None, None) => None,
    };
    let Some(url) = &config.smtp_url else {
        let path = config.data_dir.join("mail");
        return Directory::open(&path, sender)
            .map(Mailer::Directory)
            .map_err(|e| CommandError::of_file("use the mail directory", &path, &e));
    };
    let options = SmtpOptions {
        ca_file: config.smtp_ca_file.clone(),
        helo: config.smtp_helo.clone(),
        token,
        ..SmtpOptions::new(url.expose())
    };
    Smtp::new(options, sender).map(Mailer::Smtp).map_err(wrong)
}

/// Runs the command.
pub(super) fn run(command: MailCommand, config: &Config, out: &mut impl Write) -> Result<(), Failure> {
    let MailCommand::Test(args) = command;
    test(&args, config, out)
}

/// Sends a test mail and prints the conversation. Neither a database nor a server is needed.
fn test(args: &MailTest, config: &Config, out: &mut impl Write) -> Result<(), Failure> {
    let mailer = mailer(config)?;
    for (label, value) in mailer.details() {
        writeln!(out, "{:12} {value}", format!("{label}:"))?;
    }
    out.flush()?;
    let mut printed = Ok(());
    let mut tell = |told: Told<'_>| {
        // Each line at once: a relay may take minutes for the next one.
        let line = match told {
            Told::Sent(line) => writeln!(out, "> {line}"),
            Told::Received(line) => writeln!(out, "< {line}"),
            Told::Note(what) => writeln!(out, "* {what}"),
        };
        printed = std::mem::replace(&mut printed, Ok(())).and(line).and_then(|()| out.flush());
    };
    let sent = mailer.send_test(&args.address, Clock::system().now(), &mut tell);
    printed?;
    match (sent, &mailer) {
        (Err(error), _) => {
            let detail = format!("the test mail to {} was not sent: {error}", args.address);
            Err(CommandError::new("mail", detail).into())
        }
        (Ok(()), Mailer::Smtp(_)) => {
            Ok(writeln!(out, "the relay has accepted the test mail to {}", args.address)?)
        }
        (Ok(()), _) => Ok(writeln!(out, "the test mail to {} was written to a file", args.address)?),
    }
}
