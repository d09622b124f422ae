//! Request ids, logs, metrics and the headers of every response: one service around the router.
//!
//! It runs on every request, so it is a plain future without a box. Queries, headers and bodies are not logged: they
//! may contain secrets.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use metrics::{Counter, Key, Label, Level, Metadata, Recorder as _};
use metrics_exporter_prometheus::{PrometheusHandle, PrometheusRecorder};
use tower::Service;
use tracing::Span;

use crate::log_limiter::LogLimiter;
use crate::problem::{Busy, Cause};
use tenantry_core::random::Random;

/// The header with the request id. The client's is used if it is well-formed; every response has it.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// No response of the API is a page: if one were rendered, it could do nothing and could not be framed.
const NO_PAGE: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
const DENY: HeaderValue = HeaderValue::from_static("DENY");
const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");

const REQUESTS: &str = "tenantry_http_requests_total";
const DURATION: &str = "tenantry_http_request_duration_seconds";
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The upper bounds of the histogram's buckets: in microseconds, and in seconds as Prometheus prints them.
const BUCKETS: [(u64, &str); 16] = [
    (50, "0.00005"),
    (100, "0.0001"),
    (250, "0.00025"),
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (2_500_000, "2.5"),
    (10_000_000, "10"),
];

/// A server's metrics. The recorder belongs to the server, not to the process, so that several servers can run in one.
#[derive(Debug)]
pub struct Metrics {
    handle: PrometheusHandle,
    classes: Box<[Counter]>,
    durations: Durations,
}

impl Metrics {
    /// Registers the metrics of requests; other metrics are registered with the same `recorder`.
    pub fn new(recorder: &PrometheusRecorder) -> Self {
        let metadata = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));
        recorder.describe_counter(REQUESTS.into(), None, "Requests answered, by status class.".into());
        let classes = CLASSES
            .iter()
            .map(|class| {
                let key = Key::from_parts(REQUESTS, vec![Label::new("class", *class)]);
                recorder.register_counter(&key, &metadata)
            })
            .collect();
        Self { handle: recorder.handle(), classes, durations: Durations::default() }
    }

    /// All metrics in the text format of Prometheus, for `/metrics`.
    pub fn render(&self) -> String {
        let mut text = self.handle.render();
        self.durations.render(&mut text);
        text
    }

    /// Housekeeping of the recorder, to be called every few seconds: its histograms grow until then.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    fn count(&self, status: StatusCode, took: Duration) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        if let Some(counter) = self.classes.get(class) {
            counter.increment(1);
        }
        self.durations.record(took);
    }
}

/// A histogram with fixed buckets. The recorder's own would keep each sample with its time until the next upkeep: at a
/// hundred thousand requests a second that is megabytes, and one more clock read each.
#[derive(Debug, Default)]
struct Durations {
    buckets: [AtomicU64; BUCKETS.len()],
    longer: AtomicU64,
    nanos: AtomicU64,
}

impl Durations {
    fn record(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let place = BUCKETS.iter().position(|(end, _)| nanos <= end * 1000);
        let bucket = place.and_then(|place| self.buckets.get(place)).unwrap_or(&self.longer);
        bucket.fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    fn render(&self, text: &mut String) {
        let mut count = 0;
        // Writing to a string does not fail.
        let _ =
            writeln!(text, "# HELP {DURATION} Time until a response begins.\n# TYPE {DURATION} histogram");
        for ((_, end), bucket) in BUCKETS.iter().zip(&self.buckets) {
            count += bucket.load(Ordering::Relaxed);
            let _ = writeln!(text, "{DURATION}_bucket{{le=\"{end}\"}} {count}");
        }
        count += self.longer.load(Ordering::Relaxed);
        let seconds = Duration::from_nanos(self.nanos.load(Ordering::Relaxed)).as_secs_f64();
        let _ = writeln!(text, "{DURATION}_bucket{{le=\"+Inf\"}} {count}");
        let _ = writeln!(text, "{DURATION}_sum {seconds}\n{DURATION}_count {count}\n");
    }
}

/// Generates request ids: a random prefix per process, so that ids of several processes differ, and a counter.
#[derive(Debug)]
struct RequestIds {
    prefix: [u8; PREFIX],
    next: AtomicU64,
}

const PREFIX: usize = 12;
const COUNTER: usize = 10;

impl RequestIds {
    fn new(random: &Random) -> Self {
        let mut bytes = [0; PREFIX];
        random.fill(&mut bytes);
        Self { prefix: bytes.map(|byte| hex(u64::from(byte))), next: AtomicU64::new(0) }
    }

    /// The client's id if it is short and plain, so that it cannot forge log lines; otherwise a new one.
    fn name(&self, request: &Request<Body>) -> HeaderValue {
        match request.headers().get(&X_REQUEST_ID) {
            Some(given) if is_sane(given.as_bytes()) => given.clone(),
            _ => self.fresh(),
        }
    }

    fn fresh(&self) -> HeaderValue {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut id = [b'-'; PREFIX + 1 + COUNTER];
        id.iter_mut().zip(self.prefix).for_each(|(to, from)| *to = from);
        id.iter_mut().rev().take(COUNTER).enumerate().for_each(|(n, to)| *to = hex(number >> (4 * n)));
        // Hex digits are always allowed in a header.
        HeaderValue::from_bytes(&id).unwrap_or(HeaderValue::from_static("-"))
    }
}

/// The last hex digit of a number.
fn hex(number: u64) -> u8 {
    b"0123456789abcdef".get((number & 15) as usize).copied().unwrap_or(b'0')
}

fn is_sane(id: &[u8]) -> bool {
    (1..=64).contains(&id.len())
        && id.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// The service around the router. Clones share the counters.
#[derive(Debug, Clone)]
pub struct Observe<S> {
    inner: S,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    metrics: Arc<Metrics>,
    ids: RequestIds,
    log_limiter: LogLimiter,
}

impl<S> Observe<S> {
    /// Wraps `inner`, usually a router in a [`Guard`](crate::guard::Guard).
    pub fn new(inner: S, metrics: Arc<Metrics>, random: &Random) -> Self {
        let (ids, log_limiter) = (RequestIds::new(random), LogLimiter::default());
        Self { inner, shared: Arc::new(Shared { metrics, ids, log_limiter }) }
    }
}

impl<S> Service<Request<Body>> for Observe<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Unpin,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Observed<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Observed<S::Future> {
        let begun = Instant::now();
        let id = self.shared.ids.name(&request);
        // Pages show it; those of the API do not need it.
        if !request.uri().path().starts_with("/api/") {
            request.headers_mut().insert(X_REQUEST_ID, id.clone());
        }
        let method = request.method().clone();
        // A clone shares the text, so keeping it for the log costs only a reference count.
        let uri = request.uri().clone();
        // The fields are created only if this level is enabled.
        let span = tracing::debug_span!("request", id = text(&id), %method, path = uri.path());
        let inner = {
            let _entered = span.enter();
            self.inner.call(request)
        };
        Observed { inner, shared: Arc::clone(&self.shared), begun, id, method, uri, span }
    }
}

/// A request in progress.
#[derive(Debug)]
pub struct Observed<F> {
    inner: F,
    shared: Arc<Shared>,
    begun: Instant,
    id: HeaderValue,
    method: Method,
    uri: Uri,
    span: Span,
}

impl<F> Future for Observed<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>> + Unpin,
{
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let _entered = this.span.enter();
        let Ok(mut response) = ready!(Pin::new(&mut this.inner).poll(cx));
        let took = this.begun.elapsed();
        this.shared.metrics.count(response.status(), took);
        this.log(&response, took);
        let headers = response.headers_mut();
        secure(headers);
        headers.insert(X_REQUEST_ID, std::mem::replace(&mut this.id, NO_STORE));
        Poll::Ready(Ok(response))
    }
}

impl<F> Observed<F> {
    /// Logs one line per request, of refusals (503) one per second and cause. The line of a 500 is also the only report
    /// of its cause.
    fn log(&self, response: &Response<Body>, took: Duration) {
        let (id, method, path) = (text(&self.id), &self.method, self.uri.path());
        let status = response.status().as_u16();
        // Not u128, which the JSON log would put in quotes.
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if let Some(Cause(cause)) = response.extensions().get() {
            tracing::error!(id, %method, path, status, took_us = took, %cause, "internal error");
        } else if response.status() == StatusCode::SERVICE_UNAVAILABLE {
            let busy = response.extensions().get::<Busy>().map_or("", |busy| &*busy.0);
            if let Some(suppressed) = self.shared.log_limiter.note(busy, Instant::now()) {
                tracing::warn!(id, %method, path, status, took_us = took, suppressed, busy, "answered");
            }
        } else if status >= 500 {
            tracing::warn!(id, %method, path, status, took_us = took, "answered");
        } else {
            tracing::debug!(id, %method, path, status, took_us = took, "answered");
        }
    }
}

/// Sets the security headers of every response. Headers that a handler has set are kept, except the one with a fixed
/// value.
pub(super) fn secure(headers: &mut HeaderMap) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    // Responses contain personal data: they must not be cached unless the handler allows it.
    headers.entry(CACHE_CONTROL).or_insert(NO_STORE);
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(NO_PAGE);
    headers.insert(X_FRAME_OPTIONS, DENY);
    headers.entry(REFERRER_POLICY).or_insert(NO_REFERRER);
}

fn text(id: &HeaderValue) -> &str {
    id.to_str().unwrap_or("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::Guard;
    use crate::problem::Problem;
    use axum::Router;
    use axum::http::header::AsHeaderName;
    use axum::routing::get;
    use metrics_exporter_prometheus::PrometheusBuilder;
    use std::sync::Mutex;
    use tenantry_core::error::Error;
    use tower::ServiceExt as _;

    fn busy(what: &'static str) -> Error {
        Error::Unavailable { what: what.into(), retry_after: Duration::from_secs(1) }
    }

    fn observed() -> (Observe<Guard<Router>>, Arc<Metrics>) {
        let metrics = Arc::new(Metrics::new(&PrometheusBuilder::new().build_recorder()));
        let router = Router::new()
            .route("/", get(|| async { "hello" }))
            .route("/cached", get(|| async { ([(CACHE_CONTROL, "max-age=60")], "") }))
            .route("/broken", get(|| async { Problem::from(Error::internal("the disk is gone")) }))
            .route("/busy", get(|| async { Problem::from(busy("too many writes are waiting")) }))
            .route("/gone", get(|| async { Problem::from(busy("the database cannot be reached")) }))
            .route("/bad-gateway", get(|| async { StatusCode::BAD_GATEWAY }))
            .route(
                "/panics",
                get(|| async {
                    if true {
                        panic!("a bug {}", 7)
                    }
                }),
            );
        (Observe::new(Guard::new(router), Arc::clone(&metrics), &Random::seeded(1)), metrics)
    }

    async fn send(service: &Observe<Guard<Router>>, path: &str, id: Option<&str>) -> Response<Body> {
        let mut request = Request::builder().uri(path);
        if let Some(id) = id {
            request = request.header(X_REQUEST_ID, id);
        }
        service.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    fn header(response: &Response<Body>, name: impl AsHeaderName) -> String {
        response.headers().get(name).unwrap().to_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn each_request_has_an_id() {
        let (service, _) = observed();
        let first = header(&send(&service, "/", None).await, X_REQUEST_ID);
        let second = header(&send(&service, "/nowhere", None).await, X_REQUEST_ID);
        assert_eq!((first.len(), &first[..PREFIX]), (23, &second[..PREFIX]));
        assert!(first.ends_with("-0000000000") && second.ends_with("-0000000001"), "{first} {second}");
        assert!(is_sane(first.as_bytes()));
        let (other, _) = observed();
        let other = Observe::new(other.inner, other.shared.metrics.clone(), &Random::system());
        assert_ne!(header(&send(&other, "/", None).await, X_REQUEST_ID)[..PREFIX], first[..PREFIX]);
    }

    #[tokio::test]
    async fn a_well_formed_id_of_the_client_is_kept() {
        let (service, _) = observed();
        assert_eq!(header(&send(&service, "/", Some("a.B_9-")).await, X_REQUEST_ID), "a.B_9-");
        for bad in ["", "a b", "a;b", "é", &"x".repeat(65)] {
            let id = header(&send(&service, "/", Some(bad)).await, X_REQUEST_ID);
            assert_eq!(id.len(), 23, "{bad}");
        }
    }

    #[tokio::test]
    async fn every_response_has_the_headers() {
        let (service, _) = observed();
        for path in ["/", "/nowhere", "/broken", "/panics"] {
            let response = send(&service, path, None).await;
            assert_eq!(header(&response, X_CONTENT_TYPE_OPTIONS), "nosniff");
            assert_eq!(header(&response, CACHE_CONTROL), "no-store");
            assert_eq!(header(&response, CONTENT_SECURITY_POLICY), NO_PAGE);
            assert_eq!(header(&response, X_FRAME_OPTIONS), "DENY");
            assert_eq!(header(&response, REFERRER_POLICY), "no-referrer");
        }
        assert_eq!(header(&send(&service, "/cached", None).await, CACHE_CONTROL), "max-age=60");
    }

    #[tokio::test]
    async fn requests_are_counted() {
        let (service, metrics) = observed();
        for path in ["/", "/", "/nowhere", "/panics", "/busy"] {
            send(&service, path, None).await;
        }
        metrics.count(StatusCode::OK, Duration::from_secs(11));
        metrics.upkeep();
        let text = metrics.render();
        for line in [
            "tenantry_http_requests_total{class=\"2xx\"} 3",
            "tenantry_http_requests_total{class=\"4xx\"} 1",
            "tenantry_http_requests_total{class=\"5xx\"} 2",
            "tenantry_http_requests_total{class=\"3xx\"} 0",
            "# TYPE tenantry_http_request_duration_seconds histogram",
            "tenantry_http_request_duration_seconds_bucket{le=\"10\"} 5",
            "tenantry_http_request_duration_seconds_bucket{le=\"+Inf\"} 6",
            "tenantry_http_request_duration_seconds_count 6",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        let (_, other) = observed();
        assert!(other.render().contains("_count 0\n"), "servers count separately");
    }

    #[test]
    fn durations_fall_into_their_buckets() {
        let durations = Durations::default();
        durations.record(Duration::from_micros(50));
        durations.record(Duration::from_nanos(50_001));
        let counts: Vec<u64> = durations.buckets.iter().map(|b| b.load(Ordering::Relaxed)).collect();
        assert_eq!(counts[..3], [1, 1, 0]);
        for (micros, seconds) in BUCKETS {
            assert_eq!(seconds.parse::<f64>().unwrap(), micros as f64 / 1e6);
        }
    }

    /// Captures the log as text.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// The log lines of consecutive requests at `level`. Other tests have their own subscribers.
    async fn logged_of(level: tracing::Level, paths: &[&str]) -> String {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        let guard = tracing::subscriber::set_default(subscriber);
        let (service, _) = observed();
        for path in paths {
            send(&service, path, Some("the-id")).await;
        }
        drop(guard);
        let bytes = std::mem::take(&mut *log.0.lock().unwrap());
        String::from_utf8(bytes).unwrap()
    }

    async fn logged(level: tracing::Level, path: &str) -> String {
        logged_of(level, &[path]).await
    }

    #[tokio::test]
    async fn refusals_are_not_logged_one_by_one() {
        let text = logged_of(tracing::Level::INFO, &[["/busy"; 50].as_slice(), &["/gone"]].concat()).await;
        let of = |what: &str| text.lines().filter(|line| line.contains(what)).count();
        // One line, unless this takes more than a second.
        assert!((1..50).contains(&of("too many writes")) && of("cannot be reached") == 1, "{text}");
        assert!(text.contains("status=503") && text.contains("suppressed=0"), "{text}");
        let text = logged_of(tracing::Level::INFO, &["/bad-gateway"; 3]).await;
        assert_eq!(text.lines().count(), 3, "others are: {text}");
    }

    #[tokio::test]
    async fn one_line_for_each_request_and_no_secrets() {
        assert_eq!(logged(tracing::Level::INFO, "/?token=hunter2").await, "");
        let text = logged(tracing::Level::DEBUG, "/?token=hunter2").await;
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("the-id") && text.contains("status=200"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
        let text = logged(tracing::Level::INFO, "/busy").await;
        assert!(text.contains("WARN") && text.contains("status=503"), "{text}");
    }

    #[tokio::test]
    async fn a_500_is_logged_once_with_its_cause() {
        for (path, cause) in [("/broken", "the disk is gone"), ("/panics", "panic: a bug 7")] {
            let text = logged(tracing::Level::INFO, path).await;
            assert_eq!(text.lines().count(), 1, "{text}");
            assert!(text.contains("ERROR") && text.contains("the-id") && text.contains(cause), "{text}");
        }
    }
}
