//! Parses password hashes of other systems: PHC strings, crypt(5), LDAP's schemes (RFC 2307), and those of Django,
//! Werkzeug and passlib.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::foreign::{Digest, Foreign};

/// Why a hash is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HashError {
    /// In no known form, or damaged.
    Unknown,
    /// It would occupy a hash thread for too long. Contains the limits.
    CostTooHigh(&'static str),
}

// The limits: none of them allows more than about a second of one core.
const BCRYPT_COST: u32 = 13;
/// N times r times p: every setting that OWASP recommends is below. It also limits the memory, to 128 MiB.
const SCRYPT_WORK: u64 = 1 << 20;
/// Rounds of PBKDF2, times the blocks of output.
const PBKDF2_ROUNDS: u64 = 1_500_000;
/// Rounds of sha-crypt; passlib's default is 656,000.
const SHA_CRYPT_MOST: u32 = 1_000_000;
/// Default rounds of sha-crypt.
const SHA_CRYPT_ROUNDS: u32 = 5_000;

/// A shorter hash could be guessed; an empty one would match every password.
const SHORTEST_HASH: usize = 16;
const LONGEST_HASH: usize = 64;

/// Limits the whole text, including the salt.
const LONGEST: usize = 1_024;

/// Systems disagree about padding, and about the unused bits of the last character.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const BCRYPT: GeneralPurpose = GeneralPurpose::new(&alphabet::BCRYPT, LENIENT);

/// Base64 in any of its variants; passlib writes `.` for `+`.
fn decode(text: &str) -> Option<Vec<u8>> {
    let standard: String = text
        .chars()
        .map(|c| match c {
            '.' | '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    BASE64.decode(standard).ok()
}

/// The hash without a redundant scheme.
pub(super) fn without_scheme(hash: &str) -> &str {
    const PLAIN: [&str; 9] = [
        "{CRYPT}",
        "{ARGON2}",
        "{ARGON2ID}",
        "{ARGON2I}",
        "{BCRYPT}",
        "{BLF-CRYPT}",
        "{SHA256-CRYPT}",
        "{SHA512-CRYPT}",
        "argon2$",
    ];
    for scheme in PLAIN {
        if let Some((head, rest)) = hash.split_at_checked(scheme.len())
            && head.eq_ignore_ascii_case(scheme)
        {
            // Django's `argon2$argon2id$...` lacks the first character of the PHC string.
            return if scheme == "argon2$" { hash.get(scheme.len() - 1..).unwrap_or(rest) } else { rest };
        }
    }
    hash
}

/// Parses a hash that is not Argon2.
pub(super) fn read(hash: &str) -> Result<Foreign, HashError> {
    if hash.len() > LONGEST || !hash.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(HashError::Unknown);
    }
    if let Some(rest) = hash.strip_prefix('{') {
        let (scheme, rest) = rest.split_once('}').ok_or(HashError::Unknown)?;
        return ldap(&scheme.to_ascii_uppercase(), rest);
    }
    let parts: Vec<&str> = hash.split('$').collect();
    match parts[..] {
        ["", "2a" | "2b" | "2y", cost, rest] => bcrypt(cost, rest, false),
        ["bcrypt", "", "2a" | "2b" | "2y", cost, rest] => bcrypt(cost, rest, false),
        ["bcrypt_sha256", "", "2a" | "2b" | "2y", cost, rest] => bcrypt(cost, rest, true),
        ["", "5" | "6", ..] => sha_crypt(&parts),
        ["", "scrypt", params, salt, hash] => {
            let [n, r, p] = named(params, ["ln", "r", "p"]).ok_or(HashError::Unknown)?;
            scrypt(u8::try_from(n).ok(), r, p, decode(salt), decode(hash))
        }
        // Django's; the salt is text.
        ["scrypt", n, salt, r, p, hash] => {
            scrypt(log2(n), number(r)?, number(p)?, Some(salt.as_bytes().to_vec()), decode(hash))
        }
        ["", kind, rounds, salt, hash] if kind.starts_with("pbkdf2") => {
            let digest = digest_of(kind.strip_prefix("pbkdf2").unwrap_or_default())?;
            // PHC names the parameters (with or without the length), passlib does not.
            let first = rounds.split(',').next().unwrap_or_default();
            pbkdf2(digest, first.strip_prefix("i=").unwrap_or(first), decode(salt), decode(hash))
        }
        ["pbkdf2_sha256", rounds, salt, hash] => {
            pbkdf2(Digest::Sha256, rounds, Some(salt.as_bytes().to_vec()), decode(hash))
        }
        ["pbkdf2_sha1", rounds, salt, hash] => {
            pbkdf2(Digest::Sha1, rounds, Some(salt.as_bytes().to_vec()), decode(hash))
        }
        [method, salt, hash] => werkzeug(method, salt, hash),
        _ => Err(HashError::Unknown),
    }
}

/// `{SSHA}` and similar, and OpenLDAP's `{PBKDF2-SHA256}rounds$salt$hash`.
fn ldap(scheme: &str, rest: &str) -> Result<Foreign, HashError> {
    if let Some(kind) = scheme.strip_prefix("PBKDF2") {
        let digest = digest_of(&kind.to_ascii_lowercase())?;
        let parts: Vec<&str> = rest.split('$').collect();
        let [rounds, salt, hash] = parts[..] else { return Err(HashError::Unknown) };
        return pbkdf2(digest, rounds, decode(salt), decode(hash));
    }
    let (digest, is_salted) = match scheme {
        "SSHA" => (Digest::Sha1, true),
        "SHA" => (Digest::Sha1, false),
        "SSHA256" => (Digest::Sha256, true),
        "SHA256" => (Digest::Sha256, false),
        "SSHA512" => (Digest::Sha512, true),
        "SHA512" => (Digest::Sha512, false),
        _ => return Err(HashError::Unknown),
    };
    let hash = decode(rest).ok_or(HashError::Unknown)?;
    let (hash, salt) = hash.split_at_checked(digest.len()).ok_or(HashError::Unknown)?;
    if is_salted == salt.is_empty() {
        return Err(HashError::Unknown);
    }
    Ok(Foreign::Salted { digest, salt: salt.to_vec(), hash: hash.to_vec() })
}

/// Flask's: `pbkdf2:sha256:600000$salt$hex` and `scrypt:32768:8:1$salt$hex`; the salt is text.
fn werkzeug(method: &str, salt: &str, hash: &str) -> Result<Foreign, HashError> {
    let (salt, hash) = (Some(salt.as_bytes().to_vec()), hex(hash));
    let parts: Vec<&str> = method.split(':').collect();
    match parts[..] {
        ["pbkdf2", digest, rounds] => pbkdf2(digest_of(&format!("-{digest}"))?, rounds, salt, hash),
        ["scrypt", n, r, p] => scrypt(log2(n), number(r)?, number(p)?, salt, hash),
        _ => Err(HashError::Unknown),
    }
}

fn bcrypt(cost: &str, rest: &str, sha256_first: bool) -> Result<Foreign, HashError> {
    const SALT: usize = 22;
    let cost = Some(cost).filter(|cost| cost.len() == 2).ok_or(HashError::Unknown).and_then(number)?;
    let (salt, hash) = rest.split_at_checked(SALT).ok_or(HashError::Unknown)?;
    let salt = BCRYPT.decode(salt).ok().and_then(|salt| salt.try_into().ok()).ok_or(HashError::Unknown)?;
    let hash = BCRYPT.decode(hash).ok().filter(|hash| hash.len() == 23).ok_or(HashError::Unknown)?;
    match cost {
        0..4 => Err(HashError::Unknown),
        4..=BCRYPT_COST => Ok(Foreign::Bcrypt { cost, salt, hash, sha256_first }),
        _ => Err(HashError::CostTooHigh("a cost of 13")),
    }
}

fn scrypt(
    log_n: Option<u8>,
    r: u32,
    p: u32,
    salt: Option<Vec<u8>>,
    hash: Option<Vec<u8>>,
) -> Result<Foreign, HashError> {
    let (log_n, salt, hash) =
        (log_n.ok_or(HashError::Unknown)?, salt.ok_or(HashError::Unknown)?, sized(hash)?);
    if log_n == 0 || r == 0 || p == 0 {
        return Err(HashError::Unknown);
    }
    let work = 1_u64.checked_shl(log_n.into()).and_then(|n| n.checked_mul(u64::from(r)));
    let work = work.and_then(|work| work.checked_mul(u64::from(p)));
    let Some(work) = work.filter(|work| *work <= SCRYPT_WORK) else {
        return Err(HashError::CostTooHigh("2^20 for N times r times p"));
    };
    let params = scrypt::Params::new(log_n, r, p).map_err(|_| HashError::Unknown)?;
    Ok(Foreign::Scrypt { params, work, salt, hash })
}

fn pbkdf2(
    digest: Digest,
    rounds: &str,
    salt: Option<Vec<u8>>,
    hash: Option<Vec<u8>>,
) -> Result<Foreign, HashError> {
    let (rounds, salt, hash) = (number(rounds)?, salt.ok_or(HashError::Unknown)?, sized(hash)?);
    let foreign = Foreign::Pbkdf2 { digest, rounds, salt, hash };
    match foreign.work() {
        _ if rounds == 0 => Err(HashError::Unknown),
        Some(work) if work.amount > PBKDF2_ROUNDS => {
            Err(HashError::CostTooHigh("1,500,000 rounds for all blocks of the output together"))
        }
        _ => Ok(foreign),
    }
}

/// `$6$[rounds=n$]salt$hash`: 43 characters of hash for SHA-256, 86 for SHA-512.
fn sha_crypt(parts: &[&str]) -> Result<Foreign, HashError> {
    let (id, rounds, salt, hash) = match *parts {
        ["", id, rounds, salt, hash] => {
            (id, number(rounds.strip_prefix("rounds=").ok_or(HashError::Unknown)?)?, salt, hash)
        }
        ["", id, salt, hash] => (id, SHA_CRYPT_ROUNDS, salt, hash),
        _ => return Err(HashError::Unknown),
    };
    let is_crypt = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"./".contains(&b));
    let length = if id == "5" { 43 } else { 86 };
    // Implementations truncate the salt to 16 characters and raise the rounds to at least 1,000.
    if hash.len() != length || salt.len() > 16 || rounds < 1_000 || !is_crypt(hash) || !is_crypt(salt) {
        return Err(HashError::Unknown);
    }
    if rounds > SHA_CRYPT_MOST {
        return Err(HashError::CostTooHigh("1,000,000 rounds"));
    }
    let digest = if id == "5" { Digest::Sha256 } else { Digest::Sha512 };
    Ok(Foreign::ShaCrypt { digest, rounds, text: format!("${id}$rounds={rounds}${salt}${hash}") })
}

/// The digest by the suffix of `pbkdf2` in a name; an empty one means SHA-1.
fn digest_of(suffix: &str) -> Result<Digest, HashError> {
    match suffix {
        "" | "-sha1" => Ok(Digest::Sha1),
        "-sha256" => Ok(Digest::Sha256),
        "-sha512" => Ok(Digest::Sha512),
        _ => Err(HashError::Unknown),
    }
}

/// `ln=17,r=8,p=1`.
fn named(params: &str, names: [&str; 3]) -> Option<[u32; 3]> {
    let mut parts = params.split(',');
    let mut one = |name: &str| parts.next()?.strip_prefix(name)?.strip_prefix('=')?.parse().ok();
    let [a, b, c] = names;
    let found = [one(a)?, one(b)?, one(c)?];
    parts.next().is_none().then_some(found)
}

/// Parses digits. A number beyond 32 bits is saturated, not an error.
fn number(text: &str) -> Result<u32, HashError> {
    match text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() {
        true => Ok(text.parse().unwrap_or(u32::MAX)),
        false => Err(HashError::Unknown),
    }
}

fn log2(n: &str) -> Option<u8> {
    let n: u64 = n.parse().ok()?;
    n.is_power_of_two().then(|| u8::try_from(n.trailing_zeros()).ok()).flatten()
}

fn hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let byte = |at: usize| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    (0..text.len()).step_by(2).map(byte).collect()
}

fn sized(hash: Option<Vec<u8>>) -> Result<Vec<u8>, HashError> {
    hash.filter(|hash| (SHORTEST_HASH..=LONGEST_HASH).contains(&hash.len())).ok_or(HashError::Unknown)
}
