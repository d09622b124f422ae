//! The machine's clock is set back, or forward, while the server runs or between two runs: limits and delays last as
//! long as they should, what has expired stays expired, and the times of a row do not run backwards. On PostgreSQL the
//! clock that is set is the database's.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use tenantry_core::clock::{Clock, DAY, HOUR, MINUTE, Millis, SECOND};
use tenantry_domain::{authorization_requests, outbox};
use tenantry_mail::{EmailContent, Mailer, Reason, SendError};
use tenantry_worker::{deliver_due, housekeep};

use crate::databases::is_postgres;
use crate::harness::{ADMIN_PASSWORD, Person, T, TestResponse, new_user, password_of};
use crate::logins::{fail, refused};
use crate::products::{Product, claims_of, header_of};

async fn forgot(t: &T, username: &str) -> TestResponse {
    t.anonymous().post("/api/v1/users/forgot-password", &json!({ "username": username })).await
}

/// How long a refused request is told to wait, in seconds.
#[track_caller]
fn wait_of(response: &TestResponse) -> i64 {
    assert_eq!(response.status, 429, "{}", response.text);
    response.header("retry-after").parse().unwrap()
}

/// A server that starts again on the same data after the clock was set by this much.
async fn restart_after(mut t: T, by: Millis) -> T {
    t.clock = Clock::manual(t.clock.now() + by);
    t.restart().await
}

#[tokio::test]
async fn a_limit_lasts_five_minutes_though_the_clock_is_set_back() {
    for by in [-HOUR, -10 * MINUTE, -DAY] {
        let t = T::with(|config| {
            config.forgot_password_per_address = 2;
            config.login_failures_per_address = 2;
        })
        .await;
        for _ in 0..2 {
            forgot(&t, "nobody").await.expect(202);
            t.try_login("nobody", "Wrong.Guess-00x").await.expect(400);
        }
        t.clock.advance(MINUTE);
        assert_eq!(wait_of(&forgot(&t, "nobody").await), 240);
        t.clock.set_by(by);
        for response in [forgot(&t, "nobody").await, t.try_login("admin", ADMIN_PASSWORD).await] {
            let wait = wait_of(&response);
            // The database's clock tells no more than that they were before.
            assert!(if is_postgres() { wait <= 300 } else { wait == 240 }, "{wait}");
        }
        housekeep(&t.app).await.unwrap();
        t.clock.advance(if is_postgres() { 5 * MINUTE } else { 4 * MINUTE });
        forgot(&t, "nobody").await.expect(202);
        t.login("admin", ADMIN_PASSWORD).await;
    }
}

#[tokio::test]
async fn a_limit_is_not_lifted_by_a_clock_that_is_set_forward() {
    let t = T::with(|config| config.forgot_password_per_address = 1).await;
    forgot(&t, "nobody").await.expect(202);
    t.clock.set_by(DAY);
    if !is_postgres() {
        assert_eq!(wait_of(&forgot(&t, "nobody").await), 300);
        housekeep(&t.app).await.unwrap();
        assert_eq!(wait_of(&forgot(&t, "nobody").await), 300, "it is not forgotten either");
    }
    t.clock.set_by(-DAY);
    assert_eq!(wait_of(&forgot(&t, "nobody").await), 300, "a mistake leaves nothing behind");
}

#[tokio::test]
async fn limits_that_are_ahead_after_a_restart_count_as_of_now() {
    let t = T::with(|config| config.forgot_password_per_address = 2).await;
    forgot(&t, "nobody").await.expect(202);
    t.clock.advance(SECOND);
    forgot(&t, "nobody").await.expect(202);
    let t = restart_after(t, -HOUR).await;
    assert!(wait_of(&forgot(&t, "nobody").await) <= 300);
    // The worker does this when it starts, and every minute.
    assert_eq!(housekeep(&t.app).await.unwrap().times, 2);
    assert_eq!(housekeep(&t.app).await.unwrap().times, 0);
    assert!(t.log().contains("stored times were ahead of the clock"));
    assert_eq!(wait_of(&forgot(&t, "nobody").await), 300);
    t.clock.advance(5 * MINUTE);
    forgot(&t, "nobody").await.expect(202);
}

#[tokio::test]
async fn mail_that_was_put_off_does_not_wait_for_the_clock() {
    for restarts in [false, true] {
        let mut t = T::start().await;
        t.mail.fail_with(Some(SendError::temporary("451 later")));
        t.admin().await.create("ada").await;
        let deliver = async |t: &T| deliver_due(&t.app, &Mailer::Memory(t.mail.clone())).await.unwrap();
        assert_eq!(deliver(&t).await.failed, 1);
        if restarts {
            t = restart_after(t, -HOUR).await;
        } else {
            t.mail.fail_with(None);
            t.clock.set_by(-HOUR);
        }
        housekeep(&t.app).await.unwrap();
        if !is_postgres() && !restarts {
            assert_eq!(deliver(&t).await.delivered, 0, "ten seconds are ten seconds");
        }
        t.clock.advance(11 * SECOND);
        assert_eq!(deliver(&t).await.delivered, 1, "restarts: {restarts}");
    }
}

#[tokio::test]
async fn new_mail_is_sent_at_once_whatever_the_clock_says() {
    let t = T::start().await;
    for (n, by) in [-HOUR, 2 * DAY, -2 * DAY, HOUR].into_iter().enumerate() {
        t.clock.set_by(by);
        t.admin().await.create(&format!("fenna{n}")).await;
        assert_eq!(t.mails_to(&format!("fenna{n}@example.com")).await.len(), 1, "set by {by}");
    }
}

#[tokio::test]
async fn leases_end_though_the_clock_is_set_back() {
    let t = T::start().await;
    t.admin().await.create("ada").await;
    if is_postgres() {
        // Taken by a process that died.
        assert_eq!(outbox::take_due(&t.app.store, 10).await.unwrap().len(), 1);
    }
    let ahead = t.clock.now() + 30 * SECOND;
    t.run_sql(&format!("INSERT INTO large_units (pid, holder, expires_at) VALUES (1, 'dead', {ahead})"));
    t.run_sql(&format!(
        "INSERT INTO bulk_operations (pid, operation_id, actor, change, total, changed, kept, begun_at, owner, \
         lease_until) VALUES (1, 'x', 'user:1', '{{}}', 1, 0, '[]', 0, 'dead', {ahead})"
    ));
    let ends = || {
        t.ask_sql("SELECT expires_at FROM large_units UNION ALL SELECT lease_until FROM bulk_operations")
            .into_iter()
            .map(|row| row[0].parse::<Millis>().unwrap() - t.clock.read().steady)
            .collect::<Vec<_>>()
    };
    housekeep(&t.app).await.unwrap();
    assert_eq!(ends(), [30 * SECOND; 2], "what is not ahead stays");
    t.clock.set_by(-HOUR);
    housekeep(&t.app).await.unwrap();
    assert_eq!(ends(), [30 * SECOND; 2]);
    t.clock.advance(outbox::LEASE);
    assert_eq!(t.mails_to("ada@example.com").await.len(), 1);
}

/// The times of a user or group, as they are shown, in an order that must hold.
fn times(of: &Value) -> (String, String) {
    let text = |name: &str| of[name].as_str().unwrap().to_owned();
    (text("createdAt"), text("updatedAt"))
}

#[tokio::test]
async fn the_times_of_a_user_do_not_run_backwards() {
    for restarts in [false, true] {
        let mut t = T::start().await;
        let (id, _) = t.member("ada").await;
        let group = t.admin().await.create_group("Editors").await;
        t.clock.advance(MINUTE);
        let path = format!("/api/v1/users/{id}");
        t.admin().await.patch(&path, &json!({ "title": "First" })).await.expect(200);
        let mut last = t.admin().await.get(&path).await.expect(200).body;
        if restarts {
            t = restart_after(t, -HOUR).await;
        } else {
            t.clock.set_by(-HOUR);
        }
        let admin = t.admin().await;
        let member = format!("/api/v1/groups/{group}/users/{id}");
        let changes: [(Method, &str, Option<Value>); 4] = [
            (Method::PATCH, &path, Some(json!({ "title": "Second" }))),
            (Method::PUT, &member, None),
            (Method::DELETE, &member, None),
            (Method::PATCH, &path, Some(json!({ "status": "LOCKED" }))),
        ];
        for (method, at, body) in changes {
            let kind = if body.is_some() { "application/json" } else { "" };
            let body = body.map(|body| body.to_string().into_bytes());
            let response = admin.send(method, at, body, kind).await;
            assert!(response.status.is_success(), "{at}: {}", response.text);
            let now = admin.get(&path).await.expect(200).body;
            let (created, updated) = times(&now);
            assert!(updated >= created && updated >= times(&last).1, "{now} after {last}");
            assert_eq!(created, times(&last).0);
            last = now;
        }
        admin.patch(&path, &json!({ "status": "ACTIVE" })).await.expect(200);
        let person = t.login("ada", &password_of("ada")).await;
        let now = person.get("/api/v1/self").await.expect(200).body;
        assert!(now["lastLoginAt"].as_str().unwrap() >= now["createdAt"].as_str().unwrap(), "{now}");
        assert!(now["lastLoginAt"].as_str() >= last["lastLoginAt"].as_str(), "{now}");
        // Its events, in the order of their ids.
        let events = admin.get(&format!("/api/v1/events?userId={id}&type=user.updated")).await.expect(200);
        let mut at: Vec<(i64, &str)> = (events.list().iter())
            .map(|event| (event["eventId"].as_i64().unwrap(), event["time"].as_str().unwrap()))
            .collect();
        at.sort_unstable();
        assert!(at.len() >= 3 && at.is_sorted_by_key(|(_, at)| *at), "{at:?}");
        // Deleted and restored.
        admin.delete(&path).await.expect(204);
        let deleted = admin.get("/api/v1/users/deleted").await.expect(200);
        let gone = &deleted.list()[0];
        assert!(gone["deletedAt"].as_str().unwrap() >= times(gone).1.as_str(), "{gone}");
        admin.send(Method::POST, &format!("{path}/restore"), None, "").await.expect(200);
        let now = admin.get(&path).await.expect(200).body;
        assert!(times(&now).1 >= times(&last).1, "{now}");
        // Sorted by it, as its row says.
        let sorted = admin.get("/api/v1/users?sortBy=updatedAt&pageSize=100").await.expect(200);
        let all: Vec<_> = sorted.list().iter().map(|user| user["updatedAt"].as_str().unwrap()).collect();
        assert!(all.is_sorted(), "{all:?}");
    }
}

#[tokio::test]
async fn the_times_of_a_group_do_not_run_backwards() {
    let t = T::start().await;
    let admin = t.admin().await;
    let id = admin.create_group("Editors").await;
    t.clock.set_by(-HOUR);
    admin.patch(&format!("/api/v1/groups/{id}"), &json!({ "name": "Writers" })).await.expect(200);
    let row = || t.ask_sql(&format!("SELECT created_at, updated_at FROM groups WHERE group_id = {id}"));
    assert_eq!(row()[0][0], row()[0][1]);
    let body = json!([{ "objectType": "SEGMENT", "objectId": 7, "permissions": ["READ"] }]);
    let response = admin.put(&format!("/api/v1/groups/{id}/permissions"), &body).await;
    assert!(response.status.is_success(), "{}", response.text);
    assert_eq!(row()[0][0], row()[0][1]);
    t.clock.set_by(2 * HOUR);
    admin.patch(&format!("/api/v1/groups/{id}"), &json!({ "name": "Authors" })).await.expect(200);
    assert!(row()[0][0] < row()[0][1], "and they go on");
}

async fn is_logged_in(person: &Person<'_>) -> bool {
    match person.get("/api/v1/self").await.status {
        StatusCode::OK => true,
        StatusCode::UNAUTHORIZED => false,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_session_ends_when_it_should_though_the_clock_is_set_back() {
    let t = T::with(|config| {
        config.access_token_seconds = 3_600;
        config.refresh_token_seconds = 7_200;
    })
    .await;
    let form =
        |token: &str| [("grant_type", "refresh_token".to_owned()), ("refresh_token", token.to_owned())];
    let refresh = async |token: &str| {
        let pairs = form(token);
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
        t.token(&pairs).await
    };
    let login = async || {
        let response = t.try_login("admin", ADMIN_PASSWORD).await.expect(200);
        let text = |name: &str| response.body[name].as_str().unwrap().to_owned();
        assert_eq!(response.body["expires_in"], 3_600, "whatever the clock says");
        (t.bearer(&text("access_token")), text("refresh_token"))
    };
    let (before, _) = login().await;
    let (_, kept) = login().await;
    t.clock.advance(30 * MINUTE);
    t.clock.set_by(-HOUR);
    let (after, unused) = login().await;
    assert!(is_logged_in(&before).await && is_logged_in(&after).await);
    t.clock.advance(30 * MINUTE);
    assert!(!is_logged_in(&before).await, "an hour has passed");
    assert!(is_logged_in(&after).await, "half an hour has");
    // What has expired does not come back.
    t.clock.set_by(-3 * HOUR);
    assert!(!is_logged_in(&before).await);
    let listed = after.get("/api/v1/self/sessions").await.expect(200);
    assert!(!listed.list().is_empty());
    t.clock.advance(HOUR);
    refresh(&kept).await.expect(400);
    t.clock.advance(30 * MINUTE);
    refresh(&unused).await.expect(400);
    // Set forward: it counts as expired. A login goes on to work, also when the mistake is corrected.
    let (before, _) = login().await;
    t.clock.set_by(DAY);
    assert!(!is_logged_in(&before).await);
    assert!(is_logged_in(&login().await.0).await);
    t.clock.set_by(-DAY);
    assert!(is_logged_in(&login().await.0).await);
}

#[tokio::test]
async fn what_a_sign_in_gives_ends_when_it_should_though_the_clock_is_set_back() {
    let t = T::start().await;
    let shop = Product::new(&t).await;
    let mut browser = t.signed_in("admin", ADMIN_PASSWORD).await;
    let cookie = format!("tenantry={}", browser.session_cookie().unwrap());
    // A code lasts a minute.
    for (by, back, status) in [(MINUTE - SECOND, HOUR, 200), (MINUTE, HOUR, 400), (MINUTE, 2 * MINUTE, 400)] {
        let code = shop.code(&cookie, |_| {}).await;
        t.clock.advance(by);
        t.clock.set_by(-back);
        shop.exchange(&code).await.expect(status);
    }
    // The request of an application lasts an hour, the form of a page a day.
    let mut nobody = t.browser();
    let page = nobody.get("/sign-in").await.expect(200);
    let waiting = shop.authorize("", &shop.parameters()).await.returned("request");
    let path = authorization_requests::continue_path(&waiting);
    t.clock.advance(HOUR - SECOND);
    t.clock.set_by(-DAY);
    t.secret(&shop.get(&path, &cookie).await.expect(303).returned("code"));
    t.clock.advance(SECOND);
    shop.get(&path, &cookie).await.expect(400);
    t.clock.set_by(-DAY);
    shop.get(&path, &cookie).await.expect(400);
    // Twelve hours without use end the session, and it does not come back.
    browser.get("/account").await.expect(200);
    t.clock.set_by(-HOUR);
    t.clock.advance(12 * HOUR);
    browser.get("/account").await.expect_to("/sign-in");
    t.clock.set_by(-2 * DAY);
    browser.get("/account").await.expect_to("/sign-in");
    t.clock.advance(11 * HOUR);
    t.clock.set_by(-DAY);
    let form = [("username", "admin"), ("password", ADMIN_PASSWORD)];
    assert!(nobody.submit(&page, &form).await.expect(400).says("out of date"));
    // Whoever signs in now has what a sign-in gives, for as long, also when the mistake is corrected.
    for by in [0, 3 * DAY, -3 * DAY, 5 * DAY] {
        t.clock.set_by(by);
        let cookie = shop.sign_in("admin", ADMIN_PASSWORD).await;
        let tokens = shop.tokens(&cookie, "openid offline_access").await;
        shop.userinfo(tokens["access_token"].as_str().unwrap()).await.expect(200);
        let claims = claims_of(&tokens["id_token"]);
        let (iat, exp) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
        assert!(iat < exp && claims["auth_time"].as_i64().unwrap() <= iat, "{claims}");
        t.clock.advance(HOUR);
        shop.refresh(tokens["refresh_token"].as_str().unwrap()).await.expect(200);
    }
}

/// The machine was right again after a start with a wrong clock: keys that "begin later" do not keep anybody from signing in.
#[tokio::test]
async fn tokens_are_signed_after_a_start_with_an_earlier_clock() {
    let t = T::start().await;
    let shop = Product::new(&t).await;
    let client = shop.client.clone();
    let cookie = shop.sign_in("admin", ADMIN_PASSWORD).await;
    shop.tokens(&cookie, "openid").await;
    let t = restart_after(t, -2 * DAY).await;
    let shop = Product::of(&t, client);
    let cookie = shop.sign_in("admin", ADMIN_PASSWORD).await;
    let tokens = shop.tokens(&cookie, "openid").await;
    let keys = t.anonymous().get("/oauth/jwks").await.expect(200).body;
    let kid = &header_of(&tokens["id_token"])["kid"];
    assert!(keys["keys"].as_array().unwrap().iter().any(|key| key["kid"] == *kid), "{kid} is not in {keys}");
    shop.userinfo(tokens["access_token"].as_str().unwrap()).await.expect(200);
}

#[tokio::test]
async fn a_temporary_password_expires_though_the_clock_is_set_back() {
    let t = T::with(|config| config.temporary_password_seconds = 3_600).await;
    t.admin().await.create("ada").await;
    let password = t.mailed_password("ada").await;
    t.clock.advance(HOUR - SECOND);
    t.clock.set_by(-DAY);
    t.try_login("ada", &password).await.expect(200);
    t.clock.advance(2 * SECOND);
    refused(&t.try_login("ada", &password).await);
    // Nor is one mailed that has expired meanwhile.
    t.admin().await.create("bob").await;
    t.clock.advance(HOUR);
    t.clock.set_by(-HOUR);
    assert_eq!(t.mails_to("bob@example.com").await.len(), 0);
}

#[tokio::test]
async fn the_last_admin_waits_fifteen_minutes_by_any_clock() {
    let t = T::start().await;
    fail(&t, "admin", 5).await;
    refused(&t.try_login("admin", ADMIN_PASSWORD).await);
    t.clock.set_by(-HOUR);
    t.clock.advance(15 * MINUTE);
    t.login("admin", ADMIN_PASSWORD).await;
    fail(&t, "admin", 5).await;
    if !is_postgres() {
        t.clock.set_by(DAY);
        refused(&t.try_login("admin", ADMIN_PASSWORD).await);
        t.clock.advance(15 * MINUTE);
    }
    let t = restart_after(t, -2 * DAY).await;
    t.login("admin", ADMIN_PASSWORD).await;
}

#[tokio::test]
async fn a_forgotten_password_is_mailed_again_though_the_clock_is_set_back() {
    let t = T::start().await;
    t.member("fenna").await;
    let mailed = async || {
        tenantry_worker::issue_requested(&t.app).await.unwrap();
        let is_requested = |what: &EmailContent| {
            matches!(what, EmailContent::TemporaryPassword { reason: Reason::Forgotten, .. })
        };
        t.mails_to("fenna@example.com").await.iter().filter(|mail| is_requested(&mail.content)).count()
    };
    forgot(&t, "fenna").await.expect(202);
    assert_eq!(mailed().await, 1);
    t.clock.set_by(-HOUR);
    t.clock.advance(10 * MINUTE);
    forgot(&t, "fenna").await.expect(202);
    assert_eq!(mailed().await, 2, "not only in an hour");
}

#[tokio::test]
async fn a_response_is_stored_for_a_day_by_any_clock() {
    let t = T::start().await;
    let admin = t.admin().await;
    let create = async |person: &Person<'_>| {
        let request = person.request(Method::POST, "/api/v1/users").header("idempotency-key", "k-1");
        TestResponse::of(request.json(&new_user("ada")).send().await.unwrap()).await
    };
    let first = create(&admin).await.expect(201);
    t.clock.set_by(-HOUR);
    housekeep(&t.app).await.unwrap();
    assert_eq!(create(&admin).await.expect(201).body, first.body, "replayed");
    if !is_postgres() {
        t.clock.set_by(2 * DAY);
        housekeep(&t.app).await.unwrap();
        assert_eq!(create(&t.admin().await).await.expect(201).body, first.body, "not forgotten either");
        t.clock.set_by(-2 * DAY);
    }
    t.clock.advance(DAY + SECOND);
    let again = create(&t.admin().await).await.expect(409);
    assert_eq!(again.body["code"], "username-taken", "{}", again.text);
}
