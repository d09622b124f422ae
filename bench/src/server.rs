//! The measured servers: Tenantry, a separate process; and the bare endpoint, a thread of this one.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::bare;
use crate::load;
use crate::scratch::{Cores, Stop, pin};
use tenantry::cli::command_error::CommandError;

/// Timeout of a graceful shutdown.
const FAREWELL: Duration = Duration::from_secs(30);
/// Interval of memory samples.
const GLANCE: Duration = Duration::from_millis(20);

/// The server's binary: the given one, or the one beside this program.
pub(crate) fn find(named: Option<&Path>) -> Result<PathBuf, CommandError> {
    let missing = |path: &Path| {
        let detail = format!(
            "no such server: {}; build it with `cargo build --release`, or set one with --server",
            path.display()
        );
        CommandError::new("server", detail)
    };
    let path = match named {
        Some(path) => path.to_owned(),
        None => std::env::current_exe()
            .map_err(|e| CommandError::new("internal", format!("cannot find this program: {e}")))?
            .with_file_name("tenantry"),
    };
    // Absolute, since it is started in another directory.
    path.canonicalize().ok().filter(|path| path.is_file()).ok_or_else(|| missing(&path))
}

/// Copies the database in `dir` to an empty one.
pub(crate) fn copy(binary: &Path, dir: &Path, url: &str) -> Result<(), CommandError> {
    let failed = |detail: String| CommandError::new("server", format!("cannot copy the users: {detail}"));
    let from = format!("sqlite:{}", dir.join("tenantry.db").display());
    let mut command = Command::new(binary);
    command.args(["copy", "--from", &from, "--to", url, "--data-dir"]).arg(dir).current_dir(dir);
    without_settings(&mut command);
    let done = command.output().map_err(|e| failed(e.to_string()))?;
    match done.status.success() {
        true => Ok(()),
        false => Err(failed(String::from_utf8_lossy(&done.stderr).trim().to_owned())),
    }
}

/// Runs it without the settings of the environment.
fn without_settings(command: &mut Command) {
    let names = std::env::vars_os().map(|(name, _)| name);
    for name in names.filter(|name| name.to_string_lossy().starts_with("TENANTRY_")) {
        command.env_remove(name);
    }
}

/// A process's resident memory in MiB: private, and mapped file pages, which the system can reclaim at any time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Memory {
    pub(crate) own: f64,
    pub(crate) mapped: f64,
}

impl Memory {
    fn of(pid: u32) -> Self {
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let field = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0.0)
        };
        Self { own: field("RssAnon:") / 1024.0, mapped: field("RssFile:") / 1024.0 }
    }
}

/// The server under test. Dropping it stops the server.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// From its start to its first response.
    pub(crate) start: Duration,
}

impl Server {
    /// Starts one on the data in `dir`, on its core, and waits for its first response.
    pub(crate) fn start(
        binary: &Path,
        dir: &Path,
        cores: Option<Cores>,
        stop: &Stop,
    ) -> Result<Self, CommandError> {
        Self::start_with(binary, dir, &[], cores, stop)
    }

    /// As [`Server::start`], with settings.
    pub(crate) fn start_with(
        binary: &Path,
        dir: &Path,
        settings: &[&str],
        cores: Option<Cores>,
        stop: &Stop,
    ) -> Result<Self, CommandError> {
        let failed = |e: std::io::Error| CommandError::new("server", format!("cannot start the server: {e}"));
        let log = std::fs::File::create(dir.with_extension("log")).map_err(failed)?;
        let mut command = Command::new(binary);
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--log", "warn"])
            // All requests come from one address.
            .args(["--page-requests-per-address", "0", "--data-dir"])
            .arg(dir)
            .args(settings)
            // So that no other tenantry.toml is read.
            .current_dir(dir)
            // Ctrl-C goes to this process, which then stops the server.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        without_settings(&mut command);
        // A process inherits the core of the thread that starts it.
        pin(cores.map(|cores| cores.server));
        let begun = Instant::now();
        let child = command.spawn();
        pin(cores.map(|cores| cores.load));
        let mut server = Self {
            child: child.map_err(failed)?,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            start: begun.elapsed(),
        };
        server.address = server.announced().ok_or_else(|| {
            let log = std::fs::read_to_string(dir.with_extension("log")).unwrap_or_default();
            CommandError::new("server", format!("the server did not start: {}", log.trim()))
        })?;
        let health = b"GET /healthz HTTP/1.1\r\nhost: bench\r\n\r\n";
        if load::once(server.address, health, stop)?.status != 200 {
            return Err(CommandError::new("server", "the server is not healthy"));
        }
        server.start = begun.elapsed();
        Ok(server)
    }

    /// The address that it prints.
    fn announced(&mut self) -> Option<SocketAddr> {
        let mut lines = BufReader::new(self.child.stdout.take()?).lines();
        let address = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let url = line.strip_prefix("API: ")?.trim().strip_suffix("/api/v1")?;
            url.strip_prefix("http://")?.replace("localhost:", "127.0.0.1:").parse().ok()
        });
        // Reads the remaining few lines, or the server would block on the pipe.
        lines.map_while(Result::ok).find(|line| line.starts_with("mail: "));
        address
    }

    pub(crate) fn memory(&self) -> Memory {
        Memory::of(self.child.id())
    }

    /// Starts to sample its memory.
    pub(crate) fn watch(&self) -> Watch {
        Watch::start(self.child.id())
    }

    /// Requests a token.
    pub(crate) fn token(&self, form: &str, stop: &Stop) -> Result<String, CommandError> {
        let answer = load::once(self.address, &token_request(form), stop)?;
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let token = body.get("access_token").and_then(Value::as_str).map(str::to_owned);
        token.ok_or_else(|| {
            CommandError::new("server", format!("a login was answered with {}", answer.status))
        })
    }
}

/// A request for a token.
pub(crate) fn token_request(form: &str) -> Vec<u8> {
    format!(
        "POST /oauth/token HTTP/1.1\r\nhost: bench\r\ncontent-type: application/x-www-form-urlencoded\r\n\
         content-length: {}\r\n\r\n{form}",
        form.len()
    )
    .into_bytes()
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let begun = Instant::now();
        while begun.elapsed() < FAREWELL {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Samples a process's private memory.
pub(crate) struct Watch {
    is_over: Arc<AtomicBool>,
    most: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    fn start(pid: u32) -> Self {
        let (is_over, most) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (over, top) = (Arc::clone(&is_over), Arc::clone(&most));
        let work = move || {
            while !over.load(Ordering::Relaxed) {
                top.fetch_max((Memory::of(pid).own * 1024.0) as u64, Ordering::Relaxed);
                std::thread::sleep(GLANCE);
            }
        };
        Self { is_over, most, thread: std::thread::Builder::new().name("memory".into()).spawn(work).ok() }
    }

    /// Its peak, in MiB.
    pub(crate) fn end(mut self) -> f64 {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.most.load(Ordering::Relaxed) as f64 / 1024.0
    }
}

/// The baseline, on a thread of this process on the server's core. Dropping it stops the thread.
pub(crate) struct Bare {
    pub(crate) address: SocketAddr,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Bare {
    pub(crate) fn start(cores: Option<Cores>) -> Result<Self, CommandError> {
        let failed =
            |e: std::io::Error| CommandError::new("bare", format!("cannot start the bare endpoint: {e}"));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let work = move || {
            pin(cores.map(|cores| cores.server));
            runtime.block_on(async {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                tokio::select! {
                    _ = bare::serve(listener) => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name("bare".into()).spawn(work).map_err(failed)?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A page that takes less is assumed to use the offset index.
const FAST: Duration = Duration::from_millis(5);
/// Required number of consecutive fast pages.
const IN_A_ROW: usize = 5;

/// Sends requests until the responses are fast: the offset index is built in the background after the first deep page
/// was requested. Returns false if they did not become fast in time.
pub(crate) fn warm_up(
    address: SocketAddr,
    ask: &mut load::Ask<'_>,
    timeout: Duration,
    stop: &Stop,
) -> Result<bool, CommandError> {
    let (begun, mut fast) = (Instant::now(), 0);
    while fast < IN_A_ROW {
        if begun.elapsed() > timeout {
            return Ok(false);
        }
        let mut request = Vec::new();
        ask(&mut request);
        let is_fast = load::once(address, &request, stop)?.took < FAST;
        fast = if is_fast { fast + 1 } else { 0 };
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(true)
}
