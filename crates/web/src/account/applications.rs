//! The page of the applications that the person has allowed to learn something.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use super::{Messages, Part, done, require, shown_time};
use crate::assets;
use crate::forms::{check_session, session_token};
use crate::person::find_person;
use crate::scope_texts::scope_texts;
use crate::view::{View, render};
use tenantry_core::error::{Error, Missing};
use tenantry_core::languages::Language;
use tenantry_domain::browser_sessions::BrowserSession;
use tenantry_domain::{consents, unit};
use tenantry_http::browser::Browser;
use tenantry_http::page_error::PageError;
use tenantry_http::pages::{Page, PageForm, see_other};
use tenantry_http::state::AppState;

/// Maximum number of applications that are shown.
const SHOWN: i64 = 500;

#[derive(Template)]
#[template(path = "account_applications.html")]
struct ApplicationsPage {
    view: View,
    part: Part,
    messages: Messages,
    token: String,
    applications: Vec<Row>,
}

/// An application as the page shows it.
struct Row {
    id: String,
    name: String,
    since: String,
    scopes: Vec<&'static str>,
}

async fn page(
    app: &AppState,
    mut view: View,
    browser: &Browser,
    session: &BrowserSession,
    say: impl FnOnce(&View) -> Messages,
) -> Result<Page, PageError> {
    find_person(app, session, &mut view).await?;
    let list = app.store.read(&session.member()?, |tx| consents::list_own(tx, None, SHOWN)).await?;
    let language = view.language;
    let applications = list.into_iter().map(|consent| Row {
        id: consent.client_id,
        name: consent.client_name,
        since: shown_time(consent.created_at),
        scopes: scope_texts(consent.scopes, language),
    });
    let page = ApplicationsPage {
        messages: say(&view),
        part: Part::Applications,
        token: session_token(app, browser),
        applications: applications.collect(),
        view,
    };
    Ok(render(&page)?.of_account())
}

/// Shows the applications.
pub async fn show(State(app): State<AppState>, view: View, browser: Browser) -> Result<Response, PageError> {
    let session = match require(&browser, &view) {
        Ok(session) => session,
        Err(elsewhere) => return see_other(&elsewhere, None),
    };
    let say = |view: &View| {
        let is_done = view.parameter("done").as_deref() == Some("withdrawn");
        Messages::notice(is_done.then(|| text!(view.language, "applications-withdrawn")))
    };
    Ok(page(&app, view, &browser, session, say).await?.into_response())
}

/// Withdraws what an application was allowed.
pub async fn submit(
    State(app): State<AppState>,
    view: View,
    browser: Browser,
    mut form: PageForm,
) -> Result<Response, PageError> {
    if let Err(elsewhere) = require(&browser, &view) {
        return see_other(&elsewhere, None);
    }
    let session = check_session(&app, &browser, &mut form)?;
    let (member, client_id) = (session.member()?, form.take("withdraw"));
    let withdraw = unit::write(&app.store, &member, move |tx| consents::withdraw_own(tx, &client_id));
    match withdraw.await {
        Ok(()) => see_other(&done(Part::Applications, "withdrawn"), None),
        Err(Error::NotFound(Missing::Consent)) => {
            let say = |view: &View| Messages::problem(text!(view.language, "applications-gone"));
            let page = page(&app, view, &browser, session, say).await?;
            Ok(page.status(StatusCode::NOT_FOUND).into_response())
        }
        Err(other) => Err(other.into()),
    }
}
