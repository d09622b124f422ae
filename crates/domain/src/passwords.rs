//! The life of a password (contract, part C, Passwords): temporary, permanent, changed, reset.

use zeroize::Zeroizing;

use crate::events::{self, EventKind};
use crate::policy::{self, Person};
use tenantry_core::account_policy::AccountPolicy;
use tenantry_core::clock::Millis;
use tenantry_core::error::Result;
use tenantry_core::languages::Language;
use tenantry_core::model::{User, UserId};
use tenantry_mail::{Email, EmailContent, Reason, Recipient, Secret};
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::outbox;
use tenantry_store::tables::passwords as stored;
use tenantry_store::tables::passwords::{NewPassword, Stored};

/// Number of permanent passwords, including the current one, that a new one must not repeat.
pub const HISTORY: i64 = 12;

/// Mails a temporary password to a user that never had a password (B16).
pub(super) fn issue_first(tx: &mut Tx<'_>, user: &User) -> Result<()> {
    let (password, expires_at) = make_temporary(tx);
    let address = address_for(tx, user, Reason::Welcome)?;
    insert_temporary(tx, user.user_id, &password, expires_at, Some(&address))?;
    mail_temporary(tx, user, &address, password, expires_at, Reason::Welcome)?;
    events::record_user(tx, EventKind::PasswordIssued, user.user_id, None, None)
}

/// As [`issue_first`], but returns the password to the operator instead of mailing it.
pub(super) fn issue_and_return(tx: &mut Tx<'_>, user: &User) -> Result<String> {
    let (password, expires_at) = make_temporary(tx);
    insert_temporary(tx, user.user_id, &password, expires_at, None)?;
    events::record_user(tx, EventKind::PasswordIssued, user.user_id, None, None)?;
    Ok(password.as_str().to_owned())
}

/// Mails a requested temporary password to a user, in addition to the current one. Only the newest temporary one is
/// valid (B22); sessions and the permanent one stay valid until it is used.
pub(super) fn issue_forgotten(tx: &mut Tx<'_>, user: &User) -> Result<()> {
    let (password, expires_at) = make_temporary(tx);
    outbox::withdraw(tx, user.user_id)?;
    stored::delete_temporary(tx, user.user_id)?;
    let address = address_for(tx, user, Reason::Forgotten)?;
    insert_temporary(tx, user.user_id, &password, expires_at, Some(&address))?;
    mail_temporary(tx, user, &address, password, expires_at, Reason::Forgotten)?;
    let after = serde_json::json!({ "reason": "forgotten" });
    events::record_user(tx, EventKind::PasswordIssued, user.user_id, None, Some(after))
}

pub(super) fn make_temporary(tx: &Tx<'_>) -> (Zeroizing<String>, Millis) {
    (policy::generate_temporary(tx.random()), tx.latest() + tx.policy().temporary_password)
}

fn insert_temporary(
    tx: &mut Tx<'_>,
    user_id: UserId,
    password: &str,
    expires_at: Millis,
    mailed_to: Option<&str>,
) -> Result<()> {
    let hash = tenantry_passwords::system_generated(password);
    let new = NewPassword { hash: &hash, is_temporary: true, expires_at: Some(expires_at), mailed_to };
    stored::insert(tx, user_id, &new)
}

/// The address for password mail: for a while after a self-service change the old one (B25).
pub(super) fn address_for(tx: &mut Tx<'_>, user: &User, reason: Reason) -> Result<String> {
    let held = match reason {
        Reason::Welcome => None,
        Reason::Reset | Reason::Forgotten => tenantry_store::tables::users::held_email(tx, user.user_id)?,
    };
    Ok(held.unwrap_or_else(|| user.profile.email.clone()))
}

/// Mails a temporary password to [`address_for`] it.
pub(super) fn mail_temporary(
    tx: &mut Tx<'_>,
    user: &User,
    address: &str,
    password: Zeroizing<String>,
    expires_at: Millis,
    reason: Reason,
) -> Result<()> {
    let content = EmailContent::TemporaryPassword {
        username: user.username.clone(),
        password: Secret::new(password.as_str().to_owned()),
        reason,
        expires_at,
    };
    notify(tx, user, address, content)
}

/// Puts a mail to a user into the outbox.
pub(super) fn notify(tx: &mut Tx<'_>, user: &User, address: &str, content: EmailContent) -> Result<()> {
    let name = format!("{} {}", user.profile.first_name, user.profile.last_name);
    let language = user.profile.locale.as_deref().and_then(Language::parse).unwrap_or_default();
    let email = Email::new(Recipient { name, address: address.to_owned() }, content, language);
    outbox::insert(tx, user.user_id, &email)
}

/// Sets the permanent password of a user that is being created: the first admin.
pub(super) fn set_permanent(tx: &mut Tx<'_>, user_id: UserId, hash: &str) -> Result<()> {
    stored::insert(tx, user_id, &NewPassword { hash, is_temporary: false, expires_at: None, mailed_to: None })
}

/// What a password must not contain (part C, Passwords).
pub(super) fn person(user: &User) -> Person<'_> {
    Person {
        username: &user.username,
        first_name: &user.profile.first_name,
        last_name: &user.profile.last_name,
        email: &user.profile.email,
    }
}

/// Whether a stored password can no longer log in. An expired permanent one still opens a restricted session.
pub(super) fn has_ended(password: &Stored, now: Millis) -> bool {
    password.is_temporary && password.expires_at.is_some_and(|at| now >= at)
}

/// Whether a permanent password is past its expiry (option), so that it must be changed first (B22).
pub(super) fn is_overdue(password: &Stored, policy: &AccountPolicy, now: Millis) -> bool {
    !password.is_temporary && policy.password_expiry.is_some_and(|expiry| now >= password.created_at + expiry)
}
