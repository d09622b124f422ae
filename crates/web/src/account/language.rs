//! The page to choose the language of pages and mails.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};

use super::{Messages, Part, done, require};
use crate::assets;
use crate::forms::{check_session, session_token};
use crate::person::find_person;
use crate::view::{View, render};
use tenantry_core::languages::Language;
use tenantry_domain::{own_profile, unit};
use tenantry_http::browser::{Browser, BrowserCookie, language_cookie};
use tenantry_http::page_error::{PageError, PageErrorKind};
use tenantry_http::pages::{PageForm, see_other};
use tenantry_http::state::AppState;

#[derive(Template)]
#[template(path = "account_language.html")]
struct LanguagePage {
    view: View,
    part: Part,
    messages: Messages,
    token: String,
    /// Whether no language is set.
    is_none: bool,
    /// Every language, and whether it is the one that is set.
    choices: Vec<(Language, bool)>,
}

/// Shows the languages.
pub async fn show(
    State(app): State<AppState>,
    mut view: View,
    browser: Browser,
) -> Result<Response, PageError> {
    let session = match require(&browser, &view) {
        Ok(session) => session,
        Err(elsewhere) => return see_other(&elsewhere, None),
    };
    let person = find_person(&app, session, &mut view).await?;
    let chosen = person.user.profile.locale.as_deref().and_then(Language::parse);
    let is_saved = view.parameter("done").as_deref() == Some("saved");
    let messages = Messages::notice(is_saved.then(|| text!(view.language, "account-saved")));
    let (token, part, is_none) = (session_token(&app, &browser), Part::Language, chosen.is_none());
    let choices = Language::ALL.map(|language| (language, chosen == Some(language))).into();
    let page = LanguagePage { view, part, messages, token, is_none, choices };
    Ok(render(&page)?.of_account().into_response())
}

/// Sets the language, or none.
pub async fn submit(
    State(app): State<AppState>,
    view: View,
    browser: Browser,
    mut form: PageForm,
) -> Result<Response, PageError> {
    if let Err(elsewhere) = require(&browser, &view) {
        return see_other(&elsewhere, None);
    }
    let member = check_session(&app, &browser, &mut form)?.member()?;
    let wanted = form.take("to");
    let chosen = match wanted.as_str() {
        "" => None,
        tag => {
            let known = Language::ALL.into_iter().find(|language| language.tag() == tag);
            let unknown =
                || PageError::with_detail(PageErrorKind::BadRequest, "`to` is not one of the languages");
            Some(known.ok_or_else(unknown)?)
        }
    };
    let tag = chosen.map(Language::tag);
    unit::write(&app.store, &member, move |tx| own_profile::set_language(tx, tag)).await?;
    let cookie = match chosen {
        Some(language) => language_cookie(&app, language.tag()),
        None => BrowserCookie::Language.clear(&app),
    };
    see_other(&done(Part::Language, "saved"), cookie)
}
