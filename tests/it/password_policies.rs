//! The rules of passwords: those of the contract, or of NIST.

use serde_json::json;

use tenantry_core::account_policy::PasswordPolicy;

use crate::harness::{T, password_of};

const CHANGE: &str = "/api/v1/users/self/update-password";

#[tokio::test]
async fn a_partner_chooses_long_passwords_of_any_script() {
    let t = T::start().await;
    let (_, fenna) = t.member("fenna").await;
    let long = "naïve кот ходит сам по себе";
    t.secret(long);
    let old = password_of("fenna");
    let change =
        async |new: &str| fenna.post(CHANGE, &json!({ "oldPassword": old, "newPassword": new })).await;
    assert!(change(long).await.expect(400).faults()[0].contains("/newPassword"));
    t.admin().await.patch("/api/v1/policy", &json!({ "passwordPolicy": "nist" })).await.expect(200);
    for (new, code) in [
        ("Short.Cup-12", "too-short"),
        ("aaaaaaaaaaaaaaaaaaaa", "common"),
        ("fenna@example.com", "contains-email"),
        (&"x7 ".repeat(50), "too-long"),
    ] {
        let refused = change(new).await.expect(400);
        let codes: Vec<_> =
            refused.body["errors"].as_array().unwrap().iter().map(|e| e["code"].clone()).collect();
        assert!(codes.contains(&json!(code)), "{new}: {codes:?}");
    }
    change(long).await.expect(200);
    // A keyboard that writes the letter and its mark apart.
    let apart = long.replace('ï', "i\u{308}");
    assert_ne!(apart, long);
    t.login("fenna", &apart).await;
    t.login("fenna", long).await;
    t.try_login("fenna", &long.replace('ï', "i")).await.expect(400);
}

#[tokio::test]
async fn pages_show_the_rules_in_force_and_those_that_are_broken() {
    let t = T::with(|config| config.password_policy = PasswordPolicy::Nist).await;
    t.admin().await.create("fenna").await;
    let temporary = t.mailed_password("fenna").await;
    let tab = t.tab();
    tab.sign_in("fenna", &temporary).await.to("/set-password");
    let page = tab.get("/set-password").await.expect(200).says("has 15 to 128 characters");
    page.hides("has an upper case letter").hides("has 12 to 40 characters");
    let refused = tab.submit("/set-password", &[("newPassword", "short one")]).await.expect(400);
    refused.says("These rules are not met yet").says("has 15 to 128 characters");
    let new = "four unrelated words here";
    t.secret(new);
    tab.submit("/set-password", &[("newPassword", new)]).await.to("/account");
    tab.get("/account/password").await.expect(200).says("has 15 to 128 characters");
    // A partner can go back to the rules of the contract.
    t.admin().await.patch("/api/v1/policy", &json!({ "passwordPolicy": "contract" })).await.expect(200);
    tab.get("/account/password").await.says("has an upper case letter").hides("has 15 to 128 characters");
}
