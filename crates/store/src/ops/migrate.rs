//! The schema and its versions.

use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use crate::engine::driver::{Connection, DbError, Dialect};
use crate::engine::postgres::listen;
use crate::engine::postgres::{Address, ConnectError, Postgres, Role, refuse_poolers};
use crate::engine::sqlite::{APPLICATION_ID, Sqlite};
use crate::listing::search;
use crate::ops::copy;
use crate::tables::deleted_users;
use tenantry_core::clock::{Clock, Millis};
use tenantry_core::error::{Error, Result};

/// A change of the schema.
struct Migration {
    /// The name of its file, without the suffix.
    name: &'static str,
    /// The whole file, for both databases.
    sql: &'static str,
}

impl Migration {
    /// SHA-256 of the file, in lower-case hex, which is recorded in the databases that it was applied to.
    fn checksum(&self) -> String {
        Sha256::digest(self.sql).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }
}

macro_rules! migration {
    ($name:literal) => {
        Migration { name: $name, sql: include_str!(concat!("../../../../migrations/", $name, ".sql")) }
    };
}

/// All changes of the schema, in order. A released one is never edited (docs/adr/0012-expand-then-contract.md).
const MIGRATIONS: &[Migration] = &[
    migration!("0001_initial"),
    migration!("0002_several_processes"),
    migration!("0003_permissions"),
    migration!("0004_trusted_changes"),
    migration!("0005_short_terms"),
    migration!("0006_imports"),
    migration!("0007_plans_and_search"),
    migration!("0008_search_by_place"),
    migration!("0009_groups_in_the_row"),
    migration!("0010_expensive_hashes"),
    migration!("0011_bulk_operations"),
    migration!("0012_permission_lists"),
    migration!("0013_personal_data"),
    migration!("0014_display_name"),
    migration!("0015_locale"),
    migration!("0016_migration_checksums"),
    migration!("0017_scopes_and_refresh_reuse"),
    migration!("0018_search_without_accents"),
    migration!("0019_browser_sessions"),
    migration!("0020_verified_addresses"),
    migration!("0021_signing_keys"),
    migration!("0022_clients"),
    migration!("0023_authorization_codes"),
    migration!("0024_clients_by_algorithm"),
    migration!("0025_partner_branding"),
    migration!("0026_second_factors"),
    migration!("0027_passkeys"),
];

/// The last change that recreated SQLite's search indexes, which SQL alone cannot fill. Earlier ones leave them empty.
const SEARCH_ANEW: &str = "0018_search_without_accents";

/// Search keys that are stored in one transaction of PostgreSQL.
const KEYS: i64 = 5_000;

/// The interval of progress messages of a long migration.
const PROGRESS: Duration = Duration::from_secs(10);

/// The change since which `schema_versions` has checksums.
const CHECKSUMS: usize = 16;

/// The purpose of checking the schema of a PostgreSQL database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aim {
    /// Use it as it is.
    Use,
    /// Migrate its schema and use it.
    Change,
    /// Migrate its schema and copy another database into it, or resume that.
    Fill,
}

/// The first bytes of every SQLite file.
pub(crate) const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";

/// The oldest supported PostgreSQL, as its version number.
const OLDEST_POSTGRES: i64 = 150_000;

/// The lock that a process holds on PostgreSQL while it checks and changes the schema.
const MIGRATING: i64 = 0x546e_7479;

/// Refuses a file that is not an SQLite database before anything is changed.
pub(crate) fn check_file(path: &Path) -> Result<()> {
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
        "{} is not a database (it was not changed): use another file with database-url, or move this one away",
        path.display()
    )))
}

/// The owner of the schema of an SQLite database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Schema {
    /// None: there is no table.
    Missing,
    /// Another program's.
    Foreign,
    /// Tenantry's, of this version, which may be unknown here.
    Ours(usize),
}

/// The newest supported version of the schema.
pub(crate) const KNOWN: usize = MIGRATIONS.len();

/// The application name of server connections: it contains the schema they use, so that a server can detect one of an
/// earlier version beside it (those up to schema 9 only use "tenantry").
pub(crate) fn application_name() -> String {
    format!("tenantry/{}", KNOWN)
}

/// Determines the owner of the schema. Reads only.
pub(crate) fn schema(conn: &mut Sqlite) -> Result<Schema, DbError> {
    if number(conn, "SELECT count(*) FROM sqlite_master")? == 0 {
        return Ok(Schema::Missing);
    }
    if conn.pragma("application_id")? != i64::from(APPLICATION_ID) {
        return Ok(Schema::Foreign);
    }
    Ok(Schema::Ours(version(conn)?))
}

/// Refuses a database of another program, of a newer version, or of edited migrations. Reads only.
pub(crate) fn check_version(conn: &mut Sqlite, path: &Path) -> Result<usize> {
    match schema(conn)? {
        Schema::Missing => Ok(0),
        Schema::Foreign => Err(Error::internal(format!(
            "{} is another program's database (it was not changed): use another file with database-url",
            path.display()
        ))),
        Schema::Ours(version) => {
            let shown = path.display().to_string();
            let version = known(version, &shown)?;
            check_unedited(conn, version, &shown)?;
            Ok(version)
        }
    }
}

pub(crate) fn number(conn: &mut dyn Connection, sql: &str) -> Result<i64, DbError> {
    let mut found = 0;
    conn.query(sql, None, &[], &mut |row| {
        found = row.int(0)?;
        Ok(())
    })?;
    Ok(found)
}

/// The version of a schema that is Tenantry's.
fn version(conn: &mut dyn Connection) -> Result<usize, DbError> {
    let version = number(conn, "SELECT coalesce(max(version), 0) FROM schema_versions")?;
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

fn known(version: usize, shown: &str) -> Result<usize> {
    if version > KNOWN {
        return Err(Error::internal(format!(
            "{shown} was written by a newer version of Tenantry (schema {version}, this one supports {KNOWN}); it \
             was not changed: run the newer version"
        )));
    }
    Ok(version)
}

/// Migrates the schema to this version, atomically.
pub(crate) fn migrate(conn: &mut Sqlite, from: usize, now: Millis) -> Result<()> {
    migrate_to(conn, from, KNOWN, now)
}

/// Migrates the schema to a supported version, atomically.
pub(crate) fn migrate_to(conn: &mut Sqlite, from: usize, to: usize, now: Millis) -> Result<()> {
    if from == to {
        return Ok(());
    }
    conn.batch("BEGIN IMMEDIATE")?;
    let result = conn
        .batch(&format!("PRAGMA application_id = {APPLICATION_ID}"))
        .and_then(|()| apply(conn, from, to, now));
    conn.batch(if result.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    Ok(result?)
}

fn apply(conn: &mut dyn Connection, from: usize, to: usize, now: Millis) -> Result<(), DbError> {
    conn.batch(
        "CREATE TABLE IF NOT EXISTS schema_versions (version BIGINT NOT NULL PRIMARY KEY, applied_at BIGINT NOT NULL)",
    )?;
    for (version, migration) in (1_i64..).zip(MIGRATIONS).take(to).skip(from) {
        conn.batch(&for_dialect(migration.sql, conn.dialect()))?;
        if migration.name == SEARCH_ANEW {
            make_searchable(conn)?;
        }
        conn.execute(
            "INSERT INTO schema_versions (version, applied_at) VALUES ($1, $2)",
            None,
            &[version.into(), now.into()],
        )?;
    }
    if to >= CHECKSUMS {
        fill_checksums(conn)?;
    }
    Ok(())
}

/// Fills what searches use: on PostgreSQL the keys of users follow after the migration ([`store_search_keys`]).
fn make_searchable(conn: &mut dyn Connection) -> Result<(), DbError> {
    deleted_users::drop_accents(conn)?;
    if conn.dialect() == Dialect::Postgres {
        return Ok(());
    }
    let total = number(conn, "SELECT count(*) FROM users")?;
    let mut watch = MigrationProgress::new();
    search::fill(conn, &mut |done| watch.step("the search indexes are built", done, Some(total)))?;
    watch.end("the search indexes are built", total);
    Ok(())
}

/// Stores the search keys of users that lack theirs, in short transactions: other servers go on.
fn store_search_keys(conn: &mut Postgres) -> Result<(), DbError> {
    let (mut done, mut watch) = (0, MigrationProgress::new());
    loop {
        conn.batch("BEGIN")?;
        let stored = search::fill_keys(conn, KEYS);
        conn.batch(if stored.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
        let stored = stored?;
        done += stored as u64;
        watch.step("the search keys of users are stored", done, None);
        if stored < KEYS as usize {
            watch.end("the search keys of users are stored", i64::try_from(done).unwrap_or(i64::MAX));
            return Ok(());
        }
    }
}

/// Messages on the log while a migration takes long.
struct MigrationProgress {
    begun: Instant,
    logged: Instant,
}

impl MigrationProgress {
    fn new() -> Self {
        let now = Instant::now();
        Self { begun: now, logged: now }
    }

    fn step(&mut self, what: &str, done: u64, total: Option<i64>) {
        if self.logged.elapsed() >= PROGRESS {
            self.logged = Instant::now();
            tracing::info!(users = done, of = total, seconds = self.begun.elapsed().as_secs(), "{what}");
        }
    }

    fn end(&self, what: &str, users: i64) {
        if self.begun.elapsed() >= PROGRESS {
            tracing::info!(users, seconds = self.begun.elapsed().as_secs(), "{what}: done");
        }
    }
}

/// Records the checksums of the changes that were just applied, and of those applied before there were checksums.
fn fill_checksums(conn: &mut dyn Connection) -> Result<(), DbError> {
    for (version, migration) in (1_i64..).zip(MIGRATIONS) {
        conn.execute(
            "UPDATE schema_versions SET checksum = $1 WHERE version = $2 AND checksum IS NULL",
            None,
            &[(&migration.checksum()).into(), version.into()],
        )?;
    }
    Ok(())
}

/// Refuses a schema that was created by different migrations. Reads only.
fn check_unedited(conn: &mut dyn Connection, version: usize, shown: &str) -> Result<()> {
    if version < CHECKSUMS {
        return Ok(());
    }
    let mut applied = Vec::new();
    let sql = "SELECT version, checksum FROM schema_versions WHERE checksum IS NOT NULL ORDER BY version";
    conn.query(sql, None, &[], &mut |row| {
        applied.push((row.int(0)?, row.text(1)?.to_owned()));
        Ok(())
    })?;
    let edited: Vec<&str> = (1_i64..)
        .zip(MIGRATIONS)
        .filter(|(version, migration)| {
            let then = applied.iter().find(|(of, _)| of == version);
            then.is_some_and(|(_, checksum)| *checksum != migration.checksum())
        })
        .map(|(_, migration)| migration.name)
        .collect();
    if edited.is_empty() {
        return Ok(());
    }
    Err(Error::internal(format!(
        "{shown} was created by a different version of the migration {} (its checksum in schema_versions differs); \
         it was not changed: run a released version of Tenantry, or restore the file as it was when it was applied",
        edited.join(", ")
    )))
}

/// Selects the lines of one database: its prefix is removed, lines with another prefix are dropped.
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

/// Checks a PostgreSQL database and, if `aim` allows, migrates its schema to this version, atomically and one process
/// at a time. Returns the versions before and after.
///
/// # Errors
/// Why it cannot be used, with a hint; then it was not changed.
pub(crate) fn migrate_postgres(address: &Address, aim: Aim, clock: &Clock) -> Result<(usize, usize)> {
    let shown = address.shown();
    let mut conn = connect(address, Role::Change)?;
    // Before it is used.
    listen::follow_database(&mut conn, clock)?;
    conn.batch("BEGIN")?;
    let result = migrate_in(&mut conn, &shown, aim, clock.now());
    conn.batch(if result.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    if aim == Aim::Change && result.is_ok() {
        match store_search_keys(&mut conn) {
            // Housekeeping stores them when the database can be written.
            Ok(()) | Err(DbError::ReadOnly(_)) => {}
            Err(e) => return Err(e.into()),
        }
    }
    result
}

/// Connects to a running server.
pub(crate) fn connect(address: &Address, role: Role) -> Result<Postgres> {
    let shown = address.shown();
    let mut conn = Postgres::connect(address, role).map_err(|e| match e {
        ConnectError::SetUp(e) if !matches!(e, DbError::Other(_)) => e.into(),
        e => Error::internal(format!("cannot connect to {shown}: {e}")),
    })?;
    // Once per start, before the first prepared statement.
    if matches!(role, Role::Change | Role::Copy) {
        refuse_poolers(&mut conn, address)
            .map_err(|what| Error::internal(format!("cannot use {shown}: {what}")))?;
    }
    check_server(&mut conn, &shown)?;
    Ok(conn)
}

fn migrate_in(conn: &mut Postgres, shown: &str, aim: Aim, now: Millis) -> Result<(usize, usize)> {
    number(conn, &format!("SELECT 1 FROM pg_advisory_xact_lock({MIGRATING})"))?;
    let version = postgres_version(conn, shown)?;
    if aim != Aim::Fill {
        copy::check_finished(conn, shown)?;
    }
    if version == KNOWN {
        return Ok((version, version));
    }
    if aim == Aim::Use {
        return Err(Error::internal(format!(
            "{shown} has schema {version}, and this version of Tenantry requires {KNOWN}: run `tenantry migrate`, or \
             serve without --no-migrate",
        )));
    }
    for name in EXTENSIONS {
        check_extension(conn, shown, name)?;
    }
    // Queried before: a transaction with a failed statement runs no further queries.
    let lacks_extensions = number(conn, MAY_MAKE_TABLES)? != 0 && number(conn, &missing_extensions())? != 0;
    apply(conn, version, KNOWN, now).map_err(|e| match e {
        DbError::Denied(why) => no_right(shown, &why, lacks_extensions),
        other => other.into(),
    })?;
    Ok((version, KNOWN))
}

/// Whether this user may create tables (1) or not (0).
const MAY_MAKE_TABLES: &str = "SELECT CAST(CAST(coalesce(has_schema_privilege(current_schema(), 'CREATE'), FALSE) AS INTEGER) AS BIGINT)";

/// The number of [`EXTENSIONS`] that the database lacks, as SQL.
fn missing_extensions() -> String {
    let names = EXTENSIONS.map(|name| format!("'{name}'")).join(", ");
    format!("SELECT {} - count(*) FROM pg_extension WHERE extname IN ({names})", EXTENSIONS.len())
}

fn no_right(shown: &str, why: &str, lacks_extensions: bool) -> Error {
    let (what, hint) = if lacks_extensions {
        let all = EXTENSIONS.map(|name| format!("CREATE EXTENSION {name};")).join(" ");
        ("add extensions to", format!("its owner must run {all} there"))
    } else {
        (
            "create tables in",
            String::from("run `tenantry migrate` as a user with that right, and serve with --no-migrate"),
        )
    };
    Error::internal(format!(
        "this user may not {what} {shown} ({why}): make it the owner of the database (ALTER DATABASE ... OWNER TO \
         ...), or {hint}"
    ))
}

fn check_server_version(version: i64, shown: &str) -> Result<()> {
    if version >= OLDEST_POSTGRES {
        return Ok(());
    }
    Err(Error::internal(format!(
        "{shown} is PostgreSQL {}: use version {} or later",
        version / 10_000,
        OLDEST_POSTGRES / 10_000
    )))
}

fn check_server(conn: &mut Postgres, shown: &str) -> Result<()> {
    check_server_version(
        number(conn, "SELECT CAST(current_setting('server_version_num') AS BIGINT)")?,
        shown,
    )?;
    let is_utf8 = "SELECT CAST(current_setting('server_encoding') = 'UTF8' AS INTEGER)";
    if number(conn, is_utf8)? == 0 {
        return Err(Error::internal(format!(
            "{shown} cannot hold every script (its encoding is not UTF8): create a database with CREATE DATABASE ... \
             ENCODING 'UTF8' TEMPLATE template0"
        )));
    }
    Ok(())
}

/// Refuses a database of another program, of a newer version, or of edited migrations. Reads only.
pub(crate) fn postgres_version(conn: &mut Postgres, shown: &str) -> Result<usize> {
    if number(conn, "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()")? == 0 {
        return Ok(0);
    }
    let ours = "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'schema_versions'";
    if number(conn, ours)? == 0 {
        return Err(Error::internal(format!(
            "{shown} contains tables of another program (it was not changed): Tenantry needs its own database or schema"
        )));
    }
    let version = version(conn).map_err(|e| match e {
        DbError::Denied(why) => Error::internal(format!(
            "this user may not use the tables in {shown} ({why}): make it their owner, or GRANT it SELECT, INSERT, \
             UPDATE, DELETE ON ALL TABLES and USAGE ON ALL SEQUENCES of the schema"
        )),
        other => other.into(),
    })?;
    let version = known(version, shown)?;
    check_unedited(conn, version, shown)?;
    Ok(version)
}

/// The extensions that the schema needs. All are part of PostgreSQL's own distribution.
const EXTENSIONS: [&str; 2] = ["pg_trgm", "btree_gin"];

fn check_extension(conn: &mut Postgres, shown: &str, name: &str) -> Result<()> {
    let there = "SELECT count(*) FROM pg_available_extensions WHERE name = $1";
    let mut found = 0;
    conn.query(there, None, &[name.into()], &mut |row| {
        found = row.int(0)?;
        Ok(())
    })?;
    if found > 0 {
        return Ok(());
    }
    Err(Error::internal(format!(
        "the server of {shown} does not have the extension {name}: install it there (Debian: apt install \
         postgresql-contrib; elsewhere the package of PostgreSQL's additional modules) and start again"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_too_old_is_named() {
        for version in [90_624, 140_012, 149_999] {
            let refused = check_server_version(version, "db:5432/t").unwrap_err().to_string();
            let major = version / 10_000;
            assert!(
                refused.contains(&format!("db:5432/t is PostgreSQL {major}: use version 15")),
                "{refused}"
            );
        }
        for version in [150_000, 150_004, 170_001] {
            check_server_version(version, "db:5432/t").unwrap();
        }
    }

    #[test]
    fn migrations_are_known_by_number_and_text() {
        for (at, migration) in MIGRATIONS.iter().enumerate() {
            assert!(migration.name.starts_with(&format!("{:04}_", at + 1)), "{}", migration.name);
        }
        // The example of FIPS 180-2.
        let migration = Migration { name: "0001_example", sql: "abc" };
        assert_eq!(migration.checksum(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn an_extension_that_the_server_lacks_is_named() {
        let Ok(server) = std::env::var("TENANTRY_TEST_POSTGRES") else { return };
        let (server, parameters) = server.split_once('?').unwrap_or((&server, ""));
        let url = format!("{}/postgres?{parameters}", server.trim_end_matches('/'));
        let address = Address::parse(&url, None, std::time::Duration::from_secs(20)).unwrap();
        let mut conn = Postgres::connect(&address, Role::Change).unwrap();
        for name in EXTENSIONS {
            check_extension(&mut conn, "db:5432/t", name).unwrap();
        }
        let refused = check_extension(&mut conn, "db:5432/t", "pg_quatgram").unwrap_err().to_string();
        assert!(
            refused.contains("db:5432/t does not have the extension pg_quatgram: install it"),
            "{refused}"
        );
    }

    #[test]
    fn the_index_of_texts_covers_what_searches_use() {
        let sql = for_dialect(MIGRATIONS[0].sql, Dialect::Postgres);
        let in_file = |text: &str| text.replace("u.", "").replace("'\u{1}'", "E'\\x01'");
        let text = in_file(&search::FIRST_KEYS);
        assert!(sql.contains(&text), "{text}");
        let made = MIGRATIONS.iter().find(|migration| migration.name == SEARCH_ANEW).unwrap();
        let lacking = in_file(&search::LACKS_KEY).replace("((", "(").replace("))", ")");
        let sql = for_dialect(made.sql, Dialect::Postgres);
        assert!(sql.contains(&lacking), "{lacking}");
    }
}
