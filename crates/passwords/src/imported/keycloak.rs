//! Keycloak's credentials, as its realm exports and its database have them.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::{Map, Value};

use crate::forms::{decode, digest_of};
use tenantry_core::error::FieldError;

/// The hash of a credential, or of the password among a user's `credentials`; `None` if there is no password.
///
/// # Errors
/// `unknown-hash`.
pub(super) fn read(json: &Value) -> Result<Option<String>, FieldError> {
    match json {
        Value::Array(credentials) => {
            let hashes = credentials.iter().map(read_one).collect::<Result<Vec<_>, _>>()?;
            Ok(hashes.into_iter().flatten().next())
        }
        other => read_one(other),
    }
}

fn unknown(detail: &'static str) -> FieldError {
    FieldError::of_value("unknown-hash", detail)
}

fn damaged() -> FieldError {
    unknown("looks like a credential of Keycloak, but lacks a part of it or has an unknown algorithm")
}

/// One credential. Others than passwords (`otp`, `webauthn`) are ignored.
fn read_one(credential: &Value) -> Result<Option<String>, FieldError> {
    let no_credential = || {
        unknown(
            "has no known form: as an object it must be a credential of Keycloak, with secretData and credentialData, or \
             a user of Firebase, with passwordHash and salt",
        )
    };
    let credential = credential.as_object().ok_or_else(no_credential)?;
    if credential.get("type").is_some_and(|kind| kind != "password") {
        return Ok(None);
    }
    // Before version 8 all was in one object.
    if credential.contains_key("hashedSaltedValue") {
        return hash_of(credential, credential, "hashedSaltedValue").ok_or_else(damaged).map(Some);
    }
    let Some(data) = credential.get("credentialData") else { return Err(no_credential()) };
    let Some(secret) = credential.get("secretData") else {
        return Err(unknown(
            "has no secretData: a realm export of Keycloak (kc.sh export) contains it, its admin API does not",
        ));
    };
    let hash =
        object_of(data).zip(object_of(secret)).and_then(|(data, secret)| hash_of(&data, &secret, "value"));
    hash.ok_or_else(damaged).map(Some)
}

/// An object, or the text of one, as Keycloak writes it.
fn object_of(value: &Value) -> Option<Cow<'_, Map<String, Value>>> {
    match value {
        Value::Object(object) => Some(Cow::Borrowed(object)),
        Value::String(text) => serde_json::from_str(text).ok().map(Cow::Owned),
        _ => None,
    }
}

/// The hash as a PHC string. PBKDF2's output is cut to one block: the blocks are independent of each other, and Keycloak
/// computes more than there is in a digest.
fn hash_of(data: &Map<String, Value>, secret: &Map<String, Value>, value: &str) -> Option<String> {
    let bytes = |name: &str| decode(secret.get(name)?.as_str()?);
    let (salt, mut hash) = (bytes("salt")?, bytes(value)?);
    let (algorithm, iterations) = (data.get("algorithm")?.as_str()?, number(data.get("hashIterations")?)?);
    if let Some(suffix) = algorithm.strip_prefix("pbkdf2") {
        let digest = digest_of(suffix).ok()?;
        hash.truncate(digest.len());
        let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash));
        return Some(format!("${algorithm}$i={iterations}${salt}${hash}"));
    }
    let more = data.get("additionalParameters")?;
    // Each of them is an array of one string.
    let parameter = |name: &str| more.get(name).map(|value| value.get(0).unwrap_or(value));
    let kind = parameter("type").and_then(Value::as_str).unwrap_or("id");
    let version = if parameter("version").and_then(Value::as_str) == Some("1.0") { 16 } else { 19 };
    let (memory, lanes) = (number(parameter("memory")?)?, parameter("parallelism").map_or(Some(1), number)?);
    let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash));
    (algorithm == "argon2")
        .then(|| format!("$argon2{kind}$v={version}$m={memory},t={iterations},p={lanes}${salt}${hash}"))
}

fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}
