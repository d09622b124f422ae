//! Mails: their texts and the ways they travel.
//!
//! A `Letter` says what to tell whom and nothing about how. It is stored as JSON in the outbox row, in the
//! transaction of the change it reports. `worker` later takes the row as an `Envelope` to the `Mailer`, which
//! may see the same envelope again after a crash: everything in the mail is made from the envelope alone, so that
//! a redelivery is the same mail, byte for byte.

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

/// What to say to whom: the content of an outbox row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// Who gets it.
    pub to: Recipient,
    /// What it says.
    pub what: Notice,
}

/// Who gets a letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// First and last name, as typed; may be empty.
    pub name: String,
    /// The e-mail address.
    pub address: String,
}

/// What a letter says. The names in the JSON are stored: keep them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Notice {
    /// A password that serves only to set a permanent one (B16, A5, B20).
    TemporaryPassword {
        /// As typed.
        username: String,
        /// The only clear copy besides the outbox row.
        password: Secret,
        /// Why it was made.
        reason: Reason,
        /// When it stops working.
        expires_at: Millis,
    },
    /// The user's password was changed (A4).
    PasswordChanged {
        /// As typed.
        username: String,
    },
    /// The user's e-mail address was changed: goes to the old one (B25).
    EmailChanged {
        /// As typed.
        username: String,
        /// The new address, whole; the mail shows it masked, since whoever reads the old mailbox now need not be
        /// the user.
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

/// Why a temporary password was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The account is new, or ACTIVE for the first time (B16).
    Welcome,
    /// The user or an admin reset the password: the old one is gone (A5, B20).
    Reset,
    /// Somebody said they had forgotten it ("Forgot password" on the login page).
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

impl Notice {
    /// Whether it carries a password: such a row is overwritten on delivery and when the password expires.
    pub fn is_secret(&self) -> bool {
        match self {
            Self::TemporaryPassword { .. } => true,
            Self::PasswordChanged { .. } | Self::EmailChanged { .. } | Self::AccountLocked { .. } => false,
        }
    }

    /// When it is no longer worth sending; None if it always is.
    pub fn expires_at(&self) -> Option<Millis> {
        match self {
            Self::TemporaryPassword { expires_at, .. } => Some(*expires_at),
            Self::PasswordChanged { .. } | Self::EmailChanged { .. } | Self::AccountLocked { .. } => None,
        }
    }
}

/// A letter as the outbox holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The outbox row's id.
    pub id: i64,
    /// The outbox row's time.
    pub created_at: Millis,
    /// What to say to whom.
    pub letter: Letter,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_keeps_the_password_to_itself() {
        let envelope = testing::password("Ada Lovelace");
        let shown = format!("{envelope:?} {envelope:#?}");
        assert!(!shown.contains(testing::PASSWORD), "{shown}");
        assert!(shown.contains("[redacted]"), "{shown}");
    }

    #[test]
    fn only_the_password_mail_is_secret() {
        let all = testing::one_of_each();
        let secret: Vec<bool> = all.iter().map(|e| e.letter.what.is_secret()).collect();
        assert_eq!(secret, [true, true, true, false, false, false, false]);
        assert!(all.iter().all(|e| e.letter.what.is_secret() == e.letter.what.expires_at().is_some()));
    }

    #[test]
    fn what_is_stored_is_read_back() {
        let all: Vec<Letter> = testing::one_of_each().into_iter().map(|e| e.letter).collect();
        for letter in &all {
            let json = serde_json::to_string(letter).unwrap();
            assert_eq!(&serde_json::from_str::<Letter>(&json).unwrap(), letter);
        }
        // rows outlive the version that wrote them
        insta::assert_json_snapshot!("stored", all);
    }
}
