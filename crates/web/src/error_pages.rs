//! Error pages: what happened, what to do, and the id of the request.

use askama::Template;
use axum::Router;
use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_LENGTH};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};

use crate::assets;
use crate::client_form;
use crate::view::{View, render};
use tenantry_core::languages::Language;
use tenantry_http::client_form::ClientForm;
use tenantry_http::page_error::{PageError, PageErrorKind};
use tenantry_http::problem::Problem;
use tenantry_http::state::AppState;

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    view: View,
    title: &'static str,
    what_to_do: &'static str,
    detail: Option<&'a str>,
    next: Option<(&'static str, &'static str)>,
}

/// Renders the errors of these routes as pages, and their forms for clients.
pub fn with_error_pages(router: Router<AppState>, app: &AppState) -> Router<AppState> {
    router.layer(from_fn_with_state(app.clone(), render_response))
}

async fn render_response(State(app): State<AppState>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let Ok(view) = View::from_request_parts(&mut parts, &app).await;
    parts.extensions.insert(view.clone());
    let mut response = next.run(Request::from_parts(parts, body)).await;
    let Some(form) = response.extensions_mut().remove::<ClientForm>() else { return show(response, view) };
    match client_form::page(&app, form, view.clone()).await {
        Ok(page) => page.into_response(),
        Err(error) => show(error.into_response(), view),
    }
}

/// Replaces the body of a response that has a page error.
fn show(mut response: Response, view: View) -> Response {
    let Some(error) = response.extensions_mut().remove::<PageError>() else { return response };
    let (title, what_to_do) = texts(error.kind, view.language);
    let detail = error.detail.as_deref();
    let next = next_step(error.kind, view.language);
    let Ok(page) = render(&ErrorPage { view, title, what_to_do, detail, next }) else { return response };
    let page = page.status(error.status).into_response();
    let (mut parts, body) = page.into_parts();
    response.headers_mut().remove(CONTENT_LENGTH);
    for (name, value) in &parts.headers {
        response.headers_mut().insert(name.clone(), value.clone());
    }
    parts.headers = std::mem::take(response.headers_mut());
    parts.extensions = std::mem::take(response.extensions_mut());
    Response::from_parts(parts, body)
}

/// The response to a path that does not exist: a page for a browser, a problem document for others.
pub async fn not_found(State(app): State<AppState>, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    if !wants_html(&parts.headers) || parts.uri.path().starts_with("/api/") {
        return Problem::unknown_path().into_response();
    }
    let Ok(view) = View::from_request_parts(&mut parts, &app).await;
    show(PageError::new(PageErrorKind::NotFound).into_response(), view)
}

/// Whether the client is a browser that opens a page. Clients of the API accept JSON or anything.
pub fn wants_html(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted
        .flat_map(|value| value.split(','))
        .any(|range| range.split(';').next().is_some_and(|r| r.trim().eq_ignore_ascii_case("text/html")))
}

/// Where a person can go from the page.
fn next_step(kind: PageErrorKind, language: Language) -> Option<(&'static str, &'static str)> {
    match kind {
        PageErrorKind::StaleForm | PageErrorKind::CookiesOff | PageErrorKind::SignedOut => {
            Some(("/sign-in", text!(language, "go-to-sign-in")))
        }
        PageErrorKind::NotFound | PageErrorKind::MethodNotAllowed | PageErrorKind::ForeignOrigin => {
            Some(("/account", text!(language, "go-to-account")))
        }
        PageErrorKind::UnknownClient
        | PageErrorKind::BadRedirectUri
        | PageErrorKind::BadRequest
        | PageErrorKind::ExpiredRequest
        | PageErrorKind::ExpiredLink
        | PageErrorKind::NotAllowed
        | PageErrorKind::TooMany
        | PageErrorKind::Unavailable
        | PageErrorKind::Internal => None,
    }
}

/// The title and what to do.
fn texts(kind: PageErrorKind, l: Language) -> (&'static str, &'static str) {
    match kind {
        PageErrorKind::UnknownClient => {
            (text!(l, "error-unknown-client-title"), text!(l, "error-unknown-client"))
        }
        PageErrorKind::BadRedirectUri => {
            (text!(l, "error-bad-redirect-uri-title"), text!(l, "error-bad-redirect-uri"))
        }
        PageErrorKind::BadRequest => (text!(l, "error-bad-request-title"), text!(l, "error-bad-request")),
        PageErrorKind::StaleForm => (text!(l, "error-stale-form-title"), text!(l, "error-stale-form")),
        PageErrorKind::ForeignOrigin => {
            (text!(l, "error-foreign-origin-title"), text!(l, "error-foreign-origin"))
        }
        PageErrorKind::CookiesOff => (text!(l, "error-cookies-off-title"), text!(l, "error-cookies-off")),
        PageErrorKind::ExpiredRequest => {
            (text!(l, "error-expired-request-title"), text!(l, "error-expired-request"))
        }
        PageErrorKind::ExpiredLink => (text!(l, "error-expired-link-title"), text!(l, "error-expired-link")),
        PageErrorKind::SignedOut => (text!(l, "error-signed-out-title"), text!(l, "error-signed-out")),
        PageErrorKind::NotAllowed => (text!(l, "error-not-allowed-title"), text!(l, "error-not-allowed")),
        PageErrorKind::NotFound => (text!(l, "error-not-found-title"), text!(l, "error-not-found")),
        PageErrorKind::MethodNotAllowed => {
            (text!(l, "error-method-not-allowed-title"), text!(l, "error-method-not-allowed"))
        }
        PageErrorKind::TooMany => (text!(l, "error-too-many-title"), text!(l, "error-too-many")),
        PageErrorKind::Unavailable => (text!(l, "error-unavailable-title"), text!(l, "error-unavailable")),
        PageErrorKind::Internal => (text!(l, "error-internal-title"), text!(l, "error-internal")),
    }
}
