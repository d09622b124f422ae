//! WebAuthn Level 3, as a relying party: what browsers are asked, and the verification of what authenticators answer.
//!
//! Attestation is neither asked for nor verified (its conveyance is `none`): a passkey proves that it is the one that was
//! registered, not who made the authenticator. Signatures are verified by aws-lc-rs (docs/adr/0031).

use url::{Host, Url};

mod authenticator_data;
mod ceremonies;
mod cose;

pub use ceremonies::{
    Assertion, AssertionResponse, CeremonyError, Registration, RegistrationResponse, StoredCredential,
};
pub use cose::ALGORITHMS;

/// Why a server can have no passkeys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRelyingParty {
    /// `public-url` has an IP address, and browsers bind passkeys to names.
    IpAddress,
    /// `public-url` is neither https nor at localhost: browsers offer no passkeys there.
    Insecure,
}

impl NoRelyingParty {
    /// The reason and what to do, for the operator.
    pub fn detail(self) -> &'static str {
        match self {
            Self::IpAddress => {
                "passkeys are off, since public-url has an IP address: browsers bind passkeys to a name; set public-url to \
                 an address with one, such as https://id.example.com or http://localhost:8080"
            }
            Self::Insecure => {
                "passkeys are off, since public-url is not https: browsers offer passkeys on https only, and at localhost; \
                 set public-url to an https address"
            }
        }
    }
}

/// This server, as authenticators know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelyingParty {
    id: String,
    origin: String,
}

impl RelyingParty {
    /// The relying party of a public URL: its id is the host.
    ///
    /// # Errors
    /// Browsers offer no passkeys there.
    pub fn of_url(public_url: &str) -> Result<Self, NoRelyingParty> {
        let url = Url::parse(public_url).map_err(|_| NoRelyingParty::Insecure)?;
        let Some(Host::Domain(host)) = url.host() else { return Err(NoRelyingParty::IpAddress) };
        let is_local = host == "localhost" || host.ends_with(".localhost");
        if url.scheme() != "https" && !is_local {
            return Err(NoRelyingParty::Insecure);
        }
        Ok(Self { id: host.to_owned(), origin: url.origin().ascii_serialization() })
    }

    /// The id: a host name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The only origin whose pages may use its passkeys.
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

#[cfg(test)]
mod tests;
