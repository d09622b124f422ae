//! The token edge: OAuth 2.0 (RFC 6749), revocation (RFC 7009), introspection (RFC 7662).

use axum::http::{HeaderValue, header};
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use tenantry_http::state::AppState;

/// The page to which clients send browsers.
mod authorize;
/// Client authentication.
mod client;
/// Metadata and keys for clients.
pub mod discovery;
/// Forms and their schemas.
mod form;
/// Introspection.
mod introspect;
/// The page by which clients end sessions.
mod logout;
/// Parameters of pages.
mod parameters;
/// Revocation.
mod revoke;
/// The token endpoint.
mod token;
/// The claims of users.
mod userinfo;

pub use form::schemas;

/// The operations of this edge.
pub fn api() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(token::token))
        .routes(routes!(revoke::revoke))
        .routes(routes!(introspect::introspect))
}

/// The pages of this edge, to which clients send browsers. They are not operations of the API.
pub fn pages() -> axum::Router<AppState> {
    authorize::pages().merge(logout::pages())
}

/// The endpoints of OpenID Connect for clients. They are not operations of the API.
pub fn endpoints() -> axum::Router<AppState> {
    userinfo::router()
}

/// RFC 6749 §5.1 requires both.
pub(crate) fn uncached(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}
