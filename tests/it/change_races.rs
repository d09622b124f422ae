//! Groups and repeated requests at two processes over one database, as in `races`.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use crate::concurrency::{all_at_once, responses, tally};
use crate::databases::is_postgres;
use crate::fixtures::{check_groups_in_rows, ids};
use crate::harness::{Person, T, TestResponse, new_user};
use crate::races::Both;

async fn once(person: &Person<'_>, path: &str, key: &str, body: &Value) -> TestResponse {
    let request = person.request(Method::POST, path).header("idempotency-key", key).json(body);
    TestResponse::of(request.send().await.unwrap()).await
}

/// What waits in memory within one process waits in the database between two.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_at_two_processes_does_the_work_once() {
    if !is_postgres() {
        return;
    }
    let t = T::start().await;
    let other = t.beside().await;
    let admin = Both::of(&t.admin().await, &other);
    for round in 0..6 {
        let (key, body) = (format!("k{round}"), new_user(&format!("user{round}")));
        let all = responses((0..16).map(|n| once(admin.at(n), "/api/v1/users", &key, &body))).await;
        for response in &all {
            assert_eq!((response.status.as_u16(), &response.text), (201, &all[0].text));
        }
        let fresh = all.iter().filter(|response| response.header("idempotency-replayed").is_empty()).count();
        assert_eq!(fresh, 1);
        assert_eq!(t.mails_to(&format!("user{round}@example.com")).await.len(), 1);
        // Another body with the same key, at the same time: whoever comes first.
        let bodies = [new_user(&format!("left{round}")), new_user(&format!("right{round}"))];
        let key = format!("c{round}");
        let both = (0..2).map(|n| once(admin.at(n), "/api/v1/users", &key, &bodies[n]));
        assert_eq!(tally(all_at_once(both).await), BTreeMap::from([(201, 1), (409, 1)]));
    }
    assert_eq!(ids(&admin.at(1).everybody().await).len(), 1 + 6 * 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_are_counted_once_however_often_they_are_added_and_removed() {
    if !is_postgres() {
        return;
    }
    let t = T::start().await;
    let other = t.beside().await;
    let admin = Both::of(&t.admin().await, &other);
    let groups = [admin.at(0).create_group("One").await, admin.at(0).create_group("Two").await];
    let mut users = Vec::new();
    for n in 0..6 {
        users.push(admin.at(n).create(&format!("u{n}")).await["userId"].as_i64().unwrap());
    }
    let (list, turned) = (json!(users), json!(users.iter().rev().collect::<Vec<_>>()));
    for round in 0..6 {
        let act = async |n: usize| {
            let (person, group) = (admin.at(n / 2), groups[n % 2]);
            let path = format!("/api/v1/groups/{group}/users");
            let one = users[n % 6];
            match (n + round) % 5 {
                0 => person.put(&format!("{path}/{one}"), &Value::Null).await,
                1 => person.delete(&format!("{path}/{one}")).await,
                2 => person.post(&path, &list).await,
                3 => person.post(&path, &turned).await,
                _ => {
                    let path = format!("/api/v1/users/{one}");
                    person.patch(&path, &json!({ "groups": [group] })).await
                }
            }
        };
        let done = all_at_once((0..20).map(act)).await;
        assert!(done.iter().all(|status| [200, 204, 404].contains(status)), "{done:?}");
        for group in groups {
            let path = format!("/api/v1/groups/{group}");
            let kept = admin.at(round).get(&path).await.expect(200).body;
            let members = kept["users"].as_array().unwrap();
            assert_eq!(kept["membershipCount"], members.len());
            for user in &users {
                let shown = admin.at(round + 1).get(&format!("/api/v1/users/{user}")).await.expect(200).body;
                let is_in = members.contains(&json!(user));
                assert_eq!(shown["groups"].as_array().unwrap().contains(&json!(group)), is_in);
            }
        }
        assert_eq!(check_groups_in_rows(&t), 0);
    }
}

/// What one process takes away, the next evaluation at another one denies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_evaluation_at_another_process_sees_a_change() {
    if !is_postgres() {
        return;
    }
    let t = T::start().await;
    let other = t.beside().await;
    let admin = Both::of(&t.admin().await, &other);
    let (top, low) = (admin.at(0).create_group("Top").await, admin.at(0).create_group("Low").await);
    let user = admin.at(0).create("fenna").await["userId"].as_i64().unwrap();
    let entry = json!([{ "objectType": "SEGMENT", "objectId": 7, "permissions": ["READ"] }]);
    let path = |group: i64, rest: &str| format!("/api/v1/groups/{group}{rest}");
    admin.at(0).put(&path(top, "/permissions"), &entry).await.expect(200);
    let may = async |n: usize| {
        let question = json!({
            "subject": { "type": "user", "id": user.to_string() }, "action": { "name": "READ" },
            "resource": { "type": "SEGMENT", "id": "7" },
        });
        admin.at(n).post("/access/v1/evaluation", &question).await.expect(200).body["decision"]
            .as_bool()
            .unwrap()
    };
    for n in 0..6 {
        let (here, there) = (n, n + 1);
        assert!(!may(there).await);
        admin.at(here).put(&path(low, &format!("/users/{user}")), &Value::Null).await.expect(204);
        assert!(!may(there).await);
        admin.at(here).patch(&path(low, ""), &json!({ "parentGroupId": top })).await.expect(200);
        assert!(may(there).await);
        admin.at(here).put(&path(top, "/permissions"), &json!([])).await.expect(200);
        assert!(!may(there).await);
        admin.at(here).put(&path(top, "/permissions"), &entry).await.expect(200);
        assert!(may(there).await);
        admin.at(here).delete(&path(low, &format!("/users/{user}"))).await.expect(204);
        assert!(!may(there).await);
        admin.at(here).patch(&path(low, ""), &json!({ "parentGroupId": null })).await.expect(200);
    }
}
