//! The page that a link in a mail opens to verify an address. Only its button verifies it: mail scanners follow links.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};

use crate::assets;
use crate::forms::{check_visitor, visitor_token};
use crate::view::{View, render};
use tenantry_core::languages::Language;
use tenantry_domain::email_verifications::{self, LinkState};
use tenantry_http::browser::Browser;
use tenantry_http::page_error::{PageError, PageErrorKind};
use tenantry_http::pages::{PageForm, see_other};
use tenantry_http::state::AppState;

#[derive(Template)]
#[template(path = "verify_email.html")]
struct VerifyEmailPage {
    view: View,
    token: String,
    address: String,
}

#[derive(Template)]
#[template(path = "verified_email.html")]
struct VerifiedEmailPage {
    view: View,
    address: String,
}

fn link(view: &View) -> String {
    view.parameter("link").unwrap_or_default()
}

/// Shows the button, or that the address is verified.
pub async fn show(State(app): State<AppState>, view: View, browser: Browser) -> Result<Response, PageError> {
    match email_verifications::find_link(&app, &link(&view)).await? {
        LinkState::Good(address) => {
            let (token, cookie) = visitor_token(&app, &browser);
            let page = VerifyEmailPage { view, token, address };
            Ok(render(&page)?.with_cookie(cookie).into_response())
        }
        LinkState::Proven(address) => Ok(render(&VerifiedEmailPage { view, address })?.into_response()),
        LinkState::Invalid => Err(PageErrorKind::ExpiredLink.into()),
    }
}

/// Verifies the address.
pub async fn submit(
    State(app): State<AppState>,
    view: View,
    browser: Browser,
    mut form: PageForm,
) -> Result<Response, PageError> {
    check_visitor(&app, &browser, &mut form)?;
    match email_verifications::confirm(&app, &link(&view)).await? {
        LinkState::Good(_) | LinkState::Proven(_) => see_other(&view.here, None),
        LinkState::Invalid => Err(PageErrorKind::ExpiredLink.into()),
    }
}
