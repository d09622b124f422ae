//! What pages show of a partner: its logo, and its colors as a stylesheet, since no page has inline styles. Their names
//! contain a hash of their content: partners cannot be enumerated, and browsers cache the files.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;

use crate::view::Branding;
use tenantry_core::model::PartnerId;
use tenantry_core::values::whole_number;
use tenantry_domain::branding;
use tenantry_http::extract::ClientAddress;
use tenantry_http::page_error::{PageError, PageErrorKind};
use tenantry_http::pages::count_visit;
use tenantry_http::state::AppState;

const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// An uploaded image that is opened by itself has no rights, whatever media type a browser guesses.
const POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; sandbox");

/// What a page shows of a partner, if it has set a branding. The partner is that of the session, or the one to which the
/// application restricts the sign-in: never one that a person names.
///
/// # Errors
/// Of the store.
pub async fn of_partner(app: &AppState, pid: PartnerId) -> Result<Option<Branding>, PageError> {
    let found = branding::find(app, pid).await?;
    Ok(found.map(|found| Branding {
        name: found.name.clone(),
        sheet: Some(found.stylesheet_path.clone()),
        logo: found.logo.as_ref().map(|logo| logo.path.clone()),
    }))
}

/// Serves the stylesheet or the logo of a partner. One that was replaced is not found: its page is outdated.
pub async fn serve(
    State(app): State<AppState>,
    ClientAddress(address): ClientAddress,
    Path((pid, file)): Path<(String, String)>,
) -> Result<Response, PageError> {
    count_visit(&app, address)?;
    let path = format!("/branding/{pid}/{file}");
    let pid = PartnerId(whole_number(&pid).ok_or(PageErrorKind::NotFound)?);
    let found = if file.ends_with(".css") {
        let page = branding::find(&app, pid).await?.filter(|page| page.stylesheet_path == path);
        page.map(|page| {
            (HeaderValue::from_static("text/css; charset=utf-8"), Body::from(page.stylesheet.clone()))
        })
    } else {
        let logo = branding::find_logo(&app, pid, &path).await?;
        logo.map(|png| (HeaderValue::from_static("image/png"), Body::from(png)))
    };
    let (content_type, body) = found.ok_or(PageErrorKind::NotFound)?;
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CACHE_CONTROL, IMMUTABLE);
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    let only_our_pages = HeaderName::from_static("cross-origin-resource-policy");
    headers.insert(only_our_pages, HeaderValue::from_static("same-origin"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use tenantry_domain::branding::{Color, PageColors};

    /// A partner's color has enough contrast as text on the backgrounds of pages, and as a background of text (WCAG 2.2,
    /// 1.4.3).
    #[test]
    fn colors_can_be_read_on_the_pages() {
        let css = include_str!("../static/pages.css");
        let (light, dark) = css.split_once("(prefers-color-scheme: dark)").unwrap();
        let backgrounds = |css: &str| -> Vec<Color> {
            let names = ["--background: ", "--surface: "];
            names.map(|name| Color::parse(&css.split_once(name).unwrap().1[..7]).unwrap()).to_vec()
        };
        for chosen in ["#000000", "#ffffff", "#0b57d0", "#ffd400", "#ff0000", "#00ff00", "#808080"] {
            let colors = PageColors::of(Color::parse(chosen).unwrap());
            for (css, mode) in [(light, colors.light), (dark, colors.dark)] {
                for below in backgrounds(css) {
                    assert!(mode.accent.contrast(below) >= 4.5, "{chosen} on {below}");
                }
                assert!(mode.accent.contrast(mode.on_accent) >= 4.5, "{chosen}");
            }
        }
    }
}
