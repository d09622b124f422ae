//! The token edge: OAuth 2.0 (RFC 6749), revocation (RFC 7009), introspection (RFC 7662).

use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use zeroize::Zeroizing;

use tenantry_core::error::{Error, GrantError, Result};
use tenantry_domain::clients::{self, ClientIdentity};
use tenantry_domain::logins;
use tenantry_domain::tokens::{self, Granted, Origin};
use tenantry_http::answers::json;
use tenantry_http::extract::ClientAddress;
use tenantry_http::incoming::{FORM, read_body};
use tenantry_http::media_type::content_type;
use tenantry_http::problem::{GrantDocument, Problem};
use tenantry_http::server::Peer;
use tenantry_http::state::AppState;

/// The scope of every token: the contract knows one.
const SCOPE: &str = "read write";

/// The operations of this edge.
pub fn api() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(token)).routes(routes!(revoke)).routes(routes!(introspect))
}

/// Tokens (RFC 6749 §5.1).
#[derive(Serialize, ToSchema)]
pub struct TokenAnswer<'a> {
    /// Send it as `Authorization: Bearer`.
    #[schema(example = "at.1.d2hhdGV2ZXIgeW91IHNheSBoZXJlIGlzIHJhbmRvbSE")]
    access_token: &'a str,
    /// Always `bearer`.
    #[schema(example = "bearer")]
    token_type: &'a str,
    /// For new tokens; works once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "rt.1.d2hhdGV2ZXIgeW91IHNheSBoZXJlIGlzIHJhbmRvbSE")]
    refresh_token: Option<&'a str>,
    /// The lifetime of the access token in seconds.
    #[schema(example = 21600)]
    expires_in: i64,
    /// Always `read write`.
    #[schema(example = "read write")]
    scope: &'a str,
    /// Present and true if a new password must be set first.
    #[serde(rename = "passwordChangeRequired", skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    password_change_required: Option<bool>,
}

/// A parameter of a form.
struct Field {
    name: &'static str,
    about: &'static str,
    example: Option<&'static str>,
    choices: &'static [&'static str],
}

impl Field {
    const fn new(name: &'static str, about: &'static str) -> Self {
        Self { name, about, example: None, choices: &[] }
    }

    const fn like(self, example: &'static str) -> Self {
        Self { example: Some(example), ..self }
    }
}

const GRANTS: [&str; 3] = ["password", "refresh_token", "client_credentials"];
const GRANT_TYPE: Field =
    Field { choices: &GRANTS, ..Field::new("grant_type", "The grant type.").like("password") };
const USERNAME: Field = Field::new("username", "Required for the grant `password`.").like("ada");
const PASSWORD: Field = Field::new("password", "Required for the grant `password`.").like("Old.Tea-Cup.12");
const REFRESH_TOKEN: Field = Field::new("refresh_token", "Required for the grant `refresh_token`.");
const SCOPE_ASKED: Field =
    Field::new("scope", "`read`, `write` or both, separated by a space; every token has both.");
const TOKEN: Field = Field::new("token", "An access or refresh token.")
    .like("at.1.d2hhdGV2ZXIgeW91IHNheSBoZXJlIGlzIHJhbmRvbSE");
const HINT: Field = Field::new("token_type_hint", "`access_token` or `refresh_token`; not needed.");
const CLIENT_ID: Field = Field::new(
    "client_id",
    "`tenantry`, the built-in public client, or a confidential client that does not use HTTP Basic.",
)
.like("tenantry");
const CLIENT_SECRET: Field =
    Field::new("client_secret", "The secret of a confidential client that does not use HTTP Basic.");

/// The JSON Schemas of the forms, by name.
pub fn schemas() -> Vec<(&'static str, Value)> {
    let form = |about: &str, required: &Field, others: &[&Field]| {
        let property = |field: &Field| {
            let mut schema = json!({ "type": "string", "description": field.about });
            if let Some(schema) = schema.as_object_mut() {
                schema.extend(field.example.map(|example| (String::from("example"), json!(example))));
                if !field.choices.is_empty() {
                    schema.insert(String::from("enum"), json!(field.choices));
                }
            }
            (field.name.to_owned(), schema)
        };
        let properties: Map<String, Value> =
            std::iter::once(required).chain(others.iter().copied()).map(property).collect();
        json!({ "type": "object", "description": about, "required": [required.name], "properties": properties })
    };
    let of_tokens = [&USERNAME, &PASSWORD, &REFRESH_TOKEN, &CLIENT_ID, &CLIENT_SECRET, &SCOPE_ASKED];
    let of_token = [&HINT, &CLIENT_ID, &CLIENT_SECRET];
    vec![
        ("TokenRequest", form("The form of a token request.", &GRANT_TYPE, &of_tokens)),
        ("TokenForm", form("The form of a revocation or an introspection.", &TOKEN, &of_token)),
    ]
}

/// The state of a token (RFC 7662 §2.2). For an inactive token only `active` is present.
#[derive(Serialize, ToSchema)]
pub struct IntrospectionAnswer {
    /// Whether it is valid.
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "read write")]
    scope: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "tenantry")]
    client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "ada")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "bearer")]
    token_type: Option<&'static str>,
    /// Seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 1_795_446_000)]
    exp: Option<i64>,
    /// Seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 1_795_424_400)]
    iat: Option<i64>,
    /// The user's id, or the client of a technical account.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2")]
    sub: Option<String>,
    /// The partner.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 1)]
    pid: Option<i64>,
    /// Whether the bearer is a partner admin.
    #[serde(rename = "isAdmin", skip_serializing_if = "Option::is_none")]
    is_admin: Option<bool>,
}

/// Parameters come in the body only (RFC 6749 §2.3.1, §3.2; B29): a password in a URL ends up in logs.
struct NoQuery;

impl<S: Sync> FromRequestParts<S> for NoQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match parts.uri.query() {
            None | Some("") => Ok(Self),
            Some(_) => Err(invalid_request("send the parameters in the body, not in the URL").into()),
        }
    }
}

/// The parameters of a form, each at most once (RFC 6749 §3.2).
struct Form(Vec<(String, Zeroizing<String>)>);

impl Form {
    fn take(&mut self, field: &Field) -> Option<Zeroizing<String>> {
        // A parameter without a value counts as left out (RFC 6749 §3.2).
        let at = self.0.iter().position(|(name, _)| name == field.name)?;
        Some(self.0.swap_remove(at).1).filter(|value| !value.is_empty())
    }

    fn require(&mut self, field: &Field) -> Result<Zeroizing<String>> {
        self.take(field).ok_or_else(|| invalid_request(format!("the parameter {} is missing", field.name)))
    }
}

impl<S: Sync> FromRequest<S> for Form {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let is_form = content_type(request.headers()).is_some_and(|media_type| {
            media_type.essence().to_string().eq_ignore_ascii_case("application/x-www-form-urlencoded")
        });
        if !is_form {
            return Err(invalid_request("send the parameters as application/x-www-form-urlencoded").into());
        }
        let body = read_body(request, FORM).await?;
        let mut form: Vec<(String, Zeroizing<String>)> = Vec::new();
        for (name, value) in form_urlencoded::parse(&body) {
            if form.iter().any(|(n, _)| *n == name) {
                return Err(invalid_request("a parameter stands there twice").into());
            }
            if name.contains('\0') || value.contains('\0') {
                return Err(invalid_request("a parameter contains the control character U+0000").into());
            }
            form.push((name.into_owned(), Zeroizing::new(value.into_owned())));
        }
        Ok(Self(form))
    }
}

fn invalid_request(detail: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::Grant(GrantError::InvalidRequest, detail.into())
}

/// A client that says by HTTP Basic who it is: it is known before the form is read. Its id, and who that is.
struct BasicClient(Option<(String, ClientIdentity)>);

impl FromRequestParts<AppState> for BasicClient {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        let Some(basic) = parts.headers.get(header::AUTHORIZATION) else { return Ok(Self(None)) };
        let (id, secret) = basic.to_str().ok().and_then(read_basic).ok_or_else(|| {
            Error::Grant(GrantError::InvalidClient, "Authorization is not HTTP Basic".into())
        })?;
        let client = clients::authenticate(app, &id, Some(secret)).await?;
        // Anybody may name the built-in client.
        if let (ClientIdentity::Confidential(_), Some(peer)) = (&client, parts.extensions.get::<Peer>()) {
            peer.is_known();
        }
        Ok(Self(Some((id, client))))
    }
}

/// Who the client is: HTTP Basic, or `client_id` and `client_secret` in the form (RFC 6749 §2.3.1).
async fn client(app: &AppState, basic: BasicClient, form: &mut Form) -> Result<ClientIdentity> {
    let (id, secret) = (form.take(&CLIENT_ID), form.take(&CLIENT_SECRET));
    let Some((basic_id, client)) = basic.0 else {
        let Some(id) = id else {
            let detail = "identify the client by HTTP Basic or client_id; the built-in client is tenantry";
            return Err(Error::Grant(GrantError::InvalidClient, detail.into()));
        };
        return clients::authenticate(app, &id, secret).await;
    };
    if secret.is_some() || id.is_some_and(|id| *id != basic_id) {
        return Err(invalid_request("the client is identified twice: use HTTP Basic or the form, not both"));
    }
    Ok(client)
}

/// Both parts are form-encoded before they are put together (RFC 6749 §2.3.1).
fn read_basic(value: &str) -> Option<(String, Zeroizing<String>)> {
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = Zeroizing::new(String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?);
    let (id, secret) = text.split_once(':')?;
    let decode = |part: &str| {
        form_urlencoded::parse(format!("v={part}").as_bytes())
            .next()
            .map(|(_, v)| v.into_owned())
            .unwrap_or_default()
    };
    Some((decode(id), Zeroizing::new(decode(secret))))
}

/// Log in, refresh, or act as a client.
///
/// `grant_type=password` logs a user in; `refresh_token` exchanges a refresh token, which works once, for new tokens;
/// `client_credentials` returns tokens of a confidential client's technical account.
#[utoipa::path(
    post, path = "/oauth/token", operation_id = "issue_token", tag = "oauth",
    request_body(content = ref("#/components/schemas/TokenRequest"), content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "Tokens", body = TokenAnswer),
        (status = 400, description = "Refused; see RFC 6749 for the code", body = GrantDocument, example = json!({"error": "invalid_grant", "error_description": "wrong username or password"})),
        (status = 401, description = "Unknown client or wrong secret", body = GrantDocument, example = json!({"error": "invalid_client", "error_description": "unknown client or wrong secret"})),
        (status = 429, description = "Too many failed logins from this address: retry after Retry-After seconds", body = tenantry_http::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "The server is busy: retry after Retry-After seconds", body = tenantry_http::problem::ProblemDocument, content_type = "application/problem+json"),
    ),
)]
async fn token(
    State(app): State<AppState>,
    ClientAddress(address): ClientAddress,
    _: NoQuery,
    basic: BasicClient,
    headers: HeaderMap,
    mut form: Form,
) -> Result<Response, Problem> {
    let client = client(&app, basic, &mut form).await?;
    let grant_type = form.require(&GRANT_TYPE)?;
    let is_known = |scope: &str| scope.split(' ').all(|one| matches!(one, "read" | "write"));
    if form.take(&SCOPE_ASKED).is_some_and(|scope| !is_known(&scope)) {
        return Err(
            Error::Grant(GrantError::InvalidScope, "the supported scopes are read and write".into()).into()
        );
    }
    let user_agent = headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let origin = Origin { address, user_agent };
    let granted = match grant_type.as_str() {
        "password" => {
            let (username, password) = (form.require(&USERNAME)?, form.require(&PASSWORD)?);
            logins::grant_password(&app, &client, &username, password, origin).await?
        }
        "refresh_token" => tokens::grant_refresh(&app, &client, &form.require(&REFRESH_TOKEN)?).await?,
        "client_credentials" => tokens::grant_client_credentials(&app, &client, origin).await?,
        _ => {
            let detail = "the supported grants are password, refresh_token and client_credentials";
            return Err(Error::Grant(GrantError::UnsupportedGrantType, detail.into()).into());
        }
    };
    Ok(uncached(answer(&granted)))
}

fn answer(granted: &Granted) -> Response {
    json(
        StatusCode::OK,
        &TokenAnswer {
            access_token: &granted.access_token,
            token_type: "bearer",
            refresh_token: granted.refresh_token.as_ref().map(|token| token.as_str()),
            expires_in: granted.expires_in / tenantry_core::clock::SECOND,
            scope: SCOPE,
            password_change_required: granted.password_change_required.then_some(true),
        },
    )
}

/// RFC 6749 §5.1 requires both.
fn uncached(mut answer: Response) -> Response {
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer.headers_mut().insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    answer
}

/// End the session of a token (RFC 7009).
///
/// The response is the same for an unknown or ended token.
#[utoipa::path(
    post, path = "/oauth/revoke", operation_id = "revoke_token", tag = "oauth",
    request_body(content = ref("#/components/schemas/TokenForm"), content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "Revoked", body = Object),
        (status = 400, description = "A parameter is missing", body = GrantDocument, example = json!({"error": "invalid_request", "error_description": "the parameter token is missing"})),
        (status = 401, description = "Unknown client or wrong secret", body = GrantDocument, example = json!({"error": "invalid_client", "error_description": "unknown client or wrong secret"})),
        (status = 503, description = "The server is busy: retry after Retry-After seconds", body = tenantry_http::problem::ProblemDocument, content_type = "application/problem+json"),
    ),
)]
async fn revoke(
    State(app): State<AppState>,
    _: NoQuery,
    basic: BasicClient,
    mut form: Form,
) -> Result<Response, Problem> {
    let client = client(&app, basic, &mut form).await?;
    tokens::revoke(&app, &client, &form.require(&TOKEN)?).await?;
    Ok(uncached(json(StatusCode::OK, &json!({}))))
}

/// Introspect a token (RFC 7662).
///
/// For confidential clients. A token of another partner, or an invalid one, is `{"active": false}`.
#[utoipa::path(
    post, path = "/oauth/introspect", operation_id = "introspect_token", tag = "oauth",
    request_body(content = ref("#/components/schemas/TokenForm"), content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The state of the token", body = IntrospectionAnswer),
        (status = 400, description = "A parameter is missing, or the client is public", body = GrantDocument, example = json!({"error": "unauthorized_client", "error_description": "a public client cannot introspect"})),
        (status = 401, description = "Unknown client or wrong secret", body = GrantDocument, example = json!({"error": "invalid_client", "error_description": "unknown client or wrong secret"})),
        (status = 503, description = "The server is busy: retry after Retry-After seconds", body = tenantry_http::problem::ProblemDocument, content_type = "application/problem+json"),
    ),
)]
async fn introspect(
    State(app): State<AppState>,
    _: NoQuery,
    basic: BasicClient,
    mut form: Form,
) -> Result<Response, Problem> {
    let client = client(&app, basic, &mut form).await?;
    let Some(found) = tokens::introspect(&app, &client, &form.require(&TOKEN)?).await? else {
        return Ok(uncached(json(StatusCode::OK, &json!({ "active": false }))));
    };
    let (sub, username) = match found.user {
        Some((id, username)) => (id.to_string(), Some(username)),
        None => (found.client_id.clone(), None),
    };
    let answer = IntrospectionAnswer {
        active: true,
        scope: Some(SCOPE),
        client_id: Some(found.client_id),
        username,
        token_type: (!found.is_refresh_token).then_some("bearer"),
        exp: Some(found.expires_at / tenantry_core::clock::SECOND),
        iat: Some(found.issued_at / tenantry_core::clock::SECOND),
        sub: Some(sub),
        pid: Some(found.pid.0),
        is_admin: Some(found.is_admin),
    };
    Ok(uncached(json(StatusCode::OK, &answer)))
}
