//! Users, one at a time (A1, A2, A6, A10, B20).

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use crate::responses::{
    AdminErrors, ChangedError, ConflictError, InvalidError, MissingError, UnchangedResponse,
};
use crate::user_bodies::{JsonUsers, UserBody};
use tenantry_core::error::Result;
use tenantry_core::json::Presence;
use tenantry_core::model::{User, UserId};
use tenantry_domain::conditions::{self, Target};
use tenantry_domain::factors::step_up;
use tenantry_domain::user_records::{read_change, read_new};
use tenantry_domain::{effects, password_changes, unit, users};
use tenantry_http::conditional::{Conditions, show};
use tenantry_http::extract::{Admin, NoParams, UserPath};
use tenantry_http::json_body::JsonBody;
use tenantry_http::parameters::Of;
use tenantry_http::problem::Problem;
use tenantry_http::responses::json;
use tenantry_http::state::AppState;
use tenantry_http::writes::{IdempotentBody, Write, WriteResponse};
use tenantry_store::access;

/// A user as the response of a write, with its tag.
pub(super) fn shown(user: &User, app: &AppState) -> Result<WriteResponse> {
    Ok(WriteResponse::ok(&UserBody::of(user, app))?.tagged(conditions::tag_of_user(user)))
}

/// Create a user.
///
/// An ACTIVE user is mailed a temporary password; one created INACTIVE or LOCKED when it first becomes ACTIVE.
#[utoipa::path(
    post, path = "/api/v1/users", tag = "users", params(Of<IdempotentBody>, Of<Write>), request_body(content = ref("#/components/schemas/CreateUser")),
    responses(
        (status = 201, description = "Created", body = UserBody, headers(("Location" = String, description = "Its path"), ("ETag" = String, description = "Its version"))),
        InvalidError, AdminErrors, ConflictError,
    ),
)]
pub async fn create_user(
    State(app): State<AppState>,
    Admin(by): Admin,
    write: Write,
    IdempotentBody { body, key }: IdempotentBody,
) -> Result<Response, Problem> {
    let new = read_new(&app.store, &by, &body).await?;
    if new.is_admin {
        step_up::expect_strong_admin(&app, &by).await?;
    }
    let state = app.clone();
    write
        .idempotency_key(key)
        .run(&app, &by, move |tx| {
            let user = users::create(tx, &new)?;
            let location = format!("/api/v1/users/{}", user.user_id);
            let response = WriteResponse::created(location, &UserBody::of(&user, &state))?;
            Ok(response.tagged(conditions::tag_of_user(&user)))
        })
        .await
}

/// Get a user by id.
///
/// A user of another partner is `404`, as an unknown one.
#[utoipa::path(
    get, path = "/api/v1/users/{userId}", tag = "users",
    params(Of<UserPath>),
    responses(
        (status = 200, description = "The user", body = UserBody, headers(("ETag" = String, description = "Its version"))),
        UnchangedResponse, AdminErrors, MissingError,
    ),
)]
pub async fn get_user(
    State(app): State<AppState>,
    Admin(by): Admin,
    UserPath(id): UserPath,
    _: NoParams,
    conditions: Conditions,
) -> Result<Response, Problem> {
    let user = users::look_up(&app.store, &by, id, &JsonUsers::of(&app)).await?;
    Ok(show(&conditions, &user.tag, user.body.clone()))
}

/// Update a user.
///
/// Optional properties are unchanged if omitted.
#[utoipa::path(
    put, path = "/api/v1/users/{userId}", tag = "users",
    params(Of<UserPath>, Of<Write>),
    request_body(content = ref("#/components/schemas/UpdateUser")),
    responses(
        (status = 200, description = "The user", body = UserBody, headers(("ETag" = String, description = "Its version"))),
        InvalidError, AdminErrors, MissingError, ConflictError, ChangedError,
    ),
)]
pub async fn update_user(
    State(app): State<AppState>,
    Admin(by): Admin,
    UserPath(id): UserPath,
    write: Write,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    change_user(&app, &by, id, write, &body, Presence::Required).await
}

/// Change some properties of a user.
///
/// A merge patch (RFC 7396): only the given properties change; null clears a property that can be null. `groups` is
/// replaced entirely.
#[utoipa::path(
    patch, path = "/api/v1/users/{userId}", tag = "users",
    params(Of<UserPath>, Of<Write>),
    request_body(content = ref("#/components/schemas/PatchUser"), content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "The user", body = UserBody, headers(("ETag" = String, description = "Its version"))),
        InvalidError, AdminErrors, MissingError, ConflictError, ChangedError,
    ),
)]
pub async fn patch_user(
    State(app): State<AppState>,
    Admin(by): Admin,
    UserPath(id): UserPath,
    write: Write,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    change_user(&app, &by, id, write, &body, Presence::Optional).await
}

async fn change_user(
    app: &AppState,
    by: &access::Admin,
    id: UserId,
    write: Write,
    body: &[u8],
    presence: Presence,
) -> Result<Response, Problem> {
    let current = app.store.read(by, move |tx| users::get(tx, id)).await?;
    let change = read_change(&app.store, by, &current, body, presence).await?;
    if change.is_admin == Some(true) && !current.is_admin {
        step_up::expect_strong_admin(app, by).await?;
    }
    let state = app.clone();
    write.of(Target::User(id)).run(app, by, move |tx| shown(&users::update(tx, id, &change)?, &state)).await
}

/// Delete a user.
///
/// Its sessions end at once. It can be restored until it is erased. The last ACTIVE admin of a partner, and the caller,
/// cannot be deleted (`409`).
#[utoipa::path(
    delete, path = "/api/v1/users/{userId}", tag = "users",
    params(Of<UserPath>, Of<Write>),
    responses((status = 204, description = "Deleted"), AdminErrors, MissingError, ConflictError, ChangedError),
)]
pub async fn delete_user(
    State(app): State<AppState>,
    Admin(by): Admin,
    UserPath(id): UserPath,
    write: Write,
) -> Result<Response, Problem> {
    let dry_run = write.is_dry_run();
    write
        .of(Target::User(id))
        .run(&app, &by, move |tx| {
            let effects = effects::of_users(tx, dry_run, &[id.0])?;
            users::delete(tx, id)?;
            Ok(WriteResponse::gone().taking(effects))
        })
        .await
}

/// Mail a temporary password to another user.
///
/// Its old password and all its sessions are invalidated at once.
#[utoipa::path(
    post, path = "/api/v1/users/{userId}/reset-password", tag = "users",
    params(Of<UserPath>),
    responses((status = 200, description = "Mailed", body = Object), InvalidError, AdminErrors, MissingError),
)]
pub async fn reset_user_password(
    State(app): State<AppState>,
    Admin(by): Admin,
    UserPath(id): UserPath,
    _: NoParams,
) -> Result<Response, Problem> {
    unit::write(&app.store, &by, move |tx| password_changes::reset(tx, id)).await?;
    Ok(json(StatusCode::OK, &json!({})))
}
