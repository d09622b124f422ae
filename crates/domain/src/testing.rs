//! Services for tests: a database of its own.

use std::path::Path;

use crate::sealer::MasterKey;
use crate::services::{Services, Settings};
use tenantry_core::account_policy::AccountPolicy;
use tenantry_core::catalogue::Catalogue;
use tenantry_core::clock::Clock;
use tenantry_core::error::Result;
use tenantry_core::random::Random;
use tenantry_passwords::HashCost;
use tenantry_store::store::Store;

/// Services over a new SQLite database, `tenantry.db` in this directory.
///
/// # Errors
/// They cannot be started.
pub fn services(directory: &Path, clock: &Clock, random: &Random) -> Result<Services> {
    services_with(directory, clock, random, None)
}

/// As [`services`], with a master key.
///
/// # Errors
/// They cannot be started.
pub fn services_with(
    directory: &Path,
    clock: &Clock,
    random: &Random,
    master_key: Option<MasterKey>,
) -> Result<Services> {
    let path = directory.join("tenantry.db");
    let store = Store::open_sqlite(&path, clock.clone(), random.clone(), AccountPolicy::DEFAULT)?;
    let settings = Settings {
        hash_threads: 2,
        hash_cost: HashCost::FOR_TESTS,
        master_key,
        catalogue: Catalogue::default(),
        admins_have_all_permissions: false,
    };
    Services::start(store, random.clone(), settings)
}
