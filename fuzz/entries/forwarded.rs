//! Headers of proxies, of any bytes: whatever a client wrote, it cannot choose the address that it is taken for.
//!
//! `fuzz/fuzz_targets/forwarded.rs` calls [`check`] with bytes of the fuzzer, `tests/it/forwarded.rs` with those of
//! proptest.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use tenantry_http::forwarded::{ForwardedHeader, client_address};
use tenantry_http::public_path::PublicPath;

const CLIENT: &str = "198.51.100.77";
const PROXY: &str = "10.0.0.1";

/// The headers that the bytes are: lines of `X-Forwarded-For` and `Forwarded` in turn, separated by line feeds.
fn headers(bytes: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (n, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let name = if n % 2 == 0 { "x-forwarded-for" } else { "forwarded" };
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    headers
}

/// Appends what a proxy says about its peer: to the last line, as most do, or as a line of its own.
fn append(headers: &mut HeaderMap, name: &'static str, entry: &str, is_own_line: bool) {
    let name = HeaderName::from_static(name);
    let mut lines: Vec<HeaderValue> = headers.get_all(&name).iter().cloned().collect();
    match lines.pop() {
        Some(last) if !is_own_line => {
            let line = [last.as_bytes(), b", ", entry.as_bytes()].concat();
            lines.push(HeaderValue::from_bytes(&line).expect("a valid value and ASCII"));
        }
        last => {
            lines.extend(last);
            lines.push(HeaderValue::from_str(entry).expect("ASCII"));
        }
    }
    headers.remove(&name);
    for line in lines {
        headers.append(name.clone(), line);
    }
}

/// Checks what holds for all headers.
pub fn check(bytes: &[u8]) {
    let sent = headers(bytes);
    let address = |text: &str| text.parse::<IpAddr>().expect("an address");
    let trusts = |peer: IpAddr| matches!(peer, IpAddr::V4(v4) if v4.octets()[0] == 10);
    for (_, which) in ForwardedHeader::NAMES {
        // Nobody but a trusted proxy is believed.
        let stranger = client_address(address("203.0.113.9"), &sent, which, trusts);
        assert_eq!(stranger, address("203.0.113.9"), "{which:?} {sent:?}");
        let found = client_address(address(PROXY), &sent, which, trusts);
        assert_eq!(found, found.to_canonical(), "{which:?} {sent:?}");
        assert_eq!(found, client_address(address("::ffff:10.0.0.1"), &sent, which, trusts));
        // What the nearest proxy says of its peer counts, in each spelling, whatever is before it.
        for is_own_line in [false, true] {
            for entry in [CLIENT, "198.51.100.77:4711", "\"198.51.100.77:1\"", "[::ffff:198.51.100.77]"] {
                let mut passed = sent.clone();
                append(&mut passed, "x-forwarded-for", entry, is_own_line);
                if which != ForwardedHeader::Forwarded {
                    let found = client_address(address(PROXY), &passed, which, trusts);
                    assert_eq!(found, address(CLIENT), "{which:?} {passed:?}");
                }
                let mut passed = sent.clone();
                let element = format!("by=_x;for=\"{}\";host=\"a,\\\"b\"", entry.trim_matches('"'));
                append(&mut passed, "forwarded", &element, is_own_line);
                if which == ForwardedHeader::Forwarded {
                    let found = client_address(address(PROXY), &passed, which, trusts);
                    assert_eq!(found, address(CLIENT), "{which:?} {passed:?}");
                }
            }
        }
    }
    // A prefix, if it is one, is a path on this host.
    if let Some(path) = std::str::from_utf8(bytes).ok().and_then(PublicPath::parse) {
        let path = path.as_str();
        assert!(
            path.is_empty() || path.starts_with('/') && !path.contains("//") && !path.ends_with('/'),
            "{path:?}"
        );
        assert!(path.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}?#,".contains(&b)), "{path:?}");
    }
}
