//! The table `unfinished_copy` of a target, with the progress of the copy. No server uses a database with it. It is
//! removed in the last step, so a database in use never has it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::engine::driver::{Connection, DbError, Dialect};
use crate::ops::migrate::number;
use tenantry_core::error::{Error, Result};

/// The table's name.
pub(super) const TABLE: &str = "unfinished_copy";

/// The source at the start. A different or changed source must not be mixed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Begun {
    /// The source, for people.
    pub(super) from: String,
    /// The version of the schema on both sides.
    pub(super) schema: usize,
    /// The number of rows of each table, and the value of each sequence.
    pub(super) fingerprint: String,
}

/// The names of stored values.
pub(super) const BEGUN: &str = "begun";
pub(super) const DEFERRED: &str = "aside";
pub(super) const SEARCH: &str = "search";

/// The name of the stored position in a table.
pub(super) fn position_of(table: &str) -> String {
    format!("table {table}")
}

/// Whether the database has the table.
pub(super) fn exists(conn: &mut dyn Connection) -> Result<bool, DbError> {
    let sql = match conn.dialect() {
        Dialect::Sqlite => {
            "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'unfinished_copy'"
        }
        Dialect::Postgres => {
            "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'unfinished_copy'"
        }
    };
    Ok(number(conn, sql)? > 0)
}

/// Creates the table.
pub(super) fn create(conn: &mut dyn Connection) -> Result<(), DbError> {
    conn.batch("CREATE TABLE unfinished_copy (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL)")
}

/// Drops the table.
pub(super) fn remove(conn: &mut dyn Connection) -> Result<(), DbError> {
    conn.batch("DROP TABLE unfinished_copy")
}

/// Stores a value.
pub(super) fn put(conn: &mut dyn Connection, name: &str, value: &impl Serialize) -> Result<(), DbError> {
    let value = serde_json::to_string(value).map_err(|e| DbError::Other(format!("{name}: {e}")))?;
    let sql = "INSERT INTO unfinished_copy (name, value) VALUES ($1, $2) \
         ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    conn.execute(sql, None, &[name.into(), (&value).into()]).map(drop)
}

/// Loads a value.
pub(super) fn get<T: DeserializeOwned>(conn: &mut dyn Connection, name: &str) -> Result<Option<T>> {
    let mut found = None;
    conn.query("SELECT value FROM unfinished_copy WHERE name = $1", None, &[name.into()], &mut |row| {
        found = Some(serde_json::from_str(row.text(0)?).map_err(|_| {
            Error::internal(format!("the note \"{name}\" of an unfinished copy cannot be read"))
        })?);
        Ok(())
    })?;
    Ok(found)
}
