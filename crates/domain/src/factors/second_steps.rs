//! The second step of a sign-in on the pages: after the right password, the second factor.
//!
//! Between the steps there is no session. What the first step has found travels sealed in a cookie of the browser
//! ([`PendingSignIn`]), and the second step checks everything again.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Factor, asked_of, devices, recovery_codes, step_up, totp};
use crate::browser_sessions::{self, Opened};
use crate::logins::{self, SignedIn};
use crate::sealed;
use crate::sealer::Sealer;
use crate::services::Services;
use crate::sign_in_counts::SignInWay;
use crate::tokens::{self, Origin};
use crate::{throttle, unit};
use tenantry_core::authentication::{ACR_SECOND_FACTOR, AuthenticationMethod};
use tenantry_core::clock::{MINUTE, Millis};
use tenantry_core::error::{Error, GrantError, Result};
use tenantry_core::model::{PUBLIC_CLIENT, PartnerId, User, UserId};
use tenantry_store::access::{Within, system_within};
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::users;

/// How long the second step can follow on the first one.
pub const LIFETIME: Millis = 10 * MINUTE;

/// The purpose that the state is sealed for.
const PURPOSE: &str = "second factor";

/// A sign-in whose password was right, and whose second factor is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingSignIn {
    /// The partner.
    pub pid: PartnerId,
    /// Who signs in.
    pub user_id: UserId,
    /// The password that was given: another one in the meantime ends the sign-in.
    pub(crate) password_id: i64,
    /// When it was given.
    pub(crate) at: Millis,
    /// Whether the person asked to be kept signed in.
    pub is_kept: bool,
}

/// What the cookie contains: it is good in the browser with this other cookie only.
#[derive(Serialize, Deserialize)]
struct InBrowser {
    browser: String,
    pending: PendingSignIn,
}

fn name_of(browser: &str) -> String {
    URL_SAFE_NO_PAD.encode(tokens::hash(browser))
}

impl PendingSignIn {
    /// The value of the cookie, for the browser that is known by another cookie.
    ///
    /// # Errors
    /// Internal, if the cryptographic library fails.
    pub fn seal(&self, services: &Services, browser: &str) -> Result<Zeroizing<String>> {
        let state = InBrowser { browser: name_of(browser), pending: self.clone() };
        sealed::seal(services, PURPOSE, &state, LIFETIME).map(Zeroizing::new)
    }

    /// The state of a cookie; `None` if it is too old, not one of ours, or another browser's.
    pub fn open(services: &Services, cookie: &str, browser: &str) -> Option<Self> {
        let state: InBrowser = sealed::open(services, PURPOSE, cookie)?;
        (state.browser == name_of(browser)).then_some(state.pending)
    }
}

/// The kinds of factors that a user is asked for in the second step.
///
/// # Errors
/// None of its own.
pub async fn list_asked(services: &Services, pending: &PendingSignIn) -> Result<Vec<Factor>> {
    let user_id = pending.user_id;
    services.store.scan(&system_within(pending.pid), move |tx| asked_of(tx, user_id)).await
}

/// How the second step is taken.
pub struct SecondStep {
    /// Where it comes from.
    pub origin: Origin,
    /// Whether no factor is to be asked for in this browser for a while.
    pub remembers_device: bool,
    /// The cookie of the browser's session, if it has one: a session of another user ends.
    pub previous: Option<String>,
}

/// Tries a code of a user: of the authenticator app, or a recovery code. `None` if it is wrong or was used.
pub(super) fn use_code(tx: &mut Tx<'_>, sealer: &Sealer, user: &User, code: &str) -> Result<Option<Factor>> {
    let (factor, is_right) = match totp::digits(code) {
        Some(_) => (Factor::Totp, totp::use_code(tx, sealer, user.user_id, code)?),
        None => (Factor::RecoveryCode, recovery_codes::use_code(tx, user, code)?),
    };
    Ok(is_right.then_some(factor))
}

/// Completes a sign-in with a code.
///
/// # Errors
/// `invalid_grant` for a wrong code, and whenever the user may not sign in (any more); [`Error::TooMany`] for an address with
/// too many failures.
pub async fn finish_with_code(
    services: &Services,
    pending: PendingSignIn,
    code: Zeroizing<String>,
    step: SecondStep,
) -> Result<SignedIn> {
    let sealer = Arc::clone(&services.sealer);
    finish(services, pending, step, move |tx, user| {
        Ok(use_code(tx, &sealer, user, &code)?.map(|_| step_up::BY_CODE))
    })
    .await
}

/// Completes a sign-in with a factor that `verify` checks in the transaction: it returns the methods of the factor as bits,
/// or `None` if it is wrong. A wrong one counts as a wrong password does (B23).
///
/// # Errors
/// As [`finish_with_code`], and those of `verify`.
pub(crate) async fn finish(
    services: &Services,
    pending: PendingSignIn,
    step: SecondStep,
    verify: impl Fn(&mut Tx<'_>, &User) -> Result<Option<i64>> + Send + 'static,
) -> Result<SignedIn> {
    let signed_in = finish_uncounted(services, pending, step, verify).await;
    services.sign_ins.count(SignInWay::Page, &signed_in, |signed_in| signed_in.is_restricted);
    signed_in
}

async fn finish_uncounted(
    services: &Services,
    pending: PendingSignIn,
    step: SecondStep,
    verify: impl Fn(&mut Tx<'_>, &User) -> Result<Option<i64>> + Send + 'static,
) -> Result<SignedIn> {
    let SecondStep { origin, remembers_device, previous } = step;
    let PendingSignIn { pid, user_id, password_id, is_kept, .. } = pending;
    throttle::check(services, origin.address).await?;
    let before = previous.clone();
    let opened = unit::write(&services.store, &system_within(pid), move |tx: &mut Tx<'_, Within>| {
        // Two codes at once must see each other.
        users::lock_row(tx, user_id)?;
        let limited = Some(origin.address);
        let Some(examined) = logins::examine(tx, user_id, password_id, PUBLIC_CLIENT)? else {
            logins::count_failure(tx, limited, None)?;
            return Ok(None);
        };
        let Some(methods) = verify(tx, &examined.0)? else {
            logins::count_failure(tx, limited, Some(user_id))?;
            return Ok(None);
        };
        let admitted = logins::admit(tx, examined)?;
        users::set_logged_in(tx, &admitted.user)?;
        let device = if remembers_device { devices::remember(tx, user_id)? } else { None };
        let opening = browser_sessions::Opening {
            user_id,
            origin: &origin,
            is_kept,
            restricted: admitted.restricted,
            previous: before.as_deref(),
            acr: ACR_SECOND_FACTOR,
            amr: AuthenticationMethod::Password.bit() | methods,
        };
        let Opened { session_id, cookie } = browser_sessions::open(tx, &opening)?;
        let is_restricted = admitted.restricted.is_some();
        Ok(Some(SignedIn { cookie, pid, user_id, session_id, is_restricted, device }))
    })
    .await?;
    let refused = || Error::Grant(GrantError::InvalidGrant, "wrong code".into());
    let signed_in = opened.ok_or_else(refused)?;
    if let Some(previous) = previous {
        browser_sessions::end_by_cookie(services, &previous).await?;
    }
    Ok(signed_in)
}
