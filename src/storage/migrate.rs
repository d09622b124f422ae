//! The schema and its versions.

use std::io::Read as _;
use std::path::Path;

use super::driver::{Connection as _, DbError, Dialect};
use super::sqlite::{APPLICATION_ID, Sqlite};
use crate::clock::Millis;
use crate::error::{Error, Result};

/// All changes of the schema, in order. A released one is never edited.
const MIGRATIONS: &[&str] = &[include_str!("../../migrations/0001_initial.sql")];

/// The first bytes of every SQLite file.
pub(super) const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";

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

/// Whose schema a database has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Schema {
    /// None: there is no table.
    Missing,
    /// Another program's.
    Foreign,
    /// Tenantry's, of this version; it may be one that is not known here.
    Ours(usize),
}

/// The newest version of the schema that is known here.
pub(super) const KNOWN: usize = MIGRATIONS.len();

/// Whose schema it is. Reads only.
pub(super) fn schema(conn: &mut Sqlite) -> Result<Schema, DbError> {
    let mut tables = 0;
    conn.query("SELECT count(*) FROM sqlite_master", None, &[], &mut |row| {
        tables = row.int(0)?;
        Ok(())
    })?;
    if tables == 0 {
        return Ok(Schema::Missing);
    }
    if conn.pragma("application_id")? != i64::from(APPLICATION_ID) {
        return Ok(Schema::Foreign);
    }
    let mut version = 0;
    conn.query("SELECT coalesce(max(version), 0) FROM schema_versions", None, &[], &mut |row| {
        version = row.int(0)?;
        Ok(())
    })?;
    Ok(Schema::Ours(usize::try_from(version).unwrap_or(usize::MAX)))
}

/// Refuses a database that is another program's or of a newer version. Reads only.
pub(super) fn check_version(conn: &mut Sqlite, path: &Path) -> Result<usize> {
    match schema(conn)? {
        Schema::Missing => Ok(0),
        Schema::Foreign => Err(Error::internal(format!(
            "{} is a database of another program (it was left as it is): name another file with database-url",
            path.display()
        ))),
        Schema::Ours(version) if version > KNOWN => Err(Error::internal(format!(
            "{} was written by a newer version of Tenantry (schema {version}, this one knows {KNOWN}); it was left as \
             it is: run the newer version",
            path.display(),
        ))),
        Schema::Ours(version) => Ok(version),
    }
}

/// Brings the schema to this version, all or nothing.
pub(super) fn migrate(conn: &mut Sqlite, from: usize, now: Millis) -> Result<()> {
    migrate_to(conn, from, KNOWN, now)
}

/// Brings the schema to a version that is known here, all or nothing.
pub(super) fn migrate_to(conn: &mut Sqlite, from: usize, to: usize, now: Millis) -> Result<()> {
    if from == to {
        return Ok(());
    }
    conn.batch("BEGIN IMMEDIATE")?;
    let result = apply(conn, from, to, now);
    conn.batch(if result.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    Ok(result?)
}

fn apply(conn: &mut Sqlite, from: usize, to: usize, now: Millis) -> Result<(), DbError> {
    conn.batch(&format!("PRAGMA application_id = {APPLICATION_ID}"))?;
    conn.batch(
        "CREATE TABLE IF NOT EXISTS schema_versions (version BIGINT NOT NULL PRIMARY KEY, applied_at BIGINT NOT NULL)",
    )?;
    for (version, sql) in (1_i64..).zip(MIGRATIONS).take(to).skip(from) {
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
