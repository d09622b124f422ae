//! Parameters of pages, from a query or a form.

use axum::extract::Request;

use tenantry_http::incoming::{FORM, read_body};
use tenantry_http::media_type::content_type;
use tenantry_http::page_error::{PageError, PageErrorKind};

/// Names and values.
pub(crate) type Parameters = Vec<(String, String)>;

/// The parameters of a query.
pub(crate) fn of_query(query: &str) -> Parameters {
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

/// The parameters of a form.
pub(crate) async fn of_body(request: Request) -> Result<Parameters, PageError> {
    let is_form = content_type(request.headers()).is_some_and(|media_type| {
        media_type.essence().to_string().eq_ignore_ascii_case("application/x-www-form-urlencoded")
    });
    if !is_form {
        let detail = "send the parameters as application/x-www-form-urlencoded";
        return Err(PageError::with_detail(PageErrorKind::BadRequest, detail));
    }
    Ok(form_urlencoded::parse(&read_body(request, FORM).await?).into_owned().collect())
}

/// Without the parameters that are not understood.
pub(crate) fn known(parameters: Parameters, names: &[&str]) -> Parameters {
    parameters.into_iter().filter(|(name, _)| names.contains(&name.as_str())).collect()
}

/// The query with these parameters.
pub(crate) fn query_of(parameters: &[(String, String)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}
