//! Errors of pages. A handler returns a `PageError`; the crate of pages renders it, in the person's language.

use std::borrow::Cow;

use axum::http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::problem::{Busy, Cause, Problem};
use tenantry_core::error::{Denial, Error};

/// What happened, as far as the person needs to know: each has a text that says what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageErrorKind {
    /// The application that sent the person here is not known.
    UnknownClient,
    /// The address to return to is not one of the application's.
    BadRedirectUri,
    /// The request is malformed, or the application has made an error.
    BadRequest,
    /// A form that is too old, or of another session.
    StaleForm,
    /// A form that was sent from another site.
    ForeignOrigin,
    /// The browser does not send cookies.
    CookiesOff,
    /// The request of the application is too old or was changed.
    ExpiredRequest,
    /// A link of a mail that has expired or was used.
    ExpiredLink,
    /// The session has ended.
    SignedOut,
    /// The person may not do this.
    NotAllowed,
    /// No such page.
    NotFound,
    /// The page has other methods.
    MethodNotAllowed,
    /// Too many requests or attempts.
    TooMany,
    /// The server is busy.
    Unavailable,
    /// An error of the server.
    Internal,
}

impl PageErrorKind {
    /// Every kind.
    pub const ALL: [Self; 15] = [
        Self::UnknownClient,
        Self::BadRedirectUri,
        Self::BadRequest,
        Self::StaleForm,
        Self::ForeignOrigin,
        Self::CookiesOff,
        Self::ExpiredRequest,
        Self::ExpiredLink,
        Self::SignedOut,
        Self::NotAllowed,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::TooMany,
        Self::Unavailable,
        Self::Internal,
    ];

    /// Its status.
    pub fn status(self) -> StatusCode {
        match self {
            Self::UnknownClient
            | Self::BadRedirectUri
            | Self::BadRequest
            | Self::StaleForm
            | Self::CookiesOff
            | Self::ExpiredRequest
            | Self::ExpiredLink => StatusCode::BAD_REQUEST,
            Self::ForeignOrigin | Self::SignedOut | Self::NotAllowed => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn of(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::TOO_MANY_REQUESTS => Self::TooMany,
            StatusCode::SERVICE_UNAVAILABLE => Self::Unavailable,
            StatusCode::UNAUTHORIZED => Self::SignedOut,
            StatusCode::FORBIDDEN => Self::NotAllowed,
            status if status.is_server_error() => Self::Internal,
            _ => Self::BadRequest,
        }
    }
}

/// An error that a person is shown.
#[derive(Debug, Clone)]
pub struct PageError {
    /// The status of the response.
    pub status: StatusCode,
    /// What happened.
    pub kind: PageErrorKind,
    /// What exactly is wrong, in English, for the developers of the application.
    pub detail: Option<Cow<'static, str>>,
    cause: Option<Cause>,
    busy: Option<Busy>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// The headers of a problem that its page has, too.
const KEPT: [HeaderName; 2] = [RETRY_AFTER, CONNECTION];

impl PageError {
    /// An error without details.
    pub fn new(kind: PageErrorKind) -> Self {
        Self { status: kind.status(), kind, detail: None, cause: None, busy: None, headers: Vec::new() }
    }

    /// An error with details.
    pub fn with_detail(kind: PageErrorKind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { detail: Some(detail.into()), ..Self::new(kind) }
    }

    /// How long to wait before another attempt, in seconds, if that is known.
    pub fn retry_after(&self) -> Option<u64> {
        let (_, seconds) = self.headers.iter().find(|(name, _)| name == RETRY_AFTER)?;
        seconds.to_str().ok()?.parse().ok()
    }
}

impl From<PageErrorKind> for PageError {
    fn from(kind: PageErrorKind) -> Self {
        Self::new(kind)
    }
}

impl From<Error> for PageError {
    fn from(error: Error) -> Self {
        let detail: Option<Cow<'static, str>> = match &error {
            Error::Invalid(errors) => errors.first().map(|error| error.detail.clone()),
            Error::Conflict(conflict) => Some(conflict.detail.clone()),
            Error::Grant(_, detail) => Some(detail.clone()),
            Error::Forbidden(Denial::PasswordChangeRequired) => {
                Some("a new password must be set first".into())
            }
            Error::Forbidden(denial) => Some(denial.detail().into()),
            _ => None,
        };
        Self { detail, ..Self::from(Problem::from(error)) }
    }
}

impl From<Problem> for PageError {
    fn from(problem: Problem) -> Self {
        let mut response = problem.into_response();
        let headers =
            KEPT.iter().filter_map(|name| Some((name.clone(), response.headers().get(name)?.clone())));
        let headers = headers.collect();
        let kind = PageErrorKind::of(response.status());
        let status = match response.status() {
            StatusCode::UNAUTHORIZED => kind.status(),
            status => status,
        };
        let extensions = response.extensions_mut();
        let (cause, busy) = (extensions.remove(), extensions.remove());
        Self { status, kind, detail: None, cause, busy, headers }
    }
}

impl IntoResponse for PageError {
    /// The response without its page: the crate of pages replaces the body.
    fn into_response(mut self) -> Response {
        let text =
            self.detail.clone().unwrap_or_else(|| self.status.canonical_reason().unwrap_or_default().into());
        let mut response = (self.status, text).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        for (name, value) in &self.headers {
            response.headers_mut().insert(name.clone(), value.clone());
        }
        let extensions = response.extensions_mut();
        if let Some(cause) = self.cause.take() {
            extensions.insert(cause);
        }
        if let Some(busy) = self.busy.take() {
            extensions.insert(busy);
        }
        extensions.insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn errors_keep_their_status_cause_and_delay() {
        let many = PageError::from(Error::TooMany(Duration::from_secs(90)));
        assert_eq!((many.kind, many.retry_after()), (PageErrorKind::TooMany, Some(90)));
        assert_eq!(many.into_response().headers()[RETRY_AFTER], "90");
        let internal = PageError::from(Error::internal("the disk is gone")).into_response();
        assert_eq!(internal.status(), 500);
        assert_eq!(internal.extensions().get::<Cause>().unwrap().0, "the disk is gone");
        assert!(internal.extensions().get::<PageError>().is_some());
        for kind in PageErrorKind::ALL {
            let response = PageError::new(kind).into_response();
            assert_eq!(response.status(), kind.status());
            assert!(response.status().as_u16() >= 400);
        }
    }
}
