//! The list of users: any page, any order, exact totals.

use std::collections::HashMap;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::list_state::{COLUMNS, ListState, PATH, SIZES, columns};
use super::pager::{Pager, address, offset};
use super::shell::{Section, Shell, ShownTime};
use super::user_form::{field_name, status_name};
use super::visit::Visit;
use crate::assets;
use tenantry_core::error::{Error, FieldError};
use tenantry_core::languages::Language;
use tenantry_core::model::{GroupId, Status, User};
use tenantry_core::user_fields::UserField;
use tenantry_domain::{console, users};
use tenantry_http::page_error::PageError;
use tenantry_http::state::AppState;
use tenantry_store::listing::lists::{Position, Total};

/// The groups of a user that a row shows.
const GROUPS_SHOWN: usize = 3;

#[derive(Template)]
#[template(path = "console/users.html")]
struct UsersPage<'a> {
    shell: &'a Shell,
    section: Section,
    state: &'a ListState,
    chips: Vec<Chip>,
    headings: Vec<Heading>,
    rows: Vec<Row>,
    total: String,
    count: i64,
    pager: Pager,
    /// The address in its shortest form.
    here: String,
    curl: String,
    columns: Vec<(&'static str, &'static str, bool)>,
    statuses: Vec<(&'static str, &'static str, bool)>,
}

/// A filter that is in force, or that cannot be understood.
struct Chip {
    label: String,
    value: String,
    without: String,
    problem: Option<String>,
}

struct Heading {
    name: &'static str,
    label: &'static str,
    /// Its address, unless it is no order.
    href: Option<String>,
    /// `ascending` or `descending`, if it is the order.
    sorted: Option<&'static str>,
}

struct Row {
    href: String,
    cells: Vec<Cell>,
}

enum Cell {
    Name(String),
    Text(String),
    Time(ShownTime),
    Status(&'static str, &'static str),
    Groups(Vec<String>, usize),
    Yes(&'static str),
    Empty,
}

/// What is found.
struct Found {
    total: Total,
    rows: Vec<User>,
    /// The names of groups, by id.
    groups: HashMap<i64, String>,
}

async fn find(app: &AppState, visit: &Visit, state: &mut ListState) -> Result<Found, PageError> {
    let mut found =
        Found { total: Total { count: 0, is_exact: true }, rows: Vec::new(), groups: HashMap::new() };
    if !state.errors.is_empty() {
        return Ok(found);
    }
    let (query, size) = (state.query.clone(), state.size);
    let (from, with_groups) = (Position::Offset(offset(state.page, size)), state.has(UserField::Groups));
    let scanned = app.store.scan(&visit.admin, move |tx| {
        let (total, rows) = users::list_page(tx, &query, &from, size)?;
        let of_rows =
            rows.iter().filter(|_| with_groups).flat_map(|user| user.groups.iter().take(GROUPS_SHOWN));
        let mut ids: Vec<GroupId> = of_rows.chain(&query.groups).copied().collect();
        ids.sort_unstable();
        ids.dedup();
        Ok((total, console::group_names(tx, &ids)?, rows))
    });
    match scanned.await {
        Ok((total, groups, rows)) => {
            found = Found { total, rows, groups: groups.into_iter().collect() };
        }
        // A group that does not exist, or is another partner's.
        Err(Error::Invalid(errors)) => {
            state.errors =
                errors.into_iter().map(|error| FieldError { field: "groupId".into(), ..error }).collect();
        }
        Err(other) => return Err(other.into()),
    }
    Ok(found)
}

/// Shows the list.
pub async fn show(State(app): State<AppState>, visit: Visit) -> Result<Response, PageError> {
    let mut state = ListState::read(&visit.shell.view);
    let found = find(&app, &visit, &mut state).await?;
    let (shell, l) = (&visit.shell, visit.l());
    let status = if state.errors.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let row = |user: &User| Row {
        href: format!("{}{PATH}/{}", shell.base(), user.user_id),
        cells: state.columns.iter().map(|column| cell(*column, user, &found.groups, l)).collect(),
    };
    let is_status = |name: &str| state.filters.iter().any(|(of, value)| of == "status" && value == name);
    let page = UsersPage {
        shell,
        section: Section::Users,
        chips: chips(&state, &found.groups, shell),
        headings: state.columns.iter().map(|column| heading(*column, &state, shell)).collect(),
        rows: found.rows.iter().map(row).collect(),
        total: shell.number(found.total.count),
        count: found.total.count,
        pager: Pager::of(shell, PATH, state.pairs(), (state.page, state.size), found.total),
        here: address(&format!("{}{PATH}", shell.base()), &state.pairs(), state.page),
        curl: super::raw::curl(&app, &state.api_path()),
        columns: columns().map(|column| (column.name(), field_name(column, l), state.has(column))).collect(),
        statuses: Status::ALL
            .map(|status| (status.as_str(), status_name(status, l), is_status(status.as_str())))
            .into(),
        state: &state,
    };
    shell.send(status, &page)
}

fn heading(column: UserField, state: &ListState, shell: &Shell) -> Heading {
    let direction = if state.query.descending { "descending" } else { "ascending" };
    Heading {
        name: column.name(),
        label: field_name(column, shell.l),
        href: (column != UserField::Groups).then(|| state.sorted_by(shell.base(), column)),
        sorted: (state.query.sort == column).then_some(direction),
    }
}

fn cell(column: UserField, user: &User, names: &HashMap<i64, String>, l: Language) -> Cell {
    match column {
        UserField::Pid => Cell::Empty,
        UserField::UserId => Cell::Text(user.user_id.to_string()),
        UserField::Username => Cell::Name(user.username.clone()),
        UserField::Status => Cell::Status(user.status.as_str(), status_name(user.status, l)),
        UserField::Profile(field) => match field.get(&user.profile) {
            Some(value) if !value.is_empty() => Cell::Text(value.to_owned()),
            _ => Cell::Empty,
        },
        UserField::Groups if user.groups.is_empty() => Cell::Empty,
        UserField::Groups => {
            let shown = user.groups.iter().take(GROUPS_SHOWN);
            let name = |id: &GroupId| names.get(&id.0).cloned().unwrap_or_else(|| id.to_string());
            Cell::Groups(shown.map(name).collect(), user.groups.len().saturating_sub(GROUPS_SHOWN))
        }
        UserField::IsAdmin if user.is_admin => Cell::Yes(text!(l, "console-admin")),
        UserField::IsAdmin => Cell::Empty,
        UserField::CreatedAt => Cell::Time(ShownTime::of(user.created_at)),
        UserField::UpdatedAt => Cell::Time(ShownTime::of(user.updated_at)),
        UserField::LastLoginAt => user.last_login_at.map_or(Cell::Empty, |at| Cell::Time(ShownTime::of(at))),
    }
}

/// The name of a parameter.
fn parameter_name(name: &str, l: Language) -> &str {
    match name {
        "search" => text!(l, "console-search"),
        "groupId" | "groupdId" => text!(l, "console-group"),
        "nested" => text!(l, "console-nested"),
        COLUMNS => text!(l, "console-columns"),
        "page" => text!(l, "console-page"),
        "pageSize" => text!(l, "console-page-size"),
        "sortBy" | "descending" => text!(l, "console-order"),
        name => UserField::ALL
            .into_iter()
            .find(|field| field.name() == name)
            .map_or(name, |field| field_name(field, l)),
    }
}

/// A filter's value, as people know it.
fn shown_value(name: &str, value: &str, groups: &HashMap<i64, String>, l: Language) -> String {
    let known = match name {
        "groupId" | "groupdId" => value.parse().ok().and_then(|id: i64| groups.get(&id).cloned()),
        "status" => {
            let status = Status::ALL.into_iter().find(|status| status.as_str().eq_ignore_ascii_case(value));
            status.map(|status| status_name(status, l).to_owned())
        }
        "isAdmin" | "nested" if value.eq_ignore_ascii_case("true") => {
            Some(text!(l, "console-yes").to_owned())
        }
        "isAdmin" | "nested" if value.eq_ignore_ascii_case("false") => {
            Some(text!(l, "console-no").to_owned())
        }
        _ => None,
    };
    known.unwrap_or_else(|| value.to_owned())
}

fn chips(state: &ListState, groups: &HashMap<i64, String>, shell: &Shell) -> Vec<Chip> {
    let problem = |name: &str| {
        let error = state.errors.iter().find(|error| error.field == name)?;
        Some(error.detail.clone().into_owned())
    };
    let mut chips: Vec<Chip> = state
        .filters
        .iter()
        .map(|filter| Chip {
            label: parameter_name(&filter.0, shell.l).to_owned(),
            value: shown_value(&filter.0, &filter.1, groups, shell.l),
            without: state.without(shell.base(), filter),
            problem: problem(&filter.0),
        })
        .collect();
    // What is no filter is dropped with the chip.
    for error in
        state.errors.iter().filter(|error| !state.filters.iter().any(|(name, _)| *name == error.field))
    {
        chips.push(Chip {
            label: parameter_name(&error.field, shell.l).to_owned(),
            value: String::new(),
            without: address(&format!("{}{PATH}", shell.base()), &state.pairs(), 1),
            problem: Some(error.detail.clone().into_owned()),
        });
    }
    chips
}
