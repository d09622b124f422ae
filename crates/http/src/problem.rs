//! Errors as problem documents (RFC 9457): the one map from `Error` to HTTP.
//!
//! `type` is always `about:blank`, so `title` is the phrase of the status (RFC 9457 §4.2.1). `code`, which is stable,
//! distinguishes problems with the same status; a URI would tie clients to the location of the documentation.

use std::borrow::Cow;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use tenantry_core::error::{Conflict, Error, FieldError, GrantError, Missing, TokenError};

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

/// Errors that only the edge can detect, before any rule is checked.
#[derive(Debug, Clone, Copy)]
enum Edge {
    UnknownPath,
    MethodNotAllowed,
    BodyStalled,
    BodyTooLarge { limit: u64 },
    NoBodyMemory,
    BadHead { detail: &'static str },
    UnsupportedPatch,
    UnsupportedMediaType,
    UnsupportedRows,
    HeadersTooLarge,
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
        Self(Failure::Edge(Edge::UnsupportedMediaType))
    }

    /// 415: the content type of an import is not rows in UTF-8.
    pub fn unsupported_rows() -> Self {
        Self(Failure::Edge(Edge::UnsupportedRows))
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
        Error::Forbidden(denial) => plain(StatusCode::FORBIDDEN, denial.code(), denial.detail().into()),
        Error::Grant(code, description) => grant(code, &description),
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
        Missing::Client => ("client-not-found", "there is no such client", Vec::new()),
        Missing::OperatorToken => ("operator-token-not-found", "there is no such operator token", Vec::new()),
    }
}

impl Edge {
    fn into_response(self) -> Response {
        let (status, code, detail): (_, _, Cow<'static, str>) = match self {
            Self::UnknownPath => {
                (StatusCode::NOT_FOUND, "no-such-path", "no such path".into())
            }
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "this path has other methods: see the Allow header".into(),
            ),
            Self::BodyStalled => {
                (StatusCode::REQUEST_TIMEOUT, "body-timeout", "the body did not arrive in time".into())
            }
            Self::BodyTooLarge { limit } => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "body-too-large",
                format!("the body has more than {limit} bytes, the limit of this operation").into(),
            ),
            Self::NoBodyMemory => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                format!("{NO_BODY_MEMORY}: try again in 1 s").into(),
            ),
            Self::BadHead { detail } => (StatusCode::BAD_REQUEST, "bad-request", detail.into()),
            Self::UnsupportedPatch => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "send the patch as Content-Type: application/merge-patch+json (RFC 7396) or application/json, in UTF-8"
                    .into(),
            ),
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "send the body as Content-Type: application/json, in UTF-8".into(),
            ),
            Self::UnsupportedRows => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "send the rows as Content-Type: application/x-ndjson or text/csv, in UTF-8".into(),
            ),
            Self::HeadersTooLarge => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "headers-too-large",
                "the header fields are too large".into(),
            ),
        };
        let mut response = plain(status, code, detail);
        // The rest of the body was not read, so the next request cannot be found (RFC 9110 §15.5.9).
        if matches!(
            self,
            Self::BodyStalled | Self::BodyTooLarge { .. } | Self::NoBodyMemory | Self::BadHead { .. }
        ) {
            response.headers_mut().insert(CONNECTION, CLOSE);
        }
        match self {
            Self::NoBodyMemory => {
                response.extensions_mut().insert(Busy(NO_BODY_MEMORY.into()));
                retry_after(response, 1)
            }
            Self::UnsupportedPatch => {
                response.headers_mut().insert(ACCEPT_PATCH, PATCH_TYPES);
                response
            }
            _ => response,
        }
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

fn grant(code: GrantError, description: &str) -> Response {
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
    let mut response = json(status, JSON, &GrantDocument { error: code.code(), error_description });
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
mod tests {
    use super::*;
    use axum::body::to_bytes;
    use serde_json::{Value, json};
    use tenantry_core::error::Denial;

    async fn answer(problem: impl Into<Problem>) -> (Response, Value) {
        let (parts, body) = problem.into().into_response().into_parts();
        let body = serde_json::from_slice(&to_bytes(body, usize::MAX).await.unwrap()).unwrap();
        (Response::from_parts(parts, Body::empty()), body)
    }

    fn header(response: &Response, name: impl axum::http::header::AsHeaderName) -> &str {
        response.headers().get(name).map_or("", |v| v.to_str().unwrap())
    }

    #[tokio::test]
    async fn invalid_lists_all_faults() {
        let error = Error::Invalid(vec![
            FieldError::new("/username", "required", "is missing"),
            FieldError::new("/groups/2", "wrong-type", "must be an integer"),
        ]);
        let (response, body) = answer(error).await;
        assert_eq!(response.status(), 400);
        assert_eq!(header(&response, CONTENT_TYPE), "application/problem+json");
        assert_eq!(
            body,
            json!({"type": "about:blank", "title": "Bad Request", "status": 400, "code": "invalid",
                "detail": "the request has 2 errors, listed in errors",
                "errors": [
                    {"field": "/username", "code": "required", "detail": "is missing"},
                    {"field": "/groups/2", "code": "wrong-type", "detail": "must be an integer"}]})
        );
    }

    #[tokio::test]
    async fn ids_of_missing_and_conflicting_users_are_listed() {
        let (response, body) = answer(Error::NotFound(Missing::Users(vec![7, 9]))).await;
        assert_eq!((response.status().as_u16(), &body["ids"]), (404, &json!([7, 9])));
        let (_, body) = answer(Error::NotFound(Missing::Groups(vec![3]))).await;
        assert_eq!((&body["code"], &body["ids"]), (&json!("group-not-found"), &json!([3])));
        let (_, body) = answer(Error::NotFound(Missing::User)).await;
        assert_eq!(body.get("ids"), None);
        let (response, body) = answer(Conflict::users("last-admin", vec![1], "the last admin")).await;
        assert_eq!(response.status(), 409);
        assert_eq!((&body["code"], &body["ids"]), (&json!("last-admin"), &json!([1])));
        let (_, body) = answer(Conflict::field("username-taken", "/username", "taken")).await;
        assert_eq!(body["errors"][0]["field"], "/username");
    }

    #[tokio::test]
    async fn challenges_are_those_of_the_contract() {
        for (error, challenge) in [
            (TokenError::Absent, r#"Bearer realm="oauth""#.to_owned()),
            (
                TokenError::Invalid,
                format!(
                    r#"Bearer realm="oauth", error="invalid_token", error_description="{}""#,
                    TokenError::Invalid
                ),
            ),
            (
                TokenError::Expired,
                format!(
                    r#"Bearer realm="oauth", error="invalid_token", error_description="{}""#,
                    TokenError::Expired
                ),
            ),
        ] {
            let (response, _) = answer(Error::Unauthenticated(error)).await;
            assert_eq!(response.status(), 401);
            assert_eq!(header(&response, WWW_AUTHENTICATE), challenge);
        }
    }

    #[tokio::test]
    async fn forbidden_names_its_code() {
        let (response, body) = answer(Error::Forbidden(Denial::PasswordChangeRequired)).await;
        assert_eq!((response.status().as_u16(), &body["code"]), (403, &json!("password-change-required")));
    }

    #[tokio::test]
    async fn waits_are_rounded_up() {
        for (wait, seconds) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2"), (900_000, "900")] {
            let (response, _) = answer(Error::TooMany(Duration::from_millis(wait))).await;
            assert_eq!(response.status(), 429);
            assert_eq!(header(&response, RETRY_AFTER), seconds);
        }
        let error = Error::Unavailable { what: "the writer is busy".into(), retry_after: Duration::ZERO };
        let (response, body) = answer(error).await;
        assert_eq!((response.status().as_u16(), header(&response, RETRY_AFTER)), (503, "1"));
        assert_eq!(body["detail"], "the writer is busy: try again in 1 s");
    }

    #[tokio::test]
    async fn internal_errors_are_logged_and_not_disclosed() {
        let response = Problem::from(Error::internal("disk /var/lib/x is gone")).into_response();
        assert_eq!(response.extensions().get::<Cause>().unwrap().0, "disk /var/lib/x is gone");
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        assert!(!String::from_utf8_lossy(&body).contains("/var/lib"));
    }

    #[tokio::test]
    async fn grants_speak_oauth() {
        let (response, body) =
            answer(Error::Grant(GrantError::InvalidGrant, "no \"such\" Ünit".into())).await;
        assert_eq!((response.status().as_u16(), header(&response, CACHE_CONTROL)), (400, "no-store"));
        assert_eq!(header(&response, CONTENT_TYPE), "application/json");
        assert_eq!(body, json!({"error": "invalid_grant", "error_description": "no ?such? ?nit"}));
        let (response, _) = answer(Error::Grant(GrantError::InvalidClient, "unknown client".into())).await;
        assert_eq!(response.status(), 401);
        assert_eq!(header(&response, WWW_AUTHENTICATE), r#"Basic realm="oauth""#);
    }

    #[tokio::test]
    async fn edge_problems() {
        for (problem, status) in [
            (Problem::unknown_path(), 404),
            (Problem::method_not_allowed(), 405),
            (Problem::body_stalled(), 408),
            (Problem::body_too_large(10), 413),
            (Problem::unsupported_media_type(), 415),
            (Problem::headers_too_large(), 431),
        ] {
            let (response, body) = answer(problem).await;
            assert_eq!(response.status(), status);
            assert_eq!(body["status"], status);
            assert_eq!(header(&response, CONNECTION) == "close", matches!(status, 408 | 413));
        }
    }

    #[test]
    fn the_schema_is_what_is_sent() {
        use utoipa::{PartialSchema as _, ToSchema as _};
        assert_eq!(ProblemDocument::name(), "Problem");
        let schema = serde_json::to_value(ProblemDocument::schema()).unwrap();
        assert_eq!(schema["required"], json!(["type", "title", "status", "detail", "code"]));
        assert_eq!(schema["properties"]["errors"]["items"]["$ref"], "#/components/schemas/FieldError");
    }
}
