//! Changes of many rows. Up to `ATOMIC` rows are changed in one transaction. More are first checked as a whole, then
//! stored as an entry and carried out in steps, so that other writes can run in between (B15). Once begun, an operation
//! always finishes: an entry whose process died is taken over by the next process, on PostgreSQL by any other when its
//! lease has expired.

/// The operations that this process carries out.
pub mod in_process;
mod running;
mod steps;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::bulk_changes::{BulkChange, BulkOperation, Selection};
use crate::idempotency::StoredResponse;
use crate::services::Services;
use crate::unit::{self, Done, WriteOptions};
use crate::user_bulk;
use crate::users;
use crate::{client_changes, effects, groups, last_admin, memberships, partners};
use tenantry_core::error::{Conflict, Error, Result};
use tenantry_core::model::{GroupId, PartnerId, UserId};
use tenantry_store::access::{Admin, Operator, Scope as _};
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::bulk_operations as stored;

pub(super) use running::LEASE;
pub use running::{attend, take_up};

/// Maximum number of rows that are changed in one transaction.
pub const ATOMIC: usize = 5_000;

/// A user or group that was left unchanged, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnchangedRow {
    /// The user, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<i64>,
    /// The group, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_id: Option<i64>,
    /// Stable and machine-readable, such as `last-admin`.
    pub code: String,
}

#[derive(Serialize)]
struct UsersChanged<'a> {
    matched: i64,
    changed: i64,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    kept: &'a [UnchangedRow],
}

#[derive(Serialize)]
struct Left<'a> {
    kept: &'a [UnchangedRow],
}

/// The response of an operation.
fn response(change: &BulkChange, total: i64, changed: i64, kept: &[UnchangedRow]) -> Result<StoredResponse> {
    let (status, body) = match change {
        BulkChange::UpdateUsers(_) => {
            (200, serde_json::to_string(&UsersChanged { matched: total, changed, kept }))
        }
        _ if kept.is_empty() => (204, Ok(String::new())),
        _ => (200, serde_json::to_string(&Left { kept })),
    };
    let body = body.map_err(|e| Error::internal(format!("an answer cannot be written: {e}")))?;
    Ok(StoredResponse { status, body, ..StoredResponse::default() })
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Carries out an operation, in one transaction or in steps, and returns the response at its end.
///
/// # Errors
/// Those of the change, and then nothing was changed; unavailable if another large operation of the partner takes too
/// long, or if the server stops: then the operation resumes when it starts again.
pub async fn write(
    services: &Services,
    by: &Admin,
    options: WriteOptions,
    operation: BulkOperation,
) -> Result<Done<StoredResponse>> {
    let dry_run = options.dry_run;
    if !is_large(services, by, &operation).await? {
        let options = WriteOptions { is_large: true, ..options };
        return unit::write_in(&services.store, by, options, move |tx| apply_whole(tx, &operation, dry_run))
            .await;
    }
    let options = Arc::new(options);
    if dry_run {
        let tried = unit::check_whole(&services.store, by, &options, move |tx| simulate(tx, &operation));
        return tried.await.map(Done::Now);
    }
    // One at a time per partner, so that each checks the result of the previous one.
    let unit = services.bulk.begin(&services.store, by.pid()).await?;
    let change = operation.change.clone();
    let checked = unit::check_whole(&services.store, by, &options, move |tx| check(tx, &operation)).await;
    let ids = match checked {
        Ok(ids) => ids,
        Err(error) => {
            unit.end(&services.store).await;
            return Err(error);
        }
    };
    let begun = running::begin(services.clone(), by.clone(), options, unit, Plan { change, ids });
    // A separate task: it continues if the client disconnects.
    tokio::spawn(begun).await.unwrap_or_else(|_| Err(Error::internal("a bulk operation panicked")))
}

/// Deletes a partner with all its users, groups, clients and sessions. Its events stay. From the first step on none of
/// its users can log in.
///
/// # Errors
/// Not found; `partner-not-empty` if it has more than one user and `force` is not given.
pub async fn delete_partner(
    services: &Services,
    by: Operator,
    pid: PartnerId,
    force: bool,
    dry_run: bool,
) -> Result<()> {
    if dry_run {
        return services.store.scan(&by, move |tx| partners::refuse_deletion(tx, pid, force).map(drop)).await;
    }
    // Without a server nothing resumes an interrupted operation, for example a deletion of the same partner.
    take_up(services).await?;
    let unit = services.bulk.begin(&services.store, pid).await?;
    let begun = running::begin_with(services.clone(), by, unit, BulkChange::DeletePartner, move |tx| {
        partners::refuse_deletion(tx, pid, force)?;
        tx.enter_partner(pid);
        // Its users must not see a partially deleted partner, or add to it.
        partners::keep_out(tx)
    });
    tokio::spawn(begun).await.unwrap_or_else(|_| Err(Error::internal("a bulk operation panicked")))
}

/// Revokes a client of the partner and all its tokens, in steps if it has more than [`ATOMIC`] sessions.
///
/// # Errors
/// Not found; a failed precondition.
pub async fn revoke_client(
    services: &Services,
    by: &Admin,
    options: WriteOptions,
    client_id: &str,
) -> Result<Done<StoredResponse>> {
    let revoked = || StoredResponse { status: 204, ..StoredResponse::default() };
    let options = Arc::new(options);
    let id = client_id.to_owned();
    let check = move |tx: &mut Tx<'_, Admin>| client_changes::get(tx, &id).map(drop);
    unit::check_whole(&services.store, by, &options, check).await?;
    if options.dry_run {
        return Ok(Done::Now(revoked()));
    }
    let (id, limit) = (client_id.to_owned(), number(ATOMIC + 1));
    let sessions = services
        .store
        .scan(by, move |tx| tenantry_store::tables::sessions::count_of_client(tx, &id, limit))
        .await?;
    let id = client_id.to_owned();
    if sessions < limit {
        let options = WriteOptions { is_large: true, ..(*options).clone() };
        let revoke = move |tx: &mut Tx<'_, Admin>| {
            client_changes::revoke(tx, &id)?;
            Ok(revoked())
        };
        return unit::write_in(&services.store, by, options, revoke).await;
    }
    take_up(services).await?;
    let unit = services.bulk.begin(&services.store, by.pid()).await?;
    let plan = BulkChange::RevokeClient(id.clone());
    let begun = running::begin_with(services.clone(), by.clone(), unit, plan, move |tx| {
        client_changes::revoke_alone(tx, &id)
    });
    tokio::spawn(begun).await.unwrap_or_else(|_| Err(Error::internal("a bulk operation panicked")))?;
    Ok(Done::Now(revoked()))
}

/// The change and its ids.
struct Plan {
    change: BulkChange,
    ids: Vec<i64>,
}

/// Whether it has more rows than one transaction may have. It does not matter for a filter that matches another number
/// than expected: that is refused.
async fn is_large(services: &Services, by: &Admin, operation: &BulkOperation) -> Result<bool> {
    let ids = match &operation.selection {
        Selection::Ids(ids) => ids,
        Selection::Filter(_) => {
            let operation = operation.clone();
            // A wrong expected count must not make the writer count.
            let found = services
                .store
                .scan(by, move |tx| user_bulk::ids_of(tx, &operation).map(|ids| ids.len()))
                .await?;
            return Ok(found > ATOMIC);
        }
    };
    if ids.len() > ATOMIC {
        return Ok(true);
    }
    match operation.change {
        BulkChange::DeleteGroup | BulkChange::DeleteGroups => {
            let groups = ids.clone();
            let rows = services
                .store
                .scan(by, move |tx| tenantry_store::tables::groups::rows_of_all(tx, &groups))
                .await?;
            Ok(rows > number(ATOMIC))
        }
        _ => Ok(false),
    }
}

/// Carries it out in one transaction.
fn apply_whole(tx: &mut Tx<'_, Admin>, operation: &BulkOperation, dry_run: bool) -> Result<StoredResponse> {
    let BulkOperation { change, selection, expected } = operation;
    if let BulkChange::UpdateUsers(wanted) = change {
        let done = user_bulk::update_many(tx, selection, *expected, wanted)?;
        return response(change, number(done.matched), number(done.changed), &[]);
    }
    let ids = match selection {
        Selection::Ids(ids) => ids.as_slice(),
        Selection::Filter(_) => return Err(Error::internal("only changes of users can have a filter")),
    };
    let effects = effects_of(tx, change, dry_run, ids)?;
    match change {
        BulkChange::DeleteUsers => users::delete_many(tx, ids)?,
        BulkChange::AddMembers(group) => memberships::add_many(tx, *group, ids)?,
        BulkChange::RemoveMembers(group) => memberships::remove_many(tx, *group, ids)?,
        BulkChange::DeleteGroup => ids.iter().try_for_each(|id| groups::delete(tx, GroupId(*id)))?,
        BulkChange::DeleteGroups => groups::delete_many(tx, ids)?,
        BulkChange::UpdateUsers(_) | BulkChange::DeletePartner | BulkChange::RevokeClient(_) => {}
    }
    Ok(StoredResponse { effects, ..response(change, 0, 0, &[])? })
}

fn effects_of(
    tx: &mut Tx<'_>,
    change: &BulkChange,
    dry_run: bool,
    ids: &[i64],
) -> Result<Option<serde_json::Value>> {
    match change {
        BulkChange::DeleteUsers => effects::of_users(tx, dry_run, ids),
        BulkChange::DeleteGroup | BulkChange::DeleteGroups => effects::of_groups(tx, dry_run, ids),
        _ => Ok(None),
    }
}

/// Checks the whole: returns the ids in their order, unless there is a conflict.
fn check(tx: &mut Tx<'_, Admin>, operation: &BulkOperation) -> Result<Vec<i64>> {
    let ids = user_bulk::ids_of(tx, operation)?;
    match &operation.change {
        BulkChange::UpdateUsers(change) => {
            users::require_groups(tx, change.groups.as_deref().unwrap_or_default())?;
        }
        BulkChange::DeleteUsers => users::refuse_deletion(tx, &ids)?,
        BulkChange::AddMembers(group) => memberships::refuse_unknown(tx, *group, &ids)?,
        BulkChange::RemoveMembers(group) => memberships::refuse_others(tx, *group, &ids)?,
        BulkChange::DeleteGroup => {
            for id in &ids {
                groups::get_head(tx, GroupId(*id))?;
            }
        }
        BulkChange::DeleteGroups => {
            groups::refuse_deletion(tx, &ids)?;
            return tenantry_store::tables::nesting::deepest_first(tx, &ids);
        }
        BulkChange::DeletePartner | BulkChange::RevokeClient(_) => {}
    }
    check_again(tx, &operation.change, &ids)?;
    Ok(ids)
}

/// The checks that are repeated in the transaction that begins: few enough to be read there. The steps handle
/// everything else that has changed by then.
fn check_again(tx: &mut Tx<'_>, change: &BulkChange, ids: &[i64]) -> Result<()> {
    let takes_admins = match change {
        BulkChange::UpdateUsers(change) => users::takes_admin_away(change),
        BulkChange::DeleteUsers => true,
        _ => false,
    };
    if takes_admins {
        let admins = users::last_admins_among(tx, ids)?;
        if !admins.is_empty() {
            let listed = if *change == BulkChange::DeleteUsers { admins } else { Vec::new() };
            return Err(Conflict::users("last-admin", listed, last_admin::LAST_ADMIN));
        }
    }
    if matches!(change, BulkChange::DeleteGroup | BulkChange::DeleteGroups) {
        groups::refuse_deletion(tx, ids)?;
    }
    Ok(())
}

/// Previews it by reading only.
fn simulate(tx: &mut Tx<'_, Admin>, operation: &BulkOperation) -> Result<StoredResponse> {
    let ids = check(tx, operation)?;
    let mut changed = 0;
    if let BulkChange::UpdateUsers(change) = &operation.change {
        for id in &ids {
            let user = users::get(tx, UserId(*id))?;
            changed += i64::from(users::would_change(&user, change));
        }
    }
    let effects = effects_of(tx, &operation.change, true, &ids)?;
    Ok(StoredResponse { effects, ..response(&operation.change, number(ids.len()), changed, &[])? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::users::UserChange;
    use tenantry_core::model::Status;
    use tenantry_core::user_fields::{ProfileChange, ProfileField};

    /// Entries must be readable by later versions.
    #[test]
    fn a_change_is_read_as_it_was_written() {
        let mut profile = ProfileChange::default();
        profile.set(ProfileField::Title, None);
        profile.set(ProfileField::PhoneNumber, Some(String::from("1")));
        let change = UserChange {
            status: Some(Status::Locked),
            profile,
            groups: Some(vec![GroupId(3)]),
            is_admin: Some(false),
            ..UserChange::default()
        };
        for (change, text) in [
            (
                BulkChange::UpdateUsers(Box::new(change)),
                r#"{"updateUsers":{"status":"LOCKED","title":null,"phoneNumber":"1","groups":[3],"isAdmin":false}}"#,
            ),
            (BulkChange::DeleteUsers, r#""deleteUsers""#),
            (BulkChange::AddMembers(GroupId(7)), r#"{"addMembers":7}"#),
            (BulkChange::DeletePartner, r#""deletePartner""#),
        ] {
            assert_eq!(serde_json::to_string(&change).unwrap(), text);
            assert_eq!(serde_json::from_str::<BulkChange>(text).unwrap(), change);
        }
    }

    #[test]
    fn a_response_lists_what_was_left_unchanged() {
        let kept = [UnchangedRow { user_id: Some(5), group_id: None, code: String::from("last-admin") }];
        let of = |change: &BulkChange, kept: &[UnchangedRow]| {
            let told = response(change, 3, 2, kept).unwrap();
            (told.status, told.body)
        };
        let update = BulkChange::UpdateUsers(Box::default());
        assert_eq!(of(&update, &[]), (200, String::from(r#"{"matched":3,"changed":2}"#)));
        assert_eq!(of(&BulkChange::DeleteUsers, &[]), (204, String::new()));
        let list = r#"{"kept":[{"userId":5,"code":"last-admin"}]}"#;
        assert_eq!(of(&BulkChange::DeleteUsers, &kept), (200, String::from(list)));
        assert!(of(&update, &kept).1.starts_with(r#"{"matched":3,"changed":2,"kept":"#));
    }
}
