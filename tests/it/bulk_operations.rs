//! Changes of so many rows that they are carried out in steps: looked at as a whole first, always ended, and others write
//! in between.

use reqwest::Method;
use serde_json::{Value, json};

use tenantry_core::model::{GroupId, PartnerId};
use tenantry_domain::bulk_operations::{self, take_up};
use tenantry_domain::unit::{self, WriteOptions};
use tenantry_store::access::system_within;

use crate::binary::until;
use crate::databases::is_postgres;
use crate::fixtures::{check_groups_in_rows, ids, seed, with};
use crate::harness::{Person, T, TestResponse, new_user};

mod crashes;
mod processes;

const BULK: &str = "/api/v1/users/bulk";
const DELETE: &str = "/api/v1/users/bulk-delete";

/// More than one transaction may have.
const MANY: usize = 5_001;

/// The users whose names begin so.
fn named(t: &T, prefix: &str) -> Vec<i64> {
    let sql = format!("SELECT user_id FROM users WHERE username LIKE '{prefix}%' ORDER BY user_id");
    t.ask_sql(&sql).into_iter().map(|row| row[0].parse().unwrap()).collect()
}

fn count(t: &T, from: &str) -> i64 {
    t.ask_sql(&format!("SELECT count(*) FROM {from}"))[0][0].parse().unwrap()
}

/// Ids that are still to be done.
fn pending(t: &T) -> usize {
    let rows = t.ask_sql("SELECT ids FROM bulk_operation_ids WHERE state = 'pending'");
    rows.iter().map(|row| serde_json::from_str::<Vec<i64>>(&row[0]).unwrap().len()).sum()
}

async fn keyed(person: &Person<'_>, path: &str, key: &str, body: &Value) -> TestResponse {
    let request = person.request(Method::POST, path).header("idempotency-key", key).json(body);
    TestResponse::of(request.send().await.unwrap()).await
}

/// Has an operation begin, on a server that stops before the first step: as one that died leaves it.
async fn broken_off(t: &T, request: reqwest::RequestBuilder) {
    t.app.bulk.stop();
    let response = TestResponse::of(request.send().await.unwrap()).await.expect(503);
    assert!(response.text.contains("has begun"), "{}", response.text);
    assert!(!response.header("retry-after").is_empty());
    assert_eq!(count(t, "bulk_operations"), 1);
}

/// Takes up what was broken off, and waits until it has ended.
async fn ended(t: &T) -> tenantry_domain::idempotency::StoredResponse {
    let mut tasks = take_up(&t.app).await.unwrap();
    assert_eq!(tasks.len(), 1);
    let response = tasks.remove(0).await.unwrap().unwrap();
    assert_eq!((count(t, "bulk_operations"), count(t, "bulk_operation_ids")), (0, 0));
    response
}

#[tokio::test]
async fn a_large_deletion_has_the_result_of_a_small_one() {
    let t = T::start().await;
    let admin = t.admin().await;
    let group = admin.create_group("Editors").await;
    seed(&t, 1, "gone", MANY, vec![GroupId(group)]).await;
    seed(&t, 1, "stays", 3, vec![GroupId(group)]).await;
    let users = named(&t, "gone");
    admin.post(DELETE, &json!(users)).await.expect(204);
    assert_eq!(count(&t, "users"), 4);
    assert_eq!(count(&t, "events WHERE kind = 'user.deleted' AND actor = 'user:1'"), 5_001);
    assert_eq!(count(&t, "deleted_users"), 5_001);
    assert_eq!(count(&t, "bulk_operations") + count(&t, "bulk_operation_ids"), 0);
    assert_eq!(admin.get("/api/v1/users?page=0").await.body["total"], 4);
    assert_eq!(admin.get("/api/v1/users?page=0&search=gone12").await.body["total"], 0);
    let group = admin.get(&format!("/api/v1/groups/{group}")).await.expect(200).body;
    assert_eq!((&group["membershipCount"], &group["users"]), (&json!(3), &json!(named(&t, "stays"))));
    // Each can be brought back; the second time nobody is there.
    admin.post(&format!("/api/v1/users/{}/restore", users[7]), &Value::Null).await.expect(200);
    let again = admin.post(DELETE, &json!(users)).await.expect(404).body;
    assert_eq!(again["ids"].as_array().unwrap().len(), 5_000);
    assert_eq!(count(&t, "users"), 5);
}

#[tokio::test]
async fn a_large_patch_changes_the_users_that_a_filter_finds() {
    let t = T::start().await;
    let admin = t.admin().await;
    let group = admin.create_group("Editors").await;
    seed(&t, 1, "seed", MANY, Vec::new()).await;
    let body = json!({
        "filter": { "status": "INACTIVE" }, "expectedCount": 5_001,
        "patch": { "status": "LOCKED", "title": "Moved", "groups": [group] },
    });
    let done = admin.patch(BULK, &body).await.expect(200).body;
    assert_eq!(done, json!({ "matched": 5_001, "changed": 5_001 }));
    assert_eq!(admin.get("/api/v1/users?page=0&status=LOCKED").await.body["total"], 5_001);
    assert_eq!(admin.get("/api/v1/users?page=0&search=moved").await.body["total"], 5_001);
    let group = admin.get(&format!("/api/v1/groups/{group}")).await.expect(200).body;
    assert_eq!(group["membershipCount"], 5_001);
    assert_eq!(check_groups_in_rows(&t), 0);
    assert_eq!(count(&t, "events WHERE kind = 'user.updated' AND actor = 'user:1'"), 5_001);
    // Once more changes nothing, and says so.
    let again = json!({ "ids": named(&t, "seed"), "patch": { "title": "Moved" } });
    assert_eq!(admin.patch(BULK, &again).await.expect(200).body, json!({ "matched": 5_001, "changed": 0 }));
}

#[tokio::test]
async fn a_large_operation_that_is_refused_changes_nothing() {
    let t = T::start().await;
    let admin = t.admin().await;
    let group = admin.create_group("Editors").await;
    seed(&t, 1, "seed", MANY, Vec::new()).await;
    let users = named(&t, "seed");
    let (with_unknown, with_admin) =
        ([users.as_slice(), &[999_999]].concat(), [&[1], users.as_slice()].concat());
    // Another admin, so that nobody deletes themselves.
    let second = with(&new_user("second"), json!({ "isAdmin": true, "status": "INACTIVE" }));
    admin.create_with(&second).await;
    let robot = t.client(1, true).await;
    let robot = t.technical_account(&robot).await;
    let events = count(&t, "events");
    let members = format!("/api/v1/groups/{group}/users");
    let filter = json!({ "filter": { "search": "seed" }, "expectedCount": 5_002, "patch": { "title": "x" } });
    for (method, path, body, status, code) in [
        (Method::POST, DELETE, json!(with_unknown), 404, ""),
        (Method::POST, DELETE, json!(with_admin), 409, "last-admin"),
        (Method::PATCH, BULK, json!({ "ids": with_unknown, "patch": { "title": "x" } }), 404, ""),
        (
            Method::PATCH,
            BULK,
            json!({ "ids": with_admin, "patch": { "status": "LOCKED" } }),
            409,
            "last-admin",
        ),
        (
            Method::PATCH,
            BULK,
            json!({ "ids": users, "expectedCount": 5_000, "patch": { "title": "x" } }),
            409,
            "count-mismatch",
        ),
        (Method::PATCH, BULK, filter, 409, "count-mismatch"),
        (Method::POST, members.as_str(), json!(with_unknown), 404, ""),
        (Method::DELETE, members.as_str(), json!(users), 404, ""),
    ] {
        let body = Some(body.to_string().into_bytes());
        let response = robot.send(method.clone(), path, body, "application/json").await.expect(status);
        assert!(code.is_empty() || response.body["code"] == code, "{method} {path}: {}", response.text);
    }
    let request = robot.request(Method::POST, &members).header("if-match", "\"g1-99\"").json(&users);
    TestResponse::of(request.send().await.unwrap()).await.expect(412);
    // Another partner's users are unknown (B11).
    let (_, olga) = t.other_partner("acme").await;
    olga.post(DELETE, &json!(users)).await.expect(404);
    assert_eq!(count(&t, "events WHERE pid = 1"), events);
    assert_eq!((named(&t, "seed"), count(&t, "users WHERE pid = 1")), (users, 5_003));
    assert_eq!(count(&t, "bulk_operations") + count(&t, "bulk_operation_ids"), 0);
}

/// A step ends after so many rows at most, and small units come before the next one: so some of another partner's events
/// stand between those of the operation.
#[tokio::test]
async fn another_partner_writes_between_the_steps() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (pid, olga) = t.other_partner("acme").await;
    seed(&t, 1, "seed", 3 * MANY, Vec::new()).await;
    let body = json!({ "ids": named(&t, "seed"), "patch": { "title": "x" } });
    let small = async {
        for n in 0.. {
            olga.create_group(&format!("Group {n}")).await;
            if count(&t, "events WHERE pid = 1 AND kind = 'user.updated'") > 0
                && count(&t, "bulk_operations") == 0
            {
                return;
            }
        }
    };
    let (response, ()) = tokio::join!(admin.patch(BULK, &body), small);
    assert_eq!(response.expect(200).body["changed"], 15_003);
    let of = "kind = 'user.updated' AND pid = 1";
    let between = format!(
        "events WHERE pid = {pid} AND kind = 'group.created' \
         AND event_id > (SELECT min(event_id) FROM events WHERE {of}) \
         AND event_id < (SELECT max(event_id) FROM events WHERE {of})"
    );
    assert!(count(&t, &between) > 0, "nothing came between");
}

#[tokio::test]
async fn concurrent_changes_count_as_done_or_are_reported() {
    let t = T::start().await;
    let admin = t.admin().await;
    let group = admin.create_group("Editors").await;
    let (second, sec) = t.member("second").await;
    admin.patch(&format!("/api/v1/users/{second}"), &json!({ "isAdmin": true })).await.expect(200);
    seed(&t, 1, "seed", MANY, Vec::new()).await;
    let users = named(&t, "se");
    assert!(users.contains(&second));
    let body = json!({ "ids": users, "patch": { "status": "LOCKED", "groups": [group] } });
    broken_off(&t, admin.request(Method::PATCH, BULK).json(&body)).await;
    let (admin_token, token) = (admin.token.clone().unwrap(), sec.token.clone().unwrap());
    let t = t.restart().await;
    // Meanwhile: the other admin goes, a user, and the group.
    let sec = t.bearer(&token);
    sec.delete("/api/v1/users/1").await.expect(204);
    sec.delete(&format!("/api/v1/users/{}", users[9])).await.expect(204);
    sec.delete(&format!("/api/v1/groups/{group}")).await.expect(204);
    t.bearer(&admin_token).get("/self").await.expect(401);
    let response = ended(&t).await;
    let told: Value = serde_json::from_str(&response.body).unwrap();
    assert_eq!(
        told,
        json!({ "matched": 5_002, "changed": 5_000, "kept": [{ "userId": second, "code": "last-admin" }] })
    );
    // The rule holds (B10): who would have been the last one is one still, and its session goes on.
    let own = sec.get("/self").await.expect(200).body;
    assert_eq!(
        (&own["status"], &own["isAdmin"], &own["groups"]),
        (&json!("ACTIVE"), &json!(true), &json!([]))
    );
    assert_eq!(count(&t, "users WHERE status = 2"), 5_000);
    // The events name who began it, who is gone by now.
    assert_eq!(count(&t, "events WHERE kind = 'user.updated' AND actor = 'user:1'"), 5_001);
    assert_eq!(check_groups_in_rows(&t), 0);
}

/// A deletion meets the last admin as well, in a step that has others, too.
#[tokio::test]
async fn no_step_of_a_deletion_takes_the_last_admin() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (second, sec) = t.member("second").await;
    admin.patch(&format!("/api/v1/users/{second}"), &json!({ "isAdmin": true })).await.expect(200);
    seed(&t, 1, "seed", MANY, Vec::new()).await;
    let key = admin.request(Method::POST, DELETE).header("idempotency-key", "k");
    broken_off(&t, key.json(&named(&t, "se"))).await;
    let token = sec.token.clone().unwrap();
    let t = t.restart().await;
    t.bearer(&token).patch("/api/v1/users/1", &json!({ "status": "INACTIVE" })).await.expect(200);
    let response = ended(&t).await;
    let kept = json!({ "kept": [{ "userId": second, "code": "last-admin" }] });
    assert_eq!((response.status, serde_json::from_str::<Value>(&response.body).unwrap()), (200, kept));
    assert_eq!(named(&t, ""), [1, second]);
    t.bearer(&token).get("/self").await.expect(200);
}

#[tokio::test]
async fn a_retry_is_answered_when_the_operation_has_ended() {
    let t = T::start().await;
    let admin = t.admin().await;
    seed(&t, 1, "seed", MANY, Vec::new()).await;
    let body = json!(named(&t, "seed"));
    let request = admin.request(Method::POST, DELETE).header("idempotency-key", "once");
    broken_off(&t, request.json(&body)).await;
    let token = admin.token.clone().unwrap();
    let t = t.restart().await;
    let admin = t.bearer(&token);
    // Nobody carries it out: as one that is under way for too long.
    assert_eq!(keyed(&admin, DELETE, "once", &body).await.expect(409).body["code"], "idempotency-key-in-use");
    assert_eq!(ended(&t).await.status, 204);
    let again = keyed(&admin, DELETE, "once", &body).await.expect(204);
    assert_eq!(again.header("idempotency-replayed"), "true");
    let other = keyed(&admin, DELETE, "once", &json!([1, 2])).await.expect(409);
    assert_eq!(other.body["code"], "idempotency-key-reused");
    assert_eq!(count(&t, "events WHERE kind = 'user.deleted'"), 5_001);
    // Also where it ended at once; a refusal is kept for nobody.
    seed(&t, 1, "more", MANY, Vec::new()).await;
    let body = json!(named(&t, "more"));
    let unknown = json!([named(&t, "more"), vec![999_999]].concat());
    keyed(&admin, DELETE, "twice", &unknown).await.expect(404);
    keyed(&admin, DELETE, "twice", &body).await.expect(204);
    assert_eq!(
        keyed(&admin, DELETE, "twice", &body).await.expect(204).header("idempotency-replayed"),
        "true"
    );
}

#[tokio::test]
async fn a_partner_has_one_at_a_time() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (pid, olga) = t.other_partner("acme").await;
    seed(&t, 1, "seed", MANY, Vec::new()).await;
    seed(&t, pid, "other", MANY, Vec::new()).await;
    let (users, others) = (named(&t, "seed"), named(&t, "other"));
    // Three at once come one after the other.
    let body = |title: &str| json!({ "ids": users, "patch": { "title": title } });
    let (one, two, three) = (body("one"), body("two"), body("three"));
    let all = tokio::join!(admin.patch(BULK, &one), admin.patch(BULK, &two), admin.patch(BULK, &three));
    for response in [all.0, all.1, all.2] {
        assert_eq!(response.expect(200).body["changed"], 5_001);
    }
    broken_off(&t, admin.request(Method::POST, DELETE).json(&users)).await;
    let tokens = (admin.token.clone().unwrap(), olga.token.clone().unwrap());
    let t = t.restart().await;
    let (admin, olga) = (t.bearer(&tokens.0), t.bearer(&tokens.1));
    let busy = admin.patch(BULK, &one).await.expect(503);
    assert!(busy.text.contains("another large operation"), "{}", busy.text);
    assert_eq!(busy.header("retry-after"), "5");
    // Small ones go on, and other partners'.
    let small = json!({ "ids": [users[3]], "patch": { "title": "small" } });
    admin.patch(BULK, &small).await.expect(200);
    olga.post(DELETE, &json!(others)).await.expect(204);
    assert_eq!(ended(&t).await.status, 204);
    assert_eq!(count(&t, "users"), 2);
}

/// While the writer is held by somebody, whoever only tries something large is answered.
#[tokio::test]
async fn a_dry_run_of_a_large_operation_needs_no_writer() {
    let t = T::start().await;
    let admin = t.admin().await;
    let group = admin.create_group("Editors").await;
    seed(&t, 1, "seed", MANY, vec![GroupId(group)]).await;
    let operator = t.operator().await;
    let users = named(&t, "seed");
    let (free, held) = (std::sync::Mutex::new(std::sync::mpsc::channel::<()>()), t.app.store.clone());
    let (release, waits) = {
        let (release, waits) = free.into_inner().unwrap();
        (release, std::sync::Mutex::new(waits))
    };
    let (tell, is_held) = tokio::sync::mpsc::unbounded_channel();
    let mut is_held = is_held;
    let holding = tokio::spawn(async move {
        let hold = move |_: &mut tenantry_store::engine::tx::Tx<'_, _>| {
            let _ = tell.send(());
            let _ = waits.lock().unwrap().recv();
            Ok(())
        };
        unit::write(&held, &system_within(PartnerId(1)), hold).await
    });
    is_held.recv().await.unwrap();
    let patch = json!({ "ids": users, "patch": { "title": "Archivist of the northern wing" } });
    let told = admin.patch(&format!("{BULK}?dryRun=true"), &patch).await.expect(200).body;
    // A third of them has it already.
    assert_eq!(told["result"], json!({ "matched": 5_001, "changed": 3_334 }));
    let told = admin.post(&format!("{DELETE}?dryRun=true"), &json!(users)).await.expect(200).body;
    assert_eq!((&told["status"], &told["effects"]["counts"]["memberships"]), (&json!(204), &json!(5_001)));
    let path = format!("/api/v1/groups/{group}?dryRun=true");
    let told = admin.delete(&path).await.expect(200).body;
    assert_eq!((&told["status"], &told["effects"]["counts"]["memberships"]), (&json!(204), &json!(5_001)));
    let path = format!("/api/v1/groups/{group}/users?dryRun=true");
    assert_eq!(admin.post(&path, &json!(users)).await.expect(200).body["status"], 204);
    let path = "/operator/v1/partners/1?force=true&dryRun=true";
    assert_eq!(operator.delete(path).await.expect(200).body["status"], 204);
    release.send(()).unwrap();
    holding.await.unwrap().unwrap();
    assert_eq!(count(&t, "events WHERE kind = 'user.updated'"), 0);
    assert_eq!(count(&t, "users"), 5_002);
}

#[tokio::test]
async fn many_members_are_added_and_removed() {
    let t = T::start().await;
    let admin = t.admin().await;
    let group = admin.create_group("Editors").await;
    seed(&t, 1, "seed", MANY, Vec::new()).await;
    let users = named(&t, "seed");
    let path = format!("/api/v1/groups/{group}/users");
    admin.put(&format!("{path}/{}", users[4]), &Value::Null).await.expect(204);
    keyed(&admin, &path, "k", &json!(users)).await.expect(204);
    let seen = async || {
        let group = admin.get(&format!("/api/v1/groups/{group}")).await.expect(200).body;
        (group["membershipCount"].as_i64().unwrap(), group["users"].as_array().unwrap().len())
    };
    assert_eq!(seen().await, (5_001, 5_001));
    assert_eq!(count(&t, "events WHERE kind = 'group.member_added'"), 5_001);
    assert_eq!(check_groups_in_rows(&t), 0);
    let body = Some(json!(users).to_string().into_bytes());
    admin.send(Method::DELETE, &path, body, "application/json").await.expect(204);
    assert_eq!(seen().await, (0, 0));
    assert_eq!(count(&t, "events WHERE kind = 'group.member_removed'"), 5_001);
    assert_eq!(check_groups_in_rows(&t), 0);
}

#[tokio::test]
async fn groups_with_many_members_go_in_steps() {
    let t = T::start().await;
    let admin = t.admin().await;
    let nested = async |name: &str, parent: Option<i64>| {
        let body = json!({ "name": name, "parentGroupId": parent });
        admin.post("/api/v1/groups/", &body).await.expect(201).body["groupId"].as_i64().unwrap()
    };
    let outer = nested("Outer", None).await;
    let inner = nested("Inner", Some(outer)).await;
    let (other, stays) = (nested("Other", None).await, nested("Stays", None).await);
    seed(&t, 1, "seed", MANY, [outer, inner, other, stays].map(GroupId).to_vec()).await;
    let users = named(&t, "seed");
    // Not without what is nested in it, one by one or in bulk.
    let refused = admin.delete(&format!("/api/v1/groups/{outer}")).await.expect(409);
    assert_eq!(refused.body["code"], "group-has-children");
    admin.post("/api/v1/groups/bulk-delete", &json!([outer, other])).await.expect(409);
    admin.delete("/api/v1/groups/99").await.expect(404);
    let request = admin.request(Method::DELETE, &format!("/api/v1/groups/{other}"));
    let stale = request.header("if-match", format!("\"g{other}-0\"")).send().await.unwrap();
    TestResponse::of(stale).await.expect(412);

    admin.delete(&format!("/api/v1/groups/{other}")).await.expect(204);
    admin.post("/api/v1/groups/bulk-delete", &json!([outer, inner])).await.expect(204);
    assert_eq!(ids(&admin.get("/api/v1/groups").await.expect(200).body), [stays]);
    for group in [outer, inner, other] {
        let sql = format!("SELECT before FROM events WHERE kind = 'group.deleted' AND group_id = {group}");
        let before: Value = serde_json::from_str(&t.ask_sql(&sql)[0][0]).unwrap();
        assert_eq!(before["users"], json!(users), "who was in it is in its event");
    }
    let user = admin.get(&format!("/api/v1/users/{}", users[9])).await.expect(200).body;
    assert_eq!(user["groups"], json!([stays]));
    assert_eq!((count(&t, "memberships"), count(&t, "bulk_operation_ids")), (5_001, 0));
    check_groups_in_rows(&t);
}

/// A group that is being deleted gets no child. One that has got it all the same stays, and that is told.
#[tokio::test]
async fn a_group_being_deleted_gets_no_child() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (one, two) = (admin.create_group("One").await, admin.create_group("Two").await);
    let three = admin.create_group("Three").await;
    seed(&t, 1, "seed", MANY, vec![GroupId(one), GroupId(two)]).await;
    let path = "/api/v1/groups/bulk-delete";
    broken_off(&t, admin.request(Method::POST, path).json(&json!([one, two]))).await;
    let token = admin.token.clone().unwrap();
    let t = t.restart().await;
    let admin = t.bearer(&token);
    let child = json!({ "name": "Child", "parentGroupId": one });
    let refused = admin.post("/api/v1/groups/", &child).await.expect(409);
    assert_eq!(refused.body["code"], "group-being-deleted");
    let moved = json!({ "parentGroupId": two });
    admin.patch(&format!("/api/v1/groups/{three}"), &moved).await.expect(409);
    t.run_sql(&format!("UPDATE groups SET parent_group_id = {one} WHERE group_id = {three}"));
    let told: Value = serde_json::from_str(&ended(&t).await.body).unwrap();
    assert_eq!(told, json!({ "kept": [{ "groupId": one, "code": "group-has-children" }] }));
    admin.get(&format!("/api/v1/groups/{one}")).await.expect(200);
    admin.get(&format!("/api/v1/groups/{two}")).await.expect(404);
}

/// What a group permits goes in steps as well, and its event has all of it.
#[tokio::test]
async fn a_group_with_many_permissions_is_deleted_in_steps() {
    let t = T::start().await;
    let admin = t.admin().await;
    let group = admin.create_group("Editors").await;
    seed(&t, 1, "seed", 3, vec![GroupId(group)]).await;
    let list: Vec<Value> = (0..2_600)
        .map(|n| json!({ "objectType": "SEGMENT", "objectId": n, "permissions": ["READ", "WRITE"] }))
        .collect();
    admin.put(&format!("/api/v1/groups/{group}/permissions"), &json!(list)).await.expect(200);
    admin.delete(&format!("/api/v1/groups/{group}")).await.expect(204);
    let sql = "SELECT before FROM events WHERE kind = 'group.deleted'";
    let before: Value = serde_json::from_str(&t.ask_sql(sql)[0][0]).unwrap();
    assert_eq!((&before["permissions"], &before["users"]), (&json!(list), &json!(named(&t, "seed"))));
    let left = ["group_permissions", "bulk_operations", "bulk_operation_ids", "memberships", "groups"];
    assert_eq!(left.map(|table| count(&t, table)), [0; 5]);
}

#[tokio::test]
async fn a_partner_is_deleted_in_steps_with_all_its_data() {
    let t = T::start().await;
    let operator = t.operator().await;
    let (pid, olga) = t.other_partner("acme").await;
    let group = olga.create_group("Editors").await;
    seed(&t, pid, "seed", MANY, vec![GroupId(group)]).await;
    let deleted: Vec<i64> = named(&t, "seed").into_iter().take(60).collect();
    olga.post(DELETE, &json!(deleted)).await.expect(204);
    let list = json!([{ "objectType": "SEGMENT", "objectId": 5, "permissions": ["READ"] }]);
    olga.put(&format!("/api/v1/groups/{group}/permissions"), &list).await.expect(200);
    let path = format!("/operator/v1/partners/{pid}");
    assert_eq!(operator.delete(&path).await.expect(409).body["code"], "partner-not-empty");
    operator.delete("/operator/v1/partners/99?force=true").await.expect(404);
    let request = operator.request(Method::DELETE, &format!("{path}?force=true"));
    broken_off(&t, request).await;
    let tokens = (operator.token.clone().unwrap(), olga.token.clone().unwrap());
    let t = t.restart().await;
    let operator = t.bearer(&tokens.0);
    // From its beginning nobody gets in, and it cannot be called back.
    t.bearer(&tokens.1).get("/self").await.expect(401);
    let resumed = operator.patch(&path, &json!({ "suspended": false })).await.expect(409);
    assert_eq!(resumed.body["code"], "partner-being-deleted");
    ended(&t).await;
    operator.get(&path).await.expect(404);
    for table in [
        "users",
        "usernames",
        "groups",
        "memberships",
        "group_permissions",
        "deleted_users",
        "sessions",
        "outbox",
    ] {
        let whose =
            if table == "usernames" { format!("usernames WHERE pid = {pid}") } else { table.to_owned() };
        let left = if whose.contains("WHERE") { whose } else { format!("{table} WHERE pid = {pid}") };
        assert_eq!(count(&t, &left), 0, "{table}");
    }
    assert_eq!(count(&t, &format!("counters WHERE pid = {pid} AND name <> 'events' AND value <> 0")), 0);
    assert_eq!(count(&t, &format!("events WHERE pid = {pid} AND kind = 'partner.deleted'")), 1);
    let page = operator.get("/operator/v1/partners").await.expect(200);
    assert_eq!(page.body["total"], 1);
}

/// A command that is run again after it was killed goes on, without a server that attends to it.
#[tokio::test]
async fn a_partially_deleted_partner_is_deleted_by_a_retry() {
    let t = T::start().await;
    let operator = t.operator().await;
    let (pid, _) = t.other_partner("acme").await;
    let path = format!("/operator/v1/partners/{pid}?force=true");
    broken_off(&t, operator.request(Method::DELETE, &path)).await;
    let t = t.restart().await;
    let by = tenantry_store::access::Operator::of_this_machine();
    if is_postgres() {
        t.clock.advance(30_001);
    }
    let again = bulk_operations::delete_partner(&t.app, by, PartnerId(pid), true, false).await;
    assert!(matches!(again, Err(tenantry_core::error::Error::NotFound(_))), "{again:?}");
    assert_eq!(count(&t, &format!("partners WHERE pid = {pid}")) + count(&t, "bulk_operations"), 0);
}

/// A client through which many have logged in is revoked at once; their sessions end in steps.
#[tokio::test]
async fn the_sessions_of_a_revoked_client_end_in_steps() {
    let t = T::start().await;
    let by = tenantry_store::access::Operator::of_this_machine();
    let client = t.client(1, true).await;
    let robot = t.technical_account(&client).await;
    robot.get("/api/v1/users?page=0").await.expect(200);
    let other = t.client(1, true).await;
    let stays = t.technical_account(&other).await;
    let copies = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 5001) ";
    t.run_sql(&format!(
        "{copies} INSERT INTO sessions (pid, session_id, user_id, client_id, restricted, created_at, expires_at, last_used_at) \
         SELECT s.pid, s.session_id || '-' || CAST(n AS TEXT), s.user_id, s.client_id, s.restricted, s.created_at, \
         s.expires_at, s.last_used_at FROM sessions s, n WHERE s.client_id = '{}'",
        client.0
    ));
    let by = by.as_admin_of(PartnerId(1));
    let options = WriteOptions::default;
    bulk_operations::revoke_client(&t.app, &by, options(), &client.0).await.unwrap();
    assert_eq!(count(&t, &format!("sessions WHERE client_id = '{}'", client.0)), 0);
    assert_eq!(count(&t, "bulk_operations"), 0);
    robot.get("/api/v1/users?page=0").await.expect(401);
    stays.get("/api/v1/users?page=0").await.expect(200);
    assert_eq!(count(&t, "events WHERE kind = 'client.revoked' AND actor = 'operator'"), 1);
    bulk_operations::revoke_client(&t.app, &by, options(), &client.0).await.unwrap_err();
}

/// Whoever asked may go away.
#[tokio::test]
async fn a_disconnected_client_does_not_stop_it() {
    let t = T::start().await;
    let admin = t.admin().await;
    seed(&t, 1, "seed", MANY, Vec::new()).await;
    let request = admin.request(Method::POST, DELETE).json(&named(&t, "seed"));
    let asked = request.send();
    // It has begun; the response is not waited for.
    tokio::select! {
        _ = asked => {}
        () = async { until("it has begun", || (t.app.bulk.count() > 0).then_some(())).await } => {}
    }
    until("it has ended", || (t.app.bulk.count() == 0).then_some(())).await;
    assert_eq!((count(&t, "users"), count(&t, "bulk_operations")), (1, 0));
    assert_eq!(count(&t, "events WHERE kind = 'user.deleted'"), 5_001);
}
