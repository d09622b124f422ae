//! The page with a form that the browser posts to a client. A script submits it at once; without scripts, the
//! person presses its button.

use askama::Template;

use crate::assets;
use crate::branding;
use crate::person::find_person;
use crate::view::{View, render};
use tenantry_core::languages::Language;
use tenantry_http::client_form::ClientForm;
use tenantry_http::page_error::PageError;
use tenantry_http::pages::Page;
use tenantry_http::state::AppState;

#[derive(Template)]
#[template(path = "client_form.html")]
struct ClientFormPage {
    view: View,
    form: ClientForm,
}

/// Renders a form for a client.
pub async fn page(app: &AppState, form: ClientForm, mut view: View) -> Result<Page, PageError> {
    if let Some(session) = &form.session {
        find_person(app, session, &mut view).await?;
    }
    view.prefer(form.ui_locales.as_deref().and_then(Language::of_ui_locales));
    if let Some(pid) = form.partner {
        view.branding = branding::of_partner(app, pid).await?;
    }
    // In another language, the page would be another response to the client.
    view.offers_languages = false;
    let redirect_uri = form.redirect_uri.clone();
    Ok(render(&ClientFormPage { view, form })?.leading_to(&redirect_uri))
}
