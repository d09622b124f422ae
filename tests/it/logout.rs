//! `/oauth/logout`: a client ends the session of a browser.

use reqwest::Method;

use crate::harness::{ADMIN_PASSWORD, T, password_of};
use crate::products::{AFTER_LOGOUT, Parameters, Product, set};
use tenantry_core::clock::HOUR;
use tenantry_domain::logouts;

fn query(parameters: &[(&str, &str)]) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    format!("/oauth/logout?{query}")
}

async fn is_signed_in(shop: &Product<'_>, cookie: &str) -> bool {
    let mut parameters = shop.parameters();
    set(&mut parameters, "prompt", "none");
    let answer = shop.authorize(cookie, &parameters).await;
    shop.t.secret(&answer.returned("code"));
    answer.returned("error").is_empty()
}

#[tokio::test]
async fn a_good_hint_signs_out_and_returns_to_the_client() {
    let t = T::start().await;
    let shop = Product::new(&t).await;
    let cookie = shop.sign_in("admin", ADMIN_PASSWORD).await;
    let kept = shop.tokens(&cookie, "openid offline_access").await;
    let bound = shop.tokens(&cookie, "openid").await;
    let hint = bound["id_token"].as_str().unwrap();
    // Even an expired one.
    t.clock.advance(2 * HOUR);
    let path =
        query(&[("id_token_hint", hint), ("post_logout_redirect_uri", AFTER_LOGOUT), ("state", "a&b")]);
    let answer = shop.get(&path, &cookie).await.expect(303);
    assert_eq!(answer.header("location"), format!("{AFTER_LOGOUT}?state=a%26b"));
    assert!(answer.header("set-cookie").contains("Max-Age=0"), "{}", answer.header("set-cookie"));
    assert!(!is_signed_in(&shop, &cookie).await);
    // Tokens end with the session, unless they are for use without it.
    shop.userinfo(bound["access_token"].as_str().unwrap()).await.expect(401);
    shop.userinfo(kept["access_token"].as_str().unwrap()).await.expect(200);
    shop.refresh(kept["refresh_token"].as_str().unwrap()).await.expect(200);
    // Once more: there is nothing to end.
    let answer = shop.get(&path, &cookie).await.expect(303);
    assert!(answer.header("location").starts_with(AFTER_LOGOUT));
    // Without a URI the browser stays here.
    let cookie = shop.sign_in("admin", ADMIN_PASSWORD).await;
    assert_eq!(shop.get(&query(&[("id_token_hint", hint)]), &cookie).await.expect(303).page(), "/signed-out");
    assert!(!is_signed_in(&shop, &cookie).await);
}

#[tokio::test]
async fn without_a_good_hint_the_person_is_asked() {
    let t = T::start().await;
    let shop = Product::new(&t).await;
    let cookie = shop.sign_in("admin", ADMIN_PASSWORD).await;
    t.member("mia").await;
    let mia = shop.sign_in("mia", &password_of("mia")).await;
    let hint = shop.tokens(&mia, "openid").await["id_token"].as_str().unwrap().to_owned();
    let client = shop.client.0.as_str();
    for parameters in [
        &[][..],
        &[("client_id", client)],
        &[("client_id", client), ("post_logout_redirect_uri", AFTER_LOGOUT), ("state", "s")],
        &[("id_token_hint", &hint), ("post_logout_redirect_uri", AFTER_LOGOUT), ("state", "s")],
        &[("logout_hint", "admin"), ("ui_locales", "nl"), ("unknown", "x")],
    ] {
        let answer = shop.get(&query(parameters), &cookie).await.expect(303);
        assert_eq!(answer.page(), "/sign-out", "{parameters:?}");
        let request = logouts::open(&t.app, &answer.returned("request")).unwrap();
        let returns = parameters.iter().any(|(name, _)| *name == "post_logout_redirect_uri");
        assert_eq!(request.location(), returns.then(|| format!("{AFTER_LOGOUT}?state=s")));
        assert!(is_signed_in(&shop, &cookie).await, "nothing has ended yet");
    }
    // The page says who asks, in the language that it asks for.
    for (language, words) in [("en", "Shop asks you to sign out."), ("it", "Shop ti chiede di uscire.")] {
        let asked = query(&[("client_id", client), ("ui_locales", language)]);
        let page = shop.get(&asked, &cookie).await.expect(303).header("location").to_owned();
        let page = shop.get(&page, &cookie).await.expect(200);
        assert!(
            page.text.contains(words) && page.text.contains(&format!("lang=\"{language}\"")),
            "{}",
            page.text
        );
    }
    // Nobody is signed in: nobody is asked.
    assert_eq!(shop.get("/oauth/logout", "").await.expect(303).page(), "/signed-out");
}

#[tokio::test]
async fn bad_logouts_are_shown_to_the_person_and_end_nothing() {
    let t = T::start().await;
    let shop = Product::new(&t).await;
    let other = Product::new(&t).await;
    let cookie = shop.sign_in("admin", ADMIN_PASSWORD).await;
    let hint = shop.tokens(&cookie, "openid").await["id_token"].as_str().unwrap().to_owned();
    let forged = format!("{}AAAA", &hint[..hint.len() - 4]);
    let (client, theirs) = (shop.client.0.as_str(), other.client.0.as_str());
    let long = "s".repeat(5_000);
    for (name, parameters) in [
        ("a forged hint", &[("id_token_hint", forged.as_str())][..]),
        ("no token", &[("id_token_hint", "nonsense")]),
        ("another client's hint", &[("id_token_hint", &hint), ("client_id", theirs)]),
        ("an unknown client", &[("client_id", "cl_1_unknown")]),
        ("a URI without a client", &[("post_logout_redirect_uri", AFTER_LOGOUT)]),
        (
            "a URI that is not registered",
            &[("id_token_hint", &hint), ("post_logout_redirect_uri", "https://evil.example/")],
        ),
        (
            "a URI with one more slash",
            &[("client_id", client), ("post_logout_redirect_uri", "https://shop.example/bye/")],
        ),
        (
            "a redirect URI",
            &[("client_id", client), ("post_logout_redirect_uri", "https://shop.example/callback")],
        ),
        ("a parameter twice", &[("state", "a"), ("state", "b")]),
        ("a long state", &[("client_id", client), ("state", &long)]),
    ] {
        let answer = shop.get(&query(parameters), &cookie).await;
        assert_eq!(answer.status.as_u16(), 400, "{name}");
        assert_eq!(answer.header("location"), "", "{name}");
        assert!(is_signed_in(&shop, &cookie).await, "{name}");
    }
}

#[tokio::test]
async fn a_post_becomes_the_same_request_by_get() {
    let t = T::start().await;
    let shop = Product::new(&t).await;
    let cookie = shop.sign_in("admin", ADMIN_PASSWORD).await;
    let hint = shop.tokens(&cookie, "openid").await["id_token"].as_str().unwrap().to_owned();
    let form: Parameters =
        [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", AFTER_LOGOUT), ("x", "y")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
    let answer = shop.send(Method::POST, "/oauth/logout", "", &form).await.expect(303);
    assert_eq!(answer.page(), "/oauth/logout");
    assert!(is_signed_in(&shop, &cookie).await, "a form of another site has no cookie");
    let answer = shop.get(answer.header("location"), &cookie).await.expect(303);
    assert_eq!(answer.header("location"), AFTER_LOGOUT);
    assert!(!is_signed_in(&shop, &cookie).await);
}
