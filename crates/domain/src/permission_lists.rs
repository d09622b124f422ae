//! Permission lists that are too large for one transaction (docs/adr/0025-lists-are-switched.md).
//!
//! Differences from the current list are staged in steps, between which others can write. One small transaction
//! switches: from then on the new list applies, never a part of it. Then the replaced rows are removed in steps. What a
//! crashed process leaves is removed by the next one: before the switch the new list, after it the old one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::idempotency::Storable;
use crate::large_units::{LargeUnit, LargeUnits};
use crate::permissions::Differing;
use crate::permissions::accessible;
use crate::unit::{self, Done, WriteOptions};
use tenantry_core::error::{Error, Result};
use tenantry_core::model::{GroupId, ObjectPermissions, PartnerId};
use tenantry_store::access::{Admin, Scope as _, Within, nobody, system_within};
use tenantry_store::engine::pace::{Pace, StepCost, StepLimits};
use tenantry_store::engine::tx::Tx;
use tenantry_store::store::Store;
use tenantry_store::tables::groups;
use tenantry_store::tables::permission_changes as changes;
use tenantry_store::tables::permission_changes::{ChangeState, Unsettled, UnsettledRow};
use tenantry_store::tables::permissions::{self, RowChange};

/// Lists of more permissions than this are not written in one transaction.
pub const SMALL: usize = 5_000;

/// How often a list is staged if others change it meanwhile.
const ATTEMPTS: usize = 3;

/// Rows per read while settling.
const PAGE: usize = 20_000;

/// Groups per query.
const GROUPS: i64 = 100;

/// Whether a group's list, or its replacement, is too large for one transaction.
///
/// # Errors
/// None of its own.
pub fn is_large(tx: &mut Tx<'_>, group_id: GroupId, list: &[ObjectPermissions]) -> Result<bool> {
    let count: usize = list.iter().map(|entry| entry.permissions.len()).sum();
    Ok(count > SMALL || permissions::has_more_than(tx, group_id, SMALL)?)
}

/// The new list of a group.
#[derive(Debug, Clone)]
pub struct Replacement {
    /// The group.
    pub group_id: GroupId,
    /// The list, checked against the catalogue.
    pub list: Arc<Vec<ObjectPermissions>>,
}

/// Replaces a group's list with a large one, or a large one with another, and returns `answer`. It goes on when whoever
/// asked is gone: what has begun is brought to its end.
///
/// # Errors
/// Those of [`crate::permissions::replace`]; those of the options; Unavailable while other large units of the partner are under
/// way, and when others change the list again and again.
pub async fn replace<T>(
    store: &Store,
    units: &LargeUnits,
    by: &Admin,
    options: WriteOptions,
    new: Replacement,
    response: T,
) -> Result<Done<T>>
where
    T: Storable + Clone + Send + Sync + 'static,
{
    if options.dry_run {
        return dry_run(store, by, options, new.group_id, response).await;
    }
    if !store.is_schema_common().await? {
        // A server of an earlier version would take what is staged for the list.
        let options = WriteOptions { is_large: true, ..options };
        let work = move |tx: &mut Tx<'_, Admin>| {
            crate::permissions::replace(tx, new.group_id, &new.list)?;
            Ok(response.clone())
        };
        return unit::write_in(store, by, options, work).await;
    }
    let unit = units.begin(store, by.pid()).await?;
    let (store, by) = (store.clone(), by.clone());
    let work = tokio::spawn(async move {
        let done = Work { store: &store, unit: &unit, by: &by, new: &new }.run(&options, &response).await;
        unit.end(&store).await;
        done
    });
    work.await.unwrap_or_else(|_| Err(Error::internal("a change of permissions panicked")))
}

/// Previews the result by reading only.
async fn dry_run<T>(
    store: &Store,
    by: &Admin,
    options: WriteOptions,
    group_id: GroupId,
    response: T,
) -> Result<Done<T>>
where
    T: Send + 'static,
{
    unit::dry_run_by_reading(store, by, move |tx| {
        options.check(tx)?;
        accessible(tx, group_id)?;
        Ok(Done::Now(response))
    })
    .await
}

/// The result of an attempt.
enum Attempt<T> {
    Done(Done<T>),
    /// Another request has changed the list meanwhile, or the group is gone.
    Overtaken,
}

/// The differences between the current list and the new one.
struct Plan {
    changes: Vec<RowChange>,
    event: Differing,
}

struct Work<'a> {
    store: &'a Store,
    unit: &'a LargeUnit,
    by: &'a Admin,
    new: &'a Replacement,
}

impl Work<'_> {
    async fn run<T>(&self, options: &WriteOptions, response: &T) -> Result<Done<T>>
    where
        T: Storable + Clone + Send + Sync + 'static,
    {
        let group_id = self.new.group_id;
        for _ in 0..ATTEMPTS {
            // No other change of the partner is in progress: existing rows are leftovers.
            settle(self.store, self.unit, group_id).await?;
            let change_id = self.begin(options).await?;
            let attempt = self.attempt(change_id, options, response).await;
            let settled = settle(self.store, self.unit, group_id).await;
            match attempt {
                Ok(Attempt::Done(done)) => {
                    // The list is in force, whatever happens to the rest.
                    if let Err(e) = settled {
                        tracing::warn!(%e, "the replaced rows of a permission list are left to housekeeping");
                    }
                    return Ok(done);
                }
                Ok(Attempt::Overtaken) => settled?,
                Err(error) => return Err(error),
            }
        }
        Err(overtaken())
    }

    /// From here on any other change of the list is noticed.
    async fn begin(&self, options: &WriteOptions) -> Result<i64> {
        let (group_id, options) = (self.new.group_id, options.clone());
        self.unit
            .step(self.store, self.by, move |tx| {
                options.check(tx)?;
                let group = accessible(tx, group_id)?;
                groups::lock_row(tx, group_id)?;
                changes::begin(tx, group_id, group.version)?.ok_or_else(overtaken)
            })
            .await
    }

    async fn attempt<T>(&self, change_id: i64, options: &WriteOptions, response: &T) -> Result<Attempt<T>>
    where
        T: Storable + Clone + Send + Sync + 'static,
    {
        let new = self.new.clone();
        let plan = self.store.scan(self.by, move |tx| {
            let before = permissions::list(tx, new.group_id)?;
            let changes = permissions::difference(&before, &new.list);
            Ok(Plan { changes, event: Differing::of(&before, &new.list) })
        });
        let plan = Arc::new(plan.await?);
        let is_staged = plan.changes.len() > SMALL;
        if is_staged && !self.stage(change_id, &plan).await? {
            return Ok(Attempt::Overtaken);
        }
        self.switch(change_id, &plan, is_staged, options, response).await
    }

    /// False if another request has changed the list meanwhile, or the group is gone.
    async fn stage(&self, change_id: i64, plan: &Arc<Plan>) -> Result<bool> {
        let (group_id, mut from) = (self.new.group_id, 0);
        let cost = Arc::new(StepCost::new(StepLimits::PERMISSIONS));
        while from < plan.changes.len() {
            let plan = Arc::clone(plan);
            let step = move |tx: &mut Tx<'_, Admin>, pace: &mut Pace| {
                if !changes::claim_staged(tx, group_id, change_id)? {
                    return Ok(None);
                }
                for change in plan.changes.iter().skip(from) {
                    if tx.is_step_over(pace) {
                        break;
                    }
                    changes::stage(tx, group_id, change_id, change)?;
                    pace.add(1);
                }
                Ok(Some(pace.rows()))
            };
            match self.unit.paced_step(self.store, self.by, &cost, step).await? {
                Some(written) => from += written,
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    async fn switch<T>(
        &self,
        change_id: i64,
        plan: &Arc<Plan>,
        is_staged: bool,
        options: &WriteOptions,
        response: &T,
    ) -> Result<Attempt<T>>
    where
        T: Storable + Clone + Send + Sync + 'static,
    {
        let (group_id, plan, response) = (self.new.group_id, Arc::clone(plan), response.clone());
        let is_overtaken = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&is_overtaken);
        let work = move |tx: &mut Tx<'_, Admin>| {
            noted.store(false, Ordering::Relaxed);
            accessible(tx, group_id)?;
            groups::lock_row(tx, group_id)?;
            if !changes::claim_staged(tx, group_id, change_id)? {
                noted.store(true, Ordering::Relaxed);
                return Err(overtaken());
            }
            if is_staged {
                changes::switch(tx, group_id, change_id)?;
            } else {
                changes::end(tx, group_id, change_id)?;
                permissions::apply(tx, group_id, &plan.changes)?;
            }
            if !plan.changes.is_empty() {
                groups::raise_version(tx, group_id)?;
                plan.event.record(tx, group_id)?;
            }
            Ok(response.clone())
        };
        match self.unit.conclude(self.store, self.by, options.clone(), work).await {
            Ok(done) => Ok(Attempt::Done(done)),
            Err(_) if is_overtaken.load(Ordering::Relaxed) => Ok(Attempt::Overtaken),
            Err(error) => Err(error),
        }
    }
}

fn overtaken() -> Error {
    Error::Unavailable {
        what: "other requests are changing the same list".into(),
        retry_after: std::time::Duration::from_secs(1),
    }
}

/// Settles a change of a group's list in steps: after its switch the replaced rows are removed, without one its own.
/// The holder of the partner's large unit knows that no other change is in progress.
async fn settle(store: &Store, unit: &LargeUnit, group_id: GroupId) -> Result<()> {
    let scope = system_within(unit.pid());
    let Some(mut of) = store.scan(&scope, move |tx| changes::find(tx, group_id)).await? else {
        return Ok(());
    };
    if of.state == ChangeState::Staged {
        unit.step(store, &scope, move |tx| changes::cancel(tx, group_id)).await?;
        of.state = ChangeState::Cancelled;
    }
    let mut after: Option<UnsettledRow> = None;
    loop {
        let from = after.take();
        let page = store.scan(&scope, move |tx| {
            let limit = i64::try_from(PAGE).unwrap_or(i64::MAX);
            changes::list_unsettled_rows(tx, group_id, of, from.as_ref(), limit)
        });
        let page = Arc::new(page.await?);
        after = page.last().cloned();
        if after.is_none() {
            break;
        }
        settle_page(store, unit, group_id, of, &page).await?;
    }
    let end = move |tx: &mut Tx<'_, Within>| changes::end(tx, group_id, of.change_id);
    unit.step(store, &scope, end).await.map(drop)
}

async fn settle_page(
    store: &Store,
    unit: &LargeUnit,
    group_id: GroupId,
    of: Unsettled,
    page: &Arc<Vec<UnsettledRow>>,
) -> Result<()> {
    let (mut from, cost) = (0, Arc::new(StepCost::new(StepLimits::PERMISSIONS)));
    while from < page.len() {
        let page = Arc::clone(page);
        let step = move |tx: &mut Tx<'_, Within>, pace: &mut Pace| {
            for row in page.iter().skip(from) {
                if tx.is_step_over(pace) {
                    break;
                }
                changes::settle(tx, group_id, of, row)?;
                pace.add(1);
            }
            Ok(pace.rows())
        };
        from += unit.paced_step(store, &system_within(unit.pid()), &cost, step).await?;
    }
    Ok(())
}

/// Settles what crashed processes and failed requests have left, of all partners; returns the number of changes.
/// Partners with a large unit in progress are skipped.
///
/// # Errors
/// Of the store. What was done by then stays done.
pub async fn settle_leftovers(store: &Store, units: &LargeUnits) -> Result<usize> {
    let mut settled = 0;
    let mut busy = Vec::<PartnerId>::new();
    loop {
        let found = store.read(&nobody(), |tx| changes::list_unsettled(tx, GROUPS)).await?;
        let before = settled;
        for (pid, group_id) in found {
            if busy.contains(&pid) {
                continue;
            }
            let Some(unit) = units.try_begin(store, pid).await? else {
                busy.push(pid);
                continue;
            };
            let done = settle(store, &unit, group_id).await;
            unit.end(store).await;
            done?;
            settled += 1;
        }
        if settled == before {
            return Ok(settled);
        }
    }
}
