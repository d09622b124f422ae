//! `/oauth/userinfo`: the claims of a user.

use reqwest::Method;
use serde_json::json;

use crate::harness::{ADMIN_PASSWORD, START, T, password_of};
use crate::products::{Product, set};

#[tokio::test]
async fn scopes_and_single_claims_decide_what_is_returned() {
    let t = T::start().await;
    let shop = Product::new(&t).await;
    let admin = t.admin().await;
    let group = admin.create_group("Editors").await;
    let (id, _) = t.member("mia").await;
    let change = json!({ "phoneNumber": "+31 20 123 4567", "locale": "nl-NL", "groups": [group] });
    admin.patch(&format!("/api/v1/users/{id}"), &change).await.expect(200);
    let cookie = shop.sign_in("mia", &password_of("mia")).await;
    let told = async |scope: &str| {
        let tokens = shop.tokens(&cookie, scope).await;
        let answer = shop.userinfo(tokens["access_token"].as_str().unwrap()).await.expect(200);
        assert_eq!(answer.header("cache-control"), "no-store");
        answer.body
    };
    let sub = id.to_string();
    assert_eq!(told("openid").await, json!({ "sub": sub }));
    assert_eq!(
        told("openid profile").await,
        json!({
            "sub": sub, "name": "Fenna Jansen", "given_name": "Fenna", "family_name": "Jansen",
            "preferred_username": "mia", "updated_at": START / 1_000, "locale": "nl-NL",
        })
    );
    let email = told("openid email").await;
    assert_eq!(email["email"], "mia@example.com");
    // The temporary password that was mailed to it was used.
    assert_eq!(email["email_verified"], true);
    assert_eq!(told("openid phone").await, json!({ "sub": sub, "phone_number": "+31 20 123 4567" }));
    assert_eq!(
        told("openid groups").await,
        json!({ "sub": sub, "groups": ["Editors"], "group_ids": [group] })
    );
    assert_eq!(told("openid partner").await["pid"], 1);
    let code = shop.code(&cookie, |p| set(p, "claims", r#"{"userinfo":{"family_name":null}}"#)).await;
    let token = shop.exchange(&code).await.expect(200).body["access_token"].as_str().unwrap().to_owned();
    assert_eq!(shop.userinfo(&token).await.body, json!({ "sub": sub, "family_name": "Jansen" }));
    // What is changed is told at once; a new address is not proven.
    let token = shop.tokens(&cookie, "openid email").await["access_token"].as_str().unwrap().to_owned();
    admin.patch(&format!("/api/v1/users/{id}"), &json!({ "email": "new@example.com" })).await.expect(200);
    let body = shop.userinfo(&token).await.expect(200).body;
    assert_eq!(body, json!({ "sub": sub, "email": "new@example.com", "email_verified": false }));
}

#[tokio::test]
async fn the_token_is_in_the_header_or_in_a_form() {
    let t = T::start().await;
    let shop = Product::new(&t).await;
    let cookie = shop.sign_in("admin", ADMIN_PASSWORD).await;
    let token = shop.tokens(&cookie, "openid").await["access_token"].as_str().unwrap().to_owned();
    let (bearer, nobody) = (t.bearer(&token), t.anonymous());
    bearer.get("/oauth/userinfo?unknown=1").await.expect(200);
    bearer.form("/oauth/userinfo", &[]).await.expect(200);
    bearer.form("/oauth/userinfo", &[("unknown", "x")]).await.expect(200);
    bearer.send(Method::POST, "/oauth/userinfo", None, "").await.expect(200);
    nobody.form("/oauth/userinfo", &[("access_token", &token)]).await.expect(200);
    let both = bearer.form("/oauth/userinfo", &[("access_token", &token)]).await.expect(400);
    assert_eq!(both.body["error"], "invalid_request");
    assert!(both.header("www-authenticate").contains("error=\"invalid_request\""));
    let twice = nobody.form("/oauth/userinfo", &[("access_token", &token), ("access_token", &token)]).await;
    twice.expect(400);
    let none = nobody.get(&format!("/oauth/userinfo?access_token={token}")).await.expect(401);
    assert_eq!(none.header("www-authenticate"), "Bearer realm=\"oauth\"", "never in the URL");
    shop.get("/oauth/userinfo", &cookie).await.expect(401);
    for bad in ["at_1_unknown", "at_2_unknown", "nonsense", ""] {
        let answer = t.bearer(bad).get("/oauth/userinfo").await.expect(401);
        assert!(answer.header("www-authenticate").contains("error=\"invalid_token\""), "{bad}");
    }
}

#[tokio::test]
async fn only_a_token_of_an_openid_request_is_good_and_only_as_long_as_its_user() {
    let t = T::start().await;
    let shop = Product::new(&t).await;
    let admin = t.admin().await;
    let refused = admin.get("/oauth/userinfo").await.expect(403);
    let challenge = refused.header("www-authenticate");
    assert!(
        challenge.contains("insufficient_scope") && challenge.contains("scope=\"openid\""),
        "{challenge}"
    );
    let robot = t.client(1, true).await;
    t.technical_account(&robot).await.get("/oauth/userinfo").await.expect(403);
    let (id, _) = t.member("mia").await;
    let cookie = shop.sign_in("mia", &password_of("mia")).await;
    let token = shop.tokens(&cookie, "openid").await["access_token"].as_str().unwrap().to_owned();
    shop.userinfo(&token).await.expect(200);
    admin.patch(&format!("/api/v1/users/{id}"), &json!({ "status": "LOCKED" })).await.expect(200);
    let answer = shop.userinfo(&token).await.expect(401);
    assert!(answer.header("www-authenticate").contains("invalid_token"));
}
