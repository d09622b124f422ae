//! `ETag`, `If-Match` and `If-None-Match`: nobody overwrites unseen what another has written.

use reqwest::Method;
use serde_json::{Value, json};

use crate::fixtures::with;
use crate::harness::{Person, T, TestResponse, new_user, password_of};

/// A request with one more header.
async fn send(
    person: &Person<'_>,
    method: Method,
    path: &str,
    header: (&str, &str),
    body: Option<&Value>,
) -> TestResponse {
    let mut request = person.request(method, path).header(header.0, header.1);
    if let Some(body) = body {
        request = request.header("content-type", "application/json").body(body.to_string());
    }
    TestResponse::of(request.send().await.unwrap()).await
}

async fn tag(person: &Person<'_>, path: &str) -> String {
    let response = person.get(path).await.expect(200);
    assert!(response.header("etag").starts_with('"'), "{path}: {}", response.header("etag"));
    response.header("etag").to_owned()
}

#[tokio::test]
async fn every_answer_with_one_user_or_group_has_its_tag() {
    let t = T::start().await;
    let admin = t.admin().await;
    let user = admin.post("/api/v1/users", &new_user("fenna")).await.expect(201);
    let path = user.header("location").to_owned();
    assert_eq!(user.header("etag"), tag(&admin, &path).await);
    let put = admin.put(&path, &with(&user.body, json!({ "title": "x" }))).await.expect(200);
    assert_eq!(put.header("etag"), tag(&admin, &path).await);
    assert_ne!(put.header("etag"), user.header("etag"));
    let patch = admin.patch(&path, &json!({ "title": "y" })).await.expect(200);
    assert_eq!(patch.header("etag"), tag(&admin, &path).await);
    assert_eq!(tag(&admin, "/self").await, tag(&admin, "/api/v1/users/1").await);
    let own = admin.put("/self/update", &admin.get("/self").await.body).await.expect(200);
    assert_eq!(own.header("etag"), tag(&admin, "/self").await);
    let group = admin.post("/api/v1/groups", &json!({ "name": "Editors" })).await.expect(201);
    let path = group.header("location").to_owned();
    assert_eq!(group.header("etag"), tag(&admin, &path).await);
    let put = admin.put(&path, &json!({ "name": "Writers" })).await.expect(200);
    assert_eq!(put.header("etag"), tag(&admin, &path).await);
    let same = admin.patch(&path, &json!({ "name": "Writers" })).await.expect(200);
    assert_eq!(same.header("etag"), put.header("etag"), "a change that changes nothing");
}

#[tokio::test]
async fn every_visible_change_raises_the_users_version() {
    let t = T::start().await;
    let (id, fenna) = t.member("fenna").await;
    let admin = t.admin().await;
    let path = format!("/api/v1/users/{id}");
    let (one, two) = (admin.create_group("One").await, admin.create_group("Two").await);
    let mut seen = vec![tag(&admin, &path).await];
    let mut changed = async |what: &str| {
        let now = tag(&admin, &path).await;
        assert!(!seen.contains(&now), "{what}");
        assert_eq!(tag(&admin, &path).await, now);
        seen.push(now);
    };
    for patch in [
        json!({ "username": "fenna2" }),
        json!({ "firstName": "F" }),
        json!({ "lastName": "L" }),
        json!({ "email": "f@example.com" }),
        json!({ "title": "T" }),
        json!({ "phoneNumber": "1" }),
        json!({ "externalId": "x" }),
        json!({ "isAdmin": true }),
        json!({ "groups": [one, two] }),
        json!({ "groups": [two] }),
    ] {
        admin.patch(&path, &patch).await.expect(200);
        changed(&patch.to_string()).await;
    }
    fenna.patch("/self", &json!({ "title": "Own" })).await.expect(200);
    changed("by itself").await;
    // lastLoginAt is shown, too.
    t.clock.advance(1_000);
    t.login("fenna2", &password_of("fenna")).await;
    changed("a login").await;
    admin.delete(&format!("/api/v1/groups/{two}")).await.expect(204);
    changed("a group that is gone").await;
    for _ in 0..5 {
        t.try_login("fenna2", "Wrong.Password-1x").await.expect(400);
    }
    changed("five failures").await;
    admin.patch(&path, &json!({ "status": "ACTIVE" })).await.expect(200);
    changed("unlocked").await;
}

#[tokio::test]
async fn every_membership_change_raises_the_groups_version() {
    let t = T::start().await;
    let admin = t.admin().await;
    let group = admin.create_group("Editors").await;
    let path = format!("/api/v1/groups/{group}");
    let mut seen = vec![tag(&admin, &path).await];
    let mut changed = async |what: &str| {
        let now = tag(&admin, &path).await;
        assert!(!seen.contains(&now), "{what}");
        seen.push(now);
    };
    let user = admin.create_with(&with(&new_user("fenna"), json!({ "groups": [group] }))).await;
    changed("created into it").await;
    let fenna = format!("/api/v1/users/{}", user["userId"]);
    admin.patch(&fenna, &json!({ "groups": [] })).await.expect(200);
    changed("left it").await;
    admin.patch(&fenna, &json!({ "groups": [group] })).await.expect(200);
    changed("joined it").await;
    admin.delete(&fenna).await.expect(204);
    changed("was deleted").await;
    admin.patch(&path, &json!({ "description": "x" })).await.expect(200);
    changed("described").await;
}

#[tokio::test]
async fn a_known_representation_is_not_sent_again() {
    let t = T::start().await;
    let admin = t.admin().await;
    let group = admin.create_group("Editors").await;
    for path in ["/api/v1/users/1".to_owned(), "/self".to_owned(), format!("/api/v1/groups/{group}")] {
        let known = tag(&admin, &path).await;
        let gzip = known.replacen("\"", "", 1).replace('"', "-gzip\"");
        for condition in [
            known.clone(),
            format!("W/{known}"),
            format!("\"{gzip}"),
            format!("\"other\", W/\"{gzip}"),
            format!("\"other\", {known}"),
            "*".to_owned(),
        ] {
            let response =
                send(&admin, Method::GET, &path, ("if-none-match", &condition), None).await.expect(304);
            assert_eq!(
                (response.text.as_str(), response.header("etag")),
                ("", &*known),
                "{path} {condition}"
            );
        }
        let other = send(&admin, Method::GET, &path, ("if-none-match", "\"u1-0\""), None).await.expect(200);
        assert_eq!(other.header("etag"), known);
        let bad = send(&admin, Method::GET, &path, ("if-none-match", "u1-1"), None).await.expect(400);
        assert_eq!(bad.faults(), ["If-None-Match malformed-tag"]);
    }
    // Rights and existence come first.
    send(&t.anonymous(), Method::GET, "/self", ("if-none-match", "*"), None).await.expect(401);
    send(&admin, Method::GET, "/api/v1/users/99", ("if-none-match", "*"), None).await.expect(404);
}

#[tokio::test]
async fn a_write_with_an_old_tag_is_refused_and_changes_nothing() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (id, fenna) = t.member("fenna").await;
    let group = admin.create_group("Editors").await;
    let user = format!("/api/v1/users/{id}");
    let group = format!("/api/v1/groups/{group}");
    let operator = t.operator().await;
    let client = format!("/api/v1/clients/{}", t.client(1, false).await.0);
    let of_partner = format!("/operator/v1/clients/{}", t.client(1, false).await.0);
    let made = json!({ "name": "Product", "redirectUris": ["https://shop.example/cb"] });
    let product = operator.post("/operator/v1/clients", &made).await.expect(201);
    t.secret(product.body["clientSecret"].as_str().unwrap());
    let product = product.header("location").to_owned();
    let whole = || vec![Method::PUT, Method::PATCH, Method::DELETE];
    for (person, path, read, body, methods) in [
        (&fenna, "/users/self", "/self", json!({ "title": "B" }), vec![Method::PATCH]),
        (&fenna, "/self/update", "/self", json!({ "title": "C" }), vec![Method::PUT]),
        (&admin, user.as_str(), user.as_str(), json!({ "title": "A" }), whole()),
        (&admin, &group, &group, json!({ "description": "D" }), whole()),
        (&admin, &client, &client, json!({ "name": "Robot 2" }), whole()),
        (&operator, &of_partner, &of_partner, json!({ "name": "Robot 3" }), whole()),
        (&operator, &product, &product, json!({ "name": "Product 2" }), whole()),
    ] {
        for method in methods {
            let before = person.get(read).await.expect(200);
            let (known, whole) = (before.header("etag").to_owned(), with(&before.body, body.clone()));
            let body = match method {
                Method::DELETE => None,
                Method::PUT => Some(&whole),
                _ => Some(&body),
            };
            let own = known.trim_matches('"');
            let others = [format!("\"{own}0\""), format!("W/\"{own}-\""), format!("\"{own}-gzip-gzip\"")];
            let others = others.iter().map(String::as_str);
            for condition in ["\"u0-0\"", "\"\"", "W/\"u0-0\"", "\"u0-0-gzip\""].into_iter().chain(others) {
                let response =
                    send(person, method.clone(), path, ("if-match", condition), body).await.expect(412);
                assert_eq!(response.body["code"], "precondition-failed");
            }
            send(person, method.clone(), path, ("if-none-match", "*"), body).await.expect(412);
            send(person, method.clone(), path, ("if-match", "u0-0"), body).await.expect(400);
            assert_eq!(person.get(read).await.expect(200).body, before.body, "{method} {path}");
            if method == Method::DELETE {
                // The tag of another thing is none of this one.
                send(person, method.clone(), path, ("if-match", &tag(&admin, "/self").await), body)
                    .await
                    .expect(412);
                send(person, method.clone(), path, ("if-match", &format!("W/{known}")), body)
                    .await
                    .expect(204);
                send(person, method.clone(), path, ("if-match", "*"), body).await.expect(404);
            } else {
                send(person, method.clone(), path, ("if-match", &format!("\"x\", {known}")), body)
                    .await
                    .expect(200);
                send(person, method.clone(), path, ("if-match", "*"), body).await.expect(200);
                // As proxies that compress hand it on: weak, or with the name of the coding.
                for form in
                    ["W/\"_\"", "\"_-gzip\"", "W/\"_-br\"", "\"x\", \"_-zstd\"", "\"_;gzip\"", "\"_--gzip\""]
                {
                    let known = tag(person, read).await;
                    let form = form.replace('_', known.trim_matches('"'));
                    let response = send(person, method.clone(), path, ("if-match", &form), body).await;
                    assert_eq!(response.status, 200, "{form}: {}", response.text);
                }
            }
        }
    }
}

/// A secret is added to, and removed from, the client that was read.
#[tokio::test]
async fn a_change_of_the_secrets_with_an_old_tag_is_refused() {
    let t = T::start().await;
    let (admin, operator) = (t.admin().await, t.operator().await);
    let client = t.client(1, false).await.0;
    for (person, path) in
        [(&admin, format!("/api/v1/clients/{client}")), (&operator, format!("/operator/v1/clients/{client}"))]
    {
        let secrets = format!("{path}/secrets");
        let before = person.get(&path).await.expect(200);
        let (old, nothing) = ("\"c0-0\"", json!({}));
        send(person, Method::POST, &secrets, ("if-match", old), Some(&nothing)).await.expect(412);
        let first = before.body["secrets"][0]["secretId"].as_i64().unwrap();
        send(person, Method::DELETE, &format!("{secrets}/{first}"), ("if-match", old), None)
            .await
            .expect(412);
        assert_eq!(person.get(&path).await.expect(200).body, before.body);
        let known = ("if-match", before.header("etag"));
        let added = send(person, Method::POST, &secrets, known, Some(&nothing)).await.expect(201);
        t.secret(added.body["clientSecret"].as_str().unwrap());
        // The client has changed: what was known before is old by now.
        assert_ne!(added.header("etag"), before.header("etag"));
        send(person, Method::DELETE, &format!("{secrets}/{first}"), known, None).await.expect(412);
        let known = ("if-match", added.header("etag"));
        send(person, Method::DELETE, &format!("{secrets}/{first}"), known, None).await.expect(204);
    }
}

/// Two admins read, both change, both send what they read: the later one learns of the earlier one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_concurrent_admins_one_writes_and_the_other_gets_a_conflict() {
    let t = T::start().await;
    let admin = t.admin().await;
    let user = admin.create("fenna").await;
    let group = admin.create_group("Editors").await;
    for (path, field) in [
        (format!("/api/v1/users/{}", user["userId"]), "lastName"),
        (format!("/api/v1/groups/{group}"), "description"),
    ] {
        for round in 0..20 {
            let known = tag(&admin, &path).await;
            let bodies: Vec<Value> =
                (0..4).map(|n| json!({ field: format!("Round {round} by {n}") })).collect();
            let (a, b, c, d) = tokio::join!(
                send(&admin, Method::PATCH, &path, ("if-match", &known), Some(&bodies[0])),
                send(&admin, Method::PATCH, &path, ("if-match", &known), Some(&bodies[1])),
                send(&admin, Method::PATCH, &path, ("if-match", &known), Some(&bodies[2])),
                send(&admin, Method::PATCH, &path, ("if-match", &known), Some(&bodies[3])),
            );
            let responses = [a, b, c, d];
            let won: Vec<&TestResponse> =
                responses.iter().filter(|response| response.status == 200).collect();
            assert_eq!(won.len(), 1, "{responses:?}");
            assert!(responses.iter().all(|response| [200, 412].contains(&response.status.as_u16())));
            let stands = admin.get(&path).await.expect(200);
            assert_eq!((&stands.body, stands.header("etag")), (&won[0].body, won[0].header("etag")));
        }
    }
}
