//! `email_verified`: only what was proven, and only of the address that it was proven of.

use serde_json::{Value, json};

use tenantry_core::clock::DAY;
use tenantry_core::model::{PartnerId, UserId};
use tenantry_domain::{unit, users};
use tenantry_store::access::{Within, system_within};
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::email_verifications;

use crate::fixtures::with;
use crate::harness::{Person, T, new_user, password_of};

/// Whether the address of a user of partner 1 counts as proven.
pub async fn is_verified(t: &T, user_id: i64) -> bool {
    t.app
        .store
        .read(&system_within(PartnerId(1)), move |tx| users::email_verified(tx, UserId(user_id)))
        .await
        .unwrap()
}

/// Sets a permanent password with a temporary one.
async fn use_password(t: &T, username: &str, temporary: &str) {
    t.secret(temporary);
    let person = t.login(username, temporary).await;
    let body = json!({ "oldPassword": temporary, "newPassword": password_of(username) });
    t.secret(&password_of(username));
    person.post("/api/v1/users/self/update-password", &body).await.expect(200);
}

async fn id_of(person: &Person<'_>) -> i64 {
    person.get("/api/v1/users/self").await.expect(200).body["userId"].as_i64().unwrap()
}

#[tokio::test]
async fn a_used_password_proves_the_address_it_was_mailed_to() {
    let t = T::start().await;
    let admin = t.admin().await;
    let id = admin.create("fenna").await["userId"].as_i64().unwrap();
    assert!(!is_verified(&t, id).await, "an address that somebody typed");
    let password = t.mailed_password("fenna").await;
    assert!(!is_verified(&t, id).await, "a mail that was sent");
    t.try_login("fenna", "Wrong.Guess-00x").await.expect(400);
    assert!(!is_verified(&t, id).await, "a wrong password");
    use_password(&t, "fenna", &password).await;
    assert!(is_verified(&t, id).await);
    // The first admin's password was never mailed.
    assert!(!is_verified(&t, id_of(&admin).await).await);
}

#[tokio::test]
async fn the_api_does_not_show_it() {
    let t = T::start().await;
    let (id, fenna) = t.member("fenna").await;
    assert!(is_verified(&t, id).await);
    let text = fenna.get("/api/v1/users/self").await.expect(200).text.to_lowercase();
    assert!(!text.contains("verified"), "{text}");
    let exported =
        t.admin().await.get("/api/v1/users/export?format=csv").await.expect(200).text.to_lowercase();
    assert!(!exported.contains("verified"), "{exported}");
}

#[tokio::test]
async fn every_change_of_the_address_takes_it_back() {
    let t = T::start().await;
    let (id, fenna) = t.member("fenna").await;
    let admin = t.admin().await;
    let path = format!("/api/v1/users/{id}");
    let verify = async |email: &str| {
        let email = email.to_owned();
        let set = move |tx: &mut Tx<'_, Within>| email_verifications::set_verified(tx, UserId(id), &email);
        unit::write(&t.app.store, &system_within(PartnerId(1)), set).await.unwrap();
    };
    let mut before = String::from("fenna@example.com");
    let whole = |email: &str| with(&new_user("fenna"), json!({ "email": email }));
    let selves = |email: &str| {
        let mut body = whole(email);
        body.as_object_mut().unwrap().remove("username");
        body
    };
    let row = |email: &str| whole(email).to_string();
    for (n, way) in ["put", "patch", "self put", "self patch", "bulk patch", "import"].iter().enumerate() {
        let email = format!("fenna{n}@example.com");
        verify(&before).await;
        assert!(is_verified(&t, id).await, "{way}");
        let answer = match *way {
            "put" => admin.put(&path, &whole(&email)).await,
            "patch" => admin.patch(&path, &json!({ "email": email })).await,
            "self put" => fenna.put("/self/update", &selves(&email)).await,
            "self patch" => fenna.patch("/api/v1/users/self", &json!({ "email": email })).await,
            "bulk patch" => {
                let body = json!({ "ids": [id], "patch": { "email": email } });
                admin.patch("/api/v1/users/bulk", &body).await
            }
            _ => {
                let rows = row(&email).into_bytes();
                let path = "/api/v1/users/import?existing=update";
                admin.send(reqwest::Method::POST, path, Some(rows), "application/x-ndjson").await
            }
        };
        answer.expect(200);
        let shown = admin.get(&path).await.body;
        assert_eq!(shown["email"], json!(email), "{way}");
        assert!(!is_verified(&t, id).await, "{way}");
        before = email;
    }
    // Having had it before proves nothing.
    verify("fenna5@example.com").await;
    for email in ["other@example.com", "fenna5@example.com"] {
        admin.patch(&path, &json!({ "email": email })).await.expect(200);
    }
    assert!(!is_verified(&t, id).await);
    // Other changes, and the same address again, leave it.
    verify("fenna5@example.com").await;
    admin.patch(&path, &json!({ "email": "fenna5@example.com", "title": "Dr." })).await.expect(200);
    admin.put(&path, &whole("fenna5@example.com")).await.expect(200);
    assert!(is_verified(&t, id).await);
    // A server that does not know the column changes the address alone.
    t.run_sql(&format!("UPDATE users SET email = 'fenna9@example.com' WHERE user_id = {id}"));
    admin.patch(&path, &json!({ "title": "Prof." })).await.expect(200);
    assert!(!is_verified(&t, id).await);
}

#[tokio::test]
async fn a_password_mailed_elsewhere_proves_nothing() {
    let t = T::start().await;
    let admin = t.admin().await;
    // Mailed to an address that was changed before the password was used.
    let id = admin.create("fenna").await["userId"].as_i64().unwrap();
    let password = t.mailed_password("fenna").await;
    admin.patch(&format!("/api/v1/users/{id}"), &json!({ "email": "new@example.com" })).await.expect(200);
    use_password(&t, "fenna", &password).await;
    assert!(!is_verified(&t, id).await);
    // Mailed to the old address, since the user has just changed it (B25).
    let (id, ina) = t.member("ina").await;
    ina.patch("/api/v1/users/self", &json!({ "email": "thief@example.com" })).await.expect(200);
    t.anonymous().post("/api/v1/users/forgot-password", &json!({ "username": "ina" })).await.expect(202);
    let password = t.mailed_password("ina").await;
    let person = t.login("ina", &password).await;
    assert!(!is_verified(&t, id).await);
    person.get("/api/v1/users/self").await.expect(200);
    // After the hold it goes to the new one.
    t.clock.advance(2 * DAY);
    t.anonymous().post("/api/v1/users/forgot-password", &json!({ "username": "ina" })).await.expect(202);
    let password = t.mailed_password("ina").await;
    t.login("ina", &password).await;
    assert!(is_verified(&t, id).await);
}

#[tokio::test]
async fn a_password_shown_to_an_operator_verifies_no_address() {
    let t = T::start().await;
    let (pid, _) = t.other_partner("acme").await;
    let verified =
        t.ask_sql(&format!("SELECT count(*) FROM users WHERE pid = {pid} AND verified_email IS NOT NULL"));
    assert_eq!(verified, [["0"]]);
}

#[tokio::test]
async fn it_survives_a_deletion_that_is_taken_back() {
    let t = T::start().await;
    let (id, _) = t.member("fenna").await;
    let (other, _) = t.member("ina").await;
    let admin = t.admin().await;
    admin.patch(&format!("/api/v1/users/{other}"), &json!({ "email": "new@example.com" })).await.expect(200);
    for (id, was_verified) in [(id, true), (other, false)] {
        admin.delete(&format!("/api/v1/users/{id}")).await.expect(204);
        assert!(!is_verified(&t, id).await);
        admin.post(&format!("/api/v1/users/{id}/restore"), &Value::Null).await.expect(200);
        assert_eq!(is_verified(&t, id).await, was_verified);
    }
    // A temporary password that was deleted with its user still proves the address that it was mailed to.
    let id = admin.create("late").await["userId"].as_i64().unwrap();
    let password = t.mailed_password("late").await;
    admin.delete(&format!("/api/v1/users/{id}")).await.expect(204);
    admin.post(&format!("/api/v1/users/{id}/restore"), &Value::Null).await.expect(200);
    use_password(&t, "late", &password).await;
    assert!(is_verified(&t, id).await);
}
