//! Forgotten usernames: anybody can request a mail, only the owner of the address receives it.
//!
//! As with forgotten passwords, a request is counted for the client's address and stored; then it is answered. The worker
//! looks up whose address it is. Addresses are not unique: each of its users is mailed its own username, in a mail of its
//! own, so that no partner's mail names an account of another one.

use std::net::IpAddr;

use crate::passwords::notify;
use crate::requested_mails::MailLimit;
use crate::services::Services;
use crate::{forgot_password, throttle, unit};
use tenantry_core::clock::{DAY, MINUTE};
use tenantry_core::error::Result;
use tenantry_core::model::{Status, UserId};
use tenantry_mail::EmailContent;
use tenantry_store::access::nobody;
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::forgot_password::{self as stored, Wanted};
use tenantry_store::tables::requested_mails::MailKind;
use tenantry_store::tables::{partners, users};

/// Maximum number of users that are mailed for one request: of an address that more have, the ones created first.
pub const MOST: usize = 20;

const LIMIT: MailLimit = MailLimit { kind: MailKind::Username, pause: 10 * MINUTE, per_day: 5 };

/// Accepts a request. The response and the work are the same for any address. It counts as a forgotten-password request
/// of this client.
///
/// # Errors
/// [`tenantry_core::error::Error::TooMany`] for a client address that asks too often.
pub async fn ask(services: &Services, client: IpAddr, email: &str) -> Result<()> {
    let key = forgot_password::email_key(email);
    unit::write(&services.store, &nobody(), move |tx| {
        throttle::count_request(tx, client)?;
        stored::insert(tx, Wanted::Username, true, &key)
    })
    .await
}

/// Mails a user of this transaction's partner its username, if it is ACTIVE and has not got too many such mails. Returns
/// whether it counts as one of the [`MOST`] users: an ACTIVE one.
///
/// # Errors
/// None of its own.
pub fn issue(tx: &mut Tx<'_>, user_id: UserId) -> Result<bool> {
    let pid = tx.pid();
    let Some(user) = users::find(tx, user_id)? else { return Ok(false) };
    if user.status != Status::Active || partners::is_suspended(tx, pid)? {
        return Ok(false);
    }
    if LIMIT.count(tx, user_id)?.is_none() {
        let expires_at = tx.latest() + DAY;
        let content = EmailContent::ForgottenUsername { username: user.username.clone(), expires_at };
        notify(tx, &user, &user.profile.email, content)?;
    }
    Ok(true)
}
