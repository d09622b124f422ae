//! Rows whose users exist already: refused, skipped, or written into them.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::seen::RowKeys;
use super::{
    BatchStrategy, ImportOptions, ImportRow, ImportedUser, PER_ROW_LIMIT, Reason, RowAction, RowContent,
    RowOutcome, RowPlace, Taken, create, refused,
};
use crate::users::{self, UserChange};
use crate::{last_admin, passwords};
use tenantry_core::error::{Conflict, FieldError, Result};
use tenantry_core::model::{User, UserId};
use tenantry_core::values;
use tenantry_passwords::ImportedHash;
use tenantry_store::access::Admin;
use tenantry_store::engine::pace::{Pace, StepLimits};
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::{expensive_hashes, passwords as stored_passwords, users as stored};

/// What an import does with a row whose user exists already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Existing {
    /// Rejects the row.
    #[default]
    Refuse,
    /// Skips the row.
    Skip,
    /// Changes the user to what the row gives.
    Update,
}

impl Existing {
    /// Each by its name.
    pub const NAMES: [(&'static str, Self); 3] =
        [("refuse", Self::Refuse), ("skip", Self::Skip), ("update", Self::Update)];

    /// Parses its name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, existing)| existing)
    }
}

/// How the user of a row was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MatchedBy {
    /// By its external id.
    ExternalId,
    /// By its username, because nobody has the external id or the row has none.
    Username,
}

impl MatchedBy {
    pub(super) const fn field(self) -> &'static str {
        match self {
            Self::ExternalId => "/externalId",
            Self::Username => "/username",
        }
    }

    /// The code of the conflict.
    pub(super) const fn taken(self) -> &'static str {
        match self {
            Self::ExternalId => "external-id-taken",
            Self::Username => "username-taken",
        }
    }
}

/// A row that can create a user or change one. It need not be complete for the latter.
#[derive(Clone)]
pub struct RowChange {
    /// The key of its username, if it has a valid one.
    pub username: Option<String>,
    /// Its external id, if it has a valid one.
    pub external_id: Option<String>,
    /// The user that it creates.
    pub new: Result<ImportedUser, Vec<FieldError>>,
    /// What it changes.
    pub change: Result<UserChange, Vec<FieldError>>,
    /// The password, by the hash of another system.
    pub password_hash: ImportedHash,
    /// The checksum of its text.
    pub content: u64,
}

/// The keys by which a row finds its user.
struct RowMatch<'r> {
    username: Option<&'r str>,
    external_id: Option<&'r str>,
}

impl<'r> RowMatch<'r> {
    fn of(content: &'r RowContent) -> Option<Self> {
        let (username, external_id) = match content {
            RowContent::User(user) => {
                (Some(user.new.username.key.as_str()), user.new.profile.external_id.as_deref())
            }
            RowContent::Change(row) => (row.username.as_deref(), row.external_id.as_deref()),
            RowContent::Nothing(_) | RowContent::Invalid(_) => return None,
        };
        Some(Self { username, external_id })
    }
}

/// The users of a batch that exist, as they are after the rows so far.
#[derive(Default)]
struct KnownUsers {
    users: HashMap<UserId, User>,
    by_username: HashMap<String, UserId>,
    by_external_id: HashMap<String, UserId>,
}

impl KnownUsers {
    fn find(tx: &mut Tx<'_>, rows: &[ImportRow]) -> Result<Self> {
        let keys: Vec<RowMatch<'_>> = rows.iter().filter_map(|row| RowMatch::of(&row.content)).collect();
        let usernames: Vec<&str> = keys.iter().filter_map(|key| key.username).collect();
        let external_ids: Vec<&str> = keys.iter().filter_map(|key| key.external_id).collect();
        let mut known = Self::default();
        for user in stored::list_by_username(tx, &usernames)? {
            known.add(user);
        }
        for user in stored::list_by_external_id(tx, &external_ids)? {
            known.add(user);
        }
        Ok(known)
    }

    fn add(&mut self, user: User) {
        if let Some(key) = values::username_key(&user.username) {
            self.by_username.insert(key, user.user_id);
        }
        if let Some(id) = &user.profile.external_id {
            self.by_external_id.insert(id.clone(), user.user_id);
        }
        self.users.insert(user.user_id, user);
    }

    fn replace(&mut self, before: &User, after: User) {
        if let Some(key) = values::username_key(&before.username) {
            self.by_username.remove(&key);
        }
        if let Some(id) = &before.profile.external_id {
            self.by_external_id.remove(id);
        }
        self.add(after);
    }

    /// The user of a row: who has its external id, else who has its username. Somebody with another external id is
    /// somebody else.
    fn user_of(&self, row: &RowMatch<'_>) -> Option<(&User, MatchedBy)> {
        let user = |id: &UserId| self.users.get(id);
        if let Some(found) = row.external_id.and_then(|id| self.by_external_id.get(id)).and_then(user) {
            return Some((found, MatchedBy::ExternalId));
        }
        let found = row.username.and_then(|name| self.by_username.get(name)).and_then(user)?;
        let is_other = row.external_id.is_some() && found.profile.external_id.is_some();
        (!is_other).then_some((found, MatchedBy::Username))
    }
}

/// As [`super::import_batch`], for an import that skips or updates existing users.
pub(super) fn import_batch(
    tx: &mut Tx<'_, Admin>,
    rows: &[ImportRow],
    options: ImportOptions,
    strategy: BatchStrategy,
) -> Result<Vec<RowOutcome>> {
    let part = match strategy {
        BatchStrategy::Optimistic => tx.part_of(rows.len()),
        BatchStrategy::PerRow => PER_ROW_LIMIT,
    };
    let rows = rows.get(..part).unwrap_or(rows);
    let mut batch =
        ImportBatch { options, known: KnownUsers::find(tx, rows)?, taken: Taken::find(tx, rows)? };
    let (mut outcomes, mut pace) = (Vec::with_capacity(rows.len()), Pace::start(StepLimits::IMPORT));
    for row in rows {
        if tx.is_step_over(&pace) {
            break;
        }
        pace.add(1);
        let done = match strategy {
            BatchStrategy::Optimistic => batch.import(tx, row)?,
            BatchStrategy::PerRow => match tx.attempt(|tx| batch.import(tx, row))? {
                Ok(done) => done,
                Err(error) => (refused(row.place, error)?, None),
            },
        };
        let (outcome, effect) = done;
        batch.follow(effect);
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

/// What a row has done to a user: as it was, if it existed, and as it is.
type Effect = Option<(Option<User>, User)>;

struct ImportBatch {
    options: ImportOptions,
    known: KnownUsers,
    taken: Taken,
}

impl ImportBatch {
    fn import(&self, tx: &mut Tx<'_, Admin>, row: &ImportRow) -> Result<(RowOutcome, Effect)> {
        let place = row.place;
        let Some(keys) = RowMatch::of(&row.content) else {
            return Ok((row.without_user(), None));
        };
        if let Some((user, by)) = self.known.user_of(&keys) {
            return match &row.content {
                RowContent::Change(change) => self.update(tx, place, (user, by), change),
                _ => Ok((skipped(place, (user, by), "existing-user"), None)),
            };
        }
        let (user, content) = match &row.content {
            RowContent::User(user) => (&**user, 0),
            RowContent::Change(change) => match &change.new {
                Ok(user) => (user, change.content),
                Err(errors) => return Ok((rejected(place, errors), None)),
            },
            RowContent::Nothing(_) | RowContent::Invalid(_) => return Ok((row.without_user(), None)),
        };
        if let Some(error) = self.taken.conflict(&user.new) {
            return Ok((refused(place, error)?, None));
        }
        let made = create(tx, user, self.options.send_mail, users::insert_with_times)?;
        let keys = Some(RowKeys::of_new(&user.new, content));
        Ok((RowOutcome { keys, ..RowOutcome::created(place, user) }, Some((None, made))))
    }

    /// Changes a user to what a row gives, as a merge patch does. A password is only set where there is none: since the
    /// move the user may have chosen another one.
    fn update(
        &self,
        tx: &mut Tx<'_, Admin>,
        place: RowPlace,
        (user, by): (&User, MatchedBy),
        row: &RowChange,
    ) -> Result<(RowOutcome, Effect)> {
        let change = match &row.change {
            Ok(change) => change,
            Err(errors) => return Ok((rejected(place, errors), None)),
        };
        if users::takes_admin_away(change) && users::is_last_admin(tx, user)? {
            // At the end of the unit it would be the error of all rows.
            let error = Conflict::users("last-admin", vec![user.user_id.0], last_admin::LAST_ADMIN);
            return Ok((refused(place, error)?, None));
        }
        let mut is_changed = users::would_change(user, change);
        let mut dropped = None;
        if row.password_hash != ImportedHash::None && !stored_passwords::has_any(tx, user.user_id)? {
            if let Some(hash) = row.password_hash.hash() {
                passwords::set_permanent(tx, user.user_id, hash)?;
                expensive_hashes::record(tx, [hash])?;
                is_changed = true;
            }
            dropped = row.password_hash.dropped().map(|why| Reason::from(why.clone().at("/passwordHash")));
        }
        let keys =
            RowKeys::of_existing(row.username.clone(), row.external_id.clone(), user.user_id.0, row.content);
        if !is_changed {
            return Ok((RowOutcome { keys: Some(keys), ..skipped(place, (user, by), "unchanged") }, None));
        }
        let after = users::update_known(tx, user, change)?;
        let outcome = RowOutcome {
            action: RowAction::Update,
            username: Some(after.username.clone()),
            groups: after.groups.iter().map(|group| group.0).collect(),
            user_id: Some(user.user_id.0),
            matched_by: Some(by),
            keys: Some(keys),
            ..RowOutcome::rejected(place, dropped.into_iter().collect())
        };
        Ok((outcome, Some((Some(user.clone()), after))))
    }

    fn follow(&mut self, effect: Effect) {
        match effect {
            Some((Some(before), after)) => {
                self.taken.remove(&before);
                self.taken.add_user(&after);
                self.known.replace(&before, after);
            }
            Some((None, made)) => {
                self.taken.add_user(&made);
                self.known.add(made);
            }
            None => {}
        }
    }
}

fn rejected(place: RowPlace, errors: &[FieldError]) -> RowOutcome {
    RowOutcome::rejected(place, errors.iter().cloned().map(Reason::from).collect())
}

fn skipped(place: RowPlace, (user, by): (&User, MatchedBy), code: &str) -> RowOutcome {
    let id = user.user_id.0;
    let has = match by {
        MatchedBy::ExternalId => "externalId",
        MatchedBy::Username => "username",
    };
    let detail = match code {
        "unchanged" => format!("user {id}, found by this {has}, is like this already"),
        _ => format!("user {id} has this {has}"),
    };
    let reason = Reason { field: by.field().to_owned(), code: code.to_owned(), detail };
    RowOutcome { user_id: Some(id), matched_by: Some(by), ..RowOutcome::skipped(place, reason) }
}
