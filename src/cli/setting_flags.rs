//! Settings as flags of commands.

use clap::Arg;
use serde_json::Value;

use crate::config::Setting;

/// Settings in the help of every command. The others are accepted everywhere too, but only `serve` and `config` list
/// them, so that the help stays short.
const EVERYWHERE: [&str; 5] = ["config", "data-dir", "control-socket", "database-url", "database-url-file"];

/// What the help says about them.
pub(super) const ABOUT_SETTINGS: &str = "Every setting is a flag (--data-dir), an environment variable (TENANTRY_DATA_DIR) and a line \
    of tenantry.toml (data-dir = \"...\"), in this order of precedence. A secret can be in a file of its own, which its \
    -file setting names (--database-url-file, TENANTRY_DATABASE_URL_FILE).";

/// The command with the settings on every leaf.
pub(super) fn add_settings(command: clap::Command, settings: &[Setting]) -> clap::Command {
    if command.has_subcommands() {
        return command.mut_subcommands(|below| add_settings(below, settings));
    }
    let all = matches!(command.get_name(), "serve" | "config");
    // `partner create --admin-username` is the admin of that partner, not of the first one.
    let taken: Vec<String> =
        command.get_arguments().filter_map(|arg| arg.get_long().map(str::to_owned)).collect();
    let free = settings.iter().filter(|s| !taken.iter().any(|name| name == s.name));
    let command_name = command.get_name();
    let of_mail = command_name == "test";
    let is_shown = |name: &str| {
        let is_about_it = of_mail
            && (name.starts_with("smtp-") || matches!(name, "mail-from" | "public-url" | "sign-in-url"));
        let is_address = command_name == "health" && name == "listen";
        all || EVERYWHERE.contains(&name) || is_about_it || is_address
    };
    let flags: Vec<Arg> = free.map(|s| flag(s).hide(!is_shown(s.name))).collect();
    command.args(flags).after_help(ABOUT_SETTINGS)
}

/// A setting as a flag. It has no default in clap: a flag that was not given must not override environment and file.
fn flag(setting: &Setting) -> Arg {
    let default = match &setting.value {
        // A catalogue is too long: `tenantry config` shows it.
        Value::Null | Value::Object(_) => None,
        Value::Array(parts) if parts.is_empty() => Some("none".to_owned()),
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let help = default
        .map_or_else(|| setting.doc.to_owned(), |default| format!("{} [default: {default}]", setting.doc));
    let arg = Arg::new(setting.name)
        .long(setting.name)
        .value_name(setting.value_name)
        .help(help)
        .help_heading("Settings");
    match setting.value {
        Value::Bool(_) => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
        _ => arg,
    }
}
