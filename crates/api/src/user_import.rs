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
use tenantry_core::rows::{BatchSize, Format, RawRow, Splitter};
use tenantry_domain::user_import::{self, BatchStrategy, Chain, RowOutcome, Seen};
use tenantry_domain::user_rows::read_rows;
use tenantry_http::extract::{Admin, QueryParams};
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

/// If a sender pauses for this long, this many rows are stored before it sends more.
const PAUSE: Duration = Duration::from_millis(20);
const WORTHWHILE: usize = 1_000;

/// The most rows of a dry run, whose names are kept in memory.
const MOST_TRIED: u64 = 1_000_000;

static SEND_MAIL: Parameter = Parameter::flag(
    "sendMail",
    "Mails a temporary password to ACTIVE users without a `passwordHash`. Otherwise no mail is sent.",
);

/// The result of an import.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct UsersImported {
    /// The number of created users.
    #[schema(example = 1)]
    created: i64,
    /// The rejected rows.
    #[schema(example = 1)]
    failed: i64,
    /// The first 1,000 of them.
    rejected: Vec<RejectedRow>,
}

/// A rejected row.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RejectedRow {
    /// The line on which it begins, from 1.
    #[schema(example = 2)]
    line: u64,
    /// Its errors, by field.
    errors: Vec<RowReason>,
}

/// Why a row was rejected.
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
        let rejected = match progress.told.as_str() {
            "" => Vec::new(),
            told => serde_json::from_str(told)
                .map_err(|_| Error::internal("what is known of an import cannot be read"))?,
        };
        Ok(Self { created: progress.created, failed: progress.failed, rejected })
    }

    fn count(&mut self, outcomes: Vec<RowOutcome>) {
        for RowOutcome { line, errors, .. } in outcomes {
            if errors.is_empty() {
                self.created += 1;
                continue;
            }
            self.failed += 1;
            if self.rejected.len() < LISTED {
                let reason =
                    |r: user_import::Reason| RowReason { field: r.field, code: r.code, detail: r.detail };
                self.rejected.push(RejectedRow { line, errors: errors.into_iter().map(reason).collect() });
            }
        }
    }
}

/// An import as it is asked for.
struct Asked {
    format: Format,
    dry_run: bool,
    send_mail: bool,
    /// Of an import that can be gone on with.
    key: Option<String>,
}

impl ReadFrom for Asked {
    const PARAMETERS: &'static [&'static Parameter] = &[&IDEMPOTENCY_KEY, &DRY_RUN, &SEND_MAIL];
}

impl Asked {
    fn read(mut params: Params, headers: &HeaderMap, by: &access::Admin) -> Result<Self, Problem> {
        let dry_run = params.flag(&DRY_RUN).unwrap_or(false);
        let send_mail = params.flag(&SEND_MAIL).unwrap_or(false);
        params.finish()?;
        let format = format_of(headers).ok_or_else(Problem::unsupported_rows)?;
        let key = idempotency_key(headers).map_err(Problem::from)?.filter(|_| !dry_run).map(|key| {
            let digest = Sha256::new()
                .chain_update(format!("{} {format:?} {send_mail} ", by.actor()))
                .chain_update(key)
                .finalize();
            digest.iter().map(|byte| format!("{byte:02x}")).collect()
        });
        Ok(Self { format, dry_run, send_mail, key })
    }
}

fn format_of(headers: &HeaderMap) -> Option<Format> {
    let media_type = media_type::content_type(headers).filter(media_type::is_utf8)?;
    match media_type.essence().to_string().to_ascii_lowercase().as_str() {
        "application/x-ndjson" | "application/ndjson" => Some(Format::Ndjson),
        "text/csv" => Some(Format::Csv),
        _ => None,
    }
}

/// Import users from other systems: a row is the body of a create, with names or ids in `groups` and optionally a
/// `passwordHash`.
///
/// The body is streamed and can have any length. Valid rows are created in batches, invalid ones are skipped and
/// reported. With an `Idempotency-Key` an interrupted import resumes where it stopped when the same body is sent again.
#[utoipa::path(
    post, path = "/api/v1/users/import", tag = "users", params(Of<Asked>),
    request_body(content(
        (String = "application/x-ndjson", example = "{\"username\":\"ada\",\"status\":\"ACTIVE\",\"firstName\":\"Ada\",\"lastName\":\"Lovelace\",\"email\":\"ada@example.com\",\"groups\":[\"Editors\"],\"passwordHash\":\"$2y$10$...\"}\n"),
        (String = "text/csv", example = "username,status,firstName,lastName,email,groups\nada,ACTIVE,Ada,Lovelace,ada@example.com,Editors;3\n"),
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
    let asked = Asked::read(params, &headers, &by)?;
    Import::begin(app, by, asked).await?.run(body).await
}

/// An import under way.
struct Import {
    app: AppState,
    by: access::Admin,
    asked: Asked,
    /// How far it was when it began.
    before: ImportProgress,
    done: UsersImported,
    rows: i64,
    chain: Chain,
    seen: Seen,
    strategy: BatchStrategy,
}

impl Import {
    async fn begin(app: AppState, by: access::Admin, asked: Asked) -> Result<Self> {
        let before = match asked.key.clone() {
            None => ImportProgress::default(),
            Some(key) => app.store.scan(&by, move |tx| user_import::find_progress(tx, &key)).await?,
        };
        let done = UsersImported::of(&before)?;
        let (chain, seen, strategy) = (Chain::default(), Seen::default(), BatchStrategy::Optimistic);
        Ok(Self { app, by, asked, before, done, rows: 0, chain, seen, strategy })
    }

    async fn run(mut self, mut body: Body) -> Result<Response, Problem> {
        let (mut splitter, mut rows) = (Splitter::new(self.asked.format), Vec::new());
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
            splitter
                .push(frame.data_ref().map_or(&[][..], |data| data), &mut rows)
                .map_err(Error::Invalid)?;
            while let Some(end) = BatchSize::SHARED.full(&rows) {
                let rest = rows.split_off(end);
                self.batch(std::mem::replace(&mut rows, rest)).await?;
            }
        }
        splitter.finish(&mut rows).map_err(Error::Invalid)?;
        while !rows.is_empty() {
            let rest = rows.split_off(BatchSize::SHARED.full(&rows).unwrap_or(rows.len()));
            self.batch(std::mem::replace(&mut rows, rest)).await?;
        }
        if self.rows < self.before.rows {
            return Err(other_body().into());
        }
        let is_replayed = self.rows > 0 && self.rows == self.before.rows;
        let mut response = WriteResponse::ok(&self.done)?.answer(self.asked.dry_run)?;
        if is_replayed {
            response.headers_mut().insert(REPLAYED, TRUE);
        }
        Ok(response)
    }

    async fn batch(&mut self, mut rows: Vec<RawRow>) -> Result<()> {
        let known = usize::try_from(self.before.rows - self.rows).unwrap_or(0).min(rows.len());
        let new = rows.split_off(known);
        self.pass(&rows)?;
        if new.is_empty() {
            return Ok(());
        }
        let mark = |row| {
            self.chain.add(row);
            self.chain.clone()
        };
        let (marks, from) = (new.iter().map(mark).collect(), self.rows);
        let rows = read_rows(&self.app.store, &self.by, new).await?;
        self.rows += i64::try_from(rows.len()).unwrap_or(i64::MAX);
        if self.asked.dry_run { self.dry_run(rows).await } else { self.store(rows, marks, from).await }
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
        let (app, send_mail) = (&self.app, self.asked.send_mail);
        let tried = user_import::dry_run_batch(&app.store, &self.by, &mut self.strategy, rows, send_mail);
        let mut outcomes = tried.await?;
        self.seen.check(&mut outcomes);
        self.done.count(outcomes);
        Ok(())
    }

    async fn store(&mut self, rows: Vec<user_import::ImportRow>, marks: Vec<Chain>, from: i64) -> Result<()> {
        let batch = Batch { send_mail: self.asked.send_mail, key: self.asked.key.clone(), from, rows, marks };
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
struct Batch {
    send_mail: bool,
    key: Option<String>,
    /// The rows of the import before it.
    from: i64,
    rows: Vec<user_import::ImportRow>,
    /// The checksum up to each of them.
    marks: Vec<Chain>,
}

impl Batch {
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
        let outcomes = user_import::create_batch(tx, rows, self.send_mail, strategy)?;
        let end = at + outcomes.len();
        done.count(outcomes);
        if let Some(key) = &self.key {
            let told = serde_json::to_string(&done.rejected)
                .map_err(|e| Error::internal(format!("an import's state cannot be written: {e}")))?;
            let rows_to = |place: usize| self.from + i64::try_from(place).unwrap_or(i64::MAX);
            let progress = ImportProgress {
                checksum: self
                    .marks
                    .get(..end)
                    .and_then(<[_]>::last)
                    .map_or_else(String::new, Chain::to_string),
                rows: rows_to(end),
                created: done.created,
                failed: done.failed,
                told,
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
