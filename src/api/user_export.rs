//! All users of a partner as rows that can be imported again.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use hyper::body::Bytes;
use serde::Serialize;
use utoipa::IntoParams;

use super::extract::{Admin, QueryParams};
use super::openapi::{AdminErrors, InvalidError};
use super::paging::{Frame, stream_within};
use super::problem::Problem;
use super::user_import::content_type;
use crate::access;
use crate::app::App;
use crate::domain::user_import::{self, Attached};
use crate::domain::users;
use crate::error::{Error, Result};
use crate::model::{Status, User, UserId};
use crate::rows::Format;
use crate::storage::Tx;
use crate::storage::lists::SortKey;
use crate::storage::user_queries::UserQuery;

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

/// A row. Groups by name, which another system can have, too.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    username: &'a str,
    status: Status,
    first_name: &'a str,
    last_name: &'a str,
    email: &'a str,
    title: Option<&'a str>,
    phone_number: Option<&'a str>,
    groups: Vec<&'a str>,
    is_admin: bool,
    external_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password_hash: Option<&'a str>,
}

impl<'a> Row<'a> {
    fn of(user: &'a User, attached: &'a Attached) -> Self {
        let name = |group: &crate::model::GroupId| attached.group_names.get(&group.0).map(String::as_str);
        Self {
            username: &user.username,
            status: user.status,
            first_name: &user.first_name,
            last_name: &user.last_name,
            email: &user.email,
            title: user.title.as_deref(),
            phone_number: user.phone_number.as_deref(),
            groups: user.groups.iter().filter_map(name).collect(),
            is_admin: user.is_admin,
            external_id: user.external_id.as_deref(),
            password_hash: attached.hashes.get(&user.user_id.0).map(String::as_str),
        }
    }

    /// The cells of [`CSV_NAMES`], and the hash.
    fn write_csv(&self, user: &User, with_hashes: bool, out: &mut Vec<u8>) {
        // What would be read as something else is written as the number.
        let is_plain = |name: &str| !name.contains(';') && !name.bytes().all(|b| b.is_ascii_digit());
        let group = |(name, id): (&&str, &crate::model::GroupId)| {
            if is_plain(name) { (*name).to_owned() } else { id.0.to_string() }
        };
        let groups: Vec<String> = self.groups.iter().zip(&user.groups).map(group).collect();
        let groups = groups.join(";");
        let is_admin = if self.is_admin { "true" } else { "false" };
        let mut cells = vec![
            self.username,
            self.status.as_str(),
            self.first_name,
            self.last_name,
            self.email,
            self.title.unwrap_or_default(),
            self.phone_number.unwrap_or_default(),
            &groups,
            is_admin,
            self.external_id.unwrap_or_default(),
        ];
        if with_hashes {
            cells.push(self.password_hash.unwrap_or_default());
        }
        for (at, cell) in cells.into_iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            write_cell(cell, out);
        }
        out.extend_from_slice(b"\r\n");
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

const CSV_NAMES: &str =
    "username,status,firstName,lastName,email,title,phoneNumber,groups,isAdmin,externalId";

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
        text.extend_from_slice(CSV_NAMES.as_bytes());
        text.extend_from_slice(if hashes_for.is_some() { b",passwordHash\r\n" } else { b"\r\n" });
    }
    for user in &users {
        let row = Row::of(user, &attached);
        match format {
            Format::Csv => row.write_csv(user, hashes_for.is_some(), &mut text),
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
            (String = "application/x-ndjson", example = "{\"username\":\"ada\",\"status\":\"ACTIVE\",\"firstName\":\"Ada\",\"lastName\":\"Lovelace\",\"email\":\"ada@example.com\",\"title\":null,\"phoneNumber\":null,\"groups\":[\"Editors\"],\"isAdmin\":false,\"externalId\":null}\n"),
            (String = "text/csv", example = "username,status,firstName,lastName,email,title,phoneNumber,groups,isAdmin,externalId\r\nada,ACTIVE,Ada,Lovelace,ada@example.com,,,Editors,false,\r\n"),
        )),
        InvalidError, AdminErrors,
    ),
)]
pub async fn export_users(
    State(app): State<App>,
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
