//! What others do while a large list is written.

use std::collections::BTreeSet;

use super::*;
use tenantry_core::model::{GroupId, ObjectId, ObjectPermissions, PartnerId, UserId};
use tenantry_domain::idempotency::{self, Storable};
use tenantry_domain::permission_lists::{self, Replacement};
use tenantry_domain::unit::{Done, WriteOptions};
use tenantry_domain::{groups, unit};
use tenantry_store::access::{Admin, Operator};
use tenantry_store::engine::sequences::FreshIds;
use tenantry_store::engine::tx::Tx;

/// Another partner's small writes are answered between the steps of a large list: counted by the steps, not by time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_writes_of_others_run_between_the_steps() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (_, olga) = t.other_partner("acme").await;
    let (group, _) = group_with(&t, &admin, &json!([])).await;
    // More than one step holds, also while nobody waits.
    let put = replace(&admin, group, &list(0..7_000, &["READ", "WRITE", "DELETE"]), None);
    let mut between = BTreeSet::new();
    let mut count = 0;
    let look = async || {
        if let [(STAGED, steps)] = unsettled(&t).as_slice() {
            count += 1;
            olga.create(&format!("olga-{count}")).await;
            assert_eq!(unsettled(&t), [(STAGED, *steps)], "it came between two steps");
            between.insert(*steps);
        }
    };
    step_by_step(&t, || put.is_finished(), look).await;
    put.await.unwrap().expect(200);
    assert!(between.len() >= 3, "before the first step, between two, and before the switch: {between:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_condition_that_no_longer_holds_discards_the_new_list() {
    let t = T::start().await;
    let admin = t.admin().await;
    let old = list(0..LARGE, &["READ"]);
    let (group, user) = group_with(&t, &admin, &old).await;
    let at = format!("{GROUPS}/{group}");
    let tag = admin.get(&at).await.header("etag").to_owned();
    let put = replace(&admin, group, &list(0..LARGE, &["WRITE"]), Some(&tag));
    let pause = stop_when(&t, |changes| matches!(changes, [(STAGED, 1..)])).await;
    // Whatever raises the version.
    admin.patch(&at, &json!({ "description": "other" })).await.expect(200);
    drop(pause);
    put.await.unwrap().expect(412);
    assert_settled(&t);
    assert_eq!(admin.get(&path(group)).await.expect(200).body, old);
    assert_eq!(decisions(&admin, user, &[("WRITE", 0), ("READ", 0)]).await, [false, true]);
    let rows = t.ask_sql("SELECT count(*) FROM group_permissions");
    assert_eq!(rows, [[LARGE.to_string()]]);
}

/// A small list replaces a group's while a large one is staged for it: the large one is written anew and comes last, as
/// if it had been sent a moment later; on a condition it is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_list_in_between_is_not_lost_in_the_large_one() {
    let t = T::start().await;
    let admin = t.admin().await;
    let old = list(0..100, &["READ"]);
    let (group, user) = group_with(&t, &admin, &old).await;
    let large = list((0..LARGE).rev(), &["READ", "WRITE"]);
    // It has rows that the staged list adds, one that it keeps, and one of its own.
    let small = list([50, 200, 9_999].into_iter(), &["WRITE"]);
    let put = |tag: Option<String>| replace(&admin, group, &large, tag.as_deref());

    let tag = admin.get(&format!("{GROUPS}/{group}")).await.header("etag").to_owned();
    let conditional = put(Some(tag));
    let pause = stop_when(&t, |changes| matches!(changes, [(STAGED, 1..)])).await;
    assert!(t.ask_sql("SELECT count(*) FROM group_permissions WHERE change > 0")[0][0] != "0");
    // The table has many rows by now, and those of the staged list are not the group's.
    let next = t.app.store.clone();
    let rights = Operator::of_this_machine().as_admin_of(PartnerId(1));
    let entry = |id: i64| ObjectPermissions {
        object_type: String::from("SEGMENT"),
        object_id: ObjectId { text: id.to_string(), is_number: true },
        permissions: vec![String::from("WRITE")],
    };
    let entries: Vec<_> = [50, 200, 9_999].into_iter().map(entry).collect();
    tenantry_domain::unit::write(&next, &rights, move |tx| {
        tenantry_domain::permissions::replace(tx, GroupId(group), &entries)
    })
    .await
    .unwrap();
    assert_eq!(admin.get(&path(group)).await.expect(200).body, small);
    let asked = [("READ", 50), ("WRITE", 50), ("WRITE", 200), ("WRITE", 9_999), ("WRITE", 7)];
    assert_eq!(decisions(&admin, user, &asked).await, [false, true, true, true, false]);
    drop(pause);
    conditional.await.unwrap().expect(412);
    assert_settled(&t);
    assert_eq!(admin.get(&path(group)).await.expect(200).body, small);
    assert_eq!(t.ask_sql("SELECT count(*) FROM group_permissions"), [["3"]]);

    admin.put(&path(group), &old).await.expect(200);
    let last = put(None);
    let pause = stop_when(&t, |changes| matches!(changes, [(STAGED, 1..)])).await;
    let entries = vec![entry(50), entry(9_999)];
    tenantry_domain::unit::write(&next, &rights, move |tx| {
        tenantry_domain::permissions::replace(tx, GroupId(group), &entries)
    })
    .await
    .unwrap();
    drop(pause);
    last.await.unwrap().expect(200);
    assert_settled(&t);
    assert_eq!(admin.get(&path(group)).await.expect(200).body, large);
    let events = admin.events().await;
    let [.., small, large] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(small["after"]["permissions"].as_array().unwrap().len(), 2);
    // What the large one replaced is what was there at the switch.
    assert_eq!(large["before"]["permissions"], small["after"]["permissions"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_a_group_deletes_its_staged_list() {
    let t = T::start().await;
    let admin = t.admin().await;
    for bulk in [false, true] {
        let (group, user) = group_with(&t, &admin, &list(0..LARGE, &["READ"])).await;
        let put = replace(&admin, group, &list(0..LARGE, &["WRITE"]), None);
        let pause = stop_when(&t, |changes| matches!(changes, [(STAGED, 1..)])).await;
        // Over HTTP its deletion would wait, since it is a large unit itself.
        let rights = Operator::of_this_machine().as_admin_of(PartnerId(1));
        let delete = move |tx: &mut Tx<'_, Admin>| match bulk {
            true => groups::delete_many(tx, &[group]),
            false => groups::delete(tx, GroupId(group)),
        };
        unit::write(&t.app.store, &rights, delete).await.unwrap();
        drop(pause);
        assert_eq!(put.await.unwrap().expect(400).faults(), ["groupId unknown-group"]);
        assert_settled(&t);
        assert_eq!(t.ask_sql("SELECT count(*) FROM group_permissions"), [["0"]]);
        assert_eq!(decisions(&admin, user, &[("READ", 0), ("WRITE", 0)]).await, [false, false]);
        // The next one of the partner does not wait for it.
        let (group, _) = group_with(&t, &admin, &json!([])).await;
        admin.put(&path(group), &list(0..LARGE, &["READ"])).await.expect(200);
        admin.delete(&format!("{GROUPS}/{group}")).await.expect(204);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partner_has_one_large_list_at_a_time() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (_, olga) = t.other_partner("acme").await;
    let theirs = olga.create_group("Theirs").await;
    let (one, _) = group_with(&t, &admin, &json!([])).await;
    let (two, _) = group_with(&t, &admin, &json!([])).await;
    let next = list(0..LARGE, &["READ"]);
    let puts = [
        replace(&admin, one, &next, None),
        replace(&admin, two, &next, None),
        replace(&admin, one, &next, None),
        replace(&olga, theirs, &next, None),
    ];
    let mut most = 0;
    let look = async || {
        let ours = t.ask_sql("SELECT count(*) FROM permission_changes WHERE pid = 1");
        most = most.max(ours[0][0].parse::<i64>().unwrap());
    };
    step_by_step(&t, || puts.iter().all(|put| put.is_finished()), look).await;
    for put in puts {
        assert_eq!(put.await.unwrap().expect(200).body, next);
    }
    assert_eq!(most, 1);
    for (by, group) in [(&admin, one), (&admin, two), (&olga, theirs)] {
        assert_eq!(by.get(&path(group)).await.expect(200).body, next);
    }
    assert_settled(&t);
    assert_eq!(t.ask_sql("SELECT count(*) FROM large_units"), [["0"]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_large_lists_of_a_partner_get_retry_after() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (_, olga) = t.other_partner("acme").await;
    let theirs = olga.create_group("Theirs").await;
    let (group, _) = group_with(&t, &admin, &json!([])).await;
    let held = t.app.large_units.begin(&t.app.store, PartnerId(1)).await.unwrap();
    let next = list(0..LARGE, &["READ"]);
    let puts: Vec<_> = (0..17).map(|_| replace(&admin, group, &next, None)).collect();
    // Sixteen wait; one of the seventeen is refused, whichever came last.
    while !puts.iter().any(|put| put.is_finished()) {
        tokio::task::yield_now().await;
    }
    // Others are not kept waiting, and small lists go on.
    olga.put(&path(theirs), &next).await.expect(200);
    admin.put(&path(group), &list(0..3, &["READ"])).await.expect(200);
    held.end(&t.app.store).await;
    let mut refused = 0;
    for put in puts {
        let response = put.await.unwrap();
        if response.status == 503 {
            assert_eq!(response.header("retry-after"), "5");
            refused += 1;
        } else {
            response.expect(200);
        }
    }
    assert_eq!(refused, 1);
}

/// Where processes share a database, the other one's large unit is waited for; what is left of one that crashed is
/// taken over when its lease has expired.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_share_the_one_large_unit_of_a_partner() {
    if !is_postgres() {
        return;
    }
    let t = T::start().await;
    let other = t.beside().await;
    let held = t.app.large_units.begin(&t.app.store, PartnerId(1)).await.unwrap();
    let there = &other.app.large_units;
    assert!(there.try_begin(&other.app.store, PartnerId(1)).await.unwrap().is_none());
    let of_another = there.try_begin(&other.app.store, PartnerId(2)).await.unwrap();
    of_another.expect("partners do not wait for each other").end(&other.app.store).await;
    t.clock.advance(61_000);
    let taken = there.try_begin(&other.app.store, PartnerId(1)).await.unwrap().unwrap();
    let admin = Operator::of_this_machine().as_admin_of(PartnerId(1));
    let late = held.step(&t.app.store, &admin, |_| Ok(())).await;
    assert!(matches!(late, Err(tenantry_core::error::Error::Unavailable { .. })), "{late:?}");
    held.end(&t.app.store).await;
    taken.step(&other.app.store, &admin, |_| Ok(())).await.unwrap();
    taken.end(&other.app.store).await;
    assert!(t.app.large_units.try_begin(&t.app.store, PartnerId(1)).await.unwrap().is_some());
}

/// A server of an earlier version beside this one would take staged rows for the list: lists of any size are then
/// written in one transaction.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_staged_beside_a_server_of_an_earlier_version() {
    if !is_postgres() {
        return;
    }
    let t = T::start().await;
    let admin = t.admin().await;
    let (group, _) = group_with(&t, &admin, &json!([])).await;
    let mut config: tokio_postgres::Config = t.database.url().unwrap().parse().unwrap();
    let (older, connection) =
        config.application_name("tenantry").connect(tokio_postgres::NoTls).await.unwrap();
    let driving = tokio::spawn(connection);
    // No step can begin, and none is needed.
    let pause = t.app.large_units.pause().await.unwrap();
    let next = list(0..LARGE, &["READ"]);
    admin.put(&path(group), &next).await.expect(200);
    assert_eq!(admin.get(&path(group)).await.expect(200).body, next);
    drop(pause);
    drop(older);
    let _ = driving.await;
    while t.ask_sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tenantry' AND datname = current_database()")
        != [["0"]]
    {
        tokio::task::yield_now().await;
    }
    let put = replace(&admin, group, &list(0..LARGE, &["WRITE"]), None);
    drop(stop_when(&t, |changes| matches!(changes, [(STAGED, 1..)])).await);
    put.await.unwrap().expect(200);
}

#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Text(String);

impl Storable for Text {
    fn length(&self) -> usize {
        self.0.len()
    }

    fn users(&self) -> Vec<(PartnerId, UserId)> {
        Vec::new()
    }

    fn hide_ids(&mut self, _: &FreshIds) {}
}

/// What is stored for an `Idempotency-Key` comes with the switch: not before it, and never without it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stored_response_is_written_with_the_switch() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (group, _) = group_with(&t, &admin, &json!([])).await;
    let by = Operator::of_this_machine().as_admin_of(PartnerId(1));
    let entry = |id: i64| ObjectPermissions {
        object_type: String::from("SEGMENT"),
        object_id: ObjectId { text: id.to_string(), is_number: true },
        permissions: vec![String::from("READ")],
    };
    let new = Replacement { group_id: GroupId(group), list: Arc::new((0..LARGE).map(entry).collect()) };
    let replace = async |response: &str| {
        let request = idempotency::IdempotentRequest {
            pid: PartnerId(1),
            caller: "operator",
            method: "PUT",
            path: "/",
            query: "",
            key: "k",
            body: b"[]",
        };
        let key = Some(t.app.keys_in_use.acquire(request).await.unwrap());
        let options = WriteOptions { idempotency_key: key, ..WriteOptions::default() };
        let response = Text(response.to_owned());
        permission_lists::replace(&t.app.store, &t.app.large_units, &by, options, new.clone(), response).await
    };
    let kept = || t.ask_sql("SELECT count(*) FROM kept_answers")[0][0].clone();
    let first = replace("first");
    let watch = async {
        let pause = stop_when(&t, |changes| matches!(changes, [(STAGED, 1..)])).await;
        assert_eq!(kept(), "0");
        drop(pause);
        let pause = stop_when(&t, |changes| matches!(changes, [(IN_FORCE, _)])).await;
        assert_eq!(kept(), "1");
        drop(pause);
    };
    let (first, ()) = tokio::join!(first, watch);
    assert!(matches!(first.unwrap(), Done::Now(Text(text)) if text == "first"));
    admin.put(&path(group), &json!([])).await.expect(200);
    // Sent again it is not done again.
    assert!(matches!(replace("second").await.unwrap(), Done::Replayed(Text(text)) if text == "first"));
    assert_eq!(admin.get(&path(group)).await.expect(200).body, json!([]));
    assert_settled(&t);
}
