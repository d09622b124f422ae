//! PostgreSQL, as a `Connection`. Only this module uses its driver.
//!
//! A connection is used by one thread at a time, which waits for each result itself: the driver's tasks run on that
//! thread, so a statement costs no thread switch.

mod address;
mod bulk;
mod connect_error;
mod line;
mod statements;
mod values;

pub(crate) mod listen;
pub(crate) mod pool;
mod pooler;
pub(crate) mod shared_batches;
mod url;

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Socket, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::engine::driver::{ColumnKind, Connection, DbError, Param};
pub(crate) use address::Address;
pub(crate) use connect_error::ConnectError;
use connect_error::NotedTls;
use line::{Ahead, Later, Line, in_order};
pub(crate) use pooler::refuse_poolers;
use tenantry_core::error::{Error, Result};
pub use url::check as check_url;

/// Maximum number of prepared statements per connection. There are some two hundred texts; lists with many filters add
/// more.
const PREPARED: usize = 512;

/// Maximum number of deferred statements.
const LATER: usize = 64;

/// Maximum number of rows of one of them.
const ROWS: usize = 1_000;

/// Timeout for one TCP and TLS connection.
const CONNECTING: Duration = Duration::from_secs(3);

/// Added to the server's statement timeout: after that the connection is considered dead.
const GRACE: Duration = Duration::from_secs(2);

/// The purpose of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Units of work.
    Write,
    /// Reads; writing fails.
    Read,
    /// Migrations, which may take long.
    Change,
    /// Notifications, with the timeout for responses.
    Listen(Duration),
    /// Copying a whole database; building an index may take hours.
    Copy,
}

type Link = tokio_postgres::Connection<
    Socket,
    <MakeRustlsConnect as tokio_postgres::tls::MakeTlsConnect<Socket>>::Stream,
>;

/// One connection.
pub(crate) struct Postgres {
    client: Client,
    line: Line,
    statements: HashMap<String, Statement>,
    timeout: Duration,
    /// The row of the totals that it adds to, its own if possible.
    slot: i64,
    /// Sent before the next statement, in the same round trip.
    begin: Option<&'static str>,
    /// Deferred statements, sent after `begin`, in order.
    later: Vec<Later>,
    /// The number of writing statements, including deferred ones.
    written: u64,
    /// How many of them, and of those that were refused because of `adds_only`, do more than add rows.
    changed: u64,
    /// Refuses statements that do more than add rows, before they are sent.
    adds_only: bool,
    /// Why the transaction cannot continue, if so.
    failure: Option<Failure>,
    since: Instant,
}

/// What ends a transaction, independent of the unit of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A conflict: retry.
    Overtaken,
    /// A referenced row was removed meanwhile, or never existed: retry, but not forever.
    Dangling,
    /// The connection is lost.
    Lost,
    /// The server is read-only. Nothing was committed.
    ReadOnly,
    /// The server's disk is full.
    Full,
}

impl Postgres {
    /// Connects to the writable host.
    pub(crate) fn connect(address: &Address, role: Role) -> Result<Self, ConnectError> {
        Self::connect_within(address, role, None)
    }

    /// The same, with this timeout; by default that of all hosts together.
    fn connect_within(address: &Address, role: Role, limit: Option<Duration>) -> Result<Self, ConnectError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| DbError::Other(format!("cannot start a runtime: {e}")))?;
        let (tls, stage) = NotedTls::new(address.tls.clone());
        let connecting = address.config.connect(tls);
        let hosts = u32::try_from(address.config.get_hosts().len()).unwrap_or(u32::MAX);
        let limit = limit.unwrap_or_else(|| CONNECTING.saturating_mul(hosts.saturating_add(1)));
        let connected = runtime.block_on(async { tokio::time::timeout(limit, connecting).await });
        let line_of = |runtime, link| Line { runtime: Some(runtime), link, heard: Vec::new() };
        let (client, line) = match connected {
            Ok(Ok((client, link))) => (client, line_of(runtime, Some(Box::pin(link)))),
            Ok(Err(e)) => {
                runtime.shutdown_background();
                return Err(ConnectError::of(&e, &address.config, stage.get()));
            }
            Err(_) => {
                runtime.shutdown_background();
                return Err(ConnectError::TimedOut(String::from("it does not answer")));
            }
        };
        let timeout = match role {
            Role::Write | Role::Read => address.timeout + GRACE,
            Role::Change => Duration::from_secs(600),
            Role::Listen(timeout) => timeout,
            Role::Copy => Duration::from_hours(7 * 24),
        };
        let mut conn = Self {
            client,
            line,
            statements: HashMap::new(),
            timeout,
            slot: 0,
            begin: None,
            later: Vec::new(),
            written: 0,
            changed: 0,
            adds_only: false,
            failure: None,
            since: Instant::now(),
        };
        conn.set_up(address, role)?;
        Ok(conn)
    }

    fn set_up(&mut self, address: &Address, role: Role) -> Result<(), DbError> {
        let limit = match role {
            Role::Write | Role::Read => address.timeout.as_millis(),
            Role::Change | Role::Listen(_) | Role::Copy => 0,
        };
        // A read-only setting of the server is respected.
        let read_only = if role == Role::Read { "SET default_transaction_read_only = on; " } else { "" };
        // The behaviour of a unit of work must not depend on the server's configuration of these.
        self.batch(&format!(
            "{read_only}SET default_transaction_isolation = 'read committed'; SET statement_timeout = {limit}; SET lock_timeout = {limit}; \
             SET idle_in_transaction_session_timeout = {limit}; SET client_min_messages = error; \
             SET standard_conforming_strings = on; SET synchronous_commit = on"
        ))?;
        if role == Role::Write {
            self.slot = self.claim_slot()?;
        }
        Ok(())
    }

    /// Finds a slot of the totals that no other connection uses: two that add to one row would wait for each other, and
    /// one of them would have to retry its unit.
    fn claim_slot(&mut self) -> Result<i64, DbError> {
        let mut slot = 0;
        self.query(
            "SELECT coalesce((SELECT n FROM (SELECT (n + pg_backend_pid()) % 64 AS n FROM generate_series(0, 63) n) s \
             WHERE pg_try_advisory_lock(1953396340, CAST(n AS INTEGER)) LIMIT 1), pg_backend_pid() % 64)",
            None,
            &[],
            &mut |row| {
                slot = row.int(0)?;
                Ok(())
            },
        )?;
        Ok(slot)
    }

    /// The row of a total that this connection adds to.
    pub(crate) fn slot(&self) -> i64 {
        self.slot
    }

    /// Its age.
    pub(crate) fn age(&self) -> Duration {
        self.since.elapsed()
    }

    /// Whether it can be reused.
    pub(crate) fn is_usable(&self) -> bool {
        !matches!(self.failure, Some(Failure::Lost | Failure::ReadOnly))
            && !self.line.is_closed()
            && !self.client.is_closed()
    }

    /// Whether the server has closed it while idle.
    pub(crate) fn notices_close(&mut self) -> bool {
        let Some(runtime) = self.line.runtime.take() else { return true };
        let line = &mut self.line;
        runtime.block_on(async {
            // The first poll registers for wake-up, the pause lets the runtime check for input.
            poll_fn(|cx| {
                line.poll_link(cx);
                Poll::Ready(())
            })
            .await;
            tokio::task::yield_now().await;
            poll_fn(|cx| {
                line.poll_link(cx);
                Poll::Ready(())
            })
            .await;
        });
        self.line.runtime = Some(runtime);
        if self.line.is_closed() {
            self.failure = Some(Failure::Lost);
        }
        self.line.is_closed()
    }

    /// Begins a transaction with the next statement, which is sent to the server together with `sql`.
    pub(crate) fn begin(&mut self, sql: &'static str) {
        self.failure = None;
        self.later.clear();
        self.begin = Some(sql);
    }

    /// Commits the transaction, together with deferred statements. An empty one costs nothing.
    pub(crate) fn commit(&mut self) -> Result<(), DbError> {
        if self.begin.is_some() && self.later.is_empty() {
            self.begin = None;
            return Ok(());
        }
        self.run(async |client| client.batch_execute("COMMIT").await)
    }

    /// Rolls back the transaction.
    pub(crate) fn roll_back(&mut self) {
        self.later.clear();
        // If it is lost the server does so, and waiting for another response is pointless.
        if self.begin.take().is_none() && !self.is_lost() {
            // A connection that fails here is detected when it is returned.
            let _ = self.batch("ROLLBACK");
        }
    }

    /// Takes the deferred statements, with the rows of one table combined where possible.
    fn gather(&mut self) -> Result<Vec<Later>, DbError> {
        let mut later = std::mem::take(&mut self.later);
        for later in later.iter_mut().filter(|later| later.rows.len() > 1) {
            if let Some(many) = bulk::many(&later.sql, later.statement.params()) {
                later.statement = self.prepared(&many)?;
            }
        }
        Ok(later)
    }

    /// Runs the deferred statements now.
    pub(crate) fn catch_up(&mut self) -> Result<(), DbError> {
        if self.later.is_empty() { Ok(()) } else { self.run(async |_| Ok(())) }
    }

    /// Sends the deferred statements and `last` in one round trip and waits for all results. The first error counts:
    /// the server ignores the rest of a transaction after one.
    fn run<T>(
        &mut self,
        last: impl AsyncFnOnce(&Client) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, DbError> {
        let later = self.gather()?;
        let begin = self.begin.take();
        let client = &self.client;
        let responses = self.line.wait(self.timeout, async {
            let mut ahead: Vec<Ahead<'_>> = Vec::with_capacity(later.len() + 1);
            if let Some(begin) = begin {
                ahead.push(Box::pin(async move { client.batch_execute(begin).await }));
            }
            for later in &later {
                ahead.push(Box::pin(later.send(client)));
            }
            Ok(in_order(ahead, last(client)).await)
        });
        let (ahead, last) = self.note(responses)?;
        let refused = begin.map(|_| DbError::into as fn(DbError) -> Error);
        let refused = refused.into_iter().chain(later.iter().map(|later| later.refused));
        for (response, refused) in ahead.into_iter().zip(refused) {
            if let Err(e) = response {
                let e = self.note::<()>(Err(e.into())).err().unwrap_or(DbError::Overtaken);
                return Err(DbError::Caller(refused(e)));
            }
        }
        self.note(last.map_err(DbError::from))
    }

    /// The number of writing statements so far, including deferred ones.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// The number of statements so far that do more than add rows, including refused ones.
    pub(crate) fn changed(&self) -> u64 {
        self.changed
    }

    /// Whether statements that do more than add rows are refused from now on.
    pub(crate) fn set_adds_only(&mut self, adds_only: bool) {
        self.adds_only = adds_only;
    }

    /// Counts a statement that is about to run.
    fn observe(&mut self, sql: &str) -> Result<(), DbError> {
        if sql.starts_with("SELECT ") || sql.starts_with("WITH ") {
            return Ok(());
        }
        if !bulk::only_adds(sql) {
            self.changed += 1;
            if self.adds_only {
                return Err(DbError::Other(String::from(
                    "a change in a transaction of units that only add rows",
                )));
            }
        }
        self.written += 1;
        Ok(())
    }

    /// Whether the transaction cannot continue.
    pub(crate) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Whether the connection is lost.
    pub(crate) fn is_lost(&self) -> bool {
        self.failure == Some(Failure::Lost)
    }

    /// Why the transaction could not continue, if so.
    pub(crate) fn take_failure(&mut self) -> Option<Failure> {
        self.failure.take()
    }

    /// The notifications since the last call, after waiting at most `timeout`: channel and payload.
    pub(crate) fn listen(&mut self, timeout: Duration) -> Result<Vec<(String, String)>, DbError> {
        let Some(runtime) = self.line.runtime.take() else {
            return Err(DbError::Lost("it was closed".into()));
        };
        let line = &mut self.line;
        let heard = poll_fn(|cx| {
            line.poll_link(cx);
            if line.heard.is_empty() && !line.is_closed() { Poll::Pending } else { Poll::Ready(()) }
        });
        let _ = runtime.block_on(async { tokio::time::timeout(timeout, heard).await });
        self.line.runtime = Some(runtime);
        if self.line.is_closed() {
            return Err(DbError::Lost(String::from("the connection was closed")));
        }
        let heard = std::mem::take(&mut self.line.heard);
        Ok(heard.iter().map(|n| (n.channel().to_owned(), n.payload().to_owned())).collect())
    }

    /// Inserts rows by COPY, the fastest way. `sql` ends with `FROM STDIN (FORMAT binary)`, and each row has a value
    /// for each of `kinds`.
    pub(crate) fn copy_in<'p, R>(
        &mut self,
        sql: &str,
        kinds: &[ColumnKind],
        rows: impl Iterator<Item = R>,
    ) -> Result<(), DbError>
    where
        R: ExactSizeIterator<Item = Param<'p>>,
    {
        let type_of = |kind: &ColumnKind| match kind {
            ColumnKind::Int => Type::INT8,
            ColumnKind::Text => Type::TEXT,
        };
        let types: Vec<Type> = kinds.iter().map(type_of).collect();
        let client = &self.client;
        let done = self.line.wait(self.timeout, async {
            let mut writer = pin!(BinaryCopyInWriter::new(client.copy_in(sql).await?, &types));
            for row in rows {
                writer.as_mut().write_raw(row).await?;
            }
            writer.as_mut().finish().await
        });
        self.note(done).map(drop)
    }

    fn note<T>(&mut self, done: Result<T, DbError>) -> Result<T, DbError> {
        if let Err(e) = &done {
            let failure = match e {
                DbError::Overtaken => Some(Failure::Overtaken),
                DbError::Dangling => Some(Failure::Dangling),
                DbError::Lost(_) => Some(Failure::Lost),
                DbError::ReadOnly(_) => Some(Failure::ReadOnly),
                DbError::Full | DbError::Disk(_) => Some(Failure::Full),
                _ => None,
            };
            // Later errors only say that the transaction has failed.
            if failure == Some(Failure::Lost) || self.failure.is_none() {
                self.failure = failure;
            }
        }
        done
    }

    fn prepared(&mut self, sql: &str) -> Result<Statement, DbError> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let prepared = self.line.wait(self.timeout, self.client.prepare(sql));
        let statement = self.note(prepared)?;
        if self.statements.len() >= PREPARED {
            self.statements.clear();
        }
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    fn prepare(&mut self, sql: &str, params: usize) -> Result<Statement, DbError> {
        let statement = self.prepared(sql)?;
        if statement.params().len() != params {
            return Err(DbError::Other(format!(
                "a statement takes {} parameters and was given {params}, the partner included",
                statement.params().len(),
            )));
        }
        Ok(statement)
    }
}
