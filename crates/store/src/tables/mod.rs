//! One file per table, or per group of related tables.

/// Entries of bulk operations.
pub mod bulk_operations;
/// Deleted users, for as long as they can be restored.
pub mod deleted_users;
/// Side effects of deletions.
pub mod effects;
/// Erased users with unblanked events, and addresses of ended sessions.
pub mod erasures;
/// Permission evaluations.
pub mod evaluations;
/// Events: the audit log.
pub mod events;
/// The most expensive stored password hashes.
pub mod expensive_hashes;
/// Forgotten-password requests.
pub mod forgot_password;
/// Groups and their members.
pub mod groups;
/// Imports in progress.
pub mod imports;
/// Stored responses of idempotency keys.
pub mod kept_answers;
/// Leases of large units of work.
pub mod large_units;
/// Failed logins by address.
pub mod login_failures;
/// Group memberships.
pub mod memberships;
/// Nested groups.
pub mod nesting;
/// Undelivered mail.
pub mod outbox;
/// Partners and operator tokens.
pub mod partners;
/// Current passwords and their history.
pub mod passwords;
/// Staged changes of large permission lists.
pub mod permission_changes;
/// Permissions and wildcards of groups.
pub mod permissions;
pub(crate) mod server_keys;
/// Sessions, their tokens, and OAuth clients.
pub mod sessions;
/// Users, one at a time.
pub mod users;
