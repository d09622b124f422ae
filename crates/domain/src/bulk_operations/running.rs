//! Operations in progress in this process: begins them, carries them out in steps, releases them when the process
//! stops, and resumes interrupted ones.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::bulk_changes::BulkChange;
use crate::bulk_operations::in_process::Counted;
use crate::bulk_operations::steps::{self, Stepped};
use crate::bulk_operations::{Plan, check_again, stored};
use crate::idempotency::StoredResponse;
use crate::large_units::LargeUnit;
use crate::services::Services;
use crate::unit::{self, Done, WriteOptions};
use tenantry_core::clock::{Millis, SECOND};
use tenantry_core::error::{Error, Result, TokenError};
use tenantry_core::model::PartnerId;
use tenantry_store::access::{Admin, Scope, nobody, system_within};
use tenantry_store::engine::pace::{StepCost, StepLimits};
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::bulk_operations::{BulkRecord, IdState};
use tenantry_store::tables::partners;

/// The lease of an operation, renewed by each step, if several processes share a database.
pub(crate) const LEASE: Millis = 30 * SECOND;

/// How often a failed step is retried, with increasing pauses, before the operation is left to [`attend`] and its
/// client gets an error.
const ATTEMPTS: u32 = 8;
const PAUSE: Duration = Duration::from_millis(50);

/// Interval of checks for operations that no process carries out.
const LOOK: Duration = Duration::from_secs(5);

fn busy() -> Error {
    Error::Unavailable {
        what: "another large operation of this partner is in progress".into(),
        retry_after: Duration::from_secs(5),
    }
}

fn goes_on() -> Error {
    Error::Unavailable {
        what: "the server is stopping: this operation has begun and resumes when a server runs again".into(),
        retry_after: Duration::from_secs(10),
    }
}

/// Another process has taken it over and finishes it.
fn taken_over() -> Error {
    Error::Unavailable {
        what: "this operation has begun and is carried out by another process".into(),
        retry_after: Duration::from_secs(5),
    }
}

/// Stores the entry of an operation and carries it out.
pub(super) async fn begin(
    services: Services,
    by: Admin,
    options: Arc<WriteOptions>,
    unit: LargeUnit,
    plan: Plan,
) -> Result<Done<StoredResponse>> {
    let record = record(&services, &by, &options, &plan)?;
    let counted = Counted::of(&services.bulk, &record.operation_id);
    let (entry, plan) = (record.clone(), Arc::new(plan));
    let before = unit::begin::<_, StoredResponse, _>(&services.store, &by, &options, move |tx| {
        if matches!(plan.change, BulkChange::DeleteGroup | BulkChange::DeleteGroups) {
            // A unit that nests a group in one of them locks it as well, and finds that it is being deleted.
            partners::lock_row(tx)?;
        }
        check_again(tx, &plan.change, &plan.ids)?;
        write_down(tx, &entry, &plan.ids)
    });
    match before.await {
        Ok(None) => {}
        other => {
            unit.end(&services.store).await;
            return other.map(|before| Done::Replayed(before.unwrap_or_default()));
        }
    }
    let done = carry_out(&services, &unit, &record).await;
    unit.end(&services.store).await;
    // Requests with the same key wait while it is in progress.
    drop((counted, options));
    done.map(Done::Now)
}

/// As [`begin`], for an operator's change without ids, whose first part is done in the transaction that begins.
pub(super) async fn begin_with<S, F>(
    services: Services,
    by: S,
    unit: LargeUnit,
    change: BulkChange,
    first: F,
) -> Result<()>
where
    S: Scope + Clone + Send + Sync + 'static,
    F: Fn(&mut Tx<'_, S>) -> Result<()> + Send + 'static,
{
    let record = record(&services, &by, &WriteOptions::default(), &Plan { change, ids: Vec::new() })?;
    let counted = Counted::of(&services.bulk, &record.operation_id);
    let entry = record.clone();
    let begun = unit::write(&services.store, &by, move |tx| {
        first(tx)?;
        write_down(tx, &entry, &[])
    });
    if let Err(error) = begun.await {
        unit.end(&services.store).await;
        return Err(error);
    }
    let done = carry_out(&services, &unit, &record).await;
    unit.end(&services.store).await;
    drop(counted);
    done.map(drop)
}

fn record(services: &Services, by: &impl Scope, options: &WriteOptions, plan: &Plan) -> Result<BulkRecord> {
    let change = serde_json::to_string(&plan.change)
        .map_err(|e| Error::internal(format!("a bulk operation cannot be serialized: {e}")))?;
    Ok(BulkRecord {
        operation_id: services.random.token::<12>(),
        actor: by.actor().to_string(),
        change,
        total: super::number(plan.ids.len()),
        changed: 0,
        kept: String::from("[]"),
        key_hash: options.idempotency_key.as_ref().map(|key| key.key_hash().to_owned()),
        owner: services.bulk.owner(),
        lease_until: 0,
    })
}

fn write_down(tx: &mut Tx<'_>, entry: &BulkRecord, ids: &[i64]) -> Result<()> {
    let entry = BulkRecord { lease_until: tx.steady() + LEASE, ..entry.clone() };
    if !stored::insert(tx, &entry)? {
        return Err(busy());
    }
    stored::add_ids(tx, IdState::Pending, ids)
}

/// Executes steps until the end.
async fn carry_out(services: &Services, unit: &LargeUnit, record: &BulkRecord) -> Result<StoredResponse> {
    let pid = unit.pid();
    let by = Admin::of_bulk_operation(pid, &record.actor)
        .ok_or_else(|| Error::internal("the entry of a bulk operation has no actor"))?;
    let cost = Arc::new(StepCost::new(StepLimits::BULK_OPERATION));
    let mut failed = 0;
    loop {
        if services.bulk.is_stopping() {
            release(services, pid, record).await;
            return Err(goes_on());
        }
        match step(services, unit, &by, record, &cost).await {
            Ok(Stepped::More) => failed = 0,
            Ok(Stepped::Ended(response)) => return Ok(response),
            Ok(Stepped::TakenOver) => return Err(taken_over()),
            // The partner was deleted, and the caller with it.
            Ok(Stepped::Gone) => return Err(Error::Unauthenticated(TokenError::Invalid)),
            Err(error) => {
                failed += 1;
                if failed == ATTEMPTS {
                    tracing::error!(%error, %pid, "a bulk operation failed and will be retried");
                    release(services, pid, record).await;
                    return Err(error);
                }
                sleep(PAUSE * 2_u32.pow(failed)).await;
            }
        }
    }
}

async fn step(
    services: &Services,
    unit: &LargeUnit,
    by: &Admin,
    record: &BulkRecord,
    cost: &Arc<StepCost>,
) -> Result<Stepped> {
    let (id, owner) = (record.operation_id.clone(), services.bulk.owner());
    unit.paced_step(&services.store, by, cost, move |tx, pace| steps::step(tx, pace, &id, &owner)).await
}

/// Lets another process continue before the lease expires.
async fn release(services: &Services, pid: PartnerId, record: &BulkRecord) {
    let (id, owner) = (record.operation_id.clone(), services.bulk.owner());
    let released =
        unit::write(&services.store, &system_within(pid), move |tx| stored::release(tx, &id, &owner)).await;
    if let Err(error) = released {
        tracing::debug!(%error, "a bulk operation was not released");
    }
}

/// Resumes operations that no process carries out: those of processes that died, and those that had failed. Each
/// continues in a separate task.
///
/// # Errors
/// Of the store.
pub async fn take_up(services: &Services) -> Result<Vec<JoinHandle<Result<StoredResponse>>>> {
    let mut tasks = Vec::new();
    for pid in services.store.read(&nobody(), |tx| stored::list_partners(tx)).await? {
        if services.bulk.is_stopping() {
            break;
        }
        let by = system_within(pid);
        let Some(found) = services.store.read(&by, |tx| stored::find(tx)).await? else { continue };
        if services.bulk.known().contains(&found.operation_id) {
            continue;
        }
        // If one process has the database, an entry that it does not know is of a dead process.
        if services.store.is_shared() && found.lease_until > services.clock.read().steady {
            continue;
        }
        // A task of this process, or another process, carries it out.
        let Some(unit) = services.bulk.try_begin(&services.store, pid).await? else { continue };
        let counted = Counted::of(&services.bulk, &found.operation_id);
        let (owner, entry) = (services.bulk.owner(), found.clone());
        let is_taken = unit::write(&services.store, &by, move |tx| {
            let until = tx.steady() + LEASE;
            stored::take_over(tx, &entry, &owner, until)
        })
        .await;
        if !matches!(is_taken, Ok(true)) {
            unit.end(&services.store).await;
            is_taken?;
            continue;
        }
        tracing::info!(%pid, ids = found.total, "an interrupted bulk operation resumes");
        let services = services.clone();
        tasks.push(tokio::spawn(async move {
            let done = carry_out(&services, &unit, &found).await;
            unit.end(&services.store).await;
            drop(counted);
            done
        }));
    }
    Ok(tasks)
}

/// Resumes operations as long as the process runs.
pub async fn attend(services: Services) {
    let mut is_faulty = false;
    loop {
        match take_up(&services).await {
            Ok(_) => is_faulty = false,
            Err(error) if !is_faulty => {
                is_faulty = true;
                tracing::warn!(%error, "interrupted bulk operations cannot be resumed yet");
            }
            Err(_) => {}
        }
        sleep(LOOK).await;
    }
}
