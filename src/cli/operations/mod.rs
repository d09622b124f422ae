//! What a command asks for: one domain call in one unit of work. A server does it when one runs on the data, the
//! command itself when none does; either way it is this code.

/// Values of a command line.
pub(crate) mod checks;
/// OAuth clients.
pub(crate) mod client;
/// Many users at a time.
pub(crate) mod import;
/// The operators' tokens.
pub(crate) mod operator;
/// Partners.
pub(crate) mod partner;
/// Users of any partner.
pub(crate) mod user;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cli::operations::client::ClientOperation;
use crate::cli::operations::import::ImportOperation;
use crate::cli::operations::operator::OperatorOperation;
use crate::cli::operations::partner::PartnerOperation;
use crate::cli::operations::user::UserOperation;
use tenantry_core::error::Result;
use tenantry_domain::services::Services;
use tenantry_store::access::Operator;

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
