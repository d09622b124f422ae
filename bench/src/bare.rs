//! The baseline of benchmarks: a bare axum server that returns a fixed 300-byte JSON, without any of our code.

use std::io;

use axum::Router;
use axum::http::header;
use axum::routing::get;
use hyper::body::Bytes;
use tokio::net::TcpListener;

const BODY_BYTES: usize = 300;

/// Serves until it is dropped.
///
/// # Errors
/// Errors of the listener.
pub async fn serve(listener: TcpListener) -> io::Result<()> {
    let (begin, end) = ("{\"value\":\"", "\"}");
    let filling = "x".repeat(BODY_BYTES - begin.len() - end.len());
    let body = Bytes::from(format!("{begin}{filling}{end}"));
    let answer = async move || ([(header::CONTENT_TYPE, "application/json")], body);
    axum::serve(listener, Router::new().route("/", get(answer))).await
}
