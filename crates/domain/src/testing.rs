//! Services for tests: a database of its own, and what is in force where nobody says anything.

use std::path::Path;

use crate::Terms;
use crate::services::{Services, Settings};
use tenantry_core::catalogue::Catalogue;
use tenantry_core::clock::{Clock, DAY, HOUR};
use tenantry_core::error::Result;
use tenantry_core::random::Random;
use tenantry_passwords::HashCost;
use tenantry_store::store::Store;

/// The numbers that are in force unless an operator sets others; `src/app.rs` is held to them.
pub const TERMS: Terms = Terms {
    access_token: 6 * HOUR,
    refresh_token: 30 * DAY,
    temporary_password: DAY,
    password_expiry: None,
    lockout_threshold: 5,
    failures_per_address: 100,
    forgotten_per_address: 20,
    email_hold: 24 * HOUR,
    deleted_users: 30 * DAY,
    events: None,
};

/// Services over a new SQLite database, `tenantry.db` in this directory.
///
/// # Errors
/// They cannot be started.
pub fn services(directory: &Path, clock: &Clock, random: &Random) -> Result<Services> {
    let store = Store::open_sqlite(&directory.join("tenantry.db"), clock.clone(), random.clone())?;
    let settings = Settings {
        hash_threads: 2,
        hash_cost: HashCost::FOR_TESTS,
        catalogue: Catalogue::default(),
        admins_have_all_permissions: false,
        terms: TERMS,
    };
    Services::start(store, random.clone(), settings)
}
