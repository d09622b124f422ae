//! Authorization requests (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1), from the client to the answer.
//!
//! Until a person has signed in nothing is stored: the validated request travels through the pages in a sealed form
//! (`AuthorizationRequest::seal`), and what the person decides on the way is added to it.

mod next_step;
mod parse;
mod responses;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::browser_sessions::BrowserSession;
use crate::claims::ClaimsRequest;
use crate::sealed;
use crate::services::Services;
use tenantry_core::clock::{HOUR, Millis};
use tenantry_core::error::Result;
use tenantry_core::model::PartnerId;
use tenantry_core::scopes::TokenScopes;

pub use next_step::{Step, next_step};
pub use parse::{PARAMETERS, Refused, Valid, parse, revalidate};
pub(crate) use responses::with_query;
pub use responses::{AuthorizationError, AuthorizationResponse, ResponseMode, ReturnAddress};

/// What sealed requests are sealed for.
const PURPOSE: &str = "authorization request";

/// How long a person has for signing in.
pub const LIFETIME: Millis = HOUR;

/// A valid authorization request. Its client and redirect URI are checked again before it is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    /// The client.
    pub client_id: String,
    /// Where the answer goes.
    #[serde(flatten)]
    pub return_to: ReturnAddress,
    /// Returned in the ID token, so that the client recognizes its request.
    pub nonce: Option<String>,
    /// What is requested, of what the client may request.
    #[serde(with = "scope_bits")]
    pub scopes: TokenScopes,
    /// The PKCE challenge (RFC 7636), of the method S256.
    pub challenge: Option<String>,
    /// What the person must be asked.
    pub prompt: Prompts,
    /// How long ago the person may have given the password, in seconds.
    pub max_age: Option<i64>,
    /// The username that the client expects.
    pub login_hint: Option<String>,
    /// Languages of the pages, by preference.
    pub ui_locales: Option<String>,
    /// Classes of authentication, by preference; voluntary.
    pub acr_values: Option<String>,
    /// Single claims.
    pub claims: ClaimsRequest,
    /// How the client shows the pages, such as in a popup.
    pub display: Option<String>,
    /// The partner whose user must sign in.
    pub partner: Option<PartnerId>,
    /// The user that must sign in (`sub`), by `id_token_hint` or `claims`.
    pub id_token_hint_sub: Option<String>,
    /// When it was made, by the time of day, as sign-ins are.
    pub at: Millis,
    /// When it expires: by the clock of expiry, which a time of day that is set back does not change. None in those of earlier
    /// versions.
    #[serde(default)]
    pub expires_at: Option<Millis>,
    /// What the person has decided on the pages.
    #[serde(default)]
    pub decided: Decided,
}

/// What a person has decided about a request. Each names the browser session in which it was decided: in another one it
/// does not count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Decided {
    /// To continue with the account of this session.
    pub account: Option<String>,
    /// To consent.
    pub consent: Option<String>,
    /// To refuse.
    pub refusal: bool,
}

/// The values of `prompt` (OpenID Connect Core §3.1.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prompt {
    /// Show no page.
    None,
    /// Ask for the password.
    Login,
    /// Ask for consent.
    Consent,
    /// Ask for the account.
    SelectAccount,
}

impl Prompt {
    /// Every value.
    pub const ALL: [Self; 4] = [Self::None, Self::Login, Self::Consent, Self::SelectAccount];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Login => "login",
            Self::Consent => "consent",
            Self::SelectAccount => "select_account",
        }
    }
}

/// A set of prompts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Prompts(u8);

impl Prompts {
    /// Whether the set has this prompt.
    pub fn contains(self, prompt: Prompt) -> bool {
        self.0 & (1 << prompt as u8) != 0
    }

    fn with(self, prompt: Prompt) -> Self {
        Self(self.0 | 1 << prompt as u8)
    }
}

impl AuthorizationRequest {
    /// Seals it for its way through the pages. This does not extend its lifetime.
    ///
    /// # Errors
    /// None of its own.
    pub fn seal(&self, services: &Services) -> Result<String> {
        let left = self.expires_at.unwrap_or(self.at + LIFETIME) - services.clock.read().latest;
        sealed::seal(services, PURPOSE, self, left.clamp(0, LIFETIME))
    }

    /// The scopes that the person consents to: the requested ones, and those of single claims.
    pub fn consent_scopes(&self) -> TokenScopes {
        let claims = self.claims.id_token.union(self.claims.userinfo);
        self.scopes.union(claims.scopes())
    }

    /// The request of a person who continues with the account of this session.
    #[must_use]
    pub fn with_account(mut self, session: &BrowserSession) -> Self {
        self.decided.account = Some(session.session_id.clone());
        self
    }

    /// The request of a person who has consented in this session. The consent itself is stored by the caller.
    #[must_use]
    pub fn with_consent(mut self, session: &BrowserSession) -> Self {
        self.decided.consent = Some(session.session_id.clone());
        self
    }

    /// The request of a person who has refused: it is answered with `access_denied`.
    #[must_use]
    pub fn refused(mut self) -> Self {
        self.decided.refusal = true;
        self
    }
}

/// Opens a sealed request; `None` if it has expired, is another deployment's or was changed.
pub fn open(services: &Services, sealed: &str) -> Option<AuthorizationRequest> {
    sealed::open(services, PURPOSE, sealed)
}

/// Where a page sends the browser when it is done with a sealed request.
pub fn continue_path(sealed: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("request", sealed).finish();
    format!("/oauth/authorize/continue?{query}")
}

mod scope_bits {
    use serde::{Deserialize, Deserializer, Serializer};
    use tenantry_core::scopes::TokenScopes;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(scopes: &TokenScopes, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(scopes.to_bits())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TokenScopes, D::Error> {
        i64::deserialize(deserializer).map(TokenScopes::from_bits)
    }
}
