//! Personal data goes when its time is over: of erased users from every table and from the bytes of the file, addresses
//! after the end of their sessions, and events after `event-days`.

use reqwest::Method;
use serde_json::{Value, json};

use tenantry_core::clock::{DAY, HOUR, MINUTE};

use crate::databases::is_postgres;
use crate::fixtures::with;
use crate::harness::{Person, T, TestResponse, new_user, password_of};
use crate::user_fields::blanked;

const DELETED: &str = "/api/v1/users/deleted";

/// Values that stand nowhere but in what is about one person, in lower case.
const VALUES: [&str; 11] = [
    "quixotina",
    "zephyrine",
    "wolframite",
    "jabberwock",
    "xylograph",
    "0815-4711-23",
    "ext-vermicelli",
    "moved-quagga",
    "203.0.113.77",
    "needle-agent",
    "halcyonidae",
];

/// Every value of every table, a line for each row.
fn tables(t: &T) -> Vec<String> {
    let names = if is_postgres() {
        "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
    } else {
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%'"
    };
    let mut lines = Vec::new();
    for table in t.ask_sql(names).into_iter().map(|mut row| row.remove(0)) {
        let rows = if is_postgres() {
            t.ask_sql(&format!("SELECT CAST(r AS TEXT) FROM {table} r"))
        } else {
            t.ask_sql(&format!("SELECT * FROM {table}"))
        };
        lines.extend(rows.into_iter().map(|row| format!("{table}: {}", row.join(" | ").to_lowercase())));
    }
    lines
}

/// Which of the values stand in some table.
fn found_in_tables(t: &T) -> Vec<&'static str> {
    let lines = tables(t);
    VALUES.into_iter().filter(|value| lines.iter().any(|line| line.contains(value))).collect()
}

#[track_caller]
fn assert_nothing_in_tables(t: &T, way: &str) {
    assert_nothing_in_tables_but(t, "none", way);
}

#[track_caller]
fn assert_nothing_in_tables_but(t: &T, table: &str, way: &str) {
    let lines = tables(t);
    for value in VALUES {
        let line = lines.iter().find(|line| line.contains(value) && !line.starts_with(table));
        assert_eq!(line, None, "{way}: {value} is left");
    }
}

/// Nothing stands in the file of the database and in its log, once the worker has emptied that.
async fn assert_nothing_in_files(t: &T, way: &str) {
    if is_postgres() {
        return;
    }
    // A checkpoint of the store's own may be under way.
    let mut is_done = false;
    for _ in 0..100 {
        is_done = is_done || tenantry_worker::scrub(&t.app).await.unwrap();
    }
    assert!(is_done);
    for file in ["tenantry.db", "tenantry.db-wal"] {
        let bytes = std::fs::read(t.dir.path().join(file)).unwrap_or_default().to_ascii_lowercase();
        for value in VALUES {
            let is_there = bytes.windows(value.len()).any(|part| part == value.as_bytes());
            assert!(!is_there, "{way}: {value} stands in {file}");
        }
    }
}

/// A server that believes a proxy on this machine.
async fn start(deleted_user_days: u32) -> T {
    T::with(|config| {
        config.deleted_user_days = deleted_user_days;
        config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    })
    .await
}

async fn send_once(person: &Person<'_>, path: &str, key: &str, body: &Value) -> TestResponse {
    let request = person.request(Method::POST, path).header("idempotency-key", key).json(body);
    TestResponse::of(request.send().await.unwrap()).await
}

/// A login from the address and with the agent of [`VALUES`].
async fn login(t: &T, username: &str, password: &str) -> TestResponse {
    t.secret(password);
    let form = [
        ("grant_type", "password"),
        ("username", username),
        ("password", password),
        ("client_id", "tenantry"),
    ];
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request = t.anonymous().request(Method::POST, "/oauth/token");
    let request = request.header("x-forwarded-for", "203.0.113.77").header("user-agent", "needle-agent/1.0");
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
    let response = TestResponse::of(request.send().await.unwrap()).await;
    for name in ["access_token", "refresh_token"] {
        response.body[name].as_str().into_iter().for_each(|token| t.secret(token));
    }
    response
}

fn person() -> Value {
    let more = json!({
        "firstName": "Zephyrine", "lastName": "Wolframite", "email": "Jabberwock@example.com", "title": "Xylograph",
        "phoneNumber": "0815-4711-23", "externalId": "ext-vermicelli",
    });
    with(&new_user("Quixotina"), more)
}

/// A user of partner 1 that has left something wherever a user can.
async fn leave_traces(t: &T) -> i64 {
    let admin = t.admin().await;
    let group = admin.create_group("Editors").await;
    let user = send_once(&admin, "/api/v1/users", "create", &person()).await.expect(201).body;
    let id = user["userId"].as_i64().unwrap();
    let path = format!("/api/v1/users/{id}");
    admin.put(&format!("/api/v1/groups/{group}/users/{id}"), &Value::Null).await.expect(204);
    let temporary = t.mailed_password("Quixotina").await;
    let session = login(t, "quixotina", &temporary).await.expect(200).body;
    let own = t.bearer(session["access_token"].as_str().unwrap());
    let body = json!({ "oldPassword": temporary, "newPassword": password_of("quixotina") });
    own.post("/api/v1/users/self/update-password", &body).await.expect(200);
    login(t, "quixotina", &password_of("quixotina")).await.expect(200);
    login(t, "quixotina", "Wrong.Guess-00x").await.expect(400);
    // Its old address is held for password mail, and is told: that letter waits.
    own.patch("/api/v1/users/self", &json!({ "email": "moved-quagga@example.com" })).await.expect(200);
    admin.patch(&path, &json!({ "lastName": "Halcyonidae" })).await.expect(200);
    if t.app.config.deleted_user_days > 0 {
        admin.delete(&path).await.expect(204);
        send_once(&admin, &format!("{path}/restore"), "restore", &json!({})).await.expect(200);
        login(t, "quixotina", &password_of("quixotina")).await.expect(200);
    }
    for asked in [json!({ "username": "quixotina" }), json!({ "email": "moved-quagga@example.com" })] {
        t.anonymous().post("/api/v1/users/forgot-password", &asked).await.expect(202);
    }
    // The same from the pages, and a link that verifies the address.
    t.tab().submit("/forgot-username", &[("who", "moved-quagga@example.com")]).await.expect(303);
    let tab = t.tab();
    tab.sign_in("quixotina", &password_of("quixotina")).await.expect(303);
    tab.submit_from("/account", "/account/verify-email", &[]).await.to("/account?done=link");
    // A passkey that has the name of its user.
    t.run_sql(&format!(
        "INSERT INTO passkeys VALUES (1, {id}, 'k', 'Y3JlZA', 'aGFuZGxl', 'a2V5', 0, '', 0, 0, 'Halcyonidae', 1, 0)"
    ));
    t.run_sql(&format!("INSERT INTO passkey_credentials VALUES ('hash', 1, {id}, 'k')"));
    assert_eq!(found_in_tables(t), VALUES, "else this test shows nothing");
    id
}

/// The events of an erased user are there, and say when, who, which user and what kind of thing.
async fn assert_events_stay(t: &T, id: i64) {
    let events = t.admin().await.get(&format!("/api/v1/events?userId={id}&pageSize=1000")).await.expect(200);
    let created = &events.list()[0];
    assert_eq!(
        (&created["type"], &created["actor"], &created["userId"]),
        (&json!("user.created"), &json!("user:1"), &json!(id))
    );
    assert!(created["time"].as_str().unwrap().starts_with("2026-11-23T"));
    assert_eq!(
        created["after"],
        with(&blanked(), json!({ "username": null, "status": "ACTIVE", "groups": [], "isAdmin": false }))
    );
    let kinds: Vec<&str> = events.list().iter().map(|event| event["type"].as_str().unwrap()).collect();
    for kind in ["user.updated", "session.started", "password.changed", "group.member_added", "user.deleted"]
    {
        assert!(kinds.contains(&kind), "{kind}: {kinds:?}");
    }
    assert_eq!(kinds.last(), Some(&"user.erased"), "{kinds:?}");
}

#[tokio::test]
async fn erasure_by_an_admin_leaves_nothing_of_the_user() {
    let t = start(30).await;
    let id = leave_traces(&t).await;
    let admin = t.admin().await;
    admin.delete(&format!("/api/v1/users/{id}")).await.expect(204);
    // What a deleted user was like is kept until it is erased.
    assert!(found_in_tables(&t).contains(&"halcyonidae"));
    admin.delete(&format!("{DELETED}/{id}")).await.expect(204);
    // At once, but for the limit of failed logins of an address, which is nobody's, and lasts for minutes.
    let failures = t.ask_sql("SELECT address FROM login_failures WHERE address NOT LIKE 'forgotten %'");
    assert_eq!(failures, [["203.0.113.77"]]);
    t.clock.advance(HOUR);
    assert_eq!(tenantry_worker::housekeep(&t.app).await.unwrap().erasures, 1);
    assert_nothing_in_tables(&t, "erased");
    assert_nothing_in_files(&t, "erased").await;
    assert_events_stay(&t, id).await;
    // The responses that showed it are gone, and what they were about is not done again.
    let admin = t.admin().await;
    let again = send_once(&admin, "/api/v1/users", "create", &person()).await.expect(409);
    assert_eq!(again.body["code"], "answer-erased");
    let restore = send_once(&admin, &format!("/api/v1/users/{id}/restore"), "restore", &json!({})).await;
    assert_eq!(restore.expect(409).body["code"], "answer-erased");
    assert_eq!(admin.get("/api/v1/users?page=0").await.body["total"], 1);
    // Nobody is mailed after the fact.
    assert!(t.mails_to("moved-quagga@example.com").await.is_empty());
    let log = t.log();
    let told =
        log.lines().filter(|line| [" INFO ", " WARN ", "ERROR "].iter().any(|level| line.contains(level)));
    for line in told {
        assert!(!VALUES.iter().any(|value| line.to_lowercase().contains(value)), "{line}");
    }
}

/// Without the worker: what an admin erases is blank in the response's own transaction.
#[tokio::test]
async fn erasure_by_an_admin_blanks_events_at_once() {
    let t = start(30).await;
    let id = leave_traces(&t).await;
    let admin = t.admin().await;
    admin.delete(&format!("/api/v1/users/{id}")).await.expect(204);
    admin.delete(&format!("{DELETED}/{id}")).await.expect(204);
    assert_nothing_in_tables_but(&t, "login_failures", "at once");
}

#[tokio::test]
async fn erasure_after_retention_leaves_nothing_of_the_user() {
    let t = start(30).await;
    let id = leave_traces(&t).await;
    t.admin().await.delete(&format!("/api/v1/users/{id}")).await.expect(204);
    t.clock.advance(30 * DAY - 1);
    tenantry_worker::housekeep(&t.app).await.unwrap();
    assert!(found_in_tables(&t).contains(&"halcyonidae"));
    t.clock.advance(1);
    let done = tenantry_worker::housekeep(&t.app).await.unwrap();
    assert_eq!((done.users, done.erasures), (1, 1));
    assert_nothing_in_tables(&t, "over");
    assert_nothing_in_files(&t, "over").await;
    assert_events_stay(&t, id).await;
    assert_eq!(tenantry_worker::housekeep(&t.app).await.unwrap().erasures, 0);
}

#[tokio::test]
async fn deletion_without_retention_leaves_nothing_of_the_user() {
    let t = start(0).await;
    let id = leave_traces(&t).await;
    t.admin().await.delete(&format!("/api/v1/users/{id}")).await.expect(204);
    assert_nothing_in_tables_but(&t, "login_failures", "deleted");
    t.clock.advance(HOUR);
    tenantry_worker::housekeep(&t.app).await.unwrap();
    assert_nothing_in_files(&t, "deleted").await;
    assert_events_stay(&t, id).await;
}

/// More users than are blanked in the transaction that deletes them.
#[tokio::test]
async fn bulk_erasure_leaves_nothing_of_the_users() {
    let t = start(0).await;
    let id = leave_traces(&t).await;
    let admin = t.admin().await;
    let users: Vec<Value> =
        (0..120).map(|n| with(&new_user(&format!("many{n}")), json!({ "title": "Xylograph" }))).collect();
    let made = admin.post("/api/v1/users/bulk", &json!(users)).await.expect(200).body;
    let mut ids: Vec<i64> =
        made["results"].as_array().unwrap().iter().map(|row| row["userId"].as_i64().unwrap()).collect();
    ids.push(id);
    admin.post("/api/v1/users/bulk-delete", &json!(ids)).await.expect(204);
    t.clock.advance(HOUR);
    assert_eq!(tenantry_worker::housekeep(&t.app).await.unwrap().erasures, 121);
    assert_nothing_in_tables(&t, "bulk");
    assert!(!tables(&t).iter().any(|line| line.contains("many7")));
    assert_events_stay(&t, id).await;
}

#[tokio::test]
async fn deletion_of_a_partner_leaves_nothing_of_its_users() {
    let t = start(30).await;
    let operator = t.operator().await;
    let new = json!({
        "name": "Acme", "adminUsername": "Quixotina", "adminEmail": "Jabberwock@example.com",
        "adminFirstName": "Zephyrine", "adminLastName": "Wolframite",
    });
    let made = send_once(&operator, "/operator/v1/partners", "make", &new).await.expect(201).body;
    let temporary = t.mailed_password("Quixotina").await;
    let session = login(&t, "quixotina", &temporary).await.expect(200).body;
    let own = t.bearer(session["access_token"].as_str().unwrap());
    let body = json!({ "oldPassword": temporary, "newPassword": password_of("quixotina") });
    own.post("/api/v1/users/self/update-password", &body).await.expect(200);
    let user = json!({ "title": "Xylograph", "phoneNumber": "0815-4711-23", "externalId": "ext-vermicelli" });
    let other = with(&with(&new_user("halcyonidae"), user), json!({ "email": "moved-quagga@example.com" }));
    let other = send_once(&own, "/api/v1/users", "other", &other).await.expect(201).body;
    own.delete(&format!("/api/v1/users/{}", other["userId"])).await.expect(204);
    t.anonymous()
        .post("/api/v1/users/forgot-password", &json!({ "username": "quixotina" }))
        .await
        .expect(202);
    assert_eq!(found_in_tables(&t), VALUES, "else this test shows nothing");
    let path = format!("/operator/v1/partners/{}?force=true", made["pid"]);
    operator.delete(&path).await.expect(204);
    let done = tenantry_worker::housekeep(&t.app).await.unwrap();
    assert_eq!(done.erasures, 1);
    assert_nothing_in_tables(&t, "partner");
    assert_nothing_in_files(&t, "partner").await;
    let events = t.ask_sql(&format!("SELECT count(*) FROM events WHERE pid = {}", made["pid"]));
    assert!(events[0][0].parse::<i64>().unwrap() > 8, "they stay: {events:?}");
    let again = send_once(&operator, "/operator/v1/partners", "make", &new).await.expect(409);
    assert_eq!(again.body["code"], "answer-erased");
}

/// A user with thousands of events is erased in steps, none of which touches more than 500.
#[tokio::test]
async fn a_long_history_is_blanked_in_steps() {
    let t = start(30).await;
    let id = leave_traces(&t).await;
    t.run_sql(&format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200) \
         INSERT INTO events (pid, event_id, at, kind, actor, user_id, before, after) \
         SELECT 1, 1000000 + i, 1, 'user.updated', 'user:1', {id}, '{{\"title\":\"Xylograph\"}}', '{{\"title\":null}}' FROM n"
    ));
    let admin = t.admin().await;
    admin.delete(&format!("/api/v1/users/{id}")).await.expect(204);
    admin.delete(&format!("{DELETED}/{id}")).await.expect(204);
    let left = || t.ask_sql("SELECT count(*) FROM events WHERE before LIKE '%ograph%'")[0][0].clone();
    // A hundred in the transaction that erases: those of the scene come first.
    assert!((1_100..1_200).contains(&left().parse().unwrap()), "{}", left());
    assert_eq!(tenantry_worker::housekeep(&t.app).await.unwrap().erasures, 1);
    assert_eq!(left(), "0");
    assert_eq!(t.ask_sql("SELECT count(*) FROM erasures"), [["0"]]);
}

/// The values of others stay: of a user who has taken the name since, and of one with the same address.
#[tokio::test]
async fn values_of_other_users_are_unchanged() {
    let t = start(30).await;
    let id = leave_traces(&t).await;
    let admin = t.admin().await;
    admin.delete(&format!("/api/v1/users/{id}")).await.expect(204);
    t.mails().await;
    let taker = send_once(&admin, "/api/v1/users", "taker", &person()).await.expect(201).body;
    t.anonymous()
        .post("/api/v1/users/forgot-password", &json!({ "username": "quixotina" }))
        .await
        .expect(202);
    admin.delete(&format!("{DELETED}/{id}")).await.expect(204);
    t.clock.advance(HOUR);
    tenantry_worker::housekeep(&t.app).await.unwrap();
    let admin = t.admin().await;
    let read = admin.get(&format!("/api/v1/users/{}", taker["userId"])).await.expect(200).body;
    assert_eq!(read, taker);
    let events = admin.get(&format!("/api/v1/events?userId={}", taker["userId"])).await.expect(200);
    assert_eq!(events.list()[0]["after"]["lastName"], "Wolframite");
    let again = send_once(&admin, "/api/v1/users", "taker", &person()).await.expect(201);
    assert_eq!((again.body, again.headers.get("idempotency-replayed").is_some()), (taker, true));
    // The password that it asked for comes.
    let password = t.mailed_password("Quixotina").await;
    t.login("quixotina", &password).await;
}

/// The addresses that events of logins tell, by session, oldest first.
async fn addresses(t: &T, id: i64) -> Vec<Value> {
    let path = format!("/api/v1/events?userId={id}&type=session.started&pageSize=1000");
    let events = t.admin().await.get(&path).await.expect(200);
    for event in events.list() {
        assert_eq!(event["after"]["clientId"], "tenantry", "only the address goes");
    }
    events.list().iter().map(|event| event["after"]["address"].clone()).collect()
}

#[tokio::test]
async fn addresses_are_removed_thirty_days_after_the_end_of_their_session() {
    // Sessions that would last for a year.
    let t = T::with(|config| {
        (config.refresh_token_seconds, config.refresh_reuse_seconds) = (365 * 86_400, 0);
    })
    .await;
    let (id, fenna) = t.member("fenna").await;
    let admin = t.admin().await;
    let before = addresses(&t, id).await.len();
    assert_eq!(before, 2, "those of the harness");
    let password = password_of("fenna");
    let open = async || t.try_login("fenna", &password).await.expect(200).body;
    let token = |session: &Value| session["access_token"].as_str().unwrap().to_owned();
    let revoke = async |token: &str| {
        t.anonymous().form("/oauth/revoke", &[("client_id", "tenantry"), ("token", token)]).await.expect(200);
    };
    // Each way in which a session ends by itself: revoked, used twice, ended by number.
    let (revoked, replayed, ended, goes_on) = (open().await, open().await, open().await, open().await);
    revoke(&token(&revoked)).await;
    let form =
        [("grant_type", "refresh_token"), ("refresh_token", replayed["refresh_token"].as_str().unwrap())];
    t.token(&form).await.expect(200);
    t.token(&form).await.expect(400);
    let own = t.bearer(&token(&ended));
    let list = own.get("/api/v1/users/self/sessions?pageSize=100").await.expect(200);
    let current =
        list.list().iter().find(|session| session["isCurrent"] == true).unwrap()["sessionId"].clone();
    own.delete(&format!("/api/v1/users/self/sessions/{}", current.as_str().unwrap())).await.expect(204);
    t.clock.advance(30 * DAY - 1);
    tenantry_worker::housekeep(&t.app).await.unwrap();
    assert!(addresses(&t, id).await.iter().all(|address| address == "127.0.0.1"));
    t.clock.advance(1);
    assert_eq!(tenantry_worker::housekeep(&t.app).await.unwrap().addresses, 3);
    let (here, gone) = (json!("127.0.0.1"), Value::Null);
    let now = addresses(&t, id).await;
    assert_eq!(now, [&here, &here, &gone, &gone, &gone, &here].map(Value::clone));
    assert!(!t.ask_sql("SELECT address FROM sessions WHERE address IS NOT NULL").is_empty());

    // All at once: by a change of status.
    let _ = (goes_on, fenna, admin);
    let admin = t.admin().await;
    admin.patch(&format!("/api/v1/users/{id}"), &json!({ "status": "INACTIVE" })).await.expect(200);
    t.clock.advance(30 * DAY);
    assert_eq!(tenantry_worker::housekeep(&t.app).await.unwrap().addresses, 3);
    assert!(addresses(&t, id).await.iter().all(Value::is_null));
}

#[tokio::test]
async fn addresses_of_expired_sessions_are_removed_and_those_of_active_ones_kept() {
    let t = T::start().await;
    let (id, _) = t.member("fenna").await;
    t.clock.advance(MINUTE);
    let session = t.try_login("fenna", &password_of("fenna")).await.expect(200).body;
    let mut refresh = session["refresh_token"].as_str().unwrap().to_owned();
    // For two months it is refreshed every ten days; the others end by themselves after thirty.
    for _ in 0..6 {
        t.clock.advance(10 * DAY);
        tenantry_worker::housekeep(&t.app).await.unwrap();
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
        refresh = t.token(&form).await.expect(200).body["refresh_token"].as_str().unwrap().to_owned();
    }
    let (here, gone) = (json!("127.0.0.1"), Value::Null);
    let last = |all: Vec<Value>| all.last().cloned();
    // The restricted one of the harness has ended with its access token.
    assert_eq!(addresses(&t, id).await, [gone.clone(), gone.clone(), here.clone()]);
    t.clock.advance(60 * DAY - 1);
    tenantry_worker::housekeep(&t.app).await.unwrap();
    assert_eq!(last(addresses(&t, id).await), Some(here));
    t.clock.advance(1);
    tenantry_worker::housekeep(&t.app).await.unwrap();
    assert_eq!(last(addresses(&t, id).await), Some(gone));
}

/// Deleting a user or a client ends sessions as well.
#[tokio::test]
async fn addresses_of_sessions_that_ended_with_their_user_or_client_are_removed() {
    let t = T::with(|config| (config.refresh_token_seconds, config.deleted_user_days) = (365 * 86_400, 400))
        .await;
    let (fenna, _) = t.member("fenna").await;
    let (lena, _) = t.member("lena").await;
    let robot = t.client(1, false).await;
    let password = password_of("lena");
    let form = [("grant_type", "password"), ("username", "lena"), ("password", password.as_str())];
    t.form_as(&robot, "/oauth/token", &form).await.expect(200);
    let admin = t.admin().await;
    admin.delete(&format!("/api/v1/users/{fenna}")).await.expect(204);
    let (by, client) = (tenantry_store::access::Operator::of_this_machine(), robot.0.clone());
    let admin_of = by.as_admin_of(tenantry_core::model::PartnerId(1));
    tenantry_domain::unit::write(&t.app.store, &admin_of, move |tx| {
        tenantry_domain::client_changes::revoke(tx, &client)
    })
    .await
    .unwrap();
    let left = |id: i64| {
        let sql = format!("SELECT count(*) FROM events WHERE user_id = {id} AND after LIKE '%127.0.0.1%'");
        t.ask_sql(&sql)[0][0].clone()
    };
    t.clock.advance(30 * DAY - 1);
    tenantry_worker::housekeep(&t.app).await.unwrap();
    assert_eq!((left(fenna), left(lena)), ("2".into(), "3".into()));
    t.clock.advance(1);
    tenantry_worker::housekeep(&t.app).await.unwrap();
    assert_eq!((left(fenna), left(lena)), ("0".into(), "2".into()));
}

#[tokio::test]
async fn events_go_after_event_days_and_stay_without() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (pid, _) = t.other_partner("acme").await;
    for n in 0..20 {
        admin.create(&format!("user{n}")).await;
    }
    let count = |pid: i64| -> i64 {
        t.ask_sql(&format!("SELECT count(*) FROM events WHERE pid = {pid}"))[0][0].parse().unwrap()
    };
    t.clock.advance(1_000 * DAY);
    let before = count(1);
    assert_eq!(
        tenantry_worker::housekeep(&t.app).await.unwrap().events,
        0,
        "they are kept unless it is said"
    );
    let t = t.restart_with(|config| config.event_days = 90).await;
    let count = |pid: i64| -> i64 {
        t.ask_sql(&format!("SELECT count(*) FROM events WHERE pid = {pid}"))[0][0].parse().unwrap()
    };
    // More than one step: as many again by SQL, with the counter of them.
    t.run_sql(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1300) \
         INSERT INTO events (pid, event_id, at, kind, actor) SELECT 1, -i, 1, 'user.updated', 'user:1' FROM n; \
         UPDATE counters SET value = value + 1300 WHERE pid = 1 AND name = 'events' AND slot = \
         (SELECT min(c.slot) FROM counters c WHERE c.pid = 1 AND c.name = 'events')",
    );
    let others = count(pid);
    assert!(others > 0);
    let admin = t.admin().await;
    admin.create("newcomer").await;
    let done = tenantry_worker::housekeep(&t.app).await.unwrap();
    assert_eq!(done.events, usize::try_from(before + 1_300 + others).unwrap());
    assert_eq!(count(pid), 0);
    let page = admin.get("/api/v1/events?pageSize=1000").await.expect(200);
    let kinds: Vec<&str> = page.list().iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(page.body["total"], kinds.len(), "the kept total follows");
    assert_eq!(kinds, ["session.started", "user.created", "password.issued"]);
    // On the day, not before.
    t.clock.advance(90 * DAY);
    assert_eq!(tenantry_worker::housekeep(&t.app).await.unwrap().events, 0);
    t.clock.advance(1);
    assert_eq!(tenantry_worker::housekeep(&t.app).await.unwrap().events, 3);
}
