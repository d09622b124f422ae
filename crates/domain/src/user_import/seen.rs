//! What a dry run knows of the rows before, since its batches leave nothing in the database.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::existing::{Existing, MatchedBy};
use super::{Reason, RowAction, RowOutcome};
use crate::users::NewUser;

/// The unique keys of a row that creates or updates a user, for [`Seen`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RowKeys {
    username: Option<String>,
    external_id: Option<String>,
    /// The existing user.
    user_id: Option<i64>,
    /// The checksum of its values; only for updates.
    content: u64,
}

impl RowKeys {
    pub(super) fn of_new(new: &NewUser, content: u64) -> Self {
        Self {
            username: Some(new.username.key.clone()),
            external_id: new.profile.external_id.clone(),
            user_id: None,
            content,
        }
    }

    pub(super) fn of_existing(
        username: Option<String>,
        external_id: Option<String>,
        user_id: i64,
        content: u64,
    ) -> Self {
        Self { username, external_id, user_id: Some(user_id), content }
    }
}

/// Users that rows of a dry run would have created or updated, by name, external id and id. A hundred thousand take about
/// ten megabytes.
#[derive(Debug)]
pub struct Seen {
    existing: Existing,
    rows: HashMap<[u8; 16], SeenRow>,
}

#[derive(Debug, Clone, Copy)]
struct SeenRow {
    external_id: Option<[u8; 16]>,
    content: u64,
}

impl Seen {
    /// At the beginning of an import.
    pub fn new(existing: Existing) -> Self {
        Self { existing, rows: HashMap::new() }
    }

    /// Corrects the outcomes of rows that belong to a user of an earlier row.
    pub fn check(&mut self, outcomes: &mut [RowOutcome]) {
        for outcome in outcomes.iter_mut() {
            if let Some(keys) = outcome.keys.take() {
                self.check_row(outcome, &keys);
            }
        }
    }

    fn check_row(&mut self, outcome: &mut RowOutcome, keys: &RowKeys) {
        let external_id = keys.external_id.as_ref().map(|id| hash("x", id));
        let name = keys.username.as_ref().map(|name| hash("u", name));
        let user_id = keys.user_id.map(|id| hash("i", &id.to_string()));
        let find = |key: &Option<[u8; 16]>| key.as_ref().and_then(|key| self.rows.get(key)).copied();
        let (by_id, by_name) = (find(&external_id), find(&name));
        let earlier = match (find(&user_id), by_id, by_name) {
            (Some(row), ..) => Some((row, outcome.matched_by.unwrap_or(MatchedBy::Username))),
            (_, Some(row), _) => Some((row, MatchedBy::ExternalId)),
            (_, _, Some(row)) => Some((row, MatchedBy::Username)),
            _ => None,
        };
        let Some((row, by)) = earlier else {
            return self.add([name, external_id, user_id], external_id, keys.content);
        };
        let is_other = by == MatchedBy::Username && row.external_id.is_some() && external_id.is_some();
        let reason = |code: &str| Reason {
            field: by.field().to_owned(),
            code: code.to_owned(),
            detail: String::from("an earlier row of this file has it"),
        };
        let place = outcome.place;
        match self.existing {
            Existing::Skip if !is_other => *outcome = RowOutcome::skipped(place, reason("existing-user")),
            Existing::Update if !is_other && row.content == keys.content => {
                *outcome = RowOutcome::skipped(place, reason("unchanged"));
            }
            Existing::Update if !is_other => {
                (outcome.action, outcome.matched_by) = (RowAction::Update, Some(by));
                self.add([name, external_id, user_id], external_id.or(row.external_id), keys.content);
            }
            _ => *outcome = RowOutcome::rejected(place, vec![reason(by.taken())]),
        }
    }

    fn add(&mut self, keys: [Option<[u8; 16]>; 3], external_id: Option<[u8; 16]>, content: u64) {
        self.rows.extend(keys.into_iter().flatten().map(|key| (key, SeenRow { external_id, content })));
    }
}

fn hash(kind: &str, text: &str) -> [u8; 16] {
    let mut out = [0; 16];
    let digest = Sha256::new().chain_update(kind).chain_update(text).finalize();
    out.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user_import::RowPlace;

    fn place(record: u64) -> RowPlace {
        RowPlace { record, line: record }
    }

    /// The outcome of a row that is new to the database.
    fn new(record: u64, name: &str, external_id: Option<&str>, content: u64) -> RowOutcome {
        let keys = RowKeys {
            username: Some(name.to_owned()),
            external_id: external_id.map(str::to_owned),
            user_id: None,
            content,
        };
        RowOutcome {
            action: RowAction::Create,
            username: Some(name.to_owned()),
            keys: Some(keys),
            ..RowOutcome::rejected(place(record), Vec::new())
        }
    }

    /// The outcome of a row that changes an existing user.
    fn change(record: u64, name: &str, user_id: i64, content: u64) -> RowOutcome {
        let keys = RowKeys::of_existing(Some(name.to_owned()), None, user_id, content);
        RowOutcome {
            action: RowAction::Update,
            user_id: Some(user_id),
            matched_by: Some(MatchedBy::Username),
            keys: Some(keys),
            ..new(record, name, None, content)
        }
    }

    /// What becomes of rows, each in a batch of its own.
    fn check(existing: Existing, rows: Vec<RowOutcome>) -> Vec<String> {
        let mut seen = Seen::new(existing);
        let told = |mut outcome: RowOutcome| {
            seen.check(std::slice::from_mut(&mut outcome));
            let code = outcome.errors.first().map_or("", |reason| reason.code.as_str()).to_owned();
            format!("{:?} {code}", outcome.action).trim_end().to_owned()
        };
        rows.into_iter().map(told).collect()
    }

    fn rows() -> Vec<RowOutcome> {
        vec![
            new(1, "ann", Some("1"), 1),
            new(2, "ann", None, 2),
            new(3, "ben", Some("1"), 3),
            new(4, "ann", Some("2"), 4),
            new(5, "cyd", None, 5),
            new(6, "cyd", None, 5),
        ]
    }

    #[test]
    fn rows_of_a_user_of_an_earlier_row() {
        let expected = [
            "Create",
            "Reject username-taken",
            "Reject external-id-taken",
            "Reject username-taken",
            "Create",
            "Reject username-taken",
        ];
        assert_eq!(check(Existing::Refuse, rows()), expected);
        let expected = [
            "Create",
            "Skip existing-user",
            "Skip existing-user",
            "Reject username-taken",
            "Create",
            "Skip existing-user",
        ];
        assert_eq!(check(Existing::Skip, rows()), expected);
        let expected = ["Create", "Update", "Update", "Reject username-taken", "Create", "Skip unchanged"];
        assert_eq!(check(Existing::Update, rows()), expected);
    }

    #[test]
    fn a_change_that_an_earlier_row_has_made_is_none() {
        let rows = vec![
            change(1, "ann", 7, 1),
            change(2, "ann", 7, 1),
            change(3, "ann", 7, 2),
            change(4, "ann", 7, 2),
        ];
        assert_eq!(check(Existing::Update, rows), ["Update", "Skip unchanged", "Update", "Skip unchanged"]);
    }
}
