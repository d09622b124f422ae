//! The baseline: a bare axum server that returns a fixed 300-byte JSON. Prints its address and serves until it is
//! killed.

#[path = "../src/bare.rs"]
mod bare;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    bare::serve(listener).await
}
