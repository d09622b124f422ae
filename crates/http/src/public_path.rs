//! The path below which clients see the server, when a proxy removes it: that of `public-url`, or what a trusted proxy
//! says in `X-Forwarded-Prefix`. `Location` and `Link` begin with it.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::header::{LINK, LOCATION};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Request, Response};
use tower::Service;

use crate::server::Peer;
use crate::state::{AppState, HttpSettings};

const X_FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

/// Longest prefix, in bytes.
const LONGEST: usize = 255;

/// A path without a slash at its end; empty for the root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublicPath(Arc<str>);

impl PublicPath {
    /// A path that begins with a slash, or an empty one. `None` if it is not one that can be put before ours: it would
    /// lead to another host (`//host`), or has characters that a path cannot have (RFC 3986 §3.3).
    pub fn parse(text: &str) -> Option<Self> {
        let path = text.strip_suffix('/').unwrap_or(text);
        let is_good = path.is_empty()
            || path.len() <= LONGEST
                && path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_segment));
        is_good.then(|| Self(path.into()))
    }

    /// The path of a URL with a scheme and a host.
    pub fn of_url(url: &str) -> Option<Self> {
        let (_, rest) = url.split_once("://")?;
        Self::parse(rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default())
    }

    /// It as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path of a request; `None` is the root. One that a proxy states counts if it is a single valid one.
    fn of(settings: &HttpSettings, extensions: &Extensions, headers: &HeaderMap) -> Option<Self> {
        let mut stated = headers.get_all(X_FORWARDED_PREFIX).iter();
        if let (Some(prefix), None) = (stated.next(), stated.next())
            && extensions.get::<Peer>().is_some_and(|peer| settings.trusts(peer.address.ip()))
            && let Some(path) = prefix.to_str().ok().and_then(Self::parse)
        {
            return path.or_root();
        }
        // Nearly always the root: then nothing that threads share is counted.
        settings.public_path.clone()
    }

    /// `None` for the root.
    pub fn or_root(self) -> Option<Self> {
        (!self.0.is_empty()).then_some(self)
    }
}

/// A segment of a path that is neither empty nor `.` or `..`. A comma would separate two values of the header.
fn is_segment(segment: &str) -> bool {
    let mut rest = segment.as_bytes();
    while let [byte, behind @ ..] = rest {
        rest = match byte {
            b'%' => match behind {
                [high, low, behind @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => behind,
                _ => return false,
            },
            b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b';'
            | b'=' | b':' | b'@' => behind,
            byte if byte.is_ascii_alphanumeric() => behind,
            _ => return false,
        };
    }
    !matches!(segment, "" | "." | "..")
}

impl FromRequestParts<AppState> for PublicPath {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Infallible> {
        Ok(Self::of(app.settings(), &parts.extensions, &parts.headers).unwrap_or_default())
    }
}

/// Puts the public path before the paths in the headers of responses, whoever wrote them: handlers and redirects know
/// only our own paths.
#[derive(Debug, Clone)]
pub struct UnderPublicPath<S> {
    inner: S,
    settings: Arc<HttpSettings>,
}

impl<S> UnderPublicPath<S> {
    /// Wraps `inner`.
    pub fn new(inner: S, state: &AppState) -> Self {
        Self { inner, settings: state.shared_settings() }
    }
}

impl<S> Service<Request<Body>> for UnderPublicPath<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Unpin,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = UnderPublicPathFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let path = PublicPath::of(&self.settings, request.extensions(), request.headers());
        UnderPublicPathFuture { inner: self.inner.call(request), path }
    }
}

/// The response to a request.
#[derive(Debug)]
pub struct UnderPublicPathFuture<F> {
    inner: F,
    path: Option<PublicPath>,
}

impl<F> Future for UnderPublicPathFuture<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>> + Unpin,
{
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let Ok(mut response) = ready!(Pin::new(&mut this.inner).poll(cx));
        if let Some(path) = &this.path {
            put_before(response.headers_mut(), path.as_str());
        }
        Poll::Ready(Ok(response))
    }
}

fn put_before(headers: &mut HeaderMap, path: &str) {
    // `//` begins another host, and what has a scheme is not a path.
    let is_ours = |value: &str| value.starts_with('/') && !value.starts_with("//");
    if let Some(location) = headers.get_mut(LOCATION)
        && let Some(ours) = location.to_str().ok().filter(|value| is_ours(value))
        && let Ok(value) = HeaderValue::try_from([path, ours].concat())
    {
        *location = value;
    }
    if let Some(link) = headers.get_mut(LINK)
        && let Some(ours) =
            link.to_str().ok().and_then(|value| value.strip_prefix('<')).filter(|v| is_ours(v))
        && let Ok(value) = HeaderValue::try_from(["<", path, ours].concat())
    {
        *link = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_path_cannot_lead_elsewhere() {
        for (text, path) in [
            ("", ""),
            ("/", ""),
            ("/iam", "/iam"),
            ("/iam/", "/iam"),
            ("/a/b.c/d-e_f~g", "/a/b.c/d-e_f~g"),
            ("/a%20b", "/a%20b"),
            ("/@team:1", "/@team:1"),
        ] {
            assert_eq!(PublicPath::parse(text).unwrap().as_str(), path, "{text:?}");
        }
        for bad in [
            "iam",
            "//evil.example",
            "//",
            "/a//b",
            "/iam//",
            "/..",
            "/a/../b",
            "/./a",
            "/a b",
            "/a\tb",
            "/a\rb",
            "/a\nb",
            "/a?b",
            "/a#b",
            "/a\\b",
            "/a\"b",
            "/<a>",
            "/a,b",
            "/a, /b",
            "/a%",
            "/a%zz",
            "/é",
            "/a\u{0}",
            "https://evil.example/a",
            "/a|b",
            "/{a}",
        ] {
            assert_eq!(PublicPath::parse(bad), None, "{bad:?}");
        }
        assert!(PublicPath::parse(&format!("/{}", "a".repeat(LONGEST - 1))).is_some());
        assert!(PublicPath::parse(&format!("/{}", "a".repeat(LONGEST))).is_none());
        for (url, path) in [
            ("https://users.example.com", ""),
            ("https://users.example.com:8443/", ""),
            ("http://127.0.0.1:8081/iam", "/iam"),
            ("https://[2001:db8::1]/a/b", "/a/b"),
        ] {
            assert_eq!(PublicPath::of_url(url).unwrap().as_str(), path, "{url}");
        }
        assert_eq!(PublicPath::of_url("https://users.example.com//a"), None);
    }

    #[test]
    fn only_paths_of_ours_are_put_below_it() {
        for (name, value, expected) in [
            (LOCATION, "/api/v1/users/2", "/iam/api/v1/users/2"),
            (LOCATION, "/docs/", "/iam/docs/"),
            (LOCATION, "https://app.example/cb", "https://app.example/cb"),
            (LOCATION, "//evil.example/", "//evil.example/"),
            (LOCATION, "docs/", "docs/"),
            (LINK, "</api/v1/users?cursor=a>; rel=\"next\"", "</iam/api/v1/users?cursor=a>; rel=\"next\""),
            (LINK, "<https://a.example/>; rel=\"next\"", "<https://a.example/>; rel=\"next\""),
        ] {
            let mut headers = HeaderMap::from_iter([(name.clone(), HeaderValue::from_static(value))]);
            put_before(&mut headers, "/iam");
            assert_eq!(headers.get(&name).unwrap(), expected);
        }
    }
}
