//! Entity tags and preconditions (RFC 9110 §8.8.3, §13): `ETag`, `If-Match` and `If-None-Match`.

use axum::body::Bytes;
use axum::extract::FromRequestParts;
use axum::http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};

use crate::parameters;
use crate::problem::Problem;
use tenantry_core::error::{FieldError, Result};
use tenantry_domain::conditions::{Condition, Tags};

/// The conditions of a request.
#[derive(Debug, Default)]
pub struct Conditions(pub Condition);

impl<S: Sync> FromRequestParts<S> for Conditions {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(read(&parts.headers)?))
    }
}

pub(super) fn read(headers: &HeaderMap) -> Result<Condition> {
    Ok(Condition { if_match: tags(headers, &IF_MATCH)?, if_none_match: tags(headers, &IF_NONE_MATCH)? })
}

fn tags(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Tags>> {
    let mut found = None;
    for value in headers.get_all(name) {
        let malformed = || {
            let detail = "must be * or entity tags in double quotes as in ETag, separated by commas";
            let parameter =
                if *name == IF_MATCH { &parameters::IF_MATCH } else { &parameters::IF_NONE_MATCH };
            FieldError::new(parameter.name, "malformed-tag", detail)
        };
        let text = value.to_str().map_err(|_| malformed())?;
        let more = parse(text).ok_or_else(malformed)?;
        found = Some(match (found, more) {
            (None, more) => more,
            (Some(Tags::These(mut all)), Tags::These(more)) => {
                all.extend(more);
                Tags::These(all)
            }
            _ => return Err(malformed().into()),
        });
    }
    Ok(found)
}

/// `*`, or a list of tags; ours have no commas, but those of another server may. A weak tag counts as the strong one, in
/// `If-Match` too, where RFC 9110 §13.1.1 would have it match nothing: proxies that compress make our tags weak, and ours
/// name a version of the resource, whatever its bytes.
fn parse(text: &str) -> Option<Tags> {
    let mut rest = text.trim();
    if rest == "*" {
        return Some(Tags::Any);
    }
    let mut tags = Vec::new();
    loop {
        let quoted = rest.strip_prefix("W/").unwrap_or(rest);
        let (tag, behind) = quoted.strip_prefix('"')?.split_once('"')?;
        tags.push(tag.to_owned());
        rest = match behind.trim_start() {
            "" => return Some(Tags::These(tags)),
            more => more.strip_prefix(',')?.trim_start(),
        };
    }
}

/// A tag in the form of a header.
pub(super) fn etag(tag: &str) -> String {
    ["\"", tag, "\""].concat()
}

/// The response to a read: serialized JSON with its tag, or `304` if `If-None-Match` matches.
pub fn show(conditions: &Conditions, tag: &str, body: impl Into<Bytes>) -> Response {
    let mut response = if conditions.0.knows(tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        crate::responses::json_response(StatusCode::OK, body)
    };
    if let Ok(value) = HeaderValue::try_from(etag(tag)) {
        response.headers_mut().insert(ETAG, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn these(tags: &[&str]) -> Option<Tags> {
        Some(Tags::These(tags.iter().map(|&tag| tag.to_owned()).collect()))
    }

    #[test]
    fn tags_are_parsed_as_in_the_rfc() {
        assert_eq!(parse(" * "), Some(Tags::Any));
        assert_eq!(parse("\"u1-2\""), these(&["u1-2"]));
        assert_eq!(parse("\"a\", W/\"b\" ,\"c,d\""), these(&["a", "b", "c,d"]));
        assert_eq!(parse("W/\"b\""), these(&["b"]));
        for bad in ["", "u1-2", "\"a", "\"a\" \"b\"", "\"a\",", "w/\"a\"", "*, \"a\"", "\"a\", *"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn several_headers_are_one_list() {
        let mut headers = HeaderMap::new();
        headers.append(IF_MATCH, HeaderValue::from_static("\"a\""));
        headers.append(IF_MATCH, HeaderValue::from_static("\"b\""));
        assert_eq!(read(&headers).unwrap(), Condition { if_match: these(&["a", "b"]), if_none_match: None });
        headers.append(IF_MATCH, HeaderValue::from_static("*"));
        read(&headers).unwrap_err();
    }
}
