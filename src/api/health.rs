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
use crate::log;
use crate::supervise::Supervisor;

/// `/healthz`, `/readyz` and `/metrics`.
pub(super) fn router(metrics: Arc<Metrics>) -> Router<App> {
    Router::new()
        .route("/healthz", get(async || super::json(StatusCode::OK, &json!({ "status": "ok" }))))
        .route("/readyz", get(ready))
        .route(
            "/metrics",
            get(move |State(app): State<App>, request: Request| async move {
                show(&metrics, app.store.supervisor(), &request)
            }),
        )
}

/// Ready = the database answers and takes what is written, and no thread is missing.
async fn ready(State(app): State<App>) -> Result<Response, Problem> {
    app.store.is_ready().await?;
    Ok(super::json(StatusCode::OK, &json!({ "status": "ready" })))
}

/// Only for this machine, and not for a proxy on it that asks for somebody else.
fn show(metrics: &Metrics, supervisor: &Supervisor, request: &Request) -> Response {
    let is_local =
        request.extensions().get::<Peer>().is_some_and(|peer| peer.address.ip().to_canonical().is_loopback());
    let is_proxied = ["x-forwarded-for", "forwarded", "x-real-ip"]
        .iter()
        .any(|name| request.headers().contains_key(*name));
    if !is_local || is_proxied {
        return Problem::unknown_path().into_response();
    }
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    let mut text = metrics.render();
    supervisor.render(&mut text);
    log::render(&mut text);
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

#[cfg(test)]
mod tests {
    use super::super::connection::Turns;
    use super::super::shares::Shares;
    use super::*;
    use metrics_exporter_prometheus::PrometheusBuilder;
    use std::net::SocketAddr;

    #[test]
    fn metrics_are_for_this_machine() {
        let metrics = Metrics::new(&PrometheusBuilder::new().build_recorder());
        let status = |peer: Option<&str>, header: Option<&str>| {
            let mut request = Request::new(axum::body::Body::empty());
            if let Some(peer) = peer {
                let address = peer.parse::<SocketAddr>().unwrap();
                request
                    .extensions_mut()
                    .insert(Peer { address, connection: Arc::new(Turns::new(Shares::new(1))) });
            }
            if let Some(name) = header {
                let name = header::HeaderName::from_bytes(name.as_bytes()).unwrap();
                request.headers_mut().insert(name, HeaderValue::from_static("127.0.0.1"));
            }
            show(&metrics, &Supervisor::default(), &request).status().as_u16()
        };
        for peer in ["127.0.0.1:9", "127.5.0.1:9", "[::1]:9", "[::ffff:127.0.0.1]:9"] {
            assert_eq!(status(Some(peer), None), 200, "{peer}");
            assert_eq!(status(Some(peer), Some("x-forwarded-for")), 404, "{peer}");
        }
        for peer in ["192.0.2.1:9", "10.0.0.1:9", "[2001:db8::1]:9", "0.0.0.0:9"] {
            assert_eq!(status(Some(peer), None), 404, "{peer}");
        }
        assert_eq!(status(None, None), 404);
    }
}
