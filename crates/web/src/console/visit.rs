//! Who may come in: partner admins. Everybody else is led to what comes first, or told why not.

use std::time::Instant;

use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};

use super::shell::Shell;
use crate::assets;
use crate::forms::{check_session, session_token, sign_in_again};
use crate::person::{personalize, shown_name};
use crate::view::{View, render};
use tenantry_core::error::{Error, Missing};
use tenantry_core::languages::Language;
use tenantry_domain::browser_sessions::BrowserSession;
use tenantry_domain::console;
use tenantry_domain::factors::step_up;
use tenantry_http::browser::Browser;
use tenantry_http::page_error::{PageError, PageErrorKind};
use tenantry_http::pages::{FRAGMENT, PageForm, see_other};
use tenantry_http::state::AppState;
use tenantry_store::access::Admin;

/// A request of a partner admin for a page of the console.
pub struct Visit {
    /// Who asks.
    pub admin: Admin,
    /// The session of the browser.
    pub session: BrowserSession,
    /// What stands around the page.
    pub shell: Shell,
    browser: Browser,
}

#[derive(Template)]
#[template(path = "console_refused.html")]
struct Refused {
    view: View,
    who: String,
}

impl Visit {
    /// Checks the token of a form.
    ///
    /// # Errors
    /// The form is out of date, or of another session.
    pub fn check(&self, app: &AppState, form: &mut PageForm) -> Result<(), PageError> {
        check_session(app, &self.browser, form).map(drop)
    }

    /// Where an admin is redirected who has a second factor, but has not signed in with it recently, for what asks for that; the
    /// browser then returns to this page. `None` if the sign-in is good enough.
    ///
    /// # Errors
    /// Of the store.
    pub async fn expect_strong(&self, app: &AppState) -> Result<Option<Response>, PageError> {
        match step_up::expect_strong_admin(app, &self.admin).await {
            Ok(()) => Ok(None),
            Err(Error::InsufficientAuthentication(_)) => {
                let page = self.shell.view.here.split('?').next().unwrap_or("/console");
                see_other(&sign_in_again(&self.session, app.clock.read().latest, page), None).map(Some)
            }
            Err(other) => Err(other.into()),
        }
    }

    /// The language of the page.
    pub fn l(&self) -> Language {
        self.shell.l
    }
}

/// Where a browser is redirected that cannot see the console yet: to sign in, set a password or add a second factor, and then
/// back. After a POST, it returns to the page of the form.
fn first(session: Option<&BrowserSession>, view: &View, method: &Method) -> String {
    let first = match session {
        None => "/sign-in",
        Some(session) if session.is_restricted => "/set-password",
        Some(_) => "/second-factor/add",
    };
    let here =
        if *method == Method::GET { &view.here } else { view.here.split('?').next().unwrap_or("/console") };
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("next", here).finish();
    format!("{first}?{query}")
}

async fn enter(parts: &mut Parts, app: &AppState) -> Result<Result<Visit, Response>, PageError> {
    let started = Instant::now();
    let Ok(mut view) = View::from_request_parts(parts, app).await;
    let browser = Browser::from_request_parts(parts, app).await?;
    let is_fragment = parts.headers.contains_key(FRAGMENT);
    let session = match &browser.session {
        Some(session) if !session.is_restricted && !session.lacks_factor => session.clone(),
        // A script then opens the page itself, and never shows a sign-in as a part of it.
        _ if is_fragment => return Ok(Err(StatusCode::UNAUTHORIZED.into_response())),
        session => {
            let first = first(session.as_ref(), &view, &parts.method);
            return see_other(&first, None).map(Err);
        }
    };
    let head = match app.store.read(&session.member()?, console::get_head).await {
        Err(Error::NotFound(Missing::User)) => return Err(PageErrorKind::SignedOut.into()),
        head => head?,
    };
    personalize(app, &head.user, &mut view).await?;
    let who = shown_name(&head.user);
    let Ok(admin) = session.admin() else {
        let page = render(&Refused { view, who })?.of_console().status(StatusCode::FORBIDDEN);
        return Ok(Err(page.into_response()));
    };
    let shell = Shell {
        l: view.language,
        view,
        who,
        users: head.users,
        token: session_token(app, &browser),
        is_fragment,
        takes_gzip: assets::accepts_gzip(&parts.headers),
        started,
    };
    Ok(Ok(Visit { admin, session, shell, browser }))
}

impl FromRequestParts<AppState> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Response> {
        match enter(parts, app).await {
            Ok(visit) => visit,
            Err(error) => Err(error.into_response()),
        }
    }
}
