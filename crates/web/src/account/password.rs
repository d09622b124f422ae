//! The page to change one's own password.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use super::{Messages, Part, done, require};
use crate::assets;
use crate::forms::{check_session, session_token};
use crate::password_rules::{Rule, names_of, policy_of};
use crate::person::find_person;
use crate::view::{View, render};
use tenantry_core::error::{Error, FieldError};
use tenantry_core::languages::Language;
use tenantry_domain::browser_sessions::BrowserSession;
use tenantry_domain::password_changes;
use tenantry_http::browser::{Browser, session_cookie};
use tenantry_http::page_error::PageError;
use tenantry_http::pages::{Page, PageForm, see_other};
use tenantry_http::state::AppState;

#[derive(Template)]
#[template(path = "account_password.html")]
struct PasswordPage {
    view: View,
    part: Part,
    messages: Messages,
    token: String,
    username: String,
    names: String,
    rules: &'static [Rule],
    is_wrong: bool,
    broken: Vec<Rule>,
}

/// What is wrong with what was typed.
#[derive(Default)]
struct Refusal {
    is_wrong: bool,
    errors: Vec<FieldError>,
}

async fn page(
    app: &AppState,
    mut view: View,
    browser: &Browser,
    session: &BrowserSession,
    refusal: Refusal,
) -> Result<Page, PageError> {
    let person = find_person(app, session, &mut view).await?;
    let is_changed = view.parameter("done").as_deref() == Some("changed");
    let policy = policy_of(app, &session.member()?).await?;
    let Refusal { is_wrong, errors } = refusal;
    let (rules, broken) = (Rule::of(policy), Rule::broken_by(&errors, policy));
    let messages = if is_wrong || !broken.is_empty() {
        Messages::problem(text!(view.language, "problem-fix"))
    } else {
        Messages::notice(is_changed.then(|| text!(view.language, "password-changed")))
    };
    let (token, names, part) = (session_token(app, browser), names_of(&person.user), Part::Password);
    let username = person.user.username;
    let page = PasswordPage { view, part, messages, token, username, names, rules, is_wrong, broken };
    Ok(render(&page)?.of_account())
}

/// Shows the page.
pub async fn show(State(app): State<AppState>, view: View, browser: Browser) -> Result<Response, PageError> {
    let session = match require(&browser, &view) {
        Ok(session) => session,
        Err(elsewhere) => return see_other(&elsewhere, None),
    };
    Ok(page(&app, view, &browser, session, Refusal::default()).await?.into_response())
}

/// Changes the password. The browser gets a new cookie; every other session ends.
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
    let (old, new) = (form.take("oldPassword"), form.take("newPassword"));
    match password_changes::change_own(&app, &session.member()?, old, new).await {
        Ok(cookie) => {
            let cookie = cookie.and_then(|cookie| session_cookie(&app, &cookie, session.is_kept));
            see_other(&done(Part::Password, "changed"), cookie)
        }
        Err(Error::Invalid(errors)) => {
            let is_wrong = errors.iter().any(|error| error.field == "/oldPassword");
            let refusal = Refusal { is_wrong, errors };
            let page = page(&app, view, &browser, session, refusal).await?;
            Ok(page.status(StatusCode::BAD_REQUEST).into_response())
        }
        Err(other) => Err(other.into()),
    }
}
