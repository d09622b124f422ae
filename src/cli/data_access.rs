//! Access to the data: through the running server, or directly if none runs.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::app::App;
use crate::cli::command_error::CommandError;
use crate::cli::lock::{self, Held, Holder, Lock, Taken};
use crate::cli::operations::Operation;
use crate::cli::{control, first_start};
use crate::config::Config;
use tenantry_core::clock::Clock;
use tenantry_core::random::Random;
use tenantry_domain::services::Services;
use tenantry_passwords::HashCost;
use tenantry_store::access::Operator;

/// How long to wait for a server to start or stop, or for another command to end.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Polling interval.
const PAUSE: Duration = Duration::from_millis(20);

/// Executes operations, one at a time.
pub struct DataAccess<'a> {
    config: &'a Config,
    /// The name of an SQLite database in requests. PostgreSQL is accessed directly.
    database: Option<String>,
    /// Held for all operations of a command, so that no server starts between two pages of a list.
    own: std::cell::OnceCell<Own>,
}

/// The database in this process. Fields are dropped in order: the lock last.
struct Own {
    services: Services,
    runtime: tokio::runtime::Runtime,
    lock: Option<Lock>,
}

impl std::fmt::Debug for DataAccess<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataAccess").field("database", &self.database).finish_non_exhaustive()
    }
}

impl<'a> DataAccess<'a> {
    /// Finds the database of `config`. Commands do not create one: a mistyped directory would get an empty database.
    ///
    /// # Errors
    /// There is no database.
    pub fn find(config: &'a Config) -> Result<Self, CommandError> {
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

    /// Whether this command has exclusive access; known after its first operation.
    pub fn is_alone(&self) -> bool {
        self.own.get().is_some_and(|own| own.lock.is_some())
    }

    /// Executes one operation.
    ///
    /// # Errors
    /// The operation was refused or failed.
    pub fn run(&self, operation: Operation) -> Result<Value, CommandError> {
        if let Some(own) = self.own.get() {
            return own.run(operation);
        }
        let Some(database) = &self.database else {
            let own = Own::open(self.config, None)?;
            return self.own.get_or_init(|| own).run(operation);
        };
        let socket = self.config.control_socket_path();
        let start = Instant::now();
        loop {
            if let Some(socket) = &socket
                && let Some(value) = control::ask(socket, database, operation.clone())?
            {
                return Ok(value);
            }
            let held = match lock::take(self.config, Holder::Command)? {
                Taken::Ours(lock) => {
                    let own = Own::open(self.config, Some(lock))?;
                    return self.own.get_or_init(|| own).run(operation);
                }
                Taken::Theirs(held) => held,
            };
            let is_unreachable = held.is_without_socket() || (socket.is_none() && held.is_by_server());
            if is_unreachable || start.elapsed() > TIMEOUT {
                return Err(no_way(&held, socket.as_deref()));
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// The error of a missing data directory or database, which only `serve` creates.
pub(super) fn nothing_at(what: &str, path: &Path) -> CommandError {
    let detail = format!(
        "no {what} at {}: run `tenantry serve` once, or set the data directory with --data-dir",
        path.display()
    );
    CommandError::new("no-database", detail)
}

fn no_way(held: &Held, socket: Option<&Path>) -> CommandError {
    let holder = held.holder();
    let detail = match socket {
        _ if held.is_without_socket() => format!(
            "{holder}, so commands cannot reach it: start it with control-socket set to a path on a local file system, \
             such as /run/tenantry/control.sock, and set the same for commands; or stop it first"
        ),
        None => format!(
            "{holder}, and control-socket is none, so this command cannot reach it: set the control-socket of the server"
        ),
        Some(socket) if held.is_by_server() => format!(
            "{holder} and does not listen on the control socket {}: if it is starting or stopping, try again later; if it \
             was started with another control-socket, set the same",
            socket.display()
        ),
        Some(socket) => format!(
            "{holder} and does not listen on the control socket {}: if it is starting or stopping, try again later",
            socket.display()
        ),
    };
    CommandError::new("locked", detail)
}

impl Own {
    fn open(config: &Config, lock: Option<Lock>) -> Result<Self, CommandError> {
        // Only `serve` and `migrate` change the schema of PostgreSQL.
        let config = Config { worker_threads: 1, may_migrate: false, ..config.clone() };
        let database = config.database_url.clone();
        let app = App::assemble(config, Clock::system(), Random::system(), HashCost::OWASP)
            .map_err(|e| CommandError::of_database(&database, e))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| CommandError::new("internal", format!("cannot start the runtime: {e}")))?;
        let own = Self { services: app.services().clone(), runtime, lock };
        // An interrupted first start leaves a database without a partner; only `serve` can complete it.
        if own.runtime.block_on(first_start::is_due(&own.services, Operator::of_this_machine()))? {
            let detail = "the database is empty: run `tenantry serve` once, which creates the first partner";
            return Err(CommandError::new("no-database", detail));
        }
        Ok(own)
    }

    fn run(&self, operation: Operation) -> Result<Value, CommandError> {
        let work = async {
            let done = operation.run(&self.services, Operator::of_this_machine()).await;
            // A key for a new client is made in the background.
            self.services.signing_keys.idle().await;
            done
        };
        Ok(self.runtime.block_on(work)?)
    }
}
