//! Who is in which group, from the group's side (contract, part C).

use axum::extract::State;
use axum::response::Response;

use crate::responses::{AdminErrors, ChangedError, InvalidError, MissingError, RepeatedError, TooLargeError};
use tenantry_core::json::id_list;
use tenantry_domain::bulk_changes::{BulkChange, BulkOperation};
use tenantry_domain::conditions::Target;
use tenantry_domain::memberships;
use tenantry_http::extract::{Admin, GroupPath, MemberPath};
use tenantry_http::incoming::BULK;
use tenantry_http::json_body::JsonBody;
use tenantry_http::parameters::Of;
use tenantry_http::problem::Problem;
use tenantry_http::state::AppState;
use tenantry_http::writes::{IdempotentBody, Write, WriteResponse};

/// Add a user to a group.
///
/// An existing member is unaffected.
#[utoipa::path(
    put, path = "/api/v1/groups/{groupId}/users/{userId}", tag = "groups",
    params(
        Of<MemberPath>, Of<Write>,
    ),
    responses((status = 204, description = "Added to the group"), AdminErrors, MissingError, ChangedError),
)]
pub async fn add_member(
    State(app): State<AppState>,
    Admin(by): Admin,
    MemberPath(group, user): MemberPath,
    write: Write,
) -> Result<Response, Problem> {
    write
        .of(Target::Group(group))
        .run(&app, &by, move |tx| {
            memberships::add(tx, group, user)?;
            Ok(WriteResponse::gone())
        })
        .await
}

/// Remove a user from a group.
///
/// A user who is not in it is `404` with code `membership-not-found`.
#[utoipa::path(
    delete, path = "/api/v1/groups/{groupId}/users/{userId}", tag = "groups",
    params(
        Of<MemberPath>, Of<Write>,
    ),
    responses((status = 204, description = "Removed from the group"), AdminErrors, MissingError, ChangedError),
)]
pub async fn remove_member(
    State(app): State<AppState>,
    Admin(by): Admin,
    MemberPath(group, user): MemberPath,
    write: Write,
) -> Result<Response, Problem> {
    write
        .of(Target::Group(group))
        .run(&app, &by, move |tx| {
            memberships::remove(tx, group, user)?;
            Ok(WriteResponse::gone())
        })
        .await
}

/// Add users to a group, atomically. Existing members are unaffected.
///
/// More than 5,000 users are validated as a whole first and then added in steps that always complete: other requests
/// can see partial results.
#[utoipa::path(
    post, path = "/api/v1/groups/{groupId}/users", tag = "groups",
    params(Of<GroupPath>, Of<IdempotentBody>, Of<Write>),
    request_body(content = ref("#/components/schemas/IdList")),
    responses(
        (status = 204, description = "All added to the group"),
        InvalidError, AdminErrors, MissingError, RepeatedError, ChangedError, TooLargeError<BULK>,
    ),
)]
pub async fn add_members(
    State(app): State<AppState>,
    Admin(by): Admin,
    GroupPath(group): GroupPath,
    write: Write,
    IdempotentBody { body, key }: IdempotentBody<BULK>,
) -> Result<Response, Problem> {
    let operation = BulkOperation::of(BulkChange::AddMembers(group), id_list(&body)?);
    write.of(Target::Group(group)).idempotency_key(key).run_bulk(&app, &by, operation).await
}

/// Remove users from a group, atomically.
///
/// More than 5,000 users are validated as a whole first and then removed in steps that always complete: other requests
/// can see partial results.
#[utoipa::path(
    delete, path = "/api/v1/groups/{groupId}/users", tag = "groups",
    params(Of<GroupPath>, Of<Write>),
    request_body(content = ref("#/components/schemas/IdList")),
    responses(
        (status = 204, description = "All removed from the group"),
        InvalidError, AdminErrors, MissingError, ChangedError, TooLargeError<BULK>,
    ),
)]
pub async fn remove_members(
    State(app): State<AppState>,
    Admin(by): Admin,
    GroupPath(group): GroupPath,
    write: Write,
    JsonBody(body): JsonBody<BULK>,
) -> Result<Response, Problem> {
    let operation = BulkOperation::of(BulkChange::RemoveMembers(group), id_list(&body)?);
    write.of(Target::Group(group)).run_bulk(&app, &by, operation).await
}
