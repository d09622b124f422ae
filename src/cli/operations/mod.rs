//! The operations of commands: each is one domain call in one unit of work. A running server carries it out, or the
//! command itself if none runs; either way with this code.

/// Checks of command-line values.
pub(crate) mod checks;
/// OAuth clients.
pub(crate) mod client;
/// Events.
pub(crate) mod event;
/// Imports and exports.
pub(crate) mod import;
/// Keys that sign ID tokens.
pub(crate) mod key;
/// Operator tokens.
pub(crate) mod operator;
/// Partners.
pub(crate) mod partner;
/// Users of any partner.
pub(crate) mod user;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cli::operations::client::ClientOperation;
use crate::cli::operations::event::EventOperation;
use crate::cli::operations::import::ImportOperation;
use crate::cli::operations::key::KeyOperation;
use crate::cli::operations::operator::OperatorOperation;
use crate::cli::operations::partner::PartnerOperation;
use crate::cli::operations::user::UserOperation;
use tenantry_core::error::Result;
use tenantry_domain::services::Services;
use tenantry_store::access::Operator;

/// An operation, as sent over the control socket.
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
    /// On the keys that sign ID tokens.
    Key(KeyOperation),
    /// On events.
    Event(EventOperation),
    /// On many users at a time.
    Import(ImportOperation),
}

impl Operation {
    /// Carries it out. Results may contain a password or a token: they are for the caller, not for the log.
    ///
    /// # Errors
    /// Errors of `domain`. Errors of values name the flag.
    pub async fn run(self, services: &Services, by: Operator) -> Result<Value> {
        match self {
            Self::Partner(operation) => operation.run(services, by).await,
            Self::User(operation) => operation.run(services, by).await,
            Self::Client(operation) => operation.run(services, by).await,
            Self::Operator(operation) => operation.run(services, by).await,
            Self::Key(operation) => operation.run(services, by).await,
            Self::Event(operation) => operation.run(services, by).await,
            Self::Import(operation) => operation.run(services, by).await,
        }
    }
}
