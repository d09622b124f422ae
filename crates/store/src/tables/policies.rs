//! The policies of partners, which are columns of `partners`, and since when the server requires a second factor.

use crate::engine::driver::{Connection, DbError};
use crate::engine::tx::{CacheKey, Tx};
use tenantry_core::account_policy::{AccountPolicy, FactorRequirement, PasswordPolicy, SecondFactorPolicy};
use tenantry_core::clock::Millis;
use tenantry_core::error::Result;

/// The policies of a partner, without those of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartnerPolicy {
    /// Who needs a second factor.
    pub second_factor: SecondFactorPolicy,
    /// Since when.
    pub requirement: FactorRequirement,
    /// The rules of passwords; `None` for those of the server.
    pub password_policy: Option<PasswordPolicy>,
    /// Greater after each change.
    pub version: i64,
    /// When it was changed; 0 if never.
    pub updated_at: Millis,
}

/// A requirement as it is stored: 0 is no time.
pub(crate) fn requirement(admins_since: Millis, everybody_since: Millis) -> FactorRequirement {
    let some = |at: Millis| Some(at).filter(|at| *at > 0);
    FactorRequirement { admins_since: some(admins_since), everybody_since: some(everybody_since) }
}

/// The policies of the transaction's partner; `None` if it does not exist.
pub fn find(tx: &mut Tx<'_>) -> Result<Option<PartnerPolicy>> {
    tx.row(
        "SELECT p.second_factor, p.admins_since, p.everybody_since, p.password_policy, p.policy_version, \
         p.policy_updated_at FROM partners p WHERE p.pid = $1",
        &[],
        |row| {
            Ok(PartnerPolicy {
                second_factor: SecondFactorPolicy::from_code(row.int(0)?),
                requirement: requirement(row.int(1)?, row.int(2)?),
                password_policy: PasswordPolicy::from_code(row.int(3)?),
                version: row.int(4)?,
                updated_at: row.int(5)?,
            })
        },
    )
}

/// The version of the policies, for preconditions.
pub fn version(tx: &mut Tx<'_>) -> Result<Option<i64>> {
    tx.row("SELECT p.policy_version FROM partners p WHERE p.pid = $1", &[], |row| row.int(0))
}

/// Stores the policies of the transaction's partner. What is cached of its sessions is read again.
pub fn set(tx: &mut Tx<'_>, policy: &PartnerPolicy) -> Result<()> {
    let stored = |at: Option<Millis>| at.unwrap_or(0);
    tx.execute(
        "UPDATE partners SET second_factor = $2, admins_since = $3, everybody_since = $4, password_policy = $5, \
         policy_version = $6, policy_updated_at = $7 WHERE pid = $1",
        &[
            policy.second_factor.code().into(),
            stored(policy.requirement.admins_since).into(),
            stored(policy.requirement.everybody_since).into(),
            policy.password_policy.map_or(0, PasswordPolicy::code).into(),
            policy.version.into(),
            policy.updated_at.into(),
        ],
    )?;
    let pid = tx.pid();
    tx.invalidate(CacheKey::Partner(pid));
    Ok(())
}

/// The policy with the times since when the server requires a second factor. A requirement that is not recorded yet is
/// new.
pub(crate) fn with_floor(
    conn: &mut dyn Connection,
    policy: AccountPolicy,
    now: Millis,
) -> Result<AccountPolicy, DbError> {
    let mut since = |level: SecondFactorPolicy| -> Result<Option<Millis>, DbError> {
        if policy.second_factor < level {
            return Ok(None);
        }
        let mut found = None;
        let sql = "SELECT f.since FROM second_factor_floors f WHERE f.level = $1";
        conn.query(sql, None, &[level.code().into()], &mut |row| {
            found = Some(row.int(0)?);
            Ok(())
        })?;
        Ok(Some(found.unwrap_or(now)))
    };
    let factor_requirement = FactorRequirement {
        admins_since: since(SecondFactorPolicy::Admins)?,
        everybody_since: since(SecondFactorPolicy::Everybody)?,
    };
    Ok(AccountPolicy { factor_requirement, ..policy })
}

/// Records since when the server requires a second factor, unless that is recorded already. A requirement that was
/// lifted in between gives nobody another week.
pub fn record_floor(tx: &mut Tx<'_>) -> Result<()> {
    let FactorRequirement { admins_since, everybody_since } = tx.policy().factor_requirement;
    for (level, since) in
        [(SecondFactorPolicy::Admins, admins_since), (SecondFactorPolicy::Everybody, everybody_since)]
    {
        let Some(since) = since else { continue };
        tx.unscoped().execute(
            "INSERT INTO second_factor_floors (level, since) VALUES ($1, $2) ON CONFLICT (level) DO NOTHING",
            &[level.code().into(), since.into()],
        )?;
    }
    Ok(())
}
