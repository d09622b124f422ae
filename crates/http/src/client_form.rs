//! Responses that the browser posts to a client (OAuth 2.0 Form Post Response Mode). A handler returns a `ClientForm`; the
//! crate of pages renders it, in the person's language.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};

use crate::page_error::{PageError, PageErrorKind};
use tenantry_core::model::PartnerId;
use tenantry_domain::browser_sessions::BrowserSession;

/// A form that the browser posts to a client. Not `Debug`: it may have a code.
#[derive(Clone)]
pub struct ClientForm {
    /// Where it is posted: a redirect URI, which must be validated.
    pub redirect_uri: String,
    /// The hidden fields.
    pub fields: Vec<(&'static str, Cow<'static, str>)>,
    /// The name of the client, if the request was valid.
    pub application: Option<String>,
    /// The languages that the client asks for.
    pub ui_locales: Option<String>,
    /// The partner to which the client restricts the sign-in.
    pub partner: Option<PartnerId>,
    /// The session of the browser.
    pub session: Option<BrowserSession>,
}

impl IntoResponse for ClientForm {
    /// The response without its page: an error unless the crate of pages replaces it.
    fn into_response(self) -> Response {
        let mut response = PageError::new(PageErrorKind::Internal).into_response();
        response.extensions_mut().remove::<PageError>();
        response.extensions_mut().insert(self);
        response
    }
}
