//! The error type of all crates. It knows nothing of HTTP: each edge maps it once.

use std::borrow::Cow;
use std::time::Duration;

use crate::scopes::TokenScope;

/// The result of a fallible operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed. A failed operation has changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input is invalid; all errors are listed (contract B6).
    #[error("the input has {} error(s)", .0.len())]
    Invalid(Vec<FieldError>),
    /// The resource does not exist, or belongs to another partner (B11).
    #[error("{0} not found")]
    NotFound(Missing),
    /// The change conflicts with the current state.
    #[error("{}", .0.detail)]
    Conflict(Conflict),
    /// The resource does not match the caller's precondition (RFC 9110 §13).
    #[error("the resource does not match the precondition of the request")]
    Precondition,
    /// The token is missing, invalid or expired.
    #[error("{0}")]
    Unauthenticated(TokenError),
    /// The caller is authenticated but may not do this.
    #[error("{}", .0.detail())]
    Forbidden(Denial),
    /// The operation needs a stronger or more recent sign-in (RFC 9470).
    #[error("{}", .0.detail())]
    InsufficientAuthentication(NeededAuthentication),
    /// A token request was refused (RFC 6749 §5.2).
    #[error("{}: {}", .0.code(), .1)]
    Grant(GrantError, Cow<'static, str>),
    /// The password is right, but the user has a second factor, which this grant cannot ask for.
    #[error("invalid_grant: this user has a second factor: use the authorization code grant")]
    SecondFactorNeeded,
    /// Too many attempts from one address.
    #[error("too many attempts; try again in {} seconds", .0.as_secs())]
    TooMany(Duration),
    /// A bounded queue is full or the database is unreachable: the caller can retry.
    #[error("{what}; try again in {} seconds", .retry_after.as_secs())]
    Unavailable {
        /// What is busy or unavailable.
        what: Cow<'static, str>,
        /// When to retry.
        retry_after: Duration,
    },
    /// A bug or an environment failure. The text goes to the log, never to a client.
    #[error("{0}")]
    Internal(Cow<'static, str>),
}

/// One error of an input, with the field that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// JSON Pointer (RFC 6901) into the body, or the name of a query parameter. Empty for the whole body, and in the
    /// result of a check that does not know the field.
    pub field: Cow<'static, str>,
    /// A stable, machine-readable code such as `required` or `too-long`.
    pub code: &'static str,
    /// What is wrong and how to fix it, for people.
    pub detail: Cow<'static, str>,
}

impl FieldError {
    /// An error of `field`, which is a JSON Pointer or the name of a query parameter.
    pub fn new(
        field: impl Into<Cow<'static, str>>,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { field: field.into(), code, detail: detail.into() }
    }

    /// An error of a value, without its field: whoever knows the field adds it with [`Self::at`].
    pub fn of_value(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new("", code, detail)
    }

    /// The same error for a field: a JSON Pointer or the name of a query parameter.
    #[must_use]
    pub fn at(self, field: impl Into<Cow<'static, str>>) -> Self {
        Self { field: field.into(), ..self }
    }
}

impl<D: Into<Cow<'static, str>>> From<(&'static str, D)> for FieldError {
    fn from((code, detail): (&'static str, D)) -> Self {
        Self::of_value(code, detail)
    }
}

impl From<FieldError> for Error {
    fn from(error: FieldError) -> Self {
        Self::Invalid(vec![error])
    }
}

/// What was not found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// One user.
    User,
    /// One deleted user.
    DeletedUser,
    /// Users of a list that do not exist, by id (B15).
    Users(Vec<i64>),
    /// A group.
    Group,
    /// Groups of a list that do not exist, by id.
    Groups(Vec<i64>),
    /// The membership of a user in a group.
    Membership,
    /// Users of a list who are not members of a group, by id.
    Memberships(Vec<i64>),
    /// An object type.
    ObjectType,
    /// A partner.
    Partner,
    /// A session of a user.
    Session,
    /// A second factor of a user.
    Factor,
    /// The branding of a partner.
    Branding,
    /// An OAuth client.
    Client,
    /// A secret of an OAuth client.
    ClientSecret,
    /// What a user has allowed an OAuth client.
    Consent,
    /// An operator's token.
    OperatorToken,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User => f.write_str("user"),
            Self::DeletedUser => f.write_str("deleted user"),
            Self::Users(ids) => write!(f, "users {ids:?}"),
            Self::Group => f.write_str("group"),
            Self::Groups(ids) => write!(f, "groups {ids:?}"),
            Self::Membership => f.write_str("membership"),
            Self::Memberships(ids) => write!(f, "members {ids:?}"),
            Self::ObjectType => f.write_str("object type"),
            Self::Partner => f.write_str("partner"),
            Self::Session => f.write_str("session"),
            Self::Factor => f.write_str("factor"),
            Self::Branding => f.write_str("branding"),
            Self::Client => f.write_str("client"),
            Self::ClientSecret => f.write_str("client secret"),
            Self::Consent => f.write_str("consent"),
            Self::OperatorToken => f.write_str("operator token"),
        }
    }
}

/// A conflict with the current state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// A stable code: `username-taken`, `external-id-taken`, `group-name-taken`, `partner-name-taken`,
    /// `last-admin`, `self-delete`, ...
    pub code: &'static str,
    /// For people.
    pub detail: Cow<'static, str>,
    /// JSON Pointer of the conflicting field, if there is one.
    pub field: Option<Cow<'static, str>>,
    /// The users (or groups) in conflict, if the request was about a list (B15).
    pub users: Vec<i64>,
}

impl Conflict {
    /// A conflict with the state of the resource.
    pub fn state(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Error {
        Error::Conflict(Self { code, detail: detail.into(), field: None, users: Vec::new() })
    }
    /// A conflict about one field.
    pub fn field(code: &'static str, field: &'static str, detail: impl Into<Cow<'static, str>>) -> Error {
        Error::Conflict(Self { code, detail: detail.into(), field: Some(field.into()), users: Vec::new() })
    }
    /// A conflict about users or groups.
    pub fn users(code: &'static str, users: Vec<i64>, detail: impl Into<Cow<'static, str>>) -> Error {
        Error::Conflict(Self { code, detail: detail.into(), field: None, users })
    }
}

/// What is wrong with a bearer token (RFC 6750 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The request has no token: the challenge then has no error code.
    #[error("no access token")]
    Absent,
    /// Unknown, revoked, or of a user or partner that may no longer log in.
    #[error("Invalid access token")]
    Invalid,
    /// Expired.
    #[error("Access token expired: log in again or use the refresh token")]
    Expired,
}

/// How a user must have signed in for an operation (RFC 9470).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeededAuthentication {
    /// Whether with a second factor: `acr` 2.
    pub second_factor: bool,
    /// How long ago at most, in seconds.
    pub max_age: Option<u64>,
}

impl NeededAuthentication {
    /// For people.
    pub fn detail(self) -> &'static str {
        if self.second_factor {
            "this needs a sign-in with a second factor: send the user to /oauth/authorize with the acr_values and max_age of WWW-Authenticate"
        } else {
            "this needs a more recent sign-in: send the user to /oauth/authorize with the max_age of WWW-Authenticate, or log in again"
        }
    }
}

/// Why an authenticated caller is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// Only partner admins may do this (B12).
    NotAdmin,
    /// The session was opened with a temporary or expired password (B22).
    PasswordChangeRequired,
    /// A second factor is required of the user, and the session has none.
    SecondFactorRequired,
    /// A technical account has no user (B28).
    NoUser,
    /// A technical account without `--admin` may not do this (B28).
    TechnicalAccount,
    /// Members may query their own permissions, not those of others.
    NotYourself,
    /// The token lacks this scope (RFC 6750 §3.1).
    InsufficientScope(TokenScope),
}

impl Denial {
    /// The stable code of the problem document.
    pub fn code(self) -> &'static str {
        match self {
            Self::NotAdmin => "admin-required",
            Self::PasswordChangeRequired => "password-change-required",
            Self::SecondFactorRequired => "second-factor-required",
            Self::NoUser => "no-user",
            Self::TechnicalAccount => "technical-account",
            Self::NotYourself => "not-yourself",
            Self::InsufficientScope(_) => "insufficient-scope",
        }
    }
    /// For people.
    pub fn detail(self) -> &'static str {
        match self {
            Self::NotAdmin => "only partner admins may do this",
            Self::PasswordChangeRequired => {
                "this session was opened with a temporary or expired password: set a new one with POST /api/v1/users/self/update-password first"
            }
            Self::SecondFactorRequired => {
                "a second factor is required of this user: sign in on the pages, which lead through adding one, or add one with POST /api/v1/users/self/factors"
            }
            Self::NoUser => "this token belongs to a technical account, which is not a user",
            Self::TechnicalAccount => "this technical account is not an admin",
            Self::NotYourself => "only partner admins may ask about users other than themselves",
            Self::InsufficientScope(TokenScope::Read) => {
                "this token lacks the scope read: request it with the token"
            }
            Self::InsufficientScope(TokenScope::Write) => {
                "this token lacks the scope write, so it can only read: request it with the token"
            }
            Self::InsufficientScope(TokenScope::OpenId) => {
                "this token lacks the scope openid: request it with the token"
            }
            Self::InsufficientScope(_) => {
                "this token lacks a scope: see WWW-Authenticate, and request it with the token"
            }
        }
    }
}

/// The error codes of RFC 6749 §5.2 (and `unsupported_token_type` of RFC 7009 §2.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantError {
    /// The request is malformed.
    InvalidRequest,
    /// Client authentication failed.
    InvalidClient,
    /// Wrong credentials or refresh token.
    InvalidGrant,
    /// The client may not use this grant.
    UnauthorizedClient,
    /// The grant type is not supported.
    UnsupportedGrantType,
    /// The requested scope is more than was granted.
    InvalidScope,
}

impl GrantError {
    /// The code as the RFC prints it.
    pub fn code(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
        }
    }
}

impl Error {
    /// The same error, for a value at `place` (a JSON Pointer) in a larger document.
    #[must_use]
    pub fn within(self, place: &str) -> Self {
        let longer = |field: Cow<'static, str>| Cow::Owned(format!("{place}{field}"));
        match self {
            Self::Invalid(errors) => Self::Invalid(
                errors.into_iter().map(|error| FieldError { field: longer(error.field), ..error }).collect(),
            ),
            Self::Conflict(conflict) => {
                Self::Conflict(Conflict { field: conflict.field.map(longer), ..conflict })
            }
            other => other,
        }
    }

    /// An internal error with its cause, for the log.
    pub fn internal(what: impl Into<Cow<'static, str>>) -> Self {
        Self::Internal(what.into())
    }
}
