//! Answers in a form that the browser posts to the client (OAuth 2.0 Form Post Response Mode). Its button works without
//! scripts; with them it is pressed at once.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT_LANGUAGE;
use axum::response::{IntoResponse as _, Response};

use tenantry_core::languages::Language;
use tenantry_domain::authorization_requests::AuthorizationResponse;
use tenantry_http::pages::Page;
use tenantry_http::public_path::PublicPath;
use tenantry_http::state::AppState;

/// Where the script is.
pub(crate) const SCRIPT_PATH: &str = "/oauth/form-post.js";

/// The script.
pub(crate) const SCRIPT: &str = "document.forms[0].submit();\n";

/// The page with the form.
pub(crate) fn page(app: &AppState, response: &AuthorizationResponse, headers: &HeaderMap) -> Response {
    let accepted = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let language = Language::of_accept_language(accepted).unwrap_or(Language::En);
    let prefix = app.settings().public_path.as_ref().map(PublicPath::as_str).unwrap_or_default();
    Page::new(html(response, language, prefix)).leading_to(response.redirect_uri()).into_response()
}

fn html(response: &AuthorizationResponse, language: Language, prefix: &str) -> String {
    let fields: String = response
        .parameters()
        .iter()
        .map(|(name, value)| format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">\n", escape(value)))
        .collect();
    let text = text(language);
    format!(
        "<!doctype html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{text}</title>\n\
         <script type=\"module\" src=\"{prefix}{SCRIPT_PATH}\"></script>\n</head>\n<body>\n<main>\n<h1>{text}</h1>\n\
         <form method=\"post\" action=\"{}\">\n{fields}<button type=\"submit\">{text}</button>\n</form>\n</main>\n</body>\n\
         </html>\n",
        language.tag(),
        escape(response.redirect_uri()),
    )
}

fn text(language: Language) -> &'static str {
    match language {
        Language::En => "Continue",
        Language::Nl => "Doorgaan",
        Language::Sv => "Fortsätt",
        Language::Fr => "Continuer",
        Language::ZhHans => "继续",
        Language::It => "Continua",
    }
}

/// A text as the value of an attribute in double quotes.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")
}
