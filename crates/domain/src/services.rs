//! The dependencies of the rules: database, hash threads, clock, randomness and settings.

use std::sync::Arc;

use crate::branding::BrandingCache;
use crate::bulk_operations::in_process::Running;
use crate::cursors::CursorKey;
use crate::evaluations::Rules;
use crate::idempotency::KeysInUse;
use crate::large_units::LargeUnits;
use crate::sealed::RequestKey;
use crate::sealer::{MasterKey, Sealer};
use crate::sign_in_counts::SignInCounts;
use crate::signing_keys::SigningKeys;
use crate::uses::Uses;
use tenantry_core::account_policy::AccountPolicy;
use tenantry_core::catalogue::Catalogue;
use tenantry_core::clock::Clock;
use tenantry_core::error::Result;
use tenantry_core::random::Random;
use tenantry_passwords::{HashCost, Hasher, QUEUE_PER_THREAD};
use tenantry_store::engine::slots::Slots;
use tenantry_store::store::Store;

/// Maximum number of waiting expensive password hashes; more are refused, except for partners that have few of them.
const WAITING_HASHES: usize = 256;

/// Maximum number of waiting images.
const WAITING_IMAGES: usize = 64;

/// The dependencies of the rules and the worker, assembled by the process. Clones share them.
#[derive(Debug, Clone)]
pub struct Services(Arc<Parts>);

/// See [`Services`].
#[derive(Debug)]
pub struct Parts {
    /// The database.
    pub store: Store,
    /// The hash threads.
    pub hasher: Hasher,
    /// The queue for expensive hashes, one at a time.
    pub(super) expensive_slots: Slots,
    /// Brandings that pages show.
    pub(super) brandings: BrandingCache,
    /// The queue for images, which are decoded one at a time.
    pub(super) image_slots: Slots,
    /// Requests with an idempotency key in progress.
    pub keys_in_use: KeysInUse,
    /// Large units of work, one at a time per partner.
    pub large_units: LargeUnits,
    /// Bulk operations that this process carries out.
    pub bulk: Running,
    /// Uses of sessions that are not stored yet.
    pub uses: Uses,
    /// Sign-ins by outcome.
    pub sign_ins: SignInCounts,
    /// The key that authenticates cursors.
    pub cursor_key: CursorKey,
    /// The key of values that travel through a browser.
    pub request_key: RequestKey,
    /// Seals rows with the master key.
    pub sealer: Arc<Sealer>,
    /// The keys that sign ID tokens.
    pub signing_keys: SigningKeys,
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub random: Random,
    /// The permission catalogue.
    pub catalogue: Catalogue,
    /// Whether partner admins have all permissions on all objects.
    pub admins_have_all_permissions: bool,
}

/// The settings of the rules.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Threads that hash passwords.
    pub hash_threads: usize,
    /// The cost of a hash.
    pub hash_cost: HashCost,
    /// The master key; without it rows stand unsealed.
    pub master_key: Option<MasterKey>,
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
    /// Starts the hash threads for an open database, whose clock is used everywhere.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn start(store: Store, random: Random, settings: Settings) -> Result<Self> {
        let Settings { hash_threads, hash_cost, master_key, catalogue, admins_have_all_permissions } =
            settings;
        let threads = hash_threads.max(1);
        let queue = threads * QUEUE_PER_THREAD;
        let hasher = Hasher::supervised(store.supervisor(), threads, queue, hash_cost, random.clone())?;
        let expensive_slots = Slots::new(1, WAITING_HASHES, "password hashing is busy");
        let image_slots = Slots::new(1, WAITING_IMAGES, "decoding images is busy");
        let (keys_in_use, uses, large_units) = (KeysInUse::default(), Uses::default(), LargeUnits::default());
        let cursor_key = CursorKey::parse(store.cursor_key())?;
        let request_key = RequestKey::new(store.request_key());
        let sealer = Arc::new(Sealer::new(master_key.as_ref(), &random, store.master_check()));
        let signing_keys = SigningKeys::new(threads);
        let bulk = Running::new(&random, large_units.clone());
        let clock = store.clock().clone();
        Ok(Self(Arc::new(Parts {
            store,
            hasher,
            expensive_slots,
            brandings: BrandingCache::default(),
            image_slots,
            keys_in_use,
            large_units,
            bulk,
            uses,
            sign_ins: SignInCounts::default(),
            cursor_key,
            request_key,
            sealer,
            signing_keys,
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

    /// The rules of evaluations.
    pub fn rules(&self) -> Rules<'_> {
        Rules { catalogue: &self.catalogue, admins_have_all: self.admins_have_all_permissions }
    }
}
