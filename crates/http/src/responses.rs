//! Responses with a JSON body.

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use crate::problem::Problem;
use tenantry_core::error::{Error, Result};

/// As many headers as a response has in the end, so that their map does not grow three times.
const HEADERS: usize = 12;

/// A response with a JSON body.
pub fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match written(body) {
        Ok(bytes) => json_response(status, bytes),
        Err(e) => Problem::from(e).into_response(),
    }
}

/// Serializes the body of a response.
///
/// # Errors
/// It cannot be serialized.
pub fn written(body: &impl Serialize) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(512);
    serde_json::to_writer(&mut bytes, body)
        .map_err(|e| Error::internal(format!("a response cannot be serialized: {e}")))?;
    Ok(bytes)
}

/// A response with a serialized body.
pub fn json_response(status: StatusCode, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Body::from(body.into()));
    *response.status_mut() = status;
    response.headers_mut().reserve(HEADERS);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
