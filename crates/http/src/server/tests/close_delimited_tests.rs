//! A body that ends with its connection looks complete only if it is.

use super::*;
use tokio::sync::mpsc;

struct Streamed(mpsc::Receiver<Result<Bytes, io::Error>>);

impl hyper::body::Body for Streamed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

/// What a stream does after its rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Then {
    End,
    Fail,
    Stall,
}

const ROWS: usize = 100_000;

async fn send_rows(sender: mpsc::Sender<Result<Bytes, io::Error>>, then: Then) {
    for _ in 0..100 {
        let _ = sender.send(Ok(Bytes::from("row\n".repeat(ROWS / 100)))).await;
    }
    match then {
        Then::End => {}
        Then::Fail => drop(sender.send(Err(io::Error::other("gone"))).await),
        Then::Stall => sender.closed().await,
    }
}

async fn start_streaming(then: Then) -> Server {
    let handler = move || async move {
        let (sender, rows) = mpsc::channel(1);
        tokio::spawn(send_rows(sender, then));
        Response::new(Body::new(Streamed(rows)))
    };
    let router = router().route("/rows", get(handler));
    start(router, Bounds { shutdown: Duration::from_millis(50), ..bounds() }).await
}

/// Reads to the end of the connection: the body, and whether the end was orderly.
async fn read_rows(stream: &mut TcpStream) -> (String, bool) {
    let mut text = Vec::new();
    let end = timeout(TIMEOUT, stream.read_to_end(&mut text)).await.unwrap();
    if let Err(error) = &end {
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
    let text = String::from_utf8(text).unwrap();
    (text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default(), end.is_ok())
}

#[tokio::test]
async fn in_http_1_0_only_a_complete_body_ends_in_an_orderly_way() {
    for then in [Then::End, Then::Fail, Then::Stall] {
        let server = start_streaming(then).await;
        let mut stream = server.connect().await;
        stream.write_all(b"GET /rows HTTP/1.0\r\nhost: h\r\n\r\n").await.unwrap();
        // A client that reads nothing at first.
        if then == Then::Stall {
            stream.readable().await.unwrap();
            server.stop().await;
        }
        let (rows, is_orderly) = read_rows(&mut stream).await;
        assert_eq!(is_orderly, then == Then::End, "{then:?}");
        if then == Then::End {
            assert_eq!(rows.len(), ROWS * 4);
        }
    }
}

#[tokio::test]
async fn in_http_1_0_other_responses_end_as_before() {
    let server = start_streaming(Then::End).await;
    for request in ["GET / HTTP/1.0", "HEAD /rows HTTP/1.0", "GET /nothing HTTP/1.0"] {
        let mut stream = server.connect().await;
        stream.write_all(format!("{request}\r\nhost: h\r\n\r\n").as_bytes()).await.unwrap();
        let (_, is_orderly) = read_rows(&mut stream).await;
        assert!(is_orderly, "{request}");
    }
}

#[tokio::test]
async fn in_http_1_1_the_last_chunk_is_missing() {
    for then in [Then::End, Then::Fail] {
        let server = start_streaming(then).await;
        let mut stream = server.connect().await;
        stream.write_all(b"GET /rows HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").await.unwrap();
        let (rows, _) = read_rows(&mut stream).await;
        assert_eq!(rows.ends_with("\r\n0\r\n\r\n"), then == Then::End, "{then:?}");
    }
}
