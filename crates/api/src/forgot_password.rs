//! "Forgot password" of a login page: anybody may ask, only the owner is mailed.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;
use utoipa::ToSchema;

use crate::responses::{BusyError, InvalidError, TooLargeError};
use tenantry_core::error::Result;
use tenantry_core::json::Fields;
use tenantry_core::values;
use tenantry_domain::forgot_password::{self, Whose};
use tenantry_http::answers::json;
use tenantry_http::extract::{ClientAddress, NoParams};
use tenantry_http::incoming::BRIEF;
use tenantry_http::json_body::JsonBody;
use tenantry_http::problem::{Problem, ProblemDocument};
use tenantry_http::state::AppState;

/// Whose password was forgotten: one of the two.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what Fields reads")]
pub struct ForgotPassword {
    /// The user of this name.
    #[schema(required = false, example = "ada")]
    username: String,
    /// Every user with this address: each is mailed its own username and password.
    #[schema(required = false)]
    email: String,
}

fn read(body: &[u8]) -> Result<Whose> {
    let mut fields = Fields::parse(body)?;
    // Whatever else is no name or address is nobody's: that is not told.
    let any = |text: &str| values::no_control(text).map(|()| text.to_owned());
    let has_both = fields.has("username") && fields.has("email");
    let has_none = !fields.has("username") && !fields.has("email");
    let username = fields.optional("username", any);
    let email = fields.optional("email", any);
    if has_both {
        fields.fault("email", ("contradiction", "give username or email, not both"));
    } else if has_none {
        fields.fault("username", ("required", "give username or email"));
    }
    fields.finish_with(|| username.map(Whose::Username).or(email.map(Whose::Email)))
}

/// Ask for a temporary password by mail.
///
/// The answer is the same, in the same time, whether there is such a user or not. An ACTIVE user is mailed a temporary
/// password: at most one in 10 minutes and 5 a day. Its present password and its sessions stay as they are until the
/// temporary one is used.
#[utoipa::path(
    post, path = "/api/v1/users/forgot-password", tag = "self", request_body = ForgotPassword, security(()),
    responses(
        (status = 202, description = "Taken; nothing is said about whether there is such a user", body = Object),
        InvalidError,
        (status = 429, description = "This address asks too often: try again after Retry-After seconds", body = ProblemDocument, content_type = "application/problem+json"),
        BusyError, TooLargeError<BRIEF>,
    ),
)]
pub async fn forgot_password(
    State(app): State<AppState>,
    ClientAddress(address): ClientAddress,
    _: NoParams,
    JsonBody(body): JsonBody<BRIEF>,
) -> Result<Response, Problem> {
    forgot_password::ask(&app, address, &read(&body)?).await?;
    Ok(json(StatusCode::ACCEPTED, &json!({})))
}
