//! `GET|POST /oauth/logout` (OpenID Connect RP-Initiated Logout 1.0): the page that a client sends a browser to.

use axum::extract::{RawQuery, Request, State};
use axum::response::Response;
use axum::routing::get;

use crate::parameters::{known, of_body, of_query, query_of};
use tenantry_domain::logouts::{self, LogoutRefused, LogoutStep, PARAMETERS};
use tenantry_http::browser::{Browser, BrowserCookie};
use tenantry_http::page_error::{PageError, PageErrorKind};
use tenantry_http::pages::see_other;
use tenantry_http::state::AppState;

/// The longest query that a request by POST is redirected with.
const QUERY_MAX: usize = 8_000;

/// The page of this edge.
pub(crate) fn pages() -> axum::Router<AppState> {
    axum::Router::new().route("/oauth/logout", get(log_out).post(log_out_by_post))
}

async fn log_out(
    State(app): State<AppState>,
    RawQuery(query): RawQuery,
    browser: Browser,
) -> Result<Response, PageError> {
    let parameters = of_query(query.as_deref().unwrap_or_default());
    let issuer = &app.settings().public_url;
    match logouts::begin(&app, &parameters, browser.session.as_ref(), issuer).await {
        Ok(LogoutStep::Ask(sealed)) => see_other(&format!("/sign-out?request={sealed}"), None),
        Ok(LogoutStep::Done(location)) => {
            let location = location.as_deref().unwrap_or("/signed-out");
            see_other(location, BrowserCookie::Session.clear(&app))
        }
        Err(LogoutRefused::Page(detail)) => Err(PageError::with_detail(PageErrorKind::BadRequest, detail)),
        Err(LogoutRefused::Failed(error)) => Err(error.into()),
    }
}

/// A request by POST from another site comes without the cookie of the session: it is sent again by GET.
async fn log_out_by_post(_: Browser, request: Request) -> Result<Response, PageError> {
    let query = query_of(&known(of_body(request).await?, &PARAMETERS));
    if query.len() > QUERY_MAX {
        return Err(PageError::with_detail(PageErrorKind::BadRequest, "the parameters are too long"));
    }
    see_other(&format!("/oauth/logout?{query}"), None)
}
