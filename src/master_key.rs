//! Where the master key is: a setting, or on SQLite a file of the data directory.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::config::{Config, Origin};
use tenantry_core::error::{Conflict, Error, Result};
use tenantry_core::random::Random;
use tenantry_domain::sealer::{MasterKey, MasterKeyProblem};

/// The file's name in the data directory.
pub const FILE: &str = "master.key";

/// Larger files are none.
const FILE_MAX: u64 = 1 << 10;

/// The master key of a configuration, if there is one. On SQLite it is made if the database has nothing that it would have
/// to open (`is_sealed`), or if it takes the place of a lost one. The caller holds the lock of the data directory.
///
/// # Errors
/// A conflict: its file cannot be read or written, or is malformed.
pub fn find(config: &Config, is_sealed: bool, random: &Random) -> Result<Option<MasterKey>> {
    if config.master_key.is_some() || config.sqlite_file().is_none() {
        return Ok(config.master_key.clone());
    }
    let path = config.data_dir.join(FILE);
    match read(&path) {
        Ok(text) => match MasterKey::parse(text.trim()) {
            Some(key) => Ok(Some(key)),
            None => Err(conflict(format!(
                "{} is not a master key, which is 32 bytes in base64: put back the right one; if it is lost, move this file away \
                 and run `tenantry key reset`",
                path.display()
            ))),
        },
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            if is_sealed && !config.may_replace_master_key {
                return Ok(None);
            }
            let key = MasterKey::generate(random);
            write(&path, &key).map_err(|e| {
                conflict(format!(
                    "cannot write the master key {}: {e}; free space, or see who may write there",
                    path.display()
                ))
            })?;
            Ok(Some(key))
        }
        Err(e) => Err(conflict(format!("cannot read the master key {}: {e}", path.display()))),
    }
}

/// The master key in a file.
///
/// # Errors
/// A conflict: it cannot be read, or is malformed.
pub fn read_file(path: &Path) -> Result<MasterKey> {
    let text =
        read(path).map_err(|e| conflict(format!("cannot read the master key {}: {e}", path.display())))?;
    MasterKey::parse(text.trim()).ok_or_else(|| {
        conflict(format!(
            "{} is not a master key, which is 32 bytes in base64: make one with openssl rand -base64 32",
            path.display()
        ))
    })
}

fn read(path: &Path) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    match File::open(path)?.take(FILE_MAX).read_to_string(&mut text) {
        Err(e) if e.kind() == io::ErrorKind::InvalidData => Ok(Zeroizing::default()),
        Err(e) => Err(e),
        Ok(_) => Ok(text),
    }
}

/// The file is complete, or missing.
fn write(path: &Path, key: &MasterKey) -> io::Result<()> {
    let unfinished = path.with_extension("key.new");
    match std::fs::remove_file(&unfinished) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    file.write_all(key.to_text().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)?;
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

/// The file that the key is in, if it is in one.
fn file(config: &Config) -> Option<PathBuf> {
    match config.origin("master-key") {
        Some(Origin::SecretFile { path, .. }) => Some(PathBuf::from(path)),
        _ if config.master_key.is_some() || config.sqlite_file().is_none() => None,
        _ => Some(config.data_dir.join(FILE)),
    }
}

/// Warns of a key that others can read, and of keys that stand unsealed.
pub fn warn(config: &Config) {
    let Some(path) = file(config) else {
        if config.master_key.is_none() {
            tracing::warn!(
                "the keys that sign tokens stand unsealed in the database, since there is no master key: set master-key-file \
                 to the same key on every server (openssl rand -base64 32)"
            );
        }
        return;
    };
    // A secret that is mounted into a container belongs to a group.
    let others = if path.starts_with(&config.data_dir) { 0o077 } else { 0o007 };
    if std::fs::metadata(&path).is_ok_and(|meta| meta.mode() & others != 0) {
        tracing::warn!(path = %path.display(), "other users can read the master key: run chmod 600 on it");
    }
}

/// Why a server does not start, and how to fix it.
pub fn refusal(config: &Config, problem: MasterKeyProblem) -> Error {
    const LOST: &str = "if it is lost, `tenantry key reset` makes new keys";
    let (database, file) = (&config.database_url, file(config));
    conflict(match (problem, file) {
        (MasterKeyProblem::Missing, Some(path)) => format!(
            "keys in the database {database} are sealed with a master key, and its file {} is missing: put it back from where \
             you keep it beside the backups, or set master-key-file; {LOST}",
            path.display()
        ),
        (MasterKeyProblem::Missing, None) => format!(
            "keys in the database {database} are sealed with a master key, and this server has none: set master-key-file to the \
             file with the key that the other servers of this database have; {LOST}"
        ),
        (MasterKeyProblem::Wrong, Some(path)) => format!(
            "keys in the database {database} are sealed with another master key than that in {}: put the right one there, or set \
             master-key-file; {LOST}",
            path.display()
        ),
        (MasterKeyProblem::Wrong, None) => format!(
            "keys in the database {database} are sealed with another master key than that of the setting master-key: set the \
             right one; {LOST}"
        ),
    })
}

fn conflict(detail: String) -> Error {
    Error::Conflict(Conflict { code: "master-key", detail: detail.into(), field: None, users: Vec::new() })
}
