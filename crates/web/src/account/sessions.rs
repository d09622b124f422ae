//! The page of the sessions of whoever is signed in: of browsers, and of applications that have tokens.

use std::collections::HashMap;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use super::{Messages, Part, done, require, shown_time};
use crate::assets;
use crate::devices;
use crate::forms::{check_session, session_token};
use crate::person::find_person;
use crate::view::{View, render};
use tenantry_core::error::{Error, Missing};
use tenantry_core::languages::Language;
use tenantry_core::model::{PUBLIC_CLIENT, Session};
use tenantry_domain::browser_sessions::{BrowserSession, ListedBrowserSession};
use tenantry_domain::sessions::SessionQuery;
use tenantry_domain::{browser_sessions, clients, sessions, unit};
use tenantry_http::browser::{Browser, BrowserCookie};
use tenantry_http::page_error::PageError;
use tenantry_http::pages::{Page, PageForm, see_other};
use tenantry_http::state::AppState;
use tenantry_store::tables::sessions::SessionPosition;

/// Maximum number of sessions of each kind that are shown.
const SHOWN: i64 = 100;

#[derive(Template)]
#[template(path = "account_sessions.html")]
struct SessionsPage {
    view: View,
    part: Part,
    messages: Messages,
    token: String,
    browsers: Vec<Row>,
    applications: Vec<Row>,
    has_more: bool,
}

/// A session as the page shows it.
struct Row {
    /// What the button of the form sends.
    id: String,
    /// The browser or application.
    what: String,
    /// The device of an application's session.
    device: Option<String>,
    address: Option<String>,
    is_current: bool,
    begun: String,
    last_used: String,
}

impl Row {
    fn of_browser(listed: ListedBrowserSession, current: &BrowserSession, language: Language) -> Self {
        let device = listed.user_agent.as_deref().and_then(devices::name);
        Self {
            what: device.unwrap_or_else(|| text!(language, "sessions-unknown-browser").to_owned()),
            device: None,
            address: listed.address,
            is_current: listed.session_id == current.session_id,
            begun: shown_time(listed.created_at),
            last_used: shown_time(listed.last_seen_at),
            id: format!("browser {}", listed.session_id),
        }
    }

    fn of_application(session: Session, names: &HashMap<String, String>, language: Language) -> Self {
        let direct = || text!(language, "sessions-direct").to_owned();
        Self {
            what: names.get(&session.client_id).cloned().unwrap_or_else(direct),
            device: session.user_agent.as_deref().and_then(devices::name),
            address: session.address,
            is_current: false,
            begun: shown_time(session.created_at),
            last_used: shown_time(session.last_used_at),
            id: format!("tokens {}", session.session_id),
        }
    }
}

/// The names of the clients of these sessions.
pub async fn client_names(app: &AppState, of: &[Session]) -> Result<HashMap<String, String>, PageError> {
    let mut names = HashMap::new();
    for session in of.iter().filter(|session| session.client_id != PUBLIC_CLIENT) {
        if !names.contains_key(&session.client_id)
            && let Some(client) = clients::find(app, &session.client_id).await?
        {
            names.insert(session.client_id.clone(), client.name.clone());
        }
    }
    Ok(names)
}

async fn page(
    app: &AppState,
    mut view: View,
    browser: &Browser,
    session: &BrowserSession,
    say: impl FnOnce(&View) -> Messages,
) -> Result<Page, PageError> {
    find_person(app, session, &mut view).await?;
    let member = session.member()?;
    let read = app.store.read(&member, |tx| {
        let query = SessionQuery { descending: true, from: SessionPosition::Offset(0), size: SHOWN };
        Ok((browser_sessions::list_own(tx)?, sessions::list_own(tx, &query)?))
    });
    let (browsers, (total, tokens)) = read.await?;
    let names = client_names(app, &tokens).await?;
    let language = view.language;
    let mut browsers: Vec<Row> =
        browsers.into_iter().map(|listed| Row::of_browser(listed, session, language)).collect();
    browsers.sort_by_key(|row| !row.is_current);
    let page = SessionsPage {
        messages: say(&view),
        view,
        part: Part::Sessions,
        token: session_token(app, browser),
        has_more: total.count > SHOWN || browsers.len() >= usize::try_from(SHOWN).unwrap_or(usize::MAX),
        browsers,
        applications: tokens.into_iter().map(|one| Row::of_application(one, &names, language)).collect(),
    };
    Ok(render(&page)?.of_account())
}

/// Shows the sessions.
pub async fn show(State(app): State<AppState>, view: View, browser: Browser) -> Result<Response, PageError> {
    let session = match require(&browser, &view) {
        Ok(session) => session,
        Err(elsewhere) => return see_other(&elsewhere, None),
    };
    let say = |view: &View| {
        Messages::notice(match view.parameter("done").as_deref() {
            Some("ended") => Some(text!(view.language, "sessions-ended")),
            Some("others") => Some(text!(view.language, "sessions-others-ended")),
            _ => None,
        })
    };
    Ok(page(&app, view, &browser, session, say).await?.into_response())
}

/// Ends one session, all others, or all.
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
    let (member, which) = (session.member()?, form.take("end"));
    let (ended, what) = match which.as_str() {
        "others" => (unit::write(&app.store, &member, sessions::end_others_own).await, "others"),
        "all" => (unit::write(&app.store, &member, sessions::end_all_own).await, "all"),
        other => {
            let (kind, id) = other.split_once(' ').unwrap_or_default();
            let (is_browser, id) = (kind == "browser", id.to_owned());
            let what = if is_browser && id == session.session_id { "all" } else { "ended" };
            let end = unit::write(&app.store, &member, move |tx| {
                if is_browser { browser_sessions::end_own(tx, &id) } else { sessions::end_own(tx, &id) }
            });
            (end.await, what)
        }
    };
    match ended {
        // This one ended, too.
        Ok(()) if what == "all" => see_other("/signed-out", BrowserCookie::Session.clear(&app)),
        Ok(()) => see_other(&done(Part::Sessions, what), None),
        Err(Error::NotFound(Missing::Session)) => {
            let say = |view: &View| Messages::problem(text!(view.language, "sessions-gone"));
            let page = page(&app, view, &browser, session, say).await?;
            Ok(page.status(StatusCode::NOT_FOUND).into_response())
        }
        Err(other) => Err(other.into()),
    }
}
