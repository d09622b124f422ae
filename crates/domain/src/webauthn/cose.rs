//! Public keys as COSE_Key (RFC 9052 §7, RFC 9053), and the verification of signatures with them.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
};
use ciborium::Value;

use super::authenticator_data::read_map;

/// The algorithms that authenticators may use (RFC 9053, RFC 8812), the preferred one first: ES256, EdDSA, RS256.
pub const ALGORITHMS: [i64; 3] = [-7, -8, -257];

/// The largest COSE_Key that is accepted, in bytes: an RSA key of 8192 bits and what describes it.
const LARGEST: usize = 1_200;

/// A public key.
pub(super) enum PublicKey {
    /// ES256 or EdDSA.
    Curve(ParsedPublicKey),
    /// RS256.
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
}

impl PublicKey {
    /// Parses a COSE_Key of one of [`ALGORITHMS`]; `None` if it is another one, or no point of its curve.
    pub(super) fn parse(mut bytes: &[u8]) -> Option<Self> {
        if bytes.len() > LARGEST {
            return None;
        }
        let members = read_map(&mut bytes).filter(|_| bytes.is_empty())?;
        let find = |label: i64| members.iter().find(|(key, _)| is_number(key, label)).map(|(_, value)| value);
        let is = |label: i64, number: i64| find(label).is_some_and(|value| is_number(value, number));
        let bytes_of = |label: i64| find(label)?.as_bytes().cloned();
        let (is_ec, is_okp, is_rsa) = (is(1, 2), is(1, 1), is(1, 3));
        if is_ec && is(3, -7) && is(-1, 1) {
            let (x, y) = (bytes_of(-2)?, bytes_of(-3)?);
            if (x.len(), y.len()) != (32, 32) {
                return None;
            }
            // Uncompressed (SEC 1 §2.3.3).
            let point = [&[4], &x[..], &y[..]].concat();
            ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).ok().map(Self::Curve)
        } else if is_okp && is(3, -8) && is(-1, 6) {
            let x = bytes_of(-2).filter(|x| x.len() == 32)?;
            ParsedPublicKey::new(&ED25519, x).ok().map(Self::Curve)
        } else if is_rsa && is(3, -257) {
            let (modulus, exponent) = (bytes_of(-1)?, bytes_of(-2)?);
            let is_sound = (256..=1024).contains(&modulus.len()) && (1..=8).contains(&exponent.len());
            is_sound.then_some(Self::Rsa { modulus, exponent })
        } else {
            None
        }
    }

    /// Whether this is the key's signature of `message`.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Curve(key) => key.verify_sig(message, signature).is_ok(),
            Self::Rsa { modulus, exponent } => RsaPublicKeyComponents { n: modulus, e: exponent }
                .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
                .is_ok(),
        }
    }
}

fn is_number(value: &Value, number: i64) -> bool {
    value.as_integer().is_some_and(|integer| i64::try_from(integer) == Ok(number))
}
