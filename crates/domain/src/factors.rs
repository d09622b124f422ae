//! Second factors of users: which they have, which are asked for and required, and their removal.
//!
//! A factor is added in a session whose sign-in is not older than `FRESH`. A failure of any factor counts as a wrong
//! password does (B23); nothing tells which one failed, and only a complete sign-in resets the count.

use serde_json::json;

use crate::events::{self, EventKind};
use crate::passwords::{address_for, notify};
use crate::policies;
use crate::users;
use tenantry_core::account_policy::SecondFactorPolicy;
use tenantry_core::clock::{MINUTE, Millis};
use tenantry_core::error::{Conflict, Error, Missing, Result};
use tenantry_core::model::{User, UserId};
use tenantry_mail::{EmailContent, FactorName, Reason};
use tenantry_store::access::{Admin, Member};
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::factors as stored;
use tenantry_store::tables::passkeys as stored_passkeys;
use tenantry_store::tables::passkeys::Passkey;
use tenantry_store::tables::sessions;

pub mod devices;
pub mod recovery_codes;
pub mod second_steps;
pub mod step_up;
pub mod totp;

pub use tenantry_store::tables::factors::RecoveryCodes;

/// How old a sign-in may be with which factors are added or removed: a stolen session must not become an account.
pub const FRESH: Millis = 5 * MINUTE;

/// A kind of second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Factor {
    /// An authenticator app (RFC 6238).
    Totp,
    /// A code to sign in with when the other factors are lost. It is no factor of its own.
    RecoveryCode,
    /// A passkey.
    Passkey,
}

impl Factor {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Totp, Self::RecoveryCode, Self::Passkey];

    /// Its name in the API and in events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::RecoveryCode => "recovery-code",
            Self::Passkey => "passkey",
        }
    }

    /// Its name in mails.
    pub(super) fn mail_name(self) -> FactorName {
        match self {
            Self::Totp => FactorName::AuthenticatorApp,
            Self::RecoveryCode => FactorName::RecoveryCodes,
            Self::Passkey => FactorName::Passkey,
        }
    }
}

/// A second factor of a user, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedFactor {
    /// Identifies it among those of its user.
    pub factor_id: String,
    /// Its kind.
    pub factor: Factor,
    /// The name that the user has given it.
    pub name: Option<String>,
    /// When it was added.
    pub created_at: Millis,
    /// When it was last used.
    pub last_used_at: Option<Millis>,
}

/// The second factors of a user, and what belongs to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserFactors {
    /// The factors, oldest first.
    pub factors: Vec<ListedFactor>,
    /// The recovery codes.
    pub recovery_codes: RecoveryCodes,
    /// The number of devices on which none is asked for.
    pub remembered_devices: i64,
    /// From when on the user cannot do without; `None` if none is required.
    pub required_from: Option<Millis>,
    /// Whether factors can be added: not where the policy is `off`.
    pub is_offered: bool,
}

/// The id of the authenticator app among the factors of its user.
pub const TOTP_ID: &str = "totp";

/// The second factors of a user, oldest first.
pub(super) fn list_of(tx: &mut Tx<'_>, user_id: UserId) -> Result<Vec<ListedFactor>> {
    let totp = stored::find_totp(tx, user_id)?.and_then(|totp| {
        let created_at = totp.confirmed_at?;
        let (factor_id, factor, last_used_at) = (TOTP_ID.to_owned(), Factor::Totp, totp.used_at);
        Some(ListedFactor { factor_id, factor, name: None, created_at, last_used_at })
    });
    let of_passkey = |passkey: Passkey| ListedFactor {
        factor_id: passkey.passkey_id,
        factor: Factor::Passkey,
        name: Some(passkey.name),
        created_at: passkey.created_at,
        last_used_at: passkey.last_used_at,
    };
    let passkeys = stored_passkeys::list(tx, user_id)?.into_iter().map(of_passkey);
    let mut factors: Vec<_> = totp.into_iter().chain(passkeys).collect();
    factors.sort_by_key(|factor| factor.created_at);
    Ok(factors)
}

/// Whether a user has a second factor. Recovery codes alone are none.
pub fn has_any(tx: &mut Tx<'_>, user_id: UserId) -> Result<bool> {
    Ok(stored::has_totp(tx, user_id)? || stored_passkeys::count(tx, user_id)? > 0)
}

/// The kinds of factors that a user who signs in by password is asked for; none if the policy is `off`, or the user has
/// none.
pub fn asked_of(tx: &mut Tx<'_>, user_id: UserId) -> Result<Vec<Factor>> {
    if policies::effective(tx)?.second_factor == SecondFactorPolicy::Off {
        return Ok(Vec::new());
    }
    let factors = list_of(tx, user_id)?;
    let mut kinds: Vec<Factor> = Vec::new();
    for factor in factors {
        if !kinds.contains(&factor.factor) {
            kinds.push(factor.factor);
        }
    }
    if !kinds.is_empty() && stored::recovery_codes(tx, user_id)?.left > 0 {
        kinds.push(Factor::RecoveryCode);
    }
    Ok(kinds)
}

/// From when on a user cannot do without a second factor; `None` if none is required.
pub fn required_of(policy: &policies::EffectivePolicy, user: &User) -> Option<Millis> {
    policy.requirement.due_by_either(&policy.server_requirement, user.is_admin, user.created_at)
}

fn describe(tx: &mut Tx<'_>, user: &User) -> Result<UserFactors> {
    let policy = policies::effective(tx)?;
    Ok(UserFactors {
        factors: list_of(tx, user.user_id)?,
        recovery_codes: stored::recovery_codes(tx, user.user_id)?,
        remembered_devices: stored::count_devices(tx, user.user_id)?,
        required_from: required_of(&policy, user),
        is_offered: policy.second_factor != SecondFactorPolicy::Off,
    })
}

/// The caller's own second factors.
///
/// # Errors
/// None of its own.
pub fn list_own(tx: &mut Tx<'_, Member>) -> Result<UserFactors> {
    let user = users::get_self(tx)?;
    describe(tx, &user)
}

/// The second factors of a user of the partner.
///
/// # Errors
/// Not found.
pub fn list(tx: &mut Tx<'_, Admin>, user_id: UserId) -> Result<UserFactors> {
    let user = users::get(tx, user_id)?;
    describe(tx, &user)
}

/// Whether second factors can be added and used: not where the policy is `off`.
pub(super) fn are_offered(tx: &mut Tx<'_>) -> Result<bool> {
    Ok(policies::effective(tx)?.second_factor != SecondFactorPolicy::Off)
}

/// Refuses to add a factor where the policy is `off`.
pub(super) fn expect_offered(tx: &mut Tx<'_>) -> Result<()> {
    if !are_offered(tx)? {
        let detail = "second factors are switched off here: an admin can change the policy";
        return Err(conflict("second-factor-off", detail));
    }
    Ok(())
}

pub(super) fn conflict(code: &'static str, detail: &'static str) -> Error {
    Error::Conflict(Conflict { code, detail: detail.into(), field: None, users: Vec::new() })
}

/// Records that a factor was added, and mails it to the user.
pub(super) fn note_added(tx: &mut Tx<'_>, user: &User, factor: Factor) -> Result<()> {
    let after = json!({ "factor": factor.name() });
    events::record_user(tx, EventKind::FactorAdded, user.user_id, None, Some(after))?;
    let (username, factor) = (user.username.clone(), factor.mail_name());
    mail(tx, user, EmailContent::FactorAdded { username, factor })
}

/// Mails the user what happened: after a change of address for a while to the old one (B25).
pub(super) fn mail(tx: &mut Tx<'_>, user: &User, content: EmailContent) -> Result<()> {
    let address = address_for(tx, user, Reason::Reset)?;
    notify(tx, user, &address, content)
}

/// Records that a factor was removed, and mails it to the user.
pub(super) fn note_removed(tx: &mut Tx<'_>, user: &User, factor: Factor) -> Result<()> {
    let before = json!({ "factor": factor.name() });
    events::record_user(tx, EventKind::FactorRemoved, user.user_id, Some(before), None)?;
    let (username, factor) = (user.username.clone(), factor.mail_name());
    mail(tx, user, EmailContent::FactorRemoved { username, factor })
}

/// Removes one factor, and with the last one what belongs to them.
fn remove_one(tx: &mut Tx<'_>, user: &User, factor_id: &str) -> Result<()> {
    let found = list_of(tx, user.user_id)?.into_iter().find(|factor| factor.factor_id == factor_id);
    let found = found.ok_or(Error::NotFound(Missing::Factor))?;
    match found.factor {
        Factor::Totp => stored::delete_totp(tx, user.user_id).map(drop)?,
        Factor::Passkey => stored_passkeys::delete(tx, user.user_id, factor_id).map(drop)?,
        Factor::RecoveryCode => return Err(Error::NotFound(Missing::Factor)),
    }
    note_removed(tx, user, found.factor)?;
    forget_with_last(tx, user.user_id)
}

/// After a factor was removed: remembered devices are forgotten, and with the last factor the recovery codes.
fn forget_with_last(tx: &mut Tx<'_>, user_id: UserId) -> Result<()> {
    stored::forget_devices(tx, user_id)?;
    if !has_any(tx, user_id)? {
        stored::delete_recovery_codes(tx, user_id)?;
    }
    Ok(())
}

/// Removes one of the caller's own factors. The edge has checked that the sign-in is recent ([`step_up::expect_fresh`]).
///
/// # Errors
/// Not found; `last-factor` if it is the only one and the policy requires one.
pub fn remove_own(tx: &mut Tx<'_, Member>, factor_id: &str) -> Result<()> {
    let user = users::get_self(tx)?;
    let policy = policies::effective(tx)?;
    let factors = list_of(tx, user.user_id)?;
    let is_last = factors.len() == 1 && factors.iter().any(|factor| factor.factor_id == factor_id);
    if is_last && required_of(&policy, &user).is_some() {
        let detail = "a second factor is required of you: add another one before you remove this one";
        return Err(conflict("last-factor", detail));
    }
    remove_one(tx, &user, factor_id)
}

/// Removes factors of a user of the partner, one or all: the user has lost them. Its sessions end, and it signs in with the
/// password alone; where a second factor is required, it must then add one.
///
/// # Errors
/// Not found: the user, or the factor among its own; `own-factors` for the admin's own.
pub fn remove(tx: &mut Tx<'_, Admin>, user_id: UserId, factor_id: Option<&str>) -> Result<usize> {
    if tx.scope().user_id() == Some(user_id) {
        // Their rules are stricter, and an admin must not get around them.
        let detail = "these are your own second factors: remove them with DELETE /api/v1/users/self/factors/<factorId>";
        return Err(conflict("own-factors", detail));
    }
    let user = users::get(tx, user_id)?;
    let ids: Vec<String> = match factor_id {
        Some(one) => vec![one.to_owned()],
        None => list_of(tx, user_id)?.into_iter().map(|factor| factor.factor_id).collect(),
    };
    for id in &ids {
        remove_one(tx, &user, id)?;
    }
    if !ids.is_empty() {
        sessions::end_all_of(tx, user_id, None)?;
    }
    Ok(ids.len())
}
