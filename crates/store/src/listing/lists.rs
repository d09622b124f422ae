//! Shared by the lists of users, groups, events and partners.

use crate::engine::driver::{Dialect, Param};
pub use crate::engine::sort_key::SortKey;
use crate::engine::tx::{Counter, Tx};
use tenantry_core::error::Result;
use tenantry_core::search_terms::SearchTerm;

/// Up to here a total is counted; beyond, a filtered total is a lower bound (contract, Paging).
pub const EXACT_TOTAL: i64 = 10_000;

/// The start of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    /// After this number of rows.
    Offset(i64),
    /// After the row with this key and id.
    After(SortKey, i64),
}

/// A total, exact or a lower bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Total {
    /// The count, or a lower bound.
    pub count: i64,
    /// Whether the count is exact.
    pub is_exact: bool,
}

impl Total {
    pub(crate) fn exact(count: i64) -> Self {
        Self { count, is_exact: true }
    }

    /// Whether they are few enough to be read and sorted for each page.
    pub(crate) fn is_small(self) -> bool {
        self.is_exact && self.count <= EXACT_TOTAL
    }
}

/// A stored total of the partner.
pub fn counted(tx: &mut Tx<'_>, counter: Counter) -> Result<i64> {
    let sum = tx.row(
        "SELECT CAST(coalesce(sum(value), 0) AS BIGINT) FROM counters WHERE pid = $1 AND name = $2",
        &[counter.name().into()],
        |row| row.int(0),
    )?;
    Ok(sum.unwrap_or(0))
}

/// The id that a word of digits stands for (B27).
pub(crate) fn exact_id(word: &str) -> Option<i64> {
    word.bytes().all(|b| b.is_ascii_digit()).then(|| word.parse().ok()).flatten()
}

/// A search in columns without an index, as SQL: each word is in one of the texts, or is the id. The words are added to
/// `params`, of which the first is bound at `$first`.
pub(crate) fn search_test<'t>(
    dialect: Dialect,
    term: &'t SearchTerm,
    (texts, id): (&[&str], Option<&str>),
    (first, params): (usize, &mut Vec<Param<'t>>),
) -> String {
    let mut tests = Vec::new();
    for word in term.words() {
        let mut bind = |param: Param<'t>| {
            params.push(param);
            format!("${}", first + params.len() - 1)
        };
        let needle = bind(word.into());
        let mut any: Vec<String> = texts.iter().map(|text| dialect.contains(text, &needle)).collect();
        if let (Some(id), Some(number)) = (id, exact_id(word)) {
            any.push(format!("{id} = {}", bind(number.into())));
        }
        tests.push(format!("({})", any.join(" OR ")));
    }
    tests.join(" AND ")
}
