//! "Forgot password": always the same response, a mail for the owner only, and no harm to anybody.

use reqwest::{Method, header};
use serde_json::{Value, json};

use tenantry_core::clock::{DAY, HOUR, MINUTE, SECOND};
use tenantry_domain::forgot_password;
use tenantry_mail::{EmailContent, Reason};

use crate::fixtures::with;
use crate::harness::{T, TestResponse, new_user, password_of};

const PATH: &str = "/api/v1/users/forgot-password";

async fn ask(t: &T, body: Value) -> TestResponse {
    t.anonymous().post(PATH, &body).await
}

/// The temporary passwords mailed on request so far: address, username, password.
async fn mailed(t: &T) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for mail in t.mails().await {
        if let EmailContent::TemporaryPassword { username, password, reason: Reason::Forgotten, .. } =
            mail.content
        {
            t.secret(password.expose());
            found.push((mail.to.address, username, password.expose().to_owned()));
        }
    }
    found
}

#[tokio::test]
async fn the_response_and_its_work_reveal_nothing() {
    let t = T::start().await;
    t.member("fenna").await;
    let admin = t.admin().await;
    admin.create_with(&with(&new_user("ina"), json!({ "status": "INACTIVE" }))).await;
    let bodies = [
        json!({ "username": "fenna" }),
        json!({ "username": "FENNA" }),
        json!({ "username": "nobody" }),
        json!({ "username": "no such name at all" }),
        json!({ "username": "ina" }),
        json!({ "email": "fenna@example.com" }),
        json!({ "email": "nobody@example.com" }),
        json!({ "email": "no address" }),
        json!({ "username": "" }),
    ];
    let shape = |response: TestResponse| {
        let mut headers: Vec<_> =
            response.headers.iter().map(|(n, v)| (n.to_string(), v.to_str().unwrap().to_owned())).collect();
        headers.retain(|(name, _)| name != "x-request-id" && name != "date");
        (response.status, headers, response.text)
    };
    let mut responses = Vec::new();
    for (n, body) in bodies.iter().enumerate() {
        responses.push(shape(ask(&t, body.clone()).await));
        // One row each, whoever it names: nothing is looked up before the response.
        let waiting = t
            .app
            .store
            .read(&tenantry_store::access::nobody(), |tx| forgot_password::list(tx, 100))
            .await
            .unwrap();
        assert_eq!(waiting.len(), n + 1);
    }
    assert_eq!(responses[0].0, 202);
    assert_eq!(responses[0].2, "{}");
    assert!(responses.iter().all(|response| *response == responses[0]), "{responses:?}");
    // One mail: the first of three requests for the same user.
    assert_eq!(mailed(&t).await.len(), 1);
}

/// The page is the same for everybody, before and after, and nothing is looked up or hashed.
#[tokio::test]
async fn the_page_and_its_work_reveal_nothing() {
    let t = T::with(|config| config.forgot_password_per_address = 1_000).await;
    t.member("fenna").await;
    let admin = t.admin().await;
    admin.create_with(&with(&new_user("ina"), json!({ "status": "INACTIVE" }))).await;
    let hashes = t.app.hasher.computed();
    let mut shapes = Vec::new();
    let mut rows = 0;
    for who in
        ["fenna", "fenna@example.com", "nobody", "nobody@example.com", "ina", "not a username", "a\u{1}b"]
    {
        // What may be an address or a username is looked up as both.
        rows += if who.contains('@') { 2 } else { 1 };
        let mut browser = t.browser();
        let page = browser.get("/forgot-password").await.expect(200);
        let shown = browser.submit(&page, &[("who", who)]).await;
        shown.expect_to("/forgot-password?sent=1");
        let own = ["x-request-id", "date"];
        let headers = shown.headers.iter().filter(|(name, _)| !own.contains(&name.as_str()));
        let headers: Vec<_> = headers.map(|(name, value)| (name.clone(), value.clone())).collect();
        let waiting = t.ask_sql("SELECT count(*) FROM password_requests");
        assert_eq!(waiting, [[rows.to_string()]], "{who}: nothing is looked up before the answer");
        let page = browser.follow(shown).await.expect(200);
        let id = page.header("x-request-id").to_owned();
        shapes.push((headers, page.text.replace(&id, "")));
    }
    assert!(shapes.iter().all(|shape| *shape == shapes[0]), "{shapes:#?}");
    assert_eq!(t.app.hasher.computed(), hashes);
    assert_eq!(mailed(&t).await.len(), 1, "one mail, for the owner");
}

#[tokio::test]
async fn bad_requests_say_what_is_wrong() {
    let t = T::start().await;
    for (body, faults) in [
        (json!({}), vec!["/username required"]),
        (json!({ "username": "a", "email": "b@example.com" }), vec!["/email contradiction"]),
        (json!({ "username": 5 }), vec!["/username wrong-type"]),
        (json!({ "email": null }), vec!["/email wrong-type"]),
        (json!({ "email": "a\u{0}@example.com" }), vec!["/email control-character"]),
        (json!({ "username": "a", "user": "b" }), vec!["/user unknown-field"]),
    ] {
        assert_eq!(ask(&t, body).await.expect(400).faults(), faults);
    }
    let dry = t.anonymous().post(&format!("{PATH}?dryRun=true"), &json!({ "username": "a" })).await;
    assert_eq!(dry.expect(400).faults()[0].split(' ').next(), Some("dryRun"));
    t.anonymous().send(Method::POST, PATH, Some(b"username=a".to_vec()), "text/plain").await.expect(415);
}

#[tokio::test]
async fn white_space_around_what_was_typed_is_ignored() {
    let t = T::with(|config| config.forgot_password_per_address = 1_000).await;
    t.member("ada").await;
    for (n, body) in [
        json!({ "email": "ada@example.com " }),
        json!({ "email": " Ada@Example.com" }),
        json!({ "username": "\t ada\n" }),
        json!({ "username": "ada\u{a0}" }),
        json!({ "email": "\u{3000}ada@example.com\u{feff}" }),
    ]
    .into_iter()
    .enumerate()
    {
        ask(&t, body.clone()).await.expect(202);
        assert_eq!(mailed(&t).await.len(), n + 1, "{body}");
        t.clock.advance(DAY);
    }
    for body in
        [json!({ "email": "ada @example.com" }), json!({ "email": " " }), json!({ "username": "\u{a0}" })]
    {
        ask(&t, body).await.expect(202);
    }
    assert_eq!(mailed(&t).await.len(), 5);
}

#[tokio::test]
async fn the_old_password_works_until_the_temporary_one_is_used() {
    let t = T::start().await;
    let (_, fenna) = t.member("fenna").await;
    ask(&t, json!({ "username": "Fenna" })).await.expect(202);
    let [(address, username, temporary)] = mailed(&t).await.try_into().unwrap();
    assert_eq!((&*address, &*username), ("fenna@example.com", "fenna"));
    // Nothing has happened to its owner: sessions, refreshes and logins go on.
    fenna.get("/api/v1/users/self").await.expect(200);
    let form = [("grant_type", "password"), ("username", "fenna"), ("password", &*password_of("fenna"))];
    let login = t.token(&form).await.expect(200);
    assert_eq!(login.body.get("passwordChangeRequired"), None);
    let refresh = login.body["refresh_token"].as_str().unwrap();
    t.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await.expect(200);
    t.login("fenna", &password_of("fenna")).await.get("/api/v1/users/self").await.expect(200);
    // The temporary one is used: the old one ends, and only a new one can be set.
    let restricted = t.try_login("fenna", &temporary).await.expect(200);
    assert_eq!(restricted.body["passwordChangeRequired"], true);
    t.try_login("fenna", &password_of("fenna")).await.expect(400);
    let person = t.bearer(restricted.body["access_token"].as_str().unwrap());
    let old = json!({ "oldPassword": temporary, "newPassword": password_of("fenna") });
    // The old permanent one stays in the history.
    assert_eq!(
        person.post("/self/update-password", &old).await.expect(400).faults(),
        ["/newPassword used-before"]
    );
    let new = json!({ "oldPassword": temporary, "newPassword": "Zy9.Saucer-Quilt-4x" });
    t.secret("Zy9.Saucer-Quilt-4x");
    person.post("/self/update-password", &new).await.expect(200);
    t.login("fenna", "Zy9.Saucer-Quilt-4x").await;
    t.try_login("fenna", &temporary).await.expect(400);
    fenna.get("/api/v1/users/self").await.expect(401);
}

#[tokio::test]
async fn an_unused_temporary_password_expires_or_ends_with_the_next_change() {
    let t = T::start().await;
    let (_, fenna) = t.member("fenna").await;
    ask(&t, json!({ "username": "fenna" })).await.expect(202);
    let first = mailed(&t).await.pop().unwrap().2;
    t.clock.advance(DAY);
    t.try_login("fenna", &first).await.expect(400);
    t.login("fenna", &password_of("fenna")).await;
    ask(&t, json!({ "username": "fenna" })).await.expect(202);
    let second = mailed(&t).await.pop().unwrap().2;
    let fenna = t.login("fenna", &password_of("fenna")).await.token.map_or(fenna, |token| t.bearer(&token));
    let body = json!({ "oldPassword": password_of("fenna"), "newPassword": "Zy9.Saucer-Quilt-4x" });
    t.secret("Zy9.Saucer-Quilt-4x");
    fenna.post("/self/update-password", &body).await.expect(200);
    t.try_login("fenna", &second).await.expect(400);
}

#[tokio::test]
async fn one_account_gets_one_mail_in_ten_minutes_and_five_a_day() {
    let t = T::with(|config| config.forgot_password_per_address = 1_000).await;
    t.member("fenna").await;
    let asked = async || {
        ask(&t, json!({ "username": "fenna" })).await.expect(202);
        ask(&t, json!({ "email": "fenna@example.com" })).await.expect(202);
        mailed(&t).await.len()
    };
    assert_eq!(asked().await, 1);
    t.clock.advance(10 * MINUTE - SECOND);
    assert_eq!(asked().await, 1);
    t.clock.advance(SECOND);
    assert_eq!(asked().await, 2);
    for expected in 3..=5 {
        t.clock.advance(HOUR);
        assert_eq!(asked().await, expected);
    }
    t.clock.advance(HOUR);
    assert_eq!(asked().await, 5);
    // The first is a day old.
    t.clock.advance(DAY - 4 * HOUR - 10 * MINUTE);
    assert_eq!(asked().await, 6);
    // Only the newest temporary password is good (B22).
    let all = mailed(&t).await;
    t.try_login("fenna", &all[4].2).await.expect(400);
    t.try_login("fenna", &all[5].2).await.expect(200);
}

#[tokio::test]
async fn an_address_with_too_many_requests_is_refused() {
    let t = T::with(|config| {
        config.forgot_password_per_address = 3;
        config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    })
    .await;
    let from = async |address: &str, name: &str| {
        let request = t
            .anonymous()
            .request(Method::POST, PATH)
            .header("x-forwarded-for", address)
            .header(header::CONTENT_TYPE, "application/json")
            .body(json!({ "username": name }).to_string());
        TestResponse::of(request.send().await.unwrap()).await
    };
    for name in ["a", "b", "c"] {
        from("203.0.113.7", name).await.expect(202);
    }
    let told = from("203.0.113.7", "d").await.expect(429);
    assert_eq!((told.header("retry-after"), &told.body["code"]), ("300", &json!("too-many-attempts")));
    from("203.0.113.8", "d").await.expect(202);
    t.clock.advance(5 * MINUTE);
    from("203.0.113.7", "d").await.expect(202);
    // Logins are counted by themselves.
    t.admin().await;
}

#[tokio::test]
async fn users_who_share_an_address_get_one_each() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (_, olga) = t.other_partner("acme").await;
    for (person, name) in [(&admin, "one"), (&admin, "two"), (&olga, "three")] {
        let user = with(&new_user(name), json!({ "email": "Family@Example.com" }));
        person.create_with(&user).await;
    }
    let locked = with(&new_user("four"), json!({ "email": "family@example.com", "status": "LOCKED" }));
    admin.create_with(&locked).await;
    ask(&t, json!({ "email": "FAMILY@example.com" })).await.expect(202);
    let mails = mailed(&t).await;
    let names: Vec<_> = mails.iter().map(|(_, name, _)| name.as_str()).collect();
    assert_eq!(names, ["one", "two", "three"]);
    assert!(mails.iter().all(|(address, ..)| address == "Family@Example.com"));
    for (_, name, password) in &mails {
        t.login(name, password).await;
    }
}

#[tokio::test]
async fn a_user_without_login_gets_no_mail_and_a_changed_address_waits() {
    let t = T::start().await;
    let admin = t.admin().await;
    for (name, status) in [("ina", "INACTIVE"), ("lou", "LOCKED")] {
        admin.create_with(&with(&new_user(name), json!({ "status": status }))).await;
        ask(&t, json!({ "username": name })).await.expect(202);
    }
    let (pid, olga) = t.other_partner("acme").await;
    olga.create("olaf").await;
    let body = json!({ "suspended": true });
    t.operator().await.patch(&format!("/operator/v1/partners/{pid}"), &body).await.expect(200);
    ask(&t, json!({ "username": "olaf" })).await.expect(202);
    assert_eq!(mailed(&t).await, []);
    // A self-changed address does not get password mail for a day (B25).
    let (_, fenna) = t.member("fenna").await;
    let own = fenna.get("/api/v1/users/self").await.body;
    fenna.put("/self/update", &with(&own, json!({ "email": "thief@example.net" }))).await.expect(200);
    ask(&t, json!({ "username": "fenna" })).await.expect(202);
    assert_eq!(mailed(&t).await[0].0, "fenna@example.com");
    // The event names no password.
    let events = admin.events().await;
    let issued = events.iter().rfind(|event| event["type"] == "password.issued").unwrap();
    assert_eq!((&issued["after"], &issued["actor"]), (&json!({ "reason": "forgotten" }), &json!("system")));
}

#[tokio::test]
async fn a_request_survives_a_restart() {
    let t = T::start().await;
    t.member("fenna").await;
    ask(&t, json!({ "username": "fenna" })).await.expect(202);
    let t = t.restart().await;
    assert_eq!(mailed(&t).await.len(), 1);
    assert_eq!(mailed(&t).await.len(), 1);
}
