//! `tenantry serve`

use std::io::{self, IsTerminal as _, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

use super::Failure;
use super::control::Bound;
use super::first_start::{self, Made};
use super::lock::{self, Lock};
use super::refusal::Refusal;
use super::warm::Warm;
use crate::access::Operator;
use crate::api;
use crate::api::observe::Metrics;
use crate::api::server::{self, Bounds};
use crate::app::App;
use crate::clock::Clock;
use crate::config::{Config, LogFormat};
use crate::domain::bulk_operations;
use crate::hashing::HashCost;
use crate::mail::{Directory, Mailer, Sender, Smtp};
use crate::random::Random;
use crate::worker::Worker;

/// Connections that the system completes before they are accepted: a burst must not see resets.
const BACKLOG: u32 = 1_024;
/// How long work on blocking threads has to end after everything else has.
const LAST_WORK: Duration = Duration::from_secs(5);

/// How long bulk operations may go on after the signal to stop: less than the requests that wait for them.
const LAST_STEPS: Duration = Duration::from_secs(5);

/// After so many polls of tasks the runtime looks what has come on connections and from other threads. By default it
/// does so after 61 and 31: a quiet partner's request, or the answer to its write, would wait for as many requests of a
/// flood.
const LOOK: u32 = 8;

/// Between two turns of the metrics' housekeeping.
const UPKEEP: Duration = Duration::from_secs(5);

/// What a server holds until it ends. The order of the fields is that of their ends: the lock goes last.
struct Running {
    app: App,
    warm: Option<Warm>,
    /// None for a database that processes share.
    lock: Option<Lock>,
}

/// Runs the server until it is told to stop.
pub(super) fn run(config: Config, out: &mut impl Write) -> Result<(), Failure> {
    // Before anything is made; a database that is there may be empty all the same, so the start looks again.
    if let Some(path) = config.sqlite_file()
        && !lock::has_database(path)?
    {
        lock::check_database_dir(&config, path)?;
        first_start::describe(&config, &Random::system()).map_err(Failure::Settings)?;
    }
    init_log(&config);
    // A second server on the same data would find the port in use, too; the lock says it better.
    let has_dir = lock::check_data_dir(&config.data_dir)?;
    let lock =
        if has_dir && config.sqlite_file().is_some() { Some(lock::take_for_server(&config)?) } else { None };
    let runtime = runtime(config.worker_threads)
        .map_err(|e| Refusal::new("internal", format!("cannot start the runtime: {e}")))?;
    let Running { app, warm, lock } = runtime.block_on(serve(config, lock, out))?;
    // Scans may still hold the store; the last one who lets go of it closes the database.
    runtime.shutdown_timeout(LAST_WORK);
    drop(app);
    drop(warm);
    drop(lock);
    tracing::info!("stopped");
    Ok(())
}

fn init_log(config: &Config) {
    let filter = tracing_subscriber::EnvFilter::try_new(&config.log).unwrap_or_default();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    // Only tests have set one before.
    let _ = match config.log_format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().try_init(),
    };
}

/// One thread serves by itself, without the cost of handing work between threads.
fn runtime(threads: usize) -> io::Result<tokio::runtime::Runtime> {
    let mut builder = match threads {
        0 | 1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    if threads > 1 {
        builder.worker_threads(threads);
    }
    builder.event_interval(LOOK).global_queue_interval(LOOK).enable_all().build()
}

async fn serve(mut config: Config, lock: Option<Lock>, out: &mut impl Write) -> Result<Running, Failure> {
    // The port comes before the data, so that nothing is made when it is in use.
    let listener = listen(config.listen)?;
    let address = listener.local_addr().map_err(|e| not_listening(config.listen, &e))?;
    config.listening_on(address);
    let sqlite = config.sqlite_file().map(Path::to_owned);
    // Where people and mail are elsewhere, nothing is kept here.
    if sqlite.is_some() || config.smtp_url.is_none() {
        lock::create_data_dir(&config.data_dir)?;
    }
    let lock = match lock {
        None if sqlite.is_some() => Some(lock::take_for_server(&config)?),
        lock => lock,
    };
    let mailer = mailer(&config)?;
    let database = config.database_url.clone();
    let app = App::assemble(config, Clock::system(), Random::system(), HashCost::OWASP)
        .map_err(|e| Refusal::of_database(&database, e))?;
    // All that can fail comes before the first admin: its generated password is told once, at the end of the start.
    let control = match &sqlite {
        Some(_) => Some(Bound::new(&lock::socket_path(&app.config.data_dir))?),
        None => None,
    };
    let stop = stop_signal().map_err(|e| Refusal::new("internal", format!("cannot watch signals: {e}")))?;
    let by = Operator::of_this_machine();
    let made = if first_start::is_due(&app, by).await? {
        let admin = first_start::describe(&app.config, &app.random).map_err(Failure::Settings)?;
        first_start::make(&app, by, admin).await.map_err(|e| Refusal::of_database(&database, e))?
    } else {
        None
    };
    let running = Running { warm: sqlite.as_deref().map(Warm::start), app, lock };
    let (app, config) = (&running.app, &running.app.config);
    let control = control.zip(sqlite.as_deref()).map(|(control, path)| control.start(app.clone(), path));
    if let Err(error) = announce(out, config, &mailer, made.as_ref()) {
        tracing::warn!(
            %error,
            "the start-up lines could not be printed; should they have had the admin's password, \
             `tenantry user reset-password --print-password` gives another"
        );
    }
    let worker = Worker::start(app.clone(), mailer)?;
    let attending = tokio::spawn(bulk_operations::attend(app.clone()));
    tracing::info!(%address, "serving");
    let served = http(app, listener, ending(app, stop)).await;
    tracing::info!("stopping");
    attending.abort();
    app.bulk.stop();
    if let Some(control) = control {
        control.stop().await;
    }
    if timeout(LAST_WORK, app.bulk.stopped()).await.is_err() {
        tracing::warn!("a step of a bulk operation was still in work when the server stopped");
    }
    // It ends after the batch under way, for which this thread must not be held up.
    if tokio::task::spawn_blocking(move || worker.stop()).await.is_err() {
        tracing::error!("the worker did not end well");
    }
    served.map_err(|e| Refusal::new("internal", format!("the HTTP server failed: {e}")))?;
    Ok(running)
}

/// Serves HTTP until `stop` is ready and the requests in work have ended.
async fn http(app: &App, listener: TcpListener, stop: impl Future<Output = ()>) -> io::Result<()> {
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = Arc::new(Metrics::new(&recorder));
    let upkeep = async {
        loop {
            tokio::time::sleep(UPKEEP).await;
            metrics.upkeep();
        }
    };
    let bounds = Bounds { body_limit: app.config.body_limit as u64, ..Bounds::default() };
    tokio::select! {
        served = server::serve(listener, api::service(app, &metrics), bounds, stop) => served,
        never = upkeep => never,
    }
}

/// Ready when `stop` is. Bulk operations then have some time to end, as other requests have; what has not ended goes on at
/// the next start.
async fn ending(app: &App, stop: impl Future<Output = ()>) {
    stop.await;
    let bulk = app.bulk.clone();
    tokio::spawn(async move {
        tokio::time::sleep(LAST_STEPS).await;
        bulk.stop();
    });
}

fn listen(address: SocketAddr) -> Result<TcpListener, Refusal> {
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // Connections of a server that has just stopped must not keep the next one from its port.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|e| not_listening(address, &e))
}

fn not_listening(address: SocketAddr, error: &io::Error) -> Refusal {
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => {
            String::from("another program uses this port: stop it, or give another port with listen")
        }
        io::ErrorKind::PermissionDenied => String::from(
            "this user may not use this port: give one from 1024 with listen, or grant CAP_NET_BIND_SERVICE",
        ),
        io::ErrorKind::AddrNotAvailable => {
            String::from("this machine does not have this address: give one that it has with listen")
        }
        _ => format!("{error}: give another address with listen"),
    };
    Refusal::new("listen", format!("cannot listen on {address}: {why}"))
}

/// The way that mails go: through `smtp-url`, or into files.
fn mailer(config: &Config) -> Result<Mailer, Refusal> {
    let wrong = |setting: &str, what: String| Refusal::new("invalid", format!("{setting}: {what}"));
    let sender = Sender::new(&config.mail_from.to_string(), &config.public_url)
        .map_err(|what| wrong("mail-from", what))?;
    match &config.smtp_url {
        Some(url) => {
            Smtp::new(url.expose(), sender).map(Mailer::Smtp).map_err(|what| wrong("smtp-url", what))
        }
        None => {
            let path = config.data_dir.join("mail");
            Directory::open(&path, sender)
                .map(Mailer::Directory)
                .map_err(|e| Refusal::of_file("use the mail directory", &path, &e))
        }
    }
}

/// Ready when the process is told to stop.
pub(super) fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// The lines that people see at the start; after the first only addresses.
fn announce(out: &mut impl Write, config: &Config, mailer: &Mailer, made: Option<&Made>) -> io::Result<()> {
    writeln!(out, "Tenantry {}", env!("CARGO_PKG_VERSION"))?;
    if let Some(made) = made {
        writeln!(out, "first start: made partner {} (\"default\") and its admin", made.pid)?;
        writeln!(out, "  username: {}", made.username)?;
        match &made.password {
            Some(password) => writeln!(out, "  password: {}", password.as_str())?,
            None => writeln!(out, "  password: as given by admin-password")?,
        }
    }
    let url = &config.public_url;
    writeln!(out, "API:        {url}/api/v1")?;
    writeln!(out, "API docs:   {url}/docs/")?;
    writeln!(out, "health:     {url}/healthz")?;
    match config.sqlite_file() {
        Some(_) => writeln!(out, "data:       {}", config.data_dir.display())?,
        None => writeln!(out, "data:       {}", config.database_url)?,
    }
    writeln!(out, "{}", mailer.describe())?;
    out.flush()
}
