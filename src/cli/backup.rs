//! `tenantry backup`: a consistent snapshot of the database in a file, checked before it gets its name.
//!
//! It opens the database itself, also while a server runs, and takes no lock: a backup of an hour must not keep a
//! server from starting. SQLite isolates the two from each other.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};

use crate::cli::args::BackupArgs;
use crate::cli::command_error::CommandError;
use crate::cli::print::ProgressLine;
use crate::cli::serve::stop_signal;
use crate::cli::{Failure, data_access, lock, print, switch};
use crate::config::Config;
use tenantry_core::clock::{Clock, rfc3339};
use tenantry_core::random::Random;
use tenantry_store::engine::sqlite::database_file;
use tenantry_store::ops::backup::{self, BackupError};

/// Runs the command.
pub(super) fn run(config: &Config, args: &BackupArgs, out: &mut impl Write) -> Result<(), Failure> {
    let database = lock::database_file(config)?;
    if !lock::has_database(database)? {
        return Err(data_access::nothing_at("database", database).into());
    }
    check_name(&args.file, database)?;
    // Under another name of the file, SQLite would use another log, and the copy would lack what is in the server's.
    // Held until the end: closing any descriptor of the file would drop SQLite's own locks.
    let _file = if lock::is_held(config) { None } else { Some(database_file::expect_unlocked(database)?) };
    let partial = Partial::create(&args.file, &Random::system())?;
    Ok(print::one(out, args.json, &make_unless_stopped(partial, database)?)?)
}

/// Refuses a name that exists, that cannot be created, or that the database may need.
/// What a backup and a restore say of a database with sealed keys.
pub(super) const SEALED: &str = "needed: keys in it are sealed with the master key, which is not in the backup (master.key of the data directory, \
     or master-key-file); keep a copy of it elsewhere";

fn check_name(file: &Path, database: &Path) -> Result<(), CommandError> {
    let shown = file.display();
    let refuse = |what: String| Err(CommandError::new("io", what));
    match std::fs::symlink_metadata(file) {
        Ok(meta) if meta.is_dir() => return refuse(format!("{shown} is a directory: use a file in it")),
        Ok(_) => {
            return refuse(format!(
                "{shown} exists already and was not changed: use another file, or move that one away"
            ));
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(CommandError::of_named_file("create the backup", file, &e)),
    }
    let dir = switch::directory_of(file);
    if !dir.is_dir() {
        return refuse(format!(
            "the directory {} for the backup {shown} does not exist: create it first, or use a file elsewhere",
            dir.display()
        ));
    }
    let (file, database) = (lock::true_path(file), lock::true_path(database));
    if backup::COMPANIONS.iter().any(|ending| backup::companion(&database, ending) == file) {
        return refuse(format!("{shown} is a name that the database needs for itself: use another file"));
    }
    Ok(())
}

/// The incomplete backup under its temporary name. It is removed unless it is finished.
struct Partial {
    path: PathBuf,
    file: PathBuf,
}

impl Partial {
    fn create(file: &Path, random: &Random) -> Result<Self, CommandError> {
        let path = backup::companion(file, &format!(".partial-{}", random.token::<6>()));
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|e| CommandError::of_named_file("create the backup", file, &e))?;
        Ok(Self { path, file: file.to_owned() })
    }

    /// Renames it durably: a file with the final name is complete, also after a power cut.
    fn finish(self) -> Result<(), CommandError> {
        let failed = |e: io::Error| match e.kind() {
            io::ErrorKind::AlreadyExists => CommandError::new(
                "io",
                format!("{} exists now and was not changed: use another file", self.file.display()),
            ),
            _ => CommandError::of_named_file("write the backup", &self.file, &e),
        };
        File::open(&self.path).and_then(|file| file.sync_all()).map_err(failed)?;
        switch::rename_to_new(&self.path, &self.file).map_err(failed)?;
        switch::sync(switch::directory_of(&self.file)).map_err(|e| {
            let _ = std::fs::remove_file(&self.file);
            failed(e)
        })
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        switch::remove(&self.path);
    }
}

/// Makes the backup. A signal aborts it and leaves nothing behind.
fn make_unless_stopped(partial: Partial, database: &Path) -> Result<Value, CommandError> {
    let internal = |what: String| CommandError::new("internal", what);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| internal(format!("cannot start the runtime: {e}")))?;
    let (path, database) = (partial.path.clone(), database.to_owned());
    let made = runtime.block_on(async {
        let stop = stop_signal().map_err(|e| internal(format!("cannot watch signals: {e}")))?;
        let made = tokio::task::spawn_blocking(move || make(partial, &database));
        tokio::select! {
            biased;
            made = made => made.unwrap_or_else(|_| Err(internal(String::from("the backup panicked")))),
            () = stop => {
                switch::remove(&path);
                Err(CommandError::new("stopped", "stopped before the backup was complete: nothing is left of it"))
            }
        }
    });
    // After a signal it may still be writing to an unlinked file; it ends with the process.
    runtime.shutdown_background();
    made
}

fn make(partial: Partial, database: &Path) -> Result<Value, CommandError> {
    let (start, taken_at) = (Instant::now(), Clock::system().now());
    let mut progress = ProgressLine::new();
    backup::copy(database, &partial.path, &mut |done, all| progress.show("copying", done, all))
        .map_err(|error| not_copied(&error, &partial.file, database))?;
    progress.say("checking the copy");
    // The check only reads the copy and may take long: a server needs the processor more.
    if let Err(error) = rustix::process::setpriority_process(None, 19) {
        tracing::debug!(%error, "the copy is checked at ordinary priority");
    }
    let contents = backup::check(&partial.path).map_err(|error| bad_copy(&error, &partial.file, database))?;
    let bytes = std::fs::metadata(&partial.path).map_or(0, |meta| meta.len());
    let file = partial.file.display().to_string();
    partial.finish()?;
    let mut made = json!({
        "file": file,
        "partners": contents.partners,
        "users": contents.users,
        "bytes": bytes,
        "schema": contents.schema,
        "takenAt": rfc3339(taken_at),
        "seconds": switch::seconds(start),
    });
    if contents.is_sealed
        && let Some(made) = made.as_object_mut()
    {
        made.insert(String::from("masterKey"), json!(SEALED));
    }
    Ok(made)
}

fn not_copied(error: &BackupError, file: &Path, database: &Path) -> CommandError {
    let (file, database) = (file.display(), database.display());
    match error {
        BackupError::Full => CommandError::new(
            "io",
            format!("cannot write the backup {file}: the disk is full; free space, or use a file elsewhere"),
        ),
        BackupError::Empty => CommandError::new(
            "no-database",
            format!(
                "the database {database} is empty: run `tenantry serve` once, which creates the first partner"
            ),
        ),
        BackupError::Foreign => CommandError::new(
            "foreign",
            format!("{database} is another program's database: use another file with database-url"),
        ),
        BackupError::Newer { .. } => {
            CommandError::new("newer", format!("cannot back up {database}: {error}; use that version"))
        }
        BackupError::InUse => CommandError::new(
            "unavailable",
            format!("another program has locked the database {database}: try again when it is done"),
        ),
        _ => CommandError::new("io", format!("cannot copy the database {database} to {file}: {error}")),
    }
}

fn bad_copy(error: &BackupError, file: &Path, database: &Path) -> CommandError {
    let detail = format!(
        "the copy of {} did not pass its check and was not kept as {}: {error}; the database or one of the disks is \
         damaged",
        database.display(),
        file.display()
    );
    CommandError::new("damaged", detail)
}
