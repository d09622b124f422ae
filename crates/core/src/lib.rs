//! Plain data, checked values, errors, the clock, randomness: what everything else may use.

/// Which permissions there are to give: the default catalogue and the reading of another.
pub mod catalogue;
/// The time, as an argument.
pub mod clock;
/// One error enum, without HTTP.
pub mod error;
/// Turns for those who wait: no flood of one keeps another waiting.
pub mod fair;
/// Reading JSON, all faults at once.
pub mod json;
/// Plain data.
pub mod model;
/// Randomness, as an argument.
pub mod random;
/// Files of rows, taken apart as they come: NDJSON and CSV.
pub mod rows;
/// Texts that nobody may see.
pub mod secret;
/// The threads and tasks of a running server, started again when they panic.
pub mod supervise;
/// The fields of a user, each declared once.
pub mod user_fields;
/// Values that have been checked, and the folded form strings are compared by.
pub mod values;
