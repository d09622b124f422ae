//! Texts that nobody may see: passwords and what holds them.

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use subtle::ConstantTimeEq as _;

/// A text that is overwritten in memory when dropped, and absent from `Debug`. It is serialized as it is, for the row or
/// the request that it travels in.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes the clear text over.
    pub fn new(clear: impl Into<String>) -> Self {
        Self(SecretString::from(clear.into()))
    }

    /// The clear text. Its greppable name is the point: whoever calls it answers for where it goes.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose().as_bytes().ct_eq(other.expose().as_bytes()).into()
    }
}

impl Eq for Secret {}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_travels_and_does_not_show() {
        let secret = Secret::new("hush");
        let json = serde_json::to_string(&secret).unwrap();
        assert_eq!((json.as_str(), format!("{secret:?}").as_str()), ("\"hush\"", "[redacted]"));
        assert_eq!(serde_json::from_str::<Secret>(&json).unwrap(), secret);
        assert_ne!(Secret::new("hushed"), secret);
    }
}
