//! The files of pages: styles, scripts and pictures. Their names contain a hash of their content, so that browsers
//! cache them forever; they are compressed once.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::LazyLock;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use rust_embed::RustEmbed;
use sha2::{Digest as _, Sha256};

use tenantry_http::extract::ClientAddress;
use tenantry_http::page_error::{PageError, PageErrorKind};
use tenantry_http::pages::count_visit;
use tenantry_http::state::AppState;

#[derive(RustEmbed)]
#[folder = "static/"]
struct Files;

/// A file as it is served.
struct Asset {
    path: String,
    kind: HeaderValue,
    plain: Bytes,
    gzip: Bytes,
}

const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// All files by name.
static ASSETS: LazyLock<HashMap<String, Asset>> = LazyLock::new(|| {
    let names = Files::iter();
    names.filter_map(|name| Some((name.to_string(), prepare(&name)?))).collect()
});

/// The names of all files by their names with hashes.
static NAMES: LazyLock<HashMap<&'static str, &'static Asset>> = LazyLock::new(|| {
    ASSETS.values().filter_map(|asset| Some((asset.path.strip_prefix("/static/")?, asset))).collect()
});

fn prepare(name: &str) -> Option<Asset> {
    let plain = Files::get(name)?.data.into_owned();
    let digest = Sha256::digest(&plain);
    let hash = digest.iter().take(8).fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let (stem, extension) = name.rsplit_once('.')?;
    let kind = match extension {
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => "application/octet-stream",
    };
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&plain).ok()?;
    Some(Asset {
        path: format!("/static/{stem}.{hash}.{extension}"),
        kind: HeaderValue::from_static(kind),
        gzip: gzip.finish().ok()?.into(),
        plain: plain.into(),
    })
}

/// The path of a file, below the public path.
pub fn path(name: &str) -> &'static str {
    ASSETS.get(name).map_or("", |asset| &asset.path)
}

/// Serves a file. One of another version is not found: its page is outdated.
pub async fn serve(
    State(app): State<AppState>,
    ClientAddress(address): ClientAddress,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    count_visit(&app, address)?;
    let asset = NAMES.get(name.as_str()).ok_or(PageErrorKind::NotFound)?;
    let takes_gzip = accepts_gzip(&headers) && asset.gzip.len() < asset.plain.len();
    let body = if takes_gzip { &asset.gzip } else { &asset.plain };
    let mut response = Response::new(Body::from(body.clone()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, asset.kind.clone());
    headers.insert(CACHE_CONTROL, IMMUTABLE);
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if takes_gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

/// Whether the client takes gzip (RFC 9110 §12.5.3).
pub fn accepts_gzip(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    codings.flat_map(|codings| codings.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let is_refused = weight.trim().strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()) == Some(0.0);
        name.trim().eq_ignore_ascii_case("gzip") && !is_refused
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn files_are_named_by_content_and_compressed() {
        for (name, asset) in ASSETS.iter() {
            let (stem, extension) = name.rsplit_once('.').unwrap();
            assert!(asset.path.starts_with(&format!("/static/{stem}.")), "{}", asset.path);
            assert!(asset.path.ends_with(&format!(".{extension}")));
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(&asset.gzip[..]).read_to_end(&mut plain).unwrap();
            assert_eq!(plain, asset.plain);
            assert_ne!(asset.kind, "application/octet-stream", "{name}");
        }
        assert_eq!(path("nothing.css"), "");
    }

    #[test]
    fn gzip_is_for_those_who_take_it() {
        for (value, takes) in
            [("gzip", true), ("br, GZIP;q=0.5", true), ("gzip;q=0", false), ("br", false), ("", false)]
        {
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(value))]);
            assert_eq!(accepts_gzip(&headers), takes, "{value}");
        }
    }

    #[test]
    fn no_file_loads_anything_from_elsewhere() {
        for (name, asset) in ASSETS.iter() {
            let text = String::from_utf8_lossy(&asset.plain).replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains("http://") && !text.contains("https://"), "{name}");
            assert!(!text.contains("@import") && !text.contains("url("), "{name}");
        }
    }
}
