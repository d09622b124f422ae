//! Parses rows of a file as users to import; `user_export` writes them.

use std::collections::HashSet;

use serde_json::Value;

use crate::user_import::{
    Existing, GroupRef, GroupRefError, ImportRow, ImportedUser, KnownGroups, RowChange, RowContent, RowPlace,
};
use crate::user_records::{PartialUser, user_change_in};
use crate::users::{BroughtTimes, UserChange};
use sha2::{Digest as _, Sha256};
use tenantry_core::clock::{MINUTE, Millis, parse_rfc3339};
use tenantry_core::error::{Error, FieldError, Result};
use tenantry_core::json::{Fields, Presence, wrong_type};
use tenantry_core::model::{GroupId, PartnerId, Profile};
use tenantry_core::rows::group_list::NAME_OR_ID;
use tenantry_core::rows::{RawRow, Text};
use tenantry_passwords::{HashPolicy, ImportedHash, import_hash};
use tenantry_store::access::Admin;
use tenantry_store::engine::tx::Tx;
use tenantry_store::store::Store;

/// Maximum number of groups in a row.
const MOST_GROUPS: usize = 1_000;

/// The content of a row before groups are looked up.
enum PartialContent {
    User(PartialRow),
    /// Twice, to be read as a new user and as a change.
    Change(Box<[PartialRow; 2]>, u64),
    Known(RowContent),
}

impl PartialContent {
    fn parse(text: &Text, how: &Reading<'_>) -> Result<Self> {
        if let (Text::Empty, Some(why)) = (text, text.error()) {
            return Ok(Self::Known(RowContent::Nothing(why)));
        }
        let parsed = faults_of(parse_partial(text, how))?;
        if how.existing == Existing::Update
            && let Ok(new) = parsed
        {
            return Ok(Self::Change(Box::new([new, parse_partial(text, how)?]), checksum(text)));
        }
        Ok(match parsed {
            Ok(partial) => Self::User(partial),
            Err(errors) => Self::Known(RowContent::Invalid(errors)),
        })
    }
}

/// A row whose groups are not looked up yet.
struct PartialRow {
    fields: Fields,
    groups: Vec<GroupRef>,
    password_hash: ImportedHash,
    times: BroughtTimes,
}

/// Parses a batch of rows, on a blocking thread: a thousand of them take milliseconds, for which no request should
/// wait. A row with errors is a row all the same, with all its errors (B6).
///
/// # Errors
/// Of the store.
pub async fn read_rows(
    store: &Store,
    by: &Admin,
    rows: Vec<RawRow>,
    hashes: &HashPolicy,
    existing: Existing,
) -> Result<Vec<ImportRow>> {
    let hashes = hashes.clone();
    store.scan(by, move |tx| read_batch(tx, &rows, &hashes, existing)).await
}

/// How rows are read.
struct Reading<'h> {
    now: Millis,
    hashes: &'h HashPolicy,
    existing: Existing,
}

fn read_batch(
    tx: &mut Tx<'_, Admin>,
    rows: &[RawRow],
    hashes: &HashPolicy,
    existing: Existing,
) -> Result<Vec<ImportRow>> {
    let how = Reading { now: tx.now(), hashes, existing };
    let mut partials = Vec::with_capacity(rows.len());
    for (at, row) in rows.iter().enumerate() {
        yield_sometimes(at);
        partials.push((RowPlace::from(row), PartialContent::parse(&row.text, &how)?));
    }
    let wanted: Vec<GroupRef> = partials
        .iter()
        .filter_map(|(_, content)| match content {
            PartialContent::User(partial) => Some(&partial.groups),
            PartialContent::Change(partials, _) => partials.first().map(|partial| &partial.groups),
            PartialContent::Known(_) => None,
        })
        .flatten()
        .cloned()
        .collect();
    let known = KnownGroups::find(tx, &wanted)?;
    let pid = tx.pid();
    let finish = |(at, (place, content)): (usize, (RowPlace, PartialContent))| {
        yield_sometimes(at);
        let content = match content {
            PartialContent::User(partial) => match faults_of(partial.finish(pid, &known))? {
                Ok(user) => RowContent::User(Box::new(user)),
                Err(errors) => RowContent::Invalid(errors),
            },
            PartialContent::Change(partials, content) => {
                let [new, change] = *partials;
                RowContent::Change(Box::new(finish_change(new, change, content, pid, &known)?))
            }
            PartialContent::Known(content) => content,
        };
        Ok(ImportRow { place, content })
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

fn parse_partial(text: &Text, how: &Reading<'_>) -> Result<PartialRow> {
    let json = match text {
        Text::Json(json) => json,
        other => {
            return Err(other.error().map_or_else(|| Error::internal("a row without text"), Error::from));
        }
    };
    let mut fields = Fields::parse(json.as_bytes())?;
    // Rows of a list have them: this server assigns its own.
    for assigned in ["pid", "userId", "updatedAt"] {
        fields.ignore(assigned);
    }
    // Spreadsheets write TRUE, other systems active.
    fields.respell("isAdmin", str::to_ascii_lowercase);
    fields.respell("status", str::to_ascii_uppercase);
    let groups = if fields.has("groups") {
        fields.required_value("groups", group_refs).unwrap_or_default()
    } else {
        Vec::new()
    };
    let password_hash = match fields.has("passwordHash") {
        true => fields.required_value("passwordHash", |hash| import_hash(hash, how.hashes)),
        false => None,
    };
    let password_hash = password_hash.unwrap_or(ImportedHash::None);
    let times = BroughtTimes {
        created_at: fields.nullable("createdAt", |text| past(text, how.now)).value(),
        last_login_at: fields.nullable("lastLoginAt", |text| past(text, how.now)).value(),
    };
    Ok(PartialRow { fields, groups, password_hash, times })
}

/// By how much the clock of another system may be ahead.
const CLOCKS_DIFFER: Millis = 5 * MINUTE;

/// A time that has passed.
fn past(text: &str, now: Millis) -> Result<Millis, FieldError> {
    let Some(at) = parse_rfc3339(text) else {
        let detail =
            "must be a time like 2019-03-01T10:00:00Z (RFC 3339, with Z or an offset such as +01:00)";
        return Err(FieldError::from(("invalid-time", detail)));
    };
    if at < 0 {
        return Err(FieldError::from(("out-of-range", "must not be before 1970")));
    }
    if at > now + CLOCKS_DIFFER {
        return Err(FieldError::from(("future-time", "must not be in the future")));
    }
    Ok(at)
}

/// The checksum of a row, to compare it with others.
fn checksum(text: &Text) -> u64 {
    let digest = Sha256::digest(if let Text::Json(json) = text { json } else { "" });
    digest.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// A row that is read as a new user and as a change.
fn finish_change(
    new: PartialRow,
    change: PartialRow,
    content: u64,
    pid: PartnerId,
    known: &KnownGroups,
) -> Result<RowChange> {
    let password_hash = change.password_hash.clone();
    let (username, external_id, change) = change.finish_change(known)?;
    let new = faults_of(new.finish(pid, known))?;
    Ok(RowChange { username, external_id, new, change, password_hash, content })
}

/// The keys of a row, and what it changes.
type KeysAndChange = (Option<String>, Option<String>, Result<UserChange, Vec<FieldError>>);

impl PartialRow {
    /// As a change, in the manner of a merge patch: what the row does not give stays as it is.
    fn finish_change(self, known: &KnownGroups) -> Result<KeysAndChange> {
        let Self { mut fields, groups, .. } = self;
        let has_groups = fields.has("groups");
        let ids = resolve(&mut fields, &groups, known);
        let mut change = user_change_in(&mut fields, Presence::Optional, None);
        change.groups = has_groups.then_some(ids);
        let username = change.username.as_ref().map(|name| name.key.clone());
        let mut profile = Profile::default();
        change.profile.apply(&mut profile);
        Ok((username, profile.external_id, faults_of(fields.finish())?.map(|()| change)))
    }

    fn finish(self, pid: PartnerId, known: &KnownGroups) -> Result<ImportedUser> {
        let Self { mut fields, groups, password_hash, times } = self;
        let ids = resolve(&mut fields, &groups, known);
        let new = PartialUser::of(fields, ids).finish(pid, &HashSet::new())?;
        Ok(ImportedUser { new, password_hash, times })
    }
}

/// The ids of groups, ascending, without duplicates. Those that do not exist are errors.
fn resolve(fields: &mut Fields, groups: &[GroupRef], known: &KnownGroups) -> Vec<GroupId> {
    let (mut ids, mut unknown) = (Vec::new(), Vec::new());
    for group in groups {
        match known.resolve(group) {
            Ok(id) => ids.push(id),
            Err(GroupRefError::Unknown(group)) => unknown.push(group),
            Err(GroupRefError::Ambiguous(digits)) => {
                let detail = format!(
                    "{digits} can be the id of a group or a name: write #{digits} for the id, or \"{digits}\" in \
                         quotes for the name"
                );
                fields.error("groups", ("ambiguous-group", detail));
            }
        }
    }
    if !unknown.is_empty() {
        let detail = format!("there is no group {} in this partner", unknown.join(", "));
        fields.error("groups", ("unknown-group", detail));
    }
    ids.sort_unstable();
    ids.dedup();
    ids
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
        Value::Object(group)
            if let Some(Value::String(digits)) = group.get(NAME_OR_ID)
                && group.len() == 1
                && digits.bytes().all(|b| b.is_ascii_digit()) =>
        {
            Ok(GroupRef::NameOrId(digits.clone()))
        }
        Value::Number(id) if let Some(id) = id.as_i64().filter(|id| *id > 0) => Ok(GroupRef::Id(GroupId(id))),
        other => Err(wrong_type(EXPECTED, other)),
    };
    list.iter().map(group).collect()
}
