//! Redirect URIs of OAuth clients (RFC 6749 §3.1.2): which ones can be registered (RFC 8252, RFC 9700 §2.1 and §4.1.3), and
//! which ones a registered one matches.

use url::Url;

use crate::clients::ClientKind;
use crate::error::FieldError;

/// A client has at most this many redirect URIs, and as many post-logout ones.
pub const MAX_URIS: usize = 32;

/// The longest redirect URI, in characters.
pub const URI_MAX: usize = 2_000;

/// The hosts to which `http` may lead: this machine. A name can be made to lead elsewhere (RFC 8252 §8.3), but developers
/// use it.
const LOOPBACK: [&str; 3] = ["127.0.0.1", "[::1]", "localhost"];

/// Those whose port may vary (RFC 8252 §7.3).
const VARIABLE_PORT: [&str; 2] = ["http://127.0.0.1", "http://[::1]"];

fn refused(detail: impl Into<std::borrow::Cow<'static, str>>) -> FieldError {
    FieldError::of_value("invalid-redirect-uri", detail)
}

/// Checks a redirect URI that a client of this kind is to be registered with.
///
/// # Errors
/// `invalid-redirect-uri`, with what is wrong.
pub fn check(uri: &str, kind: ClientKind) -> Result<(), FieldError> {
    check_text(uri)?;
    let Some((scheme, rest)) = uri.split_once(':').filter(|(scheme, _)| is_scheme(scheme)) else {
        return Err(refused("must be absolute, such as https://shop.example/callback"));
    };
    let scheme = scheme.to_ascii_lowercase();
    match scheme.as_str() {
        "https" | "http" => check_web(uri, &scheme, rest),
        "javascript" | "data" | "file" | "blob" | "about" | "vbscript" | "ws" | "wss" | "ftp" => {
            Err(refused(format!("the scheme {scheme} is not allowed: use https")))
        }
        private if !private.contains('.') => Err(refused(format!(
            "the scheme {private} is not allowed: use https, or for an app on a device a scheme with a dot, such as \
             com.example.app:/callback"
        ))),
        _ if kind == ClientKind::Confidential => {
            Err(refused("only a public client may have a URI with a private-use scheme: use https"))
        }
        _ if rest.trim_matches('/').is_empty() => {
            Err(refused("has a scheme only: add a path, such as com.example.app:/callback"))
        }
        _ => match Url::parse(uri) {
            Ok(url) if !url.username().is_empty() || url.password().is_some() => Err(user_info()),
            Ok(_) => Ok(()),
            Err(_) => Err(refused("is not a URI")),
        },
    }
}

fn user_info() -> FieldError {
    refused("must not have a user name or password")
}

/// Checks what is the same for every scheme.
fn check_text(uri: &str) -> Result<(), FieldError> {
    if uri.is_empty() {
        return Err(refused("must not be empty"));
    }
    // Every valid character has one byte.
    if uri.len() > URI_MAX {
        return Err(refused("must have at most 2,000 characters"));
    }
    if let Some(bad) = uri.chars().find(|c| !c.is_ascii_graphic()) {
        let shown = bad.escape_default();
        return Err(refused(format!("contains the character {shown}: write it percent-encoded (RFC 3986)")));
    }
    if uri.contains('#') {
        return Err(refused("must not have a fragment: remove # and what follows"));
    }
    if uri.contains('*') {
        return Err(refused("must not have a wildcard: register each URI, it is compared exactly"));
    }
    if let Some(bad) = uri.chars().find(|c| r#"\"<>^`{|}"#.contains(*c)) {
        return Err(refused(format!("contains the character {bad}: write it percent-encoded (RFC 3986)")));
    }
    Ok(())
}

fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

fn check_web(uri: &str, scheme: &str, rest: &str) -> Result<(), FieldError> {
    // Browsers also read one slash, or three, as two.
    let Some(after) = rest.strip_prefix("//").filter(|after| !after.starts_with('/')) else {
        return Err(refused(format!("must begin with {scheme}:// and a host")));
    };
    let end = after.find(['/', '?']).unwrap_or(after.len());
    let authority = after.get(..end).unwrap_or_default();
    if authority.contains('@') {
        return Err(user_info());
    }
    let parsed = Url::parse(uri).ok();
    let Some(host) = parsed.as_ref().and_then(Url::host_str).filter(|host| !host.is_empty()) else {
        return Err(refused("has no valid host or port"));
    };
    // As it is compared: a host that a browser would rewrite never matches what it sends.
    let written = match authority.strip_prefix('[') {
        Some(_) => authority.split_inclusive(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    if !written.eq_ignore_ascii_case(host) {
        return Err(refused(format!("write the host as {host}")));
    }
    if scheme == "http" && !LOOPBACK.contains(&host) {
        return Err(refused("must begin with https://: http is only for 127.0.0.1, [::1] and localhost"));
    }
    Ok(())
}

/// Whether a URI of an authorization request is the registered one: the same text. Only the port of a loopback IP address
/// may differ (RFC 8252 §7.3).
pub fn matches(registered: &str, given: &str) -> bool {
    if registered == given {
        return true;
    }
    match (without_port(registered), without_port(given)) {
        (Some(registered), Some(given)) => registered == given,
        _ => false,
    }
}

/// A URI of a loopback IP address in two parts, without its port between them.
fn without_port(uri: &str) -> Option<(&'static str, &str)> {
    let (host, rest) =
        VARIABLE_PORT.into_iter().find_map(|host| uri.strip_prefix(host).map(|rest| (host, rest)))?;
    let rest = match rest.strip_prefix(':') {
        None => rest,
        Some(after) => {
            let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
            let (port, rest) = after.split_at_checked(end)?;
            port.parse::<u16>().ok().filter(|_| !port.starts_with('0'))?;
            rest
        }
    };
    (rest.is_empty() || rest.starts_with(['/', '?'])).then_some((host, rest))
}

/// The origin of a redirect URI as a browser sends it (RFC 6454 §6.2); `None` for a private-use scheme.
pub fn origin(uri: &str) -> Option<String> {
    let origin = Url::parse(uri).ok()?.origin();
    origin.is_tuple().then(|| origin.ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ClientKind::{Confidential, Public};

    #[test]
    fn good_uris() {
        for uri in [
            "https://shop.example/callback",
            "https://shop.example",
            "https://shop.example/",
            "https://shop.example:8443/callback?tenant=1&x=%20",
            "https://SHOP.example/callback",
            "https://xn--bcher-kva.example/cb",
            "https://192.0.2.1/cb",
            "https://[2001:db8::1]:8443/cb",
            "http://127.0.0.1/cb",
            "http://127.0.0.1:5000/cb",
            "http://[::1]:5000/cb",
            "http://localhost:3000/auth/callback",
            "https://shop.example/a/b;c=d/~e,f$g+h!i'(j)",
            &format!("https://shop.example/{}", "a".repeat(URI_MAX - 21)),
        ] {
            for kind in ClientKind::ALL {
                assert_eq!(check(uri, kind), Ok(()), "{uri}");
            }
        }
        for uri in ["com.example.app:/callback", "com.example.app://callback", "com.example.app:callback?x=1"]
        {
            assert_eq!(check(uri, Public), Ok(()), "{uri}");
            let error = check(uri, Confidential).unwrap_err();
            assert!(error.detail.contains("only a public client"), "{uri}: {}", error.detail);
        }
    }

    #[test]
    fn bad_uris_are_refused_with_the_reason() {
        for (uri, reason) in [
            ("", "empty"),
            ("/callback", "absolute"),
            ("callback", "absolute"),
            ("shop.example/callback", "absolute"),
            ("//shop.example/callback", "absolute"),
            ("?code", "absolute"),
            (":", "absolute"),
            ("://x", "absolute"),
            ("1http://x", "absolute"),
            ("https:", "must begin with https://"),
            ("https:/shop.example", "must begin with https://"),
            ("https:///shop.example", "must begin with https://"),
            ("https:shop.example", "must begin with https://"),
            ("https://", "host"),
            ("https://:443/", "host"),
            ("https://?x", "host"),
            ("https://shop.example:99999/", "host or port"),
            ("https://shop.example:x/", "host or port"),
            ("https://[::1/", "host"),
            ("https://shop..example/%", ""),
            ("https://sh%6fp.example/", "write the host as shop.example"),
            ("https://0x7f.1/", "write the host as 127.0.0.1"),
            ("http://127.1/cb", "write the host as 127.0.0.1"),
            ("http://2130706433/cb", "write the host as 127.0.0.1"),
            ("https://[0:0:0:0:0:0:0:1]/", "write the host as [::1]"),
            ("https://shop.example/cb#", "fragment"),
            ("https://shop.example/cb#top", "fragment"),
            ("com.example.app:/cb#top", "fragment"),
            ("https://*.shop.example/cb", "wildcard"),
            ("https://shop.example/*", "wildcard"),
            ("https://user@shop.example/cb", "user name"),
            ("https://user:secret@shop.example/cb", "user name"),
            ("https://@shop.example/cb", "user name"),
            ("com.example.app://user@host/cb", "user name"),
            ("http://shop.example/cb", "https://"),
            ("http://127.0.0.2/cb", "https://"),
            ("http://127.0.0.1.evil.example/cb", "https://"),
            ("http://localhost.evil.example/cb", "https://"),
            ("http://10.0.0.1/cb", "https://"),
            ("http://[::2]/cb", "https://"),
            ("javascript:alert(1)", "scheme javascript is not allowed"),
            ("JavaScript:alert(1)", "scheme javascript is not allowed"),
            ("data:text/html,x", "scheme data is not allowed"),
            ("file:///etc/passwd", "scheme file is not allowed"),
            ("blob:https://shop.example/x", "scheme blob is not allowed"),
            ("vbscript:x", "scheme vbscript is not allowed"),
            ("about:blank", "scheme about is not allowed"),
            ("ftp://shop.example/", "scheme ftp is not allowed"),
            ("myapp:/cb", "a scheme with a dot"),
            ("myapp://cb", "a scheme with a dot"),
            ("urn:ietf:wg:oauth:2.0:oob", "a scheme with a dot"),
            ("com.example.app:", "add a path"),
            ("com.example.app:/", "add a path"),
            ("com.example.app://", "add a path"),
            (" https://shop.example/cb", "percent-encoded"),
            ("https://shop.example/c b", "percent-encoded"),
            ("https://shop.example/cb\n", "percent-encoded"),
            ("https://shop.example/\u{0}", "percent-encoded"),
            ("https://shop.example/é", "percent-encoded"),
            ("https://bücher.example/", "percent-encoded"),
            ("https://shop.example\\@evil.example/", "percent-encoded"),
            ("https://shop.example/<script>", "percent-encoded"),
            ("https://shop.example/\"", "percent-encoded"),
            ("https://shop.example/{id}", "percent-encoded"),
        ] {
            match check(uri, Public) {
                Err(error) => {
                    assert_eq!(error.code, "invalid-redirect-uri", "{uri}");
                    assert!(error.detail.contains(reason), "{uri:?}: {}", error.detail);
                }
                Ok(()) => assert!(reason.is_empty(), "{uri:?} is taken"),
            }
        }
        let long = format!("https://shop.example/{}", "a".repeat(URI_MAX));
        assert!(check(&long, Public).unwrap_err().detail.contains("2,000"));
    }

    #[test]
    fn uris_are_compared_exactly_but_for_the_port_of_a_loopback_address() {
        for (registered, given, is_same) in [
            ("https://shop.example/cb", "https://shop.example/cb", true),
            ("https://shop.example/cb", "https://shop.example/cb/", false),
            ("https://shop.example/cb", "https://shop.example/cb?x=1", false),
            ("https://shop.example/cb", "https://shop.example/CB", false),
            ("https://shop.example/cb", "https://SHOP.example/cb", false),
            ("https://shop.example/cb", "https://shop.example:443/cb", false),
            ("https://shop.example/cb", "https://shop.example/./cb", false),
            ("https://shop.example/cb", "https://shop.example/%63b", false),
            ("https://shop.example/cb", "https://shop.example/cb#", false),
            ("https://shop.example/cb", "http://shop.example/cb", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:51004/cb", true),
            ("http://127.0.0.1:3000/cb", "http://127.0.0.1:51004/cb", true),
            ("http://127.0.0.1:3000/cb", "http://127.0.0.1/cb", true),
            ("http://127.0.0.1:3000", "http://127.0.0.1:1", true),
            ("http://[::1]/cb", "http://[::1]:51004/cb", true),
            ("http://[::1]/cb", "http://127.0.0.1:51004/cb", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:51004/other", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:51004/cb?x", false),
            ("http://127.0.0.1/cb", "https://127.0.0.1:51004/cb", false),
            ("https://127.0.0.1/cb", "https://127.0.0.1:51004/cb", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:0/cb", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:/cb", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:080/cb", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:65536/cb", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:80@evil.example/cb", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:80.evil.example/cb", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1.evil.example/cb", false),
            ("http://127.0.0.1", "http://127.0.0.1@evil.example", false),
            ("http://127.0.0.2/cb", "http://127.0.0.2:51004/cb", false),
            ("http://localhost/cb", "http://localhost:51004/cb", false),
            ("http://localhost:3000/cb", "http://localhost:3001/cb", false),
            ("com.example.app:/cb", "com.example.app:/cb", true),
            ("com.example.app:/cb", "com.example.app:/cb2", false),
        ] {
            assert_eq!(matches(registered, given), is_same, "{registered} {given}");
        }
    }

    #[test]
    fn origins_are_as_browsers_send_them() {
        for (uri, expected) in [
            ("https://shop.example/cb", Some("https://shop.example")),
            ("https://SHOP.example:443/cb", Some("https://shop.example")),
            ("https://shop.example:8443/cb", Some("https://shop.example:8443")),
            ("http://localhost:3000/cb", Some("http://localhost:3000")),
            ("http://[::1]:80/cb", Some("http://[::1]")),
            ("com.example.app:/cb", None),
        ] {
            assert_eq!(origin(uri).as_deref(), expected, "{uri}");
        }
    }
}
