//! The policy of second factors: who needs one, from when on, and what a session can do that has none; step-up.

use serde_json::{Value, json};

use tenantry_core::account_policy::SecondFactorPolicy;
use tenantry_core::clock::{DAY, HOUR, MINUTE};
use tenantry_domain::client_changes::ClientChange;
use tenantry_domain::factors::FRESH;

use crate::authenticators::{started, with_master_key};
use crate::harness::{ADMIN_PASSWORD, Person, T, TestResponse, new_user, password_of};
use crate::products::{Product, claims_of, set, settings};

const POLICY: &str = "/api/v1/policy";
const FACTORS: &str = "/api/v1/users/self/factors";

async fn require(admin: &Person<'_>, who: &str) {
    admin.patch(POLICY, &json!({ "secondFactor": who })).await.expect(200);
}

#[track_caller]
fn expect_challenge(response: TestResponse, second_factor: bool, max_age: i64) {
    let response = response.expect(401);
    assert_eq!(response.body["code"], "insufficient-user-authentication");
    let challenge = response.header("www-authenticate");
    assert!(challenge.contains(r#"error="insufficient_user_authentication""#), "{challenge}");
    assert_eq!(challenge.contains(r#"acr_values="2""#), second_factor, "{challenge}");
    assert!(challenge.contains(&format!("max_age=\"{max_age}\"")), "{challenge}");
}

#[tokio::test]
async fn the_policy_is_read_and_changed_on_conditions() {
    let t = started().await;
    let admin = t.admin().await;
    let read = admin.get(POLICY).await.expect(200);
    let none = json!({
        "secondFactor": "off", "passwordPolicy": null,
        "effective": { "secondFactor": "optional", "passwordPolicy": "contract" },
    });
    assert_eq!(read.body, none);
    let tag = read.header("etag").to_owned();
    let conditional = async |tag: &str, body: &Value| {
        let request = admin.request(reqwest::Method::PATCH, POLICY).header("if-match", tag).json(body);
        TestResponse::of(request.send().await.unwrap()).await
    };
    let change = json!({ "secondFactor": "admins", "passwordPolicy": "nist" });
    admin.patch(&format!("{POLICY}?dryRun=true"), &change).await.expect(200);
    assert_eq!(admin.get(POLICY).await.body, none);
    let changed = conditional(&tag, &change).await.expect(200);
    assert_eq!(changed.body["effective"], json!({ "secondFactor": "admins", "passwordPolicy": "nist" }));
    conditional(&tag, &change).await.expect(412);
    // The same again changes nothing.
    assert_eq!(admin.patch(POLICY, &change).await.expect(200).header("etag"), changed.header("etag"));
    admin.patch(POLICY, &json!({ "passwordPolicy": null })).await.expect(200);
    assert_eq!(admin.get(POLICY).await.body["passwordPolicy"], Value::Null);
    for (body, field) in [
        (json!({ "secondFactor": "all" }), "/secondFactor"),
        (json!({ "secondFactor": null }), "/secondFactor"),
        (json!({ "passwordPolicy": "weak" }), "/passwordPolicy"),
        (json!({ "grace": 7 }), "/grace"),
    ] {
        let refused = admin.patch(POLICY, &body).await.expect(400);
        assert!(refused.faults()[0].contains(field), "{:?}", refused.faults());
    }
    let (_, fenna) = t.member("fenna").await;
    fenna.get(POLICY).await.expect(403);
    fenna.patch(POLICY, &change).await.expect(403);
    let events = admin.events().await;
    let event = events.iter().find(|event| event["type"] == "policy.updated").unwrap();
    assert_eq!(event["after"], json!({ "secondFactor": "admins", "passwordPolicy": "nist" }));
}

#[tokio::test]
async fn whoever_needs_a_factor_has_a_week_and_then_adds_one_first() {
    let t = started().await;
    let admin = t.admin().await;
    let (_, fenna) = t.member("fenna").await;
    require(&admin, "admins").await;
    let from = admin.get(FACTORS).await.expect(200).body["requiredFrom"].clone();
    assert!(from.is_string());
    assert_eq!(fenna.get(FACTORS).await.body["requiredFrom"], Value::Null);
    t.clock.advance(7 * DAY - 1);
    let admin = t.admin().await;
    admin.get("/api/v1/users/").await.expect(200);
    t.clock.advance(1);
    // From now on the session can do next to nothing, as after a temporary password (B22).
    for path in ["/api/v1/users/", "/api/v1/groups/", POLICY] {
        assert_eq!(admin.get(path).await.expect(403).body["code"], "second-factor-required", "{path}");
    }
    admin.get("/api/v1/users/self").await.expect(200);
    t.login("fenna", &password_of("fenna")).await.get("/api/v1/users/self").await.expect(200);
    // A new login can add one at once, and goes on.
    let admin = t.admin().await;
    admin.get("/api/v1/users/").await.expect(403);
    let (app, _) = t.add_authenticator(&admin).await;
    admin.get("/api/v1/users/").await.expect(200);
    // On the pages, the sign-in leads there.
    require(&admin, "everybody").await;
    t.clock.advance(7 * DAY);
    let tab = t.tab();
    tab.sign_in("fenna", &password_of("fenna")).await.to("/account");
    tab.get("/account").await.to("/second-factor/add?next=%2Faccount");
    for page in ["/account/password", "/account/sessions", "/account/security"] {
        assert!(tab.get(page).await.header("location").starts_with("/second-factor/add?"), "{page}");
    }
    tab.get("/second-factor/add").await.expect(200).says("Your organization requires a second factor");
    let tab = t.tab_with_code_of("admin", ADMIN_PASSWORD, &app).await;
    tab.get("/account").await.expect(200);
}

#[tokio::test]
async fn the_servers_setting_is_a_floor_whose_week_begins_once() {
    let t = T::with(|config| {
        with_master_key(config);
        config.second_factor = SecondFactorPolicy::Everybody;
    })
    .await;
    let (_, fenna) = t.member("fenna").await;
    require(&t.admin().await, "off").await;
    fenna.get("/api/v1/users/self/sessions").await.expect(200);
    t.clock.advance(4 * DAY);
    let t = t.restart().await;
    t.clock.advance(3 * DAY);
    let fenna = t.login("fenna", &password_of("fenna")).await;
    let refused = fenna.get("/api/v1/users/self/sessions").await.expect(403);
    assert_eq!(refused.body["code"], "second-factor-required");
    // Somebody new has a week, too. A technical account is never asked.
    let account = t.technical_account(&t.client(1, true).await).await;
    account.create("ina").await;
    let ina = t.login("ina", &t.mailed_password("ina").await).await;
    let change = json!({ "oldPassword": t.mailed_password("ina").await, "newPassword": password_of("ina") });
    ina.post("/api/v1/users/self/update-password", &change).await.expect(200);
    ina.get("/api/v1/users/self/sessions").await.expect(200);
}

#[tokio::test]
async fn the_last_factor_stays_where_one_is_required_and_an_admin_can_remove_it() {
    let t = started().await;
    let admin = t.admin().await;
    let (id, app, _) = t.member_with_authenticator("fenna").await;
    require(&admin, "everybody").await;
    let tab = t.tab_with_code("fenna", &app).await;
    tab.submit("/account/security", &[("remove", "totp")]).await.expect(409).says("requires a second factor");
    let path = format!("/api/v1/users/{id}/factors");
    let listed = admin.get(&path).await.expect(200).body;
    assert_eq!(
        (&listed["factors"][0]["factorId"], &listed["recoveryCodesLeft"]),
        (&json!("totp"), &json!(10))
    );
    admin.delete(&format!("{path}/other")).await.expect(404);
    admin.delete("/api/v1/users/999/factors").await.expect(404);
    // The rules of one's own cannot be got around.
    assert_eq!(admin.delete("/api/v1/users/1/factors").await.expect(409).body["code"], "own-factors");
    admin.delete(&format!("{path}?dryRun=true")).await.expect(200);
    assert_eq!(admin.get(&path).await.body["factors"].as_array().unwrap().len(), 1);
    admin.delete(&format!("{path}/totp")).await.expect(204);
    // Its sessions have ended, and the password alone signs in.
    tab.get("/account").await.to("/sign-in?next=%2Faccount");
    assert_eq!(admin.get(&path).await.body["factors"], json!([]));
    assert_eq!(t.ask_sql("SELECT count(*) FROM recovery_codes")[0][0], "0");
    t.tab_of("fenna").await;
    let mails = t.mails_to("fenna@example.com").await;
    let is_removal = |mail: &tenantry_mail::Email| {
        matches!(mail.content, tenantry_mail::EmailContent::FactorRemoved { .. })
    };
    assert!(mails.iter().any(is_removal));
    // Only admins of the same partner.
    let (_, ina) = t.member("ina").await;
    ina.get(&path).await.expect(403);
    ina.delete(&path).await.expect(403);
    let (_, other) = t.other_partner("other").await;
    other.get(&path).await.expect(404);
    other.delete(&path).await.expect(404);
}

#[tokio::test]
async fn factors_change_only_soon_after_a_sign_in() {
    let t = started().await;
    let (_, fenna) = t.member("fenna").await;
    t.clock.advance(FRESH + 1);
    let max_age = FRESH / 1_000;
    let add = json!({ "factor": "totp" });
    expect_challenge(fenna.post(FACTORS, &add).await, false, max_age);
    expect_challenge(
        fenna.post(&format!("{FACTORS}/confirm"), &json!({ "code": "123456" })).await,
        false,
        max_age,
    );
    let tab = t.tab_of("fenna").await;
    t.clock.advance(FRESH + 1);
    let again = "/sign-in?again=1&next=%2Fsecond-factor%2Fadd";
    tab.get("/second-factor/add").await.to(again);
    tab.get(again).await.expect(200).says("Sign in");
    tab.submit(again, &[("username", "fenna"), ("password", &password_of("fenna"))])
        .await
        .to("/second-factor/add");
    tab.get("/second-factor/add").await.expect(200);
    // One that was added is not removed by an old session, nor by one with the password alone.
    let fenna = t.login("fenna", &password_of("fenna")).await;
    let old = t.login("fenna", &password_of("fenna")).await;
    let (app, _) = t.add_authenticator(&fenna).await;
    expect_challenge(old.delete(&format!("{FACTORS}/totp")).await, true, max_age);
    expect_challenge(old.post(&format!("{FACTORS}/recovery-codes"), &json!({})).await, true, max_age);
    t.clock.advance(FRESH + 1);
    expect_challenge(fenna.delete(&format!("{FACTORS}/totp")).await, true, max_age);
    let tab = t.tab_with_code("fenna", &app).await;
    tab.submit("/account/security", &[("remove", "totp")]).await.to("/account/security?done=removed");
    t.tab_of("fenna").await;
}

#[tokio::test]
async fn operations_that_ask_for_it_need_a_second_factor_of_whoever_has_one() {
    let t = started().await;
    let admin = t.admin().await;
    let client = json!({ "name": "Shop", "kind": "confidential" });
    let mut colleague = new_user("colleague");
    colleague["isAdmin"] = json!(true);
    // Without a factor nothing is asked: clients of the contract work unchanged.
    admin.post("/api/v1/users/", &colleague).await.expect(201);
    admin.post("/api/v1/clients", &client).await.expect(201);
    let (fenna, _) = t.member("fenna").await;
    let with_password = t.admin().await;
    t.add_authenticator(&admin).await;
    admin.post("/api/v1/clients", &client).await.expect(201);
    let max_age = HOUR / 1_000;
    colleague["username"] = json!("colleague2");
    for response in [
        with_password.post("/api/v1/clients", &client).await,
        with_password.post("/api/v1/users/", &colleague).await,
        with_password.post("/api/v1/users/bulk", &json!([colleague])).await,
        with_password.patch(&format!("/api/v1/users/{fenna}"), &json!({ "isAdmin": true })).await,
        with_password.patch(POLICY, &json!({ "secondFactor": "off" })).await,
        with_password.delete("/api/v1/users/2/factors").await,
    ] {
        expect_challenge(response, true, max_age);
    }
    with_password.post("/api/v1/users/", &new_user("ina")).await.expect(201);
    // Never a technical account.
    let account = t.technical_account(&t.client(1, true).await).await;
    account.post("/api/v1/users/", &colleague).await.expect(201);
    // It is too old after an hour.
    t.clock.advance(HOUR + MINUTE);
    expect_challenge(admin.post("/api/v1/clients", &client).await, true, max_age);
}

#[tokio::test]
async fn the_password_grant_says_that_a_factor_is_needed_unless_the_client_may_do_without() {
    let t = started().await;
    t.member_with_authenticator("fenna").await;
    let refused = t.try_login("fenna", &password_of("fenna")).await.expect(400).body;
    assert_eq!(
        (&refused["error"], &refused["secondFactorRequired"]),
        (&json!("invalid_grant"), &json!(true))
    );
    t.member("ina").await;
    t.try_login("ina", &password_of("ina")).await.expect(200);
    let admin = t.admin().await;
    let body = json!({ "name": "Old", "kind": "confidential", "passwordWithoutSecondFactor": true });
    let made = admin.post("/api/v1/clients", &body).await.expect(201).body;
    assert_eq!(made["passwordWithoutSecondFactor"], true);
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    let client = (text("clientId"), text("clientSecret"));
    t.secret(&client.1);
    let password = password_of("fenna");
    let form = [("grant_type", "password"), ("username", "fenna"), ("password", &*password)];
    t.form_as(&client, "/oauth/token", &form).await.expect(200);
    require(&admin, "everybody").await;
    t.clock.advance(7 * DAY - HOUR);
    let granted = t.form_as(&client, "/oauth/token", &form).await.expect(200).body;
    t.clock.advance(HOUR);
    t.bearer(granted["access_token"].as_str().unwrap()).get("/api/v1/users/self/sessions").await.expect(200);
}

#[tokio::test]
async fn applications_ask_for_a_second_factor_by_acr_values_and_get_it() {
    let t = started().await;
    t.member("fenna").await;
    let early = t.tab_of("fenna").await;
    let (app, _) = t.add_authenticator(&t.login("fenna", &password_of("fenna")).await).await;
    t.member("ina").await;
    let product = Product::with(
        &t,
        tenantry_core::clients::ClientKind::Confidential,
        ClientChange { needs_consent: Some(false), ..settings() },
    )
    .await;
    let with_acr = |values: &'static str| {
        let mut parameters = product.parameters();
        set(&mut parameters, "acr_values", values);
        parameters
    };
    // Somebody who has none cannot step up.
    let ina = product.sign_in("ina", &password_of("ina")).await;
    let refused = product.authorize(&ina, &with_acr("2")).await;
    assert_eq!(refused.returned("error"), "unmet_authentication_requirements");
    assert_eq!(product.authorize(&ina, &with_acr("2 1")).await.returned("error"), "");
    // A sign-in with a code has it, in the ID token and in introspection.
    let tab = t.tab_with_code("fenna", &app).await;
    let cookie = tab.session_cookie();
    let code = product.code(&cookie, |parameters| set(parameters, "acr_values", "2")).await;
    let granted = product.exchange(&code).await.expect(200).body;
    let claims = claims_of(&granted["id_token"]);
    assert_eq!((&claims["acr"], &claims["amr"]), (&json!("2"), &json!(["pwd", "otp", "mfa"])));
    let form = [("token", granted["access_token"].as_str().unwrap())];
    let seen = t.form_as(&product.client, "/oauth/introspect", &form).await.expect(200).body;
    assert_eq!((&seen["acr"], &seen["amr"]), (&json!("2"), &json!(["pwd", "otp", "mfa"])));
    assert!(seen["auth_time"].is_i64());
    // A session of before the factor was added is asked for it, and goes on to the application.
    let cookie = early.session_cookie();
    let asked = product.authorize(&cookie, &with_acr("2")).await;
    assert_eq!(asked.page(), "/second-factor", "{}", asked.text);
    let page = asked.header("location").to_owned();
    let after = early.submit(&page, &[("code", &app.next_code(&t))]).await;
    assert_eq!(after.page(), "/oauth/authorize/continue", "{}", after.text);
    let back = early.get(after.header("location")).await;
    assert!(!back.returned("code").is_empty(), "{}", back.header("location"));
    assert_ne!(early.session_cookie(), cookie, "a session that counts for more has another cookie");
}

#[tokio::test]
async fn a_remembered_device_is_not_asked_again_until_the_password_changes() {
    let t = started().await;
    let (_, app, _) = t.member_with_authenticator("fenna").await;
    let step = "/sign-in/second-factor";
    let tab = t.tab();
    tab.sign_in("fenna", &password_of("fenna")).await.to(step);
    tab.get(step).await.says("For 30 days");
    tab.submit(step, &[("code", &app.next_code(&t)), ("remember", "1")]).await.to("/account");
    tab.get("/account/security").await.says("Devices on which you are not asked for a code: 1");
    tab.submit("/sign-out", &[]).await.to("/signed-out");
    tab.sign_in("fenna", &password_of("fenna")).await.to("/account");
    // It is good for this user alone, and proves no second factor: removing one asks for it.
    t.member_with_authenticator("ina").await;
    tab.submit("/sign-out", &[]).await.to("/signed-out");
    tab.sign_in("ina", &password_of("ina")).await.to(step);
    tab.sign_in("fenna", &password_of("fenna")).await.to("/account");
    let security = "/account/security";
    tab.submit(security, &[("remove", "totp")]).await.to("/second-factor?next=%2Faccount%2Fsecurity");
    tab.submit("/second-factor?next=%2Faccount%2Fsecurity", &[("code", &app.wrong_code(&t))])
        .await
        .expect(400);
    let code = app.next_code(&t);
    tab.submit("/second-factor?next=%2Faccount%2Fsecurity", &[("code", &code)]).await.to(security);
    // It ends with the password.
    let new = "Newer.Tea-Cup.34";
    t.secret(new);
    let form = [("oldPassword", &*password_of("fenna")), ("newPassword", new)];
    tab.submit("/account/password", &form).await.to("/account/password?done=changed");
    tab.submit("/sign-out", &[]).await.to("/signed-out");
    tab.sign_in("fenna", new).await.to(step);
    tab.submit(step, &[("code", &app.next_code(&t)), ("remember", "1")]).await.to("/account");
    tab.submit("/sign-out", &[]).await.to("/signed-out");
    t.clock.advance(30 * DAY);
    tab.sign_in("fenna", new).await.to(step);
}
