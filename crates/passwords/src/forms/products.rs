//! Forms of single products: ASP.NET Identity, Firebase, Shiro and Kratos.

use crate::digests::Digest;
use crate::foreign::Foreign;
use crate::forms::{
    HashError, ITERATED_MOST, decode, hex, log_n, named, number, pbkdf2, scrypt_params, single, sized,
};

/// Parses the parts of a hash between its dollar signs.
pub(super) fn read(parts: &[&str]) -> Result<Foreign, HashError> {
    match *parts {
        ["", "firescrypt", params, salt, a, b, key] => {
            let [n, r, p] = named(params, ["ln", "r", "p"]).ok_or(HashError::Unknown)?;
            let key = decode(key).ok_or(HashError::Unknown)?;
            let (a, b) = decode(a).zip(decode(b)).ok_or(HashError::Unknown)?;
            // Salt separator and hash are found in both orders. The hash is the encrypted key, so it is as long.
            let (hash, separator) = if a.len() == key.len() { (a, b) } else { (b, a) };
            firebase([n, r, p], decode(salt), separator, key, hash)
        }
        ["", "fbscrypt", params, salt, hash] => {
            let (mut costs, mut separator, mut key) = ([None; 3], Vec::new(), Vec::new());
            for param in params.split(',') {
                let (name, value) = param.split_once('=').ok_or(HashError::Unknown)?;
                match name {
                    "v" if value == "1" => {}
                    "n" => costs[0] = Some(number(value)?),
                    "r" => costs[1] = Some(number(value)?),
                    "p" => costs[2] = Some(number(value)?),
                    "ss" => separator = decode(value).ok_or(HashError::Unknown)?,
                    "sk" => key = decode(value).ok_or(HashError::Unknown)?,
                    _ => return Err(HashError::Unknown),
                }
            }
            let [Some(n), Some(r), Some(p)] = costs else { return Err(HashError::Unknown) };
            firebase([n, r, p], decode(salt), separator, key, decode(hash).unwrap_or_default())
        }
        ["", "shiro1", digest, rounds, salt, hash] => shiro(digest, rounds, salt, hash),
        // Kratos, with the position of the salt, and MD5 also without one.
        ["", "md5", hash] => single(Digest::Md5, Vec::new(), Vec::new(), decode(hash)),
        ["", digest @ ("md5" | "sha1" | "sha256" | "sha512"), format, salt, hash] => {
            let digest = Digest::parse(digest).ok_or(HashError::Unknown)?;
            let format = format.strip_prefix("pf=").and_then(decode).ok_or(HashError::Unknown)?;
            let (before, after) = around_password(&format, &decode(salt).ok_or(HashError::Unknown)?)?;
            single(digest, before, after, decode(hash))
        }
        // Kratos: base64 of hexadecimal digits.
        ["", digest, hash, key] if let Some(digest) = digest.strip_prefix("hmac-") => {
            let digest = Digest::parse(digest).ok_or(HashError::Unknown)?;
            let hash = decode(hash).and_then(|hash| hex(std::str::from_utf8(&hash).ok()?));
            let (hash, key) = hash.zip(decode(key)).ok_or(HashError::Unknown)?;
            if hash.len() != digest.len() {
                return Err(HashError::Unknown);
            }
            Ok(Foreign::Hmac { digest, key, hash })
        }
        [base64] => aspnet(&decode(base64).ok_or(HashError::Unknown)?),
        _ => Err(HashError::Unknown),
    }
}

/// Firebase's scrypt. Its `rounds` are r, its `mem_cost` is the binary logarithm of N.
fn firebase(
    [n, r, p]: [u32; 3],
    salt: Option<Vec<u8>>,
    separator: Vec<u8>,
    signer_key: Vec<u8>,
    hash: Vec<u8>,
) -> Result<Foreign, HashError> {
    let hash = sized(Some(hash).filter(|hash| hash.len() == signer_key.len()))?;
    let mut salt = salt.ok_or(HashError::Unknown)?;
    salt.extend(separator);
    let (params, work) = scrypt_params(log_n(n).ok_or(HashError::Unknown)?, r, p)?;
    Ok(Foreign::Firebase { params, work, salt, signer_key, hash })
}

fn shiro(digest: &str, rounds: &str, salt: &str, hash: &str) -> Result<Foreign, HashError> {
    let (digest, rounds) = (Digest::parse(digest).ok_or(HashError::Unknown)?, number(rounds)?);
    let (salt, hash) = decode(salt).zip(decode(hash)).ok_or(HashError::Unknown)?;
    if hash.len() != digest.len() || rounds == 0 {
        return Err(HashError::Unknown);
    }
    if rounds > ITERATED_MOST {
        return Err(HashError::CostTooHigh("1,500,000 rounds"));
    }
    let rounds = rounds - 1;
    Ok(Foreign::Iterated { digest, rounds, salt, hash, with_password: false, md5_first: false })
}

/// What is hashed before and after the password, by a format such as `{SALT}{PASSWORD}`.
fn around_password(format: &[u8], salt: &[u8]) -> Result<(Vec<u8>, Vec<u8>), HashError> {
    const PASSWORD: &str = "{PASSWORD}";
    let format = std::str::from_utf8(format).map_err(|_| HashError::Unknown)?;
    let (before, after) = format.split_once(PASSWORD).ok_or(HashError::Unknown)?;
    if after.contains(PASSWORD) {
        return Err(HashError::Unknown);
    }
    let salted = |text: &str| {
        let parts: Vec<&[u8]> = text.split("{SALT}").map(str::as_bytes).collect();
        parts.join(salt)
    };
    Ok((salted(before), salted(after)))
}

/// ASP.NET Identity: a byte for the version, then for version 2 the salt and the key of a thousand rounds of SHA-1, and
/// for version 3 the function, the rounds and the length of the salt in four bytes each, the salt and the key.
fn aspnet(bytes: &[u8]) -> Result<Foreign, HashError> {
    const SALT: usize = 16;
    match bytes {
        [0, rest @ ..] if rest.len() == SALT + 32 => {
            let (salt, key) = rest.split_at_checked(SALT).ok_or(HashError::Unknown)?;
            pbkdf2(Digest::Sha1, 1_000, Some(salt.to_vec()), Some(key.to_vec()))
        }
        [1, rest @ ..] => {
            let mut rest = rest;
            let mut number = || {
                let (number, after) = rest.split_first_chunk::<4>()?;
                rest = after;
                Some(u32::from_be_bytes(*number))
            };
            let (function, rounds, length) = (number(), number(), number());
            let digest = match function {
                Some(0) => Digest::Sha1,
                Some(1) => Digest::Sha256,
                Some(2) => Digest::Sha512,
                _ => return Err(HashError::Unknown),
            };
            let length = length.and_then(|length| usize::try_from(length).ok()).filter(|n| *n >= SALT);
            let split = length.and_then(|length| rest.split_at_checked(length));
            let (salt, key) = split.ok_or(HashError::Unknown)?;
            pbkdf2(digest, rounds.unwrap_or(0), Some(salt.to_vec()), Some(key.to_vec()))
        }
        _ => Err(HashError::Unknown),
    }
}
