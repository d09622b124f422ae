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
use tenantry_core::rows::{Format, trailer};
use tenantry_core::user_fields::UserField;
use tenantry_domain::user_export::{ExportStyle, Formulas, csv_names, export_rows};
use tenantry_http::extract::{Admin, QueryParams};
use tenantry_http::paging::{Frame, Params, stream_within};
use tenantry_http::parameters::{Of, Parameter, ReadFrom};
use tenantry_http::problem::Problem;
use tenantry_http::state::AppState;

static FORMAT: Parameter = Parameter::one_of(
    "format",
    || Format::NAMES.map(|(name, _)| name).to_vec(),
    "The format of rows; `ndjson` by default.",
);

static FORMULAS: Parameter = Parameter::one_of(
    "formulas",
    || Formulas::NAMES.map(|(name, _)| name).to_vec(),
    "With `quote`, cells of CSV that a spreadsheet would take for a formula begin with an apostrophe: for files that \
     are opened in a spreadsheet, not imported. `bare` by default. NDJSON is not affected.",
);

static TRAILER: Parameter = Parameter::flag(
    "trailer",
    "Ends the export with a line that says how many rows there were: `{\"rows\":2}` or `#rows,2`. An import checks it.",
);

/// How rows are written.
struct AskedExport {
    style: ExportStyle,
    has_trailer: bool,
}

impl ReadFrom for AskedExport {
    const PARAMETERS: &'static [&'static Parameter] = &[&FORMAT, &FORMULAS, &TRAILER];
}

impl AskedExport {
    fn read(mut params: Params) -> Result<Self> {
        let format = params.checked(FORMAT.name, |name| {
            Format::parse(name).ok_or(("unknown-format", String::from("must be ndjson or csv")))
        });
        let format = format.unwrap_or(Format::Ndjson);
        let formulas = params
            .checked(FORMULAS.name, |name| {
                Formulas::parse(name).ok_or(("wrong-value", String::from("must be bare or quote")))
            })
            .unwrap_or_default();
        let has_trailer = params.flag(&TRAILER).unwrap_or(false);
        params.finish()?;
        Ok(Self { style: ExportStyle { format, formulas, hashes_for: None }, has_trailer })
    }
}

/// How far an export is.
#[derive(Clone, Copy, Default)]
struct ExportProgress {
    after: Option<UserId>,
    rows: u64,
    has_ended: bool,
}

fn ndjson_example() -> String {
    let mut row = example_of(UserField::portable());
    row.insert(String::from("groups"), json!(["Editors"]));
    format!("{}\n", Value::Object(row))
}

fn csv_example() -> String {
    let row = example_of(UserField::portable());
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
/// Groups are exported by name. Passwords and other data specific to this server are not included. In CSV an empty cell
/// is no value and `""` is an empty one; group names are separated by `;`, and in quotes where they would be taken for
/// something else. An export that fails breaks the connection off.
#[utoipa::path(
    get, path = "/api/v1/users/export", tag = "users", params(Of<AskedExport>),
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
    QueryParams(params): QueryParams,
) -> Result<Response, Problem> {
    let AskedExport { style, has_trailer } = AskedExport::read(params)?;
    let frame = Frame { content_type: content_type(style.format), open: "", close: "" };
    let (app, by) = (Arc::new(app), Arc::new(by));
    stream_within(frame, move |so_far: Option<ExportProgress>| {
        let (app, by) = (Arc::clone(&app), Arc::clone(&by));
        async move {
            let is_first = so_far.is_none();
            let ExportProgress { after, rows, has_ended } = so_far.unwrap_or_default();
            if has_ended {
                return Ok(None);
            }
            let mut page = app.store.scan(&*by, move |tx| export_rows(tx, &style, after)).await?;
            let rows = rows + u64::try_from(page.rows).unwrap_or(u64::MAX);
            let has_ended = page.last.is_none();
            if has_ended && has_trailer {
                page.text.extend_from_slice(trailer::write(style.format, rows).as_bytes());
            }
            let progress = ExportProgress { after: page.last, rows, has_ended };
            Ok((is_first || !page.text.is_empty()).then(|| (Bytes::from(page.text), progress)))
        }
    })
    .await
}
