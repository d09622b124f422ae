//! The pages to sign out.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};

use crate::assets;
use crate::forms::{check_session, session_token};
use crate::person::find_person;
use crate::view::{View, render};
use tenantry_core::languages::Language;
use tenantry_domain::logouts::{self, LogoutRequest};
use tenantry_domain::{browser_sessions, clients};
use tenantry_http::browser::{Browser, BrowserCookie};
use tenantry_http::page_error::PageError;
use tenantry_http::pages::{PageForm, see_other};
use tenantry_http::state::AppState;

#[derive(Template)]
#[template(path = "sign_out.html")]
struct SignOutPage {
    view: View,
    token: String,
    name: String,
}

#[derive(Template)]
#[template(path = "signed_out.html")]
struct SignedOutPage {
    view: View,
}

/// Asks whether to sign out.
pub async fn show(
    State(app): State<AppState>,
    mut view: View,
    browser: Browser,
) -> Result<Response, PageError> {
    let request = logout_of(&app, &view);
    let Some(session) = &browser.session else {
        return see_other(&after(request.as_ref()), BrowserCookie::Session.clear(&app));
    };
    let person = find_person(&app, session, &mut view).await?;
    if let Some(request) = &request {
        view.prefer(request.ui_locales.as_deref().and_then(Language::of_ui_locales));
        if let Some(client_id) = &request.client_id {
            view.application = clients::find(&app, client_id).await?.map(|client| client.name);
        }
    }
    let token = session_token(&app, &browser);
    let page = render(&SignOutPage { view, token, name: person.name })?;
    let page = match request.and_then(|request| request.redirect_uri) {
        Some(uri) => page.leading_to(&uri),
        None => page,
    };
    Ok(page.into_response())
}

/// Signs out.
pub async fn submit(
    State(app): State<AppState>,
    view: View,
    browser: Browser,
    mut form: PageForm,
) -> Result<Response, PageError> {
    // The form was sent twice, or the session has ended elsewhere.
    if browser.session.is_some() {
        let session = check_session(&app, &browser, &mut form)?;
        browser_sessions::end(&app, session).await?;
    }
    see_other(&after(logout_of(&app, &view).as_ref()), BrowserCookie::Session.clear(&app))
}

/// The logout that an application has requested; `None` if it has expired.
fn logout_of(app: &AppState, view: &View) -> Option<LogoutRequest> {
    logouts::open(app, &view.parameter("request")?)
}

/// Where the browser goes once it is signed out: to the application, or to our own page.
fn after(request: Option<&LogoutRequest>) -> String {
    request.and_then(LogoutRequest::location).unwrap_or_else(|| String::from("/signed-out"))
}

/// Says that the person is signed out.
pub async fn signed_out(view: View, _: Browser) -> Result<Response, PageError> {
    Ok(render(&SignedOutPage { view })?.into_response())
}
