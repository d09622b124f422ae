//! Erasing: of an erased user only ids, times and kinds of events remain.
//!
//! Mail, stored responses and the row in `deleted_users` are removed in the transaction that erases. So are the values
//! in the newest events of the user, up to a limit; the worker blanks the others in steps, and then empties the
//! write-ahead log.

use serde_json::Value;

use crate::events::{self, EventKind};
use crate::idempotency;
use tenantry_core::error::{Error, Result};
use tenantry_core::model::{PartnerId, UserId};
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::erasures as stored;
use tenantry_store::tables::erasures::{EVERYBODY, Erasure, SessionAddress, Shown};
use tenantry_store::tables::{forgot_password, outbox, sessions, stored_responses};

/// Events of one user that are blanked in the transaction that erases it.
const AT_ONCE: i64 = 100;

/// The members of events that are not personal. Every other member is blanked, so a member that is added later is
/// blanked unless it is listed here.
const IMPERSONAL: [&str; 9] =
    ["attempts", "clientId", "factor", "groups", "isAdmin", "mailId", "reason", "sessions", "status"];

/// The members of events with the client's address and user agent.
const ADDRESSES: [&str; 2] = ["address", "userAgent"];

/// The values of a user in an event, with personal values set to null.
pub(super) fn blank(mut picture: Value) -> Value {
    set_null(&mut picture, |name| !IMPERSONAL.contains(&name));
    picture
}

/// Returns whether anything was set.
fn set_null(picture: &mut Value, which: impl Fn(&str) -> bool) -> bool {
    let mut is_changed = false;
    match picture {
        Value::Object(members) => {
            for (name, value) in members {
                if which(name) && !value.is_null() {
                    *value = Value::Null;
                    is_changed = true;
                }
            }
        }
        Value::Null => {}
        // Never recorded like this. Whatever it is, it may be personal.
        other if which("") => {
            *other = Value::Null;
            is_changed = true;
        }
        _ => {}
    }
    is_changed
}

/// The same for stored JSON; `None` if it is unchanged.
fn set_null_in(text: Option<&str>, which: impl Fn(&str) -> bool) -> Result<Option<String>> {
    let Some(text) = text else { return Ok(None) };
    let mut picture: Value =
        serde_json::from_str(text).map_err(|_| Error::internal("an event contains invalid JSON"))?;
    Ok(set_null(&mut picture, which).then(|| picture.to_string()))
}

/// What is erased in the transaction itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// Also the values in the user's events, up to a limit.
    Complete,
    /// Not the values in the user's events: this is one of many users.
    OneOfMany,
}

/// Erases the rest of a user whose rows were deleted, and records it.
pub(super) fn erase(tx: &mut Tx<'_>, user_id: UserId, extent: Extent) -> Result<()> {
    outbox::delete_of(tx, user_id)?;
    stored_responses::replace_of(tx, Some(user_id), idempotency::ERASED)?;
    let mut erasure = Erasure { user_id, after_event: 0 };
    if extent == Extent::Complete {
        forgot_password::delete_of_nobody(tx)?;
        blank_events(tx, &mut erasure, AT_ONCE)?;
    }
    // Inserted even if all is done: the worker then empties the log.
    stored::insert(tx, erasure)?;
    events::record_user(tx, EventKind::UserErased, user_id, None, None)
}

/// Erases the rest of the users of the transaction's partner, which is being deleted.
pub(super) fn erase_partner(tx: &mut Tx<'_>) -> Result<()> {
    stored_responses::replace_of(tx, None, idempotency::ERASED)?;
    forgot_password::delete_of_nobody(tx)?;
    stored::delete_addresses(tx)?;
    stored::insert(tx, Erasure { user_id: EVERYBODY, after_event: 0 })
}

/// Blanks the next events of an erasure. Returns their number.
fn blank_events(tx: &mut Tx<'_>, erasure: &mut Erasure, limit: i64) -> Result<usize> {
    let found = stored::list_events(tx, *erasure, limit)?;
    let is_personal = |name: &str| !IMPERSONAL.contains(&name);
    for Shown { event_id, before, after } in &found {
        erasure.after_event = *event_id;
        let blank_before = set_null_in(before.as_deref(), is_personal)?;
        let blank_after = set_null_in(after.as_deref(), is_personal)?;
        if blank_before.is_none() && blank_after.is_none() {
            continue;
        }
        let (before, after) =
            (blank_before.or_else(|| before.clone()), blank_after.or_else(|| after.clone()));
        stored::set_event(tx, &Shown { event_id: *event_id, before, after })?;
    }
    Ok(found.len())
}

/// Partners with erased users whose events are not all blanked.
///
/// # Errors
/// None of its own.
pub fn list_partners(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<PartnerId>> {
    stored::list_partners(tx, limit)
}

/// The result of a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ErasureStep {
    /// Completed erasures.
    pub done: usize,
    /// Whether there may be more to do for this partner.
    pub has_more: bool,
}

/// Blanks at most `limit` events of erased users of the transaction's partner, and deletes forgotten-password requests
/// that no longer match a user.
///
/// # Errors
/// None of its own.
pub fn step(tx: &mut Tx<'_>, limit: i64) -> Result<ErasureStep> {
    let taken = stored::take(tx, limit)?;
    let mut step = ErasureStep { done: 0, has_more: taken.len() == usize::try_from(limit).unwrap_or(0) };
    if !taken.is_empty() {
        forgot_password::delete_of_nobody(tx)?;
    }
    let mut left = limit;
    for mut erasure in taken {
        let found = i64::try_from(blank_events(tx, &mut erasure, left)?).unwrap_or(left);
        if found == left {
            stored::advance(tx, erasure)?;
            return Ok(ErasureStep { has_more: true, ..step });
        }
        left -= found;
        stored::delete(tx, erasure.user_id)?;
        step.done += 1;
    }
    Ok(step)
}

/// Blanks at most `limit` addresses in events of sessions, of all partners, once their retention has ended. Returns how
/// many it checked.
///
/// # Errors
/// None of its own.
pub fn erase_addresses(tx: &mut Tx<'_>, limit: i64) -> Result<usize> {
    let due = stored::take_addresses(tx, limit)?;
    for address in &due {
        let goes_at = address.session_ends.map(|ends| ends + sessions::ADDRESS_KEPT);
        match goes_at.filter(|at| *at > tx.now()) {
            Some(later) => stored::postpone_address(tx, address, later)?,
            None => erase_address(tx, address)?,
        }
    }
    Ok(due.len())
}

fn erase_address(tx: &mut Tx<'_>, address: &SessionAddress) -> Result<()> {
    if let Some(event) = stored::find_event(tx, address)?
        && let Some(after) = set_null_in(event.after.as_deref(), |name| ADDRESSES.contains(&name))?
    {
        stored::set_after(tx, address, &after)?;
    }
    stored::delete_address(tx, address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_member_that_is_not_known_to_be_impersonal_is_blanked() {
        let picture =
            json!({ "username": "ada", "isAdmin": true, "groups": [1], "nickname": { "of": "Ada" } });
        let blanked = json!({ "username": null, "isAdmin": true, "groups": [1], "nickname": null });
        assert_eq!(blank(picture), blanked);
        assert_eq!(blank(blanked.clone()), blanked);
        assert_eq!(blank(json!("ada")), Value::Null);
        let kept = |text| set_null_in(Some(text), |name| ADDRESSES.contains(&name)).unwrap();
        assert_eq!(
            kept(r#"{"clientId":"c","address":"::1"}"#).as_deref(),
            Some(r#"{"clientId":"c","address":null}"#)
        );
        assert_eq!((kept(r#"{"clientId":"c"}"#), kept(r#""text""#), kept("null")), (None, None, None));
    }
}
