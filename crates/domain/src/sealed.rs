//! Values that travel through a browser and come back unchanged or not at all: encrypted and authenticated under a key
//! that all servers of a database share.
//!
//! A sealed value is bound to its purpose and expires. It is no secret of the browser: whoever has it can send it, any
//! number of times, until then.

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::sealing::SealingKey;
use crate::services::Services;
use tenantry_core::clock::Millis;
use tenantry_core::error::{Error, Result};

/// The use that the key is derived for.
const USE: &str = "tenantry requests";

/// The length of the expiry time, which precedes the value.
const EXPIRY: usize = 8;

/// The key that seals these values: a row of the database, so that every server has it.
#[derive(Debug)]
pub struct RequestKey(SealingKey);

impl RequestKey {
    /// The key as it is stored ([`tenantry_store::store::Store::request_key`]).
    pub(super) fn new(stored: &str) -> Self {
        Self(SealingKey::new(stored.as_bytes(), USE))
    }
}

/// Seals a value for `ttl` milliseconds from now, as base64url. It can be opened for the same `purpose` only.
///
/// # Errors
/// Internal, if it cannot be serialized or the cryptographic library fails.
pub fn seal<T: Serialize>(services: &Services, purpose: &str, value: &T, ttl: Millis) -> Result<String> {
    let expires_at = services.clock.read().latest + ttl;
    let mut plain = Zeroizing::new(expires_at.to_le_bytes().to_vec());
    serde_json::to_writer(&mut *plain, value)
        .map_err(|e| Error::internal(format!("a value for {purpose} cannot be sealed: {e}")))?;
    services.request_key.0.seal(&services.random, purpose.as_bytes(), &plain)
}

/// Opens a sealed value; `None` if it has expired, was sealed for another purpose or by another deployment, or was
/// changed.
pub fn open<T: DeserializeOwned>(services: &Services, purpose: &str, sealed: &str) -> Option<T> {
    let plain = services.request_key.0.open(purpose.as_bytes(), sealed)?;
    let (expires_at, value) = plain.split_first_chunk::<EXPIRY>()?;
    if services.clock.read().latest >= Millis::from_le_bytes(*expires_at) {
        return None;
    }
    serde_json::from_slice(value).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing;
    use tenantry_core::clock::{Clock, DAY, MINUTE, SECOND};
    use tenantry_core::random::Random;

    fn started(seed: u64) -> (tempfile::TempDir, Services, Clock) {
        let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::manual(1_800_000_000_000));
        let services = testing::services(dir.path(), &clock, &Random::seeded(seed)).unwrap();
        (dir, services, clock)
    }

    #[test]
    fn a_value_can_be_opened_until_it_expires() {
        let (_dir, services, clock) = started(1);
        let value = json!({ "state": "x".repeat(5_000), "at": 7 });
        let sealed = seal(&services, "request", &value, MINUTE).unwrap();
        assert_eq!(open(&services, "request", &sealed), Some(value.clone()));
        assert!(!sealed.contains("state") && !sealed.contains('='), "{sealed}");
        clock.advance(MINUTE - 1);
        assert_eq!(open(&services, "request", &sealed), Some(value));
        clock.advance(1);
        assert_eq!(open::<serde_json::Value>(&services, "request", &sealed), None);
        // A clock that is set back does not make it valid again.
        clock.set_by(-DAY);
        assert_eq!(open::<serde_json::Value>(&services, "request", &sealed), None);
    }

    #[test]
    fn foreign_and_changed_values_are_not_opened() {
        let (_dir, services, _) = started(1);
        let sealed = seal(&services, "request", &7, MINUTE).unwrap();
        assert_eq!(open::<u8>(&services, "request", &sealed), Some(7));
        assert_eq!(open::<u8>(&services, "email", &sealed), None, "another purpose");
        assert_eq!(open::<String>(&services, "request", &sealed), None, "another type");
        let (_other_dir, other, _) = started(2);
        assert_eq!(open::<u8>(&other, "request", &sealed), None, "another deployment");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(open::<u8>(&services, "request", &changed), None, "{at}");
            assert_eq!(open::<u8>(&services, "request", &sealed[..at]), None, "{at} characters");
        }
        for text in ["", "A", "\u{e9}", " ", &format!("{sealed}A"), &format!("{sealed} ")] {
            assert_eq!(open::<u8>(&services, "request", text), None, "{text:?}");
        }
    }

    #[test]
    fn every_server_of_a_database_has_the_key() {
        let (dir, services, clock) = started(1);
        let sealed = seal(&services, "request", &7, SECOND).unwrap();
        drop(services);
        let again = testing::services(dir.path(), &clock, &Random::seeded(3)).unwrap();
        assert_eq!(open::<u8>(&again, "request", &sealed), Some(7));
    }
}
