//! Errors of operations, for the document: each stands at the operations that may answer it.

use std::collections::BTreeMap;

use utoipa::IntoResponses;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response as ResponseDoc, ResponseBuilder};

use tenantry_http::incoming::too_large;
use tenantry_http::problem::ProblemDocument;

/// The request has faults; all are listed (RFC 9457).
#[derive(IntoResponses)]
#[response(
    status = 400,
    description = "Faults in the request, all listed under errors",
    content_type = "application/problem+json"
)]
pub struct InvalidError(#[expect(dead_code, reason = "documents the body")] ProblemDocument);

/// There is no such thing in the caller's partner.
#[derive(IntoResponses)]
#[response(
    status = 404,
    description = "There is no such thing in this partner",
    content_type = "application/problem+json"
)]
pub struct MissingError(#[expect(dead_code, reason = "documents the body")] ProblemDocument);

/// The change contradicts what is there.
#[derive(IntoResponses)]
#[response(
    status = 409,
    description = "The change contradicts what is there; code says how",
    content_type = "application/problem+json"
)]
pub struct ConflictError(#[expect(dead_code, reason = "documents the body")] ProblemDocument);

/// The body is longer than this operation takes, where that is not what the kind of its body says (src/openapi/common.rs).
pub struct TooLargeError<const LIMIT: u64>;

impl<const LIMIT: u64> IntoResponses for TooLargeError<LIMIT> {
    fn responses() -> BTreeMap<String, RefOr<ResponseDoc>> {
        let document = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let answer = ResponseBuilder::new()
            .description(too_large(LIMIT))
            .content("application/problem+json", document)
            .build();
        BTreeMap::from([(String::from("413"), RefOr::T(answer))])
    }
}

/// Too much to do at the moment.
#[derive(IntoResponses)]
#[response(
    status = 503,
    description = "Busy: try again after Retry-After seconds",
    content_type = "application/problem+json"
)]
pub struct BusyError(#[expect(dead_code, reason = "documents the body")] ProblemDocument);

/// Who may not: for operations of admins.
#[derive(IntoResponses)]
pub enum AdminErrors {
    /// No token, or one that is no longer good: see WWW-Authenticate
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthenticated(ProblemDocument),
    /// Not a partner admin, or the password must be changed first
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(ProblemDocument),
    /// Busy: try again after Retry-After seconds
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(ProblemDocument),
}

/// Who may not: for operations of everybody who is logged in.
#[derive(IntoResponses)]
pub enum MemberErrors {
    /// No token, or one that is no longer good: see WWW-Authenticate
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthenticated(ProblemDocument),
    /// A technical account, which has no user, or the password must be changed first
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(ProblemDocument),
    /// Busy: try again after Retry-After seconds
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(ProblemDocument),
}

/// Who may not: for operations of operators.
#[derive(IntoResponses)]
pub enum OperatorErrors {
    /// No operator token, or a revoked one: see WWW-Authenticate
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthenticated(ProblemDocument),
    /// Busy: try again after Retry-After seconds
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(ProblemDocument),
}

/// Who may not: for evaluations.
#[derive(IntoResponses)]
pub enum EvaluationErrors {
    /// No token, or one that is no longer good: see WWW-Authenticate
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthenticated(ProblemDocument),
    /// Asking about another user without being a partner admin, or the password must be changed first
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(ProblemDocument),
    /// Busy: try again after Retry-After seconds
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(ProblemDocument),
}

/// It is not as the request says it must be.
#[derive(IntoResponses)]
#[response(
    status = 412,
    description = "It was changed since it was read: the condition does not hold, and nothing was changed",
    content_type = "application/problem+json"
)]
pub struct ChangedError(#[expect(dead_code, reason = "documents the body")] ProblemDocument);

/// The same request came before.
#[derive(IntoResponses)]
#[response(
    status = 409,
    description = "The Idempotency-Key came with another body before, or is in use",
    content_type = "application/problem+json"
)]
pub struct RepeatedError(#[expect(dead_code, reason = "documents the body")] ProblemDocument);

/// The asker knows it already.
#[derive(IntoResponses)]
#[response(status = 304, description = "It is as If-None-Match knows it")]
pub struct UnchangedAnswer;
