//! Browser sessions: how long they last, and what ends them.

use std::time::{Duration, Instant};

use serde_json::json;

use tenantry_core::clock::{DAY, HOUR, MINUTE};
use tenantry_worker::housekeep;

use crate::databases::is_postgres;
use crate::harness::{ADMIN_PASSWORD, T, password_of};
use crate::page_visitor::{PageVisitor, number};

const NEW: &str = "Zy9.Saucer-Quilt-4x";

#[track_caller]
fn is_in(is_in: bool, status: u16) {
    assert_eq!(status, if is_in { 200 } else { 303 });
}

async fn check(browser: &mut PageVisitor<'_>, expected: bool) {
    let shown = browser.get("/account").await;
    if !expected {
        shown.expect_to("/sign-in");
    }
    is_in(expected, shown.status.as_u16());
}

#[tokio::test]
async fn what_ends_the_sessions_of_a_user_ends_those_of_browsers_from_the_next_request_on() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (other, _) = t.member("other").await;
    let mut witness = t.signed_in("other", &password_of("other")).await;
    for what in ["lock", "deactivate", "reset", "delete", "end all", "suspend"] {
        let name = format!("user-{}", what.replace(' ', "-"));
        let (id, member) = t.member(&name).await;
        let mut browser = t.signed_in(&name, &password_of(&name)).await;
        check(&mut browser, true).await;
        let path = format!("/api/v1/users/{id}");
        match what {
            "lock" => drop(admin.patch(&path, &json!({ "status": "LOCKED" })).await.expect(200)),
            "deactivate" => drop(admin.patch(&path, &json!({ "status": "INACTIVE" })).await.expect(200)),
            "reset" => drop(admin.post(&format!("{path}/reset-password"), &json!({})).await.expect(200)),
            "delete" => drop(admin.delete(&path).await.expect(204)),
            "end all" => drop(admin.delete(&format!("{path}/sessions")).await.expect(204)),
            _ => {
                let operator = t.operator().await;
                let suspend = async |suspended: bool| {
                    let body = json!({ "suspended": suspended });
                    operator.patch("/operator/v1/partners/1", &body).await.expect(200);
                };
                suspend(true).await;
                check(&mut browser, false).await;
                suspend(false).await;
                check(&mut browser, true).await;
                continue;
            }
        }
        check(&mut browser, false).await;
        member.get("/self").await.expect(401);
        let left = number(&t, &format!("SELECT count(*) FROM browser_sessions WHERE user_id = {id}"));
        assert_eq!(left, 0, "{what}");
    }
    check(&mut witness, true).await;
    assert_eq!(number(&t, &format!("SELECT count(*) FROM browser_sessions WHERE user_id = {other}")), 1);
}

#[tokio::test]
async fn failed_logins_that_lock_a_user_end_its_browser_session() {
    let t = T::start().await;
    t.member("fenna").await;
    let mut browser = t.signed_in("fenna", &password_of("fenna")).await;
    for _ in 0..5 {
        check(&mut browser, true).await;
        t.try_login("fenna", "wrong").await.expect(400);
    }
    check(&mut browser, false).await;
}

#[tokio::test]
async fn a_change_of_the_password_ends_every_other_session() {
    let t = T::start().await;
    let (_, api) = t.member("fenna").await;
    let mut browser = t.signed_in("fenna", &password_of("fenna")).await;
    // By a token: browsers are out.
    let body = json!({ "oldPassword": password_of("fenna"), "newPassword": NEW });
    api.post("/api/v1/users/self/update-password", &body).await.expect(200);
    check(&mut browser, false).await;
    api.get("/self").await.expect(200);
}

#[tokio::test]
async fn setting_a_password_on_the_page_ends_every_other_session() {
    let t = T::start().await;
    t.admin().await.create("fenna").await;
    let temporary = t.mailed_password("fenna").await;
    let api = t.login("fenna", &temporary).await;
    let mut elsewhere = t.browser();
    elsewhere.sign_in("fenna", &temporary).await.expect_to("/set-password");
    let mut here = t.browser();
    here.sign_in("fenna", &temporary).await.expect_to("/set-password");
    let before = here.clone();
    let page = here.get("/set-password").await.expect(200);
    t.secret(NEW);
    here.submit(&page, &[("newPassword", NEW)]).await.expect_to("/account");
    check(&mut here, true).await;
    check(&mut elsewhere, false).await;
    check(&mut before.clone(), false).await;
    api.get("/self").await.expect(401);
}

/// The token families that name a browser session, as code exchanges make them.
#[tokio::test]
async fn sessions_of_applications_end_with_the_browser_session_unless_they_have_offline_access() {
    let t = T::start().await;
    let (id, _) = t.member("fenna").await;
    let mut browser = t.signed_in("fenna", &password_of("fenna")).await;
    let login = async || t.login("fenna", &password_of("fenna")).await;
    let (online, offline, independent) = (login().await, login().await, login().await);
    let named = |token: &str| {
        let hash = base64_of_sha256(token);
        format!("(SELECT session_id FROM access_tokens WHERE token_hash = '{hash}')")
    };
    let browser_session = t.ask_sql(&format!("SELECT session_id FROM browser_sessions WHERE user_id = {id}"));
    for (person, scopes) in [(&online, 3), (&offline, 259)] {
        let of = named(person.token.as_ref().unwrap());
        t.run_sql(&format!(
            "UPDATE sessions SET browser_session = '{}', scopes = {scopes} WHERE session_id = {of}",
            browser_session[0][0]
        ));
        person.get("/self").await.expect(200);
    }
    let page = browser.get("/sign-out").await.expect(200);
    browser.submit(&page, &[]).await.expect_to("/signed-out");
    online.get("/self").await.expect(401);
    offline.get("/self").await.expect(200);
    independent.get("/self").await.expect(200);
    assert_eq!(number(&t, "SELECT count(*) FROM sessions WHERE browser_session IS NOT NULL"), 0);
}

fn base64_of_sha256(token: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(tenantry_domain::tokens::hash(token))
}

#[tokio::test]
async fn a_session_ends_without_use_after_hours_and_with_it_after_days() {
    let t = T::start().await;
    t.member("fenna").await;
    let mut idle = t.signed_in("fenna", &password_of("fenna")).await;
    let mut used = t.signed_in("fenna", &password_of("fenna")).await;
    let mut kept = t.browser();
    let page = kept.get("/sign-in").await.expect(200);
    let form = [("username", "fenna"), ("password", &*password_of("fenna")), ("keep", "1")];
    let shown = kept.submit(&page, &form).await;
    assert!(shown.header("set-cookie").contains("Max-Age=2592000"), "{}", shown.header("set-cookie"));
    let begun = t.clock.now();
    for step in 1..=14 {
        t.clock.advance(12 * HOUR - 1);
        if step == 1 {
            check(&mut idle, true).await;
        }
        if t.clock.now() < begun + 7 * DAY {
            check(&mut used, true).await;
        }
        housekeep(&t.app).await.unwrap();
        if step == 3 {
            check(&mut idle, false).await;
        }
    }
    t.clock.advance(HOUR);
    check(&mut used, false).await;
    check(&mut kept, true).await;
    t.clock.advance(begun + 30 * DAY - 1 - t.clock.now());
    check(&mut kept, true).await;
    t.clock.advance(1);
    check(&mut kept, false).await;
    t.clock.advance(2 * DAY);
    housekeep(&t.app).await.unwrap();
    assert_eq!(number(&t, "SELECT count(*) FROM browser_sessions"), 0);
}

#[tokio::test]
async fn the_last_use_is_stored_every_few_minutes_and_survives_a_restart() {
    let t = T::start().await;
    t.member("fenna").await;
    let mut browser = t.signed_in("fenna", &password_of("fenna")).await;
    let begun = t.clock.now();
    let seen = |t: &T| number(t, "SELECT last_seen_at FROM browser_sessions");
    for (minutes, stored) in [(4, begun), (1, begun + 5 * MINUTE), (4, begun + 5 * MINUTE)] {
        t.clock.advance(minutes * MINUTE);
        check(&mut browser, true).await;
        housekeep(&t.app).await.unwrap();
        assert_eq!(seen(&t), stored, "{minutes}");
    }
    let cookies = browser.cookies.clone();
    drop(browser);
    let t = t.restart().await;
    t.clock.advance(12 * HOUR - 5 * MINUTE);
    let mut browser = t.browser();
    browser.cookies = cookies;
    check(&mut browser, true).await;
}

#[tokio::test]
async fn a_cookie_opens_pages_and_nothing_else() {
    let t = T::start().await;
    let browser = t.signed_in("admin", ADMIN_PASSWORD).await;
    let cookie = browser.session_cookie().unwrap().to_owned();
    for path in ["/api/v1/users", "/api/v1/users/self", "/operator/v1/partners"] {
        browser.clone().get(path).await.expect(401);
        t.bearer(&cookie).get(path).await.expect(401);
    }
    // And a token opens no page.
    let token = t.admin().await.token.unwrap();
    let mut bearer = t.browser().with_header("authorization", &format!("Bearer {token}"));
    check(&mut bearer, false).await;
    let mut as_cookie = t.browser();
    as_cookie.cookies.insert(String::from("tenantry"), token);
    check(&mut as_cookie, false).await;
}

#[tokio::test]
async fn cookies_that_were_not_given_out_here_are_unknown() {
    let (t, other) = (T::start().await, T::start().await);
    let foreign = other.signed_in("admin", ADMIN_PASSWORD).await;
    let good = t.signed_in("admin", ADMIN_PASSWORD).await;
    let cookie = good.session_cookie().unwrap().to_owned();
    let mut browser = t.browser();
    let twice = format!("{cookie}; tenantry={cookie}");
    for bad in [
        foreign.session_cookie().unwrap(),
        &cookie.replace("bs_1_", "bs_2_"),
        &cookie[..cookie.len() - 1],
        "bs_1_",
        "x",
        &twice,
    ] {
        browser.cookies.insert(String::from("tenantry"), bad.to_owned());
        check(&mut browser, false).await;
        browser.get("/sign-in").await.expect(200);
    }
    check(&mut good.clone(), true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_out_is_seen_by_another_process() {
    if !is_postgres() {
        return;
    }
    let t = T::start().await;
    let other = t.beside().await;
    t.member("fenna").await;
    for _ in 0..3 {
        let mut here = t.signed_in("fenna", &password_of("fenna")).await;
        let mut there = here.at(&other);
        for _ in 0..3 {
            check(&mut there, true).await;
        }
        let page = here.get("/sign-out").await.expect(200);
        here.submit(&page, &[]).await.expect_to("/signed-out");
        let begun = Instant::now();
        while there.get("/account").await.status == 200 {
            assert!(begun.elapsed() < Duration::from_secs(10), "the other process still knows the session");
        }
        check(&mut there, false).await;
    }
    // A session that is used at one process is not idle at the other.
    let mut here = t.signed_in("fenna", &password_of("fenna")).await;
    let mut there = here.at(&other);
    check(&mut there, true).await;
    t.clock.advance(11 * HOUR);
    check(&mut here, true).await;
    housekeep(&t.app).await.unwrap();
    t.clock.advance(11 * HOUR);
    check(&mut there, true).await;
}

#[tokio::test]
async fn the_address_of_a_sign_in_is_erased_after_the_end_of_its_session() {
    let t = T::with(|config| config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()]).await;
    t.member("fenna").await;
    let mut browser = t.browser().with_header("x-forwarded-for", "203.0.113.77");
    browser.sign_in("fenna", &password_of("fenna")).await.expect_to("/account");
    let told = |t: &T| {
        number(t, "SELECT count(*) FROM events WHERE after LIKE '%203.0.113.77%'")
            + number(t, "SELECT count(*) FROM browser_sessions WHERE address = '203.0.113.77'")
    };
    assert_eq!(told(&t), 2);
    let page = browser.get("/sign-out").await.expect(200);
    browser.submit(&page, &[]).await.expect_to("/signed-out");
    assert_eq!(told(&t), 1);
    t.clock.advance(31 * DAY);
    housekeep(&t.app).await.unwrap();
    assert_eq!(told(&t), 0);
}
