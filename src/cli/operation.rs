//! What a command asks for: one domain call in one unit of work. A server does it when one runs on the data, the
//! command itself when none does; either way it is this code.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cli::client::ClientOperation;
use crate::cli::import_operation::ImportOperation;
use crate::cli::operator::OperatorOperation;
use crate::cli::partner::PartnerOperation;
use crate::cli::user::UserOperation;
use tenantry_core::error::{Error, Fault, Result};
use tenantry_core::model::{Profile, Status};
use tenantry_core::values::{self, Bad};
use tenantry_domain::services::Services;
use tenantry_domain::users::NewUser;
use tenantry_store::access::Operator;

/// How many rows of a list one operation gives.
pub(super) const PAGE: i64 = 1_000;

/// One operation, as it travels over the control socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// On partners.
    Partner(PartnerOperation),
    /// On users of any partner.
    User(UserOperation),
    /// On OAuth clients.
    Client(ClientOperation),
    /// On the operators' tokens.
    Operator(OperatorOperation),
    /// On many users at a time.
    Import(ImportOperation),
}

impl Operation {
    /// Does it, and says what came of it. Answers may contain a password or a token: they are for the person who
    /// asked, not for the log.
    ///
    /// # Errors
    /// What the domain refuses. Faults name the flag.
    pub async fn run(self, services: &Services, by: Operator) -> Result<Value> {
        match self {
            Self::Partner(operation) => operation.run(services, by).await,
            Self::User(operation) => operation.run(services, by).await,
            Self::Client(operation) => operation.run(services, by).await,
            Self::Operator(operation) => operation.run(services, by).await,
            Self::Import(operation) => operation.run(services, by).await,
        }
    }
}

/// Checks values one after the other and collects what is wrong with them.
#[derive(Debug, Default)]
pub(super) struct Checks(Vec<Fault>);

impl Checks {
    /// The value, unless it is bad.
    pub(super) fn see<T>(&mut self, flag: &'static str, checked: Result<T, Bad>) -> Option<T> {
        checked.map_err(|bad| self.0.push(bad.at(flag))).ok()
    }

    /// All faults, if there are any.
    pub(super) fn finish<T>(self, value: Option<T>) -> Result<T> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(Error::Invalid(self.0)),
        }
    }
}

/// A user as a command line or the settings describe one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Described<'a> {
    pub(super) username: &'a str,
    pub(super) email: &'a str,
    pub(super) first_name: &'a str,
    pub(super) last_name: &'a str,
    pub(super) is_admin: bool,
    pub(super) status: Status,
}

/// The flags (or settings) of username, e-mail address, first and last name.
pub(super) type Flags = [&'static str; 4];

impl Described<'_> {
    /// The user to create, unless something is wrong with it.
    pub(super) fn check(&self, checks: &mut Checks, flags: Flags) -> Option<NewUser> {
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
