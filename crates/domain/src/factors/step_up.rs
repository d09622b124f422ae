//! Stronger and more recent sign-ins (RFC 9470): where an operation asks for one, and how a session gets one.

use std::net::IpAddr;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::{FRESH, asked_of, second_steps};
use crate::browser_sessions;
use crate::services::Services;
use crate::{login_failures, throttle, unit, users};
use tenantry_core::authentication::{ACR_SECOND_FACTOR, AuthenticationMethod};
use tenantry_core::clock::{HOUR, Millis, SECOND};
use tenantry_core::error::{Error, NeededAuthentication, Result};
use tenantry_core::model::User;
use tenantry_store::access::{Admin, Caller, Member, Scope as _, SignInFacts};
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::{browser_sessions as stored_browsers, sessions};

/// How old a sign-in with a second factor may be for operations that ask for one.
pub const STRONG: Millis = HOUR;

/// The methods of a code.
pub(super) const BY_CODE: i64 =
    AuthenticationMethod::OneTimePassword.bit() | AuthenticationMethod::MultipleFactors.bit();

fn needed(second_factor: bool, max_age: Millis) -> Error {
    let max_age = u64::try_from(max_age / SECOND).ok();
    Error::InsufficientAuthentication(NeededAuthentication { second_factor, max_age })
}

/// Whether a sign-in is not older than `max_age`.
fn is_recent(signed_in: SignInFacts, now: Millis, max_age: Millis) -> bool {
    signed_in.auth_time > 0 && now.saturating_sub(signed_in.auth_time) <= max_age
}

/// Refuses a member whose sign-in is older than [`FRESH`], or is one without a second factor although the member has one: for
/// whatever changes how the member signs in.
///
/// # Errors
/// [`Error::InsufficientAuthentication`].
pub async fn expect_fresh(services: &Services, member: &Member) -> Result<()> {
    expect_strong(services, member.as_caller(), FRESH).await?;
    let now = services.clock.read().latest;
    if is_recent(member.as_caller().signed_in(), now, FRESH) { Ok(()) } else { Err(needed(false, FRESH)) }
}

/// Refuses a caller who has a second factor, but has not given it in this session, or not since `max_age`. Technical accounts
/// are never asked, nor is anybody where the policy is `off`.
///
/// # Errors
/// [`Error::InsufficientAuthentication`].
pub async fn expect_strong(services: &Services, caller: &Caller, max_age: Millis) -> Result<()> {
    let Some(user_id) = caller.user_id() else { return Ok(()) };
    let (signed_in, now) = (caller.signed_in(), services.clock.read().latest);
    if signed_in.acr >= ACR_SECOND_FACTOR && is_recent(signed_in, now, max_age) {
        return Ok(());
    }
    let asked = services.store.scan(caller, move |tx| asked_of(tx, user_id)).await?;
    if asked.is_empty() { Ok(()) } else { Err(needed(true, max_age)) }
}

/// As [`expect_strong`], for an admin, within [`STRONG`]. An operator is never asked.
///
/// # Errors
/// As [`expect_strong`].
pub async fn expect_strong_admin(services: &Services, admin: &Admin) -> Result<()> {
    match admin.caller() {
        Some(caller) => expect_strong(services, caller, STRONG).await,
        None => Ok(()),
    }
}

/// Has the session of a member count as one with a second factor. A browser session gets another cookie, which is returned.
/// The time of the sign-in stays: what was given is no password.
pub(crate) fn raise(tx: &mut Tx<'_, Member>, methods: i64) -> Result<Option<Zeroizing<String>>> {
    let session_id = tx.scope().session_id().to_owned();
    let SignInFacts { auth_time, amr, .. } = tx.scope().as_caller().signed_in();
    let raised = SignInFacts { auth_time, acr: ACR_SECOND_FACTOR, amr: amr | methods };
    if tx.scope().is_browser() {
        stored_browsers::set_authentication(tx, &session_id, raised)?;
        return browser_sessions::renew_cookie(tx, &session_id).map(Some);
    }
    sessions::set_authentication(tx, &session_id, raised)?;
    Ok(None)
}

/// What came of a code that was given in a session. Not `Debug`: it holds the cookie.
pub enum SteppedUp {
    /// It was right. The session of a browser has this cookie now.
    Done(Option<Zeroizing<String>>),
    /// It was wrong, or the user may not sign in now.
    Refused,
}

/// Has a session count as one with a second factor, by a code of the member's. A wrong one counts as a wrong password does
/// (B23).
///
/// # Errors
/// [`Error::TooMany`] for an address with too many failures.
pub async fn step_up(
    services: &Services,
    member: &Member,
    code: Zeroizing<String>,
    address: IpAddr,
) -> Result<SteppedUp> {
    let sealer = Arc::clone(&services.sealer);
    step_up_with(services, member, address, move |tx, user| {
        Ok(second_steps::use_code(tx, &sealer, user, &code)?.map(|_| BY_CODE))
    })
    .await
}

/// As [`step_up`], by a factor that `verify` checks in the transaction: it returns the methods of the factor as bits, or
/// `None` if it is wrong.
///
/// # Errors
/// As [`step_up`], and those of `verify`.
pub(crate) async fn step_up_with(
    services: &Services,
    member: &Member,
    address: IpAddr,
    verify: impl Fn(&mut Tx<'_>, &User) -> Result<Option<i64>> + Send + 'static,
) -> Result<SteppedUp> {
    throttle::check(services, address).await?;
    let work = move |tx: &mut Tx<'_, Member>| {
        let user = users::get_self(tx)?;
        if login_failures::may_log_in(tx, user.user_id)?
            && let Some(methods) = verify(tx, &user)?
        {
            return raise(tx, methods).map(SteppedUp::Done);
        }
        login_failures::count(tx, user.user_id)?;
        throttle::record_failure(tx, address)?;
        Ok(SteppedUp::Refused)
    };
    unit::write(&services.store, member, work).await
}
