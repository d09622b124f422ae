//! What all HTTP edges share: the listener and its limits, problem documents, extractors, bodies, paging,
//! preconditions, observability.

/// Responses with a JSON body.
pub mod answers;
/// Memory for request bodies, with a limit for all of them together.
mod body_memory;
/// Rewriting of alternative paths (B1).
pub mod compat;
/// Entity tags and preconditions: `ETag`, `If-Match`, `If-None-Match`.
pub mod conditional;
/// The bytes of a connection, with time limits.
mod connection;
/// Extractors: the caller, and other parts of a request.
pub mod extract;
/// Checks of the head of a request.
pub mod head;
/// Liveness, readiness and metrics.
pub mod health;
/// Request bodies, with limits on size, time and memory.
pub mod incoming;
/// Bodies with a JSON content type.
pub mod json_body;
/// The media type of a request body.
pub mod media_type;
/// Request ids, logs, metrics and the headers of every response.
pub mod observe;
/// Pages and streams of lists, and their query parameters.
pub mod paging;
/// Parameters of requests, each declared once.
pub mod parameters;
/// Errors as problem documents (RFC 9457): the one map from `Error` to HTTP.
pub mod problem;
/// Rate-limited log lines of refused requests.
mod refusals;
/// The HTTP server: connections, limits, graceful shutdown.
pub mod server;
/// Fair scheduling of connections.
mod shares;
/// The state of handlers.
pub mod state;
/// Responses to requests that could not be parsed.
mod unreadable;
/// Options common to all writes.
pub mod writes;
