//! The configuration file.

use std::io;
use std::path::PathBuf;

use serde_json::Value;

use super::reader::{ConfigError, Origin, Reader, Setting};
use super::values;

/// The default configuration file; it may be missing.
pub(super) const FILE: &str = "tenantry.toml";

/// Finds the configuration file and passes its lines to the reader. Returns its name if there is one.
pub(super) fn read_lines(s: &mut Reader<'_>) -> Option<PathBuf> {
    let named = s.optional(
        "config",
        "FILE",
        values::path,
        "Configuration file [default: tenantry.toml in the working directory, if it exists]",
    );
    let path = named.clone().unwrap_or_else(|| PathBuf::from(FILE));
    let shown = path.display().to_string();
    match s.read_text(&path) {
        Ok(text) => s.add_file(shown.clone(), &text),
        Err(e) if named.is_none() && e.kind() == io::ErrorKind::NotFound => return None,
        Err(e) => {
            let origin = s.settings.last().map_or(Origin::Default, |setting| setting.origin.clone());
            let what = format!("cannot be read: {e}");
            s.errors.push(ConfigError { setting: "config".into(), value: Some(shown), origin, what });
            return None;
        }
    }
    if let Some(setting) = s.settings.last_mut() {
        setting.value = Value::from(shown);
    }
    Some(path)
}

/// A setting as a line of TOML. A value that is missing or cannot be in a file is a comment, as is a redacted one:
/// users copy this output to a file, and the password must not become `***`.
pub(super) fn line(setting: &Setting) -> String {
    let name = setting.name;
    match &setting.value {
        Value::Null => format!("# {name} is not set"),
        _ if name == "config" => format!("# {name}: {}", setting.value.as_str().unwrap_or_default()),
        value => {
            let value = toml::Value::try_from(value).map_or_else(|_| value.to_string(), |v| v.to_string());
            // The file with a secret stays where the value comes from.
            let is_in_file = matches!(setting.origin, Origin::SecretFile { .. });
            let comment = if is_in_file || value.contains(values::REDACTED) { "# " } else { "" };
            format!("{comment}{name} = {value}")
        }
    }
}
