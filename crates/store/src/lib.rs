//! SQL, written once for both databases, and the access to them.
//!
//! `Store::write` is the only write path, `Store::read` and `Store::scan` are the read paths. They run the functions of
//! `tables` and `listing`, each of which takes a `Tx`.

/// Callers and their rights: the authorization file.
pub mod access;
/// Transactions, the write queue, id allocation, caches and leases; SQLite and PostgreSQL below one connection.
pub mod engine;
/// Lists: which plan for which query, searches, and the offsets of deep pages.
pub mod listing;
/// Operations on a whole database.
pub mod ops;
/// Access to the database.
pub mod store;
/// One file per table, or per group of related tables.
pub mod tables;
