//! What the rules work with: the database, the hash threads, the time, randomness, and what operators decide.

use std::sync::Arc;

use crate::bulk_operations::in_process::Running;
use crate::cursors::CursorKey;
use crate::evaluations::Rules;
use crate::large_units::LargeUnits;
use crate::once::UnderWay;
use crate::uses::Uses;
use tenantry_core::account_policy::AccountPolicy;
use tenantry_core::catalogue::Catalogue;
use tenantry_core::clock::Clock;
use tenantry_core::error::Result;
use tenantry_core::random::Random;
use tenantry_passwords::{HashCost, Hasher, QUEUE_PER_THREAD};
use tenantry_store::engine::turns::Turns;
use tenantry_store::store::Store;

/// Expensive password hashes that wait for their turn; more are refused, but for partners that have few of them.
const WAITING_HASHES: usize = 256;

/// What the rules and the worker are given, by whoever wires a process. Clones share it.
#[derive(Debug, Clone)]
pub struct Services(Arc<Parts>);

/// See [`Services`].
#[derive(Debug)]
pub struct Parts {
    /// The database.
    pub store: Store,
    /// The hash threads.
    pub hasher: Hasher,
    /// The one turn for expensive hashes.
    pub(super) expensive_turns: Turns,
    /// Requests under way that are to be done once.
    pub under_way: UnderWay,
    /// Large units of work, one at a time for a partner.
    pub large_units: LargeUnits,
    /// Bulk operations that this process carries out.
    pub bulk: Running,
    /// Uses of sessions that are not stored yet.
    pub uses: Uses,
    /// What authenticates cursors.
    pub cursor_key: CursorKey,
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub random: Random,
    /// Which permissions there are to give.
    pub catalogue: Catalogue,
    /// Whether partner admins have every permission on every object without any group.
    pub admins_have_all_permissions: bool,
}

/// What operators decide of the rules.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Threads that hash passwords.
    pub hash_threads: usize,
    /// What a hash costs.
    pub hash_cost: HashCost,
    /// See [`Parts::catalogue`].
    pub catalogue: Catalogue,
    /// See [`Parts::admins_have_all_permissions`].
    pub admins_have_all_permissions: bool,
}

impl std::ops::Deref for Services {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Services {
    /// Starts the hash threads beside an open database, whose clock is everybody's.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn start(store: Store, random: Random, settings: Settings) -> Result<Self> {
        let Settings { hash_threads, hash_cost, catalogue, admins_have_all_permissions } = settings;
        let threads = hash_threads.max(1);
        let queue = threads * QUEUE_PER_THREAD;
        let hasher = Hasher::supervised(store.supervisor(), threads, queue, hash_cost, random.clone())?;
        let expensive_turns = Turns::new(1, WAITING_HASHES, "password hashing is busy");
        let (under_way, uses, large_units) = (UnderWay::default(), Uses::default(), LargeUnits::default());
        let cursor_key = CursorKey::parse(store.cursor_key())?;
        let bulk = Running::new(&random, large_units.clone());
        let clock = store.clock().clone();
        Ok(Self(Arc::new(Parts {
            store,
            hasher,
            expensive_turns,
            under_way,
            large_units,
            bulk,
            uses,
            cursor_key,
            clock,
            random,
            catalogue,
            admins_have_all_permissions,
        })))
    }
}

impl Parts {
    /// The account policy that the operator has set; transactions carry it, too.
    pub fn policy(&self) -> &AccountPolicy {
        self.store.policy()
    }

    /// By what it is decided what users may do, beside what their groups have.
    pub fn rules(&self) -> Rules<'_> {
        Rules { catalogue: &self.catalogue, admins_have_all: self.admins_have_all_permissions }
    }
}
