//! `Idempotency-Key`: a request sent twice is done once.

use reqwest::Method;
use serde_json::{Value, json};

use tenantry_core::clock::{DAY, HOUR};

use crate::fixtures::{ids, with, without};
use crate::harness::{Person, T, TestResponse, new_user, password_of};

async fn send(person: &Person<'_>, path: &str, key: &str, body: &Value) -> TestResponse {
    let mut request = person.request(Method::POST, path).header("idempotency-key", key);
    if !body.is_null() {
        request = request.header("content-type", "application/json").body(body.to_string());
    }
    TestResponse::of(request.send().await.unwrap()).await
}

/// What may not differ of two responses.
fn shape(response: &TestResponse) -> (u16, String, String, String, String) {
    let header = |name: &str| response.header(name).to_owned();
    (
        response.status.as_u16(),
        response.text.clone(),
        header("content-type"),
        header("location"),
        header("etag"),
    )
}

/// Every POST that creates or deletes, what it says, and its status.
async fn posts(admin: &Person<'_>) -> Vec<(String, Value, u16)> {
    let group = admin.create_group("Bulk").await;
    let (doomed, gone) = (admin.create("doomed").await, admin.create("gone").await);
    admin.delete(&format!("/api/v1/users/{}", gone["userId"])).await.expect(204);
    vec![
        (String::from("/api/v1/users"), new_user("new"), 201),
        (String::from("/api/v1/users/bulk"), json!([new_user("one"), new_user("two")]), 200),
        (String::from("/api/v1/users/bulk-delete"), json!([doomed["userId"]]), 204),
        (format!("/api/v1/users/{}/restore", gone["userId"]), Value::Null, 200),
        (String::from("/api/v1/groups"), json!({ "name": "New" }), 201),
        (String::from("/api/v1/groups/bulk-delete"), json!([group]), 204),
        (
            String::from("/api/v1/clients"),
            json!({ "name": "New", "kind": "public", "redirectUris": [URI] }),
            201,
        ),
    ]
}

const URI: &str = "https://new.example/cb";

/// What may not differ of two responses, but for a secret, which is in the first one alone.
fn shape_without_secret(response: &TestResponse) -> (u16, Value, String, String, bool) {
    let header = |name: &str| response.header(name).to_owned();
    let body = without(&response.body, &["clientSecret"]);
    let is_secret = response.body.get("clientSecret").is_some();
    (response.status.as_u16(), body, header("location"), header("etag"), is_secret)
}

/// Clients and their secrets, of admins and operators: made once, with one secret, which is told once.
#[tokio::test]
async fn clients_are_made_once_and_their_secret_is_told_once() {
    let t = T::start().await;
    let (admin, operator) = (t.admin().await, t.operator().await);
    let client = t.client(1, false).await.0;
    let other = t.client(1, false).await.0;
    let shop = json!({ "name": "Shop", "redirectUris": [URI] });
    let all = [
        (&admin, String::from("/api/v1/clients"), shop.clone()),
        (&admin, format!("/api/v1/clients/{client}/secrets"), json!({})),
        (&operator, String::from("/operator/v1/clients"), shop.clone()),
        (&operator, String::from("/operator/v1/clients"), with(&shop, json!({ "pid": 1 }))),
        (&operator, format!("/operator/v1/clients/{other}/secrets"), json!({})),
    ];
    let mut first = Vec::new();
    for (n, (person, path, body)) in all.iter().enumerate() {
        let response = send(person, path, &format!("key-{n}"), body).await.expect(201);
        t.secret(response.body["clientSecret"].as_str().unwrap());
        let (status, body, location, tag, is_secret) = shape_without_secret(&response);
        assert!(is_secret, "{path}");
        first.push((status, body, location, tag, false));
    }
    let state = async |t: &T| {
        let operator = t.operator().await;
        let of = async |path: &str| operator.get(path).await.expect(200).body;
        let events = t.ask_sql("SELECT count(*) FROM events WHERE kind LIKE 'client.%'");
        (of("/operator/v1/clients").await, of("/operator/v1/clients?pid=1").await, events)
    };
    let before = state(&t).await;
    let tokens = [&admin, &operator].map(|person| person.token.clone().unwrap());
    let paths: Vec<_> = all.iter().map(|(_, path, body)| (path.clone(), body.clone())).collect();
    let again = async |t: &T| {
        for (n, (path, body)) in paths.iter().enumerate() {
            let person = t.bearer(&tokens[usize::from(path.starts_with("/operator"))]);
            let response = send(&person, path, &format!("key-{n}"), body).await;
            assert_eq!(response.header("idempotency-replayed"), "true", "{path}");
            assert_eq!(shape_without_secret(&response), first[n], "{path}");
            // Another body with the key.
            let refused = send(&person, path, &format!("key-{n}"), &json!({ "name": "Other" })).await;
            assert!([400, 409].contains(&refused.status.as_u16()), "{path}: {}", refused.text);
        }
        assert_eq!(state(t).await, before);
    };
    again(&t).await;
    again(&t.restart().await).await;
}

#[tokio::test]
async fn the_first_response_is_replayed_byte_for_byte_and_survives_a_restart() {
    let t = T::start().await;
    let admin = t.admin().await;
    let operator = t.operator().await;
    let posts = posts(&admin).await;
    let mut first = Vec::new();
    for (n, (path, body, status)) in posts.iter().enumerate() {
        let response = send(&admin, path, &format!("key-{n}"), body).await.expect(*status);
        assert_eq!(response.header("idempotency-replayed"), "", "{path}");
        first.push(shape(&response));
    }
    let partner = json!({ "name": "P", "adminUsername": "pa", "adminEmail": "p@example.com" });
    let made = send(&operator, "/operator/v1/partners", "key", &partner).await.expect(201);
    let (token, by) = (admin.token.clone().unwrap(), operator.token.clone().unwrap());
    let state = async |t: &T| {
        let admin = t.bearer(&token);
        let events = admin.events().await.len();
        (admin.everybody().await, events, t.mails().await.len())
    };
    let before = state(&t).await;
    let again = async |t: &T| {
        let admin = t.bearer(&token);
        for (n, (path, body, _)) in posts.iter().enumerate() {
            let response = send(&admin, path, &format!("key-{n}"), body).await;
            assert_eq!(response.header("idempotency-replayed"), "true", "{path}");
            assert_eq!(shape(&response), first[n], "{path}");
        }
        let partner = send(&t.bearer(&by), "/operator/v1/partners/", "key", &partner).await;
        assert_eq!(shape(&partner), shape(&made));
    };
    again(&t).await;
    assert_eq!(state(&t).await, before);
    let mailed = before.2;
    let t = t.restart().await;
    again(&t).await;
    let (users, events, mails) = state(&t).await;
    assert_eq!((users, events), (before.0, before.1));
    assert!(mails == 0 || mails == mailed, "no new mail");
}

#[tokio::test]
async fn another_body_is_a_conflict_and_other_callers_and_places_have_other_keys() {
    let t = T::start().await;
    let admin = t.admin().await;
    let first = send(&admin, "/api/v1/users", "k", &new_user("one")).await.expect(201);
    let refused = send(&admin, "/api/v1/users", "k", &new_user("two")).await.expect(409);
    assert_eq!(refused.body["code"], "idempotency-key-reused");
    assert_eq!(ids(&admin.everybody().await).len(), 2);
    // Another path, another query, another caller, another partner.
    send(&admin, "/api/v1/groups", "k", &json!({ "name": "G" })).await.expect(201);
    let tried = send(&admin, "/api/v1/users?dryRun=false", "k", &new_user("two")).await.expect(201);
    assert_eq!(tried.header("idempotency-replayed"), "");
    let other = {
        let user = admin.create_with(&with(&new_user("deputy"), json!({ "isAdmin": true }))).await;
        assert!(user["userId"].is_number());
        let password = t.mailed_password("deputy").await;
        let person = t.login("deputy", &password).await;
        let body = json!({ "oldPassword": password, "newPassword": password_of("deputy") });
        person.post("/self/update-password", &body).await.expect(200);
        person
    };
    send(&other, "/api/v1/users", "k", &new_user("three")).await.expect(201);
    let (_, olga) = t.other_partner("acme").await;
    send(&olga, "/api/v1/users", "k", &new_user("four")).await.expect(201);
    // The same caller with another token, at another spelling of the path.
    let same = send(&t.admin().await, "/v1/users/", "k", &new_user("one")).await.expect(201);
    assert_eq!((shape(&same), same.header("idempotency-replayed")), (shape(&first), "true"));
}

#[tokio::test]
async fn token_and_rights_are_checked_before_a_replay() {
    let t = T::start().await;
    let admin = t.admin().await;
    admin.create_with(&with(&new_user("deputy"), json!({ "isAdmin": true }))).await;
    let password = t.mailed_password("deputy").await;
    let deputy = t.login("deputy", &password).await;
    let body = json!({ "oldPassword": password, "newPassword": password_of("deputy") });
    deputy.post("/self/update-password", &body).await.expect(200);
    let user = new_user("one");
    send(&deputy, "/api/v1/users", "k", &user).await.expect(201);
    admin.patch("/api/v1/users/2", &json!({ "isAdmin": false })).await.expect(200);
    send(&deputy, "/api/v1/users", "k", &user).await.expect(403);
    admin.patch("/api/v1/users/2", &json!({ "isAdmin": true })).await.expect(200);
    send(&deputy, "/api/v1/users", "k", &user).await.expect(201);
    send(&t.anonymous(), "/api/v1/users", "k", &user).await.expect(401);
    t.clock.advance(7 * HOUR);
    send(&deputy, "/api/v1/users", "k", &user).await.expect(401);
}

#[tokio::test]
async fn only_successes_are_stored_and_only_for_a_day() {
    let t = T::start().await;
    let admin = t.admin().await;
    // Refusals are not kept: mended, the same request works.
    send(&admin, "/api/v1/users", "k", &json!({})).await.expect(400);
    let taken = admin.create("one").await;
    send(&admin, "/api/v1/users", "k", &new_user("one")).await.expect(409);
    admin.delete(&format!("/api/v1/users/{}", taken["userId"])).await.expect(204);
    let made = send(&admin, "/api/v1/users", "k", &new_user("one")).await.expect(201);
    // A dry run is neither kept nor answered from what is kept.
    let tried = send(&admin, "/api/v1/users?dryRun=true", "d", &new_user("two")).await.expect(200);
    let again = send(&admin, "/api/v1/users?dryRun=true", "d", &new_user("two")).await.expect(200);
    assert_eq!((&again.body["dryRun"], again.header("idempotency-replayed")), (&json!(true), ""));
    assert_eq!(tried.body["result"]["username"], again.body["result"]["username"]);
    // What was right at the first time may be wrong by now: it is answered all the same.
    let group = admin.create_group("Editors").await;
    let member = with(&new_user("member"), json!({ "groups": [group] }));
    send(&admin, "/api/v1/users", "m", &member).await.expect(201);
    admin.delete(&format!("/api/v1/groups/{group}")).await.expect(204);
    send(&admin, "/api/v1/users", "m", &member).await.expect(201);
    t.clock.advance(DAY - 1);
    let admin = t.admin().await;
    assert_eq!(shape(&send(&admin, "/api/v1/users", "k", &new_user("one")).await), shape(&made));
    assert_eq!(tenantry_worker::housekeep(&t.app).await.unwrap().responses, 0);
    t.clock.advance(1);
    send(&admin, "/api/v1/users", "k", &new_user("one")).await.expect(409);
    t.clock.advance(1);
    assert_eq!(tenantry_worker::housekeep(&t.app).await.unwrap().responses, 2);
    assert_eq!(tenantry_worker::housekeep(&t.app).await.unwrap().responses, 0);
}

#[tokio::test]
async fn bad_keys_are_named() {
    let t = T::start().await;
    let admin = t.admin().await;
    for key in ["", "a b", &"x".repeat(256), "caf\u{e9}"] {
        let response = send(&admin, "/api/v1/users", key, &new_user("one")).await.expect(400);
        assert_eq!(response.faults(), ["Idempotency-Key malformed-key"], "{key}");
    }
    let twice = admin
        .request(Method::POST, "/api/v1/users")
        .header("idempotency-key", "a")
        .header("idempotency-key", "b")
        .header("content-type", "application/json")
        .body(new_user("one").to_string());
    TestResponse::of(twice.send().await.unwrap()).await.expect(400);
    assert_eq!(ids(&admin.everybody().await), [1]);
    send(&admin, "/api/v1/users", &"x".repeat(255), &new_user("one")).await.expect(201);
}

/// Operations with secrets keep nothing: a key beside them means nothing.
#[tokio::test]
async fn responses_with_secrets_are_not_stored() {
    let t = T::start().await;
    let (id, fenna) = t.member("fenna").await;
    let admin = t.admin().await;
    let body = json!({ "oldPassword": password_of("fenna"), "newPassword": "Zy9.Saucer-Quilt-4x" });
    t.secret("Zy9.Saucer-Quilt-4x");
    send(&fenna, "/self/update-password", "k", &body).await.expect(200);
    send(&fenna, "/self/update-password", "k", &body).await.expect(400);
    let reset = format!("/api/v1/users/{id}/reset-password");
    let mails = t.mails().await.len();
    for n in 1..=2 {
        send(&admin, &reset, "k", &Value::Null).await.expect(200);
        assert_eq!(t.mails().await.len(), mails + n);
    }
    for n in 1..=2 {
        let response =
            send(&t.anonymous(), "/api/v1/users/forgot-password", "k", &json!({ "username": "x" })).await;
        assert_eq!((response.status.as_u16(), response.header("idempotency-replayed")), (202, ""), "{n}");
    }
    let form = |t: &T| {
        t.anonymous()
            .request(Method::POST, "/oauth/token")
            .header("idempotency-key", "k")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!(
                "client_id=tenantry&grant_type=password&username=admin&password={}",
                crate::harness::ADMIN_PASSWORD
            ))
    };
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let response = TestResponse::of(form(&t).send().await.unwrap()).await.expect(200);
        let token = response.body["access_token"].as_str().unwrap().to_owned();
        t.secret(&token);
        tokens.push(token);
    }
    assert_ne!(tokens[0], tokens[1]);
}

/// A button pressed twenty times: one user, one mail, and the same response for everybody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_concurrent_requests_one_does_the_work_and_all_get_its_response() {
    let t = T::start().await;
    let admin = t.admin().await;
    for round in 0..5 {
        let (key, body) = (format!("k{round}"), new_user(&format!("user{round}")));
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let request = admin
                .request(Method::POST, "/api/v1/users")
                .header("idempotency-key", &key)
                .header("content-type", "application/json")
                .body(body.to_string());
            waiting.spawn(async move { TestResponse::of(request.send().await.unwrap()).await });
        }
        let responses = waiting.join_all().await;
        assert!(responses.iter().all(|response| shape(response) == shape(&responses[0])), "{responses:?}");
        assert_eq!(responses[0].status, 201);
        let fresh =
            responses.iter().filter(|response| response.header("idempotency-replayed").is_empty()).count();
        assert_eq!(fresh, 1);
        assert_eq!(ids(&admin.everybody().await).len(), 2 + round);
        assert_eq!(t.mails_to(&format!("user{round}@example.com")).await.len(), 1);
    }
    // Another body at the same time is told so, whoever comes first.
    let (a, b) = (new_user("left"), new_user("right"));
    let (one, other) =
        tokio::join!(send(&admin, "/api/v1/users", "c", &a), send(&admin, "/api/v1/users", "c", &b));
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
}

#[test]
fn the_document_has_the_key_where_it_applies() {
    let document = tenantry::router::document();
    let mut with_key = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            if parameters.into_iter().any(|parameter| parameter["name"] == "Idempotency-Key") {
                with_key.push(format!("{method} {path}"));
            }
        }
    }
    with_key.sort();
    assert_eq!(
        with_key,
        [
            "post /api/v1/clients",
            "post /api/v1/clients/{clientId}/secrets",
            "post /api/v1/groups",
            "post /api/v1/groups/bulk-delete",
            "post /api/v1/groups/{groupId}/users",
            "post /api/v1/users",
            "post /api/v1/users/bulk",
            "post /api/v1/users/bulk-delete",
            // Also: one that broke off goes on.
            "post /api/v1/users/import",
            "post /api/v1/users/{userId}/restore",
            "post /operator/v1/clients",
            "post /operator/v1/clients/{clientId}/secrets",
            "post /operator/v1/partners",
        ]
    );
}
