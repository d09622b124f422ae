//! Puts one file in the place of another, so that a crash at any point leaves the one or the other, whole.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::storage::backup::{COMPANIONS, companion};

/// One step of a switch. After each of them there is a whole database in its place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Gives a file a second name, which must be free.
    Link { from: PathBuf, to: PathBuf },
    /// Gives a file another name.
    Move { from: PathBuf, to: PathBuf },
    /// Gives a file the name of another one, at one instant.
    Replace { from: PathBuf, to: PathBuf },
    /// Brings the names in a directory to the disk.
    Sync(PathBuf),
}

impl Step {
    /// Does it.
    pub(super) fn run(&self) -> io::Result<()> {
        match self {
            Self::Link { from, to } => std::fs::hard_link(from, to),
            Self::Move { from, to } | Self::Replace { from, to } => std::fs::rename(from, to),
            Self::Sync(dir) => sync(dir),
        }
    }

    /// Takes it back, as far as that can be done on a file system that fails.
    fn undo(&self) -> io::Result<()> {
        match self {
            // Two names of one file: renaming the one to the other would do nothing (rename(2)).
            Self::Link { from, to } if is_same(&std::fs::metadata(from)?, to) => std::fs::remove_file(to),
            Self::Link { from, to } | Self::Move { from, to } => std::fs::rename(to, from),
            Self::Replace { .. } | Self::Sync(_) => Ok(()),
        }
    }
}

/// Does all steps, or takes back those that were done.
pub(super) fn run(steps: &[Step]) -> io::Result<()> {
    for (done, step) in steps.iter().enumerate() {
        if let Err(error) = step.run() {
            // Forwards: the database has its name again before its log comes back.
            for undone in steps.iter().take(done).filter_map(|step| step.undo().err()) {
                tracing::error!(error = %undone, "a step could not be taken back");
            }
            return Err(error);
        }
    }
    Ok(())
}

/// How `incoming` takes the place of `database`, which is kept as `aside` where there is one. Both stand in the
/// database's own directory, and the database is at rest.
///
/// A log that is there all the same is one of a damaged database or of none: it goes aside too, before the change, since
/// SQLite would take it for the new one's.
pub(super) fn plan(database: &Path, incoming: &Path, aside: &Path, is_kept: bool) -> Vec<Step> {
    let dir = directory_of(database);
    let owned = Path::to_owned;
    let mut steps = Vec::new();
    if is_kept {
        // A second name, not another one: at no time is the database without its own.
        steps.push(Step::Link { from: owned(database), to: owned(aside) });
        steps.push(Step::Sync(owned(dir)));
    }
    for ending in COMPANIONS {
        let from = companion(database, ending);
        if from.exists() {
            steps.push(Step::Move { from, to: companion(aside, ending) });
        }
    }
    if steps.iter().any(|step| matches!(step, Step::Move { .. })) {
        steps.push(Step::Sync(owned(dir)));
    }
    steps.push(Step::Replace { from: owned(incoming), to: owned(database) });
    steps.push(Step::Sync(owned(dir)));
    steps
}

/// Renames a file to a name that is free, and fails where it is not.
pub(super) fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(e) if e == rustix::io::Errno::EXIST => Err(io::ErrorKind::AlreadyExists.into()),
        // Not every file system knows this. A second name fails where there is one already; some know that neither.
        Err(_) if std::fs::hard_link(from, to).is_ok() => std::fs::remove_file(from),
        Err(_) if std::fs::symlink_metadata(to).is_ok() => Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => std::fs::rename(from, to),
    }
}

/// Brings the names in a directory to the disk.
pub(super) fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Whether a path names this file.
pub(super) fn is_same(file: &Metadata, path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|other| (file.dev(), file.ino()) == (other.dev(), other.ino()))
}

/// The directory that a file stands in.
pub(super) fn directory_of(file: &Path) -> &Path {
    file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Removes a database that nobody needs, with all that stands beside it.
pub(super) fn remove(database: &Path) {
    let paths = COMPANIONS.iter().map(|ending| companion(database, ending));
    for path in paths.chain([database.to_owned()]) {
        // Mostly there is none.
        let _ = std::fs::remove_file(path);
    }
}

/// The seconds that something took, to the thousandth.
pub(super) fn seconds(start: Instant) -> f64 {
    (start.elapsed().as_secs_f64() * 1_000.0).round() / 1_000.0
}
