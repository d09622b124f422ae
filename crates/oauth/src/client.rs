//! Client authentication (RFC 6749 §2.3).

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::form::{CLIENT_ID, CLIENT_SECRET, Form, invalid_request};
use tenantry_core::clients::ClientAuthMethod;
use tenantry_core::error::{Error, GrantError, Result};
use tenantry_domain::clients::{self, ClientIdentity};
use tenantry_http::problem::Problem;
use tenantry_http::server::Peer;
use tenantry_http::state::AppState;

/// A client that authenticates by HTTP Basic, before the form is read.
pub(crate) struct BasicClient(Option<BasicCredentials>);

struct BasicCredentials {
    id: String,
    secret: Zeroizing<String>,
    /// Who authenticated with them.
    client: ClientIdentity,
}

impl FromRequestParts<AppState> for BasicClient {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        let Some(basic) = parts.headers.get(header::AUTHORIZATION) else { return Ok(Self(None)) };
        let (id, secret) = basic.to_str().ok().and_then(read_basic).ok_or_else(|| {
            Error::Grant(GrantError::InvalidClient, "Authorization is not HTTP Basic".into())
        })?;
        let client = clients::authenticate(app, &id, Some(secret.clone()), ClientAuthMethod::Basic).await?;
        // The built-in client is public: it has no secret.
        if let (ClientIdentity::Confidential(_), Some(peer)) = (&client, parts.extensions.get::<Peer>()) {
            peer.is_known();
        }
        Ok(Self(Some(BasicCredentials { id, secret, client })))
    }
}

/// Who the client is: HTTP Basic, or `client_id` and `client_secret` in the form (RFC 6749 §2.3.1). Some clients send both,
/// though they must not (§2.3): the same credentials twice are accepted.
pub(crate) async fn client(app: &AppState, basic: BasicClient, form: &mut Form) -> Result<ClientIdentity> {
    let (id, secret) = (form.take(&CLIENT_ID), form.take(&CLIENT_SECRET));
    let Some(basic) = basic.0 else {
        let Some(id) = id else {
            let detail = "identify the client by HTTP Basic or client_id; the built-in client is tenantry";
            return Err(Error::Grant(GrantError::InvalidClient, detail.into()));
        };
        let method = if secret.is_some() { ClientAuthMethod::Post } else { ClientAuthMethod::None };
        return clients::authenticate(app, &id, secret, method).await;
    };
    // Whoever gets here knows the secret, so the time of the comparison reveals nothing.
    if id.is_some_and(|id| *id != basic.id) || secret.is_some_and(|secret| *secret != *basic.secret) {
        let detail = "HTTP Basic and the form identify the client differently: send its credentials once";
        return Err(invalid_request(detail));
    }
    Ok(basic.client)
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
        form_urlencoded::parse(format!("v={}", part.replace('&', "%26")).as_bytes())
            .next()
            .map(|(_, v)| v.into_owned())
            .unwrap_or_default()
    };
    Some((decode(id), Zeroizing::new(decode(secret))))
}
