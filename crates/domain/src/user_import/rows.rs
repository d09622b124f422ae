//! Rows of an import, and what becomes of each.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::user_import::existing::{Existing, MatchedBy, RowChange};
use crate::user_import::seen::RowKeys;
use crate::users::{BroughtTimes, NewUser};
use tenantry_core::error::{Conflict, FieldError};
use tenantry_core::printable::printable;
use tenantry_core::rows::RawRow;
use tenantry_passwords::ImportedHash;

/// A user to import.
#[derive(Clone)]
pub struct ImportedUser {
    /// As in a create.
    pub new: NewUser,
    /// The password, by the hash of another system.
    pub password_hash: ImportedHash,
    /// When it was created and last logged in there.
    pub times: BroughtTimes,
}

/// How rows are imported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportOptions {
    /// Mails a temporary password to ACTIVE users without a password hash.
    pub send_mail: bool,
    /// What is done with a row whose user exists already.
    #[serde(default)]
    pub existing: Existing,
}

/// A row of an import.
#[derive(Clone)]
pub struct ImportRow {
    /// Which one it is.
    pub place: RowPlace,
    /// Its content.
    pub content: RowContent,
}

/// Where a row is in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowPlace {
    /// Its number among the rows of the file, from 1.
    pub record: u64,
    /// The line that it begins on, from 1.
    pub line: u64,
}

impl From<&RawRow> for RowPlace {
    fn from(&RawRow { record, line, .. }: &RawRow) -> Self {
        Self { record, line }
    }
}

/// What a row contains.
#[derive(Clone)]
pub enum RowContent {
    /// A user.
    User(Box<ImportedUser>),
    /// A user, or changes of an existing one.
    Change(Box<RowChange>),
    /// Nothing to import, and why: it is skipped.
    Nothing(FieldError),
    /// Errors: it is rejected.
    Invalid(Vec<FieldError>),
}

impl ImportRow {
    /// The outcome of a row that has no user.
    pub(super) fn without_user(&self) -> RowOutcome {
        match &self.content {
            RowContent::Nothing(why) => RowOutcome::skipped(self.place, why.clone().into()),
            RowContent::Invalid(errors) => {
                RowOutcome::rejected(self.place, errors.iter().cloned().map(Reason::from).collect())
            }
            RowContent::User(_) | RowContent::Change(_) => RowOutcome::rejected(self.place, Vec::new()),
        }
    }
}

impl RowContent {
    pub(super) fn user(&self) -> Option<&ImportedUser> {
        match self {
            Self::User(user) => Some(user),
            Self::Change(row) => row.new.as_ref().ok(),
            Self::Nothing(_) | Self::Invalid(_) => None,
        }
    }
}

/// What an import does with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowAction {
    /// Creates a user.
    Create,
    /// Updates an existing user.
    Update,
    /// Leaves everything as it is.
    Skip,
    /// Rejects it: it has errors.
    Reject,
}

/// The numbers of rows by what was done with them. Their sum is the number of rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RowCounts {
    /// Created users.
    pub created: u64,
    /// Updated users.
    pub updated: u64,
    /// Skipped rows.
    pub skipped: u64,
    /// Rejected rows.
    pub failed: u64,
    /// Of the created and updated users, those whose password hash was dropped.
    #[serde(default)]
    pub dropped_hashes: u64,
}

impl RowCounts {
    /// Counts a row.
    pub fn add(&mut self, outcome: &RowOutcome) {
        *match outcome.action {
            RowAction::Create => &mut self.created,
            RowAction::Update => &mut self.updated,
            RowAction::Skip => &mut self.skipped,
            RowAction::Reject => &mut self.failed,
        } += 1;
        self.dropped_hashes += u64::from(outcome.has_dropped_hash());
    }
}

/// The result of a row, or the expected result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RowOutcome {
    /// Which row it is.
    #[serde(flatten)]
    pub place: RowPlace,
    /// What was done.
    pub action: RowAction,
    /// The name of the user, if it was created or updated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The existing user of the row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<i64>,
    /// How that user was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matched_by: Option<MatchedBy>,
    /// The user's groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<i64>,
    /// Why it was rejected or skipped, if it was; of a created or updated user, why its password hash was dropped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Reason>,
    /// The unique keys of the user, for `Seen`, which takes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) keys: Option<RowKeys>,
}

/// One line for people.
impl std::fmt::Display for RowOutcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: ", self.place.line)?;
        if let Some(username) = &self.username {
            write!(f, "{} {username}", if self.action == RowAction::Update { "update" } else { "create" })?;
            if !self.groups.is_empty() {
                let groups: Vec<String> = self.groups.iter().map(ToString::to_string).collect();
                write!(f, ", in groups {}", groups.join(", "))?;
            }
        }
        match self.action {
            RowAction::Create | RowAction::Update if self.errors.is_empty() => return Ok(()),
            RowAction::Create | RowAction::Update => f.write_str(", without a password")?,
            RowAction::Skip => f.write_str("skip")?,
            RowAction::Reject => f.write_str("reject")?,
        }
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
        // Both can repeat what the row says, and are printed by commands.
        let shown = |text: Cow<'_, str>| printable(&text).into_owned();
        Self { field: shown(field), code: code.to_owned(), detail: shown(detail) }
    }
}

impl From<Conflict> for Reason {
    fn from(Conflict { code, detail, field, .. }: Conflict) -> Self {
        let field = field.unwrap_or_default().into_owned();
        Self { field, code: code.to_owned(), detail: detail.into_owned() }
    }
}

impl RowOutcome {
    /// Whether the row became a user as it is, so that there is nothing to report.
    pub fn is_created(&self) -> bool {
        self.action == RowAction::Create && self.errors.is_empty()
    }

    /// Without values of the user, which are not kept of an import.
    #[must_use]
    pub fn without_values(self) -> Self {
        Self { username: None, groups: Vec::new(), keys: None, ..self }
    }

    /// Whether the row became a user without its password hash.
    pub fn has_dropped_hash(&self) -> bool {
        matches!(self.action, RowAction::Create | RowAction::Update) && !self.errors.is_empty()
    }

    /// Whether both have the same result; the texts may differ.
    pub fn agrees(&self, other: &Self) -> bool {
        let brief = |outcome: &Self| {
            let errors: Vec<_> = outcome.errors.iter().map(|e| (e.field.clone(), e.code.clone())).collect();
            let matched_by = outcome.matched_by;
            (
                outcome.place,
                outcome.action,
                matched_by,
                outcome.username.clone(),
                outcome.groups.clone(),
                errors,
            )
        };
        brief(self) == brief(other)
    }

    /// A short description.
    pub fn brief(&self) -> String {
        let codes = || self.errors.iter().map(|reason| reason.code.as_str()).collect::<Vec<_>>().join(", ");
        match &self.username {
            Some(username) if self.action == RowAction::Update => format!("update {username}"),
            Some(username) => format!("create {username}"),
            None if self.action == RowAction::Skip => format!("skip it ({})", codes()),
            None => format!("reject it ({})", codes()),
        }
    }

    pub(super) fn rejected(place: RowPlace, errors: Vec<Reason>) -> Self {
        Self {
            place,
            action: RowAction::Reject,
            username: None,
            user_id: None,
            matched_by: None,
            groups: Vec::new(),
            errors,
            keys: None,
        }
    }

    pub(super) fn skipped(place: RowPlace, reason: Reason) -> Self {
        Self { action: RowAction::Skip, ..Self::rejected(place, vec![reason]) }
    }

    pub(super) fn created(place: RowPlace, user: &ImportedUser) -> Self {
        let ImportedUser { new, password_hash, .. } = user;
        let dropped = password_hash.dropped().map(|why| Reason::from(why.clone().at("/passwordHash")));
        Self {
            action: RowAction::Create,
            username: Some(new.username.shown.clone()),
            groups: new.groups.iter().map(|group| group.0).collect(),
            keys: Some(RowKeys::of_new(new, 0)),
            ..Self::rejected(place, dropped.into_iter().collect())
        }
    }
}
