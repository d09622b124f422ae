//! Finds the value of each setting in flags, environment, file and defaults, and collects all errors.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::path::Path;

use serde_json::Value;

use crate::config::values::{self, Parsed, REDACTED, Shown, redact_url};

/// The prefix of all variables.
pub(super) const PREFIX: &str = "TENANTRY_";

/// Maximum size of a file with a secret, in bytes.
const SECRET_FILE_MAX: u64 = 64 << 10;

/// Opens a file for reading.
pub(super) type Open<'a> = &'a dyn Fn(&Path) -> io::Result<Box<dyn Read>>;

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
    /// The content of a file that a `-file` setting names.
    SecretFile {
        /// The path of the file.
        path: String,
        /// Where the path was set.
        named_by: Box<Origin>,
    },
}

impl Origin {
    /// Sources with a lower rank take precedence.
    fn rank(&self) -> u8 {
        match self {
            Self::Flag(_) => 0,
            Self::Variable(_) => 1,
            Self::File(_) => 2,
            Self::Default => 3,
            Self::SecretFile { named_by, .. } => named_by.rank(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Flag(name) => write!(f, "flag --{name}"),
            Self::Variable(name) => f.write_str(name),
            Self::File(name) => f.write_str(name),
            Self::SecretFile { path, named_by } => write!(f, "{path}, {named_by}"),
        }
    }
}

/// The name of a setting that holds a secret, and of the setting that names a file with its value. Made by
/// [`secret_name!`].
#[derive(Debug, Clone, Copy)]
pub(super) struct SecretName {
    pub(super) name: &'static str,
    pub(super) file: &'static str,
}

/// The [`SecretName`] of a literal.
macro_rules! secret_name {
    ($name:literal) => {
        $crate::config::reader::SecretName { name: $name, file: concat!($name, "-file") }
    };
}
pub(super) use secret_name;

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
    kind: ValueKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ValueKind {
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
        Self { text, kind: ValueKind::Text }
    }

    fn toml(value: toml::Value) -> Self {
        let (text, kind) = match value {
            toml::Value::String(text) => (text, ValueKind::Text),
            toml::Value::Integer(n) => (n.to_string(), ValueKind::Number),
            toml::Value::Boolean(b) => (b.to_string(), ValueKind::Bool),
            toml::Value::Array(parts) => {
                let texts: Option<Vec<&str>> = parts.iter().map(toml::Value::as_str).collect();
                texts.map_or((String::new(), ValueKind::Other), |texts| (texts.join(","), ValueKind::List))
            }
            table @ toml::Value::Table(_) => match serde_json::to_string(&table) {
                Ok(text) => (text, ValueKind::Table),
                Err(_) => (String::new(), ValueKind::Other),
            },
            _ => (String::new(), ValueKind::Other),
        };
        Self { text, kind }
    }

    /// Checks that the file has the type of a setting like `example`. A number is not silently converted to a string:
    /// 1_000 would become the password "1000".
    fn check_kind(&self, example: &Value) -> Result<(), &'static str> {
        match (self.kind, example) {
            (ValueKind::Text, _)
            | (ValueKind::Number, Value::Number(_))
            | (ValueKind::Bool, Value::Bool(_))
            | (ValueKind::List, Value::Array(_))
            | (ValueKind::Table, Value::Object(_)) => Ok(()),
            (ValueKind::Number | ValueKind::Bool, Value::Null | Value::String(_)) => {
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
pub(super) struct Reader<'a> {
    open: Open<'a>,
    flags: BTreeMap<String, String>,
    variables: BTreeMap<String, String>,
    lines: BTreeMap<String, Given>,
    file: String,
    /// Everything read so far, in the order of the documentation.
    pub(super) settings: Vec<Setting>,
    /// All errors so far.
    pub(super) errors: Vec<ConfigError>,
}

impl<'a> Reader<'a> {
    /// A reader of these flags and of the variables with our prefix. `open` opens the files that settings name.
    pub(super) fn new(
        flags: impl IntoIterator<Item = (String, String)>,
        env: impl IntoIterator<Item = (String, String)>,
        open: Open<'a>,
    ) -> Self {
        let ours = |(name, value): &(String, String)| {
            name.starts_with(PREFIX) && !is_kubernetes_service_link(name, value)
        };
        Self {
            flags: flags.into_iter().collect(),
            variables: env.into_iter().filter(ours).collect(),
            open,
            lines: BTreeMap::new(),
            file: String::new(),
            settings: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// The text of the configuration file.
    ///
    /// # Errors
    /// It cannot be read, or is not UTF-8.
    pub(super) fn read_text(&self, path: &Path) -> io::Result<String> {
        let mut text = String::new();
        (self.open)(path)?.read_to_string(&mut text)?;
        Ok(text)
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
        const { assert!(!T::SECRET, "secrets are read by `secret` or `optional_secret`") };
        let given = self.take(name);
        self.add(Description { name, value_name, doc }, given, default, parse)
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

    /// The value of a setting that holds a secret. It can be in a file that the `-file` setting names. Either way, one
    /// line break at its end is dropped: editors, `echo` and secret stores add it.
    pub(super) fn secret<T: Shown>(
        &mut self,
        names: SecretName,
        value_name: &'static str,
        default: T,
        parse: impl Fn(&str) -> Parsed<T>,
        doc: &'static str,
    ) -> T {
        let mut given = self.take(names.name);
        if let Some((Given { text, .. }, _)) = &mut given {
            text.truncate(without_line_break(text).len());
        }
        let mut file = self.take(names.file);
        if let (Some((_, value)), Some((_, path))) = (&given, &file) {
            if value.rank() == path.rank() {
                let what = format!("cannot be set together with {} ({path}): remove one of them", names.file);
                let (setting, origin) = (names.name.to_owned(), value.clone());
                self.errors.push(ConfigError { setting, value: None, origin, what });
            }
            if value.rank() <= path.rank() {
                file = None;
            }
        }
        let path = file.as_ref().map_or(Value::Null, |(path, _)| Value::from(path.text.as_str()));
        let path_origin = file.as_ref().map_or(Origin::Default, |(_, origin)| origin.clone());
        if let Some((path, named_by)) = file {
            given = match read(&path, &Value::Null, values::path).and_then(|path| self.read_secret(&path)) {
                Ok(text) => {
                    let origin = Origin::SecretFile { path: path.text, named_by: Box::new(named_by) };
                    Some((Given::text(text), origin))
                }
                Err(what) => {
                    let (setting, value) = (names.file.to_owned(), Some(path.text));
                    self.errors.push(ConfigError { setting, value, origin: named_by, what });
                    None
                }
            };
        }
        let value = self.add(Description { name: names.name, value_name, doc }, given, default, parse);
        self.settings.push(Setting {
            name: names.file,
            value_name: "FILE",
            doc: "File with the value of the setting before; one line break at its end is dropped",
            value: path,
            origin: path_origin,
        });
        value
    }

    /// The value of a setting that holds a secret and has no default.
    pub(super) fn optional_secret<T: Shown>(
        &mut self,
        names: SecretName,
        value_name: &'static str,
        parse: impl Fn(&str) -> Parsed<T>,
        doc: &'static str,
    ) -> Option<T> {
        self.secret(names, value_name, None, |text| parse(text).map(Some), doc)
    }

    /// The content of a file with a secret, without the line break at its end.
    fn read_secret(&self, path: &Path) -> Parsed<String> {
        let mut bytes = Vec::new();
        (self.open)(path)
            .and_then(|file| file.take(SECRET_FILE_MAX + 1).read_to_end(&mut bytes))
            .map_err(|e| format!("cannot be read: {e}"))?;
        if bytes.len() as u64 > SECRET_FILE_MAX {
            return Err(format!(
                "is larger than {} KiB: name the file with the value",
                SECRET_FILE_MAX >> 10
            ));
        }
        let text = String::from_utf8(bytes).map_err(|_| "is not UTF-8 text: save it as UTF-8")?;
        if text.starts_with('\u{feff}') {
            return Err("begins with a byte order mark: save it as UTF-8 without one".into());
        }
        let value = without_line_break(&text);
        if value.trim().is_empty() {
            return Err("is empty: write the value into the file".into());
        }
        if value.contains(['\n', '\r']) {
            return Err("has more than one line: write only the value into the file".into());
        }
        if value.contains(|c: char| c.is_control()) {
            return Err("contains control characters: write the value as text".into());
        }
        Ok(value.to_owned())
    }

    /// Parses what was given for a setting and adds the setting to those in force.
    fn add<T: Shown>(
        &mut self,
        Description { name, value_name, doc }: Description,
        given: Option<(Given, Origin)>,
        default: T,
        parse: impl Fn(&str) -> Parsed<T>,
    ) -> T {
        let example = default.shown();
        let (value, origin) = match given {
            None => (default, Origin::Default),
            Some((given, origin)) => match read(&given, &example, parse) {
                Ok(value) => (value, origin),
                Err(what) => {
                    let value = match given.kind {
                        ValueKind::Other => None,
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

/// How a setting is listed in the help.
struct Description {
    name: &'static str,
    value_name: &'static str,
    doc: &'static str,
}

/// A text without the line break at its end, LF or CRLF, if it has one.
fn without_line_break(text: &str) -> &str {
    text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')).unwrap_or(text)
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
