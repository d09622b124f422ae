//! Groups, many at a time: pages, searches and the streamed list (contract, part C).

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use hyper::body::Bytes;

use tenantry_http::extract::{Admin, QueryParams};

use crate::groups::{FIELDS, GroupBody, PartialGroup, Properties};
use crate::responses::{AdminErrors, InvalidError};
use tenantry_core::error::{Error, Result};
use tenantry_core::model::{Group, GroupId, PartnerId, UserId};
use tenantry_domain::{groups, memberships};
use tenantry_http::paging::{
    FoundRows, List, ListAddress, PageRequest, Params, Start, page_response, stream, write_rows,
};
use tenantry_http::parameters::{CURSOR, DESCENDING, Of, PAGE, PAGE_SIZE, Parameter, ReadFrom, SEARCH};
use tenantry_http::problem::Problem;
use tenantry_http::state::AppState;
use tenantry_store::access::{self, Scope};
use tenantry_store::engine::tx::Tx;
use tenantry_store::listing::lists::{Position, SortKey};
use tenantry_store::tables::groups::{CHUNK_MEMBERS, GroupQuery, GroupSort};

/// Groups read at once for a streamed list: each may have thousands of users.
const CHUNK: i64 = 50;

/// The query of the list of groups.
struct GroupListQuery {
    query: GroupQuery,
    properties: Properties,
}

static SORT_BY: Parameter = Parameter::sort_by(|| GroupSort::NAMES.map(|(name, _)| name).to_vec());

impl ReadFrom for GroupListQuery {
    const PARAMETERS: &'static [&'static Parameter] =
        &[&PAGE, &PAGE_SIZE, &SORT_BY, &DESCENDING, &SEARCH, &CURSOR, &FIELDS];
}

type GroupList<'a> = List<PartialGroup<'a>>;

fn read_list(
    mut params: Params,
    pid: PartnerId,
) -> Result<(GroupListQuery, ListAddress, Option<PageRequest>)> {
    let asked_fields = params.has(FIELDS.name);
    let properties = Properties::read(&mut params);
    let query = GroupQuery {
        search: params.search(),
        sort: params.sort_by(&GroupSort::NAMES, GroupSort::GroupId),
        descending: params.flag(&DESCENDING).unwrap_or(false),
        with_users: properties.has("users"),
    };
    let sort =
        GroupSort::NAMES.iter().find(|(_, sort)| *sort == query.sort).map_or("groupId", |(name, _)| *name);
    let mut parameters = vec![("sortBy", sort.to_owned())];
    if query.descending {
        parameters.push(("descending", String::from("true")));
    }
    parameters.extend(query.search.as_ref().map(|term| ("search", term.to_string())));
    if asked_fields {
        parameters.push(("fields", properties.names()));
    }
    let address = ListAddress { path: "/api/v1/groups".into(), pid, parameters };
    let page = params.page(&address, false);
    params.finish()?;
    Ok((GroupListQuery { query, properties }, address, page))
}

/// List groups.
///
/// Without `page`, `pageSize` and `cursor` the response is an array of all rows, streamed; with any of them it is a
/// page.
#[utoipa::path(
    get, path = "/api/v1/groups", tag = "groups", params(Of<GroupListQuery>),
    responses(
        (status = 200, description = "All groups as an array, or a page of them", body = GroupList),
        InvalidError, AdminErrors,
    ),
)]
pub async fn list_groups(
    State(app): State<AppState>,
    Admin(by): Admin,
    QueryParams(params): QueryParams,
) -> Result<Response, Problem> {
    let (asked, address, page) = read_list(params, by.pid())?;
    let Some(request) = page else { return group_stream(app, by, Arc::new(asked)).await };
    let GroupListQuery { query, properties } = asked;
    let from = match (&request.start, request.offset()) {
        (Start::After(key, id), _) => Position::After(key.clone(), *id),
        (Start::Page(_), offset) => Position::Offset(offset.unwrap_or(0)),
    };
    let (wanted, size) = (query.clone(), request.size + 1);
    let (total, rows) = app.store.scan(&by, move |tx| groups::list_page(tx, &wanted, &from, size)).await?;
    let key_of = |group: &Group| (query.sort.key_of(group), group.group_id.0);
    Ok(page_response(&address, &request, FoundRows { total, rows: &rows[..] }, key_of, |group| {
        GroupBody::with(group, &app.catalogue, properties)
    }))
}

/// Where a stream of groups stands.
#[derive(Clone)]
struct StreamPosition {
    /// The last group of which anything was written.
    key: SortKey,
    group_id: GroupId,
    /// The last of its users that was written, if there may be more.
    open_after: Option<UserId>,
}

async fn group_stream(
    app: AppState,
    by: access::Admin,
    asked: Arc<GroupListQuery>,
) -> Result<Response, Problem> {
    stream(move |after: Option<StreamPosition>| {
        let (app, by, asked) = (app.clone(), by.clone(), Arc::clone(&asked));
        async move {
            let shaping = app.clone();
            app.store
                .scan(&by, move |tx| match after {
                    Some(StreamPosition { key, group_id, open_after: Some(user) }) => {
                        more_users(tx, (key, group_id), user).map(Some)
                    }
                    place => more_groups(tx, &shaping, &asked, place),
                })
                .await
        }
    })
    .await
}

/// The next groups; of one with very many users only the first of these.
fn more_groups(
    tx: &mut Tx<'_, access::Admin>,
    app: &AppState,
    asked: &GroupListQuery,
    place: Option<StreamPosition>,
) -> Result<Option<(Bytes, StreamPosition)>> {
    let is_first = place.is_none();
    let from = place.map_or(Position::Offset(0), |at| Position::After(at.key, at.group_id.0));
    let chunk = groups::list_chunk(tx, &asked.query, &from, CHUNK)?;
    let Some(last) = chunk.groups.last() else { return Ok(None) };
    let place = StreamPosition {
        key: asked.query.sort.key_of(last),
        group_id: last.group_id,
        open_after: last.users.last().copied().filter(|_| chunk.is_open),
    };
    let shape = |group| GroupBody::with(group, &app.catalogue, asked.properties);
    let mut written = write_rows(chunk.groups.iter().map(shape), is_first)?;
    if chunk.is_open {
        // Users are the last property: without these two the array of them is still open.
        if !written.ends_with(b"]}") {
            return Err(Error::internal("a group does not end with its users"));
        }
        written.truncate(written.len() - 2);
    }
    Ok(Some((written, place)))
}

/// The next users of a group that was begun.
fn more_users(
    tx: &mut Tx<'_, access::Admin>,
    (key, group_id): (SortKey, GroupId),
    after: UserId,
) -> Result<(Bytes, StreamPosition)> {
    let users = memberships::list_chunk(tx, group_id, after, CHUNK_MEMBERS)?;
    let is_open = i64::try_from(users.len()).is_ok_and(|count| count == CHUNK_MEMBERS);
    let mut written: String = users.iter().map(|user| format!(",{user}")).collect();
    if !is_open {
        written.push_str("]}");
    }
    let open_after = users.last().copied().filter(|_| is_open);
    Ok((Bytes::from(written), StreamPosition { key, group_id, open_after }))
}
