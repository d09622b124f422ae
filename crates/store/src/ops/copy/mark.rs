//! The mark of a copy that is not finished: a table of the target that holds how far it came, and that nothing serves
//! beside. It goes with the last step, so a database in use never has it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::engine::driver::{Connection, DbError, Dialect};
use crate::ops::migrate::number;
use tenantry_core::error::{Error, Result};

/// The table's name.
pub(super) const TABLE: &str = "unfinished_copy";

/// What the copy was begun with. Another source, or one that has changed, must not be mixed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Begun {
    /// Where from, for people.
    pub(super) from: String,
    /// The version of the schema on both sides.
    pub(super) schema: usize,
    /// How many rows each table had, and how far each sequence was.
    pub(super) fingerprint: String,
}

/// The names that values are kept under.
pub(super) const BEGUN: &str = "begun";
pub(super) const ASIDE: &str = "aside";
pub(super) const SEARCH: &str = "search";

/// The name that the position in a table is kept under.
pub(super) fn position_of(table: &str) -> String {
    format!("table {table}")
}

/// Whether the database has the mark.
pub(super) fn is_there(conn: &mut dyn Connection) -> Result<bool, DbError> {
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

/// Makes the mark.
pub(super) fn make(conn: &mut dyn Connection) -> Result<(), DbError> {
    conn.batch("CREATE TABLE unfinished_copy (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL)")
}

/// Takes the mark away.
pub(super) fn remove(conn: &mut dyn Connection) -> Result<(), DbError> {
    conn.batch("DROP TABLE unfinished_copy")
}

/// Keeps a value.
pub(super) fn put(conn: &mut dyn Connection, name: &str, value: &impl Serialize) -> Result<(), DbError> {
    let value = serde_json::to_string(value).map_err(|e| DbError::Other(format!("{name}: {e}")))?;
    let sql = "INSERT INTO unfinished_copy (name, value) VALUES ($1, $2) \
         ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    conn.execute(sql, None, &[name.into(), (&value).into()]).map(drop)
}

/// A value that was kept.
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
