//! `?dryRun=true`: what would happen, exactly, and nothing happens.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::fixtures::{ids, with, without};
use crate::harness::{Person, T, TestResponse, new_user, password_of};

/// Everything that a write could change.
async fn state(t: &T, admin: &Person<'_>) -> Value {
    let mails: Vec<i64> = t.mails().await.iter().map(|mail| mail.id).collect();
    let sessions = admin.get("/api/v1/users/2/sessions?pageSize=100").await;
    let operator = t.operator().await;
    json!({
        "users": admin.everybody().await,
        "groups": admin.get("/api/v1/groups").await.expect(200).body,
        "permissions": admin.get("/api/v1/groups/1/permissions").await.expect(200).body,
        "deleted": admin.get("/api/v1/users/deleted").await.expect(200).body,
        "total": admin.get("/api/v1/users?page=0").await.expect(200).body["total"],
        "found": admin.get("/api/v1/users?search=e&page=0").await.expect(200).body,
        "events": admin.events().await,
        "sessions": sessions.body,
        "partners": operator.get("/operator/v1/partners").await.expect(200).body,
        "clients": operator.get("/operator/v1/clients?pid=1").await.expect(200).body,
        "product clients": operator.get("/operator/v1/clients").await.expect(200).body,
        "mails": mails,
    })
}

async fn send(person: &Person<'_>, method: &Method, path: &str, body: &Value) -> TestResponse {
    if body.is_null() {
        return person.send(method.clone(), path, None, "").await;
    }
    person.send(method.clone(), path, Some(body.to_string().into_bytes()), "application/json").await
}

/// Users 2 and 3 in a group each, user 4 deleted, a client with one secret and one with two.
async fn populate(t: &T) -> (i64, i64) {
    let admin = t.admin().await;
    let (id, _) = t.member("fenna").await;
    let (one, two) = (admin.create_group("One").await, admin.create_group("Two").await);
    admin.patch(&format!("/api/v1/users/{id}"), &json!({ "groups": [one, two] })).await.expect(200);
    admin.create_with(&with(&new_user("lena"), json!({ "groups": [one] }))).await;
    let permissions = json!([{ "objectType": "SEGMENT", "objectId": 563, "permissions": ["READ", "WRITE"] }]);
    admin.put(&format!("/api/v1/groups/{one}/permissions"), &permissions).await.expect(200);
    admin.put(&format!("/api/v1/groups/{one}/wildcards"), &json!(["VIEW_ALL_TRAITS"])).await.expect(200);
    let gone = admin.create("gone").await;
    admin.delete(&format!("/api/v1/users/{}", gone["userId"])).await.expect(204);
    for name in ["cl_1_dry", "cl_1_two"] {
        let (client, _) = t.client(1, false).await;
        t.run_sql(&format!("UPDATE clients SET client_id = '{name}' WHERE client_id = '{client}'"));
    }
    admin.post("/api/v1/clients/cl_1_two/secrets", &json!({})).await.expect(201);
    (one, two)
}

/// Every write, in an order in which each can still be done.
fn writes() -> Vec<(Method, &'static str, Value, u16)> {
    vec![
        (Method::POST, "/api/v1/users", with(&new_user("new"), json!({ "groups": [1] })), 201),
        (Method::PUT, "/api/v1/users/2", with(&new_user("fenna2"), json!({ "status": "LOCKED" })), 200),
        (
            Method::PATCH,
            "/api/v1/users/2",
            json!({ "isAdmin": true, "email": "x@example.com", "groups": [] }),
            200,
        ),
        (Method::POST, "/api/v1/users/bulk", json!([new_user("b1"), new_user("b2")]), 200),
        (Method::PATCH, "/api/v1/users/bulk", json!({ "ids": [2, 3], "patch": { "title": "T" } }), 200),
        (Method::POST, "/api/v1/users/4/restore", Value::Null, 200),
        (Method::DELETE, "/api/v1/users/deleted/4", Value::Null, 204),
        (
            Method::PUT,
            "/self/update",
            json!({ "status": "ACTIVE", "firstName": "A", "lastName": "B", "email": "a@example.com" }),
            200,
        ),
        (Method::PATCH, "/self", json!({ "title": "Boss" }), 200),
        (Method::DELETE, "/api/v1/users/2/sessions", Value::Null, 204),
        (Method::DELETE, "/api/v1/users/self/sessions", Value::Null, 204),
        (Method::DELETE, "/api/v1/users/2/factors", Value::Null, 204),
        (Method::PATCH, "/api/v1/policy", json!({ "secondFactor": "everybody" }), 200),
        (Method::DELETE, "/api/v1/users/2", Value::Null, 204),
        (Method::POST, "/api/v1/users/bulk-delete", json!([2, 3]), 204),
        (Method::POST, "/api/v1/groups", json!({ "name": "New" }), 201),
        (Method::PUT, "/api/v1/groups/1", json!({ "name": "Newer" }), 200),
        (Method::PATCH, "/api/v1/groups/1", json!({ "description": "D" }), 200),
        (Method::PATCH, "/api/v1/groups/2", json!({ "parentGroupId": 1 }), 200),
        (Method::PUT, "/api/v1/groups/2/users/3", Value::Null, 204),
        (Method::DELETE, "/api/v1/groups/1/users/2", Value::Null, 204),
        (Method::POST, "/api/v1/groups/2/users", json!([1, 3]), 204),
        (Method::DELETE, "/api/v1/groups/1/users", json!([2, 3]), 204),
        (Method::PUT, "/api/v1/groups/1/wildcards", json!(["VIEW_ALL_SEGMENTS"]), 200),
        (
            Method::PUT,
            "/api/v1/groups/1/permissions",
            json!([{ "objectType": "SEGMENT", "objectId": "x", "permissions": ["READ"] }]),
            200,
        ),
        (Method::DELETE, "/api/v1/groups/1", Value::Null, 204),
        (Method::POST, "/api/v1/groups/bulk-delete", json!([1, 2]), 204),
        (Method::DELETE, "/api/v1/groups/bulk-delete", json!([1, 2]), 204),
        (
            Method::POST,
            "/api/v1/clients",
            json!({ "name": "New", "redirectUris": ["https://new.example/cb"] }),
            201,
        ),
        (Method::PUT, "/api/v1/clients/cl_1_dry", json!({ "name": "Other" }), 200),
        (Method::PATCH, "/api/v1/clients/cl_1_dry", json!({ "scopes": ["read"] }), 200),
        (Method::POST, "/api/v1/clients/cl_1_dry/secrets", json!({}), 201),
        (Method::DELETE, "/api/v1/clients/cl_1_two/secrets/1", Value::Null, 204),
        (Method::DELETE, "/api/v1/clients/cl_1_dry", Value::Null, 204),
    ]
}

fn operator_writes() -> Vec<(Method, &'static str, Value, u16)> {
    vec![
        (
            Method::POST,
            "/operator/v1/partners",
            json!({ "name": "P", "adminUsername": "pa", "adminEmail": "p@example.com" }),
            201,
        ),
        (Method::PATCH, "/operator/v1/partners/1", json!({ "name": "Other", "suspended": true }), 200),
        (Method::DELETE, "/operator/v1/partners/1?force=true", Value::Null, 204),
        (
            Method::POST,
            "/operator/v1/clients",
            json!({ "name": "New", "redirectUris": ["https://new.example/cb"], "partners": [1] }),
            201,
        ),
        (Method::POST, "/operator/v1/clients", json!({ "name": "New", "pid": 1 }), 201),
        (Method::PUT, "/operator/v1/clients/cl_1_dry", json!({ "name": "Other" }), 200),
        (Method::PATCH, "/operator/v1/clients/cl_1_dry", json!({ "name": "Other" }), 200),
        (Method::POST, "/operator/v1/clients/cl_1_dry/secrets", json!({}), 201),
        (Method::DELETE, "/operator/v1/clients/cl_1_two/secrets/1", Value::Null, 204),
        (Method::DELETE, "/operator/v1/clients/cl_1_dry", Value::Null, 204),
    ]
}

#[tokio::test]
async fn every_write_can_be_tried_and_changes_nothing() {
    let t = T::start().await;
    populate(&t).await;
    let (admin, operator) = (t.admin().await, t.operator().await);
    let before = state(&t, &admin).await;
    let all = writes()
        .into_iter()
        .map(|w| (&admin, w))
        .chain(operator_writes().into_iter().map(|w| (&operator, w)));
    for (person, (method, path, body, status)) in all {
        let query = if path.contains('?') { "&dryRun=true" } else { "?dryRun=true" };
        let response = send(person, &method, &format!("{path}{query}"), &body).await.expect(200);
        assert_eq!(
            (&response.body["dryRun"], &response.body["status"]),
            (&json!(true), &json!(status)),
            "{path}"
        );
        let names: Vec<&String> = response.body.as_object().unwrap().keys().collect();
        assert_eq!(names, ["dryRun", "status", "result", "effects"]);
        assert_eq!(response.body["result"].is_null(), status == 204, "{path}: {}", response.text);
        assert_eq!((response.header("location"), response.header("etag")), ("", ""));
        assert_eq!(state(&t, &admin).await, before, "{method} {path}");
    }
}

/// Every operation that writes takes `dryRun`, but for those that would tell secrets.
#[test]
fn every_write_of_the_document_is_here() {
    let document = tenantry::router::document();
    let mut missing = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap().iter().filter(|(method, _)| *method != "get") {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            if !parameters.into_iter().any(|parameter| parameter["name"] == "dryRun") {
                missing.insert(format!("{method} {path}"));
            }
        }
    }
    let refused = [
        // These ask, and write nothing.
        "post /access/v1/evaluation",
        "post /access/v1/evaluations",
        "post /api/v1/users/forgot-password",
        "post /api/v1/users/self/factors",
        "post /api/v1/users/self/factors/confirm",
        "post /api/v1/users/self/factors/recovery-codes",
        "post /api/v1/users/self/reset-password",
        "post /api/v1/users/self/update-password",
        "post /api/v1/users/{userId}/reset-password",
        "post /oauth/introspect",
        "post /oauth/revoke",
        "post /oauth/token",
        "put /api/v1/users/self/reset-password",
        "put /api/v1/users/self/update-password",
    ];
    assert_eq!(missing, BTreeSet::from(refused.map(String::from)));
}

/// The places of a response, as JSON Pointers, at which ids stand and are null.
fn null_ids(result: &Value, place: &str, found: &mut BTreeSet<String>) {
    match result {
        Value::Object(members) => members.iter().for_each(|(name, value)| {
            let place = format!("{place}/{name}");
            if ["userId", "groupId", "pid", "sessionId", "clientId"].contains(&name.as_str())
                && value.is_null()
            {
                found.insert(place);
            } else {
                null_ids(value, &place, found);
            }
        }),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(n, value)| null_ids(value, &format!("{place}/{n}"), found));
        }
        _ => {}
    }
}

/// The same without what stands at these places.
fn without_places(mut result: Value, places: &BTreeSet<String>) -> Value {
    for place in places {
        if let Some(value) = result.pointer_mut(place) {
            *value = Value::Null;
        }
    }
    result
}

/// At which places a write shows the id of something that it makes.
fn new_ids(method: &Method, path: &str) -> BTreeSet<String> {
    let places: &[&str] = match (method.as_str(), path) {
        ("POST", "/api/v1/users") => &["/userId"],
        ("POST", "/api/v1/groups") => &["/groupId"],
        ("POST", "/api/v1/users/bulk") => &["/results/0/userId", "/results/1/userId"],
        ("POST", "/operator/v1/partners") => &["/pid", "/admin/pid", "/admin/userId"],
        ("POST", "/api/v1/clients" | "/operator/v1/clients") => &["/clientId"],
        _ => &[],
    };
    places.iter().map(|place| (*place).to_owned()).collect()
}

#[tokio::test]
async fn the_dry_run_predicts_the_result() {
    // Each write alone, on a partner of its own that nothing else has changed.
    let operators = operator_writes().into_iter().map(|write| (true, write));
    for (is_operator, (method, path, body, status)) in
        writes().into_iter().map(|write| (false, write)).chain(operators)
    {
        let t = T::start().await;
        populate(&t).await;
        let admin = if is_operator { t.operator().await } else { t.admin().await };
        let told = send(
            &admin,
            &method,
            &format!("{path}{}dryRun=true", if path.contains('?') { '&' } else { '?' }),
            &body,
        )
        .await
        .expect(200)
        .body;
        let done = send(&admin, &method, path, &body).await.expect(status);
        // Ids that were not given out are null, and no other ones.
        let (mut null, mut null_at_last) = (BTreeSet::new(), BTreeSet::new());
        null_ids(&told["result"], "", &mut null);
        null_ids(&done.body, "", &mut null_at_last);
        // A product client is no partner's.
        let is_product = done.body["clientId"].as_str().is_some_and(|id| id.starts_with("cl_0_"));
        let null_at_last: Vec<_> = null_at_last.into_iter().collect();
        assert_eq!(null_at_last, if is_product { vec!["/pid"] } else { Vec::new() }, "{method} {path}");
        null.retain(|place| !null_at_last.contains(place));
        assert_eq!(null, new_ids(&method, path), "{method} {path}");
        assert!(!told.to_string().contains("location"), "{told}");
        // A secret is in the answer of the write alone.
        assert!(!told.to_string().contains("clientSecret"), "{told}");
        let mut done = done.body;
        if let Some(members) = done.as_object_mut() {
            members.remove("clientSecret");
        }
        assert_eq!(told["result"], without_places(done, &null), "{method} {path}");
    }
}

#[tokio::test]
async fn a_dry_run_of_a_deletion_reports_its_effects() {
    let t = T::start().await;
    let (one, two) = populate(&t).await;
    let admin = t.admin().await;
    let sessions: Vec<String> = {
        let list = admin.get("/api/v1/users/2/sessions").await.expect(200);
        list.list().iter().map(|session| session["sessionId"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(sessions.len(), 2);
    let effects = async |method: Method, path: &str, body: Value| {
        send(&admin, &method, &format!("{path}?dryRun=true"), &body).await.expect(200).body["effects"].clone()
    };
    let single = effects(Method::DELETE, "/api/v1/users/2", Value::Null).await;
    assert_eq!(
        without(&single, &["sessions", "counts"]),
        json!({
            "isComplete": true, "users": [2], "permissions": [],
            "memberships": [{ "groupId": one, "userId": 2 }, { "groupId": two, "userId": 2 }],
        })
    );
    let counts = json!({ "users": 1, "memberships": 2, "sessions": 2, "permissions": 0 });
    assert_eq!(single["counts"], counts);
    let listed: BTreeSet<String> = single["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|session| session["sessionId"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(listed, sessions.into_iter().collect());
    let bulk = effects(Method::POST, "/api/v1/users/bulk-delete", json!([3, 2])).await;
    assert_eq!((&bulk["users"], &bulk["counts"]["memberships"]), (&json!([2, 3]), &json!(3)));
    for (method, path, body) in [
        (Method::DELETE, format!("/api/v1/groups/{one}"), Value::Null),
        (Method::POST, String::from("/api/v1/groups/bulk-delete"), json!([one])),
    ] {
        let group = effects(method, &path, body).await;
        assert_eq!(
            (&group["memberships"], &group["users"], &group["sessions"]),
            (
                &json!([{ "groupId": one, "userId": 2 }, { "groupId": one, "userId": 3 }]),
                &json!([]),
                &json!([])
            )
        );
        assert_eq!(group["counts"], json!({ "users": 0, "memberships": 2, "sessions": 0, "permissions": 3 }));
        let on_object = |name: &str| json!({ "groupId": one, "objectType": "SEGMENT", "objectId": 563, "permission": name });
        let wildcard = json!({ "groupId": one, "wildcard": "VIEW_ALL_TRAITS" });
        assert_eq!(group["permissions"], json!([wildcard, on_object("READ"), on_object("WRITE")]));
    }
    // Nothing else has effects of this kind.
    assert_eq!(effects(Method::PATCH, "/api/v1/users/2", json!({})).await, Value::Null);
}

#[tokio::test]
async fn faults_conflicts_and_rights_answer_with_their_own_status() {
    let t = T::start().await;
    populate(&t).await;
    let (_, lou) = t.member("lou").await;
    let (admin, nobody) = (t.admin().await, t.anonymous());
    let (_, olga) = t.other_partner("acme").await;
    for (person, method, path, body, status) in [
        (&admin, Method::POST, "/api/v1/users?dryRun=true", new_user("lena"), 409),
        (&admin, Method::POST, "/api/v1/users?dryRun=true", json!({}), 400),
        (&admin, Method::DELETE, "/api/v1/users/1?dryRun=true", Value::Null, 409),
        (&admin, Method::PATCH, "/api/v1/users/1?dryRun=true", json!({ "isAdmin": false }), 409),
        (&admin, Method::DELETE, "/api/v1/users/99?dryRun=true", Value::Null, 404),
        (&admin, Method::POST, "/api/v1/users/bulk-delete?dryRun=true", json!([2, 99]), 404),
        (&olga, Method::DELETE, "/api/v1/users/2?dryRun=true", Value::Null, 404),
        (&lou, Method::DELETE, "/api/v1/users/2?dryRun=true", Value::Null, 403),
        (&nobody, Method::DELETE, "/api/v1/users/2?dryRun=true", Value::Null, 401),
        // Misspelt, it must not write (B29).
        (&admin, Method::DELETE, "/api/v1/users/2?dryrun=true", Value::Null, 400),
        (&admin, Method::DELETE, "/api/v1/users/2?dryRun=yes", Value::Null, 400),
        (&admin, Method::DELETE, "/api/v1/users/2?dryRun=true&dryRun=false", Value::Null, 400),
        (&admin, Method::GET, "/api/v1/users/2?dryRun=true", Value::Null, 400),
    ] {
        send(person, &method, path, &body).await.expect(status);
    }
    // Without a value it means true; false means a write.
    send(&admin, &Method::DELETE, "/api/v1/users/2?dryRun", &Value::Null).await.expect(200);
    assert_eq!(ids(&admin.everybody().await), [1, 2, 3, 5]);
    send(&admin, &Method::DELETE, "/api/v1/users/2?dryRun=false", &Value::Null).await.expect(204);
    assert_eq!(ids(&admin.everybody().await), [1, 3, 5]);
    // A condition is held against what is there.
    let request = admin.request(Method::DELETE, "/api/v1/users/3?dryRun=true").header("if-match", "\"u3-0\"");
    TestResponse::of(request.send().await.unwrap()).await.expect(412);
}

/// Where a dry run would tell somebody whether a password or a token is right, there is none.
#[tokio::test]
async fn nothing_with_a_secret_can_be_tried() {
    let t = T::start().await;
    let (id, fenna) = t.member("fenna").await;
    let admin = t.admin().await;
    let passwords = json!({ "oldPassword": password_of("fenna"), "newPassword": "Zy9.Saucer-Quilt-4x" });
    t.secret("Zy9.Saucer-Quilt-4x");
    for method in [Method::POST, Method::PUT] {
        for (path, body) in [("/self/update-password", &passwords), ("/self/reset-password", &Value::Null)] {
            let response = send(&fenna, &method, &format!("{path}?dryRun=true"), body).await.expect(400);
            assert_eq!(response.faults(), ["dryRun unknown-parameter"]);
            assert!(response.text.contains("has no dry run"), "{}", response.text);
        }
    }
    let reset = format!("/api/v1/users/{id}/reset-password?dryRun=true");
    send(&admin, &Method::POST, &reset, &Value::Null).await.expect(400);
    for path in ["/oauth/token", "/oauth/revoke", "/oauth/introspect"] {
        let form =
            [("client_id", "tenantry"), ("grant_type", "password"), ("username", "fenna"), ("token", "x")];
        t.anonymous().form(&format!("{path}?dryRun=true"), &form).await.expect(400);
    }
    // Nothing has happened.
    t.login("fenna", &password_of("fenna")).await;
    fenna.get("/self").await.expect(200);
}
