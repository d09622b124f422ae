//! Assembles a running process from its settings.

use std::time::Duration;

use crate::config::{Config, DatabaseUrl, SecretUrl};
use crate::master_key;
use tenantry_core::account_policy::{AccountPolicy, FactorRequirement};
use tenantry_core::clock::{Clock, DAY, HOUR, SECOND};
use tenantry_core::error::Result;
use tenantry_core::random::Random;
use tenantry_domain::policies;
use tenantry_domain::sealer::{self, MasterKey};
use tenantry_domain::services::{Services, Settings};
use tenantry_http::public_path::PublicPath;
use tenantry_http::server::Bounds;
use tenantry_http::state::{AppState, HttpSettings};
use tenantry_passwords::HashCost;
use tenantry_store::store::{PostgresOptions, Store};

/// A running process: the state of its edges, and its settings.
#[derive(Debug, Clone)]
pub struct App {
    /// The settings.
    pub config: Config,
    state: AppState,
}

impl std::ops::Deref for App {
    type Target = AppState;
    fn deref(&self) -> &AppState {
        &self.state
    }
}

impl App {
    /// Opens the database of `config` and starts the hash threads.
    ///
    /// # Errors
    /// Those of [`Store::open_sqlite`] or [`Store::open_postgres`].
    pub fn assemble(config: Config, clock: Clock, random: Random, cost: HashCost) -> Result<Self> {
        let policy = account_policy(&config);
        let store = match &config.database_url {
            DatabaseUrl::Sqlite(path) => Store::open_sqlite(path, clock, random.clone(), policy)?,
            DatabaseUrl::Postgres(url) => {
                let options = postgres_options(&config, url, config.may_migrate);
                Store::open_postgres(&options, clock, random.clone(), policy)?
            }
        };
        let master_key = master_key::find(&config, store.master_check().is_some(), &random)?;
        let services = Services::start(store, random, settings(&config, cost, master_key))?;
        let state = AppState::new(services, http_settings(&config));
        Ok(Self { config, state })
    }

    /// Makes a server ready to serve: the database recognizes its master key from now on.
    ///
    /// # Errors
    /// A conflict: the database is sealed with another master key, or there is none.
    pub async fn prepare(&self) -> Result<()> {
        if let Some(problem) = self.sealer.problem() {
            return Err(master_key::refusal(&self.config, problem));
        }
        master_key::warn(&self.config);
        if let Err(no) = self.relying_party() {
            tracing::info!("{}", no.detail());
        }
        sealer::adopt(self.services(), self.config.master_key.is_some()).await?;
        policies::record_floor(self.services()).await
    }
}

/// The options of a PostgreSQL database.
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

/// The settings that only HTTP uses.
pub fn http_settings(config: &Config) -> HttpSettings {
    HttpSettings {
        trusted_proxies: config.trusted_proxies.clone(),
        forwarded_header: config.forwarded_header,
        page_requests_per_address: config.page_requests_per_address,
        public_path: PublicPath::of_url(&config.public_url).and_then(PublicPath::or_root),
        public_url: config.public_url.clone(),
        cors_origins: config.cors_origins.clone(),
        metrics_allow: config.metrics_allow.clone(),
        is_admin_as_string: config.is_admin_as_string,
    }
}

/// The limits of the HTTP server.
pub fn bounds(config: &Config) -> Bounds {
    Bounds { body_limit: config.body_limit as u64, body_memory: config.body_memory, ..Bounds::default() }
}

/// The settings that `domain` uses.
fn settings(config: &Config, cost: HashCost, master_key: Option<MasterKey>) -> Settings {
    Settings {
        hash_threads: config.worker_threads,
        hash_cost: cost,
        master_key,
        catalogue: config.permission_catalogue.clone(),
        admins_have_all_permissions: config.admins_have_all_permissions,
    }
}

fn account_policy(config: &Config) -> AccountPolicy {
    let expiry = i64::from(config.password_expiry_days) * DAY;
    AccountPolicy {
        access_token: i64::from(config.access_token_seconds) * SECOND,
        refresh_token: i64::from(config.refresh_token_seconds) * SECOND,
        refresh_reuse: i64::from(config.refresh_reuse_seconds) * SECOND,
        temporary_password: i64::from(config.temporary_password_seconds) * SECOND,
        password_expiry: (expiry > 0).then_some(expiry),
        lockout_threshold: i64::from(config.lockout_threshold).max(1),
        failures_per_address: i64::from(config.login_failures_per_address).max(1),
        forgotten_per_address: i64::from(config.forgot_password_per_address).max(1),
        email_hold: i64::from(config.email_change_hold_hours) * HOUR,
        deleted_users: i64::from(config.deleted_user_days) * DAY,
        events: Some(i64::from(config.event_days) * DAY).filter(|kept| *kept > 0),
        second_factor: config.second_factor,
        factor_requirement: FactorRequirement::default(),
        remember_device: i64::from(config.remember_device_days) * DAY,
        password_policy: config.password_policy,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_default_policy_is_what_the_settings_default_to() {
        let policy = account_policy(&Config::for_tests(Path::new("/tmp/x")));
        assert_eq!(policy, AccountPolicy::DEFAULT);
    }
}
