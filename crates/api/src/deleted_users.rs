//! Deleted users: listed, brought back, erased.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::responses::{AdminErrors, ConflictError, InvalidError, MissingError};
use crate::user_bodies::{Time, UserBody};
use tenantry_core::error::Result;
use tenantry_core::model::{GroupId, PartnerId};
use tenantry_domain::{conditions, deleted_users};
use tenantry_http::extract::{Admin, QueryParams, UserPath};
use tenantry_http::paging::{FoundRows, ListAddress, Page, PageRequest, Params, Start, page_response};
use tenantry_http::parameters::{CURSOR, DESCENDING, Of, PAGE, PAGE_SIZE, Parameter, ReadFrom, SEARCH};
use tenantry_http::problem::Problem;
use tenantry_http::state::AppState;
use tenantry_http::writes::{IdempotentBody, Write, WriteResponse};
use tenantry_store::access::Scope;
use tenantry_store::listing::lists::Position;
use tenantry_store::tables::deleted_users::{DeletedQuery, DeletedSort, DeletedUser};

/// A user as it was deleted.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DeletedUser)]
pub struct DeletedUserBody<'a> {
    #[serde(flatten)]
    user: UserBody<'a>,
    /// When it was deleted. RFC 3339, UTC.
    #[schema(value_type = String, format = DateTime, example = "2026-11-23T09:00:00.000Z")]
    deleted_at: Time,
    /// The time of its erasure, unless it is restored. RFC 3339, UTC.
    #[schema(value_type = String, format = DateTime, example = "2026-12-23T09:00:00.000Z")]
    erased_at: Time,
}

impl<'a> DeletedUserBody<'a> {
    fn of(deleted: &'a DeletedUser, app: &AppState) -> Self {
        Self {
            user: UserBody::of(&deleted.user, app),
            deleted_at: Time(deleted.deleted_at),
            erased_at: Time(deleted.deleted_at + app.policy().deleted_users),
        }
    }
}

/// A restored user.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestoredUser<'a> {
    #[serde(flatten)]
    user: UserBody<'a>,
    /// Its former groups that no longer exist.
    #[schema(value_type = Vec<i64>, example = json!([343]))]
    missing_groups: &'a [GroupId],
}

static SORT_BY: Parameter = Parameter::sort_by(|| DeletedSort::NAMES.map(|(name, _)| name).to_vec());

/// The query of the list of deleted users.
struct DeletedUserList {
    query: DeletedQuery,
    address: ListAddress,
    page: PageRequest,
}

impl ReadFrom for DeletedUserList {
    const PARAMETERS: &'static [&'static Parameter] =
        &[&PAGE, &PAGE_SIZE, &SORT_BY, &DESCENDING, &SEARCH, &CURSOR];
}

type DeletedUserPage<'a> = Page<DeletedUserBody<'a>>;

fn read_list(mut params: Params, pid: PartnerId) -> Result<DeletedUserList> {
    let query = DeletedQuery {
        search: params.user_search(),
        sort: params.sort_by(&DeletedSort::NAMES, DeletedSort::UserId),
        descending: params.flag(&DESCENDING).unwrap_or(false),
    };
    let sort =
        DeletedSort::NAMES.iter().find(|(_, sort)| *sort == query.sort).map_or("userId", |(name, _)| *name);
    let mut parameters = vec![("sortBy", sort.to_owned())];
    if query.descending {
        parameters.push(("descending", String::from("true")));
    }
    parameters.extend(query.search.as_ref().map(|term| ("search", term.to_string())));
    let address = ListAddress { path: "/api/v1/users/deleted".into(), pid, parameters };
    let page = params.page(&address, true);
    params.finish()?;
    Ok(DeletedUserList { query, address, page: page.unwrap_or_default() })
}

/// List deleted users that can be restored.
///
/// Always a page. After `erasedAt` a user cannot be restored.
#[utoipa::path(
    get, path = "/api/v1/users/deleted", tag = "users", params(Of<DeletedUserList>),
    responses(
        (status = 200, description = "A page of deleted users", body = DeletedUserPage),
        InvalidError, AdminErrors,
    ),
)]
pub async fn list_deleted_users(
    State(app): State<AppState>,
    Admin(by): Admin,
    QueryParams(params): QueryParams,
) -> Result<Response, Problem> {
    let DeletedUserList { query, address, page: request } = read_list(params, by.pid())?;
    let from = match (&request.start, request.offset()) {
        (Start::After(key, id), _) => Position::After(key.clone(), *id),
        (Start::Page(_), offset) => Position::Offset(offset.unwrap_or(0)),
    };
    let (wanted, size) = (query.clone(), request.size + 1);
    let (total, rows) =
        app.store.scan(&by, move |tx| deleted_users::list_page(tx, &wanted, &from, size)).await?;
    let key_of = |deleted: &DeletedUser| (query.sort.key_of(deleted), deleted.user.user_id.0);
    Ok(page_response(&address, &request, FoundRows { total, rows: &rows[..] }, key_of, |deleted| {
        DeletedUserBody::of(deleted, &app)
    }))
}

/// Restore a deleted user.
///
/// Its status, rights, password and the memberships whose groups still exist are restored; `missingGroups` lists the
/// others. Its sessions remain ended. `409` if its username (or `externalId`) was taken meanwhile.
#[utoipa::path(
    post, path = "/api/v1/users/{userId}/restore", tag = "users",
    params(Of<UserPath>, Of<IdempotentBody>, Of<Write>),
    responses(
        (status = 200, description = "The user", body = RestoredUser, headers(("ETag" = String, description = "Its version"))),
        InvalidError, AdminErrors, MissingError, ConflictError,
    ),
)]
pub async fn restore_user(
    State(app): State<AppState>,
    Admin(by): Admin,
    UserPath(id): UserPath,
    write: Write,
    IdempotentBody { key, .. }: IdempotentBody,
) -> Result<Response, Problem> {
    let state = app.clone();
    write
        .idempotency_key(key)
        .run(&app, &by, move |tx| {
            let restored = deleted_users::restore(tx, id)?;
            let user = UserBody::of(&restored.user, &state);
            let response =
                WriteResponse::ok(&RestoredUser { user, missing_groups: &restored.missing_groups })?;
            Ok(response.tagged(conditions::tag_of_user(&restored.user)))
        })
        .await
}

/// Erase a deleted user now.
///
/// It cannot be restored afterwards, and events no longer show its personal values.
#[utoipa::path(
    delete, path = "/api/v1/users/deleted/{userId}", tag = "users",
    params(Of<UserPath>, Of<Write>),
    responses((status = 204, description = "Erased"), AdminErrors, MissingError),
)]
pub async fn erase_user(
    State(app): State<AppState>,
    Admin(by): Admin,
    UserPath(id): UserPath,
    write: Write,
) -> Result<Response, Problem> {
    write.run(&app, &by, move |tx| deleted_users::erase(tx, id).map(|()| WriteResponse::gone())).await
}
