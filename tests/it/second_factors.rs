//! Second factors: authenticator apps and recovery codes, at sign-ins on the pages.

use serde_json::json;

use tenantry_core::account_policy::SecondFactorPolicy;
use tenantry_core::clock::{HOUR, MINUTE, SECOND};
use tenantry_mail::{EmailContent, FactorName};

use crate::authenticators::{Authenticator, codes_on, key_on, started};
use crate::databases::is_postgres;
use crate::harness::{T, password_of};

const STEP: &str = "/sign-in/second-factor";

#[tokio::test]
async fn an_app_is_added_on_the_pages_and_asked_for_from_then_on() {
    let t = started().await;
    t.member("fenna").await;
    let tab = t.tab_of("fenna").await;
    tab.get("/account/security").await.expect(200).says("You have no second factor.");
    let add = "/second-factor/add?next=%2Faccount%2Fsecurity";
    tab.get(add).await.expect(200).says("Set up the app");
    tab.submit(add, &[]).await.to(add);
    let page = tab.get(add).await.expect(200).says("Scan this picture").text;
    assert!(page.contains("<svg") && page.contains("otpauth://totp/Tenantry"), "{page}");
    let app = Authenticator::new(&t, &key_on(&page));
    tab.submit(add, &[("code", &app.wrong_code(&t))]).await.expect(400).says("This is not the code");
    let page = tab.submit(add, &[("code", &app.code(&t))]).await.expect(200).says("shown only now").text;
    let codes = codes_on(&page);
    codes.iter().for_each(|code| t.secret(code));
    assert_eq!(codes.len(), 10, "{page}");
    // The page has led on with a new cookie, and the session counts as one with a second factor.
    tab.get("/account/security").await.expect(200).says("Authenticator app").says("Recovery codes left: 10");
    // From now on it is asked for.
    let tab = t.tab();
    tab.sign_in("fenna", &password_of("fenna")).await.to(STEP);
    tab.get("/account").await.to("/sign-in?next=%2Faccount");
    tab.submit(STEP, &[("code", &app.wrong_code(&t))]).await.expect(400).says("This code is wrong");
    tab.submit(STEP, &[("code", &app.next_code(&t))]).await.to("/account");
    tab.get("/account").await.expect(200);
    let mails = t.mails_to("fenna@example.com").await;
    let added = |mail: &&tenantry_mail::Email| {
        matches!(mail.content, EmailContent::FactorAdded { factor: FactorName::AuthenticatorApp, .. })
    };
    assert_eq!(mails.iter().filter(added).count(), 1);
    let kinds: Vec<_> = t.admin().await.events().await.iter().map(|e| e["type"].clone()).collect();
    assert!(kinds.contains(&json!("factor.added")), "{kinds:?}");
}

#[tokio::test]
async fn codes_of_oathtool_are_good_one_step_early_and_late() {
    let t = started().await;
    let (_, app, _) = t.member_with_authenticator("fenna").await;
    t.clock.advance(HOUR);
    for (seconds, is_good) in [(-60, false), (60, false), (-30, true), (0, true), (30, true)] {
        let tab = t.tab();
        tab.sign_in("fenna", &password_of("fenna")).await.to(STEP);
        let shown = tab.submit(STEP, &[("code", &app.code_in(&t, seconds))]).await;
        assert_eq!(shown.status.as_u16(), if is_good { 303 } else { 400 }, "{seconds}");
    }
}

#[tokio::test]
async fn a_code_is_good_once_and_no_earlier_one_after_it() {
    let t = started().await;
    let (_, app, _) = t.member_with_authenticator("fenna").await;
    // The one that has confirmed it is used.
    let first = app.code(&t);
    let sign_in = async |code: &str| {
        let tab = t.tab();
        tab.sign_in("fenna", &password_of("fenna")).await.to(STEP);
        tab.submit(STEP, &[("code", code)]).await.status.as_u16()
    };
    assert_eq!(sign_in(&first).await, 400);
    let next = app.next_code(&t);
    assert_eq!(sign_in(&next).await, 303);
    assert_eq!(sign_in(&next).await, 400);
    assert_eq!(sign_in(&first).await, 400);
}

#[tokio::test]
async fn of_two_who_use_a_code_at_once_one_signs_in() {
    let t = started().await;
    let (_, app, codes) = t.member_with_authenticator("fenna").await;
    let app_code = app.next_code(&t);
    for code in [&app_code, &codes[0]] {
        let mut tabs = Vec::new();
        for _ in 0..4 {
            let tab = t.tab();
            tab.sign_in("fenna", &password_of("fenna")).await.to(STEP);
            let token = tab.token(STEP).await;
            tabs.push((tab, token));
        }
        let post = async |at: usize| {
            let (tab, token) = &tabs[at];
            tab.post(STEP, &[("code", code), ("token", token)]).await.status.as_u16()
        };
        let (a, b, c, d) = tokio::join!(post(0), post(1), post(2), post(3));
        let mut statuses = [a, b, c, d];
        statuses.sort_unstable();
        assert_eq!(statuses, [303, 400, 400, 400]);
        // A sign-in that succeeds has reset the count, or this one does.
        t.tab_with_code("fenna", &app).await;
    }
}

#[tokio::test]
async fn a_recovery_code_signs_in_once_and_is_mailed_about() {
    let t = started().await;
    let (_, app, codes) = t.member_with_authenticator("fenna").await;
    for (code, status) in [(codes[0].as_str(), 303), (&codes[0], 400), (&codes[1].to_uppercase(), 303)] {
        let tab = t.tab();
        tab.sign_in("fenna", &password_of("fenna")).await.to(STEP);
        tab.get(STEP).await.says("one of your recovery codes");
        assert_eq!(tab.submit(STEP, &[("code", code)]).await.status.as_u16(), status);
    }
    let mails = t.mails_to("fenna@example.com").await;
    let left: Vec<i64> = mails
        .iter()
        .filter_map(|mail| match mail.content {
            EmailContent::RecoveryCodeUsed { left, .. } => Some(left),
            _ => None,
        })
        .collect();
    assert_eq!(left, [9, 8]);
    // New ones replace them.
    let tab = t.tab_with_code("fenna", &app).await;
    let page = tab.submit("/account/security", &[("codes", "new")]).await.expect(200).text;
    let new = codes_on(&page);
    new.iter().for_each(|code| t.secret(code));
    assert_eq!(new.len(), 10);
    let tab = t.tab();
    tab.sign_in("fenna", &password_of("fenna")).await.to(STEP);
    tab.submit(STEP, &[("code", &codes[2])]).await.expect(400);
    tab.submit(STEP, &[("code", &new[9])]).await.to("/account");
    let stored = t.ask_sql("SELECT code_hash FROM recovery_codes");
    assert!(stored.iter().all(|row| !new.contains(&row[0])), "hashes only");
}

#[tokio::test]
async fn between_the_steps_nothing_is_open_and_only_this_browser_goes_on() {
    let t = started().await;
    let (id, app, _) = t.member_with_authenticator("fenna").await;
    let sessions = || t.ask_sql("SELECT count(*) FROM browser_sessions")[0][0].clone();
    let tab = t.tab();
    tab.sign_in("fenna", &password_of("fenna")).await.to(STEP);
    assert_eq!(sessions(), "0");
    // Another browser has no step to take.
    t.tab().get(STEP).await.to("/sign-in");
    // After ten minutes it begins again.
    let token = tab.token(STEP).await;
    t.clock.advance(10 * MINUTE);
    let late = [("code", &*app.code(&t)), ("token", &token)];
    tab.post(STEP, &late).await.to("/sign-in");
    // Locked in the middle: the same words as for a wrong code.
    tab.sign_in("fenna", &password_of("fenna")).await.to(STEP);
    let admin = t.admin().await;
    admin.patch(&format!("/api/v1/users/{id}"), &json!({ "status": "LOCKED" })).await.expect(200);
    tab.submit(STEP, &[("code", &app.next_code(&t))]).await.expect(400).says("This code is wrong");
    admin.patch(&format!("/api/v1/users/{id}"), &json!({ "status": "ACTIVE" })).await.expect(200);
    tab.sign_in("fenna", &password_of("fenna")).await.to(STEP);
    // Another password in the middle.
    admin.post(&format!("/api/v1/users/{id}/reset-password"), &json!({})).await.expect(200);
    tab.submit(STEP, &[("code", &app.next_code(&t))]).await.expect(400);
    assert_eq!(sessions(), "0");
}

#[tokio::test]
async fn wrong_codes_count_as_wrong_passwords_and_only_a_whole_sign_in_resets_the_count() {
    let t = started().await;
    let (id, app, codes) = t.member_with_authenticator("fenna").await;
    let failures =
        || t.ask_sql(&format!("SELECT failed_logins FROM users WHERE user_id = {id}"))[0][0].clone();
    for count in 1..=3 {
        let tab = t.tab();
        // The right password alone resets nothing.
        tab.sign_in("fenna", &password_of("fenna")).await.to(STEP);
        let wrong = if count == 2 { codes[0].replace(|c: char| c != '-', "0") } else { app.wrong_code(&t) };
        tab.submit(STEP, &[("code", &wrong)]).await.expect(400);
        assert_eq!(failures(), count.to_string());
    }
    let tab = t.tab_with_code("fenna", &app).await;
    tab.get("/account").await.expect(200);
    assert_eq!(failures(), "0");
    let tab = t.tab();
    tab.sign_in("fenna", &password_of("fenna")).await.to(STEP);
    for _ in 0..5 {
        tab.submit(STEP, &[("code", &app.wrong_code(&t))]).await.expect(400).says("This code is wrong");
    }
    let user = t.admin().await.get(&format!("/api/v1/users/{id}")).await.body;
    assert_eq!(user["status"], "LOCKED");
    // The sixth is right, and refused alike.
    tab.submit(STEP, &[("code", &app.next_code(&t))]).await.expect(400).says("This code is wrong");
}

#[tokio::test]
async fn the_last_admin_is_refused_for_a_while_in_place_of_being_locked() {
    let t = started().await;
    let admin = t.admin().await;
    let (app, _) = t.add_authenticator(&admin).await;
    let password = crate::harness::ADMIN_PASSWORD;
    let tab = t.tab();
    tab.sign_in("admin", password).await.to(STEP);
    for _ in 0..5 {
        tab.submit(STEP, &[("code", &app.wrong_code(&t))]).await.expect(400);
    }
    assert_eq!(t.ask_sql("SELECT status FROM users WHERE user_id = 1")[0][0], "0");
    tab.submit(STEP, &[("code", &app.next_code(&t))]).await.expect(400);
    tab.sign_in("admin", password).await.expect(400);
    t.clock.advance(15 * MINUTE + SECOND);
    tab.sign_in("admin", password).await.to(STEP);
    tab.submit(STEP, &[("code", &app.next_code(&t))]).await.to("/account");
}

#[tokio::test]
async fn who_has_a_factor_shows_only_to_whoever_has_the_password() {
    let t = started().await;
    t.member_with_authenticator("fenna").await;
    t.member("ina").await;
    let page = async |username: &str| {
        let shown = t.tab().sign_in(username, "Wrong.Tea-Cup.12").await.expect(400).text;
        let shown = crate::page_visitor::without_challenges(&shown).replace(username, "");
        // The form's token differs.
        shown
            .split("name=\"token\"")
            .map(|part| part.split_once('>').unwrap_or(("", part)).1)
            .collect::<String>()
    };
    assert_eq!(page("fenna").await, page("ina").await);
    assert_eq!(page("fenna").await, page("nobody").await);
    let grant = async |username: &str| t.try_login(username, "Wrong.Tea-Cup.12").await.expect(400).body;
    assert_eq!(grant("fenna").await, grant("ina").await);
    assert_eq!(grant("fenna").await, grant("nobody").await);
    assert_eq!(grant("fenna").await.get("secondFactorRequired"), None);
}

#[tokio::test]
async fn on_postgres_without_a_master_key_apps_are_refused_with_that_reason() {
    let t = T::start().await;
    let (_, fenna) = t.member("fenna").await;
    let response = fenna.post("/api/v1/users/self/factors", &json!({ "factor": "totp" })).await;
    if !is_postgres() {
        // There it is made at the first start.
        response.expect(200);
        return;
    }
    let problem = response.expect(409).body;
    assert_eq!(problem["code"], "no-master-key");
    assert!(problem["detail"].as_str().unwrap().contains("master-key-file"), "{problem}");
    let tab = t.tab_of("fenna").await;
    tab.submit("/second-factor/add", &[]).await.expect(409).says("no master key");
    assert_eq!(t.ask_sql("SELECT count(*) FROM totp_secrets")[0][0], "0");
}

#[tokio::test]
async fn a_temporary_password_does_not_replace_the_second_factor() {
    let t = started().await;
    let (id, app, _) = t.member_with_authenticator("fenna").await;
    let admin = t.admin().await;
    admin.post(&format!("/api/v1/users/{id}/reset-password"), &json!({})).await.expect(200);
    let password = t.mailed_password("fenna").await;
    let tab = t.tab();
    tab.sign_in("fenna", &password).await.to(STEP);
    tab.submit(STEP, &[("code", &app.next_code(&t))]).await.to("/set-password");
}

#[tokio::test]
async fn a_member_adds_lists_and_removes_factors_by_the_api() {
    let t = started().await;
    let (_, fenna) = t.member("fenna").await;
    let path = "/api/v1/users/self/factors";
    let none = json!({ "factors": [], "recoveryCodesLeft": 0, "rememberedDevices": 0, "requiredFrom": null });
    assert_eq!(fenna.get(path).await.expect(200).body, none);
    let codes = format!("{path}/recovery-codes");
    assert_eq!(fenna.post(&codes, &json!({})).await.expect(409).body["code"], "no-factor");
    fenna.post(path, &json!({ "factor": "sms" })).await.expect(400);
    let begun = fenna.post(path, &json!({ "factor": "totp" })).await.expect(200).body;
    let app = Authenticator::new(&t, begun["key"].as_str().unwrap());
    let uri = begun["uri"].as_str().unwrap();
    t.secret(uri);
    assert!(uri.starts_with("otpauth://totp/") && uri.contains("issuer="), "{uri}");
    let confirm = format!("{path}/confirm");
    let wrong = fenna.post(&confirm, &json!({ "code": app.wrong_code(&t) })).await.expect(400);
    assert_eq!(wrong.body["errors"][0]["code"], "wrong-code");
    // What was not confirmed is no factor.
    assert_eq!(fenna.get(path).await.body, none);
    t.login("fenna", &password_of("fenna")).await;
    let added = fenna.post(&confirm, &json!({ "code": app.code(&t) })).await.expect(200).body;
    let first = t.secrets_of(&added["recoveryCodes"]);
    fenna.post(&confirm, &json!({ "code": app.next_code(&t) })).await.expect(404);
    assert_eq!(
        fenna.post(path, &json!({ "factor": "totp" })).await.expect(409).body["code"],
        "factor-exists"
    );
    let new = t.secrets_of(&fenna.post(&codes, &json!({})).await.expect(200).body["recoveryCodes"]);
    assert!(new.len() == 10 && first.iter().all(|code| !new.contains(code)));
    let listed = fenna.get(path).await.body;
    assert_eq!((&listed["factors"][0]["factor"], &listed["recoveryCodesLeft"]), (&json!("totp"), &json!(10)));
    fenna.delete(&format!("{path}/other")).await.expect(404);
    fenna.delete(&format!("{path}/totp")).await.expect(204);
    assert_eq!(fenna.get(path).await.body, none);
    t.login("fenna", &password_of("fenna")).await;
    let stored = t.ask_sql("SELECT secret FROM totp_secrets");
    assert!(stored.is_empty(), "{stored:?}");
}

#[tokio::test]
async fn where_the_policy_is_off_nobody_is_asked_and_none_can_be_added() {
    let t = started().await;
    t.member_with_authenticator("fenna").await;
    let t = t.restart_with(|config| config.second_factor = SecondFactorPolicy::Off).await;
    t.tab_of("fenna").await.get("/account/security").await.expect(200).says("switched off");
    let fenna = t.login("fenna", &password_of("fenna")).await;
    let (_, ina) = t.member("ina").await;
    let refused = ina.post("/api/v1/users/self/factors", &json!({ "factor": "totp" })).await.expect(409);
    assert_eq!(refused.body["code"], "second-factor-off");
    // A partner can have its own.
    t.admin().await.patch("/api/v1/policy", &json!({ "secondFactor": "optional" })).await.expect(200);
    assert_eq!(
        t.try_login("fenna", &password_of("fenna")).await.expect(400).body["secondFactorRequired"],
        true
    );
    drop(fenna);
}
