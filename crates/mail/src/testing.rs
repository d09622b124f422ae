//! Test mails, and a parser of mails that shares no code with their writer.

use std::time::{Duration, Instant};

use crate::{Email, EmailContent, FactorName, LockCause, Reason, Recipient, Secret, Sender};
use tenantry_core::clock::{DAY, Millis};
use tenantry_core::languages::Language;

/// Contains characters that quoted-printable and HTML escape.
pub(super) const PASSWORD: &str = "Kx7=3D&dot.=x<Zz9";
/// 2026-11-23T05:59:59.123Z.
pub(super) const WHEN: Millis = 1_795_413_599_123;

/// A time by which every batch is sent.
pub(super) fn later() -> Instant {
    Instant::now() + Duration::from_secs(600)
}

pub(super) fn sender() -> Sender {
    Sender::new("Example Users <noreply@example.com>", "https://users.example.com/").unwrap()
}

pub(super) fn email(name: &str, content: EmailContent) -> Email {
    let to = Recipient { name: name.to_owned(), address: String::from("ada@example.org") };
    Email { id: 42, created_at: WHEN, ..Email::new(to, content, Language::En) }
}

pub(super) fn password(name: &str) -> Email {
    password_for(name, Reason::Welcome)
}

fn password_for(name: &str, reason: Reason) -> Email {
    let content = EmailContent::TemporaryPassword {
        username: String::from("ada"),
        password: Secret::new(String::from(PASSWORD)),
        reason,
        expires_at: WHEN + DAY,
    };
    email(name, content)
}

pub(super) fn one_of_each() -> Vec<Email> {
    let username = String::from("ada");
    let locked = |cause| email("Ada Lovelace", EmailContent::AccountLocked { username: "ada".into(), cause });
    vec![
        password_for("Ada Lovelace", Reason::Welcome),
        password_for("Ada Lovelace", Reason::Reset),
        password_for("", Reason::Forgotten),
        email("Ada Lovelace", EmailContent::PasswordChanged { username: username.clone() }),
        email(
            "Ada Lovelace",
            EmailContent::EmailChanged { username, new_address: "ada.l@example.net".into() },
        ),
        locked(LockCause::FailedLogins),
        locked(LockCause::Admin),
        email(
            "Ada Lovelace",
            EmailContent::FactorAdded { username: "ada".into(), factor: FactorName::AuthenticatorApp },
        ),
        email(
            "Ada Lovelace",
            EmailContent::FactorAdded { username: "ada".into(), factor: FactorName::Passkey },
        ),
        email(
            "Ada Lovelace",
            EmailContent::FactorAdded { username: "ada".into(), factor: FactorName::RecoveryCodes },
        ),
        email(
            "Ada Lovelace",
            EmailContent::FactorRemoved { username: "ada".into(), factor: FactorName::AuthenticatorApp },
        ),
        email(
            "Ada Lovelace",
            EmailContent::FactorRemoved { username: "ada".into(), factor: FactorName::Passkey },
        ),
        email(
            "Ada Lovelace",
            EmailContent::FactorRemoved { username: "ada".into(), factor: FactorName::RecoveryCodes },
        ),
        email("Ada Lovelace", EmailContent::RecoveryCodeUsed { username: "ada".into(), left: 9 }),
        email(
            "Ada Lovelace",
            EmailContent::ForgottenUsername { username: "ada".into(), expires_at: WHEN + DAY },
        ),
        email(
            "Ada Lovelace",
            EmailContent::VerifyEmail {
                username: "ada".into(),
                link: Secret::new(String::from("c2VhbGVk-_x")),
                expires_at: WHEN + DAY,
            },
        ),
        email(
            "Ada Lovelace",
            EmailContent::SigningKeysReset {
                username: "ada".into(),
                applications: vec![String::from("Shop"), String::from("Portal")],
            },
        ),
    ]
}

/// A parsed mail.
pub(super) struct Read {
    /// Unfolded, in order.
    pub(super) headers: Vec<(String, String)>,
    pub(super) text: String,
    pub(super) html: String,
}

impl Read {
    pub(super) fn header(&self, name: &str) -> &str {
        let mut found = self.headers.iter().filter(|(n, _)| n == name);
        let (_, value) = found.next().unwrap_or_else(|| panic!("no {name}"));
        assert!(found.next().is_none(), "{name} twice");
        value
    }
}

/// Parses a multipart/alternative with two parts, checking RFC 5322 §2.1.1 and RFC 2045 §6.7.
pub(super) fn read(mail: &[u8]) -> Read {
    let mail = std::str::from_utf8(mail).unwrap();
    assert!(!mail.replace("\r\n", "").contains(['\r', '\n']), "a bare CR or LF");
    assert!(mail.split("\r\n").all(|line| line.len() <= 998), "a line is too long");
    assert!(mail.is_ascii(), "not every server takes 8 bits");
    let (headers, body) = split(mail);
    let kind = &headers.iter().find(|(n, _)| n == "Content-Type").unwrap().1;
    assert!(kind.starts_with("multipart/alternative"), "{kind}");
    let boundary = kind.split("boundary=\"").nth(1).unwrap().trim_end_matches('"');
    let parts: Vec<&str> = body.split(&format!("--{boundary}")).collect();
    assert_eq!((parts.len(), parts[3].trim_end()), (4, "--"));
    Read { headers, text: part(parts[1], "text/plain"), html: part(parts[2], "text/html") }
}

fn split(mail: &str) -> (Vec<(String, String)>, &str) {
    let (head, body) = mail.split_once("\r\n\r\n").unwrap();
    let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", "\t");
    let pair = |line: &str| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_owned(), value.trim().to_owned())
    };
    (unfolded.split("\r\n").filter(|l| !l.is_empty()).map(pair).collect(), body)
}

/// Decodes the encoded words of a header and checks them: RFC 2047 §2 (at most 75 characters) and §5 (rule 3: each is
/// whole characters).
pub(super) fn decoded(header: &str) -> String {
    let mut text = String::new();
    let mut was_encoded = false;
    for word in header.split(' ').filter(|word| !word.is_empty()) {
        let encoded = word.strip_prefix("=?utf-8?b?").and_then(|rest| rest.strip_suffix("?="));
        if !(text.is_empty() || was_encoded && encoded.is_some()) {
            text.push(' ');
        }
        was_encoded = encoded.is_some();
        match encoded {
            Some(base64) => {
                assert!(word.len() <= 75, "{word}");
                let bytes =
                    base64::Engine::decode(&base64::engine::general_purpose::STANDARD, base64).unwrap();
                text.push_str(&String::from_utf8(bytes).unwrap());
            }
            None => {
                assert!(word.is_ascii(), "{word}");
                text.push_str(word);
            }
        }
    }
    text
}

fn part(raw: &str, kind: &str) -> String {
    let (headers, body) = split(raw);
    let header = |name: &str| headers.iter().find(|(n, _)| n == name).unwrap().1.clone();
    assert_eq!(header("Content-Type"), format!("{kind}; charset=utf-8"));
    let body = match header("Content-Transfer-Encoding").as_str() {
        "7bit" => body.to_owned(),
        "quoted-printable" => quoted_printable(body),
        other => panic!("{other}"),
    };
    body.replace("\r\n", "\n")
}

fn quoted_printable(raw: &str) -> String {
    assert!(raw.is_ascii() && raw.split("\r\n").all(|line| line.len() <= 76));
    let mut out = Vec::new();
    let mut rest = raw.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'=' {
            out.push(first);
        } else if let Some(after) = rest.strip_prefix(b"\r\n") {
            rest = after;
        } else {
            let hex = std::str::from_utf8(&rest[..2]).unwrap();
            out.push(u8::from_str_radix(hex, 16).unwrap());
            rest = &rest[2..];
        }
    }
    String::from_utf8(out).unwrap()
}
