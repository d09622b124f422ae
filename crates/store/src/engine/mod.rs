//! Transactions, the write queue, id allocation, caches and leases; SQLite and PostgreSQL below one connection.

pub mod cache;
pub(crate) mod driver;
pub(crate) mod health;
pub(crate) mod offset_index;
/// How much a step of a large unit writes.
pub mod pace;
pub(crate) mod postgres;
pub mod sequences;
pub(crate) mod shared;
/// Limited concurrency, round-robin across partners.
pub mod slots;
pub(crate) mod sort_key;
pub mod sqlite;
pub mod tx;
