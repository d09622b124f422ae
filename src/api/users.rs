//! Users, one at a time (A1, A2, A6, A10, B20).

use std::collections::HashSet;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::body::{Fields, Flaw, JsonBody, Patch, Presence, status};
use super::conditional::{Conditions, show};
use super::extract::{Admin, NoParams, UserPath};
use super::openapi::{
    AdminErrors, ChangedError, ConditionParams, ConflictError, DryRunParams, InvalidError, KnownParams,
    MissingError, OnceParams, UnchangedAnswer,
};
use super::problem::Problem;
use super::user_bodies::{CreateUser, PatchUser, UpdateUser};
use super::writes::{Answer, Once, Write};
use crate::access::{self, Scope};
use crate::app::App;
use crate::clock::{Millis, rfc3339};
use crate::domain::conditions::{self, Target};
use crate::domain::users::{NewUser, UserChange};
use crate::domain::{effects, passwords, unit, users};
use crate::error::Result;
use crate::model::{GroupId, PartnerId, Status, User, UserId};
use crate::storage::ShownUser;
use crate::values;

impl From<values::Bad> for Flaw {
    fn from(bad: values::Bad) -> Self {
        Self { code: bad.code, detail: bad.detail }
    }
}

/// A user (B3).
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = User)]
pub struct UserBody<'a> {
    /// The partner it belongs to.
    #[schema(example = 1)]
    pid: i64,
    /// Its number: positive, ascending with creation, never used again.
    #[schema(example = 2)]
    user_id: i64,
    /// As typed. Unique on the whole server, compared by RFC 8265 UsernameCaseMapped.
    #[schema(example = "ada")]
    username: &'a str,
    /// Only ACTIVE users may log in.
    #[schema(value_type = String, example = "ACTIVE")]
    status: Status,
    /// Given name.
    #[schema(example = "Ada")]
    first_name: &'a str,
    /// Family name.
    #[schema(example = "Lovelace")]
    last_name: &'a str,
    /// Where its mail goes; not unique.
    #[schema(example = "ada@example.com")]
    email: &'a str,
    /// Job title.
    #[schema(required = true)]
    title: Option<&'a str>,
    /// Telephone number, as typed.
    #[schema(required = true)]
    phone_number: Option<&'a str>,
    /// Ids of its groups, ascending.
    #[schema(value_type = Vec<i64>)]
    groups: &'a [GroupId],
    /// Whether it is a partner admin. A string if the server runs with `is-admin-as-string`.
    #[schema(value_type = bool, example = false)]
    is_admin: AdminFlag,
    /// The product's own key, unique in the partner.
    #[schema(required = true)]
    external_id: Option<&'a str>,
    /// RFC 3339, UTC.
    #[schema(value_type = String, example = "2026-11-23T09:00:00.000Z")]
    created_at: Time,
    /// RFC 3339, UTC.
    #[schema(value_type = String, example = "2026-11-23T09:00:00.000Z")]
    updated_at: Time,
    /// RFC 3339, UTC; null = never.
    #[schema(required = true, value_type = Option<String>)]
    last_login_at: Option<Time>,
}

/// A time as RFC 3339.
#[derive(Debug, Clone, Copy)]
pub(super) struct Time(pub(super) Millis);

impl Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&rfc3339(self.0))
    }
}

/// A boolean, or a string for clients written to the letter (B4).
#[derive(Debug, Clone, Copy)]
struct AdminFlag {
    is_admin: bool,
    as_string: bool,
}

impl Serialize for AdminFlag {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.as_string, self.is_admin) {
            (false, is_admin) => serializer.serialize_bool(is_admin),
            (true, true) => serializer.serialize_str("true"),
            (true, false) => serializer.serialize_str("false"),
        }
    }
}

impl<'a> UserBody<'a> {
    /// A user as every answer shows it.
    pub(super) fn of(user: &'a User, app: &App) -> Self {
        Self {
            pid: user.pid.0,
            user_id: user.user_id.0,
            username: &user.username,
            status: user.status,
            first_name: &user.first_name,
            last_name: &user.last_name,
            email: &user.email,
            title: user.title.as_deref(),
            phone_number: user.phone_number.as_deref(),
            groups: &user.groups,
            is_admin: AdminFlag { is_admin: user.is_admin, as_string: app.config.is_admin_as_string },
            external_id: user.external_id.as_deref(),
            created_at: Time(user.created_at),
            updated_at: Time(user.updated_at),
            last_login_at: user.last_login_at.map(Time),
        }
    }

    /// The same with its tag, to be kept: whoever asks is shown the same.
    pub(super) fn show(user: &User, app: &App) -> Result<ShownUser> {
        let body = super::written(&UserBody::of(user, app))?.into();
        Ok(ShownUser { tag: conditions::tag_of_user(user), body })
    }
}

pub(super) fn owned(
    check: fn(&str) -> Result<&str, values::Bad>,
) -> impl Fn(&str) -> Result<String, values::Bad> {
    move |text| check(text).map(str::to_owned)
}

pub(super) fn nullable(patch: Patch<String>) -> Option<Option<String>> {
    match patch {
        Patch::Absent => None,
        Patch::Null => Some(None),
        Patch::Value(text) => Some(Some(text)),
    }
}

/// Which of these groups do not exist, in one look for all of them (B18).
pub(super) async fn unknown_groups(
    app: &App,
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
        let first_name = fields.required("firstName", owned(values::person_name));
        let last_name = fields.required("lastName", owned(values::person_name));
        let email = fields.required("email", owned(values::email));
        let title = fields.nullable("title", owned(values::optional_text)).value();
        let phone_number = fields.nullable("phoneNumber", owned(values::optional_text)).value();
        let external_id = fields.nullable("externalId", owned(values::external_id)).value();
        let is_admin = fields.optional_bool("isAdmin").unwrap_or(false);
        fields.finish_with(|| {
            Some(NewUser {
                username: username?,
                status: status?,
                first_name: first_name?,
                last_name: last_name?,
                email: email?,
                title,
                phone_number,
                groups,
                is_admin,
                external_id,
            })
        })
    }
}

async fn read_new(app: &App, by: &access::Admin, body: &[u8]) -> Result<NewUser> {
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

/// The properties that A2 and A3 have in common.
pub(super) fn read_common(fields: &mut Fields, presence: Presence) -> UserChange {
    UserChange {
        status: fields.string(presence, "status", status),
        first_name: fields.string(presence, "firstName", owned(values::person_name)),
        last_name: fields.string(presence, "lastName", owned(values::person_name)),
        email: fields.string(presence, "email", owned(values::email)),
        title: nullable(fields.nullable("title", owned(values::optional_text))),
        phone_number: nullable(fields.nullable("phoneNumber", owned(values::optional_text))),
        ..UserChange::default()
    }
}

async fn read_change(
    app: &App,
    by: &access::Admin,
    current: &User,
    body: &[u8],
    presence: Presence,
) -> Result<UserChange> {
    let mut fields = Fields::parse(body)?;
    read_back(&mut fields, current);
    let username = fields.string(presence, "username", values::username);
    let common = read_common(&mut fields, presence);
    let is_admin = fields.optional_bool("isAdmin");
    let external_id = nullable(fields.nullable("externalId", owned(values::external_id)));
    let groups = read_groups(&mut fields);
    if let Some(groups) = &groups {
        note_unknown(&mut fields, groups, &unknown_groups(app, by, groups.clone()).await?);
    }
    fields.finish()?;
    Ok(UserChange { username, groups, is_admin, external_id, ..common })
}

/// A user as the answer of a write, with its tag.
pub(super) fn shown(user: &User, app: &App) -> Result<Answer> {
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
    State(app): State<App>,
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
    State(app): State<App>,
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
/// `title`, `phoneNumber`, `groups`, `isAdmin` and `externalId` stay as they are when left out.
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
    State(app): State<App>,
    Admin(by): Admin,
    UserPath(id): UserPath,
    write: Write,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    change_user(&app, &by, id, write, &body, Presence::Required).await
}

/// Change some properties of a user (RFC 7396).
///
/// Only what is named changes; null clears `title`, `phoneNumber` or `externalId`. `groups` is replaced as a whole.
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
    State(app): State<App>,
    Admin(by): Admin,
    UserPath(id): UserPath,
    write: Write,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    change_user(&app, &by, id, write, &body, Presence::Optional).await
}

async fn change_user(
    app: &App,
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
    State(app): State<App>,
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
    State(app): State<App>,
    Admin(by): Admin,
    UserPath(id): UserPath,
    _: NoParams,
) -> Result<Response, Problem> {
    let (terms, rights) = (app.terms, by.clone());
    unit::write(&app.store, &by, move |tx| passwords::reset(tx, terms, &rights, id)).await?;
    Ok(super::json(StatusCode::OK, &json!({})))
}
