//! The URL of a PostgreSQL database, as libpq reads it (PostgreSQL's documentation, "Connection URIs"), but strict: the
//! driver's own parser looks for the host behind the first `@`, so it would ask the DNS for the rest of a password with an
//! unescaped one. Errors quote nothing that may be part of a password.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, Host, LoadBalanceHosts, TargetSessionAttrs};

/// What to do about characters with a meaning in URLs.
const ESCAPE: &str =
    "in user and password write @ as %40, : as %3A, / as %2F, ? as %3F, # as %23, & as %26 and % as %25";

const FORM: &str = "use postgres://user:password@host:port/database, several hosts separated by commas";

/// How long a connection may be silent before the kernel asks whether the server is still there.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// The parameters that a URL may have.
const PARAMETERS: [&str; 24] = [
    "application_name",
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "dbname",
    "fallback_application_name",
    "gssencmode",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "load_balance_hosts",
    "options",
    "password",
    "port",
    "sslmode",
    "sslrootcert",
    "sslsni",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

/// The parameter `sslmode`. libpq's `require` does not verify the certificate unless there is a root certificate; here it
/// is always verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TlsMode {
    Disable,
    /// If the server has TLS.
    Prefer,
    /// `require` and `verify-full`.
    Full,
    /// `verify-ca`: the certificate may be for another name.
    Chain,
}

/// The parameter `sslrootcert`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RootCert {
    /// `system`: the public authorities.
    Public,
    File(PathBuf),
}

/// A parsed URL.
#[derive(Debug)]
pub(super) struct PostgresUrl {
    pub(super) config: Config,
    pub(super) tls: Option<TlsMode>,
    pub(super) root_cert: Option<RootCert>,
}

/// Whether this is the URL of a PostgreSQL database.
///
/// # Errors
/// What is wrong and how to fix it, continuing a sentence that begins with the name of the setting.
pub fn check(url: &str) -> Result<(), String> {
    PostgresUrl::parse(url).map(drop)
}

impl PostgresUrl {
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"));
        let Some(rest) = rest else {
            return Err(format!("has no // after its scheme: {FORM}"));
        };
        refuse_unescaped(rest)?;
        let (credentials, place) = match rest.split_once('@') {
            Some((credentials, place)) => (Some(credentials), place),
            None => (None, rest),
        };
        let (place, query) = place.split_once('?').unwrap_or((place, ""));
        let (authority, database) = place.split_once('/').unwrap_or((place, ""));
        if database.contains('/') {
            return Err(format!("has more than one / after its host: {FORM}; {ESCAPE}"));
        }
        let mut parts = Parts::default();
        parts.config.keepalives_idle(KEEPALIVE);
        if let Some(credentials) = credentials {
            parts.credentials(credentials)?;
        }
        parts.authority(authority)?;
        if !database.is_empty() {
            parts.database = Some(decode(database, "database")?);
        }
        for (name, value) in parameters(query)? {
            parts.parameter(name, &decode(value, name)?)?;
        }
        parts.finish()
    }
}

/// Refuses what would move the boundary between password and host.
fn refuse_unescaped(rest: &str) -> Result<(), String> {
    let first = rest.find(['/', '?']).unwrap_or(rest.len());
    let is_misplaced = rest.find('@').is_some_and(|at| at > first) || rest.matches('@').count() > 1;
    if is_misplaced || rest.contains('#') {
        return Err(format!("contains a character that must be escaped: {ESCAPE}"));
    }
    let is_byte = |rest: &str| rest.get(..2).is_some_and(|pair| pair.bytes().all(|b| b.is_ascii_hexdigit()));
    if !rest.split('%').skip(1).all(is_byte) {
        return Err(format!("contains a % that is not followed by two hexadecimal digits: {ESCAPE}"));
    }
    Ok(())
}

fn decode(text: &str, what: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    match decoded {
        Ok(text) if !text.contains('\0') => Ok(text.into_owned()),
        _ => Err(format!("has a {what} that is not percent-encoded UTF-8: {ESCAPE}")),
    }
}

/// Splits the query. Names are only quoted if they cannot be the rest of a password.
fn parameters(query: &str) -> Result<Vec<(&'static str, &str)>, String> {
    let parts: Vec<&str> = query.split('&').filter(|part| !part.is_empty()).collect();
    let has_password = parts.iter().any(|part| part.starts_with("password="));
    let mut found: Vec<(&'static str, &str)> = Vec::new();
    for part in parts {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let Some(known) = PARAMETERS.iter().find(|known| **known == name) else {
            return Err(unknown(name, has_password));
        };
        if !part.contains('=') {
            return Err(format!("has the parameter {known} without a value: write {known}=..."));
        }
        if found.iter().any(|(name, _)| name == known) {
            return Err(format!("has the parameter {known} twice: remove one; {ESCAPE}"));
        }
        found.push((known, value));
    }
    Ok(found)
}

fn unknown(name: &str, has_password: bool) -> String {
    let known = PARAMETERS.join(", ");
    let is_name = !name.is_empty()
        && name.len() <= 40
        && name.bytes().all(|b| b.is_ascii_lowercase() || b"_.".contains(&b));
    if has_password || !is_name {
        return format!("has an unknown parameter: {ESCAPE}; known are {known}");
    }
    let hint = match name {
        "pgbouncer" => {
            "remove it, and connect to PostgreSQL directly or to a pooler in session mode, for which nothing else is needed"
        }
        "schema" | "search_path" | "currentschema" => {
            "for a schema other than public write options=-csearch_path%3DNAME"
        }
        "sslcert" | "sslkey" | "sslpassword" => "client certificates are not supported; remove it",
        "ssl" | "requiressl" | "sslaccept" => "use sslmode=verify-full",
        "connection_limit" | "pool_max_conns" | "pool_size" => "use the setting database-pool-size",
        "pool_timeout" => "use the setting database-wait-ms",
        "statement_timeout" => "use the setting database-timeout-seconds",
        _ => "remove it",
    };
    format!("has the unknown parameter {name}: {hint}; known are {known}")
}

#[derive(Default)]
struct Parts {
    user: Option<String>,
    password: Option<Vec<u8>>,
    hosts: Vec<Host>,
    addresses: Vec<IpAddr>,
    ports: Vec<u16>,
    database: Option<String>,
    tls: Option<TlsMode>,
    root_cert: Option<RootCert>,
    binding: Option<ChannelBinding>,
    /// The rest.
    config: Config,
}

impl Parts {
    fn credentials(&mut self, text: &str) -> Result<(), String> {
        let (user, password) = match text.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (text, None),
        };
        if user.is_empty() {
            return Err(format!("has no user before its @: {FORM}"));
        }
        self.user = Some(decode(user, "user")?);
        if let Some(password) = password.filter(|password| !password.is_empty()) {
            self.password(password)?;
        }
        Ok(())
    }

    /// A password need not be UTF-8, but cannot contain NUL.
    fn password(&mut self, text: &str) -> Result<(), String> {
        let password: Vec<u8> = percent_decode_str(text).collect();
        if password.contains(&0) {
            return Err(format!("has a password with %00, which PostgreSQL cannot have: {ESCAPE}"));
        }
        self.password = Some(password);
        Ok(())
    }

    /// `host:port,host:port`
    fn authority(&mut self, text: &str) -> Result<(), String> {
        if text.is_empty() {
            return Ok(());
        }
        let (mut ports, mut has_port) = (Vec::new(), false);
        for part in text.split(',') {
            let (name, port) = match part.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
                Some((name, "")) => (name, None),
                Some((name, rest)) => (name, Some(rest.strip_prefix(':').unwrap_or("?"))),
                None => match part.split_once(':') {
                    Some((name, port)) => (name, Some(port)),
                    None => (part, None),
                },
            };
            if port.is_some_and(|port| port.contains(':')) {
                return Err(format!("has an IPv6 address without [ ], or a password without a host: {FORM}"));
            }
            self.hosts.push(host(&decode(name, "host")?)?);
            has_port |= port.is_some();
            ports.push(port.map_or(Ok(5432), self::port)?);
        }
        if has_port {
            self.ports = ports;
        }
        Ok(())
    }

    fn parameter(&mut self, name: &'static str, value: &str) -> Result<(), String> {
        let twice = || Err(format!("has the {name} both before and after the ?: remove one"));
        let config = &mut self.config;
        match name {
            "user" if self.user.is_some() => return twice(),
            "user" => self.user = Some(value.to_owned()),
            "password" if self.password.is_some() => return twice(),
            "password" => self.password = Some(value.as_bytes().to_vec()),
            "host" if !self.hosts.is_empty() => return twice(),
            "host" => self.hosts = value.split(',').map(host).collect::<Result<_, _>>()?,
            "port" if !self.ports.is_empty() => return twice(),
            "port" => self.ports = value.split(',').map(port).collect::<Result<_, _>>()?,
            "dbname" if self.database.is_some() => return twice(),
            "dbname" => self.database = Some(value.to_owned()),
            "hostaddr" => {
                let parse = |text: &str| text.parse().map_err(|_| one_of(name, "IP addresses"));
                self.addresses = value.split(',').map(parse).collect::<Result<_, _>>()?;
            }
            "sslmode" => {
                self.tls = Some(match value {
                    "disable" => TlsMode::Disable,
                    "prefer" => TlsMode::Prefer,
                    "require" | "verify-full" => TlsMode::Full,
                    "verify-ca" => TlsMode::Chain,
                    "allow" => {
                        return Err(String::from("has sslmode=allow, which is not supported: use prefer"));
                    }
                    _ => return Err(one_of(name, "disable, prefer, require, verify-ca or verify-full")),
                });
            }
            "sslrootcert" if value.is_empty() => {
                return Err(one_of(name, "the path of a PEM file, or system"));
            }
            "sslrootcert" if value == "system" => self.root_cert = Some(RootCert::Public),
            "sslrootcert" => self.root_cert = Some(RootCert::File(PathBuf::from(value))),
            "channel_binding" => {
                self.binding = Some(match value {
                    "disable" => ChannelBinding::Disable,
                    "prefer" => ChannelBinding::Prefer,
                    "require" => ChannelBinding::Require,
                    _ => return Err(one_of(name, "disable, prefer or require")),
                });
            }
            "target_session_attrs" => drop(config.target_session_attrs(match value {
                "any" => TargetSessionAttrs::Any,
                "read-write" | "primary" => TargetSessionAttrs::ReadWrite,
                _ => return Err(one_of(name, "read-write, primary or any: Tenantry writes")),
            })),
            "load_balance_hosts" => drop(config.load_balance_hosts(match value {
                "disable" => LoadBalanceHosts::Disable,
                "random" => LoadBalanceHosts::Random,
                _ => return Err(one_of(name, "disable or random")),
            })),
            "options" => drop(config.options(value)),
            "connect_timeout" => {
                // As in libpq, 0 means without one.
                if let Some(time) = seconds(name, value)? {
                    config.connect_timeout(time);
                }
            }
            "tcp_user_timeout" => {
                // libpq counts milliseconds here.
                if let Some(time) = seconds(name, value)? {
                    config.tcp_user_timeout((time / 1_000).max(Duration::from_secs(1)));
                }
            }
            "keepalives" => drop(config.keepalives(number(name, value)? != 0)),
            "keepalives_idle" => {
                if let Some(time) = seconds(name, value)? {
                    config.keepalives_idle(time);
                }
            }
            "keepalives_interval" => {
                if let Some(time) = seconds(name, value)? {
                    config.keepalives_interval(time);
                }
            }
            "keepalives_count" | "keepalives_retries" => {
                config.keepalives_retries(number(name, value)?);
            }
            "gssencmode" if !matches!(value, "disable" | "prefer") => {
                return Err(one_of(name, "disable or prefer: GSSAPI is not supported"));
            }
            "client_encoding"
                if !matches!(&*value.to_ascii_lowercase(), "utf8" | "utf-8" | "unicode" | "auto") =>
            {
                return Err(one_of(name, "UTF8"));
            }
            // `application_name` too: servers find each other by the name that Tenantry gives its connections.
            _ => {}
        }
        Ok(())
    }

    fn finish(self) -> Result<PostgresUrl, String> {
        let Self { mut config, hosts, addresses, ports, .. } = self;
        let count = hosts.len().max(addresses.len());
        if count == 0 {
            return Err(format!(
                "has no host: {FORM}, or ?host=/var/run/postgresql for a server of this machine"
            ));
        }
        let sockets = hosts.iter().filter(|host| matches!(host, Host::Unix(_))).count();
        if sockets > 0 && (sockets < count || !addresses.is_empty()) {
            return Err(String::from("mixes sockets and hosts: use one kind"));
        }
        if !hosts.is_empty() && !addresses.is_empty() && hosts.len() != addresses.len() {
            return Err(String::from("must have as many hosts as addresses in hostaddr"));
        }
        if ports.len() > 1 && ports.len() != count {
            return Err(String::from("must have one port, or one for each host"));
        }
        // On a socket the server knows who runs this process: the driver's default is the name of that user.
        if self.user.is_none() && sockets == 0 {
            return Err(format!("has no user: {FORM}"));
        }
        let Some(database) = self.database else {
            return Err(format!("has no database: {FORM}"));
        };
        let tls = if sockets > 0 { Some(TlsMode::Disable) } else { self.tls };
        if hosts.is_empty() && tls != Some(TlsMode::Disable) {
            return Err(String::from(
                "has hostaddr without host, and the certificate is verified by the name: add host=NAME",
            ));
        }
        if tls == Some(TlsMode::Disable) && self.binding == Some(ChannelBinding::Require) {
            return Err(String::from(
                "has channel_binding=require without TLS: remove one of it and sslmode",
            ));
        }
        for host in hosts {
            match host {
                Host::Tcp(name) => config.host(name),
                Host::Unix(path) => config.host_path(path),
            };
        }
        for address in addresses {
            config.hostaddr(address);
        }
        for port in ports {
            config.port(port);
        }
        if let Some(user) = self.user {
            config.user(user);
        }
        if let Some(password) = self.password {
            config.password(password);
        }
        if let Some(binding) = self.binding {
            config.channel_binding(binding);
        }
        config.dbname(database);
        Ok(PostgresUrl { config, tls, root_cert: self.root_cert })
    }
}

fn one_of(name: &str, what: &str) -> String {
    format!("has a wrong value of the parameter {name}: it must be {what}")
}

/// A directory of sockets, or a name or address. Anything else is not passed to the DNS: it may be a piece of a password.
fn host(text: &str) -> Result<Host, String> {
    if text.starts_with('/') {
        return Ok(Host::Unix(PathBuf::from(text)));
    }
    if text.is_empty() {
        return Err(format!("has no host: {FORM}"));
    }
    let is_name = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    if is_name || text.parse::<IpAddr>().is_ok() {
        return Ok(Host::Tcp(text.to_owned()));
    }
    Err(format!("has a host with characters that host names do not have: {ESCAPE}"))
}

fn port(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(port @ 1..) => Ok(port),
        _ if text.is_empty() => Ok(5432),
        _ => Err(format!("has a port that is not a number between 1 and 65535: {ESCAPE}")),
    }
}

fn number(name: &str, value: &str) -> Result<u32, String> {
    value.parse().map_err(|_| one_of(name, "a number"))
}

fn seconds(name: &str, value: &str) -> Result<Option<Duration>, String> {
    let count = number(name, value)?;
    Ok((count > 0).then(|| Duration::from_secs(count.into())))
}

#[cfg(test)]
#[path = "url_tests.rs"]
mod tests;
