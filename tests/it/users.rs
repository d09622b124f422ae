//! Users: part A and the rows of part B about them.

use serde_json::{Value, json};

use tenantry_core::error::Result;
use tenantry_core::model::{PartnerId, User, UserId};
use tenantry_mail::EmailContent;
use tenantry_store::access::system_within;
use tenantry_store::engine::cache::{ShownUser, UserRepresentation};

use crate::databases::is_postgres;
use crate::fixtures::{ids, with};
use crate::harness::{T, new_user, password_of};
use crate::user_fields::nulls;

/// What a PUT of a user needs, made of what a GET answered.
pub fn required(user: &Value) -> Value {
    let mut body = json!({});
    for name in ["username", "status", "firstName", "lastName", "email"] {
        body[name] = user[name].clone();
    }
    body
}

pub fn path_of(user: &Value) -> String {
    format!("/api/v1/users/{}", user["userId"])
}

#[tokio::test]
async fn a1_a_user_is_created() {
    let t = T::start().await;
    let admin = t.admin().await;
    let response = admin.post("/api/v1/users/", &new_user("fenna")).await.expect(201);
    assert_eq!(response.header("location"), "/api/v1/users/2");
    assert_eq!(
        response.body,
        with(
            &nulls(),
            json!({
                "pid": 1, "userId": 2, "username": "fenna", "status": "ACTIVE", "firstName": "Fenna",
                "lastName": "Jansen", "email": "fenna@example.com", "title": null, "phoneNumber": null,
                "groups": [], "isAdmin": false, "externalId": null, "createdAt": "2026-11-23T09:00:00.000Z",
                "updatedAt": "2026-11-23T09:00:00.000Z", "lastLoginAt": null,
            })
        )
    );
    let again = admin.post("/api/v1/users/", &new_user("FENNA")).await.expect(409);
    assert_eq!(again.body["code"], "username-taken");
    assert_eq!(admin.get("/api/v1/users/2").await.expect(200).body, response.body);
}

/// How another edge could show users.
struct NameTag;

impl UserRepresentation for NameTag {
    fn show(&self, user: &User) -> Result<ShownUser> {
        let body = format!("<{} {}>", user.profile.first_name, user.profile.last_name).into();
        Ok(ShownUser { tag: String::from("name"), body })
    }
}

/// Whoever comes first, and whether or not the other is kept in memory.
#[tokio::test]
async fn a6_each_representation_of_a_user_is_cached_separately() {
    let t = T::start().await;
    let admin = t.admin().await;
    let path = path_of(&admin.create("fenna").await);
    let id = UserId(path.rsplit_once('/').unwrap().1.parse().unwrap());
    let name_tag = async || {
        let shown = t.app.store.show_user(&system_within(PartnerId(1)), id, &NameTag).await;
        String::from_utf8(shown.unwrap().unwrap().body.to_vec()).unwrap()
    };
    for (last_name, first) in [("Jansen", "JSON"), ("de Vries", "name tag"), ("Bakker", "JSON")] {
        admin.patch(&path, &json!({ "lastName": last_name })).await.expect(200);
        if first == "name tag" {
            assert_eq!(name_tag().await, format!("<Fenna {last_name}>"));
        }
        for _ in 0..3 {
            assert_eq!(admin.get(&path).await.expect(200).body["lastName"], last_name);
            assert_eq!(name_tag().await, format!("<Fenna {last_name}>"));
        }
    }
}

#[tokio::test]
async fn a1_b3_b30_every_field_comes_back_as_it_was_sent() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (editors, readers) = (admin.create_group("Editors").await, admin.create_group("Readers").await);
    let body = json!({
        "username": "Jörg.Müller+x@Example.com", "status": "INACTIVE", "firstName": "李 <b>", "lastName": "O'Brien \\ %_",
        "email": "Mixed.Case+tag@EXAMPLE.com", "title": "", "phoneNumber": "+49 (0) 30 / 12–34 🙂",
        "groups": [readers, editors, readers], "isAdmin": "true", "externalId": "ERP/00042",
        "pid": 1, "userId": null, "createdAt": null,
    });
    let user = admin.post("/api/v1/users", &body).await.expect(201).body;
    let expected = with(
        &with(&nulls(), body.clone()),
        json!({
            "userId": 2, "groups": [editors, readers], "isAdmin": true, "lastLoginAt": null,
            "createdAt": "2026-11-23T09:00:00.000Z", "updatedAt": "2026-11-23T09:00:00.000Z",
        }),
    );
    assert_eq!(user, expected);
    assert_eq!(admin.get(&path_of(&user)).await.expect(200).body, expected);
    assert_eq!(admin.everybody().await[1], expected);
}

#[tokio::test]
async fn b3_an_external_id_is_unique_in_its_partner() {
    let t = T::start().await;
    let admin = t.admin().await;
    let first = admin.create_with(&with(&new_user("ada"), json!({ "externalId": "E-1" }))).await;
    let bob = admin.create("bob").await;
    let before = admin.everybody().await;
    let response = admin
        .post("/api/v1/users", &with(&new_user("eve"), json!({ "externalId": "E-1" })))
        .await
        .expect(409);
    assert_eq!(response.body["code"], "external-id-taken");
    assert_eq!(response.faults(), ["/externalId external-id-taken"]);
    let response =
        admin.put(&path_of(&bob), &with(&required(&bob), json!({ "externalId": "E-1" }))).await.expect(409);
    assert_eq!(response.body["code"], "external-id-taken");
    assert_eq!(admin.everybody().await, before);
    // Another partner has its own keys, and one that is given up is free again.
    let (_, olga) = t.other_partner("acme").await;
    olga.create_with(&with(&new_user("acme-ada"), json!({ "externalId": "E-1" }))).await;
    let cleared = admin
        .put(&path_of(&first), &with(&required(&first), json!({ "externalId": null })))
        .await
        .expect(200);
    assert_eq!(cleared.body["externalId"], Value::Null);
    admin.put(&path_of(&bob), &with(&required(&bob), json!({ "externalId": "E-1" }))).await.expect(200);
    for bad in ["", &"é".repeat(256), "a\nb", " a"] {
        let response =
            admin.post("/api/v1/users", &with(&new_user("eve"), json!({ "externalId": bad }))).await;
        assert_eq!(response.expect(400).faults().len(), 1, "{bad:?}");
    }
    let longest = "é".repeat(255);
    let user = admin.create_with(&with(&new_user("eve"), json!({ "externalId": longest }))).await;
    assert_eq!(user["externalId"], longest);
}

#[tokio::test]
async fn b4_is_admin_is_a_boolean_or_its_name() {
    let t = T::start().await;
    let admin = t.admin().await;
    for (n, (sent, is_admin)) in [
        (json!(true), true),
        (json!(false), false),
        (json!("true"), true),
        (json!("false"), false),
        (json!("TRUE"), true),
        (json!("False"), false),
        (json!("tRuE"), true),
    ]
    .into_iter()
    .enumerate()
    {
        let body = with(&new_user(&format!("user{n}")), json!({ "isAdmin": sent }));
        assert_eq!(admin.create_with(&body).await["isAdmin"], is_admin, "{sent}");
    }
    let before = admin.everybody().await;
    for bad in [json!("TRUE "), json!(""), json!("yes"), json!(1), json!(0), json!(null), json!([true])] {
        let body = with(&new_user("eve"), json!({ "isAdmin": bad }));
        assert_eq!(
            admin.post("/api/v1/users", &body).await.expect(400).faults(),
            ["/isAdmin wrong-type"],
            "{bad}"
        );
    }
    assert_eq!(admin.everybody().await, before);
}

#[tokio::test]
async fn b4_an_option_answers_is_admin_with_strings() {
    let t = T::with(|config| config.is_admin_as_string = true).await;
    let admin = t.admin().await;
    let user = admin.create("fenna").await;
    assert_eq!(user["isAdmin"], "false");
    assert_eq!(admin.get("/api/v1/users/self").await.expect(200).body["isAdmin"], "true");
    assert_eq!(admin.get(&path_of(&user)).await.expect(200).body, user);
    assert_eq!(admin.everybody().await[1], user);
    assert_eq!(admin.get("/api/v1/users?page=0").await.expect(200).list()[1], user);
    // What was read can be written back.
    assert_eq!(admin.put(&path_of(&user), &user).await.expect(200).body, user);
    let own = admin.get("/api/v1/users/self").await.expect(200).body;
    assert_eq!(admin.put("/api/v1/users/self/update", &own).await.expect(200).body, own);
}

#[tokio::test]
async fn a2_b7_a_user_is_updated() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (editors, readers) = (admin.create_group("Editors").await, admin.create_group("Readers").await);
    let body = json!({ "title": "Dr", "phoneNumber": "12", "groups": [editors], "isAdmin": true, "externalId": "x" });
    let user = admin.create_with(&with(&new_user("fenna"), body)).await;
    t.clock.advance(60_000);
    // Left out, they stay.
    let change = json!({
        "username": "Fenna.K", "status": "INACTIVE", "firstName": "F.", "lastName": "King", "email": "f@example.org",
    });
    let updated = admin.put("/api/v1/users/2/", &change).await.expect(200).body;
    let expected = with(&with(&user, change), json!({ "updatedAt": "2026-11-23T09:01:00.000Z" }));
    assert_eq!(updated, expected);
    assert_eq!(admin.get("/api/v1/users/2").await.expect(200).body, expected);
    // null clears title and phoneNumber; groups and isAdmin are set when given.
    let change = json!({ "title": null, "phoneNumber": null, "groups": [readers], "isAdmin": "false" });
    let updated = admin.put("/api/v1/users/2", &with(&required(&updated), change)).await.expect(200).body;
    assert_eq!(
        updated,
        with(&expected, json!({ "title": null, "phoneNumber": null, "groups": [readers], "isAdmin": false }))
    );
    let emptied =
        admin.put("/api/v1/users/2", &with(&required(&updated), json!({ "groups": [] }))).await.expect(200);
    assert_eq!(emptied.body["groups"], json!([]));
    // What is required is required, and null is a fault where nothing can be cleared.
    let before = admin.everybody().await;
    let response = admin.put("/api/v1/users/2", &json!({})).await.expect(400);
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
            admin.put("/api/v1/users/2", &with(&required(&updated), json!({ name: null }))).await.expect(400);
        assert_eq!(response.faults(), [format!("/{name} wrong-type")]);
    }
    assert_eq!(admin.everybody().await, before);
}

#[tokio::test]
async fn a2_a_taken_username_is_a_conflict_and_the_current_one_is_not() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (ada, bob) = (admin.create("ada").await, admin.create("bob").await);
    let before = admin.everybody().await;
    let rename =
        |user: &Value, name: &str| with(&required(user), json!({ "username": name, "firstName": "New" }));
    let response = admin.put(&path_of(&bob), &rename(&bob, "ADA")).await.expect(409);
    assert_eq!(response.body["code"], "username-taken");
    assert_eq!(response.faults(), ["/username username-taken"]);
    assert_eq!(admin.everybody().await, before);
    let response = admin.put(&path_of(&bob), &rename(&bob, "BoB")).await.expect(200);
    assert_eq!(response.body["username"], "BoB");
    // The old name is free at once, the new one is taken.
    admin.put(&path_of(&ada), &rename(&ada, "lovelace")).await.expect(200);
    admin.create("ada").await;
    admin.post("/api/v1/users", &new_user("LoveLace")).await.expect(409);
    admin.put("/api/v1/users/99", &required(&ada)).await.expect(404);
}

#[tokio::test]
async fn b8_usernames_are_unique_on_the_server_and_compared_mapped() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (_, olga) = t.other_partner("acme").await;
    for name in ["jörg", "ada@example.com", "a.b-c_d+e", "x", &"é".repeat(255), "Олег", "דוד"] {
        let user = admin.create_with(&with(&new_user("u"), json!({ "username": name }))).await;
        assert_eq!(user["username"], name);
    }
    for taken in ["JÖRG", "JO\u{308}RG", "ＪÖＲＧ", "ADA@EXAMPLE.COM", "X", "ОЛЕГ", "ADMIN", "ACME-admin"]
    {
        for person in [&admin, &olga] {
            let body = with(&new_user("u"), json!({ "username": taken }));
            assert_eq!(
                person.post("/api/v1/users", &body).await.expect(409).body["code"],
                "username-taken",
                "{taken}"
            );
        }
    }
    let before = admin.everybody().await;
    for (bad, code) in [
        ("", "empty"),
        (&*"é".repeat(256), "too-long"),
        ("a b", "invalid-username"),
        (" ada", "invalid-username"),
        ("a\u{a0}b", "invalid-username"),
        ("a\tb", "invalid-username"),
        ("a\0b", "invalid-username"),
        ("☃", "invalid-username"),
        ("aדוד", "invalid-username"),
    ] {
        let body = with(&new_user("u"), json!({ "username": bad }));
        assert_eq!(
            admin.post("/api/v1/users", &body).await.expect(400).faults(),
            [format!("/username {code}")]
        );
    }
    assert_eq!(admin.everybody().await, before);
    // The login needs no partner, and the name may be typed in any case.
    let password = t.mailed_password("jörg").await;
    t.try_login("JÖRG", &password).await.expect(200);
}

#[tokio::test]
async fn a6_a_user_is_found_by_its_id() {
    let t = T::start().await;
    let admin = t.admin().await;
    let fenna = admin.create("fenna").await;
    for path in ["/api/v1/users/2", "/api/v1/users/2/", "/v1/users/2", "/v1/users/2/"] {
        assert_eq!(admin.get(path).await.expect(200).body, fenna, "{path}");
    }
    let response = admin.get("/api/v1/users/3").await.expect(404);
    assert_eq!(response.body["code"], "user-not-found");
    assert_eq!(response.header("content-type"), "application/problem+json");
}

/// Of a user that is read again the response is kept: it must not outlive what it says.
#[tokio::test]
async fn a6_a_cached_response_shows_every_change() {
    let t = T::start().await;
    let admin = t.admin().await;
    let fenna = admin.create("fenna").await;
    let (path, group) = (path_of(&fenna), admin.create_group("Readers").await);
    let member = format!("/api/v1/groups/{group}/users/{}", fenna["userId"]);
    // After the second reading it is kept; the tag is that of the body.
    let read = async |path: &str| {
        let responses = [admin.get(path).await, admin.get(path).await, admin.get(path).await];
        let [first, .., last] = responses.map(|response| response.expect(200));
        assert_eq!((&first.body, first.header("etag")), (&last.body, last.header("etag")));
        last.body
    };
    assert_eq!(read(&path).await, fenna);
    if !is_postgres() {
        // Nobody tells the server of this change, so it shows where its response comes from.
        t.run_sql("UPDATE users SET title = 'Below' WHERE username = 'fenna'");
        assert_eq!(admin.get(&path).await.expect(200).body, fenna);
        t.run_sql("UPDATE users SET title = NULL WHERE username = 'fenna'");
    }
    admin.patch(&path, &json!({"lastName": "Frank"})).await.expect(200);
    assert_eq!(read(&path).await["lastName"], "Frank");
    assert!(admin.put(&member, &json!({})).await.status.is_success());
    assert_eq!(read(&path).await["groups"], json!([group]));
    admin.delete(&format!("/api/v1/groups/{group}")).await.expect(204);
    assert_eq!(read(&path).await["groups"], json!([]));
    let before = read("/api/v1/users/1").await["lastLoginAt"].clone();
    t.clock.advance(60_000);
    t.admin().await;
    assert_ne!(read("/api/v1/users/1").await["lastLoginAt"], before);
    admin.delete(&path).await.expect(204);
    assert_eq!(admin.get(&path).await.status, 404);
}

#[tokio::test]
async fn b11_another_partners_users_do_not_exist() {
    let t = T::start().await;
    let admin = t.admin().await;
    let fenna = admin.create("fenna").await;
    let (pid, olga) = t.other_partner("acme").await;
    let member = olga.create_with(&with(&new_user("acme-member"), json!({ "firstName": "Ole" }))).await;
    assert_eq!(member["pid"], pid);
    let before = admin.everybody().await;
    let unknown = olga.get("/api/v1/users/999").await.expect(404).body;
    for user in [&fenna, &before[0]] {
        let path = path_of(user);
        assert_eq!(olga.get(&path).await.expect(404).body, unknown);
        assert_eq!(olga.put(&path, &required(user)).await.expect(404).body, unknown);
        assert_eq!(olga.put(&path, &json!({})).await.expect(404).body, unknown);
        assert_eq!(olga.delete(&path).await.expect(404).body, unknown);
        let reset = format!("{path}/reset-password");
        assert_eq!(olga.post(&reset, &json!({})).await.expect(404).body, unknown);
    }
    let bulk = olga.post("/api/v1/users/bulk-delete", &json!([member["userId"], 2])).await.expect(404);
    assert_eq!(bulk.body["ids"], json!([2]));
    assert_eq!(admin.everybody().await, before);
    assert_eq!(ids(&olga.everybody().await), [3, 4]);
    assert_eq!(olga.get("/api/v1/users?search=fenna&page=0").await.expect(200).body["total"], 0);
}

fn reasons(mails: &[tenantry_mail::Email]) -> Vec<String> {
    mails
        .iter()
        .filter_map(|mail| match &mail.content {
            EmailContent::TemporaryPassword { reason, .. } => Some(format!("{reason:?}")),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn b16_a_new_user_is_mailed_a_password_when_it_first_becomes_active() {
    let t = T::start().await;
    let admin = t.admin().await;
    admin.create("active").await;
    assert_eq!(reasons(&t.mails_to("active@example.com").await), ["Welcome"]);
    for status in ["INACTIVE", "LOCKED"] {
        let name = status.to_lowercase();
        let address = format!("{name}@example.com");
        let user = admin.create_with(&with(&new_user(&name), json!({ "status": status }))).await;
        assert_eq!(reasons(&t.mails_to(&address).await), [""; 0]);
        // Another change is not yet the one.
        admin.put(&path_of(&user), &with(&required(&user), json!({ "firstName": "Neu" }))).await.expect(200);
        assert_eq!(reasons(&t.mails_to(&address).await), [""; 0]);
        for _ in 0..2 {
            for status in ["ACTIVE", status] {
                admin
                    .put(&path_of(&user), &with(&required(&user), json!({ "status": status })))
                    .await
                    .expect(200);
                assert_eq!(reasons(&t.mails_to(&address).await), ["Welcome"]);
            }
        }
        admin.put(&path_of(&user), &with(&required(&user), json!({ "status": "ACTIVE" }))).await.expect(200);
        t.try_login(&name, &t.mailed_password(&name).await).await.expect(200);
    }
    // The create body has none.
    let body = with(&new_user("eve"), json!({ "password": "Secret.Tea-Cup-99" }));
    assert_eq!(admin.post("/api/v1/users", &body).await.expect(400).faults(), ["/password unknown-field"]);
}

#[tokio::test]
async fn b20_b21_an_admin_resets_anothers_password() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (id, fenna) = t.member("fenna").await;
    let other_session = t.login("fenna", &password_of("fenna")).await;
    let path = format!("/api/v1/users/{id}/reset-password");
    let response = admin.send(reqwest::Method::POST, &path, None, "").await.expect(200);
    assert_eq!(response.body, json!({}));
    assert_eq!(reasons(&t.mails_to("fenna@example.com").await), ["Welcome", "Reset"]);
    for session in [&fenna, &other_session] {
        session.get("/self").await.expect(401);
    }
    t.try_login("fenna", &password_of("fenna")).await.expect(400);
    // Only the newest temporary password is valid, and it opens a session that must change it.
    let first = t.mailed_password("fenna").await;
    admin.post(&path, &json!({ "ignored": true })).await.expect(200);
    let second = t.mailed_password("fenna").await;
    assert_ne!(first, second);
    t.try_login("fenna", &first).await.expect(400);
    let login = t.try_login("fenna", &second).await.expect(200);
    assert_eq!(login.body["passwordChangeRequired"], true);
    // The admin's own session goes on.
    let user = admin.get(&format!("/api/v1/users/{id}")).await.expect(200).body;
    for status in ["INACTIVE", "LOCKED"] {
        admin.put(&path_of(&user), &with(&required(&user), json!({ "status": status }))).await.expect(200);
        let mails = t.mails().await.len();
        assert_eq!(admin.post(&path, &json!({})).await.expect(400).faults(), ["/status not-active"]);
        assert_eq!(t.mails().await.len(), mails);
    }
    fenna.post(&path, &json!({})).await.expect(401);
}

#[tokio::test]
async fn b20_a_password_that_is_no_longer_good_is_not_mailed() {
    let t = T::start().await;
    let admin = t.admin().await;
    for name in ["fenna", "gone", "bert"] {
        admin.create(name).await;
    }
    // All before the first delivery.
    for _ in 0..3 {
        admin.post("/api/v1/users/2/reset-password", &json!({})).await.expect(200);
    }
    admin.delete("/api/v1/users/3").await.expect(204);
    let mails = t.mails().await;
    assert_eq!(reasons(&mails), ["Welcome", "Reset"]);
    assert_eq!(mails[0].to.address, "bert@example.com");
    t.try_login("fenna", &t.mailed_password("fenna").await).await.expect(200);
}
