//! The first page: totals, what needs attention, and what happened last.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::history::{Row, brief, users_of};
use super::shell::{Section, Shell, shown_number};
use super::visit::Visit;
use crate::assets;
use tenantry_core::languages::Language;
use tenantry_core::model::Status;
use tenantry_domain::{console, events, users};
use tenantry_http::page_error::PageError;
use tenantry_http::state::AppState;
use tenantry_store::engine::tx::Tx;
use tenantry_store::listing::lists::{Position, Total};
use tenantry_store::listing::user_queries::UserQuery;
use tenantry_store::tables::events::{EventPosition, EventQuery};

/// The number of events that the page shows.
const EVENTS: i64 = 10;

#[derive(Template)]
#[template(path = "console/home.html")]
struct HomePage<'a> {
    shell: &'a Shell,
    section: Section,
    figures: Vec<Figure>,
    locked: Option<Figure>,
    rows: Vec<Row>,
}

/// A total.
struct Figure {
    label: &'static str,
    count: String,
    number: i64,
    href: String,
}

/// Shows the page.
pub async fn show(State(app): State<AppState>, visit: Visit) -> Result<Response, PageError> {
    let read = app.store.scan(&visit.admin, |tx| {
        let count = |tx: &mut Tx<'_, _>, query: UserQuery| {
            users::list_page(tx, &query, &Position::Offset(0), 1).map(|(total, _)| total)
        };
        let with = |status| UserQuery { status: vec![status], ..UserQuery::all() };
        let all = count(tx, UserQuery::all())?;
        let statuses = [
            count(tx, with(Status::Active))?,
            count(tx, with(Status::Inactive))?,
            count(tx, with(Status::Locked))?,
        ];
        let admins = count(tx, UserQuery { is_admin: Some(true), ..UserQuery::all() })?;
        let query = EventQuery { users: Vec::new(), kinds: Vec::new(), descending: true };
        let (_, last) = events::list_page(tx, &query, EventPosition::Offset(0), EVENTS)?;
        let unknown = console::list_unknown_users(tx, &users_of(&last))?;
        Ok((all, statuses, admins, console::count_groups(tx)?, (last, unknown)))
    });
    let (all, [active, inactive, locked], admins, groups, (last, unknown)) = read.await?;
    let (shell, l) = (&visit.shell, visit.l());
    let figure = |label, total: Total, path: &str| {
        let count = shown_number(l, total.count);
        Figure {
            label,
            count: if total.is_exact { count } else { text!(l, "console-at-least", count = count) },
            number: total.count,
            href: format!("{}{path}", shell.base()),
        }
    };
    let groups = Total { count: groups, is_exact: true };
    let page = HomePage {
        shell,
        section: Section::Home,
        figures: vec![
            figure(text!(l, "console-users"), all, "/console/users"),
            figure(text!(l, "console-active"), active, "/console/users?status=ACTIVE"),
            figure(text!(l, "console-inactive"), inactive, "/console/users?status=INACTIVE"),
            figure(text!(l, "console-locked"), locked, "/console/users?status=LOCKED"),
            figure(text!(l, "console-admins"), admins, "/console/users?isAdmin=true"),
            figure(text!(l, "console-groups"), groups, "/console/groups"),
        ],
        locked: Some(figure(text!(l, "console-locked"), locked, "/console/users?status=LOCKED"))
            .filter(|locked| locked.number > 0),
        rows: last.into_iter().map(|event| brief(event, shell, (visit.session.user_id, &unknown))).collect(),
    };
    shell.send(StatusCode::OK, &page)
}
