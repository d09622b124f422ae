//! Users as rows of a file: parses imports and writes exports, which can be imported again.

use std::collections::HashSet;

use serde::Serialize;
use serde::ser::SerializeMap as _;
use serde_json::Value;

use crate::user_import::{self, Attached, GroupRef, ImportRow, ImportedUser, KnownGroups};
use crate::user_records::PartialUser;
use crate::users;
use tenantry_core::error::{Error, FieldError, Result};
use tenantry_core::json::{Fields, wrong_type};
use tenantry_core::model::{GroupId, PartnerId, User, UserId};
use tenantry_core::rows::{Format, RawRow, Text};
use tenantry_core::user_fields::UserField;
use tenantry_store::access::{Admin, Operator};
use tenantry_store::engine::tx::Tx;
use tenantry_store::listing::lists::SortKey;
use tenantry_store::listing::user_queries::UserQuery;
use tenantry_store::store::Store;

/// Rows of an export per read.
pub const CHUNK: i64 = 1_000;

/// Maximum number of groups in a row.
const MOST_GROUPS: usize = 1_000;

/// A row whose groups are not looked up yet.
struct PartialRow {
    fields: Fields,
    groups: Vec<GroupRef>,
    password_hash: Option<String>,
}

/// Parses a batch of rows, on a blocking thread: a thousand of them take milliseconds, for which no request should
/// wait. A row with errors is a row all the same, with all its errors (B6).
///
/// # Errors
/// Of the store.
pub async fn read_rows(store: &Store, by: &Admin, rows: Vec<RawRow>) -> Result<Vec<ImportRow>> {
    store.scan(by, move |tx| read_batch(tx, &rows)).await
}

fn read_batch(tx: &mut Tx<'_, Admin>, rows: &[RawRow]) -> Result<Vec<ImportRow>> {
    let mut partials = Vec::with_capacity(rows.len());
    for (at, row) in rows.iter().enumerate() {
        yield_sometimes(at);
        partials.push((row.line, faults_of(parse_partial(&row.text))?));
    }
    let wanted: Vec<GroupRef> = partials
        .iter()
        .filter_map(|(_, partial)| partial.as_ref().ok())
        .flat_map(|partial| partial.groups.clone())
        .collect();
    let known = KnownGroups::find(tx, &wanted)?;
    let pid = tx.pid();
    let finish = |(at, (line, partial)): (usize, (u64, Result<PartialRow, Vec<FieldError>>))| {
        yield_sometimes(at);
        let user = match partial {
            Ok(partial) => faults_of(partial.finish(pid, &known))?,
            Err(errors) => Err(errors),
        };
        Ok(ImportRow { line, user })
    };
    partials.into_iter().enumerate().map(finish).collect()
}

/// Yields every few tenths of a millisecond: a batch takes longer than a read may wait, and the kernel would leave this
/// thread on its core.
fn yield_sometimes(at: usize) {
    if at.is_multiple_of(32) {
        std::thread::yield_now();
    }
}

/// Errors of a row belong to the row; any other error fails the batch.
fn faults_of<T>(read: Result<T>) -> Result<Result<T, Vec<FieldError>>> {
    match read {
        Ok(value) => Ok(Ok(value)),
        Err(Error::Invalid(errors)) => Ok(Err(errors)),
        Err(other) => Err(other),
    }
}

fn parse_partial(text: &Text) -> Result<PartialRow> {
    let json = match text {
        Text::Json(json) => json,
        other => {
            return Err(other.error().map_or_else(|| Error::internal("a row without text"), Error::from));
        }
    };
    let mut fields = Fields::parse(json.as_bytes())?;
    let groups = if fields.has("groups") {
        fields.required_value("groups", group_refs).unwrap_or_default()
    } else {
        Vec::new()
    };
    let password_hash = fields
        .nullable("passwordHash", |hash| tenantry_passwords::check_foreign(hash).map(|()| hash.to_owned()));
    Ok(PartialRow { fields, groups, password_hash: password_hash.value() })
}

impl PartialRow {
    fn finish(self, pid: PartnerId, known: &KnownGroups) -> Result<ImportedUser> {
        let Self { mut fields, groups, password_hash } = self;
        let (mut ids, mut unknown) = (Vec::new(), Vec::new());
        for group in &groups {
            match known.resolve(group) {
                Ok(id) => ids.push(id),
                Err(named) => unknown.push(named),
            }
        }
        if !unknown.is_empty() {
            let detail = format!("there is no group {} in this partner", unknown.join(", "));
            fields.error("groups", ("unknown-group", detail));
        }
        ids.sort_unstable();
        ids.dedup();
        let new = PartialUser::of(fields, ids).finish(pid, &HashSet::new())?;
        Ok(ImportedUser { new, password_hash })
    }
}

fn group_refs(value: &Value) -> Result<Vec<GroupRef>, FieldError> {
    const EXPECTED: &str = "an array of ids and names of groups";
    let Value::Array(list) = value else { return Err(wrong_type(EXPECTED, value)) };
    if list.len() > MOST_GROUPS {
        return Err(FieldError::from((
            "too-many-ids",
            format!("a row may have at most {MOST_GROUPS} groups"),
        )));
    }
    let group = |value: &Value| match value {
        Value::String(name) => Ok(GroupRef::Name(name.clone())),
        Value::Number(id) if let Some(id) = id.as_i64().filter(|id| *id > 0) => Ok(GroupRef::Id(GroupId(id))),
        other => Err(wrong_type(EXPECTED, other)),
    };
    list.iter().map(group).collect()
}

/// A row: the fields that requests can set, with groups by name, which other systems can have too.
struct ExportedRow<'a> {
    user: &'a User,
    attached: &'a Attached,
}

impl<'a> ExportedRow<'a> {
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
            // The comma after the last cell.
            out.pop();
        }
        out.extend_from_slice(b"\r\n");
    }

    fn groups_cell(&self) -> String {
        // A name that would be parsed as something else is written as the id.
        let is_plain = |name: &str| !name.contains(';') && !name.bytes().all(|b| b.is_ascii_digit());
        let cell = |(name, id): (&str, GroupId)| {
            if is_plain(name) { name.to_owned() } else { id.0.to_string() }
        };
        self.groups().map(cell).collect::<Vec<_>>().join(";")
    }
}

impl Serialize for ExportedRow<'_> {
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
pub fn csv_names() -> String {
    UserField::writable().map(UserField::name).collect::<Vec<_>>().join(",")
}

/// Rows of an export.
#[derive(Debug)]
pub struct ExportedRows {
    /// The formatted rows.
    pub text: Vec<u8>,
    /// Their number.
    pub rows: usize,
    /// The user of the last row; `None` if there are no rows.
    pub last: Option<UserId>,
}

/// The next rows of an export, with the first line of CSV before the first of them.
///
/// # Errors
/// Of the store.
pub fn export_rows(
    tx: &mut Tx<'_, Admin>,
    format: Format,
    after: Option<UserId>,
    hashes_for: Option<Operator>,
) -> Result<ExportedRows> {
    let query = UserQuery::all();
    let from = after.map(|id| (SortKey::Int(id.0), id));
    let users = users::list_chunk(tx, &query, from, CHUNK)?;
    let attached = user_import::attach(tx, &users, hashes_for)?;
    let mut text = Vec::with_capacity(users.len() * 256);
    if format == Format::Csv && after.is_none() {
        text.extend_from_slice(csv_names().as_bytes());
        text.extend_from_slice(if hashes_for.is_some() { b",passwordHash\r\n" } else { b"\r\n" });
    }
    for user in &users {
        let row = ExportedRow { user, attached: &attached };
        match format {
            Format::Csv => row.write_csv(hashes_for.is_some(), &mut text),
            Format::Ndjson => {
                serde_json::to_writer(&mut text, &row)
                    .map_err(|e| Error::internal(format!("a row cannot be serialized: {e}")))?;
                text.push(b'\n');
            }
        }
    }
    Ok(ExportedRows { text, rows: users.len(), last: users.last().map(|user| user.user_id) })
}
