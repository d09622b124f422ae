//! The page to choose an account: to go on as the person who is signed in, or to sign in as somebody else.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};

use crate::application::{find_request, leading_back};
use crate::assets;
use crate::forms::{carried_query, check_session, next_path, session_token};
use crate::person::find_person;
use crate::view::{View, render};
use tenantry_core::languages::Language;
use tenantry_domain::authorization_requests::continue_path;
use tenantry_http::browser::Browser;
use tenantry_http::page_error::PageError;
use tenantry_http::pages::{PageForm, see_other};
use tenantry_http::state::AppState;

#[derive(Template)]
#[template(path = "choose_account.html")]
struct ChooseAccountPage {
    view: View,
    token: String,
    name: String,
    query: String,
}

/// Shows who is signed in. A browser without a session is redirected to the sign-in page.
pub async fn show(
    State(app): State<AppState>,
    mut view: View,
    browser: Browser,
) -> Result<Response, PageError> {
    let query = carried_query(&view);
    let Some(session) = &browser.session else { return see_other(&format!("/sign-in{query}"), None) };
    let person = find_person(&app, session, &mut view).await?;
    let request = find_request(&app, &mut view).await?;
    let token = session_token(&app, &browser);
    let name = format!("{} ({})", person.name, person.user.username);
    let page = render(&ChooseAccountPage { view, token, name, query })?;
    Ok(leading_back(page, request.as_ref()).into_response())
}

/// Goes on as the person who is signed in.
pub async fn submit(
    State(app): State<AppState>,
    mut view: View,
    browser: Browser,
    mut form: PageForm,
) -> Result<Response, PageError> {
    let session = check_session(&app, &browser, &mut form)?;
    let Some(request) = find_request(&app, &mut view).await? else {
        return see_other(&next_path(&view), None);
    };
    // The request may have asked for this choice.
    let chosen = request.with_account(session).seal(&app)?;
    see_other(&continue_path(&chosen), None)
}
