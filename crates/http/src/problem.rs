//! Errors as problem documents (RFC 9457): the one map from `Error` to HTTP.
//!
//! `type` is always `about:blank`, so `title` is the phrase of the status (RFC 9457 §4.2.1). `code`, which is stable,
//! distinguishes problems with the same status; a URI would tie clients to the location of the documentation.

mod edge;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use edge::Edge;
use tenantry_core::error::{
    Conflict, Denial, Error, FieldError, GrantError, Missing, NeededAuthentication, TokenError,
};
use tenantry_core::scopes::TokenScope;

/// The result of a handler.
pub type Result<T, E = Problem> = std::result::Result<T, E>;

/// An error response: created from any [`Error`], or by the edge itself.
#[derive(Debug)]
pub struct Problem(Failure);

#[derive(Debug)]
enum Failure {
    Error(Error),
    Edge(Edge),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self(Failure::Error(error))
    }
}

impl From<FieldError> for Problem {
    fn from(error: FieldError) -> Self {
        Self(Failure::Error(error.into()))
    }
}

impl Problem {
    /// 404: no such path (the router's fallback).
    pub fn unknown_path() -> Self {
        Self(Failure::Edge(Edge::UnknownPath))
    }

    /// 405: the path exists, the method does not (the router's method fallback, which adds `Allow`).
    pub fn method_not_allowed() -> Self {
        Self(Failure::Edge(Edge::MethodNotAllowed))
    }

    /// 408: the body did not arrive in time; the connection is closed.
    pub fn body_stalled() -> Self {
        Self(Failure::Edge(Edge::BodyStalled))
    }

    /// 413: the body has more than `limit` bytes; the connection is closed.
    pub fn body_too_large(limit: u64) -> Self {
        Self(Failure::Edge(Edge::BodyTooLarge { limit }))
    }

    /// 503: all bodies together take too much memory; the connection is closed.
    pub fn no_body_memory() -> Self {
        Self(Failure::Edge(Edge::NoBodyMemory))
    }

    /// 400: a header makes the request ambiguous; the connection is closed.
    pub fn bad_head(detail: &'static str) -> Self {
        Self(Failure::Edge(Edge::BadHead { detail }))
    }

    /// 415: the content type of a PATCH is not a merge patch or JSON.
    pub fn unsupported_patch() -> Self {
        Self(Failure::Edge(Edge::UnsupportedPatch))
    }

    /// 415: the content type is not JSON in UTF-8.
    pub fn unsupported_media_type() -> Self {
        let detail = "send the body as Content-Type: application/json, in UTF-8";
        Self(Failure::Edge(Edge::UnsupportedMediaType(detail)))
    }

    /// 415: the content type is not that of a PNG image.
    pub fn unsupported_image() -> Self {
        let detail = "send the image as Content-Type: image/png; other formats are not accepted";
        Self(Failure::Edge(Edge::UnsupportedMediaType(detail)))
    }

    /// 415: the content type of an import is not rows in UTF-8. Clients often send a form instead.
    pub fn unsupported_rows(is_form: bool) -> Self {
        let detail = if is_form {
            "this is a form: send the file itself as Content-Type: application/x-ndjson or text/csv, with curl \
             --data-binary @FILE instead of -F or -d"
        } else {
            "send the rows as Content-Type: application/x-ndjson or text/csv, in UTF-8"
        };
        Self(Failure::Edge(Edge::UnsupportedMediaType(detail)))
    }

    /// 415: the body of an import is encoded by something other than gzip.
    pub fn unsupported_rows_coding() -> Self {
        Self(Failure::Edge(Edge::UnsupportedEncoding { is_import: true, is_patch: false }))
    }

    /// 415: the body is compressed.
    pub fn unsupported_encoding(is_patch: bool) -> Self {
        Self(Failure::Edge(Edge::UnsupportedEncoding { is_import: false, is_patch }))
    }

    /// 431: the header is too large. hyper responds to headers over the server's limit by itself; this is for a handler
    /// with a lower limit for one field.
    pub fn headers_too_large() -> Self {
        Self(Failure::Edge(Edge::HeadersTooLarge))
    }
}

/// The cause of a 500, as a response extension: `observe.rs` logs it once, with the request id; it is never sent to the
/// client.
#[derive(Debug, Clone)]
pub struct Cause(pub Cow<'static, str>);

/// What is busy or unavailable, as an extension of a 503: its log lines are counted by it.
#[derive(Debug, Clone)]
pub(super) struct Busy(pub(super) Cow<'static, str>);

/// A problem document (RFC 9457), as sent with `application/problem+json`.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDocument {
    /// Always `about:blank`: see `code`.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    pub kind: &'static str,
    /// The phrase of the status.
    #[schema(example = "Bad Request")]
    pub title: &'static str,
    /// The HTTP status.
    #[schema(example = 400)]
    pub status: u16,
    /// What happened, for people.
    pub detail: Cow<'static, str>,
    /// A stable code for programs.
    #[schema(example = "invalid")]
    pub code: &'static str,
    /// All errors of the input, by field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<FieldErrorDocument>,
    /// The ids that are unknown (404) or in conflict (409), if the request had a list.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub ids: Vec<i64>,
}

/// One error of an input.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = FieldError)]
pub struct FieldErrorDocument {
    /// JSON Pointer (RFC 6901) into the body, empty for the whole of it; or the name of a query parameter.
    #[schema(example = "/username")]
    pub field: Cow<'static, str>,
    /// A stable code for programs.
    #[schema(example = "required")]
    pub code: &'static str,
    /// What is wrong and how to fix it, for people.
    pub detail: Cow<'static, str>,
}

impl From<FieldError> for FieldErrorDocument {
    fn from(FieldError { field, code, detail }: FieldError) -> Self {
        Self { field, code, detail }
    }
}

/// An error of the token endpoint (RFC 6749 §5.2).
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = TokenError)]
pub struct GrantDocument {
    /// One of the codes of the RFC.
    #[schema(example = "invalid_grant")]
    pub error: &'static str,
    /// For people.
    #[schema(example = "wrong username or password")]
    pub error_description: String,
    /// The password is right, but the user has a second factor, which only a sign-in on the pages can ask for.
    #[serde(rename = "secondFactorRequired", skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub second_factor_required: bool,
}

// B12, RFC 6750 §3.1: without a token the challenge has no error code. The descriptions are the texts of `TokenError`.
const CHALLENGE: HeaderValue = HeaderValue::from_static(r#"Bearer realm="oauth""#);
const CHALLENGE_INVALID: HeaderValue = HeaderValue::from_static(
    r#"Bearer realm="oauth", error="invalid_token", error_description="Invalid access token""#,
);
const CHALLENGE_EXPIRED: HeaderValue = HeaderValue::from_static(
    r#"Bearer realm="oauth", error="invalid_token", error_description="Access token expired: log in again or use the refresh token""#,
);
const CHALLENGE_CLIENT: HeaderValue = HeaderValue::from_static(r#"Basic realm="oauth""#);
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");
const CLOSE: HeaderValue = HeaderValue::from_static("close");
// RFC 5789 §2.2, §3.1.
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");
const PATCH_TYPES: HeaderValue = HeaderValue::from_static("application/merge-patch+json, application/json");
const IDENTITY: HeaderValue = HeaderValue::from_static("identity");
const ROWS_CODINGS: HeaderValue = HeaderValue::from_static("gzip, identity");
const NO_BODY_MEMORY: &str = "too many request bodies are being received";

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        match self.0 {
            Failure::Edge(edge) => edge.into_response(),
            Failure::Error(error) => from_error(error),
        }
    }
}

/// The only map from an error to a status. No wildcard arm: a new kind of error must be added here.
fn from_error(error: Error) -> Response {
    match error {
        Error::Invalid(errors) => send(&invalid(errors)),
        Error::NotFound(missing) => {
            let (code, detail, ids) = missing_words(missing);
            send(&document(StatusCode::NOT_FOUND, code, detail.into(), Vec::new(), ids))
        }
        Error::Conflict(found) => send(&conflict(found)),
        Error::Precondition => {
            let detail = "it was changed since it was read, or is not as If-Match or If-None-Match says: read it \
                          again; nothing was changed";
            plain(StatusCode::PRECONDITION_FAILED, "precondition-failed", detail.into())
        }
        Error::Unauthenticated(error) => {
            let (code, challenge) = match error {
                TokenError::Absent => ("no-token", CHALLENGE),
                TokenError::Invalid => ("invalid-token", CHALLENGE_INVALID),
                TokenError::Expired => ("expired-token", CHALLENGE_EXPIRED),
            };
            let mut response = plain(StatusCode::UNAUTHORIZED, code, error.to_string().into());
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            response
        }
        Error::Forbidden(denial) => {
            let mut response = plain(StatusCode::FORBIDDEN, denial.code(), denial.detail().into());
            if let Denial::InsufficientScope(scope) = denial {
                response.headers_mut().insert(WWW_AUTHENTICATE, challenge_for(scope));
            }
            response
        }
        Error::InsufficientAuthentication(needed) => {
            let mut response =
                plain(StatusCode::UNAUTHORIZED, "insufficient-user-authentication", needed.detail().into());
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge_to_authenticate(needed));
            response
        }
        Error::Grant(code, description) => grant(code, &description, false),
        Error::SecondFactorNeeded => {
            let description = "this user has a second factor: use the authorization code grant";
            grant(GrantError::InvalidGrant, description, true)
        }
        Error::TooMany(wait) => {
            let seconds = whole_seconds(wait);
            let detail = format!("too many attempts: try again in {seconds} s").into();
            retry_after(plain(StatusCode::TOO_MANY_REQUESTS, "too-many-attempts", detail), seconds)
        }
        Error::Unavailable { what, retry_after: wait } => {
            let seconds = whole_seconds(wait);
            let detail = format!("{what}: try again in {seconds} s").into();
            let mut response = plain(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail);
            response.extensions_mut().insert(Busy(what));
            retry_after(response, seconds)
        }
        Error::Internal(cause) => {
            let detail =
                "internal server error: the log names the cause under the X-Request-Id of this response";
            let mut response = plain(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail.into());
            response.extensions_mut().insert(Cause(cause));
            response
        }
    }
}

/// RFC 6750 §3.1: which scope the request needs.
fn challenge_for(scope: TokenScope) -> HeaderValue {
    let scope = scope.name();
    let challenge = format!(
        r#"Bearer realm="oauth", error="insufficient_scope", error_description="The token lacks the scope {scope}", scope="{scope}""#
    );
    HeaderValue::try_from(challenge).unwrap_or(CHALLENGE_INVALID)
}

/// RFC 9470 §3: how the user must have signed in.
fn challenge_to_authenticate(needed: NeededAuthentication) -> HeaderValue {
    let mut challenge = String::from(r#"Bearer realm="oauth", error="insufficient_user_authentication""#);
    let description = if needed.second_factor {
        "A second factor is required"
    } else {
        "A more recent sign-in is required"
    };
    let _ = write!(challenge, r#", error_description="{description}""#);
    if needed.second_factor {
        challenge.push_str(r#", acr_values="2""#);
    }
    if let Some(max_age) = needed.max_age {
        let _ = write!(challenge, r#", max_age="{max_age}""#);
    }
    HeaderValue::try_from(challenge).unwrap_or(CHALLENGE_INVALID)
}

fn invalid(errors: Vec<FieldError>) -> ProblemDocument {
    let detail = match errors.len() {
        1 => "the request has 1 error, listed in errors".into(),
        n => format!("the request has {n} errors, listed in errors").into(),
    };
    let errors = errors.into_iter().map(FieldErrorDocument::from).collect();
    document(StatusCode::BAD_REQUEST, "invalid", detail, errors, Vec::new())
}

fn conflict(Conflict { code, detail, field, users }: Conflict) -> ProblemDocument {
    let errors =
        field.map(|field| FieldErrorDocument { field, code, detail: detail.clone() }).into_iter().collect();
    document(StatusCode::CONFLICT, code, detail, errors, users)
}

/// The error of one row of many, as a document inside of a response. An error that is not about the row is returned: it
/// is one of the whole request.
pub fn of_row(error: Error) -> Result<ProblemDocument, Error> {
    match error {
        Error::Invalid(errors) => Ok(invalid(errors)),
        Error::Conflict(found) => Ok(conflict(found)),
        other => Err(other),
    }
}

fn missing_words(missing: Missing) -> (&'static str, &'static str, Vec<i64>) {
    match missing {
        Missing::User => ("user-not-found", "there is no such user", Vec::new()),
        Missing::DeletedUser => ("user-not-found", "there is no such deleted user", Vec::new()),
        Missing::Users(ids) => ("user-not-found", "there are no users with these ids", ids),
        Missing::Group => ("group-not-found", "there is no such group", Vec::new()),
        Missing::Groups(ids) => ("group-not-found", "there are no groups with these ids", ids),
        Missing::Membership => ("membership-not-found", "this user is not in this group", Vec::new()),
        Missing::Memberships(ids) => ("membership-not-found", "these users are not in this group", ids),
        Missing::ObjectType => (
            "object-type-not-found",
            "there is no such object type: GET /api/v1/permissionable-object-types lists them",
            Vec::new(),
        ),
        Missing::Partner => ("partner-not-found", "there is no such partner", Vec::new()),
        Missing::Session => ("session-not-found", "this user has no such session", Vec::new()),
        Missing::Factor => ("factor-not-found", "this user has no such second factor", Vec::new()),
        Missing::Branding => ("branding-not-found", "this partner has set no branding", Vec::new()),
        Missing::Client => ("client-not-found", "there is no such client", Vec::new()),
        Missing::ClientSecret => ("client-secret-not-found", "this client has no such secret", Vec::new()),
        Missing::Consent => {
            ("consent-not-found", "this user has not allowed this client anything", Vec::new())
        }
        Missing::OperatorToken => ("operator-token-not-found", "there is no such operator token", Vec::new()),
    }
}

/// The document of a request that could not be parsed; `None` for other statuses.
pub(super) fn unreadable_document(status: StatusCode) -> Option<Vec<u8>> {
    let (code, detail) = match status {
        StatusCode::BAD_REQUEST => ("malformed-request", "the request is not well-formed HTTP/1.1"),
        StatusCode::URI_TOO_LONG => ("target-too-long", "the request target is too long"),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => (
            "headers-too-large",
            "the request line and the header fields are too large together, or too many",
        ),
        _ => return None,
    };
    serde_json::to_vec(&document(status, code, detail.into(), Vec::new(), Vec::new())).ok()
}

fn plain(status: StatusCode, code: &'static str, detail: Cow<'static, str>) -> Response {
    send(&document(status, code, detail, Vec::new(), Vec::new()))
}

fn document(
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    errors: Vec<FieldErrorDocument>,
    ids: Vec<i64>,
) -> ProblemDocument {
    let title = status.canonical_reason().unwrap_or("");
    ProblemDocument { kind: "about:blank", title, status: status.as_u16(), detail, code, errors, ids }
}

fn send(document: &ProblemDocument) -> Response {
    let status = StatusCode::from_u16(document.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    json(status, PROBLEM_JSON, document)
}

fn json(status: StatusCode, content_type: HeaderValue, document: &impl Serialize) -> Response {
    // These documents are strings and numbers, which always serialize; an empty body would still have the status.
    let body = serde_json::to_vec(document).unwrap_or_default();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

fn grant(code: GrantError, description: &str, second_factor_required: bool) -> Response {
    // RFC 6749 §5.2 allows only these characters in error_description.
    let allowed = |c: char| matches!(c, ' '..='!' | '#'..='[' | ']'..='~');
    let error_description = description.chars().map(|c| if allowed(c) { c } else { '?' }).collect();
    let status = match code {
        GrantError::InvalidClient => StatusCode::UNAUTHORIZED,
        GrantError::InvalidRequest
        | GrantError::InvalidGrant
        | GrantError::UnauthorizedClient
        | GrantError::UnsupportedGrantType
        | GrantError::InvalidScope => StatusCode::BAD_REQUEST,
    };
    let mut response =
        json(status, JSON, &GrantDocument { error: code.code(), error_description, second_factor_required });
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    response.headers_mut().insert(PRAGMA, NO_CACHE);
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, CHALLENGE_CLIENT);
    }
    response
}

/// Rounded up, at least 1: a client that waits this long must not retry too early.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)
}

fn retry_after(mut response: Response, seconds: u64) -> Response {
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    response
}

#[cfg(test)]
mod tests;
