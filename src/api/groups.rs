//! Groups (contract, part C), as far as users need them.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::body::{Fields, JsonBody, Presence, id_list};
use super::conditional::{Conditions, show};
use super::extract::{Admin, GroupPath, NoParams, QueryParams};
use super::openapi::{
    AdminErrors, ChangedError, ConditionParams, ConflictError, DryRunParams, InvalidError, KnownParams,
    MissingError, OnceParams, RepeatedError, UnchangedAnswer,
};
use super::paging::{Found, ListAddress, PageRequest, Params, Start, page_answer, stream, write_rows};
use super::problem::Problem;
use super::writes::{Answer, Once, Write};
use crate::access::{self, Scope};
use crate::app::App;
use crate::domain::conditions::{self, Target};
use crate::domain::groups::{GroupChange, NewGroup};
use crate::domain::{effects, groups};
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

/// The body of a merge patch (RFC 7396).
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what Fields reads")]
pub struct PatchGroup {
    /// 1 to 255 characters.
    #[schema(required = false)]
    name: String,
    /// Up to 2,000 characters.
    #[schema(required = false, example = "May edit and delete")]
    description: String,
}

/// Reads the fields that only answers have: they are taken when they agree with what is there (B6).
fn read_back(fields: &mut Fields, pid: PartnerId, current: Option<&Group>) {
    let expected = |value: fn(&Group) -> Value| Some(current.map_or(Value::Null, value));
    // `pid` may be the caller's, as with users (B6).
    fields.response_only("pid", Some(json!(pid)));
    fields.response_only("groupId", expected(|g| json!(g.group_id)));
    fields.response_only("membershipCount", expected(|g| json!(g.membership_count)));
    fields.response_only("wildcards", expected(|g| json!(g.wildcards)));
    fields.response_only("users", expected(|g| json!(g.users)));
}

fn name(text: &str) -> Result<String, values::Bad> {
    values::group_name(text).map(str::to_owned)
}

fn description(text: &str) -> Result<String, values::Bad> {
    values::description(text).map(str::to_owned)
}

fn read_new(body: &[u8], pid: PartnerId) -> Result<NewGroup> {
    let mut fields = Fields::parse(body)?;
    read_back(&mut fields, pid, None);
    let name = fields.required("name", name);
    let description = fields.optional("description", description).unwrap_or_default();
    fields.finish_with(|| Some(NewGroup { name: name?, description }))
}

fn read_change(body: &[u8], current: &Group, presence: Presence) -> Result<GroupChange> {
    let mut fields = Fields::parse(body)?;
    read_back(&mut fields, current.pid, Some(current));
    let name = fields.string(presence, "name", name);
    let description = fields.optional("description", description);
    fields.finish()?;
    Ok(GroupChange { name, description })
}

/// A group as the answer of a write, with its tag.
fn shown(group: &Group) -> Result<Answer> {
    Ok(Answer::ok(&GroupBody::of(group))?.tagged(conditions::tag_of_group(group)))
}

/// Create a group.
#[utoipa::path(
    post, path = "/api/v1/groups", tag = "groups", params(OnceParams, DryRunParams), request_body = WriteGroup,
    responses(
        (status = 201, description = "Created", body = GroupBody, headers(("Location" = String, description = "Its path"), ("ETag" = String, description = "Its version"))),
        InvalidError, AdminErrors, ConflictError,
    ),
)]
pub async fn create_group(
    State(app): State<App>,
    Admin(by): Admin,
    write: Write,
    Once { body, claim }: Once,
) -> Result<Response, Problem> {
    let (new, rights) = (read_new(&body, by.pid())?, by.clone());
    write
        .once(claim)
        .run(&app, &by, move |tx| {
            let group = groups::create(tx, &rights, &new)?;
            let answer =
                Answer::created(format!("/api/v1/groups/{}", group.group_id), &GroupBody::of(&group))?;
            Ok(answer.tagged(conditions::tag_of_group(&group)))
        })
        .await
}

/// Get a group.
#[utoipa::path(
    get, path = "/api/v1/groups/{groupId}", tag = "groups",
    params(("groupId" = i64, Path, description = "Its number"), KnownParams),
    responses(
        (status = 200, description = "The group", body = GroupBody, headers(("ETag" = String, description = "Its version"))),
        UnchangedAnswer, AdminErrors, MissingError,
    ),
)]
pub async fn get_group(
    State(app): State<App>,
    Admin(by): Admin,
    GroupPath(id): GroupPath,
    _: NoParams,
    conditions: Conditions,
) -> Result<Response, Problem> {
    let rights = by.clone();
    let group = app.store.scan(&by, move |tx| groups::get(tx, &rights, id)).await?;
    Ok(show(&conditions, &conditions::tag_of_group(&group), &GroupBody::of(&group)))
}

/// Rename or redescribe a group.
#[utoipa::path(
    put, path = "/api/v1/groups/{groupId}", tag = "groups",
    params(("groupId" = i64, Path, description = "Its number"), ConditionParams, DryRunParams),
    request_body = WriteGroup,
    responses(
        (status = 200, description = "The group", body = GroupBody, headers(("ETag" = String, description = "Its version"))),
        InvalidError, AdminErrors, MissingError, ConflictError, ChangedError,
    ),
)]
pub async fn update_group(
    State(app): State<App>,
    Admin(by): Admin,
    GroupPath(id): GroupPath,
    write: Write,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    change_group(&app, &by, id, write, &body, Presence::Required).await
}

/// Change some properties of a group (RFC 7396): only what is named changes.
#[utoipa::path(
    patch, path = "/api/v1/groups/{groupId}", tag = "groups",
    params(("groupId" = i64, Path, description = "Its number"), ConditionParams, DryRunParams),
    request_body(content = PatchGroup, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "The group", body = GroupBody, headers(("ETag" = String, description = "Its version"))),
        InvalidError, AdminErrors, MissingError, ConflictError, ChangedError,
    ),
)]
pub async fn patch_group(
    State(app): State<App>,
    Admin(by): Admin,
    GroupPath(id): GroupPath,
    write: Write,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    change_group(&app, &by, id, write, &body, Presence::Optional).await
}

async fn change_group(
    app: &App,
    by: &access::Admin,
    id: GroupId,
    write: Write,
    body: &[u8],
    presence: Presence,
) -> Result<Response, Problem> {
    let rights = by.clone();
    let current = app.store.scan(by, move |tx| groups::get(tx, &rights, id)).await?;
    let (change, rights) = (read_change(body, &current, presence)?, by.clone());
    write
        .of(Target::Group(id))
        .run(app, by, move |tx| shown(&groups::update(tx, &rights, id, &change)?))
        .await
}

/// Delete a group; its members leave it.
#[utoipa::path(
    delete, path = "/api/v1/groups/{groupId}", tag = "groups",
    params(("groupId" = i64, Path, description = "Its number"), ConditionParams, DryRunParams),
    responses((status = 204, description = "Gone"), AdminErrors, MissingError, ChangedError),
)]
pub async fn delete_group(
    State(app): State<App>,
    Admin(by): Admin,
    GroupPath(id): GroupPath,
    write: Write,
) -> Result<Response, Problem> {
    let (rights, dry_run) = (by.clone(), write.dry_run);
    write
        .of(Target::Group(id))
        .run(&app, &by, move |tx| {
            let effects = effects::of_groups(tx, dry_run, &[id.0])?;
            groups::delete(tx, &rights, id)?;
            Ok(Answer::gone().taking(effects))
        })
        .await
}

/// Delete groups in bulk, all or none.
#[utoipa::path(
    post, path = "/api/v1/groups/bulk-delete", tag = "groups", params(OnceParams, DryRunParams),
    request_body = Vec<i64>,
    responses((status = 204, description = "All gone"), InvalidError, AdminErrors, MissingError, RepeatedError),
)]
pub async fn bulk_delete_groups(
    State(app): State<App>,
    Admin(by): Admin,
    write: Write,
    Once { body, claim }: Once,
) -> Result<Response, Problem> {
    delete_groups(&app, &by, write.once(claim), &body).await
}

/// Delete groups in bulk, by the other method the source prints.
#[utoipa::path(
    delete, path = "/api/v1/groups/bulk-delete", tag = "groups", params(DryRunParams), request_body = Vec<i64>,
    responses((status = 204, description = "All gone"), InvalidError, AdminErrors, MissingError),
)]
pub async fn bulk_delete_groups_by_delete(
    State(app): State<App>,
    Admin(by): Admin,
    write: Write,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    delete_groups(&app, &by, write, &body).await
}

async fn delete_groups(
    app: &App,
    by: &access::Admin,
    write: Write,
    body: &[u8],
) -> Result<Response, Problem> {
    let (ids, rights, dry_run) = (id_list(body)?, by.clone(), write.dry_run);
    write
        .large()
        .run(app, by, move |tx| {
            let effects = effects::of_groups(tx, dry_run, &ids)?;
            groups::delete_many(tx, &rights, &ids)?;
            Ok(Answer::gone().taking(effects))
        })
        .await
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
