//! The pages for forgotten passwords and usernames. The response is the same for any username and address.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use crate::assets;
use crate::forms::{check_visitor, minutes, too_many, visitor_token};
use crate::view::{View, render};
use tenantry_core::error::{Error, Result as CoreResult};
use tenantry_core::languages::Language;
use tenantry_core::values;
use tenantry_domain::forgot_password::{self, Whose};
use tenantry_domain::forgot_username;
use tenantry_http::browser::Browser;
use tenantry_http::page_error::PageError;
use tenantry_http::pages::{Page, PageForm, see_other};
use tenantry_http::state::AppState;

/// What was forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Forgotten {
    Password,
    Username,
}

impl Forgotten {
    fn path(self) -> &'static str {
        match self {
            Self::Password => "/forgot-password",
            Self::Username => "/forgot-username",
        }
    }
}

#[derive(Template)]
#[template(path = "forgot.html")]
struct ForgotPage<'a> {
    view: View,
    forgotten: Forgotten,
    token: String,
    who: &'a str,
    problem: Option<String>,
}

#[derive(Template)]
#[template(path = "forgot_sent.html")]
struct SentPage {
    view: View,
    forgotten: Forgotten,
}

fn page(
    app: &AppState,
    view: View,
    browser: &Browser,
    forgotten: Forgotten,
    (who, problem): (&str, Option<String>),
) -> Result<Page, PageError> {
    let (token, cookie) = visitor_token(app, browser);
    Ok(render(&ForgotPage { view, forgotten, token, who, problem })?.with_cookie(cookie))
}

fn show(app: &AppState, view: View, browser: &Browser, forgotten: Forgotten) -> Result<Response, PageError> {
    if view.parameter("sent").is_some() {
        return Ok(render(&SentPage { view, forgotten })?.into_response());
    }
    page(app, view, browser, forgotten, ("", None)).map(|page| page.into_response())
}

/// The page of a forgotten password.
pub async fn show_password(
    State(app): State<AppState>,
    view: View,
    browser: Browser,
) -> Result<Response, PageError> {
    show(&app, view, &browser, Forgotten::Password)
}

/// The page of a forgotten username.
pub async fn show_username(
    State(app): State<AppState>,
    view: View,
    browser: Browser,
) -> Result<Response, PageError> {
    show(&app, view, &browser, Forgotten::Username)
}

/// Requests a temporary password by mail.
pub async fn submit_password(
    State(app): State<AppState>,
    view: View,
    browser: Browser,
    mut form: PageForm,
) -> Result<Response, PageError> {
    check_visitor(&app, &browser, &mut form)?;
    let who = form.take("who");
    if values::trim(&who).is_empty() {
        let problem = text!(view.language, "required-field").to_owned();
        let page = page(&app, view, &browser, Forgotten::Password, (&who, Some(problem)))?;
        return Ok(page.status(StatusCode::BAD_REQUEST).into_response());
    }
    let asked = forgot_password::ask(&app, browser.address, &Whose::Either(who.as_str().to_owned())).await;
    answer(&app, view, &browser, Forgotten::Password, (&who, asked))
}

/// Requests usernames by mail.
pub async fn submit_username(
    State(app): State<AppState>,
    view: View,
    browser: Browser,
    mut form: PageForm,
) -> Result<Response, PageError> {
    check_visitor(&app, &browser, &mut form)?;
    let who = form.take("who");
    if values::email(values::trim(&who)).is_err() {
        let problem = text!(view.language, "problem-email").to_owned();
        let page = page(&app, view, &browser, Forgotten::Username, (&who, Some(problem)))?;
        return Ok(page.status(StatusCode::BAD_REQUEST).into_response());
    }
    let asked = forgot_username::ask(&app, browser.address, &who).await;
    answer(&app, view, &browser, Forgotten::Username, (&who, asked))
}

fn answer(
    app: &AppState,
    view: View,
    browser: &Browser,
    forgotten: Forgotten,
    (who, asked): (&str, CoreResult<()>),
) -> Result<Response, PageError> {
    match asked {
        Ok(()) => see_other(&format!("{}?sent=1", forgotten.path()), None),
        Err(Error::TooMany(wait)) => {
            let problem = text!(view.language, "forgot-too-many", minutes = minutes(wait));
            let page = page(app, view, browser, forgotten, (who, Some(problem)))?;
            Ok(too_many(page, wait))
        }
        Err(other) => Err(other.into()),
    }
}
