//! A conversation with a relay (RFC 5321), with STARTTLS (RFC 3207) and AUTH (RFC 4954).
//!
//! lettre's own connection has one timeout for everything, takes a command for its error, and shows neither what was said
//! nor what TLS negotiated; only its messages are used. (Its `tracing` feature would log whole mails.)

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::pki_types::ServerName;
use tenantry_tls::{Finding, Verify};
use zeroize::Zeroizing;

use crate::Stop;
use crate::smtp::problem::{Problem, Situation};
use crate::smtp::stream::{Ended, Socket, Stream};
use crate::smtp::timeouts::Phase;
use crate::smtp::{Credentials, Mode, Settings};

/// One line of a conversation, without secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told<'a> {
    /// Sent to the relay.
    Sent(&'a str),
    /// Received from it.
    Received(&'a str),
    /// What happened in between.
    Note(&'a str),
}

/// Who listens to a conversation.
pub(super) type Tell<'a> = &'a mut dyn FnMut(Told<'_>);

/// A reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) code: u16,
    /// The texts of its lines.
    pub(super) lines: Vec<String>,
}

impl Reply {
    /// `None` if this is not SMTP.
    fn parse(lines: &[String]) -> Option<Self> {
        let code = lines.first()?.get(..3)?.parse().ok().filter(|code| (200..600).contains(code))?;
        let text = |line: &String| line.get(4..).unwrap_or_default().to_owned();
        let is_one = lines.iter().all(|line| line.get(..3).is_some_and(|start| start.parse() == Ok(code)));
        is_one.then(|| Self { code, lines: lines.iter().map(text).collect() })
    }

    pub(super) fn text(&self) -> String {
        format!("{} {}", self.code, self.lines.join(" ")).trim_end().to_owned()
    }
}

/// Whether a line is the last one of a reply, or not of one at all.
fn is_last(line: &str) -> bool {
    line.as_bytes().get(3) != Some(&b'-') || line.get(..3).is_none_or(|code| code.parse::<u16>().is_err())
}

/// An open session, ready for mail.
pub(super) struct Session<'a> {
    settings: &'a Settings,
    stream: Stream,
    /// Keywords of the answer to EHLO in upper case, with their parameters (RFC 1869 §4.1.1).
    extensions: BTreeMap<String, String>,
    /// What must not be shown, should the relay repeat it.
    secrets: Vec<Zeroizing<String>>,
    tell: Option<Tell<'a>>,
}

impl<'a> Session<'a> {
    /// Connects, encrypts and authenticates as the settings say.
    pub(super) fn open(settings: &'a Settings, stop: &Stop, tell: Option<Tell<'a>>) -> Result<Self, Problem> {
        let (stream, extensions) = (Stream::closed(), BTreeMap::new());
        let mut session = Self { settings, stream, extensions, secrets: Vec::new(), tell };
        match session.begin(stop, settings.mode != Mode::Clear) {
            // RFC 7435: rather in clear than not at all.
            Err(problem) if problem.is_handshake() && settings.mode == Mode::Opportunistic => {
                session.note(&format!("{problem}; once more in clear, as tls=opportunistic allows"));
                session.begin(stop, false)?;
            }
            begun => begun?,
        }
        session.authenticate()?;
        Ok(session)
    }

    fn begin(&mut self, stop: &Stop, may_encrypt: bool) -> Result<(), Problem> {
        self.stream = Stream::new(self.connect(stop)?);
        if self.settings.mode == Mode::Wrapped {
            self.encrypt()?;
        }
        self.greeting()?;
        self.hello()?;
        match self.settings.mode {
            Mode::Required if !self.has("STARTTLS") => {
                return Err(Problem::broken(
                    "the relay does not offer STARTTLS, and smtp-url has tls=required; use smtps:// if it encrypts from \
                     the start, or smtp:// without tls=required in a network that is encrypted by other means",
                ));
            }
            Mode::Required => self.starttls()?,
            Mode::Opportunistic if may_encrypt && self.has("STARTTLS") => match self.starttls() {
                // RFC 3207 §4: the session goes on without TLS.
                Err(problem) if problem.code().is_some() => {
                    self.note(&format!("{problem}; in clear, as tls=opportunistic allows"));
                }
                done => done?,
            },
            Mode::Clear | Mode::Opportunistic | Mode::Wrapped => {}
        }
        Ok(())
    }

    fn connect(&mut self, stop: &Stop) -> Result<Socket, Problem> {
        let (host, port) = (self.settings.host.as_str(), self.settings.port);
        let timeout = self.settings.timeouts.of(Phase::Connect);
        let addresses: Vec<SocketAddr> = (host, port)
            .to_socket_addrs()
            .map_err(|e| Problem::broken(format!("{host} has no address: {e}; check the host in smtp-url")))?
            .collect();
        let mut last = Problem::broken(format!("{host} has no address; check the host in smtp-url"));
        for address in addresses {
            if stop.since().is_some() {
                return Err(Problem::stopped());
            }
            self.note(&format!("connecting to {address}"));
            match Socket::connect(&address, timeout, stop) {
                Ok(socket) => return Ok(socket),
                Err(e) => last = Problem::connecting(&e, &address, timeout),
            }
        }
        Err(last)
    }

    fn greeting(&mut self) -> Result<(), Problem> {
        let reply = self.reply(Phase::Greeting)?;
        self.positive(Phase::Greeting, reply).map(drop)
    }

    /// EHLO, or HELO for a relay that does not know it (RFC 5321 §3.2).
    fn hello(&mut self) -> Result<(), Problem> {
        let name = &self.settings.helo;
        let reply = match self.command(Phase::Hello, &format!("EHLO {name}")) {
            Err(problem) if matches!(problem.code(), Some(500 | 502)) => {
                self.command(Phase::Hello, &format!("HELO {name}"))?
            }
            done => done?,
        };
        let words = reply.lines.iter().skip(1).map(|line| {
            // `AUTH=LOGIN` was written before there was an RFC.
            let (word, rest) = line.split_once([' ', '=']).unwrap_or((line, ""));
            (word.to_ascii_uppercase(), rest.to_ascii_uppercase())
        });
        self.extensions.clear();
        for (word, rest) in words {
            let all = self.extensions.entry(word).or_default();
            *all = format!("{all} {rest}").trim().to_owned();
        }
        Ok(())
    }

    /// Whether the relay offers an extension.
    pub(super) fn has(&self, extension: &str) -> bool {
        self.extensions.contains_key(extension)
    }

    fn starttls(&mut self) -> Result<(), Problem> {
        self.command(Phase::StartTls, "STARTTLS")?;
        self.encrypt()?;
        // What was offered in clear counts no more (RFC 3207 §4.2).
        self.hello()
    }

    fn encrypt(&mut self) -> Result<(), Problem> {
        let settings = self.settings;
        let verify = if settings.mode == Mode::Opportunistic { Verify::Nothing } else { Verify::Full };
        let (config, finding) =
            tenantry_tls::client(&settings.authorities, verify).map_err(Problem::broken)?;
        let name = ServerName::try_from(settings.host.clone())
            .map_err(|_| Problem::broken(format!("{} cannot be the name in a certificate", settings.host)))?;
        self.stream.limit(settings.timeouts.of(Phase::Handshake), std::time::Duration::ZERO);
        if let Err(e) = self.stream.encrypt(Arc::new(config), name) {
            return Err(match self.stream.ended() {
                Some(_) => self.failed(Phase::Handshake, &e),
                None => Problem::handshake(&e, &self.situation()),
            });
        }
        self.note_tls(&finding);
        Ok(())
    }

    fn note_tls(&mut self, finding: &Finding) {
        let negotiated = self.stream.negotiated().unwrap_or_else(|| String::from("TLS"));
        let certificate = match finding.get() {
            None if self.settings.mode == Mode::Opportunistic => {
                String::from("the certificate is valid, but tls=opportunistic does not require that")
            }
            None => String::from("the certificate is valid"),
            Some(error) => {
                let what = tenantry_tls::certificate_problem(&error, "smtp-ca-file");
                format!(
                    "not verified, as tls=opportunistic allows: {}",
                    what.unwrap_or_else(|| error.to_string())
                )
            }
        };
        self.note(&format!("{negotiated}; {certificate}"));
    }

    fn authenticate(&mut self) -> Result<(), Problem> {
        let settings = self.settings;
        let user = match &settings.credentials {
            Credentials::None => return Ok(()),
            Credentials::Password { user, .. } | Credentials::Token { user, .. } => user,
        };
        if settings.mode == Mode::Opportunistic || !self.stream.is_encrypted() {
            self.note("the user's password or token is sent to a relay that is not verified; use tls=required or smtps://");
        }
        let offered = self.extensions.get("AUTH").cloned().unwrap_or_default();
        let offers = |mechanism: &str| offered.split(' ').any(|word| word == mechanism);
        match &settings.credentials {
            Credentials::Password { password, .. } if offers("PLAIN") => {
                let line = Zeroizing::new(format!("\0{user}\0{}", password.expose()));
                self.secret(password.expose());
                self.auth("AUTH PLAIN", Some(&line), &[])
            }
            Credentials::Password { password, .. } if offers("LOGIN") => {
                self.secret(password.expose());
                self.auth("AUTH LOGIN", None, &[user, password.expose()])
            }
            Credentials::Token { source, .. } if offers("XOAUTH2") => {
                let token = source.read().map_err(Problem::broken)?;
                match self.auth_token(user, token.expose()) {
                    // Another program may just have renewed it.
                    Err(problem) if problem.code() == Some(535) => {
                        let renewed = source.read().map_err(Problem::broken)?;
                        if renewed.expose() == token.expose() {
                            return Err(problem);
                        }
                        self.note("the token has been renewed; once more");
                        self.auth_token(user, renewed.expose())
                    }
                    done => done,
                }
            }
            _ => Err(Problem::no_mechanism(&offered, &self.situation())),
        }
    }

    fn auth_token(&mut self, user: &str, token: &str) -> Result<(), Problem> {
        self.secret(token);
        let line = Zeroizing::new(format!("user={user}\x01auth=Bearer {token}\x01\x01"));
        // To an error in a challenge the answer is an empty line; then the relay refuses (Google, Microsoft: "SASL XOAUTH2").
        self.auth("AUTH XOAUTH2", Some(&line), &[""])
    }

    /// AUTH with an initial response, and the answers to challenges.
    fn auth(&mut self, command: &str, initial: Option<&str>, answers: &[&str]) -> Result<(), Problem> {
        let encoded = |text: &str| Zeroizing::new(BASE64.encode(text));
        let line = match initial {
            Some(initial) => {
                let initial = encoded(initial);
                self.secrets.push(initial.clone());
                Zeroizing::new(format!("{command} {}", *initial))
            }
            None => Zeroizing::new(command.to_owned()),
        };
        let shown = if initial.is_some() { format!("{command} [hidden]") } else { command.to_owned() };
        let mut reply = self.exchange(Phase::Auth, &line, &shown)?;
        let mut status = None;
        for answer in answers {
            if reply.code != 334 {
                break;
            }
            status = status.or_else(|| status_of(&reply));
            let answer = encoded(answer);
            let shown = if answer.is_empty() { "(empty line)" } else { "[hidden]" };
            if !answer.is_empty() {
                self.secrets.push(answer.clone());
            }
            reply = self.exchange(Phase::Auth, &answer, shown)?;
        }
        if reply.code == 334 {
            return Err(Problem::broken(
                "the relay asks for more than AUTH needs; is the mechanism another one there?",
            ));
        }
        let done = self.positive(Phase::Auth, reply);
        done.map(drop).map_err(|problem| match status {
            Some(status) => problem.with(&format!("the relay says status {status} about the token")),
            None => problem,
        })
    }

    /// Remembers what must not be shown.
    fn secret(&mut self, text: &str) {
        if !text.is_empty() {
            self.secrets.push(Zeroizing::new(text.to_owned()));
        }
    }

    /// Sends a command and waits for a positive reply.
    pub(super) fn command(&mut self, phase: Phase, line: &str) -> Result<Reply, Problem> {
        let reply = self.exchange(phase, line, line)?;
        self.positive(phase, reply)
    }

    /// Sends a line and waits for any reply. The line is told as `shown`.
    fn exchange(&mut self, phase: Phase, line: &str, shown: &str) -> Result<Reply, Problem> {
        self.say(Told::Sent(shown));
        self.stream.limit(self.settings.timeouts.of(phase), std::time::Duration::ZERO);
        let line = Zeroizing::new(format!("{line}\r\n"));
        // A relay that closes the connection often says why before; that is read.
        let written = self.stream.write(line.as_bytes());
        match self.reply_within(phase) {
            Err(problem) => Err(match written {
                Err(e) if self.stream.ended().is_none() => self.failed(phase, &e),
                _ => problem,
            }),
            done => done,
        }
    }

    /// Announces the message, of which the relay has accepted sender and recipient.
    pub(super) fn data(&mut self) -> Result<(), Problem> {
        let reply = self.command(Phase::Data, "DATA")?;
        if reply.code == 354 { Ok(()) } else { Err(Problem::refused(Phase::Data, &reply, &self.situation())) }
    }

    /// Sends the message and waits for its confirmation.
    pub(super) fn content(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        self.say(Told::Sent(&format!("(the message, {} bytes)", bytes.len())));
        for block in stuffed(bytes).chunks(16 << 10) {
            // Of each block (RFC 5321 §4.5.3.2.5).
            self.stream.limit(self.settings.timeouts.of(Phase::Content), std::time::Duration::ZERO);
            if let Err(e) = self.stream.write(block) {
                return Err(self.failed(Phase::Content, &e));
            }
        }
        self.stream.limit(self.settings.timeouts.of(Phase::End), super::LAST_PATIENCE);
        let reply = self.reply_within(Phase::End)?;
        self.positive(Phase::End, reply).map(drop)
    }

    /// QUIT. The mails are delivered whatever the reply, so it is not waited for.
    pub(super) fn quit(&mut self) {
        self.say(Told::Sent("QUIT"));
        self.stream.limit(std::time::Duration::from_secs(1), std::time::Duration::from_secs(1));
        let _ = self.stream.write(b"QUIT\r\n");
    }

    fn reply(&mut self, phase: Phase) -> Result<Reply, Problem> {
        self.stream.limit(self.settings.timeouts.of(phase), std::time::Duration::ZERO);
        self.reply_within(phase)
    }

    fn reply_within(&mut self, phase: Phase) -> Result<Reply, Problem> {
        let lines = match self.stream.read_lines(is_last) {
            Ok(lines) => lines,
            Err(e) => return Err(self.failed(phase, &e)),
        };
        let lines: Vec<String> = lines.iter().map(|line| self.hidden(line)).collect();
        for line in &lines {
            self.say(Told::Received(line));
        }
        Reply::parse(&lines).ok_or_else(|| Problem::not_smtp(&lines, &self.situation()))
    }

    fn positive(&self, phase: Phase, reply: Reply) -> Result<Reply, Problem> {
        match reply.code {
            200..400 => Ok(reply),
            _ => Err(Problem::refused(phase, &reply, &self.situation())),
        }
    }

    fn failed(&self, phase: Phase, e: &io::Error) -> Problem {
        match self.stream.ended() {
            Some(Ended::Stopped) => Problem::stopped(),
            Some(Ended::Late) => Problem::late(phase, self.settings.timeouts.of(phase), &self.situation()),
            None => Problem::io(phase, e, &self.situation()),
        }
    }

    fn situation(&self) -> Situation<'_> {
        Situation {
            settings: self.settings,
            is_encrypted: self.stream.is_encrypted(),
            has_auth: self.has("AUTH"),
        }
    }

    /// A line on one line, without secrets.
    fn hidden(&self, line: &str) -> String {
        let mut line = line.to_owned();
        for secret in self.secrets.iter().filter(|secret| secret.len() > 3) {
            line = line.replace(secret.as_str(), "[hidden]");
        }
        line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
    }

    fn say(&mut self, what: Told<'_>) {
        if let Some(tell) = &mut self.tell {
            tell(what);
        }
    }

    fn note(&mut self, what: &str) {
        self.say(Told::Note(what));
    }
}

/// The status in the error of a XOAUTH2 challenge: base64 of JSON.
fn status_of(challenge: &Reply) -> Option<String> {
    let json = BASE64.decode(challenge.lines.first()?.trim()).ok()?;
    let json: serde_json::Value = serde_json::from_slice(&json).ok()?;
    let status = json.get("status")?.as_str()?;
    let is_code = status.len() <= 40 && status.bytes().all(|b| b.is_ascii_alphanumeric());
    is_code.then(|| status.to_owned())
}

/// The message with its end, and lines that begin with a point made transparent (RFC 5321 §4.5.2).
fn stuffed(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(bytes.len() + bytes.len() / 64 + 8));
    let mut is_start = true;
    for &byte in bytes {
        if is_start && byte == b'.' {
            out.push(b'.');
        }
        out.push(byte);
        is_start = byte == b'\n';
    }
    if !is_start && !bytes.is_empty() {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_at_the_start_of_lines_are_doubled() {
        let stuffed = |text: &str| String::from_utf8(stuffed(text.as_bytes()).to_vec()).unwrap();
        assert_eq!(stuffed("a\r\n.b\r\n..\r\nc.\r\n"), "a\r\n..b\r\n...\r\nc.\r\n.\r\n");
        assert_eq!(stuffed(".\r\nno end"), "..\r\nno end\r\n.\r\n");
        assert_eq!(stuffed(""), ".\r\n");
    }

    #[test]
    fn replies() {
        let parse = |lines: &[&str]| Reply::parse(&lines.iter().map(ToString::to_string).collect::<Vec<_>>());
        let reply = parse(&["250-relay.example", "250 STARTTLS"]).unwrap();
        assert_eq!((reply.code, reply.text().as_str()), (250, "250 relay.example STARTTLS"));
        assert_eq!(parse(&["250"]).unwrap().text(), "250");
        for bad in [
            &["+OK ready"][..],
            &["HTTP/1.1 400 Bad Request"],
            &["199 x"],
            &["600 x"],
            &["250-a", "251 b"],
            &[""],
        ] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
        assert!(!is_last("250-x") && is_last("250 x") && is_last("250") && is_last("SSH-2.0-x"));
    }
}
