//! Lists of permissions that are too large for one transaction: staged beside the list in force, switched at once, and
//! settled afterwards.

mod crashes;
mod meanwhile;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::Method;
use serde_json::{Value, json};

use crate::databases::is_postgres;
use crate::fixtures::with;
use crate::harness::{Person, T, TestResponse, new_user};

const GROUPS: &str = "/api/v1/groups";

/// The smallest list that is written in steps.
const LARGE: i64 = 5_001;

/// So many segments, each with these permissions.
fn list(ids: impl Iterator<Item = i64>, permissions: &[&str]) -> Value {
    let entry = |id| json!({ "objectType": "SEGMENT", "objectId": id, "permissions": permissions });
    Value::Array(ids.map(entry).collect())
}

fn path(group: i64) -> String {
    format!("{GROUPS}/{group}/permissions")
}

/// Replaces a list in the background; the condition is the tag that the group must have.
fn replace(
    by: &Person<'_>,
    group: i64,
    list: &Value,
    if_match: Option<&str>,
) -> tokio::task::JoinHandle<TestResponse> {
    let request = by
        .request(Method::PUT, &path(group))
        .header("content-type", "application/json")
        .body(list.to_string());
    let request = match if_match {
        Some(tag) => request.header("if-match", tag),
        None => request,
    };
    tokio::spawn(async move { TestResponse::of(request.send().await.unwrap()).await })
}

/// The states of all unsettled changes, and how many steps each has written.
fn unsettled(t: &T) -> Vec<(i64, i64)> {
    let rows = t.ask_sql("SELECT state, steps FROM permission_changes ORDER BY pid, group_id");
    rows.iter().map(|row| (row[0].parse().unwrap(), row[1].parse().unwrap())).collect()
}

const STAGED: i64 = 0;
const IN_FORCE: i64 = 1;

/// Nothing is left of a change that is not in force, and no row waits for anything.
fn assert_settled(t: &T) {
    assert_eq!(unsettled(t), []);
    let left = "SELECT count(*) FROM group_permissions WHERE change < 0 OR next_entry IS NOT NULL \
                OR next_place IS NOT NULL OR next_is_number IS NOT NULL";
    assert_eq!(t.ask_sql(left), [["0"]]);
}

/// Lets one step after the other happen until `is_over`, and looks between any two.
async fn step_by_step(t: &T, is_over: impl Fn() -> bool, mut look: impl AsyncFnMut()) {
    while !is_over() {
        let pause = t.app.large_units.pause().await.unwrap();
        look().await;
        drop(pause);
    }
}

/// Lets one step after the other happen until there is what it looks for, and keeps the next one from beginning.
async fn stop_when(t: &T, is_there: impl Fn(&[(i64, i64)]) -> bool) -> tokio::sync::OwnedSemaphorePermit {
    loop {
        let pause = t.app.large_units.pause().await.unwrap();
        if is_there(&unsettled(t)) {
            return pause;
        }
        drop(pause);
        tokio::task::yield_now().await;
    }
}

/// Whether a user has each of these permissions on segments, decided on one state of the data.
async fn decisions(admin: &Person<'_>, user: i64, asked: &[(&str, i64)]) -> Vec<bool> {
    let evaluations: Vec<Value> = asked
        .iter()
        .map(|(action, id)| {
            json!({ "action": { "name": action }, "resource": { "type": "SEGMENT", "id": id.to_string() } })
        })
        .collect();
    let body = json!({ "subject": { "type": "user", "id": user.to_string() }, "evaluations": evaluations });
    let response = admin.post("/access/v1/evaluations", &body).await.expect(200);
    let decisions = response.body["evaluations"].as_array().unwrap();
    decisions.iter().map(|decision| decision["decision"].as_bool().unwrap()).collect()
}

/// Partner 1 with a user in a group that has `list`.
async fn group_with(t: &T, admin: &Person<'_>, list: &Value) -> (i64, i64) {
    let group = admin.create_group(&format!("Group {}", t.app.random.token::<4>())).await;
    let user = with(&new_user(&format!("user-{group}")), json!({ "groups": [group] }));
    let user = admin.create_with(&user).await["userId"].as_i64().unwrap();
    admin.put(&path(group), list).await.expect(200);
    (group, user)
}

/// All that is told of a group's list, and of what its user may do.
async fn seen(admin: &Person<'_>, group: i64, user: i64) -> Value {
    let holders = |permission: &str, id: i64| {
        format!("/api/v1/permissions/holders?objectType=SEGMENT&objectId={id}&permission={permission}")
    };
    let mut totals = Vec::new();
    for id in [0, LARGE - 1, LARGE, 2 * LARGE] {
        for permission in ["READ", "WRITE"] {
            totals.push(admin.get(&holders(permission, id)).await.expect(200).body["total"].clone());
            let question = json!({
                "subject": { "type": "user", "id": user }, "action": { "name": permission },
                "resource": { "type": "SEGMENT", "id": id },
            });
            let why = admin.post("/access/v1/evaluation?explain=true", &question).await.expect(200).body;
            totals.push(json!(why["context"]["sources"].as_array().map(Vec::len)));
        }
    }
    let effective = admin.get(&format!("/api/v1/users/{user}/permissions?pageSize=3")).await.expect(200);
    let deletion = admin.delete(&format!("{GROUPS}/{group}?dryRun=true")).await.expect(200);
    json!({
        "list": admin.get(&path(group)).await.expect(200).body,
        "holders": totals,
        "effective": effective.body,
        "deletion": deletion.body["effects"]["counts"]["permissions"],
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_list_is_switched_atomically_for_every_reader() {
    let t = T::start().await;
    let admin = t.admin().await;
    let old = list(0..LARGE, &["READ"]);
    // Half of the old entries go, and all that stay stand elsewhere.
    let new = list((LARGE / 2..2 * LARGE).rev(), &["WRITE", "READ"]);
    let (group, user) = group_with(&t, &admin, &old).await;
    assert_settled(&t);
    let before = seen(&admin, group, user).await;
    assert_eq!((&before["list"], &before["deletion"]), (&old, &json!(LARGE)));
    let version = admin.get(&format!("{GROUPS}/{group}")).await.header("etag").to_owned();

    let put = replace(&admin, group, &new, None);
    let mut looks = Vec::new();
    let look = async || looks.push((unsettled(&t), seen(&admin, group, user).await));
    step_by_step(&t, || put.is_finished(), look).await;
    let response = put.await.unwrap().expect(200);
    assert_eq!(response.body, new);
    let after = seen(&admin, group, user).await;
    assert_eq!(after["list"], new);
    assert_settled(&t);
    assert_ne!(admin.get(&format!("{GROUPS}/{group}")).await.header("etag"), version);

    let mut last = STAGED - 1;
    for (states, seen) in looks {
        let [(state, _)] = states.as_slice() else { continue };
        assert_eq!(&seen, if *state == STAGED { &before } else { &after }, "{states:?}");
        assert!(*state >= last, "what is in force stays so");
        last = *state;
    }
    assert_eq!(last, IN_FORCE, "it was looked at before and after the switch");
    let events = admin.events().await;
    let kinds: Vec<&Value> = events.iter().map(|e| &e["type"]).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "group.permissions_changed").count(), 2);
    let event = events.last().unwrap();
    assert_eq!(event["after"]["permissions"].as_array().unwrap().len(), new.as_array().unwrap().len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evaluations_beside_a_change_find_one_list_or_the_other() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (old, new) = (list(0..LARGE, &["READ"]), list((0..LARGE).rev(), &["WRITE"]));
    let (group, user) = group_with(&t, &admin, &old).await;
    let asked = [("READ", 0), ("READ", LARGE - 1), ("WRITE", 0), ("WRITE", LARGE - 1)];
    let (is_old, is_new) = (vec![true, true, false, false], vec![false, false, true, true]);
    for (next, was) in [(&new, &is_old), (&old, &is_new), (&json!([]), &is_old)] {
        assert_eq!(&decisions(&admin, user, &asked).await, was);
        let put = replace(&admin, group, next, None);
        while !put.is_finished() {
            let decided = decisions(&admin, user, &asked).await;
            let is_none = next == &json!([]) && decided == [false; 4];
            assert!(decided == is_old || decided == is_new || is_none, "{decided:?}");
        }
        assert_eq!(put.await.unwrap().expect(200).body, *next);
    }
    assert_eq!(decisions(&admin, user, &asked).await, [false; 4]);
    assert_eq!(t.ask_sql("SELECT count(*) FROM group_permissions"), [["0"]]);
}

#[tokio::test]
async fn lists_of_any_size_are_returned_as_they_were_sent() {
    let t = T::start().await;
    let admin = t.admin().await;
    let mut spelled = list(0..LARGE, &["READ"]);
    spelled[7]["objectId"] = json!("7");
    spelled[8]["permissions"] = json!(["WRITE", "READ"]);
    let mut swapped = spelled.clone();
    swapped[8]["permissions"] = json!(["READ", "WRITE"]);
    swapped[7]["objectId"] = json!(7);
    let mut rotated: Vec<i64> = (0..LARGE).collect();
    rotated.rotate_left(1);
    let (group, user) = group_with(&t, &admin, &json!([])).await;
    let versions =
        async || admin.get(&format!("{GROUPS}/{group}")).await.expect(200).header("etag").to_owned();
    for next in [
        spelled,
        swapped,
        list(rotated.into_iter(), &["READ"]),
        list(0..LARGE, &["DELETE", "READ", "WRITE", "CREATE"]),
        list(3..10, &["READ"]),
        list(0..3, &["WRITE", "READ"]),
        list(LARGE..2 * LARGE, &["READ"]),
        json!([]),
    ] {
        let before = versions().await;
        admin.put(&path(group), &next).await.expect(200);
        assert_eq!(admin.get(&path(group)).await.expect(200).body, next);
        assert_settled(&t);
        let changed = versions().await;
        assert_ne!(changed, before);
        // The same again is no change.
        assert_eq!(admin.put(&path(group), &next).await.expect(200).body, next);
        assert_eq!(versions().await, changed);
        let total = next
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["permissions"].as_array().unwrap().len())
            .sum::<usize>();
        let effective = admin.get(&format!("/api/v1/users/{user}/permissions?pageSize=1")).await.expect(200);
        assert_eq!(effective.body["total"], total);
    }
    assert_settled(&t);
}

#[tokio::test]
async fn an_invalid_large_list_changes_nothing() {
    let t = T::start().await;
    let admin = t.admin().await;
    let old = list(0..LARGE, &["READ"]);
    let (group, _) = group_with(&t, &admin, &old).await;
    let seen = admin.events().await.len();
    let mut bad = list(0..2 * LARGE, &["WRITE"]);
    bad[10_000]["permissions"] = json!(["FLY"]);
    bad[10_001]["objectId"] = json!("");
    // No step is needed to say so.
    let pause = t.app.large_units.pause().await.unwrap();
    let faults = admin.put(&path(group), &bad).await.expect(400).faults();
    assert_eq!(faults, ["/10000/permissions unknown-permission", "/10001/objectId empty"]);
    drop(pause);
    assert_eq!(admin.put(&path(999), &old).await.expect(400).faults(), ["groupId unknown-group"]);
    assert_eq!(
        replace(&admin, group, &list(0..LARGE, &["WRITE"]), Some("\"g1-0\"")).await.unwrap().status,
        412
    );
    assert_eq!(admin.get(&path(group)).await.expect(200).body, old);
    assert_eq!(admin.events().await.len(), seen);
    assert_settled(&t);
}

/// A dry run of a large list only reads: nobody waits for it, and it waits for nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_does_not_enter_the_writer() {
    let t = T::start().await;
    let admin = t.admin().await;
    let old = list(0..LARGE, &["READ"]);
    let (group, _) = group_with(&t, &admin, &old).await;
    let next = list(0..LARGE, &["WRITE"]);
    // The writer is busy until this test lets it go.
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let (wait, is_busy) = (std::sync::Mutex::new(wait), Arc::new(AtomicBool::new(false)));
    let (store, begun) = (t.app.store.clone(), Arc::clone(&is_busy));
    let busy = tokio::spawn(async move {
        let work = move |_: &mut tenantry_store::engine::tx::Tx<'_, _>| {
            begun.store(true, Ordering::SeqCst);
            let _ = wait.lock().unwrap().recv();
            Ok(())
        };
        tenantry_domain::unit::write_large(&store, &tenantry_store::access::nobody(), work).await
    });
    while !is_busy.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
    let dry = format!("{}?dryRun=true", path(group));
    let response = admin.put(&dry, &next).await.expect(200);
    assert_eq!((&response.body["status"], &response.body["result"]), (&json!(200), &next));
    let tag = async |tag: String| {
        let request = admin.request(Method::PUT, &dry).header("if-match", tag);
        let request = request.header("content-type", "application/json").body(next.to_string());
        TestResponse::of(request.send().await.unwrap()).await
    };
    let present = admin.get(&format!("{GROUPS}/{group}")).await.header("etag").to_owned();
    tag(present).await.expect(200);
    tag(String::from("\"g1-0\"")).await.expect(412);
    let unknown = format!("{}?dryRun=true", path(999));
    assert_eq!(admin.put(&unknown, &next).await.expect(400).faults(), ["groupId unknown-group"]);
    drop(go);
    busy.await.unwrap().unwrap();
    assert_eq!(admin.get(&path(group)).await.expect(200).body, old);
    // What it told is what happens.
    assert_eq!(admin.put(&path(group), &next).await.expect(200).body, response.body["result"]);
}
