//! The page of the passkeys of whoever is signed in. The script `passkeys.js` has the browser create one, and sends it
//! with the form.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value, json};

use super::{Messages, Part, done, require, shown_time};
use crate::assets;
use crate::devices;
use crate::forms::{check_session, session_token, sign_in_again};
use crate::passkeys::reason;
use crate::person::find_person;
use crate::recovery_codes::codes_page;
use crate::view::{View, render};
use tenantry_core::error::{Error, Missing};
use tenantry_core::languages::Language;
use tenantry_core::model::User;
use tenantry_domain::browser_sessions::BrowserSession;
use tenantry_domain::passkeys::{self, NewPasskey, Passkey};
use tenantry_domain::webauthn::RelyingParty;
use tenantry_http::browser::{Browser, session_cookie};
use tenantry_http::page_error::PageError;
use tenantry_http::pages::{Page, PageForm, see_other};
use tenantry_http::state::AppState;

#[derive(Template)]
#[template(path = "account_passkeys.html")]
struct PasskeysPage {
    view: View,
    part: Part,
    messages: Messages,
    token: String,
    /// Why nobody can have passkeys here.
    unavailable: Option<&'static str>,
    is_fresh: bool,
    /// Where the person signs in again.
    again: String,
    creation: Option<Creation>,
    rows: Vec<Row>,
    /// What authenticators are told, as JSON: the arguments of methods of `PublicKeyCredential` by their names.
    signals: Value,
}

/// What the script needs to create a passkey.
pub struct Creation {
    /// What the browser is asked, as JSON.
    pub options: Value,
    /// The only origin at which browsers are asked.
    pub origin: String,
    /// What the authenticator is to call the user.
    pub user_handle: String,
    /// A suggestion.
    pub name: String,
}

impl Creation {
    /// For a user who has these passkeys.
    pub fn of(
        app: &AppState,
        party: &RelyingParty,
        view: &View,
        browser: &Browser,
        headers: &HeaderMap,
        (user, known): (&User, &[Passkey]),
    ) -> Self {
        let cookie = browser.session_cookie.as_deref().unwrap_or_default();
        let request = passkeys::creation_request(app, party, view.brand(), cookie, user, known);
        let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        let name = agent.and_then(devices::name);
        Self {
            options: request.options,
            origin: party.origin().to_owned(),
            user_handle: request.user_handle,
            name: name.unwrap_or_else(|| text!(view.language, "passkeys-default-name").to_owned()),
        }
    }
}

/// A passkey as the page shows it.
struct Row {
    id: String,
    name: String,
    is_synced: bool,
    added: String,
    last_used: Option<String>,
}

impl Row {
    fn of(passkey: &Passkey) -> Self {
        Self {
            id: passkey.passkey_id.clone(),
            name: passkey.name.clone(),
            is_synced: passkey.is_backed_up,
            added: shown_time(passkey.created_at),
            last_used: passkey.last_used_at.map(shown_time),
        }
    }
}

/// What authenticators are told about the passkeys of a user (WebAuthn §5.1.10): which there are, and what the user is
/// called; and which one was just removed.
fn signals(party: &RelyingParty, user: &User, passkeys: &[Passkey], removed: Option<String>) -> Value {
    let mut signals = Map::new();
    if let Some(first) = passkeys.first() {
        let same = passkeys.iter().filter(|passkey| passkey.user_handle == first.user_handle);
        let ids: Vec<&str> = same.map(|passkey| passkey.credential_id.as_str()).collect();
        let (party, handle) = (party.id(), &first.user_handle);
        let accepted = json!({ "rpId": party, "userId": handle, "allAcceptedCredentialIds": ids });
        let (name, shown) = (&user.username, passkeys::display_name(user));
        let details = json!({ "rpId": party, "userId": handle, "name": name, "displayName": shown });
        signals.insert(String::from("signalAllAcceptedCredentials"), accepted);
        signals.insert(String::from("signalCurrentUserDetails"), details);
    }
    if let Some(removed) = removed {
        let unknown = json!({ "rpId": party.id(), "credentialId": removed });
        signals.insert(String::from("signalUnknownCredential"), unknown);
    }
    Value::Object(signals)
}

/// The credential that the page's query names, if nobody has it any more.
async fn removed_credential(app: &AppState, view: &View) -> Result<Option<String>, PageError> {
    let Some(id) = view.parameter("credential").filter(|id| id.len() < 1_400) else { return Ok(None) };
    let is_id = id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    Ok(if is_id && !passkeys::is_known(app, &id).await? { Some(id) } else { None })
}

async fn page(
    app: &AppState,
    mut view: View,
    browser: &Browser,
    session: &BrowserSession,
    headers: &HeaderMap,
    messages: impl FnOnce(&View) -> Messages,
) -> Result<Page, PageError> {
    let person = find_person(app, session, &mut view).await?;
    let known = app.store.read(&session.member()?, passkeys::list_own).await?;
    let is_fresh = passkeys::is_fresh(app, session).await?;
    let (mut creation, mut told, mut unavailable) = (None, json!({}), None);
    match app.relying_party() {
        Ok(party) => {
            let removed = removed_credential(app, &view).await?;
            told = signals(party, &person.user, &known, removed);
            if is_fresh && known.len() < passkeys::MOST {
                creation =
                    Some(Creation::of(app, party, &view, browser, headers, (&person.user, &known[..])));
            }
        }
        Err(no) => unavailable = Some(reason(no, view.language)),
    }
    let page = PasskeysPage {
        messages: messages(&view),
        again: sign_in_again(session, app.clock.read().latest, Part::Passkeys.path()),
        view,
        part: Part::Passkeys,
        token: session_token(app, browser),
        unavailable,
        is_fresh,
        creation,
        rows: known.iter().map(Row::of).collect(),
        signals: told,
    };
    Ok(render(&page)?.of_account())
}

/// Shows the passkeys.
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
    let messages = |view: &View| {
        Messages::notice(match view.parameter("done").as_deref() {
            Some("added") => Some(text!(view.language, "passkeys-added")),
            Some("renamed") => Some(text!(view.language, "passkeys-renamed")),
            Some("removed") => Some(text!(view.language, "passkeys-removed")),
            _ => None,
        })
    };
    Ok(page(&app, view, &browser, session, &headers, messages).await?.into_response())
}

/// Adds a passkey.
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
    let (credential, user_handle) = (form.take("credential"), form.take("userHandle"));
    let name = form.take("name");
    let new = NewPasskey { credential: &credential, user_handle: &user_handle, name: &name };
    let cookie = browser.session_cookie.as_deref().unwrap_or_default();
    let added = match app.relying_party() {
        Ok(party) => passkeys::add(&app, party, session, cookie, new).await,
        // The page says why.
        Err(_) => return see_other(Part::Passkeys.path(), None),
    };
    match added {
        Ok(added) => {
            let cookie = added.cookie.and_then(|cookie| session_cookie(&app, &cookie, session.is_kept));
            let next = done(Part::Passkeys, "added");
            match added.recovery_codes {
                Some(codes) => Ok(codes_page(view, &codes, &next)?.with_cookie(cookie).into_response()),
                None => see_other(&next, cookie),
            }
        }
        Err(error) => refused(&app, view, &browser, session, &headers, error).await,
    }
}

/// Names or removes a passkey.
pub async fn change(
    State(app): State<AppState>,
    Path(passkey_id): Path<String>,
    view: View,
    browser: Browser,
    headers: HeaderMap,
    mut form: PageForm,
) -> Result<Response, PageError> {
    if let Err(elsewhere) = require(&browser, &view) {
        return see_other(&elsewhere, None);
    }
    let session = check_session(&app, &browser, &mut form)?;
    let changed = match form.take("do").as_str() {
        "remove" => passkeys::remove_own(&app, session, &passkey_id).await.map(|removed| {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.append_pair("done", "removed").append_pair("credential", &removed.credential_id);
            format!("{}?{}", Part::Passkeys.path(), query.finish())
        }),
        _ => {
            let name = form.take("name");
            let renamed = passkeys::rename_own(&app, session, &passkey_id, &name).await;
            renamed.map(|()| done(Part::Passkeys, "renamed"))
        }
    };
    match changed {
        Ok(path) => see_other(&path, None),
        Err(error) => refused(&app, view, &browser, session, &headers, error).await,
    }
}

/// The page again, saying why nothing was changed.
async fn refused(
    app: &AppState,
    view: View,
    browser: &Browser,
    session: &BrowserSession,
    headers: &HeaderMap,
    error: Error,
) -> Result<Response, PageError> {
    let language = view.language;
    let (problem, status) = match &error {
        Error::Invalid(errors) if errors.iter().any(|error| error.field == "/name") => {
            (text!(language, "passkeys-bad-name"), StatusCode::BAD_REQUEST)
        }
        Error::Invalid(_) => (text!(language, "passkeys-invalid"), StatusCode::BAD_REQUEST),
        Error::NotFound(Missing::Factor) => (text!(language, "passkeys-gone"), StatusCode::NOT_FOUND),
        Error::Conflict(conflict) => {
            let problem = match conflict.code {
                passkeys::CHALLENGE_EXPIRED => text!(language, "passkeys-expired"),
                passkeys::PASSKEY_TAKEN => text!(language, "passkeys-taken"),
                passkeys::LAST_FACTOR => text!(language, "passkeys-last-factor"),
                passkeys::SECOND_FACTOR_OFF => text!(language, "passkeys-off"),
                // The page says what to do.
                passkeys::TOO_MANY_PASSKEYS => text!(language, "passkeys-nothing-changed"),
                _ => return Err(error.into()),
            };
            (problem, StatusCode::CONFLICT)
        }
        // The page says what to do.
        Error::InsufficientAuthentication(_) => {
            (text!(language, "passkeys-nothing-changed"), StatusCode::FORBIDDEN)
        }
        _ => return Err(error.into()),
    };
    let messages = |_: &View| Messages::problem(problem);
    let page = page(app, view, browser, session, headers, messages).await?;
    Ok(page.status(status).into_response())
}
