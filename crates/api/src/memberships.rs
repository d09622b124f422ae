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
use tenantry_http::writes::{Once, Write, WriteResponse};

/// Put a user into a group.
///
/// A user who is in it already stays in it.
#[utoipa::path(
    put, path = "/api/v1/groups/{groupId}/users/{userId}", tag = "groups",
    params(
        Of<MemberPath>, Of<Write>,
    ),
    responses((status = 204, description = "In the group"), AdminErrors, MissingError, ChangedError),
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

/// Take a user out of a group.
///
/// A user who is not in it is `404` with code `membership-not-found`.
#[utoipa::path(
    delete, path = "/api/v1/groups/{groupId}/users/{userId}", tag = "groups",
    params(
        Of<MemberPath>, Of<Write>,
    ),
    responses((status = 204, description = "Not in the group any more"), AdminErrors, MissingError, ChangedError),
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

/// Put users into a group, all or none. Those who are in it already, stay.
///
/// More than 5,000 users are checked as a whole first and then added in steps that always end: others may see the change
/// under way.
#[utoipa::path(
    post, path = "/api/v1/groups/{groupId}/users", tag = "groups",
    params(Of<GroupPath>, Of<Once>, Of<Write>),
    request_body(content = ref("#/components/schemas/IdList")),
    responses(
        (status = 204, description = "All in the group"),
        InvalidError, AdminErrors, MissingError, RepeatedError, ChangedError, TooLargeError<BULK>,
    ),
)]
pub async fn add_members(
    State(app): State<AppState>,
    Admin(by): Admin,
    GroupPath(group): GroupPath,
    write: Write,
    Once { body, claim }: Once<BULK>,
) -> Result<Response, Problem> {
    let operation = BulkOperation::of(BulkChange::AddMembers(group), id_list(&body)?);
    write.of(Target::Group(group)).once(claim).run_bulk(&app, &by, operation).await
}

/// Take users out of a group, all or none.
///
/// More than 5,000 users are checked as a whole first and then taken out in steps that always end: others may see the
/// change under way.
#[utoipa::path(
    delete, path = "/api/v1/groups/{groupId}/users", tag = "groups",
    params(Of<GroupPath>, Of<Write>),
    request_body(content = ref("#/components/schemas/IdList")),
    responses(
        (status = 204, description = "None in the group any more"),
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
