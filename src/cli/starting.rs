//! Responses while the server starts.

use std::io;
use std::net;
use std::os::fd::AsFd as _;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinError;
use tokio::time::timeout;

use tenantry_http::health;
use tenantry_http::server::{self, Bounds};

/// A start that takes longer responds meanwhile.
const SOON: Duration = Duration::from_millis(500);

/// Runs `start` on a blocking thread. If it takes long, as the migration of a large database does, requests to
/// `listener` are answered meanwhile: `/healthz` is up, everything else `503`.
pub(super) async fn answering<T: Send + 'static>(
    listener: &TcpListener,
    start: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    let mut starting = tokio::task::spawn_blocking(start);
    if let Ok(started) = timeout(SOON, &mut starting).await {
        return started;
    }
    let listener = match again(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::warn!(%error, "requests wait until the server has started");
            return starting.await;
        }
    };
    tracing::info!("the database is still being opened: requests are answered 503 until then");
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = server::serve(listener, health::starting_router(), Bounds::default(), stopped);
    let started = async {
        let started = starting.await;
        drop(stop);
        started
    };
    let (started, _) = tokio::join!(started, serving);
    started
}

/// The same socket once more.
fn again(listener: &TcpListener) -> io::Result<TcpListener> {
    TcpListener::from_std(net::TcpListener::from(listener.as_fd().try_clone_to_owned()?))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn a_long_start_is_answered_503() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let get = async |path: &str| {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut response = String::new();
            stream.read_to_string(&mut response).await.unwrap();
            response.to_ascii_lowercase()
        };
        let (ready, wait) = std::sync::mpsc::channel::<u8>();
        let asked = async {
            assert!(get("/healthz").await.starts_with("http/1.1 200 "));
            for path in ["/readyz", "/api/v1/users", "/metrics"] {
                let response = get(path).await;
                assert!(response.starts_with("http/1.1 503 "), "{response}");
                assert!(
                    response.contains("\r\nretry-after: 10\r\n") && response.contains("is starting"),
                    "{response}"
                );
            }
            ready.send(7).unwrap();
        };
        let (started, ()) = tokio::join!(answering(&listener, move || wait.recv().unwrap()), asked);
        assert_eq!(started.unwrap(), 7);
        // The socket is still there, for the server.
        let (_, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        accepted.unwrap();
    }
}
