//! The page that shows recovery codes: once, since only their hashes are stored. It is the answer to the form that made them.

use askama::Template;
use zeroize::Zeroizing;

use crate::assets;
use crate::view::{View, render};
use tenantry_core::languages::Language;
use tenantry_http::page_error::PageError;
use tenantry_http::pages::Page;

#[derive(Template)]
#[template(path = "recovery_codes.html")]
struct CodesPage<'a> {
    view: View,
    codes: &'a [Zeroizing<String>],
    /// Below the public path.
    next: &'a str,
}

/// Shows codes, to print and copy. It leads on to `next`.
pub fn codes_page(mut view: View, codes: &[Zeroizing<String>], next: &str) -> Result<Page, PageError> {
    // The choice of a language would ask for this page again, which is an answer.
    view.offers_languages = false;
    Ok(render(&CodesPage { view, codes, next })?.of_account())
}
