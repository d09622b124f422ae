//! "Forgot password" of a login page: anybody may ask, only the owner is mailed.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use crate::responses::{BusyError, InvalidError, TooLargeError, TooManyError};
use tenantry_core::error::Result;
use tenantry_core::json::{Fields, Members, Presence, Property, Shape};
use tenantry_core::values::{self, ONE_LINE};
use tenantry_domain::forgot_password::{self, Whose};
use tenantry_http::extract::{ClientAddress, NoParams};
use tenantry_http::incoming::BRIEF;
use tenantry_http::json_body::JsonBody;
use tenantry_http::problem::Problem;
use tenantry_http::responses::json;
use tenantry_http::state::AppState;

const USERNAME: Property =
    Property::new("username", "The user of this name. Either this or `email`.").of(&ONE_LINE).like("ada");
const EMAIL: Property = Property::new(
    "email",
    "All users with this address: each is mailed its username and password. Either this or `username`.",
)
.of(&ONE_LINE);

/// The schemas of request bodies.
pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    vec![("ForgotPassword", Shape::of_new("The user whose password was forgotten.").asked(whose))]
}

fn whose(from: &mut impl Members) -> Option<Whose> {
    // Any other text belongs to no user; the response does not say so.
    let any = |text: &str| values::no_control(values::trim(text)).map(|()| text.to_owned());
    let has_both = from.has(USERNAME.name) && from.has(EMAIL.name);
    let has_none = !from.has(USERNAME.name) && !from.has(EMAIL.name);
    let username = from.text(Presence::Optional, &USERNAME, any);
    let email = from.text(Presence::Optional, &EMAIL, any);
    if has_both {
        from.error(EMAIL.name, ("contradiction", "give username or email, not both"));
    } else if has_none {
        from.error(USERNAME.name, ("required", "give username or email"));
    }
    username.map(Whose::Username).or(email.map(Whose::Email))
}

fn read(body: &[u8]) -> Result<Whose> {
    let mut fields = Fields::parse(body)?;
    let whose = whose(&mut fields);
    fields.finish_with(|| whose)
}

/// Request a temporary password by mail.
///
/// The response and its timing are the same whether the user exists or not. An ACTIVE user is mailed a temporary
/// password: at most one in 10 minutes and 5 a day. The current password and the sessions remain valid until the
/// temporary one is used. White space around the username or address is ignored.
#[utoipa::path(
    post, path = "/api/v1/users/forgot-password", tag = "self",
    request_body(content = ref("#/components/schemas/ForgotPassword")), security(()),
    responses(
        (status = 202, description = "Accepted; the response does not reveal whether the user exists", body = Object),
        InvalidError,
        TooManyError, BusyError, TooLargeError<BRIEF>,
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
