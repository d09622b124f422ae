//! Evaluations as the OpenID AuthZEN Authorization API 1.0 has them: batches, and what is wrong with a question.

use reqwest::Method;
use serde_json::{Value, json};

use super::{EVALUATION, entry, give, question, user_in};
use crate::fixtures::with;
use crate::harness::{T, TestResponse};

#[tokio::test]
async fn c_authzen_batches() {
    let t = T::start().await;
    let admin = t.admin().await;
    let group = admin.create_group("Editors").await;
    let user = user_in(&admin, "ada", json!([group])).await;
    give(
        &admin,
        group,
        json!([entry("SEGMENT", json!(1), json!(["READ"])), entry("SEGMENT", json!(3), json!(["READ"]))]),
    )
    .await
    .expect(200);
    let subject = json!({ "type": "user", "id": user.to_string(), "properties": { "department": "x" } });
    let item = |id: i64| json!({ "resource": { "type": "SEGMENT", "id": id.to_string() } });
    let batch = json!({
        "subject": subject, "action": { "name": "READ", "properties": {} }, "context": { "time": "now" },
        "evaluations": [item(1), item(2), item(3)],
    });
    let ask = async |body: Value| admin.post("/access/v1/evaluations", &body).await;
    let decisions = |response: &TestResponse| -> Vec<bool> {
        response.body["evaluations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|d| d["decision"].as_bool().unwrap())
            .collect()
    };
    for (semantic, expected) in [
        (json!({}), vec![true, false, true]),
        (json!({ "evaluations_semantic": "execute_all", "another_option": 1 }), vec![true, false, true]),
        (json!({ "evaluations_semantic": "deny_on_first_deny" }), vec![true, false]),
        (json!({ "evaluations_semantic": "permit_on_first_permit" }), vec![true]),
    ] {
        let response = ask(with(&batch, json!({ "options": semantic }))).await.expect(200);
        assert_eq!(decisions(&response), expected, "{semantic}");
        assert_eq!(response.body.as_object().unwrap().len(), 1);
    }
    // What an item has of its own counts before the top's.
    let own =
        with(&item(1), json!({ "action": { "name": "WRITE" }, "subject": { "type": "user", "id": "1" } }));
    assert_eq!(
        decisions(&ask(with(&batch, json!({ "evaluations": [item(1), own] }))).await.expect(200)),
        [true, false]
    );
    // Without items it is the single question.
    for list in [json!({}), json!({ "evaluations": [] })] {
        let single = with(&with(&batch, json!({ "resource": item(1)["resource"] })), list);
        let single = if single["evaluations"] == json!([]) {
            single
        } else {
            crate::fixtures::without(&single, &["evaluations"])
        };
        assert_eq!(ask(single).await.expect(200).body, json!({ "decision": true }));
    }
    // The option asks for reasons as the query does, and unknown things are a plain no.
    let odd = json!([
        item(2),
        { "action": { "name": "FLY" }, "resource": { "type": "SEGMENT", "id": "1" } },
        { "resource": { "type": "PLANET", "id": "1" } },
        { "action": { "name": "VIEW_TAGS" }, "resource": { "type": "TAGS" } },
    ]);
    let reasons =
        ask(with(&batch, json!({ "evaluations": odd, "options": { "explain": true } }))).await.expect(200);
    let told: Vec<&str> = reasons.body["evaluations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d["context"]["reason"].as_str().unwrap())
        .collect();
    assert_eq!(told, ["not-granted", "unknown-action", "unknown-resource-type", "not-granted"]);
    assert_eq!(decisions(&reasons), [false; 4]);
    let thousand: Vec<Value> = (0..1_000).map(item).collect();
    let response = ask(with(&batch, json!({ "evaluations": thousand }))).await.expect(200);
    assert_eq!(decisions(&response).iter().filter(|d| **d).count(), 2);
    let more: Vec<Value> = (0..1_001).map(item).collect();
    for (change, faults) in [
        (json!({ "evaluations": more }), vec!["/evaluations too-many"]),
        (json!({ "evaluations": {} }), vec!["/evaluations wrong-type"]),
        (json!({ "evaluations": [1] }), vec!["/evaluations/0 wrong-type"]),
        (json!({ "evaluations": [item(1), {}] }), vec!["/evaluations/1/resource required"]),
        (
            json!({ "subject": 1 }),
            vec![
                "/evaluations/0/subject wrong-type",
                "/evaluations/1/subject wrong-type",
                "/evaluations/2/subject wrong-type",
            ],
        ),
        (
            json!({ "options": { "evaluations_semantic": "all" } }),
            vec!["/options/evaluations_semantic wrong-value"],
        ),
        (json!({ "options": 1 }), vec!["/options wrong-type"]),
    ] {
        assert_eq!(ask(with(&batch, change)).await.expect(400).faults(), faults);
    }
}

#[tokio::test]
async fn c_all_errors_of_an_evaluation_are_reported() {
    let t = T::start().await;
    let admin = t.admin().await;
    for (body, faults) in [
        (json!({}), vec!["/subject required", "/action required", "/resource required"]),
        (
            json!({ "subject": {}, "action": {}, "resource": {} }),
            vec!["/subject/type required", "/action/name required", "/resource/type required"],
        ),
        (
            json!({ "subject": { "type": "user" }, "action": { "name": "READ" }, "resource": { "type": "SEGMENT" } }),
            vec!["/subject/id required", "/resource/id required"],
        ),
        (
            json!({ "subject": { "type": "user", "id": [] }, "action": { "name": 1 }, "resource": { "type": 1, "id": "1" } }),
            vec!["/subject/id wrong-type", "/action/name wrong-type", "/resource/type wrong-type"],
        ),
        (
            json!({ "subject": null, "action": [{ "name": "READ" }], "resource": "SEGMENT" }),
            vec!["/subject wrong-type", "/action wrong-type", "/resource wrong-type"],
        ),
        (
            json!({ "subject": true, "action": -1, "resource": 0.5 }),
            vec!["/subject wrong-type", "/action wrong-type", "/resource wrong-type"],
        ),
        (json!([]), vec![" wrong-type"]),
        (json!(1), vec![" wrong-type"]),
    ] {
        assert_eq!(admin.post(EVALUATION, &body).await.expect(400).faults(), faults, "{body}");
    }
    admin
        .post("/access/v1/evaluation?explian=true", &question(&json!(1), "READ", "SEGMENT", &json!(1)))
        .await
        .expect(400);
}

#[tokio::test]
async fn c_of_a_question_only_the_members_that_count_are_looked_at() {
    let t = T::start().await;
    let admin = t.admin().await;
    let group = admin.create_group("Editors").await;
    let user = user_in(&admin, "ada", json!([group])).await;
    give(&admin, group, json!([entry("SEGMENT", json!(1), json!(["READ"]))])).await.expect(200);
    // Of a member that comes twice the last counts, and one that does not count must be JSON all the same.
    let text = |more: &str| {
        format!(
            r#"{{"subject":{{"type":"user","id":9}},"action":{{"name":"READ"}},"resource":{{"type":"SEGMENT","id":1}},{more}}}"#
        )
    };
    let send = async |body: String| {
        admin.send(Method::POST, EVALUATION, Some(body.into_bytes()), "application/json").await
    };
    let twice = format!(r#""subject":{{"id":7,"type":"user","id":{user}}}"#);
    assert_eq!(send(text(&twice)).await.expect(200).body, json!({ "decision": true }));
    let ignored = r#""context":{"list":[{"a":null},"b",[1.5]]},"x":"y""#;
    assert_eq!(send(text(ignored)).await.expect(200).body, json!({ "decision": false }));
    for broken in [r#""context":{"a":"\ud800"}"#, r#""context":{"a":[1,]}"#, r#""context":"#] {
        assert_eq!(send(text(broken)).await.expect(400).faults(), [" malformed-json"], "{broken}");
    }
    assert_eq!(
        admin
            .post("/access/v1/evaluation/", &question(&json!(user), "READ", "SEGMENT", &json!("1")))
            .await
            .expect(200)
            .body["decision"],
        true
    );
}
