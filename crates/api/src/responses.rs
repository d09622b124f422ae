//! Errors of operations, for the document: each stands at the operations that may answer it.

use std::collections::BTreeMap;

use utoipa::IntoResponses;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response as ResponseDoc, ResponseBuilder};

use tenantry_http::incoming::too_large;

/// A problem document with this status.
fn problem(status: u16, description: impl Into<String>) -> BTreeMap<String, RefOr<ResponseDoc>> {
    let document = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let response =
        ResponseBuilder::new().description(description).content("application/problem+json", document).build();
    BTreeMap::from([(status.to_string(), RefOr::T(response))])
}

/// A response with a problem document and this status, described alike wherever it can come.
#[derive(Debug)]
pub struct ProblemResponse<const STATUS: u16>;

impl<const STATUS: u16> IntoResponses for ProblemResponse<STATUS> {
    fn responses() -> BTreeMap<String, RefOr<ResponseDoc>> {
        let description = match STATUS {
            400 => "The request has errors, all listed under errors",
            404 => "Not found in this partner",
            409 => "Conflict with the current state; see code",
            412 => {
                "The resource has changed since it was read: the precondition failed, and nothing was changed"
            }
            429 => "Too many attempts: retry after Retry-After seconds",
            _ => "The server is busy: retry after Retry-After seconds",
        };
        problem(STATUS, description)
    }
}

/// The request has errors; all are listed (RFC 9457).
pub type InvalidError = ProblemResponse<400>;
/// There is no such thing in the caller's partner.
pub type MissingError = ProblemResponse<404>;
/// The change contradicts what is there.
pub type ConflictError = ProblemResponse<409>;
/// It is not as the request says it must be.
pub type ChangedError = ProblemResponse<412>;
/// Too many attempts.
pub type TooManyError = ProblemResponse<429>;
/// Too much to do at the moment.
pub type BusyError = ProblemResponse<503>;

/// The body is longer than this operation takes, where that is not what the kind of its body says (src/openapi/common.rs).
#[derive(Debug)]
pub struct TooLargeError<const LIMIT: u64>;

impl<const LIMIT: u64> IntoResponses for TooLargeError<LIMIT> {
    fn responses() -> BTreeMap<String, RefOr<ResponseDoc>> {
        problem(413, too_large(LIMIT))
    }
}

/// The same request came before.
#[derive(Debug)]
pub struct RepeatedError;

impl IntoResponses for RepeatedError {
    fn responses() -> BTreeMap<String, RefOr<ResponseDoc>> {
        problem(409, "The Idempotency-Key was used with a different body, or is in use")
    }
}

/// The client knows it already.
#[derive(IntoResponses)]
#[response(status = 304, description = "Not modified")]
pub struct UnchangedResponse;

/// Authorization errors.
fn refused(forbidden: Option<&str>) -> BTreeMap<String, RefOr<ResponseDoc>> {
    let mut responses = problem(401, "No token, or one that is no longer valid: see WWW-Authenticate");
    responses.extend(forbidden.into_iter().flat_map(|description| {
        problem(403, format!("{description}; or the token lacks the scope: see WWW-Authenticate"))
    }));
    responses.extend(BusyError::responses());
    responses
}

/// Authorization errors of operations of admins.
#[derive(Debug)]
pub struct AdminErrors;

impl IntoResponses for AdminErrors {
    fn responses() -> BTreeMap<String, RefOr<ResponseDoc>> {
        refused(Some("Not a partner admin, or the password must be changed first"))
    }
}

/// Authorization errors of operations of members.
#[derive(Debug)]
pub struct MemberErrors;

impl IntoResponses for MemberErrors {
    fn responses() -> BTreeMap<String, RefOr<ResponseDoc>> {
        refused(Some("A technical account, which has no user, or the password must be changed first"))
    }
}

/// Authorization errors of operations of operators.
#[derive(Debug)]
pub struct OperatorErrors;

impl IntoResponses for OperatorErrors {
    fn responses() -> BTreeMap<String, RefOr<ResponseDoc>> {
        let mut responses = refused(None);
        responses.extend(problem(401, "No operator token, or a revoked one: see WWW-Authenticate"));
        responses
    }
}

/// Authorization errors of evaluations.
#[derive(Debug)]
pub struct EvaluationErrors;

impl IntoResponses for EvaluationErrors {
    fn responses() -> BTreeMap<String, RefOr<ResponseDoc>> {
        refused(Some(
            "Another user's permissions without being a partner admin, or the password must be changed first",
        ))
    }
}
