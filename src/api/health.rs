//! Is it alive, is it ready, and what does it do.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde_json::json;

use super::observe::Metrics;
use super::problem::Problem;
use super::server::Peer;
use crate::app::App;

/// `/healthz`, `/readyz` and `/metrics`.
pub(super) fn router(metrics: Arc<Metrics>) -> Router<App> {
    Router::new()
        .route("/healthz", get(async || super::json(StatusCode::OK, &json!({ "status": "ok" }))))
        .route("/readyz", get(ready))
        .route("/metrics", get(move |request: Request| async move { show(&metrics, &request) }))
}

/// Ready = the database answers.
async fn ready(State(app): State<App>) -> Result<Response, Problem> {
    app.store.is_ready().await?;
    Ok(super::json(StatusCode::OK, &json!({ "status": "ready" })))
}

/// Only for this machine, and not for a proxy on it that asks for somebody else.
fn show(metrics: &Metrics, request: &Request) -> Response {
    let is_local = request.extensions().get::<Peer>().is_some_and(|peer| peer.0.ip().to_canonical().is_loopback());
    let is_proxied = ["x-forwarded-for", "forwarded", "x-real-ip"]
        .iter()
        .any(|name| request.headers().contains_key(*name));
    if !is_local || is_proxied {
        return Problem::unknown_path().into_response();
    }
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], metrics.render()).into_response()
}
