//! Checks the head of a request. Anything that intermediaries could interpret differently is refused first (RFC 9110
//! §5.3, RFC 9112 §3).

use std::net::Ipv6Addr;

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use axum::http::request::Parts;
use axum::http::{HeaderName, Method, Uri, Version};

/// What is wrong with the head of a request, as an extension: [`Guard`](crate::guard::Guard) responds to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadHead(pub(super) &'static str);

/// Headers that a request has at most once. Of two, a proxy might have checked the one that is not used here.
const ONCE: [(HeaderName, &str); 4] = [
    (HOST, "the request has two Host headers: send one"),
    (AUTHORIZATION, "the request has two Authorization headers: send one"),
    (CONTENT_TYPE, "the request has two Content-Type headers: send one"),
    (TRANSFER_ENCODING, "the request has two Transfer-Encoding headers: send one"),
];

/// Checks the head of a request.
pub(super) fn check(head: &Parts) -> Result<(), BadHead> {
    let headers = &head.headers;
    // Few requests repeat a header.
    if headers.len() > headers.keys_len()
        && let Some((_, detail)) = ONCE.iter().find(|(name, _)| headers.get_all(name).iter().nth(1).is_some())
    {
        return Err(BadHead(detail));
    }
    match headers.get(HOST) {
        Some(host) if !is_host(host.as_bytes()) => {
            return Err(BadHead(
                "the Host header is malformed: send a host name or address, and optionally a port",
            ));
        }
        None if head.version >= Version::HTTP_11 => {
            return Err(BadHead("the request has no Host header, which HTTP/1.1 requires"));
        }
        _ => {}
    }
    if headers
        .get(TRANSFER_ENCODING)
        .is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
    {
        return Err(BadHead("the only supported Transfer-Encoding is chunked"));
    }
    check_target(&head.method, &head.uri)
}

/// The target of a request is a path, or a URL (RFC 9112 §3.2.2), of which the path counts.
fn check_target(method: &Method, target: &Uri) -> Result<(), BadHead> {
    let bad = Err(BadHead("the request target is malformed: send a path that begins with a slash"));
    let Some(authority) = target.authority() else {
        let is_asterisk = target.path() == "*" && *method == Method::OPTIONS;
        return if target.path().starts_with('/') || is_asterisk { Ok(()) } else { bad };
    };
    let is_http = matches!(target.scheme_str(), Some("http" | "https"));
    if is_http && target.path().starts_with('/') && is_host(authority.as_str().as_bytes()) {
        Ok(())
    } else {
        bad
    }
}

/// `uri-host [ ":" port ]` (RFC 9110 §7.2, RFC 3986 §3.2.2), and not empty.
fn is_host(value: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(value) else { return false };
    let (is_good, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) => (address.parse::<Ipv6Addr>().is_ok(), port),
            None => return false,
        },
        None => {
            let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            (is_name(name), port)
        }
    };
    let is_port = |digits: &str| digits.len() <= 5 && digits.bytes().all(|b| b.is_ascii_digit());
    is_good && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

/// `reg-name` (RFC 3986 §3.2.2).
fn is_name(name: &str) -> bool {
    let mut rest = name.as_bytes();
    while let [byte, behind @ ..] = rest {
        rest = match byte {
            b'%' => match behind {
                [high, low, behind @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => behind,
                _ => return false,
            },
            b'-' | b'.' | b'_' | b'~' => behind,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' => behind,
            byte if byte.is_ascii_alphanumeric() => behind,
            _ => return false,
        };
    }
    !name.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn checked(uri: &str, version: Version, headers: &[(&str, &str)]) -> Result<(), BadHead> {
        let mut request = Request::builder().uri(uri).version(version);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn hosts() {
        for good in
            ["h", "H.example.", "127.0.0.1:8080", "[::1]", "[2001:db8::1]:80", "a_b-c~d%20e", "h:", "x:65535"]
        {
            assert!(is_host(good.as_bytes()), "{good}");
        }
        for bad in [
            "", ":80", "a b", "a\tb", "a/b", "a?b", "a#b", "user@h", "a:b", "h:80:80", "h:123456", "[::1",
            "[::g]",
        ] {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
        for bad in ["[::1]x", "[]", "::1", "h%2", "h%zz", "a\\b", "http://h", "<h>", "h\u{e9}"] {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn ambiguous_heads_are_refused() {
        let host = ("host", "h");
        for good in ["/", "/a?b", "http://h/", "https://h:1/a", "*"] {
            let method = if good == "*" { Method::OPTIONS } else { Method::GET };
            assert_eq!(check_target(&method, &good.parse().unwrap()), Ok(()), "{good}");
        }
        for bad in ["h:80", "ftp://h/", "http://user@h/", "*"] {
            assert!(checked(bad, Version::HTTP_11, &[host]).is_err(), "{bad}");
        }
        assert_eq!(checked("/", Version::HTTP_11, &[host, ("x", "1"), ("x", "2")]), Ok(()));
        assert_eq!(checked("/", Version::HTTP_10, &[]), Ok(()));
        for (name, value) in [
            ("authorization", "Bearer a"),
            ("content-type", "application/json"),
            ("transfer-encoding", "chunked"),
        ] {
            assert_eq!(checked("/", Version::HTTP_11, &[host, (name, value)]), Ok(()));
            let twice = [host, (name, value), (name, value)];
            assert!(checked("/", Version::HTTP_11, &twice).is_err(), "{name}");
        }
        for bad in [&[][..], &[host, host], &[("host", "")], &[host, ("transfer-encoding", "gzip, chunked")]]
        {
            assert!(checked("/", Version::HTTP_11, bad).is_err(), "{bad:?}");
        }
    }
}
