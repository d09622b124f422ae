//! The page to sign in.

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use crate::application::{find_request, leading_back};
use crate::assets;
use crate::forms::{Visitor, carried_query, check_visitor, minutes, signed_in_path, too_many};
use crate::passkeys::PasskeyForm;
use crate::person::find_person;
use crate::view::{View, render};
use tenantry_core::error::{Error, GrantError};
use tenantry_core::languages::Language;
use tenantry_domain::factors::second_steps;
use tenantry_domain::logins::{self, FirstStep, SigningIn};
use tenantry_domain::tokens::Origin;
use tenantry_http::browser::{Browser, BrowserCookie, session_cookie};
use tenantry_http::page_error::PageError;
use tenantry_http::pages::{Page, PageForm, see_other};
use tenantry_http::state::AppState;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage<'a> {
    view: View,
    token: String,
    username: &'a str,
    is_kept: bool,
    problem: Option<String>,
    /// The sign-in with a passkey; none where nobody can have one.
    passkey: Option<PasskeyForm>,
}

/// Why somebody was not signed in.
pub struct Refusal<'a> {
    /// What the person is told.
    pub problem: String,
    /// A credential that was tried, and that nobody has.
    pub unknown_credential: Option<&'a str>,
}

impl From<String> for Refusal<'_> {
    fn from(problem: String) -> Self {
        Self { problem, unknown_credential: None }
    }
}

/// Shows the page. A browser that is signed in continues, unless an application, or a page of the account, requests a new
/// sign-in.
pub async fn show(
    State(app): State<AppState>,
    mut view: View,
    browser: Browser,
) -> Result<Response, PageError> {
    if let Some(session) = &browser.session
        && view.parameter("request").is_none()
        && view.parameter("again").is_none()
    {
        return see_other(&signed_in_path(&view, session.is_restricted, session.lacks_factor), None);
    }
    let request = find_request(&app, &mut view).await?;
    let mut hint = request.as_ref().and_then(|request| request.login_hint.clone()).unwrap_or_default();
    if let Some(session) = browser.session.as_ref().filter(|_| view.parameter("again").is_some()) {
        hint = find_person(&app, session, &mut view).await?.user.username;
    }
    let page = page(&app, view, &browser, &hint, false, None)?;
    Ok(leading_back(page, request.as_ref()).into_response())
}

/// The page, for a first or another try.
pub fn page(
    app: &AppState,
    view: View,
    browser: &Browser,
    username: &str,
    is_kept: bool,
    refusal: Option<Refusal<'_>>,
) -> Result<Page, PageError> {
    let visitor = Visitor::of(app, browser);
    let unknown = refusal.as_ref().and_then(|refusal| refusal.unknown_credential);
    let passkey = PasskeyForm::of_sign_in(app, &view, &visitor.cookie, unknown);
    let problem = refusal.map(|refusal| refusal.problem);
    let page = SignInPage { view, token: visitor.token, username, is_kept, problem, passkey };
    Ok(render(&page)?.with_cookie(visitor.set_cookie))
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
        let page = page(&app, view, &browser, &username, is_kept, Some(problem.into()))?;
        return Ok(leading_back(page, request.as_ref()).status(StatusCode::BAD_REQUEST).into_response());
    }
    let user_agent = headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let signing = SigningIn {
        username: &username,
        password,
        origin: Origin { address: browser.address, user_agent },
        is_kept,
        previous: browser.session_cookie.clone(),
        device: browser.device_cookie.clone(),
    };
    let signed_in = match logins::sign_in(&app, signing).await {
        Ok(FirstStep::SignedIn(signed_in)) => signed_in,
        Ok(FirstStep::SecondFactor(pending)) => {
            let pending = pending.seal(&app, browser.visitor_cookie.as_deref().unwrap_or_default())?;
            let cookie = BrowserCookie::PendingSignIn.set(&app, &pending, Some(second_steps::LIFETIME));
            return see_other(&format!("/sign-in/second-factor{}", carried_query(&view)), cookie);
        }
        Err(Error::Grant(GrantError::InvalidGrant, _)) => {
            let problem = text!(view.language, "sign-in-failed").to_owned();
            let page = page(&app, view, &browser, &username, is_kept, Some(problem.into()))?;
            return Ok(leading_back(page, request.as_ref()).status(StatusCode::BAD_REQUEST).into_response());
        }
        Err(Error::TooMany(wait)) => {
            let problem = text!(view.language, "sign-in-too-many", minutes = minutes(wait));
            let page = page(&app, view, &browser, &username, is_kept, Some(problem.into()))?;
            return Ok(too_many(leading_back(page, request.as_ref()), wait));
        }
        Err(other) => return Err(other.into()),
    };
    // Whether a second factor must be added, the next page finds out.
    let path = signed_in_path(&view, signed_in.is_restricted, false);
    see_other(&path, session_cookie(&app, &signed_in.cookie, is_kept))
}
