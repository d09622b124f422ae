//! What commands ask for on events.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cli::operations::checks::PAGE;
use tenantry_core::clock::rfc3339;
use tenantry_core::error::{FieldError, Result};
use tenantry_core::model::{Event, PartnerId};
use tenantry_domain::events::{self, EventKind};
use tenantry_domain::services::Services;
use tenantry_store::access::Operator;
use tenantry_store::tables::events::{EventPosition, EventQuery};

/// Operations on events. The fields are the flags of these names, see args/event.rs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum EventOperation {
    /// Those of a partner or of the server, oldest first.
    List { pid: Option<PartnerId>, kinds: Vec<String>, after: Option<i64> },
}

impl EventOperation {
    /// See [`super::Operation::run`].
    pub(crate) async fn run(self, services: &Services, by: Operator) -> Result<Value> {
        let Self::List { pid, kinds, after } = self;
        if let Some(unknown) =
            kinds.iter().find(|kind| !EventKind::ALL.iter().any(|one| one.name() == **kind))
        {
            let known: Vec<_> = EventKind::ALL.iter().map(|kind| kind.name()).collect();
            let detail = format!("unknown type {unknown}: must be one of {}", known.join(", "));
            return Err(FieldError::new("--type", "unknown-type", detail).into());
        }
        let query = EventQuery { kinds, ..EventQuery::default() };
        let from = after.map_or(EventPosition::Offset(0), EventPosition::After);
        let (_, found) = match pid {
            Some(pid) => {
                let by = by.as_admin_of(pid);
                services.store.scan(&by, move |tx| events::list_page(tx, &query, from, PAGE)).await?
            }
            None => {
                services.store.scan(&by, move |tx| events::list_server_page(tx, &query, from, PAGE)).await?
            }
        };
        Ok(found.iter().map(shape).collect())
    }
}

fn shape(event: &Event) -> Value {
    json!({
        "eventId": event.event_id,
        "time": rfc3339(event.at),
        "type": event.kind,
        "actor": event.actor,
        "userId": event.user_id,
        "groupId": event.group_id,
        "before": event.before,
        "after": event.after,
    })
}
