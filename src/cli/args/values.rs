//! Values of arguments.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::config::Secret;
use tenantry_core::model::{PartnerId, Status, UserId};
use tenantry_core::rows::{Delimiter, Format};
use tenantry_domain::user_export::Formulas;
use tenantry_domain::user_import::Existing;
use tenantry_passwords::UnusableHashes;

/// A reference to a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UserRef {
    /// By id.
    Id(UserId),
    /// By username. A username that consists of digits is parsed as an id; refer to such a user by id.
    Username(String),
}

impl FromStr for UserRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("must be an id or a username".into());
        }
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return positive(text).map(|id| Self::Id(UserId(id)));
        }
        Ok(Self::Username(text.to_owned()))
    }
}

pub(super) fn positive(text: &str) -> Result<i64, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "must be an integer from 1".into())
}

/// Parsed later: clap's error for an invalid value quotes it, and it may contain a password.
#[expect(clippy::unnecessary_wraps, reason = "the signature that clap requires")]
pub(super) fn secret(text: &str) -> Result<Secret, String> {
    Ok(Secret::new(text))
}

pub(super) fn partner_id(text: &str) -> Result<PartnerId, String> {
    positive(text).map(PartnerId)
}

pub(super) fn delimiter(text: &str) -> Result<Delimiter, String> {
    Delimiter::parse(text).ok_or_else(|| "must be comma, semicolon, tab or bar".into())
}

pub(super) fn format(text: &str) -> Result<Format, String> {
    Format::parse(text).ok_or_else(|| "must be ndjson or csv".into())
}

pub(super) fn unusable_hashes(text: &str) -> Result<UnusableHashes, String> {
    UnusableHashes::parse(text).ok_or_else(|| "must be refuse or drop".into())
}

pub(super) fn existing(text: &str) -> Result<Existing, String> {
    Existing::parse(text).ok_or_else(|| "must be refuse, skip or update".into())
}

pub(super) fn formulas(text: &str) -> Result<Formulas, String> {
    Formulas::parse(text).ok_or_else(|| "must be bare or quote".into())
}

pub(super) fn status(text: &str) -> Result<Status, String> {
    Status::parse(&text.to_ascii_uppercase()).ok_or_else(|| "must be ACTIVE, INACTIVE or LOCKED".into())
}
