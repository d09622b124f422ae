//! What responses have in common beside errors: headers, and dry runs.

use serde_json::{Map, Value, json};

use tenantry_http::parameters::{DRY_RUN, IDEMPOTENCY_KEY, IF_MATCH, IF_NONE_MATCH, PAGE_SIZE, Parameter};

/// The headers that `components` describes once.
pub fn shared_headers() -> Value {
    json!({
        "X-Request-Id": {
            "description": "The id of the request: sent by the client, or new. It is in the server's log.",
            "required": true, "schema": { "type": "string", "minLength": 1 },
        },
        "WWW-Authenticate": {
            "description": "How to authenticate, and what is wrong with the token (RFC 6750).",
            "required": true, "schema": { "type": "string" },
        },
        "Retry-After": {
            "description": "The number of seconds to wait before a retry.",
            "required": true, "schema": { "type": "integer", "minimum": 1 },
        },
        "Accept-Encoding": {
            "description": "If the body has a content coding that is not accepted: those that are, `identity` or `gzip, identity`.",
            "schema": { "type": "string" },
        },
        "Accept-Patch": {
            "description": "The media types of patches (RFC 5789).",
            "required": true, "schema": { "type": "string" },
        },
        "Link": {
            "description": "The next page, as `<path>; rel=\"next\"` (RFC 8288); absent on the last page.",
            "schema": { "type": "string" },
        },
        "Idempotency-Replayed": {
            "description": "`true` if this is the first response to the `Idempotency-Key`, replayed.",
            "schema": { "type": "string", "enum": ["true"] },
        },
    })
}

/// Whether an operation has a parameter.
pub fn takes(operation: &Map<String, Value>, parameter: &Parameter) -> bool {
    let parameters = operation.get("parameters").and_then(Value::as_array);
    parameters.into_iter().flatten().any(|own| own.get("name").is_some_and(|name| name == parameter.name))
}

/// Adds the parameters that follow from the responses of an operation: `412` or `304` depend on an entity tag.
pub fn add_conditions(operation: &mut Map<String, Value>) {
    let can_answer = |operation: &Map<String, Value>, status: &str| {
        operation.get("responses").is_some_and(|responses| responses.get(status).is_some())
    };
    for (status, parameter) in [("412", &IF_MATCH), ("304", &IF_NONE_MATCH)] {
        if can_answer(operation, status) {
            let document = serde_json::to_value(parameter.document()).unwrap_or_default();
            let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
            parameters.as_array_mut().into_iter().for_each(|all| all.push(document.clone()));
        }
    }
}

/// Adds the response of a dry run to operations that support it.
pub fn add_dry_run(operation: &mut Map<String, Value>) {
    if !takes(operation, &DRY_RUN) {
        return;
    }
    let preview = json!({ "$ref": "#/components/schemas/DryRun" });
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    let Some(done) = responses.get_mut("200").and_then(Value::as_object_mut) else {
        let content = json!({ "application/json": { "schema": preview } });
        let description = "With `dryRun`: what would happen";
        responses.insert(String::from("200"), json!({ "description": description, "content": content }));
        return;
    };
    if let Some(description) = done.get_mut("description") {
        let text = description.as_str().unwrap_or_default();
        *description = json!(format!("{text}. With `dryRun`: what would happen"));
    }
    if let Some(schema) =
        done.get_mut("content").and_then(|content| content.pointer_mut("/application~1json/schema"))
    {
        *schema = json!({ "oneOf": [schema.take(), preview] });
    }
}

/// Adds the headers that a response of an operation has.
pub fn add_headers(method: &str, operation: &mut Map<String, Value>) {
    let (is_page, is_once, is_tried) =
        (takes(operation, &PAGE_SIZE), takes(operation, &IDEMPOTENCY_KEY), takes(operation, &DRY_RUN));
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    for (status, response) in responses {
        let Some(response) = response.as_object_mut() else { continue };
        let headers = response.entry("headers").or_insert_with(|| json!({}));
        let Some(headers) = headers.as_object_mut() else { continue };
        let mut share = |name: &str| {
            let reference = format!("#/components/headers/{name}");
            headers.insert(name.to_owned(), json!({ "$ref": reference }));
        };
        share("X-Request-Id");
        let is_success = status.starts_with('2');
        match status.as_str() {
            "200" if is_page => share("Link"),
            "401" => share("WWW-Authenticate"),
            "415" => {
                share("Accept-Encoding");
                if method == "patch" {
                    share("Accept-Patch");
                }
            }
            "429" | "503" => share("Retry-After"),
            _ => {}
        }
        if is_success && is_once {
            share("Idempotency-Replayed");
        }
        if status == "403" {
            let challenge = json!({
                "description": "The scope that the request needs, if the token lacks it (RFC 6750).",
                "schema": { "type": "string" },
            });
            headers.insert(String::from("WWW-Authenticate"), challenge);
        }
        if status == "304" {
            headers.insert(String::from("ETag"), json!({}));
        }
        if let Some(tag) = headers.get_mut("ETag") {
            // A dry run shows what is not there.
            let is_always_there = !(is_tried && status == "200");
            *tag = json!({
                "description": "The version of the resource, for `If-Match` and `If-None-Match`.",
                "required": is_always_there, "schema": { "type": "string", "pattern": "^\"[^\"]+\"$" },
            });
        }
        if let Some(location) = headers.get_mut("Location") {
            *location = json!({
                "description": "The path of the created resource.", "required": true,
                "schema": { "type": "string", "format": "uri-reference" },
            });
        }
        headers.sort_keys();
    }
}
