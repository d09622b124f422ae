//! All routes in one file: every operation, health, metrics and documentation.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::{log, openapi};
use tenantry_api::{
    branding, clients, deleted_users, effective_permissions, evaluations, events, factors, forgot_password,
    group_lists, groups, memberships, operator_clients, operator_events, partners, permissions, policy,
    self_service, sessions, user_bulk, user_export, user_import, user_lists, users,
};
use tenantry_http::cors::{WithCors, client_origins, with_cors};
use tenantry_http::guard::Guard;
use tenantry_http::health;
use tenantry_http::observe::{Metrics, Observe};
use tenantry_http::problem::Problem;
use tenantry_http::public_path::UnderPublicPath;
use tenantry_http::state::AppState;

/// The service of all routes.
pub type Service = Observe<WithCors<UnderPublicPath<Guard<Router>>>>;

/// All routes: the API, OAuth, health, metrics and documentation.
pub fn service(state: &AppState, metrics: &Arc<Metrics>) -> Service {
    let (router, document) = api().split_for_parts();
    let router = router
        .merge(health::router(Arc::clone(metrics), log::render))
        .merge(openapi::router(&document))
        .merge(tenantry_oauth::endpoints())
        .merge(tenantry_oauth::discovery::router(&state.settings().public_url))
        .merge(tenantry_web::with_error_pages(tenantry_web::router().merge(tenantry_oauth::pages()), state))
        .fallback(tenantry_web::not_found)
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        // The server limits every body itself (incoming.rs).
        .layer(DefaultBodyLimit::disable())
        .with_state(state.clone());
    let router = UnderPublicPath::new(Guard::new(router), state);
    let router = with_cors(&state.settings().cors_origins, client_origins(state), router);
    Observe::new(router, Arc::clone(metrics), &state.random)
}

/// Only `/metrics`, for a separate listener.
pub fn metrics_service(state: &AppState, metrics: &Arc<Metrics>) -> Observe<Guard<Router>> {
    let router = health::metrics_router(Arc::clone(metrics), state.services().clone(), log::render)
        .fallback(async || Problem::unknown_path());
    Observe::new(Guard::new(router), Arc::clone(metrics), &state.random)
}

/// Every operation. Registering one documents it.
pub fn api() -> OpenApiRouter<AppState> {
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
        .routes(routes!(factors::list_own_factors, factors::add_own_factor))
        .routes(routes!(factors::confirm_own_factor))
        .routes(routes!(factors::make_own_recovery_codes))
        .routes(routes!(factors::remove_own_factor))
        .routes(routes!(factors::list_user_factors, factors::remove_user_factors))
        .routes(routes!(factors::remove_user_factor))
        .routes(routes!(policy::get_policy, policy::patch_policy))
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
        .routes(routes!(branding::get_branding, branding::set_branding, branding::delete_branding))
        .routes(routes!(branding::set_branding_logo, branding::delete_branding_logo))
        .routes(routes!(partners::create_partner, partners::list_partners))
        .routes(routes!(partners::get_partner, partners::update_partner, partners::delete_partner))
        .routes(routes!(clients::create_client, clients::list_clients))
        .routes(routes!(clients::get_client, clients::update_client))
        .routes(routes!(clients::patch_client, clients::delete_client))
        .routes(routes!(clients::add_client_secret))
        .routes(routes!(clients::remove_client_secret))
        .routes(routes!(operator_clients::create_any_client, operator_clients::list_any_clients))
        .routes(routes!(operator_clients::get_any_client, operator_clients::update_any_client))
        .routes(routes!(operator_clients::patch_any_client, operator_clients::delete_any_client))
        .routes(routes!(operator_clients::add_any_client_secret))
        .routes(routes!(operator_clients::remove_any_client_secret))
        .routes(routes!(operator_events::list_any_events))
        .merge(tenantry_oauth::api())
}

/// The whole OpenAPI document.
pub fn document() -> Value {
    openapi::complete(&api().into_openapi())
}
