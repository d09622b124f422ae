//! Parses password hashes of other systems: PHC strings, crypt(5), and those of Django, Werkzeug and passlib; in
//! `forms/products` those of single products, in `forms/ldap` LDAP's schemes (RFC 2307).

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::digests::Digest;
use crate::foreign::{Foreign, Prehash};
use crate::md5_crypt::decode64;

mod ldap;
mod products;

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
/// Rounds of an iterated digest; Shiro's default is 500,000.
const ITERATED_MOST: u32 = 1_500_000;
/// Rounds of phpass and Drupal, which are powers of two: 2^15 is Drupal's default.
const PHPASS_MOST: u32 = 1 << 20;
/// Default rounds of sha-crypt.
const SHA_CRYPT_ROUNDS: u32 = 5_000;

/// A shorter hash could be guessed; an empty one would match every password.
const SHORTEST_HASH: usize = 16;
const LONGEST_HASH: usize = 64;

/// Limits the whole text, including the salt.
pub(super) const LONGEST: usize = 1_024;

/// Systems disagree about padding, and about the unused bits of the last character.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const BCRYPT: GeneralPurpose = GeneralPurpose::new(&alphabet::BCRYPT, LENIENT);

/// Base64 in any of its variants; passlib writes `.` for `+`.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
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
    const PLAIN: [&str; 12] = [
        "{CRYPT}",
        "{ARGON2}",
        "{ARGON2ID}",
        "{ARGON2I}",
        "{BCRYPT}",
        "{BLF-CRYPT}",
        "{MD5-CRYPT}",
        "{SHA256-CRYPT}",
        "{SHA512-CRYPT}",
        "argon2$",
        "$shiro2$argon2",
        "$shiro2$2y$",
    ];
    for scheme in PLAIN {
        if let Some((head, rest)) = hash.split_at_checked(scheme.len())
            && head.eq_ignore_ascii_case(scheme)
        {
            // Django's `argon2$argon2id$...` lacks the first character of the PHC string.
            let kept = match scheme {
                "argon2$" => 1,
                "$shiro2$argon2" => "$argon2".len(),
                "$shiro2$2y$" => "$2y$".len(),
                _ => 0,
            };
            return hash.get(scheme.len() - kept..).unwrap_or(rest);
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
        return ldap::read(&scheme.to_ascii_uppercase(), rest);
    }
    let parts: Vec<&str> = hash.split('$').collect();
    match parts[..] {
        ["", "2a" | "2b" | "2y", cost, rest] => bcrypt(cost, rest, Prehash::None),
        ["bcrypt", "", "2a" | "2b" | "2y", cost, rest] => bcrypt(cost, rest, Prehash::None),
        ["bcrypt_sha256", "", "2a" | "2b" | "2y", cost, rest] => bcrypt(cost, rest, Prehash::HexSha256),
        ["", "wp", "2y", cost, rest] => {
            bcrypt(cost, rest, Prehash::Base64Hmac(Digest::Sha384, "wp-sha384".to_owned()))
        }
        ["", "bcrypt-sha256", params, salt, hash] => passlib_bcrypt(params, salt, hash),
        ["", "5" | "sha256-crypt", ref rest @ ..] => sha_crypt(Digest::Sha256, rest),
        ["", "6" | "sha512-crypt", ref rest @ ..] => sha_crypt(Digest::Sha512, rest),
        ["", "1" | "md5-crypt", salt, hash] => md5_crypt("$1$", salt, hash),
        ["", "apr1", salt, hash] => md5_crypt("$apr1$", salt, hash),
        ["", "P" | "H", rest] => phpass(Digest::Md5, rest, false),
        ["", "S", rest] => phpass(Digest::Sha512, rest, false),
        ["U", "P" | "H", rest] => phpass(Digest::Md5, rest, true),
        ["U", "S", rest] => phpass(Digest::Sha512, rest, true),
        ["", "scrypt", params, salt, hash] => {
            let [n, r, p] = named(params, ["ln", "r", "p"]).ok_or(HashError::Unknown)?;
            scrypt(log_n(n), r, p, decode(salt), decode(hash))
        }
        // Django's; the salt is text.
        ["scrypt", n, salt, r, p, hash] => {
            scrypt(log2(n), number(r)?, number(p)?, Some(salt.as_bytes().to_vec()), decode(hash))
        }
        ["", kind, rounds, salt, hash] if kind.starts_with("pbkdf2") => {
            let digest = digest_of(kind.strip_prefix("pbkdf2").unwrap_or_default())?;
            // PHC names the parameters (with or without the length), passlib does not.
            let first = rounds.split(',').next().unwrap_or_default();
            let rounds = number(first.strip_prefix("i=").unwrap_or(first))?;
            pbkdf2(digest, rounds, decode(salt), decode(hash))
        }
        ["pbkdf2_sha256", rounds, salt, hash] => {
            pbkdf2(Digest::Sha256, number(rounds)?, Some(salt.as_bytes().to_vec()), decode(hash))
        }
        ["pbkdf2_sha1", rounds, salt, hash] => {
            pbkdf2(Digest::Sha1, number(rounds)?, Some(salt.as_bytes().to_vec()), decode(hash))
        }
        // Django's, with or without a salt.
        ["md5", salt, hash] => single(Digest::Md5, salt.as_bytes().to_vec(), Vec::new(), hex(hash)),
        ["sha1", salt, hash] => single(Digest::Sha1, salt.as_bytes().to_vec(), Vec::new(), hex(hash)),
        [method, salt, hash] if method.contains(':') => werkzeug(method, salt, hash),
        _ => products::read(&parts),
    }
}

/// Flask's: `pbkdf2:sha256:600000$salt$hex` and `scrypt:32768:8:1$salt$hex`; the salt is text.
fn werkzeug(method: &str, salt: &str, hash: &str) -> Result<Foreign, HashError> {
    let (salt, hash) = (Some(salt.as_bytes().to_vec()), hex(hash));
    let parts: Vec<&str> = method.split(':').collect();
    match parts[..] {
        ["pbkdf2", digest, rounds] => pbkdf2(digest_of(&format!("-{digest}"))?, number(rounds)?, salt, hash),
        ["scrypt", n, r, p] => scrypt(log2(n), number(r)?, number(p)?, salt, hash),
        _ => Err(HashError::Unknown),
    }
}

fn bcrypt(cost: &str, rest: &str, prehash: Prehash) -> Result<Foreign, HashError> {
    const SALT: usize = 22;
    let cost = Some(cost).filter(|cost| cost.len() == 2).ok_or(HashError::Unknown).and_then(number)?;
    let (salt, hash) = rest.split_at_checked(SALT).ok_or(HashError::Unknown)?;
    let salt = BCRYPT.decode(salt).ok().and_then(|salt| salt.try_into().ok()).ok_or(HashError::Unknown)?;
    let hash = BCRYPT.decode(hash).ok().filter(|hash| hash.len() == 23).ok_or(HashError::Unknown)?;
    match cost {
        0..4 => Err(HashError::Unknown),
        4..=BCRYPT_COST => Ok(Foreign::Bcrypt { cost, salt, hash, prehash }),
        _ => Err(HashError::CostTooHigh("a cost of 13")),
    }
}

/// `v=2,t=2b,r=12` with an HMAC that has the salt as its key, or `2b,12` of version 1.
fn passlib_bcrypt(params: &str, salt: &str, hash: &str) -> Result<Foreign, HashError> {
    let parts: Vec<&str> = params.split(',').collect();
    let (kind, cost, prehash) = match parts[..] {
        ["v=2", kind, cost] => {
            let (kind, cost) = kind.strip_prefix("t=").zip(cost.strip_prefix("r=")).unwrap_or_default();
            (kind, cost, Prehash::Base64Hmac(Digest::Sha256, salt.to_owned()))
        }
        [kind, cost] => (kind, cost, Prehash::Base64Sha256),
        _ => return Err(HashError::Unknown),
    };
    match kind {
        "2a" | "2b" => bcrypt(&format!("{cost:0>2}"), &format!("{salt}{hash}"), prehash),
        _ => Err(HashError::Unknown),
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
    let (params, work) = scrypt_params(log_n, r, p)?;
    Ok(Foreign::Scrypt { params, work, salt, hash })
}

/// The parameters, and N times r times p.
fn scrypt_params(log_n: u8, r: u32, p: u32) -> Result<(scrypt::Params, u64), HashError> {
    if log_n == 0 || r == 0 || p == 0 {
        return Err(HashError::Unknown);
    }
    let work = 1_u64.checked_shl(log_n.into()).and_then(|n| n.checked_mul(u64::from(r)));
    let work = work.and_then(|work| work.checked_mul(u64::from(p)));
    let Some(work) = work.filter(|work| *work <= SCRYPT_WORK) else {
        return Err(HashError::CostTooHigh("2^20 for N times r times p"));
    };
    Ok((scrypt::Params::new(log_n, r, p).map_err(|_| HashError::Unknown)?, work))
}

fn pbkdf2(
    digest: Digest,
    rounds: u32,
    salt: Option<Vec<u8>>,
    hash: Option<Vec<u8>>,
) -> Result<Foreign, HashError> {
    let (salt, hash) = (salt.ok_or(HashError::Unknown)?, sized(hash)?);
    let foreign = Foreign::Pbkdf2 { digest, rounds, salt, hash };
    match foreign.work() {
        _ if rounds == 0 => Err(HashError::Unknown),
        Some(work) if work.amount > PBKDF2_ROUNDS => {
            Err(HashError::CostTooHigh("1,500,000 rounds for all blocks of the output together"))
        }
        _ => Ok(foreign),
    }
}

/// The parts of `$6$[rounds=n$]salt$hash` after the first: 43 characters of hash for SHA-256, 86 for SHA-512.
fn sha_crypt(digest: Digest, parts: &[&str]) -> Result<Foreign, HashError> {
    let (rounds, salt, hash) = match *parts {
        [rounds, salt, hash] => {
            (number(rounds.strip_prefix("rounds=").ok_or(HashError::Unknown)?)?, salt, hash)
        }
        [salt, hash] => (SHA_CRYPT_ROUNDS, salt, hash),
        _ => return Err(HashError::Unknown),
    };
    let (id, length) = if digest == Digest::Sha256 { ("5", 43) } else { ("6", 86) };
    // Implementations truncate the salt to 16 characters and raise the rounds to at least 1,000.
    if hash.len() != length || salt.len() > 16 || rounds < 1_000 || !is_crypt(hash) || !is_crypt(salt) {
        return Err(HashError::Unknown);
    }
    if rounds > SHA_CRYPT_MOST {
        return Err(HashError::CostTooHigh("1,000,000 rounds"));
    }
    Ok(Foreign::ShaCrypt { digest, rounds, text: format!("${id}$rounds={rounds}${salt}${hash}") })
}

/// Whether it consists of the characters of crypt's base64.
fn is_crypt(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b"./".contains(&b))
}

fn md5_crypt(magic: &'static str, salt: &str, hash: &str) -> Result<Foreign, HashError> {
    if salt.len() > 8 || !is_crypt(salt) || hash.len() != 22 {
        return Err(HashError::Unknown);
    }
    let hash = decode64(hash).ok_or(HashError::Unknown)?;
    Ok(Foreign::Md5Crypt { magic, salt: salt.as_bytes().to_vec(), hash })
}

/// A character for the binary logarithm of the rounds, eight of salt, then the hash, of which Drupal keeps 43
/// characters. `md5_first` is for those that Drupal made of the hashes of version 6.
fn phpass(digest: Digest, rest: &str, md5_first: bool) -> Result<Foreign, HashError> {
    let length = if digest == Digest::Md5 { 22 } else { 43 };
    let (head, hash) = rest.split_at_checked(9).ok_or(HashError::Unknown)?;
    let (log, salt) = head.split_at_checked(1).ok_or(HashError::Unknown)?;
    if hash.len() != length {
        return Err(HashError::Unknown);
    }
    let log = log.bytes().next().and_then(crate::md5_crypt::value64).filter(|log| *log <= 30);
    let (log, hash) = log.zip(decode64(hash)).ok_or(HashError::Unknown)?;
    let (rounds, salt) = (1 << log, salt.as_bytes().to_vec());
    if rounds > PHPASS_MOST {
        return Err(HashError::CostTooHigh("2^20 rounds"));
    }
    Ok(Foreign::Iterated { digest, rounds, salt, hash, with_password: true, md5_first })
}

/// One digest over the password between two constants.
fn single(
    digest: Digest,
    before: Vec<u8>,
    after: Vec<u8>,
    hash: Option<Vec<u8>>,
) -> Result<Foreign, HashError> {
    let hash = hash.filter(|hash| hash.len() == digest.len()).ok_or(HashError::Unknown)?;
    Ok(Foreign::Single { digest, before, after, hash, is_ldap: false })
}

/// The digest by the suffix of `pbkdf2` in a name; an empty one means SHA-1.
pub(super) fn digest_of(suffix: &str) -> Result<Digest, HashError> {
    match suffix {
        "" | "-sha1" => Ok(Digest::Sha1),
        "-sha256" => Ok(Digest::Sha256),
        "-sha384" => Ok(Digest::Sha384),
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

/// The binary logarithm of N, which it already is below 64: Kratos writes N itself.
fn log_n(n: u32) -> Option<u8> {
    match n {
        0..=64 => u8::try_from(n).ok(),
        _ => n.is_power_of_two().then(|| u8::try_from(n.trailing_zeros()).ok()).flatten(),
    }
}

fn log2(n: &str) -> Option<u8> {
    let n: u64 = n.parse().ok()?;
    n.is_power_of_two().then(|| u8::try_from(n.trailing_zeros()).ok()).flatten()
}

pub(super) fn hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let byte = |at: usize| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    (0..text.len()).step_by(2).map(byte).collect()
}

fn sized(hash: Option<Vec<u8>>) -> Result<Vec<u8>, HashError> {
    hash.filter(|hash| (SHORTEST_HASH..=LONGEST_HASH).contains(&hash.len())).ok_or(HashError::Unknown)
}
