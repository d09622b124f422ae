//! Why mail is not accepted, and what to do about it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::smtp::session::Reply;
use crate::smtp::timeouts::{Phase, shown};
use crate::smtp::{Credentials, Mode, Settings};

/// What of a relay's own words is repeated.
const WORDS: usize = 160;

/// What there is to know for a hint.
pub(super) struct Situation<'a> {
    pub(super) settings: &'a Settings,
    pub(super) is_encrypted: bool,
    /// The relay offers AUTH.
    pub(super) has_auth: bool,
}

impl Situation<'_> {
    fn has_credentials(&self) -> bool {
        !matches!(self.settings.credentials, Credentials::None)
    }

    fn place(&self) -> String {
        format!("{}:{}", self.settings.host, self.settings.port)
    }
}

/// Why a step of a conversation failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub(super) struct Problem {
    what: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The relay refused, with this code. The session goes on.
    Refused(u16),
    /// The TLS handshake failed.
    Handshake,
    /// The session is over.
    Broken,
    /// The process stops.
    Stopped,
}

impl Problem {
    pub(super) fn broken(what: impl Into<String>) -> Self {
        Self { what: what.into(), kind: Kind::Broken }
    }

    pub(super) fn stopped() -> Self {
        Self { what: String::from("the server stops"), kind: Kind::Stopped }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.kind == Kind::Stopped
    }

    pub(super) fn is_handshake(&self) -> bool {
        self.kind == Kind::Handshake
    }

    /// The code of a refusal.
    pub(super) fn code(&self) -> Option<u16> {
        match self.kind {
            Kind::Refused(code) => Some(code),
            Kind::Handshake | Kind::Broken | Kind::Stopped => None,
        }
    }

    /// With a remark at the end.
    pub(super) fn with(mut self, remark: &str) -> Self {
        self.what = format!("{} ({remark})", self.what);
        self
    }

    pub(super) fn connecting(e: &io::Error, address: &SocketAddr, timeout: Duration) -> Self {
        Self::broken(match e.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => format!(
                "the relay did not accept a connection to {address} within {}; check host and port in smtp-url, and whether \
                 a firewall allows it (many networks block port 25)",
                shown(timeout)
            ),
            io::ErrorKind::ConnectionRefused => format!(
                "nothing listens on {address}; check host and port in smtp-url (587 with tls=required and 465 with smtps:// \
                 are usual)"
            ),
            _ => format!("cannot connect to {address}: {e}; check host and port in smtp-url"),
        })
    }

    pub(super) fn late(phase: Phase, timeout: Duration, at: &Situation<'_>) -> Self {
        let hint = match phase {
            Phase::Greeting if at.settings.mode != Mode::Wrapped => {
                "; if it encrypts from the start, as usual on port 465, use smtps:// in smtp-url"
            }
            _ => "",
        };
        Self::broken(format!("the relay did not {} within {}{hint}", phase.expected(), shown(timeout)))
    }

    pub(super) fn io(phase: Phase, e: &io::Error, at: &Situation<'_>) -> Self {
        let is_closed = matches!(
            e.kind(),
            io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
        );
        let hint = match phase {
            Phase::Greeting if at.settings.mode != Mode::Wrapped => {
                "; it may not know this machine's address, or encrypt from the start (then use smtps:// in smtp-url)"
            }
            Phase::Greeting | Phase::Hello => {
                "; it may not know this machine's address: see the log of the relay"
            }
            _ => "",
        };
        let expected = phase.expected();
        Self::broken(if is_closed {
            format!("the relay closed the connection and did not {expected}{hint}")
        } else {
            format!("the connection to the relay failed, which did not {expected}: {e}")
        })
    }

    /// The handshake failed, not for lack of time.
    pub(super) fn handshake(e: &io::Error, at: &Situation<'_>) -> Self {
        let place = at.place();
        let tls = e.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let what = match tls {
            Some(rustls::Error::InvalidMessage(_)) => format!(
                "{place} does not answer in TLS; if it begins in clear, as usual on ports 25 and 587, use smtp:// with \
                 ?tls=required in smtp-url"
            ),
            Some(error) => match tenantry_tls::certificate_problem(error, "smtp-ca-file") {
                Some(what) => format!("{place} is not trusted ({error}): {what}"),
                None => format!("TLS with {place} failed: {error}"),
            },
            None if e.kind() == io::ErrorKind::UnexpectedEof => {
                format!("{place} closed the connection during the TLS handshake; does it expect TLS there?")
            }
            None => format!("TLS with {place} failed: {e}"),
        };
        Self { what, kind: Kind::Handshake }
    }

    pub(super) fn not_smtp(lines: &[String], at: &Situation<'_>) -> Self {
        let first = lines.first().map(String::as_str).unwrap_or_default();
        // An alert or a handshake of TLS (RFC 8446 §5.1), or what is left of it without control characters.
        let is_tls = matches!(first.as_bytes(), [0x15 | 0x16, 0x03, ..] | [b' ', b' ', ..]);
        let hint = if is_tls && at.settings.mode != Mode::Wrapped {
            "it speaks TLS: use smtps:// in smtp-url"
        } else {
            "check host and port in smtp-url"
        };
        let said: String = first.trim().chars().take(60).collect();
        Self::broken(format!("{} does not speak SMTP (it says {said:?}); {hint}", at.place()))
    }

    /// The relay has no way to authenticate that this side has.
    pub(super) fn no_mechanism(offered: &str, at: &Situation<'_>) -> Self {
        let ours = match at.settings.credentials {
            Credentials::Token { .. } => "XOAUTH2, for the token",
            Credentials::Password { .. } | Credentials::None => "PLAIN or LOGIN, for the password",
        };
        Self::broken(if offered.is_empty() && !at.is_encrypted {
            String::from(
                "the relay offers no authentication without TLS: add ?tls=required to smtp-url, or use smtps://",
            )
        } else if offered.is_empty() {
            String::from(
                "the relay offers no authentication, and smtp-url has a user: remove it, or use another port",
            )
        } else {
            format!("the relay offers the authentication {offered}, and not {ours}")
        })
    }

    /// The relay answered with 4yz or 5yz.
    pub(super) fn refused(phase: Phase, reply: &Reply, at: &Situation<'_>) -> Self {
        let said: String = reply.text().chars().take(WORDS).collect();
        let step = match phase {
            Phase::Greeting => "refused the connection",
            Phase::Hello => "refused the name in EHLO",
            Phase::StartTls => "refused STARTTLS",
            Phase::Auth => "refused the login",
            Phase::Sender => "refused the sender",
            Phase::Recipient => "refused the recipient",
            Phase::Data | Phase::Content | Phase::End => "refused the message",
            Phase::Connect | Phase::Handshake | Phase::Reset => "refused",
        };
        let hint = hint(phase, reply.code, &said, at);
        let hint = hint.map_or_else(String::new, |hint| format!("; {hint}"));
        Self { what: format!("the relay {step}: {said}{hint}"), kind: Kind::Refused(reply.code) }
    }
}

const STARTTLS: &str = "add ?tls=required to smtp-url";

/// What to do about a refusal, if it can be said.
fn hint(phase: Phase, code: u16, said: &str, at: &Situation<'_>) -> Option<&'static str> {
    let upper = said.to_ascii_uppercase();
    let says = |words: &[&str]| words.iter().any(|word| upper.contains(word));
    let lacks_tls = !at.is_encrypted;
    match (code, phase) {
        (530 | 538, _) if lacks_tls && (says(&["STARTTLS", "TLS", "ENCRYPT"]) || code == 538) => {
            Some(STARTTLS)
        }
        (530, _) if !at.has_credentials() => Some(
            "it requires a login: put user and password in smtp-url (smtp://user:password@host?tls=required)",
        ),
        (421, Phase::Greeting) => Some("it may be overloaded or limit connections; it is tried again later"),
        (421, _) => Some("it closes the connection; it is tried again later"),
        (554, Phase::Greeting) => Some("it does not accept mail from this machine: see the log of the relay"),
        (501 | 504 | 550 | 553 | 554, Phase::Hello) => {
            Some("set public-url to a host with a domain, or smtp-helo to a name that the relay accepts")
        }
        (_, Phase::StartTls) => Some("it cannot encrypt at present: see the log of the relay"),
        (454, Phase::Auth) => Some("it cannot check logins at present; it is tried again later"),
        (534 | 535, Phase::Auth) => Some(match at.settings.credentials {
            Credentials::Token { .. } => {
                "the token is refused: is it expired, for this user, and of a scope for SMTP?"
            }
            Credentials::Password { .. } | Credentials::None => {
                "check user and password in smtp-url, where @ is written %40 and % is written %25; some services require \
                 an app password or a token (smtp-oauth-token-file)"
            }
        }),
        (550 | 551 | 553 | 554, Phase::Sender) => {
            Some("check mail-from: a relay may only accept the addresses of its own domain or of the login")
        }
        (550 | 551 | 554, Phase::Recipient)
            if says(&["RELAY", "5.7.1", "AUTHENTIC"]) && !at.has_credentials() =>
        {
            Some(if at.has_auth || lacks_tls {
                "it delivers to other domains only after a login: put user and password in smtp-url"
            } else {
                "it delivers to other domains only for machines that it knows: allow this one there"
            })
        }
        (450..=452, _) if code != 452 => Some("it is tried again later"),
        (452, _) => Some("it has no room at present; it is tried again later"),
        (552, Phase::Recipient) => Some("the mailbox of the recipient is full"),
        (552, Phase::Data | Phase::Content | Phase::End) if says(&["5.2.2", "QUOTA", "FULL"]) => {
            Some("the mailbox of the recipient is full")
        }
        (552, _) => {
            Some("it accepts no messages of this size: raise its limit (message_size_limit in Postfix)")
        }
        _ => None,
    }
}
