//! The command line. Only this file uses clap; settings come from the list in `config`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Arg, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::{self, Secret, Setting};
use tenantry_core::model::{PartnerId, Status, UserId};
use tenantry_core::rows::Format;

/// A parsed command line.
#[derive(Debug, PartialEq, Eq)]
pub struct Invocation {
    /// The command; `None` shows the help.
    pub command: Option<Command>,
    /// Settings given as flags: name and text, for [`config::Config::load`].
    pub flags: Vec<(String, String)>,
}

/// A user-management server for products with many tenants.
#[derive(Debug, Parser)]
#[command(name = "tenantry", version)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
}

/// The commands.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Run the server
    ///
    /// The first start on an empty database creates partner 1 and its admin; the password is generated and printed once
    /// unless TENANTRY_ADMIN_PASSWORD is set.
    Serve(ServeArgs),
    /// Upgrade the schema of a PostgreSQL database `serve` does this too, unless --no-migrate is given.
    Migrate,
    /// Copy a whole database into an empty one, SQLite to PostgreSQL or back
    ///
    /// Copies users, groups, passwords and their history, sessions, clients, events, undelivered mail and id sequences.
    /// Stop the servers first. If it is interrupted, run it again to resume; nothing serves the target until the copy
    /// is finished. At the end the rows and checksums of each table are compared.
    Copy(CopyArgs),
    /// Show the settings in force and their origins, with secrets redacted
    Config(ConfigArgs),
    /// Manage partners (tenants)
    #[command(subcommand)]
    Partner(PartnerCommand),
    /// Manage users of any partner
    #[command(subcommand)]
    User(UserCommand),
    /// Manage the OAuth clients of products and scripts
    #[command(subcommand)]
    Client(ClientCommand),
    /// Manage the tokens of the operator API (/operator/v1)
    #[command(subcommand)]
    Operator(OperatorCommand),
    /// Import users of another system from a file with one row each
    ///
    /// A row is the body of a create, with names or ids in groups and an optional passwordHash of another system. Valid
    /// rows become users, invalid ones are reported with their line. If it is interrupted, run it again to resume.
    Import(ImportArgs),
    /// Export a partner's users as rows that can be imported again
    Export(ExportArgs),
    /// Copy the database to a file, with or without a running server
    ///
    /// The copy is a consistent snapshot, checked before it gets its name. It contains password hashes, and temporary
    /// passwords that were not mailed yet: keep it where only you can read it.
    Backup(BackupArgs),
    /// Replace the database with a backup, while no server runs
    ///
    /// The replaced database is kept beside it under another name. The next `tenantry serve` upgrades an older backup.
    Restore(RestoreArgs),
}

/// `tenantry import`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ImportArgs {
    /// The file to import
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The id of the partner to import into
    #[arg(long, value_parser = partner_id)]
    pub partner: PartnerId,
    /// ndjson or csv [default: by the file name]
    #[arg(long, value_parser = format)]
    pub format: Option<Format>,
    /// Report the result that each row would have, and change nothing
    #[arg(long, conflicts_with_all = ["plan", "apply"])]
    pub dry_run: bool,
    /// Write the result that each row would have to a plan, and change nothing
    #[arg(long, value_name = "PLAN", conflicts_with = "apply")]
    pub plan: Option<PathBuf>,
    /// Do exactly what a plan says, or fail
    #[arg(long, value_name = "PLAN", conflicts_with = "send_mail")]
    pub apply: Option<PathBuf>,
    /// Mail a temporary password to ACTIVE users without a passwordHash [default: no mail]
    #[arg(long)]
    pub send_mail: bool,
    /// Write each rejected row to this file as a line of JSON, with its line number and the reasons
    #[arg(long, value_name = "REPORT", conflicts_with = "plan")]
    pub report: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `tenantry export`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ExportArgs {
    /// The partner's id
    #[arg(long, value_parser = partner_id)]
    pub partner: PartnerId,
    /// ndjson or csv
    #[arg(long, default_value = "ndjson", value_parser = format)]
    pub format: Format,
    /// Also write passwordHash: whoever has the file can try to guess the passwords
    #[arg(long)]
    pub with_hashes: bool,
    /// The file to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `tenantry backup`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct BackupArgs {
    /// The file to write; an existing file is not overwritten
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `tenantry restore`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct RestoreArgs {
    /// A file made by `tenantry backup`
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `tenantry serve`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct ServeArgs {
    /// Refuse a PostgreSQL database with an older schema instead of upgrading it
    #[arg(long)]
    pub no_migrate: bool,
}

/// `tenantry copy`. A side that is omitted is the database of the settings.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct CopyArgs {
    /// The database to copy, such as sqlite:/var/lib/tenantry/tenantry.db [default: database-url]
    #[arg(long, value_name = "URL", value_parser = secret)]
    pub from: Option<Secret>,
    /// The empty database to copy into, such as postgres://tenantry@db/tenantry [default: database-url]
    #[arg(long, value_name = "URL", value_parser = secret)]
    pub to: Option<Secret>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `tenantry config`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ConfigArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of commands that only list.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ListArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `tenantry partner ...`
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum PartnerCommand {
    /// Create a partner and its first admin, who is mailed a temporary password
    Create(PartnerCreate),
    /// List all partners
    List(ListArgs),
    /// Show one partner
    Get(PartnerArgs),
    /// Rename a partner
    Rename(PartnerRename),
    /// Suspend a partner: its users cannot log in and its tokens are refused, at once
    Suspend(PartnerArgs),
    /// Resume a suspended partner
    Resume(PartnerArgs),
    /// Delete a partner with its users, groups and clients, permanently
    Delete(PartnerDelete),
}

/// `tenantry partner create`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct PartnerCreate {
    /// Its name, unique on this server
    #[arg(long)]
    pub name: String,
    /// Username of its first admin, unique on this server
    #[arg(long, value_name = "NAME")]
    pub admin_username: String,
    /// E-mail address of its first admin
    #[arg(long, value_name = "ADDRESS")]
    pub admin_email: String,
    /// First name of its first admin
    #[arg(long, value_name = "NAME", default_value = "Admin")]
    pub admin_first_name: String,
    /// Last name of its first admin
    #[arg(long, value_name = "NAME", default_value = "Admin")]
    pub admin_last_name: String,
    /// Print the temporary password instead of mailing it
    #[arg(long)]
    pub print_password: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// One partner.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct PartnerArgs {
    /// The partner's id
    #[arg(value_name = "PARTNER", value_parser = partner_id)]
    pub partner: PartnerId,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `tenantry partner delete`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct PartnerDelete {
    /// The partner's id
    #[arg(value_name = "PARTNER", value_parser = partner_id)]
    pub partner: PartnerId,
    /// Delete the partner even if it has more than one user
    #[arg(long)]
    pub force: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `tenantry partner rename`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct PartnerRename {
    /// The partner's id
    #[arg(value_name = "PARTNER", value_parser = partner_id)]
    pub partner: PartnerId,
    /// Its new name, unique on this server
    pub name: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `tenantry user ...`
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum UserCommand {
    /// List a partner's users
    List(UserList),
    /// Show one user
    Get(UserArgs),
    /// Create a user, who is mailed a temporary password
    Create(UserCreate),
    /// Set a user LOCKED: the user cannot log in and its tokens are refused, at once
    Lock(UserForce),
    /// Set a user ACTIVE and reset its count of failed logins
    Unlock(UserArgs),
    /// Invalidate a user's password and sessions and mail a temporary password
    ResetPassword(UserResetPassword),
    /// Delete a user
    Delete(UserForce),
}

/// `tenantry user list`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct UserList {
    /// The partner's id
    #[arg(long, value_parser = partner_id)]
    pub partner: PartnerId,
    /// Only users with this text in their names, e-mail address, title, phone number or external id
    #[arg(long, value_name = "TERM")]
    pub search: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// One user.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct UserArgs {
    /// The user's id or username; digits are an id
    #[arg(value_name = "ID_OR_USERNAME")]
    pub user: UserRef,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `tenantry user create`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct UserCreate {
    /// The partner's id
    #[arg(long, value_parser = partner_id)]
    pub partner: PartnerId,
    /// Username, unique on this server
    #[arg(long, value_name = "NAME")]
    pub username: String,
    /// E-mail address
    #[arg(long, value_name = "ADDRESS")]
    pub email: String,
    /// First name
    #[arg(long, value_name = "NAME")]
    pub first_name: String,
    /// Last name
    #[arg(long, value_name = "NAME")]
    pub last_name: String,
    /// Make the user a partner admin
    #[arg(long)]
    pub admin: bool,
    /// ACTIVE, INACTIVE or LOCKED
    #[arg(long, default_value = "ACTIVE", value_parser = status)]
    pub status: Status,
    /// Print the temporary password instead of mailing it
    #[arg(long)]
    pub print_password: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `tenantry user reset-password`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct UserResetPassword {
    /// The user's id or username; digits are an id
    #[arg(value_name = "ID_OR_USERNAME")]
    pub user: UserRef,
    /// Print the temporary password instead of mailing it
    #[arg(long)]
    pub print_password: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `tenantry user lock` and `tenantry user delete`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct UserForce {
    /// The user's id or username; digits are an id
    #[arg(value_name = "ID_OR_USERNAME")]
    pub user: UserRef,
    /// Do it even if the user is the last active admin of the partner
    #[arg(long)]
    pub force: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `tenantry client ...`
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum ClientCommand {
    /// Create a confidential client; its secret is printed once
    Create(ClientCreate),
    /// List a partner's clients
    List(ClientList),
    /// Revoke a client and its tokens
    Revoke(ClientRevoke),
}

/// `tenantry client create`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ClientCreate {
    /// The partner's id
    #[arg(long, value_parser = partner_id)]
    pub partner: PartnerId,
    /// A descriptive name
    #[arg(long)]
    pub name: String,
    /// Give its technical account the rights of a partner admin
    #[arg(long)]
    pub admin: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `tenantry client list`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ClientList {
    /// The partner's id
    #[arg(long, value_parser = partner_id)]
    pub partner: PartnerId,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `tenantry client revoke`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ClientRevoke {
    /// The client_id
    #[arg(value_name = "CLIENT_ID")]
    pub client_id: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `tenantry operator ...`
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum OperatorCommand {
    /// Create a token for the operator API; it is printed once
    Token(OperatorToken),
    /// List the operator tokens, without their secrets
    List(ListArgs),
    /// Revoke an operator token
    Revoke(OperatorRevoke),
}

/// `tenantry operator token`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct OperatorToken {
    /// A descriptive name
    #[arg(long, default_value = "operator")]
    pub name: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `tenantry operator revoke`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct OperatorRevoke {
    /// The token's id in the list
    #[arg(value_name = "ID", value_parser = clap::value_parser!(i64).range(1..))]
    pub id: i64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// A reference to a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UserRef {
    /// By id.
    Id(UserId),
    /// By username. A username that consists of digits is parsed as an id; refer to such a user by id.
    Username(String),
}

impl FromStr for UserRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("must be an id or a username".into());
        }
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return positive(text).map(|id| Self::Id(UserId(id)));
        }
        Ok(Self::Username(text.to_owned()))
    }
}

fn positive(text: &str) -> Result<i64, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "must be an integer from 1".into())
}

/// Parsed later: clap's error for an invalid value quotes it, and it may contain a password.
#[expect(clippy::unnecessary_wraps, reason = "the signature that clap requires")]
fn secret(text: &str) -> Result<Secret, String> {
    Ok(Secret::new(text))
}

fn partner_id(text: &str) -> Result<PartnerId, String> {
    positive(text).map(PartnerId)
}

fn format(text: &str) -> Result<Format, String> {
    Format::parse(text).ok_or_else(|| "must be ndjson or csv".into())
}

fn status(text: &str) -> Result<Status, String> {
    Status::parse(&text.to_ascii_uppercase()).ok_or_else(|| "must be ACTIVE, INACTIVE or LOCKED".into())
}

/// Settings in the help of every command. The others are accepted everywhere too, but only `serve` and `config` list
/// them, so that the help stays short.
const EVERYWHERE: [&str; 3] = ["config", "data-dir", "database-url"];

const ABOUT_SETTINGS: &str = "Every setting is a flag (--data-dir), an environment variable (TENANTRY_DATA_DIR) and a line \
    of tenantry.toml (data-dir = \"...\"), in this order of precedence.";

/// Parses a command line; `--help` and `--version` are errors too.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Invocation, clap::Error> {
    let settings = config::settings();
    let matches = tree(&settings).try_get_matches_from(args)?;
    let CommandLine { command } = CommandLine::from_arg_matches(&matches)?;
    let mut leaf = &matches;
    while let Some((_, below)) = leaf.subcommand() {
        leaf = below;
    }
    // Not every command has every setting (see `add_settings`): then this is an error, and there is no flag.
    let flag = |s: &Setting| {
        let text = leaf.try_get_one::<String>(s.name).ok().flatten()?;
        Some((s.name.to_owned(), text.clone()))
    };
    Ok(Invocation { command, flags: settings.iter().filter_map(flag).collect() })
}

/// The text of `tenantry --help`.
pub fn help() -> String {
    tree(&config::settings()).render_help().to_string()
}

/// The command tree with the settings on every leaf.
fn tree(settings: &[Setting]) -> clap::Command {
    CommandLine::command()
        .after_help(ABOUT_SETTINGS)
        .mut_subcommands(|command| add_settings(command, settings))
}

fn add_settings(command: clap::Command, settings: &[Setting]) -> clap::Command {
    if command.has_subcommands() {
        return command.mut_subcommands(|below| add_settings(below, settings));
    }
    let all = matches!(command.get_name(), "serve" | "config");
    // `partner create --admin-username` is the admin of that partner, not of the first one.
    let taken: Vec<String> =
        command.get_arguments().filter_map(|arg| arg.get_long().map(str::to_owned)).collect();
    let free = settings.iter().filter(|s| !taken.iter().any(|name| name == s.name));
    let flags: Vec<Arg> = free.map(|s| flag(s).hide(!all && !EVERYWHERE.contains(&s.name))).collect();
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
