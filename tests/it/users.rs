//! Users: part A and the rows of part B about them.

use serde_json::json;

use crate::harness::{T, new_user};

#[tokio::test]
async fn a1_a_user_is_created() {
    let t = T::start().await;
    let admin = t.admin().await;
    let answer = admin.post("/api/v1/users/", &new_user("fenna")).await.expect(201);
    assert_eq!(answer.header("location"), "/api/v1/users/2");
    assert_eq!(
        answer.body,
        json!({
            "pid": 1, "userId": 2, "username": "fenna", "status": "ACTIVE", "firstName": "Fenna",
            "lastName": "Jansen", "email": "fenna@example.com", "title": null, "phoneNumber": null,
            "groups": [], "isAdmin": false, "externalId": null, "createdAt": "2026-11-23T09:00:00.000Z",
            "updatedAt": "2026-11-23T09:00:00.000Z", "lastLoginAt": null,
        })
    );
    let again = admin.post("/api/v1/users/", &new_user("FENNA")).await.expect(409);
    assert_eq!(again.body["code"], "username-taken");
    assert_eq!(admin.get("/api/v1/users/2").await.expect(200).body, answer.body);
}
