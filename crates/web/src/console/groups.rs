//! Groups: a level of their tree, or what a search finds.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::pager::{PAGE, Pager, given, offset};
use super::shell::{Said, Section, Shell};
use super::visit::Visit;
use crate::assets;
use tenantry_core::languages::Language;
use tenantry_core::model::{Group, GroupId};
use tenantry_domain::console::{self, Branch};
use tenantry_domain::groups;
use tenantry_http::page_error::PageError;
use tenantry_http::paging::Params;
use tenantry_http::state::AppState;
use tenantry_store::listing::lists::{Position, Total};
use tenantry_store::tables::groups::{GroupQuery, GroupSort};

/// The path of the page.
pub const PATH: &str = "/console/groups";

/// The groups of a page.
pub const SIZE: i64 = 50;

#[derive(Template)]
#[template(path = "console/groups.html")]
struct GroupsPage<'a> {
    shell: &'a Shell,
    section: Section,
    said: Said,
    search: &'a str,
    rows: Vec<Row>,
    total: String,
    count: i64,
    pager: Pager,
}

/// A group in a list.
pub struct Row {
    /// Its id.
    pub id: GroupId,
    /// Its name.
    pub name: String,
    /// Its description.
    pub description: String,
    /// How many members it has.
    pub members: String,
    /// How many groups are directly nested in it, if that is known and not 0.
    pub children: Option<String>,
}

impl Row {
    fn of(group: Group, children: Option<i64>, shell: &Shell) -> Self {
        Self {
            id: group.group_id,
            name: group.name,
            description: group.description,
            members: shell.number(group.membership_count),
            children: children.filter(|children| *children > 0).map(|children| shell.number(children)),
        }
    }

    /// Of a level of the tree.
    pub fn of_branch(branch: Branch, shell: &Shell) -> Self {
        Self::of(branch.group, Some(branch.children), shell)
    }
}

/// Shows the outermost groups, or those that are searched for.
pub async fn show(State(app): State<AppState>, visit: Visit) -> Result<Response, PageError> {
    let (shell, l) = (&visit.shell, visit.l());
    let mut params = Params::parse(Some(&given(&shell.view)));
    let search = params.search();
    let number = params.integer(&PAGE).unwrap_or(1);
    let typed = shell.view.parameter("search").unwrap_or_default();
    let notice = match shell.view.parameter("done").as_deref() {
        Some("deleted") => Some(text!(l, "console-group-deleted")),
        _ => None,
    };
    let (mut status, mut said) = (StatusCode::OK, Said::notice(notice));
    let (mut total, mut rows) = (Total { count: 0, is_exact: true }, Vec::new());
    let from = offset(number, SIZE);
    if params.finish().is_err() {
        status = StatusCode::BAD_REQUEST;
        said = Said::problem(text!(l, "console-address-wrong"));
    } else if search.is_some() {
        let query = GroupQuery { search, sort: GroupSort::Name, descending: false, with_users: false };
        let from = Position::Offset(from);
        let found =
            app.store.scan(&visit.admin, move |tx| groups::list_page(tx, &query, &from, SIZE)).await?;
        total = found.0;
        rows = found.1.into_iter().map(|group| Row::of(group, None, shell)).collect();
    } else {
        let level =
            app.store.scan(&visit.admin, move |tx| console::list_children(tx, None, from, SIZE)).await?;
        total = level.0;
        rows = level.1.into_iter().map(|branch| Row::of_branch(branch, shell)).collect();
    }
    let pairs = if typed.is_empty() { Vec::new() } else { vec![(String::from("search"), typed.clone())] };
    let page = GroupsPage {
        shell,
        section: Section::Groups,
        said,
        search: &typed,
        rows,
        total: shell.number(total.count),
        count: total.count,
        pager: Pager::of(shell, PATH, pairs, (number, SIZE), total),
    };
    shell.send(status, &page)
}
