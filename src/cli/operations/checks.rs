//! Checks of command-line values, and the page size of responses.

use tenantry_core::error::{Error, FieldError, Result};
use tenantry_core::model::{Profile, Status};
use tenantry_core::values;
use tenantry_domain::users::NewUser;

/// Number of rows per page.
pub(crate) const PAGE: i64 = 1_000;

/// Checks values and collects their errors.
#[derive(Debug, Default)]
pub(crate) struct Checks(Vec<FieldError>);

impl Checks {
    /// The value, unless it is invalid.
    pub(crate) fn see<T>(&mut self, flag: &'static str, checked: Result<T, FieldError>) -> Option<T> {
        checked.map_err(|bad| self.0.push(bad.at(flag))).ok()
    }

    /// Returns all errors, if there are any.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<T> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(Error::Invalid(self.0)),
        }
    }
}

/// A user described on the command line or in the settings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Described<'a> {
    pub(crate) username: &'a str,
    pub(crate) email: &'a str,
    pub(crate) first_name: &'a str,
    pub(crate) last_name: &'a str,
    pub(crate) is_admin: bool,
    pub(crate) status: Status,
}

/// The flags (or settings) of username, e-mail address, first and last name.
pub(crate) type Flags = [&'static str; 4];

impl Described<'_> {
    /// The user to create, unless it is invalid.
    pub(crate) fn check(&self, checks: &mut Checks, flags: Flags) -> Option<NewUser> {
        let [username, email, first_name, last_name] = flags;
        // All are checked first: one error must not hide another.
        let username = checks.see(username, values::username(self.username));
        let email = checks.see(email, values::email(self.email));
        let first_name = checks.see(first_name, values::person_name(self.first_name));
        let last_name = checks.see(last_name, values::person_name(self.last_name));
        Some(NewUser {
            username: username?,
            status: self.status,
            profile: Profile {
                first_name: first_name?.to_owned(),
                last_name: last_name?.to_owned(),
                email: email?.to_owned(),
                ..Profile::default()
            },
            groups: Vec::new(),
            is_admin: self.is_admin,
        })
    }
}
