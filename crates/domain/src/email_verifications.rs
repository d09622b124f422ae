//! Whether a user's address is proven to be its own: the claim `email_verified` (OpenID Connect Core §5.1).
//!
//! It is proven by a temporary password that was mailed to the address and then used, or by a link that was mailed to it
//! and whose page's button was pressed: mail scanners follow links, but press no buttons. Every change of the address, by
//! whatever way, takes the proof back ([`tenantry_store::tables::email_verifications`]). The API does not show it.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::events::{self, EventKind};
use crate::passwords::notify;
use crate::requested_mails::MailLimit;
use crate::services::Services;
use crate::{sealed, unit, users};
use tenantry_core::clock::{DAY, MINUTE, Millis};
use tenantry_core::error::{Error, Result};
use tenantry_core::model::{PartnerId, Status, User, UserId};
use tenantry_mail::{EmailContent, Secret};
use tenantry_store::access::{Member, Within, system_within};
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::email_verifications as stored;
use tenantry_store::tables::passwords::Stored;
use tenantry_store::tables::requested_mails::MailKind;
use tenantry_store::tables::{partners, users as stored_users};

/// How long a link is valid.
const VALID: Millis = DAY;

/// What links are sealed for.
const PURPOSE: &str = "verify-email";

const LIMIT: MailLimit = MailLimit { kind: MailKind::VerificationLink, pause: MINUTE, per_day: 10 };

/// The content of a link: whose address it proves, and exactly which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Link {
    pid: i64,
    user_id: i64,
    address: String,
}

/// Whether the address of a user of the transaction's partner is proven to be its own.
///
/// # Errors
/// None of its own.
pub fn is_verified(tx: &mut Tx<'_>, user_id: UserId) -> Result<bool> {
    stored::is_verified(tx, user_id)
}

/// Records that a user has used this password: a temporary one proves the address that it was mailed to, if that is
/// (still) the user's. The events of the password and of the session tell it; there is none for this.
pub(super) fn note_use_of(tx: &mut Tx<'_>, user: &User, password: &Stored) -> Result<()> {
    match &password.mailed_to {
        Some(address) if password.is_temporary => stored::set_verified(tx, user.user_id, address).map(drop),
        _ => Ok(()),
    }
}

/// Mails the caller a link that proves its current address. Returns whether it did: not if that is proven already.
///
/// # Errors
/// [`Error::TooMany`] for a user who was mailed too many links.
pub async fn send_link(services: &Services, member: &Member) -> Result<bool> {
    let user = services.store.read(member, users::get_self).await?;
    let (expires_at, address) = (services.clock.read().latest + VALID, user.profile.email);
    let link = Link { pid: user.pid.0, user_id: user.user_id.0, address: address.clone() };
    let link = sealed::seal(services, PURPOSE, &link, VALID)?;
    unit::write(&services.store, member, move |tx| {
        let user = users::get_self(tx)?;
        // Changed between the two transactions: the link would prove nothing.
        if user.profile.email != address || stored::is_verified(tx, user.user_id)? {
            return Ok(false);
        }
        if let Some(wait) = LIMIT.count(tx, user.user_id)? {
            return Err(Error::TooMany(wait));
        }
        let (username, link) = (user.username.clone(), Secret::new(link.clone()));
        let content = EmailContent::VerifyEmail { username, link, expires_at };
        notify(tx, &user, &address, content)?;
        Ok(true)
    })
    .await
}

/// The state of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// It can prove this address.
    Good(String),
    /// Its address is proven, by this link or otherwise.
    Proven(String),
    /// It has expired, was changed, or is of an address that the user no longer has.
    Invalid,
}

/// The state of a link, for the page that it opens. Changes nothing.
///
/// # Errors
/// None of its own.
pub async fn find_link(services: &Services, link: &str) -> Result<LinkState> {
    let Some(link) = open(services, link) else { return Ok(LinkState::Invalid) };
    services.store.read(&system_within(PartnerId(link.pid)), move |tx| state(tx, &link)).await
}

/// Records that the address of a link is proven: its page's button was pressed. Returns the state before. Pressing it
/// again changes nothing.
///
/// # Errors
/// None of its own.
pub async fn confirm(services: &Services, link: &str) -> Result<LinkState> {
    let Some(link) = open(services, link) else { return Ok(LinkState::Invalid) };
    let pid = PartnerId(link.pid);
    let work = move |tx: &mut Tx<'_, Within>| {
        let found = state(tx, &link)?;
        if let LinkState::Good(address) = &found
            && stored::set_verified(tx, UserId(link.user_id), address)?
        {
            let after = json!({ "email": address });
            events::record_user(tx, EventKind::EmailVerified, UserId(link.user_id), None, Some(after))?;
        }
        Ok(found)
    };
    unit::write(&services.store, &system_within(pid), work).await
}

fn open(services: &Services, link: &str) -> Option<Link> {
    sealed::open(services, PURPOSE, link)
}

fn state(tx: &mut Tx<'_>, link: &Link) -> Result<LinkState> {
    let (pid, user_id) = (tx.pid(), UserId(link.user_id));
    let user = stored_users::find(tx, user_id)?.filter(|user| user.profile.email == link.address);
    let Some(user) = user.filter(|user| user.status == Status::Active) else { return Ok(LinkState::Invalid) };
    if partners::is_suspended(tx, pid)? {
        return Ok(LinkState::Invalid);
    }
    let address = user.profile.email;
    Ok(if stored::is_verified(tx, user_id)? { LinkState::Proven(address) } else { LinkState::Good(address) })
}
