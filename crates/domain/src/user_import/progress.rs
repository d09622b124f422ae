//! The position of an import, so that an interrupted one can resume.

use sha2::{Digest as _, Sha256};

use tenantry_core::clock::{DAY, Millis};
use tenantry_core::error::{Conflict, Result};
use tenantry_core::rows::{RawRow, Text};
use tenantry_store::access::Admin;
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::imports::{self, ImportProgress};

/// How long an interrupted import can be resumed.
const RETENTION: Millis = 7 * DAY;

/// The position of an import; the beginning if it has not begun.
///
/// # Errors
/// None of its own.
pub fn find_progress(tx: &mut Tx<'_, Admin>, key: &str) -> Result<ImportProgress> {
    Ok(imports::find(tx, key)?.unwrap_or_default())
}

/// Advances an import from `from` rows, in the transaction of the batch.
///
/// # Errors
/// `import-under-way` if it is at another position: another run of the same import is in progress.
pub fn advance(tx: &mut Tx<'_, Admin>, key: &str, from: i64, to: &ImportProgress) -> Result<()> {
    if imports::advance(tx, key, from, to)? {
        return Ok(());
    }
    let detail = "another run of this import is in progress: wait until it has ended, and run it again";
    Err(Conflict::users("import-under-way", Vec::new(), detail))
}

/// Deletes the position of a completed import.
///
/// # Errors
/// None of its own.
pub fn end(tx: &mut Tx<'_, Admin>, key: &str) -> Result<()> {
    imports::delete(tx, key)
}

/// Deletes imports that were not resumed for a week. Returns their number.
///
/// # Errors
/// None of its own.
pub fn purge(tx: &mut Tx<'_>, limit: i64) -> Result<usize> {
    let before = tx.now() - RETENTION;
    imports::purge(tx, before, limit)
}

/// The checksum of the rows of a file so far, independent of batches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chain([u8; 32]);

impl Chain {
    /// Adds the next row.
    pub fn add(&mut self, row: &RawRow) {
        let text = match &row.text {
            Text::Json(text) => text.as_str(),
            _ => "",
        };
        let next = Sha256::new().chain_update(self.0).chain_update(row.line.to_le_bytes()).chain_update(text);
        self.0 = next.finalize().into();
    }
}

impl std::fmt::Display for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
