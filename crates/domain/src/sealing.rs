//! Values that only the bearer of a secret can open: AES-256-GCM with a key derived from the secret (HKDF-SHA-256).
//!
//! The secret must be unguessable, such as a token: the key is derived in microseconds, unlike that of a password.
//! `SealingKey` seals any number of values with one secret.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk, Salt};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use tenantry_core::error::{Error, Result};
use tenantry_core::random::Random;

/// The length of a nonce, which stands before the ciphertext.
const NONCE: usize = 12;

/// Seals a value with a secret. It can be opened with the same secret in the same context only.
///
/// # Errors
/// Internal, if the cryptographic library fails.
pub(super) fn seal(random: &Random, secret: &str, context: &str, value: &str) -> Result<String> {
    let nonce: [u8; NONCE] = random.bytes();
    let mut sealed = Zeroizing::new(value.as_bytes().to_vec());
    key(secret)
        .and_then(|key| {
            let nonce = Nonce::assume_unique_for_key(nonce);
            key.seal_in_place_append_tag(nonce, Aad::from(context), &mut *sealed).ok()
        })
        .ok_or_else(|| Error::internal("a value was not sealed"))?;
    Ok(URL_SAFE_NO_PAD.encode([&nonce[..], &sealed[..]].concat()))
}

/// Opens a sealed value; `None` if the secret or the context is another one, or if it was changed.
pub(super) fn open(secret: &str, context: &str, sealed: &str) -> Option<Zeroizing<String>> {
    let mut sealed = Zeroizing::new(URL_SAFE_NO_PAD.decode(sealed).ok()?);
    let (nonce, ciphertext) = sealed.split_at_mut_checked(NONCE)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let value = key(secret)?.open_in_place(nonce, Aad::from(context), ciphertext).ok()?;
    Some(Zeroizing::new(std::str::from_utf8(value).ok()?.to_owned()))
}

fn key(secret: &str) -> Option<LessSafeKey> {
    let secret = Salt::new(HKDF_SHA256, b"tenantry").extract(secret.as_bytes());
    let key = UnboundKey::from(secret.expand(&[b"seal"], &AES_256_GCM).ok()?);
    Some(LessSafeKey::new(key))
}

/// The length of the random value of a message, which stands before the ciphertext.
const MESSAGE: usize = 24;

/// A key that seals values without a limit on their number: each message has an AES-256-GCM key of its own, derived from
/// this key and 192 random bits. (With random nonces of 96 bits under one key, 2^32 messages are the limit of NIST SP
/// 800-38D section 8.3, which a flood of requests would reach in days.) Overwritten in memory when dropped.
pub(super) struct SealingKey(Prk);

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealingKey")
    }
}

impl SealingKey {
    /// Derives the key from a secret of at least 32 random bytes, for one `use_of_it`.
    pub(super) fn new(secret: &[u8], use_of_it: &str) -> Self {
        Self(Salt::new(HKDF_SHA256, use_of_it.as_bytes()).extract(secret))
    }

    /// Seals a value, base64url. It can be opened in the same context only.
    ///
    /// # Errors
    /// Internal, if the cryptographic library fails.
    pub(super) fn seal(&self, random: &Random, context: &[u8], value: &[u8]) -> Result<String> {
        let message: [u8; MESSAGE] = random.bytes();
        let mut sealed = Zeroizing::new(value.to_vec());
        self.key_of(&message)
            .and_then(|key| key.seal_in_place_append_tag(only_nonce(), Aad::from(context), &mut *sealed).ok())
            .ok_or_else(|| Error::internal("a value was not sealed"))?;
        Ok(URL_SAFE_NO_PAD.encode([&message[..], &sealed[..]].concat()))
    }

    /// Opens a sealed value; `None` if the key or the context is another one, or if it was changed.
    pub(super) fn open(&self, context: &[u8], sealed: &str) -> Option<Zeroizing<Vec<u8>>> {
        let mut sealed = Zeroizing::new(URL_SAFE_NO_PAD.decode(sealed).ok()?);
        let (message, ciphertext) = sealed.split_at_mut_checked(MESSAGE)?;
        let key = self.key_of(message)?;
        let value = key.open_in_place(only_nonce(), Aad::from(context), ciphertext).ok()?;
        Some(Zeroizing::new(value.to_vec()))
    }

    fn key_of(&self, message: &[u8]) -> Option<LessSafeKey> {
        let key = UnboundKey::from(self.0.expand(&[b"seal", message], &AES_256_GCM).ok()?);
        Some(LessSafeKey::new(key))
    }
}

/// The nonce of the only message of a key.
fn only_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_opens_what_it_has_sealed_in_the_same_context() {
        let random = Random::seeded(1);
        let [key, same, other, of_other_use] =
            [("secret", "use"), ("secret", "use"), ("Secret", "use"), ("secret", "other use")]
                .map(|(secret, use_of_it)| SealingKey::new(secret.as_bytes(), use_of_it));
        let sealed = key.seal(&random, b"context", b"value").unwrap();
        assert_eq!(same.open(b"context", &sealed).unwrap().as_slice(), b"value");
        assert_eq!(key.open(b"contexts", &sealed), None);
        assert_eq!(other.open(b"context", &sealed), None);
        assert_eq!(of_other_use.open(b"context", &sealed), None);
        assert_ne!(key.seal(&random, b"context", b"value").unwrap(), sealed, "each with a key of its own");
        let bytes = URL_SAFE_NO_PAD.decode(&sealed).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(key.open(b"context", &URL_SAFE_NO_PAD.encode(&changed)), None, "byte {at}");
            assert_eq!(key.open(b"context", &URL_SAFE_NO_PAD.encode(&bytes[..at])), None, "{at} bytes");
        }
        assert_eq!(key.open(b"context", "not base64!"), None);
        assert_eq!(format!("{key:?}"), "SealingKey");
    }

    #[test]
    fn only_the_same_secret_and_context_open_a_sealed_value() {
        let random = Random::seeded(1);
        let sealed = seal(&random, "secret", "context", "value").unwrap();
        assert_eq!(open("secret", "context", &sealed).unwrap().as_str(), "value");
        for (secret, context) in
            [("Secret", "context"), ("secret", "contexts"), ("", "context"), ("secret", "")]
        {
            assert_eq!(open(secret, context, &sealed), None);
        }
        assert_ne!(seal(&random, "secret", "context", "value").unwrap(), sealed, "each with its own nonce");
    }

    #[test]
    fn changed_values_are_not_opened() {
        let sealed = seal(&Random::seeded(1), "secret", "context", "value").unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(&sealed).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(open("secret", "context", &URL_SAFE_NO_PAD.encode(&changed)), None, "byte {at}");
            assert_eq!(open("secret", "context", &URL_SAFE_NO_PAD.encode(&bytes[..at])), None, "{at} bytes");
        }
        assert_eq!(open("secret", "context", "not base64!"), None);
    }
}
