//! What the pages of one user have in common.

use axum::http::StatusCode;
use axum::response::Response;

use askama::Template;

use super::shell::{Section, Shell};
use super::user_form::status_name;
use super::visit::Visit;
use crate::assets;
use crate::person::shown_name;
use tenantry_core::error::{Error, Missing};
use tenantry_core::languages::Language;
use tenantry_core::model::{User, UserId};
use tenantry_core::values::whole_number;
use tenantry_domain::users;
use tenantry_http::page_error::PageError;
use tenantry_http::state::AppState;

/// A page of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    /// Its fields, status and groups.
    Profile,
    /// Where it is signed in.
    Sessions,
    /// What it may do, and why.
    Permissions,
    /// What happened to it.
    History,
    /// It as the API shows it.
    Json,
}

impl Tab {
    /// Every page, in the order of the tabs.
    pub const ALL: [Self; 5] = [Self::Profile, Self::Sessions, Self::Permissions, Self::History, Self::Json];

    /// Its path.
    pub fn path(self, id: UserId) -> String {
        let part = match self {
            Self::Profile => "",
            Self::Sessions => "/sessions",
            Self::Permissions => "/permissions",
            Self::History => "/history",
            Self::Json => "/json",
        };
        format!("/console/users/{id}{part}")
    }

    /// Its name.
    pub fn name(self, l: Language) -> &'static str {
        match self {
            Self::Profile => text!(l, "account-profile"),
            Self::Sessions => text!(l, "account-sessions"),
            Self::Permissions => text!(l, "console-permissions"),
            Self::History => text!(l, "console-history"),
            Self::Json => text!(l, "console-json"),
        }
    }
}

/// What stands above each page of a user.
#[derive(Debug)]
pub struct Head {
    /// Its id.
    pub id: UserId,
    /// How it is named.
    pub name: String,
    /// Its username.
    pub username: String,
    /// Its status in the API.
    pub status: &'static str,
    /// Its status.
    pub status_name: &'static str,
    /// Whether it is a partner admin.
    pub is_admin: bool,
    /// Whether it is whoever looks at it.
    pub is_self: bool,
}

impl Head {
    /// Of a user.
    pub fn of(user: &User, visit: &Visit) -> Self {
        Self {
            id: user.user_id,
            name: shown_name(user),
            username: user.username.clone(),
            status: user.status.as_str(),
            status_name: status_name(user.status, visit.l()),
            is_admin: user.is_admin,
            is_self: user.user_id == visit.session.user_id,
        }
    }
}

/// The user whose page is asked for, or that there is none.
pub enum Asked {
    /// There is one.
    Known(Box<User>),
    /// A page that says that there is none, with 404.
    Unknown(Response),
}

/// The user of a path. A user of another partner is unknown.
///
/// # Errors
/// Of the store.
pub async fn find(app: &AppState, visit: &Visit, id: &str) -> Result<Asked, PageError> {
    let Some(user_id) = whole_number(id).filter(|id| *id > 0).map(UserId) else {
        return unknown(visit, id).map(Asked::Unknown);
    };
    match app.store.read(&visit.admin, move |tx| users::get(tx, user_id)).await {
        Ok(user) => Ok(Asked::Known(Box::new(user))),
        Err(Error::NotFound(Missing::User)) => unknown(visit, id).map(Asked::Unknown),
        Err(other) => Err(other.into()),
    }
}

#[derive(Template)]
#[template(path = "console/unknown_user.html")]
struct UnknownUser<'a> {
    shell: &'a Shell,
    section: Section,
    id: &'a str,
}

/// A page that says that there is no such user, with 404.
///
/// # Errors
/// Internal.
pub fn unknown(visit: &Visit, id: &str) -> Result<Response, PageError> {
    let page = UnknownUser { shell: &visit.shell, section: Section::Users, id };
    visit.shell.send(StatusCode::NOT_FOUND, &page)
}
