//! Groups, one at a time and deleted in bulk (contract, part C).

use axum::extract::State;
use axum::response::Response;
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::parameters::{ConditionParams, DryRunParams, KnownParams, OnceParams};
use crate::responses::{
    AdminErrors, ChangedError, ConflictError, InvalidError, MissingError, TooLargeError, UnchangedAnswer,
};
use crate::user_bulk::KeptRows;
use tenantry_core::catalogue::Catalogue;
use tenantry_core::error::Result;
use tenantry_core::json::{Fields, Patch, Presence, id_list};
use tenantry_core::model::{Group, GroupId, PartnerId, UserId};
use tenantry_core::values;
use tenantry_domain::bulk_changes::{BulkChange, BulkOperation};
use tenantry_domain::conditions::{self, Target};
use tenantry_domain::groups;
use tenantry_domain::groups::{GroupChange, NewGroup};
use tenantry_http::answers::written;
use tenantry_http::conditional::{Conditions, show};
use tenantry_http::extract::{Admin, GroupPath, QueryParams};
use tenantry_http::incoming::BULK;
use tenantry_http::json_body::JsonBody;
use tenantry_http::paging::Params;
use tenantry_http::problem::Problem;
use tenantry_http::state::AppState;
use tenantry_http::writes::{Answer, Once, Write};
use tenantry_store::access::{self, Scope};

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
    pub(super) fn of(group: &'a Group, app: &'a AppState) -> Self {
        Self::with(group, &app.catalogue, Properties::ALL)
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
    /// The group it is nested in, or null.
    #[schema(required = false)]
    parent_group_id: Option<i64>,
}

/// Reads the fields that only answers have: they are taken when they agree with what is there (B6).
fn read_back(fields: &mut Fields, pid: PartnerId, current: Option<&Group>, catalogue: &Catalogue) {
    let expected = |value: fn(&Group) -> Value| Some(current.map_or(Value::Null, value));
    // `pid` may be the caller's, as with users (B6).
    fields.response_only("pid", Some(json!(pid)));
    fields.response_only("groupId", expected(|g| json!(g.group_id)));
    fields.response_only("membershipCount", expected(|g| json!(g.membership_count)));
    fields.response_only("wildcards", current.map(|g| json!(catalogue.known_wildcards(&g.wildcards))));
    fields.response_only("users", expected(|g| json!(g.users)));
}

fn name(text: &str) -> Result<String, values::Bad> {
    values::group_name(text).map(str::to_owned)
}

fn description(text: &str) -> Result<String, values::Bad> {
    values::description(text).map(str::to_owned)
}

fn parent(fields: &mut Fields) -> Option<Option<GroupId>> {
    match fields.nullable_id("parentGroupId") {
        Patch::Absent => None,
        Patch::Null => Some(None),
        Patch::Value(id) => Some(Some(GroupId(id))),
    }
}

fn read_new(body: &[u8], pid: PartnerId, catalogue: &Catalogue) -> Result<NewGroup> {
    let mut fields = Fields::parse(body)?;
    read_back(&mut fields, pid, None, catalogue);
    let name = fields.required("name", name);
    let description = fields.optional("description", description).unwrap_or_default();
    let parent = parent(&mut fields).flatten();
    fields.finish_with(|| Some(NewGroup { name: name?, description, parent }))
}

fn read_change(
    body: &[u8],
    current: &Group,
    presence: Presence,
    catalogue: &Catalogue,
) -> Result<GroupChange> {
    let mut fields = Fields::parse(body)?;
    read_back(&mut fields, current.pid, Some(current), catalogue);
    let name = fields.string(presence, "name", name);
    let description = fields.optional("description", description);
    let parent = parent(&mut fields);
    fields.finish()?;
    Ok(GroupChange { name, description, parent })
}

/// A group as the answer of a write, with its tag.
pub(super) fn shown(group: &Group, app: &AppState) -> Result<Answer> {
    Ok(Answer::ok(&GroupBody::of(group, app))?.tagged(conditions::tag_of_group(group)))
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
    State(app): State<AppState>,
    Admin(by): Admin,
    write: Write,
    Once { body, claim }: Once,
) -> Result<Response, Problem> {
    let new = read_new(&body, by.pid(), &app.catalogue)?;
    let whole = app.clone();
    write
        .once(claim)
        .run(&app, &by, move |tx| {
            let group = groups::create(tx, &new)?;
            let location = format!("/api/v1/groups/{}", group.group_id);
            let answer = Answer::created(location, &GroupBody::of(&group, &whole))?;
            Ok(answer.tagged(conditions::tag_of_group(&group)))
        })
        .await
}

/// Get a group.
#[utoipa::path(
    get, path = "/api/v1/groups/{groupId}", tag = "groups",
    params(
        ("groupId" = i64, Path, description = "Its number"),
        ("fields" = Option<String>, Query, description = "Only these properties, parted by commas"),
        KnownParams,
    ),
    responses(
        (status = 200, description = "The group", body = GroupBody, headers(("ETag" = String, description = "Its version"))),
        UnchangedAnswer, AdminErrors, MissingError,
    ),
)]
pub async fn get_group(
    State(app): State<AppState>,
    Admin(by): Admin,
    GroupPath(id): GroupPath,
    QueryParams(mut params): QueryParams,
    conditions: Conditions,
) -> Result<Response, Problem> {
    let properties = Properties::read(&mut params);
    params.finish()?;
    let group = app
        .store
        .scan(&by, move |tx| match properties.has("users") {
            true => groups::get(tx, id),
            false => groups::get_head(tx, id),
        })
        .await?;
    let body = GroupBody::with(&group, &app.catalogue, properties);
    Ok(show(&conditions, &conditions::tag_of_group(&group), written(&body)?))
}

/// Rename, redescribe or move a group.
///
/// `description` and `parentGroupId` stay as they are when left out.
#[utoipa::path(
    put, path = "/api/v1/groups/{groupId}", tag = "groups",
    params(("groupId" = i64, Path, description = "Its number"), ConditionParams, DryRunParams),
    request_body = WriteGroup,
    responses(
        (status = 200, description = "The group", body = GroupBody, headers(("ETag" = String, description = "Its version"))),
        InvalidError, AdminErrors, MissingError, ConflictError, ChangedError, TooLargeError<BULK>,
    ),
)]
pub async fn update_group(
    State(app): State<AppState>,
    Admin(by): Admin,
    GroupPath(id): GroupPath,
    write: Write,
    JsonBody(body): JsonBody<BULK>,
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
        InvalidError, AdminErrors, MissingError, ConflictError, ChangedError, TooLargeError<BULK>,
    ),
)]
pub async fn patch_group(
    State(app): State<AppState>,
    Admin(by): Admin,
    GroupPath(id): GroupPath,
    write: Write,
    JsonBody(body): JsonBody<BULK>,
) -> Result<Response, Problem> {
    change_group(&app, &by, id, write, &body, Presence::Optional).await
}

async fn change_group(
    app: &AppState,
    by: &access::Admin,
    id: GroupId,
    write: Write,
    body: &[u8],
    presence: Presence,
) -> Result<Response, Problem> {
    let current = app.store.scan(by, move |tx| groups::get(tx, id)).await?;
    let change = read_change(body, &current, presence, &app.catalogue)?;
    let whole = app.clone();
    write.of(Target::Group(id)).run(app, by, move |tx| shown(&groups::update(tx, id, &change)?, &whole)).await
}

/// Delete a group; its members leave it. Not while others are nested in it.
///
/// More than 5,000 members (or permissions) leave in steps that always end, the group goes with the last of them: others
/// may see that under way. No group can be nested in it meanwhile (`409`).
#[utoipa::path(
    delete, path = "/api/v1/groups/{groupId}", tag = "groups",
    params(("groupId" = i64, Path, description = "Its number"), ConditionParams, DryRunParams),
    responses(
        (status = 200, description = "More than 5,000 members: the group has got a child meanwhile and stays", body = KeptRows),
        (status = 204, description = "Gone"),
        AdminErrors, MissingError, ConflictError, ChangedError,
    ),
)]
pub async fn delete_group(
    State(app): State<AppState>,
    Admin(by): Admin,
    GroupPath(id): GroupPath,
    write: Write,
) -> Result<Response, Problem> {
    let operation = BulkOperation::of(BulkChange::DeleteGroup, vec![id.0]);
    write.of(Target::Group(id)).run_bulk(&app, &by, operation).await
}

/// Delete groups in bulk, all or none.
///
/// Groups with more than 5,000 members (or permissions) in all are checked as a whole first and then deleted in steps that
/// always end: others may see that under way. No group can be nested in them meanwhile (`409`).
#[utoipa::path(
    post, path = "/api/v1/groups/bulk-delete", tag = "groups", params(OnceParams, DryRunParams),
    request_body = Vec<i64>,
    responses(
        (status = 200, description = "More than 5,000 members: all deleted but those listed, which have got a child meanwhile", body = KeptRows),
        (status = 204, description = "All gone"),
        InvalidError, AdminErrors, MissingError, ConflictError, TooLargeError<BULK>,
    ),
)]
pub async fn bulk_delete_groups(
    State(app): State<AppState>,
    Admin(by): Admin,
    write: Write,
    Once { body, claim }: Once<BULK>,
) -> Result<Response, Problem> {
    delete_groups(&app, &by, write.once(claim), &body).await
}

/// Delete groups in bulk, by the other method the source prints.
#[utoipa::path(
    delete, path = "/api/v1/groups/bulk-delete", tag = "groups", params(DryRunParams), request_body = Vec<i64>,
    responses(
        (status = 200, description = "More than 5,000 members: all deleted but those listed, which have got a child meanwhile", body = KeptRows),
        (status = 204, description = "All gone"),
        InvalidError, AdminErrors, MissingError, ConflictError, TooLargeError<BULK>,
    ),
)]
pub async fn bulk_delete_groups_by_delete(
    State(app): State<AppState>,
    Admin(by): Admin,
    write: Write,
    JsonBody(body): JsonBody<BULK>,
) -> Result<Response, Problem> {
    delete_groups(&app, &by, write, &body).await
}

async fn delete_groups(
    app: &AppState,
    by: &access::Admin,
    write: Write,
    body: &[u8],
) -> Result<Response, Problem> {
    write.run_bulk(app, by, BulkOperation::of(BulkChange::DeleteGroups, id_list(body)?)).await
}
