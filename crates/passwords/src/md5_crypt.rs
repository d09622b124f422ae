//! md5-crypt, as in crypt(5) (`$1$`) and Apache's htpasswd (`$apr1$`), and the base64 of crypt.

use crate::digests::Digest;

/// Rounds of md5-crypt. They are fixed.
pub(super) const ROUNDS: u32 = 1_000;

/// The alphabet of crypt's base64.
const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The order in which md5-crypt writes the bytes of its digest.
const ORDER: [usize; 16] = [12, 6, 0, 13, 7, 1, 14, 8, 2, 15, 9, 3, 5, 10, 4, 11];

/// The value of a character.
pub(super) fn value64(character: u8) -> Option<u32> {
    ALPHABET.iter().position(|known| *known == character).and_then(|at| u32::try_from(at).ok())
}

/// The whole bytes of crypt's base64: least significant bits first, without padding.
pub(super) fn decode64(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut bits, mut count) = (Vec::with_capacity(text.len()), 0, 0);
    for character in text.bytes() {
        bits |= value64(character)? << count;
        count += 6;
        if count >= 8 {
            bytes.push((bits & 0xff) as u8);
            bits >>= 8;
            count -= 8;
        }
    }
    Some(bytes)
}

/// The bytes of the digest, in the order in which they are written. `magic` is the prefix of the hash.
pub(super) fn md5_crypt(magic: &str, password: &[u8], salt: &[u8]) -> Vec<u8> {
    let md5 = |parts: &[&[u8]]| Digest::Md5.of(parts);
    let inner = md5(&[password, salt, password]);
    let repeated: Vec<u8> = inner.iter().copied().cycle().take(password.len()).collect();
    let first = password.get(..1).unwrap_or_default();
    let mut parts: Vec<&[u8]> = vec![password, magic.as_bytes(), salt, &repeated];
    let mut length = password.len();
    while length > 0 {
        parts.push(if length & 1 == 1 { &[0] } else { first });
        length >>= 1;
    }
    let mut digest = md5(&parts);
    for round in 0..ROUNDS {
        let (begin, end) = if round % 2 == 1 { (password, &digest[..]) } else { (&digest[..], password) };
        let salt = if round % 3 == 0 { &[][..] } else { salt };
        let again = if round % 7 == 0 { &[][..] } else { password };
        digest = md5(&[begin, salt, again, end]);
    }
    ORDER.iter().filter_map(|at| digest.get(*at).copied()).collect()
}
