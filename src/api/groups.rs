//! Groups, one at a time and deleted in bulk (contract, part C).

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::body::{Fields, JsonBody, Patch, id_list};
use super::extract::{Admin, GroupPath, NoParams, QueryParams};
use super::openapi::{AdminErrors, ConflictError, InvalidError, MissingError};
use super::paging::Params;
use super::problem::Problem;
use crate::access::Scope;
use crate::app::App;
use crate::catalogue::Catalogue;
use crate::domain::groups::GroupText;
use crate::domain::{groups, unit};
use crate::error::Result;
use crate::model::{Group, GroupId, PartnerId, UserId};
use crate::values;

/// A group. With `?fields=` only the properties named there.
#[derive(Debug, ToSchema)]
#[schema(as = Group, rename_all = "camelCase")]
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
    /// The group it is nested in: its members have that one's permissions too.
    #[schema(required = true, value_type = Option<i64>)]
    parent_group_id: Option<GroupId>,
    /// How many users are in it, those of groups nested in it not counted.
    #[schema(example = 2)]
    membership_count: i64,
    /// Names of the wildcard permissions it has.
    #[schema(value_type = Vec<String>, example = json!(["VIEW_ALL_SEGMENTS"]))]
    wildcards: Vec<&'a str>,
    /// Ids of its users, ascending; not those of groups nested in it.
    #[schema(value_type = Vec<i64>, example = json!([2, 3]))]
    users: &'a [UserId],
    #[schema(ignore)]
    properties: Properties,
}

/// The properties of a group that an answer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Properties(u8);

impl Properties {
    /// By name, in the order of answers. The last one is the one that can be long: a stream writes it piece by piece.
    const NAMES: [&'static str; 8] =
        ["groupId", "pid", "name", "description", "parentGroupId", "membershipCount", "wildcards", "users"];
    pub(super) const ALL: Self = Self(u8::MAX);

    pub(super) fn has(self, name: &str) -> bool {
        Self::NAMES.iter().position(|n| *n == name).is_some_and(|at| self.0 & (1 << at) != 0)
    }

    /// The names, parted by commas.
    pub(super) fn names(self) -> String {
        Self::NAMES.into_iter().filter(|name| self.has(name)).collect::<Vec<_>>().join(",")
    }

    /// Reads `fields`: names parted by commas, also repeated; without it all of them.
    pub(super) fn read(params: &mut Params) -> Self {
        let given = params.all("fields");
        if given.is_empty() {
            return Self::ALL;
        }
        let mut chosen = 0;
        for name in given.iter().flat_map(|value| value.split(',')).map(str::trim) {
            match Self::NAMES.iter().position(|n| *n == name) {
                Some(at) => chosen |= 1 << at,
                None => {
                    let detail = format!("name some of {}, parted by commas", Self::NAMES.join(", "));
                    params.fault("fields", "unknown-property", detail);
                    break;
                }
            }
        }
        Self(chosen)
    }
}

impl Serialize for GroupBody<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for name in Properties::NAMES.into_iter().filter(|name| self.properties.has(name)) {
            match name {
                "groupId" => map.serialize_entry(name, &self.group_id)?,
                "pid" => map.serialize_entry(name, &self.pid)?,
                "name" => map.serialize_entry(name, self.name)?,
                "description" => map.serialize_entry(name, self.description)?,
                "parentGroupId" => map.serialize_entry(name, &self.parent_group_id)?,
                "membershipCount" => map.serialize_entry(name, &self.membership_count)?,
                "wildcards" => map.serialize_entry(name, &self.wildcards)?,
                _ => map.serialize_entry(name, self.users)?,
            }
        }
        map.end()
    }
}

impl<'a> GroupBody<'a> {
    /// A group as every answer shows it.
    pub(super) fn of(group: &'a Group, app: &'a App) -> Self {
        Self::with(group, &app.config.permission_catalogue, Properties::ALL)
    }

    pub(super) fn with(group: &'a Group, catalogue: &'a Catalogue, properties: Properties) -> Self {
        Self {
            group_id: group.group_id.0,
            pid: group.pid.0,
            name: &group.name,
            description: &group.description,
            parent_group_id: group.parent,
            membership_count: group.membership_count,
            wildcards: catalogue.known_wildcards(&group.wildcards),
            users: &group.users,
            properties,
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
    /// The group it is nested in, or null; none by default, and left out of an update it stays.
    #[schema(required = false)]
    parent_group_id: Option<i64>,
}

fn read(body: &[u8], pid: PartnerId, current: Option<&Group>, catalogue: &Catalogue) -> Result<GroupText> {
    let mut fields = Fields::parse(body)?;
    let expected = |value: fn(&Group) -> Value| Some(current.map_or(Value::Null, value));
    // `pid` may be the caller's, as with users (B6).
    fields.response_only("pid", Some(json!(pid)));
    fields.response_only("groupId", expected(|g| json!(g.group_id)));
    fields.response_only("membershipCount", expected(|g| json!(g.membership_count)));
    fields.response_only("wildcards", current.map(|g| json!(catalogue.known_wildcards(&g.wildcards))));
    fields.response_only("users", expected(|g| json!(g.users)));
    let name = fields.required("name", |text| values::group_name(text).map(str::to_owned));
    let description = fields.optional("description", |text| values::description(text).map(str::to_owned));
    let parent = match fields.nullable_id("parentGroupId") {
        Patch::Absent => None,
        Patch::Null => Some(None),
        Patch::Value(id) => Some(Some(GroupId(id))),
    };
    fields.finish_with(|| Some(GroupText { name: name?, description, parent }))
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
    let (new, rights) = (read(&body, by.pid(), None, &app.config.permission_catalogue)?, by.clone());
    let group = unit::write(&app.store, &by, move |tx| groups::create(tx, &rights, &new)).await?;
    let mut answer = super::json(StatusCode::CREATED, &GroupBody::of(&group, &app));
    if let Ok(location) = HeaderValue::try_from(format!("/api/v1/groups/{}", group.group_id)) {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    Ok(answer)
}

/// Get a group.
#[utoipa::path(
    get, path = "/api/v1/groups/{groupId}", tag = "groups",
    params(
        ("groupId" = i64, Path, description = "Its number"),
        ("fields" = Option<String>, Query, description = "Only these properties, parted by commas"),
    ),
    responses((status = 200, description = "The group", body = GroupBody), AdminErrors, MissingError),
)]
pub async fn get_group(
    State(app): State<App>,
    Admin(by): Admin,
    GroupPath(id): GroupPath,
    QueryParams(mut params): QueryParams,
) -> Result<Response, Problem> {
    let properties = Properties::read(&mut params);
    params.finish()?;
    let rights = by.clone();
    let group = app
        .store
        .scan(&by, move |tx| match properties.has("users") {
            true => groups::get(tx, &rights, id),
            false => groups::get_head(tx, &rights, id),
        })
        .await?;
    Ok(super::json(StatusCode::OK, &GroupBody::with(&group, &app.config.permission_catalogue, properties)))
}

/// Rename, redescribe or move a group.
///
/// `description` and `parentGroupId` stay as they are when left out.
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
    let catalogue = &app.config.permission_catalogue;
    let (text, rights) = (read(&body, by.pid(), Some(&current), catalogue)?, by.clone());
    let group = unit::write(&app.store, &by, move |tx| groups::update(tx, &rights, id, &text)).await?;
    Ok(super::json(StatusCode::OK, &GroupBody::of(&group, &app)))
}

/// Delete a group; its members leave it. Not while others are nested in it.
#[utoipa::path(
    delete, path = "/api/v1/groups/{groupId}", tag = "groups",
    params(("groupId" = i64, Path, description = "Its number")),
    responses((status = 204, description = "Gone"), AdminErrors, MissingError, ConflictError),
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
    responses((status = 204, description = "All gone"), InvalidError, AdminErrors, MissingError, ConflictError),
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
    responses((status = 204, description = "All gone"), InvalidError, AdminErrors, MissingError, ConflictError),
)]
pub async fn bulk_delete_groups_by_delete(
    app: State<App>,
    by: Admin,
    params: NoParams,
    body: JsonBody,
) -> Result<StatusCode, Problem> {
    bulk_delete_groups(app, by, params, body).await
}
