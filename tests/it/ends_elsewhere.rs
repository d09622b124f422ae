//! Two processes of the binary over one PostgreSQL: whoever is signed out, or may not sign in any more, in one of them is so in
//! the other one a moment later, though that has the session, the tokens and the user in memory.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::binary::{Home, Process};
use crate::databases::is_postgres;
use crate::deployments::{Deployment, Shop, url_of, userinfo, visitor_of};
use crate::foreign_hashes::{OLD, SSHA};
use crate::visitor::Visitor;

/// What takes longer does not work. The design says 100 ms, which a busy machine may not keep.
const BOUND: Duration = Duration::from_secs(30);

/// How something ends, at the first process.
#[derive(Debug, Clone, Copy)]
enum End {
    SignOutPage,
    LogoutOfClient,
    SessionsPage,
    SessionsApi,
    Lock,
}

/// Somebody who is signed in, as both processes know.
struct SignedIn {
    here: Visitor,
    there: Visitor,
    /// Access tokens of the session of the browser, without and with `offline_access`, and one of the password grant.
    bound: String,
    offline: String,
    direct: String,
    hint: String,
}

impl SignedIn {
    async fn new(here: &Process, there: &Process, shop: &Shop, name: &str) -> (Self, i64) {
        let admin = here.admin().await;
        let body = json!({
            "username": name, "status": "ACTIVE", "firstName": "Fenna", "lastName": "Jansen",
            "email": format!("{name}@example.com"), "passwordHash": SSHA,
        });
        let file = Some(body.to_string().into_bytes());
        let made =
            admin.send(reqwest::Method::POST, "/api/v1/users/import", file, "application/x-ndjson").await;
        assert_eq!(made.expect(200).body["created"], 1);
        let found = admin.get(&format!("/api/v1/users?username={name}")).await.expect(200).body;
        let id = found[0]["userId"].as_i64().unwrap();

        let browser = visitor_of(here);
        let page = shop.send(&browser, "openid").await;
        let page = browser.sign_in(page, name, OLD).await;
        assert!(page.elsewhere().query_pairs().any(|(name, _)| name == "code"));
        let tokens = async |scope: &str| {
            let code = shop.code(&browser, scope).await;
            shop.exchanged(here, &code).await.expect(200).body
        };
        let (bound, offline) = (tokens("openid").await, tokens("openid offline_access").await);
        let text = |name: &str, of: &serde_json::Value| of[name].as_str().unwrap().to_owned();
        let all = Self {
            there: browser.moved_to(&url_of(there)).await,
            here: browser,
            hint: text("id_token", &bound),
            bound: text("access_token", &bound),
            offline: text("access_token", &offline),
            direct: here.login(name, OLD).await.token.unwrap(),
        };
        (all, id)
    }

    /// Whether the other process knows the session, the tokens, and the user by the token of the password grant.
    async fn known(&self, there: &Process) -> [bool; 4] {
        let page = self.there.open("/account").await;
        let is_signed_in = page.url.path() == "/account" && page.status == 200;
        let own = there.bearer(&self.direct).get("/api/v1/users/self").await.status == 200;
        let (bound, offline) = (userinfo(there, &self.bound).await, userinfo(there, &self.offline).await);
        [is_signed_in, bound == 200, offline == 200, own]
    }

    async fn end(&self, here: &Process, id: i64, end: End) {
        match end {
            End::SignOutPage => {
                let page = self.here.open("/sign-out").await.here(200);
                self.here.submit(&page, &[]).await.here(200);
            }
            End::LogoutOfClient => {
                self.here.open(&format!("/oauth/logout?id_token_hint={}", self.hint)).await.here(200);
            }
            End::SessionsPage => {
                let page = self.here.open("/account/sessions").await.here(200);
                let token = page.form().values()["token"].clone();
                self.here.post("/account/sessions", &[("token", &token), ("end", "all")]).await.here(200);
            }
            End::SessionsApi => {
                here.admin().await.delete(&format!("/api/v1/users/{id}/sessions")).await.expect(204);
            }
            End::Lock => {
                let body = json!({ "status": "LOCKED" });
                here.admin().await.patch(&format!("/api/v1/users/{id}"), &body).await.expect(200);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_signed_out_at_one_process_is_out_at_the_other_within_a_moment() {
    if !is_postgres() {
        return;
    }
    let all = Deployment::new();
    let second = Home::new();
    let here = all.serve();
    let there = all.serve_in(&second);
    let shop = Shop::register(&here).await;
    let mut times = Vec::new();
    for round in 0..20 {
        let end = [End::SignOutPage, End::LogoutOfClient, End::SessionsPage, End::SessionsApi, End::Lock]
            [round % 5];
        let (person, id) = SignedIn::new(&here, &there, &shop, &format!("fenna{round}")).await;
        // More than once: what answers by now is memory.
        for _ in 0..3 {
            assert_eq!(person.known(&there).await, [true; 4], "{end:?}");
        }
        // A logout leaves what was given for use without the person, and what no browser asked for.
        let expected = match end {
            End::SignOutPage | End::LogoutOfClient => [false, false, true, true],
            End::SessionsPage | End::SessionsApi | End::Lock => [false; 4],
        };
        person.end(&here, id, end).await;
        let begun = Instant::now();
        while person.known(&there).await != expected {
            assert!(begun.elapsed() < BOUND, "{end:?}: {:?}", person.known(&there).await);
        }
        times.push(begun.elapsed());
        for _ in 0..3 {
            assert_eq!(person.known(&there).await, expected, "{end:?}");
        }
        assert_eq!(person.known(&here).await[1..], expected[1..], "{end:?}");
    }
    times.sort();
    eprintln!(
        "seen by the other process: median {:?}, longest {:?}",
        times[times.len() / 2],
        times[times.len() - 1]
    );
    assert_eq!((here.terminate().code, there.terminate().code), (Some(0), Some(0)));
}
