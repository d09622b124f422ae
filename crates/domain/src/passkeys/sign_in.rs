//! Signing in with a passkey, without a name or a password.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::challenges::{self, GoodChallenge, Purpose};
use super::{TIMEOUT, credential_hash};
use crate::browser_sessions::{self, Opened};
use crate::factors;
use crate::logins::SignedIn;
use crate::services::Services;
use crate::sign_in_counts::{SignInOutcome, SignInWay};
use crate::tokens::Origin;
use crate::webauthn::{Assertion, AssertionResponse, CeremonyError, RelyingParty, StoredCredential};
use crate::{login_failures, passwords, throttle, unit};
use tenantry_core::authentication::{ACR_SECOND_FACTOR, AuthenticationMethod};
use tenantry_core::clock::Millis;
use tenantry_core::error::{Error, Result};
use tenantry_core::model::{User, UserId};
use tenantry_store::access::{Within, nobody, system_within};
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::passkeys as stored;
use tenantry_store::tables::passkeys::{Passkey, PasskeyOwner};
use tenantry_store::tables::passwords::list_present;
use tenantry_store::tables::users;

/// What the browser with this cookie is asked in order to sign in: `PublicKeyCredentialRequestOptionsJSON`. The passkey
/// says who it is, and its authenticator verifies its user.
pub fn request_options(services: &Services, party: &RelyingParty, cookie: &str) -> Value {
    json!({
        "rpId": party.id(),
        "challenge": challenges::make(services, Purpose::SignIn, &[cookie]),
        "timeout": TIMEOUT,
        "allowCredentials": [],
        "userVerification": "required",
    })
}

/// A sign-in with a passkey.
#[derive(Debug)]
pub struct PasskeySignIn<'a> {
    /// What the browser answered, as JSON.
    pub credential: &'a str,
    /// The cookie that the options were made for.
    pub cookie: &'a str,
    /// Where it comes from.
    pub origin: Origin,
    /// Whether the person asked to be kept signed in.
    pub is_kept: bool,
    /// The cookie of the browser's session, if it has one: a session of another user ends.
    pub previous: Option<String>,
}

/// Why a sign-in with a passkey is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasskeyRefusal {
    /// The page was open for too long, or its form was sent before.
    Expired,
    /// No user has this credential.
    Unknown,
    /// The answer is not valid, or its user may not sign in: which of them is not told.
    Refused,
    /// The user has to sign in with a temporary password first (B22).
    TemporaryPassword,
}

/// Why nobody is signed in.
#[derive(Debug)]
pub enum PasskeySignInError {
    /// The person was refused.
    Refusal(PasskeyRefusal),
    /// It failed otherwise: [`Error::TooMany`] for an address with too many failures.
    Failure(Error),
}

impl From<Error> for PasskeySignInError {
    fn from(error: Error) -> Self {
        Self::Failure(error)
    }
}

impl From<PasskeyRefusal> for PasskeySignInError {
    fn from(refusal: PasskeyRefusal) -> Self {
        Self::Refusal(refusal)
    }
}

/// Signs a person in with a passkey, and opens a browser session. A refused attempt counts as a wrong password does (B23):
/// for the user, if the passkey is known, and for the address.
///
/// # Errors
/// See [`PasskeySignInError`].
pub async fn sign_in(
    services: &Services,
    party: &RelyingParty,
    signing: PasskeySignIn<'_>,
) -> Result<SignedIn, PasskeySignInError> {
    let signed_in = sign_in_uncounted(services, party, signing).await;
    let outcome = match &signed_in {
        Ok(signed_in) if signed_in.is_restricted => SignInOutcome::PasswordRequired,
        Ok(_) => SignInOutcome::SignedIn,
        Err(PasskeySignInError::Refusal(_)) => SignInOutcome::Refused,
        Err(PasskeySignInError::Failure(Error::TooMany(_))) => SignInOutcome::TooMany,
        Err(PasskeySignInError::Failure(_)) => SignInOutcome::Unavailable,
    };
    services.sign_ins.count_outcome(SignInWay::Passkey, outcome);
    signed_in
}

async fn sign_in_uncounted(
    services: &Services,
    party: &RelyingParty,
    signing: PasskeySignIn<'_>,
) -> Result<SignedIn, PasskeySignInError> {
    let PasskeySignIn { credential, cookie, origin, is_kept, previous } = signing;
    let address = origin.address;
    throttle::check(services, address).await?;
    let response = AssertionResponse::parse(credential);
    let challenge = response.as_ref().and_then(AssertionResponse::challenge);
    let Some((response, challenge)) = response.zip(challenge) else {
        return refuse_stranger(services, address, PasskeyRefusal::Refused).await;
    };
    let Some(challenge) = challenges::check(services, Purpose::SignIn, &[cookie], challenge) else {
        return Err(PasskeyRefusal::Expired.into());
    };
    let Some((owner, passkey, is_answered)) = find(services, &response, &challenge).await? else {
        return refuse_stranger(services, address, PasskeyRefusal::Unknown).await;
    };
    // A form that was sent twice is no guess.
    if is_answered {
        return Err(PasskeyRefusal::Expired.into());
    }
    let (scope, pid, user_id) = (system_within(owner.pid), owner.pid, owner.user_id);
    let verified = verify(party, &response, &challenge.bytes, &passkey);
    let assertion = match verified {
        Ok(assertion) => assertion,
        Err(reason) => {
            tracing::info!(pid = pid.0, user_id = user_id.0, %reason, "a passkey is refused");
            unit::write(&services.store, &scope, move |tx| count_failure(tx, address, Some(user_id))).await?;
            return Err(PasskeyRefusal::Refused.into());
        }
    };
    let before = previous.clone();
    let opened = unit::write(&services.store, &scope, move |tx| {
        if !challenge.answer(tx)? {
            return Ok(Err(PasskeyRefusal::Expired));
        }
        let admitted = match admit(tx, &owner, assertion)? {
            Ok(admitted) => admitted,
            Err(refusal) => {
                if refusal == PasskeyRefusal::Refused {
                    count_failure(tx, address, None)?;
                }
                return Ok(Err(refusal));
            }
        };
        users::set_logged_in(tx, &admitted.user)?;
        let opening = browser_sessions::Opening {
            user_id: admitted.user.user_id,
            origin: &origin,
            is_kept,
            acr: ACR_SECOND_FACTOR,
            amr: methods(assertion.is_user_verified),
            restricted: admitted.restricted,
            previous: before.as_deref(),
        };
        Ok(Ok((browser_sessions::open(tx, &opening)?, admitted.restricted.is_some())))
    })
    .await?;
    let (Opened { session_id, cookie }, is_restricted) = opened?;
    // One of another partner is out of the transaction's reach; one of this partner has ended there.
    if let Some(previous) = previous {
        browser_sessions::end_by_cookie(services, &previous).await?;
    }
    Ok(SignedIn { cookie, pid, user_id, session_id, is_restricted, device: None })
}

/// A refusal that is not of a known user: it counts for the address.
async fn refuse_stranger(
    services: &Services,
    address: IpAddr,
    refusal: PasskeyRefusal,
) -> Result<SignedIn, PasskeySignInError> {
    unit::write(&services.store, &nobody(), move |tx| count_failure(tx, address, None)).await?;
    Err(refusal.into())
}

/// The passkey that answers, whose it is, and whether the challenge was answered before.
async fn find(
    services: &Services,
    response: &AssertionResponse,
    challenge: &GoodChallenge,
) -> Result<Option<(PasskeyOwner, Passkey, bool)>> {
    let hash = credential_hash(response.credential_id());
    let owner = services.store.read(&nobody(), move |tx| stored::find_owner(tx, &hash)).await?;
    let Some(owner) = owner else { return Ok(None) };
    let (user_id, passkey_id, challenge) = (owner.user_id, owner.passkey_id.clone(), challenge.clone());
    let read = move |tx: &mut Tx<'_, Within>| {
        Ok((stored::find(tx, user_id, &passkey_id)?, challenge.is_answered(tx)?))
    };
    let (passkey, is_answered) = services.store.read(&system_within(owner.pid), read).await?;
    Ok(passkey.map(|passkey| (owner, passkey, is_answered)))
}

/// Verifies an answer that replaces name and password: it must say who its user is, and that the user was verified.
fn verify(
    party: &RelyingParty,
    response: &AssertionResponse,
    challenge: &[u8],
    passkey: &Passkey,
) -> Result<Assertion, CeremonyError> {
    if !response.names_user() {
        return Err(CeremonyError::WrongCredential);
    }
    let assertion = party.verify_assertion(response, challenge, &stored_credential(passkey))?;
    if !assertion.is_user_verified {
        return Err(CeremonyError::UserNotVerified);
    }
    Ok(assertion)
}

/// A passkey, for its verification.
pub(super) fn stored_credential(passkey: &Passkey) -> StoredCredential<'_> {
    StoredCredential {
        credential_id: &passkey.credential_id,
        user_handle: &passkey.user_handle,
        public_key: &passkey.public_key,
        sign_count: passkey.sign_count,
        is_backup_eligible: passkey.is_backup_eligible,
    }
}

/// The authentication methods of a use, as bits.
pub(super) const fn methods(is_user_verified: bool) -> i64 {
    let possession = AuthenticationMethod::ProofOfPossession.bit();
    if is_user_verified {
        possession | AuthenticationMethod::UserPresence.bit() | AuthenticationMethod::MultipleFactors.bit()
    } else {
        possession
    }
}

/// Counts a refused attempt (B23), for a user or for none, and for the address.
fn count_failure(tx: &mut Tx<'_>, address: IpAddr, of: Option<UserId>) -> Result<()> {
    match of {
        Some(user_id) => login_failures::count(tx, user_id)?,
        None => users::count_unknown_login(tx),
    }
    throttle::record_failure(tx, address)
}

/// A user whose sign-in is admitted.
struct Admitted {
    user: User,
    /// Set if a new password must be set first: its user has let it expire (B22).
    restricted: Option<Option<Millis>>,
}

/// Admits the owner of a passkey that has answered, if all conditions (still) hold, and stores its use.
fn admit(
    tx: &mut Tx<'_>,
    owner: &PasskeyOwner,
    assertion: Assertion,
) -> Result<Result<Admitted, PasskeyRefusal>> {
    let (user_id, now) = (owner.user_id, tx.latest());
    if !login_failures::may_log_in(tx, user_id)? || !factors::are_offered(tx)? {
        return Ok(Err(PasskeyRefusal::Refused));
    }
    let Some(user) = users::find(tx, user_id)? else { return Ok(Err(PasskeyRefusal::Refused)) };
    let present = list_present(tx, user_id)?;
    // A password that the user has not set is set before anything else, as if there were no passkey.
    let Some(permanent) = present.iter().find(|password| !password.is_temporary) else {
        return Ok(Err(PasskeyRefusal::TemporaryPassword));
    };
    let is_overdue = passwords::is_overdue(permanent, tx.policy(), now);
    let Assertion { sign_count, is_backed_up, .. } = assertion;
    if !stored::set_used(tx, user_id, &owner.passkey_id, sign_count, is_backed_up)? {
        // Another sign-in with it was faster, with the same count or a greater one; or it was removed.
        return Ok(Err(PasskeyRefusal::Refused));
    }
    Ok(Ok(Admitted { user, restricted: is_overdue.then_some(None) }))
}
