//! A passkey of a user, as its authenticator has it.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use tenantry::cli::command_error::CommandError;

/// Flags of authenticator data (WebAuthn §6.1): the user is present and verified; a credential follows.
const VERIFIED: u8 = 0b101;
const WITH_CREDENTIAL: u8 = 1 << 6;

/// What a page asks the browser.
#[derive(Debug)]
pub(crate) struct PasskeyForm {
    pub(crate) options: Value,
    pub(crate) origin: String,
    pub(crate) token: String,
}

impl PasskeyForm {
    /// The form of a page with this attribute.
    pub(crate) fn on(page: &str, attribute: &str) -> Option<Self> {
        let behind = |text: &str, start: &str| {
            let (_, rest) = text.split_once(start)?;
            rest.split_once('"').map(|(value, _)| value.replace("&#34;", "\"").replace("&#38;", "&"))
        };
        let (_, form) = page.split_once(&format!("{attribute}=\""))?;
        let (options, form) = form.split_once('"')?;
        let options = options.replace("&#34;", "\"").replace("&#38;", "&");
        Some(Self {
            options: serde_json::from_str(&options).ok()?,
            origin: behind(form, "data-origin=\"")?,
            token: behind(form, "name=\"token\" value=\"")?,
        })
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Passkey {
    key: EcdsaKeyPair,
    id: [u8; 16],
    user_handle: String,
}

fn member<'v>(value: &'v Value, path: &str) -> &'v str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

fn client_data(ceremony: &str, options: &Value, origin: &str) -> String {
    let challenge = member(options, "/challenge");
    json!({ "type": ceremony, "challenge": challenge, "origin": origin, "crossOrigin": false }).to_string()
}

fn authenticator_data(rp_id: &str, flags: u8, behind: &[u8]) -> Vec<u8> {
    [digest(&SHA256, rp_id.as_bytes()).as_ref(), &[flags], &[0; 4], behind].concat()
}

impl Passkey {
    /// Makes one as the options of a page ask for, and what the browser answers.
    pub(crate) fn create(options: &Value, origin: &str) -> Result<(Self, String), CommandError> {
        let failed = |_| CommandError::new("internal", "the cryptographic library failed");
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(failed)?;
        let passkey =
            Self { key, id: *b"a bench passkey.", user_handle: member(options, "/user/id").to_owned() };
        let (x, y) = passkey.key.public_key().as_ref().get(1..).unwrap_or_default().split_at(32);
        // COSE_Key in CBOR: {1: 2, 3: -7, -1: 1, -2: x, -3: y}
        let cose = [&[0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32], x, &[0x22, 0x58, 32], y].concat();
        let credential = [&[0; 16][..], &[0, 16], &passkey.id, &cose].concat();
        let data = authenticator_data(member(options, "/rp/id"), VERIFIED | WITH_CREDENTIAL, &credential);
        let length = u8::try_from(data.len()).unwrap_or(u8::MAX);
        // {"fmt": "none", "attStmt": {}, "authData": data}
        let object = [b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58", &[length][..], &data].concat();
        let answer = json!({
            "rawId": URL_SAFE_NO_PAD.encode(passkey.id),
            "response": {
                "clientDataJSON": URL_SAFE_NO_PAD.encode(client_data("webauthn.create", options, origin)),
                "attestationObject": URL_SAFE_NO_PAD.encode(object),
            },
        });
        Ok((passkey, answer.to_string()))
    }

    /// What the authenticator calls the user.
    pub(crate) fn user_handle(&self) -> &str {
        &self.user_handle
    }

    /// What the browser answers to the options of a sign-in page.
    pub(crate) fn get(&self, options: &Value, origin: &str) -> Result<String, CommandError> {
        let failed = |_| CommandError::new("internal", "the cryptographic library failed");
        let data = authenticator_data(member(options, "/rpId"), VERIFIED, &[]);
        let client_data = client_data("webauthn.get", options, origin);
        let message = [&data[..], digest(&SHA256, client_data.as_bytes()).as_ref()].concat();
        let signature = self.key.sign(&SystemRandom::new(), &message).map_err(failed)?;
        let answer = json!({
            "rawId": URL_SAFE_NO_PAD.encode(self.id),
            "response": {
                "clientDataJSON": URL_SAFE_NO_PAD.encode(client_data),
                "authenticatorData": URL_SAFE_NO_PAD.encode(data),
                "signature": URL_SAFE_NO_PAD.encode(signature),
                "userHandle": self.user_handle,
            },
        });
        Ok(answer.to_string())
    }
}
