//! LDAP's schemes (RFC 2307), those of OpenLDAP's overlays and of 389-ds, and Atlassian's, which look like them.

use crate::digests::Digest;
use crate::foreign::Foreign;
use crate::forms::{HashError, decode, digest_of, md5_crypt, number, pbkdf2, read as read_form, single};

/// Parses `{scheme}rest`; the scheme is in capitals.
pub(super) fn read(scheme: &str, rest: &str) -> Result<Foreign, HashError> {
    match scheme {
        "PBKDF2_SHA256" => return ds_pbkdf2(rest),
        "PKCS5S2" => return atlassian(rest),
        // Those of 389-ds for crypt(5).
        "CRYPT-MD5" | "CRYPT-SHA256" | "CRYPT-SHA512" => return read_form(rest),
        // Apache's htpasswd writes it, and Dovecot without `$1$`.
        "MD5" if let ["", "1", salt, hash] = rest.split('$').collect::<Vec<_>>()[..] => {
            return md5_crypt("$1$", salt, hash);
        }
        _ => {}
    }
    if let Some(kind) = scheme.strip_prefix("PBKDF2") {
        let digest = digest_of(&kind.to_ascii_lowercase())?;
        let parts: Vec<&str> = rest.split('$').collect();
        let [rounds, salt, hash] = parts[..] else { return Err(HashError::Unknown) };
        return pbkdf2(digest, number(rounds)?, decode(salt), decode(hash));
    }
    let (digest, is_salted) = match scheme {
        "SMD5" => (Digest::Md5, true),
        "MD5" => (Digest::Md5, false),
        "SSHA" => (Digest::Sha1, true),
        "SHA" => (Digest::Sha1, false),
        "SSHA256" => (Digest::Sha256, true),
        "SHA256" => (Digest::Sha256, false),
        "SSHA384" => (Digest::Sha384, true),
        "SHA384" => (Digest::Sha384, false),
        "SSHA512" => (Digest::Sha512, true),
        "SHA512" => (Digest::Sha512, false),
        _ => return Err(HashError::Unknown),
    };
    let hash = decode(rest).ok_or(HashError::Unknown)?;
    let (hash, salt) = hash.split_at_checked(digest.len()).ok_or(HashError::Unknown)?;
    if is_salted == salt.is_empty() {
        return Err(HashError::Unknown);
    }
    Ok(match single(digest, Vec::new(), salt.to_vec(), Some(hash.to_vec()))? {
        Foreign::Single { digest, before, after, hash, .. } => {
            Foreign::Single { digest, before, after, hash, is_ldap: true }
        }
        other => other,
    })
}

/// The older form of 389-ds and FreeIPA: the rounds in four bytes, 64 of salt, and 256 of hash. The blocks of PBKDF2 are
/// independent of each other, so that comparing the first one is enough.
fn ds_pbkdf2(rest: &str) -> Result<Foreign, HashError> {
    const SALT: usize = 64;
    let bytes = decode(rest).ok_or(HashError::Unknown)?;
    let (rounds, rest) = bytes.split_first_chunk::<4>().ok_or(HashError::Unknown)?;
    let (salt, hash) = rest.split_at_checked(SALT).ok_or(HashError::Unknown)?;
    let first = hash.get(..Digest::Sha256.len()).map(<[u8]>::to_vec);
    pbkdf2(Digest::Sha256, u32::from_be_bytes(*rounds), Some(salt.to_vec()), first)
}

/// Jira, Confluence and Crowd: 16 bytes of salt and 32 of PBKDF2 with ten thousand rounds of SHA-1.
fn atlassian(rest: &str) -> Result<Foreign, HashError> {
    let bytes = decode(rest).filter(|bytes| bytes.len() == 48).ok_or(HashError::Unknown)?;
    let (salt, hash) = bytes.split_at_checked(16).ok_or(HashError::Unknown)?;
    pbkdf2(Digest::Sha1, 10_000, Some(salt.to_vec()), Some(hash.to_vec()))
}
