//! The JSON Schemas of what evaluations are asked with. They stand beside the reader (`asked.rs`), which is written by hand
//! since it runs on every request of a product.

use serde_json::{Value, json};

use super::{MAX_BATCH, SEMANTICS};

/// Additional members, which are ignored.
fn ignored() -> Value {
    json!({ "description": "Accepted and ignored." })
}

fn object_id() -> Value {
    json!({ "$ref": "#/components/schemas/ObjectId" })
}

/// The schemas of request bodies.
pub(crate) fn schemas() -> Vec<(&'static str, Value)> {
    let subject = json!({
        "type": "object", "description": "The subject: a user.", "required": ["type", "id"],
        "properties": {
            "type": { "type": "string", "example": "user", "description": "`user`; other types have no permissions." },
            "id": {
                "type": ["string", "number"], "example": "2",
                "description": "The user's id, as a string or an integer. Other values match no user.",
            },
            "properties": ignored(),
        },
    });
    let resource = json!({
        "type": "object", "description": "The resource: an object.", "required": ["type"],
        "properties": {
            "type": { "type": "string", "example": "SEGMENT", "description": "A type of the catalogue." },
            "id": object_id(),
            "properties": ignored(),
        },
    });
    let action = json!({
        "type": "object", "description": "The action.", "required": ["name"],
        "properties": {
            "name": {
                "type": "string", "example": "READ",
                "description": "A per-object permission of the resource's type, or one of its wildcards, which needs no `id`.",
            },
            "properties": ignored(),
        },
    });
    let refer = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    let question = json!({
        "subject": refer("Subject"), "action": refer("Action"), "resource": refer("Resource"), "context": ignored(),
    });
    let mut batch = question.clone();
    if let Some(batch) = batch.as_object_mut() {
        let partial = json!({
            "type": "object", "properties": question,
            "description": "An evaluation. Omitted members are taken from the top level.",
        });
        batch.insert(
            String::from("evaluations"),
            json!({
                "type": "array", "items": partial, "maxItems": MAX_BATCH,
                "description": "The evaluations. Without any the top-level one is decided, as by a single evaluation.",
            }),
        );
        let names = SEMANTICS.map(|(name, _)| name);
        batch.insert(
            String::from("options"),
            json!({
                "type": "object", "description": "Other options are ignored.",
                "properties": {
                    "evaluations_semantic": { "type": "string", "enum": names, "default": names.first() },
                    "explain": { "description": "`true` also returns the reason, as the query parameter does.", "example": true },
                },
            }),
        );
    }
    let user = json!({ "type": "user", "id": "2" });
    vec![
        ("Subject", subject),
        ("Action", action),
        ("Resource", resource),
        (
            "EvaluationRequest",
            json!({
                "type": "object", "description": "May this subject do this action to this resource?",
                "required": ["subject", "action", "resource"], "properties": question,
                "example": { "subject": user, "action": { "name": "READ" }, "resource": { "type": "SEGMENT", "id": "563" } },
            }),
        ),
        (
            "EvaluationsRequest",
            json!({
                "type": "object", "description": "Several evaluations.", "properties": batch,
                "example": {
                    "subject": user, "action": { "name": "READ" },
                    "evaluations": [
                        { "resource": { "type": "SEGMENT", "id": "563" } }, { "resource": { "type": "TRAIT", "id": "7" } },
                    ],
                    "options": { "evaluations_semantic": "execute_all" },
                },
            }),
        ),
    ]
}
