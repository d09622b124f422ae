//! A user as the API shows it, and the same as a call.

use std::fmt::Write as _;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::shell::{Section, Shell};
use super::user::{Asked, Head, Tab, find};
use super::visit::Visit;
use crate::assets;
use tenantry_core::languages::Language;
use tenantry_core::model::User;
use tenantry_core::user_fields::UserField;
use tenantry_http::page_error::PageError;
use tenantry_http::state::AppState;

#[derive(Template)]
#[template(path = "console/user_json.html")]
struct JsonPage<'a> {
    shell: &'a Shell,
    section: Section,
    tab: Tab,
    head: Head,
    json: String,
    curl: String,
}

/// A call of the API for a path, which must be percent-encoded.
pub fn curl(app: &AppState, path: &str) -> String {
    format!("curl -H \"Authorization: Bearer $TOKEN\" '{}{path}'", app.settings().public_url)
}

/// A user as the API shows it, with a line for each member.
fn written(user: &User, is_admin_as_string: bool) -> String {
    let mut text = String::from("{\n");
    for (at, field) in UserField::ALL.into_iter().enumerate() {
        let value = match field.json(user) {
            Value::Bool(value) if is_admin_as_string => json!(value.to_string()),
            value => value,
        };
        let comma = if at + 1 < UserField::ALL.len() { "," } else { "" };
        let _ = writeln!(text, "  \"{}\": {value}{comma}", field.name());
    }
    text.push('}');
    text
}

/// Shows it.
pub async fn show(
    State(app): State<AppState>,
    Path(id): Path<String>,
    visit: Visit,
) -> Result<Response, PageError> {
    let user = match find(&app, &visit, &id).await? {
        Asked::Known(user) => user,
        Asked::Unknown(page) => return Ok(page),
    };
    let page = JsonPage {
        shell: &visit.shell,
        section: Section::Users,
        tab: Tab::Json,
        head: Head::of(&user, &visit),
        json: written(&user, app.settings().is_admin_as_string),
        curl: curl(&app, &format!("/api/v1/users/{}", user.user_id)),
    };
    visit.shell.send(StatusCode::OK, &page)
}
