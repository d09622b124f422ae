//! The way to the data: through the server that runs on it, or, when none does, by hand.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::app::App;
use crate::cli::lock::{self, Held, Holder, Lock, Taken};
use crate::cli::operations::Operation;
use crate::cli::refusal::Refusal;
use crate::cli::{control, first_start};
use crate::config::Config;
use tenantry_core::clock::Clock;
use tenantry_core::random::Random;
use tenantry_domain::services::Services;
use tenantry_passwords::HashCost;
use tenantry_store::access::Operator;

/// How long a server may take to start or stop, and another command to end, before this one gives up.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Does operations, one at a time.
pub struct Way<'a> {
    config: &'a Config,
    /// The name by which a server knows an SQLite database. Another kind is worked on beside its servers.
    database: Option<String>,
    /// Held for all operations of a command, so that no server starts between two pages of a list.
    own: std::cell::OnceCell<Own>,
}

/// The database in this process. The order of the fields is that of their ends: the lock goes last.
struct Own {
    services: Services,
    runtime: tokio::runtime::Runtime,
    lock: Option<Lock>,
}

impl std::fmt::Debug for Way<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Way").field("database", &self.database).finish_non_exhaustive()
    }
}

impl<'a> Way<'a> {
    /// Finds the database of `config`. Commands do not make one: whoever mistyped a directory would be given an
    /// empty database there.
    ///
    /// # Errors
    /// There is no database.
    pub fn find(config: &'a Config) -> Result<Self, Refusal> {
        let own = std::cell::OnceCell::new();
        let Some(path) = config.sqlite_file() else {
            return Ok(Self { config, database: None, own });
        };
        if !lock::has_database(path)? || !lock::check_data_dir(&config.data_dir)? {
            let missing = if lock::has_database(path)? { &config.data_dir } else { path };
            let what = if missing == path { "database" } else { "data directory" };
            return Err(nothing_at(what, missing));
        }
        Ok(Self { config, database: Some(control::true_name(path)), own })
    }

    /// Whether nobody else writes until this command ends; known after its first operation.
    pub fn is_alone(&self) -> bool {
        self.own.get().is_some_and(|own| own.lock.is_some())
    }

    /// Does one operation.
    ///
    /// # Errors
    /// What it refuses, or why it could not be done.
    pub fn run(&self, operation: Operation) -> Result<Value, Refusal> {
        if let Some(own) = self.own.get() {
            return own.run(operation);
        }
        let Some(database) = &self.database else {
            let own = Own::open(self.config, None)?;
            return self.own.get_or_init(|| own).run(operation);
        };
        let socket = lock::socket_path(&self.config.data_dir);
        let start = Instant::now();
        loop {
            if let Some(value) = control::ask(&socket, database, operation.clone())? {
                return Ok(value);
            }
            let held = match lock::take(self.config, Holder::Command)? {
                Taken::Ours(lock) => {
                    let own = Own::open(self.config, Some(lock))?;
                    return self.own.get_or_init(|| own).run(operation);
                }
                Taken::Theirs(held) => held,
            };
            if start.elapsed() > PATIENCE {
                return Err(no_way(&held));
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// There is no such thing, and no command but `serve` makes it.
pub(super) fn nothing_at(what: &str, path: &Path) -> Refusal {
    let detail = format!(
        "there is no {what} at {}: run `tenantry serve` once, or name the data directory with --data-dir",
        path.display()
    );
    Refusal::new("no-database", detail)
}

fn no_way(held: &Held) -> Refusal {
    let detail = format!(
        "{} and does not listen on this data directory's control socket: if it is starting or stopping, try again \
         later",
        held.holder()
    );
    Refusal::new("locked", detail)
}

impl Own {
    fn open(config: &Config, lock: Option<Lock>) -> Result<Self, Refusal> {
        // Only `serve` and `migrate` change a schema that processes share.
        let config = Config { worker_threads: 1, may_migrate: false, ..config.clone() };
        let database = config.database_url.clone();
        let app = App::assemble(config, Clock::system(), Random::system(), HashCost::OWASP)
            .map_err(|e| Refusal::of_database(&database, e))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| Refusal::new("internal", format!("cannot start the runtime: {e}")))?;
        let own = Self { services: app.services().clone(), runtime, lock };
        // A first start that was broken off leaves a database without a partner; only `serve` ends what it began.
        if own.runtime.block_on(first_start::is_due(&own.services, Operator::of_this_machine()))? {
            let detail = "the database is empty: run `tenantry serve` once, which makes the first partner";
            return Err(Refusal::new("no-database", detail));
        }
        Ok(own)
    }

    fn run(&self, operation: Operation) -> Result<Value, Refusal> {
        Ok(self.runtime.block_on(operation.run(&self.services, Operator::of_this_machine()))?)
    }
}
