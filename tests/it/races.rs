//! Two processes over one database, at the same things at once: exactly what happens when one does them after the
//! other. SQLite's one writer hides all of this, so these tests are about PostgreSQL.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use tenantry_core::clock::Clock;

use crate::binary::until;
use crate::concurrency::{active_admins, all_at_once, responses, tally, two_admins};
use crate::databases::is_postgres;
use crate::fixtures::{check_groups_in_rows, ids, with};
use crate::harness::{Person, START, T, TestResponse, new_user};

/// One person, at either of two processes.
pub struct Both<'t>([Person<'t>; 2]);

impl<'t> Both<'t> {
    pub fn of(one: &Person<'t>, other: &'t T) -> Self {
        Self([one.clone(), other.bearer(one.token.as_deref().unwrap())])
    }

    /// At this one for even numbers, at the other for odd ones.
    pub fn at(&self, n: usize) -> &Person<'t> {
        &self.0[n % 2]
    }
}

pub fn statuses(responses: &[TestResponse]) -> BTreeMap<u16, usize> {
    tally(responses.iter().map(|response| response.status.as_u16()))
}

/// What a total says is what there is, of users, groups and events, at both processes.
async fn assert_totals(admin: &Both<'_>) {
    for person in &admin.0 {
        for path in
            ["/api/v1/users?pageSize=1000", "/api/v1/groups?pageSize=1000", "/api/v1/events?pageSize=1000"]
        {
            let page = person.get(path).await.expect(200).body;
            assert_eq!(page["total"], page["list"].as_array().unwrap().len(), "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_name_is_taken_once() {
    if !is_postgres() {
        return;
    }
    let t = T::start().await;
    let other = t.beside().await;
    let admin = Both::of(&t.admin().await, &other);
    let olga = Both::of(&t.other_partner("acme").await.1, &other);
    for round in 0..4 {
        let spelt =
            |n: usize| if n.is_multiple_of(3) { format!("FENNA{round}") } else { format!("fenna{round}") };
        let bodies: Vec<Value> =
            (0..24).map(|n| with(&new_user("u"), json!({ "username": spelt(n) }))).collect();
        let who = |n: usize| if n < 12 { admin.at(n) } else { olga.at(n) };
        let requests = bodies.iter().enumerate().map(|(n, body)| who(n).post("/api/v1/users", body));
        let responses = responses(requests).await;
        assert_eq!(statuses(&responses), BTreeMap::from([(201, 1), (409, 23)]));
        assert!(responses.iter().all(|a| a.status == 201 || a.body["code"] == "username-taken"));
        // A group's name, and a product's own key, within the partner.
        let group = json!({ "name": format!("Editors {round}") });
        let made = all_at_once((0..12).map(|n| admin.at(n).post("/api/v1/groups", &group))).await;
        assert_eq!(tally(made), BTreeMap::from([(201, 1), (409, 11)]));
        let bodies: Vec<Value> = (0..12)
            .map(|n| {
                with(&new_user(&format!("key{round}-{n}")), json!({ "externalId": format!("k{round}") }))
            })
            .collect();
        let made = bodies.iter().enumerate().map(|(n, body)| admin.at(n).post("/api/v1/users", body));
        assert_eq!(tally(all_at_once(made).await), BTreeMap::from([(201, 1), (409, 11)]));
    }
    // One user, one event, one mail each; nothing is there by half.
    for person in [&admin, &olga] {
        assert_totals(person).await;
    }
    let db = &t.database;
    assert_eq!(db.number("SELECT count(*) FROM users WHERE username_key LIKE 'fenna%'"), 4);
    assert_eq!(db.number("SELECT count(*) FROM usernames"), db.number("SELECT count(*) FROM users"));
    let events = "SELECT count(*) FROM events WHERE kind = 'user.created'";
    assert_eq!(db.number(events), db.number("SELECT count(*) FROM users"));
    let mails = t.mails().await.into_iter().filter(|mail| mail.to.name == "Fenna Jansen").count();
    assert_eq!(mails, 8);
}

/// Whoever loses is told by the rule, or that they are an admin no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b10_the_last_two_admins_cannot_remove_each_other() {
    if !is_postgres() {
        return;
    }
    let changes = [None, Some(json!({ "isAdmin": false })), Some(json!({ "status": "LOCKED" }))];
    for change in changes.into_iter().cycle().take(6) {
        let t = T::start().await;
        let other = t.beside().await;
        let (admin, deputy, id) = two_admins(&t).await;
        let deputy = other.bearer(deputy.token.as_deref().unwrap());
        let paths = [format!("/api/v1/users/{id}"), String::from("/api/v1/users/1")];
        let mut users = Vec::new();
        for path in &paths {
            users.push(admin.get(path).await.expect(200).body);
        }
        let act = async |person: &Person<'_>, n: usize| match &change {
            Some(change) => person.put(&paths[n], &written_back(&users[n], change.clone())).await,
            None => person.delete(&paths[n]).await,
        };
        let (one, two) = tokio::join!(act(&admin, 0), act(&deputy, 1));
        let statuses = [one.status.as_u16(), two.status.as_u16()];
        assert_eq!(statuses.iter().filter(|s| **s < 300).count(), 1, "{change:?} {statuses:?}");
        assert!(statuses.iter().all(|s| [200, 204, 401, 403, 409].contains(s)), "{change:?} {statuses:?}");
        assert_eq!(active_admins(&t).await.len(), 1, "{change:?} {statuses:?}");
    }
}

/// The same, when somebody asks who stays whatever happens: the rule alone decides.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b10_of_the_last_two_admins_a_third_party_removes_one() {
    if !is_postgres() {
        return;
    }
    let t = T::start().await;
    let other = t.beside().await;
    let (_, _, id) = two_admins(&t).await;
    let client = t.client(1, true).await;
    let robot = Both::of(&t.technical_account(&client).await, &other);
    let paths = [format!("/api/v1/users/{id}"), String::from("/api/v1/users/1")];
    let mut users = Vec::new();
    for path in &paths {
        users.push(robot.at(0).get(path).await.expect(200).body);
    }
    for round in 0..5 {
        for change in
            [json!({ "isAdmin": false }), json!({ "status": "INACTIVE" }), json!({ "status": "LOCKED" })]
        {
            let bodies: Vec<Value> = users.iter().map(|user| written_back(user, change.clone())).collect();
            let requests = (0..2).map(|n| robot.at(n + round).put(&paths[n], &bodies[n]));
            let responses = responses(requests).await;
            assert_eq!(statuses(&responses), BTreeMap::from([(200, 1), (409, 1)]), "{change}");
            assert!(responses.iter().any(|a| a.body["code"] == "last-admin"));
            let left = robot.at(round).get("/api/v1/users?isAdmin=true&status=ACTIVE").await.expect(200).body;
            assert_eq!(ids(&left).len(), 1, "{change}");
            for (path, user) in paths.iter().zip(&users) {
                robot.at(round).put(path, &written_back(user, json!({}))).await.expect(200);
            }
        }
    }
    let deleted = all_at_once((0..2).map(|n| robot.at(n).delete(&paths[n]))).await;
    assert_eq!(tally(deleted), BTreeMap::from([(204, 1), (409, 1)]));
}

/// A body to write back, without what the server keeps.
pub fn written_back(user: &Value, change: Value) -> Value {
    let user = crate::fixtures::without(user, &["createdAt", "updatedAt", "lastLoginAt"]);
    with(&user, change)
}

/// Failed logins lock by the same rule (B23): somebody who guesses at every admin at once must not shut a partner out.
/// The order is forced: both have read that there is another admin when the first of them goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b23_failed_logins_cannot_lock_the_last_two_admins() {
    if !is_postgres() {
        return;
    }
    let t = T::start().await;
    // At another moment: their failures are rows of their own.
    let other = t.beside_with(Clock::manual(START + 1_000), |_| {}).await;
    two_admins(&t).await;
    let client = t.client(1, true).await;
    let robot = t.technical_account(&client).await;
    for name in ["admin", "deputy"] {
        for _ in 0..4 {
            t.try_login(name, "wrong").await.expect(400);
        }
    }
    hold_at(&t, "events", "WHEN (NEW.kind = 'user.locked')");
    let holder = Holder::lock(&t, HOLD).await;
    let release = async {
        waiting(&t, 2).await;
        drop(holder);
    };
    let (one, two, ()) =
        tokio::join!(t.try_login("admin", "wrong"), other.try_login("deputy", "wrong"), release);
    one.expect(400);
    two.expect(400);
    let left = robot.get("/api/v1/users?isAdmin=true&status=ACTIVE").await.expect(200).body;
    assert_eq!(ids(&left).len(), 1, "{left}");
    let refused = t.database.number("SELECT count(*) FROM events WHERE kind = 'user.login_refused'");
    assert_eq!(refused, 1, "the other one's logins are refused for a while");
}

/// The same, where one of the two is deleted by hand.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b23_failed_logins_cannot_lock_whom_a_deletion_leaves() {
    if !is_postgres() {
        return;
    }
    let t = T::start().await;
    let other = t.beside().await;
    let (_, _, id) = two_admins(&t).await;
    let client = t.client(1, true).await;
    let robot = t.technical_account(&client).await;
    for _ in 0..4 {
        t.try_login("admin", "wrong").await.expect(400);
    }
    hold_at(&t, "events", "WHEN (NEW.kind IN ('user.locked', 'user.deleted'))");
    let holder = Holder::lock(&t, HOLD).await;
    let release = async {
        waiting(&t, 2).await;
        drop(holder);
    };
    let path = format!("/api/v1/users/{id}");
    let (deleted, failed, ()) = tokio::join!(robot.delete(&path), other.try_login("admin", "wrong"), release);
    assert!([204, 409].contains(&deleted.status.as_u16()), "{}", deleted.text);
    failed.expect(400);
    let left = robot.get("/api/v1/users?isAdmin=true&status=ACTIVE").await.expect(200).body;
    assert_eq!(ids(&left).len(), 1, "{left}");
}

/// What a [`Holder`] runs to hold whoever comes to [`hold_at`].
pub const HOLD: &str = "SELECT pg_advisory_lock(7)";

/// Has those who insert such rows wait for [`HOLD`], with all they have read before.
pub fn hold_at(t: &T, table: &str, when: &str) {
    t.database.rows(&format!(
        "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NEW; END $$; \
         CREATE TRIGGER hold BEFORE INSERT ON {table} FOR EACH ROW {when} EXECUTE FUNCTION hold()"
    ));
}

/// Waits until so many units wait for a lock, whichever.
pub async fn waiting(t: &T, count: i64) {
    let waits = "SELECT count(*) FROM pg_stat_activity \
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    until("the units wait", || (t.database.number(waits) == count).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_is_deleted_while_members_are_added() {
    if !is_postgres() {
        return;
    }
    let t = T::start().await;
    let other = t.beside().await;
    let admin = Both::of(&t.admin().await, &other);
    let mut here = Vec::new();
    for n in 0..6 {
        here.push(admin.at(n).create(&format!("here{n}")).await);
    }
    for round in 0..6 {
        let group = admin.at(round).create_group(&format!("Group {round}")).await;
        let keep = admin.at(round).create_group(&format!("Keep {round}")).await;
        let joins: Vec<Value> =
            here.iter().map(|user| written_back(user, json!({ "groups": [group, keep] }))).collect();
        let news: Vec<Value> = (0..6)
            .map(|n| with(&new_user(&format!("new{round}-{n}")), json!({ "groups": [group, keep] })))
            .collect();
        let (group_path, users) = (format!("/api/v1/groups/{group}"), "/api/v1/users");
        let paths: Vec<String> = here.iter().map(|user| format!("{users}/{}", user["userId"])).collect();
        let (gone, joined, made) = tokio::join!(
            admin.at(round).delete(&group_path),
            all_at_once((0..6).map(|n| admin.at(n).put(&paths[n], &joins[n]))),
            all_at_once((0..6).map(|n| admin.at(n).post(users, &news[n]))),
        );
        gone.expect(204);
        // Before the group went, or after it: never in between.
        assert!(joined.iter().all(|status| [200, 400].contains(status)), "{joined:?}");
        assert!(made.iter().all(|status| [201, 400].contains(status)), "{made:?}");
        admin.at(round + 1).get(&group_path).await.expect(404);
        let inside = admin.at(round).get(&format!("{users}?groupId={keep}")).await.expect(200).body;
        assert!(inside.as_array().unwrap().iter().all(|user| user["groups"] == json!([keep])), "{inside}");
        let done = joined.iter().chain(&made).filter(|status| **status < 300).count();
        let kept = admin.at(round + 1).get(&format!("/api/v1/groups/{keep}")).await.expect(200).body;
        assert_eq!((&kept["membershipCount"], ids(&inside).len()), (&json!(done), done));
        assert_eq!(kept["users"], json!(ids(&inside)));
        for (path, user) in paths.iter().zip(&here) {
            admin.at(round).put(path, &without_groups(user)).await.expect(200);
        }
    }
    let wrong = "SELECT count(*) FROM groups g WHERE membership_count <> \
        (SELECT count(*) FROM memberships m WHERE m.pid = g.pid AND m.group_id = g.group_id)";
    assert_eq!(t.database.number(wrong), 0);
    let dangling = "SELECT count(*) FROM memberships m LEFT JOIN groups g USING (pid, group_id) \
        LEFT JOIN users u USING (pid, user_id) WHERE g.pid IS NULL OR u.pid IS NULL";
    assert_eq!(t.database.number(dangling), 0);
    check_groups_in_rows(&t);
    assert_totals(&admin).await;
}

fn without_groups(user: &Value) -> Value {
    written_back(user, json!({ "groups": [] }))
}

/// A session of the database's own that holds a lock until it is dropped.
pub struct Holder {
    client: Option<tokio_postgres::Client>,
    driving: tokio::task::JoinHandle<()>,
}

impl Holder {
    pub async fn lock(t: &T, sql: &str) -> Self {
        let url = t.database.url().unwrap();
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
        let driving = tokio::spawn(async move { drop(connection.await) });
        client.batch_execute(sql).await.unwrap();
        Self { client: Some(client), driving }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.client.take());
        self.driving.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn totals_are_exact_after_a_storm_at_two_processes() {
    if !is_postgres() {
        return;
    }
    let t = T::start().await;
    let other = t.beside().await;
    let admin = Both::of(&t.admin().await, &other);
    let group = admin.at(0).create_group("Crowd").await;
    let bodies: Vec<Value> =
        (0..90).map(|n| with(&new_user(&format!("storm{}", n % 60)), json!({ "groups": [group] }))).collect();
    let made = all_at_once((0..90).map(|n| admin.at(n).post("/api/v1/users", &bodies[n]))).await;
    assert_eq!(tally(made), BTreeMap::from([(201, 60), (409, 30)]));
    let users = admin.at(1).get("/api/v1/users?search=storm").await.expect(200).body;
    let paths: Vec<String> = ids(&users).iter().take(40).map(|id| format!("/api/v1/users/{id}")).collect();
    let (bulk, path) = (json!(ids(&users)[40..50]), "/api/v1/users/bulk-delete");
    let (deleted, bulk) = tokio::join!(
        all_at_once((0..80).map(|n| admin.at(n / 40).delete(&paths[n % 40]))),
        all_at_once((0..2).map(|n| admin.at(n).post(path, &bulk))),
    );
    assert_eq!(tally(deleted), BTreeMap::from([(204, 40), (404, 40)]));
    assert_eq!(tally(bulk), BTreeMap::from([(204, 1), (404, 1)]));
    assert_totals(&admin).await;
    for person in &admin.0 {
        assert_eq!(ids(&person.everybody().await).len(), 11);
        let kept = person.get(&format!("/api/v1/groups/{group}")).await.expect(200).body;
        assert_eq!((&kept["membershipCount"], kept["users"].as_array().unwrap().len()), (&json!(10), 10));
    }
    let counted = t.database.number("SELECT sum(value) FROM counters WHERE pid = 1 AND name = 'users'");
    assert_eq!(counted, 11);
}
