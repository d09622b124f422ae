//! What the threads and connections of a store have in common.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::engine::cache::Cache;
use crate::engine::health::Health;
use crate::engine::tx::Context;
use tenantry_core::account_policy::AccountPolicy;
use tenantry_core::clock::Clock;
use tenantry_core::random::Random;
use tenantry_core::supervise::Supervisor;

/// State independent of the database.
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) policy: AccountPolicy,
    pub(crate) cache: Cache,
    /// Notified when mail was put into the outbox.
    pub(crate) mail: tokio::sync::Notify,
    /// This process delivers mail itself.
    pub(crate) delivers_mail: AtomicBool,
    pub(crate) health: Health,
    pub(crate) supervisor: Supervisor,
}

impl Shared {
    /// The state of a database that was just opened; `is_alone`: no other process uses it.
    pub(crate) fn new(clock: Clock, random: Random, policy: AccountPolicy, is_alone: bool) -> Arc<Self> {
        let (cache, mail) = (Cache::new(is_alone), tokio::sync::Notify::new());
        let (health, supervisor) = (Health::default(), Supervisor::default());
        let delivers_mail = AtomicBool::new(false);
        Arc::new(Self { clock, random, policy, cache, mail, delivers_mail, health, supervisor })
    }

    /// The environment of new transactions.
    pub(crate) fn context(&self) -> Context<'_> {
        Context { time: self.clock.read(), random: &self.random, policy: &self.policy }
    }
}
