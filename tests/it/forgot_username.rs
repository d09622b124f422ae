//! "Forgot your username?": always the same answer, a mail for the owner of the address only, and never another name.

use serde_json::{Value, json};

use tenantry_core::clock::{DAY, MINUTE};
use tenantry_domain::forgot_username::MOST;
use tenantry_mail::EmailContent;

use crate::fixtures::with;
use crate::harness::{T, TestResponse, new_user};

async fn ask(t: &T, email: &str) -> TestResponse {
    t.tab().submit("/forgot-username", &[("who", email)]).await
}

/// The usernames mailed so far: address, username.
async fn mailed(t: &T) -> Vec<(String, String)> {
    let mails = t.mails().await.into_iter().filter_map(|mail| match mail.content {
        EmailContent::ForgottenUsername { username, .. } => Some((mail.to.address, username)),
        _ => None,
    });
    mails.collect()
}

/// Requests that the worker has not seen to.
fn waiting(t: &T) -> usize {
    t.ask_sql("SELECT count(*) FROM password_requests")[0][0].parse().unwrap()
}

/// A user with this address.
async fn create(t: &T, username: &str, changes: Value) {
    t.admin().await.create_with(&with(&new_user(username), changes)).await;
}

#[tokio::test]
async fn the_response_and_its_work_reveal_nothing() {
    let t = T::with(|config| config.forgot_password_per_address = 100).await;
    create(&t, "fenna", json!({})).await;
    create(&t, "ina", json!({ "status": "INACTIVE" })).await;
    let shape = |answer: TestResponse| {
        let mut headers: Vec<_> =
            answer.headers.iter().map(|(n, v)| (n.to_string(), v.to_str().unwrap().to_owned())).collect();
        headers.retain(|(name, _)| name != "x-request-id" && name != "date");
        (answer.status, headers, answer.text)
    };
    let mut answers = Vec::new();
    for (n, email) in ["fenna@example.com", "ina@example.com", "nobody@example.com", " Fenna@Example.com "]
        .iter()
        .enumerate()
    {
        answers.push(shape(ask(&t, email).await));
        // One row each, whoever it names: nothing is looked up before the answer.
        assert_eq!(waiting(&t), n + 1);
    }
    assert_eq!(answers[0].0, 303);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    let page = t.tab().get("/forgot-username?sent=1").await.expect(200);
    page.says("If there are active accounts with this address");
    // One mail: the first of two requests for the same user.
    assert_eq!(mailed(&t).await, [(String::from("fenna@example.com"), String::from("fenna"))]);
    assert_eq!(waiting(&t), 0);
}

#[tokio::test]
async fn an_address_of_several_accounts_gets_a_mail_for_each() {
    let t = T::start().await;
    let shared = json!({ "email": "shared@example.com" });
    create(&t, "one", shared.clone()).await;
    create(&t, "two", shared.clone()).await;
    create(&t, "off", with(&shared, json!({ "status": "INACTIVE" }))).await;
    let (_, other) = t.other_partner("acme").await;
    other.create_with(&with(&new_user("three"), shared)).await;
    ask(&t, "Shared@example.com").await.to("/forgot-username?sent=1");
    let mails = mailed(&t).await;
    let names: Vec<&str> = mails.iter().map(|(_, username)| username.as_str()).collect();
    assert_eq!(names, ["one", "two", "three"]);
    assert!(mails.iter().all(|(address, _)| address == "shared@example.com"));
    // Nothing has happened to a password.
    assert!(t.admin().await.get("/api/v1/events?type=password.issued").await.list().len() < 4);
}

#[tokio::test]
async fn a_mailbox_is_not_flooded() {
    let t = T::with(|config| config.forgot_password_per_address = 1_000).await;
    create(&t, "fenna", json!({})).await;
    let mut sent = 0;
    for minutes in [0, 5, 5, 10, 10, 10, 10, 10] {
        t.clock.advance(minutes * MINUTE);
        ask(&t, "fenna@example.com").await.to("/forgot-username?sent=1");
        sent = mailed(&t).await.len();
    }
    assert_eq!(sent, 5, "at most five a day");
    t.clock.advance(DAY);
    ask(&t, "fenna@example.com").await.to("/forgot-username?sent=1");
    assert_eq!(mailed(&t).await.len(), 6);
    // Its password mails are counted apart.
    t.anonymous().post("/api/v1/users/forgot-password", &json!({ "username": "fenna" })).await.expect(202);
    t.mailed_password("fenna").await;
}

#[tokio::test]
async fn an_address_of_many_gets_a_bounded_number() {
    let t = T::with(|config| config.forgot_password_per_address = 1_000).await;
    let admin = t.admin().await;
    for n in 0..MOST + 5 {
        let email = json!({ "email": "many@example.com" });
        admin.create_with(&with(&new_user(&format!("many{n}")), email)).await;
    }
    for _ in 0..2 {
        ask(&t, "many@example.com").await.to("/forgot-username?sent=1");
        assert_eq!(mailed(&t).await.len(), MOST, "asking again soon does not reach the others");
    }
}

#[tokio::test]
async fn a_client_that_asks_too_often_waits() {
    let t = T::with(|config| config.forgot_password_per_address = 2).await;
    for _ in 0..2 {
        ask(&t, "fenna@example.com").await.to("/forgot-username?sent=1");
    }
    let refused = ask(&t, "fenna@example.com").await.expect(429).says("Too many requests from your network.");
    assert!(!refused.header("retry-after").is_empty());
    // With those for passwords.
    t.tab().submit("/forgot-password", &[("who", "fenna")]).await.expect(429).says("fenna");
    t.clock.advance(5 * MINUTE);
    ask(&t, "fenna@example.com").await.to("/forgot-username?sent=1");
}

#[tokio::test]
async fn what_is_no_address_is_said_so() {
    let t = T::start().await;
    for typed in ["", " ", "fenna", "a b@example.com", "ä@example.com"] {
        let answer = ask(&t, typed).await.expect(400).says("This is not a valid e-mail address.");
        assert!(answer.text.contains("aria-invalid"), "{typed}");
    }
    t.tab().post("/forgot-username", &[("who", "fenna@example.com")]).await.expect(400);
    assert_eq!(waiting(&t), 0);
}

#[tokio::test]
async fn a_forgotten_password_is_mailed_from_the_page() {
    let t = T::with(|config| config.forgot_password_per_address = 100).await;
    create(&t, "fenna", json!({})).await;
    create(&t, "both@example.com", json!({ "email": "elsewhere@example.com" })).await;
    create(&t, "ina", json!({ "email": "both@example.com" })).await;
    t.mails().await;
    let sent = async |who: &str| {
        let before = t.mails().await.len();
        t.tab().submit("/forgot-password", &[("who", who)]).await.to("/forgot-password?sent=1");
        let mut to: Vec<String> = Vec::new();
        for mail in t.mails().await.split_off(before) {
            let EmailContent::TemporaryPassword { username, password, .. } = mail.content else { panic!() };
            t.secret(password.expose());
            to.push(username);
        }
        t.clock.advance(DAY);
        to
    };
    assert_eq!(sent(" FENNA ").await, ["fenna"]);
    assert_eq!(sent("fenna@example.com").await, ["fenna"]);
    // One that is a username and an address: both, each at its own address.
    assert_eq!(sent("both@example.com").await, ["both@example.com", "ina"]);
    assert!(sent("nobody").await.is_empty());
    t.tab().submit("/forgot-password", &[("who", " ")]).await.expect(400).says("This field is required.");
    t.tab().get("/forgot-password?sent=1").await.expect(200).says("Check your mail");
}
