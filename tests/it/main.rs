//! Everything a user of Tenantry can see, tested over HTTP and through the binary. One binary, one file per noun.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report; clippy knows tests by their attribute only, not their helpers"
)]

mod architecture;
mod authorization;
mod harness;
mod logins;
mod oauth;
mod openapi;
mod partners;
mod passwords;
mod users;
