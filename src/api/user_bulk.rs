//! Users, changed many at a time (A11).

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::body::id_list;
use super::extract::Admin;
use super::openapi::{AdminErrors, ConflictError, DryRunParams, InvalidError, MissingError, OnceParams};
use super::problem::Problem;
use super::writes::{Answer, Once, Write};
use crate::app::App;
use crate::domain::{effects, users};

/// Delete users in bulk, all or none (A11, B15).
#[utoipa::path(
    post, path = "/api/v1/users/bulk-delete", tag = "users", params(OnceParams, DryRunParams),
    request_body = Vec<i64>,
    responses((status = 204, description = "All gone"), InvalidError, AdminErrors, MissingError, ConflictError),
)]
pub async fn bulk_delete_users(
    State(app): State<App>,
    Admin(by): Admin,
    write: Write,
    Once { body, claim }: Once,
) -> Result<Response, Problem> {
    let ids = Arc::new(id_list(&body)?);
    let (terms, rights, dry_run) = (app.terms, by.clone(), write.dry_run);
    write
        .once(claim)
        .large()
        .run(&app, &by, move |tx| {
            let effects = effects::of_users(tx, dry_run, &ids)?;
            users::delete_many(tx, terms, &rights, &ids)?;
            Ok(Answer::gone().taking(effects))
        })
        .await
}
