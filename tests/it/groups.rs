//! Groups (contract, part C), as far as users need them.

use reqwest::Method;
use serde_json::{Value, json};

use tenantry_core::model::GroupId;

use crate::fixtures::{check_groups_in_rows, ids, seed, with};
use crate::harness::{T, new_user};

const GROUPS: &str = "/api/v1/groups";

fn path_of(group: i64) -> String {
    format!("{GROUPS}/{group}")
}

#[tokio::test]
async fn c_a_group_is_created_read_and_changed() {
    let t = T::start().await;
    let admin = t.admin().await;
    let body = json!({ "name": "Bogenschützen", "description": "dürfen <b>schießen</b>" });
    let response = admin.post("/api/v1/groups/", &body).await.expect(201);
    let expected = json!({
        "groupId": 1, "pid": 1, "name": "Bogenschützen", "description": "dürfen <b>schießen</b>",
        "parentGroupId": null, "membershipCount": 0, "wildcards": [], "users": [],
    });
    assert_eq!(response.body, expected);
    assert_eq!(response.header("location"), "/api/v1/groups/1");
    assert_eq!(admin.get("/api/v1/groups/1").await.expect(200).body, expected);
    let plain = admin.post(GROUPS, &json!({ "name": "Plain", "pid": 1, "groupId": null })).await.expect(201);
    assert_eq!(plain.body["description"], "");

    let changed = admin.put("/api/v1/groups/1/", &json!({ "name": "Archers" })).await.expect(200).body;
    assert_eq!(changed, with(&expected, json!({ "name": "Archers" })));
    // What was read can be written back; what only answers have must agree.
    assert_eq!(admin.put("/api/v1/groups/1", &changed).await.expect(200).body, changed);
    for (name, bad) in
        [("groupId", json!(2)), ("pid", json!(2)), ("users", json!([1])), ("wildcards", json!(["VIEW_TAGS"]))]
    {
        let response = admin
            .put("/api/v1/groups/1", &with(&changed, json!({ name: bad, "name": "X" })))
            .await
            .expect(400);
        assert_eq!(response.faults(), [format!("/{name} read-only")]);
    }
    let emptied =
        admin.put("/api/v1/groups/1", &json!({ "name": "Archers", "description": "" })).await.expect(200);
    assert_eq!(emptied.body["description"], "");
    assert_eq!(admin.get(GROUPS).await.expect(200).body, json!([emptied.body, plain.body]));
}

#[tokio::test]
async fn c_members_and_their_number_follow_the_users() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (editors, readers) = (admin.create_group("Editors").await, admin.create_group("Readers").await);
    let both = json!({ "groups": [editors, readers] });
    let ada = admin.create_with(&with(&new_user("ada"), both.clone())).await;
    admin.create_with(&with(&new_user("bob"), both)).await;
    admin.create_with(&with(&new_user("eve"), json!({ "groups": [readers] }))).await;
    let members = async |group: i64| {
        let body = admin.get(&path_of(group)).await.expect(200).body;
        assert_eq!(body["membershipCount"], body["users"].as_array().unwrap().len(), "{body}");
        let list = admin.get(&format!("{GROUPS}?sortBy=membershipCount&descending")).await.expect(200).body;
        assert!(list.as_array().unwrap().contains(&body));
        body["users"].clone()
    };
    assert_eq!((members(editors).await, members(readers).await), (json!([2, 3]), json!([2, 3, 4])));
    let mut change = ada.clone();
    change["groups"] = json!([readers]);
    admin.put("/api/v1/users/2", &change).await.expect(200);
    assert_eq!((members(editors).await, members(readers).await), (json!([3]), json!([2, 3, 4])));
    admin.delete("/api/v1/users/3").await.expect(204);
    assert_eq!((members(editors).await, members(readers).await), (json!([]), json!([2, 4])));
    admin.post("/api/v1/users/bulk-delete", &json!([4])).await.expect(204);
    assert_eq!(members(readers).await, json!([2]));
    // A refused change leaves no trace: its name is taken, and the group it joins gets nobody.
    let mut change = change.clone();
    change["groups"] = json!([editors]);
    change["username"] = json!("admin");
    admin.put("/api/v1/users/2", &change).await.expect(409);
    assert_eq!((members(editors).await, members(readers).await), (json!([]), json!([2])));
}

/// A user is one lookup where its row has its groups, which every change must keep, or say that it did not.
#[tokio::test]
async fn the_groups_in_a_users_row_match_its_memberships() {
    let t = T::start().await;
    let admin = t.admin().await;
    let mut groups = Vec::new();
    // 5 and 55 begin alike, and so do 1 and 10: one is not taken for the other.
    for n in 1..=11 {
        groups.push(admin.create_group(&format!("Group {n}")).await);
    }
    let (one, two, ten) = (groups[0], groups[1], groups[9]);
    admin.create_with(&with(&new_user("ada"), json!({ "groups": [ten, one, two] }))).await;
    admin.create("bob").await;
    let shown = async |expected: [&[i64]; 2]| {
        assert_eq!(check_groups_in_rows(&t), 0);
        for (user, groups) in (2..).zip(expected) {
            let body = admin.get(&format!("/api/v1/users/{user}")).await.expect(200).body;
            assert_eq!(body["groups"], json!(groups));
        }
        let list = admin.everybody().await;
        assert_eq!(list[1]["groups"], json!(expected[0]));
        assert_eq!(list[2]["groups"], json!(expected[1]));
    };
    shown([&[one, two, ten], &[]]).await;
    admin.delete(&format!("/api/v1/groups/{one}/users/2")).await.expect(204);
    shown([&[two, ten], &[]]).await;
    admin.post(&format!("/api/v1/groups/{one}/users"), &json!([2, 3])).await.expect(204);
    shown([&[one, two, ten], &[one]]).await;
    admin.put(&format!("/api/v1/groups/{ten}/users/3"), &Value::Null).await.expect(204);
    shown([&[one, two, ten], &[one, ten]]).await;
    // A second time changes nothing.
    admin.put(&format!("/api/v1/groups/{ten}/users/3"), &Value::Null).await.expect(204);
    shown([&[one, two, ten], &[one, ten]]).await;
    admin.patch("/api/v1/users/3", &json!({ "groups": [two] })).await.expect(200);
    shown([&[one, two, ten], &[two]]).await;
    admin.patch("/api/v1/users/2", &json!({ "title": "Countess", "groups": [] })).await.expect(200);
    shown([&[], &[two]]).await;
    admin.delete("/api/v1/users/3").await.expect(204);
    admin.post("/api/v1/users/3/restore", &json!({})).await.expect(200);
    shown([&[], &[two]]).await;
    // A login is a change of the row, not of the groups.
    t.admin().await;
    assert_eq!(check_groups_in_rows(&t), 0);
}

/// Who changes memberships and knows nothing of the groups in the row (a process of the version before, a group that goes
/// with its members) raises the row's version: then they do not count.
#[tokio::test]
async fn groups_in_the_row_from_before_another_change_do_not_count() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (one, two) = (admin.create_group("One").await, admin.create_group("Two").await);
    admin.create_with(&with(&new_user("ada"), json!({ "groups": [one] }))).await;
    t.run_sql(&format!(
        "INSERT INTO memberships (pid, group_id, user_id) VALUES (1, {two}, 2); \
         UPDATE groups SET membership_count = 1 WHERE pid = 1 AND group_id = {two}; \
         UPDATE users SET version = version + 1 WHERE pid = 1 AND user_id = 2"
    ));
    let groups = async |expected: &[i64], uncounted: usize| {
        assert_eq!(check_groups_in_rows(&t), uncounted);
        assert_eq!(admin.get("/api/v1/users/2").await.expect(200).body["groups"], json!(expected));
        assert_eq!(admin.everybody().await[1]["groups"], json!(expected));
    };
    groups(&[one, two], 1).await;
    // Nor do they count after a change that only adds to them.
    let three = admin.create_group("Three").await;
    admin.put(&format!("/api/v1/groups/{three}/users/2"), &Value::Null).await.expect(204);
    groups(&[one, two, three], 1).await;
    admin.delete(&path_of(two)).await.expect(204);
    groups(&[one, three], 1).await;
    // The next change of the user writes them.
    admin.patch("/api/v1/users/2", &json!({ "title": "Countess" })).await.expect(200);
    groups(&[one, three], 0).await;
    admin.delete(&path_of(one)).await.expect(204);
    groups(&[three], 1).await;
}

#[tokio::test]
async fn c_members_leave_a_deleted_group() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (editors, readers) = (admin.create_group("Editors").await, admin.create_group("Readers").await);
    let both = with(&new_user("ada"), json!({ "groups": [editors, readers] }));
    let ada = admin.create_with(&both).await;
    assert_eq!(admin.delete(&path_of(editors)).await.expect(204).text, "");
    assert_eq!(
        admin.get("/api/v1/users/2").await.expect(200).body,
        with(&ada, json!({ "groups": [readers] }))
    );
    assert_eq!(admin.everybody().await[1]["groups"], json!([readers]));
    for response in [
        admin.get(&path_of(editors)).await,
        admin.delete(&path_of(editors)).await,
        admin.put(&path_of(editors), &json!({ "name": "X" })).await,
    ] {
        assert_eq!(response.expect(404).body["code"], "group-not-found");
    }
    // Its number is not used again, its name is free.
    assert!(admin.create_group("Editors").await > readers);
    assert_eq!(admin.get(&format!("{GROUPS}?page=0")).await.expect(200).body["total"], 2);
}

#[tokio::test]
async fn c_groups_are_deleted_in_bulk_by_both_methods_all_or_none() {
    let t = T::start().await;
    let admin = t.admin().await;
    for n in 1..=6 {
        admin.create_group(&format!("Group {n}")).await;
    }
    let (_, olga) = t.other_partner("acme").await;
    let foreign = olga.create_group("Group 1").await;
    admin.create_with(&with(&new_user("ada"), json!({ "groups": [1, 2, 5] }))).await;
    let bulk = async |method: Method, body: &str| {
        let body = Some(body.as_bytes().to_vec());
        admin.send(method, "/api/v1/groups/bulk-delete", body, "application/json").await
    };
    bulk(Method::POST, "[1, 3, 1]").await.expect(204);
    bulk(Method::DELETE, "[4]").await.expect(204);
    bulk(Method::DELETE, "{[]}").await.expect(204);
    let before = admin.get(GROUPS).await.expect(200).body;
    assert_eq!(ids(&before), [2, 5, 6]);
    for method in [Method::POST, Method::DELETE] {
        let response = bulk(method.clone(), &format!("[2, 3, {foreign}, 99]")).await.expect(404);
        assert_eq!(response.body["ids"], json!([3, foreign, 99]));
        assert_eq!(bulk(method.clone(), "[2, \"5x\"]").await.expect(400).faults(), ["/1 wrong-type"]);
        bulk(method, "").await.expect(400);
    }
    admin.delete("/api/v1/groups/bulk-delete").await.expect(400);
    assert_eq!(admin.get(GROUPS).await.expect(200).body, before);
    assert_eq!(admin.everybody().await[1]["groups"], json!([2, 5]));
    assert_eq!(ids(&olga.get(GROUPS).await.expect(200).body), [foreign]);
}

#[tokio::test]
async fn c_a_name_is_unique_in_the_partner_whatever_its_case() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (strasse, readers) = (admin.create_group("Straße").await, admin.create_group("Readers").await);
    let before = admin.get(GROUPS).await.expect(200).body;
    for response in [
        admin.post(GROUPS, &json!({ "name": "STRASSE" })).await,
        admin.put(&path_of(readers), &json!({ "name": "strasse", "description": "x" })).await,
    ] {
        let response = response.expect(409);
        assert_eq!(response.faults(), ["/name group-name-taken"]);
    }
    assert_eq!(admin.get(GROUPS).await.expect(200).body, before);
    let own = admin.put(&path_of(strasse), &json!({ "name": "STRASSE" })).await.expect(200);
    assert_eq!(own.body["name"], "STRASSE");
    t.other_partner("acme").await.1.create_group("Straße").await;
}

#[tokio::test]
async fn c_b19_errors_of_a_group_are_reported() {
    let t = T::start().await;
    let admin = t.admin().await;
    let group = admin.create_group("Editors").await;
    let before = admin.get(GROUPS).await.expect(200).body;
    for (body, faults) in [
        (json!({}), vec!["/name required"]),
        (json!({ "name": "", "description": "a\0" }), vec!["/name empty", "/description control-character"]),
        (
            json!({ "name": " a", "description": null }),
            vec!["/name surrounding-space", "/description wrong-type"],
        ),
        (
            json!({ "name": "é".repeat(256), "description": "é".repeat(2_001) }),
            vec!["/name too-long", "/description too-long"],
        ),
        (json!({ "name": 7, "colour": "red" }), vec!["/name wrong-type", "/colour unknown-field"]),
    ] {
        assert_eq!(admin.post(GROUPS, &body).await.expect(400).faults(), faults);
        assert_eq!(admin.put(&path_of(group), &body).await.expect(400).faults(), faults);
    }
    let response =
        admin.post(GROUPS, &json!({ "name": "X", "users": [1], "membershipCount": 1 })).await.expect(400);
    assert_eq!(response.faults(), ["/users read-only"]);
    assert_eq!(admin.get(GROUPS).await.expect(200).body, before);
    let longest = json!({ "name": "é".repeat(255), "description": "é".repeat(2_000) });
    let made = admin.post(GROUPS, &longest).await.expect(201).body;
    assert_eq!((&made["name"], &made["description"]), (&longest["name"], &longest["description"]));
}

#[tokio::test]
async fn c_b11_another_partners_groups_do_not_exist() {
    let t = T::start().await;
    let admin = t.admin().await;
    let group = admin.create_group("Editors").await;
    let (pid, olga) = t.other_partner("acme").await;
    for response in [
        olga.get(&path_of(group)).await,
        olga.put(&path_of(group), &json!({ "name": "X" })).await,
        olga.delete(&path_of(group)).await,
    ] {
        assert_eq!(response.expect(404).body["code"], "group-not-found");
    }
    let own = olga.create_group("Editors").await;
    assert_eq!(olga.get(&path_of(own)).await.expect(200).body["pid"], pid);
    assert_eq!(ids(&olga.get(GROUPS).await.expect(200).body), [own]);
    assert_eq!(olga.get(&format!("{GROUPS}?search=edit&page=0")).await.expect(200).body["total"], 1);
    assert_eq!(ids(&admin.get(GROUPS).await.expect(200).body), [group]);
    let (_, fenna) = t.member("fenna").await;
    fenna.get(GROUPS).await.expect(403);
    fenna.post(GROUPS, &json!({ "name": "X" })).await.expect(403);
}

/// What a value is sorted by, written down again: folded as B26 says, code point by code point.
fn folded(text: &str) -> Vec<char> {
    use unicode_normalization::UnicodeNormalization as _;
    let composed: String = text.nfc().collect();
    caseless::default_case_fold_str(&composed).nfc().collect()
}

#[tokio::test]
async fn c_groups_are_sorted_searched_and_paged() {
    let t = T::start().await;
    let admin = t.admin().await;
    let texts = [
        ("zebra", "b"),
        ("Zebra 2", "A"),
        ("éclair", ""),
        ("E\u{301}clair 2", "Ωmega"),
        ("Straße", "100%"),
        ("STRASSEN", "under_score"),
        ("ΣΊΣΥΦΟΣ", "say \"hi\""),
        ("🙂", "b"),
        ("_", "AND * ^ NEAR"),
        ("12", "7"),
        ("İstanbul", "ωMEGA"),
    ];
    for (name, description) in texts {
        admin.post(GROUPS, &json!({ "name": name, "description": description })).await.expect(201);
    }
    for (n, groups) in [json!([1, 2, 5]), json!([2, 5]), json!([5, 9])].into_iter().enumerate() {
        admin.create_with(&with(&new_user(&format!("user{n}")), json!({ "groups": groups }))).await;
    }
    let all = admin.get(GROUPS).await.expect(200).body.as_array().unwrap().clone();
    assert_eq!(all.len(), texts.len());
    for sort in ["groupId", "pid", "name", "description", "membershipCount", "parentGroupId"] {
        let mut expected = all.clone();
        expected.sort_by_key(|row| {
            let text = row[sort].as_str().map(folded);
            (text, row[sort].as_i64(), row["groupId"].as_i64())
        });
        for direction in ["", "&descending", "&descending=true", "&descending=false"] {
            let mut expected = expected.clone();
            if direction.ends_with("descending") || direction.ends_with("true") {
                expected.reverse();
            }
            let query = format!("{GROUPS}?sortBy={sort}{direction}");
            assert_eq!(admin.get(&query).await.expect(200).body, json!(expected), "{query}");
            // By page number, and by the cursor of each page.
            let mut next = format!("{query}&pageSize=3");
            for (n, rows) in expected.chunks(3).enumerate() {
                let page = admin.get(&format!("{query}&pageSize=3&page={n}")).await.expect(200);
                assert_eq!((&page.body["page"], &page.body["total"]), (&json!(n), &json!(texts.len())));
                let walked = admin.get(&next).await.expect(200);
                assert_eq!((page.list(), walked.list()), (rows, rows));
                let link = walked.header("link");
                assert_eq!(link.is_empty(), n == 3);
                next = link.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
            }
        }
    }
    for term in [
        "zebra",
        "ZEBRA",
        "é",
        "ÉCLAIR",
        "strasse",
        "ß",
        "σίσυφος",
        "🙂",
        "%",
        "_",
        "\"",
        "AND",
        "*",
        "^",
        "b",
        "12",
        "2",
        "7",
        "i\u{307}s",
        "ωμ",
        "Ωme",
        "",
    ] {
        let needle: String = folded(term).into_iter().collect();
        let expected: Vec<Value> = all
            .iter()
            .filter(|row| {
                let text = |name: &str| folded(row[name].as_str().unwrap()).into_iter().collect::<String>();
                text("name").contains(&needle)
                    || text("description").contains(&needle)
                    || term.parse::<i64>().is_ok_and(|id| row["groupId"] == id)
            })
            .cloned()
            .collect();
        let query: String =
            form_urlencoded::Serializer::new(String::new()).append_pair("search", term).finish();
        assert_eq!(
            admin.get(&format!("{GROUPS}?{query}")).await.expect(200).body,
            json!(expected),
            "{term:?}"
        );
        let page = admin.get(&format!("{GROUPS}?{query}&pageSize=1000")).await.expect(200).body;
        assert_eq!((&page["total"], &page["list"]), (&json!(expected.len()), &json!(expected)));
    }
    for bad in [
        "sortBy=users",
        "sortBy=wildcards",
        "sortBy=userId",
        "search=%00",
        "groupId=1",
        "pageSize=0",
        "page=-1",
    ] {
        admin.get(&format!("{GROUPS}?{bad}")).await.expect(400);
    }
}

#[tokio::test]
async fn c_large_groups_and_many_groups_are_streamed_completely() {
    let t = T::start().await;
    let admin = t.admin().await;
    for n in 0..120 {
        admin.create_group(&format!("Group {n}")).await;
    }
    // Together they have more members than a chunk of the stream takes.
    let large = [7, 8, 9, 10, 11, 12, 13, 120];
    seed(&t, 1, "many", 2_500, large.map(GroupId).to_vec()).await;
    let list = admin.get(GROUPS).await.expect(200).body;
    assert_eq!(ids(&list), (1..=120).collect::<Vec<i64>>());
    let members: Vec<i64> = ids(&admin.everybody().await).into_iter().filter(|id| *id != 1).collect();
    for group in list.as_array().unwrap() {
        let expected = if large.contains(&group["groupId"].as_i64().unwrap()) { &members[..] } else { &[] };
        assert_eq!(group["membershipCount"], expected.len());
        assert_eq!(group["users"], json!(expected));
    }
    for sort in ["name", "membershipCount", "groupId"] {
        let streamed = admin.get(&format!("{GROUPS}?sortBy={sort}&descending")).await.expect(200).body;
        let page = admin.get(&format!("{GROUPS}?sortBy={sort}&descending&pageSize=1000")).await.expect(200);
        assert_eq!(streamed, page.body["list"]);
    }
    admin.delete("/api/v1/groups/7").await.expect(204);
    let users = admin.get("/api/v1/users?groupId=120").await.expect(200).body;
    assert_eq!(ids(&users), members);
    assert!(users.as_array().unwrap().iter().all(|user| user["groups"] == json!(large[1..])));
}
