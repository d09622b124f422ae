//! Request bodies, bounded in size and time, whichever extractor reads them and however they are framed.

use std::error::Error as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::problem::Problem;
use crate::error::Fault;

/// Why a body could not be read. It travels inside [`axum::Error`]; [`read_body`] finds it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyFault {
    /// More bytes than allowed.
    #[error("the body has more than {limit} bytes")]
    TooLarge {
        /// The most bytes a body may have.
        limit: u64,
    },
    /// Nothing came for too long, or the whole took too long.
    #[error("the body did not arrive in time")]
    Stalled,
    /// The connection broke, or the framing is wrong.
    #[error("the body breaks off")]
    Broken,
}

/// The bounds of one body.
#[derive(Debug, Clone, Copy)]
pub(super) struct BodyBounds {
    /// Bytes.
    pub(super) limit: u64,
    /// How long the next bytes may take.
    pub(super) idle: Duration,
    /// How long the whole may take.
    pub(super) total: Duration,
}

/// A body past its limit is still read this many times the limit, and thrown away: a client that is busy sending
/// does not look for the answer, and closing on it would reset the connection before it sees the 413.
const DRAIN: u64 = 4;

/// A body that fails instead of growing past its limit or stalling. Timers are touched only when bytes are late.
#[derive(Debug)]
pub(super) struct Guarded<B> {
    inner: B,
    bounds: BodyBounds,
    read: u64,
    deadline: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
    started: bool,
    /// The client waits for `100 Continue`, so it is not sending yet and needs no draining.
    expects: bool,
    over: bool,
}

impl<B> Guarded<B> {
    pub(super) fn new(inner: B, bounds: BodyBounds, expects: bool) -> Self {
        let deadline = Instant::now() + bounds.total;
        Self {
            inner,
            bounds,
            read: 0,
            deadline,
            timer: None,
            waiting: false,
            started: false,
            expects,
            over: false,
        }
    }

    fn too_large<T>(&self) -> Poll<Option<Result<T, BodyFault>>> {
        Poll::Ready(Some(Err(BodyFault::TooLarge { limit: self.bounds.limit })))
    }

    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let waiting = std::mem::replace(&mut self.waiting, true);
        let deadline = || self.deadline.min(Instant::now() + self.bounds.idle);
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

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for Guarded<B> {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let this = self.get_mut();
        let limit = this.bounds.limit;
        if !std::mem::replace(&mut this.started, true) {
            let announced = this.inner.size_hint().lower();
            this.over = announced > limit;
            if this.over && (this.expects || announced > limit.saturating_mul(DRAIN)) {
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
                    if this.read > limit.saturating_mul(DRAIN) {
                        return this.too_large();
                    }
                }
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Some(Err(BodyFault::Broken))),
                Poll::Ready(None) if this.over => return this.too_large(),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => {
                    return match this.poll_late(cx) {
                        Poll::Ready(()) if this.over => this.too_large(),
                        Poll::Ready(()) => Poll::Ready(Some(Err(BodyFault::Stalled))),
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

/// Reads a whole body, for any handler that wants the bytes.
///
/// # Errors
/// 413 or 408 when the server's bounds were passed (the server puts them around every body), 400 when it breaks off.
pub async fn read_body(body: Body) -> Result<Bytes, Problem> {
    match body.collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) => Err(body_problem(&error)),
    }
}

/// Why a body could not be read to its end.
pub fn body_problem(error: &axum::Error) -> Problem {
    match fault_of(error) {
        BodyFault::TooLarge { limit } => Problem::body_too_large(limit),
        BodyFault::Stalled => Problem::body_stalled(),
        BodyFault::Broken => Fault::new("", "broken-body", "the body breaks off before its end").into(),
    }
}

fn fault_of(error: &axum::Error) -> BodyFault {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(fault) = error.downcast_ref::<BodyFault>() {
            return *fault;
        }
        source = error.source();
    }
    BodyFault::Broken
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse as _;
    use http_body_util::Full;
    use std::convert::Infallible;

    const BOUNDS: BodyBounds =
        BodyBounds { limit: 10, idle: Duration::from_secs(3), total: Duration::from_secs(8) };

    /// A body that sends its frames `every` so often, then ends, or hangs when `hangs`.
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
        match read_body(Body::new(Guarded::new(body, BOUNDS, false))).await {
            Ok(_) => 200,
            Err(problem) => problem.into_response().status().as_u16(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn sizes() {
        assert_eq!(read(Full::from("0123456789")).await, 200);
        assert_eq!(read(Full::from("0123456789a")).await, 413);
        assert_eq!(read(Full::from("x".repeat(1000))).await, 413);
        assert_eq!(read(Drip::new(3, 0, false)).await, 200);
        assert_eq!(read(Drip::new(4, 0, false)).await, 413);
        // Not even a body without end is read for ever.
        assert_eq!(read(Drip::new(usize::MAX, 0, false)).await, 413);
    }

    #[tokio::test(start_paused = true)]
    async fn late_bodies() {
        assert_eq!(read(Drip::new(3, 2, false)).await, 200);
        assert_eq!(read(Drip::new(3, 4, false)).await, 408);
        assert_eq!(read(Drip::new(2, 0, true)).await, 408);
        // Each piece in time, the whole too late.
        let start = Instant::now();
        assert_eq!(read(Drip::new(3, 2, true)).await, 408);
        assert_eq!(start.elapsed().as_secs(), 8);
        assert_eq!(read(Drip::new(4, 0, true)).await, 413);
    }

    #[tokio::test]
    async fn a_client_that_asks_first_is_refused_before_it_sends() {
        let body = Guarded::new(Full::from("0123456789a"), BOUNDS, true);
        let error = body.collect().await.unwrap_err();
        assert_eq!(error, BodyFault::TooLarge { limit: 10 });
    }

    #[tokio::test]
    async fn a_broken_body_is_a_fault() {
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
        let problem = read_body(Body::new(Guarded::new(Broken, BOUNDS, false))).await.unwrap_err();
        assert_eq!(problem.into_response().status(), 400);
    }
}
