//! The operations of `tenantry import` and `tenantry export`: one batch at a time, so that a file of any length fits
//! through the control socket, and others can write between two batches.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use tenantry_core::error::{Conflict, Error, Result};
use tenantry_core::model::{PartnerId, UserId};
use tenantry_core::rows::{Format, RawRow};
use tenantry_domain::services::Services;
use tenantry_domain::user_export::{ExportStyle, Formulas, export_rows};
use tenantry_domain::user_import::{self, BatchStrategy, ImportOptions, RowCounts, RowOutcome};
use tenantry_domain::user_rows::read_rows;
use tenantry_domain::{partners, unit};
use tenantry_passwords::HashPolicy;
use tenantry_store::access::{Admin, Operator};
use tenantry_store::engine::tx::Tx;
use tenantry_store::listing::user_lists;
use tenantry_store::listing::user_queries::UserQuery;
use tenantry_store::tables::imports::ImportProgress;

/// Operations of imports and exports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum ImportOperation {
    /// Returns the position of an import.
    Begin { pid: PartnerId, key: String },
    /// Imports the next rows, after `from` rows.
    Batch {
        pid: PartnerId,
        key: String,
        from: i64,
        rows: Vec<RawRow>,
        options: ImportOptions,
        hashes: HashPolicy,
        /// The planned results of these rows: anything else is refused.
        planned: Option<Vec<RowOutcome>>,
    },
    /// Dry-runs rows.
    Rehearse { pid: PartnerId, rows: Vec<RawRow>, options: ImportOptions, hashes: HashPolicy },
    /// Ends an import.
    End { pid: PartnerId, key: String },
    /// Returns the next users of an export.
    Export { pid: PartnerId, format: Format, formulas: Formulas, after: Option<UserId>, with_hashes: bool },
}

/// The position of an import.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Begun {
    /// Rows that are done.
    pub(crate) rows: i64,
    /// What was done with them.
    pub(crate) counts: RowCounts,
    /// The newest batch.
    pub(crate) newest: Newest,
}

/// The batch that was done last: its command may have been killed before it got the response.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Newest {
    /// The number of its first row.
    pub(crate) record: u64,
    /// Its rows that did not become users, or only without their password hashes.
    pub(crate) reported: Vec<RowOutcome>,
}

/// What is stored of an import in progress.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Stored {
    counts: RowCounts,
    newest: Newest,
}

impl Stored {
    fn of(progress: &ImportProgress) -> Result<Self> {
        match progress.report.as_str() {
            "" => Ok(Self::default()),
            report => serde_json::from_str(report)
                .map_err(|_| Error::internal("the state of an import cannot be parsed")),
        }
    }
}

/// A page of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Exported {
    /// The formatted rows.
    pub(crate) text: String,
    /// Number of users.
    pub(crate) rows: u64,
    /// The last user.
    pub(crate) last: Option<UserId>,
    /// Total number of users.
    pub(crate) total: i64,
}

impl ImportOperation {
    /// See [`crate::cli::operations::Operation::run`].
    pub(crate) async fn run(self, services: &Services, by: Operator) -> Result<Value> {
        let mut strategy = BatchStrategy::Optimistic;
        match self {
            Self::Begin { pid, key } => {
                let admin = by.as_admin_of(pid);
                let begun = move |tx: &mut Tx<'_, Admin>| begin(tx, &key);
                Ok(json!(services.store.scan(&admin, begun).await?))
            }
            Self::Batch { pid, key, from, rows, options, hashes, planned } => {
                let admin = by.as_admin_of(pid);
                let rows = read_rows(&services.store, &admin, rows, &hashes, options.existing).await?;
                let count = rows.len();
                let batch = ImportBatch { key, from, rows, options, planned };
                let part = move |tx: &mut Tx<'_, Admin>, strategy, at, before: &Vec<RowOutcome>| {
                    batch.run(tx, strategy, at, before)
                };
                let stored =
                    user_import::store_batch(&services.store, &admin, &mut strategy, count, Vec::new(), part);
                Ok(json!(stored.await?))
            }
            Self::Rehearse { pid, rows, options, hashes } => {
                let admin = by.as_admin_of(pid);
                let rows = read_rows(&services.store, &admin, rows, &hashes, options.existing).await?;
                let store = &services.store;
                let tried = user_import::dry_run_batch(store, &admin, &mut strategy, rows, options);
                Ok(json!(tried.await?))
            }
            Self::End { pid, key } => {
                let admin = by.as_admin_of(pid);
                unit::write(&services.store, &admin, move |tx| user_import::end(tx, &key)).await?;
                Ok(Value::Null)
            }
            Self::Export { pid, format, formulas, after, with_hashes } => {
                let admin = by.as_admin_of(pid);
                let style = ExportStyle { format, formulas, hashes_for: with_hashes.then_some(by) };
                let exported = services
                    .store
                    .scan(&admin, move |tx| {
                        partners::require_own(tx)?;
                        let page = export_rows(tx, &style, after)?;
                        let text = String::from_utf8(page.text)
                            .map_err(|_| Error::internal("an export is not UTF-8"))?;
                        let total = user_lists::total(tx, &UserQuery::all())?.count;
                        Ok(Exported { text, rows: page.rows as u64, last: page.last, total })
                    })
                    .await?;
                Ok(json!(exported))
            }
        }
    }
}

fn begin(tx: &mut Tx<'_, Admin>, key: &str) -> Result<Begun> {
    partners::require_own(tx)?;
    let progress = user_import::find_progress(tx, key)?;
    let Stored { counts, newest } = Stored::of(&progress)?;
    Ok(Begun { rows: progress.rows, counts, newest })
}

/// A batch that is being stored.
struct ImportBatch {
    key: String,
    from: i64,
    rows: Vec<user_import::ImportRow>,
    options: ImportOptions,
    planned: Option<Vec<RowOutcome>>,
}

impl ImportBatch {
    /// Stores rows of it from `at` on; `before` are the reported rows of those before it. Returns where the next ones
    /// begin, and the reported rows so far.
    fn run(
        &self,
        tx: &mut Tx<'_, Admin>,
        strategy: BatchStrategy,
        at: usize,
        before: &[RowOutcome],
    ) -> Result<(usize, Vec<RowOutcome>)> {
        let Self { key, from, rows, options, planned } = self;
        let Stored { mut counts, .. } = Stored::of(&user_import::find_progress(tx, key)?)?;
        let left = rows.get(at..).unwrap_or_default();
        let mut outcomes = user_import::import_batch(tx, left, *options, strategy)?;
        let end = at + outcomes.len();
        if let Some(planned) = planned {
            check_plan(planned.get(at..end).unwrap_or(planned), &outcomes)?;
        }
        outcomes.iter().for_each(|outcome| counts.add(outcome));
        outcomes.retain(|outcome| !outcome.is_created());
        // What is kept of an import has no values of users.
        let outcomes = outcomes.into_iter().map(RowOutcome::without_values);
        let reported: Vec<RowOutcome> = before.iter().cloned().chain(outcomes).collect();
        let newest = Newest { record: rows.first().map_or(0, |row| row.place.record), reported };
        let stored = Stored { counts, newest };
        let report = serde_json::to_string(&stored)
            .map_err(|e| Error::internal(format!("an import's state cannot be written: {e}")))?;
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let big = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let progress = ImportProgress {
            checksum: String::new(),
            rows: from + count(end),
            created: big(counts.created),
            failed: big(counts.failed),
            report,
        };
        user_import::advance(tx, key, from + count(at), &progress)?;
        Ok((end, stored.newest.reported))
    }
}

/// Refuses results that differ from the plan.
pub(crate) fn check_plan(planned: &[RowOutcome], outcomes: &[RowOutcome]) -> Result<()> {
    let differs = match planned.len() == outcomes.len() {
        true => planned.iter().zip(outcomes).find(|(planned, outcome)| !planned.agrees(outcome)),
        false => planned.first().zip(outcomes.first()),
    };
    let Some((planned, outcome)) = differs else { return Ok(()) };
    let detail = format!(
        "line {} differs from the plan: it would {}, not {}; create a new plan",
        planned.place.line,
        outcome.brief(),
        planned.brief()
    );
    Err(Conflict::users("plan-differs", Vec::new(), detail))
}
