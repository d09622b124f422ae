//! Forgotten passwords: anybody can request a mail, only the owner receives it.
//!
//! A request is checked, counted for its address and stored; then it is answered. The worker looks up whether there is
//! such a user, so neither the response nor its time reveals that. The old password stays valid until the temporary one
//! is used (`logins`), so requests for another person do no harm.

use std::net::IpAddr;

use crate::services::Services;
use crate::{passwords, throttle, unit};
use tenantry_core::clock::{DAY, MINUTE, Millis};
use tenantry_core::error::Result;
use tenantry_core::model::{PartnerId, Status, UserId};
use tenantry_core::values;
use tenantry_store::access::nobody;
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::forgot_password as stored;
use tenantry_store::tables::forgot_password::PasswordRequest;
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
}

impl Whose {
    /// Whether it is an address, and the key to compare: empty for a value that no user can have.
    fn key(&self) -> (bool, String) {
        match self {
            Self::Username(name) => (false, values::username_key(name).unwrap_or_default()),
            Self::Email(address) => (true, values::email(address).map(values::fold).unwrap_or_default()),
        }
    }
}

/// Accepts a request. The response and the work are the same for any user.
///
/// # Errors
/// [`tenantry_core::error::Error::TooMany`] for an address that asks too often.
pub async fn ask(services: &Services, address: IpAddr, whose: &Whose) -> Result<()> {
    let (by_email, key) = whose.key();
    unit::write(&services.store, &nobody(), move |tx| {
        throttle::count_request(tx, address)?;
        stored::insert(tx, by_email, &key)
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
    users::claim(tx, user_id)?;
    let (now, pid) = (tx.now(), tx.pid());
    let Some(user) = users::find(tx, user_id)? else { return Ok(false) };
    if user.status != Status::Active || partners::is_suspended(tx, pid)? {
        return Ok(false);
    }
    let issued = stored::list_issued(tx, user_id, now - DAY)?;
    let is_too_soon = issued.first().is_some_and(|&at| now < at + PAUSE);
    if is_too_soon || issued.len() >= PER_DAY {
        return Ok(false);
    }
    stored::set_issued(tx, user_id, now - DAY)?;
    passwords::issue_forgotten(tx, &user)?;
    Ok(true)
}
