//! Failed logins: what they answer, when they lock, and what an address may do (B23).

use reqwest::Method;
use serde_json::json;

use tenantry_core::clock::{DAY, MINUTE};

use crate::harness::{ADMIN_PASSWORD, T, TestResponse, new_user, password_of};
use crate::logins::{SELF, cached, change, dead, fail, refused, set_status, status_of};

#[tokio::test]
async fn b23_the_fifth_failure_in_a_row_locks() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (id, fenna) = cached(&t, "fenna").await;
    fail(&t, "fenna", 4).await;
    assert_eq!(status_of(&admin, id).await, "ACTIVE");
    fenna.get(SELF).await.expect(200);
    fail(&t, "FENNA", 1).await;
    assert_eq!(status_of(&admin, id).await, "LOCKED");
    dead(&fenna.get(SELF).await);
    refused(&t.try_login("fenna", &password_of("fenna")).await);
    // Time alone does not unlock.
    t.clock.advance(DAY);
    refused(&t.try_login("fenna", &password_of("fenna")).await);
    assert_eq!(
        t.mails_to("fenna@example.com").await.last().unwrap().content,
        tenantry_mail::EmailContent::AccountLocked {
            username: String::from("fenna"),
            cause: tenantry_mail::LockCause::FailedLogins,
        }
    );
    // An admin sets ACTIVE, which also sets the count to 0.
    let admin = t.admin().await;
    set_status(&admin, id, "ACTIVE").await.expect(200);
    fail(&t, "fenna", 4).await;
    t.login("fenna", &password_of("fenna")).await;
    let events = admin.get(&format!("/api/v1/events?userId={id}&type=user.locked")).await.expect(200);
    assert_eq!(events.body["total"], 1);
    assert_eq!(
        (&events.list()[0]["actor"], &events.list()[0]["after"]),
        (&json!("system"), &json!({ "status": "LOCKED" }))
    );
}

#[tokio::test]
async fn b23_failures_at_the_same_time_are_all_counted() {
    let t = T::start().await;
    let (id, _) = t.member("fenna").await;
    let wrong = || t.try_login("fenna", "Wrong.Guess-00x");
    let responses: [TestResponse; 5] = tokio::join!(wrong(), wrong(), wrong(), wrong(), wrong()).into();
    responses.iter().for_each(refused);
    assert_eq!(status_of(&t.admin().await, id).await, "LOCKED");
}

#[tokio::test]
async fn b23_a_success_sets_the_count_to_0() {
    let t = T::start().await;
    let (id, fenna) = t.member("fenna").await;
    for _ in 0..3 {
        fail(&t, "fenna", 4).await;
        t.login("fenna", &password_of("fenna")).await;
    }
    // So does a password change.
    fail(&t, "fenna", 4).await;
    change(&fenna, &password_of("fenna"), "Other.Kettle-Zyg9w").await.expect(200);
    fail(&t, "fenna", 4).await;
    assert_eq!(status_of(&t.admin().await, id).await, "ACTIVE");
}

#[tokio::test]
async fn b23_a_wrong_old_password_counts_as_a_failed_login() {
    let t = T::start().await;
    let (id, fenna) = cached(&t, "fenna").await;
    fail(&t, "fenna", 2).await;
    for _ in 0..3 {
        let response = change(&fenna, "Wrong.Guess-00x", "Other.Kettle-Zyg9w").await.expect(400);
        assert_eq!(response.faults(), ["/oldPassword wrong-password"]);
    }
    assert_eq!(status_of(&t.admin().await, id).await, "LOCKED");
    dead(&fenna.get(SELF).await);
    // A fault of the new password alone is no failed guess.
    let (id, gert) = t.member("gert").await;
    for _ in 0..6 {
        change(&gert, &password_of("gert"), "short").await.expect(400);
    }
    assert_eq!(status_of(&t.admin().await, id).await, "ACTIVE");
}

#[tokio::test]
async fn lockout_threshold_is_how_many_failures_lock() {
    let t = T::with(|config| config.lockout_threshold = 2).await;
    let (id, _) = t.member("fenna").await;
    fail(&t, "fenna", 1).await;
    assert_eq!(status_of(&t.admin().await, id).await, "ACTIVE");
    fail(&t, "fenna", 1).await;
    assert_eq!(status_of(&t.admin().await, id).await, "LOCKED");
}

#[tokio::test]
async fn b23_every_refusal_has_the_same_bytes_and_one_argon2() {
    let t = T::start().await;
    let admin = t.admin().await;
    for (username, status) in [("ina", "INACTIVE"), ("lotte", "LOCKED")] {
        let (id, _) = t.member(username).await;
        set_status(&admin, id, status).await.expect(200);
    }
    t.member("fenna").await;
    // One who has only the fast hash of a temporary password, one whose temporary password has ended, one who
    // never had any.
    admin.create("newcomer").await;
    let temporary = t.mailed_password("newcomer").await;
    admin.create_with(&json!({
        "username": "never", "status": "INACTIVE", "firstName": "N", "lastName": "N", "email": "n@example.com",
    }))
    .await;
    let (other, other_admin) = t.other_partner("other").await;
    t.operator()
        .await
        .patch(&format!("/operator/v1/partners/{other}"), &json!({ "suspended": true }))
        .await
        .expect(200);
    dead(&other_admin.get(SELF).await);

    let cases = [
        ("fenna", "Wrong.Guess-00x"),
        ("nobody-of-this-name", "Wrong.Guess-00x"),
        ("not a username", "Wrong.Guess-00x"),
        ("ina", &password_of("ina")),
        ("ina", "Wrong.Guess-00x"),
        ("lotte", &password_of("lotte")),
        ("lotte", "Wrong.Guess-00x"),
        ("newcomer", "Wrong.Guess-00x"),
        ("never", "Wrong.Guess-00x"),
        ("other-admin", &password_of("other-admin")),
        ("other-admin", "Wrong.Guess-00x"),
    ];
    let mut headers: Option<Vec<String>> = None;
    for (username, password) in cases {
        let before = t.app.hasher.computed();
        let response = t.try_login(username, password).await;
        refused(&response);
        assert_eq!(t.app.hasher.computed() - before, 1, "{username}");
        let shape: Vec<String> = response
            .headers
            .iter()
            .filter(|(name, _)| !["x-request-id", "date"].contains(&name.as_str()))
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        assert_eq!(*headers.get_or_insert_with(|| shape.clone()), shape, "{username}");
    }
    // A success takes one, too, whichever way the password is stored.
    for (username, password) in [("fenna", password_of("fenna")), ("newcomer", temporary.clone())] {
        let before = t.app.hasher.computed();
        t.login(username, &password).await;
        assert_eq!(t.app.hasher.computed() - before, 1, "{username}");
    }
    t.clock.advance(DAY);
    let before = t.app.hasher.computed();
    refused(&t.try_login("newcomer", &temporary).await);
    assert_eq!(t.app.hasher.computed() - before, 1, "an ended temporary password");
}

#[tokio::test]
async fn b23_the_last_admin_is_refused_for_a_while_and_never_locked() {
    let t = T::start().await;
    let admin = t.admin().await;
    // Neither a member, an inactive admin nor another partner's admin counts as another admin.
    t.member("fenna").await;
    let mut inactive = new_user("ina");
    inactive["isAdmin"] = json!(true);
    inactive["status"] = json!("INACTIVE");
    admin.create_with(&inactive).await;
    t.other_partner("other").await;

    for round in 1..=2 {
        fail(&t, "admin", 4).await;
        if round == 1 {
            // Not yet: four failures refuse nobody. (A success would begin anew, so only the session is looked at.)
            assert_eq!(admin.get(SELF).await.expect(200).body["status"], "ACTIVE");
        }
        fail(&t, "admin", 1).await;
        refused(&t.try_login("admin", ADMIN_PASSWORD).await);
        // Failures meanwhile do not prolong it.
        t.clock.advance(15 * MINUTE - 1);
        fail(&t, "admin", 1).await;
        refused(&t.try_login("admin", ADMIN_PASSWORD).await);
        t.clock.advance(1);
        assert_eq!(admin.get(SELF).await.expect(200).body["status"], "ACTIVE");
    }
    t.login("admin", ADMIN_PASSWORD).await;
    // The success has begun the count anew.
    fail(&t, "admin", 4).await;
    let admin = t.login("admin", ADMIN_PASSWORD).await;
    let events = admin.get("/api/v1/events?type=user.login_refused").await.expect(200);
    assert_eq!(events.body["total"], 2);
    assert_eq!(admin.get("/api/v1/events?type=user.locked").await.expect(200).body["total"], 0);
}

#[tokio::test]
async fn b23_the_last_admins_refusal_covers_the_old_password_too() {
    let t = T::start().await;
    let admin = t.admin().await;
    for _ in 0..5 {
        change(&admin, "Wrong.Guess-00x", "Other.Kettle-Zyg9w").await.expect(400);
    }
    // Whoever holds a stolen token gets no more guesses, and a right one looks wrong.
    let response = change(&admin, ADMIN_PASSWORD, "Other.Kettle-Zyg9w").await.expect(400);
    assert_eq!(response.faults(), ["/oldPassword wrong-password"]);
    refused(&t.try_login("admin", ADMIN_PASSWORD).await);
    t.clock.advance(15 * MINUTE);
    change(&admin, ADMIN_PASSWORD, "Other.Kettle-Zyg9w").await.expect(200);
}

#[tokio::test]
async fn b23_an_admin_beside_another_is_locked() {
    let t = T::start().await;
    let admin = t.admin().await;
    let mut second = new_user("ben");
    second["isAdmin"] = json!(true);
    let ben = admin.create_with(&second).await["userId"].as_i64().unwrap();
    fail(&t, "admin", 5).await;
    dead(&admin.get(SELF).await);
    // Now ben is the last one.
    fail(&t, "ben", 5).await;
    t.clock.advance(15 * MINUTE);
    let ben_person = t.login("ben", &t.mailed_password("ben").await).await;
    change(&ben_person, &t.mailed_password("ben").await, &password_of("ben")).await.expect(200);
    assert_eq!(status_of(&ben_person, 1).await, "LOCKED");
    assert_eq!(status_of(&ben_person, ben).await, "ACTIVE");
    set_status(&ben_person, 1, "ACTIVE").await.expect(200);
    t.admin().await;
}

#[tokio::test]
async fn an_address_with_too_many_failures_waits_and_no_other() {
    let t = T::with(|config| {
        config.login_failures_per_address = 3;
        config.lockout_threshold = 100;
        config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    })
    .await;
    let from = async |address: &str, password: &str| t.try_login_from(address, "admin", password).await;
    for _ in 0..2 {
        refused(&from("192.0.2.1", "Wrong.Guess-00x").await);
    }
    // A success neither counts nor forgives.
    for _ in 0..5 {
        from("192.0.2.1", ADMIN_PASSWORD).await.expect(200);
    }
    t.clock.advance(MINUTE);
    refused(&from("192.0.2.1", "Wrong.Guess-00x").await);
    let hashes = t.app.hasher.computed();
    for password in ["Wrong.Guess-00x", ADMIN_PASSWORD] {
        let response = from("192.0.2.1", password).await.expect(429);
        assert_eq!(response.header("retry-after"), "240");
        assert_eq!(response.header("content-type"), "application/problem+json");
        assert_eq!(response.body["code"], "too-many-attempts");
    }
    assert_eq!(t.app.hasher.computed(), hashes, "a waiting address costs no argon2");
    from("192.0.2.2", ADMIN_PASSWORD).await.expect(200);
    // What the client itself put before the proxy's word is not believed.
    from("192.0.2.2, 192.0.2.1", ADMIN_PASSWORD).await.expect(429);
    from("192.0.2.1, 192.0.2.2", ADMIN_PASSWORD).await.expect(200);
    // Only logins wait.
    let refresh = [("client_id", "tenantry"), ("grant_type", "refresh_token"), ("refresh_token", "rt.1.x")];
    let request = t.anonymous().request(Method::POST, "/oauth/token").header("x-forwarded-for", "192.0.2.1");
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(refresh).finish();
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
    TestResponse::of(request.send().await.unwrap()).await.expect(400);
    t.clock.advance(4 * MINUTE);
    from("192.0.2.1", ADMIN_PASSWORD).await.expect(200);
}

/// One backend logs everybody in: its address is not that of a guesser.
#[tokio::test]
async fn logins_through_a_confidential_client_do_not_count_for_the_address() {
    let t = T::with(|config| config.login_failures_per_address = 3).await;
    let (id, _) = t.member("fenna").await;
    t.member("gert").await;
    let (robot, stranger) = (t.client(1, false).await, t.other_partner("other").await.0);
    let stranger = t.client(stranger, true).await;
    let login = async |client: &(String, String), username: &str, password: &str| {
        let form = [("grant_type", "password"), ("username", username), ("password", password)];
        t.secret(password);
        t.form_as(client, "/oauth/token", &form).await
    };
    for n in 0..10 {
        refused(&login(&robot, &format!("nobody{n}"), "Wrong.Guess-00x").await);
        // One of another partner, whose users it does not serve.
        refused(&login(&stranger, "fenna", "Wrong.Guess-00x").await);
    }
    login(&robot, "gert", &password_of("gert")).await.expect(200);
    // The same address, without a client's secret.
    t.login("gert", &password_of("gert")).await;
    // The rules of the account hold: the fifth failure locks.
    for _ in 0..4 {
        refused(&login(&robot, "fenna", "Wrong.Guess-00x").await);
    }
    let admin = t.admin().await;
    assert_eq!(status_of(&admin, id).await, "ACTIVE");
    refused(&login(&robot, "fenna", "Wrong.Guess-00x").await);
    assert_eq!(status_of(&admin, id).await, "LOCKED");
    refused(&login(&robot, "fenna", &password_of("fenna")).await);
    // Public clients count as before, and an address that waits is not told apart by a wrong secret.
    for n in 0..3 {
        refused(&t.try_login(&format!("nobody{n}"), "Wrong.Guess-00x").await);
    }
    t.try_login("gert", &password_of("gert")).await.expect(429);
    login(&(robot.0.clone(), String::from("wrong")), "gert", &password_of("gert")).await.expect(401);
    // The backend goes on, from the same address.
    login(&robot, "gert", &password_of("gert")).await.expect(200);
    refused(&login(&robot, "gert", "Wrong.Guess-00x").await);
}

#[tokio::test]
async fn forwarded_addresses_of_anybody_else_are_not_believed() {
    let t = T::with(|config| config.login_failures_per_address = 2).await;
    for n in 0..2 {
        let request = t
            .anonymous()
            .request(Method::POST, "/oauth/token")
            .header("x-forwarded-for", format!("192.0.2.{n}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body("client_id=tenantry&grant_type=password&username=nobody&password=Wrong");
        refused(&TestResponse::of(request.send().await.unwrap()).await);
    }
    t.try_login("admin", ADMIN_PASSWORD).await.expect(429);
}
