//! The metadata by which clients configure themselves (OpenID Connect Discovery 1.0, RFC 8414), and the keys that verify ID
//! tokens (RFC 7517). Each document is serialized once; scripts of any origin may read it.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use tenantry_core::signing_alg::SigningAlg;
use tenantry_domain::signing_keys;
use tenantry_http::conditional::{self, Conditions};
use tenantry_http::problem::Problem;
use tenantry_http::public_path::PublicPath;
use tenantry_http::state::AppState;

/// The keys of the next rotation are published a day before they sign, so a client may cache them. Not for
/// long: a key that is made because a new algorithm is used signs at once.
const KEYS_MAX_AGE: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// The metadata changes with the version of the server.
const METADATA_MAX_AGE: HeaderValue = HeaderValue::from_static("public, max-age=3600");

const ANY_ORIGIN: HeaderValue = HeaderValue::from_static("*");

const OPENID: &str = "/.well-known/openid-configuration";
const OAUTH: &str = "/.well-known/oauth-authorization-server";

/// The metadata document.
#[derive(Debug)]
struct Metadata {
    body: Bytes,
    tag: String,
    /// The path of the issuer, after which RFC 8414 section 3.1 puts the well-known path.
    path: String,
}

/// The documents of a server with this public URL. They are no operations of the API.
pub fn router(public_url: &str) -> Router<AppState> {
    let body = metadata(public_url).to_string();
    let tag = URL_SAFE_NO_PAD.encode(Sha256::digest(&body).get(..12).unwrap_or_default());
    let path = PublicPath::of_url(public_url).unwrap_or_default();
    let path = path.as_str().trim_start_matches('/').to_owned();
    let metadata = Arc::new(Metadata { body: body.into(), tag, path });
    let below = Arc::clone(&metadata);
    let shown = move |conditions: Conditions| async move { metadata.show(&conditions) };
    // With a path in the issuer, clients of RFC 8414 ask at the root of the host; a proxy that removes the path for the
    // others leads them here.
    let shown_below = move |Path(path): Path<String>, conditions: Conditions| async move {
        if !path.is_empty() && path.trim_end_matches('/') == below.path {
            below.show(&conditions)
        } else {
            Problem::unknown_path().into_response()
        }
    };
    Router::new()
        .route(OPENID, get(shown.clone()))
        .route(OAUTH, get(shown))
        .route(&format!("{OPENID}/{{*path}}"), get(shown_below.clone()))
        .route(&format!("{OAUTH}/{{*path}}"), get(shown_below))
        .route("/oauth/jwks", get(jwks))
}

impl Metadata {
    fn show(&self, conditions: &Conditions) -> Response {
        public(conditional::show(conditions, &self.tag, self.body.clone()), METADATA_MAX_AGE)
    }
}

async fn jwks(State(app): State<AppState>, conditions: Conditions) -> Result<Response, Problem> {
    let keys = signing_keys::jwks(&app).await?;
    Ok(public(conditional::show(&conditions, &keys.tag, keys.body.clone()), KEYS_MAX_AGE))
}

fn public(mut response: Response, max_age: HeaderValue) -> Response {
    debug_assert!(matches!(response.status(), StatusCode::OK | StatusCode::NOT_MODIFIED));
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, max_age);
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY_ORIGIN);
    response
}

/// OpenID Connect Discovery 1.0 section 3 and RFC 8414 section 2.
fn metadata(issuer: &str) -> Value {
    let at = |path: &str| format!("{issuer}{path}");
    let of_clients = ["client_secret_basic", "client_secret_post", "none"];
    json!({
        "issuer": issuer,
        "authorization_endpoint": at("/oauth/authorize"),
        "token_endpoint": at("/oauth/token"),
        "userinfo_endpoint": at("/oauth/userinfo"),
        "jwks_uri": at("/oauth/jwks"),
        "end_session_endpoint": at("/oauth/logout"),
        "revocation_endpoint": at("/oauth/revoke"),
        "introspection_endpoint": at("/oauth/introspect"),
        "scopes_supported": [
            "openid", "profile", "email", "phone", "groups", "partner", "offline_access", "read", "write",
        ],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "form_post"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials", "password"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": SigningAlg::ALL.map(SigningAlg::name),
        "token_endpoint_auth_methods_supported": of_clients,
        "revocation_endpoint_auth_methods_supported": of_clients,
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "code_challenge_methods_supported": ["S256"],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "display_values_supported": ["page", "popup", "touch", "wap"],
        "acr_values_supported": ["1", "2"],
        "claim_types_supported": ["normal"],
        "claims_supported": [
            "sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "name", "given_name", "family_name",
            "preferred_username", "updated_at", "locale", "email", "email_verified", "phone_number", "groups", "group_ids",
            "pid", "partner",
        ],
        "claims_parameter_supported": true,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "authorization_response_iss_parameter_supported": true,
        "ui_locales_supported": ["en", "nl", "sv", "fr", "zh-Hans", "it"],
        "service_documentation": at("/docs/"),
    })
}
