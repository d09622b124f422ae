//! Several processes over one PostgreSQL: what one does is in force in the others, and work in the background is done
//! once, whoever does it.

use std::time::Duration;

use serde_json::{Value, json};

use tenantry_core::clock::{Clock, DAY, HOUR, MINUTE};
use tenantry_core::model::PartnerId;
use tenantry_domain::{client_changes, outbox, unit};
use tenantry_mail::Mailer;
use tenantry_store::access::{Operator, nobody};
use tenantry_store::tables::login_failures;
use tenantry_worker::{Delivered, Housekeeping, deliver_due, housekeep};

use crate::binary::{TIMEOUT, until};
use crate::databases::{is_postgres, parsed};
use crate::fixtures::{with, without};
use crate::harness::{Person, T, password_of};
use crate::proxy::Proxy;

const SELF: &str = "/api/v1/users/self";

/// Asks until the response has this status, which it must have soon and then keep.
async fn comes_to(person: &Person<'_>, path: &str, status: u16) {
    let asked = async {
        while person.get(path).await.status != status {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(30), asked).await;
    assert!(in_time.is_ok(), "{path} does not come to {status}");
    for _ in 0..3 {
        person.get(path).await.expect(status);
    }
}

async fn believes(t: &T, is_believed: bool) {
    let is_so = || (t.app.store.is_cache_believed() == is_believed).then_some(());
    until("the cache is believed, or not", is_so).await;
}

/// A body to write back with a change.
fn changed(user: &Value, change: Value) -> Value {
    with(&without(user, &["createdAt", "updatedAt", "lastLoginAt"]), change)
}

/// A person at the other process, known to it: the response comes from memory by now.
async fn known<'t>(other: &'t T, person: &Person<'_>, path: &str) -> Person<'t> {
    believes(other, true).await;
    let there = other.bearer(person.token.as_deref().unwrap());
    for _ in 0..3 {
        there.get(path).await.expect(200);
    }
    there
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_ended_here_is_ended_there() {
    if !is_postgres() {
        return;
    }
    let t = T::start().await;
    let other = t.beside().await;
    let admin = t.admin().await;
    for (n, how) in
        ["LOCKED", "INACTIVE", "deleted", "bulk", "changed", "reset", "own reset", "revoked", "failures"]
            .into_iter()
            .enumerate()
    {
        let name = format!("fenna{n}");
        let (id, own) = t.member(&name).await;
        let there = known(&other, &t.login(&name, &password_of(&name)).await, SELF).await;
        let path = format!("/api/v1/users/{id}");
        let user = admin.get(&path).await.expect(200).body;
        match how {
            "LOCKED" | "INACTIVE" => {
                admin.put(&path, &changed(&user, json!({ "status": how }))).await.expect(200);
            }
            "deleted" => drop(admin.delete(&path).await.expect(204)),
            "bulk" => drop(admin.post("/api/v1/users/bulk-delete", &json!([id])).await.expect(204)),
            "changed" => {
                let body = json!({ "oldPassword": password_of(&name), "newPassword": "Other.Tea-Cup-72" });
                own.post("/api/v1/users/self/update-password", &body).await.expect(200);
            }
            "reset" => drop(admin.post(&format!("{path}/reset-password"), &json!({})).await.expect(200)),
            "own reset" => drop(own.post("/api/v1/users/self/reset-password", &json!({})).await.expect(200)),
            "revoked" => {
                let token = there.token.as_deref().unwrap();
                let form = [("token", token), ("client_id", "tenantry")];
                t.anonymous().form("/oauth/revoke", &form).await.expect(200);
            }
            _ => {
                for _ in 0..5 {
                    t.try_login(&name, "wrong").await.expect(400);
                }
            }
        }
        comes_to(&there, SELF, 401).await;
        // Whatever memory says: writing looks at the database.
        there.put("/api/v1/users/self/update", &changed(&user, json!({}))).await.expect(401);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_granted_and_revoked_here_take_effect_there() {
    if !is_postgres() {
        return;
    }
    let t = T::start().await;
    let other = t.beside().await;
    let admin = t.admin().await;
    let (id, member) = t.member("fenna").await;
    let (users, path) = ("/api/v1/users?page=0", format!("/api/v1/users/{id}"));
    let there = known(&other, &member, SELF).await;
    there.get(users).await.expect(403);
    let user = admin.get(&path).await.expect(200).body;
    for (is_admin, status) in [(true, 200), (false, 403)] {
        admin.put(&path, &changed(&user, json!({ "isAdmin": is_admin }))).await.expect(200);
        comes_to(&there, users, status).await;
    }

    // A partner is suspended and resumed.
    let (pid, olga) = t.other_partner("acme").await;
    let olga = known(&other, &olga, SELF).await;
    let operator = t.operator().await;
    for (suspended, status) in [(true, 401), (false, 200)] {
        let path = format!("/operator/v1/partners/{pid}");
        operator.patch(&path, &json!({ "suspended": suspended })).await.expect(200);
        comes_to(&olga, SELF, status).await;
    }

    // A client is revoked: its technical account ends.
    let client = t.client(1, true).await;
    let robot = known(&other, &t.technical_account(&client).await, users).await;
    let (by, client_id) = (Operator::of_this_machine(), client.0.clone());
    let within = by.as_admin_of(PartnerId(1));
    unit::write(&t.app.store, &within, move |tx| client_changes::revoke(tx, &client_id)).await.unwrap();
    comes_to(&robot, users, 401).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_cached_there_match_changes_here() {
    if !is_postgres() {
        return;
    }
    let t = T::start().await;
    let other = t.beside().await;
    let admin = t.admin().await;
    let (id, member) = t.member("fenna").await;
    let group = admin.create_group("Editors").await;
    let path = format!("/api/v1/users/{id}");
    let there = known(&other, &admin, &path).await;
    let own = known(&other, &member, SELF).await;
    let user = admin.get(&path).await.expect(200).body;
    let mut expected = Vec::new();
    for change in [json!({ "lastName": "King" }), json!({ "groups": [group] })] {
        expected.push(admin.put(&path, &changed(&user, change)).await.expect(200).body);
        let (person, name) = (&there, expected.last().unwrap());
        sees(person, &path, name).await;
        sees(&own, SELF, name).await;
    }
    admin.delete(&format!("/api/v1/groups/{group}")).await.expect(204);
    sees(&there, &path, &with(expected.last().unwrap(), json!({ "groups": [] }))).await;
}

async fn sees(person: &Person<'_>, path: &str, user: &Value) {
    for _ in 0..3_000 {
        if &person.get(path).await.expect(200).body == user {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{user} is not seen");
}

/// A server beside `t`, with a network between it and the database that can fail.
async fn behind_proxy(t: &T) -> (Proxy, T) {
    let (proxy, url) = t.database.behind_proxy();
    let other = t.beside_with(t.clock.clone(), |config| {
        config.database_url = parsed(&url);
        config.database_timeout_seconds = 1;
        config.database_wait_ms = 500;
    });
    (proxy, other.await)
}

async fn lock(admin: &Person<'_>, id: i64) {
    let path = format!("/api/v1/users/{id}");
    let user = admin.get(&path).await.expect(200).body;
    admin.put(&path, &changed(&user, json!({ "status": "LOCKED" }))).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_without_notifications_does_not_use_its_cache() {
    if !is_postgres() {
        return;
    }
    let t = T::start().await;
    let admin = t.admin().await;
    let (proxy, other) = behind_proxy(&t).await;
    for (n, is_cut) in [false, true, false].into_iter().enumerate() {
        let name = format!("fenna{n}");
        let (id, own) = t.member(&name).await;
        let there = known(&other, &own, SELF).await;
        let admin_there = known(&other, &admin, SELF).await;
        if is_cut {
            proxy.cut()
        } else {
            proxy.silence()
        }
        lock(&admin, id).await;
        // The lease ends by itself. From then on nothing is answered from memory, to whomever.
        believes(&other, false).await;
        for person in [&there, &admin_there] {
            let response = tokio::time::timeout(TIMEOUT, person.get(SELF)).await.unwrap();
            assert_eq!(response.status, 503, "{}", response.text);
            assert!(response.header("retry-after").parse::<u32>().is_ok_and(|s| s > 0));
        }
        assert!(!other.app.store.is_cache_believed());
        if is_cut {
            proxy.accept()
        } else {
            proxy.resume()
        }
        // It comes back by itself, and everything is forgotten first.
        believes(&other, true).await;
        there.get(SELF).await.expect(401);
        comes_to(&admin_there, SELF, 200).await;
    }
}

/// The server closes the connection that listens, and that one alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_missed_notifications_drops_its_cache() {
    if !is_postgres() {
        return;
    }
    let t = T::start().await;
    let other = t.beside().await;
    let admin = t.admin().await;
    for n in 0..4 {
        let name = format!("fenna{n}");
        let (id, own) = t.member(&name).await;
        let there = known(&other, &own, SELF).await;
        let listening = "FROM pg_stat_activity WHERE datname = current_database() \
            AND query LIKE '%clock_timestamp%' AND pid <> pg_backend_pid()";
        let closed = t.database.rows(&format!("SELECT pg_terminate_backend(pid) {listening}"));
        assert!(closed.len() >= 2, "both listen: {closed:?}");
        lock(&admin, id).await;
        comes_to(&there, SELF, 401).await;
        believes(&other, true).await;
        there.get(SELF).await.expect(401);
        // And it hears again.
        let (id, own) = t.member(&format!("joe{n}")).await;
        let there = known(&other, &own, SELF).await;
        lock(&admin, id).await;
        comes_to(&there, SELF, 401).await;
    }
}

/// Times are the database's, so what a process gives whose machine goes wrong by an hour is good in the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_clock_is_corrected() {
    if !is_postgres() {
        return;
    }
    let short = |config: &mut tenantry::config::Config| config.access_token_seconds = 1_800;
    let t = T::at(Clock::system(), short).await;
    for wrong in [HOUR, -HOUR] {
        let other = t.beside_with(Clock::system_off_by(wrong), |_| {}).await;
        assert!((other.clock.machine() - t.clock.machine() - wrong).abs() < MINUTE);
        assert!((other.clock.now() - t.clock.now()).abs() < MINUTE, "from the first moment on");
        for (from, to) in [(&other, &t), (&t, &other)] {
            let there = to.bearer(from.admin().await.token.as_deref().unwrap());
            there.get(SELF).await.expect(200);
            let user = there.create(&format!("fenna{}{}", wrong > 0, from.address.port())).await;
            let again =
                from.admin().await.get(&format!("/api/v1/users/{}", user["userId"])).await.expect(200);
            assert_eq!(again.body, user);
        }
        let expiries = t.database.rows("SELECT min(expires_at), max(expires_at) FROM access_tokens");
        let [from, to] = [0, 1].map(|n| expiries[0][n].parse::<i64>().unwrap());
        assert!(to - from < 10 * MINUTE, "all end half an hour after they were given: {expiries:?}");
        let warned = other.log().lines().any(|line| {
            line.contains("clock differs from the database's")
                && line.split("ahead_by_ms=").nth(1).is_some_and(|ms| {
                    ms.split_whitespace()
                        .next()
                        .and_then(|ms| ms.parse().ok())
                        .is_some_and(|ms: i64| (ms - wrong).abs() < MINUTE)
                })
        });
        assert!(warned, "people are told");
    }
}

fn mailer(t: &T) -> Mailer {
    Mailer::Memory(t.mail.clone())
}

async fn mailed(t: &T, count: usize) {
    let admin = t.admin().await;
    for n in 0..count {
        admin.create(&format!("fenna{n}")).await;
    }
}

/// Delivers on a thread of its own, as the worker does.
fn deliver(t: &T) -> tokio::task::JoinHandle<Delivered> {
    let (app, mailer) = (t.app.clone(), mailer(t));
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || runtime.block_on(deliver_due(&app, &mailer)).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_sent_by_one_process() {
    if !is_postgres() {
        return;
    }
    let t = T::start().await;
    let other = t.beside().await;
    mailed(&t, 5).await;
    // While one is at it, with a mail server that takes its time, the other finds nothing.
    t.mail.hold(true);
    let slow = deliver(&t);
    until("the mails are under way", || (t.mail.waiting() == 1).then_some(())).await;
    let meanwhile = deliver(&other).await.unwrap();
    t.mail.hold(false);
    assert_eq!(meanwhile, Delivered::default());
    assert_eq!(slow.await.unwrap(), Delivered { delivered: 5, ..Delivered::default() });
    assert_eq!((t.mail.sent().len(), other.mail.sent().len()), (5, 0));

    // Many, by both at once and again and again: each once.
    t.admin().await.create("joe").await;
    t.database.rows(
        "INSERT INTO outbox (pid, mail_id, user_id, secret, letter, next_attempt_at, expires_at, created_at) \
         SELECT pid, 100000 + n, user_id, secret, letter, next_attempt_at, expires_at, created_at \
         FROM outbox, generate_series(1, 900) n",
    );
    let drain = async |t: &T| {
        let mut done = 0;
        loop {
            let batch = deliver(t).await.unwrap();
            assert_eq!(batch.failed + batch.dead_letters, 0, "{batch:?}");
            done += batch.delivered;
            if !batch.is_full {
                return done;
            }
        }
    };
    let (here, there) = tokio::join!(drain(&t), drain(&other));
    assert_eq!(here + there, 901);
    let mut sent: Vec<i64> =
        t.mail.sent().iter().chain(&other.mail.sent()).map(|m| m.id).filter(|id| *id > 100_000).collect();
    sent.sort_unstable();
    assert_eq!(sent, (100_001..=100_900).collect::<Vec<_>>(), "each once");
    assert_eq!(t.database.number("SELECT count(*) FROM outbox"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_a_dead_worker_are_sent_by_another() {
    if !is_postgres() {
        return;
    }
    let t = T::start().await;
    let other = t.beside().await;
    mailed(&t, 3).await;
    // Taken, and then the process was killed.
    let taken = outbox::take_due(&t.app.store, 2).await.unwrap();
    assert_eq!(taken.len(), 2);
    assert_eq!(deliver(&other).await.unwrap().delivered, 1, "the one that is left");
    t.clock.advance(outbox::LEASE - 1);
    assert_eq!(deliver(&other).await.unwrap(), Delivered::default());
    let due = other.app.store.read(&nobody(), |tx| outbox::next_due(tx)).await.unwrap();
    assert_eq!(due, Some(t.clock.now() + 1), "the other sleeps no longer than that");
    t.clock.advance(1);
    assert_eq!(deliver(&other).await.unwrap().delivered, 2);
    assert_eq!(other.mail.sent().len(), 3);
    assert_eq!(deliver(&t).await.unwrap(), Delivered::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expired_rows_are_removed_once() {
    if !is_postgres() {
        return;
    }
    let t = T::start().await;
    let other = t.beside().await;
    mailed(&t, 30).await;
    for n in 0..20 {
        t.clock.advance(1);
        t.try_login(&format!("nobody{n}"), "wrong").await.expect(400);
    }
    t.clock.advance(32 * DAY);
    t.try_login("nobody", "wrong").await.expect(400);
    let (one, two) = tokio::join!(housekeep(&t.app), housekeep(&other.app));
    // What one was at, the other has passed over: the next round has the rest.
    let done = [one.unwrap(), two.unwrap(), housekeep(&t.app).await.unwrap()];
    let sum = |of: fn(&Housekeeping) -> usize| done.iter().map(of).sum::<usize>();
    assert_eq!(sum(|done| done.mails), 60, "each is overwritten once, and its row removed once");
    assert_eq!(sum(|done| done.failures), 20, "the last one still counts");
    for table in ["outbox", "sessions", "access_tokens", "refresh_tokens"] {
        assert_eq!(t.database.number(&format!("SELECT count(*) FROM {table}")), 0, "{table}");
    }
    assert_eq!(
        t.app.store.read(&nobody(), |tx| login_failures::count(tx, "127.0.0.1", 0)).await.unwrap().0,
        1
    );
}

/// A process that does not deliver mail itself, a command, wakes those that do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_of_a_process_without_a_worker_wakes_the_others() {
    if !is_postgres() {
        return;
    }
    let t = T::start().await;
    let other = t.beside().await;
    let arrived = async || {
        tokio::time::timeout(TIMEOUT, other.app.store.mail_arrived()).await.expect("it is not woken");
    };
    // Once when it begins to listen, since nothing is known of the time before.
    believes(&other, true).await;
    arrived().await;
    for name in ["fenna", "gus"] {
        t.admin().await.create(name).await;
        arrived().await;
    }
}

/// A mail server may take longer than a lease lasts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewed_lease_keeps_mail_from_the_others() {
    if !is_postgres() {
        return;
    }
    let t = T::start().await;
    let other = t.beside().await;
    t.admin().await.create("fenna").await;
    let take = async |t: &T| -> Vec<_> {
        let due = outbox::take_due(&t.app.store, 10).await.unwrap();
        due.into_iter().map(|(entry, _)| entry).collect()
    };
    let taken = take(&t).await;
    assert_eq!(taken.len(), 1);
    for _ in 0..3 {
        t.clock.advance(4 * MINUTE);
        assert!(take(&other).await.is_empty());
        outbox::renew(&t.app.store, &taken).await.unwrap();
    }
    t.clock.advance(4 * MINUTE);
    assert!(take(&other).await.is_empty());
    t.clock.advance(MINUTE);
    assert_eq!(take(&other).await.len(), 1);
}
