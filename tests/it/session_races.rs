//! Sessions and failed logins at two processes at once: see races.rs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use tenantry_core::clock::MINUTE;
use tenantry_core::model::PartnerId;
use tenantry_domain::{client_changes, unit};
use tenantry_store::access::Operator;

use crate::concurrency::responses;
use crate::databases::is_postgres;
use crate::harness::{ADMIN_PASSWORD, Person, T, password_of};
use crate::races::{Both, HOLD, Holder, hold_at, statuses, waiting, written_back};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_token_works_once_without_reuse() {
    if !is_postgres() {
        return;
    }
    let t = T::with(|config| config.refresh_reuse_seconds = 0).await;
    let other = t.beside().await;
    let (id, _) = t.member("fenna").await;
    for _ in 0..6 {
        let login = t.try_login("fenna", &password_of("fenna")).await.expect(200).body;
        let form =
            [("grant_type", "refresh_token"), ("refresh_token", login["refresh_token"].as_str().unwrap())];
        let uses = (0..8).map(|n| if n % 2 == 0 { t.token(&form) } else { other.token(&form) });
        let responses = responses(uses).await;
        assert_eq!(statuses(&responses), BTreeMap::from([(200, 1), (400, 7)]));
        assert!(responses.iter().all(|a| a.status == 200 || a.body["error"] == "invalid_grant"));
        // One of the others was a replay, and that ended the session.
        let won = responses.iter().find(|a| a.status == 200).unwrap();
        for server in [&t, &other] {
            let person = server.bearer(won.body["access_token"].as_str().unwrap());
            refused_soon(&person).await;
            let new = won.body["refresh_token"].as_str().unwrap();
            server.token(&[("grant_type", "refresh_token"), ("refresh_token", new)]).await.expect(400);
        }
    }
    let replays = format!("SELECT count(*) FROM events WHERE kind = 'session.replayed' AND user_id = {id}");
    assert_eq!(t.database.number(&replays), 6, "each replay is told once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refreshes_at_once_return_one_refresh_token() {
    if !is_postgres() {
        return;
    }
    let t = T::start().await;
    let other = t.beside().await;
    t.member("fenna").await;
    for _ in 0..6 {
        let login = t.try_login("fenna", &password_of("fenna")).await.expect(200).body;
        let form =
            [("grant_type", "refresh_token"), ("refresh_token", login["refresh_token"].as_str().unwrap())];
        let uses = (0..8).map(|n| if n % 2 == 0 { t.token(&form) } else { other.token(&form) });
        let responses = responses(uses).await;
        assert_eq!(statuses(&responses), BTreeMap::from([(200, 8)]));
        let distinct =
            |name: &str| responses.iter().map(|a| a.body[name].to_string()).collect::<BTreeSet<_>>().len();
        assert_eq!((distinct("refresh_token"), distinct("access_token")), (1, 8));
        for response in &responses {
            for server in [&t, &other] {
                let person = server.bearer(response.body["access_token"].as_str().unwrap());
                person.get("/api/v1/users/self").await.expect(200);
            }
        }
    }
    assert_eq!(t.database.number("SELECT count(*) FROM events WHERE kind = 'session.replayed'"), 0);
    assert_eq!(t.database.number("SELECT count(*) FROM refresh_tokens WHERE successor IS NOT NULL"), 6);
}

/// The token is refused: at once where its session was ended, a moment later elsewhere.
async fn refused_soon(person: &Person<'_>) {
    for _ in 0..500 {
        if person.get("/api/v1/users/self").await.status == 401 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the token still works");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b23_failed_logins_are_counted_exactly() {
    if !is_postgres() {
        return;
    }
    let t = T::with(|config| config.login_failures_per_address = 10_000).await;
    let other = t.beside().await;
    let admin = t.admin().await;
    for round in 0..4 {
        let name = format!("fenna{round}");
        let (id, _) = t.member(&name).await;
        let password = password_of(&name);
        let count = || t.database.number(&format!("SELECT failed_logins FROM users WHERE user_id = {id}"));
        let guess = |n: usize, password: &'static str| {
            let (server, name) = (if n.is_multiple_of(2) { &t } else { &other }, name.clone());
            async move { server.try_login(&name, password).await }
        };
        let failed = responses((0..4).map(|n| guess(n, "wrong"))).await;
        assert_eq!((statuses(&failed), count()), (BTreeMap::from([(400, 4)]), 4));
        other.try_login(&name, &password).await.expect(200);
        assert_eq!(count(), 0);
        let failed = responses((0..20).map(|n| guess(n, "wrong"))).await;
        assert_eq!(statuses(&failed), BTreeMap::from([(400, 20)]));
        assert!(failed.iter().all(|response| response.text == failed[0].text), "all in the same words");
        assert_eq!(count(), 5, "the fifth locked; those after it raised nothing");
        t.try_login(&name, &password).await.expect(400);
        other.try_login(&name, &password).await.expect(400);
        let user = admin.get(&format!("/api/v1/users/{id}")).await.expect(200).body;
        assert_eq!(user["status"], "LOCKED");
        let locked = format!("SELECT count(*) FROM events WHERE kind = 'user.locked' AND user_id = {id}");
        assert_eq!(t.database.number(&locked), 1);
        let mails = t.mails_to(&format!("{name}@example.com")).await;
        assert_eq!(mails.iter().filter(|m| format!("{:?}", m.content).contains("Locked")).count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_is_limited_across_processes() {
    if !is_postgres() {
        return;
    }
    let t = T::with(|config| config.login_failures_per_address = 12).await;
    let other = t.beside().await;
    let guesses = (0..12).map(|n| {
        let server = if n % 2 == 0 { &t } else { &other };
        async move { server.try_login(&format!("nobody{n}"), "wrong").await }
    });
    assert_eq!(statuses(&responses(guesses).await), BTreeMap::from([(400, 12)]));
    assert_eq!(t.database.number("SELECT sum(failures) FROM login_failures"), 12, "each is counted");
    for server in [&t, &other] {
        let response = server.try_login("admin", ADMIN_PASSWORD).await.expect(429);
        assert_eq!(response.header("retry-after"), "300");
    }
    t.clock.advance(5 * MINUTE);
    other.try_login("admin", ADMIN_PASSWORD).await.expect(200);
}

/// What ends the sessions of a user also ends the one that is just being opened elsewhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_session_survives_a_lock_or_a_reset() {
    if !is_postgres() {
        return;
    }
    let t = T::start().await;
    let other = t.beside().await;
    let admin = Both::of(&t.admin().await, &other);
    for round in 0..6 {
        let name = format!("fenna{round}");
        let (id, own) = t.member(&name).await;
        let password = password_of(&name);
        let path = format!("/api/v1/users/{id}");
        let user = admin.at(0).get(&path).await.expect(200).body;
        let locked = written_back(&user, json!({ "status": "LOCKED" }));
        let new_password = json!({ "oldPassword": password, "newPassword": "Other.Tea-Cup-72" });
        let end = async {
            match round % 3 {
                0 => admin.at(round).put(&path, &locked).await,
                1 => admin.at(round).post(&format!("{path}/reset-password"), &json!({})).await,
                _ => own.post("/api/v1/users/self/update-password", &new_password).await,
            }
        };
        let logins = (0..8).map(|n| {
            if n % 2 == 0 { t.try_login(&name, &password) } else { other.try_login(&name, &password) }
        });
        let (ended, logins) = tokio::join!(end, responses(logins));
        ended.expect(200);
        for login in &logins {
            // Opened before and ended with the others, or refused.
            let Some(token) = login.body["access_token"].as_str() else {
                assert_eq!((login.status.as_u16(), &login.body["error"]), (400, &json!("invalid_grant")));
                continue;
            };
            refused_soon(&t.bearer(token)).await;
            refused_soon(&other.bearer(token)).await;
        }
        let kept = if round % 3 == 2 { 1 } else { 0 };
        let sessions = t.database.number(&format!("SELECT count(*) FROM sessions WHERE user_id = {id}"));
        assert_eq!(sessions, kept, "only whoever changed the password goes on");
        other.try_login(&name, &password).await.expect(400);
    }
}

/// A revoked client's sessions end, those that are just being opened elsewhere, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_token_survives_its_client() {
    if !is_postgres() {
        return;
    }
    let t = T::start().await;
    let other = t.beside().await;
    t.member("fenna").await;
    let by = Operator::of_this_machine();
    for round in 0..6 {
        let client = t.client(1, false).await;
        let password = password_of("fenna");
        let form = [("grant_type", "password"), ("username", "fenna"), ("password", password.as_str())];
        let logins = (0..8).map(|n| {
            let server = if n % 2 == 0 { &t } else { &other };
            server.form_as(&client, "/oauth/token", &form)
        });
        let id = client.0.clone();
        let within = by.as_admin_of(PartnerId(1));
        let revoke = unit::write(&t.app.store, &within, move |tx| client_changes::revoke(tx, &id));
        let (logins, revoked) = tokio::join!(responses(logins), async {
            // At some time while they are under way.
            for _ in 0..round * 4 {
                tokio::task::yield_now().await;
            }
            revoke.await
        });
        revoked.unwrap();
        for login in &logins {
            assert!([200, 400, 401].contains(&login.status.as_u16()), "{}", login.text);
            if let Some(token) = login.body["access_token"].as_str() {
                refused_soon(&t.bearer(token)).await;
                refused_soon(&other.bearer(token)).await;
            }
        }
    }
}

/// The same, with the order forced: the login reads the client, then the client is revoked, then the login is committed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_overtaken_by_a_revocation_opens_no_session() {
    if !is_postgres() {
        return;
    }
    let t = T::start().await;
    t.member("fenna").await;
    let client = t.client(1, false).await;
    let password = password_of("fenna");
    let form = [("grant_type", "password"), ("username", "fenna"), ("password", password.as_str())];
    hold_at(&t, "sessions", "");
    let holder = Holder::lock(&t, HOLD).await;
    let revoke = async {
        waiting(&t, 1).await;
        let (by, id) = (Operator::of_this_machine(), client.0.clone());
        let within = by.as_admin_of(PartnerId(1));
        unit::write(&t.app.store, &within, move |tx| client_changes::revoke(tx, &id)).await.unwrap();
        drop(holder);
    };
    let (login, ()) = tokio::join!(t.form_as(&client, "/oauth/token", &form), revoke);
    let token = login.expect(200).body["access_token"].as_str().unwrap().to_owned();
    t.bearer(&token).get("/api/v1/users/self").await.expect(401);
    let body = json!({ "oldPassword": password, "newPassword": "Other.Tea-Cup-72" });
    t.bearer(&token).post("/api/v1/users/self/update-password", &body).await.expect(401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_password_changes_one_takes_effect() {
    if !is_postgres() {
        return;
    }
    let t = T::start().await;
    let other = t.beside().await;
    for round in 0..4 {
        let name = format!("fenna{round}");
        let (_, one) = t.member(&name).await;
        let two = match round % 2 {
            0 => other.bearer(one.token.as_deref().unwrap()),
            _ => other.login(&name, &password_of(&name)).await,
        };
        let news = ["Other.Tea-Cup-72", "Third.Tea-Cup-73"];
        let body = |new: &str| json!({ "oldPassword": password_of(&name), "newPassword": new });
        let path = "/api/v1/users/self/update-password";
        let bodies = news.map(body);
        let responses = responses([one.post(path, &bodies[0]), two.post(path, &bodies[1])]).await;
        let won = responses.iter().position(|a| a.status == 200).unwrap();
        let lost = &responses[1 - won];
        // The old password is wrong by now. A session other than the winner's was ended, which shows first unless the
        // other process had let the request in a moment before.
        let expected: &[u16] = if round % 2 == 0 { &[400] } else { &[400, 401] };
        assert!(expected.contains(&lost.status.as_u16()), "{}", lost.text);
        t.try_login(&name, news[1 - won]).await.expect(400);
        other.try_login(&name, news[won]).await.expect(200);
        t.try_login(&name, &password_of(&name)).await.expect(400);
    }
    let present =
        "SELECT count(*) FROM passwords WHERE present = 1 GROUP BY pid, user_id HAVING count(*) > 1";
    assert_eq!(t.database.rows(present), Vec::<Vec<String>>::new());
}
