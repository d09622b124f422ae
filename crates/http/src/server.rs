//! The HTTP server: connections, limits, graceful shutdown.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONNECTION, EXPECT, TRANSFER_ENCODING};
use axum::http::{HeaderValue, Request, Response, Version};
use axum::response::IntoResponse as _;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tower::Service;

use crate::body_memory::BodyMemory;
use crate::close_delimited;
use crate::compat;
use crate::connection::{Bounded, ConnectionState, Limits};
use crate::fair_reads::FairReads;
use crate::head;
use crate::incoming::{BodyAllowance, BodyRules, Guarded};
use crate::observe;
use crate::problem::{Cause, Problem};
use tenantry_core::error::Error;
use tenantry_core::model::PartnerId;
use tenantry_core::supervise::{Supervisor, words_of};

/// The limits of the server, with its defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Timeout for the first head of a new connection, and for a head that has begun. 10 s.
    pub header_read: Duration,
    /// Timeout for the next bytes of a body, else 408. 30 s.
    pub body_idle: Duration,
    /// Timeout for a whole body, else 408. 5 min.
    pub body_total: Duration,
    /// Timeout for an unauthenticated body. 10 s.
    pub body_stranger: Duration,
    /// A connection without a request, or with a response that stalls, is closed after one to two times this timeout.
    /// 75 s.
    pub keep_alive: Duration,
    /// A client that reads nothing for this long is disconnected (B13). 30 s.
    pub write_idle: Duration,
    /// Timeout for requests in progress after the signal to stop. 10 s.
    pub shutdown: Duration,
    /// Maximum size of request line and headers, else 431. 16 KiB.
    pub max_header_bytes: usize,
    /// Maximum size of a body with many entries, else 413; others have lower limits (incoming.rs). 8 MiB: 100,000 ids
    /// of 19 digits (B15) fit.
    pub body_limit: u64,
    /// Memory for all bodies together while they are received or parsed, else 503. 256 MiB.
    pub body_memory: usize,
    /// Maximum number of connections; more wait in the system's queue. 10,000.
    pub max_connections: usize,
}

/// The fraction of the body memory that unauthenticated senders share: they cannot keep others from sending. Forms that
/// arrive together with their head need none of it.
const STRANGERS_PART: usize = 16;

/// Maximum size of a connection's read and write buffers, except for a larger chunk of a response. A head has to fit.
const CONNECTION_BUFFER: usize = 16 * 1024;

impl Default for Bounds {
    fn default() -> Self {
        Self {
            header_read: Duration::from_secs(10),
            body_idle: Duration::from_secs(30),
            body_total: Duration::from_mins(5),
            body_stranger: Duration::from_secs(10),
            keep_alive: Duration::from_secs(75),
            write_idle: Duration::from_secs(30),
            shutdown: Duration::from_secs(10),
            max_header_bytes: 16 * 1024,
            body_limit: 8 * 1024 * 1024,
            body_memory: 256 * 1024 * 1024,
            max_connections: 10_000,
        }
    }
}

/// The peer of the connection, as an extension of every request.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address; that of IPv4 over an IPv6 socket is IPv4.
    pub address: SocketAddr,
    /// The state of the connection.
    pub(super) connection: Arc<ConnectionState>,
    /// The limits of the request's body, if it has one.
    pub(super) body: Option<Arc<BodyAllowance>>,
}

impl Peer {
    /// The request had a valid token of this partner.
    pub fn belongs_to(&self, pid: PartnerId) {
        self.connection.belongs_to(pid);
        self.is_known();
    }

    /// The sender of the request was authenticated.
    pub fn is_known(&self) {
        if let Some(body) = &self.body {
            body.know_sender();
        }
    }
}

/// Serves connections until `shutdown` is ready, then waits for requests in progress.
///
/// `service` is a router, or better one inside [`Observe`](crate::observe::Observe): a service around the router
/// costs no box for each request, as a layer inside it would. Paths are made canonical (B1) before it sees them,
/// and a panic in it is a 500.
///
/// # Errors
/// None after it has started: errors of accepting are logged and retried.
pub async fn serve<S>(
    listener: TcpListener,
    service: S,
    bounds: Bounds,
    shutdown: impl Future,
) -> io::Result<()>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    serve_supervised(listener, service, bounds, shutdown, &Supervisor::default()).await
}

/// As [`serve`], with a supervised task.
///
/// # Errors
/// As [`serve`].
pub async fn serve_supervised<S>(
    listener: TcpListener,
    service: S,
    bounds: Bounds,
    shutdown: impl Future,
    supervisor: &Supervisor,
) -> io::Result<()>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    let mut http = http1::Builder::new();
    // hyper's own timeout for heads costs a timer per request: see connection.rs.
    http.timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_header_size(bounds.max_header_bytes)
        .max_buf_size(CONNECTION_BUFFER.max(bounds.max_header_bytes))
        // Most responses have a few hundred bytes: copying them behind their head costs less than sending two pieces.
        .writev(false)
        .pipeline_flush(false);
    let slots = Arc::new(Semaphore::new(bounds.max_connections.min(Semaphore::MAX_PERMITS)));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    let rules = Arc::new(BodyRules {
        limit: bounds.body_limit,
        idle: bounds.body_idle,
        total: bounds.body_total,
        stranger: bounds.body_stranger,
        memory: BodyMemory::new(bounds.body_memory - bounds.body_memory / STRANGERS_PART),
        stranger_memory: BodyMemory::new(bounds.body_memory / STRANGERS_PART),
    });
    let workers = tokio::runtime::Handle::current().metrics().num_workers();
    let reads = FairReads::new(workers);
    let of_rounds = reads.clone();
    #[cfg(test)]
    let tests = supervisor.clone();
    let _rounds = AbortOnDrop(supervisor.task("rounds", move || {
        #[cfg(test)]
        tests.trip("rounds");
        of_rounds.clone().rounds()
    }));
    loop {
        let accepted = async {
            // The semaphore is never closed, so this always succeeds eventually.
            let slot = Arc::clone(&slots).acquire_owned().await.ok();
            (slot, accept(&listener).await)
        };
        let (slot, (stream, peer)) = tokio::select! {
            biased;
            _ = &mut shutdown => break,
            // Immediately: until it is removed here, a finished task keeps memory in the middle of the heap.
            Some(_) = connections.join_next() => continue,
            accepted = accepted => accepted,
        };
        let state = Arc::new(ConnectionState::new(reads.clone(), peer.ip()));
        let limits = Limits { head: bounds.header_read, idle: bounds.keep_alive, write: bounds.write_idle };
        let io = TokioIo::new(Bounded::new(stream, limits, Arc::clone(&state)));
        let (service, rules) = (service.clone(), Arc::clone(&rules));
        let handle = service_fn(move |request: Request<Incoming>| {
            let guard = state.begin();
            let service = service.clone();
            // If its length were given in two ways, an intermediary might take another one for its end, and what
            // follows for another request: nothing may follow (RFC 9112 §6.1).
            let is_last = request.headers().contains_key(TRANSFER_ENCODING);
            let http_10 = (request.version() == Version::HTTP_10).then(|| Arc::clone(&state));
            let request = prepare(request, peer, Arc::clone(&state), &rules);
            async move {
                let mut response = serve_one(service, request).await;
                if let Some(connection) = http_10 {
                    response = close_delimited::guard(response, connection);
                }
                if is_last {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                drop(guard);
                Ok::<_, Infallible>(response)
            }
        });
        let connection = graceful.watch(http.serve_connection(io, handle));
        connections.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%peer, %error, "connection ended");
            }
            drop(slot);
        });
    }
    drop(listener);
    if timeout(bounds.shutdown, graceful.shutdown()).await.is_err() {
        tracing::warn!(connections = connections.len(), "closed connections that did not end in time");
    }
    connections.shutdown().await;
    Ok(())
}

/// A task that is aborted when this is dropped.
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Accepts the next connection. Errors of a single connection are ignored; after those of the process, such as too many
/// open files, it waits, since retrying at once would spin.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    let mut pause = Duration::from_millis(50);
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Responses are small and written at once: waiting for more data would only delay them.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%peer, %error, "TCP_NODELAY");
                }
                // IPv4 over an IPv6 socket is IPv4 for everything that compares, counts or stores addresses.
                return (stream, SocketAddr::new(peer.ip().to_canonical(), peer.port()));
            }
            Err(error) if is_of_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(1));
            }
        }
    }
}

fn is_of_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

fn prepare(
    request: Request<Incoming>,
    address: SocketAddr,
    connection: Arc<ConnectionState>,
    rules: &Arc<BodyRules>,
) -> Request<Body> {
    let (mut head, body) = request.into_parts();
    if let Err(bad) = head::check(&head) {
        head.extensions.insert(bad);
    }
    head.uri = compat::rewrite(head.uri);
    let (allowance, body) = if body.is_end_stream() {
        (None, Body::empty()) // needs no allocation
    } else {
        let allowance = Arc::new(BodyAllowance::new(rules));
        let expects = head.headers.contains_key(EXPECT);
        (Some(Arc::clone(&allowance)), Body::new(Guarded::new(body, allowance, expects)))
    };
    head.extensions.insert(Peer { address, connection, body: allowance });
    Request::from_parts(head, body)
}

async fn serve_one<S>(mut service: S, request: Request<Body>) -> Response<Body>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let work = async move {
        let Ok(()) = std::future::poll_fn(|cx| service.poll_ready(cx)).await;
        let Ok(response) = service.call(request).await;
        response
    };
    let mut work = pin!(work);
    std::future::poll_fn(|cx| {
        caught(|| work.as_mut().poll(cx)).unwrap_or_else(|problem| {
            let mut response = problem.into_response();
            observe::secure(response.headers_mut());
            // `Guard` catches panics inside of it and `Observe` logs them with their request; this catches the rest.
            if let Some(Cause(cause)) = response.extensions().get() {
                tracing::error!(%cause, "internal error");
            }
            Poll::Ready(response)
        })
    })
    .await
}

/// The result of `work`, or a 500 if it panics. Unwinding costs nothing unless it happens; shared state must be
/// protected against inconsistency, as locks are by poisoning.
pub(super) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Problem> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let words = words_of(&*panic);
        Problem::from(Error::internal(format!("panic: {words}")))
    })
}

#[cfg(test)]
mod tests;
