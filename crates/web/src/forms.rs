//! Forms: their CSRF tokens, and where a browser goes after them.

use std::time::Duration;

use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};

use crate::view::View;
use tenantry_domain::authorization_requests::continue_path;
use tenantry_domain::browser_sessions::BrowserSession;
use tenantry_http::browser::{Browser, BrowserCookie};
use tenantry_http::page_error::{PageError, PageErrorKind};
use tenantry_http::pages::{Page, PageForm, check_form_token, form_token, local_path};
use tenantry_http::state::AppState;

/// The CSRF token of a form that needs no session, and the cookie that it belongs to, if the browser has none yet.
pub fn visitor_token(app: &AppState, browser: &Browser) -> (String, Option<HeaderValue>) {
    match &browser.visitor_cookie {
        Some(cookie) => (form_token(app, cookie), None),
        None => {
            let cookie = app.random.token::<16>();
            (form_token(app, &cookie), BrowserCookie::Visitor.set(app, &cookie, None))
        }
    }
}

/// Checks the CSRF token of a form that needs no session.
///
/// # Errors
/// The browser sends no cookies; the form is out of date.
pub fn check_visitor(app: &AppState, browser: &Browser, form: &mut PageForm) -> Result<(), PageError> {
    let cookie = browser.visitor_cookie.as_deref().ok_or(PageErrorKind::CookiesOff)?;
    check_form_token(app, cookie, &form.take("token"))
}

/// The CSRF token of a form that needs a session.
pub fn session_token(app: &AppState, browser: &Browser) -> String {
    form_token(app, browser.session_cookie.as_deref().unwrap_or_default())
}

/// Checks the CSRF token of a form that needs a session, and returns the session.
///
/// # Errors
/// The session has ended; the form is out of date, or of another session.
pub fn check_session<'b>(
    app: &AppState,
    browser: &'b Browser,
    form: &mut PageForm,
) -> Result<&'b BrowserSession, PageError> {
    let (Some(session), Some(cookie)) = (&browser.session, &browser.session_cookie) else {
        return Err(PageErrorKind::SignedOut.into());
    };
    check_form_token(app, cookie, &form.take("token"))?;
    Ok(session)
}

/// The part of the query that links to other pages of the same sign-in must repeat.
pub fn carried_query(view: &View) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for name in ["request", "next", "language"] {
        if let Some(value) = view.parameter(name) {
            query.append_pair(name, &value);
        }
    }
    let query = query.finish();
    if query.is_empty() { query } else { format!("?{query}") }
}

/// Where a person goes on after a sign-in: back to the application, to the page that was asked for, or to the account.
pub fn next_path(view: &View) -> String {
    if let Some(request) = view.parameter("request") {
        return continue_path(&request);
    }
    view.parameter("next").as_deref().and_then(local_path).unwrap_or("/account").to_owned()
}

/// Where a browser goes that is signed in: first to set a password, if the session is restricted.
pub fn signed_in_path(view: &View, is_restricted: bool) -> String {
    if is_restricted { format!("/set-password{}", carried_query(view)) } else { next_path(view) }
}

/// Where a browser is redirected that cannot see this page yet: to sign in or set a password, and then back. After a POST,
/// it returns to the page of the form.
pub fn sign_in_first(session: Option<&BrowserSession>, view: &View) -> String {
    let first = if session.is_some() { "/set-password" } else { "/sign-in" };
    let path = view.here.split_once('?').map_or(view.here.as_str(), |(path, _)| path);
    // These forms are on the first page.
    let path = if matches!(path, "/account/verify-email" | "/account/status") { "/account" } else { path };
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("next", path).finish();
    format!("{first}?{query}")
}

/// A page that says that there were too many requests: how long to wait is in `Retry-After`, and should be in its text.
pub fn too_many(page: Page, wait: Duration) -> Response {
    let mut response = page.status(StatusCode::TOO_MANY_REQUESTS).into_response();
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// How long to wait, in minutes.
pub fn minutes(wait: Duration) -> u64 {
    wait.as_secs().div_ceil(60).max(1)
}
