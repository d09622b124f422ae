//! `tenantry serve`

use std::io::{self, IsTerminal as _, Write};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::app::{self, App};
use crate::cli::Failure;
use crate::cli::command_error::CommandError;
use crate::cli::control::Bound;
use crate::cli::first_start::{self, Made};
use crate::cli::lock::{self, Lock};
use crate::cli::mail;
use crate::cli::remains;
use crate::cli::starting;
use crate::cli::warm::Warm;
use crate::config::{Config, LogFormat};
use crate::log::Log;
use crate::router;
use tenantry_core::clock::Clock;
use tenantry_core::random::Random;
use tenantry_core::supervise::Supervisor;
use tenantry_domain::bulk_operations;
use tenantry_http::observe::Metrics;
use tenantry_http::server::{self, Bounds};
use tenantry_mail::Mailer;
use tenantry_passwords::HashCost;
use tenantry_store::access::Operator;
use tenantry_worker::Worker;

/// The listen backlog: a burst of connections must not see resets.
const BACKLOG: u32 = 1_024;
/// Timeout for work on blocking threads after everything else has ended.
const LAST_WORK: Duration = Duration::from_secs(5);

/// Timeout for bulk operations after the signal to stop: less than that of the requests that wait for them.
const LAST_STEPS: Duration = Duration::from_secs(5);

/// Number of task polls after which the runtime checks for I/O and for tasks from other threads. The defaults are 61
/// and 31: a quiet partner's request, or the response to its write, would wait for as many requests of a flood.
const LOOK: u32 = 8;

/// Maximum number of connections to the metrics listener.
const METRICS_CONNECTIONS: usize = 64;

/// Interval of the metrics' housekeeping.
const UPKEEP: Duration = Duration::from_secs(5);

/// What a server owns until it ends. Fields are dropped in order: the lock last.
struct Running {
    app: App,
    warm: Option<Warm>,
    /// `None` for PostgreSQL.
    lock: Option<Lock>,
}

/// Runs the server until it is stopped.
pub(super) fn run(config: Config, out: &mut impl Write) -> Result<(), Failure> {
    // Before anything is created; an existing database may be empty all the same, so the start checks again.
    if let Some(path) = config.sqlite_file()
        && !lock::has_database(path)?
    {
        lock::check_database_dir(&config, path)?;
        remains::refuse_log_without_database(path)?;
        first_start::describe(&config, &Random::system()).map_err(Failure::Settings)?;
    }
    let log = init_log(&config)?;
    let remains = remains::find(&config);
    // A second server on the same data would also find the port in use; the error of the lock is clearer.
    let has_dir = lock::check_data_dir(&config.data_dir)?;
    let lock =
        if has_dir && config.sqlite_file().is_some() { Some(lock::take_for_server(&config)?) } else { None };
    let runtime = runtime(config.worker_threads)
        .map_err(|e| CommandError::new("internal", format!("cannot start the runtime: {e}")))?;
    let serving =
        catch_unwind(AssertUnwindSafe(|| runtime.block_on(serve(config, lock, (log, remains), out))));
    let served =
        serving.unwrap_or_else(|_| Err(Failure::Failed(String::from("the main thread has panicked"))));
    if matches!(served, Err(Failure::Failed(_))) {
        // As in a crash: what was acknowledged is on disk, and running tasks could wait for the failed thread.
        runtime.shutdown_background();
        return served.map(drop);
    }
    let Running { app, warm, lock } = served?;
    // Scans may still hold the store; the last one to drop it closes the database.
    runtime.shutdown_timeout(LAST_WORK);
    drop(app);
    drop(warm);
    drop(lock);
    tracing::info!("stopped");
    Ok(())
}

fn init_log(config: &Config) -> Result<Log, CommandError> {
    let target = match &config.log_file {
        None => Log::to_stderr(),
        Some(path) => {
            Log::to_file(path).map_err(|e| CommandError::of_named_file("write the log", path, &e))?
        }
    };
    let filter = tracing_subscriber::EnvFilter::try_new(&config.log).unwrap_or_default();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(target.clone())
        // Its internal errors would go to standard error, and panic if that fails.
        .log_internal_errors(false)
        .with_ansi(config.log_file.is_none() && io::stderr().is_terminal());
    // Already set only in tests.
    let _ = match config.log_format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().try_init(),
    };
    Ok(target)
}

/// A single thread runs without the cost of moving tasks between threads.
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

async fn serve(
    mut config: Config,
    lock: Option<Lock>,
    (log, remains): (Log, Option<String>),
    out: &mut impl Write,
) -> Result<Running, Failure> {
    let signals =
        Signals::new().map_err(|e| CommandError::new("internal", format!("cannot watch signals: {e}")))?;
    // The port is bound before the data is opened, so that nothing is created if it is in use.
    let listener = listen("listen", config.listen)?;
    let address = listener.local_addr().map_err(|e| not_listening("listen", config.listen, &e))?;
    config.listening_on(address);
    let metrics = config.metrics_listen.map(|at| listen("metrics-listen", at)).transpose()?;
    if let Some(at) = metrics.as_ref().and_then(|listener| listener.local_addr().ok()) {
        config.metrics_listen = Some(at);
    }
    let sqlite = config.sqlite_file().map(Path::to_owned);
    // With PostgreSQL and SMTP nothing is stored here.
    if sqlite.is_some() || config.smtp_url.is_none() {
        lock::create_data_dir(&config.data_dir)?;
    }
    let lock = match lock {
        None if sqlite.is_some() => Some(lock::take_for_server(&config)?),
        lock => lock,
    };
    let mailer = mail::mailer(&config)?;
    let database = config.database_url.clone();
    let assemble = || App::assemble(config, Clock::system(), Random::system(), HashCost::OWASP);
    let app = starting::answering(&listener, assemble)
        .await
        .map_err(|e| CommandError::new("internal", format!("cannot start: {e}")))?
        .map_err(|e| CommandError::of_database(&database, e))?;
    app.prepare().await.map_err(|e| CommandError::of_database(&database, e))?;
    // Everything that can fail comes before the first admin: its generated password is printed once, at the end of the
    // start.
    let control = match &lock {
        Some(lock) => listen_for_commands(&app.config, lock)?,
        None => None,
    };
    let stop =
        stop_signal().map_err(|e| CommandError::new("internal", format!("cannot watch signals: {e}")))?;
    let by = Operator::of_this_machine();
    let is_due = first_start::is_due(&app, by).await.map_err(|e| CommandError::of_database(&database, e))?;
    let made = if is_due {
        if let Some(remains) = remains {
            tracing::warn!(
                database = %app.config.database_url,
                "the database is empty and a new first admin is created, although {remains}: has the database been lost, or \
                 is another volume mounted?"
            );
        }
        let admin = first_start::describe(&app.config, &app.random).map_err(Failure::Settings)?;
        let failed = app.store.supervisor().clone();
        tokio::select! {
            made = first_start::make(&app, by, admin) => made.map_err(|e| CommandError::of_database(&database, e))?,
            thread = failed.lost() => return Err(Failure::Failed(format!("the thread {thread} has failed permanently"))),
        }
    } else {
        None
    };
    let supervisor = app.store.supervisor().clone();
    let warm = sqlite.as_deref().map(|path| Warm::start(path, &supervisor));
    let running = Running { warm, app, lock };
    let (app, config) = (&running.app, &running.app.config);
    let control =
        control.zip(sqlite.as_deref()).map(|(control, path)| control.start(app.services().clone(), path));
    if let Err(error) = announce(out, config, &mailer, made.as_ref()) {
        tracing::warn!(
            %error,
            "the start-up lines could not be printed; should they have had the admin's password, \
             `tenantry user reset-password --print-password` gives another"
        );
    }
    let worker = Worker::start(app.services().clone(), mailer)?;
    let attending = supervisor.task("bulk-operations", {
        let services = app.services().clone();
        move || bulk_operations::attend(services.clone())
    });
    let watching = signals.watch(log, &supervisor);
    tracing::info!(%address, "serving");
    let served = tokio::select! {
        served = http(app, listener, metrics, ending(app, stop)) => served,
        thread = supervisor.lost() => return Err(give_up(running, worker, &thread)),
    };
    watching.abort();
    tracing::info!("stopping");
    attending.abort();
    app.bulk.stop();
    if let Some(control) = control {
        control.stop().await;
    }
    if timeout(LAST_WORK, app.bulk.stopped()).await.is_err() {
        tracing::warn!("a step of a bulk operation was still in progress when the server stopped");
    }
    // It ends after the current batch, which must not block this thread.
    if tokio::task::spawn_blocking(move || worker.stop()).await.is_err() {
        tracing::error!("the worker failed to stop");
    }
    served.map_err(|e| CommandError::new("internal", format!("the HTTP server failed: {e}")))?;
    Ok(running)
}

/// Serves HTTP until `stop` is ready and the requests in progress have ended.
async fn http(
    app: &App,
    listener: TcpListener,
    metrics_listener: Option<TcpListener>,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = Arc::new(Metrics::new(&recorder));
    let (supervisor, of_upkeep) = (app.store.supervisor(), Arc::clone(&metrics));
    let upkeep = supervisor.task("metrics", move || {
        let metrics = Arc::clone(&of_upkeep);
        async move {
            loop {
                tokio::time::sleep(UPKEEP).await;
                metrics.upkeep();
            }
        }
    });
    let bounds = app::bounds(&app.config);
    // Dropped to stop both listeners.
    let (going, mut gone) = watch::channel(());
    let stop = async move {
        stop.await;
        drop(going);
    };
    let api = server::serve_supervised(listener, router::service(app, &metrics), bounds, stop, supervisor);
    let metrics_only = async {
        let Some(listener) = metrics_listener else { return Ok(()) };
        let bounds = Bounds { max_connections: METRICS_CONNECTIONS, ..bounds };
        let stopped = async move { gone.changed().await };
        let service = router::metrics_service(app, &metrics);
        server::serve_supervised(listener, service, bounds, stopped, supervisor).await
    };
    let served = tokio::try_join!(api, metrics_only);
    upkeep.abort();
    served.map(|_| ())
}

/// Exits without an orderly shutdown, which could wait for the missing thread.
fn give_up(running: Running, worker: Worker, thread: &str) -> Failure {
    tracing::error!(thread, "a thread has failed permanently: the server exits and can be restarted");
    std::mem::forget((running, worker));
    Failure::Failed(format!("the thread {thread} has failed permanently"))
}

/// Ready when `stop` is. Bulk operations then have some time to finish, like other requests; unfinished ones resume at
/// the next start.
async fn ending(app: &App, stop: impl Future<Output = ()>) {
    stop.await;
    let bulk = app.bulk.clone();
    tokio::spawn(async move {
        tokio::time::sleep(LAST_STEPS).await;
        bulk.stop();
    });
}

/// Listens on the control socket. A data directory on a file system without sockets is no reason not to serve; a path
/// that was set is an error if it does not work.
fn listen_for_commands(config: &Config, lock: &Lock) -> Result<Option<Bound>, CommandError> {
    let bound = match config.control_socket_path() {
        None => None,
        Some(path) => match Bound::new(&path)? {
            Ok(bound) => Some(bound),
            Err(error) if config.control_socket.is_some() => {
                let detail = format!(
                    "cannot listen on {}: {error}; set control-socket to a path on a local file system, or to none",
                    path.display()
                );
                return Err(CommandError::new("io", detail));
            }
            Err(error) => {
                tracing::warn!(
                    %error,
                    path = %path.display(),
                    "no control socket can be made in the data directory, so commands cannot reach this server: set \
                     control-socket to a path on a local file system, such as /run/tenantry/control.sock, or to none"
                );
                None
            }
        },
    };
    if bound.is_none() {
        lock.set_without_socket().map_err(|e| {
            CommandError::new("io", format!("cannot write the lock of the data directory: {e}"))
        })?;
    }
    Ok(bound)
}

/// Listens on the address of the setting.
fn listen(setting: &str, address: SocketAddr) -> Result<TcpListener, CommandError> {
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // Connections of a server that has just stopped must not block the port.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|e| not_listening(setting, address, &e))
}

fn not_listening(setting: &str, address: SocketAddr, error: &io::Error) -> CommandError {
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("another program uses this port: stop it, or set another port with {setting}")
        }
        io::ErrorKind::PermissionDenied => format!(
            "this user may not use this port: set one from 1024 with {setting}, or grant CAP_NET_BIND_SERVICE"
        ),
        io::ErrorKind::AddrNotAvailable => {
            format!("this machine does not have this address: set one that it has with {setting}")
        }
        _ => format!("{error}: set another address with {setting}"),
    };
    CommandError::new("listen", format!("cannot listen on {address}: {why}"))
}

/// The signals that do not end the process.
struct Signals {
    hangup: Signal,
    _others: [Signal; 3],
}

impl Signals {
    /// Disables their default actions.
    fn new() -> io::Result<Self> {
        // A write beyond the file size limit fails (setrlimit(2)), as on a full disk.
        let size = rustix::process::Signal::XFSZ.as_raw();
        let others = [SignalKind::user_defined1(), SignalKind::user_defined2(), SignalKind::from_raw(size)];
        let [one, two, size] = others.map(signal);
        Ok(Self { hangup: signal(SignalKind::hangup())?, _others: [one?, two?, size?] })
    }

    /// Reopens the log at each SIGHUP.
    fn watch(self, log: Log, supervisor: &Supervisor) -> JoinHandle<()> {
        let this = Arc::new(Mutex::new(self));
        supervisor.task("signals", move || {
            let (this, log) = (Arc::clone(&this), log.clone());
            async move {
                let mut this = this.lock().await;
                while this.hangup.recv().await.is_some() {
                    reopen(&log);
                }
            }
        })
    }
}

fn reopen(log: &Log) {
    match log.reopen() {
        Ok(true) => tracing::info!("SIGHUP: the log file was reopened"),
        Ok(false) => tracing::info!("SIGHUP: log-file is not set"),
        Err(error) => {
            tracing::error!(%error, "SIGHUP: the log file cannot be reopened; logging continues to the old one")
        }
    }
}

/// Ready when the process receives a signal to stop.
pub fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Prints the start-up lines.
fn announce(out: &mut impl Write, config: &Config, mailer: &Mailer, made: Option<&Made>) -> io::Result<()> {
    writeln!(out, "Tenantry {}", env!("CARGO_PKG_VERSION"))?;
    if let Some(made) = made {
        writeln!(out, "first start: created partner {} (\"default\") and its admin", made.pid)?;
        writeln!(out, "  username: {}", made.username)?;
        match &made.password {
            Some(password) => writeln!(out, "  password: {}", password.as_str())?,
            None => writeln!(out, "  password: as set by admin-password")?,
        }
    }
    let url = &config.public_url;
    writeln!(out, "console:    {url}/console")?;
    writeln!(out, "sign in:    {url}/sign-in")?;
    writeln!(out, "API:        {url}/api/v1")?;
    writeln!(out, "API docs:   {url}/docs/")?;
    writeln!(out, "health:     {url}/healthz")?;
    if let Some(at) = config.metrics_listen {
        writeln!(out, "metrics:    http://{at}/metrics")?;
    }
    match config.sqlite_file() {
        Some(_) => writeln!(out, "data:       {}", config.data_dir.display())?,
        None => writeln!(out, "data:       {}", config.database_url)?,
    }
    writeln!(out, "{}", mailer.describe())?;
    out.flush()
}
