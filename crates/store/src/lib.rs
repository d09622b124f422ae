//! SQL, written once, and the ways to the database.
//!
//! `Store::write` is the one write path, `Store::read` and `Store::scan` are the read paths. What runs in
//! them are the functions of `tables` and `listing`, each of which takes a `Tx`.

/// Who is calling and what that lets them do: the authorization file.
pub mod access;
/// Transactions, the write queue, id allocation, caches and leases; SQLite and PostgreSQL below one connection.
pub mod engine;
/// Lists: which plan for which query, searches, and the offsets of deep pages.
pub mod listing;
/// What is done with a database as a whole.
pub mod ops;
/// The ways to the database.
pub mod store;
/// One file for each table, or for what few tables share.
pub mod tables;
