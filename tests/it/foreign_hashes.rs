//! Passwords that came with their users from another system.

use serde_json::json;

use crate::harness::{T, new_user, password_of};

/// `Old.Tea-Pot-71`, as other systems wrote it down.
pub const OLD: &str = "Old.Tea-Pot-71";
pub const BCRYPT: &str = "$2b$05$abcdefghijklmnopqrstuuKNj3B0UBWGwSQWggCU91.xLxJdl9ZBe";
pub const SSHA: &str = "{SSHA}nq9U8mmaO/WxGYfpN7Z8Ufqei/FzYWx0c2FsdA==";

/// A user whose permanent password is stored so.
async fn user_with(t: &T, name: &str, hash: &str) -> i64 {
    let id = t.admin().await.create_with(&new_user(name)).await["userId"].as_i64().unwrap();
    t.run_sql(&format!(
        "UPDATE passwords SET hash = '{hash}', temporary = 0, expires_at = 0 WHERE user_id = {id}"
    ));
    id
}

fn stored(t: &T, id: i64) -> Vec<Vec<String>> {
    t.ask_sql(&format!("SELECT hash, temporary, present FROM passwords WHERE user_id = {id}"))
}

#[tokio::test]
async fn a_login_rehashes_the_password_invisibly() {
    let t = T::start().await;
    t.secret(OLD);
    for (name, hash) in [("bea", BCRYPT), ("sofia", SSHA)] {
        let id = user_with(&t, name, hash).await;
        let events = t.admin().await.events().await.len();
        t.try_login(name, "Old.Tea-Pot-72").await.expect(400);
        assert_eq!(stored(&t, id)[0][0], hash, "a wrong password changes nothing");
        let person = t.login(name, OLD).await;
        person.get("/api/v1/self").await.expect(200);
        let now = stored(&t, id);
        assert_eq!(now.len(), 1, "it is the same password");
        assert!(now[0][0].starts_with("$argon2id$v=19$"), "{}", now[0][0]);
        assert_eq!(now[0][1..], ["0", "1"], "it stays permanent");
        t.login(name, OLD).await;
        assert_eq!(stored(&t, id), now, "once is enough");
        let more: Vec<_> =
            t.admin().await.events().await.split_off(events).iter().map(|e| e["type"].clone()).collect();
        assert!(more.iter().all(|kind| kind == "session.started"), "{more:?}");
        assert!(t.mails_to(&format!("{name}@example.com")).await.len() == 1, "only the first, of the create");
        // It is in the history like any other.
        let change = async |old: &str, new: &str| {
            person.post("/self/update-password", &json!({ "oldPassword": old, "newPassword": new })).await
        };
        change(OLD, &password_of(name)).await.expect(200);
        assert_eq!(change(&password_of(name), OLD).await.expect(400).faults(), ["/newPassword used-before"]);
    }
}

#[tokio::test]
async fn a_password_from_elsewhere_can_be_changed_and_expires_like_any_other() {
    let t = T::with(|config| config.password_expiry_days = 30).await;
    t.secret(OLD);
    let id = user_with(&t, "bea", BCRYPT).await;
    let bea = t.login("bea", OLD).await;
    // As it came, again: changing it compares with it, and keeps it in the history.
    t.run_sql(&format!("UPDATE passwords SET hash = '{BCRYPT}' WHERE user_id = {id}"));
    let change = json!({ "oldPassword": OLD, "newPassword": OLD });
    assert_eq!(
        bea.post("/self/update-password", &change).await.expect(400).faults(),
        ["/newPassword used-before"]
    );
    t.clock.advance(31 * tenantry_core::clock::DAY);
    let form = [("grant_type", "password"), ("username", "bea"), ("password", OLD)];
    let overdue = t.token(&form).await.expect(200).body;
    assert_eq!(overdue["passwordChangeRequired"], true);
    assert!(stored(&t, id)[0][0].starts_with("$argon2id$"));
    let after = t.bearer(overdue["access_token"].as_str().unwrap());
    let change = json!({ "oldPassword": OLD, "newPassword": password_of("bea") });
    after.post("/self/update-password", &change).await.expect(200);
    t.login("bea", &password_of("bea")).await;
}

#[tokio::test]
async fn a_user_without_login_keeps_the_imported_hash() {
    let t = T::start().await;
    t.secret(OLD);
    let id = user_with(&t, "bea", SSHA).await;
    t.admin().await.patch(&format!("/api/v1/users/{id}"), &json!({ "status": "LOCKED" })).await.expect(200);
    let locked = t.try_login("bea", OLD).await.expect(400);
    let unknown = t.try_login("nobody", OLD).await.expect(400);
    assert_eq!(locked.text, unknown.text);
    assert_eq!(stored(&t, id)[0][0], SSHA);
}
