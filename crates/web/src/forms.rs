//! Forms: the token that ties them to a browser, and where they lead.

use std::time::Duration;

use axum::http::HeaderValue;

use crate::view::View;
use tenantry_core::clock::Millis;
use tenantry_domain::browser_sessions::{ACR_SECOND_FACTOR, BrowserSession};
use tenantry_domain::factors;
use tenantry_http::browser::{Browser, BrowserCookie};
use tenantry_http::page_error::{PageError, PageErrorKind};
use tenantry_http::pages::{PageForm, check_form_token, form_token, local_path};
use tenantry_http::state::AppState;

/// What ties a form for nobody in particular to a browser.
pub struct Visitor {
    /// The value of the browser's cookie.
    pub cookie: String,
    /// The token of the form.
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

/// The token of a form for nobody in particular, and the cookie that ties it to the browser, if that has none yet.
pub fn visitor_token(app: &AppState, browser: &Browser) -> (String, Option<HeaderValue>) {
    let Visitor { token, set_cookie, .. } = Visitor::of(app, browser);
    (token, set_cookie)
}

/// Checks the token of a form for nobody in particular.
///
/// # Errors
/// The browser sends no cookies; the form is out of date.
pub fn check_visitor(app: &AppState, browser: &Browser, form: &mut PageForm) -> Result<(), PageError> {
    let cookie = browser.visitor_cookie.as_deref().ok_or(PageErrorKind::CookiesOff)?;
    check_form_token(app, cookie, &form.take("token"))
}

/// The token of a form of a session.
pub fn session_token(app: &AppState, browser: &Browser) -> String {
    form_token(app, browser.session_cookie.as_deref().unwrap_or_default())
}

/// Checks the token of a form of a session, and returns the session.
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

/// The query of this page that other pages of the same sign-in have as well.
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

/// Where somebody goes first who cannot see this page yet: signs in, sets a password or adds a second factor, and then comes back. A form that was
/// sent is filled in again: it comes back to its page.
pub fn sign_in_first(session: Option<&BrowserSession>, view: &View) -> String {
    let first = match session {
        None => "/sign-in",
        Some(session) if session.is_restricted => "/set-password",
        Some(_) => "/second-factor/add",
    };
    let path = view.here.split_once('?').map_or(view.here.as_str(), |(path, _)| path);
    // The form that sends a link is on the first page.
    let path = match path {
        "/account/verify-email" => "/account",
        path if path.starts_with("/account/passkeys/") => "/account/passkeys",
        path => path,
    };
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("next", path).finish();
    format!("{first}?{query}")
}

/// Where somebody goes first whose sign-in is too old or too weak for a page, and then comes to `next`.
pub fn sign_in_again(session: &BrowserSession, now: Millis, next: &str) -> String {
    // Somebody who has just signed in on a remembered device gives the second factor.
    let is_recent = now.saturating_sub(session.auth_time) <= factors::FRESH;
    let mut query = form_urlencoded::Serializer::new(String::new());
    if is_recent && session.acr < ACR_SECOND_FACTOR {
        return format!("/second-factor?{}", query.append_pair("next", next).finish());
    }
    format!("/sign-in?{}", query.append_pair("again", "1").append_pair("next", next).finish())
}

/// How long to wait, in minutes.
pub fn minutes(wait: Duration) -> u64 {
    wait.as_secs().div_ceil(60).max(1)
}

/// Where the request of an application goes on.
fn continue_path(sealed: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("request", sealed);
    format!("/oauth/authorize/continue?{}", query.finish())
}
