use super::*;
use axum::body::to_bytes;
use axum::http::header::CONNECTION;
use serde_json::{Value, json};
use tenantry_core::error::Denial;

async fn respond_to(problem: impl Into<Problem>) -> (Response, Value) {
    let (parts, body) = problem.into().into_response().into_parts();
    let body = serde_json::from_slice(&to_bytes(body, usize::MAX).await.unwrap()).unwrap();
    (Response::from_parts(parts, Body::empty()), body)
}

fn header(response: &Response, name: impl axum::http::header::AsHeaderName) -> &str {
    response.headers().get(name).map_or("", |v| v.to_str().unwrap())
}

#[tokio::test]
async fn invalid_lists_all_faults() {
    let error = Error::Invalid(vec![
        FieldError::new("/username", "required", "is missing"),
        FieldError::new("/groups/2", "wrong-type", "must be an integer"),
    ]);
    let (response, body) = respond_to(error).await;
    assert_eq!(response.status(), 400);
    assert_eq!(header(&response, CONTENT_TYPE), "application/problem+json");
    assert_eq!(
        body,
        json!({"type": "about:blank", "title": "Bad Request", "status": 400, "code": "invalid",
            "detail": "the request has 2 errors, listed in errors",
            "errors": [
                {"field": "/username", "code": "required", "detail": "is missing"},
                {"field": "/groups/2", "code": "wrong-type", "detail": "must be an integer"}]})
    );
}

#[tokio::test]
async fn ids_of_missing_and_conflicting_users_are_listed() {
    let (response, body) = respond_to(Error::NotFound(Missing::Users(vec![7, 9]))).await;
    assert_eq!((response.status().as_u16(), &body["ids"]), (404, &json!([7, 9])));
    let (_, body) = respond_to(Error::NotFound(Missing::Groups(vec![3]))).await;
    assert_eq!((&body["code"], &body["ids"]), (&json!("group-not-found"), &json!([3])));
    let (_, body) = respond_to(Error::NotFound(Missing::User)).await;
    assert_eq!(body.get("ids"), None);
    let (response, body) = respond_to(Conflict::users("last-admin", vec![1], "the last admin")).await;
    assert_eq!(response.status(), 409);
    assert_eq!((&body["code"], &body["ids"]), (&json!("last-admin"), &json!([1])));
    let (_, body) = respond_to(Conflict::field("username-taken", "/username", "taken")).await;
    assert_eq!(body["errors"][0]["field"], "/username");
}

#[tokio::test]
async fn challenges_are_those_of_the_contract() {
    for (error, challenge) in [
        (TokenError::Absent, r#"Bearer realm="oauth""#.to_owned()),
        (
            TokenError::Invalid,
            format!(
                r#"Bearer realm="oauth", error="invalid_token", error_description="{}""#,
                TokenError::Invalid
            ),
        ),
        (
            TokenError::Expired,
            format!(
                r#"Bearer realm="oauth", error="invalid_token", error_description="{}""#,
                TokenError::Expired
            ),
        ),
    ] {
        let (response, _) = respond_to(Error::Unauthenticated(error)).await;
        assert_eq!(response.status(), 401);
        assert_eq!(header(&response, WWW_AUTHENTICATE), challenge);
    }
}

#[tokio::test]
async fn forbidden_names_its_code() {
    let (response, body) = respond_to(Error::Forbidden(Denial::PasswordChangeRequired)).await;
    assert_eq!((response.status().as_u16(), &body["code"]), (403, &json!("password-change-required")));
}

#[tokio::test]
async fn waits_are_rounded_up() {
    for (wait, seconds) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2"), (900_000, "900")] {
        let (response, _) = respond_to(Error::TooMany(Duration::from_millis(wait))).await;
        assert_eq!(response.status(), 429);
        assert_eq!(header(&response, RETRY_AFTER), seconds);
    }
    let error = Error::Unavailable { what: "the writer is busy".into(), retry_after: Duration::ZERO };
    let (response, body) = respond_to(error).await;
    assert_eq!((response.status().as_u16(), header(&response, RETRY_AFTER)), (503, "1"));
    assert_eq!(body["detail"], "the writer is busy: try again in 1 s");
}

#[tokio::test]
async fn internal_errors_are_logged_and_not_disclosed() {
    let response = Problem::from(Error::internal("disk /var/lib/x is gone")).into_response();
    assert_eq!(response.extensions().get::<Cause>().unwrap().0, "disk /var/lib/x is gone");
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    assert!(!String::from_utf8_lossy(&body).contains("/var/lib"));
}

#[tokio::test]
async fn grants_speak_oauth() {
    let (response, body) =
        respond_to(Error::Grant(GrantError::InvalidGrant, "no \"such\" Ünit".into())).await;
    assert_eq!((response.status().as_u16(), header(&response, CACHE_CONTROL)), (400, "no-store"));
    assert_eq!(header(&response, CONTENT_TYPE), "application/json");
    assert_eq!(body, json!({"error": "invalid_grant", "error_description": "no ?such? ?nit"}));
    let (response, _) = respond_to(Error::Grant(GrantError::InvalidClient, "unknown client".into())).await;
    assert_eq!(response.status(), 401);
    assert_eq!(header(&response, WWW_AUTHENTICATE), r#"Basic realm="oauth""#);
}

#[tokio::test]
async fn edge_problems() {
    for (problem, status) in [
        (Problem::unknown_path(), 404),
        (Problem::method_not_allowed(), 405),
        (Problem::body_stalled(), 408),
        (Problem::body_too_large(10), 413),
        (Problem::unsupported_media_type(), 415),
        (Problem::headers_too_large(), 431),
    ] {
        let (response, body) = respond_to(problem).await;
        assert_eq!(response.status(), status);
        assert_eq!(body["status"], status);
        assert_eq!(header(&response, CONNECTION) == "close", matches!(status, 408 | 413));
    }
}

#[test]
fn the_schema_is_what_is_sent() {
    use utoipa::{PartialSchema as _, ToSchema as _};
    assert_eq!(ProblemDocument::name(), "Problem");
    let schema = serde_json::to_value(ProblemDocument::schema()).unwrap();
    assert_eq!(schema["required"], json!(["type", "title", "status", "detail", "code"]));
    assert_eq!(schema["properties"]["errors"]["items"]["$ref"], "#/components/schemas/FieldError");
}
