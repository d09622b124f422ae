//! Operations on a whole database.

/// Copies of a whole SQLite database.
pub mod backup;
/// A whole database into another one.
pub mod copy;
pub(crate) mod migrate;
