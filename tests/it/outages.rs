//! A database that goes away, does not answer or has no connection left: right answers or `503`, never a hang, and
//! service goes on by itself.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::binary::{TIMEOUT, until};
use crate::concurrency::responses;
use crate::databases::{is_postgres, parsed};
use crate::harness::{Person, T, TestResponse, new_user};
use crate::races::Holder;

/// The right answer, or one that says when to come again.
#[track_caller]
fn assert_busy_or(response: &TestResponse, status: u16) -> bool {
    if response.status == status {
        return true;
    }
    assert_eq!(response.status, 503, "{}", response.text);
    assert!(response.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0));
    assert_eq!(response.body["code"], "unavailable", "{}", response.text);
    false
}

/// Until there is the right answer again.
async fn recovers(person: &Person<'_>, path: &str) {
    let asked = async {
        while !assert_busy_or(&person.get(path).await, 200) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(TIMEOUT, asked).await.is_ok(), "service does not come back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_the_server_closes_under_load_cost_no_right_answer() {
    if !is_postgres() {
        return;
    }
    let t = T::start().await;
    let admin = t.admin().await;
    let (is_over, made) = (AtomicBool::new(false), AtomicUsize::new(0));
    let kill = async {
        let mut kills = 0;
        // Often, and for as long as it takes that something succeeds in between.
        while kills < 12 || made.load(Ordering::SeqCst) < 10 {
            kills += 1;
            t.database.rows(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE datname = current_database() AND pid <> pg_backend_pid()",
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        is_over.store(true, Ordering::SeqCst);
    };
    let write = async |of: usize| {
        let mut outcomes = BTreeMap::new();
        for n in 0.. {
            if is_over.load(Ordering::SeqCst) {
                break;
            }
            let name = format!("user{of}-{n}");
            let response = admin.post("/api/v1/users", &new_user(&name)).await;
            let is_made = assert_busy_or(&response, 201);
            made.fetch_add(usize::from(is_made), Ordering::SeqCst);
            outcomes.insert(name, is_made);
        }
        outcomes
    };
    let read = async {
        while !is_over.load(Ordering::SeqCst) {
            for path in ["/api/v1/users/1", "/api/v1/users?page=0", "/api/v1/users/self"] {
                assert_busy_or(&admin.get(path).await, 200);
            }
        }
    };
    let ((), one, two, three, ()) = tokio::join!(kill, write(1), write(2), write(3), read);
    recovers(&admin, "/api/v1/users?page=0").await;
    // What was acknowledged is there, once; what was not is there or not, and whole.
    let outcomes: BTreeMap<String, bool> = [one, two, three].into_iter().flatten().collect();
    let everybody = admin.everybody().await;
    let names: Vec<&str> =
        everybody.as_array().unwrap().iter().map(|user| user["username"].as_str().unwrap()).collect();
    for (name, is_made) in &outcomes {
        let found = names.iter().filter(|n| *n == name).count();
        assert!(if *is_made { found == 1 } else { found <= 1 }, "{name}: {found}");
    }
    let page = admin.get("/api/v1/users?page=0&pageSize=1").await.expect(200).body;
    assert_eq!(page["total"], names.len());
    let events = "SELECT count(*) FROM events WHERE kind = 'user.created'";
    assert_eq!(t.database.number(events), i64::try_from(names.len()).unwrap());
    until("it hears again", || t.app.store.is_cache_believed().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unresponsive_database_is_a_503_until_it_recovers() {
    if !is_postgres() {
        return;
    }
    let t = T::start().await;
    let token = t.admin().await.token.unwrap();
    let (proxy, url) = t.database.behind_proxy();
    let other = t
        .beside_with(t.clock.clone(), |config| {
            config.database_url = parsed(&url);
            config.database_timeout_seconds = 1;
            config.database_wait_ms = 500;
        })
        .await;
    let admin = other.bearer(&token);
    admin.get("/api/v1/users").await.expect(200);
    proxy.silence();
    // More than there are connections: some wait for one, none waits for ever.
    let (body, form) =
        (new_user("fenna"), [("grant_type", "password"), ("username", "a"), ("password", "b")]);
    let nobody = other.anonymous();
    let asked = tokio::time::timeout(TIMEOUT, async {
        let reads = responses((0..12).map(|_| admin.get("/api/v1/users?page=0")));
        let writes = responses((0..12).map(|_| admin.post("/api/v1/users", &body)));
        let (reads, writes, login, ready) =
            tokio::join!(reads, writes, other.token(&form), nobody.get("/readyz"));
        for response in reads.iter().chain(&writes).chain([&login]) {
            assert!(!assert_busy_or(response, 599));
        }
        assert_eq!(ready.status, 503);
        nobody.get("/healthz").await.expect(200);
    });
    assert!(asked.await.is_ok(), "a request hangs");
    proxy.resume();
    recovers(&admin, "/api/v1/users?page=0").await;
    nobody.get("/readyz").await.expect(200);
    // Nothing was done twice, and nothing by half, of what was on its way.
    let response = admin.post("/api/v1/users", &body).await;
    assert!([201, 409].contains(&response.status.as_u16()), "{}", response.text);
    let found = admin.get("/api/v1/users?username=fenna&page=0").await.expect(200).body;
    assert_eq!((&found["total"], found["list"].as_array().unwrap().len()), (&json!(1), 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_without_a_free_connection_is_answered_503() {
    if !is_postgres() {
        return;
    }
    let t = T::with(|config| {
        config.database_pool_size = 2;
        config.database_wait_ms = 100;
        config.database_timeout_seconds = 2;
    })
    .await;
    let admin = t.admin().await;
    let fenna = admin.create("fenna").await;
    let path = format!("/api/v1/users/{}", fenna["userId"]);
    // Somebody holds the row, so whoever deletes it holds the one connection for writing.
    let holder = Holder::lock(&t, "BEGIN; SELECT 1 FROM users WHERE username = 'fenna' FOR UPDATE").await;
    let waits = || {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
            AND wait_event_type = 'Lock'";
        (t.database.number(waiting) > 0).then_some(())
    };
    let others = async {
        until("the connection is in use", waits).await;
        let refused = responses((0..5).map(|n| {
            let (admin, body) = (admin.clone(), new_user(&format!("joe{n}")));
            async move { admin.post("/api/v1/users", &body).await }
        }))
        .await;
        for response in &refused {
            assert!(!assert_busy_or(response, 599), "{}", response.text);
        }
        // Reading has a connection of its own.
        admin.get("/api/v1/users?page=0").await.expect(200);
    };
    let (held, ()) = tokio::join!(admin.delete(&path), others);
    // A lock that somebody else holds is waited for as long as a statement may take.
    assert!(!assert_busy_or(&held, 599), "{}", held.text);
    drop(holder);
    let gone = async {
        while !assert_busy_or(&admin.delete(&path).await, 204) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(TIMEOUT, gone).await.is_ok());
    assert_eq!(admin.everybody().await.as_array().unwrap().len(), 1);
}
