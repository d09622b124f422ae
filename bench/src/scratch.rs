//! The resources of a run: a temporary directory, and the cores.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::thread::CpuSet;

use tenantry::cli::command_error::CommandError;
use tenantry_core::random::Random;

/// The magic number of a file system in memory (`linux/magic.h`): nothing on it is durable.
const TMPFS: i64 = 0x0102_1994;
/// Disk space per user during a run, in bytes, with its events, index and log. Measured with 100,000 users: 1.4 KB
/// without the log.
const BYTES_PER_USER: u64 = 2_500;

/// A directory that is removed with its content when dropped.
pub(crate) struct Scratch {
    path: PathBuf,
    keep: bool,
}

impl Scratch {
    /// Creates one below `parent`, if there is enough disk space.
    pub(crate) fn make(parent: &Path, users: u64, keep: bool) -> Result<Self, CommandError> {
        let wrong = |e| CommandError::of_named_file("work in", parent, &e);
        let parent = parent.canonicalize().map_err(wrong)?;
        let space = rustix::fs::statvfs(&parent).map_err(|e| wrong(e.into()))?;
        let (free, needed) = (space.f_bavail.saturating_mul(space.f_frsize), users * BYTES_PER_USER);
        if free < needed {
            let detail = format!(
                "{} has {} MiB free, and {users} users take about {} MiB: set another directory with --dir, or \
                 fewer users",
                parent.display(),
                free >> 20,
                needed >> 20
            );
            return Err(CommandError::new("no-room", detail));
        }
        let path = parent.join(format!("tenantry-bench-{}", Random::system().token::<9>()));
        std::fs::create_dir(&path).map_err(|e| CommandError::of_named_file("make", &path, &e))?;
        Ok(Self { path, keep })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file system is in memory.
    pub(crate) fn is_in_memory(&self) -> bool {
        rustix::fs::statfs(&self.path).is_ok_and(|system| {
            #[allow(
                clippy::unnecessary_cast,
                clippy::allow_attributes,
                reason = "its width differs by machine"
            )]
            let kind = system.f_type as i64;
            kind == TMPFS
        })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.keep {
            eprintln!("kept: {}", self.path.display());
        } else if let Err(error) = std::fs::remove_dir_all(&self.path) {
            eprintln!("tenantry: cannot remove {}: {error}; remove it by hand", self.path.display());
        }
    }
}

/// Set by Ctrl-C or SIGTERM; all loops check it often.
#[derive(Clone, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Starts to watch the signals.
    pub(crate) fn watch() -> Result<Self, CommandError> {
        let stop = Self::default();
        let told = stop.clone();
        let failed = |e| CommandError::new("internal", format!("cannot watch signals: {e}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let signal = {
            let _entered = runtime.enter();
            tenantry::cli::serve::stop_signal().map_err(failed)?
        };
        let work = move || {
            runtime.block_on(signal);
            told.0.store(true, Ordering::SeqCst);
        };
        std::thread::Builder::new().name("signals".into()).spawn(work).map_err(failed)?;
        Ok(stop)
    }

    /// # Errors
    /// If the run was stopped.
    pub(crate) fn check(&self) -> Result<(), CommandError> {
        if self.0.load(Ordering::SeqCst) {
            return Err(CommandError::new("interrupted", "interrupted: nothing is reported"));
        }
        Ok(())
    }
}

/// The assignment of cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cores {
    /// For the server, the bare endpoint and hashes.
    pub(crate) server: usize,
    /// For the load generator.
    pub(crate) load: usize,
}

impl Cores {
    /// The first two cores that this process may use; `None` if there is only one: then nothing is pinned.
    pub(crate) fn choose(given: Option<(usize, usize)>) -> Result<Option<Self>, CommandError> {
        let allowed = rustix::thread::sched_getaffinity(None).map_err(|e| {
            CommandError::new("internal", format!("cannot determine the available cores: {e}"))
        })?;
        let mut free = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        match given {
            Some((server, load)) if allowed.is_set(server) && allowed.is_set(load) => {
                Ok(Some(Self { server, load }))
            }
            Some((server, load)) => {
                let all: Vec<String> = free.map(|core| core.to_string()).collect();
                let detail =
                    format!("--cores {server},{load}: this process may use the cores {}", all.join(", "));
                Err(CommandError::new("invalid", detail))
            }
            None => Ok(free.next().zip(free.next()).map(|(server, load)| Self { server, load })),
        }
    }
}

/// Pins this thread, and those that it starts, to a core. If that fails, it runs anywhere.
pub(crate) fn pin(core: Option<usize>) {
    if let Some(core) = core {
        let mut set = CpuSet::new();
        set.set(core);
        let _ = rustix::thread::sched_setaffinity(None, &set);
    }
}
