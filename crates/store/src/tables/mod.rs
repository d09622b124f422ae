//! One file for each table, or for what few tables share.

/// Large changes that are carried out in steps.
pub mod bulk_operations;
/// Deleted users, for as long as they can be restored.
pub mod deleted_users;
/// What deletions take along.
pub mod effects;
/// Erased users whose events still hold personal values, and addresses of ended sessions.
pub mod erasures;
/// What users may do, and why.
pub mod evaluations;
/// Events: the audit log.
pub mod events;
/// The most expensive password hashes that are stored.
pub mod expensive_hashes;
/// Forgotten passwords that were asked for.
pub mod forgot_password;
/// Groups and who is in them.
pub mod groups;
/// Imports of users that have begun.
pub mod imports;
/// Answers kept for requests that come again.
pub mod kept_answers;
/// Which process has the one large unit of work of a partner.
pub mod large_units;
/// Failed logins by address.
pub mod login_failures;
/// Who is in which group, from the group's side.
pub mod memberships;
/// Groups in groups.
pub mod nesting;
/// Mail to be sent.
pub mod outbox;
/// Partners, and the operators' tokens.
pub mod partners;
/// Passwords: the present ones and the history.
pub mod passwords;
/// Changes of lists of permissions that are too large for one transaction.
pub mod permission_changes;
/// Which permissions and wildcards groups have.
pub mod permissions;
pub(crate) mod server_keys;
/// Sessions, their tokens, and OAuth clients.
pub mod sessions;
/// Users, one at a time.
pub mod users;
