//! A server that is killed: what it has answered is there, once, and nothing is there by half.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use tokio::task::JoinSet;

use crate::binary::{GIVEN, Home, Process, TIMEOUT, until};
use crate::harness::{Person, new_user};

const USERS: usize = 1_000;
const CONNECTIONS: usize = 64;

fn name(n: usize) -> String {
    format!("user{n:04}")
}

/// Creates all users over many connections and kills the server after so many answers. Gives the number of each
/// user whose create was answered 201, and the names that were answered 409.
async fn create_and_kill(server: Process, after: usize) -> (BTreeMap<String, i64>, BTreeSet<String>) {
    let token = server.admin().await.token.unwrap();
    let http = Arc::new(reqwest::Client::builder().no_proxy().build().unwrap());
    let names = Arc::new(std::sync::Mutex::new((0..USERS).map(name).collect::<Vec<_>>().into_iter()));
    let (tell, mut responses) = tokio::sync::mpsc::unbounded_channel();
    let mut all = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (address, http, token) = (server.address, Arc::clone(&http), token.clone());
        let (names, tell) = (Arc::clone(&names), tell.clone());
        all.spawn(async move {
            let admin = Person::over(&http, address, Some(&token));
            loop {
                let Some(name) = names.lock().unwrap().next() else { return };
                let request = admin.request(reqwest::Method::POST, "/api/v1/users/").json(&new_user(&name));
                let Ok(response) = request.send().await else { return };
                let status = response.status().as_u16();
                // A response counts when it is whole.
                let Ok(body) = response.json::<Value>().await else { return };
                let _ = tell.send((name, status, body));
            }
        });
    }
    drop(tell);
    let (mut server, mut created, mut taken) = (Some(server), BTreeMap::new(), BTreeSet::new());
    while let Some((name, status, body)) = responses.recv().await {
        match status {
            201 => assert_eq!(created.insert(name, body["userId"].as_i64().unwrap()), None),
            409 => assert!(taken.insert(name)),
            _ => panic!("{status}: {body}"),
        }
        if created.len() >= after
            && let Some(server) = server.take()
        {
            assert_eq!(server.kill().code, None, "ended by the signal");
        }
    }
    assert!(server.is_none(), "it was killed in the middle");
    tokio::time::timeout(TIMEOUT, all.join_all()).await.unwrap();
    (created, taken)
}

/// The users by name, but for the admin.
async fn everybody(server: &Process) -> BTreeMap<String, i64> {
    let list = server.admin().await.everybody().await;
    let list = list.as_array().unwrap();
    let users: BTreeMap<String, i64> = list
        .iter()
        .map(|user| (user["username"].as_str().unwrap().to_owned(), user["userId"].as_i64().unwrap()))
        .filter(|(name, _)| name != "admin")
        .collect();
    assert_eq!(users.len() + 1, list.len(), "nobody is there twice");
    let numbers: BTreeSet<i64> = users.values().copied().collect();
    assert_eq!(numbers.len(), users.len(), "no number is given twice");
    users
}

#[tokio::test]
async fn acknowledged_writes_of_a_killed_server_are_stored_once_and_completely() {
    let home = Home::new();
    let (mut created, taken) = create_and_kill(home.serve(), 300).await;
    assert!(taken.is_empty() && created.len() < USERS, "{} of {USERS}", created.len());

    // Again, on what the first one left, and on one thread: names that are there are refused, and only those.
    let server = Process::serve(home.path(), &["--worker-threads", "1"], &GIVEN);
    let before = everybody(&server).await;
    let (again, taken) = create_and_kill(server, 200).await;
    assert!(taken.iter().all(|name| before.contains_key(name)), "409 only for those who exist");
    assert!(again.keys().all(|name| !before.contains_key(name)), "201 only for those who do not");
    created.extend(again);

    let server = home.serve();
    let users = everybody(&server).await;
    for (name, id) in &created {
        assert_eq!(users.get(name), Some(id), "{name} was answered 201");
    }
    let admin = server.admin().await;
    for n in 0..USERS {
        let name = name(n);
        let found = admin.get(&format!("/api/v1/users/?username={name}")).await.expect(200).body;
        assert_eq!(found.as_array().unwrap().len(), usize::from(users.contains_key(&name)), "{name}");
    }
    // The kept total, the event and the mail of each are there as well: none is there by half.
    let page = admin.get("/api/v1/users/?page=0&pageSize=1").await.expect(200);
    assert_eq!(page.body["total"], users.len() + 1);
    let events = admin.get("/api/v1/events?type=user.created&pageSize=1").await.expect(200);
    // The first admin's is among them.
    assert_eq!(events.body["total"], users.len() + 1);
    let hit = admin.get("/api/v1/users/?search=user0&pageSize=1").await.expect(200);
    assert_eq!(hit.body["total"], users.keys().filter(|name| name.starts_with("user0")).count());

    // Each has exactly one mail, and nothing unfinished is left; nor does a later start send one again.
    until("every mail is written", || (home.mail_names().len() >= users.len()).then_some(())).await;
    assert_eq!(server.terminate().code, Some(0));
    let names = home.mail_names();
    let server = home.serve();
    assert_eq!(server.terminate().code, Some(0));
    assert_eq!(home.mail_names(), names);
    assert!(names.iter().all(|name| !name.starts_with('.') && name.ends_with(".eml")), "{names:?}");
    let mut mailed = BTreeMap::<String, usize>::new();
    for mail in &names {
        let mail = home.mail(mail);
        let name = mail.lines().find_map(|line| line.strip_prefix("Username: ")).unwrap().to_owned();
        *mailed.entry(name).or_default() += 1;
    }
    assert_eq!(mailed, users.into_keys().map(|name| (name, 1)).collect());
}
