//! The file of an SQLite database as opened by this process: locked against other processes, and identified.
//!
//! The lock is flock(2), which on Linux is independent of the fcntl(2) locks that SQLite takes. When a process closes
//! any descriptor of a file, its fcntl locks on that file are gone (sqlite.org/howtocorrupt.html §2.2): so the file is
//! opened here before SQLite opens it, and must be dropped after the last connection.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::fs::{FlockOperation, StatVfsMountFlags, flock, statvfs};

use crate::engine::sqlite::writer::log_path;
use tenantry_core::error::{Conflict, Error, Result};

/// A backup briefly checks whether the lock is held: number of attempts, and the pause between them.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(25);

/// The identity of a file, independent of its name.
type Inode = (u64, u64);

fn inode(meta: &Metadata) -> Inode {
    (meta.dev(), meta.ino())
}

/// The open file.
#[derive(Debug)]
pub struct DatabaseFile {
    path: PathBuf,
    /// The write-ahead log: beside the file itself, wherever a symbolic link stands.
    log: PathBuf,
    database: Inode,
    /// Known from the first check that finds it.
    log_inode: OnceLock<Inode>,
    is_displaced: AtomicBool,
    _lock: File,
}

/// Whether a missing file is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// An empty one is created, for SQLite to fill.
    Create,
    /// It is an error.
    Fail,
}

impl DatabaseFile {
    /// Opens the file and locks it, by whichever name.
    ///
    /// # Errors
    /// Another process has the lock (a conflict, `locked`), or the file cannot be opened.
    pub fn open(path: &Path, missing: Missing) -> Result<Self> {
        let failed = |e: io::Error| Error::internal(not_opened(path, &e));
        let file = open(path, missing).map_err(failed)?;
        lock(&file, FlockOperation::NonBlockingLockExclusive, path)?;
        let database = inode(&std::fs::metadata(path).map_err(failed)?);
        let log = log_path(&std::fs::canonicalize(path).map_err(failed)?);
        let (log_inode, is_displaced) = (OnceLock::new(), AtomicBool::new(false));
        Ok(Self { path: path.to_owned(), log, database, log_inode, is_displaced, _lock: file })
    }

    /// The path as opened.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the last check found another file in its place, or none.
    pub(crate) fn is_displaced(&self) -> bool {
        self.is_displaced.load(Ordering::SeqCst)
    }

    /// Checks that the database and its log are still where they were opened: what is written to a file without a name
    /// is lost. Returns the size of the log. Once the same files are back, everything works again: only their names
    /// have changed for this process.
    ///
    /// # Errors
    /// They are not: unavailable.
    pub(crate) fn check(&self) -> Result<u64> {
        let log = std::fs::metadata(&self.log).ok();
        let known = log.as_ref().map(|log| *self.log_inode.get_or_init(|| inode(log)));
        let is_log = known == log.as_ref().map(inode) && known == self.log_inode.get().copied();
        let is_here = is_log && std::fs::metadata(&self.path).is_ok_and(|meta| inode(&meta) == self.database);
        let was_displaced = self.is_displaced.swap(!is_here, Ordering::SeqCst);
        let path = self.path.display();
        match (was_displaced, is_here) {
            (false, false) => tracing::error!(
                %path,
                "the database's file or its log was moved, deleted or replaced while in use: nothing is stored until \
                 the same files are back in place, or the server is restarted with the new ones"
            ),
            (true, true) => tracing::warn!(%path, "the database's file is back in place"),
            _ => {}
        }
        if is_here {
            return Ok(log.map_or(0, |log| log.len()));
        }
        Err(Error::Unavailable {
            what: "the server cannot store anything: its database file was moved, deleted or replaced".into(),
            retry_after: Duration::from_secs(30),
        })
    }

    /// Whether its file system is read-only.
    pub(crate) fn is_read_only(&self) -> bool {
        statvfs(&self.path).is_ok_and(|stat| stat.f_flag.contains(StatVfsMountFlags::RDONLY))
    }
}

/// Checks that no process has locked the file. The result must live until the last connection to the database is
/// closed.
///
/// # Errors
/// As [`DatabaseFile::open`].
pub fn expect_unlocked(path: &Path) -> Result<File> {
    let failed = |e: io::Error| Error::internal(not_opened(path, &e));
    let file = open(path, Missing::Fail).map_err(failed)?;
    lock(&file, FlockOperation::NonBlockingLockShared, path)?;
    flock(&file, FlockOperation::Unlock).map_err(|e| failed(e.into()))?;
    Ok(file)
}

/// Opened for writing if allowed: some file systems lock nothing else. SQLite reports files that cannot be written.
fn open(path: &Path, missing: Missing) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let written = options.read(true).write(true).create(missing == Missing::Create).mode(0o600).open(path);
    match written {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(e),
        Err(_) => File::open(path),
        file => file,
    }
}

fn lock(file: &File, operation: FlockOperation, path: &Path) -> Result<()> {
    for attempt in 1.. {
        match flock(file, operation) {
            Ok(()) => break,
            Err(rustix::io::Errno::WOULDBLOCK) if attempt < ATTEMPTS => std::thread::sleep(PAUSE),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let detail = format!(
                    "another process uses the file {}, perhaps by another name: stop it first",
                    path.display()
                );
                let (field, users) = (None, Vec::new());
                return Err(Error::Conflict(Conflict {
                    code: "locked",
                    detail: detail.into(),
                    field,
                    users,
                }));
            }
            Err(rustix::io::Errno::INTR) => {}
            // Not every file system supports locks; the data directory is locked as well.
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the database's file cannot be locked");
                break;
            }
        }
    }
    Ok(())
}

fn not_opened(path: &Path, error: &io::Error) -> String {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => "; this user must be able to write it and its directory",
        io::ErrorKind::ReadOnlyFilesystem => "; its file system is read-only",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; free space",
        _ => "",
    };
    format!("cannot open the database {}: {error}{hint}", path.display())
}
