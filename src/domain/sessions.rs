//! Sessions that have ended.

use crate::clock::{DAY, Millis};
use crate::error::Result;
use crate::storage::{Tx, sessions};

/// How long an access token is kept after its end, so that its bearer is told "expired", not "invalid".
const KEPT: Millis = DAY;

/// Removes tokens and sessions that ended more than a day ago, of all partners, at most `limit` of each (a session
/// takes its tokens along; one that is refreshed for ever leaves its old ones here). How many; as long as there are `limit` or more, there may be others.
///
/// # Errors
/// None of its own.
pub fn purge(tx: &mut Tx<'_>, limit: i64) -> Result<usize> {
    let before = tx.now() - KEPT;
    sessions::purge(tx, before, limit)
}
