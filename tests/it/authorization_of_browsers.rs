//! Two more columns of the table of authorization.rs, for every operation: a browser that is signed in on the pages, and the
//! bearer of an OpenID token. Neither follows from a row: a cookie is never good for the API, and an OpenID token for nothing but
//! the userinfo endpoint.

use reqwest::header::{COOKIE, HeaderMap, HeaderValue};

use crate::authorization::{Caller, CallerKind, KINDS, Stage, TABLE, operations};
use crate::harness::{ADMIN_PASSWORD, Person, T, password_of};
use crate::products::Product;

/// The status that the table has for an operation.
fn tabled(operation: &str, kind: CallerKind) -> u16 {
    let (_, row) = TABLE.iter().find(|(name, _)| *name == operation).unwrap();
    row[KINDS.iter().position(|one| *one == kind).unwrap()]
}

/// Somebody whose browser sends this cookie with every request, as it does to the whole server.
fn with_cookie(t: &T, cookie: &str) -> reqwest::Client {
    t.secret(cookie.split_once('=').unwrap().1);
    let cookie = HeaderValue::from_str(cookie).unwrap();
    let headers = HeaderMap::from_iter([(COOKIE, cookie)]);
    reqwest::Client::builder().no_proxy().default_headers(headers).build().unwrap()
}

#[tokio::test]
async fn the_cookie_of_a_browser_is_good_for_no_operation() {
    let t = T::with(|config| config.login_failures_per_address = 1_000_000).await;
    let stage = Stage::set(&t).await;
    t.member("fenna").await;
    let shop = Product::new(&t).await;
    let admin = shop.sign_in("admin", ADMIN_PASSWORD).await;
    let member = shop.sign_in("fenna", &password_of("fenna")).await;
    // The page knows them.
    for cookie in [&admin, &member] {
        shop.get("/account", cookie).await.expect(200);
    }
    let mut wrong = Vec::new();
    for cookie in [admin, member.clone(), format!("__Host-{member}")] {
        let http = with_cookie(&t, &cookie);
        for (id, method, path) in &operations() {
            let person = Person::over(&http, t.address, None);
            let caller = Caller { person, username: String::new(), password: String::from("x") };
            let response = stage.status(id, method, path, &caller, str::to_owned).await;
            // With a cookie as without: nobody.
            let expected = tabled(id, CallerKind::Nobody);
            if response.status.as_u16() != expected {
                wrong.push(format!("{id}: {} instead of {expected}: {}", response.status, response.text));
            }
            let is_protected = ["/api/", "/access/", "/operator/"].iter().any(|area| path.starts_with(area));
            assert!(!is_protected || expected == 401 || id == "forgot_password", "{id}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Nothing was done in its name, and it is good for its pages still.
    assert_eq!(t.ask_sql("SELECT count(*) FROM users WHERE username = 'fenna' AND status = 0"), [["1"]]);
    shop.get("/account", &member).await.expect(200);
}

/// What the cookie contains is no token either, wherever a token could stand.
#[tokio::test]
async fn the_value_of_a_cookie_is_no_token() {
    let t = T::with(|config| config.login_failures_per_address = 1_000_000).await;
    let stage = Stage::set(&t).await;
    let shop = Product::new(&t).await;
    let cookie = shop.sign_in("admin", ADMIN_PASSWORD).await;
    let value = cookie.strip_prefix("tenantry=").unwrap();
    let mut wrong = Vec::new();
    for (id, method, path) in &operations() {
        let caller = Caller { person: t.bearer(value), username: String::new(), password: String::from("x") };
        let response = stage.status(id, method, path, &caller, str::to_owned).await;
        let expected = tabled(id, CallerKind::ExpiredToken);
        if response.status.as_u16() != expected {
            wrong.push(format!("{id}: {} instead of {expected}: {}", response.status, response.text));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    t.bearer(value).get("/oauth/userinfo").await.expect(401);
    let form = [("access_token", value)];
    t.anonymous().form("/oauth/userinfo", &form).await.expect(401);
    for (grant, name) in [("refresh_token", "refresh_token"), ("authorization_code", "code")] {
        let form = [("grant_type", grant), (name, value), ("redirect_uri", "https://shop.example/callback")];
        assert_eq!(
            t.form_as(&shop.client, "/oauth/token", &form).await.expect(400).body["error"],
            "invalid_grant"
        );
    }
    let robot = t.client(1, true).await;
    let told = t.form_as(&robot, "/oauth/introspect", &[("token", value)]).await.expect(200);
    assert_eq!(told.body["active"], false);
    shop.get("/account", &cookie).await.expect(200);
}

/// An admin's token of an application that asked for every OpenID scope, and neither `read` nor `write`.
#[tokio::test]
async fn an_openid_token_is_good_for_userinfo_alone() {
    let t = T::with(|config| config.login_failures_per_address = 1_000_000).await;
    let stage = Stage::set(&t).await;
    let shop = Product::new(&t).await;
    let cookie = shop.sign_in("admin", ADMIN_PASSWORD).await;
    let scope = "openid profile email phone groups partner offline_access";
    let tokens = shop.tokens(&cookie, scope).await;
    let token = tokens["access_token"].as_str().unwrap();
    let mut wrong = Vec::new();
    for (id, method, path) in &operations() {
        let caller = Caller { person: t.bearer(token), username: String::new(), password: String::from("x") };
        let response = stage.status(id, method, path, &caller, str::to_owned).await;
        let expected = match tabled(id, CallerKind::Admin) {
            // What is no admin's and what asks for no token.
            other @ (401 | 202) => other,
            _ => 403,
        };
        if response.status.as_u16() != expected {
            wrong.push(format!("{id}: {} instead of {expected}: {}", response.status, response.text));
        }
        if expected == 403 {
            assert_eq!(response.body["code"], "insufficient-scope", "{id}");
            let challenge = response.header("www-authenticate");
            assert!(challenge.contains("error=\"insufficient_scope\""), "{id}: {challenge}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(shop.userinfo(token).await.expect(200).body["preferred_username"], "admin");
    // Nor do its companions open anything.
    for other in ["id_token", "refresh_token"] {
        let other = tokens[other].as_str().unwrap();
        t.bearer(other).get("/api/v1/users/self").await.expect(401);
        t.bearer(other).get("/oauth/userinfo").await.expect(401);
    }
    // A token of the API is none of OpenID's.
    let api = t.admin().await;
    let answer = api.get("/oauth/userinfo").await.expect(403);
    assert!(answer.header("www-authenticate").contains("insufficient_scope"), "{}", answer.text);
}
