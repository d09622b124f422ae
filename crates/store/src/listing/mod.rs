//! Lists: which plan for which query, searches, and the offsets of deep pages.

/// Shared by all lists.
pub mod lists;
pub(crate) mod offset_index_builder;
pub(crate) mod search;
/// Users, many at a time: pages, searches, streams.
pub mod user_lists;
/// Which users, in which order.
pub mod user_queries;
