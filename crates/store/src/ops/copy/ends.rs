//! The two ends of a copy: opening, locking, reading and filling them.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::engine::driver::{Connection, DbError, Dialect};
use crate::engine::postgres::{Postgres, Role};
use crate::engine::sqlite::{Sqlite, Use};
use crate::ops::copy::layout::{Table, quoted};
use crate::ops::copy::rows::Chunk;
use crate::ops::copy::{CopyLocation, unfinished};
use crate::ops::migrate::{self, Aim, number};
use tenantry_core::clock::Clock;
use tenantry_core::error::{Error, Result};

/// How long the session of a copy that was just interrupted may take to end.
const TIMEOUT: Duration = Duration::from_secs(15);

/// One end.
pub(super) struct End {
    conn: Conn,
    /// Its location, for people.
    pub(super) shown: String,
}

enum Conn {
    Sqlite(Sqlite),
    Postgres(Box<Postgres>),
}

impl End {
    /// Opens the source, which is not changed.
    ///
    /// # Errors
    /// It is missing, not Tenantry's, of another version, or an unfinished copy itself.
    pub(super) fn source(place: &CopyLocation<'_>) -> Result<Self> {
        let (mut end, version) = match place {
            CopyLocation::Sqlite(path) => Self::sqlite_source(path)?,
            CopyLocation::Postgres(options) => {
                let address = options.address()?;
                let mut conn = migrate::connect(&address, Role::Copy)?;
                let version = migrate::postgres_version(&mut conn, &address.shown())?;
                (Self { conn: Conn::Postgres(Box::new(conn)), shown: address.shown() }, version)
            }
        };
        let shown = end.shown.clone();
        if version == 0 {
            return Err(Error::internal(format!(
                "{shown} contains nothing of Tenantry: there is nothing to copy"
            )));
        }
        if unfinished::exists(end.conn())? {
            return Err(Error::internal(format!(
                "{shown} is itself an unfinished copy: finish that one first, or copy from its source"
            )));
        }
        if version < migrate::KNOWN {
            let hint = match place {
                CopyLocation::Sqlite(_) => {
                    "start and stop this version's `tenantry serve` with it once, which migrates it"
                }
                CopyLocation::Postgres(_) => "run `tenantry migrate` with this version on it",
            };
            return Err(Error::internal(format!(
                "{shown} has schema {version}, and this version of Tenantry copies {}: {hint}",
                migrate::KNOWN
            )));
        }
        Ok(end)
    }

    fn sqlite_source(path: &Path) -> Result<(Self, usize)> {
        if !path.exists() {
            return Err(Error::internal(format!("there is no database {}", path.display())));
        }
        migrate::check_file(path)?;
        let version = migrate::check_version(&mut Sqlite::open(path, Use::Look)?, path)?;
        let conn = Conn::Sqlite(Sqlite::open(path, Use::Scan)?);
        Ok((Self { conn, shown: path.display().to_string() }, version))
    }

    /// Opens the target and migrates its schema.
    ///
    /// # Errors
    /// As [`crate::store::Store::open_sqlite`] and [`crate::store::Store::open_postgres`].
    pub(super) fn target(place: &CopyLocation<'_>, clock: &Clock) -> Result<Self> {
        match place {
            CopyLocation::Sqlite(path) => {
                migrate::check_file(path)?;
                if path.exists() {
                    migrate::check_version(&mut Sqlite::open(path, Use::Look)?, path)?;
                }
                let mut conn = Sqlite::open(path, Use::Fill)?;
                let version = migrate::check_version(&mut conn, path)?;
                migrate::migrate(&mut conn, version, clock.now())?;
                Ok(Self { conn: Conn::Sqlite(conn), shown: path.display().to_string() })
            }
            CopyLocation::Postgres(options) => {
                let address = options.address()?;
                migrate::migrate_postgres(&address, Aim::Fill, clock)?;
                let conn = migrate::connect(&address, Role::Copy)?;
                Ok(Self { conn: Conn::Postgres(Box::new(conn)), shown: address.shown() })
            }
        }
    }

    pub(super) fn conn(&mut self) -> &mut dyn Connection {
        match &mut self.conn {
            Conn::Sqlite(conn) => conn,
            Conn::Postgres(conn) => &mut **conn,
        }
    }

    pub(super) fn dialect(&self) -> Dialect {
        match &self.conn {
            Conn::Sqlite(_) => Dialect::Sqlite,
            Conn::Postgres(_) => Dialect::Postgres,
        }
    }

    /// The identity of the database, independent of its name.
    pub(super) fn identity(&mut self, place: &CopyLocation<'_>) -> Result<String> {
        if let CopyLocation::Sqlite(path) = place {
            let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
            return Ok(path.display().to_string());
        }
        let sql = "SELECT CAST(extract(epoch FROM pg_postmaster_start_time()) AS TEXT) || ' ' || CAST(d.oid AS TEXT) || ' ' || \
             coalesce(CAST(current_schema() AS TEXT), '') FROM pg_database d WHERE d.datname = current_database()";
        let mut found = String::new();
        self.conn().query(sql, None, &[], &mut |row| {
            row.text(0)?.clone_into(&mut found);
            Ok(())
        })?;
        Ok(found)
    }

    /// Locks out other copies from a PostgreSQL database until the connection ends: from a source those that would fill
    /// it, from a target all. An SQLite file has its lock (src/cli/lock.rs).
    pub(super) fn keep_for_copy(&mut self, is_source: bool) -> Result<()> {
        let Conn::Postgres(conn) = &mut self.conn else { return Ok(()) };
        conn.batch("SET application_name = 'tenantry copy'")?;
        if !is_source {
            conn.batch("SET synchronous_commit = off; SET maintenance_work_mem = '256MB'")?;
        }
        // So that a killed copy releases it at once, even while building an index. Not every system supports this.
        let _ = conn.batch("SET client_connection_check_interval = 500");
        let shared = if is_source { "_shared" } else { "" };
        let sql = format!(
            "SELECT pg_try_advisory_lock{shared}(1416520560, hashtext(coalesce(CAST(current_schema() AS TEXT), '')))"
        );
        let start = Instant::now();
        while number(&mut **conn, &sql)? == 0 {
            if start.elapsed() > TIMEOUT {
                let shown = &self.shown;
                return Err(Error::internal(format!(
                    "another `tenantry copy` into {shown} is running: wait for it"
                )));
            }
            sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// The number of server connections to it: their changes are not copied any more.
    pub(super) fn servers(&mut self) -> Result<u64> {
        let Conn::Postgres(conn) = &mut self.conn else { return Ok(0) };
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'tenantry%' \
             AND application_name <> 'tenantry copy' AND datname = current_database() AND pid <> pg_backend_pid()";
        Ok(u64::try_from(number(&mut **conn, sql)?).unwrap_or_default())
    }

    /// Opens the snapshot for all further reads.
    pub(super) fn begin_reading(&mut self) -> Result<(), DbError> {
        let begin = match self.dialect() {
            Dialect::Sqlite => "BEGIN",
            Dialect::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY",
        };
        self.conn().batch(begin)
    }

    /// Runs a transaction.
    pub(super) fn in_transaction<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.conn().batch("BEGIN")?;
        match work(self) {
            Ok(value) => {
                self.conn().batch("COMMIT")?;
                Ok(value)
            }
            Err(e) => {
                // A full disk may have rolled back already.
                let _ = self.conn().batch("ROLLBACK");
                Err(e)
            }
        }
    }

    /// Inserts rows into a table.
    pub(super) fn fill(&mut self, table: &Table, chunk: &Chunk) -> Result<(), DbError> {
        let (name, columns) = (quoted(&table.name), table.columns_quoted());
        match &mut self.conn {
            Conn::Sqlite(conn) => {
                let values = vec!["?"; table.columns.len()].join(", ");
                conn.insert_rows(&format!("INSERT INTO {name} ({columns}) VALUES ({values})"), chunk.rows())
            }
            Conn::Postgres(conn) => {
                let sql = format!("COPY {name} ({columns}) FROM STDIN (FORMAT binary)");
                conn.copy_in(&sql, &table.kinds, chunk.rows())
            }
        }
    }

    /// The number of rows of a table.
    pub(super) fn count(&mut self, table: &str) -> Result<u64, DbError> {
        let count = number(self.conn(), &format!("SELECT count(*) FROM {}", quoted(table)))?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    /// The last value of each sequence; 0 if it is unused.
    pub(super) fn sequences(&mut self) -> Result<BTreeMap<String, i64>> {
        let mut found = BTreeMap::new();
        if self.dialect() == Dialect::Sqlite {
            let sql = "SELECT name, value FROM sequences WHERE value > 0";
            self.conn().query(sql, None, &[], &mut |row| {
                found.insert(row.text(0)?.to_owned(), row.int(1)?);
                Ok(())
            })?;
            return Ok(found);
        }
        for name in self.sequence_names()? {
            let sql = format!(
                "SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM {}",
                quoted(&format!("seq_{name}"))
            );
            let value = number(self.conn(), &sql)?;
            if value > 0 {
                found.insert(name, value);
            }
        }
        Ok(found)
    }

    fn sequence_names(&mut self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let sql = "SELECT CAST(sequencename AS TEXT) FROM pg_sequences WHERE schemaname = current_schema()";
        self.conn().query(sql, None, &[], &mut |row| {
            names.extend(row.text(0)?.strip_prefix("seq_").map(str::to_owned));
            Ok(())
        })?;
        Ok(names)
    }

    /// Sets each sequence to continue after the source's last value (B24).
    pub(super) fn set_sequences(&mut self, values: &BTreeMap<String, i64>) -> Result<()> {
        if self.dialect() == Dialect::Sqlite {
            self.conn().execute("DELETE FROM sequences", None, &[])?;
            for (name, value) in values {
                let sql = "INSERT INTO sequences (name, value) VALUES ($1, $2)";
                self.conn().execute(sql, None, &[name.into(), (*value).into()])?;
            }
            return Ok(());
        }
        let names = self.sequence_names()?;
        if let Some(missing) = values.keys().find(|name| !names.contains(name)) {
            return Err(Error::internal(format!("the target has no sequence for {missing}")));
        }
        for name in names {
            let last = values.get(&name).copied().unwrap_or_default();
            let sql = format!("SELECT setval('seq_{name}', {}, {})", last.max(1), last > 0);
            number(self.conn(), &sql)?;
        }
        Ok(())
    }

    /// Refuses rows with dangling references. PostgreSQL has refused them when the foreign keys were created.
    pub(super) fn check_keys(&mut self) -> Result<()> {
        if self.dialect() == Dialect::Postgres {
            return Ok(());
        }
        Ok(self.conn().query("PRAGMA foreign_key_check", None, &[], &mut |row| {
            Err(Error::internal(format!(
                "a row of table {} points to one of {} that is not there",
                row.text(0)?,
                row.text(2)?
            )))
        })?)
    }

    /// Syncs everything to disk before the table of an unfinished copy is dropped, and the removal as well.
    pub(super) fn finish(&mut self) -> Result<()> {
        if let Conn::Sqlite(conn) = &mut self.conn {
            conn.batch("PRAGMA synchronous = FULL")?;
            conn.checkpoint("TRUNCATE")?;
        } else {
            // A commit that waits for the disk waits for all earlier ones.
            self.conn().batch("SET synchronous_commit = on")?;
        }
        self.in_transaction(|end| Ok(unfinished::remove(end.conn())?))?;
        if let Conn::Sqlite(conn) = &mut self.conn {
            conn.checkpoint("TRUNCATE")?;
        }
        Ok(())
    }

    /// How to delete its content.
    pub(super) fn how_to_empty(&self) -> String {
        match self.dialect() {
            Dialect::Sqlite => format!("delete {0}, {0}-wal and {0}-shm", self.shown),
            Dialect::Postgres => format!("drop the database {} and create it again", self.shown),
        }
    }
}
