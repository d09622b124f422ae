//! Remembered devices: browsers in which a user has given a second factor and is not asked for one again. Their cookie is
//! `rd_<partner>_<random>`; the database only has its SHA-256. They are forgotten with the password.

use zeroize::Zeroizing;

use crate::token_text::partner_of;
use crate::tokens;
use tenantry_core::clock::{DAY, Millis};
use tenantry_core::error::Result;
use tenantry_core::model::UserId;
use tenantry_store::access::Member;
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::factors as stored;

/// The most devices of a user that are remembered.
const MOST: i64 = 20;

/// How long a device is kept that is no longer remembered: another server's clock may be behind.
const KEPT: Millis = DAY;

/// Whether a browser with this cookie is remembered for the user.
pub(crate) fn is_remembered(tx: &mut Tx<'_>, user_id: UserId, cookie: Option<&str>) -> Result<bool> {
    let Some(cookie) = cookie.filter(|cookie| partner_of(cookie, "rd") == Some(tx.pid())) else {
        return Ok(false);
    };
    if tx.policy().remember_device == 0 {
        return Ok(false);
    }
    stored::is_remembered(tx, user_id, &tokens::hash(cookie))
}

/// Remembers the browser of a user, unless the setting is 0. Returns its cookie.
pub(super) fn remember(tx: &mut Tx<'_>, user_id: UserId) -> Result<Option<Zeroizing<String>>> {
    let (pid, life) = (tx.pid(), tx.policy().remember_device);
    if life == 0 {
        return Ok(None);
    }
    let cookie = Zeroizing::new(format!("rd_{pid}_{}", tx.random().token::<32>()));
    let expires_at = tx.latest() + life;
    stored::remember_device(tx, user_id, &tokens::hash(&cookie), expires_at, MOST)?;
    Ok(Some(cookie))
}

/// Forgets all devices of the caller: a second factor is asked for on each of them again.
///
/// # Errors
/// None of its own.
pub fn forget_own(tx: &mut Tx<'_, Member>) -> Result<()> {
    let user_id = tx.scope().user_id();
    stored::forget_devices(tx, user_id)
}

/// Removes devices that are no longer remembered, of all partners, at most `limit`. Returns their number.
///
/// # Errors
/// None of its own.
pub fn purge(tx: &mut Tx<'_>, limit: i64) -> Result<usize> {
    let before = tx.steady() - KEPT;
    stored::purge_devices(tx, before, limit)
}
