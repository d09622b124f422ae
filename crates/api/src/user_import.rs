//! Users that come from elsewhere, a file of them: read as it comes, never whole.

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use http_body_util::BodyExt as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use crate::responses::{AdminErrors, ConflictError, InvalidError};
use tenantry_core::error::{Conflict, Error, FieldError, Result};
use tenantry_core::rows::{BatchSize, Delimiter, Format, RawRow, ReadOptions, Splitter};
use tenantry_core::values::ANY_TEXT;
use tenantry_domain::factors::step_up;
use tenantry_domain::user_import::{
    self, BatchStrategy, Chain, Existing, HashPolicy, ImportOptions, RowAction, RowOutcome, Seen,
    UnusableHashes,
};
use tenantry_domain::user_rows::read_rows;
use tenantry_http::extract::{Admin, QueryParams};
use tenantry_http::gzip::{ContentCoding, Gunzip, PIECE};
use tenantry_http::incoming::{StreamedBody, body_problem};
use tenantry_http::media_type;
use tenantry_http::paging::Params;
use tenantry_http::parameters::{DRY_RUN, IDEMPOTENCY_KEY, Of, Parameter, ReadFrom};
use tenantry_http::problem::Problem;
use tenantry_http::state::AppState;
use tenantry_http::writes::{REPLAYED, TRUE, WriteResponse, idempotency_key};
use tenantry_store::access::{self, Scope as _};
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::imports::ImportProgress;

/// Maximum number of rejected rows in a response.
const LISTED: usize = 1_000;

/// Part of what an import is stored under: one that an earlier version began is not resumed, since rows were counted
/// differently.
const VERSION: u32 = 2;

/// If a sender pauses for this long, this many rows are stored before it sends more.
const PAUSE: Duration = Duration::from_millis(20);
const WORTHWHILE: usize = 1_000;

/// The most rows of a dry run, whose names are kept in memory.
const MOST_TRIED: u64 = 1_000_000;

static SEND_MAIL: Parameter = Parameter::flag(
    "sendMail",
    "Mails a temporary password to ACTIVE users without a `passwordHash`. Otherwise no mail is sent.",
);

static ALLOW_WEAK_HASHES: Parameter = Parameter::flag(
    "allowWeakHashes",
    "Also imports password hashes from which passwords are guessed easily: MD5 in any form, one round of SHA.",
);

static UNKNOWN_HASHES: Parameter = Parameter::one_of(
    "unknownHashes",
    || UnusableHashes::NAMES.map(|(name, _)| name).to_vec(),
    "What happens to users whose password hash cannot be imported, because it is unknown, weak or too expensive: \
     `refuse` rejects them, `drop` imports them without a password. `refuse` by default.",
);

static DELIMITER: Parameter = Parameter::one_of(
    "delimiter",
    || Delimiter::ALL.map(Delimiter::name).to_vec(),
    "What separates the cells of CSV, by name or as the character. By default, the first line says it: by a line `sep=;`, \
     or by its column names. Has no effect on NDJSON.",
);

static IGNORE_COLUMN: Parameter = Parameter::texts(
    "ignoreColumn",
    &ANY_TEXT,
    "The name of a column of CSV that is not imported, known or unknown. Repeatable; has no effect on NDJSON.",
);

static EXISTING: Parameter = Parameter::one_of(
    "existing",
    || Existing::NAMES.map(|(name, _)| name).to_vec(),
    "What is done with a row whose user exists already: has its `externalId`, or else its `username` and no other \
     `externalId`. `refuse` rejects the row (the default), `skip` skips it, `update` changes the user as a merge patch \
     does. A password is only set where there is none.",
);

/// The result of an import.
///
/// `created`, `updated`, `skipped` and `failed` add up to the number of rows.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsersImported {
    /// The number of created users.
    #[schema(example = 1)]
    created: u64,
    /// The number of updated users.
    #[schema(example = 0)]
    updated: u64,
    /// The number of rows that were skipped: rows without a value, and rows of existing users that did not change.
    #[schema(example = 0)]
    skipped: u64,
    /// The number of rejected rows.
    #[schema(example = 1)]
    failed: u64,
    /// The first 1,000 of them.
    rejected: Vec<RejectedRow>,
    /// The number of imported users whose password hash was dropped, with `unknownHashes=drop`.
    #[schema(example = 0)]
    dropped_hashes: u64,
    /// The first 1,000 of them.
    dropped: Vec<RejectedRow>,
}

/// A row that was rejected, or whose password hash was dropped.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RejectedRow {
    /// Its number among the rows of the file, from 1.
    #[schema(example = 1)]
    record: u64,
    /// The line on which it begins, from 1.
    #[schema(example = 2)]
    line: u64,
    /// Its errors, by field.
    errors: Vec<RowReason>,
}

/// Why a row was rejected, or its password hash dropped.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RowReason {
    /// JSON Pointer into the row; empty for the whole of it.
    #[schema(example = "/username")]
    field: String,
    /// A stable code for programs.
    #[schema(example = "username-taken")]
    code: String,
    /// What is wrong and how to fix it, for people.
    #[schema(example = "this username is taken")]
    detail: String,
}

impl UsersImported {
    fn of(progress: &ImportProgress) -> Result<Self> {
        match progress.report.as_str() {
            "" => Ok(Self::default()),
            report => serde_json::from_str(report)
                .map_err(|_| Error::internal("what is known of an import cannot be read")),
        }
    }

    fn count(&mut self, outcomes: Vec<RowOutcome>) {
        for outcome in outcomes {
            let has_dropped_hash = outcome.has_dropped_hash();
            let RowOutcome { place, action, errors, .. } = outcome;
            *match action {
                RowAction::Create => &mut self.created,
                RowAction::Update => &mut self.updated,
                RowAction::Skip => &mut self.skipped,
                RowAction::Reject => &mut self.failed,
            } += 1;
            self.dropped_hashes += u64::from(has_dropped_hash);
            let list = match action {
                RowAction::Reject => &mut self.rejected,
                _ if has_dropped_hash => &mut self.dropped,
                _ => continue,
            };
            if list.len() < LISTED {
                let reason =
                    |r: user_import::Reason| RowReason { field: r.field, code: r.code, detail: r.detail };
                let errors = errors.into_iter().map(reason).collect();
                list.push(RejectedRow { record: place.record, line: place.line, errors });
            }
        }
    }
}

/// An import as it is asked for.
struct ImportQuery {
    reading: ReadOptions,
    coding: ContentCoding,
    dry_run: bool,
    options: ImportOptions,
    hashes: HashPolicy,
    /// Of an import that can be gone on with.
    key: Option<String>,
}

impl ReadFrom for ImportQuery {
    const PARAMETERS: &'static [&'static Parameter] = &[
        &IDEMPOTENCY_KEY,
        &DRY_RUN,
        &SEND_MAIL,
        &ALLOW_WEAK_HASHES,
        &UNKNOWN_HASHES,
        &EXISTING,
        &DELIMITER,
        &IGNORE_COLUMN,
    ];
}

impl ImportQuery {
    fn read(mut params: Params, headers: &HeaderMap, by: &access::Admin) -> Result<Self, Problem> {
        let dry_run = params.flag(&DRY_RUN).unwrap_or(false);
        let send_mail = params.flag(&SEND_MAIL).unwrap_or(false);
        let allow_weak = params.flag(&ALLOW_WEAK_HASHES).unwrap_or(false);
        let unknown = params.checked(UNKNOWN_HASHES.name, |name| {
            UnusableHashes::parse(name).ok_or(("wrong-value", String::from("must be refuse or drop")))
        });
        let hashes = HashPolicy { allow_weak, unknown: unknown.unwrap_or_default(), firebase: None };
        let existing = params.checked(EXISTING.name, |name| {
            Existing::parse(name).ok_or(("wrong-value", String::from("must be refuse, skip or update")))
        });
        let options = ImportOptions { send_mail, existing: existing.unwrap_or_default() };
        let format = format_of(headers);
        let delimiter = params.checked(DELIMITER.name, |text| {
            Delimiter::parse(text)
                .ok_or_else(|| ("wrong-value", String::from("must be comma, semicolon, tab or bar")))
        });
        let reading = ReadOptions {
            format: format.unwrap_or(Format::Csv),
            delimiter,
            ignored_columns: params.all(IGNORE_COLUMN.name),
        };
        params.finish()?;
        if format.is_none() {
            return Err(Problem::unsupported_rows(is_form(headers)));
        }
        let coding = ContentCoding::of(headers).ok_or_else(Problem::unsupported_rows_coding)?;
        let key = idempotency_key(headers).map_err(Problem::from)?.filter(|_| !dry_run).map(|key| {
            let digest = Sha256::new()
                .chain_update(format!("{VERSION} {} {reading:?} {options:?} {hashes:?} ", by.actor()))
                .chain_update(key)
                .finalize();
            digest.iter().map(|byte| format!("{byte:02x}")).collect()
        });
        Ok(Self { reading, coding, dry_run, options, hashes, key })
    }
}

fn format_of(headers: &HeaderMap) -> Option<Format> {
    let media_type = media_type::content_type(headers).filter(media_type::is_utf8)?;
    match media_type.essence().to_string().to_ascii_lowercase().as_str() {
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" | "application/x-jsonlines" => {
            Some(Format::Ndjson)
        }
        "text/csv" | "application/csv" | "text/tab-separated-values" => Some(Format::Csv),
        _ => None,
    }
}

/// Whether the body is what `curl -F` and `curl -d` send.
fn is_form(headers: &HeaderMap) -> bool {
    let essence = media_type::content_type(headers)
        .map(|media_type| media_type.essence().to_string().to_ascii_lowercase());
    matches!(essence.as_deref(), Some("multipart/form-data" | "application/x-www-form-urlencoded"))
}

/// Import users from other systems: a row is the body of a create, with names or ids in `groups` and optionally a
/// `passwordHash`.
///
/// The body is streamed and can have any length. Valid rows are created in batches, invalid ones are skipped and
/// reported; those of existing users are rejected, skipped or written into them. With an `Idempotency-Key` an interrupted import resumes where it stopped when the same body is sent again.
#[utoipa::path(
    post, path = "/api/v1/users/import", tag = "users", params(Of<ImportQuery>),
    request_body(content(
        (String = "application/x-ndjson", example = "{\"username\":\"ada\",\"status\":\"ACTIVE\",\"firstName\":\"Ada\",\"lastName\":\"Lovelace\",\"email\":\"ada@example.com\",\"groups\":[\"Editors\"],\"passwordHash\":\"$2y$10$...\"}\n"),
        (String = "text/csv", example = "username,status,firstName,lastName,email,groups\nada,ACTIVE,Ada,Lovelace,ada@example.com,Editors;#3\n"),
    )),
    responses(
        (status = 200, description = "The result", body = UsersImported),
        InvalidError, AdminErrors, ConflictError,
    ),
)]
pub async fn import_users(
    State(app): State<AppState>,
    Admin(by): Admin,
    QueryParams(params): QueryParams,
    headers: HeaderMap,
    StreamedBody(body): StreamedBody,
) -> Result<Response, Problem> {
    let asked = ImportQuery::read(params, &headers, &by)?;
    // Rows can make admins, and set passwords.
    step_up::expect_strong_admin(&app, &by).await?;
    Import::begin(app, by, asked).await?.run(body).await
}

/// An import under way.
struct Import {
    app: AppState,
    by: access::Admin,
    asked: ImportQuery,
    /// How far it was when it began.
    before: ImportProgress,
    done: UsersImported,
    rows: i64,
    chain: Chain,
    seen: Seen,
    strategy: BatchStrategy,
}

impl Import {
    async fn begin(app: AppState, by: access::Admin, asked: ImportQuery) -> Result<Self> {
        let before = match asked.key.clone() {
            None => ImportProgress::default(),
            Some(key) => app.store.scan(&by, move |tx| user_import::find_progress(tx, &key)).await?,
        };
        let done = UsersImported::of(&before)?;
        let (chain, seen, strategy) =
            (Chain::default(), Seen::new(asked.options.existing), BatchStrategy::Optimistic);
        Ok(Self { app, by, asked, before, done, rows: 0, chain, seen, strategy })
    }

    async fn run(mut self, mut body: Body) -> Result<Response, Problem> {
        let (mut splitter, mut rows) = (Splitter::new(self.asked.reading.clone()), Vec::new());
        let mut gunzip = (self.asked.coding == ContentCoding::Gzip).then(Gunzip::default);
        // Nothing is read while a batch is stored: so the sender goes no faster than the database.
        loop {
            let frame = match tokio::time::timeout(PAUSE, body.frame()).await {
                Err(_) if rows.len() >= WORTHWHILE => {
                    self.batch(std::mem::take(&mut rows)).await?;
                    continue;
                }
                Err(_) => body.frame().await,
                Ok(frame) => frame,
            };
            let Some(frame) = frame else { break };
            let frame = frame.map_err(|error| body_problem(&error))?;
            let data = frame.data_ref().map_or(&[][..], |data| data);
            let Some(gunzip) = &mut gunzip else {
                self.split(&mut splitter, data, &mut rows).await?;
                continue;
            };
            for piece in data.chunks(PIECE) {
                let bytes = gunzip.push(piece).map_err(|error| self.refuse_file(vec![error]))?;
                self.split(&mut splitter, &bytes, &mut rows).await?;
            }
        }
        if let Some(gunzip) = gunzip {
            let bytes = gunzip.finish().map_err(|error| self.refuse_file(vec![error]))?;
            self.split(&mut splitter, &bytes, &mut rows).await?;
        }
        splitter.finish(&mut rows).map_err(|errors| self.refuse_file(errors))?;
        while !rows.is_empty() {
            let rest = rows.split_off(BatchSize::SHARED.full(&rows).unwrap_or(rows.len()));
            self.batch(std::mem::replace(&mut rows, rest)).await?;
        }
        if self.rows < self.before.rows {
            return Err(other_body().into());
        }
        let is_replayed = self.rows > 0 && self.rows == self.before.rows;
        let mut response = WriteResponse::ok(&self.done)?.respond(self.asked.dry_run)?;
        if is_replayed {
            response.headers_mut().insert(REPLAYED, TRUE);
        }
        Ok(response)
    }

    /// Splits the next bytes into rows, and stores those of full batches.
    async fn split(&mut self, splitter: &mut Splitter, bytes: &[u8], rows: &mut Vec<RawRow>) -> Result<()> {
        splitter.push(bytes, rows).map_err(|errors| self.refuse_file(errors))?;
        while let Some(end) = BatchSize::SHARED.full(rows) {
            let rest = rows.split_off(end);
            self.batch(std::mem::replace(rows, rest)).await?;
        }
        Ok(())
    }

    /// The error of a file that cannot be imported to its end, with what was imported.
    fn refuse_file(&self, mut errors: Vec<FieldError>) -> Error {
        if self.rows > 0 && !self.asked.dry_run {
            for error in &mut errors {
                let detail = format!("{}; the first {} rows were imported", error.detail, self.rows);
                error.detail = detail.into();
            }
        }
        Error::Invalid(errors)
    }

    async fn batch(&mut self, mut rows: Vec<RawRow>) -> Result<()> {
        let known = usize::try_from(self.before.rows - self.rows).unwrap_or(0).min(rows.len());
        let new = rows.split_off(known);
        self.pass(&rows)?;
        if new.is_empty() {
            return Ok(());
        }
        let checksum = |row| {
            self.chain.add(row);
            self.chain.clone()
        };
        let (checksums, from) = (new.iter().map(checksum).collect(), self.rows);
        let existing = self.asked.options.existing;
        let rows = read_rows(&self.app.store, &self.by, new, &self.asked.hashes, existing).await?;
        self.rows += i64::try_from(rows.len()).unwrap_or(i64::MAX);
        if self.asked.dry_run { self.dry_run(rows).await } else { self.store(rows, checksums, from).await }
    }

    /// Takes rows that are done into the checksum: they must be the same.
    fn pass(&mut self, rows: &[RawRow]) -> Result<()> {
        for row in rows {
            self.chain.add(row);
            self.rows += 1;
            if self.rows == self.before.rows && self.chain.to_string() != self.before.checksum {
                return Err(other_body());
            }
        }
        Ok(())
    }

    async fn dry_run(&mut self, rows: Vec<user_import::ImportRow>) -> Result<()> {
        if u64::try_from(self.rows).is_ok_and(|rows| rows > MOST_TRIED) {
            let detail = format!("a dry run takes at most {MOST_TRIED} rows");
            return Err(FieldError::new("", "too-many-rows", detail).into());
        }
        let (app, options) = (&self.app, self.asked.options);
        let tried = user_import::dry_run_batch(&app.store, &self.by, &mut self.strategy, rows, options);
        let mut outcomes = tried.await?;
        self.seen.check(&mut outcomes);
        self.done.count(outcomes);
        Ok(())
    }

    async fn store(
        &mut self,
        rows: Vec<user_import::ImportRow>,
        checksums: Vec<Chain>,
        from: i64,
    ) -> Result<()> {
        let batch =
            ImportBatch { options: self.asked.options, key: self.asked.key.clone(), from, rows, checksums };
        let (store, count, before) = (&self.app.store, batch.rows.len(), std::mem::take(&mut self.done));
        let part = move |tx: &mut Tx<'_, access::Admin>, strategy, at, before: &UsersImported| {
            batch.run(tx, strategy, at, before)
        };
        self.done =
            user_import::store_batch(store, &self.by, &mut self.strategy, count, before, part).await?;
        Ok(())
    }
}

/// A batch on its way into the database.
struct ImportBatch {
    options: ImportOptions,
    key: Option<String>,
    /// The rows of the import before it.
    from: i64,
    rows: Vec<user_import::ImportRow>,
    /// The checksum up to each of them.
    checksums: Vec<Chain>,
}

impl ImportBatch {
    /// Stores rows of it from `at` on: where the next ones begin, and what the import has come to, which had come to
    /// `before`.
    fn run(
        &self,
        tx: &mut Tx<'_, access::Admin>,
        strategy: BatchStrategy,
        at: usize,
        before: &UsersImported,
    ) -> Result<(usize, UsersImported)> {
        let (mut done, rows) = (before.clone(), self.rows.get(at..).unwrap_or_default());
        let outcomes = user_import::import_batch(tx, rows, self.options, strategy)?;
        let end = at + outcomes.len();
        done.count(outcomes);
        if let Some(key) = &self.key {
            let report = serde_json::to_string(&done)
                .map_err(|e| Error::internal(format!("an import's state cannot be written: {e}")))?;
            let rows_to = |place: usize| self.from + i64::try_from(place).unwrap_or(i64::MAX);
            let progress = ImportProgress {
                checksum: self
                    .checksums
                    .get(..end)
                    .and_then(<[_]>::last)
                    .map_or_else(String::new, Chain::to_string),
                rows: rows_to(end),
                created: i64::try_from(done.created).unwrap_or(i64::MAX),
                failed: i64::try_from(done.failed).unwrap_or(i64::MAX),
                report,
            };
            user_import::advance(tx, key, rows_to(at), &progress)?;
        }
        Ok((end, done))
    }
}

fn other_body() -> Error {
    let detail = "this Idempotency-Key was used with a different body: use a new key for a new import";
    Conflict::users("idempotency-key-reused", Vec::new(), detail)
}

/// The content type of a format.
pub(super) fn content_type(format: Format) -> HeaderValue {
    HeaderValue::from_static(match format {
        Format::Ndjson => "application/x-ndjson",
        Format::Csv => "text/csv; charset=utf-8",
    })
}
