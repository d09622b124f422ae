//! The software authenticator of the crate `passkey`, and the client part of a browser.

use passkey::authenticator::{
    Authenticator, CredentialStore, DiscoverabilitySupport, StoreInfo, UiHint, UserCheck,
    UserValidationMethod,
};
use passkey::client::{Client, DefaultClientData, WebauthnError};
use passkey::crypto::rust_crypto::RustCryptoBackend;
use passkey::types::Passkey;
use passkey::types::ctap2::make_credential::{
    Options, PublicKeyCredentialRpEntity, PublicKeyCredentialUserEntity,
};
use passkey::types::ctap2::{Aaguid, Ctap2Error, StatusCode};
use passkey::types::webauthn::PublicKeyCredentialDescriptor;
use serde_json::{Value, json};
use url::Url;

use crate::page_visitor::{PageVisitor, Shown};

/// Passkeys in memory, the newest first.
#[derive(Clone, Default)]
struct Keys(Vec<Passkey>);

#[async_trait::async_trait]
impl CredentialStore for Keys {
    type PasskeyItem = Passkey;

    async fn find_credentials(
        &self,
        ids: Option<&[PublicKeyCredentialDescriptor]>,
        rp_id: &str,
        _user_handle: Option<&[u8]>,
    ) -> Result<Vec<Passkey>, StatusCode> {
        let is_allowed =
            |key: &&Passkey| ids.is_none_or(|ids| ids.iter().any(|known| known.id == key.credential_id));
        let found: Vec<_> =
            self.0.iter().filter(|key| key.rp_id == rp_id).filter(is_allowed).cloned().collect();
        if found.is_empty() { Err(Ctap2Error::NoCredentials.into()) } else { Ok(found) }
    }

    async fn save_credential(
        &mut self,
        key: Passkey,
        _user: PublicKeyCredentialUserEntity,
        _rp: PublicKeyCredentialRpEntity,
        _options: Options,
    ) -> Result<(), StatusCode> {
        self.0.insert(0, key);
        Ok(())
    }

    async fn update_credential(&mut self, key: &Passkey) -> Result<(), StatusCode> {
        for known in &mut self.0 {
            if known.credential_id == key.credential_id {
                *known = key.clone();
            }
        }
        Ok(())
    }

    async fn get_info(&self) -> StoreInfo {
        StoreInfo { discoverability: DiscoverabilitySupport::Full }
    }
}

/// A person who touches it, and gives a finger where that is asked for.
struct Willing;

#[async_trait::async_trait]
impl UserValidationMethod for Willing {
    type PasskeyItem = Passkey;

    async fn check_user<'a>(
        &self,
        _hint: UiHint<'a, Passkey>,
        presence: bool,
        verification: bool,
    ) -> Result<UserCheck, Ctap2Error> {
        Ok(UserCheck { presence, verification })
    }

    fn is_presence_enabled(&self) -> bool {
        true
    }

    fn is_verification_enabled(&self) -> Option<bool> {
        Some(true)
    }
}

/// An authenticator in a browser.
pub struct SoftAuthenticator {
    keys: Keys,
    counts: bool,
}

impl SoftAuthenticator {
    /// One without passkeys, which counts its signatures.
    pub fn new() -> Self {
        Self { keys: Keys::default(), counts: true }
    }

    /// One that does not count, as those that synchronize.
    pub fn without_counter() -> Self {
        Self { keys: Keys::default(), counts: false }
    }

    /// A copy with all its keys, as somebody makes one who breaks it open.
    pub fn copy(&self) -> Self {
        Self { keys: self.keys.clone(), counts: self.counts }
    }

    fn client(&self) -> Client<Keys, Willing, RustCryptoBackend, public_suffix::PublicSuffixList, ()> {
        let mut authenticator =
            Authenticator::new(Aaguid::new_empty(), self.keys.clone(), Willing, RustCryptoBackend);
        authenticator.set_make_credentials_with_signature_counter(self.counts);
        Client::new(authenticator).allows_insecure_localhost(true)
    }

    /// What a browser at `origin` answers to a creation.
    ///
    /// # Errors
    /// The browser refuses.
    pub async fn create(&mut self, origin: &str, options: &Value) -> Result<Value, WebauthnError> {
        let request = serde_json::from_value(json!({ "publicKey": options })).unwrap();
        let mut client = self.client();
        let created = client.register(&Url::parse(origin).unwrap(), request, DefaultClientData).await?;
        self.keys = client.authenticator().store().clone();
        Ok(serde_json::to_value(created).unwrap())
    }

    /// What a browser at `origin` answers to a request.
    ///
    /// # Errors
    /// The browser refuses, or has no such passkey.
    pub async fn get(&mut self, origin: &str, options: &Value) -> Result<Value, WebauthnError> {
        let request = serde_json::from_value(json!({ "publicKey": options })).unwrap();
        let mut client = self.client();
        let found = client.authenticate(&Url::parse(origin).unwrap(), request, DefaultClientData).await?;
        self.keys = client.authenticator().store().clone();
        Ok(serde_json::to_value(found).unwrap())
    }
}

/// What the browser is asked on a page to create a passkey.
pub fn creation_options(page: &Shown) -> Value {
    serde_json::from_str(&page.attribute("data-passkey-create").unwrap()).unwrap()
}

/// What the browser is asked on a page to sign in.
pub fn request_options(page: &Shown) -> Value {
    serde_json::from_str(&page.attribute("data-passkey-get").unwrap()).unwrap()
}

/// The origin at which the browser is asked.
pub fn origin(page: &Shown) -> String {
    page.attribute("data-origin").unwrap()
}

/// Sends the form of a created passkey.
pub async fn send_created(browser: &mut PageVisitor<'_>, page: &Shown, created: &Value, name: &str) -> Shown {
    let fields = [("credential", &*created.to_string()), ("name", name)];
    browser.submit_form(page.form_with("data-passkey-create"), &fields).await
}

/// Sends the form of a passkey that has signed.
pub async fn send_signed(browser: &mut PageVisitor<'_>, page: &Shown, signed: &Value) -> Shown {
    browser.submit_form(page.form_with("data-passkey-get"), &[("credential", &*signed.to_string())]).await
}

impl SoftAuthenticator {
    /// Adds a passkey in the account of whoever is signed in.
    pub async fn add(&mut self, browser: &mut PageVisitor<'_>, name: &str) -> Shown {
        let page = browser.get("/account/passkeys").await.expect(200);
        let created = self.create(&origin(&page), &creation_options(&page)).await.unwrap();
        send_created(browser, &page, &created, name).await
    }

    /// Answers the sign-in page.
    pub async fn sign(&mut self, page: &Shown) -> Value {
        self.get(&origin(page), &request_options(page)).await.unwrap()
    }

    /// Signs in.
    pub async fn sign_in(&mut self, browser: &mut PageVisitor<'_>) -> Shown {
        let page = browser.get("/sign-in").await.expect(200);
        let signed = self.sign(&page).await;
        send_signed(browser, &page, &signed).await
    }
}
