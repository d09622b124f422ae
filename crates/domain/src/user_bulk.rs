//! Users, created and changed many at a time.

use crate::bulk_changes::{BulkChange, BulkOperation, Selection};
use crate::events;
use crate::users::{self, NewUser, UserChange};
use tenantry_core::error::{Conflict, Error, Fault, Missing, Result};
use tenantry_core::model::UserId;
use tenantry_store::access::Admin;
use tenantry_store::engine::tx::Tx;
use tenantry_store::listing::user_lists;
use tenantry_store::listing::user_queries::{UserQuery, sort_key};

/// The most users that one change may hit.
pub const MOST_CHANGED: usize = 100_000;

/// Users looked for at once.
const CHUNK: i64 = 1_000;

/// The most faults that are listed of a bulk: ten thousand bad rows need no ten thousand explanations.
const LISTED: usize = 100;

/// A row of a bulk: a user to create, or what is wrong with it.
pub type Row = Result<NewUser, Vec<Fault>>;

/// Creates users in the order of their rows; what became of each.
///
/// An atomic bulk creates all of them or none: it fails as its first bad row does. Otherwise a bad row is passed over.
///
/// # Errors
/// Atomic: that of the first bad row, its place below `place`. Else only those that no row is to blame for.
pub fn create_many(
    tx: &mut Tx<'_, Admin>,
    rows: &[Row],
    atomic: Option<&str>,
) -> Result<Vec<Result<UserId>>> {
    let (mut made, mut joined) = (Vec::with_capacity(rows.len()), Vec::new());
    for (index, row) in rows.iter().enumerate() {
        let one = match row {
            Err(_) if let Some(place) = atomic => return Err(all_faults(rows, place)),
            Err(faults) => Err(Error::Invalid(faults.clone())),
            // One failure is everybody's: nothing has to be taken back alone.
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

/// The first row at fault has faults that need no look into the database: so they are told together (B6).
fn all_faults(rows: &[Row], place: &str) -> Error {
    let faults = rows.iter().enumerate().flat_map(|(index, row)| {
        let faults = row.as_ref().err().into_iter().flatten();
        faults.map(move |fault| Fault {
            field: format!("{place}/{index}{}", fault.field).into(),
            ..fault.clone()
        })
    });
    Error::Invalid(faults.take(LISTED).collect())
}

/// What a change of many came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changed {
    /// Users it was for.
    pub matched: usize,
    /// Users that are now other than before.
    pub changed: usize,
}

/// Applies one change to many users, all or none.
///
/// # Errors
/// Not found, listing the unknown ids; `count-mismatch` when there are not as many users as `expected`; those of
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

/// Whom an operation is for. Only users are looked for.
///
/// # Errors
/// For a change of users those of [`update_many`] that come before the first change.
pub(super) fn ids_of(tx: &mut Tx<'_, Admin>, operation: &BulkOperation) -> Result<Vec<i64>> {
    match (&operation.change, &operation.selection) {
        (BulkChange::UpdateUsers(_), selection) => select(tx, selection, operation.expected),
        (_, Selection::Ids(ids)) => Ok(ids.clone()),
        (_, Selection::Filter(_)) => Err(Error::internal("only changes of users are for a filter")),
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
            format!("this is for {found} users, not for {expected} as expected; nothing was changed");
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
        // One too many is enough to know.
        if ids.len() > MOST_CHANGED {
            return Ok(ids);
        }
    }
}
