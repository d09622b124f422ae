//! Reads flags, environment and configuration file. Nothing else does.
//!
//! A setting has one name everywhere: `--data-dir`, `TENANTRY_DATA_DIR`, `data-dir = "..."` in `tenantry.toml`.
//! Precedence is flag, variable, file, default. A setting that holds a secret can also be in a file of its own, which
//! the setting with `-file` at the end of its name gives; both have the same precedence. To add a setting, add a field of `Config` and its entry in
//! `Config::read`, with its name, default, parser and description. Flag, help, checks and `tenantry config` follow from
//! that entry.

mod file;
mod reader;
#[cfg(test)]
mod secret_tests;
#[cfg(test)]
mod tests;
mod values;

use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use lettre::Address;
use lettre::message::Mailbox;
use serde_json::{Value, json};

use file::{line, read_lines};
pub use reader::{ConfigError, Origin, Setting};
use reader::{Reader, secret_name};
use tenantry_core::account_policy::{PasswordPolicy, SecondFactorPolicy};
use tenantry_core::catalogue::Catalogue;
use tenantry_domain::sealer::MasterKey;
use tenantry_http::cors::CorsOrigins;
use tenantry_http::forwarded::ForwardedHeader;
pub use values::{ControlSocket, DatabaseUrl, LogFormat, Secret, SecretUrl};

/// The configuration of a process. `Debug` redacts secrets.
#[derive(Debug, Clone)]
pub struct Config {
    /// The configuration file that was read.
    pub file: Option<PathBuf>,
    /// Where the server listens.
    pub listen: SocketAddr,
    /// The directory of database, lock, control socket and mails.
    pub data_dir: PathBuf,
    /// The socket for commands; `control.sock` in the data directory if absent.
    pub control_socket: Option<ControlSocket>,
    /// The database.
    pub database_url: DatabaseUrl,
    /// Maximum number of connections to PostgreSQL, plus one for notifications.
    pub database_pool_size: u32,
    /// How long a request waits for a connection, in milliseconds.
    pub database_wait_ms: u32,
    /// Statement timeout on PostgreSQL, in seconds.
    pub database_timeout_seconds: u32,
    /// CA certificates (PEM) for the PostgreSQL server; the public CAs if absent.
    pub database_ca_file: Option<PathBuf>,
    /// Whether opening a PostgreSQL database may change its schema (`serve --no-migrate` and other commands: no).
    pub may_migrate: bool,
    /// The master key; on SQLite that of the data directory if absent.
    pub master_key: Option<MasterKey>,
    /// Whether a new master key may take the place of a lost one (`key reset`).
    pub may_replace_master_key: bool,
    /// The first partner's admin.
    pub admin_username: String,
    /// The admin's permanent password; generated if absent. Not yet checked against the password rules.
    pub admin_password: Option<Secret>,
    /// The admin's e-mail address.
    pub admin_email: String,
    /// The admin's given name.
    pub admin_first_name: String,
    /// The admin's family name.
    pub admin_last_name: String,
    /// The public base URL, without a trailing slash.
    pub public_url: String,
    /// The product's own sign-in page, to which mails lead; this server's if absent.
    pub sign_in_url: Option<String>,
    /// The SMTP server; mails are written to files if absent.
    pub smtp_url: Option<SecretUrl>,
    /// CA certificates (PEM) for the SMTP server; the public CAs if absent.
    pub smtp_ca_file: Option<PathBuf>,
    /// The name in EHLO; the host of the public URL if absent.
    pub smtp_helo: Option<String>,
    /// A file with the access token of the user of `smtp_url`.
    pub smtp_oauth_token_file: Option<PathBuf>,
    /// A command that prints this token.
    pub smtp_oauth_token_command: Option<String>,
    /// The sender of mails.
    pub mail_from: Mailbox,
    /// Lifetime of access tokens, in seconds.
    pub access_token_seconds: u32,
    /// Lifetime of refresh tokens, in seconds.
    pub refresh_token_seconds: u32,
    /// How long the refresh token before the newest one returns the newest one again, in seconds; 0 = not at all.
    pub refresh_reuse_seconds: u32,
    /// Lifetime of temporary passwords, in seconds.
    pub temporary_password_seconds: u32,
    /// Lifetime of permanent passwords, in days; 0 = no expiry.
    pub password_expiry_days: u32,
    /// Failed logins in a row that lock an account (B23).
    pub lockout_threshold: u32,
    /// Maximum number of failed logins per address in 5 minutes.
    pub login_failures_per_address: u32,
    /// Maximum number of forgotten-password requests per address in 5 minutes.
    pub forgot_password_per_address: u32,
    /// Maximum number of requests of pages per minute and client address, of browsers without a session; 0 = no limit.
    pub page_requests_per_address: u32,
    /// Proxies whose `X-Forwarded-For`, `Forwarded` and `X-Forwarded-Prefix` are trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// The header of trusted proxies that names the client.
    pub forwarded_header: ForwardedHeader,
    /// The origins whose scripts may use the API in a browser.
    pub cors_origins: CorsOrigins,
    /// Clients that may read the metrics on the API's listener.
    pub metrics_allow: Vec<IpNet>,
    /// A separate listener of the metrics, without access control.
    pub metrics_listen: Option<SocketAddr>,
    /// Who needs a second factor at least.
    pub second_factor: SecondFactorPolicy,
    /// How many days a device is remembered on which a second factor was given; 0 = not at all.
    pub remember_device_days: u32,
    /// The rules of passwords of partners that have not chosen others.
    pub password_policy: PasswordPolicy,
    /// How many hours password mail goes to the old address after a self-service change (B25); 0 = not at all.
    pub email_change_hold_hours: u32,
    /// How many days deleted users are kept; 0 = not at all.
    pub deleted_user_days: u32,
    /// How many days events are kept; 0 = forever.
    pub event_days: u32,
    /// Maximum size of request bodies with many entries, in bytes.
    pub body_limit: usize,
    /// Memory for all request bodies together, in bytes.
    pub body_memory: usize,
    /// Threads that serve requests.
    pub worker_threads: usize,
    /// Whether responses have `isAdmin` as a string (B4).
    pub is_admin_as_string: bool,
    /// Whether partner admins have all permissions on all objects.
    pub admins_have_all_permissions: bool,
    /// The permission catalogue.
    pub permission_catalogue: Catalogue,
    /// Log level, or levels by module, valid for `tracing_subscriber::EnvFilter`.
    pub log: String,
    /// Format of log lines.
    pub log_format: LogFormat,
    /// The log file; standard error if absent.
    pub log_file: Option<PathBuf>,
    /// Each setting with its redacted value and its origin, in the order of the documentation.
    pub origins: Vec<Setting>,
}

impl Config {
    /// Loads the configuration, or returns all its errors at once.
    ///
    /// `flags` are pairs of a setting's name and its text; `env` is the whole environment, of which only variables that
    /// begin with `TENANTRY_` are used; `open` opens the configuration file and files with secrets.
    pub fn load(
        flags: impl IntoIterator<Item = (String, String)>,
        env: impl IntoIterator<Item = (String, String)>,
        open: impl Fn(&Path) -> io::Result<Box<dyn Read>>,
    ) -> Result<Self, Vec<ConfigError>> {
        let mut reader = Reader::new(flags, env, &open);
        let config = Self::read(&mut reader);
        reader.refuse_the_rest();
        if reader.errors.is_empty() {
            Ok(Self { origins: reader.settings, ..config })
        } else {
            Err(reader.errors)
        }
    }

    /// The defaults, with the data in `data_dir` and a free loopback port: for tests. Fields can be changed afterwards;
    /// `origins` then still has the defaults.
    pub fn for_tests(data_dir: &Path) -> Self {
        let mut config = Self::defaults();
        config.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        config.public_url = derived_public_url(config.listen);
        config.data_dir = data_dir.to_owned();
        config.database_url = DatabaseUrl::default_in(data_dir);
        config
    }

    /// The defaults.
    fn defaults() -> Self {
        let mut reader = Reader::new([], [], &|_| Err(io::ErrorKind::NotFound.into()));
        let config = Self::read(&mut reader);
        Self { origins: reader.settings, ..config }
    }

    /// All settings, in the order of the help.
    fn read(s: &mut Reader<'_>) -> Self {
        const TEN_YEARS: u32 = 10 * 365 * 86_400; // in seconds
        let file = read_lines(s);
        let listen = s.value(
            "listen",
            "ADDRESS:PORT",
            SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            values::listen,
            "Address and port to listen on",
        );
        let data_dir = s.value(
            "data-dir",
            "DIR",
            PathBuf::from("./tenantry-data"),
            values::path,
            "Directory of the database, lock, control socket and mails",
        );
        Self {
            file,
            control_socket: s.optional(
                "control-socket",
                "FILE",
                values::control_socket,
                "Socket for commands to the running server, or none [default: control.sock in the data directory]",
            ),
            database_url: s.secret(
                secret_name!("database-url"),
                "URL",
                DatabaseUrl::default_in(&data_dir),
                values::database_url,
                "Database: sqlite: and a path, absolute or relative to the working directory, or \
                postgres://user:password@host/database; by default tenantry.db in the data directory. Set it as a \
                variable or in a file if it contains a password",
            ),
            database_pool_size: s.value(
                "database-pool-size",
                "COUNT",
                16,
                values::number(2..=1_000, "connections"),
                "Maximum number of connections to PostgreSQL, plus one for notifications",
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
                "Statement timeout on PostgreSQL",
            ),
            database_ca_file: s.optional(
                "database-ca-file",
                "FILE",
                values::path,
                "CA certificates (PEM) to verify the PostgreSQL server with [default: the public CAs]",
            ),
            may_migrate: true,
            master_key: s.optional_secret(
                secret_name!("master-key"),
                "KEY",
                values::master_key,
                "Key of 32 bytes, in base64 or hex, that seals keys in the database, the same on every server of a database \
                [default: on SQLite master.key in the data directory, made at the first start; on PostgreSQL keys stand \
                unsealed]. Set it in a file",
            ),
            may_replace_master_key: false,
            admin_username: s.value(
                "admin-username",
                "NAME",
                "admin".into(),
                values::username,
                "Username of the admin created at the first start",
            ),
            admin_password: s.optional_secret(
                secret_name!("admin-password"),
                "PASSWORD",
                values::secret,
                "That admin's permanent password [default: generated and printed once]. Set it as a variable or in \
                a file: other users of this machine can see flags",
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
                "Public base URL; by default http://localhost and the port of listen, or the address if that is not this machine alone \
                or all of its addresses",
            ),
            sign_in_url: s.optional(
                "sign-in-url",
                "URL",
                values::page_url,
                "Sign-in page of your product, to which mails lead [default: /sign-in under public-url]",
            ),
            smtp_url: s.optional_secret(
                secret_name!("smtp-url"),
                "URL",
                values::smtp_url,
                "SMTP server: smtps://user:password@host, or smtp://host:25 [default: each mail is written to a file in the \
                data directory]. Set it as a variable or in a file if it contains a password",
            ),
            smtp_ca_file: s.optional(
                "smtp-ca-file",
                "FILE",
                values::path,
                "CA certificates (PEM) to verify the SMTP server with [default: the public CAs]",
            ),
            smtp_helo: s.optional(
                "smtp-helo",
                "NAME",
                values::helo,
                "Name of this machine in EHLO [default: the host of public-url]",
            ),
            smtp_oauth_token_file: s.optional(
                "smtp-oauth-token-file",
                "FILE",
                values::path,
                "File with an OAuth access token for the user in smtp-url, read for each connection, in place of a password",
            ),
            smtp_oauth_token_command: s.optional(
                "smtp-oauth-token-command",
                "COMMAND",
                values::command,
                "Command line for /bin/sh that prints this token, run for each connection",
            ),
            mail_from: s.value(
                "mail-from",
                "SENDER",
                // Known to be valid: a test parses it.
                Mailbox::new(Some("Tenantry".into()), Address::new_dangerous("no-reply", "localhost")),
                values::mailbox,
                "Sender of mails: an address, or a name and an address",
            ),
            access_token_seconds: s.value(
                "access-token-seconds",
                "SECONDS",
                21_600,
                values::number(1..=TEN_YEARS, "seconds"),
                "Lifetime of access tokens",
            ),
            refresh_token_seconds: s.value(
                "refresh-token-seconds",
                "SECONDS",
                2_592_000,
                values::number(1..=TEN_YEARS, "seconds"),
                "Lifetime of refresh tokens",
            ),
            refresh_reuse_seconds: s.value(
                "refresh-reuse-seconds",
                "SECONDS",
                10,
                values::number(0..=300, "seconds"),
                "How long a refresh token that was just used returns the same new one again, for clients that refresh twice \
                at once or lose a response; 0 means not at all",
            ),
            temporary_password_seconds: s.value(
                "temporary-password-seconds",
                "SECONDS",
                86_400,
                values::number(1..=TEN_YEARS, "seconds"),
                "Lifetime of temporary passwords",
            ),
            password_expiry_days: s.value(
                "password-expiry-days",
                "DAYS",
                0,
                values::number(0..=36_500, "days"),
                "Lifetime of permanent passwords; 0 means no expiry",
            ),
            lockout_threshold: s.value(
                "lockout-threshold",
                "COUNT",
                5,
                values::number(1..=1_000, "failures"),
                "Number of failed logins in a row that lock an account",
            ),
            login_failures_per_address: s.value(
                "login-failures-per-address",
                "COUNT",
                100,
                values::number(1..=1_000_000, "failures"),
                "Maximum number of failed logins per address in 5 minutes",
            ),
            forgot_password_per_address: s.value(
                "forgot-password-per-address",
                "COUNT",
                20,
                values::number(1..=1_000_000, "requests"),
                "Maximum number of forgotten-password requests per address in 5 minutes",
            ),
            page_requests_per_address: s.value(
                "page-requests-per-address",
                "COUNT",
                6_000,
                values::number(0..=100_000_000, "requests"),
                "Maximum number of requests of pages per address in a minute, without a sign-in; 0 for no limit",
            ),
            trusted_proxies: s.value(
                "trusted-proxies",
                "ADDRESSES",
                Vec::new(),
                values::networks,
                "Proxies whose X-Forwarded-For, Forwarded and X-Forwarded-Prefix are trusted: addresses and networks, \
                separated by commas",
            ),
            forwarded_header: s.value(
                "forwarded-header",
                "HEADER",
                ForwardedHeader::Auto,
                values::forwarded_header,
                "Header of trusted proxies that names the client: x-forwarded-for, forwarded (RFC 7239), or auto, which \
                reads Forwarded only if there is no X-Forwarded-For",
            ),
            cors_origins: s.value(
                "cors-origins",
                "ORIGINS",
                CorsOrigins::None,
                values::cors_origins,
                "Origins whose scripts may use the API in a browser (CORS), such as https://app.example.com, separated by \
                commas; or * for any, without cookies",
            ),
            metrics_allow: s.value(
                "metrics-allow",
                "ADDRESSES",
                Vec::new(),
                values::networks,
                "Clients that may read /metrics on the API's listener: addresses and networks, separated by commas. \
                Listing a proxy exposes the metrics to everybody",
            ),
            metrics_listen: s.optional(
                "metrics-listen",
                "ADDRESS:PORT",
                values::listen_locally,
                "Separate listener for /metrics without access control: address and port, or a port on loopback \
                [default: none]",
            ),
            second_factor: s.value(
                "second-factor",
                "WHO",
                SecondFactorPolicy::Optional,
                values::second_factor,
                "Who needs a second factor at least, whatever a partner requires: off, optional, admins or everybody",
            ),
            remember_device_days: s.value(
                "remember-device-days",
                "DAYS",
                30,
                values::number(0..=3_650, "days"),
                "How long users can have no second factor asked for on a device again; 0 means not at all",
            ),
            password_policy: s.value(
                "password-policy",
                "RULES",
                PasswordPolicy::Contract,
                values::password_policy,
                "Rules of passwords, unless a partner chooses others: contract, or nist (15 to 128 characters of any script)",
            ),
            email_change_hold_hours: s.value(
                "email-change-hold-hours",
                "HOURS",
                24,
                values::number(0..=8_760, "hours"),
                "How long password mail goes to the old address after a user changed it; 0 means not at all",
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
                "How long events are kept; 0 means forever",
            ),
            body_limit: s.value(
                "body-limit",
                "SIZE",
                8 << 20,
                values::size,
                "Maximum request body of operations with many entries, in bytes or like 512KiB, 8MiB; other operations have \
                lower limits",
            ),
            body_memory: s.value(
                "body-memory",
                "SIZE",
                256 << 20,
                values::memory,
                "Memory for all request bodies while they are received, in bytes or like 64MiB, 1GiB",
            ),
            worker_threads: s.value(
                "worker-threads",
                "COUNT",
                std::thread::available_parallelism().map_or(1, usize::from),
                values::threads,
                "Threads that serve requests; by default one per core",
            ),
            is_admin_as_string: s.value(
                "is-admin-as-string",
                "BOOL",
                false,
                values::switch,
                "Send isAdmin as the strings \"true\" and \"false\", for clients that require it",
            ),
            admins_have_all_permissions: s.value(
                "admins-have-all-permissions",
                "BOOL",
                false,
                values::switch,
                "Give partner admins all permissions on all objects",
            ),
            permission_catalogue: s.value(
                "permission-catalogue",
                "JSON",
                Catalogue::default(),
                values::catalogue,
                "Object types with their permissions and wildcards: a table of the configuration file, or JSON (see \
                docs/PERMISSIONS.md) [default: the catalogue of the User Management API]",
            ),
            log: s.value(
                "log",
                "LEVEL",
                "info".into(),
                values::log,
                "Log level: error, warn, info, debug or trace, or levels by module",
            ),
            log_format: s.value(
                "log-format",
                "FORMAT",
                LogFormat::Text,
                values::log_format,
                "Format of log lines: text or json",
            ),
            log_file: s.optional(
                "log-file",
                "FILE",
                values::path,
                "File to append log lines to, reopened on SIGHUP [default: standard error]",
            ),
            listen,
            data_dir,
            origins: Vec::new(),
        }
    }

    /// The file of an SQLite database; `None` for PostgreSQL.
    pub fn sqlite_file(&self) -> Option<&Path> {
        match &self.database_url {
            DatabaseUrl::Sqlite(path) => Some(path),
            DatabaseUrl::Postgres(_) => None,
        }
    }

    /// Where the server listens for commands and commands look for the server; `None` if it does not.
    pub fn control_socket_path(&self) -> Option<PathBuf> {
        match &self.control_socket {
            None => Some(self.data_dir.join("control.sock")),
            Some(ControlSocket::At(path)) => Some(path.clone()),
            Some(ControlSocket::Off) => None,
        }
    }

    /// The origin of the value of the setting `name`.
    pub fn origin(&self, name: &str) -> Option<&Origin> {
        self.origins.iter().find(|s| s.name == name).map(|s| &s.origin)
    }

    /// Records the actual listen address (the port may have been 0). A public URL that was not set follows it.
    pub fn listening_on(&mut self, address: SocketAddr) {
        self.listen = address;
        if self.origin("public-url") == Some(&Origin::Default) {
            self.public_url = derived_public_url(address);
        }
    }

    /// The values in force and their origins, with secrets redacted: as JSON, or as lines of TOML.
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

/// Parses a database URL of a command's own flag.
///
/// # Errors
/// What is wrong with it; the value is not quoted, since it may contain a password.
pub fn database_of_flag(name: &str, text: &str) -> Result<DatabaseUrl, ConfigError> {
    values::database_url(text).map_err(|what| ConfigError {
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

/// A URL that reaches this server from this machine. Its host is a name if possible: passkeys refuse IP addresses.
fn derived_public_url(listen: SocketAddr) -> String {
    let ip = listen.ip();
    let is_here = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)].contains(&ip);
    if is_here || ip.is_unspecified() {
        format!("http://localhost:{}", listen.port())
    } else {
        format!("http://{listen}")
    }
}

/// The address at which this machine reaches a listener: 0.0.0.0 is not a destination.
pub fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
