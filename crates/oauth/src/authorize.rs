//! `GET|POST /oauth/authorize` (RFC 6749 §3.1, OpenID Connect Core §3.1.2): the page that a client sends a browser to.

use axum::extract::{RawQuery, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use crate::parameters::{known, of_body, of_query, query_of};
use tenantry_domain::authorization_codes;
use tenantry_domain::authorization_requests::{
    self as requests, AuthorizationResponse, PARAMETERS, Refused, ResponseMode, Step, Valid,
};
use tenantry_http::browser::Browser;
use tenantry_http::client_form::ClientForm;
use tenantry_http::page_error::{PageError, PageErrorKind};
use tenantry_http::pages::see_other;
use tenantry_http::state::AppState;

/// The longest query that a request by POST is redirected with. A longer one travels sealed.
const QUERY_MAX: usize = 6_000;

/// The pages of this edge.
pub(crate) fn pages() -> axum::Router<AppState> {
    axum::Router::new()
        .route("/oauth/authorize", get(authorize).post(authorize_by_post))
        .route("/oauth/authorize/continue", get(go_on))
}

/// Begins a request.
async fn authorize(
    State(app): State<AppState>,
    RawQuery(query): RawQuery,
    browser: Browser,
) -> Result<Response, PageError> {
    let parameters = of_query(query.as_deref().unwrap_or_default());
    match requests::parse(&app, &parameters, &app.settings().public_url).await {
        Ok(valid) => respond(&app, step(&app, &valid, &browser, false).await, &browser, Some(&valid)),
        Err(refused) => respond(&app, Err(refused), &browser, None),
    }
}

/// A request by POST from another site comes without the cookie of the session, which is `SameSite=Lax`: it is sent again
/// by GET.
async fn authorize_by_post(
    State(app): State<AppState>,
    browser: Browser,
    request: Request,
) -> Result<Response, PageError> {
    let parameters = known(of_body(request).await?, &PARAMETERS);
    let query = query_of(&parameters);
    if query.len() <= QUERY_MAX {
        return see_other(&format!("/oauth/authorize?{query}"), None);
    }
    match requests::parse(&app, &parameters, &app.settings().public_url).await {
        Ok(valid) => {
            let sealed = valid.request.seal(&app)?;
            see_other(&requests::continue_path(&sealed), None)
        }
        Err(refused) => respond(&app, Err(refused), &browser, None),
    }
}

/// Continues a request that comes back from a page.
async fn go_on(
    State(app): State<AppState>,
    RawQuery(query): RawQuery,
    browser: Browser,
) -> Result<Response, PageError> {
    let parameters = of_query(query.as_deref().unwrap_or_default());
    let sealed = parameters.iter().find(|(name, _)| name == "request").map(|(_, value)| value.as_str());
    let Some(request) = requests::open(&app, sealed.unwrap_or_default()) else {
        return Err(PageErrorKind::ExpiredRequest.into());
    };
    match requests::revalidate(&app, request).await {
        Ok(valid) => respond(&app, step(&app, &valid, &browser, true).await, &browser, Some(&valid)),
        Err(refused) => respond(&app, Err(refused), &browser, None),
    }
}

/// Where the browser goes.
enum Next {
    /// To a page of this server.
    Page(String),
    /// Back to the client.
    Client(AuthorizationResponse),
}

async fn step(app: &AppState, valid: &Valid, browser: &Browser, is_continued: bool) -> Result<Next, Refused> {
    let session = browser.session.as_ref();
    let path = match requests::next_step(app, valid, session, is_continued).await? {
        Step::SignIn => "/sign-in",
        Step::ChooseAccount => "/choose-account",
        Step::SetPassword => "/set-password",
        Step::AddFactor => "/second-factor/add",
        Step::SecondFactor => "/second-factor",
        Step::Consent => "/consent",
        Step::Issue => match session {
            Some(session) => {
                let code = authorization_codes::issue(app, valid, session).await?;
                return Ok(Next::Client(valid.with_code(&code, &app.settings().public_url)));
            }
            None => "/sign-in",
        },
    };
    Ok(Next::Page(format!("{path}?request={}", valid.request.seal(app)?)))
}

/// `valid` is the request, unless it is refused because of what it says.
fn respond(
    app: &AppState,
    next: Result<Next, Refused>,
    browser: &Browser,
    valid: Option<&Valid>,
) -> Result<Response, PageError> {
    let response = match next {
        Ok(Next::Page(path)) => return see_other(&path, None),
        Ok(Next::Client(response)) => response,
        Err(Refused::Client(detail)) => {
            return Err(PageError::with_detail(PageErrorKind::UnknownClient, detail));
        }
        Err(Refused::RedirectUri(detail)) => {
            return Err(PageError::with_detail(PageErrorKind::BadRedirectUri, detail));
        }
        Err(Refused::Failed(error)) => return Err(error.into()),
        Err(Refused::Back(to, error, detail)) => to.with_error(error, detail, &app.settings().public_url),
    };
    match response.mode() {
        ResponseMode::Query => see_other(&response.location(), None),
        ResponseMode::FormPost => {
            let form = ClientForm {
                redirect_uri: response.redirect_uri().to_owned(),
                fields: response.parameters().to_vec(),
                application: valid.map(|valid| valid.client.name.clone()),
                ui_locales: valid.and_then(|valid| valid.request.ui_locales.clone()),
                partner: valid.and_then(|valid| valid.request.partner),
                session: browser.session.clone(),
            };
            Ok(form.into_response())
        }
    }
}
