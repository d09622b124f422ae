//! Keys that all servers of a database share. They are rows, so copies and backups carry them.

use super::tx::Tx;
use crate::error::Result;

/// The key of this name, if one has been made.
pub fn find(tx: &mut Tx<'_>, name: &str) -> Result<Option<String>> {
    let found =
        tx.unscoped().rows("SELECT k.key FROM server_keys k WHERE k.name = $1", &[name.into()], |row| {
            row.text(0).map(str::to_owned)
        })?;
    Ok(found.into_iter().next())
}

/// Stores a key, unless somebody else has made one of this name.
pub fn insert(tx: &mut Tx<'_>, name: &str, key: &str) -> Result<()> {
    let now = tx.now();
    tx.unscoped().execute(
        "INSERT INTO server_keys (name, key, created_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING",
        &[name.into(), key.into(), now.into()],
    )?;
    Ok(())
}
