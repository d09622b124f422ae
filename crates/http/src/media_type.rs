//! What a request says that its body is (RFC 9110 section 8.3).

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use mediatype::{MediaType, ReadParams as _, names};

/// The media type that the head names; none where it names none, or something that is not one.
pub fn content_type(headers: &HeaderMap) -> Option<MediaType<'_>> {
    MediaType::parse(headers.get(CONTENT_TYPE)?.to_str().ok()?).ok()
}

/// Whether a text of this type is UTF-8, as far as it says: a charset, if there is one, must be that, or ASCII, which is
/// a part of it.
pub fn is_utf8(media_type: &MediaType<'_>) -> bool {
    media_type.params().filter(|(name, _)| *name == names::CHARSET).all(|(_, charset)| {
        let charset = charset.unquoted_str();
        ["utf-8", "utf8", "us-ascii"].iter().any(|name| charset.eq_ignore_ascii_case(name))
    })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn read(text: &'static str) -> Option<(String, bool)> {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(text))]);
        let media_type = content_type(&headers)?;
        Some((media_type.essence().to_string().to_ascii_lowercase(), is_utf8(&media_type)))
    }

    #[test]
    fn a_type_has_an_essence_and_perhaps_a_charset() {
        for (text, essence, is_utf8) in [
            ("text/csv", "text/csv", true),
            ("Text/CSV; Charset=UTF-8", "text/csv", true),
            // White space may stand on both sides of the semicolon, and nothing behind it (RFC 9110 section 5.6.6).
            ("text/csv ; charset=\"utf-8\" ;", "text/csv", true),
            ("application/json;a=b;charset=utf8", "application/json", true),
            ("text/csv;charset=utf8;header=present", "text/csv", true),
            ("text/csv; charset=US-ASCII", "text/csv", true),
            ("application/merge-patch+json", "application/merge-patch+json", true),
            ("text/csv;charset=latin1", "text/csv", false),
            ("text/csv;charset=utf-8;charset=latin1", "text/csv", false),
        ] {
            assert_eq!(read(text), Some((essence.to_owned(), is_utf8)), "{text}");
        }
        for text in ["", "text", "application/+json", "text/csv;charset", "text/csv; charset = utf-8"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
