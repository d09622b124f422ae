//! Everything a user of Tenantry can see, tested over HTTP and through the binary. One binary, one file per noun.

mod harness;
mod users;
