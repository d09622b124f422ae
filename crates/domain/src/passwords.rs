//! The life of a password (contract, part C, Passwords): temporary, permanent, changed, reset.

use zeroize::Zeroizing;

use crate::events::{self, EventKind};
use crate::policy::{self, Person};
use tenantry_core::account_policy::AccountPolicy;
use tenantry_core::clock::Millis;
use tenantry_core::error::{Error, Result};
use tenantry_core::model::{User, UserId};
use tenantry_mail::{Email, EmailContent, Reason, Recipient, Secret};
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::outbox::{self, NewMail};
use tenantry_store::tables::passwords as stored;
use tenantry_store::tables::passwords::{NewPassword, Stored};

/// Number of permanent passwords, including the current one, that a new one must not repeat.
pub const HISTORY: i64 = 12;

/// Mails a temporary password to a user that never had a password (B16).
pub(super) fn issue_first(tx: &mut Tx<'_>, user: &User) -> Result<()> {
    let (password, expires_at) = make_temporary(tx);
    insert_temporary(tx, user.user_id, &password, expires_at)?;
    mail_temporary(tx, user, password, expires_at, Reason::Welcome)?;
    events::record_user(tx, EventKind::PasswordIssued, user.user_id, None, None)
}

/// As [`issue_first`], but returns the password to the operator instead of mailing it.
pub(super) fn tell_temporary(tx: &mut Tx<'_>, user: &User) -> Result<String> {
    let (password, expires_at) = make_temporary(tx);
    insert_temporary(tx, user.user_id, &password, expires_at)?;
    events::record_user(tx, EventKind::PasswordIssued, user.user_id, None, None)?;
    Ok(password.as_str().to_owned())
}

/// Mails a requested temporary password to a user, in addition to the current one. Only the newest temporary one is
/// valid (B22); sessions and the permanent one stay valid until it is used.
pub(super) fn issue_forgotten(tx: &mut Tx<'_>, user: &User) -> Result<()> {
    let (password, expires_at) = make_temporary(tx);
    outbox::withdraw(tx, user.user_id)?;
    stored::delete_temporary(tx, user.user_id)?;
    insert_temporary(tx, user.user_id, &password, expires_at)?;
    mail_temporary(tx, user, password, expires_at, Reason::Forgotten)?;
    let after = serde_json::json!({ "reason": "forgotten" });
    events::record_user(tx, EventKind::PasswordIssued, user.user_id, None, Some(after))
}

pub(super) fn make_temporary(tx: &Tx<'_>) -> (Zeroizing<String>, Millis) {
    (policy::generate_temporary(tx.random()), tx.now() + tx.policy().temporary_password)
}

fn insert_temporary(tx: &mut Tx<'_>, user_id: UserId, password: &str, expires_at: Millis) -> Result<()> {
    let hash = tenantry_passwords::system_generated(password);
    stored::insert(
        tx,
        user_id,
        &NewPassword { hash: &hash, is_temporary: true, expires_at: Some(expires_at) },
    )
}

pub(super) fn mail_temporary(
    tx: &mut Tx<'_>,
    user: &User,
    password: Zeroizing<String>,
    expires_at: Millis,
    reason: Reason,
) -> Result<()> {
    // For a while after a self-service change, password mail goes to the old address (B25).
    let held = match reason {
        Reason::Welcome => None,
        Reason::Reset | Reason::Forgotten => tenantry_store::tables::users::held_email(tx, user.user_id)?,
    };
    let what = EmailContent::TemporaryPassword {
        username: user.username.clone(),
        password: Secret::new(password.as_str().to_owned()),
        reason,
        expires_at,
    };
    notify(tx, user, held.as_deref().unwrap_or(&user.profile.email), what)
}

/// Puts a mail to a user into the outbox.
pub(super) fn notify(tx: &mut Tx<'_>, user: &User, address: &str, what: EmailContent) -> Result<()> {
    let (is_secret, expires_at) = (what.is_secret(), what.expires_at());
    let name = format!("{} {}", user.profile.first_name, user.profile.last_name);
    let email = Email { to: Recipient { name, address: address.to_owned() }, what };
    let letter = serde_json::to_string(&email)
        .map(Zeroizing::new)
        .map_err(|e| Error::internal(format!("a mail cannot be serialized: {e}")))?;
    outbox::insert(tx, &NewMail { user_id: user.user_id, letter: &letter, is_secret, expires_at })
}

/// Sets the permanent password of a user that is being created: the first admin.
pub(super) fn set_permanent(tx: &mut Tx<'_>, user_id: UserId, hash: &str) -> Result<()> {
    stored::insert(tx, user_id, &NewPassword { hash, is_temporary: false, expires_at: None })
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
