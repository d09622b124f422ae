//! The only reader of flags, environment and configuration file.
//!
//! A setting has one name everywhere: `--data-dir`, `TENANTRY_DATA_DIR`, `data-dir = "..."` in
//! `tenantry.toml`. The foremost of flag, variable, line and default counts. To add one: a field of `Config`
//! and its entry in `Config::read`, where its name, default, reader and text for people stand together. The
//! flags, the help, the checks and `tenantry config` follow from that entry.

mod reader;
#[cfg(test)]
mod tests;
mod values;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use lettre::Address;
use lettre::message::Mailbox;
use serde_json::{Value, json};

use reader::Reader;
pub use reader::{ConfigFault, Origin, Setting};
use tenantry_core::catalogue::Catalogue;
pub use values::{DatabaseUrl, LogFormat, Secret, SecretUrl};

/// The file that is read when none is named; it may be missing.
const FILE: &str = "tenantry.toml";

/// Everything a process is told from outside. Secrets hide themselves in `Debug`.
#[derive(Debug, Clone)]
pub struct Config {
    /// The configuration file that was read.
    pub file: Option<PathBuf>,
    /// Where the server listens.
    pub listen: SocketAddr,
    /// Where the data stands: database, lock, control socket, mails.
    pub data_dir: PathBuf,
    /// The database.
    pub database_url: DatabaseUrl,
    /// Connections to PostgreSQL at most, beside one for notifications.
    pub database_pool_size: u32,
    /// How long a request waits for one of them, in milliseconds.
    pub database_wait_ms: u32,
    /// How long one statement may take on PostgreSQL, in seconds.
    pub database_timeout_seconds: u32,
    /// The authorities (PEM) that vouch for a PostgreSQL server; the public ones when absent.
    pub database_ca_file: Option<PathBuf>,
    /// Whether opening a PostgreSQL database may change its schema (`serve --no-migrate` and other commands: no).
    pub may_migrate: bool,
    /// The first partner's admin.
    pub admin_username: String,
    /// The admin's permanent password; generated when absent. Not yet held to the password rules.
    pub admin_password: Option<Secret>,
    /// The admin's e-mail address.
    pub admin_email: String,
    /// The admin's given name.
    pub admin_first_name: String,
    /// The admin's family name.
    pub admin_last_name: String,
    /// How people reach the server, without a slash at the end.
    pub public_url: String,
    /// The mail server; mails are files when absent.
    pub smtp_url: Option<SecretUrl>,
    /// The sender of mails.
    pub mail_from: Mailbox,
    /// Life of an access token, in seconds.
    pub access_token_seconds: u32,
    /// Life of a refresh token, in seconds.
    pub refresh_token_seconds: u32,
    /// Life of a temporary password, in seconds.
    pub temporary_password_seconds: u32,
    /// Life of a permanent password, in days; 0 = for ever.
    pub password_expiry_days: u32,
    /// Failed logins in a row that lock an account (B23).
    pub lockout_threshold: u32,
    /// Failed logins from one address in 5 minutes, after which it is told to wait.
    pub login_failures_per_address: u32,
    /// Forgotten passwords that one address may ask for in 5 minutes, before it is told to wait.
    pub forgot_password_per_address: u32,
    /// Proxies that may say for whom they speak.
    pub trusted_proxies: Vec<IpNet>,
    /// Who may read the metrics where the API is served.
    pub metrics_allow: Vec<IpNet>,
    /// Where the metrics are served to whoever gets there.
    pub metrics_listen: Option<SocketAddr>,
    /// For how many hours password mail goes to the old address after a self-made change (B25); 0 = not at all.
    pub email_change_hold_hours: u32,
    /// For how many days deleted users are kept; 0 = not at all.
    pub deleted_user_days: u32,
    /// For how many days events are kept; 0 = for ever.
    pub event_days: u32,
    /// The longest request body with very many entries, in bytes.
    pub body_limit: usize,
    /// What all request bodies together may take, in bytes.
    pub body_memory: usize,
    /// Threads that serve requests.
    pub worker_threads: usize,
    /// Whether answers carry `isAdmin` as a string (B4).
    pub is_admin_as_string: bool,
    /// Whether partner admins have every permission on every object without any group.
    pub admins_have_all_permissions: bool,
    /// Which permissions there are to give.
    pub permission_catalogue: Catalogue,
    /// What is logged: a level, or levels by module, good for `tracing_subscriber::EnvFilter`.
    pub log: String,
    /// How log lines look.
    pub log_format: LogFormat,
    /// The file that is logged to; standard error when absent.
    pub log_file: Option<PathBuf>,
    /// Each setting with its value as people may see it and where it came from, in the order of the documentation.
    pub origins: Vec<Setting>,
}

impl Config {
    /// Puts the configuration together, or tells everything that is wrong with it at once.
    ///
    /// `flags` are pairs of a setting's name and its text; `env` is the whole environment, of which only variables
    /// beginning with `TENANTRY_` are looked at; `read_file` is asked once for the text of the configuration file.
    pub fn load(
        flags: impl IntoIterator<Item = (String, String)>,
        env: impl IntoIterator<Item = (String, String)>,
        read_file: impl FnOnce(&Path) -> io::Result<String>,
    ) -> Result<Self, Vec<ConfigFault>> {
        let mut reader = Reader::new(flags, env);
        let config = Self::read(&mut reader, read_file);
        reader.refuse_the_rest();
        if reader.faults.is_empty() {
            Ok(Self { origins: reader.settings, ..config })
        } else {
            Err(reader.faults)
        }
    }

    /// The defaults, with the data in `data_dir` and a free port of the loopback: for tests. Fields may be set
    /// afterwards; `origins` then still tells of the defaults.
    pub fn for_tests(data_dir: &Path) -> Self {
        let mut config = Self::defaults();
        config.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        config.public_url = derived_public_url(config.listen);
        config.data_dir = data_dir.to_owned();
        config.database_url = DatabaseUrl::default_in(data_dir);
        config
    }

    /// What is in force where nobody says anything.
    fn defaults() -> Self {
        let mut reader = Reader::default();
        let config = Self::read(&mut reader, |_| Err(io::ErrorKind::NotFound.into()));
        Self { origins: reader.settings, ..config }
    }

    /// THE list of settings, in the order in which people see them.
    fn read(s: &mut Reader, read_file: impl FnOnce(&Path) -> io::Result<String>) -> Self {
        const TEN_YEARS: u32 = 10 * 365 * 86_400; // in seconds
        let file = read_lines(s, read_file);
        let listen = s.value(
            "listen",
            "ADDRESS:PORT",
            SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            values::listen,
            "Where the server listens",
        );
        let data_dir = s.value(
            "data-dir",
            "DIR",
            PathBuf::from("./tenantry-data"),
            values::path,
            "Where the data stands: database, lock, control socket, mails",
        );
        Self {
            file,
            database_url: s.value(
                "database-url",
                "URL",
                DatabaseUrl::default_in(&data_dir),
                values::database_url,
                "The database: sqlite: and a path, absolute or relative to the working directory, or \
                postgres://user:password@host/database; unless given, tenantry.db in the data directory. Better given \
                as a variable when it holds a password",
            ),
            database_pool_size: s.value(
                "database-pool-size",
                "COUNT",
                16,
                values::number(2..=1_000, "connections"),
                "Connections to PostgreSQL at most, beside one for notifications",
            ),
            database_wait_ms: s.value(
                "database-wait-ms",
                "MILLISECONDS",
                3_000,
                values::number(1..=60_000, "milliseconds"),
                "How long a request waits for a free connection to PostgreSQL before it is answered 503",
            ),
            database_timeout_seconds: s.value(
                "database-timeout-seconds",
                "SECONDS",
                10,
                values::number(1..=3_600, "seconds"),
                "How long one statement may take on PostgreSQL",
            ),
            database_ca_file: s.optional(
                "database-ca-file",
                "FILE",
                values::path,
                "Certificates (PEM) of the authorities that vouch for the PostgreSQL server; unless given, the public \
                ones",
            ),
            may_migrate: true,
            admin_username: s.value(
                "admin-username",
                "NAME",
                "admin".into(),
                values::username,
                "The admin that the first start makes",
            ),
            admin_password: s.optional(
                "admin-password",
                "PASSWORD",
                values::secret,
                "That admin's permanent password; unless given, one is generated and printed once. Better \
                given as a variable: other people of this machine can see flags",
            ),
            admin_email: s.value(
                "admin-email",
                "ADDRESS",
                "admin@localhost".into(),
                values::email,
                "That admin's e-mail address",
            ),
            admin_first_name: s.value(
                "admin-first-name",
                "NAME",
                "Admin".into(),
                values::name,
                "That admin's first name",
            ),
            admin_last_name: s.value(
                "admin-last-name",
                "NAME",
                "Admin".into(),
                values::name,
                "That admin's last name",
            ),
            public_url: s.value(
                "public-url",
                "URL",
                derived_public_url(listen),
                values::public_url,
                "How people reach the server; unless given, http:// and where it listens",
            ),
            smtp_url: s.optional(
                "smtp-url",
                "URL",
                values::smtp_url,
                "The mail server: smtps://user:password@host, or smtp://host:25; unless given, each mail is a \
                file in the data directory. Better given as a variable when it holds a password",
            ),
            mail_from: s.value(
                "mail-from",
                "SENDER",
                // Known to be good: a test reads it back.
                Mailbox::new(Some("Tenantry".into()), Address::new_dangerous("no-reply", "localhost")),
                values::mailbox,
                "The sender of mails: an address, or a name and an address",
            ),
            access_token_seconds: s.value(
                "access-token-seconds",
                "SECONDS",
                21_600,
                values::number(1..=TEN_YEARS, "seconds"),
                "How long an access token lives",
            ),
            refresh_token_seconds: s.value(
                "refresh-token-seconds",
                "SECONDS",
                2_592_000,
                values::number(1..=TEN_YEARS, "seconds"),
                "How long a refresh token lives",
            ),
            temporary_password_seconds: s.value(
                "temporary-password-seconds",
                "SECONDS",
                86_400,
                values::number(1..=TEN_YEARS, "seconds"),
                "How long a temporary password lives",
            ),
            password_expiry_days: s.value(
                "password-expiry-days",
                "DAYS",
                0,
                values::number(0..=36_500, "days"),
                "How long a permanent password lives; 0 is for ever",
            ),
            lockout_threshold: s.value(
                "lockout-threshold",
                "COUNT",
                5,
                values::number(1..=1_000, "failures"),
                "How many failed logins in a row lock an account",
            ),
            login_failures_per_address: s.value(
                "login-failures-per-address",
                "COUNT",
                100,
                values::number(1..=1_000_000, "failures"),
                "How many failed logins one address has in 5 minutes",
            ),
            forgot_password_per_address: s.value(
                "forgot-password-per-address",
                "COUNT",
                20,
                values::number(1..=1_000_000, "requests"),
                "How many forgotten passwords one address may ask for in 5 minutes",
            ),
            trusted_proxies: s.value(
                "trusted-proxies",
                "ADDRESSES",
                Vec::new(),
                values::networks,
                "Proxies that may say for whom they speak: addresses and networks, separated by commas",
            ),
            metrics_allow: s.value(
                "metrics-allow",
                "ADDRESSES",
                Vec::new(),
                values::networks,
                "Who may read /metrics where the API is served: addresses and networks of peers, separated by commas; \
                unless given, nobody. A proxy named here hands them to everybody",
            ),
            metrics_listen: s.optional(
                "metrics-listen",
                "ADDRESS:PORT",
                values::listen_locally,
                "Where /metrics is served to whoever gets there: address and port, or a port of this machine only; \
                unless given, nowhere",
            ),
            email_change_hold_hours: s.value(
                "email-change-hold-hours",
                "HOURS",
                24,
                values::number(0..=8_760, "hours"),
                "How long password mail goes to the old address after a user changed it; 0 is not at all",
            ),
            deleted_user_days: s.value(
                "deleted-user-days",
                "DAYS",
                30,
                values::number(0..=36_500, "days"),
                "How long deleted users can be restored; 0 erases them at once",
            ),
            event_days: s.value(
                "event-days",
                "DAYS",
                0,
                values::number(0..=36_500, "days"),
                "How long events are kept; 0 is for ever",
            ),
            body_limit: s.value(
                "body-limit",
                "SIZE",
                8 << 20,
                values::size,
                "The longest request body of an operation with very many entries: bytes, or such as 512KiB, 8MiB; others \
                have bounds of their own, which this can only lower",
            ),
            body_memory: s.value(
                "body-memory",
                "SIZE",
                256 << 20,
                values::memory,
                "What all request bodies together may take while they are received: bytes, or such as 64MiB, 1GiB",
            ),
            worker_threads: s.value(
                "worker-threads",
                "COUNT",
                std::thread::available_parallelism().map_or(1, usize::from),
                values::threads,
                "Threads that serve requests; unless given, one per core",
            ),
            is_admin_as_string: s.value(
                "is-admin-as-string",
                "BOOL",
                false,
                values::switch,
                "Answer isAdmin as \"true\" and \"false\" in quotes, for clients that insist",
            ),
            admins_have_all_permissions: s.value(
                "admins-have-all-permissions",
                "BOOL",
                false,
                values::switch,
                "Partner admins may do everything with every object, also without a group that gives it",
            ),
            permission_catalogue: s.value(
                "permission-catalogue",
                "JSON",
                Catalogue::default(),
                values::catalogue,
                "Object types with their permissions and wildcards; unless given, those of the contract: a table of the \
                configuration file, or JSON; docs/PERMISSIONS.md shows one",
            ),
            log: s.value(
                "log",
                "LEVEL",
                "info".into(),
                values::log,
                "What is logged: error, warn, info, debug or trace, or levels by module",
            ),
            log_format: s.value(
                "log-format",
                "FORMAT",
                LogFormat::Text,
                values::log_format,
                "How log lines look: text or json",
            ),
            log_file: s.optional(
                "log-file",
                "FILE",
                values::path,
                "The file that log lines are appended to, opened again on SIGHUP; unless given, standard error",
            ),
            listen,
            data_dir,
            origins: Vec::new(),
        }
    }

    /// The file of an SQLite database; none for another database.
    pub fn sqlite_file(&self) -> Option<&Path> {
        match &self.database_url {
            DatabaseUrl::Sqlite(path) => Some(path),
            DatabaseUrl::Postgres(_) => None,
        }
    }

    /// Where the value of the setting called `name` came from.
    pub fn origin(&self, name: &str) -> Option<&Origin> {
        self.origins.iter().find(|s| s.name == name).map(|s| &s.origin)
    }

    /// Tells the configuration where the server really listens (the port may have been 0): a public address that
    /// nobody gave follows.
    pub fn listening_on(&mut self, address: SocketAddr) {
        self.listen = address;
        if self.origin("public-url") == Some(&Origin::Default) {
            self.public_url = derived_public_url(address);
        }
    }

    /// What is in force and where each value came from, secrets redacted: as JSON, or as lines that are TOML.
    pub fn render(&self, as_json: bool) -> String {
        if as_json {
            let entry =
                |s: &Setting| (s.name.to_owned(), json!({ "value": s.value, "from": s.origin.to_string() }));
            let all: serde_json::Map<String, Value> = self.origins.iter().map(entry).collect();
            return format!("{:#}\n", Value::Object(all));
        }
        let lines: Vec<(String, &Origin)> = self.origins.iter().map(|s| (line(s), &s.origin)).collect();
        let width = lines.iter().map(|(line, _)| line.chars().count()).max().unwrap_or_default().min(60);
        lines.iter().map(|(line, origin)| format!("{line:width$}  # {origin}\n")).collect()
    }
}

/// A database that a command's own flag names.
///
/// # Errors
/// What is wrong with it; the value is not quoted, since it may hold a password.
pub fn database_of_flag(name: &str, text: &str) -> Result<DatabaseUrl, ConfigFault> {
    values::database_url(text).map_err(|what| ConfigFault {
        setting: name.to_owned(),
        value: None,
        origin: Origin::Flag(name.to_owned()),
        what,
    })
}

/// Every setting with its default, for the flags and their help.
pub fn settings() -> Vec<Setting> {
    Config::defaults().origins
}

/// Finds the configuration file and hands its lines to the reader. Gives its name when there is one.
fn read_lines(s: &mut Reader, read_file: impl FnOnce(&Path) -> io::Result<String>) -> Option<PathBuf> {
    let named = s.optional(
        "config",
        "FILE",
        values::path,
        "The configuration file; unless given, tenantry.toml in the working directory, if it is there",
    );
    let path = named.clone().unwrap_or_else(|| PathBuf::from(FILE));
    let shown = path.display().to_string();
    match read_file(&path) {
        Ok(text) => s.add_file(shown.clone(), &text),
        Err(e) if named.is_none() && e.kind() == io::ErrorKind::NotFound => return None,
        Err(e) => {
            let origin = s.settings.last().map_or(Origin::Default, |setting| setting.origin.clone());
            let what = format!("cannot be read: {e}");
            s.faults.push(ConfigFault { setting: "config".into(), value: Some(shown), origin, what });
            return None;
        }
    }
    if let Some(setting) = s.settings.last_mut() {
        setting.value = Value::from(shown);
    }
    Some(path)
}

/// One setting as a line of TOML. What has no value or cannot stand in a file is a comment, and so is what is
/// redacted: somebody will make a file of this, and the password must not become `***`.
fn line(setting: &Setting) -> String {
    let name = setting.name;
    match &setting.value {
        Value::Null => format!("# {name} is not set"),
        _ if name == "config" => format!("# {name}: {}", setting.value.as_str().unwrap_or_default()),
        value => {
            let value = toml::Value::try_from(value).map_or_else(|_| value.to_string(), |v| v.to_string());
            let comment = if value.contains(values::REDACTED) { "# " } else { "" };
            format!("{comment}{name} = {value}")
        }
    }
}

/// The address that reaches a server listening here from this machine: nobody can go to 0.0.0.0.
fn derived_public_url(listen: SocketAddr) -> String {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, listen.port()))
}
