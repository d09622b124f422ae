//! The connection to the database is lost: what was asked meanwhile is refused with a reason and a time, and service
//! goes on by itself. With a real server that dies: scripts/test-failover.

use serde_json::json;
use tenantry::config::{Config, DatabaseUrl};
use tokio::time::timeout;

use crate::binary::{TIMEOUT, until};
use crate::databases::{is_postgres, parsed};
use crate::fixtures::with;
use crate::harness::{T, TestResponse, new_user};
use crate::proxy::Proxy;

/// A server that reaches its database through a proxy.
async fn through_a_proxy(change: impl FnOnce(&mut Config)) -> (T, Proxy) {
    let mut proxy = None;
    let t = T::with(|config| {
        change(config);
        let DatabaseUrl::Postgres(url) = &config.database_url else {
            panic!("it is {}", config.database_url)
        };
        let url = url.expose();
        let (start, end) = (url.rfind('@').unwrap() + 1, url.rfind('/').unwrap());
        let made = Proxy::to(&url[start..end]);
        config.database_url = parsed(&format!("{}{}{}", &url[..start], made.address, &url[end..]));
        proxy = Some(made);
    })
    .await;
    (t, proxy.unwrap())
}

#[track_caller]
fn assert_come_again(response: &TestResponse) {
    assert_eq!((response.status.as_u16(), response.header("retry-after")), (503, "1"), "{}", response.text);
}

#[tokio::test]
async fn a_change_whose_connection_is_cut_is_refused_at_once_and_not_stored() {
    if !is_postgres() {
        return;
    }
    // Who waits for a time to run out here waits longer than this test does.
    let (t, proxy) = through_a_proxy(|config| config.database_timeout_seconds = 240).await;
    let admin = t.admin().await;
    let user = admin.create("fenna").await;

    // Somebody else holds the row, so the change waits inside the database.
    let url = t.database.url().unwrap();
    let (holder, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    let holding = tokio::spawn(connection);
    holder.batch_execute("BEGIN; SELECT FROM users WHERE username = 'fenna' FOR UPDATE").await.unwrap();
    let waiting =
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let cut = async {
        let look = || Some(t.database.ask(t.dir.path(), waiting)).filter(|rows| !rows.is_empty());
        until("the change waits for the row", look).await;
        proxy.cut();
    };
    let path = format!("/api/v1/users/{}", user["userId"]);
    let body = with(&user, json!({ "title": "Dr" }));
    let (response, ()) =
        timeout(TIMEOUT, async { tokio::join!(admin.put(&path, &body), cut) }).await.unwrap();
    assert_come_again(&response);

    drop(holder);
    holding.await.unwrap().unwrap();
    proxy.accept();
    assert_eq!(admin.get(&path).await.expect(200).body["title"], json!(null));
    assert_eq!(admin.put(&path, &body).await.expect(200).body["title"], json!("Dr"));
}

#[tokio::test]
async fn without_its_database_the_server_stays_up_and_sends_retry_after() {
    if !is_postgres() {
        return;
    }
    let (t, proxy) = through_a_proxy(|_| {}).await;
    let admin = t.admin().await;
    admin.create("fenna").await;

    // Connections that were lost while nobody used them are nobody's trouble.
    proxy.cut();
    proxy.accept();
    admin.get("/api/v1/users?page=0").await.expect(200);
    proxy.cut();
    proxy.accept();
    admin.post("/api/v1/users/", &new_user("tjerk")).await.expect(201);

    proxy.cut();
    let nobody = t.anonymous();
    nobody.get("/healthz").await.expect(200);
    assert_come_again(&nobody.get("/readyz").await);
    assert_come_again(&admin.get("/api/v1/users?page=0").await);
    // Its head is sent when the first rows are there, so that this is a response and not one that breaks off.
    assert_come_again(&admin.get("/api/v1/users/").await);
    assert_come_again(&admin.post("/api/v1/users/", &new_user("sjoukje")).await);
    assert_come_again(&t.try_login("fenna", "no matter").await);

    proxy.accept();
    nobody.get("/readyz").await.expect(200);
    assert_eq!(admin.get("/api/v1/users?page=0").await.expect(200).body["total"], 3);
    admin.post("/api/v1/users/", &new_user("sjoukje")).await.expect(201);
}
