//! What people and other programs send to the pages of a sign-in: each has a page that says what to do, and nothing is changed.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use tenantry_core::clock::{HOUR, MINUTE};
use tenantry_core::model::PartnerId;
use tenantry_domain::client_changes;
use tenantry_domain::unit;
use tenantry_store::access::Operator;

use crate::harness::{ADMIN_PASSWORD, T, password_of};
use crate::page_visitor::number;
use crate::products::{AFTER_LOGOUT, Product, set};

/// A sealed request of the shop.
async fn sealed(shop: &Product<'_>) -> String {
    shop.authorize("", &shop.parameters()).await.expect(303).returned("request")
}

/// A sealed logout of the shop, whose person is asked.
async fn sealed_logout(shop: &Product<'_>, cookie: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("client_id", shop.client.0.as_str()), ("post_logout_redirect_uri", AFTER_LOGOUT)])
        .finish();
    shop.get(&format!("/oauth/logout?{query}"), cookie).await.expect(303).returned("request")
}

fn changed(sealed: &str, at: usize) -> String {
    let mut bytes = sealed.as_bytes().to_vec();
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    String::from_utf8(bytes).unwrap()
}

fn codes(t: &T) -> i64 {
    number(t, "SELECT count(*) FROM authorization_codes")
}

#[tokio::test]
async fn a_request_that_was_not_sealed_here_or_is_too_old_leads_no_application_on() {
    let (t, elsewhere) = (T::start().await, T::start().await);
    let (shop, other) = (Product::new(&t).await, Product::new(&elsewhere).await);
    t.member("fenna").await;
    let signed_in = shop.sign_in("fenna", &password_of("fenna")).await;
    let good = sealed(&shop).await;
    let old = good.clone();
    t.clock.advance(HOUR);
    let good_again = sealed(&shop).await;
    let logout = sealed_logout(&shop, &signed_in).await;
    let bad = [
        ("another deployment's", sealed(&other).await),
        ("expired", old),
        ("changed in front", changed(&good_again, 0)),
        ("changed in the middle", changed(&good_again, good_again.len() / 2)),
        ("changed at its end", changed(&good_again, good_again.len() - 1)),
        ("cut off", good_again[..good_again.len() - 4].to_owned()),
        ("continued", format!("{good_again}AAAA")),
        ("a sealed logout", logout),
        ("no base64", String::from("%3Cscript%3E")),
        ("empty", String::new()),
        ("long", "A".repeat(6_000)),
    ];
    let expired = "This sign-in has expired";
    for (what, request) in &bad {
        // Whoever is signed in goes on: to a page that says what to do.
        for page in ["/oauth/authorize/continue", "/consent"] {
            let mut browser = t.signed_in("fenna", &password_of("fenna")).await;
            let shown = browser.get(&format!("{page}?request={request}")).await.expect(400);
            assert!(
                shown.says(expired) && shown.says("Go back to the application"),
                "{what}: {}",
                shown.text
            );
            assert!(shown.header("content-security-policy").ends_with("form-action 'self'"), "{what}");
        }
        // Whoever signs in with it is signed in, and then told.
        let mut browser = t.browser();
        let page = browser.get(&format!("/sign-in?request={request}")).await.expect(200);
        assert!(page.header("content-security-policy").ends_with("form-action 'self'"), "{what}");
        assert!(!page.says("Shop"), "{what}: it names no application");
        let form = [("username", "fenna"), ("password", &*password_of("fenna"))];
        let shown = browser.submit(&page, &form).await.expect(303);
        assert!(shown.header("location").starts_with('/'), "{what}: {}", shown.header("location"));
        if shown.header("location").starts_with("/oauth/") {
            let shown = browser.follow(shown).await.expect(400);
            assert!(shown.says(expired), "{what}: {}", shown.text);
        }
        browser.get("/account").await.expect(200);
        // So is whoever chooses the account.
        let page = browser.get(&format!("/choose-account?request={request}")).await.expect(200);
        let shown = browser.submit(&page, &[]).await.expect(303);
        assert!(shown.header("location").starts_with('/'), "{what}: {}", shown.header("location"));
        // And a logout with it ends here.
        let page = browser.get(&format!("/sign-out?request={request}")).await.expect(200);
        if *what != "a sealed logout" {
            assert!(page.header("content-security-policy").ends_with("form-action 'self'"), "{what}");
            browser.submit(&page, &[]).await.expect_to("/signed-out");
        }
        assert_eq!(codes(&t), 0, "{what}");
    }
    // A request is no logout either.
    let mut browser = t.signed_in("fenna", &password_of("fenna")).await;
    let page = browser.get(&format!("/sign-out?request={good_again}")).await.expect(200);
    browser.submit(&page, &[]).await.expect_to("/signed-out");
    // The good one is good.
    let shown =
        shop.get(&format!("/oauth/authorize/continue?request={good_again}"), &signed_in).await.expect(303);
    t.secret(&shown.returned("code"));
    shop.exchange(&shown.returned("code")).await.expect(200);
}

/// The client or its redirect URI is gone while the person signs in.
#[tokio::test]
async fn a_request_whose_client_has_changed_meanwhile_is_shown_to_the_person() {
    let t = T::start().await;
    let cookie = Product::new(&t).await.sign_in("admin", ADMIN_PASSWORD).await;
    let admin = t.admin().await;
    for what in ["redirect URI", "revoked", "scopes"] {
        let shop = Product::new(&t).await;
        let path = format!("/oauth/authorize/continue?request={}", sealed(&shop).await);
        let client = format!("/api/v1/clients/{}", shop.client.0);
        match what {
            "redirect URI" => {
                let change = serde_json::json!({ "redirectUris": ["https://shop.example/other"] });
                admin.patch(&client, &change).await.expect(200);
            }
            "revoked" => {
                let (by, id) = (Operator::of_this_machine().as_admin_of(PartnerId(1)), shop.client.0.clone());
                unit::write(&t.app.store, &by, move |tx| client_changes::revoke(tx, &id)).await.unwrap();
            }
            _ => {
                let change = serde_json::json!({ "scopes": ["read", "write"] });
                admin.patch(&client, &change).await.expect(200);
            }
        }
        let answer = shop.get(&path, &cookie).await;
        match what {
            // The client itself can be told.
            "scopes" => assert_eq!(answer.expect(303).returned("error"), "invalid_scope"),
            _ => {
                let answer = answer.expect(400);
                assert_eq!(answer.header("location"), "", "{what}");
                assert!(answer.text.contains("<h1>"), "{what}: {}", answer.text);
            }
        }
        assert_eq!(codes(&t), 0, "{what}");
    }
}

/// A megabyte, in the address and in a form: refused before anything is parsed, and the server goes on.
#[tokio::test]
async fn a_state_of_a_megabyte_is_refused() {
    let t = T::start().await;
    let shop = Product::new(&t).await;
    let cookie = shop.sign_in("admin", ADMIN_PASSWORD).await;
    let mut parameters = shop.parameters();
    set(&mut parameters, "state", &"s".repeat(1_000_000));
    for path in ["/oauth/authorize", "/oauth/logout"] {
        let answer = shop.send(reqwest::Method::POST, path, &cookie, &parameters).await.expect(413);
        assert!(answer.header("content-type").starts_with("text/html"), "{path}");
    }
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&parameters).finish();
    for path in ["/oauth/authorize", "/oauth/logout", "/sign-in"] {
        let mut stream = TcpStream::connect(t.address).await.unwrap();
        let head = format!("GET {path}?{query} HTTP/1.1\r\nhost: localhost\r\ncookie: {cookie}\r\n\r\n");
        // It may close before it has read everything.
        let _ = stream.write_all(head.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        let status = answer.get(9..12).unwrap_or_default();
        assert!(["", "431", "414"].contains(&status), "{path}: {answer}");
        shop.get("/account", &cookie).await.expect(200);
    }
    // One that fits into the address and is longer than a state may be goes back to the client, which is told why.
    set(&mut parameters, "state", &"s".repeat(10_000));
    let answer = shop.authorize(&cookie, &parameters).await.expect(303);
    assert_eq!(
        (answer.returned("error").as_str(), answer.returned("state").as_str()),
        ("invalid_request", "")
    );
    assert!(answer.returned("error_description").contains("state"), "{}", answer.header("location"));
    assert_eq!(codes(&t), 0);
}

/// Pages take what they know, and ignore the rest, as browsers and proxies add to addresses.
#[tokio::test]
async fn strange_addresses_of_pages_do_no_harm() {
    let t = T::start().await;
    let mut fenna = {
        t.member("fenna").await;
        t.signed_in("fenna", &password_of("fenna")).await
    };
    for query in [
        "?",
        "?&&",
        "?request",
        "?next=%00",
        "?next=%FF%FE",
        "?next=/%0d%0aset-cookie:x=y",
        "?language=xx",
        "?language=en&language=nl",
        "?sent=1&sent=2",
        "?done=%3Cscript%3E",
        "?next=javascript:alert(1)",
        "?next=/\\evil.example",
        "?next=///evil.example",
        "?next=https:evil.example",
        "?request=a&request=b",
        "?utm_source=mail&fbclid=x",
    ] {
        for path in [
            "/sign-in",
            "/sign-out",
            "/signed-out",
            "/set-password",
            "/choose-account",
            "/forgot-password",
            "/forgot-username",
            "/verify-email",
            "/consent",
            "/account",
            "/account/sessions",
            "/oauth/authorize",
            "/oauth/authorize/continue",
            "/oauth/logout",
        ] {
            for browser in [&mut t.browser(), &mut fenna] {
                let shown = browser.get(&format!("{path}{query}")).await;
                let status = shown.status.as_u16();
                assert!([200, 303, 400].contains(&status), "{path}{query}: {status} {}", shown.text);
                let location = shown.header("location");
                assert!(location.is_empty() || location.starts_with('/'), "{path}{query}: {location}");
                assert!(!location.starts_with("//") && !location.contains('\\'), "{path}{query}: {location}");
                assert!(!shown.text.contains("<script>"), "{path}{query}");
            }
        }
    }
    // A minute later nothing has happened.
    t.clock.advance(MINUTE);
    fenna.get("/account").await.expect(200);
    assert_eq!((codes(&t), number(&t, "SELECT count(*) FROM browser_sessions")), (0, 1));
}
