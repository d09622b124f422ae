//! The page that sets a new password after signing in with a temporary or expired one (B22), and then continues.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use crate::application::{find_request, leading_back};
use crate::assets;
use crate::forms::{carried_query, check_session, next_path, session_token};
use crate::password_rules::{Rule, names_of, policy_of};
use crate::person::{Person, find_person};
use crate::view::{View, render};
use tenantry_core::account_policy::PasswordPolicy;
use tenantry_core::error::Error;
use tenantry_core::languages::Language;
use tenantry_domain::password_changes;
use tenantry_http::browser::{Browser, session_cookie};
use tenantry_http::page_error::PageError;
use tenantry_http::pages::{Page, PageForm, see_other};
use tenantry_http::state::AppState;

#[derive(Template)]
#[template(path = "set_password.html")]
struct SetPasswordPage {
    view: View,
    token: String,
    username: String,
    names: String,
    rules: &'static [Rule],
    broken: Vec<Rule>,
}

fn page(
    app: &AppState,
    view: View,
    browser: &Browser,
    person: Person,
    (policy, broken): (PasswordPolicy, Vec<Rule>),
) -> Result<Page, PageError> {
    let rules = Rule::of(policy);
    let (token, names) = (session_token(app, browser), names_of(&person.user));
    render(&SetPasswordPage { view, token, username: person.user.username, names, rules, broken })
}

/// Shows the page. A session that needs no new password continues.
pub async fn show(
    State(app): State<AppState>,
    mut view: View,
    browser: Browser,
) -> Result<Response, PageError> {
    let Some(session) = &browser.session else {
        return see_other(&format!("/sign-in{}", carried_query(&view)), None);
    };
    if !session.is_restricted {
        return see_other(&next_path(&view), None);
    }
    let person = find_person(&app, session, &mut view).await?;
    let request = find_request(&app, &mut view).await?;
    let policy = policy_of(&app, &session.restricted_member()?).await?;
    let page = page(&app, view, &browser, person, (policy, Vec::new()))?;
    Ok(leading_back(page, request.as_ref()).into_response())
}

/// Sets the password.
pub async fn submit(
    State(app): State<AppState>,
    mut view: View,
    browser: Browser,
    mut form: PageForm,
) -> Result<Response, PageError> {
    let session = check_session(&app, &browser, &mut form)?;
    if !session.is_restricted {
        // The form was sent twice.
        return see_other(&next_path(&view), None);
    }
    let (member, new) = (session.restricted_member()?, form.take("newPassword"));
    match password_changes::set_first(&app, &member, new).await {
        Ok(cookie) => {
            let cookie = cookie.and_then(|cookie| session_cookie(&app, &cookie, session.is_kept));
            see_other(&next_path(&view), cookie)
        }
        Err(Error::Invalid(errors)) => {
            let policy = policy_of(&app, &member).await?;
            let broken = Rule::broken_by(&errors, policy);
            if broken.is_empty() {
                // Another form of this session has set another one meanwhile.
                return see_other(&next_path(&view), None);
            }
            let person = find_person(&app, session, &mut view).await?;
            let request = find_request(&app, &mut view).await?;
            let page = page(&app, view, &browser, person, (policy, broken))?;
            Ok(leading_back(page, request.as_ref()).status(StatusCode::BAD_REQUEST).into_response())
        }
        Err(other) => Err(other.into()),
    }
}
