//! The application that sent a person here: its request travels sealed in the query of the pages.

use crate::branding;
use crate::view::View;
use tenantry_core::languages::Language;
use tenantry_domain::authorization_requests::{self, AuthorizationRequest};
use tenantry_domain::clients;
use tenantry_http::page_error::PageError;
use tenantry_http::pages::Page;
use tenantry_http::state::AppState;

/// The authorization request in the query of the page, if there is one. The page then names the application, uses the
/// language that it requests (`ui_locales`), and shows the branding of the partner to which it restricts the sign-in. A
/// request that has expired or was changed is ignored here; the page that continues with it reports the error.
pub async fn find_request(
    app: &AppState,
    view: &mut View,
) -> Result<Option<AuthorizationRequest>, PageError> {
    let sealed = view.parameter("request");
    let Some(request) = sealed.and_then(|sealed| authorization_requests::open(app, &sealed)) else {
        return Ok(None);
    };
    view.application = clients::find(app, &request.client_id).await?.map(|client| client.name);
    view.prefer(request.ui_locales.as_deref().and_then(Language::of_ui_locales));
    if let Some(pid) = request.partner {
        view.branding = branding::of_partner(app, pid).await?;
    }
    Ok(Some(request))
}

/// Lets the forms of a page lead back to the application.
pub fn leading_back(page: Page, request: Option<&AuthorizationRequest>) -> Page {
    match request {
        Some(request) => page.leading_to(&request.return_to.redirect_uri),
        None => page,
    }
}
