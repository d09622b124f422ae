//! Writes users as rows of a file, which can be imported again.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize};

use crate::users;
use tenantry_core::clock::rfc3339;
use tenantry_core::error::{Error, Result};
use tenantry_core::model::{GroupId, User, UserId};
use tenantry_core::rows::{Format, group_list};
use tenantry_core::user_fields::UserField;
use tenantry_store::access::{Admin, Operator};
use tenantry_store::engine::tx::Tx;
use tenantry_store::listing::lists::SortKey;
use tenantry_store::listing::user_queries::UserQuery;
use tenantry_store::tables::{groups, passwords};

/// Rows of an export per read.
pub const CHUNK: i64 = 1_000;

/// How CSV contains values that a spreadsheet would take for a formula.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Formulas {
    /// As they are, so that an import reads the same values.
    #[default]
    Bare,
    /// After an apostrophe, so that a spreadsheet takes them for text. An import would read the apostrophe, too.
    Quote,
}

impl Formulas {
    /// Each by its name.
    pub const NAMES: [(&'static str, Self); 2] = [("bare", Self::Bare), ("quote", Self::Quote)];

    /// Parses its name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, formulas)| formulas)
    }

    fn cell(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::Quote if begins_formula(text) => Cow::Owned(format!("'{text}")),
            Self::Bare | Self::Quote => Cow::Borrowed(text),
        }
    }
}

/// Whether a spreadsheet may evaluate a cell (OWASP, CSV Injection). Some take the full-width forms as well.
fn begins_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'])
}

/// How an export is written.
#[derive(Debug, Clone, Copy)]
pub struct ExportStyle {
    /// The format.
    pub format: Format,
    /// How CSV contains values that a spreadsheet would take for a formula.
    pub formulas: Formulas,
    /// Includes password hashes, which are only for operators.
    pub hashes_for: Option<Operator>,
}

/// What an export has of users in addition to their representation.
#[derive(Default)]
struct Attached {
    /// Names of groups, by id.
    group_names: HashMap<i64, String>,
    /// The current permanent password, by user, if requested.
    hashes: HashMap<i64, String>,
}

/// Reads it for some users. Hashes are only for operators.
fn attach(tx: &mut Tx<'_>, users: &[User], hashes_for: Option<Operator>) -> Result<Attached> {
    let mut ids: Vec<GroupId> = users.iter().flat_map(|user| user.groups.iter().copied()).collect();
    ids.sort_unstable();
    ids.dedup();
    let group_names = groups::names(tx, &ids)?.into_iter().collect();
    let wanted: Vec<UserId> = users.iter().map(|user| user.user_id).collect();
    let hashes = match hashes_for {
        Some(_) => passwords::list_permanent(tx, &wanted)?.into_iter().collect(),
        None => HashMap::new(),
    };
    Ok(Attached { group_names, hashes })
}

/// A row: the portable fields, with groups by name, which other systems can have too.
struct ExportedRow<'a> {
    user: &'a User,
    attached: &'a Attached,
}

impl<'a> ExportedRow<'a> {
    /// The names of its groups.
    fn groups(&self) -> impl Iterator<Item = &'a str> {
        let name = |id: &GroupId| Some(self.attached.group_names.get(&id.0)?.as_str());
        self.user.groups.iter().filter_map(name)
    }

    fn password_hash(&self) -> Option<&'a str> {
        self.attached.hashes.get(&self.user.user_id.0).map(String::as_str)
    }

    /// The cells of [`UserField::portable`], and the hash.
    fn write_csv(&self, style: &ExportStyle, out: &mut Vec<u8>) {
        let user = self.user;
        let mut write = |cell: Option<&str>| {
            if let Some(cell) = cell {
                write_cell(&style.formulas.cell(cell), out);
            }
            out.push(b',');
        };
        for field in UserField::portable() {
            match field {
                UserField::Username => write(Some(&user.username)),
                UserField::Status => write(Some(user.status.as_str())),
                UserField::Profile(field) => write(field.get(&user.profile)),
                UserField::Groups => write(group_list::write(self.groups()).as_deref()),
                UserField::IsAdmin => write(Some(if user.is_admin { "true" } else { "false" })),
                UserField::CreatedAt => write(Some(&rfc3339(user.created_at))),
                UserField::LastLoginAt => write(user.last_login_at.map(rfc3339).as_deref()),
                UserField::Pid | UserField::UserId | UserField::UpdatedAt => {}
            }
        }
        if style.hashes_for.is_some() {
            write(self.password_hash());
        }
        // The comma after the last cell.
        out.pop();
        out.extend_from_slice(b"\r\n");
    }
}

impl Serialize for ExportedRow<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let user = self.user;
        let mut row = serializer.serialize_map(None)?;
        for field in UserField::portable() {
            match field {
                UserField::Groups => row.serialize_entry(field.name(), &self.groups().collect::<Vec<_>>()),
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

/// Writes a value. The empty string is a pair of quotes: a cell without anything is no value.
fn write_cell(cell: &str, out: &mut Vec<u8>) {
    let is_plain = |cell: &str| {
        !cell.is_empty()
            && !cell.contains([',', '"', '\n', '\r', '\t'])
            && !cell.starts_with(|c: char| c == '#' || c.is_whitespace())
            && !cell.ends_with(char::is_whitespace)
    };
    if is_plain(cell) {
        out.extend_from_slice(cell.as_bytes());
    } else {
        out.push(b'"');
        out.extend_from_slice(cell.replace('"', "\"\"").as_bytes());
        out.push(b'"');
    }
}

/// The names of the columns, in the order of the cells.
pub fn csv_names() -> String {
    UserField::portable().map(UserField::name).collect::<Vec<_>>().join(",")
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
    style: &ExportStyle,
    after: Option<UserId>,
) -> Result<ExportedRows> {
    let query = UserQuery::all();
    let from = after.map(|id| (SortKey::Int(id.0), id));
    let users = users::list_chunk(tx, &query, from, CHUNK)?;
    let attached = attach(tx, &users, style.hashes_for)?;
    let mut text = Vec::with_capacity(users.len() * 256);
    if style.format == Format::Csv && after.is_none() {
        text.extend_from_slice(csv_names().as_bytes());
        text.extend_from_slice(if style.hashes_for.is_some() { b",passwordHash\r\n" } else { b"\r\n" });
    }
    for user in &users {
        let row = ExportedRow { user, attached: &attached };
        match style.format {
            Format::Csv => row.write_csv(style, &mut text),
            Format::Ndjson => {
                serde_json::to_writer(&mut text, &row)
                    .map_err(|e| Error::internal(format!("a row cannot be serialized: {e}")))?;
                text.push(b'\n');
            }
        }
    }
    Ok(ExportedRows { text, rows: users.len(), last: users.last().map(|user| user.user_id) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_begin_like_a_formula_can_be_quoted() {
        for formula in ["=1+1", "+31 20 1", "-2+3", "@SUM(1)", "\t=1", "\r=1", "＝1", "＋1", "－1", "＠x"]
        {
            assert_eq!(Formulas::Quote.cell(formula), format!("'{formula}"));
            assert_eq!(Formulas::Bare.cell(formula), formula);
        }
        for other in ["", "a=1", "1-2", "'=1", "Ünï", "−1"] {
            assert_eq!(Formulas::Quote.cell(other), other);
        }
    }

    #[test]
    fn cells_of_csv() {
        for (cell, expected) in [
            ("a b", "a b"),
            ("", "\"\""),
            ("a,b", "\"a,b\""),
            ("a;b|c", "a;b|c"),
            ("a \"b\"", "\"a \"\"b\"\"\""),
            ("\"", "\"\"\"\""),
            ("a\nb", "\"a\nb\""),
            ("#rows", "\"#rows\""),
            (" a", "\" a\""),
        ] {
            let mut out = Vec::new();
            write_cell(cell, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
