//! The policies of a partner: who needs a second factor, and which rules passwords follow. The settings of the server are
//! their floor.

use serde_json::{Value, json};

use crate::conditions::Target;
use crate::events::{self, EventKind};
use crate::services::Services;
use crate::unit;
use tenantry_core::account_policy::{FactorRequirement, PasswordPolicy, SecondFactorPolicy};
use tenantry_core::clock::Millis;
use tenantry_core::error::{Error, Missing, Result};
use tenantry_store::access::{Admin, nobody};
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::policies as stored;
pub use tenantry_store::tables::policies::PartnerPolicy;

/// The policies that apply to the users of a partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EffectivePolicy {
    /// Who needs a second factor: the stricter one of the partner and the server.
    pub second_factor: SecondFactorPolicy,
    /// Since when the partner requires it.
    pub requirement: FactorRequirement,
    /// Since when the server does.
    pub server_requirement: FactorRequirement,
    /// The rules of passwords.
    pub password_policy: PasswordPolicy,
}

/// The policies that apply in the transaction's partner.
///
/// # Errors
/// None of its own.
pub fn effective(tx: &mut Tx<'_>) -> Result<EffectivePolicy> {
    let own = stored::find(tx)?;
    let server = tx.policy();
    let second_factor = own.map_or(SecondFactorPolicy::Off, |own| own.second_factor);
    Ok(EffectivePolicy {
        second_factor: second_factor.max(server.second_factor),
        requirement: own.map(|own| own.requirement).unwrap_or_default(),
        server_requirement: server.factor_requirement,
        password_policy: own.and_then(|own| own.password_policy).unwrap_or(server.password_policy),
    })
}

/// The policies of a partner, and those that apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShownPolicy {
    /// The partner's own.
    pub own: PartnerPolicy,
    /// With those of the server.
    pub effective: EffectivePolicy,
}

impl ShownPolicy {
    /// Its tag, which changes with every change.
    pub fn tag(&self) -> String {
        Target::Policy.tag(self.own.version)
    }
}

/// The policies of the admin's partner.
///
/// # Errors
/// Not found: an operator may name any partner.
pub fn get(tx: &mut Tx<'_, Admin>) -> Result<ShownPolicy> {
    let own = stored::find(tx)?.ok_or(Error::NotFound(Missing::Partner))?;
    Ok(ShownPolicy { own, effective: effective(tx)? })
}

/// A change of policies; `None` leaves one unchanged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PolicyChange {
    /// Who needs a second factor.
    pub second_factor: Option<SecondFactorPolicy>,
    /// The rules of passwords; `Some(None)` for those of the server.
    pub password_policy: Option<Option<PasswordPolicy>>,
}

/// Changes the policies of the admin's partner. Users who need a second factor from now on have a week to add one.
///
/// # Errors
/// Not found.
pub fn update(tx: &mut Tx<'_, Admin>, change: &PolicyChange) -> Result<ShownPolicy> {
    tenantry_store::tables::partners::lock_row(tx)?;
    let before = get(tx)?.own;
    let second_factor = change.second_factor.unwrap_or(before.second_factor);
    let password_policy = change.password_policy.unwrap_or(before.password_policy);
    if (second_factor, password_policy) == (before.second_factor, before.password_policy) {
        return get(tx);
    }
    let now = tx.now_after(before.updated_at);
    let requirement = required_since(&before.requirement, second_factor, now);
    let version = before.version + 1;
    let after = PartnerPolicy { second_factor, requirement, password_policy, version, updated_at: now };
    stored::set(tx, &after)?;
    if let Some((old, new)) = events::difference(of_policy(&before), of_policy(&after)) {
        events::record(tx, EventKind::PolicyUpdated, Some(old), Some(new))?;
    }
    get(tx)
}

/// Since when a policy requires a second factor that begins now, or goes on.
fn required_since(before: &FactorRequirement, policy: SecondFactorPolicy, now: Millis) -> FactorRequirement {
    let since = |level, at: Option<Millis>| (policy >= level).then(|| at.unwrap_or(now));
    FactorRequirement {
        admins_since: since(SecondFactorPolicy::Admins, before.admins_since),
        everybody_since: since(SecondFactorPolicy::Everybody, before.everybody_since),
    }
}

fn of_policy(policy: &PartnerPolicy) -> Value {
    json!({
        "secondFactor": policy.second_factor.name(),
        "passwordPolicy": policy.password_policy.map(PasswordPolicy::name),
    })
}

/// Records since when the server requires a second factor, so that its users have a week from then on, whenever it is
/// restarted.
///
/// # Errors
/// Those of the store.
pub async fn record_floor(services: &Services) -> Result<()> {
    if services.policy().factor_requirement == FactorRequirement::default() {
        return Ok(());
    }
    unit::write(&services.store, &nobody(), |tx| stored::record_floor(tx)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requirement_begins_once() {
        let at = |admins, everybody| FactorRequirement { admins_since: admins, everybody_since: everybody };
        let none = at(None, None);
        assert_eq!(required_since(&none, SecondFactorPolicy::Optional, 7), none);
        let admins = required_since(&none, SecondFactorPolicy::Admins, 7);
        assert_eq!(admins, at(Some(7), None));
        let everybody = required_since(&admins, SecondFactorPolicy::Everybody, 9);
        assert_eq!(everybody, at(Some(7), Some(9)));
        assert_eq!(required_since(&everybody, SecondFactorPolicy::Admins, 11), admins);
        assert_eq!(required_since(&everybody, SecondFactorPolicy::Off, 11), none);
    }
}
