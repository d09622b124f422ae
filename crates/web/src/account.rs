//! The account pages of the signed-in user.

use crate::forms::sign_in_first;
use crate::view::View;
use tenantry_core::clock::{Millis, rfc3339};
use tenantry_core::languages::Language;
use tenantry_domain::browser_sessions::BrowserSession;
use tenantry_http::browser::Browser;

pub mod applications;
pub mod language;
pub mod passkeys;
pub mod password;
pub mod profile;
pub mod security;
pub mod sessions;

/// A part of the account, each a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Names and addresses; the account's first page.
    Profile,
    /// The password.
    Password,
    /// The passkeys.
    Passkeys,
    /// Second factors.
    Security,
    /// Where the person is signed in.
    Sessions,
    /// What applications may learn.
    Applications,
    /// The language.
    Language,
}

impl Part {
    /// Every part, in the order of the pages' navigation.
    pub const ALL: [Self; 7] = [
        Self::Profile,
        Self::Password,
        Self::Passkeys,
        Self::Security,
        Self::Sessions,
        Self::Applications,
        Self::Language,
    ];

    /// The path of its page.
    pub fn path(self) -> &'static str {
        match self {
            Self::Profile => "/account",
            Self::Password => "/account/password",
            Self::Passkeys => "/account/passkeys",
            Self::Security => "/account/security",
            Self::Sessions => "/account/sessions",
            Self::Applications => "/account/applications",
            Self::Language => "/account/language",
        }
    }

    /// Its name.
    pub fn name(self, language: &Language) -> &'static str {
        match self {
            Self::Profile => text!(*language, "account-profile"),
            Self::Password => text!(*language, "account-password"),
            Self::Passkeys => text!(*language, "account-passkeys"),
            Self::Security => text!(*language, "account-security"),
            Self::Sessions => text!(*language, "account-sessions"),
            Self::Applications => text!(*language, "account-applications"),
            Self::Language => text!(*language, "account-language"),
        }
    }
}

/// The message above a part: that something was done, or why it was not.
#[derive(Debug, Default)]
pub struct Messages {
    notice: Option<String>,
    problem: Option<String>,
}

impl Messages {
    /// Something was done.
    fn notice(text: Option<impl Into<String>>) -> Self {
        Self { notice: text.map(Into::into), problem: None }
    }

    /// Something was not done.
    fn problem(text: impl Into<String>) -> Self {
        Self { notice: None, problem: Some(text.into()) }
    }
}

/// The session, if it may see the account; otherwise the path to redirect to, from which the browser comes back.
fn require<'b>(browser: &'b Browser, view: &View) -> Result<&'b BrowserSession, String> {
    match &browser.session {
        Some(session) if !session.is_restricted && !session.lacks_factor => Ok(session),
        session => Err(sign_in_first(session.as_ref(), view)),
    }
}

/// The page of a part, saying that something was done.
fn done(part: Part, what: &str) -> String {
    format!("{}?done={what}", part.path())
}

/// A time as pages show it: in UTC, to the minute, the same in every language.
pub fn shown_time(at: Millis) -> String {
    let text = rfc3339(at);
    match (text.get(..10), text.get(11..16)) {
        (Some(day), Some(minute)) => format!("{day} {minute} UTC"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_to_the_minute() {
        assert_eq!(shown_time(1_795_413_599_999), "2026-11-23 05:59 UTC");
    }
}
