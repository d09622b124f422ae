//! Signing in on a page, setting a password, choosing an account, signing out.

use reqwest::Method;
use serde_json::json;

use tenantry_core::clock::{DAY, HOUR, MINUTE};

use crate::harness::{ADMIN_PASSWORD, T, password_of};
use crate::page_visitor::{Shown, number, without_challenges};

const NEW: &str = "Zy9.Saucer-Quilt-4x";
const WRONG: &str = "Wrong username or password.";

#[tokio::test]
async fn a_person_with_the_mailed_password_signs_in_sets_a_password_and_sees_the_account() {
    let t = T::start().await;
    t.admin().await.create("fenna").await;
    let password = t.mailed_password("fenna").await;
    let mut fenna = t.browser();
    // The account leads there.
    let page = fenna.open("/account").await.expect(200);
    assert!(page.says("Sign in") && page.path.starts_with("/sign-in"), "{}", page.path);
    for autocomplete in ["username webauthn", "current-password"] {
        assert!(page.text.contains(&format!("autocomplete=\"{autocomplete}\"")), "{autocomplete}");
    }
    let shown = fenna.submit(&page, &[("username", " fenna "), ("password", &password)]).await;
    shown.expect_to("/set-password");
    // Nothing else is to be had.
    fenna.get("/account").await.expect_to("/set-password");
    fenna.get("/sign-in").await.expect_to("/set-password");
    let page = fenna.follow(shown).await.expect(200);
    assert!(page.text.contains("autocomplete=\"new-password\"") && page.says("12 to 40 characters"));
    t.secret(NEW);
    let cookie = fenna.session_cookie().unwrap().to_owned();
    let shown = fenna.submit(&page, &[("newPassword", NEW)]).await;
    shown.expect_to("/account");
    assert_ne!(fenna.session_cookie().unwrap(), cookie, "a new password has a new cookie");
    let page = fenna.follow(shown).await.expect(200);
    assert!(page.says("Fenna") && page.says("fenna"), "{}", page.text);
    // Sent again, as a double click does, it is done already.
    fenna.get("/set-password").await.expect_to("/account");
    assert_eq!(t.try_login("fenna", NEW).await.status, 200);
    assert_eq!(t.try_login("fenna", &password).await.status, 400);
}

#[tokio::test]
async fn every_refusal_of_a_sign_in_is_the_same_page() {
    let t = T::start().await;
    let (id, _) = t.member("fenna").await;
    let (locked, _) = t.member("locked").await;
    let (inactive, _) = t.member("inactive").await;
    let admin = t.admin().await;
    for (id, status) in [(locked, "LOCKED"), (inactive, "INACTIVE")] {
        admin.patch(&format!("/api/v1/users/{id}"), &json!({ "status": status })).await.expect(200);
    }
    let (pid, _) = t.other_partner("gone").await;
    let operator = t.operator().await;
    operator.patch(&format!("/operator/v1/partners/{pid}"), &json!({ "suspended": true })).await.expect(200);
    let mut pages = Vec::new();
    for (username, password) in [
        ("fenna", "wrong"),
        ("nobody-here", "wrong"),
        ("locked", &*password_of("locked")),
        ("inactive", &*password_of("inactive")),
        ("gone-admin", &*password_of("gone-admin")),
        ("a\u{1}b", "wrong"),
        ("fenna", ""),
        ("", "wrong"),
    ] {
        let page = t.browser().sign_in(username, password).await.expect(400);
        assert!(page.says(WRONG), "{username}: {}", page.text);
        assert!(page.headers.get("set-cookie").is_none(), "no session");
        if !username.is_empty() {
            pages.push(without_own(&page, username));
        }
    }
    pages.dedup();
    assert_eq!(pages.len(), 1, "{pages:#?}");
    // A wrong password counts (B23): the fifth locks.
    for _ in 0..4 {
        t.browser().sign_in("fenna", "wrong").await.expect(400);
    }
    let page = t.browser().sign_in("fenna", &password_of("fenna")).await.expect(400);
    assert!(page.says(WRONG));
    let user = admin.get(&format!("/api/v1/users/{id}")).await.expect(200);
    assert_eq!(user.body["status"], "LOCKED");
}

/// Whoever is refused costs one ordinary hash and one write, known or not: nothing but the person knows which it was.
#[tokio::test]
async fn every_refusal_of_a_sign_in_takes_the_same_path() {
    let t = T::with(|config| config.login_failures_per_address = 1_000_000).await;
    t.member("fenna").await;
    let admin = t.admin().await;
    let (locked, _) = t.member("locked").await;
    let (inactive, _) = t.member("inactive").await;
    for (id, status) in [(locked, "LOCKED"), (inactive, "INACTIVE")] {
        admin.patch(&format!("/api/v1/users/{id}"), &json!({ "status": status })).await.expect(200);
    }
    let (deleted, _) = t.member("deleted").await;
    admin.delete(&format!("/api/v1/users/{deleted}")).await.expect(204);
    admin.create("newcomer").await;
    let temporary = t.mailed_password("newcomer").await;
    t.clock.advance(DAY);
    let admin = t.admin().await;
    admin.create("waiting").await;
    let (pid, _) = t.other_partner("gone").await;
    let path = format!("/operator/v1/partners/{pid}");
    t.operator().await.patch(&path, &json!({ "suspended": true })).await.expect(200);
    let writes = |t: &T| number(t, "SELECT coalesce(sum(failures), 0) FROM login_failures");
    let mut headers: Option<Vec<String>> = None;
    for (username, password) in [
        ("fenna", "Wrong.Guess-00x"),
        ("nobody-of-this-name", "Wrong.Guess-00x"),
        ("not a username", "Wrong.Guess-00x"),
        ("locked", &password_of("locked")),
        ("locked", "Wrong.Guess-00x"),
        ("inactive", &password_of("inactive")),
        ("inactive", "Wrong.Guess-00x"),
        ("deleted", &password_of("deleted")),
        ("newcomer", &temporary),
        ("waiting", "Wrong.Guess-00x"),
        ("gone-admin", &password_of("gone-admin")),
        ("gone-admin", "Wrong.Guess-00x"),
        ("a\u{1}b", "Wrong.Guess-00x"),
        (&"x".repeat(5_000), "Wrong.Guess-00x"),
    ] {
        let mut browser = t.browser();
        let page = browser.get("/sign-in").await.expect(200);
        let before = (t.app.hasher.computed(), t.app.hasher.computed_expensive(), writes(&t));
        let shown =
            browser.submit(&page, &[("username", username), ("password", password)]).await.expect(400);
        assert!(shown.says(WRONG), "{username}");
        let after = (t.app.hasher.computed(), t.app.hasher.computed_expensive(), writes(&t));
        assert_eq!(after, (before.0 + 1, before.1, before.2 + 1), "{username}");
        let own = ["x-request-id", "date", "content-length"];
        let kept = shown.headers.iter().filter(|(name, _)| !own.contains(&name.as_str()));
        let kept: Vec<_> = kept.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        assert_eq!(*headers.get_or_insert_with(|| kept.clone()), kept, "{username}");
    }
    // So does whoever is not refused.
    let before = t.app.hasher.computed();
    t.browser().sign_in("fenna", &password_of("fenna")).await.expect_to("/account");
    assert_eq!(t.app.hasher.computed() - before, 1);
}

/// The page without what differs in each: the token, the id of the request and the username.
fn without_own(page: &Shown, username: &str) -> String {
    let token = page.form().1.into_iter().find(|(name, _)| name == "token").unwrap().1;
    without_challenges(&page.text).replace(&token, "").replace(&format!("value=\"{username}\""), "")
}

#[tokio::test]
async fn an_address_with_too_many_failures_has_to_wait() {
    let t = T::with(|config| {
        config.login_failures_per_address = 3;
        config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    t.member("fenna").await;
    let mut browser = t.browser().with_header("x-forwarded-for", "192.0.2.1");
    for _ in 0..3 {
        browser.sign_in("fenna", "wrong").await.expect(400);
    }
    t.clock.advance(MINUTE);
    let page = browser.sign_in("fenna", &password_of("fenna")).await.expect(429);
    assert_eq!(page.header("retry-after"), "240");
    assert!(page.says("Try again in 4 minutes."), "{}", page.text);
    // The API's limit is the same, and another address does not wait.
    t.try_login_from("192.0.2.1", "fenna", "wrong-again").await.expect(429);
    let mut other = t.browser().with_header("x-forwarded-for", "192.0.2.2");
    other.sign_in("fenna", &password_of("fenna")).await.expect_to("/account");
}

#[tokio::test]
async fn without_cookies_the_page_says_so() {
    let t = T::start().await;
    let mut browser = t.browser();
    browser.keeps_cookies = false;
    let page = browser.sign_in("admin", ADMIN_PASSWORD).await.expect(400);
    assert!(page.says("Cookies are off") && page.says("Nothing was changed"), "{}", page.text);
    assert_eq!(number(&t, "SELECT count(*) FROM browser_sessions"), 0);
    assert_eq!(number(&t, "SELECT count(*) FROM login_failures"), 0);
}

#[tokio::test]
async fn forms_of_other_sites_and_stale_ones_change_nothing() {
    let t = T::start().await;
    t.member("fenna").await;
    let password = password_of("fenna");
    let mut browser = t.browser();
    let page = browser.get("/sign-in").await.expect(200);
    let good = [("username", "fenna"), ("password", password.as_str())];
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        let shown = browser.clone().with_header(name, value).submit(&page, &good).await.expect(403);
        assert!(shown.says("another site"), "{}", shown.text);
    }
    // Of another browser, changed, absent, or open for a day.
    let mut other = t.browser();
    other.get("/sign-in").await.expect(200);
    let (_, fields) = page.form();
    let token = &fields.iter().find(|(name, _)| name == "token").unwrap().1;
    let last = if token.ends_with('A') { 'B' } else { 'A' };
    let changed = format!("{}{last}", &token[..token.len() - 1]);
    for shown in [
        other.submit(&page, &good).await,
        browser.submit(&page, &[&good[..], &[("token", &changed)]].concat()).await,
        browser.submit(&page, &[&good[..], &[("token", "")]].concat()).await,
        browser.submit(&page, &[&good[..], &[("token", "not base64!")]].concat()).await,
        {
            t.clock.advance(DAY);
            browser.submit(&page, &good).await
        },
    ] {
        let shown = shown.expect(400);
        assert!(shown.says("out of date") && shown.says("Nothing was changed"), "{}", shown.text);
    }
    assert_eq!(number(&t, "SELECT count(*) FROM browser_sessions"), 0);
    // Not a form; one with a field twice; one that is too large.
    let bad = browser.send(Method::POST, "/sign-in", None).await.expect(400);
    assert!(bad.says("application/x-www-form-urlencoded"), "{}", bad.text);
    let twice = [("token", "a"), ("token", "b")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    browser.send(Method::POST, "/sign-in", Some(&twice)).await.expect(400);
    let large = [(String::from("username"), "x".repeat(70_000))];
    browser.send(Method::POST, "/sign-in", Some(&large)).await.expect(413);
}

#[tokio::test]
async fn a_form_that_is_sent_twice_signs_in_once() {
    let t = T::start().await;
    t.member("fenna").await;
    let mut browser = t.browser();
    let page = browser.get("/sign-in").await.expect(200);
    let good = [("username", "fenna"), ("password", &*password_of("fenna"))];
    for _ in 0..2 {
        browser.submit(&page, &good).await.expect_to("/account");
        browser.get("/account").await.expect(200);
    }
    assert_eq!(number(&t, "SELECT count(*) FROM browser_sessions"), 1);
}

#[tokio::test]
async fn another_sign_in_has_another_cookie_and_replaces_the_person() {
    let t = T::start().await;
    t.member("fenna").await;
    t.other_partner("other").await;
    let mut browser = t.signed_in("fenna", &password_of("fenna")).await;
    let first = browser.clone();
    for (username, password, left) in [
        ("fenna", password_of("fenna"), 1),
        ("admin", ADMIN_PASSWORD.to_owned(), 1),
        ("other-admin", password_of("other-admin"), 1),
    ] {
        let before = browser.clone();
        let page = browser.get("/sign-in?request=none").await.expect(200);
        let shown = browser.submit(&page, &[("username", username), ("password", &password)]).await;
        assert_eq!(shown.status, 303);
        assert_ne!(browser.session_cookie(), before.session_cookie());
        before.clone().get("/account").await.expect_to("/sign-in");
        let page = browser.get("/account").await.expect(200);
        assert!(page.says(username), "{}", page.text);
        assert_eq!(number(&t, "SELECT count(*) FROM browser_sessions"), left);
    }
    first.clone().get("/account").await.expect_to("/sign-in");
}

#[tokio::test]
async fn the_password_page_names_every_rule_that_a_password_breaks() {
    let t = T::start().await;
    t.admin().await.create("fenna").await;
    let temporary = t.mailed_password("fenna").await;
    let mut fenna = t.browser();
    let shown = fenna.sign_in("fenna", &temporary).await;
    let mut page = fenna.follow(shown).await.expect(200);
    for (password, expected) in [
        ("", "rule-length"),
        ("short", "12 to 40 characters"),
        ("Fenna-Jansen-2031x", "does not contain your username"),
        ("Password123-2024", "common password"),
        (&temporary, "nor the temporary one"),
    ] {
        page = fenna.submit(&page, &[("newPassword", password)]).await.expect(400);
        assert!(page.says("This password cannot be used"), "{password}: {}", page.text);
        let problem = page.text.split("id=\"problem\"").nth(1).unwrap().split("</div>").next().unwrap();
        assert!(problem.contains(expected) || expected == "rule-length", "{password}: {problem}");
        assert!(password.is_empty() || !page.text.contains(password), "no password is sent back");
    }
    // In another window the password was set meanwhile: this one is out.
    let mut there = t.browser();
    there.sign_in("fenna", &temporary).await.expect_to("/set-password");
    let other = there.get("/set-password").await.expect(200);
    there.submit(&other, &[("newPassword", NEW)]).await.expect_to("/account");
    let page = fenna.submit(&page, &[("newPassword", "Qx7.Kettle-Zebra-9v")]).await.expect(403);
    assert!(page.says("Your session has ended"), "{}", page.text);
    assert_eq!(t.try_login("fenna", NEW).await.status, 200);
}

#[tokio::test]
async fn a_temporary_password_that_expires_ends_its_session() {
    let t = T::start().await;
    t.admin().await.create("fenna").await;
    let temporary = t.mailed_password("fenna").await;
    let mut fenna = t.browser();
    t.clock.advance(DAY - HOUR);
    fenna.sign_in("fenna", &temporary).await.expect_to("/set-password");
    t.clock.advance(HOUR);
    fenna.get("/set-password").await.expect_to("/sign-in");
}

#[tokio::test]
async fn a_sign_in_returns_to_the_requested_page_only() {
    let t = T::start().await;
    for (query, location) in [
        ("", "/account"),
        ("?next=%2Faccount%3Fa%3Db", "/account?a=b"),
        ("?next=https%3A%2F%2Fevil.example", "/account"),
        ("?next=%2F%2Fevil.example", "/account"),
        ("?next=%2F%5Cevil.example", "/account"),
        ("?next=account", "/account"),
        ("?request=abc&next=%2Fx", "/oauth/authorize/continue?request=abc"),
    ] {
        let mut browser = t.browser();
        let page = browser.get(&format!("/sign-in{query}")).await.expect(200);
        let shown = browser.submit(&page, &[("username", "admin"), ("password", ADMIN_PASSWORD)]).await;
        shown.expect_to(location);
    }
}

#[tokio::test]
async fn whoever_signs_out_is_out_and_nothing_else_ends() {
    let t = T::start().await;
    let (_, api) = t.member("fenna").await;
    let mut browser = t.signed_in("fenna", &password_of("fenna")).await;
    let mut elsewhere = t.signed_in("fenna", &password_of("fenna")).await;
    let before = browser.clone();
    let page = browser.get("/sign-out").await.expect(200);
    assert!(page.says("sign out, Fenna Jansen?"), "{}", page.text);
    // A page of another site cannot sign anybody out.
    let mut foreign = browser.clone().with_header("sec-fetch-site", "cross-site");
    foreign.submit(&page, &[]).await.expect(403);
    browser.submit(&page, &[("token", "")]).await.expect(400);
    browser.get("/account").await.expect(200);
    let shown = browser.submit(&page, &[]).await;
    shown.expect_to("/signed-out");
    assert_eq!(browser.session_cookie(), None);
    assert!(browser.follow(shown).await.expect(200).says("You are signed out"));
    before.clone().get("/account").await.expect_to("/sign-in");
    // Twice is no error.
    before.clone().submit(&page, &[]).await.expect_to("/signed-out");
    browser.get("/sign-out").await.expect_to("/signed-out");
    elsewhere.get("/account").await.expect(200);
    api.get("/self").await.expect(200);
    let events = t.admin().await.get("/api/v1/events?type=user.signed_in&type=user.signed_out").await;
    let kinds: Vec<_> = events.list().iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "user.signed_in").count(), 2, "{kinds:?}");
    assert_eq!(kinds.iter().filter(|kind| **kind == "user.signed_out").count(), 1, "{kinds:?}");
}

#[tokio::test]
async fn a_person_chooses_the_account_to_go_on_with() {
    let t = T::start().await;
    t.member("fenna").await;
    t.browser().get("/choose-account?request=abc").await.expect_to("/sign-in?request=abc");
    let mut browser = t.signed_in("fenna", &password_of("fenna")).await;
    let page = browser.get("/choose-account?next=%2Faccount").await.expect(200);
    assert!(page.says("Continue as Fenna Jansen (fenna)"), "{}", page.text);
    assert!(page.text.contains("href=\"/sign-in?next=%2Faccount\""), "{}", page.text);
    browser.submit(&page, &[]).await.expect_to("/account");
}

#[tokio::test]
async fn cookies_are_for_this_host_over_https_only() {
    let t = T::with(|config| config.public_url = String::from("https://id.example")).await;
    let mut browser = t.browser();
    let page = browser.get("/sign-in").await.expect(200);
    assert!(browser.cookies.contains_key("__Host-tenantry-form"), "{:?}", browser.cookies);
    let mut by_origin = browser.clone().with_header("origin", "https://id.example");
    let form = [("username", "admin"), ("password", ADMIN_PASSWORD), ("keep", "1")];
    let shown = by_origin.submit(&page, &form).await;
    shown.expect_to("/account");
    let cookie = shown.header("set-cookie");
    assert!(cookie.starts_with("__Host-tenantry=bs_1_"), "{cookie}");
    for part in ["; Path=/", "; HttpOnly", "; SameSite=Lax", "; Secure", "; Max-Age=2592000"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
    // A name that any subdomain could set does not count there.
    let mut renamed = t.browser();
    renamed.cookies.insert(String::from("tenantry"), by_origin.session_cookie().unwrap().to_owned());
    renamed.get("/account").await.expect_to("/sign-in");
}
