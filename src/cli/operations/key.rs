//! What commands ask for on the keys that sign ID tokens.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use tenantry_core::clock::rfc3339;
use tenantry_core::error::{Error, Result};
use tenantry_core::secret::Secret;
use tenantry_domain::sealer::{self, MasterKey};
use tenantry_domain::services::Services;
use tenantry_domain::signing_keys::{self, KeyState, ListedKey};
use tenantry_store::access::Operator;

/// Operations on keys. The fields are the flags of these names, see args.rs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum KeyOperation {
    /// All of them.
    List {},
    /// Replace the current ones.
    Rotate { now: bool },
    /// Replace those that cannot be unsealed, or all.
    Reset { force: bool },
    /// Seal everything with another master key, as text.
    Reseal { key: Secret },
}

impl KeyOperation {
    /// See [`super::Operation::run`].
    pub(crate) async fn run(self, services: &Services, by: Operator) -> Result<Value> {
        Ok(match self {
            Self::List {} => signing_keys::list(services, by).await?.iter().map(shape).collect(),
            Self::Rotate { now } => {
                signing_keys::rotate(services, by, now).await?.iter().map(shape).collect()
            }
            Self::Reset { force } => {
                let done = signing_keys::reset(services, by, force).await?;
                let made: Vec<&str> = done.made.iter().map(|key| key.kid.as_str()).collect();
                json!({ "removed": done.removed, "made": made, "mailed": done.mailed })
            }
            Self::Reseal { key } => {
                let key = MasterKey::parse(key.expose().trim())
                    .ok_or_else(|| Error::internal("the new master key is malformed"))?;
                json!({ "resealed": sealer::reseal(services, by, &key).await? })
            }
        })
    }
}

fn shape(key: &ListedKey) -> Value {
    json!({
        "kid": key.kid,
        "alg": key.alg.name(),
        "state": key.state.map_or("unusable", KeyState::name),
        "createdAt": rfc3339(key.created_at),
        "currentFrom": rfc3339(key.current_from),
        "oldFrom": key.old_from.map(rfc3339),
        "goneAt": key.gone_at.map(rfc3339),
    })
}
