//! The page to sign in.

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use crate::application::{find_request, leading_back};
use crate::assets;
use crate::forms::{check_visitor, minutes, signed_in_path, too_many, visitor_token};
use crate::view::{View, render};
use tenantry_core::error::{Error, GrantError};
use tenantry_core::languages::Language;
use tenantry_domain::logins::{self, SigningIn};
use tenantry_domain::tokens::Origin;
use tenantry_http::browser::{Browser, session_cookie};
use tenantry_http::page_error::PageError;
use tenantry_http::pages::{PageForm, see_other};
use tenantry_http::state::AppState;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage<'a> {
    view: View,
    token: String,
    username: &'a str,
    is_kept: bool,
    problem: Option<String>,
}

/// Shows the page. A browser that is signed in continues, unless an application requests a new sign-in.
pub async fn show(
    State(app): State<AppState>,
    mut view: View,
    browser: Browser,
) -> Result<Response, PageError> {
    if let Some(session) = &browser.session
        && view.parameter("request").is_none()
    {
        return see_other(&signed_in_path(&view, session.is_restricted), None);
    }
    let request = find_request(&app, &mut view).await?;
    let hint = request.as_ref().and_then(|request| request.login_hint.clone()).unwrap_or_default();
    let page = page(&app, view, &browser, &hint, false, None)?;
    Ok(leading_back(page, request.as_ref()).into_response())
}

fn page(
    app: &AppState,
    view: View,
    browser: &Browser,
    username: &str,
    is_kept: bool,
    problem: Option<String>,
) -> Result<tenantry_http::pages::Page, PageError> {
    let (token, cookie) = visitor_token(app, browser);
    Ok(render(&SignInPage { view, token, username, is_kept, problem })?.with_cookie(cookie))
}

/// Signs in.
pub async fn submit(
    State(app): State<AppState>,
    mut view: View,
    browser: Browser,
    headers: HeaderMap,
    mut form: PageForm,
) -> Result<Response, PageError> {
    let request = find_request(&app, &mut view).await?;
    check_visitor(&app, &browser, &mut form)?;
    let (username, password) = (form.take("username"), form.take("password"));
    let is_kept = form.is_checked("keep");
    if username.trim().is_empty() || password.is_empty() {
        let problem = text!(view.language, "sign-in-failed").to_owned();
        let page = page(&app, view, &browser, &username, is_kept, Some(problem))?;
        return Ok(leading_back(page, request.as_ref()).status(StatusCode::BAD_REQUEST).into_response());
    }
    let user_agent = headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let signing = SigningIn {
        username: &username,
        password,
        origin: Origin { address: browser.address, user_agent },
        is_kept,
        previous: browser.session_cookie.clone(),
    };
    let signed_in = match logins::sign_in(&app, signing).await {
        Ok(signed_in) => signed_in,
        Err(Error::Grant(GrantError::InvalidGrant, _)) => {
            let problem = text!(view.language, "sign-in-failed").to_owned();
            let page = page(&app, view, &browser, &username, is_kept, Some(problem))?;
            return Ok(leading_back(page, request.as_ref()).status(StatusCode::BAD_REQUEST).into_response());
        }
        Err(Error::TooMany(wait)) => {
            let problem = text!(view.language, "sign-in-too-many", minutes = minutes(wait));
            let page = page(&app, view, &browser, &username, is_kept, Some(problem))?;
            return Ok(too_many(leading_back(page, request.as_ref()), wait));
        }
        Err(other) => return Err(other.into()),
    };
    let path = signed_in_path(&view, signed_in.is_restricted);
    see_other(&path, session_cookie(&app, &signed_in.cookie, is_kept))
}
