//! Several processes on one database: one of them carries an operation out.

use reqwest::Method;
use serde_json::json;
use tenantry_domain::bulk_operations::take_up;

use super::{DELETE, MANY, broken_off, count, named, pending};
use crate::binary::TIMEOUT;
use crate::databases::is_postgres;
use crate::fixtures::seed;
use crate::harness::{START, T};
use crate::races::Holder;

/// A server whose large deletion stopped before its first step.
async fn with_broken_off_deletion() -> T {
    let t = T::start().await;
    seed(&t, 1, "seed", MANY, Vec::new()).await;
    let request = t.admin().await.request(Method::POST, DELETE).json(&named(&t, "seed"));
    broken_off(&t, request).await;
    t
}

/// Two processes: what one leaves the other takes up, at once when it was released, else when its lease is over; and
/// only one of them.
#[tokio::test]
async fn another_process_resumes_it() {
    if !is_postgres() {
        return;
    }
    let t = with_broken_off_deletion().await;
    let (one, two) = (t.beside().await, t.beside().await);
    // As one that was killed leaves it.
    t.run_sql(&format!("UPDATE bulk_operations SET owner = 'dead', lease_until = {}", START + 30_000));
    assert!(take_up(&one.app).await.unwrap().is_empty());
    t.clock.advance(30_001);
    let (first, second) = tokio::join!(take_up(&one.app), take_up(&two.app));
    let mut tasks: Vec<_> = first.unwrap().into_iter().chain(second.unwrap()).collect();
    assert_eq!(tasks.len(), 1);
    assert_eq!(tasks.remove(0).await.unwrap().unwrap().status, 204);
    assert_eq!((count(&t, "users"), count(&t, "bulk_operations")), (1, 0));
    assert_eq!(count(&t, "events WHERE kind = 'user.deleted'"), 5_001);
}

/// A step keeps the row locked that says which process has the partner's large unit: whoever looks for work meanwhile
/// does not wait for it.
#[tokio::test]
async fn no_process_waits_for_the_step_of_another() {
    if !is_postgres() {
        return;
    }
    let t = with_broken_off_deletion().await;
    let later = START + 60_000;
    t.run_sql(&format!("INSERT INTO large_units (pid, holder, expires_at) VALUES (1, 'other', {later})"));
    let step =
        Holder::lock(&t, "BEGIN; UPDATE large_units SET expires_at = expires_at + 1 WHERE pid = 1").await;
    let beside = t.beside().await;
    let taken = tokio::time::timeout(TIMEOUT, take_up(&beside.app)).await.expect("it waits for the step");
    assert!(taken.unwrap().is_empty());
    drop(step);
}

/// A process that was thought dead does no further step when it comes back.
#[tokio::test]
async fn a_process_that_has_lost_an_operation_does_no_step_of_it() {
    let t = T::start().await;
    let admin = t.admin().await;
    seed(&t, 1, "seed", MANY, Vec::new()).await;
    // As if another process took it over as soon as it stands there.
    if is_postgres() {
        t.run_sql(
            "CREATE FUNCTION other() RETURNS trigger AS $$ BEGIN NEW.owner := 'other'; RETURN NEW; END $$ LANGUAGE plpgsql; \
             CREATE TRIGGER other BEFORE INSERT ON bulk_operations FOR EACH ROW EXECUTE FUNCTION other()",
        );
    } else {
        t.run_sql(
            "CREATE TRIGGER other AFTER INSERT ON bulk_operations BEGIN UPDATE bulk_operations SET owner = 'other'; END",
        );
    }
    let response = admin.post(DELETE, &json!(named(&t, "seed"))).await.expect(503);
    assert!(response.text.contains("is carried out by another process"), "{}", response.text);
    assert_eq!((count(&t, "users"), pending(&t)), (5_002, MANY));
}
