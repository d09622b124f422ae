//! OAuth clients (RFC 6749 §2): plain data.

use crate::clock::Millis;
use crate::model::PartnerId;
use crate::scopes::TokenScopes;
use crate::signing_alg::SigningAlg;

/// Whether a client can keep a secret (RFC 6749 §2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientKind {
    /// It has a secret: it runs on a server.
    Confidential,
    /// It has none: it runs in a browser or on a device.
    Public,
}

impl ClientKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Confidential, Self::Public];

    /// Its name, as stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Confidential => "confidential",
            Self::Public => "public",
        }
    }

    /// The kind of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A grant type that a client may use (RFC 7591 §2, `grant_types`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientGrant {
    /// RFC 6749 §4.1.
    AuthorizationCode,
    /// RFC 6749 §6.
    RefreshToken,
    /// RFC 6749 §4.4: its technical account.
    ClientCredentials,
    /// RFC 6749 §4.3.
    Password,
}

impl ClientGrant {
    /// Every grant, in the order in which they are shown.
    pub const ALL: [Self; 4] =
        [Self::AuthorizationCode, Self::RefreshToken, Self::ClientCredentials, Self::Password];

    /// The value of `grant_type`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
            Self::Password => "password",
        }
    }

    /// The grant of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grant| grant.name() == name)
    }

    const fn bit(self) -> u8 {
        match self {
            Self::AuthorizationCode => 1,
            Self::RefreshToken => 2,
            Self::ClientCredentials => 4,
            Self::Password => 8,
        }
    }
}

/// The grants that a client may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientGrants(u8);

impl ClientGrants {
    /// The grants of a client that is not registered for authorization codes, as all were in earlier versions.
    pub const WITHOUT_CODES: Self = Self(
        ClientGrant::RefreshToken.bit() | ClientGrant::ClientCredentials.bit() | ClientGrant::Password.bit(),
    );

    /// The set as it is stored.
    pub fn to_bits(self) -> i64 {
        self.0.into()
    }

    /// A stored set.
    pub fn from_bits(bits: i64) -> Self {
        Self(u8::try_from(bits & 0xF).unwrap_or(0))
    }

    /// Whether the set has this grant.
    pub fn contains(self, grant: ClientGrant) -> bool {
        self.0 & grant.bit() != 0
    }

    /// Whether the set has no grant.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its grants, always in the same order.
    pub fn iter(self) -> impl Iterator<Item = ClientGrant> {
        ClientGrant::ALL.into_iter().filter(move |grant| self.contains(*grant))
    }
}

impl FromIterator<ClientGrant> for ClientGrants {
    fn from_iter<I: IntoIterator<Item = ClientGrant>>(grants: I) -> Self {
        Self(grants.into_iter().fold(0, |all, grant| all | grant.bit()))
    }
}

/// How a client authenticates (RFC 7591 §2, `token_endpoint_auth_method`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuthMethod {
    /// By its secret, in either of the two ways below.
    AnySecret,
    /// By its secret in HTTP Basic.
    Basic,
    /// By its secret in the form.
    Post,
    /// It does not: it is public.
    None,
}

impl ClientAuthMethod {
    /// Every method.
    pub const ALL: [Self; 4] = [Self::AnySecret, Self::Basic, Self::Post, Self::None];

    /// Its name, as stored and shown; [`Self::AnySecret`] is a name of ours.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AnySecret => "client_secret",
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
            Self::None => "none",
        }
    }

    /// The method of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name)
    }

    /// Whether a client that is registered with this method may authenticate with the other one.
    pub fn admits(self, used: Self) -> bool {
        self == used || (self == Self::AnySecret && matches!(used, Self::Basic | Self::Post))
    }
}

/// A secret of a client, without its text and its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientSecret {
    /// Distinguishes the two secrets that a client can have.
    pub secret_id: i64,
    /// When it was made.
    pub created_at: Millis,
}

/// An OAuth client (RFC 6749 §2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// `client_id`.
    pub client_id: String,
    /// The partner it belongs to; 0 for a product client, which is the operator's.
    pub pid: PartnerId,
    /// For people.
    pub name: String,
    /// Whether its technical account is an admin (B28).
    pub is_admin: bool,
    /// Whether it has secrets.
    pub kind: ClientKind,
    /// Where authorization codes may be sent; compared exactly, see [`crate::redirect_uris::matches`].
    pub redirect_uris: Vec<String>,
    /// Where a browser may be sent after logging out.
    pub post_logout_redirect_uris: Vec<String>,
    /// The grants it may use.
    pub grants: ClientGrants,
    /// The scopes it may request.
    pub scopes: TokenScopes,
    /// What its ID tokens are signed with.
    pub id_token_alg: SigningAlg,
    /// How it authenticates.
    pub auth_method: ClientAuthMethod,
    /// Whether users are asked to consent; never for a product client.
    pub needs_consent: bool,
    /// Whether an authorization request needs PKCE (RFC 7636); always for a public client.
    pub needs_pkce: bool,
    /// Whether users who have a second factor may log in through it with the password alone, by the password grant.
    pub password_alone: bool,
    /// The partners whose users a product client serves; `None` for all. `None` for a client of a partner.
    pub partners: Option<Vec<PartnerId>>,
    /// Its secrets, at most [`MAX_SECRETS`].
    pub secrets: Vec<ClientSecret>,
    /// When it was created.
    pub created_at: Millis,
    /// When it was last changed.
    pub updated_at: Millis,
    /// Incremented by every change.
    pub version: i64,
}

/// A client has at most this many secrets: the old and the new one while they are exchanged.
pub const MAX_SECRETS: usize = 2;

impl Client {
    /// Whether it is the operator's, for the users of several partners.
    pub fn is_product(&self) -> bool {
        self.pid == PartnerId(0)
    }

    /// Whether it is for the users of this partner.
    pub fn serves(&self, pid: PartnerId) -> bool {
        match &self.partners {
            _ if !self.is_product() => self.pid == pid,
            Some(partners) => partners.contains(&pid),
            None => true,
        }
    }
}
