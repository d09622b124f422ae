//! Plain data, checked values, errors, the clock and randomness, for all other crates.

/// The account policy: lifetimes and limits that the operator sets.
pub mod account_policy;
/// How a person signed in: classes and methods.
pub mod authentication;
/// The permission catalogue: the default one, and parsing of others.
pub mod catalogue;
/// OAuth clients.
pub mod clients;
/// The time, passed as an argument.
pub mod clock;
/// The error type, without HTTP.
pub mod error;
/// A bounded fair queue.
pub mod fair;
/// Parsing JSON with all errors reported at once.
pub mod json;
/// The languages of pages and mails.
pub mod languages;
/// Plain data.
pub mod model;
/// Text from elsewhere, as it is shown to people.
pub mod printable;
/// Randomness, passed as an argument.
pub mod random;
/// Redirect URIs of OAuth clients.
pub mod redirect_uris;
/// Streaming parsers of NDJSON and CSV.
pub mod rows;
/// The scopes of tokens.
pub mod scopes;
/// Search terms: words, and the form without accents in which users are searched.
pub mod search_terms;
/// Values that are never shown.
pub mod secret;
/// The algorithms of ID tokens.
pub mod signing_alg;
/// Supervision of the server's threads and tasks, which are restarted when they panic.
pub mod supervise;
/// The fields of a user, each declared once.
pub mod user_fields;
/// Checks of values, and the folded form by which strings are compared.
pub mod values;
