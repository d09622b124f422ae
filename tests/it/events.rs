//! The audit log: every change writes its event, in its own transaction.

use serde_json::{Value, json};

use crate::fixtures::with;
use crate::harness::{ADMIN_PASSWORD, Person, T, new_user, password_of};
use crate::user_fields::nulls;

/// The events after the first `seen`: type, actor, and what it happened to.
async fn news(admin: &Person<'_>, seen: usize) -> Vec<(String, String, Value)> {
    let events = admin.events().await;
    let tell = |event: &Value| {
        let what = if event["groupId"].is_null() { &event["userId"] } else { &event["groupId"] };
        let text = |name: &str| event[name].as_str().unwrap().to_owned();
        (text("type"), text("actor"), what.clone())
    };
    events[seen..].iter().map(tell).collect()
}

fn event(kind: &str, actor: &str, what: impl Into<Value>) -> (String, String, Value) {
    (kind.to_owned(), actor.to_owned(), what.into())
}

#[tokio::test]
async fn every_change_of_a_user_writes_its_event() {
    let t = T::start().await;
    let admin = t.admin().await;
    let group = admin.create_group("Editors").await;
    let seen = admin.events().await.len();
    let body = with(&new_user("fenna"), json!({ "status": "INACTIVE", "groups": [group], "title": "Dr" }));
    let user = admin.create_with(&body).await;
    t.clock.advance(1_500);
    admin
        .put("/api/v1/users/2", &with(&user, json!({ "title": null, "lastName": "King" })))
        .await
        .expect(200);
    let user = admin.get("/api/v1/users/2").await.expect(200).body;
    // Nothing changed, nothing recorded; and a refused change is none.
    admin.put("/api/v1/users/2", &user).await.expect(200);
    admin.put("/api/v1/users/2", &with(&user, json!({ "username": "admin" }))).await.expect(409);
    admin.put("/api/v1/users/2", &with(&user, json!({ "status": "ACTIVE", "groups": [] }))).await.expect(200);
    admin.post("/api/v1/users/2/reset-password", &json!({})).await.expect(200);
    admin.delete("/api/v1/users/2").await.expect(204);
    assert_eq!(
        news(&admin, seen).await,
        [
            event("user.created", "user:1", 2),
            event("user.updated", "user:1", 2),
            event("user.updated", "user:1", 2),
            event("password.issued", "user:1", 2),
            event("password.reset", "user:1", 2),
            event("user.deleted", "user:1", 2),
        ]
    );
    let events = &admin.events().await[seen..];
    let picture = with(
        &nulls(),
        json!({
            "username": "fenna", "status": "INACTIVE", "firstName": "Fenna", "lastName": "Jansen",
            "email": "fenna@example.com", "title": "Dr", "groups": [group], "isAdmin": false,
        }),
    );
    assert_eq!((&events[0]["before"], &events[0]["after"]), (&json!(null), &picture));
    assert_eq!(events[0]["time"], "2026-11-23T09:00:00.000Z");
    // Only what differs.
    assert_eq!(events[1]["before"], json!({ "lastName": "Jansen", "title": "Dr" }));
    assert_eq!(events[1]["after"], json!({ "lastName": "King", "title": null }));
    assert_eq!(events[1]["time"], "2026-11-23T09:00:01.500Z");
    assert_eq!(events[2]["before"], json!({ "status": "INACTIVE", "groups": [group] }));
    assert_eq!(events[2]["after"], json!({ "status": "ACTIVE", "groups": [] }));
    let last = with(&picture, json!({ "lastName": "King", "title": null, "status": "ACTIVE", "groups": [] }));
    assert_eq!((&events[5]["before"], &events[5]["after"]), (&last, &json!(null)));
    let numbers: Vec<i64> = events.iter().map(|e| e["eventId"].as_i64().unwrap()).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b));
}

#[tokio::test]
async fn self_service_is_recorded_for_the_user() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (id, fenna) = t.member("fenna").await;
    let seen = admin.events().await.len();
    let own = fenna.get("/self").await.expect(200).body;
    fenna.put("/self/update", &with(&own, json!({ "email": "new@example.com" }))).await.expect(200);
    let body = json!({ "oldPassword": password_of("fenna"), "newPassword": "Copper.Kettle-77x" });
    fenna.post("/self/update-password", &body).await.expect(200);
    fenna.post("/self/reset-password", &json!({})).await.expect(200);
    for _ in 0..5 {
        t.try_login("fenna", "Wrong.Kettle-77x").await.expect(400);
    }
    let actor = format!("user:{id}");
    assert_eq!(
        news(&admin, seen).await,
        [
            event("user.updated", &actor, id),
            event("password.changed", &actor, id),
            event("password.reset", &actor, id),
            event("user.locked", "system", id),
        ]
    );
    let locked = admin.events().await.pop().unwrap();
    assert_eq!(
        (&locked["before"], &locked["after"]),
        (&json!({ "status": "ACTIVE" }), &json!({ "status": "LOCKED" }))
    );
}

#[tokio::test]
async fn every_change_of_a_group_writes_its_event() {
    let t = T::start().await;
    let admin = t.admin().await;
    let seen = admin.events().await.len();
    for name in ["Editors", "Readers", "Writers"] {
        admin.create_group(name).await;
    }
    admin.create_with(&with(&new_user("fenna"), json!({ "groups": [1], "status": "INACTIVE" }))).await;
    admin.put("/api/v1/groups/1", &json!({ "name": "Authors" })).await.expect(200);
    admin.put("/api/v1/groups/1", &json!({ "name": "Authors" })).await.expect(200);
    admin.put("/api/v1/groups/1", &json!({ "name": "READERS" })).await.expect(409);
    admin.delete("/api/v1/groups/1").await.expect(204);
    admin.post("/api/v1/groups/bulk-delete", &json!([2, 99])).await.expect(404);
    admin.post("/api/v1/groups/bulk-delete", &json!([3, 2])).await.expect(204);
    assert_eq!(
        news(&admin, seen).await,
        [
            event("group.created", "user:1", 1),
            event("group.created", "user:1", 2),
            event("group.created", "user:1", 3),
            event("user.created", "user:1", 2),
            event("group.updated", "user:1", 1),
            event("group.deleted", "user:1", 1),
            event("group.deleted", "user:1", 2),
            event("group.deleted", "user:1", 3),
        ]
    );
    let events = &admin.events().await[seen..];
    let picture = json!({
        "name": "Editors", "description": "", "parentGroupId": null, "wildcards": [], "users": [],
    });
    assert_eq!(events[0]["after"], picture);
    assert_eq!(
        (&events[4]["before"], &events[4]["after"]),
        (&json!({ "name": "Editors" }), &json!({ "name": "Authors" }))
    );
    let last = with(&picture, json!({ "name": "Authors", "users": [2], "permissions": [] }));
    assert_eq!(events[5]["before"], last);
}

#[tokio::test]
async fn every_user_of_a_bulk_delete_has_its_event_and_a_refused_one_none() {
    let t = T::start().await;
    let admin = t.admin().await;
    for name in ["a", "b", "c"] {
        admin.create(name).await;
    }
    let seen = admin.events().await.len();
    admin.post("/api/v1/users/bulk-delete", &json!([2, 3, 99])).await.expect(404);
    admin.post("/api/v1/users/bulk-delete", &json!([2, 3, 1])).await.expect(409);
    assert_eq!(news(&admin, seen).await, []);
    admin.post("/api/v1/users/bulk-delete", &json!([4, 2, 3])).await.expect(204);
    let expected = [2, 3, 4].map(|id| event("user.deleted", "user:1", id));
    assert_eq!(news(&admin, seen).await, expected);
}

#[tokio::test]
async fn events_are_paged_filtered_and_ones_own() {
    let t = T::start().await;
    let admin = t.admin().await;
    for n in 0..12 {
        admin.create_with(&with(&new_user(&format!("user{n}")), json!({ "status": "INACTIVE" }))).await;
    }
    let user = admin.get("/api/v1/users/5").await.expect(200).body;
    admin.put("/api/v1/users/5", &with(&user, json!({ "title": "Dr" }))).await.expect(200);
    admin.delete("/api/v1/users/5").await.expect(204);
    let (_, olga) = t.other_partner("acme").await;
    let all = admin.events().await;
    // Always wrapped, ten at a time.
    let first = admin.get("/api/v1/events").await.expect(200);
    assert_eq!(first.list(), &all[..10]);
    assert_eq!(
        (&first.body["total"], &first.body["page"], &first.body["pageSize"]),
        (&json!(all.len()), &json!(0), &json!(10))
    );
    let mut reversed = all.clone();
    reversed.reverse();
    for (query, expected) in
        [("sortBy=eventId", &all), ("descending=true", &reversed), ("descending", &reversed)]
    {
        let mut next = format!("/api/v1/events?pageSize=4&{query}");
        let mut walked = Vec::new();
        for n in 0..all.len().div_ceil(4) {
            let page = admin.get(&next).await.expect(200);
            assert_eq!(page.body["page"], if n == 0 { json!(0) } else { json!(null) });
            assert_eq!(page.body["total"], all.len());
            let numbered =
                admin.get(&format!("/api/v1/events?pageSize=4&{query}&page={n}")).await.expect(200);
            assert_eq!(numbered.list(), page.list());
            walked.extend_from_slice(page.list());
            next = page.header("link").split(['<', '>']).nth(1).unwrap_or_default().to_owned();
        }
        assert_eq!((&walked, next.as_str()), (expected, ""));
    }
    let matching =
        |test: &dyn Fn(&Value) -> bool| all.iter().filter(|e| test(e)).cloned().collect::<Vec<_>>();
    for (query, expected) in [
        ("userId=5", matching(&|e| e["userId"] == 5)),
        ("userId=5&userId=6", matching(&|e| e["userId"] == 5 || e["userId"] == 6)),
        ("type=user.created", matching(&|e| e["type"] == "user.created")),
        (
            "userId=5&type=user.updated&type=user.deleted",
            matching(&|e| e["userId"] == 5 && (e["type"] == "user.updated" || e["type"] == "user.deleted")),
        ),
        ("userId=999", Vec::new()),
        ("type=group.created", Vec::new()),
    ] {
        let response = admin.get(&format!("/api/v1/events?pageSize=1000&{query}")).await.expect(200);
        assert_eq!(response.list(), expected, "{query}");
        assert_eq!(response.body["total"], expected.len());
    }
    assert_eq!(admin.get("/api/v1/events?userId=5&pageSize=1000").await.expect(200).list().len(), 3);
    for bad in [
        "type=user.exploded",
        "type=",
        "userId=x",
        "userId=0",
        "sortBy=time",
        "search=x",
        "pageSize=1001",
        "page=-1",
        "cursor=x",
    ] {
        admin.get(&format!("/api/v1/events?{bad}")).await.expect(400);
    }
    let cursor = first.header("link").split(['<', '>']).nth(1).unwrap().to_owned();
    olga.get(&cursor).await.expect(400);
    // Each partner has its own.
    let theirs = olga.events().await;
    assert_eq!(theirs[0]["type"], "partner.created");
    assert!(theirs.iter().all(|event| !all.contains(event)));
    assert_eq!(olga.get("/api/v1/events?userId=5").await.expect(200).body["total"], 0);
    let (_, fenna) = t.member("fenna").await;
    fenna.get("/api/v1/events").await.expect(403);
}

#[tokio::test]
async fn no_secret_is_in_any_event() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (id, fenna) = t.member("fenna").await;
    let mailed = t.mailed_password("fenna").await;
    fenna.post("/self/reset-password", &json!({})).await.expect(200);
    let reset = t.mailed_password("fenna").await;
    let login = t.try_login("fenna", &reset).await.expect(200).body;
    t.try_login("fenna", "Wrong.Kettle-77x").await.expect(400);
    admin.post(&format!("/api/v1/users/{id}/reset-password"), &json!({})).await.expect(200);
    let newest = t.mailed_password("fenna").await;
    assert!(mailed != reset && reset != newest);
    let log = json!(admin.events().await).to_string();
    assert!(log.contains("session.started") && log.contains("password.changed"));
    let tokens =
        [admin.token.as_deref(), fenna.token.as_deref(), login["access_token"].as_str()].map(Option::unwrap);
    let passwords = [&*mailed, &reset, &newest, &password_of("fenna"), ADMIN_PASSWORD, "Wrong.Kettle-77x"];
    for secret in passwords.into_iter().chain(tokens) {
        assert!(!log.contains(secret));
    }
    assert!(!log.contains("$argon2") && !log.to_lowercase().contains("sha256"));
}

/// What belongs to no partner: product clients and keys.
#[tokio::test]
async fn events_of_the_server_are_the_operators() {
    let t = T::start().await;
    let (operator, admin) = (t.operator().await, t.admin().await);
    let path = "/operator/v1/events";
    assert_eq!(operator.get(path).await.expect(200).body["total"], 0);
    let client = json!({ "name": "Shop", "redirectUris": ["https://shop.example/cb"] });
    let made = operator.post("/operator/v1/clients", &client).await.expect(201).body;
    t.secret(made["clientSecret"].as_str().unwrap());
    // The first key for ID tokens is made in the background; whoever fetches the keys waits for it.
    operator.get("/oauth/jwks").await.expect(200);
    let id = made["clientId"].as_str().unwrap();
    operator.delete(&format!("/operator/v1/clients/{id}")).await.expect(204);
    let all = operator.get(path).await.expect(200);
    let kinds: Vec<_> = all.list().iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds, ["client.created", "key.created", "client.revoked"]);
    assert_eq!(all.list()[0]["after"]["clientId"], id);
    assert_eq!((&all.list()[0]["userId"], &all.list()[1]["actor"]), (&Value::Null, &json!("system")));
    assert!(all.list()[0]["actor"].as_str().unwrap().starts_with("operator"), "{}", all.list()[0]);
    // Paged and filtered as a partner's.
    let mut next = format!("{path}?pageSize=1&descending=true");
    let mut paged = Vec::new();
    while !next.is_empty() {
        let page = operator.get(&next).await.expect(200);
        assert_eq!(page.body["total"], 3);
        paged.extend(page.list().to_vec());
        next = page.header("link").split(['<', '>']).nth(1).unwrap_or_default().to_owned();
    }
    paged.reverse();
    assert_eq!(paged, all.list());
    let filtered = operator.get(&format!("{path}?type=key.created")).await.expect(200);
    assert_eq!((filtered.list().len(), &filtered.list()[0]), (1, &all.list()[1]));
    for bad in ["pid=0", "pid=x", "type=x", "page=-1", "cursor=x", "search=x"] {
        operator.get(&format!("{path}?{bad}")).await.expect(400);
    }
    // Those of a partner; also of one that is gone.
    let theirs = operator.get(&format!("{path}?pid=1&pageSize=1000")).await.expect(200);
    assert_eq!(theirs.list(), admin.events().await);
    let (pid, _) = t.other_partner("other").await;
    operator.delete(&format!("/operator/v1/partners/{pid}?force=true")).await.expect(204);
    let theirs = operator.get(&format!("{path}?pid={pid}&type=partner.deleted")).await.expect(200);
    assert_eq!(theirs.list().len(), 1);
    // A cursor of one list is no good for another.
    let page = operator.get(&format!("{path}?pageSize=1")).await.expect(200);
    let cursor = page.header("link").split(['<', '>']).nth(1).unwrap().to_owned();
    operator.get(&format!("{cursor}&pid=1")).await.expect(400);
    for event in all.list() {
        assert!(!admin.events().await.contains(event));
    }
    admin.get(path).await.expect(401);
}
