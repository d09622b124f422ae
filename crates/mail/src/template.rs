//! What mails say: subject, plain text and HTML, from one source in the language of the reader.

use std::borrow::Cow;
use std::fmt;

use askama::Template;
use i18n_embed::fluent::FluentLanguageLoader;
use i18n_embed_fl::fl;
use zeroize::Zeroizing;

use crate::message::Sender;
use crate::texts::texts;
use crate::wrap::Wrapped;
use crate::{Email, EmailContent, FactorName, LockCause, Reason};
use tenantry_core::clock::Millis;
use tenantry_core::languages::Language;

/// What a reader sees of a mail.
pub(super) struct RenderedEmail {
    pub(super) subject: String,
    pub(super) text: Zeroizing<String>,
    pub(super) html: Zeroizing<String>,
}

/// A part of a mail.
enum Block<'a> {
    Paragraph(String),
    /// Each on a separate line.
    Fields(Vec<Field<'a>>),
}

/// A line `Label: value`.
struct Field<'a> {
    /// What the line of plain text begins with.
    line_start: Cow<'static, str>,
    /// The label in HTML, in the language of the mail.
    label: String,
    /// Never wrapped.
    value: Cow<'a, str>,
    /// Only the operator's settings become links, never what a user typed.
    is_link: bool,
}

#[derive(Template)]
#[template(path = "email.txt")]
struct PlainText<'a> {
    greeting: &'a str,
    blocks: &'a [Block<'a>],
}

impl PlainText<'_> {
    #[expect(clippy::unused_self, reason = "what a template calls is a method")]
    fn wrapped<'a>(&self, words: &'a str) -> Wrapped<'a> {
        Wrapped(words)
    }
}

#[derive(Template)]
#[template(path = "email.html")]
struct Html<'a> {
    language: Language,
    subject: &'a str,
    greeting: &'a str,
    blocks: &'a [Block<'a>],
}

/// Renders a mail.
///
/// # Errors
/// None that can happen: those of a writer, and of formatting.
pub(super) fn render(mail: &Email, sender: &Sender) -> askama::Result<RenderedEmail> {
    let language = mail.language;
    let texts = texts(language);
    let (subject, blocks) = content(mail, sender, texts);
    let name = clean(&mail.to.name);
    let greeting = if name.is_empty() {
        fl!(texts, "greeting-without-name")
    } else {
        fl!(texts, "greeting", name = name.into_owned())
    };
    let text = written(&PlainText { greeting: &greeting, blocks: &blocks })?;
    let html = written(&Html { language, subject: &subject, greeting: &greeting, blocks: &blocks })?;
    Ok(RenderedEmail { subject, text, html })
}

/// A rendered template, in a string that does not grow: one that does leaves copies of the password behind. The
/// template is rendered twice, first to count.
fn written(template: &impl Template) -> askama::Result<Zeroizing<String>> {
    let mut length = Length(0);
    template.render_into(&mut length)?;
    let mut out = Zeroizing::new(String::with_capacity(length.0));
    template.render_into(&mut *out)?;
    Ok(out)
}

/// Counts bytes.
struct Length(usize);

impl fmt::Write for Length {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        self.0 += s.len();
        Ok(())
    }
}

/// The subject of a mail, and what follows the greeting.
fn content<'a>(
    mail: &'a Email,
    sender: &'a Sender,
    texts: &FluentLanguageLoader,
) -> (String, Vec<Block<'a>>) {
    use Block::{Fields, Paragraph};
    let label_end = fl!(texts, "label-end");
    let field = |label: String, value| {
        let line_start = Cow::Owned(format!("{label}{label_end}"));
        Field { line_start, label, value, is_link: false }
    };
    let sign_in = || {
        let link = field(fl!(texts, "label-sign-in"), Cow::Borrowed(sender.sign_in_url()));
        Field { is_link: true, ..link }
    };
    let when = || field(fl!(texts, "label-when"), Cow::Owned(utc_minute(mail.created_at, texts)));
    // Programs read these two lines of the plain text, in every language.
    let username = |name: &'a str| {
        let name = field(fl!(texts, "label-username"), clean(name));
        Field { line_start: Cow::Borrowed("Username: "), ..name }
    };
    match &mail.content {
        EmailContent::TemporaryPassword { username: name, password, reason, expires_at } => {
            let (subject, first) = match reason {
                Reason::Welcome => (fl!(texts, "welcome-subject"), fl!(texts, "welcome")),
                Reason::Reset => (fl!(texts, "reset-subject"), fl!(texts, "reset")),
                Reason::Forgotten => (fl!(texts, "forgotten-subject"), fl!(texts, "forgotten")),
            };
            // not cleaned: a password must be exact
            let password = field(fl!(texts, "label-password"), Cow::Borrowed(password.expose()));
            let password = Field { line_start: Cow::Borrowed("Password: "), ..password };
            let until = utc_minute(*expires_at, texts);
            let blocks = vec![
                Paragraph(first),
                Paragraph(fl!(texts, "credentials")),
                Fields(vec![sign_in(), username(name), password]),
                Paragraph(fl!(texts, "temporary", until = until)),
                Paragraph(fl!(texts, "not-expected")),
            ];
            (subject, blocks)
        }
        EmailContent::PasswordChanged { username: name } => (
            fl!(texts, "password-changed-subject"),
            vec![
                Paragraph(fl!(texts, "password-changed")),
                Fields(vec![sign_in(), username(name), when()]),
                Paragraph(fl!(texts, "not-you")),
            ],
        ),
        EmailContent::EmailChanged { username: name, new_address } => {
            let new = field(fl!(texts, "label-new-email"), Cow::Owned(masked(new_address)));
            let blocks = vec![
                Paragraph(fl!(texts, "email-changed")),
                Fields(vec![sign_in(), username(name), new, when()]),
                Paragraph(fl!(texts, "not-you")),
            ];
            (fl!(texts, "email-changed-subject"), blocks)
        }
        EmailContent::AccountLocked { username: name, cause } => {
            let first = match cause {
                LockCause::FailedLogins => fl!(texts, "locked-failed-logins"),
                LockCause::Admin => fl!(texts, "locked-by-admin"),
            };
            let blocks = vec![
                Paragraph(first),
                Fields(vec![sign_in(), username(name), when()]),
                Paragraph(fl!(texts, "locked-next")),
            ];
            (fl!(texts, "locked-subject"), blocks)
        }
        EmailContent::FactorAdded { username: name, factor } => (
            fl!(texts, "factor-added-subject"),
            vec![
                Paragraph(match factor {
                    FactorName::AuthenticatorApp => fl!(texts, "factor-added-app"),
                    FactorName::Passkey => fl!(texts, "factor-added-passkey"),
                    FactorName::RecoveryCodes => fl!(texts, "factor-added-recovery-codes"),
                }),
                Fields(vec![sign_in(), username(name), when()]),
                Paragraph(fl!(texts, "not-you")),
            ],
        ),
        EmailContent::FactorRemoved { username: name, factor } => (
            fl!(texts, "factor-removed-subject"),
            vec![
                Paragraph(match factor {
                    FactorName::AuthenticatorApp => fl!(texts, "factor-removed-app"),
                    FactorName::Passkey => fl!(texts, "factor-removed-passkey"),
                    FactorName::RecoveryCodes => fl!(texts, "factor-removed-recovery-codes"),
                }),
                Fields(vec![sign_in(), username(name), when()]),
                Paragraph(fl!(texts, "not-you")),
            ],
        ),
        EmailContent::RecoveryCodeUsed { username: name, left } => (
            fl!(texts, "recovery-code-used-subject"),
            vec![
                Paragraph(fl!(texts, "recovery-code-used", left = left.to_string())),
                Fields(vec![sign_in(), username(name), when()]),
                Paragraph(fl!(texts, "not-you")),
            ],
        ),
        EmailContent::ForgottenUsername { username: name, .. } => (
            fl!(texts, "forgotten-username-subject"),
            vec![
                Paragraph(fl!(texts, "forgotten-username")),
                Fields(vec![sign_in(), username(name)]),
                Paragraph(fl!(texts, "ignore-if-not-you")),
            ],
        ),
        EmailContent::VerifyEmail { username: name, link, expires_at } => {
            let until = utc_minute(*expires_at, texts);
            let link = format!("{}/verify-email?link={}", sender.public_url(), link.expose());
            let link = Field { is_link: true, ..field(fl!(texts, "label-link"), Cow::Owned(link)) };
            let blocks = vec![
                Paragraph(fl!(texts, "verify-email", until = until)),
                Fields(vec![link, username(name)]),
                Paragraph(fl!(texts, "ignore-if-not-you")),
            ];
            (fl!(texts, "verify-email-subject"), blocks)
        }
        EmailContent::SigningKeysReset { username: name, applications } => {
            let names: Vec<_> = applications.iter().map(|name| clean(name)).collect();
            let applications = field(fl!(texts, "label-applications"), Cow::Owned(names.join(", ")));
            let blocks = vec![
                Paragraph(fl!(texts, "keys-reset")),
                Fields(vec![sign_in(), username(name), applications, when()]),
                Paragraph(fl!(texts, "keys-reset-next")),
            ];
            (fl!(texts, "keys-reset-subject"), blocks)
        }
        EmailContent::Test => {
            let blocks = vec![Paragraph(fl!(texts, "test")), Fields(vec![sign_in(), when()])];
            (fl!(texts, "test-subject"), blocks)
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

/// A time for people, in UTC, truncated to the minute, as their language writes it.
fn utc_minute(at: Millis, texts: &FluentLanguageLoader) -> String {
    let at = message_time(at).to_zoned(jiff::tz::TimeZone::UTC);
    let (day, month) = (i32::from(at.day()), i32::from(at.month()));
    let (year, time) = (at.strftime("%Y").to_string(), at.strftime("%H:%M").to_string());
    fl!(texts, "date-time", day = day, month = month, year = year, time = time)
}

/// A time that every date format can print: within the years 1970 to 9999.
pub(super) fn message_time(at: Millis) -> jiff::Timestamp {
    const LAST: Millis = 253_402_300_799_999;
    // jiff's range contains 1970 to 9999, except for the last day
    jiff::Timestamp::from_millisecond(at.clamp(0, LAST)).unwrap_or(jiff::Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::testing;

    fn rendered(mail: &Email) -> RenderedEmail {
        render(mail, &testing::sender()).unwrap()
    }

    fn in_language(language: Language) -> String {
        let all = testing::one_of_each().into_iter().map(|email| {
            let mail = rendered(&Email { language, ..email });
            format!("Subject: {}\n\n{}", mail.subject, *mail.text)
        });
        all.collect::<Vec<_>>().join("\n----\n\n")
    }

    #[test]
    fn each_notice_says_its_piece() {
        insta::assert_snapshot!("texts", in_language(Language::En));
        insta::assert_snapshot!("texts-nl", in_language(Language::Nl));
        insta::assert_snapshot!("texts-zh-Hans", in_language(Language::ZhHans));
    }

    /// Each element that has an end tag ends, in order; ampersands are those of references.
    fn is_well_formed(html: &str) {
        let mut open = Vec::new();
        let body = html.strip_prefix("<!DOCTYPE html>\n").unwrap();
        for part in body.split('<').skip(1) {
            let (tag, text) = part.split_once('>').unwrap();
            let name = tag.split(' ').next().unwrap();
            match name.strip_prefix('/') {
                Some(name) => assert_eq!(open.pop(), Some(name), "{html}"),
                None if name != "meta" => open.push(name),
                None => {}
            }
            assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
            assert!(
                !text.contains('>') && text.split('&').skip(1).all(|rest| rest.starts_with('#')),
                "{text}"
            );
        }
        assert!(open.is_empty(), "{open:?}: {html}");
    }

    #[test]
    fn every_language_has_every_mail() {
        let mut seen = BTreeSet::new();
        for language in Language::ALL {
            for (n, email) in testing::one_of_each().into_iter().enumerate() {
                let is_password = email.content.is_secret();
                let is_verification = matches!(email.content, EmailContent::VerifyEmail { .. });
                let mail = rendered(&Email { language, ..email });
                assert!(
                    seen.insert((n, mail.subject.clone(), mail.text.to_string())),
                    "{language:?} repeats one"
                );
                for text in [&mail.subject, &*mail.text, &*mail.html] {
                    // what Fluent shows in place of what it does not have, and what the readers of mails do not show
                    assert!(!text.contains("No localization"), "{language:?}: {text}");
                    assert!(!text.contains(['{', '}', '\u{2068}', '\u{2069}']), "{language:?}: {text}");
                }
                is_well_formed(&mail.html);
                let start = format!("<!DOCTYPE html>\n<html lang=\"{}\">\n", language.tag());
                assert!(mail.html.starts_with(&start));
                let lines: Vec<&str> = mail.text.lines().collect();
                assert!(lines.contains(&"Username: ada"), "{language:?}: {}", *mail.text);
                let password = format!("Password: {}", testing::PASSWORD);
                assert_eq!(lines.iter().filter(|line| ***line == password).count(), usize::from(is_password));
                let link = if is_verification {
                    "https://users.example.com/verify-email?link=c2VhbGVk-_x"
                } else {
                    "https://users.example.com/sign-in"
                };
                assert_eq!(mail.html.matches(&format!("<a href=\"{link}\">{link}</a>")).count(), 1);
                assert!(lines.iter().any(|line| line.ends_with(link)));
            }
        }
    }

    #[test]
    fn the_html_is_modest() {
        let mail = rendered(&testing::password("Ada Lovelace"));
        assert!(!mail.html.contains("<img") && !mail.html.contains("<script"));
        insta::assert_snapshot!("html", mail.html.as_str());
    }

    #[test]
    fn the_link_is_the_products_own_page() {
        let sender = testing::sender().with_sign_in_url("https://shop.example.com/login?from=mail&x=\"y");
        let mail = render(&testing::password("Ada"), &sender).unwrap();
        let line = "Sign in: https://shop.example.com/login?from=mail&x=\"y";
        assert!(mail.text.lines().any(|l| l == line), "{}", *mail.text);
        assert!(mail.html.contains("<a href=\"https://shop.example.com/login?from=mail&#38;x=&#34;y\">"));
        assert!(!mail.text.contains("users.example.com") && !mail.html.contains("users.example.com"));
    }

    #[test]
    fn names_are_escaped_in_html() {
        for language in Language::ALL {
            let mut mail = testing::password("<script>alert('1')</script> & \"Co\"");
            mail.language = language;
            if let EmailContent::TemporaryPassword { username, password, .. } = &mut mail.content {
                *username = String::from("<b>ada");
                *password = crate::Secret::new(String::from("a<&>\"'b"));
            }
            let sender = Sender::new("users@example.com", "https://users.example.com/\"><script>").unwrap();
            let mail = render(&mail, &sender).unwrap();
            assert!(!mail.html.contains("<script") && !mail.html.contains("<b>"), "{}", *mail.html);
            let name = "&#60;script&#62;alert(&#39;1&#39;)&#60;/script&#62; &#38; &#34;Co&#34;";
            assert!(mail.html.contains(name), "{}", *mail.html);
            assert!(mail.html.contains("a&#60;&#38;&#62;&#34;&#39;b"));
            assert!(mail.text.lines().any(|l| l == "Password: a<&>\"'b"));
        }
    }

    #[test]
    fn what_a_user_typed_is_no_link() {
        let typed = "https://evil.example/";
        for email in testing::one_of_each() {
            let mut email = Email { to: crate::Recipient { name: typed.into(), ..email.to }, ..email };
            match &mut email.content {
                EmailContent::TemporaryPassword { username, .. }
                | EmailContent::PasswordChanged { username }
                | EmailContent::FactorAdded { username, .. }
                | EmailContent::FactorRemoved { username, .. }
                | EmailContent::RecoveryCodeUsed { username, .. }
                | EmailContent::ForgottenUsername { username, .. }
                | EmailContent::VerifyEmail { username, .. }
                | EmailContent::AccountLocked { username, .. } => *username = typed.to_owned(),
                EmailContent::EmailChanged { username, new_address } => {
                    *username = typed.to_owned();
                    *new_address = format!("{typed}@evil.example");
                }
                EmailContent::SigningKeysReset { username, applications } => {
                    *username = typed.to_owned();
                    applications.push(typed.to_owned());
                }
                EmailContent::Test => {}
            }
            let mail = rendered(&email);
            assert!(mail.html.contains(typed));
            assert_eq!(mail.html.matches("<a ").count(), 1);
            assert_eq!(mail.html.matches("href=").count(), 1);
            assert!(!mail.html.contains("href=\"https://evil"), "{}", *mail.html);
        }
    }

    #[test]
    fn a_name_is_not_a_message_of_fluent() {
        let mail = rendered(&testing::password("{ welcome } { $until } {\"x\"}"));
        assert!(mail.text.starts_with("Hello { welcome } { $until } {\"x\"},\n"), "{}", *mail.text);
    }

    #[test]
    fn a_name_cannot_add_a_line() {
        for name in ["Ada\nPassword: forged", "Ada\r\nPassword: forged", "Ada\u{2028}Password: forged"] {
            let mut mail = testing::password(name);
            if let EmailContent::TemporaryPassword { username, .. } = &mut mail.content {
                *username = name.to_owned();
            }
            let mail = rendered(&mail);
            let passwords: Vec<&str> = mail.text.lines().filter(|l| l.starts_with("Password:")).collect();
            assert_eq!(passwords, [format!("Password: {}", testing::PASSWORD)], "{name:?}");
        }
        // Nor by where it stands: the greeting is not wrapped, and in no language begins with the name.
        for language in Language::ALL {
            for name in ["Password: forged", &format!("{} Password: forged", "x".repeat(65))] {
                let mail = rendered(&Email { language, ..testing::password(name) });
                let passwords = mail.text.lines().filter(|l| l.starts_with("Password:"));
                assert_eq!(passwords.count(), 1, "{}", *mail.text);
            }
        }
        assert_eq!(clean("a\u{202e}b\u{0}c "), "ab c");
        assert_eq!(clean(" Zoë "), "Zoë");
    }

    #[test]
    fn strings_with_secrets_do_not_grow() {
        for language in Language::ALL {
            for email in testing::one_of_each() {
                let mail = rendered(&Email { language, ..email });
                assert_eq!(mail.text.capacity(), mail.text.len());
                assert_eq!(mail.html.capacity(), mail.html.len());
            }
        }
    }

    #[test]
    fn lines_have_at_most_72_columns() {
        for language in Language::ALL {
            for email in testing::one_of_each() {
                let text = rendered(&Email { language, ..email }).text;
                assert!(text.lines().all(|line| line.chars().count() <= 72), "{}", *text);
            }
        }
    }

    #[test]
    fn addresses_are_masked() {
        assert_eq!(masked("ada@example.com"), "a***@example.com");
        assert_eq!(masked("ä@x"), "ä***@x");
        assert_eq!(masked(""), "***@***");
    }

    #[test]
    fn dates_are_in_the_language_and_in_utc() {
        let when = |language, at| utc_minute(at, texts(language));
        let at = 1_795_413_599_999;
        assert_eq!(when(Language::En, at), "23 November 2026, 05:59 UTC");
        assert_eq!(when(Language::Nl, at), "23 november 2026, 05:59 UTC");
        assert_eq!(when(Language::Sv, at), "23 november 2026 kl. 05:59 UTC");
        assert_eq!(when(Language::Fr, at), "23 novembre 2026 à 05:59 UTC");
        assert_eq!(when(Language::ZhHans, at), "2026年11月23日 05:59（UTC）");
        assert_eq!(when(Language::It, at), "23 novembre 2026, 05:59 UTC");
        assert_eq!(when(Language::Fr, i64::MIN), "1er janvier 1970 à 00:00 UTC");
        assert!(when(Language::En, i64::MAX).contains(" December 9999, "));
        const MONTH: Millis = 2_630_000_000;
        for language in Language::ALL {
            let months: BTreeSet<String> = (0..12).map(|n| when(language, n * MONTH + MONTH / 2)).collect();
            assert_eq!(months.len(), 12, "{months:?}");
        }
    }
}
