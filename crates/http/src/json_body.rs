//! Bodies with a JSON content type.

use axum::extract::{FromRequest, Request};
use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use hyper::body::{Body as _, Bytes};
use mediatype::{MediaType, names};

use crate::incoming::{ORDINARY, read_body};
use crate::media_type::{content_type, is_utf8};
use crate::problem::Problem;

/// The bytes of a body with a JSON content type and at most `LIMIT` bytes; 408, 413 or 415 otherwise. A PATCH must be
/// JSON or a merge patch (RFC 7396): other JSON patches mean something else.
///
/// A request without body and content type is accepted as empty, so that it gets the more helpful error.
#[derive(Debug)]
pub struct JsonBody<const LIMIT: u64 = ORDINARY>(pub Bytes);

impl<const LIMIT: u64, S: Sync> FromRequest<S> for JsonBody<LIMIT> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let is_patch = request.method() == Method::PATCH;
        let known = if request.headers().contains_key(CONTENT_TYPE) {
            content_type(request.headers()).is_some_and(|media_type| is_json(&media_type, is_patch))
        } else {
            request.body().is_end_stream()
        };
        match (known, is_patch) {
            (true, _) => read_body(request, LIMIT).await.map(Self),
            (false, true) => Err(Problem::unsupported_patch()),
            (false, false) => Err(Problem::unsupported_media_type()),
        }
    }
}

/// `application/json` or `application/<anything>+json` (RFC 6839 §3.1), of which only `merge-patch` is a patch; a
/// charset, which RFC 8259 §11 does not define but many clients send, must be UTF-8.
fn is_json(media_type: &MediaType<'_>, is_patch: bool) -> bool {
    let is_kind = match media_type.suffix {
        None => media_type.subty == names::JSON,
        Some(suffix) => suffix == names::JSON && (!is_patch || media_type.subty == "merge-patch"),
    };
    media_type.ty == names::APPLICATION && is_kind && is_utf8(media_type)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::response::IntoResponse as _;

    use super::*;

    async fn status_of(method: Method, content_type: Option<&str>, body: &'static str) -> StatusCode {
        let mut request = Request::builder().method(method);
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        let body = if body.is_empty() { Body::empty() } else { Body::from(body) };
        match JsonBody::<ORDINARY>::from_request(request.body(body).unwrap(), &()).await {
            Ok(JsonBody(bytes)) => {
                assert_eq!(bytes.is_empty(), content_type.is_none());
                StatusCode::OK
            }
            Err(problem) => problem.into_response().status(),
        }
    }

    #[tokio::test]
    async fn content_types() {
        for good in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=\"UTF-8\" ; a=b",
            "application/json;charset=utf8",
            "application/merge-patch+json",
        ] {
            assert_eq!(status_of(Method::POST, Some(good), "{}").await, 200, "{good}");
            assert_eq!(status_of(Method::PATCH, Some(good), "{}").await, 200, "{good}");
        }
        for bad in [
            "text/json",
            "application/+json",
            "application/json; charset=iso-8859-1",
            "application/x-www-form-urlencoded",
            "application/jsonx",
            "",
        ] {
            assert_eq!(status_of(Method::POST, Some(bad), "{}").await, 415, "{bad}");
            assert_eq!(status_of(Method::PATCH, Some(bad), "{}").await, 415, "{bad}");
        }
        // JSON, but another kind of patch, or not a patch.
        for other in ["application/json-patch+json", "application/scim+json", "application/problem+json"] {
            assert_eq!(status_of(Method::POST, Some(other), "{}").await, 200, "{other}");
            assert_eq!(status_of(Method::PATCH, Some(other), "{}").await, 415, "{other}");
        }
        assert_eq!(status_of(Method::POST, None, "{}").await, 415);
        assert_eq!(status_of(Method::POST, None, "").await, 200);
    }
}
