//! Cross-origin requests of browsers (CORS, the Fetch standard), from the origins of the setting `cors-origins`, and to the
//! endpoints of OAuth clients also from the origins of their redirect URIs. What configures clients can be read from any.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::http::header::{ETAG, LINK, LOCATION, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, Request};
use tower::Service;
use tower_http::cors::{AllowCredentials, AllowHeaders, AllowOrigin, Any, Cors, CorsLayer};

use tenantry_domain::clients;

use crate::observe::X_REQUEST_ID;
use crate::state::AppState;
use crate::writes::REPLAYED;

/// How long a browser may remember the response to a preflight request.
const MAX_AGE: Duration = Duration::from_hours(1);

/// Response headers that scripts may read, beside those that they always may.
const EXPOSED: [HeaderName; 7] =
    [ETAG, LOCATION, LINK, RETRY_AFTER, X_REQUEST_ID, REPLAYED, WWW_AUTHENTICATE];

const METHODS: [Method; 6] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// The origins whose scripts may use the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CorsOrigins {
    /// None: responses have no CORS headers.
    #[default]
    None,
    /// Any, without cookies.
    Any,
    /// Exactly these, such as `https://app.example`.
    These(Vec<String>),
}

/// The paths that browser clients of OpenID Connect use: scripts of the origins of redirect URIs may send requests there,
/// without cookies. Introspection is not one: browsers have no secret.
const OF_CLIENTS: [&str; 3] = ["/oauth/token", "/oauth/revoke", "/oauth/userinfo"];

/// The paths that configure clients, which anybody may read. Below those of the metadata is the path of an issuer.
const OF_ANYBODY: [&str; 2] =
    ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"];
const KEYS: &str = "/oauth/jwks";

fn is_of_anybody(path: &str) -> bool {
    let is_below = |metadata: &str| {
        path.strip_prefix(metadata).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    path == KEYS || OF_ANYBODY.into_iter().any(is_below)
}

/// Whether scripts of an origin may use the paths of clients.
pub type ClientOrigins = Arc<dyn Fn(String) -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

/// The origins of the redirect URIs of all clients.
pub fn client_origins(state: &AppState) -> ClientOrigins {
    let state = state.clone();
    Arc::new(move |origin| {
        let state = state.clone();
        Box::pin(async move { clients::allows_origin(&state, &origin).await })
    })
}

/// A service with CORS for the paths that may be used from other origins.
#[derive(Clone)]
pub struct WithCors<S> {
    cors: Cors<S>,
    plain: S,
    of_anybody: Cors<S>,
    /// No origin may use other paths than those of clients.
    only_for_clients: bool,
}

impl<S, B> Service<Request<B>> for WithCors<S>
where
    S: Service<Request<B>, Error = Infallible>,
    S::Future: Unpin,
    Cors<S>: Service<Request<B>, Response = S::Response, Error = Infallible>,
    <Cors<S> as Service<Request<B>>>::Future: Unpin,
{
    type Response = S::Response;
    type Error = Infallible;
    type Future = CorsFuture<<Cors<S> as Service<Request<B>>>::Future, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        ready!(self.plain.poll_ready(cx))?;
        ready!(self.of_anybody.poll_ready(cx))?;
        self.cors.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if is_of_anybody(request.uri().path()) {
            return CorsFuture::Cors(self.of_anybody.call(request));
        }
        let is_silent = self.only_for_clients
            && !(request.headers().contains_key(ORIGIN) && OF_CLIENTS.contains(&request.uri().path()));
        if is_silent {
            CorsFuture::Plain(self.plain.call(request))
        } else {
            CorsFuture::Cors(self.cors.call(request))
        }
    }
}

/// The response of a service, with CORS headers or without.
#[derive(Debug)]
pub enum CorsFuture<C, P> {
    /// With.
    Cors(C),
    /// Without.
    Plain(P),
}

impl<C, P> Future for CorsFuture<C, P>
where
    C: Future + Unpin,
    P: Future<Output = C::Output> + Unpin,
{
    type Output = C::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<C::Output> {
        match self.get_mut() {
            Self::Cors(future) => Pin::new(future).poll(cx),
            Self::Plain(future) => Pin::new(future).poll(cx),
        }
    }
}

/// Adds CORS to a service. Preflight requests are answered without authentication, as browsers require.
pub fn with_cors<S: Clone>(origins: &CorsOrigins, of_clients: ClientOrigins, inner: S) -> WithCors<S> {
    // What is the same for all may be stored by anybody: it does not vary by origin.
    let of_anybody = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::HEAD])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(EXPOSED)
        .max_age(MAX_AGE)
        .vary([]);
    let layer = CorsLayer::new()
        .allow_methods(METHODS)
        // Whatever the script wants to send: it is the origin that is trusted.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(EXPOSED)
        .max_age(MAX_AGE);
    let listed: Arc<[HeaderValue]> = match origins {
        CorsOrigins::These(origins) => {
            origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect()
        }
        CorsOrigins::None | CorsOrigins::Any => Arc::default(),
    };
    let layer = if *origins == CorsOrigins::Any {
        layer.allow_origin(Any).vary([])
    } else {
        let with_cookies = Arc::clone(&listed);
        let allow = move |origin: HeaderValue, parts: &Parts| {
            let is_listed = listed.contains(&origin);
            let of_clients = OF_CLIENTS.contains(&parts.uri.path()).then_some(of_clients);
            async move {
                match (is_listed, of_clients, origin.to_str()) {
                    (true, _, _) => true,
                    (false, Some(allows), Ok(origin)) => allows(origin.to_owned()).await,
                    _ => false,
                }
            }
        };
        layer
            .allow_origin(AllowOrigin::async_predicate(allow))
            .allow_credentials(AllowCredentials::predicate(move |origin, _| with_cookies.contains(origin)))
    };
    let only_for_clients = *origins == CorsOrigins::None;
    WithCors {
        cors: tower::Layer::layer(&layer, inner.clone()),
        of_anybody: tower::Layer::layer(&of_anybody, inner.clone()),
        plain: inner,
        only_for_clients,
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::Response;
    use axum::routing::get;
    use tower::ServiceExt as _;

    use super::*;
    use crate::guard::Guard;
    use crate::problem::Problem;

    fn service(origins: &CorsOrigins) -> WithCors<Guard<Router>> {
        let router = Router::new()
            .route("/", get(|| async { "hello" }))
            .route(
                "/panics",
                get(|| async {
                    if true {
                        panic!("a bug")
                    }
                }),
            )
            .fallback(|| async { Problem::unknown_path() });
        with_cors(origins, Arc::new(|_| Box::pin(async { false })), Guard::new(router))
    }

    async fn ask(origins: &CorsOrigins, method: Method, path: &str, origin: &str) -> Response<Body> {
        let mut request = Request::builder().method(&method).uri(path);
        if !origin.is_empty() {
            request = request.header(ORIGIN, origin);
        }
        if method == Method::OPTIONS {
            request = request
                .header("access-control-request-method", "PATCH")
                .header("access-control-request-headers", "authorization,if-match");
        }
        service(origins).oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    fn text<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
        response.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[tokio::test]
    async fn listed_origins_may_read_responses_and_errors() {
        let app = "https://app.example";
        let these = CorsOrigins::These(vec![String::from("http://localhost:3000"), String::from(app)]);
        for (path, status) in [("/", 200), ("/nowhere", 404), ("/panics", 500)] {
            let response = ask(&these, Method::GET, path, app).await;
            assert_eq!(response.status(), status);
            assert_eq!(text(&response, "access-control-allow-origin"), app);
            assert_eq!(text(&response, "access-control-allow-credentials"), "true");
            let exposed = text(&response, "access-control-expose-headers").to_ascii_lowercase();
            for name in EXPOSED {
                assert!(exposed.split(',').any(|one| one.trim() == name.as_str()), "{name}: {exposed}");
            }
            assert!(text(&response, "vary").contains("origin"), "{:?}", response.headers());
            for other in
                ["https://evil.example", "https://app.example.evil", "null", "HTTPS://APP.EXAMPLE", ""]
            {
                let response = ask(&these, Method::GET, path, other).await;
                assert_eq!(response.status(), status);
                assert_eq!(text(&response, "access-control-allow-origin"), "", "{other}");
                assert!(text(&response, "vary").contains("origin"), "{:?}", response.headers());
            }
        }
    }

    #[tokio::test]
    async fn preflight_requests_are_answered() {
        let app = "https://app.example";
        let these = CorsOrigins::These(vec![String::from(app)]);
        let response = ask(&these, Method::OPTIONS, "/nowhere", app).await;
        assert_eq!(response.status(), 200);
        assert_eq!(text(&response, "access-control-allow-origin"), app);
        assert_eq!(text(&response, "access-control-allow-headers"), "authorization,if-match");
        assert!(text(&response, "access-control-allow-methods").contains("PATCH"));
        assert_eq!(text(&response, "access-control-max-age"), "3600");
        let response = ask(&these, Method::OPTIONS, "/", "https://evil.example").await;
        assert_eq!(text(&response, "access-control-allow-origin"), "");
    }

    #[tokio::test]
    async fn anybody_may_ask_before_reading_public_documents() {
        let listed = CorsOrigins::These(vec![String::from("https://app.example")]);
        for origins in [CorsOrigins::None, CorsOrigins::Any, listed] {
            for path in [
                "/.well-known/openid-configuration",
                "/.well-known/oauth-authorization-server",
                "/.well-known/oauth-authorization-server/iam",
                "/oauth/jwks",
            ] {
                let response = ask(&origins, Method::OPTIONS, path, "https://any.example").await;
                let allowed = text(&response, "access-control-allow-origin");
                assert!(["*", "https://any.example"].contains(&allowed), "{path} {allowed}");
                assert_eq!(text(&response, "access-control-allow-credentials"), "");
            }
        }
        for path in ["/oauth/jwks/x", "/oauth/jwksx", "/.well-known/openid-configurationx", "/oauth/token"] {
            let response = ask(&CorsOrigins::None, Method::OPTIONS, path, "https://any.example").await;
            assert_eq!(text(&response, "access-control-allow-origin"), "", "{path}");
        }
    }

    #[tokio::test]
    async fn any_origin_is_without_credentials_and_none_is_silent() {
        let response = ask(&CorsOrigins::Any, Method::GET, "/", "https://app.example").await;
        assert_eq!(text(&response, "access-control-allow-origin"), "*");
        assert_eq!(text(&response, "access-control-allow-credentials"), "");
        assert_eq!(text(&response, "vary"), "", "the response is the same for all");
        for method in [Method::GET, Method::OPTIONS] {
            let response = ask(&CorsOrigins::None, method, "/", "https://app.example").await;
            let is_cors = |name: &HeaderName| name.as_str().starts_with("access-control") || name == "vary";
            assert!(!response.headers().keys().any(is_cors), "{:?}", response.headers());
        }
    }
}
