//! The audit log, for admins.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::responses::{AdminErrors, InvalidError};
use crate::user_bodies::Time;
use tenantry_core::error::Result;
use tenantry_core::model::{Event, PartnerId, UserId};
use tenantry_domain::events::{self, EventKind};
use tenantry_http::extract::{Admin, QueryParams};
use tenantry_http::paging::{FoundRows, ListAddress, Page, PageRequest, Params, Start, page_response};
use tenantry_http::parameters::{CURSOR, DESCENDING, Of, PAGE, PAGE_SIZE, Parameter, ReadFrom};
use tenantry_http::problem::Problem;
use tenantry_http::state::AppState;
use tenantry_store::access::Scope;
use tenantry_store::listing::lists::{SortKey, Total};
use tenantry_store::tables::events::{EventPosition, EventQuery};

/// A change.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Event)]
pub struct EventBody<'a> {
    /// Its id, ascending.
    #[schema(example = 17)]
    event_id: i64,
    /// When, RFC 3339 in UTC.
    #[schema(value_type = String, format = DateTime, example = "2026-11-23T09:00:00.000Z")]
    time: Time,
    /// What happened.
    #[schema(example = "user.updated")]
    r#type: &'a str,
    /// The actor: `user:<id>`, `client:<client_id>`, `operator` or `system`.
    #[schema(example = "user:1")]
    actor: &'a str,
    /// The affected user.
    #[schema(required = true, value_type = Option<i64>, example = 2)]
    user_id: Option<UserId>,
    /// The affected group.
    #[schema(required = true, value_type = Option<i64>)]
    group_id: Option<tenantry_core::model::GroupId>,
    /// The state before the change. Personal values are null once the user is erased.
    #[schema(required = true, value_type = Option<Object>, example = json!({"lastName": "Lovelace"}))]
    before: Option<&'a Value>,
    /// The state after the change. Personal values are null once the user is erased, and an address some time after the
    /// end of its session.
    #[schema(required = true, value_type = Option<Object>, example = json!({"lastName": "King"}))]
    after: Option<&'a Value>,
}

impl<'a> EventBody<'a> {
    fn of(event: &'a Event) -> Self {
        Self {
            event_id: event.event_id,
            time: Time(event.at),
            r#type: &event.kind,
            actor: &event.actor,
            user_id: event.user_id,
            group_id: event.group_id,
            before: event.before.as_ref(),
            after: event.after.as_ref(),
        }
    }
}

static USER_ID: Parameter = Parameter::ids("userId", "Events of any of these users.");
static KIND: Parameter = Parameter::any_of(
    "type",
    || EventKind::ALL.map(EventKind::name).to_vec(),
    "Events of any of these types.",
);
static SORT_BY: Parameter = Parameter::sort_by(|| SORTS.map(|(name, ())| name).to_vec());
const SORTS: [(&str, ()); 1] = [("eventId", ())];

/// The query of a list of events.
pub(crate) struct EventList {
    pub(crate) query: EventQuery,
    pub(crate) from: EventPosition,
    pub(crate) address: ListAddress,
    pub(crate) page: PageRequest,
}

impl ReadFrom for EventList {
    const PARAMETERS: &'static [&'static Parameter] =
        &[&PAGE, &PAGE_SIZE, &SORT_BY, &DESCENDING, &CURSOR, &USER_ID, &KIND];
}

impl EventList {
    /// Reads the query of the list at `path`; `parameters` has what the caller has read of it.
    pub(crate) fn read(
        mut params: Params,
        path: &'static str,
        pid: PartnerId,
        mut parameters: Vec<(&'static str, String)>,
    ) -> Result<Self> {
        let users = params.ids(&USER_ID);
        let mut kinds = params.all(KIND.name);
        if kinds.iter().any(|kind| !EventKind::ALL.iter().any(|known| known.name() == kind)) {
            let known: Vec<_> = EventKind::ALL.iter().map(|kind| kind.name()).collect();
            params.error(KIND.name, "unknown-type", format!("give one of {}", known.join(", ")));
        }
        kinds.sort_unstable();
        kinds.dedup();
        params.sort_by(&SORTS, ());
        let descending = params.flag(&DESCENDING).unwrap_or(false);
        parameters.push(("sortBy", String::from("eventId")));
        if descending {
            parameters.push(("descending", String::from("true")));
        }
        parameters.extend(users.iter().map(|id| ("userId", id.to_string())));
        parameters.extend(kinds.iter().map(|kind| ("type", kind.clone())));
        let address = ListAddress { path: path.into(), pid, parameters };
        let page = params.page(&address, true);
        params.finish()?;
        let page = page.unwrap_or_default();
        let from = match (&page.start, page.offset()) {
            (Start::After(_, id), _) => EventPosition::After(*id),
            (Start::Page(_), offset) => EventPosition::Offset(offset.unwrap_or(0)),
        };
        let query = EventQuery { users: users.into_iter().map(UserId).collect(), kinds, descending };
        Ok(Self { query, from, address, page })
    }
}

pub(crate) type EventPage<'a> = Page<EventBody<'a>>;

/// A page of events as a response.
pub(crate) fn page_of(address: &ListAddress, request: &PageRequest, found: (Total, Vec<Event>)) -> Response {
    let (total, rows) = found;
    let key_of = |event: &Event| (SortKey::Int(event.event_id), event.event_id);
    page_response(address, request, FoundRows { total, rows: &rows[..] }, key_of, EventBody::of)
}

/// List events.
///
/// Always a page, ascending by the id of the event. Events of erased users have no personal values any more.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "events",
    params(Of<EventList>),
    responses((status = 200, description = "A page of events", body = EventPage), InvalidError, AdminErrors),
)]
pub async fn list_events(
    State(app): State<AppState>,
    Admin(by): Admin,
    QueryParams(params): QueryParams,
) -> Result<Response, Problem> {
    let list = EventList::read(params, "/api/v1/events", by.pid(), Vec::new())?;
    let EventList { query, from, address, page } = list;
    let size = page.size + 1;
    let found = app.store.scan(&by, move |tx| events::list_page(tx, &query, from, size)).await?;
    Ok(page_of(&address, &page, found))
}
