//! Scripts of web pages from other origins (CORS).

use reqwest::Method;
use serde_json::json;

use crate::harness::{Person, T, TestResponse, new_user};
use tenantry_http::cors::CorsOrigins;

const APP: &str = "https://app.example";

fn these(origins: &[&str]) -> CorsOrigins {
    CorsOrigins::These(origins.iter().map(|&origin| origin.to_owned()).collect())
}

async fn preflight(t: &T, path: &str, method: &str, origin: &str) -> TestResponse {
    let request = t
        .anonymous()
        .request(Method::OPTIONS, path)
        .header("origin", origin)
        .header("access-control-request-method", method)
        .header("access-control-request-headers", "authorization,content-type,if-match");
    TestResponse::of(request.send().await.unwrap()).await
}

async fn send(person: &Person<'_>, method: Method, path: &str, origin: &str, body: &str) -> TestResponse {
    let request = person.request(method, path).header("origin", origin);
    let request = request.header("content-type", "application/json").body(body.to_owned());
    TestResponse::of(request.send().await.unwrap()).await
}

#[track_caller]
fn assert_readable(response: &TestResponse) {
    assert_eq!(response.header("access-control-allow-origin"), APP, "{}", response.text);
    let exposed = response.header("access-control-expose-headers").to_ascii_lowercase();
    for name in [
        "etag",
        "location",
        "link",
        "retry-after",
        "x-request-id",
        "idempotency-replayed",
        "www-authenticate",
    ] {
        assert!(exposed.split(',').any(|one| one.trim() == name), "{name}: {exposed}");
    }
    assert!(response.header("vary").to_ascii_lowercase().contains("origin"), "{}", response.header("vary"));
}

/// Every path, without authentication.
#[tokio::test]
async fn preflight_requests_are_answered_for_every_operation() {
    let t = T::with(|config| config.cors_origins = these(&["http://localhost:3000", APP])).await;
    let document = tenantry::router::document();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let path = path.replace('{', "1").replace('}', "");
            let response = preflight(&t, &path, &method.to_uppercase(), APP).await.expect(200);
            assert_eq!(response.header("access-control-allow-origin"), APP);
            assert_eq!(response.header("access-control-allow-credentials"), "true");
            let methods = response.header("access-control-allow-methods");
            assert!(methods.split(',').any(|one| one == method.to_uppercase()), "{method}: {methods}");
            let headers = response.header("access-control-allow-headers");
            assert_eq!(headers, "authorization,content-type,if-match");
            assert!(!response.header("x-request-id").is_empty());
        }
    }
    let response = preflight(&t, "/api/v1/users", "GET", "https://evil.example").await;
    assert_eq!(response.header("access-control-allow-origin"), "");
}

/// Successes, and errors of every origin: of authentication, the router, the body, and overload.
#[tokio::test]
async fn responses_and_errors_can_be_read_by_listed_origins_only() {
    let t = T::with(|config| {
        config.cors_origins = these(&[APP]);
        config.forgot_password_per_address = 1;
        config.body_limit = 1024 * 1024;
    })
    .await;
    let admin = t.admin().await;
    let anonymous = t.anonymous();
    let forgot = json!({ "username": "nobody" }).to_string();
    let large = "x".repeat(300 * 1024);
    let user = new_user("fenna").to_string();
    for (person, method, path, body, status) in [
        (&admin, Method::POST, "/api/v1/users", user.as_str(), 201),
        (&admin, Method::GET, "/api/v1/users?page=0&pageSize=1", "", 200),
        (&admin, Method::POST, "/api/v1/users", &user, 409),
        (&admin, Method::POST, "/api/v1/users", "{", 400),
        (&admin, Method::POST, "/api/v1/users", &large, 413),
        (&admin, Method::GET, "/api/v1/users/99", "", 404),
        (&admin, Method::GET, "/nowhere", "", 404),
        (&admin, Method::PUT, "/api/v1/users", "{}", 405),
        (&anonymous, Method::GET, "/api/v1/users/self", "", 401),
        (&anonymous, Method::POST, "/oauth/token", "{}", 400),
        (&anonymous, Method::POST, "/api/v1/users/forgot-password", &forgot, 202),
        (&anonymous, Method::POST, "/api/v1/users/forgot-password", &forgot, 429),
        (&anonymous, Method::GET, "/api/v1/openapi.json", "", 200),
    ] {
        let response = send(person, method.clone(), path, APP, body).await;
        assert_eq!(response.status, status, "{method} {path}: {}", response.text);
        assert_readable(&response);
        for other in ["https://evil.example", "https://app.example:8443", "http://app.example", "null"] {
            if method == Method::GET {
                let response = send(person, method.clone(), path, other, body).await;
                assert_eq!(response.header("access-control-allow-origin"), "", "{other}");
                assert!(response.header("vary").to_ascii_lowercase().contains("origin"));
            }
        }
    }
    // What the listener refuses before any handler: two Authorization headers.
    let request = admin.request(Method::GET, "/self").header("origin", APP).bearer_auth("other");
    let response = TestResponse::of(request.send().await.unwrap()).await.expect(400);
    assert_readable(&response);
    // A page of the API itself is no other origin, and is not affected.
    let plain = admin.get("/self").await.expect(200);
    assert_eq!(plain.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn any_origin_is_without_credentials() {
    let t = T::with(|config| config.cors_origins = CorsOrigins::Any).await;
    let response = preflight(&t, "/api/v1/users", "PATCH", "https://anybody.example").await.expect(200);
    assert_eq!(response.header("access-control-allow-origin"), "*");
    assert!(response.headers.get("access-control-allow-credentials").is_none());
    let response =
        send(&t.anonymous(), Method::GET, "/self", "https://anybody.example", "").await.expect(401);
    assert_eq!(response.header("access-control-allow-origin"), "*");
    assert!(response.headers.get("access-control-allow-credentials").is_none());
}

#[tokio::test]
async fn without_the_setting_nothing_is_shared() {
    let t = T::start().await;
    preflight(&t, "/api/v1/users", "GET", APP).await.expect(405);
    let response = send(&t.admin().await, Method::GET, "/self", APP, "").await.expect(200);
    assert!(
        !response.headers.keys().any(|name| name.as_str().starts_with("access-control") || name == "vary")
    );
}
