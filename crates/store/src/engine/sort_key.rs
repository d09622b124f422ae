//! What rows of lists are sorted by.

/// The value a row is sorted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SortKey {
    /// Numbers, statuses, booleans, times.
    Int(i64),
    /// Folded text.
    Text(String),
}
