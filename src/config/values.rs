//! The types of settings, how each is read from text, and how each is shown.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ipnet::IpNet;
use lettre::Address;
use lettre::message::Mailbox;
use lettre::transport::smtp::SmtpTransport;
use serde_json::Value;

use tenantry_core::catalogue::Catalogue;
pub use tenantry_core::secret::Secret;

/// What stands in place of a secret wherever people look.
pub(super) const REDACTED: &str = "***";

/// An address with a password in it, which its `Display` and `Debug` hide.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(Secret);

impl SecretUrl {
    /// The whole address, with the password.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redact_url(self.expose()))
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Which database holds the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// An SQLite file: absolute, or relative to the working directory.
    Sqlite(PathBuf),
    /// A PostgreSQL database, which several processes may share:
    /// `postgres://user:password@host:port,host:port/database?parameters`.
    Postgres(SecretUrl),
}

impl DatabaseUrl {
    /// The database that a data directory has unless another is named.
    pub(super) fn default_in(data_dir: &Path) -> Self {
        Self::Sqlite(data_dir.join("tenantry.db"))
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => fmt::Display::fmt(url, f),
        }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for machines.
    Json,
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// How a setting is shown: as JSON, without secrets. Whether it is one is decided by its type, so it cannot be
/// forgotten in a table.
pub(super) trait Shown {
    /// Faults must not quote a value of this type, not even one that could not be read.
    const SECRET: bool = false;
    /// The value as people may see it. Its JSON type also says which TOML types the setting takes.
    fn shown(&self) -> Value;
}

macro_rules! shown_as_number {
    ($($type:ty),*) => { $(impl Shown for $type {
        fn shown(&self) -> Value {
            Value::from(*self)
        }
    })* };
}
shown_as_number!(u32, usize, bool);

macro_rules! shown_as_text {
    ($($type:ty),*) => { $(impl Shown for $type {
        fn shown(&self) -> Value {
            Value::from(self.to_string())
        }
    })* };
}
shown_as_text!(String, SocketAddr, LogFormat, Mailbox);

impl Shown for DatabaseUrl {
    // It may hold a password.
    const SECRET: bool = true;
    fn shown(&self) -> Value {
        Value::from(self.to_string())
    }
}

impl Shown for PathBuf {
    fn shown(&self) -> Value {
        Value::from(self.display().to_string())
    }
}

impl Shown for Secret {
    const SECRET: bool = true;
    fn shown(&self) -> Value {
        Value::from(REDACTED)
    }
}

impl Shown for SecretUrl {
    const SECRET: bool = true;
    fn shown(&self) -> Value {
        Value::from(self.to_string())
    }
}

impl Shown for Vec<IpNet> {
    fn shown(&self) -> Value {
        self.iter().map(IpNet::to_string).collect()
    }
}

impl Shown for Catalogue {
    fn shown(&self) -> Value {
        self.to_json()
    }
}

impl<T: Shown> Shown for Option<T> {
    const SECRET: bool = T::SECRET;
    fn shown(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::shown)
    }
}

/// A value, or what is wrong with the text and how to mend it.
pub(super) type Parsed<T> = Result<T, String>;

pub(super) fn listen(text: &str) -> Parsed<SocketAddr> {
    text.parse().map_err(|_| {
        "is no address and port: write one such as 127.0.0.1:8080 or [::]:8080 (a name is not taken)".into()
    })
}

/// As [`listen`], or a port alone, which is one of the loopback.
pub(super) fn listen_locally(text: &str) -> Parsed<SocketAddr> {
    let port = text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    port.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))).map_or_else(|| listen(text), Ok)
}

pub(super) fn path(text: &str) -> Parsed<PathBuf> {
    Ok(PathBuf::from(text))
}

pub(super) fn database_url(text: &str) -> Parsed<DatabaseUrl> {
    const MEND: &str = "write sqlite: and the path of a file, such as sqlite:/var/lib/tenantry/tenantry.db, or \
        postgres://user:password@host/database";
    if text.starts_with("postgres:") || text.starts_with("postgresql:") {
        return postgres_url(text);
    }
    let Some(path) = text.strip_prefix("sqlite:") else {
        return Err(format!("is of no known kind: {MEND}"));
    };
    // "sqlite:///a" is "/a" by itself, but "sqlite://a" would quietly be "/a" too, where others mean "a".
    if path.starts_with("//") && !path.starts_with("///") {
        return Err(
            "has two slashes, which could mean two things: write sqlite:PATH, or sqlite:/PATH from the root"
                .into(),
        );
    }
    if path.contains(['?', '#']) {
        return Err(format!("has parameters, and there are none: {MEND}"));
    }
    if path.is_empty() || path == ":memory:" || path.ends_with('/') {
        return Err(format!("names no file: {MEND}"));
    }
    Ok(DatabaseUrl::Sqlite(PathBuf::from(path)))
}

/// The form of it; what the driver takes in detail is known when it is opened.
fn postgres_url(text: &str) -> Parsed<DatabaseUrl> {
    const MEND: &str = "write postgres://user:password@host:port/database, several hosts parted by commas; in user \
        and password write @ : / ? # % as %40 %3A %2F %3F %23 %25";
    let rest = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"));
    let Some(rest) = rest else {
        return Err(format!("has no // after its kind: {MEND}"));
    };
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = place.split_once('/').unwrap_or((place, ""));
    let has = |name: &str| query.split('&').any(|part| part.starts_with(name));
    if database.contains('@') {
        return Err(format!("has a character in it that must be escaped: {MEND}"));
    }
    if !authority.contains('@') && !has("user=") {
        return Err(format!("names no user: {MEND}"));
    }
    if authority.rsplit('@').next().unwrap_or_default().is_empty() && !has("host=") {
        return Err(format!("names no host: {MEND}"));
    }
    if database.is_empty() && !has("dbname=") {
        return Err(format!("names no database: {MEND}"));
    }
    Ok(DatabaseUrl::Postgres(SecretUrl(Secret::new(text))))
}

/// A username as far as a leaf can tell; `domain` holds it to all of B8.
pub(super) fn username(text: &str) -> Parsed<String> {
    if text.chars().any(char::is_whitespace) || text.chars().count() > 255 {
        return Err("is no username: write up to 255 characters without spaces".into());
    }
    Ok(text.to_owned())
}

/// A first or last name (B19).
pub(super) fn name(text: &str) -> Parsed<String> {
    if text.trim() != text || text.chars().count() > 255 {
        return Err("is no name: write up to 255 characters, without white space at the ends".into());
    }
    Ok(text.to_owned())
}

/// The password rules are `domain`'s; they are applied when the admin is made.
pub(super) fn secret(text: &str) -> Parsed<Secret> {
    Ok(Secret::new(text))
}

pub(super) fn email(text: &str) -> Parsed<String> {
    if text.len() > 254 || Address::from_str(text).is_err() {
        return Err("is no e-mail address: write one such as admin@example.com, up to 254 characters".into());
    }
    Ok(text.to_owned())
}

pub(super) fn mailbox(text: &str) -> Parsed<Mailbox> {
    text.parse().map_err(|_| {
        "is no sender: write an address, or a name and an address such as Tenantry <no-reply@example.com>"
            .into()
    })
}

/// The public address, without a slash at the end, so that paths can be put behind it.
pub(super) fn public_url(text: &str) -> Parsed<String> {
    let wrong = |what: &str| Err(format!("{what}: write one such as https://users.example.com"));
    if text.contains(['?', '#']) {
        return wrong("has a query or a fragment, which the address of a server cannot have");
    }
    let Ok(uri) = text.parse::<hyper::Uri>() else {
        return wrong("is no URL");
    };
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return wrong("does not begin with http:// or https://");
    }
    let Some(authority) = uri.authority() else {
        return wrong("names no host");
    };
    if authority.as_str().contains('@') {
        return wrong("has a user name or password in it");
    }
    // The parser takes any digits as a port and then says there is none.
    let bare = authority.as_str().len() == authority.host().len();
    if authority.host().is_empty() || (!bare && authority.port().is_none()) {
        return wrong("has no good host and port");
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// Known to be good for `lettre`'s `from_url`. Words of ours instead of the parser's, which may quote parts of a password that was not escaped.
pub(super) fn smtp_url(text: &str) -> Parsed<SecretUrl> {
    const MEND: &str = "write smtps://user:password@host, or smtp://host:25 for a server without TLS; \
        ?tls=required asks for STARTTLS; in user and password write @ : / ? # % as %40 %3A %2F %3F %23 %25";
    let Some(rest) = text.strip_prefix("smtp://").or_else(|| text.strip_prefix("smtps://")) else {
        return Err(format!("does not begin with smtp:// or smtps://: {MEND}"));
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // An "@" further on is one of a password with an unescaped "/", "?" or "#": the host would be wrong.
    if rest.matches('@').count() > authority.matches('@').count().min(1) {
        return Err(format!("has a character in it that must be escaped: {MEND}"));
    }
    // lettre silently logs in as nobody when there is a user and no password.
    if let Some((user, _)) = authority.split_once('@')
        && !user.split_once(':').is_some_and(|(user, password)| !user.is_empty() && !password.is_empty())
    {
        return Err(format!("has only one of user and password: {MEND}"));
    }
    if SmtpTransport::from_url(text).is_err() {
        return Err(format!("is no address of a mail server: {MEND}"));
    }
    Ok(SecretUrl(Secret::new(text)))
}

/// A whole number within `range`; `unit` says what it counts.
pub(super) fn number(range: RangeInclusive<u32>, unit: &'static str) -> impl Fn(&str) -> Parsed<u32> {
    move |text| match text.parse() {
        Ok(n) if range.contains(&n) => Ok(n),
        _ => Err(format!(
            "is not a number of {unit} within bounds: write {} to {}",
            range.start(),
            range.end()
        )),
    }
}

pub(super) fn threads(text: &str) -> Parsed<usize> {
    match text.parse() {
        Ok(n @ 1..=1024) => Ok(n),
        _ => Err("is not a number of threads within bounds: write 1 to 1024".into()),
    }
}

/// Bytes of a body: `8388608`, `512KiB`, `8MiB`, at least 1 KiB and at most 1 GiB.
pub(super) fn size(text: &str) -> Parsed<usize> {
    bytes(text).filter(|n| (1 << 10..=1 << 30).contains(n)).ok_or_else(|| {
        "is no size within bounds: write 1KiB to 1GiB, as bytes or such as 512KiB or 8MiB".into()
    })
}

/// Bytes of many bodies, at least 1 MiB and at most 64 GiB.
pub(super) fn memory(text: &str) -> Parsed<usize> {
    bytes(text).filter(|n| (1 << 20..=64 << 30).contains(n)).ok_or_else(|| {
        "is no size within bounds: write 1MiB to 64GiB, as bytes or such as 256MiB or 1GiB".into()
    })
}

fn bytes(text: &str) -> Option<usize> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let unit = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => return None, // not KB and MB either: half of the world means 1000, the other half 1024
    };
    digits.parse::<usize>().ok()?.checked_mul(unit)
}

pub(super) fn switch(text: &str) -> Parsed<bool> {
    text.parse().map_err(|_| "is neither true nor false: write one of them".into())
}

/// A permission catalogue as JSON; all of its problems at once.
pub(super) fn catalogue(text: &str) -> Parsed<Catalogue> {
    let value: Value = serde_json::from_str(text).map_err(|e| {
        format!("is neither a table nor JSON: {e}; docs/PERMISSIONS.md shows how it is written")
    })?;
    Catalogue::from_json(&value).map_err(|problems| match problems.as_slice() {
        [one] => format!("has a problem: {one}"),
        many => format!("has {} problems: {}", many.len(), many.join("; ")),
    })
}

/// Addresses and networks, separated by commas; nothing at all is the empty list.
pub(super) fn networks(text: &str) -> Parsed<Vec<IpNet>> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| {
            let net = part.parse::<IpNet>().or_else(|_| part.parse::<IpAddr>().map(IpNet::from));
            net.map(|net| net.trunc()).map_err(|_| {
                format!(
                    "has a part \"{part}\" that is neither an address nor a network: write such as 10.0.0.7 \
                    or 10.0.0.0/8, separated by commas"
                )
            })
        })
        .collect()
}

pub(super) fn log_format(text: &str) -> Parsed<LogFormat> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("is no format: write text or json".into()),
    }
}

/// A level, or levels by module. A bare word that is no level would be taken for a module by the filter, so
/// that `inof` logged nothing: here it is a fault.
pub(super) fn log(text: &str) -> Parsed<String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let known = |level: &str| LEVELS.iter().any(|l| l.eq_ignore_ascii_case(level));
    let good = text.split(',').map(str::trim).all(|part| match part.rsplit_once('=') {
        Some((module, level)) => !module.is_empty() && known(level),
        None => known(part),
    });
    if !good || tracing_subscriber::EnvFilter::try_new(text).is_err() {
        return Err("is no log level: write error, warn, info, debug or trace, or levels by module such as \
            info,tenantry=debug"
            .into());
    }
    Ok(text.to_owned())
}

/// A URL without the password in it. Everything up to the last `@` counts as user and password, since an
/// unescaped `/` in a password must not bring its end to light; parameters that speak of a password go too.
pub(super) fn redact_url(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return if text.contains('@') { REDACTED.to_owned() } else { text.to_owned() };
    };
    let (user, rest) = match rest.rsplit_once('@') {
        Some((user, rest)) => match user.split_once(':') {
            Some((user, _)) => (format!("{user}:{REDACTED}@"), rest),
            None => (format!("{REDACTED}@"), rest),
        },
        None => (String::new(), rest),
    };
    let rest = match rest.split_once('?') {
        Some((rest, query)) if query.to_ascii_lowercase().contains("pass") => format!("{rest}?{REDACTED}"),
        _ => rest.to_owned(),
    };
    format!("{scheme}://{user}{rest}")
}
