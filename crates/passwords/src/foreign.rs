//! Password hashes of other systems: their computation, and which of them are weak. `forms` parses them.

use aws_lc_rs::cipher::{AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha_crypt::ShaCrypt;
use sha_crypt::password_hash::PasswordVerifier as _;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::cost::{Work, WorkKind};
use crate::digests::{Digest, hex};
use crate::md5_crypt;
use tenantry_core::error::{Error, Result};

/// Maximum length of a password in bytes; a longer one is wrong: the time of sha-crypt grows with the square of its
/// length. No system with such hashes accepts more (libxcrypt: 511 bytes).
const LONGEST: usize = 1_024;

/// Maximum number of blocks that sha-crypt hashes for one password. Each round hashes it up to twice, so the client
/// determines a part of the cost: with many rounds, a password of many blocks is wrong. This leaves room for 190
/// characters at the rounds that passlib chooses, and for any length at the 5,000 of libxcrypt.
const SHA_CRYPT_BLOCKS: u64 = 4_000_000;

/// Maximum number of blocks per round of a digest that is iterated over the password, for the same reason; the cost is
/// that of so many. A longer password is wrong: it has more than 231 bytes for MD5, more than 431 for SHA-512.
const BLOCKS_PER_ROUND: usize = 4;

/// bcrypt ignores the rest of a password.
const BCRYPT_LONGEST: usize = 72;

/// Firebase encrypts with a key of this length.
const AES_KEY: usize = 32;

/// What bcrypt gets in place of the password, so that none is too long for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Prehash {
    /// The password itself.
    None,
    /// Its SHA-256 in hexadecimal: Django.
    HexSha256,
    /// Its SHA-256 in base64: passlib, version 1.
    Base64Sha256,
    /// Its HMAC in base64: WordPress and passlib.
    Base64Hmac(Digest, String),
}

impl Prehash {
    fn of(&self, password: &[u8]) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match self {
            Self::None => password.to_vec(),
            Self::HexSha256 => hex(&Digest::Sha256.of(&[password])).into_bytes(),
            Self::Base64Sha256 => STANDARD.encode(Digest::Sha256.of(&[password])).into_bytes(),
            Self::Base64Hmac(digest, key) => {
                STANDARD.encode(&*digest.hmac(key.as_bytes(), password)).into_bytes()
            }
        })
    }
}

/// A hash of another system. Its cost was checked when it was parsed.
pub(super) enum Foreign {
    Bcrypt {
        cost: u32,
        salt: [u8; 16],
        hash: Vec<u8>,
        prehash: Prehash,
    },
    Scrypt {
        params: scrypt::Params,
        /// N times r times p.
        work: u64,
        salt: Vec<u8>,
        hash: Vec<u8>,
    },
    /// The signer key, encrypted with a key that scrypt derives from the password.
    Firebase {
        params: scrypt::Params,
        work: u64,
        /// With the salt separator.
        salt: Vec<u8>,
        signer_key: Vec<u8>,
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
    /// `$1$` and `$apr1$`.
    Md5Crypt {
        magic: &'static str,
        salt: Vec<u8>,
        hash: Vec<u8>,
    },
    /// A digest of salt and password, iterated over itself.
    Iterated {
        digest: Digest,
        /// After the first.
        rounds: u32,
        salt: Vec<u8>,
        hash: Vec<u8>,
        /// Every round digests the password again: phpass and Drupal.
        with_password: bool,
        /// The password is the hexadecimal MD5 of what the user types: Drupal did so with the hashes of version 6.
        md5_first: bool,
    },
    /// One digest over the password, between two constants.
    Single {
        digest: Digest,
        before: Vec<u8>,
        after: Vec<u8>,
        hash: Vec<u8>,
        is_ldap: bool,
    },
    /// One HMAC.
    Hmac {
        digest: Digest,
        key: Vec<u8>,
        hash: Vec<u8>,
    },
}

impl Foreign {
    /// The work of computing it; `None` for a single round, which is negligible.
    pub(super) fn work(&self) -> Option<Work> {
        let (kind, amount) = match self {
            Self::Bcrypt { cost, .. } => (WorkKind::Bcrypt, 1_u64.checked_shl(*cost).unwrap_or(u64::MAX)),
            Self::Scrypt { work, .. } | Self::Firebase { work, .. } => (WorkKind::Scrypt, *work),
            Self::Pbkdf2 { digest, rounds, hash, .. } => {
                let kind = match digest {
                    Digest::Md5 | Digest::Sha1 => WorkKind::Pbkdf2Sha1,
                    Digest::Sha256 => WorkKind::Pbkdf2Sha256,
                    Digest::Sha384 | Digest::Sha512 => WorkKind::Pbkdf2Sha512,
                };
                (kind, u64::from(*rounds) * hash.len().div_ceil(digest.len()) as u64)
            }
            Self::ShaCrypt { digest: Digest::Sha512, rounds, .. } => {
                (WorkKind::Sha512Crypt, u64::from(*rounds))
            }
            Self::ShaCrypt { rounds, .. } => (WorkKind::Sha256Crypt, u64::from(*rounds)),
            Self::Md5Crypt { .. } => {
                let blocks = Digest::Md5.blocks(2 * LONGEST + Digest::Md5.len());
                (WorkKind::Md5, u64::from(md5_crypt::ROUNDS) * blocks as u64)
            }
            Self::Iterated { digest, rounds, with_password, .. } => {
                let kind = match digest {
                    Digest::Md5 => WorkKind::Md5,
                    Digest::Sha1 => WorkKind::Sha1,
                    Digest::Sha256 => WorkKind::Sha256,
                    Digest::Sha384 | Digest::Sha512 => WorkKind::Sha512,
                };
                let blocks = if *with_password { BLOCKS_PER_ROUND } else { 1 };
                (kind, u64::from(*rounds) * blocks as u64)
            }
            Self::Single { .. } | Self::Hmac { .. } => return None,
        };
        Some(Work { kind, amount })
    }

    /// The name of a hash that is too easy to guess passwords from, so that it is imported only on request. LDAP's
    /// rounds of SHA are not among them: they have always been imported.
    pub(super) fn weakness(&self) -> Option<&'static str> {
        match self {
            Self::Md5Crypt { .. } => Some("md5-crypt"),
            Self::Iterated { md5_first: true, .. } => Some("a hash of an MD5"),
            Self::Iterated { digest: Digest::Md5, .. } => Some("iterated MD5"),
            Self::Iterated { rounds: 0..1_000, .. } => Some("less than a thousand rounds of SHA"),
            Self::Single { digest: Digest::Md5, .. } => Some("one round of MD5"),
            Self::Single { is_ldap: false, .. } => Some("one round of SHA"),
            Self::Hmac { .. } => Some("one round of HMAC"),
            Self::Bcrypt { .. }
            | Self::Scrypt { .. }
            | Self::Firebase { .. }
            | Self::Pbkdf2 { .. }
            | Self::ShaCrypt { .. }
            | Self::Iterated { .. }
            | Self::Single { .. } => None,
        }
    }

    /// Whether it is the hash of this password; compared in constant time.
    pub(super) fn is(&self, password: &str) -> Result<bool> {
        let bytes = password.as_bytes();
        if bytes.len() > LONGEST {
            return Ok(false);
        }
        Ok(match self {
            Self::Bcrypt { cost, salt, hash, prehash } => {
                let output = bcrypt::bcrypt(*cost, *salt, &bcrypt_key(&prehash.of(bytes)));
                output.get(..hash.len()).is_some_and(|output| output.ct_eq(hash).into())
            }
            Self::Scrypt { params, salt, hash, .. } => {
                let mut output = Zeroizing::new(vec![0; hash.len()]);
                scrypt(bytes, salt, params, &mut output)?;
                output.ct_eq(hash).into()
            }
            Self::Firebase { params, salt, signer_key, hash, .. } => {
                let mut key = Zeroizing::new([0; AES_KEY]);
                scrypt(bytes, salt, params, &mut *key)?;
                encrypt(&*key, signer_key)?.ct_eq(hash).into()
            }
            Self::Pbkdf2 { digest, rounds, salt, hash } => {
                let mut output = Zeroizing::new(vec![0; hash.len()]);
                digest.pbkdf2(bytes, salt, *rounds, &mut output);
                output.ct_eq(hash).into()
            }
            Self::ShaCrypt { digest, rounds, text } => {
                is_sha_crypt_within_bounds(*digest, *rounds, bytes.len())
                    && ShaCrypt::default().verify_password(bytes, text.as_str()).is_ok()
            }
            Self::Md5Crypt { magic, salt, hash } => {
                md5_crypt::md5_crypt(magic, bytes, salt).ct_eq(hash).into()
            }
            Self::Iterated { digest, rounds, salt, hash, with_password, md5_first } => {
                let bytes = Zeroizing::new(match md5_first {
                    true => hex(&Digest::Md5.of(&[bytes])).into_bytes(),
                    false => bytes.to_vec(),
                });
                let again = if *with_password { &bytes[..] } else { &[] };
                if digest.blocks(digest.len() + again.len()) > BLOCKS_PER_ROUND {
                    return Ok(false);
                }
                // Drupal stores a part of it.
                let output = digest.iterate(&[salt, &bytes], *rounds, again);
                output.get(..hash.len()).is_some_and(|output| output.ct_eq(hash).into())
            }
            Self::Single { digest, before, after, hash, .. } => {
                digest.of(&[before, bytes, after]).ct_eq(hash).into()
            }
            Self::Hmac { digest, key, hash } => digest.hmac(key, bytes).ct_eq(hash).into(),
        })
    }
}

fn scrypt(password: &[u8], salt: &[u8], params: &scrypt::Params, output: &mut [u8]) -> Result<()> {
    scrypt::scrypt(password, salt, params, output).map_err(|e| Error::internal(format!("scrypt: {e}")))
}

/// AES-256 in counter mode, with an initialization vector of zeros, as Firebase uses it.
fn encrypt(key: &[u8], text: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let failed = |_| Error::internal("AES-256 is not available");
    let key = UnboundCipherKey::new(&AES_256, key).and_then(EncryptingKey::ctr).map_err(failed)?;
    let mut text = Zeroizing::new(text.to_vec());
    let zeros = EncryptionContext::Iv128(FixedLength::from([0; 16]));
    key.less_safe_encrypt(&mut text, zeros).map_err(failed)?;
    Ok(text)
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
