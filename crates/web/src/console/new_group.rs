//! Creates a group.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::group_form::{GroupAttempt, no_parent};
use super::shell::{Said, Section, Shell};
use super::user_form::refusal;
use super::visit::Visit;
use crate::assets;
use tenantry_core::error::{Error, Missing};
use tenantry_core::languages::Language;
use tenantry_domain::groups::{self, NewGroup};
use tenantry_domain::{console, unit};
use tenantry_http::page_error::PageError;
use tenantry_http::pages::{PageForm, see_other};
use tenantry_http::state::AppState;

/// The names of groups that the page offers while one is typed.
pub const OFFERED: i64 = 100;

#[derive(Template)]
#[template(path = "console/new_group.html")]
struct NewGroupPage<'a> {
    shell: &'a Shell,
    section: Section,
    said: Said,
    form: GroupAttempt,
    offered: Vec<String>,
}

async fn page(
    app: &AppState,
    visit: &Visit,
    status: StatusCode,
    said: Said,
    form: GroupAttempt,
) -> Result<Response, PageError> {
    let offered = app.store.scan(&visit.admin, |tx| console::list_first_groups(tx, OFFERED)).await?;
    visit
        .shell
        .send(status, &NewGroupPage { shell: &visit.shell, section: Section::Groups, said, form, offered })
}

/// Shows the form.
pub async fn show(State(app): State<AppState>, visit: Visit) -> Result<Response, PageError> {
    let parent = visit.shell.view.parameter("parent").unwrap_or_default();
    let form = GroupAttempt { parent, ..GroupAttempt::default() };
    page(&app, &visit, StatusCode::OK, Said::default(), form).await
}

/// Creates the group.
pub async fn submit(
    State(app): State<AppState>,
    visit: Visit,
    mut form: PageForm,
) -> Result<Response, PageError> {
    visit.check(&app, &mut form)?;
    let mut attempt = GroupAttempt::read(&mut form);
    let typed = attempt.clone();
    let created = match attempt.check() {
        Err(errors) => Err(Error::Invalid(errors)),
        Ok(()) => {
            let made = unit::write(&app.store, &visit.admin, move |tx| {
                let parent = match typed.parent.as_str() {
                    "" => None,
                    name => Some(console::get_group_named(tx, name)?),
                };
                let (name, description) = (typed.name.clone(), typed.description.clone());
                groups::create(tx, &NewGroup { name, description, parent })
            });
            made.await
        }
    };
    let error = match created {
        Ok(group) => return see_other(&format!("/console/groups/{}?done=created", group.group_id), None),
        Err(Error::NotFound(Missing::Group)) => Error::Invalid(vec![no_parent()]),
        Err(error) => error,
    };
    let (status, errors, problem) = refusal(error, visit.l())?;
    attempt.errors = errors;
    page(&app, &visit, status, Said::problem(problem), attempt).await
}
