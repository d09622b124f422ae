//! An admin locks, deactivates, deletes or resets a user who is just signing in on the page: once the admin has the answer,
//! nothing that the sign-in has given works, or gives anything any more. On PostgreSQL the sign-ins are at two processes.

use serde_json::json;

use crate::concurrency::together;
use crate::databases::is_postgres;
use crate::harness::{ADMIN_PASSWORD, Person, T, password_of};
use crate::page_visitor::PageVisitor;
use crate::products::{Product, set};

/// What an admin does.
const ENDS: [&str; 4] = ["lock", "deactivate", "delete", "reset"];

async fn end(admin: &Person<'_>, id: i64, what: &str) {
    let path = format!("/api/v1/users/{id}");
    let answer = match what {
        "lock" => admin.patch(&path, &json!({ "status": "LOCKED" })).await,
        "deactivate" => admin.patch(&path, &json!({ "status": "INACTIVE" })).await,
        "delete" => admin.delete(&path).await,
        _ => admin.post(&format!("{path}/reset-password"), &json!({})).await,
    };
    assert!(answer.status.is_success(), "{what}: {}", answer.text);
}

/// The servers: one on SQLite, two over one PostgreSQL.
async fn servers() -> Vec<T> {
    let t = T::with(|config| config.login_failures_per_address = 1_000_000).await;
    if !is_postgres() {
        return vec![t];
    }
    let other = t.beside().await;
    vec![t, other]
}

/// Asks until it is so: at once where it was done, a moment later at the other process.
async fn soon(is_at_once: bool, what: &str, is_so: impl AsyncFn() -> bool) {
    for _ in 0..3_000 {
        if is_so().await {
            return;
        }
        assert!(!is_at_once, "{what}");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("{what}, for seconds");
}

/// Asserts that a cookie opens no page and gives no code.
async fn is_out<'t>(t: &'t T, shop: &Product<'_>, browser: &PageVisitor<'t>, is_at_once: bool, what: &str) {
    let leads_to = async || browser.at(t).get("/account").await.leads_to().to_owned();
    soon(is_at_once, &format!("{what}: the cookie"), async || leads_to().await == "/sign-in").await;
    let cookie = format!("tenantry={}", browser.session_cookie().unwrap());
    let mut silent = shop.parameters();
    set(&mut silent, "prompt", "none");
    let answer = Product::of(t, shop.client.clone()).authorize(&cookie, &silent).await;
    assert_eq!((answer.returned("code").as_str(), answer.returned("error").as_str()), ("", "login_required"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_sign_in_on_the_page_survives_what_ends_its_user() {
    let servers = servers().await;
    let (t, shop) = (&servers[0], Product::new(&servers[0]).await);
    let admin = t.admin().await;
    for round in 0..24 {
        let (what, name) = (ENDS[round % ENDS.len()], format!("fenna{round}"));
        let (id, _) = t.member(&name).await;
        let password = password_of(&name);
        let mut browsers = Vec::new();
        for n in 0..6 {
            let mut browser = servers[n % servers.len()].browser();
            let page = browser.get("/sign-in").await.expect(200);
            browsers.push((browser, page));
        }
        let form = [("username", name.as_str()), ("password", password.as_str())];
        let sign_ins =
            browsers.iter_mut().map(|(browser, page)| async move { browser.submit(page, &form).await });
        let ended = async {
            // At some time while they are under way.
            for _ in 0..round * 3 {
                tokio::task::yield_now().await;
            }
            end(&admin, id, what).await;
        };
        let (signed_in, ()) = tokio::join!(together(sign_ins), ended);
        let mut is_open = 0;
        for (n, ((browser, _), answer)) in browsers.iter().zip(&signed_in).enumerate() {
            let shown = (answer.status.as_u16(), answer.leads_to());
            match browser.session_cookie() {
                Some(_) => assert_eq!(shown, (303, "/account"), "{what}"),
                None => assert_eq!(shown, (400, ""), "{what}: {}", answer.text),
            }
            if browser.session_cookie().is_some() {
                is_open += 1;
                for (at, server) in servers.iter().enumerate() {
                    is_out(server, &shop, browser, at == 0, &format!("{what}, round {round}, browser {n}"))
                        .await;
                }
            }
        }
        for table in ["sessions", "browser_sessions"] {
            let left = t.ask_sql(&format!("SELECT count(*) FROM {table} WHERE user_id = {id}"));
            assert_eq!(left, [["0"]], "{what}: {table}, {is_open} had signed in");
        }
        for server in &servers {
            server.browser().sign_in(&name, &password).await.expect(400);
        }
    }
}

/// The same while codes are issued and exchanged: neither a code nor a token is left that works.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_code_or_token_survives_what_ends_its_user() {
    let servers = servers().await;
    let shops: Vec<Product<'_>> = {
        let first = Product::new(&servers[0]).await;
        servers.iter().map(|t| Product::of(t, first.client.clone())).collect()
    };
    let (t, shop) = (&servers[0], &shops[0]);
    let admin = t.admin().await;
    for round in 0..16 {
        let (what, name) = (ENDS[round % ENDS.len()], format!("mia{round}"));
        let (id, _) = t.member(&name).await;
        let cookie = shop.sign_in(&name, &password_of(&name)).await;
        // One code that waits, and one whose tokens are there already.
        let pending = shop.code(&cookie, |p| set(p, "scope", "openid offline_access")).await;
        let tokens = shop.tokens(&cookie, "openid offline_access").await;
        let issues = (0..8).map(|n| {
            let (shop, cookie) = (&shops[n % shops.len()], &cookie);
            let other = &shops[(n / 2) % shops.len()];
            async move {
                let mut parameters = shop.parameters();
                set(&mut parameters, "scope", "openid offline_access");
                let code = shop.authorize(cookie, &parameters).await.returned("code");
                t.secret(&code);
                // Half of them are exchanged at once, by either process.
                let is_exchanged = !code.is_empty() && n % 2 == 1;
                let answer = if is_exchanged { Some(other.exchange(&code).await.body) } else { None };
                (code, answer)
            }
        });
        let ended = async {
            for _ in 0..round * 4 {
                tokio::task::yield_now().await;
            }
            end(&admin, id, what).await;
        };
        let (issued, ()) = tokio::join!(together(issues), ended);
        let given = issued.iter().filter_map(|(_, answer)| answer.as_ref()).chain([&tokens]);
        for (n, given) in given.enumerate() {
            let Some(access) = given["access_token"].as_str() else { continue };
            for (at, shop) in shops.iter().enumerate() {
                let is_refused = async || shop.userinfo(access).await.status.as_u16() == 401;
                soon(at == 0, &format!("{what}, round {round}: token {n}"), is_refused).await;
                if let Some(refresh) = given["refresh_token"].as_str() {
                    shop.refresh(refresh).await.expect(400);
                }
            }
        }
        let codes = issued.iter().map(|(code, _)| code).chain([&pending]);
        for code in codes.filter(|code| !code.is_empty()) {
            for shop in &shops {
                assert_eq!(shop.exchange(code).await.expect(400).body["error"], "invalid_grant", "{what}");
            }
        }
        for table in ["sessions", "browser_sessions"] {
            let left = t.ask_sql(&format!("SELECT count(*) FROM {table} WHERE user_id = {id}"));
            assert_eq!(left, [["0"]], "{what}: {table}");
        }
    }
    let left = "SELECT count(*) FROM authorization_codes c JOIN users u ON u.pid = c.pid AND u.user_id = c.user_id \
                WHERE u.username LIKE 'mia%'";
    assert_eq!(t.ask_sql(left), [["0"]], "they end with the session of the browser");
}

/// One code, exchanged many times at once at every process: one exchange succeeds, and another one ends what it gave.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_exchanges_of_a_code_one_succeeds_and_another_ends_it() {
    let servers = servers().await;
    let first = Product::new(&servers[0]).await;
    let shops: Vec<Product<'_>> = servers.iter().map(|t| Product::of(t, first.client.clone())).collect();
    let (t, shop) = (&servers[0], &shops[0]);
    let cookie = shop.sign_in("admin", ADMIN_PASSWORD).await;
    for round in 0..10 {
        let code = shop.code(&cookie, |p| set(p, "scope", "openid offline_access")).await;
        let answers = together((0..8).map(|n| shops[n % shops.len()].exchange(&code))).await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
        assert_eq!((won.len(), lost.len()), (1, 7), "round {round}");
        assert!(lost.iter().all(|answer| answer.body["error"] == "invalid_grant"), "round {round}");
        let (access, refresh) = (&won[0].body["access_token"], &won[0].body["refresh_token"]);
        for shop in &shops {
            let access = access.as_str().unwrap();
            let is_refused = async || shop.userinfo(access).await.status.as_u16() == 401;
            soon(shops.len() == 1, &format!("round {round}: the token"), is_refused).await;
            shop.refresh(refresh.as_str().unwrap()).await.expect(400);
        }
    }
    assert_eq!(
        t.ask_sql("SELECT count(*) FROM events WHERE kind = 'session.replayed'"),
        [["10"]],
        "told once each"
    );
    assert_eq!(
        t.ask_sql(&format!("SELECT count(*) FROM sessions WHERE client_id = '{}'", shop.client.0)),
        [["0"]]
    );
}
