//! Finds traces of a missing database: it may be lost, or the wrong volume is mounted.

use std::path::Path;

use crate::cli::command_error::CommandError;
use crate::cli::lock;
use crate::config::Config;
use tenantry_store::ops::backup::companion;

/// Refuses to create a database beside the log of another: SQLite would remove the log, which may be all that is left.
///
/// # Errors
/// There is such a log.
pub(super) fn refuse_log_without_database(database: &Path) -> Result<(), CommandError> {
    let log = companion(&lock::true_path(database), "-wal");
    if !std::fs::metadata(&log).is_ok_and(|meta| meta.len() > 0) {
        return Ok(());
    }
    let (database, log) = (database.display(), log.display());
    let detail = format!(
        "the database {database} is missing or empty, but its log {log} is there, with the last changes in it: put \
         the database back, or restore a backup; to start over, move the log away"
    );
    Err(CommandError::new("no-database", detail))
}

/// Describes what is left of an earlier database in the data directory, before this start adds to it.
pub(super) fn find(config: &Config) -> Option<String> {
    let has_mail =
        std::fs::read_dir(config.data_dir.join("mail")).is_ok_and(|mut files| files.next().is_some());
    if has_mail {
        return Some(format!("there are mails in {}", config.data_dir.join("mail").display()));
    }
    let lock = config.sqlite_file().and_then(|path| lock::left_behind(config, path))?;
    Some(format!("there is the lock {}", lock.display()))
}
