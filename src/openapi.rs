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

use tenantry_http::problem::ProblemDocument;
use tenantry_http::state::AppState;

mod answers;
mod common;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tenantry",
        description = "User management for multi-tenant products. Paths can end in a slash; /v1 is the same as /api/v1; errors are problem documents (RFC 9457).",
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
        (name = "oauth", description = "Logging in (RFC 6749, 7009, 7662)"),
        (name = "operator", description = "Partners, for operators, with an operator token"),
    ),
)]
struct Base;

/// The document without its operations.
pub fn base() -> Document {
    let mut document = Base::openapi();
    let scopes = || Scopes::from_iter([("read", "Read"), ("write", "Change")]);
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
    let text = complete(document).to_string();
    let ui = utoipa_swagger_ui::SwaggerUi::new("/docs")
        // Unless told otherwise, it sends the document's address to validator.swagger.io.
        .config(utoipa_swagger_ui::Config::from("/api/v1/openapi.json").validator_url("none"));
    let ui = Router::from(ui).layer(map_response(async |mut page: Response| {
        page.headers_mut().insert(header::CONTENT_SECURITY_POLICY, UI_POLICY);
        page
    }));
    Router::new().route("/api/v1/openapi.json", get(async move || show(&text))).merge(ui)
}

/// What the pages of Swagger UI need: their own files, the API, styles that scripts set, and pictures that stand in styles.
const UI_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

fn show(text: &str) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], text.to_owned()).into_response()
}
