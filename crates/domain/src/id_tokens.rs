//! ID tokens (OpenID Connect Core §2).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256, Sha512};
use zeroize::Zeroizing;

use crate::browser_sessions::AuthenticationMethod;
use crate::claims::{Claim, ClaimSet, ClaimedUser, seconds};
use crate::services::Services;
use crate::tokens::Granted;
use crate::{signing_keys, userinfo};
use tenantry_core::clients::Client;
use tenantry_core::clock::{HOUR, Millis};
use tenantry_core::error::Result;
use tenantry_core::model::UserId;
use tenantry_core::scopes::TokenScopes;
use tenantry_core::signing_alg::SigningAlg;
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::authorization_codes::Authentication;

/// How long an ID token is valid.
pub const LIFETIME: Millis = HOUR;

/// What an ID token says beside its times.
pub(super) struct IdTokenFacts {
    pub(super) user_id: UserId,
    pub(super) authentication: Authentication,
    /// `sid`: the browser session, as long as there is one.
    pub(super) browser_session: Option<String>,
    /// Only in the first ID token of a session (§12.2).
    pub(super) nonce: Option<String>,
    /// The scopes that were granted at the sign-in.
    pub(super) scopes: TokenScopes,
    /// Set if claims about the user are in it.
    pub(super) user: Option<ClaimedUser>,
}

impl IdTokenFacts {
    /// The claims about the user. Those of scopes are at the userinfo endpoint (§5.4), except the partner: a product with
    /// many partners needs it before anything else.
    fn claims(&self) -> ClaimSet {
        let partner = ClaimSet::from_iter([Claim::Pid, Claim::Partner]);
        ClaimSet::from_bits(self.authentication.id_token_claims)
            .union(ClaimSet::of_scopes(self.scopes).intersection(partner))
    }

    /// Reads what the claims need.
    pub(super) fn with_user(mut self, tx: &mut Tx<'_>) -> Result<Self> {
        let claims = self.claims();
        if !claims.is_empty() {
            self.user = userinfo::find_user(tx, self.user_id, claims)?;
        }
        Ok(self)
    }

    fn to_json(&self, client: &Client, access_token: &str, issuer: &str, now: Millis) -> Value {
        let of = &self.authentication;
        let mut claims = Map::new();
        if let Some(user) = &self.user {
            user.add_to(&mut claims, self.claims());
        }
        // Last, so that nothing replaces them.
        for (name, value) in [
            ("iss", json!(issuer)),
            ("sub", json!(self.user_id.to_string())),
            ("aud", json!(client.client_id)),
            ("azp", json!(client.client_id)),
            ("exp", json!(seconds(now + LIFETIME))),
            ("iat", json!(seconds(now))),
            ("auth_time", json!(seconds(of.auth_time))),
            ("acr", json!(of.acr.to_string())),
            ("amr", json!(AuthenticationMethod::names(of.amr))),
            ("at_hash", json!(at_hash(client.id_token_alg, access_token))),
        ] {
            claims.insert(name.to_owned(), value);
        }
        claims.extend(self.nonce.as_ref().map(|nonce| (String::from("nonce"), json!(nonce))));
        claims.extend(self.browser_session.as_ref().map(|sid| (String::from("sid"), json!(sid))));
        Value::Object(claims)
    }
}

/// Signs the ID token of tokens that were issued. Outside of their transaction: a signature takes long.
pub(super) async fn add(
    services: &Services,
    client: &Client,
    granted: Granted,
    facts: Option<IdTokenFacts>,
    issuer: &str,
) -> Result<Granted> {
    let Some(facts) = facts else { return Ok(granted) };
    let now = services.clock.read().now;
    let claims = facts.to_json(client, &granted.access_token, issuer, now);
    let token = signing_keys::sign(services, client.id_token_alg, &claims).await?;
    Ok(Granted { id_token: Some(Zeroizing::new(token)), ..granted })
}

/// The left half of the hash of an access token (§3.1.3.6), by the hash function of the signature. Ed25519 hashes with
/// SHA-512.
fn at_hash(alg: SigningAlg, access_token: &str) -> String {
    let half = match alg {
        SigningAlg::Rs256 | SigningAlg::Es256 => {
            Sha256::digest(access_token.as_bytes()).iter().take(16).copied().collect::<Vec<u8>>()
        }
        SigningAlg::EdDsa => Sha512::digest(access_token.as_bytes()).iter().take(32).copied().collect(),
    };
    URL_SAFE_NO_PAD.encode(half)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_an_access_token_is_that_of_the_specification() {
        // OpenID Connect Core A.3.
        let token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
        assert_eq!(at_hash(SigningAlg::Rs256, token), "77QmUPtjPfzWtF2AnpK9RQ");
        assert_eq!(at_hash(SigningAlg::Es256, token), "77QmUPtjPfzWtF2AnpK9RQ");
        assert_eq!(at_hash(SigningAlg::EdDsa, token).len(), 43);
    }
}
