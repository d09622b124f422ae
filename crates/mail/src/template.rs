//! The texts of mails: subject, plain text and HTML, from one source.

use std::borrow::Cow;

use zeroize::Zeroizing;

use crate::{EmailContent, LockCause, OutboundEmail, Reason};
use tenantry_core::clock::Millis;

/// Columns of the plain text. Under 76, so that ASCII text is sent as it is, without soft line breaks (RFC 2045 §6.7
/// rule 5).
const COLUMNS: usize = 72;

/// The text of a mail.
pub(super) struct EmailText {
    pub(super) subject: &'static str,
    pub(super) text: Zeroizing<String>,
    pub(super) html: Zeroizing<String>,
}

enum Block<'a> {
    Paragraph(Cow<'static, str>),
    /// Each on a separate line: `Label: value`.
    Fields(Vec<(&'static str, Cow<'a, str>)>),
}

/// Renders a mail. `public_url` has no trailing slash.
pub(super) fn render(mail: &OutboundEmail, public_url: &str) -> EmailText {
    let (subject, blocks) = wording(mail, public_url);
    let name = clean(&mail.email.to.name);
    let greeting = if name.is_empty() { String::from("Hello,") } else { format!("Hello {name},") };
    EmailText { subject, text: text(&greeting, &blocks), html: html(subject, &greeting, &blocks) }
}

fn wording<'a>(mail: &'a OutboundEmail, public_url: &'a str) -> (&'static str, Vec<Block<'a>>) {
    use Block::{Fields, Paragraph};
    let server = ("Server", Cow::Borrowed(public_url));
    let when = ("When", Cow::Owned(utc_minute(mail.created_at)));
    let username = |name: &'a str| ("Username", clean(name));
    match &mail.email.what {
        EmailContent::TemporaryPassword { username: name, password, reason, expires_at } => {
            let (subject, first) = match reason {
                Reason::Welcome => {
                    ("Your new account: temporary password", "An account was created for you.")
                }
                Reason::Reset => (
                    "Your password was reset: temporary password",
                    "Your password was reset. The old one no longer works.",
                ),
                Reason::Forgotten => (
                    "You asked for a temporary password",
                    "A temporary password was requested for your account.",
                ),
            };
            // not cleaned: a password must be exact
            let password = ("Password", Cow::Borrowed(password.expose()));
            let until = utc_minute(*expires_at);
            let blocks = vec![
                Paragraph(first.into()),
                Fields(vec![server, username(name), password]),
                Paragraph(
                    format!(
                        "The password is temporary. It is valid until {until} and can only be used to set a permanent \
                         one: log in with it in the application you use, and choose your own password there."
                    )
                    .into(),
                ),
                Paragraph(
                    format!(
                        "Without an application: log in with it, then send it as oldPassword, and your own password \
                         as newPassword, to POST {public_url}/api/v1/users/self/update-password"
                    )
                    .into(),
                ),
                Paragraph("If you did not expect this mail, tell your administrator.".into()),
            ];
            (subject, blocks)
        }
        EmailContent::PasswordChanged { username: name } => (
            "Your password was changed",
            vec![
                Paragraph("The password of your account was changed.".into()),
                Fields(vec![server, username(name), when]),
                Paragraph("If it was not you, tell your administrator at once.".into()),
            ],
        ),
        EmailContent::EmailChanged { username: name, new_address } => (
            "Your e-mail address was changed",
            vec![
                Paragraph(
                    "The e-mail address of your account was changed. This mail goes to the old address."
                        .into(),
                ),
                Fields(vec![server, username(name), ("New e-mail", masked(new_address).into()), when]),
                Paragraph("If it was not you, tell your administrator at once.".into()),
            ],
        ),
        EmailContent::AccountLocked { username: name, cause } => {
            let first = match cause {
                LockCause::FailedLogins => {
                    "Your account was locked, because too many logins failed in a row."
                }
                LockCause::Admin => "Your account was locked by an administrator.",
            };
            let blocks = vec![
                Paragraph(first.into()),
                Fields(vec![server, username(name), when]),
                Paragraph("You can log in again when an administrator has unlocked it.".into()),
            ];
            ("Your account was locked", blocks)
        }
    }
}

fn text(greeting: &str, blocks: &[Block<'_>]) -> Zeroizing<String> {
    // preallocated: a string that grows leaves copies of the password behind
    let mut out = Zeroizing::new(String::with_capacity(room(greeting, blocks)));
    wrap(&mut out, greeting);
    for block in blocks {
        out.push('\n');
        match block {
            Block::Paragraph(words) => wrap(&mut out, words),
            Block::Fields(fields) => {
                for (label, value) in fields {
                    for part in [label, ": ", value, "\n"] {
                        out.push_str(part);
                    }
                }
            }
        }
    }
    out
}

fn html(subject: &str, greeting: &str, blocks: &[Block<'_>]) -> Zeroizing<String> {
    // `&quot;` and similar are at most six times as long as the character
    let mut out = Zeroizing::new(String::with_capacity(6 * room(greeting, blocks) + 2_048));
    out.push_str("<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>");
    escape(&mut out, subject);
    out.push_str(
        "</title></head>\n<body style=\"font-family: sans-serif; line-height: 1.5; color: #222; max-width: 36em\">\n<p>",
    );
    escape(&mut out, greeting);
    out.push_str("</p>\n");
    for block in blocks {
        match block {
            Block::Paragraph(words) => {
                out.push_str("<p>");
                escape(&mut out, words);
                out.push_str("</p>\n");
            }
            Block::Fields(fields) => {
                out.push_str("<table style=\"border-collapse: collapse\">\n");
                for (label, value) in fields {
                    field(&mut out, label, value);
                }
                out.push_str("</table>\n");
            }
        }
    }
    out.push_str("</body>\n</html>\n");
    out
}

fn field(out: &mut String, label: &str, value: &str) {
    out.push_str("<tr><td style=\"padding: 2px 16px 2px 0; color: #666\">");
    escape(out, label);
    out.push_str("</td><td style=\"font-family: monospace\">");
    // only the operator's settings become links, never user input
    if label == "Server" {
        out.push_str("<a href=\"");
        escape(out, value);
        out.push_str("\">");
        escape(out, value);
        out.push_str("</a>");
    } else {
        escape(out, value);
    }
    out.push_str("</td></tr>\n");
}

/// An upper bound of the size of the plain text.
fn room(greeting: &str, blocks: &[Block<'_>]) -> usize {
    let block = |b: &Block<'_>| match b {
        Block::Paragraph(words) => words.len() + 2,
        Block::Fields(fields) => 1 + fields.iter().map(|(l, v)| l.len() + v.len() + 3).sum::<usize>(),
    };
    greeting.len() + 2 + blocks.iter().map(block).sum::<usize>()
}

/// Wraps at spaces; a word that is too long (an address) is not broken.
fn wrap(out: &mut String, words: &str) {
    let mut column = 0;
    for word in words.split_whitespace() {
        let width = word.chars().count();
        if column > 0 && column + 1 + width > COLUMNS {
            out.push('\n');
            column = 0;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += width;
    }
    out.push('\n');
}

fn escape(out: &mut String, raw: &str) {
    for c in raw.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
}

/// User input on one line: a line break in a name could add a line `Password: ...` or a header. B19 excludes control
/// characters, but mails do not rely on it. Bidirectional controls (Unicode TR 36 §3.1) are removed as well.
pub(super) fn clean(raw: &str) -> Cow<'_, str> {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if !raw.contains(|c| breaks(c) || turns(c)) {
        return Cow::Borrowed(raw.trim());
    }
    let kept: String = raw.chars().filter(|&c| !turns(c)).map(|c| if breaks(c) { ' ' } else { c }).collect();
    Cow::Owned(kept.trim().to_owned())
}

/// `ada@example.com` as `a***@example.com`: enough for its owner to recognize it.
fn masked(address: &str) -> String {
    let address = clean(address);
    let (local, domain) = address.rsplit_once('@').unwrap_or((&address, "***"));
    let first = local.chars().next().map(String::from).unwrap_or_default();
    format!("{first}***@{domain}")
}

/// A time for people, in UTC, truncated to the minute.
fn utc_minute(at: Millis) -> String {
    message_time(at).strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// A time that every date format can print: within the years 1970 to 9999.
pub(super) fn message_time(at: Millis) -> jiff::Timestamp {
    const LAST: Millis = 253_402_300_799_999;
    // jiff's range contains 1970 to 9999, except for the last day
    jiff::Timestamp::from_millisecond(at.clamp(0, LAST)).unwrap_or(jiff::Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn each_notice_says_its_piece() {
        let all: Vec<String> = testing::one_of_each()
            .iter()
            .map(|e| {
                let words = render(e, "https://users.example.com");
                format!("Subject: {}\n\n{}", words.subject, *words.text)
            })
            .collect();
        insta::assert_snapshot!("texts", all.join("\n----\n\n"));
    }

    #[test]
    fn the_html_is_modest() {
        let words = render(&testing::password("Ada Lovelace"), "https://users.example.com");
        assert!(!words.html.contains("<img") && !words.html.contains("<script"));
        insta::assert_snapshot!("html", words.html.as_str());
    }

    #[test]
    fn names_are_escaped_in_html() {
        let mut mail = testing::password("<script>alert('1')</script> & \"Co\"");
        if let EmailContent::TemporaryPassword { username, password, .. } = &mut mail.email.what {
            *username = String::from("<b>ada");
            *password = crate::Secret::new(String::from("a<&>\"'b"));
        }
        let words = render(&mail, "https://users.example.com/\"><script>");
        assert!(!words.html.contains("<script"), "{}", *words.html);
        assert!(!words.html.contains("<b>"), "{}", *words.html);
        assert!(
            words
                .html
                .contains("Hello &lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; &quot;Co&quot;,")
        );
        assert!(words.html.contains("a&lt;&amp;&gt;&quot;&#39;b"));
        assert!(words.text.lines().any(|l| l == "Password: a<&>\"'b"));
    }

    #[test]
    fn a_name_cannot_add_a_line() {
        for name in ["Ada\nPassword: forged", "Ada\r\nPassword: forged", "Ada\u{2028}Password: forged"] {
            let mut mail = testing::password(name);
            if let EmailContent::TemporaryPassword { username, .. } = &mut mail.email.what {
                *username = name.to_owned();
            }
            let words = render(&mail, "https://users.example.com");
            let passwords: Vec<&str> = words.text.lines().filter(|l| l.starts_with("Password:")).collect();
            assert_eq!(passwords, [format!("Password: {}", testing::PASSWORD)], "{name:?}");
        }
        assert_eq!(clean("a\u{202e}b\u{0}c "), "ab c");
        assert_eq!(clean(" Zoë "), "Zoë");
    }

    #[test]
    fn strings_with_secrets_do_not_grow() {
        for mail in testing::one_of_each() {
            let (subject, blocks) = wording(&mail, "https://users.example.com");
            let text = text("Hello,", &blocks);
            assert!(text.len() <= room("Hello,", &blocks));
            assert!(html(subject, "Hello,", &blocks).len() <= 6 * room("Hello,", &blocks) + 2_048);
        }
    }

    #[test]
    fn addresses_are_masked() {
        assert_eq!(masked("ada@example.com"), "a***@example.com");
        assert_eq!(masked("ä@x"), "ä***@x");
        assert_eq!(masked(""), "***@***");
    }

    #[test]
    fn any_time_can_be_printed() {
        assert_eq!(utc_minute(1_795_413_599_999), "2026-11-23 05:59 UTC");
        assert_eq!(utc_minute(i64::MIN), "1970-01-01 00:00 UTC");
        assert!(utc_minute(i64::MAX).starts_with("9999-12-3"));
    }
}
