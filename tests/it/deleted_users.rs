//! Deleted users: out of sight at once, brought back within their time, erased after it.

use serde_json::{Value, json};

use tenantry_core::clock::{DAY, MINUTE};

use crate::fixtures::{ids, seed, with};
use crate::harness::{Person, T, new_user, password_of};

const DELETED: &str = "/api/v1/users/deleted";

/// A member with everything a user can have, deleted; what it was, and its number.
async fn rich_and_gone(t: &T, admin: &Person<'_>) -> (Value, i64) {
    let (id, fenna) = t.member("fenna").await;
    let groups = [admin.create_group("One").await, admin.create_group("Two").await];
    let path = format!("/api/v1/users/{id}");
    let rich = json!({
        "title": "Clerk", "phoneNumber": "+31 20", "groups": groups, "isAdmin": true, "externalId": "x1",
        "firstName": "Fénna", "lastName": "de \"Jong\"",
    });
    let user = admin.patch(&path, &rich).await.expect(200).body;
    fenna.get("/self").await.expect(200);
    t.clock.advance(MINUTE);
    admin.delete(&path).await.expect(204);
    (user, id)
}

#[tokio::test]
async fn a_deleted_user_is_only_in_the_list_of_deleted_users() {
    let t = T::start().await;
    let admin = t.admin().await;
    let fenna = {
        let (_, person) = t.member("fenna").await;
        person
    };
    let id = fenna.get("/self").await.body["userId"].as_i64().unwrap();
    let group = admin.create_group("Editors").await;
    let path = format!("/api/v1/users/{id}");
    admin.patch(&path, &json!({ "groups": [group], "externalId": "x1" })).await.expect(200);
    admin.delete(&path).await.expect(204);
    admin.get(&path).await.expect(404);
    admin.put(&path, &new_user("fenna")).await.expect(404);
    admin.patch(&path, &json!({})).await.expect(404);
    admin.delete(&path).await.expect(404);
    admin.post(&format!("{path}/reset-password"), &json!({})).await.expect(404);
    admin.get(&format!("{path}/sessions")).await.expect(404);
    admin.post("/api/v1/users/bulk-delete", &json!([id])).await.expect(404);
    fenna.get("/self").await.expect(401);
    t.try_login("fenna", &password_of("fenna")).await.expect(400);
    t.anonymous().post("/api/v1/users/forgot-password", &json!({ "username": "fenna" })).await.expect(202);
    let before = t.mails().await.len();
    for query in ["", "?search=fenna", "?username=fenna", "?externalId=x1", "?status=ACTIVE"] {
        assert!(
            !ids(&admin.get(&format!("/api/v1/users{query}")).await.expect(200).body).contains(&id),
            "{query}"
        );
    }
    for query in ["?page=0", &format!("?groupId={group}&page=0"), &format!("?search={id}&page=0")] {
        let page = admin.get(&format!("/api/v1/users{query}")).await.expect(200);
        assert_eq!(page.body["total"], if query == "?page=0" { 1 } else { 0 }, "{query}");
    }
    let seen = admin.get(&format!("/api/v1/groups/{group}")).await.expect(200).body;
    assert_eq!((&seen["users"], &seen["membershipCount"]), (&json!([]), &json!(0)));
    // The name and the external id are free at once.
    admin.create_with(&with(&new_user("Fenna"), json!({ "externalId": "x1" }))).await;
    assert_eq!(t.mails().await.len(), before + 1, "only the new user is mailed");
    let list = admin.get(DELETED).await.expect(200);
    assert_eq!((&list.body["total"], list.list()[0]["userId"].as_i64()), (&json!(1), Some(id)));
}

#[tokio::test]
async fn a_restored_user_is_unchanged_except_for_its_sessions() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (user, id) = rich_and_gone(&t, &admin).await;
    let listed = admin.get(DELETED).await.expect(200).body["list"][0].clone();
    let times = json!({ "deletedAt": "2026-11-23T09:01:00.000Z", "erasedAt": "2026-12-23T09:01:00.000Z" });
    assert_eq!(listed, with(&user, times));
    t.clock.advance(29 * DAY);
    let admin = t.admin().await;
    let tag = |response: &crate::harness::TestResponse| response.header("etag").to_owned();
    let restored = admin.post(&format!("/api/v1/users/{id}/restore"), &json!({})).await.expect(200);
    let expected = with(&user, json!({ "updatedAt": restored.body["updatedAt"] }));
    assert_eq!(restored.body, with(&expected, json!({ "missingGroups": [] })));
    let read = admin.get(&format!("/api/v1/users/{id}")).await.expect(200);
    assert_eq!((&read.body, tag(&read)), (&expected, tag(&restored)));
    assert_eq!(admin.get(DELETED).await.expect(200).body["total"], 0);
    // Password and rights are back, sessions are not; nobody was mailed.
    let fenna = t.login("fenna", &password_of("fenna")).await;
    fenna.get("/api/v1/users").await.expect(200);
    assert_eq!(fenna.get("/self/sessions").await.expect(200).body["total"], 1);
    // The history of passwords is back, too.
    let again = json!({ "oldPassword": password_of("fenna"), "newPassword": password_of("fenna") });
    assert_eq!(
        fenna.post("/self/update-password", &again).await.expect(400).faults(),
        ["/newPassword used-before"]
    );
    // Found again by everything: search, groups, counts.
    for query in ["search=jong", "externalId=x1", "username=FENNA", &format!("groupId={}", user["groups"][0])]
    {
        let page = admin.get(&format!("/api/v1/users?{query}&page=0")).await.expect(200);
        assert_eq!(
            (&page.body["total"], page.list()[0]["userId"].as_i64()),
            (&json!(1), Some(id)),
            "{query}"
        );
    }
    assert_eq!(admin.get("/api/v1/users?page=0").await.body["total"], 2);
    admin.post(&format!("/api/v1/users/{id}/restore"), &json!({})).await.expect(404);
    let kinds: Vec<Value> = admin.events().await.into_iter().map(|e| e["type"].clone()).collect();
    assert!(kinds.contains(&json!("user.restored")));
}

#[tokio::test]
async fn missing_groups_are_named_and_taken_names_are_conflicts() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (user, id) = rich_and_gone(&t, &admin).await;
    let gone = user["groups"][0].as_i64().unwrap();
    admin.delete(&format!("/api/v1/groups/{gone}")).await.expect(204);
    let taker = admin.create("FENNA").await;
    let path = format!("/api/v1/users/{id}/restore");
    let refused = admin.post(&path, &json!({})).await.expect(409);
    assert_eq!(
        (&refused.body["code"], refused.faults()),
        (&json!("username-taken"), vec![String::from("/username username-taken")])
    );
    let taker = format!("/api/v1/users/{}", taker["userId"]);
    admin.patch(&taker, &json!({ "username": "other", "externalId": "x1" })).await.expect(200);
    let refused = admin.post(&path, &json!({})).await.expect(409);
    assert_eq!(refused.body["code"], "external-id-taken");
    // A refusal left it where it was.
    assert_eq!(admin.get(DELETED).await.expect(200).body["total"], 1);
    admin.patch(&taker, &json!({ "externalId": null })).await.expect(200);
    let restored = admin.post(&path, &json!({})).await.expect(200).body;
    assert_eq!(
        (&restored["groups"], &restored["missingGroups"]),
        (&json!([user["groups"][1]]), &json!([gone]))
    );
}

#[tokio::test]
async fn after_its_time_or_on_request_a_user_is_erased() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (one, two) = (admin.create("one").await, admin.create("two").await);
    for user in [&one, &two] {
        admin.delete(&format!("/api/v1/users/{}", user["userId"])).await.expect(204);
    }
    let (_, olga) = t.other_partner("acme").await;
    let path = format!("{DELETED}/{}", one["userId"]);
    // Another partner's are nobody's business (B11).
    olga.delete(&path).await.expect(404);
    olga.post(&format!("/api/v1/users/{}/restore", one["userId"]), &json!({})).await.expect(404);
    assert_eq!(olga.get(DELETED).await.expect(200).body["total"], 0);
    admin.delete(&path).await.expect(204);
    admin.delete(&path).await.expect(404);
    admin.post(&format!("/api/v1/users/{}/restore", one["userId"]), &json!({})).await.expect(404);
    // A user who is there is no deleted user.
    admin.delete(&format!("{DELETED}/1")).await.expect(404);
    admin.post("/api/v1/users/1/restore", &json!({})).await.expect(404);
    t.clock.advance(30 * DAY - 1);
    assert_eq!(tenantry_worker::housekeep(&t.app).await.unwrap().users, 0);
    t.clock.advance(1);
    // Gone at its time, whether the worker has been there or not.
    let admin = t.admin().await;
    assert_eq!(admin.get(DELETED).await.expect(200).body["total"], 0);
    admin.post(&format!("/api/v1/users/{}/restore", two["userId"]), &json!({})).await.expect(404);
    assert_eq!(tenantry_worker::housekeep(&t.app).await.unwrap().users, 1);
    let events = admin.events().await;
    let erased: Vec<_> = events.iter().filter(|e| e["type"] == "user.erased").collect();
    assert_eq!(erased.len(), 2);
    assert_eq!((&erased[0]["actor"], &erased[1]["actor"]), (&json!("user:1"), &json!("system")));
    // Numbers are never used again (B24).
    assert!(admin.create("one").await["userId"].as_i64() > two["userId"].as_i64());
}

#[tokio::test]
async fn zero_days_erase_at_once() {
    let t = T::with(|config| config.deleted_user_days = 0).await;
    let admin = t.admin().await;
    let user = admin.create("fenna").await;
    admin.delete(&format!("/api/v1/users/{}", user["userId"])).await.expect(204);
    assert_eq!(admin.get(DELETED).await.expect(200).body["total"], 0);
    admin.post(&format!("/api/v1/users/{}/restore", user["userId"]), &json!({})).await.expect(404);
    assert_eq!(tenantry_worker::housekeep(&t.app).await.unwrap().users, 0);
}

#[tokio::test]
async fn deleted_users_are_always_paged_sorted_and_searched() {
    let t = T::start().await;
    let admin = t.admin().await;
    seed(&t, 1, "seed", 25, Vec::new()).await;
    let all: Vec<i64> = ids(&admin.everybody().await).into_iter().filter(|id| *id != 1).collect();
    // Half in bulk, the rest one by one, the last first.
    admin.post("/api/v1/users/bulk-delete", &json!(all[..12])).await.expect(204);
    for id in all[12..].iter().rev() {
        t.clock.advance(1_000);
        admin.delete(&format!("/api/v1/users/{id}")).await.expect(204);
    }
    for (order, sorted) in [("", all.clone()), ("&descending=true", all.iter().rev().copied().collect())] {
        let mut seen = Vec::new();
        let mut next = format!("{DELETED}?pageSize=10{order}");
        loop {
            let page = admin.get(&next).await.expect(200);
            assert_eq!(page.body["total"], 25);
            seen.extend(ids(&page.body["list"]));
            let Some(link) = page.header("link").strip_prefix('<').map(str::to_owned) else { break };
            next = link.split_once('>').unwrap().0.to_owned();
        }
        assert_eq!(seen, sorted);
    }
    let newest =
        admin.get(&format!("{DELETED}?sortBy=deletedAt&descending=true&pageSize=2")).await.expect(200);
    assert_eq!(ids(&newest.body["list"]), [all[12], all[13]]);
    let found = admin.get(&format!("{DELETED}?search=SEED2")).await.expect(200);
    assert_eq!(found.body["total"], 6);
    admin.get(&format!("{DELETED}?sortBy=email")).await.expect(400);
    admin.get(&format!("{DELETED}?search=%01")).await.expect(400);
}

/// Two who restore one user at once: it is there once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_concurrent_restores_one_restores() {
    let t = T::start().await;
    let admin = t.admin().await;
    for n in 0..10 {
        let user = admin.create(&format!("fenna{n}")).await;
        admin.delete(&format!("/api/v1/users/{}", user["userId"])).await.expect(204);
        let (path, nothing) = (format!("/api/v1/users/{}/restore", user["userId"]), json!({}));
        let erase = format!("{DELETED}/{}", user["userId"]);
        let (a, b, c) =
            tokio::join!(admin.post(&path, &nothing), admin.post(&path, &nothing), admin.delete(&erase));
        let done = [a.status.as_u16(), b.status.as_u16(), c.status.as_u16()];
        assert_eq!(done.iter().filter(|status| **status < 300).count(), 1, "{done:?}");
        assert_eq!(done.iter().filter(|status| **status == 404).count(), 2, "{done:?}");
    }
}
