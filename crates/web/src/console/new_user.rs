//! Creates a user.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::shell::{Said, Section, Shell};
use super::user_form::{Attempt, FieldView, fields, refusal};
use super::visit::Visit;
use crate::assets;
use tenantry_core::languages::Language;
use tenantry_core::model::Status;
use tenantry_domain::user_records::read_new;
use tenantry_domain::{unit, users};
use tenantry_http::page_error::PageError;
use tenantry_http::pages::{PageForm, see_other};
use tenantry_http::state::AppState;

#[derive(Template)]
#[template(path = "console/new_user.html")]
struct NewUserPage<'a> {
    shell: &'a Shell,
    section: Section,
    said: Said,
    fields: Vec<FieldView>,
    is_active: bool,
    is_admin: bool,
}

fn page(
    visit: &Visit,
    status: StatusCode,
    said: Said,
    (attempt, is_active): (Option<&Attempt>, bool),
) -> Result<Response, PageError> {
    let page = NewUserPage {
        shell: &visit.shell,
        section: Section::Users,
        said,
        fields: fields(None, attempt, visit.l()),
        is_active,
        is_admin: attempt.is_some_and(|attempt| attempt.is_admin),
    };
    visit.shell.send(status, &page)
}

/// Shows the form.
pub async fn show(visit: Visit) -> Result<Response, PageError> {
    page(&visit, StatusCode::OK, Said::default(), (None, true))
}

/// Creates the user.
pub async fn submit(
    State(app): State<AppState>,
    visit: Visit,
    mut form: PageForm,
) -> Result<Response, PageError> {
    visit.check(&app, &mut form)?;
    let mut attempt = Attempt::read(&mut form);
    if attempt.is_admin
        && let Some(elsewhere) = visit.expect_strong(&app).await?
    {
        return Ok(elsewhere);
    }
    let is_active = form.take("status").as_str() != Status::Inactive.as_str();
    let status = if is_active { Status::Active } else { Status::Inactive };
    let created = match read_new(&app.store, &visit.admin, &attempt.body(status)).await {
        Ok(new) => unit::write(&app.store, &visit.admin, move |tx| users::create(tx, &new)).await,
        Err(error) => Err(error),
    };
    match created {
        Ok(user) => see_other(&format!("/console/users/{}?done=created", user.user_id), None),
        Err(error) => {
            let (status, errors, problem) = refusal(error, visit.l())?;
            attempt.errors = errors;
            page(&visit, status, Said::problem(problem), (Some(&attempt), is_active))
        }
    }
}
