//! CORS for browser clients: the origins of their redirect URIs, and documents that any origin may read.

use reqwest::Method;
use serde_json::json;

use tenantry_core::clients::ClientKind;
use tenantry_http::cors::CorsOrigins;

use crate::binary::{TIMEOUT, until};
use crate::clients::{CLIENTS, with_uri};
use crate::databases::is_postgres;
use crate::harness::T;

/// Scripts of an origin that some client is sent back to may use the endpoints that browsers need, and nothing else.
#[tokio::test]
async fn origins_of_redirect_uris_may_use_the_token_endpoint() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (id, _) = t.new_client(1, with_uri(ClientKind::Public, "https://SPA.example:443/cb")).await;
    let ask = async |method: Method, path: &str, origin: &str| {
        let mut request = t.anonymous().request(method.clone(), path).header("origin", origin);
        if method == Method::OPTIONS {
            request = request
                .header("access-control-request-method", "POST")
                .header("access-control-request-headers", "authorization,content-type");
        }
        let response = request.send().await.unwrap();
        let header = |name: &str| {
            response.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
        };
        assert_eq!(header("access-control-allow-credentials"), "", "{path}");
        if header("access-control-allow-origin").is_empty() {
            return String::new();
        }
        assert!(header("vary").to_ascii_lowercase().contains("origin"), "{path}");
        if method == Method::OPTIONS {
            assert_eq!(header("access-control-allow-headers"), "authorization,content-type");
        }
        header("access-control-allow-origin")
    };
    let spa = "https://spa.example";
    for method in [Method::OPTIONS, Method::POST] {
        for path in ["/oauth/token", "/oauth/revoke"] {
            assert_eq!(ask(method.clone(), path, spa).await, spa, "{method} {path}");
            for other in
                ["https://evil.example", "http://spa.example", "https://spa.example:8443", "null", "x"]
            {
                assert_eq!(ask(method.clone(), path, other).await, "", "{method} {path} {other}");
            }
        }
        for path in ["/oauth/introspect", "/api/v1/users", "/api/v1/clients", "/"] {
            assert_eq!(ask(method.clone(), path, spa).await, "", "{method} {path}");
        }
    }
    // Until the URI is gone, or the client.
    let path = format!("{CLIENTS}/{id}");
    admin.patch(&path, &json!({ "redirectUris": ["https://new.example/cb"] })).await.expect(200);
    assert_eq!(ask(Method::POST, "/oauth/token", spa).await, "");
    assert_eq!(ask(Method::POST, "/oauth/token", "https://new.example").await, "https://new.example");
    admin.delete(&path).await.expect(204);
    assert_eq!(ask(Method::POST, "/oauth/token", "https://new.example").await, "");
}

/// The setting for the whole server stands beside them.
#[tokio::test]
async fn origins_of_the_setting_and_of_redirect_uris_are_both_allowed() {
    let t = T::with(|config| {
        config.cors_origins = CorsOrigins::These(vec![String::from("https://app.example")]);
    })
    .await;
    t.new_client(1, with_uri(ClientKind::Public, "https://spa.example/cb")).await;
    for (path, origin, allowed, credentials) in [
        ("/oauth/token", "https://app.example", true, "true"),
        ("/oauth/token", "https://spa.example", true, ""),
        ("/api/v1/users", "https://app.example", true, "true"),
        ("/api/v1/users", "https://spa.example", false, ""),
    ] {
        for method in [Method::OPTIONS, Method::POST] {
            let request = t
                .anonymous()
                .request(method.clone(), path)
                .header("origin", origin)
                .header("access-control-request-method", "POST");
            let response = request.send().await.unwrap();
            let header = |name: &str| {
                response.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned()
            };
            let expected = if allowed { origin } else { "" };
            assert_eq!(header("access-control-allow-origin"), expected, "{method} {path}");
            if allowed {
                assert_eq!(
                    header("access-control-allow-credentials"),
                    credentials,
                    "{method} {path} {origin}"
                );
            }
        }
    }
}

/// Whether scripts of an origin may use the token endpoint.
async fn is_allowed(t: &T, origin: &str) -> bool {
    let request = t.anonymous().request(Method::POST, "/oauth/token").header("origin", origin);
    request.send().await.unwrap().headers().get("access-control-allow-origin").is_some_and(|it| it == origin)
}

/// Whether an origin is known is cached; every change of redirect URIs counts from the next request on.
#[tokio::test]
async fn changes_of_redirect_uris_count_at_once() {
    let t = T::start().await;
    let (operator, admin) = (t.operator().await, t.admin().await);
    let spa = "https://spa.example";
    let with_uri = json!({ "name": "SPA", "kind": "public", "redirectUris": [format!("{spa}/cb")] });
    let (pid, _) = t.other_partner("other").await;
    let of_partner =
        json!({ "name": "SPA", "kind": "public", "redirectUris": [format!("{spa}/cb")], "pid": pid });
    for (body, of) in [(&with_uri, "/api/v1/clients"), (&with_uri, "/operator/v1/clients"), (&of_partner, "")]
    {
        for _ in 0..3 {
            assert!(!is_allowed(&t, spa).await);
        }
        let by = if of.starts_with("/api") { &admin } else { &operator };
        let made = by.post(if of.is_empty() { "/operator/v1/clients" } else { of }, body).await.expect(201);
        assert!(is_allowed(&t, spa).await && is_allowed(&t, spa).await);
        let path = made.header("location").to_owned();
        by.patch(&path, &json!({ "redirectUris": ["https://new.example/cb"] })).await.expect(200);
        assert!(!is_allowed(&t, spa).await && is_allowed(&t, "https://new.example").await);
        by.patch(&path, &json!({ "redirectUris": [format!("{spa}/cb")] })).await.expect(200);
        assert!(is_allowed(&t, spa).await && !is_allowed(&t, "https://new.example").await);
        if of.is_empty() {
            // With the partner.
            operator.delete(&format!("/operator/v1/partners/{pid}?force=true")).await.expect(204);
        } else {
            by.delete(&path).await.expect(204);
        }
    }
    assert!(!is_allowed(&t, spa).await);
}

/// What one process writes counts in the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_redirect_uris_count_in_other_processes() {
    if !is_postgres() {
        return;
    }
    let t = T::start().await;
    let other = t.beside().await;
    let spa = "https://spa.example";
    until("the cache is believed", || other.app.store.is_cache_believed().then_some(())).await;
    let comes_to = async |allowed: bool| {
        let asked = async {
            while is_allowed(&other, spa).await != allowed {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        assert!(tokio::time::timeout(TIMEOUT, asked).await.is_ok(), "it does not come to {allowed}");
    };
    comes_to(false).await;
    let (id, _) = t.new_client(1, with_uri(ClientKind::Public, "https://spa.example/cb")).await;
    comes_to(true).await;
    t.admin().await.delete(&format!("{CLIENTS}/{id}")).await.expect(204);
    comes_to(false).await;
}
