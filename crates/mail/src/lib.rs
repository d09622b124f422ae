//! Mails: templates and transports.
//!
//! An [`Email`] is a recipient and an [`EmailContent`], independent of the transport. It is stored as JSON in an entry of
//! the outbox (`tenantry_store::tables::outbox::OutboxEntry`), in the transaction of the change that it reports. `worker`
//! later passes it to the [`Mailer`], which makes a `RenderedEmail` of it, possibly again after
//! a crash: the message is derived from the entry alone, so a redelivery is the same message, byte for byte.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize};

use tenantry_core::clock::Millis;
use tenantry_core::languages::Language;

mod directory;
mod mailer;
mod message;
mod smtp;
mod stop;
mod template;
#[cfg(test)]
mod testing;
mod texts;
mod wrap;

pub use directory::Directory;
pub use mailer::{Mailer, Memory, SendError};
pub use message::{Sender, is_deliverable};
pub use smtp::{Smtp, SmtpOptions, TokenSource, Told, check_smtp_url};
pub use stop::Stop;
pub use tenantry_core::secret::Secret;

/// A message to a person. Its JSON is stored: do not rename its members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Email {
    /// The id of its outbox entry; 0 until it is stored.
    #[serde(skip)]
    pub id: i64,
    /// When it was stored.
    #[serde(skip)]
    pub created_at: Millis,
    /// The recipient.
    pub to: Recipient,
    /// What it says.
    #[serde(rename = "what")]
    pub content: EmailContent,
    /// The language of its texts. English if an earlier version has stored it, which had no other, or a later one in a
    /// language that this one does not have.
    #[serde(default, deserialize_with = "language_or_english")]
    pub language: Language,
}

fn language_or_english<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Language, D::Error> {
    let tag = Cow::<'de, str>::deserialize(deserializer)?;
    Ok(Language::parse(&tag).unwrap_or_default())
}

impl Email {
    /// A message that is not stored yet.
    pub fn new(to: Recipient, content: EmailContent, language: Language) -> Self {
        Self { id: 0, created_at: 0, to, content, language }
    }
}

/// The recipient of a mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// First and last name, as typed; may be empty.
    pub name: String,
    /// The e-mail address.
    pub address: String,
}

/// What a mail says. Its JSON is stored: do not rename anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EmailContent {
    /// A temporary password, which can only be used to set a permanent one (B16, A5, B20).
    TemporaryPassword {
        /// As typed.
        username: String,
        /// The only clear-text copy besides the outbox entry.
        password: Secret,
        /// Why it was issued.
        reason: Reason,
        /// When it expires.
        expires_at: Millis,
    },
    /// The user's password was changed (A4).
    PasswordChanged {
        /// As typed.
        username: String,
    },
    /// The user's e-mail address was changed: sent to the old one (B25).
    EmailChanged {
        /// As typed.
        username: String,
        /// The new address; the mail shows it masked, since the reader of the old mailbox need not be the user.
        new_address: String,
    },
    /// The account was set LOCKED (B23).
    AccountLocked {
        /// As typed.
        username: String,
        /// Who or what locked it.
        cause: LockCause,
    },
    /// A second factor was added to the account.
    FactorAdded {
        /// As typed.
        username: String,
        /// Its kind.
        factor: FactorName,
    },
    /// A second factor was removed from the account.
    FactorRemoved {
        /// As typed.
        username: String,
        /// Its kind.
        factor: FactorName,
    },
    /// A recovery code was used to sign in.
    RecoveryCodeUsed {
        /// As typed.
        username: String,
        /// How many are left.
        left: i64,
    },
    /// The username of somebody who forgot it.
    ForgottenUsername {
        /// As typed.
        username: String,
        /// When it is no longer worth sending.
        expires_at: Millis,
    },
    /// A link that verifies the address it is sent to.
    VerifyEmail {
        /// As typed.
        username: String,
        /// The sealed value in the link.
        link: Secret,
        /// When the link expires.
        expires_at: Millis,
    },
    /// Keys that sign ID tokens were replaced at once: sent to the admins of partners whose clients get such tokens.
    SigningKeysReset {
        /// As typed.
        username: String,
        /// The names of the partner's clients, as typed.
        applications: Vec<String>,
    },
    /// A test of the settings, which is not stored (`tenantry mail test`).
    Test,
}

/// A kind of second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FactorName {
    /// An authenticator app.
    AuthenticatorApp,
    /// A passkey.
    Passkey,
    /// Recovery codes.
    RecoveryCodes,
}

/// Why a temporary password was issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The account is new, or ACTIVE for the first time (B16).
    Welcome,
    /// The user or an admin reset the password: the old one is invalid (A5, B20).
    Reset,
    /// A forgotten-password request ("Forgot password" on the login page).
    Forgotten,
}

/// What locked an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LockCause {
    /// Too many failed logins in a row.
    FailedLogins,
    /// An admin or the operator.
    Admin,
}

impl EmailContent {
    /// Whether it contains a password: such an entry is overwritten on delivery and when the password expires.
    pub fn is_secret(&self) -> bool {
        match self {
            Self::TemporaryPassword { .. } => true,
            Self::PasswordChanged { .. }
            | Self::EmailChanged { .. }
            | Self::AccountLocked { .. }
            | Self::FactorAdded { .. }
            | Self::FactorRemoved { .. }
            | Self::RecoveryCodeUsed { .. }
            | Self::ForgottenUsername { .. }
            | Self::VerifyEmail { .. }
            | Self::SigningKeysReset { .. }
            | Self::Test => false,
        }
    }

    /// When it is no longer worth sending; `None` if it always is.
    pub fn expires_at(&self) -> Option<Millis> {
        match self {
            Self::TemporaryPassword { expires_at, .. }
            | Self::ForgottenUsername { expires_at, .. }
            | Self::VerifyEmail { expires_at, .. } => Some(*expires_at),
            Self::PasswordChanged { .. }
            | Self::EmailChanged { .. }
            | Self::AccountLocked { .. }
            | Self::SigningKeysReset { .. }
            | Self::FactorAdded { .. }
            | Self::FactorRemoved { .. }
            | Self::RecoveryCodeUsed { .. }
            | Self::Test => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_keeps_the_password_to_itself() {
        let mail = testing::password("Ada Lovelace");
        let shown = format!("{mail:?} {mail:#?}");
        assert!(!shown.contains(testing::PASSWORD), "{shown}");
        assert!(shown.contains("[redacted]"), "{shown}");
    }

    #[test]
    fn only_the_password_mail_is_secret() {
        let all = testing::one_of_each();
        let secret: Vec<bool> = all.iter().map(|e| e.content.is_secret()).collect();
        assert_eq!(secret, [[true; 3].to_vec(), [false; 14].to_vec()].concat());
        let expires: Vec<bool> = all.iter().map(|e| e.content.expires_at().is_some()).collect();
        assert_eq!(expires, [[true; 3].to_vec(), [false; 11].to_vec(), vec![true, true, false]].concat());
    }

    #[test]
    fn what_is_stored_is_read_back() {
        let all = testing::one_of_each();
        for email in &all {
            let json = serde_json::to_string(email).unwrap();
            let read =
                Email { id: email.id, created_at: email.created_at, ..serde_json::from_str(&json).unwrap() };
            assert_eq!(&read, email);
        }
        // rows must be readable by later versions
        insta::assert_json_snapshot!("stored", all);
    }

    #[test]
    fn rows_of_other_versions_are_read() {
        let read = |json: &str| serde_json::from_str::<Email>(json).unwrap();
        // What this server stored before mails had a language.
        let old = read(
            r#"{"to":{"name":"Ada","address":"ada@example.org"},"what":{"password-changed":{"username":"ada"}}}"#,
        );
        let to = Recipient { name: "Ada".into(), address: "ada@example.org".into() };
        let content = EmailContent::PasswordChanged { username: "ada".into() };
        assert_eq!(old, Email::new(to, content, Language::En));
        let later = r#"{"to":{"name":"","address":"a@b.c"},"what":"test","language":"xx","more":1}"#;
        assert_eq!(read(later).language, Language::En);
        assert_eq!(read(&later.replace("xx", "nl")).language, Language::Nl);
    }
}
