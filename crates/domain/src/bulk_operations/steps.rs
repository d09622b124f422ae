//! A step of an operation: some of its rows, in one transaction. Rows that changed since the check count as done (a
//! user who is gone already) or are left unchanged and reported (the last admin, B10).

use crate::bulk_changes::{BulkChange, parse};
use crate::bulk_operations::running::LEASE;
use crate::bulk_operations::{ATOMIC, UnchangedRow, number, response};
use crate::erasures::Extent;
use crate::idempotency::{self, StoredResponse};
use crate::{groups, memberships, partners, users};
use tenantry_core::error::{Error, Result};
use tenantry_core::model::{Group, GroupId, UserId};
use tenantry_store::access::Admin;
use tenantry_store::engine::pace::Pace;
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::bulk_operations as stored;
use tenantry_store::tables::bulk_operations::{BulkRecord, IdState};
use tenantry_store::tables::{groups as stored_groups, memberships as stored_memberships, nesting};
use tenantry_store::tables::{permissions, sessions, users as stored_users};

/// Rows between two checks whether the step is full.
const FEW: usize = 50;

/// The result of a step.
pub(super) enum Stepped {
    /// There is more to do.
    More,
    /// It was the last one.
    Ended(StoredResponse),
    /// Another process carries the operation out.
    TakenOver,
    /// The operation and its partner are gone.
    Gone,
}

/// Executes a step if this process still owns the operation.
pub(super) fn step(
    tx: &mut Tx<'_, Admin>,
    pace: &mut Pace,
    operation_id: &str,
    owner: &str,
) -> Result<Stepped> {
    let lease_until = tx.steady() + LEASE;
    let Some(record) = stored::hold(tx, operation_id, owner, lease_until)? else {
        return Ok(if stored::find(tx)?.is_some() { Stepped::TakenOver } else { Stepped::Gone });
    };
    let mut step = Step::of(&record, pace)?;
    if matches!(step.change, BulkChange::DeletePartner | BulkChange::RevokeClient(_)) {
        return step.delete_rows(tx);
    }
    while let Some((piece, ids)) = stored::next_pending(tx)? {
        let mut rest = ids.as_slice();
        while !rest.is_empty() && !step.is_over {
            let done = step.some(tx, rest)?;
            rest = rest.get(done..).unwrap_or_default();
        }
        stored::set_pending(tx, piece, rest)?;
        if step.is_over {
            break;
        }
    }
    users::count_members(tx, &step.gone, -1)?;
    if stored::next_pending(tx)?.is_some() {
        let kept = serde_json::to_string(&step.kept)
            .map_err(|e| Error::internal(format!("a bulk operation cannot be serialized: {e}")))?;
        stored::set_progress(tx, step.changed, &kept)?;
        return Ok(Stepped::More);
    }
    let response = response(&step.change, record.total, step.changed, &step.kept)?;
    if let Some(key_hash) = &record.key_hash {
        let pid = tx.pid();
        idempotency::store_at(tx, pid, key_hash, &response)?;
    }
    stored::delete(tx)?;
    Ok(Stepped::Ended(response))
}

struct Step<'p> {
    change: BulkChange,
    changed: i64,
    kept: Vec<UnchangedRow>,
    /// The groups of deleted users.
    gone: Vec<Vec<GroupId>>,
    pace: &'p mut Pace,
    is_over: bool,
}

impl<'p> Step<'p> {
    fn of(record: &BulkRecord, pace: &'p mut Pace) -> Result<Self> {
        let kept = serde_json::from_str(&record.kept)
            .map_err(|_| Error::internal("the entry of a bulk operation cannot be parsed"))?;
        let (change, changed) = (parse(record)?, record.changed);
        Ok(Self { change, changed, kept, gone: Vec::new(), pace, is_over: false })
    }

    fn count(&mut self, tx: &Tx<'_>, rows: usize) {
        self.pace.add(rows);
        self.is_over |= tx.is_step_over(self.pace);
    }

    /// Changes some of these. Returns how many of the first are done.
    fn some(&mut self, tx: &mut Tx<'_, Admin>, ids: &[i64]) -> Result<usize> {
        let few = ids.get(..FEW).unwrap_or(ids);
        match self.change.clone() {
            BulkChange::UpdateUsers(mut change) => {
                // Members leave a group that is deleted; the same applies here.
                if let Some(groups) = &mut change.groups {
                    let unknown = users::list_unknown_groups(tx, groups)?;
                    groups.retain(|group| !unknown.contains(&group.0));
                }
                let takes_admin = users::takes_admin_away(&change);
                for id in few {
                    let Some(before) = stored_users::find(tx, UserId(*id))? else { continue };
                    if takes_admin && users::is_last_admin(tx, &before)? {
                        self.keep_user(*id);
                        continue;
                    }
                    let after = users::update_known(tx, &before, &change)?;
                    // Every change increments it.
                    self.changed += i64::from(after.version != before.version);
                }
            }
            BulkChange::DeleteUsers => {
                for id in few {
                    let Some(user) = stored_users::find(tx, UserId(*id))? else { continue };
                    if users::is_last_admin(tx, &user)? {
                        self.keep_user(*id);
                        continue;
                    }
                    users::remove_alone(tx, &user, Extent::OneOfMany)?;
                    self.changed += 1;
                    self.gone.push(user.groups);
                }
            }
            BulkChange::AddMembers(group) => {
                if stored_groups::version(tx, group)?.is_some() {
                    let unknown = stored_users::list_unknown(tx, few)?;
                    let known: Vec<i64> = few.iter().filter(|id| !unknown.contains(id)).copied().collect();
                    self.changed += number(memberships::add_known(tx, group, &known)?);
                }
            }
            BulkChange::RemoveMembers(group) => {
                let members = stored_memberships::list_members_of(tx, group, few)?;
                memberships::remove_members(tx, group, &members)?;
                self.changed += number(members.len());
            }
            BulkChange::DeleteGroup | BulkChange::DeleteGroups => {
                let Some(id) = ids.first() else { return Ok(0) };
                return self.delete_group(tx, GroupId(*id)).map(usize::from);
            }
            BulkChange::DeletePartner | BulkChange::RevokeClient(_) => {}
        }
        self.count(tx, few.len());
        Ok(few.len())
    }

    fn keep_user(&mut self, id: i64) {
        self.kept.push(UnchangedRow { user_id: Some(id), group_id: None, code: String::from("last-admin") });
    }

    /// Removes some members of a group that is being deleted; when few are left, deletes the group. Returns whether it
    /// is done.
    fn delete_group(&mut self, tx: &mut Tx<'_>, id: GroupId) -> Result<bool> {
        stored_groups::lock_row(tx, id)?;
        let Some(group) = stored_groups::find_head(tx, id)? else {
            self.count(tx, 1);
            return Ok(true);
        };
        if !nesting::with_other_children(tx, &[id])?.is_empty() {
            stored::take_left(tx)?;
            stored::delete_permissions(tx)?;
            let code = String::from("group-has-children");
            self.kept.push(UnchangedRow { user_id: None, group_id: Some(id.0), code });
            self.count(tx, 1);
            return Ok(true);
        }
        let limit = number(ATOMIC / 10);
        let members = stored_memberships::members_after(tx, id, UserId(0), limit)?;
        if number(members.len()) == limit {
            let ids: Vec<i64> = members.into_iter().map(|user| user.0).collect();
            stored_memberships::leave(tx, id, &ids)?;
            stored::add_ids(tx, IdState::Left, &ids)?;
            self.count(tx, ids.len());
            return Ok(false);
        }
        if !self.permit_less(tx, id, limit)? {
            return Ok(false);
        }
        // The event shows all members and permissions at the beginning of the deletion.
        let rows = members.len() + 1;
        let mut all: Vec<UserId> = stored::take_left(tx)?.into_iter().map(UserId).chain(members).collect();
        all.sort_unstable();
        all.dedup();
        let permissions = match stored::find_permissions(tx)? {
            None => None,
            Some(list) => {
                stored::delete_permissions(tx)?;
                Some(
                    serde_json::from_str(&list)
                        .map_err(|_| Error::internal("stored permissions cannot be parsed"))?,
                )
            }
        };
        groups::remove(tx, &Group { users: all, ..group }, permissions)?;
        self.changed += 1;
        self.count(tx, rows);
        Ok(true)
    }

    /// Removes some permissions of a group that is being deleted if it has many; returns whether few are left. It has
    /// no members any more, so nobody has its permissions.
    fn permit_less(&mut self, tx: &mut Tx<'_>, id: GroupId, limit: i64) -> Result<bool> {
        if stored::find_permissions(tx)?.is_none() {
            if permissions::count_up_to(tx, id, limit)? < limit {
                return Ok(true);
            }
            let list = serde_json::to_string(&permissions::list(tx, id)?)
                .map_err(|e| Error::internal(format!("a bulk operation cannot be serialized: {e}")))?;
            stored::keep_permissions(tx, &list)?;
            // That was the work of a step.
            self.is_over = true;
            return Ok(false);
        }
        let gone = permissions::delete_first(tx, id, limit)?;
        self.count(tx, gone);
        Ok(number(gone) < limit)
    }

    fn delete_rows(mut self, tx: &mut Tx<'_>) -> Result<Stepped> {
        while !self.is_over {
            let gone = match &self.change {
                BulkChange::RevokeClient(id) => sessions::delete_of_client(tx, id, number(FEW))?,
                _ => partners::delete_some(tx, FEW)?,
            };
            if gone == 0 {
                // If it still exists: a partner's entry is deleted with it.
                stored::delete(tx)?;
                return Ok(Stepped::Ended(response(&self.change, 0, 0, &[])?));
            }
            self.count(tx, gone);
        }
        Ok(Stepped::More)
    }
}
