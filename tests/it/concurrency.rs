//! What happens when many do the same at once: exactly what happens when they do it one after the other.

use std::collections::BTreeMap;
use std::task::Poll;

use serde_json::{Value, json};

use crate::fixtures::{ids, with};
use crate::harness::{Person, T, TestResponse, new_user, password_of};

/// How many answers had each status.
pub fn tally(statuses: impl IntoIterator<Item = u16>) -> BTreeMap<u16, usize> {
    let mut tally = BTreeMap::new();
    for status in statuses {
        *tally.entry(status).or_default() += 1;
    }
    tally
}

/// Runs all of these at once.
pub async fn responses<F: Future<Output = TestResponse>>(
    requests: impl IntoIterator<Item = F>,
) -> Vec<TestResponse> {
    together(requests).await
}

/// Runs all of these at once and gives their results in order.
pub async fn together<F: Future>(all: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<_> = all.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = waiting.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (future, result) in waiting.iter_mut().zip(&mut done).filter(|(_, result)| result.is_none()) {
            if let Poll::Ready(ready) = future.as_mut().poll(cx) {
                *result = Some(ready);
            }
        }
        if done.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

/// Runs all of these at once and tells their responses' statuses.
pub async fn all_at_once<F: Future<Output = TestResponse>>(
    requests: impl IntoIterator<Item = F>,
) -> Vec<u16> {
    responses(requests).await.iter().map(|response| response.status.as_u16()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_creates_of_one_username_give_one_user() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (_, olga) = t.other_partner("acme").await;
    let spellings = ["fenna", "FENNA", "Fenna"].into_iter().cycle().take(50);
    let bodies: Vec<Value> =
        spellings.map(|name| with(&new_user("u"), json!({ "username": name }))).collect();
    let people: Vec<&Person<'_>> = (0..50).map(|n| if n % 2 == 0 { &admin } else { &olga }).collect();
    let requests = people.iter().zip(&bodies).map(|(person, body)| person.post("/api/v1/users", body));
    assert_eq!(tally(all_at_once(requests).await), BTreeMap::from([(201, 1), (409, 49)]));
    let found = async |person: &Person<'_>| {
        person.get("/api/v1/users?search=fenna&page=0").await.expect(200).body["total"].as_i64().unwrap()
    };
    assert_eq!(found(&admin).await + found(&olga).await, 1);
    let page = admin.get("/api/v1/users?page=0").await.expect(200).body;
    assert_eq!(page["total"], page["list"].as_array().unwrap().len());
    // One user, one event, one mail.
    let created = t.mails().await.into_iter().filter(|mail| mail.to.name == "Fenna Jansen").count();
    assert_eq!(created, 1);
}

/// Three partners' worth of admins: the first two of partner 1, both ACTIVE and logged in.
pub async fn two_admins(t: &T) -> (Person<'_>, Person<'_>, i64) {
    let admin = t.admin().await;
    let (id, deputy) = t.member("deputy").await;
    let user = admin.get(&format!("/api/v1/users/{id}")).await.expect(200).body;
    admin.put(&format!("/api/v1/users/{id}"), &with(&user, json!({ "isAdmin": true }))).await.expect(200);
    admin.create("member").await;
    (admin, deputy, id)
}

/// Creates that share a transaction share what the database said to one of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn creates_at_once_are_each_allowed_and_numbered_by_themselves() {
    let t = T::start().await;
    let (admin, deputy, id) = two_admins(&t).await;
    let (_, olga) = t.other_partner("acme").await;
    // A caller that is remembered as an admin, so that nothing but the unit itself can find out.
    deputy.get("/api/v1/users?page=0").await.expect(200);
    t.run_sql(&format!("UPDATE users SET is_admin = 0 WHERE user_id = {id}"));
    let people = [&admin, &deputy, &olga];
    let bodies: Vec<Value> = (0..60).map(|n| new_user(&format!("user{n}"))).collect();
    let requests = bodies.iter().enumerate().map(|(n, body)| people[n % 3].post("/api/v1/users", body));
    for (n, made) in responses(requests).await.into_iter().enumerate() {
        if n % 3 == 1 {
            made.expect(403);
            continue;
        }
        let path = format!("/api/v1/users/{}", made.expect(201).body["userId"]);
        let user = people[n % 3].get(&path).await.expect(200).body;
        assert_eq!(user["username"], bodies[n]["username"]);
    }
    for (person, others) in [(&admin, 3), (&olga, 1)] {
        let page = person.get("/api/v1/users?page=0").await.expect(200).body;
        assert_eq!(page["total"], 20 + others);
    }
}

/// Which units only add rows is observed. On PostgreSQL those share transactions; one that also changes a group's number
/// of members has its own, whatever units of its kind did before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn creates_share_transactions_unless_they_change_rows() {
    let t = T::start().await;
    let admin = t.admin().await;
    let group = admin.create_group("Readers").await;
    admin.create("first").await;
    let body = |n: i64, groups: &[i64]| with(&new_user(&format!("user{n}")), json!({ "groups": groups }));
    let plain: Vec<Value> = (0..64).map(|n| body(n, &[])).collect();
    let made = all_at_once(plain.iter().map(|body| admin.post("/api/v1/users", body))).await;
    assert_eq!(tally(made), BTreeMap::from([(201, 64)]));
    let groups = [group];
    let joins = |n: i64| if n % 4 == 0 { groups.as_slice() } else { &[] };
    let mixed: Vec<Value> = (100..164).map(|n| body(n, joins(n))).collect();
    let made = all_at_once(mixed.iter().map(|body| admin.post("/api/v1/users", body))).await;
    assert_eq!(tally(made), BTreeMap::from([(201, 64)]));
    let readers = admin.get(&format!("/api/v1/groups/{group}")).await.expect(200).body;
    assert_eq!((&readers["membershipCount"], readers["users"].as_array().unwrap().len()), (&json!(16), 16));
    assert_eq!(admin.get("/api/v1/users?page=0").await.expect(200).body["total"], 130);
    if t.app.store.is_shared() {
        let transactions = |users: &str| {
            let sql = format!(
                "SELECT count(*), count(DISTINCT CAST(xmin AS TEXT)) FROM users WHERE username LIKE 'user%' AND {users}"
            );
            t.ask_sql(&sql).remove(0).iter().map(|n| n.parse::<u64>().unwrap()).collect::<Vec<_>>()
        };
        let members = format!("user_id IN (SELECT user_id FROM memberships WHERE group_id = {group})");
        assert_eq!(transactions(&members), [16, 16], "each has its own");
        let of_others = transactions(&format!("NOT {members}"));
        assert!(of_others[1] < of_others[0], "{of_others:?}");
    }
}

pub async fn active_admins(t: &T) -> Vec<i64> {
    for (name, password) in [("admin", crate::harness::ADMIN_PASSWORD), ("deputy", &*password_of("deputy"))] {
        let login = t.try_login(name, password).await;
        let Some(token) = login.body["access_token"].as_str() else { continue };
        let list = t.bearer(token).get("/api/v1/users?isAdmin=true&status=ACTIVE").await;
        if list.status == 200 {
            return ids(&list.body);
        }
    }
    Vec::new()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b10_the_last_two_admins_cannot_both_go() {
    for change in [None, Some(json!({ "isAdmin": false })), Some(json!({ "status": "LOCKED" }))] {
        let t = T::start().await;
        let (admin, deputy, id) = two_admins(&t).await;
        let paths = [format!("/api/v1/users/{id}"), String::from("/api/v1/users/1")];
        let bodies = match &change {
            Some(change) => {
                let mut bodies = Vec::new();
                for path in &paths {
                    let user = admin.get(path).await.expect(200).body;
                    bodies.push(with(&user, change.clone()));
                }
                bodies
            }
            None => vec![Value::Null; 2],
        };
        let act = async |person: &Person<'_>, n: usize| match &change {
            Some(_) => person.put(&paths[n], &bodies[n]).await,
            None => person.delete(&paths[n]).await,
        };
        let (one, other) = tokio::join!(act(&admin, 0), act(&deputy, 1));
        let statuses = [one.status.as_u16(), other.status.as_u16()];
        // The later one is refused: by the rule, or because its sender is an admin no more.
        assert_eq!(statuses.iter().filter(|s| **s < 300).count(), 1, "{change:?} {statuses:?}");
        assert!(statuses.iter().all(|s| [200, 204, 401, 403, 409].contains(s)), "{change:?} {statuses:?}");
        assert_eq!(active_admins(&t).await.len(), 1, "{change:?} {statuses:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_deletion_of_a_group_and_its_members_is_consistent() {
    let t = T::start().await;
    let admin = t.admin().await;
    for n in 0..6 {
        let group = admin.create_group(&format!("Group {n}")).await;
        let keep = admin.create_group(&format!("Keep {n}")).await;
        let mut members = Vec::new();
        for m in 0..6 {
            let body = with(&new_user(&format!("user{n}-{m}")), json!({ "groups": [group, keep] }));
            members.push(admin.create_with(&body).await);
        }
        let group_path = format!("/api/v1/groups/{group}");
        let paths: Vec<String> =
            members.iter().map(|user| format!("/api/v1/users/{}", user["userId"])).collect();
        let last = json!([members[4]["userId"]]);
        // One is renamed in the group, one leaves it, one joins it, two are deleted, and the group goes.
        let rename = with(&members[1], json!({ "firstName": "New" }));
        let leave = with(&members[2], json!({ "groups": [keep] }));
        let join = with(&new_user(&format!("late{n}")), json!({ "groups": [group, keep] }));
        let (gone, renamed, left, joined, deleted, bulk) = tokio::join!(
            admin.delete(&group_path),
            admin.put(&paths[1], &rename),
            admin.put(&paths[2], &leave),
            admin.post("/api/v1/users", &join),
            admin.delete(&paths[3]),
            admin.post("/api/v1/users/bulk-delete", &last),
        );
        gone.expect(204);
        left.expect(200);
        deleted.expect(204);
        bulk.expect(204);
        // Before the group went, or after it: never in between.
        assert!([200, 400].contains(&renamed.status.as_u16()), "{}", renamed.text);
        assert!([201, 400].contains(&joined.status.as_u16()), "{}", joined.text);
        if renamed.status == 400 {
            assert_eq!(renamed.faults(), ["/groups unknown-group"]);
        }
        let users = admin.get(&format!("/api/v1/users?groupId={keep}")).await.expect(200).body;
        assert!(users.as_array().unwrap().iter().all(|user| user["groups"] == json!([keep])), "{users}");
        let kept = admin.get(&format!("/api/v1/groups/{keep}")).await.expect(200).body;
        assert_eq!(kept["users"], json!(ids(&users)));
        assert_eq!(kept["membershipCount"], ids(&users).len());
        assert_eq!(ids(&users).len(), if joined.status == 201 { 5 } else { 4 });
    }
    let page = admin.get("/api/v1/groups?page=0&pageSize=1000").await.expect(200).body;
    assert_eq!((&page["total"], page["list"].as_array().unwrap().len()), (&json!(6), 6));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn totals_and_the_index_agree_after_a_storm() {
    let t = T::start().await;
    let admin = t.admin().await;
    let bodies: Vec<Value> = (0..120)
        .map(|n| with(&new_user(&format!("storm{}", n % 80)), json!({ "status": "INACTIVE" })))
        .collect();
    let created = all_at_once(bodies.iter().map(|body| admin.post("/api/v1/users", body))).await;
    assert_eq!(tally(created), BTreeMap::from([(201, 80), (409, 40)]));
    let users = admin.get("/api/v1/users?search=storm").await.expect(200).body;
    let paths: Vec<String> = ids(&users).iter().take(50).map(|id| format!("/api/v1/users/{id}")).collect();
    let twice = paths.iter().chain(&paths);
    let deleted = all_at_once(twice.map(|path| admin.delete(path))).await;
    assert_eq!(tally(deleted), BTreeMap::from([(204, 50), (404, 50)]));
    let left = admin.everybody().await;
    assert_eq!(ids(&left).len(), 31);
    for query in ["page=0", "search=storm&page=0", "status=INACTIVE&page=0"] {
        let total =
            admin.get(&format!("/api/v1/users?{query}")).await.expect(200).body["total"].as_i64().unwrap();
        assert_eq!(total, if query == "page=0" { 31 } else { 30 }, "{query}");
    }
    let events = admin.events().await;
    let count = |kind: &str| events.iter().filter(|e| e["type"] == kind).count();
    assert_eq!((count("user.created"), count("user.deleted")), (81, 50));
    let total = admin.get("/api/v1/events").await.expect(200).body["total"].clone();
    assert_eq!(total, events.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b13_an_existing_user_is_listed_exactly_once_despite_concurrent_changes() {
    let t = T::start().await;
    let admin = t.admin().await;
    crate::fixtures::seed(&t, 1, "stays", 3_000, Vec::new()).await;
    let staying = ids(&admin.everybody().await);
    let noise = async {
        for n in 0..40 {
            let user = admin.create(&format!("passer{n}")).await;
            admin.delete(&format!("/api/v1/users/{}", user["userId"])).await.expect(204);
        }
    };
    let lists = async {
        for _ in 0..6 {
            let seen = ids(&admin.everybody().await);
            assert!(seen.is_sorted_by(|a, b| a < b));
            assert!(staying.iter().all(|id| seen.binary_search(id).is_ok()));
        }
    };
    // `total` and `list` come from one snapshot (contract, Paging).
    let pages = async {
        for query in ["search=passer", "status=ACTIVE"] {
            for _ in 0..30 {
                let page = admin.get(&format!("/api/v1/users?{query}&pageSize=1000")).await.expect(200).body;
                assert_eq!(page["total"], page["list"].as_array().unwrap().len(), "{query}");
            }
        }
    };
    tokio::join!(noise, lists, pages);
}
