//! `POST /oauth/token` (RFC 6749 §3.2).

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::client::{BasicClient, client};
use crate::form::{
    CODE, CODE_VERIFIER, Form, GRANT_TYPE, NoQuery, PASSWORD, REDIRECT_URI, REFRESH_TOKEN, SCOPE_ASKED,
    USERNAME,
};
use crate::uncached;
use tenantry_core::error::{Error, GrantError};
use tenantry_core::scopes::TokenScopes;
use tenantry_domain::authorization_codes::{self, Exchange};
use tenantry_domain::tokens::{self, Granted, Origin};
use tenantry_domain::{logins, refresh};
use tenantry_http::extract::ClientAddress;
use tenantry_http::problem::{GrantDocument, Problem};
use tenantry_http::responses::json;
use tenantry_http::state::AppState;

/// Tokens (RFC 6749 §5.1).
#[derive(Serialize, ToSchema)]
pub struct TokenResponse<'a> {
    /// Send it as `Authorization: Bearer`.
    #[schema(example = "at_1_d2hhdGV2ZXIgeW91IHNheSBoZXJlIGlzIHJhbmRvbSE")]
    access_token: &'a str,
    /// Always `bearer`.
    #[schema(example = "bearer")]
    token_type: &'a str,
    /// For new tokens; works once. Repeated soon afterwards, a request that exchanged it returns the same refresh token.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "rt_1_d2hhdGV2ZXIgeW91IHNheSBoZXJlIGlzIHJhbmRvbSE")]
    refresh_token: Option<&'a str>,
    /// For the scope `openid`: a signed JWT that says who signed in (OpenID Connect Core §2).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIyIn0.c2lnbmF0dXJl")]
    id_token: Option<&'a str>,
    /// The lifetime of the access token in seconds.
    #[schema(example = 21600)]
    expires_in: i64,
    /// The scopes of the access token, separated by a space.
    #[schema(example = "read write")]
    scope: &'a str,
    /// Present and true if a new password must be set first.
    #[serde(rename = "passwordChangeRequired", skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    password_change_required: Option<bool>,
}

/// Log in, refresh, or act as a client.
///
/// `grant_type=authorization_code` exchanges the code of a sign-in on the pages for tokens; `password` logs a user in;
/// `refresh_token` exchanges a refresh token for new tokens; `client_credentials`
/// returns tokens of a confidential client's technical account.
///
/// A refresh token works once. If the request is repeated within seconds (by default 10), because two tabs refresh at once
/// or a response was lost, it returns the same new refresh token again; any other second use ends the session.
///
/// White space around the username is ignored.
#[utoipa::path(
    post, path = "/oauth/token", operation_id = "issue_token", tag = "oauth",
    request_body(content = ref("#/components/schemas/TokenRequest"), content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "Tokens", body = TokenResponse),
        (status = 400, description = "Refused; see RFC 6749 for the code", body = GrantDocument, example = json!({"error": "invalid_grant", "error_description": "wrong username or password"})),
        (status = 401, description = "Unknown client or wrong secret", body = GrantDocument, example = json!({"error": "invalid_client", "error_description": "unknown client or wrong secret"})),
        (status = 429, description = "Too many failed logins from this address: retry after Retry-After seconds", body = tenantry_http::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "The server is busy: retry after Retry-After seconds", body = tenantry_http::problem::ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn token(
    State(app): State<AppState>,
    ClientAddress(address): ClientAddress,
    _: NoQuery,
    basic: BasicClient,
    headers: HeaderMap,
    mut form: Form,
) -> Result<Response, Problem> {
    let client = client(&app, basic, &mut form).await?;
    let grant_type = form.require(&GRANT_TYPE)?;
    let scopes = TokenScopes::parse(form.take(&SCOPE_ASKED).as_deref().map_or("", String::as_str));
    let user_agent = headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let origin = Origin { address, user_agent };
    let issuer = &app.settings().public_url;
    let granted = match grant_type.as_str() {
        "password" => {
            let (username, password) = (form.require(&USERNAME)?, form.require(&PASSWORD)?);
            logins::grant_password(&app, &client, &username, password, origin, scopes).await?
        }
        "authorization_code" => {
            let (code, redirect_uri) = (form.require(&CODE)?, form.take(&REDIRECT_URI));
            let verifier = form.take(&CODE_VERIFIER);
            let exchange = Exchange {
                code: &code,
                redirect_uri: redirect_uri.as_deref().map(String::as_str),
                verifier: verifier.as_deref().map(String::as_str),
                origin,
            };
            authorization_codes::exchange(&app, &client, exchange, issuer).await?
        }
        "refresh_token" => {
            refresh::grant(&app, &client, &form.require(&REFRESH_TOKEN)?, scopes, issuer).await?
        }
        "client_credentials" => tokens::grant_client_credentials(&app, &client, origin, scopes).await?,
        _ => {
            let detail =
                "the supported grants are authorization_code, refresh_token, client_credentials and password";
            return Err(Error::Grant(GrantError::UnsupportedGrantType, detail.into()).into());
        }
    };
    Ok(uncached(token_response(&granted)))
}

fn token_response(granted: &Granted) -> Response {
    json(
        StatusCode::OK,
        &TokenResponse {
            access_token: &granted.access_token,
            token_type: "bearer",
            refresh_token: granted.refresh_token.as_ref().map(|token| token.as_str()),
            id_token: granted.id_token.as_ref().map(|token| token.as_str()),
            expires_in: granted.expires_in / tenantry_core::clock::SECOND,
            scope: &granted.scopes.names(),
            password_change_required: granted.password_change_required.then_some(true),
        },
    )
}
