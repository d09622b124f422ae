//! The pager of a list: any page, by number.

use crate::view::View;
use tenantry_http::paging::Params;
use tenantry_http::parameters::Parameter;
use tenantry_store::listing::lists::Total;

use super::shell::Shell;

/// The page, as people count: from 1.
pub static PAGE: Parameter = Parameter::integer("page", 1, i32::MAX as i64, "The page, from 1.");

/// The rows of a page of a list that has no choice of them.
pub const ROWS: i64 = 25;

/// The query of a page without what is left empty in a form, and what belongs to every page of ours.
pub fn given(view: &View) -> String {
    let query = view.here.split_once('?').map_or("", |(_, query)| query);
    let is_given = |pair: &&str| match pair.split_once('=') {
        None => !pair.is_empty(),
        Some((name, value)) => !value.is_empty() && !matches!(name, "language" | "done"),
    };
    query.split('&').filter(is_given).collect::<Vec<_>>().join("&")
}

/// The page that a view asks for; the first if it is malformed.
pub fn read_page(view: &View) -> i64 {
    Params::parse(Some(&given(view))).integer(&PAGE).unwrap_or(1)
}

/// The number of rows before a page.
pub fn offset(page: i64, size: i64) -> i64 {
    (page - 1).saturating_mul(size)
}

/// An address with a query.
pub fn address(path: &str, pairs: &[(String, String)], page: i64) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs);
    if page > 1 {
        query.append_pair(PAGE.name, &page.to_string());
    }
    let query = query.finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// The links and the form below a list.
#[derive(Debug)]
pub struct Pager {
    /// The path of the list.
    pub action: String,
    /// What else its address says.
    pub hidden: Vec<(String, String)>,
    /// This page.
    pub page: i64,
    /// The number of pages, as shown; with "at least" if it is not exact.
    pub pages: String,
    /// Whether `pages` is exact.
    pub is_exact: bool,
    /// Whether there is more than one page.
    pub has_pages: bool,
    /// The first page, unless this is it.
    pub first: Option<String>,
    /// The previous page.
    pub previous: Option<String>,
    /// The next page.
    pub next: Option<String>,
    /// The last page, if that is known.
    pub last: Option<String>,
}

impl Pager {
    /// Of a list at `path`, whose address also has these pairs.
    pub fn of(
        shell: &Shell,
        path: &str,
        pairs: Vec<(String, String)>,
        (page, size): (i64, i64),
        total: Total,
    ) -> Self {
        let action = format!("{}{path}", shell.base());
        let pages = (total.count.saturating_add(size - 1) / size).max(1);
        let to = |number: i64| Some(address(&action, &pairs, number));
        let is_last = total.is_exact && page >= pages;
        Self {
            page,
            pages: shell.number(pages),
            is_exact: total.is_exact,
            has_pages: pages > 1 || page > 1,
            first: if page > 1 { to(1) } else { None },
            previous: if page > 1 { to(page.min(pages + 1) - 1) } else { None },
            next: if is_last { None } else { to(page + 1) },
            last: if total.is_exact && page < pages { to(pages) } else { None },
            action,
            hidden: pairs,
        }
    }
}
