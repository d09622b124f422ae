//! What every page of the console shows around its content, and how such a page is sent.

use std::io::Write as _;
use std::time::Instant;

use askama::Template;
use axum::body::Body;
use axum::http::header::CONTENT_ENCODING;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::view::View;
use tenantry_core::clock::{Millis, rfc3339};
use tenantry_core::error::Error;
use tenantry_core::languages::Language;
use tenantry_http::page_error::PageError;
use tenantry_http::pages::Page;

/// A section of the console: an entry of its navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// The first page.
    Home,
    /// Users.
    Users,
    /// Groups.
    Groups,
    /// Deleted users.
    Deleted,
}

impl Section {
    /// Every section, in the order of the navigation.
    pub const ALL: [Self; 4] = [Self::Home, Self::Users, Self::Groups, Self::Deleted];

    /// The path of its first page.
    pub fn path(self) -> &'static str {
        match self {
            Self::Home => "/console",
            Self::Users => "/console/users",
            Self::Groups => super::groups::PATH,
            Self::Deleted => super::deleted::PATH,
        }
    }

    /// Its name.
    pub fn name(self, l: Language) -> &'static str {
        match self {
            Self::Home => text!(l, "console-home"),
            Self::Users => text!(l, "console-users"),
            Self::Groups => text!(l, "console-groups"),
            Self::Deleted => text!(l, "console-deleted-users"),
        }
    }
}

/// What stands around the content of a page. Every template of the console has one as its field `shell`.
#[derive(Debug)]
pub struct Shell {
    /// The layout of every page.
    pub view: View,
    /// The language of the page.
    pub l: Language,
    /// The name of whoever looks at it.
    pub who: String,
    /// The number of users of the partner.
    pub users: i64,
    /// The token of its forms.
    pub token: String,
    /// Whether a script asks for the content alone.
    pub is_fragment: bool,
    /// Whether the browser takes gzip.
    pub takes_gzip: bool,
    /// When the request began.
    pub started: Instant,
}

impl Shell {
    /// What stands before every path of ours.
    pub fn base(&self) -> &str {
        &self.view.base
    }

    /// What the page cost, as its footer says: a whole number of milliseconds, since a finer one would tell secrets.
    pub fn cost(&self) -> String {
        let milliseconds = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let users = self.number(self.users);
        text!(self.l, "console-cost", count = self.users, users = users, ms = milliseconds)
    }

    /// A number with separators, as the language of the page writes it.
    pub fn number(&self, number: i64) -> String {
        shown_number(self.l, number)
    }

    /// Sends a page whose content this template renders.
    ///
    /// # Errors
    /// Internal, if the template fails.
    pub fn send(&self, status: StatusCode, template: &impl Template) -> Result<Response, PageError> {
        let html =
            template.render().map_err(|e| Error::internal(format!("a page cannot be rendered: {e}")))?;
        let response = Page::new(String::new()).status(status).of_console().into_response();
        let (mut parts, _) = response.into_parts();
        let body = if self.takes_gzip {
            // No other site can have a browser send its cookie and see how long the answer is: it is SameSite=Lax, and the
            // token of the form is another one each time.
            let mut gzip = GzEncoder::new(Vec::with_capacity(html.len() / 4), Compression::new(4));
            let failed = |e: std::io::Error| Error::internal(format!("a page cannot be compressed: {e}"));
            gzip.write_all(html.as_bytes()).map_err(failed)?;
            parts.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            Body::from(gzip.finish().map_err(failed)?)
        } else {
            Body::from(html)
        };
        Ok(Response::from_parts(parts, body))
    }
}

/// A number with separators, as a language writes it.
pub fn shown_number(language: Language, number: i64) -> String {
    let separator = match language {
        Language::En | Language::ZhHans => ',',
        Language::Nl | Language::It => '.',
        Language::Sv => '\u{a0}',
        Language::Fr => '\u{202f}',
    };
    let digits = number.unsigned_abs().to_string();
    let mut text = String::from(if number < 0 { "-" } else { "" });
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(separator);
        }
        text.push(digit);
    }
    text
}

/// A time: for scripts, which show it in the reader's zone, and in UTC for everybody else.
#[derive(Debug, Clone)]
pub struct ShownTime {
    /// RFC 3339.
    pub iso: String,
    /// In UTC, to the minute.
    pub text: String,
}

impl ShownTime {
    /// Of a time.
    pub fn of(at: Millis) -> Self {
        Self { iso: rfc3339(at), text: crate::account::shown_time(at) }
    }
}

/// What is said above the content: that something was done, or why it was not.
#[derive(Debug, Default)]
pub struct Said {
    /// Something was done.
    pub notice: Option<String>,
    /// Something was not done.
    pub problem: Option<String>,
}

impl Said {
    /// Something was done.
    pub fn notice(text: Option<impl Into<String>>) -> Self {
        Self { notice: text.map(Into::into), problem: None }
    }

    /// Something was not done.
    pub fn problem(text: impl Into<String>) -> Self {
        Self { notice: None, problem: Some(text.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_each_language_does() {
        for (language, number, text) in [
            (Language::En, 0, "0"),
            (Language::En, 999, "999"),
            (Language::En, 1_000, "1,000"),
            (Language::En, 10_000_000, "10,000,000"),
            (Language::Nl, 12_345, "12.345"),
            (Language::It, 1_234_567, "1.234.567"),
            (Language::Sv, 12_345, "12\u{a0}345"),
            (Language::Fr, 12_345, "12\u{202f}345"),
            (Language::ZhHans, 12_345, "12,345"),
            (Language::En, -12_345, "-12,345"),
        ] {
            assert_eq!(shown_number(language, number), text);
        }
    }
}
