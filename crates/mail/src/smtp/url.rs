//! The setting `smtp-url`.

use percent_encoding::percent_decode_str;
use url::{ParseError, Url};

use crate::Secret;
use crate::smtp::Mode;

const FORM: &str = "use smtps://user:password@host, or smtp://user:password@host?tls=required for STARTTLS, or \
    smtp://host:25 for a relay without TLS";

const ESCAPE: &str =
    "in user and password write @ as %40, : as %3A, / as %2F, ? as %3F, # as %23 and % as %25";

/// `smtps://user:password@host:port/ehlo-name`, or `smtp://` with `?tls=required` (STARTTLS), `?tls=opportunistic` or
/// nothing (in clear). Ports default to 465, 587 and, in clear, 25.
#[derive(Debug)]
pub(super) struct SmtpUrl {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) mode: Mode,
    /// What follows the host, which other programs use as the name in EHLO.
    pub(super) helo: Option<String>,
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret>,
}

/// Whether this is a valid `smtp-url`.
///
/// # Errors
/// What is wrong with it, without the password in it; continues a sentence that begins with the name of the setting.
pub fn check_smtp_url(text: &str) -> Result<(), String> {
    SmtpUrl::parse(text).map(drop)
}

impl SmtpUrl {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.contains(|c: char| c.is_control() || c.is_whitespace()) {
            return Err(format!("contains white space: {FORM}"));
        }
        let Some(rest) = text.strip_prefix("smtp://").or_else(|| text.strip_prefix("smtps://")) else {
            return Err(format!("does not begin with smtp:// or smtps://: {FORM}"));
        };
        // An `@` further on belongs to a password with an unescaped character: the host would be wrong.
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let is_misplaced = rest.matches('@').count() > authority.matches('@').count().min(1);
        if is_misplaced || rest.contains('#') {
            return Err(format!("contains a character that must be escaped: {ESCAPE}"));
        }
        let url = Url::parse(text).map_err(|e| match e {
            ParseError::InvalidPort => format!("has a port that is not a number up to 65535: {ESCAPE}"),
            // The parser's message quotes nothing.
            e => format!("is not the URL of an SMTP server ({e}): {FORM}"),
        })?;
        let (port, mode) = match (url.scheme(), url.query().unwrap_or_default()) {
            ("smtps", "" | "tls=required") => (465, Mode::Wrapped),
            ("smtps", _) => {
                return Err(String::from("has parameters, and smtps:// has none: it is always encrypted"));
            }
            (_, "") => (25, Mode::Clear),
            (_, "tls=required") => (587, Mode::Required),
            (_, "tls=opportunistic") => (587, Mode::Opportunistic),
            // A misspelt `tls` would be mail in clear.
            _ => return Err(String::from("has a parameter other than tls=required and tls=opportunistic")),
        };
        let host =
            url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(format!("has no host: {FORM}"));
        }
        let helo = url.path().trim_matches('/');
        let (user, password) = match (url.username(), url.password()) {
            ("", None) => (None, None),
            ("", Some(_)) => return Err(format!("has a password and no user: {FORM}; {ESCAPE}")),
            (user, password) => (Some(decode(user)?), password.map(decode).transpose()?),
        };
        Ok(Self {
            host,
            port: url.port().unwrap_or(port),
            mode,
            helo: (!helo.is_empty()).then(|| helo.to_owned()),
            user,
            password: password.filter(|password| !password.is_empty()).map(Secret::new),
        })
    }
}

/// Unlike in browsers, a percent sign must be encoded: a bare one is probably a forgotten %25.
fn decode(raw: &str) -> Result<String, String> {
    let is_byte = |rest: &str| rest.get(..2).is_some_and(|pair| pair.bytes().all(|b| b.is_ascii_hexdigit()));
    match percent_decode_str(raw).decode_utf8() {
        Ok(text) if raw.split('%').skip(1).all(is_byte) && !text.contains(char::is_control) => {
            Ok(text.into_owned())
        }
        _ => Err(format!("has a user or password that is not percent-encoded UTF-8: {ESCAPE}")),
    }
}
