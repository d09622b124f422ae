//! What the layout of every page shows: language, path, application.

use std::convert::Infallible;

use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::header::ACCEPT_LANGUAGE;
use axum::http::request::Parts;

use tenantry_core::error::Error;
use tenantry_core::languages::Language;
use tenantry_http::browser::BrowserCookie;
use tenantry_http::observe::X_REQUEST_ID;
use tenantry_http::page_error::PageError;
use tenantry_http::pages::Page;
use tenantry_http::public_path::PublicPath;
use tenantry_http::state::AppState;

/// The name of pages that no partner's branding names.
const PRODUCT: &str = "Tenantry";

/// The parameter of pages that names the language, of whoever has just chosen it.
const LANGUAGE: &str = "language";

/// What the layout of every page shows. Every template has one as its field `view`.
#[derive(Debug, Clone)]
pub struct View {
    /// The language of the page.
    pub language: Language,
    /// The prefix of every path of this server: the public path, empty for the root.
    pub base: String,
    /// The path and query of this page, for its forms and for returning to it.
    pub here: String,
    /// The id of the request.
    pub request_id: String,
    /// The name of the application that sent the person here.
    pub application: Option<String>,
    /// Whether the page offers other languages.
    pub offers_languages: bool,
    /// The partner's branding.
    pub branding: Option<Branding>,
    /// The language was chosen in this request, and no setting changes it.
    is_chosen: bool,
}

/// A partner's branding of a page.
#[derive(Debug, Clone)]
pub struct Branding {
    /// The name of the partner's product.
    pub name: String,
    /// The path of its style sheet, which sets the colors.
    pub sheet: Option<String>,
    /// The path of its logo.
    pub logo: Option<String>,
}

impl View {
    /// Sets a language that takes precedence over the browser's: that of the user or of the application. The first call with
    /// a language wins.
    pub fn prefer(&mut self, language: Option<Language>) {
        if let Some(language) = language.filter(|_| !self.is_chosen) {
            self.language = language;
            self.is_chosen = true;
        }
    }

    /// The name above the page.
    pub fn brand(&self) -> &str {
        self.branding.as_ref().map_or(PRODUCT, |branding| &branding.name)
    }

    /// The path of the partner's style sheet.
    pub fn brand_sheet(&self) -> Option<&str> {
        self.branding.as_ref()?.sheet.as_deref()
    }

    /// The path of the partner's logo.
    pub fn brand_logo(&self) -> Option<&str> {
        self.branding.as_ref()?.logo.as_deref()
    }

    /// A parameter of this page's query.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let (_, query) = self.here.split_once('?')?;
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs.find(|(known, _)| known == name).map(|(_, value)| value.into_owned()).filter(|v| !v.is_empty())
    }

    fn of(parts: &Parts, app: &AppState, base: &PublicPath) -> Self {
        let header =
            |name| parts.headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
        let here = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let mut view = Self {
            language: Language::En,
            base: base.as_str().to_owned(),
            here,
            request_id: header(X_REQUEST_ID).unwrap_or("-").to_owned(),
            application: None,
            offers_languages: true,
            branding: None,
            is_chosen: false,
        };
        match view.parameter(LANGUAGE).as_deref().and_then(Language::parse) {
            Some(chosen) => {
                view.language = chosen;
                view.is_chosen = true;
            }
            None => {
                let of_cookie = BrowserCookie::Language.find(app, &parts.headers);
                view.language = of_cookie
                    .and_then(|tag| Language::parse(&tag))
                    .or_else(|| header(ACCEPT_LANGUAGE).and_then(Language::of_accept_language))
                    .unwrap_or_default();
            }
        }
        view
    }
}

impl FromRequestParts<AppState> for View {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Infallible> {
        if let Some(view) = parts.extensions.get::<Self>() {
            return Ok(view.clone());
        }
        let base = PublicPath::from_request_parts(parts, app).await?;
        Ok(Self::of(parts, app, &base))
    }
}

/// `path` with its parameter `language` replaced.
pub fn in_language(path: &str, language: Language) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let others = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != LANGUAGE);
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(others).append_pair(LANGUAGE, language.tag());
    format!("{path}?{}", query.finish())
}

/// Renders a page.
///
/// # Errors
/// Internal, if the template fails.
pub fn render(template: &impl Template) -> Result<Page, PageError> {
    template
        .render()
        .map(Page::new)
        .map_err(|e| Error::internal(format!("a page cannot be rendered: {e}")).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_of_a_path_is_replaced() {
        for (path, expected) in [
            ("/sign-in", "/sign-in?language=nl"),
            ("/sign-in?request=a%26b", "/sign-in?request=a%26b&language=nl"),
            ("/sign-in?language=fr&request=a", "/sign-in?request=a&language=nl"),
        ] {
            assert_eq!(in_language(path, Language::Nl), expected);
        }
    }
}
