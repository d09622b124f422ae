//! Where a user is signed in: browsers, and applications that have tokens.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::shell::{Said, Section, Shell, ShownTime};
use super::user::{Asked, Head, Tab, find, unknown};
use super::visit::Visit;
use crate::assets;
use crate::devices;
use tenantry_core::error::{Error, Missing};
use tenantry_core::languages::Language;
use tenantry_core::model::{Session, SessionKind, User};
use tenantry_domain::sessions::SessionQuery;
use tenantry_domain::{sessions, unit};
use tenantry_http::page_error::PageError;
use tenantry_http::pages::{PageForm, see_other};
use tenantry_http::state::AppState;
use tenantry_store::tables::sessions::{SessionFilter, SessionPosition};

/// Maximum number of sessions that are shown.
const SHOWN: i64 = 100;

#[derive(Template)]
#[template(path = "console/user_sessions.html")]
struct SessionsPage<'a> {
    shell: &'a Shell,
    section: Section,
    tab: Tab,
    head: Head,
    said: Said,
    rows: Vec<Row>,
    has_more: bool,
}

/// A session.
struct Row {
    /// What the button sends.
    id: String,
    what: String,
    device: Option<String>,
    address: Option<String>,
    is_current: bool,
    begun: ShownTime,
    last_used: ShownTime,
}

impl Row {
    fn of(session: Session, visit: &Visit, language: Language) -> Self {
        let device = session.user_agent.as_deref().and_then(devices::name);
        let (what, device) = match session.kind {
            SessionKind::Browser => {
                (device.unwrap_or_else(|| text!(language, "sessions-unknown-browser").to_owned()), None)
            }
            SessionKind::Tokens => {
                let direct = || text!(language, "console-direct").to_owned();
                (session.client_name.unwrap_or_else(direct), device)
            }
        };
        Self {
            what,
            device,
            address: session.address,
            is_current: session.session_id == visit.session.session_id,
            begun: ShownTime::of(session.created_at),
            last_used: ShownTime::of(session.last_used_at),
            id: session.session_id,
        }
    }
}

async fn page(
    app: &AppState,
    visit: &Visit,
    user: &User,
    status: StatusCode,
    said: Said,
) -> Result<Response, PageError> {
    let (id, l) = (user.user_id, visit.l());
    let query = SessionQuery {
        filter: SessionFilter::All,
        descending: true,
        from: SessionPosition::Offset(0),
        size: SHOWN,
    };
    let read = app.store.scan(&visit.admin, move |tx| sessions::list(tx, id, &query));
    let (total, mut found) = match read.await {
        Err(Error::NotFound(Missing::User)) => return unknown(visit, &id.to_string()),
        read => read?,
    };
    app.uses.complete(visit.session.pid, &mut found);
    let has_more = total.count > SHOWN;
    let rows = found.into_iter().map(|one| Row::of(one, visit, l)).collect();
    let (shell, head) = (&visit.shell, Head::of(user, visit));
    let page =
        SessionsPage { shell, section: Section::Users, tab: Tab::Sessions, head, said, rows, has_more };
    visit.shell.send(status, &page)
}

/// Shows the sessions.
pub async fn show(
    State(app): State<AppState>,
    Path(id): Path<String>,
    visit: Visit,
) -> Result<Response, PageError> {
    let user = match find(&app, &visit, &id).await? {
        Asked::Known(user) => user,
        Asked::Unknown(page) => return Ok(page),
    };
    let notice = match visit.shell.view.parameter("done").as_deref() {
        Some("ended") => Some(text!(visit.l(), "sessions-ended")),
        Some("all") => Some(text!(visit.l(), "console-sessions-ended")),
        _ => None,
    };
    page(&app, &visit, &user, StatusCode::OK, Said::notice(notice)).await
}

/// Ends one session, or all.
pub async fn submit(
    State(app): State<AppState>,
    Path(id): Path<String>,
    visit: Visit,
    mut form: PageForm,
) -> Result<Response, PageError> {
    visit.check(&app, &mut form)?;
    let user = match find(&app, &visit, &id).await? {
        Asked::Known(user) => user,
        Asked::Unknown(page) => return Ok(page),
    };
    let (user_id, which) = (user.user_id, form.take("end").as_str().to_owned());
    let done = if which == "all" { "all" } else { "ended" };
    let end = unit::write(&app.store, &visit.admin, move |tx| match which.as_str() {
        "all" => sessions::end_all(tx, user_id),
        session => sessions::end(tx, user_id, session),
    });
    match end.await {
        Ok(()) => see_other(&format!("{}?done={done}", Tab::Sessions.path(user_id)), None),
        Err(Error::NotFound(Missing::Session)) => {
            let said = Said::problem(text!(visit.l(), "sessions-gone"));
            page(&app, &visit, &user, StatusCode::NOT_FOUND, said).await
        }
        Err(Error::NotFound(Missing::User)) => unknown(&visit, &id),
        Err(other) => Err(other.into()),
    }
}
