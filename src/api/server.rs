//! The HTTP server: connections, bounds, graceful shutdown.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::EXPECT;
use axum::http::{Method, Request, Response};
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

use super::compat;
use super::connection::{Bounded, Limits, Turns};
use super::incoming::{BodyBounds, Guarded};
use super::problem::{Cause, Problem};
use super::shares::Shares;
use super::user_import;
use crate::error::Error;
use crate::supervise::{Supervisor, words_of};

/// What a connection may take. The defaults are the service's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// A new connection sends its first head within this time, and a head once begun ends within it. 10 s.
    pub header_read: Duration,
    /// The next bytes of a body come within this time, else 408. 30 s.
    pub body_idle: Duration,
    /// A whole body comes within this time, else 408. 5 min.
    pub body_total: Duration,
    /// A connection without a request, or with an answer of which nothing more comes, is closed after once to
    /// twice this time. 75 s.
    pub keep_alive: Duration,
    /// A reader that takes nothing for so long is cut off (B13). 30 s.
    pub write_idle: Duration,
    /// After the signal to stop, requests in work have this long to end. 10 s.
    pub shutdown: Duration,
    /// The most bytes of a request line and header, else 431. 16 KiB.
    pub max_header_bytes: usize,
    /// The most bytes of a body, else 413. 4 MiB: 100,000 ids of 19 digits (B15) fit.
    pub body_limit: u64,
    /// The most connections at once; more wait in the system's queue. 10,000.
    pub max_connections: usize,
}

/// The time of a whole import; each piece of it comes within `body_idle`.
const LONGEST_IMPORT: Duration = Duration::from_hours(24);

impl Default for Bounds {
    fn default() -> Self {
        Self {
            header_read: Duration::from_secs(10),
            body_idle: Duration::from_secs(30),
            body_total: Duration::from_mins(5),
            keep_alive: Duration::from_secs(75),
            write_idle: Duration::from_secs(30),
            shutdown: Duration::from_secs(10),
            max_header_bytes: 16 * 1024,
            body_limit: 4 * 1024 * 1024,
            max_connections: 10_000,
        }
    }
}

/// What is at the other end of the connection, as an extension of every request.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// The connection, which is told whose it is.
    pub(super) connection: Arc<Turns>,
}

/// Serves connections until `shutdown` is ready, then lets the requests in work end.
///
/// `service` is a router, or better one inside [`Observe`](super::observe::Observe): a service around the router
/// costs no box for each request, as a layer inside it would. Paths are made canonical (B1) before it sees them,
/// and a panic in it is a 500.
///
/// # Errors
/// None after it began: what goes wrong while accepting is logged and tried again.
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

/// Like [`serve`], with a task that belongs to a server.
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
    // hyper's own bound for heads costs a timer for each request: see connection.rs.
    http.timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_header_size(bounds.max_header_bytes)
        // Most answers are some hundred bytes: to copy them behind their head costs less than to send two pieces.
        .writev(false)
        .pipeline_flush(false);
    let slots = Arc::new(Semaphore::new(bounds.max_connections.min(Semaphore::MAX_PERMITS)));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    let workers = tokio::runtime::Handle::current().metrics().num_workers();
    let shares = Shares::new(workers);
    let of_rounds = shares.clone();
    #[cfg(test)]
    let tests = supervisor.clone();
    let _rounds = AbortOnDrop(supervisor.task("rounds", move || {
        #[cfg(test)]
        tests.trip("rounds");
        of_rounds.clone().rounds()
    }));
    loop {
        let accepted = async {
            // Never closed, so there is always a permit to come.
            let slot = Arc::clone(&slots).acquire_owned().await.ok();
            (slot, accept(&listener).await)
        };
        let (slot, (stream, peer)) = tokio::select! {
            biased;
            _ = &mut shutdown => break,
            accepted = accepted => accepted,
        };
        while connections.try_join_next().is_some() {}
        let turns = Arc::new(Turns::new(shares.clone()));
        let limits = Limits { head: bounds.header_read, idle: bounds.keep_alive, write: bounds.write_idle };
        let io = TokioIo::new(Bounded::new(stream, limits, Arc::clone(&turns)));
        let service = service.clone();
        let handle = service_fn(move |request: Request<Incoming>| {
            let turn = turns.begin();
            let service = service.clone();
            let peer = Peer { address: peer, connection: Arc::clone(&turns) };
            async move {
                let response = answer(service, prepare(request, peer, &bounds)).await;
                drop(turn);
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
        tracing::warn!(connections = connections.len(), "cut off what did not end in time");
    }
    connections.shutdown().await;
    Ok(())
}

/// A task that ends with this.
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The next connection. Errors of one connection are passed over; those of the process, such as too many open
/// files, are waited out, since trying again at once would spin.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    let mut pause = Duration::from_millis(50);
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Answers are small and written whole: waiting for more to send would only delay them.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%peer, %error, "TCP_NODELAY");
                }
                return (stream, peer);
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

fn prepare(request: Request<Incoming>, peer: Peer, bounds: &Bounds) -> Request<Body> {
    let (mut head, body) = request.into_parts();
    head.uri = compat::rewrite(head.uri);
    head.extensions.insert(peer);
    let body = if body.is_end_stream() {
        Body::empty() // needs no allocation
    } else {
        let (limit, total) = match head.uri.path() == user_import::PATH && head.method == Method::POST {
            // Read piece by piece, never whole.
            true => (u64::MAX, LONGEST_IMPORT),
            false => (bounds.body_limit, bounds.body_total),
        };
        let bounds = BodyBounds { limit, idle: bounds.body_idle, total };
        Body::new(Guarded::new(body, bounds, head.headers.contains_key(EXPECT)))
    };
    Request::from_parts(head, body)
}

async fn answer<S>(mut service: S, request: Request<Body>) -> Response<Body>
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
            let response = problem.into_response();
            // `Observe` catches what panics inside of it and logs it with its request; this is what is left.
            if let Some(Cause(cause)) = response.extensions().get() {
                tracing::error!(%cause, "internal error");
            }
            Poll::Ready(response)
        })
    })
    .await
}

/// What `work` answers, or a 500 for its panic. Unwinding costs nothing unless it happens; what the work shared
/// must guard itself against being left half done, as locks do by poisoning.
pub(super) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Problem> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let words = words_of(&*panic);
        Problem::from(Error::internal(format!("panic: {words}")))
    })
}

#[cfg(test)]
mod tests;
