//! What every operation of the document has in common and would otherwise repeat: who may call it, the errors that
//! come before any rule is asked, and examples, which are made of those that stand at the properties.

use axum::http::Method;
use serde_json::{Map, Value, json};

use super::responses;
use tenantry_core::scopes::TokenScope;
use tenantry_http::extract::needed_scope;
use tenantry_http::incoming::{FORM, ORDINARY, too_large};
use tenantry_http::writes::dry_run_schema;

/// The methods of a path item (OpenAPI 3.1, Path Item Object).
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// The schemes by which callers say who they are, by the tag of the operation, and the scope that its method needs. Clients
/// of the token edge may also use the form, hence the empty alternative.
fn security(tag: &str, method: &str) -> Option<Value> {
    match tag {
        // Sent by POST, but they only read.
        "evaluations" => Some(json!([{ "login": [TokenScope::Read.name()] }])),
        "users" | "self" | "groups" | "permissions" | "events" | "branding" | "policy" | "clients" => {
            let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).ok()?;
            Some(json!([{ "login": [needed_scope(&method).name()] }]))
        }
        "operator" => Some(json!([{ "operator": [] }])),
        "oauth" => Some(json!([{ "client": [] }, {}])),
        _ => None,
    }
}

/// What kind of body an operation takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyKind {
    None,
    Json,
    Patch,
    Form,
    /// Rows of any number, read piece by piece.
    Rows,
    /// An image.
    Png,
}

impl BodyKind {
    fn of(body: Option<&Value>, method: &str) -> Self {
        let Some(body) = body else { return Self::None };
        let is_said = |kind: &str| body.get("content").is_some_and(|content| content.get(kind).is_some());
        if is_said("application/x-www-form-urlencoded") {
            Self::Form
        } else if is_said("application/x-ndjson") {
            Self::Rows
        } else if is_said("image/png") {
            Self::Png
        } else if method == "patch" {
            Self::Patch
        } else {
            Self::Json
        }
    }
}

/// What can be answered to any request, or to any request with such a body.
fn errors(body: BodyKind) -> Vec<(u16, String)> {
    let mut errors = vec![
        (400, "The request has errors, all listed under errors"),
        (500, "Internal server error: the log names the cause under the X-Request-Id of the response"),
        (503, "The server is busy: retry after Retry-After seconds"),
    ];
    if body != BodyKind::None {
        errors.push((408, "Timeout while receiving the body"));
    }
    match body {
        BodyKind::None => {}
        BodyKind::Form => errors.push((415, "The body is compressed")),
        BodyKind::Json => errors.push((415, "The Content-Type is not JSON in UTF-8, or the body is compressed")),
        BodyKind::Patch => errors.push((
            415,
            "The Content-Type is neither a merge patch nor JSON in UTF-8 (Accept-Patch lists the types), or the body is compressed",
        )),
        BodyKind::Rows => errors.push((
            415,
            "The Content-Type is neither NDJSON nor CSV in UTF-8, or the Content-Encoding is not gzip",
        )),
        BodyKind::Png => errors.push((415, "The Content-Type is not image/png, or the body is compressed")),
    }
    let mut errors: Vec<_> = errors.into_iter().map(|(status, text)| (status, text.to_owned())).collect();
    match body {
        BodyKind::None | BodyKind::Rows => {}
        BodyKind::Json | BodyKind::Patch | BodyKind::Png => errors.push((413, too_large(ORDINARY))),
        BodyKind::Form => errors.push((413, too_large(FORM))),
    }
    errors
}

/// An example of a problem document.
fn problem(status: u64) -> Option<Value> {
    let (title, code, detail) = match status {
        400 => ("Bad Request", "invalid", "the request has 1 error, listed in errors"),
        401 => ("Unauthorized", "invalid-token", "Invalid access token"),
        403 => ("Forbidden", "admin-required", "only partner admins may do this"),
        404 => ("Not Found", "user-not-found", "there is no such user"),
        408 => ("Request Timeout", "body-timeout", "the body did not arrive in time"),
        409 => ("Conflict", "username-taken", "this username is taken"),
        412 => (
            "Precondition Failed",
            "precondition-failed",
            "it was changed since it was read, or is not as If-Match or If-None-Match says: read it again; nothing was changed",
        ),
        413 => (
            "Payload Too Large",
            "body-too-large",
            "the body has more than 262144 bytes, the limit of this operation",
        ),
        415 => (
            "Unsupported Media Type",
            "unsupported-media-type",
            "send the body as Content-Type: application/json, in UTF-8",
        ),
        429 => ("Too Many Requests", "too-many-attempts", "too many attempts: try again in 287 s"),
        500 => (
            "Internal Server Error",
            "internal",
            "internal server error: the log names the cause under the X-Request-Id of this response",
        ),
        503 => ("Service Unavailable", "unavailable", "the server is busy: try again in 1 s"),
        _ => return None,
    };
    let mut document =
        json!({ "type": "about:blank", "title": title, "status": status, "detail": detail, "code": code });
    let error = match status {
        400 => Some(json!({ "field": "/username", "code": "required", "detail": "is missing" })),
        409 => Some(json!({ "field": "/username", "code": code, "detail": detail })),
        _ => None,
    };
    if let (Some(error), Some(document)) = (error, document.as_object_mut()) {
        document.insert("errors".to_owned(), json!([error]));
    }
    Some(document)
}

/// An example of the problem document about a compressed body.
fn compressed() -> Value {
    json!({
        "type": "about:blank", "title": "Unsupported Media Type", "status": 415, "code": "unsupported-encoding",
        "detail": "the body is compressed: send it without Content-Encoding; only imports may be gzip",
    })
}

/// Adds to a document what its operations have in common.
pub fn complete(mut document: Value) -> Value {
    if let Some(components) = document.get_mut("components").and_then(Value::as_object_mut) {
        components.insert(String::from("headers"), responses::shared_headers());
        let schemas = components.entry("schemas").or_insert_with(|| json!({}));
        if let Some(schemas) = schemas.as_object_mut() {
            let mut made = [tenantry_api::schemas(), tenantry_oauth::schemas()].concat();
            made.push(("DryRun", dry_run_schema()));
            schemas.extend(made.into_iter().map(|(name, schema)| (name.to_owned(), schema)));
            schemas.sort_keys();
        }
    }
    let schemas = document.pointer("/components/schemas").cloned().unwrap_or_default();
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for path in paths.into_iter().flat_map(Map::values_mut) {
        for method in METHODS {
            if let Some(operation) = path.get_mut(method).and_then(Value::as_object_mut) {
                complete_operation(method, operation, &schemas);
            }
        }
    }
    document
}

fn complete_operation(method: &str, operation: &mut Map<String, Value>, schemas: &Value) {
    let tag = operation.get("tags").and_then(|tags| tags.get(0)).and_then(Value::as_str).unwrap_or_default();
    if let Some(security) = security(tag, method) {
        // An operation that says itself that anybody may call it keeps its word.
        operation.entry("security").or_insert(security);
    }
    responses::add_conditions(operation);
    responses::add_dry_run(operation);
    let body = operation.get_mut("requestBody");
    let kind = BodyKind::of(body.as_deref(), method);
    if let Some(body) = body {
        give_examples(body, schemas, None);
        if let Some(body) = body.as_object_mut() {
            body.insert(String::from("required"), json!(true));
        }
    }
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    for (status, description) in errors(kind) {
        responses.entry(status.to_string()).or_insert_with(|| {
            let schema = json!({ "$ref": "#/components/schemas/Problem" });
            let content = match (kind, status) {
                (BodyKind::Form, 415) => json!({ "schema": schema, "example": compressed() }),
                _ => json!({ "schema": schema }),
            };
            json!({ "description": description, "content": { "application/problem+json": content } })
        });
    }
    responses.sort_keys();
    for (status, response) in responses {
        give_examples(response, schemas, status.parse().ok());
    }
    responses::add_headers(method, operation);
}

/// Gives each content its example, unless it has one.
fn give_examples(holder: &mut Value, schemas: &Value, status: Option<u64>) {
    let contents = holder.get_mut("content").and_then(Value::as_object_mut);
    for (kind, content) in contents.into_iter().flatten() {
        let Some(content) = content.as_object_mut().filter(|content| !content.contains_key("example")) else {
            continue;
        };
        let example = match status.filter(|_| kind == "application/problem+json").and_then(problem) {
            Some(example) => Some(example),
            None => content.get("schema").and_then(|schema| example(schema, schemas)),
        };
        if let Some(example) = example {
            content.insert("example".to_owned(), example);
        }
    }
}

/// An example of a schema: its own, or one made of its properties'. None = nothing can be said, which leaves a
/// property out where it may be left out.
fn example(schema: &Value, schemas: &Value) -> Option<Value> {
    if let Some(own) = schema.get("example") {
        return Some(own.clone());
    }
    if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|r| r.rsplit('/').next()) {
        return example(schemas.get(name)?, schemas);
    }
    if let Some(choices) = schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(Value::as_array) {
        return choices.iter().find_map(|choice| example(choice, schemas));
    }
    if let Some(parts) = schema.get("allOf").and_then(Value::as_array) {
        let mut whole = Map::new();
        for part in parts {
            if let Some(Value::Object(part)) = example(part, schemas) {
                whole.extend(part);
            }
        }
        return Some(Value::Object(whole));
    }
    let kind = schema.get("type")?;
    if kind.as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "null")) {
        return Some(Value::Null);
    }
    match kind.as_str()? {
        "object" => Some(object_example(schema, schemas)),
        "array" => Some(Value::Array(example(schema.get("items")?, schemas).into_iter().collect())),
        "boolean" => Some(json!(false)),
        // Ids, in lists of them.
        "integer" => Some(json!(2)),
        _ => None,
    }
}

fn object_example(schema: &Value, schemas: &Value) -> Value {
    let required = schema.get("required").and_then(Value::as_array);
    let must = |name: &str| required.is_some_and(|names| names.iter().any(|n| n == name));
    let mut object = Map::new();
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        // What may be left out is left out, unless somebody thought of an example for it.
        let is_shown = must(name) || property.get("example").is_some();
        if let Some(example) = is_shown.then(|| example(property, schemas)).flatten() {
            object.insert(name.clone(), example);
        }
    }
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_are_made_of_those_of_the_properties() {
        let schemas = json!({
            "Pet": {
                "type": "object", "required": ["name", "nick", "owner", "ids"],
                "properties": {
                    "name": { "type": "string", "example": "Tib" },
                    "nick": { "type": ["string", "null"] },
                    "left_out": { "type": "boolean" },
                    "shown": { "type": "boolean", "example": true },
                    "ids": { "type": "array", "items": { "type": "integer" } },
                    "owner": { "oneOf": [{ "type": "null" }, { "$ref": "#/components/schemas/Owner" }] },
                },
            },
            "Owner": { "allOf": [
                { "type": "object", "required": ["a"], "properties": { "a": { "type": "integer", "example": 1 } } },
                { "type": "object", "required": ["b"], "properties": { "b": { "type": "boolean" } } },
            ] },
        });
        assert_eq!(
            example(&json!({ "type": "array", "items": { "$ref": "#/components/schemas/Pet" } }), &schemas),
            Some(
                json!([{ "name": "Tib", "nick": null, "shown": true, "ids": [2], "owner": { "a": 1, "b": false } }])
            )
        );
        assert_eq!(example(&json!({ "type": "string" }), &schemas), None);
    }
}
