//! The browser that sent a request: its session, and its cookies.

use axum::extract::FromRequestParts;
use axum::http::header::COOKIE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};

use crate::extract::ClientAddress;
use crate::page_error::PageError;
use crate::pages::count_visit;
use crate::server::Peer;
use crate::state::AppState;
use tenantry_core::clock::{DAY, Millis, SECOND};
use tenantry_domain::browser_sessions::{self, BrowserSession};

/// A cookie of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrowserCookie {
    /// The browser session.
    Session,
    /// A random value that ties forms to a browser that has no session.
    Visitor,
    /// The language that was chosen.
    Language,
    /// A sign-in whose second factor is missing, sealed.
    PendingSignIn,
    /// A device on which no second factor is asked for.
    Device,
}

/// How long a chosen language is remembered.
const LANGUAGE_LIFE: Millis = 365 * DAY;

impl BrowserCookie {
    /// Its name. With the prefix `__Host-`, browsers accept it from this host over https only, and send it to no other.
    pub fn name(self, app: &AppState) -> &'static str {
        match (self, app.settings().is_https()) {
            (Self::Session, true) => "__Host-tenantry",
            (Self::Session, false) => "tenantry",
            (Self::Visitor, true) => "__Host-tenantry-form",
            (Self::Visitor, false) => "tenantry-form",
            (Self::Language, true) => "__Host-tenantry-language",
            (Self::Language, false) => "tenantry-language",
            (Self::PendingSignIn, true) => "__Host-tenantry-second-factor",
            (Self::PendingSignIn, false) => "tenantry-second-factor",
            (Self::Device, true) => "__Host-tenantry-device",
            (Self::Device, false) => "tenantry-device",
        }
    }

    /// Its value in a request. Of several with the same name, as another path or domain can have set, none counts.
    pub fn find(self, app: &AppState, headers: &HeaderMap) -> Option<String> {
        let name = self.name(app);
        let mut values = headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(known, _)| *known == name)
            .map(|(_, value)| value.trim_matches('"'));
        let value = values.next().filter(|value| !value.is_empty())?;
        values.next().is_none().then(|| value.to_owned())
    }

    /// Sets it. `None` if the value cannot be that of a cookie.
    pub fn set(self, app: &AppState, value: &str, life: Option<Millis>) -> Option<HeaderValue> {
        let is_value = value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        if !is_value {
            return None;
        }
        let secure = if app.settings().is_https() { "; Secure" } else { "" };
        let age = life.map_or(String::new(), |life| format!("; Max-Age={}", life / SECOND));
        let text = format!("{}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}", self.name(app));
        let mut cookie = HeaderValue::try_from(text).ok()?;
        cookie.set_sensitive(true);
        Some(cookie)
    }

    /// Removes it.
    pub fn clear(self, app: &AppState) -> Option<HeaderValue> {
        self.set(app, "", Some(0))
    }
}

/// The cookie of a language.
pub fn language_cookie(app: &AppState, tag: &str) -> Option<HeaderValue> {
    BrowserCookie::Language.set(app, tag, Some(LANGUAGE_LIFE))
}

/// The cookie of a session. With "keep me signed in" it persists when the browser is closed.
pub fn session_cookie(app: &AppState, value: &str, is_kept: bool) -> Option<HeaderValue> {
    BrowserCookie::Session.set(app, value, is_kept.then_some(browser_sessions::KEPT))
}

/// The browser that sent a request. Requests without a session are limited by address.
#[derive(Debug, Clone)]
pub struct Browser {
    /// Its session, if that is active and its user may use it.
    pub session: Option<BrowserSession>,
    /// The cookie of its session, also of one that has ended.
    pub session_cookie: Option<String>,
    /// The cookie that ties forms to a browser that has no session.
    pub visitor_cookie: Option<String>,
    /// The cookie of a sign-in whose second factor is missing.
    pub pending_cookie: Option<String>,
    /// The cookie of a remembered device.
    pub device_cookie: Option<String>,
    /// Its address.
    pub address: std::net::IpAddr,
}

impl FromRequestParts<AppState> for Browser {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, PageError> {
        if let Some(browser) = parts.extensions.get::<Self>() {
            return Ok(browser.clone());
        }
        let ClientAddress(address) = ClientAddress::from_request_parts(parts, app).await?;
        let session_cookie = BrowserCookie::Session.find(app, &parts.headers);
        let visitor_cookie = BrowserCookie::Visitor.find(app, &parts.headers);
        let pending_cookie = BrowserCookie::PendingSignIn.find(app, &parts.headers);
        let device_cookie = BrowserCookie::Device.find(app, &parts.headers);
        let mut session = None;
        if let Some(cookie) = &session_cookie {
            session = browser_sessions::find(app, cookie).await?;
        }
        match (&session, parts.extensions.get::<Peer>()) {
            (Some(session), Some(peer)) => peer.belongs_to(session.pid),
            (Some(_), None) => {}
            (None, _) => count_visit(app, address)?,
        }
        let browser =
            Self { session, session_cookie, visitor_cookie, pending_cookie, device_cookie, address };
        parts.extensions.insert(browser.clone());
        Ok(browser)
    }
}
