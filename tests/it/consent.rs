//! The page on which people allow an application to learn about them, and the page on which they withdraw that.

use tenantry_core::clients::ClientKind;
use tenantry_core::clock::{HOUR, MINUTE};
use tenantry_core::model::PartnerId;
use tenantry_domain::client_changes::{self, ClientChange, NewClient};
use tenantry_domain::unit;
use tenantry_store::access::Operator;

use crate::harness::{T, TestResponse};
use crate::tabs::{Tab, unescaped};

const REDIRECT: &str = "https://shop.example/cb";
const APPLICATIONS: &str = "/account/applications";

fn settings(name: &str) -> ClientChange {
    ClientChange {
        name: Some(name.to_owned()),
        redirect_uris: Some(vec![REDIRECT.to_owned()]),
        ..ClientChange::default()
    }
}

/// An application of partner 1; its client id.
async fn shop(t: &T, name: &str) -> String {
    t.new_client(1, NewClient { kind: ClientKind::Public, settings: settings(name) }).await.0
}

/// The path of an authorization request.
fn authorize(client_id: &str, scope: &str, more: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs([
        ("client_id", client_id),
        ("redirect_uri", REDIRECT),
        ("response_type", "code"),
        ("scope", scope),
        ("state", "s-1"),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
    ]);
    query.extend_pairs(more);
    format!("/oauth/authorize?{}", query.finish())
}

/// Where an answer leads.
fn location(answer: &TestResponse) -> String {
    assert_eq!(answer.status, 303, "{}", answer.text);
    answer.header("location").to_owned()
}

/// Sends a request of an application that leads to the consent page; its path.
async fn asked(tab: &Tab<'_>, path: &str) -> String {
    let page = location(&tab.get(path).await);
    assert!(page.starts_with("/consent?request="), "{page}");
    page
}

/// Presses a button of the consent page; where it leads in the end.
async fn decide(tab: &Tab<'_>, page: &str, decision: &str) -> String {
    let on = location(&tab.submit(page, &[("decision", decision)]).await);
    assert!(on.starts_with("/oauth/authorize/continue?request="), "{on}");
    location(&tab.get(&on).await)
}

#[tokio::test]
async fn a_person_is_asked_once_and_goes_back_with_a_code() {
    let t = T::start().await;
    t.member("fenna").await;
    let client_id = shop(&t, "Shop <1>").await;
    let tab = t.tab_of("fenna").await;
    let page = asked(&tab, &authorize(&client_id, "openid email offline_access", &[])).await;
    let answer =
        tab.get(&page).await.expect(200).says("Connect Shop <1>?").says("You are signed in as fenna.");
    let answer =
        answer.says("Your e-mail address").says("while you are not signed in").hides("Your phone number");
    assert!(!answer.text.contains("Shop <1>"), "{}", answer.text);
    for technical in ["offline_access", "openid", client_id.as_str()] {
        let shown: String = answer.text.split('<').filter_map(|part| Some(part.split_once('>')?.1)).collect();
        assert!(!unescaped(&shown).contains(technical), "{technical}");
    }
    // The first button is the one that goes on, and the browser may follow it to the application.
    let buttons: Vec<&str> = answer.text.split("name=\"decision\" value=\"").skip(1).collect();
    assert!(buttons[0].starts_with("allow") && buttons[1].starts_with("deny"));
    assert!(answer.header("content-security-policy").ends_with("form-action 'self' https://shop.example"));
    let back = decide(&tab, &page, "allow").await;
    assert!(back.starts_with(REDIRECT) && back.contains("code=") && back.contains("state=s-1"), "{back}");
    // Not again for the same or less.
    for scope in ["openid email offline_access", "openid email"] {
        let back = location(&tab.get(&authorize(&client_id, scope, &[])).await);
        assert!(back.starts_with(REDIRECT) && back.contains("code="), "{back}");
    }
    // But for more, and if the application wants it.
    asked(&tab, &authorize(&client_id, "openid phone", &[])).await;
    asked(&tab, &authorize(&client_id, "openid", &[("prompt", "consent")])).await;
    // Sent twice: it is allowed all the same.
    let back = decide(&tab, &page, "allow").await;
    assert!(back.contains("code="), "{back}");
    let events = t.admin().await.get("/api/v1/events?type=consent.granted").await.expect(200);
    assert_eq!(events.list().len(), 1);
}

#[tokio::test]
async fn a_refused_consent_returns_access_denied() {
    let t = T::start().await;
    t.member("fenna").await;
    let client_id = shop(&t, "Shop").await;
    let tab = t.tab_of("fenna").await;
    let page = asked(&tab, &authorize(&client_id, "openid email", &[])).await;
    let back = decide(&tab, &page, "deny").await;
    assert!(back.starts_with(REDIRECT) && back.contains("error=access_denied"), "{back}");
    assert!(back.contains("state=s-1") && back.contains("iss="), "{back}");
    tab.get(APPLICATIONS).await.expect(200).says("You have not connected any application.");
    // It is no answer for the next time.
    asked(&tab, &authorize(&client_id, "openid email", &[])).await;
    tab.submit(&page, &[("decision", "")]).await.expect(400);
}

#[tokio::test]
async fn the_page_is_for_whoever_is_signed_in() {
    let t = T::start().await;
    t.member("fenna").await;
    let client_id = shop(&t, "Shop").await;
    let tab = t.tab_of("fenna").await;
    let page = asked(&tab, &authorize(&client_id, "openid", &[])).await;
    let request = page.strip_prefix("/consent").unwrap();
    // Nobody signs in first, and is then asked; the decision of another session does not count.
    t.tab().get(&page).await.to(&format!("/sign-in{request}"));
    t.tab().post(&page, &[("decision", "allow")]).await.expect(403);
    t.admin().await.create("new").await;
    let password = t.mailed_password("new").await;
    let new = t.tab();
    new.sign_in("new", &password).await.to("/set-password");
    new.get(&page).await.to(&format!("/set-password{request}"));
    t.member("ina").await;
    let on = location(&tab.submit(&page, &[("decision", "allow")]).await);
    let other = t.tab_of("ina").await;
    let asked_again = location(&other.get(&on).await);
    assert!(asked_again.starts_with("/consent?request="), "{asked_again}");
    let foreign = other.token(&page).await;
    tab.post(&page, &[("decision", "allow"), ("token", &foreign)]).await.expect(400);
}

#[tokio::test]
async fn a_request_that_is_not_ours_or_too_old_is_an_error() {
    let t = T::start().await;
    t.member("fenna").await;
    let client_id = shop(&t, "Shop").await;
    let tab = t.tab_of("fenna").await;
    let page = asked(&tab, &authorize(&client_id, "openid", &[])).await;
    for bad in ["/consent", "/consent?request=", "/consent?request=x", &format!("{page}A")] {
        tab.get(bad).await.expect(400).says("This sign-in has expired");
        let token = tab.token("/account").await;
        tab.post(bad, &[("decision", "allow"), ("token", &token)]).await.expect(400);
    }
    let by = Operator::of_this_machine().as_admin_of(PartnerId(1));
    unit::write(&t.app.store, &by, move |tx| client_changes::revoke(tx, &client_id)).await.unwrap();
    tab.get(&page).await.expect(400).says("Unknown application");
    t.clock.advance(HOUR);
    tab.get(&page).await.expect(400).says("This sign-in has expired");
    tab.get(APPLICATIONS).await.expect(200).says("You have not connected any application.");
}

#[tokio::test]
async fn a_product_client_needs_no_consent() {
    let t = T::start().await;
    t.member("fenna").await;
    let (_, other) = t.other_partner("acme").await;
    other.get("/api/v1/users/self").await.expect(200);
    let new = NewClient { kind: ClientKind::Public, settings: settings("Product") };
    let (client_id, _) = t.product_client(new).await;
    let tab = t.tab_of("fenna").await;
    let back = location(&tab.get(&authorize(&client_id, "openid email", &[])).await);
    assert!(back.starts_with(REDIRECT) && back.contains("code="), "{back}");
    tab.get(APPLICATIONS).await.expect(200).says("You have not connected any application.");
}

#[tokio::test]
async fn a_connected_application_is_listed_and_disconnected() {
    let t = T::start().await;
    t.member("fenna").await;
    t.member("ina").await;
    let (shop_id, blog_id) = (shop(&t, "Shop").await, shop(&t, "Blog").await);
    let (tab, other) = (t.tab_of("fenna").await, t.tab_of("ina").await);
    for (tab, client_id) in [(&tab, &shop_id), (&tab, &blog_id), (&other, &shop_id)] {
        let page = asked(tab, &authorize(client_id, "openid email", &[])).await;
        decide(tab, &page, "allow").await;
        t.clock.advance(MINUTE);
    }
    let page = tab.get(APPLICATIONS).await.expect(200).says("Shop").says("Blog").says("Your e-mail address");
    page.says("Connected since 2026-11-23 09:00 UTC").says("Disconnect Shop");
    tab.submit(APPLICATIONS, &[("withdraw", &shop_id)]).await.to("/account/applications?done=withdrawn");
    let page = tab.get("/account/applications?done=withdrawn").await.expect(200);
    page.says("The application is disconnected.").says("Blog").hides("Disconnect Shop");
    // It has to ask again; the other's stays.
    asked(&tab, &authorize(&shop_id, "openid email", &[])).await;
    let back = location(&other.get(&authorize(&shop_id, "openid email", &[])).await);
    assert!(back.contains("code="), "{back}");
    for unknown in [shop_id.as_str(), "", "nobody"] {
        let answer = tab.submit(APPLICATIONS, &[("withdraw", unknown)]).await.expect(404);
        answer.says("This application is not connected any more.").says("Blog");
    }
    let events = t.admin().await.get("/api/v1/events?type=consent.withdrawn").await.expect(200);
    assert_eq!(events.list().len(), 1);
}
