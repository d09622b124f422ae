//! What all pages have in common: security headers, forms, and the protection of forms against other sites.

use std::net::IpAddr;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, LOCATION, ORIGIN, REFERRER_POLICY,
    SET_COOKIE, VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::incoming::read_body;
use crate::media_type::content_type;
use crate::page_error::{PageError, PageErrorKind};
use crate::state::{AppState, HttpSettings};
use tenantry_core::clock::{DAY, Millis};

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// With `no-referrer`, browsers send `Origin: null` with our own forms.
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");
const COOP: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Scripts, styles and pictures are files of ours; nothing is in the page itself, and no other page may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; base-uri 'none'; \
                      frame-ancestors 'none'; form-action 'self'";

/// The same, and scripts fetch from us.
const CONSOLE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                              connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";

/// The header of a request of a script for a part of a page of the console.
pub const FRAGMENT: HeaderName = HeaderName::from_static("tenantry-fragment");

const CONSOLE_VARY: HeaderValue =
    HeaderValue::from_static("cookie, accept-language, accept-encoding, tenantry-fragment");

/// A page: HTML with the headers of all pages.
#[derive(Debug)]
pub struct Page {
    status: StatusCode,
    html: String,
    form_action: Option<String>,
    is_of_account: bool,
    is_of_console: bool,
    cookies: Vec<HeaderValue>,
}

impl Page {
    /// A page with this HTML.
    pub fn new(html: String) -> Self {
        Self {
            status: StatusCode::OK,
            html,
            form_action: None,
            is_of_account: false,
            is_of_console: false,
            cookies: Vec::new(),
        }
    }

    /// The same page with another status.
    #[must_use]
    pub fn status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// Lets the forms of the page lead to a redirect URI, which must be validated: browsers check where the response to a
    /// form redirects to. One that cannot be named in the policy is ignored.
    #[must_use]
    pub fn leading_to(self, redirect_uri: &str) -> Self {
        Self { form_action: form_target(redirect_uri), ..self }
    }

    /// A page of the account: it shares no browsing context with a page that opened it. Pages of a sign-in do, since a
    /// product may have opened them in a popup.
    #[must_use]
    pub fn of_account(self) -> Self {
        Self { is_of_account: true, ..self }
    }

    /// A page of the console: as one of the account, and its scripts fetch parts of pages. What it shows depends on who asks,
    /// in which language, and whether for a part.
    #[must_use]
    pub fn of_console(self) -> Self {
        Self { is_of_account: true, is_of_console: true, ..self }
    }

    /// Sets a cookie.
    #[must_use]
    pub fn with_cookie(mut self, cookie: Option<HeaderValue>) -> Self {
        self.cookies.extend(cookie);
        self
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.html));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HTML);
        headers.insert(CACHE_CONTROL, NO_STORE);
        headers.insert(REFERRER_POLICY, SAME_ORIGIN);
        let policy = match self.form_action {
            None => HeaderValue::from_static(POLICY),
            Some(target) => HeaderValue::try_from(format!("{POLICY} {target}"))
                .unwrap_or(HeaderValue::from_static(POLICY)),
        };
        headers.insert(CONTENT_SECURITY_POLICY, policy);
        if self.is_of_account {
            headers.insert(COOP, SAME_ORIGIN);
        }
        if self.is_of_console {
            headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONSOLE_POLICY));
            headers.insert(VARY, CONSOLE_VARY);
        }
        for cookie in self.cookies {
            headers.append(SET_COOKIE, cookie);
        }
        response
    }
}

/// Where a redirect URI leads, as a source of a Content-Security-Policy: its origin, or the scheme of a native
/// application.
fn form_target(redirect_uri: &str) -> Option<String> {
    let (scheme, rest) = redirect_uri.split_once(':')?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    if !is_scheme {
        return None;
    }
    if !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") {
        return Some(format!("{scheme}:"));
    }
    let authority = rest.strip_prefix("//")?.split(['/', '?', '#']).next()?;
    let is_authority = !authority.is_empty()
        && authority
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b':' | b'[' | b']'));
    is_authority.then(|| format!("{scheme}://{authority}"))
}

/// Redirects to a path of ours, or to a validated URI, after a form (303) or otherwise.
pub fn see_other(
    location: &str,
    cookies: impl IntoIterator<Item = HeaderValue>,
) -> Result<Response, PageError> {
    let location = HeaderValue::try_from(location).map_err(|_| {
        PageError::with_detail(PageErrorKind::BadRequest, "the address to go on to is malformed")
    })?;
    let mut response = StatusCode::SEE_OTHER.into_response();
    response.headers_mut().insert(LOCATION, location);
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    response.headers_mut().insert(REFERRER_POLICY, SAME_ORIGIN);
    for cookie in cookies {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Maximum size of a form: a sealed request of an application can have kilobytes.
const FORM: u64 = 64 * 1024;

/// The fields of a form that was sent from a page of ours: requests of other sites are refused before they are read.
pub struct PageForm(Vec<(String, Zeroizing<String>)>);

impl PageForm {
    /// The value of a field; empty if it is absent.
    pub fn take(&mut self, name: &str) -> Zeroizing<String> {
        match self.0.iter().position(|(known, _)| known == name) {
            Some(at) => self.0.swap_remove(at).1,
            None => Zeroizing::default(),
        }
    }

    /// The value of a field, unless it is absent or empty.
    pub fn find(&mut self, name: &str) -> Option<Zeroizing<String>> {
        Some(self.take(name)).filter(|value| !value.is_empty())
    }

    /// Whether a check box is checked.
    pub fn is_checked(&mut self, name: &str) -> bool {
        self.find(name).is_some()
    }
}

impl FromRequest<AppState> for PageForm {
    type Rejection = PageError;

    async fn from_request(request: Request, app: &AppState) -> Result<Self, PageError> {
        check_origin(request.headers(), app.settings())?;
        let is_form = content_type(request.headers()).is_some_and(|media_type| {
            media_type.essence().to_string().eq_ignore_ascii_case("application/x-www-form-urlencoded")
        });
        let bad = |detail: &'static str| PageError::with_detail(PageErrorKind::BadRequest, detail);
        if !is_form {
            return Err(bad("send the form as application/x-www-form-urlencoded"));
        }
        let body = read_body(request, FORM).await?;
        let mut fields: Vec<(String, Zeroizing<String>)> = Vec::new();
        for (name, value) in form_urlencoded::parse(&body) {
            if fields.iter().any(|(known, _)| *known == name) {
                return Err(bad("a field of the form is there twice"));
            }
            if name.contains('\0') || value.contains('\0') {
                return Err(bad("a field contains the control character U+0000"));
            }
            fields.push((name.into_owned(), Zeroizing::new(value.into_owned())));
        }
        Ok(Self(fields))
    }
}

/// Refuses a form of another site. Browsers say where a request comes from in `Sec-Fetch-Site` (only to hosts that they
/// trust) and in `Origin`; a client that sends neither is not a current browser, and its form still needs a token.
///
/// # Errors
/// [`PageErrorKind::ForeignOrigin`].
pub fn check_origin(headers: &HeaderMap, settings: &HttpSettings) -> Result<(), PageError> {
    let foreign = || Err(PageErrorKind::ForeignOrigin.into());
    match headers.get(SEC_FETCH_SITE).map(HeaderValue::as_bytes) {
        Some(b"same-origin" | b"none") => return Ok(()),
        Some(_) => return foreign(),
        None => {}
    }
    let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
    let Ok(origin) = origin.to_str() else { return foreign() };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let is_host = origin
        .split_once("://")
        .is_some_and(|(_, authority)| !host.is_empty() && authority.eq_ignore_ascii_case(host));
    if is_host || origin.eq_ignore_ascii_case(settings.public_origin()) { Ok(()) } else { foreign() }
}

/// How long a form may stay open.
const FORM_LIFE: Millis = DAY;

/// A clock of another server may be ahead.
const SLACK: Millis = tenantry_core::clock::MINUTE;

/// The list of cursor codes that form tokens are of: no list of the API has this name.
const TOKENS: &[u8] = b"the forms of pages";

/// The length of the time in a CSRF token.
const TIME: usize = 8;

/// The CSRF token of a form for the browser that has `cookie`.
pub fn form_token(app: &AppState, cookie: &str) -> String {
    let time = app.clock.read().latest.to_be_bytes();
    let code = app.cursor_key.code(TOKENS, &[&time, cookie.as_bytes()].concat());
    URL_SAFE_NO_PAD.encode([&time[..], &code[..]].concat())
}

/// Checks the token of a form against the cookie that came with it.
///
/// # Errors
/// [`PageErrorKind::StaleForm`].
pub fn check_form_token(app: &AppState, cookie: &str, token: &str) -> Result<(), PageError> {
    let is_good = || {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (time, code) = bytes.split_first_chunk::<TIME>()?;
        let age = app.clock.read().latest.saturating_sub(Millis::from_be_bytes(*time));
        let is_code = app.cursor_key.is_code(code, TOKENS, &[time, cookie.as_bytes()].concat());
        Some(is_code && (-SLACK..FORM_LIFE).contains(&age))
    };
    if is_good() == Some(true) { Ok(()) } else { Err(PageErrorKind::StaleForm.into()) }
}

/// Refuses a request of an address that has sent too many lately (see [`crate::visitors`]).
///
/// # Errors
/// [`PageErrorKind::TooMany`].
pub fn count_visit(app: &AppState, address: IpAddr) -> Result<(), PageError> {
    app.visitors().count(address, app.clock.read().latest).map_err(PageError::from)
}

/// A path of ours to return to, from a parameter; `None` if it would lead elsewhere.
pub fn local_path(path: &str) -> Option<&str> {
    let is_ours = path.starts_with('/')
        && !path.starts_with("//")
        && path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    is_ours.then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> HttpSettings {
        HttpSettings { public_url: String::from("https://id.example/iam"), ..HttpSettings::default() }
    }

    #[test]
    fn forms_of_other_sites_are_refused() {
        for (headers, is_ours) in [
            (&[][..], true),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "none")], true),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "cross-site"), ("origin", "https://id.example")], false),
            (&[("origin", "https://id.example")], true),
            (&[("origin", "https://ID.example")], true),
            (&[("origin", "https://id.example.evil")], false),
            (&[("origin", "https://evil.example")], false),
            (&[("origin", "null")], false),
            (&[("origin", "http://10.0.0.7:8080"), ("host", "10.0.0.7:8080")], true),
            (&[("origin", "http://10.0.0.7:8081"), ("host", "10.0.0.7:8080")], false),
            (&[("origin", "://")], false),
        ] {
            let map = headers
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            assert_eq!(check_origin(&map.collect(), &settings()).is_ok(), is_ours, "{headers:?}");
        }
    }

    #[test]
    fn the_policy_names_where_a_form_may_lead() {
        for (uri, target) in [
            ("https://shop.example/cb?x=1", Some("https://shop.example")),
            ("http://127.0.0.1:8123/cb", Some("http://127.0.0.1:8123")),
            ("http://[::1]:7/cb", Some("http://[::1]:7")),
            ("com.example.app:/cb", Some("com.example.app:")),
            ("https://user@evil.example/", None),
            ("https://a;script-src *", None),
            ("https://", None),
            ("nothing", None),
            ("a b:/", None),
        ] {
            assert_eq!(form_target(uri).as_deref(), target, "{uri}");
        }
        let page = Page::new(String::new()).leading_to("https://shop.example/cb").into_response();
        let policy = page.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.ends_with("form-action 'self' https://shop.example"), "{policy}");
    }

    #[test]
    fn a_path_to_return_to_cannot_lead_elsewhere() {
        for path in ["/", "/account", "/sign-in?request=a.b-c_d"] {
            assert_eq!(local_path(path), Some(path));
        }
        for path in ["", "account", "//evil.example", "/\\evil.example", "https://evil.example", "/a b", "/é"]
        {
            assert_eq!(local_path(path), None, "{path:?}");
        }
    }
}
