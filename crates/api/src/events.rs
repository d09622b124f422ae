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
use tenantry_domain::events::{self, Kind};
use tenantry_http::extract::{Admin, QueryParams};
use tenantry_http::paging::{Found, ListAddress, PageRequest, Params, Start, page_answer};
use tenantry_http::problem::Problem;
use tenantry_http::state::AppState;
use tenantry_store::access::Scope;
use tenantry_store::listing::lists::SortKey;
use tenantry_store::tables::events::{EventPosition, EventQuery};

/// Something that changed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Event)]
pub struct EventBody<'a> {
    /// Its number, ascending.
    #[schema(example = 17)]
    event_id: i64,
    /// When, RFC 3339 in UTC.
    #[schema(value_type = String, example = "2026-11-23T09:00:00.000Z")]
    time: Time,
    /// What happened.
    #[schema(example = "user.updated")]
    r#type: &'a str,
    /// Who did it: `user:<id>`, `client:<client_id>`, `operator` or `system`.
    #[schema(example = "user:1")]
    actor: &'a str,
    /// The user it happened to.
    #[schema(required = true, value_type = Option<i64>, example = 2)]
    user_id: Option<UserId>,
    /// The group it happened to.
    #[schema(required = true, value_type = Option<i64>)]
    group_id: Option<tenantry_core::model::GroupId>,
    /// What changed, before. Personal values are null once the user is erased.
    #[schema(required = true, value_type = Option<Object>, example = json!({"lastName": "Lovelace"}))]
    before: Option<&'a Value>,
    /// What changed, after. Personal values are null once the user is erased, and an address some time after the end
    /// of its session.
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

fn read_list(mut params: Params, pid: PartnerId) -> Result<(EventQuery, ListAddress, PageRequest)> {
    let users = params.ids("userId");
    let mut kinds = params.all("type");
    if kinds.iter().any(|kind| !Kind::ALL.iter().any(|known| known.name() == kind)) {
        let known: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        params.fault("type", "unknown-type", format!("give one of {}", known.join(", ")));
    }
    kinds.sort_unstable();
    kinds.dedup();
    params.sort_by(&[("eventId", ())], ());
    let descending = params.flag("descending").unwrap_or(false);
    let mut parameters = vec![("sortBy", String::from("eventId"))];
    if descending {
        parameters.push(("descending", String::from("true")));
    }
    parameters.extend(users.iter().map(|id| ("userId", id.to_string())));
    parameters.extend(kinds.iter().map(|kind| ("type", kind.clone())));
    let address = ListAddress { path: "/api/v1/events".into(), pid, parameters };
    let page = params.page(&address, true);
    params.finish()?;
    let page = page.unwrap_or_default();
    Ok((EventQuery { users: users.into_iter().map(UserId).collect(), kinds, descending }, address, page))
}

/// A page of events.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the answer")]
pub struct EventPage<'a> {
    /// How many there are in all.
    #[schema(example = 1)]
    total: i64,
    /// `false` when there are more than `total`; else left out.
    #[schema(required = false)]
    total_is_exact: bool,
    /// The page asked for; null in an answer to a cursor.
    #[schema(required = true, example = 0)]
    page: Option<i64>,
    /// The page size asked for.
    #[schema(example = 10)]
    page_size: i64,
    /// The rows.
    list: Vec<EventBody<'a>>,
}

/// List what changed, by number. Always a page: events grow without end.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "events",
    params(crate::parameters::EventParams),
    responses((status = 200, description = "A page of events", body = EventPage), InvalidError, AdminErrors),
)]
pub async fn list_events(
    State(app): State<AppState>,
    Admin(by): Admin,
    QueryParams(params): QueryParams,
) -> Result<Response, Problem> {
    let (query, address, request) = read_list(params, by.pid())?;
    let from = match (&request.start, request.offset()) {
        (Start::After(_, id), _) => EventPosition::After(*id),
        (Start::Page(_), offset) => EventPosition::Offset(offset.unwrap_or(0)),
    };
    let size = request.size + 1;
    let (total, rows) = app.store.scan(&by, move |tx| events::list_page(tx, &query, from, size)).await?;
    let key_of = |event: &Event| (SortKey::Int(event.event_id), event.event_id);
    Ok(page_answer(&address, &request, Found { total, rows: &rows[..] }, key_of, EventBody::of))
}
