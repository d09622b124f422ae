//! Finds the value of each setting in flags, environment, file and defaults, and collects all errors.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::config::values::{Parsed, REDACTED, Shown, redact_url};

/// The prefix of all variables.
pub(super) const PREFIX: &str = "TENANTRY_";

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The default.
    Default,
    /// The flag of this name, without the dashes.
    Flag(String),
    /// The environment variable of this name.
    Variable(String),
    /// A line of the file of this name.
    File(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Flag(name) => write!(f, "flag --{name}"),
            Self::Variable(name) => f.write_str(name),
            Self::File(name) => f.write_str(name),
        }
    }
}

/// An error of the configuration, which says how to fix it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The invalid setting, variable or key, as it was written; the file itself is `config`.
    pub setting: String,
    /// The given value, with secrets redacted, if there is one to show.
    pub value: Option<String>,
    /// Where it was set.
    pub origin: Origin,
    /// What is wrong and how to fix it; continues the sentence after name and value.
    pub what: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.setting)?;
        if let Some(value) = &self.value {
            write!(f, " = {value:?}")?;
        }
        if !matches!(&self.origin, Origin::Variable(name) if *name == self.setting) {
            write!(f, " ({})", self.origin)?;
        }
        write!(f, " {}", self.what)
    }
}

/// A setting: its description, and, once read, its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// Its name: of the flag, of the line in the file, and in upper case of the variable.
    pub name: &'static str,
    /// The placeholder of its value in the help, such as `SECONDS`.
    pub value_name: &'static str,
    /// Its description in the help.
    pub doc: &'static str,
    /// The value in force, with secrets redacted; null if there is none.
    pub value: Value,
    /// Where the value came from.
    pub origin: Origin,
}

/// The variable of a setting: `data-dir` is `TENANTRY_DATA_DIR`.
pub(super) fn variable(name: &str) -> String {
    format!("{PREFIX}{}", name.replace('-', "_").to_ascii_uppercase())
}

/// A given text, with the type that it had in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Given {
    text: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Bool,
    List,
    /// A table, converted to JSON.
    Table,
    /// A type that no setting has, such as a date or a fraction.
    Other,
}

impl Given {
    fn text(text: String) -> Self {
        Self { text, kind: Kind::Text }
    }

    fn toml(value: toml::Value) -> Self {
        let (text, kind) = match value {
            toml::Value::String(text) => (text, Kind::Text),
            toml::Value::Integer(n) => (n.to_string(), Kind::Number),
            toml::Value::Boolean(b) => (b.to_string(), Kind::Bool),
            toml::Value::Array(parts) => {
                let texts: Option<Vec<&str>> = parts.iter().map(toml::Value::as_str).collect();
                texts.map_or((String::new(), Kind::Other), |texts| (texts.join(","), Kind::List))
            }
            table @ toml::Value::Table(_) => match serde_json::to_string(&table) {
                Ok(text) => (text, Kind::Table),
                Err(_) => (String::new(), Kind::Other),
            },
            _ => (String::new(), Kind::Other),
        };
        Self { text, kind }
    }

    /// Checks that the file has the type of a setting like `example`. A number is not silently converted to a string:
    /// 1_000 would become the password "1000".
    fn check_kind(&self, example: &Value) -> Result<(), &'static str> {
        match (self.kind, example) {
            (Kind::Text, _)
            | (Kind::Number, Value::Number(_))
            | (Kind::Bool, Value::Bool(_))
            | (Kind::List, Value::Array(_))
            | (Kind::Table, Value::Object(_)) => Ok(()),
            (Kind::Number | Kind::Bool, Value::Null | Value::String(_)) => {
                Err("must be a string: put the value in quotes")
            }
            (_, Value::Array(_)) => Err("must be a list of strings such as [\"10.0.0.0/8\"]"),
            (_, Value::Object(_)) => Err("must be a table, or a string with JSON"),
            (_, Value::Bool(_)) => Err("must be true or false"),
            (_, Value::Number(_)) => Err("must be an integer"),
            _ => Err("must be a string in quotes"),
        }
    }
}

/// Reads settings one by one; those that are left at the end are unknown.
#[derive(Debug, Default)]
pub(super) struct Reader {
    flags: BTreeMap<String, String>,
    variables: BTreeMap<String, String>,
    lines: BTreeMap<String, Given>,
    file: String,
    /// Everything read so far, in the order of the documentation.
    pub(super) settings: Vec<Setting>,
    /// All errors so far.
    pub(super) errors: Vec<ConfigError>,
}

impl Reader {
    /// A reader of these flags and of the variables with our prefix.
    pub(super) fn new(
        flags: impl IntoIterator<Item = (String, String)>,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let ours = |(name, value): &(String, String)| {
            name.starts_with(PREFIX) && !is_kubernetes_service_link(name, value)
        };
        Self {
            flags: flags.into_iter().collect(),
            variables: env.into_iter().filter(ours).collect(),
            ..Self::default()
        }
    }

    /// Adds the lines of the file called `name`.
    pub(super) fn add_file(&mut self, name: String, text: &str) {
        match text.parse::<toml::Table>() {
            Ok(table) => {
                self.lines = table.into_iter().map(|(key, value)| (key, Given::toml(value))).collect();
            }
            // Only the parser's message: its full text quotes the line, which may contain a password.
            Err(e) => {
                let line = e.span().and_then(|at| text.get(..at.start)).map(|s| s.matches('\n').count() + 1);
                let place = line.map_or(String::new(), |line| format!("in line {line} "));
                self.errors.push(ConfigError {
                    setting: "config".into(),
                    value: Some(name.clone()),
                    origin: Origin::File(name.clone()),
                    what: format!("{place}is not TOML: {}", e.message().replace('\n', ", ")),
                });
            }
        }
        self.file = name;
    }

    /// The value of a setting. An error is recorded and the default is used in its place, so that errors of other
    /// settings are found too.
    pub(super) fn value<T: Shown>(
        &mut self,
        name: &'static str,
        value_name: &'static str,
        default: T,
        parse: impl Fn(&str) -> Parsed<T>,
        doc: &'static str,
    ) -> T {
        let example = default.shown();
        let (value, origin) = match self.take(name) {
            None => (default, Origin::Default),
            Some((given, origin)) => match read(&given, &example, parse) {
                Ok(value) => (value, origin),
                Err(what) => {
                    let value = match given.kind {
                        Kind::Other => None,
                        // Pages of JSON would hide the error message.
                        _ if example.is_object() => None,
                        _ if T::SECRET => Some(REDACTED.to_owned()),
                        // Any URL can contain a password, for example database-url.
                        _ if name.ends_with("-url") => Some(redact_url(&given.text)),
                        _ => Some(given.text),
                    };
                    self.errors.push(ConfigError {
                        setting: name.into(),
                        value,
                        origin: origin.clone(),
                        what,
                    });
                    (default, origin)
                }
            },
        };
        self.settings.push(Setting { name, value_name, doc, value: value.shown(), origin });
        value
    }

    /// The value of a setting that has no default.
    pub(super) fn optional<T: Shown>(
        &mut self,
        name: &'static str,
        value_name: &'static str,
        parse: impl Fn(&str) -> Parsed<T>,
        doc: &'static str,
    ) -> Option<T> {
        self.value(name, value_name, None, |text| parse(text).map(Some), doc)
    }

    /// Takes a setting out of every source; the one with the highest precedence counts.
    fn take(&mut self, name: &str) -> Option<(Given, Origin)> {
        let variable = variable(name);
        let flag = self.flags.remove(name).map(|v| (Given::text(v), Origin::Flag(name.into())));
        let env = self.variables.remove(&variable).map(|v| (Given::text(v), Origin::Variable(variable)));
        let line = self.lines.remove(name).map(|v| (v, Origin::File(self.file.clone())));
        flag.or(env).or(line)
    }

    /// Records everything that was given and is not a setting. Values are not quoted: a misspelled name may have a
    /// password.
    pub(super) fn refuse_the_rest(&mut self) {
        let names: Vec<&str> = self.settings.iter().map(|s| s.name).collect();
        let unknown = |given: &str, origin: Origin, spell: &dyn Fn(&str) -> String| {
            let asked = given.strip_prefix(PREFIX).unwrap_or(given).replace('_', "-").to_ascii_lowercase();
            let what = nearest(&asked, &names).map_or_else(
                || "is an unknown setting; `tenantry serve --help` lists all settings".to_owned(),
                |name| format!("is an unknown setting; did you mean {}?", spell(name)),
            );
            ConfigError { setting: given.into(), value: None, origin, what }
        };
        let flags = self.flags.keys().map(|k| unknown(k, Origin::Flag(k.clone()), &|n| format!("--{n}")));
        let variables = self.variables.keys().map(|k| unknown(k, Origin::Variable(k.clone()), &variable));
        let lines = self.lines.keys().map(|k| match k.as_str() {
            "config" => ConfigError {
                setting: k.clone(),
                value: None,
                origin: Origin::File(self.file.clone()),
                what: "cannot be set in the configuration file itself: use --config or TENANTRY_CONFIG"
                    .into(),
            },
            _ => unknown(k, Origin::File(self.file.clone()), &str::to_owned),
        });
        let errors: Vec<_> = flags.chain(variables).chain(lines).collect();
        self.errors.extend(errors);
    }
}

/// Parses a text, after the checks for all settings.
fn read<T>(given: &Given, example: &Value, parse: impl Fn(&str) -> Parsed<T>) -> Parsed<T> {
    given.check_kind(example)?;
    if given.text.trim().is_empty() && !example.is_array() {
        return Err("is empty: set a value, or remove it".into());
    }
    let is_laid_out = |c: char| example.is_object() && matches!(c, '\n' | '\r' | '\t');
    // Arguments and variables that are not UTF-8 arrive with this replacement character.
    let is_bad = |c: char| (c.is_control() && !is_laid_out(c)) || c == char::REPLACEMENT_CHARACTER;
    if given.text.chars().any(is_bad) {
        return Err("contains control characters, or is not UTF-8".into());
    }
    parse(&given.text)
}

/// Kubernetes sets variables for the services around every container; those of a service named `tenantry` look like
/// ours: `TENANTRY_SERVICE_HOST`, `TENANTRY_PORT=tcp://10.0.0.1:80`, `TENANTRY_PORT_80_TCP_ADDR`
/// (<https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>).
fn is_kubernetes_service_link(name: &str, value: &str) -> bool {
    let of_port = name.split_once("_PORT_").is_some_and(|(_, rest)| {
        let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        ["_TCP", "_UDP", "_SCTP"].iter().any(|protocol| rest.starts_with(protocol))
    });
    let address = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    of_port
        || name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || (name.ends_with("_PORT") && address)
}

/// The name that was probably meant: a small edit distance, or the same beginning.
fn nearest<'a>(given: &str, names: &[&'a str]) -> Option<&'a str> {
    let allowed = match given.len() {
        0..5 => 1,
        5..8 => 2,
        _ => 3,
    };
    let near = names.iter().map(|name| (strsim::levenshtein(given, name), *name)).min();
    near.filter(|(distance, _)| *distance <= allowed)
        .map(|(_, name)| name)
        .or_else(|| names.iter().find(|name| given.len() >= 4 && name.starts_with(given)).copied())
}
