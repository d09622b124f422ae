//! Parsing authorization requests.

use std::borrow::Cow;

use super::{
    AuthorizationError, AuthorizationRequest, AuthorizationResponse, Decided, LIFETIME, Prompt, Prompts,
    ResponseMode, ReturnAddress,
};
use crate::claims::{ClaimSet, ClaimsRequest};
use crate::services::Services;
use crate::{clients, id_token_hints};
use tenantry_core::clients::{Client, ClientGrant, ClientKind};
use tenantry_core::clock::Millis;
use tenantry_core::error::Error;
use tenantry_core::model::PartnerId;
use tenantry_core::scopes::{TokenScope, TokenScopes};
use tenantry_core::values;

/// The longest `state`, in bytes: it is returned in a URL.
const STATE_MAX: usize = 4_096;

/// The longest `nonce`, in bytes.
const NONCE_MAX: usize = 1_024;

/// All parameters together, without `id_token_hint`, in bytes: they travel through the pages in a URL.
const TOTAL_MAX: usize = 5_000;

/// The parameters that are understood. Others are ignored (OpenID Connect Core §3.1.2.1).
pub const PARAMETERS: [&str; 22] = [
    "client_id",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "prompt",
    "max_age",
    "login_hint",
    "id_token_hint",
    "ui_locales",
    "claims_locales",
    "acr_values",
    "claims",
    "display",
    "partner",
    "request",
    "request_uri",
    "registration",
];

/// A valid request and its client.
#[derive(Debug, Clone)]
pub struct Valid {
    /// The request.
    pub request: AuthorizationRequest,
    /// Its client.
    pub client: Client,
}

/// Why a request is refused.
pub enum Refused {
    /// The client is not known: shown to the person, with the detail for the developer of the client.
    Client(&'static str),
    /// The redirect URI is not the client's: shown in the same way, never redirected to.
    RedirectUri(&'static str),
    /// Answered at the redirect URI: the error and its description.
    Back(Box<ReturnAddress>, AuthorizationError, Cow<'static, str>),
    /// It could not be checked.
    Failed(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Valid {
    /// Refuses the request.
    pub fn refuse(&self, error: AuthorizationError, detail: &'static str) -> Refused {
        Refused::Back(Box::new(self.request.return_to.clone()), error, detail.into())
    }

    /// The answer with a code.
    pub fn with_code(&self, code: &str, issuer: &str) -> AuthorizationResponse {
        self.request.return_to.with_code(code, issuer)
    }
}

/// The parameters of a request that are understood.
struct Parameters<'a>(&'a [(String, String)]);

impl<'a> Parameters<'a> {
    fn all(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A parameter's value; an empty one counts as omitted (RFC 6749 §3.1).
    fn get(&self, name: &str) -> Option<&'a str> {
        self.all(name).next().filter(|value| !value.is_empty())
    }

    fn is_doubled(&self, name: &str) -> bool {
        self.all(name).nth(1).is_some()
    }
}

type Fault = (AuthorizationError, Cow<'static, str>);

fn invalid(detail: impl Into<Cow<'static, str>>) -> Fault {
    (AuthorizationError::InvalidRequest, detail.into())
}

/// Parses and checks a request.
///
/// # Errors
/// [`Refused`].
pub async fn parse(
    services: &Services,
    parameters: &[(String, String)],
    issuer: &str,
) -> Result<Valid, Refused> {
    let parameters = Parameters(parameters);
    let (client, redirect_uri) = find_client(services, &parameters).await?;
    let state = parameters.get("state").filter(|state| state.len() <= STATE_MAX);
    let return_to = ReturnAddress {
        redirect_uri,
        response_mode: parameters.get("response_mode").and_then(ResponseMode::parse).unwrap_or_default(),
        state: state.filter(|_| !parameters.is_doubled("state")).map(str::to_owned),
    };
    let back = |(error, detail): Fault| Refused::Back(Box::new(return_to.clone()), error, detail);
    let time = services.clock.read();
    let mut request = read(&client, &parameters, return_to.clone(), time.now).map_err(back)?;
    request.expires_at = Some(time.latest + LIFETIME);
    if let Some(hint) = parameters.get("id_token_hint") {
        let hint = id_token_hints::find(services, hint, issuer).await?;
        let hint = hint.filter(|hint| hint.client_id == client.client_id).ok_or_else(|| {
            back(invalid("id_token_hint is not an ID token that this server has issued to this client"))
        })?;
        if request.id_token_hint_sub.as_ref().is_some_and(|other| *other != hint.sub) {
            return Err(back(invalid("id_token_hint and claims name different users")));
        }
        request.id_token_hint_sub = Some(hint.sub);
    }
    Ok(Valid { request, client })
}

/// Checks a request again that comes back from the pages: its client may have been changed or revoked.
///
/// # Errors
/// [`Refused`].
pub async fn revalidate(services: &Services, request: AuthorizationRequest) -> Result<Valid, Refused> {
    let client = clients::find(services, &request.client_id).await?.ok_or(Refused::Client(UNKNOWN_CLIENT))?;
    if !clients::matches_redirect_uri(&client, &request.return_to.redirect_uri) {
        return Err(Refused::RedirectUri(OTHER_REDIRECT_URI));
    }
    let valid = Valid { request, client };
    if !valid.client.grants.contains(ClientGrant::AuthorizationCode) {
        return Err(valid.refuse(AuthorizationError::UnauthorizedClient, NO_CODES));
    }
    if !valid.request.consent_scopes().is_subset_of(valid.client.scopes) {
        return Err(
            valid.refuse(AuthorizationError::InvalidScope, "the client may no longer request a scope")
        );
    }
    if valid.request.challenge.is_none()
        && (valid.client.needs_pkce || valid.client.kind == ClientKind::Public)
    {
        return Err(valid.refuse(AuthorizationError::InvalidRequest, "code_challenge is required"));
    }
    Ok(valid)
}

const UNKNOWN_CLIENT: &str = "client_id is not that of a client";
const OTHER_REDIRECT_URI: &str = "redirect_uri is not one of those that the client is registered with";
const NO_CODES: &str = "the client may not use authorization codes";

async fn find_client(services: &Services, parameters: &Parameters<'_>) -> Result<(Client, String), Refused> {
    if parameters.is_doubled("client_id") {
        return Err(Refused::Client("client_id is there twice"));
    }
    let client_id = parameters.get("client_id").ok_or(Refused::Client("client_id is missing"))?;
    let client = clients::find(services, client_id).await?.ok_or(Refused::Client(UNKNOWN_CLIENT))?;
    if parameters.is_doubled("redirect_uri") {
        return Err(Refused::RedirectUri("redirect_uri is there twice"));
    }
    let redirect_uri =
        parameters.get("redirect_uri").ok_or(Refused::RedirectUri("redirect_uri is missing"))?;
    if !clients::matches_redirect_uri(&client, redirect_uri) {
        return Err(Refused::RedirectUri(OTHER_REDIRECT_URI));
    }
    Ok((client, redirect_uri.to_owned()))
}

fn read(
    client: &Client,
    parameters: &Parameters<'_>,
    return_to: ReturnAddress,
    at: Millis,
) -> Result<AuthorizationRequest, Fault> {
    check_text(parameters)?;
    refuse_unsupported(parameters)?;
    if !client.grants.contains(ClientGrant::AuthorizationCode) {
        return Err((AuthorizationError::UnauthorizedClient, NO_CODES.into()));
    }
    match parameters.get("response_type") {
        Some("code") => {}
        None => return Err(invalid("response_type is missing: it must be code")),
        Some(_) => {
            let detail = "response_type must be code: no other one is supported";
            return Err((AuthorizationError::UnsupportedResponseType, detail.into()));
        }
    }
    if parameters.get("response_mode").is_some_and(|mode| ResponseMode::parse(mode).is_none()) {
        return Err(invalid("response_mode must be query or form_post"));
    }
    let scopes = read_scopes(client, parameters)?;
    let nonce = parameters.get("nonce").map(str::to_owned);
    let challenge = read_challenge(client, parameters, scopes, nonce.is_some())?;
    let claims = read_claims(client, parameters, scopes)?;
    let owned = |name: &str| parameters.get(name).map(str::to_owned);
    Ok(AuthorizationRequest {
        client_id: client.client_id.clone(),
        return_to,
        nonce,
        scopes,
        challenge,
        prompt: read_prompt(parameters)?,
        max_age: read_max_age(parameters)?,
        login_hint: owned("login_hint"),
        ui_locales: owned("ui_locales"),
        acr_values: owned("acr_values"),
        id_token_hint_sub: claims.sub.clone(),
        claims,
        display: read_display(parameters)?,
        partner: read_partner(parameters)?,
        at,
        expires_at: None,
        decided: Decided::default(),
    })
}

/// Each parameter at most once, of bounded length, and of characters that can be stored.
fn check_text(parameters: &Parameters<'_>) -> Result<(), Fault> {
    let mut total = 0;
    for name in PARAMETERS {
        if parameters.is_doubled(name) {
            return Err(invalid(format!("the parameter {name} is there twice")));
        }
        let value = parameters.get(name).unwrap_or_default();
        if value.contains(['\0', char::REPLACEMENT_CHARACTER]) {
            return Err(invalid(format!("the parameter {name} contains U+0000 or is not UTF-8")));
        }
        let bound = match name {
            "state" => STATE_MAX,
            "nonce" => NONCE_MAX,
            _ => TOTAL_MAX,
        };
        if value.len() > bound {
            return Err(invalid(format!("the parameter {name} has more than {bound} bytes")));
        }
        if name != "id_token_hint" {
            total += value.len();
        }
    }
    if total > TOTAL_MAX {
        return Err(invalid(format!("the parameters have more than {TOTAL_MAX} bytes together")));
    }
    Ok(())
}

/// OpenID Connect Core §3.1.2.6, §7.2.1.
fn refuse_unsupported(parameters: &Parameters<'_>) -> Result<(), Fault> {
    for (name, error) in [
        ("request", AuthorizationError::RequestNotSupported),
        ("request_uri", AuthorizationError::RequestUriNotSupported),
        ("registration", AuthorizationError::RegistrationNotSupported),
    ] {
        if parameters.get(name).is_some() {
            return Err((error, format!("the parameter {name} is not supported").into()));
        }
    }
    Ok(())
}

/// The known scopes. Without the parameter, as at the token endpoint, those of the API; unknown ones are ignored.
fn read_scopes(client: &Client, parameters: &Parameters<'_>) -> Result<TokenScopes, Fault> {
    let refused = |detail: String| (AuthorizationError::InvalidScope, Cow::Owned(detail));
    let mut scopes = match parameters.get("scope") {
        Some(text) => TokenScopes::parse(text),
        None => TokenScopes::ALL_API.intersection(client.scopes),
    };
    // OpenID Connect Core §11: ignored unless it can be granted.
    if !client.grants.contains(ClientGrant::RefreshToken) {
        scopes = scopes.difference(TokenScopes::from_iter([TokenScope::OfflineAccess]));
    }
    let others = scopes.difference(client.scopes);
    if !others.is_empty() {
        return Err(refused(format!("the client may not request {}", others.names())));
    }
    if scopes.is_empty() {
        let all = client.scopes.names();
        return Err(refused(format!("request at least one of the client's scopes: {all}")));
    }
    Ok(scopes)
}

/// The PKCE challenge (RFC 7636 §4.3). The default method is plain, which protects nothing.
fn read_challenge(
    client: &Client,
    parameters: &Parameters<'_>,
    scopes: TokenScopes,
    has_nonce: bool,
) -> Result<Option<String>, Fault> {
    let method = parameters.get("code_challenge_method");
    let Some(challenge) = parameters.get("code_challenge") else {
        return if method.is_some() {
            Err(invalid("code_challenge_method is there without code_challenge"))
        } else if client.needs_pkce || client.kind == ClientKind::Public {
            Err(invalid("code_challenge is required (PKCE, RFC 7636), with code_challenge_method S256"))
        } else if scopes.is_openid() && has_nonce {
            Ok(None)
        } else {
            Err(invalid("without code_challenge the scope openid and nonce are required"))
        };
    };
    if method != Some("S256") {
        return Err(invalid("code_challenge_method must be S256"));
    }
    let is_hash = challenge.len() == 43
        && challenge.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if !is_hash {
        return Err(invalid(
            "code_challenge must be the SHA-256 of the verifier in base64url: 43 characters",
        ));
    }
    Ok(Some(challenge.to_owned()))
}

/// Single claims, of those whose scopes the client may request.
fn read_claims(
    client: &Client,
    parameters: &Parameters<'_>,
    scopes: TokenScopes,
) -> Result<ClaimsRequest, Fault> {
    let Some(text) = parameters.get("claims").filter(|_| scopes.is_openid()) else {
        return Ok(ClaimsRequest::default());
    };
    let mut claims = ClaimsRequest::parse(text).map_err(invalid)?;
    let allowed = ClaimSet::of_scopes(client.scopes);
    claims.id_token = claims.id_token.intersection(allowed);
    claims.userinfo = claims.userinfo.intersection(allowed);
    Ok(claims)
}

fn read_prompt(parameters: &Parameters<'_>) -> Result<Prompts, Fault> {
    let mut prompts = Prompts::default();
    for name in parameters.get("prompt").unwrap_or_default().split(' ').filter(|name| !name.is_empty()) {
        let known = Prompt::ALL.into_iter().find(|prompt| prompt.name() == name);
        let known = known.ok_or_else(|| {
            invalid("prompt must be none, or any of login, consent and select_account, separated by a space")
        })?;
        prompts = prompts.with(known);
    }
    if prompts.contains(Prompt::None) && prompts != Prompts::default().with(Prompt::None) {
        return Err(invalid("prompt=none excludes other values"));
    }
    Ok(prompts)
}

fn read_max_age(parameters: &Parameters<'_>) -> Result<Option<i64>, Fault> {
    let read = |text| values::whole_number(text).filter(|seconds| *seconds >= 0);
    match parameters.get("max_age") {
        None => Ok(None),
        Some(text) => read(text).map(Some).ok_or_else(|| invalid("max_age must be a number of seconds")),
    }
}

fn read_display(parameters: &Parameters<'_>) -> Result<Option<String>, Fault> {
    match parameters.get("display") {
        None => Ok(None),
        Some(display @ ("page" | "popup" | "touch" | "wap")) => Ok(Some(display.to_owned())),
        Some(_) => Err(invalid("display must be page, popup, touch or wap")),
    }
}

/// The response does not reveal whether the partner exists: only its users can sign in.
fn read_partner(parameters: &Parameters<'_>) -> Result<Option<PartnerId>, Fault> {
    match parameters.get("partner") {
        None => Ok(None),
        Some(text) => match values::whole_number(text).filter(|pid| *pid > 0) {
            Some(pid) => Ok(Some(PartnerId(pid))),
            None => Err(invalid("partner must be the id of a partner")),
        },
    }
}
