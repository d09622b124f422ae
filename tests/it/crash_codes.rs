//! A server that is killed between a code and its tokens: the code is good once, before or after, the second use of a used one
//! ends what the first gave, and nothing is there by half.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::binary::{Process, TIMEOUT};
use crate::deployments::{Deployment, Shop, userinfo, visitor_of};

const SCOPE: &str = "openid offline_access";

/// Codes of the test under load.
const CODES: usize = 150;

/// Connections that exchange them at once.
const CONNECTIONS: usize = 24;

/// Answers after which the server is killed.
const ANSWERS: usize = 40;

fn text<'a>(tokens: &'a Value, name: &str) -> &'a str {
    tokens[name].as_str().unwrap_or_else(|| panic!("no {name}: {tokens}"))
}

#[tokio::test]
async fn a_code_outlives_a_killed_server_and_is_good_once() {
    let all = Deployment::new();
    let server = all.serve();
    let shop = Shop::register(&server).await;
    let visitor = visitor_of(&server);
    let code = shop.sign_in(&visitor, SCOPE).await;
    // It was answered, so it is stored.
    assert_eq!(server.kill().code, None, "ended by the signal");
    let server = all.serve();
    let tokens = shop.exchanged(&server, &code).await.expect(200).body;
    assert_eq!(server.kill().code, None);
    let server = all.serve();
    assert_eq!(userinfo(&server, text(&tokens, "access_token")).await, 200);
    // It is remembered that it was used.
    assert_eq!(shop.exchanged(&server, &code).await.expect(400).body["error"], "invalid_grant");
    assert_eq!(userinfo(&server, text(&tokens, "access_token")).await, 401);
    shop.refreshed(&server, text(&tokens, "refresh_token")).await.expect(400);
    assert_eq!(server.kill().code, None);
    // What has ended stays so, and the browser is still signed in.
    let server = all.serve();
    assert_eq!(userinfo(&server, text(&tokens, "access_token")).await, 401);
    shop.refreshed(&server, text(&tokens, "refresh_token")).await.expect(400);
    let visitor = visitor.moved_to(&crate::deployments::url_of(&server)).await;
    let code = shop.code(&visitor, SCOPE).await;
    shop.exchanged(&server, &code).await.expect(200);
    assert_eq!(server.terminate().code, Some(0));
}

/// Exchanges the codes over many connections and kills the server after so many answers. Gives the tokens of the codes whose
/// exchange was answered.
async fn exchange_and_kill(server: Process, shop: &Shop, codes: &[String]) -> BTreeMap<String, Value> {
    let waiting: Vec<_> = codes.iter().map(|code| (code.clone(), shop.exchange(&server, code))).collect();
    let waiting = Arc::new(Mutex::new(waiting.into_iter()));
    let (tell, mut answers) = tokio::sync::mpsc::unbounded_channel();
    let mut all = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (waiting, tell) = (Arc::clone(&waiting), tell.clone());
        all.spawn(async move {
            loop {
                let Some((code, request)) = waiting.lock().unwrap().next() else { return };
                let Ok(answer) = request.send().await else { return };
                let status = answer.status().as_u16();
                // An answer counts when it is whole.
                let Ok(body) = answer.json::<Value>().await else { return };
                let _ = tell.send((code, status, body));
            }
        });
    }
    drop(tell);
    let (mut server, mut given) = (Some(server), BTreeMap::new());
    while let Some((code, status, body)) = answers.recv().await {
        assert_eq!(status, 200, "{body}");
        given.insert(code, body);
        if given.len() >= ANSWERS
            && let Some(server) = server.take()
        {
            assert_eq!(server.kill().code, None, "ended by the signal");
        }
    }
    assert!(server.is_none(), "it was killed in the middle");
    tokio::time::timeout(TIMEOUT, all.join_all()).await.unwrap();
    given
}

#[tokio::test]
async fn exchanges_of_a_killed_server_are_done_once_and_completely() {
    let all = Deployment::new();
    let server = all.serve();
    let shop = Shop::register(&server).await;
    let visitor = visitor_of(&server);
    let mut codes = vec![shop.sign_in(&visitor, SCOPE).await];
    while codes.len() < CODES {
        codes.push(shop.code(&visitor, SCOPE).await);
    }
    let given = exchange_and_kill(server, &shop, &codes).await;
    assert!((ANSWERS..CODES).contains(&given.len()), "{} of {CODES}", given.len());

    let server = all.serve();
    let of_shop = format!("FROM sessions s WHERE s.client_id = '{}'", shop.client_id);
    // Each has its tokens, and the code that names it; each used code has its session.
    for token in ["access_tokens", "refresh_tokens"] {
        let none = format!(
            "SELECT count(*) {of_shop} AND NOT EXISTS \
             (SELECT 1 FROM {token} t WHERE t.pid = s.pid AND t.session_id = s.session_id)"
        );
        assert_eq!(all.number(&none), 0, "{token}");
    }
    let used = all.number("SELECT count(*) FROM authorization_codes WHERE used_at <> 0");
    assert_eq!(all.number(&format!("SELECT count(*) {of_shop}")), used);
    let joined = "SELECT count(*) FROM authorization_codes c JOIN sessions s \
                  ON s.pid = c.pid AND s.session_id = c.session_id WHERE c.used_at <> 0";
    assert_eq!(all.number(joined), used);
    let events = format!(
        "SELECT count(*) FROM events WHERE kind = 'session.started' AND after LIKE '%{}%'",
        shop.client_id
    );
    assert_eq!(all.number(&events), used, "each with its event");
    assert!(used >= i64::try_from(given.len()).unwrap(), "{used}");

    // Half of those that were answered are left alone; the others are used again.
    let (mut alive, mut unknown) = (Vec::new(), Vec::new());
    for (n, code) in codes.iter().enumerate() {
        let Some(tokens) = given.get(code) else {
            unknown.push(code);
            continue;
        };
        assert_eq!(userinfo(&server, text(tokens, "access_token")).await, 200, "it was answered");
        if n % 2 == 0 {
            alive.push(text(tokens, "access_token").to_owned());
            continue;
        }
        assert_eq!(shop.exchanged(&server, code).await.expect(400).body["error"], "invalid_grant");
        assert_eq!(userinfo(&server, text(tokens, "access_token")).await, 401);
        shop.refreshed(&server, text(tokens, "refresh_token")).await.expect(400);
    }
    // Whoever got no answer tries again: either nothing had been done, or what had been done ends.
    for code in unknown {
        let answer = shop.exchanged(&server, code).await;
        match answer.status.as_u16() {
            200 => alive.push(text(&answer.body, "access_token").to_owned()),
            status => assert_eq!((status, &answer.body["error"]), (400, &json!("invalid_grant"))),
        }
    }
    let left = all.number(&format!("SELECT count(*) {of_shop}"));
    assert_eq!(left, i64::try_from(alive.len()).unwrap(), "and no other session");
    for token in &alive {
        assert_eq!(userinfo(&server, token).await, 200);
    }
    assert_eq!(server.terminate().code, Some(0));
}
