//! What a clock that was set back leaves behind: stored times that are ahead of it. A process that has its database to
//! itself measures by a monotonic clock, but not across a restart, and several processes measure by the clock of their
//! database. Unless they are moved, a limit of five minutes would last as long as the clock was set back by.
//!
//! Mail and stored responses are moved in steps: [`crate::outbox::list_waiting_too_long`], [`crate::idempotency::move_back`].

use tenantry_core::clock::SLACK;
use tenantry_core::error::Result;
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::{bulk_operations, large_units, login_failures};

/// Has failed logins that are ahead count as of now, and leases end no later than if they began now. Returns the number
/// of rows.
///
/// # Errors
/// None of its own.
pub fn move_back(tx: &mut Tx<'_>) -> Result<usize> {
    let most = tx.steady() + SLACK;
    let large = crate::large_units::LEASE;
    let bulk = crate::bulk_operations::LEASE;
    let until = |lease| (most + lease, most - SLACK + lease);
    let (most_large, until_large) = until(large);
    let (most_bulk, until_bulk) = until(bulk);
    Ok(login_failures::move_back(tx, most)?
        + large_units::shorten(tx, most_large, until_large)?
        + bulk_operations::shorten_leases(tx, most_bulk, until_bulk)?)
}
