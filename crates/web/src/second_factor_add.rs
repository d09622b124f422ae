//! The page to add an authenticator app: from the account, or after a sign-in where a second factor is required.

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use qrcodegen::{QrCode, QrCodeEcc};

use crate::account::passkeys::Creation;
use crate::application::{find_request, leading_back};
use crate::assets;
use crate::forms::{carried_query, check_session, next_path, session_token, sign_in_again, sign_in_first};
use crate::person::find_person;
use crate::recovery_codes::codes_page;
use crate::view::{View, render};
use tenantry_core::error::{Error, Missing};
use tenantry_core::languages::Language;
use tenantry_domain::browser_sessions::BrowserSession;
use tenantry_domain::factors::{self, totp};
use tenantry_domain::passkeys::{self, NewPasskey};
use tenantry_http::browser::{Browser, session_cookie};
use tenantry_http::page_error::PageError;
use tenantry_http::pages::{Page, PageForm, see_other};
use tenantry_http::state::AppState;

#[derive(Template)]
#[template(path = "second_factor_add.html")]
struct AddPage {
    view: View,
    token: String,
    is_required: bool,
    shown: Option<ShownKey>,
    /// A passkey instead, and where its form is sent.
    passkey: Option<(Creation, String)>,
    problem: Option<String>,
}

/// A secret as the page shows it.
struct ShownKey {
    /// In groups of four.
    key: String,
    uri: String,
    qr: Option<QrImage>,
}

/// A QR code: its size in modules, and the dark ones as an SVG path.
struct QrImage {
    size: i32,
    path: String,
}

impl ShownKey {
    fn of(secret: &totp::ShownSecret) -> Self {
        let groups: Vec<&str> =
            secret.key.as_bytes().chunks(4).filter_map(|group| std::str::from_utf8(group).ok()).collect();
        Self { key: groups.join(" "), uri: secret.uri.as_str().to_owned(), qr: QrImage::of(&secret.uri) }
    }
}

impl QrImage {
    /// Light modules around the code, which readers need.
    const MARGIN: i32 = 4;

    fn of(text: &str) -> Option<Self> {
        let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
        let size = code.size();
        let mut path = String::new();
        for y in 0..size {
            for x in 0..size {
                if code.get_module(x, y) {
                    path.push_str(&format!("M{} {}h1v1h-1z", x + Self::MARGIN, y + Self::MARGIN));
                }
            }
        }
        Some(Self { size: size + 2 * Self::MARGIN, path })
    }
}

/// The name under which apps show the account.
fn issuer(view: &View, app: &AppState) -> String {
    let branded = view.branding.as_ref().map(|branding| branding.name.clone());
    branded.unwrap_or_else(|| app.settings().authenticator_name())
}

/// The session of somebody who may add a factor; otherwise the path of what comes first.
fn require<'b>(browser: &'b Browser, view: &View) -> Result<&'b BrowserSession, String> {
    match &browser.session {
        Some(session) if !session.is_restricted => Ok(session),
        session => Err(sign_in_first(session.as_ref(), view)),
    }
}

/// This page again, for whoever must sign in again first.
fn here(view: &View) -> String {
    format!("/second-factor/add{}", carried_query(view))
}

async fn page(
    app: &AppState,
    mut view: View,
    browser: &Browser,
    session: &BrowserSession,
    headers: &HeaderMap,
    (secret, problem): (Option<totp::ShownSecret>, Option<String>),
) -> Result<Page, PageError> {
    let request = find_request(app, &mut view).await?;
    let person = find_person(app, session, &mut view).await?;
    let mut passkey = None;
    if let Ok(party) = app.relying_party()
        && secret.is_none()
    {
        let creation = Creation::of(app, party, &view, browser, headers, (&person.user, &[]));
        passkey = Some((creation, format!("/second-factor/add/passkey{}", carried_query(&view))));
    }
    let shown = secret.as_ref().map(ShownKey::of);
    let (token, is_required) = (session_token(app, browser), session.lacks_factor);
    let page = render(&AddPage { view, token, is_required, shown, passkey, problem })?;
    Ok(leading_back(page, request.as_ref()))
}

/// Shows the page. Whoever has a second factor already, but has not given it, is asked for it.
pub async fn show(
    State(app): State<AppState>,
    view: View,
    browser: Browser,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let session = match require(&browser, &view) {
        Ok(session) => session,
        Err(elsewhere) => return see_other(&elsewhere, None),
    };
    let (member, user_id) = (session.member_adding_factor()?, session.user_id);
    let has_any = app.store.scan(&member, move |tx| factors::has_any(tx, user_id)).await?;
    if session.lacks_factor && has_any {
        return see_other(&format!("/second-factor{}", carried_query(&view)), None);
    }
    let (now, back) = (app.clock.read().latest, here(&view));
    match totp::find_pending(&app, &member, &issuer(&view, &app)).await {
        Ok(secret) => {
            Ok(page(&app, view, &browser, session, &headers, (secret, None)).await?.into_response())
        }
        Err(Error::InsufficientAuthentication(_)) => see_other(&sign_in_again(session, now, &back), None),
        Err(other) => Err(other.into()),
    }
}

/// Makes a secret, or makes one a factor by a first code.
pub async fn submit(
    State(app): State<AppState>,
    view: View,
    browser: Browser,
    headers: HeaderMap,
    mut form: PageForm,
) -> Result<Response, PageError> {
    if let Err(elsewhere) = require(&browser, &view) {
        return see_other(&elsewhere, None);
    }
    let session = check_session(&app, &browser, &mut form)?;
    let (member, code) = (session.member_adding_factor()?, form.find("code"));
    let (now, back) = (app.clock.read().latest, here(&view));
    let Some(code) = code else {
        let begun = totp::begin(&app, &member, &issuer(&view, &app)).await;
        return match begun {
            Ok(_) => see_other(&back, None),
            Err(Error::InsufficientAuthentication(_)) => see_other(&sign_in_again(session, now, &back), None),
            Err(Error::Conflict(conflict)) if conflict.code == "factor-exists" => {
                see_other("/account/security", None)
            }
            Err(Error::Conflict(conflict)) => {
                let problem = match conflict.code {
                    "no-master-key" => text!(view.language, "authenticator-no-master-key").to_owned(),
                    "second-factor-off" => text!(view.language, "security-off").to_owned(),
                    _ => conflict.detail.into_owned(),
                };
                let page = page(&app, view, &browser, session, &headers, (None, Some(problem))).await?;
                Ok(page.status(StatusCode::CONFLICT).into_response())
            }
            Err(other) => Err(other.into()),
        };
    };
    match totp::confirm(&app, &member, &code).await {
        Ok(confirmed) => {
            let cookie = confirmed.cookie.and_then(|cookie| session_cookie(&app, &cookie, session.is_kept));
            let next = next_path(&view);
            match confirmed.recovery_codes {
                Some(codes) => Ok(codes_page(view, &codes, &next)?.with_cookie(cookie).into_response()),
                None => see_other(&next, cookie),
            }
        }
        Err(Error::Invalid(_)) => {
            let problem = text!(view.language, "authenticator-wrong-code").to_owned();
            let secret = totp::find_pending(&app, &member, &issuer(&view, &app)).await?;
            let page = page(&app, view, &browser, session, &headers, (secret, Some(problem))).await?;
            Ok(page.status(StatusCode::BAD_REQUEST).into_response())
        }
        // It waited for too long, or is done.
        Err(Error::NotFound(Missing::Factor)) => see_other(&back, None),
        Err(Error::InsufficientAuthentication(_)) => see_other(&sign_in_again(session, now, &back), None),
        Err(other) => Err(other.into()),
    }
}

/// The path of the form is that of no page.
pub async fn show_passkey(view: View) -> Result<Response, PageError> {
    see_other(&here(&view), None)
}

/// Adds a passkey, for whoever needs a second factor.
pub async fn submit_passkey(
    State(app): State<AppState>,
    mut view: View,
    browser: Browser,
    headers: HeaderMap,
    mut form: PageForm,
) -> Result<Response, PageError> {
    // What follows is the page to add a factor, wherever its form was sent to.
    view.here = here(&view);
    if let Err(elsewhere) = require(&browser, &view) {
        return see_other(&elsewhere, None);
    }
    let session = check_session(&app, &browser, &mut form)?;
    let Ok(party) = app.relying_party() else { return see_other(&view.here, None) };
    let (credential, user_handle, name) =
        (form.take("credential"), form.take("userHandle"), form.take("name"));
    let new = NewPasskey { credential: &credential, user_handle: &user_handle, name: &name };
    let cookie = browser.session_cookie.as_deref().unwrap_or_default();
    match passkeys::add(&app, party, session, cookie, new).await {
        Ok(added) => {
            let cookie = added.cookie.and_then(|cookie| session_cookie(&app, &cookie, session.is_kept));
            let next = next_path(&view);
            match added.recovery_codes {
                Some(codes) => Ok(codes_page(view, &codes, &next)?.with_cookie(cookie).into_response()),
                None => see_other(&next, cookie),
            }
        }
        Err(Error::InsufficientAuthentication(_)) => {
            see_other(&sign_in_again(session, app.clock.read().latest, &view.here), None)
        }
        Err(error) => {
            let problem = match &error {
                Error::Invalid(_) => text!(view.language, "passkeys-invalid"),
                Error::Conflict(conflict) if conflict.code == passkeys::CHALLENGE_EXPIRED => {
                    text!(view.language, "passkeys-expired")
                }
                Error::Conflict(conflict) if conflict.code == passkeys::PASSKEY_TAKEN => {
                    text!(view.language, "passkeys-taken")
                }
                Error::Conflict(conflict) if conflict.code == passkeys::SECOND_FACTOR_OFF => {
                    text!(view.language, "security-off")
                }
                _ => return Err(error.into()),
            };
            let problem = Some(problem.to_owned());
            let page = page(&app, view, &browser, session, &headers, (None, problem)).await?;
            Ok(page.status(StatusCode::BAD_REQUEST).into_response())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_qr_code_is_a_path_of_modules() {
        let uri = "otpauth://totp/Example:ada?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Example";
        let image = QrImage::of(uri).unwrap();
        assert!(image.size > 21 + 8);
        // The finder pattern begins in the corner.
        assert!(image.path.starts_with("M4 4h1v1h-1zM5 4h1v1h-1z"));
    }
}
