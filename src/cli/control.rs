//! The control socket, through which a command reaches the running server. One line of JSON in, one line out. Whoever
//! can open the socket is an operator: it has mode 0600, and is in the data directory (0700) by default.

use std::fs::{File, Metadata, Permissions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use crate::cli::command_error::CommandError;
use crate::cli::lock;
use crate::cli::operations::Operation;
use tenantry_domain::services::Services;
use tenantry_store::access::Operator;

/// Maximum size of a request, in bytes: a batch of an import has a mebibyte of rows, which as JSON can take six times
/// as much, and the rows of a plan.
const REQUEST_MAX: u64 = 16 << 20;
/// Maximum size of a response, in bytes: a page of 1,000 users with the longest possible values fits.
const ANSWER_MAX: u64 = 64 << 20;
/// Timeout for reading a request and for writing a response.
const TRANSFER: Duration = Duration::from_secs(10);
/// Timeout of an operation. Deleting a partner with a million users takes minutes.
const WORK: Duration = Duration::from_mins(30);
/// Timeout for operations in progress when the server stops.
const LAST_WORK: Duration = Duration::from_secs(10);
/// Maximum number of concurrent commands; more wait in the system's queue.
const CONNECTIONS: usize = 32;
/// Maximum length of a socket's path on Linux (`sun_path` of unix(7), less the NUL).
const PATH_MAX: usize = 107;

/// A request of a command.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ControlRequest {
    /// The canonical path of the command's database: a server of another data directory must not carry it out.
    database: String,
    operation: Operation,
}

/// The response.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ControlResponse {
    Done(Value),
    Refused(CommandError),
}

/// A path at which a socket can be bound or reached, however long it is.
struct Address {
    path: PathBuf,
    /// Open as long as the path leads through it.
    _dir: Option<File>,
}

impl Address {
    fn of(path: &Path) -> Result<Self, CommandError> {
        if path.as_os_str().len() <= PATH_MAX {
            return Ok(Self { path: path.to_owned(), _dir: None });
        }
        let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(CommandError::new("io", format!("{} is not a path of a socket", path.display())));
        };
        let dir = File::open(dir)
            .map_err(|e| CommandError::of_file("open the directory of the control socket", dir, &e))?;
        let short = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd()));
        if !short.exists() {
            let detail = format!(
                "the path of the control socket {} has more than {PATH_MAX} bytes (and there is no /proc to shorten it by): \
                 set a shorter one with control-socket",
                path.display()
            );
            return Err(CommandError::new("io", detail));
        }
        Ok(Self { path: short.join(name), _dir: Some(dir) })
    }
}

/// Whether it is the empty file that exFAT leaves when no socket can be made.
fn is_remnant(meta: &Metadata) -> bool {
    meta.is_file() && meta.len() == 0
}

/// The name of a database in requests.
pub fn true_name(database: &Path) -> String {
    lock::true_path(database).display().to_string()
}

/// The server's side: serves commands until it is stopped.
#[derive(Debug)]
pub struct Control {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
    path: PathBuf,
}

/// The bound socket; commands that connect already have to wait.
#[derive(Debug)]
pub struct Bound {
    listener: UnixListener,
    path: PathBuf,
}

impl Bound {
    /// Listens on `path`. Only for the holder of the lock, which may remove the socket that a killed server left. The
    /// inner error is that of a file system or system without such sockets, such as exFAT and some network file systems.
    ///
    /// # Errors
    /// Something else is in the way of the socket, or its directory cannot be accessed.
    pub fn new(path: &Path) -> Result<io::Result<Self>, CommandError> {
        let failed = |e: io::Error| CommandError::of_file("listen on", path, &e);
        match std::fs::symlink_metadata(path) {
            Ok(meta) if meta.file_type().is_socket() || is_remnant(&meta) => {
                std::fs::remove_file(path).map_err(failed)?;
            }
            Ok(_) => {
                let detail = format!("{} is in the way of the control socket: move it away", path.display());
                return Err(CommandError::new("io", detail));
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(failed(e)),
        }
        let address = Address::of(path)?;
        Ok(Self::bind(&address.path).map(|listener| Self { listener, path: path.to_owned() }))
    }

    /// Binds a socket that only this user can reach.
    fn bind(path: &Path) -> io::Result<UnixListener> {
        let set_up = || {
            let listener = UnixListener::bind(path)?;
            std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
            Ok(listener)
        };
        set_up().inspect_err(|_| {
            let left = std::fs::symlink_metadata(path);
            if left.is_ok_and(|meta| meta.file_type().is_socket() || is_remnant(&meta)) {
                let _ = std::fs::remove_file(path);
            }
        })
    }

    /// Starts to serve commands.
    pub fn start(self, services: Services, database: &Path) -> Control {
        let (stop, stopped) = watch::channel(false);
        let (listener, database) = (Arc::new(self.listener), true_name(database));
        let supervisor = services.store.supervisor().clone();
        let accept =
            move || accept(services.clone(), Arc::clone(&listener), database.clone(), stopped.clone());
        let task = supervisor.task("control", accept);
        Control { stop, task, path: self.path }
    }
}

impl Control {
    /// Accepts no more commands, waits for those in progress, and removes the socket.
    pub async fn stop(self) {
        // Removed first: a command that finds no socket waits for the lock instead.
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "the control socket could not be removed");
        }
        let _ = self.stop.send(true);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the control socket's task failed");
        }
    }
}

async fn accept(
    services: Services,
    listener: Arc<UnixListener>,
    database: String,
    mut stopped: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    #[cfg(test)]
    services.store.supervisor().trip("control");
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept(), if connections.len() < CONNECTIONS => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let (services, database, stopped) = (services.clone(), database.clone(), stopped.clone());
                connections.spawn(async move {
                    if let Err(error) = converse(&services, stream, &database, stopped).await {
                        tracing::debug!(%error, "a command disconnected");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the control socket cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    let end = async { while connections.join_next().await.is_some() {} };
    if timeout(LAST_WORK, end).await.is_err() {
        tracing::warn!("a command's operation was still in progress when the server stopped");
    }
}

async fn converse(
    services: &Services,
    mut stream: UnixStream,
    database: &str,
    mut stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    let (read, mut write) = stream.split();
    let mut line = Vec::new();
    let mut read = tokio::io::BufReader::new(read.take(REQUEST_MAX + 1));
    tokio::select! {
        read = timeout(TRANSFER, read.read_until(b'\n', &mut line)) => read??,
        // Connections without a complete request are not waited for.
        _ = stopped.wait_for(|stop| *stop) => return Ok(()),
    };
    let response = match understand(&line, database) {
        Ok(operation) => work(services, operation).await,
        Err(error) => ControlResponse::Refused(error),
    };
    let mut text = serde_json::to_vec(&response)?;
    text.push(b'\n');
    timeout(TRANSFER, async {
        write.write_all(&text).await?;
        write.shutdown().await
    })
    .await?
}

fn understand(line: &[u8], database: &str) -> Result<Operation, CommandError> {
    let bad = |detail: String| CommandError::new("bad-request", detail);
    let Some((b'\n', json)) = line.split_last() else {
        return Err(bad(format!("the request is not a complete line of at most {REQUEST_MAX} bytes")));
    };
    let request: ControlRequest = serde_json::from_slice(json).map_err(|error| {
        // A command of another version may send operations that this one does not know.
        bad(format!("the server, Tenantry {}, cannot parse the request: {error}", env!("CARGO_PKG_VERSION")))
    })?;
    if request.database != database {
        return Err(bad(format!(
            "the server on this data directory works on the database {database}, not on {}: give the same \
             database-url",
            request.database
        )));
    }
    Ok(request.operation)
}

async fn work(services: &Services, operation: Operation) -> ControlResponse {
    match timeout(WORK, operation.run(services, Operator::of_this_machine())).await {
        Ok(Ok(value)) => ControlResponse::Done(value),
        Ok(Err(error)) => {
            if let tenantry_core::error::Error::Internal(what) = &error {
                tracing::error!(%what, "a command failed");
            }
            ControlResponse::Refused(error.into())
        }
        Err(_) => ControlResponse::Refused(CommandError::new(
            "unavailable",
            "the server took too long; it may still complete the operation",
        )),
    }
}

/// Sends an operation on `database` to the server on `path`; `None` if no server listens there.
///
/// # Errors
/// The server refused it, disconnected, or did not respond.
pub fn ask(path: &Path, database: &str, operation: Operation) -> Result<Option<Value>, CommandError> {
    let address = Address::of(path)?;
    let mut stream = match BlockingStream::connect(&address.path) {
        Ok(stream) => stream,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(e) => return Err(CommandError::of_file("reach the server on", path, &e)),
    };
    let unsure = |e: io::Error| {
        let what = match e.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => String::from("did not respond in time"),
            io::ErrorKind::UnexpectedEof => String::from("disconnected"),
            _ => format!("disconnected ({e})"),
        };
        let detail =
            format!("the server {what}: check whether the operation was carried out before you try again");
        CommandError::new("unavailable", detail)
    };
    let request = ControlRequest { database: database.to_owned(), operation };
    let mut text = serde_json::to_vec(&request).map_err(|e| unsure(e.into()))?;
    text.push(b'\n');
    let exchange = || -> io::Result<Vec<u8>> {
        stream.set_write_timeout(Some(TRANSFER))?;
        stream.set_read_timeout(Some(WORK + TRANSFER))?;
        stream.write_all(&text)?;
        let mut line = Vec::new();
        BufReader::new(stream.take(ANSWER_MAX)).read_until(b'\n', &mut line)?;
        if line.ends_with(b"\n") { Ok(line) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    };
    let line = exchange().map_err(unsure)?;
    match serde_json::from_slice(&line) {
        Ok(ControlResponse::Done(value)) => Ok(Some(value)),
        Ok(ControlResponse::Refused(error)) => Err(error),
        Err(e) => Err(CommandError::new("internal", format!("cannot parse the server's response: {e}"))),
    }
}
