//! The OpenAPI document (3.1) and Swagger UI. Operations document themselves where they stand; here is what they
//! have in common (`common.rs` adds who may call them, errors and examples).

use std::collections::BTreeMap;

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde_json::Value;
use utoipa::openapi::security::{
    ClientCredentials, Flow, HttpAuthScheme, HttpBuilder, OAuth2, Password, Scopes, SecurityScheme,
};
use utoipa::openapi::{
    ContentBuilder, OpenApi as Document, Ref, RefOr, Response as ResponseDoc, ResponseBuilder,
};
use utoipa::{IntoParams, IntoResponses, OpenApi, ToSchema};

use super::deleted_users::DeletedUserBody;
use super::effective_permissions::{EffectiveBody, HolderBody};
use super::events::EventBody;
use super::groups::GroupBody;
use super::partners::PartnerBody;
use super::problem::ProblemDocument;
use super::sessions::SessionBody;
use super::user_bodies::UserBody;
use crate::http::state::AppState;

mod common;

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

/// The body is longer than this operation takes, where that is not what the kind of its body says (openapi/common.rs).
pub struct TooLargeError<const LIMIT: u64>;

impl<const LIMIT: u64> IntoResponses for TooLargeError<LIMIT> {
    fn responses() -> BTreeMap<String, RefOr<ResponseDoc>> {
        let document = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let answer = ResponseBuilder::new()
            .description(common::too_large(LIMIT))
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

/// What is known already.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "documents what Conditions reads")]
pub struct KnownParams {
    /// An `ETag`: if it is still the present one, the answer is `304` without a body.
    #[param(rename = "If-None-Match")]
    if_none_match: Option<String>,
}

/// On what condition something is changed.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "documents what Write reads")]
pub struct ConditionParams {
    /// An `ETag`: if it is no longer the present one, nothing is changed (`412`).
    #[param(rename = "If-Match")]
    if_match: Option<String>,
}

/// What makes a request safe to send again.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "documents what Once reads")]
pub struct OnceParams {
    /// Up to 255 visible ASCII characters, such as a UUID: the same key with the same body within 24 hours gets the
    /// first answer again, with `Idempotency-Replayed: true`; with another body `409`.
    #[param(rename = "Idempotency-Key")]
    idempotency_key: Option<String>,
}

/// Only to try.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what Write reads")]
pub struct DryRunParams {
    /// Try it: faults and conflicts are answered as ever, what would be done with `200` and a preview, and nothing is
    /// changed. The ids of what would be created are null in it, and there is no `Location`: none is given out.
    dry_run: Option<bool>,
}

/// Which part of a list, in which order.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what Params reads")]
pub struct PageParams {
    /// Page number, from 0.
    page: Option<i32>,
    /// Rows on a page, 1 to 1000; 10 if only `page` is given.
    page_size: Option<i32>,
    /// Any property of a row; the id by default. Not `groups`.
    sort_by: Option<String>,
    /// `true`, `false` or nothing, which means true.
    descending: Option<bool>,
    /// A substring of the row's values, whatever their case.
    search: Option<String>,
    /// From a `Link: rel="next"`; in place of `page`.
    cursor: Option<String>,
}

/// What of each group.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what Params reads")]
pub struct GroupParams {
    /// Only these properties, parted by commas: without `users` a list of large groups is short.
    fields: Option<String>,
}

/// Which users. Each may be repeated for "any of"; different ones are combined by "and".
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what Params reads")]
pub struct UserFilters {
    /// In any of these groups.
    group_id: Option<Vec<i64>>,
    /// With `groupId`: also in groups nested in these.
    nested: Option<bool>,
    /// ACTIVE, INACTIVE or LOCKED.
    status: Option<Vec<String>>,
    /// Only partner admins, or only others.
    is_admin: Option<bool>,
    /// Exactly, whatever its case.
    username: Option<Vec<String>>,
    /// Exactly, whatever its case.
    email: Option<Vec<String>>,
    /// Exactly, whatever its case.
    external_id: Option<Vec<String>>,
}

/// Which events.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what Params reads")]
pub struct EventParams {
    /// Page number, from 0.
    page: Option<i32>,
    /// Rows on a page, 1 to 1000; 10 by default.
    page_size: Option<i32>,
    /// Only `eventId`.
    sort_by: Option<String>,
    /// Newest first.
    descending: Option<bool>,
    /// From a `Link: rel="next"`; in place of `page`.
    cursor: Option<String>,
    /// Of any of these users.
    user_id: Option<Vec<i64>>,
    /// Of any of these types, such as `user.created`.
    r#type: Option<Vec<String>>,
}

/// Which part of a user's permissions.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what Params reads")]
pub struct EffectiveParams {
    /// Page number, from 0.
    page: Option<i32>,
    /// Rows on a page, 1 to 1000; 10 by default.
    page_size: Option<i32>,
    /// From a `Link: rel="next"`; in place of `page`.
    cursor: Option<String>,
    /// Also tell where each comes from.
    explain: Option<bool>,
}

/// Whose permission on what.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what Params reads")]
pub struct HolderParams {
    /// A type of the catalogue.
    object_type: String,
    /// Which object; not needed where the permission is a wildcard's own name.
    object_id: Option<String>,
    /// A per-object permission of that type, or one of its wildcards.
    permission: String,
    /// Page number, from 0.
    page: Option<i32>,
    /// Rows on a page, 1 to 1000; 10 by default.
    page_size: Option<i32>,
    /// Only `userId`.
    sort_by: Option<String>,
    /// From a `Link: rel="next"`; in place of `page`.
    cursor: Option<String>,
}

/// Which sessions.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what Params reads")]
pub struct SessionParams {
    /// Page number, from 0.
    page: Option<i32>,
    /// Rows on a page, 1 to 1000; 10 by default.
    page_size: Option<i32>,
    /// Only `createdAt`.
    sort_by: Option<String>,
    /// Newest first.
    descending: Option<bool>,
    /// From a `Link: rel="next"`; in place of `page`.
    cursor: Option<String>,
}

/// Which partners.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what Params reads")]
pub struct PartnerParams {
    /// Page number, from 0.
    page: Option<i32>,
    /// Rows on a page, 1 to 1000; 10 by default.
    page_size: Option<i32>,
    /// Only `pid`.
    sort_by: Option<String>,
    /// A substring of the name, whatever its case.
    search: Option<String>,
    /// From a `Link: rel="next"`; in place of `page`.
    cursor: Option<String>,
}

/// All users, or a page of them.
#[derive(ToSchema)]
#[serde(untagged)]
pub enum UserList<'a> {
    /// Without `page`, `pageSize` and `cursor`.
    All(Vec<UserBody<'a>>),
    /// With any of them.
    Page(UserPage<'a>),
}

/// A page of users.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the answer")]
pub struct UserPage<'a> {
    /// How many there are in all.
    #[schema(example = 1)]
    total: i64,
    /// `false` when there are more than `total`; else left out.
    #[schema(required = false)]
    total_is_exact: bool,
    /// The page asked for; null in an answer to a cursor.
    #[schema(required = true, example = 0)]
    page: Option<i64>,
    /// The page size asked for.
    #[schema(example = 10)]
    page_size: i64,
    /// The rows.
    list: Vec<UserBody<'a>>,
}

/// All groups, or a page of them.
#[derive(ToSchema)]
#[serde(untagged)]
pub enum GroupList<'a> {
    /// Without `page`, `pageSize` and `cursor`.
    All(Vec<GroupBody<'a>>),
    /// With any of them.
    Page(GroupPage<'a>),
}

/// A page of groups.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the answer")]
pub struct GroupPage<'a> {
    /// How many there are in all.
    #[schema(example = 1)]
    total: i64,
    /// The page asked for; null in an answer to a cursor.
    #[schema(required = true, example = 0)]
    page: Option<i64>,
    /// The page size asked for.
    #[schema(example = 10)]
    page_size: i64,
    /// The rows.
    list: Vec<GroupBody<'a>>,
}

/// A page of events.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the answer")]
pub struct EventPage<'a> {
    /// How many there are in all.
    #[schema(example = 1)]
    total: i64,
    /// `false` when there are more than `total`; else left out.
    #[schema(required = false)]
    total_is_exact: bool,
    /// The page asked for; null in an answer to a cursor.
    #[schema(required = true, example = 0)]
    page: Option<i64>,
    /// The page size asked for.
    #[schema(example = 10)]
    page_size: i64,
    /// The rows.
    list: Vec<EventBody<'a>>,
}

/// A page of a user's permissions.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the answer")]
pub struct EffectivePage<'a> {
    /// How many there are in all.
    #[schema(example = 1)]
    total: i64,
    /// The page asked for; null in an answer to a cursor.
    #[schema(required = true, example = 0)]
    page: Option<i64>,
    /// The page size asked for.
    #[schema(example = 10)]
    page_size: i64,
    /// The rows.
    list: Vec<EffectiveBody<'a>>,
}

/// A page of users who may do something.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the answer")]
pub struct HolderPage<'a> {
    /// How many there are in all.
    #[schema(example = 1)]
    total: i64,
    /// `false` when there are more than `total`; else left out.
    #[schema(required = false)]
    total_is_exact: bool,
    /// The page asked for; null in an answer to a cursor.
    #[schema(required = true, example = 0)]
    page: Option<i64>,
    /// The page size asked for.
    #[schema(example = 10)]
    page_size: i64,
    /// The rows.
    list: Vec<HolderBody<'a>>,
}

/// A page of deleted users.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the answer")]
pub struct DeletedUserPage<'a> {
    /// How many there are in all.
    #[schema(example = 1)]
    total: i64,
    /// `false` when there are more than `total`; else left out.
    #[schema(required = false)]
    total_is_exact: bool,
    /// The page asked for; null in an answer to a cursor.
    #[schema(required = true, example = 0)]
    page: Option<i64>,
    /// The page size asked for.
    #[schema(example = 10)]
    page_size: i64,
    /// The rows.
    list: Vec<DeletedUserBody<'a>>,
}

/// A page of sessions.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the answer")]
pub struct SessionPage<'a> {
    /// How many there are in all.
    #[schema(example = 1)]
    total: i64,
    /// The page asked for; null in an answer to a cursor.
    #[schema(required = true, example = 0)]
    page: Option<i64>,
    /// The page size asked for.
    #[schema(example = 10)]
    page_size: i64,
    /// The rows.
    list: Vec<SessionBody<'a>>,
}

/// A page of partners.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the answer")]
pub struct PartnerPage<'a> {
    /// How many there are in all.
    #[schema(example = 1)]
    total: i64,
    /// The page asked for; null in an answer to a cursor.
    #[schema(required = true, example = 0)]
    page: Option<i64>,
    /// The page size asked for.
    #[schema(example = 10)]
    page_size: i64,
    /// The rows.
    list: Vec<PartnerBody<'a>>,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tenantry",
        description = "User management for products with many tenants. Paths may end in a slash; /v1 is the same as \
                       /api/v1; errors are problem documents (RFC 9457).",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    tags(
        (name = "users", description = "Users of the caller's partner, for partner admins"),
        (name = "self", description = "What logged-in users do for themselves"),
        (name = "groups", description = "Groups of the caller's partner, for partner admins"),
        (name = "permissions", description = "What groups and users may do, for partner admins"),
        (name = "evaluations", description = "Whether a user may do something (OpenID AuthZEN, Authorization API 1.0)"),
        (name = "events", description = "What changed, for partner admins"),
        (name = "oauth", description = "Logging in (RFC 6749, 7009, 7662)"),
        (name = "operator", description = "Partners, for whoever runs the server, with an operator token"),
    ),
)]
struct Base;

/// The document without its operations.
pub(super) fn base() -> Document {
    let mut document = Base::openapi();
    let scopes = || Scopes::from_iter([("read", "Read"), ("write", "Change")]);
    let components = document.components.get_or_insert_default();
    components.add_security_scheme(
        "login",
        SecurityScheme::OAuth2(OAuth2::new([
            Flow::Password(Password::new("/oauth/token", scopes())),
            Flow::ClientCredentials(ClientCredentials::new("/oauth/token", scopes())),
        ])),
    );
    components.add_security_scheme(
        "operator",
        SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build()),
    );
    components.add_security_scheme(
        "client",
        SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Basic).build()),
    );
    document
}

/// The whole document.
pub fn document() -> Value {
    complete(&super::api().into_openapi())
}

fn complete(document: &Document) -> Value {
    common::complete(serde_json::to_value(document).unwrap_or_default())
}

/// `/api/v1/openapi.json` and `/docs/`, whose files are in the binary.
pub(super) fn router(document: &Document) -> Router<AppState> {
    let text = complete(document).to_string();
    let ui = utoipa_swagger_ui::SwaggerUi::new("/docs")
        // Unless told otherwise, it sends the document's address to validator.swagger.io.
        .config(utoipa_swagger_ui::Config::from("/api/v1/openapi.json").validator_url("none"));
    let ui = Router::from(ui).layer(map_response(async |mut page: Response| {
        page.headers_mut().insert(header::CONTENT_SECURITY_POLICY, UI_POLICY);
        page
    }));
    Router::new().route("/api/v1/openapi.json", get(async move || show(&text))).merge(ui)
}

/// What the pages of Swagger UI need: their own files, the API, styles that scripts set, and pictures that stand in styles.
const UI_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

fn show(text: &str) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], text.to_owned()).into_response()
}
