//! What proxies say about a request: the client's address, in `X-Forwarded-For` or `Forwarded` (RFC 7239).
//!
//! Each proxy appends the address of its peer, so a list is read from its end: the last entry is that of the nearest
//! proxy, and an entry counts only if the address behind it is a trusted proxy. Whatever a client wrote stands before
//! that. An entry that is no address ends the search, at the last trusted proxy: nothing is guessed.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::http::{HeaderMap, HeaderName, header};

/// De-facto standard, in various spellings.
pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Which header of a trusted proxy names the client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`, or `Forwarded` in a request that has none.
    #[default]
    Auto,
    /// `X-Forwarded-For` only.
    XForwardedFor,
    /// `Forwarded` only (RFC 7239).
    Forwarded,
}

impl ForwardedHeader {
    /// The names in the settings.
    pub const NAMES: [(&str, Self); 3] =
        [("auto", Self::Auto), ("x-forwarded-for", Self::XForwardedFor), ("forwarded", Self::Forwarded)];

    /// The name in the settings.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, header)| *header == self).map_or("", |(name, _)| name)
    }
}

/// The client's address: the peer's, unless that is a trusted proxy; then the last address in the header that is not
/// one. IPv4 addresses in IPv6 form count as IPv4.
pub fn client_address(
    peer: IpAddr,
    headers: &HeaderMap,
    which: ForwardedHeader,
    trusts: impl Fn(IpAddr) -> bool,
) -> IpAddr {
    let peer = peer.to_canonical();
    if !trusts(peer) {
        return peer;
    }
    let is_plain = match which {
        ForwardedHeader::Auto => headers.contains_key(X_FORWARDED_FOR),
        ForwardedHeader::XForwardedFor => true,
        ForwardedHeader::Forwarded => false,
    };
    if is_plain {
        let lists = headers.get_all(X_FORWARDED_FOR).iter().rev();
        follow(
            peer,
            lists.flat_map(|list| list.as_bytes().rsplit(|byte| *byte == b',')).map(plain_entry),
            trusts,
        )
    } else {
        let lists = headers.get_all(header::FORWARDED).iter().rev();
        follow(peer, lists.flat_map(|list| Elements(Some(list.as_bytes()))).map(element), trusts)
    }
}

/// Follows the entries from the last one as long as they are vouched for.
fn follow(
    peer: IpAddr,
    entries: impl Iterator<Item = Option<IpAddr>>,
    trusts: impl Fn(IpAddr) -> bool,
) -> IpAddr {
    let mut address = peer;
    for next in entries {
        // If a trusted proxy did not know the address, it is not guessed.
        let Some(next) = next else { break };
        address = next;
        if !trusts(address) {
            break;
        }
    }
    address
}

/// An entry of `X-Forwarded-For`: an address, with a port or without, perhaps in quotes.
fn plain_entry(entry: &[u8]) -> Option<IpAddr> {
    let entry = std::str::from_utf8(entry).ok()?.trim_matches([' ', '\t']);
    node(entry.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(entry))
}

/// The elements of `Forwarded`, from the last one. They are separated by commas outside of quotes. Read from its end, an
/// element of a proxy is found whatever the client wrote before it, such as an open quote.
struct Elements<'a>(Option<&'a [u8]>);

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.0?;
        let (before, last) = split_last(rest, b',');
        self.0 = before;
        Some(last)
    }
}

/// What is before and behind the last `separator` that is not in quotes.
fn split_last(text: &[u8], separator: u8) -> (Option<&[u8]>, &[u8]) {
    let mut is_quoted = false;
    for (place, byte) in text.iter().enumerate().rev() {
        let (before, behind) = text.split_at(place);
        if *byte == b'"' && !is_escaped(before) {
            is_quoted = !is_quoted;
        } else if *byte == separator && !is_quoted {
            return (Some(before), behind.get(1..).unwrap_or_default());
        }
    }
    (None, text)
}

/// Whether the character after this text is escaped: an odd number of backslashes is before it.
fn is_escaped(before: &[u8]) -> bool {
    before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// The address of an element of `Forwarded`, which names it once as `for=`.
fn element(element: &[u8]) -> Option<IpAddr> {
    let (mut rest, mut found) = (Some(element), None);
    while let Some(pairs) = rest {
        let (before, pair) = split_last(pairs, b';');
        rest = before;
        let pair = std::str::from_utf8(pair).ok()?.trim_matches([' ', '\t']);
        if pair.is_empty() {
            continue;
        }
        let (name, value) = pair.split_once('=')?;
        let value = unquoted(value)?;
        if name.eq_ignore_ascii_case("for") && found.replace(node(&value)?).is_some() {
            return None;
        }
    }
    found
}

/// A token or a quoted string (RFC 9110 §5.6.4).
fn unquoted(value: &str) -> Option<Cow<'_, str>> {
    let Some(rest) = value.strip_prefix('"') else {
        return (!value.contains(['"', '\\'])).then_some(Cow::Borrowed(value));
    };
    let inner = rest.strip_suffix('"')?;
    if !inner.contains(['"', '\\']) {
        return Some(Cow::Borrowed(inner));
    }
    let (mut text, mut chars) = (String::with_capacity(inner.len()), inner.chars());
    while let Some(c) = chars.next() {
        match c {
            '"' => return None,
            '\\' => text.push(chars.next()?),
            c => text.push(c),
        }
    }
    Some(Cow::Owned(text))
}

/// A node (RFC 7239 §6): an address, with a port or without. IPv6 addresses are in brackets; without a port they are
/// accepted bare, as proxies write them in `X-Forwarded-For`. `unknown` and obfuscated names are no addresses.
fn node(text: &str) -> Option<IpAddr> {
    let address: IpAddr = if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        is_port(port).then(|| address.parse::<Ipv6Addr>().ok())??.into()
    } else if let Ok(bare) = text.parse() {
        bare
    } else {
        let (address, _) =
            text.split_once(':').filter(|(address, _)| is_port(text.get(address.len()..).unwrap_or("")))?;
        address.parse::<Ipv4Addr>().ok()?.into()
    };
    Some(address.to_canonical())
}

/// Nothing, or a colon and a port of digits or an obfuscated one.
fn is_port(text: &str) -> bool {
    if text.is_empty() {
        return true;
    }
    let Some(port) = text.strip_prefix(':') else { return false };
    match port.strip_prefix('_') {
        Some(name) => {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        }
        None => (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each spelling of an entry of `X-Forwarded-For`, and the address that it means.
    const ENTRIES: [(&str, Option<&str>); 36] = [
        ("198.51.100.1", Some("198.51.100.1")),
        (" 198.51.100.1\t", Some("198.51.100.1")),
        ("198.51.100.1:4711", Some("198.51.100.1")),
        ("198.51.100.1:_port", Some("198.51.100.1")),
        ("\"198.51.100.1:4711\"", Some("198.51.100.1")),
        ("\"198.51.100.1\"", Some("198.51.100.1")),
        ("2001:db8::1", Some("2001:db8::1")),
        ("2001:DB8:0:0::1", Some("2001:db8::1")),
        ("[2001:db8::1]", Some("2001:db8::1")),
        ("[2001:db8::1]:4711", Some("2001:db8::1")),
        ("\"[2001:db8::1]:4711\"", Some("2001:db8::1")),
        ("::ffff:198.51.100.1", Some("198.51.100.1")),
        ("[::ffff:198.51.100.1]:80", Some("198.51.100.1")),
        ("[::ffff:c633:6401]", Some("198.51.100.1")),
        ("::1", Some("::1")),
        ("", None),
        ("unknown", None),
        ("_hidden", None),
        ("example.com", None),
        ("198.51.100", None),
        ("198.51.100.256", None),
        ("198.051.100.1", None),
        ("198.51.100.1:", None),
        ("198.51.100.1:123456", None),
        ("198.51.100.1:80:80", None),
        ("198.51.100.1:x", None),
        ("198.51.100.1 80", None),
        ("[198.51.100.1]", None),
        ("[2001:db8::1", None),
        ("[2001:db8::1]x", None),
        ("[2001:db8::1]:", None),
        ("2001:db8::1]", None),
        ("[fe80::1%eth0]", None),
        ("\"198.51.100.1", None),
        ("http://198.51.100.1", None),
        ("0x7f000001", None),
    ];

    fn headers(name: &'static str, values: &[&str]) -> HeaderMap {
        let name = HeaderName::from_static(name);
        values.iter().map(|value| (name.clone(), value.parse().unwrap())).collect()
    }

    /// The client of a request from 10.0.0.1; 10.0.0.0/8 and `2001:db8:ffff::/48` are trusted.
    fn client(which: ForwardedHeader, headers: &HeaderMap) -> String {
        client_of("10.0.0.1", which, headers)
    }

    fn client_of(peer: &str, which: ForwardedHeader, headers: &HeaderMap) -> String {
        let trusts = |address: IpAddr| match address {
            IpAddr::V4(v4) => v4.octets()[0] == 10,
            IpAddr::V6(v6) => v6.segments()[..3] == [0x2001, 0xdb8, 0xffff],
        };
        client_address(peer.parse().unwrap(), headers, which, trusts).to_string()
    }

    #[test]
    fn entries_are_addresses_in_many_spellings() {
        for (entry, address) in ENTRIES {
            assert_eq!(plain_entry(entry.as_bytes()).map(|a| a.to_string()).as_deref(), address, "{entry:?}");
            let plain = headers("x-forwarded-for", &[entry]);
            assert_eq!(client(ForwardedHeader::Auto, &plain), address.unwrap_or("10.0.0.1"), "{entry:?}");
            // The same in the standard header, in quotes as RFC 7239 wants it.
            if !entry.contains('"') {
                let standard = headers("forwarded", &[&format!("for=\"{}\"", entry.trim())]);
                let expected = address.unwrap_or("10.0.0.1");
                assert_eq!(client(ForwardedHeader::Auto, &standard), expected, "{entry:?}");
            }
        }
    }

    #[test]
    fn only_a_trusted_proxy_can_set_the_client_address() {
        for (peer, lists, client) in [
            ("203.0.113.9", &["198.51.100.1"][..], "203.0.113.9"),
            ("10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("::ffff:10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("::ffff:203.0.113.9", &["198.51.100.1"], "203.0.113.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            // What the client wrote is before what the proxies wrote.
            ("10.0.0.1", &["1.2.3.4, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["1.2.3.4, 198.51.100.1,10.0.0.2:9"], "198.51.100.1"),
            ("10.0.0.1", &["1.2.3.4", "198.51.100.1", "10.0.0.2"], "198.51.100.1"),
            ("10.0.0.1", &["1.2.3.4, [2001:db8:ffff::1]:1, ::ffff:10.9.9.9"], "1.2.3.4"),
            ("2001:db8:ffff::9", &["1.2.3.4, 2001:db8::5"], "2001:db8::5"),
            // Only proxies: the first of them.
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            // Nothing is guessed.
            ("10.0.0.1", &["1.2.3.4, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["1.2.3.4, 198.51.100.1:, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["1.2.3.4,,10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["1.2.3.4,"], "10.0.0.1"),
        ] {
            let found = client_of(peer, ForwardedHeader::Auto, &headers("x-forwarded-for", lists));
            assert_eq!(found, client, "{peer} {lists:?}");
        }
    }

    #[test]
    fn the_standard_header_is_read_as_in_the_rfc() {
        for (lists, client) in [
            (&["for=192.0.2.60;proto=http;by=203.0.113.43"][..], "192.0.2.60"),
            (&["For=\"[2001:db8:cafe::17]:4711\""], "2001:db8:cafe::17"),
            (&["for=192.0.2.43, for=198.51.100.17"], "198.51.100.17"),
            (&["for=192.0.2.43", "for=10.0.0.5;host=\"a, b\";proto=https"], "192.0.2.43"),
            (&["proto=https; for=192.0.2.43 ;by=_gateway"], "192.0.2.43"),
            (&["for=192.0.2.43:80"], "192.0.2.43"),
            (&["for=[2001:db8::1]:80"], "2001:db8::1"),
            (&["for=\"192.0\\.2.43\""], "192.0.2.43"),
            (&["for=\"::ffff:192.0.2.43\""], "192.0.2.43"),
            (&["for=192.0.2.43;"], "192.0.2.43"),
            // What the client wrote cannot reach behind its end.
            (&["for=\"1.2.3.4, for=198.51.100.17"], "198.51.100.17"),
            (&["for=\"1.2.3.4\\", "for=198.51.100.17"], "198.51.100.17"),
            (&["for=1.2.3.4\\, for=198.51.100.17;host=\"\\\"\""], "198.51.100.17"),
            // No address, or none that is vouched for.
            (&["for=unknown"], "10.0.0.1"),
            (&["for=_mdn"], "10.0.0.1"),
            (&["for=\"_gazonk\""], "10.0.0.1"),
            (&["proto=https"], "10.0.0.1"),
            (&["for=1.2.3.4, proto=https"], "10.0.0.1"),
            (&["for=1.2.3.4;for=1.2.3.5"], "10.0.0.1"),
            (&["for=1.2.3.4;x"], "10.0.0.1"),
            (&["for=\"1.2.3.4"], "10.0.0.1"),
            (&["for=1.2.3.4\""], "10.0.0.1"),
            (&["for=\"1.2.3.4\"\""], "10.0.0.1"),
            (&["for =1.2.3.4"], "10.0.0.1"),
            (&["1.2.3.4"], "10.0.0.1"),
            (&[""], "10.0.0.1"),
            (&[], "10.0.0.1"),
        ] {
            let standard = headers("forwarded", lists);
            assert_eq!(self::client(ForwardedHeader::Auto, &standard), client, "{lists:?}");
            assert_eq!(self::client(ForwardedHeader::Forwarded, &standard), client, "{lists:?}");
            assert_eq!(self::client(ForwardedHeader::XForwardedFor, &standard), "10.0.0.1", "{lists:?}");
        }
    }

    #[test]
    fn one_header_is_believed() {
        let mut both = headers("x-forwarded-for", &["198.51.100.1"]);
        both.extend(headers("forwarded", &["for=198.51.100.2"]));
        for (which, client) in [
            (ForwardedHeader::Auto, "198.51.100.1"),
            (ForwardedHeader::XForwardedFor, "198.51.100.1"),
            (ForwardedHeader::Forwarded, "198.51.100.2"),
        ] {
            assert_eq!(self::client(which, &both), client, "{which:?}");
        }
        // A header that names nobody is not replaced by the other one.
        let mut both = headers("x-forwarded-for", &["unknown"]);
        both.extend(headers("forwarded", &["for=198.51.100.2"]));
        assert_eq!(client(ForwardedHeader::Auto, &both), "10.0.0.1");
    }
}
