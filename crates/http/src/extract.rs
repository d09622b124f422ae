//! Extractors: the caller, and other parts of a request.

use std::net::IpAddr;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};

use crate::forwarded;
use crate::paging::Params;
use crate::parameters::{
    CLIENT_ID, FACTOR_ID, GROUP_ID, OBJECT_TYPE, PARTNER_ID, Parameter, ReadFrom, SECRET_ID, SESSION_ID,
    USER_ID,
};
use crate::problem::Problem;
use crate::server::Peer;
use crate::state::AppState;
use tenantry_core::error::{Error, Missing, TokenError};
use tenantry_core::model::{GroupId, PartnerId, UserId};
use tenantry_core::scopes::TokenScope;
use tenantry_core::values;
use tenantry_domain::{clients, permissions, tokens};
use tenantry_store::access::{self, Caller, Operator, Scope as _};

/// The bearer token of a request (RFC 6750 §2.1).
fn bearer(headers: &HeaderMap) -> Result<&str, Error> {
    let absent = Error::Unauthenticated(TokenError::Absent);
    let Some(value) = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()) else {
        return Err(absent);
    };
    // An empty token is invalid, not absent: the space before it is trimmed on the wire.
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(absent) }
}

/// The scope that a request needs (contract, "Logging in"). Evaluations only read, although they are sent by POST: their
/// extractor asks for [`TokenScope::Read`].
pub fn needed_scope(method: &Method) -> TokenScope {
    if matches!(*method, Method::GET | Method::HEAD) { TokenScope::Read } else { TokenScope::Write }
}

/// The caller of an operation whose method says what it does.
async fn caller(parts: &mut Parts, app: &AppState) -> Result<Caller, Error> {
    let scope = needed_scope(&parts.method);
    let caller = authenticate(parts, app).await?;
    caller.require(scope)?;
    Ok(caller)
}

/// Authenticates the request, once: later extractors find the caller in its extensions.
async fn authenticate(parts: &mut Parts, app: &AppState) -> Result<Caller, Error> {
    if let Some(caller) = parts.extensions.get::<Caller>() {
        return Ok(caller.clone());
    }
    let caller = tokens::authenticate(app, bearer(&parts.headers)?).await?;
    if let Some(peer) = parts.extensions.get::<Peer>() {
        peer.belongs_to(caller.pid());
    }
    parts.extensions.insert(caller.clone());
    Ok(caller)
}

/// The caller by any kind of token: its partner (0 for an operator) and a name.
pub(super) async fn caller_name(parts: &mut Parts, app: &AppState) -> Result<(PartnerId, String), Error> {
    let token = bearer(&parts.headers)?;
    // Those of earlier versions have a dot.
    if token.starts_with("op_") || token.starts_with("op.") {
        // An operator is identified by its token only.
        return Ok((PartnerId(0), tokens::operator_name(token)));
    }
    let caller = caller(parts, app).await?;
    Ok((caller.pid(), caller.actor().to_string()))
}

/// Requires a partner admin (B12).
#[derive(Debug)]
pub struct Admin(pub access::Admin);

impl FromRequestParts<AppState> for Admin {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        let admin = access::Admin::of(&caller(parts, app).await?)?;
        if !parts.method.is_safe() {
            // Checked before the body is read and validated in vain: this makes refusing a flood cheaper.
            app.store.expect_room(admin.pid())?;
        }
        Ok(Self(admin))
    }
}

/// Requires a logged-in user.
#[derive(Debug)]
pub struct Member(pub access::Member);

impl FromRequestParts<AppState> for Member {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        Ok(Self(access::Member::of(caller(parts, app).await?)?))
    }
}

/// Requires a logged-in user, possibly one that must first add a second factor: only to add one.
#[derive(Debug)]
pub struct MemberAddingFactor(pub access::Member);

impl FromRequestParts<AppState> for MemberAddingFactor {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        Ok(Self(access::Member::adding_factor(caller(parts, app).await?)?))
    }
}

/// Requires a caller that may request evaluations: an admin or a technical account about anybody, a member about
/// itself.
#[derive(Debug)]
pub struct EvaluationRequester(pub access::Requester);

impl FromRequestParts<AppState> for EvaluationRequester {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        let caller = authenticate(parts, app).await?;
        caller.require(TokenScope::Read)?;
        Ok(Self(access::Requester::of(caller)?))
    }
}

/// Requires a caller that may list permissions: an admin anybody's, a member its own.
#[derive(Debug)]
pub struct PermissionsRequester(pub access::Requester);

impl FromRequestParts<AppState> for PermissionsRequester {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        Ok(Self(access::Requester::beyond_evaluations(caller(parts, app).await?)?))
    }
}

/// Requires a logged-in user, possibly one that must first change its password (B22): only for A4 and A7.
#[derive(Debug)]
pub struct RestrictedMember(pub access::Member);

impl FromRequestParts<AppState> for RestrictedMember {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        Ok(Self(access::Member::even_restricted(caller(parts, app).await?)?))
    }
}

/// Requires an operator token.
#[derive(Debug)]
pub struct ByOperator(pub Operator);

impl FromRequestParts<AppState> for ByOperator {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        let token = bearer(&parts.headers)?.to_owned();
        let operator = tokens::authenticate_operator(app, &token).await?;
        if let Some(peer) = parts.extensions.get::<Peer>() {
            peer.is_known();
        }
        Ok(Self(operator))
    }
}

/// A raw path parameter.
async fn path_text(parts: &mut Parts, app: &AppState, name: &str) -> Option<String> {
    let params = RawPathParams::from_request_parts(parts, app).await.ok()?;
    params.iter().find(|(known, _)| *known == name).map(|(_, text)| text.to_owned())
}

/// An id in the path: anything but a positive integer up to 2^63-1 is not found (B17).
async fn path_id(
    parts: &mut Parts,
    app: &AppState,
    parameter: &Parameter,
    missing: Missing,
) -> Result<i64, Problem> {
    let text = path_text(parts, app, parameter.name).await;
    let id = text.as_deref().and_then(values::whole_number);
    id.filter(|id| *id > 0).ok_or_else(|| Error::NotFound(missing).into())
}

/// A user's id in the path.
#[derive(Debug)]
pub struct UserPath(pub UserId);

impl ReadFrom for UserPath {
    const PARAMETERS: &'static [&'static Parameter] = &[&USER_ID];
}

impl FromRequestParts<AppState> for UserPath {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        path_id(parts, app, &USER_ID, Missing::User).await.map(UserId).map(Self)
    }
}

/// A group's id in the path.
#[derive(Debug)]
pub struct GroupPath(pub GroupId);

impl ReadFrom for GroupPath {
    const PARAMETERS: &'static [&'static Parameter] = &[&GROUP_ID];
}

impl FromRequestParts<AppState> for GroupPath {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        path_id(parts, app, &GROUP_ID, Missing::Group).await.map(GroupId).map(Self)
    }
}

/// A group's id in the path of its permissions and wildcards: there a group that is not in the partner is a `400`, as
/// published (contract, part C).
#[derive(Debug)]
pub struct AccessibleGroupPath(pub GroupId);

impl ReadFrom for AccessibleGroupPath {
    const PARAMETERS: &'static [&'static Parameter] = &[&GROUP_ID];
}

impl FromRequestParts<AppState> for AccessibleGroupPath {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        let id = path_id(parts, app, &GROUP_ID, Missing::Group).await;
        id.map(GroupId).map(Self).map_err(|_| permissions::inaccessible().into())
    }
}

/// A group's and a user's id in the path.
#[derive(Debug)]
pub struct MemberPath(pub GroupId, pub UserId);

impl ReadFrom for MemberPath {
    const PARAMETERS: &'static [&'static Parameter] = &[&GROUP_ID, &USER_ID];
}

impl FromRequestParts<AppState> for MemberPath {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        let group = path_id(parts, app, &GROUP_ID, Missing::Group).await?;
        let user = path_id(parts, app, &USER_ID, Missing::User).await?;
        Ok(Self(GroupId(group), UserId(user)))
    }
}

/// A name in the path.
#[derive(Debug)]
pub struct NamePath(pub String);

impl ReadFrom for NamePath {
    const PARAMETERS: &'static [&'static Parameter] = &[&OBJECT_TYPE];
}

impl FromRequestParts<AppState> for NamePath {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        let params = RawPathParams::from_request_parts(parts, app).await.ok();
        let name = params.as_ref().and_then(|params| params.iter().next()).map(|(_, text)| text.to_owned());
        Ok(Self(name.unwrap_or_default()))
    }
}

/// A partner's id in the path.
#[derive(Debug)]
pub struct PartnerPath(pub PartnerId);

impl ReadFrom for PartnerPath {
    const PARAMETERS: &'static [&'static Parameter] = &[&PARTNER_ID];
}

impl FromRequestParts<AppState> for PartnerPath {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        path_id(parts, app, &PARTNER_ID, Missing::Partner).await.map(PartnerId).map(Self)
    }
}

/// A session's id in the path.
#[derive(Debug)]
pub struct SessionPath(pub String);

impl ReadFrom for SessionPath {
    const PARAMETERS: &'static [&'static Parameter] = &[&SESSION_ID];
}

impl FromRequestParts<AppState> for SessionPath {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        let missing = || Problem::from(Error::NotFound(Missing::Session));
        // Anything with characters that our session ids do not have is not found.
        let is_name =
            |text: &String| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        path_text(parts, app, SESSION_ID.name).await.filter(is_name).map(Self).ok_or_else(missing)
    }
}

/// The id of a second factor in the path.
#[derive(Debug)]
pub struct FactorPath(pub String);

impl ReadFrom for FactorPath {
    const PARAMETERS: &'static [&'static Parameter] = &[&FACTOR_ID];
}

impl FromRequestParts<AppState> for FactorPath {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        Ok(Self(path_text(parts, app, FACTOR_ID.name).await.unwrap_or_default()))
    }
}

/// The id of an OAuth client in the path. One of another form is not found.
#[derive(Debug)]
pub struct ClientPath(pub String);

impl ReadFrom for ClientPath {
    const PARAMETERS: &'static [&'static Parameter] = &[&CLIENT_ID];
}

impl FromRequestParts<AppState> for ClientPath {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        let id = path_text(parts, app, CLIENT_ID.name).await.unwrap_or_default();
        clients::partner_of(&id)?;
        Ok(Self(id))
    }
}

/// The id of a secret of an OAuth client in the path.
#[derive(Debug)]
pub struct SecretPath(pub i64);

impl ReadFrom for SecretPath {
    const PARAMETERS: &'static [&'static Parameter] = &[&SECRET_ID];
}

impl FromRequestParts<AppState> for SecretPath {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        path_id(parts, app, &SECRET_ID, Missing::ClientSecret).await.map(Self)
    }
}

/// The operation has no query parameters: any is refused (B29).
#[derive(Debug)]
pub struct NoParams;

impl FromRequestParts<AppState> for NoParams {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Problem> {
        if parts.uri.query().is_some_and(|query| !query.is_empty()) {
            Params::parse(parts.uri.query()).finish()?;
        }
        Ok(Self)
    }
}

/// The unparsed query parameters of the request.
#[derive(Debug)]
pub struct QueryParams(pub Params);

impl FromRequestParts<AppState> for QueryParams {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        Ok(Self(Params::parse(parts.uri.query()).with_cursors(&app.cursor_key)))
    }
}

/// The client's address; see [`forwarded::client_address`].
#[derive(Debug, Clone, Copy)]
pub struct ClientAddress(pub IpAddr);

impl FromRequestParts<AppState> for ClientAddress {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        let peer =
            parts.extensions.get::<Peer>().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.address.ip());
        let settings = app.settings();
        let trusts = |address| settings.trusts(address);
        Ok(Self(forwarded::client_address(peer, &parts.headers, settings.forwarded_header, trusts)))
    }
}
