//! The rules. Every edge calls these functions, so a rule exists once.

/// What a password must look like (contract, part C, Passwords).
pub mod policy;
