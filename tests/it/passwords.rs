//! Changing one's own password (A4): the rules, the history of 12, and what happens in between. The rules
//! themselves have property tests beside them (crates/domain/src/policy.rs), and so has a change that something overtakes
//! (crates/domain/src/passwords.rs).

use serde_json::{Value, json};

use tenantry_core::clock::DAY;
use tenantry_core::model::PartnerId;
use tenantry_store::access::system_within;
use tenantry_store::tables::passwords::{list_history, list_present};

use crate::harness::{ADMIN_PASSWORD, Person, T, TestResponse, password_of};

const CHANGE: &str = "/api/v1/users/self/update-password";
const SELF: &str = "/api/v1/users/self";

async fn change(t: &T, person: &Person<'_>, old: &str, new: &str) -> TestResponse {
    t.secret(new);
    person.post(CHANGE, &json!({ "oldPassword": old, "newPassword": new })).await
}

/// The n-th of many good passwords.
fn good(n: usize) -> String {
    format!("Zy{n:02}.Saucer-Quilt{n:02}x")
}

#[tokio::test]
async fn a4_put_and_post_change_the_password() {
    let t = T::start().await;
    let (_, fenna) = t.member("fenna").await;
    let response = change(&t, &fenna, &password_of("fenna"), &good(1)).await.expect(200);
    assert_eq!(response.body, json!({}));
    let body = json!({ "oldPassword": good(1), "newPassword": good(2) });
    t.secret(&good(2));
    let response = fenna.put("/users/self/update-password/", &body).await.expect(200);
    assert_eq!(response.body, json!({}));
    assert_eq!(t.try_login("fenna", &good(1)).await.expect(400).body["error"], "invalid_grant");
    t.login("fenna", &good(2)).await;
}

#[tokio::test]
async fn a4_every_violated_rule_is_reported_for_the_new_password() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (id, fenna) = t.member("fenna").await;
    let mut user = admin.get(&format!("/api/v1/users/{id}")).await.expect(200).body;
    user["firstName"] = json!("Wilhelmina");
    user["lastName"] = json!("Jansen");
    admin.put(&format!("/api/v1/users/{id}"), &user).await.expect(200);
    let long = format!("aB3!{}", "x".repeat(37));
    for (new, codes) in [
        ("aB3!5678901", &["too-short"][..]),
        (&long, &["too-long"]),
        ("", &["too-short", "no-upper-case", "no-lower-case", "no-digit", "no-special"]),
        ("aB3:xxx-xxxxx", &["bad-character"]),
        ("aB3-xxx xxxxx", &["bad-character"]),
        ("aB3-xxxéxxxxx", &["bad-character"]),
        ("aB3-xxx\u{0}xxxxx", &["bad-character"]),
        ("-aB3xxxxxxxxx", &["bad-first-character"]),
        ("aB3xxxxxxxxx-", &["bad-last-character"]),
        ("ab3-xxxxxxxxx", &["no-upper-case"]),
        ("AB3-XXXXXXXXX", &["no-lower-case"]),
        ("aBc-xxxxxxxxx", &["no-digit"]),
        ("aB3xxxxxxxxxx", &["no-special"]),
        ("q7-fENNa-QqWwvz", &["contains-username"]),
        ("q7-wilhelMINA-Qq", &["contains-first-name"]),
        ("q7-JANSEN-qwvzq", &["contains-last-name"]),
        // The address contains the username, too.
        ("q7-Fenna@example.com-q", &["contains-username", "contains-email"]),
        ("Password123-2024", &["common"]),
    ] {
        let response = change(&t, &fenna, &password_of("fenna"), new).await.expect(400);
        let expected: Vec<_> = codes.iter().map(|code| format!("/newPassword {code}")).collect();
        assert_eq!(response.faults(), expected, "{new:?}");
        assert!(new.is_empty() || !response.text.contains(new), "the answer repeats {new:?}");
    }
    t.login("fenna", &password_of("fenna")).await;
}

#[tokio::test]
async fn a4_errors_of_both_passwords_are_reported_together() {
    let t = T::start().await;
    let (_, fenna) = t.member("fenna").await;
    let response = change(&t, &fenna, "Wrong.Guess-00x", "aB3!5678901").await.expect(400);
    assert_eq!(response.faults(), ["/oldPassword wrong-password", "/newPassword too-short"]);
    // Whoever does not know the old password learns nothing of the history.
    let response = change(&t, &fenna, "Wrong.Guess-00x", &password_of("fenna")).await.expect(400);
    assert_eq!(response.faults(), ["/oldPassword wrong-password"]);
    for (body, faults) in [
        (json!({}), vec!["/oldPassword required", "/newPassword required"]),
        (
            json!({ "oldPassword": 1, "newPassword": null }),
            vec!["/oldPassword wrong-type", "/newPassword wrong-type"],
        ),
        (json!({ "oldPassword": "a", "newPassword": "b", "password": "c" }), vec!["/password unknown-field"]),
    ] {
        assert_eq!(fenna.post(CHANGE, &body).await.expect(400).faults(), faults, "{body}");
    }
    t.login("fenna", &password_of("fenna")).await;
}

#[tokio::test]
async fn the_newest_12_permanent_passwords_are_refused() {
    let t = T::start().await;
    let (_, fenna) = t.member("fenna").await;
    // With the harness's own there are 13 now: good(12) is the present one, good(1) the twelfth.
    let mut present = password_of("fenna");
    for n in 1..=12 {
        change(&t, &fenna, &present, &good(n)).await.expect(200);
        present = good(n);
    }
    for n in 1..=12 {
        let response = change(&t, &fenna, &present, &good(n)).await.expect(400);
        assert_eq!(response.faults(), ["/newPassword used-before"], "{n}");
    }
    change(&t, &fenna, &present, &password_of("fenna")).await.expect(200);
    // That pushed good(1) out, and brings it back in place of good(2).
    change(&t, &fenna, &password_of("fenna"), &good(1)).await.expect(200);
    change(&t, &fenna, &good(1), &good(3)).await.expect(400);
    change(&t, &fenna, &good(1), &good(2)).await.expect(200);
}

#[tokio::test]
async fn temporary_passwords_do_not_count_for_the_history() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (id, mut fenna) = t.member("fenna").await;
    let mut present = password_of("fenna");
    for n in 1..=11 {
        change(&t, &fenna, &present, &good(n)).await.expect(200);
        present = good(n);
    }
    // Three resets, one of them used to set nothing.
    for _ in 0..3 {
        admin.post(&format!("/api/v1/users/{id}/reset-password"), &Value::Null).await.expect(200);
        present = t.mailed_password("fenna").await;
        fenna = t.login("fenna", &present).await;
    }
    for old in [password_of("fenna"), good(1), good(11)] {
        let response = change(&t, &fenna, &present, &old).await.expect(400);
        assert_eq!(response.faults(), ["/newPassword used-before"]);
    }
    // The mailed one itself has travelled in clear: it cannot become the permanent one.
    let response = change(&t, &fenna, &present, &present).await.expect(400);
    assert_eq!(response.faults(), ["/newPassword used-before"]);
    change(&t, &fenna, &present, &good(12)).await.expect(200);
    change(&t, &fenna, &good(12), &password_of("fenna")).await.expect(200);
}

#[tokio::test]
async fn no_more_is_stored_than_is_needed() {
    let t = T::start().await;
    let (id, fenna) = t.member("fenna").await;
    let mut present = password_of("fenna");
    for n in 1..=14 {
        change(&t, &fenna, &present, &good(n)).await.expect(200);
        present = good(n);
    }
    let user_id = tenantry_core::model::UserId(id);
    let (history, present) = t
        .app
        .store
        .scan(&system_within(PartnerId(1)), move |tx| {
            Ok((list_history(tx, user_id, 100)?, list_present(tx, user_id)?))
        })
        .await
        .unwrap();
    assert_eq!((history.len(), present.len()), (12, 1));
    assert!(history.iter().all(|p| p.hash.starts_with("$argon2id$") && !p.is_temporary));
    assert_eq!(history[0].password_id, present[0].password_id);
}

#[tokio::test]
async fn of_two_concurrent_changes_one_wins() {
    let t = T::start().await;
    let (_, fenna) = t.member("fenna").await;
    let one = t.login("fenna", &password_of("fenna")).await;
    let two = t.login("fenna", &password_of("fenna")).await;
    let (old, new) = (password_of("fenna"), [good(1), good(2)]);
    let (first, second) = tokio::join!(change(&t, &one, &old, &new[0]), change(&t, &two, &old, &new[1]));
    let statuses = (first.status.as_u16(), second.status.as_u16());
    // The loser's session ended with the winner's change, or the old password was wrong by then.
    let (winner, loser) = match statuses {
        (200, 400 | 401) => (0, 1),
        (400 | 401, 200) => (1, 0),
        _ => panic!("{statuses:?}"),
    };
    t.login("fenna", &new[winner]).await;
    t.try_login("fenna", &new[loser]).await.expect(400);
    fenna.get(SELF).await.expect(401);
}

#[tokio::test]
async fn the_owner_is_mailed_who_changed_it_without_secrets() {
    let t = T::start().await;
    let (_, fenna) = t.member("fenna").await;
    let before = t.mails_to("fenna@example.com").await.len();
    t.clock.advance(DAY / 24);
    change(&t, &fenna, &password_of("fenna"), &good(1)).await.expect(200);
    let mails = t.mails_to("fenna@example.com").await;
    assert_eq!(mails.len(), before + 1);
    let what = &mails.last().unwrap().content;
    assert_eq!(*what, tenantry_mail::EmailContent::PasswordChanged { username: String::from("fenna") });
    let text = serde_json::to_string(&mails.last().unwrap()).unwrap();
    assert!(!text.contains(&good(1)) && !text.contains(&password_of("fenna")));
}

#[tokio::test]
async fn events_of_changes_contain_no_secret() {
    let t = T::start().await;
    let (id, fenna) = t.member("fenna").await;
    change(&t, &fenna, &password_of("fenna"), &good(1)).await.expect(200);
    let events = t.admin().await.get("/api/v1/events?pageSize=1000").await.expect(200);
    let own: Vec<_> = events.list().iter().filter(|e| e["userId"] == id).map(|e| e["type"].clone()).collect();
    for kind in ["user.created", "password.issued", "session.started", "password.changed"] {
        assert!(own.contains(&json!(kind)), "{kind} is not among {own:?}");
    }
    for secret in [password_of("fenna"), good(1), ADMIN_PASSWORD.to_owned()] {
        assert!(!events.text.contains(&secret));
    }
    for hash in ["$argon2id$", "sha256$", "at_1_", "rt_1_", "at.1.", "rt.1."] {
        assert!(!events.text.contains(hash), "{hash} is in an event");
    }
}
