//! The language switch in the footer of every page.

use axum::extract::State;
use axum::response::Response;

use crate::view::{View, in_language};
use tenantry_core::languages::Language;
use tenantry_http::browser::{Browser, language_cookie};
use tenantry_http::page_error::{PageError, PageErrorKind};
use tenantry_http::pages::{local_path, see_other};
use tenantry_http::state::AppState;

/// Remembers the language in a cookie and returns to the page.
pub async fn choose(State(app): State<AppState>, view: View, _: Browser) -> Result<Response, PageError> {
    let chosen = view.parameter("to").as_deref().and_then(Language::parse);
    let language = chosen.ok_or_else(|| {
        PageError::with_detail(PageErrorKind::BadRequest, "`to` is not one of the languages")
    })?;
    let back = view.parameter("back");
    let back = back.as_deref().and_then(local_path).unwrap_or("/account");
    see_other(&in_language(back, language), language_cookie(&app, language.tag()))
}
