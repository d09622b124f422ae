//! Answers to authorization requests (RFC 6749 §4.1.2, RFC 9207).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// The error codes of RFC 6749 §4.1.2.1, of OpenID Connect Core §3.1.2.6 and of OpenID Connect Core Error Code
/// `unmet_authentication_requirements`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthorizationError {
    /// The request is malformed.
    InvalidRequest,
    /// The client may not use authorization codes.
    UnauthorizedClient,
    /// The person refused, or the client is not for this user.
    AccessDenied,
    /// Only codes are supported.
    UnsupportedResponseType,
    /// A scope that the client may not request.
    InvalidScope,
    /// `prompt=none`, but the person must set a password first.
    InteractionRequired,
    /// `prompt=none`, but the person must sign in.
    LoginRequired,
    /// `prompt=none`, but the person must consent.
    ConsentRequired,
    /// The parameter `request`.
    RequestNotSupported,
    /// The parameter `request_uri`.
    RequestUriNotSupported,
    /// The parameter `registration`.
    RegistrationNotSupported,
    /// A class of authentication that is essential and cannot be reached.
    UnmetAuthenticationRequirements,
}

impl AuthorizationError {
    /// The code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::AccessDenied => "access_denied",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::InteractionRequired => "interaction_required",
            Self::LoginRequired => "login_required",
            Self::ConsentRequired => "consent_required",
            Self::RequestNotSupported => "request_not_supported",
            Self::RequestUriNotSupported => "request_uri_not_supported",
            Self::RegistrationNotSupported => "registration_not_supported",
            Self::UnmetAuthenticationRequirements => "unmet_authentication_requirements",
        }
    }
}

/// How an answer travels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseMode {
    /// In the query of the redirect URI.
    #[default]
    Query,
    /// In a form that the browser posts to it (OAuth 2.0 Form Post Response Mode).
    FormPost,
}

impl ResponseMode {
    /// The mode of this name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "query" => Some(Self::Query),
            "form_post" => Some(Self::FormPost),
            _ => None,
        }
    }
}

/// Where the answer to a request goes. The redirect URI is one of the client's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnAddress {
    /// The redirect URI, as it was sent.
    pub redirect_uri: String,
    /// How the answer travels.
    pub response_mode: ResponseMode,
    /// Returned unchanged.
    pub state: Option<String>,
}

/// An answer to an authorization request. Not `Debug`: it may have a code.
pub struct AuthorizationResponse {
    redirect_uri: String,
    response_mode: ResponseMode,
    parameters: Vec<(&'static str, Cow<'static, str>)>,
}

impl ReturnAddress {
    /// The answer with a code.
    pub fn with_code(&self, code: &str, issuer: &str) -> AuthorizationResponse {
        self.answer(vec![("code", Cow::Owned(code.to_owned()))], issuer)
    }

    /// The answer with an error.
    pub fn with_error(
        &self,
        error: AuthorizationError,
        description: impl Into<Cow<'static, str>>,
        issuer: &str,
    ) -> AuthorizationResponse {
        let parameters =
            vec![("error", Cow::Borrowed(error.code())), ("error_description", description.into())];
        self.answer(parameters, issuer)
    }

    fn answer(
        &self,
        mut parameters: Vec<(&'static str, Cow<'static, str>)>,
        issuer: &str,
    ) -> AuthorizationResponse {
        parameters.extend(self.state.clone().map(|state| ("state", Cow::Owned(state))));
        parameters.push(("iss", Cow::Owned(issuer.to_owned())));
        AuthorizationResponse {
            redirect_uri: self.redirect_uri.clone(),
            response_mode: self.response_mode,
            parameters,
        }
    }
}

impl AuthorizationResponse {
    /// How it travels.
    pub fn mode(&self) -> ResponseMode {
        self.response_mode
    }

    /// The redirect URI.
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// The parameters.
    pub fn parameters(&self) -> &[(&'static str, Cow<'static, str>)] {
        &self.parameters
    }

    /// The redirect URI with the parameters in its query; one that it already has stays (RFC 6749 §3.1.2).
    pub fn location(&self) -> String {
        with_query(&self.redirect_uri, self.parameters.iter().map(|(name, value)| (*name, value.as_ref())))
    }
}

/// Appends parameters to the query of a URI without a fragment.
pub(crate) fn with_query<'a>(uri: &str, parameters: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    let separator = match uri.split_once('?') {
        _ if query.is_empty() => "",
        None => "?",
        Some((_, "")) => "",
        Some((_, existing)) if existing.ends_with('&') => "",
        Some(_) => "&",
    };
    format!("{uri}{separator}{query}")
}
