//! Signing in with a passkey: the form on the sign-in page, which the script `passkeys.js` fills in, and what it sends.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use crate::application::{find_request, leading_back};
use crate::forms::{carried_query, check_visitor, minutes, signed_in_path, too_many};
use crate::sign_in::{self, Refusal};
use crate::view::View;
use tenantry_core::error::Error;
use tenantry_core::languages::Language;
use tenantry_domain::passkeys::{self, PasskeyRefusal, PasskeySignIn, PasskeySignInError};
use tenantry_domain::tokens::Origin;
use tenantry_domain::webauthn::{AssertionResponse, NoRelyingParty, RelyingParty};
use tenantry_http::browser::{Browser, session_cookie};
use tenantry_http::page_error::PageError;
use tenantry_http::pages::{PageForm, see_other};
use tenantry_http::state::AppState;

/// Why nobody can have passkeys here.
pub fn reason(no: NoRelyingParty, language: Language) -> &'static str {
    match no {
        NoRelyingParty::IpAddress => text!(language, "passkeys-need-a-name"),
        NoRelyingParty::Insecure => text!(language, "passkeys-need-https"),
    }
}

/// The form of a sign-in with a passkey.
pub struct PasskeyForm {
    /// The path that it is sent to, below the public path.
    pub action: String,
    /// What the browser is asked, as JSON.
    pub options: Value,
    /// The only origin at which browsers are asked.
    pub origin: String,
    /// What authenticators are told, as JSON.
    pub signals: Value,
}

impl PasskeyForm {
    /// The form that confirms a sign-in, or makes one stronger.
    pub fn of_second_factor(party: &RelyingParty, action: String, options: Value) -> Self {
        Self { action, options, origin: party.origin().to_owned(), signals: json!({}) }
    }

    /// The form of the sign-in page of the browser with this cookie; none where nobody can have passkeys. `unknown` is a
    /// credential that was tried, and that nobody has.
    pub fn of_sign_in(app: &AppState, view: &View, cookie: &str, unknown: Option<&str>) -> Option<Self> {
        let party = app.relying_party().ok()?;
        let signals = match unknown {
            Some(id) => json!({ "signalUnknownCredential": { "rpId": party.id(), "credentialId": id } }),
            None => json!({}),
        };
        Some(Self {
            action: format!("/sign-in/passkey{}", carried_query(view)),
            options: passkeys::request_options(app, party, cookie),
            origin: party.origin().to_owned(),
            signals,
        })
    }
}

/// The path of the form is that of no page: whoever opens it is led to the sign-in.
pub async fn show(view: View) -> Result<Response, PageError> {
    see_other(&format!("/sign-in{}", carried_query(&view)), None)
}

/// Signs in with a passkey.
pub async fn submit(
    State(app): State<AppState>,
    mut view: View,
    browser: Browser,
    headers: HeaderMap,
    mut form: PageForm,
) -> Result<Response, PageError> {
    // What follows is the sign-in page, wherever its form was sent to.
    view.here = format!("/sign-in{}", carried_query(&view));
    let request = find_request(&app, &mut view).await?;
    check_visitor(&app, &browser, &mut form)?;
    let Ok(party) = app.relying_party() else { return see_other(&view.here, None) };
    let (credential, is_kept) = (form.take("credential"), form.is_checked("keep"));
    let user_agent = headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let signing = PasskeySignIn {
        credential: &credential,
        cookie: browser.visitor_cookie.as_deref().unwrap_or_default(),
        origin: Origin { address: browser.address, user_agent },
        is_kept,
        previous: browser.session_cookie.clone(),
    };
    let refusal = match passkeys::sign_in(&app, party, signing).await {
        Ok(signed_in) => {
            let path = signed_in_path(&view, signed_in.is_restricted, false);
            return see_other(&path, session_cookie(&app, &signed_in.cookie, is_kept));
        }
        Err(PasskeySignInError::Failure(Error::TooMany(wait))) => {
            let problem = text!(view.language, "sign-in-too-many", minutes = minutes(wait));
            let page = sign_in::page(&app, view, &browser, "", is_kept, Some(problem.into()))?;
            return Ok(too_many(leading_back(page, request.as_ref()), wait));
        }
        Err(PasskeySignInError::Failure(other)) => return Err(other.into()),
        Err(PasskeySignInError::Refusal(refusal)) => refusal,
    };
    let unknown = AssertionResponse::parse(&credential).filter(|_| refusal == PasskeyRefusal::Unknown);
    let unknown = unknown.as_ref().map(AssertionResponse::credential_id);
    let problem = match refusal {
        PasskeyRefusal::Expired => text!(view.language, "sign-in-passkey-expired"),
        PasskeyRefusal::Unknown | PasskeyRefusal::Refused => text!(view.language, "sign-in-passkey-refused"),
        PasskeyRefusal::TemporaryPassword => text!(view.language, "sign-in-passkey-temporary"),
    };
    let refusal = Refusal { problem: problem.to_owned(), unknown_credential: unknown };
    let page = sign_in::page(&app, view, &browser, "", is_kept, Some(refusal))?;
    Ok(leading_back(page, request.as_ref()).status(StatusCode::BAD_REQUEST).into_response())
}
