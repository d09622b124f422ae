//! The data directory and its lock: one process at a time uses a database.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::cli::command_error::CommandError;
use crate::config::Config;

/// The lock's name in the data directory.
const LOCK: &str = "tenantry.lock";
/// The name of a data directory's own database.
const DATABASE: &str = "tenantry.db";

/// The holder of the lock, as written in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// `tenantry serve`.
    Server,
    /// Any other command, for a moment.
    Command,
}

/// Written behind the server's name if it has no control socket.
const WITHOUT_SOCKET: &str = " without a control socket";

impl Holder {
    fn name(self) -> &'static str {
        match self {
            Self::Server => "tenantry serve",
            Self::Command => "a tenantry command",
        }
    }
}

/// A held lock, released when dropped, or when the process ends in any way.
#[derive(Debug)]
pub struct Lock {
    files: Vec<File>,
}

impl Lock {
    /// Records that the server that holds this lock has no control socket, so that commands need not wait for it.
    ///
    /// # Errors
    /// A lock's file cannot be written.
    pub fn set_without_socket(&self) -> io::Result<()> {
        self.files.iter().try_for_each(|file| write_holder(file, Holder::Server, WITHOUT_SOCKET))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        for file in &self.files {
            // The holder in it is no longer right. The file itself stays: if it were deleted, two processes could hold
            // two locks of the same name.
            let _ = file.set_len(0);
        }
    }
}

/// The result of an attempt to take the lock.
#[derive(Debug)]
pub enum Taken {
    /// Acquired.
    Ours(Lock),
    /// Held by another process.
    Theirs(Held),
}

/// A lock held by another process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The lock's file.
    pub path: PathBuf,
    /// Process id and name of the holder, unless it is just about to write them.
    pub by: Option<(u32, String)>,
}

impl Held {
    /// Whether the holder is a server, which does not end by itself.
    pub fn is_by_server(&self) -> bool {
        self.by.as_ref().is_some_and(|(_, name)| name.starts_with(Holder::Server.name()))
    }

    /// Whether the holder is a server that commands cannot reach.
    pub fn is_without_socket(&self) -> bool {
        self.by.as_ref().is_some_and(|(_, name)| name.ends_with(WITHOUT_SOCKET))
    }

    /// Who holds it, for messages.
    pub fn holder(&self) -> String {
        match &self.by {
            Some((pid, name)) => format!("{name} (pid {pid}) holds the lock {}", self.path.display()),
            None => format!("another process holds the lock {}", self.path.display()),
        }
    }
}

/// The database's file, for commands that work on files.
///
/// # Errors
/// The database is not a file; the error says what to use instead.
pub fn database_file(config: &Config) -> Result<&Path, CommandError> {
    config.sqlite_file().ok_or_else(|| {
        let detail = "the database is PostgreSQL, and this command works on SQLite files: use PostgreSQL's own tools, \
            pg_dump and pg_restore for a copy, or pgBackRest for backups to any point in time";
        CommandError::new("unsupported", detail)
    })
}

/// Whether this file contains a database. An empty file does not: SQLite creates it before it writes to it.
///
/// # Errors
/// It cannot be determined: a directory on the path may not be searched.
pub fn has_database(path: &Path) -> Result<bool, CommandError> {
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_dir() => Err(CommandError::new(
            "no-database",
            format!("the database {} is a directory: set a file with database-url", path.display()),
        )),
        Ok(meta) => Ok(meta.len() > 0),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(false),
        Err(e) => Err(CommandError::of_file("access the database", path, &e)),
    }
}

/// Refuses a database in a directory that does not exist, before anything is created. The data directory is an
/// exception: it is created.
///
/// # Errors
/// There is no such directory.
pub fn check_database_dir(config: &Config, path: &Path) -> Result<(), CommandError> {
    match path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        Some(dir) if dir != config.data_dir && !dir.is_dir() => {
            let (dir, path) = (dir.display(), path.display());
            let detail = format!(
                "the directory {dir} for the database {path} does not exist: create it first, or use another database with \
                 database-url"
            );
            Err(CommandError::new("io", detail))
        }
        _ => Ok(()),
    }
}

/// Creates the data directory (mode 0700) if it is missing, but not its parent. Only `serve` and `restore` do this.
///
/// # Errors
/// It cannot be created, or its path is not a directory.
pub fn create_data_dir(path: &Path) -> Result<(), CommandError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => check_data_dir(path).map(drop),
        Err(e) if e.kind() == io::ErrorKind::NotFound && path.parent().is_some_and(|p| !p.is_dir()) => {
            let parent = path.parent().unwrap_or(path).display();
            let detail = format!(
                "cannot create the data directory {}: its parent {parent} does not exist; create that first, or use \
                 another directory with --data-dir",
                path.display()
            );
            Err(CommandError::new("io", detail))
        }
        Err(e) => Err(CommandError::of_file("create the data directory", path, &e)),
    }
}

/// Removes a data directory that was created in vain: one that contains only the lock of this process.
pub fn remove_data_dir(path: &Path) {
    if std::fs::read_dir(path).is_ok_and(|entries| entries.flatten().all(|e| e.file_name() == LOCK)) {
        let _ = std::fs::remove_file(path.join(LOCK));
        let _ = std::fs::remove_dir(path);
    }
}

/// Whether there is a data directory.
///
/// # Errors
/// Its path is not a directory, or it cannot be accessed.
pub fn check_data_dir(path: &Path) -> Result<bool, CommandError> {
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(CommandError::of_file("access the data directory", path, &e)),
    };
    if !meta.is_dir() {
        let what = format!(
            "the data directory {} is a file, not a directory: use another with --data-dir",
            path.display()
        );
        return Err(CommandError::new("io", what));
    }
    if meta.permissions().mode() & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "other users can access the data directory: run chmod 700 on it");
    }
    Ok(true)
}

/// Tries to take the lock of the data directory, which must exist, and of the database if that is elsewhere, since
/// another data directory may use it too.
///
/// # Errors
/// A lock's file cannot be opened or written.
pub fn take(config: &Config, holder: Holder) -> Result<Taken, CommandError> {
    take_all(&lock_paths(config), holder)
}

/// Tries to take the lock of an SQLite database, whichever data directories use it. Its directory must exist.
///
/// # Errors
/// As [`take`].
pub fn take_database(database: &Path, holder: Holder) -> Result<Taken, CommandError> {
    take_all(&[own_path(database)], holder)
}

fn take_all(paths: &[PathBuf], holder: Holder) -> Result<Taken, CommandError> {
    let mut lock = Lock { files: Vec::new() };
    for path in paths {
        match take_one(path, holder)? {
            Ok(file) => lock.files.push(file),
            Err(held) => return Ok(Taken::Theirs(held)),
        }
    }
    Ok(Taken::Ours(lock))
}

/// As [`take`], but waits a while for a command to end. It does not wait for a server.
///
/// # Errors
/// As [`take`]; or another process holds the lock, with its name.
pub fn take_for_server(config: &Config) -> Result<Lock, CommandError> {
    /// Longer than any but the largest command takes.
    const TIMEOUT: Duration = Duration::from_secs(5);
    let start = Instant::now();
    loop {
        match take(config, Holder::Server)? {
            Taken::Ours(lock) => return Ok(lock),
            Taken::Theirs(held) if held.is_by_server() || start.elapsed() > TIMEOUT => {
                let detail = format!(
                    "{}: only one server can use this data; stop that one first, or use another directory \
                     with --data-dir",
                    held.holder()
                );
                return Err(CommandError::new("locked", detail));
            }
            Taken::Theirs(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// The lock of the data directory, and the database's own if that is elsewhere: a database called `tenantry.db` shares
/// the lock of its directory, any other has one beside it.
fn lock_paths(config: &Config) -> Vec<PathBuf> {
    let mut paths = vec![config.data_dir.join(LOCK)];
    let Some(database) = config.sqlite_file() else { return paths };
    let own = own_path(database);
    let same = std::fs::canonicalize(&config.data_dir).is_ok_and(|dir| dir.join(LOCK) == own);
    if !same {
        paths.push(own);
    }
    paths
}

/// A lock file left by an earlier process.
pub(super) fn left_behind(config: &Config, database: &Path) -> Option<PathBuf> {
    [config.data_dir.join(LOCK), own_path(database)].into_iter().find(|path| path.exists())
}

/// Whether any lock of this database is held.
pub(super) fn is_held(config: &Config) -> bool {
    lock_paths(config).iter().any(|path| {
        // Shared, and released at once: a process that takes the lock at this moment tries again.
        File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    })
}

/// The lock of a database itself.
fn own_path(database: &Path) -> PathBuf {
    // By its canonical name, so that a symbolic link does not bypass it.
    let database = true_path(database);
    match database.file_name() {
        Some(name) if name != DATABASE => {
            let mut name = name.to_owned();
            name.push(".lock");
            database.with_file_name(name)
        }
        _ => database.with_file_name(LOCK),
    }
}

/// The canonical path of a file, independent of links and the working directory. The file itself may be missing.
pub fn true_path(path: &Path) -> PathBuf {
    if let Ok(whole) = std::fs::canonicalize(path) {
        return whole;
    }
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (std::fs::canonicalize(parent), path.file_name()) {
        (Ok(parent), Some(name)) => parent.join(name),
        _ => path.to_owned(),
    }
}

fn take_one(path: &Path, holder: Holder) -> Result<Result<File, Held>, CommandError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|e| CommandError::of_file("open the lock", path, &e))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // If it cannot be read, the message only lacks a name.
            let _ = file.take(200).read_to_string(&mut text);
            return Ok(Err(Held { path: path.to_owned(), by: parse_holder(&text) }));
        }
        Err(TryLockError::Error(e)) => return Err(CommandError::of_file("take the lock", path, &e)),
    }
    write_holder(&file, holder, "").map_err(|e| CommandError::of_file("write the lock", path, &e))?;
    Ok(Ok(file))
}

/// Writes who holds a lock into its file.
fn write_holder(mut file: &File, holder: Holder, note: &str) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(format!("{} {}{note}\n", std::process::id(), holder.name()).as_bytes())
}

fn parse_holder(text: &str) -> Option<(u32, String)> {
    let (pid, name) = text.strip_suffix('\n')?.split_once(' ')?;
    Some((pid.parse().ok()?, name.to_owned()))
}
