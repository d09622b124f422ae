//! A passkey as a second factor: after the password, and in a session that needs a stronger sign-in.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::challenges::{self, GoodChallenge, Purpose};
use super::sign_in::{methods, stored_credential};
use super::{Passkey, TIMEOUT, descriptor, expired};
use crate::factors::second_steps::{self, PendingSignIn, SecondStep};
use crate::factors::step_up::{self as steps, SteppedUp};
use crate::logins::SignedIn;
use crate::services::Services;
use crate::webauthn::{AssertionResponse, RelyingParty};
use tenantry_core::error::Result;
use tenantry_core::model::User;
use tenantry_store::access::{Member, Within, system_within};
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::passkeys as stored;

/// `PublicKeyCredentialRequestOptionsJSON` for one of these passkeys. The authenticator need not verify its user, who has given
/// the password.
fn options(services: &Services, party: &RelyingParty, passkeys: &[Passkey], cookie: &str) -> Value {
    json!({
        "rpId": party.id(),
        "challenge": challenges::make(services, Purpose::SecondFactor, &[cookie]),
        "timeout": TIMEOUT,
        "allowCredentials": passkeys.iter().map(descriptor).collect::<Vec<_>>(),
        "userVerification": "preferred",
    })
}

/// What a browser is asked to confirm a sign-in whose state is in this cookie.
///
/// # Errors
/// None of its own.
pub async fn confirm_sign_in_options(
    services: &Services,
    party: &RelyingParty,
    pending: &PendingSignIn,
    cookie: &str,
) -> Result<Value> {
    let user_id = pending.user_id;
    let list = move |tx: &mut Tx<'_, Within>| stored::list(tx, user_id);
    let passkeys = services.store.read(&system_within(pending.pid), list).await?;
    Ok(options(services, party, &passkeys, cookie))
}

/// What the browser of a member, whose session has this cookie, is asked for a stronger sign-in.
///
/// # Errors
/// None of its own.
pub async fn step_up_options(
    services: &Services,
    party: &RelyingParty,
    member: &Member,
    cookie: &str,
) -> Result<Value> {
    let passkeys = services.store.read(member, super::list_own).await?;
    Ok(options(services, party, &passkeys, cookie))
}

/// An answer whose challenge is good.
struct Answered {
    party: RelyingParty,
    response: AssertionResponse,
    challenge: GoodChallenge,
}

/// Parses an answer; `None` if it is malformed.
fn parse(
    services: &Services,
    party: &RelyingParty,
    credential: &str,
    cookie: &str,
) -> Result<Option<Answered>> {
    let Some(response) = AssertionResponse::parse(credential) else { return Ok(None) };
    let Some(challenge) = response.challenge() else { return Ok(None) };
    let challenge = challenges::check(services, Purpose::SecondFactor, &[cookie], challenge);
    let challenge = challenge.ok_or_else(expired)?;
    Ok(Some(Answered { party: party.clone(), response, challenge }))
}

impl Answered {
    /// Verifies the answer with a passkey of the user, and stores its use. Returns the methods as bits; `None` if it is wrong.
    fn verify(&self, tx: &mut Tx<'_>, user: &User) -> Result<Option<i64>> {
        if !self.challenge.answer(tx)? {
            return Err(expired());
        }
        let known = stored::list(tx, user.user_id)?;
        let id = self.response.credential_id();
        let Some(passkey) = known.iter().find(|passkey| passkey.credential_id == id) else { return Ok(None) };
        let stored_credential = stored_credential(passkey);
        match self.party.verify_assertion(&self.response, &self.challenge.bytes, &stored_credential) {
            Ok(assertion) => {
                let (count, is_backed_up) = (assertion.sign_count, assertion.is_backed_up);
                let is_used = stored::set_used(tx, user.user_id, &passkey.passkey_id, count, is_backed_up)?;
                Ok(is_used.then(|| methods(assertion.is_user_verified)))
            }
            Err(reason) => {
                tracing::info!(pid = user.pid.0, user_id = user.user_id.0, %reason, "a passkey is refused");
                Ok(None)
            }
        }
    }
}

/// Completes a sign-in; `credential` is what the browser answered, as JSON.
///
/// # Errors
/// As [`second_steps::finish_with_code`]; [`super::CHALLENGE_EXPIRED`].
pub async fn confirm_sign_in(
    services: &Services,
    party: &RelyingParty,
    pending: PendingSignIn,
    credential: &str,
    cookie: &str,
    step: SecondStep,
) -> Result<SignedIn> {
    let answered = parse(services, party, credential, cookie)?;
    second_steps::finish(services, pending, step, move |tx, user| match &answered {
        Some(answered) => answered.verify(tx, user),
        None => Ok(None),
    })
    .await
}

/// Has the session of a member count as one with a second factor.
///
/// # Errors
/// As [`steps::step_up`]; [`super::CHALLENGE_EXPIRED`].
pub async fn step_up(
    services: &Services,
    party: &RelyingParty,
    member: &Member,
    credential: &str,
    cookie: &str,
    address: IpAddr,
) -> Result<SteppedUp> {
    let answered = parse(services, party, credential, cookie)?;
    steps::step_up_with(services, member, address, move |tx, user| match &answered {
        Some(answered) => answered.verify(tx, user),
        None => Ok(None),
    })
    .await
}
