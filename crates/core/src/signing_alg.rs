//! The algorithms of ID tokens (RFC 7518 section 3.1, RFC 8037).

use serde::{Deserialize, Serialize};

/// A signature algorithm of ID tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SigningAlg {
    /// RSASSA-PKCS1-v1_5 with SHA-256 and a key of 2,048 bits; every client knows it.
    #[default]
    #[serde(rename = "RS256")]
    Rs256,
    /// ECDSA with P-256 and SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl SigningAlg {
    /// Every algorithm; the default one first.
    pub const ALL: [Self; 3] = [Self::Rs256, Self::Es256, Self::EdDsa];

    /// Its name in JSON Web Algorithms, as stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of this name; names are case-sensitive.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|alg| alg.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algorithms_have_the_names_of_the_registry() {
        for alg in SigningAlg::ALL {
            assert_eq!(SigningAlg::parse(alg.name()), Some(alg));
            assert_eq!(serde_json::to_value(alg).unwrap(), alg.name());
            assert_eq!(serde_json::from_value::<SigningAlg>(alg.name().into()).unwrap(), alg);
        }
        for name in ["", "none", "HS256", "rs256", "EDDSA", "PS256"] {
            assert_eq!(SigningAlg::parse(name), None, "{name}");
        }
        assert_eq!(SigningAlg::default(), SigningAlg::Rs256);
    }
}
