//! `tenantry migrate`

use std::io::Write;

use crate::app;
use crate::cli::Failure;
use crate::cli::command_error::CommandError;
use crate::config::{Config, DatabaseUrl};
use tenantry_core::clock::Clock;
use tenantry_store::store::Store;

/// Upgrades the schema of a PostgreSQL database, once, even if other processes try at the same time.
pub(super) fn run(config: &Config, out: &mut impl Write) -> Result<(), Failure> {
    let DatabaseUrl::Postgres(url) = &config.database_url else {
        let detail = "an SQLite database is upgraded when it is opened: there is nothing to do";
        return Err(CommandError::new("sqlite", detail).into());
    };
    let options = app::postgres_options(config, url, true);
    let (from, to) = Store::migrate_postgres(&options, &Clock::system())?;
    if from == to {
        writeln!(out, "the schema is up to date (version {to})")?;
    } else {
        writeln!(out, "the schema was upgraded from version {from} to {to}")?;
    }
    Ok(())
}
