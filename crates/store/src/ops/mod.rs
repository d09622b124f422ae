//! What is done with a database as a whole.

/// Copies of a whole SQLite database.
pub mod backup;
/// A whole database into another one.
pub mod copy;
pub(crate) mod migrate;
