//! What a hash in no known form may be, and what to do about it.

use std::borrow::Cow;

use crate::forms::{decode, hex};
use crate::stored::is_known;

/// Below this length, text without the structure of a hash is probably a password.
const SHORTEST: usize = 32;

/// Forms that are known, but not supported.
const UNSUPPORTED: [(&str, &str); 10] = [
    ("$y$", "is yescrypt, which is not supported"),
    ("$gy$", "is gost-yescrypt, which is not supported"),
    ("$7$", "is scrypt of crypt(5), which is not supported"),
    ("$2x$", "is bcrypt with a known flaw ($2x$), which is not supported"),
    ("$3$", "is an NT hash, which is not supported"),
    ("{SASL}", "refers to a password on another server"),
    ("{KERBEROS}", "refers to a password on another server"),
    ("{CLEAR}", CLEAR_TEXT),
    ("{CLEARTEXT}", CLEAR_TEXT),
    ("{PLAIN}", CLEAR_TEXT),
];

const CLEAR_TEXT: &str = "looks like a password in clear text: hash it first, with bcrypt or argon2, or leave it out, so \
     that the user requests a new one";

/// The detail of an error. It contains no part of the hash.
pub(super) fn hint(text: &str) -> Option<Cow<'static, str>> {
    let is_quoted = |quote: char| text.len() > 1 && text.starts_with(quote) && text.ends_with(quote);
    if ['"', '\'', '`'].into_iter().any(is_quoted) {
        return Some("is in quotes: write the hash without them".into());
    }
    let starts_with = |prefix: &str| text.get(..prefix.len()).is_some_and(|t| t.eq_ignore_ascii_case(prefix));
    if let Some((_, detail)) = UNSUPPORTED.iter().find(|(prefix, _)| starts_with(prefix)) {
        return Some((*detail).into());
    }
    // A long value of LDIF is folded.
    let unfolded: String = text.split_ascii_whitespace().collect();
    if decode(&unfolded).is_some_and(is_text_of_hash) {
        return Some("looks like base64 of a hash: decode it (in LDIF, two colons mean base64)".into());
    }
    let digits = unfolded.strip_prefix("\\x").or(unfolded.strip_prefix("0x")).unwrap_or(&unfolded);
    if hex(digits).is_some_and(is_text_of_hash) {
        return Some("looks like hexadecimal of a hash: decode it (PostgreSQL shows bytes as \\x...)".into());
    }
    if hex(digits).is_some()
        && let Some((_, name, scheme)) = DIGESTS.iter().find(|(length, ..)| *length == digits.len())
    {
        return Some(
            format!(
                "looks like {name} in hexadecimal: say so, as {{{scheme}}} followed by the base64 of its bytes, or by \
                 {{S{scheme}}} with the salt after them"
            )
            .into(),
        );
    }
    if text.split(':').nth(1).is_some_and(|field| is_known(field.trim())) {
        return Some("looks like a line of a password file: write only the field with the hash".into());
    }
    let is_bare = !text.contains('$') && !text.starts_with('{');
    let is_printable = text.bytes().all(|b| b.is_ascii_graphic());
    (is_bare && (text.len() < SHORTEST || !is_printable)).then_some(CLEAR_TEXT.into())
}

/// Digests by the number of their hexadecimal digits, with LDAP's scheme.
const DIGESTS: [(usize, &str, &str); 5] = [
    (32, "MD5", "MD5"),
    (40, "SHA-1", "SHA"),
    (64, "SHA-256", "SHA256"),
    (96, "SHA-384", "SHA384"),
    (128, "SHA-512", "SHA512"),
];

fn is_text_of_hash(bytes: Vec<u8>) -> bool {
    String::from_utf8(bytes).is_ok_and(|text| is_known(text.trim()))
}
