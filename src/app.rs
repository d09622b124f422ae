//! What a running process is made of, assembled once.

use std::path::Path;
use std::sync::Arc;

use crate::clock::{Clock, DAY, HOUR, SECOND};
use crate::config::{Config, DatabaseUrl};
use crate::domain::Terms;
use crate::domain::once::UnderWay;
use crate::domain::throttle::Throttle;
use crate::domain::uses::Uses;
use crate::error::Result;
use crate::hashing::{HashCost, Hasher, QUEUE_PER_THREAD};
use crate::random::Random;
use crate::storage::Store;

/// The parts of a running process. Clones share them.
#[derive(Debug, Clone)]
pub struct App(Arc<Parts>);

/// See [`App`].
#[derive(Debug)]
pub struct Parts {
    /// The database.
    pub store: Store,
    /// The hash threads.
    pub hasher: Hasher,
    /// Failed logins per address.
    pub throttle: Throttle,
    /// Forgotten passwords asked for per address.
    pub forgot_throttle: Throttle,
    /// Requests under way that are to be done once.
    pub under_way: UnderWay,
    /// Uses of sessions that are not stored yet.
    pub uses: Uses,
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub random: Random,
    /// What operators set.
    pub config: Config,
    /// Those of the settings that are rules.
    pub terms: Terms,
}

impl std::ops::Deref for App {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl App {
    /// Opens the database that `config` names and starts the hash threads.
    ///
    /// # Errors
    /// What [`Store::open_sqlite`] refuses.
    pub fn assemble(config: Config, clock: Clock, random: Random, cost: HashCost) -> Result<Self> {
        let DatabaseUrl::Sqlite(path) = &config.database_url;
        let store = open(path, &clock, &random)?;
        let threads = config.worker_threads.max(1);
        let hasher = Hasher::new(threads, threads * QUEUE_PER_THREAD, cost, random.clone())?;
        let terms = terms(&config);
        let throttle = |limit: u32| Throttle::new(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(Self(Arc::new(Parts {
            store,
            hasher,
            throttle: throttle(config.login_failures_per_address),
            forgot_throttle: throttle(config.forgot_password_per_address),
            under_way: UnderWay::default(),
            uses: Uses::default(),
            clock,
            random,
            config,
            terms,
        })))
    }
}

fn open(path: &Path, clock: &Clock, random: &Random) -> Result<Store> {
    Store::open_sqlite(path, clock.clone(), random.clone())
}

fn terms(config: &Config) -> Terms {
    let expiry = i64::from(config.password_expiry_days) * DAY;
    Terms {
        access_token: i64::from(config.access_token_seconds) * SECOND,
        refresh_token: i64::from(config.refresh_token_seconds) * SECOND,
        temporary_password: i64::from(config.temporary_password_seconds) * SECOND,
        password_expiry: (expiry > 0).then_some(expiry),
        lockout_threshold: i64::from(config.lockout_threshold).max(1),
        email_hold: i64::from(config.email_change_hold_hours) * HOUR,
        deleted_users: i64::from(config.deleted_user_days) * DAY,
    }
}
