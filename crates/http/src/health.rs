//! Liveness, readiness and metrics.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde_json::json;

use crate::observe::Metrics;
use crate::problem::Problem;
use crate::server::Peer;
use crate::state::AppState;
use tenantry_core::error::Error;
use tenantry_domain::services::Services;

/// When to retry while the server starts.
const STARTING_RETRY: Duration = Duration::from_secs(10);

/// `/healthz`, `/readyz` and `/metrics`. `of_process` appends the metrics of the process.
pub fn router(metrics: Arc<Metrics>, of_process: fn(&mut String)) -> Router<AppState> {
    let logged = Arc::new(AtomicBool::new(false));
    let guarded = move |State(app): State<AppState>, request: Request| async move {
        let peer = request.extensions().get::<Peer>().map(|peer| peer.address.ip());
        if peer.is_some_and(|peer| app.settings().allows_metrics(peer)) && !is_passed_on(request.headers()) {
            return show(&metrics, app.services(), of_process);
        }
        if !logged.swap(true, Ordering::Relaxed) {
            log_refusal(peer);
        }
        Problem::unknown_path().into_response()
    };
    Router::new()
        .route("/healthz", get(async || crate::responses::json(StatusCode::OK, &json!({ "status": "ok" }))))
        .route("/readyz", get(ready))
        .route("/metrics", get(guarded))
}

/// While the server starts: `/healthz` is up, everything else is `503`.
pub fn starting_router() -> Router {
    let starting = async || {
        Problem::from(Error::Unavailable {
            what: "the server is starting".into(),
            retry_after: STARTING_RETRY,
        })
    };
    Router::new()
        .route("/healthz", get(async || crate::responses::json(StatusCode::OK, &json!({ "status": "ok" }))))
        .fallback(starting)
}

/// `/metrics`, without access control.
pub fn metrics_router(metrics: Arc<Metrics>, services: Services, of_process: fn(&mut String)) -> Router {
    Router::new().route("/metrics", get(move || async move { show(&metrics, &services, of_process) }))
}

/// Ready means that the database responds and accepts writes, and that no thread is missing.
async fn ready(State(app): State<AppState>) -> Result<Response, Problem> {
    app.store.is_ready().await?;
    Ok(crate::responses::json(StatusCode::OK, &json!({ "status": "ready" })))
}

/// Whether a proxy has forwarded the request: the peer's address is then not the client's.
fn is_passed_on(headers: &HeaderMap) -> bool {
    let by_proxies = ["forwarded", "via", "x-real-ip"];
    headers
        .keys()
        .any(|name| by_proxies.contains(&name.as_str()) || name.as_str().starts_with("x-forwarded-"))
}

/// Logs the reason, once per start; the client only gets a `404`.
fn log_refusal(peer: Option<IpAddr>) {
    let peer = peer.map_or_else(|| String::from("unknown"), |peer| peer.to_canonical().to_string());
    tracing::warn!(
        peer,
        "/metrics was asked for and answered 404: name the network of whoever may read them in metrics-allow (not a \
         proxy's), or serve them on an address of their own with metrics-listen"
    );
}

fn show(metrics: &Metrics, services: &Services, of_process: fn(&mut String)) -> Response {
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    let mut text = metrics.render();
    services.store.supervisor().render(&mut text);
    services.signing_keys.render(&mut text);
    services.sign_ins.render(&mut text);
    of_process(&mut text);
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}
