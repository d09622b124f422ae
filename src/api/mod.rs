//! The JSON edge: the whole API on this page. A handler parses, says who is calling, makes one domain call, and
//! shapes the answer.

/// The yardstick of benchmarks.
pub mod bare;
/// Reading JSON bodies, all faults at once (B6).
pub mod body;
/// Memory for the bodies that are being received, bounded over all of them.
mod body_memory;
/// The other spellings of each path (B1), made in one place.
pub mod compat;
/// Tags and conditions: `ETag`, `If-Match`, `If-None-Match`.
mod conditional;
/// One connection's bytes, in both directions, bounded in time.
mod connection;
/// Deleted users.
pub mod deleted_users;
/// What a user may do, and who may do something.
pub mod effective_permissions;
/// Whether a user may do something: OpenID AuthZEN.
pub mod evaluations;
/// The audit log.
pub mod events;
/// Who is calling, and what else a handler takes from a request.
pub mod extract;
/// Forgotten passwords.
pub mod forgot_password;
/// Groups, many at a time.
pub mod group_lists;
/// Groups, one at a time.
pub mod groups;
/// What the head of a request has to say clearly.
mod head;
/// Is it alive, is it ready, and what does it do.
pub mod health;
/// Rows of an import.
pub mod import_rows;
/// Request bodies, bounded in size, time and memory.
pub mod incoming;
/// Who is in which group.
pub mod memberships;
/// Request ids, logs, metrics and the headers of every answer.
pub mod observe;
/// The OpenAPI document and Swagger UI.
pub mod openapi;
/// Pages and streams of lists, and their query parameters.
pub mod paging;
/// Partners, for operators.
pub mod partners;
/// Which permissions there are, and which of them groups have.
pub mod permissions;
/// Errors as problem documents (RFC 9457): the one map from `Error` to HTTP.
pub mod problem;
/// Log lines of refused requests, so many a second.
mod refusals;
/// What logged-in users do for themselves.
pub mod self_service;
/// The HTTP server: connections, bounds, graceful shutdown.
pub mod server;
/// Sessions: which logins are alive.
pub mod sessions;
/// Whose connection is read next when more have something to say than can be served at once.
mod shares;
/// Where a permission comes from, as answers tell it.
mod sources;
/// Answers to requests that could not be read.
mod unreadable;
/// What requests say of users.
pub mod user_bodies;
/// Users, changed many at a time.
pub mod user_bulk;
/// All users as rows that can be imported again.
pub mod user_export;
/// Users that come from elsewhere, a file of them.
pub mod user_import;
/// Users, listed many at a time.
pub mod user_lists;
/// Users, one at a time.
pub mod users;
/// What every write has in common.
pub mod writes;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::{Error, Result};
use crate::http::state::AppState;
use observe::{Metrics, Observe};
use problem::Problem;

/// All of HTTP: the API, OAuth, health, metrics and documentation.
pub fn service(app: &AppState, metrics: &Arc<Metrics>) -> Observe<Router> {
    let (router, document) = api().split_for_parts();
    let router = router
        .merge(health::router(Arc::clone(metrics)))
        .merge(openapi::router(&document))
        .fallback(async || Problem::unknown_path())
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        // The server bounds every body itself (incoming.rs).
        .layer(DefaultBodyLimit::disable())
        .with_state(app.clone());
    Observe::new(router, Arc::clone(metrics), &app.random)
}

/// `/metrics` and nothing else, for a listener of its own.
pub fn metrics_service(app: &AppState, metrics: &Arc<Metrics>) -> Observe<Router> {
    let router = health::metrics_router(Arc::clone(metrics), app.store.supervisor().clone())
        .fallback(async || Problem::unknown_path());
    Observe::new(router, Arc::clone(metrics), &app.random)
}

/// Every operation. Registering one documents it.
pub(crate) fn api() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(users::create_user, user_lists::list_users))
        .routes(routes!(users::get_user, users::update_user, users::patch_user, users::delete_user))
        .routes(routes!(user_bulk::bulk_create_users, user_bulk::bulk_patch_users))
        .routes(routes!(user_bulk::bulk_delete_users))
        .routes(routes!(user_import::import_users))
        .routes(routes!(user_export::export_users))
        .routes(routes!(users::reset_user_password))
        .routes(routes!(deleted_users::list_deleted_users))
        .routes(routes!(deleted_users::erase_user))
        .routes(routes!(deleted_users::restore_user))
        .routes(routes!(self_service::get_self, self_service::patch_self))
        .routes(routes!(self_service::update_self))
        .routes(routes!(self_service::update_own_password, self_service::put_own_password))
        .routes(routes!(self_service::reset_own_password, self_service::put_own_password_reset))
        .routes(routes!(forgot_password::forgot_password))
        .routes(routes!(sessions::list_own_sessions, sessions::end_own_sessions))
        .routes(routes!(sessions::end_own_session))
        .routes(routes!(sessions::list_user_sessions, sessions::end_user_sessions))
        .routes(routes!(sessions::end_user_session))
        .routes(routes!(groups::create_group, group_lists::list_groups))
        .routes(routes!(groups::get_group, groups::update_group, groups::patch_group, groups::delete_group))
        .routes(routes!(groups::bulk_delete_groups, groups::bulk_delete_groups_by_delete))
        .routes(routes!(memberships::add_member, memberships::remove_member))
        .routes(routes!(memberships::add_members, memberships::remove_members))
        .routes(routes!(permissions::list_group_permissions, permissions::update_group_permissions))
        .routes(routes!(permissions::update_group_wildcards))
        .routes(routes!(permissions::list_object_types))
        .routes(routes!(permissions::get_object_type))
        .routes(routes!(effective_permissions::list_user_permissions))
        .routes(routes!(effective_permissions::list_self_permissions))
        .routes(routes!(effective_permissions::list_holders))
        .routes(routes!(evaluations::evaluate_access))
        .routes(routes!(evaluations::evaluate_accesses))
        .routes(routes!(events::list_events))
        .routes(routes!(partners::create_partner, partners::list_partners))
        .routes(routes!(partners::get_partner, partners::update_partner, partners::delete_partner))
        .merge(crate::oauth::api())
}

/// An answer with a JSON body.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match written(body) {
        Ok(bytes) => json_answer(status, bytes),
        Err(e) => Problem::from(e).into_response(),
    }
}

/// The body of an answer.
fn written(body: &impl Serialize) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(512);
    serde_json::to_writer(&mut bytes, body)
        .map_err(|e| Error::internal(format!("an answer cannot be written: {e}")))?;
    Ok(bytes)
}

/// An answer with a body that is written already.
fn json_answer(status: StatusCode, body: impl Into<Bytes>) -> Response {
    let mut answer = Response::new(Body::from(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}
