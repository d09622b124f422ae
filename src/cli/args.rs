//! What can be written on the command line. Only this file knows clap; settings come from `config`'s list.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Arg, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::{self, Secret, Setting};
use tenantry_core::model::{PartnerId, Status, UserId};
use tenantry_core::rows::Format;

/// A command line, understood.
#[derive(Debug, PartialEq, Eq)]
pub struct Invocation {
    /// What to do; nothing = show the help.
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

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Run the server
    ///
    /// The first start on an empty database makes partner 1 and its admin; the password is printed once unless
    /// TENANTRY_ADMIN_PASSWORD gives one.
    Serve(ServeArgs),
    /// Bring the schema of a PostgreSQL database up to date
    ///
    /// `serve` does so too, unless told not to.
    Migrate,
    /// Copy a whole database into an empty one, SQLite to PostgreSQL or back
    ///
    /// Everything goes over: users, groups, passwords and their history, sessions, clients, events, mail that waits,
    /// and the numbers that come next. Stop the servers first. Broken off, it goes on where it stopped when it is run
    /// again; until it is finished nothing serves the target. At the end rows and checksums of each table are compared.
    Copy(CopyArgs),
    /// Show the settings in force and where each came from, secrets redacted
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
    /// Manage the tokens for the operator's API (/operator/v1)
    #[command(subcommand)]
    Operator(OperatorCommand),
    /// Import users from a file of another system, a row each
    ///
    /// A row is the body of a create, with names or ids in groups and perhaps a passwordHash, a hash from elsewhere. Good
    /// rows become users, bad ones are told with their line. Broken off, it goes on where it stopped when it is run again.
    Import(ImportArgs),
    /// Export a partner's users as rows that can be imported again
    Export(ExportArgs),
    /// Copy the database into a file, while a server works on it or while none does
    ///
    /// The copy is the database of one moment, checked before it gets its name. It holds password hashes, and
    /// temporary passwords that have not been mailed yet: keep it where only you can read it.
    Backup(BackupArgs),
    /// Put a backup in the place of the database, while no server runs
    ///
    /// The present database is kept beside it under another name. An older backup is brought up to date by the
    /// next `tenantry serve`.
    Restore(RestoreArgs),
}

/// `tenantry import`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ImportArgs {
    /// The file to import
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The number of the partner whose users they become
    #[arg(long, value_parser = partner_id)]
    pub partner: PartnerId,
    /// ndjson or csv [default: by the name of the file]
    #[arg(long, value_parser = format)]
    pub format: Option<Format>,
    /// Tell what would become of each row, and change nothing
    #[arg(long, conflicts_with_all = ["plan", "apply"])]
    pub dry_run: bool,
    /// Write what would become of each row into a plan, and change nothing
    #[arg(long, value_name = "PLAN", conflicts_with = "apply")]
    pub plan: Option<PathBuf>,
    /// Do exactly what a plan says, or refuse
    #[arg(long, value_name = "PLAN", conflicts_with = "send_mail")]
    pub apply: Option<PathBuf>,
    /// Mail a temporary password to ACTIVE users who come without a password; otherwise nobody is mailed
    #[arg(long)]
    pub send_mail: bool,
    /// Write each rejected row into this file, with its line and why, a line of JSON each
    #[arg(long, value_name = "REPORT", conflicts_with = "plan")]
    pub report: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `tenantry export`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ExportArgs {
    /// The partner's number
    #[arg(long, value_parser = partner_id)]
    pub partner: PartnerId,
    /// ndjson or csv
    #[arg(long, default_value = "ndjson", value_parser = format)]
    pub format: Format,
    /// Write passwordHash, too: whoever has the file can try to guess the passwords
    #[arg(long)]
    pub with_hashes: bool,
    /// The file to make [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `tenantry backup`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct BackupArgs {
    /// The file to make; one that exists is not overwritten
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `tenantry restore`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct RestoreArgs {
    /// A file that `tenantry backup` made
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `tenantry serve`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct ServeArgs {
    /// Refuse a PostgreSQL database with an older schema instead of changing it
    #[arg(long)]
    pub no_migrate: bool,
}

/// `tenantry copy`. What is left out is the database of the settings.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct CopyArgs {
    /// The database to copy, such as sqlite:/var/lib/tenantry/tenantry.db [default: database-url]
    #[arg(long, value_name = "URL", value_parser = secret)]
    pub from: Option<Secret>,
    /// The empty database that it is copied into, such as postgres://tenantry@db/tenantry [default: database-url]
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

/// Only the choice of how to print.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ListArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `tenantry partner ...`
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum PartnerCommand {
    /// Make a partner and its first admin, to whom a temporary password is mailed
    Create(PartnerCreate),
    /// List all partners
    List(ListArgs),
    /// Show one partner
    Get(PartnerArgs),
    /// Give a partner another name
    Rename(PartnerRename),
    /// Suspend a partner: its people cannot log in and its tokens are refused, at once
    Suspend(PartnerArgs),
    /// Let a suspended partner's people in again
    Resume(PartnerArgs),
    /// Delete a partner with its users, groups and clients, for good
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
    /// The partner's number
    #[arg(value_name = "PARTNER", value_parser = partner_id)]
    pub partner: PartnerId,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `tenantry partner delete`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct PartnerDelete {
    /// The partner's number
    #[arg(value_name = "PARTNER", value_parser = partner_id)]
    pub partner: PartnerId,
    /// Delete even a partner that has more users than its first admin
    #[arg(long)]
    pub force: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `tenantry partner rename`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct PartnerRename {
    /// The partner's number
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
    /// Make a user, to whom a temporary password is mailed
    Create(UserCreate),
    /// Set a user LOCKED: it cannot log in and its tokens are refused, at once
    Lock(UserForce),
    /// Set a user ACTIVE again and its count of failed logins to 0
    Unlock(UserArgs),
    /// End a user's password and sessions and mail a temporary password
    ResetPassword(UserResetPassword),
    /// Delete a user, for good
    Delete(UserForce),
}

/// `tenantry user list`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct UserList {
    /// The partner's number
    #[arg(long, value_parser = partner_id)]
    pub partner: PartnerId,
    /// Only users with this text in their names, address, title, telephone number or external id
    #[arg(long, value_name = "TERM")]
    pub search: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// One user.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct UserArgs {
    /// The user's number, or its username; digits are a number
    #[arg(value_name = "ID_OR_USERNAME")]
    pub user: UserRef,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `tenantry user create`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct UserCreate {
    /// The partner's number
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
    /// Make the user an admin of the partner
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
    /// The user's number, or its username; digits are a number
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
    /// The user's number, or its username; digits are a number
    #[arg(value_name = "ID_OR_USERNAME")]
    pub user: UserRef,
    /// Do it even to the last active admin of a partner
    #[arg(long)]
    pub force: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `tenantry client ...`
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum ClientCommand {
    /// Make a confidential client; its secret is printed once
    Create(ClientCreate),
    /// List a partner's clients
    List(ClientList),
    /// Revoke a client and its tokens, at once
    Revoke(ClientRevoke),
}

/// `tenantry client create`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ClientCreate {
    /// The partner's number
    #[arg(long, value_parser = partner_id)]
    pub partner: PartnerId,
    /// A name, for people
    #[arg(long)]
    pub name: String,
    /// Let its technical account do what the partner's admins may do
    #[arg(long)]
    pub admin: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `tenantry client list`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ClientList {
    /// The partner's number
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
    /// Make a token for the operator's API; it is printed once
    Token(OperatorToken),
    /// List the operator's tokens, without the tokens themselves
    List(ListArgs),
    /// Revoke one of the operator's tokens, at once
    Revoke(OperatorRevoke),
}

/// `tenantry operator token`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct OperatorToken {
    /// A name, to tell it from others in the list
    #[arg(long, default_value = "operator")]
    pub name: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `tenantry operator revoke`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct OperatorRevoke {
    /// The token's number, as the list shows it
    #[arg(value_name = "ID", value_parser = clap::value_parser!(i64).range(1..))]
    pub id: i64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// How a command names a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UserRef {
    /// By number.
    Id(UserId),
    /// By name, as typed. A name of digits only is taken for a number; such a user is named by its number.
    Username(String),
}

impl FromStr for UserRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("give a number or a username".into());
        }
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return positive(text).map(|id| Self::Id(UserId(id)));
        }
        Ok(Self::Username(text.to_owned()))
    }
}

fn positive(text: &str) -> Result<i64, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "give a number from 1".into())
}

/// Read later: clap's words for a bad value quote it, and there may be a password in it.
#[expect(clippy::unnecessary_wraps, reason = "what clap asks of a parser")]
fn secret(text: &str) -> Result<Secret, String> {
    Ok(Secret::new(text))
}

fn partner_id(text: &str) -> Result<PartnerId, String> {
    positive(text).map(PartnerId)
}

fn format(text: &str) -> Result<Format, String> {
    Format::parse(text).ok_or_else(|| "give ndjson or csv".into())
}

fn status(text: &str) -> Result<Status, String> {
    Status::parse(&text.to_ascii_uppercase()).ok_or_else(|| "give ACTIVE, INACTIVE or LOCKED".into())
}

/// Settings that the help of every command shows. The others are taken everywhere too, but only `serve` and
/// `config` list them, or no help would fit a screen.
const EVERYWHERE: [&str; 3] = ["config", "data-dir", "database-url"];

const ABOUT_SETTINGS: &str = "Every setting is a flag (--data-dir), a variable (TENANTRY_DATA_DIR) and a line \
    of tenantry.toml (data-dir = \"...\"); the first of these that gives a value counts.";

/// Understands a command line; the error also stands for `--help` and `--version`.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Invocation, clap::Error> {
    let settings = config::settings();
    let matches = tree(&settings).try_get_matches_from(args)?;
    let CommandLine { command } = CommandLine::from_arg_matches(&matches)?;
    let mut leaf = &matches;
    while let Some((_, below)) = leaf.subcommand() {
        leaf = below;
    }
    // A command has not every setting (see `add_settings`): then this is an error, and there is no flag.
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

/// The whole tree of commands with the settings on every leaf.
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
    // `partner create --admin-username` is about that partner's admin, not about the first one.
    let taken: Vec<String> =
        command.get_arguments().filter_map(|arg| arg.get_long().map(str::to_owned)).collect();
    let free = settings.iter().filter(|s| !taken.iter().any(|name| name == s.name));
    let flags: Vec<Arg> = free.map(|s| flag(s).hide(!all && !EVERYWHERE.contains(&s.name))).collect();
    command.args(flags).after_help(ABOUT_SETTINGS)
}

/// A setting as a flag. It has no default for clap: what was not given must look so, or it would overrule the
/// environment and the file.
fn flag(setting: &Setting) -> Arg {
    let default = match &setting.value {
        // A catalogue is pages long: `tenantry config` shows it.
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
