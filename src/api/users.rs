//! Users, one at a time (A1, A2, A6, A10, B20).

use std::collections::HashSet;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::body::{Fields, JsonBody, Presence, status};
use super::conditional::{Conditions, show};
use super::extract::{Admin, NoParams, UserPath};
use super::openapi::{
    AdminErrors, ChangedError, ConditionParams, ConflictError, DryRunParams, InvalidError, KnownParams,
    MissingError, OnceParams, UnchangedAnswer,
};
use super::problem::Problem;
use super::user_bodies::{CreateUser, PatchUser, UpdateUser, UserBody, read_profile, read_profile_change};
use super::writes::{Answer, Once, Write};
use crate::access::{self, Scope};
use crate::clock::rfc3339;
use crate::domain::conditions::{self, Target};
use crate::domain::users::{NewUser, UserChange};
use crate::domain::{effects, passwords, unit, users};
use crate::error::Result;
use crate::http::state::AppState;
use crate::model::{GroupId, PartnerId, User, UserId};
use crate::values;

/// Which of these groups do not exist, in one look for all of them (B18).
pub(super) async fn unknown_groups(
    app: &AppState,
    by: &access::Admin,
    wanted: Vec<GroupId>,
) -> Result<HashSet<i64>> {
    if wanted.is_empty() {
        return Ok(HashSet::new());
    }
    let unknown = app.store.scan(by, move |tx| users::list_unknown_groups(tx, &wanted)).await?;
    Ok(unknown.into_iter().collect())
}

/// Notes groups of a list that do not exist, so that all faults come at once (B6, B18).
pub(super) fn note_unknown(fields: &mut Fields, groups: &[GroupId], unknown: &HashSet<i64>) {
    let missing: Vec<i64> = groups.iter().map(|group| group.0).filter(|id| unknown.contains(id)).collect();
    if let Some(fault) = users::unknown_group(&missing) {
        fields.fault("groups", (fault.code, fault.detail));
    }
}

pub(super) fn read_groups(fields: &mut Fields) -> Option<Vec<GroupId>> {
    let ids = fields.optional_ids("groups")?;
    Some(ids.into_iter().map(GroupId).collect())
}

/// A new user whose groups are still to be looked for.
#[derive(Debug)]
pub(super) struct HalfRead {
    fields: Fields,
    pub(super) groups: Vec<GroupId>,
}

impl HalfRead {
    pub(super) fn parse(body: &[u8]) -> Result<Self> {
        let mut fields = Fields::parse(body)?;
        let groups = read_groups(&mut fields).unwrap_or_default();
        Ok(Self::of(fields, groups))
    }

    /// With groups that were read elsewhere, ascending, each once.
    pub(super) fn of(fields: Fields, groups: Vec<GroupId>) -> Self {
        Self { fields, groups }
    }

    pub(super) fn finish(self, pid: PartnerId, unknown: &HashSet<i64>) -> Result<NewUser> {
        let Self { mut fields, groups } = self;
        note_unknown(&mut fields, &groups, unknown);
        fields.response_only("pid", Some(json!(pid)));
        for name in ["userId", "createdAt", "updatedAt", "lastLoginAt"] {
            fields.response_only(name, Some(Value::Null));
        }
        let username = fields.required("username", values::username);
        let status = fields.required_status("status");
        let profile = read_profile(&mut fields);
        let is_admin = fields.optional_bool("isAdmin").unwrap_or(false);
        fields
            .finish_with(|| Some(NewUser { username: username?, status: status?, profile, groups, is_admin }))
    }
}

async fn read_new(app: &AppState, by: &access::Admin, body: &[u8]) -> Result<NewUser> {
    let half = HalfRead::parse(body)?;
    let unknown = unknown_groups(app, by, half.groups.clone()).await?;
    half.finish(by.pid(), &unknown)
}

/// Response-only fields are taken when they agree with what is there (B6).
pub(super) fn read_back(fields: &mut Fields, current: &User) {
    fields.response_only("pid", Some(json!(current.pid)));
    fields.response_only("userId", Some(json!(current.user_id)));
    fields.response_only("createdAt", Some(json!(rfc3339(current.created_at))));
    fields.response_only("updatedAt", Some(json!(rfc3339(current.updated_at))));
    fields.response_only("lastLoginAt", Some(json!(current.last_login_at.map(rfc3339))));
}

async fn read_change(
    app: &AppState,
    by: &access::Admin,
    current: &User,
    body: &[u8],
    presence: Presence,
) -> Result<UserChange> {
    let mut fields = Fields::parse(body)?;
    read_back(&mut fields, current);
    let username = fields.string(presence, "username", values::username);
    let status = fields.string(presence, "status", status);
    let profile = read_profile_change(&mut fields, presence, |_| true);
    let is_admin = fields.optional_bool("isAdmin");
    let groups = read_groups(&mut fields);
    if let Some(groups) = &groups {
        note_unknown(&mut fields, groups, &unknown_groups(app, by, groups.clone()).await?);
    }
    fields.finish()?;
    Ok(UserChange { username, status, profile, groups, is_admin })
}

/// A user as the answer of a write, with its tag.
pub(super) fn shown(user: &User, app: &AppState) -> Result<Answer> {
    Ok(Answer::ok(&UserBody::of(user, app))?.tagged(conditions::tag_of_user(user)))
}

/// Create a user (A1).
///
/// An ACTIVE user is mailed a temporary password; one created INACTIVE or LOCKED when it first becomes ACTIVE.
#[utoipa::path(
    post, path = "/api/v1/users", tag = "users", params(OnceParams, DryRunParams), request_body = CreateUser,
    responses(
        (status = 201, description = "Created", body = UserBody, headers(("Location" = String, description = "Its path"), ("ETag" = String, description = "Its version"))),
        InvalidError, AdminErrors, ConflictError,
    ),
)]
pub async fn create_user(
    State(app): State<AppState>,
    Admin(by): Admin,
    write: Write,
    Once { body, claim }: Once,
) -> Result<Response, Problem> {
    let new = read_new(&app, &by, &body).await?;
    let (whole, rights, only_adds) = (app.clone(), by.clone(), users::only_adds(&new));
    write
        .once(claim)
        .adding(only_adds)
        .run(&app, &by, move |tx| {
            let user = users::create(tx, whole.terms, &rights, &new)?;
            let location = format!("/api/v1/users/{}", user.user_id);
            let answer = Answer::created(location, &UserBody::of(&user, &whole))?;
            Ok(answer.tagged(conditions::tag_of_user(&user)))
        })
        .await
}

/// Get a user by id (A6).
#[utoipa::path(
    get, path = "/api/v1/users/{userId}", tag = "users",
    params(("userId" = i64, Path, description = "Its number"), KnownParams),
    responses(
        (status = 200, description = "The user", body = UserBody, headers(("ETag" = String, description = "Its version"))),
        UnchangedAnswer, AdminErrors, MissingError,
    ),
)]
pub async fn get_user(
    State(app): State<AppState>,
    Admin(by): Admin,
    UserPath(id): UserPath,
    _: NoParams,
    conditions: Conditions,
) -> Result<Response, Problem> {
    let user = users::look_up(&app.store, &by, id, |user| UserBody::show(user, &app)).await?;
    Ok(show(&conditions, &user.tag, user.body.clone()))
}

/// Update a user (A2).
///
/// Properties that are not required stay unchanged when omitted.
#[utoipa::path(
    put, path = "/api/v1/users/{userId}", tag = "users",
    params(("userId" = i64, Path, description = "Its number"), ConditionParams, DryRunParams),
    request_body = UpdateUser,
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

/// Change some properties of a user (RFC 7396).
///
/// Only what is named changes; null clears a property that can be null. `groups` is replaced as a whole.
#[utoipa::path(
    patch, path = "/api/v1/users/{userId}", tag = "users",
    params(("userId" = i64, Path, description = "Its number"), ConditionParams, DryRunParams),
    request_body(content = PatchUser, content_type = "application/merge-patch+json"),
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
    let rights = by.clone();
    let current = app.store.read(by, move |tx| users::get(tx, &rights, id)).await?;
    let change = read_change(app, by, &current, body, presence).await?;
    let (whole, rights) = (app.clone(), by.clone());
    write
        .of(Target::User(id))
        .run(app, by, move |tx| shown(&users::update(tx, whole.terms, &rights, id, &change)?, &whole))
        .await
}

/// Delete a user (A10).
#[utoipa::path(
    delete, path = "/api/v1/users/{userId}", tag = "users",
    params(("userId" = i64, Path, description = "Its number"), ConditionParams, DryRunParams),
    responses((status = 204, description = "Gone"), AdminErrors, MissingError, ConflictError, ChangedError),
)]
pub async fn delete_user(
    State(app): State<AppState>,
    Admin(by): Admin,
    UserPath(id): UserPath,
    write: Write,
) -> Result<Response, Problem> {
    let (terms, rights, dry_run) = (app.terms, by.clone(), write.dry_run);
    write
        .of(Target::User(id))
        .run(&app, &by, move |tx| {
            let effects = effects::of_users(tx, dry_run, &[id.0])?;
            users::delete(tx, terms, &rights, id)?;
            Ok(Answer::gone().taking(effects))
        })
        .await
}

/// Mail another user a temporary password (B20).
///
/// Its old password and every session of it end at once.
#[utoipa::path(
    post, path = "/api/v1/users/{userId}/reset-password", tag = "users",
    params(("userId" = i64, Path, description = "Its number")),
    responses((status = 200, description = "Mailed", body = Object), InvalidError, AdminErrors, MissingError),
)]
pub async fn reset_user_password(
    State(app): State<AppState>,
    Admin(by): Admin,
    UserPath(id): UserPath,
    _: NoParams,
) -> Result<Response, Problem> {
    let (terms, rights) = (app.terms, by.clone());
    unit::write(&app.store, &by, move |tx| passwords::reset(tx, terms, &rights, id)).await?;
    Ok(super::json(StatusCode::OK, &json!({})))
}
