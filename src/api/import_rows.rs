//! Reading the rows of an import: the body of a create (users.rs), with groups by number or by name, and perhaps a
//! password's hash from elsewhere.

use std::collections::HashSet;

use serde_json::Value;

use super::body::{Fields, Flaw, wrong_type};
use super::users::HalfRead;
use crate::access::{Admin, Scope as _};
use crate::domain::services::Services;
use crate::domain::user_import::{GroupRef, ImportedUser, KnownGroups, Row};
use crate::error::{Error, Fault, Result};
use crate::hashing;
use crate::model::GroupId;
use crate::rows::{RawRow, Text};
use crate::storage::Tx;

/// The most groups that a row may name.
const MOST_GROUPS: usize = 1_000;

/// A row whose groups are still to be looked for.
struct Half {
    fields: Fields,
    groups: Vec<GroupRef>,
    password_hash: Option<String>,
}

/// Reads a batch of rows, on a blocking thread: a thousand of them take milliseconds, for which no request should wait.
/// A row with faults is one all the same, with all of them (B6).
///
/// # Errors
/// Of the store.
pub async fn read_rows(services: &Services, by: &Admin, rows: Vec<RawRow>) -> Result<Vec<Row>> {
    let rights = by.clone();
    services.store.scan(by, move |tx| read_batch(tx, &rights, &rows)).await
}

fn read_batch(tx: &mut Tx<'_>, by: &Admin, rows: &[RawRow]) -> Result<Vec<Row>> {
    let mut halves = Vec::with_capacity(rows.len());
    for (at, row) in rows.iter().enumerate() {
        stand_aside(at);
        halves.push((row.line, faults_of(read_half(&row.text))?));
    }
    let wanted: Vec<GroupRef> = halves
        .iter()
        .filter_map(|(_, half)| half.as_ref().ok())
        .flat_map(|half| half.groups.clone())
        .collect();
    let known = KnownGroups::find(tx, by, &wanted)?;
    let finish = |(at, (line, half)): (usize, (u64, Result<Half, Vec<Fault>>))| {
        stand_aside(at);
        let user = match half {
            Ok(half) => faults_of(half.finish(by, &known))?,
            Err(faults) => Err(faults),
        };
        Ok(Row { line, user })
    };
    halves.into_iter().enumerate().map(finish).collect()
}

/// Lets others run now and then, some tenths of a millisecond apart: a batch takes longer than a read may wait, and the
/// kernel would leave this thread where it is.
fn stand_aside(at: usize) {
    if at.is_multiple_of(32) {
        std::thread::yield_now();
    }
}

/// What is wrong with a row is the row's; anything else is everybody's.
fn faults_of<T>(read: Result<T>) -> Result<Result<T, Vec<Fault>>> {
    match read {
        Ok(value) => Ok(Ok(value)),
        Err(Error::Invalid(faults)) => Ok(Err(faults)),
        Err(other) => Err(other),
    }
}

fn read_half(text: &Text) -> Result<Half> {
    let json = match text {
        Text::Json(json) => json,
        other => {
            return Err(other.fault().map_or_else(|| Error::internal("a row without text"), Error::from));
        }
    };
    let mut fields = Fields::parse(json.as_bytes())?;
    let groups = if fields.has("groups") {
        fields.required_value("groups", group_refs).unwrap_or_default()
    } else {
        Vec::new()
    };
    let password_hash =
        fields.nullable("passwordHash", |hash| hashing::check_foreign(hash).map(|()| hash.to_owned()));
    Ok(Half { fields, groups, password_hash: password_hash.value() })
}

impl Half {
    fn finish(self, by: &Admin, known: &KnownGroups) -> Result<ImportedUser> {
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
            fields.fault("groups", ("unknown-group", detail));
        }
        ids.sort_unstable();
        ids.dedup();
        let new = HalfRead::of(fields, ids).finish(by.pid(), &HashSet::new())?;
        Ok(ImportedUser { new, password_hash })
    }
}

fn group_refs(value: &Value) -> Result<Vec<GroupRef>, Flaw> {
    const EXPECTED: &str = "an array of ids and names of groups";
    let Value::Array(list) = value else { return Err(wrong_type(EXPECTED, value)) };
    if list.len() > MOST_GROUPS {
        return Err(Flaw::from(("too-many-ids", format!("a row may name at most {MOST_GROUPS} groups"))));
    }
    let group = |value: &Value| match value {
        Value::String(name) => Ok(GroupRef::Name(name.clone())),
        Value::Number(id) if let Some(id) = id.as_i64().filter(|id| *id > 0) => Ok(GroupRef::Id(GroupId(id))),
        other => Err(wrong_type(EXPECTED, other)),
    };
    list.iter().map(group).collect()
}
