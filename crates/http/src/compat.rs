//! Rewrites the alternative paths (B1) to canonical ones, which is all that the rest of the code knows.

use axum::http::Uri;
use axum::http::uri::PathAndQuery;

const API: &str = "/api/v1";

/// The canonical form of `path`, or `None` if it is canonical already (then nothing is allocated).
/// - doubled slashes count as one;
/// - one trailing slash is dropped, except for `/` and the pages under `/docs/`, whose links are relative;
/// - `/v1/...` and `/portal/api/v1/...` are `/api/v1/...`;
/// - the self paths, with or without one of these prefixes and with or without `users/`, are `/api/v1/users/self/...`.
///
/// Only the canonical path is routed: no other spelling can be authorized, limited or counted differently.
pub fn canonical_path(path: &str) -> Option<String> {
    let single = path.as_bytes().windows(2).any(|pair| pair == b"//").then(|| with_single_slashes(path));
    canonical(single.as_deref().unwrap_or(path)).or(single)
}

fn with_single_slashes(path: &str) -> String {
    let mut single = String::with_capacity(path.len());
    for c in path.chars() {
        if c != '/' || !single.ends_with('/') {
            single.push(c);
        }
    }
    single
}

/// As [`canonical_path`], for a path without doubled slashes.
fn canonical(path: &str) -> Option<String> {
    if path.len() <= 1 || path == "/docs" || path.starts_with("/docs/") {
        return None;
    }
    let trimmed = path.strip_suffix('/').unwrap_or(path);
    let versioned = below(trimmed, API);
    let prefixed = versioned.is_some();
    let versioned = versioned.or_else(|| below(trimmed, "/v1")).or_else(|| below(trimmed, "/portal/api/v1"));
    let rest = versioned.unwrap_or(trimmed);
    let (listed, own) = match below(rest, "/users/self") {
        Some(own) => (true, Some(own)),
        None => (false, below(rest, "/self")),
    };
    match own {
        Some(own) if !(prefixed && listed) => Some(format!("{API}/users/self{own}")),
        None if !prefixed && versioned.is_some() => Some(format!("{API}{rest}")),
        _ if trimmed.len() < path.len() => Some(trimmed.to_owned()),
        _ => None,
    }
}

/// The rest of `path` after `prefix`, if `prefix` ends at a segment boundary.
fn below<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    path.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `uri` with a canonical path and an unchanged query.
pub fn rewrite(uri: Uri) -> Uri {
    let Some(mut target) = canonical_path(uri.path()) else { return uri };
    if let Some(query) = uri.query() {
        target.push('?');
        target.push_str(query);
    }
    // Built from parts of a valid path: if it were ever invalid, the original path would just not be found.
    let Ok(target) = PathAndQuery::try_from(target) else { return uri };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(target);
    Uri::from_parts(parts).unwrap_or(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_paths_are_left_alone() {
        for path in [
            "/",
            "",
            "*",
            "/api/v1",
            "/api/v1/users",
            "/api/v1/users/12",
            "/api/v1/users/self",
            "/api/v1/users/self/update",
            "/api/v1/users/selfish",
            "/api/v1/selfish",
            "/api/v1/groups/self",
            "/api/v1/users/1/self",
            "/selfish",
            "/users",
            "/users/12",
            "/groups",
            "/v1x",
            "/api/v10/users",
            "/api/v2/self",
            "/docs",
            "/docs/",
            "/docs/v1/",
            "/portal",
            "/portal/v1/users",
            "/portal/users",
            "/portal/self",
            "/portalx/api/v1/users",
            "/portal/api/v10",
            "/portal/portal/api/v1",
            "/api/v1/portal/api/v1",
            "/api/v1/users/%2F",
            "/oauth/token",
            "/oauth/v1/self",
            "/operator/self",
            "/healthz",
            "/metrics",
            "/api/v1/SELF",
        ] {
            assert_eq!(canonical_path(path), None, "{path}");
        }
    }

    #[test]
    fn alternative_paths_are_rewritten() {
        for (path, canonical) in [
            ("/api/v1/", "/api/v1"),
            ("/api/v1/users/", "/api/v1/users"),
            ("/api/v1/users/12/", "/api/v1/users/12"),
            ("/v1", "/api/v1"),
            ("/v1/", "/api/v1"),
            ("/v1/users", "/api/v1/users"),
            ("/v1/users/", "/api/v1/users"),
            ("/v1/groups/3/permissions/", "/api/v1/groups/3/permissions"),
            ("/v1/users/selfish", "/api/v1/users/selfish"),
            ("/v1//users", "/api/v1/users"),
            ("/portal/api/v1", "/api/v1"),
            ("/portal/api/v1/", "/api/v1"),
            ("/portal/api/v1/users/", "/api/v1/users"),
            ("/portal/api/v1/groups/3/permissions", "/api/v1/groups/3/permissions"),
            ("/portal//api/v1/self//update", "/api/v1/users/self/update"),
            ("//", "/"),
            ("///", "/"),
            ("//api/v1/users", "/api/v1/users"),
            ("/api//v1///users//12//", "/api/v1/users/12"),
            ("/api/v1/users//", "/api/v1/users"),
            ("//oauth//token", "/oauth/token"),
            ("//self", "/api/v1/users/self"),
            ("//docs", "/docs"),
            ("/docs//", "/docs/"),
            ("//docs//index.html", "/docs/index.html"),
            ("//evil.example", "/evil.example"),
            ("//evil.example/docs//", "/evil.example/docs"),
            ("/oauth/token/", "/oauth/token"),
            ("/healthz/", "/healthz"),
            ("/docsy/", "/docsy"),
        ] {
            assert_eq!(canonical_path(path).as_deref(), Some(canonical), "{path}");
            assert_eq!(canonical_path(canonical), None, "{canonical} is not final");
        }
    }

    #[test]
    fn every_published_self_path_is_rewritten() {
        for prefix in ["", "/v1", "/api/v1", "/portal/api/v1"] {
            for users in ["", "/users"] {
                for tail in ["", "/update", "/update-password", "/reset-password"] {
                    for slash in ["", "/", "//"] {
                        let path = format!("{prefix}{users}/self{tail}{slash}");
                        let canonical = format!("/api/v1/users/self{tail}");
                        let response = canonical_path(&path);
                        assert_eq!(response.as_deref().unwrap_or(&path), canonical, "{path}");
                        assert_eq!(response.is_none(), path == canonical, "{path}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_query_is_unchanged() {
        for (uri, rewritten) in [
            ("/v1/users/?groupId=1&search=/v1/%20/", "/api/v1/users?groupId=1&search=/v1/%20/"),
            ("/self?", "/api/v1/users/self?"),
            ("/api/v1/users?page=0", "/api/v1/users?page=0"),
            ("//v1//users//?a=//b", "/api/v1/users?a=//b"),
            ("http://host:1//docs?a", "http://host:1/docs?a"),
            ("http://host:1/self/update?a=b", "http://host:1/api/v1/users/self/update?a=b"),
        ] {
            assert_eq!(rewrite(uri.parse().unwrap()), rewritten.parse::<Uri>().unwrap());
        }
        assert_eq!(rewrite(Uri::from_static("*")), Uri::from_static("*"));
    }
}
