//! A form that is sent twice at once, as by a double click: it is done once, and whoever sees the second answer, which is the one
//! that a browser shows, is where the form leads or reads what to do.

use tenantry_core::clients::ClientKind;
use tenantry_domain::client_changes::ClientChange;

use crate::concurrency::together;
use crate::harness::{T, password_of};
use crate::page_visitor::{PageVisitor, Shown, number};
use crate::products::{Product, settings};

const NEW: &str = "Zy9.Saucer-Quilt-4x";

/// Opens a page and sends its form twice at once, by the same browser. Each answer with the browser that has seen it alone, then
/// the browser that has seen both.
async fn twice<'t>(
    browser: &PageVisitor<'t>,
    page: &str,
    fields: &[(&str, &str)],
) -> [(PageVisitor<'t>, Shown); 2] {
    let mut browser = browser.clone();
    let page = browser.get(page).await.expect(200);
    let sent = (0..2).map(|_| {
        let (mut browser, page) = (browser.clone(), &page);
        async move {
            let answer = browser.submit(page, fields).await;
            (browser, answer)
        }
    });
    let Ok(both) = <[_; 2]>::try_from(together(sent).await) else { panic!() };
    both
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_that_is_sent_twice_at_once_signs_in() {
    let t = T::start().await;
    t.member("fenna").await;
    let password = password_of("fenna");
    for _ in 0..5 {
        let both = twice(&t.browser(), "/sign-in", &[("username", "fenna"), ("password", &password)]).await;
        for (mut browser, answer) in both {
            answer.expect_to("/account");
            browser.get("/account").await.expect(200);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_password_that_is_sent_twice_at_once_is_set_once() {
    let t = T::start().await;
    t.secret(NEW);
    for round in 0..8 {
        let name = format!("fenna{round}");
        let id = t.admin().await.create(&name).await["userId"].as_i64().unwrap();
        let temporary = t.mailed_password(&name).await;
        let mut browser = t.browser();
        browser.sign_in(&name, &temporary).await.expect_to("/set-password");
        let both = twice(&browser, "/set-password", &[("newPassword", NEW)]).await;
        // One of the cookies is good.
        let mut is_in = 0;
        for (mut browser, answer) in both {
            match answer.status.as_u16() {
                303 => answer.expect_to("/account"),
                // The first one was done before the second was looked at, which still had the old cookie.
                403 => assert!(answer.says("Your session has ended"), "{}", answer.text),
                other => panic!("{other}: {}", answer.text),
            }
            is_in += usize::from(browser.get("/account").await.status == 200);
        }
        assert!(is_in >= 1, "{name} is signed out");
        let changed = "SELECT count(*) FROM events WHERE kind = 'password.changed' AND user_id";
        assert_eq!(number(&t, &format!("{changed} = {id}")), 1, "once");
        assert_eq!(number(&t, &format!("SELECT failed_logins FROM users WHERE user_id = {id}")), 0);
        t.login(&name, NEW).await;
    }
}

/// Two windows of one browser, with two passwords: one is set, and neither window shows an error that explains nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_first_passwords_at_once_one_is_set() {
    let t = T::start().await;
    let news = [NEW, "Qx7.Kettle-Zebra-9v"];
    for round in 0..8 {
        let name = format!("fenna{round}");
        t.admin().await.create(&name).await;
        let temporary = t.mailed_password(&name).await;
        let mut browser = t.browser();
        browser.sign_in(&name, &temporary).await.expect_to("/set-password");
        let page = browser.get("/set-password").await.expect(200);
        let sent = news.map(|new| {
            t.secret(new);
            let (mut browser, page) = (browser.clone(), &page);
            async move { browser.submit(page, &[("newPassword", new)]).await }
        });
        for answer in together(sent).await {
            match answer.status.as_u16() {
                303 => answer.expect_to("/account"),
                // The first one was done before the second was looked at.
                403 => assert!(answer.says("Your session has ended"), "{}", answer.text),
                other => panic!("{other}: {}", answer.text),
            }
        }
        let mut good = 0;
        for new in news {
            good += usize::from(t.try_login(&name, new).await.status == 200);
        }
        assert_eq!(good, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_forms_that_are_sent_twice_at_once_are_done_once() {
    let t = T::start().await;
    let (id, _) = t.member("fenna").await;
    let shop = ClientChange { needs_consent: Some(true), ..settings() };
    let shop = Product::with(&t, ClientKind::Confidential, shop).await;
    let mut fenna = t.signed_in("fenna", &password_of("fenna")).await;
    let cookie = format!("tenantry={}", fenna.session_cookie().unwrap());
    let asked = shop.authorize(&cookie, &shop.parameters()).await.expect(303);
    let consent = asked.header("location").to_owned();
    let events = |kind: &str| number(&t, &format!("SELECT count(*) FROM events WHERE kind = '{kind}'"));

    for (_, answer) in twice(&fenna, &consent, &[("decision", "allow")]).await {
        assert!(answer.header("location").starts_with("/oauth/authorize/continue?"), "{}", answer.text);
        let back = shop.get(answer.header("location"), &cookie).await.expect(303);
        t.secret(&back.returned("code"));
        shop.exchange(&back.returned("code")).await.expect(200);
    }
    assert_eq!((events("consent.granted"), number(&t, "SELECT count(*) FROM consents")), (1, 1));

    let updated = events("user.updated");
    for (_, answer) in twice(&fenna, "/account", &[("title", "Captain")]).await {
        answer.expect_to("/account?done=saved");
    }
    assert_eq!(events("user.updated") - updated, 1);

    for (_, answer) in twice(&fenna, "/account/sessions", &[("end", "others")]).await {
        answer.expect_to("/account/sessions?done=others");
    }
    fenna.get("/account").await.expect(200);

    let withdraw = [("withdraw", shop.client.0.as_str())];
    let mut answers: Vec<_> = twice(&fenna, "/account/applications", &withdraw)
        .await
        .into_iter()
        .map(|(_, answer)| answer)
        .collect();
    answers.sort_by_key(|answer| answer.status);
    answers[0].expect_to("/account/applications?done=withdrawn");
    if answers[1].status != 303 {
        assert_eq!(answers[1].status, 404);
        assert!(answers[1].says("not connected any more"), "{}", answers[1].text);
    }
    assert_eq!((events("consent.withdrawn"), number(&t, "SELECT count(*) FROM consents")), (1, 0));

    // Sent with the old password once more: it is the wrong one by now, which the page says. That is one failure, no lock.
    t.secret(NEW);
    let change = [("oldPassword", &*password_of("fenna")), ("newPassword", NEW)];
    let changed = events("password.changed");
    let mut browsers = Vec::new();
    for (browser, answer) in twice(&fenna, "/account/password", &change).await {
        match answer.status.as_u16() {
            // The first one was done before the second was looked at, which still had the old cookie.
            303 if answer.header("location").starts_with("/sign-in") => {}
            303 => browsers.push(browser),
            400 => assert!(answer.says("not your current password"), "{}", answer.text),
            403 => assert!(answer.says("Your session has ended"), "{}", answer.text),
            other => panic!("{other}: {}", answer.text),
        }
    }
    assert_eq!((browsers.len(), events("password.changed") - changed), (1, 1));
    assert!(number(&t, &format!("SELECT failed_logins FROM users WHERE user_id = {id}")) <= 1);
    let mut fenna = browsers.remove(0);
    fenna.get("/account").await.expect(200);

    for (mut browser, answer) in twice(&fenna, "/sign-out", &[]).await {
        answer.expect_to("/signed-out");
        assert_eq!(browser.session_cookie(), None);
        browser.get("/account").await.expect_to("/sign-in");
    }
    assert_eq!(events("user.signed_out"), 1);
    let waiting = || number(&t, "SELECT count(*) FROM password_requests");
    for (_, answer) in twice(&t.browser(), "/forgot-password", &[("who", "fenna")]).await {
        answer.expect_to("/forgot-password?sent=1");
    }
    assert_eq!(waiting(), 2);
    let mails = t.mails().await.len();
    assert_eq!((waiting(), t.mails().await.len()), (0, mails));
}
