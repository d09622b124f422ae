//! Groups (contract, part C), as far as users need them.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::body::{Fields, JsonBody, id_list};
use super::extract::{Admin, GroupPath, NoParams, QueryParams};
use super::openapi::{AdminErrors, ConflictError, InvalidError, MissingError};
use super::paging::{Found, ListAddress, PageRequest, Params, Start, page_answer, stream, write_rows};
use super::problem::Problem;
use crate::access::{self, Scope};
use crate::app::App;
use crate::domain::groups::GroupText;
use crate::domain::{groups, unit};
use crate::error::Result;
use crate::model::{Group, GroupId, PartnerId, UserId};
use crate::storage::groups::{GroupQuery, GroupSort};
use crate::storage::lists::{Position, SortKey};
use crate::values;

/// Groups read at once for a streamed list: each may have thousands of users.
const CHUNK: i64 = 50;

/// A group.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Group)]
pub struct GroupBody<'a> {
    /// Its number.
    #[schema(example = 343)]
    group_id: i64,
    /// The partner it belongs to.
    #[schema(example = 1)]
    pid: i64,
    /// Unique within the partner, compared folded.
    #[schema(example = "Editors")]
    name: &'a str,
    /// For people.
    #[schema(example = "May edit")]
    description: &'a str,
    /// How many users are in it.
    #[schema(example = 2)]
    membership_count: i64,
    /// Names of the wildcard permissions it has.
    wildcards: &'a [String],
    /// Ids of its users, ascending.
    #[schema(value_type = Vec<i64>, example = json!([2, 3]))]
    users: &'a [UserId],
}

impl<'a> GroupBody<'a> {
    fn of(group: &'a Group) -> Self {
        Self {
            group_id: group.group_id.0,
            pid: group.pid.0,
            name: &group.name,
            description: &group.description,
            membership_count: group.membership_count,
            wildcards: &group.wildcards,
            users: &group.users,
        }
    }
}

/// The body of a create or an update.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what Fields reads")]
pub struct WriteGroup {
    /// 1 to 255 characters.
    #[schema(example = "Editors")]
    name: String,
    /// Up to 2,000 characters; none by default, and left out of an update it stays.
    #[schema(required = false, example = "May edit")]
    description: String,
}

fn read(body: &[u8], pid: PartnerId, current: Option<&Group>) -> Result<GroupText> {
    let mut fields = Fields::parse(body)?;
    let expected = |value: fn(&Group) -> Value| Some(current.map_or(Value::Null, value));
    // `pid` may be the caller's, as with users (B6).
    fields.response_only("pid", Some(json!(pid)));
    fields.response_only("groupId", expected(|g| json!(g.group_id)));
    fields.response_only("membershipCount", expected(|g| json!(g.membership_count)));
    fields.response_only("wildcards", expected(|g| json!(g.wildcards)));
    fields.response_only("users", expected(|g| json!(g.users)));
    let name = fields.required("name", |text| values::group_name(text).map(str::to_owned));
    let description = fields.optional("description", |text| values::description(text).map(str::to_owned));
    fields.finish_with(|| Some(GroupText { name: name?, description }))
}

/// Create a group.
#[utoipa::path(
    post, path = "/api/v1/groups", tag = "groups", request_body = WriteGroup,
    responses(
        (status = 201, description = "Created", body = GroupBody, headers(("Location" = String, description = "Its path"))),
        InvalidError, AdminErrors, ConflictError,
    ),
)]
pub async fn create_group(
    State(app): State<App>,
    Admin(by): Admin,
    _: NoParams,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let (new, rights) = (read(&body, by.pid(), None)?, by.clone());
    let group = unit::write(&app.store, &by, move |tx| groups::create(tx, &rights, &new)).await?;
    let mut answer = super::json(StatusCode::CREATED, &GroupBody::of(&group));
    if let Ok(location) = HeaderValue::try_from(format!("/api/v1/groups/{}", group.group_id)) {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    Ok(answer)
}

/// Get a group.
#[utoipa::path(
    get, path = "/api/v1/groups/{groupId}", tag = "groups", params(("groupId" = i64, Path, description = "Its number")),
    responses((status = 200, description = "The group", body = GroupBody), AdminErrors, MissingError),
)]
pub async fn get_group(
    State(app): State<App>,
    Admin(by): Admin,
    GroupPath(id): GroupPath,
    _: NoParams,
) -> Result<Response, Problem> {
    let rights = by.clone();
    let group = app.store.scan(&by, move |tx| groups::get(tx, &rights, id)).await?;
    Ok(super::json(StatusCode::OK, &GroupBody::of(&group)))
}

/// Rename or redescribe a group.
#[utoipa::path(
    put, path = "/api/v1/groups/{groupId}", tag = "groups", params(("groupId" = i64, Path, description = "Its number")),
    request_body = WriteGroup,
    responses(
        (status = 200, description = "The group", body = GroupBody),
        InvalidError, AdminErrors, MissingError, ConflictError,
    ),
)]
pub async fn update_group(
    State(app): State<App>,
    Admin(by): Admin,
    GroupPath(id): GroupPath,
    _: NoParams,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let rights = by.clone();
    let current = app.store.scan(&by, move |tx| groups::get(tx, &rights, id)).await?;
    let (text, rights) = (read(&body, by.pid(), Some(&current))?, by.clone());
    let group = unit::write(&app.store, &by, move |tx| groups::update(tx, &rights, id, &text)).await?;
    Ok(super::json(StatusCode::OK, &GroupBody::of(&group)))
}

/// Delete a group; its members leave it.
#[utoipa::path(
    delete, path = "/api/v1/groups/{groupId}", tag = "groups",
    params(("groupId" = i64, Path, description = "Its number")),
    responses((status = 204, description = "Gone"), AdminErrors, MissingError),
)]
pub async fn delete_group(
    State(app): State<App>,
    Admin(by): Admin,
    GroupPath(id): GroupPath,
    _: NoParams,
) -> Result<StatusCode, Problem> {
    let rights = by.clone();
    unit::write(&app.store, &by, move |tx| groups::delete(tx, &rights, id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Delete groups in bulk, all or none.
#[utoipa::path(
    post, path = "/api/v1/groups/bulk-delete", tag = "groups", request_body = Vec<i64>,
    responses((status = 204, description = "All gone"), InvalidError, AdminErrors, MissingError),
)]
pub async fn bulk_delete_groups(
    State(app): State<App>,
    Admin(by): Admin,
    _: NoParams,
    JsonBody(body): JsonBody,
) -> Result<StatusCode, Problem> {
    let (ids, rights) = (id_list(&body)?, by.clone());
    unit::write_large(&app.store, &by, move |tx| groups::delete_many(tx, &rights, &ids)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Delete groups in bulk, by the other method the source prints.
#[utoipa::path(
    delete, path = "/api/v1/groups/bulk-delete", tag = "groups", request_body = Vec<i64>,
    responses((status = 204, description = "All gone"), InvalidError, AdminErrors, MissingError),
)]
pub async fn bulk_delete_groups_by_delete(
    app: State<App>,
    by: Admin,
    params: NoParams,
    body: JsonBody,
) -> Result<StatusCode, Problem> {
    bulk_delete_groups(app, by, params, body).await
}

fn read_list(mut params: Params, pid: PartnerId) -> Result<(GroupQuery, ListAddress, Option<PageRequest>)> {
    let query = GroupQuery {
        search: params.search(),
        sort: params.sort_by(&GroupSort::NAMES, GroupSort::GroupId),
        descending: params.flag("descending").unwrap_or(false),
    };
    let sort =
        GroupSort::NAMES.iter().find(|(_, sort)| *sort == query.sort).map_or("groupId", |(name, _)| *name);
    let mut parameters = vec![("sortBy", sort.to_owned())];
    if query.descending {
        parameters.push(("descending", String::from("true")));
    }
    parameters.extend(query.search.clone().map(|term| ("search", term)));
    let address = ListAddress { path: "/api/v1/groups".into(), pid, parameters };
    let page = params.page(&address, false);
    params.finish()?;
    Ok((query, address, page))
}

/// List groups.
///
/// Without `page`, `pageSize` and `cursor` the answer is an array of all of them, streamed; with any of them it is a
/// page.
#[utoipa::path(
    get, path = "/api/v1/groups", tag = "groups", params(super::openapi::PageParams),
    responses(
        (status = 200, description = "All groups as an array, or a page of them", body = super::openapi::GroupList),
        InvalidError, AdminErrors,
    ),
)]
pub async fn list_groups(
    State(app): State<App>,
    Admin(by): Admin,
    QueryParams(params): QueryParams,
) -> Result<Response, Problem> {
    let (query, address, page) = read_list(params, by.pid())?;
    let Some(request) = page else { return group_stream(app, by, Arc::new(query)).await };
    let from = match (&request.start, request.offset()) {
        (Start::After(key, id), _) => Position::After(key.clone(), *id),
        (Start::Page(_), offset) => Position::Offset(offset.unwrap_or(0)),
    };
    let (wanted, size, rights) = (query.clone(), request.size + 1, by.clone());
    let (total, rows) =
        app.store.scan(&by, move |tx| groups::list_page(tx, &rights, &wanted, &from, size)).await?;
    let key_of = |group: &Group| (query.sort.key_of(group), group.group_id.0);
    Ok(page_answer(&address, &request, Found { total, rows: &rows[..] }, key_of, GroupBody::of))
}

async fn group_stream(app: App, by: access::Admin, query: Arc<GroupQuery>) -> Result<Response, Problem> {
    stream(move |after: Option<(SortKey, GroupId)>| {
        let (app, by, query) = (app.clone(), by.clone(), Arc::clone(&query));
        async move {
            let rights = by.clone();
            app.store
                .scan(&by, move |tx| {
                    let is_first = after.is_none();
                    let from = after.map_or(Position::Offset(0), |(key, id)| Position::After(key, id.0));
                    let rows = groups::list_chunk(tx, &rights, &query, &from, CHUNK)?;
                    let Some(last) = rows.last().map(|g| (query.sort.key_of(g), g.group_id)) else {
                        return Ok(None);
                    };
                    Ok(Some((write_rows(rows.iter().map(GroupBody::of), is_first)?, last)))
                })
                .await
        }
    })
    .await
}
