//! Which addresses of users are proven to be theirs.
//!
//! `users.verified_email` counts only while it equals `email`. Every update of a user that changes the address clears
//! it ([`crate::tables::users::update`]), so an address is not proven because the user had it before.

use crate::engine::tx::Tx;
use tenantry_core::error::Result;
use tenantry_core::model::UserId;

/// Whether the address of a user is proven to be its own; false if there is no such user.
pub fn is_verified(tx: &mut Tx<'_>, user_id: UserId) -> Result<bool> {
    let found = tx.row(
        "SELECT 1 FROM users WHERE pid = $1 AND user_id = $2 AND verified_email = email",
        &[user_id.into()],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

/// Records that this address was proven to be the user's. Returns whether that is news: false if it was proven before,
/// or is not the user's address (any more).
pub fn set_verified(tx: &mut Tx<'_>, user_id: UserId, address: &str) -> Result<bool> {
    let changed = tx.execute(
        "UPDATE users SET verified_email = email WHERE pid = $1 AND user_id = $2 AND email = $3 \
         AND (verified_email IS NULL OR verified_email <> email)",
        &[user_id.into(), address.into()],
    )?;
    Ok(changed > 0)
}
