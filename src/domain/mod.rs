//! The rules. Every edge calls these functions, so a rule exists once.

/// What a password must look like (contract, part C, Passwords).
pub mod policy;
/// Values that have been checked: usernames, names, addresses; and the folded form strings are compared by.
pub mod values;
