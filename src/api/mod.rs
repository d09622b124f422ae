//! The JSON edge.

/// Reading JSON bodies, all faults at once (B6).
pub mod body;
/// The other spellings of each path (B1), made in one place.
pub mod compat;
/// Request bodies, bounded in size and time.
pub mod incoming;
/// Errors as problem documents (RFC 9457): the one map from `Error` to HTTP.
pub mod problem;
/// The HTTP server: connections, bounds, graceful shutdown.
pub mod server;
