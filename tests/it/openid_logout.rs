//! The eleven checks of OpenID Connect RP-Initiated Logout 1.0, in our own words.

use serde_json::{Value, json};

use crate::harness::T;
use crate::relying_party::{RelyingParty, SIGNED_OUT, Tokens, forged};
use crate::visitor::{Page, Visitor};

/// Somebody who is signed in through a client.
struct SignedIn<'t> {
    client: RelyingParty<'t>,
    visitor: Visitor,
    tokens: Tokens,
}

impl<'t> SignedIn<'t> {
    async fn at(t: &'t T) -> Self {
        let client = RelyingParty::register(t).await;
        let visitor = Visitor::of(t);
        let code = client.admin_signs_in(&visitor, &[("scope", "openid email")]).await;
        let tokens = client.exchange(&code).await;
        Self { client, visitor, tokens }
    }

    /// Sends the person to sign out.
    async fn sign_out(&self, parameters: &[(&str, &str)]) -> Page {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        self.visitor.open(&format!("/oauth/logout?{query}")).await
    }

    /// Asserts that the person is signed out, and the client's access token with it (S8).
    async fn expect_signed_out(&self) {
        let page = self.client.send(&self.visitor, &[("prompt", "none")]).await;
        self.client.expect_error(&page, "login_required");
        self.client.t.bearer(&self.tokens.access).get("/oauth/userinfo").await.expect(401);
    }

    async fn expect_signed_in(&self) {
        self.client.comes_back(&self.visitor, &[("prompt", "none")]).await;
        self.client.userinfo(&self.tokens.access).await;
    }

    /// Asserts that the page asks, and that nothing ends before the person has answered. Then signs out.
    async fn is_asked(&self, page: Page) -> Page {
        let page = page.here(200);
        self.expect_signed_in().await;
        let page = self.visitor.submit(&page, &[]).await;
        self.expect_signed_out().await;
        page
    }
}

/// Asserts that a page is one of ours that says what is wrong, and leads nowhere.
#[track_caller]
fn refuses(page: Page) {
    let page = page.here(400);
    assert!(page.html.contains("<html lang="), "{}", page.html);
}

#[tokio::test]
async fn logout_is_in_the_configuration() {
    let t = T::start().await;
    let client = RelyingParty::register(&t).await;
    let endpoint = &client.discovery().await["end_session_endpoint"];
    assert_eq!(*endpoint, format!("{}/oauth/logout", t.app.config.public_url));
}

#[tokio::test]
async fn with_a_hint_the_person_is_signed_out_and_sent_back() {
    let t = T::start().await;
    let all = SignedIn::at(&t).await;
    let (hint, back) = (all.tokens.id_token.as_str(), SIGNED_OUT);
    let page = all
        .sign_out(&[("id_token_hint", hint), ("post_logout_redirect_uri", back), ("state", "a b/c=d")])
        .await;
    assert_eq!(page.status, 303);
    let url = page.elsewhere();
    assert!(url.as_str().starts_with(&format!("{SIGNED_OUT}?")), "{url}");
    let pairs: Vec<_> = url.query_pairs().into_owned().collect();
    assert_eq!(pairs, [(String::from("state"), String::from("a b/c=d"))]);
    all.expect_signed_out().await;
}

#[tokio::test]
async fn an_unregistered_post_logout_redirect_uri_is_not_followed() {
    let t = T::start().await;
    let all = SignedIn::at(&t).await;
    for uri in
        ["https://shop.example/foo", "https://evil.example/bye", "javascript:alert(1)", "//shop.example/bye"]
    {
        let hint = all.tokens.id_token.as_str();
        refuses(
            all.sign_out(&[("id_token_hint", hint), ("post_logout_redirect_uri", uri), ("state", "x")]).await,
        );
        all.expect_signed_in().await;
    }
}

#[tokio::test]
async fn a_hint_with_changed_claims_is_no_hint() {
    let t = T::start().await;
    let all = SignedIn::at(&t).await;
    let changed = forged(&all.tokens.id_token, |claims| claims["sub"] = json!("2"));
    for uri in [Some(SIGNED_OUT), None] {
        let mut parameters = vec![("id_token_hint", changed.as_str()), ("state", "x")];
        parameters.extend(uri.map(|uri| ("post_logout_redirect_uri", uri)));
        refuses(all.sign_out(&parameters).await);
        all.expect_signed_in().await;
    }
}

/// §2: a redirect needs a hint or another way to know whom it is for. Nobody vouches for the address here.
#[tokio::test]
async fn without_a_hint_or_client_id_an_address_is_not_followed() {
    let t = T::start().await;
    let all = SignedIn::at(&t).await;
    refuses(all.sign_out(&[("post_logout_redirect_uri", SIGNED_OUT), ("state", "x")]).await);
    all.expect_signed_in().await;
}

#[tokio::test]
async fn without_a_hint_client_id_vouches_for_the_address() {
    let t = T::start().await;
    let all = SignedIn::at(&t).await;
    let id = all.client.client_id.as_str();
    let page =
        all.sign_out(&[("client_id", id), ("post_logout_redirect_uri", SIGNED_OUT), ("state", "x")]).await;
    let page = all.is_asked(page).await;
    assert_eq!(page.elsewhere().as_str(), format!("{SIGNED_OUT}?state=x"));
    // §2: the client must be the one that the hint was issued to.
    let all = SignedIn::at(&t).await;
    let other = RelyingParty::register_with(&t, &json!({ "name": "other" })).await;
    let hint = all.tokens.id_token.as_str();
    refuses(all.sign_out(&[("id_token_hint", hint), ("client_id", &other.client_id)]).await);
    all.expect_signed_in().await;
}

#[tokio::test]
async fn without_parameters_the_person_is_asked() {
    let t = T::start().await;
    let all = SignedIn::at(&t).await;
    let page = all.sign_out(&[]).await;
    all.is_asked(page).await.here(200);
}

#[tokio::test]
async fn without_an_address_the_person_stays_on_the_page() {
    let t = T::start().await;
    let all = SignedIn::at(&t).await;
    all.sign_out(&[("id_token_hint", &all.tokens.id_token)]).await.here(200);
    all.expect_signed_out().await;
}

#[tokio::test]
async fn without_a_state_none_is_sent_back() {
    let t = T::start().await;
    let all = SignedIn::at(&t).await;
    let hint = all.tokens.id_token.as_str();
    let page = all.sign_out(&[("id_token_hint", hint), ("post_logout_redirect_uri", SIGNED_OUT)]).await;
    assert_eq!(page.elsewhere().as_str(), SIGNED_OUT);
    all.expect_signed_out().await;
}

#[tokio::test]
async fn with_only_a_state_the_person_is_asked() {
    let t = T::start().await;
    let all = SignedIn::at(&t).await;
    let page = all.sign_out(&[("state", "x")]).await;
    all.is_asked(page).await.here(200);
}

#[tokio::test]
async fn a_query_added_to_the_address_is_another_address() {
    let t = T::start().await;
    let all = SignedIn::at(&t).await;
    let hint = all.tokens.id_token.as_str();
    let added = format!("{SIGNED_OUT}?foo=bar");
    refuses(all.sign_out(&[("id_token_hint", hint), ("post_logout_redirect_uri", &added)]).await);
    all.expect_signed_in().await;
}

#[tokio::test]
async fn what_is_no_token_is_no_hint() {
    let t = T::start().await;
    let all = SignedIn::at(&t).await;
    for hint in ["x", "a.b.c", "eyJhbGciOiJub25lIn0.e30."] {
        refuses(all.sign_out(&[("id_token_hint", hint), ("post_logout_redirect_uri", SIGNED_OUT)]).await);
        all.expect_signed_in().await;
    }
}

/// An expired ID token is a good hint: people sign out of what they were signed in to yesterday.
#[tokio::test]
async fn an_expired_hint_is_good() {
    let t = T::start().await;
    let all = SignedIn::at(&t).await;
    t.clock.advance(3 * 60 * 60 * 1000);
    let hint = all.tokens.id_token.as_str();
    let page = all.sign_out(&[("id_token_hint", hint), ("post_logout_redirect_uri", SIGNED_OUT)]).await;
    assert_eq!(page.elsewhere().as_str(), SIGNED_OUT);
    all.expect_signed_out().await;
}

/// S8: a client that got `offline_access` keeps what it was given.
#[tokio::test]
async fn a_logout_leaves_offline_access() {
    let t = T::start().await;
    let client = RelyingParty::register(&t).await;
    let visitor = Visitor::of(&t);
    let code = client.admin_signs_in(&visitor, &[("scope", "openid offline_access")]).await;
    let offline = client.exchange(&code).await;
    let online = client.exchange(&client.comes_back(&visitor, &[]).await).await;
    let page = visitor.open(&format!("/oauth/logout?id_token_hint={}", online.id_token)).await;
    page.here(200);
    t.bearer(&online.access).get("/oauth/userinfo").await.expect(401);
    client.userinfo(&offline.access).await;
    let refresh = offline.refresh.unwrap();
    let answer: Value =
        client.token(&[("grant_type", "refresh_token"), ("refresh_token", &refresh)]).await.expect(200).body;
    client.userinfo(answer["access_token"].as_str().unwrap()).await;
}
