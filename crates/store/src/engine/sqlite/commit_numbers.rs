//! Numbers of commits that change an order of users, by which readers know which commits their snapshot includes
//! (`engine/offset_index.rs`).

use crate::engine::driver::{Connection, DbError};

/// The number of the last such commit in the snapshot that `conn` reads.
pub(crate) fn latest(conn: &mut dyn Connection) -> Result<i64, DbError> {
    number(conn, "SELECT value FROM counters WHERE pid = 0 AND name = 'order_changes' AND slot = 0")
}

/// The number of the open transaction, which becomes one.
pub(crate) fn next(conn: &mut dyn Connection) -> Result<i64, DbError> {
    number(
        conn,
        "INSERT INTO counters (pid, name, slot, value) VALUES (0, 'order_changes', 0, 1) \
         ON CONFLICT (pid, name, slot) DO UPDATE SET value = counters.value + 1 RETURNING value",
    )
}

fn number(conn: &mut dyn Connection, sql: &str) -> Result<i64, DbError> {
    let mut number = 0;
    conn.query(sql, None, &[], &mut |row| {
        number = row.int(0)?;
        Ok(())
    })?;
    Ok(number)
}
