//! Merge patches (RFC 7396) of users, oneself and groups: only what is named changes.

use reqwest::Method;
use serde_json::{Value, json};

use crate::fixtures::with;
use crate::harness::{T, new_user};

#[tokio::test]
async fn only_given_fields_change() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (one, two) = (admin.create_group("One").await, admin.create_group("Two").await);
    let user = admin
        .create_with(&with(
            &new_user("fenna"),
            json!({ "title": "Clerk", "phoneNumber": "+31 20", "groups": [one], "externalId": "x1" }),
        ))
        .await;
    let path = format!("/api/v1/users/{}", user["userId"]);
    let mut expected = user.clone();
    for patch in [
        json!({}),
        json!({ "lastName": "King" }),
        json!({ "title": null }),
        json!({ "groups": [two, one] }),
        json!({ "groups": [] }),
        json!({ "isAdmin": "true", "status": "INACTIVE" }),
        json!({ "isAdmin": false, "status": "ACTIVE", "externalId": null, "phoneNumber": "1" }),
        json!({ "username": "Fenna.2", "email": "f@example.com" }),
        // What was read can be written back.
        json!({ "userId": user["userId"], "pid": 1, "createdAt": user["createdAt"], "firstName": "F" }),
    ] {
        t.clock.advance(1_000);
        let before = expected.clone();
        expected = with(&expected, patch.clone());
        if patch["isAdmin"] == "true" {
            expected["isAdmin"] = json!(true);
        }
        if patch["groups"] == json!([two, one]) {
            expected["groups"] = json!([one, two]);
        }
        let response = admin.patch(&path, &patch).await.expect(200);
        if expected != before {
            expected["updatedAt"] = response.body["updatedAt"].clone();
            assert_ne!(expected["updatedAt"], before["updatedAt"], "{patch}");
        }
        assert_eq!(response.body, expected, "{patch}");
        assert_eq!(admin.get(&path).await.expect(200).body, expected);
    }
    // As a merge patch, as RFC 7396 names it.
    let body = Some(br#"{"lastName":"Last"}"#.to_vec());
    let response = admin.send(Method::PATCH, &path, body, "application/merge-patch+json").await;
    assert_eq!(response.expect(200).body["lastName"], "Last");
}

#[tokio::test]
async fn all_errors_are_reported_at_once_and_nothing_changes() {
    let t = T::start().await;
    let admin = t.admin().await;
    admin.create("taken").await;
    let user = admin.create("fenna").await;
    let path = format!("/api/v1/users/{}", user["userId"]);
    let body = json!({
        "firstName": null, "status": "GONE", "groups": [77], "nickname": "f", "userId": 9, "email": "x",
        "lastName": "Good",
    });
    assert_eq!(
        admin.patch(&path, &body).await.expect(400).faults(),
        [
            "/firstName wrong-type",
            "/status unknown-status",
            "/groups unknown-group",
            "/nickname unknown-field",
            "/userId read-only",
            "/email invalid-email",
        ]
    );
    for (body, code) in [(json!([]), "wrong-type"), (json!("x"), "wrong-type")] {
        assert_eq!(admin.patch(&path, &body).await.expect(400).body["errors"][0]["code"], code);
    }
    let taken = admin.patch(&path, &json!({ "username": "TAKEN" })).await.expect(409);
    assert_eq!(taken.body["code"], "username-taken");
    assert_eq!(admin.get(&path).await.expect(200).body, user);
    admin.patch("/api/v1/users/999", &json!({})).await.expect(404);
    let (_, olga) = t.other_partner("acme").await;
    olga.patch(&path, &json!({ "lastName": "X" })).await.expect(404);
    // The rules of a PUT hold: the last admin stays one (B10).
    let last = admin.patch("/api/v1/users/1", &json!({ "isAdmin": false })).await.expect(409);
    assert_eq!(last.body["code"], "last-admin");
}

#[tokio::test]
async fn members_patch_themselves_but_not_their_rights() {
    let t = T::start().await;
    let (_, fenna) = t.member("fenna").await;
    let own = fenna.get("/self").await.expect(200).body;
    for path in ["/self", "/users/self", "/v1/self/", "/api/v1/users/self"] {
        let response = fenna.patch(path, &json!({ "title": path })).await.expect(200);
        assert_eq!(response.body["title"], path);
        assert_eq!(response.body["lastName"], own["lastName"]);
    }
    let refused = fenna.patch("/self", &json!({ "isAdmin": true, "groups": [1], "externalId": "x" })).await;
    assert_eq!(
        refused.expect(400).faults(),
        ["/isAdmin read-only", "/groups read-only", "/externalId read-only"]
    );
    fenna.patch("/self", &json!({ "isAdmin": false, "groups": [], "externalId": null })).await.expect(200);
    // A changed address is told to the old one (B25).
    fenna.patch("/self", &json!({ "email": "new@example.com" })).await.expect(200);
    let told = t.mails_to("fenna@example.com").await;
    assert!(told.iter().any(|m| matches!(m.content, tenantry_mail::EmailContent::EmailChanged { .. })));
}

#[tokio::test]
async fn groups_are_patched() {
    let t = T::start().await;
    let admin = t.admin().await;
    let id = admin.create_group("Editors").await;
    admin.create_group("Taken").await;
    let path = format!("/api/v1/groups/{id}");
    let response = admin.patch(&path, &json!({ "description": "May edit" })).await.expect(200).body;
    assert_eq!((&response["name"], &response["description"]), (&json!("Editors"), &json!("May edit")));
    let response = admin.patch(&path, &json!({ "name": "Writers" })).await.expect(200).body;
    assert_eq!((&response["name"], &response["description"]), (&json!("Writers"), &json!("May edit")));
    assert_eq!(admin.patch(&path, &json!({})).await.expect(200).body, response);
    assert_eq!(admin.patch(&path, &response).await.expect(200).body, response);
    admin.patch(&path, &json!({ "name": "taken" })).await.expect(409);
    let faults =
        admin.patch(&path, &json!({ "name": null, "users": [1], "x": 1 })).await.expect(400).faults();
    assert_eq!(faults, ["/name wrong-type", "/users read-only", "/x unknown-field"]);
    assert_eq!(admin.get(&path).await.expect(200).body, response);
    let kinds: Vec<Value> = admin.events().await.into_iter().map(|e| e["type"].clone()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "group.updated").count(), 2);
}
