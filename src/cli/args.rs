//! The command line. Only this module and `setting_flags` use clap; settings come from the list in `config`.

mod client;
mod event;

mod values;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

pub use crate::cli::args::client::*;
pub use crate::cli::args::event::*;
use crate::cli::setting_flags::{ABOUT_SETTINGS, add_settings};
use crate::config::{self, Secret, Setting};
use tenantry_core::model::{PartnerId, Status};
use tenantry_core::rows::{Delimiter, Format};
use tenantry_domain::user_export::Formulas;
use tenantry_domain::user_import::Existing;
use tenantry_passwords::UnusableHashes;

pub use values::UserRef;
use values::{delimiter, existing, format, formulas, partner_id, secret, status, unusable_hashes};

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
    /// Ask the running server whether it is ready: for the health check of a container
    ///
    /// Exits with 0 if /readyz of the server on the address of the settings answers that it is ready, otherwise with 1
    /// and the reason. It does not need the database.
    Health(HealthArgs),
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
    /// Manage the keys that sign ID tokens
    #[command(subcommand)]
    Key(KeyCommand),
    /// Show the audit log
    #[command(subcommand)]
    Event(EventCommand),
    /// Check the delivery of mail
    #[command(subcommand)]
    Mail(MailCommand),
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

/// `tenantry mail ...`
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum MailCommand {
    /// Send a test mail and show the conversation with the relay
    ///
    /// Shows the settings in force, what is sent and received, and what TLS was negotiated; passwords and tokens are hidden.
    /// The exit code is 0 if the relay accepts the mail and 1 if not. No server has to run.
    Test(MailTest),
}

/// `tenantry mail test`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct MailTest {
    /// The address to send the mail to
    #[arg(value_name = "ADDRESS")]
    pub address: String,
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
    /// ndjson or csv [default: by the file name; either can be compressed with gzip]
    #[arg(long, value_parser = format)]
    pub format: Option<Format>,
    /// What separates the cells of CSV: comma, semicolon, tab or bar [default: by the first line]
    #[arg(long, value_parser = delimiter)]
    pub delimiter: Option<Delimiter>,
    /// Do not import this column of CSV, known or unknown; repeatable
    #[arg(long = "ignore-column", value_name = "NAME")]
    pub ignore_columns: Vec<String>,
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
    /// Also import weak password hashes: MD5 in any form, one round of SHA (phpass, md5-crypt, ...) [default: rejected]
    #[arg(long, conflicts_with = "apply")]
    pub allow_weak_hashes: bool,
    /// Users whose password hash cannot be imported: refuse, or drop to import them without it [default: refuse]
    #[arg(long, value_name = "refuse|drop", value_parser = unusable_hashes, conflicts_with = "apply")]
    pub unknown_hashes: Option<UnusableHashes>,
    /// A file with the password hash parameters of the Firebase console, for hashes of Firebase
    #[arg(long, value_name = "FILE")]
    pub firebase_hash_config: Option<PathBuf>,
    /// What to do with a row whose user exists already, with its externalId or else its username: refuse (reject the
    /// row), skip, or update (change the user to what the row gives)
    #[arg(long, value_name = "HOW", default_value = "refuse", value_parser = existing, conflicts_with = "apply")]
    pub existing: Existing,
    /// Write each row that does not become a user to this file as a line of JSON, with its line and the reasons
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
    /// bare or quote: for CSV that is opened in a spreadsheet, quote puts an apostrophe before values that look like
    /// formulas. Such a file is not for an import
    #[arg(long, value_name = "HOW", default_value = "bare", value_parser = formulas)]
    pub formulas: Formulas,
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

/// `tenantry health`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct HealthArgs {
    /// The base URL of the server, such as http://127.0.0.1:8080 [default: by the setting listen]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
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
    /// Show or change who needs a second factor in a partner, and which rules its passwords follow
    Policy(PartnerPolicyArgs),
    /// Delete a partner with its users, groups and clients, permanently
    Delete(PartnerDelete),
}

/// `tenantry partner policy`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct PartnerPolicyArgs {
    /// The partner's id
    #[arg(value_name = "PARTNER", value_parser = partner_id)]
    pub partner: PartnerId,
    /// Who needs a second factor: off, optional, admins or everybody
    #[arg(long, value_name = "WHO")]
    pub require_second_factor: Option<String>,
    /// The rules of passwords: contract, nist, or server for those of the server
    #[arg(long, value_name = "RULES")]
    pub password_rules: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
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
    /// See and remove the second factors of a user
    #[command(subcommand)]
    Factors(FactorCommand),
}

/// `tenantry user factors ...`
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum FactorCommand {
    /// List the second factors of a user
    List(UserArgs),
    /// Remove the second factors of a user who has lost them: its sessions end, and it is mailed a notice
    Remove(FactorRemove),
}

/// `tenantry user factors remove`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct FactorRemove {
    /// The user's id or username; digits are an id
    #[arg(value_name = "ID_OR_USERNAME")]
    pub user: UserRef,
    /// Only the factor with this id in the list [default: all]
    #[arg(long, value_name = "ID")]
    pub factor: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
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

/// `tenantry key ...`
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum KeyCommand {
    /// List the keys with their states
    ///
    /// A key is published as `next` before it signs, then it is `current`, and `old` as long as tokens that it has signed are
    /// valid. One that is `unusable` cannot be unsealed.
    List(ListArgs),
    /// Replace the current keys
    ///
    /// The new keys are published now and sign in 24 hours, when every client has fetched them. The server does this every
    /// 90 days by itself.
    Rotate(KeyRotate),
    /// Make new keys in place of those that cannot be unsealed, after the master key was lost
    ///
    /// On SQLite a new master key is made if its file is missing. Tokens that the removed keys have signed can no longer be
    /// verified.
    Reset(KeyReset),
    /// Seal everything with another master key
    ///
    /// Signing keys and the secrets of authenticator apps are sealed with the new key, all or none. Stop the servers first, and
    /// start them with the new key.
    Reseal(KeyReseal),
}

/// `tenantry key reseal`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct KeyReseal {
    /// File with the new master key (openssl rand -base64 32)
    #[arg(long, value_name = "FILE")]
    pub new_key_file: PathBuf,
    /// File with the present master key [default: that of the settings]
    #[arg(long, value_name = "FILE")]
    pub old_key_file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `tenantry key rotate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct KeyRotate {
    /// Sign with the new keys in a few seconds: clients that do not fetch an unknown key fail until they fetch the keys again
    #[arg(long)]
    pub now: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `tenantry key reset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct KeyReset {
    /// Replace all keys, also those that can be unsealed, and go on without a master key if there is none
    #[arg(long)]
    pub force: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

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
