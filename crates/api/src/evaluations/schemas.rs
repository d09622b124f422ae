//! The JSON Schemas of what evaluations are asked with. They stand beside the reader (`asked.rs`), which is written by hand
//! since it runs on every request of a product.

use serde_json::{Value, json};

use super::{MAX_BATCH, SEMANTICS};

/// What somebody may add, and nobody reads.
fn ignored() -> Value {
    json!({ "description": "Accepted and ignored." })
}

fn object_id() -> Value {
    json!({ "$ref": "#/components/schemas/ObjectId" })
}

/// The schemas of request bodies.
pub(crate) fn schemas() -> Vec<(&'static str, Value)> {
    let subject = json!({
        "type": "object", "description": "Who: a user.", "required": ["type", "id"],
        "properties": {
            "type": { "type": "string", "example": "user", "description": "`user`; nothing else may do anything." },
            "id": {
                "type": ["string", "number"], "example": "2",
                "description": "The user's id, as a string or an integer. Anything else is nobody's.",
            },
            "properties": ignored(),
        },
    });
    let resource = json!({
        "type": "object", "description": "On what: an object.", "required": ["type"],
        "properties": {
            "type": { "type": "string", "example": "SEGMENT", "description": "A type of the catalogue." },
            "id": object_id(),
            "properties": ignored(),
        },
    });
    let action = json!({
        "type": "object", "description": "What.", "required": ["name"],
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
            "description": "A question. What it leaves out is taken from the top.",
        });
        batch.insert(
            String::from("evaluations"),
            json!({
                "type": "array", "items": partial, "maxItems": MAX_BATCH,
                "description": "The questions. Without any the question at the top is answered, as by a single evaluation.",
            }),
        );
        let names = SEMANTICS.map(|(name, _)| name);
        batch.insert(
            String::from("options"),
            json!({
                "type": "object", "description": "Other options are ignored.",
                "properties": {
                    "evaluations_semantic": { "type": "string", "enum": names, "default": names.first() },
                    "explain": { "description": "`true` also tells why, as the query parameter does.", "example": true },
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
                "type": "object", "description": "Many such questions.", "properties": batch,
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
