//! Services for tests: a database of its own, and what is in force where nobody says anything.

use std::path::Path;

use super::Terms;
use super::services::{Services, Settings};
use crate::catalogue::Catalogue;
use crate::clock::{Clock, DAY, HOUR};
use crate::hashing::HashCost;
use crate::random::Random;
use crate::storage::Store;

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
/// # Panics
/// They cannot be started.
pub fn services(directory: &Path, clock: &Clock, random: &Random) -> Services {
    let store = Store::open_sqlite(&directory.join("tenantry.db"), clock.clone(), random.clone()).unwrap();
    let settings = Settings {
        hash_threads: 2,
        hash_cost: HashCost::FOR_TESTS,
        catalogue: Catalogue::default(),
        admins_have_all_permissions: false,
        terms: TERMS,
    };
    Services::start(store, random.clone(), settings).unwrap()
}
