//! Keys that all servers of a database share. They are rows, so copies and backups include them.

use zeroize::Zeroizing;

use crate::engine::driver::{Connection, DbError};
use crate::engine::tx::Tx;
use tenantry_core::clock::Millis;
use tenantry_core::error::{Error, Result};
use tenantry_core::random::Random;

/// The key that authenticates cursors.
const CURSORS: &str = "cursors";

/// The key of values that travel through a browser.
const REQUESTS: &str = "requests";

/// No key, but a value that the master key has sealed: whether a server has the same one.
pub const MASTER: &str = "master";

/// The keys that every server has, base64url.
pub(crate) struct ServerKeys {
    pub(crate) cursors: Zeroizing<String>,
    pub(crate) requests: Zeroizing<String>,
    /// See [`MASTER`].
    pub(crate) master: Option<String>,
}

impl ServerKeys {
    /// Reads the keys, and creates those that are missing.
    pub(crate) fn get(conn: &mut dyn Connection, random: &Random, now: Millis) -> Result<Self> {
        let mut key = |name| get(conn, name, random, now).map(Zeroizing::new);
        let (cursors, requests) = (key(CURSORS)?, key(REQUESTS)?);
        Ok(Self { cursors, requests, master: find(conn, MASTER)? })
    }
}

/// The value that the master key has sealed.
///
/// # Errors
/// None of its own.
pub fn find_master(tx: &mut Tx<'_>) -> Result<Option<String>> {
    let sql = "SELECT k.key FROM server_keys k WHERE k.name = $1";
    let found = tx.unscoped().rows(sql, &[MASTER.into()], |row| row.text(0).map(str::to_owned))?;
    Ok(found.into_iter().next())
}

/// Stores the value that the master key has sealed, in place of that of another one.
///
/// # Errors
/// None of its own.
pub fn set_master(tx: &mut Tx<'_>, sealed: &str) -> Result<()> {
    let now = tx.now();
    tx.unscoped().execute(
        "INSERT INTO server_keys (name, key, created_at) VALUES ($1, $2, $3) \
         ON CONFLICT (name) DO UPDATE SET key = excluded.key, created_at = excluded.created_at",
        &[MASTER.into(), sealed.into(), now.into()],
    )?;
    Ok(())
}

/// Removes it: nothing in the database is sealed any more.
///
/// # Errors
/// None of its own.
pub fn remove_master(tx: &mut Tx<'_>) -> Result<()> {
    tx.unscoped().execute("DELETE FROM server_keys WHERE name = $1", &[MASTER.into()])?;
    Ok(())
}

/// Units that claim the keys run one after the other, in all processes.
///
/// # Errors
/// None of its own.
pub fn claim(tx: &mut Tx<'_>) -> Result<()> {
    if !tx.dialect().has_one_writer() {
        let sql = "UPDATE server_keys SET key = key WHERE name = $1";
        tx.unscoped().execute(sql, &[REQUESTS.into()])?;
    }
    Ok(())
}

/// The key of this name, base64url. Created by the first server that opens the database, so that read-only requests
/// need not write.
fn get(conn: &mut dyn Connection, name: &str, random: &Random, now: Millis) -> Result<String> {
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
