//! What logged-in users do for themselves (A3, A4, A5, A7), admins or not.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::responses::{ChangedError, ConflictError, InvalidError, MemberErrors, UnchangedResponse};
use crate::user_bodies::{JsonUsers, UserBody};
use crate::users::shown;
use tenantry_core::error::Result;
use tenantry_core::json::{Fields, Members, Presence, Property, Shape};
use tenantry_core::model::User;
use tenantry_core::user_fields::ProfileField;
use tenantry_domain::conditions::Target;
use tenantry_domain::user_records::{read_back, read_profile_change, read_status, read_username};
use tenantry_domain::users::UserChange;
use tenantry_domain::{password_changes, policy, unit, users};
use tenantry_http::conditional::{Conditions, show};
use tenantry_http::extract::{Member, NoParams, RestrictedMember};
use tenantry_http::json_body::JsonBody;
use tenantry_http::parameters::Of;
use tenantry_http::problem::Problem;
use tenantry_http::responses::json;
use tenantry_http::state::AppState;
use tenantry_http::writes::Write;
use tenantry_store::access;

const OLD_PASSWORD: Property = Property::new("oldPassword", "The current password.").like("Old.Tea-Cup.12");
const NEW_PASSWORD: Property = Property::new(
    "newPassword",
    "The new password. By the rules `contract`: 12 to 40 characters of Latin letters, digits and special characters except `:`, with at least one upper-case letter, lower-case letter, digit and special character, beginning and ending with a letter or digit. By the rules `nist`: 15 to 128 characters of any script.",
)
.of(&policy::ANY_PASSWORD)
.like("New.Tea-Cup.34");
const OWN_GROUPS: Property = Property::new("groups", "Only a partner admin can change groups.").read_only();
const OWN_IS_ADMIN: Property = Property::new("isAdmin", "Only a partner admin can change it.").read_only();

/// The schemas of request bodies.
pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    vec![("UpdatePassword", Shape::of_new("Two passwords.").asked(two_passwords))]
}

fn two_passwords(from: &mut impl Members) -> Option<(Zeroizing<String>, Zeroizing<String>)> {
    let secret = |text: &str| Ok::<_, (&'static str, &'static str)>(Zeroizing::new(text.to_owned()));
    let old = from.text(Presence::Required, &OLD_PASSWORD, secret);
    let new = from.text(Presence::Required, &NEW_PASSWORD, secret);
    Some((old?, new?))
}

/// Get the logged-in user.
///
/// Also for users who must change their password first.
#[utoipa::path(
    get, path = "/api/v1/users/self", tag = "self",
    responses(
        (status = 200, description = "The caller's own user", body = UserBody, headers(("ETag" = String, description = "Its version"))),
        UnchangedResponse, MemberErrors,
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

/// A change of oneself. `current` is the user as it is.
pub(super) fn self_change(from: &mut impl Members, presence: Presence, current: Option<&User>) -> UserChange {
    read_back(from, current);
    let username = read_username(from, Presence::Optional);
    let status = read_status(from, presence);
    let profile = read_profile_change(from, presence, |spec| spec.is_self_editable);
    // Not the caller's to change; taken when they say what is there, so that what was read can be written back (B9).
    let not_yours = |what: &str| ("read-only", format!("only a partner admin changes {what}: leave it out"));
    let groups = from.ids(&OWN_GROUPS);
    let has_groups =
        |ids: &[i64]| current.is_some_and(|user| user.groups.iter().map(|id| id.0).eq(ids.iter().copied()));
    if groups.is_some_and(|ids| !has_groups(&ids)) {
        from.error("groups", not_yours("groups"));
    }
    let is_admin = from.truth(&OWN_IS_ADMIN);
    if is_admin.is_some_and(|is_admin| current.is_none_or(|user| user.is_admin != is_admin)) {
        from.error("isAdmin", not_yours("isAdmin"));
    }
    for field in ProfileField::ALL.into_iter().filter(|field| !field.spec().is_self_editable) {
        from.response_only(field.name(), current.map(|user| json!(field.get(&user.profile))));
    }
    UserChange { username, status, profile, ..UserChange::default() }
}

fn read_self(current: &User, body: &[u8], presence: Presence) -> Result<UserChange> {
    let mut fields = Fields::parse(body)?;
    let change = self_change(&mut fields, presence, Some(current));
    fields.finish()?;
    Ok(change)
}

/// Update the logged-in user.
///
/// Optional properties are unchanged if omitted. Only a partner admin can change `groups`, `isAdmin` and `externalId`:
/// others can send them back as they were read.
#[utoipa::path(
    put, path = "/api/v1/users/self/update", tag = "self", params(Of<Write>),
    request_body(content = ref("#/components/schemas/UpdateSelf")),
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

/// Change some properties of the logged-in user.
///
/// A merge patch (RFC 7396): only the given properties change. Only a partner admin can change `groups`, `isAdmin` and
/// `externalId`.
#[utoipa::path(
    patch, path = "/api/v1/users/self", tag = "self", params(Of<Write>),
    request_body(content = ref("#/components/schemas/PatchSelf"), content_type = "application/merge-patch+json"),
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
    let current = app.store.read(member, users::get_self).await?;
    let change = read_self(&current, body, presence)?;
    let state = app.clone();
    write
        .of(Target::User(member.user_id()))
        .run(app, member, move |tx| shown(&users::update_self(tx, &change)?, &state))
        .await
}

/// Update the logged-in user's password.
///
/// All other sessions of the user end; the caller's continues.
#[utoipa::path(
    post, path = "/api/v1/users/self/update-password", tag = "self", request_body(content = ref("#/components/schemas/UpdatePassword")),
    responses((status = 200, description = "Changed", body = Object), InvalidError, MemberErrors),
)]
pub async fn update_own_password(
    State(app): State<AppState>,
    RestrictedMember(member): RestrictedMember,
    _: NoParams,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let mut fields = Fields::parse(&body)?;
    let passwords = two_passwords(&mut fields);
    let (old, new) = fields.finish_with(|| passwords)?;
    password_changes::change_own(&app, &member, old, new).await?;
    Ok(json(StatusCode::OK, &json!({})))
}

/// Update the logged-in user's password, with PUT.
///
/// The same as with POST.
#[utoipa::path(
    put, path = "/api/v1/users/self/update-password", tag = "self", request_body(content = ref("#/components/schemas/UpdatePassword")),
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

/// Reset the logged-in user's password.
///
/// The old password is invalidated and all sessions end, including the caller's; a temporary password is mailed. A body
/// is ignored.
#[utoipa::path(
    post, path = "/api/v1/users/self/reset-password", tag = "self",
    responses((status = 200, description = "Mailed", body = Object), MemberErrors),
)]
pub async fn reset_own_password(
    State(app): State<AppState>,
    Member(member): Member,
    _: NoParams,
) -> Result<Response, Problem> {
    unit::write(&app.store, &member, password_changes::reset_self).await?;
    Ok(json(StatusCode::OK, &json!({})))
}

/// Reset the logged-in user's password, with PUT.
///
/// The same as with POST.
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
