//! The first page of the account: names and addresses.

use std::collections::HashMap;
use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use super::{Messages, Part, done, require, shown_time};
use crate::assets;
use crate::forms::{check_session, minutes, session_token, too_many};
use crate::person::personalize;
use crate::view::{View, render};
use tenantry_core::error::{Error, FieldError};
use tenantry_core::languages::Language;
use tenantry_core::model::Status;
use tenantry_core::user_fields::ProfileField;
use tenantry_core::values;
use tenantry_domain::own_profile::{CHANGED_MEANWHILE, OwnEdit, OwnField, OwnProfile};
use tenantry_domain::{email_verifications, own_profile, unit};
use tenantry_http::browser::{Browser, BrowserCookie};
use tenantry_http::page_error::{PageError, PageErrorKind};
use tenantry_http::pages::{Page, PageForm, see_other};
use tenantry_http::state::AppState;
use tenantry_store::access::Member;

/// The code of a conflict of B10.
const LAST_ADMIN: &str = "last-admin";

#[derive(Template)]
#[template(path = "account_profile.html")]
struct ProfilePage {
    view: View,
    part: Part,
    messages: Messages,
    token: String,
    fields: Vec<FieldView>,
    is_email_verified: bool,
    /// Every status and its name, ACTIVE first: others have no sessions.
    statuses: [(Status, &'static str); 3],
    /// The former address and the time of B25.
    email_hold: Option<(String, String)>,
}

/// A field as the page shows it.
struct FieldView {
    name: &'static str,
    label: &'static str,
    hint: Option<&'static str>,
    kind: &'static str,
    autocomplete: &'static str,
    is_optional: bool,
    value: String,
    was: String,
    problem: Option<String>,
}

impl FieldView {
    /// What describes it: its hint and its problem.
    fn described_by(&self) -> String {
        let hint = self.hint.map(|_| format!("{}-hint", self.name));
        let problem = self.problem.as_ref().map(|_| format!("{}-problem", self.name));
        hint.into_iter().chain(problem).collect::<Vec<_>>().join(" ")
    }
}

/// What was typed, and what is wrong with it, by the name of the field.
#[derive(Default)]
struct Attempt {
    edits: Vec<OwnEdit>,
    problems: HashMap<&'static str, String>,
}

fn field(profile: &OwnProfile, attempt: &Attempt, field: OwnField, language: Language) -> FieldView {
    let l = language;
    let (label, hint, kind, autocomplete) = match field {
        OwnField::Username => {
            (text!(l, "field-username"), Some(text!(l, "field-username-hint")), "text", "username")
        }
        OwnField::Profile(ProfileField::FirstName) => {
            (text!(l, "field-first-name"), None, "text", "given-name")
        }
        OwnField::Profile(ProfileField::LastName) => {
            (text!(l, "field-last-name"), None, "text", "family-name")
        }
        OwnField::Profile(ProfileField::DisplayName) => {
            (text!(l, "field-display-name"), Some(text!(l, "field-display-name-hint")), "text", "nickname")
        }
        OwnField::Profile(ProfileField::Title) => {
            (text!(l, "field-title"), None, "text", "organization-title")
        }
        OwnField::Profile(ProfileField::PhoneNumber) => (text!(l, "field-phone-number"), None, "tel", "tel"),
        OwnField::Profile(ProfileField::Email) => {
            (text!(l, "field-email"), Some(text!(l, "field-email-hint")), "email", "email")
        }
        OwnField::Profile(ProfileField::ExternalId | ProfileField::Locale) => ("", None, "text", "off"),
    };
    let current = field.get(&profile.user);
    let edit = attempt.edits.iter().find(|edit| edit.field == field && edit.typed != edit.was);
    let problem = attempt.problems.get(field.name()).cloned();
    // The page shows the value that somebody else has stored: sending it again replaces that.
    let was = edit.map_or(current, |edit| if problem.is_some() { current } else { &edit.was });
    FieldView {
        name: field.name(),
        label,
        hint,
        kind,
        autocomplete,
        is_optional: field.is_optional(),
        value: edit.map_or(current, |edit| &edit.typed).to_owned(),
        was: was.to_owned(),
        problem,
    }
}

fn status_name(status: Status, language: Language) -> &'static str {
    match status {
        Status::Active => text!(language, "status-active"),
        Status::Inactive => text!(language, "status-inactive"),
        Status::Locked => text!(language, "status-locked"),
    }
}

async fn page(
    app: &AppState,
    mut view: View,
    browser: &Browser,
    member: &Member,
    (messages, attempt): (Messages, Attempt),
) -> Result<Page, PageError> {
    let profile = app.store.read(member, own_profile::get).await?;
    personalize(app, &profile.user, &mut view).await?;
    let language = view.language;
    let fields = OwnField::ALL.map(|of| field(&profile, &attempt, of, language)).into();
    let (token, is_email_verified) = (session_token(app, browser), profile.is_email_verified);
    let email_hold = profile.email_hold.map(|(address, until)| (address, shown_time(until)));
    let statuses = Status::ALL.map(|status| (status, status_name(status, language)));
    let part = Part::Profile;
    let page = ProfilePage { view, part, messages, token, fields, is_email_verified, statuses, email_hold };
    Ok(render(&page)?.of_account())
}

/// Shows the profile.
pub async fn show(State(app): State<AppState>, view: View, browser: Browser) -> Result<Response, PageError> {
    let session = match require(&browser, &view) {
        Ok(session) => session,
        Err(elsewhere) => return see_other(&elsewhere, None),
    };
    let member = session.member()?;
    let mut view = view;
    let profile = app.store.read(&member, own_profile::get).await?;
    personalize(&app, &profile.user, &mut view).await?;
    let notice = match view.parameter("done").as_deref() {
        Some("saved") => Some(text!(view.language, "account-saved").to_owned()),
        Some("link") => {
            let address = profile.user.profile.email.as_str();
            Some(text!(view.language, "email-link-sent", address = address))
        }
        _ => None,
    };
    let page = page(&app, view, &browser, &member, (Messages::notice(notice), Attempt::default())).await?;
    Ok(page.into_response())
}

/// Stores what was changed.
pub async fn submit(
    State(app): State<AppState>,
    mut view: View,
    browser: Browser,
    mut form: PageForm,
) -> Result<Response, PageError> {
    if let Err(elsewhere) = require(&browser, &view) {
        return see_other(&elsewhere, None);
    }
    let member = check_session(&app, &browser, &mut form)?.member()?;
    let edits: Vec<OwnEdit> = OwnField::ALL.map(|field| edit(&mut form, field)).into();
    let changes = edits.clone();
    let saved = unit::write(&app.store, &member, move |tx| own_profile::save(tx, &changes)).await;
    let errors = match saved {
        Ok(_) => return see_other(&done(Part::Profile, "saved"), None),
        Err(Error::Invalid(errors)) => errors,
        Err(Error::Conflict(conflict)) => match conflict.field {
            Some(field) => vec![FieldError::new(field, conflict.code, conflict.detail)],
            None => return Err(Error::Conflict(conflict).into()),
        },
        Err(other) => return Err(other.into()),
    };
    let person = app.store.read(&member, own_profile::get).await?;
    personalize(&app, &person.user, &mut view).await?;
    let problems = OwnField::ALL.into_iter().filter_map(|field| {
        let error = errors.iter().find(|error| error.field.strip_prefix('/') == Some(field.name()))?;
        Some((field.name(), problem(error, field, view.language)))
    });
    let attempt = Attempt { edits, problems: problems.collect() };
    let messages = Messages::problem(text!(view.language, "problem-fix"));
    let page = page(&app, view, &browser, &member, (messages, attempt)).await?;
    Ok(page.status(StatusCode::BAD_REQUEST).into_response())
}

/// A field of the form, trimmed: keyboards of phones add white space at the ends.
fn edit(form: &mut PageForm, field: OwnField) -> OwnEdit {
    let typed = values::trim(&form.take(field.name())).to_owned();
    let was = form.take(&format!("was-{}", field.name())).as_str().to_owned();
    OwnEdit { field, was, typed }
}

/// What is wrong with a field, for people.
fn problem(error: &FieldError, field: OwnField, language: Language) -> String {
    let l = language;
    let text = match (error.code, field) {
        (CHANGED_MEANWHILE, _) if error.detail.is_empty() => text!(l, "problem-changed-meanwhile-empty"),
        (CHANGED_MEANWHILE, _) => {
            return text!(l, "problem-changed-meanwhile", current = error.detail.as_ref());
        }
        ("empty", _) => text!(l, "problem-empty"),
        ("too-long", _) => text!(l, "problem-too-long"),
        ("username-taken", _) => text!(l, "problem-username-taken"),
        (_, OwnField::Username) => text!(l, "problem-username"),
        (_, OwnField::Profile(ProfileField::Email)) => text!(l, "problem-email"),
        ("control-character", _) => text!(l, "problem-control-character"),
        ("invisible", _) => text!(l, "problem-invisible"),
        _ => text!(l, "problem-other"),
    };
    text.to_owned()
}

/// Sets the status. Any other than ACTIVE signs the user out.
pub async fn set_status(
    State(app): State<AppState>,
    view: View,
    browser: Browser,
    mut form: PageForm,
) -> Result<Response, PageError> {
    if let Err(elsewhere) = require(&browser, &view) {
        return see_other(&elsewhere, None);
    }
    let member = check_session(&app, &browser, &mut form)?.member()?;
    let Some(status) = Status::parse(&form.take("status")) else {
        let detail = "the form does not say which status to set";
        return Err(PageError::with_detail(PageErrorKind::BadRequest, detail));
    };
    match unit::write(&app.store, &member, move |tx| own_profile::set_status(tx, status)).await {
        Ok(_) if status == Status::Active => see_other(Part::Profile.path(), None),
        Ok(_) => see_other("/signed-out", BrowserCookie::Session.clear(&app)),
        Err(Error::Conflict(conflict)) if conflict.code == LAST_ADMIN => {
            let person = app.store.read(&member, own_profile::get).await?;
            let mut view = view;
            personalize(&app, &person.user, &mut view).await?;
            let messages = Messages::problem(text!(view.language, "status-last-admin"));
            let page = page(&app, view, &browser, &member, (messages, Attempt::default())).await?;
            Ok(page.status(StatusCode::CONFLICT).into_response())
        }
        Err(other) => Err(other.into()),
    }
}

/// Mails a link that verifies the address.
pub async fn send_link(
    State(app): State<AppState>,
    view: View,
    browser: Browser,
    mut form: PageForm,
) -> Result<Response, PageError> {
    if let Err(elsewhere) = require(&browser, &view) {
        return see_other(&elsewhere, None);
    }
    let member = check_session(&app, &browser, &mut form)?.member()?;
    match email_verifications::send_link(&app, &member).await {
        Ok(true) => see_other(&done(Part::Profile, "link"), None),
        Ok(false) => see_other(Part::Profile.path(), None),
        Err(Error::TooMany(wait)) => too_many_links(&app, view, &browser, &member, wait).await,
        Err(other) => Err(other.into()),
    }
}

async fn too_many_links(
    app: &AppState,
    mut view: View,
    browser: &Browser,
    member: &Member,
    wait: Duration,
) -> Result<Response, PageError> {
    let person = app.store.read(member, own_profile::get).await?;
    personalize(app, &person.user, &mut view).await?;
    let problem = text!(view.language, "email-link-too-many", minutes = minutes(wait));
    let page = page(app, view, browser, member, (Messages::problem(problem), Attempt::default())).await?;
    Ok(too_many(page, wait))
}
