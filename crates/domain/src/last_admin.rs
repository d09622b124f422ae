//! The rule that a partner keeps an ACTIVE admin (B10).

use tenantry_core::error::{Conflict, Result};
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::{partners, users};

/// The error text of B10.
pub(super) const LAST_ADMIN: &str = "this would leave the partner without an ACTIVE partner admin: make another user one first; nothing was changed";

/// B10: a partner that had an ACTIVE admin keeps one. Runs at the end of every unit that may have taken one away.
pub(super) fn keep_an_admin(tx: &mut Tx<'_>) -> Result<()> {
    if tx.must_keep_an_admin() {
        // Two units that each take another admin away must see each other.
        partners::lock_row(tx)?;
        if !users::has_active_admin(tx)? {
            return Err(Conflict::users("last-admin", Vec::new(), LAST_ADMIN));
        }
    }
    Ok(())
}
