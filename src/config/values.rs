//! The types of settings, with their parsers and display forms.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};
use lettre::Address;
use lettre::message::Mailbox;
use serde_json::Value;

use tenantry_core::account_policy::{PasswordPolicy, SecondFactorPolicy};
use tenantry_core::catalogue::Catalogue;
pub use tenantry_core::secret::Secret;
use tenantry_domain::sealer::MasterKey;
use tenantry_http::cors::CorsOrigins;
use tenantry_http::forwarded::ForwardedHeader;
use tenantry_http::public_path::PublicPath;

/// Shown instead of a secret.
pub(super) const REDACTED: &str = "***";

/// An address with a password in it, which its `Display` and `Debug` hide.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(Secret);

impl SecretUrl {
    /// The whole URL, with the password.
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
    /// The default database of a data directory.
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

/// The socket for commands, if it is not in the data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlSocket {
    /// No socket: commands cannot reach the running server.
    Off,
    /// A socket of this path.
    At(PathBuf),
}

impl fmt::Display for ControlSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("none"),
            Self::At(path) => path.display().fmt(f),
        }
    }
}

/// Format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line, for machines.
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

/// The display form of a setting: JSON without secrets. Its type determines whether it is secret, so that cannot be
/// forgotten in a table.
pub(super) trait Shown {
    /// Errors must not quote a value of this type, not even an invalid one.
    const SECRET: bool = false;
    /// The redacted value. Its JSON type also determines which TOML types the setting accepts.
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
shown_as_text!(String, SocketAddr, LogFormat, Mailbox, ControlSocket, SecondFactorPolicy, PasswordPolicy);

impl Shown for DatabaseUrl {
    // It may contain a password.
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

impl Shown for MasterKey {
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

impl Shown for ForwardedHeader {
    fn shown(&self) -> Value {
        Value::from(self.name())
    }
}

impl Shown for CorsOrigins {
    fn shown(&self) -> Value {
        match self {
            Self::None => Value::Array(Vec::new()),
            Self::Any => Value::from(vec!["*"]),
            Self::These(origins) => Value::from(origins.clone()),
        }
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

/// A value, or what is wrong with the text and how to fix it.
pub(super) type Parsed<T> = Result<T, String>;

pub(super) fn listen(text: &str) -> Parsed<SocketAddr> {
    text.parse().map_err(|_| {
        "must be an address and port such as 127.0.0.1:8080 or [::]:8080 (names are not supported)".into()
    })
}

/// As [`listen`], or only a port, on loopback.
pub(super) fn listen_locally(text: &str) -> Parsed<SocketAddr> {
    let port = text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    port.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))).map_or_else(|| listen(text), Ok)
}

pub(super) fn command(text: &str) -> Parsed<String> {
    Ok(text.to_owned())
}

pub(super) fn path(text: &str) -> Parsed<PathBuf> {
    Ok(PathBuf::from(text))
}

/// A path, or `none`.
pub(super) fn control_socket(text: &str) -> Parsed<ControlSocket> {
    if text == "none" {
        return Ok(ControlSocket::Off);
    }
    if text.ends_with('/') {
        return Err("is a directory: give the path of the socket itself, or none".into());
    }
    Ok(ControlSocket::At(PathBuf::from(text)))
}

pub(super) fn database_url(text: &str) -> Parsed<DatabaseUrl> {
    const MEND: &str = "use sqlite: and the path of a file, such as sqlite:/var/lib/tenantry/tenantry.db, or \
        postgres://user:password@host/database";
    if text.starts_with("postgres:") || text.starts_with("postgresql:") {
        return postgres_url(text);
    }
    let Some(path) = text.strip_prefix("sqlite:") else {
        return Err(format!("has an unknown scheme: {MEND}"));
    };
    // "sqlite:///a" is "/a", but "sqlite://a" would silently be "/a" too, where other programs mean "a".
    if path.starts_with("//") && !path.starts_with("///") {
        return Err(
            "has two slashes, which is ambiguous: use sqlite:PATH, or sqlite:/PATH from the root".into()
        );
    }
    if path.contains(['?', '#']) {
        return Err(format!("has parameters, which are not supported: {MEND}"));
    }
    if path.is_empty() || path == ":memory:" || path.ends_with('/') {
        return Err(format!("has no file: {MEND}"));
    }
    Ok(DatabaseUrl::Sqlite(PathBuf::from(path)))
}

/// The store checks it.
fn postgres_url(text: &str) -> Parsed<DatabaseUrl> {
    tenantry_store::store::check_postgres_url(text)?;
    Ok(DatabaseUrl::Postgres(SecretUrl(Secret::new(text))))
}

/// A username, checked roughly; `domain` applies all of B8.
pub(super) fn username(text: &str) -> Parsed<String> {
    if text.chars().any(char::is_whitespace) || text.chars().count() > 255 {
        return Err("must have up to 255 characters without spaces".into());
    }
    Ok(text.to_owned())
}

/// A first or last name (B19).
pub(super) fn name(text: &str) -> Parsed<String> {
    if text.trim() != text || text.chars().count() > 255 {
        return Err("must have up to 255 characters, without white space at the ends".into());
    }
    Ok(text.to_owned())
}

/// `domain` applies the password rules when the admin is created.
pub(super) fn secret(text: &str) -> Parsed<Secret> {
    Ok(Secret::new(text))
}

pub(super) fn master_key(text: &str) -> Parsed<MasterKey> {
    MasterKey::parse(text)
        .ok_or_else(|| "must be 32 bytes in base64 or hex, such as `openssl rand -base64 32` prints".into())
}

pub(super) fn email(text: &str) -> Parsed<String> {
    if text.len() > 254 || Address::from_str(text).is_err() {
        return Err("must be an e-mail address such as admin@example.com, of up to 254 characters".into());
    }
    Ok(text.to_owned())
}

pub(super) fn mailbox(text: &str) -> Parsed<Mailbox> {
    text.parse().map_err(|_| {
        "must be an address, or a name and an address such as Tenantry <no-reply@example.com>".into()
    })
}

/// The public URL, without a trailing slash, so that paths can be appended.
pub(super) fn public_url(text: &str) -> Parsed<String> {
    let wrong = |what: &str| Err(format!("{what}: use one such as https://users.example.com"));
    if text.contains(['?', '#']) {
        return wrong("must not have a query or a fragment");
    }
    let Ok(uri) = text.parse::<hyper::Uri>() else {
        return wrong("is not a URL");
    };
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return wrong("does not begin with http:// or https://");
    }
    let Some(authority) = uri.authority() else {
        return wrong("has no host");
    };
    if authority.as_str().contains('@') {
        return wrong("must not contain a user name or password");
    }
    // The parser accepts any digits as a port and then reports none.
    let bare = authority.as_str().len() == authority.host().len();
    if authority.host().is_empty() || (!bare && authority.port().is_none()) {
        return wrong("has an invalid host or port");
    }
    let text = text.trim_end_matches('/');
    if PublicPath::of_url(text).is_none() {
        return wrong(
            "has a path with an empty segment, with . or .., or with characters that must be percent-encoded",
        );
    }
    Ok(text.to_owned())
}

/// The address of a page that mails link to. It may have a query, but no password, which mails would tell.
pub(super) fn page_url(text: &str) -> Parsed<String> {
    let wrong = |what: &str| Err(format!("{what}: use one such as https://shop.example.com/login"));
    let Ok(url) = text.parse::<url::Url>() else {
        return wrong("is not a URL");
    };
    if !matches!(url.scheme(), "http" | "https") {
        return wrong("does not begin with http:// or https://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return wrong("must not contain a user name or password");
    }
    // As parsed: without spaces, and in ASCII, so that every mail program sees where it ends.
    Ok(url.into())
}

/// The mail crate checks it.
pub(super) fn smtp_url(text: &str) -> Parsed<SecretUrl> {
    tenantry_mail::check_smtp_url(text)?;
    Ok(SecretUrl(Secret::new(text)))
}

/// The parameter of EHLO: a domain, or an address in brackets (RFC 5321 §4.1.1.1).
pub(super) fn helo(text: &str) -> Parsed<String> {
    let is_label = |label: &str| {
        let is_inside = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.bytes().all(is_inside)
    };
    let literal = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_good = match literal {
        Some(literal) => literal.strip_prefix("IPv6:").unwrap_or(literal).parse::<IpAddr>().is_ok(),
        None => text.len() <= 255 && text.split('.').all(is_label),
    };
    if !is_good {
        return Err("must be the name of this machine such as users.example.com, or an address such as \
            [192.0.2.1] or [IPv6:2001:db8::1]"
            .into());
    }
    Ok(text.to_owned())
}

/// An integer within `range`; `unit` is what it counts.
pub(super) fn number(range: RangeInclusive<u32>, unit: &'static str) -> impl Fn(&str) -> Parsed<u32> {
    move |text| match text.parse() {
        Ok(n) if range.contains(&n) => Ok(n),
        _ => Err(format!("must be a number of {unit} between {} and {}", range.start(), range.end())),
    }
}

pub(super) fn threads(text: &str) -> Parsed<usize> {
    match text.parse() {
        Ok(n @ 1..=1024) => Ok(n),
        _ => Err("must be a number of threads between 1 and 1024".into()),
    }
}

/// Bytes of a body: `8388608`, `512KiB`, `8MiB`, at least 1 KiB and at most 1 GiB.
pub(super) fn size(text: &str) -> Parsed<usize> {
    bytes(text)
        .filter(|n| (1 << 10..=1 << 30).contains(n))
        .ok_or_else(|| "must be between 1KiB and 1GiB, in bytes or like 512KiB or 8MiB".into())
}

/// Bytes of many bodies, at least 1 MiB and at most 64 GiB.
pub(super) fn memory(text: &str) -> Parsed<usize> {
    bytes(text)
        .filter(|n| (1 << 20..=64 << 30).contains(n))
        .ok_or_else(|| "must be between 1MiB and 64GiB, in bytes or like 256MiB or 1GiB".into())
}

fn bytes(text: &str) -> Option<usize> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let unit = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => return None, // KB and MB are ambiguous: 1000 or 1024
    };
    digits.parse::<usize>().ok()?.checked_mul(unit)
}

pub(super) fn switch(text: &str) -> Parsed<bool> {
    text.parse().map_err(|_| "must be true or false".into())
}

/// A permission catalogue as JSON; all its errors at once.
pub(super) fn catalogue(text: &str) -> Parsed<Catalogue> {
    let value: Value = serde_json::from_str(text)
        .map_err(|e| format!("is neither a table nor JSON: {e}; see docs/PERMISSIONS.md"))?;
    Catalogue::from_json(&value).map_err(|problems| match problems.as_slice() {
        [one] => format!("is invalid: {one}"),
        many => format!("has {} errors: {}", many.len(), many.join("; ")),
    })
}

/// Addresses and networks, separated by commas; an empty text is the empty list.
pub(super) fn networks(text: &str) -> Parsed<Vec<IpNet>> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| {
            let net = part.parse::<IpNet>().or_else(|_| part.parse::<IpAddr>().map(IpNet::from));
            net.map(|net| as_ipv4(net.trunc())).map_err(|_| {
                format!(
                    "has a part \"{part}\" that is neither an address nor a network: write such as 10.0.0.7 \
                    or 10.0.0.0/8, separated by commas"
                )
            })
        })
        .collect()
}

/// A network of IPv4 addresses in IPv6 form (`::ffff:10.0.0.0/104`) is one of IPv4: addresses are compared in that form.
fn as_ipv4(net: IpNet) -> IpNet {
    match net {
        IpNet::V6(v6) => {
            let mapped = v6.network().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96));
            mapped.and_then(|(address, length)| Ipv4Net::new(address, length).ok()).map_or(net, IpNet::V4)
        }
        IpNet::V4(_) => net,
    }
}

pub(super) fn forwarded_header(text: &str) -> Parsed<ForwardedHeader> {
    let known = ForwardedHeader::NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    known.map(|(_, header)| *header).ok_or_else(|| "must be auto, x-forwarded-for or forwarded".into())
}

/// Origins, separated by commas, or `*`; an empty text is none.
pub(super) fn cors_origins(text: &str) -> Parsed<CorsOrigins> {
    let parts: Vec<&str> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        [] => Ok(CorsOrigins::None),
        ["*"] => Ok(CorsOrigins::Any),
        parts if parts.contains(&"*") => {
            Err("has * beside other origins: write * alone, or the others".into())
        }
        parts => parts.iter().map(|part| origin(part)).collect::<Parsed<Vec<_>>>().map(CorsOrigins::These),
    }
}

/// An origin as browsers send it (RFC 6454 §6.2): any other spelling would never match.
fn origin(text: &str) -> Parsed<String> {
    let wrong = |what: &str| Err(format!("has the origin \"{text}\", which {what}"));
    if text == "null" {
        return wrong("many pages have, also hostile ones: name the origin of the application");
    }
    let Some((scheme, authority)) = text.split_once("://") else {
        return wrong("has no scheme: write such as https://app.example.com");
    };
    if let Some((host, _)) = authority.split_once(['/', '?', '#', '\\']) {
        return Err(format!(
            "has \"{text}\", which is more than an origin: write {scheme}://{host}, without a slash or path behind it"
        ));
    }
    if text.contains('*') {
        return wrong("has a wildcard, which is not supported: list each origin, or write * alone");
    }
    let Ok(url) = url::Url::parse(text) else {
        return wrong("is not an origin: write such as https://app.example.com or http://localhost:3000");
    };
    if !url.username().is_empty() || url.password().is_some() || authority.contains('@') {
        return wrong("has a user name: write only scheme, host and port");
    }
    // Other schemes, such as those of apps, have no default ports, and hosts of any case.
    let sent = match url.origin() {
        url::Origin::Tuple(..) => url.origin().ascii_serialization(),
        url::Origin::Opaque(_) if authority.is_empty() => return wrong("has no host"),
        url::Origin::Opaque(_) => format!("{}://{authority}", url.scheme()),
    };
    if sent != text {
        return Err(format!("has the origin \"{text}\", which browsers send as {sent}: write it so"));
    }
    Ok(sent)
}

pub(super) fn second_factor(text: &str) -> Parsed<SecondFactorPolicy> {
    SecondFactorPolicy::parse(text).ok_or_else(|| "must be off, optional, admins or everybody".into())
}

pub(super) fn password_policy(text: &str) -> Parsed<PasswordPolicy> {
    PasswordPolicy::parse(text).ok_or_else(|| "must be contract or nist".into())
}

pub(super) fn log_format(text: &str) -> Parsed<LogFormat> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("must be text or json".into()),
    }
}

/// A level, or levels by module. The filter would treat a bare word that is not a level as a module, so `inof` would
/// log nothing: here it is an error.
pub(super) fn log(text: &str) -> Parsed<String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let known = |level: &str| LEVELS.iter().any(|l| l.eq_ignore_ascii_case(level));
    let good = text.split(',').map(str::trim).all(|part| match part.rsplit_once('=') {
        Some((module, level)) => !module.is_empty() && known(level),
        None => known(part),
    });
    if !good || tracing_subscriber::EnvFilter::try_new(text).is_err() {
        return Err("must be error, warn, info, debug or trace, or levels by module such as \
            info,tenantry=debug"
            .into());
    }
    Ok(text.to_owned())
}

/// A URL without its password. Everything up to the last `@` counts as user and password, so that an unescaped `/` in a
/// password does not reveal the rest; parameters that mention a password are removed too.
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
