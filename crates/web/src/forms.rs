//! Forms: their CSRF tokens, and where a browser goes after them.

use std::time::Duration;

use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};

use crate::view::View;
use tenantry_core::clock::Millis;
use tenantry_domain::authorization_requests::continue_path;
use tenantry_domain::browser_sessions::{ACR_SECOND_FACTOR, BrowserSession};
use tenantry_domain::factors;
use tenantry_http::browser::{Browser, BrowserCookie};
use tenantry_http::page_error::{PageError, PageErrorKind};
use tenantry_http::pages::{Page, PageForm, check_form_token, form_token, local_path};
use tenantry_http::state::AppState;

/// What ties a form that needs no session to a browser.
pub struct Visitor {
    /// The value of the browser's cookie.
    pub cookie: String,
    /// The CSRF token of the form.
    pub token: String,
    /// Sets the cookie, if the browser has none yet.
    pub set_cookie: Option<HeaderValue>,
}

impl Visitor {
    /// The cookie of this browser, or a new one.
    pub fn of(app: &AppState, browser: &Browser) -> Self {
        match &browser.visitor_cookie {
            Some(cookie) => Self { token: form_token(app, cookie), cookie: cookie.clone(), set_cookie: None },
            None => {
                let cookie = app.random.token::<16>();
                let set_cookie = BrowserCookie::Visitor.set(app, &cookie, None);
                Self { token: form_token(app, &cookie), cookie, set_cookie }
            }
        }
    }
}

/// The CSRF token of a form that needs no session, and the cookie that it belongs to, if the browser has none yet.
pub fn visitor_token(app: &AppState, browser: &Browser) -> (String, Option<HeaderValue>) {
    let Visitor { token, set_cookie, .. } = Visitor::of(app, browser);
    (token, set_cookie)
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

/// Where a browser goes that is signed in: first to set a password or to add a second factor, if it has to.
pub fn signed_in_path(view: &View, is_restricted: bool, lacks_factor: bool) -> String {
    if is_restricted {
        format!("/set-password{}", carried_query(view))
    } else if lacks_factor {
        format!("/second-factor/add{}", carried_query(view))
    } else {
        next_path(view)
    }
}

/// Where a browser is redirected that cannot see this page yet: to sign in, set a password or add a second factor, and then
/// back. After a POST, it returns to the page of the form.
pub fn sign_in_first(session: Option<&BrowserSession>, view: &View) -> String {
    let first = match session {
        None => "/sign-in",
        Some(session) if session.is_restricted => "/set-password",
        Some(_) => "/second-factor/add",
    };
    let path = view.here.split_once('?').map_or(view.here.as_str(), |(path, _)| path);
    let path = match path {
        // These forms are on the first page.
        "/account/verify-email" | "/account/status" => "/account",
        path if path.starts_with("/account/passkeys/") => "/account/passkeys",
        path => path,
    };
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("next", path).finish();
    format!("{first}?{query}")
}

/// Where a browser goes whose sign-in is too old or too weak for a page, and then to `next`.
pub fn sign_in_again(session: &BrowserSession, now: Millis, next: &str) -> String {
    // Somebody who has just signed in on a remembered device gives the second factor.
    let is_recent = now.saturating_sub(session.auth_time) <= factors::FRESH;
    let mut query = form_urlencoded::Serializer::new(String::new());
    if is_recent && session.acr < ACR_SECOND_FACTOR {
        return format!("/second-factor?{}", query.append_pair("next", next).finish());
    }
    format!("/sign-in?{}", query.append_pair("again", "1").append_pair("next", next).finish())
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
