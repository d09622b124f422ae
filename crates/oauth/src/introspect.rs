//! `POST /oauth/introspect` (RFC 7662).

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::client::{BasicClient, client};
use crate::form::{Form, NoQuery, TOKEN};
use crate::uncached;
use tenantry_core::authentication::AuthenticationMethod;
use tenantry_domain::tokens;
use tenantry_http::problem::{GrantDocument, Problem};
use tenantry_http::responses::json;
use tenantry_http::state::AppState;

/// The state of a token (RFC 7662 §2.2). For an inactive token only `active` is present.
#[derive(Serialize, ToSchema)]
pub struct IntrospectionResponse {
    /// Whether it is valid.
    active: bool,
    /// The scopes of an access token, or those for which a refresh token can be exchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "read write")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "tenantry")]
    client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "ada")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "bearer")]
    token_type: Option<&'static str>,
    /// Seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 1_795_446_000)]
    exp: Option<i64>,
    /// Seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 1_795_424_400)]
    iat: Option<i64>,
    /// The user's id, or the client of a technical account.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2")]
    sub: Option<String>,
    /// The partner.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 1)]
    pid: Option<i64>,
    /// The class of the user's authentication (RFC 9470): 1 = password, 2 = a second factor.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2")]
    acr: Option<String>,
    /// Its methods (RFC 8176).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, example = json!(["pwd", "otp", "mfa"]))]
    amr: Vec<&'static str>,
    /// When the user last gave the password or a passkey, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 1_795_424_400)]
    auth_time: Option<i64>,
    /// Whether the bearer is a partner admin.
    #[serde(rename = "isAdmin", skip_serializing_if = "Option::is_none")]
    is_admin: Option<bool>,
}

/// Introspect a token (RFC 7662).
///
/// For confidential clients. A token of another partner, or an invalid one, is `{"active": false}`.
#[utoipa::path(
    post, path = "/oauth/introspect", operation_id = "introspect_token", tag = "oauth",
    request_body(content = ref("#/components/schemas/TokenForm"), content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The state of the token", body = IntrospectionResponse),
        (status = 400, description = "A parameter is missing, or the client is public", body = GrantDocument, example = json!({"error": "unauthorized_client", "error_description": "a public client cannot introspect"})),
        (status = 401, description = "Unknown client or wrong secret", body = GrantDocument, example = json!({"error": "invalid_client", "error_description": "unknown client or wrong secret"})),
        (status = 503, description = "The server is busy: retry after Retry-After seconds", body = tenantry_http::problem::ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn introspect(
    State(app): State<AppState>,
    _: NoQuery,
    basic: BasicClient,
    mut form: Form,
) -> Result<Response, Problem> {
    let client = client(&app, basic, &mut form).await?;
    let Some(found) = tokens::introspect(&app, &client, &form.require(&TOKEN)?).await? else {
        return Ok(uncached(json(StatusCode::OK, &json!({ "active": false }))));
    };
    let (sub, username) = match found.user {
        Some((id, username)) => (id.to_string(), Some(username)),
        None => (found.client_id.clone(), None),
    };
    let response = IntrospectionResponse {
        active: true,
        scope: Some(found.scopes.names()),
        client_id: Some(found.client_id),
        username,
        token_type: (!found.is_refresh_token).then_some("bearer"),
        exp: Some(found.expires_at / tenantry_core::clock::SECOND),
        iat: Some(found.issued_at / tenantry_core::clock::SECOND),
        sub: Some(sub),
        pid: Some(found.pid.0),
        acr: Some(found.signed_in.acr).filter(|acr| *acr > 0).map(|acr| acr.to_string()),
        amr: AuthenticationMethod::names(found.signed_in.amr),
        auth_time: Some(found.signed_in.auth_time / tenantry_core::clock::SECOND).filter(|at| *at > 0),
        is_admin: Some(found.is_admin),
    };
    Ok(uncached(json(StatusCode::OK, &response)))
}
