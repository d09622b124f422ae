//! Warms the page cache after the start: the first reads of pages from disk would stall the threads that serve
//! requests.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use tenantry_core::supervise::Supervisor;

/// Maximum number of bytes to read: more could evict pages in use.
const MAX: u64 = 2 << 30;
/// Size of a read, in bytes.
const STEP: usize = 1 << 20;

/// Reads a file into the system's page cache in the background.
///
/// Keep it as long as the database is open: if a process closes any descriptor of an SQLite database, the system drops
/// the locks that SQLite holds on it (fcntl(2); sqlite.org/howtocorrupt.html §2.2).
#[derive(Debug)]
pub(super) struct Warm {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    _file: Option<Arc<File>>,
}

impl Warm {
    /// Starts reading. Errors are ignored.
    pub(super) fn start(path: &Path, supervisor: &Supervisor) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let file = File::open(path).map(Arc::new).ok();
        let thread = file.as_ref().and_then(|file| {
            let (file, stop) = (Arc::clone(file), Arc::clone(&stop));
            supervisor.optional_thread("warm", move || read(&file, &stop)).ok()
        });
        Self { stop, thread, _file: file }
    }
}

impl Drop for Warm {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn read(file: &File, stop: &AtomicBool) {
    // On Linux a nice value belongs to the thread.
    if let Err(error) = rustix::process::setpriority_process(None, 19) {
        tracing::debug!(%error, "the database is warmed at ordinary priority");
    }
    let mut buffer = vec![0; STEP];
    let mut at = 0;
    while at < MAX && !stop.load(Ordering::Relaxed) {
        match file.read_at(&mut buffer, at) {
            Ok(0) | Err(_) => return,
            Ok(n) => at += n as u64,
        }
    }
}
