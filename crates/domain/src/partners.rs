//! Partners, the first start, and the rule that a partner keeps an admin.

use serde_json::json;

use crate::bulk_changes;
use crate::erasures;
use crate::events::{self, EventKind};
use crate::passwords;
use crate::users::{self, NewUser};
use tenantry_core::error::{Conflict, Error, Missing, Result};
use tenantry_core::model::{Partner, PartnerId, User};
use tenantry_core::search_terms::SearchTerm;
use tenantry_store::access::Operator;
use tenantry_store::engine::tx::Tx;
use tenantry_store::listing::lists::Total;
use tenantry_store::tables::partners;
use tenantry_store::tables::partners::PartnerPosition;

/// Whether the database is empty.
pub fn is_first_start(tx: &mut Tx<'_>) -> Result<bool> {
    Ok(!partners::any(tx)?)
}

/// Creates partner 1 and its admin, whose permanent password is given as a hash. Only on an empty database.
///
/// # Errors
/// `not-empty`: another process has just created them.
pub fn bootstrap(tx: &mut Tx<'_, Operator>, admin: &NewUser, password_hash: &str) -> Result<User> {
    partners::claim_all(tx)?;
    if partners::any(tx)? {
        return Err(Conflict::field("not-empty", "/name", "another process has created the first partner"));
    }
    let pid = partners::insert(tx, "default")?;
    tx.enter_partner(pid);
    events::record(tx, EventKind::PartnerCreated, None, Some(json!({ "name": "default" })))?;
    let user = users::insert(tx, admin)?;
    passwords::set_permanent(tx, user.user_id, password_hash)?;
    Ok(user)
}

/// A created partner. Not `Debug`: the password would be one `{:?}` away from a log.
pub struct Created {
    /// The partner.
    pub partner: Partner,
    /// Its admin.
    pub admin: User,
    /// The admin's temporary password, if it is returned instead of mailed.
    pub password: Option<String>,
}

/// Creates a partner and its first admin, whose temporary password is mailed (B16), or returned if `returns_password`.
///
/// # Errors
/// `partner-name-taken`, `username-taken`.
pub fn create(
    tx: &mut Tx<'_, Operator>,
    name: &str,
    admin: &NewUser,
    returns_password: bool,
) -> Result<Created> {
    let pid = partners::insert(tx, name)?;
    tx.enter_partner(pid);
    events::record(tx, EventKind::PartnerCreated, None, Some(json!({ "name": name })))?;
    let admin = users::insert(tx, admin)?;
    let password = users::issue_or_return(tx, &admin, returns_password)?;
    // The total of users is updated at the end of the batch, so it is not read here.
    let partner = Partner { pid, name: name.to_owned(), suspended: false, users: 1, created_at: tx.now() };
    Ok(Created { partner, admin, password })
}

/// One partner.
///
/// # Errors
/// Not found.
pub fn get(tx: &mut Tx<'_, Operator>, pid: PartnerId) -> Result<Partner> {
    partners::find(tx, pid)?.ok_or(Error::NotFound(Missing::Partner))
}

/// The transaction's own partner exists: an operator may name any.
///
/// # Errors
/// Not found.
pub fn require_own(tx: &mut Tx<'_>) -> Result<()> {
    let pid = tx.pid();
    partners::find(tx, pid)?.map(drop).ok_or(Error::NotFound(Missing::Partner))
}

/// A change of a partner; `None` leaves a property unchanged.
#[derive(Debug, Clone, Default)]
pub struct PartnerChange {
    /// A new name.
    pub name: Option<String>,
    /// Whether its users cannot log in.
    pub suspended: Option<bool>,
}

/// Renames, suspends or resumes a partner.
///
/// # Errors
/// Not found; `partner-name-taken`.
pub fn update(tx: &mut Tx<'_, Operator>, pid: PartnerId, change: &PartnerChange) -> Result<Partner> {
    let mut partner = get(tx, pid)?;
    tx.enter_partner(pid);
    if let Some(name) = change.name.as_ref().filter(|name| **name != partner.name) {
        partners::rename(tx, pid, name)?;
        let (before, after) = (json!({ "name": partner.name }), json!({ "name": name }));
        events::record(tx, EventKind::PartnerRenamed, Some(before), Some(after))?;
        partner.name.clone_from(name);
    }
    if let Some(suspended) = change.suspended.filter(|s| *s != partner.suspended) {
        if bulk_changes::is_partner_going(tx)? {
            let detail = "this partner is being deleted: it cannot be resumed";
            return Err(Conflict::users("partner-being-deleted", Vec::new(), detail));
        }
        partners::set_suspended(tx, pid, suspended)?;
        let kind = if suspended { EventKind::PartnerSuspended } else { EventKind::PartnerResumed };
        events::record(tx, kind, None, None)?;
        partner.suspended = suspended;
    }
    Ok(partner)
}

/// Checks whether a partner can be deleted.
///
/// # Errors
/// Not found; `partner-not-empty` if it has more than one user and `force` is not given.
pub(super) fn refuse_deletion(tx: &mut Tx<'_, Operator>, pid: PartnerId, force: bool) -> Result<Partner> {
    let partner = get(tx, pid)?;
    if partner.users > 1 && !force {
        let detail = format!(
            "partner {pid} has {} users, who would be deleted with it: delete them first, or say that you mean it \
             (--force, or ?force=true)",
            partner.users
        );
        return Err(Conflict::users("partner-not-empty", Vec::new(), detail));
    }
    Ok(partner)
}

/// Locks all users of the transaction's partner out permanently: it is being deleted.
pub(super) fn keep_out(tx: &mut Tx<'_>) -> Result<()> {
    let pid = tx.pid();
    partners::set_suspended(tx, pid, true)
}

/// Deletes the first rows of the transaction's partner. Returns their number; `None` if the partner itself was deleted.
pub(super) fn delete_some(tx: &mut Tx<'_>, limit: usize) -> Result<usize> {
    let rows = i64::try_from(limit).unwrap_or(i64::MAX);
    let gone = tenantry_store::listing::user_lists::delete_first(tx, rows)?;
    if gone > 0 {
        return Ok(gone);
    }
    let gone = partners::delete_rows(tx, limit)?;
    if gone > 0 {
        return Ok(gone);
    }
    let pid = tx.pid();
    if let Some(partner) = partners::find(tx, pid)? {
        erasures::erase_partner(tx)?;
        partners::delete(tx, pid)?;
        events::record(tx, EventKind::PartnerDeleted, Some(json!({ "name": partner.name })), None)?;
    }
    Ok(0)
}

/// A page of partners, and how many there are in all; from one snapshot.
///
/// # Errors
/// None of its own.
pub fn list_page(
    tx: &mut Tx<'_, Operator>,
    search: Option<&SearchTerm>,
    from: PartnerPosition,
    size: i64,
) -> Result<(Total, Vec<Partner>)> {
    Ok((partners::total(tx, search)?, partners::select(tx, search, from, size)?))
}
