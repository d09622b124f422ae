//! Password hashes as the files of other systems have them: which are taken, and in which form they are stored.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::forms::without_scheme;
use crate::stored::{self, check_foreign};
use tenantry_core::error::FieldError;
use tenantry_core::json::wrong_type;

pub use firebase::FirebaseParameters;

mod firebase;
mod hints;
mod keycloak;
#[cfg(test)]
mod tests;

/// What an import does with users whose hash it does not take: in no known form, too expensive, or weak.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnusableHashes {
    /// Rejects them.
    #[default]
    Refuse,
    /// Takes them without a password.
    Drop,
}

impl UnusableHashes {
    /// Each by its name.
    pub const NAMES: [(&'static str, Self); 2] = [("refuse", Self::Refuse), ("drop", Self::Drop)];

    /// Parses its name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, unusable)| unusable)
    }
}

/// Which hashes an import takes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HashPolicy {
    /// Also those that are easy to guess passwords from: MD5 in any form, one round of SHA.
    pub allow_weak: bool,
    /// What happens to users with other hashes.
    pub unknown: UnusableHashes,
    /// For Firebase's hashes that come without them.
    pub firebase: Option<FirebaseParameters>,
}

/// The password of an imported user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportedHash {
    /// The other system had none, or one that nobody could log in with.
    None,
    /// The hash to store.
    Hash(String),
    /// The hash was dropped, and why.
    Dropped(FieldError),
}

impl ImportedHash {
    /// The hash to store, if there is one.
    pub fn hash(&self) -> Option<&str> {
        match self {
            Self::Hash(hash) => Some(hash),
            Self::None | Self::Dropped(_) => None,
        }
    }

    /// Why the hash was dropped, if it was.
    pub fn dropped(&self) -> Option<&FieldError> {
        match self {
            Self::Dropped(why) => Some(why),
            Self::None | Self::Hash(_) => None,
        }
    }
}

/// Reads a password hash of an import: a string, Keycloak's credentials, or a user of Firebase.
///
/// # Errors
/// `wrong-type`; and unless such hashes are dropped `unknown-hash`, `hash-too-expensive`, `weak-hash`. Their text reveals
/// nothing of the hash.
pub fn import_hash(value: &Value, policy: &HashPolicy) -> Result<ImportedHash, FieldError> {
    let read = match value {
        Value::Null => return Ok(ImportedHash::None),
        Value::String(text) => read_text(text, policy),
        Value::Object(_) | Value::Array(_) => read_json(value, policy),
        Value::Bool(_) | Value::Number(_) => return Err(wrong_type("a string or an object", value)),
    };
    match read {
        Ok(Some(hash)) => Ok(ImportedHash::Hash(hash)),
        Ok(None) => Ok(ImportedHash::None),
        Err(why) => match policy.unknown {
            UnusableHashes::Refuse => Err(why),
            UnusableHashes::Drop => Ok(ImportedHash::Dropped(why)),
        },
    }
}

/// The hash to store; `None` for no password.
fn read_text(text: &str, policy: &HashPolicy) -> Result<Option<String>, FieldError> {
    let text = text.trim();
    if is_unusable(text) {
        return Ok(None);
    }
    // A cell of CSV with JSON in it. No form of a hash is valid JSON.
    if text.starts_with(['{', '['])
        && let Ok(json @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(text)
    {
        return read_json(&json, policy);
    }
    let hash = match firebase::salt_and_hash(text) {
        Some((salt, hash)) => with_parameters(salt, hash, policy)?,
        None => text.to_owned(),
    };
    check(hash, policy).map(Some)
}

fn read_json(json: &Value, policy: &HashPolicy) -> Result<Option<String>, FieldError> {
    match firebase::of_user(json) {
        Some((_, "")) => Ok(None),
        Some((salt, hash)) => check(with_parameters(salt, hash, policy)?, policy).map(Some),
        None => keycloak::read(json)?.map(|hash| check(hash, policy)).transpose(),
    }
}

fn with_parameters(salt: &str, hash: &str, policy: &HashPolicy) -> Result<String, FieldError> {
    let parameters = policy.firebase.as_ref().ok_or_else(|| {
        FieldError::of_value(
            "unknown-hash",
            "lacks the parameters of Firebase's project: use --firebase-hash-config, or write them into the hash as \
             $fbscrypt$v=1,n=MEM_COST,r=ROUNDS,p=1,ss=SALT_SEPARATOR,sk=SIGNER_KEY$SALT$HASH",
        )
    })?;
    Ok(parameters.hash(salt, hash))
}

/// Checks the form and the cost of a hash, and whether it is strong enough.
fn check(hash: String, policy: &HashPolicy) -> Result<String, FieldError> {
    check_foreign(&hash).map_err(|error| match hints::hint(&hash) {
        Some(hint) if error.code == "unknown-hash" => FieldError::of_value("unknown-hash", hint),
        _ => error,
    })?;
    match stored::weakness(&hash) {
        Some(name) if !policy.allow_weak => Err(FieldError::of_value(
            "weak-hash",
            format!(
                "is {name}, from which passwords are guessed easily: allow it with --allow-weak-hashes \
                 (allowWeakHashes=true), or import the user without a password with --unknown-hashes drop \
                 (unknownHashes=drop)"
            ),
        )),
        _ => Ok(hash),
    }
}

/// Whether nobody can log in with it, as in passwd(5), shadow(5), LDAP and Django: the user has no password, or is
/// locked.
fn is_unusable(hash: &str) -> bool {
    /// Of Django's suffix, which distinguishes such users for its reset tokens.
    const DJANGO: usize = 40;
    let hash = without_scheme(hash);
    let locked = hash.trim_start_matches('!');
    if locked.len() < hash.len() {
        // What was the password before the user was locked may follow.
        let is_django = locked.len() == DJANGO && locked.bytes().all(|b| b.is_ascii_alphanumeric());
        return is_django || locked.starts_with(['$', '{']) || is_unusable(locked);
    }
    let marks = ["", "x", "NP", "*LK*", "*NP*", "*LOCKED*", "*0", "*1"];
    let is_locked = hash.strip_prefix("*LK*").or(hash.strip_prefix("*LOCKED*"));
    marks.contains(&hash)
        || is_locked.is_some_and(|rest| rest.starts_with('$'))
        || hash.bytes().all(|b| b == b'*')
}
