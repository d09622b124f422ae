//! Which permissions there are, and which of them groups have (contract, part C).

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, OneOfBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::groups::{GroupBody, shown};
use crate::responses::{AdminErrors, ChangedError, InvalidError, MissingError, TooLargeError};
use tenantry_core::catalogue::Catalogue;
use tenantry_core::error::{Error, FieldError, Missing, Result};
use tenantry_core::json::{Fields, Members, Presence, Property, Shape, name_list, object_list, wrong_type};
use tenantry_core::model::{ObjectId, ObjectPermissions};
use tenantry_core::values;
use tenantry_domain::conditions::Target;
use tenantry_domain::permission_lists::{self, Replacement};
use tenantry_domain::permissions;
use tenantry_http::extract::{AccessibleGroupPath, Admin, NamePath, NoParams};
use tenantry_http::incoming::BULK;
use tenantry_http::json_body::JsonBody;
use tenantry_http::parameters::Of;
use tenantry_http::problem::Problem;
use tenantry_http::responses::json;
use tenantry_http::state::AppState;
use tenantry_http::writes::{Write, WriteResponse};

/// Lists of more permissions than this are written in a transaction of their own.
const LARGE: usize = 100;

/// The permissions available for an object type.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ObjectType)]
pub struct ObjectTypeBody<'a> {
    /// Permissions on all objects of the type.
    #[schema(value_type = Vec<String>, example = json!(["VIEW_ALL_SEGMENTS"]))]
    wildcard: Vec<&'a str>,
    /// Permissions on single objects.
    #[schema(value_type = Vec<String>, example = json!(["READ", "WRITE"]))]
    per_object: &'a [String],
}

/// List the object types.
///
/// In the order of the server's catalogue, which the operator can replace.
#[utoipa::path(
    get, path = "/api/v1/permissionable-object-types", tag = "permissions",
    responses(
        (status = 200, description = "Their names", body = Vec<String>, example = json!(["SEGMENT", "TRAIT"])),
        AdminErrors,
    ),
)]
pub async fn list_object_types(
    State(app): State<AppState>,
    _: Admin,
    _: NoParams,
) -> Result<Response, Problem> {
    let names: Vec<&str> = app.catalogue.types().iter().map(|t| t.name.as_str()).collect();
    Ok(json(StatusCode::OK, &names))
}

/// Get the permissions available for an object type.
///
/// The wildcards of the type and its permissions on single objects, from the server's catalogue.
#[utoipa::path(
    get, path = "/api/v1/permissionable-object-types/{objectType}", tag = "permissions",
    params(Of<NamePath>),
    responses((status = 200, description = "Wildcards and permissions", body = ObjectTypeBody), AdminErrors, MissingError),
)]
pub async fn get_object_type(
    State(app): State<AppState>,
    _: Admin,
    NamePath(name): NamePath,
    _: NoParams,
) -> Result<Response, Problem> {
    let object_type = app.catalogue.object_type(&name).ok_or(Error::NotFound(Missing::ObjectType))?;
    let wildcard = object_type.wildcards.iter().map(|w| w.name.as_str()).collect();
    Ok(json(StatusCode::OK, &ObjectTypeBody { wildcard, per_object: &object_type.per_object }))
}

/// The id of an object as the document shows it: [`ObjectId`] writes itself.
#[derive(Debug)]
pub enum ObjectIdBody {}

impl PartialSchema for ObjectIdBody {
    #[expect(
        deprecated,
        reason = "derived schemas say `example`, too, of which src/openapi/common.rs makes examples"
    )]
    fn schema() -> RefOr<Schema> {
        let about =
            "An integer of 64 bits or a string, returned as it was given. 563 and \"563\" are one object.";
        let (least, most) = (values::OBJECT_ID.length.start(), values::OBJECT_ID.length.end());
        OneOfBuilder::new()
            .description(Some(about))
            .item(
                ObjectBuilder::new()
                    .schema_type(Type::Integer)
                    .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64))),
            )
            .item(
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .min_length(Some(*least))
                    .max_length(Some(*most))
                    .pattern(values::OBJECT_ID.pattern),
            )
            .example(Some(json!(563)))
            .into()
    }
}

impl ToSchema for ObjectIdBody {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("ObjectId")
    }
}

const OBJECT_TYPE: Property = Property::new("objectType", "A type of the catalogue.").like("SEGMENT");
const OBJECT_ID: Property = Property::new("objectId", "The object of that type.");
const PERMISSIONS: Property =
    Property::new("permissions", "Permissions on single objects of that type, at least one.")
        .like(r#"["READ", "WRITE"]"#);

/// The schemas of bodies.
pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let catalogue = Catalogue::default();
    let entry = Shape::of_new("The permissions of a group on one object.")
        .asked(|from| object_permissions(from, &catalogue));
    vec![
        ("ObjectPermissions", entry),
        (
            "ObjectPermissionsList",
            json!({
                "type": "array", "items": { "$ref": "#/components/schemas/ObjectPermissions" },
                "description": "The permissions of a group on single objects, each listed once.",
            }),
        ),
        (
            "WildcardList",
            json!({
                "type": "array", "items": { "type": "string" }, "example": ["VIEW_ALL_SEGMENTS"],
                "description": "Names of wildcards.",
            }),
        ),
    ]
}

/// The id of an object: an integer, or a text that is one with the same digits.
pub(super) fn read_object_id(value: &Value) -> Result<ObjectId, FieldError> {
    match value {
        Value::String(text) => {
            values::object_id(text)?;
            Ok(ObjectId { text: text.clone(), is_number: false })
        }
        Value::Number(number) if !number.is_f64() => {
            Ok(ObjectId { text: number.to_string(), is_number: true })
        }
        Value::Number(_) => {
            let detail =
                "must be an integer up to 64 bits, without fraction or exponent: send others as a string";
            Err(FieldError::from(("wrong-type", detail)))
        }
        other => Err(wrong_type("an integer or a string", other)),
    }
}

fn object_permissions(from: &mut impl Members, catalogue: &Catalogue) -> Option<ObjectPermissions> {
    let object_type = from.text(Presence::Required, &OBJECT_TYPE, |name| {
        catalogue
            .object_type(name)
            .ok_or_else(|| FieldError::from(("unknown-object-type", unknown_type(catalogue))))
    });
    let any_id = || json!({ "$ref": "#/components/schemas/ObjectId" });
    let object_id = from.value(Presence::Required, &OBJECT_ID, any_id, read_object_id);
    let some_names = || json!({ "type": "array", "items": { "type": "string" }, "minItems": 1 });
    let names = from.value(Presence::Required, &PERMISSIONS, some_names, |value| match value {
        Value::Array(list) if list.is_empty() => {
            Err(FieldError::from(("empty", "must name a permission: leave the object out to give none")))
        }
        Value::Array(list) => list
            .iter()
            .map(|name| name.as_str().map(str::to_owned).ok_or_else(|| wrong_type("an array of names", name)))
            .collect::<Result<Vec<_>, _>>(),
        other => Err(wrong_type("an array of names", other)),
    });
    if let (Some(object_type), Some(names)) = (object_type, &names)
        && let Some(unknown) = names.iter().find(|name| !object_type.has_permission(name))
    {
        let known = match object_type.per_object.as_slice() {
            [] => format!("{} has wildcards only", object_type.name),
            some => format!("{} has {}", object_type.name, some.join(", ")),
        };
        let shown: String = unknown.chars().take(100).collect();
        from.error(
            PERMISSIONS.name,
            ("unknown-permission", format!("there is no permission {shown:?}: {known}")),
        );
    }
    // Each once: a hundred thousand doubled ones would be as many rows.
    let mut permissions: Vec<String> = Vec::new();
    for name in names? {
        if !permissions.contains(&name) {
            permissions.push(name);
        }
    }
    Some(ObjectPermissions { object_type: object_type?.name.clone(), object_id: object_id?, permissions })
}

fn read_entry(catalogue: &Catalogue, mut fields: Fields) -> Result<ObjectPermissions> {
    let entry = object_permissions(&mut fields, catalogue);
    fields.finish_with(|| entry)
}

fn unknown_type(catalogue: &Catalogue) -> String {
    let names: Vec<&str> = catalogue.types().iter().map(|t| t.name.as_str()).take(20).collect();
    format!("there is no such object type: the first are {}", names.join(", "))
}

/// Reads a group's list. An object named twice is an error, whichever way its id is written.
fn read_list(catalogue: &Catalogue, body: &[u8]) -> Result<Vec<ObjectPermissions>> {
    let list = object_list(body, |_, fields| read_entry(catalogue, fields))?;
    let mut seen = HashSet::new();
    let mut errors = Vec::new();
    for (index, entry) in list.iter().enumerate() {
        if !seen.insert((entry.object_type.as_str(), entry.object_id.text.as_str())) {
            let detail = "this object is listed twice: combine its permissions";
            errors.push(FieldError::new(format!("/{index}/objectId"), "duplicate-object", detail));
        }
    }
    errors.truncate(100);
    if errors.is_empty() { Ok(list) } else { Err(Error::Invalid(errors)) }
}

/// List a group's permissions on single objects.
///
/// In the order of the given list, each object id as given. Permissions by wildcards, or by the group it is nested in,
/// are not listed.
#[utoipa::path(
    get, path = "/api/v1/groups/{groupId}/permissions", tag = "permissions",
    params(Of<AccessibleGroupPath>),
    responses((status = 200, description = "The list, as given", body = ref("#/components/schemas/ObjectPermissionsList")), InvalidError, AdminErrors),
)]
pub async fn list_group_permissions(
    State(app): State<AppState>,
    Admin(by): Admin,
    AccessibleGroupPath(id): AccessibleGroupPath,
    _: NoParams,
) -> Result<Response, Problem> {
    let parts = app.clone();
    let list = app.store.scan(&by, move |tx| permissions::list(tx, &parts.catalogue, id)).await?;
    Ok(json(StatusCode::OK, &list))
}

/// Replace a group's permissions on single objects: the whole list.
///
/// The new list takes effect at once, at the latest with the response; until then the old one applies. Lists of more
/// than 5,000 permissions take longer, and a partner has one of them at a time: others wait, or get `503` with
/// `Retry-After`.
#[utoipa::path(
    put, path = "/api/v1/groups/{groupId}/permissions", tag = "permissions",
    params(
        Of<AccessibleGroupPath>, Of<Write>,
    ),
    request_body(content = ref("#/components/schemas/ObjectPermissionsList")),
    responses(
        (status = 200, description = "The list", body = ref("#/components/schemas/ObjectPermissionsList")),
        InvalidError, AdminErrors, ChangedError, TooLargeError<BULK>,
    ),
)]
pub async fn update_group_permissions(
    State(app): State<AppState>,
    Admin(by): Admin,
    AccessibleGroupPath(id): AccessibleGroupPath,
    write: Write,
    JsonBody(body): JsonBody<BULK>,
) -> Result<Response, Problem> {
    let list = Arc::new(read_list(&app.catalogue, &body)?);
    let (write, new) = (write.of(Target::Group(id)), Arc::clone(&list));
    if app.store.read(&by, move |tx| permission_lists::is_large(tx, id, &new)).await? {
        let (response, new) = (WriteResponse::ok(&*list)?, Replacement { group_id: id, list });
        let run = async |options| {
            permission_lists::replace(&app.store, &app.large_units, &by, options, new, response).await
        };
        return write.run_by(run).await;
    }
    let write = if list.len() > LARGE { write.large() } else { write };
    write
        .run(&app, &by, move |tx| {
            permissions::replace(tx, id, &list)?;
            WriteResponse::ok(&*list)
        })
        .await
}

/// Replace a group's wildcards.
///
/// A wildcard is a permission on all objects of a type. Wildcards that are not listed are removed.
#[utoipa::path(
    put, path = "/api/v1/groups/{groupId}/wildcards", tag = "permissions",
    params(
        Of<AccessibleGroupPath>, Of<Write>,
    ),
    request_body(content = ref("#/components/schemas/WildcardList")),
    responses(
        (status = 200, description = "The group", body = GroupBody, headers(("ETag" = String, description = "Its version"))),
        InvalidError, AdminErrors, ChangedError,
    ),
)]
pub async fn update_group_wildcards(
    State(app): State<AppState>,
    Admin(by): Admin,
    AccessibleGroupPath(id): AccessibleGroupPath,
    write: Write,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let catalogue = &app.catalogue;
    let names = name_list(&body, |name| match catalogue.type_of_wildcard(name) {
        Some(_) => None,
        None => {
            let shown: String = name.chars().take(100).collect();
            Some((
                "unknown-wildcard",
                format!("there is no wildcard {shown:?}: see /permissionable-object-types"),
            ))
        }
    })?;
    let state = app.clone();
    write
        .of(Target::Group(id))
        .run(&app, &by, move |tx| shown(&permissions::replace_wildcards(tx, id, &names)?, &state))
        .await
}
