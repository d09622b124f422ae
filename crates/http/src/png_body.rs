//! Bodies that are PNG images.

use axum::extract::{FromRequest, Request};
use hyper::body::Bytes;
use mediatype::names;

use crate::incoming::{ORDINARY, read_body};
use crate::media_type::content_type;
use crate::problem::Problem;

/// The bytes of a body with the content type of PNG images, of at most 256 KiB; 408, 413 or 415 otherwise.
#[derive(Debug)]
pub struct PngBody(pub Bytes);

impl<S: Sync> FromRequest<S> for PngBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let is_png = content_type(request.headers())
            .is_some_and(|media_type| media_type.ty == names::IMAGE && media_type.subty == names::PNG);
        if !is_png {
            return Err(Problem::unsupported_image());
        }
        read_body(request, ORDINARY).await.map(Self)
    }
}
