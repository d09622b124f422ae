//! Keys that all servers of a database share. They are rows, so copies and backups include them.

use crate::engine::driver::{Connection, DbError};
use tenantry_core::clock::Millis;
use tenantry_core::error::{Error, Result};
use tenantry_core::random::Random;

/// The key that authenticates cursors.
pub(crate) const CURSORS: &str = "cursors";

/// The key of this name, base64url. Created by the first server that opens the database, so that read-only requests
/// need not write.
pub(crate) fn get(conn: &mut dyn Connection, name: &str, random: &Random, now: Millis) -> Result<String> {
    if let Some(key) = find(conn, name)? {
        return Ok(key);
    }
    let fresh = random.token::<32>();
    let made = conn.execute(
        "INSERT INTO server_keys (name, key, created_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING",
        None,
        &[name.into(), (&fresh).into(), now.into()],
    );
    match made {
        // Another server's, if that was faster.
        Ok(_) | Err(DbError::Overtaken) => {
            find(conn, name)?.ok_or_else(|| Error::internal("a key that was just stored is gone"))
        }
        Err(e) => Err(e.into()),
    }
}

fn find(conn: &mut dyn Connection, name: &str) -> Result<Option<String>> {
    let mut key = None;
    conn.query("SELECT k.key FROM server_keys k WHERE k.name = $1", None, &[name.into()], &mut |row| {
        key = Some(row.text(0)?.to_owned());
        Ok(())
    })?;
    Ok(key)
}
