//! The pages that ask for a second factor: at a sign-in, after the password, and of somebody who is signed in, for what needs
//! a stronger sign-in.

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use crate::application::{find_request, leading_back};
use crate::assets;
use crate::forms::{
    carried_query, check_session, check_visitor, minutes, next_path, session_token, signed_in_path, too_many,
    visitor_token,
};
use crate::passkeys::PasskeyForm;
use crate::view::{View, render};
use tenantry_core::clock::DAY;
use tenantry_core::error::{Error, GrantError};
use tenantry_core::languages::Language;
use tenantry_domain::factors::second_steps::{self, PendingSignIn, SecondStep};
use tenantry_domain::factors::step_up::{self, SteppedUp};
use tenantry_domain::factors::{self, Factor};
use tenantry_domain::passkeys;
use tenantry_domain::tokens::Origin;
use tenantry_http::browser::{Browser, BrowserCookie, session_cookie};
use tenantry_http::page_error::PageError;
use tenantry_http::pages::{Page, PageForm, see_other};
use tenantry_http::state::AppState;

#[derive(Template)]
#[template(path = "second_factor.html")]
struct SecondFactorPage {
    view: View,
    token: String,
    /// How long the device can be remembered, in days; 0 = not at all.
    remember_days: i64,
    asks_app: bool,
    asks_recovery_code: bool,
    passkey: Option<PasskeyForm>,
    problem: Option<String>,
}

/// What the page asks for.
struct Asked {
    token: String,
    factors: Vec<Factor>,
    passkey: Option<PasskeyForm>,
    remember_days: i64,
    problem: Option<String>,
}

fn page(view: View, asked: Asked) -> Result<Page, PageError> {
    let Asked { token, factors, passkey, remember_days, problem } = asked;
    let asks_app = factors.contains(&Factor::Totp);
    let asks_recovery_code = factors.contains(&Factor::RecoveryCode);
    render(&SecondFactorPage { view, token, remember_days, asks_app, asks_recovery_code, passkey, problem })
}

fn pending_of(app: &AppState, browser: &Browser) -> Option<PendingSignIn> {
    PendingSignIn::open(app, browser.pending_cookie.as_deref()?, browser.visitor_cookie.as_deref()?)
}

/// The page to start again from.
fn start_again(app: &AppState, view: &View) -> Result<Response, PageError> {
    see_other(&format!("/sign-in{}", carried_query(view)), BrowserCookie::PendingSignIn.clear(app))
}

async fn sign_in_page(
    app: &AppState,
    mut view: View,
    browser: &Browser,
    pending: &PendingSignIn,
    problem: Option<String>,
) -> Result<Page, PageError> {
    let request = find_request(app, &mut view).await?;
    let (token, cookie) = visitor_token(app, browser);
    let factors = second_steps::list_asked(app, pending).await?;
    let remember_days = app.policy().remember_device / DAY;
    let mut passkey = None;
    if let Ok(party) = app.relying_party()
        && factors.contains(&Factor::Passkey)
    {
        let binding = browser.pending_cookie.as_deref().unwrap_or_default();
        let options = passkeys::confirm_sign_in_options(app, party, pending, binding).await?;
        let action = format!("/sign-in/second-factor{}", carried_query(&view));
        passkey = Some(PasskeyForm::of_second_factor(party, action, options));
    }
    let page = page(view, Asked { token, factors, passkey, remember_days, problem })?.with_cookie(cookie);
    Ok(leading_back(page, request.as_ref()))
}

/// Asks for the second factor of a sign-in whose password was right.
pub async fn show_sign_in(
    State(app): State<AppState>,
    view: View,
    browser: Browser,
) -> Result<Response, PageError> {
    let Some(pending) = pending_of(&app, &browser) else { return start_again(&app, &view) };
    Ok(sign_in_page(&app, view, &browser, &pending, None).await?.into_response())
}

/// Completes the sign-in.
pub async fn submit_sign_in(
    State(app): State<AppState>,
    view: View,
    browser: Browser,
    headers: HeaderMap,
    mut form: PageForm,
) -> Result<Response, PageError> {
    check_visitor(&app, &browser, &mut form)?;
    let Some(pending) = pending_of(&app, &browser) else { return start_again(&app, &view) };
    let (code, remembers_device) = (form.take("code"), form.is_checked("remember"));
    let credential = form.find("credential");
    let user_agent = headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let step = SecondStep {
        origin: Origin { address: browser.address, user_agent },
        remembers_device,
        previous: browser.session_cookie.clone(),
    };
    let is_kept = pending.is_kept;
    let finished = match (&credential, app.relying_party()) {
        (Some(credential), Ok(party)) => {
            let binding = browser.pending_cookie.as_deref().unwrap_or_default();
            passkeys::confirm_sign_in(&app, party, pending.clone(), credential, binding, step).await
        }
        _ => second_steps::finish_with_code(&app, pending.clone(), code, step).await,
    };
    match finished {
        Ok(signed_in) => {
            let path = signed_in_path(&view, signed_in.is_restricted, false);
            let life = app.policy().remember_device;
            let device = signed_in.device.as_ref();
            let device = device.and_then(|device| BrowserCookie::Device.set(&app, device, Some(life)));
            let done = BrowserCookie::PendingSignIn.clear(&app);
            let session = session_cookie(&app, &signed_in.cookie, is_kept);
            see_other(&path, session.into_iter().chain(device).chain(done))
        }
        Err(Error::Conflict(conflict)) if conflict.code == passkeys::CHALLENGE_EXPIRED => {
            let problem = text!(view.language, "sign-in-passkey-expired").to_owned();
            let page = sign_in_page(&app, view, &browser, &pending, Some(problem)).await?;
            Ok(page.status(StatusCode::BAD_REQUEST).into_response())
        }
        Err(Error::Grant(GrantError::InvalidGrant, _)) => {
            let problem = failed(credential.is_some(), &view).to_owned();
            let page = sign_in_page(&app, view, &browser, &pending, Some(problem)).await?;
            Ok(page.status(StatusCode::BAD_REQUEST).into_response())
        }
        Err(Error::TooMany(wait)) => {
            let problem = text!(view.language, "sign-in-too-many", minutes = minutes(wait));
            let page = sign_in_page(&app, view, &browser, &pending, Some(problem)).await?;
            Ok(too_many(page, wait))
        }
        Err(other) => Err(other.into()),
    }
}

/// What somebody is told whose factor was wrong.
fn failed(is_passkey: bool, view: &View) -> &'static str {
    if is_passkey {
        text!(view.language, "second-factor-passkey-failed")
    } else {
        text!(view.language, "second-factor-failed")
    }
}

async fn step_up_page(
    app: &AppState,
    mut view: View,
    browser: &Browser,
    problem: Option<String>,
) -> Result<Response, PageError> {
    let Some(session) = &browser.session else {
        return see_other(&format!("/sign-in{}", carried_query(&view)), None);
    };
    if session.is_restricted {
        return see_other(&format!("/set-password{}", carried_query(&view)), None);
    }
    let request = find_request(app, &mut view).await?;
    let member = session.member_adding_factor()?;
    let user_id = session.user_id;
    let asked = app.store.scan(&member, move |tx| factors::asked_of(tx, user_id)).await?;
    if asked.is_empty() {
        return see_other(&signed_in_path(&view, session.is_restricted, session.lacks_factor), None);
    }
    let is_refused = problem.is_some();
    let token = session_token(app, browser);
    let mut passkey = None;
    if let Ok(party) = app.relying_party()
        && asked.contains(&Factor::Passkey)
    {
        let binding = browser.session_cookie.as_deref().unwrap_or_default();
        let options = passkeys::step_up_options(app, party, &member, binding).await?;
        let action = format!("/second-factor{}", carried_query(&view));
        passkey = Some(PasskeyForm::of_second_factor(party, action, options));
    }
    let page = page(view, Asked { token, factors: asked, passkey, remember_days: 0, problem })?;
    let page = leading_back(page, request.as_ref());
    Ok(if is_refused { page.status(StatusCode::BAD_REQUEST) } else { page }.into_response())
}

/// Asks somebody who is signed in for the second factor.
pub async fn show_step_up(
    State(app): State<AppState>,
    view: View,
    browser: Browser,
) -> Result<Response, PageError> {
    step_up_page(&app, view, &browser, None).await
}

/// Has the session count as one with a second factor.
pub async fn submit_step_up(
    State(app): State<AppState>,
    view: View,
    browser: Browser,
    mut form: PageForm,
) -> Result<Response, PageError> {
    let session = check_session(&app, &browser, &mut form)?;
    let (member, code) = (session.member_adding_factor()?, form.take("code"));
    let credential = form.find("credential");
    let stepped_up = match (&credential, app.relying_party()) {
        (Some(credential), Ok(party)) => {
            let binding = browser.session_cookie.as_deref().unwrap_or_default();
            passkeys::step_up(&app, party, &member, credential, binding, browser.address).await
        }
        _ => step_up::step_up(&app, &member, code, browser.address).await,
    };
    match stepped_up {
        Ok(SteppedUp::Done(cookie)) => {
            let cookie = cookie.and_then(|cookie| session_cookie(&app, &cookie, session.is_kept));
            see_other(&next_path(&view), cookie)
        }
        Err(Error::Conflict(conflict)) if conflict.code == passkeys::CHALLENGE_EXPIRED => {
            let problem = text!(view.language, "sign-in-passkey-expired").to_owned();
            step_up_page(&app, view, &browser, Some(problem)).await
        }
        Ok(SteppedUp::Refused) => {
            let problem = failed(credential.is_some(), &view).to_owned();
            step_up_page(&app, view, &browser, Some(problem)).await
        }
        Err(other) => Err(other.into()),
    }
}
