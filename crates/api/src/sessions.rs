//! Sessions: which logins are alive, and how to end them.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::responses::{AdminErrors, InvalidError, MemberErrors, MissingError};
use crate::user_bodies::Time;
use tenantry_core::error::Result;
use tenantry_core::model::{PartnerId, Session, UserId};
use tenantry_domain::sessions::{self, SessionQuery};
use tenantry_http::extract::{Admin, Member, QueryParams, SessionPath, UserPath};
use tenantry_http::paging::{FoundRows, ListAddress, Page, PageRequest, Params, Start, page_response};
use tenantry_http::parameters::{CURSOR, DESCENDING, Of, PAGE, PAGE_SIZE, Parameter, ReadFrom};
use tenantry_http::problem::Problem;
use tenantry_http::state::AppState;
use tenantry_http::writes::{Write, WriteResponse};
use tenantry_store::access::Scope;
use tenantry_store::listing::lists::{SortKey, Total};
use tenantry_store::tables::sessions::{SessionFilter, SessionPosition};

/// A session: the tokens of one login, or a browser in which the user is signed in.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Session)]
pub struct SessionBody<'a> {
    /// Identifies the session, but grants no access.
    #[schema(example = "3q2-7wMpR0GzD1xYf5aBcg")]
    session_id: &'a str,
    /// `tokens`: the tokens of one login. `browser`: a browser in which the user has signed in on the pages of this server; it
    /// cannot use the API.
    #[schema(required = false, example = "tokens")]
    kind: &'a str,
    /// The OAuth client it was opened through; `tenantry` is the built-in one, also of browsers.
    #[schema(example = "tenantry")]
    client_id: &'a str,
    /// The client's name; null for the built-in one.
    #[schema(required = false, example = "Shop")]
    client_name: Option<&'a str>,
    /// The session of the browser in which an application got the tokens. When it ends, this one does, unless it has the
    /// scope `offline_access`.
    #[schema(required = false)]
    browser_session_id: Option<&'a str>,
    /// The client's address at the login.
    #[schema(required = true, example = "203.0.113.7")]
    address: Option<&'a str>,
    /// The user agent at the login.
    #[schema(required = true, example = "Mozilla/5.0")]
    user_agent: Option<&'a str>,
    /// Whether it is the session of this request.
    #[schema(example = true)]
    is_current: bool,
    /// Opened with a temporary or expired password: it can only set a new one.
    password_change_required: bool,
    /// When it was opened. RFC 3339, UTC.
    #[schema(value_type = String, format = DateTime, example = "2026-11-23T09:00:00.000Z")]
    created_at: Time,
    /// When it was last used, to about five minutes. RFC 3339, UTC.
    #[schema(value_type = String, format = DateTime, example = "2026-11-23T09:00:00.000Z")]
    last_used_at: Time,
    /// When it ends, unless it is refreshed, or used if it is one of a browser. RFC 3339, UTC.
    #[schema(value_type = String, format = DateTime, example = "2026-12-23T09:00:00.000Z")]
    expires_at: Time,
}

impl<'a> SessionBody<'a> {
    fn of(session: &'a Session, current: Option<&str>) -> Self {
        Self {
            session_id: &session.session_id,
            kind: session.kind.name(),
            client_id: &session.client_id,
            client_name: session.client_name.as_deref(),
            browser_session_id: session.browser_session.as_deref(),
            address: session.address.as_deref(),
            user_agent: session.user_agent.as_deref(),
            is_current: current == Some(session.session_id.as_str()),
            password_change_required: session.is_restricted,
            created_at: Time(session.created_at),
            last_used_at: Time(session.last_used_at),
            expires_at: Time(session.expires_at),
        }
    }
}

static SORT_BY: Parameter = Parameter::sort_by(|| SORTS.map(|(name, ())| name).to_vec());
const SORTS: [(&str, ()); 1] = [("createdAt", ())];

/// The query of a list of sessions.
struct SessionList {
    query: SessionQuery,
    address: ListAddress,
    page: PageRequest,
}

impl ReadFrom for SessionList {
    const PARAMETERS: &'static [&'static Parameter] = &[&PAGE, &PAGE_SIZE, &SORT_BY, &DESCENDING, &CURSOR];
}

fn read_list(mut params: Params, pid: PartnerId, user_id: UserId, path: &'static str) -> Result<SessionList> {
    params.sort_by(&SORTS, ());
    let descending = params.flag(&DESCENDING).unwrap_or(false);
    let mut parameters = vec![("sortBy", String::from("createdAt"))];
    if descending {
        parameters.push(("descending", String::from("true")));
    }
    let path = path.replace("{userId}", &user_id.to_string()).into();
    let address = ListAddress { path, pid, parameters };
    let page = params.page(&address, true);
    params.finish()?;
    let page = page.unwrap_or_default();
    let from = match (&page.start, page.offset()) {
        (Start::After(SortKey::Text(id), at), _) => SessionPosition::After(*at, id.clone()),
        (_, offset) => SessionPosition::Offset(offset.unwrap_or(0)),
    };
    Ok(SessionList {
        query: SessionQuery { filter: SessionFilter::All, descending, from, size: page.size + 1 },
        address,
        page,
    })
}

type SessionPage<'a> = Page<SessionBody<'a>>;

fn show(
    app: &AppState,
    by: &impl Scope,
    (total, mut rows): (Total, Vec<Session>),
    address: &ListAddress,
    request: &PageRequest,
) -> Response {
    app.uses.complete(by.pid(), &mut rows);
    let current = by.caller().map(tenantry_store::access::Caller::session_id);
    // The number of a session is text, so it takes the place of the key, and the key that of the number.
    let key_of = |session: &Session| (SortKey::Text(session.session_id.clone()), session.created_at);
    page_response(address, request, FoundRows { total, rows: &rows[..] }, key_of, |session| {
        SessionBody::of(session, current)
    })
}

/// List the caller's own sessions.
///
/// Always a page, by opening time. Each login opens a session, and each browser in which the user signs in.
#[utoipa::path(
    get, path = "/api/v1/users/self/sessions", tag = "self", params(Of<SessionList>),
    responses(
        (status = 200, description = "A page of sessions", body = SessionPage),
        InvalidError, MemberErrors,
    ),
)]
pub async fn list_own_sessions(
    State(app): State<AppState>,
    Member(member): Member,
    QueryParams(params): QueryParams,
) -> Result<Response, Problem> {
    let path = "/api/v1/users/self/sessions";
    let SessionList { query, address, page: request } =
        read_list(params, member.pid(), member.user_id(), path)?;
    let found = app.store.scan(&member, move |tx| sessions::list_own(tx, &query)).await?;
    Ok(show(&app, &member, found, &address, &request))
}

/// List a user's sessions.
///
/// Always a page, by opening time. Each login opens a session, and each browser in which the user signs in.
#[utoipa::path(
    get, path = "/api/v1/users/{userId}/sessions", tag = "users",
    params(Of<UserPath>, Of<SessionList>),
    responses(
        (status = 200, description = "A page of sessions", body = SessionPage),
        InvalidError, AdminErrors, MissingError,
    ),
)]
pub async fn list_user_sessions(
    State(app): State<AppState>,
    Admin(by): Admin,
    UserPath(id): UserPath,
    QueryParams(params): QueryParams,
) -> Result<Response, Problem> {
    let SessionList { query, address, page: request } =
        read_list(params, by.pid(), id, "/api/v1/users/{userId}/sessions")?;
    let found = app.store.scan(&by, move |tx| sessions::list(tx, id, &query)).await?;
    Ok(show(&app, &by, found, &address, &request))
}

/// End all sessions of the caller, of browsers too.
///
/// The session of this request ends, too: the next request needs a new login.
#[utoipa::path(
    delete, path = "/api/v1/users/self/sessions", tag = "self", params(Of<Write>),
    responses((status = 204, description = "All ended"), MemberErrors),
)]
pub async fn end_own_sessions(
    State(app): State<AppState>,
    Member(member): Member,
    write: Write,
) -> Result<Response, Problem> {
    write.run(&app, &member, move |tx| sessions::end_all_own(tx).map(|()| WriteResponse::gone())).await
}

/// End one of the caller's own sessions.
///
/// Its access and refresh tokens are refused from now on. It may be the session of this request.
#[utoipa::path(
    delete, path = "/api/v1/users/self/sessions/{sessionId}", tag = "self",
    params(Of<SessionPath>, Of<Write>),
    responses((status = 204, description = "Ended"), MemberErrors, MissingError),
)]
pub async fn end_own_session(
    State(app): State<AppState>,
    Member(member): Member,
    SessionPath(session): SessionPath,
    write: Write,
) -> Result<Response, Problem> {
    write.run(&app, &member, move |tx| sessions::end_own(tx, &session).map(|()| WriteResponse::gone())).await
}

/// End all sessions of a user, of browsers too.
///
/// Its access and refresh tokens are refused from now on. The user can log in again.
#[utoipa::path(
    delete, path = "/api/v1/users/{userId}/sessions", tag = "users",
    params(Of<UserPath>, Of<Write>),
    responses((status = 204, description = "All ended"), AdminErrors, MissingError),
)]
pub async fn end_user_sessions(
    State(app): State<AppState>,
    Admin(by): Admin,
    UserPath(id): UserPath,
    write: Write,
) -> Result<Response, Problem> {
    write.run(&app, &by, move |tx| sessions::end_all(tx, id).map(|()| WriteResponse::gone())).await
}

/// End one session of a user.
///
/// Its access and refresh tokens are refused from now on. Other sessions of the user continue, except those that applications
/// opened in it, if it is one of a browser.
#[utoipa::path(
    delete, path = "/api/v1/users/{userId}/sessions/{sessionId}", tag = "users",
    params(Of<UserPath>, Of<SessionPath>, Of<Write>),
    responses((status = 204, description = "Ended"), AdminErrors, MissingError),
)]
pub async fn end_user_session(
    State(app): State<AppState>,
    Admin(by): Admin,
    UserPath(id): UserPath,
    SessionPath(session): SessionPath,
    write: Write,
) -> Result<Response, Problem> {
    write.run(&app, &by, move |tx| sessions::end(tx, id, &session).map(|()| WriteResponse::gone())).await
}
