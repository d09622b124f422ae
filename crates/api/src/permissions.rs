//! Which permissions there are, and which of them groups have (contract, part C).

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::groups::{GroupBody, shown};
use crate::parameters::{ConditionParams, DryRunParams};
use crate::responses::{AdminErrors, ChangedError, InvalidError, MissingError, TooLargeError};
use tenantry_core::catalogue::Catalogue;
use tenantry_core::error::{Error, Fault, Missing, Result};
use tenantry_core::json::{Fields, Flaw, name_list, object_list, wrong_type};
use tenantry_core::model::{ObjectId, ObjectPermissions};
use tenantry_core::values;
use tenantry_domain::conditions::Target;
use tenantry_domain::permission_lists::{self, Replacement};
use tenantry_domain::permissions;
use tenantry_http::answers::json;
use tenantry_http::extract::{AccessibleGroupPath, Admin, NamePath, NoParams};
use tenantry_http::incoming::BULK;
use tenantry_http::json_body::JsonBody;
use tenantry_http::problem::Problem;
use tenantry_http::state::AppState;
use tenantry_http::writes::{Answer, Write};

/// Lists of more permissions than this are written in a transaction of their own.
const LARGE: usize = 100;

/// What can be given for a type of objects.
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

/// List the types of objects that permissions are about.
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

/// Get what can be given for a type of objects.
#[utoipa::path(
    get, path = "/api/v1/permissionable-object-types/{objectType}", tag = "permissions",
    params(("objectType" = String, Path, description = "Its name")),
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

/// The id of an object: an integer of 64 bits or a string of 1 to 255 characters, told as it was given. 563 and "563"
/// are one object.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
#[schema(as = ObjectId, example = 563)]
pub enum ObjectIdBody {
    /// As a number.
    Number(i64),
    /// As a text.
    Text(String),
}

/// What a group may do with one object.
#[derive(Debug, ToSchema)]
#[schema(as = ObjectPermissions, rename_all = "camelCase")]
#[expect(dead_code, reason = "documents ObjectPermissions")]
pub struct ObjectPermissionsBody {
    /// A type of the catalogue.
    #[schema(example = "SEGMENT")]
    object_type: String,
    /// Which object of that type.
    object_id: ObjectIdBody,
    /// Permissions on single objects of that type.
    #[schema(example = json!(["READ", "WRITE"]))]
    permissions: Vec<String>,
}

/// The id of an object: an integer, or a text that is one with the same digits.
pub(super) fn read_object_id(value: &Value) -> Result<ObjectId, Flaw> {
    match value {
        Value::String(text) => {
            values::object_id(text).map_err(Flaw::from)?;
            Ok(ObjectId { text: text.clone(), is_number: false })
        }
        Value::Number(number) if !number.is_f64() => {
            Ok(ObjectId { text: number.to_string(), is_number: true })
        }
        Value::Number(_) => {
            let detail =
                "must be an integer up to 64 bits, without fraction or exponent: send others as a string";
            Err(Flaw::from(("wrong-type", detail)))
        }
        other => Err(wrong_type("an integer or a string", other)),
    }
}

fn read_entry(catalogue: &Catalogue, mut fields: Fields) -> Result<ObjectPermissions> {
    let object_type = fields.required("objectType", |name| {
        catalogue
            .object_type(name)
            .ok_or_else(|| Flaw::from(("unknown-object-type", unknown_type(catalogue))))
    });
    let object_id = fields.required_value("objectId", read_object_id);
    let names = fields.required_value("permissions", |value| match value {
        Value::Array(list) if list.is_empty() => {
            Err(Flaw::from(("empty", "must name a permission: leave the object out to give none")))
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
        fields.fault(
            "permissions",
            ("unknown-permission", format!("there is no permission {shown:?}: {known}")),
        );
    }
    fields.finish_with(|| {
        // Each once: a hundred thousand doubled ones would be as many rows.
        let mut permissions: Vec<String> = Vec::new();
        for name in names? {
            if !permissions.contains(&name) {
                permissions.push(name);
            }
        }
        Some(ObjectPermissions { object_type: object_type?.name.clone(), object_id: object_id?, permissions })
    })
}

fn unknown_type(catalogue: &Catalogue) -> String {
    let names: Vec<&str> = catalogue.types().iter().map(|t| t.name.as_str()).take(20).collect();
    format!("there is no such object type: the first are {}", names.join(", "))
}

/// Reads a group's list. An object named twice is a fault, whichever way its id is written.
fn read_list(catalogue: &Catalogue, body: &[u8]) -> Result<Vec<ObjectPermissions>> {
    let list = object_list(body, |_, fields| read_entry(catalogue, fields))?;
    let mut seen = HashSet::new();
    let mut faults = Vec::new();
    for (index, entry) in list.iter().enumerate() {
        if !seen.insert((entry.object_type.as_str(), entry.object_id.text.as_str())) {
            let detail = "this object is in the list twice: give all its permissions in one place";
            faults.push(Fault::new(format!("/{index}/objectId"), "duplicate-object", detail));
        }
    }
    faults.truncate(100);
    if faults.is_empty() { Ok(list) } else { Err(Error::Invalid(faults)) }
}

/// List what a group may do with single objects.
#[utoipa::path(
    get, path = "/api/v1/groups/{groupId}/permissions", tag = "permissions",
    params(("groupId" = i64, Path, description = "Its number; an unknown one is 400 here")),
    responses((status = 200, description = "The list, as it was given", body = Vec<ObjectPermissionsBody>), InvalidError, AdminErrors),
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

/// Replace what a group may do with single objects: the whole list.
///
/// The new list is in force as a whole at once, when this is answered at the latest; until then others see the old one.
/// Lists of more than 5,000 permissions take longer, and one at a time is written for a partner: others wait, or are
/// answered `503` with `Retry-After`.
#[utoipa::path(
    put, path = "/api/v1/groups/{groupId}/permissions", tag = "permissions",
    params(
        ("groupId" = i64, Path, description = "Its number; an unknown one is 400 here"), ConditionParams, DryRunParams,
    ),
    request_body = Vec<ObjectPermissionsBody>,
    responses(
        (status = 200, description = "The list", body = Vec<ObjectPermissionsBody>),
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
        let (answer, new) = (Answer::ok(&*list)?, Replacement { group_id: id, list });
        let run = async |options| {
            permission_lists::replace(&app.store, &app.large_units, &by, options, new, answer).await
        };
        return write.run_by(run).await;
    }
    let write = if list.len() > LARGE { write.large() } else { write };
    write
        .run(&app, &by, move |tx| {
            permissions::replace(tx, id, &list)?;
            Answer::ok(&*list)
        })
        .await
}

/// Replace a group's wildcards: what it may do with all objects of a type.
#[utoipa::path(
    put, path = "/api/v1/groups/{groupId}/wildcards", tag = "permissions",
    params(
        ("groupId" = i64, Path, description = "Its number; an unknown one is 400 here"), ConditionParams, DryRunParams,
    ),
    request_body(content = Vec<String>, example = json!(["VIEW_ALL_SEGMENTS"])),
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
    let whole = app.clone();
    write
        .of(Target::Group(id))
        .run(&app, &by, move |tx| shown(&permissions::replace_wildcards(tx, id, &names)?, &whole))
        .await
}
