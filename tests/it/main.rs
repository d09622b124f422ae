//! Everything a user of Tenantry can see, tested over HTTP and through the binary. One binary, one file per noun.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and what tests share stands outside of #[test] functions"
)]

mod architecture;
mod authorization;
mod backup;
mod bad_input;
mod binary;
mod bodies;
mod bulk;
mod bulk_operations;
mod change_races;
mod commands;
mod concurrency;
mod conditional;
mod copy;
mod crash;
mod cursors;
mod databases;
mod deep_pages;
mod deleted_users;
mod dry_run;
mod events;
mod expensive_hashes;
mod faults;
mod fixtures;
mod flood;
mod foreign_hashes;
mod forgot_password;
mod full_disks;
mod groups;
mod harness;
mod idempotency;
mod import;
mod import_command;
mod login_failures;
mod logins;
mod lost_database;
mod mail;
mod nesting;
mod oauth;
mod openapi;
mod openapi_walk;
mod outages;
mod overload;
mod partners;
mod passwords;
mod patch;
mod permission_lists;
mod permissions;
mod personal_data;
mod postgres;
mod processes;
mod proxy;
mod races;
mod restore;
mod schema;
mod search_pages;
mod secrets;
mod self_service;
mod serve;
mod session_races;
mod sessions;
mod settings;
mod streaming;
mod tokens;
mod user_deletes;
mod user_fields;
mod user_input;
mod user_lists;
mod user_lists_model;
mod user_search;
mod users;
