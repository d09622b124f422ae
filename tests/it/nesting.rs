//! Groups in groups, and members added and removed from the group's side (contract, part C).

use serde_json::{Value, json};

use tenantry_core::model::{GroupId, PartnerId};
use tenantry_domain::groups;
use tenantry_store::access::{Admin, Operator};
use tenantry_store::engine::tx::Tx;
use tenantry_store::listing::lists::Position;
use tenantry_store::tables::groups::{GroupQuery, GroupSort};

use crate::fixtures::{ids, seed, with};
use crate::harness::{Person, T, TestResponse, new_user};

const GROUPS: &str = "/api/v1/groups";

fn path_of(group: i64) -> String {
    format!("{GROUPS}/{group}")
}

async fn child(admin: &Person<'_>, name: &str, parent: i64) -> TestResponse {
    admin.post(GROUPS, &json!({ "name": name, "parentGroupId": parent })).await
}

async fn make(admin: &Person<'_>, name: &str, parent: i64) -> i64 {
    child(admin, name, parent).await.expect(201).body["groupId"].as_i64().unwrap()
}

async fn group(admin: &Person<'_>, id: i64) -> Value {
    admin.get(&path_of(id)).await.expect(200).body
}

/// The counter that a group's ETag is made of.
fn version(t: &T, group: i64) -> i64 {
    let rows = t.ask_sql(&format!("SELECT version FROM groups WHERE group_id = {group}"));
    rows[0][0].parse().unwrap()
}

#[tokio::test]
async fn c_a_group_is_nested_moved_and_let_out() {
    let t = T::start().await;
    let admin = t.admin().await;
    let top = admin.create_group("Top").await;
    let low = child(&admin, "Low", top).await.expect(201).body;
    assert_eq!(low["parentGroupId"], top);
    let id = low["groupId"].as_i64().unwrap();
    // Left out it stays; what was read can be written back; null lets it out.
    let renamed = admin.put(&path_of(id), &json!({ "name": "Lower" })).await.expect(200).body;
    assert_eq!(renamed, with(&low, json!({ "name": "Lower" })));
    assert_eq!(admin.put(&path_of(id), &renamed).await.expect(200).body, renamed);
    let out =
        admin.put(&path_of(id), &json!({ "name": "Lower", "parentGroupId": null })).await.expect(200).body;
    assert_eq!(out["parentGroupId"], Value::Null);
    let back =
        admin.put(&path_of(id), &json!({ "name": "Lower", "parentGroupId": top })).await.expect(200).body;
    assert_eq!((&group(&admin, id).await, &back), (&back, &renamed));
    let (_, olga) = t.other_partner("acme").await;
    let foreign = olga.create_group("Theirs").await;
    let before = admin.get(GROUPS).await.expect(200).body;
    for parent in [999, foreign] {
        let body = json!({ "name": "X", "parentGroupId": parent });
        for response in [admin.post(GROUPS, &body).await, admin.put(&path_of(id), &body).await] {
            assert_eq!(response.expect(400).faults(), ["/parentGroupId unknown-group"]);
        }
    }
    for (parent, code) in [(json!("1x"), "wrong-type"), (json!(0), "out-of-range"), (json!([]), "wrong-type")]
    {
        let body = json!({ "name": "X", "parentGroupId": parent });
        let expected = [format!("/parentGroupId {code}")];
        assert_eq!(admin.post(GROUPS, &body).await.expect(400).faults(), expected);
        assert_eq!(admin.put(&path_of(id), &body).await.expect(400).faults(), expected);
    }
    assert_eq!(admin.get(GROUPS).await.expect(200).body, before);
}

#[tokio::test]
async fn c_nesting_has_no_cycles_and_eight_levels() {
    let t = T::start().await;
    let admin = t.admin().await;
    let mut chain = vec![admin.create_group("Level 1").await];
    for level in 2..=8 {
        chain.push(make(&admin, &format!("Level {level}"), *chain.last().unwrap()).await);
    }
    let put = async |id: i64, parent: i64| {
        let name = group(&admin, id).await["name"].clone();
        admin.put(&path_of(id), &json!({ "name": name, "parentGroupId": parent })).await
    };
    let before = admin.get(GROUPS).await.expect(200).body;
    for (id, parent) in
        [(chain[0], chain[0]), (chain[0], chain[7]), (chain[3], chain[5]), (chain[6], chain[6])]
    {
        assert_eq!(put(id, parent).await.expect(409).faults(), ["/parentGroupId nesting-cycle"]);
    }
    let deep = child(&admin, "Level 9", chain[7]).await.expect(409);
    assert_eq!(deep.faults(), ["/parentGroupId nesting-too-deep"]);
    assert_eq!(admin.get(GROUPS).await.expect(200).body, before);
    // What hangs below counts when it is moved: three levels fit under the fifth, not under the sixth.
    let mut other = vec![admin.create_group("Other 1").await];
    for level in 2..=3 {
        other.push(make(&admin, &format!("Other {level}"), *other.last().unwrap()).await);
    }
    put(other[0], chain[5]).await.expect(409);
    put(other[0], chain[4]).await.expect(200);
    put(other[0], chain[2]).await.expect(200);
    // Moved up, there is room again, and what was above is no cycle any more.
    for (id, name) in [(other[0], "Other 1"), (chain[4], "Level 5")] {
        let body = json!({ "name": name, "parentGroupId": null });
        admin.put(&path_of(id), &body).await.expect(200);
    }
    put(chain[0], chain[7]).await.expect(200);
}

#[tokio::test]
async fn c_a_group_with_children_stays_unless_they_go_too() {
    let t = T::start().await;
    let admin = t.admin().await;
    let top = admin.create_group("Top").await;
    let (one, two) = (make(&admin, "One", top).await, make(&admin, "Two", top).await);
    let below = make(&admin, "Below", two).await;
    let before = admin.get(GROUPS).await.expect(200).body;
    let refused = admin.delete(&path_of(top)).await.expect(409);
    assert_eq!((&refused.body["code"], &refused.body["ids"]), (&json!("group-has-children"), &json!([top])));
    let bulk = async |list: Value| admin.post("/api/v1/groups/bulk-delete", &list).await;
    assert_eq!(bulk(json!([top, one, two])).await.expect(409).body["ids"], json!([two]));
    assert_eq!(bulk(json!([top, two, 999])).await.expect(404).body["ids"], json!([999]));
    assert_eq!(admin.get(GROUPS).await.expect(200).body, before);
    bulk(json!([top, one, two, below])).await.expect(204);
    assert_eq!(admin.get(GROUPS).await.expect(200).body, json!([]));
    assert_eq!(admin.get(&format!("{GROUPS}?page=0")).await.expect(200).body["total"], 0);
}

#[tokio::test]
async fn c_members_are_direct_unless_nested_is_asked_for() {
    let t = T::start().await;
    let admin = t.admin().await;
    let top = admin.create_group("Top").await;
    let middle = make(&admin, "Middle", top).await;
    let low = make(&admin, "Low", middle).await;
    let other = admin.create_group("Other").await;
    for (name, groups) in
        [("ada", json!([top])), ("bob", json!([low])), ("cat", json!([top, low])), ("dan", json!([other]))]
    {
        admin.create_with(&with(&new_user(name), json!({ "groups": groups }))).await;
    }
    assert_eq!(group(&admin, top).await["users"], json!([2, 4]));
    assert_eq!(group(&admin, top).await["membershipCount"], 2);
    for (query, expected) in [
        (format!("groupId={top}"), vec![2, 4]),
        (format!("groupId={top}&nested=true"), vec![2, 3, 4]),
        (format!("groupId={top}&nested"), vec![2, 3, 4]),
        (format!("groupId={top}&nested=false"), vec![2, 4]),
        (format!("groupId={middle}&nested=true"), vec![3, 4]),
        (format!("groupId={middle}"), vec![]),
        (format!("groupId={middle}&groupId={other}&nested=true&sortBy=username&descending"), vec![5, 4, 3]),
        (format!("groupId={top}&nested=true&search=bob"), vec![3]),
    ] {
        let list = admin.get(&format!("/api/v1/users?{query}")).await.expect(200).body;
        assert_eq!(ids(&list), expected, "{query}");
        let page = admin.get(&format!("/api/v1/users?{query}&pageSize=100")).await.expect(200);
        assert_eq!(
            (page.list(), &page.body["total"]),
            (&list.as_array().unwrap()[..], &json!(expected.len()))
        );
    }
    // The cursor keeps it.
    let first = admin.get(&format!("/api/v1/users?groupId={top}&nested=true&pageSize=2")).await.expect(200);
    let next = first.header("link").split(['<', '>']).nth(1).unwrap().to_owned();
    assert_eq!(ids(&admin.get(&next).await.expect(200).body["list"]), [4]);
    assert_eq!(admin.get("/api/v1/users?nested=true").await.expect(400).faults(), ["nested needs-group-id"]);
    admin.get("/api/v1/users?groupId=999&nested=true").await.expect(400);
}

#[tokio::test]
async fn c_a_member_is_added_and_removed() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (editors, readers) = (admin.create_group("Editors").await, admin.create_group("Readers").await);
    let ada = admin.create_with(&with(&new_user("ada"), json!({ "groups": [readers] }))).await;
    let id = ada["userId"].as_i64().unwrap();
    let member = format!("{}/users/{id}", path_of(editors));
    let seen = admin.events().await.len();
    t.clock.advance(1_000);
    let at_first = version(&t, editors);
    assert_eq!(admin.put(&member, &json!({})).await.expect(204).text, "");
    let added = version(&t, editors);
    // Again: nothing happens, and nothing is recorded.
    admin.put(&member, &Value::Null).await.expect(204);
    assert_eq!((added > at_first, version(&t, editors)), (true, added));
    let user = admin.get(&format!("/api/v1/users/{id}")).await.expect(200).body;
    assert_eq!(
        (&user["groups"], &user["updatedAt"]),
        (&json!([editors, readers]), &json!("2026-11-23T09:00:01.000Z"))
    );
    let now = group(&admin, editors).await;
    assert_eq!((&now["users"], &now["membershipCount"]), (&json!([id]), &json!(1)));
    admin.delete(&member).await.expect(204);
    assert!(version(&t, editors) > added);
    assert_eq!(admin.delete(&member).await.expect(404).body["code"], "membership-not-found");
    assert_eq!(group(&admin, editors).await["membershipCount"], 0);
    let events = &admin.events().await[seen..];
    let told: Vec<Value> = events
        .iter()
        .map(|e| json!([e["type"], e["groupId"], e["userId"], e["before"]["groups"], e["after"]["groups"]]))
        .collect();
    assert_eq!(
        told,
        [
            json!(["group.member_added", editors, id, [readers], [editors, readers]]),
            json!(["group.member_removed", editors, id, [editors, readers], [readers]]),
        ]
    );
    let (_, olga) = t.other_partner("acme").await;
    let foreign = olga.create("foreign").await["userId"].clone();
    let theirs = olga.create_group("Theirs").await;
    for (group, user, code) in [
        (json!(999), json!(id), "group-not-found"),
        (json!(theirs), json!(id), "group-not-found"),
        (json!(editors), json!(999), "user-not-found"),
        (json!(editors), foreign, "user-not-found"),
        (json!(editors), json!(0), "user-not-found"),
    ] {
        let path = format!("{GROUPS}/{group}/users/{user}");
        assert_eq!(admin.put(&path, &json!({})).await.expect(404).body["code"], code, "{path}");
        assert_eq!(admin.delete(&path).await.expect(404).body["code"], code, "{path}");
    }
    admin.put(&format!("{GROUPS}/x/users/1"), &json!({})).await.expect(404);
    admin.put(&format!("{member}?dryrun=true"), &json!({})).await.expect(400);
}

#[tokio::test]
async fn c_members_are_added_and_removed_in_bulk_all_or_none() {
    let t = T::start().await;
    let admin = t.admin().await;
    let editors = admin.create_group("Editors").await;
    seed(&t, 1, "many", 500, Vec::new()).await;
    let all: Vec<i64> = ids(&admin.everybody().await);
    let path = format!("{}/users", path_of(editors));
    let bulk = async |method: reqwest::Method, body: Value| {
        admin.send(method, &path, Some(body.to_string().into_bytes()), "application/json").await
    };
    let (post, delete) = (reqwest::Method::POST, reqwest::Method::DELETE);
    let seen = admin.events().await.len();
    bulk(post.clone(), json!(all)).await.expect(204);
    let now = group(&admin, editors).await;
    assert_eq!((&now["users"], &now["membershipCount"]), (&json!(all), &json!(501)));
    assert_eq!(admin.events().await.len() - seen, 501);
    let raised = version(&t, editors);
    // Those who are in it stay, and doubled ones count once.
    bulk(post.clone(), json!([1, 1, 2])).await.expect(204);
    bulk(post.clone(), json!([])).await.expect(204);
    bulk(delete.clone(), json!([])).await.expect(204);
    assert_eq!(version(&t, editors), raised);
    bulk(delete.clone(), json!(all[..400])).await.expect(204);
    let before = group(&admin, editors).await;
    assert_eq!((&before["users"], &before["membershipCount"]), (&json!(all[400..]), &json!(101)));
    assert_eq!(
        bulk(post.clone(), json!([1, 9_998, 9_999])).await.expect(404).body["ids"],
        json!([9_998, 9_999])
    );
    let strangers = bulk(delete.clone(), json!([1, 2, all[450]])).await.expect(404);
    assert_eq!(
        (&strangers.body["code"], &strangers.body["ids"]),
        (&json!("membership-not-found"), &json!([1, 2]))
    );
    assert_eq!(bulk(delete, json!([1, 9_999])).await.expect(404).body["ids"], json!([9_999]));
    assert_eq!(bulk(post, json!([1, "x"])).await.expect(400).faults(), ["/1 wrong-type"]);
    assert_eq!(group(&admin, editors).await, before);
    let body = json!([1]);
    assert_eq!(
        admin.post(&format!("{GROUPS}/999/users"), &body).await.expect(404).body["code"],
        "group-not-found"
    );
}

#[tokio::test]
async fn c_every_change_of_a_group_raises_its_version() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (id, top) = (admin.create_group("Editors").await, admin.create_group("Top").await);
    assert_eq!(version(&t, id), 1);
    let mut last = 1;
    let mut raised = |what: &str| {
        let now = version(&t, id);
        assert!(now > last, "{what}");
        last = now;
    };
    admin.put(&path_of(id), &json!({ "name": "Authors" })).await.expect(200);
    raised("a name");
    admin.put(&path_of(id), &json!({ "name": "Authors", "parentGroupId": top })).await.expect(200);
    raised("a parent");
    let user = admin.create_with(&with(&new_user("ada"), json!({ "groups": [id] }))).await;
    raised("a new user in it");
    admin
        .put(&format!("/api/v1/users/{}", user["userId"]), &with(&user, json!({ "groups": [] })))
        .await
        .expect(200);
    raised("a user who leaves");
    admin.post(&format!("{}/users", path_of(id)), &json!([1, user["userId"]])).await.expect(204);
    raised("members");
    admin.delete(&format!("/api/v1/users/{}", user["userId"])).await.expect(204);
    raised("a deleted member");
    let list = json!([{ "objectType": "SEGMENT", "objectId": 1, "permissions": ["READ"] }]);
    admin.put(&format!("{}/permissions", path_of(id)), &list).await.expect(200);
    raised("permissions");
    admin.put(&format!("{}/wildcards", path_of(id)), &json!(["VIEW_TAGS"])).await.expect(200);
    raised("wildcards");
    let stands = version(&t, id);
    admin.put(&path_of(id), &json!({ "name": "Authors" })).await.expect(200);
    admin.put(&format!("{}/permissions", path_of(id)), &list).await.expect(200);
    admin.put(&format!("{}/wildcards", path_of(id)), &json!(["VIEW_TAGS"])).await.expect(200);
    assert_eq!(version(&t, id), stands, "what changes nothing raises nothing");
}

#[tokio::test]
async fn c_fields_choose_what_a_group_shows() {
    let t = T::start().await;
    let admin = t.admin().await;
    let id = admin.create_group("Editors").await;
    admin.create_group("Readers").await;
    admin.create_with(&with(&new_user("ada"), json!({ "groups": [id] }))).await;
    let whole = admin.get(GROUPS).await.expect(200).body;
    for fields in
        ["groupId,name", "name, users", "membershipCount&fields=groupId", "users", "wildcards,parentGroupId"]
    {
        let names: Vec<&str> =
            fields.split([',', '&']).map(|n| n.trim().trim_start_matches("fields=")).collect();
        let only = |group: &Value| -> Value {
            let members =
                group.as_object().unwrap().iter().filter(|(name, _)| names.contains(&name.as_str()));
            Value::Object(members.map(|(name, value)| (name.clone(), value.clone())).collect())
        };
        let expected: Vec<Value> = whole.as_array().unwrap().iter().map(only).collect();
        let query = format!("{GROUPS}?fields={}", fields.replace(' ', "%20"));
        assert_eq!(admin.get(&query).await.expect(200).body, json!(expected), "{fields}");
        let page = admin.get(&format!("{query}&pageSize=1")).await.expect(200);
        assert_eq!(page.list(), &expected[..1]);
        let next = page.header("link").split(['<', '>']).nth(1).unwrap().to_owned();
        assert_eq!(admin.get(&next).await.expect(200).list(), &expected[1..]);
        let one = query.replace(GROUPS, &path_of(id));
        assert_eq!(admin.get(&one).await.expect(200).body, expected[0]);
    }
    for bad in ["fields=", "fields=user", "fields=name,,users", "fields=Name"] {
        for path in [GROUPS.to_owned(), path_of(id)] {
            assert_eq!(
                admin.get(&format!("{path}?{bad}")).await.expect(400).faults(),
                ["fields unknown-property"]
            );
        }
    }
}

#[tokio::test]
async fn c_a_very_large_group_is_streamed_in_pieces() {
    let t = T::start().await;
    let admin = t.admin().await;
    for n in 1..=4 {
        admin.create_group(&format!("Group {n}")).await;
    }
    // Group 2 has more than two chunks of users, group 3 exactly one, group 4 a few.
    seed(&t, 1, "a", 10_000, vec![GroupId(2), GroupId(3)]).await;
    seed(&t, 1, "b", 15_000, vec![GroupId(2)]).await;
    seed(&t, 1, "c", 3, vec![GroupId(4)]).await;
    // No piece of the stream holds more users than a chunk may.
    let rights = Operator::of_this_machine().as_admin_of(PartnerId(1));
    let query = GroupQuery { search: None, sort: GroupSort::Name, descending: false, with_users: true };
    let mut from = Position::Offset(0);
    let mut open = Vec::new();
    loop {
        let wanted = (query.clone(), from.clone());
        let work = move |tx: &mut Tx<'_, Admin>| groups::list_chunk(tx, &wanted.0, &wanted.1, 50);
        let chunk = t.app.store.scan(&rights, work).await.unwrap();
        let Some(last) = chunk.groups.last() else { break };
        assert!(chunk.groups.iter().map(|g| g.users.len()).sum::<usize>() <= 10_000);
        open.extend(chunk.is_open.then_some(last.group_id.0));
        from = Position::After(query.sort.key_of(last), last.group_id.0);
    }
    assert_eq!(open, [2], "only the second group comes in pieces");
    for query in ["", "?sortBy=name&descending", "?sortBy=membershipCount"] {
        let list = admin.get(&format!("{GROUPS}{query}")).await.expect(200).body;
        assert_eq!(list.as_array().unwrap().len(), 4);
        for group in list.as_array().unwrap() {
            let users = group["users"].as_array().unwrap();
            assert_eq!(group["membershipCount"], users.len(), "{query}");
            assert!(users.is_sorted_by(|a, b| a.as_i64() < b.as_i64()));
            let expected = [0, 25_000, 10_000, 3];
            let id = usize::try_from(group["groupId"].as_i64().unwrap()).unwrap();
            assert_eq!(users.len(), expected[id - 1], "{query}");
        }
    }
    assert_eq!(
        admin.get(&format!("{GROUPS}?fields=membershipCount")).await.expect(200).body[1]["membershipCount"],
        25_000
    );
}
