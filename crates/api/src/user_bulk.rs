//! Users, created, changed and deleted many at a time (A11).

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::responses::{AdminErrors, ConflictError, InvalidError, MissingError, TooLargeError};
use crate::user_lists::filter_schema;
use tenantry_core::error::{Error, FieldError, Result};
use tenantry_core::json::{
    Fields, Members, Presence, Property, Shape, elements, id_list, id_schema, members, text, wrong_type,
};
use tenantry_core::model::UserId;
use tenantry_core::user_fields::ProfileField;
use tenantry_domain::bulk_changes::{BulkChange, BulkOperation, Selection};
use tenantry_domain::factors::step_up;
use tenantry_domain::user_bulk::{self, BulkRow, MOST_CHANGED};
use tenantry_domain::user_records::{
    PartialUser, note_unknown, read_groups, read_is_admin, read_profile_change, read_status, unknown_groups,
};
use tenantry_domain::users::UserChange;
use tenantry_http::extract::Admin;
use tenantry_http::incoming::BULK;
use tenantry_http::json_body::JsonBody;
use tenantry_http::paging::Params;
use tenantry_http::parameters::Of;
use tenantry_http::problem::{Problem, ProblemDocument, of_row};
use tenantry_http::state::AppState;
use tenantry_http::user_filters::{as_stored, read_filters};
use tenantry_http::writes::{IdempotentBody, Write, WriteResponse};
use tenantry_store::access::{self, Scope};

/// The most users of one bulk.
const MOST_CREATED: usize = 10_000;

const USERS: Property = Property::new("users", "The users to create, at most 10,000.");
const ATOMIC: Property =
    Property::new("atomic", "Atomic by default; `false` skips rows with errors.").like("true");
const IDS: Property =
    Property::new("ids", "Ids of users, at most 100,000. Either this or `filter`.").like("[2, 3]");
const FILTER: Property = Property::new(
    "filter",
    "The users, by the parameters of the list; each a value or an array of values. Either this or `ids`.",
);
const COUNT: Property = Property::new(
    "expectedCount",
    "The expected number of users; required with `filter`. If it differs, nothing is changed (`409`).",
);
const PATCH: Property = Property::new(
    "patch",
    "A merge patch (RFC 7396) for each of them. It cannot set `username` or `externalId`, which are unique.",
)
.like(r#"{"status": "INACTIVE"}"#);
const SHARED: Property =
    Property::new("externalId", "Only null, which clears the value: it is unique per user.");

/// The schemas of bodies.
pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let users = || json!({ "type": "array", "items": { "$ref": "#/components/schemas/CreateUser" }, "maxItems": MOST_CREATED });
    let mut array = users();
    if let Some(array) = array.as_object_mut() {
        array.insert(String::from("description"), json!("The users to create, atomically."));
    }
    let object = Shape::of_new("Users to create.").asked(|from| {
        from.pass(Presence::Required, &USERS, users);
        from.truth(&ATOMIC)
    });
    let kept = json!({ "type": "array", "items": { "$ref": "#/components/schemas/Kept" }, "example": [] });
    vec![
        ("CreateUsers", json!({ "oneOf": [object, array] })),
        (
            "PatchUsers",
            Shape::of_new("One change for many users.").asked(|from| {
                frame(from);
            }),
        ),
        (
            "PatchOfMany",
            Shape::of_change("A merge patch (RFC 7396) of many users.")
                .like(json!({ "status": "INACTIVE" }))
                .asked(change_of_many),
        ),
        (
            "UsersChanged",
            json!({
                "type": "object", "description": "The result of a change of many users.", "required": ["matched", "changed"],
                "properties": {
                    "matched": { "type": "integer", "format": "int64", "minimum": 0, "example": 2, "description": "The number of users it applied to." },
                    "changed": { "type": "integer", "format": "int64", "minimum": 0, "example": 2, "description": "The number of changed users." },
                    "kept": kept,
                },
            }),
        ),
        (
            "KeptRows",
            json!({
                "type": "object", "description": "What a large deletion did not delete; everything else is deleted.",
                "required": ["kept"], "properties": { "kept": kept },
            }),
        ),
        (
            "Kept",
            json!({
                "type": "object", "description": "A row that a large change left unchanged because of a concurrent change.",
                "required": ["code"],
                "properties": {
                    "userId": id_schema(), "groupId": id_schema(),
                    "code": { "type": "string", "example": "last-admin", "description": "Why: `last-admin` or `group-has-children`." },
                },
            }),
        ),
    ]
}

/// The result of a bulk operation.
#[derive(Debug, Serialize, ToSchema)]
pub struct UsersCreated {
    /// Users that were created.
    #[schema(example = 1)]
    created: usize,
    /// The number of skipped rows.
    #[schema(example = 0)]
    failed: usize,
    /// The result of each row, in order.
    results: Vec<RowResult>,
}

/// The result of a row.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RowResult {
    /// The row, from 0.
    #[schema(example = 0)]
    index: usize,
    /// The status that creating it alone would have had.
    #[schema(example = 201)]
    status: u16,
    /// The user's id, if it was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, example = 2)]
    user_id: Option<i64>,
    /// Its errors, if it was rejected. Pointers are relative to the row.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    problem: Option<ProblemDocument>,
}

impl RowResult {
    fn of(index: usize, made: Result<UserId>) -> Result<Self> {
        Ok(match made {
            Ok(id) => Self { index, status: 201, user_id: Some(id.0), problem: None },
            Err(error) => {
                let problem = of_row(error)?;
                Self { index, status: problem.status, user_id: None, problem: Some(problem) }
            }
        })
    }
}

/// The rows of a bulk, whether it is atomic, and where the rows stand.
struct Bulk {
    rows: Vec<BulkRow>,
    atomic: Option<&'static str>,
}

async fn read_bulk(app: &AppState, by: &access::Admin, body: &[u8]) -> Result<Bulk> {
    const EXPECTED: &str = "an array of users, or an object with one as users";
    let text = text(body, EXPECTED)?;
    let (raw, is_atomic, place) = if text.trim_start().starts_with('[') {
        (text, true, "")
    } else {
        let mut fields = Fields::parse(body)?;
        let is_atomic = fields.truth(&ATOMIC).unwrap_or(true);
        Members::pass(&mut fields, Presence::Required, &USERS, Value::default);
        fields.finish()?;
        (members(body)?.get("users").map_or("", |users| users.get()), is_atomic, "/users")
    };
    let elements = elements(raw, EXPECTED).map_err(|e| e.within(place))?;
    if elements.len() > MOST_CREATED {
        let detail = format!("at most {MOST_CREATED} users can be created at once");
        return Err(FieldError::new(place, "too-many-users", detail).into());
    }
    let partials: Vec<Result<PartialUser>> =
        elements.iter().map(|element| PartialUser::parse(element.get().as_bytes())).collect();
    let mut wanted: Vec<_> =
        partials.iter().flatten().flat_map(|partial| partial.groups.iter().copied()).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let unknown = unknown_groups(&app.store, by, wanted).await?;
    let read =
        |partial: Result<PartialUser>| match partial.and_then(|partial| partial.finish(by.pid(), &unknown)) {
            Ok(new) => Ok(Ok(new)),
            Err(Error::Invalid(errors)) => Ok(Err(errors)),
            Err(other) => Err(other),
        };
    let rows = partials.into_iter().map(read).collect::<Result<Vec<BulkRow>>>()?;
    Ok(Bulk { rows, atomic: is_atomic.then_some(place) })
}

/// Create users in bulk, up to 10,000.
///
/// Atomic by default: a bad row fails the request, with the status of the first one. Otherwise all valid rows are
/// created, and the response lists the errors of the others.
#[utoipa::path(
    post, path = "/api/v1/users/bulk", tag = "users", params(Of<IdempotentBody>, Of<Write>), request_body(content = ref("#/components/schemas/CreateUsers")),
    responses(
        (status = 200, description = "The result of each row", body = UsersCreated),
        InvalidError, AdminErrors, ConflictError, TooLargeError<BULK>,
    ),
)]
pub async fn bulk_create_users(
    State(app): State<AppState>,
    Admin(by): Admin,
    write: Write,
    IdempotentBody { body, key }: IdempotentBody<BULK>,
) -> Result<Response, Problem> {
    let Bulk { rows, atomic } = read_bulk(&app, &by, &body).await?;
    if rows.iter().flatten().any(|new| new.is_admin) {
        step_up::expect_strong_admin(&app, &by).await?;
    }
    write
        .idempotency_key(key)
        .large()
        .run(&app, &by, move |tx| {
            let made = user_bulk::create_many(tx, &rows, atomic)?;
            let results: Vec<RowResult> =
                (0..).zip(made).map(|(index, one)| RowResult::of(index, one)).collect::<Result<_>>()?;
            let created = results.iter().filter(|row| row.user_id.is_some()).count();
            WriteResponse::ok(&UsersCreated { created, failed: results.len() - created, results })
        })
        .await
}

/// Reads a filter as if it stood in a query.
fn read_filter(filter: &str) -> Result<Selection> {
    const EXPECTED: &str = "an object of filters";
    let filter: serde_json::Map<String, Value> = serde_json::from_str(filter)
        .map_err(|_| FieldError::new("", "wrong-type", format!("must be {EXPECTED}")))?;
    let (mut pairs, mut errors) = (Vec::new(), Vec::new());
    for (name, value) in filter {
        let values = match value {
            Value::Array(values) => values,
            one => vec![one],
        };
        for value in values {
            match value {
                Value::String(text) => pairs.push((name.clone(), text)),
                Value::Number(_) | Value::Bool(_) => pairs.push((name.clone(), value.to_string())),
                _ => {
                    let detail = "must be a string, number or boolean, or an array of them";
                    errors.push(FieldError::new(name.clone(), "wrong-type", detail));
                }
            }
        }
    }
    let mut params = Params::of(pairs);
    let query = read_filters(&mut params);
    match params.finish() {
        Err(Error::Invalid(more)) => errors.extend(more),
        other => other?,
    }
    if errors.is_empty() {
        return Ok(Selection::Filter(as_stored(query)));
    }
    // A parameter's name becomes a place in the body.
    let placed =
        errors.into_iter().map(|error| FieldError { field: format!("/{}", error.field).into(), ..error });
    Err(Error::Invalid(placed.collect()))
}

/// A change of many users, but for whether its groups exist.
fn change_of_many(from: &mut impl Members) -> UserChange {
    let shared = || FieldError::from(("not-for-many", "no two users share one: change it user by user"));
    let status = read_status(from, Presence::Optional);
    let mut profile = read_profile_change(from, Presence::Optional, |spec| spec.is_shareable);
    for field in ProfileField::ALL.into_iter().filter(|field| !field.spec().is_shareable) {
        // It can be cleared for many.
        let member = Property { name: field.name(), ..SHARED };
        let null = || json!({ "type": "null" });
        let value = from.value(Presence::Optional, &member, null, |value| match value {
            Value::Null => Ok(()),
            Value::String(_) => Err(shared()),
            other => Err(wrong_type("a string", other)),
        });
        if value.is_some() {
            profile.set(field, None);
        }
    }
    let is_admin = read_is_admin(from);
    UserChange { username: None, status, profile, groups: read_groups(from), is_admin }
}

async fn read_patch(app: &AppState, by: &access::Admin, patch: &str) -> Result<UserChange> {
    let mut fields = Fields::parse(patch.as_bytes())?;
    if fields.pass("username") {
        fields.error("username", ("not-for-many", "no two users share one: change it user by user"));
    }
    let change = change_of_many(&mut fields);
    if let Some(groups) = &change.groups {
        note_unknown(&mut fields, groups, &unknown_groups(&app.store, by, groups.clone()).await?);
    }
    fields.finish()?;
    Ok(change)
}

/// What a change of many says beside its filter and its patch, which stand in it as documents of their own.
struct Frame {
    fields: Fields,
    ids: Option<Vec<i64>>,
    expected: Option<i64>,
}

/// The ids and the number of users that a change of many is for.
fn frame(from: &mut impl Members) -> (Option<Vec<i64>>, Option<i64>) {
    let (has_ids, has_count) = (from.has(IDS.name), from.has(COUNT.name));
    let has_filter = from.pass(Presence::Optional, &FILTER, filter_schema);
    from.pass(Presence::Required, &PATCH, || json!({ "$ref": "#/components/schemas/PatchOfMany" }));
    let ids = from.ids(&IDS);
    let most = i64::try_from(MOST_CHANGED).unwrap_or(i64::MAX);
    let expected = from.integer(&COUNT, 0..=most);
    match (has_ids, has_filter) {
        (true, true) => from.error(FILTER.name, ("contradiction", "give ids or filter, not both")),
        (false, false) => from.error(IDS.name, ("required", "give ids or filter")),
        (false, true) if !has_count => {
            from.error(COUNT.name, ("required", "a filter requires the expected number of users"));
        }
        _ => {}
    }
    (ids, expected)
}

impl Frame {
    fn read(body: &[u8]) -> Result<Self> {
        let mut fields = Fields::parse(body)?;
        let (ids, expected) = frame(&mut fields);
        Ok(Self { fields, ids, expected })
    }
}

type PatchRequest = (Selection, Option<i64>, UserChange);

async fn read_patch_request(app: &AppState, by: &access::Admin, body: &[u8]) -> Result<PatchRequest> {
    let Frame { fields, ids, expected } = Frame::read(body)?;
    // All errors at once, those inside of filter and patch included (B6).
    let mut errors = Vec::new();
    let mut note = |error: Error, place: &str| match error.within(place) {
        Error::Invalid(more) => {
            errors.extend(more);
            Ok(())
        }
        other => Err(other),
    };
    if let Err(e) = fields.finish() {
        note(e, "")?;
    }
    let raw = members(body)?;
    let mut selection = ids.map(Selection::Ids);
    if let Some(filter) = raw.get("filter") {
        match read_filter(filter.get()) {
            Ok(filter) => selection = Some(filter),
            Err(e) => note(e, "/filter")?,
        }
    }
    let mut change = None;
    if let Some(patch) = raw.get("patch") {
        match read_patch(app, by, patch.get()).await {
            Ok(patch) => change = Some(patch),
            Err(e) => note(e, "/patch")?,
        }
    }
    match (selection, change) {
        (Some(selection), Some(change)) if errors.is_empty() => Ok((selection, expected, change)),
        _ => Err(Error::Invalid(errors)),
    }
}

/// Change many users by one merge patch, atomically.
///
/// For a list of ids, or for a filter with the number of users it is expected to find: `409` if it finds another.
///
/// Up to 5,000 users are changed in one transaction. More are checked as a whole first, and a refusal changes nothing;
/// then they are changed in steps, between which others may see some changed and others not. Once begun the change always
/// ends, also when the client goes away or the server is restarted, and the response comes at its end. A user who was deleted
/// meanwhile counts as done; a user who has become the last ACTIVE admin stays one and is listed under `kept`. A partner
/// has one large change at a time: others wait, and for too long are `503` with `Retry-After`.
#[utoipa::path(
    patch, path = "/api/v1/users/bulk", tag = "users", params(Of<Write>), request_body(content = ref("#/components/schemas/PatchUsers")),
    responses(
        (status = 200, description = "All changed", body = ref("#/components/schemas/UsersChanged")),
        InvalidError, AdminErrors, MissingError, ConflictError, TooLargeError<BULK>,
    ),
)]
pub async fn bulk_patch_users(
    State(app): State<AppState>,
    Admin(by): Admin,
    write: Write,
    JsonBody(body): JsonBody<BULK>,
) -> Result<Response, Problem> {
    let (selection, expected, change) = read_patch_request(&app, &by, &body).await?;
    if change.is_admin == Some(true) {
        step_up::expect_strong_admin(&app, &by).await?;
    }
    let map_error = match &selection {
        Selection::Filter(query) if !query.groups.is_empty() => in_filter,
        _ => |error| error,
    };
    let operation = BulkOperation { change: BulkChange::UpdateUsers(Box::new(change)), selection, expected };
    write.map_error(map_error).run_bulk(&app, &by, operation).await
}

/// A group that does not exist is here an error of the filter; one of the patch was found before.
fn in_filter(error: Error) -> Error {
    let place = |error: FieldError| match error.code {
        "unknown-group" => FieldError { field: "/filter/groupId".into(), ..error },
        _ => error,
    };
    match error {
        Error::Invalid(errors) => Error::Invalid(errors.into_iter().map(place).collect()),
        other => other,
    }
}

/// Delete users in bulk, atomically.
///
/// Up to 5,000 users are deleted in one transaction. A larger deletion is validated as a whole first, and a refusal
/// changes nothing; then it runs in steps, between which other requests can see partial results. Once begun the
/// deletion always completes, even if the client disconnects or the server restarts, and the response is sent at its
/// end. A partner has one large change at a time: others wait, and after a timeout get `503` with `Retry-After`.
#[utoipa::path(
    post, path = "/api/v1/users/bulk-delete", tag = "users", params(Of<IdempotentBody>, Of<Write>),
    request_body(content = ref("#/components/schemas/IdList")),
    responses(
        (status = 200, description = "More than 5,000: all were deleted except those listed, who became the last ACTIVE admin meanwhile", body = ref("#/components/schemas/KeptRows")),
        (status = 204, description = "Deleted"),
        InvalidError, AdminErrors, MissingError, ConflictError, TooLargeError<BULK>,
    ),
)]
pub async fn bulk_delete_users(
    State(app): State<AppState>,
    Admin(by): Admin,
    write: Write,
    IdempotentBody { body, key }: IdempotentBody<BULK>,
) -> Result<Response, Problem> {
    let operation = BulkOperation::of(BulkChange::DeleteUsers, id_list(&body)?);
    write.idempotency_key(key).run_bulk(&app, &by, operation).await
}
