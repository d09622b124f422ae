//! Digests by name, for hash forms that allow several.

use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;
use pbkdf2::pbkdf2_hmac;
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

/// A digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Digest {
    Md5,
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

/// Calls a function that is generic over the digest.
macro_rules! with_digest {
    ($digest:expr, $function:ident, $($argument:expr),*) => {
        match $digest {
            Digest::Md5 => $function::<Md5>($($argument),*),
            Digest::Sha1 => $function::<Sha1>($($argument),*),
            Digest::Sha256 => $function::<Sha256>($($argument),*),
            Digest::Sha384 => $function::<Sha384>($($argument),*),
            Digest::Sha512 => $function::<Sha512>($($argument),*),
        }
    };
}

impl Digest {
    /// By a name such as `sha256` or `SHA-256`.
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().replace('-', "").as_str() {
            "md5" => Some(Self::Md5),
            "sha1" => Some(Self::Sha1),
            "sha256" => Some(Self::Sha256),
            "sha384" => Some(Self::Sha384),
            "sha512" => Some(Self::Sha512),
            _ => None,
        }
    }

    /// The size of its output, in bytes.
    pub(super) fn len(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// The number of blocks that it computes for so many bytes.
    pub(super) fn blocks(self, bytes: usize) -> usize {
        let (block, padding) = match self {
            Self::Md5 | Self::Sha1 | Self::Sha256 => (64, 9),
            Self::Sha384 | Self::Sha512 => (128, 17),
        };
        (bytes + padding).div_ceil(block)
    }

    /// The digest of these parts, then `rounds` times that of the digest so far followed by `then`.
    pub(super) fn iterate(self, parts: &[&[u8]], rounds: u32, then: &[u8]) -> Vec<u8> {
        fn iterate<D: sha2::Digest>(parts: &[&[u8]], rounds: u32, then: &[u8]) -> Vec<u8> {
            let mut first = D::new();
            parts.iter().for_each(|part| first.update(part));
            let mut output = first.finalize();
            for _ in 0..rounds {
                let mut next = D::new();
                next.update(&output);
                next.update(then);
                output = next.finalize();
            }
            output.to_vec()
        }
        with_digest!(self, iterate, parts, rounds, then)
    }

    /// The digest of these parts.
    pub(super) fn of(self, parts: &[&[u8]]) -> Vec<u8> {
        self.iterate(parts, 0, &[])
    }

    /// HMAC (RFC 2104).
    pub(super) fn hmac(self, key: &[u8], message: &[u8]) -> Zeroizing<Vec<u8>> {
        fn hmac<D: hmac::EagerHash>(key: &[u8], message: &[u8]) -> Vec<u8> {
            // A key of any length is allowed.
            let Ok(mut hmac) = Hmac::<D>::new_from_slice(key) else { return Vec::new() };
            hmac.update(message);
            hmac.finalize().into_bytes().to_vec()
        }
        Zeroizing::new(with_digest!(self, hmac, key, message))
    }

    /// PBKDF2 (RFC 8018 §5.2).
    pub(super) fn pbkdf2(self, password: &[u8], salt: &[u8], rounds: u32, output: &mut [u8]) {
        with_digest!(self, pbkdf2_hmac, password, salt, rounds, output);
    }
}

/// Lowercase hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
