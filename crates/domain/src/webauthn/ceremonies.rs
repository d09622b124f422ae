//! The two ceremonies: registration (WebAuthn §7.1) and authentication (§7.2).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::RelyingParty;
use super::authenticator_data::{AuthenticatorData, read_map};
use super::cose::PublicKey;

/// Why an answer of an authenticator is refused. For logs: a person is told the same for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CeremonyError {
    /// It cannot be parsed.
    #[error("the answer is malformed")]
    Malformed,
    /// It is of the other ceremony.
    #[error("the answer is of another ceremony")]
    WrongType,
    /// Its challenge is not the one that was asked.
    #[error("the challenge is not the one that was sent")]
    WrongChallenge,
    /// The page that asked is of another origin.
    #[error("the answer was made for a page of another origin")]
    WrongOrigin,
    /// The page that asked was framed by another site.
    #[error("the answer was made in a frame of another site")]
    CrossOrigin,
    /// The credential is of another relying party.
    #[error("the answer is for another relying party")]
    WrongRelyingParty,
    /// Nobody touched the authenticator.
    #[error("the user was not present")]
    UserNotPresent,
    /// The authenticator did not verify who touched it.
    #[error("the user was not verified")]
    UserNotVerified,
    /// The key cannot be used.
    #[error("the public key is of an algorithm that was not offered, or malformed")]
    UnusableKey,
    /// The answer is of another credential or user.
    #[error("the answer is of another credential or user")]
    WrongCredential,
    /// The signature is wrong.
    #[error("the signature is wrong")]
    WrongSignature,
    /// The signature counter has not grown: there may be a second copy of the authenticator.
    #[error("the signature counter has not grown")]
    CounterRegression,
    /// Whether the credential can be backed up has changed, which it must not.
    #[error("the backup eligibility has changed")]
    BackupEligibilityChanged,
}

use CeremonyError as E;

/// The client data that an authenticator signs (§5.8.1). Members that are there twice are an error.
#[derive(Debug, Deserialize)]
struct ClientData {
    #[serde(rename = "type")]
    ceremony: String,
    challenge: String,
    origin: String,
    #[serde(rename = "crossOrigin", default)]
    is_cross_origin: Option<bool>,
    #[serde(rename = "topOrigin", default)]
    top_origin: Option<String>,
}

/// What a browser answers to a creation, as its form sends it: `PublicKeyCredential.toJSON()`, of which unknown members are
/// ignored.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistrationResponse {
    raw_id: String,
    response: AttestationMembers,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AttestationMembers {
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    attestation_object: String,
    #[serde(default)]
    transports: Vec<String>,
}

/// What a browser answers to a request, likewise.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AssertionResponse {
    raw_id: String,
    response: AssertionMembers,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AssertionMembers {
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    authenticator_data: String,
    signature: String,
    #[serde(default)]
    user_handle: Option<String>,
}

/// A verified new credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Its id, base64url.
    pub credential_id: String,
    /// Its COSE_Key, base64url.
    pub public_key: String,
    /// The signature counter.
    pub sign_count: i64,
    /// Whether the authenticator verified its user.
    pub is_user_verified: bool,
    /// How browsers reach the authenticator: those of the names that the standard defines.
    pub transports: Vec<&'static str>,
    /// Whether it can be on several devices.
    pub is_backup_eligible: bool,
    /// Whether it is.
    pub is_backed_up: bool,
}

/// What is known of a credential that is used.
#[derive(Debug, Clone, Copy)]
pub struct StoredCredential<'a> {
    /// Its id, base64url.
    pub credential_id: &'a str,
    /// Its user, base64url.
    pub user_handle: &'a str,
    /// Its COSE_Key, base64url.
    pub public_key: &'a str,
    /// The signature counter.
    pub sign_count: i64,
    /// Whether it can be on several devices.
    pub is_backup_eligible: bool,
}

/// A verified use of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assertion {
    /// The signature counter.
    pub sign_count: i64,
    /// Whether the authenticator verified its user: by a PIN, a finger, a face.
    pub is_user_verified: bool,
    /// Whether the credential is on several devices now.
    pub is_backed_up: bool,
}

/// The transports that the standard defines (§5.8.4); others are not stored.
const TRANSPORTS: [&str; 6] = ["usb", "nfc", "ble", "smart-card", "hybrid", "internal"];

fn decode(text: &str) -> Result<Vec<u8>, E> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| E::Malformed)
}

fn parse_client_data(bytes: &[u8]) -> Result<ClientData, E> {
    serde_json::from_slice(bytes).map_err(|_| E::Malformed)
}

/// The challenge that some client data answer, before anything of them is verified.
fn challenge_of(client_data: &str) -> Option<Vec<u8>> {
    let data = parse_client_data(&decode(client_data).ok()?).ok()?;
    decode(&data.challenge).ok()
}

impl RelyingParty {
    /// The steps that both ceremonies begin with. Returns the hash of the client data.
    fn check_client_data(&self, client_data: &str, ceremony: &str, challenge: &[u8]) -> Result<[u8; 32], E> {
        let bytes = decode(client_data)?;
        let data = parse_client_data(&bytes)?;
        if data.ceremony != ceremony {
            return Err(E::WrongType);
        }
        if decode(&data.challenge)? != challenge {
            return Err(E::WrongChallenge);
        }
        if data.origin != self.origin {
            return Err(E::WrongOrigin);
        }
        if data.is_cross_origin == Some(true) || data.top_origin.is_some() {
            return Err(E::CrossOrigin);
        }
        Ok(Sha256::digest(&bytes).into())
    }

    fn check_authenticator(&self, bytes: &[u8]) -> Result<AuthenticatorData, E> {
        let data = AuthenticatorData::parse(bytes).ok_or(E::Malformed)?;
        let id_hash: [u8; 32] = Sha256::digest(self.id.as_bytes()).into();
        if data.rp_id_hash != id_hash {
            return Err(E::WrongRelyingParty);
        }
        if !data.is_user_present() {
            return Err(E::UserNotPresent);
        }
        Ok(data)
    }

    /// Verifies a registration that answers this challenge. Whoever stores the credential checks that nobody has it.
    ///
    /// # Errors
    /// It is not valid.
    pub fn verify_registration(
        &self,
        response: &RegistrationResponse,
        challenge: &[u8],
    ) -> Result<Registration, CeremonyError> {
        self.check_client_data(&response.response.client_data, "webauthn.create", challenge)?;
        let object = decode(&response.response.attestation_object)?;
        let mut rest = &object[..];
        let members = read_map(&mut rest).filter(|_| rest.is_empty()).ok_or(E::Malformed)?;
        let authenticator_data = members.iter().find(|(key, _)| key.as_text() == Some("authData"));
        let bytes = authenticator_data.and_then(|(_, value)| value.as_bytes()).ok_or(E::Malformed)?;
        let data = self.check_authenticator(bytes)?;
        let credential = data.credential.as_ref().ok_or(E::Malformed)?;
        if decode(&response.raw_id)? != credential.id {
            return Err(E::WrongCredential);
        }
        PublicKey::parse(&credential.public_key).ok_or(E::UnusableKey)?;
        let transports = &response.response.transports;
        let is_given = |name: &&str| transports.iter().any(|given| given == name);
        Ok(Registration {
            credential_id: URL_SAFE_NO_PAD.encode(&credential.id),
            public_key: URL_SAFE_NO_PAD.encode(&credential.public_key),
            sign_count: data.sign_count.into(),
            is_user_verified: data.is_user_verified(),
            transports: TRANSPORTS.into_iter().filter(is_given).collect(),
            is_backup_eligible: data.is_backup_eligible(),
            is_backed_up: data.is_backed_up(),
        })
    }

    /// Verifies that a credential answers this challenge.
    ///
    /// # Errors
    /// It does not.
    pub fn verify_assertion(
        &self,
        response: &AssertionResponse,
        challenge: &[u8],
        stored: &StoredCredential<'_>,
    ) -> Result<Assertion, CeremonyError> {
        let members = &response.response;
        let hash = self.check_client_data(&members.client_data, "webauthn.get", challenge)?;
        if decode(&response.raw_id)? != decode(stored.credential_id)? {
            return Err(E::WrongCredential);
        }
        let user_handle = members.user_handle.as_deref().filter(|handle| !handle.is_empty());
        if user_handle.is_some_and(|handle| handle != stored.user_handle) {
            return Err(E::WrongCredential);
        }
        let bytes = decode(&members.authenticator_data)?;
        let data = self.check_authenticator(&bytes)?;
        if data.is_backup_eligible() != stored.is_backup_eligible {
            return Err(E::BackupEligibilityChanged);
        }
        let key = PublicKey::parse(&decode(stored.public_key)?).ok_or(E::UnusableKey)?;
        if !key.verifies(&[&bytes[..], &hash[..]].concat(), &decode(&members.signature)?) {
            return Err(E::WrongSignature);
        }
        let sign_count = i64::from(data.sign_count);
        if sign_count <= stored.sign_count && (sign_count, stored.sign_count) != (0, 0) {
            return Err(E::CounterRegression);
        }
        let (is_user_verified, is_backed_up) = (data.is_user_verified(), data.is_backed_up());
        Ok(Assertion { sign_count, is_user_verified, is_backed_up })
    }
}

impl RegistrationResponse {
    /// Parses what a form sent; `None` if it is malformed.
    pub fn parse(json: &str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    /// The challenge that it answers, before anything of it is verified.
    pub fn challenge(&self) -> Option<Vec<u8>> {
        challenge_of(&self.response.client_data)
    }
}

impl AssertionResponse {
    /// Parses what a form sent; `None` if it is malformed.
    pub fn parse(json: &str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    /// The challenge that it answers, before anything of it is verified.
    pub fn challenge(&self) -> Option<Vec<u8>> {
        challenge_of(&self.response.client_data)
    }

    /// The id of its credential, base64url.
    pub fn credential_id(&self) -> &str {
        &self.raw_id
    }

    /// Whether it says whose the credential is, as it must when nobody was named before.
    pub fn names_user(&self) -> bool {
        self.response.user_handle.as_deref().is_some_and(|handle| !handle.is_empty())
    }
}
