//! What logged-in users do for themselves (A3, A4, A5, A7), and the rows of part B about it.

use reqwest::Method;
use serde_json::{Value, json};

use tenantry_core::clock::{DAY, HOUR};
use tenantry_mail::EmailContent;

use crate::fixtures::{with, without};
use crate::harness::{ADMIN_PASSWORD, Person, T, new_user, password_of};
use crate::user_fields::NAMES;

/// Every printed spelling of a self path (B1).
fn spellings(tail: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for prefix in ["", "/v1", "/api/v1"] {
        for users in ["", "/users"] {
            for slash in ["", "/"] {
                paths.push(format!("{prefix}{users}/self{tail}{slash}"));
            }
        }
    }
    paths
}

/// What a self-update needs, made of what A7 answered.
fn required(own: &Value) -> Value {
    let mut body = json!({});
    for name in ["status", "firstName", "lastName", "email"] {
        body[name] = own[name].clone();
    }
    body
}

fn passwords(old: &str, new: &str) -> Value {
    json!({ "oldPassword": old, "newPassword": new })
}

/// The address and kind of every mail so far.
async fn post(t: &T) -> Vec<(String, &'static str)> {
    let kind = |what: &EmailContent| match what {
        EmailContent::TemporaryPassword { .. } => "password",
        EmailContent::PasswordChanged { .. } => "password changed",
        EmailContent::EmailChanged { .. } => "email changed",
        EmailContent::AccountLocked { .. } => "locked",
        EmailContent::ForgottenUsername { .. } => "username",
        EmailContent::SigningKeysReset { .. } => "keys reset",
        EmailContent::VerifyEmail { .. } => "verify",
        EmailContent::FactorAdded { .. } => "factor added",
        EmailContent::FactorRemoved { .. } => "factor removed",
        EmailContent::RecoveryCodeUsed { .. } => "recovery code used",
        EmailContent::Test => "test",
    };
    t.mails().await.iter().map(|mail| (mail.to.address.clone(), kind(&mail.content))).collect()
}

#[tokio::test]
async fn a7_b1_members_read_themselves_at_every_printed_path() {
    let t = T::start().await;
    let (id, fenna) = t.member("fenna").await;
    let seen = t.admin().await.get(&format!("/api/v1/users/{id}")).await.expect(200).body;
    for path in spellings("") {
        assert_eq!(fenna.get(&path).await.expect(200).body, seen, "{path}");
        t.anonymous().get(&path).await.expect(401);
    }
    for path in ["/selfish", "/api/v2/self", "/users/self/x", "/portal/self", "/api/v1/SELF", "/v1/v1/self"] {
        fenna.get(path).await.expect(404);
    }
}

#[tokio::test]
async fn b1_the_whole_api_answers_below_v1_too_and_with_a_slash_or_without() {
    let t = T::start().await;
    let admin = t.admin().await;
    for (n, path) in ["/api/v1/users", "/api/v1/users/", "/v1/users", "/v1/users/"].into_iter().enumerate() {
        let user = admin.post(path, &new_user(&format!("user{n}"))).await.expect(201).body;
        assert_eq!(admin.get(&format!("{path}?search=user{n}")).await.expect(200).body, json!([user]));
    }
    for path in ["/v1/groups", "/v1/groups/", "/api/v1/groups/"] {
        admin.post(path, &json!({ "name": path })).await.expect(201);
        admin.get(path).await.expect(200);
    }
    admin.get("/v1/events/").await.expect(200);
    admin.post("/v1/users/bulk-delete/", &json!([2])).await.expect(204);
    admin.get("/users").await.expect(404);
    admin.get("/users/3").await.expect(404);
}

#[tokio::test]
async fn a3_b1_members_update_themselves_at_every_printed_path() {
    let t = T::start().await;
    let (_, fenna) = t.member("fenna").await;
    let own = fenna.get("/self").await.expect(200).body;
    for (n, path) in spellings("/update").into_iter().enumerate() {
        let body = with(&required(&own), json!({ "firstName": format!("Fenna {n}"), "title": path }));
        let response = fenna.put(&path, &body).await.expect(200).body;
        assert_eq!(response, with(&own, json!({ "firstName": format!("Fenna {n}"), "title": path })));
        assert_eq!(fenna.get("/self").await.expect(200).body, response);
        let refused = fenna.post(&path, &body).await.expect(405);
        assert_eq!(refused.header("allow"), "PUT");
    }
}

#[tokio::test]
async fn a3_b7_omitted_fields_are_unchanged() {
    let t = T::start().await;
    let (_, fenna) = t.member("fenna").await;
    let own = fenna.get("/self").await.expect(200).body;
    t.clock.advance(HOUR);
    let change = json!({ "title": "Dr", "phoneNumber": "12", "lastName": "King" });
    fenna.put("/self/update", &with(&required(&own), change)).await.expect(200);
    let response = fenna.put("/self/update", &required(&own)).await.expect(200).body;
    assert_eq!((&response["title"], &response["phoneNumber"]), (&json!("Dr"), &json!("12")));
    assert_eq!(response["updatedAt"], "2026-11-23T10:00:00.000Z");
    let cleared =
        fenna.put("/self/update", &with(&required(&own), json!({ "title": null }))).await.expect(200).body;
    assert_eq!((&cleared["title"], &cleared["phoneNumber"]), (&json!(null), &json!("12")));
    let before = fenna.get("/self").await.expect(200).body;
    let response =
        fenna.put("/self/update", &json!({ "firstName": " ", "x": 1, "username": null })).await.expect(400);
    assert_eq!(
        response.faults(),
        [
            "/firstName surrounding-space",
            "/x unknown-field",
            "/username wrong-type",
            "/status required",
            "/lastName required",
            "/email required",
        ]
    );
    assert_eq!(fenna.get("/self").await.expect(200).body, before);
}

#[tokio::test]
async fn b9_members_rename_themselves_but_take_no_rights() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (editors, readers) = (admin.create_group("Editors").await, admin.create_group("Readers").await);
    let (id, fenna) = t.member("fenna").await;
    let path = format!("/api/v1/users/{id}");
    let own = admin.get(&path).await.expect(200).body;
    let body = with(&required(&own), json!({ "username": "fenna", "groups": [editors], "externalId": "E" }));
    let own = admin.put(&path, &body).await.expect(200).body;
    // What was read can be written back, groups in any order.
    assert_eq!(fenna.put("/self/update", &own).await.expect(200).body, own);
    let doubled = with(&own, json!({ "groups": [editors, editors], "isAdmin": "false" }));
    assert_eq!(fenna.put("/self/update", &doubled).await.expect(200).body, own);
    for (name, bad, code) in [
        ("groups", json!([editors, readers]), "read-only"),
        ("groups", json!([]), "read-only"),
        ("groups", json!([77_777]), "read-only"),
        ("groups", json!(null), "wrong-type"),
        ("isAdmin", json!(true), "read-only"),
        ("isAdmin", json!("true"), "read-only"),
        ("externalId", json!("F"), "read-only"),
        ("externalId", json!(null), "read-only"),
        ("pid", json!(2), "read-only"),
        ("userId", json!(1), "read-only"),
    ] {
        let response =
            fenna.put("/self/update", &with(&own, json!({ name: bad, "firstName": "X" }))).await.expect(400);
        assert_eq!(response.faults(), [format!("/{name} {code}")]);
    }
    let taken = fenna.put("/self/update", &with(&own, json!({ "username": "Admin" }))).await.expect(409);
    assert_eq!(taken.body["code"], "username-taken");
    assert_eq!(admin.get(&path).await.expect(200).body, own);
    let renamed =
        fenna.put("/self/update", &with(&own, json!({ "username": "Fenna.K" }))).await.expect(200).body;
    assert_eq!(renamed["username"], "Fenna.K");
    t.try_login("fenna", &password_of("fenna")).await.expect(400);
    t.try_login("fenna.k", &password_of("fenna")).await.expect(200);
}

#[tokio::test]
async fn b9_members_deactivate_themselves() {
    let t = T::start().await;
    for status in ["INACTIVE", "LOCKED"] {
        let name = status.to_lowercase();
        let (_, person) = t.member(&name).await;
        let own = person.get("/self").await.expect(200).body;
        let response =
            person.put("/self/update", &with(&required(&own), json!({ "status": status }))).await.expect(200);
        assert_eq!(response.body["status"], status);
        person.get("/self").await.expect(401);
        t.try_login(&name, &password_of(&name)).await.expect(400);
    }
}

#[tokio::test]
async fn a4_b1_b2_members_change_their_password_at_every_printed_path() {
    let t = T::start().await;
    let (_, fenna) = t.member("fenna").await;
    let mut present = password_of("fenna");
    for (n, path) in spellings("/update-password").into_iter().enumerate() {
        for method in [Method::POST, Method::PUT] {
            let next = format!("Copper{n}.{}-Kettle", method.as_str().to_lowercase());
            t.secret(&next);
            let body = passwords(&present, &next).to_string().into_bytes();
            let response = fenna.send(method, &path, Some(body), "application/json").await.expect(200);
            assert_eq!(response.body, json!({}));
            present = next;
        }
        fenna.get(&path).await.expect(405);
    }
    t.try_login("fenna", &present).await.expect(200);
}

#[tokio::test]
async fn a4_errors_of_either_password_are_reported() {
    let t = T::start().await;
    let (_, fenna) = t.member("fenna").await;
    let present = password_of("fenna");
    let path = "/users/self/update-password";
    let good = "Copper.Kettle-77x";
    for (old, new, faults) in [
        ("Wrong.Kettle-77x", good, vec!["/oldPassword wrong-password"]),
        ("", good, vec!["/oldPassword wrong-password"]),
        (&*present, &*present, vec!["/newPassword used-before"]),
        (&*present, "", vec!["/newPassword too-short"]),
    ] {
        let response = fenna.post(path, &passwords(old, new)).await.expect(400);
        assert!(
            faults.iter().all(|f| response.faults().contains(&(*f).to_owned())),
            "{old:?} {:?}",
            response.faults()
        );
        // A right old password in between, so that no five wrong ones come in a row (B23).
        assert!(!response.text.contains(good));
    }
    let response = fenna.post(path, &passwords("Wrong.Kettle-77x", "short")).await.expect(400);
    assert_eq!(response.faults()[0], "/oldPassword wrong-password");
    assert!(
        response.faults().len() > 1 && response.faults()[1..].iter().all(|f| f.starts_with("/newPassword "))
    );
    let response = fenna.post(path, &json!({ "oldPassword": 1, "password": "x" })).await.expect(400);
    assert_eq!(
        response.faults(),
        ["/oldPassword wrong-type", "/password unknown-field", "/newPassword required"]
    );
    // Nothing was changed.
    t.try_login("fenna", &present).await.expect(200);
    t.try_login("fenna", good).await.expect(400);
}

#[tokio::test]
async fn b21_a4_ends_every_other_session_and_tells_the_owner() {
    let t = T::start().await;
    let (id, fenna) = t.member("fenna").await;
    let elsewhere = t.try_login("fenna", &password_of("fenna")).await.expect(200).body;
    let other = t.bearer(elsewhere["access_token"].as_str().unwrap());
    other.get("/self").await.expect(200);
    let new = "Copper.Kettle-77x";
    t.secret(new);
    let changed =
        fenna.post("/self/update-password", &passwords(&password_of("fenna"), new)).await.expect(200);
    assert_eq!(changed.body, json!({}));
    fenna.get("/self").await.expect(200);
    other.get("/self").await.expect(401);
    let refresh = elsewhere["refresh_token"].as_str().unwrap();
    t.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await.expect(400);
    t.try_login("fenna", &password_of("fenna")).await.expect(400);
    t.try_login("fenna", new).await.expect(200);
    assert_eq!(post(&t).await.last().unwrap(), &(String::from("fenna@example.com"), "password changed"));
    let admin = t.admin().await;
    let changes = admin.get(&format!("/api/v1/events?userId={id}&type=password.changed")).await.expect(200);
    assert_eq!(changes.body["total"], 2);
}

#[tokio::test]
async fn a5_b1_b2_members_reset_their_password_at_every_printed_path() {
    let t = T::start().await;
    let (_, mut fenna) = t.member("fenna").await;
    let mut present = password_of("fenna");
    for (n, path) in spellings("/reset-password").into_iter().enumerate() {
        let method = if n % 2 == 0 { Method::POST } else { Method::PUT };
        // No body is needed, and one is ignored, whatever it says to be.
        let (body, content_type) = match n % 4 {
            0 => (None, ""),
            1 => (Some(b"<xml/>".to_vec()), "text/xml"),
            2 => (Some(b"{ not json".to_vec()), "application/json"),
            _ => (Some(vec![0xff; 10_000]), ""),
        };
        let elsewhere = t.login("fenna", &present).await;
        assert_eq!(fenna.send(method, &path, body, content_type).await.expect(200).body, json!({}));
        // The old password and every session are over; only the mailed password works.
        fenna.get("/self").await.expect(401);
        elsewhere.get("/self").await.expect(401);
        t.try_login("fenna", &present).await.expect(400);
        let mailed = t.mailed_password("fenna").await;
        fenna = t.login("fenna", &mailed).await;
        present = format!("Copper{n}.Kettle-77x");
        fenna.post("/self/update-password", &passwords(&mailed, &present)).await.expect(200);
    }
}

#[tokio::test]
async fn b22_a_temporary_password_serves_to_set_a_permanent_one() {
    let t = T::start().await;
    let admin = t.admin().await;
    admin.create("fenna").await;
    admin.create_with(&with(&new_user("boss"), json!({ "isAdmin": true }))).await;
    for name in ["fenna", "boss"] {
        let mailed = t.mailed_password(name).await;
        let login = t.try_login(name, &mailed).await.expect(200).body;
        assert_eq!(login["passwordChangeRequired"], true);
        assert_eq!(login.get("refresh_token"), None);
        let person = t.bearer(login["access_token"].as_str().unwrap());
        let own = person.get("/self").await.expect(200).body;
        let change = with(&required(&own), json!({ "firstName": "X" }));
        for response in [
            person.put("/self/update", &change).await,
            person.post("/self/reset-password", &json!({})).await,
            person.get("/api/v1/users").await,
            person.get("/api/v1/users/1").await,
            person.post("/api/v1/users", &new_user("eve")).await,
            person.delete("/api/v1/users/2").await,
            person.get("/api/v1/groups").await,
            person.get("/api/v1/events").await,
        ] {
            assert_eq!(response.expect(403).body["code"], "password-change-required");
        }
        assert_eq!(person.get("/self").await.expect(200).body, own);
        // The temporary password is no permanent one.
        let response = person.post("/self/update-password", &passwords(&mailed, &mailed)).await.expect(400);
        assert!(response.faults().iter().all(|f| f.starts_with("/newPassword ")));
        person.post("/self/update-password", &passwords(&mailed, &password_of(name))).await.expect(200);
        // The session became an ordinary one; the temporary password is over.
        person.put("/self/update", &change).await.expect(200);
        t.try_login(name, &mailed).await.expect(400);
        let login = t.try_login(name, &password_of(name)).await.expect(200).body;
        assert_eq!(login.get("passwordChangeRequired"), None);
        assert!(login["refresh_token"].is_string());
    }
}

#[tokio::test]
async fn b22_a_temporary_password_and_its_session_end_after_a_day() {
    let t = T::start().await;
    t.admin().await.create("fenna").await;
    let mailed = t.mailed_password("fenna").await;
    t.clock.advance(DAY - HOUR);
    let late = t.login("fenna", &mailed).await;
    t.clock.advance(HOUR - 1);
    late.get("/self").await.expect(200);
    t.clock.advance(1);
    late.get("/self").await.expect(401);
    t.try_login("fenna", &mailed).await.expect(400);
}

#[tokio::test]
async fn b25_a_self_changed_address_gets_no_password_for_a_day() {
    let t = T::start().await;
    let (id, fenna) = t.member("fenna").await;
    let own = fenna.get("/self").await.expect(200).body;
    let move_to = |address: &str| with(&required(&own), json!({ "email": address }));
    let response = fenna.put("/self/update", &move_to("thief@example.net")).await.expect(200);
    assert_eq!(response.body["email"], "thief@example.net");
    // A second change does not let go of the first address; each old one is told.
    fenna.put("/self/update", &move_to("thief2@example.net")).await.expect(200);
    let told: Vec<_> = post(&t).await.into_iter().filter(|(_, kind)| *kind == "email changed").collect();
    assert_eq!(
        told,
        [
            ("fenna@example.com".to_owned(), "email changed"),
            ("thief@example.net".to_owned(), "email changed")
        ]
    );
    t.clock.advance(DAY - 1);
    fenna.get("/self").await.expect(401);
    let fenna = t.login("fenna", &password_of("fenna")).await;
    fenna.post("/self/reset-password", &json!({})).await.expect(200);
    assert_eq!(post(&t).await.last().unwrap(), &("fenna@example.com".to_owned(), "password"));
    let temporary = t.mailed_password("fenna").await;
    let fenna = t.login("fenna", &temporary).await;
    let next = "Copper.Kettle-77x";
    fenna.post("/self/update-password", &passwords(&temporary, next)).await.expect(200);
    t.clock.advance(1);
    fenna.post("/self/reset-password", &json!({})).await.expect(200);
    assert_eq!(post(&t).await.last().unwrap(), &("thief2@example.net".to_owned(), "password"));
    // An admin's change holds at once.
    let admin = t.admin().await;
    let user = admin.get(&format!("/api/v1/users/{id}")).await.expect(200).body;
    let body = with(&required(&user), json!({ "username": "fenna", "email": "fenna@example.org" }));
    admin.put(&format!("/api/v1/users/{id}"), &body).await.expect(200);
    admin.post(&format!("/api/v1/users/{id}/reset-password"), &json!({})).await.expect(200);
    assert_eq!(post(&t).await.last().unwrap(), &("fenna@example.org".to_owned(), "password"));
}

#[tokio::test]
async fn b25_the_hold_can_be_switched_off_and_ends_with_an_admins_change() {
    let t = T::with(|config| config.email_change_hold_hours = 0).await;
    let (_, fenna) = t.member("fenna").await;
    let own = fenna.get("/self").await.expect(200).body;
    fenna
        .put("/self/update", &with(&required(&own), json!({ "email": "new@example.net" })))
        .await
        .expect(200);
    assert_eq!(post(&t).await.last().unwrap(), &("fenna@example.com".to_owned(), "email changed"));
    fenna.post("/self/reset-password", &json!({})).await.expect(200);
    assert_eq!(post(&t).await.last().unwrap(), &("new@example.net".to_owned(), "password"));

    let t = T::start().await;
    let (id, fenna) = t.member("fenna").await;
    let own = fenna.get("/self").await.expect(200).body;
    fenna
        .put("/self/update", &with(&required(&own), json!({ "email": "new@example.net" })))
        .await
        .expect(200);
    let body = with(&required(&own), json!({ "username": "fenna", "email": "newer@example.net" }));
    t.admin().await.put(&format!("/api/v1/users/{id}"), &body).await.expect(200);
    fenna.post("/self/reset-password", &json!({})).await.expect(200);
    assert_eq!(post(&t).await.last().unwrap(), &("newer@example.net".to_owned(), "password"));
}

#[tokio::test]
async fn b25_an_admin_who_changes_the_own_address_is_held_to_it_too() {
    let t = T::start().await;
    let admin = t.admin().await;
    admin.create_with(&with(&new_user("deputy"), json!({ "isAdmin": true }))).await;
    let own = admin.get("/self").await.expect(200).body;
    let moved = with(&own, json!({ "email": "thief@example.net" }));
    admin.put("/api/v1/users/1", &moved).await.expect(200);
    assert_eq!(post(&t).await.last().unwrap(), &("admin@example.com".to_owned(), "email changed"));
    admin.post("/self/reset-password", &json!({})).await.expect(200);
    assert_eq!(post(&t).await.last().unwrap(), &("admin@example.com".to_owned(), "password"));
}

/// The status of a user as an admin sees it.
async fn status_of(admin: &Person<'_>, id: i64) -> Value {
    admin.get(&format!("/api/v1/users/{id}")).await.expect(200).body["status"].clone()
}

#[tokio::test]
async fn b23_wrong_old_passwords_count_and_the_fifth_locks() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (id, fenna) = t.member("fenna").await;
    let (present, next) = (password_of("fenna"), "Copper.Kettle-77x");
    let path = "/self/update-password";
    let wrong = passwords("Wrong.Kettle-77x", next);
    for _ in 0..4 {
        fenna.post(path, &wrong).await.expect(400);
    }
    // A success sets the count to 0.
    fenna.post(path, &passwords(&present, next)).await.expect(200);
    for _ in 0..4 {
        fenna.post(path, &wrong).await.expect(400);
    }
    assert_eq!(status_of(&admin, id).await, "ACTIVE");
    fenna.post(path, &wrong).await.expect(400);
    assert_eq!(status_of(&admin, id).await, "LOCKED");
    fenna.get("/self").await.expect(401);
    assert_eq!(post(&t).await.last().unwrap(), &("fenna@example.com".to_owned(), "locked"));
    // The last ACTIVE admin is refused for a while instead.
    for _ in 0..5 {
        admin.post(path, &wrong).await.expect(400);
    }
    admin.get("/self").await.expect(200);
    let right = passwords(ADMIN_PASSWORD, next);
    assert_eq!(admin.post(path, &right).await.expect(400).faults(), ["/oldPassword wrong-password"]);
    t.try_login("admin", ADMIN_PASSWORD).await.expect(400);
    t.clock.advance(HOUR / 4);
    admin.post(path, &right).await.expect(200);
}

#[tokio::test]
async fn a3_the_response_to_self_contains_the_whole_user() {
    let t = T::start().await;
    let (_, fenna) = t.member("fenna").await;
    let own = fenna.get("/api/v1/users/self").await.expect(200).body;
    let names: Vec<&str> = own.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, NAMES);
    let response = fenna.put("/self/update", &without(&own, &["username", "groups"])).await.expect(200);
    assert_eq!(response.body, own);
}
