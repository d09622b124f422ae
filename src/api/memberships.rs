//! Who is in which group, from the group's side (contract, part C).

use axum::extract::State;
use axum::http::StatusCode;

use super::body::{JsonBody, id_list};
use super::extract::{Admin, GroupPath, MemberPath, NoParams};
use super::openapi::{AdminErrors, InvalidError, MissingError};
use super::problem::Problem;
use crate::app::App;
use crate::domain::{memberships, unit};

/// Put a user into a group. One who is in it already, stays.
#[utoipa::path(
    put, path = "/api/v1/groups/{groupId}/users/{userId}", tag = "groups",
    params(
        ("groupId" = i64, Path, description = "The group's number"),
        ("userId" = i64, Path, description = "The user's number"),
    ),
    responses((status = 204, description = "In the group"), AdminErrors, MissingError),
)]
pub async fn add_member(
    State(app): State<App>,
    Admin(by): Admin,
    MemberPath(group, user): MemberPath,
    _: NoParams,
) -> Result<StatusCode, Problem> {
    let rights = by.clone();
    unit::write(&app.store, &by, move |tx| memberships::add(tx, &rights, group, user)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take a user out of a group.
#[utoipa::path(
    delete, path = "/api/v1/groups/{groupId}/users/{userId}", tag = "groups",
    params(
        ("groupId" = i64, Path, description = "The group's number"),
        ("userId" = i64, Path, description = "The user's number"),
    ),
    responses((status = 204, description = "Not in the group any more"), AdminErrors, MissingError),
)]
pub async fn remove_member(
    State(app): State<App>,
    Admin(by): Admin,
    MemberPath(group, user): MemberPath,
    _: NoParams,
) -> Result<StatusCode, Problem> {
    let rights = by.clone();
    unit::write(&app.store, &by, move |tx| memberships::remove(tx, &rights, group, user)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Put users into a group, all or none. Those who are in it already, stay.
#[utoipa::path(
    post, path = "/api/v1/groups/{groupId}/users", tag = "groups",
    params(("groupId" = i64, Path, description = "Its number")), request_body = Vec<i64>,
    responses((status = 204, description = "All in the group"), InvalidError, AdminErrors, MissingError),
)]
pub async fn add_members(
    State(app): State<App>,
    Admin(by): Admin,
    GroupPath(group): GroupPath,
    _: NoParams,
    JsonBody(body): JsonBody,
) -> Result<StatusCode, Problem> {
    let (ids, rights) = (id_list(&body)?, by.clone());
    unit::write_large(&app.store, &by, move |tx| memberships::add_many(tx, &rights, group, &ids)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take users out of a group, all or none.
#[utoipa::path(
    delete, path = "/api/v1/groups/{groupId}/users", tag = "groups",
    params(("groupId" = i64, Path, description = "Its number")), request_body = Vec<i64>,
    responses((status = 204, description = "None in the group any more"), InvalidError, AdminErrors, MissingError),
)]
pub async fn remove_members(
    State(app): State<App>,
    Admin(by): Admin,
    GroupPath(group): GroupPath,
    _: NoParams,
    JsonBody(body): JsonBody,
) -> Result<StatusCode, Problem> {
    let (ids, rights) = (id_list(&body)?, by.clone());
    unit::write_large(&app.store, &by, move |tx| memberships::remove_many(tx, &rights, group, &ids)).await?;
    Ok(StatusCode::NO_CONTENT)
}
