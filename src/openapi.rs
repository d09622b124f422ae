//! The OpenAPI document (3.1) and Swagger UI. Operations document themselves where they stand; here is what they
//! have in common (`common.rs` adds who may call them, errors and examples).

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde_json::Value;
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{
    ClientCredentials, Flow, HttpAuthScheme, HttpBuilder, OAuth2, Password, Scopes, SecurityScheme,
};

use tenantry_core::scopes::TokenScope;
use tenantry_http::problem::ProblemDocument;
use tenantry_http::public_path::PublicPath;
use tenantry_http::state::AppState;

mod common;
mod responses;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tenantry",
        description = "User management for multi-tenant products. Paths can end in a slash; /v1 and /portal/api/v1 are the same as /api/v1; errors are problem documents (RFC 9457).",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    servers((url = "/", description = "This server")),
    components(schemas(ProblemDocument)),
    tags(
        (name = "users", description = "Users of the caller's partner, for partner admins"),
        (name = "self", description = "Self-service for logged-in users"),
        (name = "groups", description = "Groups of the caller's partner, for partner admins"),
        (name = "permissions", description = "Permissions of groups and users, for partner admins"),
        (name = "evaluations", description = "Whether a user may do something (OpenID AuthZEN, Authorization API 1.0)"),
        (name = "events", description = "The audit log, for partner admins"),
        (name = "policy", description = "Who needs a second factor, and which rules passwords follow, for partner admins"),
        (name = "branding", description = "What sign-in pages show of the caller's partner, for partner admins"),
        (name = "oauth", description = "Logging in (RFC 6749, 7009, 7662)"),
        (name = "clients", description = "OAuth clients of the caller's partner, for partner admins"),
        (name = "operator", description = "Partners and OAuth clients, for operators, with an operator token"),
    ),
)]
struct Base;

/// The document without its operations.
pub fn base() -> Document {
    let mut document = Base::openapi();
    let scopes = || {
        // Logins without pages know those of the API only.
        Scopes::from_iter([
            (TokenScope::Read.name(), "GET, HEAD and permission evaluations"),
            (TokenScope::Write.name(), "Everything else"),
        ])
    };
    let components = document.components.get_or_insert_default();
    components.add_security_scheme(
        "login",
        SecurityScheme::OAuth2(OAuth2::new([
            Flow::Password(Password::new("/oauth/token", scopes())),
            Flow::ClientCredentials(ClientCredentials::new("/oauth/token", scopes())),
        ])),
    );
    components.add_security_scheme(
        "operator",
        SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build()),
    );
    components.add_security_scheme(
        "client",
        SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Basic).build()),
    );
    document
}

/// The document with what its operations have in common.
pub fn complete(document: &Document) -> Value {
    common::complete(serde_json::to_value(document).unwrap_or_default())
}

/// `/api/v1/openapi.json` and `/docs/`, whose files are in the binary.
pub fn router(document: &Document) -> Router<AppState> {
    let document = complete(document);
    let text = document.to_string();
    let show = async move |path: PublicPath| match path.as_str() {
        "" => shown(text.clone()),
        path => shown(below(document.clone(), path).to_string()),
    };
    let ui = utoipa_swagger_ui::SwaggerUi::new("/docs")
        // Unless told otherwise, it sends the document's address to validator.swagger.io.
        .config(utoipa_swagger_ui::Config::from(FROM_DOCS).validator_url("none"));
    let ui = Router::from(ui).layer(map_response(async |mut page: Response| {
        page.headers_mut().insert(header::CONTENT_SECURITY_POLICY, UI_POLICY);
        page
    }));
    Router::new().route("/api/v1/openapi.json", get(show)).merge(ui)
}

/// The document as the pages under `/docs/` find it, whatever path a proxy puts before both.
const FROM_DOCS: &str = "../api/v1/openapi.json";

/// The document of a server that clients see below a path.
fn below(mut document: Value, path: &str) -> Value {
    if let Some(url) = document.pointer_mut("/servers/0/url") {
        *url = path.into();
    }
    let flows =
        document.pointer_mut("/components/securitySchemes/login/flows").and_then(Value::as_object_mut);
    for url in flows.into_iter().flatten().filter_map(|(_, flow)| flow.get_mut("tokenUrl")) {
        *url = format!("{path}{}", url.as_str().unwrap_or_default()).into();
    }
    document
}

/// What the pages of Swagger UI need: their own files, the API, styles that scripts set, and pictures that stand in styles.
const UI_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

fn shown(text: String) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], text).into_response()
}
