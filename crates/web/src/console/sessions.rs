//! Where a user is signed in: browsers, and applications that have tokens.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::shell::{Said, Section, Shell, ShownTime};
use super::user::{Asked, Head, Tab, find, unknown};
use super::visit::Visit;
use crate::account::sessions::client_names;
use crate::assets;
use crate::devices;
use tenantry_core::error::{Error, Missing};
use tenantry_core::languages::Language;
use tenantry_core::model::User;
use tenantry_domain::sessions::SessionQuery;
use tenantry_domain::{console, sessions, unit};
use tenantry_http::page_error::PageError;
use tenantry_http::pages::{PageForm, see_other};
use tenantry_http::state::AppState;
use tenantry_store::tables::sessions::SessionPosition;

/// Maximum number of sessions of each kind that are shown.
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

async fn page(
    app: &AppState,
    visit: &Visit,
    user: &User,
    status: StatusCode,
    said: Said,
) -> Result<Response, PageError> {
    let (id, l) = (user.user_id, visit.l());
    let read = app.store.scan(&visit.admin, move |tx| {
        let query = SessionQuery { descending: true, from: SessionPosition::Offset(0), size: SHOWN };
        Ok((console::list_browser_sessions(tx, id)?, sessions::list(tx, id, &query)?))
    });
    let (browsers, (total, tokens)) = match read.await {
        Err(Error::NotFound(Missing::User)) => return unknown(visit, &id.to_string()),
        read => read?,
    };
    let names = client_names(app, &tokens).await?;
    let has_more = total.count > SHOWN || i64::try_from(browsers.len()).is_ok_and(|count| count >= SHOWN);
    let name = |user_agent: Option<&str>| user_agent.and_then(devices::name);
    let mut rows: Vec<Row> = browsers
        .into_iter()
        .map(|one| Row {
            what: name(one.user_agent.as_deref())
                .unwrap_or_else(|| text!(l, "sessions-unknown-browser").to_owned()),
            device: None,
            address: one.address,
            is_current: one.session_id == visit.session.session_id,
            begun: ShownTime::of(one.created_at),
            last_used: ShownTime::of(one.last_seen_at),
            id: format!("browser {}", one.session_id),
        })
        .collect();
    rows.extend(tokens.into_iter().map(|one| Row {
        what: names.get(&one.client_id).cloned().unwrap_or_else(|| text!(l, "console-direct").to_owned()),
        device: name(one.user_agent.as_deref()),
        address: one.address,
        is_current: false,
        begun: ShownTime::of(one.created_at),
        last_used: ShownTime::of(one.last_used_at),
        id: format!("tokens {}", one.session_id),
    }));
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
    let end = unit::write(&app.store, &visit.admin, move |tx| match which.split_once(' ') {
        None if which == "all" => sessions::end_all(tx, user_id),
        Some(("browser", session)) => console::end_browser_session(tx, user_id, session),
        Some(("tokens", session)) => sessions::end(tx, user_id, session),
        _ => Err(Error::NotFound(Missing::Session)),
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
