//! Handling of wrong passwords (B23).

use crate::events::{self, EventKind};
use tenantry_core::clock::{MINUTE, Millis, SLACK};
use tenantry_core::error::Result;
use tenantry_core::model::{Status, UserId};
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::partners;
use tenantry_store::tables::users::{self, Failures};

/// How long logins of the last ACTIVE admin are refused after every fifth failure.
const REFUSAL: Millis = 15 * MINUTE;

/// Whether logins are refused at `now`. A refusal that ends later than one that begins now was stored before the clock
/// was set back.
pub(super) fn is_refused(failures: &Failures, now: Millis) -> bool {
    failures.refused_until > now && failures.refused_until <= now + REFUSAL + SLACK
}

/// Whether the user may log in now with the right password.
pub(super) fn may_log_in(tx: &mut Tx<'_>, user_id: UserId) -> Result<bool> {
    let now = tx.steady();
    users::may_log_in(tx, user_id, |failures| is_refused(failures, now))
}

/// Counts a wrong password (B23): the fifth in a row locks the user. The last ACTIVE admin is refused for a while
/// instead; otherwise anybody could lock a partner out.
pub(super) fn count(tx: &mut Tx<'_>, user_id: UserId) -> Result<()> {
    let now = tx.steady();
    let Some(user) = users::find(tx, user_id)? else { return Ok(()) };
    let failures = users::failures(tx, user_id)?;
    if user.status != Status::Active || is_refused(&failures, now) {
        users::count_unknown_login(tx);
        return Ok(());
    }
    let count = failures.count + 1;
    if count < tx.policy().lockout_threshold {
        return users::set_failures(tx, user_id, Failures { count, refused_until: 0 });
    }
    if user.is_admin {
        // Two admins must not be locked concurrently because each is not the last one: whether this is the last one
        // must hold until the unit ends.
        partners::lock_row(tx)?;
    }
    if !crate::users::is_last_admin(tx, &user)? {
        users::set_failures(tx, user_id, Failures { count, refused_until: 0 })?;
        return crate::users::lock(tx, &user);
    }
    let refused_until = if count % tx.policy().lockout_threshold == 0 { now + REFUSAL } else { 0 };
    users::set_failures(tx, user_id, Failures { count, refused_until })?;
    if refused_until > 0 {
        events::record_user(tx, EventKind::UserLoginRefused, user_id, None, None)?;
    }
    Ok(())
}
