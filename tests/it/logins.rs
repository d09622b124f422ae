//! Logging in: the password grant, what failures do (B23), sessions opened with a temporary or expired password
//! (B22), and what ends a session at once.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use tenantry_core::clock::{DAY, HOUR, MINUTE, SECOND};
use tenantry_core::model::PartnerId;
use tenantry_domain::{client_changes, unit};
use tenantry_store::access::Operator;

use crate::harness::{ADMIN_PASSWORD, Person, T, TestResponse, new_user, password_of};

pub const SELF: &str = "/api/v1/users/self";
pub const CHANGE: &str = "/api/v1/users/self/update-password";
pub const RESET: &str = "/api/v1/users/self/reset-password";

/// What every refused login answers, byte for byte (B23).
pub const REFUSED: &str = r#"{"error":"invalid_grant","error_description":"wrong username or password"}"#;

pub async fn fail(t: &T, username: &str, times: usize) {
    for _ in 0..times {
        refused(&t.try_login(username, "Wrong.Guess-00x").await);
    }
}

#[track_caller]
pub fn refused(response: &TestResponse) {
    assert_eq!((response.status, response.text.as_str()), (StatusCode::BAD_REQUEST, REFUSED));
}

#[track_caller]
pub fn dead(response: &TestResponse) {
    assert_eq!(response.status, 401, "{}", response.text);
    assert_eq!(
        response.header("www-authenticate"),
        r#"Bearer realm="oauth", error="invalid_token", error_description="Invalid access token""#
    );
}

/// A member whose token has been used, so that the server knows its bearer by heart.
pub async fn cached<'t>(t: &'t T, username: &str) -> (i64, Person<'t>) {
    let (id, person) = t.member(username).await;
    person.get(SELF).await.expect(200);
    (id, person)
}

pub async fn status_of(admin: &Person<'_>, id: i64) -> String {
    let user = admin.get(&format!("/api/v1/users/{id}")).await.expect(200);
    user.body["status"].as_str().unwrap().to_owned()
}

pub async fn set_status(admin: &Person<'_>, id: i64, status: &str) -> TestResponse {
    let path = format!("/api/v1/users/{id}");
    let mut user = admin.get(&path).await.expect(200).body;
    user["status"] = json!(status);
    admin.put(&path, &user).await
}

pub async fn change(person: &Person<'_>, old: &str, new: &str) -> TestResponse {
    person.post(CHANGE, &json!({ "oldPassword": old, "newPassword": new })).await
}

#[tokio::test]
async fn a_login_returns_tokens() {
    let t = T::start().await;
    let response = t.try_login("ADMIN", ADMIN_PASSWORD).await.expect(200);
    assert_eq!(response.header("cache-control"), "no-store");
    assert_eq!(response.header("pragma"), "no-cache");
    assert_eq!(response.header("content-type"), "application/json");
    let names: Vec<_> = response.body.as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["access_token", "token_type", "refresh_token", "expires_in", "scope"]);
    assert_eq!(
        (&response.body["token_type"], &response.body["expires_in"], &response.body["scope"]),
        (&json!("bearer"), &json!(21_600), &json!("read write"))
    );
    let admin = t.bearer(response.body["access_token"].as_str().unwrap());
    assert_eq!(admin.get(SELF).await.expect(200).body["lastLoginAt"], "2026-11-23T09:00:00.000Z");
}

/// The keyboard of a phone adds a space behind a word, the clipboard what stood around it.
#[tokio::test]
async fn white_space_around_the_username_is_ignored_and_around_the_password_is_not() {
    let t = T::start().await;
    t.member("ada@example.com").await;
    let password = password_of("ada@example.com");
    for username in [
        "ada@example.com ",
        " ada@example.com",
        "\t Ada@Example.com \r\n",
        "ada@example.com\u{a0}",
        "\u{3000}ada@example.com\u{3000}",
        "\u{202f}ada@example.com\u{2003}",
        "\u{feff}ada@example.com\u{200b}",
    ] {
        t.try_login(username, &password).await.expect(200);
    }
    // Space within is another name, and nothing but space is none.
    for username in ["ada @example.com", "ada@ example.com", " ", "\u{a0}"] {
        refused(&t.try_login(username, &password).await);
    }
    for space in [" ", "\u{a0}", "\n"] {
        refused(&t.try_login("ada@example.com", &format!("{password}{space}")).await);
        t.try_login("ada@example.com ", &password).await.expect(200);
        refused(&t.try_login("ada@example.com", &format!("{space}{password}")).await);
        t.try_login("ada@example.com", &password).await.expect(200);
    }
}

#[tokio::test]
async fn b12_no_token_a_bad_token_and_another_scheme() {
    let t = T::start().await;
    let nobody = t.anonymous();
    assert_eq!(nobody.get(SELF).await.expect(401).header("www-authenticate"), r#"Bearer realm="oauth""#);
    for token in [
        "x", "at.1.x", "at_1_x", "at_999_x", "at_1.x", "at.1_x", "rt_1_x", "op_x", "op.x", "at_1", "at__x",
        "",
    ] {
        dead(&t.bearer(token).get(SELF).await);
    }
    let basic = nobody.request(Method::GET, SELF).basic_auth("admin", Some(ADMIN_PASSWORD));
    let response = TestResponse::of(basic.send().await.unwrap()).await.expect(401);
    assert_eq!(response.header("www-authenticate"), r#"Bearer realm="oauth""#);
    // Some clients of the hosted API always send one.
    let admin = t.admin().await;
    let with_key = admin.request(Method::GET, SELF).header("x-api-key", "whatever");
    TestResponse::of(with_key.send().await.unwrap()).await.expect(200);
}

#[tokio::test]
async fn b12_an_expired_token_says_so_and_does_not_say_itself() {
    let t = T::start().await;
    let (_, fenna) = cached(&t, "fenna").await;
    t.clock.advance(6 * HOUR - 1);
    fenna.get(SELF).await.expect(200);
    t.clock.advance(1);
    let response = fenna.get(SELF).await.expect(401);
    let challenge = response.header("www-authenticate");
    assert!(
        challenge.starts_with(
            r#"Bearer realm="oauth", error="invalid_token", error_description="Access token expired: "#
        ),
        "{challenge}"
    );
    let token = fenna.token.clone().unwrap();
    assert!(!challenge.contains(&token) && !response.text.contains(&token));
    // Not from memory only: a server that never saw the token says the same.
    let t = t.restart().await;
    let again = t.bearer(&token).get(SELF).await.expect(401);
    assert_eq!(again.header("www-authenticate"), challenge);
}

#[tokio::test]
async fn access_token_seconds_is_how_long_they_live() {
    let t = T::with(|config| config.access_token_seconds = 90).await;
    let response = t.try_login("admin", ADMIN_PASSWORD).await.expect(200);
    assert_eq!(response.body["expires_in"], 90);
    let admin = t.bearer(response.body["access_token"].as_str().unwrap());
    t.clock.advance(90 * SECOND - 1);
    admin.get(SELF).await.expect(200);
    t.clock.advance(1);
    admin.get(SELF).await.expect(401);
}

#[tokio::test]
async fn b22_a_temporary_password_opens_a_session_that_may_only_change_it() {
    let t = T::start().await;
    let admin = t.admin().await;
    let mut body = new_user("ben");
    body["isAdmin"] = json!(true);
    admin.create_with(&body).await;
    let temporary = t.mailed_password("ben").await;
    let response = t.try_login("ben", &temporary).await.expect(200);
    assert_eq!(response.body["passwordChangeRequired"], true);
    assert_eq!(response.body.get("refresh_token"), None);
    let ben = t.bearer(response.body["access_token"].as_str().unwrap());

    let own = ben.get(SELF).await.expect(200).body;
    assert_eq!(own["username"], "ben");
    for (method, path, body) in [
        (Method::GET, "/api/v1/users", None),
        (Method::GET, "/api/v1/users/1", None),
        (Method::POST, "/api/v1/users", Some(new_user("late"))),
        (Method::DELETE, "/api/v1/users/1", None),
        (Method::PUT, "/api/v1/users/self/update", Some(own.clone())),
        (Method::POST, RESET, None),
        (Method::PUT, RESET, None),
        (Method::POST, "/api/v1/users/1/reset-password", None),
        (Method::GET, "/api/v1/groups", None),
        (Method::GET, "/api/v1/events", None),
    ] {
        let kind = if body.is_some() { "application/json" } else { "" };
        let response = ben.send(method.clone(), path, body.map(|b| b.to_string().into_bytes()), kind).await;
        assert_eq!(
            (response.status.as_u16(), &response.body["code"]),
            (403, &json!("password-change-required")),
            "{method} {path}"
        );
    }
    // A4 makes it an ordinary session, at once and with the same token.
    change(&ben, &temporary, &password_of("ben")).await.expect(200);
    ben.get("/api/v1/users").await.expect(200);
    refused(&t.try_login("ben", &temporary).await);
    let response = t.try_login("ben", &password_of("ben")).await.expect(200);
    assert_eq!(response.body.get("passwordChangeRequired"), None);
    assert!(response.body["refresh_token"].is_string());
}

#[tokio::test]
async fn b22_such_a_session_may_be_revoked() {
    let t = T::start().await;
    t.admin().await.create("fenna").await;
    let fenna = t.login("fenna", &t.mailed_password("fenna").await).await;
    fenna.get(SELF).await.expect(200);
    let token = fenna.token.clone().unwrap();
    t.anonymous().form("/oauth/revoke", &[("client_id", "tenantry"), ("token", &token)]).await.expect(200);
    dead(&fenna.get(SELF).await);
}

#[tokio::test]
async fn b22_such_a_token_ends_with_the_temporary_password() {
    let t = T::start().await;
    t.admin().await.create("fenna").await;
    let temporary = t.mailed_password("fenna").await;
    t.clock.advance(24 * HOUR - 10 * SECOND);
    let response = t.try_login("fenna", &temporary).await.expect(200);
    assert_eq!(response.body["expires_in"], 10);
    let fenna = t.bearer(response.body["access_token"].as_str().unwrap());
    t.clock.advance(10 * SECOND - 1);
    fenna.get(SELF).await.expect(200);
    t.clock.advance(1);
    fenna.get(SELF).await.expect(401);
    change(&fenna, &temporary, &password_of("fenna")).await.expect(401);
    refused(&t.try_login("fenna", &temporary).await);
}

#[tokio::test]
async fn temporary_password_seconds_is_how_long_they_live() {
    let t = T::with(|config| config.temporary_password_seconds = 60).await;
    t.admin().await.create("fenna").await;
    let temporary = t.mailed_password("fenna").await;
    t.clock.advance(MINUTE);
    refused(&t.try_login("fenna", &temporary).await);
}

#[tokio::test]
async fn b22_only_the_newest_temporary_password_is_good() {
    let t = T::start().await;
    let admin = t.admin().await;
    let id = admin.create("fenna").await["userId"].clone();
    let first = t.mailed_password("fenna").await;
    let opened_with_first = t.login("fenna", &first).await;
    admin.post(&format!("/api/v1/users/{id}/reset-password"), &Value::Null).await.expect(200);
    let second = t.mailed_password("fenna").await;
    assert_ne!(first, second);
    refused(&t.try_login("fenna", &first).await);
    dead(&opened_with_first.get(SELF).await);
    let fenna = t.login("fenna", &second).await;
    change(&fenna, &first, &password_of("fenna")).await.expect(400);
    change(&fenna, &second, &password_of("fenna")).await.expect(200);
}

#[tokio::test]
async fn b20_a_reset_by_an_admin_ends_everything_old() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (id, fenna) = cached(&t, "fenna").await;
    let path = format!("/api/v1/users/{id}/reset-password");
    let response = admin.post(&path, &Value::Null).await.expect(200);
    assert_eq!(response.body, json!({}));
    dead(&fenna.get(SELF).await);
    refused(&t.try_login("fenna", &password_of("fenna")).await);
    t.login("fenna", &t.mailed_password("fenna").await).await;
    for status in ["INACTIVE", "LOCKED"] {
        set_status(&admin, id, status).await.expect(200);
        let response = admin.post(&path, &Value::Null).await.expect(400);
        assert_eq!(response.faults(), ["/status not-active"]);
    }
}

#[tokio::test]
async fn a5_resetting_the_own_password_ends_the_current_session() {
    let t = T::start().await;
    for (username, method) in [("fenna", Method::POST), ("gert", Method::PUT)] {
        let (_, person) = cached(&t, username).await;
        let other = t.login(username, &password_of(username)).await;
        other.get(SELF).await.expect(200);
        // B21: a body is ignored, whatever it is.
        let response = person.send(method, RESET, Some(b"<nonsense>".to_vec()), "text/xml").await.expect(200);
        assert_eq!(response.body, json!({}));
        dead(&person.get(SELF).await);
        dead(&other.get(SELF).await);
        refused(&t.try_login(username, &password_of(username)).await);
        let person = t.login(username, &t.mailed_password(username).await).await;
        let response = person.get("/api/v1/users/self/update").await;
        assert_eq!(response.status, 405, "only PUT is there");
    }
}

#[tokio::test]
async fn statuses_decide_who_may_log_in() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (id, _) = t.member("fenna").await;
    for status in ["INACTIVE", "LOCKED"] {
        let fenna = t.login("fenna", &password_of("fenna")).await;
        fenna.get(SELF).await.expect(200);
        set_status(&admin, id, status).await.expect(200);
        dead(&fenna.get(SELF).await);
        refused(&t.try_login("fenna", &password_of("fenna")).await);
        set_status(&admin, id, "ACTIVE").await.expect(200);
        // What ended stays ended.
        dead(&fenna.get(SELF).await);
        t.login("fenna", &password_of("fenna")).await;
    }
}

#[tokio::test]
async fn a_deleted_user_loses_access_at_once() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (id, fenna) = cached(&t, "fenna").await;
    admin.delete(&format!("/api/v1/users/{id}")).await.expect(204);
    dead(&fenna.get(SELF).await);
    refused(&t.try_login("fenna", &password_of("fenna")).await);
    let (id, gert) = cached(&t, "gert").await;
    admin.post("/api/v1/users/bulk-delete", &json!([id])).await.expect(204);
    dead(&gert.get(SELF).await);
}

/// Sends a request but for its body. The server asks for that once it has admitted the caller.
async fn admitted(t: &T, person: &Person<'_>, head: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(t.address).await.unwrap();
    let (token, length) = (person.token.as_deref().unwrap(), body.len());
    let head = format!(
        "{head} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\nexpect: 100-continue\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut response = [0; 25];
    stream.read_exact(&mut response).await.unwrap();
    assert_eq!(&response, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

/// Sends the body and tells the status.
async fn complete(mut stream: TcpStream, body: &str) -> String {
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response.get(9..12).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_request_with_a_late_body_is_rechecked() {
    let t = T::start().await;
    let admin = t.admin().await;
    let operator = t.operator().await;
    let self_update =
        json!({ "status": "ACTIVE", "firstName": "Late", "lastName": "Late", "email": "late@example.com" })
            .to_string();
    for (what, expected) in
        [("nothing", "200"), ("lock", "401"), ("deactivation", "401"), ("deletion", "404"), ("logout", "401")]
    {
        let (id, person) = cached(&t, what).await;
        let stream = admitted(&t, &person, "PUT /api/v1/users/self/update", &self_update).await;
        match what {
            "lock" => drop(set_status(&admin, id, "LOCKED").await.expect(200)),
            "deactivation" => drop(set_status(&admin, id, "INACTIVE").await.expect(200)),
            "deletion" => drop(admin.delete(&format!("/api/v1/users/{id}")).await.expect(204)),
            "logout" => {
                let form = [("client_id", "tenantry"), ("token", person.token.as_deref().unwrap())];
                t.anonymous().form("/oauth/revoke", &form).await.expect(200);
            }
            _ => {}
        }
        assert_eq!(complete(stream, &self_update).await, expected, "{what}");
    }
    assert_eq!(admin.get("/api/v1/users?search=late@example.com&page=0").await.expect(200).body["total"], 1);

    // An admin who is none any more, and one whose partner is suspended.
    let late = new_user("late").to_string();
    let (id, person) = t.member("ben").await;
    let path = format!("/api/v1/users/{id}");
    for (is_admin, expected) in [(true, None), (false, Some("403"))] {
        let stream =
            if is_admin { None } else { Some(admitted(&t, &person, "POST /api/v1/users", &late).await) };
        let mut user = admin.get(&path).await.expect(200).body;
        user["isAdmin"] = json!(is_admin);
        admin.put(&path, &user).await.expect(200);
        if let Some(stream) = stream {
            assert_eq!(Some(complete(stream, &late).await.as_str()), expected);
        }
    }
    let (pid, olga) = t.other_partner("other").await;
    let stream = admitted(&t, &olga, "POST /api/v1/users", &late).await;
    operator.patch(&format!("/operator/v1/partners/{pid}"), &json!({ "suspended": true })).await.expect(200);
    assert_eq!(complete(stream, &late).await, "401");
    // And a technical account whose client is revoked.
    let robot = t.client(1, true).await;
    let account = t.technical_account(&robot).await;
    let stream = admitted(&t, &account, "POST /api/v1/users", &late).await;
    let (by, id) = (Operator::of_this_machine(), robot.0.clone());
    unit::write(&t.app.store, &by.as_admin_of(PartnerId(1)), move |tx| client_changes::revoke(tx, &id))
        .await
        .unwrap();
    assert_eq!(complete(stream, &late).await, "401");
    admin.create("late").await;
}

#[tokio::test]
async fn a_demoted_admin_loses_the_right_at_the_next_request() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (id, fenna) = cached(&t, "fenna").await;
    let path = format!("/api/v1/users/{id}");
    fenna.get("/api/v1/users").await.expect(403);
    for (is_admin, status) in [(true, 200), (false, 403)] {
        let mut user = admin.get(&path).await.expect(200).body;
        user["isAdmin"] = json!(is_admin);
        admin.put(&path, &user).await.expect(200);
        fenna.get("/api/v1/users").await.expect(status);
    }
}

#[tokio::test]
async fn b21_a_password_change_ends_every_other_session() {
    let t = T::start().await;
    let (_, fenna) = cached(&t, "fenna").await;
    let response = t.try_login("fenna", &password_of("fenna")).await.expect(200);
    let other = t.bearer(response.body["access_token"].as_str().unwrap());
    let refresh_token = response.body["refresh_token"].as_str().unwrap();
    other.get(SELF).await.expect(200);
    let response = change(&fenna, &password_of("fenna"), "Other.Kettle-Zyg9w").await.expect(200);
    assert_eq!(response.body, json!({}));
    fenna.get(SELF).await.expect(200);
    dead(&other.get(SELF).await);
    let response =
        t.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]).await.expect(400);
    assert_eq!(response.body["error"], "invalid_grant");
}

#[tokio::test]
async fn an_expired_password_must_be_changed_first() {
    let t = T::with(|config| config.password_expiry_days = 30).await;
    let (_, fenna) = t.member("fenna").await;
    t.clock.advance(30 * DAY - 1);
    let response = t.try_login("fenna", &password_of("fenna")).await.expect(200);
    assert_eq!(response.body.get("passwordChangeRequired"), None);
    let refresh_token = response.body["refresh_token"].as_str().unwrap().to_owned();
    t.clock.advance(1);
    // Refreshing does not put it off.
    let response =
        t.token(&[("grant_type", "refresh_token"), ("refresh_token", &refresh_token)]).await.expect(400);
    assert_eq!(response.body["error"], "invalid_grant");
    let response = t.try_login("fenna", &password_of("fenna")).await.expect(200);
    assert_eq!(
        (&response.body["passwordChangeRequired"], response.body.get("refresh_token")),
        (&json!(true), None)
    );
    assert_eq!(response.body["expires_in"], 21_600);
    drop(fenna);
    let fenna = t.bearer(response.body["access_token"].as_str().unwrap());
    assert_eq!(fenna.post(RESET, &json!({})).await.expect(403).body["code"], "password-change-required");
    // It is still in the history.
    let response = change(&fenna, &password_of("fenna"), &password_of("fenna")).await.expect(400);
    assert_eq!(response.faults(), ["/newPassword used-before"]);
    change(&fenna, &password_of("fenna"), "Other.Kettle-Zyg9w").await.expect(200);
    let response = t.try_login("fenna", "Other.Kettle-Zyg9w").await.expect(200);
    assert_eq!(response.body.get("passwordChangeRequired"), None);
}

#[tokio::test]
async fn without_the_option_a_password_never_expires() {
    let t = T::start().await;
    t.member("fenna").await;
    t.clock.advance(3_650 * DAY);
    let response = t.try_login("fenna", &password_of("fenna")).await.expect(200);
    assert_eq!(response.body.get("passwordChangeRequired"), None);
}

#[tokio::test]
async fn sessions_survive_a_restart() {
    let t = T::start().await;
    let (_, fenna) = t.member("fenna").await;
    let token = fenna.token.clone().unwrap();
    fail(&t, "fenna", 4).await;
    let t = t.restart().await;
    t.bearer(&token).get(SELF).await.expect(200);
    // So do the failures.
    refused(&t.try_login("fenna", "Wrong.Guess-00x").await);
    dead(&t.bearer(&token).get(SELF).await);
}

#[tokio::test]
async fn b25_after_a_self_made_change_password_mail_goes_to_the_old_address() {
    let t = T::start().await;
    let (_, fenna) = t.member("fenna").await;
    let mut own = fenna.get(SELF).await.expect(200).body;
    let before = t.mails().await.len();
    // Whoever stole the token changes the address, twice, and then asks for a password.
    for address in ["thief@example.net", "thief@example.org"] {
        own["email"] = json!(address);
        own = fenna.put("/api/v1/users/self/update", &own).await.expect(200).body;
    }
    fenna.post(RESET, &json!({})).await.expect(200);
    let sent: Vec<_> = t
        .mails()
        .await
        .split_off(before)
        .into_iter()
        .map(|m| (m.to.address, m.content.is_secret()))
        .collect();
    assert_eq!(
        sent,
        [
            (String::from("fenna@example.com"), false),
            (String::from("thief@example.net"), false),
            (String::from("fenna@example.com"), true),
        ]
    );
    // A day later the change stands.
    let fenna = t.login("fenna", &t.mailed_password("fenna").await).await;
    change(&fenna, &t.mailed_password("fenna").await, "Other.Kettle-Zyg9w").await.expect(200);
    t.clock.advance(DAY);
    let fenna = t.login("fenna", "Other.Kettle-Zyg9w").await;
    fenna.post(RESET, &json!({})).await.expect(200);
    assert!(t.mails_to("thief@example.org").await.iter().any(|mail| mail.content.is_secret()));
}

#[tokio::test]
async fn b25_email_change_hold_hours_0_is_off() {
    let t = T::with(|config| config.email_change_hold_hours = 0).await;
    let (_, fenna) = t.member("fenna").await;
    let mut own = fenna.get(SELF).await.expect(200).body;
    own["email"] = json!("new@example.com");
    fenna.put("/api/v1/users/self/update", &own).await.expect(200);
    fenna.post(RESET, &json!({})).await.expect(200);
    assert!(t.mails_to("new@example.com").await.iter().any(|mail| mail.content.is_secret()));
}
