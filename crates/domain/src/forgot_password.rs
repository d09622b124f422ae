//! Forgotten passwords: anybody can request a mail, only the owner receives it.
//!
//! A request is checked, counted for its address and stored; then it is answered. The worker looks up whether there is
//! such a user, so neither the response nor its time reveals that. The old password stays valid until the temporary one
//! is used (`logins`), so requests for another person do no harm.

use std::net::IpAddr;

use crate::services::Services;
use crate::{passwords, throttle, unit};
use tenantry_core::clock::{DAY, MINUTE, Millis, SLACK};
use tenantry_core::error::Result;
use tenantry_core::model::{PartnerId, Status, UserId};
use tenantry_core::values;
use tenantry_store::access::nobody;
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::forgot_password as stored;
use tenantry_store::tables::forgot_password::{PasswordRequest, Wanted};
use tenantry_store::tables::{partners, users};

/// Minimum interval between two mails to a user.
const PAUSE: Millis = 10 * MINUTE;

/// Maximum number of mails to a user per day.
const PER_DAY: usize = 5;

/// Users with the same e-mail address per query.
const CHUNK: i64 = 100;

/// The user of a request, as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// The user of this name.
    Username(String),
    /// Every user with this address.
    Email(String),
    /// The user of this name and, if it looks like an address, every user with that: what a person types into the one field
    /// of a page.
    Either(String),
}

impl Whose {
    /// What to look up: whether it is an address, and the key to compare: empty for a value that no user can have. It depends
    /// on the text alone.
    fn keys(&self) -> Vec<(bool, String)> {
        let by_name = |name: &str| (false, values::username_key(values::trim(name)).unwrap_or_default());
        match self {
            Self::Username(name) => vec![by_name(name)],
            Self::Email(address) => vec![(true, email_key(address))],
            Self::Either(text) if text.contains('@') => vec![by_name(text), (true, email_key(text))],
            Self::Either(text) => vec![by_name(text)],
        }
    }
}

/// The key of an address to compare: empty for a value that no user can have.
pub(super) fn email_key(address: &str) -> String {
    values::email(values::trim(address)).map(values::email_key).unwrap_or_default()
}

/// Accepts a request. The response and the work are the same for any user.
///
/// # Errors
/// [`tenantry_core::error::Error::TooMany`] for an address that asks too often.
pub async fn ask(services: &Services, address: IpAddr, whose: &Whose) -> Result<()> {
    let keys = whose.keys();
    unit::write(&services.store, &nobody(), move |tx| {
        throttle::count_request(tx, address)?;
        keys.iter().try_for_each(|(by_email, key)| stored::insert(tx, Wanted::Password, *by_email, key))
    })
    .await
}

/// Requests waiting for the worker.
///
/// # Errors
/// None of its own.
pub fn list(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<PasswordRequest>> {
    stored::list(tx, limit)
}

/// Deletes a processed request.
///
/// # Errors
/// None of its own.
pub fn settle(tx: &mut Tx<'_>, request: &PasswordRequest) -> Result<()> {
    stored::delete(tx, request.request_id)
}

/// The next users of a request with ids after `after`; empty if there are no more.
///
/// # Errors
/// None of its own.
pub fn find(tx: &mut Tx<'_>, request: &PasswordRequest, after: UserId) -> Result<Vec<(PartnerId, UserId)>> {
    if request.key.is_empty() {
        return Ok(Vec::new());
    }
    if request.by_email {
        return stored::find_by_email(tx, &request.key, after, CHUNK);
    }
    let found = users::find_username(tx, &request.key)?;
    Ok(found.into_iter().filter(|(_, id)| *id > after).collect())
}

/// Mails a user of this transaction's partner a temporary password, if it is ACTIVE and has not got too many mails.
/// Returns whether it did.
///
/// # Errors
/// None of its own.
pub fn issue(tx: &mut Tx<'_>, user_id: UserId) -> Result<bool> {
    // The decision depends on rows of another table.
    users::lock_row(tx, user_id)?;
    let (now, pid) = (tx.steady(), tx.pid());
    let Some(user) = users::find(tx, user_id)? else { return Ok(false) };
    if user.status != Status::Active || partners::is_suspended(tx, pid)? {
        return Ok(false);
    }
    let issued = stored::list_issued(tx, user_id, now - DAY)?;
    // One that is ahead of a clock that was set back counts for the day, and does not defer the next one until then.
    let is_too_soon = issued.iter().any(|&at| now < at + PAUSE && at <= now + SLACK);
    if is_too_soon || issued.len() >= PER_DAY {
        return Ok(false);
    }
    stored::set_issued(tx, user_id, now - DAY)?;
    passwords::issue_forgotten(tx, &user)?;
    Ok(true)
}
