//! The yardstick: a bare axum server that answers a fixed 300-byte JSON. Prints its address and serves until it
//! is ended.

use axum::Router;
use axum::http::header;
use axum::routing::get;

const BODY_BYTES: usize = 300;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let mut body = String::from("{\"value\":\"");
    body.push_str(&"x".repeat(BODY_BYTES - body.len() - 2));
    body.push_str("\"}");
    let body: &'static str = body.leak();
    let router =
        Router::new().route("/", get(async move || ([(header::CONTENT_TYPE, "application/json")], body)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    axum::serve(listener, router).await
}
