//! Tenantry: a user-management server for products with many tenants.
//!
//! The map. One way down: the edges (`cli`, `api`, `oauth`, `worker`) call `domain`, which calls `storage`.
//! `tests/it/architecture.rs` fails on an arrow that goes up. The leaves may be used by all.

/// Who is calling and what that lets them do: the authorization file.
pub mod access;
/// The JSON edge: a file for each noun. No SQL, no rules.
pub mod api;
/// What a running process is made of, assembled once.
pub mod app;
/// The yardstick of benchmarks.
pub mod bare;
/// Which permissions there are to give: the default catalogue and the reading of another (leaf).
pub mod catalogue;
/// The command line: one file per command.
pub mod cli;
/// The time, as an argument (leaf).
pub mod clock;
/// The only reader of flags, environment and configuration file (leaf).
pub mod config;
/// The rules: users, groups, partners, passwords, tokens. No HTTP, no SQL, no clock.
pub mod domain;
/// One error enum, without HTTP (leaf).
pub mod error;
/// Turns for those who wait: no flood of one keeps another waiting (leaf).
pub mod fair;
/// Password hashing on its own bounded threads (leaf).
pub mod hashing;
/// What every HTTP edge shares.
pub mod http;
/// Reading JSON, all faults at once (leaf).
pub mod json;
/// Where log lines go (leaf).
pub mod log;
/// Mails: their texts and the ways they travel (leaf).
pub mod mail;
/// Plain data (leaf).
pub mod model;
/// The token edge: OAuth 2.0.
pub mod oauth;
/// The OpenAPI document and Swagger UI.
pub mod openapi;
/// Randomness, as an argument (leaf).
pub mod random;
/// The whole of HTTP on one page.
pub mod router;
/// Files of rows, taken apart as they come: NDJSON and CSV (leaf).
pub mod rows;
/// SQL, written once, and the write path.
pub mod storage;
/// The threads and tasks of a running server, started again when they panic (leaf).
pub mod supervise;
/// The fields of a user, each declared once (leaf).
pub mod user_fields;
/// Values that have been checked, and the folded form strings are compared by (leaf).
pub mod values;
/// What happens without a request: mail delivery, expiry, checkpoints.
pub mod worker;
