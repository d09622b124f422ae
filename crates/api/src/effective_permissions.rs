//! What a user may do, and who may do something (contract, part C).

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::evaluations::EXPLAIN;
use crate::permissions::ObjectIdBody;
use crate::responses::{AdminErrors, InvalidError, MissingError};
use crate::sources::SourceBody;
use tenantry_core::catalogue::Catalogue;
use tenantry_core::error::Result;
use tenantry_core::model::{Effective, Holder, ObjectId, PartnerId, UserId};
use tenantry_core::values::{ANY_TEXT, OBJECT_ID};
use tenantry_domain::evaluations::{self, EffectivePosition, HolderQuery};
use tenantry_http::extract::{Admin, Member, PermissionsRequester, QueryParams, UserPath};
use tenantry_http::paging::{FoundRows, ListAddress, Page, PageRequest, Params, Start, page_response};
use tenantry_http::parameters::{CURSOR, Of, PAGE, PAGE_SIZE, Parameter, ReadFrom};
use tenantry_http::problem::Problem;
use tenantry_http::state::AppState;
use tenantry_store::access::{Requester, Scope};
use tenantry_store::listing::lists::SortKey;
use tenantry_store::tables::evaluations::HolderPosition;

/// A permission that a user has.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EffectivePermission)]
pub struct EffectiveBody<'a> {
    /// A type of the catalogue.
    #[schema(example = "SEGMENT")]
    object_type: &'a str,
    /// The object, as given; null for every object of the type.
    #[schema(required = true, value_type = Option<ObjectIdBody>)]
    object_id: Option<&'a ObjectId>,
    /// A per-object permission, or the name of a wildcard.
    #[schema(example = "READ")]
    permission: &'a str,
    /// Its sources, at most 100; only with `explain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    sources: Option<Vec<SourceBody<'a>>>,
}

static OBJECT_TYPE: Parameter =
    Parameter::text("objectType", &ANY_TEXT, "A type of the catalogue.").required();
static ON_OBJECT: Parameter = Parameter::text(
    "objectId",
    &OBJECT_ID,
    "The object; not needed if the permission is the name of a wildcard.",
);
static PERMISSION: Parameter = Parameter::text(
    "permission",
    &ANY_TEXT,
    "A per-object permission of that type, or one of its wildcards.",
)
.required();
static SORT_BY: Parameter = Parameter::sort_by(|| SORTS.map(|(name, ())| name).to_vec());
const SORTS: [(&str, ()); 1] = [("userId", ())];

/// The query of the list of a user's permissions.
struct EffectiveList {
    explain: bool,
    address: ListAddress,
    page: PageRequest,
}

impl ReadFrom for EffectiveList {
    const PARAMETERS: &'static [&'static Parameter] = &[&PAGE, &PAGE_SIZE, &CURSOR, &EXPLAIN];
}

type EffectivePage<'a> = Page<EffectiveBody<'a>>;

/// Reads what is asked. Always a page: it can be long.
fn read_effective(mut params: Params, pid: PartnerId, path: &str) -> Result<EffectiveList> {
    let explain = params.flag(&EXPLAIN).unwrap_or(false);
    // The path is part of what a cursor belongs to.
    let mut parameters = Vec::new();
    if explain {
        parameters.push(("explain", String::from("true")));
    }
    let address = ListAddress { path: path.to_owned().into(), pid, parameters };
    let page = params.page(&address, true);
    params.finish()?;
    Ok(EffectiveList { explain, address, page: page.unwrap_or_default() })
}

/// Parts the three that a cursor is made of; none of them can hold it.
const SEPARATOR: char = '\u{1}';

fn position(request: &PageRequest) -> EffectivePosition {
    match (&request.start, request.offset()) {
        (Start::After(SortKey::Text(key), has_id), _) => {
            let mut parts = key.split(SEPARATOR).map(str::to_owned);
            let mut next = || parts.next().unwrap_or_default();
            let (object_type, permission, id) = (next(), next(), next());
            EffectivePosition::After(object_type, (*has_id != 0).then_some(id), permission)
        }
        (_, offset) => EffectivePosition::Offset(offset.unwrap_or(0)),
    }
}

fn key_of(row: &Effective) -> (SortKey, i64) {
    let id = row.object_id.as_ref().map_or("", |id| &id.text);
    let key = format!("{}{SEPARATOR}{}{SEPARATOR}{id}", row.object_type, row.permission);
    (SortKey::Text(key), i64::from(row.object_id.is_some()))
}

async fn effective(
    app: AppState,
    by: Requester,
    user_id: UserId,
    params: Params,
    path: String,
) -> Result<Response, Problem> {
    let EffectiveList { explain, address, page: request } = read_effective(params, by.pid(), &path)?;
    let (from, size) = (position(&request), request.size + 1);
    let parts = app.clone();
    let (total, rows) = app
        .store
        .scan(&by, move |tx| evaluations::list_effective(tx, parts.rules(), user_id, &from, size, explain))
        .await?;
    Ok(page_response(&address, &request, FoundRows { total, rows: &rows[..] }, key_of, |row| EffectiveBody {
        object_type: &row.object_type,
        object_id: row.object_id.as_ref(),
        permission: &row.permission,
        sources: explain.then(|| row.sources.iter().map(SourceBody::of).collect()),
    }))
}

/// List a user's permissions. Always a page.
///
/// First permissions on all objects of a type, then those on single ones, by type, id and permission. Members can list
/// their own.
#[utoipa::path(
    get, path = "/api/v1/users/{userId}/permissions", tag = "permissions",
    params(Of<UserPath>, Of<EffectiveList>),
    responses(
        (status = 200, description = "A page of permissions", body = EffectivePage),
        InvalidError, AdminErrors, MissingError,
    ),
)]
pub async fn list_user_permissions(
    State(app): State<AppState>,
    PermissionsRequester(by): PermissionsRequester,
    UserPath(id): UserPath,
    QueryParams(params): QueryParams,
) -> Result<Response, Problem> {
    effective(app, by, id, params, format!("/api/v1/users/{id}/permissions")).await
}

/// List the logged-in user's permissions.
///
/// Always a page: first permissions on all objects of a type, then those on single ones, by type, id and permission.
#[utoipa::path(
    get, path = "/api/v1/users/self/permissions", tag = "self",
    params(Of<EffectiveList>),
    responses(
        (status = 200, description = "A page of permissions", body = EffectivePage),
        InvalidError, crate::responses::MemberErrors,
    ),
)]
pub async fn list_self_permissions(
    State(app): State<AppState>,
    Member(member): Member,
    QueryParams(params): QueryParams,
) -> Result<Response, Problem> {
    let id = member.user_id();
    effective(app, Requester::of_self(&member), id, params, String::from("/api/v1/users/self/permissions"))
        .await
}

/// A user who may do something, and why.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Holder)]
pub struct HolderBody<'a> {
    /// The user's id.
    #[schema(value_type = i64, example = 2)]
    user_id: UserId,
    /// As typed.
    #[schema(example = "ada")]
    username: &'a str,
    /// Its sources, at most 100.
    sources: Vec<SourceBody<'a>>,
}

/// The query of the list of holders.
struct HolderList {
    query: HolderQuery,
    address: ListAddress,
    page: PageRequest,
}

impl ReadFrom for HolderList {
    const PARAMETERS: &'static [&'static Parameter] =
        &[&OBJECT_TYPE, &ON_OBJECT, &PERMISSION, &PAGE, &PAGE_SIZE, &SORT_BY, &CURSOR];
}

type HolderPage<'a> = Page<HolderBody<'a>>;

fn read_holders(mut params: Params, pid: PartnerId, catalogue: &Catalogue) -> Result<HolderList> {
    let object_type = params.required(OBJECT_TYPE.name);
    let permission = params.required(PERMISSION.name);
    let mut object_id = params.one(ON_OBJECT.name);
    if let (Some(name), Some(permission)) = (&object_type, &permission) {
        match catalogue.object_type(name) {
            None => params.error(OBJECT_TYPE.name, "unknown-object-type", "there is no such object type"),
            Some(known) if known.has_wildcard(permission) => object_id = Some(String::new()),
            Some(known) if !known.has_permission(permission) => {
                params.error(PERMISSION.name, "unknown-permission", format!("{name} has no such permission"));
            }
            Some(_) => match object_id.as_deref().map(tenantry_core::values::object_id) {
                None => params.error(ON_OBJECT.name, "required", "is required: which object is it about?"),
                Some(Err(bad)) => params.error(ON_OBJECT.name, bad.code, bad.detail),
                Some(Ok(_)) => {}
            },
        }
    }
    params.sort_by(&SORTS, ());
    let query = HolderQuery {
        object_type: object_type.unwrap_or_default(),
        object_id: object_id.unwrap_or_default(),
        permission: permission.unwrap_or_default(),
    };
    let parameters = vec![
        ("objectType", query.object_type.clone()),
        ("objectId", query.object_id.clone()),
        ("permission", query.permission.clone()),
    ];
    let address = ListAddress { path: "/api/v1/permissions/holders".into(), pid, parameters };
    let page = params.page(&address, true);
    params.finish()?;
    Ok(HolderList { query, address, page: page.unwrap_or_default() })
}

/// List the users with a permission on an object, and why. Always a page, by user.
///
/// Only ACTIVE users: the others have no permissions.
#[utoipa::path(
    get, path = "/api/v1/permissions/holders", tag = "permissions", params(Of<HolderList>),
    responses(
        (status = 200, description = "A page of users", body = HolderPage),
        InvalidError, AdminErrors,
    ),
)]
pub async fn list_holders(
    State(app): State<AppState>,
    Admin(by): Admin,
    QueryParams(params): QueryParams,
) -> Result<Response, Problem> {
    let HolderList { query, address, page: request } = read_holders(params, by.pid(), &app.catalogue)?;
    let from = match (&request.start, request.offset()) {
        (Start::After(_, id), _) => HolderPosition::After(UserId(*id)),
        (Start::Page(_), offset) => HolderPosition::Offset(offset.unwrap_or(0)),
    };
    let (parts, size) = (app.clone(), request.size + 1);
    let query = Arc::new(query);
    let (total, rows) = app
        .store
        .scan(&by, move |tx| evaluations::list_holders(tx, parts.rules(), &query, from, size))
        .await?;
    let key_of = |holder: &Holder| (SortKey::Int(holder.user_id.0), holder.user_id.0);
    Ok(page_response(&address, &request, FoundRows { total, rows: &rows[..] }, key_of, |holder| HolderBody {
        user_id: holder.user_id,
        username: &holder.username,
        sources: holder.sources.iter().map(SourceBody::of).collect(),
    }))
}
