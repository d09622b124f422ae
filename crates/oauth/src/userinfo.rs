//! `GET|POST /oauth/userinfo` (OpenID Connect Core §5.3).

use axum::Extension;
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use zeroize::Zeroizing;

use crate::form::invalid_request;
use crate::uncached;
use tenantry_core::error::{Error, TokenError};
use tenantry_domain::userinfo as claims;
use tenantry_http::incoming::{FORM, read_body};
use tenantry_http::media_type::content_type;
use tenantry_http::problem::Problem;
use tenantry_http::responses::json;
use tenantry_http::server::Peer;
use tenantry_http::state::AppState;

/// The endpoint. As those of OpenID Connect that browsers are sent to, it is no operation of the API: its parameters and
/// answers are those of the specification, which clients know.
pub(crate) fn router() -> axum::Router<AppState> {
    axum::Router::new().route("/oauth/userinfo", get(userinfo).post(userinfo))
}

async fn userinfo(
    State(app): State<AppState>,
    peer: Option<Extension<Peer>>,
    PresentedToken(token): PresentedToken,
) -> Result<Response, Problem> {
    answer(&app, &token, peer).await
}

async fn answer(app: &AppState, token: &str, peer: Option<Extension<Peer>>) -> Result<Response, Problem> {
    let (caller, claims) = claims::claims_of(app, token).await?;
    if let Some(Extension(peer)) = peer {
        peer.belongs_to(caller.pid());
    }
    Ok(uncached(json(StatusCode::OK, &claims)))
}

/// The access token of a request: in the header, or in a form (RFC 6750 §2.1, §2.2), never in the URL.
pub(crate) struct PresentedToken(Zeroizing<String>);

impl FromRequest<AppState> for PresentedToken {
    type Rejection = Response;

    async fn from_request(request: Request, _: &AppState) -> Result<Self, Response> {
        let refused = |error: Error| Problem::from(error).into_response();
        let in_header = match request.headers().get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()) {
            Some(value) => {
                let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
                scheme.eq_ignore_ascii_case("bearer").then(|| Zeroizing::new(token.trim().to_owned()))
            }
            None => None,
        };
        let is_form = request.method() == Method::POST
            && content_type(request.headers()).is_some_and(|media_type| {
                let essence = media_type.essence().to_string();
                essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
            });
        let mut in_form = Vec::new();
        if is_form {
            let body = read_body(request, FORM).await.map_err(IntoResponse::into_response)?;
            let tokens = form_urlencoded::parse(&body).filter(|(name, _)| name == "access_token");
            in_form.extend(tokens.map(|(_, token)| Zeroizing::new(token.into_owned())));
        }
        let mut all = in_header.into_iter().chain(in_form);
        match (all.next(), all.next()) {
            (Some(token), None) => Ok(Self(token)),
            (None, _) => Err(refused(Error::Unauthenticated(TokenError::Absent))),
            (Some(_), Some(_)) => {
                let detail = "the access token is there twice: send it in the header or in the form";
                let mut response = refused(invalid_request(detail));
                response.headers_mut().insert(header::WWW_AUTHENTICATE, INVALID_REQUEST);
                Err(response)
            }
        }
    }
}

/// RFC 6750 §3.1.
const INVALID_REQUEST: HeaderValue =
    HeaderValue::from_static(r#"Bearer realm="oauth", error="invalid_request""#);
