//! One file per table, or per group of related tables.

/// Authorization codes.
pub mod authorization_codes;
/// The branding of partners.
pub mod branding;
/// Sessions of browsers.
pub mod browser_sessions;
/// Entries of bulk operations.
pub mod bulk_operations;
/// OAuth clients.
pub mod clients;
/// What users allow clients to learn.
pub mod consents;
/// Deleted users, for as long as they can be restored.
pub mod deleted_users;
/// All permissions of a user.
pub mod effective_permissions;
/// Side effects of deletions.
pub mod effects;
/// Which addresses are proven.
pub mod email_verifications;
/// Erased users with unblanked events, and addresses of ended sessions.
pub mod erasures;
/// Permission evaluations.
pub mod evaluations;
/// Events: the audit log.
pub mod events;
/// The most expensive stored password hashes.
pub mod expensive_hashes;
/// Second factors of users, and the devices that are remembered.
pub mod factors;
/// Forgotten-password requests.
pub mod forgot_password;
/// Groups and their members.
pub mod groups;
/// Imports in progress.
pub mod imports;
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
/// Passkeys.
pub mod passkeys;
/// Current passwords and their history.
pub mod passwords;
/// Staged changes of large permission lists.
pub mod permission_changes;
/// Permissions and wildcards of groups.
pub mod permissions;
/// The policies of partners, and since when the server requires a second factor.
pub mod policies;
/// Mails that somebody asked for.
pub mod requested_mails;
/// Keys that all servers of a database share.
pub mod server_keys;
/// Sessions, their tokens, and OAuth clients.
pub mod sessions;
/// Keys that sign ID tokens.
pub mod signing_keys;
/// Stored responses of idempotency keys.
pub mod stored_responses;
/// Users, one at a time.
pub mod users;
