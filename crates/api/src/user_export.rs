//! All users of a partner as rows that can be imported again.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use hyper::body::Bytes;
use serde_json::{Value, json};

use crate::responses::{AdminErrors, InvalidError};
use crate::user_bodies::example_of;
use crate::user_import::content_type;
use tenantry_core::error::Result;
use tenantry_core::model::UserId;
use tenantry_core::rows::Format;
use tenantry_core::user_fields::UserField;
use tenantry_domain::user_rows::{csv_names, export_rows};
use tenantry_http::extract::{Admin, QueryParams};
use tenantry_http::paging::{Frame, stream_within};
use tenantry_http::parameters::{Of, Parameter, ReadFrom};
use tenantry_http::problem::Problem;
use tenantry_http::state::AppState;

static FORMAT: Parameter = Parameter::one_of(
    "format",
    || Format::NAMES.map(|(name, _)| name).to_vec(),
    "The format of rows; `ndjson` by default.",
);

/// How rows are written.
struct ExportFormat(Format);

impl ReadFrom for ExportFormat {
    const PARAMETERS: &'static [&'static Parameter] = &[&FORMAT];
}

fn ndjson_example() -> String {
    let mut row = example_of(UserField::writable());
    row.insert(String::from("groups"), json!(["Editors"]));
    format!("{}\n", Value::Object(row))
}

fn csv_example() -> String {
    let row = example_of(UserField::writable());
    let cell = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Array(_) => String::from("Editors"),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let cells: Vec<_> = row.values().map(cell).collect();
    format!("{}\r\n{}\r\n", csv_names(), cells.join(","))
}

/// Export all users as rows that can be imported again, ascending by `userId`, streamed.
///
/// Groups are exported by name. Passwords and other data specific to this server are not included.
#[utoipa::path(
    get, path = "/api/v1/users/export", tag = "users", params(Of<ExportFormat>),
    responses(
        (status = 200, description = "All users", content(
            (String = "application/x-ndjson", example = json!(ndjson_example())),
            (String = "text/csv", example = json!(csv_example())),
        )),
        InvalidError, AdminErrors,
    ),
)]
pub async fn export_users(
    State(app): State<AppState>,
    Admin(by): Admin,
    QueryParams(mut params): QueryParams,
) -> Result<Response, Problem> {
    let ExportFormat(format) = params
        .checked(FORMAT.name, |name| {
            Format::parse(name).ok_or(("unknown-format", String::from("give ndjson or csv")))
        })
        .map_or(ExportFormat(Format::Ndjson), ExportFormat);
    params.finish()?;
    let frame = Frame { content_type: content_type(format), open: "", close: "" };
    let (app, by) = (Arc::new(app), Arc::new(by));
    stream_within(frame, move |after: Option<Option<UserId>>| {
        let (app, by) = (Arc::clone(&app), Arc::clone(&by));
        async move {
            let after = after.flatten();
            let page = app.store.scan(&*by, move |tx| export_rows(tx, format, after, None)).await?;
            Ok((page.rows > 0 || after.is_none()).then(|| (Bytes::from(page.text), page.last)))
        }
    })
    .await
}
