//! The cryptography of one key: making, signing, verifying, and its public form.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use tenantry_core::error::{Error, Result};
use tenantry_core::signing_alg::SigningAlg;

/// A new private key as PKCS#8. RSA takes a large part of a second: call it on a blocking thread.
///
/// # Errors
/// Internal, if the cryptographic library fails.
pub(super) fn generate(alg: SigningAlg) -> Result<Zeroizing<Vec<u8>>> {
    let failed = |_| Error::internal("a signing key could not be made");
    let der = match alg {
        SigningAlg::Rs256 => {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
            pair.as_der().map_err(failed)?.as_ref().to_vec()
        }
        SigningAlg::Es256 => {
            let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?;
            pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec()
        }
        SigningAlg::EdDsa => {
            let pair = Ed25519KeyPair::generate().map_err(failed)?;
            pair.to_pkcs8().map_err(failed)?.as_ref().to_vec()
        }
    };
    Ok(Zeroizing::new(der))
}

/// A private key.
enum Pair {
    Rsa(RsaKeyPair),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Pair {
    fn parse(alg: SigningAlg, pkcs8: &[u8]) -> Option<Self> {
        Some(match alg {
            SigningAlg::Rs256 => Self::Rsa(RsaKeyPair::from_pkcs8(pkcs8).ok()?),
            SigningAlg::Es256 => {
                Self::Ecdsa(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).ok()?)
            }
            SigningAlg::EdDsa => Self::Ed25519(Ed25519KeyPair::from_pkcs8(pkcs8).ok()?),
        })
    }

    fn public(&self) -> &[u8] {
        match self {
            Self::Rsa(pair) => pair.public_key().as_ref(),
            Self::Ecdsa(pair) => pair.public_key().as_ref(),
            Self::Ed25519(pair) => pair.public_key().as_ref(),
        }
    }

    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).ok()?;
                Some(signature)
            }
            Self::Ecdsa(pair) => Some(pair.sign(&random, message).ok()?.as_ref().to_vec()),
            Self::Ed25519(pair) => Some(pair.try_sign(message).ok()?.as_ref().to_vec()),
        }
    }
}

/// A key: parsed once, used for many signatures.
pub(super) struct Material {
    alg: SigningAlg,
    kid: String,
    pair: Option<Pair>,
    public: Vec<u8>,
    decoding: DecodingKey,
    jwk: Jwk,
    /// The encoded header of every token that it signs, and the dot after it.
    header: String,
}

impl std::fmt::Debug for Material {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Material").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl Material {
    /// A private key; `None` if it is malformed.
    pub(super) fn private(alg: SigningAlg, pkcs8: &[u8]) -> Option<Self> {
        let pair = Pair::parse(alg, pkcs8)?;
        let public = pair.public().to_vec();
        Self::new(alg, Some(pair), public)
    }

    /// A key that only verifies; `None` if it is malformed.
    pub(super) fn public(alg: SigningAlg, public: &[u8]) -> Option<Self> {
        Self::new(alg, None, public.to_vec())
    }

    fn new(alg: SigningAlg, pair: Option<Pair>, public: Vec<u8>) -> Option<Self> {
        let decoding = match alg {
            SigningAlg::Rs256 => DecodingKey::from_rsa_der(&public),
            SigningAlg::Es256 => DecodingKey::from_ec_der(&public),
            SigningAlg::EdDsa => DecodingKey::from_ed_der(&public),
        };
        let mut jwk = Jwk::from_decoding_key(&decoding, Some(algorithm(alg))).ok()?;
        let kid = jwk.thumbprint(ThumbprintHash::SHA256).ok()?;
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        jwk.common.key_id = Some(kid.clone());
        let header = json!({ "alg": alg.name(), "typ": "JWT", "kid": kid });
        let header = URL_SAFE_NO_PAD.encode(header.to_string()) + ".";
        Some(Self { alg, kid, pair, public, decoding, jwk, header })
    }

    /// Its id: the thumbprint of RFC 7638.
    pub(super) fn kid(&self) -> &str {
        &self.kid
    }

    /// Whether it can sign.
    pub(super) fn is_private(&self) -> bool {
        self.pair.is_some()
    }

    /// The public key, as [`Material::public`] takes it.
    pub(super) fn public_bytes(&self) -> &[u8] {
        &self.public
    }

    /// Its entry of the JWK set (RFC 7517).
    pub(super) fn jwk(&self) -> &Jwk {
        &self.jwk
    }

    /// Signs claims: a JWT in compact serialization (RFC 7515 section 3.1). RSA takes almost a millisecond.
    ///
    /// # Errors
    /// Internal, if this key cannot sign.
    pub(super) fn sign(&self, claims: &[u8]) -> Result<String> {
        let mut token = self.header.clone();
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = self.pair.as_ref().and_then(|pair| pair.sign(token.as_bytes()));
        let signature = signature.ok_or_else(|| Error::internal("a token was not signed"))?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    /// The claims of a token that this key has signed, expired or not.
    pub(super) fn verify(&self, token: &str) -> Option<Map<String, Value>> {
        let mut validation = Validation::new(algorithm(self.alg));
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        jsonwebtoken::decode(token, &self.decoding, &validation).ok().map(|data| data.claims)
    }
}

fn algorithm(alg: SigningAlg) -> Algorithm {
    match alg {
        SigningAlg::Rs256 => Algorithm::RS256,
        SigningAlg::Es256 => Algorithm::ES256,
        SigningAlg::EdDsa => Algorithm::EdDSA,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_key_signs_its_public_form_verifies() {
        for alg in SigningAlg::ALL {
            let pkcs8 = generate(alg).unwrap();
            let key = Material::private(alg, &pkcs8).unwrap();
            let claims = json!({ "sub": "7", "exp": 1 });
            let token = key.sign(claims.to_string().as_bytes()).unwrap();
            let header = jsonwebtoken::decode_header(&token).unwrap();
            assert_eq!((header.kid.as_deref(), header.typ.as_deref()), (Some(key.kid()), Some("JWT")));
            // A client has the JWK alone.
            let jwk: Jwk = serde_json::from_value(serde_json::to_value(key.jwk()).unwrap()).unwrap();
            let mut validation = Validation::new(algorithm(alg));
            validation.validate_exp = false;
            let read =
                jsonwebtoken::decode::<Value>(&token, &DecodingKey::from_jwk(&jwk).unwrap(), &validation);
            assert_eq!(read.unwrap().claims, claims);
            let public = Material::public(alg, key.public_bytes()).unwrap();
            assert_eq!((public.kid(), public.jwk()), (key.kid(), key.jwk()));
            assert_eq!(Value::Object(public.verify(&token).unwrap()), claims);
            assert!(key.is_private() && !public.is_private());
            public.sign(b"{}").unwrap_err();
        }
    }

    #[test]
    fn a_changed_token_or_one_of_another_key_is_not_verified() {
        for alg in SigningAlg::ALL {
            let key = Material::private(alg, &generate(alg).unwrap()).unwrap();
            let other = Material::private(alg, &generate(alg).unwrap()).unwrap();
            let token = key.sign(b"{\"sub\":\"7\"}").unwrap();
            assert!(key.verify(&token).is_some() && other.verify(&token).is_none());
            let [header, claims, signature] = *token.split('.').collect::<Vec<_>>() else {
                panic!("{token}")
            };
            let none = URL_SAFE_NO_PAD.encode("{\"alg\":\"none\"}");
            let forged = URL_SAFE_NO_PAD.encode("{\"sub\":\"8\"}");
            for bad in [
                format!("{header}.{forged}.{signature}"),
                format!("{none}.{claims}."),
                format!("{none}.{claims}.{signature}"),
                format!("{header}.{claims}."),
                format!("{header}.{claims}"),
                format!("{token}A"),
                String::new(),
            ] {
                assert!(key.verify(&bad).is_none(), "{bad}");
            }
            // The public key as an HMAC secret (RFC 8725 section 2.1).
            let confused = jsonwebtoken::encode(
                &jsonwebtoken::Header::new(Algorithm::HS256),
                &json!({ "sub": "8" }),
                &jsonwebtoken::EncodingKey::from_secret(&[key.public_bytes(), &[0; 32]].concat()).unwrap(),
            );
            assert!(key.verify(&confused.unwrap()).is_none());
        }
        assert!(Material::private(SigningAlg::Es256, &generate(SigningAlg::EdDsa).unwrap()).is_none());
        assert!(Material::public(SigningAlg::EdDsa, b"short").is_none());
    }

    #[test]
    fn the_thumbprint_is_that_of_the_rfc() {
        // RFC 8037 appendix A.3.
        let public = URL_SAFE_NO_PAD.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
        let key = Material::public(SigningAlg::EdDsa, &public).unwrap();
        assert_eq!(key.kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }
}
