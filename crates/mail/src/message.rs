//! Builds RFC 5322 messages, deterministically.

use std::time::{Duration, SystemTime};

use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox, MultiPart, SinglePart};
use lettre::{Address, Message};
use zeroize::Zeroizing;

use tenantry_core::values::mail_address;

use crate::template::{clean, message_time, render};
use crate::{Email, SendError};

/// The sender, the same for all mails of a server.
#[derive(Debug, Clone)]
pub struct Sender {
    from: Mailbox,
    public_url: String,
    sign_in_url: String,
}

impl Sender {
    /// From the settings `mail-from` (`users@example.com` or `Example <users@example.com>`) and `public-url`.
    ///
    /// # Errors
    /// What is wrong with `mail_from`, for the person who set it.
    pub fn new(mail_from: &str, public_url: &str) -> Result<Self, String> {
        let from: Mailbox = mail_from.trim().parse().map_err(|_| {
            String::from("not a mail address: use `users@example.com` or `Example <users@example.com>`")
        })?;
        // The envelope and the headers have only ASCII.
        let from = Mailbox { email: mail_address(from.email.as_ref()).parse().unwrap_or(from.email), ..from };
        let public_url = clean(public_url).trim_end_matches('/').to_owned();
        let sign_in_url = format!("{public_url}/sign-in");
        Ok(Self { from, public_url, sign_in_url })
    }

    /// With the product's own sign-in page (the setting `sign-in-url`) in place of this server's.
    #[must_use]
    pub fn with_sign_in_url(self, url: &str) -> Self {
        Self { sign_in_url: clean(url).into_owned(), ..self }
    }

    /// The setting `public-url`, without a trailing slash.
    pub(super) fn public_url(&self) -> &str {
        &self.public_url
    }

    /// The page that mails lead to.
    pub(super) fn sign_in_url(&self) -> &str {
        &self.sign_in_url
    }

    /// The host of `public-url`, as it stands there.
    pub(super) fn host(&self) -> &str {
        let rest = self.public_url.split_once("://").map_or(self.public_url.as_str(), |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        match authority.split_once(']') {
            // An IPv6 address in brackets, perhaps with a port behind.
            Some((address, _)) => address.trim_start_matches('['),
            None => authority.split(':').next().unwrap_or_default(),
        }
    }

    /// The domain of `mail-from`, for message ids.
    fn domain(&self) -> &str {
        let domain = self.from.email.domain();
        // RFC 5322 §3.6.4 requires ASCII; `.invalid` is reserved (RFC 2606)
        if domain.is_ascii() { domain } else { "tenantry.invalid" }
    }
}

impl std::fmt::Display for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.from.fmt(f)
    }
}

/// Whether mail can be addressed to `address`. Stricter than HTML's `type=email` in places (B19: such an address is an
/// input error, not a later delivery failure).
pub fn is_deliverable(address: &str) -> bool {
    address.parse::<Address>().is_ok()
}

/// A message ready to send.
pub(super) struct SmtpMessage {
    /// For the SMTP envelope.
    pub(super) from: Address,
    /// For the SMTP envelope.
    pub(super) to: Address,
    /// Headers and body, with CR LF line endings.
    pub(super) bytes: Zeroizing<Vec<u8>>,
}

/// Builds the message of a mail.
///
/// # Errors
/// Permanent: mail cannot be sent to the address.
pub(super) fn compose(mail: &Email, sender: &Sender) -> Result<SmtpMessage, SendError> {
    let to: Address = mail_address(&mail.to.address)
        .parse()
        .map_err(|e| SendError::permanent(format!("the recipient's address cannot be used: {e}")))?;
    let name = clean(&mail.to.name).into_owned();
    let rendered = render(mail, sender)
        .map_err(|e| SendError::permanent(format!("the message cannot be rendered: {e}")))?;
    let Marks { boundary, message_id } = marks(mail, sender);
    let sent_at = u64::try_from(message_time(mail.created_at).as_millisecond()).unwrap_or(0);
    let message = Message::builder()
        .from(sender.from.clone())
        .to(Mailbox::new((!name.is_empty()).then_some(name), to.clone()))
        .subject(rendered.subject)
        .date(SystemTime::UNIX_EPOCH + Duration::from_millis(sent_at))
        .raw_header(message_id)
        // RFC 3282
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Content-Language"),
            mail.language.tag().to_owned(),
        ))
        // suppresses out-of-office replies (RFC 3834 §5)
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            String::from("auto-generated"),
        ))
        .multipart(
            MultiPart::alternative()
                .boundary(boundary)
                .singlepart(part(ContentType::TEXT_PLAIN, &rendered.text))
                .singlepart(part(ContentType::TEXT_HTML, &rendered.html)),
        )
        .map_err(|e| SendError::permanent(format!("the message cannot be built: {e}")))?;
    Ok(SmtpMessage { from: sender.from.email.clone(), to, bytes: Zeroizing::new(message.formatted()) })
}

struct Marks {
    boundary: String,
    message_id: HeaderValue,
}

/// Values that lettre would otherwise generate randomly. The row's id makes them stable over redelivery; the row's time
/// is included because a new database begins again at 1, and mailboxes drop a second mail with a known id.
fn marks(mail: &Email, sender: &Sender) -> Marks {
    let (id, at) = (mail.id, mail.created_at);
    let message_id = format!("<{id}.{at}@{}>", sender.domain());
    // pre-encoded: a long domain must not be folded or encoded, and it is a checked address
    let message_id = HeaderValue::dangerous_new_pre_encoded(
        HeaderName::new_from_ascii_str("Message-ID"),
        message_id.clone(),
        message_id,
    );
    // `=_` occurs in no quoted-printable text (RFC 2045 §6.7), and in other text never after `--` at the start
    // of a line, since no line of ours begins with what a user typed (the greeting is not wrapped)
    Marks { boundary: format!("=_tenantry_{id}.{at}"), message_id }
}

/// Never base64, which lettre would choose for a name in Cyrillic: the line with the password must stay readable in the
/// raw file.
fn part(kind: ContentType, words: &str) -> SinglePart {
    let words = words.to_owned();
    let encoding = ContentTransferEncoding::QuotedPrintable;
    let body = if words.is_ascii() && words.lines().all(|line| line.len() < 76) {
        Body::new(words)
    } else {
        Body::new_with_encoding(words, encoding)
            .unwrap_or_else(|raw| Body::dangerous_pre_encoded(raw, encoding))
    };
    SinglePart::builder().content_type(kind).body(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EmailContent, Secret, testing};
    use tenantry_core::languages::Language;

    fn bytes(mail: &Email) -> Zeroizing<Vec<u8>> {
        compose(mail, &testing::sender()).unwrap().bytes
    }

    #[test]
    fn a_whole_mail() {
        let mail = bytes(&testing::password("Ada Lovelace"));
        insta::assert_snapshot!("mail", String::from_utf8(mail.to_vec()).unwrap().replace("\r\n", "\n"));
    }

    #[test]
    fn the_password_is_on_a_separate_line() {
        // ASCII is sent as it is; any other script makes the text quoted-printable
        for name in ["Ada Lovelace", "Zoë", "Анна Каренина", "愛".repeat(255).as_str()] {
            for password in [testing::PASSWORD, "=".repeat(40).as_str(), "A3=\"'<>&.~!@#$%^*(){}[]|\\;,?/`9"]
            {
                let mut mail = testing::password(name);
                if let EmailContent::TemporaryPassword { password: p, username, .. } = &mut mail.content {
                    *p = Secret::new(password.to_owned());
                    *username = format!("{}@example.org", "ö".repeat(200));
                }
                let read = testing::read(&bytes(&mail));
                let lines: Vec<&str> = read.text.lines().collect();
                let with = |start: &str| -> Vec<&str> {
                    lines.iter().copied().filter(|l| l.starts_with(start)).collect()
                };
                assert_eq!(with("Password: "), [format!("Password: {password}")], "{name}");
                assert_eq!(with("Username: "), [format!("Username: {}@example.org", "ö".repeat(200))]);
                assert_eq!(read.text.matches(password).count(), 1);
            }
        }
    }

    #[test]
    fn both_parts_come_back_as_written() {
        for mail in testing::one_of_each() {
            for language in Language::ALL {
                let mail = Email { language, ..mail.clone() };
                let rendered = render(&mail, &testing::sender()).unwrap();
                let read = testing::read(&bytes(&mail));
                // the line break before a boundary belongs to the boundary (RFC 2046 §5.1.1)
                assert_eq!(read.text.trim_end(), rendered.text.trim_end());
                assert_eq!(read.html.trim_end(), rendered.html.trim_end());
                assert_eq!(testing::decoded(read.header("Subject")), rendered.subject);
                assert_eq!(read.header("Content-Language"), language.tag());
            }
        }
    }

    #[test]
    fn headers() {
        let read = testing::read(&bytes(&testing::password("Ada Lovelace")));
        assert_eq!(read.header("From"), "\"Example Users\" <noreply@example.com>");
        assert_eq!(read.header("To"), "\"Ada Lovelace\" <ada@example.org>");
        assert_eq!(read.header("Subject"), "Your new account: temporary password");
        assert_eq!(read.header("Date"), "Mon, 23 Nov 2026 05:59:59 +0000");
        assert_eq!(read.header("Message-ID"), "<42.1795413599123@example.com>");
        assert_eq!(read.header("MIME-Version"), "1.0");
        assert_eq!(read.header("Auto-Submitted"), "auto-generated");
    }

    #[test]
    fn names_cannot_inject_headers() {
        for name in [
            "Ada\r\nBcc: eve@example.net",
            "Ada\nBcc: eve@example.net",
            "Ada\r\n\r\nBcc: eve@example.net",
            "\r\n",
            "Ada\" <eve@example.net>, \"x",
            "Zoë\r\nBcc: eve@example.net",
            "Ada <eve@example.net>",
            "=?utf-8?b?QWRh?=",
            "a\\",
        ] {
            let mail = testing::password(name);
            let composed = compose(&mail, &testing::sender()).unwrap();
            let read = testing::read(&composed.bytes);
            let names: Vec<&str> = read.headers.iter().map(|(n, _)| n.as_str()).collect();
            let expected = [
                "From",
                "To",
                "Subject",
                "Date",
                "Message-ID",
                "Content-Language",
                "Auto-Submitted",
                "MIME-Version",
                "Content-Type",
            ];
            assert_eq!(names, expected, "{name:?}");
            let to: lettre::message::Mailboxes = read.header("To").parse().unwrap();
            let to: Vec<Mailbox> = to.into();
            assert_eq!(to.len(), 1, "{name:?}");
            assert_eq!(to[0].email.to_string(), "ada@example.org", "{name:?}");
            assert_eq!(composed.to.to_string(), "ada@example.org");
        }
    }

    #[test]
    fn internationalized_domains_are_mailed_in_ascii() {
        let mut mail = testing::password("Ada");
        mail.to.address = String::from("ada@bücher.example");
        let sender = Sender::new("Users <users@例え.jp>", "https://users.example.com").unwrap();
        let composed = compose(&mail, &sender).unwrap();
        let (from, to) = ("users@xn--r8jz45g.jp", "ada@xn--bcher-kva.example");
        assert_eq!((composed.from.to_string().as_str(), composed.to.to_string().as_str()), (from, to));
        let read = testing::read(&composed.bytes);
        assert_eq!(read.header("To"), format!("Ada <{to}>"));
        assert_eq!(read.header("From"), format!("Users <{from}>"));
        assert!(composed.bytes.is_ascii());
    }

    #[test]
    fn long_names_fit_into_lines() {
        for name in
            [format!("{0} {0}", "愛".repeat(255)), format!("{0} {0}", "a".repeat(255)), "\" ".repeat(255)]
        {
            let mail = bytes(&testing::password(&name));
            let read = testing::read(&mail);
            assert!(read.header("To").ends_with(" <ada@example.org>"), "{}", read.header("To"));
            let to: Mailbox = read.header("To").parse().unwrap();
            assert_eq!(to.email.to_string(), "ada@example.org");
        }
    }

    #[test]
    fn encoded_names_are_readable() {
        let read = testing::read(&bytes(&testing::password("Zoë O'Brien")));
        assert_eq!(read.header("To"), "=?utf-8?b?Wm/DqyBPJ0JyaWVu?= <ada@example.org>");
        let read = testing::read(&bytes(&testing::password("Ada \"Countess\" L.")));
        assert_eq!(read.header("To"), r#""Ada \"Countess\" L." <ada@example.org>"#);
        assert_eq!(testing::read(&bytes(&testing::password(""))).header("To"), "ada@example.org");
    }

    #[test]
    fn the_same_entry_is_the_same_message() {
        for mail in testing::one_of_each() {
            assert_eq!(bytes(&mail), bytes(&mail));
        }
        let mut other = testing::password("Ada");
        other.id += 1;
        assert_ne!(bytes(&testing::password("Ada")), bytes(&other));
    }

    #[test]
    fn any_time_makes_a_mail() {
        for at in [i64::MIN, -1, 0, i64::MAX] {
            let mut mail = testing::password("Ada");
            mail.created_at = at;
            testing::read(&bytes(&mail));
        }
    }

    #[test]
    fn addresses() {
        let mut mail = testing::password("Ada");
        for bad in
            ["", "ada", "ada@", "a b@example.org", "ada@example.org\r\nBcc: eve@example.net", "a..b@x.org"]
        {
            assert!(!is_deliverable(bad), "{bad}");
            mail.to.address = bad.to_owned();
            let error = compose(&mail, &testing::sender()).err().unwrap();
            assert!(error.permanent, "{error:?}");
        }
        assert!(is_deliverable("ada.l+x@mail.example.org") && is_deliverable("ada@localhost"));
        assert!(Sender::new("nobody", "http://localhost").is_err());
        assert!(Sender::new("a@example.com\r\nBcc: b@example.com", "http://localhost").is_err());
    }
}
