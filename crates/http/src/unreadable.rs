//! Responses to requests that could not be parsed. hyper writes them by itself, with only a status; here they are
//! replaced with complete responses that have a problem document and the usual headers.

use axum::http::{HeaderMap, StatusCode};

use crate::observe;
use crate::problem::unreadable_document;

/// The replacement of `written` if that is a response of hyper: a status line of 400, 414 or 431 with no headers other
/// than its length, its date and `connection: close`.
pub(super) fn complete_response(written: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(written).ok()?.strip_suffix("\r\n\r\n")?;
    let mut lines = text.split("\r\n");
    let status_line = lines.next()?;
    let status: u16 = status_line.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    let status = StatusCode::from_u16(status).ok()?;
    let (document, mut headers) = (unreadable_document(status)?, HeaderMap::new());
    observe::secure(&mut headers);
    let mut response = format!("{status_line}\r\n").into_bytes();
    for line in lines {
        let (name, value) = line.split_once(": ")?;
        match name {
            "connection" => {}
            "content-length" if value == "0" => {}
            "date" => response.extend_from_slice(format!("{line}\r\n").as_bytes()),
            _ => return None,
        }
    }
    for (name, value) in &headers {
        response.extend_from_slice(name.as_str().as_bytes());
        response.extend_from_slice(b": ");
        response.extend_from_slice(value.as_bytes());
        response.extend_from_slice(b"\r\n");
    }
    let end = format!(
        "content-type: application/problem+json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        document.len()
    );
    response.extend_from_slice(end.as_bytes());
    response.extend_from_slice(&document);
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_responses_of_hyper_are_replaced() {
        let bare = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\ndate: now\r\n\r\n";
        let whole = String::from_utf8(complete_response(bare.as_bytes()).unwrap()).unwrap();
        let (head, body) = whole.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\ndate: now\r\n"), "{head}");
        assert!(head.contains("\r\nx-content-type-options: nosniff\r\n"), "{head}");
        assert!(head.contains(&format!("\r\ncontent-length: {}\r\n", body.len())), "{head}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(body).unwrap()["status"], 400);
        for other in [
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 1\r\n\r\nx",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nx-request-id: a\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\nmore\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-le",
            "{\"HTTP/1.1 400\"}",
            "",
        ] {
            assert_eq!(complete_response(other.as_bytes()), None, "{other}");
        }
    }
}
