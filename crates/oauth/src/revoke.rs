//! `POST /oauth/revoke` (RFC 7009).

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use crate::client::{BasicClient, client};
use crate::form::{Form, NoQuery, TOKEN};
use crate::uncached;
use tenantry_domain::tokens;
use tenantry_http::problem::{GrantDocument, Problem};
use tenantry_http::responses::json;
use tenantry_http::state::AppState;

/// End the session of a token (RFC 7009).
///
/// The response is the same for an unknown or ended token.
#[utoipa::path(
    post, path = "/oauth/revoke", operation_id = "revoke_token", tag = "oauth",
    request_body(content = ref("#/components/schemas/TokenForm"), content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "Revoked", body = Object),
        (status = 400, description = "A parameter is missing", body = GrantDocument, example = json!({"error": "invalid_request", "error_description": "the parameter token is missing"})),
        (status = 401, description = "Unknown client or wrong secret", body = GrantDocument, example = json!({"error": "invalid_client", "error_description": "unknown client or wrong secret"})),
        (status = 503, description = "The server is busy: retry after Retry-After seconds", body = tenantry_http::problem::ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn revoke(
    State(app): State<AppState>,
    _: NoQuery,
    basic: BasicClient,
    mut form: Form,
) -> Result<Response, Problem> {
    let client = client(&app, basic, &mut form).await?;
    tokens::revoke(&app, &client, &form.require(&TOKEN)?).await?;
    Ok(uncached(json(StatusCode::OK, &json!({}))))
}
