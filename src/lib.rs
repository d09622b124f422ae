//! The binary `tenantry`, as a library for its tests: the command line, the settings, and what a process is made of.
//!
//! Everything else is below, in `crates/`: the edges (`api`, `oauth`, `worker`) call `domain`, which calls `store`; what the
//! edges of HTTP share is `http`; `core` may be used by all. The compiler holds the direction.

/// What a running process is made of, assembled once.
pub mod app;
/// The command line: one file per command.
pub mod cli;
/// The only reader of flags, environment and configuration file.
pub mod config;
/// Where log lines go.
pub mod log;
/// The OpenAPI document and Swagger UI.
pub mod openapi;
/// The whole of HTTP on one page.
pub mod router;
