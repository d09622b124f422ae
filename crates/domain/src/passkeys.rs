//! Passkeys of users: adding, naming, removing, and signing in with them.
//!
//! What browsers are asked is JSON for `navigator.credentials`, and what they answer comes back as JSON in a form. The
//! cryptographic part is in [`crate::webauthn`].

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::browser_sessions::BrowserSession;
use crate::factors::{self, Factor, recovery_codes, step_up as steps};
use crate::services::Services;
use crate::webauthn::{ALGORITHMS, RegistrationResponse, RelyingParty};
use crate::{tokens, unit, users};
use tenantry_core::clock::{MINUTE, Millis};
use tenantry_core::error::{Conflict, Error, FieldError, Missing, Result};
use tenantry_core::model::{User, UserId};
use tenantry_core::values;
use tenantry_store::access::{Member, nobody};
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::passkeys as stored;
use tenantry_store::tables::users as stored_users;

mod challenges;
mod second_step;
mod sign_in;

pub use challenges::purge;
pub use second_step::{confirm_sign_in, confirm_sign_in_options, step_up, step_up_options};
pub use sign_in::{PasskeyRefusal, PasskeySignIn, PasskeySignInError, request_options, sign_in};
pub use tenantry_store::tables::passkeys::Passkey;

use challenges::Purpose;

/// Maximum number of passkeys of a user.
pub const MOST: usize = 20;

/// Maximum length of a name, in characters.
const LONGEST_NAME: usize = 64;

/// How long browsers wait for the person, in milliseconds.
const TIMEOUT: Millis = 5 * MINUTE;

/// The code of the conflict of a page that was open for too long, or whose form was sent before.
pub const CHALLENGE_EXPIRED: &str = "challenge-expired";

/// The code of the conflict of a credential that is registered already.
pub const PASSKEY_TAKEN: &str = "passkey-taken";

/// The code of the conflict of a user who has as many passkeys as anybody may have.
pub const TOO_MANY_PASSKEYS: &str = "too-many-passkeys";

/// The code of the conflict of a user of whom a second factor is required, and who has no other one.
pub const LAST_FACTOR: &str = "last-factor";

/// The code of the conflict of a policy without second factors.
pub const SECOND_FACTOR_OFF: &str = "second-factor-off";

/// Whether a session's sign-in is recent and strong enough to change passkeys.
///
/// # Errors
/// Of the store.
pub async fn is_fresh(services: &Services, session: &BrowserSession) -> Result<bool> {
    match steps::expect_fresh(services, &session.member_adding_factor()?).await {
        Ok(()) => Ok(true),
        Err(Error::InsufficientAuthentication(_)) => Ok(false),
        Err(other) => Err(other),
    }
}

/// The key of a credential.
fn credential_hash(credential_id: &str) -> String {
    URL_SAFE_NO_PAD.encode(tokens::hash(credential_id))
}

/// What a browser is asked in order to create a passkey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreationRequest {
    /// `PublicKeyCredentialCreationOptionsJSON`.
    pub options: Value,
    /// What the authenticator is to call the user; it comes back with the form.
    pub user_handle: String,
}

/// Asks the browser with this session cookie to create a passkey for its user, who has these passkeys. `party_name` is what
/// the authenticator shows.
pub fn creation_request(
    services: &Services,
    party: &RelyingParty,
    party_name: &str,
    cookie: &str,
    user: &User,
    passkeys: &[Passkey],
) -> CreationRequest {
    let user_handle = match passkeys.first() {
        Some(passkey) => passkey.user_handle.clone(),
        None => services.random.token::<32>(),
    };
    let challenge = challenges::make(services, Purpose::Register, &[cookie, &user_handle]);
    let algorithms: Vec<Value> =
        ALGORITHMS.iter().map(|alg| json!({ "type": "public-key", "alg": alg })).collect();
    let options = json!({
        "rp": { "id": party.id(), "name": party_name },
        "user": { "id": user_handle, "name": user.username, "displayName": display_name(user) },
        "challenge": challenge,
        "pubKeyCredParams": algorithms,
        "timeout": TIMEOUT,
        "excludeCredentials": passkeys.iter().map(descriptor).collect::<Vec<_>>(),
        "authenticatorSelection": {
            "residentKey": "preferred",
            "requireResidentKey": false,
            "userVerification": "preferred",
        },
        "attestation": "none",
        "extensions": { "credProps": true },
    });
    CreationRequest { options, user_handle }
}

/// How a user is shown by authenticators.
pub fn display_name(user: &User) -> String {
    let profile = &user.profile;
    let name = match profile.display_name.as_deref().filter(|name| !name.is_empty()) {
        Some(name) => name.to_owned(),
        None => format!("{} {}", profile.first_name, profile.last_name).trim().to_owned(),
    };
    if name.is_empty() { user.username.clone() } else { name }
}

/// A passkey as browsers are told which ones there are.
fn descriptor(passkey: &Passkey) -> Value {
    let transports: Vec<&str> = passkey.transports.split_whitespace().collect();
    json!({ "type": "public-key", "id": passkey.credential_id, "transports": transports })
}

/// A created passkey, as its form sends it.
#[derive(Debug, Clone, Copy)]
pub struct NewPasskey<'a> {
    /// What the browser answered, as JSON.
    pub credential: &'a str,
    /// See [`CreationRequest`].
    pub user_handle: &'a str,
    /// What the user calls it.
    pub name: &'a str,
}

/// A passkey was added. Not `Debug`: it holds secrets.
pub struct AddedPasskey {
    /// The passkey.
    pub passkey: Passkey,
    /// New recovery codes, if the user had no factor before.
    pub recovery_codes: Option<Vec<Zeroizing<String>>>,
    /// The new cookie of the browser session.
    pub cookie: Option<Zeroizing<String>>,
}

/// Adds a passkey to the user of the browser session with this cookie. The session counts as one with a second factor from
/// now on.
///
/// # Errors
/// [`Error::InsufficientAuthentication`] for a sign-in that is too old or too weak; [`CHALLENGE_EXPIRED`], [`PASSKEY_TAKEN`] or
/// [`TOO_MANY_PASSKEYS`]; `second-factor-off` where the policy is `off`; invalid, if the name or the credential is.
pub async fn add(
    services: &Services,
    party: &RelyingParty,
    session: &BrowserSession,
    cookie: &str,
    new: NewPasskey<'_>,
) -> Result<AddedPasskey> {
    let member = session.member_adding_factor()?;
    steps::expect_fresh(services, &member).await?;
    let name = checked_name(new.name)?;
    let invalid = || {
        let detail = "is not a new passkey for this server: create it again";
        Error::from(FieldError::new("/credential", "invalid-credential", detail))
    };
    let response = RegistrationResponse::parse(new.credential).ok_or_else(invalid)?;
    let challenge = response.challenge().ok_or_else(invalid)?;
    let binding = [cookie, new.user_handle];
    let challenge =
        challenges::check(services, Purpose::Register, &binding, challenge).ok_or_else(expired)?;
    let registration = party.verify_registration(&response, &challenge.bytes).map_err(|reason| {
        tracing::info!(pid = session.pid.0, user_id = session.user_id.0, %reason, "a new passkey is refused");
        invalid()
    })?;
    let passkey = Passkey {
        passkey_id: services.random.token::<16>(),
        credential_id: registration.credential_id,
        user_handle: new.user_handle.to_owned(),
        public_key: registration.public_key,
        sign_count: registration.sign_count,
        transports: registration.transports.join(" "),
        is_backup_eligible: registration.is_backup_eligible,
        is_backed_up: registration.is_backed_up,
        name,
        created_at: 0,
        last_used_at: None,
    };
    let methods = sign_in::methods(registration.is_user_verified);
    unit::write(&services.store, &member, move |tx| {
        let user = users::get_self(tx)?;
        factors::expect_offered(tx)?;
        // The count depends on rows of another table.
        stored_users::lock_row(tx, user.user_id)?;
        if !challenge.answer(tx)? {
            return Err(expired());
        }
        if stored::count(tx, user.user_id)? >= i64::try_from(MOST).unwrap_or(i64::MAX) {
            let detail = format!("a user can have {MOST} passkeys: remove one first");
            return Err(Conflict::state(TOO_MANY_PASSKEYS, detail));
        }
        let is_first = !factors::has_any(tx, user.user_id)?;
        let passkey = Passkey { created_at: tx.now(), ..passkey.clone() };
        if !stored::insert(tx, user.user_id, &passkey, &credential_hash(&passkey.credential_id))? {
            return Err(Conflict::state(
                PASSKEY_TAKEN,
                "this passkey is registered already: use another one",
            ));
        }
        factors::note_added(tx, &user, Factor::Passkey)?;
        let recovery_codes = is_first.then(|| recovery_codes::make_in(tx, user.user_id)).transpose()?;
        let cookie = steps::raise(tx, methods)?;
        Ok(AddedPasskey { passkey, recovery_codes, cookie })
    })
    .await
}

fn expired() -> Error {
    let detail = "the page was open for too long, or its form was sent before: open it again";
    Conflict::state(CHALLENGE_EXPIRED, detail)
}

fn checked_name(name: &str) -> Result<String> {
    let name = values::label(values::trim(name)).map_err(|error| error.at("/name"))?;
    if name.chars().count() > LONGEST_NAME {
        let detail = format!("has more than {LONGEST_NAME} characters: choose a shorter name");
        return Err(FieldError::new("/name", "too-long", detail).into());
    }
    Ok(name.to_owned())
}

/// The passkeys of the caller, oldest first.
///
/// # Errors
/// None of its own.
pub fn list_own(tx: &mut Tx<'_, Member>) -> Result<Vec<Passkey>> {
    let user_id = tx.scope().user_id();
    stored::list(tx, user_id)
}

/// Names a passkey of the session's user.
///
/// # Errors
/// [`Error::InsufficientAuthentication`] for a sign-in that is too old or too weak; not found; invalid, if the name is.
pub async fn rename_own(
    services: &Services,
    session: &BrowserSession,
    passkey_id: &str,
    name: &str,
) -> Result<()> {
    let member = session.member()?;
    steps::expect_fresh(services, &member).await?;
    let (passkey_id, name) = (passkey_id.to_owned(), checked_name(name)?);
    unit::write(&services.store, &member, move |tx| {
        let user_id = tx.scope().user_id();
        get(tx, user_id, &passkey_id)?;
        stored::rename(tx, user_id, &passkey_id, &name)
    })
    .await
}

/// Removes a passkey of the session's user, and returns it.
///
/// # Errors
/// As [`factors::remove_own`]; [`Error::InsufficientAuthentication`] for a sign-in that is too old or too weak.
pub async fn remove_own(services: &Services, session: &BrowserSession, passkey_id: &str) -> Result<Passkey> {
    let member = session.member()?;
    steps::expect_fresh(services, &member).await?;
    let passkey_id = passkey_id.to_owned();
    unit::write(&services.store, &member, move |tx| {
        let user_id = tx.scope().user_id();
        let passkey = get(tx, user_id, &passkey_id)?;
        factors::remove_own(tx, &passkey_id)?;
        Ok(passkey)
    })
    .await
}

fn get(tx: &mut Tx<'_>, user_id: UserId, passkey_id: &str) -> Result<Passkey> {
    stored::find(tx, user_id, passkey_id)?.ok_or(Error::NotFound(Missing::Factor))
}

/// Whether some user has this credential.
///
/// # Errors
/// None of its own.
pub async fn is_known(services: &Services, credential_id: &str) -> Result<bool> {
    let hash = credential_hash(credential_id);
    services.store.read(&nobody(), move |tx| Ok(stored::find_owner(tx, &hash)?.is_some())).await
}
