//! Which logins are alive, and how to end them.

use reqwest::{Method, header};
use serde_json::json;

use tenantry_core::clock::{DAY, HOUR, MINUTE};

use crate::harness::{Person, T, TestResponse, password_of};
use crate::products::Product;

const OWN: &str = "/api/v1/users/self/sessions";

/// Logs in as a client that says what it is, from an address a proxy tells.
async fn login_from<'t>(t: &'t T, username: &str, address: &str, agent: &str) -> Person<'t> {
    let form = [
        ("grant_type", "password"),
        ("client_id", "tenantry"),
        ("username", username),
        ("password", &password_of(username)),
    ];
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request = t
        .anonymous()
        .request(Method::POST, "/oauth/token")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header("x-forwarded-for", address)
        .header(header::USER_AGENT, agent)
        .body(body);
    let response = TestResponse::of(request.send().await.unwrap()).await.expect(200);
    t.secret(response.body["access_token"].as_str().unwrap());
    t.bearer(response.body["access_token"].as_str().unwrap())
}

#[tokio::test]
async fn a_session_shows_time_address_and_user_agent() {
    let t = T::with(|config| config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()]).await;
    let (id, fenna) = t.member("fenna").await;
    t.clock.advance(HOUR);
    let phone = login_from(&t, "fenna", "203.0.113.7", "Phone/1.0").await;
    let page = phone.get(OWN).await.expect(200).body;
    // The session that set the password and the one of the harness came before.
    assert_eq!(page["total"], 3);
    let newest = &page["list"][2];
    assert_eq!(
        newest,
        &json!({
            "sessionId": newest["sessionId"], "kind": "tokens", "clientId": "tenantry", "clientName": null,
            "browserSessionId": null, "address": "203.0.113.7", "userAgent": "Phone/1.0",
            "isCurrent": true, "passwordChangeRequired": false, "createdAt": "2026-11-23T10:00:00.000Z",
            "lastUsedAt": "2026-11-23T10:00:00.000Z", "expiresAt": "2026-12-23T10:00:00.000Z",
        })
    );
    assert_eq!(page["list"][0]["isCurrent"], false);
    // An admin sees the same, and which one is its own.
    let admin = t.admin().await;
    let seen = admin.get(&format!("/api/v1/users/{id}/sessions")).await.expect(200).body;
    assert_eq!(seen["list"][2]["sessionId"], newest["sessionId"]);
    assert_eq!(seen["list"][2]["isCurrent"], false);
    // No token or hash in it.
    for secret in [&fenna, &phone].map(|p| p.token.clone().unwrap()) {
        assert!(!seen.to_string().contains(&secret));
    }
    for path in ["/self/sessions", "/v1/self/sessions/", "/users/self/sessions"] {
        assert_eq!(phone.get(path).await.expect(200).body, page, "{path}");
    }
}

#[tokio::test]
async fn the_last_use_is_known_to_about_five_minutes_and_survives_a_restart() {
    let t = T::start().await;
    let (_, fenna) = t.member("fenna").await;
    let token = fenna.token.clone().unwrap();
    let last = async |t: &T| {
        let page = t.bearer(&token).get(&format!("{OWN}?descending=true")).await.expect(200).body;
        let current = page["list"].as_array().unwrap().iter().find(|s| s["isCurrent"] == true).unwrap();
        current["lastUsedAt"].as_str().unwrap().to_owned()
    };
    assert_eq!(last(&t).await, "2026-11-23T09:00:00.000Z");
    t.clock.advance(4 * MINUTE);
    assert_eq!(last(&t).await, "2026-11-23T09:00:00.000Z");
    t.clock.advance(2 * MINUTE);
    assert_eq!(last(&t).await, "2026-11-23T09:06:00.000Z");
    tenantry_worker::housekeep(&t.app).await.unwrap();
    assert_eq!(last(&t).await, "2026-11-23T09:06:00.000Z");
    let t = t.restart().await;
    assert_eq!(last(&t).await, "2026-11-23T09:06:00.000Z");
}

#[tokio::test]
async fn an_ended_session_and_no_other_loses_access_at_once() {
    let t = T::start().await;
    let (id, fenna) = t.member("fenna").await;
    let other = t.login("fenna", &password_of("fenna")).await;
    let number = async |person: &Person<'_>| {
        let page = person.get(OWN).await.expect(200);
        let own = page.list().iter().find(|session| session["isCurrent"] == true).unwrap();
        own["sessionId"].as_str().unwrap().to_owned()
    };
    let (own, elsewhere) = (number(&other).await, number(&fenna).await);
    other.delete(&format!("{OWN}/{elsewhere}")).await.expect(204);
    fenna.get("/api/v1/users/self").await.expect(401);
    other.get("/api/v1/users/self").await.expect(200);
    let again = other.delete(&format!("{OWN}/{elsewhere}")).await.expect(404);
    assert_eq!(again.body["code"], "session-not-found");
    // Another user's session is not among one's own, not even for somebody who knows its number.
    let (lena_id, lena) = t.member("lena").await;
    lena.delete(&format!("{OWN}/{own}")).await.expect(404);
    let admin = t.admin().await;
    admin.delete(&format!("/api/v1/users/{lena_id}/sessions/{own}")).await.expect(404);
    other.get("/api/v1/users/self").await.expect(200);
    // The admin ends it by the user it belongs to.
    admin.delete(&format!("/api/v1/users/{id}/sessions/{own}")).await.expect(204);
    other.get("/api/v1/users/self").await.expect(401);
    let ended = admin.events().await.into_iter().filter(|e| e["type"] == "session.ended").count();
    assert_eq!(ended, 2);
}

#[tokio::test]
async fn all_includes_the_callers_own_and_nobody_elses() {
    let t = T::start().await;
    let (id, fenna) = t.member("fenna").await;
    let (_, lena) = t.member("lena").await;
    let refresh = {
        let form = [("grant_type", "password"), ("username", "fenna"), ("password", &*password_of("fenna"))];
        t.token(&form).await.expect(200).body["refresh_token"].as_str().unwrap().to_owned()
    };
    fenna.delete(OWN).await.expect(204);
    fenna.get("/api/v1/users/self").await.expect(401);
    t.token(&[("grant_type", "refresh_token"), ("refresh_token", &refresh)]).await.expect(400);
    lena.get("/api/v1/users/self").await.expect(200);
    // By an admin, and by an admin of itself.
    let fenna = t.login("fenna", &password_of("fenna")).await;
    let admin = t.admin().await;
    let path = format!("/api/v1/users/{id}/sessions");
    admin.delete(&path).await.expect(204);
    fenna.get("/api/v1/users/self").await.expect(401);
    assert_eq!(admin.get(&path).await.expect(200).body["total"], 0);
    // Nothing left to end is no fault.
    admin.delete(&path).await.expect(204);
    admin.delete("/api/v1/users/1/sessions").await.expect(204);
    admin.get("/api/v1/users").await.expect(401);
}

#[tokio::test]
async fn sessions_are_paged_and_ended_ones_are_not_listed() {
    let t = T::start().await;
    let admin = t.admin().await;
    let path = "/api/v1/users/self/sessions";
    for _ in 0..6 {
        t.clock.advance(1);
        t.admin().await;
    }
    let mut seen = Vec::new();
    let mut next = format!("{path}?pageSize=3&descending=true");
    let mut pages = 0;
    loop {
        let response = admin.get(&next).await.expect(200);
        assert_eq!(response.body["total"], 7);
        seen.extend(response.list().iter().map(|s| s["createdAt"].as_str().unwrap().to_owned()));
        pages += 1;
        let Some(link) = response.header("link").strip_prefix('<').map(str::to_owned) else { break };
        next = link.split_once('>').unwrap().0.to_owned();
    }
    assert_eq!((pages, seen.len()), (3, 7));
    assert!(seen.is_sorted_by(|a, b| a > b), "{seen:?}");
    let by_page = admin.get(&format!("{path}?page=2&pageSize=3")).await.expect(200);
    assert_eq!(by_page.list().len(), 1);
    admin.get(&format!("{path}?sortBy=address")).await.expect(400);
    admin.get(&format!("{path}?dryRun=true")).await.expect(400);
    // A cursor is that of one user's list.
    let first = admin.get(&format!("{path}?pageSize=3")).await.expect(200);
    let cursor = first.header("link").split("cursor=").nth(1).unwrap().split(['&', '>']).next().unwrap();
    let user = admin.create("fenna").await;
    let other = format!("/api/v1/users/{}/sessions?cursor={cursor}", user["userId"]);
    admin.get(&other).await.expect(400);
    // Past the life of every refresh token nothing is listed, whether it was cleared away or not.
    t.clock.advance(31 * DAY);
    let late = t.admin().await;
    assert_eq!(late.get(path).await.expect(200).body["total"], 1);
}

/// Browsers in which the user is signed in are sessions, too: one list, one way to end them.
#[tokio::test]
async fn sessions_of_browsers_are_listed_and_end_with_those_of_their_applications() {
    let t = T::start().await;
    let (id, fenna) = t.member("fenna").await;
    let (_, ina) = t.member("ina").await;
    let admin = t.admin().await;
    let shop = Product::new(&t).await;
    t.clock.advance(MINUTE);
    let cookie = shop.sign_in("fenna", &password_of("fenna")).await;
    t.clock.advance(MINUTE);
    let token = shop.tokens(&cookie, "openid").await["access_token"].as_str().unwrap().to_owned();
    t.secret(&token);
    let list = fenna.get(&format!("{OWN}?descending=true&pageSize=100")).await.expect(200).body;
    let [tokens, browser, ..] = &list["list"].as_array().unwrap()[..] else { panic!("{list}") };
    assert_eq!((&tokens["kind"], &tokens["clientName"]), (&json!("tokens"), &json!("Shop")));
    assert_eq!(
        (&tokens["clientId"], &tokens["browserSessionId"]),
        (&json!(shop.client.0), &browser["sessionId"])
    );
    assert_eq!(
        browser,
        &json!({
            "sessionId": browser["sessionId"], "kind": "browser", "clientId": "tenantry", "clientName": null,
            "browserSessionId": null, "address": "192.0.2.7", "userAgent": "a browser", "isCurrent": false,
            "passwordChangeRequired": false, "createdAt": "2026-11-23T09:01:00.000Z",
            "lastUsedAt": "2026-11-23T09:01:00.000Z", "expiresAt": browser["expiresAt"],
        })
    );
    // By cursors each comes once, in both directions; an admin sees the same.
    for (path, person) in [(String::from(OWN), &fenna), (format!("/api/v1/users/{id}/sessions"), &admin)] {
        for descending in [true, false] {
            let mut next = format!("{path}?pageSize=1&descending={descending}");
            let mut found = Vec::new();
            while !next.is_empty() {
                let page = person.get(&next).await.expect(200);
                assert_eq!(page.body["total"], list["total"]);
                found.extend(page.list().iter().map(|session| session["sessionId"].clone()));
                next = page.header("link").split(['<', '>']).nth(1).unwrap_or_default().to_owned();
            }
            if !descending {
                found.reverse();
            }
            let all = list["list"].as_array().unwrap().iter().map(|session| session["sessionId"].clone());
            assert_eq!(found, all.collect::<Vec<_>>(), "{path}");
        }
    }
    // Nobody else ends it. With it ends what the application got in it, and nothing else.
    let one = format!("{OWN}/{}", browser["sessionId"].as_str().unwrap());
    ina.delete(&one).await.expect(404);
    assert_eq!(shop.authorize(&cookie, &shop.parameters()).await.expect(303).page(), "");
    fenna.delete(&one).await.expect(204);
    fenna.delete(&one).await.expect(404);
    assert_eq!(shop.authorize(&cookie, &shop.parameters()).await.expect(303).page(), "/sign-in");
    t.bearer(&token).get("/oauth/userinfo").await.expect(401);
    let left = fenna.get(OWN).await.expect(200).body["total"].as_i64().unwrap();
    assert_eq!(left, list["total"].as_i64().unwrap() - 2);
    let ended = admin.get(&format!("/api/v1/events?userId={id}&type=user.signed_out")).await.expect(200);
    assert_eq!((ended.list().len(), &ended.list()[0]["actor"]), (1, &json!(format!("user:{id}"))));
    // An admin ends one, or all.
    for all in [false, true] {
        let cookie = shop.sign_in("fenna", &password_of("fenna")).await;
        let path = format!("/api/v1/users/{id}/sessions");
        let newest = admin.get(&format!("{path}?descending=true")).await.expect(200).list()[0].clone();
        let one = format!("{path}/{}", newest["sessionId"].as_str().unwrap());
        admin.delete(if all { &path } else { &one }).await.expect(204);
        assert_eq!(shop.authorize(&cookie, &shop.parameters()).await.expect(303).page(), "/sign-in");
    }
    assert_eq!(admin.get(&format!("/api/v1/users/{id}/sessions")).await.expect(200).body["total"], 0);
}
