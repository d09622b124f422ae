//! Second factors in the console: who must add or give one first.

use crate::authenticators::started;
use crate::harness::{ADMIN_PASSWORD, new_user};
use crate::tabs::value_of;
use serde_json::json;
use tenantry_core::clock::DAY;

#[tokio::test]
async fn an_admin_with_a_second_factor_gives_it_before_making_another_admin() {
    let t = started().await;
    let mut console = t.console().await;
    let (admin, (id, _)) = (t.admin().await, t.member("fenna").await);
    t.add_authenticator(&admin).await;
    let path = "/console/users/new";
    let form = console.get(path).await;
    let fields = [
        ("username", "grace"),
        ("firstName", "Grace"),
        ("lastName", "Hopper"),
        ("email", "grace@example.com"),
        ("isAdmin", "true"),
    ];
    let strong = "/second-factor?next=%2Fconsole%2Fusers%2Fnew";
    assert_eq!(console.submit(&form, &fields).await.header("location"), strong);
    admin.get("/api/v1/users/?search=grace").await.expect(200).says("[]");
    let made = console.submit(&form, &fields[..4]).await;
    assert!(made.header("location").ends_with("?done=created"), "{}", made.header("location"));
    // The same for a user who is there.
    let path = format!("/console/users/{id}");
    let shown = console.get(&path).await;
    let (token, tag) = (value_of(&shown.text, "token").unwrap(), value_of(&shown.text, "tag").unwrap());
    let mut body = new_user("fenna");
    body["displayName"] = json!("Fenna");
    let save = |is_admin: bool| {
        let mut form = vec![("token", token.clone()), ("tag", tag.clone()), ("do", String::from("save"))];
        for name in ["username", "firstName", "lastName", "email", "displayName"] {
            form.push((name, body[name].as_str().unwrap().to_owned()));
        }
        form.extend(is_admin.then(|| ("isAdmin", String::from("true"))));
        (path.clone(), form.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    };
    let refused = console.submit_form(save(true), &[]).await;
    assert_eq!(refused.header("location"), format!("/second-factor?next=%2Fconsole%2Fusers%2F{id}"));
    assert_eq!(admin.get(&format!("/api/v1/users/{id}")).await.body["displayName"], json!(null));
    let saved = console.submit_form(save(false), &[]).await;
    assert!(saved.header("location").ends_with("?done=saved"), "{} {}", saved.status, saved.text);
}

#[tokio::test]
async fn an_admin_who_has_to_add_a_factor_adds_it_before_the_console() {
    let t = started().await;
    let admin = t.admin().await;
    admin.patch("/api/v1/policy", &json!({ "secondFactor": "admins" })).await.expect(200);
    t.clock.advance(7 * DAY);
    let mut console = t.signed_in("admin", ADMIN_PASSWORD).await;
    for path in ["/console", "/console/users", "/console/users/2/history"] {
        let led = console.get(path).await;
        assert!(led.header("location").starts_with("/second-factor/add?next=%2Fconsole"), "{path}");
    }
}
