//! What every HTTP edge shares: the listener and its bounds, problem documents, extractors, bodies, paging, conditions,
//! observability.

/// Answers with a JSON body.
pub mod answers;
/// Memory for the bodies that are being received, bounded over all of them.
mod body_memory;
/// The other spellings of each path (B1), made in one place.
pub mod compat;
/// Tags and conditions: `ETag`, `If-Match`, `If-None-Match`.
pub mod conditional;
/// One connection's bytes, in both directions, bounded in time.
mod connection;
/// Who is calling, and what else a handler takes from a request.
pub mod extract;
/// What the head of a request has to say clearly.
pub mod head;
/// Is it alive, is it ready, and what does it do.
pub mod health;
/// Request bodies, bounded in size, time and memory.
pub mod incoming;
/// Bodies that are said to be JSON.
pub mod json_body;
/// What a request says that its body is.
pub mod media_type;
/// Request ids, logs, metrics and the headers of every answer.
pub mod observe;
/// Pages and streams of lists, and their query parameters.
pub mod paging;
/// Errors as problem documents (RFC 9457): the one map from `Error` to HTTP.
pub mod problem;
/// Log lines of refused requests, so many a second.
mod refusals;
/// The HTTP server: connections, bounds, graceful shutdown.
pub mod server;
/// Whose connection is read next when more have something to say than can be served at once.
mod shares;
/// What handlers work with.
pub mod state;
/// Answers to requests that could not be read.
mod unreadable;
/// What every write has in common.
pub mod writes;
