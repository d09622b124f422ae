//! Errors that only the edge can detect.

use std::borrow::Cow;

use axum::http::StatusCode;
use axum::http::header::{ACCEPT_ENCODING, CONNECTION};
use axum::response::Response;

use super::{
    ACCEPT_PATCH, Busy, CLOSE, IDENTITY, NO_BODY_MEMORY, PATCH_TYPES, ROWS_CODINGS, plain, retry_after,
};

/// Errors that only the edge can detect, before any rule is checked.
#[derive(Debug, Clone, Copy)]
pub(super) enum Edge {
    UnknownPath,
    MethodNotAllowed,
    BodyStalled,
    BodyTooLarge {
        limit: u64,
    },
    NoBodyMemory,
    BadHead {
        detail: &'static str,
    },
    UnsupportedPatch,
    /// With what to send instead.
    UnsupportedMediaType(&'static str),
    UnsupportedEncoding {
        is_import: bool,
        is_patch: bool,
    },
    HeadersTooLarge,
}

impl Edge {
    pub(super) fn into_response(self) -> Response {
        let (status, code, detail): (_, _, Cow<'static, str>) = match self {
            Self::UnknownPath => {
                (StatusCode::NOT_FOUND, "no-such-path", "no such path".into())
            }
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "this path has other methods: see the Allow header".into(),
            ),
            Self::BodyStalled => {
                (StatusCode::REQUEST_TIMEOUT, "body-timeout", "the body did not arrive in time".into())
            }
            Self::BodyTooLarge { limit } => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "body-too-large",
                format!("the body has more than {limit} bytes, the limit of this operation").into(),
            ),
            Self::NoBodyMemory => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                format!("{NO_BODY_MEMORY}: try again in 1 s").into(),
            ),
            Self::BadHead { detail } => (StatusCode::BAD_REQUEST, "bad-request", detail.into()),
            Self::UnsupportedPatch => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "send the patch as Content-Type: application/merge-patch+json (RFC 7396) or application/json, in UTF-8"
                    .into(),
            ),
            Self::UnsupportedMediaType(detail) => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail.into())
            }
            Self::UnsupportedEncoding { is_import, .. } => {
                let detail = if is_import {
                    "imports are sent as they are, or with Content-Encoding: gzip"
                } else {
                    "the body is compressed: send it without Content-Encoding; only imports may be gzip"
                };
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-encoding", detail.into())
            }
            Self::HeadersTooLarge => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "headers-too-large",
                "the header fields are too large".into(),
            ),
        };
        let mut response = plain(status, code, detail);
        // The rest of the body was not read, so the next request cannot be found (RFC 9110 §15.5.9).
        if matches!(
            self,
            Self::BodyStalled | Self::BodyTooLarge { .. } | Self::NoBodyMemory | Self::BadHead { .. }
        ) {
            response.headers_mut().insert(CONNECTION, CLOSE);
        }
        match self {
            Self::NoBodyMemory => {
                response.extensions_mut().insert(Busy(NO_BODY_MEMORY.into()));
                retry_after(response, 1)
            }
            Self::UnsupportedPatch => {
                response.headers_mut().insert(ACCEPT_PATCH, PATCH_TYPES);
                response
            }
            Self::UnsupportedEncoding { is_import, is_patch } => {
                // RFC 9110 §15.5.16 tells by it that the coding was the reason.
                let codings = if is_import { ROWS_CODINGS } else { IDENTITY };
                response.headers_mut().insert(ACCEPT_ENCODING, codings);
                if is_patch {
                    response.headers_mut().insert(ACCEPT_PATCH, PATCH_TYPES);
                }
                response
            }
            _ => response,
        }
    }
}
