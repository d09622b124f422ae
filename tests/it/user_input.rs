//! What operations on users accept, and what they refuse.

use serde_json::json;

use crate::fixtures::{ids, with, without};
use crate::harness::{ADMIN_PASSWORD, T, new_user, password_of};
use crate::users::{path_of, required};

#[tokio::test]
async fn b6_all_errors_are_reported_at_once_and_nothing_changes() {
    let t = T::start().await;
    let admin = t.admin().await;
    let before = admin.everybody().await;
    let body = json!({
        "username": "a b", "status": "Active", "lastName": 7, "email": "nowhere", "title": " x", "phoneNumber": "\u{7}",
        "groups": [343, "x"], "isAdmin": "perhaps", "externalId": "", "pid": 2, "userId": 9, "nickname": "F",
        "a/b~c": 1,
    });
    let response = admin.post("/api/v1/users", &body).await.expect(400);
    assert_eq!(response.header("content-type"), "application/problem+json");
    assert_eq!(response.body["code"], "invalid");
    assert_eq!(response.body["status"], 400);
    assert_eq!(
        response.faults(),
        [
            "/username invalid-username",
            "/status unknown-status",
            "/lastName wrong-type",
            "/email invalid-email",
            "/title surrounding-space",
            "/phoneNumber control-character",
            "/groups/1 wrong-type",
            "/isAdmin wrong-type",
            "/externalId empty",
            "/pid read-only",
            "/userId read-only",
            "/nickname unknown-field",
            "/a~1b~0c unknown-field",
            "/firstName required",
        ]
    );
    assert!(
        response.body["errors"].as_array().unwrap().iter().all(|e| e["detail"].as_str().unwrap().len() > 5)
    );
    // An unknown group is told beside the other faults.
    let body = with(&without(&new_user("fenna"), &["email"]), json!({ "groups": [343] }));
    let response = admin.post("/api/v1/users", &body).await.expect(400);
    assert_eq!(response.faults(), ["/groups unknown-group", "/email required"]);
    assert_eq!(admin.everybody().await, before);
}

#[tokio::test]
async fn b6_ids_are_taken_when_they_agree_and_times_whatever_they_say() {
    let t = T::start().await;
    let admin = t.admin().await;
    let group = admin.create_group("Editors").await;
    let body =
        json!({ "title": "Dr", "phoneNumber": "1", "groups": [group], "isAdmin": true, "externalId": "x" });
    admin.create_with(&with(&new_user("fenna"), body)).await;
    t.try_login("fenna", &t.mailed_password("fenna").await).await.expect(200);
    t.clock.advance(1_000);
    let user = admin.get("/api/v1/users/2").await.expect(200).body;
    assert_eq!(user["lastLoginAt"], "2026-11-23T09:00:00.000Z");
    // A change that changes nothing leaves no trace, updatedAt included.
    assert_eq!(admin.put("/api/v1/users/2", &user).await.expect(200).body, user);
    for (name, value) in [
        ("pid", json!(2)),
        ("pid", json!("2")),
        ("pid", json!("01")),
        ("pid", json!(null)),
        ("userId", json!(1)),
        ("userId", json!("1")),
        ("userId", json!("2 ")),
        ("userId", json!(2.0)),
    ] {
        let mut changed = user.clone();
        changed[name] = value.clone();
        for response in [
            admin.put("/api/v1/users/2", &changed).await,
            admin.patch("/api/v1/users/2", &json!({ name: value })).await,
        ] {
            assert_eq!(response.expect(400).faults(), [format!("/{name} read-only")], "{value}");
        }
        changed["username"] = json!("mallory");
        let response = admin.post("/api/v1/users", &without(&changed, &["groups"])).await.expect(400);
        assert!(response.faults().iter().any(|f| f.ends_with("read-only")), "{:?}", response.faults());
    }
    let mut written = with(&user, json!({ "pid": "1", "userId": "2", "isAdmin": "TRUE" }));
    for value in [json!("2020-01-01T00:00:00.000Z"), json!(null), json!("never"), json!(7), json!([{}])] {
        for name in ["createdAt", "updatedAt", "lastLoginAt"] {
            written[name] = value.clone();
        }
        assert_eq!(admin.put("/api/v1/users/2", &written).await.expect(200).body, user, "{value}");
        let times = json!({ "createdAt": value, "updatedAt": value, "lastLoginAt": value });
        assert_eq!(admin.patch("/api/v1/users/2", &times).await.expect(200).body, user, "{value}");
    }
    assert_eq!(admin.get("/api/v1/users/2").await.expect(200).body, user);
    assert_eq!(ids(&admin.everybody().await), [1, 2]);
    // What was read of one is a template of another, without its id.
    let copy = with(&without(&user, &["userId", "externalId"]), json!({ "username": "copy", "pid": "1" }));
    let copy = admin.create_with(&copy).await;
    assert_eq!((&copy["userId"], &copy["createdAt"]), (&json!(3), &json!("2026-11-23T09:00:01.000Z")));
    // So is a group, whose number of members may have changed.
    let read = admin.get(&format!("/api/v1/groups/{group}")).await.expect(200).body;
    for count in [json!(99), json!(null), json!("many")] {
        let path = format!("/api/v1/groups/{group}");
        let body = with(&read, json!({ "membershipCount": count, "groupId": group.to_string() }));
        assert_eq!(admin.put(&path, &body).await.expect(200).body, read, "{count}");
    }
}

#[tokio::test]
async fn b17_ids_that_are_no_ids_are_not_found_in_a_path() {
    let t = T::start().await;
    let admin = t.admin().await;
    let own = admin.get("/self").await.expect(200).body;
    for id in [
        "abc",
        "1.0",
        "1e0",
        "-1",
        "+1",
        "0",
        "00",
        "9223372036854775807",
        "9223372036854775808",
        "99999999999999999999999",
        "%FF",
        "1%20",
        "%201",
        "1%00",
        "null",
        "١",
    ] {
        let path = format!("/api/v1/users/{id}");
        for response in [
            admin.get(&path).await,
            admin.put(&path, &required(&own)).await,
            admin.delete(&path).await,
            admin.post(&format!("{path}/reset-password"), &json!({})).await,
            admin.get(&format!("/api/v1/groups/{id}")).await,
            admin.delete(&format!("/api/v1/groups/{id}")).await,
        ] {
            assert!(
                response.body["code"].as_str().unwrap().ends_with("-not-found"),
                "{id}: {}",
                response.text
            );
            response.expect(404);
        }
    }
    let before = admin.everybody().await;
    for bad in [
        json!("x"),
        json!("01"),
        json!("+1"),
        json!(" 1"),
        json!("1.0"),
        json!("-1"),
        json!(""),
        json!("0"),
        json!("9223372036854775808"),
        json!(1.5),
        json!(0),
        json!(-1),
        json!(9_223_372_036_854_775_808_u64),
        json!(null),
    ] {
        let body = with(&new_user("eve"), json!({ "groups": [bad] }));
        let faults = admin.post("/api/v1/users", &body).await.expect(400).faults();
        assert!(faults[0].starts_with("/groups/0 "), "{bad}: {faults:?}");
    }
    assert_eq!(admin.everybody().await, before);
}

#[tokio::test]
async fn b18_groups_that_do_not_exist_are_named() {
    let t = T::start().await;
    let admin = t.admin().await;
    let group = admin.create_group("Editors").await;
    let (_, olga) = t.other_partner("acme").await;
    let foreign = olga.create_group("Editors").await;
    let user = admin.create("fenna").await;
    let before = admin.everybody().await;
    let groups = json!({ "groups": [group, foreign, 77_777] });
    for response in [
        admin.post("/api/v1/users", &with(&new_user("eve"), groups.clone())).await,
        admin.put(&path_of(&user), &with(&required(&user), groups)).await,
    ] {
        let response = response.expect(400);
        assert_eq!(response.faults(), ["/groups unknown-group"]);
        let detail = response.body["errors"][0]["detail"].as_str().unwrap();
        assert!(detail.contains(&format!(" {foreign}, 77777 ")), "{detail}");
    }
    let many: Vec<i64> = (1..=100_001).collect();
    let response =
        admin.post("/api/v1/users", &with(&new_user("eve"), json!({ "groups": many }))).await.expect(413);
    assert_eq!(response.body["code"], "body-too-large");
    assert_eq!(admin.everybody().await, before);
}

#[tokio::test]
async fn b19_strings_are_refused_or_kept_as_they_are() {
    let t = T::start().await;
    let admin = t.admin().await;
    let long = "🙂".repeat(255);
    for (n, text) in
        ["O'Brien", "李", "a\u{2028}b", "a  b", "מֹשֶׁה", "<script>", "%_\\\"", "e\u{301}", "\u{feff}x", &long]
            .into_iter()
            .enumerate()
    {
        let change = json!({ "firstName": text, "lastName": text, "title": text, "phoneNumber": text });
        let user = admin.create_with(&with(&new_user(&format!("user{n}")), change.clone())).await;
        let read = admin.get(&path_of(&user)).await.expect(200).body;
        for name in ["firstName", "lastName", "title", "phoneNumber"] {
            assert_eq!(read[name], text);
        }
    }
    let before = admin.everybody().await;
    for (bad, code) in [
        ("a\0b", "control-character"),
        ("a\u{85}b", "control-character"),
        ("a\nb", "control-character"),
        ("a\u{7f}", "control-character"),
        (" a", "surrounding-space"),
        ("a ", "surrounding-space"),
        ("\u{3000}a", "surrounding-space"),
        (&*format!("{long}x"), "too-long"),
    ] {
        for name in ["firstName", "lastName", "title", "phoneNumber"] {
            let body = with(&new_user("eve"), json!({ name: bad }));
            let response = admin.post("/api/v1/users", &body).await.expect(400);
            assert_eq!(response.faults(), [format!("/{name} {code}")], "{bad:?}");
        }
    }
    // Nobody can see these.
    for blank in
        ["\u{200b}", "\u{2060}\u{feff}", "\u{ad}", "\u{3164}", "\u{2800}", "\u{115f}", "\u{fe0f}\u{200d}"]
    {
        for name in ["firstName", "lastName", "displayName"] {
            let body = with(&new_user("eve"), json!({ name: blank }));
            let response = admin.post("/api/v1/users", &body).await.expect(400);
            assert_eq!(response.faults(), [format!("/{name} invisible")], "{blank:?}");
        }
        let response = admin.post("/api/v1/groups", &json!({ "name": blank })).await.expect(400);
        assert_eq!(response.faults(), ["/name invisible"], "{blank:?}");
    }
    for name in ["firstName", "lastName", "email"] {
        let response =
            admin.post("/api/v1/users", &with(&new_user("eve"), json!({ name: "" }))).await.expect(400);
        assert_eq!(response.faults(), [format!("/{name} empty")]);
    }
    for bad in [
        "ada",
        "@b.de",
        "a@b@c",
        "a b@c.de",
        " a@b.de",
        "a@b.de\n",
        "ü@b.de",
        "a@b..de",
        ".a@b.de",
        "a..b@c.de",
    ] {
        let response =
            admin.post("/api/v1/users", &with(&new_user("eve"), json!({ "email": bad }))).await.expect(400);
        assert_eq!(response.faults(), ["/email invalid-email"], "{bad:?}");
    }
    let longest = format!("{}@{}.{}.{}.de", "a".repeat(64), "b".repeat(63), "c".repeat(63), "d".repeat(58));
    let response =
        admin.post("/api/v1/users", &with(&new_user("eve"), json!({ "email": format!("{longest}e") }))).await;
    assert_eq!(response.expect(400).faults(), ["/email too-long"]);
    assert_eq!(admin.everybody().await, before);
    // Not unique.
    for name in ["eve", "eve2"] {
        let user = admin.create_with(&with(&new_user(name), json!({ "email": longest }))).await;
        assert_eq!(user["email"], longest);
    }
}

#[tokio::test]
async fn b30_what_a_create_needs_and_what_it_assumes() {
    let t = T::start().await;
    let admin = t.admin().await;
    let before = admin.everybody().await;
    let response = admin.post("/api/v1/users", &json!({})).await.expect(400);
    assert_eq!(
        response.faults(),
        [
            "/username required",
            "/status required",
            "/firstName required",
            "/lastName required",
            "/email required"
        ]
    );
    for name in ["username", "status", "firstName", "lastName", "email", "groups", "isAdmin"] {
        let response =
            admin.post("/api/v1/users", &with(&new_user("eve"), json!({ name: null }))).await.expect(400);
        assert_eq!(response.faults(), [format!("/{name} wrong-type")]);
    }
    for status in ["active", "", "DELETED", " ACTIVE"] {
        let response =
            admin.post("/api/v1/users", &with(&new_user("eve"), json!({ "status": status }))).await;
        assert_eq!(response.expect(400).faults(), ["/status unknown-status"]);
    }
    assert_eq!(admin.everybody().await, before);
    let nulls = json!({ "title": null, "phoneNumber": null, "externalId": null });
    let user = admin.create_with(&with(&new_user("eve"), nulls)).await;
    assert_eq!(user, admin.get(&path_of(&user)).await.expect(200).body);
}

#[tokio::test]
async fn b29_an_unknown_parameter_stops_every_operation() {
    let t = T::start().await;
    let admin = t.admin().await;
    let user = admin.create("fenna").await;
    let group = admin.create_group("Editors").await;
    let before = admin.everybody().await;
    let (users, groups) = ("/api/v1/users", "/api/v1/groups");
    let query = "?dryrun=true&page=1";
    let own = json!({ "oldPassword": ADMIN_PASSWORD, "newPassword": password_of("admin") });
    for response in [
        admin.post(&format!("{users}{query}"), &new_user("eve")).await,
        admin.put(&format!("{users}/2{query}"), &with(&required(&user), json!({ "firstName": "X" }))).await,
        admin.get(&format!("{users}/2{query}")).await,
        admin.delete(&format!("{users}/2{query}")).await,
        admin.post(&format!("{users}/bulk-delete{query}"), &json!([2])).await,
        admin.post(&format!("{users}/2/reset-password{query}"), &json!({})).await,
        admin.get(&format!("/self{query}")).await,
        admin
            .put(&format!("/self/update{query}"), &with(&required(&before[0]), json!({ "firstName": "X" })))
            .await,
        admin.post(&format!("/users/self/update-password{query}"), &own).await,
        admin.put(&format!("/self/reset-password{query}"), &json!({})).await,
        admin.post(&format!("{groups}{query}"), &json!({ "name": "Readers" })).await,
        admin.get(&format!("{groups}/{group}{query}")).await,
        admin.put(&format!("{groups}/{group}{query}"), &json!({ "name": "Readers" })).await,
        admin.delete(&format!("{groups}/{group}{query}")).await,
        admin.delete(&format!("{groups}/bulk-delete{query}")).await,
    ] {
        let faults = response.expect(400).faults();
        assert_eq!(faults, ["dryrun unknown-parameter", "page unknown-parameter"]);
    }
    assert_eq!(admin.everybody().await, before);
    assert_eq!(admin.get(groups).await.expect(200).body[0]["name"], "Editors");
    // Parameters of the hosted API that mean nothing here.
    let ignored = "?folderId=3&permissions=READ&includePermissions=true";
    assert_eq!(admin.get(&format!("{users}/2{ignored}")).await.expect(200).body, user);
    assert_eq!(admin.get(&format!("{users}{ignored}")).await.expect(200).body, before);
}
