//! Users, many at a time: pages, searches, filters and the streamed list (A8, A9).

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde_json::{Map, Value, json};

use tenantry_http::extract::{Admin, QueryParams};

use crate::responses::{AdminErrors, InvalidError};
use crate::user_bodies::UserBody;
use tenantry_core::error::{Error, FieldError, Result};
use tenantry_core::model::{PartnerId, User, UserId};
use tenantry_core::user_fields::UserField;
use tenantry_domain::users;
use tenantry_http::paging::{
    FoundRows, List, ListAddress, PageRequest, Params, Start, page_response, stream, write_rows,
};
use tenantry_http::parameters::{CURSOR, DESCENDING, Of, PAGE, PAGE_SIZE, Parameter, ReadFrom, SEARCH};
use tenantry_http::problem::Problem;
use tenantry_http::state::AppState;
use tenantry_http::user_filters::{
    EMAIL, EXTERNAL_ID, FILTERS, GROUP_ID, IS_ADMIN, NESTED, STATUS, USERNAME, as_stored, parameters_of,
    read_filters,
};
use tenantry_store::access::{self, Scope};
use tenantry_store::listing::lists::{Position, SortKey};
use tenantry_store::listing::user_queries::{UserQuery, sort_key, sort_names};

/// Rows read at once for a streamed list.
const CHUNK: i64 = 1_000;

static SORT_BY: Parameter = Parameter::sort_by(|| sort_names().iter().map(|(name, _)| *name).collect());

/// The schema of filters in a body: each is a value or an array of them.
pub(super) fn filter_schema() -> Value {
    let property = |filter: &&Parameter| {
        let schema = filter.schema();
        let schema = match schema.get("items") {
            Some(one) => json!({ "oneOf": [one, schema] }),
            None => schema,
        };
        (filter.name.to_owned(), schema)
    };
    let properties: Map<String, Value> = FILTERS.iter().map(property).collect();
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

/// The query of the list of users: which, in which order, which part.
struct UserListRequest {
    query: UserQuery,
    address: ListAddress,
    page: Option<PageRequest>,
}

impl ReadFrom for UserListRequest {
    const PARAMETERS: &'static [&'static Parameter] = &[
        &PAGE,
        &PAGE_SIZE,
        &SORT_BY,
        &DESCENDING,
        &CURSOR,
        &GROUP_ID,
        &NESTED,
        &STATUS,
        &IS_ADMIN,
        &USERNAME,
        &EMAIL,
        &EXTERNAL_ID,
        &SEARCH,
    ];
}

type UserList<'a> = List<UserBody<'a>>;

fn read_list(mut params: Params, pid: PartnerId) -> Result<UserListRequest> {
    let mut query = read_filters(&mut params);
    query.sort = params.sort_by(sort_names(), UserField::UserId);
    query.descending = params.flag(&DESCENDING).unwrap_or(false);
    let address = address(&query, pid);
    let page = params.page(&address, false);
    params.finish()?;
    Ok(UserListRequest { query: as_stored(query), address, page })
}

fn address(query: &UserQuery, pid: PartnerId) -> ListAddress {
    let mut parameters = Vec::new();
    parameters.push(("sortBy", query.sort.name().to_owned()));
    if query.descending {
        parameters.push(("descending", String::from("true")));
    }
    parameters.extend(parameters_of(query));
    ListAddress { path: "/api/v1/users".into(), pid, parameters }
}

/// List users, optionally of groups.
///
/// Without `page`, `pageSize` and `cursor` the response is an array of all rows, streamed; with any of them it is a
/// page.
#[utoipa::path(
    get, path = "/api/v1/users", tag = "users", params(Of<UserListRequest>),
    responses(
        (status = 200, description = "All users as an array, or a page of them", body = UserList),
        InvalidError, AdminErrors,
    ),
)]
pub async fn list_users(
    State(app): State<AppState>,
    Admin(by): Admin,
    QueryParams(params): QueryParams,
) -> Result<Response, Problem> {
    let UserListRequest { query, address, page } = read_list(params, by.pid())?;
    let query = Arc::new(query);
    match page {
        Some(request) => user_page(app, by, query, &address, &request).await,
        None => user_stream(app, by, query).await,
    }
}

async fn user_page(
    app: AppState,
    by: access::Admin,
    query: Arc<UserQuery>,
    address: &ListAddress,
    request: &PageRequest,
) -> Result<Response, Problem> {
    let from = match (&request.start, request.offset()) {
        (Start::After(key, id), _) => Position::After(key.clone(), *id),
        (Start::Page(_), offset) => Position::Offset(offset.unwrap_or(0)),
    };
    // One more row shows whether there is a next page.
    let (wanted, size) = (Arc::clone(&query), request.size + 1);
    let (total, rows) =
        app.store.scan(&by, move |tx| users::list_page(tx, &wanted, &from, size)).await.map_err(in_query)?;
    let key_of = |user: &User| (sort_key(query.sort, user), user.user_id.0);
    Ok(page_response(address, request, FoundRows { total, rows: &rows[..] }, key_of, |user| {
        UserBody::of(user, &app)
    }))
}

async fn user_stream(app: AppState, by: access::Admin, query: Arc<UserQuery>) -> Result<Response, Problem> {
    stream(move |after: Option<(SortKey, UserId)>| {
        let (app, by, query) = (app.clone(), by.clone(), Arc::clone(&query));
        async move {
            let shaping = app.clone();
            app.store
                .scan(&by, move |tx| {
                    let is_first = after.is_none();
                    let rows = users::list_chunk(tx, &query, after, CHUNK)?;
                    let Some(last) = rows.last().map(|user| (sort_key(query.sort, user), user.user_id))
                    else {
                        return Ok(None);
                    };
                    let chunk = write_rows(rows.iter().map(|user| UserBody::of(user, &shaping)), is_first)?;
                    Ok(Some((chunk, last)))
                })
                .await
                .map_err(in_query)
        }
    })
    .await
}

/// A group that does not exist is here an error of the parameter, not of a body (B14).
fn in_query(error: Error) -> Error {
    match error {
        Error::Invalid(errors) => Error::Invalid(
            errors
                .into_iter()
                .map(|error| match error.code {
                    "unknown-group" => FieldError { field: "groupId".into(), ..error },
                    _ => error,
                })
                .collect(),
        ),
        other => other,
    }
}
