//! Logout that a client asks for (OpenID Connect RP-Initiated Logout 1.0).

use serde::{Deserialize, Serialize};

use crate::authorization_requests::with_query;
use crate::browser_sessions::{self, BrowserSession};
use crate::services::Services;
use crate::{clients, id_token_hints, sealed};
use tenantry_core::clients::Client;
use tenantry_core::clock::{HOUR, Millis};
use tenantry_core::error::{Error, Result};

/// What sealed logouts are sealed for.
const PURPOSE: &str = "logout";

/// How long a person may take to answer.
const LIFETIME: Millis = HOUR;

/// The longest `state`, in bytes.
const STATE_MAX: usize = 4_096;

/// A logout that the person is asked about. Its redirect URI is one of the client's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogoutRequest {
    /// The client that asks, if it is known.
    pub client_id: Option<String>,
    /// Where the browser goes afterwards.
    pub redirect_uri: Option<String>,
    /// Returned unchanged with the redirect URI.
    pub state: Option<String>,
    /// Languages of the page, by preference.
    pub ui_locales: Option<String>,
}

/// The parameters that are understood. Others are ignored.
pub const PARAMETERS: [&str; 6] =
    ["id_token_hint", "logout_hint", "client_id", "post_logout_redirect_uri", "state", "ui_locales"];

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub enum LogoutStep {
    /// The person is asked, on the page of this sealed request.
    Ask(String),
    /// The browser is signed out; it goes to the client, or nowhere.
    Done(Option<String>),
}

/// Why a logout is refused.
pub enum LogoutRefused {
    /// Shown to the person; for the developer of the client.
    Page(&'static str),
    /// It could not be checked.
    Failed(Error),
}

impl From<Error> for LogoutRefused {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl LogoutRequest {
    /// Seals it for the page that asks.
    ///
    /// # Errors
    /// None of its own.
    pub fn seal(&self, services: &Services) -> Result<String> {
        sealed::seal(services, PURPOSE, self, LIFETIME)
    }

    /// Where the browser goes after it was signed out; `None` for our own page.
    pub fn location(&self) -> Option<String> {
        let uri = self.redirect_uri.as_deref()?;
        Some(with_query(uri, self.state.as_deref().map(|state| ("state", state)).into_iter()))
    }
}

/// Opens a sealed logout; `None` if it has expired, is another deployment's or was changed.
pub fn open(services: &Services, sealed: &str) -> Option<LogoutRequest> {
    sealed::open(services, PURPOSE, sealed)
}

/// Where a browser with a logout request goes next. With a good `id_token_hint` of the user who is signed in, the session has
/// ended; otherwise the person is asked, since any page can link here.
///
/// # Errors
/// [`LogoutRefused`]; nothing has ended then.
pub async fn begin(
    services: &Services,
    parameters: &[(String, String)],
    session: Option<&BrowserSession>,
    issuer: &str,
) -> Result<LogoutStep, LogoutRefused> {
    let get = |name: &str| {
        let found = parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        found.filter(|value| !value.is_empty())
    };
    for name in PARAMETERS {
        if parameters.iter().filter(|(known, _)| known == name).nth(1).is_some() {
            return Err(LogoutRefused::Page("a parameter is there twice"));
        }
    }
    let hint = match get("id_token_hint") {
        Some(token) => {
            let hint = id_token_hints::find(services, token, issuer).await?;
            let detail = "id_token_hint is not an ID token that this server has issued";
            Some(hint.ok_or(LogoutRefused::Page(detail))?)
        }
        None => None,
    };
    let client_id = get("client_id");
    if let (Some(hint), Some(client_id)) = (&hint, client_id)
        && hint.client_id != client_id
    {
        return Err(LogoutRefused::Page("id_token_hint was issued to another client than client_id says"));
    }
    let client = match client_id.or(hint.as_ref().map(|hint| hint.client_id.as_str())) {
        Some(client_id) => clients::find(services, client_id).await?,
        None => None,
    };
    if client_id.is_some() && client.is_none() {
        return Err(LogoutRefused::Page("client_id is not that of a client"));
    }
    let request = LogoutRequest {
        redirect_uri: read_redirect_uri(get("post_logout_redirect_uri"), client.as_ref())?,
        client_id: client.map(|client| client.client_id),
        state: read_state(get("state"))?,
        ui_locales: get("ui_locales").map(|locales| locales.chars().take(200).collect()),
    };
    match session {
        None => Ok(LogoutStep::Done(request.location())),
        Some(session) if hint.is_some_and(|hint| hint.sub == session.user_id.to_string()) => {
            browser_sessions::end(services, session).await?;
            Ok(LogoutStep::Done(request.location()))
        }
        Some(_) => Ok(LogoutStep::Ask(request.seal(services)?)),
    }
}

fn read_redirect_uri(uri: Option<&str>, client: Option<&Client>) -> Result<Option<String>, LogoutRefused> {
    let Some(uri) = uri else { return Ok(None) };
    let Some(client) = client else {
        let detail = "post_logout_redirect_uri needs id_token_hint or client_id, of a client that exists";
        return Err(LogoutRefused::Page(detail));
    };
    if !clients::matches_post_logout_redirect_uri(client, uri) {
        return Err(LogoutRefused::Page("post_logout_redirect_uri is not one of those of the client"));
    }
    Ok(Some(uri.to_owned()))
}

fn read_state(state: Option<&str>) -> Result<Option<String>, LogoutRefused> {
    match state {
        Some(state) if state.len() > STATE_MAX => Err(LogoutRefused::Page("state has more than 4096 bytes")),
        state => Ok(state.map(str::to_owned)),
    }
}
