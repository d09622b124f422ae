//! Groups, one at a time and deleted in bulk (contract, part C).

use std::borrow::Cow;

use axum::extract::State;
use axum::response::Response;
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::{Value, json};
use utoipa::openapi::schema::AnyOfBuilder;
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::responses::{
    AdminErrors, ChangedError, ConflictError, InvalidError, MissingError, TooLargeError, UnchangedResponse,
};
use tenantry_core::catalogue::Catalogue;
use tenantry_core::error::Result;
use tenantry_core::json::{Fields, Members, Patch, Presence, Property, Shape, id_list, id_list_schema};
use tenantry_core::model::{Group, GroupId, PartnerId, UserId};
use tenantry_core::values::{self, DESCRIPTION, LINE};
use tenantry_domain::bulk_changes::{BulkChange, BulkOperation};
use tenantry_domain::conditions::{self, Target};
use tenantry_domain::groups;
use tenantry_domain::groups::{GroupChange, NewGroup};
use tenantry_domain::user_records::owned;
use tenantry_http::conditional::{Conditions, show};
use tenantry_http::extract::{Admin, GroupPath, QueryParams};
use tenantry_http::incoming::BULK;
use tenantry_http::json_body::JsonBody;
use tenantry_http::paging::Params;
use tenantry_http::parameters::{Of, Parameter, ReadFrom};
use tenantry_http::problem::Problem;
use tenantry_http::responses::written;
use tenantry_http::state::AppState;
use tenantry_http::writes::{IdempotentBody, Write, WriteResponse};
use tenantry_store::access::{self, Scope};

/// A group. With `?fields=` only the listed properties.
#[derive(Debug, ToSchema)]
#[schema(as = Group, rename_all = "camelCase")]
pub struct GroupBody<'a> {
    /// Its id.
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
    /// The group it is nested in: its members also have the permissions of that group.
    #[schema(required = true, value_type = Option<i64>)]
    parent_group_id: Option<GroupId>,
    /// The number of its users, without those of nested groups.
    #[schema(example = 2)]
    membership_count: i64,
    /// Names of the wildcard permissions it has.
    #[schema(value_type = Vec<String>, example = json!(["VIEW_ALL_SEGMENTS"]))]
    wildcards: Vec<&'a str>,
    /// Ids of its users, ascending; without those of nested groups.
    #[schema(value_type = Vec<i64>, example = json!([2, 3]))]
    users: &'a [UserId],
    #[schema(ignore)]
    properties: Properties,
}

/// Which properties of each group.
pub(super) static FIELDS: Parameter = Parameter::names(
    "fields",
    || Properties::NAMES.to_vec(),
    "Only these properties, separated by commas. Without `users` a list of large groups is short.",
);

/// The properties of a group that a response has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Properties(u8);

impl Properties {
    /// By name, in the order of responses. The last one is the one that can be long: a stream writes it piece by piece.
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
        let given = params.all(FIELDS.name);
        if given.is_empty() {
            return Self::ALL;
        }
        let mut chosen = 0;
        for name in given.iter().flat_map(|value| value.split(',')).map(str::trim) {
            match Self::NAMES.iter().position(|n| *n == name) {
                Some(at) => chosen |= 1 << at,
                None => {
                    let detail = format!("list some of {}, separated by commas", Self::NAMES.join(", "));
                    params.error(FIELDS.name, "unknown-property", detail);
                    break;
                }
            }
        }
        Self(chosen)
    }
}

impl ReadFrom for Properties {
    const PARAMETERS: &'static [&'static Parameter] = &[&FIELDS];
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
    /// A group as every response shows it.
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

const NAME: Property =
    Property::new("name", "Unique within the partner; 1 to 255 characters.").of(&LINE).like("Editors");
const ABOUT: Property =
    Property::new("description", "For people; up to 2,000 characters.").of(&DESCRIPTION).like("May edit");
const PARENT: Property =
    Property::new("parentGroupId", "The group it is nested in; null if there is none.").like("null");

/// The schemas of request bodies.
pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let catalogue = Catalogue::default();
    let new = |from: &mut Shape| new_group(from, PartnerId(0), &catalogue);
    let change = |presence| {
        move |from: &mut Shape| group_change(from, presence, PartnerId(0), None, &Catalogue::default())
    };
    vec![
        ("CreateGroup", Shape::of_new("A new group.").asked(new)),
        (
            "UpdateGroup",
            Shape::of_change("A value that was read can be sent back.").asked(change(Presence::Required)),
        ),
        (
            "PatchGroup",
            Shape::of_change("A merge patch (RFC 7396): only the given properties change.")
                .like(json!({ "description": "May edit and delete" }))
                .asked(change(Presence::Optional)),
        ),
        ("IdList", id_list_schema("Ids: at most 100,000; duplicates count once.")),
    ]
}

/// Reads the fields that only answers have: they are taken when they agree with what is there, the number of members
/// whatever it says (B6).
fn read_back(from: &mut impl Members, pid: PartnerId, current: Option<&Group>, catalogue: &Catalogue) {
    let expected = |value: fn(&Group) -> Value| Some(current.map_or(Value::Null, value));
    // `pid` may be the caller's, as with users (B6).
    from.response_only("pid", Some(json!(pid)));
    from.response_only("groupId", expected(|g| json!(g.group_id)));
    from.ignored("membershipCount");
    from.response_only("wildcards", current.map(|g| json!(catalogue.known_wildcards(&g.wildcards))));
    from.response_only("users", expected(|g| json!(g.users)));
}

fn parent(from: &mut impl Members) -> Option<Option<GroupId>> {
    match from.nullable_id(&PARENT) {
        Patch::Absent => None,
        Patch::Null => Some(None),
        Patch::Value(id) => Some(Some(GroupId(id))),
    }
}

fn new_group(from: &mut impl Members, pid: PartnerId, catalogue: &Catalogue) -> Option<NewGroup> {
    read_back(from, pid, None, catalogue);
    let name = from.text(Presence::Required, &NAME, owned(values::group_name));
    let description = from.text(Presence::Optional, &ABOUT, owned(values::description)).unwrap_or_default();
    let parent = parent(from).flatten();
    Some(NewGroup { name: name?, description, parent })
}

fn read_new(body: &[u8], pid: PartnerId, catalogue: &Catalogue) -> Result<NewGroup> {
    let mut fields = Fields::parse(body)?;
    let new = new_group(&mut fields, pid, catalogue);
    fields.finish_with(|| new)
}

fn group_change(
    from: &mut impl Members,
    presence: Presence,
    pid: PartnerId,
    current: Option<&Group>,
    catalogue: &Catalogue,
) -> GroupChange {
    read_back(from, pid, current, catalogue);
    let name = from.text(presence, &NAME, owned(values::group_name));
    let description = from.text(Presence::Optional, &ABOUT, owned(values::description));
    let parent = parent(from);
    GroupChange { name, description, parent }
}

fn read_change(
    body: &[u8],
    current: &Group,
    presence: Presence,
    catalogue: &Catalogue,
) -> Result<GroupChange> {
    let mut fields = Fields::parse(body)?;
    let change = group_change(&mut fields, presence, current.pid, Some(current), catalogue);
    fields.finish()?;
    Ok(change)
}

/// A group as the response of a write, with its tag.
pub(super) fn shown(group: &Group, app: &AppState) -> Result<WriteResponse> {
    Ok(WriteResponse::ok(&GroupBody::of(group, app))?.tagged(conditions::tag_of_group(group)))
}

/// Create a group.
///
/// It has no users, permissions or wildcards yet.
#[utoipa::path(
    post, path = "/api/v1/groups", tag = "groups", params(Of<IdempotentBody>, Of<Write>),
    request_body(content = ref("#/components/schemas/CreateGroup")),
    responses(
        (status = 201, description = "Created", body = GroupBody, headers(("Location" = String, description = "Its path"), ("ETag" = String, description = "Its version"))),
        InvalidError, AdminErrors, ConflictError,
    ),
)]
pub async fn create_group(
    State(app): State<AppState>,
    Admin(by): Admin,
    write: Write,
    IdempotentBody { body, key }: IdempotentBody,
) -> Result<Response, Problem> {
    let new = read_new(&body, by.pid(), &app.catalogue)?;
    let state = app.clone();
    write
        .idempotency_key(key)
        .run(&app, &by, move |tx| {
            let group = groups::create(tx, &new)?;
            let location = format!("/api/v1/groups/{}", group.group_id);
            let response = WriteResponse::created(location, &GroupBody::of(&group, &state))?;
            Ok(response.tagged(conditions::tag_of_group(&group)))
        })
        .await
}

/// A group with the properties that `?fields=` selects.
#[derive(Debug)]
pub struct PartialGroup<'a>(GroupBody<'a>);

impl Serialize for PartialGroup<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl PartialSchema for PartialGroup<'_> {
    fn schema() -> RefOr<Schema> {
        let mut some = GroupBody::schema();
        if let RefOr::T(Schema::Object(object)) = &mut some {
            object.required.clear();
            object.description = Some(String::from("Only the properties in `fields`."));
        }
        let complete = Ref::from_schema_name(GroupBody::name());
        let about = "A group; with `fields` only the listed properties.";
        AnyOfBuilder::new().description(Some(about)).item(complete).item(some).into()
    }
}

impl ToSchema for PartialGroup<'_> {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("PartialGroup")
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((GroupBody::name().into_owned(), GroupBody::schema()));
    }
}

/// Get a group.
///
/// Includes its users and wildcards; `fields` selects properties.
#[utoipa::path(
    get, path = "/api/v1/groups/{groupId}", tag = "groups",
    params(Of<GroupPath>, Of<Properties>),
    responses(
        (status = 200, description = "The group", body = PartialGroup, headers(("ETag" = String, description = "Its version"))),
        UnchangedResponse, AdminErrors, MissingError,
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
    let body = PartialGroup(GroupBody::with(&group, &app.catalogue, properties));
    Ok(show(&conditions, &conditions::tag_of_group(&group), written(&body)?))
}

/// Update a group's name, description and parent.
///
/// `description` and `parentGroupId` are unchanged if omitted.
#[utoipa::path(
    put, path = "/api/v1/groups/{groupId}", tag = "groups",
    params(Of<GroupPath>, Of<Write>),
    request_body(content = ref("#/components/schemas/UpdateGroup")),
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

/// Change some properties of a group.
///
/// A merge patch (RFC 7396): only the given properties change.
#[utoipa::path(
    patch, path = "/api/v1/groups/{groupId}", tag = "groups",
    params(Of<GroupPath>, Of<Write>),
    request_body(content = ref("#/components/schemas/PatchGroup"), content_type = "application/merge-patch+json"),
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
    let state = app.clone();
    write.of(Target::Group(id)).run(app, by, move |tx| shown(&groups::update(tx, id, &change)?, &state)).await
}

/// Delete a group and its memberships. Refused while others are nested in it.
///
/// More than 5,000 members (or permissions) are removed in steps that always complete, and the group with the last of
/// them: other requests can see partial results. No group can be nested in it meanwhile (`409`).
#[utoipa::path(
    delete, path = "/api/v1/groups/{groupId}", tag = "groups",
    params(Of<GroupPath>, Of<Write>),
    responses(
        (status = 200, description = "More than 5,000 members: the group got a child meanwhile and was not deleted", body = ref("#/components/schemas/KeptRows")),
        (status = 204, description = "Deleted"),
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

/// Delete groups in bulk, atomically.
///
/// Groups with more than 5,000 members (or permissions) in total are validated as a whole first and then deleted in
/// steps that always complete: other requests can see partial results. No group can be nested in them meanwhile
/// (`409`).
#[utoipa::path(
    post, path = "/api/v1/groups/bulk-delete", tag = "groups", params(Of<IdempotentBody>, Of<Write>),
    request_body(content = ref("#/components/schemas/IdList")),
    responses(
        (status = 200, description = "More than 5,000 members: all were deleted except those listed, which got a child meanwhile", body = ref("#/components/schemas/KeptRows")),
        (status = 204, description = "Deleted"),
        InvalidError, AdminErrors, MissingError, ConflictError, TooLargeError<BULK>,
    ),
)]
pub async fn bulk_delete_groups(
    State(app): State<AppState>,
    Admin(by): Admin,
    write: Write,
    IdempotentBody { body, key }: IdempotentBody<BULK>,
) -> Result<Response, Problem> {
    delete_groups(&app, &by, write.idempotency_key(key), &body).await
}

/// Delete groups in bulk, with DELETE.
///
/// The same as with POST, but without an `Idempotency-Key`: deleting a deleted resource is `404`.
#[utoipa::path(
    delete, path = "/api/v1/groups/bulk-delete", tag = "groups", params(Of<Write>), request_body(content = ref("#/components/schemas/IdList")),
    responses(
        (status = 200, description = "More than 5,000 members: all were deleted except those listed, which got a child meanwhile", body = ref("#/components/schemas/KeptRows")),
        (status = 204, description = "Deleted"),
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
