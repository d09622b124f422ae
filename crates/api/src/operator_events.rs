//! Events for operators: those of the server, and those of any partner.

use axum::extract::State;
use axum::response::Response;

use crate::events::{EventList, EventPage, page_of};
use crate::responses::{InvalidError, OperatorErrors};
use tenantry_core::model::PartnerId;
use tenantry_domain::events;
use tenantry_http::extract::{ByOperator, QueryParams};
use tenantry_http::parameters::{Of, Parameter, ReadFrom};
use tenantry_http::problem::Problem;
use tenantry_http::state::AppState;

static PID: Parameter = Parameter::integer(
    "pid",
    1,
    i64::MAX,
    "The events of this partner. Omit it for the events of the server.",
);

/// Whose events to list.
struct OfPartner;

impl ReadFrom for OfPartner {
    const PARAMETERS: &'static [&'static Parameter] = &[&PID];
}

/// List events.
///
/// The events of the server, which belong to no partner: changes of product clients and of the keys that sign ID tokens. With
/// `pid`, the events of that partner, also of one that was deleted. Always a page, ascending by the id of the event.
#[utoipa::path(
    get, path = "/operator/v1/events", operation_id = "list_any_events", tag = "operator",
    params(Of<OfPartner>, Of<EventList>),
    responses((status = 200, description = "A page of events", body = EventPage), InvalidError, OperatorErrors),
)]
pub async fn list_any_events(
    State(app): State<AppState>,
    ByOperator(by): ByOperator,
    QueryParams(mut params): QueryParams,
) -> Result<Response, Problem> {
    let pid = params.integer(&PID);
    let more = pid.map(|pid| ("pid", pid.to_string())).into_iter().collect();
    let list = EventList::read(params, "/operator/v1/events", PartnerId(0), more)?;
    let EventList { query, from, address, page } = list;
    let size = page.size + 1;
    let found = match pid {
        Some(pid) => {
            let by = by.as_admin_of(PartnerId(pid));
            app.store.scan(&by, move |tx| events::list_page(tx, &query, from, size)).await?
        }
        None => app.store.scan(&by, move |tx| events::list_server_page(tx, &query, from, size)).await?,
    };
    Ok(page_of(&address, &page, found))
}
