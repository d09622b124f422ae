//! What a user may do, and why.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::pager::{Pager, ROWS, offset, read_page};
use super::shell::{Section, Shell};
use super::user::{Asked, Head, Tab, find, unknown};
use super::visit::Visit;
use crate::assets;
use tenantry_core::error::{Error, Missing};
use tenantry_core::languages::Language;
use tenantry_core::model::{Effective, GroupId, Source, Status};
use tenantry_domain::evaluations::{self, EffectivePosition};
use tenantry_http::page_error::PageError;
use tenantry_http::state::AppState;
use tenantry_store::access::Requester;

#[derive(Template)]
#[template(path = "console/user_permissions.html")]
struct PermissionsPage<'a> {
    shell: &'a Shell,
    section: Section,
    tab: Tab,
    head: Head,
    rows: Vec<Row>,
    total: String,
    count: i64,
    is_active: bool,
    pager: Pager,
}

struct Row {
    object_type: String,
    /// `None` is every object of the type.
    object: Option<String>,
    permission: String,
    reasons: Vec<Reason>,
}

/// Where a permission comes from.
struct Reason {
    /// From the user's own group up to the one that has the permission.
    path: Vec<(GroupId, String)>,
    /// That it comes from the user's right.
    is_admin: bool,
}

fn reason(source: Source) -> Reason {
    match source {
        Source::Admin => Reason { path: Vec::new(), is_admin: true },
        Source::Group { group_id, name, path, .. } => {
            let mut path: Vec<_> = path.into_iter().map(|group| (group.group_id, group.name)).collect();
            if path.is_empty() {
                path.push((group_id, name));
            }
            Reason { path, is_admin: false }
        }
    }
}

fn row(of: Effective) -> Row {
    Row {
        object_type: of.object_type,
        object: of.object_id.map(|id| id.text),
        permission: of.permission,
        reasons: of.sources.into_iter().map(reason).collect(),
    }
}

/// Shows the permissions.
pub async fn show(
    State(app): State<AppState>,
    Path(id): Path<String>,
    visit: Visit,
) -> Result<Response, PageError> {
    let user = match find(&app, &visit, &id).await? {
        Asked::Known(user) => user,
        Asked::Unknown(page) => return Ok(page),
    };
    let by = Requester::beyond_evaluations(visit.session.caller().clone())?;
    let (parts, user_id, number) = (app.clone(), user.user_id, read_page(&visit.shell.view));
    let from = EffectivePosition::Offset(offset(number, ROWS));
    let read = app
        .store
        .scan(&by, move |tx| evaluations::list_effective(tx, parts.rules(), user_id, &from, ROWS, true));
    let (total, rows) = match read.await {
        Err(Error::NotFound(Missing::User)) => return unknown(&visit, &id),
        read => read?,
    };
    let shell = &visit.shell;
    let page = PermissionsPage {
        shell,
        section: Section::Users,
        tab: Tab::Permissions,
        head: Head::of(&user, &visit),
        rows: rows.into_iter().map(row).collect(),
        total: shell.number(total.count),
        count: total.count,
        is_active: user.status == Status::Active,
        pager: Pager::of(shell, &Tab::Permissions.path(user_id), Vec::new(), (number, ROWS), total),
    };
    shell.send(StatusCode::OK, &page)
}
