//! Users created and changed many at a time.

use reqwest::Method;
use serde_json::{Value, json};

use crate::fixtures::{ids, seed, with, without};
use crate::harness::{T, new_user};

const BULK: &str = "/api/v1/users/bulk";

fn some(names: &[&str]) -> Vec<Value> {
    names.iter().map(|name| new_user(name)).collect()
}

#[tokio::test]
async fn a_bulk_create_equals_single_creates() {
    let t = T::start().await;
    let admin = t.admin().await;
    let group = admin.create_group("Editors").await;
    let mut users = some(&["one", "two", "three"]);
    users[1] =
        with(&users[1], json!({ "groups": [group], "isAdmin": "true", "externalId": "x", "title": "T" }));
    users[2] = with(&users[2], json!({ "status": "INACTIVE" }));
    let response = admin.post(BULK, &json!({ "users": users })).await.expect(200).body;
    let numbers: Vec<i64> =
        response["results"].as_array().unwrap().iter().map(|row| row["userId"].as_i64().unwrap()).collect();
    assert!(numbers.is_sorted());
    let results: Vec<Value> =
        (0..3).map(|index| json!({ "index": index, "status": 201, "userId": numbers[index] })).collect();
    assert_eq!(response, json!({ "created": 3, "failed": 0, "results": results }));
    let two = admin.get(&format!("/api/v1/users/{}", numbers[1])).await.expect(200).body;
    let alone = admin.create_with(&with(&users[1], json!({ "username": "alone", "externalId": null }))).await;
    let own = ["userId", "username", "externalId"];
    assert_eq!(without(&two, &own), without(&alone, &own));
    // The ACTIVE ones are mailed, each its own.
    t.login("one", &t.mailed_password("one").await).await;
    t.login("two", &t.mailed_password("two").await).await;
    assert!(t.mails_to("three@example.com").await.is_empty());
    // Found by search and counted at once; an event each.
    let page = admin.get("/api/v1/users?search=three&page=0").await.expect(200);
    assert_eq!(page.body["total"], 1);
    assert_eq!(admin.get("/api/v1/users?page=0").await.body["total"], 5);
    let created = admin.events().await.into_iter().filter(|e| e["type"] == "user.created").count();
    assert_eq!(created, 5);
    // An array alone, and nothing at all.
    let array = admin.post(BULK, &json!(some(&["four"]))).await.expect(200).body;
    assert_eq!(array["created"], 1);
    for nothing in [json!([]), json!({ "users": [] })] {
        let response = admin.post(BULK, &nothing).await.expect(200).body;
        assert_eq!(response, json!({ "created": 0, "failed": 0, "results": [] }));
    }
}

#[tokio::test]
async fn an_atomic_bulk_fails_as_its_first_bad_row_and_creates_nothing() {
    let t = T::start().await;
    let admin = t.admin().await;
    admin.create("taken").await;
    let (before, events) = (admin.everybody().await, admin.events().await.len());
    let mails = t.mails().await.len();
    let faulty = json!({ "username": "a b", "status": "ACTIVE", "x": 1 });
    let unknown_group = with(&new_user("g"), json!({ "groups": [99] }));
    for (rows, status, faults) in [
        // The first bad row is a conflict.
        (
            vec![new_user("a"), new_user("TAKEN"), faulty.clone()],
            409,
            vec!["/users/1/username username-taken"],
        ),
        (vec![new_user("a"), new_user("A")], 409, vec!["/users/1/username username-taken"]),
        // The first bad row has faults: those of the other rows are told, too.
        (
            vec![new_user("a"), faulty.clone(), new_user("taken"), unknown_group.clone(), json!(5)],
            400,
            vec![
                "/users/1/username not-allowed",
                "/users/1/x unknown-field",
                "/users/1/firstName required",
                "/users/1/lastName required",
                "/users/1/email required",
                "/users/3/groups unknown-group",
                "/users/4 wrong-type",
            ],
        ),
    ] {
        let response = admin.post(BULK, &json!({ "users": rows })).await.expect(status);
        assert_eq!(response.faults().len(), faults.len(), "{}", response.text);
        for (found, wanted) in response.faults().iter().zip(&faults) {
            assert_eq!(found.split(' ').next(), wanted.split(' ').next(), "{}", response.text);
        }
        let response = admin.post(BULK, &json!(rows)).await.expect(status);
        assert!(response.faults()[0].starts_with("/1"), "{}", response.text);
        assert_eq!(admin.everybody().await, before);
    }
    assert_eq!(admin.events().await.len(), events);
    assert_eq!(t.mails().await.len(), mails);
    assert_eq!(admin.get("/api/v1/users?page=0").await.body["total"], 2);
}

#[tokio::test]
async fn a_non_atomic_bulk_skips_bad_rows() {
    let t = T::start().await;
    let admin = t.admin().await;
    let group = admin.create_group("Editors").await;
    admin.create_with(&with(&new_user("taken"), json!({ "externalId": "x" }))).await;
    let mails = t.mails().await.len();
    let rows = json!([
        with(&new_user("one"), json!({ "groups": [group] })),
        with(&new_user("TAKEN"), json!({ "groups": [group] })),
        { "username": "faulty" },
        with(&new_user("two"), json!({ "externalId": "x", "groups": [group] })),
        new_user("One"),
        with(&new_user("three"), json!({ "groups": [77] })),
        new_user("four"),
    ]);
    let response = admin.post(BULK, &json!({ "users": rows, "atomic": false })).await.expect(200).body;
    assert_eq!((&response["created"], &response["failed"]), (&json!(2), &json!(5)));
    let results = response["results"].as_array().unwrap();
    let statuses: Vec<i64> = results.iter().map(|row| row["status"].as_i64().unwrap()).collect();
    assert_eq!(statuses, [201, 409, 400, 409, 409, 400, 201]);
    assert_eq!(results[1]["problem"]["code"], "username-taken");
    assert_eq!(results[1]["problem"]["errors"][0]["field"], "/username");
    assert_eq!(results[2]["problem"]["errors"].as_array().unwrap().len(), 4);
    assert_eq!(results[3]["problem"]["code"], "external-id-taken");
    assert_eq!(results[5]["problem"]["errors"][0]["code"], "unknown-group");
    assert!(results.iter().all(|row| row["userId"].is_null() != row["problem"].is_null()));
    // Nothing is left of the rows that were passed over: users, members, counts, index, mails.
    let users = admin.everybody().await;
    assert_eq!(ids(&users).len(), 4);
    assert_eq!(admin.get("/api/v1/users?page=0").await.body["total"], 4);
    let group = admin.get(&format!("/api/v1/groups/{group}")).await.expect(200).body;
    assert_eq!((&group["membershipCount"], &group["users"]), (&json!(1), &json!([results[0]["userId"]])));
    for term in ["two", "three", "faulty"] {
        assert_eq!(
            admin.get(&format!("/api/v1/users?search={term}&page=0")).await.body["total"],
            0,
            "{term}"
        );
    }
    assert_eq!(t.mails().await.len(), mails + 2);
    // The names of rows that failed for another reason are still free.
    admin.create("two").await;
}

#[tokio::test]
async fn bad_bulks_say_what_is_wrong() {
    let t = T::start().await;
    let admin = t.admin().await;
    for (body, faults) in [
        (json!({}), vec!["/users required"]),
        (json!({ "users": 5 }), vec!["/users wrong-type"]),
        (json!({ "users": [], "atomic": "maybe", "x": 1 }), vec!["/atomic wrong-type", "/x unknown-field"]),
        (json!("x"), vec![" wrong-type"]),
    ] {
        assert_eq!(admin.post(BULK, &body).await.expect(400).faults(), faults, "{body}");
    }
    let doubled = br#"[{"username":"a","username":"b"}]"#.to_vec();
    let response = admin.send(Method::POST, BULK, Some(doubled), "application/json").await.expect(400);
    assert!(response.faults().contains(&String::from("/0/username duplicate-field")), "{}", response.text);
    let many: Vec<Value> = (0..10_001).map(|_| json!({})).collect();
    let response = admin.post(BULK, &json!({ "users": many })).await.expect(400);
    assert_eq!(response.faults(), ["/users too-many-users"]);
    // A thousand bad rows are not explained one by one.
    let response = admin.post(BULK, &json!({ "users": many[..1_000] })).await.expect(400);
    assert_eq!(response.faults().len(), 100);
    assert_eq!(ids(&admin.everybody().await), [1]);
}

#[tokio::test]
async fn a_full_bulk_is_created() {
    let t = T::start().await;
    let admin = t.admin().await;
    let rows: Vec<Value> =
        (0..10_000).map(|n| with(&new_user(&format!("bulk{n}")), json!({ "status": "INACTIVE" }))).collect();
    let response = admin.post(BULK, &json!({ "users": rows })).await.expect(200).body;
    assert_eq!((&response["created"], &response["results"][9_999]["index"]), (&json!(10_000), &json!(9_999)));
    assert_eq!(admin.get("/api/v1/users?page=0").await.body["total"], 10_001);
}

#[tokio::test]
async fn one_patch_for_a_list_of_ids() {
    let t = T::start().await;
    let admin = t.admin().await;
    let group = admin.create_group("Editors").await;
    let mut users = Vec::new();
    for name in ["one", "two", "three"] {
        users.push(admin.create(name).await);
    }
    let numbers: Vec<&Value> = users.iter().map(|user| &user["userId"]).collect();
    let body =
        json!({ "ids": [numbers[1], numbers[0], numbers[1]], "patch": { "groups": [group], "title": "T" } });
    let response = admin.patch(BULK, &body).await.expect(200).body;
    assert_eq!(response, json!({ "matched": 2, "changed": 2 }));
    let seen = admin.get(&format!("/api/v1/groups/{group}")).await.expect(200).body;
    assert_eq!(seen["users"], json!([numbers[0], numbers[1]]));
    let one = admin.get(&format!("/api/v1/users/{}", numbers[0])).await.expect(200).body;
    assert_eq!((&one["title"], &one["lastName"]), (&json!("T"), &users[0]["lastName"]));
    // Once more changes nothing.
    assert_eq!(admin.patch(BULK, &body).await.expect(200).body, json!({ "matched": 2, "changed": 0 }));
    let before = admin.everybody().await;
    let unknown = json!({ "ids": [numbers[2], 98, 99], "patch": { "title": "U" } });
    assert_eq!(admin.patch(BULK, &unknown).await.expect(404).body["ids"], json!([98, 99]));
    let counted = json!({ "ids": [numbers[2]], "expectedCount": 2, "patch": { "title": "U" } });
    assert_eq!(admin.patch(BULK, &counted).await.expect(409).body["code"], "count-mismatch");
    // The last admin is among them: all or none (B10).
    let last = json!({ "ids": [1, numbers[2]], "patch": { "status": "INACTIVE" } });
    assert_eq!(admin.patch(BULK, &last).await.expect(409).body["code"], "last-admin");
    assert_eq!(admin.everybody().await, before);
    // Another partner's users are unknown (B11).
    let (_, olga) = t.other_partner("acme").await;
    olga.patch(BULK, &json!({ "ids": [numbers[0]], "patch": {} })).await.expect(404);
    // Locking ends sessions and tells the users, as a single change does.
    let (id, lena) = t.member("lena").await;
    admin.patch(BULK, &json!({ "ids": [id], "patch": { "status": "LOCKED" } })).await.expect(200);
    lena.get("/self").await.expect(401);
    assert_eq!(admin.patch(BULK, &json!({ "ids": [], "patch": {} })).await.expect(200).body["matched"], 0);
}

#[tokio::test]
async fn one_patch_for_a_filter_that_finds_as_many_as_expected() {
    let t = T::start().await;
    let admin = t.admin().await;
    let group = admin.create_group("Editors").await;
    seed(&t, 1, "seed", 1_500, vec![tenantry_core::model::GroupId(group)]).await;
    seed(&t, 1, "other", 10, Vec::new()).await;
    let change = async |filter: Value, expected: i64, patch: Value| {
        let body = json!({ "filter": filter, "expectedCount": expected, "patch": patch });
        admin.patch(BULK, &body).await
    };
    let titled = async |title: &str| {
        let page = admin.get(&format!("/api/v1/users?search={title}&page=0")).await.expect(200);
        page.body["total"].as_i64().unwrap()
    };
    for (n, (filter, count)) in [
        (json!({ "groupId": group }), 1_500),
        (json!({ "groupId": [group], "search": "seed149" }), 11),
        (json!({ "status": "INACTIVE", "search": "other" }), 10),
        (json!({ "status": ["ACTIVE", "LOCKED"], "isAdmin": true }), 1),
        (json!({ "username": ["SEED1", "seed2", "nobody"] }), 2),
        (json!({}), 1_511),
    ]
    .into_iter()
    .enumerate()
    {
        let title = format!("Title{n}x");
        for wrong in [count - 1, count + 1] {
            let refused = change(filter.clone(), wrong, json!({ "title": title })).await.expect(409);
            assert_eq!(refused.body["code"], "count-mismatch");
            assert!(refused.body["detail"].as_str().unwrap().contains(&format!("matches {count} users")));
        }
        assert_eq!(titled(&title).await, 0, "{filter}");
        let done = change(filter.clone(), count, json!({ "title": title })).await.expect(200).body;
        assert_eq!(done, json!({ "matched": count, "changed": count }), "{filter}");
        assert_eq!(titled(&title).await, count);
    }
    // What the filter finds may cease to be found by the change itself.
    let done =
        change(json!({ "status": "INACTIVE" }), 1_510, json!({ "status": "LOCKED" })).await.expect(200);
    assert_eq!(done.body["changed"], 1_510);
}

#[tokio::test]
async fn bad_patches_of_many_list_all_their_faults() {
    let t = T::start().await;
    let admin = t.admin().await;
    for (body, faults) in [
        (json!({}), vec!["/ids required", "/patch required"]),
        (json!({ "ids": [1], "filter": {}, "patch": {} }), vec!["/filter contradiction"]),
        (json!({ "filter": {}, "patch": {} }), vec!["/expectedCount required"]),
        (
            json!({ "filter": { "status": "GONE", "x": 1, "search": null }, "expectedCount": -1, "patch": { "username": "a", "externalId": "b", "email": "c", "y": 1 } }),
            vec![
                "/expectedCount out-of-range",
                "/filter/search wrong-type",
                "/filter/status unknown-status",
                "/filter/x unknown-parameter",
                "/patch/email invalid-email",
                "/patch/externalId not-for-many",
                "/patch/username not-for-many",
                "/patch/y unknown-field",
            ],
        ),
        (
            json!({ "filter": 5, "expectedCount": 1, "patch": 5 }),
            vec!["/filter wrong-type", "/patch wrong-type"],
        ),
        (json!({ "ids": [0], "patch": {} }), vec!["/ids/0 out-of-range"]),
        (
            json!({ "filter": { "groupId": 9 }, "expectedCount": 1, "patch": { "title": "x" } }),
            vec!["/filter/groupId unknown-group"],
        ),
        (json!({ "ids": [1], "patch": { "groups": [9] } }), vec!["/patch/groups unknown-group"]),
    ] {
        let mut found = admin.patch(BULK, &body).await.expect(400).faults();
        found.sort();
        assert_eq!(found, faults, "{body}");
    }
    // An external id can be cleared for many.
    let user = admin.create_with(&with(&new_user("fenna"), json!({ "externalId": "x" }))).await;
    let clear = json!({ "ids": [user["userId"]], "patch": { "externalId": null } });
    admin.patch(BULK, &clear).await.expect(200);
    let path = format!("/api/v1/users/{}", user["userId"]);
    assert_eq!(admin.get(&path).await.expect(200).body["externalId"], Value::Null);
}

/// Two bulks with one name in common at once: one of them creates all its users, the other none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_concurrent_bulks_with_a_common_username_one_is_created() {
    let t = T::start().await;
    let admin = t.admin().await;
    for n in 0..5 {
        let (one, other) = (format!("one{n}"), format!("other{n}"));
        let common = format!("common{n}");
        let (a, b) = (json!(some(&[&one, &common])), json!(some(&[&other, &common])));
        let (first, second) = tokio::join!(admin.post(BULK, &a), admin.post(BULK, &b));
        let mut statuses = [first.status.as_u16(), second.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
        assert_eq!(admin.get(&format!("/api/v1/users?search=common{n}&page=0")).await.body["total"], 1);
        assert_eq!(admin.get("/api/v1/users?page=0").await.body["total"], 3 + 2 * n);
    }
}
