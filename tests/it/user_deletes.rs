//! How users go (A10, A11, B15), what becomes of their ids (B24), and the admin that a partner keeps (B10).

use serde_json::{Value, json};

use tenantry_core::error::Error;
use tenantry_core::model::PartnerId;
use tenantry_domain::unit;
use tenantry_store::access::Operator;

use crate::fixtures::{ids, with, without};
use crate::harness::{Person, T, new_user, password_of};
use crate::users::{path_of, required};

#[tokio::test]
async fn a10_a_deleted_user_is_found_nowhere() {
    let t = T::start().await;
    let admin = t.admin().await;
    let group = admin.create_group("Editors").await;
    let (id, fenna) = t.member("fenna").await;
    let user = admin.get(&format!("/api/v1/users/{id}")).await.expect(200).body;
    admin.put(&path_of(&user), &with(&required(&user), json!({ "groups": [group] }))).await.expect(200);
    fenna.get("/self").await.expect(200);
    let response = admin.delete(&format!("/api/v1/users/{id}/")).await.expect(204);
    assert_eq!(response.text, "");
    admin.get(&path_of(&user)).await.expect(404);
    admin.delete(&path_of(&user)).await.expect(404);
    admin.put(&path_of(&user), &required(&user)).await.expect(404);
    assert_eq!(ids(&admin.everybody().await), [1]);
    assert_eq!(admin.get("/api/v1/users?search=fenna").await.expect(200).body, json!([]));
    assert_eq!(admin.get("/api/v1/users?page=0").await.expect(200).body["total"], 1);
    let group = admin.get(&format!("/api/v1/groups/{group}")).await.expect(200).body;
    assert_eq!((&group["membershipCount"], &group["users"]), (&json!(0), &json!([])));
    // Its session ended with it, and its name is free.
    fenna.get("/self").await.expect(401);
    t.try_login("fenna", &password_of("fenna")).await.expect(400);
    assert!(admin.create("fenna").await["userId"].as_i64().unwrap() > id);
}

/// Everything that takes the rights of an ACTIVE admin away.
async fn attempts(admin: &Person<'_>, user: &Value) -> Vec<(u16, Value)> {
    let mut responses = Vec::new();
    for change in
        [json!({ "isAdmin": false }), json!({ "status": "INACTIVE" }), json!({ "status": "LOCKED" })]
    {
        let response = admin.put(&path_of(user), &with(&required(user), change)).await;
        responses.push((response.status.as_u16(), response.body["code"].clone()));
    }
    responses
}

#[tokio::test]
async fn b10_a_partner_keeps_an_active_admin() {
    let t = T::start().await;
    let admin = t.admin().await;
    let own = admin.get("/self").await.expect(200).body;
    // Neither a member, nor an admin who is not ACTIVE, nor another partner's admin makes up for the last one.
    admin.create("member").await;
    let deputy =
        admin.create_with(&with(&new_user("deputy"), json!({ "isAdmin": true, "status": "INACTIVE" }))).await;
    t.other_partner("acme").await;
    let before = admin.everybody().await;
    let refused = (409, json!("last-admin"));
    assert_eq!(attempts(&admin, &own).await, [refused.clone(), refused.clone(), refused.clone()]);
    for status in ["INACTIVE", "LOCKED"] {
        let body = with(&without(&required(&own), &["username"]), json!({ "status": status }));
        let response = admin.put("/self/update", &body).await.expect(409);
        assert_eq!(response.body["code"], "last-admin");
    }
    let response = admin.delete(&path_of(&own)).await.expect(409);
    assert_eq!(response.body["code"], "self-delete");
    assert_eq!(admin.everybody().await, before);

    // With an ACTIVE deputy each is possible, but nobody deletes themselves.
    admin.put(&path_of(&deputy), &with(&required(&deputy), json!({ "status": "ACTIVE" }))).await.expect(200);
    assert_eq!(admin.delete(&path_of(&own)).await.expect(409).body["code"], "self-delete");
    let third = admin.create_with(&with(&new_user("third"), json!({ "isAdmin": true }))).await;
    for change in
        [json!({ "isAdmin": false }), json!({ "status": "INACTIVE" }), json!({ "status": "LOCKED" })]
    {
        admin.put(&path_of(&third), &with(&required(&third), change)).await.expect(200);
        admin.put(&path_of(&third), &with(&required(&third), json!({ "isAdmin": true }))).await.expect(200);
    }
    admin.put("/self/update", &with(&required(&own), json!({ "status": "INACTIVE" }))).await.expect(200);
    // In force at the next request.
    admin.get("/self").await.expect(401);
}

#[tokio::test]
async fn b10_a_demoted_admin_loses_the_right_at_the_next_request() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (id, fenna) = t.member("fenna").await;
    let user = admin.get(&format!("/api/v1/users/{id}")).await.expect(200).body;
    fenna.get("/api/v1/users").await.expect(403);
    admin.put(&path_of(&user), &with(&required(&user), json!({ "isAdmin": true }))).await.expect(200);
    assert_eq!(ids(&fenna.everybody().await), [1, id]);
    admin.put(&path_of(&user), &with(&required(&user), json!({ "isAdmin": false }))).await.expect(200);
    assert_eq!(fenna.get("/api/v1/users").await.expect(403).body["code"], "admin-required");
    fenna.get("/self").await.expect(200);
    for status in ["INACTIVE", "LOCKED"] {
        let fenna = t.login("fenna", &password_of("fenna")).await;
        admin.put(&path_of(&user), &with(&required(&user), json!({ "status": status }))).await.expect(200);
        fenna.get("/self").await.expect(401);
        t.try_login("fenna", &password_of("fenna")).await.expect(400);
        admin.put(&path_of(&user), &required(&user)).await.expect(200);
        // Sessions that ended do not come back.
        fenna.get("/self").await.expect(401);
    }
}

#[tokio::test]
async fn a11_b15_bulk_deletion_is_atomic() {
    let t = T::start().await;
    let admin = t.admin().await;
    for n in 2..=9 {
        admin.create(&format!("user{n}")).await;
    }
    let deputy = admin.create_with(&with(&new_user("deputy"), json!({ "isAdmin": true }))).await;
    let path = "/api/v1/users/bulk-delete";
    let raw = async |text: &str| {
        admin.send(reqwest::Method::POST, path, Some(text.as_bytes().to_vec()), "application/json").await
    };
    raw("[2,3]").await.expect(204);
    // The letters as printed, with white space about them; doubled ids count once.
    assert_eq!(raw(" { [4, 5,4] } ").await.expect(204).text, "");
    raw("[]").await.expect(204);
    raw("{[]}").await.expect(204);
    assert_eq!(ids(&admin.everybody().await), [1, 6, 7, 8, 9, 10]);
    let before = admin.everybody().await;

    let response = raw("[6, 2, 99, 99]").await.expect(404);
    assert_eq!((&response.body["code"], &response.body["ids"]), (&json!("user-not-found"), &json!([2, 99])));
    let response = raw("[6, 1]").await.expect(409);
    assert_eq!((&response.body["code"], &response.body["ids"]), (&json!("self-delete"), &json!([1])));
    // Unknown ids and conflicts together: 404.
    let response = raw("[1, 6, 2]").await.expect(404);
    assert_eq!(response.body["ids"], json!([2]));
    // The last admin, named beside the caller who cannot go.
    let response = raw("[1, 10, 7]").await.expect(409);
    assert_eq!(response.body["ids"], json!([1, 10]));
    for (bad, faults) in [
        ("[6, \"7x\"]", vec!["/1 wrong-type"]),
        ("[6.5, null, 0, -1]", vec!["/0 wrong-type", "/1 wrong-type", "/2 out-of-range", "/3 out-of-range"]),
        ("[9223372036854775808]", vec!["/0 out-of-range"]),
        ("{}", vec![" wrong-type"]),
        ("6", vec![" wrong-type"]),
        ("[6", vec![" malformed-json"]),
        ("{[6]", vec![" wrong-type"]),
        ("{[6]}}", vec![" malformed-json"]),
        ("", vec![" empty-body"]),
    ] {
        assert_eq!(raw(bad).await.expect(400).faults(), faults, "{bad}");
    }
    let many: Vec<i64> = (1..=100_001).collect();
    assert_eq!(admin.post(path, &json!(many)).await.expect(400).faults(), [" too-many-ids"]);
    assert_eq!(admin.everybody().await, before);

    // A deputy may delete the others, the first admin included, but not themselves.
    let password = t.mailed_password("deputy").await;
    let restricted = t.login("deputy", &password).await;
    let body = json!({ "oldPassword": password, "newPassword": password_of("deputy") });
    restricted.post("/self/update-password", &body).await.expect(200);
    restricted.post(path, &json!([1, 6, 7])).await.expect(204);
    assert_eq!(ids(&restricted.everybody().await), [8, 9, 10]);
    let response = restricted.post(path, &json!([deputy["userId"]])).await.expect(409);
    assert_eq!(response.body["code"], "self-delete");
}

#[tokio::test]
async fn b15_a_hundred_thousand_ids_are_taken() {
    let t = T::start().await;
    let admin = t.admin().await;
    crate::fixtures::seed(&t, 1, "many", 300, Vec::new()).await;
    let known: Vec<i64> = ids(&admin.everybody().await).into_iter().filter(|id| *id != 1).collect();
    let mut list = known.clone();
    list.extend(1_000..100_700);
    assert_eq!(list.len(), 100_000);
    let response = admin.post("/api/v1/users/bulk-delete", &json!(list)).await.expect(404);
    assert_eq!(response.body["ids"].as_array().unwrap().len(), 99_700);
    // Far more elements than that, but no more different ones.
    let repeated: Vec<i64> = known.iter().copied().cycle().take(150_000).collect();
    admin.post("/api/v1/users/bulk-delete", &json!(repeated)).await.expect(204);
    assert_eq!(ids(&admin.everybody().await), [1]);
    assert_eq!(admin.get("/api/v1/users?page=0").await.expect(200).body["total"], 1);
    assert_eq!(admin.get("/api/v1/users?search=many&page=0").await.expect(200).body["total"], 0);
}

#[tokio::test]
async fn b15_the_last_admins_are_listed_when_somebody_else_deletes_them() {
    let t = T::start().await;
    let admin = t.admin().await;
    admin.create_with(&with(&new_user("deputy"), json!({ "isAdmin": true }))).await;
    admin.create_with(&with(&new_user("retired"), json!({ "isAdmin": true, "status": "INACTIVE" }))).await;
    admin.create("member").await;
    let before = admin.everybody().await;
    // An operator has no user of its own in the list.
    let rights = Operator::of_this_machine().as_admin_of(PartnerId(1));
    for (ids, conflict) in
        [(vec![1, 2, 4], Some(vec![1, 2])), (vec![1, 2, 3], Some(vec![1, 2])), (vec![1, 3], None)]
    {
        let result =
            unit::write(&t.app.store, &rights, move |tx| tenantry_domain::users::delete_many(tx, &ids)).await;
        match (result, conflict) {
            (Ok(()), None) => {}
            (Err(Error::Conflict(found)), Some(users)) => {
                assert_eq!((found.code, found.users), ("last-admin", users));
                assert_eq!(admin.everybody().await, before);
            }
            (result, conflict) => panic!("{result:?} instead of {conflict:?}"),
        }
    }
}

#[tokio::test]
async fn b24_ids_ascend_and_are_never_used_again() {
    let t = T::start().await;
    let admin = t.admin().await;
    let id = |user: Value| user["userId"].as_i64().unwrap();
    let (a, b) = (id(admin.create("a").await), id(admin.create("b").await));
    assert!(1 < a && a < b);
    admin.delete(&format!("/api/v1/users/{b}")).await.expect(204);
    let c = id(admin.create("c").await);
    assert!(b < c);
    admin.post("/api/v1/users/bulk-delete", &json!([c])).await.expect(204);
    let group = admin.create_group("Editors").await;
    admin.delete(&format!("/api/v1/groups/{group}")).await.expect(204);
    let t = t.restart().await;
    let admin = t.admin().await;
    assert!(c < id(admin.create("d").await));
    assert!(group < admin.create_group("Editors").await);
    assert_eq!(ids(&admin.everybody().await)[..2], [1, a]);
}
