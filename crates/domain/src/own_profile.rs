//! A person's own profile, as the account page shows and changes it.
//!
//! A form is filled in for a while, and the profile can change meanwhile. Each field comes with the value that the form
//! began with, so that only fields that the person has changed are stored, and no change of somebody else is overwritten
//! unseen.

use tenantry_core::clock::Millis;
use tenantry_core::error::{Error, FieldError, Result};
use tenantry_core::model::{Status, User};
use tenantry_core::user_fields::ProfileField;
use tenantry_core::values;
use tenantry_store::access::Member;
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::{email_verifications, users as stored};

use crate::users::{self, UserChange};

/// A field that people change on the account page (A3). The language has a page of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnField {
    /// The name to sign in with.
    Username,
    /// A text of the profile.
    Profile(ProfileField),
}

impl OwnField {
    /// Every field, in the order of the page.
    pub const ALL: [Self; 7] = [
        Self::Username,
        Self::Profile(ProfileField::FirstName),
        Self::Profile(ProfileField::LastName),
        Self::Profile(ProfileField::DisplayName),
        Self::Profile(ProfileField::Title),
        Self::Profile(ProfileField::PhoneNumber),
        Self::Profile(ProfileField::Email),
    ];

    /// Its name in the API, of which errors are the JSON Pointer.
    pub fn name(self) -> &'static str {
        match self {
            Self::Username => "username",
            Self::Profile(field) => field.name(),
        }
    }

    /// Whether it can be empty.
    pub fn is_optional(self) -> bool {
        match self {
            Self::Username => false,
            Self::Profile(field) => !field.spec().is_required,
        }
    }

    /// Its value; empty if it is null.
    pub fn get(self, user: &User) -> &str {
        match self {
            Self::Username => &user.username,
            Self::Profile(field) => field.get(&user.profile).unwrap_or_default(),
        }
    }

    fn pointer(self) -> String {
        format!("/{}", self.name())
    }
}

/// The code of the error of a field that somebody else has changed since the form was opened.
pub const CHANGED_MEANWHILE: &str = "changed-meanwhile";

/// A field of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnEdit {
    /// Which.
    pub field: OwnField,
    /// Its value when the form was opened.
    pub was: String,
    /// What was typed.
    pub typed: String,
}

/// A person's own profile.
#[derive(Debug, Clone)]
pub struct OwnProfile {
    /// The user.
    pub user: User,
    /// Whether the address is proven to be the user's.
    pub is_email_verified: bool,
    /// The former address, masked, to which mail with passwords goes, and until when (B25).
    pub email_hold: Option<(String, Millis)>,
}

/// The caller's own profile.
///
/// # Errors
/// Not found if the user was just deleted.
pub fn get(tx: &mut Tx<'_, Member>) -> Result<OwnProfile> {
    let user = users::get_self(tx)?;
    let is_email_verified = email_verifications::is_verified(tx, user.user_id)?;
    let hold = stored::email_hold(tx, user.user_id)?;
    let email_hold = hold.map(|(address, until)| (masked(&address), until));
    Ok(OwnProfile { user, is_email_verified, email_hold })
}

/// Stores what a person has changed of the own profile, all or nothing. What is stored already is no change, so that a
/// form can be sent twice.
///
/// # Errors
/// As [`users::update_self`]; errors of fields, all of them; [`CHANGED_MEANWHILE`] for a field whose value is another one
/// than when the form was opened.
pub fn save(tx: &mut Tx<'_, Member>, edits: &[OwnEdit]) -> Result<User> {
    let user = users::get_self(tx)?;
    let (mut errors, mut change) = (Vec::new(), UserChange::default());
    for OwnEdit { field, was, typed } in edits {
        let current = field.get(&user);
        if typed == was || typed == current {
            continue;
        }
        if current != was {
            errors.push(FieldError::new(field.pointer(), CHANGED_MEANWHILE, current.to_owned()));
            continue;
        }
        if let Err(error) = set(&mut change, *field, typed) {
            errors.push(error.at(field.pointer()));
        }
    }
    if !errors.is_empty() {
        return Err(Error::Invalid(errors));
    }
    users::update_self(tx, &change)
}

fn set(change: &mut UserChange, field: OwnField, typed: &str) -> Result<(), FieldError> {
    match field {
        OwnField::Username => change.username = Some(values::username(typed)?),
        OwnField::Profile(field) if typed.is_empty() && !field.spec().is_required => {
            change.profile.set(field, None);
        }
        OwnField::Profile(field) => {
            let checked = (field.spec().check)(typed)?;
            change.profile.set(field, Some(checked.to_owned()));
        }
    }
    Ok(())
}

/// Sets the caller's own status (B9). Any other than ACTIVE ends all sessions, and only an admin sets ACTIVE again.
///
/// # Errors
/// `last-admin` (B10, at the end of the unit).
pub fn set_status(tx: &mut Tx<'_, Member>, status: Status) -> Result<User> {
    users::update_self(tx, &UserChange { status: Some(status), ..UserChange::default() })
}

/// Sets the caller's own language, or none.
///
/// # Errors
/// As [`users::update_self`]; an error for a value that is not a language tag.
pub fn set_language(tx: &mut Tx<'_, Member>, tag: Option<&str>) -> Result<User> {
    let checked = tag.map(values::locale).transpose().map_err(|error| error.at("/locale"))?;
    let mut change = UserChange::default();
    change.profile.set(ProfileField::Locale, checked.map(str::to_owned));
    users::update_self(tx, &change)
}

/// `ada@example.com` as `a***@example.com`: enough for its owner to recognize it, and no more for somebody else who uses
/// the session.
fn masked(address: &str) -> String {
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, "***"));
    let first = local.chars().next().map(String::from).unwrap_or_default();
    format!("{first}***@{domain}")
}
