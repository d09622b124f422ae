//! Mails through an SMTP server, a relay.
//!
//! One connection serves a batch and ends with it: a busy outbox pays for few handshakes, a quiet one leaves nothing
//! open to go stale.

mod problem;
mod session;
mod stream;
mod timeouts;
mod token;
mod url;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tenantry_tls::Authorities;

use crate::message::{Sender, SmtpMessage, compose};
use crate::{Email, Secret, SendError, Stop};
use problem::Problem;
use session::{Session, Tell};
use timeouts::{Phase, Timeouts};

pub use session::Told;
pub use token::TokenSource;
pub use url::check_smtp_url;

use url::SmtpUrl;

/// How long a process that stops waits for the answer to a message that it has handed over: without it the message is sent
/// twice.
const LAST_PATIENCE: Duration = Duration::from_secs(60);

/// The settings of a relay.
#[derive(Debug, Clone)]
pub struct SmtpOptions {
    /// The setting `smtp-url`.
    pub url: Secret,
    /// `smtp-ca-file`: authorities in PEM, in place of the public ones.
    pub ca_file: Option<PathBuf>,
    /// `smtp-helo`: the name in EHLO. By default that at the end of the URL, or else the host of `public-url`.
    pub helo: Option<String>,
    /// Where the user's access token comes from, if it has one in place of a password.
    pub token: Option<TokenSource>,
}

impl SmtpOptions {
    /// Those of a URL, with defaults for the rest.
    pub fn new(url: &str) -> Self {
        Self { url: Secret::new(url), ca_file: None, helo: None, token: None }
    }
}

/// How a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// `smtp://`
    Clear,
    /// `?tls=opportunistic`: with STARTTLS if the relay offers it, whatever its certificate (RFC 7435): without it, the mail
    /// would be in clear.
    Opportunistic,
    /// `?tls=required`: with STARTTLS or not at all.
    Required,
    /// `smtps://`: from the start (RFC 8314).
    Wrapped,
}

enum Credentials {
    None,
    Password { user: String, password: Secret },
    Token { user: String, source: TokenSource },
}

struct Settings {
    host: String,
    port: u16,
    mode: Mode,
    /// A domain, or an address in brackets.
    helo: String,
    authorities: Authorities,
    /// What they were read from.
    ca_file: Option<PathBuf>,
    credentials: Credentials,
    timeouts: Timeouts,
}

/// Sends through one relay. Clones only share the settings.
#[derive(Clone)]
pub struct Smtp {
    settings: Arc<Settings>,
    sender: Sender,
}

impl std::fmt::Debug for Smtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Smtp({})", self.describe())
    }
}

impl Smtp {
    /// Reads the settings, and the authorities of `ca_file`.
    ///
    /// # Errors
    /// The setting that is wrong, and why, for the person who set it; without the password.
    pub fn new(options: SmtpOptions, sender: Sender) -> Result<Self, String> {
        let SmtpOptions { url, ca_file, helo, token } = options;
        let url = SmtpUrl::parse(url.expose().trim()).map_err(|what| format!("smtp-url {what}"))?;
        let authorities = match &ca_file {
            Some(path) => Authorities::of_file(path).map_err(|what| format!("smtp-ca-file: {what}"))?,
            None => Authorities::public(),
        };
        let helo = helo.or(url.helo).unwrap_or_else(|| helo_of(sender.host()));
        let is_local = url.host == "localhost" || url.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let credentials = match (url.user, url.password, token) {
            (None, _, None) => Credentials::None,
            (Some(user), Some(password), None) => Credentials::Password { user, password },
            (Some(_), None, None) => {
                return Err(String::from(
                    "smtp-url has a user and no password: add one (smtps://user:password@host), or set \
                     smtp-oauth-token-file or smtp-oauth-token-command",
                ));
            }
            (user, password, Some(source)) => {
                let setting = source.setting();
                match user {
                    _ if password.is_some() => {
                        return Err(format!(
                            "smtp-url has a password, and {setting} is set: remove one of them"
                        ));
                    }
                    None => {
                        return Err(format!(
                            "{setting} is for a user, and smtp-url has none: write smtps://user@host, with @ in user as %40"
                        ));
                    }
                    // RFC 6750 §5.3: whoever reads a token can use it.
                    Some(_) if !matches!(url.mode, Mode::Required | Mode::Wrapped) && !is_local => {
                        return Err(format!(
                            "{setting} requires TLS with a relay that is verified: use smtps:// or ?tls=required in smtp-url"
                        ));
                    }
                    Some(user) => Credentials::Token { user, source },
                }
            }
        };
        let (host, port, mode, timeouts) = (url.host, url.port, url.mode, Timeouts::STANDARD);
        let settings = Settings { host, port, mode, helo, authorities, ca_file, credentials, timeouts };
        Ok(Self { settings: Arc::new(settings), sender })
    }

    pub(super) fn describe(&self) -> String {
        let Settings { host, port, mode, .. } = &*self.settings;
        let how = match mode {
            Mode::Clear => " in clear",
            Mode::Opportunistic => ", encrypted if it can",
            Mode::Required | Mode::Wrapped => "",
        };
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        format!("SMTP to {host}:{port}{how}")
    }

    /// The settings in force, for people: label and value.
    pub(super) fn details(&self) -> Vec<(&'static str, String)> {
        let settings = &*self.settings;
        let tls = match settings.mode {
            Mode::Clear => "none",
            Mode::Opportunistic => "STARTTLS if the relay offers it, any certificate (tls=opportunistic)",
            Mode::Required => "STARTTLS, verified (tls=required)",
            Mode::Wrapped => "from the start, verified (smtps)",
        };
        let authorities = settings
            .ca_file
            .as_ref()
            .map_or_else(|| String::from("the public ones"), |path| format!("those of {}", path.display()));
        let login = match &settings.credentials {
            Credentials::None => String::from("none"),
            Credentials::Password { user, .. } => format!("{user}, by password"),
            Credentials::Token { user, source } => format!("{user}, by the token of {}", source.setting()),
        };
        vec![
            ("relay", format!("{}:{}", settings.host, settings.port)),
            ("TLS", tls.to_owned()),
            ("authorities", authorities),
            ("EHLO name", settings.helo.clone()),
            ("login", login),
            ("sender", self.sender.to_string()),
        ]
    }

    pub(super) fn send_batch(
        &self,
        mails: &[Email],
        until: Instant,
        stop: &Stop,
    ) -> Vec<Result<(), SendError>> {
        let mut line = Line { smtp: self, stop, session: None, lost: 0, down: None };
        let mut done = Vec::with_capacity(mails.len());
        for mail in mails {
            if Instant::now() >= until || stop.since().is_some() {
                break;
            }
            match line.send(mail) {
                Ok(()) => done.push(Ok(())),
                Err(Failure::Stopped) => break,
                Err(Failure::Error(error)) => done.push(Err(error.scrubbed(mail))),
            }
        }
        done
    }

    /// Sends one mail and tells the conversation.
    pub(super) fn send_aloud(&self, mail: &Email, tell: Tell<'_>) -> Result<(), SendError> {
        let message = compose(mail, &self.sender)?;
        let (stop, broken) = (Stop::default(), |problem: Problem| SendError::temporary(problem.to_string()));
        let mut session = Session::open(&self.settings, &stop, Some(tell)).map_err(broken)?;
        let delivered = deliver(&mut session, &message);
        session.quit();
        delivered.map_err(|refused| match refused {
            Refused::Mail(error) => error,
            Refused::Broken(problem) => broken(problem),
        })
    }

    /// With other timeouts.
    #[cfg(test)]
    fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        if let Some(settings) = Arc::get_mut(&mut self.settings) {
            settings.timeouts = timeouts;
        }
        self
    }
}

/// The host of a URL as the parameter of EHLO (RFC 5321 §4.1.1.1 and §4.1.3).
fn helo_of(host: &str) -> String {
    match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => format!("[{ip}]"),
        Ok(IpAddr::V6(ip)) => format!("[IPv6:{ip}]"),
        Err(_) => host.to_owned(),
    }
}

/// Why a mail of a batch was not sent.
enum Failure {
    Error(SendError),
    /// The process stops; it is as if the mail had not been tried.
    Stopped,
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        Self::Error(error)
    }
}

/// The connection of a batch.
struct Line<'a> {
    smtp: &'a Smtp,
    stop: &'a Stop,
    session: Option<Session<'a>>,
    /// Number of consecutive broken connections.
    lost: u8,
    /// Set if the rest of the batch should not be attempted, each with its own timeouts.
    down: Option<SendError>,
}

impl Line<'_> {
    fn send(&mut self, mail: &Email) -> Result<(), Failure> {
        let message = compose(mail, &self.smtp.sender)?;
        if let Some(down) = &self.down {
            return Err(down.clone().into());
        }
        let mut session = match self.session.take() {
            Some(session) => session,
            None => {
                let opened = Session::open(&self.smtp.settings, self.stop, None);
                opened.map_err(|problem| self.unreachable(&problem))?
            }
        };
        match deliver(&mut session, &message) {
            Ok(()) => {
                self.lost = 0;
                self.session = Some(session);
                Ok(())
            }
            Err(Refused::Mail(error)) => {
                self.lost = 0;
                // the relay may have closed the connection with 421
                self.session = session.command(Phase::Reset, "RSET").is_ok().then_some(session);
                Err(error.into())
            }
            Err(Refused::Broken(problem)) if problem.is_stopped() => Err(Failure::Stopped),
            Err(Refused::Broken(problem)) => {
                let error = SendError::temporary(problem.to_string());
                self.lost += 1;
                // once may be because of this mail, twice is because of the relay
                if self.lost > 1 {
                    self.down = Some(error.clone());
                }
                Err(error.into())
            }
        }
    }

    /// Any error of opening a session, including wrong credentials, is not about the mail.
    fn unreachable(&mut self, problem: &Problem) -> Failure {
        if problem.is_stopped() {
            return Failure::Stopped;
        }
        let error = SendError::temporary(problem.to_string());
        self.down = Some(error.clone());
        error.into()
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        if let Some(session) = &mut self.session {
            session.quit();
        }
    }
}

enum Refused {
    /// The relay refused this mail.
    Mail(SendError),
    /// It did not reply, or not in SMTP.
    Broken(Problem),
}

fn deliver(session: &mut Session<'_>, message: &SmtpMessage) -> Result<(), Refused> {
    let mut parameters = "";
    // only an address outside ASCII makes the message non-ASCII (RFC 6531 §3.1)
    if !message.bytes.is_ascii() {
        if !session.has("SMTPUTF8") {
            let what = "the relay does not support addresses outside ASCII (SMTPUTF8)";
            return Err(Refused::Mail(SendError::temporary(what)));
        }
        parameters = " SMTPUTF8 BODY=8BITMIME";
    }
    // a refusal of our own address or of the command is a configuration error: not permanent for any mail
    let sender = format!("MAIL FROM:<{}>{parameters}", message.from);
    session.command(Phase::Sender, &sender).map_err(|problem| refused(problem, false))?;
    let recipient = format!("RCPT TO:<{}>", message.to);
    session.command(Phase::Recipient, &recipient).map_err(|problem| refused(problem, true))?;
    session.data().map_err(|problem| refused(problem, false))?;
    session.content(&message.bytes).map_err(|problem| refused(problem, true))
}

fn refused(problem: Problem, of_this_mail: bool) -> Refused {
    match problem.code() {
        Some(code) => {
            let permanent = of_this_mail && code >= 500;
            Refused::Mail(SendError { permanent, what: problem.to_string() })
        }
        None => Refused::Broken(problem),
    }
}

#[cfg(test)]
#[path = "smtp_tests.rs"]
mod tests;
