//! Imports of users, in batches, each in one or more transactions, so that others can write in between, and an
//! interrupted import can resume.

mod existing;
mod group_refs;
mod progress;
mod rows;
mod seen;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

pub use existing::{Existing, MatchedBy, RowChange};
pub use group_refs::{GroupRef, GroupRefError, KnownGroups};
pub use progress::{Chain, advance, end, find_progress, purge};
pub use rows::{
    ImportOptions, ImportRow, ImportedUser, Reason, RowAction, RowContent, RowCounts, RowOutcome, RowPlace,
};
pub use seen::Seen;
pub use tenantry_passwords::{HashPolicy, UnusableHashes};

use crate::users::{self, BroughtTimes, NewUser};
use crate::{passwords, unit};
use tenantry_core::error::{Error, Result};
use tenantry_core::model::{GroupId, User};
use tenantry_core::values;
use tenantry_store::access::Admin;
use tenantry_store::engine::pace::{Pace, StepLimits};
use tenantry_store::engine::tx::Tx;
use tenantry_store::store::Store;
use tenantry_store::tables::{expensive_hashes, groups, users as stored};

/// How a batch goes about rows that may be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchStrategy {
    /// All at once but those whose names are taken, in the hope that none is refused for another reason: then the whole
    /// batch is, and has to be done carefully.
    Optimistic,
    /// Each so that it can be taken back alone. This costs twice as much, and more in a long transaction.
    PerRow,
}

/// The most rows of a careful transaction.
const PER_ROW_LIMIT: usize = 1_000;

/// Stores a batch in as many transactions as it takes. `part` stores some of the rows from a position on, and returns
/// the next position and the results of all rows so far; `before` are the results of earlier batches.
///
/// # Errors
/// Those of `part`. What earlier parts have stored stays.
pub async fn store_batch<T, F>(
    store: &Store,
    by: &Admin,
    strategy: &mut BatchStrategy,
    rows: usize,
    before: T,
    part: F,
) -> Result<T>
where
    T: Send + Sync + 'static,
    F: Fn(&mut Tx<'_, Admin>, BatchStrategy, usize, &T) -> Result<(usize, T)> + Send + Sync + 'static,
{
    let part = Arc::new(part);
    let (mut at, mut done) = (0, before);
    while at < rows {
        let before = Arc::new(done);
        (at, done) = optimistically(strategy, |strategy| {
            let (part, before) = (Arc::clone(&part), Arc::clone(&before));
            unit::write_large(store, by, move |tx| part(tx, strategy, at, &before))
        })
        .await?;
    }
    Ok(done)
}

/// Dry-runs a batch. Returns the result that each row would have.
///
/// # Errors
/// Those of [`import_batch`].
pub async fn dry_run_batch(
    store: &Store,
    by: &Admin,
    strategy: &mut BatchStrategy,
    rows: Vec<ImportRow>,
    options: ImportOptions,
) -> Result<Vec<RowOutcome>> {
    let rows = Arc::new(rows);
    let mut outcomes = Vec::with_capacity(rows.len());
    while outcomes.len() < rows.len() {
        let at = outcomes.len();
        let part = optimistically(strategy, |strategy| {
            let rows = Arc::clone(&rows);
            unit::dry_run_large(store, by, move |tx| {
                import_batch(tx, rows.get(at..).unwrap_or_default(), options, strategy)
            })
        });
        outcomes.extend(part.await?);
    }
    Ok(outcomes)
}

/// Has something done carefully where hope was in vain, and whether it was: so it will be the next time.
async fn optimistically<T, Fut>(
    strategy: &mut BatchStrategy,
    work: impl Fn(BatchStrategy) -> Fut,
) -> Result<T>
where
    Fut: Future<Output = Result<T>>,
{
    if *strategy == BatchStrategy::Optimistic {
        match work(BatchStrategy::Optimistic).await {
            Err(Error::Invalid(_) | Error::Conflict(_)) => *strategy = BatchStrategy::PerRow,
            other => return other,
        }
    }
    work(BatchStrategy::PerRow).await
}

/// Creates users of a batch, and updates existing ones if that is wanted. Returns the result of each row, from the first one on. A rejected row does not affect the
/// others. It may end before all rows are done, so that other writers need not wait: the rest belongs in another
/// transaction.
///
/// # Errors
/// Those that no row caused; with [`BatchStrategy::Optimistic`] also that of the first rejected row.
pub fn import_batch(
    tx: &mut Tx<'_, Admin>,
    rows: &[ImportRow],
    options: ImportOptions,
    strategy: BatchStrategy,
) -> Result<Vec<RowOutcome>> {
    let send_mail = options.send_mail;
    let outcomes = match strategy {
        _ if options.existing != Existing::Refuse => existing::import_batch(tx, rows, options, strategy),
        BatchStrategy::Optimistic => {
            let part = tx.part_of(rows.len());
            create_together(tx, rows.get(..part).unwrap_or(rows), send_mail)
        }
        BatchStrategy::PerRow => each(tx, rows.get(..PER_ROW_LIMIT).unwrap_or(rows), |tx, place, user| {
            match tx.attempt(|tx| create(tx, user, send_mail, users::insert_with_times))? {
                Ok(_) => Ok(RowOutcome::created(place, user)),
                Err(error) => refused(place, error),
            }
        }),
    }?;
    let created = rows.iter().zip(&outcomes).filter(|(_, outcome)| outcome.is_created());
    let hashes = created.filter_map(|(row, _)| row.content.user()?.password_hash.hash());
    expensive_hashes::record(tx, hashes)?;
    Ok(outcomes)
}

/// Does once for all rows what each would do separately: so there is little between them, and PostgreSQL stores them
/// together.
fn create_together(tx: &mut Tx<'_>, rows: &[ImportRow], send_mail: bool) -> Result<Vec<RowOutcome>> {
    let groups = count_each(good(rows).flat_map(|user| &user.new.groups).copied());
    users::require_groups(tx, &groups.into_keys().collect::<Vec<_>>())?;
    tx.expect_rows(good(rows).count());
    let mut taken = Taken::find(tx, rows)?;
    let outcomes = each(tx, rows, |tx, place, user| {
        if let Some(error) = taken.conflict(&user.new) {
            return refused(place, error);
        }
        create(tx, user, send_mail, users::insert_alone_with_times)?;
        taken.add(&user.new);
        Ok(RowOutcome::created(place, user))
    })?;
    let members = count_each(outcomes.iter().flat_map(|outcome| &outcome.groups).map(|id| GroupId(*id)));
    members.into_iter().try_for_each(|(group, count)| groups::count_members(tx, group, count))?;
    Ok(outcomes)
}

/// Row by row, until others wait.
fn each(
    tx: &mut Tx<'_>,
    rows: &[ImportRow],
    mut create: impl FnMut(&mut Tx<'_>, RowPlace, &ImportedUser) -> Result<RowOutcome>,
) -> Result<Vec<RowOutcome>> {
    let (mut outcomes, mut pace) = (Vec::with_capacity(rows.len()), Pace::start(StepLimits::IMPORT));
    for row in rows {
        if tx.is_step_over(&pace) {
            break;
        }
        pace.add(1);
        outcomes.push(match row.content.user() {
            Some(user) => create(tx, row.place, user)?,
            None => row.without_user(),
        });
    }
    Ok(outcomes)
}

/// Taken unique keys: in the database before a batch, and in its rows so far.
#[derive(Default)]
struct Taken {
    usernames: HashSet<String>,
    external_ids: HashSet<String>,
}

impl Taken {
    fn find(tx: &mut Tx<'_>, rows: &[ImportRow]) -> Result<Self> {
        let usernames: Vec<&str> = good(rows).map(|user| user.new.username.key.as_str()).collect();
        let external_ids: Vec<&str> =
            good(rows).filter_map(|user| user.new.profile.external_id.as_deref()).collect();
        let mut taken = Self::default();
        if !usernames.is_empty() {
            taken.usernames.extend(stored::list_taken_usernames(tx, &usernames)?);
        }
        if !external_ids.is_empty() {
            taken.external_ids.extend(stored::list_taken_external_ids(tx, &external_ids)?);
        }
        Ok(taken)
    }

    /// The error that the database would return.
    fn conflict(&self, new: &NewUser) -> Option<Error> {
        if new.profile.external_id.as_ref().is_some_and(|id| self.external_ids.contains(id)) {
            Some(stored::external_id_taken())
        } else if self.usernames.contains(&new.username.key) {
            Some(stored::username_taken())
        } else {
            None
        }
    }

    fn add(&mut self, new: &NewUser) {
        self.usernames.insert(new.username.key.clone());
        self.external_ids.extend(new.profile.external_id.clone());
    }

    fn add_user(&mut self, user: &User) {
        self.usernames.extend(values::username_key(&user.username));
        self.external_ids.extend(user.profile.external_id.clone());
    }

    fn remove(&mut self, user: &User) {
        if let Some(key) = values::username_key(&user.username) {
            self.usernames.remove(&key);
        }
        if let Some(id) = &user.profile.external_id {
            self.external_ids.remove(id);
        }
    }
}

fn good(rows: &[ImportRow]) -> impl Iterator<Item = &ImportedUser> {
    rows.iter().filter_map(|row| row.content.user())
}

fn count_each(groups: impl Iterator<Item = GroupId>) -> BTreeMap<GroupId, i64> {
    let mut counts = BTreeMap::new();
    for group in groups {
        *counts.entry(group).or_default() += 1;
    }
    counts
}

/// Errors of a row belong to the row; any other error fails the batch.
fn refused(place: RowPlace, error: Error) -> Result<RowOutcome> {
    match error {
        Error::Invalid(errors) => {
            Ok(RowOutcome::rejected(place, errors.into_iter().map(Reason::from).collect()))
        }
        Error::Conflict(conflict) => Ok(RowOutcome::rejected(place, vec![conflict.into()])),
        other => Err(other),
    }
}

/// Creates one user. An imported password is permanent. Without one the user has none until it is reset or requested;
/// it is mailed only if that is wanted.
fn create(
    tx: &mut Tx<'_>,
    user: &ImportedUser,
    send_mail: bool,
    insert: fn(&mut Tx<'_>, &NewUser, BroughtTimes) -> Result<User>,
) -> Result<User> {
    let made = insert(tx, &user.new, user.times)?;
    match user.password_hash.hash() {
        Some(hash) => passwords::set_permanent(tx, made.user_id, hash)?,
        None if send_mail => users::welcome(tx, &made)?,
        None => {}
    }
    Ok(made)
}
