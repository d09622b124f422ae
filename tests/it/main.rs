//! Everything a user of Tenantry can see, tested over HTTP and through the binary. One binary, one file per noun.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and what tests share stands outside of #[test] functions"
)]

mod architecture;
mod authorization;
mod bad_input;
mod binary;
mod bulk;
mod commands;
mod concurrency;
mod conditional;
mod crash;
mod databases;
mod deleted_users;
mod dry_run;
mod events;
mod fixtures;
mod forgot_password;
mod groups;
mod harness;
mod idempotency;
mod logins;
mod mail;
mod oauth;
mod openapi;
mod partners;
mod passwords;
mod patch;
mod secrets;
mod self_service;
mod serve;
mod sessions;
mod streaming;
mod user_lists;
mod users;
