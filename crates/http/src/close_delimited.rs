//! Bodies whose end is the end of the connection: those of unknown length in HTTP/1.0 (RFC 9112 §6.3).
//!
//! Such a body looks complete however its connection is closed, so a stream that fails must end with a reset. The
//! socket is told so before the first byte and until the last one is there: then the system resets it as well if this
//! process is killed.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::Response;
use hyper::body::{Bytes, Frame};
use tokio::net::TcpStream;

use crate::connection::ConnectionState;

/// A stream that can end with a reset.
pub(super) trait ResetOnClose {
    /// Whether closing it sends a reset and drops what was not sent, or sends all of it first.
    fn reset_on_close(&self, resets: bool) -> io::Result<()>;
}

impl ResetOnClose for TcpStream {
    fn reset_on_close(&self, resets: bool) -> io::Result<()> {
        Ok(rustix::net::sockopt::set_socket_linger(self, resets.then_some(Duration::ZERO))?)
    }
}

/// Has a response in HTTP/1.0 mark its connection while a body of unknown length is sent.
pub(super) fn guard(response: Response<Body>, connection: Arc<ConnectionState>) -> Response<Body> {
    match response.body().size_hint().exact() {
        Some(_) => response,
        None => response.map(|body| Body::new(CloseDelimited { body, connection })),
    }
}

struct CloseDelimited {
    body: Body,
    connection: Arc<ConnectionState>,
}

impl HttpBody for CloseDelimited {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.connection.set_incomplete(true);
        let poll = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(poll, Poll::Ready(None)) {
            self.connection.set_incomplete(false);
        }
        poll
    }
}
