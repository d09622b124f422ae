//! Plain data, checked values, errors, the clock and randomness, for all other crates.

/// The account policy: lifetimes and limits that the operator sets.
pub mod account_policy;
/// The permission catalogue: the default one, and parsing of others.
pub mod catalogue;
/// The time, passed as an argument.
pub mod clock;
/// The error type, without HTTP.
pub mod error;
/// A bounded fair queue.
pub mod fair;
/// Parsing JSON with all errors reported at once.
pub mod json;
/// Plain data.
pub mod model;
/// Randomness, passed as an argument.
pub mod random;
/// Streaming parsers of NDJSON and CSV.
pub mod rows;
/// Values that are never shown.
pub mod secret;
/// Supervision of the server's threads and tasks, which are restarted when they panic.
pub mod supervise;
/// The fields of a user, each declared once.
pub mod user_fields;
/// Checks of values, and the folded form by which strings are compared.
pub mod values;
