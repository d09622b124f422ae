//! Password hashes of other systems: their computation. `forms` parses them.

use pbkdf2::pbkdf2_hmac;
use sha_crypt::ShaCrypt;
use sha_crypt::password_hash::PasswordVerifier as _;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::cost::{Work, WorkKind};
use tenantry_core::error::{Error, Result};

/// Maximum length of a password in bytes; a longer one is wrong: the time of sha-crypt grows with the square of its
/// length. No system with such hashes accepts more (libxcrypt: 511 bytes).
const LONGEST: usize = 1_024;

/// Maximum number of blocks that sha-crypt hashes for one password. Each round hashes it up to twice, so the client
/// determines a part of the cost: with many rounds, a password of many blocks is wrong. This leaves room for 190
/// characters at the rounds that passlib chooses, and for any length at the 5,000 of libxcrypt.
const SHA_CRYPT_BLOCKS: u64 = 4_000_000;

/// bcrypt ignores the rest of a password.
const BCRYPT_LONGEST: usize = 72;

/// The digest of hash forms that allow several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Digest {
    Sha1,
    Sha256,
    Sha512,
}

impl Digest {
    /// The size of its output, in bytes.
    pub(super) fn len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    fn of(self, parts: [&[u8]; 2]) -> Vec<u8> {
        fn digest<D: sha2::Digest>(parts: [&[u8]; 2]) -> Vec<u8> {
            let mut digest = D::new();
            parts.into_iter().for_each(|part| digest.update(part));
            digest.finalize().to_vec()
        }
        match self {
            Self::Sha1 => digest::<Sha1>(parts),
            Self::Sha256 => digest::<Sha256>(parts),
            Self::Sha512 => digest::<Sha512>(parts),
        }
    }
}

/// A hash of another system. Its cost was checked when it was parsed.
pub(super) enum Foreign {
    /// `sha256_first`: Django's `bcrypt_sha256` gives bcrypt the hexadecimal SHA-256 of the password.
    Bcrypt {
        cost: u32,
        salt: [u8; 16],
        hash: Vec<u8>,
        sha256_first: bool,
    },
    Scrypt {
        params: scrypt::Params,
        /// N times r times p.
        work: u64,
        salt: Vec<u8>,
        hash: Vec<u8>,
    },
    Pbkdf2 {
        digest: Digest,
        rounds: u32,
        salt: Vec<u8>,
        hash: Vec<u8>,
    },
    /// `$5$` and `$6$`, with their rounds.
    ShaCrypt {
        digest: Digest,
        rounds: u32,
        text: String,
    },
    /// One round over the password followed by the salt, as in LDAP.
    Salted {
        digest: Digest,
        salt: Vec<u8>,
        hash: Vec<u8>,
    },
}

impl Foreign {
    /// The work of computing it; `None` for a single round, which is negligible.
    pub(super) fn work(&self) -> Option<Work> {
        let (kind, amount) = match self {
            Self::Bcrypt { cost, .. } => (WorkKind::Bcrypt, 1_u64.checked_shl(*cost).unwrap_or(u64::MAX)),
            Self::Scrypt { work, .. } => (WorkKind::Scrypt, *work),
            Self::Pbkdf2 { digest, rounds, hash, .. } => {
                let kind = match digest {
                    Digest::Sha1 => WorkKind::Pbkdf2Sha1,
                    Digest::Sha256 => WorkKind::Pbkdf2Sha256,
                    Digest::Sha512 => WorkKind::Pbkdf2Sha512,
                };
                (kind, u64::from(*rounds) * hash.len().div_ceil(digest.len()) as u64)
            }
            Self::ShaCrypt { digest: Digest::Sha512, rounds, .. } => {
                (WorkKind::Sha512Crypt, u64::from(*rounds))
            }
            Self::ShaCrypt { rounds, .. } => (WorkKind::Sha256Crypt, u64::from(*rounds)),
            Self::Salted { .. } => return None,
        };
        Some(Work { kind, amount })
    }

    /// Whether it is the hash of this password; compared in constant time.
    pub(super) fn is(&self, password: &str) -> Result<bool> {
        let bytes = password.as_bytes();
        if bytes.len() > LONGEST {
            return Ok(false);
        }
        Ok(match self {
            Self::Bcrypt { cost, salt, hash, sha256_first } => {
                let hex = || Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
                let first: Zeroizing<String> =
                    Zeroizing::new(if *sha256_first { hex() } else { password.to_owned() });
                let output = bcrypt::bcrypt(*cost, *salt, &bcrypt_key(first.as_bytes()));
                output.get(..hash.len()).is_some_and(|output| output.ct_eq(hash).into())
            }
            Self::Scrypt { params, salt, hash, .. } => {
                let mut output = Zeroizing::new(vec![0; hash.len()]);
                scrypt::scrypt(bytes, salt, params, &mut output)
                    .map_err(|e| Error::internal(format!("scrypt: {e}")))?;
                output.ct_eq(hash).into()
            }
            Self::Pbkdf2 { digest, rounds, salt, hash } => {
                let mut output = Zeroizing::new(vec![0; hash.len()]);
                match digest {
                    Digest::Sha1 => pbkdf2_hmac::<Sha1>(bytes, salt, *rounds, &mut output),
                    Digest::Sha256 => pbkdf2_hmac::<Sha256>(bytes, salt, *rounds, &mut output),
                    Digest::Sha512 => pbkdf2_hmac::<Sha512>(bytes, salt, *rounds, &mut output),
                }
                output.ct_eq(hash).into()
            }
            Self::ShaCrypt { digest, rounds, text } => {
                is_sha_crypt_within_bounds(*digest, *rounds, bytes.len())
                    && ShaCrypt::default().verify_password(bytes, text.as_str()).is_ok()
            }
            Self::Salted { digest, salt, hash } => digest.of([bytes, salt]).ct_eq(hash).into(),
        })
    }
}

/// Whether a password of `length` bytes is compared with such a hash.
pub(super) fn is_sha_crypt_within_bounds(digest: Digest, rounds: u32, length: usize) -> bool {
    // Twice the password, the salt, the last digest and the padding, in blocks of twice the digest.
    let blocks = (2 * length + 16 + digest.len() + 17).div_ceil(2 * digest.len());
    u64::from(rounds) * blocks as u64 <= SHA_CRYPT_BLOCKS
}

/// The input of bcrypt: the password with a trailing NUL, truncated to bcrypt's maximum.
fn bcrypt_key(password: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut key = Zeroizing::new(password.to_vec());
    key.push(0);
    key.truncate(BCRYPT_LONGEST);
    key
}
