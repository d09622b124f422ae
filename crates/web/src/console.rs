//! The console: pages for partner admins, at `/console`.
//!
//! A page is a handler that takes a [`visit::Visit`], a template under `templates/console/`, and a route here. What a URL says
//! is what the page shows; scripts only spare what is the same on the next page.

use axum::Router;
use axum::routing::get;

use tenantry_http::state::AppState;

mod deleted;
mod event_names;
mod group;
mod group_form;
mod groups;
mod history;
mod home;
mod list_state;
mod new_group;
mod new_user;
mod pager;
mod permissions;
mod profile;
mod raw;
mod sessions;
mod shell;
mod user;
mod user_form;
mod users;
mod visit;

/// The routes of the console.
pub fn router() -> Router<AppState> {
    Router::new()
        .route("/console", get(home::show))
        .route("/console/deleted", get(deleted::show).post(deleted::submit))
        .route("/console/groups", get(groups::show))
        .route("/console/groups/new", get(new_group::show).post(new_group::submit))
        .route("/console/groups/{id}", get(group::show).post(group::submit))
        .route("/console/users", get(users::show))
        .route("/console/users/new", get(new_user::show).post(new_user::submit))
        .route("/console/users/{id}", get(profile::show).post(profile::submit))
        .route("/console/users/{id}/sessions", get(sessions::show).post(sessions::submit))
        .route("/console/users/{id}/permissions", get(permissions::show))
        .route("/console/users/{id}/history", get(history::show))
        .route("/console/users/{id}/json", get(raw::show))
}
