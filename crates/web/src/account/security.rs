//! The page of second factors: which there are, new ones, and recovery codes.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use super::{Messages, Part, done, require, shown_time};
use crate::assets;
use crate::forms::{check_session, session_token, sign_in_again};
use crate::person::find_person;
use crate::recovery_codes::codes_page;
use crate::view::{View, render};
use tenantry_core::error::{Error, Missing};
use tenantry_core::languages::Language;
use tenantry_domain::browser_sessions::BrowserSession;
use tenantry_domain::factors::{self, Factor, UserFactors, recovery_codes, step_up};
use tenantry_domain::unit;
use tenantry_http::browser::Browser;
use tenantry_http::page_error::PageError;
use tenantry_http::pages::{Page, PageForm, see_other};
use tenantry_http::state::AppState;

#[derive(Template)]
#[template(path = "account_security.html")]
struct SecurityPage {
    view: View,
    part: Part,
    messages: Messages,
    token: String,
    rows: Vec<Row>,
    codes_left: i64,
    has_factors: bool,
    can_add_app: bool,
    is_offered: bool,
    required_from: Option<String>,
    devices: i64,
}

/// A factor as the page shows it.
struct Row {
    id: String,
    name: String,
    added: String,
    last_used: Option<String>,
}

fn rows_of(found: &UserFactors, language: Language) -> Vec<Row> {
    let row = |factor: &factors::ListedFactor| Row {
        id: factor.factor_id.clone(),
        name: factor.name.clone().unwrap_or_else(|| kind_name(factor.factor, language).to_owned()),
        added: shown_time(factor.created_at),
        last_used: factor.last_used_at.map(shown_time),
    };
    found.factors.iter().map(row).collect()
}

fn kind_name(factor: Factor, language: Language) -> &'static str {
    match factor {
        Factor::Totp => text!(language, "factor-app"),
        Factor::Passkey => text!(language, "factor-passkey"),
        Factor::RecoveryCode => text!(language, "factor-recovery-codes"),
    }
}

async fn page(
    app: &AppState,
    mut view: View,
    browser: &Browser,
    session: &BrowserSession,
    say: impl FnOnce(&View) -> Messages,
) -> Result<Page, PageError> {
    find_person(app, session, &mut view).await?;
    let found = app.store.scan(&session.member()?, factors::list_own).await?;
    let has_app = found.factors.iter().any(|factor| factor.factor == Factor::Totp);
    let page = SecurityPage {
        messages: say(&view),
        part: Part::Security,
        token: session_token(app, browser),
        rows: rows_of(&found, view.language),
        codes_left: found.recovery_codes.left,
        has_factors: !found.factors.is_empty(),
        can_add_app: found.is_offered && !has_app,
        is_offered: found.is_offered,
        required_from: found.required_from.filter(|_| found.factors.is_empty()).map(shown_time),
        devices: found.remembered_devices,
        view,
    };
    Ok(render(&page)?.of_account())
}

/// Shows the factors.
pub async fn show(State(app): State<AppState>, view: View, browser: Browser) -> Result<Response, PageError> {
    let session = match require(&browser, &view) {
        Ok(session) => session,
        Err(elsewhere) => return see_other(&elsewhere, None),
    };
    let say = |view: &View| {
        Messages::notice(match view.parameter("done").as_deref() {
            Some("removed") => Some(text!(view.language, "factor-removed")),
            Some("forgotten") => Some(text!(view.language, "devices-forgotten")),
            _ => None,
        })
    };
    Ok(page(&app, view, &browser, session, say).await?.into_response())
}

/// Removes a factor, makes recovery codes anew, or forgets remembered devices.
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
    let (member, remove) = (session.member()?, form.find("remove"));
    let now = app.clock.read().latest;
    if form.is_checked("forget") {
        unit::write(&app.store, &member, factors::devices::forget_own).await?;
        return see_other(&done(Part::Security, "forgotten"), None);
    }
    let result = match remove {
        Some(factor_id) => match step_up::expect_fresh(&app, &member).await {
            Ok(()) => {
                let factor_id = factor_id.as_str().to_owned();
                let removed =
                    unit::write(&app.store, &member, move |tx| factors::remove_own(tx, &factor_id)).await;
                removed.map(|()| None)
            }
            Err(error) => Err(error),
        },
        None => recovery_codes::make(&app, &member).await.map(Some),
    };
    match result {
        Ok(None) => see_other(&done(Part::Security, "removed"), None),
        Ok(Some(codes)) => Ok(codes_page(view, &codes, Part::Security.path())?.into_response()),
        Err(Error::InsufficientAuthentication(_)) => {
            see_other(&sign_in_again(session, now, Part::Security.path()), None)
        }
        Err(Error::Conflict(conflict)) if conflict.code == "last-factor" => {
            let say = |view: &View| Messages::problem(text!(view.language, "factor-last"));
            let page = page(&app, view, &browser, session, say).await?;
            Ok(page.status(StatusCode::CONFLICT).into_response())
        }
        // Done elsewhere meanwhile.
        Err(Error::NotFound(Missing::Factor) | Error::Conflict(_)) => see_other(Part::Security.path(), None),
        Err(other) => Err(other.into()),
    }
}
