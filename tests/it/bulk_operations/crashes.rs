//! Operations whose server is killed, or stops, in the middle: the next one ends them.

use std::collections::BTreeSet;

use super::*;
use crate::binary::{GIVEN, Home, Process, until};

/// A home with many users in it, and their numbers.
async fn populated(home: &Home, count: usize) -> (Process, Vec<i64>) {
    let server = home.serve();
    let rows: String = (0..count)
        .map(|n| with(&new_user(&format!("user{n:05}")), json!({ "status": "INACTIVE" })).to_string() + "\n")
        .collect();
    let users = {
        let admin = server.admin().await;
        let body = Some(rows.into_bytes());
        let done = admin.send(Method::POST, "/api/v1/users/import", body, "application/x-ndjson").await;
        assert_eq!(done.expect(200).body["created"], count);
        ids(&admin.everybody().await).into_iter().filter(|id| *id != 1).collect()
    };
    (server, users)
}

/// Ids that are still to be done, in the file of a server; none when no operation is under way.
fn to_be_done(home: &Home) -> Option<usize> {
    let file = rusqlite::Connection::open(home.data().join("tenantry.db")).unwrap();
    let left: i64 = file.query_row("SELECT count(*) FROM bulk_operations", [], |row| row.get(0)).unwrap();
    let mut list = file.prepare("SELECT ids FROM bulk_operation_ids WHERE state = 'pending'").unwrap();
    let rows = list.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let pieces = rows.map(|ids| serde_json::from_str::<Vec<i64>>(&ids.unwrap()).unwrap().len());
    let pending = pieces.sum();
    (left > 0).then_some(pending)
}

/// Has a server delete many users and calls `end` once it has done some of them.
async fn deleted_until(home: &Home, server: Process, users: &[i64], end: impl FnOnce(Process)) {
    let token = server.admin().await.token.unwrap();
    let (address, body) = (server.address, json!(users));
    let asking = tokio::spawn(async move {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let admin = Person::over(&http, address, Some(&token));
        let request = admin.request(Method::POST, DELETE).header("idempotency-key", "crash").json(&body);
        let _ = request.send().await;
    });
    let is_in_the_middle = || to_be_done(home).filter(|pending| *pending < users.len());
    until("some are deleted", is_in_the_middle).await;
    tokio::task::block_in_place(|| end(server));
    asking.await.unwrap();
}

/// What was begun ends at the next start: all are gone, each once, and the retry is answered.
async fn ends_at_the_next_start(home: &Home, users: &[i64]) {
    let server = Process::serve(home.path(), &[], &GIVEN);
    until("it has ended", || to_be_done(home).is_none().then_some(())).await;
    let admin = server.admin().await;
    assert_eq!(ids(&admin.everybody().await), [1]);
    assert_eq!(admin.get("/api/v1/users?page=0").await.body["total"], 1);
    let events = admin.get("/api/v1/events?type=user.deleted&pageSize=1000").await.expect(200);
    let page = events.list().iter().map(|event| event["userId"].as_i64().unwrap()).collect::<BTreeSet<_>>();
    assert_eq!(page.len(), 1_000, "each once");
    let file = rusqlite::Connection::open(home.data().join("tenantry.db")).unwrap();
    let sql = "SELECT count(*), count(DISTINCT user_id), (SELECT count(*) FROM deleted_users) FROM events \
               WHERE kind = 'user.deleted' AND actor = 'user:1'";
    let found = file.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    let all = i64::try_from(users.len()).unwrap();
    assert_eq!(found, (all, all, all));
    assert_eq!(keyed(&admin, DELETE, "crash", &json!(users)).await.header("idempotency-replayed"), "true");
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_whose_server_was_killed_ends_at_the_next_start() {
    let home = Home::new();
    let (server, users) = populated(&home, 12_000).await;
    deleted_until(&home, server, &users, |server| {
        assert_eq!(server.kill().code, None, "ended by the signal");
    })
    .await;
    assert!(to_be_done(&home).is_some_and(|pending| pending > 0), "it was in the middle");
    ends_at_the_next_start(&home, &users).await;
}

/// A server that is asked to stop does so in time, however much is still to be done.
#[tokio::test(flavor = "multi_thread")]
async fn an_operation_in_progress_does_not_prevent_a_server_from_stopping() {
    let home = Home::new();
    let (server, users) = populated(&home, 12_000).await;
    deleted_until(&home, server, &users, |server| {
        assert_eq!(server.terminate().code, Some(0));
    })
    .await;
    ends_at_the_next_start(&home, &users).await;
}
