//! The person who is signed in, as pages name them.

use crate::branding;
use crate::view::View;
use tenantry_core::error::{Error, Missing};
use tenantry_core::languages::Language;
use tenantry_core::model::User;
use tenantry_domain::browser_sessions::BrowserSession;
use tenantry_domain::users;
use tenantry_http::page_error::PageError;
use tenantry_http::state::AppState;

/// The person who is signed in.
pub struct Person {
    /// The user.
    pub user: User,
    /// How to address them.
    pub name: String,
}

/// The user of a session. The page is in their language, if they have set one, and shows the branding of their partner.
///
/// # Errors
/// The session has ended meanwhile.
pub async fn find_person(
    app: &AppState,
    session: &BrowserSession,
    view: &mut View,
) -> Result<Person, PageError> {
    let member = session.restricted_member()?;
    let found = app.store.read(&member, users::get_self).await;
    let user = match found {
        Err(Error::NotFound(Missing::User)) => {
            return Err(tenantry_http::page_error::PageErrorKind::SignedOut.into());
        }
        found => found?,
    };
    personalize(app, &user, view).await?;
    let name = shown_name(&user);
    Ok(Person { user, name })
}

/// How to name a user.
pub fn shown_name(user: &User) -> String {
    let profile = &user.profile;
    let name = match &profile.display_name {
        Some(name) if !name.is_empty() => name.clone(),
        _ => format!("{} {}", profile.first_name, profile.last_name).trim().to_owned(),
    };
    if name.is_empty() { user.username.clone() } else { name }
}

/// Shows a page in the language that this user has set, if any, with the branding of their partner.
///
/// # Errors
/// Of the store.
pub async fn personalize(app: &AppState, user: &User, view: &mut View) -> Result<(), PageError> {
    view.prefer(user.profile.locale.as_deref().and_then(Language::parse));
    view.branding = branding::of_partner(app, user.pid).await?;
    Ok(())
}
