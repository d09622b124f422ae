//! Pages for people: sign-in and account. Every page works without scripts.
//!
//! A page is a handler, a template under `templates/`, and texts under `i18n/`.

use axum::Router;
use axum::extract::{FromRequestParts as _, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};

use tenantry_http::browser::Browser;
use tenantry_http::page_error::{PageError, PageErrorKind};
use tenantry_http::pages::see_other;
use tenantry_http::problem::Problem;
use tenantry_http::state::AppState;

#[macro_use]
mod texts;
mod account;
mod application;
mod assets;
mod branding;
mod choose_account;
mod client_form;
mod consent;
mod console;
mod devices;
mod error_pages;
mod forgot;
mod forms;
mod languages;
mod passkeys;
mod password_rules;
mod person;
mod recovery_codes;
mod scope_texts;
mod second_factor;
mod second_factor_add;
mod set_password;
mod sign_in;
mod sign_out;
mod verify_email;
mod view;

pub use error_pages::{not_found, with_error_pages};

/// The routes of all pages.
pub fn router() -> Router<AppState> {
    Router::new()
        .route("/", get(root))
        .route("/sign-in", get(sign_in::show).post(sign_in::submit))
        .route("/sign-in/passkey", get(passkeys::show).post(passkeys::submit))
        .route("/sign-in/second-factor", get(second_factor::show_sign_in).post(second_factor::submit_sign_in))
        .route("/second-factor", get(second_factor::show_step_up).post(second_factor::submit_step_up))
        .route("/second-factor/add", get(second_factor_add::show).post(second_factor_add::submit))
        .route(
            "/second-factor/add/passkey",
            get(second_factor_add::show_passkey).post(second_factor_add::submit_passkey),
        )
        .route("/sign-out", get(sign_out::show).post(sign_out::submit))
        .route("/signed-out", get(sign_out::signed_out))
        .route("/choose-account", get(choose_account::show).post(choose_account::submit))
        .route("/set-password", get(set_password::show).post(set_password::submit))
        .route("/forgot-password", get(forgot::show_password).post(forgot::submit_password))
        .route("/forgot-username", get(forgot::show_username).post(forgot::submit_username))
        .route("/verify-email", get(verify_email::show).post(verify_email::submit))
        .merge(account_router())
        .merge(console::router())
        .route("/consent", get(consent::show).post(consent::submit))
        .route("/language", get(languages::choose))
        .route("/static/{name}", get(assets::serve))
        .route("/branding/{pid}/{file}", get(branding::serve))
        .method_not_allowed_fallback(async || PageError::new(PageErrorKind::MethodNotAllowed))
}

/// The parts of the account.
fn account_router() -> Router<AppState> {
    Router::new()
        .route("/account", get(account::profile::show).post(account::profile::submit))
        .route("/account/verify-email", post(account::profile::send_link))
        .route("/account/status", post(account::profile::set_status))
        .route("/account/password", get(account::password::show).post(account::password::submit))
        .route("/account/passkeys", get(account::passkeys::show).post(account::passkeys::submit))
        .route("/account/passkeys/{id}", post(account::passkeys::change))
        .route("/account/security", get(account::security::show).post(account::security::submit))
        .route("/account/sessions", get(account::sessions::show).post(account::sessions::submit))
        .route("/account/applications", get(account::applications::show).post(account::applications::submit))
        .route("/account/language", get(account::language::show).post(account::language::submit))
}

/// Leads a browser to the console, if it is that of a partner admin, or to the account. Clients of the API get what they got
/// before there were pages.
async fn root(State(app): State<AppState>, request: Request) -> Result<Response, PageError> {
    let (mut parts, _) = request.into_parts();
    if !error_pages::wants_html(&parts.headers) {
        return Ok(Problem::unknown_path().into_response());
    }
    let session = Browser::from_request_parts(&mut parts, &app).await?.session;
    let is_admin = session.is_some_and(|session| session.is_admin && !session.is_restricted);
    see_other(if is_admin { "/console" } else { "/account" }, None)
}
