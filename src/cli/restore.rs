//! `tenantry restore`: replaces the database with a backup, and keeps the replaced one beside it.
//!
//! Everything is checked before the current database is touched: the backup is copied to the data directory under
//! another name, and the whole copy is checked. Then the names change (switch.rs).

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};

use crate::cli::args::RestoreArgs;
use crate::cli::backup::SEALED;
use crate::cli::command_error::CommandError;
use crate::cli::lock::{self, Holder, Taken};
use crate::cli::print::ProgressLine;
use crate::cli::{Failure, print, switch};
use crate::config::Config;
use tenantry_core::clock::{Clock, rfc3339};
use tenantry_store::engine::sqlite::database_file::{DatabaseFile, Missing};
use tenantry_store::ops::backup::{self, BackupError, Rest};

/// Suffix of the incoming database. The holder of the lock may remove a leftover.
const INCOMING: &str = ".restoring";
/// Suffix of the replaced database, followed by the time.
const KEPT: &str = ".before-restore-";

/// Runs the command.
pub(super) fn run(config: &Config, args: &RestoreArgs, out: &mut impl Write) -> Result<(), Failure> {
    let start = Instant::now();
    let database = lock::database_file(config)?;
    check_file(&args.file, database)?;
    lock::check_database_dir(config, database)?;
    lock::has_database(database)?;
    let is_new = !lock::check_data_dir(&config.data_dir)?;
    if is_new {
        lock::create_data_dir(&config.data_dir)?;
    }
    let restored = restore(config, &args.file, start);
    if is_new && restored.is_err() {
        // The directory was created in vain: it is removed if it contains only the lock.
        lock::remove_data_dir(&config.data_dir);
    }
    let response = restored?;
    Ok(print::one(out, args.json, &response)?)
}

/// Refuses a file that is not a backup, as far as can be told from outside.
fn check_file(file: &Path, database: &Path) -> Result<(), CommandError> {
    let meta = match std::fs::metadata(file) {
        Ok(meta) => meta,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Err(CommandError::new(
                "not-found",
                format!("no such file: {}; use a file made by `tenantry backup`", file.display()),
            ));
        }
        Err(e) => return Err(CommandError::of_named_file("read the backup", file, &e)),
    };
    if !meta.is_file() {
        let detail =
            format!("{} is not a regular file: use a file made by `tenantry backup`", file.display());
        return Err(CommandError::new("io", detail));
    }
    if switch::is_same(&meta, database) {
        let detail = format!("{} is the current database itself: use a backup", file.display());
        return Err(CommandError::new("io", detail));
    }
    if switch::is_same(&meta, &backup::companion(&lock::true_path(database), INCOMING)) {
        let detail = format!("{} was left by an interrupted restore: use the backup itself", file.display());
        return Err(CommandError::new("io", detail));
    }
    backup::look(file).map(drop).map_err(|error| no_backup(&error, file))
}

fn restore(config: &Config, file: &Path, start: Instant) -> Result<Value, CommandError> {
    let _lock = match lock::take(config, Holder::Command)? {
        Taken::Ours(lock) => lock,
        Taken::Theirs(held) => {
            let detail = format!("{}: stop it first, then restore; nothing was changed", held.holder());
            return Err(CommandError::new("locked", detail));
        }
    };
    // By its canonical name: the other names are created beside it, and a link to it stays a link.
    let database = lock::true_path(lock::database_file(config)?);
    clear(&database)?;
    // Held until the end, whatever name the file has then.
    let _file = match lock::has_database(&database)? {
        true => Some(DatabaseFile::open(&database, Missing::Fail)?),
        false => None,
    };
    let mut progress = ProgressLine::new();
    let incoming = Incoming::copy(file, &database, &mut progress)?;
    progress.say("checking the backup");
    let contents = backup::check(&incoming.0).map_err(|error| no_backup(&error, file))?;
    let (numbers, is_kept) = settle(&database)?;
    backup::make_ready(&incoming.0, &numbers).map_err(|error| not_written(&error, &incoming.0))?;
    let failed = |e: io::Error| CommandError::of_file("write", &incoming.0, &e);
    File::open(&incoming.0).and_then(|file| file.sync_all()).map_err(failed)?;
    let bytes = std::fs::metadata(&incoming.0).map_err(failed)?.len();
    let old = name_of_old(&database);
    change(&database, &incoming.0, &old, is_kept)?;
    let mut restored = json!({
        "database": database.display().to_string(),
        "keptAs": is_kept.then(|| old.display().to_string()),
        "partners": contents.partners,
        "users": contents.users,
        "bytes": bytes,
        "schema": contents.schema,
        "seconds": switch::seconds(start),
    });
    if contents.is_sealed
        && let Some(restored) = restored.as_object_mut()
    {
        restored.insert(String::from("masterKey"), json!(SEALED));
    }
    Ok(restored)
}

/// Removes what an interrupted restore left: its copy, and the second name of the database if it still has both. SQLite
/// must not find one database under two names.
fn clear(database: &Path) -> Result<(), CommandError> {
    switch::remove(&backup::companion(database, INCOMING));
    let (dir, Ok(meta)) = (switch::directory_of(database), std::fs::metadata(database)) else {
        return Ok(());
    };
    let prefix = backup::companion(database, KEPT);
    let failed = |e: io::Error| CommandError::of_file("look into", dir, &e);
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let is_kept = path.as_os_str().as_encoded_bytes().starts_with(prefix.as_os_str().as_encoded_bytes());
        if is_kept && switch::is_same(&meta, &path) {
            std::fs::remove_file(&path).map_err(failed)?;
        }
    }
    Ok(())
}

/// The copy of the backup beside the database. Removed unless it has become the database.
struct Incoming(PathBuf);

impl Incoming {
    fn copy(file: &Path, database: &Path, progress: &mut ProgressLine) -> Result<Self, CommandError> {
        /// Size of a copy step, in bytes.
        const STEP: u64 = 4 << 20;
        let to = backup::companion(database, INCOMING);
        let not_read = |e: io::Error| CommandError::of_named_file("read the backup", file, &e);
        let not_written = |e: io::Error| CommandError::of_file("write", &to, &e);
        let source = File::open(file).map_err(not_read)?;
        let all = source.metadata().map_err(not_read)?.len();
        let mut target =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&to).map_err(not_written)?;
        let incoming = Self(to.clone());
        give_to_owner(&target, switch::directory_of(database));
        let mut done = 0;
        loop {
            // The kernel copies by itself if it can.
            match io::copy(&mut (&source).take(STEP), &mut target).map_err(not_written)? {
                0 => break,
                n => done += n,
            }
            progress.show("copying", done, all);
        }
        target.sync_all().map_err(not_written)?;
        Ok(incoming)
    }
}

/// Gives a file to the owner of its directory: what root restores is for the user that serves it.
fn give_to_owner(file: &File, dir: &Path) {
    let (Ok(own), Ok(dir)) = (file.metadata(), std::fs::metadata(dir)) else { return };
    if own.uid() != dir.uid()
        && let Err(error) = std::os::unix::fs::fchown(file, Some(dir.uid()), Some(dir.gid()))
    {
        // Only root can do this.
        tracing::debug!(%error, "the owner of the restored database was not changed");
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        switch::remove(&self.0);
    }
}

/// Checkpoints the current database. Returns its id sequences, and whether there is anything to keep.
fn settle(database: &Path) -> Result<(Vec<(String, i64)>, bool), CommandError> {
    if !std::fs::metadata(database).is_ok_and(|meta| meta.len() > 0) {
        return Ok((Vec::new(), false));
    }
    let shown = database.display();
    match backup::settle(database) {
        Ok(Rest::Complete(numbers)) => Ok((numbers, true)),
        // Perhaps the reason for the restore. It is kept with its log, unchanged.
        Ok(Rest::Damaged(_)) => Ok((Vec::new(), true)),
        Err(BackupError::InUse) => Err(CommandError::new(
            "locked",
            format!(
                "another program has the database {shown} open: stop it first, then restore; nothing was changed"
            ),
        )),
        Err(BackupError::Foreign) => Err(CommandError::new(
            "foreign",
            format!(
                "{shown} is another program's database (it was not changed): use another file with database-url"
            ),
        )),
        Err(error) => Err(not_written(&error, database)),
    }
}

/// The name for the replaced database: with the time, and unused.
fn name_of_old(database: &Path) -> PathBuf {
    let time: String = rfc3339(Clock::system().now()).chars().filter(|c| !matches!(c, '-' | ':')).collect();
    backup::companion(database, &format!("{KEPT}{time}"))
}

fn change(database: &Path, incoming: &Path, old: &Path, is_kept: bool) -> Result<(), CommandError> {
    switch::run(&switch::plan(database, incoming, old, is_kept)).map_err(|error| {
        let detail = format!(
            "cannot replace {} with the backup: {error}; the database was not changed",
            database.display()
        );
        CommandError::new("io", detail)
    })
}

fn no_backup(error: &BackupError, file: &Path) -> CommandError {
    let file = file.display();
    let left = "nothing was changed";
    match error {
        BackupError::NotADatabase => CommandError::new(
            "foreign",
            format!("{file} is not a database: use a file made by `tenantry backup`"),
        ),
        BackupError::Foreign => CommandError::new(
            "foreign",
            format!("{file} is another program's database: use a file made by `tenantry backup`"),
        ),
        BackupError::Empty => CommandError::new("foreign", format!("{file} is an empty database: {left}")),
        BackupError::Newer { .. } => CommandError::new(
            "newer",
            format!("{file} is a backup of another version: {error}; restore it with that version"),
        ),
        BackupError::Torn { .. } => CommandError::new(
            "damaged",
            format!("{file} is incomplete: {error}; copy it again from where it was made; {left}"),
        ),
        BackupError::Unfinished => CommandError::new(
            "unfinished",
            format!(
                "{file} is a database in use or a bare copy of one, which may lack its last changes, and no finished \
                 backup: make one of it with `tenantry backup NEW-FILE --database-url sqlite:{file}`"
            ),
        ),
        BackupError::Damaged(_) => {
            CommandError::new("damaged", format!("{file} is damaged: {error}; {left}"))
        }
        BackupError::Io(e) if e.kind() == io::ErrorKind::PermissionDenied => CommandError::new(
            "io",
            format!("cannot read the backup {file}: {e}; give this user permission to read it"),
        ),
        BackupError::Full | BackupError::InUse | BackupError::Io(_) | BackupError::Other(_) => {
            CommandError::new("io", format!("cannot read the backup {file}: {error}; {left}"))
        }
    }
}

fn not_written(error: &BackupError, path: &Path) -> CommandError {
    let path = path.display();
    match error {
        BackupError::Full => CommandError::new(
            "io",
            format!(
                "cannot write {path}: the disk is full; free space, or use another directory with --data-dir"
            ),
        ),
        _ => CommandError::new("io", format!("cannot write {path}: {error}; nothing was changed")),
    }
}
