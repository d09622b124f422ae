//! Deleted users, who can be restored until they are erased.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::pager::{PAGE, Pager, ROWS, given, offset};
use super::shell::{Said, Section, Shell, ShownTime};
use super::visit::Visit;
use crate::assets;
use crate::person::shown_name;
use tenantry_core::error::{Error, Missing};
use tenantry_core::languages::Language;
use tenantry_core::model::UserId;
use tenantry_core::values::whole_number;
use tenantry_domain::{deleted_users, unit};
use tenantry_http::page_error::PageError;
use tenantry_http::pages::{PageForm, see_other};
use tenantry_http::paging::Params;
use tenantry_http::state::AppState;
use tenantry_store::listing::lists::{Position, Total};
use tenantry_store::tables::deleted_users::{DeletedQuery, DeletedSort, DeletedUser};

/// The path of the page.
pub const PATH: &str = "/console/deleted";

#[derive(Template)]
#[template(path = "console/deleted.html")]
struct DeletedPage<'a> {
    shell: &'a Shell,
    section: Section,
    said: Said,
    search: &'a str,
    rows: Vec<Row>,
    total: String,
    count: i64,
    pager: Pager,
}

struct Row {
    id: UserId,
    name: String,
    username: String,
    email: String,
    deleted: ShownTime,
}

async fn page(
    app: &AppState,
    visit: &Visit,
    mut status: StatusCode,
    mut said: Said,
) -> Result<Response, PageError> {
    let (shell, l) = (&visit.shell, visit.l());
    let mut params = Params::parse(Some(&given(&shell.view)));
    let query = DeletedQuery { search: params.user_search(), sort: DeletedSort::DeletedAt, descending: true };
    let number = params.integer(&PAGE).unwrap_or(1);
    let mut found = (Total { count: 0, is_exact: true }, Vec::new());
    if params.finish().is_ok() {
        let from = Position::Offset(offset(number, ROWS));
        let read = app.store.scan(&visit.admin, move |tx| deleted_users::list_page(tx, &query, &from, ROWS));
        found = read.await?;
    } else {
        status = StatusCode::BAD_REQUEST;
        said.problem = Some(text!(l, "console-address-wrong").to_owned());
    }
    let search = shell.view.parameter("search").unwrap_or_default();
    let row = |DeletedUser { user, deleted_at }| Row {
        id: user.user_id,
        name: shown_name(&user),
        username: user.username,
        email: user.profile.email,
        deleted: ShownTime::of(deleted_at),
    };
    let pairs = if search.is_empty() { Vec::new() } else { vec![(String::from("search"), search.clone())] };
    let page = DeletedPage {
        shell,
        section: Section::Deleted,
        said,
        search: &search,
        rows: found.1.into_iter().map(row).collect(),
        total: shell.number(found.0.count),
        count: found.0.count,
        pager: Pager::of(shell, PATH, pairs, (number, ROWS), found.0),
    };
    shell.send(status, &page)
}

/// Shows the list.
pub async fn show(State(app): State<AppState>, visit: Visit) -> Result<Response, PageError> {
    let notice = match visit.shell.view.parameter("done").as_deref() {
        Some("deleted") => Some(text!(visit.l(), "console-deleted-now")),
        _ => None,
    };
    page(&app, &visit, StatusCode::OK, Said::notice(notice)).await
}

/// Restores a user.
pub async fn submit(
    State(app): State<AppState>,
    visit: Visit,
    mut form: PageForm,
) -> Result<Response, PageError> {
    visit.check(&app, &mut form)?;
    let l = visit.l();
    let id = whole_number(&form.take("restore")).filter(|id| *id > 0).map(UserId);
    let restored = match id {
        Some(id) => unit::write(&app.store, &visit.admin, move |tx| deleted_users::restore(tx, id)).await,
        None => Err(Error::NotFound(Missing::DeletedUser)),
    };
    let (status, problem) = match restored {
        Ok(restored) if restored.missing_groups.is_empty() => {
            return see_other(&format!("/console/users/{}?done=restored", restored.user.user_id), None);
        }
        Ok(restored) => {
            return see_other(&format!("/console/users/{}?done=restored-some", restored.user.user_id), None);
        }
        Err(Error::NotFound(Missing::DeletedUser)) => {
            (StatusCode::NOT_FOUND, text!(l, "console-problem-not-deleted"))
        }
        Err(Error::Conflict(conflict)) if conflict.code == "username-taken" => {
            (StatusCode::CONFLICT, text!(l, "console-problem-restore-username"))
        }
        Err(Error::Conflict(conflict)) if conflict.code == "external-id-taken" => {
            (StatusCode::CONFLICT, text!(l, "console-problem-restore-external-id"))
        }
        Err(other) => return Err(other.into()),
    };
    page(&app, &visit, status, Said::problem(problem)).await
}
