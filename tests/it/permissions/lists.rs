//! What a user may do, and who may do something: lists with the reasons.

use serde_json::{Value, json};

use super::{EVALUATION, entry, give, nested, question, user_in, wildcards};
use crate::fixtures::with;
use crate::harness::{T, TestResponse, new_user};

#[tokio::test]
async fn c_effective_permissions_are_paged_and_explained() {
    let t = T::start().await;
    let admin = t.admin().await;
    let top = admin.create_group("Top").await;
    let low = nested(&admin, "Low", top).await;
    let other = admin.create_group("Other").await;
    let user = user_in(&admin, "ada", json!([low, other])).await;
    let numbers: Vec<Value> =
        (100..140).map(|n| entry("TRAIT", json!(n), json!(["READ", "WRITE"]))).collect();
    give(&admin, top, json!(numbers)).await.expect(200);
    give(
        &admin,
        other,
        json!([
            entry("TRAIT", json!("100"), json!(["READ"])),
            entry("SEGMENT", json!("s"), json!(["DELETE"]))
        ]),
    )
    .await
    .expect(200);
    wildcards(&admin, top, json!(["VIEW_ALL_TRAITS", "CREATE_ALL_ALGO_TRAITS", "VIEW_TAGS"]))
        .await
        .expect(200);
    let path = format!("/api/v1/users/{user}/permissions");
    let all = admin.get(&format!("{path}?pageSize=1000")).await.expect(200).body;
    // On all objects READ and three wildcards' own names; on single ones 80 of traits and one of a segment.
    assert_eq!((&all["total"], all["list"].as_array().unwrap().len()), (&json!(85), 85));
    let rows = all["list"].as_array().unwrap();
    let row = |object_type: &str, id: Value, permission: &str| json!({ "objectType": object_type, "objectId": id, "permission": permission });
    assert_eq!(
        rows[..6],
        [
            row("TRAIT", json!(null), "READ"),
            row("TRAIT", json!(null), "VIEW_ALL_TRAITS"),
            row("TRAIT", json!(null), "CREATE_ALL_ALGO_TRAITS"),
            row("TAGS", json!(null), "VIEW_TAGS"),
            row("SEGMENT", json!("s"), "DELETE"),
            row("TRAIT", json!(100), "READ"),
        ]
    );
    for size in [1, 3, 4, 5, 50] {
        let mut next = format!("{path}?pageSize={size}");
        let mut walked = Vec::new();
        for (n, expected) in rows.chunks(size).enumerate() {
            let page = admin.get(&next).await.expect(200);
            assert_eq!((page.list(), &page.body["total"]), (expected, &json!(85)), "{next}");
            let numbered = admin.get(&format!("{path}?pageSize={size}&page={n}")).await.expect(200);
            assert_eq!(numbered.list(), expected);
            walked.extend_from_slice(page.list());
            next = page.header("link").split(['<', '>']).nth(1).unwrap_or_default().to_owned();
        }
        assert_eq!((&walked, next.as_str()), (rows, ""));
    }
    let explained = admin.get(&format!("{path}?pageSize=6&explain=true")).await.expect(200);
    let source = |group: i64, name: &str, path: Value, wildcard: Value, id: Value| json!({ "groupId": group, "groupName": name, "path": path, "wildcard": wildcard, "objectId": id, "setting": null });
    let by_wildcard = |name: &str| {
        source(
            top,
            "Top",
            json!([{ "groupId": low, "name": "Low" }, { "groupId": top, "name": "Top" }]),
            json!(name),
            json!(null),
        )
    };
    assert_eq!(explained.list()[0]["sources"], json!([by_wildcard("VIEW_ALL_TRAITS")]));
    assert_eq!(explained.list()[2]["sources"], json!([by_wildcard("CREATE_ALL_ALGO_TRAITS")]));
    let of_hundred = explained.list()[5]["sources"].as_array().unwrap().clone();
    assert_eq!(of_hundred.len(), 3);
    for expected in [
        by_wildcard("VIEW_ALL_TRAITS"),
        source(
            top,
            "Top",
            json!([{ "groupId": low, "name": "Low" }, { "groupId": top, "name": "Top" }]),
            json!(null),
            json!(100),
        ),
        source(other, "Other", json!([{ "groupId": other, "name": "Other" }]), json!(null), json!("100")),
    ] {
        assert!(of_hundred.contains(&expected), "{expected} is not in {of_hundred:?}");
    }
    // An evaluation gives the same reasons.
    let asked = question(&json!(user), "READ", "TRAIT", &json!(100));
    let why = admin.post(&format!("{EVALUATION}?explain=true"), &asked).await;
    assert_eq!(
        why.expect(200).body,
        json!({ "decision": true, "context": { "reason": "granted", "sources": of_hundred } })
    );
    for bad in ["pageSize=0", "page=-1", "sortBy=permission", "cursor=x", "explain=maybe"] {
        admin.get(&format!("{path}?{bad}")).await.expect(400);
    }
    admin.get("/api/v1/users/999/permissions").await.expect(404);
}

#[tokio::test]
async fn c_holders_are_listed_with_the_reason() {
    let t = T::start().await;
    let admin = t.admin().await;
    let top = admin.create_group("Top").await;
    let low = nested(&admin, "Low", top).await;
    let wide = admin.create_group("Wide").await;
    give(&admin, top, json!([entry("SEGMENT", json!(563), json!(["READ"]))])).await.expect(200);
    wildcards(&admin, wide, json!(["VIEW_ALL_SEGMENTS"])).await.expect(200);
    let ada = user_in(&admin, "ada", json!([low])).await;
    let bob = user_in(&admin, "bob", json!([top, wide])).await;
    let eve = user_in(&admin, "eve", json!([wide])).await;
    let gone = with(&new_user("gone"), json!({ "groups": [top, wide], "status": "INACTIVE" }));
    admin.create_with(&gone).await;
    let holders = async |query: &str| admin.get(&format!("/api/v1/permissions/holders?{query}")).await;
    let who = |response: &TestResponse| {
        response.list().iter().map(|row| row["userId"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    for (query, expected) in [
        ("objectType=SEGMENT&objectId=563&permission=READ", vec![ada, bob, eve]),
        ("objectType=SEGMENT&objectId=564&permission=READ", vec![bob, eve]),
        ("objectType=SEGMENT&objectId=563&permission=WRITE", vec![]),
        ("objectType=SEGMENT&permission=VIEW_ALL_SEGMENTS", vec![bob, eve]),
        ("objectType=SEGMENT&objectId=1&permission=VIEW_ALL_SEGMENTS", vec![bob, eve]),
        ("objectType=TAGS&permission=VIEW_TAGS", vec![]),
    ] {
        let response = holders(query).await.expect(200);
        assert_eq!(
            (who(&response), &response.body["total"]),
            (expected.clone(), &json!(expected.len())),
            "{query}"
        );
        // Each holder is told the same by an evaluation.
        for row in response.list() {
            assert!(!row["sources"].as_array().unwrap().is_empty());
        }
        let first = holders(&format!("{query}&pageSize=1")).await.expect(200);
        assert_eq!(who(&first), &expected[..expected.len().min(1)]);
        if expected.len() > 1 {
            let next = first.header("link").split(['<', '>']).nth(1).unwrap().to_owned();
            let second = admin.get(&next).await.expect(200);
            assert_eq!((who(&second), &second.body["page"]), (vec![expected[1]], &json!(null)));
            assert_eq!(who(&holders(&format!("{query}&pageSize=1&page=1")).await.expect(200)), [expected[1]]);
        }
    }
    let response = holders("objectType=SEGMENT&objectId=563&permission=READ").await.expect(200);
    assert_eq!(
        response.list()[0],
        json!({ "userId": ada, "username": "ada", "sources": [{ "groupId": top, "groupName": "Top",
            "path": [{ "groupId": low, "name": "Low" }, { "groupId": top, "name": "Top" }], "wildcard": null, "objectId": 563, "setting": null }] })
    );
    assert_eq!(response.list()[1]["sources"].as_array().unwrap().len(), 2);
    for (query, fault) in [
        ("", "objectType required"),
        ("objectType=NONE&objectId=1&permission=READ", "objectType unknown-object-type"),
        ("objectType=SEGMENT&objectId=1&permission=FLY", "permission unknown-permission"),
        ("objectType=SEGMENT&permission=READ", "objectId required"),
        ("objectType=SEGMENT&objectId=&permission=READ", "objectId empty"),
        ("objectType=SEGMENT&objectId=1&permission=READ&pageSize=0", "pageSize out-of-range"),
        ("objectType=SEGMENT&objectId=1&permission=READ&search=x", "search unknown-parameter"),
    ] {
        let faults = holders(query).await.expect(400).faults();
        assert!(faults.contains(&fault.to_owned()), "{query}: {faults:?}");
    }
    // Another partner's people and groups do not count.
    let (_, olga) = t.other_partner("acme").await;
    assert_eq!(
        olga.get("/api/v1/permissions/holders?objectType=SEGMENT&objectId=563&permission=READ")
            .await
            .expect(200)
            .body["total"],
        0
    );
}

#[tokio::test]
async fn c_more_holders_than_are_counted_are_walked_through() {
    let t = T::start().await;
    let admin = t.admin().await;
    let group = admin.create_group("Wide").await;
    wildcards(&admin, group, json!(["VIEW_ALL_SEGMENTS"])).await.expect(200);
    crate::fixtures::seed(&t, 1, "idle", 10_100, vec![tenantry_core::model::GroupId(group)]).await;
    // Every second one is ACTIVE at first: fewer than are counted; then all.
    let path = "/api/v1/permissions/holders?objectType=SEGMENT&objectId=1&permission=READ&pageSize=5";
    for (which, total, is_exact) in [("user_id % 2 = 0", 5_050, true), ("1 = 1", 10_000, false)] {
        t.run_sql(&format!("UPDATE users SET status = 0 WHERE {which}"));
        // A commit of the server's own has its readers see what was written beside it.
        admin.create_group(which).await;
        let first = admin.get(path).await.expect(200);
        assert_eq!(first.body["total"], total);
        assert_eq!(first.body.get("totalIsExact").is_none(), is_exact);
        let step = if is_exact { 2 } else { 1 };
        let who = |response: &TestResponse| {
            response.list().iter().map(|r| r["userId"].as_i64().unwrap()).collect::<Vec<_>>()
        };
        let expected: Vec<i64> = (2..).step_by(step).take(15).collect();
        assert_eq!(who(&first), expected[..5]);
        let second = admin.get(first.header("link").split(['<', '>']).nth(1).unwrap()).await.expect(200);
        assert_eq!(who(&second), expected[5..10]);
        assert_eq!(who(&admin.get(&format!("{path}&page=2")).await.expect(200)), expected[10..]);
    }
}
