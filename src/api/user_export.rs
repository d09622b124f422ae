//! All users of a partner as rows that can be imported again.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use hyper::body::Bytes;
use serde::Serialize;
use serde::ser::SerializeMap as _;
use serde_json::{Value, json};
use utoipa::IntoParams;

use super::extract::{Admin, QueryParams};
use super::openapi::{AdminErrors, InvalidError};
use super::paging::{Frame, stream_within};
use super::problem::Problem;
use super::user_bodies::example_of;
use super::user_import::content_type;
use crate::access;
use crate::domain::user_import::{self, Attached};
use crate::domain::users;
use crate::error::{Error, Result};
use crate::http::state::AppState;
use crate::model::{GroupId, User, UserId};
use crate::rows::Format;
use crate::storage::Tx;
use crate::storage::lists::SortKey;
use crate::storage::user_queries::UserQuery;
use crate::user_fields::UserField;

/// Rows read at once.
pub const CHUNK: i64 = 1_000;

/// How rows are written.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "documents what Params reads")]
pub struct ExportParams {
    /// `ndjson` (the default) or `csv`.
    format: Option<String>,
}

/// A row: the fields that requests set, groups by name, which another system can have, too.
struct Row<'a> {
    user: &'a User,
    attached: &'a Attached,
}

impl<'a> Row<'a> {
    /// The names of its groups, with their ids.
    fn groups(&self) -> impl Iterator<Item = (&'a str, GroupId)> {
        let named = |id: &GroupId| Some((self.attached.group_names.get(&id.0)?.as_str(), *id));
        self.user.groups.iter().filter_map(named)
    }

    fn password_hash(&self) -> Option<&'a str> {
        self.attached.hashes.get(&self.user.user_id.0).map(String::as_str)
    }

    /// The cells of [`UserField::writable`], and the hash.
    fn write_csv(&self, with_hashes: bool, out: &mut Vec<u8>) {
        let user = self.user;
        for field in UserField::writable() {
            match field {
                UserField::Username => write_cell(&user.username, out),
                UserField::Status => write_cell(user.status.as_str(), out),
                UserField::Profile(field) => write_cell(field.get(&user.profile).unwrap_or_default(), out),
                UserField::Groups => write_cell(&self.groups_cell(), out),
                UserField::IsAdmin => write_cell(if user.is_admin { "true" } else { "false" }, out),
                UserField::Pid
                | UserField::UserId
                | UserField::CreatedAt
                | UserField::UpdatedAt
                | UserField::LastLoginAt => {}
            }
            out.push(b',');
        }
        if with_hashes {
            write_cell(self.password_hash().unwrap_or_default(), out);
        } else {
            // The comma behind the last cell.
            out.pop();
        }
        out.extend_from_slice(b"\r\n");
    }

    fn groups_cell(&self) -> String {
        // What would be read as something else is written as the number.
        let is_plain = |name: &str| !name.contains(';') && !name.bytes().all(|b| b.is_ascii_digit());
        let cell = |(name, id): (&str, GroupId)| {
            if is_plain(name) { name.to_owned() } else { id.0.to_string() }
        };
        self.groups().map(cell).collect::<Vec<_>>().join(";")
    }
}

impl Serialize for Row<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let user = self.user;
        let mut row = serializer.serialize_map(None)?;
        for field in UserField::writable() {
            match field {
                UserField::Groups => {
                    let names: Vec<_> = self.groups().map(|(name, _)| name).collect();
                    row.serialize_entry(field.name(), &names)
                }
                UserField::Profile(text) => row.serialize_entry(field.name(), &text.get(&user.profile)),
                other => row.serialize_entry(field.name(), &other.json(user)),
            }?;
        }
        if let Some(hash) = self.password_hash() {
            row.serialize_entry("passwordHash", hash)?;
        }
        row.end()
    }
}

fn write_cell(cell: &str, out: &mut Vec<u8>) {
    if cell.contains([',', '"', '\n', '\r']) {
        out.push(b'"');
        out.extend_from_slice(cell.replace('"', "\"\"").as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(cell.as_bytes());
    }
}

/// The names of the columns, in the order of the cells.
fn csv_names() -> String {
    UserField::writable().map(UserField::name).collect::<Vec<_>>().join(",")
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

/// Rows of an export.
#[derive(Debug)]
pub struct Page {
    /// As they are written.
    pub text: Vec<u8>,
    /// How many.
    pub rows: usize,
    /// The user of the last one; none when there was none.
    pub last: Option<UserId>,
}

/// The next rows of an export, with the first line of CSV before the first of them.
///
/// # Errors
/// Of the store.
pub fn read_page(
    tx: &mut Tx<'_>,
    by: &access::Admin,
    format: Format,
    after: Option<UserId>,
    hashes_for: Option<access::Operator>,
) -> Result<Page> {
    let query = UserQuery::all();
    let from = after.map(|id| (SortKey::Int(id.0), id));
    let users = users::list_chunk(tx, by, &query, from, CHUNK)?;
    let attached = user_import::attach(tx, &users, hashes_for)?;
    let mut text = Vec::with_capacity(users.len() * 256);
    if format == Format::Csv && after.is_none() {
        text.extend_from_slice(csv_names().as_bytes());
        text.extend_from_slice(if hashes_for.is_some() { b",passwordHash\r\n" } else { b"\r\n" });
    }
    for user in &users {
        let row = Row { user, attached: &attached };
        match format {
            Format::Csv => row.write_csv(hashes_for.is_some(), &mut text),
            Format::Ndjson => {
                serde_json::to_writer(&mut text, &row)
                    .map_err(|e| Error::internal(format!("a row cannot be written: {e}")))?;
                text.push(b'\n');
            }
        }
    }
    Ok(Page { text, rows: users.len(), last: users.last().map(|user| user.user_id) })
}

/// Export all users as rows that can be imported again, ascending by `userId`, streamed (B13).
///
/// Groups are told by name. Passwords are not in it, nor is anything else that only this server knows.
#[utoipa::path(
    get, path = "/api/v1/users/export", tag = "users", params(ExportParams),
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
    let format = params
        .checked("format", |name| {
            Format::parse(name).ok_or(("unknown-format", String::from("give ndjson or csv")))
        })
        .unwrap_or(Format::Ndjson);
    params.finish()?;
    let frame = Frame { content_type: content_type(format), open: "", close: "" };
    let (app, by) = (Arc::new(app), Arc::new(by));
    stream_within(frame, move |after: Option<Option<UserId>>| {
        let (app, by) = (Arc::clone(&app), Arc::clone(&by));
        async move {
            let rights = Arc::clone(&by);
            let after = after.flatten();
            let page = app.store.scan(&*by, move |tx| read_page(tx, &rights, format, after, None)).await?;
            Ok((page.rows > 0 || after.is_none()).then(|| (Bytes::from(page.text), page.last)))
        }
    })
    .await
}
