//! Answers what no handler answers: a head that is ambiguous, and a panic.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::{Request, Response};
use axum::response::IntoResponse as _;
use tower::Service;

use crate::head::BadHead;
use crate::problem::Problem;
use crate::server::caught;

/// The service directly around the router, so that its responses get the headers that all others get.
#[derive(Debug, Clone)]
pub struct Guard<S>(S);

impl<S> Guard<S> {
    /// Wraps `inner`, usually a router.
    pub fn new(inner: S) -> Self {
        Self(inner)
    }
}

impl<S> Service<Request<Body>> for Guard<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Unpin,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = GuardFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let bad_head = request.extensions().get().copied();
        GuardFuture { inner: self.0.call(request), bad_head }
    }
}

/// The response to a request.
#[derive(Debug)]
pub struct GuardFuture<F> {
    inner: F,
    bad_head: Option<BadHead>,
}

impl<F> Future for GuardFuture<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>> + Unpin,
{
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Some(BadHead(detail)) = this.bad_head {
            // Nothing has been done yet: the router's future starts when it is polled.
            return Poll::Ready(Ok(Problem::bad_head(detail).into_response()));
        }
        caught(|| Pin::new(&mut this.inner).poll(cx))
            .unwrap_or_else(|problem| Poll::Ready(Ok(problem.into_response())))
    }
}
