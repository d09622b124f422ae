mod close_delimited_tests;

use crate::server::*;
use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::{get, post};
use hyper::body::{Bytes, Frame};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Context;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use crate::guard::Guard;
use crate::incoming::{BRIEF, StreamedBody, body_problem, read_body};
use crate::json_body::JsonBody;
use crate::observe::{Metrics, Observe};
use http_body_util::BodyExt as _;
use metrics_exporter_prometheus::PrometheusBuilder;
use tenantry_core::random::Random;

/// Long enough for any test, short enough to fail by.
const TIMEOUT: Duration = Duration::from_secs(20);

struct Server {
    at: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    done: JoinHandle<io::Result<()>>,
}

/// Bounds no test meets unless it shortens one.
fn bounds() -> Bounds {
    Bounds {
        header_read: TIMEOUT,
        body_idle: TIMEOUT,
        body_total: TIMEOUT,
        body_stranger: TIMEOUT,
        keep_alive: TIMEOUT,
        write_idle: TIMEOUT,
        shutdown: TIMEOUT,
        body_limit: 64 * 1024,
        ..Bounds::default()
    }
}

async fn start<S>(router: S, bounds: Bounds) -> Server
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let done = tokio::spawn(serve(listener, router, bounds, stopped));
    Server { at, stop: Some(stop), done }
}

fn router() -> Router {
    Router::new()
        .route("/", get(|| async { "hello" }))
        .route(
            "/panics",
            get(|| async {
                if true {
                    panic!("a bug")
                }
            }),
        )
        .route("/body", post(|JsonBody(bytes): JsonBody| async move { bytes.len().to_string() }))
        .route("/api/v1/users/self", get(|uri: axum::http::Uri| async move { uri.to_string() }))
        .route(
            "/peer",
            get(|request: axum::extract::Request| async move {
                assert!(request.extensions().get::<ConnectInfo<SocketAddr>>().is_none());
                request.extensions().get::<Peer>().unwrap().address.to_string()
            }),
        )
        .fallback(|| async { Problem::unknown_path() })
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.at).await.unwrap()
    }

    /// Sends `bytes` and reads until the server closes.
    async fn exchange(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        rest(&mut stream).await
    }

    async fn get(&self, path: &str) -> String {
        self.exchange(format!("GET {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").as_bytes()).await
    }

    async fn stop(mut self) {
        self.stop.take();
        timeout(TIMEOUT, self.done).await.unwrap().unwrap().unwrap();
    }
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let end = timeout(TIMEOUT, stream.read_to_end(&mut text)).await.expect("the server must close");
    // A server that closes on what it has not read resets the connection, after its response.
    assert!(end.is_ok() || !text.is_empty(), "{end:?}");
    String::from_utf8(text).unwrap()
}

/// Reads one response whose body is `ends`, without closing.
async fn until(stream: &mut TcpStream, ends: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(ends) {
        let byte = timeout(TIMEOUT, stream.read_u8()).await.expect("an answer must come").unwrap();
        text.push(char::from(byte));
    }
    text
}

#[tokio::test]
async fn responses_on_a_keep_alive_connection() {
    let server = start(router(), bounds()).await;
    let mut stream = server.connect().await;
    for _ in 0..3 {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
        assert!(until(&mut stream, "hello").await.starts_with("HTTP/1.1 200"));
    }
    // Two at once are answered in turn.
    stream.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\nGET / HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    until(&mut stream, "hello").await;
    until(&mut stream, "hello").await;
    stream.write_all(b"GET /peer HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    let own = stream.local_addr().unwrap().to_string();
    until(&mut stream, &own).await;
    server.stop().await;
}

#[tokio::test]
async fn paths_are_canonical_before_routing() {
    let server = start(router(), bounds()).await;
    for path in ["/self?a=b", "/v1/users/self/?a=b", "/api/v1/users/self?a=b"] {
        assert!(server.get(path).await.ends_with("\r\n\r\n/api/v1/users/self?a=b"), "{path}");
    }
    let text = server.get("/nowhere").await;
    assert!(text.starts_with("HTTP/1.1 404") && text.contains("no-such-path"), "{text}");
    let text = server.exchange(b"DELETE / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").await;
    assert!(text.starts_with("HTTP/1.1 405") && text.contains("allow: GET,HEAD"), "{text}");
}

#[tokio::test]
async fn a_panic_is_a_500_and_the_connection_survives() {
    let server = start(router(), bounds()).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /panics HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    let text = until(&mut stream, "}").await;
    assert!(text.starts_with("HTTP/1.1 500") && text.contains("problem+json"), "{text}");
    assert!(!text.contains("a bug"));
    stream.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    until(&mut stream, "hello").await;
}

#[tokio::test]
async fn a_long_response_is_not_subject_to_idle_timeouts() {
    let soon = Duration::from_millis(250);
    let router = Router::new().route("/", get(async || Body::new(Slow(25, Box::pin(sleep(Duration::ZERO))))));
    let server = start(router, Bounds { header_read: soon, keep_alive: soon, ..bounds() }).await;
    // The next request is already there while the first is answered.
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\nGET / HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    let text = rest(&mut stream).await;
    assert_eq!(text.matches("\r\n0\r\n\r\n").count(), 2, "{text}");
}

/// A body of this many pieces, each after a pause.
struct Slow(usize, Pin<Box<tokio::time::Sleep>>);

impl hyper::body::Body for Slow {
    type Data = Bytes;
    type Error = Infallible;
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.0 == 0 {
            return Poll::Ready(None);
        }
        std::task::ready!(self.1.as_mut().poll(cx));
        self.0 -= 1;
        self.1 = Box::pin(sleep(Duration::from_millis(20)));
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x")))))
    }
}

#[tokio::test]
async fn an_observed_router_is_served() {
    let metrics = Arc::new(Metrics::new(&PrometheusBuilder::new().build_recorder()));
    let observed = Observe::new(Guard::new(router()), Arc::clone(&metrics), &Random::seeded(1));
    let server = start(observed, bounds()).await;
    let text = server.get("/panics").await;
    assert!(text.starts_with("HTTP/1.1 500") && text.contains("x-request-id: "), "{text}");
    assert!(metrics.render().contains("{class=\"5xx\"} 1"));
}

async fn start_observed(bounds: Bounds) -> Server {
    let metrics = Arc::new(Metrics::new(&PrometheusBuilder::new().build_recorder()));
    start(Observe::new(Guard::new(router()), metrics, &Random::seeded(1)), bounds).await
}

/// What every response has, be it the application's or the listener's own.
fn assert_secure(text: &str, request: &str) {
    for header in [
        "x-content-type-options: nosniff",
        "content-security-policy: default-src 'none'; frame-ancestors 'none'",
        "x-frame-options: DENY",
        "referrer-policy: no-referrer",
        "cache-control: no-store",
    ] {
        assert!(text.contains(&format!("\r\n{header}\r\n")), "{header} is missing after {request:?}: {text}");
    }
}

#[tokio::test]
async fn heads_that_can_be_understood_in_two_ways_are_400() {
    let server = start_observed(bounds()).await;
    let good = "GET / HTTP/1.1\r\nhost: h\r\n";
    for (request, is_good) in [
        (good.to_owned(), true),
        (String::from("GET / HTTP/1.0\r\n"), true),
        (String::from("GET http://h:80/ HTTP/1.1\r\nhost: h\r\n"), true),
        (format!("{good}x: 1\r\nx: 2\r\n"), true),
        (format!("{good}authorization: Bearer a\r\n"), true),
        (format!("{good}x: tab\there\r\n"), true),
        (String::from("GET / HTTP/1.1\r\n"), false),
        (String::from("GET http://h/ HTTP/1.1\r\n"), false),
        (String::from("GET / HTTP/1.1\r\nhost:\r\n"), false),
        (String::from("GET / HTTP/1.0\r\nhost: a b\r\n"), false),
        (format!("{good}Host: h\r\n"), false),
        (format!("{good}host: other\r\n"), false),
        (format!("{good}authorization: Bearer a\r\nAuthorization: Bearer b\r\n"), false),
        (format!("{good}content-type: application/json\r\ncontent-type: text/plain\r\n"), false),
        (String::from("GET http://user@h/ HTTP/1.1\r\nhost: h\r\n"), false),
        (String::from("GET ftp://h/ HTTP/1.1\r\nhost: h\r\n"), false),
        (String::from("GET h:80 HTTP/1.1\r\nhost: h\r\n"), false),
        (String::from("GET * HTTP/1.1\r\nhost: h\r\n"), false),
        // From here on the HTTP library answers.
        (format!("{good}x: a\u{1}b\r\n"), false),
        (format!("{good}x: a\u{7f}b\r\n"), false),
        (format!("{good}x: a\0b\r\n"), false),
        (format!("{good}x: a\r\n b\r\n"), false),
        (format!("{good}x : a\r\n"), false),
        (format!("{good}content-length: 1\r\ncontent-length: 2\r\n"), false),
        (format!("{good}content-length: +1\r\n"), false),
        (format!("{good}content-length: 1, 1\r\n"), false),
        (format!("{good}transfer-encoding: chunked, identity\r\n"), false),
        (format!("{good}transfer-encoding: gzip, chunked\r\n"), false),
        (String::from("GET / HTTP/1.0\r\nhost: h\r\ntransfer-encoding: chunked\r\n"), false),
        (String::from("GET /a\u{1}b HTTP/1.1\r\nhost: h\r\n"), false),
        (String::from("G@T / HTTP/1.1\r\nhost: h\r\n"), false),
        (String::from("GET / HTTP/9.9\r\nhost: h\r\n"), false),
        (String::from("nonsense\r\n"), false),
    ] {
        let text = server.exchange(format!("{request}connection: close\r\n\r\n").as_bytes()).await;
        let status = if is_good { " 200 OK\r\n" } else { " 400 Bad Request\r\n" };
        assert!(text.get(8..).is_some_and(|rest| rest.starts_with(status)), "{request:?}: {text}");
        assert_secure(&text, &request);
        if !is_good {
            assert!(text.contains("\r\nconnection: close\r\n"), "{request:?}: {text}");
            let body = text.split_once("\r\n\r\n").unwrap().1;
            let document: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(
                (&document["status"], &document["title"]),
                (&400.into(), &"Bad Request".into()),
                "{text}"
            );
        }
    }
}

#[tokio::test]
async fn responses_of_the_listener_itself_are_complete() {
    let server = start_observed(bounds()).await;
    let long = "a".repeat(17_000);
    let large = format!("GET / HTTP/1.1\r\nhost: h\r\nx: {long}\r\n\r\n");
    let text = server.exchange(large.as_bytes()).await;
    assert!(text.starts_with("HTTP/1.1 431 ") && text.contains("headers-too-large"), "{text}");
    assert_secure(&text, "a large head");
    // Also behind a good request on the same connection, and what answers say is no response of the listener.
    let two = "GET / HTTP/1.1\r\nhost: h\r\n\r\nnonsense\r\n\r\n";
    let text = server.exchange(two.as_bytes()).await;
    let (first, second) = text.split_once("hello").unwrap();
    assert!(first.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    assert!(
        second.starts_with("HTTP/1.1 400 Bad Request\r\n") && second.contains("malformed-request"),
        "{text}"
    );
    assert_secure(second, two);
    for path in ["/panics", "/nowhere", "/body"] {
        assert_secure(&server.get(path).await, path);
    }
}

#[tokio::test]
async fn no_request_hides_in_the_body_of_another() {
    let server = start_observed(bounds()).await;
    for lengths in [
        "content-length: 38\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 38\r\n",
        "transfer-encoding: chunked\r\n",
    ] {
        let request = format!(
            "POST /body HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\n{lengths}\r\n0\r\n\r\n\
             GET /peer HTTP/1.1\r\nhost: h\r\n\r\n"
        );
        let text = server.exchange(request.as_bytes()).await;
        assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{lengths}: {text}");
        assert!(
            text.starts_with("HTTP/1.1 200 OK\r\n") && text.contains("\r\nconnection: close\r\n"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn large_headers_are_431() {
    let server = start(router(), bounds()).await;
    let request = |size| format!("GET / HTTP/1.1\r\nconnection: close\r\nx: {}\r\n\r\n", "a".repeat(size));
    assert!(server.exchange(request(15_000).as_bytes()).await.starts_with("HTTP/1.1 200"));
    assert!(server.exchange(request(17_000).as_bytes()).await.starts_with("HTTP/1.1 431"));
    // Neither is a head without end read for ever.
    let endless = format!("GET / HTTP/1.1\r\nx: {}", "a".repeat(40_000));
    assert!(server.exchange(endless.as_bytes()).await.starts_with("HTTP/1.1 431"));
    let many = (0..200).fold(String::new(), |all, n| all + &format!("x{n}: 1\r\n"));
    let many = format!("GET / HTTP/1.1\r\n{many}\r\n");
    assert!(server.exchange(many.as_bytes()).await.starts_with("HTTP/1.1 431"));
}

fn post_of(size: usize, extra: &str) -> String {
    format!("POST /body HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: {size}\r\n{extra}\r\n")
}

#[tokio::test]
async fn large_bodies_are_413() {
    let server = start(router(), bounds()).await;
    let limit = 64 * 1024;
    let close = "connection: close\r\n";
    let good = post_of(limit, close) + &"x".repeat(limit);
    assert!(server.exchange(good.as_bytes()).await.ends_with("65536"));
    let large = post_of(limit + 1, "") + &"x".repeat(limit + 1);
    let text = server.exchange(large.as_bytes()).await;
    assert!(text.starts_with("HTTP/1.1 413") && text.contains("body-too-large"), "{text}");
    // Much too large: refused before anything is read.
    let text = server.exchange(post_of(1 << 30, "").as_bytes()).await;
    assert!(text.starts_with("HTTP/1.1 413"), "{text}");
    // Asked first: refused without `100 Continue`.
    let text = server.exchange(post_of(limit + 1, "expect: 100-continue\r\n").as_bytes()).await;
    assert!(text.starts_with("HTTP/1.1 413"), "{text}");
    // Without a length.
    let chunk = format!("8000\r\n{}\r\n", "x".repeat(0x8000));
    let chunked = format!(
        "POST /body HTTP/1.1\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n{chunk}{chunk}{chunk}0\r\n\r\n"
    );
    let text = server.exchange(chunked.as_bytes()).await;
    assert!(text.starts_with("HTTP/1.1 413"), "{text}");
}

#[tokio::test]
async fn a_body_that_stalls_is_408() {
    let server = start(router(), Bounds { body_idle: Duration::from_millis(50), ..bounds() }).await;
    let text = server.exchange((post_of(10, "") + "abc").as_bytes()).await;
    assert!(text.starts_with("HTTP/1.1 408") && text.contains("body-timeout"), "{text}");
    assert!(text.contains("connection: close"), "{text}");
}

#[tokio::test]
async fn an_import_is_as_long_as_it_likes_but_must_not_stall() {
    async fn length(StreamedBody(mut body): StreamedBody) -> Result<String, Problem> {
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            length += frame.map_err(|error| body_problem(&error))?.data_ref().map_or(0, Bytes::len);
        }
        Ok(length.to_string())
    }
    // What says nothing of its body may have an ordinary one, whichever extractor takes it.
    async fn undeclared(body: Bytes) -> String {
        body.len().to_string()
    }
    async fn brief(request: axum::extract::Request) -> Result<String, Problem> {
        Ok(read_body(request, BRIEF).await?.len().to_string())
    }
    let router = Router::new()
        .route("/api/v1/users/import", post(length).put(undeclared).patch(brief))
        .layer(axum::extract::DefaultBodyLimit::disable());
    let server = start(router, Bounds { body_idle: Duration::from_millis(200), ..bounds() }).await;
    let head = |method: &str, length: usize| {
        format!(
            "{method} /v1/users/import/ HTTP/1.1\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        )
    };
    let long = "x".repeat(300 * 1024);
    let text = server.exchange((head("POST", long.len()) + &long).as_bytes()).await;
    assert!(text.ends_with("307200"), "{text}");
    for (method, limit, status) in [("PUT", 64 * 1024, 400), ("PATCH", 4 * 1024, 413)] {
        let text = server.exchange((head(method, limit) + &long[..limit]).as_bytes()).await;
        assert!(text.ends_with(&format!("\r\n\r\n{limit}")), "{text}");
        let text = server.exchange((head(method, limit + 1) + &long[..=limit]).as_bytes()).await;
        assert!(text.starts_with(&format!("HTTP/1.1 {status}")), "only that one: {text}");
    }
    let text = server.exchange((head("POST", 10) + "abc").as_bytes()).await;
    assert!(text.starts_with("HTTP/1.1 408") && text.contains("body-timeout"), "{text}");
}

#[tokio::test]
async fn slow_heads_and_idle_connections_are_closed() {
    let soon = Duration::from_millis(50);
    let server = start(router(), Bounds { header_read: soon, ..bounds() }).await;
    assert_eq!(server.exchange(b"").await, "");
    assert_eq!(server.exchange(b"GET / HTTP/1.1\r\nhos").await, "");
    // The first time to look is when the bound for the head would have passed.
    let bounds = Bounds { header_read: Duration::from_millis(500), keep_alive: soon, ..bounds() };
    let server = start(router(), bounds).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    assert!(rest(&mut stream).await.ends_with("hello"));
}

/// An endless body that reports when it is dropped.
struct Endless(Arc<AtomicBool>, Arc<Notify>);

impl hyper::body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;
    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 4096])))))
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
        self.1.notify_one();
    }
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_cut_off() {
    let (dropped, told) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
    let endless = (Arc::clone(&dropped), Arc::clone(&told));
    let router = Router::new().route(
        "/",
        get(|| async move { Body::new(Endless(Arc::clone(&endless.0), Arc::clone(&endless.1))) }),
    );
    let server = start(router, Bounds { write_idle: Duration::from_millis(50), ..bounds() }).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'H');
    timeout(TIMEOUT, told.notified()).await.expect("the answer must be given up");
    assert!(dropped.load(Ordering::SeqCst));
}

#[tokio::test]
async fn connections_are_limited() {
    let server = start(router(), Bounds { max_connections: 1, ..bounds() }).await;
    let mut first = server.connect().await;
    first.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    until(&mut first, "hello").await;
    let mut second = server.connect().await;
    second.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    assert!(timeout(Duration::from_millis(100), second.read_u8()).await.is_err(), "it waits its turn");
    drop(first);
    until(&mut second, "hello").await;
}

#[tokio::test]
async fn shutdown_lets_requests_end() {
    let (entered, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (e, g) = (Arc::clone(&entered), Arc::clone(&go));
    let router = Router::new().route(
        "/",
        get(move || async move {
            e.notify_one();
            g.notified().await;
            "ended"
        }),
    );
    let mut server = start(router, bounds()).await;
    let idle = server.connect().await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    entered.notified().await;
    server.stop.take();
    while TcpStream::connect(server.at).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!server.done.is_finished());
    go.notify_one();
    assert!(rest(&mut stream).await.ends_with("ended"));
    drop(idle);
    server.stop().await;
}

#[tokio::test]
async fn shutdown_does_not_wait_for_ever() {
    let entered = Arc::new(Notify::new());
    let e = Arc::clone(&entered);
    let hangs = get(move || async move {
        e.notify_one();
        std::future::pending::<()>().await;
    });
    let router = Router::new().route("/", hangs);
    let server = start(router, Bounds { shutdown: Duration::from_millis(50), ..bounds() }).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    entered.notified().await;
    server.stop().await;
    assert_eq!(rest(&mut stream).await, "");
}

#[tokio::test]
async fn rounds_that_panic_are_restarted() {
    let supervisor = tenantry_core::supervise::Supervisor::default();
    supervisor.let_panic("rounds", 2);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let of_server = supervisor.clone();
    let done =
        tokio::spawn(
            async move { serve_supervised(listener, router(), bounds(), stopped, &of_server).await },
        );
    let server = Server { at, stop: Some(stop), done };
    assert!(server.get("/").await.starts_with("HTTP/1.1 200"));
    let text = || {
        let mut text = String::new();
        supervisor.render(&mut text);
        text
    };
    while !text().contains("{thread=\"rounds\"} 2\n") || !supervisor.missing().is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(server.get("/").await.starts_with("HTTP/1.1 200"));
}
