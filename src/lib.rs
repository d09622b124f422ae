//! The binary `tenantry`, as a library for its tests: the command line, the settings, and the assembly of a process.
//!
//! Everything else is below, in `crates/`: the edges (`api`, `oauth`, `worker`) call `domain`, which calls `store`; `http`
//! is shared by the HTTP edges; all may use `core`. The compiler enforces the direction.

/// The assembly of a running process.
pub mod app;
/// The command line: one file per command.
pub mod cli;
/// The only reader of flags, environment and configuration file.
pub mod config;
/// The log output.
pub mod log;
/// Where the master key is.
pub mod master_key;
/// The OpenAPI document and Swagger UI.
pub mod openapi;
/// All routes in one file.
pub mod router;
