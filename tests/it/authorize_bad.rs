//! Bad authorization and token requests, each with the answer that it must get. None of them gives a code or a token.

use reqwest::Method;

use crate::harness::{ADMIN_PASSWORD, T};
use crate::jar::unescape;
use crate::products::{CHALLENGE, Parameters, Product, REDIRECT_URI, VERIFIER, set, settings};
use tenantry_core::clients::ClientKind;
use tenantry_core::scopes::TokenScopes;
use tenantry_domain::client_changes::ClientChange;

/// What a change does to a good request: a parameter with another value, without one (`-`), or once more (`+`).
type Change<'a> = (&'a str, &'a str);

fn changed(product: &Product<'_>, changes: &[Change<'_>]) -> Parameters {
    let mut parameters = product.parameters();
    for (name, value) in changes {
        match name.split_at(1) {
            ("-", name) => parameters.retain(|(known, _)| known != name),
            ("+", name) => parameters.push((name.to_owned(), (*value).to_owned())),
            _ => set(&mut parameters, name, value),
        }
    }
    parameters
}

/// Requests whose client or redirect URI is invalid: a page with 400, never a redirect.
const PAGES: [(&str, &[Change<'_>]); 27] = [
    ("no client", &[("-client_id", "")]),
    ("an empty client", &[("client_id", "")]),
    ("an unknown client", &[("client_id", "cl_1_unknown")]),
    ("a client of an unknown partner", &[("client_id", "cl_999_unknown")]),
    ("an unknown product client", &[("client_id", "cl_0_unknown")]),
    ("the built-in client", &[("client_id", "tenantry")]),
    ("no client id", &[("client_id", "nonsense")]),
    ("a client with U+0000", &[("client_id", "cl_1_a\0b")]),
    ("the client twice", &[("+client_id", "cl_1_other")]),
    ("no redirect URI", &[("-redirect_uri", "")]),
    ("an empty redirect URI", &[("redirect_uri", "")]),
    ("the redirect URI twice", &[("+redirect_uri", "https://evil.example/")]),
    ("another host", &[("redirect_uri", "https://evil.example/callback")]),
    ("a longer host", &[("redirect_uri", "https://shop.example.evil.example/callback")]),
    ("a host that ends alike", &[("redirect_uri", "https://evilshop.example/callback")]),
    ("user info", &[("redirect_uri", "https://shop.example@evil.example/callback")]),
    ("user info of the same host", &[("redirect_uri", "https://user@shop.example/callback")]),
    ("another port", &[("redirect_uri", "https://shop.example:8443/callback")]),
    ("the default port", &[("redirect_uri", "https://shop.example:443/callback")]),
    ("another scheme", &[("redirect_uri", "http://shop.example/callback")]),
    ("a script", &[("redirect_uri", "javascript:alert(1)")]),
    ("a fragment", &[("redirect_uri", "https://shop.example/callback#x")]),
    ("a query", &[("redirect_uri", "https://shop.example/callback?x=1")]),
    ("a longer path", &[("redirect_uri", "https://shop.example/callback/../evil")]),
    ("another case", &[("redirect_uri", "https://SHOP.example/callback")]),
    ("a wildcard", &[("redirect_uri", "https://*.example/callback")]),
    ("a relative one", &[("redirect_uri", "//evil.example/callback")]),
];

/// Requests that are answered at the redirect URI: the error.
const REDIRECTS: [(&str, &[Change<'_>], &str); 42] = [
    ("no response type", &[("-response_type", "")], "invalid_request"),
    ("an empty response type", &[("response_type", "")], "invalid_request"),
    ("the implicit flow", &[("response_type", "token")], "unsupported_response_type"),
    ("an ID token alone", &[("response_type", "id_token")], "unsupported_response_type"),
    ("the hybrid flow", &[("response_type", "code id_token")], "unsupported_response_type"),
    ("no response", &[("response_type", "none")], "unsupported_response_type"),
    ("the response type twice", &[("+response_type", "code")], "invalid_request"),
    ("the mode fragment", &[("response_mode", "fragment")], "invalid_request"),
    ("an unknown mode", &[("response_mode", "web_message")], "invalid_request"),
    ("no PKCE", &[("-code_challenge", ""), ("-code_challenge_method", "")], "invalid_request"),
    ("a method without a challenge", &[("-code_challenge", "")], "invalid_request"),
    ("the method plain", &[("code_challenge_method", "plain")], "invalid_request"),
    ("the default method, plain", &[("-code_challenge_method", "")], "invalid_request"),
    ("an unknown method", &[("code_challenge_method", "S512")], "invalid_request"),
    ("the method in another case", &[("code_challenge_method", "s256")], "invalid_request"),
    (
        "a short challenge",
        &[("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-c")],
        "invalid_request",
    ),
    (
        "a challenge with padding",
        &[("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-c=")],
        "invalid_request",
    ),
    ("the challenge twice", &[("+code_challenge", CHALLENGE)], "invalid_request"),
    ("the scope twice", &[("+scope", "email")], "invalid_request"),
    ("no known scope", &[("scope", "address")], "invalid_scope"),
    ("a scope of the API that the client has not", &[("scope", "openid write")], "invalid_scope"),
    ("a scope of OpenID that the client has not", &[("scope", "openid phone")], "invalid_scope"),
    ("no scope, and none of the API", &[("-scope", "")], "invalid_scope"),
    ("prompt=create", &[("prompt", "create")], "invalid_request"),
    ("an unknown prompt", &[("prompt", "sometimes")], "invalid_request"),
    ("prompt=none with another", &[("prompt", "none login")], "invalid_request"),
    ("the prompt twice", &[("prompt", "login"), ("+prompt", "none")], "invalid_request"),
    ("a negative age", &[("max_age", "-1")], "invalid_request"),
    ("an age in words", &[("max_age", "soon")], "invalid_request"),
    ("an age that is too large", &[("max_age", "99999999999999999999")], "invalid_request"),
    ("an unknown display", &[("display", "wall")], "invalid_request"),
    ("claims that are no JSON", &[("claims", "{")], "invalid_request"),
    ("claims of another shape", &[("claims", r#"{"id_token":[]}"#)], "invalid_request"),
    ("a request object", &[("request", "eyJhbGciOiJub25lIn0.e30.")], "request_not_supported"),
    ("a request URI", &[("request_uri", "https://evil.example/request")], "request_uri_not_supported"),
    ("a registration", &[("registration", "{}")], "registration_not_supported"),
    ("a partner that is no number", &[("partner", "Example Ltd")], "invalid_request"),
    ("a partner beyond all numbers", &[("partner", "0")], "invalid_request"),
    ("a hint that is no token", &[("id_token_hint", "nonsense")], "invalid_request"),
    (
        "a hint that nobody has signed",
        &[("id_token_hint", "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.")],
        "invalid_request",
    ),
    ("a nonce with U+0000", &[("nonce", "a\0b")], "invalid_request"),
    ("the nonce twice", &[("+nonce", "another")], "invalid_request"),
];

/// What a page of an error says, in words: from its heading to the id of the request.
fn said(html: &str) -> String {
    let (_, main) = html.split_once("<h1>").unwrap();
    let (main, _) = main.split_once("Request ID").unwrap();
    let text = unescape(main).replace('<', " <");
    let text = text.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text));
    text.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

fn narrow() -> ClientChange {
    ClientChange { scopes: Some(TokenScopes::parse("openid email")), ..settings() }
}

#[tokio::test]
async fn an_invalid_client_or_redirect_uri_is_a_page_and_never_a_redirect() {
    let t = T::start().await;
    let shop = Product::with(&t, ClientKind::Confidential, narrow()).await;
    let cookie = shop.sign_in("admin", ADMIN_PASSWORD).await;
    let mut golden = String::new();
    for (name, changes) in PAGES {
        let mut browser = t.browser();
        let query =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(changed(&shop, changes)).finish();
        let shown = browser.get(&format!("/oauth/authorize?{query}")).await.expect(400);
        golden.push_str(&format!("{name}: {}\n", said(&shown.text)));
        for cookie in ["", cookie.as_str()] {
            let answer = shop.authorize(cookie, &changed(&shop, changes)).await;
            assert_eq!(answer.status.as_u16(), 400, "{name}: {}", answer.header("location"));
            assert_eq!(answer.header("location"), "", "{name}");
            assert!(answer.header("content-type").starts_with("text/html"), "{name}");
            assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"), "{name}");
        }
    }
    insta::assert_snapshot!("bad_requests_that_are_pages", golden);
    assert_eq!(t.ask_sql("SELECT count(*) FROM authorization_codes"), [["0"]]);
}

#[tokio::test]
async fn every_other_fault_goes_back_to_the_client() {
    let t = T::start().await;
    let shop = Product::with(&t, ClientKind::Confidential, narrow()).await;
    let cookie = shop.sign_in("admin", ADMIN_PASSWORD).await;
    let mut golden = String::new();
    for (name, changes, error) in REDIRECTS {
        for cookie in ["", cookie.as_str()] {
            let answer = shop.authorize(cookie, &changed(&shop, changes)).await;
            assert_eq!(answer.status.as_u16(), 303, "{name}");
            assert!(answer.header("location").starts_with(&format!("{REDIRECT_URI}?error=")), "{name}");
            assert_eq!(answer.returned("error"), error, "{name}: {}", answer.header("location"));
            assert!(!answer.returned("error_description").is_empty(), "{name}");
            assert_eq!(answer.returned("state"), "a state", "{name}");
            assert_eq!(answer.returned("iss"), t.app.config.public_url, "{name}");
            if !cookie.is_empty() {
                golden.push_str(&format!("{name}: {error}: {}\n", answer.returned("error_description")));
            }
        }
    }
    insta::assert_snapshot!("bad_requests_that_go_back", golden);
    // A state that cannot be returned is not.
    for changes in [&[("+state", "another")][..], &[("state", &"s".repeat(4_097))]] {
        let answer = shop.authorize(&cookie, &changed(&shop, changes)).await.expect(303);
        assert_eq!(
            (answer.returned("error").as_str(), answer.returned("state").as_str()),
            ("invalid_request", "")
        );
    }
    let long = "x".repeat(3_000);
    let all = [("login_hint", long.as_str()), ("ui_locales", &long)];
    assert_eq!(shop.authorize(&cookie, &changed(&shop, &all)).await.returned("error"), "invalid_request");
    assert_eq!(t.ask_sql("SELECT count(*) FROM authorization_codes"), [["0"]]);
}

#[tokio::test]
async fn a_client_without_the_grant_and_one_that_is_revoked_get_no_code() {
    let t = T::start().await;
    let shop = Product::new(&t).await;
    let cookie = shop.sign_in("admin", ADMIN_PASSWORD).await;
    // Two is the grant refresh_token.
    t.run_sql(&format!("UPDATE clients SET grants = 2 WHERE client_id = '{}'", shop.client.0));
    let answer = shop.authorize(&cookie, &shop.parameters()).await.expect(303);
    assert_eq!(answer.returned("error"), "unauthorized_client");
    let shop = Product::new(&t).await;
    let waiting = shop.authorize("", &shop.parameters()).await.returned("request");
    let pending = shop.code(&cookie, |_| {}).await;
    let by =
        tenantry_store::access::Operator::of_this_machine().as_admin_of(tenantry_core::model::PartnerId(1));
    let id = shop.client.0.clone();
    let revoke = move |tx: &mut tenantry_store::engine::tx::Tx<'_, _>| {
        tenantry_domain::client_changes::revoke(tx, &id)
    };
    tenantry_domain::unit::write(&t.app.store, &by, revoke).await.unwrap();
    shop.authorize(&cookie, &shop.parameters()).await.expect(400);
    let path = tenantry_domain::authorization_requests::continue_path(&waiting);
    shop.get(&path, &cookie).await.expect(400);
    shop.exchange(&pending).await.expect(401);
}

#[tokio::test]
async fn bad_exchanges_get_no_tokens() {
    let t = T::start().await;
    let shop = Product::new(&t).await;
    let other = Product::new(&t).await;
    let cookie = shop.sign_in("admin", ADMIN_PASSWORD).await;
    let code = shop.code(&cookie, |_| {}).await;
    for (name, changes, status, error) in [
        ("no code", &[("-code", "")][..], 400, "invalid_request"),
        ("no grant type", &[("-grant_type", "")], 400, "invalid_request"),
        (
            "an unknown grant",
            &[("grant_type", "urn:ietf:params:oauth:grant-type:device_code")],
            400,
            "unsupported_grant_type",
        ),
        ("the code twice", &[("+code", "ac_1_x")], 400, "invalid_request"),
        ("no redirect URI", &[("-redirect_uri", "")], 400, "invalid_grant"),
        ("no verifier", &[("-code_verifier", "")], 400, "invalid_grant"),
        ("the verifier twice", &[("+code_verifier", VERIFIER)], 400, "invalid_request"),
        ("another client in the form", &[("client_id", other.client.0.as_str())], 400, "invalid_request"),
    ] {
        let answer = shop
            .exchange_with(&code, |form| {
                for (name, value) in changes {
                    match name.split_at(1) {
                        ("-", name) => form.retain(|(known, _)| known != name),
                        ("+", name) => form.push((name.to_owned(), (*value).to_owned())),
                        _ => set(form, name, value),
                    }
                }
            })
            .await;
        assert_eq!(answer.status.as_u16(), status, "{name}: {}", answer.text);
        assert_eq!(answer.body["error"], error, "{name}");
    }
    let wrong = Product::of(&t, (shop.client.0.clone(), String::from("wrong")));
    assert_eq!(wrong.exchange(&code).await.expect(401).body["error"], "invalid_client");
    let in_url = shop.send(Method::POST, &format!("/oauth/token?code={code}"), "", &[]).await;
    assert_eq!(in_url.status.as_u16(), 400);
    shop.exchange(&code).await.expect(200);
}
