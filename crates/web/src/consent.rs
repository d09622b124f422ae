//! The page on which a person allows an application to learn something, or does not.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};

use crate::assets;
use crate::forms::{carried_query, check_session, session_token};
use crate::person::find_person;
use crate::scope_texts::scope_texts;
use crate::view::{View, render};
use tenantry_core::clients::Client;
use tenantry_core::languages::Language;
use tenantry_domain::authorization_requests::{self, AuthorizationRequest, continue_path};
use tenantry_domain::{clients, consents, unit};
use tenantry_http::browser::Browser;
use tenantry_http::page_error::{PageError, PageErrorKind};
use tenantry_http::pages::{PageForm, see_other};
use tenantry_http::state::AppState;

#[derive(Template)]
#[template(path = "consent.html")]
struct ConsentPage {
    view: View,
    token: String,
    client: String,
    username: String,
    scopes: Vec<&'static str>,
}

/// The request of this page, and its client.
async fn find_request(app: &AppState, view: &View) -> Result<(AuthorizationRequest, Client), PageError> {
    let sealed = view.parameter("request").unwrap_or_default();
    let request = authorization_requests::open(app, &sealed).ok_or(PageErrorKind::ExpiredRequest)?;
    let client = clients::find(app, &request.client_id).await?.ok_or(PageErrorKind::UnknownClient)?;
    Ok((request, client))
}

/// Asks the person.
pub async fn show(
    State(app): State<AppState>,
    mut view: View,
    browser: Browser,
) -> Result<Response, PageError> {
    let (request, client) = find_request(&app, &view).await?;
    let query = carried_query(&view);
    let session = match &browser.session {
        None => return see_other(&format!("/sign-in{query}"), None),
        Some(session) if session.is_restricted => return see_other(&format!("/set-password{query}"), None),
        Some(session) if session.lacks_factor => {
            return see_other(&format!("/second-factor/add{query}"), None);
        }
        Some(session) => session,
    };
    if !consents::is_asked(&client, session.pid) {
        // There is nothing to ask: the next step issues a code or refuses.
        return see_other(&continue_path(&view.parameter("request").unwrap_or_default()), None);
    }
    let person = find_person(&app, session, &mut view).await?;
    view.prefer(request.ui_locales.as_deref().and_then(Language::of_ui_locales));
    let page = ConsentPage {
        token: session_token(&app, &browser),
        client: client.name.clone(),
        username: person.user.username,
        scopes: scope_texts(request.consent_scopes(), view.language),
        view,
    };
    Ok(render(&page)?.leading_to(&request.return_to.redirect_uri).into_response())
}

/// Stores the person's decision and goes on with the request.
pub async fn submit(
    State(app): State<AppState>,
    view: View,
    browser: Browser,
    mut form: PageForm,
) -> Result<Response, PageError> {
    let session = check_session(&app, &browser, &mut form)?;
    let member = session.member()?;
    let (request, client) = find_request(&app, &view).await?;
    let decided = match form.take("decision").as_str() {
        "allow" if !consents::is_asked(&client, session.pid) => request,
        "allow" => {
            let (scopes, client_id) = (request.consent_scopes(), request.client_id.clone());
            unit::write(&app.store, &member, move |tx| consents::grant_own(tx, &client_id, scopes)).await?;
            request.with_consent(session)
        }
        "deny" => request.refused(),
        _ => {
            let detail = "the form does not say whether to allow it";
            return Err(PageError::with_detail(PageErrorKind::BadRequest, detail));
        }
    };
    see_other(&continue_path(&decided.seal(&app)?), None)
}
