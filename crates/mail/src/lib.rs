//! Mails: templates and transports.
//!
//! An [`Email`] is a recipient and a content, independent of the transport. It is stored as JSON in the outbox row, in
//! the transaction of the change that it reports. `worker` later passes the row as an [`OutboundEmail`] to the
//! [`Mailer`], possibly again after a crash: the message is derived from the row alone, so a redelivery is the same
//! message, byte for byte.

use serde::{Deserialize, Serialize};

use tenantry_core::clock::Millis;

mod directory;
mod mailer;
mod message;
mod smtp;
mod template;
#[cfg(test)]
mod testing;

pub use directory::Directory;
pub use mailer::{Mailer, Memory, SendError};
pub use message::{Sender, is_deliverable};
pub use smtp::Smtp;
pub use tenantry_core::secret::Secret;

/// Recipient and content: the payload of an outbox row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Email {
    /// The recipient.
    pub to: Recipient,
    /// The content.
    pub what: EmailContent,
}

/// The recipient of a mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// First and last name, as typed; may be empty.
    pub name: String,
    /// The e-mail address.
    pub address: String,
}

/// The kinds of mails. Their JSON is stored: do not rename them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EmailContent {
    /// A temporary password, which can only be used to set a permanent one (B16, A5, B20).
    TemporaryPassword {
        /// As typed.
        username: String,
        /// The only clear-text copy besides the outbox row.
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
    /// Whether it contains a password: such a row is overwritten on delivery and when the password expires.
    pub fn is_secret(&self) -> bool {
        match self {
            Self::TemporaryPassword { .. } => true,
            Self::PasswordChanged { .. } | Self::EmailChanged { .. } | Self::AccountLocked { .. } => false,
        }
    }

    /// When it is no longer worth sending; `None` if it always is.
    pub fn expires_at(&self) -> Option<Millis> {
        match self {
            Self::TemporaryPassword { expires_at, .. } => Some(*expires_at),
            Self::PasswordChanged { .. } | Self::EmailChanged { .. } | Self::AccountLocked { .. } => None,
        }
    }
}

/// A mail in the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboundEmail {
    /// The outbox row's id.
    pub id: i64,
    /// The outbox row's time.
    pub created_at: Millis,
    /// Recipient and content.
    pub email: Email,
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
        let secret: Vec<bool> = all.iter().map(|e| e.email.what.is_secret()).collect();
        assert_eq!(secret, [true, true, true, false, false, false, false]);
        assert!(all.iter().all(|e| e.email.what.is_secret() == e.email.what.expires_at().is_some()));
    }

    #[test]
    fn what_is_stored_is_read_back() {
        let all: Vec<Email> = testing::one_of_each().into_iter().map(|e| e.email).collect();
        for email in &all {
            let json = serde_json::to_string(email).unwrap();
            assert_eq!(&serde_json::from_str::<Email>(&json).unwrap(), email);
        }
        // rows must be readable by later versions
        insta::assert_json_snapshot!("stored", all);
    }
}
