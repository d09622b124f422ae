//! The schema and its versions.

use std::io::Read as _;
use std::path::Path;

use super::driver::{Connection as _, DbError, Dialect};
use super::sqlite::{APPLICATION_ID, Sqlite};
use crate::clock::Millis;
use crate::error::{Error, Result};

/// All changes of the schema, in order. A released one is never edited.
const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/0001_initial.sql"),
    include_str!("../../migrations/0004_trusted_changes.sql"),
];

/// The first bytes of every SQLite file.
const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";

/// Refuses a file that is not an SQLite database before anything touches it.
pub(super) fn check_file(path: &Path) -> Result<()> {
    let mut file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Error::internal(format!("cannot read {}: {e}", path.display()))),
    };
    let mut magic = Vec::new();
    file.by_ref()
        .take(SQLITE_MAGIC.len() as u64)
        .read_to_end(&mut magic)
        .map_err(|e| Error::internal(format!("cannot read {}: {e}", path.display())))?;
    if magic.is_empty() || magic == SQLITE_MAGIC {
        return Ok(());
    }
    Err(Error::internal(format!(
        "{} is not a database (it was left as it is): name another file with database-url or move it away",
        path.display()
    )))
}

/// Refuses a database that is another program's or of a newer version. Reads only.
pub(super) fn check_version(conn: &mut Sqlite, path: &Path) -> Result<usize> {
    let mut tables = 0;
    conn.query("SELECT count(*) FROM sqlite_master", None, &[], &mut |row| {
        tables = row.int(0)?;
        Ok(())
    })?;
    if tables == 0 {
        return Ok(0);
    }
    if conn.pragma("application_id")? != i64::from(APPLICATION_ID) {
        return Err(Error::internal(format!(
            "{} is a database of another program (it was left as it is): name another file with database-url",
            path.display()
        )));
    }
    let mut version = 0;
    conn.query("SELECT coalesce(max(version), 0) FROM schema_versions", None, &[], &mut |row| {
        version = row.int(0)?;
        Ok(())
    })?;
    let version = usize::try_from(version).unwrap_or(usize::MAX);
    if version > MIGRATIONS.len() {
        return Err(Error::internal(format!(
            "{} was written by a newer version of Tenantry (schema {version}, this one knows {}); it was left as it is: \
             run the newer version",
            path.display(),
            MIGRATIONS.len()
        )));
    }
    Ok(version)
}

/// Brings the schema to this version, all or nothing.
pub(super) fn migrate(conn: &mut Sqlite, from: usize, now: Millis) -> Result<()> {
    if from == MIGRATIONS.len() {
        return Ok(());
    }
    conn.batch("BEGIN IMMEDIATE")?;
    let result = apply(conn, from, now);
    conn.batch(if result.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    Ok(result?)
}

fn apply(conn: &mut Sqlite, from: usize, now: Millis) -> Result<(), DbError> {
    conn.batch(&format!("PRAGMA application_id = {APPLICATION_ID}"))?;
    conn.batch(
        "CREATE TABLE IF NOT EXISTS schema_versions (version BIGINT NOT NULL PRIMARY KEY, applied_at BIGINT NOT NULL)",
    )?;
    for (version, sql) in (1_i64..).zip(MIGRATIONS).skip(from) {
        conn.batch(&for_dialect(sql, Dialect::Sqlite))?;
        conn.execute(
            "INSERT INTO schema_versions (version, applied_at) VALUES ($1, $2)",
            None,
            &[version.into(), now.into()],
        )?;
    }
    Ok(())
}

/// Keeps the lines of one database: those that begin with its mark lose it, those with another's are dropped.
fn for_dialect(sql: &str, dialect: Dialect) -> String {
    let ours = match dialect {
        Dialect::Sqlite => "--@sqlite ",
    };
    sql.lines()
        .filter_map(|line| match line.trim_start().strip_prefix(ours) {
            Some(rest) => Some(rest),
            None if line.trim_start().starts_with("--@") => None,
            None => Some(line),
        })
        .flat_map(|line| [line, "\n"])
        .collect()
}
