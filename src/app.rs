//! What a running process is made of, assembled once.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, DAY, HOUR, SECOND};
use crate::config::{Config, DatabaseUrl, SecretUrl};
use crate::domain::Terms;
use crate::domain::bulk_operations::Running;
use crate::domain::cursors::CursorKey;
use crate::domain::evaluations::Rules;
use crate::domain::large_units::LargeUnits;
use crate::domain::once::UnderWay;
use crate::domain::uses::Uses;
use crate::error::Result;
use crate::hashing::{HashCost, Hasher, QUEUE_PER_THREAD};
use crate::random::Random;
use crate::storage::turns::Turns;
use crate::storage::{PostgresOptions, Store};

/// Expensive password hashes that wait for their turn; more are refused, but for partners that have few of them.
const WAITING_HASHES: usize = 256;

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
    /// The one turn for expensive hashes.
    pub(crate) expensive_turns: Turns,
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
    /// What [`Store::open_sqlite`] or [`Store::open_postgres`] refuses.
    pub fn assemble(config: Config, clock: Clock, random: Random, cost: HashCost) -> Result<Self> {
        let store = match &config.database_url {
            DatabaseUrl::Sqlite(path) => Store::open_sqlite(path, clock.clone(), random.clone())?,
            DatabaseUrl::Postgres(url) => {
                let options = postgres_options(&config, url, config.may_migrate);
                Store::open_postgres(&options, clock.clone(), random.clone())?
            }
        };
        let threads = config.worker_threads.max(1);
        let queue = threads * QUEUE_PER_THREAD;
        let hasher = Hasher::supervised(store.supervisor(), threads, queue, cost, random.clone())?;
        let expensive_turns = Turns::new(1, WAITING_HASHES, "password hashing is busy");
        let terms = terms(&config);
        let (under_way, uses, large_units) = (UnderWay::default(), Uses::default(), LargeUnits::default());
        let cursor_key = CursorKey::parse(store.cursor_key())?;
        let bulk = Running::new(&random, large_units.clone());
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
            config,
            terms,
        })))
    }
}

impl Parts {
    /// By what it is decided what users may do, beside what their groups have.
    pub fn rules(&self) -> Rules<'_> {
        Rules {
            catalogue: &self.config.permission_catalogue,
            admins_have_all: self.config.admins_have_all_permissions,
        }
    }
}

/// How `config` says a PostgreSQL database is used.
pub fn postgres_options<'a>(
    config: &'a Config,
    url: &'a SecretUrl,
    may_migrate: bool,
) -> PostgresOptions<'a> {
    PostgresOptions {
        url: url.expose(),
        ca_file: config.database_ca_file.as_deref(),
        pool_size: config.database_pool_size as usize,
        wait: Duration::from_millis(config.database_wait_ms.into()),
        timeout: Duration::from_secs(config.database_timeout_seconds.into()),
        may_migrate,
    }
}

fn terms(config: &Config) -> Terms {
    let expiry = i64::from(config.password_expiry_days) * DAY;
    Terms {
        access_token: i64::from(config.access_token_seconds) * SECOND,
        refresh_token: i64::from(config.refresh_token_seconds) * SECOND,
        temporary_password: i64::from(config.temporary_password_seconds) * SECOND,
        password_expiry: (expiry > 0).then_some(expiry),
        lockout_threshold: i64::from(config.lockout_threshold).max(1),
        failures_per_address: i64::from(config.login_failures_per_address).max(1),
        forgotten_per_address: i64::from(config.forgot_password_per_address).max(1),
        email_hold: i64::from(config.email_change_hold_hours) * HOUR,
        deleted_users: i64::from(config.deleted_user_days) * DAY,
        events: Some(i64::from(config.event_days) * DAY).filter(|kept| *kept > 0),
    }
}
