//! Bulk creation and bulk changes of users.

use crate::bulk_changes::{BulkChange, BulkOperation, Selection};
use crate::events;
use crate::users::{self, NewUser, UserChange};
use tenantry_core::error::{Conflict, Error, FieldError, Missing, Result};
use tenantry_core::model::UserId;
use tenantry_store::access::Admin;
use tenantry_store::engine::tx::Tx;
use tenantry_store::listing::user_lists;
use tenantry_store::listing::user_queries::{UserQuery, sort_key};

/// Maximum number of users of a change.
pub const MOST_CHANGED: usize = 100_000;

/// Users per query.
const CHUNK: i64 = 1_000;

/// Maximum number of errors reported for a bulk create.
const LISTED: usize = 100;

/// A row of a bulk create: a user, or its errors.
pub type BulkRow = Result<NewUser, Vec<FieldError>>;

/// Creates users in the order of their rows. Returns the result of each.
///
/// An atomic bulk creates all of them or none: it fails with the error of its first invalid row. Otherwise an invalid
/// row is skipped.
///
/// # Errors
/// Atomic: that of the first invalid row, with its position below `place`. Otherwise only those that are not about a
/// row.
pub fn create_many(
    tx: &mut Tx<'_, Admin>,
    rows: &[BulkRow],
    atomic: Option<&str>,
) -> Result<Vec<Result<UserId>>> {
    let (mut made, mut joined) = (Vec::with_capacity(rows.len()), Vec::new());
    for (index, row) in rows.iter().enumerate() {
        let one = match row {
            Err(_) if let Some(place) = atomic => return Err(all_faults(rows, place)),
            Err(errors) => Err(Error::Invalid(errors.clone())),
            // One failure fails all: no row has to be rolled back alone.
            Ok(new) if atomic.is_some() && tx.refuses_at_once() => users::create_uncounted(tx, new),
            // By itself also where a refusal may come with a later row: so it is this row's.
            Ok(new) => tx.attempt(|tx| users::create_uncounted(tx, new))?,
        };
        let one = one.map(|user| {
            joined.push(user.groups);
            user.user_id
        });
        match (one, atomic) {
            (Err(error), Some(place)) => return Err(error.within(&format!("{place}/{index}"))),
            (Err(error), None) if !matches!(error, Error::Invalid(_) | Error::Conflict(_)) => {
                return Err(error);
            }
            (one, _) => made.push(one),
        }
    }
    users::count_members(tx, &joined, 1)?;
    Ok(made)
}

/// The errors of the first invalid row need no look into the database, so those of all rows are reported together (B6).
fn all_faults(rows: &[BulkRow], place: &str) -> Error {
    let errors = rows.iter().enumerate().flat_map(|(index, row)| {
        let errors = row.as_ref().err().into_iter().flatten();
        errors.map(move |error| FieldError {
            field: format!("{place}/{index}{}", error.field).into(),
            ..error.clone()
        })
    });
    Error::Invalid(errors.take(LISTED).collect())
}

/// The result of a bulk change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changed {
    /// Matched users.
    pub matched: usize,
    /// Users that were changed.
    pub changed: usize,
}

/// Applies one change to many users, all or none.
///
/// # Errors
/// Not found, listing the unknown ids; `count-mismatch` if the number of users differs from `expected`; those of
/// [`users::update`].
pub fn update_many(
    tx: &mut Tx<'_, Admin>,
    selection: &Selection,
    expected: Option<i64>,
    change: &UserChange,
) -> Result<Changed> {
    let ids = select(tx, selection, expected)?;
    let matched = ids.len();
    let mut changed = 0;
    for id in ids {
        let before = users::get(tx, UserId(id))?;
        let after = users::update_known(tx, &before, change)?;
        if events::of_user(&before) != events::of_user(&after) {
            changed += 1;
        }
    }
    Ok(Changed { matched, changed })
}

/// The ids of an operation. Only users are looked up.
///
/// # Errors
/// For a change of users those of [`update_many`] that come before the first change.
pub(super) fn ids_of(tx: &mut Tx<'_, Admin>, operation: &BulkOperation) -> Result<Vec<i64>> {
    match (&operation.change, &operation.selection) {
        (BulkChange::UpdateUsers(_), selection) => select(tx, selection, operation.expected),
        (_, Selection::Ids(ids)) => Ok(ids.clone()),
        (_, Selection::Filter(_)) => Err(Error::internal("only changes of users can have a filter")),
    }
}

fn select(tx: &mut Tx<'_>, selection: &Selection, expected: Option<i64>) -> Result<Vec<i64>> {
    let ids = match selection {
        Selection::Ids(ids) => {
            let unknown = tenantry_store::tables::users::list_unknown(tx, ids)?;
            if !unknown.is_empty() {
                return Err(Error::NotFound(Missing::Users(unknown)));
            }
            ids.clone()
        }
        Selection::Filter(query) => find(tx, query)?,
    };
    let matched = ids.len();
    if expected.is_some_and(|expected| i64::try_from(matched) != Ok(expected)) || matched > MOST_CHANGED {
        let found =
            if matched > MOST_CHANGED { format!("more than {MOST_CHANGED}") } else { matched.to_string() };
        let expected = expected.map_or_else(|| MOST_CHANGED.to_string(), |expected| expected.to_string());
        let detail =
            format!("the filter matches {found} users, not {expected} as expected; nothing was changed");
        return Err(Conflict::field("count-mismatch", "/expectedCount", detail));
    }
    Ok(ids)
}

fn find(tx: &mut Tx<'_>, query: &UserQuery) -> Result<Vec<i64>> {
    users::require_groups(tx, &query.groups)?;
    let mut ids: Vec<i64> = Vec::new();
    let mut after = None;
    loop {
        let found = user_lists::chunk(tx, query, after, CHUNK)?;
        let Some(last) = found.last() else { return Ok(ids) };
        after = Some((sort_key(query.sort, last), last.user_id));
        ids.extend(found.iter().map(|user| user.user_id.0));
        // One more than the maximum is enough to know.
        if ids.len() > MOST_CHANGED {
            return Ok(ids);
        }
    }
}
