//! Firebase's password hashes, which need parameters of the project.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::forms::decode;

/// The parameters of a Firebase project, as its console shows them under "Password hash parameters".
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FirebaseParameters {
    /// In base64, as the next one.
    signer_key: String,
    salt_separator: String,
    rounds: u32,
    mem_cost: u32,
}

/// The signer key is secret.
impl std::fmt::Debug for FirebaseParameters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FirebaseParameters")
    }
}

impl FirebaseParameters {
    /// Parses the text of the console, `hash_config { ... }`, or JSON with the same names.
    ///
    /// # Errors
    /// What is missing or wrong. It reveals nothing of the key.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut found = [None; 5];
        const NAMES: [&str; 5] =
            ["algorithm", "base64_signer_key", "base64_salt_separator", "rounds", "mem_cost"];
        for line in text.split([',', '\n', '{', '}']) {
            let Some((name, value)) = line.split_once(':') else { continue };
            let (name, value) = (bare(name), bare(value));
            if let Some((_, slot)) = NAMES.iter().zip(&mut found).find(|(known, _)| **known == name) {
                *slot = Some(value);
            }
        }
        let [algorithm, key, separator, rounds, mem_cost] = found;
        if algorithm.is_some_and(|algorithm| !algorithm.eq_ignore_ascii_case("scrypt")) {
            return Err("algorithm must be SCRYPT".to_owned());
        }
        let text = |value: Option<&str>, name: &str| {
            let text = value.ok_or_else(|| format!("{name} is missing"))?;
            match decode(text) {
                Some(_) => Ok(text.to_owned()),
                None => Err(format!("{name} must be base64")),
            }
        };
        let number = |value: Option<&str>, name: &str| {
            let number = value.ok_or_else(|| format!("{name} is missing"))?;
            number.parse().ok().filter(|n| *n > 0).ok_or_else(|| format!("{name} must be a number"))
        };
        Ok(Self {
            signer_key: text(key, "base64_signer_key")?,
            salt_separator: text(separator, "base64_salt_separator")?,
            rounds: number(rounds, "rounds")?,
            mem_cost: number(mem_cost, "mem_cost")?,
        })
    }

    /// The hash with its parameters.
    pub(super) fn hash(&self, salt: &str, hash: &str) -> String {
        let Self { signer_key, salt_separator, rounds, mem_cost } = self;
        format!("$fbscrypt$v=1,n={mem_cost},r={rounds},p=1,ss={salt_separator},sk={signer_key}${salt}${hash}")
    }
}

/// Without the white space and quotes of JSON.
fn bare(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c == '"')
}

/// Salt and hash of the short form `$fbscrypt$SALT$HASH`.
pub(super) fn salt_and_hash(text: &str) -> Option<(&str, &str)> {
    let (salt, hash) = text.strip_prefix("$fbscrypt$")?.split_once('$')?;
    (!hash.contains('$')).then_some((salt, hash))
}

/// Salt and hash of a user in the output of `firebase auth:export`. A user without a password has an empty hash.
pub(super) fn of_user(json: &Value) -> Option<(&str, &str)> {
    let user = json.as_object()?;
    let text = |name: &str| user.get(name).map(|value| value.as_str().unwrap_or_default());
    Some((text("salt").unwrap_or_default(), text("passwordHash")?))
}
