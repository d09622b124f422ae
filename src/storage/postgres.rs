//! PostgreSQL below the [`Connection`] trait. Nothing else names its driver.
//!
//! A connection is used by one thread at a time, which waits for each answer itself: the driver's tasks run on that
//! thread, so a statement costs no change of thread.

use std::collections::HashMap;
use std::error::Error as _;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Socket, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::driver::{Connection, DbError, Dialect, Param, Row};
use crate::error::{Error, Result};
use crate::model::PartnerId;

/// Statements kept prepared on a connection. There are some two hundred texts; lists with many filters make more.
const PREPARED: usize = 512;

/// Statements that are put off at most.
const LATER: usize = 64;

/// How long one TCP and TLS connection may take to come about.
const CONNECTING: Duration = Duration::from_secs(3);

/// Beyond what the server is told to stop a statement after: then the connection is taken for dead.
const GRACE: Duration = Duration::from_secs(2);

/// Where the database is and how to get in. The password hides itself in `Debug` (the driver sees to that).
#[derive(Clone)]
pub(super) struct Address {
    config: tokio_postgres::Config,
    tls: MakeRustlsConnect,
    /// After this the server stops a statement.
    timeout: Duration,
}

impl Address {
    /// Understands a URL.
    ///
    /// # Errors
    /// What is wrong with it, without the password in it.
    pub(super) fn parse(
        url: &str,
        ca_file: Option<&std::path::Path>,
        timeout: Duration,
    ) -> Result<Self, String> {
        let mut config: tokio_postgres::Config = url.parse().map_err(|e: tokio_postgres::Error| {
            // The parser's words name the parameter, never its value.
            let why = e.source().map_or_else(|| e.to_string(), ToString::to_string);
            format!("is no address of a PostgreSQL database ({why})")
        })?;
        if config.get_hosts().is_empty() {
            return Err(String::from("names no host"));
        }
        if config.get_dbname().is_none() {
            return Err(String::from("names no database"));
        }
        if config.get_user().is_none() {
            return Err(String::from("names no user"));
        }
        if !url.contains("sslmode=") {
            // Passwords of people cross this connection: beyond this machine only with TLS, unless told otherwise.
            let mode =
                if config.get_hosts().iter().all(is_here) { SslMode::Disable } else { SslMode::Require };
            config.ssl_mode(mode);
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECTING);
        }
        config.application_name("tenantry");
        config.keepalives_idle(Duration::from_secs(30));
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(timeout + GRACE);
        }
        Ok(Self { config, tls: tls(ca_file)?, timeout })
    }

    /// Where it is, for people: hosts and database, no password.
    pub(super) fn shown(&self) -> String {
        let ports = self.config.get_ports();
        let hosts: Vec<String> = self
            .config
            .get_hosts()
            .iter()
            .enumerate()
            .map(|(at, host)| {
                let port = ports.get(at).or_else(|| ports.first()).copied().unwrap_or(5432);
                match host {
                    Host::Tcp(name) => format!("{name}:{port}"),
                    #[cfg(unix)]
                    Host::Unix(path) => format!("{}:{port}", path.display()),
                }
            })
            .collect();
        format!("{}/{}", hosts.join(","), self.config.get_dbname().unwrap_or_default())
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown())
    }
}

fn is_here(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

/// Certificates are always checked, against the public authorities or those of `ca_file`.
fn tls(ca_file: Option<&std::path::Path>) -> Result<MakeRustlsConnect, String> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;
    let mut roots = rustls::RootCertStore::empty();
    match ca_file {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            let wrong = |e: &dyn std::fmt::Display| {
                format!("database-ca-file: {} holds no certificates that can be read: {e}", path.display())
            };
            let all = CertificateDer::pem_file_iter(path).map_err(|e| wrong(&e))?;
            for certificate in all {
                roots.add(certificate.map_err(|e| wrong(&e))?).map_err(|e| wrong(&e))?;
            }
            if roots.is_empty() {
                return Err(wrong(&"it has none"));
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| format!("TLS cannot be set up: {e}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Units of work.
    Write,
    /// Reads; writing fails.
    Read,
    /// Notifications, and the changes of the schema, which may take long.
    Watch,
}

type Link = tokio_postgres::Connection<
    Socket,
    <MakeRustlsConnect as tokio_postgres::tls::MakeTlsConnect<Socket>>::Stream,
>;

/// One connection.
pub(super) struct Postgres {
    client: Client,
    line: Line,
    statements: HashMap<String, Statement>,
    patience: Duration,
    /// Of this connection alone where that can be had: which row of a total it adds to.
    slot: i64,
    /// To be sent ahead of the next statement, in one go with it.
    begin: Option<&'static str>,
    /// The same, after `begin`, in order.
    later: Vec<Later>,
    /// Why the transaction cannot go on, if it cannot.
    failure: Option<Failure>,
    since: Instant,
}

/// A statement whose answer is not waited for by itself.
struct Later {
    statement: Statement,
    params: Vec<Owned>,
    refused: fn(DbError) -> Error,
}

/// A parameter that is kept.
enum Owned {
    Null,
    Int(i64),
    Text(String),
}

impl Owned {
    fn param(&self) -> Param<'_> {
        match self {
            Self::Null => Param::Null,
            Self::Int(v) => Param::Int(*v),
            Self::Text(v) => Param::Text(v),
        }
    }
}

impl From<Param<'_>> for Owned {
    fn from(param: Param<'_>) -> Self {
        match param {
            Param::Null => Self::Null,
            Param::Int(v) => Self::Int(v),
            Param::Text(v) => Self::Text(v.to_owned()),
        }
    }
}

/// What ends a transaction from outside, whatever the unit of work makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// Run it again.
    Overtaken,
    /// A row that it points to went away meanwhile, or never was there: run it again, but not for ever.
    Dangling,
    /// The connection is of no use any more.
    Lost,
}

/// The driver's half of a connection, and the runtime it is polled on.
struct Line {
    /// Taken only by `drop`.
    runtime: Option<tokio::runtime::Runtime>,
    link: Pin<Box<Link>>,
    is_closed: bool,
    heard: Vec<tokio_postgres::Notification>,
}

impl Drop for Line {
    fn drop(&mut self) {
        // An ordinary drop may not happen on a thread of another runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Line {
    fn turn(&mut self, cx: &mut Context<'_>) {
        while !self.is_closed {
            match self.link.poll_message(cx) {
                Poll::Ready(Some(Ok(AsyncMessage::Notification(heard)))) => self.heard.push(heard),
                Poll::Ready(Some(Ok(_))) => {}
                // The statement that waits is told of it by the driver.
                Poll::Ready(Some(Err(_)) | None) => self.is_closed = true,
                Poll::Pending => return,
            }
        }
    }

    /// Waits for an answer, no longer than `patience`.
    fn wait<T>(
        &mut self,
        patience: Duration,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, DbError> {
        let Some(runtime) = self.runtime.take() else { return Err(DbError::Lost("it was closed".into())) };
        let mut answer = pin!(answer);
        let done = runtime.block_on(async {
            let both = poll_fn(|cx| {
                self.turn(cx);
                let answer = answer.as_mut().poll(cx);
                if answer.is_pending() {
                    // What the answer has just asked for is to be sent.
                    self.turn(cx);
                }
                answer
            });
            tokio::time::timeout(patience, both).await
        });
        self.runtime = Some(runtime);
        match done {
            Ok(answer) => answer.map_err(DbError::from),
            Err(_) => Err(DbError::Lost(String::from("no answer in time"))),
        }
    }
}

impl Postgres {
    /// Connects to the host that may be written to.
    pub(super) fn connect(address: &Address, role: Role) -> Result<Self, DbError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| DbError::Other(format!("cannot start a runtime: {e}")))?;
        let hosts = u32::try_from(address.config.get_hosts().len()).unwrap_or(u32::MAX);
        let connecting = address.config.connect(address.tls.clone());
        let limit = CONNECTING.saturating_mul(hosts.saturating_add(1));
        let connected = runtime.block_on(async { tokio::time::timeout(limit, connecting).await });
        let line_of =
            |runtime, link| Line { runtime: Some(runtime), link, is_closed: false, heard: Vec::new() };
        let (client, line) = match connected {
            Ok(Ok((client, link))) => (client, line_of(runtime, Box::pin(link))),
            Ok(Err(e)) => {
                runtime.shutdown_background();
                return Err(of_connecting(e));
            }
            Err(_) => {
                runtime.shutdown_background();
                return Err(DbError::Lost(String::from("it does not answer")));
            }
        };
        let patience = match role {
            Role::Write | Role::Read => address.timeout + GRACE,
            Role::Watch => Duration::from_secs(600),
        };
        let mut conn = Self {
            client,
            line,
            statements: HashMap::new(),
            patience,
            slot: 0,
            begin: None,
            later: Vec::new(),
            failure: None,
            since: Instant::now(),
        };
        conn.set_up(address, role)?;
        Ok(conn)
    }

    fn set_up(&mut self, address: &Address, role: Role) -> Result<(), DbError> {
        let limit = if role == Role::Watch { 0 } else { address.timeout.as_millis() };
        let read_only = if role == Role::Read { "on" } else { "off" };
        // What the server's own configuration says of these must not decide how a unit of work behaves. Statements
        // are planned anew each time: the same text serves a term that nobody has and one that everybody has.
        self.batch(&format!(
            "SET default_transaction_isolation = 'read committed'; SET default_transaction_read_only = {read_only}; \
             SET statement_timeout = {limit}; SET lock_timeout = {limit}; \
             SET idle_in_transaction_session_timeout = {limit}; SET client_min_messages = error; \
             SET standard_conforming_strings = on; SET synchronous_commit = on"
        ))?;
        if role == Role::Write {
            self.slot = self.claim_slot()?;
        }
        Ok(())
    }

    /// Finds a slot of the totals that no other connection adds to: two that add to one row would wait for each
    /// other, and one of them would have to run its unit again.
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
    pub(super) fn slot(&self) -> i64 {
        self.slot
    }

    /// How long it has been open.
    pub(super) fn age(&self) -> Duration {
        self.since.elapsed()
    }

    /// Whether nothing stands in the way of using it again.
    pub(super) fn is_usable(&self) -> bool {
        self.failure != Some(Failure::Lost) && !self.line.is_closed && !self.client.is_closed()
    }

    /// Whether the server has closed it while it lay idle.
    pub(super) fn notices_close(&mut self) -> bool {
        let Some(runtime) = self.line.runtime.take() else { return true };
        let line = &mut self.line;
        runtime.block_on(async {
            // The first turn asks to be woken, the pause has the system asked what has come in.
            poll_fn(|cx| Poll::Ready(line.turn(cx))).await;
            tokio::task::yield_now().await;
            poll_fn(|cx| Poll::Ready(line.turn(cx))).await;
        });
        self.line.runtime = Some(runtime);
        if self.line.is_closed {
            self.failure = Some(Failure::Lost);
        }
        self.line.is_closed
    }

    /// Begins a transaction with the next statement, which goes to the server together with `sql`.
    pub(super) fn begin(&mut self, sql: &'static str) {
        self.failure = None;
        self.later.clear();
        self.begin = Some(sql);
    }

    /// Commits the transaction, together with what was put off. One in which nothing was asked costs nothing.
    pub(super) fn commit(&mut self) -> Result<(), DbError> {
        if self.begin.is_some() && self.later.is_empty() {
            self.begin = None;
            return Ok(());
        }
        self.run(async |client| client.batch_execute("COMMIT").await)
    }

    /// Undoes the transaction.
    pub(super) fn roll_back(&mut self) {
        self.later.clear();
        if self.begin.take().is_none() {
            // A connection that cannot even do this is found out when it is given back.
            let _ = self.batch("ROLLBACK");
        }
    }

    /// Has what was put off done now.
    pub(super) fn catch_up(&mut self) -> Result<(), DbError> {
        if self.later.is_empty() { Ok(()) } else { self.run(async |_| Ok(())) }
    }

    /// Sends what was put off and `last` in one go and waits for all answers. The first refusal counts: the server
    /// does nothing of a transaction after one.
    fn run<T>(
        &mut self,
        last: impl AsyncFnOnce(&Client) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, DbError> {
        let (begin, later) = (self.begin.take(), std::mem::take(&mut self.later));
        let client = &self.client;
        let answers = self.line.wait(self.patience, async {
            let mut ahead: Vec<Ahead<'_>> = Vec::with_capacity(later.len() + 1);
            if let Some(begin) = begin {
                ahead.push(Box::pin(async move { client.batch_execute(begin).await }));
            }
            for later in &later {
                ahead.push(Box::pin(async move {
                    let params = later.params.iter().map(Owned::param);
                    client.execute_raw(&later.statement, params).await.map(drop)
                }));
            }
            Ok(in_order(ahead, last(client)).await)
        });
        let (ahead, last) = self.note(answers)?;
        let refused = begin.map(|_| DbError::into as fn(DbError) -> Error);
        let refused = refused.into_iter().chain(later.iter().map(|later| later.refused));
        for (answer, refused) in ahead.into_iter().zip(refused) {
            if let Err(e) = answer {
                let e = self.note::<()>(Err(e.into())).err().unwrap_or(DbError::Overtaken);
                return Err(DbError::Caller(refused(e)));
            }
        }
        self.note(last.map_err(DbError::from))
    }

    /// Whether the connection is gone.
    pub(super) fn is_lost(&self) -> bool {
        self.failure == Some(Failure::Lost)
    }

    /// Why the transaction could not go on, if it could not.
    pub(super) fn take_failure(&mut self) -> Option<Failure> {
        self.failure.take()
    }

    /// What was heard since the last call, after waiting for `patience` at most: channel and payload.
    pub(super) fn listen(&mut self, patience: Duration) -> Result<Vec<(String, String)>, DbError> {
        let Some(runtime) = self.line.runtime.take() else {
            return Err(DbError::Lost("it was closed".into()));
        };
        let line = &mut self.line;
        let heard = poll_fn(|cx| {
            line.turn(cx);
            if line.heard.is_empty() && !line.is_closed { Poll::Pending } else { Poll::Ready(()) }
        });
        let _ = runtime.block_on(async { tokio::time::timeout(patience, heard).await });
        self.line.runtime = Some(runtime);
        if self.line.is_closed {
            return Err(DbError::Lost(String::from("the connection was closed")));
        }
        let heard = std::mem::take(&mut self.line.heard);
        Ok(heard.iter().map(|n| (n.channel().to_owned(), n.payload().to_owned())).collect())
    }

    fn note<T>(&mut self, done: Result<T, DbError>) -> Result<T, DbError> {
        if let Err(e) = &done {
            let failure = match e {
                DbError::Overtaken => Some(Failure::Overtaken),
                DbError::Dangling => Some(Failure::Dangling),
                DbError::Lost(_) => Some(Failure::Lost),
                _ => None,
            };
            self.failure = self.failure.filter(|f| *f == Failure::Lost).or(failure);
        }
        done
    }

    fn prepare(&mut self, sql: &str, params: usize) -> Result<Statement, DbError> {
        let statement = match self.statements.get(sql) {
            Some(statement) => statement.clone(),
            None => {
                let prepared = self.line.wait(self.patience, self.client.prepare(sql));
                let statement = self.note(prepared)?;
                if self.statements.len() >= PREPARED {
                    self.statements.clear();
                }
                self.statements.insert(sql.to_owned(), statement.clone());
                statement
            }
        };
        if statement.params().len() != params {
            return Err(DbError::Other(format!(
                "a statement takes {} parameters and was given {params}, the partner included",
                statement.params().len(),
            )));
        }
        Ok(statement)
    }
}

/// The partner and the parameters, as the driver takes them.
fn bound<'p>(partner: Option<PartnerId>, params: &'p [Param<'p>]) -> Vec<Param<'p>> {
    partner.map(|pid| Param::Int(pid.0)).into_iter().chain(params.iter().copied()).collect()
}

impl Connection for Postgres {
    fn execute(
        &mut self,
        sql: &str,
        partner: Option<PartnerId>,
        params: &[Param<'_>],
    ) -> Result<usize, DbError> {
        let params = bound(partner, params);
        let statement = self.prepare(sql, params.len())?;
        let changed = self.run(async |client| client.execute_raw(&statement, params.iter()).await)?;
        Ok(usize::try_from(changed).unwrap_or(usize::MAX))
    }

    fn execute_later(
        &mut self,
        sql: &str,
        partner: Option<PartnerId>,
        params: &[Param<'_>],
        refused: fn(DbError) -> Error,
    ) -> Result<(), DbError> {
        let params = bound(partner, params);
        let statement = self.prepare(sql, params.len())?;
        self.later.push(Later { statement, params: params.into_iter().map(Owned::from).collect(), refused });
        if self.later.len() < LATER { Ok(()) } else { self.catch_up() }
    }

    fn query(
        &mut self,
        sql: &str,
        partner: Option<PartnerId>,
        params: &[Param<'_>],
        each: &mut dyn FnMut(&dyn Row) -> Result<()>,
    ) -> Result<(), DbError> {
        let params = bound(partner, params);
        let statement = self.prepare(sql, params.len())?;
        let rows = self.run(async |client| {
            let rows = client.query_raw(&statement, params.iter()).await?;
            collect(rows).await
        })?;
        for row in rows {
            each(&row)?;
        }
        Ok(())
    }

    fn batch(&mut self, sql: &str) -> Result<(), DbError> {
        self.run(async |client| client.batch_execute(sql).await)
    }

    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }
}

async fn collect(rows: tokio_postgres::RowStream) -> Result<Vec<tokio_postgres::Row>, tokio_postgres::Error> {
    let mut rows = pin!(rows);
    let mut out = Vec::new();
    while let Some(row) = poll_fn(|cx| futures_core::Stream::poll_next(rows.as_mut(), cx)).await {
        out.push(row?);
    }
    Ok(out)
}

type Ahead<'a> = Pin<Box<dyn Future<Output = Result<(), tokio_postgres::Error>> + 'a>>;

/// Runs futures side by side. Each asks the server at its first turn, and these turns are taken in order.
async fn in_order<T>(
    mut ahead: Vec<Ahead<'_>>,
    last: impl Future<Output = T>,
) -> (Vec<Result<(), tokio_postgres::Error>>, T) {
    let mut answers: Vec<_> = ahead.iter().map(|_| None).collect();
    let mut last = pin!(last);
    let mut last_answer = None;
    poll_fn(|cx| {
        let mut is_done = true;
        for (future, answer) in ahead.iter_mut().zip(&mut answers) {
            if answer.is_none() {
                match future.as_mut().poll(cx) {
                    Poll::Ready(done) => *answer = Some(done),
                    Poll::Pending => is_done = false,
                }
            }
        }
        if last_answer.is_none() {
            match last.as_mut().poll(cx) {
                Poll::Ready(done) => last_answer = Some(done),
                Poll::Pending => is_done = false,
            }
        }
        if !is_done {
            return Poll::Pending;
        }
        let answers = answers.iter_mut().filter_map(Option::take).collect();
        last_answer.take().map_or(Poll::Pending, |last| Poll::Ready((answers, last)))
    })
    .await
}

impl ToSql for Param<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match *self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(v) => match *ty {
                Type::INT8 => v.to_sql(ty, out),
                Type::INT4 => i32::try_from(v)?.to_sql(ty, out),
                Type::BOOL => (v != 0).to_sql(ty, out),
                _ => Err(format!("a number is given where the statement takes {ty}").into()),
            },
            Self::Text(v) => match *ty {
                Type::INT8 | Type::INT4 | Type::BOOL => {
                    Err(format!("a text is given where the statement takes {ty}").into())
                }
                // jsonb has a version before its text.
                Type::JSONB => {
                    out.extend_from_slice(&[1]);
                    out.extend_from_slice(v.as_bytes());
                    Ok(IsNull::No)
                }
                _ => {
                    out.extend_from_slice(v.as_bytes());
                    Ok(IsNull::No)
                }
            },
        }
    }

    fn accepts(_ty: &Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

fn wrong_type(column: usize) -> Error {
    Error::Internal(format!("column {column} of an answer has an unexpected type").into())
}

impl Row for tokio_postgres::Row {
    fn int(&self, column: usize) -> Result<i64> {
        self.opt_int(column)?.ok_or_else(|| wrong_type(column))
    }
    fn opt_int(&self, column: usize) -> Result<Option<i64>> {
        let ty = self.columns().get(column).map(tokio_postgres::Column::type_);
        let value = match ty {
            Some(&Type::INT8) => self.try_get::<_, Option<i64>>(column),
            Some(&Type::INT4) => self.try_get::<_, Option<i32>>(column).map(|v| v.map(i64::from)),
            Some(&Type::BOOL) => self.try_get::<_, Option<bool>>(column).map(|v| v.map(i64::from)),
            _ => return Err(wrong_type(column)),
        };
        value.map_err(|_| wrong_type(column))
    }
    fn text(&self, column: usize) -> Result<&str> {
        self.opt_text(column)?.ok_or_else(|| wrong_type(column))
    }
    fn opt_text(&self, column: usize) -> Result<Option<&str>> {
        self.try_get::<_, Option<&str>>(column).map_err(|_| wrong_type(column))
    }
}

/// What the server says to somebody who connects, or what stands between.
fn of_connecting(e: tokio_postgres::Error) -> DbError {
    match e.as_db_error().map(|db| db.code().clone()) {
        Some(SqlState::TOO_MANY_CONNECTIONS) => DbError::Busy,
        Some(code) => match code.code().get(..2) {
            // Wrong password, no such user or database: these do not mend themselves.
            Some("28" | "3D" | "42") => DbError::Other(format!("postgres: {}", message(&e))),
            _ => DbError::Lost(message(&e)),
        },
        None => DbError::Lost(message(&e)),
    }
}

/// All of an error's causes in a line. Connecting quotes no values but names of users and databases.
fn message(e: &tokio_postgres::Error) -> String {
    let mut text = e.as_db_error().map_or_else(|| e.to_string(), |db| db.message().to_owned());
    let mut cause = if e.as_db_error().is_some() { None } else { e.source() };
    while let Some(e) = cause {
        text.push_str(": ");
        text.push_str(&e.to_string());
        cause = e.source();
    }
    text
}

impl From<tokio_postgres::Error> for DbError {
    fn from(e: tokio_postgres::Error) -> Self {
        let Some(db) = e.as_db_error() else {
            let is_ours = e.source().is_some_and(|s| s.downcast_ref::<std::io::Error>().is_none());
            // Values that do not fit a statement are our fault; everything else is the connection's.
            return if is_ours && !e.is_closed() {
                Self::Other(format!("postgres: {}", message(&e)))
            } else {
                Self::Lost(message(&e))
            };
        };
        match db.code() {
            &SqlState::UNIQUE_VIOLATION => {
                Self::Duplicate { table: db.table().unwrap_or_default().to_owned() }
            }
            &SqlState::FOREIGN_KEY_VIOLATION => Self::Dangling,
            &SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED => Self::Overtaken,
            &SqlState::DISK_FULL => Self::Full,
            &SqlState::LOCK_NOT_AVAILABLE | &SqlState::QUERY_CANCELED | &SqlState::TOO_MANY_CONNECTIONS => {
                Self::Busy
            }
            // A primary that became a standby; a server that stops or starts.
            &SqlState::READ_ONLY_SQL_TRANSACTION
            | &SqlState::ADMIN_SHUTDOWN
            | &SqlState::CRASH_SHUTDOWN
            | &SqlState::CANNOT_CONNECT_NOW
            | &SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => Self::Lost(db.message().to_owned()),
            // The message of a bad statement names columns. Others may quote values: the code must do.
            code if code.code().starts_with("42") => {
                Self::Other(format!("postgres: {} ({})", db.message(), code.code()))
            }
            code => {
                let at = db.constraint().or(db.table()).unwrap_or("no table");
                Self::Other(format!("postgres: error {} at {at}", code.code()))
            }
        }
    }
}
