//! The kinds of bulk operations, and checks for a deletion in progress.

use serde::{Deserialize, Serialize};

use crate::users::UserChange;
use tenantry_core::error::{Error, Result};
use tenantry_core::model::GroupId;
use tenantry_store::engine::tx::Tx;
use tenantry_store::listing::user_queries::UserQuery;
use tenantry_store::tables::bulk_operations as stored;
use tenantry_store::tables::bulk_operations::BulkRecord;

/// A change of many users or groups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BulkChange {
    /// Users are changed.
    UpdateUsers(Box<UserChange>),
    /// Users are deleted.
    DeleteUsers,
    /// Users become members of a group.
    AddMembers(GroupId),
    /// Members leave a group.
    RemoveMembers(GroupId),
    /// One group is deleted.
    DeleteGroup,
    /// Groups are deleted.
    DeleteGroups,
    /// A partner is deleted; it has no ids.
    DeletePartner,
    /// The sessions of a client that was revoked end; it has no ids.
    RevokeClient(String),
}

/// A change of many rows.
#[derive(Debug, Clone)]
pub struct BulkOperation {
    /// The change.
    pub change: BulkChange,
    /// The users or groups.
    pub selection: Selection,
    /// The expected number, if it must match.
    pub expected: Option<i64>,
}

impl BulkOperation {
    /// A change of these, ascending, each once.
    pub fn of(change: BulkChange, ids: Vec<i64>) -> Self {
        Self { change, selection: Selection::Ids(ids), expected: None }
    }
}

/// The users of a change.
#[derive(Debug, Clone)]
pub enum Selection {
    /// These, ascending, without duplicates.
    Ids(Vec<i64>),
    /// Those that match the filter.
    Filter(UserQuery),
}

/// Whether the partner of the transaction is being deleted.
///
/// # Errors
/// None of its own.
pub(super) fn is_partner_going(tx: &mut Tx<'_>) -> Result<bool> {
    let Some(found) = stored::find(tx)? else { return Ok(false) };
    Ok(parse(&found)? == BulkChange::DeletePartner)
}

/// Whether a group of the transaction's partner is being deleted.
///
/// # Errors
/// None of its own.
pub(super) fn is_group_going(tx: &mut Tx<'_>, group: GroupId) -> Result<bool> {
    let Some(found) = stored::find(tx)? else { return Ok(false) };
    match parse(&found)? {
        BulkChange::DeleteGroup | BulkChange::DeleteGroups => {
            Ok(stored::list_pending(tx)?.contains(&group.0))
        }
        _ => Ok(false),
    }
}

pub(super) fn parse(record: &BulkRecord) -> Result<BulkChange> {
    serde_json::from_str(&record.change)
        .map_err(|_| Error::internal("the entry of a bulk operation cannot be parsed"))
}
