//! What logged-in users do for themselves (A3, A4, A5, A7), admins or not.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::parameters::{ConditionParams, DryRunParams, KnownParams};
use crate::responses::{ChangedError, ConflictError, InvalidError, MemberErrors, UnchangedAnswer};
use crate::user_bodies::{JsonUsers, PatchSelf, UpdateSelf, UserBody};
use crate::users::shown;
use tenantry_core::error::Result;
use tenantry_core::json::{Fields, Presence, status};
use tenantry_core::model::{GroupId, User};
use tenantry_core::user_fields::ProfileField;
use tenantry_core::values;
use tenantry_domain::conditions::Target;
use tenantry_domain::user_records::{read_back, read_profile_change};
use tenantry_domain::users::UserChange;
use tenantry_domain::{password_changes, unit, users};
use tenantry_http::answers::json;
use tenantry_http::conditional::{Conditions, show};
use tenantry_http::extract::{Member, NoParams, RestrictedMember};
use tenantry_http::json_body::JsonBody;
use tenantry_http::problem::Problem;
use tenantry_http::state::AppState;
use tenantry_http::writes::Write;
use tenantry_store::access;

/// Two passwords.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what Fields reads")]
pub struct UpdatePassword {
    /// The present one.
    #[schema(example = "Old.Tea-Cup.12")]
    old_password: String,
    /// The new one: 12 to 40 characters of Latin letters, digits and special characters but `:`, at least one of
    /// each of upper case, lower case, digit and special, beginning and ending with a letter or digit.
    #[schema(example = "New.Tea-Cup.34")]
    new_password: String,
}

/// Get the logged-in user (A7).
#[utoipa::path(
    get, path = "/api/v1/users/self", tag = "self", params(KnownParams),
    responses(
        (status = 200, description = "The caller's own user", body = UserBody, headers(("ETag" = String, description = "Its version"))),
        UnchangedAnswer, MemberErrors,
    ),
)]
pub async fn get_self(
    State(app): State<AppState>,
    RestrictedMember(member): RestrictedMember,
    _: NoParams,
    conditions: Conditions,
) -> Result<Response, Problem> {
    let user = users::look_up_self(&app.store, &member, &JsonUsers::of(&app)).await?;
    Ok(show(&conditions, &user.tag, user.body.clone()))
}

fn read_self(current: &User, body: &[u8], presence: Presence) -> Result<UserChange> {
    let mut fields = Fields::parse(body)?;
    read_back(&mut fields, current);
    let username = fields.optional("username", values::username);
    let status = fields.string(presence, "status", status);
    let profile = read_profile_change(&mut fields, presence, |spec| spec.is_self_editable);
    // Not the caller's to change; taken when they say what is there, so that what was read can be written back (B9).
    let not_yours = |what: &str| ("read-only", format!("only a partner admin changes {what}: leave it out"));
    if let Some(ids) = fields.optional_ids("groups") {
        let ids: Vec<GroupId> = ids.into_iter().map(GroupId).collect();
        if ids != current.groups {
            fields.fault("groups", not_yours("groups"));
        }
    }
    if fields.optional_bool("isAdmin").is_some_and(|is_admin| is_admin != current.is_admin) {
        fields.fault("isAdmin", not_yours("isAdmin"));
    }
    for field in ProfileField::ALL.into_iter().filter(|field| !field.spec().is_self_editable) {
        fields.response_only(field.name(), Some(json!(field.get(&current.profile))));
    }
    fields.finish()?;
    Ok(UserChange { username, status, profile, ..UserChange::default() })
}

/// Update the logged-in user (A3).
#[utoipa::path(
    put, path = "/api/v1/users/self/update", tag = "self", params(ConditionParams, DryRunParams),
    request_body = UpdateSelf,
    responses(
        (status = 200, description = "The user", body = UserBody, headers(("ETag" = String, description = "Its version"))),
        InvalidError, MemberErrors, ConflictError, ChangedError,
    ),
)]
pub async fn update_self(
    State(app): State<AppState>,
    Member(member): Member,
    write: Write,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    change_self(&app, &member, write, &body, Presence::Required).await
}

/// Change some properties of the logged-in user (RFC 7396): only what is named changes.
#[utoipa::path(
    patch, path = "/api/v1/users/self", tag = "self", params(ConditionParams, DryRunParams),
    request_body(content = PatchSelf, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "The user", body = UserBody, headers(("ETag" = String, description = "Its version"))),
        InvalidError, MemberErrors, ConflictError, ChangedError,
    ),
)]
pub async fn patch_self(
    State(app): State<AppState>,
    Member(member): Member,
    write: Write,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    change_self(&app, &member, write, &body, Presence::Optional).await
}

async fn change_self(
    app: &AppState,
    member: &access::Member,
    write: Write,
    body: &[u8],
    presence: Presence,
) -> Result<Response, Problem> {
    let current = app.store.read(member, move |tx| users::get_self(tx)).await?;
    let change = read_self(&current, body, presence)?;
    let whole = app.clone();
    write
        .of(Target::User(member.user_id()))
        .run(app, member, move |tx| shown(&users::update_self(tx, &change)?, &whole))
        .await
}

/// Update the logged-in user's password (A4).
///
/// Every other session of the user ends; the caller's goes on.
#[utoipa::path(
    post, path = "/api/v1/users/self/update-password", tag = "self", request_body = UpdatePassword,
    responses((status = 200, description = "Changed", body = Object), InvalidError, MemberErrors),
)]
pub async fn update_own_password(
    State(app): State<AppState>,
    RestrictedMember(member): RestrictedMember,
    _: NoParams,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let mut fields = Fields::parse(&body)?;
    let secret = |text: &str| Ok::<_, (&'static str, &'static str)>(Zeroizing::new(text.to_owned()));
    let old = fields.required("oldPassword", secret);
    let new = fields.required("newPassword", secret);
    let (old, new) = fields.finish_with(|| Some((old?, new?)))?;
    password_changes::change_own(&app, &member, old, new).await?;
    Ok(json(StatusCode::OK, &json!({})))
}

/// Update the logged-in user's password (A4), as the source's prose has it.
#[utoipa::path(
    put, path = "/api/v1/users/self/update-password", tag = "self", request_body = UpdatePassword,
    responses((status = 200, description = "Changed", body = Object), InvalidError, MemberErrors),
)]
pub async fn put_own_password(
    app: State<AppState>,
    member: RestrictedMember,
    params: NoParams,
    body: JsonBody,
) -> Result<Response, Problem> {
    update_own_password(app, member, params, body).await
}

/// Reset the logged-in user's password (A5).
///
/// The old password and every session end, the caller's too; a temporary password is mailed. A body is ignored.
#[utoipa::path(
    post, path = "/api/v1/users/self/reset-password", tag = "self",
    responses((status = 200, description = "Mailed", body = Object), MemberErrors),
)]
pub async fn reset_own_password(
    State(app): State<AppState>,
    Member(member): Member,
    _: NoParams,
) -> Result<Response, Problem> {
    unit::write(&app.store, &member, move |tx| password_changes::reset_self(tx)).await?;
    Ok(json(StatusCode::OK, &json!({})))
}

/// Reset the logged-in user's password (A5), as the source's prose has it.
#[utoipa::path(
    put, path = "/api/v1/users/self/reset-password", tag = "self",
    responses((status = 200, description = "Mailed", body = Object), MemberErrors),
)]
pub async fn put_own_password_reset(
    app: State<AppState>,
    member: Member,
    params: NoParams,
) -> Result<Response, Problem> {
    reset_own_password(app, member, params).await
}
