//! Replaces a file with another one, so that a crash at any point leaves one of them, complete.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::fs::{CWD, RenameFlags, renameat_with};

use tenantry_store::ops::backup::{COMPANIONS, companion};

/// A step of a switch. After each step there is a complete database in place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Gives a file a second name, which must not exist.
    Link { from: PathBuf, to: PathBuf },
    /// Renames a file.
    Move { from: PathBuf, to: PathBuf },
    /// Atomically replaces a file.
    Replace { from: PathBuf, to: PathBuf },
    /// Syncs a directory.
    Sync(PathBuf),
}

impl Step {
    /// Executes the step.
    pub(super) fn run(&self) -> io::Result<()> {
        match self {
            Self::Link { from, to } => std::fs::hard_link(from, to),
            Self::Move { from, to } | Self::Replace { from, to } => std::fs::rename(from, to),
            Self::Sync(dir) => sync(dir),
        }
    }

    /// Undoes the step, as far as possible on a failing file system.
    fn undo(&self) -> io::Result<()> {
        match self {
            // Two names of one file: renaming one to the other would do nothing (rename(2)).
            Self::Link { from, to } if is_same(&std::fs::metadata(from)?, to) => std::fs::remove_file(to),
            Self::Link { from, to } | Self::Move { from, to } => std::fs::rename(to, from),
            Self::Replace { .. } | Self::Sync(_) => Ok(()),
        }
    }
}

/// Executes all steps, or undoes those that were done.
pub(super) fn run(steps: &[Step]) -> io::Result<()> {
    for (done, step) in steps.iter().enumerate() {
        if let Err(error) = step.run() {
            // In order: the database gets its name back before its log.
            for undone in steps.iter().take(done).filter_map(|step| step.undo().err()) {
                tracing::error!(error = %undone, "a step could not be undone");
            }
            return Err(error);
        }
    }
    Ok(())
}

/// The steps to replace `database` with `incoming`, and to keep it as `old` if it exists. Both are in the database's
/// directory, and the database is checkpointed.
///
/// A log that exists nevertheless belongs to a damaged database or to none: it is moved aside too, before the change,
/// since SQLite would take it for the new one's.
pub(super) fn plan(database: &Path, incoming: &Path, old: &Path, is_kept: bool) -> Vec<Step> {
    let dir = directory_of(database);
    let owned = Path::to_owned;
    let mut steps = Vec::new();
    if is_kept {
        // A second name, not a rename: the database always has its own name.
        steps.push(Step::Link { from: owned(database), to: owned(old) });
        steps.push(Step::Sync(owned(dir)));
    }
    for ending in COMPANIONS {
        let from = companion(database, ending);
        if from.exists() {
            steps.push(Step::Move { from, to: companion(old, ending) });
        }
    }
    if steps.iter().any(|step| matches!(step, Step::Move { .. })) {
        steps.push(Step::Sync(owned(dir)));
    }
    steps.push(Step::Replace { from: owned(incoming), to: owned(database) });
    steps.push(Step::Sync(owned(dir)));
    steps
}

/// Renames a file, and fails if the new name exists.
pub(super) fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(e) if e == rustix::io::Errno::EXIST => Err(io::ErrorKind::AlreadyExists.into()),
        // Not every file system supports this. A hard link also fails if the name exists; some do not support that
        // either.
        Err(_) if std::fs::hard_link(from, to).is_ok() => std::fs::remove_file(from),
        Err(_) if std::fs::symlink_metadata(to).is_ok() => Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => std::fs::rename(from, to),
    }
}

/// Syncs a directory.
pub(super) fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Whether a path names this file.
pub(super) fn is_same(file: &Metadata, path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|other| (file.dev(), file.ino()) == (other.dev(), other.ino()))
}

/// The directory of a file.
pub(super) fn directory_of(file: &Path) -> &Path {
    file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Removes a database with its companion files.
pub(super) fn remove(database: &Path) {
    let paths = COMPANIONS.iter().map(|ending| companion(database, ending));
    for path in paths.chain([database.to_owned()]) {
        // Usually there is none.
        let _ = std::fs::remove_file(path);
    }
}

/// The elapsed seconds, to the millisecond.
pub(super) fn seconds(start: Instant) -> f64 {
    (start.elapsed().as_secs_f64() * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenantry_core::account_policy::AccountPolicy;
    use tenantry_core::clock::Clock;
    use tenantry_core::random::Random;
    use tenantry_store::access::Operator;
    use tenantry_store::engine::tx::Outcome;
    use tenantry_store::ops::backup;
    use tenantry_store::store::Store;
    use tenantry_store::tables::partners;

    fn open(path: &Path) -> Store {
        Store::open_sqlite(path, Clock::manual(1_000), Random::seeded(1), AccountPolicy::DEFAULT).unwrap()
    }

    /// The names of the partners in a database, in which a unit of work is done then.
    async fn names(path: &Path) -> Vec<String> {
        let (store, by) = (open(path), Operator::of_this_machine());
        let all = |tx: &mut tenantry_store::engine::tx::Tx<'_, Operator>| {
            partners::select(tx, None, partners::PartnerPosition::Offset(0), 1_000)
        };
        let all = store.scan(&by, all).await.unwrap();
        store.write(&by, |tx| partners::insert(tx, "later").map(Outcome::Commit)).await.unwrap();
        all.into_iter().map(|partner| partner.name).collect()
    }

    struct Files {
        dir: tempfile::TempDir,
        database: PathBuf,
        incoming: PathBuf,
        old: PathBuf,
    }

    /// A database with the partner `old` and one that comes in with the partner `new`. The old one's log is there with
    /// the partner in it, as after a crash, unless it is settled.
    async fn place(is_settled: bool) -> Files {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let by = Operator::of_this_machine();
        for (made, name, moved) in [("made.db", "old", "tenantry.db"), ("made.db", "new", "incoming")] {
            let store = open(&at(made));
            store.write(&by, |tx| partners::insert(tx, name).map(Outcome::Commit)).await.unwrap();
            // While it is open: as a crash would leave it.
            std::fs::copy(at(made), at(moved)).unwrap();
            std::fs::copy(at("made.db-wal"), companion(&at(moved), "-wal")).unwrap();
            drop(store);
            remove(&at(made));
        }
        backup::settle(&at("incoming")).unwrap();
        backup::make_ready(&at("incoming"), &[]).unwrap();
        if is_settled {
            assert!(matches!(backup::settle(&at("tenantry.db")), Ok(backup::Rest::Complete(_))));
        }
        Files { database: at("tenantry.db"), incoming: at("incoming"), old: at("old"), dir }
    }

    #[tokio::test]
    async fn after_each_step_the_list_is_the_old_or_the_new_one() {
        let mut seen = Vec::new();
        for done in 0.. {
            let Files { dir: _dir, database, incoming, old } = place(true).await;
            let steps = plan(&database, &incoming, &old, true);
            for step in steps.iter().take(done) {
                step.run().unwrap();
            }
            let old_exists = old.exists();
            let is_linked = old_exists && is_same(&std::fs::metadata(&old).unwrap(), &database);
            let found = names(&database).await;
            if old_exists && !is_linked {
                assert_eq!(names(&old).await, ["old"], "after {done} steps");
            }
            seen.push(found.concat());
            if done == steps.len() {
                assert!(old_exists && !incoming.exists());
                break;
            }
        }
        assert_eq!(seen, ["old", "old", "old", "new", "new"]);
    }

    #[tokio::test]
    async fn the_log_of_a_database_that_cannot_be_settled_is_moved_with_it() {
        let place = place(false).await;
        let log = |path: &Path| companion(path, "-wal");
        assert!(log(&place.database).exists());
        run(&plan(&place.database, &place.incoming, &place.old, true)).unwrap();
        assert!(!log(&place.database).exists() && log(&place.old).exists());
        assert_eq!(names(&place.database).await, ["new"]);
        assert_eq!(names(&place.old).await, ["old"]);
    }

    #[tokio::test]
    async fn a_failed_step_rolls_back_the_previous_ones() {
        let place = place(false).await;
        std::fs::remove_file(&place.incoming).unwrap();
        let list = || {
            let mut names: Vec<_> =
                std::fs::read_dir(place.dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
            names.sort();
            names
        };
        let before = list();
        run(&plan(&place.database, &place.incoming, &place.old, true)).unwrap_err();
        assert_eq!(list(), before);
        assert_eq!(names(&place.database).await, ["old"]);
        // A name that is taken is not overwritten.
        std::fs::write(&place.old, "somebody's").unwrap();
        run(&plan(&place.database, &place.incoming, &place.old, true)).unwrap_err();
        assert_eq!(std::fs::read_to_string(&place.old).unwrap(), "somebody's");
        assert_eq!(
            rename_to_new(&place.database, &place.old).unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
    }
}
