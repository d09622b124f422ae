//! The page of the user's sessions: of browsers, and of applications that have tokens.

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
use tenantry_core::error::{Error, Missing, Result as CoreResult};
use tenantry_core::languages::Language;
use tenantry_core::model::{Session, SessionKind};
use tenantry_domain::browser_sessions::BrowserSession;
use tenantry_domain::sessions::SessionQuery;
use tenantry_domain::{sessions, unit};
use tenantry_http::browser::{Browser, BrowserCookie};
use tenantry_http::page_error::PageError;
use tenantry_http::pages::{Page, PageForm, see_other};
use tenantry_http::state::AppState;
use tenantry_store::access::Member;
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::sessions::{SessionFilter, SessionPosition};

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
    fn of(session: Session, current: &BrowserSession, language: Language) -> Self {
        let device = session.user_agent.as_deref().and_then(devices::name);
        let (what, device) = match session.kind {
            SessionKind::Browser => {
                (device.unwrap_or_else(|| text!(language, "sessions-unknown-browser").to_owned()), None)
            }
            SessionKind::Tokens => {
                let direct = || text!(language, "sessions-direct").to_owned();
                (session.client_name.unwrap_or_else(direct), device)
            }
        };
        Self {
            what,
            device,
            address: session.address,
            is_current: session.session_id == current.session_id,
            begun: shown_time(session.created_at),
            last_used: shown_time(session.last_used_at),
            id: session.session_id,
        }
    }
}

/// The newest sessions of a kind, and whether there are more.
fn newest(tx: &mut Tx<'_, Member>, kind: SessionKind) -> CoreResult<(Vec<Session>, bool)> {
    let (filter, from) = (SessionFilter::Kind(kind), SessionPosition::Offset(0));
    let (total, rows) =
        sessions::list_own(tx, &SessionQuery { filter, descending: true, from, size: SHOWN })?;
    Ok((rows, total.count > SHOWN))
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
    let read = app
        .store
        .read(&member, |tx| Ok((newest(tx, SessionKind::Browser)?, newest(tx, SessionKind::Tokens)?)));
    let ((browsers, has_more_browsers), (tokens, has_more_tokens)) = read.await?;
    let language = view.language;
    let rows = |mut sessions: Vec<Session>| -> Vec<Row> {
        app.uses.complete(session.pid, &mut sessions);
        sessions.into_iter().map(|one| Row::of(one, session, language)).collect()
    };
    let (mut browsers, applications) = (rows(browsers), rows(tokens));
    browsers.sort_by_key(|row| !row.is_current);
    let page = SessionsPage {
        messages: say(&view),
        view,
        part: Part::Sessions,
        token: session_token(app, browser),
        has_more: has_more_browsers || has_more_tokens,
        browsers,
        applications,
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
            let (what, id) = (if other == session.session_id { "all" } else { "ended" }, other.to_owned());
            (unit::write(&app.store, &member, move |tx| sessions::end_own(tx, &id)).await, what)
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
