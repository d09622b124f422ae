//! Mails through an SMTP server (RFC 5321).
//!
//! One connection serves a batch and ends with it: a busy outbox pays for few handshakes, a quiet one leaves nothing
//! open to go stale. lettre's own pool is not used: its connections end at every refusal and do not tell what was refused
//! (`a_pooled_connection_of_lettre_is_closed_after_any_refusal`). lettre's `tracing` feature must stay off: it logs whole
//! mails.

use std::time::{Duration, Instant};

use lettre::SmtpTransport;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{SmtpConnection, Tls, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use percent_encoding::percent_decode_str;
use url::{ParseError, Url};

use crate::message::{Sender, SmtpMessage, compose};
use crate::{OutboundEmail, SendError};

/// Timeout of the connection and of each reply except the last.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Timeout of the reply to the message itself. A server may scan it first, and giving up too early sends it twice (RFC
/// 5321 §4.5.3.2.6 and §6.1).
const LAST_PATIENCE: Duration = Duration::from_secs(60);

/// Sends through one server. Clones only share the settings.
#[derive(Clone)]
pub struct Smtp {
    host: String,
    port: u16,
    tls: Tls,
    hello: ClientId,
    credentials: Option<Credentials>,
    sender: Sender,
}

impl std::fmt::Debug for Smtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Smtp({})", self.describe())
    }
}

impl Smtp {
    /// From the setting `smtp-url`, as lettre reads it: `smtps://user:password@host:port/ehlo-name`, or `smtp://`
    /// with `?tls=required` (STARTTLS), `?tls=opportunistic` or nothing (in clear). Ports default to 465, 587 and,
    /// in clear, 25; user and password are percent-encoded. A certificate must be signed by a public authority.
    ///
    /// # Errors
    /// What is wrong with `url`, for the person who set it, without the password in it.
    pub fn new(url: &str, sender: Sender) -> Result<Self, String> {
        let url = url.trim();
        if url.contains(|c: char| c.is_control() || c.is_whitespace()) {
            return Err(String::from("contains white space"));
        }
        let parsed = Url::parse(url).map_err(|e| match e {
            ParseError::RelativeUrlWithoutBase => String::from(NO_SCHEME),
            ParseError::InvalidPort => String::from("the port must be a number up to 65535"),
            // the parser's message quotes nothing
            e => format!("not understood: {e}"),
        })?;
        // lettre ignores what it does not know: a misspelt `tls` would be mail in clear
        let (port, tls): (u16, fn(TlsParameters) -> Tls) =
            match (parsed.scheme(), parsed.query().unwrap_or_default()) {
                ("smtps", "") => (465, Tls::Wrapper),
                ("smtp", "") => (25, |_| Tls::None),
                ("smtp", "tls=required") => (587, Tls::Required),
                ("smtp", "tls=opportunistic") => (587, Tls::Opportunistic),
                ("smtp", _) => {
                    return Err("after `?` only `tls=required` or `tls=opportunistic` is allowed".into());
                }
                ("smtps", _) => return Err("smtps:// has no parameters: it is always encrypted".into()),
                _ => return Err(NO_SCHEME.into()),
            };
        SmtpTransport::from_url(url).map_err(|e| format!("not understood: {e}"))?;
        let host = parsed.host_str().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let path = parsed.path().trim_matches('/');
        Ok(Self {
            tls: tls(TlsParameters::new(host.clone()).map_err(|e| format!("TLS cannot be set up: {e}"))?),
            host,
            port: parsed.port().unwrap_or(port),
            hello: if path.is_empty() { ClientId::default() } else { ClientId::Domain(path.to_owned()) },
            credentials: credentials(&parsed)?,
            sender,
        })
    }

    pub(super) fn describe(&self) -> String {
        let how = match self.tls {
            Tls::None => " in clear",
            Tls::Opportunistic(_) => ", encrypted if it can",
            Tls::Required(_) | Tls::Wrapper(_) => "",
        };
        let host = &self.host;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        format!("SMTP to {host}:{}{how}", self.port)
    }

    pub(super) fn send_batch(&self, mails: &[OutboundEmail], until: Instant) -> Vec<Result<(), SendError>> {
        let mut line = Line { smtp: self, connection: None, lost: 0, down: None };
        let begun = mails.iter().take_while(|_| Instant::now() < until);
        begun.map(|e| line.send(e).map_err(|error| error.scrubbed(e))).collect()
    }

    fn connect(&self) -> Result<SmtpConnection, Error> {
        let wrapper = match &self.tls {
            Tls::Wrapper(parameters) => Some(parameters),
            Tls::None | Tls::Opportunistic(_) | Tls::Required(_) => None,
        };
        let address = (self.host.as_str(), self.port);
        let mut connection = SmtpConnection::connect(address, Some(TIMEOUT), &self.hello, wrapper, None)?;
        match &self.tls {
            Tls::Required(parameters) => connection.starttls(parameters, &self.hello)?,
            Tls::Opportunistic(parameters) if connection.can_starttls() => {
                connection.starttls(parameters, &self.hello)?;
            }
            Tls::None | Tls::Opportunistic(_) | Tls::Wrapper(_) => {}
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials)?;
        }
        Ok(connection)
    }
}

const NO_SCHEME: &str = "must begin with smtp:// or smtps://";

fn credentials(url: &Url) -> Result<Option<Credentials>, String> {
    let (user, password) = match (url.username(), url.password()) {
        ("", None) => return Ok(None),
        (user, Some(password)) => (user, password),
        // lettre ignores a user without a password
        (_, None) => return Err(String::from("has a user but no password")),
    };
    let decode = |raw| percent_decode(raw).ok_or("user or password is not percent-encoded UTF-8");
    Ok(Some(Credentials::new(decode(user)?, decode(password)?)))
}

/// Unlike in browsers, a percent sign must be encoded: a bare one is probably a forgotten %25.
fn percent_decode(raw: &str) -> Option<String> {
    let is_byte = |rest: &str| rest.get(..2).is_some_and(|pair| pair.bytes().all(|b| b.is_ascii_hexdigit()));
    let decoded = percent_decode_str(raw).decode_utf8().ok()?;
    raw.split('%').skip(1).all(is_byte).then(|| decoded.into_owned())
}

/// The connection of a batch.
struct Line<'a> {
    smtp: &'a Smtp,
    connection: Option<SmtpConnection>,
    /// Number of consecutive broken connections.
    lost: u8,
    /// Set if the rest of the batch should not be attempted, each with its own timeouts.
    down: Option<SendError>,
}

impl Line<'_> {
    fn send(&mut self, mail: &OutboundEmail) -> Result<(), SendError> {
        let message = compose(mail, &self.smtp.sender)?;
        if let Some(down) = &self.down {
            return Err(down.clone());
        }
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.smtp.connect().map_err(|e| self.unreachable(&e))?,
        };
        match deliver(&mut connection, &message) {
            Ok(()) => {
                self.lost = 0;
                self.connection = Some(connection);
                Ok(())
            }
            Err(Refused::Mail(error)) => {
                self.lost = 0;
                // the server may have closed the connection with 421
                self.connection = connection.command(Rset).is_ok().then_some(connection);
                Err(error)
            }
            Err(Refused::Broken(e)) => {
                let error = SendError::temporary(format!("SMTP: {e}"));
                self.lost += 1;
                // once may be because of this mail, twice is because of the server
                if self.lost > 1 {
                    self.down = Some(error.clone());
                }
                Err(error)
            }
        }
    }

    /// Any connection error, including wrong credentials, is not about the mail.
    fn unreachable(&mut self, e: &Error) -> SendError {
        let error = SendError::temporary(format!("no SMTP session: {e}"));
        self.down = Some(error.clone());
        error
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        if let Some(connection) = &mut self.connection {
            // sends QUIT; the mails are delivered whatever the reply
            connection.abort();
        }
    }
}

enum Refused {
    /// The server refused this mail.
    Mail(SendError),
    /// It did not reply, or not in SMTP.
    Broken(Error),
}

fn deliver(connection: &mut SmtpConnection, message: &SmtpMessage) -> Result<(), Refused> {
    let mut parameters = Vec::new();
    // only an address outside ASCII makes the message non-ASCII (RFC 6531 §3.1)
    if !message.bytes.is_ascii() {
        if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            let what = "the SMTP server does not support addresses outside ASCII (SMTPUTF8)";
            return Err(Refused::Mail(SendError::temporary(what)));
        }
        parameters.push(MailParameter::SmtpUtfEight);
        parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    // a refusal of our own address or of the command is a configuration error: not permanent for any mail
    connection.command(Mail::new(Some(message.from.clone()), parameters)).map_err(|e| refused(e, false))?;
    connection.command(Rcpt::new(message.to.clone(), Vec::new())).map_err(|e| refused(e, true))?;
    connection.command(Data).map_err(|e| refused(e, false))?;
    // on a dead connection the timeouts cannot be set; sending the message then fails
    let _ = connection.set_timeout(Some(LAST_PATIENCE));
    connection.message(&message.bytes).map_err(|e| refused(e, true))?;
    let _ = connection.set_timeout(Some(TIMEOUT));
    Ok(())
}

fn refused(e: Error, of_this_mail: bool) -> Refused {
    if e.is_permanent() || e.is_transient() {
        Refused::Mail(SendError { permanent: of_this_mail && e.is_permanent(), what: format!("SMTP: {e}") })
    } else {
        Refused::Broken(e)
    }
}

#[cfg(test)]
#[path = "smtp_tests.rs"]
mod tests;
