//! The JSON edge: a file for each noun. A handler parses, says who is calling, makes one domain call, and shapes the
//! answer.

use serde_json::Value;

/// The branding of the partner.
pub mod branding;
/// OAuth clients in bodies.
mod client_bodies;
/// The OAuth clients of a partner.
pub mod clients;
/// Deleted users.
pub mod deleted_users;
/// The permissions of a user, and the holders of a permission.
pub mod effective_permissions;
/// Whether a user may do something: OpenID AuthZEN.
pub mod evaluations;
/// The audit log.
pub mod events;
/// Second factors.
pub mod factors;
/// Forgotten passwords.
pub mod forgot_password;
/// Groups, many at a time.
pub mod group_lists;
/// Groups, one at a time.
pub mod groups;
/// Memberships of groups.
pub mod memberships;
/// OAuth clients, for operators.
pub mod operator_clients;
/// Events for operators.
pub mod operator_events;
/// Partners, for operators.
pub mod partners;
/// Which permissions there are, and which of them groups have.
pub mod permissions;
/// The policies of the partner.
pub mod policy;
/// Errors, for the document.
pub mod responses;
/// Self-service of logged-in users.
pub mod self_service;
/// Sessions: which logins are alive.
pub mod sessions;
/// The sources of a permission in responses.
mod sources;
/// Users in requests.
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

/// The JSON Schemas of request bodies, by name, made by the functions that read them.
pub fn schemas() -> Vec<(&'static str, Value)> {
    [
        user_bodies::schemas(),
        self_service::schemas(),
        user_bulk::schemas(),
        forgot_password::schemas(),
        groups::schemas(),
        permissions::schemas(),
        evaluations::schemas::schemas(),
        partners::schemas(),
        branding::schemas(),
        client_bodies::schemas(),
        factors::schemas(),
        policy::schemas(),
    ]
    .concat()
}
