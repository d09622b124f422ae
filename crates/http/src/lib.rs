//! What all HTTP edges share: the listener and its limits, problem documents, extractors, bodies, paging,
//! preconditions, observability.

/// Memory for request bodies, with a limit for all of them together.
mod body_memory;
/// The browser that sent a request, and its cookies.
pub mod browser;
/// Forms that browsers post to clients.
pub mod client_form;
/// Bodies whose end is the end of the connection.
mod close_delimited;
/// Rewriting of alternative paths (B1).
pub mod compat;
/// Entity tags and preconditions: `ETag`, `If-Match`, `If-None-Match`.
pub mod conditional;
/// The bytes of a connection, with time limits.
mod connection;
/// Cross-origin requests of browsers (CORS).
pub mod cors;
/// Extractors: the caller, and other parts of a request.
pub mod extract;
/// Fair scheduling of connections.
mod fair_reads;
/// What proxies say about the client's address.
pub mod forwarded;
/// Responses to what no handler answers.
pub mod guard;
/// Decoding of compressed bodies of imports.
pub mod gzip;
/// Checks of the head of a request.
pub mod head;
/// Liveness, readiness and metrics.
pub mod health;
/// Request bodies, with limits on size, time and memory.
pub mod incoming;
/// Bodies with a JSON content type.
pub mod json_body;
/// Rate-limited log lines of refused requests.
mod log_limiter;
/// The media type of a request body.
pub mod media_type;
/// Request ids, logs, metrics and the headers of every response.
pub mod observe;
/// Errors of pages.
pub mod page_error;
/// What all pages have in common.
pub mod pages;
/// Pages and streams of lists, and their query parameters.
pub mod paging;
/// Parameters of requests, each declared once.
pub mod parameters;
/// Bodies that are images.
pub mod png_body;
/// Errors as problem documents (RFC 9457): the one map from `Error` to HTTP.
pub mod problem;
/// The path below which clients see the server.
pub mod public_path;
/// Responses with a JSON body.
pub mod responses;
/// The HTTP server: connections, limits, graceful shutdown.
pub mod server;
/// The state of handlers.
pub mod state;
/// Responses to requests that could not be parsed.
mod unreadable;
/// The parameters that choose users.
pub mod user_filters;
/// A limit on requests of nobody, by client address.
pub mod visitors;
/// Options common to all writes.
pub mod writes;
