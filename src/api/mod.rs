//! The JSON edge.

/// Reading JSON bodies, all faults at once (B6).
pub mod body;
/// The other spellings of each path (B1), made in one place.
pub mod compat;
/// One connection's bytes, in both directions, bounded in time.
mod connection;
/// Request bodies, bounded in size and time.
pub mod incoming;
/// Request ids, logs, metrics and the headers of every answer.
pub mod observe;
/// Errors as problem documents (RFC 9457): the one map from `Error` to HTTP.
pub mod problem;
/// The HTTP server: connections, bounds, graceful shutdown.
pub mod server;
