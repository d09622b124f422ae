//! Imports of users, in batches, each in one or more transactions, so that others can write in between, and an
//! interrupted import can resume.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::users::{self, NewUser};
use crate::{passwords, unit};
use tenantry_core::clock::{DAY, Millis};
use tenantry_core::error::{Conflict, Error, FieldError, Result};
use tenantry_core::model::{GroupId, User, UserId};
use tenantry_core::rows::{RawRow, Text};
use tenantry_store::access::{Admin, Operator};
use tenantry_store::engine::pace::{Pace, StepLimits};
use tenantry_store::engine::tx::Tx;
use tenantry_store::store::Store;
use tenantry_store::tables::imports::{self, ImportProgress};
use tenantry_store::tables::{expensive_hashes, groups, users as stored};

/// How long an interrupted import can be resumed.
const KEPT: Millis = 7 * DAY;

/// A user to import.
#[derive(Clone)]
pub struct ImportedUser {
    /// As in a create.
    pub new: NewUser,
    /// A checked hash of another system ([`tenantry_passwords::check_foreign`]).
    pub password_hash: Option<String>,
}

/// A row of an import: a user, or its errors.
#[derive(Clone)]
pub struct ImportRow {
    /// The line that it begins on.
    pub line: u64,
    /// Its content.
    pub user: Result<ImportedUser, Vec<FieldError>>,
}

/// The result of a row, or the expected result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RowOutcome {
    /// The line that the row begins on.
    pub line: u64,
    /// The name of the created user, if it was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The user's groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<i64>,
    /// Why it was rejected, if it was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Reason>,
    /// The unique keys of the user, for [`Seen`], which takes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keys: Option<(String, Option<String>)>,
}

/// One line for people.
impl std::fmt::Display for RowOutcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: ", self.line)?;
        if let Some(username) = &self.username {
            write!(f, "create {username}")?;
            if !self.groups.is_empty() {
                let groups: Vec<String> = self.groups.iter().map(ToString::to_string).collect();
                write!(f, ", in groups {}", groups.join(", "))?;
            }
            return Ok(());
        }
        f.write_str("reject")?;
        for (at, Reason { field, code, detail }) in self.errors.iter().enumerate() {
            let between = if at == 0 { ":" } else { ";" };
            let field = field.strip_prefix('/').unwrap_or("row");
            write!(f, "{between} {field} {detail} ({code})")?;
        }
        Ok(())
    }
}

/// Why a row is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// JSON Pointer into the row; empty for the whole of it.
    pub field: String,
    /// Stable and machine-readable, such as `username-taken`.
    pub code: String,
    /// What is wrong and how to fix it.
    pub detail: String,
}

impl From<FieldError> for Reason {
    fn from(FieldError { field, code, detail }: FieldError) -> Self {
        Self { field: field.into_owned(), code: code.to_owned(), detail: detail.into_owned() }
    }
}

impl From<Conflict> for Reason {
    fn from(Conflict { code, detail, field, .. }: Conflict) -> Self {
        let field = field.unwrap_or_default().into_owned();
        Self { field, code: code.to_owned(), detail: detail.into_owned() }
    }
}

impl RowOutcome {
    /// Whether the row becomes a user.
    pub fn is_good(&self) -> bool {
        self.errors.is_empty()
    }

    /// Whether both have the same result; the texts may differ.
    pub fn agrees(&self, other: &Self) -> bool {
        let brief = |outcome: &Self| {
            let errors: Vec<_> = outcome.errors.iter().map(|e| (e.field.clone(), e.code.clone())).collect();
            (outcome.line, outcome.username.clone(), outcome.groups.clone(), errors)
        };
        brief(self) == brief(other)
    }

    /// A short description.
    pub fn brief(&self) -> String {
        match &self.username {
            Some(username) => format!("create {username}"),
            None => {
                let codes: Vec<&str> = self.errors.iter().map(|reason| reason.code.as_str()).collect();
                format!("reject it ({})", codes.join(", "))
            }
        }
    }

    fn rejected(line: u64, errors: Vec<Reason>) -> Self {
        Self { line, username: None, groups: Vec::new(), errors, keys: None }
    }

    fn created(line: u64, new: &NewUser) -> Self {
        Self {
            line,
            username: Some(new.username.shown.clone()),
            groups: new.groups.iter().map(|group| group.0).collect(),
            errors: Vec::new(),
            keys: Some((new.username.key.clone(), new.profile.external_id.clone())),
        }
    }
}

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
/// Those of [`create_batch`].
pub async fn dry_run_batch(
    store: &Store,
    by: &Admin,
    strategy: &mut BatchStrategy,
    rows: Vec<ImportRow>,
    send_mail: bool,
) -> Result<Vec<RowOutcome>> {
    let rows = Arc::new(rows);
    let mut outcomes = Vec::with_capacity(rows.len());
    while outcomes.len() < rows.len() {
        let at = outcomes.len();
        let part = optimistically(strategy, |strategy| {
            let rows = Arc::clone(&rows);
            unit::dry_run_large(store, by, move |tx| {
                create_batch(tx, rows.get(at..).unwrap_or_default(), send_mail, strategy)
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

/// Creates users of a batch. Returns the result of each row, from the first one on. A rejected row does not affect the
/// others. It may end before all rows are done, so that other writers need not wait: the rest belongs in another
/// transaction.
///
/// # Errors
/// Those that no row caused; with [`BatchStrategy::Optimistic`] also that of the first rejected row.
pub fn create_batch(
    tx: &mut Tx<'_, Admin>,
    rows: &[ImportRow],
    send_mail: bool,
    strategy: BatchStrategy,
) -> Result<Vec<RowOutcome>> {
    let outcomes =
        match strategy {
            BatchStrategy::Optimistic => {
                let part = tx.part_of(rows.len());
                create_together(tx, rows.get(..part).unwrap_or(rows), send_mail)
            }
            BatchStrategy::PerRow => each(tx, rows.get(..PER_ROW_LIMIT).unwrap_or(rows), |tx, line, user| {
                match tx.attempt(|tx| create(tx, user, send_mail, users::insert))? {
                    Ok(()) => Ok(RowOutcome::created(line, &user.new)),
                    Err(error) => refused(line, error),
                }
            }),
        }?;
    let created = rows.iter().zip(&outcomes).filter(|(_, outcome)| outcome.is_good());
    let hashes = created.filter_map(|(row, _)| row.user.as_ref().ok()?.password_hash.as_deref());
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
    let outcomes = each(tx, rows, |tx, line, user| {
        if let Some(error) = taken.refusal(&user.new) {
            return refused(line, error);
        }
        create(tx, user, send_mail, users::insert_alone)?;
        taken.add(&user.new);
        Ok(RowOutcome::created(line, &user.new))
    })?;
    let members = count_each(outcomes.iter().flat_map(|outcome| &outcome.groups).map(|id| GroupId(*id)));
    members.into_iter().try_for_each(|(group, count)| groups::count_members(tx, group, count))?;
    Ok(outcomes)
}

/// Row by row, until others wait.
fn each(
    tx: &mut Tx<'_>,
    rows: &[ImportRow],
    mut create: impl FnMut(&mut Tx<'_>, u64, &ImportedUser) -> Result<RowOutcome>,
) -> Result<Vec<RowOutcome>> {
    let (mut outcomes, mut pace) = (Vec::with_capacity(rows.len()), Pace::start(StepLimits::IMPORT));
    for row in rows {
        if tx.is_step_over(&pace) {
            break;
        }
        pace.add(1);
        outcomes.push(match &row.user {
            Ok(user) => create(tx, row.line, user)?,
            Err(errors) => RowOutcome::rejected(row.line, errors.iter().cloned().map(Reason::from).collect()),
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
    fn refusal(&self, new: &NewUser) -> Option<Error> {
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
}

fn good(rows: &[ImportRow]) -> impl Iterator<Item = &ImportedUser> {
    rows.iter().filter_map(|row| row.user.as_ref().ok())
}

fn count_each(groups: impl Iterator<Item = GroupId>) -> BTreeMap<GroupId, i64> {
    let mut counts = BTreeMap::new();
    for group in groups {
        *counts.entry(group).or_default() += 1;
    }
    counts
}

/// Errors of a row belong to the row; any other error fails the batch.
fn refused(line: u64, error: Error) -> Result<RowOutcome> {
    match error {
        Error::Invalid(errors) => {
            Ok(RowOutcome::rejected(line, errors.into_iter().map(Reason::from).collect()))
        }
        Error::Conflict(conflict) => Ok(RowOutcome::rejected(line, vec![conflict.into()])),
        other => Err(other),
    }
}

/// Creates one user. An imported password is permanent. Without one the user has none until it is reset or requested;
/// it is mailed only if that is wanted.
fn create(
    tx: &mut Tx<'_>,
    user: &ImportedUser,
    send_mail: bool,
    insert: fn(&mut Tx<'_>, &NewUser) -> Result<User>,
) -> Result<()> {
    let made = insert(tx, &user.new)?;
    match &user.password_hash {
        Some(hash) => passwords::set_permanent(tx, made.user_id, hash),
        None if send_mail => users::welcome(tx, &made),
        None => Ok(()),
    }
}

/// Names and external ids of a dry run, since its batches leave nothing in the database. A hundred thousand users take
/// about eight megabytes.
#[derive(Debug, Default)]
pub struct Seen(HashSet<[u8; 16]>);

impl Seen {
    /// Rejects rows whose keys an earlier row of the file has taken.
    pub fn check(&mut self, outcomes: &mut [RowOutcome]) {
        for outcome in outcomes.iter_mut() {
            let Some((username, external_id)) = outcome.keys.take() else { continue };
            let name = hash("u", &username);
            let external_id = external_id.map(|id| hash("x", &id));
            let taken = if self.0.contains(&name) {
                Some(("username-taken", "/username"))
            } else if external_id.as_ref().is_some_and(|id| self.0.contains(id)) {
                Some(("external-id-taken", "/externalId"))
            } else {
                None
            };
            match taken {
                Some((code, field)) => {
                    let detail = "an earlier row of this file has it".to_owned();
                    let reason = Reason { field: field.to_owned(), code: code.to_owned(), detail };
                    *outcome = RowOutcome::rejected(outcome.line, vec![reason]);
                }
                None => self.0.extend([Some(name), external_id].into_iter().flatten()),
            }
        }
    }
}

fn hash(kind: &str, text: &str) -> [u8; 16] {
    let mut out = [0; 16];
    let digest = Sha256::new().chain_update(kind).chain_update(text).finalize();
    out.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    out
}

/// The position of an import; the beginning if it has not begun.
///
/// # Errors
/// None of its own.
pub fn find_progress(tx: &mut Tx<'_, Admin>, key: &str) -> Result<ImportProgress> {
    Ok(imports::find(tx, key)?.unwrap_or_default())
}

/// Advances an import from `from` rows, in the transaction of the batch.
///
/// # Errors
/// `import-under-way` if it is at another position: another run of the same import is in progress.
pub fn advance(tx: &mut Tx<'_, Admin>, key: &str, from: i64, to: &ImportProgress) -> Result<()> {
    if imports::advance(tx, key, from, to)? {
        return Ok(());
    }
    let detail = "another run of this import is in progress: wait until it has ended, and run it again";
    Err(Conflict::users("import-under-way", Vec::new(), detail))
}

/// Deletes the position of a completed import.
///
/// # Errors
/// None of its own.
pub fn end(tx: &mut Tx<'_, Admin>, key: &str) -> Result<()> {
    imports::delete(tx, key)
}

/// Deletes imports that were not resumed for a week. Returns their number.
///
/// # Errors
/// None of its own.
pub fn purge(tx: &mut Tx<'_>, limit: i64) -> Result<usize> {
    let before = tx.now() - KEPT;
    imports::purge(tx, before, limit)
}

/// The checksum of the rows of a file so far, independent of batches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chain([u8; 32]);

impl Chain {
    /// Adds the next row.
    pub fn add(&mut self, row: &RawRow) {
        let text = match &row.text {
            Text::Json(text) => text.as_str(),
            _ => "",
        };
        let next = Sha256::new().chain_update(self.0).chain_update(row.line.to_le_bytes()).chain_update(text);
        self.0 = next.finalize().into();
    }
}

impl std::fmt::Display for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A reference to a group in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupRef {
    /// By id.
    Id(GroupId),
    /// By name.
    Name(String),
}

/// The groups of rows.
#[derive(Debug, Default)]
pub struct KnownGroups {
    unknown: HashSet<i64>,
    by_name: HashMap<String, GroupId>,
}

impl KnownGroups {
    /// Looks all of them up at once.
    ///
    /// # Errors
    /// None of its own.
    pub fn find(tx: &mut Tx<'_, Admin>, wanted: &[GroupRef]) -> Result<Self> {
        let (mut ids, mut names) = (Vec::new(), Vec::new());
        for group in wanted {
            match group {
                GroupRef::Id(id) => ids.push(*id),
                // An invalid name does not exist, and PostgreSQL refuses NUL characters.
                GroupRef::Name(name) if tenantry_core::values::group_name(name).is_err() => {}
                GroupRef::Name(name) => names.push(tenantry_core::values::fold(name)),
            }
        }
        ids.sort_unstable();
        ids.dedup();
        names.sort_unstable();
        names.dedup();
        Ok(Self {
            unknown: groups::list_unknown(tx, &ids)?.into_iter().collect(),
            by_name: groups::find_named(tx, &names)?.into_iter().collect(),
        })
    }

    /// The id of a group, or its reference if there is none.
    ///
    /// # Errors
    /// There is no such group.
    pub fn resolve(&self, group: &GroupRef) -> Result<GroupId, String> {
        match group {
            GroupRef::Id(id) if self.unknown.contains(&id.0) => Err(id.0.to_string()),
            GroupRef::Id(id) => Ok(*id),
            GroupRef::Name(name) => self
                .by_name
                .get(&tenantry_core::values::fold(name))
                .copied()
                .ok_or_else(|| format!("\"{name}\"")),
        }
    }
}

/// What an export has of users in addition to their representation.
#[derive(Default)]
pub struct Attached {
    /// Names of groups, by id.
    pub group_names: HashMap<i64, String>,
    /// The current permanent password, by user, if requested.
    pub hashes: HashMap<i64, String>,
}

/// Reads it for some users. Hashes are only for operators.
///
/// # Errors
/// None of its own.
pub fn attach(tx: &mut Tx<'_>, users: &[User], hashes_for: Option<Operator>) -> Result<Attached> {
    let mut ids: Vec<GroupId> = users.iter().flat_map(|user| user.groups.iter().copied()).collect();
    ids.sort_unstable();
    ids.dedup();
    let group_names = groups::names(tx, &ids)?.into_iter().collect();
    let wanted: Vec<UserId> = users.iter().map(|user| user.user_id).collect();
    let hashes = match hashes_for {
        Some(_) => tenantry_store::tables::passwords::list_permanent(tx, &wanted)?.into_iter().collect(),
        None => HashMap::new(),
    };
    Ok(Attached { group_names, hashes })
}
