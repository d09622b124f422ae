//! The schema and its versions.

use std::io::Read as _;
use std::path::Path;

use super::driver::{Connection, DbError, Dialect};
use super::postgres::{Address, Postgres, Role};
use super::sqlite::{APPLICATION_ID, Sqlite};
use crate::clock::Millis;
use crate::error::{Error, Result};

/// All changes of the schema, in order. A released one is never edited (docs/adr/0012-expand-then-contract.md).
const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/0001_initial.sql"),
    include_str!("../../migrations/0002_several_processes.sql"),
    include_str!("../../migrations/0004_trusted_changes.sql"),
];

/// The first bytes of every SQLite file.
const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";

/// The oldest PostgreSQL that serves, as it tells its version.
const OLDEST_POSTGRES: i64 = 150_000;

/// The lock that a process holds on PostgreSQL while it looks at the schema and changes it.
const MIGRATING: i64 = 0x546e_7479;

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
    if number(conn, "SELECT count(*) FROM sqlite_master")? == 0 {
        return Ok(0);
    }
    if conn.pragma("application_id")? != i64::from(APPLICATION_ID) {
        return Err(Error::internal(format!(
            "{} is a database of another program (it was left as it is): name another file with database-url",
            path.display()
        )));
    }
    known_version(conn, &path.display().to_string())
}

fn number(conn: &mut dyn Connection, sql: &str) -> Result<i64, DbError> {
    let mut found = 0;
    conn.query(sql, None, &[], &mut |row| {
        found = row.int(0)?;
        Ok(())
    })?;
    Ok(found)
}

fn known_version(conn: &mut dyn Connection, shown: &str) -> Result<usize> {
    let version = number(conn, "SELECT coalesce(max(version), 0) FROM schema_versions")?;
    let version = usize::try_from(version).unwrap_or(usize::MAX);
    if version > MIGRATIONS.len() {
        return Err(Error::internal(format!(
            "{shown} was written by a newer version of Tenantry (schema {version}, this one knows {}); it was left as it is: \
             run the newer version",
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
    let result = conn
        .batch(&format!("PRAGMA application_id = {APPLICATION_ID}"))
        .and_then(|()| apply(conn, from, now));
    conn.batch(if result.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    Ok(result?)
}

fn apply(conn: &mut dyn Connection, from: usize, now: Millis) -> Result<(), DbError> {
    conn.batch(
        "CREATE TABLE IF NOT EXISTS schema_versions (version BIGINT NOT NULL PRIMARY KEY, applied_at BIGINT NOT NULL)",
    )?;
    for (version, sql) in (1_i64..).zip(MIGRATIONS).skip(from) {
        conn.batch(&for_dialect(sql, conn.dialect()))?;
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
        Dialect::Postgres => "--@postgres ",
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

/// Looks at a PostgreSQL database and, if `may_change`, brings its schema to this version, all or nothing and one
/// process at a time. From and to which version it was brought.
///
/// # Errors
/// Whatever makes it unfit, with what to do about it; then it was left as it is.
pub(super) fn migrate_postgres(address: &Address, may_change: bool, now: Millis) -> Result<(usize, usize)> {
    let shown = address.shown();
    let mut conn = Postgres::connect(address, Role::Watch).map_err(|e| cannot_connect(&shown, e))?;
    check_server(&mut conn, &shown)?;
    conn.batch("BEGIN")?;
    let result = migrate_in(&mut conn, &shown, may_change, now);
    conn.batch(if result.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    result
}

fn migrate_in(conn: &mut Postgres, shown: &str, may_change: bool, now: Millis) -> Result<(usize, usize)> {
    number(conn, &format!("SELECT 1 FROM pg_advisory_xact_lock({MIGRATING})"))?;
    let version = postgres_version(conn, shown)?;
    if version == MIGRATIONS.len() {
        return Ok((version, version));
    }
    if !may_change {
        return Err(Error::internal(format!(
            "{shown} has schema {version}, and this version of Tenantry needs {}: run `tenantry migrate`, or serve \
             without --no-migrate",
            MIGRATIONS.len()
        )));
    }
    check_extensions(conn, shown)?;
    apply(conn, version, now).map_err(|e| match e {
        DbError::Other(why) if why.contains("42501") => Error::internal(format!(
            "this user may not make tables in {shown} ({why}): make it the owner of the database (ALTER DATABASE ... \
             OWNER TO ...) or run `tenantry migrate` as a user who is, and serve with --no-migrate"
        )),
        other => other.into(),
    })?;
    Ok((version, MIGRATIONS.len()))
}

fn cannot_connect(shown: &str, e: DbError) -> Error {
    let (why, mend) = match e {
        DbError::Lost(why) => {
            (why, "is the server running there, and does its pg_hba.conf let this user in?")
        }
        DbError::Other(why) => (why, "look at user, password and database in database-url"),
        DbError::Busy => (
            String::from("it has too many connections"),
            "raise its max_connections or lower database-pool-size",
        ),
        other => return other.into(),
    };
    Error::internal(format!("cannot connect to {shown}: {why}; {mend}"))
}

fn check_server(conn: &mut Postgres, shown: &str) -> Result<()> {
    let version = number(conn, "SELECT CAST(current_setting('server_version_num') AS BIGINT)")?;
    if version < OLDEST_POSTGRES {
        return Err(Error::internal(format!(
            "{shown} is PostgreSQL {}: version 15 or later is needed",
            version / 10_000
        )));
    }
    let is_utf8 = "SELECT CAST(current_setting('server_encoding') = 'UTF8' AS INTEGER)";
    if number(conn, is_utf8)? == 0 {
        return Err(Error::internal(format!(
            "{shown} cannot hold every script (its encoding is not UTF8): make a database with CREATE DATABASE ... \
             ENCODING 'UTF8' TEMPLATE template0"
        )));
    }
    Ok(())
}

fn postgres_version(conn: &mut Postgres, shown: &str) -> Result<usize> {
    if number(conn, "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()")? == 0 {
        return Ok(0);
    }
    let ours = "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'schema_versions'";
    if number(conn, ours)? == 0 {
        return Err(Error::internal(format!(
            "{shown} holds tables of another program (it was left as it is): give Tenantry a database or schema of its own"
        )));
    }
    known_version(conn, shown)
}

/// The extensions that the schema needs. All are part of PostgreSQL's own distribution.
const EXTENSIONS: [&str; 2] = ["pg_trgm", "btree_gin"];

fn check_extensions(conn: &mut Postgres, shown: &str) -> Result<()> {
    for name in EXTENSIONS {
        let there = "SELECT count(*) FROM pg_available_extensions WHERE name = $1";
        let mut found = 0;
        conn.query(there, None, &[name.into()], &mut |row| {
            found = row.int(0)?;
            Ok(())
        })?;
        if found == 0 {
            return Err(Error::internal(format!(
                "the server of {shown} does not have the extension {name}: install it there (Debian: apt install \
                 postgresql-contrib; elsewhere the package of PostgreSQL's additional modules) and start again"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_of_texts_is_made_over_what_searches_ask_for() {
        let sql = for_dialect(MIGRATIONS[0], Dialect::Postgres);
        let text = super::super::search::TEXT.replace("u.", "").replace("'\u{1}'", "E'\\x01'");
        assert!(sql.contains(&text), "{text}");
    }
}
