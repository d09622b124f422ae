//! Request bodies, with limits on size, time and memory that apply to all extractors and framings.
//!
//! The type of its body defines an operation's size limit (`JsonBody`, `Once`, `StreamedBody`). The default is
//! `ORDINARY`.

use std::error::Error as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_ENCODING;
use axum::http::{HeaderMap, Method};
use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::body_memory::BodyMemory;
use crate::problem::Problem;
use crate::server::Peer;
use tenantry_core::error::FieldError;

/// Maximum size of an ordinary body: one user, one group without its members, one evaluation.
pub const ORDINARY: u64 = 256 * 1024;
/// Maximum size of an OAuth form.
pub const FORM: u64 = 16 * 1024;
/// Maximum size of an unauthenticated body that names one user.
pub const BRIEF: u64 = 4 * 1024;
/// The limit of a body with many entries is the setting `body-limit`. Only for operations that authenticate the caller
/// before they read.
pub const BULK: u64 = u64::MAX;

/// Timeout of a whole import; `BodyRules::idle` limits each pause.
const LONGEST_STREAM: Duration = Duration::from_hours(24);

/// Why a body could not be read. It travels inside [`axum::Error`]; [`read_body`] finds it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// More bytes than allowed.
    #[error("the body has more than {limit} bytes")]
    TooLarge {
        /// The maximum size.
        limit: u64,
    },
    /// A pause was too long, or the whole took too long.
    #[error("the body did not arrive in time")]
    Stalled,
    /// All bodies together take too much memory.
    #[error("too many bodies are being received")]
    NoMemory,
    /// The connection broke, or the framing is wrong.
    #[error("the body is incomplete")]
    Broken,
}

/// The limits of all bodies of a server.
#[derive(Debug)]
pub(super) struct BodyRules {
    /// The value of [`BULK`], which no operation exceeds.
    pub(super) limit: u64,
    /// Timeout for the next bytes.
    pub(super) idle: Duration,
    /// Timeout for the whole body of an authenticated sender.
    pub(super) total: Duration,
    /// Timeout for the whole body of an unauthenticated sender.
    pub(super) stranger: Duration,
    /// Memory for bodies of authenticated senders.
    pub(super) memory: BodyMemory,
    /// Memory for bodies of unauthenticated senders.
    pub(super) stranger_memory: BodyMemory,
}

/// The limits of one body: created by the listener, and adjusted by the operation and by authentication before the body
/// is read.
#[derive(Debug)]
pub(super) struct BodyAllowance {
    rules: Arc<BodyRules>,
    limit: AtomicU64,
    is_known: AtomicBool,
    is_stream: AtomicBool,
}

impl BodyAllowance {
    /// The limits of an unauthenticated sender.
    pub(super) fn new(rules: &Arc<BodyRules>) -> Self {
        Self {
            rules: Arc::clone(rules),
            limit: AtomicU64::new(ORDINARY.min(rules.limit)),
            is_known: AtomicBool::new(false),
            is_stream: AtomicBool::new(false),
        }
    }

    /// The sender was authenticated.
    pub(super) fn know_sender(&self) {
        self.is_known.store(true, Ordering::Relaxed);
    }

    fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }

    fn set_limit(&self, limit: u64) {
        self.limit.store(limit.min(self.rules.limit), Ordering::Relaxed);
    }

    fn set_stream(&self) {
        self.limit.store(u64::MAX, Ordering::Relaxed);
        self.is_stream.store(true, Ordering::Relaxed);
    }

    fn is_known(&self) -> bool {
        self.is_known.load(Ordering::Relaxed)
    }

    fn memory(&self) -> &BodyMemory {
        if self.is_known() { &self.rules.memory } else { &self.rules.stranger_memory }
    }

    fn total(&self) -> Duration {
        if !self.is_known() {
            self.rules.stranger
        } else if self.is_stream.load(Ordering::Relaxed) {
            LONGEST_STREAM
        } else {
            self.rules.total
        }
    }
}

/// A body over its limit is read up to this multiple of the limit, at least [`DRAIN_AT_LEAST`], and discarded: a client
/// that is busy sending does not look for the response, and closing the connection would reset it before the client
/// sees the 413.
const DRAIN: u64 = 4;
const DRAIN_AT_LEAST: u64 = 32 * 1024 * 1024;

/// A body that fails if it exceeds its limit or stalls. Timers are used only when bytes are late.
#[derive(Debug)]
pub(super) struct Guarded<B> {
    inner: B,
    allowance: Arc<BodyAllowance>,
    read: u64,
    begun: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
    started: bool,
    /// The client waits for `100 Continue`, so it is not sending yet and nothing has to be drained.
    expects: bool,
    over: bool,
}

impl<B> Guarded<B> {
    pub(super) fn new(inner: B, allowance: Arc<BodyAllowance>, expects: bool) -> Self {
        let begun = Instant::now();
        Self {
            inner,
            allowance,
            read: 0,
            begun,
            timer: None,
            waiting: false,
            started: false,
            expects,
            over: false,
        }
    }

    fn too_large<T>(&self) -> Poll<Option<Result<T, BodyError>>> {
        Poll::Ready(Some(Err(BodyError::TooLarge { limit: self.allowance.limit() })))
    }

    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let waiting = std::mem::replace(&mut self.waiting, true);
        let (end, idle) = (self.begun + self.allowance.total(), self.allowance.rules.idle);
        let deadline = || end.min(Instant::now() + idle);
        let timer = match &mut self.timer {
            Some(timer) => {
                if !waiting {
                    timer.as_mut().reset(deadline());
                }
                timer
            }
            None => {
                let timer = Box::pin(sleep_until(deadline()));
                self.timer.insert(timer)
            }
        };
        timer.as_mut().poll(cx)
    }
}

/// How many bytes of a body with this limit are read in total.
fn drained(limit: u64) -> u64 {
    limit.saturating_mul(DRAIN).max(DRAIN_AT_LEAST)
}

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for Guarded<B> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let limit = this.allowance.limit();
        if !std::mem::replace(&mut this.started, true) {
            let announced = this.inner.size_hint().lower();
            this.over = announced > limit;
            if this.over && (this.expects || announced > drained(limit)) {
                return this.too_large();
            }
        }
        loop {
            match Pin::new(&mut this.inner).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    this.waiting = false;
                    let len = frame.data_ref().map_or(0, |data| data.len() as u64);
                    this.read = this.read.saturating_add(len);
                    this.over |= this.read > limit;
                    if !this.over {
                        return Poll::Ready(Some(Ok(frame)));
                    }
                    if this.read > drained(limit) {
                        return this.too_large();
                    }
                }
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Some(Err(BodyError::Broken))),
                Poll::Ready(None) if this.over => return this.too_large(),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => {
                    return match this.poll_late(cx) {
                        Poll::Ready(()) if this.over => this.too_large(),
                        Poll::Ready(()) => Poll::Ready(Some(Err(BodyError::Stalled))),
                        Poll::Pending => Poll::Pending,
                    };
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        !self.over && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Reads a whole body of at most `limit` bytes, for any extractor that wants the bytes.
///
/// # Errors
/// 415 if it is compressed; 413 or 408 if the body exceeds its limits, 503 if all bodies together take too much memory,
/// 400 if it is incomplete.
pub async fn read_body(request: Request, limit: u64) -> Result<Bytes, Problem> {
    if is_encoded(request.headers()) && !request.body().is_end_stream() {
        return Err(Problem::unsupported_encoding(request.method() == Method::PATCH));
    }
    let allowance = request.extensions().get::<Peer>().and_then(|peer| peer.body.clone());
    if let Some(allowance) = &allowance {
        allowance.set_limit(limit);
    }
    collect(request.into_body(), allowance.as_deref(), limit).await.map_err(BodyError::into)
}

/// Whether the body has a content coding, such as gzip (RFC 9110 §8.4).
fn is_encoded(headers: &HeaderMap) -> bool {
    headers.get_all(CONTENT_ENCODING).iter().any(|codings| {
        let is_identity = |coding: &[u8]| {
            let coding = coding.trim_ascii();
            coding.is_empty() || coding.eq_ignore_ascii_case(b"identity")
        };
        !codings.as_bytes().split(|byte| *byte == b',').all(is_identity)
    })
}

async fn collect(mut body: Body, allowance: Option<&BodyAllowance>, limit: u64) -> Result<Bytes, BodyError> {
    let Some(first) = next(&mut body).await? else { return Ok(Bytes::new()) };
    if body.is_end_stream() {
        // Most bodies arrive with their head: they stay in the connection's buffer, which is bounded.
        return Ok(first);
    }
    let limit = allowance.map_or(limit, BodyAllowance::limit);
    let announced = body.size_hint().upper().unwrap_or(limit).saturating_add(first.len() as u64);
    let most = announced.min(limit);
    let mut buffer = match allowance {
        Some(allowance) => allowance.memory().buffer(most)?,
        // A request without a connection.
        None => BodyMemory::new(usize::MAX).buffer(most)?,
    };
    buffer.push(&first)?;
    drop(first);
    while let Some(bytes) = next(&mut body).await? {
        buffer.push(&bytes)?;
    }
    Ok(buffer.into_bytes())
}

/// The next bytes.
async fn next(body: &mut Body) -> Result<Option<Bytes>, BodyError> {
    while let Some(frame) = body.frame().await {
        // Trailers are ignored.
        if let Ok(bytes) = frame.map_err(|error| error_of(&error))?.into_data() {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

/// A body of any length that is streamed. The operation authenticates the caller before it reads: an unauthenticated
/// body ends as early as any other.
#[derive(Debug)]
pub struct StreamedBody(pub Body);

impl<S: Sync> FromRequest<S> for StreamedBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if let Some(allowance) = request.extensions().get::<Peer>().and_then(|peer| peer.body.as_ref()) {
            allowance.set_stream();
        }
        Ok(Self(request.into_body()))
    }
}

/// Why a body could not be read to its end.
pub fn body_problem(error: &axum::Error) -> Problem {
    error_of(error).into()
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge { limit } => Self::body_too_large(limit),
            BodyError::Stalled => Self::body_stalled(),
            BodyError::NoMemory => Self::no_body_memory(),
            BodyError::Broken => FieldError::new("", "broken-body", "the body is incomplete").into(),
        }
    }
}

fn error_of(error: &axum::Error) -> BodyError {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(found) = error.downcast_ref::<BodyError>() {
            return *found;
        }
        source = error.source();
    }
    BodyError::Broken
}

/// The description of the 413 of an operation with this limit.
pub fn too_large(limit: u64) -> String {
    match limit {
        BULK => {
            format!("The body has more than {DEFAULT_BULK} bytes, or what the server's body-limit is set to")
        }
        limit => format!("The body has more than {limit} bytes"),
    }
}

/// The default of `body-limit`.
const DEFAULT_BULK: u64 = 8 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse as _;
    use http_body_util::Full;
    use std::convert::Infallible;

    fn allowance() -> Arc<BodyAllowance> {
        let allowance = Arc::new(BodyAllowance::new(&Arc::new(BodyRules {
            limit: 10,
            idle: Duration::from_secs(3),
            total: Duration::from_secs(8),
            stranger: Duration::from_secs(5),
            memory: BodyMemory::new(64 * 1024),
            stranger_memory: BodyMemory::new(64 * 1024),
        })));
        allowance.know_sender();
        allowance
    }

    /// A body that sends a frame every `every` seconds, then ends, or hangs if `hangs`.
    struct Drip {
        frames: usize,
        every: Duration,
        hangs: bool,
        timer: Pin<Box<Sleep>>,
    }

    impl Drip {
        fn new(frames: usize, every: u64, hangs: bool) -> Self {
            let every = Duration::from_secs(every);
            Self { frames, every, hangs, timer: Box::pin(tokio::time::sleep(every)) }
        }
    }

    impl HttpBody for Drip {
        type Data = Bytes;
        type Error = Infallible;
        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            if self.frames == 0 {
                return if self.hangs { Poll::Pending } else { Poll::Ready(None) };
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.frames -= 1;
            let next = Instant::now() + self.every;
            self.timer.as_mut().reset(next);
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"abc")))))
        }
    }

    async fn read(body: impl HttpBody<Data = Bytes, Error = Infallible> + Unpin + Send + 'static) -> u16 {
        read_with(body, &allowance()).await
    }

    async fn read_with(
        body: impl HttpBody<Data = Bytes, Error = Infallible> + Unpin + Send + 'static,
        allowance: &Arc<BodyAllowance>,
    ) -> u16 {
        let mut body = Body::new(Guarded::new(body, Arc::clone(allowance), false));
        let read = if allowance.is_stream.load(Ordering::Relaxed) {
            loop {
                match next(&mut body).await {
                    Ok(Some(_)) => {}
                    end => break end.map(|_| ()),
                }
            }
        } else {
            collect(body, Some(allowance), BULK).await.map(|_| ())
        };
        match read {
            Ok(()) => 200,
            Err(error) => Problem::from(error).into_response().status().as_u16(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn sizes() {
        assert_eq!(read(Full::from("0123456789")).await, 200);
        assert_eq!(read(Full::from("0123456789a")).await, 413);
        assert_eq!(read(Full::from("x".repeat(1000))).await, 413);
        assert_eq!(read(Drip::new(3, 0, false)).await, 200);
        assert_eq!(read(Drip::new(4, 0, false)).await, 413);
        // Even an endless body is not read forever.
        assert_eq!(read(Drip::new(usize::MAX, 0, false)).await, 413);
    }

    #[tokio::test(start_paused = true)]
    async fn late_bodies() {
        assert_eq!(read(Drip::new(3, 2, false)).await, 200);
        assert_eq!(read(Drip::new(3, 4, false)).await, 408);
        assert_eq!(read(Drip::new(2, 0, true)).await, 408);
        // Each chunk in time, the whole too late.
        let start = Instant::now();
        assert_eq!(read(Drip::new(3, 2, true)).await, 408);
        assert_eq!(start.elapsed().as_secs(), 8);
        assert_eq!(read(Drip::new(4, 0, true)).await, 413);
    }

    #[tokio::test(start_paused = true)]
    async fn an_unauthenticated_sender_has_less_time() {
        let strangers = || Arc::new(BodyAllowance::new(&allowance().rules));
        assert_eq!(read_with(Drip::new(2, 2, false), &strangers()).await, 200);
        let start = Instant::now();
        assert_eq!(read_with(Drip::new(3, 2, true), &strangers()).await, 408);
        assert_eq!(start.elapsed().as_secs(), 5);
        // Even if any length is allowed.
        let stream = strangers();
        stream.set_stream();
        let start = Instant::now();
        assert_eq!(read_with(Drip::new(100, 2, true), &stream).await, 408);
        assert_eq!(start.elapsed().as_secs(), 5);
        // An authenticated sender may take a day.
        stream.know_sender();
        assert_eq!(read_with(Drip::new(100, 2, false), &stream).await, 200);
    }

    #[tokio::test(start_paused = true)]
    async fn all_bodies_together_take_bounded_memory() {
        let rules = Arc::new(BodyRules {
            limit: u64::MAX,
            idle: Duration::from_secs(60),
            total: Duration::from_secs(60),
            stranger: Duration::from_secs(60),
            memory: BodyMemory::new(8 * 1024),
            stranger_memory: BodyMemory::new(4 * 1024),
        });
        let of = |is_known: bool| {
            let allowance = Arc::new(BodyAllowance::new(&rules));
            if is_known {
                allowance.know_sender();
            }
            allowance
        };
        let body = |frames, hangs| {
            let allowance = of(true);
            async move { read_with(Drip::new(frames, 1, hangs), &allowance).await }
        };
        let slow = [tokio::spawn(body(10, true)), tokio::spawn(body(10, true))];
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(body(2, false).await, 503);
        // A body in one piece takes none of it.
        assert_eq!(read_with(Full::from("whole"), &of(true)).await, 200);
        // Unauthenticated senders have a separate share.
        assert_eq!(read_with(Drip::new(2, 1, false), &of(false)).await, 200);
        for one in slow {
            assert_eq!(one.await.unwrap(), 408);
        }
        assert_eq!(body(2, false).await, 200);
    }

    #[tokio::test]
    async fn a_client_that_expects_100_continue_is_refused_before_it_sends() {
        let body = Guarded::new(Full::from("0123456789a"), allowance(), true);
        let error = body.collect().await.unwrap_err();
        assert_eq!(error, BodyError::TooLarge { limit: 10 });
    }

    #[tokio::test]
    async fn an_incomplete_body_is_an_error() {
        struct Broken;
        impl HttpBody for Broken {
            type Data = Bytes;
            type Error = std::fmt::Error;
            fn poll_frame(
                self: Pin<&mut Self>,
                _: &mut Context<'_>,
            ) -> Poll<Option<Result<Frame<Bytes>, std::fmt::Error>>> {
                Poll::Ready(Some(Err(std::fmt::Error)))
            }
        }
        let body = Body::new(Guarded::new(Broken, allowance(), false));
        let problem = Problem::from(collect(body, None, BULK).await.unwrap_err());
        assert_eq!(problem.into_response().status(), 400);
    }
}
