//! Refreshing (RFC 6749 section 6): tokens rotate, and a second use of one ends the session, unless it follows at once.

use std::collections::BTreeSet;

use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use tenantry_core::clock::{DAY, HOUR, SECOND};

use crate::concurrency::responses;
use crate::databases::is_postgres;
use crate::harness::{T, TestResponse, password_of};
use crate::oauth::{FORM, SELF, error, refresh, tokens_of};

fn text<'a>(response: &'a TestResponse, name: &str) -> &'a str {
    response.body[name].as_str().unwrap()
}

async fn replays(t: &T, user: i64) -> i64 {
    let path = format!("/api/v1/events?userId={user}&type=session.replayed");
    t.admin().await.get(&path).await.expect(200).body["total"].as_i64().unwrap()
}

#[tokio::test]
async fn refresh_tokens_rotate() {
    let t = T::start().await;
    t.member("fenna").await;
    let (first, token) = tokens_of(&t, "fenna", &password_of("fenna")).await;
    t.clock.advance(6 * HOUR);
    t.bearer(&first).get(SELF).await.expect(401);
    let response = refresh(&t, &token).await.expect(200);
    assert_eq!(response.header("cache-control"), "no-store");
    assert_eq!(response.header("pragma"), "no-cache");
    assert_eq!(response.body["expires_in"], 21_600);
    let second = t.bearer(response.body["access_token"].as_str().unwrap());
    assert_eq!(second.get(SELF).await.expect(200).body["username"], "fenna");
    let next = response.body["refresh_token"].as_str().unwrap();
    assert_ne!(next, token);
    // An access token is no refresh token and the other way round.
    error(&refresh(&t, second.token.as_deref().unwrap()).await, 400, "invalid_grant");
    t.bearer(next).get(SELF).await.expect(401);
    // The new one lives 30 days from now.
    t.clock.advance(30 * DAY - 1);
    let response = refresh(&t, next).await.expect(200);
    t.clock.advance(30 * DAY);
    error(&refresh(&t, response.body["refresh_token"].as_str().unwrap()).await, 400, "invalid_grant");
}

#[tokio::test]
async fn a_replayed_refresh_token_ends_its_family_at_once() {
    let t = T::start().await;
    let (id, other) = t.member("fenna").await;
    let (first, stolen) = tokens_of(&t, "fenna", &password_of("fenna")).await;
    let response = refresh(&t, &stolen).await.expect(200);
    let second = response.body["access_token"].as_str().unwrap().to_owned();
    let next = response.body["refresh_token"].as_str().unwrap().to_owned();
    for token in [&first, &second] {
        t.bearer(token).get(SELF).await.expect(200);
    }
    // A replay by another client ends nothing: it does not prove that it holds more than the token's text.
    let robot = t.client(1, false).await;
    let form = [("grant_type", "refresh_token"), ("refresh_token", stolen.as_str())];
    error(&t.form_as(&robot, "/oauth/token", &form).await, 400, "invalid_grant");
    t.bearer(&second).get(SELF).await.expect(200);

    t.clock.advance(10 * SECOND + 1);
    error(&refresh(&t, &stolen).await, 400, "invalid_grant");
    for token in [&first, &second] {
        t.bearer(token).get(SELF).await.expect(401);
    }
    error(&refresh(&t, &next).await, 400, "invalid_grant");
    // Another session of the same user is another family.
    other.get(SELF).await.expect(200);
    let events =
        t.admin().await.get(&format!("/api/v1/events?userId={id}&type=session.replayed")).await.expect(200);
    assert_eq!(events.body["total"], 1);
}

#[tokio::test]
async fn refreshing_ends_with_the_user_and_the_partner() {
    let t = T::start().await;
    let admin = t.admin().await;
    for (username, status) in [("ina", "INACTIVE"), ("lotte", "LOCKED"), ("dora", "")] {
        let (id, _) = t.member(username).await;
        let (_, token) = tokens_of(&t, username, &password_of(username)).await;
        let path = format!("/api/v1/users/{id}");
        if status.is_empty() {
            admin.delete(&path).await.expect(204);
        } else {
            let mut user = admin.get(&path).await.expect(200).body;
            user["status"] = json!(status);
            admin.put(&path, &user).await.expect(200);
        }
        error(&refresh(&t, &token).await, 400, "invalid_grant");
        if !status.is_empty() {
            let mut user = admin.get(&path).await.expect(200).body;
            user["status"] = json!("ACTIVE");
            admin.put(&path, &user).await.expect(200);
            error(&refresh(&t, &token).await, 400, "invalid_grant");
        }
    }
    let (pid, _) = t.other_partner("other").await;
    let (_, token) = tokens_of(&t, "other-admin", &password_of("other-admin")).await;
    let operator = t.operator().await;
    let path = format!("/operator/v1/partners/{pid}");
    operator.patch(&path, &json!({ "suspended": true })).await.expect(200);
    error(&refresh(&t, &token).await, 400, "invalid_grant");
    // Suspension ends nothing for good.
    operator.patch(&path, &json!({ "suspended": false })).await.expect(200);
    refresh(&t, &token).await.expect(200);
}

/// Two tabs of a browser refresh at the same time.
#[tokio::test]
async fn two_refreshes_at_once_return_the_same_refresh_token() {
    let t = T::start().await;
    let (id, _) = t.member("fenna").await;
    let (first, token) = tokens_of(&t, "fenna", &password_of("fenna")).await;
    let (one, two) = tokio::join!(refresh(&t, &token), refresh(&t, &token));
    let (one, two) = (one.expect(200), two.expect(200));
    assert_eq!(text(&one, "refresh_token"), text(&two, "refresh_token"));
    assert_ne!(text(&one, "access_token"), text(&two, "access_token"));
    for response in [&one, &two] {
        assert_eq!(
            (&response.body["expires_in"], &response.body["scope"]),
            (&json!(21_600), &json!("read write"))
        );
        assert_eq!(response.header("cache-control"), "no-store");
    }
    // None of the access tokens ends with it, and both tabs go on.
    for access in [&first, text(&one, "access_token"), text(&two, "access_token")] {
        t.bearer(access).get(SELF).await.expect(200);
    }
    refresh(&t, text(&two, "refresh_token")).await.expect(200);
    assert_eq!(replays(&t, id).await, 0);
}

/// The connection breaks before the response is read.
#[tokio::test]
async fn a_refresh_whose_response_was_lost_can_be_repeated() {
    let t = T::start().await;
    t.member("fenna").await;
    let (_, token) = tokens_of(&t, "fenna", &password_of("fenna")).await;
    let body = format!("grant_type=refresh_token&client_id=tenantry&refresh_token={token}");
    let request = format!(
        "POST /oauth/token HTTP/1.1\r\nHost: {}\r\nContent-Type: {FORM}\r\nContent-Length: {}\r\n\r\n{body}",
        t.address,
        body.len()
    );
    let mut stream = TcpStream::connect(t.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    // The first byte of the response shows that it was done; the rest is lost.
    stream.readable().await.unwrap();
    drop(stream);
    t.clock.advance(SECOND);
    let response = refresh(&t, &token).await.expect(200);
    t.bearer(text(&response, "access_token")).get(SELF).await.expect(200);
    refresh(&t, text(&response, "refresh_token")).await.expect(200);
}

#[tokio::test]
async fn a_refresh_token_is_good_for_another_ten_seconds() {
    let t = T::start().await;
    let (id, _) = t.member("fenna").await;
    let (_, token) = tokens_of(&t, "fenna", &password_of("fenna")).await;
    let next = refresh(&t, &token).await.expect(200);
    for seconds in [3, 7] {
        t.clock.advance(seconds * SECOND);
        let again = refresh(&t, &token).await.expect(200);
        assert_eq!(text(&again, "refresh_token"), text(&next, "refresh_token"));
    }
    // Counted from the first use.
    t.clock.advance(1);
    error(&refresh(&t, &token).await, 400, "invalid_grant");
    error(&refresh(&t, text(&next, "refresh_token")).await, 400, "invalid_grant");
    assert_eq!(replays(&t, id).await, 1);
}

/// The window is measured by the steady clock. Servers that share a database measure by its clock.
#[tokio::test]
async fn setting_the_machine_s_clock_does_not_change_the_ten_seconds() {
    if is_postgres() {
        return;
    }
    let t = T::start().await;
    t.member("fenna").await;
    let (_, token) = tokens_of(&t, "fenna", &password_of("fenna")).await;
    let next = refresh(&t, &token).await.expect(200);
    for by in [HOUR, -2 * HOUR, HOUR] {
        t.clock.set_by(by);
        let again = refresh(&t, &token).await.expect(200);
        assert_eq!(text(&again, "refresh_token"), text(&next, "refresh_token"));
    }
    t.clock.advance(10 * SECOND + 1);
    error(&refresh(&t, &token).await, 400, "invalid_grant");
}

#[tokio::test]
async fn only_the_token_before_the_newest_returns_it() {
    let t = T::start().await;
    let (id, _) = t.member("fenna").await;
    let (_, first) = tokens_of(&t, "fenna", &password_of("fenna")).await;
    let second = refresh(&t, &first).await.expect(200);
    let third = refresh(&t, text(&second, "refresh_token")).await.expect(200);
    let again = refresh(&t, text(&second, "refresh_token")).await.expect(200);
    assert_eq!(text(&again, "refresh_token"), text(&third, "refresh_token"));
    error(&refresh(&t, &first).await, 400, "invalid_grant");
    for response in [&second, &third, &again] {
        t.bearer(text(response, "access_token")).get(SELF).await.expect(401);
        error(&refresh(&t, text(response, "refresh_token")).await, 400, "invalid_grant");
    }
    assert_eq!(replays(&t, id).await, 1);
}

#[tokio::test]
async fn a_repeated_refresh_is_that_of_the_same_client() {
    let t = T::start().await;
    t.member("fenna").await;
    let (robot, other) = (t.client(1, false).await, t.client(1, true).await);
    let password = password_of("fenna");
    let login = [("grant_type", "password"), ("username", "fenna"), ("password", password.as_str())];
    let token = t.form_as(&robot, "/oauth/token", &login).await.expect(200);
    let form = [("grant_type", "refresh_token"), ("refresh_token", text(&token, "refresh_token"))];
    let next = t.form_as(&robot, "/oauth/token", &form).await.expect(200);
    // Another client's attempt ends nothing either.
    error(&t.form_as(&other, "/oauth/token", &form).await, 400, "invalid_grant");
    error(&t.token(&form).await, 400, "invalid_grant");
    let again = t.form_as(&robot, "/oauth/token", &form).await.expect(200);
    assert_eq!(text(&again, "refresh_token"), text(&next, "refresh_token"));
    t.bearer(text(&next, "access_token")).get(SELF).await.expect(200);
}

#[tokio::test]
async fn refresh_reuse_seconds_is_how_long_and_0_is_not_at_all() {
    let t = T::with(|config| config.refresh_reuse_seconds = 0).await;
    let (id, _) = t.member("fenna").await;
    let (_, token) = tokens_of(&t, "fenna", &password_of("fenna")).await;
    let (one, two) = tokio::join!(refresh(&t, &token), refresh(&t, &token));
    let (winner, loser) = if one.status == 200 { (one, two) } else { (two, one) };
    error(&loser, 400, "invalid_grant");
    t.bearer(text(&winner.expect(200), "access_token")).get(SELF).await.expect(401);
    assert_eq!(replays(&t, id).await, 1);
    assert_eq!(t.ask_sql("SELECT count(*) FROM refresh_tokens WHERE successor IS NOT NULL"), [["0"]]);
    // A successor that was kept before the setting changed.
    let (_, token) = tokens_of(&t, "fenna", &password_of("fenna")).await;
    let t = t.restart_with(|config| config.refresh_reuse_seconds = 60).await;
    refresh(&t, &token).await.expect(200);
    t.clock.advance(60 * SECOND);
    let next = refresh(&t, &token).await.expect(200);
    let t = t.restart_with(|config| config.refresh_reuse_seconds = 0).await;
    error(&refresh(&t, &token).await, 400, "invalid_grant");
    error(&refresh(&t, text(&next, "refresh_token")).await, 400, "invalid_grant");
}

#[tokio::test]
async fn what_ends_a_session_also_ends_the_repetition() {
    let t = T::start().await;
    let admin = t.admin().await;
    for (n, how) in
        ["lock", "deactivate", "delete", "reset", "change", "end", "revoke", "suspend"].iter().enumerate()
    {
        let name = format!("fenna{n}");
        let (id, own) = t.member(&name).await;
        let (_, token) = tokens_of(&t, &name, &password_of(&name)).await;
        let next = refresh(&t, &token).await.expect(200);
        refresh(&t, &token).await.expect(200);
        let path = format!("/api/v1/users/{id}");
        let operator = t.operator().await;
        match *how {
            "lock" | "deactivate" => {
                let status = if *how == "lock" { "LOCKED" } else { "INACTIVE" };
                admin.patch(&path, &json!({ "status": status })).await.expect(200);
            }
            "delete" => drop(admin.delete(&path).await.expect(204)),
            "reset" => drop(admin.post(&format!("{path}/reset-password"), &json!({})).await.expect(200)),
            "change" => {
                let body = json!({ "oldPassword": password_of(&name), "newPassword": "Zy9.Saucer-Quilt-4x" });
                t.secret("Zy9.Saucer-Quilt-4x");
                own.post("/api/v1/users/self/update-password", &body).await.expect(200);
            }
            "end" => drop(own.delete("/api/v1/users/self/sessions").await.expect(204)),
            "revoke" => {
                let form = [("client_id", "tenantry"), ("token", token.as_str())];
                t.anonymous().form("/oauth/revoke", &form).await.expect(200);
            }
            _ => {
                let suspended = json!({ "suspended": true });
                operator.patch("/operator/v1/partners/1", &suspended).await.expect(200);
            }
        }
        error(&refresh(&t, &token).await, 400, "invalid_grant");
        error(&refresh(&t, text(&next, "refresh_token")).await, 400, "invalid_grant");
        t.bearer(text(&next, "access_token")).get(SELF).await.expect(401);
        if *how == "suspend" {
            // Ends nothing for good.
            let suspended = json!({ "suspended": false });
            operator.patch("/operator/v1/partners/1", &suspended).await.expect(200);
            let again = refresh(&t, &token).await.expect(200);
            assert_eq!(text(&again, "refresh_token"), text(&next, "refresh_token"));
        } else {
            assert_eq!(replays(&t, id).await, 0, "{how}");
        }
    }
}

#[tokio::test]
async fn each_access_token_lives_to_its_own_end() {
    let t = T::with(|config| (config.refresh_token_seconds, config.refresh_reuse_seconds) = (20, 15)).await;
    t.member("fenna").await;
    let (_, token) = tokens_of(&t, "fenna", &password_of("fenna")).await;
    // Used a second before its end: the token that it was exchanged for counts from then on.
    t.clock.advance(19 * SECOND);
    let one = refresh(&t, &token).await.expect(200);
    t.clock.advance(15 * SECOND);
    let two = refresh(&t, &token).await.expect(200);
    assert_eq!(text(&one, "refresh_token"), text(&two, "refresh_token"));
    t.clock.advance(6 * HOUR - 15 * SECOND - 1);
    t.bearer(text(&one, "access_token")).get(SELF).await.expect(200);
    t.clock.advance(1);
    t.bearer(text(&one, "access_token")).get(SELF).await.expect(401);
    t.clock.advance(15 * SECOND - 1);
    t.bearer(text(&two, "access_token")).get(SELF).await.expect(200);
    t.clock.advance(1);
    t.bearer(text(&two, "access_token")).get(SELF).await.expect(401);
    // The session is listed until then.
    let sessions = t.ask_sql("SELECT max(expires_at) FROM sessions");
    assert_eq!(sessions, [[t.clock.now().to_string()]]);
}

/// The database alone gives nobody a token, and soon there is nothing left of it.
#[tokio::test]
async fn a_sealed_successor_is_stored_for_a_few_seconds() {
    let t = T::start().await;
    t.member("fenna").await;
    let (_, token) = tokens_of(&t, "fenna", &password_of("fenna")).await;
    let next = refresh(&t, &token).await.expect(200);
    let stored = || t.ask_sql("SELECT successor FROM refresh_tokens WHERE successor IS NOT NULL");
    let [row] = <[_; 1]>::try_from(stored()).unwrap();
    let secret = text(&next, "refresh_token").rsplit(['.', '_']).next().unwrap();
    assert!(row[0].len() > 60 && !row[0].contains(secret), "{row:?}");
    tenantry_worker::housekeep(&t.app).await.unwrap();
    assert_eq!(stored().len(), 1);
    t.clock.advance(10 * SECOND + 1);
    assert_eq!(tenantry_worker::housekeep(&t.app).await.unwrap().successors, 1);
    assert_eq!(stored().len(), 0);
    // The newest one is none the worse for it.
    refresh(&t, text(&next, "refresh_token")).await.expect(200);
    // A row that was tampered with, or copied from another one, gives nothing: the second use is a replay.
    let (_, token) = tokens_of(&t, "fenna", &password_of("fenna")).await;
    refresh(&t, &token).await.expect(200);
    t.run_sql(&format!("UPDATE refresh_tokens SET successor = '{}' WHERE successor IS NOT NULL", row[0]));
    error(&refresh(&t, &token).await, 400, "invalid_grant");
}

/// Twenty people with two tabs each, which refresh fifty times at the same moment: nobody is logged out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_double_refreshes_end_no_session() {
    let t = T::with(|config| config.login_failures_per_address = 10_000).await;
    let other = if is_postgres() { Some(t.beside().await) } else { None };
    let mut tokens = Vec::new();
    t.member("fenna").await;
    for _ in 0..20 {
        tokens.push(tokens_of(&t, "fenna", &password_of("fenna")).await.1);
    }
    let mut seen = BTreeSet::new();
    let mut access = Vec::new();
    for round in 0..50 {
        let requests = tokens.iter().flat_map(|token| [(&t, token), (other.as_ref().unwrap_or(&t), token)]);
        let responses = responses(requests.map(|(server, token)| refresh(server, token))).await;
        access.clear();
        let mut next = Vec::new();
        for pair in responses.chunks(2) {
            let [one, two] = pair else { panic!("a pair") };
            for response in [one, two] {
                assert_eq!(response.status, 200, "round {round}: {}", response.text);
                access.push(text(response, "access_token").to_owned());
            }
            assert_eq!(text(one, "refresh_token"), text(two, "refresh_token"));
            assert!(seen.insert(text(one, "refresh_token").to_owned()));
            next.push(text(one, "refresh_token").to_owned());
        }
        tokens = next;
    }
    assert_eq!(seen.len(), 1_000);
    for (n, access) in access.iter().enumerate() {
        let server = if n % 2 == 0 { &t } else { other.as_ref().unwrap_or(&t) };
        server.bearer(access).get(SELF).await.expect(200);
    }
    assert_eq!(t.ask_sql("SELECT count(*) FROM events WHERE kind = 'session.replayed'"), [["0"]]);
    assert_eq!(t.ask_sql("SELECT count(*) FROM refresh_tokens WHERE used_at = 0"), [["22"]]);
}
