//! Values of a command line, checked, and how long an answer is.

use tenantry_core::error::{Error, Fault, Result};
use tenantry_core::model::{Profile, Status};
use tenantry_core::values::{self, Bad};
use tenantry_domain::users::NewUser;

/// How many rows of a list one operation gives.
pub(crate) const PAGE: i64 = 1_000;

/// Checks values one after the other and collects what is wrong with them.
#[derive(Debug, Default)]
pub(crate) struct Checks(Vec<Fault>);

impl Checks {
    /// The value, unless it is bad.
    pub(crate) fn see<T>(&mut self, flag: &'static str, checked: Result<T, Bad>) -> Option<T> {
        checked.map_err(|bad| self.0.push(bad.at(flag))).ok()
    }

    /// All faults, if there are any.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<T> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(Error::Invalid(self.0)),
        }
    }
}

/// A user as a command line or the settings describe one.
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
    /// The user to create, unless something is wrong with it.
    pub(crate) fn check(&self, checks: &mut Checks, flags: Flags) -> Option<NewUser> {
        let [username, email, first_name, last_name] = flags;
        // All of them first: one fault must not hide another.
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
